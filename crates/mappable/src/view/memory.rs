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
//! A memory with a [`LedgerRole`] shows what the ledger says: one of its own views that are kept and show the heap as far
//! as `byte_size` (a slot of [`SharedSelector`]; growth empties the others); the ledger, which is kept, has as many
//! accessible bytes as is said and inaccessible ones behind them as any memory; or another memory, which is kept, with that
//! one's size. So what `as_ptr` and `byte_size` return belongs together whatever the ledger says.
//!
//! [`Memory::exchange`], [`Memory::copy_in`] and [`Memory::copy_out`] access a block's bytes, the first also a heap's.
//! They are called by the context that drives the memory, in a host call of the store that the memory is in: compiled
//! code does not run.

#![allow(unsafe_code)]

use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::allowance::Permit;
use super::idle::{Idle, IdleMemory};
use super::paged::{Paged, RemapError};
use super::role::{Directory, LedgerRole, SharedSelector, Window};
use super::view::View;
use super::{Mount, Strategy, Unmappable};
use crate::GRANULE;
use crate::ledger::{Ledger, MemoryNumber};
use crate::region::{Block, Charged};
use crate::sys::Budget;

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
    /// What the engine is told when it asks, unless `role` says otherwise: the base of the current view, which is kept and
    /// shows the heap as far as `size`, or of the block.
    base: AtomicPtr<u8>,
    /// The memory's size in bytes, as the guest sees it.
    size: AtomicUsize,
    /// Before the regions that it shows.
    body: Body,
    /// Whether a context drives this memory. At most one ever does.
    adopted: AtomicBool,
    /// What it is to a ledger. None, of most.
    role: OnceLock<LedgerRole>,
    /// Regions that a context left mapped here when it went. Kept while the memory can be looked at.
    orphans: Mutex<Vec<Charged>>,
}

impl Memory {
    /// A memory in pages, whose first view shows `size` bytes.
    pub(super) fn in_pages(
        bare: IdleMemory,
        idle: &Arc<Idle>,
        strategy: Result<Strategy, Unmappable>,
        size: usize,
    ) -> Self {
        let (paged, base) = Paged::new(bare, idle);
        Self::new(Body::Paged(paged), base, strategy, size)
    }

    /// A memory in a block with room for `room` bytes, if they can be had. Regions are copied into it if they can be mapped
    /// at all.
    pub(super) fn in_block(strategy: Result<Strategy, Unmappable>, size: usize, room: usize) -> io::Result<Self> {
        let block = Block::roomy(size, room)?;
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
            role: OnceLock::new(),
            orphans: Mutex::default(),
        }
    }

    /// An address that no other memory has: of the first view, or of the block.
    pub(super) fn key(&self) -> usize {
        match &self.body {
            Body::Paged(paged) => paged.first_base,
            Body::Block(_) => self.base.load(Ordering::Relaxed).addr(),
        }
    }

    /// The address at which compiled code sees the memory.
    #[inline]
    pub(crate) fn base(&self) -> usize {
        self.shown().addr()
    }

    /// What the engine is told when it asks for the base.
    #[inline]
    pub(super) fn shown(&self) -> *mut u8 {
        let own = self.base.load(Ordering::Relaxed);
        self.role.get().map_or(own, |role| shown_as(role, own))
    }

    /// What the engine is told when it asks for the size.
    pub(super) fn shown_size(&self) -> usize {
        match self.role.get() {
            None | Some(LedgerRole::Guest(_)) => self.size(),
            Some(LedgerRole::Ledger(ledger)) => ledger.len(),
            Some(LedgerRole::Window(window)) => window.target().map_or(self.size(), |target| target.size()),
        }
    }

    /// What the engine is told when it asks how large the memory gets without a new base.
    pub(super) fn capacity(&self) -> usize {
        if let Some(LedgerRole::Ledger(_) | LedgerRole::Window(_)) = self.role.get() {
            return self.shown_size();
        }
        match &self.body {
            // Growth never moves the base (swapping does), so all that the memory can ever have.
            Body::Paged(paged) => paged.heap.extent.range().len() as usize,
            Body::Block(block) => block.lock().unwrap_or_else(PoisonError::into_inner).len(),
        }
    }

    #[inline]
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

    /// Whether a context drives the memory.
    pub(crate) fn is_adopted(&self) -> bool {
        self.adopted.load(Ordering::Relaxed)
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
        if let Some(driven) = self.driven() {
            driven.revoke(view.base().as_ptr());
        }
        if let Body::Paged(paged) = &self.body {
            paged.forget(view);
        }
    }

    /// Makes a view of this memory current. Compiled code must refresh its base before it goes on.
    #[inline]
    pub(super) fn make_current(&self, view: &View) -> io::Result<()> {
        if !view.is_ready(self.size()) {
            self.make_ready(view)?;
        }
        self.base.store(view.base().as_ptr(), Ordering::Relaxed);
        if let Some(driven) = self.driven() {
            driven.deselect();
            driven.advance_version();
        }
        Ok(())
    }

    fn make_ready(&self, view: &View) -> io::Result<()> {
        let heap = &self.paged()?.heap;
        view.discard_writes(heap)?;
        view.show_heap_to(heap, self.size())
    }

    /// Has the ledger drive a memory that its context has adopted. `false` if it can't.
    pub(super) fn drive(&self, ledger: &Arc<Ledger>, number: MemoryNumber) -> bool {
        if self.role.get().is_none()
            && let Body::Paged(paged) = &self.body
            && !ledger.write_count(number).is_some_and(|writes| paged.count_writes(writes))
        {
            return false;
        }
        let role = self.role.get_or_init(|| LedgerRole::Guest(SharedSelector::new(Arc::clone(ledger), number)));
        matches!(role, LedgerRole::Guest(driven) if driven.is(ledger, number))
    }

    /// Makes the memory show the ledger. Only one that is fresh can: of one page, whose base may move, and nobody's.
    pub(crate) fn join(&self, ledger: &Arc<Ledger>) -> bool {
        self.take_role(|| LedgerRole::Ledger(Arc::clone(ledger)))
    }

    /// Makes the memory show what the record of a handle table says. Only one that is fresh can.
    pub(crate) fn become_window(&self, ledger: &Arc<Ledger>, directory: &Arc<Directory>, table: u32) -> bool {
        let window = || Window { ledger: Arc::clone(ledger), directory: Arc::clone(directory), table };
        matches!(self.body, Body::Paged(_)) && self.take_role(|| LedgerRole::Window(window()))
    }

    fn take_role(&self, role: impl FnOnce() -> LedgerRole) -> bool {
        let may_move = matches!(self.strategy, Ok(Strategy::Swap | Strategy::Copy));
        let fresh = may_move && self.size() as u64 == GRANULE && self.role.get().is_none() && self.adopt();
        fresh && self.role.set(role()).is_ok()
    }

    #[inline]
    pub(super) fn driven(&self) -> Option<&SharedSelector> {
        match self.role.get() {
            Some(LedgerRole::Guest(driven)) => Some(driven),
            _ => None,
        }
    }

    /// Has what is written to private mappings in the memory charged from here on.
    pub(super) fn charge(&self, budget: &Arc<Budget>) {
        if let Body::Paged(paged) = &self.body {
            paged.heap.charge(budget);
        }
    }

    /// Makes what the ledger has made current the host's own choice, too. Returns the base.
    pub(super) fn take_in_selected(&self) -> usize {
        let shown = self.shown();
        self.base.store(shown, Ordering::Relaxed);
        shown.addr()
    }

    /// As [`Paged::remap`].
    pub(super) fn remap(&self, view: &View, hide: &[Mount], show: &[Mount]) -> Result<(), RemapError> {
        self.paged().map_err(RemapError::Undone)?.remap(view, hide, show)
    }

    /// As [`Paged::remap_unused`].
    pub(super) fn remap_unused(&self, view: &View, hide: &[Mount], show: &[Mount]) -> Result<(), RemapError> {
        self.paged().map_err(RemapError::Undone)?.remap_unused(view, self.size(), hide, show)
    }

    /// As [`SlotHistory::has_pages`](super::idle::SlotHistory::has_pages).
    pub(super) fn has_pages(&self, offset: u64) -> bool {
        matches!(&self.body, Body::Paged(paged) if paged.past().has_pages(offset))
    }

    /// Notes that a region was moved there.
    pub(super) fn note_moved(&self, offset: u64) {
        if let Body::Paged(paged) = &self.body {
            paged.past().note_moved(offset);
        }
    }

    fn paged(&self) -> io::Result<&Paged> {
        match &self.body {
            Body::Paged(paged) => Ok(paged),
            Body::Block(_) => Err(io::Error::other("bug: a memory in a block has no views")),
        }
    }

    /// Exchanges bytes of a memory in a block, or of a heap where the current view shows it, with others.
    pub(super) fn exchange(&self, offset: u64, with: &mut [u8]) -> io::Result<()> {
        let at = match &self.body {
            Body::Block(_) => self.part_of_block(offset, with.len())?,
            Body::Paged(paged) => paged.part_of_heap(self.base(), offset, with.len())?,
        };
        // SAFETY: both give as many accessible bytes as `with` has, which are others: another allocation, or a region's
        // window, and no region is shown there. Nobody else accesses them (the module's).
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

    /// Makes the memory larger. Returns a block that it no longer uses.
    pub(super) fn grow_to(&self, size: usize) -> io::Result<Option<Block>> {
        if let Some(LedgerRole::Ledger(_) | LedgerRole::Window(_)) = self.role.get() {
            let same = size == self.shown_size();
            return if same { Ok(None) } else { Err(io::Error::other("bug: a trusted module's memory is to grow")) };
        }
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
        if let Some(driven) = self.driven() {
            // The other views do not show the heap so far.
            driven.keep_only(self.shown());
            driven.advance_version();
        }
        Ok(left)
    }
}

/// The base of a memory with that role, whose own choice is `own`.
fn shown_as(role: &LedgerRole, own: *mut u8) -> *mut u8 {
    match role {
        LedgerRole::Guest(driven) => driven.base(own),
        LedgerRole::Ledger(ledger) => ledger.base(),
        // What a window shows is never a window.
        LedgerRole::Window(window) => window.target().map_or(own, |target| target.shown()),
    }
}
