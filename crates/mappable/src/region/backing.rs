//! The memory that everything lies in: what of it is free or idle, and how it is shown.
//!
//! Where pages can be mapped it is one sparse file: descriptors are scarce (1,024 by default), so regions and the heaps
//! of linear memories share one. Where they can't, each extent is a block of the process's heap, and ranges only tell
//! extents apart. Invariant I3 (a region that comes from `allocate` reads as zero) stands on one rule: a range is free
//! only while it is a hole, of an idle one it is known which pages are to be written over, and a block comes zeroed.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::HugePages;
use super::extent::{AllocationId, Extent};
use super::idle::IdleRanges;
use super::ranges::{FileRange, Ranges, Runs};
use super::region_block::RegionBlock;
use crate::sys::{Access, File, Space};

/// The length of the file in bytes. All holes, so it is address space alone: room for a quarter of a million heaps
/// of 4 GiB, and well under the largest offset that the kernel takes.
const FILE_LEN: u64 = 1 << 50;

/// What extents are taken from.
pub(crate) struct Backing {
    /// `None` where extents are blocks of the process's heap.
    file: Option<File>,
    huge_pages: HugePages,
    /// Every range that is free here is a hole in `file`.
    free: Mutex<Ranges>,
    /// Ranges that regions had and that are neither free nor anybody's.
    idle: Mutex<IdleRanges<RecycledRange>>,
    /// How many bytes there may be of them.
    max_idle: u64,
    /// Files of others that may be shown, by what tells them apart in a [`Source`].
    foreign: Mutex<BTreeMap<FileId, Arc<File>>>,
    /// What the next allocation, or foreign file, is told apart by.
    next: AtomicU64,
    /// Whether each region gets a file of its own.
    keeps_apart: AtomicBool,
}

/// What a region leaves for the next one, besides its range.
#[derive(Debug, Default)]
pub(super) struct RecycledRange {
    /// Where the host sees all of the range and nothing else, if it has looked. Without a window the range reads as zero.
    pub(super) window: Option<Space>,
    /// Which pages there are. All others read as zero; these have what the region before has left, if there is a window.
    pub(super) pages: Runs,
}

/// A file that is shown: the backing's own, or one of others. Never used again for another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId(u64);

impl FileId {
    /// The backing's own file.
    pub(crate) const OWN: Self = Self(0);
}

/// Bytes that can be shown: a range of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    pub(crate) file: FileId,
    pub(crate) range: FileRange,
}

impl fmt::Debug for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backing").field("mapped", &self.file.is_some()).finish_non_exhaustive()
    }
}

impl Backing {
    /// A sparse file, of which pages can be mapped. Up to `max_idle` bytes of regions are kept for those allocated next.
    pub(crate) fn in_file(huge_pages: HugePages, max_idle: u64) -> io::Result<Arc<Self>> {
        Ok(Self::new(Some(File::create("mappable", FILE_LEN)?), huge_pages, max_idle))
    }

    /// Blocks of the process's heap, for any platform. Nothing of it can be mapped.
    pub(crate) fn in_blocks() -> Arc<Self> {
        Self::new(None, HugePages::default(), 0)
    }

    fn new(file: Option<File>, huge_pages: HugePages, max_idle: u64) -> Arc<Self> {
        let (free, idle) = (Mutex::new(Ranges::new(FILE_LEN)), Mutex::new(IdleRanges::new(max_idle)));
        let next = AtomicU64::new(FileId::OWN.0 + 1);
        let (foreign, keeps_apart) = (Mutex::default(), AtomicBool::new(false));
        Arc::new(Self { file, huge_pages, free, idle, max_idle, foreign, next, keeps_apart })
    }

    /// Whether pages of it can be mapped.
    pub(crate) fn is_in_file(&self) -> bool {
        self.file.is_some()
    }

    /// Has each new region get a file of its own.
    pub(crate) fn keep_apart(&self) {
        self.keeps_apart.store(true, Ordering::Relaxed);
    }

    /// Whether each region gets a file of its own.
    #[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
    pub(super) fn keeps_apart(&self) -> bool {
        self.keeps_apart.load(Ordering::Relaxed)
    }

    /// Takes `len` bytes, a positive multiple of the granule, that read as zero. `None` when there is no room.
    pub(crate) fn take(self: &Arc<Self>, len: u64) -> Option<Extent> {
        let block = match &self.file {
            Some(_) => None,
            None => Some(RegionBlock::new(len)?),
        };
        let range = self.ranges().take(len)?;
        Some(self.extent(range, block))
    }

    /// The same for a region: one that is idle, if there is such a one, with what was left there, which nobody else may read.
    pub(super) fn take_for_region(self: &Arc<Self>, len: u64) -> Option<(Extent, RecycledRange)> {
        let idle = self.idle().take(len);
        match idle {
            Some((range, left)) => Some((self.extent(range, None), left)),
            None => Some((self.take(len)?, RecycledRange::default())),
        }
    }

    /// A new allocation.
    fn extent(self: &Arc<Self>, range: FileRange, block: Option<RegionBlock>) -> Extent {
        Extent::new(self, AllocationId(self.next()), range, block)
    }

    /// Frees a range, which belongs to nobody and which no window shows.
    pub(super) fn free(&self, range: FileRange) {
        match self.file.as_ref().map_or(Ok(()), |file| file.punch(range.start(), range.len())) {
            Ok(()) => self.ranges().give(range),
            // Not a hole, so not free: better to lose the range than to show its bytes to the next owner.
            Err(error) => tracing::warn!(%error, ?range, "freed memory was not given back"),
        }
    }

    /// Makes a file of others one that can be shown, until [`Backing::dismiss`].
    pub(super) fn admit(&self, file: File) -> (FileId, Arc<File>) {
        let (id, file) = (FileId(self.next()), Arc::new(file));
        self.foreign().insert(id, Arc::clone(&file));
        (id, file)
    }

    /// Lets go of a file of others.
    pub(super) fn dismiss(&self, id: FileId) {
        self.foreign().remove(&id);
    }

    /// Calls `show` with the file of that identity. An error if it is no longer there.
    pub(crate) fn with_file<R>(&self, id: FileId, show: impl FnOnce(&File) -> io::Result<R>) -> io::Result<R> {
        let gone = || io::Error::other("bug: a file that is to be shown is gone");
        if id == FileId::OWN {
            return show(self.file.as_ref().ok_or_else(gone)?);
        }
        let file = self.foreign().get(&id).map(Arc::clone).ok_or_else(gone)?;
        show(&file)
    }

    /// Shows what regions, or files of others, have in a space, in place of what was there.
    pub(crate) fn show(&self, source: Source, space: &Space, at: usize, access: Access) -> io::Result<()> {
        let len = usize::try_from(source.range.len()).map_err(io::Error::other)?;
        self.with_file(source.file, |file| space.map(at, file, source.range.start(), len, access))?;
        if self.huge_pages == HugePages::Advised && source.range.huge_pages_at(space.base().addr().get() + at) > 0 {
            space.advise_huge(at, len);
        }
        Ok(())
    }

    /// Whether so long a range may be kept for another region: not one that would have to go for the next of its kind.
    pub(super) fn may_keep(&self, len: u64) -> bool {
        len <= self.max_idle / 2
    }

    /// Keeps a range, which belongs to nobody, for another region.
    pub(super) fn keep(&self, range: FileRange, left: RecycledRange) {
        let gone = self.idle().put(range, left);
        // Not under the lock.
        for (range, left) in gone {
            drop(left);
            self.free(range);
        }
    }

    fn ranges(&self) -> MutexGuard<'_, Ranges> {
        // The arithmetic does not panic half way; were it to, going on is no worse than stopping.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> MutexGuard<'_, IdleRanges<RecycledRange>> {
        // As above.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn foreign(&self) -> MutexGuard<'_, BTreeMap<FileId, Arc<File>>> {
        self.foreign.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that no other call gives.
    pub(super) fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}
