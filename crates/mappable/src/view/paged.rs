//! Views: the address ranges in which a linear memory in pages is seen.
//!
//! ```text
//!   Paged        the heap's pages, and the views of them that are kept
//!    └ View      one address range that shows the heap and, at their placements, regions
//! ```

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Mount;
use super::allowance::Permit;
use crate::GRANULE;
use crate::region::Extent;
use crate::sys::{self, Access, Guard, Space};

/// An address range that shows a memory's heap and, at their placements, regions.
#[derive(Debug)]
pub(crate) struct View {
    /// Of what is shown for reading alone. They go before the addresses do, which may then be others'.
    guards: Mutex<Vec<(Mount, Guard)>>,
    /// Whether there are guards: asked when the view is made current, without the lock.
    is_guarded: AtomicBool,
    space: Space,
    /// How much of the heap is shown, in bytes: whole granules. Beyond it nothing is accessible.
    heap_shown: AtomicUsize,
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
        let space = Space::reserve(heap.span)?;
        let (guards, is_guarded, heap_shown) = (Mutex::default(), AtomicBool::new(false), AtomicUsize::new(0));
        let view = Self { guards, is_guarded, space, heap_shown, _permits: permits };
        view.show_heap_to(heap, heap_len)?;
        mounts.iter().try_for_each(|mount| view.show(heap, mount))?;
        Ok(view)
    }

    pub(super) fn base(&self) -> NonNull<u8> {
        self.space.base()
    }

    /// Shows the heap as far as `len` bytes, if it is not shown so far already.
    pub(super) fn show_heap_to(&self, heap: &Heap, len: usize) -> io::Result<()> {
        let shown = self.heap_shown.load(Ordering::Relaxed);
        let len = len.next_multiple_of(GRANULE as usize);
        if len > shown {
            self.show_heap(heap, shown, len - shown)?;
            self.heap_shown.store(len, Ordering::Relaxed);
        }
        Ok(())
    }

    fn show_heap(&self, heap: &Heap, at: usize, len: usize) -> io::Result<()> {
        let source = heap.extent.source();
        let start = source.range.start() + at as u64;
        heap.extent.backing().with_file(source.file, |file| self.space.map(at, file, start, len, Access::Write))
    }

    /// Shows a region in place of the heap.
    pub(super) fn show(&self, heap: &Heap, mount: &Mount) -> io::Result<()> {
        let (at, len, source) = (mount.offset() as usize, mount.len() as usize, mount.source());
        heap.extent
            .backing()
            .with_file(source.file, |file| self.space.map(at, file, source.range.start(), len, mount.access()))?;
        if mount.access() == Access::Read {
            let start = self.base().addr().get() + at;
            let mut guards = self.guards();
            guards.retain(|(guarded, _)| guarded != mount);
            guards.push((*mount, Guard::new(start..start + len)));
            self.is_guarded.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Shows the heap again in place of a region.
    pub(super) fn hide(&self, heap: &Heap, mount: &Mount) -> io::Result<()> {
        self.show_heap(heap, mount.offset() as usize, mount.len() as usize)?;
        if mount.access() == Access::Read {
            let mut guards = self.guards();
            guards.retain(|(guarded, _)| guarded != mount);
            self.is_guarded.store(!guards.is_empty(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Shows again what is frozen wherever the host has written to it since. The view is not current, or about to change.
    pub(super) fn discard_writes(&self, heap: &Heap) -> io::Result<()> {
        if !self.is_guarded.load(Ordering::Relaxed) || sys::faults() == 0 {
            return Ok(());
        }
        let dirty = |(mount, guard): &(Mount, Guard)| guard.is_dirty().then_some(*mount);
        let dirty: Vec<Mount> = self.guards().iter().filter_map(dirty).collect();
        dirty.iter().try_for_each(|mount| self.show(heap, mount))
    }

    /// Frees the memory that the host's writes have taken. The view is not current, nor the one before.
    pub(super) fn free_writes(&self) {
        if !self.is_guarded.load(Ordering::Relaxed) || sys::faults() == 0 {
            return;
        }
        for (mount, _) in self.guards().iter().filter(|(_, guard)| guard.is_dirty()) {
            if let Err(error) = self.space.discard(mount.offset() as usize, mount.len() as usize) {
                tracing::warn!(%error, "pages that were written to were not freed");
            }
        }
    }

    fn guards(&self) -> MutexGuard<'_, Vec<(Mount, Guard)>> {
        self.guards.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
}

impl Paged {
    /// With one view, which shows `len` bytes of the heap. Answers its base.
    pub(super) fn new(heap: Heap, len: usize) -> io::Result<(Self, NonNull<u8>)> {
        let first = View::build(&heap, len, &[], None)?;
        let base = first.base();
        Ok((Self { first_base: base.addr().get(), views: Mutex::new(vec![Arc::new(first)]), heap }, base))
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

    /// Changes what a view shows: `hide` goes, `show` comes. Undoes what it did when it fails. What was written to frozen
    /// bytes in it goes with every change, as it does with another view.
    ///
    /// # Errors
    ///
    /// [`RemapError::Undone`] if nothing has changed, [`RemapError::Broken`] if the view is no longer whole.
    pub(super) fn remap(&self, view: &View, hide: &[Mount], show: Option<&Mount>) -> Result<(), RemapError> {
        if let Err(error) = view.discard_writes(&self.heap) {
            // Where that failed the view may show nothing now, instead of frozen bytes: tried once more.
            return Err(undo(error, || view.discard_writes(&self.heap)));
        }
        for (done, mount) in hide.iter().enumerate() {
            if let Err(error) = view.hide(&self.heap, mount) {
                return Err(undo(error, || hide[..=done].iter().try_for_each(|m| view.show(&self.heap, m))));
            }
        }
        if let Some(mount) = show
            && let Err(error) = view.show(&self.heap, mount)
        {
            return Err(undo(error, || {
                view.hide(&self.heap, mount)?;
                hide.iter().try_for_each(|m| view.show(&self.heap, m))
            }));
        }
        Ok(())
    }

    fn views(&self) -> MutexGuard<'_, Vec<Arc<View>>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn undo(error: io::Error, undo: impl FnOnce() -> io::Result<()>) -> RemapError {
    match undo() {
        Ok(()) => RemapError::Undone(error),
        Err(_) => RemapError::Broken(error),
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
