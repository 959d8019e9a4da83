//! What lies where in a store's ledger: the one memory that all trusted modules of a store share.
//!
//! Trusted modules ([`modules`](super::modules)) and the host (crate `mappable`, `ledger`) read and write it; no guest
//! can. All words are 32 bits, little-endian, aligned. Offsets and sizes are in bytes from the ledger's start.
//!
//! ```text
//!        0  header     counts, the flight's bounds, what a list is aimed at, short lists
//!   FLIGHT  items      region and kind of each handle that is between two components
//!  REGIONS  records    by region number: what it shows, and where it is mapped
//!   TABLES  records    by table number: where the handle table of a component instance is
//!    MEMORIES  records    by memory number: selector and cached transitions of a guest's memory
//!   CHUNKS  entries    the handle tables themselves
//!   BOUNCE  bytes      lists that are returned or spilled, on their way
//! ```

/// The ledger's size in pages of 64 KiB where pages can be had: all that 32 bits reach, less one page.
pub const PAGES: u32 = 0xffff;
/// Where regions are copied there are no lists by window, so no bounce: the ledger ends there.
pub const PAGES_WITHOUT_BOUNCE: u32 = BOUNCE / 0x1_0000;

/// Before the memory becomes the ledger: the length in bytes of the component instance's name, for `join`.
pub const NAME_LEN: u32 = 0;
/// That name.
pub const NAME: u32 = 16;

/// How many items of [`FLIGHT`] are in flight.
pub const FLIGHT_LEN: u32 = 4;
/// How many of them have been claimed.
pub const FLIGHT_NEXT: u32 = 8;
/// How many regions are mapped in the store.
pub const MAPPED: u32 = 16;
/// How many may be. Written by the host alone.
pub const MAX_MAPPINGS: u32 = 20;
/// While it is not 0 nothing is mapped or unmapped without the host, in the whole store. Written by the host alone,
/// which has no need of it: a memory that shows a region whose mapping was dropped, or did until the last change, has
/// selector 0, and each such region takes one from [`MAX_MAPPINGS`].
pub const LINGERING: u32 = 24;
/// Length in bytes of the lengths and numbers in the bounce: four for each list.
pub const BOUNCE_LEN: u32 = 28;
/// The memory number of the memory that lists of the current call are taken from.
pub const SENDER: u32 = 32;
/// How many granules of frozen regions are mapped in the store, and how many may be. The latter is written by the host
/// alone.
pub const FROZEN_MAPPED: u32 = 48;
/// How many granules of frozen regions may be mapped.
pub const MAX_FROZEN_MAPPED: u32 = 52;
/// While a handle of the engine's is dropped for its region to become the ledger's: its kind. The host then puts [`ENTERED`]
/// and the region's number here. 0 at any other time.
pub const ENTER: u32 = 56;
/// The bit of [`ENTER`] that says that a region became the ledger's.
pub const ENTERED: u32 = 1 << 31;
/// Counts, in 64 bits, how often something was put in flight or into the bounce: whoever finds it changed was
/// interrupted. (Numbers of 32 bits could be had to come round.)
pub const FLIGHT_SEQ: u32 = 40;

/// The bytes of short lists among the parameters of the current call, a slot of [`SHORT_LIST`] bytes each. Trusted modules
/// alone use them.
pub const SHORT_LISTS: u32 = 0x100;
/// How many bytes a list has at the most that goes by a slot.
pub const SHORT_LIST: u32 = 64;
/// How many slots there are.
pub const MAX_SHORT_LISTS: u32 = 8;

/// Items of [`FLIGHT_ITEM`] bytes: region number, then kind with or without [`BORROWED`].
pub const FLIGHT: u32 = 0x1000;
/// How long one item is.
pub const FLIGHT_ITEM: u32 = 8;
/// More handles than this in one call are a trap.
pub const MAX_FLIGHT: u32 = 0x1_0000;

/// The flag of a flight item that is a borrowed handle.
pub const BORROWED: u32 = 0x10;

/// Records of [`REGION`] bytes, by region number. A region's number is its representation in the store's context.
pub const REGIONS: u32 = 0x10_0000;
/// How long a record is.
pub const REGION: u32 = 32;
/// How many records there may be.
pub const MAX_REGIONS: u32 = 0x1_0000;
/// Which bytes of the backing file it is: the granule at which they begin, and how many granules. [`NO_SOURCE`] where
/// nothing is to be cached of it (as of a block). Written by the host alone.
pub const REGION_SOURCE: u32 = 0;
/// How many granules they are ([`GRANULES`] of the bits), of which file (the bits from [`FILE_SHIFT`] on: 0 is the backing
/// file, the host numbers others), and whether they are [`FROZEN`]. Two regions that have this and [`REGION_SOURCE`] in
/// common are shown alike. Written by the host alone.
pub const REGION_GRANULES: u32 = 4;
/// The bits of [`REGION_GRANULES`] that are the number of granules. No memory shows more.
pub const GRANULES: u32 = 0xffff;
/// Where in [`REGION_GRANULES`] the number of the file begins.
pub const FILE_SHIFT: u32 = 16;
/// How many files have a number.
pub const MAX_FILES: u32 = 0x8000;
/// The bit of [`REGION_GRANULES`] of frozen bytes, which are shown for reading alone.
pub const FROZEN: u32 = 1 << 31;
/// In place of [`REGION_SOURCE`]: nothing is to be cached of it.
pub const NO_SOURCE: u32 = u32::MAX;
/// Where it is mapped: offset in the ledger of the memory's record (0: not mapped), offset in the memory and length of
/// the placement.
pub const REGION_MEMORY: u32 = 8;
/// Offset of the placement in that memory.
pub const REGION_AT: u32 = 12;
/// Length of the placement in bytes.
pub const REGION_LEN: u32 = 16;

/// Records of [`TABLE`] bytes, by table number. Number 0 is nobody's.
pub const TABLES: u32 = 0x30_0000;
/// How long a record is.
pub const TABLE: u32 = 32;
/// How many records there may be, the first included.
pub const MAX_TABLES: u32 = 0x8000;
/// Offset in the ledger of its entries, and how many there is room for. Written by the host alone.
pub const TABLE_CHUNK: u32 = 0;
/// How many entries there is room for. Written by the host alone.
pub const TABLE_CAPACITY: u32 = 4;
/// The first free entry's index, or 0; and how many entries have ever been used, the first (which is never valid)
/// included.
pub const TABLE_FREE: u32 = 8;
/// How many entries have ever been used, the first included.
pub const TABLE_USED: u32 = 12;
/// The memory number of the memory that the window of this component instance is to show, while it is refreshed; 0 at any
/// other time. (The engine then has the window at addresses of its own, and the guest's memory where it is: no two have
/// an address in common when it looks for the one in which an access faulted.)
pub const TABLE_AIM: u32 = 16;
/// The bit of a guest's handle that says it is an index of the table. No handle of the engine's has it: those are less than
/// 2<sup>28</sup> (*Canonical ABI*, `Table.MAX_LENGTH`). A handle without it is the engine's.
pub const MARK: u32 = 1 << 29;

/// Entries of a handle table: a tag (0: free; else a kind, with or without [`ENGINES`]) and the region number (of a free
/// one: the next free one; with [`ENGINES`]: the engine's handle).
pub const ENTRY: u32 = 8;
/// Where an entry's tag is.
pub const ENTRY_TAG: u32 = 0;
/// Where its region number, or the next free one, is.
pub const ENTRY_REGION: u32 = 4;
/// The flag of an entry that stands for a handle of the engine's.
pub const ENGINES: u32 = 0x20;
/// The bits of a tag that are the kind.
pub const KINDS: u32 = 0xf;
/// How many entries a table begins with. The host doubles that as needed.
pub const FIRST_CAPACITY: u32 = 32;

/// Records of [`MEMORY`] bytes, by memory number. Number 0 is nobody's.
pub const MEMORIES: u32 = 0x40_0000;
/// How long a record is.
pub const MEMORY: u32 = 0x1000;
/// How many records there may be, the first included.
pub const MAX_MEMORIES: u32 = 0x1000;
/// Which view is current: 0 for whichever the host has made so, `n` for the host's slot `n - 1`.
pub const MEMORY_SELECTOR: u32 = 0;
/// Counts, in 64 bits, how often the host has changed the memory's base or size, other than by the selector.
pub const MEMORY_VERSION: u32 = 8;
/// A cached transition of another generation is invalid. Counts, in 64 bits, how often slots were given anew, the memory
/// grew, or the host wrote to frozen bytes that a view of it shows.
pub const MEMORY_GENERATION: u32 = 16;
/// All placements at which a view that can be selected shows frozen bytes are between this granule and
/// [`MEMORY_FROZEN_END`]: a result that would go there is the host's to write. Written by the host alone.
pub const MEMORY_FROZEN_START: u32 = 24;
/// The granule behind the last of them. 0 where there are none.
pub const MEMORY_FROZEN_END: u32 = 28;
/// The cached transitions: [`TRANSITIONS`] of [`TRANSITION`] bytes each.
pub const MEMORY_TRANSITIONS: u32 = 0x40;
/// How many there are.
pub const TRANSITIONS: u32 = 64;
/// How long each is.
pub const TRANSITION: u32 = 32;
/// From this view (a selector that is not 0) ...
pub const TRANSITION_FROM: u32 = 0;
/// ... in this generation, of 64 bits ...
pub const TRANSITION_GENERATION: u32 = 8;
/// ... mapping these bytes (source and granules) at this placement (offset and length), or unmapping them (length 0),
/// ...
pub const TRANSITION_SOURCE: u32 = 16;
/// What [`REGION_GRANULES`] says of them.
pub const TRANSITION_GRANULES: u32 = 20;
/// Offset of the placement.
pub const TRANSITION_AT: u32 = 24;
/// Length of the placement in bytes; 0 where they are unmapped.
pub const TRANSITION_LEN: u32 = 28;
/// ... leads to that view.
pub const TRANSITION_TO: u32 = 4;

/// Where handle tables lie.
pub const CHUNKS: u32 = 0x140_0000;
/// Where the lists of a result are put while `post-return` runs, and those among spilled parameters while `realloc` runs:
/// first their lengths, then they.
pub const BOUNCE: u32 = 0x400_0000;

const _: () = {
    assert!(SHORT_LISTS + SHORT_LIST * MAX_SHORT_LISTS <= FLIGHT);
    assert!(FLIGHT + FLIGHT_ITEM * MAX_FLIGHT <= REGIONS);
    assert!(REGIONS + REGION * MAX_REGIONS <= TABLES);
    assert!(TABLES + TABLE * MAX_TABLES <= MEMORIES);
    assert!(MEMORIES + MEMORY * MAX_MEMORIES <= CHUNKS);
    assert!(MEMORY_TRANSITIONS + TRANSITION * TRANSITIONS <= MEMORY);
    assert!((BOUNCE - CHUNKS) / ENTRY < MARK && MARK > 1 << 28);
    assert!((MAX_FILES - 1) << FILE_SHIFT & (FROZEN | GRANULES) == 0);
    assert!((MEMORIES + MEMORY_GENERATION).is_multiple_of(8) && MEMORY.is_multiple_of(8));
    // The granules of all regions together, and of one more.
    assert!(MAX_REGIONS.checked_mul(GRANULES).unwrap().checked_add(GRANULES).is_some());
    assert!(CHUNKS < BOUNCE && BOUNCE.is_multiple_of(0x1_0000));
};
