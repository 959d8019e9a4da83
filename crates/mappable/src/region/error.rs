//! Why a region was not made, cut, joined, frozen or thawed. What went in comes back in the error.

use std::io;

use super::{Frozen, GRANULE, Mappable};

/// Why no region was allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocateError {
    /// It was asked for with no bytes.
    #[error("a region can't be allocated for {0} bytes: ask for one at the least")]
    InvalidRegionSize(u64),
    /// There is no room for it.
    #[error("there is no room for a region of {0} bytes")]
    RegionsExhausted(u64),
}

/// A length was not set: the region is not so large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a region of {size} bytes can't have a length of {len}")]
#[non_exhaustive]
pub struct LengthError {
    /// The length that was to be set.
    pub len: u64,
    /// The region's size.
    pub size: u64,
}

/// An error of kind [`InvalidInput`](io::ErrorKind::InvalidInput), whose source it is.
impl From<LengthError> for io::Error {
    fn from(error: LengthError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

/// Why a region was not split, or no slice was taken of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartError {
    /// The part does not begin at a multiple of [`GRANULE`].
    #[error("a part begins at a multiple of {GRANULE}")]
    Misaligned,
    /// A part is empty, or not all inside the region.
    #[error("a part is empty, or not all inside the region")]
    OutsideRegion,
    /// Where regions are blocks of the heap: there is no room to move the parts into blocks of their own.
    #[error("there is no room for the parts")]
    RegionsExhausted,
}

/// A region was not split.
#[derive(Debug, thiserror::Error)]
#[error("a region of {} bytes was not split: {reason}", region.size())]
#[non_exhaustive]
pub struct SplitFailed {
    /// The region, as it was.
    pub region: Mappable,
    /// Why.
    pub reason: PartError,
}

/// Two regions were not joined: they are no neighbours, in this order, in one allocation.
#[derive(Debug, thiserror::Error)]
#[error("two regions were not joined: only neighbours that were split from one another can be")]
#[non_exhaustive]
pub struct JoinFailed {
    /// The first region, as it was.
    pub low: Mappable,
    /// The second region, as it was.
    pub high: Mappable,
}

/// A region was not frozen for the host: it can't be shown in the host's address space.
#[derive(Debug, thiserror::Error)]
#[error("a region of {} bytes can't be shown in the host's address space", region.size())]
#[non_exhaustive]
pub struct FreezeFailed {
    /// The region, as it was.
    pub region: Mappable,
    /// The operating system's reason.
    #[source]
    pub source: io::Error,
}

/// Frozen bytes were not thawed: this is not the only reference to them, or another process may read them.
#[derive(Debug, thiserror::Error)]
#[error("{} frozen bytes were not thawed: there are other references to them, or another process may read them", frozen.size())]
#[non_exhaustive]
pub struct ThawFailed {
    /// The reference, as it was.
    pub frozen: Frozen,
}
