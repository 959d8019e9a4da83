//! `mappable-bench files`: programs that look into a file, by mapping it and without.

pub(crate) mod guest;
mod hosted;
mod process;
mod programs;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum as _;
use serde::Serialize;

use self::guest::Host;
use self::process::Seen;
use self::programs::{Programs, Tools};
use super::counts::tools::{Counters, Event, Work};
use super::figures::{Output, Spread};
use super::report::{Charts, Page};
use super::size;
use crate::{driver, table};

const PAGE: Page =
    Page { name: "files", title: "What it takes to look into a file", each: "an instance", charts: Charts::OverBytes };

/// A program in C opens a file, and adds all its words up (`scan`) or 1,000 of them in random places (`lookup`), interleaved in one run. Or
/// it has a copy of its own, of which it writes to such places (`patch`), or doubles all words and adds them up (`rewrite`).
///
/// It is the same source for all. `shared` and `snapshot` map the file here, held in these ways; `read` calls `pread` on stock Wasmtime,
/// 64 KiB at once for a scan, and reads all of the file where it has a copy; `emulated` calls the `mmap` of wasi-libc there, which reads the
/// file; `native` is no component. `stock-mmap` is the loop in Wasm alone, over pages that its host has mapped into a stock memory by
/// `mmap`, without WASI. What is mapped of a file larger than 1 GiB is one window of 1 GiB after the other. Each lane has a process of its own. All instances of a process
/// run one after the other, and keep what they have mapped until its end.
///
/// `first answer` is the program's time to the sum of 4 KiB (64 KiB where it reads) or to the first word, `time` that to its end: medians
/// of instances, and of samples. `start` is what comes before, for a component: its store and its instance. `CPU` is how long the
/// process's threads ran for an instance, its start included. Page faults and memory are those of the process when all
/// instances are done, each page counted once, pages of files included; page tables come on top. System calls are an instance's, by strace.
/// The file is in the system's cache, unless `--cold` has it leave that before each process.
#[derive(Debug, clap::Args)]
#[command(after_help = "Needs clang, wasi-libc, and the library for C (sdk/c/build.sh).

Examples:
  mappable-bench files
  mappable-bench files --sizes 64KiB,64MiB,1GiB,4GiB --instances 1,200 --copies-within 8GiB
  mappable-bench files --sizes 1GiB --cold --methods shared,native --acts scan
  mappable-bench files --json | jq .summary")]
pub(crate) struct Args {
    /// Sizes of files, multiples of 4 KiB: bytes, or with KiB, MiB or GiB
    #[arg(long, value_delimiter = ',', value_parser = size::parse, default_value = "64KiB,1MiB,64MiB")]
    sizes: Vec<u64>,

    /// How many instances at once
    #[arg(long, value_delimiter = ',', default_value = "1,200", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    instances: Vec<u32>,

    /// What programs do
    #[arg(long, value_delimiter = ',', value_enum, default_value = "scan,lookup")]
    acts: Vec<Act>,

    /// What is compared
    #[arg(long, value_delimiter = ',', value_enum, default_value = "shared,snapshot,read,emulated,native,stock-mmap")]
    methods: Vec<Method>,

    /// Processes for each figure
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,

    /// Memory that the instances' own copies of the file may take together: where they would take more, they are left out
    #[arg(long, value_name = "SIZE", value_parser = size::parse, default_value = "2GiB")]
    copies_within: u64,

    /// Begin each process with nothing of the file in the system's cache
    #[arg(long)]
    cold: bool,

    /// Count no system calls
    #[arg(long)]
    no_system_calls: bool,

    /// Where the file is made, for another file system than that of temporary files
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,

    #[command(flatten)]
    tools: Tools,

    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Act {
    /// Adds all words up
    Scan,
    /// Adds up 1,000 words in random places
    Lookup,
    /// Writes to 1,000 words in random places, of a copy of its own
    Patch,
    /// Doubles all words of a copy of its own, and adds them up
    Rewrite,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Method {
    /// Mapped, the file's own pages
    Shared,
    /// The same, with advice for huge pages (`HugePages::Advised`)
    SharedHuge,
    /// Mapped, a copy for each instance
    Snapshot,
    /// Read, on stock Wasmtime
    Read,
    /// wasi-libc's emulation of mmap, on stock Wasmtime
    Emulated,
    /// Mapped by a native program
    Native,
    /// Mapped by the host with `mmap`, over pages of a stock Wasmtime's memory
    StockMmap,
}

impl Method {
    /// Whether each instance has its own copy of the file when it has done this.
    fn copies(self, act: Act) -> bool {
        let written = act == Act::Rewrite || act == Act::Patch && self == Self::Read;
        written || matches!(self, Self::Snapshot | Self::Emulated)
    }
}

/// What so many instances do. Times are nanoseconds of one of them.
#[derive(Debug, Serialize)]
struct Row {
    method: Method,
    act: Act,
    /// How many instances, in words.
    at_once: String,
    bytes: u64,
    instances: u32,
    #[serde(flatten)]
    time: Spread,
    first_ns: f64,
    start_ns: f64,
    /// How long the process's threads ran for an instance, its start included.
    cpu_ns: f64,
    /// The process's, for an instance.
    page_faults: f64,
    /// An instance's; `None` where nothing counts them.
    system_calls: Option<f64>,
    process_bytes: u64,
    page_table_bytes: u64,
}

/// The aims of this project, by size.
#[derive(Debug, Serialize)]
struct Summary {
    /// How much sooner a mapped file gives the first word than the emulation does, one instance.
    first_word_sooner: BTreeMap<String, f64>,
    /// Memory of the process of the most instances over that of the fewest, of those that share the file's pages; by what they do.
    memory_of_most: BTreeMap<String, f64>,
    /// Bytes a second of a scan of a mapped file over those of the native program, one instance.
    scan_over_native: BTreeMap<String, f64>,
    /// The same, a second of the processor's.
    scan_over_native_cpu: BTreeMap<String, f64>,
    /// Bytes a second of a scan of a mapped file over those of the same loop in Wasm over pages that a host has mapped, one instance.
    scan_over_stock_mmap: BTreeMap<String, f64>,
    /// The same, a second of the processor's.
    scan_over_stock_mmap_cpu: BTreeMap<String, f64>,
    why_not_counted: BTreeMap<&'static str, String>,
}

/// How much a program maps at once.
const WINDOW: u64 = 1 << 30;

/// Words that are looked up.
const PLACES: u64 = 1000;

pub(super) fn run(args: &Args) -> Result<()> {
    let fits = |size: u64| size.is_multiple_of(4096) && (4096..=64 << 30).contains(&size);
    size::check(&args.sizes, "multiples of 4 KiB, up to 64 GiB", fits)?;
    let folder = match &args.folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    }?;
    let bench = Bench { args, programs: args.tools.build(folder.path())?, file: folder.path().join("file") };
    let mut counters = Counters::default();
    let name = |bytes: &u64| size::human(*bytes);
    let rows = driver::each(&args.sizes, name, |&bytes| bench.measure(bytes, &mut counters))?;
    let summary = summary(&rows, &counters);
    args.output.give(&PAGE, rows, summary, |rows, summary| print(args, rows, summary))
}

struct Bench<'a> {
    args: &'a Args,
    programs: Programs,
    file: PathBuf,
}

impl Bench<'_> {
    /// All there is to measure with a file of this size.
    fn measure(&self, bytes: u64, counters: &mut Counters) -> Result<Vec<Row>> {
        write(&self.file, bytes)?;
        let mut rows = vec![];
        for (act, instances) in driver::pairs(&self.args.acts, &self.args.instances) {
            let fits = |method: &&Method| {
                !method.copies(act) || bytes.min(WINDOW) * u64::from(instances) <= self.args.copies_within
            };
            let methods: Vec<_> = self.args.methods.iter().filter(fits).copied().collect();
            let mut seen: Vec<Vec<Seen>> = methods.iter().map(|_| vec![]).collect();
            for sample in 0..self.args.samples as usize {
                for turn in 0..methods.len() {
                    let at = (sample + turn) % methods.len();
                    seen[at].push(self.sample(methods[at], act, bytes, instances)?);
                }
            }
            for (method, seen) in methods.into_iter().zip(seen) {
                let count = rows.iter().find(|row: &&Row| (row.method, row.act) == (method, act));
                let system_calls = match count {
                    _ if self.args.no_system_calls => None,
                    // An instance's are the same however many there are.
                    Some(row) => row.system_calls,
                    None => counters.each(Event::SystemCalls, &|count| self.work(method, act, count), 2, u64::MAX),
                };
                rows.push(row(method, act, bytes, instances, &seen, system_calls)?);
            }
        }
        Ok(rows)
    }

    /// One process, whose answers are checked.
    fn sample(&self, method: Method, act: Act, bytes: u64, instances: u32) -> Result<Seen> {
        if self.args.cold {
            forget(&self.file)?;
        }
        let work = self.work(method, act, instances);
        let mut command = Command::new(work.program);
        command.args(work.arguments);
        let seen = process::measure(command).with_context(|| driver::name(method))?;
        let (sum, name) = (sum(act, bytes), driver::name(method));
        ensure!(seen.said.len() == instances as usize, "{name}: {} of {instances} have answered", seen.said.len());
        let wrong = seen.said.iter().find(|said| said.sum != sum);
        ensure!(wrong.is_none(), "{name}: a sum of {:x?}, not {sum:x}", wrong.map(|said| said.sum));
        Ok(seen)
    }

    /// What a lane's process is.
    fn work(&self, method: Method, act: Act, instances: u32) -> Work {
        let (host, app) = match method {
            Method::Shared => (Some(Host::Shared), &self.programs.mapped),
            Method::SharedHuge => (Some(Host::SharedHuge), &self.programs.mapped),
            Method::Snapshot => (Some(Host::Snapshot), &self.programs.mapped),
            Method::Read => (Some(Host::Stock), &self.programs.read),
            Method::Emulated => (Some(Host::Stock), &self.programs.emulated),
            Method::Native => (None, &self.programs.native),
            Method::StockMmap => (Some(Host::StockMmap), &self.programs.hosted),
        };
        let own = [driver::name(act), self.file.display().to_string(), instances.to_string()];
        match host.and_then(|host| host.to_possible_value()) {
            Some(host) => {
                let of = ["files-guest".to_owned(), host.get_name().to_owned(), app.display().to_string()];
                let program = std::env::current_exe().unwrap_or_else(|_| "mappable-bench".into());
                Work { program, arguments: of.into_iter().chain(own).collect() }
            }
            None => Work { program: app.clone(), arguments: own.into() },
        }
    }
}

fn row(method: Method, act: Act, bytes: u64, instances: u32, seen: &[Seen], system_calls: Option<f64>) -> Result<Row> {
    let of_said = |figure: fn(&process::Said) -> f64| {
        let medians = seen.iter().map(|seen| Ok(Spread::of(seen.said.iter().map(figure).collect())?.ns));
        Spread::of(medians.collect::<Result<_>>()?)
    };
    let of_seen = |figure: fn(&Seen) -> u64| {
        Ok::<_, anyhow::Error>(Spread::of(seen.iter().map(|seen| figure(seen) as f64).collect())?.ns)
    };
    Ok(Row {
        method,
        act,
        at_once: format!("{instances} at once"),
        bytes,
        instances,
        time: of_said(|said| said.all)?,
        first_ns: of_said(|said| said.first)?.ns,
        start_ns: of_said(|said| said.start)?.ns,
        cpu_ns: of_seen(|seen| seen.cpu)? / f64::from(instances),
        page_faults: of_seen(|seen| seen.faults)? / f64::from(instances),
        system_calls,
        process_bytes: of_seen(|seen| seen.resident)? as u64,
        page_table_bytes: of_seen(|seen| seen.page_tables)? as u64,
    })
}

/// The word at a place, by its number: such that all of them are added up by a formula.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

fn word(number: u64) -> u64 {
    (number + 1).wrapping_mul(FACTOR)
}

fn write(path: &Path, bytes: u64) -> Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    (0..bytes / 8).try_for_each(|number| file.write_all(&word(number).to_le_bytes()))?;
    // Pages that are yet to be written can't leave the cache.
    Ok(file.into_inner()?.sync_all()?)
}

/// What must come out.
fn sum(act: Act, bytes: u64) -> u64 {
    let words = bytes / 8;
    match act {
        Act::Scan => {
            let numbers = u128::from(words) * u128::from(words + 1) / 2;
            (numbers as u64).wrapping_mul(FACTOR)
        }
        Act::Lookup => (0..PLACES).fold(0, |sum, turn| sum.wrapping_add(word(place(turn) % words))),
        Act::Patch => {
            let mut written = BTreeMap::new();
            let before = (0..PLACES).map(|turn| {
                let at = place(turn) % words;
                written.insert(at, turn).unwrap_or_else(|| word(at))
            });
            before.fold(0, u64::wrapping_add)
        }
        Act::Rewrite => self::sum(Act::Scan, bytes).wrapping_mul(2),
    }
}

/// As in `files.c`.
fn place(turn: u64) -> u64 {
    let mut x = (turn + 1).wrapping_mul(FACTOR);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Has a file's pages leave the system's cache.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn forget(path: &Path) -> Result<()> {
    Ok(rustix::fs::fadvise(File::open(path)?, 0, None, rustix::fs::Advice::DontNeed)?)
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn forget(_: &Path) -> Result<()> {
    anyhow::bail!("--cold: there is no telling this system's cache")
}

fn summary(rows: &[Row], counters: &Counters) -> Summary {
    let of = |method, act| rows.iter().filter(move |row| (row.method, row.act) == (method, act));
    let ratios = |act, method, ratio: fn(&Row, &Row) -> f64| {
        let pairs = of(Method::Shared, act).filter(|row| row.instances == 1).filter_map(|ours| {
            let theirs = of(method, act).find(|row| (row.instances, row.bytes) == (1, ours.bytes))?;
            Some((size::human(ours.bytes), ratio(ours, theirs)))
        });
        pairs.collect()
    };
    let most = |act| {
        let most = of(Method::Shared, act).map(|row| row.instances).max();
        let rows = of(Method::Shared, act).filter(move |row| Some(row.instances) == most);
        rows.filter_map(move |row| {
            let few = of(Method::Shared, act).filter(|few| few.bytes == row.bytes).min_by_key(|few| few.instances)?;
            let name = format!("{}, {}", driver::name(act), size::human(row.bytes));
            (few.instances < row.instances).then(|| (name, row.process_bytes as f64 / few.process_bytes as f64))
        })
    };
    Summary {
        first_word_sooner: ratios(Act::Lookup, Method::Emulated, |ours, theirs| theirs.first_ns / ours.first_ns),
        memory_of_most: most(Act::Scan).chain(most(Act::Lookup)).collect(),
        scan_over_native: ratios(Act::Scan, Method::Native, |ours, theirs| theirs.time.ns / ours.time.ns),
        scan_over_native_cpu: ratios(Act::Scan, Method::Native, |ours, theirs| theirs.cpu_ns / ours.cpu_ns),
        scan_over_stock_mmap: ratios(Act::Scan, Method::StockMmap, |ours, theirs| theirs.time.ns / ours.time.ns),
        scan_over_stock_mmap_cpu: ratios(Act::Scan, Method::StockMmap, |ours, theirs| theirs.cpu_ns / ours.cpu_ns),
        why_not_counted: counters.not_counted(),
    }
}

fn print(args: &Args, rows: &[Row], summary: &Summary) {
    let titles = [
        "act",
        ">size",
        ">instances",
        "method",
        ">start",
        ">first answer",
        ">time",
        ">CPU",
        ">GB/s",
        ">page faults",
        ">system calls",
        ">memory",
        ">page tables",
    ];
    let mut table = table::new(&titles);
    for row in rows {
        let rate = if matches!(row.act, Act::Scan | Act::Rewrite) {
            format!("{:.1}", row.bytes as f64 / row.time.ns)
        } else {
            String::new()
        };
        table.add_row([
            driver::name(row.act),
            size::human(row.bytes),
            row.instances.to_string(),
            driver::name(row.method),
            if row.method == Method::Native { String::new() } else { table::time(row.start_ns) },
            table::time(row.first_ns),
            table::time(row.time.ns),
            table::time(row.cpu_ns),
            rate,
            table::count(row.page_faults),
            row.system_calls.map_or_else(|| "-".to_owned(), table::count),
            table::bytes(row.process_bytes),
            table::bytes(row.page_table_bytes),
        ]);
    }
    println!("{table}");
    println!(
        "Times, page faults and system calls are an instance's, medians (CPU with its start); memory is the process's, when all are done.\n\
         Copies (snapshot, emulated) are within --copies-within. The file is {} the system's cache.",
        if args.cold { "not in" } else { "in" }
    );
    let list = |ratios: &BTreeMap<String, f64>| {
        let ratios: Vec<_> = ratios.iter().map(|(name, ratio)| format!("{name} {}", table::ratio(*ratio))).collect();
        ratios.join("; ")
    };
    println!("First word, emulated ÷ shared: {}", list(&summary.first_word_sooner));
    println!("Bytes a second of a scan, shared ÷ native: {}", list(&summary.scan_over_native));
    println!("The same, a second of the processor's: {}", list(&summary.scan_over_native_cpu));
    println!("Bytes a second of a scan, shared ÷ stock-mmap: {}", list(&summary.scan_over_stock_mmap));
    println!("The same, a second of the processor's: {}", list(&summary.scan_over_stock_mmap_cpu));
    println!("Memory of the most instances ÷ that of the fewest, shared: {}", list(&summary.memory_of_most));
    for (event, why) in &summary.why_not_counted {
        println!("Not counted: {event}: {why}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_of_a_scan_adds_up_what_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for bytes in [4096, 3 * 4096, 1 << 20] {
            write(&path, bytes).unwrap();
            let written = std::fs::read(&path).unwrap();
            let words: Vec<_> = written.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
            assert_eq!(words.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word)), sum(Act::Scan, bytes));
            let looked_up = (0..PLACES).map(|turn| words[(place(turn) % words.len() as u64) as usize]);
            assert_eq!(looked_up.fold(0, u64::wrapping_add), sum(Act::Lookup, bytes));
        }
    }
}
