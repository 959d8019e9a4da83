//! Where an extent takes memory: for a memory or a region that is kept for the next owner, and has to read as zero till
//! then.
//!
//! The file tells which pages there are, not a view: pages that were written through another view, or swapped out, are
//! found too. To ask it costs about as much as to write over a few pages. So who has asked before says which runs of
//! pages it knows of.

use std::io;
use std::ops::Range;

use super::Extent;
use super::ranges::Runs;
use crate::tuning::MAX_RUNS;

/// The pages that there are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Touched {
    /// The first of them, no more than [`MAX_RUNS`] pieces.
    pub(crate) runs: Runs,
    /// From which offset on there are more.
    pub(crate) rest: Option<u64>,
}

impl Extent {
    /// The pages of it that there are; those from `before` on, and those in more pieces than can be kept, are the rest. `known`
    /// are such as were there before, of which none was freed since. Not of a block.
    pub(crate) fn touched(&self, before: u64, known: &[Range<u64>]) -> io::Result<Touched> {
        let end = self.range().len();
        let (mut runs, mut at) = (Runs::new(), 0);
        while at < end {
            let Some(run) = self.next_run(at..end, known)? else { break };
            if run.start >= before {
                return Ok(Touched { runs, rest: Some(run.start) });
            }
            let (to, is_full) = (run.end.min(before), runs.len() == MAX_RUNS);
            match runs.last_mut().filter(|last| last.end == run.start) {
                Some(last) => last.end = to,
                None if is_full => return Ok(Touched { runs, rest: Some(run.start) }),
                None => runs.push(run.start..to),
            }
            at = to;
        }
        Ok(Touched { runs, rest: None })
    }

    /// The first run of pages in a range: all of it, or as much as is known.
    fn next_run(&self, within: Range<u64>, known: &[Range<u64>]) -> io::Result<Option<Range<u64>>> {
        let known_from = |start: u64| known.iter().find(|run| run.start == start).cloned();
        if let Some(run) = known_from(within.start) {
            return Ok(Some(run));
        }
        let Some(start) = self.data(within.clone())? else { return Ok(None) };
        if let Some(run) = known_from(start) {
            return Ok(Some(run));
        }
        Ok(Some(start..self.hole(start..within.end)?))
    }
}

#[cfg(all(test, target_os = "linux", not(mappable_no_mapping)))]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::region::{Backing, HugePages};

    const PAGE: u64 = 4096;
    const PAGES: u64 = 64;

    fn pages() -> impl Strategy<Value = BTreeSet<u64>> {
        let scattered = prop::collection::btree_set(0..PAGES, 0..48);
        prop_oneof![scattered, (0..PAGES, 1u64..40).prop_map(|(at, len)| (at..(at + len).min(PAGES)).collect())]
    }

    /// The pages of a set, in runs.
    fn runs(pages: &BTreeSet<u64>) -> Runs {
        let mut runs = Runs::new();
        for page in pages.iter().map(|page| page * PAGE..(page + 1) * PAGE) {
            match runs.last_mut() {
                Some(last) if last.end == page.start => last.end = page.end,
                _ => runs.push(page),
            }
        }
        runs
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn all_pages_that_are_there_are_found(lives in prop::collection::vec(pages(), 1..4), before in 0..PAGES + 1) {
            let backing = Backing::in_file(HugePages::default(), 0).unwrap();
            let [mut low, mut extent, mut high] = [(); 3].map(|()| backing.take(PAGES * PAGE).unwrap());
            for neighbour in [&mut low, &mut high] {
                neighbour.write(0, &[7; (PAGES * PAGE) as usize]).unwrap();
            }
            let (mut known, mut there) = (Runs::new(), BTreeSet::new());
            for pages in lives {
                for page in &pages {
                    extent.write(page * PAGE + 9, &[0xa5]).unwrap();
                }
                there.extend(pages);
                let mut wanted = runs(&there.iter().copied().filter(|&page| page < before).collect());
                let mut rest = there.iter().find(|&&page| page >= before).map(|page| page * PAGE);
                if wanted.len() > MAX_RUNS {
                    rest = Some(wanted.split_off(MAX_RUNS)[0].start);
                }
                let found = extent.touched(before * PAGE, &known).unwrap();
                prop_assert_eq!(&found, &Touched { runs: wanted, rest });
                known = found.runs;
            }
        }
    }
}
