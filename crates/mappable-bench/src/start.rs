//! `mappable-bench start`: times the start of a host, with nothing compiled yet and with all of it kept.

use std::path::Path;

use anyhow::{Context, Result};
use mappable::{CompileCache, Runtime};
use serde::Serialize;
use tempfile::TempDir;
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

use super::figures::{Output, Spread};
use super::lane::Sampling;
use super::method::Method;
use super::report::{Charts, Page};
use super::stages::{PIPELINE, STEP};
use crate::{driver, table};

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// A stock engine, which compiles.
    Stock,
    /// A runtime whose cache is empty.
    First,
    /// A runtime that finds all in the cache.
    Second,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Stock, Self::First, Self::Second];
}

const PAGE: Page =
    Page { name: "start", title: "What the start of a host takes", each: "each", charts: Charts::RatioTo("stock") };

/// What all components together may take in the cache: far more than they do.
const CACHED_BYTES: u64 = 8 << 30;

/// Start a host: make its engine and have its components ready, interleaved in one run.
///
/// Components are the image stages, in turn, no two of them the same bytes. `stock` is Wasmtime with default settings, which
/// compiles them as they are. `first` and `second` are a runtime with a compile cache in a folder of its own, empty and
/// full. Figures are medians of samples, in nanoseconds for all components.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mappable-bench start
  mappable-bench start --components 100 --samples 3
  mappable-bench start --json | jq .summary")]
pub(crate) struct Args {
    /// How many components the host has
    #[arg(long, value_delimiter = ',', default_value = "1,6", value_name = "N,…")]
    components: Vec<usize>,

    #[command(flatten)]
    sampling: Sampling,

    #[command(flatten)]
    output: Output,
}

/// What a start took, in nanoseconds.
#[derive(Debug, Serialize)]
struct Row {
    method: Kind,
    components: usize,
    #[serde(flatten)]
    time: Spread,
}

/// Ratios of medians, the most over numbers of components.
#[derive(Debug, Serialize)]
struct Summary {
    first_over_stock: Option<f64>,
    second_over_stock: Option<f64>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let name = |components: &usize| format!("{components} components");
    let rows = driver::each(&args.components, name, |components| measure(*components, args.sampling))?;
    let most = |kind| {
        let ratios = rows.iter().filter(|row| row.method == kind);
        ratios.filter_map(|row| Some(row.time.ns / time_of(&rows, Kind::Stock, row.components)?)).max_by(f64::total_cmp)
    };
    let summary = Summary { first_over_stock: most(Kind::First), second_over_stock: most(Kind::Second) };
    args.output.give(&PAGE, rows, summary, print)
}

fn measure(number: usize, sampling: Sampling) -> Result<Vec<Row>> {
    let make = |kind| {
        let components = components(number);
        Ok(Some(match kind {
            Kind::Stock => Box::new(Stock { components, done: 0 }) as Box<dyn Method>,
            Kind::First => Box::new(Cached { components, kept: None, done: 0 }),
            Kind::Second => Box::new(Cached { components, kept: Some(tempfile::tempdir()?), done: 0 }),
        }))
    };
    driver::interleaved(&Kind::ALL, sampling, 1, make, |method, lane| {
        Ok(Row { method, components: number, time: lane.spread()? })
    })
}

/// So many stages; a custom section with a number makes each another component.
fn components(number: usize) -> Vec<Vec<u8>> {
    let stages = PIPELINE.iter().cycle().take(number).enumerate();
    let numbered = |(number, stage): (usize, &super::stages::Stage)| {
        let number = format!("{number:08}");
        [stage.bytes, &[0, 1 + number.len() as u8, 0], number.as_bytes()].concat()
    };
    stages.map(numbered).collect()
}

struct Stock {
    components: Vec<Vec<u8>>,
    done: u64,
}

impl Method for Stock {
    fn run(&mut self, rounds: u32) -> Result<u64> {
        for _ in 0..rounds {
            let engine = Engine::new(&Config::new())?;
            ready(&self.components, |bytes| Ok(Component::from_binary(&engine, bytes)?))?;
            self.done += 1;
        }
        Ok(self.done)
    }
}

struct Cached {
    components: Vec<Vec<u8>>,
    /// The folder that lasts from start to start; without it each start has a new one.
    kept: Option<TempDir>,
    done: u64,
}

impl Cached {
    fn start(&self, folder: &Path) -> Result<()> {
        let cache = CompileCache::new(folder, CACHED_BYTES)?;
        let runtime = Runtime::builder().compile_cache(cache).build()?;
        ready(&self.components, |bytes| Ok(runtime.compile(bytes)?))
    }
}

impl Method for Cached {
    fn run(&mut self, rounds: u32) -> Result<u64> {
        for _ in 0..rounds {
            match &self.kept {
                Some(kept) => self.start(kept.path())?,
                None => self.start(tempfile::tempdir()?.path())?,
            }
            self.done += 1;
        }
        Ok(self.done)
    }
}

/// Has all of these ready: each is a stage.
fn ready(components: &[Vec<u8>], component: impl Fn(&[u8]) -> Result<Component>) -> Result<()> {
    let ready: Vec<_> = components.iter().map(|bytes| component(bytes)).collect::<Result<_>>()?;
    for component in &ready {
        component.get_export_index(None, STEP).context("a component is no stage")?;
    }
    Ok(())
}

fn time_of(rows: &[Row], kind: Kind, components: usize) -> Option<f64> {
    rows.iter().find(|row| row.method == kind && row.components == components).map(|row| row.time.ns)
}

fn print(rows: &[Row], summary: &Summary) {
    let mut titles = vec![">components".to_owned()];
    titles.extend(Kind::ALL.map(|kind| format!(">{}", driver::name(kind))));
    titles.push(">second ÷ stock".to_owned());
    let mut table = table::new(&titles);
    for first in rows.iter().filter(|row| row.method == Kind::Stock) {
        let times = Kind::ALL.map(|kind| time_of(rows, kind, first.components));
        let cell = |ns: Option<f64>, show: fn(f64) -> String| ns.map_or_else(|| "-".to_owned(), show);
        let mut cells = vec![first.components.to_string()];
        cells.extend(times.map(|ns| cell(ns, table::time)));
        let [stock, _, second] = times;
        cells.push(cell(second.zip(stock).map(|(second, stock)| second / stock), table::ratio));
        table.add_row(cells);
    }
    println!("{table}");
    println!("Time for all components, medians. Stock is Wasmtime with default settings.");
    if let Some((first, second)) = summary.first_over_stock.zip(summary.second_over_stock) {
        println!("A first start at most: {} of stock's, a second: {}", table::ratio(first), table::ratio(second));
    }
}
