//! What the embedder's handles are made of: the types of the package's resources that have no values, and why a handle
//! is refused.

use std::io;

/// The WIT resource `mapping`, as a type for [`Resource`](wasmtime::component::Resource) and [`wasmtime::component::ResourceType`]. It has no values:
/// what is mapped is the business of the guest that mapped it.
pub enum Mapping {}

/// The WIT resource `frozen-mapping`, as [`Mapping`].
pub enum FrozenMapping {}

/// Why a handle could not be made from a region, or a region had from a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandleError {
    /// The region was allocated by another [`Runtime`](crate::Runtime).
    #[error("the region belongs to another runtime")]
    AnotherRuntime,
    /// The handle stands for no region of its kind that the host has in this store: it was made up, used before, or is a
    /// component's; or the region is mapped.
    #[error(
        "handle {0} was not given to this store (MappableCtx::insert), was taken out of it or is a component's, or its \
         region is mapped"
    )]
    NotHeld(u32),
    /// The handle is borrowed, so the region is not the host's to take.
    #[error("handle {0} is borrowed: the region is not the host's to take")]
    Borrowed(u32),
    /// The store's limits have no room for it ([`MappableCtx::try_insert`](crate::MappableCtx::try_insert)).
    #[error("the store's limits have no room for the region (MappableCtx::set_limits)")]
    OverQuota,
    /// The operating system did not show the region in the host's address space.
    #[error("the region can't be shown in the host's address space: {0}")]
    NotShown(io::ErrorKind),
}
