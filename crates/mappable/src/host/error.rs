//! What a guest is told: the errors of the WIT package, and the reasons of traps.

use wasmtime::component::{ComponentType, Lift, Lower};

use crate::region::{AllocateError, PartError};

/// The WIT enum `map-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum WitMapError {
    #[component(name = "placement-misaligned")]
    PlacementMisaligned,
    #[component(name = "placement-too-small")]
    PlacementTooSmall,
    #[component(name = "placement-overlaps")]
    PlacementOverlaps,
    #[component(name = "placement-mismatch")]
    PlacementMismatch,
    #[component(name = "placement-unmappable")]
    PlacementUnmappable,
    #[component(name = "mapping-over-quota")]
    MappingOverQuota,
    #[component(name = "mappings-exhausted")]
    MappingsExhausted,
}

/// The WIT enum `allocate-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum WitAllocateError {
    #[component(name = "invalid-region-size")]
    InvalidRegionSize,
    #[component(name = "region-over-quota")]
    RegionOverQuota,
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

/// The WIT enum `part-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum WitPartError {
    #[component(name = "part-misaligned")]
    PartMisaligned,
    #[component(name = "part-outside-region")]
    PartOutsideRegion,
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

/// The WIT enum `access-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum WitAccessError {
    #[component(name = "range-outside-region")]
    RangeOutsideRegion,
    #[component(name = "list-too-long")]
    ListTooLong,
}

/// Why a call of a function of `mappable:memory/types` trapped. Found in the chain of the error that the call into
/// the guest answers, with `error.downcast_ref::<TrapReason>()`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrapReason {
    /// The list that names the memory lies in another one than the mapping.
    #[error("mapping used by another instance than the one that made it")]
    ForeignMapping,
    /// A borrowed handle came where an owned one is taken.
    #[error("a borrowed handle was passed where an owned one is needed")]
    Borrowed,
    /// A core module named no region: null, a reference to something else, or to a region that the host has taken out.
    #[error("the reference is to no region that this store holds")]
    NoRegion,
    /// A core module mapped a region that is mapped.
    #[error("the region is mapped already")]
    Mapped,
    /// A core module unmapped a region that is not mapped.
    #[error("the region is not mapped")]
    NotMapped,
    /// The engine did not let a memory grow by nothing, without which its base can't be refreshed (our bug, with this
    /// version of the engine).
    #[error("the memory's base was not refreshed: nothing more is mapped in it (a bug in mappable)")]
    NotRefreshed(#[source] wasmtime::Error),
    /// The memory is driven by the context of another store.
    #[error("the memory's mappings belong to another MappableCtx: a store keeps the one that it began with")]
    AnotherContext,
    /// The operating system refused, in the middle of a change that could not be undone.
    #[error("the operating system failed a mapping in a way that could not be undone")]
    Broken(#[source] std::io::Error),
    /// The region could not be read or written.
    #[error("the region could not be read or written")]
    Unreadable(#[source] std::io::Error),
    /// The handle's region is not where it must be.
    #[error("handle {rep} stands for no region that is {expected} (a bug in mappable, {file}:{line})")]
    Bug {
        /// The engine's representation of the handle.
        rep: u32,
        /// The state that the handle's type promises.
        expected: &'static str,
        /// Where this was noticed.
        file: &'static str,
        /// Where this was noticed.
        line: u32,
    },
}
