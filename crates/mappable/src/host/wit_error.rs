//! The errors of the WIT package, as Wasmtime passes them. Embedders find them in [`bindings`](crate::bindings).

use wasmtime::component::{ComponentType, Lift, Lower};

use crate::region::{AllocateError, PartError};

/// Why a region was not mapped or unmapped: the WIT enum `map-error`. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub enum WitMapError {
    /// The placement is empty, or its start or length is not a multiple of the granule.
    #[component(name = "placement-misaligned")]
    PlacementMisaligned,
    /// The placement is shorter than the region.
    #[component(name = "placement-too-small")]
    PlacementTooSmall,
    /// Something is mapped in a part of the placement.
    #[component(name = "placement-overlaps")]
    PlacementOverlaps,
    /// On unmap: `at` is empty, or does not begin where the region is mapped.
    #[component(name = "placement-mismatch")]
    PlacementMismatch,
    /// The host can't map regions into this memory at all.
    #[component(name = "placement-unmappable")]
    PlacementUnmappable,
    /// One more mapping would exceed the store's [`Limits`](crate::Limits).
    #[component(name = "mapping-over-quota")]
    MappingOverQuota,
    /// The operating system's limit on mappings has been reached.
    #[component(name = "mappings-exhausted")]
    MappingsExhausted,
}

/// Why a guest got no new region or reference: the WIT enum `allocate-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub enum WitAllocateError {
    /// The size is zero.
    #[component(name = "invalid-region-size")]
    InvalidRegionSize,
    /// One more region, or one of this size, would exceed the store's [`Limits`](crate::Limits).
    #[component(name = "region-over-quota")]
    RegionOverQuota,
    /// There is no memory for a region of this size.
    #[component(name = "regions-exhausted")]
    RegionsExhausted,
}

impl From<AllocateError> for WitAllocateError {
    fn from(error: AllocateError) -> Self {
        match error {
            AllocateError::InvalidRegionSize(_) => Self::InvalidRegionSize,
            AllocateError::RegionsExhausted(_) => Self::RegionsExhausted,
        }
    }
}

/// Why a region was not split, or no slice was taken: the WIT enum `part-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub enum WitPartError {
    /// The part does not begin at a multiple of the granule.
    #[component(name = "part-misaligned")]
    PartMisaligned,
    /// The part is empty, or a byte of it is outside of the region.
    #[component(name = "part-outside-region")]
    PartOutsideRegion,
    /// One more region would exceed the store's [`Limits`](crate::Limits), or there is no memory for it.
    #[component(name = "region-over-quota")]
    RegionOverQuota,
}

impl From<PartError> for WitPartError {
    fn from(error: PartError) -> Self {
        match error {
            PartError::Misaligned => Self::PartMisaligned,
            PartError::OutsideRegion => Self::PartOutsideRegion,
            PartError::RegionsExhausted => Self::RegionOverQuota,
        }
    }
}

/// Why bytes were not read or written, or a length not set: the WIT enum `access-error`. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub enum WitAccessError {
    /// The range, or the length, goes past the size of the region.
    #[component(name = "range-outside-region")]
    RangeOutsideRegion,
    /// The host doesn't return so many bytes at once.
    #[component(name = "list-too-long")]
    ListTooLong,
}
