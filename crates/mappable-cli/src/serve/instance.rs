//! Instances: the component in a store of its own for each request, as the world that it exports.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use mappable::{MappableCtx, MappableView, Runtime};
use mappable_wasi::{FilesCtx, FilesView};
use tokio::sync::{Semaphore, oneshot};
use wasmtime::Store;
use wasmtime::component::{Component, Linker};
use wasmtime_wasi::{WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p3::bindings::ServicePre;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView, p2, p3,
};

use super::bodies::{self, Bodies};
use super::body::Requested;
use super::exchange::Fate;
use super::pieces::Pieces;
use super::shared::{self, Shared};
use crate::application::{self, Bounds, Given, State};
use crate::failure::{Exit, fail, trap_reason};

/// What instances are made of.
pub(super) struct Instances {
    pub(super) runtime: Runtime,
    pub(super) handler: Handler,
    pub(super) given: Given,
    pub(super) bounds: Bounds,
    pub(super) shared: Arc<Shared>,
    /// One permit for each instance that may run at once.
    pub(super) slots: Arc<Semaphore>,
    /// How long each may take.
    pub(super) timeout: Duration,
    /// In bytes.
    pub(super) max_body: u64,
}

/// The component, linked as what it exports.
pub(super) enum Handler {
    /// `wasi:http/incoming-handler` of WASI 0.2.
    Incoming(ProxyPre<Request>),
    /// `wasi:http/handler` of WASI 0.3.
    Service(ServicePre<Request>),
}

/// Compiles and links it.
pub(super) fn link(runtime: &Runtime, bytes: &[u8]) -> Result<Handler> {
    let component = application::compile(runtime, bytes)?;
    link_as_exported(runtime, &component).map_err(|error| {
        let ty = component.component_type();
        let exports = ty.exports(component.engine());
        let is_handler = |name: &str| name.starts_with("wasi:http/handler@") || name.starts_with("wasi:http/incoming-");
        let what = if exports.map(|(name, _)| name).any(is_handler) {
            format!("not loaded: {error:#}")
        } else {
            let what = "it exports neither `wasi:http/incoming-handler@0.2` nor `wasi:http/handler@0.3`";
            format!("{what}{}", application::advice(&component))
        };
        fail(Exit::Load, what)
    })
}

fn link_as_exported(runtime: &Runtime, component: &Component) -> wasmtime::Result<Handler> {
    let mut linker: Linker<Request> = application::linker(runtime.engine())?;
    p2::add_only_http_to_linker_async(&mut linker)?;
    p3::add_to_linker(&mut linker)?;
    shared::add_to_linker(&mut linker)?;
    bodies::add_to_linker(&mut linker)?;
    let linked = linker.instantiate_pre(component)?;
    match application::exports(component, "wasi:http/handler@0.3") {
        true => ServicePre::new(linked).map(Handler::Service),
        false => ProxyPre::new(linked).map(Handler::Incoming),
    }
}

/// What the store of one request keeps.
pub(super) struct Request {
    application: State,
    http: WasiHttpCtx,
    hooks: Hooks,
    pub(super) shared: Arc<Shared>,
    pub(super) bodies: Bodies,
}

impl WasiView for Request {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.application.ctx()
    }
}

impl MappableView for Request {
    fn mappable(&mut self) -> &mut MappableCtx {
        self.application.mappable()
    }
}

impl FilesView for Request {
    fn files(&mut self) -> &mut FilesCtx {
        self.application.files()
    }
}

impl WasiHttpView for Request {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.application.table, hooks: &mut self.hooks }
    }
}

type Sent = Box<dyn Future<Output = Result<(), Error>> + Send>;

/// There is no network for instances.
struct Hooks;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        _: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Sent,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Sent), Error>> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

/// Where an instance gives its response, or the error that it gives in place of one.
pub(super) struct Answer {
    pub(super) to: oneshot::Sender<Result<http::Response<WasiBody>, String>>,
    pub(super) fate: Arc<Fate>,
}

impl Answer {
    fn give(self, response: Result<http::Response<WasiBody>, impl ToString>, pieces: &Pieces) {
        self.fate.answered();
        // Who waited may be gone.
        let _ = self.to.send(response.map(|response| pieces.within(response)).map_err(|code| code.to_string()));
    }
}

impl Instances {
    /// A store for an instance.
    pub(super) fn store(&self) -> Result<Store<Request>> {
        let mut wasi = self.given.context()?;
        wasi.inherit_stdout().inherit_stderr();
        let application = State::new(&self.runtime, self.bounds, self.given.files(&self.runtime), wasi);
        let (http, shared) = (WasiHttpCtx::new(), Arc::clone(&self.shared));
        let bodies = Bodies::default();
        let mut store = self.runtime.store(Request { application, http, hooks: Hooks, shared, bodies });
        store.limiter(|request| &mut request.application.limiter);
        application::take_turns(&mut store);
        Ok(store)
    }

    /// Makes an instance, and has it handle a request. Returns when nothing is left to be done in it.
    ///
    /// `delivered` is told when nobody waits any more for what the instance sends.
    pub(super) async fn handle(
        &self,
        store: &mut Store<Request>,
        request: http::Request<Requested>,
        answer: Answer,
        delivered: oneshot::Receiver<()>,
    ) -> wasmtime::Result<()> {
        store.data_mut().bodies.requested = Some(request.body().clone());
        let pieces = store.data().bodies.pieces.clone();
        match &self.handler {
            Handler::Incoming(handler) => {
                let handler = handler.instantiate_async(&mut *store).await?;
                let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
                let given = pieces.clone();
                let give = move |response| answer.give(response, &given);
                let response = store.data_mut().http().new_response_outparam_from_callback(give)?;
                handler.wasi_http_incoming_handler().call_handle(&mut *store, request, response).await?;
                pieces.sent().await;
                Ok(())
            }
            Handler::Service(handler) => {
                let handler = handler.instantiate_async(&mut *store).await?;
                let run = store.run_concurrent(async |accessor| {
                    let (request, sent) = accessor.with(|mut store| {
                        let (request, sent) = p3::Request::from_http(store.data_mut().http().hooks, request);
                        (request, Box::into_pin(Box::new(sent) as Sent))
                    });
                    let response = match handler.handle(accessor, request).await? {
                        Ok(response) => Ok(accessor.with(|mut store| response.into_http(&mut store, sent))?),
                        Err(code) => Err(code),
                    };
                    answer.give(response, &pieces);
                    // What the host still does for the response is done in here, too.
                    let _ = delivered.await;
                    pieces.sent().await;
                    poll_fn(|context| accessor.poll_no_interesting_tasks(context)).await;
                    Ok(())
                });
                run.await.flatten()
            }
        }
    }
}

/// Why an instance came to its end.
pub(super) fn reason(store: &Store<Request>, error: &wasmtime::Error) -> String {
    let reason = trap_reason(error);
    match store.data().application.limiter.shortage() {
        Some(shortage) => format!("{shortage} ({reason})"),
        None => reason,
    }
}
