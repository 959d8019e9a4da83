//! What a memory shows where that is not the host's alone to say: the ledger says it, between the host's calls.
//!
//! ```text
//!   LedgerRole
//!    ├ Guest     a guest's memory: its `SharedSelector` says which of the views that the host offers is current
//!    ├ Ledger    a trusted module's memory that is the ledger itself
//!    └ Window    a trusted module's memory that shows a guest's: the one that the ledger says
//! ```
//!
//! A driven memory shares the ledger, a window the [`Directory`] of guests' memories; no guest's memory has either the
//! directory or a window, so that nothing keeps itself.

use std::fmt;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, OnceLock};

use super::Memory;
use crate::ledger::layout::MAX_MEMORIES;
use crate::ledger::{Ledger, MemoryNumber};

/// What a memory is in a store that has a ledger. Once it has a role it keeps it.
#[derive(Debug)]
pub(super) enum LedgerRole {
    Guest(SharedSelector),
    Ledger(Arc<Ledger>),
    Window(Window),
}

/// How many views of a memory may be offered at once.
const SLOTS: usize = 63;

/// A guest's memory.
#[derive(Debug)]
pub(super) struct SharedSelector {
    ledger: Arc<Ledger>,
    number: MemoryNumber,
    /// The bases of views that are kept and show the heap as far as they must: slot `n - 1` is what selector `n` makes
    /// current. A slot that is null stands for no view.
    slots: Box<[AtomicPtr<u8>; SLOTS]>,
}

impl SharedSelector {
    pub(super) fn new(ledger: Arc<Ledger>, number: MemoryNumber) -> Self {
        Self { ledger, number, slots: Box::new([const { AtomicPtr::new(ptr::null_mut()) }; SLOTS]) }
    }

    /// The base of the current view, or `own` if the selector names none.
    pub(super) fn base(&self, own: *mut u8) -> *mut u8 {
        let slot = (self.ledger.selector(self.number) as usize).checked_sub(1).and_then(|slot| self.slots.get(slot));
        slot.map(|slot| slot.load(Ordering::Relaxed)).filter(|base| !base.is_null()).unwrap_or(own)
    }

    /// Offers the view at `base` and makes it current. If all slots are taken, those before are gone.
    pub(super) fn offer(&self, base: *mut u8) {
        let slot = self.find(base).or_else(|| self.find(ptr::null_mut())).unwrap_or_else(|| {
            self.keep_only(ptr::null_mut());
            0
        });
        self.slots[slot].store(base, Ordering::Relaxed);
        self.ledger.select(self.number, slot as u32 + 1);
    }

    /// Notes that a view that is offered shows frozen bytes between these granules of the memory.
    pub(super) fn note_frozen(&self, granules: Range<u32>) {
        self.ledger.note_frozen(self.number, granules);
    }

    /// Makes the host's own choice current.
    pub(super) fn deselect(&self) {
        self.ledger.select(self.number, 0);
    }

    /// Offers the view at `base` no more. It is not current.
    pub(super) fn revoke(&self, base: *mut u8) {
        if let Some(slot) = self.find(base) {
            self.slots[slot].store(ptr::null_mut(), Ordering::Relaxed);
            // A window may have been refreshed with it.
            self.advance_version();
            self.invalidate();
        }
    }

    /// Offers no other view than the one at `base` any more.
    pub(super) fn keep_only(&self, base: *mut u8) {
        for slot in self.slots.iter().filter(|slot| slot.load(Ordering::Relaxed) != base) {
            slot.store(ptr::null_mut(), Ordering::Relaxed);
        }
        self.invalidate();
    }

    /// Invalidates what is cached of the ways from view to view.
    pub(super) fn invalidate(&self) {
        self.ledger.advance_generation(self.number);
    }

    /// Notes that the memory's base or size is another one.
    pub(super) fn advance_version(&self) {
        self.ledger.advance_version(self.number);
    }

    /// Whether the ledger drives this memory as that number's.
    pub(super) fn is(&self, ledger: &Arc<Ledger>, number: MemoryNumber) -> bool {
        Arc::ptr_eq(&self.ledger, ledger) && self.number == number
    }

    fn find(&self, base: *mut u8) -> Option<usize> {
        self.slots.iter().position(|slot| slot.load(Ordering::Relaxed) == base)
    }
}

/// A memory that shows others: compiled code has what it last refreshed it with, though by then the ledger says that it
/// shows nobody (so that an address in which an access faults is one memory's alone).
#[derive(Debug)]
pub(super) struct Window {
    pub(super) ledger: Arc<Ledger>,
    pub(super) directory: Arc<Directory>,
    /// The number of the handle table whose record says what is shown.
    pub(super) table: u32,
}

impl Window {
    /// The memory that is shown, if there is one.
    pub(super) fn target(&self) -> Option<&Arc<Memory>> {
        self.directory.get(self.ledger.aim(self.table)?)
    }
}

/// The guests' memories of a store, by number number. They stay for as long as a window could show them.
pub(crate) struct Directory {
    chunks: Box<[OnceLock<Chunk>; CHUNKS]>,
}

const IN_CHUNK: usize = 64;
const CHUNKS: usize = (MAX_MEMORIES as usize).div_ceil(IN_CHUNK);

type Chunk = Box<[OnceLock<Arc<Memory>>; IN_CHUNK]>;

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").finish_non_exhaustive()
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self { chunks: Box::new([const { OnceLock::new() }; CHUNKS]) }
    }
}

impl Directory {
    pub(crate) fn insert(&self, number: MemoryNumber, memory: &Arc<Memory>) {
        let (block, index) = place(number);
        let block = self.chunks[block].get_or_init(|| Box::new([const { OnceLock::new() }; IN_CHUNK]));
        block[index].get_or_init(|| Arc::clone(memory));
    }

    fn get(&self, number: MemoryNumber) -> Option<&Arc<Memory>> {
        let (block, index) = place(number);
        self.chunks[block].get()?[index].get()
    }
}

/// A number number is less than [`MAX_MEMORIES`].
fn place(number: MemoryNumber) -> (usize, usize) {
    let number = number.get() as usize;
    (number / IN_CHUNK, number % IN_CHUNK)
}
