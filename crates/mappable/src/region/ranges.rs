//! Which ranges of the backing file are free. Arithmetic alone, since a mistake here would be one tenant's bytes
//! shown to another: no two ranges that are taken at the same time overlap, and a freed range is never given out in
//! part together with one that is taken.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::GRANULE;
use crate::sys::HUGE_PAGE;

/// A range of a file, in bytes: a positive multiple of the granule, granule-aligned, and not past the largest file
/// offset. Made by [`Ranges`], and by cutting and joining what it made; or of another file by [`FileRange::around`].
/// The default is empty, and stands for a range that another value has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileRange {
    start: u64,
    len: u64,
}

impl FileRange {
    /// The granules that the bytes of a range are in. `None` if they are none, or too far on.
    pub(crate) fn around(bytes: Range<u64>) -> Option<Self> {
        let start = bytes.start / GRANULE * GRANULE;
        let end = bytes.end.checked_next_multiple_of(GRANULE).filter(|&end| i64::try_from(end).is_ok())?;
        (bytes.start < bytes.end).then(|| Self { start, len: end - start })
    }

    pub(crate) fn start(self) -> u64 {
        self.start
    }

    #[inline]
    pub(crate) fn len(self) -> u64 {
        self.len
    }

    pub(crate) fn end(self) -> u64 {
        self.start + self.len
    }

    /// The `len` bytes at `offset`. `None` if they are none, not whole granules, or not all inside.
    pub(crate) fn part(self, offset: u64, len: u64) -> Option<Self> {
        let whole = len > 0 && len.is_multiple_of(GRANULE) && offset.is_multiple_of(GRANULE);
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.len);
        (whole && inside).then(|| Self { start: self.start + offset, len })
    }

    /// The first `at` bytes and the rest, each a [`FileRange::part`].
    pub(crate) fn split(self, at: u64) -> Option<(Self, Self)> {
        Some((self.part(0, at)?, self.part(at, self.len.checked_sub(at)?)?))
    }

    /// How many huge pages it can lie in where it is shown at `address`: those that are whole, and begin at a multiple of
    /// their size in the file and in the address space alike.
    pub(crate) fn huge_pages_at(self, address: usize) -> u64 {
        if !(address as u64).wrapping_sub(self.start).is_multiple_of(HUGE_PAGE) {
            return 0;
        }
        self.end().saturating_sub(self.start.next_multiple_of(HUGE_PAGE)) / HUGE_PAGE
    }

    /// Where in it `len` bytes can begin with a huge page.
    fn aligned(self, len: u64) -> Option<u64> {
        let start = self.start.checked_next_multiple_of(HUGE_PAGE)?;
        start.checked_add(len).is_some_and(|end| end <= self.end()).then_some(start)
    }

    /// This range and `next`, which must begin where this one ends.
    pub(crate) fn joined(self, next: Self) -> Option<Self> {
        (self.end() == next.start).then_some(Self { start: self.start, len: self.len + next.len })
    }
}

/// Runs of pages, as offsets in an extent: in order, none of them in another.
pub(crate) type Runs = Vec<Range<u64>>;

/// The free ranges of a file of a given length.
#[derive(Debug)]
pub(crate) struct Ranges {
    /// Free ranges by start: not empty, not overlapping, not adjacent (neighbours are joined).
    by_start: BTreeMap<u64, u64>,
    /// The same ranges as `(length, start)`, so that the tightest fit is found first. A range that was freed is
    /// thereby the first to be reused for its size, and views that show it stay useful.
    by_len: BTreeSet<(u64, u64)>,
}

impl Ranges {
    /// All of a file of `len` bytes is free.
    pub(crate) fn new(len: u64) -> Self {
        let mut ranges = Self { by_start: BTreeMap::new(), by_len: BTreeSet::new() };
        ranges.insert(0, len / GRANULE * GRANULE);
        ranges
    }

    /// Takes a range of `len` bytes, if there is one and `len` is a positive multiple of the granule. If it has room for a
    /// huge page it begins with one, unless there is room for it only elsewhere.
    pub(crate) fn take(&mut self, len: u64) -> Option<FileRange> {
        if len == 0 || !len.is_multiple_of(GRANULE) {
            return None;
        }
        let tightest = self.first_of(len)?;
        let (free, start) = if len < HUGE_PAGE {
            (tightest, tightest.start)
        } else {
            // Any range that is longer by what alignment takes at the most will do, so no more than two are looked at.
            let roomy = || self.first_of(len.checked_add(HUGE_PAGE - GRANULE)?);
            let aligned = |free: FileRange| Some((free, free.aligned(len)?));
            aligned(tightest).or_else(|| aligned(roomy()?)).unwrap_or((tightest, tightest.start))
        };
        let taken = FileRange { start, len };
        self.remove(free.start, free.len);
        self.insert(free.start, taken.start - free.start);
        self.insert(taken.end(), free.end() - taken.end());
        Some(taken)
    }

    /// The tightest free range of at least `len` bytes.
    fn first_of(&self, len: u64) -> Option<FileRange> {
        self.by_len.range((len, 0)..).next().map(|&(len, start)| FileRange { start, len })
    }

    /// Gives a range back that [`Ranges::take`] gave.
    pub(crate) fn give(&mut self, range: FileRange) {
        let FileRange { mut start, mut len } = range;
        if let Some((&before, &before_len)) = self.by_start.range(..start).next_back()
            && before + before_len == start
        {
            self.remove(before, before_len);
            start = before;
            len += before_len;
        }
        if let Some(&after_len) = self.by_start.get(&(start + len)) {
            self.remove(start + len, after_len);
            len += after_len;
        }
        self.insert(start, len);
    }

    fn insert(&mut self, start: u64, len: u64) {
        if len > 0 {
            self.by_start.insert(start, len);
            self.by_len.insert((len, start));
        }
    }

    fn remove(&mut self, start: u64, len: u64) {
        self.by_start.remove(&start);
        self.by_len.remove(&(len, start));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: u64 = 512 * GRANULE;

    #[derive(Clone, Debug)]
    enum Op {
        Take(u64),
        Give(prop::sample::Index),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (1u64..12).prop_map(|granules| Op::Take(granules * GRANULE)),
            (30u64..80).prop_map(|granules| Op::Take(granules * GRANULE)),
            any::<prop::sample::Index>().prop_map(Op::Give),
        ]
    }

    /// Taken and free ranges together cover the file exactly, with no overlap, and free neighbours are joined.
    fn check(ranges: &Ranges, taken: &[FileRange]) {
        let free = ranges.by_start.iter().map(|(&start, &len)| (start, len, true));
        let mut all: Vec<_> = taken.iter().map(|r| (r.start, r.len, false)).chain(free).collect();
        all.sort_unstable();
        let mut end = 0;
        for (start, len, _) in &all {
            assert_eq!(*start, end, "a gap or an overlap in {all:?}");
            assert!(*len > 0 && len.is_multiple_of(GRANULE));
            end += len;
        }
        assert_eq!(end, FILE);
        assert!(all.windows(2).all(|w| !(w[0].2 && w[1].2)), "free neighbours in {all:?}");
        assert_eq!(ranges.by_len.len(), ranges.by_start.len());
    }

    proptest! {
        #[test]
        fn taken_ranges_never_overlap_and_nothing_is_lost(ops in prop::collection::vec(op(), 0..200)) {
            let mut ranges = Ranges::new(FILE);
            let mut taken: Vec<FileRange> = vec![];
            for op in ops {
                match op {
                    Op::Take(len) => {
                        let (largest, _) = ranges.by_len.last().copied().unwrap_or_default();
                        let range = ranges.take(len);
                        prop_assert_eq!(range.is_some(), len <= largest, "alignment is no reason to refuse");
                        let is_roomy = len >= HUGE_PAGE && len + HUGE_PAGE <= largest + GRANULE;
                        let begins_huge = range.is_some_and(|range| range.start.is_multiple_of(HUGE_PAGE));
                        prop_assert!(!is_roomy || begins_huge, "{:?} is not aligned", range);
                        taken.extend(range);
                    }
                    Op::Give(index) if !taken.is_empty() => {
                        ranges.give(taken.swap_remove(index.index(taken.len())));
                    }
                    Op::Give(_) => {}
                }
                check(&ranges, &taken);
            }
            taken.drain(..).for_each(|range| ranges.give(range));
            prop_assert_eq!(ranges.take(FILE), Some(FileRange { start: 0, len: FILE }));
        }
    }

    proptest! {
        #[test]
        fn a_range_is_split_where_both_parts_are_ranges_and_joined_again(granules in 1u64..9, at in 0u64..10 * GRANULE) {
            let range = Ranges::new(FILE).take(granules * GRANULE).unwrap();
            for at in [at, at / GRANULE * GRANULE] {
                let split = range.split(at);
                prop_assert_eq!(split.is_some(), at.is_multiple_of(GRANULE) && at > 0 && at < range.len());
                if let Some((low, high)) = split {
                    prop_assert_eq!((low.start(), low.len(), high.len()), (range.start(), at, range.len() - at));
                    prop_assert_eq!(low.joined(high), Some(range));
                    prop_assert_eq!(high.joined(low), None);
                }
            }
        }

        #[test]
        fn parts_of_a_range_can_be_given_back_one_by_one(cuts in prop::collection::vec(1u64..8, 0..6)) {
            let mut ranges = Ranges::new(FILE);
            let whole = ranges.take(8 * GRANULE).unwrap();
            let mut parts = vec![whole];
            for cut in cuts {
                let pick = parts.pop().unwrap();
                match pick.split(cut * GRANULE) {
                    Some((low, high)) => parts.extend([high, low]),
                    None => parts.push(pick),
                }
            }
            while let Some(part) = parts.pop() {
                ranges.give(part);
                check(&ranges, &parts);
            }
        }
    }

    proptest! {
        #[test]
        fn huge_pages_are_counted_where_file_and_addresses_agree(
            start in 0u64..100, granules in 1u64..200, at in 0usize..100, same in any::<bool>(),
        ) {
            let range = FileRange { start: start * GRANULE, len: granules * GRANULE };
            let shift = if same { start as usize } else { at };
            let address = (7 << 40) + shift * GRANULE as usize;
            // One by one: the granules that begin a huge page in both, and have all of it in the range.
            let begins = |granule: &u64| {
                let offset = granule * GRANULE;
                let both = [range.start + offset, address as u64 + offset].iter().all(|at| at.is_multiple_of(HUGE_PAGE));
                both && offset + HUGE_PAGE <= range.len
            };
            prop_assert_eq!(range.huge_pages_at(address), (0..granules).filter(begins).count() as u64);
        }
    }

    #[test]
    fn bytes_of_a_file_are_in_whole_granules() {
        for (bytes, start, len) in [
            (0..1, 0, GRANULE),
            (0..GRANULE, 0, GRANULE),
            (0..GRANULE + 1, 0, 2 * GRANULE),
            (GRANULE - 1..GRANULE + 1, 0, 2 * GRANULE),
            (3 * GRANULE + 7..3 * GRANULE + 8, 3 * GRANULE, GRANULE),
        ] {
            assert_eq!(FileRange::around(bytes), Some(FileRange { start, len }));
        }
        let none = [0..0, 5..5, 0..i64::MAX as u64, 0..u64::MAX, u64::MAX - 1..u64::MAX];
        assert_eq!(none.map(FileRange::around), [None; 5]);
    }

    #[test]
    fn sizes_that_are_not_whole_granules_are_refused() {
        let mut ranges = Ranges::new(FILE);
        for len in [0, 1, GRANULE - 1, GRANULE + 1, FILE + GRANULE, u64::MAX] {
            assert_eq!(ranges.take(len), None, "{len}");
        }
    }

    #[test]
    fn a_freed_range_is_the_first_to_be_reused_for_its_size() {
        let mut ranges = Ranges::new(FILE);
        let [first, second, _third] = [1, 2, 3].map(|n| ranges.take(n * GRANULE).unwrap());
        ranges.give(first);
        ranges.give(second);
        let joined = ranges.take(3 * GRANULE).unwrap();
        assert_eq!((joined.start(), joined.len()), (0, 3 * GRANULE));
    }
}
