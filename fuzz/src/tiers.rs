//! Runs a tree of components on a stock engine, or on a runtime of ours, in each tier and by each strategy; and says where
//! two runs differ that must not.

use std::sync::OnceLock;

use mappable::{Limits, MappableCtx, MappableView, MappingMode, Runtime, RuntimeBuilder};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, OptLevel, Store, StoreContextMut};

use crate::traps::{self, Wrong};
use crate::trees::{Misuse, Tree};

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
    Stock,
    /// A runtime of ours.
    Ours(Tier, Strategy),
}

/// What is asked of a tree, and what its store may hold.
#[derive(Clone, Debug)]
pub struct Script {
    /// What `run` is called with, until it traps.
    pub seeds: Vec<u32>,
    /// What the store's components may hold.
    pub limits: Limits,
    /// The component that misuses something, what, and how many chances it lets go by.
    pub misuse: Option<(usize, Misuse, u32)>,
}

/// What was seen of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What guests showed: where they were, and their hash of all that they had seen.
    pub shown: Vec<(u32, u64)>,
    /// What `run` gave, each time.
    pub returned: Vec<u64>,
    /// Why it ended early.
    pub trap: Option<String>,
    /// How many regions of how many bytes are held in the end.
    pub held: (usize, u64),
}

#[derive(Default)]
struct Host {
    shown: Vec<(u32, u64)>,
    misuse: Option<(usize, Misuse, u32)>,
    context: Option<MappableCtx>,
}

impl MappableView for Host {
    fn mappable(&mut self) -> &mut MappableCtx {
        self.context.as_mut().expect("a stock engine is given none of our functions")
    }
}

/// An engine, and what components are linked to.
struct Engines {
    engine: Engine,
    linker: Linker<Host>,
    runtime: Option<Runtime>,
}

impl Machine {
    fn config(self) -> Config {
        let mut config = Config::new();
        config
            .cranelift_opt_level(OptLevel::None)
            .cranelift_regalloc_algorithm(wasmtime::RegallocAlgorithm::SinglePass);
        config.parallel_compilation(false).cranelift_debug_verifier(false);
        // One strategy with concurrent components.
        config.concurrency_support(matches!(self, Machine::Ours(_, Strategy::Remap)));
        config
    }

    fn make(self) -> Engines {
        // Before any engine: the order decides whether guests' stores into frozen mappings trap.
        let _ = mappable::install_fault_handler();
        let (engine, runtime) = match self {
            Machine::Stock => {
                let mut config = self.config();
                // Many stores are made; what a memory reserves is given back each time.
                config.memory_reservation(1 << 20).memory_reservation_for_growth(0).memory_guard_size(1 << 16);
                (Engine::new(&config).expect("the engine can be configured so"), None)
            }
            Machine::Ours(tier, strategy) => {
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
                host.shown.push((what, hash));
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
        static ENGINES: [OnceLock<Engines>; 7] = [const { OnceLock::new() }; 7];
        let nth = match self {
            Machine::Stock => 0,
            Machine::Ours(tier, strategy) => 1 + tier as usize * 3 + strategy as usize,
        };
        ENGINES[nth].get_or_init(|| self.make())
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
    pub fn run(self, component: &Component, script: &Script) -> Record {
        let Engines { engine, linker, runtime } = self.engines();
        let context = runtime.as_ref().map(|runtime| {
            let mut context = runtime.context();
            context.set_limits(script.limits);
            context
        });
        let mut store = Store::new(engine, Host { shown: vec![], misuse: script.misuse, context });
        let instance = linker.instantiate(&mut store, component);
        let instance = instance.unwrap_or_else(|error| panic!("{self:?}: {error:?}"));
        let run = instance.get_typed_func::<(u32,), (u64,)>(&mut store, "run").expect("a tree exports it");
        let (mut returned, mut trap) = (vec![], None);
        for seed in &script.seeds {
            match run.call(&mut store, (*seed,)) {
                Ok((hash,)) => returned.push(hash),
                Err(error) => {
                    trap = Some(error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": "));
                    break;
                }
            }
        }
        let host = store.data_mut();
        let held = host.context.as_ref().map_or((0, 0), MappableCtx::held);
        Record { shown: std::mem::take(&mut host.shown), returned, trap, held }
    }
}

/// What two runs of a tree may differ in, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allowed {
    /// What a trap is called: of two things that are wrong, each tier finds another ([`MEANT`]).
    Renamed(Wrong, Wrong),
    /// All from the first look at what was received on, if `realloc` changed what had arrived: the engine writes a handle
    /// when it comes to it, and the ledger when all has been received, so that one's change is the other's trap
    /// (`Failure::Flight`), or is gone.
    Tampered,
    /// How far it came until the trap for a return area that is misaligned or out of bounds: the engine looks at it when it
    /// writes the result, the ledger's wrapper before the call.
    AreaSooner,
    /// Whether a misaligned pointer was noticed: a list that goes by window is allocated when all else has arrived, so that
    /// another `realloc` is the one that does wrong, perhaps for bytes.
    OtherRealloc,
    /// What came after a store into a frozen mapping: where pages are mapped it traps, where bytes are copied it is private.
    FrozenStore,
}

impl Allowed {
    /// All but those of traps' names.
    pub const ALL: [Allowed; 4] = [Allowed::Tampered, Allowed::AreaSooner, Allowed::OtherRealloc, Allowed::FrozenStore];
}

/// What the ledger calls by another name than the engine, and that.
///
/// A region that is mapped: the engine finds the `mapping`, of which the ledger says what it is. A handle that is lent, and
/// of another type than is meant: the engine asks first whether it is lent.
pub const MEANT: [(Wrong, Wrong); 2] = [(Wrong::OtherKind, Wrong::Mapped), (Wrong::Lent, Wrong::OtherKind)];

impl Machine {
    fn copies(self) -> bool {
        matches!(self, Machine::Ours(_, Strategy::Copy))
    }
}

/// Where the runs differ in what they must not.
///
/// # Errors
///
/// What differs.
pub fn compare(
    script: &Script,
    [one_on, other_on]: [Machine; 2],
    [one, other]: [&Record; 2],
) -> Result<Vec<Allowed>, String> {
    let mut allowed = vec![];
    for trap in [&one.trap, &other.trap].into_iter().flatten() {
        if trap.contains("bug in mappable") {
            return Err(format!("a trap that is our bug: {trap}"));
        }
    }
    if one == other {
        return Ok(allowed);
    }
    let stores = script.misuse.is_some_and(|(_, misuse, _)| misuse == Misuse::FrozenStore);
    if stores && one_on.copies() != other_on.copies() {
        let [trapping, private] = if one_on.copies() { [other, one] } else { [one, other] };
        let traps = trapping.trap.as_deref().and_then(traps::name) == Some(Wrong::OutOfBounds);
        if traps && private.shown.starts_with(&trapping.shown) {
            return Ok(vec![Allowed::FrozenStore]);
        }
    }
    if let Some(whole) = script.misuse.and_then(|(_, misuse, _)| whole(misuse, one, other)) {
        return Ok(vec![whole]);
    }
    if let Some(nth) =
        (0..one.shown.len().max(other.shown.len())).find(|nth| one.shown.get(*nth) != other.shown.get(*nth))
    {
        let what = |record: &Record| format!("{:?}, then {:?}", record.shown.get(nth), record.trap);
        return Err(format!("look {nth}: {} against {}", what(one), what(other)));
    }
    if one.returned != other.returned || one.trap.is_some() != other.trap.is_some() {
        return Err(format!("{:?} {:?} against {:?} {:?}", one.returned, one.trap, other.returned, other.trap));
    }
    if one.held != other.held {
        return Err(format!("{:?} held against {:?}", one.held, other.held));
    }
    let names = [one, other].map(|record| record.trap.as_deref().map(traps::name));
    match names {
        [Some(None), _] | [_, Some(None)] => {
            return Err(format!("a trap has no name: {:?}, {:?}", one.trap, other.trap));
        }
        [Some(Some(one)), Some(Some(other))] if MEANT.contains(&(one, other)) => {
            allowed.push(Allowed::Renamed(one, other));
        }
        [one_name, other_name] if one_name != other_name => {
            return Err(format!("{:?} against {:?}", one.trap, other.trap));
        }
        _ => {}
    }
    Ok(allowed)
}

/// Whether the runs may differ in all from some look on, and why.
fn whole(misuse: Misuse, one: &Record, other: &Record) -> Option<Allowed> {
    match misuse {
        _ if misuse.tampers() => {
            // The one that ended before it could say so was tampered with where the other says so.
            let until = |record: &Record| record.shown.iter().position(|(what, _)| *what == 777);
            let end = [until(one), until(other)].into_iter().flatten().min();
            let end = end.unwrap_or_else(|| one.shown.len().min(other.shown.len()));
            let common = end.min(one.shown.len()).min(other.shown.len());
            (one.shown[..common] == other.shown[..common]).then_some(Allowed::Tampered)
        }
        Misuse::AreaMisaligned | Misuse::AreaOutside => {
            let sooner = one.trap.is_some() && other.trap.is_some() && one.shown.starts_with(&other.shown);
            (sooner && one.shown.len() > other.shown.len()).then_some(Allowed::AreaSooner)
        }
        Misuse::ReallocMisaligned => {
            let noticed = |record: &Record| record.trap.as_deref().and_then(traps::name) == Some(Wrong::Misaligned);
            let went_on = |one: &Record, other: &Record| noticed(one) && other.shown.starts_with(&one.shown);
            (went_on(one, other) != went_on(other, one)).then_some(Allowed::OtherRealloc)
        }
        _ => None,
    }
}
