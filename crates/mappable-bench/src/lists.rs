//! `mappable-bench lists`: times passing a list between components that know nothing of this project.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::figures::{Output, Spread};
use super::lane::Sampling;
use super::method::{self, Direction, Element, List, Within};
use super::report::{Charts, Page};
use super::size;
use super::tier::{Concurrency, Tier};
use crate::{driver, table};

/// On what lists are passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// An engine with default settings, without this project
    Stock,
    /// Our engine, the baseline tier: Wasmtime's own adapters
    Baseline,
    /// Our engine, the ledger tier: by window
    Ledger,
}

impl Kind {
    pub(super) fn tier(self) -> Option<Tier> {
        match self {
            Self::Stock => None,
            Self::Baseline => Some(Tier::Baseline),
            Self::Ledger => Some(Tier::Ledger),
        }
    }
}

const PAGE: Page =
    Page { name: "lists", title: "What it costs to pass a list", each: "a call", charts: Charts::OverBytes };

/// Pass a list or string from one component to another, as an argument and as a result, alone or within another value: on
/// an engine with default settings,
/// without this project (`stock`), and on ours, in the baseline tier and by the ledger, interleaved in one run.
///
/// The components know of nothing but lists, and are the same on all. The loop is in them. Marks at the front, in the
/// middle and at the end of a list change with each call and are checked where it arrives; the first list is compared
/// in full. Figures are medians of samples, in nanoseconds a call.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mappable-bench lists
  mappable-bench lists --sizes 64KiB,1MiB --elements u8 --concurrency off
  mappable-bench lists --in record,option,result --elements u8,string --sizes 16,64KiB
  mappable-bench lists --inlining --elements u8,u32,u64 --sizes 16,32,64,128
  mappable-bench lists --report reports
  mappable-bench lists --json | jq .summary")]
pub(crate) struct Args {
    /// Sizes of lists: bytes, or with KiB or MiB. Whole words of 4 bytes, or one byte where an element is one
    #[arg(long, value_delimiter = ',', value_parser = size::parse, default_value =
        "16,32,64,128,256,1KiB,4KiB,16KiB,64KiB,256KiB,1MiB,4MiB,16MiB")]
    sizes: Vec<u64>,

    /// What lists are of
    #[arg(long, value_delimiter = ',', value_enum, default_value = "u8,u32")]
    elements: Vec<Element>,

    /// What the list is in
    #[arg(long = "in", value_delimiter = ',', value_enum, default_value = "nothing")]
    within: Vec<Within>,

    /// What is compared
    #[arg(long, value_delimiter = ',', value_enum, default_value = "stock,baseline,ledger")]
    methods: Vec<Kind>,

    /// Wasmtime's concurrency support, which is on by default there
    #[arg(long, value_delimiter = ',', value_enum, default_value = "off,on")]
    concurrency: Vec<Concurrency>,

    /// Have our engine inline calls between core modules (`Config::compiler_inlining`)
    #[arg(long)]
    inlining: bool,

    #[command(flatten)]
    sampling: Sampling,

    #[command(flatten)]
    output: Output,
}

/// A list at a size. Times are nanoseconds a call.
#[derive(Debug, Serialize)]
struct Row {
    method: Kind,
    /// Element, what the list is in, and engine: `u8 in record, concurrency off`.
    case: String,
    direction: Direction,
    bytes: u64,
    #[serde(flatten)]
    time: Spread,
}

/// Ratios of medians. Of several cases the worst.
#[derive(Debug, Serialize)]
struct Summary {
    /// Stock over ledger, by direction and size: `argument_64kib`.
    stock_over_ledger: BTreeMap<String, f64>,
    /// The most of ledger over stock, and where.
    ledger_over_stock_most: Option<Worst>,
    /// The most of baseline over stock, and where.
    baseline_over_stock_most: Option<Worst>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Worst {
    ratio: f64,
    direction: Direction,
    case: String,
    bytes: u64,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let rows = measure(args)?;
    let summary = Summary::of(&rows);
    args.output.give(&PAGE, rows, summary, |rows, summary| print(rows, summary, args))
}

fn measure(args: &Args) -> Result<Vec<Row>> {
    let fits = |bytes: u64| bytes == 1 || bytes.is_multiple_of(4) && (4..=256 << 20).contains(&bytes);
    size::check(&args.sizes, "1 byte, or whole words up to 256 MiB", fits)?;
    let mut lists = vec![];
    for direction in Direction::ALL {
        for (element, within) in driver::pairs(&args.elements, &args.within) {
            let sizes: Vec<_> = args.sizes.iter().copied().filter(|bytes| *bytes >= element.size()).collect();
            for (concurrency, bytes) in driver::pairs(&args.concurrency, &sizes) {
                lists.push((concurrency, List { element, within, direction, bytes }));
            }
        }
    }
    let name = |(_, list): &(_, List)| format!("{} of {}", driver::name(list.direction), size::human(list.bytes));
    driver::each(&lists, name, |&(concurrency, list)| {
        let make =
            |kind: Kind| method::elements(kind.tier(), concurrency == Concurrency::On, args.inlining, list).map(Some);
        driver::interleaved(&args.methods, args.sampling, 1, make, |method, lane| {
            let mut case = driver::name(list.element);
            if list.within != Within::Nothing {
                case += &format!(" in {}", driver::name(list.within));
            }
            let case = format!("{case}, {}", concurrency.case());
            Ok(Row { method, case, direction: list.direction, bytes: list.bytes, time: lane.spread()? })
        })
    })
}

/// For each row of `over`, the time of that over the time of `under`.
fn ratios(rows: &[Row], over: Kind, under: Kind) -> impl Iterator<Item = (&Row, f64)> {
    let same = |a: &Row, b: &Row| (&a.case, a.direction, a.bytes) == (&b.case, b.direction, b.bytes);
    rows.iter().filter(move |row| row.method == over).filter_map(move |row| {
        let other = rows.iter().find(|other| other.method == under && same(row, other))?;
        Some((row, row.time.ns / other.time.ns))
    })
}

impl Summary {
    fn of(rows: &[Row]) -> Self {
        let mut stock_over_ledger = BTreeMap::new();
        for (row, ratio) in ratios(rows, Kind::Stock, Kind::Ledger) {
            let size = size::human(row.bytes).replace(' ', "").to_lowercase();
            let least = stock_over_ledger.entry(format!("{}_{size}", driver::name(row.direction))).or_insert(ratio);
            *least = ratio.min(*least);
        }
        Self {
            stock_over_ledger,
            ledger_over_stock_most: Worst::of(rows, Kind::Ledger),
            baseline_over_stock_most: Worst::of(rows, Kind::Baseline),
        }
    }
}

impl Worst {
    fn of(rows: &[Row], kind: Kind) -> Option<Self> {
        let (row, ratio) = ratios(rows, kind, Kind::Stock).max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(Self { ratio, direction: row.direction, case: row.case.clone(), bytes: row.bytes })
    }
}

fn print(rows: &[Row], summary: &Summary, args: &Args) {
    let mut titles = vec!["direction".to_owned(), "case".to_owned(), ">bytes".to_owned()];
    titles.extend(args.methods.iter().map(|kind| format!(">{}", driver::name(*kind))));
    let compared: Vec<_> = match args.methods.iter().position(|&kind| kind == Kind::Stock) {
        Some(stock) => (0..args.methods.len()).filter(|&at| at != stock).map(|at| (stock, at)).collect(),
        None => vec![],
    };
    titles.extend(compared.iter().map(|&(_, at)| format!(">stock ÷ {}", driver::name(args.methods[at]))));
    let mut table = table::new(&titles);
    for rows in rows.chunks(args.methods.len()) {
        let mut cells = vec![driver::name(rows[0].direction), rows[0].case.clone(), size::human(rows[0].bytes)];
        cells.extend(rows.iter().map(|row| table::time(row.time.ns)));
        cells.extend(compared.iter().map(|&(stock, at)| table::ratio(rows[stock].time.ns / rows[at].time.ns)));
        table.add_row(cells);
    }
    println!("{table}");
    println!("Time a call, medians. stock is Wasmtime, without this project.");
    let worst = [("ledger", &summary.ledger_over_stock_most), ("baseline", &summary.baseline_over_stock_most)];
    for (name, worst) in worst {
        if let Some(Worst { ratio, direction, case, bytes }) = worst {
            let ratio = table::ratio(*ratio);
            println!("{name} ÷ stock at most: {ratio} ({}, {case}, {})", driver::name(*direction), size::human(*bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use mappable::GRANULE;

    use super::*;

    fn row(kind: Kind, case: &str, direction: Direction, bytes: u64, ns: f64) -> Row {
        let time = Spread { ns, ns_min: ns, ns_max: ns };
        Row { method: kind, case: case.to_owned(), direction, bytes, time }
    }

    #[test]
    fn a_summary_has_the_worst_of_cases() {
        let rows = [
            row(Kind::Stock, "u8", Direction::Argument, GRANULE, 100.0),
            row(Kind::Ledger, "u8", Direction::Argument, GRANULE, 10.0),
            row(Kind::Stock, "u32", Direction::Argument, GRANULE, 90.0),
            row(Kind::Ledger, "u32", Direction::Argument, GRANULE, 10.0),
            row(Kind::Stock, "u8", Direction::Result, 16, 10.0),
            row(Kind::Ledger, "u8", Direction::Result, 16, 12.5),
        ];
        let summary = Summary::of(&rows);
        let expected = [("argument_64kib".to_owned(), 9.0), ("result_16b".to_owned(), 0.8)];
        assert_eq!(summary.stock_over_ledger, BTreeMap::from(expected));
        let worst = Worst { ratio: 1.25, direction: Direction::Result, case: "u8".to_owned(), bytes: 16 };
        assert_eq!(summary.ledger_over_stock_most, Some(worst));
        assert_eq!(summary.baseline_over_stock_most, None);
    }
}
