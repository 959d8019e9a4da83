//! Elements that a guest writes, for the host to have: each leaves the store at once, or stays the guest's.

use std::pin::Pin;
use std::task::{Context, Poll};

use wasmtime::component::{FutureConsumer, ReadBuffer, Source, StreamConsumer, StreamResult, WriteBuffer};
use wasmtime::{AsContextMut, StoreContextMut};

use super::MAX_BATCH;
use super::channel::Sender;
use super::element::Element;
use crate::host::mappable_view::MappableView;

/// The handles of elements that are taken from a writer, between one call of the engine and the next line.
pub(super) struct Taken<H> {
    handles: Vec<H>,
    /// How many more may be taken.
    room: usize,
    /// Whether the writer is the host.
    from_host: bool,
}

impl<H> Taken<H> {
    pub(super) const fn new() -> Self {
        Self { handles: vec![], room: 0, from_host: false }
    }
}

impl<H: Send + Sync + 'static> ReadBuffer<H> for Taken<H> {
    fn extend<I: IntoIterator<Item = H>>(&mut self, handles: I) {
        let before = self.handles.len();
        Extend::extend(&mut self.handles, handles);
        self.room -= self.handles.len() - before;
    }

    fn remaining_capacity(&self) -> usize {
        self.room
    }

    fn move_from(&mut self, input: &mut dyn WriteBuffer<H>, count: usize) {
        self.from_host = true;
        self.handles.reserve_exact(count);
        self.handles.move_from(input, count);
        self.room -= count;
    }
}

impl<E: Element> Sender<E> {
    /// Takes up to `count` elements from the writer out of the store, each into `put`.
    ///
    /// # Errors
    ///
    /// One element can't be lifted or taken out. Those before it were.
    fn take<T: MappableView + 'static>(
        &mut self,
        mut store: StoreContextMut<'_, T>,
        source: &mut Source<'_, E::Handle>,
        count: usize,
        mut put: impl FnMut(E),
    ) -> wasmtime::Result<()> {
        self.taken.room = count;
        let mut result = source.read(&mut store, &mut self.taken);
        let context = store.data_mut().mappable();
        for handle in self.taken.handles.drain(..) {
            match E::remove(handle, context) {
                Ok(element) => put(element),
                Err(error) => result = result.and(Err(error.into())),
            }
        }
        result
    }

    /// Frees what a writer on the host has for a channel that nobody receives from: else the store would keep it, since
    /// nobody else has the handles. What a guest writes stays the guest's.
    fn refuse<T: MappableView + 'static>(
        &mut self,
        mut store: StoreContextMut<'_, T>,
        source: &mut Source<'_, E::Handle>,
    ) -> wasmtime::Result<()> {
        // Only a host's writer is asked to move elements, even none.
        self.taken.from_host = false;
        self.take(store.as_context_mut(), source, 0, drop)?;
        let count = if self.taken.from_host { source.remaining(&mut store) } else { 0 };
        self.take(store, source, count, drop)
    }
}

/// What a guest writes is sent. The writer waits while the channel is full; when the receiver is gone, its stream is
/// closed, and what it had not handed over stays the guest's.
impl<T: MappableView + 'static, E: Element> StreamConsumer<T> for Sender<E> {
    type Item = E::Handle;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<T>,
        mut source: Source<'_, Self::Item>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let count = source.remaining(&mut store).min(MAX_BATCH);
        match self.poll_reserve(cx, count) {
            Poll::Ready(Some(mut room)) => {
                let count = room.count();
                self.take(store, &mut source, count, |element| room.put(element))?;
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(None) => {
                self.refuse(store, &mut source)?;
                Poll::Ready(Ok(StreamResult::Dropped))
            }
            Poll::Pending if finish => {
                self.stop_waiting();
                Poll::Ready(Ok(StreamResult::Cancelled))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

/// What a guest writes is sent. If the receiver is gone, it is freed: a future that has a reader takes its value.
impl<T: MappableView + 'static, E: Element> FutureConsumer<T> for Sender<E> {
    type Item = E::Handle;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<T>,
        mut source: Source<'_, Self::Item>,
        finish: bool,
    ) -> Poll<wasmtime::Result<()>> {
        Poll::Ready(match self.poll_reserve(cx, 1) {
            Poll::Ready(Some(mut room)) => self.take(store, &mut source, 1, |element| room.put(element)),
            Poll::Ready(None) => self.take(store, &mut source, 1, drop),
            Poll::Pending if finish => {
                self.stop_waiting();
                Ok(())
            }
            Poll::Pending => return Poll::Pending,
        })
    }
}
