//! What the elements of a stream are, on the host and in a store.

use wasmtime::component::{Lift, Lower, Resource};

use crate::host::context::MappableCtx;
use crate::host::handle::HandleError;
use crate::region::{Frozen, Mappable};

/// What goes through a stream or a future: a [`Mappable`], a [`Frozen`], or a type of the embedder's with some of them,
/// for a record that `bindgen!` generates.
///
/// ```
/// use mappable::{Element, Handle, HandleError, Mappable, MappableCtx};
/// use wasmtime::component::{ComponentType, Lift, Lower};
///
/// /// `record frame { pixels: mappable, width: u32 }`
/// #[derive(ComponentType, Lift, Lower)]
/// #[component(record)]
/// struct FrameRecord {
///     pixels: Handle,
///     width: u32,
/// }
///
/// struct Frame {
///     pixels: Mappable,
///     width: u32,
/// }
///
/// impl Element for Frame {
///     type Handle = FrameRecord;
///
///     fn insert(self, context: &mut MappableCtx) -> Result<FrameRecord, HandleError> {
///         Ok(FrameRecord { pixels: context.insert(self.pixels)?, width: self.width })
///     }
///
///     fn remove(record: FrameRecord, context: &mut MappableCtx) -> Result<Self, HandleError> {
///         Ok(Self { pixels: context.remove(record.pixels)?, width: record.width })
///     }
/// }
///
/// let (sender, receiver) = mappable::channel::<Frame>(4);
/// ```
pub trait Element: Sized + Send + 'static {
    /// What the element is in a store: a handle, or what `bindgen!` generates for the record.
    type Handle: Lift + Lower + Send + Sync + 'static;

    /// Gives the element to a store.
    ///
    /// # Errors
    ///
    /// As [`MappableCtx::insert`]. What was given to the store before the error must be taken out again: nobody has its
    /// handle.
    fn insert(self, context: &mut MappableCtx) -> Result<Self::Handle, HandleError>;

    /// Takes the element out of a store.
    ///
    /// # Errors
    ///
    /// As [`MappableCtx::remove`], [`MappableCtx::remove_all`] and the like.
    fn remove(handle: Self::Handle, context: &mut MappableCtx) -> Result<Self, HandleError>;
}

impl Element for Mappable {
    type Handle = Resource<Self>;

    fn insert(self, context: &mut MappableCtx) -> Result<Resource<Self>, HandleError> {
        context.insert(self)
    }

    fn remove(handle: Resource<Self>, context: &mut MappableCtx) -> Result<Self, HandleError> {
        context.remove(handle)
    }
}

impl Element for Frozen {
    type Handle = Resource<Self>;

    fn insert(self, context: &mut MappableCtx) -> Result<Resource<Self>, HandleError> {
        context.insert_frozen(self)
    }

    /// A reference that can't be shown is freed, since nobody else has the handle.
    fn remove(handle: Resource<Self>, context: &mut MappableCtx) -> Result<Self, HandleError> {
        context.remove_or_free_frozen(handle)
    }
}
