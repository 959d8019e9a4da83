//! Where a region is in a memory: arithmetic on placements and on sets of mounts.

use crate::GRANULE;
use crate::region::FileRange;

/// A range of a linear memory: granule-aligned, not empty, and long enough for the region that it was checked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    offset: u64,
}

/// Why a range is no placement for a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlacementError {
    Misaligned,
    TooSmall,
}

impl Placement {
    /// The range of `len` bytes at `offset`, for a region of `size` bytes.
    pub(crate) fn new(offset: u64, len: u64, size: u64) -> Result<Self, PlacementError> {
        if len == 0 || !len.is_multiple_of(GRANULE) || !offset.is_multiple_of(GRANULE) {
            return Err(PlacementError::Misaligned);
        }
        if len < size {
            return Err(PlacementError::TooSmall);
        }
        Ok(Self { offset })
    }
}

/// A file range at a placement. Compares by what is physically shown where, so a view stays true to its mounts
/// whoever owns the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mount {
    /// The offset in the linear memory, in bytes: a multiple of the granule.
    offset: u64,
    range: FileRange,
}

impl Mount {
    pub(crate) fn new(at: Placement, range: FileRange) -> Self {
        Self { offset: at.offset, range }
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn range(&self) -> FileRange {
        self.range
    }

    /// Whether the two cover a common byte of the memory.
    pub(crate) fn overlaps(&self, other: &Mount) -> bool {
        self.offset < other.offset + other.range.len() && other.offset < self.offset + self.range.len()
    }
}

/// `mounts` without those in `without`, and with `with`; in order. `mounts` is in order.
pub(crate) fn changed(mounts: &[Mount], without: &[Mount], with: Option<Mount>) -> Vec<Mount> {
    let mut changed: Vec<Mount> = mounts.iter().filter(|m| !without.contains(m)).copied().collect();
    changed.extend(with);
    changed.sort_unstable();
    changed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::region::Ranges;

    fn range(granules: u64) -> FileRange {
        Ranges::new(1 << 30).take(granules * GRANULE).unwrap()
    }

    #[test]
    fn a_placement_is_whole_granules_and_holds_the_region() {
        use PlacementError::{Misaligned, TooSmall};
        let of = |offset, len| Placement::new(offset, len, 2 * GRANULE).map(|p| p.offset);
        assert_eq!(of(GRANULE, 2 * GRANULE), Ok(GRANULE));
        assert_eq!(of(0, 3 * GRANULE), Ok(0));
        assert_eq!(of(GRANULE, 0), Err(Misaligned));
        assert_eq!(of(GRANULE, 2 * GRANULE + 1), Err(Misaligned));
        assert_eq!(of(GRANULE - 1, 2 * GRANULE), Err(Misaligned));
        assert_eq!(of(GRANULE, GRANULE), Err(TooSmall));
    }

    proptest! {
        #[test]
        fn mounts_overlap_when_they_share_a_granule(a in 0u64..12, a_len in 1u64..5, b in 0u64..12, b_len in 1u64..5) {
            let mount = |at, len| Mount { offset: at * GRANULE, range: range(len) };
            let shared = (a..a + a_len).any(|granule| (b..b + b_len).contains(&granule));
            prop_assert_eq!(mount(a, a_len).overlaps(&mount(b, b_len)), shared);
        }
    }

    #[test]
    fn a_changed_set_is_in_order_and_free_of_what_was_taken_out() {
        let [a, b, c] = [1, 2, 3].map(|at| Mount { offset: at * GRANULE, range: range(1) });
        assert_eq!(changed(&[a, c], &[], Some(b)), [a, b, c]);
        assert_eq!(changed(&[a, b, c], &[b], None), [a, c]);
        assert_eq!(changed(&[a, b], &[a], Some(c)), [b, c]);
    }
}
