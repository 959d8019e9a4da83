//! Regions in streams and futures: each is given to the store when it is read, and not before.
//!
//! A handle is a number without a destructor, so one that nobody takes keeps its region until the store goes. The engine
//! drops what a producer has left when the reader closes the stream; of a `Vec` of handles that drops numbers. The
//! producers here own the regions themselves, and with them what was not read is freed.

use std::pin::Pin;
use std::task::{Context, Poll};

use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, FutureProducer, Resource, StreamProducer, StreamResult, VecBuffer};

use super::context::{MappableCtx, MappableView};
use super::handle::HandleError;
use crate::region::{Frozen, Mappable};

/// How many handles are made for one read at the most.
const MAX_BATCH: usize = 64;

/// What can be given to a store.
trait Given: Sized + Send + Sync + 'static {
    fn give(self, context: &mut MappableCtx) -> Result<Resource<Self>, HandleError>;
}

impl Given for Mappable {
    fn give(self, context: &mut MappableCtx) -> Result<Resource<Self>, HandleError> {
        context.insert(self)
    }
}

impl Given for Frozen {
    fn give(self, context: &mut MappableCtx) -> Result<Resource<Self>, HandleError> {
        context.insert_frozen(self)
    }
}

/// Regions for a `stream<mappable>`: what [`StreamReader::new`](wasmtime::component::StreamReader::new) takes. Each region
/// is given to the store ([`MappableCtx::insert`]) when the reader takes it. When the stream is closed, the regions that
/// nobody took are dropped with the iterator. A `Vec` of handles would keep those until the store goes.
///
/// The iterator is asked for regions while a guest reads, for as many as the guest has room for and no more than 64 at a
/// time; it may make them then.
///
/// ```
/// # use mappable::{Handle, MappableCtx, MappableView, Runtime};
/// # use wasmtime::Store;
/// use wasmtime::component::StreamReader;
/// # struct State {
/// #     mappable: MappableCtx,
/// # }
/// # impl MappableView for State {
/// #     fn mappable(&mut self) -> &mut MappableCtx {
/// #         &mut self.mappable
/// #     }
/// # }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = Runtime::new()?;
/// # let mut store = Store::new(runtime.engine(), State { mappable: runtime.context() });
/// let frames = [runtime.allocate_from(b"one")?, runtime.allocate_from(b"two")?];
/// let mut reader: StreamReader<Handle> = StreamReader::new(&mut store, mappable::stream(frames))?;
/// // Passed to a guest, it is a `stream<mappable>`. Closed, it leaves nothing in the store.
/// reader.close(&mut store)?;
/// assert_eq!(store.data().mappable.held(), (0, 0));
/// # Ok(())
/// # }
/// ```
pub fn stream<T: MappableView + 'static>(
    regions: impl IntoIterator<Item = Mappable, IntoIter: Send + 'static>,
) -> impl StreamProducer<T, Item = Resource<Mappable>> {
    Regions(regions.into_iter())
}

/// References for a `stream<frozen>`, as [`stream`] has regions.
///
/// ```
/// # use mappable::{FrozenHandle, MappableCtx, MappableView, Runtime};
/// # use wasmtime::Store;
/// # use wasmtime::component::StreamReader;
/// # struct State {
/// #     mappable: MappableCtx,
/// # }
/// # impl MappableView for State {
/// #     fn mappable(&mut self) -> &mut MappableCtx {
/// #         &mut self.mappable
/// #     }
/// # }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = Runtime::new()?;
/// # let mut store = Store::new(runtime.engine(), State { mappable: runtime.context() });
/// let weights = runtime.allocate_from(b"weights")?.freeze()?;
/// let layers = std::iter::repeat_n(weights, 3);
/// let mut reader: StreamReader<FrozenHandle> = StreamReader::new(&mut store, mappable::stream_frozen(layers))?;
/// # reader.close(&mut store)?;
/// # Ok(())
/// # }
/// ```
pub fn stream_frozen<T: MappableView + 'static>(
    references: impl IntoIterator<Item = Frozen, IntoIter: Send + 'static>,
) -> impl StreamProducer<T, Item = Resource<Frozen>> {
    Regions(references.into_iter())
}

/// A region for a `future<mappable>`: what [`FutureReader::new`](wasmtime::component::FutureReader::new) takes. As with
/// [`stream`], it is given to the store when it is read, and dropped if the future is closed unread.
///
/// ```
/// # use mappable::{Handle, MappableCtx, MappableView, Runtime};
/// # use wasmtime::Store;
/// # use wasmtime::component::FutureReader;
/// # struct State {
/// #     mappable: MappableCtx,
/// # }
/// # impl MappableView for State {
/// #     fn mappable(&mut self) -> &mut MappableCtx {
/// #         &mut self.mappable
/// #     }
/// # }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = Runtime::new()?;
/// # let mut store = Store::new(runtime.engine(), State { mappable: runtime.context() });
/// let region = runtime.allocate_from(b"later")?;
/// let mut reader: FutureReader<Handle> = FutureReader::new(&mut store, mappable::future(region))?;
/// reader.close(&mut store)?;
/// assert_eq!(store.data().mappable.held(), (0, 0));
/// # Ok(())
/// # }
/// ```
pub fn future<T: MappableView + 'static>(region: Mappable) -> impl FutureProducer<T, Item = Resource<Mappable>> {
    One(Some(region))
}

/// A reference for a `future<frozen>`, as [`future`] has a region.
pub fn future_frozen<T: MappableView + 'static>(reference: Frozen) -> impl FutureProducer<T, Item = Resource<Frozen>> {
    One(Some(reference))
}

/// The regions of a stream that were not read yet.
struct Regions<I>(I);

// Nothing in it is pinned.
impl<I> Unpin for Regions<I> {}

impl<T, I> StreamProducer<T> for Regions<I>
where
    T: MappableView + 'static,
    I: Iterator<Item: Given> + Send + 'static,
{
    type Item = Resource<I::Item>;
    type Buffer = VecBuffer<Self::Item>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<'a, T>,
        mut destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if finish {
            return Poll::Ready(Ok(StreamResult::Cancelled));
        }
        // A host takes what it reads from a buffer, one after the other: no more lies there than it has asked for.
        let room = destination.remaining(&mut store).unwrap_or(1).min(MAX_BATCH);
        let context = store.data_mut().mappable();
        let mut handles = vec![];
        let mut result = StreamResult::Completed;
        while handles.len() < room {
            match self.0.next().map(|region| region.give(context)) {
                Some(Ok(handle)) => handles.push(handle),
                Some(Err(error)) => {
                    handles.iter().for_each(|handle: &Resource<_>| context.drop_handle(handle.rep()));
                    return Poll::Ready(Err(error.into()));
                }
                None => {
                    result = StreamResult::Dropped;
                    break;
                }
            }
        }
        destination.set_buffer(handles.into());
        Poll::Ready(Ok(result))
    }
}

/// The region of a future, until it is read.
struct One<R>(Option<R>);

// Nothing in it is pinned.
impl<R> Unpin for One<R> {}

impl<T: MappableView + 'static, R: Given> FutureProducer<T> for One<R> {
    type Item = Resource<R>;

    fn poll_produce(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<T>,
        finish: bool,
    ) -> Poll<wasmtime::Result<Option<Self::Item>>> {
        if finish {
            return Poll::Ready(Ok(None));
        }
        let given = self.0.take().map(|region| region.give(store.data_mut().mappable()));
        Poll::Ready(given.transpose().map_err(Into::into))
    }
}
