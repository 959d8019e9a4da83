//! `mappable-bench scale`: times hops, and measures memory, as instances and regions get more.

mod guests;

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::Serialize;

use self::guests::{Load, Maker, ROUNDS_A_TURN};
use super::figures::{Output, Spread};
use super::lane::Sampling;
use super::method::Method;
use super::report::{Charts, Page};
use super::resident::Resident;
use super::tier::Tier;
use crate::{driver, table};

/// What there is more and more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Case {
    /// Regions of a store, one of which is handed over
    Regions,
    /// Instances, each in a store of its own, which take turns
    Instances,
    /// Regions that each component has mapped at once
    Mapped,
    /// Regions that are handed over in turn: once they are more than the views of a memory, the others are remapped
    Thrash,
}

impl Case {
    fn load(self, n: u32) -> Load {
        match self {
            Self::Regions => Load { regions: n, ..Load::ONE },
            Self::Instances => Load { instances: n, ..Load::ONE },
            Self::Mapped => Load { mapped: n, ..Load::ONE },
            Self::Thrash => Load { regions: n, cycle: n, ..Load::ONE },
        }
    }
}

const PAGE: Page = Page {
    name: "scale",
    title: "What a hop costs, and what memory an instance takes, as there are more of everything",
    each: "a hop",
    charts: Charts::OverCount(
        "n",
        &[
            ("regions", "regions"),
            ("instances", "instances"),
            ("mapped", "regions mapped at once"),
            ("thrash", "regions in turn"),
        ],
    ),
};

/// Hand regions of 64 KiB from one component to another and back, while there are more and more regions, instances, or
/// regions mapped at once; and with more regions in turn than a memory has views, so that not all maps are warm.
///
/// A hop is: map, read one cache line, write it, unmap, call the other component. Every hop checks that the one before
/// has left its mark in the region. Both tiers are interleaved in one run. Figures are medians of samples, in
/// nanoseconds a hop. Memory is what the process has more than before, for each instance, once every region has been
/// handed over; pages of regions that no view shows are not counted.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mappable-bench scale
  mappable-bench scale --cases thrash --views 16 --thrash 1,14,18,64
  mappable-bench scale --cases regions,instances --methods ledger --samples 31
  mappable-bench scale --report reports
  mappable-bench scale --json | jq .summary.flatness")]
pub(crate) struct Args {
    /// What there is more and more of
    #[arg(long, value_delimiter = ',', value_enum, default_value = "regions,instances,mapped,thrash")]
    cases: Vec<Case>,

    /// What is compared
    #[arg(long, value_delimiter = ',', value_enum, default_value = "baseline,ledger")]
    methods: Vec<Tier>,

    /// How many regions
    #[arg(long, value_delimiter = ',', default_value = "1,10,100,1000,10000", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    regions: Vec<u32>,

    /// How many instances
    #[arg(long, value_delimiter = ',', default_value = "1,10,100,1000", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    instances: Vec<u32>,

    /// How many regions mapped at once
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8,16", value_parser = clap::value_parser!(u32).range(1..=32))]
    mapped: Vec<u32>,

    /// How many regions in turn
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,120,136,256,1024", value_parser = clap::value_parser!(u32).range(1..=4_096))]
    thrash: Vec<u32>,

    /// How many views a memory may have
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(4..=1_024))]
    views: u32,

    #[command(flatten)]
    sampling: Sampling,

    #[command(flatten)]
    output: Output,
}

/// So many of what the case names. Times are nanoseconds a hop.
#[derive(Debug, Serialize)]
struct Row {
    method: Tier,
    case: Case,
    n: u32,
    #[serde(flatten)]
    time: Spread,
    /// That the library made, for each hop.
    system_calls_a_hop: f64,
    /// That were built, for each hop.
    views_a_hop: f64,
    /// Of an instance.
    resident_bytes: u64,
    page_table_bytes: u64,
}

/// By method and case.
#[derive(Debug, Serialize)]
struct Summary {
    /// The longest warm hop over the shortest.
    flatness: BTreeMap<String, f64>,
    /// A hop with the most regions in turn over one with the fewest.
    thrash_over_warm: BTreeMap<Tier, f64>,
    /// System calls that the library made for each hop with the most regions in turn, and the most in any other case.
    thrash_system_calls_a_hop: BTreeMap<Tier, f64>,
    /// Views that were built for each hop with the most regions in turn.
    thrash_views_a_hop: BTreeMap<Tier, f64>,
    warm_system_calls_a_hop: BTreeMap<Tier, f64>,
    /// Memory that one more region takes, and one instance of the most.
    bytes_a_region: BTreeMap<Tier, f64>,
    bytes_an_instance: BTreeMap<Tier, u64>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let rows = measure(args)?;
    let summary = Summary::of(&rows);
    args.output.give(&PAGE, rows, summary, |rows, summary| print(rows, summary, args))
}

impl Args {
    fn numbers(&self, case: Case) -> &[u32] {
        match case {
            Case::Regions => &self.regions,
            Case::Instances => &self.instances,
            Case::Mapped => &self.mapped,
            Case::Thrash => &self.thrash,
        }
    }
}

fn measure(args: &Args) -> Result<Vec<Row>> {
    let cases: Vec<_> = args.cases.iter().flat_map(|&case| driver::pairs(&[case], args.numbers(case))).collect();
    let name = |(case, n): &(Case, u32)| format!("{} {n}", driver::name(*case));
    driver::each(&cases, name, |&(case, n)| measure_case(case, n, args))
}

/// One row for each method, their samples interleaved.
fn measure_case(case: Case, n: u32, args: &Args) -> Result<Vec<Row>> {
    let load = case.load(n);
    let mut memory = vec![];
    let make = |tier| {
        let maker = Maker::new(tier, load, args.views as usize)?;
        let before = Resident::now()?;
        let instances = maker.make()?;
        let after = Resident::now()?;
        let each = |after: u64, before: u64| after.saturating_sub(before) / u64::from(load.instances);
        memory.push([each(after.resident, before.resident), each(after.page_tables, before.page_tables)]);
        Ok(Some(Box::new(instances) as Box<dyn Method>))
    };
    let per_round = 2 * ROUNDS_A_TURN * load.instances;
    let mut rows = driver::interleaved(&args.methods, args.sampling, per_round, make, |method, lane| {
        let (system_calls_a_hop, views_a_hop) = (lane.system_calls_each(), lane.reservations_each());
        let time = lane.spread()?;
        ensure!(time.ns > 0.0, "no time has passed");
        Ok(Row { method, case, n, time, system_calls_a_hop, views_a_hop, resident_bytes: 0, page_table_bytes: 0 })
    })?;
    for (row, [resident, page_tables]) in rows.iter_mut().zip(memory) {
        (row.resident_bytes, row.page_table_bytes) = (resident, page_tables);
    }
    Ok(rows)
}

impl Summary {
    fn of(rows: &[Row]) -> Self {
        let mut methods: Vec<_> = rows.iter().map(|row| row.method).collect();
        methods.sort_unstable();
        methods.dedup();
        let of = |case: Case, method| {
            let mut rows: Vec<_> = rows.iter().filter(|row| (row.case, row.method) == (case, method)).collect();
            rows.sort_by_key(|row| row.n);
            rows
        };
        let ends = |case: Case, method| Some((*of(case, method).first()?, *of(case, method).last()?));
        let by_method = |figure: &dyn Fn(Tier) -> Option<f64>| {
            methods.iter().filter_map(|method| Some((*method, figure(*method)?))).collect()
        };
        let mut flatness = BTreeMap::new();
        for case in [Case::Regions, Case::Instances, Case::Mapped] {
            for method in &methods {
                let times = || of(case, *method).into_iter().map(|row| row.time.ns);
                if let Some((most, least)) = times().reduce(f64::max).zip(times().reduce(f64::min)) {
                    flatness.insert(format!("{}_{}", driver::name(*method), driver::name(case)), most / least);
                }
            }
        }
        let bytes_an_instance = methods.iter().filter_map(|method| {
            let (_, most) = ends(Case::Instances, *method)?;
            Some((*method, most.resident_bytes))
        });
        Self {
            flatness,
            thrash_over_warm: by_method(&|method| {
                let (least, most) = ends(Case::Thrash, method)?;
                Some(most.time.ns / least.time.ns)
            }),
            thrash_system_calls_a_hop: by_method(&|method| Some(ends(Case::Thrash, method)?.1.system_calls_a_hop)),
            thrash_views_a_hop: by_method(&|method| Some(ends(Case::Thrash, method)?.1.views_a_hop)),
            warm_system_calls_a_hop: by_method(&|method| {
                let warm = rows.iter().filter(|row| row.method == method && row.case != Case::Thrash);
                warm.map(|row| row.system_calls_a_hop).reduce(f64::max)
            }),
            bytes_a_region: by_method(&|method| {
                let (least, most) = ends(Case::Regions, method)?;
                let more = most.resident_bytes.saturating_sub(least.resident_bytes);
                (most.n > least.n).then(|| more as f64 / f64::from(most.n - least.n))
            }),
            bytes_an_instance: bytes_an_instance.collect(),
        }
    }
}

fn print(rows: &[Row], summary: &Summary, args: &Args) {
    let mut titles = vec!["case".to_owned(), ">n".to_owned()];
    for what in ["", ", system calls", ", views built", ", memory", ", page tables"] {
        titles.extend(args.methods.iter().map(|kind| format!(">{}{what}", driver::name(*kind))));
    }
    let mut table = table::new(&titles);
    for rows in rows.chunks(args.methods.len()) {
        let mut cells = vec![driver::name(rows[0].case), rows[0].n.to_string()];
        cells.extend(rows.iter().map(|row| table::time(row.time.ns)));
        cells.extend(rows.iter().map(|row| format!("{:.2}", row.system_calls_a_hop)));
        cells.extend(rows.iter().map(|row| format!("{:.2}", row.views_a_hop)));
        cells.extend(rows.iter().map(|row| table::bytes(row.resident_bytes)));
        cells.extend(rows.iter().map(|row| table::bytes(row.page_table_bytes)));
        table.add_row(cells);
    }
    println!("{table}");
    println!(
        "Time, system calls and views built a hop, medians; memory and page tables an instance. {} views a memory.",
        args.views
    );
    for (name, flatness) in &summary.flatness {
        println!("{}, dearest ÷ cheapest: {}", name.replace('_', ", "), table::ratio(*flatness));
    }
    for (method, ratio) in &summary.thrash_over_warm {
        println!("{}, most regions in turn ÷ fewest: {}", driver::name(*method), table::ratio(*ratio));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(case: Case, n: u32, ns: f64, system_calls_a_hop: f64, resident_bytes: u64) -> Row {
        let time = Spread { ns, ns_min: ns, ns_max: ns };
        let method = Tier::Ledger;
        let views_a_hop = system_calls_a_hop / 8.0;
        Row { method, case, n, time, system_calls_a_hop, views_a_hop, resident_bytes, page_table_bytes: 0 }
    }

    #[test]
    fn a_summary_is_of_ends_and_extremes() {
        let rows = [
            row(Case::Regions, 1, 100.0, 0.0, 1_000),
            row(Case::Regions, 10, 300.0, 0.0, 500),
            row(Case::Regions, 101, 150.0, 0.5, 3_000),
            row(Case::Instances, 1, 100.0, 0.0, 9),
            row(Case::Instances, 10, 100.0, 0.0, 7),
            row(Case::Thrash, 9, 1_000.0, 4.0, 0),
            row(Case::Thrash, 1, 100.0, 0.0, 0),
        ];
        let summary = Summary::of(&rows);
        let expected = [("ledger_instances".to_owned(), 1.0), ("ledger_regions".to_owned(), 3.0)];
        assert_eq!(summary.flatness, BTreeMap::from(expected));
        assert_eq!(summary.thrash_over_warm, BTreeMap::from([(Tier::Ledger, 10.0)]));
        assert_eq!(summary.thrash_system_calls_a_hop, BTreeMap::from([(Tier::Ledger, 4.0)]));
        assert_eq!(summary.thrash_views_a_hop, BTreeMap::from([(Tier::Ledger, 0.5)]));
        assert_eq!(summary.warm_system_calls_a_hop, BTreeMap::from([(Tier::Ledger, 0.5)]));
        assert_eq!(summary.bytes_a_region, BTreeMap::from([(Tier::Ledger, 20.0)]));
        assert_eq!(summary.bytes_an_instance, BTreeMap::from([(Tier::Ledger, 7)]));
    }
}
