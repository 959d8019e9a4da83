//! Ranges that regions had, kept for those that are allocated next. Bookkeeping alone: how many, and
//! who gets which. What is in them is up to who puts them here and takes them ([`Mappable`](super::Mappable)).

use std::collections::VecDeque;

use super::FileRange;
use crate::tuning::MAX_IDLE_RANGES;

/// Ranges that nobody owns, each with what goes with it.
#[derive(Debug)]
pub(super) struct IdleRanges<W> {
    /// How many bytes there may be.
    max: u64,
    /// How many there are: the sum of `kept`, and no more than `max`.
    bytes: u64,
    /// No other value has any of them. The one that came last is the last.
    kept: VecDeque<(FileRange, W)>,
}

impl<W> IdleRanges<W> {
    pub(super) fn new(max: u64) -> Self {
        Self { max, bytes: 0, kept: VecDeque::new() }
    }

    /// Keeps a range. Returns those that have to go, which have been there longest.
    pub(super) fn put(&mut self, range: FileRange, with: W) -> Vec<(FileRange, W)> {
        self.bytes += range.len();
        self.kept.push_back((range, with));
        let mut gone = vec![];
        while (self.bytes > self.max || self.kept.len() > MAX_IDLE_RANGES)
            && let Some(oldest) = self.kept.pop_front()
        {
            self.bytes -= oldest.0.len();
            gone.push(oldest);
        }
        gone
    }

    /// Takes the range of `len` bytes that came last, which is likely to be in the processor's cache, if there is one.
    pub(super) fn take(&mut self, len: u64) -> Option<(FileRange, W)> {
        let at = self.kept.iter().rposition(|(range, _)| range.len() == len)?;
        let taken = self.kept.remove(at)?;
        self.bytes -= len;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::region::GRANULE;

    #[derive(Clone, Debug)]
    enum Op {
        Put(u64),
        Take(u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![(1u64..5).prop_map(Op::Put), (1u64..5).prop_map(Op::Take)]
    }

    proptest! {
        #[test]
        fn what_is_taken_is_as_long_as_wanted_and_nothing_is_lost_or_doubled(
            max in 0u64..12,
            ops in prop::collection::vec(op(), 0..80),
        ) {
            let range = |granules: u64| FileRange::around(0..granules * GRANULE).unwrap();
            let mut idle = IdleRanges::new(max * GRANULE);
            // Numbers, and how many granules each has; the oldest is the first.
            let mut there: Vec<(usize, u64)> = vec![];
            for (number, op) in ops.into_iter().enumerate() {
                match op {
                    Op::Put(granules) => {
                        there.push((number, granules));
                        let gone = idle.put(range(granules), number);
                        let mut expected = vec![];
                        while there.iter().map(|(_, granules)| granules).sum::<u64>() > max {
                            let (number, granules) = there.remove(0);
                            expected.push((range(granules), number));
                        }
                        prop_assert_eq!(gone, expected);
                    }
                    Op::Take(granules) => {
                        let at = there.iter().rposition(|(_, other)| *other == granules);
                        let expected = at.map(|at| (range(granules), there.remove(at).0));
                        prop_assert_eq!(idle.take(granules * GRANULE), expected);
                    }
                }
                prop_assert_eq!(idle.kept.len(), there.len());
            }
        }
    }

    #[test]
    fn small_ranges_are_no_more_than_there_may_be_mappings() {
        let mut idle = IdleRanges::new(u64::MAX);
        let range = FileRange::around(0..GRANULE).unwrap();
        let gone: Vec<usize> =
            (0..MAX_IDLE_RANGES + 3).flat_map(|number| idle.put(range, number)).map(|(_, n)| n).collect();
        assert_eq!((gone, idle.kept.len()), (vec![0, 1, 2], MAX_IDLE_RANGES));
    }
}
