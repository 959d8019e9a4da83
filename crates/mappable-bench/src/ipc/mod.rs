//! `mappable-bench ipc`: times a hop between two processes.
//!
//! # Safety
//!
//! [`trusting`] says that the two ends keep to what was agreed: both are this program.

#![allow(unsafe_code)]

mod children;
mod lane;
pub(crate) mod peer;

use std::path::PathBuf;

use anyhow::{Context, Result};
use mappable::Trust;
use serde::Serialize;

use self::lane::Lane;
use super::figures::Output;
use super::report::{Charts, Page};
use crate::{driver, size, table};

/// Between two ends of this program, which use nothing but the library.
fn trusting() -> Trust {
    // SAFETY: see above.
    unsafe { Trust::peer() }
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A region by `mappable::ipc`, written by a component in each process; to one
    Region,
    /// Frozen bytes by `mappable::ipc`, written by a component here, and read by one in each other process
    Frozen,
    /// A sample of iceoryx2's there and another back, without sandboxes: see --iceoryx2; to one
    Iceoryx2,
    /// A sample of iceoryx2's there, and an event of its back when it was read
    Iceoryx2Read,
    /// A Unix socket that all bytes go through, between components; to one
    Socket,
    /// A `list<u8>` between two components of one process, on an engine with default settings; to one
    ListU8,
}

impl Kind {
    fn is_iceoryx2(self) -> bool {
        matches!(self, Self::Iceoryx2 | Self::Iceoryx2Read)
    }

    /// Whether a round is until all have read what was sent. Else it is there and back.
    fn is_read(self) -> bool {
        matches!(self, Self::Frozen | Self::Iceoryx2Read)
    }
}

const PAGE: Page =
    Page { name: "ipc", title: "What a hop between processes costs", each: "a hop", charts: Charts::OverBytes };

/// Hand bytes over between processes: regions and frozen bytes by `mappable::ipc`, with a sandboxed component at both ends,
/// against iceoryx2, a Unix socket, and a `list<u8>` in one process, in turn in one run.
///
/// Who has the bytes writes, or reads, one line of 64 bytes. A region goes there and back, and a figure is half of
/// that: compare it with `iceoryx2`. Frozen bytes go there, and a figure ends when who sent them knows that all have read them: compare it
/// with `iceoryx2-read`. Each end waits by the system
/// (a socket, or an event of iceoryx2's), none by spinning. What is read is compared with what was written, each time.
/// Another process that doesn't answer for two minutes is ended, and that is an error.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mappable-bench ipc
  cargo build --manifest-path crates/mappable-bench/iceoryx2/Cargo.toml
  mappable-bench ipc --iceoryx2 crates/mappable-bench/iceoryx2/target/debug/mappable-bench-iceoryx2
  mappable-bench ipc --readers 8 --methods frozen,iceoryx2-read --iceoryx2 …
  mappable-bench ipc --json | jq .rows")]
pub(crate) struct Args {
    /// Sizes, in lines of 64 bytes: bytes, or with KiB or MiB. Less than 64 KiB ride in a region of 64 KiB
    #[arg(long, value_delimiter = ',', value_parser = size::parse, default_value =
        "4KiB,64KiB,256KiB,1MiB,4MiB,16MiB,64MiB")]
    sizes: Vec<u64>,

    /// How many other processes get each
    #[arg(long, value_delimiter = ',', default_value = "1,8", value_parser = clap::value_parser!(u32).range(1..=32))]
    readers: Vec<u32>,

    /// What is compared
    #[arg(
        long,
        value_delimiter = ',',
        value_enum,
        default_value = "region,iceoryx2,frozen,iceoryx2-read,socket,list-u8"
    )]
    methods: Vec<Kind>,

    /// The program of `crates/mappable-bench/iceoryx2`, which is a workspace of its own. Without it there is no such row
    #[arg(long, value_name = "PROGRAM")]
    iceoryx2: Option<PathBuf>,

    /// Samples of each, in turn
    #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,

    /// Rounds in a sample
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct Summary {
    /// Methods that were asked for, and whose program was not given.
    not_measured: Vec<Kind>,
}

/// A method at a size. Times are nanoseconds a hop, of single rounds.
#[derive(Debug, Serialize)]
struct Row {
    method: Kind,
    /// `to 8`.
    case: String,
    bytes: u64,
    ns: f64,
    ns_p99: f64,
    /// That a hop takes along, over its mean time.
    bytes_per_second: f64,
    /// The median over that of iceoryx2 doing the same.
    over_iceoryx2: Option<f64>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let fits = |bytes: u64| bytes.is_multiple_of(64) && (64..=1 << 30).contains(&bytes);
    size::check(&args.sizes, "lines of 64 bytes, up to 1 GiB", fits)?;
    let cases = driver::pairs(&args.readers, &args.sizes);
    let name = |(readers, bytes): &(u32, u64)| format!("{} to {readers}", size::human(*bytes));
    let rows = driver::each(&cases, name, |&(readers, bytes)| measure(args, readers, bytes))?;
    let is_left_out = |kind: &Kind| kind.is_iceoryx2() && args.iceoryx2.is_none();
    let not_measured = args.methods.iter().copied().filter(is_left_out).collect();
    args.output.give(&PAGE, rows, Summary { not_measured }, print)
}

fn measure(args: &Args, readers: u32, bytes: u64) -> Result<Vec<Row>> {
    let mut lanes = vec![];
    for &kind in &args.methods {
        if let Some(mut lane) = Lane::new(kind, bytes, readers, args.iceoryx2.as_deref())? {
            // What is mapped once is mapped, and views are built.
            lane.sample(args.rounds.max(20)).with_context(|| driver::name(kind))?;
            lanes.push((kind, lane, vec![]));
        }
    }
    for sample in 0..args.samples as usize {
        for turn in 0..lanes.len() {
            let at = (sample + turn) % lanes.len();
            let (kind, lane, times) = &mut lanes[at];
            times.extend(lane.sample(args.rounds).with_context(|| driver::name(*kind))?);
        }
    }
    let hops = |kind: Kind| if kind.is_read() { 1.0 } else { 2.0 };
    let mut rows = vec![];
    for (method, _, mut times) in lanes {
        times.sort_by(f64::total_cmp);
        times.iter_mut().for_each(|time| *time /= hops(method));
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        let (ns, ns_p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        let bytes_per_second = bytes as f64 * f64::from(readers) / mean * 1e9;
        rows.push(Row {
            method,
            case: format!("to {readers}"),
            bytes,
            ns,
            ns_p99,
            bytes_per_second,
            over_iceoryx2: None,
        });
    }
    let medians: Vec<(Kind, f64)> = rows.iter().map(|row| (row.method, row.ns)).collect();
    for row in &mut rows {
        let is_same = |theirs: &&(Kind, f64)| theirs.0.is_iceoryx2() && theirs.0.is_read() == row.method.is_read();
        row.over_iceoryx2 = medians.iter().find(is_same).map(|(_, theirs)| row.ns / theirs);
    }
    Ok(rows)
}

fn print(rows: &[Row], summary: &Summary) {
    for rows in rows.chunk_by(|a, b| a.case == b.case) {
        println!("{}:", rows[0].case);
        let mut table = table::new(&[">bytes", "method", ">median", ">p99", ">a second", ">÷ iceoryx2"]);
        for row in rows {
            table.add_row(vec![
                size::human(row.bytes),
                driver::name(row.method),
                table::time(row.ns),
                table::time(row.ns_p99),
                table::bytes(row.bytes_per_second as u64),
                row.over_iceoryx2.map_or_else(String::new, table::ratio),
            ]);
        }
        println!("{table}\n");
    }
    println!("Time a hop. iceoryx2 has no sandboxes; list-u8 is stock Wasmtime in one process.");
    for method in &summary.not_measured {
        println!("NOT MEASURED: {}, without its program (--help says how to build it)", driver::name(*method));
    }
}
