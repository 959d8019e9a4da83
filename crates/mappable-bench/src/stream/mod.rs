//! `mappable-bench stream`: times elements of a stream between components.

mod summary;
mod text;

use anyhow::Result;
use mappable::MappingMode;
use serde::Serialize;

use self::summary::Summary;
use self::text::{Element, Work};
use super::figures::{Output, Spread};
use super::lane::Sampling;
use super::method::{self, Guests, Method};
use super::report::{Charts, Page};
use super::size;
use super::tier::Tier;
use crate::{driver, table};

/// What is compared. The columns of the table, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A stream of regions, by the ledger, each of which comes back by another stream; to one consumer
    Ledger,
    /// The same in the baseline tier
    Baseline,
    /// A region by the ledger, frozen and sent to each consumer, who sends its reference back; the last is thawed
    FrozenLedger,
    /// The same in the baseline tier
    FrozenBaseline,
    /// A `stream<u8>` on an engine with default settings
    StreamU8,
    /// A `list<u8>` on an engine with default settings, by a call
    ListU8,
    /// A stream of a `u32` on an engine with default settings, and one back: what the engine takes for an element
    StreamU32,
    /// A stream of a handle of a component's resource on an engine with default settings, and one back; to one consumer
    StreamOwn,
    /// A region by a call there and a call back, by the ledger: two hops; to one consumer
    CallLedger,
    /// The same in the baseline tier
    CallBaseline,
}

impl Kind {
    /// One whose elements are touched by one consumer. `None` where there is no such thing.
    pub(crate) fn touched(self, bytes: u64) -> Result<Option<Box<dyn Method>>> {
        self.make(bytes, 1, Work::Touch)
    }

    /// `None` where there is no such thing.
    fn make(self, bytes: u64, consumers: u32, work: Work) -> Result<Option<Box<dyn Method>>> {
        // One region has one owner.
        let owned = consumers == 1;
        let regions = |element, tier| {
            let text = text::streams(element, bytes, consumers, work);
            Guests::mappable(&text, tier, MappingMode::Auto, true, bytes)
        };
        let calls = |tier| -> Result<Box<dyn Method>> {
            Ok(Box::new(ThereAndBack(method::regions(tier, MappingMode::Auto, true, bytes)?)))
        };
        // What they do with an element is the least.
        let parts = owned && work == Work::Touch;
        Ok(Some(match self {
            Self::Ledger if owned => regions(Element::Region, Tier::Ledger)?,
            Self::Baseline if owned => regions(Element::Region, Tier::Baseline)?,
            Self::FrozenLedger => regions(Element::Frozen, Tier::Ledger)?,
            Self::FrozenBaseline => regions(Element::Frozen, Tier::Baseline)?,
            Self::StreamU8 => Guests::stock(&text::streams(Element::Bytes, bytes, consumers, work), true)?,
            Self::ListU8 => Guests::stock(&text::lists(bytes, consumers, work), true)?,
            Self::StreamU32 if work == Work::Touch => {
                Guests::stock(&text::streams(Element::Number, bytes, consumers, work), true)?
            }
            Self::StreamOwn if parts => Guests::stock(&text::streams(Element::Handle, bytes, consumers, work), true)?,
            Self::CallLedger if parts => calls(Tier::Ledger)?,
            Self::CallBaseline if parts => calls(Tier::Baseline)?,
            _ => return Ok(None),
        }))
    }
}

/// Two hops are one of what is measured.
struct ThereAndBack(Box<dyn Method>);

impl Method for ThereAndBack {
    fn run(&mut self, rounds: u32) -> Result<u64> {
        Ok(self.0.run(rounds)? / 2)
    }
}

const PAGE: Page =
    Page { name: "stream", title: "What it costs to stream bytes", each: "an element", charts: Charts::OverBytes };

/// Stream bytes from one component to others: regions, and frozen regions, against a `stream<u8>` and a `list<u8>` on an
/// engine with default settings, interleaved in one run. Beside them the parts that an element of a stream of regions
/// is made of: two hops by calls, and an element of four bytes there and one back.
///
/// All components are of one composition and in one store. The producer and the consumers are async, and wait where the other is
/// not ready; a list is passed by a call. To `touch` is to write three words of each element and to read them; to `sum` is
/// to write three and to read all. Each consumer adds up what it reads, which the producer compares with what it sent, and
/// the first element is compared in full. A region goes there and back, so that none is allocated: a figure has both
/// ways. Sizes below 64 KiB ride in a region of 64 KiB. Figures are medians of samples, in nanoseconds an element that has
/// reached all consumers.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mappable-bench stream
  mappable-bench stream --sizes 64KiB,1MiB --consumers 1,2,4,8 --work touch
  mappable-bench stream --methods ledger,stream-u32,call-ledger --sizes 64KiB --samples 31
  mappable-bench stream --report reports
  mappable-bench stream --json | jq .summary")]
pub(crate) struct Args {
    /// Sizes of elements, in lines of 64 bytes: bytes, or with KiB or MiB
    #[arg(long, value_delimiter = ',', value_parser = size::parse, default_value =
        "4KiB,16KiB,64KiB,256KiB,1MiB,4MiB,16MiB")]
    sizes: Vec<u64>,

    /// How many consumers get each element
    #[arg(long, value_delimiter = ',', default_value = "1,8", value_parser = clap::value_parser!(u32).range(1..=16))]
    consumers: Vec<u32>,

    /// What is done with an element
    #[arg(long, value_delimiter = ',', value_enum, default_value = "touch,sum")]
    work: Vec<Work>,

    /// What is compared
    #[arg(
        long,
        value_delimiter = ',',
        value_enum,
        default_value = "ledger,baseline,frozen-ledger,frozen-baseline,stream-u8,list-u8,stream-u32,stream-own,call-ledger,call-baseline"
    )]
    methods: Vec<Kind>,

    #[command(flatten)]
    sampling: Sampling,

    #[command(flatten)]
    output: Output,
}

/// A method at a size. Times are nanoseconds an element.
#[derive(Debug, Serialize)]
struct Row {
    method: Kind,
    /// `touch, consumers: 8`.
    case: String,
    consumers: u32,
    bytes: u64,
    #[serde(flatten)]
    time: Spread,
    /// That the library made in all samples.
    system_calls: u64,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let rows = measure(args)?;
    let summary = Summary::of(&rows);
    args.output.give(&PAGE, rows, summary, |rows, summary| print(args, rows, summary))
}

fn measure(args: &Args) -> Result<Vec<Row>> {
    let fits = |bytes: u64| bytes.is_multiple_of(64) && (64..=64 << 20).contains(&bytes);
    size::check(&args.sizes, "lines of 64 bytes, up to 64 MiB", fits)?;
    let cases = driver::pairs(&driver::pairs(&args.work, &args.consumers), &args.sizes);
    let name = |((_, consumers), bytes): &((_, u32), u64)| format!("{} to {consumers}", size::human(*bytes));
    driver::each(&cases, name, |&((work, consumers), bytes)| {
        let make = |kind: Kind| kind.make(bytes, consumers, work);
        driver::interleaved(&args.methods, args.sampling, 1, make, |method, lane| {
            let case = format!("{}, consumers: {consumers}", driver::name(work));
            let system_calls = lane.system_calls();
            Ok(Row { method, case, consumers, bytes, system_calls, time: lane.spread()? })
        })
    })
}

fn print(args: &Args, rows: &[Row], summary: &Summary) {
    for rows in rows.chunk_by(|a, b| a.case == b.case) {
        println!("{}:", rows[0].case);
        let kinds: Vec<_> = args.methods.iter().filter(|&&kind| rows.iter().any(|row| row.method == kind)).collect();
        let mut titles = vec![">bytes".to_owned()];
        titles.extend(kinds.iter().map(|&&kind| format!(">{}", driver::name(kind))));
        let mut table = table::new(&titles);
        for rows in rows.chunk_by(|a, b| a.bytes == b.bytes) {
            let mut cells = vec![size::human(rows[0].bytes)];
            cells.extend(rows.iter().map(|row| table::time(row.time.ns)));
            table.add_row(cells);
        }
        println!("{table}\n");
    }
    println!("Time an element, medians. stream-u8, list-u8 and stream-u32 are stock Wasmtime.");
    for (tier, most) in &summary.over_parts {
        println!("{tier} ÷ its parts, two hops and a u32 each way, at most: {}", table::ratio(*most));
    }
    for (case, from) in &summary.breakeven_bytes {
        println!(
            "{case}: {}",
            from.map_or_else(|| "never above 1".to_owned(), |from| format!("above 1 from {} on", size::human(from)))
        );
    }
    println!("System calls by mappable in all streams: {}", summary.system_calls);
}
