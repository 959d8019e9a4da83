//! The errors of all operations. An error of a call that consumes its region returns the region.

use alloc::boxed::Box;
use core::fmt;

use crate::GRANULE;
use crate::bindings::types;
use crate::frozen::Frozen;
use crate::mapped::Mapped;
use crate::region::Mappable;

/// Why a region was not allocated, or a reference not made.
///
/// ```
/// use mappable_guest::{AllocateError, Mappable};
///
/// let error = Mappable::allocate(0).unwrap_err();
/// assert_eq!(error, AllocateError::InvalidRegionSize(0));
/// assert_eq!(error.to_string(), "a region can't be allocated for 0 bytes: ask for one at the least");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllocateError {
    /// It was asked for with no bytes.
    InvalidRegionSize(u64),
    /// A region of this size would exceed a quota that the host has set.
    RegionOverQuota(u64),
    /// The host has no memory for a region of this size.
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
                write!(f, "a region can't be allocated for {size} bytes: ask for one at the least")
            }
            AllocateError::RegionOverQuota(size) => {
                write!(f, "a region of {size} bytes is over the quota that the host has set")
            }
            AllocateError::RegionsExhausted(size) => write!(f, "the host has no room for a region of {size} bytes"),
        }
    }
}

impl core::error::Error for AllocateError {}

/// A region was not mapped. The error returns it: a [`Mappable`], or a [`Frozen`](crate::Frozen).
///
/// ```
/// use mappable_guest::{MapFailed, MapReason, Mappable};
///
/// match Mappable::allocate(65_536).unwrap().map() {
///     Ok(bytes) => assert_eq!(bytes[0], 0),
///     Err(MapFailed { region, reason: MapReason::MappingOverQuota { .. }, .. }) => {
///         // Unmap something else, and try again with `region`.
///         # drop(region);
///     }
///     Err(error) => panic!("{error}"),
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
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
    /// This component's memory has no room for a placement, and can't grow enough.
    MemoryFull {
        /// The size of the region in bytes.
        size: u64,
    },
    /// One more mapping would exceed a quota that the host has set. Unmapping others helps.
    MappingOverQuota {
        /// The size of the region in bytes.
        size: u64,
    },
    /// The host refused the placement. No host that follows the interface does.
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

/// The host refused to unmap a region. The error returns it, still mapped: a [`Mapped`], or a
/// [`MappedFrozen`](crate::MappedFrozen).
#[derive(Debug)]
#[non_exhaustive]
pub struct UnmapFailed<M = Mapped> {
    /// The region, as it was.
    pub mapped: Box<M>,
    /// The host's error.
    pub reason: types::MapError,
}

impl<M> fmt::Display for UnmapFailed<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the host refused to unmap the region: {:?}", self.reason)
    }
}

impl<M: fmt::Debug> core::error::Error for UnmapFailed<M> {}

/// Why [`Mappable::split`] or [`Frozen::slice`] failed.
///
/// ```
/// use mappable_guest::{Mappable, PartError};
///
/// let frozen = Mappable::allocate(131_072).unwrap().freeze();
/// assert_eq!(frozen.slice(100..200).unwrap_err(), PartError::Misaligned);
/// assert_eq!(frozen.slice(65_536..196_608).unwrap_err(), PartError::OutsideRegion);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartError {
    /// The part does not begin at a multiple of [`GRANULE`].
    Misaligned,
    /// The part is empty, or a byte of it is outside of the region.
    OutsideRegion,
    /// One more region would exceed a quota that the host has set.
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
            PartError::Misaligned => write!(f, "a part of a region begins at a multiple of {GRANULE}"),
            PartError::OutsideRegion => f.write_str("a part of a region is not empty, and inside the region"),
            PartError::RegionOverQuota => f.write_str("one more region is over the quota that the host has set"),
        }
    }
}

impl core::error::Error for PartError {}

/// A region was not split. The error returns it.
///
/// ```
/// let failed = mappable_guest::Mappable::allocate(131_072).unwrap().split(100).unwrap_err();
/// let region = failed.region;
/// # assert_eq!(region.size(), 131_072);
/// ```
#[derive(Debug)]
#[non_exhaustive]
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

/// Two regions were not joined, because they are not neighbours in one allocation, in this order. The error returns
/// both.
///
/// ```
/// let (low, high) = mappable_guest::Mappable::allocate(131_072).unwrap().split(65_536).unwrap();
/// let failed = high.join(low).unwrap_err(); // the wrong way round
/// let region = failed.high.join(failed.low).unwrap();
/// # assert_eq!(region.size(), 131_072);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct JoinFailed {
    /// The region that was to be the first part.
    pub low: Mappable,
    /// The region that was to be the second part.
    pub high: Mappable,
}

impl fmt::Display for JoinFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the regions were not joined: they are not neighbours in one allocation, in this order")
    }
}

impl core::error::Error for JoinFailed {}

/// Frozen bytes were not thawed, because there are other references to them. The error returns this one.
///
/// ```
/// let frozen = mappable_guest::Mappable::allocate(65_536).unwrap().freeze();
/// let other = frozen.try_clone().unwrap();
/// let failed = frozen.thaw().unwrap_err();
/// drop(other);
/// let region = failed.frozen.thaw().unwrap();
/// # assert_eq!(region.size(), 65_536);
/// ```
#[derive(Debug)]
#[non_exhaustive]
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

/// A range of bytes, or a length, is not inside the region.
///
/// ```
/// let region = mappable_guest::Mappable::allocate(65_536).unwrap();
/// let error = region.write(65_530, b"too long").unwrap_err();
/// assert_eq!(error.to_string(), "8 bytes from 65530 are not inside a region of 65536 bytes");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RangeError {
    /// The first byte of the range.
    pub offset: u64,
    /// The length of the range in bytes.
    pub length: u64,
    /// The size of the region in bytes.
    pub size: u64,
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RangeError { offset, length, size } = self;
        write!(f, "{length} bytes from {offset} are not inside a region of {size} bytes")
    }
}

impl core::error::Error for RangeError {}
