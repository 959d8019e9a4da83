//! The WIT package `mappable:memory`, for [`wasmtime::component::bindgen!`]: one line of `with` gives worlds of the
//! embedder's own this crate's types for regions.
//!
//! ```ignore
//! mod bindings {
//!     wasmtime::component::bindgen!({
//!         path: ["path/to/mappable/wit", "wit"],
//!         world: "example:app/app",
//!         with: { "mappable:memory": ::mappable::bindings },
//!     });
//! }
//!
//! mappable::add_to_linker::<State>(&mut linker)?;
//! bindings::App::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
//! ```
//!
//! - `own<mappable>` is a [`Handle`](crate::Handle) and `own<frozen>` a [`FrozenHandle`](crate::FrozenHandle), wherever
//!   they occur: in records, options, results, lists, streams.
//! - `bindgen!` writes a module `mappable` beside its call, for the package's namespace. So let it stand in a module of its
//!   own, write `::mappable` inside, and import what you need of it by name: `use bindings::*` would hide this crate.
//! - What `bindgen!` generates adds the functions of the world, not those of `mappable:memory`:
//!   [`mappable::add_to_linker`](crate::add_to_linker) does that.
//!
//! `crates/mappable/examples/bindgen.rs` is a program that does all of it.

/// The interface `mappable:memory/types`.
pub mod types {
    use wasmtime::component::{HasData, Linker};

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
