//! `mappable-bench counts`: counts what a hop does, in figures that repeat exactly.
//!
//! ```text
//!   counts        what a hop adds: the difference of two runs, so that what is done once is not in it
//!    ├ tools      steps through instructions, `perf` and `strace`: what counts
//!    ├ rounds     the command that is counted: this program, doing so many rounds of one method
//!    └ subject    the methods
//! ```

pub(super) mod rounds;
mod subject;
mod summary;
pub(crate) mod tools;

use std::env;

use anyhow::Result;
use serde::Serialize;

use self::subject::Subject;
use self::summary::Summary;
use self::tools::{Counters, Event, Work};
use super::figures::Output;
use super::lane::{Lane, Sampling};
use super::method::{Direction, Element, List, Within};
use super::report::{Charts, Page};
use super::size;
use super::tier::Concurrency;
use crate::{driver, table};

const PAGE: Page = Page { name: "counts", title: "What a hop does", each: "a hop", charts: Charts::CountsOverBytes };

/// Count the instructions (in user mode), the system calls and the page faults of a hop: figures that don't depend on
/// how busy the machine is.
///
/// This program runs itself, to do two numbers of rounds of one method, warm. What the two differ by is what the rounds
/// have done; what is done once is not in it. Instructions are counted by stepping through them (on x86-64 Linux), or
/// by `perf stat` where that has the processor's counters; system calls by `strace -f -c`; page faults by `perf stat`.
/// A figure that can't be counted is left out, and the reason is told.
///
/// Methods are those of `mappable-bench hop`, a list, as in `mappable-bench lists`, and an element of a stream there and back, as
/// in `mappable-bench stream`. Figures of parts and of lists are a call's, those of streams an element's.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mappable-bench counts
  mappable-bench counts --methods ledger,swap,remap --sizes 64KiB,1MiB,16MiB
  mappable-bench counts --methods list-stock,list-ledger --sizes 16,64 --elements u8,u32,u64 --directions argument,result
  mappable-bench counts --methods swap,host-call,own-handle,grow0 --concurrency off,on
  mappable-bench counts --methods element-ledger,element-own,element-u32 --concurrency on
  mappable-bench counts --report reports
  mappable-bench counts --json | jq .summary.swap_over_floor")]
pub(crate) struct Args {
    /// Sizes to hand over: bytes, or with KiB, MiB or GiB. Of lists from 4 bytes on, of all else from 64
    #[arg(long, value_delimiter = ',', value_parser = size::parse, default_value = "64KiB,1MiB")]
    sizes: Vec<u64>,

    /// What to count
    #[arg(
        long,
        value_delimiter = ',',
        value_enum,
        default_value = "ledger,swap,remap,mediated,mediated-stores,list-u8,list-stock,list-ledger,own-handle,host-call,own-call,\
            grow0"
    )]
    methods: Vec<Subject>,

    /// What lists are of
    #[arg(long, value_delimiter = ',', value_enum, default_value = "u8")]
    elements: Vec<Element>,

    /// How lists are passed
    #[arg(long, value_delimiter = ',', value_enum, default_value = "argument")]
    directions: Vec<Direction>,

    /// Have our engine inline calls between core modules as it passes lists (`Config::compiler_inlining`)
    #[arg(long)]
    inlining: bool,

    /// Wasmtime's concurrency support, which is on by default there
    #[arg(long, value_delimiter = ',', value_enum, default_value = "off")]
    concurrency: Vec<Concurrency>,

    /// How long the rounds take in which system calls and page faults are counted, in milliseconds
    #[arg(long, default_value_t = 20, value_name = "MS")]
    sample_time: u64,

    /// How many instructions to step through, at most, for a figure: each takes some microseconds
    #[arg(long, default_value_t = 3_000_000, value_name = "N")]
    steps: u64,

    #[command(flatten)]
    output: Output,
}

/// What a method does at a size, for each hop. `None` where no tool counts it.
#[derive(Debug, Serialize)]
struct Row {
    method: Subject,
    /// The engine, and of a list what it is of and how it is passed: `u8 argument, concurrency off`.
    case: String,
    bytes: u64,
    instructions: Option<f64>,
    system_calls: Option<f64>,
    page_faults: Option<f64>,
    /// System calls that the library says it has made.
    own_system_calls: f64,
    /// Of how many hops system calls and page faults are the mean.
    hops: u64,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let mut counters = Counters::default();
    let rows = measure(args, &mut counters)?;
    let summary = Summary::of(&rows, &counters);
    args.output.give(&PAGE, rows, summary, print)
}

fn measure(args: &Args, counters: &mut Counters) -> Result<Vec<Row>> {
    if args.methods.iter().all(|method| matches!(method, Subject::List(_))) {
        let fits = |bytes: u64| bytes.is_multiple_of(4) && (4..=1 << 30).contains(&bytes);
        size::check(&args.sizes, "whole words up to 1 GiB", fits)?;
    } else {
        size::check(&args.sizes, "from 64 bytes to 1 GiB", |bytes| (64..=1 << 30).contains(&bytes))?;
    }
    let mut cases = vec![];
    for (bytes, concurrency) in driver::pairs(&args.sizes, &args.concurrency) {
        let passed = driver::pairs(&args.directions, &args.elements);
        for (index, &(direction, element)) in passed.iter().enumerate() {
            let list = List { element, within: Within::Nothing, direction, bytes };
            // All else is the same however lists are passed.
            let counted = |subject: &&Subject| index == 0 || matches!(subject, Subject::List(_));
            let counted = args.methods.iter().filter(counted);
            cases.extend(counted.map(|subject| (*subject, list, concurrency)));
        }
    }
    let name =
        |(subject, list, _): &(Subject, List, _)| format!("{} at {}", driver::name(*subject), size::human(list.bytes));
    driver::each(&cases, name, |&(subject, list, concurrency)| {
        Ok(count(subject, list, concurrency, args, counters)?.into_iter().collect())
    })
}

/// `None` where there is no such thing.
fn count(
    subject: Subject,
    list: List,
    concurrency: Concurrency,
    args: &Args,
    counters: &mut Counters,
) -> Result<Option<Row>> {
    let Some(method) = subject.make(list, concurrency, args.inlining)? else { return Ok(None) };
    let sampling = Sampling { samples: 1, sample_time: args.sample_time };
    let mut lanes = [Lane::new(&driver::name(subject), method, subject.per_round(), sampling)?];
    Lane::measure_all(&mut lanes, sampling)?;
    let rounds = lanes[0].rounds().max(2);
    let program = env::current_exe()?;
    let work = |rounds: u32| Work {
        program: program.clone(),
        arguments: rounds::arguments(subject, list, concurrency, args.inlining, rounds),
    };
    let per_round = f64::from(subject.per_round());
    let mut each = |event: Event| Some(counters.each(event, &work, rounds, args.steps)? / per_round);
    let case = match subject {
        Subject::Hop(_) | Subject::Stream(_) => concurrency.case().to_owned(),
        Subject::List(_) => {
            format!("{} {}, {}", driver::name(list.element), driver::name(list.direction), concurrency.case())
        }
    };
    Ok(Some(Row {
        method: subject,
        case,
        bytes: list.bytes,
        instructions: each(Event::Instructions),
        system_calls: each(Event::SystemCalls),
        page_faults: each(Event::PageFaults),
        own_system_calls: lanes[0].system_calls_each(),
        hops: u64::from(rounds) * u64::from(subject.per_round()),
    }))
}

fn print(rows: &[Row], summary: &Summary) {
    let mut table =
        table::new(&["method", "case", ">bytes", ">instructions", ">system calls", ">by mappable", ">page faults"]);
    for row in rows {
        let whole = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), table::count);
        let exact = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |n| format!("{:.2}", n.max(0.0)));
        table.add_row([
            driver::name(row.method),
            row.case.clone(),
            size::human(row.bytes),
            whole(row.instructions),
            exact(row.system_calls),
            exact(Some(row.own_system_calls)),
            exact(row.page_faults),
        ]);
    }
    println!("{table}");
    println!("Of a hop; of host-call, own-call, grow0 and lists, of a call; of elements, of one there and back.");
    for (event, tool) in &summary.counted_by {
        println!("{}: by {tool}", event.replace('_', " "));
    }
    for (event, why) in &summary.not_counted {
        println!("{}: not by {why}", event.replace('_', " "));
    }
    for (name, ratio) in &summary.over_floor {
        println!("{} ÷ the floor of its parts, instructions: {}", name.replace('_', ", "), table::ratio(*ratio));
    }
    for (name, ratio) in &summary.flatness {
        println!("{}, most instructions ÷ fewest of all sizes: {}", name.replace('_', ", "), table::ratio(*ratio));
    }
}
