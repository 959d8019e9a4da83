//! `mappable-bench load`: what rewriting adds to compiling.

mod components;

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use indicatif::ProgressBar;
use serde::Serialize;
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

use self::components::Sample;
use super::figures::{Output, Spread};
use super::lane::{Lane, Sampling};
use super::method::Method;
use super::report::{Charts, Page};
use super::size;
use super::tier::{Rewriting, Tier};
use crate::table;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The rewriter, to the baseline tier.
    RewriteBaseline,
    /// The rewriter, to the ledger tier; of closed compositions.
    RewriteLedger,
    /// The compiler, of the component as it is.
    Compile,
    /// The compiler, of what the rewriter makes of it in the ledger tier, if it is closed, or else the baseline tier.
    CompileRewritten,
}

impl Kind {
    const ALL: [Self; 4] = [Self::RewriteBaseline, Self::RewriteLedger, Self::Compile, Self::CompileRewritten];

    const fn name(self) -> &'static str {
        match self {
            Self::RewriteBaseline => "rewrite-baseline",
            Self::RewriteLedger => "rewrite-ledger",
            Self::Compile => "compile",
            Self::CompileRewritten => "compile-rewritten",
        }
    }
}

const PAGE: Page = Page {
    name: "load",
    title: "What rewriting adds to compiling",
    each: "each",
    charts: Charts::RatioTo(Kind::Compile.name()),
};

/// Rewrite components, to either tier, and compile them, interleaved in one run.
///
/// Components are of a few kilobytes up to several megabytes: this benchmark's own ones, two stages, all stages
/// composed to one, and the same closed, so that the ledger tier can be had for it, alone and with the code of several.
/// The compiler is Wasmtime with default settings. Figures are medians of samples, in nanoseconds each.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mappable-bench load
  mappable-bench load --within 100KiB --samples 31
  mappable-bench load --report reports
  mappable-bench load --json | jq .summary.rewrite_over_compile")]
pub(crate) struct Args {
    /// How many pipelines the largest component has the code of
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(2..=64), value_name = "N")]
    copies: u8,

    /// Leaves larger components out: bytes, or with KiB or MiB
    #[arg(long, value_parser = size::parse, value_name = "BYTES")]
    within: Option<u64>,

    #[command(flatten)]
    sampling: Sampling,

    #[command(flatten)]
    output: Output,
}

/// What was done to a component. Times are nanoseconds each.
#[derive(Debug, Serialize)]
struct Row {
    method: &'static str,
    case: String,
    bytes: usize,
    #[serde(flatten)]
    time: Spread,
    /// The bytes that come out of the rewriter, or go into the compiler.
    rewritten_bytes: usize,
}

/// Ratios of medians: the most over components. `None` where it was not measured.
#[derive(Debug, Serialize)]
struct Summary {
    /// Rewriting, in either tier, over compiling the same component.
    rewrite_over_compile: Option<f64>,
    /// Of which component.
    rewrite_over_compile_of: Option<String>,
    rewrite_baseline_over_compile: Option<f64>,
    rewrite_ledger_over_compile: Option<f64>,
    /// Compiling what was rewritten over compiling what came: what the rewriter adds is compiled, too.
    compile_rewritten_over_compile: Option<f64>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let samples = components::samples(args.copies.into())?;
    let within = |sample: &Sample| args.within.is_none_or(|most| sample.bytes.len() as u64 <= most);
    let samples: Vec<_> = samples.into_iter().filter(within).collect();
    let progress = ProgressBar::new(samples.len() as u64);
    let mut rows = vec![];
    for sample in &samples {
        let measured = measure(sample, args.sampling);
        rows.extend(measured.with_context(|| sample.name.clone())?);
        progress.inc(1);
    }
    progress.finish_and_clear();
    let summary = Summary::of(&rows);
    args.output.give(&PAGE, rows, summary, print)
}

/// One row for each method, their samples interleaved.
fn measure(sample: &Sample, sampling: Sampling) -> Result<Vec<Row>> {
    let rewriting = Rewriting::new()?;
    let tier = if sample.closed { Tier::Ledger } else { Tier::Baseline };
    let rewritten = rewriting.rewrite(&sample.bytes, tier)?.into_owned();
    let (mut parts, mut lanes) = (vec![], vec![]);
    for kind in Kind::ALL {
        let bytes = sample.bytes.to_vec();
        let (method, len): (Box<dyn Method>, _) = match kind {
            Kind::RewriteLedger if !sample.closed => continue,
            Kind::RewriteBaseline => {
                let len = rewriting.rewrite(&bytes, Tier::Baseline)?.len();
                (Box::new(Rewrite { rewriting: rewriting.clone(), bytes, tier: Tier::Baseline, len, done: 0 }), len)
            }
            Kind::RewriteLedger => {
                let len = rewritten.len();
                (Box::new(Rewrite { rewriting: rewriting.clone(), bytes, tier: Tier::Ledger, len, done: 0 }), len)
            }
            Kind::Compile => (Box::new(Compile::new(bytes)?), sample.bytes.len()),
            Kind::CompileRewritten => (Box::new(Compile::new(rewritten.clone())?), rewritten.len()),
        };
        lanes.push(Lane::new(kind.name(), method, 1, sampling).with_context(|| kind.name())?);
        parts.push((kind, len));
    }
    Lane::measure_all(&mut lanes, sampling)?;
    let row = |((kind, rewritten_bytes), lane): ((Kind, usize), Lane)| {
        let (method, case, bytes) = (kind.name(), sample.name.clone(), sample.bytes.len());
        Ok(Row { method, case, bytes, time: lane.spread()?, rewritten_bytes })
    };
    parts.into_iter().zip(lanes).map(row).collect()
}

/// Rewrites a component, always to as many bytes.
struct Rewrite {
    rewriting: Rewriting,
    bytes: Vec<u8>,
    tier: Tier,
    len: usize,
    done: u64,
}

impl Method for Rewrite {
    fn run(&mut self, rounds: u32) -> Result<u64> {
        for _ in 0..rounds {
            let len = black_box(self.rewriting.rewrite(&self.bytes, self.tier)?).len();
            ensure!(len == self.len, "rewritten to {len} bytes, and before to {}", self.len);
            self.done += 1;
        }
        Ok(self.done)
    }
}

/// Compiles a component.
struct Compile {
    engine: Engine,
    bytes: Vec<u8>,
    done: u64,
}

impl Compile {
    fn new(bytes: Vec<u8>) -> Result<Self> {
        Ok(Self { engine: Engine::new(&Config::new())?, bytes, done: 0 })
    }
}

impl Method for Compile {
    fn run(&mut self, rounds: u32) -> Result<u64> {
        for _ in 0..rounds {
            black_box(Component::from_binary(&self.engine, &self.bytes)?);
            self.done += 1;
        }
        Ok(self.done)
    }
}

impl Summary {
    fn of(rows: &[Row]) -> Self {
        let worst = |kinds: &[Kind]| {
            let ratios = rows.iter().filter_map(|row| {
                kinds.iter().find(|kind| kind.name() == row.method)?;
                Some((row, row.time.ns / time_of(rows, Kind::Compile, &row.case)?))
            });
            ratios.max_by(|a, b| a.1.total_cmp(&b.1))
        };
        let ratio = |kind| worst(&[kind]).map(|(_, ratio)| ratio);
        let rewrite = worst(&[Kind::RewriteBaseline, Kind::RewriteLedger]);
        Self {
            rewrite_over_compile: rewrite.map(|(_, ratio)| ratio),
            rewrite_over_compile_of: rewrite.map(|(row, _)| row.case.clone()),
            rewrite_baseline_over_compile: ratio(Kind::RewriteBaseline),
            rewrite_ledger_over_compile: ratio(Kind::RewriteLedger),
            compile_rewritten_over_compile: ratio(Kind::CompileRewritten),
        }
    }
}

fn time_of(rows: &[Row], kind: Kind, case: &str) -> Option<f64> {
    rows.iter().find(|row| row.method == kind.name() && row.case == case).map(|row| row.time.ns)
}

fn print(rows: &[Row], summary: &Summary) {
    let mut titles = vec!["component".to_owned(), ">bytes".to_owned()];
    titles.extend(Kind::ALL.map(|kind| format!(">{}", kind.name())));
    titles.push(">rewrite ÷ compile".to_owned());
    let mut table = table::new(&titles.iter().map(String::as_str).collect::<Vec<_>>());
    for first in rows.iter().filter(|row| row.method == Kind::RewriteBaseline.name()) {
        let times = Kind::ALL.map(|kind| time_of(rows, kind, &first.case));
        let mut cells = vec![first.case.clone(), table::bytes(first.bytes as u64)];
        cells.extend(times.iter().map(|ns| match ns {
            Some(ns) => table::time(Duration::from_nanos(*ns as u64)),
            None => "-".to_owned(),
        }));
        let [baseline, ledger, compile, _] = times;
        let rewrite = ledger.or(baseline).zip(compile);
        cells.push(rewrite.map_or_else(|| "-".to_owned(), |(rewrite, compile)| table::ratio(rewrite / compile)));
        table.add_row(cells);
    }
    println!("{table}");
    println!("Time each, medians. The compiler is Wasmtime with default settings.");
    if let Some((ratio, case)) = summary.rewrite_over_compile.zip(summary.rewrite_over_compile_of.as_ref()) {
        println!("Rewriting ÷ compiling at most: {} ({case})", table::ratio(ratio));
    }
}
