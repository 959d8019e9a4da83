//! `mappable-bench load`: times rewriting, beside compiling.

mod components;

use std::hint::black_box;

use anyhow::{Result, ensure};
use serde::Serialize;
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

use self::components::Sample;
use super::figures::{Output, Spread};
use super::lane::Sampling;
use super::method::Method;
use super::report::{Charts, Page};
use super::size;
use super::tier::{Rewriting, Tier};
use crate::{driver, table};

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
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
}

const PAGE: Page =
    Page { name: "load", title: "What rewriting adds to compiling", each: "each", charts: Charts::RatioTo("compile") };

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
    method: Kind,
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
    /// The component.
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
    let rows = driver::each(&samples, |sample| sample.name.clone(), |sample| measure(sample, args.sampling))?;
    let summary = Summary::of(&rows);
    args.output.give(&PAGE, rows, summary, print)
}

/// One row for each method, their samples interleaved.
fn measure(sample: &Sample, sampling: Sampling) -> Result<Vec<Row>> {
    let rewriting = Rewriting::new()?;
    let tier = if sample.closed { Tier::Ledger } else { Tier::Baseline };
    let rewritten = rewriting.rewrite(&sample.bytes, tier)?.into_owned();
    let baseline = rewriting.rewrite(&sample.bytes, Tier::Baseline)?.len();
    let len = |kind| match kind {
        Kind::RewriteBaseline => baseline,
        Kind::RewriteLedger | Kind::CompileRewritten => rewritten.len(),
        Kind::Compile => sample.bytes.len(),
    };
    let make = |kind| {
        let rewrite = |tier| Rewrite {
            rewriting: rewriting.clone(),
            bytes: sample.bytes.to_vec(),
            tier,
            len: len(kind),
            done: 0,
        };
        Ok(Some(match kind {
            Kind::RewriteLedger if !sample.closed => return Ok(None),
            Kind::RewriteBaseline => Box::new(rewrite(Tier::Baseline)) as Box<dyn Method>,
            Kind::RewriteLedger => Box::new(rewrite(Tier::Ledger)),
            Kind::Compile => Box::new(Compile::new(sample.bytes.to_vec())?),
            Kind::CompileRewritten => Box::new(Compile::new(rewritten.clone())?),
        }))
    };
    driver::interleaved(&Kind::ALL, sampling, 1, make, |method, lane| {
        let (case, bytes) = (sample.name.clone(), sample.bytes.len());
        Ok(Row { method, case, bytes, time: lane.spread()?, rewritten_bytes: len(method) })
    })
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
                kinds.contains(&row.method).then_some(())?;
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
    rows.iter().find(|row| row.method == kind && row.case == case).map(|row| row.time.ns)
}

fn print(rows: &[Row], summary: &Summary) {
    let mut titles = vec!["component".to_owned(), ">bytes".to_owned()];
    titles.extend(Kind::ALL.map(|kind| format!(">{}", driver::name(kind))));
    titles.push(">rewrite ÷ compile".to_owned());
    let mut table = table::new(&titles);
    for first in rows.iter().filter(|row| row.method == Kind::RewriteBaseline) {
        let times = Kind::ALL.map(|kind| time_of(rows, kind, &first.case));
        let mut cells = vec![first.case.clone(), table::bytes(first.bytes as u64)];
        cells.extend(times.iter().map(|ns| match ns {
            Some(ns) => table::time(*ns),
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
