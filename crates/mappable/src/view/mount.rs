//! Where a region is in a memory: arithmetic on placements.

use std::cmp::Ordering;
use std::ops::Range;

use crate::GRANULE;
use crate::region::{FrozenRegion, Held, Source};
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
#[derive(Clone, Copy, Debug, Eq)]
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

    /// Frozen bytes, to be written to as the mount's own.
    pub(crate) fn private(at: Placement, region: &FrozenRegion) -> Self {
        Self { offset: at.offset, source: region.source(), access: Access::Private }
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

    /// Whether what is written there is this mount's own, until it goes.
    #[inline]
    pub(crate) fn is_private(&self) -> bool {
        self.access == Access::Private
    }

    fn key(&self) -> (u64, Source, Access) {
        looked_at();
        (self.offset, self.source, self.access)
    }

    /// Whether it covers every byte of the memory that the other one does.
    pub(crate) fn covers(&self, other: &Mount) -> bool {
        self.offset <= other.offset && other.range().end <= self.range().end
    }

    /// The bytes of the memory that it covers, as offsets.
    pub(crate) fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.len()
    }
}

impl PartialEq for Mount {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl PartialOrd for Mount {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Mount {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// Counts, in tests of this crate, how many mounts are looked at: one by one, or to compare them.
#[inline]
pub(super) fn looked_at() {
    #[cfg(test)]
    LOOKED_AT.set(LOOKED_AT.get() + 1);
}

#[cfg(test)]
thread_local! {
    pub(super) static LOOKED_AT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::region::{Backing, Mappable};

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
        fn a_mount_that_covers_another_shares_all_its_granules(a in 0u64..12, a_len in 1u64..5, b in 0u64..12, b_len in 1u64..5) {
            let all = (b..b + b_len).all(|granule| (a..a + a_len).contains(&granule));
            prop_assert_eq!(mount(a, a_len).covers(&mount(b, b_len)), all);
        }
    }
}
