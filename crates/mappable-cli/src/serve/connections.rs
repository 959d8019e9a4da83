//! Clients: how they are accepted, how many there may be, how long they may take to say what they want, and how they are
//! let finish when the server is told to stop.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::exchange::respond;
use super::instance::Instances;
use super::{Limits, not_bound};
use crate::failure::say;

/// How long a client may take for the head of a request, and to begin with another one.
const HEAD: Duration = Duration::from_secs(10);

/// The largest head of a request, in bytes.
const LARGEST_HEAD: usize = 64 << 10;

/// How long nobody is accepted when the system can't take any more.
const PAUSE: Duration = Duration::from_millis(50);

/// How often Tokio's timers are looked at, whether or not one is due.
const TICK: Duration = Duration::from_millis(100);

/// Serves until it is told to stop, and then until all have finished that began before, or have had their time.
pub(super) async fn serve(instances: &Arc<Instances>, addr: SocketAddr, limits: &Limits) -> Result<()> {
    let mut stop = pin!(told_to_stop()?);
    let listener = TcpListener::bind(addr).await.map_err(|error| not_bound(addr, &error))?;
    let bound = listener.local_addr().map_err(|error| not_bound(addr, &error))?;
    let places = Arc::new(Semaphore::new(places(limits)));
    eprintln!("Serving HTTP on http://{bound}/");

    tokio::spawn(tick());
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_header_size(LARGEST_HEAD);
    let clients = GracefulShutdown::new();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (accept(&listener).await, place)
        };
        let (client, place) = tokio::select! {
            biased;
            () = &mut stop => break,
            next = next => next,
        };
        let (instances, cut) = (Arc::clone(instances), Arc::new(Notify::new()));
        let to_cut = Arc::clone(&cut);
        let service = service_fn(move |request| {
            let (instances, cut) = (Arc::clone(&instances), Arc::clone(&to_cut));
            async move { Ok::<_, Infallible>(respond(&instances, request, cut).await) }
        });
        let connection = clients.watch(http.serve_connection(TokioIo::new(client), service));
        tokio::spawn(async move {
            let _place = place;
            tokio::select! {
                // That a client goes away, or makes no sense, is its own matter.
                _ = connection => {}
                () = cut.notified() => {}
            }
        });
    }

    drop(listener);
    let left = clients.count();
    tokio::select! {
        () = clients.shutdown() => {}
        () = sleep(limits.grace) => say(&format!("cut short: of {left} connections not all were done after {:?} (--grace)", limits.grace)),
        stop = again() => stop?,
    }
    Ok(())
}

/// A timer that is due before all others. Tokio wakes the thread that waits for the network whenever a timer is set that is
/// due before those that it knows, and each request sets a few and takes them back: without this, each would wake it.
async fn tick() {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                // A response goes out as it is written; that this is refused is no reason not to serve.
                let _ = client.set_nodelay(true);
                return client;
            }
            // It was gone before it was there.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {
            }
            Err(error) => {
                say(&format!("no connection can be accepted: {error}"));
                sleep(PAUSE).await;
            }
        }
    }
}

async fn again() -> Result<()> {
    told_to_stop()?.await;
    Ok(())
}

#[cfg(unix)]
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// How many files are open besides connections and what instances are given, at the most.
#[cfg(unix)]
const FILES: u64 = 128;

/// How many connections there may be: as many as are wanted, or fewer where the process can't have as many files open. The
/// limit that it begins with is often the lowest that it may have.
#[cfg(unix)]
fn places(limits: &Limits) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let (limit, besides) = (getrlimit(Resource::Nofile), FILES + u64::from(limits.max_requests));
    let (wanted, needed) = (limits.max_connections, u64::from(limits.max_connections) + besides);
    let possible = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
    let mut files = limit.current.unwrap_or(needed);
    if files < possible && setrlimit(Resource::Nofile, Rlimit { current: Some(possible), ..limit }).is_ok() {
        files = possible;
    }
    usize::try_from(files.saturating_sub(besides).clamp(1, u64::from(wanted))).unwrap_or(1)
}

#[cfg(not(unix))]
fn places(limits: &Limits) -> usize {
    limits.max_connections as usize
}
