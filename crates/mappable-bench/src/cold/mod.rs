//! `mappable-bench cold`: times requests that each have a store and an instance of their own, so that nothing is warm.

mod requests;

use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::Result;
use mappable::MappingMode;
use serde::Serialize;

use self::requests::{Kept, Lists, Log, Parts, Regions, Requests};
use super::figures::{Output, Spread};
use super::lane::Sampling;
use super::method::Method;
use super::report::{Charts, Page};
use super::size;
use crate::{driver, table};

/// What is compared. The columns of the table, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// A region, on a runtime with default settings
    Auto,
    /// A region, always remapped
    Remap,
    /// A region, always copied
    Copy,
    /// A `list<u8>` on an engine with default settings
    ListU8,
    /// A `list<u8>` on an engine with the pooling allocator
    ListU8Pooled,
}

impl Kind {
    /// The strategies that a runtime can be told to take always.
    const FIXED: [Self; 2] = [Self::Remap, Self::Copy];
    const LISTS: [Self; 2] = [Self::ListU8, Self::ListU8Pooled];

    fn make(self, case: Case, bytes: u64, kept: Kept, log: &Log) -> Result<Box<dyn Method>> {
        let regions = |mapping| Requests::boxed(Regions::new(mapping, kept, bytes)?, case, bytes, log);
        match self {
            Self::Auto => regions(MappingMode::Auto),
            Self::Remap => regions(MappingMode::Remap),
            Self::Copy => regions(MappingMode::Copy),
            Self::ListU8 => Requests::boxed(Lists::new(false, bytes)?, case, bytes, log),
            Self::ListU8Pooled => Requests::boxed(Lists::new(true, bytes)?, case, bytes, log),
        }
    }
}

/// Where a request's bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Case {
    /// The host keeps them, and passes the same in every request: a plugin that works on its host's data
    Kept,
    /// The host makes them for the request, and drops them after it
    Fresh,
}

const PAGE: Page = Page {
    name: "cold",
    title: "What a request costs that has a store and an instance of its own",
    each: "a request",
    charts: Charts::OverBytes,
};

/// Serve requests, each in a fresh store and instance: the host passes bytes, the guest maps them, touches every line of
/// 64 bytes, unmaps them and gives them back, and all is dropped. By regions on a runtime with default settings, by each
/// fixed strategy, and by `list<u8>` on engines without this project, interleaved in one run.
///
/// Sizes below 64 KiB ride in a region of 64 KiB, of which so much is touched. The host and the guest check what the other
/// has left in every request. Times are medians of samples, in nanoseconds a request, in all and by part: making the bytes
/// (if the host does not keep them), instantiating, the call that maps, touching, the call that unmaps, dropping. For a list
/// to be mapped is to be passed, and to be unmapped to be returned. Concurrency support is off.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mappable-bench cold
  mappable-bench cold --sizes 4KiB,64KiB --cases kept --samples 31
  mappable-bench cold --methods auto,remap --idle 0 --idle-regions 0
  mappable-bench cold --report reports
  mappable-bench cold --json | jq .summary.auto_over_best_fixed")]
pub(crate) struct Args {
    /// Sizes, in lines of 64 bytes: bytes, or with KiB, MiB or GiB
    #[arg(long, value_delimiter = ',', value_parser = size::parse, default_value = "4KiB,64KiB,1MiB,16MiB,256MiB")]
    sizes: Vec<u64>,

    /// Where the bytes come from
    #[arg(long, value_delimiter = ',', value_enum, default_value = "kept,fresh")]
    cases: Vec<Case>,

    /// What is compared
    #[arg(long, value_delimiter = ',', value_enum, default_value = "auto,remap,copy,list-u8,list-u8-pooled")]
    methods: Vec<Kind>,

    /// How many memories that nobody uses a runtime keeps for the next requests: with 0 each makes its own
    #[arg(long, default_value_t = 64)]
    idle: usize,

    /// How many bytes of regions that nobody owns a runtime keeps for the next ones: with 0 each has pages of its own
    #[arg(long, value_parser = size::parse, default_value = "32MiB")]
    idle_regions: u64,

    #[command(flatten)]
    sampling: Sampling,

    #[command(flatten)]
    output: Output,
}

/// A method at a size. Times are nanoseconds a request.
#[derive(Debug, Serialize)]
struct Row {
    method: Kind,
    case: Case,
    bytes: u64,
    #[serde(flatten)]
    time: Spread,
    /// Medians of samples.
    #[serde(flatten)]
    parts: Parts,
    /// That the library made, for each request.
    system_calls_a_request: f64,
}

/// Ratios of medians.
#[derive(Debug, Serialize)]
struct Summary {
    /// A request by default over one by the fixed strategy that is best at the size: by case and size.
    auto_over_best_fixed: BTreeMap<String, f64>,
    /// The most of them.
    auto_over_best_fixed_at_most: Option<f64>,
    /// The same, over the better of the lists.
    auto_over_best_list: BTreeMap<String, f64>,
    /// The call that maps, by default: the most of sizes and cases.
    auto_map_ns_at_most: Option<f64>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let rows = measure(args)?;
    let summary = Summary::of(&rows);
    args.output.give(&PAGE, rows, summary, |rows, summary| print(rows, summary, args))
}

fn measure(args: &Args) -> Result<Vec<Row>> {
    let fits = |bytes: u64| bytes.is_multiple_of(64) && (64..=1 << 30).contains(&bytes);
    size::check(&args.sizes, "whole lines of 64 bytes, up to 1 GiB", fits)?;
    let kept = Kept { memories: args.idle, region_bytes: args.idle_regions };
    let cases = driver::pairs(&args.sizes, &args.cases);
    driver::each(
        &cases,
        |(bytes, _)| format!("at {}", size::human(*bytes)),
        |&(bytes, case)| {
            let mut logs = vec![];
            let make = |kind: Kind| {
                logs.push(Log::default());
                kind.make(case, bytes, kept, &logs[logs.len() - 1]).map(Some)
            };
            let mut rows = driver::interleaved(&args.methods, args.sampling, 1, make, |method, lane| {
                let system_calls_a_request = lane.system_calls_each();
                Ok(Row { method, case, bytes, time: lane.spread()?, parts: Parts::default(), system_calls_a_request })
            })?;
            for (row, log) in rows.iter_mut().zip(logs) {
                row.parts = medians(log, args.sampling.samples as usize)?;
            }
            Ok(rows)
        },
    )
}

/// Part by part, of the last samples: what was logged before was to get warm.
fn medians(log: Log, count: usize) -> Result<Parts> {
    let mut samples = Rc::unwrap_or_clone(log).into_inner();
    samples.drain(..samples.len().saturating_sub(count));
    let mut medians = Parts::default();
    for (at, median) in medians.all().into_iter().enumerate() {
        *median = Spread::of(samples.iter_mut().map(|parts| *parts.all()[at]).collect())?.ns;
    }
    Ok(medians)
}

impl Summary {
    fn of(rows: &[Row]) -> Self {
        let auto = || rows.iter().filter(|row| row.method == Kind::Auto);
        let over_best = |kinds: [Kind; 2]| -> BTreeMap<String, f64> {
            let ratio = |auto: &Row| {
                let others = rows.iter().filter(|row| (row.case, row.bytes) == (auto.case, auto.bytes));
                let others = others.filter(|row| kinds.contains(&row.method));
                let best = others.map(|row| row.time.ns).reduce(f64::min)?;
                Some((format!("{}_{}", driver::name(auto.case), size::human(auto.bytes)), auto.time.ns / best))
            };
            auto().filter_map(ratio).collect()
        };
        let auto_over_best_fixed = over_best(Kind::FIXED);
        Self {
            auto_over_best_fixed_at_most: auto_over_best_fixed.values().copied().reduce(f64::max),
            auto_over_best_fixed,
            auto_over_best_list: over_best(Kind::LISTS),
            auto_map_ns_at_most: auto().map(|row| row.parts.map_ns).reduce(f64::max),
        }
    }
}

fn print(rows: &[Row], summary: &Summary, args: &Args) {
    for &case in &args.cases {
        println!("{}:", driver::name(case));
        let titles = [
            ">bytes",
            "method",
            ">request",
            ">make",
            ">instantiate",
            ">map",
            ">touch",
            ">unmap",
            ">drop",
            ">system calls",
        ];
        let mut table = table::new(&titles);
        for row in rows.iter().filter(|row| row.case == case) {
            let mut cells = vec![size::human(row.bytes), driver::name(row.method), table::time(row.time.ns)];
            cells.extend(row.parts.clone().all().map(|ns| table::time(*ns)));
            cells.push(format!("{:.2}", row.system_calls_a_request));
            table.add_row(cells);
        }
        println!("{table}\n");
    }
    println!("Time a request, medians; system calls are mappable's own.");
    let worst = |ratios: &BTreeMap<String, f64>| ratios.values().copied().reduce(f64::max);
    let ratios = [
        ("auto ÷ the best fixed strategy, at most", summary.auto_over_best_fixed_at_most),
        ("auto ÷ the better of the lists, at most", worst(&summary.auto_over_best_list)),
    ];
    for (name, ratio) in ratios {
        if let Some(ratio) = ratio {
            println!("{name}: {}", table::ratio(ratio));
        }
    }
    if let Some(ns) = summary.auto_map_ns_at_most {
        println!("The call that maps, by auto, at most: {}", table::time(ns));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: Kind, bytes: u64, ns: f64) -> Row {
        let time = Spread { ns, ns_min: ns, ns_max: ns };
        let parts = Parts { map_ns: ns / 10.0, ..Parts::default() };
        Row { method: kind, case: Case::Kept, bytes, time, parts, system_calls_a_request: 0.0 }
    }

    #[test]
    fn a_summary_compares_with_the_best_at_each_size() {
        let rows = [
            row(Kind::Auto, 4096, 110.0),
            row(Kind::Remap, 4096, 100.0),
            row(Kind::Copy, 4096, 300.0),
            row(Kind::ListU8, 4096, 220.0),
            row(Kind::Auto, 1 << 20, 500.0),
            row(Kind::Copy, 1 << 20, 250.0),
            row(Kind::Remap, 1 << 20, 600.0),
        ];
        let summary = Summary::of(&rows);
        let expected = [("kept_1 MiB".to_owned(), 2.0), ("kept_4 KiB".to_owned(), 1.1)];
        assert_eq!(summary.auto_over_best_fixed, BTreeMap::from(expected));
        assert_eq!(summary.auto_over_best_fixed_at_most, Some(2.0));
        assert_eq!(summary.auto_over_best_list, BTreeMap::from([("kept_4 KiB".to_owned(), 0.5)]));
        assert_eq!(summary.auto_map_ns_at_most, Some(50.0));
    }

    #[test]
    fn parts_are_medians_of_samples() {
        let sample = |ns| Parts { touch_ns: ns, ..Parts::default() };
        let log = Log::new(vec![sample(50.0), sample(9.0), sample(1.0), sample(3.0)].into());
        let medians = medians(log, 3).unwrap();
        assert_eq!((medians.touch_ns, medians.map_ns), (3.0, 0.0));
    }
}
