//! Programs at both ends, on Zenoh alone: its own shared memory, or its own network.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use zenoh::bytes::ZBytes;
use zenoh::handlers::FifoChannelHandler;
use zenoh::pubsub::{Publisher, Subscriber};
use zenoh::qos::CongestionControl;
use zenoh::sample::Sample;
use zenoh::shm::{BlockOn, GarbageCollect, PosixShmProviderBackend, ShmProvider, ShmProviderBuilder};
use zenoh::{Config, Session, Wait as _};

use super::{Answer, BACK, PATIENCE, Receiving, Sending, THERE};

/// What may be shared at once: as much as the bus shares unless told.
const POOL: usize = 512 << 20;

pub(super) struct Sender {
    pool: Option<ShmProvider<PosixShmProviderBackend>>,
    there: Publisher<'static>,
    back: Subscriber<FifoChannelHandler<Sample>>,
    session: Session,
}

pub(super) struct Receiver {
    there: Subscriber<FifoChannelHandler<Sample>>,
    back: Publisher<'static>,
    _session: Session,
}

fn of_zenoh(error: zenoh::Error) -> anyhow::Error {
    anyhow::anyhow!("{error}")
}

/// As the bus opens one, with Zenoh's shared memory in place of ours.
fn session(is_shared: bool, option: &str, address: &str) -> Result<Session> {
    let mut config = Config::default();
    let mut set = |option: &str, value: &str| config.insert_json5(option, value).map_err(of_zenoh);
    set("listen/endpoints", "[]")?;
    set(option, &format!("[{address:?}]"))?;
    set("scouting/multicast/enabled", "false")?;
    set("transport/shared_memory/enabled", &is_shared.to_string())?;
    set("transport/shared_memory/transport_optimization/enabled", "false")?;
    zenoh::open(config).wait().map_err(of_zenoh)
}

fn publisher(session: &Session, key: &'static str) -> Result<Publisher<'static>> {
    session.declare_publisher(key).congestion_control(CongestionControl::Block).wait().map_err(of_zenoh)
}

fn wait(publisher: &Publisher<'static>) -> Result<()> {
    let begun = Instant::now();
    while !publisher.matching_status().wait().map_err(of_zenoh)?.matching() {
        ensure!(begun.elapsed() < PATIENCE, "the other end does not subscribe");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

impl Sender {
    pub(super) fn new(is_shared: bool) -> Result<Self> {
        let session = session(is_shared, "listen/endpoints", "tcp/127.0.0.1:0")?;
        let pool = is_shared.then(|| ShmProviderBuilder::default_backend(POOL).wait()).transpose().map_err(of_zenoh)?;
        let there = publisher(&session, THERE)?;
        let back = session.declare_subscriber(BACK).wait().map_err(of_zenoh)?;
        Ok(Self { pool, there, back, session })
    }
}

/// A payload is filled as the components' is.
fn fill(payload: &mut [u8], number: u32) {
    payload.fill(number as u8);
    payload[..4].copy_from_slice(&number.to_le_bytes());
}

impl Sending for Sender {
    fn address(&self) -> Result<String> {
        Ok(self.session.info().locators().wait().first().context("the session listens")?.to_string())
    }

    fn wait(&self) -> Result<()> {
        wait(&self.there)
    }

    fn send(&mut self, number: u32, bytes: u32) -> Result<()> {
        let payload: ZBytes = match &self.pool {
            Some(pool) => {
                let buffer = pool.alloc(bytes as usize).with_policy::<BlockOn<GarbageCollect>>().wait();
                let mut buffer = buffer.map_err(|error| anyhow::anyhow!("{error}"))?;
                fill(&mut buffer, number);
                buffer.into()
            }
            None => {
                let mut buffer = vec![0; bytes as usize];
                fill(&mut buffer, number);
                buffer.into()
            }
        };
        self.there.put(payload).wait().map_err(of_zenoh)
    }

    fn answer(&mut self, timeout: Duration) -> Result<Option<Answer>> {
        let answer = self.back.recv_timeout(timeout).map_err(of_zenoh)?;
        answer.map(|answer| Answer::read(&answer.payload().to_bytes())).transpose()
    }
}

impl Receiver {
    pub(super) fn new(is_shared: bool, address: &str) -> Result<Self> {
        let session = session(is_shared, "connect/endpoints", address)?;
        let there = session.declare_subscriber(THERE).wait().map_err(of_zenoh)?;
        let back = publisher(&session, BACK)?;
        wait(&back)?;
        Ok(Self { there, back, _session: session })
    }
}

impl Receiving for Receiver {
    fn take(&mut self) -> Result<u32> {
        let sample = self.there.recv().map_err(of_zenoh)?;
        // One slice where it is shared. What came over the network is in pieces, which a program copies into one.
        let payload = sample.payload().to_bytes();
        let number = u32::from_le_bytes(payload[..4].try_into()?);
        let mut looked_at = payload.iter().skip(4095).step_by(4096);
        ensure!(looked_at.all(|&byte| byte == number as u8), "payload {number} is not what was sent");
        Ok(number)
    }

    fn answer(&mut self, answer: Answer) -> Result<()> {
        self.back.put(answer.to_bytes().to_vec()).wait().map_err(of_zenoh)
    }
}
