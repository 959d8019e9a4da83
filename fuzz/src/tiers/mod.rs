//! Runs a tree of components on a stock engine, or on a runtime of ours, in each tier and by each strategy; `compare`
//! says where two runs differ that must not.

mod compare;

use std::ops::RangeInclusive;
use std::sync::OnceLock;

use arbitrary::{Result, Unstructured};
use mappable::{Limits, MappableCtx, MappableView, MappingMode, Runtime, RuntimeBuilder};
use wasmtime::component::{Component, Instance, Linker};
use wasmtime::{AsContextMut, Config, Engine, Store, StoreContextMut};

pub use compare::{Allowed, MEANT, compare};

use crate::code::Code;
use crate::embedder::{self, Embedder, Lapse, Left};
use crate::trees::{Misuse, Plan, Tree};

/// How handles and lists go from component to component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// As the engine does it.
    Baseline,
    /// By the ledger.
    Ledger,
}

impl Tier {
    /// Those that there are.
    pub const ALL: [Tier; 2] = [Tier::Baseline, Tier::Ledger];

    fn set(self, builder: RuntimeBuilder) -> RuntimeBuilder {
        builder.tier(match self {
            Tier::Baseline => mappable::Tier::Baseline,
            Tier::Ledger => mappable::Tier::Ledger,
        })
    }
}

/// How regions get into memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// By swapping views, where the memory can be.
    Swap,
    /// By remapping.
    Remap,
    /// By copying.
    Copy,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Strategy; 3] = [Strategy::Swap, Strategy::Remap, Strategy::Copy];
}

/// What a tree runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// An engine with settings of nobody's: for trees that import nothing of ours.
    Stock(Code),
    /// A runtime of ours.
    Ours(Tier, Strategy, Code),
    /// A runtime of ours for concurrent components.
    Concurrent(Tier, Strategy, Code),
}

/// What is asked of a tree, and what its store may hold.
#[derive(Clone, Debug)]
pub struct Script {
    /// What `run` is called with, until it traps. Of an open tree they say which function is called, too.
    pub seeds: Vec<u32>,
    /// What the store's components may hold.
    pub limits: Limits,
    /// The component that misuses something, what, and how many chances it lets go by.
    pub misuse: Option<(usize, Misuse, u32)>,
    /// What the embedder does wrong, and how many chances it lets go by.
    pub lapse: Option<(Lapse, u32)>,
}

impl Script {
    /// One with so many calls, with limits, and if some guest errs with one of these misuses.
    ///
    /// # Errors
    ///
    /// Those of `u`.
    pub fn of_guests(
        u: &mut Unstructured<'_>,
        calls: RangeInclusive<usize>,
        misuses: &[&Misuse],
        errs: bool,
    ) -> Result<Self> {
        let seeds = (0..u.int_in_range(calls)?).map(|_| u.int_in_range(0..=0xffff)).collect::<Result<_>>()?;
        let limits = match u.int_in_range(0..=3)? {
            0 => Limits::default().regions(40).mappings(4).frozen_mapped_bytes(0x3_0000),
            _ => Limits::default().region_bytes(256 << 20),
        };
        let misuse = (u.int_in_range(0..=4)?, **u.choose(misuses)?, *u.choose(&[1, 1, 2, 4])?);
        Ok(Self { seeds, limits, misuse: errs.then_some(misuse), lapse: None })
    }
}

/// What was seen of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Whether guests of the tree have handles of the engine's beside the ledger's: [`Plan::crosses`].
    pub crosses: bool,
    /// Whether it is one of a tree with streams.
    pub streams: bool,
    /// What guests showed: where they were, and their hash of all that they had seen.
    pub shown: Vec<(u32, u64)>,
    /// What `run` gave, each time.
    pub returned: Vec<u64>,
    /// Why it ended early.
    pub trap: Option<String>,
    /// What is held then.
    pub held: Holding,
    /// What was seen when the embedder of an open tree went on all the same, and what is held in the end.
    pub later: (Vec<(u32, u64)>, Holding),
    /// What the embedder held, and somebody else changed.
    pub hurt: Vec<String>,
}

/// What a store's components hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// How many regions.
    pub regions: usize,
    /// How many bytes they are.
    pub bytes: u64,
    /// Each of them that is not mapped, of an open tree.
    pub left: Vec<Left>,
}

/// What is shown of a call after one that trapped.
const LATER: u32 = 940_000;

/// A store's data.
pub(crate) struct Host {
    shown: Vec<(u32, u64)>,
    misuse: Option<(usize, Misuse, u32)>,
    context: Option<MappableCtx>,
    runtime: Option<&'static Runtime>,
    pub(crate) embedder: Embedder,
}

impl Host {
    pub(crate) fn show(&mut self, what: u32, hash: u64) {
        self.shown.push((what, hash));
    }

    pub(crate) fn context(&self) -> &MappableCtx {
        self.context.as_ref().expect("a stock engine is given none of our functions")
    }

    pub(crate) fn context_mut(&mut self) -> &mut MappableCtx {
        self.context.as_mut().expect("a stock engine is given none of our functions")
    }

    fn holding(&self, open: bool) -> Holding {
        let Some(context) = &self.context else { return Holding::default() };
        let (regions, bytes) = context.held();
        Holding { regions, bytes, left: if open { embedder::left(context) } else { vec![] } }
    }

    pub(crate) fn runtime(&self) -> &'static Runtime {
        self.runtime.expect("a stock engine is given none of our functions")
    }
}

impl MappableView for Host {
    fn mappable(&mut self) -> &mut MappableCtx {
        self.context_mut()
    }
}

/// An engine, and what components are linked to.
struct Engines {
    engine: Engine,
    linker: Linker<Host>,
    runtime: Option<Runtime>,
}

impl Machine {
    /// How it compiles.
    pub fn code(self) -> Code {
        match self {
            Machine::Stock(code) | Machine::Ours(_, _, code) | Machine::Concurrent(_, _, code) => code,
        }
    }

    /// The same one, which compiles like that.
    fn with(self, code: Code) -> Self {
        match self {
            Machine::Stock(_) => Machine::Stock(code),
            Machine::Ours(tier, strategy, _) => Machine::Ours(tier, strategy, code),
            Machine::Concurrent(tier, strategy, _) => Machine::Concurrent(tier, strategy, code),
        }
    }

    /// What a case runs on: these machines with this code, behind an oracle that does not optimise.
    pub fn all(mut machines: Vec<Machine>, code: Code) -> Vec<Machine> {
        machines.iter_mut().for_each(|machine| *machine = machine.with(code));
        if let (Code::Optimised, Some(first)) = (code, machines.first()) {
            machines.insert(0, first.with(Code::Quick));
        }
        machines
    }

    fn config(self) -> Config {
        let mut config = Config::new();
        self.code().set(&mut config);
        config.parallel_compilation(false).cranelift_debug_verifier(false);
        // Besides machines for concurrent components, those of one strategy have them.
        let concurrent = matches!(self, Machine::Ours(_, Strategy::Remap, _) | Machine::Concurrent(..));
        config.concurrency_support(concurrent);
        if matches!(self, Machine::Concurrent(..)) {
            // So that a cancellation does not wait.
            config.wasm_component_model_more_async_builtins(true);
        }
        config
    }

    fn make(self) -> Engines {
        // Before any engine: the order decides whether guests' stores into frozen mappings trap.
        let _ = mappable::install_fault_handler();
        let (engine, runtime) = match self {
            Machine::Stock(_) => {
                let mut config = self.config();
                // Many stores are made; what a memory reserves is given back each time.
                config.memory_reservation(1 << 20).memory_reservation_for_growth(0).memory_guard_size(1 << 16);
                (Engine::new(&config).expect("the engine can be configured so"), None)
            }
            Machine::Ours(tier, strategy, _) | Machine::Concurrent(tier, strategy, _) => {
                let mapping = match strategy {
                    Strategy::Swap => MappingMode::Auto,
                    Strategy::Remap => MappingMode::Remap,
                    Strategy::Copy => MappingMode::Copy,
                };
                let builder = tier.set(Runtime::builder().config(self.config()).mapping(mapping));
                let runtime = builder.build().expect("the runtime can be made");
                (runtime.engine().clone(), Some(runtime))
            }
        };
        let mut linker = Linker::new(&engine);
        linker
            .root()
            .func_wrap("log", |mut store: StoreContextMut<'_, Host>, (what, hash): (u32, u64)| {
                let host = store.data_mut();
                host.show(what, hash);
                let due = host.misuse.filter(|(component, ..)| *component as u32 + 1 == what);
                Ok((due.map_or(0, |(_, misuse, countdown)| u64::from(misuse.number()) << 32 | u64::from(countdown)),))
            })
            .expect("nothing has that name");
        if runtime.is_some() {
            mappable::add_to_linker::<Host>(&mut linker).expect("nothing has that name");
        }
        Engines { engine, linker, runtime }
    }

    fn engines(self) -> &'static Engines {
        static ENGINES: [[OnceLock<Engines>; 13]; 2] = [const { [const { OnceLock::new() }; 13] }; 2];
        let nth = match self {
            Machine::Stock(_) => 0,
            Machine::Ours(tier, strategy, _) => 1 + tier as usize * 3 + strategy as usize,
            Machine::Concurrent(tier, strategy, _) => 7 + tier as usize * 3 + strategy as usize,
        };
        ENGINES[self.code() as usize][nth].get_or_init(|| self.make())
    }

    /// Compiles a tree.
    ///
    /// # Panics
    ///
    /// If it can't be compiled.
    pub fn compile(self, tree: &Tree) -> Component {
        let Engines { engine, runtime, .. } = self.engines();
        match runtime {
            Some(runtime) => {
                runtime.compile(&tree.bytes).unwrap_or_else(|error| panic!("{self:?}: {error:?}\n{}", tree.text))
            }
            None => Component::from_binary(engine, &tree.bytes)
                .unwrap_or_else(|error| panic!("{self:?}: {error:?}\n{}", tree.text)),
        }
    }

    /// Runs a tree that was compiled for this machine.
    ///
    /// # Panics
    ///
    /// If it can't be instantiated.
    pub fn run(self, plan: &Plan, component: &Component, script: &Script) -> Record {
        let Engines { engine, linker, runtime } = self.engines();
        let context = runtime.as_ref().map(|runtime| {
            let mut context = runtime.context();
            context.set_limits(script.limits);
            context
        });
        let embedder = Embedder::new(script.seeds.iter().sum(), script.lapse);
        let (shown, misuse, runtime) = (vec![], script.misuse, runtime.as_ref());
        let mut store = Store::new(engine, Host { shown, misuse, context, runtime, embedder });
        let linker = offer(plan, linker);
        let instance = linker.instantiate(&mut store, component);
        let instance = instance.unwrap_or_else(|error| panic!("{self:?}: {error:?}"));
        learn(plan, &mut store, instance);
        let run = instance.get_typed_func::<(u32,), (u64,)>(&mut store, "run").expect("a tree exports it");
        let mut cx = store.as_context_mut();
        let open = !plan.exports.is_empty();
        let mut record = Record { crosses: plan.crosses(), streams: plan.streams, ..Record::default() };
        for seed in &script.seeds {
            let ended = match *seed as usize % (2 + embedder::calls(&cx)) {
                nth @ 2.. => embedder::call(&mut cx, nth - 2).map(|()| None),
                _ => run.call(&mut cx, (*seed,)).map(|(hash,)| Some(hash)),
            };
            match ended {
                Ok(hash) if record.trap.is_none() => record.returned.extend(hash),
                Ok(hash) => cx.data_mut().show(LATER, hash.unwrap_or(0)),
                Err(_) if record.trap.is_some() => cx.data_mut().show(LATER, u64::MAX),
                Err(error) => {
                    let text = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
                    record.end(cx.data_mut(), open, Some(text));
                    // The embedder may try again, at least.
                    if !open {
                        break;
                    }
                }
            }
        }
        if open {
            embedder::look_after(&mut cx);
        }
        let host = store.data_mut();
        if record.trap.is_none() {
            record.end(host, open, None);
        }
        record.later = (std::mem::take(&mut host.shown), host.holding(open));
        record.hurt = std::mem::take(&mut host.embedder.hurt);
        record
    }
}

impl Record {
    /// All is as it should be until now, and then there was a trap, or the end.
    fn end(&mut self, host: &mut Host, open: bool, trap: Option<String>) {
        self.trap = trap;
        self.shown = std::mem::take(&mut host.shown);
        self.held = host.holding(open);
    }
}

/// What the embedder offers to a tree.
fn offer(plan: &Plan, linker: &Linker<Host>) -> Linker<Host> {
    let mut linker = linker.clone();
    for (nth, port) in plan.imports.iter().enumerate() {
        let (within, name) = port.import_names(nth);
        let mut all = match within {
            Some(within) => linker.instance(&within).expect("nothing has that name"),
            None => linker.root(),
        };
        for &at in &port.functions {
            let function = plan.function(port, at).clone();
            let number = nth * 10 + at;
            let answer = move |cx: StoreContextMut<'_, Host>, _, params: &[_], results: &mut [_]| {
                embedder::answer(cx, number, &function, params, results)
            };
            all.func_new(&name(at), answer).expect("nothing has that name");
        }
    }
    linker
}

/// What a tree offers to the embedder.
fn learn(plan: &Plan, store: &mut Store<Host>, instance: Instance) {
    for (nth, port) in plan.exports.iter().enumerate() {
        let (within, name) = port.export_names(nth);
        let within = within.map(|name| instance.get_export_index(&mut *store, None, &name).expect("it is exported"));
        for &at in &port.functions {
            let index = instance.get_export_index(&mut *store, within.as_ref(), &name(at)).expect("it is exported");
            let func = instance.get_func(&mut *store, index).expect("it is a function");
            store.data_mut().embedder.learn(func, plan.function(port, at).clone());
        }
    }
}
