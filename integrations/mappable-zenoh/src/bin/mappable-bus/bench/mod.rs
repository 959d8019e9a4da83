//! `mappable-bus bench`: a hop from a process to one or more others, with what Zenoh does by itself beside it.
//!
//! ```text
//!   bench         rounds, and the table
//!    ├ components  sandboxed components at both ends, on the bus
//!    └ native      programs at both ends, on Zenoh alone
//! ```
//!
//! A hop: the payload is made and filled, published, and received by each subscriber, a process of its own, which compares a byte of
//! each 4096 with what it must be and answers with eight bytes. It ends with the last answer. Payloads alone, one behind the other,
//! are the throughput: the bytes that are published in a second, each of which all subscribers receive.

mod components;
mod native;

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::process::{self, Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;

/// Where payloads go, and where answers come from.
const THERE: &str = "bench/there";
const BACK: &str = "bench/back";

/// In a payload's number: its receiver answers.
const ANSWER: u32 = 1 << 31;

/// Rounds, each of which goes around the lanes.
const ROUNDS: u64 = 10;

/// How long either end waits for the other.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a subscriber may take to be known everywhere, before it is tried again.
const SOON: Duration = Duration::from_secs(1);

/// Time a hop from one process to others
///
/// Sandboxed components at all ends, against programs that use Zenoh by themselves. Each answer is checked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Payloads
    #[arg(long, value_delimiter = ',', value_parser = size, default_value = "4KiB,64KiB,1MiB,16MiB,64MiB")]
    sizes: Vec<u32>,
    /// What is compared. All, unless said
    #[arg(long, value_delimiter = ',')]
    lanes: Vec<Lane>,
    /// To how many subscribers
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=64), default_value = "1")]
    subscribers: Vec<u32>,
    /// From how many bytes on components' values go through shared memory
    #[arg(long, value_parser = size, default_value = "256KiB")]
    shared_from: u32,
    /// Hops of each size and lane, in ten rounds
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), default_value = "200")]
    hops: u64,
    /// MiB of each size and lane for the throughput, and 40 payloads at least. The best of ten rounds counts
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    volume: u64,
}

/// Be a subscriber of the benchmark
#[derive(Debug, clap::Args)]
pub(crate) struct PeerArgs {
    #[arg(long)]
    lane: Lane,
    /// Which of the subscribers
    #[arg(long)]
    index: u32,
    #[arg(long)]
    connect: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Lane {
    /// Components, and values in shared memory.
    Shared,
    /// Zenoh's own shared memory.
    ZenohShared,
    /// Components, and bytes over TCP.
    Network,
    /// Zenoh's own network, TCP.
    ZenohNetwork,
}

impl Lane {
    fn name(self) -> &'static str {
        match self {
            Self::Shared => "components, shared memory",
            Self::ZenohShared => "Zenoh's shared memory",
            Self::Network => "components, TCP",
            Self::ZenohNetwork => "Zenoh's TCP",
        }
    }

    fn is_shared(self) -> bool {
        matches!(self, Self::Shared | Self::ZenohShared)
    }
}

/// What a subscriber says of a payload.
#[derive(Clone, Copy)]
struct Answer {
    /// The payload's.
    number: u32,
    /// Which subscriber says it.
    index: u32,
}

impl Answer {
    fn to_bytes(self) -> [u8; 8] {
        (u64::from(self.number) | u64::from(self.index) << 32).to_le_bytes()
    }

    fn read(bytes: &[u8]) -> Result<Self> {
        let word = u64::from_le_bytes(bytes[..8].try_into()?);
        Ok(Self { number: word as u32, index: (word >> 32) as u32 })
    }
}

/// The end that publishes.
trait Sending {
    fn address(&self) -> Result<String>;
    /// Waits until another end subscribes.
    fn wait(&self) -> Result<()>;
    fn send(&mut self, number: u32, bytes: u32) -> Result<()>;
    /// The next answer, or none if the time is up.
    fn answer(&mut self, timeout: Duration) -> Result<Option<Answer>>;
}

/// An end that receives.
trait Receiving {
    /// Receives a payload, checks it, and returns its number.
    fn take(&mut self) -> Result<u32>;
    fn answer(&mut self, answer: Answer) -> Result<()>;
}

/// A subscriber, killed when the benchmark is done with it.
struct Peer(Child);

impl Peer {
    fn new(lane: Lane, index: u32, address: &str) -> Result<Self> {
        let lane_name = lane.to_possible_value().context("a lane has a name")?;
        let child = Command::new(env::current_exe()?)
            .args(["bench-peer", "--lane", lane_name.get_name(), "--connect", address])
            .args(["--index", &index.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut peer = Self(child);
        let mut ready = String::new();
        BufReader::new(peer.0.stdout.take().context("its output is piped")?).read_line(&mut ready)?;
        ensure!(ready == "ready\n", "a subscriber of {:?} did not begin", lane.name());
        Ok(peer)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A publisher, and its subscribers.
struct Group {
    lane: Lane,
    sending: Box<dyn Sending>,
    peers: Vec<Peer>,
    number: u32,
}

impl Group {
    fn new(lane: Lane, subscribers: u32, shared_from: u32) -> Result<Self> {
        let sending: Box<dyn Sending> = match lane {
            Lane::Shared | Lane::Network => Box::new(components::Sender::new(lane.is_shared(), shared_from)?),
            Lane::ZenohShared | Lane::ZenohNetwork => Box::new(native::Sender::new(lane.is_shared())?),
        };
        let address = sending.address()?;
        let peers = (0..subscribers).map(|index| Peer::new(lane, index, &address)).collect::<Result<_>>()?;
        sending.wait()?;
        let mut group = Self { lane, sending, peers, number: 0 };
        // Each is ready by itself. That it subscribes may not be known here yet.
        let begun = Instant::now();
        while !group.is_answered_by_all()? {
            ensure!(begun.elapsed() < PATIENCE, "not all of {subscribers} subscribers of {:?} answer", lane.name());
        }
        Ok(group)
    }

    fn is_answered_by_all(&mut self) -> Result<bool> {
        let number = self.send(8, ANSWER)?;
        let mut left = self.peers.len();
        while left > 0 {
            let Some(answer) = self.sending.answer(SOON)? else { return Ok(false) };
            // Others are those of an earlier try.
            left -= usize::from(answer.number == number);
        }
        Ok(true)
    }

    fn send(&mut self, bytes: u32, flag: u32) -> Result<u32> {
        self.number += 1;
        let number = self.number | flag;
        self.sending.send(number, bytes)?;
        Ok(number)
    }

    /// Publishes a payload that each subscriber answers once.
    fn send_and_wait(&mut self, bytes: u32) -> Result<()> {
        let number = self.send(bytes, ANSWER)?;
        let mut has_answered = vec![false; self.peers.len()];
        for _ in 0..self.peers.len() {
            let answer = self.sending.answer(PATIENCE)?.context("there is no answer")?;
            ensure!(answer.number == number, "payload {number} was answered as {}", answer.number);
            let before = has_answered.get_mut(answer.index as usize).map(|it| std::mem::replace(it, true));
            ensure!(before == Some(false), "payload {number} was answered by subscriber {} again", answer.index);
        }
        Ok(())
    }

    fn hop(&mut self, bytes: u32) -> Result<Duration> {
        let begun = Instant::now();
        self.send_and_wait(bytes)?;
        Ok(begun.elapsed())
    }

    /// Bytes a second.
    fn throughput(&mut self, bytes: u32, count: u64) -> Result<f64> {
        let begun = Instant::now();
        for _ in 1..count {
            self.send(bytes, 0)?;
        }
        // Payloads are received in order, so all have come when the last is answered. What doesn't come is a trap of its receiver.
        self.send_and_wait(bytes)?;
        Ok((u64::from(bytes) * count) as f64 / begun.elapsed().as_secs_f64())
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    for &subscribers in &args.subscribers {
        println!("to {subscribers}:");
        measure(args, subscribers)?;
    }
    Ok(())
}

fn measure(args: &Args, subscribers: u32) -> Result<()> {
    let lanes = if args.lanes.is_empty() { Lane::value_variants() } else { &args.lanes };
    let mut groups =
        lanes.iter().map(|&lane| Group::new(lane, subscribers, args.shared_from)).collect::<Result<Vec<_>>>()?;
    println!("{:>8}  {:<26} {:>10} {:>10} {:>12}", "payload", "", "p50", "p99", "throughput");
    for &bytes in &args.sizes {
        let mut hops = vec![Vec::new(); groups.len()];
        let mut rates = vec![0.0_f64; groups.len()];
        for group in &mut groups {
            group.hop(bytes)?;
        }
        let count = ((args.volume << 20) / u64::from(bytes) / ROUNDS).clamp(4, 4000);
        for _ in 0..ROUNDS {
            for ((group, hops), rate) in groups.iter_mut().zip(&mut hops).zip(&mut rates) {
                for _ in 0..args.hops.div_ceil(ROUNDS) {
                    hops.push(group.hop(bytes)?);
                }
                // The best round, since the machine does other things.
                *rate = rate.max(group.throughput(bytes, count)?);
            }
        }
        for ((group, hops), rate) in groups.iter().zip(&mut hops).zip(&rates) {
            hops.sort();
            let at = |percent: usize| microseconds(hops[(hops.len() * percent / 100).min(hops.len() - 1)]);
            let (name, rate) = (group.lane.name(), rate / 1e6);
            println!("{:>8}  {name:<26} {:>10} {:>10} {rate:>7.0} MB/s", written(bytes), at(50), at(99));
        }
    }
    Ok(())
}

pub(crate) fn peer(args: &PeerArgs) -> Result<()> {
    let mut receiving: Box<dyn Receiving> = match args.lane {
        Lane::Shared | Lane::Network => Box::new(components::Receiver::new(args.lane.is_shared(), &args.connect)?),
        Lane::ZenohShared | Lane::ZenohNetwork => {
            Box::new(native::Receiver::new(args.lane.is_shared(), &args.connect)?)
        }
    };
    // The end of the publisher's process is that of its pipe. While it measures other lanes, nothing comes here.
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        process::exit(0);
    });
    println!("ready");
    loop {
        let number = receiving.take()?;
        if number & ANSWER != 0 {
            receiving.answer(Answer { number, index: args.index })?;
        }
    }
}

/// A number of bytes, such as 64KiB.
fn size(text: &str) -> Result<u32, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match &text[digits.len()..] {
        "" => 0,
        "KiB" => 10,
        "MiB" => 20,
        other => return Err(format!("{other:?} is no unit: KiB, MiB, or none for bytes")),
    };
    let number: u32 = digits.parse().map_err(|error| format!("{digits:?}: {error}"))?;
    let bytes = number.checked_mul(1 << shift).filter(|bytes| (8..=1 << 28).contains(bytes));
    bytes.ok_or_else(|| format!("{text} is not from 8 bytes to 256MiB"))
}

fn written(bytes: u32) -> String {
    match bytes {
        _ if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} B"),
    }
}

fn microseconds(time: Duration) -> String {
    let time = time.as_secs_f64() * 1e6;
    if time < 10_000.0 { format!("{time:.0} µs") } else { format!("{:.1} ms", time / 1e3) }
}
