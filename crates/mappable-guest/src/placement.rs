//! Which pages of the memory are free to place regions on: pure arithmetic, no memory is touched here.
//!
//! [`FreeList`] holds [`Pages`] sorted by address, apart from one another (neighbours are merged). Taking splits,
//! giving back merges. Where pages come from, and that they are nobody else's, is [`pool`](crate::pool)'s to know.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use crate::GRANULE_BYTES;

/// A range of whole pages of linear memory. Never empty.
///
/// Not `Copy`: a value of this type is the right to use those pages.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pages {
    start: usize,
    count: usize,
}

impl Pages {
    /// The pages `start..start + count`, in pages; `None` when that is empty or runs over the end of the address space.
    pub(crate) fn new(start: usize, count: usize) -> Option<Pages> {
        let end = start.checked_add(count)?;
        // The end's address may be one past the last byte: what must fit is the last byte.
        let last_byte = end.checked_sub(1)?.checked_mul(GRANULE_BYTES)?.checked_add(GRANULE_BYTES - 1);
        (count > 0 && last_byte.is_some()).then_some(Pages { start, count })
    }

    pub(crate) fn address(&self) -> usize {
        self.start * GRANULE_BYTES
    }

    fn end(&self) -> usize {
        self.start + self.count
    }
}

/// Free pages, ready to be taken, and how many ranges are out.
#[derive(Debug)]
pub(crate) struct FreeList {
    /// Sorted by address; no two overlap or touch. It has capacity for `taken` more, so that giving back never
    /// allocates.
    free: Vec<Pages>,
    /// How many ranges are taken and not yet given back.
    taken: usize,
}

impl FreeList {
    pub(crate) const fn new() -> FreeList {
        FreeList { free: Vec::new(), taken: 0 }
    }

    /// Makes room for one [`add`](FreeList::add), which then can't fail.
    pub(crate) fn prepare_add(&mut self) -> Result<(), TryReserveError> {
        self.free.try_reserve(self.taken + 1)
    }

    /// Adds pages that are new to the list.
    pub(crate) fn add(&mut self, pages: Pages) {
        self.insert(pages);
    }

    /// Takes `count` pages: the first part of the first free range that is long enough.
    pub(crate) fn take(&mut self, count: usize) -> Option<Pages> {
        let index = self.free.iter().position(|range| range.count >= count)?;
        self.free.try_reserve(self.taken + 1).ok()?;
        let range = &mut self.free[index];
        let taken = Pages::new(range.start, count)?;
        if range.count == count {
            self.free.remove(index);
        } else {
            range.start += count;
            range.count -= count;
        }
        self.taken += 1;
        Some(taken)
    }

    /// Gives back pages that were taken.
    pub(crate) fn give(&mut self, pages: Pages) {
        self.taken = self.taken.saturating_sub(1);
        self.insert(pages);
    }

    /// How many free pages end at page `end`: what growing there would extend.
    pub(crate) fn tail_ending_at(&self, end: usize) -> usize {
        self.free.last().filter(|range| range.end() == end).map_or(0, |range| range.count)
    }

    fn insert(&mut self, pages: Pages) {
        let index = self.free.partition_point(|range| range.start < pages.start);
        debug_assert!(index == 0 || self.free[index - 1].end() <= pages.start, "pages given back twice");
        debug_assert!(index == self.free.len() || pages.end() <= self.free[index].start, "pages given back twice");
        let joins_next = self.free.get(index).is_some_and(|next| next.start == pages.end());
        let joins_previous = index > 0 && self.free[index - 1].end() == pages.start;
        match (joins_previous, joins_next) {
            (true, true) => {
                let next = self.free.remove(index);
                self.free[index - 1].count += pages.count + next.count;
            }
            (true, false) => self.free[index - 1].count += pages.count,
            (false, true) => {
                self.free[index].start = pages.start;
                self.free[index].count += pages.count;
            }
            (false, false) => self.free.insert(index, pages),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn list(ranges: &[(usize, usize)]) -> FreeList {
        let mut list = FreeList::new();
        for &(start, count) in ranges {
            list.add(Pages::new(start, count).unwrap());
        }
        list
    }

    fn ranges(list: &FreeList) -> Vec<(usize, usize)> {
        list.free.iter().map(|range| (range.start, range.count)).collect()
    }

    #[test]
    fn takes_the_lowest_that_fits_and_splits_it() {
        let mut list = list(&[(10, 2), (20, 5), (40, 9)]);
        assert_eq!(list.take(3), Pages::new(20, 3));
        assert_eq!(ranges(&list), [(10, 2), (23, 2), (40, 9)]);
        assert_eq!(list.take(2), Pages::new(10, 2));
        assert_eq!(list.take(10), None);
        assert_eq!(ranges(&list), [(23, 2), (40, 9)]);
    }

    #[test]
    fn merges_with_both_neighbours() {
        let mut list = list(&[(10, 2), (14, 2)]);
        list.add(Pages::new(12, 2).unwrap());
        assert_eq!(ranges(&list), [(10, 6)]);
        assert_eq!(list.tail_ending_at(16), 6);
        assert_eq!(list.tail_ending_at(17), 0);
    }

    #[test]
    fn pages_that_no_address_reaches_are_not_made() {
        assert_eq!(Pages::new(5, 0), None);
        assert_eq!(Pages::new(usize::MAX, 1), None);
        assert_eq!(Pages::new(usize::MAX / GRANULE_BYTES, 2), None);
        assert!(Pages::new(usize::MAX / GRANULE_BYTES, 1).is_some());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Grow(usize),
        Take(usize),
        Give(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1..40_usize).prop_map(Step::Grow),
            (1..20_usize).prop_map(Step::Take),
            any::<usize>().prop_map(Step::Give),
        ]
    }

    proptest! {
        /// No page is ever taken twice or lost, the list stays sorted and merged, and giving back never allocates.
        #[test]
        fn every_page_is_in_one_place(steps in prop::collection::vec(step(), 1..200)) {
            let mut list = FreeList::new();
            let mut end = 3;
            let mut taken: Vec<Pages> = Vec::new();
            let mut all = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Grow(count) => {
                        // Now and then something else grew the memory in between.
                        end += count % 3;
                        all.extend(end..end + count);
                        list.prepare_add().unwrap();
                        list.add(Pages::new(end, count).unwrap());
                        end += count;
                    }
                    Step::Take(count) => {
                        let fits = list.free.iter().any(|range| range.count >= count);
                        let pages = list.take(count);
                        prop_assert_eq!(pages.is_some(), fits);
                        taken.extend(pages);
                    }
                    Step::Give(which) if !taken.is_empty() => {
                        let which = which % taken.len();
                        let capacity = list.free.capacity();
                        list.give(taken.swap_remove(which));
                        prop_assert_eq!(list.free.capacity(), capacity);
                    }
                    Step::Give(_) => {}
                }
                let mut seen = BTreeSet::new();
                for range in list.free.iter().chain(&taken) {
                    for page in range.start..range.end() {
                        prop_assert!(seen.insert(page), "page {} is in two places", page);
                    }
                }
                prop_assert_eq!(&seen, &all);
                prop_assert!(list.free.windows(2).all(|pair| pair[0].end() < pair[1].start));
            }
        }
    }
}
