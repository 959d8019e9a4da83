//! Which pages of the memory are free for placements. This is arithmetic only: no memory is touched here.
//!
//! [`FreeList`] holds [`Pages`] sorted by address, with neighbours merged. Taking splits them, giving back merges them.
//! [`pool`](crate::pool) knows where pages come from, and that nobody else uses them.

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

/// The number of pages in a huge page of the host.
const HUGE_PAGE: usize = (2 << 20) / GRANULE_BYTES;

/// Returns the alignments to try for `count` pages, the best first. Pages that have room for a huge page begin at a
/// multiple of one if possible, so that the host can map huge pages there.
pub(crate) fn alignments(count: usize) -> &'static [usize] {
    if count < HUGE_PAGE { &[1] } else { &[HUGE_PAGE, 1] }
}

/// Free pages, and the number of ranges that are taken.
#[derive(Debug)]
pub(crate) struct FreeList {
    /// Sorted by address; no two overlap or touch. Has capacity for `taken` more, so that giving back never allocates.
    free: Vec<Pages>,
    /// The number of ranges that are taken and not yet given back.
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

    /// Takes the first `count` free pages that begin at a multiple of `align`.
    pub(crate) fn take(&mut self, count: usize, align: usize) -> Option<Pages> {
        let start_in = |range: &Pages| range.start.checked_next_multiple_of(align);
        let fits = |range: &Pages| start_in(range)?.checked_add(count).filter(|&end| end <= range.end());
        let index = self.free.iter().position(|range| fits(range).is_some())?;
        // One more for what is taken, and one for a range that may become two.
        self.free.try_reserve(self.taken + 2).ok()?;
        let range = &self.free[index];
        let (start, end) = (start_in(range)?, range.end());
        let taken = Pages::new(start, count)?;
        let parts = [(range.start, start), (start + count, end)];
        let left = parts.into_iter().filter_map(|(start, end)| Pages::new(start, end - start));
        self.free.splice(index..=index, left);
        self.taken += 1;
        Some(taken)
    }

    /// Gives back pages that were taken.
    pub(crate) fn give(&mut self, pages: Pages) {
        self.taken = self.taken.saturating_sub(1);
        self.insert(pages);
    }

    /// Returns by how many pages the memory, which ends at page `end`, must grow for `count` pages that begin at a
    /// multiple of `align`. Free pages at the end of the memory count.
    pub(crate) fn missing_at(&self, end: usize, count: usize, align: usize) -> Option<usize> {
        let tail = self.free.last().filter(|range| range.end() == end).map_or(0, |range| range.count);
        let wanted = (end - tail).checked_next_multiple_of(align)?.checked_add(count)?;
        Some(wanted.saturating_sub(end))
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
        assert_eq!(list.take(3, 1), Pages::new(20, 3));
        assert_eq!(ranges(&list), [(10, 2), (23, 2), (40, 9)]);
        assert_eq!(list.take(2, 1), Pages::new(10, 2));
        assert_eq!(list.take(10, 1), None);
        assert_eq!(ranges(&list), [(23, 2), (40, 9)]);
    }

    #[test]
    fn takes_the_lowest_that_is_aligned_and_leaves_both_sides() {
        let mut list = list(&[(10, 6), (20, 20)]);
        assert_eq!(list.take(5, 16), Pages::new(32, 5));
        assert_eq!(ranges(&list), [(10, 6), (20, 12), (37, 3)]);
        assert_eq!(list.take(4, 16), None);
        assert_eq!(list.take(4, 4), Pages::new(12, 4));
        assert_eq!(ranges(&list), [(10, 2), (20, 12), (37, 3)]);
    }

    #[test]
    fn merges_with_both_neighbours() {
        let mut list = list(&[(10, 2), (14, 2)]);
        list.add(Pages::new(12, 2).unwrap());
        assert_eq!(ranges(&list), [(10, 6)]);
    }

    #[test]
    fn what_is_missing_is_what_does_not_fit_behind_free_pages_at_the_end() {
        let list = list(&[(10, 6)]);
        let missing = |end, count, align| list.missing_at(end, count, align);
        assert_eq!([missing(16, 6, 1), missing(16, 9, 1), missing(17, 9, 1)], [0, 3, 9].map(Some));
        assert_eq!([missing(16, 5, 8), missing(17, 5, 8), missing(16, 3, 5)], [5, 12, 0].map(Some));
        assert_eq!([missing(16, usize::MAX, 1), missing(usize::MAX, 1, 8)], [None, None]);
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
        Take(usize, usize),
        Give(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1..40_usize).prop_map(Step::Grow),
            (1..20_usize, 0..4_u32).prop_map(|(count, align)| Step::Take(count, 1 << align)),
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
                    Step::Take(count, align) => {
                        let starts = |range: &Pages| range.start..(range.end() + 1).saturating_sub(count);
                        let fits = list.free.iter().flat_map(starts).find(|start| start % align == 0);
                        let pages = list.take(count, align);
                        prop_assert_eq!(pages.as_ref().map(|pages| (pages.start, pages.count)), fits.map(|start| (start, count)));
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
