//! Linear memories that nobody uses any more, kept for those that are made next: an address range, the pages behind it,
//! and the mapping of the one into the other are what making a memory costs.
//!
//! ```text
//!   Idle              what is kept, no more than so many
//!    └ IdleMemory     a heap, and the one view of it that is left
//!       └ SlotHistory what is known of its guests
//! ```
//!
//! What a memory held must not be seen by who gets it next. So before it is kept, views beyond the first are gone, regions
//! that the first still showed are hidden, and all pages that were touched, through whichever view, are written over with
//! zeroes or freed: [`resident`](super::resident) says which. Where a step fails, the memory goes as it would without this:
//! its addresses first, its pages then, which are used again only once they are a hole.
//!
//! # Safety
//!
//! [`IdleMemory::bytes`] makes a reference to a heap's pages. An [`IdleMemory`] owns the heap and the only view that is
//! left of it, and no memory of the engine's shows it.

#![allow(unsafe_code)]

use std::io;
use std::ops::Range;
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::resident::{Granules, Reservation, ResidentBudget};
use super::view::{Heap, View};
use super::warm_pool::{Affinity, WarmPool};
use crate::GRANULE;
use crate::region::ZEROES;
use crate::region::{Runs, Touched};
use crate::tuning::KEEP_RESIDENT;

/// The memories of a runtime that are idle.
#[derive(Debug)]
pub(crate) struct Idle {
    /// Whether any may be.
    keeps: bool,
    /// Each reads as zero, shows its heap as far as it says, and nothing else.
    memories: Mutex<WarmPool<IdleMemory>>,
    room: Arc<ResidentBudget>,
}

/// A memory that nobody uses: from the first, or any more.
#[derive(Debug)]
pub(super) struct IdleMemory {
    /// Goes before the heap does.
    pub(super) first: View,
    pub(super) heap: Heap,
    pub(super) past: SlotHistory,
    /// What it keeps resident while it is idle.
    share: Option<Reservation>,
}

/// What is known of the guests that had a memory.
#[derive(Debug, Default)]
pub(super) struct SlotHistory {
    /// How large it was when the last one got it, in bytes: whole granules.
    began: usize,
    /// What that one used, once it has gone; until then what the one before it did.
    used: Granules,
    /// Where regions were moved to for the one that has it: it needs the pages there, whatever is left in them.
    moved: Granules,
    /// Pages that the heap has had since that one got it, or before.
    pages: Runs,
}

impl SlotHistory {
    /// Whether the heap is likely to have the pages of the granule at `offset`, or to keep them for later guests where they
    /// come now.
    pub(super) fn has_pages(&self, offset: u64) -> bool {
        if offset >= Granules::SPAN || self.used == Granules::default() {
            return false;
        }
        let mut wanted = self.used.with(self.moved);
        wanted.add(offset);
        self.used.has(offset) || wanted.len() <= KEEP_RESIDENT
    }

    /// Notes that a region was moved there.
    pub(super) fn note_moved(&mut self, offset: u64) {
        if offset < Granules::SPAN {
            self.moved.add(offset);
        }
    }
}

impl Idle {
    /// Keeps up to `max` memories.
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { keeps: max > 0, memories: Mutex::new(WarmPool::new(max)), room: ResidentBudget::new(max) })
    }

    /// A memory of that capacity and span, if there is one, which reads as zero and shows `len` bytes.
    pub(super) fn take(&self, capacity: u64, span: usize, len: usize) -> Option<IdleMemory> {
        let began = len.next_multiple_of(GRANULE as usize);
        let mut bare = self.lock().take(Affinity { capacity, span, began })?;
        (bare.past.began, bare.share) = (began, None);
        match bare.first.show_heap_up_to(&bare.heap, len) {
            Ok(()) => Some(bare),
            Err(error) => {
                tracing::debug!(%error, "an idle memory was of no use");
                None
            }
        }
    }

    /// Keeps a memory, if it can be made to read as zero.
    pub(super) fn keep(&self, mut bare: IdleMemory) {
        if !self.keeps {
            return;
        }
        match bare.clear(&self.room) {
            Ok(()) => {
                let gone = self.lock().put(bare.fit(), bare);
                // Not under the lock.
                drop(gone);
            }
            Err(error) => tracing::debug!(%error, "a memory was not kept"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, WarmPool<IdleMemory>> {
        // The bookkeeping does not panic half way.
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IdleMemory {
    /// A new one, which shows `len` bytes of a heap that reads as zero.
    pub(super) fn new(heap: Heap, len: usize) -> io::Result<Self> {
        let past = SlotHistory { began: len.next_multiple_of(GRANULE as usize), ..SlotHistory::default() };
        Ok(Self::of(View::build(&heap, len, &[], None)?, heap, past))
    }

    /// What is left of a memory.
    pub(super) fn of(first: View, heap: Heap, past: SlotHistory) -> Self {
        Self { first, heap, past, share: None }
    }

    /// Has it read as zero, and show nothing but the heap.
    fn clear(&mut self, room: &Arc<ResidentBudget>) -> io::Result<()> {
        self.first.show_heap_alone(&self.heap)?;
        let Touched { runs, rest } = self.heap.extent.touched(Granules::SPAN, &self.past.pages)?;
        if let Some(last) = runs.last() {
            self.first.show_heap_to(&self.heap, last.end as usize)?;
        }
        let parts: Vec<_> = runs.iter().flat_map(in_granules).collect();
        let (there, used) = self.used(&parts)?;
        let unused = there.without(used.with(self.past.used));
        let (kept, share) = room.keep(there.without(unused));
        (self.past.used, self.past.moved, self.share) = (used, Granules::default(), Some(share));
        // All else that is kept is zero already.
        for part in parts.iter().filter(|part| used.has(part.start) && kept.has(part.start)) {
            self.bytes(part)?.fill(0);
        }
        self.free(there.without(kept), rest)?;
        self.past.pages = parts.into_iter().filter(|part| kept.has(part.start)).collect();
        // What has no pages needs no page tables either, and what nobody begins with needs not stay reserved.
        let reserved = if rest.is_some() { 0 } else { self.past.began };
        self.first.unmap_heap_from(reserved.max(Granules::SPAN as usize))
    }

    /// In which granules there is any memory, and which of them are not all zero, or may not be.
    fn used(&mut self, parts: &[Range<u64>]) -> io::Result<(Granules, Granules)> {
        let (mut there, mut used) = (Granules::default(), self.past.moved);
        for part in parts {
            there.add(part.start);
            if !used.has(part.start) && !is_zero(self.bytes(part)?) {
                used.add(part.start);
            }
        }
        Ok((there, used))
    }

    /// Frees the memory of some granules, and of all from `rest` on.
    fn free(&self, granules: Granules, rest: Option<u64>) -> io::Result<()> {
        let extent = &self.heap.extent;
        let end = extent.range().len();
        granules.ranges().chain(rest.map(|from| from..end)).try_for_each(|range| extent.punch(range))
    }

    /// The bytes of a range of the heap that the view shows.
    fn bytes(&mut self, range: &Range<u64>) -> io::Result<&mut [u8]> {
        if range.end > self.first.heap_shown() as u64 || range.start > range.end {
            return Err(io::Error::other("bug: bytes that a view does not show"));
        }
        let (start, len) = (range.start as usize, (range.end - range.start) as usize);
        // SAFETY: the view's addresses begin with at least as many bytes as it shows of the heap.
        let start = unsafe { self.first.base().add(start) };
        // SAFETY: as far as the heap is shown its pages are mapped for reading and writing, and hold bytes. Nobody else
        // accesses them (the module's) while this value is borrowed.
        Ok(unsafe { slice::from_raw_parts_mut(start.as_ptr(), len) })
    }

    fn fit(&self) -> Affinity {
        Affinity { capacity: self.heap.extent.range().len(), span: self.heap.span, began: self.past.began }
    }
}

/// The parts of a range that lie in one granule each.
fn in_granules(range: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
    let (start, end) = (range.start, range.end);
    let granules = start / GRANULE..end.div_ceil(GRANULE);
    granules.map(move |granule| start.max(granule * GRANULE)..end.min((granule + 1) * GRANULE))
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(ZEROES.len()).all(|chunk| chunk == &ZEROES[..chunk.len()])
}

#[cfg(all(test, target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::region::{Backing, HugePages};
    use crate::tuning::MAX_RUNS;

    const ALL: u64 = 80;

    /// Which granules have memory. They have one page each.
    fn there(bare: &IdleMemory) -> BTreeSet<u64> {
        let (mut at, mut found) = (0, BTreeSet::new());
        while at < ALL * GRANULE
            && let Some(start) = bare.heap.extent.data(at..ALL * GRANULE).unwrap()
        {
            at = bare.heap.extent.hole(start..ALL * GRANULE).unwrap();
            assert_eq!(at - start, 4096);
            found.insert(start / GRANULE);
        }
        found
    }

    /// What guests do to granules, one after the other: those that they touch, and whether they leave them all zero.
    fn lives() -> impl Strategy<Value = Vec<Vec<(u64, bool)>>> {
        let few = prop::collection::vec((0..ALL, any::<bool>()), 0..12);
        let many = prop::collection::vec((0..ALL, prop::bool::weighted(0.2)), 12..60);
        prop::collection::vec(prop_oneof![few, many], 1..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn what_two_guests_did_not_use_goes_and_all_reads_as_zero(lives in lives(), heaps in 0usize..12) {
            let backing = Backing::in_file(HugePages::default(), 0).unwrap();
            let heap = Heap::new(backing.take(ALL * GRANULE).unwrap(), (ALL * GRANULE) as usize);
            let mut bare = IdleMemory::new(heap, GRANULE as usize).unwrap();
            let room = ResidentBudget::new(heaps);
            let (mut had, mut before) = (BTreeSet::new(), BTreeSet::new());
            for life in lives {
                bare.share = None;
                let mut used = BTreeSet::new();
                for (granule, is_zero) in life {
                    bare.heap.extent.write(granule * GRANULE + 3 * 4096 + 5, &[u8::from(!is_zero)]).unwrap();
                    had.insert(granule);
                    if is_zero { used.remove(&granule) } else { used.insert(granule) };
                }
                bare.clear(&room).unwrap();
                let mut bytes = vec![1; (ALL * GRANULE) as usize];
                bare.heap.extent.read(0, &mut bytes).unwrap();
                prop_assert!(is_zero(&bytes));
                let reached: BTreeSet<_> = had.iter().copied().filter(|&granule| granule < 64).take(MAX_RUNS).collect();
                used = &used & &reached;
                let wanted = &reached & &(&used | &before);
                had = wanted.into_iter().take(4 + 4 * heaps).collect();
                prop_assert_eq!(there(&bare), had.clone());
                before = used;
            }
        }
    }

    #[test]
    fn only_what_is_shown_is_referred_to() {
        let backing = Backing::in_file(HugePages::default(), 0).unwrap();
        let heap = Heap::new(backing.take(4 * GRANULE).unwrap(), 4 * GRANULE as usize);
        let mut bare = IdleMemory::new(heap, GRANULE as usize).unwrap();
        assert_eq!(bare.bytes(&(4096..GRANULE)).unwrap().len() as u64, GRANULE - 4096);
        assert!(bare.bytes(&(4096..GRANULE + 1)).is_err() && bare.bytes(&(GRANULE..2 * GRANULE)).is_err());
    }
}
