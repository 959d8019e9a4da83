//! `mappable-bench hop`: times handing bytes from one component to another and back.

mod kind;
mod picture;
mod summary;

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Serialize;

pub(super) use self::kind::Kind;
use self::summary::{Case, Summary};
use super::figures::{Output, Spread};
use super::lane::Sampling;
use super::report::{Charts, Page};
use super::size;
use super::tier::Concurrency;
use crate::{driver, table};

const PAGE: Page =
    Page { name: "hop", title: "What it costs to hand bytes over", each: "a hop", charts: Charts::OverBytes };

/// Hand bytes from one component to another and back: a region by the ledger, and in the baseline tier by swapping and
/// by remapping, a `list<u8>` and a `stream<u8>` on an engine with default settings, and a plain memcpy, interleaved in
/// one run. Beside them what bounds them: a resource that is passed, a memory that is shared, and the parts that no hop
/// in the baseline tier can do without: calls that do nothing, of the host and of a component, and a bare `memory.grow
/// 0`.
///
/// A hop is: map, write one cache line, unmap, call the other component. The loop is in the components, which form a
/// closed composition; `mediated` is a loop in the host, which calls the components in turn. Sizes below 64 KiB ride in
/// a region of 64 KiB. Figures are medians of samples, in nanoseconds a hop; each sample checks that every hop has left
/// its mark in the bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mappable-bench hop
  mappable-bench hop --sizes 64KiB,1MiB --samples 31
  mappable-bench hop --methods ledger,swap,grow0 --concurrency off
  mappable-bench hop --methods ledger,frozen-ledger,frozen-swap --concurrency off --sizes 64KiB,16MiB
  mappable-bench hop --methods swap,mediated,host-call,own-call,own-handle,grow0 --sizes 64KiB
  mappable-bench hop --report reports
  mappable-bench hop --methods ledger,swap,list-u8,memcpy --concurrency off --svg hop.svg
  mappable-bench hop --json | jq .summary.ledger_over_grow0")]
pub(crate) struct Args {
    /// Sizes to hand over: bytes, or with KiB, MiB or GiB
    #[arg(long, value_delimiter = ',', value_parser = size::parse, default_value =
        "1KiB,2KiB,4KiB,8KiB,16KiB,64KiB,256KiB,1MiB,4MiB,16MiB,64MiB,256MiB,1GiB")]
    sizes: Vec<u64>,

    /// What to compare
    #[arg(
        long,
        value_delimiter = ',',
        value_enum,
        default_value = "ledger,swap,remap,mediated,mediated-stores,list-u8,stream-u8,memcpy,own-handle,shared-memory,\
            host-call,own-call,grow0"
    )]
    methods: Vec<Kind>,

    /// Wasmtime's concurrency support, which is on by default there: host calls cost more with it
    #[arg(long, value_delimiter = ',', value_enum, default_value = "off,on")]
    concurrency: Vec<Concurrency>,

    /// Draw what a region takes against a list and memcpy, as a picture that is legible on light and on dark
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,

    #[command(flatten)]
    sampling: Sampling,

    #[command(flatten)]
    output: Output,
}

/// A method at a size. Times are nanoseconds a hop, or a call.
#[derive(Debug, Serialize)]
struct Row {
    method: Kind,
    case: &'static str,
    bytes: u64,
    #[serde(flatten)]
    time: Spread,
    /// That the library made in all samples.
    system_calls: u64,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let rows = measure(args)?;
    if let Some(path) = &args.svg {
        let svg = picture::draw(&rows, args).context("nothing was measured")?;
        std::fs::write(path, svg).with_context(|| path.display().to_string())?;
    }
    let summary = Summary::of(&rows);
    args.output.give(&PAGE, rows, summary, |rows, summary| print(rows, summary, args))
}

fn measure(args: &Args) -> Result<Vec<Row>> {
    size::check(&args.sizes, "from 64 bytes to 1 GiB", |bytes| (64..=1 << 30).contains(&bytes))?;
    // One case after the other: what is copied takes several times its size.
    let cases = driver::pairs(&args.sizes, &args.concurrency);
    let name = |(bytes, _): &(u64, _)| format!("at {}", size::human(*bytes));
    driver::each(&cases, name, |&(bytes, concurrency)| {
        let make = |kind: Kind| kind.make(bytes, concurrency);
        driver::interleaved(&args.methods, args.sampling, 2, make, |method, lane| {
            let system_calls = lane.system_calls();
            Ok(Row { method, case: concurrency.case(), bytes, system_calls, time: lane.spread()? })
        })
    })
}

fn print(rows: &[Row], summary: &Summary, args: &Args) {
    for concurrency in &args.concurrency {
        println!("{}:", concurrency.case());
        let mut titles = vec![">bytes".to_owned()];
        titles.extend(args.methods.iter().map(|kind| format!(">{}", driver::name(*kind))));
        let mut table = table::new(&titles);
        let case = Case { rows, case: concurrency.case() };
        for &bytes in &args.sizes {
            let mut cells = vec![size::human(bytes)];
            cells.extend(args.methods.iter().map(|&kind| match case.at(kind, bytes) {
                Some(ns) => table::time(ns),
                None => "-".to_owned(),
            }));
            table.add_row(cells);
        }
        println!("{table}\n");
    }
    println!("Time a hop, medians. list-u8, stream-u8, own-handle and shared-memory are stock Wasmtime.");
    for (name, ratio) in &summary.over_floor {
        println!("{} ÷ the floor of its parts: {}", name.replace('_', ", "), table::ratio(*ratio));
    }
    let ratios = [
        ("ledger ÷ grow0, at most, from 64 KiB on", summary.ledger_over_grow0),
        ("ledger, dearest size ÷ cheapest, from 64 KiB on", summary.ledger_flatness),
        ("swap ÷ ledger, at least, from 64 KiB on", summary.swap_over_ledger),
        ("list-u8 ÷ ledger at 1 MiB", summary.list_over_ledger_1mib),
        ("list-u8 ÷ swap at 1 MiB", summary.list_over_swap_1mib),
    ];
    for (name, ratio) in ratios {
        if let Some(ratio) = ratio {
            println!("{name}: {}", table::ratio(ratio));
        }
    }
    if let Some(bytes) = summary.memcpy_breakeven_bytes {
        println!("The ledger takes less than memcpy from {} on", size::human(bytes));
    }
    for (kind, calls) in [(Kind::Ledger, summary.ledger_hop_syscalls), (Kind::Swap, summary.swap_hop_syscalls)] {
        if args.methods.contains(&kind) {
            println!("System calls by mappable in all warm hops by {}: {calls}", driver::name(kind));
        }
    }
}
