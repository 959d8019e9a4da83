//! The WIT package `mappable:memory`, for [`wasmtime::component::bindgen!`]: one line of `with` gives worlds of the
//! embedder's own this crate's types for regions.
//!
//! ```
//! use mappable::bindings::types::AllocateError;
//! use mappable::{Handle, MappableCtx, MappableView, Runtime};
//! use wasmtime::component::{HasSelf, Linker};
//!
//! mod bindings {
//!     wasmtime::component::bindgen!({
//!         path: "wit", // a copy of this crate's folder `wit`
//!         inline: "
//!             package example:app;
//!
//!             world app {
//!                 use mappable:memory/types@0.1.0.{mappable, allocate-error};
//!                 import frame: func(len: u64) -> result<mappable, allocate-error>;
//!             }
//!         ",
//!         world: "example:app/app",
//!         with: { "mappable:memory": ::mappable::bindings },
//!     });
//! }
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
//! impl bindings::AppImports for State {
//!     fn frame(&mut self, len: u64) -> Result<Handle, AllocateError> {
//!         let region = self.mappable.allocate(len)?;
//!         self.mappable.try_insert(region).map_err(|_| AllocateError::RegionOverQuota)
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let runtime = Runtime::new()?;
//!     let mut linker = Linker::new(runtime.engine());
//!     mappable::add_to_linker::<State>(&mut linker)?; // the functions on regions
//!     bindings::App::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?; // the world's own
//!     Ok(())
//! }
//! ```
//!
//! - `own<mappable>` is a [`Handle`](crate::Handle) and `own<frozen>` a [`FrozenHandle`](crate::FrozenHandle), wherever
//!   they occur: in records, options, results, lists, streams.
//! - The package's errors are enums in [`types`], for functions of yours that return them. This crate's own errors convert into
//!   them, as by the `?` above.
//! - `bindgen!` writes a module `mappable` beside its call, for the package's namespace. So let it stand in a module of its
//!   own, write `::mappable` inside, and import what you need of it by name: `use bindings::*` would hide this crate.
//! - What `bindgen!` generates adds the functions of the world, not those of `mappable:memory`:
//!   [`mappable::add_to_linker`](crate::add_to_linker) does that.
//!
//! `crates/mappable/examples/bindgen.rs` is a program that does all of it.

/// The interface `mappable:memory/types`.
pub mod types {
    use wasmtime::component::{HasData, Linker};

    pub use crate::host::{
        WitAccessError as AccessError, WitAllocateError as AllocateError, WitMapError as MapError,
        WitPartError as PartError,
    };
    pub use crate::{Frozen, FrozenMapping, Mappable, MappableView, Mapping};

    /// What generated code asks of a store's data: [`MappableView`].
    pub trait Host: MappableView {}

    impl<T: ?Sized + MappableView> Host for T {}

    /// What generated code asks besides: nothing.
    pub trait HostWithStore<T>: HasData {}

    impl<T, D: ?Sized + HasData> HostWithStore<T> for D {}

    /// What generated code calls. It adds nothing, for [`mappable::add_to_linker`](crate::add_to_linker) adds the
    /// interface's functions, under a name that only compiled components know.
    ///
    /// # Errors
    ///
    /// None.
    pub fn add_to_linker<T, D>(_: &mut Linker<T>, _: fn(&mut T) -> D::Data<'_>) -> wasmtime::Result<()>
    where
        T: 'static,
        D: HostWithStore<T>,
        for<'a> D::Data<'a>: Host,
    {
        Ok(())
    }
}
