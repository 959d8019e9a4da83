//! Which ranges of the backing file are free. Arithmetic alone, since a mistake here would be one tenant's bytes
//! shown to another: no two ranges that are taken at the same time overlap, and a freed range is never given out in
//! part together with one that is taken.

use std::collections::{BTreeMap, BTreeSet};

use super::GRANULE;

/// A range of the backing file, in bytes: a positive multiple of the granule, granule-aligned, and not past the
/// largest file offset. Made by [`Ranges`] alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileRange {
    start: u64,
    len: u64,
}

impl FileRange {
    pub(crate) fn start(self) -> u64 {
        self.start
    }

    pub(crate) fn len(self) -> u64 {
        self.len
    }
}

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

    /// Takes a range of `len` bytes, if there is one and `len` is a positive multiple of the granule.
    pub(crate) fn take(&mut self, len: u64) -> Option<FileRange> {
        if len == 0 || !len.is_multiple_of(GRANULE) {
            return None;
        }
        let &(found, start) = self.by_len.range((len, 0)..).next()?;
        self.remove(start, found);
        self.insert(start + len, found - len);
        Some(FileRange { start, len })
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

    const FILE: u64 = 64 * GRANULE;

    #[derive(Clone, Debug)]
    enum Op {
        Take(u64),
        Give(prop::sample::Index),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (1u64..12).prop_map(|granules| Op::Take(granules * GRANULE)),
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
                    Op::Take(len) => taken.extend(ranges.take(len)),
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
