//! `mappable bench share`: what it costs that many instances read the same bytes.

mod guests;
mod team;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use indicatif::ProgressBar;
use mappable::{Frozen, GRANULE};
use serde::Serialize;

use self::guests::{CopyingMaker, Guest, MappingMaker};
use self::team::Team;
use super::figures::{Output, Spread, geometric_mean, noise};
use super::report::{Charts, Page};
use super::resident::Resident;
use super::size;
use crate::table;

/// What an instance may add to one copy.
const ALLOWED_AN_INSTANCE: u64 = 256 << 10;

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
/// all of it: over what it had before the region was made, each page counted once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mappable bench share
  mappable bench share --size 1GiB --instances 1,10,100,1000 --threads 8
  mappable bench share --instances 4 --copies-within 0B
  mappable bench share --report reports
  mappable bench share --json | jq .summary.memory")]
pub(crate) struct Args {
    /// Size of the region, in whole granules of 64 KiB: bytes, or with KiB, MiB or GiB
    #[arg(long, value_parser = size::parse, default_value = "64MiB")]
    size: u64,

    /// How many instances
    #[arg(long, value_delimiter = ',', default_value = "1,10,100,1000", value_parser = clap::value_parser!(u32).range(1..=4_000))]
    instances: Vec<u32>,

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

/// What so many instances do. Times are nanoseconds for one of them; of reads, those of a pass over all instances,
/// divided by how many they are.
#[derive(Debug, Serialize)]
struct Row {
    method: &'static str,
    case: &'static str,
    bytes: u64,
    instances: u32,
    #[serde(flatten)]
    time: Spread,
}

/// What memory the process has for so many instances, in bytes.
#[derive(Debug, Serialize)]
struct Memory {
    method: &'static str,
    instances: u32,
    #[serde(flatten)]
    now: Resident,
    /// `resident` over what it was before, and over one copy.
    over_one_copy: i64,
    over_one_copy_an_instance: i64,
    /// 2% of one copy, and 256 KiB an instance.
    allowed: u64,
}

#[derive(Debug, Serialize)]
struct Summary {
    /// Of the process, before there was a region.
    before: Resident,
    memory: Vec<Memory>,
    /// Whether the region's memory is within what is allowed, for every number of instances.
    within_allowed: bool,
    /// Bytes that all threads read in a second, by the median pass, for the most instances.
    bytes_per_second: f64,
    /// Time to read the region over time to read copies, geometric mean of the numbers of instances that had both.
    read_over_copies: Option<f64>,
}

/// What is shared, and what must be read.
struct Subject {
    frozen: Frozen,
    sum: u64,
}

/// What is measured with.
struct Bench<'a> {
    args: &'a Args,
    mapping: MappingMaker,
    copying: CopyingMaker,
    before: Resident,
    rows: Vec<Row>,
    memory: Vec<Memory>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let fits = args.size.is_multiple_of(GRANULE) && (GRANULE..=1 << 30).contains(&args.size);
    ensure!(fits, "the size is whole granules of 64 KiB, up to 1 GiB, which {} is not", args.size);
    let (rows, summary) = measure(args)?;
    args.output.give(&PAGE, rows, summary, |rows, summary| print(args, rows, summary))
}

fn measure(args: &Args) -> Result<(Vec<Row>, Summary)> {
    let most = args.instances.iter().max().copied().unwrap_or(1) as usize;
    let mapping = MappingMaker::new(args.size, most)?;
    let copying = CopyingMaker::new(args.size)?;
    let before = Resident::now()?;
    let subject = Subject::new(&mapping, args.size)?;
    let mut bench = Bench { args, mapping, copying, before, rows: vec![], memory: vec![] };
    let progress = ProgressBar::new(args.instances.len() as u64);
    for &instances in &args.instances {
        bench.measure(instances, &subject).with_context(|| format!("{instances} instances"))?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    let summary = bench.summary();
    Ok((bench.rows, summary))
}

impl Subject {
    fn new(mapping: &MappingMaker, size: u64) -> Result<Self> {
        let mut region = mapping.runtime.allocate(size)?;
        let mut sum = 0_u64;
        let (words, _) = region.bytes_mut()?.as_chunks_mut::<8>();
        for (word, noise) in words.iter_mut().zip(noise(size as usize / 8)) {
            *word = noise.to_le_bytes();
            sum = sum.wrapping_add(noise);
        }
        Ok(Self { frozen: region.freeze()?, sum })
    }
}

impl Bench<'_> {
    fn measure(&mut self, instances: u32, subject: &Subject) -> Result<()> {
        let (count, threads) = (instances as usize, self.args.threads as usize);
        let mut team = Team::new(count, threads, || self.mapping.make(&subject.frozen))?;
        let first = team.each(|(_, took)| Ok(nanos(*took)))?.0;
        self.row("frozen", "map-first", instances, first)?;
        let mut team = team.map(|(guest, _)| guest);
        let cold = read(&mut team, count, subject)?;
        self.row("frozen", "read-first", instances, vec![cold])?;
        self.look("frozen", instances)?;

        let mut warm = vec![];
        for _ in 0..self.args.samples {
            warm.extend(team.each(|guest| guest.map_again().map(nanos))?.0);
        }
        self.row("frozen", "map-warm", instances, warm)?;
        let mut copies = self.copies(instances, subject)?;
        let mut passes = [vec![], vec![]];
        for _ in 0..self.args.samples {
            passes[0].push(read(&mut team, count, subject)?);
            if let Some(copies) = &mut copies {
                passes[1].push(read(copies, count, subject)?);
            }
        }
        let [of_region, of_copies] = passes;
        self.row("frozen", "read", instances, of_region)?;
        if copies.is_some() {
            self.row("list-u8", "read", instances, of_copies)?;
        }
        Ok(())
    }

    /// Instances with a copy each, if there is room.
    fn copies(&mut self, instances: u32, subject: &Subject) -> Result<Option<Team<guests::Copying>>> {
        if self.args.size * u64::from(instances) > self.args.copies_within {
            return Ok(None);
        }
        let (count, threads) = (instances as usize, self.args.threads as usize);
        let mut team = Team::new(count, threads, || self.copying.make(&subject.frozen))?;
        let took = team.each(|(_, took)| Ok(nanos(*took)))?.0;
        self.row("list-u8", "copy-in", instances, took)?;
        let mut team = team.map(|(guest, _)| guest);
        read(&mut team, count, subject)?;
        Ok(Some(team))
    }

    fn row(&mut self, method: &'static str, case: &'static str, instances: u32, samples: Vec<f64>) -> Result<()> {
        let time = Spread::of(samples)?;
        self.rows.push(Row { method, case, bytes: self.args.size, instances, time });
        Ok(())
    }

    fn look(&mut self, method: &'static str, instances: u32) -> Result<()> {
        let now = Resident::now()?;
        let over_one_copy = now.resident.cast_signed() - (self.before.resident + self.args.size).cast_signed();
        let over_one_copy_an_instance = over_one_copy / i64::from(instances);
        let allowed = self.args.size / 50 + u64::from(instances) * ALLOWED_AN_INSTANCE;
        self.memory.push(Memory { method, instances, now, over_one_copy, over_one_copy_an_instance, allowed });
        Ok(())
    }

    fn summary(&mut self) -> Summary {
        let reads =
            |method: &'static str| self.rows.iter().filter(move |row| row.method == method && row.case == "read");
        let pairs = reads("list-u8").filter_map(|copies| {
            let region = reads("frozen").find(|row| row.instances == copies.instances)?;
            Some(region.time.ns / copies.time.ns)
        });
        let read_over_copies = geometric_mean(pairs);
        let most = reads("frozen").max_by_key(|row| row.instances);
        Summary {
            before: self.before,
            within_allowed: self.memory.iter().all(|memory| memory.over_one_copy <= memory.allowed.cast_signed()),
            bytes_per_second: most.map_or(0.0, |row| row.bytes as f64 / row.time.ns * 1e9),
            read_over_copies,
            memory: std::mem::take(&mut self.memory),
        }
    }
}

/// All instances read all bytes: nanoseconds for each.
fn read<G: Guest>(team: &mut Team<G>, count: usize, subject: &Subject) -> Result<f64> {
    let (sums, took) = team.each(Guest::sum)?;
    ensure!(sums.len() == count, "{} instances have read, not {count}", sums.len());
    let wrong = sums.iter().find(|&&sum| sum != subject.sum);
    ensure!(wrong.is_none(), "an instance read a sum of {wrong:x?}, not {:x}", subject.sum);
    Ok(nanos(took) / count as f64)
}

fn nanos(time: Duration) -> f64 {
    time.as_nanos() as f64
}

fn print(args: &Args, rows: &[Row], summary: &Summary) {
    let titles = [
        ">instances",
        ">first map",
        ">map",
        ">first read",
        ">read",
        ">copy in",
        ">read own copy",
        ">read, GB/s",
        ">over one copy",
        ">an instance",
        ">page tables",
    ];
    let mut table = table::new(&titles);
    for memory in &summary.memory {
        let find = |method, case| {
            let mut found = rows.iter().filter(|row| row.instances == memory.instances);
            found.find(|row| (row.method, row.case) == (method, case)).map(|row| row.time.ns)
        };
        let time = |ns: Option<f64>| ns.map_or_else(|| "-".into(), |ns| table::time(Duration::from_nanos(ns as u64)));
        let frozen = ["map-first", "map-warm", "read-first", "read"].map(|case| time(find("frozen", case)));
        let copies = ["copy-in", "read"].map(|case| time(find("list-u8", case)));
        let rate = find("frozen", "read").map_or_else(String::new, |ns| format!("{:.1}", args.size as f64 / ns));
        let over = [memory.over_one_copy, memory.over_one_copy_an_instance, memory.now.page_tables.cast_signed()];
        let mut cells = vec![memory.instances.to_string()];
        cells.extend(frozen.into_iter().chain(copies));
        cells.push(rate);
        cells.extend(over.map(|bytes| table::bytes(bytes.max(0).cast_unsigned())));
        table.add_row(cells);
    }
    println!("{table}");
    println!(
        "One region of {}, {} threads. Times are medians, for one instance.",
        size::human(args.size),
        args.threads
    );
    println!("list-u8 (own copies) is Wasmtime with default settings, where copies are within --copies-within.");
}
