//! Tries on a new engine what mapping takes for granted, before any guest runs:
//!
//! - `memory.grow 0` makes compiled code load a base that has moved, and nothing before it does;
//! - linear memories are made by this library;
//! - an access past the end is a trap in every view;
//! - no store into a frozen mapping changes the frozen bytes;
//! - a store into a private mapping succeeds, and is gone with it.
//!
//! A version or a setting of Wasmtime that behaves otherwise gives an error and no [`Runtime`](crate::Runtime).

use std::sync::Arc;

use wasmtime::{Engine, Instance, Memory as WasmMemory, Module, Store, Trap, TypedFunc};

use crate::region::{Backing, FrozenRegion, GRANULE, Held, Mappable};
use crate::view::{DriverConfig, MappedMemory, Memories, Memory, Mount, Placement, Strategy};

/// What mapping relies on and an engine does not do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// Memories are made by another allocator (the pooling one?).
    #[error("linear memories are not made by mappable")]
    ForeignMemory,
    /// A memory that may move was not held to be one, or the other way round.
    #[error("the engine disagrees about which memories may move: a memory with {0} should be mapped by {1}")]
    Movability(&'static str, Strategy),
    /// Compiled code did not take the new base in.
    #[error("`memory.grow 0` did not refresh a memory's base")]
    StaleBase,
    /// An access past the end was not a trap.
    #[error("an access past a memory's end was not a trap")]
    NoTrap,
    /// A store into a private mapping did not go to a copy of the mapping's own.
    #[error("a store into a private mapping was not the mapping's own")]
    PrivateStore,
    /// A store into a frozen mapping changed the frozen bytes.
    #[error("a store into a frozen mapping changed what was frozen")]
    FrozenChanged,
    /// The probe itself failed.
    #[error("it could not be tried: {0:#}")]
    Failed(wasmtime::Error),
}

impl From<wasmtime::Error> for ProbeError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Failed(error)
    }
}

/// The guest: a memory without a maximum, and functions that refresh its base, load and store.
const GUEST: &[u8] = include_bytes!("guest.wasm");
/// A memory whose base the engine must hold to be constant, because it has a maximum.
const BOUNDED: &[u8] = include_bytes!("bounded.wasm");
/// The same for one that can't grow.
const FIXED: &[u8] = include_bytes!("fixed.wasm");

/// Runs the probe on an engine whose memories `driving` should know. Returns whether a guest's store into a frozen
/// mapping traps; if it does not, it goes to a copy that is the mapping's own.
pub(super) fn run(engine: &Engine, backing: &Arc<Backing>, driving: &DriverConfig) -> Result<bool, ProbeError> {
    let (able, fixed) = match backing.is_in_file() {
        true => (Strategy::Swap, Strategy::Remap),
        false => (Strategy::Copy, Strategy::Copy),
    };
    let memories = &driving.memories;
    let mut guest = Guest::new(engine)?;
    let memory = find(memories, &guest.memory, &guest.store)?;
    if memory.strategy() != Ok(able) {
        return Err(ProbeError::Movability("no maximum", able));
    }
    let driving = DriverConfig { remap_only: false, views_per_memory: 4, ..driving.clone() };
    let stores_trap = map(&mut guest, memory, backing, &driving)?;
    for (module, what) in [(BOUNDED, "a maximum"), (FIXED, "one size")] {
        let mut store = Store::new(engine, ());
        let memory = instantiate(engine, &mut store, module)?.1;
        if find(memories, &memory, &store)?.strategy() != Ok(fixed) {
            return Err(ProbeError::Movability(what, fixed));
        }
    }
    Ok(stores_trap)
}

/// An instance of the probe.
struct Guest {
    store: Store<()>,
    memory: WasmMemory,
    refresh: TypedFunc<(), i32>,
    load: TypedFunc<i32, i32>,
    write: TypedFunc<(i32, i32), ()>,
}

impl Guest {
    fn new(engine: &Engine) -> Result<Self, ProbeError> {
        let mut store = Store::new(engine, ());
        // Whatever interruption the embedder has configured is not meant for the probe.
        let _ = store.set_fuel(u64::MAX);
        store.set_epoch_deadline(u64::MAX / 2);
        let (instance, memory) = instantiate(engine, &mut store, GUEST)?;
        let refresh = instance.get_typed_func(&mut store, "refresh")?;
        let load = instance.get_typed_func(&mut store, "load")?;
        let write = instance.get_typed_func(&mut store, "store")?;
        Ok(Self { store, memory, refresh, load, write })
    }

    fn load(&mut self, address: u32) -> Result<i32, ProbeError> {
        Ok(self.load.call(&mut self.store, address.cast_signed())?)
    }

    fn store(&mut self, address: u32, byte: i32) -> Result<(), ProbeError> {
        Ok(self.write.call(&mut self.store, (address.cast_signed(), byte))?)
    }

    fn refresh(&mut self) -> Result<(), ProbeError> {
        match self.refresh.call(&mut self.store, ())? {
            3 => Ok(()),
            _ => Err(ProbeError::StaleBase),
        }
    }

    fn expect(&mut self, address: u32, byte: i32) -> Result<(), ProbeError> {
        if self.load(address)? == byte { Ok(()) } else { Err(ProbeError::StaleBase) }
    }

    /// A load past the end and one in the far guard are traps.
    fn expect_traps(&mut self) -> Result<(), ProbeError> {
        for address in [3 * GRANULE as u32, u32::MAX] {
            let answer = self.load.call(&mut self.store, address.cast_signed());
            let trap = answer.err().and_then(|error| error.downcast_ref::<Trap>().copied());
            if trap != Some(Trap::MemoryOutOfBounds) {
                return Err(ProbeError::NoTrap);
            }
        }
        Ok(())
    }
}

/// Maps a region over the second granule, freezes it, maps it again, for reading and privately, and takes it away, as a
/// guest would. Returns
/// whether a store into the frozen mapping was a trap.
fn map(
    guest: &mut Guest,
    memory: Arc<Memory>,
    backing: &Arc<Backing>,
    driving: &DriverConfig,
) -> Result<bool, ProbeError> {
    let failed = |error| ProbeError::Failed(wasmtime::Error::msg(format!("{error:?}")));
    let at = GRANULE as u32;
    guest.store(at, 7)?;
    let mut region = Mappable::allocate(backing, GRANULE).map_err(wasmtime::Error::new)?;
    region.bytes_mut().map_err(wasmtime::Error::new)?[0] = 9;
    let mut held = Held::Mappable(region);
    let mut memory = MappedMemory::adopt(memory, driving).ok_or(ProbeError::ForeignMemory)?;
    let placement = Placement::new(GRANULE, GRANULE, GRANULE).map_err(|_| ProbeError::StaleBase)?;

    guest.expect(at, 7)?;
    guest.expect_traps()?;
    let mount = Mount::new(placement, &held);
    memory.mount(&mount, &mut held, driving).map_err(failed)?;
    guest.refresh()?;
    guest.expect(at, 9)?;
    guest.expect(0, 0)?;
    guest.expect_traps()?;
    memory.unmount(&mount, &mut held, driving).map_err(failed)?;
    guest.refresh()?;
    guest.expect(at, 7)?;

    let Held::Mappable(region) = held else { return Err(ProbeError::StaleBase) };
    let mut held = Held::Frozen(FrozenRegion::new(region));
    let mount = Mount::new(placement, &held);
    memory.mount(&mount, &mut held, driving).map_err(failed)?;
    guest.refresh()?;
    guest.expect(at, 9)?;
    let stores_trap = match guest.store(at, 5) {
        Ok(()) => false,
        Err(ProbeError::Failed(error)) if error.downcast_ref::<Trap>() == Some(&Trap::MemoryOutOfBounds) => true,
        Err(error) => return Err(error),
    };
    memory.unmount(&mount, &mut held, driving).map_err(failed)?;
    guest.refresh()?;
    guest.expect(at, 7)?;
    let mut byte = [0];
    let Held::Frozen(frozen) = held else { return Err(ProbeError::FrozenChanged) };
    let (mount, mut held) = (Mount::private(placement, &frozen), Held::Frozen(frozen.clone()));
    memory.mount(&mount, &mut held, driving).map_err(failed)?;
    guest.refresh()?;
    guest.expect(at, 9)?;
    guest.store(at, 5).map_err(|_| ProbeError::PrivateStore)?;
    if guest.load(at)? != 5 {
        return Err(ProbeError::PrivateStore);
    }
    memory.unmount(&mount, &mut held, driving).map_err(failed)?;
    guest.refresh()?;
    guest.expect(at, 7)?;
    frozen.read(0, &mut byte).map_err(wasmtime::Error::new)?;
    if byte != [9] {
        return Err(ProbeError::FrozenChanged);
    }
    Ok(stores_trap)
}

fn instantiate(engine: &Engine, store: &mut Store<()>, module: &[u8]) -> Result<(Instance, WasmMemory), ProbeError> {
    let module = Module::from_binary(engine, module)?;
    let instance = Instance::new(&mut *store, &module, &[])?;
    let memory = instance.get_memory(&mut *store, "memory").ok_or(ProbeError::ForeignMemory)?;
    Ok((instance, memory))
}

/// Our side of one of the engine's memories.
fn find(memories: &Arc<Memories>, memory: &WasmMemory, store: &Store<()>) -> Result<Arc<Memory>, ProbeError> {
    memories.find(memory.data_ptr(store).addr()).ok_or(ProbeError::ForeignMemory)
}

#[cfg(test)]
mod tests;
