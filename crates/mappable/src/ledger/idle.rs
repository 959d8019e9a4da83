//! Ledgers that nobody uses any more, kept for the stores that are made next: an address range, the pages behind it, and the
//! mapping of the one into the other are what making a ledger costs.
//!
//! A store must see nothing of what the ledger said to the one before. So before it is kept, all pages that were touched are
//! written over with zeroes, or freed.
//!
//! # Safety
//!
//! [`LedgerPages::zero`] writes to the pages. [`LedgerPages`] owns them, and the only addresses at which they are seen; who
//! gave it up ([`Words`](super::words::Words), on drop) has let go of all that used them.

#![allow(unsafe_code)]

use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::layout::{BOUNCE, PAGES};
use crate::GRANULE;
use crate::region::{Backing, Extent, GUARD, Runs, SPAN, Touched};
use crate::sys::{Access, Space};
use crate::tuning::LEDGER_RESIDENT;

/// The ledgers of a runtime that are idle.
#[derive(Debug)]
pub(crate) struct IdleLedgers {
    max: usize,
    /// Each reads as zero. The one that came last is the last.
    kept: Mutex<Vec<LedgerPages>>,
}

/// The bytes of a ledger in pages, with as much behind them that is inaccessible as behind those of any memory.
#[derive(Debug)]
pub(super) struct LedgerPages {
    /// The addresses go before the pages do.
    space: Space,
    extent: Extent,
    /// Pages that there are, and were when it was last kept.
    known: Runs,
}

impl IdleLedgers {
    /// Keeps up to `max` ledgers.
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, kept: Mutex::default() })
    }

    /// A ledger that reads as zero.
    pub(super) fn take(&self, backing: &Arc<Backing>) -> io::Result<LedgerPages> {
        let kept = self.lock().pop();
        kept.map_or_else(|| LedgerPages::new(backing), Ok)
    }

    /// Keeps a ledger that nobody uses, if it can be made to read as zero.
    pub(super) fn keep(&self, mut pages: LedgerPages) {
        if self.lock().len() >= self.max {
            return;
        }
        if let Err(error) = pages.clear() {
            tracing::debug!(%error, "a ledger was not kept");
            return;
        }
        let mut kept = self.lock();
        if kept.len() < self.max {
            kept.push(pages);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<LedgerPages>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LedgerPages {
    fn new(backing: &Arc<Backing>) -> io::Result<Self> {
        let len = usize::try_from(u64::from(PAGES) * GRANULE).map_err(io::Error::other)?;
        let extent = backing.take(len as u64).ok_or(io::ErrorKind::OutOfMemory)?;
        let space = Space::reserve(usize::try_from(SPAN + GUARD).map_err(io::Error::other)?, 0)?;
        let source = extent.source();
        backing.with_file(source.file, |file| space.map(0, file, source.range.start(), len, Access::Write))?;
        Ok(Self { space, extent, known: Runs::new() })
    }

    pub(super) fn base(&self) -> NonNull<u8> {
        self.space.base()
    }

    /// How many bytes can be read and written from the base on.
    pub(super) fn len(&self) -> usize {
        self.extent.range().len() as usize
    }

    /// Has everything from `at` on read as zero and take no memory.
    pub(super) fn free_from(&self, at: u64) -> io::Result<()> {
        self.extent.punch(at..self.extent.range().len())
    }

    /// Makes all of it read as zero. Up to [`LEDGER_RESIDENT`] bytes of what was used stay resident.
    fn clear(&mut self) -> io::Result<()> {
        let Touched { mut runs, mut rest } = self.extent.touched(u64::from(BOUNCE), &self.known)?;
        let mut left = LEDGER_RESIDENT;
        let keeps = runs.iter().take_while(|run| {
            let len = run.end - run.start;
            let fits = len <= left;
            left = left.saturating_sub(len);
            fits
        });
        let keeps = keeps.count();
        rest = runs.get(keeps).map(|run| run.start).or(rest);
        runs.truncate(keeps);
        runs.iter().try_for_each(|run| self.zero(run))?;
        self.known = runs;
        rest.map_or(Ok(()), |rest| self.free_from(rest))
    }

    fn zero(&mut self, range: &Range<u64>) -> io::Result<()> {
        if range.start > range.end || range.end > self.len() as u64 {
            return Err(io::Error::other("bug: bytes past the end of a ledger"));
        }
        let start = self.base().as_ptr().wrapping_add(range.start as usize);
        // SAFETY: as many bytes are mapped for writing from the base on, and nobody else accesses them (the module's).
        unsafe { start.write_bytes(0, (range.end - range.start) as usize) };
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::words::Words;
    use crate::region::HugePages;

    /// Words of a ledger, and how far in a row, at least one.
    fn used() -> impl Strategy<Value = Vec<(u32, u32)>> {
        let at = prop_oneof![Just(0), 0..BOUNCE / 4, 0..PAGES * 0x4000];
        let len = prop_oneof![3 => 1u32..5, 1 => 1u32..50_000];
        prop::collection::vec((at, len), 0..24)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_ledger_that_comes_back_reads_as_zero_and_keeps_little(stores in prop::collection::vec(used(), 1..4)) {
            let backing = Backing::in_file(HugePages::default(), 0).unwrap();
            let idle = IdleLedgers::new(1);
            let mut base = None;
            for used in stores {
                let words = Words::new(&backing, &idle).unwrap();
                prop_assert_eq!(*base.get_or_insert(words.base()), words.base(), "it is the same one");
                let at = |start: u32, len: u32| (start..start + len).map(|word| word * 4).filter(|at| *at < PAGES << 16);
                for at in used.iter().flat_map(|(start, len)| at(*start, *len)) {
                    words.set(at, 0xa5a5_a5a5);
                }
                drop(words);
                let kept = idle.lock();
                let mut resident = 0;
                let mut from = 0;
                while let Some(start) = kept[0].extent.data(from..kept[0].len() as u64).unwrap() {
                    from = kept[0].extent.hole(start..kept[0].len() as u64).unwrap();
                    resident += from - start;
                    let mut bytes = vec![1; (from - start) as usize];
                    kept[0].extent.read(start, &mut bytes).unwrap();
                    prop_assert!(bytes.iter().all(|byte| *byte == 0));
                    if from == kept[0].len() as u64 { break; }
                }
                prop_assert!(resident <= LEDGER_RESIDENT, "{} bytes", resident);
            }
        }
    }

    #[test]
    fn no_more_are_kept_than_may_be() {
        let backing = Backing::in_file(HugePages::default(), 0).unwrap();
        for max in [0, 1] {
            let idle = IdleLedgers::new(max);
            drop([(); 3].map(|()| Words::new(&backing, &idle).unwrap()));
            assert_eq!(idle.lock().len(), max);
        }
    }
}
