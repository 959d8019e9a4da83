//! One instance of the library's side: operations of the model, done by a guest.

use std::collections::BTreeMap;

use mappable::{FrozenHandle, FrozenMapping, Handle, Mapping, TrapReason};
use mappable_model::{AccessError, AllocateError, MapError, Op, Outcome, PartError};
use wasmtime::component::Resource;
use wasmtime::component::{ComponentNamedList, Lift, Lower};

use crate::support::{self, Carried, G, Guest, PAGES, World, both, made, swapped};

/// The model's granule 0 is this one of the guest's. Below, the guest has its results, and [`SCRATCH`].
const FIRST: u32 = 4;
/// Room for lists, as long as the longest.
const SCRATCH: u32 = G;

/// A guest's memory as the model has it.
pub const GRANULES: usize = (PAGES - FIRST) as usize;
/// Where a memory with a maximum ends.
pub const MOST: usize = (64 - FIRST) as usize;

/// What stands behind a handle of the guest's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Region,
    Frozen,
    Mapping,
    FrozenMapping,
}

impl Kind {
    fn is_frozen(self) -> bool {
        matches!(self, Self::Frozen | Self::FrozenMapping)
    }

    fn mapped(self) -> Self {
        if self.is_frozen() { Self::FrozenMapping } else { Self::Mapping }
    }

    fn unmapped(self) -> Self {
        if self.is_frozen() { Self::Frozen } else { Self::Region }
    }
}

/// A handle: the index that the guest has it by.
#[derive(Clone, Copy, Debug)]
pub struct Index {
    pub at: u32,
    pub kind: Kind,
}

/// A guest, and its handles by the model's numbers.
pub struct Instance {
    pub guest: Guest,
    pub handles: BTreeMap<usize, Index>,
    /// An index that was given up last.
    stale: u32,
}

/// An instance in its store, and how bytes are written: whole granules, or the first bytes of granules alone.
pub struct Actor<'a> {
    pub instance: &'a mut Instance,
    pub world: &'a mut World,
    pub whole: bool,
}

impl Instance {
    pub fn new(guest: Guest) -> Self {
        Self { guest, handles: BTreeMap::new(), stale: 100 }
    }

    /// Takes a handle by its number. If there is none, an index that the guest has not: an old one, if it may be.
    pub fn take(&mut self, number: usize) -> Index {
        if let Some(index) = self.handles.remove(&number) {
            self.stale = index.at;
            return index;
        }
        let is_used = self.handles.values().any(|index| index.at == self.stale);
        Index { at: if is_used { 1_000_000 } else { self.stale }, kind: Kind::Region }
    }

    /// Keeps a handle by the number that the model gives it.
    pub fn keep(&mut self, at: u32, kind: Kind, expected: &Outcome) -> Outcome {
        match *expected {
            Outcome::Handle(number) => {
                self.handles.insert(number, Index { at, kind });
                Outcome::Handle(number)
            }
            // Not what was expected, whatever the number.
            _ => Outcome::Handle(usize::MAX),
        }
    }
}

impl Actor<'_> {
    pub fn call<P, R>(&mut self, name: &'static str, params: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: Lift + Send + Sync + 'static,
        (R,): ComponentNamedList + Lift + Send + Sync + 'static,
    {
        self.instance.guest.call(&mut self.world.store, name, params)
    }

    pub fn run<P>(&mut self, name: &'static str, params: P) -> wasmtime::Result<()>
    where
        P: ComponentNamedList + Lower + Send + Sync,
    {
        self.instance.guest.run(&mut self.world.store, name, params)
    }

    /// Does what a guest does. An error is a trap.
    pub fn perform(&mut self, op: &Op, expected: &Outcome) -> wasmtime::Result<Outcome> {
        Ok(match *op {
            Op::Map { handle, offset, len, .. } => {
                let index = self.instance.take(handle);
                let name = if index.kind.is_frozen() { "map-frozen" } else { "map" };
                let answer = self.call(name, (index.at, address(offset), len as u32))?;
                self.swapped(answer, handle, index.kind.unmapped(), index.kind.mapped(), expected)
            }
            Op::MapPrivate { handle, offset, len, .. } => {
                let index = self.instance.take(handle);
                let answer = self.call("map-private", (index.at, address(offset), len as u32))?;
                self.swapped(answer, handle, index.kind.unmapped(), index.kind.mapped(), expected)
            }
            Op::Unmap { handle, offset, len, .. } => {
                let index = self.instance.take(handle);
                let name = if index.kind.is_frozen() { "unmap-frozen" } else { "unmap" };
                let answer = self.call(name, (index.at, address(offset), len as u32))?;
                self.swapped(answer, handle, index.kind.mapped(), index.kind.unmapped(), expected)
            }
            Op::Load { granule, .. } => Outcome::Byte(self.call::<_, u32>("load8", (place(granule),))? as u8),
            Op::Store { granule, byte, .. } => {
                self.paint(place(granule), G, byte)?;
                Outcome::Done
            }
            Op::Deliver { granule, byte, .. } => {
                self.run("set-buffer", (place(granule),))?;
                let delivered = self.run("deliver", (vec![byte; if self.whole { G as usize } else { 1 }],));
                self.ended_if_trapped(delivered)?;
                Outcome::Done
            }
            Op::Grow { granules, .. } => match self.call::<_, i32>("grow", (granules as u32,))? {
                -1 => Outcome::Grown(None),
                pages => Outcome::Grown(Some((pages as u32 - FIRST) as usize)),
            },
            // Beyond any memory.
            Op::Trap { .. } => Outcome::Byte(self.call::<_, u32>("load8", (u32::MAX,))? as u8),
            _ => return self.on_handle(op, expected),
        })
    }

    fn on_handle(&mut self, op: &Op, expected: &Outcome) -> wasmtime::Result<Outcome> {
        Ok(match *op {
            Op::Allocate { size, .. } => {
                let answer = made(self.call("allocate", (size,))?, support::AllocateError::ALL);
                self.allocated(answer, Kind::Region, expected)
            }
            Op::Len { handle, .. } => {
                let index = self.index(handle);
                Outcome::Length(self.length(index)?)
            }
            Op::SetLen { handle, len, .. } => {
                let index = self.index(handle);
                match self.call::<_, i64>("set-len", (index.at, len))? {
                    0 => Outcome::Done,
                    error => access(error),
                }
            }
            Op::Freeze { handle, .. } => {
                let index = self.instance.take(handle);
                let at = self.call("freeze", (index.at,))?;
                self.instance.keep(at, Kind::Frozen, expected)
            }
            Op::Thaw { handle, .. } => {
                let index = self.instance.take(handle);
                match both(self.call("thaw", (index.at,))?) {
                    Ok((at, _)) => self.instance.keep(at, Kind::Region, expected),
                    Err((at, _)) => self.back(&[(handle, at)], index.kind, Outcome::GivenBack),
                }
            }
            Op::Clone { handle, .. } => {
                let index = self.index(handle);
                let answer = made(self.call("clone", (index.at,))?, support::AllocateError::ALL);
                self.allocated(answer, Kind::Frozen, expected)
            }
            Op::Copy { handle, .. } => {
                let index = self.index(handle);
                let answer = made(self.call("copy-frozen", (index.at,))?, support::AllocateError::ALL);
                self.allocated(answer, Kind::Region, expected)
            }
            Op::Slice { handle, offset, size, .. } => {
                let index = self.index(handle);
                match made(self.call("slice", (index.at, offset, size))?, support::PartError::ALL) {
                    Ok(at) => self.instance.keep(at, Kind::Frozen, expected),
                    Err(error) => part(error),
                }
            }
            Op::Split { handle, at, .. } => self.split(handle, at, expected)?,
            Op::Join { low, high, .. } => {
                // The same handle twice is one that is gone, the second time.
                let first = self.index(low);
                let second = self.index(high);
                self.instance.take(low);
                self.instance.take(high);
                match both(self.call("join", (first.at, second.at))?) {
                    Ok((at, _)) => self.instance.keep(at, Kind::Region, expected),
                    Err((one, two)) => self.back(&[(low, one), (high, two)], Kind::Region, Outcome::GivenBack),
                }
            }
            Op::Read { handle, offset, len, .. } => self.read(handle, offset, len as u32)?,
            Op::Write { handle, offset, len, byte, .. } => {
                // To its end a granule is one byte, in a region as well.
                let len = if self.whole { len.next_multiple_of(u64::from(G)) } else { len } as u32;
                self.paint(SCRATCH, len, byte)?;
                let index = self.index(handle);
                match self.call::<_, i64>("write", (index.at, offset, SCRATCH, len))? {
                    0 => Outcome::Done,
                    error => access(error),
                }
            }
            Op::Drop { handle, .. } => {
                let index = self.instance.take(handle);
                let name = match index.kind {
                    Kind::Region => "drop-mappable",
                    Kind::Frozen => "drop-frozen",
                    Kind::Mapping => "drop-mapping",
                    Kind::FrozenMapping => "drop-frozen-mapping",
                };
                self.run(name, (index.at,))?;
                Outcome::Done
            }
            _ => unreachable!("{op:?} is not a guest's"),
        })
    }

    pub fn index(&mut self, number: usize) -> Index {
        match self.instance.handles.get(&number) {
            Some(index) => *index,
            None => self.instance.take(number),
        }
    }

    fn split(&mut self, handle: usize, at: u64, expected: &Outcome) -> wasmtime::Result<Outcome> {
        let index = self.instance.take(handle);
        let answer = both(self.call("split", (index.at, at))?);
        Ok(match (answer, expected) {
            (Ok((low, high)), &Outcome::Handles(first, second)) => {
                self.instance.keep(low, Kind::Region, &Outcome::Handle(first));
                self.instance.keep(high, Kind::Region, &Outcome::Handle(second));
                Outcome::Handles(first, second)
            }
            (Ok(_), _) => Outcome::Handles(usize::MAX, usize::MAX),
            (Err((index, error)), _) => {
                self.back(&[(handle, index)], Kind::Region, part(support::PartError::ALL[error as usize]))
            }
        })
    }

    /// Reads into the scratch, and answers the granules' bytes.
    fn read(&mut self, handle: usize, offset: u64, len: u32) -> wasmtime::Result<Outcome> {
        let index = self.index(handle);
        let name = if index.kind.is_frozen() { "read-frozen" } else { "read" };
        let answer: i64 = self.call(name, (index.at, offset, len, SCRATCH))?;
        if answer < 0 {
            return Ok(access(answer));
        }
        assert_eq!(answer, i64::from(len), "a list of another length");
        Ok(Outcome::Bytes(self.firsts(SCRATCH, len.div_ceil(G))?))
    }

    /// The handles come back with an error, perhaps by other indices.
    fn back(&mut self, handles: &[(usize, u32)], kind: Kind, outcome: Outcome) -> Outcome {
        self.instance.handles.extend(handles.iter().map(|&(number, at)| (number, Index { at, kind })));
        outcome
    }

    fn swapped(&mut self, answer: u64, handle: usize, before: Kind, after: Kind, expected: &Outcome) -> Outcome {
        match swapped(answer) {
            Ok(at) => self.instance.keep(at, after, expected),
            Err((at, error)) => self.back(&[(handle, at)], before, map(error)),
        }
    }

    fn allocated(&mut self, made: Result<u32, support::AllocateError>, kind: Kind, expected: &Outcome) -> Outcome {
        match made {
            Ok(at) => self.instance.keep(at, kind, expected),
            Err(support::AllocateError::InvalidSize) => Outcome::Allocate(AllocateError::InvalidRegionSize),
            Err(support::AllocateError::OverQuota) => Outcome::Allocate(AllocateError::RegionOverQuota),
            Err(support::AllocateError::Exhausted) => panic!("no room for a region"),
        }
    }

    fn paint(&mut self, at: u32, len: u32, byte: u8) -> wasmtime::Result<()> {
        self.run("paint", (at, len, u32::from(byte), u32::from(self.whole)))
    }

    /// The first bytes of granules.
    fn firsts(&mut self, at: u32, count: u32) -> wasmtime::Result<Vec<u8>> {
        let mut bytes = vec![];
        for begin in (0..count).step_by(8) {
            let count = (count - begin).min(8);
            let eight: u64 = self.call("firsts", (at + begin * G, count))?;
            bytes.extend(&eight.to_le_bytes()[..count as usize]);
        }
        Ok(bytes)
    }

    /// What the memory shows, a byte for each granule.
    pub fn shown(&mut self, granules: usize) -> Vec<u8> {
        self.firsts(place(0), granules as u32).unwrap()
    }

    /// Whether the memory shows these bytes and no other.
    pub fn shows(&mut self, granules: &[u8]) -> bool {
        (0..).zip(granules).all(|(granule, &byte)| self.is_granule(place(granule), byte))
    }

    fn length(&mut self, index: Index) -> wasmtime::Result<u64> {
        self.call(if index.kind.is_frozen() { "len-frozen" } else { "len" }, (index.at,))
    }

    /// Whether what a handle that is not mapped stands for is these bytes and no other, and of that length.
    pub fn holds(&mut self, number: usize, granules: &[u8], length: u64) -> bool {
        let index = self.index(number);
        if self.length(index).unwrap() != length {
            return false;
        }
        let read = self.read(number, 0, granules.len() as u32 * G).unwrap();
        read == Outcome::Bytes(granules.to_vec())
            && (SCRATCH..).step_by(G as usize).zip(granules).all(|(at, &byte)| self.is_granule(at, byte))
    }

    fn is_granule(&mut self, at: u32, byte: u8) -> bool {
        let rest = if self.whole { byte } else { 0 };
        let first: u32 = self.call("load8", (at,)).unwrap();
        let rest_is: u32 = self.call("uniform", (at + 1, G - 16, u32::from(rest))).unwrap();
        let last: u32 = self.call("uniform", (at + G - 16, 16u32, u32::from(rest))).unwrap();
        first == u32::from(byte) && rest_is == 1 && last == 1
    }

    /// Has the guest give up a handle; the host gets it, to pass on.
    pub fn give(&mut self, index: Index) -> wasmtime::Result<Passed> {
        let given = self.try_give(index);
        self.ended_if_trapped(given)
    }

    /// For what the engine finds out before the guest is entered, or after it has returned. It traps, but it lets the
    /// guest go on; a program does not.
    fn ended_if_trapped<T>(&mut self, answer: wasmtime::Result<T>) -> wasmtime::Result<T> {
        if answer.is_err() {
            self.call::<_, u32>("load8", (u32::MAX,)).unwrap_err();
        }
        answer
    }

    fn try_give(&mut self, index: Index) -> wasmtime::Result<Passed> {
        Ok(match index.kind {
            Kind::Region => Passed::Region(self.call("give", (index.at,))?),
            Kind::Frozen => Passed::Frozen(self.call("give-frozen", (index.at,))?),
            Kind::Mapping => Passed::Mapping(self.call("give-mapping", (index.at,))?),
            Kind::FrozenMapping => Passed::FrozenMapping(self.call("give-frozen-mapping", (index.at,))?),
        })
    }

    /// Has the usher move a handle to another guest of the store.
    pub fn carry(&mut self, index: Index, to: &Guest) -> wasmtime::Result<u32> {
        let kind = match index.kind {
            Kind::Region => Carried::Region,
            Kind::Frozen => Carried::Frozen,
            Kind::Mapping => Carried::Mapping,
            Kind::FrozenMapping => Carried::FrozenMapping,
        };
        self.instance.guest.carry(&mut self.world.store, kind, to, index.at)
    }

    pub fn accept(&mut self, passed: Passed, expected: &Outcome) -> wasmtime::Result<Outcome> {
        let (at, kind) = match passed {
            Passed::Region(handle) => (self.call("take", (handle,))?, Kind::Region),
            Passed::Frozen(handle) => (self.call("take-frozen", (handle,))?, Kind::Frozen),
            Passed::Mapping(handle) => (self.call("take-mapping", (handle,))?, Kind::Mapping),
            Passed::FrozenMapping(handle) => (self.call("take-frozen-mapping", (handle,))?, Kind::FrozenMapping),
        };
        Ok(self.instance.keep(at, kind, expected))
    }
}

/// A handle on its way.
pub enum Passed {
    Region(Handle),
    Frozen(FrozenHandle),
    Mapping(Resource<Mapping>),
    FrozenMapping(Resource<FrozenMapping>),
}

fn address(offset: u64) -> u32 {
    FIRST * G + offset as u32
}

fn place(granule: usize) -> u32 {
    (FIRST + granule as u32) * G
}

/// A call ended with an error: a trap, and one that a guest may cause.
pub fn trap(error: &wasmtime::Error) -> Outcome {
    use TrapReason::{AnotherContext, AnotherRuntime, Broken, Bug, NotGiven, NotRefreshed, Unreadable};
    match error.downcast_ref::<TrapReason>() {
        Some(
            reason @ (AnotherContext
            | AnotherRuntime
            | Broken(_)
            | Bug { .. }
            | NotGiven { .. }
            | NotRefreshed(_)
            | Unreadable(_)),
        ) => panic!("{reason}"),
        _ => Outcome::Trap,
    }
}

fn map(error: support::MapError) -> Outcome {
    use support::MapError::*;
    Outcome::Map(match error {
        Misaligned => MapError::PlacementMisaligned,
        TooSmall => MapError::PlacementTooSmall,
        Overlaps => MapError::PlacementOverlaps,
        Mismatch => MapError::PlacementMismatch,
        Unmappable => MapError::PlacementUnmappable,
        OverQuota => MapError::MappingOverQuota,
        Exhausted => panic!("the operating system has no mapping left"),
    })
}

fn part(error: support::PartError) -> Outcome {
    use support::PartError::*;
    Outcome::Part(match error {
        Misaligned => PartError::PartMisaligned,
        Outside => PartError::PartOutsideRegion,
        OverQuota => PartError::RegionOverQuota,
    })
}

fn access(answer: i64) -> Outcome {
    Outcome::Access(match answer {
        -1 => AccessError::RangeOutsideRegion,
        -2 => AccessError::ListTooLong,
        _ => panic!("{answer} is no access-error"),
    })
}
