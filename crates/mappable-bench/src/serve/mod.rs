//! `mappable-bench serve`: HTTP by an instance a request, against `wasmtime serve`.

mod load;
mod process;
pub(crate) mod stock;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// `mappable serve`.
    Mappable,
    /// The library of `wasmtime serve`, with the settings that it has by default.
    Stock,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Mappable, Self::Stock];
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
    /// A number, looked up in a table that is the same for all
    Lookup,
}

/// Serve HTTP by an instance a request: requests a second and the slowest of a hundred, interleaved in one run.
///
/// Each server is a process of its own. `mappable` is the command `mappable serve` with the table as a frozen data set that each
/// instance maps. `stock` is the library of `wasmtime serve` with its defaults: the pooling allocator, an instance a request,
/// no limit on time. Its instances read the table from a file that they are given, piece by piece as a binary search needs
/// it: what is there of the file is in the system's cache, and to read all of it for each request would take far longer. Each
/// response is checked.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mappable-bench serve
  mappable-bench serve --cases lookup --connections 64 --table 1GiB
  mappable-bench serve --json | jq .summary")]
pub(crate) struct Args {
    /// How many connections ask at once
    #[arg(long, value_delimiter = ',', default_value = "1,16,64", value_name = "N,…", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    connections: Vec<u64>,

    /// What is asked for
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = [Case::Echo, Case::Body, Case::Region, Case::Lookup])]
    cases: Vec<Case>,

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
    /// What the server's process has afterwards.
    process_bytes: u64,
    /// The time that passes for each request.
    #[serde(flatten)]
    time: Spread,
}

/// Ratios to stock's: the least over numbers of connections.
#[derive(Debug, Serialize)]
struct Summary {
    echo_throughput: Option<f64>,
    body_throughput: Option<f64>,
    region_throughput: Option<f64>,
    lookup_throughput: Option<f64>,
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
    let servers = [start_mappable(args, folder.path())?, start_stock(folder.path())?];
    let cases = driver::pairs(&args.cases, &args.connections);
    let name = |(case, connections): &(Case, u64)| format!("{}, {connections} connections", driver::name(*case));
    let rows = driver::each(&cases, name, |&(case, connections)| measure(args, &servers, pairs, case, connections))?;
    let summary = Summary {
        echo_throughput: least(&rows, Case::Echo),
        body_throughput: least(&rows, Case::Body),
        region_throughput: least(&rows, Case::Region),
        lookup_throughput: least(&rows, Case::Lookup),
    };
    args.output.give(&PAGE, rows, summary, |rows, summary| print(args, rows, summary))
}

fn start_mappable(args: &Args, folder: &Path) -> Result<Server> {
    let app = folder.join("proxy.wasm");
    fs::write(&app, PROXY[0])?;
    let beside = std::env::current_exe()?.with_file_name("mappable");
    let found = if beside.exists() { beside } else { PathBuf::from("mappable") };
    let mut command = Command::new(args.command.as_ref().unwrap_or(&found));
    command.args(["serve", "--addr", "127.0.0.1:0", "--no-cache", "--frozen", "table=table"]).arg(app);
    command.current_dir(folder);
    Server::start(command)
}

fn start_stock(folder: &Path) -> Result<Server> {
    let app = folder.join("proxy.copying.wasm");
    fs::write(&app, PROXY[1])?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("serve-stock").arg(app).arg(folder);
    Server::start(command)
}

fn measure(args: &Args, servers: &[Server; 2], pairs: u64, case: Case, connections: u64) -> Result<Vec<Row>> {
    let body = || Ok::<_, anyhow::Error>(noise(usize::try_from(args.body / 8)?).flat_map(u64::to_le_bytes).collect());
    let both = |asked: Asked| [asked.clone(), asked];
    let asked = match case {
        Case::Echo => both(Asked::Echo("/echo", Bytes::from_static(b"a few bytes"))),
        Case::Body => both(Asked::Echo("/echo", body()?)),
        Case::Region => [Asked::Echo("/return", body()?), Asked::Echo("/echo", body()?)],
        Case::Lookup => both(Asked::Lookup { pairs }),
    };
    let time = Duration::from_millis(args.sample_time);
    for (server, asked) in servers.iter().zip(&asked) {
        load(server.addr, asked, connections, time / 4)?;
    }
    let (mut times, mut slowest) = ([vec![], vec![]], [vec![], vec![]]);
    for sample in 0..args.samples as usize {
        for turn in 0..servers.len() {
            let at = (sample + turn) % servers.len();
            let mut seen = load(servers[at].addr, &asked[at], connections, time)?;
            times[at].push(1e9 / seen.per_second());
            slowest[at].push(seen.p99());
        }
    }
    let mut rows = vec![];
    for (at, method) in Kind::ALL.into_iter().enumerate() {
        let (time, p99_ns) = (Spread::of(times[at].clone())?, Spread::of(slowest[at].clone())?.ns);
        let process_bytes = servers[at].resident()?.resident;
        rows.push(Row { method, case, connections, per_second: 1e9 / time.ns, p99_ns, process_bytes, time });
    }
    Ok(rows)
}

fn row_of(rows: &[Row], method: Kind, case: Case, connections: u64) -> Option<&Row> {
    rows.iter().find(|row| row.method == method && row.case == case && row.connections == connections)
}

/// How many times as many requests as stock serves, at the least.
fn least(rows: &[Row], case: Case) -> Option<f64> {
    let ours = rows.iter().filter(|row| row.method == Kind::Mappable && row.case == case);
    let ratio = |row: &Row| Some(row.per_second / row_of(rows, Kind::Stock, case, row.connections)?.per_second);
    ours.filter_map(ratio).min_by(f64::total_cmp)
}

fn print(args: &Args, rows: &[Row], summary: &Summary) {
    let titles = [
        "case",
        ">connections",
        ">mappable/s",
        ">stock/s",
        ">mappable ÷ stock",
        ">mappable p99",
        ">stock p99",
        ">mappable has",
        ">stock has",
    ];
    let mut table = table::new(&titles);
    for ours in rows.iter().filter(|row| row.method == Kind::Mappable) {
        let Some(stock) = row_of(rows, Kind::Stock, ours.case, ours.connections) else { continue };
        table.add_row([
            driver::name(ours.case),
            ours.connections.to_string(),
            table::count(ours.per_second),
            table::count(stock.per_second),
            table::ratio(ours.per_second / stock.per_second),
            table::time(ours.p99_ns),
            table::time(stock.p99_ns),
            table::bytes(ours.process_bytes),
            table::bytes(stock.process_bytes),
        ]);
    }
    println!("{table}");
    println!(
        "Requests a second and the slowest of a hundred, medians of samples; memory of the server's process, without the\n\
         system's cache of files. The body has {}, the table {}. Stock is the library of `wasmtime serve` with its defaults.",
        size::human(args.body),
        size::human(args.table)
    );
    let show = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), table::ratio);
    let Summary { echo_throughput, body_throughput, region_throughput, lookup_throughput } = summary;
    let [echo, body, region, lookup] =
        [echo_throughput, body_throughput, region_throughput, lookup_throughput].map(|ratio| show(*ratio));
    println!("Throughput at the least: echo {echo}, body {body}, region {region}, lookup {lookup} of stock's");
}
