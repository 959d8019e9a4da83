//! `mappable bench hop`: what it costs to hand bytes from one component to another and back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use indicatif::ProgressBar;
use mappable::MappingMode;
use serde::Serialize;

use super::method::{Lists, Memcpy, Method, Regions};
use super::size;
use crate::table;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// A region, mapped by swapping views
    Swap,
    /// A region, mapped by remapping
    Remap,
    /// A `list<u8>` on an engine with default settings
    ListU8,
    /// A copy in the host
    Memcpy,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Swap => "swap",
            Self::Remap => "remap",
            Self::ListU8 => "list-u8",
            Self::Memcpy => "memcpy",
        }
    }

    fn make(self, bytes: u64, concurrency: bool) -> Result<Box<dyn Method>> {
        Ok(match self {
            Self::Swap => Box::new(Regions::new(MappingMode::Auto, concurrency, bytes)?),
            Self::Remap => Box::new(Regions::new(MappingMode::Remap, concurrency, bytes)?),
            Self::ListU8 => Box::new(Lists::new(bytes)?),
            Self::Memcpy => Box::new(Memcpy::new(bytes)?),
        })
    }
}

/// Hand bytes from one component to another and back: a region mapped by swapping and by remapping, a `list<u8>` on an
/// engine with default settings, and a plain memcpy, interleaved in one run.
///
/// A hop is: map, write one cache line, unmap, call the other component. Sizes below 64 KiB ride in a region of
/// 64 KiB. Figures are medians of samples, in nanoseconds a hop; each sample checks that every hop has happened.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mappable bench hop
  mappable bench hop --sizes 64KiB,1MiB --samples 31
  mappable bench hop --methods swap,memcpy
  mappable bench hop --json > hop.json")]
pub(crate) struct Args {
    /// Sizes to hand over: bytes, or with KiB, MiB or GiB
    #[arg(long, value_delimiter = ',', value_parser = size::parse, default_value =
        "1KiB,2KiB,4KiB,16KiB,64KiB,256KiB,1MiB,4MiB,16MiB,64MiB,256MiB,1GiB")]
    sizes: Vec<u64>,

    /// What to compare
    #[arg(long, value_delimiter = ',', value_enum, default_value = "swap,remap,list-u8,memcpy")]
    methods: Vec<Kind>,

    /// Samples of each method and size
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,

    /// How long a sample lasts at the least, in milliseconds (a round of two hops at the least)
    #[arg(long, default_value_t = 5, value_name = "MS")]
    sample_time: u64,

    /// Leave Wasmtime's concurrency support on, as it is by default: host calls cost more
    #[arg(long)]
    concurrency: bool,

    /// Print figures as JSON
    #[arg(long)]
    json: bool,
}

/// A method at a size. Times are nanoseconds a hop.
#[derive(Debug, Serialize)]
struct Row {
    method: &'static str,
    bytes: u64,
    ns: f64,
    ns_min: f64,
    ns_max: f64,
}

#[derive(Debug, Serialize)]
struct Figures {
    rows: Vec<Row>,
    /// System calls that the library made in all warm hops by swapping.
    swap_hop_syscalls: u64,
}

/// A method under measurement.
struct Lane {
    kind: Kind,
    method: Box<dyn Method>,
    /// Rounds in a sample.
    rounds: u32,
    /// Hops so far.
    hops: u64,
    /// Nanoseconds a hop, one for each sample.
    samples: Vec<f64>,
    /// System calls that the library made meanwhile.
    system_calls: u64,
}

impl Lane {
    /// Warms the method up, and finds how many rounds last as long as a sample should.
    fn new(kind: Kind, bytes: u64, args: &Args) -> Result<Self> {
        let sample_time = Duration::from_millis(args.sample_time);
        let method = kind.make(bytes, args.concurrency)?;
        let mut lane = Self { kind, method, rounds: 1, hops: 0, samples: vec![], system_calls: 0 };
        lane.measure()?;
        loop {
            let took = lane.measure()?;
            if took >= sample_time || lane.rounds >= 1 << 24 {
                break;
            }
            lane.rounds *= 2;
        }
        lane.samples.clear();
        lane.system_calls = 0;
        Ok(lane)
    }

    fn measure(&mut self) -> Result<Duration> {
        let (calls, start) = (mappable::system_calls(), Instant::now());
        let written = self.method.run(self.rounds)?;
        let took = start.elapsed();
        self.system_calls += mappable::system_calls() - calls;
        let hops = u64::from(self.rounds) * 2;
        self.hops += hops;
        ensure!(written == self.hops, "{}: {} hops, but {written} writes", self.kind.name(), self.hops);
        self.samples.push(took.as_nanos() as f64 / hops as f64);
        Ok(took)
    }

    fn row(&mut self, bytes: u64) -> Result<Row> {
        self.samples.sort_by(f64::total_cmp);
        let (first, last) = self.samples.first().zip(self.samples.last()).context("no sample was taken")?;
        let median = self.samples[self.samples.len() / 2];
        Ok(Row { method: self.kind.name(), bytes, ns: median, ns_min: *first, ns_max: *last })
    }
}

pub(super) fn run(args: &Args) -> Result<()> {
    let figures = measure(args)?;
    if args.json {
        println!("{}", serde_json::to_string(&figures)?);
    } else {
        print(&figures, &args.methods);
    }
    Ok(())
}

fn measure(args: &Args) -> Result<Figures> {
    let progress = ProgressBar::new(args.sizes.len() as u64);
    let mut figures = Figures { rows: vec![], swap_hop_syscalls: 0 };
    for &bytes in &args.sizes {
        ensure!((64..=1 << 30).contains(&bytes), "sizes are from 64 bytes to 1 GiB, which {bytes} is not");
        let rows = measure_at(bytes, args, &mut figures.swap_hop_syscalls);
        figures.rows.extend(rows.with_context(|| format!("at {}", size::human(bytes)))?);
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(figures)
}

/// One row for each method, their samples interleaved.
fn measure_at(bytes: u64, args: &Args, swap_calls: &mut u64) -> Result<Vec<Row>> {
    let lanes = args.methods.iter().map(|&kind| Lane::new(kind, bytes, args));
    let mut lanes = lanes.collect::<Result<Vec<_>>>()?;
    for _ in 0..args.samples {
        lanes.iter_mut().try_for_each(|lane| lane.measure().map(drop))?;
    }
    *swap_calls += lanes.iter().filter(|lane| lane.kind == Kind::Swap).map(|lane| lane.system_calls).sum::<u64>();
    lanes.iter_mut().map(|lane| lane.row(bytes)).collect()
}

fn print(figures: &Figures, methods: &[Kind]) {
    let swap = methods.iter().position(|&kind| kind == Kind::Swap);
    let copies: Vec<_> = match swap {
        Some(_) => methods.iter().enumerate().filter(|(_, kind)| matches!(kind, Kind::ListU8 | Kind::Memcpy)).collect(),
        None => vec![],
    };
    let mut titles = vec![">bytes".to_owned()];
    titles.extend(methods.iter().map(|kind| format!(">{}", kind.name())));
    titles.extend(copies.iter().map(|(_, kind)| format!(">{} ÷ swap", kind.name())));
    let mut table = table::new(&titles.iter().map(String::as_str).collect::<Vec<_>>());
    for rows in figures.rows.chunks(methods.len()) {
        let mut cells = vec![size::human(rows[0].bytes)];
        cells.extend(rows.iter().map(|row| table::time(Duration::from_nanos(row.ns as u64))));
        let swap = swap.map_or(f64::NAN, |index| rows[index].ns);
        cells.extend(copies.iter().map(|&(index, _)| table::ratio(rows[index].ns / swap)));
        table.add_row(cells);
    }
    println!("{table}");
    println!("Time a hop, medians. list-u8 is Wasmtime with default settings.");
    if swap.is_some() {
        println!("System calls by mappable in all warm hops by swapping: {}", figures.swap_hop_syscalls);
    }
}
