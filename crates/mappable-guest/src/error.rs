//! Why there is no region, no mapping, no part or no bytes. Errors of calls that consume give back what they consumed.

use alloc::boxed::Box;
use core::fmt;

use crate::GRANULE;
use crate::bindings::types;
use crate::frozen::Frozen;
use crate::mapped::Mapped;
use crate::region::Mappable;

/// Why there is no region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllocateError {
    /// The size is zero, or not a multiple of [`GRANULE`].
    InvalidRegionSize(u64),
    /// A region of this size would take this component over a quota that its host has set.
    RegionOverQuota(u64),
    /// The host has no room for a region of this size.
    RegionsExhausted(u64),
}

impl AllocateError {
    pub(crate) fn new(error: types::AllocateError, size: u64) -> AllocateError {
        match error {
            types::AllocateError::InvalidRegionSize => AllocateError::InvalidRegionSize(size),
            types::AllocateError::RegionOverQuota => AllocateError::RegionOverQuota(size),
            types::AllocateError::RegionsExhausted => AllocateError::RegionsExhausted(size),
        }
    }
}

impl fmt::Display for AllocateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AllocateError::InvalidRegionSize(size) => {
                write!(f, "a region can't have {size} bytes: its size is a positive multiple of {GRANULE}")
            }
            AllocateError::RegionOverQuota(size) => {
                write!(f, "a region of {size} bytes is over the quota that the host has set")
            }
            AllocateError::RegionsExhausted(size) => write!(f, "the host has no room for a region of {size} bytes"),
        }
    }
}

impl core::error::Error for AllocateError {}

/// A region could not be mapped. It is given back: a [`Mappable`], or a [`Frozen`](crate::Frozen).
#[derive(Debug)]
pub struct MapFailed<R = Mappable> {
    /// The region, as it was.
    pub region: R,
    /// Why.
    pub reason: MapReason,
}

/// Why a region could not be mapped.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum MapReason {
    /// This component's memory has no room for a placement, and can't grow so far.
    MemoryFull {
        /// The size of the region.
        size: u64,
    },
    /// The mapping would take this component over a quota that its host has set. Unmapping others helps.
    MappingOverQuota {
        /// The size of the region.
        size: u64,
    },
    /// The host refused the placement, which none does that keeps to the interface.
    Refused(types::MapError),
}

impl<R> fmt::Display for MapFailed<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            MapReason::MemoryFull { size } => {
                write!(f, "the component's memory has no room to map a region of {size} bytes")
            }
            MapReason::MappingOverQuota { size } => {
                write!(f, "mapping a region of {size} bytes is over the quota that the host has set")
            }
            MapReason::Refused(error) => write!(f, "the host refused to map the region: {error:?}"),
        }
    }
}

impl<R: fmt::Debug> core::error::Error for MapFailed<R> {}

/// The host refused to unmap a region. It is given back, still mapped: a [`Mapped`], or a
/// [`MappedFrozen`](crate::MappedFrozen).
#[derive(Debug)]
pub struct UnmapFailed<M = Mapped> {
    /// The region, as it was.
    pub mapped: Box<M>,
    /// What the host said.
    pub reason: types::MapError,
}

impl<M> fmt::Display for UnmapFailed<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the host refused to unmap the region: {:?}", self.reason)
    }
}

impl<M: fmt::Debug> core::error::Error for UnmapFailed<M> {}

/// Why a region was not split, or no slice was taken of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartError {
    /// A bound of the part is not a multiple of the granule.
    Misaligned,
    /// A part is empty, or not all inside the region.
    OutsideRegion,
    /// One more region would take this component over a quota that its host has set.
    RegionOverQuota,
}

impl From<types::PartError> for PartError {
    fn from(error: types::PartError) -> PartError {
        match error {
            types::PartError::PartMisaligned => PartError::Misaligned,
            types::PartError::PartOutsideRegion => PartError::OutsideRegion,
            types::PartError::RegionOverQuota => PartError::RegionOverQuota,
        }
    }
}

impl fmt::Display for PartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartError::Misaligned => write!(f, "a part of a region begins and ends on a multiple of {GRANULE}"),
            PartError::OutsideRegion => f.write_str("a part of a region is not empty, and inside the region"),
            PartError::RegionOverQuota => f.write_str("one more region is over the quota that the host has set"),
        }
    }
}

impl core::error::Error for PartError {}

/// A region was not split. It is given back.
#[derive(Debug)]
pub struct SplitFailed {
    /// The region, as it was.
    pub region: Mappable,
    /// Why.
    pub reason: PartError,
}

impl fmt::Display for SplitFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the region was not split: {}", self.reason)
    }
}

impl core::error::Error for SplitFailed {}

/// Two regions were not joined: they are not neighbours in one allocation, in this order. They are given back.
#[derive(Debug)]
pub struct JoinFailed {
    /// What was to be the first part, as it was.
    pub low: Mappable,
    /// What was to be the second part, as it was.
    pub high: Mappable,
}

impl fmt::Display for JoinFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the regions were not joined: they are not neighbours in one allocation, in this order")
    }
}

impl core::error::Error for JoinFailed {}

/// Frozen bytes were not thawed: this is not the only reference to them. It is given back.
#[derive(Debug)]
pub struct ThawFailed {
    /// The reference, as it was.
    pub frozen: Frozen,
}

impl fmt::Display for ThawFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.frozen.size();
        write!(f, "{size} frozen bytes were not thawed: there are other references to them")
    }
}

impl core::error::Error for ThawFailed {}

/// A range of bytes that is not inside the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeError {
    /// Where the range begins.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
    /// How long the region is.
    pub size: u64,
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RangeError { offset, length, size } = self;
        write!(f, "{length} bytes from {offset} are not inside a region of {size} bytes")
    }
}

impl core::error::Error for RangeError {}
