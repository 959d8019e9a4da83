//! `mappable-bench share`: measures many instances that read the same bytes.

mod guests;
mod subject;
mod team;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use mappable::GRANULE;
use serde::Serialize;

use self::guests::{Copying, CopyingMaker, Mapping, MappingMaker};
use self::subject::Subject;
use self::team::Team;
use super::figures::{Output, Spread, geometric_mean};
use super::report::{Charts, Page};
use super::resident::{More, Resident};
use super::size;
use crate::{driver, table};

/// What an instance may add to one copy.
const ALLOWED_AN_INSTANCE: u64 = 256 << 10;

/// Less than that is in no huge page.
const HUGE_PAGE: u64 = 2 << 20;

const PAGE: Page = Page {
    name: "share",
    title: "What it costs that many instances read the same bytes",
    each: "an instance",
    charts: Charts::OverCount("instances", &[]),
};

/// One frozen region that many instances map and read, against as many instances that were each passed a copy as a
/// `list<u8>`, on an engine with default settings.
///
/// Each instance has a store of its own. Threads share the instances, and work at once. Every read sums up all bytes,
/// which is checked. Figures are medians: of instances for mapping and copying, of passes over all instances, by all
/// threads, for reading. What memory the process has is looked at when all instances have mapped the region and read
/// all of it: over what it had before the region and they were made, each page counted once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mappable-bench share
  mappable-bench share --size 1GiB --instances 1,8,100,1000 --copies-within 8GiB
  mappable-bench share --methods frozen,frozen-huge --size 256MiB
  mappable-bench share --report reports
  mappable-bench share --json | jq .summary.memory")]
pub(crate) struct Args {
    /// Size of the region, in whole granules of 64 KiB: bytes, or with KiB, MiB or GiB
    #[arg(long, value_parser = size::parse, default_value = "64MiB")]
    size: u64,

    /// How many instances
    #[arg(long, value_delimiter = ',', default_value = "1,10,100,1000", value_parser = clap::value_parser!(u32).range(1..=2_000))]
    instances: Vec<u32>,

    /// What is compared
    #[arg(long, value_delimiter = ',', value_enum, default_value = "frozen,frozen-huge,list-u8")]
    methods: Vec<Method>,

    /// Threads that the instances are shared out to
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    threads: u32,

    /// Passes over all instances
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,

    /// Memory that copies may take together: where they would take more, only the region is measured
    #[arg(long, value_name = "SIZE", value_parser = size::parse, default_value = "1GiB")]
    copies_within: u64,

    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Method {
    /// One frozen region, which all map
    Frozen,
    /// The same in huge pages (`Frozen::collapse`), where it is of 2 MiB or more and the system has them
    FrozenHuge,
    /// A copy for each, on an engine with default settings
    ListU8,
}

/// What so many instances do. Times are nanoseconds for one of them; of reads, those of a pass over all instances,
/// divided by how many they are.
#[derive(Debug, Serialize)]
struct Row {
    method: Method,
    case: &'static str,
    bytes: u64,
    instances: u32,
    #[serde(flatten)]
    time: Spread,
}

/// What memory the process has for so many instances and what they read, in bytes.
#[derive(Debug, Serialize)]
struct Memory {
    method: Method,
    instances: u32,
    #[serde(flatten)]
    takes: More,
    /// `resident` over one copy.
    over_one_copy: i64,
    over_one_copy_an_instance: i64,
    /// 2% of one copy, and 256 KiB an instance.
    allowed: u64,
}

#[derive(Debug, Serialize)]
struct Summary {
    memory: Vec<Memory>,
    /// Whether a frozen region's memory is within what is allowed, for every number of instances.
    within_allowed: bool,
    /// Bytes that all threads read in a second, by the median pass, for the most instances.
    bytes_per_second: BTreeMap<Method, f64>,
    /// Time to read the region over time to read copies, geometric mean of the numbers of instances that had both.
    read_over_copies: BTreeMap<Method, f64>,
    /// How long it took to move the region into huge pages.
    collapse_ns: Option<f64>,
}

/// What is measured with.
struct Bench<'a> {
    args: &'a Args,
    mapping: MappingMaker,
    copying: CopyingMaker,
    /// One for each method that maps.
    subjects: Vec<(Method, Subject)>,
    rows: Vec<Row>,
    memory: Vec<Memory>,
}

/// Instances that work at once.
enum Instances {
    Map(Team<Mapping>),
    Copy(Team<Copying>),
}

pub(super) fn run(args: &Args) -> Result<()> {
    let fits = |size: u64| size.is_multiple_of(GRANULE) && (GRANULE..=1 << 30).contains(&size);
    size::check(&[args.size], "whole granules of 64 KiB, up to 1 GiB", fits)?;
    let mut bench = Bench::new(args)?;
    let name = |instances: &u32| format!("{instances} instances");
    driver::each(&args.instances, name, |&instances| bench.measure(instances).map(|()| Vec::<Row>::new()))?;
    let summary = bench.summary();
    args.output.give(&PAGE, bench.rows, summary, |rows, summary| print(args, rows, summary))
}

impl<'a> Bench<'a> {
    fn new(args: &'a Args) -> Result<Self> {
        let most = args.instances.iter().max().copied().unwrap_or(1) as usize;
        let mapping = MappingMaker::new(args.size, 2 * most)?;
        let mut subjects = vec![];
        for (method, huge) in [(Method::Frozen, false), (Method::FrozenHuge, true)] {
            // Copies are made from the first of them, too.
            if !huge || (args.methods.contains(&method) && args.size >= HUGE_PAGE) {
                subjects.extend(Subject::new(&mapping.runtime, args.size, huge)?.map(|subject| (method, subject)));
            }
        }
        Ok(Self { args, copying: CopyingMaker::new(args.size)?, mapping, subjects, rows: vec![], memory: vec![] })
    }

    fn measure(&mut self, instances: u32) -> Result<()> {
        let mut teams = vec![];
        for method in self.args.methods.clone() {
            teams.extend(self.begin(method, instances)?.map(|team| (method, team, vec![])));
        }
        for _ in 0..self.args.samples {
            for (method, team, passes) in &mut teams {
                passes.push(self.read(*method, team, instances)?);
            }
        }
        teams.into_iter().try_for_each(|(method, _, passes)| self.row(method, "read", instances, passes))
    }

    /// Makes the instances, and has each read all bytes for the first time.
    fn begin(&mut self, method: Method, instances: u32) -> Result<Option<Instances>> {
        let (count, threads) = (instances as usize, self.args.threads as usize);
        let before = Resident::now()?;
        let mut team = match method {
            Method::ListU8 if self.args.size * u64::from(instances) > self.args.copies_within => return Ok(None),
            Method::ListU8 => {
                let of = &self.subjects[0].1.frozen;
                let mut team = Team::new(count, threads, || self.copying.make(of))?;
                let took = team.each(|(_, took)| Ok(nanos(*took)))?.0;
                self.row(method, "copy-in", instances, took)?;
                Instances::Copy(team.map(|(guest, _)| guest))
            }
            _ => {
                let Some((_, subject)) = self.subjects.iter().find(|(of, _)| *of == method) else { return Ok(None) };
                let mut team = Team::new(count, threads, || self.mapping.make(&subject.frozen))?;
                let took = team.each(|(_, took)| Ok(nanos(*took)))?.0;
                self.row(method, "map-first", instances, took)?;
                Instances::Map(team.map(|(guest, _)| guest))
            }
        };
        let first = self.read(method, &mut team, instances)?;
        self.row(method, "read-first", instances, vec![first])?;
        self.look(method, instances, before)?;
        if let Instances::Map(team) = &mut team {
            let mut warm = vec![];
            for _ in 0..self.args.samples {
                warm.extend(team.each(|guest| guest.map_again().map(nanos))?.0);
            }
            self.row(method, "map-warm", instances, warm)?;
        }
        Ok(Some(team))
    }

    /// What must be read by a method: what it maps, or what copies are made from.
    fn subject(&self, method: Method) -> &Subject {
        let own = self.subjects.iter().find(|(of, _)| *of == method);
        &own.unwrap_or(&self.subjects[0]).1
    }

    fn read(&self, method: Method, team: &mut Instances, instances: u32) -> Result<f64> {
        let (subject, count) = (self.subject(method), instances as usize);
        match team {
            Instances::Map(team) => subject.read(team, count),
            Instances::Copy(team) => subject.read(team, count),
        }
    }

    fn row(&mut self, method: Method, case: &'static str, instances: u32, samples: Vec<f64>) -> Result<()> {
        let time = Spread::of(samples)?;
        self.rows.push(Row { method, case, bytes: self.args.size, instances, time });
        Ok(())
    }

    /// `before` is what the process had before it had the instances.
    fn look(&mut self, method: Method, instances: u32, before: Resident) -> Result<()> {
        let mut takes = Resident::now()?.more_than(before);
        if method != Method::ListU8 {
            takes = takes.and(self.subject(method).takes);
        }
        let over_one_copy = takes.resident - self.args.size.cast_signed();
        let over_one_copy_an_instance = over_one_copy / i64::from(instances);
        let allowed = self.args.size / 50 + u64::from(instances) * ALLOWED_AN_INSTANCE;
        self.memory.push(Memory { method, instances, takes, over_one_copy, over_one_copy_an_instance, allowed });
        Ok(())
    }

    fn summary(&mut self) -> Summary {
        let reads = |method| self.rows.iter().filter(move |row| row.method == method && row.case == "read");
        let over_copies = |method| {
            let pairs = reads(Method::ListU8).filter_map(|copies| {
                let region = reads(method).find(|row| row.instances == copies.instances)?;
                Some(region.time.ns / copies.time.ns)
            });
            Some((method, geometric_mean(pairs)?))
        };
        let rate = |method| {
            let most = reads(method).max_by_key(|row| row.instances)?;
            Some((method, most.bytes as f64 / most.time.ns * 1e9))
        };
        let is_within = |memory: &Memory| memory.over_one_copy <= memory.allowed.cast_signed();
        Summary {
            within_allowed: self.memory.iter().filter(|memory| memory.method != Method::ListU8).all(is_within),
            bytes_per_second: self.args.methods.iter().filter_map(|method| rate(*method)).collect(),
            read_over_copies: [Method::Frozen, Method::FrozenHuge].into_iter().filter_map(over_copies).collect(),
            collapse_ns: self.subjects.iter().find_map(|(_, subject)| subject.collapsing).map(nanos),
            memory: std::mem::take(&mut self.memory),
        }
    }
}

fn nanos(time: Duration) -> f64 {
    time.as_nanos() as f64
}

fn print(args: &Args, rows: &[Row], summary: &Summary) {
    let titles = [
        ">instances",
        "method",
        ">first map, or copy",
        ">map",
        ">first read",
        ">read",
        ">read, GB/s",
        ">over one copy",
        ">an instance",
        ">page tables",
    ];
    let mut table = table::new(&titles);
    for memory in &summary.memory {
        let find = |case: &str| {
            let mut found = rows.iter().filter(|row| (row.instances, row.method) == (memory.instances, memory.method));
            found.find(|row| row.case == case).map(|row| row.time.ns)
        };
        let time = |ns: Option<f64>| ns.map_or_else(|| "-".into(), table::time);
        let mut cells = vec![memory.instances.to_string(), driver::name(memory.method)];
        cells.push(time(find("map-first").or_else(|| find("copy-in"))));
        cells.extend(["map-warm", "read-first", "read"].map(|case| time(find(case))));
        cells.push(find("read").map_or_else(String::new, |ns| format!("{:.1}", args.size as f64 / ns)));
        let more = [memory.over_one_copy, memory.over_one_copy_an_instance, memory.takes.page_tables];
        cells.extend(more.map(|bytes| table::bytes(bytes.max(0).cast_unsigned())));
        table.add_row(cells);
    }
    println!("{table}");
    println!(
        "One region of {}, {} threads. Times are medians, for one instance.",
        size::human(args.size),
        args.threads
    );
    println!("list-u8 (own copies) is Wasmtime with default settings, where copies are within --copies-within.");
    if let Some(ns) = summary.collapse_ns {
        let took = table::time(ns);
        println!("frozen-huge lies in huge pages, into which it was moved in {took}.");
    }
}
