//! Regions of memory that WebAssembly components hand to one another without a copy, on stock Wasmtime.
//!
//! A [`Mappable`] is a region that has one owner at a time: the host, or one component. It is handed over by a plain
//! function call, and *mapped* into its owner's linear memory by a pointer update. This crate is the embedder's side;
//! guests use the WIT package `mappable:memory`, from Rust through the crate `mappable-guest`.
//!
//! ```
//! use mappable::{MappableCtx, MappableView, Runtime};
//! use wasmtime::Store;
//! use wasmtime::component::Linker;
//!
//! struct State {
//!     mappable: MappableCtx,
//! }
//!
//! impl MappableView for State {
//!     fn mappable(&mut self) -> &mut MappableCtx {
//!         &mut self.mappable
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::new()?;
//! // Takes a region and gives it back: a component of any language would do.
//! let component = runtime.compile(
//!     br#"(component
//!         (import "mappable:memory/types@0.1.0" (instance $types
//!             (export "mappable" (type (sub resource)))))
//!         (alias export $types "mappable" (type $mappable))
//!         (core module $m (func (export "pass") (param i32) (result i32) (local.get 0)))
//!         (core instance $i (instantiate $m))
//!         (func (export "pass") (param "region" (own $mappable)) (result (own $mappable))
//!             (canon lift (core func $i "pass"))))"#,
//! )?;
//! let mut linker = Linker::new(runtime.engine());
//! mappable::add_to_linker::<State>(&mut linker)?;
//!
//! let mut store = Store::new(runtime.engine(), State { mappable: runtime.context() });
//! let instance = linker.instantiate(&mut store, &component)?;
//! let pass = instance.get_func(&mut store, "pass").unwrap();
//! let pass = pass.typed::<(mappable::Handle,), (mappable::Handle,)>(&store)?;
//!
//! let region = runtime.allocate_from(b"handed over, not copied")?;
//! let handle = store.data_mut().mappable.insert(region)?;
//! let (handle,) = pass.call(&mut store, (handle,))?;
//! let region = store.data_mut().mappable.remove(handle)?;
//! assert!(region.bytes()?.starts_with(b"handed over"));
//! # Ok(())
//! # }
//! ```
//!
//! # Where to look
//!
//! | to | use |
//! | --- | --- |
//! | set up an engine | [`Runtime`], [`RuntimeBuilder`] |
//! | compile components, and keep them compiled | [`Runtime::compile`], [`CompileCache`], [`Runtime::precompile`] |
//! | make regions of bytes, readers and files | [`Runtime::allocate_from`], [`Runtime::allocate_from_reader`], [`FileBytes`] |
//! | give them to components, and take them back | [`MappableCtx`], [`Handle`]; [`bindings`] for worlds of your own |
//! | share bytes that don't change | [`Frozen`] |
//! | bound what components may hold | [`Limits`], [`MappableCtx::set_limits`] |
//! | pass regions through streams and futures | [`stream`], [`channel`], [`ring`] |
//! | hand them to core modules | `mappable::externref` |
//! | hand them to other processes | `mappable::ipc` (feature `ipc`), [`Frozen::export`] |
//! | work on more than one core | `mappable::workers` (feature `workers`) |
//! | see what was made of a component | [`Runtime::compile_with_report`], [`rewrite`] |

pub mod bindings;
mod host;
mod ledger;
mod region;
mod sys;
mod tuning;
mod view;
#[cfg(feature = "workers")]
pub mod workers;

#[cfg(feature = "externref")]
pub use host::externref;
#[cfg(all(feature = "ipc", target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
pub use host::ipc;
pub use host::{
    ArtifactKey, CompileCache, CompileError, DeserializeError, FileBytes, FileError, FrozenMapping, HandleError,
    MappableCtx, MappableView, Mapping, MappingMode, ProbeError, Runtime, RuntimeBuilder, RuntimeError, TrapReason,
    add_to_linker, install_fault_handler,
};
#[cfg(feature = "streams")]
pub use host::{Element, Receiver, Sender, channel, future, ring, stream};
pub use mappable_rewrite as rewrite;
pub use mappable_rewrite::Tier;
pub use region::{
    AllocateError, FreezeFailed, Frozen, GRANULE, HugePages, JoinFailed, LengthError, Limits, Mappable, PartError,
    PodError, SplitFailed, ThawFailed,
};
#[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
pub use region::{ExportFailed, Exported, ImportError, SealFailed, Trust};
#[cfg(feature = "fault-injection")]
#[doc(hidden)]
pub use sys::injection;
pub use view::{MemoryShape, Strategy, Unmappable};

/// What only the project's own tools and tests use.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    pub use crate::sys::{calls as system_calls, left_to_close, reservations};
    pub use crate::view::strategy_for;
}

/// A handle to a region, as components are passed it and give it: `own<mappable>`, or `borrow<mappable>`.
pub type Handle = wasmtime::component::Resource<Mappable>;

/// A handle to a reference to a frozen region: `own<frozen>`, or `borrow<frozen>`.
pub type FrozenHandle = wasmtime::component::Resource<Frozen>;

/// The code blocks of the project's page.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct ProjectReadme;

/// The guide's pages with Rust that no example has.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/src/trouble.md")]
struct TroublePage;

/// The page of the package, whose examples are compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
