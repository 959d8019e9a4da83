//! `mappable-bench open`: times what the host calls with regions: compositions, by their number of stages, and a component
//! alone, by how often it maps.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use mappable::{GRANULE, MappingMode};
use serde::Serialize;

use super::figures::{Output, Spread};
use super::lane::Sampling;
use super::method;
use super::report::{Charts, Page};
use super::tier::{Concurrency, Tier};
use crate::{driver, table};

const PAGE: Page = Page {
    name: "open",
    title: "What a call of a pipeline costs that takes a region and gives it back",
    each: "a call",
    charts: Charts::OverCount("stages", &[]),
};

/// Call a pipeline of components that takes a region from the host and gives it back: each stage maps it, writes one
/// cache line, unmaps it and passes it on. In the baseline tier, and in the ledger tier, where the first stage takes the
/// region over from the engine and the last gives it back; interleaved in one run.
///
/// What the stages have written is counted. Figures are medians of samples, in nanoseconds a call of the whole
/// pipeline.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mappable-bench open
  mappable-bench open --stages 1,6 --concurrency off
  mappable-bench open --report reports
  mappable-bench open --json | jq .summary")]
pub(crate) struct Args {
    /// How many stages pipelines have
    #[arg(long, value_delimiter = ',', default_value = "1,2,3,4,6,8,16",
        value_parser = clap::value_parser!(u32).range(1..=64))]
    stages: Vec<u32>,

    /// How often a component alone maps in each call
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8,16",
        value_parser = clap::value_parser!(u32).range(1..=1024))]
    maps: Vec<u32>,

    /// Wasmtime's concurrency support, which is on by default there
    #[arg(long, value_delimiter = ',', value_enum, default_value = "off,on")]
    concurrency: Vec<Concurrency>,

    #[command(flatten)]
    sampling: Sampling,

    #[command(flatten)]
    output: Output,
}

/// What is called.
#[derive(Clone, Copy, Debug)]
enum Called {
    Pipeline { stages: u32 },
    Alone { maps: u32 },
}

/// A pipeline, or a component alone. Times are nanoseconds a call.
#[derive(Debug, Serialize)]
struct Row {
    method: Tier,
    case: String,
    bytes: u64,
    /// Or maps, of a component alone.
    stages: u32,
    #[serde(flatten)]
    time: Spread,
}

/// By case.
#[derive(Debug, Serialize)]
struct Summary {
    /// Medians, by stages: `concurrency off`, `6`.
    baseline_over_ledger: BTreeMap<String, BTreeMap<u32, f64>>,
    /// What one stage more costs, from the fewest to the most.
    ns_a_stage: BTreeMap<String, BTreeMap<Tier, f64>>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let rows = measure(args)?;
    let summary = Summary::of(&rows);
    args.output.give(&PAGE, rows, summary, print)
}

fn measure(args: &Args) -> Result<Vec<Row>> {
    let pipelines = args.stages.iter().map(|&stages| Called::Pipeline { stages });
    let called: Vec<_> = pipelines.chain(args.maps.iter().map(|&maps| Called::Alone { maps })).collect();
    let cases = driver::pairs(&args.concurrency, &called);
    let name = |(_, called): &(_, Called)| format!("{called:?}");
    driver::each(&cases, name, |&(concurrency, called)| {
        let on = concurrency == Concurrency::On;
        let (stages, case) = match called {
            Called::Pipeline { stages } => (stages, concurrency.case().to_owned()),
            Called::Alone { maps } => (maps, format!("alone, {}", concurrency.case())),
        };
        let make = |tier| {
            let made = match called {
                Called::Pipeline { stages } => method::pipeline(tier, MappingMode::Auto, on, stages),
                Called::Alone { maps } => method::alone(tier, MappingMode::Auto, on, maps),
            };
            made.map(Some)
        };
        driver::interleaved(&Tier::ALL, args.sampling, 1, make, |method, lane| {
            Ok(Row { method, case: case.clone(), bytes: GRANULE, stages, time: lane.spread()? })
        })
    })
}

impl Summary {
    fn of(rows: &[Row]) -> Self {
        let mut summary = Self { baseline_over_ledger: BTreeMap::new(), ns_a_stage: BTreeMap::new() };
        let of = |tier: Tier, case: &str| {
            let rows = rows.iter().filter(move |row| row.method == tier && row.case == case);
            rows.map(|row| (row.stages, row.time.ns)).collect::<BTreeMap<_, _>>()
        };
        let cases: BTreeSet<_> = rows.iter().map(|row| row.case.as_str()).collect();
        for case in cases {
            let [baseline, ledger] = Tier::ALL.map(|tier| of(tier, case));
            let ratios = baseline.iter().filter_map(|(stages, ns)| Some((*stages, ns / ledger.get(stages)?)));
            let ratios: BTreeMap<_, _> = ratios.collect();
            let slope = |(tier, times): (Tier, BTreeMap<u32, f64>)| {
                let ((few, less), (many, more)) = times.first_key_value().zip(times.last_key_value())?;
                (few < many).then(|| (tier, (more - less) / f64::from(many - few)))
            };
            let slopes = Tier::ALL.into_iter().zip([baseline, ledger]).filter_map(slope).collect();
            if !ratios.is_empty() {
                summary.baseline_over_ledger.insert(case.to_owned(), ratios);
                summary.ns_a_stage.insert(case.to_owned(), slopes);
            }
        }
        summary
    }
}

fn print(rows: &[Row], summary: &Summary) {
    let mut table = table::new(&["case", ">stages or maps", ">baseline", ">ledger", ">baseline ÷ ledger"]);
    for pair in rows.chunks(2) {
        let mut cells = vec![pair[0].case.clone(), pair[0].stages.to_string()];
        cells.extend(pair.iter().map(|row| table::time(row.time.ns)));
        cells.push(table::ratio(pair[0].time.ns / pair[1].time.ns));
        table.add_row(cells);
    }
    println!("{table}");
    println!("Time a call of the whole pipeline, or of a component alone by how often it maps, medians.");
    for (case, slopes) in &summary.ns_a_stage {
        for (tier, ns) in slopes {
            let method = driver::name(*tier);
            println!("One more, {method}, {case}: {ns:.0} ns");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_ratios_and_what_a_stage_costs() {
        let row = |tier: Tier, stages: u32, ns: f64| {
            let time = Spread { ns, ns_min: ns, ns_max: ns };
            Row { method: tier, case: "concurrency off".to_owned(), bytes: GRANULE, stages, time }
        };
        let rows = [
            row(Tier::Baseline, 1, 500.0),
            row(Tier::Ledger, 1, 400.0),
            row(Tier::Baseline, 5, 2500.0),
            row(Tier::Ledger, 5, 800.0),
        ];
        let summary = Summary::of(&rows);
        assert_eq!(summary.baseline_over_ledger["concurrency off"], BTreeMap::from([(1, 1.25), (5, 3.125)]));
        assert_eq!(
            summary.ns_a_stage["concurrency off"],
            BTreeMap::from([(Tier::Baseline, 500.0), (Tier::Ledger, 100.0)])
        );
    }
}
