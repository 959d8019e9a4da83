//! A guest of [`wat`](crate::wat), driven step by step, and what it is answered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use mappable::{FrozenHandle, GRANULE, Handle, Mappable, Mapping};
use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Instance, Lift, Lower, Resource};

use super::{G, State};

/// The WIT enum `map-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    Misaligned,
    TooSmall,
    Overlaps,
    Mismatch,
    Unmappable,
    OverQuota,
    Exhausted,
}

impl MapError {
    pub const ALL: [Self; 7] = [
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
pub enum AllocateError {
    InvalidSize,
    OverQuota,
    Exhausted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartError {
    Misaligned,
    Outside,
    OverQuota,
}

impl AllocateError {
    pub const ALL: [Self; 3] = [Self::InvalidSize, Self::OverQuota, Self::Exhausted];
}

impl PartError {
    pub const ALL: [Self; 3] = [Self::Misaligned, Self::Outside, Self::OverQuota];
}

/// A new handle, or the error of that number.
pub fn made<E: Copy>(answer: i64, errors: [E; 3]) -> Result<u32, E> {
    u32::try_from(answer).map_err(|_| errors[(-1 - answer) as usize])
}

/// Two numbers; an error if the highest bit says so.
pub fn both(answer: u64) -> Result<(u32, u32), (u32, u32)> {
    let numbers = (answer as u32, (answer >> 32) as u32 & 0x7fff_ffff);
    if answer >> 63 == 0 { Ok(numbers) } else { Err(numbers) }
}

/// What `map` and `unmap` answer: the other handle, or the one that came and why.
pub type Swapped = Result<u32, (u32, MapError)>;

pub fn swapped(answer: u64) -> Swapped {
    let handle = answer as u32;
    match answer >> 32 {
        0 => Ok(handle),
        error => Err((handle, MapError::ALL[error as usize - 1])),
    }
}

/// What the usher carries from one guest to another.
#[derive(Clone, Copy, Debug)]
pub enum Carried {
    Region,
    Mapping,
    Frozen,
    FrozenMapping,
}

impl Carried {
    /// The usher's functions that take it from one of its guests and give it to one.
    fn names(self) -> ([&'static str; 2], [&'static str; 2]) {
        match self {
            Self::Region => (["give-0", "give-1"], ["take-0", "take-1"]),
            Self::Mapping => (["give-mapping-0", "give-mapping-1"], ["take-mapping-0", "take-mapping-1"]),
            Self::Frozen => (["give-frozen-0", "give-frozen-1"], ["take-frozen-0", "take-frozen-1"]),
            Self::FrozenMapping => {
                (["give-frozen-mapping-0", "give-frozen-mapping-1"], ["take-frozen-mapping-0", "take-frozen-mapping-1"])
            }
        }
    }
}

/// What a guest does with a region that it is lent.
#[derive(Clone, Copy, Debug)]
pub enum Lent {
    /// Keeps it beyond the call.
    Keep,
    /// Maps it.
    Map,
}

/// A guest of [`wat`]. Handles are the indices that the guest has them by.
#[derive(Clone)]
pub struct Guest {
    instance: Instance,
    /// The functions by name, looked up once.
    functions: Arc<Mutex<HashMap<&'static str, wasmtime::component::Func>>>,
    within: Option<ComponentExportIndex>,
    /// In a closed composition: who plays the host's part, and which of its guests this one is.
    usher: Option<(Arc<Guest>, usize)>,
    /// Whether the host gives it regions, and takes them, itself.
    crossing: bool,
}

impl Guest {
    /// The guest that an instance is, or is closed around; or the exports `within` it.
    pub fn new(instance: Instance, store: &mut Store<State>, within: Option<ComponentExportIndex>) -> Self {
        let within = within.or_else(|| instance.get_export_index(&mut *store, None, "guest"));
        Self { instance, functions: Arc::default(), within, usher: None, crossing: false }.ushered(store, 0)
    }

    /// The guests `a` and `b` of a component made of them.
    pub fn pair(instance: Instance, store: &mut Store<State>) -> [Self; 2] {
        let mut side = 0..;
        ["a", "b"].map(|name| {
            let within = instance.get_export_index(&mut *store, None, name);
            assert!(within.is_some(), "there is no {name}");
            let guest = Self { instance, functions: Arc::default(), within, usher: None, crossing: false };
            guest.ushered(store, side.next().unwrap())
        })
    }

    fn ushered(self, store: &mut Store<State>, side: usize) -> Self {
        let crossing = self.instance.get_export_index(&mut *store, self.within.as_ref(), "take").is_some();
        let within = self.instance.get_export_index(store, None, "usher");
        let usher = Self { instance: self.instance, functions: Arc::default(), within, usher: None, crossing: false };
        Self { usher: within.map(|_| (Arc::new(usher), side)), crossing, ..self }
    }

    /// Who carries regions and references to it, and which of its guests it is.
    fn carried(&self) -> Option<(&Self, usize)> {
        self.usher.as_ref().filter(|_| !self.crossing).map(|(usher, side)| (&**usher, *side))
    }

    /// Calls an export, which may trap.
    pub fn call<P, R>(&self, store: &mut Store<State>, name: &'static str, params: P) -> wasmtime::Result<R>
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
    pub fn run<P>(&self, store: &mut Store<State>, name: &'static str, params: P) -> wasmtime::Result<()>
    where
        P: ComponentNamedList + Lower + Send + Sync,
    {
        let func = self.func(store, name);
        let func = func.typed::<P, ()>(&*store).unwrap();
        func.call(store, params)
    }

    pub fn func(&self, store: &mut Store<State>, name: &'static str) -> wasmtime::component::Func {
        *self.functions.lock().unwrap().entry(name).or_insert_with(|| {
            let index = self.instance.get_export_index(&mut *store, self.within.as_ref(), name).unwrap();
            self.instance.get_func(&mut *store, index).unwrap()
        })
    }

    /// A new region, or the number of the error.
    pub fn allocate(&self, store: &mut Store<State>, size: u64) -> Result<u32, i64> {
        let answer: i64 = self.call(store, "allocate", (size,)).unwrap();
        u32::try_from(answer).map_err(|_| -1 - answer)
    }

    pub fn try_map(&self, s: &mut Store<State>, handle: u32, at: u32, len: u32) -> wasmtime::Result<Swapped> {
        self.call(s, "map", (handle, at, len)).map(swapped)
    }

    pub fn try_unmap(&self, s: &mut Store<State>, handle: u32, at: u32, len: u32) -> wasmtime::Result<Swapped> {
        self.call(s, "unmap", (handle, at, len)).map(swapped)
    }

    pub fn map(&self, store: &mut Store<State>, handle: u32, at: u32, len: u32) -> Swapped {
        self.try_map(store, handle, at, len).unwrap()
    }

    pub fn unmap(&self, store: &mut Store<State>, handle: u32, at: u32, len: u32) -> Swapped {
        self.try_unmap(store, handle, at, len).unwrap()
    }

    /// Allocates a region, maps it, and fills it.
    pub fn mapped(&self, store: &mut Store<State>, at: u32, granules: u32, byte: u8) -> u32 {
        let handle = self.allocate(store, u64::from(granules) * GRANULE).unwrap();
        let mapping = self.map(store, handle, at, granules * G).unwrap();
        self.fill(store, at, byte, granules * G);
        mapping
    }

    /// Gives the guest a region.
    pub fn take(&self, store: &mut Store<State>, handle: Handle) -> wasmtime::Result<u32> {
        let Some((usher, side)) = self.carried() else { return self.call(store, "take", (handle,)) };
        let region = store.data_mut().mappable.remove(handle)?;
        let made = usher.made(store, region)?;
        usher.call(store, ["take-0", "take-1"][side], (made,))
    }

    /// Has the guest give a region.
    pub fn give(&self, store: &mut Store<State>, handle: u32) -> wasmtime::Result<Handle> {
        let Some((usher, side)) = self.carried() else { return self.call(store, "give", (handle,)) };
        let given: u32 = usher.call(store, ["give-0", "give-1"][side], (handle,))?;
        let region = usher.taken_out(store, given, ["size", "len", "read", "drop-mappable"]);
        Ok(store.data_mut().mappable.insert(region)?)
    }

    /// In a closed composition the handle's representation is the usher's number.
    pub fn give_mapping(&self, store: &mut Store<State>, handle: u32) -> wasmtime::Result<Resource<Mapping>> {
        let Some((usher, side)) = &self.usher else { return self.call(store, "give-mapping", (handle,)) };
        usher.call(store, ["give-mapping-0", "give-mapping-1"][*side], (handle,)).map(Resource::new_own)
    }

    /// Makes a new region, in the usher or in one of its guests, with the bytes and the length of the host's.
    fn made(&self, store: &mut Store<State>, mut region: Mappable) -> wasmtime::Result<u32> {
        const CHUNK: usize = 8 * G as usize;
        let len = region.len();
        region.set_len(region.size())?;
        let bytes = region.bytes()?;
        let handle = self.allocate(store, bytes.len() as u64).unwrap();
        self.run(store, "set-buffer", (4 * G,)).unwrap();
        for (chunk, offset) in bytes.chunks(CHUNK).zip((0u64..).step_by(CHUNK)) {
            match chunk[0] {
                byte if super::all_are(chunk, byte) => self.fill(store, 4 * G, byte, chunk.len() as u32),
                _ => self.run(store, "deliver", (chunk.to_vec(),)).unwrap(),
            }
            let written: i64 = self.call(store, "write", (handle, offset, 4 * G, chunk.len() as u32)).unwrap();
            assert_eq!(written, 0);
        }
        assert_eq!(self.set_len(store, handle, len), 0);
        Ok(handle)
    }

    /// 0, or the error's number from -1 down.
    pub fn set_len(&self, store: &mut Store<State>, handle: u32, len: u64) -> i64 {
        self.call(store, "set-len", (handle, len)).unwrap()
    }

    pub fn len(&self, store: &mut Store<State>, handle: u32) -> u64 {
        self.call(store, "len", (handle,)).unwrap()
    }

    pub fn len_frozen(&self, store: &mut Store<State>, handle: u32) -> u64 {
        self.call(store, "len-frozen", (handle,)).unwrap()
    }

    /// Of the usher: a region of the host's with the bytes of one of its own, which it drops.
    fn taken_out(&self, store: &mut Store<State>, handle: u32, names: [&'static str; 4]) -> Mappable {
        const CHUNK: u64 = 8 * GRANULE;
        let [size, len, read, drop] = names;
        let length: u64 = self.call(store, len, (handle,)).unwrap();
        let size: u64 = self.call(store, size, (handle,)).unwrap();
        let mut region = store.data().runtime.allocate(size).unwrap();
        for offset in (0..size).step_by(CHUNK as usize) {
            let len = (size - offset).min(CHUNK) as u32;
            let got: i64 = self.call(store, read, (handle, offset, len, 4 * G)).unwrap();
            assert_eq!(got, i64::from(len));
            let bytes: Vec<u8> = self.call(store, "bytes", (4 * G, len)).unwrap();
            region.bytes_mut().unwrap()[offset as usize..][..bytes.len()].copy_from_slice(&bytes);
        }
        self.run(store, drop, (handle,)).unwrap();
        region.set_len(length).unwrap();
        region
    }

    pub fn freeze(&self, store: &mut Store<State>, handle: u32) -> u32 {
        self.call(store, "freeze", (handle,)).unwrap()
    }

    /// The region's handle, or the reference's.
    pub fn thaw(&self, store: &mut Store<State>, handle: u32) -> Result<u32, u32> {
        both(self.call(store, "thaw", (handle,)).unwrap()).map(|(region, _)| region).map_err(|(frozen, _)| frozen)
    }

    /// Both parts, or the region and why.
    pub fn split(&self, store: &mut Store<State>, handle: u32, at: u64) -> Result<(u32, u32), (u32, PartError)> {
        let answer = both(self.call(store, "split", (handle, at)).unwrap());
        answer.map_err(|(region, error)| (region, PartError::ALL[error as usize]))
    }

    /// The region, or both parts.
    pub fn join(&self, store: &mut Store<State>, low: u32, high: u32) -> Result<u32, (u32, u32)> {
        both(self.call(store, "join", (low, high)).unwrap()).map(|(region, _)| region)
    }

    pub fn clone_frozen(&self, store: &mut Store<State>, handle: u32) -> Result<u32, AllocateError> {
        made(self.call(store, "clone", (handle,)).unwrap(), AllocateError::ALL)
    }

    pub fn slice(&self, s: &mut Store<State>, handle: u32, offset: u64, size: u64) -> Result<u32, PartError> {
        made(self.call(s, "slice", (handle, offset, size)).unwrap(), PartError::ALL)
    }

    pub fn copy_frozen(&self, store: &mut Store<State>, handle: u32) -> Result<u32, AllocateError> {
        made(self.call(store, "copy-frozen", (handle,)).unwrap(), AllocateError::ALL)
    }

    pub fn map_frozen(&self, store: &mut Store<State>, handle: u32, at: u32, len: u32) -> Swapped {
        self.call(store, "map-frozen", (handle, at, len)).map(swapped).unwrap()
    }

    pub fn map_private(&self, store: &mut Store<State>, handle: u32, at: u32, len: u32) -> Swapped {
        self.call(store, "map-private", (handle, at, len)).map(swapped).unwrap()
    }

    pub fn unmap_frozen(&self, store: &mut Store<State>, handle: u32, at: u32, len: u32) -> Swapped {
        self.call(store, "unmap-frozen", (handle, at, len)).map(swapped).unwrap()
    }

    /// A frozen region, all of one byte.
    pub fn frozen(&self, store: &mut Store<State>, at: u32, granules: u32, byte: u8) -> u32 {
        let mapping = self.mapped(store, at, granules, byte);
        let region = self.unmap(store, mapping, at, granules * G).unwrap();
        self.freeze(store, region)
    }

    pub fn take_frozen(&self, store: &mut Store<State>, handle: FrozenHandle) -> wasmtime::Result<u32> {
        let Some((usher, side)) = self.carried() else { return self.call(store, "take-frozen", (handle,)) };
        let frozen = store.data_mut().mappable.remove_frozen(handle)?;
        let made = usher.made(store, frozen.copy()?)?;
        let made = usher.freeze(store, made);
        usher.call(store, ["take-frozen-0", "take-frozen-1"][side], (made,))
    }

    pub fn give_frozen(&self, store: &mut Store<State>, handle: u32) -> wasmtime::Result<FrozenHandle> {
        let Some((usher, side)) = self.carried() else { return self.call(store, "give-frozen", (handle,)) };
        let given: u32 = usher.call(store, ["give-frozen-0", "give-frozen-1"][side], (handle,))?;
        let region = usher.taken_out(store, given, ["size-frozen", "len-frozen", "read-frozen", "drop-frozen"]);
        let frozen = region.freeze().map_err(|failed| failed.source)?;
        Ok(store.data_mut().mappable.insert_frozen(frozen)?)
    }

    /// Moves a handle to another guest of the same composition, by way of the usher. `kind`: as in `take` and `give`.
    pub fn carry(&self, store: &mut Store<State>, kind: Carried, to: &Self, handle: u32) -> wasmtime::Result<u32> {
        let ((usher, from), (_, to)) = (self.usher.as_ref().unwrap(), to.usher.as_ref().unwrap());
        let (give, take) = kind.names();
        let given: u32 = usher.call(store, give[*from], (handle,))?;
        usher.call(store, take[*to], (given,))
    }

    /// Has the usher lend the guest a region that it was given: `name` is `keep-lent` or `map-lent`.
    pub fn lent_by_usher(&self, store: &mut Store<State>, name: Lent, region: u32) -> wasmtime::Result<u64> {
        let (usher, side) = self.usher.as_ref().unwrap();
        let names = match name {
            Lent::Keep => ["keep-lent-0", "keep-lent-1"],
            Lent::Map => ["map-lent-0", "map-lent-1"],
        };
        usher.call(store, names[*side], (region,))
    }

    /// A change in its memory, and back.
    pub fn mapped_and_unmapped(&self, store: &mut Store<State>) {
        let mapping = self.mapped(store, 12 * G, 1, 0x77);
        let region = self.unmap(store, mapping, 12 * G, G).unwrap();
        self.run(store, "drop-mappable", (region,)).unwrap();
    }

    /// Who plays the host's part in a closed composition.
    pub fn usher(&self) -> Option<&Self> {
        self.usher.as_ref().map(|(usher, _)| &**usher)
    }

    pub fn load(&self, store: &mut Store<State>, at: u32) -> u8 {
        self.call::<_, u32>(store, "load8", (at,)).unwrap() as u8
    }

    pub fn store(&self, store: &mut Store<State>, at: u32, byte: u8) {
        self.run(store, "store8", (at, u32::from(byte))).unwrap();
    }

    pub fn fill(&self, store: &mut Store<State>, at: u32, byte: u8, len: u32) {
        self.run(store, "fill", (at, u32::from(byte), len)).unwrap();
    }

    pub fn grow(&self, store: &mut Store<State>, pages: u32) -> i32 {
        self.call(store, "grow", (pages,)).unwrap()
    }

    /// Every one of these bytes is this one.
    #[track_caller]
    pub fn expect(&self, store: &mut Store<State>, at: u32, len: u32, byte: u8) {
        let same: u32 = self.call(store, "run-of", (at, len, u32::from(byte))).unwrap();
        if same != len {
            let found = self.load(store, at + same);
            panic!("{found:#x} at {:#x}, where {byte:#x} is meant", at + same);
        }
    }
}
