//! How a region is cut into parts: arithmetic alone.
//!
//! A part is whole granules, and the work is whole rows, whose bounds rarely fall together. Where they do often enough, a
//! region is cut there. Elsewhere a row can lie on both sides of a cut. Nobody owns all of such a row while the region is
//! in parts, so it is left for a second round, in which the region is cut in other places: around each such *seam*.

use std::ops::Range;

use crate::region::GRANULE;
use crate::tuning;

/// How a region is cut for [`Workers::map_parts`](super::Workers::map_parts): into parts of whole rows.
///
/// A row is what must not be divided: a pixel, a record, a line of a picture with its padding. The last row may be shorter
/// than the others.
///
/// ```
/// use mappable::workers::Parts;
///
/// // Lines of 1920 pixels of four bytes, in one part for each worker.
/// let lines = Parts::of_rows(4 * 1920);
/// assert_eq!(lines.row_bytes(), 7_680);
/// // Any run of pixels will do, in eight parts at the most.
/// let pixels = Parts::of_rows(4).at_most(8);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    row_bytes: u64,
    most: Option<usize>,
}

impl Parts {
    /// Parts of whole rows of so many bytes, one for each worker.
    ///
    /// # Panics
    ///
    /// If `row_bytes` is 0.
    pub fn of_rows(row_bytes: u64) -> Self {
        assert!(row_bytes > 0, "a row is a byte at the least");
        Self { row_bytes, most: None }
    }

    /// So many parts at the most. More parts than workers even out work that takes longer in some parts than in others,
    /// and cost a call each. There are fewer where the region is too small for them.
    pub fn at_most(self, parts: usize) -> Self {
        Self { most: Some(parts.max(1)), ..self }
    }

    /// How many bytes a row has.
    pub fn row_bytes(&self) -> u64 {
        self.row_bytes
    }

    /// Where a region of this size and length is cut for so many workers.
    pub(super) fn plan(&self, size: u64, len: u64, workers: usize) -> Plan {
        let row = self.row_bytes;
        let cuts = cuts(len, row, self.most.unwrap_or(workers).max(1) as u64);
        let bounds: Vec<u64> = [0].into_iter().chain(cuts.iter().copied()).chain([size]).collect();
        let last_row = len.div_ceil(row);
        let parts = bounds.windows(2).map(|part| Span {
            bytes: part[0]..part[1],
            rows: part[0].div_ceil(row)..if part[1] == size { last_row } else { part[1] / row },
        });
        let seams = cuts.iter().filter(|cut| !cut.is_multiple_of(row)).map(|cut| {
            let at = cut / row;
            let end = (at + 1).saturating_mul(row).min(len);
            Span { bytes: at * row / GRANULE * GRANULE..end.next_multiple_of(GRANULE), rows: at..at + 1 }
        });
        let parts = if len == 0 { vec![] } else { parts.collect() };
        Plan { parts, seams: seams.collect() }
    }

    /// Rows of frozen bytes, shared among so many workers, each with so many rows around it.
    pub(super) fn shares(&self, len: u64, workers: usize, halo: u64) -> Vec<Share> {
        let rows = len.div_ceil(self.row_bytes);
        let count = (self.most.unwrap_or(workers).max(1) as u64).min(rows);
        let share = |at: u64| {
            let bound = |at: u64| (u128::from(rows) * u128::from(at) / u128::from(count)) as u64;
            let own = bound(at)..bound(at + 1);
            let shown = own.start.saturating_sub(halo)..own.end.saturating_add(halo).min(rows);
            let begin = shown.start * self.row_bytes / GRANULE * GRANULE;
            let end = shown.end.saturating_mul(self.row_bytes).min(len);
            Share { own, bytes: begin..end, shown }
        };
        (0..count).map(share).collect()
    }
}

/// Where a region is cut: first into parts, then around the rows that lie on both sides of a cut.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) parts: Vec<Span>,
    pub(super) seams: Vec<Span>,
}

/// Whole granules of a region, and the rows in them that somebody works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) bytes: Range<u64>,
    pub(super) rows: Range<u64>,
}

/// Rows that one worker is to read about, and what it is shown for that.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) own: Range<u64>,
    /// From a granule on.
    pub(super) bytes: Range<u64>,
    /// The rows that lie wholly in the bytes.
    pub(super) shown: Range<u64>,
}

/// The multiples of a granule at which so many bytes are cut, into `most` parts or fewer.
fn cuts(len: u64, row: u64, most: u64) -> Vec<u64> {
    let of = |whole: u64, at: u64, count: u64| (u128::from(whole) * u128::from(at) / u128::from(count)) as u64;
    let common = (row / greatest_common_divisor(row, GRANULE)).checked_mul(GRANULE);
    if let Some(step) = common
        && (step == GRANULE || step <= len / most / tuning::ROWS_A_PART_IS_OFF)
    {
        let steps = len.div_ceil(step);
        let count = most.min(steps.max(1));
        return (1..count).map(|at| of(steps, at, count) * step).collect();
    }
    // So long that the granules around a seam are in the two parts beside it, and not around another seam.
    let least = row.saturating_mul(2).saturating_add(3 * GRANULE);
    let count = most.min((len / least).max(1));
    (1..count).map(|at| (of(len, at, count) + GRANULE / 2) / GRANULE * GRANULE).collect()
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const G: u64 = GRANULE;

    /// How often each row is in one of the spans.
    fn count_rows(spans: &[Span], rows: u64) -> Vec<u32> {
        let mut counts = vec![0; rows as usize];
        for span in spans {
            span.rows.clone().for_each(|row| counts[row as usize] += 1);
        }
        counts
    }

    #[test]
    fn rows_that_end_on_granules_leave_no_seam() {
        // 64 lines of a 4K picture are 15 granules.
        let plan = Parts::of_rows(15_360).plan(507 * G, 2160 * 15_360, 2);
        assert_eq!(plan.seams, []);
        assert_eq!(plan.parts[0], Span { bytes: 0..17 * 15 * G, rows: 0..17 * 64 });
        assert_eq!(plan.parts[1], Span { bytes: 255 * G..507 * G, rows: 1088..2160 });
    }

    #[test]
    fn a_row_on_both_sides_of_a_cut_is_a_seam() {
        let plan = Parts::of_rows(10_000).plan(16 * G, 1_000_000, 2);
        assert_eq!(plan.parts, [Span { bytes: 0..8 * G, rows: 0..52 }, Span { bytes: 8 * G..16 * G, rows: 53..100 }]);
        assert_eq!(plan.seams, [Span { bytes: 7 * G..9 * G, rows: 52..53 }]);
    }

    #[test]
    fn what_is_too_small_to_be_cut_is_one_part() {
        for (row, len) in [(1, 1), (1, G), (100_000, 200_000), (u64::MAX, 5 * G), (3 * G + 1, 8 * G)] {
            let plan = Parts::of_rows(row).plan(len.next_multiple_of(G), len, 8);
            assert_eq!((plan.parts.len(), plan.seams.len()), (1, 0), "{row} {len}");
        }
        assert_eq!(Parts::of_rows(4).plan(G, 0, 8), Plan { parts: vec![], seams: vec![] });
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn every_row_is_worked_on_once_by_who_owns_it(
            row in prop_oneof![1u64..100, 1u64..300_000, (1u64..12).prop_map(|n| n * 4096)],
            len in prop_oneof![1u64..200_000, 1u64..40_000_000],
            spare in 0u64..3,
            workers in 1usize..20,
        ) {
            let size = len.next_multiple_of(G) + spare * G;
            let Plan { parts, seams } = Parts::of_rows(row).plan(size, len, workers);
            prop_assert!((1..=workers).contains(&parts.len()) && seams.len() < parts.len());
            // Parts are all of the region, in order.
            prop_assert_eq!((parts[0].bytes.start, parts[parts.len() - 1].bytes.end), (0, size));
            prop_assert!(parts.windows(2).all(|pair| pair[0].bytes.end == pair[1].bytes.start));
            // Seams follow one another, and don't touch.
            prop_assert!(seams.windows(2).all(|pair| pair[0].bytes.end <= pair[1].bytes.start));
            for Span { bytes, rows } in parts.iter().chain(&seams) {
                prop_assert!(bytes.start % G == 0 && bytes.end % G == 0 && bytes.start < bytes.end && bytes.end <= size);
                prop_assert!(rows.start < rows.end);
                prop_assert!(bytes.start <= rows.start * row && (rows.end * row).min(len) <= bytes.end);
            }
            let rows = len.div_ceil(row);
            let counts = count_rows(&[parts, seams].concat(), rows);
            prop_assert!(counts.iter().all(|&count| count == 1));
        }

        #[test]
        fn parts_are_of_about_one_size(row in 1u64..20_000, workers in 1usize..9) {
            let len = 64 << 20;
            let plan = Parts::of_rows(row).plan(len, len, workers);
            prop_assert_eq!(plan.parts.len(), workers);
            let fair = len as f64 / workers as f64;
            for Span { bytes, .. } in plan.parts {
                let off = ((bytes.end - bytes.start) as f64 / fair - 1.0).abs();
                prop_assert!(off <= 1.0 / tuning::ROWS_A_PART_IS_OFF as f64, "{} {:?}", off, bytes);
            }
        }

        #[test]
        fn every_row_is_read_about_once_with_the_rows_around_it(
            row in 1u64..200_000, len in 1u64..20_000_000, workers in 1usize..20, halo in 0u64..40,
        ) {
            let shares = Parts::of_rows(row).shares(len, workers, halo);
            let rows = len.div_ceil(row);
            prop_assert_eq!((shares[0].own.start, shares[shares.len() - 1].own.end), (0, rows));
            prop_assert!(shares.windows(2).all(|pair| pair[0].own.end == pair[1].own.start));
            for Share { own, bytes, shown } in shares {
                prop_assert!(own.start < own.end);
                prop_assert_eq!(shown.clone(), own.start.saturating_sub(halo)..(own.end + halo).min(rows));
                prop_assert!(bytes.start % G == 0 && bytes.start <= shown.start * row);
                prop_assert_eq!(bytes.end, (shown.end * row).min(len));
            }
        }
    }
}
