//! One linear memory: its heap, its views, and which of them compiled code is to use.
//!
//! # Safety
//!
//! The engine's contract (`LinearMemory` in `wasmtime`, `src/runtime/memory.rs`) is that `as_ptr` is the start of
//! `byte_size` accessible bytes, followed by inaccessible ones up to the reservation and guard, and that they stay so
//! while the engine uses them. Every view meets it ([`View::show_heap_to`] maps exactly the heap's size), and views
//! are kept, in [`Memory::views`], for as long as the engine could have their base.

#![allow(unsafe_code)]

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::LinearMemory;

use super::creator::{Memories, Permit};
use super::{Mount, Strategy, Unmappable};
use crate::GRANULE;
use crate::Mappable;
use crate::region::Extent;
use crate::sys::Space;

/// An address range that shows a memory's heap and, at their placements, regions.
#[derive(Debug)]
pub(crate) struct View {
    space: Space,
    /// How much of the heap is shown, in bytes: whole granules. Beyond it nothing is accessible.
    heap_shown: AtomicUsize,
    /// Held by every view but a memory's first.
    _permit: Option<Permit>,
}

impl View {
    fn build(heap: &Heap, heap_len: usize, mounts: &[Mount], permit: Option<Permit>) -> io::Result<Self> {
        let space = Space::reserve(heap.span)?;
        let view = Self { space, heap_shown: AtomicUsize::new(0), _permit: permit };
        view.show_heap_to(heap, heap_len)?;
        mounts.iter().try_for_each(|mount| view.show(heap, mount))?;
        Ok(view)
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.space.base()
    }

    /// Shows the heap as far as `len` bytes, if it is not shown so far already.
    fn show_heap_to(&self, heap: &Heap, len: usize) -> io::Result<()> {
        let shown = self.heap_shown.load(Ordering::Relaxed);
        let len = len.next_multiple_of(GRANULE as usize);
        if len > shown {
            let start = heap.extent.range().start() + shown as u64;
            self.space.map(shown, heap.extent.file(), start, len - shown)?;
            self.heap_shown.store(len, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Shows a region in place of the heap.
    fn show(&self, heap: &Heap, mount: &Mount) -> io::Result<()> {
        let range = mount.range();
        self.space.map(mount.offset() as usize, heap.extent.file(), range.start(), range.len() as usize)
    }

    /// Shows the heap again in place of a region.
    fn hide(&self, heap: &Heap, mount: &Mount) -> io::Result<()> {
        let start = heap.extent.range().start() + mount.offset();
        self.space.map(mount.offset() as usize, heap.extent.file(), start, mount.range().len() as usize)
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

/// One linear memory.
#[derive(Debug)]
pub(crate) struct Memory {
    strategy: Result<Strategy, Unmappable>,
    /// The address at which the first view begins. No other memory has it: the first view is never forgotten.
    first_base: usize,
    /// The base of the current view: what the engine is told when it asks. That view is in `views`, and shows the
    /// heap as far as `size`.
    base: AtomicPtr<u8>,
    /// The memory's size in bytes, as the guest sees it.
    size: AtomicUsize,
    /// The views whose base the engine may have: the current one, the one before, and those that are cached.
    views: Mutex<Vec<Arc<View>>>,
    /// After the views in which it is shown.
    heap: Heap,
    /// Whether a context drives this memory. At most one ever does.
    adopted: AtomicBool,
    /// Regions that a context left mapped here when it went. Kept while the memory can be looked at.
    orphans: Mutex<Vec<Mappable>>,
}

impl Memory {
    pub(crate) fn new(heap: Heap, strategy: Result<Strategy, Unmappable>, size: usize) -> io::Result<Self> {
        let first = View::build(&heap, size, &[], None)?;
        Ok(Self {
            strategy,
            first_base: first.base().addr().get(),
            base: AtomicPtr::new(first.base().as_ptr()),
            size: AtomicUsize::new(size),
            views: Mutex::new(vec![Arc::new(first)]),
            heap,
            adopted: AtomicBool::new(false),
            orphans: Mutex::default(),
        })
    }

    pub(crate) fn first_base(&self) -> usize {
        self.first_base
    }

    /// The address at which the current view begins.
    pub(crate) fn base(&self) -> usize {
        self.base.load(Ordering::Relaxed).addr()
    }

    pub(crate) fn size(&self) -> usize {
        self.size.load(Ordering::Relaxed)
    }

    pub(crate) fn strategy(&self) -> Result<Strategy, Unmappable> {
        self.strategy
    }

    pub(crate) fn heap(&self) -> &Extent {
        &self.heap.extent
    }

    /// Claims the memory for a context, which drives it from then on. `None` if another one does.
    pub(crate) fn adopt(&self) -> Option<Arc<View>> {
        if self.adopted.swap(true, Ordering::Relaxed) {
            return None;
        }
        self.views().first().cloned()
    }

    /// Builds a view of the heap and `mounts`, and keeps it until [`Memory::forget`].
    pub(crate) fn build_view(&self, mounts: &[Mount], permit: Permit) -> io::Result<Arc<View>> {
        let view = Arc::new(View::build(&self.heap, self.size(), mounts, Some(permit))?);
        self.views().push(Arc::clone(&view));
        Ok(view)
    }

    /// Lets go of a view that is not current and whose base the engine no longer has.
    pub(crate) fn forget(&self, view: &Arc<View>) {
        debug_assert_ne!(view.base().addr().get(), self.base(), "the current view is kept");
        self.views().retain(|kept| !Arc::ptr_eq(kept, view));
    }

    /// Makes a view of this memory current. Compiled code must refresh its base before it goes on.
    pub(crate) fn make_current(&self, view: &View) -> io::Result<()> {
        view.show_heap_to(&self.heap, self.size())?;
        self.base.store(view.base().as_ptr(), Ordering::Relaxed);
        Ok(())
    }

    /// Changes what a view shows: `hide` goes, `show` comes. Undoes what it did when it fails.
    ///
    /// # Errors
    ///
    /// [`RemapError::Undone`] if nothing has changed, [`RemapError::Broken`] if the view is no longer whole.
    pub(crate) fn remap(&self, view: &View, hide: &[Mount], show: Option<&Mount>) -> Result<(), RemapError> {
        for (done, mount) in hide.iter().enumerate() {
            if let Err(error) = view.hide(&self.heap, mount) {
                return Err(self.undo(error, || hide[..=done].iter().try_for_each(|m| view.show(&self.heap, m))));
            }
        }
        if let Some(mount) = show
            && let Err(error) = view.show(&self.heap, mount)
        {
            return Err(self.undo(error, || {
                view.hide(&self.heap, mount)?;
                hide.iter().try_for_each(|m| view.show(&self.heap, m))
            }));
        }
        Ok(())
    }

    fn undo(&self, error: io::Error, undo: impl FnOnce() -> io::Result<()>) -> RemapError {
        match undo() {
            Ok(()) => RemapError::Undone(error),
            Err(_) => RemapError::Broken(error),
        }
    }

    /// Keeps regions that are still shown when their context goes.
    pub(crate) fn keep(&self, regions: impl IntoIterator<Item = Mappable>) {
        self.orphans.lock().unwrap_or_else(PoisonError::into_inner).extend(regions);
    }

    fn grow_to(&self, size: usize) -> io::Result<()> {
        if size as u64 > self.heap.extent.range().len() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let base = self.base();
        let views = self.views();
        let current = views.iter().find(|view| view.base().addr().get() == base);
        let current = current.ok_or_else(|| io::Error::other("bug: a memory's current view is not kept"))?;
        current.show_heap_to(&self.heap, size)?;
        self.size.store(size, Ordering::Relaxed);
        Ok(())
    }

    fn views(&self) -> MutexGuard<'_, Vec<Arc<View>>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
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

/// A [`Memory`] in the engine's hands.
pub(crate) struct Linear {
    pub(crate) memory: Arc<Memory>,
    pub(crate) memories: Arc<Memories>,
}

// SAFETY: as the module says. The base that `as_ptr` answers is that of the current view, which is kept, shows the
// heap as far as `byte_size`, and has nothing accessible from there to the end of reservation and guard.
unsafe impl LinearMemory for Linear {
    fn byte_size(&self) -> usize {
        self.memory.size()
    }

    fn byte_capacity(&self) -> usize {
        // Growth never moves the base (swapping does), so all that the memory can ever have.
        self.memory.heap.extent.range().len() as usize
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        Ok(self.memory.grow_to(new_size)?)
    }

    fn as_ptr(&self) -> *mut u8 {
        self.memory.base.load(Ordering::Relaxed)
    }
}

impl Drop for Linear {
    fn drop(&mut self) {
        self.memories.remove(&self.memory);
    }
}
