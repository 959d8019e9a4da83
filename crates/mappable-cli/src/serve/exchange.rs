//! A request and its response: when an instance begins for it, and how it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{CONTENT_LENGTH, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use wasmtime_wasi_http::{Error, WasiBody};

use super::body::{Outgoing, Requested};
use super::instance::{Answer, Instances, reason};
use crate::failure::{one_line, say};

/// Responds, whatever happens. What goes wrong on this side is said on stderr, too. `cut` closes the connection.
pub(super) async fn respond(
    instances: &Arc<Instances>,
    request: Request<Incoming>,
    cut: Arc<Notify>,
) -> Response<WasiBody> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let title = Arc::new(move || format!("{method} {}", uri.path()));
    match exchange(instances, request, Arc::clone(&title) as Title, cut).await {
        Ok(response) => response,
        Err(Refusal { status, reason }) => {
            if status.is_server_error() {
                tell(&*title, &reason);
            }
            refuse(status)
        }
    }
}

/// How messages name a request.
type Title = Arc<dyn Fn() -> String + Send + Sync>;

fn tell(title: &(dyn Fn() -> String + Send + Sync), reason: &str) {
    say(&one_line(&format!("{}: {reason}", title())));
}

/// Why there is no response of the component's.
struct Refusal {
    status: StatusCode,
    reason: String,
}

fn refusal(status: StatusCode, reason: impl Into<String>) -> Refusal {
    Refusal { status, reason: reason.into() }
}

fn refuse(status: StatusCode) -> Response<WasiBody> {
    let text = Full::from(format!("{status}\n")).map_err(|never| match never {});
    let mut response = Response::new(text.boxed_unsync());
    *response.status_mut() = status;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

async fn exchange(
    instances: &Arc<Instances>,
    request: Request<Incoming>,
    title: Title,
    cut: Arc<Notify>,
) -> Result<Response<WasiBody>, Refusal> {
    let (parts, body) = request.into_parts();
    let without_body = parts.method == Method::HEAD;
    let deadline = Instant::now() + instances.timeout;
    if length(&parts.headers).is_some_and(|length| length > instances.max_body) {
        return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, ""));
    }
    let (to, answered) = oneshot::channel();
    let (done, delivered) = oneshot::channel();
    let fate = Arc::new(Fate::default());
    let work = {
        let (instances, answer) = (Arc::clone(instances), Answer { to, fate: Arc::clone(&fate) });
        async move {
            let (request, _slot) = ready(&instances, parts, body, deadline).await?;
            work(&instances, request, answer, delivered, &*title, &cut).await
        }
    };
    let task = tokio::spawn(work);
    let worker = Worker { task: task.abort_handle(), done: Some(done) };
    match answered.await {
        Ok(Ok(response)) => {
            let (parts, body) = response.into_parts();
            let length = if without_body { Some(0) } else { expected(parts.status, &parts.headers) };
            Ok(Response::from_parts(parts, Outgoing::new(body, length, worker, fate).boxed_unsync()))
        }
        Ok(Err(code)) => Err(refusal(StatusCode::INTERNAL_SERVER_ERROR, format!("it gave an error: {code}"))),
        // The instance is gone: its task knows why.
        Err(_) => Err(match task.await {
            Ok(Err(refusal)) => refusal,
            Ok(Ok(())) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "it gave no response"),
            Err(_) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "a bug in mappable: the instance's task panicked"),
        }),
    }
}

/// Waits for the first part of the body, and then until there may be an instance for it.
///
/// In a task of its own: the connection's wakes itself whenever it is asked for more of a body, and Tokio then wakes another
/// thread to take its work over.
async fn ready(
    instances: &Instances,
    parts: Parts,
    body: Incoming,
    deadline: Instant,
) -> Result<(Request<Requested>, OwnedSemaphorePermit), Refusal> {
    let body = match timeout_at(deadline, Requested::read_ahead(body, instances.max_body)).await {
        Ok(Ok(body)) => body,
        Ok(Err(Error::HttpRequestBodySize(_))) => return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, "")),
        Ok(Err(_)) => return Err(refusal(StatusCode::BAD_REQUEST, "")),
        Err(_) => return Err(refusal(StatusCode::REQUEST_TIMEOUT, "")),
    };
    let Ok(Ok(slot)) = timeout_at(deadline, Arc::clone(&instances.slots).acquire_owned()).await else {
        let reason = "no instance in time: all that there may be at once are busy (--max-requests)";
        return Err(refusal(StatusCode::SERVICE_UNAVAILABLE, reason));
    };
    Ok((Request::from_parts(parts, body), slot))
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// How many bytes a client will take of a response, where that is known.
fn expected(status: StatusCode, headers: &HeaderMap) -> Option<u64> {
    match status {
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Some(0),
        _ => length(headers),
    }
}

/// How far an instance has come.
#[derive(Debug, Default)]
pub(super) struct Fate {
    /// It has given a response.
    answered: AtomicBool,
    /// It came to its end before it had done all: what it sent is not whole. Set before its store goes, and so before any
    /// body of it ends.
    failed: AtomicBool,
}

impl Fate {
    pub(super) fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
}

/// The task of an instance, which ends with this unless it is let go.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) task: AbortHandle,
    pub(super) done: Option<oneshot::Sender<()>>,
}

impl Worker {
    /// The client has all that it wants: what the instance does from here on is its own matter, for as long as it may.
    pub(super) fn let_go(&mut self) {
        if let Some(done) = self.done.take() {
            let _ = done.send(());
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.done.is_some() {
            self.task.abort();
        }
    }
}

/// Runs an instance to its end, and says what there is to say of it once it has responded.
async fn work(
    instances: &Instances,
    request: Request<Requested>,
    answer: Answer,
    delivered: oneshot::Receiver<()>,
    title: &(dyn Fn() -> String + Send + Sync),
    cut: &Notify,
) -> Result<(), Refusal> {
    let failed = StatusCode::INTERNAL_SERVER_ERROR;
    let mut store = instances.store().map_err(|error| refusal(failed, format!("{error:#}")))?;
    let (deadline, fate) = (Instant::now() + instances.timeout, Arc::clone(&answer.fate));
    let done = timeout_at(deadline, instances.handle(&mut store, request, answer, delivered)).await;
    let refusal = match done {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => refusal(failed, reason(&store, &error)),
        Err(_) => {
            let timeout = instances.timeout;
            refusal(StatusCode::GATEWAY_TIMEOUT, format!("stopped: it was still running after {timeout:?} (--timeout)"))
        }
    };
    fate.failed.store(true, Ordering::Release);
    if store.data().bodies.pieces.on_their_way() > 0 {
        // The connection has them, and no instance that they count against.
        cut.notify_one();
    }
    if fate.answered.load(Ordering::Relaxed) {
        tell(title, &refusal.reason);
    }
    Err(refusal)
}
