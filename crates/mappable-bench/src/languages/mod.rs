//! `mappable-bench languages`: times one stage in several languages, by regions and by lists, hand-over and work apart.

mod stage;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use mappable::{CompileCache, GRANULE, Runtime};
use serde::Serialize;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::figures::{Output, Spread};
use super::lane::Sampling;
use super::method::Method;
use super::report::{Charts, Page};
use crate::{driver, size, table};
use stage::{Lists, Part, Regions};

/// What a stage is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Language {
    Rust,
    C,
    Zig,
    Go,
    Python,
    Javascript,
}

/// How a stage has its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Way {
    /// It is handed a region, on this project's runtime.
    Regions,
    /// It is passed a `list<u8>` and returns one, on stock Wasmtime.
    Lists,
}

impl Way {
    const ALL: [Self; 2] = [Self::Regions, Self::Lists];

    fn suffix(self) -> &'static str {
        match self {
            Self::Regions => "",
            Self::Lists => "-lists",
        }
    }
}

const PAGE: Page = Page {
    name: "languages",
    title: "A stage that inverts bytes, in several languages",
    each: "a call",
    charts: Charts::RatioTo("rust"),
};

/// What compiled components may take in the cache.
const CACHED_BYTES: u64 = 1 << 30;

/// Call the same stage, which inverts each byte of a gray picture, in several languages: by a region on mappable and by a
/// list on stock Wasmtime. The languages are interleaved in one run.
///
/// Components are files of a folder: LANGUAGE.wasm of the world `mappable:stage/stage`, and LANGUAGE-lists.wasm of
/// `mappable:stage/copying-stage`. `.ci/languages` makes them. What has no file is named and not measured. `hand-over` is a call
/// with all bytes of which the stage inverts one: mapping or copying. `whole` is a call that inverts all. What the stage has done
/// is checked. Figures are medians of samples, in nanoseconds a call.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mappable-bench languages --guests target/languages
  mappable-bench languages --guests target/languages --sizes 1MiB --require rust,python
  mappable-bench languages --guests target/languages --json | jq .rows")]
pub(crate) struct Args {
    /// The folder that has the components
    #[arg(long, value_name = "DIR")]
    guests: PathBuf,

    /// Numbers of bytes: squares of powers of two from 64 KiB on
    #[arg(long, value_delimiter = ',', value_parser = size::parse, default_value = "64KiB,1MiB,64MiB")]
    sizes: Vec<u64>,

    /// Fail if the stage of one of these that is handed a region is missing
    #[arg(long, value_delimiter = ',', value_name = "LANGUAGE,…")]
    require: Vec<Language>,

    /// Where compiled components are kept for the next run; those that are passed lists are compiled each time
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,

    #[command(flatten)]
    sampling: Sampling,

    #[command(flatten)]
    output: Output,
}

/// Times are nanoseconds a call.
#[derive(Debug, Serialize)]
struct Row {
    method: Language,
    /// The way and the part.
    case: String,
    bytes: u64,
    #[serde(flatten)]
    time: Spread,
}

#[derive(Debug, Serialize)]
struct Summary {
    /// Files that are not there.
    not_measured: Vec<String>,
}

/// A stage that was compiled.
struct Compiled {
    language: Language,
    component: Component,
}

pub(super) fn run(args: &Args) -> Result<()> {
    size::check(&args.sizes, "squares of powers of two from 64 KiB on", |bytes| {
        bytes >= GRANULE && bytes.is_power_of_two() && bytes.trailing_zeros() % 2 == 0
    })?;
    let mut runtime = Runtime::builder();
    if let Some(folder) = &args.cache {
        runtime = runtime.compile_cache(CompileCache::new(folder, CACHED_BYTES)?);
    }
    let runtime = runtime.build()?;
    let stock = Engine::default();
    let mut not_measured = vec![];
    let regions = compiled(args, Way::Regions, &mut not_measured, |bytes| Ok(runtime.compile(bytes)?))?;
    let lists = compiled(args, Way::Lists, &mut not_measured, |bytes| Ok(Component::new(&stock, bytes)?))?;
    for missing in &not_measured {
        eprintln!("NOT MEASURED: {}", args.guests.join(missing).display());
    }
    for language in &args.require {
        let is_there = regions.iter().any(|it| it.language == *language);
        ensure!(is_there, "{} has no {}.wasm, which was required", args.guests.display(), driver::name(*language));
    }
    ensure!(!regions.is_empty() || !lists.is_empty(), "{} has no stage in any language", args.guests.display());

    let ways = [(Way::Regions, &regions), (Way::Lists, &lists)];
    let parts = [Part::HandOver, Part::Whole];
    let of_size = |&bytes| driver::pairs(&ways, &parts).into_iter().map(move |(way, part)| (bytes, way, part));
    let cases: Vec<_> = args.sizes.iter().flat_map(of_size).collect();
    let name = |(bytes, (way, _), part): &(u64, (Way, _), Part)| format!("{}, {bytes} bytes", case(*way, *part));
    let rows = driver::each(&cases, name, |&(bytes, (way, stages), part)| {
        let languages: Vec<_> = stages.iter().map(|it| it.language).collect();
        let make = |language| {
            let stage = stages.iter().find(|it| it.language == language).context("it was compiled")?;
            Ok(Some(match way {
                Way::Regions => Box::new(Regions::new(&runtime, &stage.component, bytes, part)?) as Box<dyn Method>,
                Way::Lists => Box::new(Lists::new(&stock, &stage.component, bytes, part)?),
            }))
        };
        driver::interleaved(&languages, args.sampling, 1, make, |method, lane| {
            Ok(Row { method, case: case(way, part), bytes, time: lane.spread()? })
        })
    })?;
    args.output.give(&PAGE, rows, Summary { not_measured }, print)
}

/// Those languages that have a file, compiled. The names of the files that are not there are added to `missing`.
fn compiled(
    args: &Args,
    way: Way,
    missing: &mut Vec<String>,
    compile: impl Fn(&[u8]) -> Result<Component>,
) -> Result<Vec<Compiled>> {
    let mut all = vec![];
    for &language in <Language as clap::ValueEnum>::value_variants() {
        let name = format!("{}{}.wasm", driver::name(language), way.suffix());
        let path = args.guests.join(&name);
        if !path.exists() {
            missing.push(name);
            continue;
        }
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        all.push(Compiled { language, component: compile(&bytes).with_context(|| path.display().to_string())? });
    }
    Ok(all)
}

fn case(way: Way, part: Part) -> String {
    format!("{}, {part}", driver::name(way))
}

fn print(rows: &[Row], summary: &Summary) {
    let mut table = table::new(&["bytes", "by", "language", ">hand-over", ">work", ">whole call"]);
    for whole in rows.iter().filter(|row| row.case.ends_with(&Part::Whole.to_string())) {
        let Some(way) = Way::ALL.into_iter().find(|way| case(*way, Part::Whole) == whole.case) else { continue };
        let is_its = |row: &&Row| {
            row.case == case(way, Part::HandOver) && row.bytes == whole.bytes && row.method == whole.method
        };
        let Some(hand_over) = rows.iter().find(is_its) else { continue };
        let work = (whole.time.ns - hand_over.time.ns).max(0.0);
        table.add_row([
            size::human(whole.bytes),
            driver::name(way),
            driver::name(whole.method),
            table::time(hand_over.time.ns),
            table::time(work),
            table::time(whole.time.ns),
        ]);
    }
    println!("{table}");
    println!(
        "Medians a call. Hand-over is a call that inverts one byte of all, work is what a call that inverts all takes more."
    );
    println!("By lists the stage in Rust gives that one byte back alone, so its hand-over is one way.");
    for missing in &summary.not_measured {
        println!("NOT MEASURED: {missing}");
    }
}
