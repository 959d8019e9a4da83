//! `mappable-bench serve`: HTTP by an instance a request, against `wasmtime serve`.

mod load;
mod process;
pub(crate) mod stock;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use serde::Serialize;

use self::load::{Asked, load};
use self::process::Server;
use super::figures::{Output, Spread, noise};
use super::report::{Charts, Page};
use crate::{driver, size, table};

const PAGE: Page = Page {
    name: "serve",
    title: "What it takes to serve HTTP",
    each: "a request",
    charts: Charts::OverCount("connections", &[]),
};

/// The component, and the same for hosts that know of no regions.
const PROXY: [&[u8]; 2] = [
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/stages/proxy.wasm")),
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/stages/proxy.copying.wasm")),
];

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// `mappable serve`, with a component that maps regions
    Mappable,
    /// `mappable serve`, with the component that stock has, which knows of none
    Plain,
    /// The library of `wasmtime serve`, with the settings that it has by default
    Stock,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Case {
    /// A few bytes, echoed
    Echo,
    /// A large body, echoed piece by piece
    Body,
    /// The same body, sent back as one region; piece by piece on stock
    Region,
    /// A number, looked up in a table that is the same for all; on stock in a file, of which a few pieces are read
    Lookup,
}

/// Serve HTTP by an instance a request: requests a second and the slowest of a hundred, interleaved in one run.
///
/// Each server is a process of its own. `mappable` is the command `mappable serve` with the table as a frozen data set that each
/// instance maps; `plain` is the command with the component of stock. `stock` is the library of `wasmtime serve` with its
/// defaults: the pooling allocator, an instance a request (of WASI 0.2), no limit on time. Its instances read the table from a
/// file that they are given, piece by piece as a binary search needs it: what is there of the file is in the system's cache.
/// A program that wants all of the table in its memory, as `mappable` has it, has to read all of it for each request. Each
/// response is checked.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mappable-bench serve
  mappable-bench serve --cases lookup --connections 64 --table 1GiB
  mappable-bench serve --cases echo --methods plain,stock
  mappable-bench serve --json | jq .summary")]
pub(crate) struct Args {
    /// How many connections ask at once
    #[arg(long, value_delimiter = ',', default_value = "1,16,64", value_name = "N,…", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    connections: Vec<u64>,

    /// What is asked for
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = [Case::Echo, Case::Body, Case::Region, Case::Lookup])]
    cases: Vec<Case>,

    /// Who is asked
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = [Kind::Mappable, Kind::Plain, Kind::Stock])]
    methods: Vec<Kind>,

    /// How large the table is
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size::parse)]
    table: u64,

    /// How large the large body is
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size::parse)]
    body: u64,

    /// Samples of each figure
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,

    /// How long a sample lasts, in milliseconds (a request of each connection at the least)
    #[arg(long, default_value_t = 1_000, value_name = "MS")]
    sample_time: u64,

    /// The command `mappable`; the one beside this, or that which the shell finds, unless told
    #[arg(long, value_name = "PATH")]
    command: Option<PathBuf>,

    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct Row {
    method: Kind,
    case: Case,
    connections: u64,
    per_second: f64,
    /// The slowest of a hundred, in nanoseconds: the median of samples.
    p99_ns: f64,
    /// The most memory that the server's process had at once, without files.
    process_bytes: u64,
    /// The time that passes for each request.
    #[serde(flatten)]
    time: Spread,
}

/// Ratios to stock's, by case and method.
#[derive(Debug, Serialize)]
struct Summary {
    /// The least over numbers of connections.
    throughput: BTreeMap<String, f64>,
    /// The largest over numbers of connections.
    process_bytes: BTreeMap<String, f64>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pairs = (args.table / 16).max(1);
    let path = folder.path().join("table");
    let written = || -> std::io::Result<()> {
        let mut file = BufWriter::new(fs::File::create(&path)?);
        load::table(pairs).try_for_each(|byte| file.write_all(&[byte]))?;
        file.flush()
    };
    written().with_context(|| path.display().to_string())?;
    let mut servers = Servers { args, folder: folder.path(), started: BTreeMap::new() };
    let cases = driver::pairs(&args.cases, &args.connections);
    let name = |(case, connections): &(Case, u64)| format!("{}, {connections} connections", driver::name(*case));
    let rows = driver::each(&cases, name, |&(case, connections)| measure(&mut servers, pairs, case, connections))?;
    let (mut throughput, mut process_bytes) = (BTreeMap::new(), BTreeMap::new());
    for row in rows.iter().filter(|row| row.method != Kind::Stock) {
        let Some(stock) = stock_of(&rows, row) else { continue };
        let name = format!("{} {}", driver::name(row.case), driver::name(row.method));
        let least = throughput.entry(name.clone()).or_insert(f64::INFINITY);
        *least = least.min(row.per_second / stock.per_second);
        let most = process_bytes.entry(name).or_insert(0.0_f64);
        *most = most.max(row.process_bytes as f64 / stock.process_bytes as f64);
    }
    let summary = Summary { throughput, process_bytes };
    args.output.give(&PAGE, rows, summary, |rows, summary| print(args, rows, summary))
}

/// Servers, each started when it is first wanted.
struct Servers<'a> {
    args: &'a Args,
    folder: &'a Path,
    /// The servers that run. The key says which kind one is, and whether it has the table.
    started: BTreeMap<(Kind, bool), Server>,
}

impl Servers<'_> {
    fn start(&mut self, kind: Kind, with_table: bool) -> Result<()> {
        if !self.started.contains_key(&(kind, with_table)) {
            let mut command = self.command(kind, with_table)?;
            command.current_dir(self.folder);
            self.started.insert((kind, with_table), Server::start(command)?);
        }
        Ok(())
    }

    fn command(&self, kind: Kind, with_table: bool) -> Result<Command> {
        let (app, component) = match kind {
            Kind::Mappable => ("proxy.wasm", PROXY[0]),
            Kind::Plain | Kind::Stock => ("proxy.copying.wasm", PROXY[1]),
        };
        fs::write(self.folder.join(app), component)?;
        if kind == Kind::Stock {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["serve-stock", app]).args(with_table.then_some("."));
            return Ok(command);
        }
        let mut command = Command::new(crate::command::mappable(self.args.command.as_deref())?);
        command.args(["serve", "--addr", "127.0.0.1:0", "--no-cache"]);
        if with_table {
            command.args(["--frozen", "table=table"]);
        }
        command.arg(app);
        Ok(command)
    }
}

/// What is asked of whom in a case. `None` where the case is none of its.
fn asked(kind: Kind, case: Case, body: &Bytes, pairs: u64) -> Option<Asked> {
    Some(match (case, kind) {
        (Case::Echo, _) => Asked::Echo("/echo", Bytes::from_static(b"a few bytes")),
        (Case::Region, Kind::Mappable) => Asked::Echo("/return", body.clone()),
        (Case::Body, _) | (Case::Region, Kind::Stock) => Asked::Echo("/echo", body.clone()),
        (Case::Lookup, Kind::Mappable | Kind::Stock) => Asked::Lookup(pairs),
        (Case::Region | Case::Lookup, Kind::Plain) => return None,
    })
}

/// One who is measured.
struct Lane {
    method: Kind,
    asked: Asked,
    times: Vec<f64>,
    slowest: Vec<f64>,
}

fn measure(servers: &mut Servers<'_>, pairs: u64, case: Case, connections: u64) -> Result<Vec<Row>> {
    let args = servers.args;
    let with_table = case == Case::Lookup;
    let body: Bytes = noise(usize::try_from(args.body / 8)?).flat_map(u64::to_le_bytes).collect();
    let time = Duration::from_millis(args.sample_time);
    let mut lanes = vec![];
    for &method in &args.methods {
        if let Some(asked) = asked(method, case, &body, pairs) {
            servers.start(method, with_table)?;
            lanes.push(Lane { method, asked, times: vec![], slowest: vec![] });
        }
    }
    let server = |lane: &Lane| servers.started.get(&(lane.method, with_table)).context("bug: a server is not started");
    for lane in &lanes {
        server(lane)?.forget_most_bytes();
        load(server(lane)?.addr, &lane.asked, connections, time / 4)?;
    }
    let count = lanes.len();
    for sample in 0..args.samples as usize {
        for turn in 0..count {
            let lane = &mut lanes[(sample + turn) % count];
            let mut seen = load(server(lane)?.addr, &lane.asked, connections, time)?;
            lane.times.push(1e9 / seen.per_second());
            lane.slowest.push(seen.p99());
        }
    }
    let mut rows = vec![];
    for lane in lanes {
        let process_bytes = server(&lane)?.most_bytes()?;
        let (time, p99_ns) = (Spread::of(lane.times)?, Spread::of(lane.slowest)?.ns);
        rows.push(Row {
            method: lane.method,
            case,
            connections,
            per_second: 1e9 / time.ns,
            p99_ns,
            process_bytes,
            time,
        });
    }
    Ok(rows)
}

/// Stock's row of the same case.
fn stock_of<'a>(rows: &'a [Row], row: &Row) -> Option<&'a Row> {
    let is_same = |other: &&Row| (other.case, other.connections) == (row.case, row.connections);
    rows.iter().filter(is_same).find(|other| other.method == Kind::Stock)
}

fn print(args: &Args, rows: &[Row], summary: &Summary) {
    let mut table =
        table::new(&["case", ">connections", "method", ">a second", ">÷ stock", ">p99", ">memory", ">÷ stock"]);
    for row in rows {
        let ratio = |of: fn(&Row) -> f64| match stock_of(rows, row) {
            Some(stock) if row.method != Kind::Stock => table::ratio(of(row) / of(stock)),
            _ => String::new(),
        };
        table.add_row([
            driver::name(row.case),
            row.connections.to_string(),
            driver::name(row.method),
            table::count(row.per_second),
            ratio(|row| row.per_second),
            table::time(row.p99_ns),
            table::bytes(row.process_bytes),
            ratio(|row| row.process_bytes as f64),
        ]);
    }
    println!("{table}");
    println!(
        "Requests a second and the slowest of a hundred, medians of samples; the most memory that the server's process had,\n\
         without the system's cache of files. The body has {}, the table {}. Stock is the library of `wasmtime serve`\n\
         with its defaults.",
        size::human(args.body),
        size::human(args.table)
    );
    let all: Vec<_> =
        summary.throughput.iter().map(|(name, ratio)| format!("{name} {}", table::ratio(*ratio))).collect();
    if !all.is_empty() {
        println!("Throughput at the least: {} of stock's", all.join(", "));
    }
}
