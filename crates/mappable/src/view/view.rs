//! A view: an address range in which a linear memory in pages is seen.
//!
//! A [`View`] shows the memory's [`Heap`] and, at their placements, regions. Which views a memory keeps is left to
//! [`Paged`](super::paged::Paged), which one is current to [`Memory`](super::Memory).

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::Mount;
use super::allowance::Permit;
use super::mounts::Mounts;
use crate::GRANULE;
use crate::region::{Extent, FileId};
use crate::sys::{self, Access, Budget, File, Guard, Space, WriteCount};
use crate::tuning::RESERVED_AHEAD;

/// An address range that shows a memory's heap and, at their placements, regions.
#[derive(Debug)]
pub(crate) struct View {
    /// What is shown besides the heap, and the guards of what is shown for reading alone. They go before the addresses do,
    /// which may then be others'.
    regions: Mutex<Mounts<Option<Guard>>>,
    /// Whether there are guards: asked when the view is made current, without the lock.
    is_guarded: AtomicBool,
    /// What [`sys::faults`] was when nothing here was last found to be dirty.
    clean_at: AtomicU64,
    /// Whether the system refused to show something here, which may have left a hole. Never `false` again.
    is_torn: AtomicBool,
    /// Whether it has one, as far as is known. Never `false` again.
    is_broken: AtomicBool,
    space: Space,
    /// How much of the heap is shown, in bytes: whole granules. Beyond it nothing is accessible.
    heap_shown: AtomicUsize,
    /// How much of the heap is reserved, in bytes: no less than is shown, and no more than there is. Behind that the space
    /// is as it was reserved.
    heap_reserved: AtomicUsize,
    /// The runtime's and the store's, held by every view but a memory's first.
    _permits: Option<[Permit; 2]>,
}

impl View {
    pub(super) fn build(
        heap: &Heap,
        heap_len: usize,
        mounts: &[Mount],
        permits: Option<[Permit; 2]>,
    ) -> io::Result<Self> {
        let space = Space::reserve(heap.span, 0)?;
        let view = Self {
            regions: Mutex::default(),
            is_guarded: AtomicBool::new(false),
            clean_at: AtomicU64::new(sys::faults()),
            is_torn: AtomicBool::new(false),
            is_broken: AtomicBool::new(false),
            space,
            heap_shown: AtomicUsize::new(0),
            heap_reserved: AtomicUsize::new(0),
            _permits: permits,
        };
        view.show_heap_to(heap, heap_len)?;
        mounts.iter().try_for_each(|mount| view.show(heap, mount))?;
        Ok(view)
    }

    #[inline]
    pub(super) fn base(&self) -> NonNull<u8> {
        self.space.base()
    }

    #[inline]
    pub(super) fn heap_shown(&self) -> usize {
        self.heap_shown.load(Ordering::Relaxed)
    }

    /// Whether the heap is shown there, and nothing else.
    pub(super) fn shows_heap(&self, offset: u64, len: u64) -> bool {
        !self.is_broken.load(Ordering::Relaxed)
            && offset.checked_add(len).is_some_and(|end| end <= self.heap_shown() as u64)
            && self.regions().overlapping(offset..offset + len).next().is_none()
    }

    /// Whether it shows what it should, and the heap as far as `len` bytes: nothing is to be done before it is current.
    #[inline]
    pub(super) fn is_ready(&self, len: usize) -> bool {
        self.heap_shown() >= len && !self.may_be_dirty()
    }

    /// Whether the host may have written where a region is shown for reading alone: asked without the lock.
    #[inline]
    fn may_be_dirty(&self) -> bool {
        self.is_guarded.load(Ordering::Relaxed) && sys::faults() != self.clean_at.load(Ordering::Relaxed)
    }

    /// Whether regions are shown for reading alone.
    pub(super) fn is_guarded(&self) -> bool {
        self.is_guarded.load(Ordering::Relaxed)
    }

    /// Whether the host has written where a region is shown for reading alone, since that was last shown.
    pub(super) fn is_dirty(&self) -> bool {
        if !self.may_be_dirty() {
            return false;
        }
        let now = sys::faults();
        let is_dirty = !self.dirty().is_empty();
        if !is_dirty {
            self.clean_at.store(now, Ordering::Relaxed);
        }
        is_dirty
    }

    /// Shows the heap as far as `len` bytes, if it is not shown so far already.
    pub(super) fn show_heap_to(&self, heap: &Heap, len: usize) -> io::Result<()> {
        let shown = self.heap_shown();
        let len = len.next_multiple_of(GRANULE as usize);
        if len <= shown {
            return Ok(());
        }
        if self.heap_reserved.load(Ordering::Relaxed) == 0 {
            // Most views never grow.
            self.show_heap(heap, 0, len)?;
            self.heap_reserved.store(len, Ordering::Relaxed);
        } else {
            self.reserve_heap_to(heap, len)?;
            self.attempt(|| self.space.commit(shown, len - shown))?;
        }
        self.heap_shown.store(len, Ordering::Relaxed);
        Ok(())
    }

    /// Reserves the heap as far as `len` bytes, and some way ahead, if it is not reserved so far already.
    fn reserve_heap_to(&self, heap: &Heap, len: usize) -> io::Result<()> {
        let reserved = self.heap_reserved.load(Ordering::Relaxed);
        if len > reserved {
            let (least, most) = RESERVED_AHEAD;
            let ahead = len + len.clamp(least, most);
            let to = ahead.min(heap.extent.range().len() as usize).max(len);
            let source = heap.extent.source();
            let reserve = |file: &File| {
                self.space.reserve_file(reserved, file, source.range.start() + reserved as u64, to - reserved)
            };
            self.attempt(|| heap.extent.backing().with_file(source.file, reserve))?;
            self.heap_reserved.store(to, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Shows the heap as far as `len` bytes and no further.
    pub(super) fn show_heap_up_to(&self, heap: &Heap, len: usize) -> io::Result<()> {
        self.hide_heap_from(len)?;
        self.show_heap_to(heap, len)
    }

    /// Shows nothing from `len` bytes on, rounded up to whole granules. No region is shown there.
    fn hide_heap_from(&self, len: usize) -> io::Result<()> {
        let (len, shown) = (len.next_multiple_of(GRANULE as usize), self.heap_shown());
        if len < shown {
            self.attempt(|| self.space.decommit(len, shown - len))?;
            self.heap_shown.store(len, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The same, and has nothing reserved there any more: no page tables are left of it.
    pub(super) fn unmap_heap_from(&self, len: usize) -> io::Result<()> {
        let (len, reserved) = (len.next_multiple_of(GRANULE as usize), self.heap_reserved.load(Ordering::Relaxed));
        if len < reserved {
            self.attempt(|| self.space.unmap(len, reserved - len))?;
            self.heap_reserved.store(len, Ordering::Relaxed);
            self.heap_shown.fetch_min(len, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Shows the heap where regions are still shown. An error if the view may not be whole even so.
    pub(super) fn show_heap_alone(&self, heap: &Heap) -> io::Result<()> {
        let regions: Vec<Mount> = self.regions().iter().copied().collect();
        regions.iter().try_for_each(|mount| self.hide(heap, mount))?;
        if self.is_torn.load(Ordering::Relaxed) {
            return Err(io::Error::other("a view may have a hole"));
        }
        Ok(())
    }

    fn show_heap(&self, heap: &Heap, at: usize, len: usize) -> io::Result<()> {
        let source = heap.extent.source();
        let start = source.range.start() + at as u64;
        let show = |file: &File| self.space.map(at, file, start, len, Access::Write);
        self.attempt(|| heap.extent.backing().with_file(source.file, show))
    }

    /// Notes that the view may have a hole, as far as is known.
    pub(super) fn note_broken(&self) {
        self.is_broken.store(true, Ordering::Relaxed);
    }

    fn attempt(&self, change: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        change().inspect_err(|_| self.is_torn.store(true, Ordering::Relaxed))
    }

    /// Shows a region in place of the heap.
    pub(super) fn show(&self, heap: &Heap, mount: &Mount) -> io::Result<()> {
        let (at, len) = (mount.offset() as usize, mount.len() as usize);
        self.attempt(|| heap.extent.backing().show(mount.source(), &self.space, at, mount.access()))?;
        let start = self.base().addr().get() + at;
        let (shown, of_others) = (start..start + len, mount.source().file != FileId::OWN);
        let guard = match mount.access() {
            Access::Write => None,
            Access::Read => Some(Guard::new(shown, of_others, heap.writes.get().cloned())),
            Access::Private => Some(Guard::private(shown, of_others, heap.budget()?)),
        };
        self.note(mount, Some(guard));
        Ok(())
    }

    /// Shows the heap again in place of a region.
    pub(super) fn hide(&self, heap: &Heap, mount: &Mount) -> io::Result<()> {
        sys::with_spare_mappings(|| self.show_heap(heap, mount.offset() as usize, mount.len() as usize))?;
        self.note(mount, None);
        Ok(())
    }

    /// The same, before `others` are shown, which are in order.
    pub(super) fn hide_for(&self, heap: &Heap, mount: &Mount, others: &[Mount]) -> io::Result<()> {
        let before = others.partition_point(|other| other.offset() <= mount.offset());
        if others[..before].last().is_some_and(|other| other.covers(mount)) {
            self.note(mount, None);
            return Ok(());
        }
        self.hide(heap, mount)
    }

    /// Shows the heap alone, as far as it was shown.
    pub(super) fn clear(&self, heap: &Heap) -> io::Result<()> {
        drop(std::mem::take(&mut *self.regions()));
        self.is_guarded.store(false, Ordering::Relaxed);
        let shown = self.heap_shown();
        if shown == 0 { Ok(()) } else { self.show_heap(heap, 0, shown) }
    }

    /// Notes that a region is shown, with its guard if it has one; or that it is not any more.
    fn note(&self, mount: &Mount, shown: Option<Option<Guard>>) {
        let mut regions = self.regions();
        match shown {
            Some(guard) => regions.insert(*mount, guard),
            None => drop(regions.remove(mount)),
        }
        self.is_guarded.store(!regions.are_writable(), Ordering::Relaxed);
    }

    /// Shows again what is frozen wherever the host has written to it since. The view is not current, or about to change.
    pub(super) fn discard_writes(&self, heap: &Heap) -> io::Result<()> {
        if !self.may_be_dirty() {
            return Ok(());
        }
        let now = sys::faults();
        self.dirty().iter().try_for_each(|mount| sys::with_spare_mappings(|| self.show(heap, mount)))?;
        self.clean_at.store(now, Ordering::Relaxed);
        Ok(())
    }

    /// Frees the memory that the host's writes have taken. The view is not current, nor the one before.
    #[inline]
    pub(super) fn free_writes(&self) {
        if self.may_be_dirty() {
            self.free_dirty();
        }
    }

    fn free_dirty(&self) {
        let now = sys::faults();
        let dirty = self.dirty();
        if dirty.is_empty() {
            self.clean_at.store(now, Ordering::Relaxed);
        }
        for mount in dirty {
            if let Err(error) = self.space.discard(mount.offset() as usize, mount.len() as usize) {
                tracing::warn!(%error, "pages that were written to were not freed");
            }
        }
    }

    /// Where the host has written to what is shown for reading alone.
    fn dirty(&self) -> Vec<Mount> {
        let regions = self.regions();
        let dirty = regions.pairs().filter(|(_, guard)| guard.as_ref().is_some_and(Guard::is_dirty));
        dirty.map(|(mount, _)| *mount).collect()
    }

    fn regions(&self) -> MutexGuard<'_, Mounts<Option<Guard>>> {
        self.regions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pages of a linear memory itself, which every view of it shows.
#[derive(Debug)]
pub(crate) struct Heap {
    /// As long as the memory can ever get; in the file all holes until touched.
    pub(crate) extent: Extent,
    /// The length of a view's address range in bytes, guard included.
    pub(crate) span: usize,
    /// What counts the host's writes to frozen bytes that a view shows, once a ledger drives the memory: set before any
    /// view shows such.
    writes: OnceLock<WriteCount>,
    /// Who is charged for what is written to private mappings: set before any view shows such.
    budget: OnceLock<Arc<Budget>>,
}

impl Heap {
    pub(crate) fn new(extent: Extent, span: usize) -> Self {
        Self { extent, span, writes: OnceLock::new(), budget: OnceLock::new() }
    }

    /// Has what is written to private mappings charged from here on.
    pub(super) fn charge(&self, budget: &Arc<Budget>) {
        self.budget.get_or_init(|| Arc::clone(budget));
    }

    fn budget(&self) -> io::Result<Arc<Budget>> {
        self.budget.get().cloned().ok_or_else(|| io::Error::other("bug: nobody is charged for a private mapping"))
    }

    /// Has the host's writes to frozen bytes counted from here on.
    pub(super) fn count_writes(&self, writes: WriteCount) {
        self.writes.get_or_init(|| writes);
    }
}
