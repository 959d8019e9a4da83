//! `mappable-bus bench`: a hop between two processes, with what Zenoh does by itself beside it.
//!
//! ```text
//!   bench         rounds, and the table
//!    ├ components  sandboxed components at both ends, on the bus
//!    └ native      programs at both ends, on Zenoh alone
//! ```
//!
//! A hop: the payload is made and filled, sent, and received by another process, which compares a byte of each 4096 with what it
//! must be and answers with eight bytes. Payloads alone, one behind the other, are the throughput.

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

/// Time a hop between two processes
///
/// Sandboxed components at both ends, against programs that use Zenoh by themselves. Each answer is checked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Payloads
    #[arg(long, value_delimiter = ',', value_parser = size, default_value = "4KiB,64KiB,1MiB,16MiB,64MiB")]
    sizes: Vec<u32>,
    /// What is compared. All, unless said
    #[arg(long, value_delimiter = ',')]
    lanes: Vec<Lane>,
    /// Hops of each size and lane, in ten rounds
    #[arg(long, default_value_t = 200)]
    hops: usize,
    /// MiB of each size and lane for the throughput, and 40 payloads at least. The best of ten rounds counts
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    volume: u64,
}

/// Be the other process of the benchmark
#[derive(Debug, clap::Args)]
pub(crate) struct PeerArgs {
    #[arg(long)]
    lane: Lane,
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

/// The end that sends.
trait Sending {
    fn address(&self) -> Result<String>;
    /// Waits until the other end subscribes.
    fn wait(&self) -> Result<()>;
    fn send(&mut self, number: u32, bytes: u32) -> Result<()>;
    /// The number of the next answer.
    fn answer(&mut self) -> Result<u32>;
}

/// The end that receives.
trait Receiving {
    /// Receives a payload, checks it, and returns its number.
    fn take(&mut self) -> Result<u32>;
    fn answer(&mut self, number: u32) -> Result<()>;
}

/// The two ends.
struct Pair {
    lane: Lane,
    sending: Box<dyn Sending>,
    peer: Child,
    number: u32,
}

impl Pair {
    fn new(lane: Lane) -> Result<Self> {
        let sending: Box<dyn Sending> = match lane {
            Lane::Shared | Lane::Network => Box::new(components::Sender::new(lane.is_shared())?),
            Lane::ZenohShared | Lane::ZenohNetwork => Box::new(native::Sender::new(lane.is_shared())?),
        };
        let lane_name = lane.to_possible_value().context("a lane has a name")?;
        let mut peer = Command::new(env::current_exe()?)
            .args(["bench-peer", "--lane", lane_name.get_name(), "--connect", &sending.address()?])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut ready = String::new();
        BufReader::new(peer.stdout.take().context("its output is piped")?).read_line(&mut ready)?;
        ensure!(ready == "ready\n", "the other process of {:?} did not begin", lane.name());
        sending.wait()?;
        Ok(Self { lane, sending, peer, number: 0 })
    }

    fn send(&mut self, bytes: u32, flag: u32) -> Result<u32> {
        self.number += 1;
        let number = self.number | flag;
        self.sending.send(number, bytes)?;
        Ok(number)
    }

    fn hop(&mut self, bytes: u32) -> Result<Duration> {
        let begun = Instant::now();
        let number = self.send(bytes, ANSWER)?;
        let answer = self.sending.answer()?;
        ensure!(answer == number, "payload {number} was answered as {answer}");
        Ok(begun.elapsed())
    }

    /// Bytes a second.
    fn throughput(&mut self, bytes: u32, count: u64) -> Result<f64> {
        let begun = Instant::now();
        for _ in 1..count {
            self.send(bytes, 0)?;
        }
        let number = self.send(bytes, ANSWER)?;
        // Payloads are received in order, so all have come when the last is answered. What doesn't come is a trap of its receiver.
        let answer = self.sending.answer()?;
        ensure!(answer == number, "payload {number} was answered as {answer}");
        Ok((u64::from(bytes) * count) as f64 / begun.elapsed().as_secs_f64())
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.peer.kill();
        let _ = self.peer.wait();
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let lanes = if args.lanes.is_empty() { Lane::value_variants() } else { &args.lanes };
    let mut pairs = lanes.iter().map(|&lane| Pair::new(lane)).collect::<Result<Vec<_>>>()?;
    println!("{:>8}  {:<26} {:>10} {:>10} {:>12}", "payload", "", "p50", "p99", "throughput");
    for &bytes in &args.sizes {
        let mut hops = vec![Vec::new(); pairs.len()];
        let mut rates = vec![0.0_f64; pairs.len()];
        for pair in &mut pairs {
            pair.hop(bytes)?;
        }
        let count = ((args.volume << 20) / u64::from(bytes) / ROUNDS).clamp(4, 4000);
        for _ in 0..ROUNDS {
            for ((pair, hops), rate) in pairs.iter_mut().zip(&mut hops).zip(&mut rates) {
                for _ in 0..args.hops.div_ceil(ROUNDS as usize) {
                    hops.push(pair.hop(bytes)?);
                }
                // The best round, since the machine does other things.
                *rate = rate.max(pair.throughput(bytes, count)?);
            }
        }
        for ((pair, hops), rate) in pairs.iter().zip(&mut hops).zip(&rates) {
            hops.sort();
            let at = |percent: usize| microseconds(hops[(hops.len() * percent / 100).min(hops.len() - 1)]);
            let (name, rate) = (pair.lane.name(), rate / 1e6);
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
    // The end of the other process is that of its pipe. While it measures other lanes, nothing comes here.
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        process::exit(0);
    });
    println!("ready");
    loop {
        let number = receiving.take()?;
        if number & ANSWER != 0 {
            receiving.answer(number)?;
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
