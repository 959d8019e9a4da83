//! Where a region is in a memory: arithmetic on placements and on sets of mounts.

use crate::GRANULE;
use crate::region::{Held, Source};
use crate::sys::Access;

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
    #[inline]
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

/// Bytes at a placement. Compares by what is physically shown where, and for what, so a view stays true to its mounts
/// whoever owns the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mount {
    /// The offset in the linear memory, in bytes: a multiple of the granule.
    offset: u64,
    source: Source,
    access: Access,
}

impl Mount {
    /// Regions are shown for writing, frozen ones for reading.
    #[inline]
    pub(crate) fn new(at: Placement, region: &Held) -> Self {
        let access = if region.is_frozen() { Access::Read } else { Access::Write };
        Self { offset: at.offset, source: region.source(), access }
    }

    #[inline]
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn len(&self) -> u64 {
        self.source.range.len()
    }

    pub(crate) fn source(&self) -> Source {
        self.source
    }

    pub(crate) fn access(&self) -> Access {
        self.access
    }

    /// Whether it covers every byte of the memory that the other one does.
    pub(crate) fn covers(&self, other: &Mount) -> bool {
        self.offset <= other.offset && other.offset + other.len() <= self.offset + self.len()
    }

    /// Whether the two cover a common byte of the memory.
    pub(crate) fn overlaps(&self, other: &Mount) -> bool {
        self.offset < other.offset + other.len() && other.offset < self.offset + self.len()
    }
}

/// `mounts` without those in `without`, and with `with`; in order. `mounts` is in order.
pub(crate) fn changed(mounts: &[Mount], without: &[Mount], with: Option<Mount>) -> Vec<Mount> {
    let mut changed: Vec<Mount> = mounts.iter().filter(|m| !without.contains(m)).copied().collect();
    changed.extend(with);
    changed.sort_unstable();
    changed
}

/// What is to go and what is to come for `to` to be shown in place of `from`. Both are in order.
pub(super) fn difference(from: &[Mount], to: &[Mount]) -> (Vec<Mount>, Vec<Mount>) {
    let without = |all: &[Mount], others: &[Mount]| all.iter().filter(|m| !others.contains(m)).copied().collect();
    (without(from, to), without(to, from))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::region::{Backing, FrozenRegion, Mappable};

    fn mount(at: u64, granules: u64) -> Mount {
        let region = Mappable::allocate(&Backing::in_blocks(), granules * GRANULE).unwrap();
        Mount::new(Placement { offset: at * GRANULE }, &Held::Mappable(region))
    }

    #[test]
    fn what_is_frozen_is_mounted_for_reading() {
        let region = || Mappable::allocate(&Backing::in_blocks(), GRANULE).unwrap();
        let at = Placement { offset: GRANULE };
        let [owned, frozen] = [Held::Mappable(region()), Held::Frozen(FrozenRegion::new(region()))];
        assert_eq!(Mount::new(at, &owned).access(), Access::Write);
        assert_eq!(Mount::new(at, &frozen).access(), Access::Read);
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
            let shared = (a..a + a_len).any(|granule| (b..b + b_len).contains(&granule));
            prop_assert_eq!(mount(a, a_len).overlaps(&mount(b, b_len)), shared);
        }
    }

    proptest! {
        #[test]
        fn a_mount_that_covers_another_shares_all_its_granules(a in 0u64..12, a_len in 1u64..5, b in 0u64..12, b_len in 1u64..5) {
            let all = (b..b + b_len).all(|granule| (a..a + a_len).contains(&granule));
            prop_assert_eq!(mount(a, a_len).covers(&mount(b, b_len)), all);
        }
    }

    #[test]
    fn a_difference_leads_from_one_set_to_the_other() {
        let [a, b, c, d] = [1, 2, 3, 4].map(|at| mount(at, 1));
        assert_eq!(difference(&[a, b, c], &[b, d]), (vec![a, c], vec![d]));
        assert_eq!(difference(&[], &[a]), (vec![], vec![a]));
        assert_eq!(difference(&[a], &[a]), (vec![], vec![]));
    }

    #[test]
    fn a_changed_set_is_in_order_and_free_of_what_was_taken_out() {
        let [a, b, c] = [1, 2, 3].map(|at| mount(at, 1));
        assert_eq!(changed(&[a, c], &[], Some(b)), [a, b, c]);
        assert_eq!(changed(&[a, b, c], &[b], None), [a, c]);
        assert_eq!(changed(&[a, b], &[a], Some(c)), [b, c]);
    }
}
