//! A bounded channel of elements between tasks, threads and stores. Neither end belongs to a store: what is on its way is
//! the host's, and is freed with the channel.
//!
//! The engine knows nothing of this; [`consumers`](super::consumers) and [`producers`](super::producers) make the ends
//! of streams of it.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::consumers::Taken;
use super::element::Element;
use super::queue::{Queue, Room, Waiting};
use super::waiters::{PolledBy, Ticket};
use crate::host::runtime::Runtime;
use crate::region::{AllocateError, Frozen, Mappable};

/// A channel for at most `bound` elements at a time, 1 or more. Each of its ends is an end of a stream, too, so one channel
/// brings elements
///
/// - from a guest to the host: pipe the guest's stream into the [`Sender`]
///   ([`StreamReader::pipe`](wasmtime::component::StreamReader::pipe)), and receive;
/// - from the host to a guest: send, and make a stream of the [`Receiver`]
///   ([`StreamReader::new`](wasmtime::component::StreamReader::new));
/// - from one store to another: pipe the first's stream into the sender, and make a stream for the second of the receiver.
///
/// It serves `future<mappable>` in the same way. Who sends into a full channel waits: a guest's write completes when its
/// element was taken. A store makes progress while its event loop runs
/// ([`Store::run_concurrent`](wasmtime::Store::run_concurrent), or an async call).
///
/// ```
/// # use mappable::{Handle, Mappable, MappableCtx, MappableView, Runtime};
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
/// // A guest's stream would do as well.
/// let reader: StreamReader<Handle> = StreamReader::new(&mut store, mappable::stream(frames))?;
///
/// let (sender, mut receiver) = mappable::channel::<Mappable>(4);
/// reader.pipe(&mut store, sender)?;
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// store
///     .run_concurrent(async |_| {
///         while let Some(frame) = receiver.recv().await {
///             println!("{} bytes", frame.len());
///         }
///     })
///     .await?;
/// # Ok::<(), wasmtime::Error>(())
/// # })?;
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// If `bound` is 0.
pub fn channel<E: Element>(bound: usize) -> (Sender<E>, Receiver<E>) {
    assert!(bound > 0, "a channel has room for one element or more");
    let queue = Arc::new(Queue::new(bound));
    (Sender { queue: Arc::clone(&queue), taken: Taken::new(), ticket: None }, Receiver { queue })
}

/// A ring of `regions` regions of `len` bytes each: a channel that has room for just them, with all of them in it. Who
/// produces receives a free region, fills it and sends it on by another way. Who has read it sends it back. So no more
/// than these regions are ever in use, and none is allocated later; a producer that is too quick waits for one to come
/// back.
///
/// Any part of the ring can be a guest's: give the receiver to a guest that produces, as a stream, and pipe the stream of a
/// guest that consumes into the sender. A region comes back with the bytes and the length that it had. What a guest sends
/// back may be another region of another size, or nothing: look at the size before use, and send a new region for one
/// that was lost.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = mappable::Runtime::new()?;
/// let (back, mut free) = mappable::ring(&runtime, 2, 1_000_000)?;
/// let (one, two) = (free.try_recv().unwrap(), free.try_recv().unwrap());
/// // Both are in use.
/// assert!(free.try_recv().is_none());
///
/// back.try_send(one).unwrap();
/// assert!(free.try_recv().is_some());
/// # drop(two);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`AllocateError`].
///
/// # Panics
///
/// If `regions` is 0.
pub fn ring(
    runtime: &Runtime,
    regions: usize,
    len: u64,
) -> Result<(Sender<Mappable>, Receiver<Mappable>), AllocateError> {
    let (sender, receiver) = channel(regions);
    for _ in 0..regions {
        sender.queue.state().elements.push_back(runtime.allocate(len)?);
    }
    Ok((sender, receiver))
}

/// The sending end of a [`channel`]. It is a `StreamConsumer` and a `FutureConsumer`: what a guest writes is taken out of the
/// guest's store and sent. When all senders are gone the receiver gets what was sent, and then nothing more.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = mappable::Runtime::new()?;
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (sender, mut receiver) = mappable::channel(1);
/// sender.send(runtime.allocate_from(b"one")?).await.unwrap();
/// // It is full: the region comes back.
/// let two = sender.try_send(runtime.allocate_from(b"two")?).unwrap_err();
/// assert_eq!(receiver.recv().await.unwrap().bytes()?, b"one");
/// sender.try_send(two).unwrap();
///
/// drop(sender);
/// assert!(receiver.recv().await.is_some());
/// assert!(receiver.recv().await.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })
/// # }
/// ```
pub struct Sender<E: Element> {
    queue: Arc<Queue<E>>,
    pub(super) taken: Taken<E::Handle>,
    /// While it waits for room as a consumer.
    ticket: Option<Ticket>,
}

impl<E: Element> Sender<E> {
    /// Sends an element, as soon as there is room for it. [`Sender`] has an example.
    ///
    /// # Errors
    ///
    /// Nobody receives any more. The error returns the element.
    pub async fn send(&self, element: E) -> Result<(), E> {
        let mut waiting = Waiting::new(&self.queue);
        match poll_fn(|cx| waiting.poll(cx)).await {
            Some(mut room) => {
                room.put(element);
                Ok(())
            }
            None => Err(element),
        }
    }

    /// Sends an element, if there is room for it. [`Sender`] has an example.
    ///
    /// # Errors
    ///
    /// The channel is full, or nobody receives any more. The error returns the element.
    pub fn try_send(&self, element: E) -> Result<(), E> {
        let mut state = self.queue.state();
        if !state.is_received || self.queue.room(&state) == 0 {
            return Err(element);
        }
        state.elements.push_back(element);
        Queue::wake_receiver(state);
        Ok(())
    }

    /// As a consumer, reserves room for up to `count` elements, and for none if there is any. Without a receiver there is none
    /// ever.
    pub(super) fn poll_reserve(&mut self, cx: &mut Context<'_>, count: usize) -> Poll<Option<Room<E>>> {
        self.queue.poll_reserve(&mut self.ticket, PolledBy::Store, cx, count)
    }

    /// As a consumer, waits for room no longer.
    pub(super) fn stop_waiting(&mut self) {
        self.queue.stop_waiting(&mut self.ticket);
    }
}

impl Sender<Mappable> {
    /// Gives back a region of a [`ring`] that was frozen, for several to read: the last of them that does so makes it a
    /// region again and sends it. Returns whether this was the last.
    ///
    /// Every reference is to come back by this function. One that is dropped elsewhere after all others have come back
    /// is the last, and its region is freed with it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = mappable::Runtime::new()?;
    /// let (back, mut free) = mappable::ring(&runtime, 1, 1_000_000)?;
    /// let frame = free.try_recv().unwrap().freeze()?;
    /// let (one, two) = (frame.clone(), frame);
    /// assert!(!back.give_back(one));
    /// assert!(back.give_back(two));
    /// assert!(free.try_recv().is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn give_back(&self, frozen: Frozen) -> bool {
        // Under the lock, so that of two that are given back at once one is the last.
        let mut state = self.queue.state();
        let Ok(region) = frozen.thaw() else { return false };
        if state.is_received && self.queue.room(&state) > 0 {
            state.elements.push_back(region);
            Queue::wake_receiver(state);
        }
        true
    }
}

impl<E: Element> Clone for Sender<E> {
    fn clone(&self) -> Self {
        self.queue.state().senders += 1;
        Self { queue: Arc::clone(&self.queue), taken: Taken::new(), ticket: None }
    }
}

impl<E: Element> Drop for Sender<E> {
    fn drop(&mut self) {
        self.stop_waiting();
        let mut state = self.queue.state();
        state.senders -= 1;
        if state.senders == 0 {
            Queue::wake_receiver(state);
        }
    }
}

impl<E: Element> fmt::Debug for Sender<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("bound", &self.queue.bound).finish_non_exhaustive()
    }
}

// Nothing in it is pinned.
impl<E: Element> Unpin for Sender<E> {}

/// The receiving end of a [`channel`]. It is a `StreamProducer` and a `FutureProducer`, and a [`Stream`] of Rust's. When it is
/// dropped, what was not received is freed, and the streams of guests that write into the channel are closed.
pub struct Receiver<E: Element> {
    queue: Arc<Queue<E>>,
}

impl<E: Element> Receiver<E> {
    /// The next element, as soon as there is one. `None` if every sender is gone and nothing is left. [`Sender`] has an
    /// example.
    pub async fn recv(&mut self) -> Option<E> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The next element, if there is one now. [`ring`] has an example.
    pub fn try_recv(&self) -> Option<E> {
        let mut state = self.queue.state();
        let element = state.elements.pop_front();
        if element.is_some() {
            Queue::wake_sender(state);
        } else {
            Queue::wake_stalled(state);
        }
        element
    }

    pub(super) fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<E>> {
        self.poll_ready(cx).map(|is_ready| if is_ready { self.try_recv() } else { None })
    }

    /// Whether there is an element. `false` if there will be none.
    pub(super) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut state = self.queue.state();
        if !state.elements.is_empty() {
            return Poll::Ready(true);
        }
        if state.senders == 0 {
            return Poll::Ready(false);
        }
        state.receiver = Some(cx.waker().clone());
        Queue::wake_stalled(state);
        Poll::Pending
    }
}

impl<E: Element> Stream for Receiver<E> {
    type Item = E;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<E>> {
        self.poll_recv(cx)
    }
}

impl<E: Element> Drop for Receiver<E> {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.is_received = false;
        let elements = std::mem::take(&mut state.elements);
        Queue::wake_senders(state, usize::MAX);
        drop(elements);
    }
}

impl<E: Element> fmt::Debug for Receiver<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("bound", &self.queue.bound).finish_non_exhaustive()
    }
}
