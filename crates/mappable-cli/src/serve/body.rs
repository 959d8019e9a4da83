//! Bodies: what of a request's is read before there is an instance for it, how much a client may send and how slowly, and
//! what a response's says of the instance that it comes from.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};
use wasmtime_wasi_http::{Error, WasiBody};

use super::exchange::{Fate, Worker};

/// How many bytes of a body are read before there is an instance, and no more than as many again: what a slow client sends
/// until then costs no more than that.
const AHEAD: u64 = 64 << 10;

/// How long a client may send nothing while an instance waits for it.
const STALLED: Duration = Duration::from_secs(10);

/// The body of a request, which its instance reads by `wasi:http` or takes as regions: each byte is given once.
#[derive(Clone)]
pub(super) struct Requested(Arc<Mutex<Reading>>);

struct Reading {
    body: Bounded,
    /// Who waits for more by `wasi:http`.
    reader: Option<Waker>,
}

impl Requested {
    /// Reads the first part of a body, or all of a short one.
    pub(super) async fn read_ahead(mut body: Incoming, limit: u64) -> Result<Self, Error> {
        let mut read = Bounded { ahead: VecDeque::new(), rest: None, left: limit };
        while limit - read.left < AHEAD && !body.is_end_stream() {
            let Some(frame) = body.frame().await else { return Ok(Self::new(read)) };
            let frame = frame?;
            read.count(&frame)?;
            read.ahead.push_back(frame);
        }
        if !body.is_end_stream() {
            read.rest = Some((body, Box::pin(sleep(STALLED))));
        }
        Ok(Self::new(read))
    }

    fn new(body: Bounded) -> Self {
        Self(Arc::new(Mutex::new(Reading { body, reader: None })))
    }

    fn lock(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next bytes. `None` at the end, and where only trailers are left.
    pub(super) async fn next(&self) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| {
            let mut reading = self.lock();
            let next = ready!(reading.body.poll_bytes(cx));
            // The connection wakes who looked last alone: who waits by `wasi:http` looks again.
            if let Some(reader) = reading.reader.take() {
                reader.wake();
            }
            Poll::Ready(next)
        })
        .await
    }

    /// Bytes that [`next`](Self::next) gave are the next again.
    pub(super) fn put_back(&self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.lock().body.ahead.push_front(Frame::data(bytes));
        }
    }

    /// How many bytes there may yet be. One more where the client does not say how many there are: to ask for as many then is to
    /// come to the end, or to the limit.
    pub(super) fn most(&self) -> u64 {
        let body = &self.lock().body;
        body.size_hint().upper().unwrap_or_else(|| body.ahead_bytes() + body.left + 1)
    }
}

impl Body for Requested {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut reading = self.lock();
        let polled = Pin::new(&mut reading.body).poll_frame(cx);
        reading.reader = polled.is_pending().then(|| cx.waker().clone());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.lock().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().body.size_hint()
    }
}

/// A body whose beginning is there, of at most so many bytes.
struct Bounded {
    ahead: VecDeque<Frame<Bytes>>,
    /// What is to come, and until when the next of it.
    rest: Option<(Incoming, Pin<Box<Sleep>>)>,
    /// How many more bytes there may be, besides those ahead.
    left: u64,
}

impl Bounded {
    /// The next bytes; `None` at the end, and where only trailers are left.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        loop {
            let Some(frame) = ready!(Pin::new(&mut *self).poll_frame(cx)).transpose()? else {
                return Poll::Ready(Ok(None));
            };
            match frame.into_data() {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Poll::Ready(Ok(Some(bytes))),
                Err(trailers) => {
                    self.ahead.push_front(trailers);
                    return Poll::Ready(Ok(None));
                }
            }
        }
    }

    fn ahead_bytes(&self) -> u64 {
        self.ahead.iter().filter_map(Frame::data_ref).map(|bytes| bytes.len() as u64).sum()
    }

    fn count(&mut self, frame: &Frame<Bytes>) -> Result<(), Error> {
        let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
        self.left = self.left.checked_sub(bytes).ok_or(Error::HttpRequestBodySize(None))?;
        Ok(())
    }
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(frame) = self.ahead.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        let Some((body, stalled)) = &mut self.rest else { return Poll::Ready(None) };
        let frame = match Pin::new(body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                stalled.as_mut().reset(Instant::now() + STALLED);
                self.count(&frame).map(|()| frame)
            }
            Poll::Ready(Some(Err(error))) => Err(error.into()),
            Poll::Ready(None) => {
                self.rest = None;
                return Poll::Ready(None);
            }
            Poll::Pending => {
                ready!(stalled.as_mut().poll(cx));
                Err(Error::ConnectionReadTimeout)
            }
        };
        if frame.is_err() {
            self.rest = None;
        }
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && self.rest.as_ref().is_none_or(|(body, _)| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let ahead = self.ahead_bytes();
        let rest = self.rest.as_ref().map_or_else(|| SizeHint::with_exact(0), |(body, _)| body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(ahead + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(ahead + upper);
        }
        hint
    }
}

/// A response's body. When the client goes away before it is at its end, its instance is dropped; when its instance comes to
/// its end too early, the client is told.
pub(super) struct Outgoing {
    body: WasiBody,
    /// How many bytes the client still wants, where that is known: it does not ask for the end behind them.
    left: Option<u64>,
    worker: Worker,
    fate: Arc<Fate>,
    /// The end came too early, and what came before it has been passed on.
    cut: bool,
}

impl Outgoing {
    pub(super) fn new(body: WasiBody, length: Option<u64>, mut worker: Worker, fate: Arc<Fate>) -> Self {
        let left = length.or_else(|| body.size_hint().exact());
        if left == Some(0) || body.is_end_stream() {
            worker.let_go();
        }
        Self { body, left, worker, fate, cut: false }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.cut {
            return Poll::Ready(Some(Err(Error::HttpResponseIncomplete)));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                self.left = self.left.map(|left| left.saturating_sub(bytes));
                if self.left == Some(0) {
                    self.worker.let_go();
                }
            }
            None if self.fate.has_failed() => {
                // With an error the connection is closed, so what was sent before goes out first.
                self.cut = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            None => self.worker.let_go(),
            Some(Err(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && !self.fate.has_failed()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use http_body_util::Full;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn an_instance_is_let_go_with_the_last_byte_of_a_body_whose_length_is_known() {
        let (done, mut delivered) = oneshot::channel();
        let task = tokio::spawn(async {}).abort_handle();
        let worker = Worker { task, done: Some(done) };
        let body = Full::from(&b"all"[..]).map_err(|never| match never {}).boxed_unsync();
        let mut outgoing = Outgoing::new(body, None, worker, Arc::default());
        assert!(delivered.try_recv().is_err());
        let frame = Pin::new(&mut outgoing).poll_frame(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(frame, Poll::Ready(Some(Ok(frame))) if frame.data_ref().unwrap() == "all"));
        assert_eq!(delivered.try_recv(), Ok(()));
    }
}
