//! What a guest is told: the errors of the WIT package, and the reasons of traps.

use wasmtime::component::{ComponentType, Lift, Lower};

use crate::region::AllocateError;

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
