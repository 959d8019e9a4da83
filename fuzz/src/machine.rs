//! Runs a component of the grammar on a stock engine. Nothing is mapped: the host's functions answer by a script, and
//! keep a record of what they are asked.

use std::hash::{DefaultHasher, Hasher};
use std::sync::LazyLock;

use mappable::bindings::types::MapError;
use wasmtime::component::{Component, Linker, Resource, ResourceType, Val, WasmList};
use wasmtime::{Config, Engine, ResourceLimiter, Store, StoreContextMut, Trap};

use crate::code::Code;
use crate::grammar::Made;

/// Far more than a program of the grammar takes; copying a list from one component to another takes some for each byte.
const FUEL: u64 = 1 << 28;

static QUICK: LazyLock<Engine> = LazyLock::new(|| engine(Code::Quick));
static OPTIMISED: LazyLock<Engine> = LazyLock::new(|| engine(Code::Optimised));

fn engine(code: Code) -> Engine {
    let mut config = Config::new();
    code.set(&mut config);
    config.consume_fuel(true).parallel_compilation(false);
    // Many stores are made; what a memory reserves is given back each time.
    config.memory_reservation(1 << 20).memory_reservation_for_growth(0).memory_guard_size(1 << 16);
    Engine::new(&config).expect("the engine can be configured so")
}

/// Something that can be seen from outside the component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A function that the host was called for, with a hash of the list that it was given.
    Asked(&'static str, u32, u64),
    /// A memory that is to grow from one size to another, in bytes.
    Grows(usize, usize),
    /// A function of the component returned.
    Returned(String),
}

/// What was seen of a component.
#[derive(Debug)]
pub struct Record {
    /// In order.
    pub events: Vec<Event>,
    /// Why it ended early, if it did.
    pub trap: Option<String>,
}

impl Record {
    /// How often the host was asked for this function.
    pub fn asked(&self, function: &str) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::Asked(name, ..) if *name == function)).count()
    }
}

struct Region;
struct Mapping;

/// The host: its script, and the record of what it saw.
struct Host {
    script: Vec<u8>,
    asked: usize,
    made: u32,
    events: Vec<Event>,
}

impl Host {
    /// The next answer of a swapping function: three in four are ok.
    fn answer(&mut self) -> Result<(), MapError> {
        use MapError::*;
        let word = self.script.get(self.asked % self.script.len().max(1)).copied().unwrap_or(1);
        self.asked += 1;
        match word % 16 {
            0 => Err(PlacementOverlaps),
            4 => Err(PlacementMisaligned),
            8 => Err(MappingsExhausted),
            12 => Err(PlacementUnmappable),
            _ => Ok(()),
        }
    }

    fn make(&mut self) -> u32 {
        self.made += 1;
        self.made
    }
}

impl ResourceLimiter for Host {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.events.push(Event::Grows(current, desired));
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

fn linker(engine: &Engine, interface: &str) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    linker.root().func_wrap("log", |mut store: StoreContextMut<'_, Host>, (what,): (u32,)| {
        store.data_mut().events.push(Event::Asked("log", what, 0));
        Ok(())
    })?;
    linker.root().func_wrap("dump", |mut store: StoreContextMut<'_, Host>, (bytes,): (WasmList<u8>,)| {
        let bytes = bytes.as_le_slice(&store);
        let event = Event::Asked("dump", u32::try_from(bytes.len())?, hash(bytes));
        store.data_mut().events.push(event);
        Ok(())
    })?;
    let mut types = linker.instance(interface)?;
    types.resource("mappable", ResourceType::host::<Region>(), |mut store, rep| {
        store.data_mut().events.push(Event::Asked("drop mappable", rep, 0));
        Ok(())
    })?;
    types.resource("mapping", ResourceType::host::<Mapping>(), |mut store, rep| {
        store.data_mut().events.push(Event::Asked("drop mapping", rep, 0));
        Ok(())
    })?;
    types.func_wrap("granule", |_: StoreContextMut<'_, Host>, (): ()| Ok((65_536u32,)))?;
    types.func_wrap("make", |mut store: StoreContextMut<'_, Host>, (): ()| {
        Ok((Resource::<Region>::new_own(store.data_mut().make()),))
    })?;
    types.func_wrap("[static]mappable.map", |store: StoreContextMut<'_, Host>, (this, at): Swap<Region>| {
        Ok((swap::<_, Mapping>("map", store, this, &at),))
    })?;
    types.func_wrap("[static]mapping.unmap", |store: StoreContextMut<'_, Host>, (this, at): Swap<Mapping>| {
        Ok((swap::<_, Region>("unmap", store, this, &at),))
    })?;
    Ok(linker)
}

/// What a swapping function takes.
type Swap<From> = (Resource<From>, WasmList<u8>);

/// A swapping function that swaps nothing: it notes the handle and what is at the placement, and answers by the script.
fn swap<From: 'static, To: 'static>(
    name: &'static str,
    mut store: StoreContextMut<'_, Host>,
    this: Resource<From>,
    at: &WasmList<u8>,
) -> Result<Resource<To>, (Resource<From>, MapError)> {
    let event = Event::Asked(name, this.rep(), hash(at.as_le_slice(&store)));
    store.data_mut().events.push(event);
    let answer = store.data_mut().answer();
    answer.map(|()| Resource::new_own(this.rep())).map_err(|error| (this, error))
}

/// Runs `component`, which imports the interface as `interface` and exports what `made` says, until it traps. The
/// script decides how it is compiled, too.
///
/// # Panics
///
/// If the component can't be compiled, linked or instantiated.
pub fn run(component: &[u8], interface: &str, made: &Made, script: &[u8]) -> Record {
    let engine = match Code::of(script) {
        Code::Quick => &*QUICK,
        Code::Optimised => &*OPTIMISED,
    };
    let component = Component::from_binary(engine, component).expect("it compiles");
    let host = Host { script: script.to_vec(), asked: 0, made: 100, events: Vec::new() };
    let mut store = Store::new(engine, host);
    store.limiter(|host| host);
    store.set_fuel(FUEL).expect("fuel is on");
    let linker = linker(engine, interface).expect("the linker takes the interface");
    let instance = linker.instantiate(&mut store, &component).expect("it can be instantiated");
    let mut trap = None;
    for (name, params) in &made.exports {
        let function = instance.get_func(&mut store, name).expect("what the grammar exports is there");
        match function.call(&mut store, &vec![Val::U32(0); *params], &mut []) {
            Ok(()) => store.data_mut().events.push(Event::Returned(name.clone())),
            Err(error) => {
                assert_ne!(error.downcast_ref(), Some(&Trap::OutOfFuel), "programs are short");
                trap = Some(error.root_cause().to_string());
                break;
            }
        }
    }
    Record { events: std::mem::take(&mut store.data_mut().events), trap }
}
