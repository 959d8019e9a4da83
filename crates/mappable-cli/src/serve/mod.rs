//! `mappable serve`: a component of `wasi:http`, of WASI 0.2 or 0.3, behind a socket.
//!
//! ```text
//!   connections   clients: accepted, bounded, and let finish when the server is told to stop
//!    └ exchange   a request and its response: when the instance for it begins, and how it ends
//!       ├ body    bodies: what is read before there is an instance, and what a client may send
//!       └ instance  the component in a store of its own, with `shared`: the data sets that all instances see
//!          └ bodies   bodies as regions, of which a response is sent in `pieces`
//! ```
//!
//! Clients are not trusted, and neither is the component. Each request has an instance of its own, which begins when the
//! head of the request is there with the first part of its body, and is dropped at the latest when its time is up. So a
//! client that sends slowly costs a connection and no instance, and one that goes away takes its instance with it.

mod bodies;
mod body;
mod connections;
mod exchange;
mod instance;
mod pieces;
mod shared;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use tokio::sync::Semaphore;
use wasmtime::Config;

use self::instance::Instances;
use self::shared::{Named, Shared};
use crate::amount::{size, span};
use crate::application::{self, Bounds, Given};
use crate::failure::{Exit, fail};
use crate::files;
use crate::runtime::Options;

/// How many linear memories an instance has at the most that are kept warm when it goes.
const MEMORIES_EACH: usize = 4;

/// Serve HTTP by a component, each request by an instance of its own
///
/// The component exports `wasi:http/incoming-handler` of WASI 0.2 or `wasi:http/handler` of 0.3, and may import
/// `mappable:memory/types`, `mappable:files`, `mappable:data/shared`, `mappable:data/bodies` and all of WASI 0.2
/// and 0.3; requests of its own are denied. Data sets are held once, in memory, and each instance maps them where it wants them.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  mappable serve app.wasm
  mappable serve --addr 0.0.0.0:80 --timeout 5s --max-requests 1000 app.wasm
  mappable serve --frozen table=table.bin --frozen model=weights.bin app.wasm
  mappable serve --dir-ro index::/index --map-files shared app.wasm

SIGINT or SIGTERM stops it: requests in progress have --grace to finish.
Exits with 0 then; 1 when the address or a data set can't be had, 2 for wrong usage, 3 when the
component can't be loaded. A request that goes wrong is one line on stderr.")]
pub(crate) struct Args {
    /// Where to listen; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    addr: SocketAddr,

    /// A file as a data set that all instances share: `mappable:data/shared` gives it by this name
    #[arg(long = "frozen", value_name = "NAME=FILE")]
    frozen: Vec<Named>,

    #[command(flatten)]
    given: Given,

    #[command(flatten)]
    limits: Limits,

    #[command(flatten)]
    runtime: Options,

    /// The component, in binary or text
    #[arg(value_name = "APP.wasm")]
    app: PathBuf,
}

/// What clients and instances may take.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Limits")]
struct Limits {
    /// How long each part of a request may take: to send the beginning of its body, to wait for an instance, and to be answered by it
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "30s")]
    timeout: Duration,

    /// How many requests are in instances at once; others wait
    #[arg(long, value_name = "NUMBER", default_value = "256", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    max_requests: u32,

    /// How many clients are connected at once; others wait
    #[arg(long, value_name = "NUMBER", default_value = "8192", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    max_connections: u32,

    /// The largest body that a request may have
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "64MiB")]
    max_body: u64,

    /// What an instance's memories may have together; room to map each data set once is added
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "256MiB")]
    max_memory: u64,

    /// What an instance's regions may have together; the data sets are added
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "256MiB")]
    max_regions: u64,

    /// How long requests in progress have to finish when the server is told to stop
    #[arg(long, value_name = "TIME", value_parser = span, default_value = "10s")]
    grace: Duration,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let (instances, limits) = (Arc::new(ready(args)?), args.limits.clone());
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = tokio.block_on(connections::serve(&instances, args.addr, &limits));
    // What still runs has had its time.
    tokio.shutdown_background();
    served
}

/// All that is done once: the data sets are read, and the component is compiled and linked.
fn ready(args: &Args) -> Result<Instances> {
    let limits = &args.limits;
    let bytes = files::component(&args.app).with_context(|| args.app.display().to_string())?;
    let mut config = Config::new();
    application::stoppable(&mut config);
    let runtime = args.runtime.builder(config)?.idle_memories(limits.max_requests as usize * MEMORIES_EACH);
    let runtime = crate::runtime::finish(runtime)?;
    application::count_turns(runtime.engine());
    let shared = Shared::read(&runtime, &args.frozen)?;
    let bounds = Bounds {
        max_memory: Some(limits.max_memory.saturating_add(shared.room())),
        max_regions: Some(limits.max_regions.saturating_add(shared.room())),
    };
    let instances = Instances {
        slots: Arc::new(Semaphore::new(limits.max_requests as usize)),
        timeout: limits.timeout,
        max_body: limits.max_body,
        handler: instance::link(&runtime, &bytes).with_context(|| args.app.display().to_string())?,
        given: args.given.clone(),
        shared: Arc::new(shared),
        bounds,
        runtime,
    };
    // What can't be had is told now, and not to a client.
    instances.store().map_err(|error| error.context("what an instance is given"))?;
    Ok(instances)
}

/// The address can't be had.
fn not_bound(addr: SocketAddr, error: &std::io::Error) -> anyhow::Error {
    fail(Exit::Work, format!("--addr {addr}: {error}"))
}
