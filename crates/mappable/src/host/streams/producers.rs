//! Elements that the host has, for a guest to read.

use std::pin::Pin;
use std::task::{Context, Poll};

use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, FutureProducer, StreamProducer, StreamResult, VecBuffer};

use super::MAX_BATCH;
use super::channel::Receiver;
use super::element::Element;
use crate::host::mappable_view::MappableView;

/// Elements for a stream: what [`StreamReader::new`](wasmtime::component::StreamReader::new) takes. Each region is given to
/// the store ([`MappableCtx::insert`](crate::MappableCtx::insert)) when the reader takes it. When the stream is closed, the
/// regions that nobody took are dropped with the iterator. A `Vec` of handles would keep those until the store goes.
///
/// The iterator is asked for elements while a guest reads, for as many as the guest has room for and no more than 64 at a
/// time; it may make them then. For elements that have to be waited for, see [`channel`](crate::channel).
///
/// ```
/// # use mappable::{Handle, FrozenHandle, MappableCtx, MappableView, Runtime};
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
///
/// // A `stream<frozen>`.
/// let weights = runtime.allocate_from(b"weights")?.freeze()?;
/// let layers = std::iter::repeat_n(weights, 3);
/// let mut reader: StreamReader<FrozenHandle> = StreamReader::new(&mut store, mappable::stream(layers))?;
/// # reader.close(&mut store)?;
/// # Ok(())
/// # }
/// ```
pub fn stream<T: MappableView + 'static, E: Element>(
    elements: impl IntoIterator<Item = E, IntoIter: Send + 'static>,
) -> impl StreamProducer<T, Item = E::Handle> {
    Iterated(elements.into_iter())
}

/// An element for a future: what [`FutureReader::new`](wasmtime::component::FutureReader::new) takes. As with [`stream`],
/// it is given to the store when it is read, and dropped if the future is closed unread.
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
pub fn future<T: MappableView + 'static, E: Element>(element: E) -> impl FutureProducer<T, Item = E::Handle> {
    One(Some(element))
}

/// Gives the reader what `next` has, for as much as the reader has room for. `next` returns nothing where there is nothing
/// more at the moment. Returns how many elements were given.
fn produce<T: MappableView + 'static, E: Element>(
    store: &mut StoreContextMut<'_, T>,
    destination: &mut Destination<'_, E::Handle, VecBuffer<E::Handle>>,
    mut next: impl FnMut() -> Option<E>,
) -> wasmtime::Result<usize> {
    let room = room(store, destination);
    let context = store.data_mut().mappable();
    let mut handles = vec![];
    while handles.len() < room
        && let Some(element) = next()
    {
        match element.insert(context) {
            Ok(handle) => handles.push(handle),
            Err(error) => {
                handles.into_iter().for_each(|handle| drop(E::remove(handle, context)));
                return Err(error.into());
            }
        }
    }
    let count = handles.len();
    destination.set_buffer(handles.into());
    Ok(count)
}

/// How many elements the reader takes. A host takes what it reads from a buffer, one after the other: no more lies there
/// than it has asked for.
fn room<T, H: 'static>(store: &mut StoreContextMut<'_, T>, destination: &Destination<'_, H, VecBuffer<H>>) -> usize {
    destination.remaining(store).unwrap_or(1).min(MAX_BATCH)
}

/// The elements of a stream that were not read yet.
struct Iterated<I>(I);

// Nothing in it is pinned.
impl<I> Unpin for Iterated<I> {}

impl<T, I> StreamProducer<T> for Iterated<I>
where
    T: MappableView + 'static,
    I: Iterator<Item: Element> + Send + 'static,
{
    type Item = <I::Item as Element>::Handle;
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
        let mut result = StreamResult::Completed;
        produce(&mut store, &mut destination, || {
            let next = self.0.next();
            if next.is_none() {
                result = StreamResult::Dropped;
            }
            next
        })?;
        Poll::Ready(Ok(result))
    }
}

/// The element of a future, until it is read.
struct One<E>(Option<E>);

// Nothing in it is pinned.
impl<E> Unpin for One<E> {}

impl<T: MappableView + 'static, E: Element> FutureProducer<T> for One<E> {
    type Item = E::Handle;

    fn poll_produce(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<T>,
        finish: bool,
    ) -> Poll<wasmtime::Result<Option<Self::Item>>> {
        if finish {
            return Poll::Ready(Ok(None));
        }
        let given = self.0.take().map(|element| element.insert(store.data_mut().mappable()));
        Poll::Ready(given.transpose().map_err(Into::into))
    }
}

/// What is received goes to a guest: a stream that ends when every sender is gone.
impl<T: MappableView + 'static, E: Element> StreamProducer<T> for Receiver<E> {
    type Item = E::Handle;
    type Buffer = VecBuffer<E::Handle>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, T>,
        mut destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.poll_ready(cx) {
            Poll::Ready(true) => {
                produce(&mut store, &mut destination, || self.try_recv())?;
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(false) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// The first that is received goes to a guest. If there will be none, reading the future traps.
impl<T: MappableView + 'static, E: Element> FutureProducer<T> for Receiver<E> {
    type Item = E::Handle;

    fn poll_produce(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<T>,
        finish: bool,
    ) -> Poll<wasmtime::Result<Option<Self::Item>>> {
        match self.poll_recv(cx) {
            Poll::Ready(Some(element)) => {
                let given = element.insert(store.data_mut().mappable());
                Poll::Ready(given.map(Some).map_err(Into::into))
            }
            Poll::Ready(None) => Poll::Ready(Err(NothingSent.into())),
            Poll::Pending if finish => Poll::Ready(Ok(None)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Why a future can't be read.
#[derive(Debug, thiserror::Error)]
#[error("nothing comes for this future: every sender of its channel is gone")]
struct NothingSent;
