//! `mappable-bench cores`: measures what a core more gives.

mod cases;
mod guests;

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use self::cases::{Sample, Subject};
use self::guests::Maker;
use super::figures::{Output, Spread};
use super::report::{Charts, Page};
use crate::{driver, table};

const PAGE: Page =
    Page { name: "cores", title: "What a core more gives", each: "a run", charts: Charts::OverCount("workers", &[]) };

/// For so many cores the time is worked out on paper.
const ON_PAPER: [u32; 6] = [2, 4, 8, 16, 32, 64];

/// Image stages on one core and on several, by `mappable::workers`: a picture in parts that are changed in place, one that is
/// made from another by rows, and many pictures through the demo's pipeline: each on one core, or some stages on each.
///
/// Runs of different numbers of workers take turns, and each run's pictures are compared with those of one instance. Times are
/// medians: by the clock, and of the threads' own time on a core. By the clock a run is as long as the machine lets it be: where
/// others use its cores, by so much longer. By threads' time it is as long as the worker that works most, and what the caller does
/// alone: that is what an idle machine with as many cores would take, but for the time to wake threads.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mappable-bench cores
  mappable-bench cores --workers 1,2,4,8 --cases rows --size 7680x4320
  mappable-bench cores --json | jq .summary")]
pub(crate) struct Args {
    /// The picture's size in pixels, of four bytes each
    #[arg(long, value_name = "WxH", default_value = "3840x2160", value_parser = dimensions)]
    size: (u32, u32),

    /// How many workers; 1 is always measured
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_parser = clap::value_parser!(u32).range(1..=256))]
    workers: Vec<u32>,

    /// What is done
    #[arg(long, value_delimiter = ',', value_enum, default_value = "pixels,rows,pictures,pipeline")]
    cases: Vec<Case>,

    /// How many pictures go through the pipeline in a run, half as wide and half as high
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pictures: u32,

    /// Runs of each number of workers
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,

    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Case {
    /// A picture inverted in place, in parts
    Pixels,
    /// A picture blurred into another, by rows: all read the one, each owns a part of the other
    Rows,
    /// Pictures through six stages, each picture on one core
    Pictures,
    /// Pictures through six stages, on as many threads as there are workers (six at most), which have some stages each
    Pipeline,
}

fn dimensions(text: &str) -> Result<(u32, u32), String> {
    let sides = text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    let fits = |(width, height): &(u32, u32)| (16..=16_384).contains(width) && (16..=16_384).contains(height);
    sides.filter(fits).ok_or_else(|| "expected WIDTHxHEIGHT, each from 16 to 16384".to_owned())
}

/// Runs of so many workers. Times are nanoseconds.
#[derive(Debug, Serialize)]
struct Row {
    /// Whose: for the chart.
    method: Case,
    case: &'static str,
    bytes: u64,
    workers: u32,
    #[serde(flatten)]
    time: Spread,
    /// Threads' own time: of all workers, of the one that worked most, and of the caller.
    ns_cpu_all: f64,
    ns_cpu_longest: f64,
    ns_cpu_caller: f64,
}

impl Row {
    fn of(case: Case, bytes: u64, workers: u32, samples: &[Sample]) -> Result<Self> {
        let median = |of: fn(&Sample) -> std::time::Duration| {
            Spread::of(samples.iter().map(|sample| of(sample).as_nanos() as f64).collect())
        };
        Ok(Self {
            method: case,
            case: "run",
            bytes,
            workers,
            time: median(|sample| sample.wall)?,
            ns_cpu_all: median(|sample| sample.cpu_all)?.ns,
            ns_cpu_longest: median(|sample| sample.cpu_longest)?.ns,
            ns_cpu_caller: median(|sample| sample.cpu_caller)?.ns,
        })
    }

    /// What a run would take on a machine that does nothing else.
    fn alone(&self) -> f64 {
        self.ns_cpu_longest + self.ns_cpu_caller
    }
}

/// What more workers gave in one case, and what still more would give.
#[derive(Debug, Serialize)]
struct Summary {
    case: Case,
    /// Time of one worker over that of all together, by number of workers: 1 is a core's worth for each core.
    efficiency: BTreeMap<u32, f64>,
    /// The same by threads' own time.
    efficiency_cpu: BTreeMap<u32, f64>,
    /// The part of one worker's run that is not shared out, with the most workers.
    serial: f64,
    /// By how much the work itself takes longer with the most workers: caches and the kernel are shared.
    inflation: f64,
    /// How many times as fast so many cores would be, by Amdahl's law with the two numbers above.
    on_paper: BTreeMap<u32, f64>,
}

impl Summary {
    fn of(case: Case, rows: &[Row]) -> Option<Self> {
        let rows: Vec<_> = rows.iter().filter(|row| row.method == case).collect();
        let one = rows.iter().find(|row| row.workers == 1)?;
        let most = rows.iter().max_by_key(|row| row.workers)?;
        let over = |of: fn(&Row) -> f64| {
            let efficiency = |row: &&Row| (row.workers, of(one) / (f64::from(row.workers) * of(row)));
            rows.iter().map(efficiency).collect()
        };
        let serial = most.ns_cpu_caller / one.alone();
        let inflation = most.ns_cpu_all / one.ns_cpu_all;
        let on_paper = |cores: u32| (cores, amdahl(serial, inflation, cores));
        Some(Self {
            case,
            efficiency: over(|row| row.time.ns),
            efficiency_cpu: over(Row::alone),
            serial,
            inflation,
            on_paper: ON_PAPER.into_iter().map(on_paper).collect(),
        })
    }
}

/// How many times as fast so many cores are, of which one alone does the `serial` part, and to whom the rest takes so many times as long.
fn amdahl(serial: f64, inflation: f64, cores: u32) -> f64 {
    1.0 / (serial + (1.0 - serial) * inflation.max(1.0) / f64::from(cores))
}

pub(super) fn run(args: &Args) -> Result<()> {
    let mut workers = [&[1], &args.workers[..]].concat();
    workers.sort_unstable();
    workers.dedup();
    let maker = Maker::new()?;
    let mut subject = Subject::new(&maker, args.size, args.pictures as usize)?;
    let rows = driver::each(
        &args.cases,
        |case| driver::name(*case),
        |&case| {
            let mut teams = vec![];
            for &count in &workers {
                teams.extend(subject.team(case, count as usize)?.map(|team| (count, team, vec![])));
            }
            // Until views are there, and threads have run.
            for (_, team, _) in &mut teams {
                (0..3).try_for_each(|_| subject.run(case, team).map(drop))?;
            }
            for _ in 0..args.samples {
                for (_, team, samples) in &mut teams {
                    samples.push(subject.run(case, team)?);
                }
            }
            let row = |(count, _, samples): (u32, _, Vec<_>)| Row::of(case, subject.bytes(case), count, &samples);
            teams.into_iter().map(row).collect()
        },
    )?;
    let summary: Vec<_> = args.cases.iter().filter_map(|case| Summary::of(*case, &rows)).collect();
    args.output.give(&PAGE, rows, summary, |rows, summary| print(args, rows, summary))
}

fn print(args: &Args, rows: &[Row], summary: &[Summary]) {
    let mut times = table::new(&[
        "case",
        ">workers",
        ">by the clock",
        ">efficiency",
        ">longest worker",
        ">caller",
        ">efficiency by threads' time",
    ]);
    for row in rows {
        let of = summary.iter().find(|summary| summary.case == row.method);
        let efficiency = |by: fn(&Summary) -> &BTreeMap<u32, f64>| {
            let found = of.and_then(|summary| by(summary).get(&row.workers));
            found.map_or_else(String::new, |efficiency| format!("{efficiency:.2}"))
        };
        times.add_row([
            driver::name(row.method),
            row.workers.to_string(),
            table::time(row.time.ns),
            efficiency(|summary| &summary.efficiency),
            table::time(row.ns_cpu_longest),
            table::time(row.ns_cpu_caller),
            efficiency(|summary| &summary.efficiency_cpu),
        ]);
    }
    let titles = ["case", ">not shared out", ">work takes"].into_iter().map(str::to_owned);
    let titles: Vec<String> = titles.chain(ON_PAPER.map(|cores| format!(">{cores} cores"))).collect();
    let mut paper = table::new(&titles);
    for Summary { case, serial, inflation, on_paper, .. } in summary {
        let mut cells = vec![driver::name(*case), format!("{:.2}%", serial * 100.0), format!("{inflation:.2}x")];
        cells.extend(on_paper.values().map(|times| format!("{times:.1}x")));
        paper.add_row(cells);
    }
    let (width, height) = args.size;
    println!("{times}\n\n{paper}\n");
    println!(
        "A picture of {width}x{height}, and {} of a quarter of that. Medians of {} runs.",
        args.pictures, args.samples
    );
    println!(
        "What is not shared out is what the caller's thread does: freeze, split, wake, join. More cores are on paper: by"
    );
    println!("Amdahl's law, with memory as fast for all as it is for those that were measured.");
    println!(
        "In a pipeline the first picture passes all threads before the last one works, and the last one, after the first has ended."
    );
    println!("By list<u8> each part would be copied into a guest and out of it: twice a picture, in each stage.");
}

#[cfg(test)]
mod tests {
    use super::amdahl;

    #[test]
    fn more_cores_are_no_faster_than_what_is_not_shared_out_allows() {
        assert!((amdahl(0.0, 1.0, 8) - 8.0).abs() < 1e-9);
        assert!((amdahl(0.5, 1.0, 64) - 1.0 / (0.5 + 0.5 / 64.0)).abs() < 1e-9);
        assert!((amdahl(0.0, 2.0, 4) - 2.0).abs() < 1e-9);
    }
}
