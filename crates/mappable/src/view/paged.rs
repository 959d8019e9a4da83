//! Views: the address ranges in which a linear memory in pages is seen.
//!
//! ```text
//!   Paged        the heap's pages, and the views of them that are kept
//!    └ View      one address range that shows the heap and, at their placements, regions
//! ```

use std::io;
use std::mem;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Mount;
use super::allowance::Permit;
use super::idle::{Bare, Idle, Past};
use crate::GRANULE;
use crate::region::Extent;
use crate::sys::{self, Access, File, Guard, Space};

/// How far ahead of what is shown the heap is laid in a view that grows, in bytes: as much again as there is, from 1
/// MiB to 64. So a memory that grows page by page maps its file a few times, not each time; and what is laid in vain,
/// which tools that look at all mappings stumble over, is no more than is shown.
const LAID_AHEAD: (usize, usize) = (1 << 20, 64 << 20);

/// An address range that shows a memory's heap and, at their placements, regions.
#[derive(Debug)]
pub(crate) struct View {
    /// What is shown besides the heap, and the guards of what is shown for reading alone. They go before the addresses do,
    /// which may then be others'.
    regions: Mutex<Vec<(Mount, Option<Guard>)>>,
    /// Whether there are guards: asked when the view is made current, without the lock.
    is_guarded: AtomicBool,
    /// Whether the system refused to show something here, which may have left a hole. Never `false` again.
    is_torn: AtomicBool,
    /// Whether it has one, as far as is known. Never `false` again.
    is_broken: AtomicBool,
    space: Space,
    /// How much of the heap is shown, in bytes: whole granules. Beyond it nothing is accessible.
    heap_shown: AtomicUsize,
    /// How much of the heap is laid, in bytes: no less than is shown, and no more than there is. Behind that the space
    /// is as it was reserved.
    heap_laid: AtomicUsize,
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
            is_torn: AtomicBool::new(false),
            is_broken: AtomicBool::new(false),
            space,
            heap_shown: AtomicUsize::new(0),
            heap_laid: AtomicUsize::new(0),
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
    fn shows_heap(&self, offset: u64, len: u64) -> bool {
        let covers = |mount: &Mount| mount.offset() < offset + len && offset < mount.offset() + mount.len();
        !self.is_broken.load(Ordering::Relaxed)
            && offset.checked_add(len).is_some_and(|end| end <= self.heap_shown() as u64)
            && !self.regions().iter().any(|(mount, _)| covers(mount))
    }

    /// Whether it shows what it should, and the heap as far as `len` bytes: nothing is to be done before it is current.
    #[inline]
    pub(super) fn is_ready(&self, len: usize) -> bool {
        self.heap_shown() >= len && !self.may_be_dirty()
    }

    /// Whether the host may have written where a region is shown for reading alone: asked without the lock.
    #[inline]
    fn may_be_dirty(&self) -> bool {
        self.is_guarded.load(Ordering::Relaxed) && sys::faults() != 0
    }

    /// Shows the heap as far as `len` bytes, if it is not shown so far already.
    pub(super) fn show_heap_to(&self, heap: &Heap, len: usize) -> io::Result<()> {
        let shown = self.heap_shown();
        let len = len.next_multiple_of(GRANULE as usize);
        if len <= shown {
            return Ok(());
        }
        if self.heap_laid.load(Ordering::Relaxed) == 0 {
            // Most views never grow.
            self.show_heap(heap, 0, len)?;
            self.heap_laid.store(len, Ordering::Relaxed);
        } else {
            self.lay_heap_to(heap, len)?;
            self.attempt(|| self.space.open(shown, len - shown))?;
        }
        self.heap_shown.store(len, Ordering::Relaxed);
        Ok(())
    }

    /// Lays the heap as far as `len` bytes, and some way ahead, if it is not laid so far already.
    fn lay_heap_to(&self, heap: &Heap, len: usize) -> io::Result<()> {
        let laid = self.heap_laid.load(Ordering::Relaxed);
        if len > laid {
            let (least, most) = LAID_AHEAD;
            let ahead = len + len.clamp(least, most);
            let to = ahead.min(heap.extent.range().len() as usize).max(len);
            let source = heap.extent.source();
            let lay = |file: &File| self.space.lay(laid, file, source.range.start() + laid as u64, to - laid);
            self.attempt(|| heap.extent.backing().with_file(source.file, lay))?;
            self.heap_laid.store(to, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Shows the heap as far as `len` bytes and no further.
    pub(super) fn show_heap_just_to(&self, heap: &Heap, len: usize) -> io::Result<()> {
        self.hide_heap_from(len)?;
        self.show_heap_to(heap, len)
    }

    /// Shows nothing from `len` bytes on, rounded up to whole granules. No region is shown there.
    fn hide_heap_from(&self, len: usize) -> io::Result<()> {
        let (len, shown) = (len.next_multiple_of(GRANULE as usize), self.heap_shown());
        if len < shown {
            self.attempt(|| self.space.close(len, shown - len))?;
            self.heap_shown.store(len, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The same, and has nothing laid there any more: no page tables are left of it.
    pub(super) fn lift_heap_from(&self, len: usize) -> io::Result<()> {
        let (len, laid) = (len.next_multiple_of(GRANULE as usize), self.heap_laid.load(Ordering::Relaxed));
        if len < laid {
            self.attempt(|| self.space.hide(len, laid - len))?;
            self.heap_laid.store(len, Ordering::Relaxed);
            self.heap_shown.fetch_min(len, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Shows the heap where regions are still shown. An error if the view may not be whole even so.
    pub(super) fn show_heap_alone(&self, heap: &Heap) -> io::Result<()> {
        let regions: Vec<Mount> = self.regions().iter().map(|(mount, _)| *mount).collect();
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

    fn attempt(&self, change: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        change().inspect_err(|_| self.is_torn.store(true, Ordering::Relaxed))
    }

    /// Shows a region in place of the heap.
    pub(super) fn show(&self, heap: &Heap, mount: &Mount) -> io::Result<()> {
        let (at, len) = (mount.offset() as usize, mount.len() as usize);
        self.attempt(|| heap.extent.backing().show(mount.source(), &self.space, at, mount.access()))?;
        let start = self.base().addr().get() + at;
        let guard = (mount.access() == Access::Read).then(|| Guard::new(start..start + len));
        self.note(mount, Some(guard));
        Ok(())
    }

    /// Shows the heap again in place of a region.
    pub(super) fn hide(&self, heap: &Heap, mount: &Mount) -> io::Result<()> {
        self.show_heap(heap, mount.offset() as usize, mount.len() as usize)?;
        self.note(mount, None);
        Ok(())
    }

    /// The same, before `others` are shown.
    fn hide_for(&self, heap: &Heap, mount: &Mount, others: &[Mount]) -> io::Result<()> {
        if others.iter().any(|other| other.covers(mount)) {
            self.note(mount, None);
            return Ok(());
        }
        self.hide(heap, mount)
    }

    /// Shows the heap alone, as far as it was shown.
    fn clear(&self, heap: &Heap) -> io::Result<()> {
        self.regions().clear();
        self.is_guarded.store(false, Ordering::Relaxed);
        let shown = self.heap_shown();
        if shown == 0 { Ok(()) } else { self.show_heap(heap, 0, shown) }
    }

    /// Notes that a region is shown, with its guard if it has one; or that it is not any more.
    fn note(&self, mount: &Mount, shown: Option<Option<Guard>>) {
        let mut regions = self.regions();
        regions.retain(|(other, _)| other != mount);
        regions.extend(shown.map(|guard| (*mount, guard)));
        self.is_guarded.store(regions.iter().any(|(_, guard)| guard.is_some()), Ordering::Relaxed);
    }

    /// Shows again what is frozen wherever the host has written to it since. The view is not current, or about to change.
    pub(super) fn discard_writes(&self, heap: &Heap) -> io::Result<()> {
        if !self.may_be_dirty() {
            return Ok(());
        }
        let dirty: Vec<Mount> = self.regions().iter().filter(is_dirty).map(|(mount, _)| *mount).collect();
        dirty.iter().try_for_each(|mount| self.show(heap, mount))
    }

    /// Frees the memory that the host's writes have taken. The view is not current, nor the one before.
    #[inline]
    pub(super) fn free_writes(&self) {
        if self.may_be_dirty() {
            self.free_dirty();
        }
    }

    fn free_dirty(&self) {
        for (mount, _) in self.regions().iter().filter(is_dirty) {
            if let Err(error) = self.space.discard(mount.offset() as usize, mount.len() as usize) {
                tracing::warn!(%error, "pages that were written to were not freed");
            }
        }
    }

    fn regions(&self) -> MutexGuard<'_, Vec<(Mount, Option<Guard>)>> {
        self.regions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the host has written where a region is shown for reading alone.
fn is_dirty((_, guard): &&(Mount, Option<Guard>)) -> bool {
    guard.as_ref().is_some_and(Guard::is_dirty)
}

/// The pages of a linear memory itself, which every view of it shows.
#[derive(Debug)]
pub(crate) struct Heap {
    /// As long as the memory can ever get; in the file all holes until touched.
    pub(crate) extent: Extent,
    /// The length of a view's address range in bytes, guard included.
    pub(crate) span: usize,
}

/// A linear memory in pages.
#[derive(Debug)]
pub(super) struct Paged {
    /// The address at which the first view begins. No other memory has it: the first view is never forgotten.
    pub(super) first_base: usize,
    /// The views whose base the engine may have: the current one, the one before, and those that are cached.
    views: Mutex<Vec<Arc<View>>>,
    /// After the views in which it is shown.
    pub(super) heap: Heap,
    /// What takes the first view and the heap over in the end.
    idle: Arc<Idle>,
    past: Mutex<Past>,
}

impl Paged {
    /// A memory whose heap reads as zero, and is shown by its first view and nothing else. Answers that one's base.
    pub(super) fn new(bare: Bare, idle: &Arc<Idle>) -> (Self, NonNull<u8>) {
        let Bare { first, heap, past, .. } = bare;
        let base = first.base();
        let views = Mutex::new(vec![Arc::new(first)]);
        (Self { first_base: base.addr().get(), views, heap, idle: Arc::clone(idle), past: Mutex::new(past) }, base)
    }

    pub(super) fn first(&self) -> Option<Arc<View>> {
        self.views().first().cloned()
    }

    /// Builds a view and keeps it until [`Paged::forget`].
    pub(super) fn build_view(&self, len: usize, mounts: &[Mount], permits: [Permit; 2]) -> io::Result<Arc<View>> {
        let view = Arc::new(View::build(&self.heap, len, mounts, Some(permits))?);
        self.views().push(Arc::clone(&view));
        Ok(view)
    }

    pub(super) fn forget(&self, view: &Arc<View>) {
        self.views().retain(|kept| !Arc::ptr_eq(kept, view));
    }

    /// Shows the heap as far as `len` bytes in the view at `base`.
    pub(super) fn grow_to(&self, base: usize, len: usize) -> io::Result<()> {
        if len as u64 > self.heap.extent.range().len() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let views = self.views();
        let current = views.iter().find(|view| view.base().addr().get() == base);
        let current = current.ok_or_else(|| io::Error::other("bug: a memory's current view is not kept"))?;
        current.show_heap_to(&self.heap, len)
    }

    /// Where the view at `base` shows `len` bytes of the heap at `offset`, for writing. An error if it shows something else.
    pub(super) fn part_of_heap(&self, base: usize, offset: u64, len: usize) -> io::Result<NonNull<u8>> {
        let views = self.views();
        let view = views.iter().find(|view| view.base().addr().get() == base && view.shows_heap(offset, len as u64));
        let at = view.and_then(|view| NonNull::new(view.base().as_ptr().wrapping_add(offset as usize)));
        at.ok_or_else(|| io::Error::other("the heap is not shown where a region would be moved"))
    }

    /// What is known of the guests that had the heap.
    pub(super) fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what the current view shows: `hide` goes, `show` comes. Undoes what it did when it fails. What was written to
    /// frozen bytes in it goes with every change, as it does with another view.
    ///
    /// # Errors
    ///
    /// [`RemapError::Undone`] if nothing has changed, [`RemapError::Broken`] if the view is no longer whole.
    pub(super) fn remap(&self, view: &View, hide: &[Mount], show: &[Mount]) -> Result<(), RemapError> {
        if let Err(error) = view.discard_writes(&self.heap) {
            // Where that failed the view may show nothing now, instead of frozen bytes: tried once more.
            return Err(undo(view, error, || view.discard_writes(&self.heap)));
        }
        let show_again = |hidden: &[Mount]| hidden.iter().try_for_each(|mount| view.show(&self.heap, mount));
        for (done, mount) in hide.iter().enumerate() {
            if let Err(error) = view.hide_for(&self.heap, mount, show) {
                return Err(undo(view, error, || show_again(&hide[..=done])));
            }
        }
        for (done, mount) in show.iter().enumerate() {
            if let Err(error) = view.show(&self.heap, mount) {
                return Err(undo(view, error, || {
                    show[..=done].iter().try_for_each(|mount| view.hide(&self.heap, mount))?;
                    show_again(hide)
                }));
            }
        }
        Ok(())
    }

    /// The same for a view that is not current, in a heap of `len` bytes. What goes may be there no more, and not to be shown
    /// again: when this fails, the view shows the heap alone.
    ///
    /// # Errors
    ///
    /// [`RemapError::Undone`] if the view shows the heap alone, [`RemapError::Broken`] if it is no longer whole.
    pub(super) fn lay(&self, view: &View, len: usize, hide: &[Mount], show: &[Mount]) -> Result<(), RemapError> {
        let lay = || {
            hide.iter().try_for_each(|mount| view.hide_for(&self.heap, mount, show))?;
            view.discard_writes(&self.heap)?;
            // Before what comes, some of which may be behind the heap as it was shown.
            view.show_heap_to(&self.heap, len)?;
            show.iter().try_for_each(|mount| view.show(&self.heap, mount))
        };
        lay().map_err(|error| undo(view, error, || view.clear(&self.heap)))
    }

    fn views(&self) -> MutexGuard<'_, Vec<Arc<View>>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Paged {
    fn drop(&mut self) {
        let views = self.views.get_mut().unwrap_or_else(PoisonError::into_inner);
        if views.is_empty() {
            return;
        }
        let first = views.remove(0);
        // What they show is to be written over, which nobody should have mapped any more.
        views.clear();
        if let Some(first) = Arc::into_inner(first) {
            let heap = Heap { extent: self.heap.extent.take(), span: self.heap.span };
            let past = mem::take(&mut *self.past());
            self.idle.keep(Bare::of(first, heap, past));
        }
    }
}

fn undo(view: &View, error: io::Error, undo: impl FnOnce() -> io::Result<()>) -> RemapError {
    match undo() {
        Ok(()) => RemapError::Undone(error),
        Err(_) => {
            view.is_broken.store(true, Ordering::Relaxed);
            RemapError::Broken(error)
        }
    }
}

/// Why a view was not changed in place.
#[derive(Debug)]
pub(crate) enum RemapError {
    /// The system call's error; the view shows what it did before.
    Undone(io::Error),
    /// The system call's error; the view may have a hole, and must not be used again.
    Broken(io::Error),
}
