//! The numbers that measurements chose. Nothing is right or wrong by them, only faster or slower, or larger or smaller.
//!
//! Each says what it weighs and which benchmark of `mappable-bench` shows it; `docs/src/measurements.md` has the figures.
//! What an embedder may choose is in [`RuntimeBuilder`](crate::RuntimeBuilder), which takes its defaults from here.

use crate::region::GRANULE;

/// How far ahead of what is shown the heap is reserved in a view that grows, in bytes: as much again as there is, from 1
/// MiB to 64 MiB. A memory that grows page by page then maps its file a few times, not each time. What is reserved in
/// vain, which tools that look at all mappings stumble over, is no more than what is shown. `ordinary` (growth).
pub(crate) const RESERVED_AHEAD: (usize, usize) = (1 << 20, 64 << 20);

/// How often the first view is changed, there or back, before the memory gets a spare one for that: by then the changes
/// have cost about what building a view does. `cold`, `scale`.
pub(crate) const CHANGES_OF_FIRST: u32 = 8;

/// How often in a row the spare view of a full cache is asked for what it shows before that gets a view in place of another
/// that was not used meanwhile. A few times do not tell how it goes on, and cost a call of the host each. `scale`
/// (`--thrash`).
pub(crate) const REPEATS: u32 = 16;

/// How many mounts a view of its own may show. What is more is shown in passing, by a system call for each change: to build
/// such a view takes as many of them as it has mounts, and to look for one a step for each. `scale`.
pub(crate) const MOUNTS_A_VIEW: usize = 128;

/// How many misses are remembered for each view that there may be. More would remember working sets that no cache of this
/// size can hold. `scale` (`--thrash`).
pub(crate) const MISSES_A_VIEW: usize = 8;

/// The largest region whose bytes are exchanged instead of mapped, in bytes: more takes as long as mapping it. `cold`.
pub(crate) const LARGEST_EXCHANGED: u64 = GRANULE;

/// How much each idle heap keeps resident, in granules: what a small guest uses. `cold`, `ordinary` (instantiation).
pub(crate) const KEEP_RESIDENT: u32 = 4;

/// How much of a stack stays resident while it is idle, in bytes: what guests that call the host reach, twice. `serve`.
#[cfg_attr(not(any(feature = "externref", feature = "streams")), expect(dead_code))]
pub(crate) const STACK_RESIDENT: usize = 64 << 10;

/// How much of a ledger stays resident while it is idle, in bytes: what a store of a few instances uses, a page of each of its
/// parts, twice and more. `serve`.
pub(crate) const LEDGER_RESIDENT: u64 = 64 << 10;

/// How many bytes of a range are at most written over by system calls, to be kept: more takes longer than freeing them.
/// `cold`.
pub(crate) const MAX_WRITTEN: u64 = 4 << 20;

/// In how many pieces the memory of an extent may be kept. To find each costs a system call. `cold`.
pub(crate) const MAX_RUNS: usize = 16;

/// How many ranges of regions are kept idle at most, whatever their size: each may have a window, and so a mapping of the
/// process's, of which the system allows 65,530. `cold`.
pub(crate) const MAX_IDLE_RANGES: usize = 512;

/// Parts of a region may differ in size, so that cuts fall between rows: by one part in this many.
/// At worst a worker waits for an eighth of the work. A cut in a row costs a second round for that row alone, with a
/// call, a split and a join. `cores`.
#[cfg_attr(not(feature = "workers"), expect(dead_code))]
pub(crate) const ROWS_A_PART_IS_OFF: u64 = 8;

/// How many bytes a worker writes over at once, of a region that workers allocate: less is not worth waking a thread. `cores`.
#[cfg_attr(not(feature = "workers"), expect(dead_code))]
pub(crate) const ZEROED_AT_ONCE: usize = 1 << 20;

/// The default of [`RuntimeBuilder::idle_memories`](crate::RuntimeBuilder::idle_memories). `cold`.
pub(crate) const IDLE_MEMORIES: usize = 64;

/// The default of [`RuntimeBuilder::idle_regions`](crate::RuntimeBuilder::idle_regions), in bytes. `cold`.
pub(crate) const IDLE_REGIONS: u64 = 32 << 20;

/// The default of [`RuntimeBuilder::max_views`](crate::RuntimeBuilder::max_views), in all. `scale`, `share`.
pub(crate) const MAX_VIEWS: usize = 4_096;

/// From how many bytes on a snapshot of a file is a clone, where the file system makes such. A clone costs the disk a few writes,
/// and its pages are read from the disk, whatever of the file is in the system's cache. `files` (`--folder`).
pub(crate) const SMALLEST_CLONE: u64 = 16 << 20;

/// How many bytes of a file are copied at once: what stays in a processor's cache between reading and writing it. `files`.
pub(crate) const COPIED_AT_ONCE: usize = 256 << 10;
