//! How regions are seen: the address ranges through which a linear memory shows its heap and the regions that are
//! mapped in it, and how one of them is made current.
//!
//! ```text
//!   Creator          gives the engine its memories (`MemoryCreator`)
//!    └ Memory        one linear memory: its size, and the base that compiled code is to use
//!       ├ Paged      its bytes as pages: the heap, and the views of it
//!       │  └ View    one address range that shows the heap and, at the placements, the mapped regions
//!       └ Block      its bytes as a block of the process's heap, where pages can't be mapped
//!   Seat             a memory as its store's context drives it: maps and unmaps by switching or changing views, or by copying
//!    ├ Views         the cached views of a memory, and which leads to which
//!    │  └ History   what was wanted and had no view: what is worth one
//!    ├ Copies        what is mapped in a memory that has no views
//!    ├ Moved         what is mapped in one that has, by moving bytes all the same
//!    └ Mount         bytes at a placement: arithmetic alone
//!   Role             what a memory shows where a store's ledger says it: as a guest's memory, as the ledger itself, as a
//!                    window on others (`Directory`)
//! ```
//!
//! What everything here rests on: compiled code takes a memory's base anew when `memory.grow` of that memory runs, and
//! only then. Between a call of [`Seat::mount`] or [`Seat::unmount`] and that `memory.grow`, no guest instruction
//! may run. [`rewrite`](crate::rewrite) sees to it. So the view that was current is the only one besides the current
//! one that can still be reached, and only by the engine, until the next `mount` or `unmount` in the same memory.
//!
//! A closed composition maps without the host what it has mapped before: its trusted modules write to the ledger which of
//! the views that a seat *offers* is current, and run `memory.grow 0` in the same breath. So a seat first takes in what
//! was changed so (`Seat::sync`), and what it is asked about is true again; a view that is offered stays as it is until
//! it is offered no more.
//!
//! Who may map what is [`host`](crate::host)'s business; what is owned, [`region`](crate::region)'s.

mod allowance;
mod copies;
mod creator;
mod history;
mod idle;
mod kept;
mod memory;
mod mount;
mod moved;
mod paged;
mod role;
mod seat;
mod shelf;
mod strategy;
#[expect(clippy::module_inception, reason = "the room has the name of its main type")]
mod view;
mod views;

pub(crate) use allowance::Allowance;
pub(crate) use creator::{Creator, Memories};
pub(crate) use memory::Memory;
pub(crate) use mount::{Mount, Placement, PlacementError};
pub(crate) use role::Directory;
pub(crate) use seat::{Driving, MountError, Seat};
pub use strategy::{MemoryShape, Strategy, Unmappable, strategy_for};
