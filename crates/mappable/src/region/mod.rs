//! What is owned: regions, and the memory that they lie in.
//!
//! ```text
//!   Charged             what a handle stands for, charged to a store's account (`Limits`)
//!    ├ Mappable         one region, owned by whoever holds the value; the host's side of the WIT resource
//!    │  └ Extent        a part of the backing, freed on drop or kept for the next
//!    └ Frozen           a reference to bytes that do not change; the host's side of the WIT resource
//!       └ Allocation    a region that was frozen, or a file of others
//!   Backing             one sparse file for a runtime (or, where there are no such, blocks of the heap); regions and the
//!    ├ Ranges           heaps of linear memories are ranges of it; which are free is arithmetic alone
//!    ├ IdleRanges       ranges that regions had, kept for the next
//!    └ HugePages        which of it lies in huge pages
//! ```
//!
//! Where a region is seen is [`view`](crate::view)'s business, who holds which handle is [`host`](crate::host)'s.

mod address_space;
mod backing;
mod block;
mod error;
#[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
mod export;
mod extent;
mod frozen;
mod frozen_region;
mod held;
mod huge;
mod idle;
mod mappable;
mod parts;
mod pod;
mod ranges;
mod region_block;
mod shared_file;
mod touched;
#[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
mod trust;

pub(crate) use address_space::{GUARD, RESERVATION, SPAN};
pub(crate) use backing::{Backing, FileId, Source};
pub(crate) use block::Block;
pub use error::{AllocateError, FreezeFailed, JoinFailed, LengthError, PartError, SplitFailed, ThawFailed};
#[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
pub use export::{ExportFailed, Exported, ImportError, SealFailed};
#[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
pub(crate) use export::{import_frozen, import_region};
pub(crate) use extent::{Extent, ZEROES};
pub use frozen::Frozen;
pub(crate) use frozen_region::FrozenRegion;
pub use held::Limits;
pub(crate) use held::{Account, Charged, Held};
pub use huge::HugePages;
pub use mappable::Mappable;
pub(crate) use parts::check_slice;
pub use pod::PodError;
pub(crate) use ranges::{FileRange, Runs};
#[cfg(all(feature = "ipc", target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
pub(crate) use shared_file::{Keeper, SharedFile};
pub(crate) use touched::Touched;
#[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
pub use trust::Trust;

/// The size of a granule in bytes: one page of WebAssembly. Region sizes and placements are multiples of it, so
/// that no two regions share a page of the host.
pub const GRANULE: u64 = 65_536;
