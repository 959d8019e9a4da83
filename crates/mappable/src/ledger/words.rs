//! The ledger's bytes, and access to them word by word.
//!
//! # Safety
//!
//! [`Words`] owns the bytes at its base: pages, or a block. It gives no reference to them.
//! Compiled code accesses them through the same base ([`Ledger::base`](super::Ledger::base)), which is handed to the
//! engine together with an owner of this ([`Memory`](crate::view::Memory)). The two take turns, for both run in calls
//! of one store; the words' accesses are atomic all the same, so that no promise of the engine's is needed for that.

#![allow(unsafe_code)]

use std::io;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::idle::{IdleLedgers, LedgerPages};
use super::layout::{MEMORY_GENERATION, PAGES_WITHOUT_BOUNCE};
use super::{Ledger, MemoryNumber};
use crate::GRANULE;
use crate::region::{Backing, Block};
use crate::sys::WriteCount;

/// The bytes of a ledger.
#[derive(Debug)]
pub(super) struct Words {
    /// The start of `len` bytes that can be read and written for as long as `bytes` is there.
    base: NonNull<u8>,
    len: usize,
    bytes: Bytes,
}

/// Who owns them.
#[derive(Debug)]
enum Bytes {
    /// `None` once they are given back.
    Pages(Option<LedgerPages>, Arc<IdleLedgers>),
    Block(#[expect(dead_code, reason = "owns the bytes")] Block),
}

// SAFETY: an owner of plain bytes, which are accessed atomically.
unsafe impl Send for Words {}
// SAFETY: as above.
unsafe impl Sync for Words {}

impl Words {
    /// Makes the words of a ledger, all zero. Their pages take no memory until they are touched, and go to `idle` on drop.
    pub(super) fn new(backing: &Arc<Backing>, idle: &Arc<IdleLedgers>) -> io::Result<Self> {
        if !backing.is_in_file() {
            let len = usize::try_from(u64::from(PAGES_WITHOUT_BOUNCE) * GRANULE).map_err(io::Error::other)?;
            let block = Block::new(len)?;
            return Ok(Self { base: block.base(), len, bytes: Bytes::Block(block) });
        }
        let pages = idle.take(backing)?;
        Ok(Self { base: pages.base(), len: pages.len(), bytes: Bytes::Pages(Some(pages), Arc::clone(idle)) })
    }

    pub(super) fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The word at `at`. Zero where there is none: who goes by a number checks it before, and what it leads to after.
    pub(super) fn get(&self, at: u32) -> u32 {
        self.word(at).map_or(0, |word| u32::from_le(word.load(Ordering::Relaxed)))
    }

    /// Sets the word at `at`, if there is one.
    pub(super) fn set(&self, at: u32, value: u32) {
        if let Some(word) = self.word(at) {
            word.store(value.to_le(), Ordering::Relaxed);
        }
    }

    /// Adds one to the count of 64 bits at `at`: whoever remembers it sees that something has changed.
    pub(super) fn advance(&self, at: u32) {
        let low = self.get(at).wrapping_add(1);
        self.set(at, low);
        if low == 0 {
            let high = at + size_of::<u32>() as u32;
            self.set(high, self.get(high).wrapping_add(1));
        }
    }

    /// Copies `len` bytes, whole words, to where others are.
    pub(super) fn copy(&self, from: u32, to: u32, len: u32) {
        for offset in (0..len).step_by(size_of::<u32>()) {
            self.set(to.saturating_add(offset), self.get(from.saturating_add(offset)));
        }
    }

    /// Has everything from `at` on, a multiple of the granule, read as zero and take no memory. Of a block nothing is
    /// cleared.
    pub(super) fn clear_from(&self, at: u32) -> io::Result<()> {
        match &self.bytes {
            Bytes::Pages(pages, _) => pages.as_ref().map_or(Ok(()), |pages| pages.free_from(u64::from(at))),
            Bytes::Block(_) => Ok(()),
        }
    }

    fn word(&self, at: u32) -> Option<&AtomicU32> {
        let at = usize::try_from(at).ok()?;
        let whole = at.is_multiple_of(align_of::<AtomicU32>()) && at.checked_add(size_of::<u32>())? <= self.len;
        debug_assert!(whole, "a word at {at}, of {} bytes", self.len);
        if !whole {
            return None;
        }
        // SAFETY: `at` is less than `len`, the bytes that there are from `base` on.
        let word = unsafe { self.base.add(at) };
        // SAFETY: four bytes of `len`, aligned (the base is that of a page or of a block of more than that), which are
        // there for as long as `self` is and accessed while compiled code does not run (the module's).
        Some(unsafe { AtomicU32::from_ptr(word.as_ptr().cast()) })
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        if let Bytes::Pages(pages, idle) = &mut self.bytes
            && let Some(pages) = pages.take()
        {
            idle.keep(pages);
        }
    }
}

impl Ledger {
    /// What the host's writes to frozen bytes in a memory advance: its generation, so that no cached transition leads to
    /// a view that was written to.
    pub(crate) fn write_count(self: &Arc<Self>, memory: MemoryNumber) -> Option<WriteCount> {
        let at = memory.record() + MEMORY_GENERATION;
        let high = at + size_of::<u32>() as u32;
        self.words.word(at).and(self.words.word(high))?;
        // SAFETY: both words are among those that there are from `base` on.
        let word = unsafe { self.words.base.add(at as usize) };
        // SAFETY: eight bytes of the ledger's, which is the owner and doesn't move them, aligned (`layout`).
        Some(unsafe { WriteCount::new(word.cast(), Arc::clone(self) as Arc<_>) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::layout;
    use crate::region::HugePages;

    #[test]
    fn a_ledger_reads_as_zero_and_ends_before_the_guard() {
        for backing in [Backing::in_file(HugePages::default(), 0).unwrap(), Backing::in_blocks()] {
            let words = Words::new(&backing, &IdleLedgers::new(0)).unwrap();
            let last = u32::try_from(words.len() - 4).unwrap();
            for at in [0, layout::FLIGHT, layout::CHUNKS, last] {
                assert_eq!(words.get(at), 0, "at {at}");
                words.set(at, at + 1);
            }
            assert_eq!(
                [0, layout::FLIGHT, layout::CHUNKS, last].map(|at| words.get(at)),
                [1, layout::FLIGHT + 1, layout::CHUNKS + 1, last + 1]
            );
        }
    }

    #[test]
    fn what_is_cleared_reads_as_zero_and_the_rest_stays() {
        let words = Words::new(&Backing::in_file(HugePages::default(), 0).unwrap(), &IdleLedgers::new(0)).unwrap();
        let last = layout::BOUNCE - 4;
        for at in [last, layout::BOUNCE, layout::BOUNCE + (100 << 20)] {
            words.set(at, 7);
        }
        words.clear_from(layout::BOUNCE).unwrap();
        assert_eq!([last, layout::BOUNCE, layout::BOUNCE + (100 << 20)].map(|at| words.get(at)), [7, 0, 0]);
    }

    #[test]
    fn counts_do_not_come_round() {
        let words = Words::new(&Backing::in_blocks(), &IdleLedgers::new(0)).unwrap();
        words.set(40, u32::MAX - 1);
        words.advance(40);
        words.advance(40);
        words.advance(40);
        assert_eq!([40, 44, 48].map(|at| words.get(at)), [1, 1, 0]);
    }

    #[test]
    fn words_are_little_endian() {
        let words = Words::new(&Backing::in_blocks(), &IdleLedgers::new(0)).unwrap();
        words.set(8, 0x0403_0201);
        // SAFETY: a byte of the words, which are there.
        let byte = unsafe { words.base().add(8) };
        // SAFETY: as above, and nobody writes.
        assert_eq!(unsafe { byte.read() }, 1);
    }
}
