//! `mappable bench hop`: what it costs to hand bytes from one component to another and back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use comfy_table::{CellAlignment, Table, presets};
use indicatif::ProgressBar;
use mappable::MappingMode;
use serde::Serialize;

use super::method::{Lists, Memcpy, Method, Regions};

const METHODS: [&str; 4] = ["swap", "remap", "list-u8", "memcpy"];

/// Hand bytes from one component to another and back: a region mapped by swapping and by remapping, a list<u8> on an
/// engine with default settings, and a plain memcpy, interleaved in one run.
///
/// A hop is: map, write one cache line, unmap, call the other component. Sizes below 64 KiB ride in a region of
/// 64 KiB. Figures are medians of samples, in nanoseconds a hop; each sample checks that every hop has happened.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mappable bench hop
  mappable bench hop --sizes 64KiB,1MiB --samples 31
  mappable bench hop --json > hop.json")]
pub(crate) struct Args {
    /// Sizes to hand over: bytes, or with KiB, MiB or GiB
    #[arg(long, value_delimiter = ',', value_parser = parse_size, default_value =
        "1KiB,2KiB,4KiB,16KiB,64KiB,256KiB,1MiB,4MiB,16MiB,64MiB,256MiB,1GiB")]
    sizes: Vec<u64>,

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
    fn new(method: Box<dyn Method>, sample_time: Duration) -> Result<Self> {
        let mut lane = Self { method, rounds: 1, hops: 0, samples: vec![], system_calls: 0 };
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
        ensure!(written == self.hops, "{}: {} hops, but {written} writes", self.method.name(), self.hops);
        self.samples.push(took.as_nanos() as f64 / hops as f64);
        Ok(took)
    }

    fn row(&mut self, bytes: u64) -> Result<Row> {
        self.samples.sort_by(f64::total_cmp);
        let (first, last) = self.samples.first().zip(self.samples.last()).context("no sample was taken")?;
        let median = self.samples[self.samples.len() / 2];
        Ok(Row { method: self.method.name(), bytes, ns: median, ns_min: *first, ns_max: *last })
    }
}

pub(super) fn run(args: &Args) -> Result<()> {
    let figures = measure(args)?;
    if args.json {
        println!("{}", serde_json::to_string(&figures)?);
    } else {
        print(&figures);
    }
    Ok(())
}

fn measure(args: &Args) -> Result<Figures> {
    let progress = ProgressBar::new(args.sizes.len() as u64);
    let mut figures = Figures { rows: vec![], swap_hop_syscalls: 0 };
    for &bytes in &args.sizes {
        ensure!((64..=1 << 30).contains(&bytes), "sizes are from 64 bytes to 1 GiB, which {bytes} is not");
        let methods: [Box<dyn Method>; 4] = [
            Box::new(Regions::new(METHODS[0], MappingMode::Auto, args.concurrency, bytes)?),
            Box::new(Regions::new(METHODS[1], MappingMode::Remap, args.concurrency, bytes)?),
            Box::new(Lists::new(bytes)?),
            Box::new(Memcpy::new(bytes)?),
        ];
        let sample_time = Duration::from_millis(args.sample_time);
        let lanes = methods.into_iter().map(|method| Lane::new(method, sample_time));
        let mut lanes = lanes.collect::<Result<Vec<_>>>().with_context(|| format!("at {bytes} bytes"))?;
        for _ in 0..args.samples {
            for lane in &mut lanes {
                lane.measure().with_context(|| format!("at {bytes} bytes"))?;
            }
        }
        figures.swap_hop_syscalls += lanes[0].system_calls;
        figures.rows.extend(lanes.iter_mut().map(|lane| lane.row(bytes)).collect::<Result<Vec<_>>>()?);
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(figures)
}

fn print(figures: &Figures) {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    table.set_header(["bytes", METHODS[0], METHODS[1], METHODS[2], METHODS[3], "list-u8 ÷ swap", "memcpy ÷ swap"]);
    for rows in figures.rows.chunks(METHODS.len()) {
        let ns = |index: usize| rows[index].ns;
        let mut cells = vec![human_size(rows[0].bytes)];
        cells.extend(rows.iter().map(|row| human_time(row.ns)));
        cells.extend([2, 3].map(|index| human_ratio(ns(index) / ns(0))));
        table.add_row(cells);
    }
    table.column_iter_mut().for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    println!("{table}");
    println!("Time a hop, medians. list-u8 is Wasmtime with default settings.");
    println!("System calls by mappable in all warm hops by swapping: {}", figures.swap_hop_syscalls);
}

fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        unit => return Err(format!("`{unit}` is no unit; take B, KiB, MiB or GiB")),
    };
    let number: u64 = digits.parse().map_err(|error| format!("`{digits}` is no number of bytes: {error}"))?;
    number.checked_mul(unit).ok_or_else(|| "too large".into())
}

fn human_size(bytes: u64) -> String {
    match bytes {
        0..0x400 => format!("{bytes} B"),
        0x400..0x10_0000 => format!("{} KiB", bytes >> 10),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

fn human_time(ns: f64) -> String {
    match ns {
        _ if ns < 1e3 => format!("{ns:.0} ns"),
        _ if ns < 1e6 => format!("{:.2} µs", ns / 1e3),
        _ => format!("{:.2} ms", ns / 1e6),
    }
}

fn human_ratio(ratio: f64) -> String {
    if ratio < 10.0 { format!("{ratio:.2}") } else { format!("{ratio:.0}") }
}
