//! Memory-mapped files for WebAssembly components: the embedder's side of the WIT package `mappable:files`.
//!
//! A component asks for a range of a file, by a descriptor that WASI gave it, or by a path below one. It gets a `frozen` of
//! [`mappable`], and maps that into its own memory: nothing is read into it, and any number of components can map the same.
//!
//! ```
//! use mappable::{MappableCtx, MappableView, Runtime};
//! use mappable_wasi::{FilesCtx, FilesView};
//! use wasmtime::component::{Linker, ResourceTable};
//! use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
//!
//! struct State {
//!     mappable: MappableCtx,
//!     files: FilesCtx,
//!     wasi: WasiCtx,
//!     table: ResourceTable,
//! }
//!
//! impl MappableView for State {
//!     fn mappable(&mut self) -> &mut MappableCtx {
//!         &mut self.mappable
//!     }
//! }
//!
//! impl WasiView for State {
//!     fn ctx(&mut self) -> WasiCtxView<'_> {
//!         WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
//!     }
//! }
//!
//! impl FilesView for State {
//!     fn files(&mut self) -> &mut FilesCtx {
//!         &mut self.files
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::new()?;
//! let mut linker = Linker::<State>::new(runtime.engine());
//! wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
//! mappable::add_to_linker(&mut linker)?;
//! mappable_wasi::add_to_linker_async(&mut linker)?;
//!
//! let wasi = WasiCtxBuilder::new().preopened_dir(std::env::temp_dir(), "/data", FsPerms::ReadOnly)?.build();
//! // How files are held: copied once, unless `sealed` or `shared` says otherwise.
//! let files = FilesCtx::new(&runtime);
//! let state = State { mappable: runtime.context(), files, wasi, table: ResourceTable::new() };
//! let store = runtime.store(state);
//! # Ok(())
//! # }
//! ```
//!
//! The WIT text is in this package's `wit/`. Rust guests have `mappable_guest::fs`.

mod error;
mod files;
mod linker;
mod sys;

pub use files::{FilesCtx, FilesView};
pub use linker::{add_to_linker_async, add_to_linker_sync};

/// The page of the package, whose examples are compiled with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
