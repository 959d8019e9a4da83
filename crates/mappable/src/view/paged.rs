//! A linear memory in pages: its heap, and the views of it that are kept.
//!
//! ```text
//!   Paged        the heap's pages, and the views of them that are kept
//!    └ View      one address range that shows the heap and, at their placements, regions
//! ```

use std::io;
use std::mem;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Mount;
use super::allowance::Permit;
use super::idle::{Idle, IdleMemory, SlotHistory};
use super::view::{Heap, View};
use crate::sys::{self, WriteCount};

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
    past: Mutex<SlotHistory>,
}

impl Paged {
    /// A memory whose heap reads as zero, and is shown by its first view and nothing else. Returns that one's base.
    pub(super) fn new(bare: IdleMemory, idle: &Arc<Idle>) -> (Self, NonNull<u8>) {
        let IdleMemory { first, heap, past, .. } = bare;
        let base = first.base();
        let views = Mutex::new(vec![Arc::new(first)]);
        (Self { first_base: base.addr().get(), views, heap, idle: Arc::clone(idle), past: Mutex::new(past) }, base)
    }

    pub(super) fn first(&self) -> Option<Arc<View>> {
        self.views().first().cloned()
    }

    /// Has the host's writes to frozen bytes counted. `false` if a view shows such already.
    pub(super) fn count_writes(&self, writes: WriteCount) -> bool {
        let views = self.views();
        let none = !views.iter().any(|view| view.is_guarded());
        if none {
            self.heap.count_writes(writes);
        }
        none
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
    pub(super) fn past(&self) -> MutexGuard<'_, SlotHistory> {
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
        // What was written to a private one can't be shown again, so those go last.
        let (private, mut hide): (Vec<Mount>, Vec<Mount>) = hide.iter().partition(|mount| mount.is_private());
        hide.extend(private);
        for (done, mount) in hide.iter().enumerate() {
            let Err(error) = view.hide_for(&self.heap, mount, show) else { continue };
            if !(mount.is_private() && show.is_empty()) {
                return Err(undo(view, error, || show_again(&hide[..=done])));
            }
            if let Err(error) = view.hide(&self.heap, mount) {
                view.note_broken();
                return Err(RemapError::Broken(error));
            }
        }
        for (done, mount) in show.iter().enumerate() {
            if let Err(error) = view.show(&self.heap, mount) {
                return Err(undo(view, error, || {
                    show[..=done].iter().try_for_each(|mount| view.hide(&self.heap, mount))?;
                    show_again(&hide)
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
    pub(super) fn remap_unused(
        &self,
        view: &View,
        len: usize,
        hide: &[Mount],
        show: &[Mount],
    ) -> Result<(), RemapError> {
        let remap = || {
            hide.iter().try_for_each(|mount| view.hide_for(&self.heap, mount, show))?;
            view.discard_writes(&self.heap)?;
            // Before what comes, some of which may be behind the heap as it was shown.
            view.show_heap_to(&self.heap, len)?;
            show.iter().try_for_each(|mount| view.show(&self.heap, mount))
        };
        remap().map_err(|error| undo(view, error, || view.clear(&self.heap)))
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
            let heap = Heap::new(self.heap.extent.take(), self.heap.span);
            let past = mem::take(&mut *self.past());
            self.idle.keep(IdleMemory::of(first, heap, past));
        }
    }
}

fn undo(view: &View, error: io::Error, undo: impl FnMut() -> io::Result<()>) -> RemapError {
    match sys::with_spare_mappings(undo) {
        Ok(()) => RemapError::Undone(error),
        Err(_) => {
            view.note_broken();
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
