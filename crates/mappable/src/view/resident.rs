//! How much memory idle heaps keep: bookkeeping alone.
//!
//! ```text
//!   Granules         a set of granules at the beginning of a heap
//!   ResidentBudget   what all idle heaps of a runtime may keep beyond what is each one's own
//!    └ Reservation   what one of them keeps of that
//! ```
//!
//! To write zeroes over what a guest used takes less than to free it, and a fraction of freeing it and having the next
//! guest fault it in (`docs/src/measurements.md`). It is in vain where the next guest doesn't use it. So a heap keeps what
//! the guest that leaves it used, and what the one before did: guests of one kind, which mostly follow each other, find
//! what they need, and what only the one before the last needed goes. What is used is seen by what is not zero.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::GRANULE;
use crate::tuning::KEEP_RESIDENT;

/// A set of granules at the beginning of a heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Granules(u64);

impl Granules {
    /// How far the granules reach that can be in a set, in bytes.
    pub(super) const SPAN: u64 = u64::BITS as u64 * GRANULE;

    /// The granule of a byte below [`Granules::SPAN`].
    fn at(offset: u64) -> Self {
        Self(1 << (offset / GRANULE))
    }

    pub(super) fn add(&mut self, offset: u64) {
        self.0 |= Self::at(offset).0;
    }

    pub(super) fn has(self, offset: u64) -> bool {
        self.0 & Self::at(offset).0 != 0
    }

    pub(super) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// The first so many of them.
    pub(super) fn first(self, len: u32) -> Self {
        let mut rest = self.0;
        (0..len.min(self.len())).for_each(|_| rest &= rest - 1);
        Self(self.0 & !rest)
    }

    /// Where they lie, in bytes: neighbours in one range.
    pub(super) fn ranges(self) -> impl Iterator<Item = Range<u64>> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let rest = self.0.checked_shr(from).filter(|&rest| rest != 0)?;
            let start = from + rest.trailing_zeros();
            let end = start + (self.0 >> start).trailing_ones();
            from = end;
            Some(u64::from(start) * GRANULE..u64::from(end) * GRANULE)
        })
    }
}

/// What idle heaps may keep beyond that, together: room for as much again.
#[derive(Debug)]
pub(super) struct ResidentBudget {
    granules: AtomicU32,
}

impl ResidentBudget {
    /// For so many heaps.
    pub(super) fn new(heaps: usize) -> Arc<Self> {
        let granules = u32::try_from(heaps).unwrap_or(u32::MAX).saturating_mul(KEEP_RESIDENT);
        Arc::new(Self { granules: AtomicU32::new(granules) })
    }

    /// Which of these granules a heap may keep: those that come first, if they are too many.
    pub(super) fn keep(self: &Arc<Self>, wanted: Granules) -> (Granules, Reservation) {
        let more = wanted.len().saturating_sub(KEEP_RESIDENT);
        let take = |left: u32| Some(left.saturating_sub(more));
        let left = self.granules.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).unwrap_or_else(|left| left);
        let granules = more.min(left);
        (wanted.first(KEEP_RESIDENT + granules), Reservation { room: Arc::clone(self), granules })
    }
}

/// What a heap keeps beyond its own, given back on drop.
#[derive(Debug)]
pub(super) struct Reservation {
    room: Arc<ResidentBudget>,
    granules: u32,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.room.granules.fetch_add(self.granules, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(granules: &BTreeSet<u64>) -> Granules {
        let mut set = Granules::default();
        granules.iter().for_each(|granule| set.add(granule * GRANULE + 7));
        set
    }

    fn sets() -> impl Strategy<Value = BTreeSet<u64>> {
        prop::collection::btree_set(0u64..64, 0..=64)
    }

    proptest! {
        #[test]
        fn a_set_is_what_was_put_in(a in sets(), b in sets(), len in 0u32..70) {
            let both = |granules: BTreeSet<u64>| set(&granules);
            prop_assert_eq!(set(&a).with(set(&b)), both(&a | &b));
            prop_assert_eq!(set(&a).without(set(&b)), both(&a - &b));
            prop_assert_eq!(set(&a).len() as usize, a.len());
            prop_assert_eq!(set(&a).first(len), both(a.iter().take(len as usize).copied().collect()));
            prop_assert!((0..64).all(|granule| set(&a).has(granule * GRANULE) == a.contains(&granule)));
            let ranges: Vec<_> = set(&a).ranges().collect();
            prop_assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start), "{:?}", ranges);
            let found = ranges.iter().flat_map(|range| range.start / GRANULE..range.end / GRANULE);
            prop_assert_eq!(found.collect::<BTreeSet<_>>(), a);
        }

        #[test]
        fn heaps_keep_no_more_than_there_is_room_for(
            heaps in 0usize..4,
            wanted in prop::collection::vec(sets(), 0..8),
        ) {
            let room = ResidentBudget::new(heaps);
            let mut left = heaps as u32 * KEEP_RESIDENT;
            let mut shares = vec![];
            for wanted in &wanted {
                let (kept, share) = room.keep(set(wanted));
                prop_assert_eq!(kept, set(wanted).first(KEEP_RESIDENT + left));
                left -= kept.len().saturating_sub(KEEP_RESIDENT);
                shares.push(share);
            }
            drop(shares);
            prop_assert_eq!(room.granules.load(Ordering::Relaxed), heaps as u32 * KEEP_RESIDENT, "all of it comes back");
        }
    }
}
