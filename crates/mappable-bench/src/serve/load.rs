//! Clients: connections that each send one request after the other, and check what comes back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What is asked for, and what has to come back.
#[derive(Clone)]
pub(super) enum Asked {
    /// This body back, from where there is who does that.
    Echo(&'static str, Bytes),
    /// The value of one of so many keys.
    Lookup(u64),
}

/// The table that is looked up in: so many keys, 3 apart, with their squares.
pub(super) fn table(pairs: u64) -> impl Iterator<Item = u8> {
    (0..pairs).flat_map(|at| [3 * at, at.wrapping_mul(at)]).flat_map(u64::to_le_bytes)
}

impl Asked {
    /// A request, and the body that its response must have.
    fn next(&self, random: &mut fastrand::Rng) -> Result<(Request<Full<Bytes>>, Bytes)> {
        let (uri, sent, expected) = match self {
            Self::Echo(path, body) => (Uri::from_static(path), body.clone(), body.clone()),
            Self::Lookup(pairs) => {
                let at = random.u64(..pairs);
                let value = at.wrapping_mul(at).to_string();
                (format!("/lookup?{}", 3 * at).parse()?, Bytes::new(), Bytes::from(value))
            }
        };
        let request = Request::post(uri).header("host", "here").body(Full::new(sent))?;
        Ok((request, expected))
    }
}

/// What a sample saw: how long it lasted, and how long each request took.
pub(super) struct Seen {
    lasted: Duration,
    took: Vec<Duration>,
}

impl Seen {
    pub(super) fn per_second(&self) -> f64 {
        self.took.len() as f64 / self.lasted.as_secs_f64()
    }

    /// In nanoseconds: all but the slowest of a hundred took less.
    pub(super) fn p99(&mut self) -> f64 {
        self.took.sort_unstable();
        let at = (self.took.len() * 99).div_ceil(100).saturating_sub(1);
        self.took.get(at).map_or(0.0, |took| took.as_nanos() as f64)
    }
}

/// So many connections for so long, or for a request each at the least.
pub(super) fn load(addr: SocketAddr, asked: &Asked, connections: u64, time: Duration) -> Result<Seen> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio.block_on(async {
        let mut clients = vec![];
        for _ in 0..connections {
            let (client, connection) = handshake(TokioIo::new(TcpStream::connect(addr).await?)).await?;
            tokio::spawn(connection);
            clients.push(client);
        }
        let start = Instant::now();
        let end = start + time;
        let asking: Vec<_> = clients
            .into_iter()
            .zip(0..)
            .map(|(client, seed)| tokio::spawn(ask(client, asked.clone(), fastrand::Rng::with_seed(seed), end)))
            .collect();
        let mut took = vec![];
        for asking in asking {
            took.extend(asking.await??);
        }
        Ok(Seen { lasted: start.elapsed(), took })
    })
}

async fn ask(
    mut client: SendRequest<Full<Bytes>>,
    asked: Asked,
    mut random: fastrand::Rng,
    end: Instant,
) -> Result<Vec<Duration>> {
    let mut took = vec![];
    while took.is_empty() || Instant::now() < end {
        let (request, expected) = asked.next(&mut random)?;
        let start = Instant::now();
        client.ready().await?;
        let response = client.send_request(request).await.context("no response")?;
        let status = response.status();
        let body = response.into_body().collect().await.context("no whole response")?.to_bytes();
        took.push(start.elapsed());
        ensure!(status.is_success() && body == expected, "a wrong response: {status}, {} bytes", body.len());
    }
    Ok(took)
}
