//! How regions are seen: the address ranges through which a linear memory shows its heap and the regions that are
//! mapped in it, and how one of them is made current.
//!
//! ```text
//!   Creator            gives the engine its memories (`MemoryCreator`)
//!    └ Memory          one linear memory: its size, and the base that compiled code is to use
//!       ├ Paged        its bytes as pages: the heap, and the views of it
//!       │  └ View      one address range that shows the heap and, at the placements, the mapped regions
//!       └ Block        its bytes as a block of the process's heap, where pages can't be mapped
//!   MappedMemory       a memory that regions are mapped into, by switching or changing views, or by copying
//!    ├ Views           the cached views of a memory, and which leads to which
//!    │  └ History      what was wanted and had no view: what is worth one
//!    ├ SwappedBytes    what is mapped by exchanging bytes: all in a memory without views, little in another
//!    └ Mounts          what is shown besides the heap
//!       └ Mount        bytes at a placement: arithmetic alone
//!   LedgerRole         what a memory shows where a store's ledger says it: as a guest's memory, as the ledger itself,
//!                      or as a window on others (`Directory`)
//! ```
//!
//! Everything here rests on one fact: compiled code loads a memory's base again when `memory.grow` of that memory runs,
//! and only then. No guest instruction may run between a call of [`MappedMemory::mount`] or [`MappedMemory::unmount`] and
//! that `memory.grow`; [`rewrite`](crate::rewrite) sees to it. So besides the current view, only the one before it can
//! still be reached, and only by the engine, until the next `mount` or `unmount` in the same memory.
//!
//! A closed composition maps without the host what it has mapped before: its trusted modules write to the ledger which of
//! the views that a memory *offers* is current, and then run `memory.grow 0`. The host reads that first
//! (`MappedMemory::sync`) whenever it uses the memory. A view that is offered does not change until it is offered no more.
//!
//! Who may map what is [`host`](crate::host)'s business; what is owned, [`region`](crate::region)'s.

mod allowance;
mod creator;
mod history;
mod idle;
mod mapped_memory;
mod memory;
mod mount;
mod mounts;
mod paged;
mod resident;
mod role;
mod strategy;
mod swapped_bytes;
#[expect(clippy::module_inception, reason = "the room has the name of its main type")]
mod view;
mod views;
mod warm_pool;

pub(crate) use allowance::Allowance;
pub(crate) use creator::{Creator, Memories};
pub(crate) use mapped_memory::{DriverConfig, Lingering, MappedMemory, MountError};
pub(crate) use memory::Memory;
pub(crate) use mount::{Mount, Placement, PlacementError};
pub(crate) use role::Directory;
#[cfg_attr(
    not(feature = "internals"),
    allow(unreachable_pub, reason = "public where the project's own tools ask for it")
)]
pub use strategy::strategy_for;
pub use strategy::{MemoryShape, Strategy, Unmappable};
