//! Two component instances over one ledger in plain core Wasmtime, with a host and an adapter of the test's own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use wasmtime::{AsContextMut, Caller, Engine, Extern, Func, Instance, Linker, Memory, MemoryType, Store, Val};

use super::super::{self as modules, Module, Need};
use super::calls::{adapter, bits, get_result, guest, put_params, val};
use super::values::{self, V};
use crate::ledger::interface::{self, Failure};
use crate::ledger::layout::*;
use crate::ledger::signature::{Kind, Signature, Value};

/// What `fail` says, as an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) code: u32,
    pub(super) first: u32,
    pub(super) second: u32,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Failed {}

/// What runs in a `realloc`: gives what to add to its result.
pub(super) type Hook = Box<dyn FnMut(Caller<'_, Host>, &Party) -> u32 + Send>;

/// What the host remembers.
#[derive(Default)]
pub(super) struct Host {
    pub(super) tables: u32,
    pub(super) chunks: u32,
    pub(super) drops: Vec<(u32, u32)>,
    pub(super) mores: u32,
    pub(super) memories: u32,
    /// The engine's handles: the kind and region of each, by number.
    pub(super) engines: BTreeMap<u32, (Kind, u32)>,
    /// The handles that the engine has and that are borrowed.
    pub(super) borrowed: Vec<u32>,
    pub(super) bounces_freed: u32,
    /// The thread's context slots.
    pub(super) context: [u32; 2],
    /// Where each party's next allocation lies.
    pub(super) heap: [u32; 3],
    /// Runs in each `realloc`; gives what to add to its result.
    pub(super) on_realloc: Option<Hook>,
}

pub(super) struct World {
    pub(super) store: Store<Host>,
    pub(super) ledger: Memory,
    pub(super) a: Party,
    pub(super) b: Party,
}

/// A component instance.
#[derive(Clone)]
pub(super) struct Party {
    pub(super) number: u32,
    pub(super) memory: Memory,
    pub(super) table: Instance,
    pub(super) realloc: Func,
    pub(super) ledger: Memory,
    /// The other one's memory.
    pub(super) window: Memory,
}

/// What became of a call.
#[derive(Debug, PartialEq)]
pub(super) struct Exchange {
    /// What the callee was given and the caller, with region numbers for handles.
    pub(super) arguments: Vec<V>,
    pub(super) result: Option<V>,
}

/// Where spilled parameters and return areas lie.
pub(super) const SPILLED: u32 = 0x100;
pub(super) const AREA: u32 = 0x4000;
const HEAP: u32 = 0x8000;

impl World {
    pub(super) fn new() -> Self {
        Self::with(false)
    }

    /// One into whose components handles of the engine's come.
    pub(super) fn crossing() -> Self {
        Self::with(true)
    }

    fn with(crossing: bool) -> Self {
        let mut config = wasmtime::Config::new();
        config.wasm_multi_memory(true);
        let engine = Engine::new(&config).unwrap();
        let mut store = Store::new(&engine, Host { chunks: CHUNKS, heap: [HEAP; 3], ..Host::default() });
        let ledger = Memory::new(&mut store, MemoryType::new(BOUNCE / 65536 + 300, None)).unwrap();
        let [one, two] = [0; 2].map(|_| Memory::new(&mut store, MemoryType::new(2, None)).unwrap());
        let a = Party::new(&mut store, ledger, one, two, crossing);
        let b = Party::new(&mut store, ledger, two, one, crossing);
        Self { store, ledger, a, b }
    }

    pub(super) fn word(&self, at: u32) -> u32 {
        word(&self.ledger, &self.store, at)
    }

    pub(super) fn set_word(&mut self, at: u32, value: u32) {
        set_word(&self.ledger, &mut self.store, at, value);
    }

    pub(super) fn record(&self, party: &Party) -> u32 {
        TABLES + party.number * TABLE
    }

    pub(super) fn entry(&self, party: &Party, handle: u32) -> (u32, u32) {
        entry(&self.ledger, &self.store, party, handle)
    }

    /// Grows a party's memory to so many pages.
    pub(super) fn memory_pages(&mut self, party: &Party, pages: u64) {
        let now = party.memory.size(&self.store);
        party.memory.grow(&mut self.store, pages - now).unwrap();
    }

    /// Puts a handle into the table, as if it had been received.
    pub(super) fn give(&mut self, party: &Party, kind: Kind, region: u32) -> u32 {
        self.set_word(FLIGHT, region);
        self.set_word(FLIGHT + 4, kind as u32);
        self.set_word(FLIGHT_LEN, 1);
        self.set_word(FLIGHT_NEXT, 0);
        let claim = party.table.get_typed_func::<u32, u32>(&mut self.store, "claim").unwrap();
        let handle = claim.call(&mut self.store, kind as u32).unwrap();
        self.set_word(FLIGHT_LEN, 0);
        self.set_word(FLIGHT_NEXT, 0);
        handle
    }

    pub(super) fn drop_handle(&mut self, party: &Party, kind: Kind, handle: u32) -> wasmtime::Result<()> {
        let drop = party.table.get_typed_func::<u32, ()>(&mut self.store, modules::drop_name(kind)).unwrap();
        drop.call(&mut self.store, handle)
    }

    pub(super) fn instantiate(&mut self, party: &Party, module: &Module, callee: Option<Func>) -> Instance {
        instantiate(&mut self.store, party, module, callee)
    }

    /// A calls B. The callee gives back what `reply` makes of what it was given, handles of its table.
    pub(super) fn call(
        &mut self,
        signature: &Signature,
        lists: bool,
        arguments: &[V],
        reply: impl Fn(&[V]) -> Option<V> + Send + Sync + 'static,
    ) -> wasmtime::Result<Exchange> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let callee = guest(&mut self.store, &self.b, signature, seen.clone(), reply);
        let b = self.b.clone();
        let lift = self.instantiate(&b, &modules::lift(signature, lists), Some(callee));
        let lift = lift.get_func(&mut self.store, modules::CALL).unwrap();
        let adapter = adapter(&mut self.store, [&self.a, &self.b], signature, lists, lift);
        let a = self.a.clone();
        let lower = self.instantiate(&a, &modules::lower(signature, lists), Some(adapter));
        let lower = lower.get_func(&mut self.store, modules::CALL).unwrap();

        let mut args = put_params(&mut (&mut self.store, &self.a), signature, &signature.params, arguments)?;
        let (flat, spilled) = signature.flat_results();
        if spilled {
            args.push(AREA.into());
        }
        let mut results = vec![Val::I32(0); if spilled { 0 } else { flat.len() }];
        let types = lower.ty(&self.store).params().collect::<Vec<_>>();
        let args: Vec<Val> = args.iter().zip(&types).map(|(bits, ty)| val(*bits, ty)).collect();
        lower.call(&mut self.store, &args, &mut results)?;
        let bits: Vec<u64> = if spilled { vec![AREA.into()] } else { results.iter().map(bits).collect() };
        let result = get_result(&(&mut self.store, &self.a), signature, signature.result.as_ref(), &bits);
        let result = result
            .map(|result| map_regions(&self.ledger, &self.store, &self.a, signature.result.as_ref().unwrap(), &result));
        let arguments = std::mem::take(&mut *seen.lock().unwrap());
        Ok(Exchange { arguments, result })
    }

    /// As [`Self::call`], of a function that must fail.
    pub(super) fn fails(&mut self, signature: &Signature, lists: bool, arguments: &[V]) -> Failed {
        failed(self.call(signature, lists, arguments, |_| None).map(drop))
    }
}

pub(super) fn failed(result: wasmtime::Result<()>) -> Failed {
    result.unwrap_err().downcast::<Failed>().unwrap()
}

pub(super) fn failure(code: Failure, first: u32, second: u32) -> Failed {
    Failed { code: code as u32, first, second }
}

pub(super) fn word(ledger: &Memory, store: impl wasmtime::AsContext, at: u32) -> u32 {
    let mut bytes = [0; 4];
    ledger.read(store, at as usize, &mut bytes).unwrap();
    u32::from_le_bytes(bytes)
}

pub(super) fn set_word(ledger: &Memory, store: impl AsContextMut, at: u32, value: u32) {
    ledger.write(store, at as usize, &value.to_le_bytes()).unwrap();
}

/// Tag and region.
fn entry(ledger: &Memory, store: impl wasmtime::AsContext, party: &Party, handle: u32) -> (u32, u32) {
    let at = word(ledger, &store, TABLES + party.number * TABLE) + (handle ^ MARK) * ENTRY;
    (word(ledger, &store, at), word(ledger, &store, at + 4))
}

/// The value with region numbers for handles. Their entries must be what the type says.
pub(super) fn map_regions(ledger: &Memory, store: impl wasmtime::AsContext, party: &Party, value: &Value, v: &V) -> V {
    values::map_handles(value, v, &mut |value, handle| {
        let (tag, region) = entry(ledger, &store, party, handle);
        if let Value::Own(kind) = value {
            assert_eq!(tag, *kind as u32);
        }
        region
    })
}

impl Party {
    fn new(store: &mut Store<Host>, ledger: Memory, memory: Memory, window: Memory, crossing: bool) -> Self {
        let number = store.data().tables + 1;
        let module = modules::table(crossing);
        let mut linker = Linker::new(store.engine());
        linker.define(&*store, "", "ledger", ledger).unwrap();
        let join = move |mut caller: Caller<'_, Host>, _: u32, _: u32, _: u32, _: u32| {
            caller.data_mut().tables += 1;
            let (number, chunk) = (caller.data().tables, caller.data().chunks);
            caller.data_mut().chunks += FIRST_CAPACITY * ENTRY;
            set_word(&ledger, &mut caller, TABLES + number * TABLE + TABLE_CHUNK, chunk);
            set_word(&ledger, &mut caller, TABLES + number * TABLE + TABLE_CAPACITY, FIRST_CAPACITY);
            number
        };
        linker.func_wrap("", "join", join).unwrap();
        linker.func_wrap("", "more", move |caller: Caller<'_, Host>, table: u32| more(caller, ledger, table)).unwrap();
        let drop = |mut caller: Caller<'_, Host>, region: u32, kind: u32| caller.data_mut().drops.push((region, kind));
        linker.func_wrap("", "drop", drop).unwrap();
        let fail = move |_: u32, code: u32, first: u32, second: u32| -> wasmtime::Result<()> {
            Err(wasmtime::Error::new(Failed { code, first, second }))
        };
        linker.func_wrap("", "fail", fail).unwrap();
        Kind::ALL.into_iter().for_each(|kind| add_engine(&mut linker, ledger, kind));
        let compiled = wasmtime::Module::new(store.engine(), &module.bytes).unwrap();
        let table = linker.instantiate(&mut *store, &compiled).unwrap();

        // `realloc` is what it makes, too: known only then.
        let this = Arc::new(Mutex::new(None::<Party>));
        let realloc = {
            let this = this.clone();
            let body = move |caller: Caller<'_, Host>, _: u32, _: u32, align: u32, size: u32| {
                let party = this.lock().unwrap().clone().unwrap();
                realloc(caller, &party, align, size)
            };
            Func::wrap(&mut *store, body)
        };
        let party = Self { number, memory, table, realloc, ledger, window };
        *this.lock().unwrap() = Some(party.clone());
        party
    }
}

/// What the engine does with its handles of a kind.
fn add_engine(linker: &mut Linker<Host>, ledger: Memory, kind: Kind) {
    let take = move |caller: &mut Caller<'_, Host>, handle: u32| match caller.data().engines.get(&handle).copied() {
        Some((of, region)) if of == kind => {
            caller.data_mut().engines.remove(&handle);
            Ok(region)
        }
        other => Err(wasmtime::Error::msg(format!("the engine has {other:?} as {handle}, not a {kind}"))),
    };
    let name = kind.package_name();
    let leave = move |mut caller: Caller<'_, Host>, region: u32| {
        let engines = &mut caller.data_mut().engines;
        let new = engines.last_key_value().map_or(1, |(last, _)| last + 1);
        engines.insert(new, (kind, region));
        new
    };
    linker.func_wrap("", interface::leave(kind), leave).unwrap();
    let discard = move |mut caller: Caller<'_, Host>, it: u32| {
        if caller.data().borrowed.contains(&it) {
            return Ok(());
        }
        let region = take(&mut caller, it)?;
        if word(&ledger, &caller, ENTER) == kind as u32 {
            set_word(&ledger, &mut caller, ENTER, ENTERED | region);
        }
        Ok::<_, wasmtime::Error>(())
    };
    linker.func_wrap("", &format!("discard-{name}"), discard).unwrap();
}

fn realloc(mut caller: Caller<'_, Host>, party: &Party, align: u32, size: u32) -> u32 {
    let heap = &mut caller.data_mut().heap[party.number as usize];
    let at = heap.next_multiple_of(align);
    *heap = at.saturating_add(size);
    if let Some(mut hook) = caller.data_mut().on_realloc.take() {
        let more = hook(caller, party);
        return at.wrapping_add(more);
    }
    at
}

fn more(mut caller: Caller<'_, Host>, ledger: Memory, table: u32) {
    let record = TABLES + table * TABLE;
    let (chunk, capacity) = (word(&ledger, &caller, record), word(&ledger, &caller, record + TABLE_CAPACITY));
    let new = caller.data().chunks;
    caller.data_mut().chunks += 2 * capacity * ENTRY;
    caller.data_mut().mores += 1;
    let bytes = (capacity * ENTRY) as usize;
    let data = ledger.data_mut(&mut caller);
    data.copy_within(chunk as usize..chunk as usize + bytes, new as usize);
    // Whoever keeps the old place finds rubbish.
    data[chunk as usize..chunk as usize + bytes].fill(0xaa);
    set_word(&ledger, &mut caller, record, new);
    set_word(&ledger, &mut caller, record + TABLE_CAPACITY, 2 * capacity);
}

fn instantiate(store: &mut Store<Host>, party: &Party, module: &Module, callee: Option<Func>) -> Instance {
    let mut linker = Linker::new(store.engine());
    for (field, need) in module.needs.iter().copied() {
        let item: Extern = match need {
            Need::Callee => callee.unwrap().into(),
            Need::GuestMemory => party.memory.into(),
            Need::Realloc => party.realloc.into(),
            Need::Ledger => party.ledger.into(),
            Need::Window => party.window.into(),
            Need::Table(name) => party.table.get_export(&mut *store, name).unwrap(),
            Need::ContextGet(slot) => {
                let get = move |caller: Caller<'_, Host>| caller.data().context[slot as usize];
                Func::wrap(&mut *store, get).into()
            }
            Need::ContextSet(slot) => {
                let set = move |mut caller: Caller<'_, Host>, to: u32| caller.data_mut().context[slot as usize] = to;
                Func::wrap(&mut *store, set).into()
            }
            Need::Helper("memory-number") => {
                let number = party.number;
                let memory = move |mut caller: Caller<'_, Host>, _: u32, _: u32| {
                    caller.data_mut().memories += 1;
                    number
                };
                Func::wrap(&mut *store, memory).into()
            }
            Need::Helper("free-bounce") => {
                Func::wrap(&mut *store, |mut caller: Caller<'_, Host>| caller.data_mut().bounces_freed += 1).into()
            }
            Need::Helper(_) => Func::wrap(&mut *store, |_: u32, _: u32, _: u32| {}).into(),
            Need::Engine | Need::Discard(_) => panic!("no wrapper of these tests needs {need:?}"),
        };
        linker.define(&*store, "", field, item).unwrap();
    }
    let compiled = wasmtime::Module::new(store.engine(), &module.bytes).unwrap();
    linker.instantiate(store, &compiled).unwrap()
}
