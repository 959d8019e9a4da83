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
const STALLED: Duration = if cfg!(test) { Duration::from_millis(50) } else { Duration::from_secs(10) };

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
            read.rest = Some(Rest::new(body));
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
struct Bounded<B = Incoming> {
    ahead: VecDeque<Frame<Bytes>>,
    /// What is to come.
    rest: Option<Rest<B>>,
    /// How many more bytes there may be, besides those ahead.
    left: u64,
}

/// What a client has yet to send.
struct Rest<B> {
    body: B,
    /// Until when it may send nothing. Of meaning while somebody waits: the time in which an instance does not ask is its own.
    stalled: Pin<Box<Sleep>>,
    is_awaited: bool,
}

impl<B: Body<Data = Bytes> + Unpin> Rest<B>
where
    Error: From<B::Error>,
{
    fn new(body: B) -> Self {
        Self { body, stalled: Box::pin(sleep(STALLED)), is_awaited: false }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.is_awaited = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::from)));
        }
        if !self.is_awaited {
            self.is_awaited = true;
            self.stalled.as_mut().reset(Instant::now() + STALLED);
        }
        ready!(self.stalled.as_mut().poll(cx));
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }
}

impl<B: Body<Data = Bytes> + Unpin> Bounded<B>
where
    Error: From<B::Error>,
{
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

impl<B: Body<Data = Bytes> + Unpin> Body for Bounded<B>
where
    Error: From<B::Error>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(frame) = self.ahead.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let frame = match ready!(rest.poll_frame(cx)) {
            Some(Ok(frame)) => self.count(&frame).map(|()| frame),
            Some(Err(error)) => Err(error),
            None => {
                self.rest = None;
                return Poll::Ready(None);
            }
        };
        if frame.is_err() {
            self.rest = None;
        }
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && self.rest.as_ref().is_none_or(|rest| rest.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let ahead = self.ahead_bytes();
        let rest = self.rest.as_ref().map_or_else(|| SizeHint::with_exact(0), |rest| rest.body.size_hint());
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
    use tokio::sync::{mpsc, oneshot};

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

    /// A body of what is sent to it.
    struct Sent(mpsc::UnboundedReceiver<Bytes>);

    impl Body for Sent {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
            self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
        }
    }

    /// A body in which nothing has come, and what makes it come.
    fn awaited() -> (mpsc::UnboundedSender<Bytes>, Bounded<Sent>) {
        let (client, sent) = mpsc::unbounded_channel();
        (client, Bounded { ahead: VecDeque::new(), rest: Some(Rest::new(Sent(sent))), left: 100 })
    }

    #[tokio::test]
    async fn a_client_is_not_blamed_for_the_time_in_which_nobody_asked_it() {
        let (client, mut body) = awaited();
        client.send(Bytes::from("one")).unwrap();
        assert_eq!(poll_fn(|cx| body.poll_bytes(cx)).await.unwrap().unwrap(), "one");
        sleep(2 * STALLED).await;
        let asked = poll_fn(|cx| Poll::Ready(body.poll_bytes(cx))).await;
        assert!(asked.is_pending(), "{asked:?}");
        client.send(Bytes::from("two")).unwrap();
        assert_eq!(poll_fn(|cx| body.poll_bytes(cx)).await.unwrap().unwrap(), "two");
    }

    #[tokio::test]
    async fn a_client_that_sends_nothing_while_it_is_awaited_is_refused() {
        let (_client, mut body) = awaited();
        let refused = poll_fn(|cx| body.poll_bytes(cx)).await;
        assert!(matches!(refused, Err(Error::ConnectionReadTimeout)), "{refused:?}");
        assert!(poll_fn(|cx| body.poll_bytes(cx)).await.unwrap().is_none(), "it is asked no more");
    }
}
