//! The operations of a world, and their outcomes.

/// Who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A guest, by its number.
    Instance(usize),
    /// The host. No quota holds for it, and it maps nothing.
    Host,
}

/// An end of a stream or a future.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as in the Component Model")]
pub enum End {
    Writable,
    Readable,
}

/// How a write or a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as in the Component Model")]
pub enum Ended {
    Completed,
    Dropped,
    Cancelled,
}

/// One step. Sizes, offsets and lengths are in bytes, as in the WIT; `granule` is a granule of the caller's memory.
/// Each is the function of the kind of handle that is named: `Map` is `mappable.map` or `frozen.map`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as in the WIT")]
pub enum Op {
    Allocate {
        by: Holder,
        size: u64,
    },
    Len {
        by: Holder,
        handle: usize,
    },
    SetLen {
        by: Holder,
        handle: usize,
        len: u64,
    },
    Map {
        by: usize,
        handle: usize,
        offset: u64,
        len: u64,
    },
    /// `frozen.map-private`.
    MapPrivate {
        by: usize,
        handle: usize,
        offset: u64,
        len: u64,
    },
    Unmap {
        by: usize,
        handle: usize,
        offset: u64,
        len: u64,
    },
    Freeze {
        by: Holder,
        handle: usize,
    },
    Thaw {
        by: Holder,
        handle: usize,
    },
    Clone {
        by: Holder,
        handle: usize,
    },
    Slice {
        by: Holder,
        handle: usize,
        offset: u64,
        size: u64,
    },
    Copy {
        by: Holder,
        handle: usize,
    },
    Split {
        by: Holder,
        handle: usize,
        at: u64,
    },
    Join {
        by: Holder,
        low: usize,
        high: usize,
    },
    /// Reads the first bytes of the granules that begin in the range. A guest reads up to the size, the host to the length.
    Read {
        by: Holder,
        handle: usize,
        offset: u64,
        len: u64,
    },
    /// Writes `byte` to the whole range, of which the model keeps the first bytes of granules. As far as `Read`.
    Write {
        by: Holder,
        handle: usize,
        offset: u64,
        len: u64,
        byte: u8,
    },
    /// `resource.drop` of a handle of any kind.
    Drop {
        by: Holder,
        handle: usize,
    },
    /// Passes a handle on: between instances of one store, or to or from the host.
    Pass {
        from: Holder,
        handle: usize,
        to: Holder,
    },
    /// A load of the granule's first byte.
    Load {
        by: usize,
        granule: usize,
    },
    /// A store to the granule's first byte.
    Store {
        by: usize,
        granule: usize,
        byte: u8,
    },
    /// The host writes to the granule's first byte, for the guest: a result, say.
    Deliver {
        by: usize,
        granule: usize,
        byte: u8,
    },
    /// A new stream, or future, of regions or references, with both of its ends.
    Open {
        by: usize,
        future: bool,
        frozen: bool,
    },
    /// The host makes a stream of what it has, or a future, and passes the readable end to an instance.
    Produce {
        handles: Vec<usize>,
        future: bool,
        to: usize,
    },
    /// Passes the readable end on, to an instance of the same store.
    PassEnd {
        from: usize,
        stream: usize,
        to: usize,
    },
    /// Writes handles: one, if it is a future.
    Send {
        by: usize,
        stream: usize,
        handles: Vec<usize>,
    },
    /// Reads, with room for so many: one, if it is a future.
    Receive {
        by: usize,
        stream: usize,
        room: usize,
    },
    /// Asks what became of a write or a read in progress.
    Poll {
        by: usize,
        stream: usize,
        end: End,
    },
    /// Cancels a write or a read in progress.
    Cancel {
        by: usize,
        stream: usize,
        end: End,
    },
    /// Closes an end.
    Close {
        by: usize,
        stream: usize,
        end: End,
    },
    /// Gives the readable end to the host, which pipes it into a channel for so many elements.
    Consume {
        by: usize,
        stream: usize,
        bound: usize,
    },
    /// The host receives an element of a channel. `Waits` if none is there, and that the other end is closed if none will be.
    Collect {
        channel: usize,
    },
    /// The host receives no more of a channel.
    Abandon {
        channel: usize,
    },
    /// `memory.grow`.
    Grow {
        by: usize,
        granules: usize,
    },
    /// The instance executes `unreachable`.
    Trap {
        by: usize,
    },
    /// The host drops a store.
    DropStore {
        store: usize,
    },
}

/// What the caller sees. An error has given the handles that came back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Done.
    Done,
    /// A new handle. After `Pass`, the receiver's.
    Handle(usize),
    /// Two new handles: `split`.
    Handles(usize, usize),
    /// A new stream or future.
    Stream(usize),
    /// A new channel.
    Channel(usize),
    /// A read and a write met. The handles are the reader's.
    HandedOver(Vec<usize>),
    /// The same, and the other end is closed: these were the host's last.
    Last(Vec<usize>),
    /// A read or a write is in progress, and has moved nothing that it could tell of.
    Waits,
    /// A read or a write is over, has moved so many elements in all, and ended so.
    Ended(usize, Ended),
    /// What `len` returns.
    Length(u64),
    /// What a load read.
    Byte(u8),
    /// What `read` read.
    Bytes(Vec<u8>),
    /// What `memory.grow` answered: granules before, or -1.
    Grown(Option<usize>),
    /// `map` or `unmap` failed.
    Map(MapError),
    /// `allocate`, `clone` or `copy` failed.
    Allocate(AllocateError),
    /// `split` or `slice` failed.
    Part(PartError),
    /// `read`, `write` or `set-len` failed.
    Access(AccessError),
    /// `thaw` or `join` gave back what came: not the last reference, or no neighbours.
    GivenBack,
    /// The instance trapped; its store is dead.
    Trap,
    /// The store is dead or dropped, and refuses entry.
    Refused,
    /// Nobody can do this: it does not compile, or the two are not linked.
    Impossible,
}

impl Outcome {
    /// Whether nothing has changed but, after a trap, the life of the store.
    pub fn failed(&self) -> bool {
        use Outcome::{Access, Allocate, GivenBack, Grown, Impossible, Map, Part, Refused, Trap};
        matches!(
            self,
            Map(_) | Allocate(_) | Part(_) | Access(_) | GivenBack | Trap | Refused | Impossible | Grown(None)
        )
    }
}

/// `map-error`, but for what only an operating system says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as in the WIT")]
pub enum MapError {
    PlacementMisaligned,
    PlacementTooSmall,
    PlacementOverlaps,
    PlacementMismatch,
    PlacementUnmappable,
    MappingOverQuota,
}

/// `allocate-error`, but for what only an operating system says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as in the WIT")]
pub enum AllocateError {
    InvalidRegionSize,
    RegionOverQuota,
}

/// `part-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as in the WIT")]
pub enum PartError {
    PartMisaligned,
    PartOutsideRegion,
    RegionOverQuota,
}

/// `access-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as in the WIT")]
pub enum AccessError {
    RangeOutsideRegion,
    ListTooLong,
}
