//! `mappable-bench serve-stock`: what `wasmtime serve` does by default, by the library that it uses. Not for people.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use anyhow::Result;
use http_body_util::BodyExt as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use wasmtime::component::{Component, GuestTaskId, Linker, ResourceTable};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, Store, StoreContextMut};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, ProxyHandler, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView, p2,
};

/// Serve a component of WASI 0.2.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct Args {
    app: PathBuf,

    /// A folder that instances are given
    folder: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut config = Config::new();
    config.allocation_strategy(InstanceAllocationStrategy::pooling());
    let engine = Engine::new(&config)?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    p2::add_only_http_to_linker_async(&mut linker)?;
    let component = Component::from_file(&engine, &args.app)?;
    let handler = ProxyPre::P2(p2::bindings::ProxyPre::new(linker.instantiate_pre(&component)?)?);
    let state = Server { engine, handler, folder: args.folder.clone(), requests: Semaphore::new(AT_ONCE) };
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(ProxyHandler::new(state)))
}

async fn serve(handler: ProxyHandler<Server>) -> Result<()> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    eprintln!("Serving HTTP on http://{}/", listener.local_addr()?);
    let connections = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let place = Arc::clone(&connections).acquire_owned().await?;
        let (client, _) = listener.accept().await?;
        client.set_nodelay(true)?;
        let handler = handler.clone();
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let handler = handler.clone();
            async move {
                let _place = handler.state().requests.acquire().await;
                let request = request.map(|body| body.map_err(Error::from).boxed_unsync());
                let failed = |error| {
                    eprintln!("error: {error:?}");
                    let mut response = http::Response::new(WasiBody::default());
                    *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
                    response
                };
                Ok::<_, Infallible>(handler.handle((), request).await.unwrap_or_else(failed))
            }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(client), service);
        tokio::spawn(async move {
            let _ = connection.await;
            drop(place);
        });
    }
}

/// How many connections there are at once, and how many requests.
const AT_ONCE: usize = 1000;

struct Server {
    engine: Engine,
    handler: ProxyPre<Host>,
    folder: Option<PathBuf>,
    requests: Semaphore,
}

struct Host {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    hooks: Hooks,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

type Sent = Box<dyn Future<Output = Result<(), Error>> + Send>;

/// The library's client is not there.
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

impl HandlerState for Server {
    type StoreData = Host;
    type WorkerExpiration = Never;
    type WorkerState = Once;

    async fn instantiate(&self) -> wasmtime::Result<Instance<Host, Never, Once>> {
        let mut wasi = WasiCtx::builder();
        wasi.inherit_stdout().inherit_stderr();
        if let Some(folder) = &self.folder {
            wasi.preopened_dir(folder, "/", FsPerms::ReadOnly)?;
        }
        let host = Host { wasi: wasi.build(), http: WasiHttpCtx::new(), table: ResourceTable::new(), hooks: Hooks };
        let mut store = Store::new(&self.engine, host);
        let proxy = self.handler.instantiate_async(&mut store).await?;
        Ok(Instance { store, proxy, view: Host::http, expiration: Never, state: Once })
    }
}

/// There is no limit on time by default.
struct Never;

impl WorkerExpiration for Never {
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>, _: WorkerStatus, _: Instant) -> Poll<()> {
        Poll::Pending
    }
}

/// An instance of WASI 0.2 handles one request by default.
struct Once;

impl WorkerState for Once {
    type StoreData = Host;
    type RequestData = ();

    fn should_accept_request(&self, _: usize, total: usize) -> ShouldAccept {
        if total == 0 { ShouldAccept::Yes } else { ShouldAccept::Never }
    }

    fn on_request_start(
        &self,
        _: StoreContextMut<'_, Host>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        Box::pin(tokio::time::sleep(Duration::MAX))
    }

    fn drop(&self, store: Store<Host>, result: wasmtime::Result<()>) {
        drop(store);
        if let Err(error) = result {
            eprintln!("error: {error:?}");
        }
    }
}
