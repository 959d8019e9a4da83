//! What of a response's body an instance gives as frozen references: in which order it is sent, and when it has been.

use std::collections::VecDeque;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::Response;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use mappable::Frozen;
use tokio::sync::Notify;
use wasmtime_wasi_http::{Error, WasiBody};

/// How many pieces may be on their way before an instance waits: one is sent while it makes the next.
const ON_THEIR_WAY: usize = 2;

/// The pieces of one response.
#[derive(Clone, Default)]
pub(super) struct Pieces {
    queue: Arc<Mutex<Queue>>,
    progress: Arc<Progress>,
}

#[derive(Default)]
struct Queue {
    pieces: VecDeque<Bytes>,
    /// The response is there, so that pieces are sent.
    is_sent: bool,
    /// No more are taken.
    is_closed: bool,
    /// Who waits for the next.
    reader: Option<Waker>,
}

#[derive(Default)]
struct Progress {
    /// How many pieces have been given and are not sent.
    unsent: AtomicUsize,
    changed: Notify,
}

/// What a piece's bytes are of, for as long as they are to be sent.
struct Piece {
    bytes: Frozen,
    is_gone: Arc<AtomicBool>,
    progress: Arc<Progress>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.is_gone.store(true, Ordering::Release);
        self.progress.unsent.fetch_sub(1, Ordering::AcqRel);
        self.progress.changed.notify_waiters();
    }
}

impl Pieces {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the next piece, and returns what tells when nothing is left to be done with it. `None` if no more are taken.
    pub(super) fn give(&self, bytes: Frozen) -> Option<Arc<AtomicBool>> {
        let mut queue = self.lock();
        if queue.is_closed {
            return None;
        }
        let is_gone = Arc::new(AtomicBool::new(false));
        if bytes.is_empty() {
            is_gone.store(true, Ordering::Relaxed);
            return Some(is_gone);
        }
        self.progress.unsent.fetch_add(1, Ordering::AcqRel);
        let piece = Piece { bytes, is_gone: Arc::clone(&is_gone), progress: Arc::clone(&self.progress) };
        queue.pieces.push_back(Bytes::from_owner(piece));
        if let Some(reader) = queue.reader.take() {
            reader.wake();
        }
        Some(is_gone)
    }

    /// Waits while as many are on their way as may be. Before there is a response, none is.
    pub(super) async fn room(&self) {
        self.fewer_than(ON_THEIR_WAY).await;
    }

    /// Waits until none is on its way. They count against their store's limits until then, so it is kept.
    pub(super) async fn sent(&self) {
        self.fewer_than(1).await;
    }

    async fn fewer_than(&self, most: usize) {
        loop {
            let changed = self.progress.changed.notified();
            if self.on_their_way() < most {
                return;
            }
            changed.await;
        }
    }

    /// How many a response has that are not sent.
    pub(super) fn on_their_way(&self) -> usize {
        if self.lock().is_sent { self.progress.unsent.load(Ordering::Acquire) } else { 0 }
    }

    /// The response with all pieces in its body, those that are yet to be given too.
    pub(super) fn within(&self, response: Response<WasiBody>) -> Response<WasiBody> {
        let is_sized = !response.headers().contains_key(CONTENT_LENGTH);
        let mut queue = self.lock();
        queue.is_sent = true;
        queue.is_closed = response.body().is_end_stream();
        drop(queue);
        response.map(|rest| {
            Composed { pieces: self.clone(), rest: Some(rest), held: VecDeque::new(), is_sized }.boxed_unsync()
        })
    }
}

/// A body of pieces, and of what is written by `wasi:http`.
struct Composed {
    pieces: Pieces,
    /// Until its end.
    rest: Option<WasiBody>,
    /// What came of it when there were pieces before it.
    held: VecDeque<Option<Result<Frame<Bytes>, Error>>>,
    /// The length is what the pieces have, where they are all; no header says it.
    is_sized: bool,
}

impl Body for Composed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let mut queue = this.pieces.lock();
        if let Some(piece) = queue.pieces.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        queue.reader = Some(cx.waker().clone());
        drop(queue);
        let frame = match this.held.pop_front() {
            Some(frame) => frame,
            None => match &mut this.rest {
                Some(rest) => ready!(Pin::new(rest).poll_frame(cx)),
                None => None,
            },
        };
        let mut queue = this.pieces.lock();
        if let Some(piece) = queue.pieces.pop_front() {
            this.held.push_back(frame);
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if frame.as_ref().is_none_or(Result::is_err) {
            queue.is_closed = true;
            this.rest = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let mut queue = self.pieces.lock();
        let ends = self.held.is_empty() && self.rest.as_ref().is_none_or(WasiBody::is_end_stream);
        let is_over = ends && queue.pieces.is_empty();
        // Nobody looks again.
        queue.is_closed |= is_over;
        is_over
    }

    fn size_hint(&self) -> SizeHint {
        let queue = self.pieces.lock();
        match &self.rest {
            Some(rest) if queue.is_closed && rest.is_end_stream() && self.is_sized => {
                SizeHint::with_exact(queue.pieces.iter().map(|piece| piece.len() as u64).sum())
            }
            Some(rest) if queue.pieces.is_empty() && !queue.is_closed => rest.size_hint(),
            _ => SizeHint::default(),
        }
    }
}

impl Drop for Composed {
    fn drop(&mut self) {
        let mut queue = self.pieces.lock();
        queue.is_closed = true;
        // They lock nothing when they are dropped, but what is not needed is not held.
        let pieces = mem::take(&mut queue.pieces);
        drop(queue);
        drop(pieces);
    }
}
