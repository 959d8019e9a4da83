//! What is owned: regions, and the memory that they lie in.
//!
//! ```text
//!   Mappable          one region, owned by whoever holds the value; the host's side of the WIT resource
//!      └ Extent       a range of the backing file, punched out and given back on drop
//!          └ Backing  one sparse file for a runtime; regions and the heaps of linear memories are ranges of it
//!              └ Ranges   which ranges are free: arithmetic alone
//! ```
//!
//! Where a region is seen is [`view`](crate::view)'s business, who holds which handle is [`host`](crate::host)'s.

mod backing;
mod mappable;
mod ranges;

pub(crate) use backing::{Backing, Extent};
pub use mappable::{AllocateError, Mappable};
pub(crate) use ranges::FileRange;
#[cfg(test)]
pub(crate) use ranges::Ranges;

/// The size of a granule in bytes: one page of WebAssembly. Region sizes and placements are multiples of it, so
/// that no two regions share a page of the host.
pub const GRANULE: u64 = 65_536;
