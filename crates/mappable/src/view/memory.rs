//! One linear memory: its bytes, its size, and the base that compiled code is to use.
//!
//! # Safety
//!
//! The engine's contract (`LinearMemory` in `wasmtime`, `src/runtime/memory.rs`) is that `as_ptr` is the start of
//! `byte_size` accessible bytes, followed by inaccessible ones up to the reservation and guard, and that they stay so
//! while the engine uses them. Every view meets it ([`View`] shows exactly the heap's size), and views are kept for as
//! long as the engine could have their base. A [`Block`] meets it where reservation and guard are nothing; the engine
//! takes its new base after each growth.
//!
//! [`Memory::exchange`], [`Memory::copy_in`] and [`Memory::copy_out`] access a block's bytes. They are called by the
//! context that drives the memory, in a host call of the store that the memory is in: compiled code does not run.

#![allow(unsafe_code)]

use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::LinearMemory;

use super::allowance::Permit;
use super::block::Block;
use super::creator::Memories;
use super::paged::{Heap, Paged, RemapError, View};
use super::{Mount, Strategy, Unmappable};
use crate::region::Charged;

/// Where a memory's bytes are.
#[derive(Debug)]
enum Body {
    Paged(Paged),
    Block(Mutex<Block>),
}

/// One linear memory.
#[derive(Debug)]
pub(crate) struct Memory {
    strategy: Result<Strategy, Unmappable>,
    /// What the engine is told when it asks: the base of the current view, which is kept and shows the heap as far as
    /// `size`, or of the block.
    base: AtomicPtr<u8>,
    /// The memory's size in bytes, as the guest sees it.
    size: AtomicUsize,
    /// Before the regions that it shows.
    body: Body,
    /// Whether a context drives this memory. At most one ever does.
    adopted: AtomicBool,
    /// Regions that a context left mapped here when it went. Kept while the memory can be looked at.
    orphans: Mutex<Vec<Charged>>,
}

impl Memory {
    /// A memory in pages, with one view.
    pub(super) fn in_pages(heap: Heap, strategy: Result<Strategy, Unmappable>, size: usize) -> io::Result<Self> {
        let (paged, base) = Paged::new(heap, size)?;
        Ok(Self::new(Body::Paged(paged), base, strategy, size))
    }

    /// A memory in a block, into which regions are copied if they can be mapped at all.
    pub(super) fn in_block(strategy: Result<Strategy, Unmappable>, size: usize) -> io::Result<Self> {
        let block = Block::new(size)?;
        let base = block.base();
        Ok(Self::new(Body::Block(Mutex::new(block)), base, strategy.map(|_| Strategy::Copy), size))
    }

    fn new(body: Body, base: NonNull<u8>, strategy: Result<Strategy, Unmappable>, size: usize) -> Self {
        Self {
            strategy,
            base: AtomicPtr::new(base.as_ptr()),
            size: AtomicUsize::new(size),
            body,
            adopted: AtomicBool::new(false),
            orphans: Mutex::default(),
        }
    }

    /// An address that no other memory has: of the first view, or of the block.
    pub(super) fn key(&self) -> usize {
        match &self.body {
            Body::Paged(paged) => paged.first_base,
            Body::Block(_) => self.base(),
        }
    }

    /// The address at which compiled code sees the memory.
    pub(crate) fn base(&self) -> usize {
        self.base.load(Ordering::Relaxed).addr()
    }

    pub(crate) fn size(&self) -> usize {
        self.size.load(Ordering::Relaxed)
    }

    /// How many addresses from the base on are this memory's and no other's.
    pub(crate) fn span(&self) -> usize {
        match &self.body {
            Body::Paged(paged) => paged.heap.span,
            Body::Block(_) => self.size(),
        }
    }

    pub(crate) fn strategy(&self) -> Result<Strategy, Unmappable> {
        self.strategy
    }

    /// Claims the memory for a context, which drives it from then on. `false` if another one does.
    pub(super) fn adopt(&self) -> bool {
        !self.adopted.swap(true, Ordering::Relaxed)
    }

    /// The view that shows the heap alone, of a memory in pages.
    pub(super) fn first_view(&self) -> Option<Arc<View>> {
        match &self.body {
            Body::Paged(paged) => paged.first(),
            Body::Block(_) => None,
        }
    }

    /// Builds a view of the heap and `mounts`, and keeps it until [`Memory::forget`].
    pub(super) fn build_view(&self, mounts: &[Mount], permits: [Permit; 2]) -> io::Result<Arc<View>> {
        self.paged()?.build_view(self.size(), mounts, permits)
    }

    /// Lets go of a view that is not current and whose base the engine no longer has.
    pub(super) fn forget(&self, view: &Arc<View>) {
        debug_assert_ne!(view.base().addr().get(), self.base(), "the current view is kept");
        if let Body::Paged(paged) = &self.body {
            paged.forget(view);
        }
    }

    /// Makes a view of this memory current. Compiled code must refresh its base before it goes on.
    pub(super) fn make_current(&self, view: &View) -> io::Result<()> {
        let heap = &self.paged()?.heap;
        view.discard_writes(heap)?;
        view.show_heap_to(heap, self.size())?;
        self.base.store(view.base().as_ptr(), Ordering::Relaxed);
        Ok(())
    }

    /// As [`Paged::remap`].
    pub(super) fn remap(&self, view: &View, hide: &[Mount], show: Option<&Mount>) -> Result<(), RemapError> {
        self.paged().map_err(RemapError::Undone)?.remap(view, hide, show)
    }

    fn paged(&self) -> io::Result<&Paged> {
        match &self.body {
            Body::Paged(paged) => Ok(paged),
            Body::Block(_) => Err(io::Error::other("bug: a memory in a block has no views")),
        }
    }

    /// Exchanges bytes of a memory in a block with others.
    pub(super) fn exchange(&self, offset: u64, with: &mut [u8]) -> io::Result<()> {
        let at = self.part_of_block(offset, with.len())?;
        // SAFETY: `part_of_block` gives as many bytes as `with` has, which is an allocation of its own. Nobody else
        // accesses them (the module's).
        unsafe { ptr::swap_nonoverlapping(at.as_ptr(), with.as_mut_ptr(), with.len()) };
        Ok(())
    }

    /// Copies bytes into a memory in a block.
    pub(super) fn copy_in(&self, offset: u64, from: &[u8]) -> io::Result<()> {
        let at = self.part_of_block(offset, from.len())?;
        // SAFETY: as in `exchange`.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), at.as_ptr(), from.len()) };
        Ok(())
    }

    /// Copies bytes out of a memory in a block.
    pub(super) fn copy_out(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let at = self.part_of_block(offset, into.len())?;
        // SAFETY: as in `exchange`.
        unsafe { ptr::copy_nonoverlapping(at.as_ptr(), into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    /// Where `len` bytes at `offset` are in the memory's block.
    fn part_of_block(&self, offset: u64, len: usize) -> io::Result<NonNull<u8>> {
        let bug = |what: &str| io::Error::other(format!("bug: {what}"));
        let Body::Block(block) = &self.body else { return Err(bug("a memory in pages is not copied into")) };
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        if offset.checked_add(len).is_none_or(|end| end > self.size()) {
            return Err(bug("bytes past the end of a memory"));
        }
        let base = block.lock().unwrap_or_else(PoisonError::into_inner).base();
        // SAFETY: the block has at least the memory's size, and `offset` is within that.
        Ok(unsafe { base.add(offset) })
    }

    /// Keeps regions that are still shown when their context goes.
    pub(super) fn keep(&self, regions: impl IntoIterator<Item = Charged>) {
        self.orphans.lock().unwrap_or_else(PoisonError::into_inner).extend(regions);
    }

    /// Makes the memory larger. Answers a block that it no longer uses.
    fn grow_to(&self, size: usize) -> io::Result<Option<Block>> {
        let mut left = None;
        match &self.body {
            Body::Paged(paged) => paged.grow_to(self.base(), size)?,
            Body::Block(block) => {
                let mut block = block.lock().unwrap_or_else(PoisonError::into_inner);
                if size > block.len() {
                    let grown = block.grown(size, self.size())?;
                    self.base.store(grown.base().as_ptr(), Ordering::Relaxed);
                    left = Some(std::mem::replace(&mut *block, grown));
                }
            }
        }
        self.size.store(size, Ordering::Relaxed);
        Ok(left)
    }
}

/// A [`Memory`] in the engine's hands.
pub(crate) struct Linear {
    pub(crate) memory: Arc<Memory>,
    pub(crate) memories: Arc<Memories>,
}

// SAFETY: as the module says. The base that `as_ptr` answers is that of the current view, which is kept, shows the
// heap as far as `byte_size`, and has nothing accessible from there to the end of reservation and guard; or that of the
// block, which has at least `byte_size` bytes.
unsafe impl LinearMemory for Linear {
    fn byte_size(&self) -> usize {
        self.memory.size()
    }

    fn byte_capacity(&self) -> usize {
        match &self.memory.body {
            // Growth never moves the base (swapping does), so all that the memory can ever have.
            Body::Paged(paged) => paged.heap.extent.range().len() as usize,
            Body::Block(block) => block.lock().unwrap_or_else(PoisonError::into_inner).len(),
        }
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        let key = self.memory.key();
        let left = self.memory.grow_to(new_size)?;
        // Before its addresses can be another memory's.
        self.memories.moved(key, &self.memory);
        drop(left);
        Ok(())
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
