//! `mappable bench hop`: what it costs to hand bytes from one component to another and back.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use indicatif::ProgressBar;
use mappable::{GRANULE, MappingMode};
use serde::Serialize;

use super::figures::{Output, Spread};
use super::lane::{Lane, Sampling};
use super::method::{self, MAX_STREAMED, Memcpy, Method};
use super::report::{Charts, Page};
use super::size;
use super::tier::{Concurrency, Tier};
use crate::table;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// A region, by the ledger
    Ledger,
    /// A region in the baseline tier, mapped by swapping views
    Swap,
    /// A region in the baseline tier, mapped by remapping
    Remap,
    /// A `list<u8>` on an engine with default settings
    ListU8,
    /// A `stream<u8>` on an engine with default settings; with concurrency support, and up to 256 MiB
    StreamU8,
    /// A copy in the host
    Memcpy,
    /// An owned resource on an engine with default settings, no bytes
    OwnHandle,
    /// A memory that two core modules share, no isolation
    SharedMemory,
    /// A bare `memory.grow 0`, no hand-over
    Grow0,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Swap => "swap",
            Self::Remap => "remap",
            Self::ListU8 => "list-u8",
            Self::StreamU8 => "stream-u8",
            Self::Memcpy => "memcpy",
            Self::OwnHandle => "own-handle",
            Self::SharedMemory => "shared-memory",
            Self::Grow0 => "grow0",
        }
    }

    /// `None` where there is no such thing.
    fn make(self, bytes: u64, concurrency: Concurrency) -> Result<Option<Box<dyn Method>>> {
        let on = concurrency == Concurrency::On;
        Ok(Some(match self {
            Self::Ledger => method::regions(Tier::Ledger, MappingMode::Auto, on, bytes)?,
            Self::Swap => method::regions(Tier::Baseline, MappingMode::Auto, on, bytes)?,
            Self::Remap => method::regions(Tier::Baseline, MappingMode::Remap, on, bytes)?,
            Self::ListU8 => method::lists(on, bytes)?,
            Self::StreamU8 if !on || bytes > MAX_STREAMED => return Ok(None),
            Self::StreamU8 => method::streams(bytes)?,
            Self::Memcpy => Box::new(Memcpy::new(bytes)?),
            Self::OwnHandle => method::handles(on)?,
            Self::SharedMemory => method::shared_memory(on, bytes)?,
            Self::Grow0 => method::grow(on, bytes)?,
        }))
    }
}

const PAGE: Page =
    Page { name: "hop", title: "What it costs to hand bytes over", each: "a hop", charts: Charts::OverBytes };

/// Hand bytes from one component to another and back: a region by the ledger, and in the baseline tier by swapping and by
/// remapping, a `list<u8>` and a `stream<u8>` on an engine with default settings, and a plain memcpy, interleaved in one
/// run. Beside them what bounds them: a resource that is passed, a memory that is shared, and a bare `memory.grow 0`.
///
/// A hop is: map, write one cache line, unmap, call the other component. The loop is in the components, which form a closed
/// composition. Sizes below 64 KiB ride in a region of 64 KiB. Figures are medians of samples, in nanoseconds a hop; each
/// sample checks that every hop has left its mark in the bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mappable bench hop
  mappable bench hop --sizes 64KiB,1MiB --samples 31
  mappable bench hop --methods ledger,swap,grow0 --concurrency off
  mappable bench hop --report reports
  mappable bench hop --json | jq .summary.ledger_over_grow0")]
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
        default_value = "ledger,swap,remap,list-u8,stream-u8,memcpy,own-handle,shared-memory,grow0"
    )]
    methods: Vec<Kind>,

    /// Wasmtime's concurrency support, which is on by default there: host calls cost more with it
    #[arg(long, value_delimiter = ',', value_enum, default_value = "off,on")]
    concurrency: Vec<Concurrency>,

    #[command(flatten)]
    sampling: Sampling,

    #[command(flatten)]
    output: Output,
}

/// A method at a size. Times are nanoseconds a hop.
#[derive(Debug, Serialize)]
struct Row {
    method: &'static str,
    case: &'static str,
    bytes: u64,
    #[serde(flatten)]
    time: Spread,
    /// That the library made in all samples.
    system_calls: u64,
}

/// Ratios of medians; the worst of both cases. `None` where what it is of was not measured.
#[derive(Debug, Serialize)]
struct Summary {
    /// A hop by the ledger over a `memory.grow 0`: the most of sizes from 64 KiB on.
    ledger_over_grow0: Option<f64>,
    /// The dearest size over the cheapest, from 64 KiB on.
    ledger_flatness: Option<f64>,
    swap_flatness: Option<f64>,
    swap_over_ledger: Option<f64>,
    list_over_ledger_1mib: Option<f64>,
    list_over_swap_1mib: Option<f64>,
    /// From this size on a hop by the ledger takes less than memcpy.
    memcpy_breakeven_bytes: Option<u64>,
    /// System calls that the library made in all warm hops by the ledger, and by swapping.
    ledger_hop_syscalls: u64,
    swap_hop_syscalls: u64,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let rows = measure(args)?;
    let summary = Summary::of(&rows);
    args.output.give(&PAGE, rows, summary, |rows, summary| print(rows, summary, args))
}

fn measure(args: &Args) -> Result<Vec<Row>> {
    let progress = ProgressBar::new((args.sizes.len() * args.concurrency.len()) as u64);
    let mut rows = vec![];
    for &bytes in &args.sizes {
        ensure!((64..=1 << 30).contains(&bytes), "sizes are from 64 bytes to 1 GiB, which {bytes} is not");
        // One case after the other: what is copied takes several times its size.
        for &concurrency in &args.concurrency {
            let measured = measure_at(bytes, concurrency, args);
            rows.extend(measured.with_context(|| format!("at {}", size::human(bytes)))?);
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    Ok(rows)
}

/// One row for each method, their samples interleaved.
fn measure_at(bytes: u64, concurrency: Concurrency, args: &Args) -> Result<Vec<Row>> {
    let (mut kinds, mut lanes) = (vec![], vec![]);
    for &kind in &args.methods {
        if let Some(method) = kind.make(bytes, concurrency).with_context(|| kind.name())? {
            lanes.push(Lane::new(kind.name(), method, 2, args.sampling).with_context(|| kind.name())?);
            kinds.push(kind);
        }
    }
    Lane::measure_all(&mut lanes, args.sampling)?;
    let row = |(kind, lane): (Kind, Lane)| {
        let (method, case) = (kind.name(), concurrency.case());
        Ok(Row { method, case, bytes, system_calls: lane.system_calls(), time: lane.spread()? })
    };
    kinds.into_iter().zip(lanes).map(row).collect()
}

impl Summary {
    fn of(rows: &[Row]) -> Self {
        let cases = Concurrency::ALL.map(|concurrency| Case { rows, case: concurrency.case() });
        let most = |of: &dyn Fn(&Case) -> Option<f64>| cases.iter().filter_map(of).reduce(f64::max);
        let least = |of: &dyn Fn(&Case) -> Option<f64>| cases.iter().filter_map(of).reduce(f64::min);
        let system_calls =
            |kind: Kind| rows.iter().filter(|row| row.method == kind.name()).map(|row| row.system_calls).sum();
        Self {
            ledger_over_grow0: most(&|case| case.ratios(Kind::Ledger, Kind::Grow0, GRANULE).reduce(f64::max)),
            ledger_flatness: most(&|case| case.flatness(Kind::Ledger)),
            swap_flatness: most(&|case| case.flatness(Kind::Swap)),
            swap_over_ledger: least(&|case| case.ratios(Kind::Swap, Kind::Ledger, GRANULE).reduce(f64::min)),
            list_over_ledger_1mib: least(&|case| case.ratio_at(Kind::ListU8, Kind::Ledger, 1 << 20)),
            list_over_swap_1mib: least(&|case| case.ratio_at(Kind::ListU8, Kind::Swap, 1 << 20)),
            memcpy_breakeven_bytes: cases.iter().filter_map(Case::breakeven).max(),
            ledger_hop_syscalls: system_calls(Kind::Ledger),
            swap_hop_syscalls: system_calls(Kind::Swap),
        }
    }
}

/// The rows of one case.
struct Case<'a> {
    rows: &'a [Row],
    case: &'static str,
}

impl Case<'_> {
    /// Sizes and times, in the order of the rows.
    fn of(&self, kind: Kind) -> impl Iterator<Item = (u64, f64)> {
        let rows = self.rows.iter().filter(move |row| row.case == self.case && row.method == kind.name());
        rows.map(|row| (row.bytes, row.time.ns))
    }

    fn at(&self, kind: Kind, bytes: u64) -> Option<f64> {
        self.of(kind).find(|row| row.0 == bytes).map(|row| row.1)
    }

    fn ratio_at(&self, over: Kind, under: Kind, bytes: u64) -> Option<f64> {
        Some(self.at(over, bytes)? / self.at(under, bytes)?)
    }

    /// At each size from `least` on.
    fn ratios(&self, over: Kind, under: Kind, least: u64) -> impl Iterator<Item = f64> {
        let sizes = self.of(over).map(|row| row.0).filter(move |bytes| *bytes >= least);
        sizes.filter_map(move |bytes| self.ratio_at(over, under, bytes))
    }

    fn flatness(&self, kind: Kind) -> Option<f64> {
        let times = || self.of(kind).filter(|row| row.0 >= GRANULE).map(|row| row.1);
        Some(times().reduce(f64::max)? / times().reduce(f64::min)?)
    }

    fn breakeven(&self) -> Option<u64> {
        let mut sizes: Vec<_> = self.of(Kind::Memcpy).map(|row| row.0).collect();
        sizes.sort_unstable();
        let dearer = |bytes: &u64| self.ratio_at(Kind::Memcpy, Kind::Ledger, *bytes).is_some_and(|ratio| ratio > 1.0);
        sizes.into_iter().rev().take_while(dearer).last()
    }
}

fn print(rows: &[Row], summary: &Summary, args: &Args) {
    for concurrency in &args.concurrency {
        println!("{}:", concurrency.case());
        let mut titles = vec![">bytes".to_owned()];
        titles.extend(args.methods.iter().map(|kind| format!(">{}", kind.name())));
        let mut table = table::new(&titles.iter().map(String::as_str).collect::<Vec<_>>());
        let case = Case { rows, case: concurrency.case() };
        for &bytes in &args.sizes {
            let mut cells = vec![size::human(bytes)];
            cells.extend(args.methods.iter().map(|&kind| match case.at(kind, bytes) {
                Some(ns) => table::time(Duration::from_nanos(ns.round() as u64)),
                None => "-".to_owned(),
            }));
            table.add_row(cells);
        }
        println!("{table}\n");
    }
    println!("Time a hop, medians. list-u8, stream-u8, own-handle and shared-memory are stock Wasmtime.");
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
            println!("System calls by mappable in all warm hops by {}: {calls}", kind.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: Kind, bytes: u64, ns: f64) -> Row {
        let time = Spread { ns, ns_min: ns, ns_max: ns };
        Row { method: kind.name(), case: Concurrency::Off.case(), bytes, time, system_calls: 0 }
    }

    #[test]
    fn a_summary_has_the_worst_of_sizes() {
        let mib = 1 << 20;
        let rows = [
            row(Kind::Ledger, 1024, 500.0),
            row(Kind::Ledger, GRANULE, 100.0),
            row(Kind::Ledger, mib, 120.0),
            row(Kind::Grow0, 1024, 1.0),
            row(Kind::Grow0, GRANULE, 50.0),
            row(Kind::Grow0, mib, 30.0),
            row(Kind::ListU8, mib, 1200.0),
            row(Kind::Memcpy, 1024, 501.0),
            row(Kind::Memcpy, GRANULE, 90.0),
            row(Kind::Memcpy, mib, 130.0),
        ];
        let summary = Summary::of(&rows);
        assert_eq!(summary.ledger_over_grow0, Some(4.0));
        assert_eq!(summary.ledger_flatness, Some(1.2));
        assert_eq!(summary.list_over_ledger_1mib, Some(10.0));
        assert_eq!((summary.swap_flatness, summary.swap_over_ledger), (None, None));
        // Less at 1 KiB too, but not in between.
        assert_eq!(summary.memcpy_breakeven_bytes, Some(mib));
    }
}
