//! `mappable-bench access`: times work on bytes of a heap, of a heap that may move, and of a mapped region.

mod kernels;
mod rooms;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mappable::GRANULE;
use serde::Serialize;

pub(super) use self::kernels::Kernel;
pub(super) use self::rooms::text as kernels_text;
use self::rooms::{Engines, Room};
use super::figures::{Output, Spread, geometric_mean};
use super::report::{Charts, Page};
use super::size;
use crate::{driver, table};

/// Where bytes are. The columns of the table, in this order.
const METHODS: [&str; 4] = ["stock", "heap", "mapped", "as written"];

const PAGE: Page = Page {
    name: "access",
    title: "What it costs to work on bytes, wherever they are",
    each: "a run",
    charts: Charts::RatioTo("stock"),
};

/// Work on bytes that are on the heap of an engine with default settings, without this project (`stock`), on the heap of
/// an engine that can map (`heap`), and in a mapped region (`mapped`), interleaved in one run; and in a mapped region with the
/// module as it is, without the preloads that the rewriter puts in front of loops (`as written`).
///
/// All run one module of hand-written loops, on the same data at the same address. Every run is checked against a
/// native computation. How long a loop takes depends on where its code happens to lie, by more than anything that is
/// compared here, so the module is compiled several times, with its loops some bytes further on each time. A sample is
/// the median of its runs, a figure the geometric mean of the medians of samples, in nanoseconds a run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mappable-bench access
  mappable-bench access --kernels invert,sort --sizes 64KiB,16MiB
  mappable-bench access --report reports
  mappable-bench access --json | jq .summary.mapped_over_stock")]
pub(crate) struct Args {
    /// What is done
    #[arg(long, value_delimiter = ',', value_enum, default_value = "invert,invert-simd,fnv,sum,matmul,blur,sort")]
    kernels: Vec<Kernel>,

    /// Sizes of what is worked on, in whole granules of 64 KiB: bytes, or with KiB, MiB or GiB
    #[arg(long, value_delimiter = ',', value_parser = size::parse, default_value = "64KiB,1MiB,4MiB")]
    sizes: Vec<u64>,

    /// Samples of each kernel, place, size and shift
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,

    /// How many times the kernels are compiled, with their loops shifted by some bytes more each time
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    shifts: u32,

    /// How long a sample lasts at the least, in milliseconds (a run at the least)
    #[arg(long, default_value_t = 5, value_name = "MS")]
    sample_time: u64,

    #[command(flatten)]
    output: Output,
}

/// A kernel at a size in a place. Times are nanoseconds a run.
#[derive(Debug, Serialize)]
struct Row {
    method: &'static str,
    case: Kernel,
    bytes: u64,
    #[serde(flatten)]
    time: Spread,
}

/// Ratios of medians: geometric means over kernels and sizes.
#[derive(Debug, Serialize)]
struct Summary {
    mapped_over_stock: Option<f64>,
    heap_over_stock: Option<f64>,
    mapped_over_heap: Option<f64>,
    /// As `mapped_over_stock`, of the least samples instead of the medians: what else runs on the machine only adds.
    mapped_over_stock_least: Option<f64>,
    /// What `mapped_over_stock` would be without preloads.
    as_written_over_stock: Option<f64>,
    as_written_over_stock_least: Option<f64>,
    /// `mapped_over_stock` of each kernel, over sizes.
    cases: BTreeMap<Kernel, f64>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let rows = measure(args)?;
    let summary = summarize(&rows);
    args.output.give(&PAGE, rows, summary, print)
}

fn measure(args: &Args) -> Result<Vec<Row>> {
    let fits = |bytes: u64| bytes.is_multiple_of(GRANULE) && (GRANULE..=256 << 20).contains(&bytes);
    size::check(&args.sizes, "whole granules of 64 KiB, up to 256 MiB", fits)?;
    let mut engines: Option<(u32, Vec<Engines>)> = None;
    let name = |(bytes, kernel): &(u64, Kernel)| format!("{} at {}", driver::name(*kernel), size::human(*bytes));
    driver::each(&driver::pairs(&args.sizes, &args.kernels), name, |&(bytes, kernel)| {
        let bytes = u32::try_from(bytes)?;
        // The same for all kernels of a size.
        let made = match engines.take() {
            Some((size, engines)) if size == bytes => engines,
            _ => (0..args.shifts).map(|shift| Engines::new(bytes, shift)).collect::<Result<Vec<_>>>()?,
        };
        measure_kernel(&engines.insert((bytes, made)).1, kernel, bytes, args)
    })
}

/// What a kernel is given, and what must come of it.
struct Job {
    kernel: Kernel,
    count: u32,
    input: Vec<u8>,
    output: Vec<u8>,
    answer: u64,
}

impl Job {
    fn new(kernel: Kernel, bytes: u32) -> Self {
        let input = kernel.input(bytes);
        let mut output = input.clone();
        let answer = kernel.natively(&mut output);
        Self { kernel, count: kernel.count(bytes), input, output, answer }
    }

    /// Has it done `runs` times, from the input on each time, and checks what comes of it. How long each run took.
    fn run(&self, room: &mut dyn Room, runs: u32) -> Result<Vec<Duration>> {
        let run = |_| {
            room.bytes().copy_from_slice(&self.input);
            let (answer, took) = room.work(self.count)?;
            ensure!(answer == self.answer, "the answer is {answer:#x}, not {:#x}", self.answer);
            ensure!(room.bytes() == self.output, "other bytes than were computed natively");
            Ok(took)
        };
        (0..runs).map(run).collect()
    }
}

/// One row for each place, their samples interleaved.
fn measure_kernel(engines: &[Engines], kernel: Kernel, bytes: u32, args: &Args) -> Result<Vec<Row>> {
    let job = Job::new(kernel, bytes);
    let shifted = engines.iter().map(|engines| measure_shift(engines, &job, args)).collect::<Result<Vec<_>>>()?;
    let row = |(at, method)| {
        let mean = |of: fn(&Spread) -> f64| geometric_mean(shifted.iter().map(|spreads| of(&spreads[at])));
        let [ns, ns_min, ns_max] =
            [mean(|spread| spread.ns), mean(|spread| spread.ns_min), mean(|spread| spread.ns_max)]
                .map(|ns| ns.context("no code was measured"));
        let time = Spread { ns: ns?, ns_min: ns_min?, ns_max: ns_max? };
        Ok(Row { method, case: kernel, bytes: bytes.into(), time })
    };
    METHODS.into_iter().enumerate().map(row).collect()
}

/// What a kernel takes in each place, as one compilation has it.
fn measure_shift(engines: &Engines, job: &Job, args: &Args) -> Result<Vec<Spread>> {
    let name = &driver::name(job.kernel);
    let mut rooms = [engines.stock(name)?, engines.heap(name)?, engines.mapped(name)?, engines.as_written(name)?];
    // Pages are touched, and caches warm, before the first sample.
    let mut runs = 1;
    for room in &mut rooms {
        job.run(&mut **room, 1)?;
        let sample_time = Duration::from_millis(args.sample_time);
        while runs < 1 << 20 && job.run(&mut **room, runs)?.iter().sum::<Duration>() < sample_time {
            runs *= 2;
        }
    }
    let mut samples = METHODS.map(|_| vec![]);
    for sample in 0..args.samples as usize {
        for turn in 0..METHODS.len() {
            // Who is first changes, so that no place always follows the same one.
            let at = (sample + turn) % METHODS.len();
            let took = job.run(&mut *rooms[at], runs).with_context(|| METHODS[at])?;
            // The median here too: a run that the machine broke off for another's work is not this kernel's time.
            samples[at].push(Spread::of(took.iter().map(|took| took.as_nanos() as f64).collect())?.ns);
        }
    }
    rooms.into_iter().try_for_each(|room| room.finish(&job.output))?;
    samples.into_iter().map(Spread::of).collect()
}

fn summarize(rows: &[Row]) -> Summary {
    let (groups, _) = rows.as_chunks::<{ METHODS.len() }>();
    let mean = |over: usize, under: usize, case: Option<Kernel>| {
        let groups = groups.iter().filter(|group| case.is_none_or(|case| group[0].case == case));
        geometric_mean(groups.map(|group| group[over].time.ns / group[under].time.ns))
    };
    let least = |over: usize| geometric_mean(groups.iter().map(|group| group[over].time.ns_min / group[0].time.ns_min));
    let cases = groups.iter().filter_map(|group| Some((group[0].case, mean(2, 0, Some(group[0].case))?)));
    Summary {
        mapped_over_stock: mean(2, 0, None),
        heap_over_stock: mean(1, 0, None),
        mapped_over_heap: mean(2, 1, None),
        mapped_over_stock_least: least(2),
        as_written_over_stock: mean(3, 0, None),
        as_written_over_stock_least: least(3),
        cases: cases.collect(),
    }
}

fn print(rows: &[Row], summary: &Summary) {
    let mut table = table::new(&[
        "kernel",
        ">bytes",
        ">stock",
        ">heap",
        ">mapped",
        ">as written",
        ">heap ÷ stock",
        ">mapped ÷ stock",
        ">as written ÷ stock",
    ]);
    for group in rows.as_chunks::<{ METHODS.len() }>().0 {
        let mut cells = vec![driver::name(group[0].case), size::human(group[0].bytes)];
        cells.extend(group.iter().map(|row| table::time(row.time.ns)));
        cells.extend(group[1..].iter().map(|row| table::ratio(row.time.ns / group[0].time.ns)));
        table.add_row(cells);
    }
    println!("{table}");
    println!("Time a run, medians. stock is Wasmtime with default settings, without this project.");
    let means = [
        ("mapped ÷ stock", summary.mapped_over_stock),
        ("heap ÷ stock", summary.heap_over_stock),
        ("mapped ÷ stock, least samples", summary.mapped_over_stock_least),
        ("as written ÷ stock", summary.as_written_over_stock),
        ("as written ÷ stock, least samples", summary.as_written_over_stock_least),
    ];
    for (name, mean) in means {
        println!("{name}, geometric mean: {}", mean.map_or_else(|| "none".into(), |mean| format!("{mean:.3}")));
    }
}
