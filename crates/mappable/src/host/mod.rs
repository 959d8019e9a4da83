//! What embedders and components call: the runtime with its engine, the context of each store, and the functions of the
//! WIT package.
//!
//! ```text
//!   RuntimeBuilder       what an embedder sets; `probe` tries what mapping takes for granted of the engine
//!    └ Runtime           the engine and the memory that regions lie in; `compile` makes components ready to map,
//!       │                and `artifact` keeps them compiled
//!       └ MappableCtx    the regions of one store: what the embedder gives to it and takes out of it
//!          ├ Entries           what stands behind each handle, and what the store is charged for it
//!          ├ MappedMemories    the store's memories, and which of them an address is in (`Addresses`)
//!          ├ mapping           map and unmap
//!          ├ values            freeze, thaw, split, join, slice, clone, copy
//!          └ StoreLedger       what closed compositions keep with the host: handles that come and go, memories that join
//!   add_to_linker        the functions of `mappable:memory/types` (`functions`), on the context of the calling store
//!   externref            the same for core modules
//!   streams              regions in streams and futures, on their way to components, from them and between stores
//! ```
//!
//! The engine checks what a handle's index means: that it is the caller's, of the right type, and owned. What a memory
//! shows where is left to [`view`](crate::view).

mod addresses;
mod artifact;
mod builder;
mod compile;
mod context;
#[cfg(feature = "externref")]
mod dropped;
mod entries;
mod error;
#[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
mod export;
#[cfg(feature = "externref")]
pub mod externref;
mod file_bytes;
mod files;
mod functions;
mod gate;
mod handle;
#[cfg(all(feature = "ipc", target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
pub mod ipc;
mod ledger;
mod mappable_view;
mod mapped_memories;
mod mapping;
mod mapping_quota;
mod operand;
mod probe;
mod runtime;
mod snapshot;
// Features that have the engine run guests on stacks of their own.
#[cfg(any(feature = "externref", feature = "streams"))]
mod stacks;
#[cfg(feature = "streams")]
mod streams;
mod values;
mod wit_error;

pub use artifact::{ArtifactKey, CompileCache, DeserializeError};
pub use builder::{MappingMode, RuntimeBuilder, RuntimeError, install_fault_handler};
pub use compile::CompileError;
pub use context::MappableCtx;
pub use error::TrapReason;
pub use file_bytes::{FileBytes, FileError};
pub use functions::add_to_linker;
pub use handle::{FrozenMapping, HandleError, Mapping};
pub use mappable_view::MappableView;
pub use probe::ProbeError;
pub use runtime::Runtime;
#[cfg(feature = "streams")]
pub use streams::{Element, Receiver, Sender, channel, future, ring, stream};
pub use wit_error::{WitAccessError, WitAllocateError, WitMapError, WitPartError};
