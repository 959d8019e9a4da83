//! How regions are offered: the runtime with its engine, the context that each store keeps, and the WIT functions.
//!
//! ```text
//!   Runtime           the engine with the settings that mapping needs, the memory that regions lie in, `compile`
//!    └ MappableCtx    who holds what in one store: the handles of its components
//!       │  ├ mapping        map and unmap
//!       │  └ values         freeze, thaw, split, join, slice, clone, copy
//!       ├ MappedMemories    its memories, and which of them an address is in (`Addresses`)
//!       ├ add_to_linker     the functions of `mappable:memory/types`, on the context of the calling store
//!       ├ ledger            what closed compositions keep with the host: handles that come and go, memories that join
//!       └ externref         the same for core modules
//! ```
//!
//! What a handle's index means is the engine's business (it checks that it is the caller's, of the right type, and
//! owned); what a region shows where is [`view`](crate::view)'s.

mod addresses;
mod context;
mod error;
pub mod externref;
mod failure;
mod files;
mod functions;
mod ledger;
mod mapped_memories;
mod mapping;
mod probe;
mod runtime;
mod streams;
mod values;

pub use context::{FrozenMapping, HandleError, MappableCtx, MappableView, Mapping};
pub use error::TrapReason;
pub use functions::add_to_linker;
pub use probe::ProbeError;
pub use runtime::{CompileError, MappingMode, Runtime, RuntimeBuilder, RuntimeError, install_fault_handler};
pub use streams::{future, future_frozen, stream, stream_frozen};
