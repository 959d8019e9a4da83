//! [`MappableView`]: how functions of the host find the context of the store that they are called in.

use super::context::MappableCtx;

/// Gives the functions of `mappable:memory/types` the context of a store. Implemented by the store's data.
///
/// ```
/// # use mappable::{MappableCtx, MappableView, Runtime};
/// struct MyState {
///     mappable: MappableCtx,
/// }
///
/// impl MappableView for MyState {
///     fn mappable(&mut self) -> &mut MappableCtx {
///         &mut self.mappable
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = Runtime::new()?;
/// let state = MyState { mappable: runtime.context() };
/// let store = wasmtime::Store::new(runtime.engine(), state);
/// # Ok(())
/// # }
/// ```
pub trait MappableView: Send {
    /// The context of this store: always the same one, for as long as the store lives.
    fn mappable(&mut self) -> &mut MappableCtx;
}

impl<T: ?Sized + MappableView> MappableView for &mut T {
    fn mappable(&mut self) -> &mut MappableCtx {
        T::mappable(self)
    }
}

impl<T: ?Sized + MappableView> MappableView for Box<T> {
    fn mappable(&mut self) -> &mut MappableCtx {
        T::mappable(self)
    }
}
