//! A guest of [`wat`](crate::wat), driven step by step, and what it is answered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use mappable::{FrozenHandle, GRANULE, Handle, Mapping};
use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Instance, Lift, Lower, Resource};

use super::{G, State};

/// The WIT enum `map-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MapError {
    Misaligned,
    TooSmall,
    Overlaps,
    Mismatch,
    Unmappable,
    OverQuota,
    Exhausted,
}

impl MapError {
    pub(crate) const ALL: [Self; 7] = [
        Self::Misaligned,
        Self::TooSmall,
        Self::Overlaps,
        Self::Mismatch,
        Self::Unmappable,
        Self::OverQuota,
        Self::Exhausted,
    ];
}

/// The WIT enums `allocate-error` and `part-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AllocateError {
    InvalidSize,
    OverQuota,
    Exhausted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartError {
    Misaligned,
    Outside,
    OverQuota,
}

impl AllocateError {
    pub(crate) const ALL: [Self; 3] = [Self::InvalidSize, Self::OverQuota, Self::Exhausted];
}

impl PartError {
    pub(crate) const ALL: [Self; 3] = [Self::Misaligned, Self::Outside, Self::OverQuota];
}

/// A new handle, or the error of that number.
pub(crate) fn made<E: Copy>(answer: i64, errors: [E; 3]) -> Result<u32, E> {
    u32::try_from(answer).map_err(|_| errors[(-1 - answer) as usize])
}

/// Two numbers; an error if the highest bit says so.
pub(crate) fn both(answer: u64) -> Result<(u32, u32), (u32, u32)> {
    let numbers = (answer as u32, (answer >> 32) as u32 & 0x7fff_ffff);
    if answer >> 63 == 0 { Ok(numbers) } else { Err(numbers) }
}

/// What `map` and `unmap` answer: the other handle, or the one that came and why.
pub(crate) type Swapped = Result<u32, (u32, MapError)>;

pub(crate) fn swapped(answer: u64) -> Swapped {
    let handle = answer as u32;
    match answer >> 32 {
        0 => Ok(handle),
        error => Err((handle, MapError::ALL[error as usize - 1])),
    }
}

/// A guest of [`wat`]. Handles are the indices that the guest has them by.
#[derive(Clone)]
pub(crate) struct Guest {
    instance: Instance,
    /// The functions by name, looked up once.
    functions: Arc<Mutex<HashMap<&'static str, wasmtime::component::Func>>>,
    within: Option<ComponentExportIndex>,
}

impl Guest {
    pub(crate) fn new(instance: Instance, _store: &mut Store<State>, within: Option<ComponentExportIndex>) -> Self {
        Self { instance, functions: Arc::default(), within }
    }

    /// Calls an export, which may trap.
    pub(crate) fn call<P, R>(&self, store: &mut Store<State>, name: &'static str, params: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: Lift + Send + Sync + 'static,
        (R,): ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let func = self.func(store, name);
        let func = func.typed::<P, (R,)>(&*store).unwrap();
        Ok(func.call(store, params)?.0)
    }

    /// Calls an export that answers nothing, and may trap.
    pub(crate) fn run<P>(&self, store: &mut Store<State>, name: &'static str, params: P) -> wasmtime::Result<()>
    where
        P: ComponentNamedList + Lower + Send + Sync,
    {
        let func = self.func(store, name);
        let func = func.typed::<P, ()>(&*store).unwrap();
        func.call(store, params)
    }

    pub(crate) fn func(&self, store: &mut Store<State>, name: &'static str) -> wasmtime::component::Func {
        *self.functions.lock().unwrap().entry(name).or_insert_with(|| {
            let index = self.instance.get_export_index(&mut *store, self.within.as_ref(), name).unwrap();
            self.instance.get_func(&mut *store, index).unwrap()
        })
    }

    /// A new region, or the number of the error.
    pub(crate) fn allocate(&self, store: &mut Store<State>, size: u64) -> Result<u32, i64> {
        let answer: i64 = self.call(store, "allocate", (size,)).unwrap();
        u32::try_from(answer).map_err(|_| -1 - answer)
    }

    pub(crate) fn try_map(&self, s: &mut Store<State>, handle: u32, at: u32, len: u32) -> wasmtime::Result<Swapped> {
        self.call(s, "map", (handle, at, len)).map(swapped)
    }

    pub(crate) fn try_unmap(&self, s: &mut Store<State>, handle: u32, at: u32, len: u32) -> wasmtime::Result<Swapped> {
        self.call(s, "unmap", (handle, at, len)).map(swapped)
    }

    pub(crate) fn map(&self, store: &mut Store<State>, handle: u32, at: u32, len: u32) -> Swapped {
        self.try_map(store, handle, at, len).unwrap()
    }

    pub(crate) fn unmap(&self, store: &mut Store<State>, handle: u32, at: u32, len: u32) -> Swapped {
        self.try_unmap(store, handle, at, len).unwrap()
    }

    /// Allocates a region, maps it, and fills it.
    pub(crate) fn mapped(&self, store: &mut Store<State>, at: u32, granules: u32, byte: u8) -> u32 {
        let handle = self.allocate(store, u64::from(granules) * GRANULE).unwrap();
        let mapping = self.map(store, handle, at, granules * G).unwrap();
        self.fill(store, at, byte, granules * G);
        mapping
    }

    /// Gives the guest a region.
    pub(crate) fn take(&self, store: &mut Store<State>, handle: Handle) -> wasmtime::Result<u32> {
        self.call(store, "take", (handle,))
    }

    /// Has the guest give a region.
    pub(crate) fn give(&self, store: &mut Store<State>, handle: u32) -> wasmtime::Result<Handle> {
        self.call(store, "give", (handle,))
    }

    pub(crate) fn give_mapping(&self, store: &mut Store<State>, handle: u32) -> wasmtime::Result<Resource<Mapping>> {
        self.call(store, "give-mapping", (handle,))
    }

    pub(crate) fn freeze(&self, store: &mut Store<State>, handle: u32) -> u32 {
        self.call(store, "freeze", (handle,)).unwrap()
    }

    /// The region's handle, or the reference's.
    pub(crate) fn thaw(&self, store: &mut Store<State>, handle: u32) -> Result<u32, u32> {
        both(self.call(store, "thaw", (handle,)).unwrap()).map(|(region, _)| region).map_err(|(frozen, _)| frozen)
    }

    /// Both parts, or the region and why.
    pub(crate) fn split(&self, store: &mut Store<State>, handle: u32, at: u64) -> Result<(u32, u32), (u32, PartError)> {
        let answer = both(self.call(store, "split", (handle, at)).unwrap());
        answer.map_err(|(region, error)| (region, PartError::ALL[error as usize]))
    }

    /// The region, or both parts.
    pub(crate) fn join(&self, store: &mut Store<State>, low: u32, high: u32) -> Result<u32, (u32, u32)> {
        both(self.call(store, "join", (low, high)).unwrap()).map(|(region, _)| region)
    }

    pub(crate) fn clone_frozen(&self, store: &mut Store<State>, handle: u32) -> Result<u32, AllocateError> {
        made(self.call(store, "clone", (handle,)).unwrap(), AllocateError::ALL)
    }

    pub(crate) fn slice(&self, s: &mut Store<State>, handle: u32, offset: u64, size: u64) -> Result<u32, PartError> {
        made(self.call(s, "slice", (handle, offset, size)).unwrap(), PartError::ALL)
    }

    pub(crate) fn copy_frozen(&self, store: &mut Store<State>, handle: u32) -> Result<u32, AllocateError> {
        made(self.call(store, "copy-frozen", (handle,)).unwrap(), AllocateError::ALL)
    }

    pub(crate) fn map_frozen(&self, store: &mut Store<State>, handle: u32, at: u32, len: u32) -> Swapped {
        self.call(store, "map-frozen", (handle, at, len)).map(swapped).unwrap()
    }

    pub(crate) fn unmap_frozen(&self, store: &mut Store<State>, handle: u32, at: u32, len: u32) -> Swapped {
        self.call(store, "unmap-frozen", (handle, at, len)).map(swapped).unwrap()
    }

    /// A frozen region, all of one byte.
    pub(crate) fn frozen(&self, store: &mut Store<State>, at: u32, granules: u32, byte: u8) -> u32 {
        let mapping = self.mapped(store, at, granules, byte);
        let region = self.unmap(store, mapping, at, granules * G).unwrap();
        self.freeze(store, region)
    }

    pub(crate) fn take_frozen(&self, store: &mut Store<State>, handle: FrozenHandle) -> wasmtime::Result<u32> {
        self.call(store, "take-frozen", (handle,))
    }

    pub(crate) fn give_frozen(&self, store: &mut Store<State>, handle: u32) -> wasmtime::Result<FrozenHandle> {
        self.call(store, "give-frozen", (handle,))
    }

    pub(crate) fn load(&self, store: &mut Store<State>, at: u32) -> u8 {
        self.call::<_, u32>(store, "load8", (at,)).unwrap() as u8
    }

    pub(crate) fn store(&self, store: &mut Store<State>, at: u32, byte: u8) {
        self.run(store, "store8", (at, u32::from(byte))).unwrap();
    }

    pub(crate) fn fill(&self, store: &mut Store<State>, at: u32, byte: u8, len: u32) {
        self.run(store, "fill", (at, u32::from(byte), len)).unwrap();
    }

    pub(crate) fn grow(&self, store: &mut Store<State>, pages: u32) -> i32 {
        self.call(store, "grow", (pages,)).unwrap()
    }

    /// Every one of these bytes is this one.
    #[track_caller]
    pub(crate) fn expect(&self, store: &mut Store<State>, at: u32, len: u32, byte: u8) {
        let same: u32 = self.call(store, "run-of", (at, len, u32::from(byte))).unwrap();
        if same != len {
            let found = self.load(store, at + same);
            panic!("{found:#x} at {:#x}, where {byte:#x} is meant", at + same);
        }
    }
}
