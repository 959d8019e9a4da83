//! `mappable demo picture`: heavy stages on one picture, in one table.
//!
//! One picture goes through the same stages three times: handed over as a region on this project's runtime, on one core and on
//! several, and as a `list<u8>` on a stock engine. All must give the same file, byte for byte.

pub(super) mod draw;
mod show;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args as ClapArgs;
use serde::Serialize;

use super::gain::{self, Begun, Gain, Took};
use crate::failure::{Exit, fail};
use crate::files::{self, Output, is_standard};
use crate::pipeline::{self, Done, Figures, measure_hand_over, median, nanos};
use crate::progress::Progress;
use crate::runtime::Options;
use crate::stage::{Header, Host, MappedHost, Spec, Stage, Step, StockHost, load};

/// What the picture goes through.
const STAGES: &[(&str, &str)] =
    &[("blur", "2"), ("sharpen", "1.5"), ("resize", "50%"), ("grayscale", ""), ("edges", ""), ("encode", "")];
/// Rounds of each pipeline, in turn; times are medians.
const ROUNDS: usize = 3;
/// Rounds before these, in which regions and views are made that are used again.
const FIRST_ROUNDS: usize = 2;
/// Calls by which handing over is measured.
const HOPS: usize = 9;
const LIMIT_BYTES: u64 = 4 << 30;

/// Show a pipeline of heavy stages on one picture: passing it on is little of the work
///
/// Makes a picture, hands it through six stages as one region of memory, on one core and on several, and does the same with lists of
/// bytes on a stock engine. All must give the same picture. Prints what each took, and where the picture is.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  mappable demo picture
  mappable demo picture -o edges.png -j 4
  mappable demo picture --size 1280x720 -o small.png --json

Exit codes: 0 done; 1 the work failed; 2 wrong usage.")]
pub(crate) struct Args {
    /// Where the picture goes [default: a new file in the system's temporary folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// How many cores work on the picture at once, each on a part that it owns, in stages that can be shared out; 0 is all that
    /// there are
    #[arg(short, long, value_name = "N", default_value_t = 0, value_parser = crate::pipe::jobs)]
    jobs: usize,

    /// Print figures as JSON
    #[arg(long)]
    json: bool,

    /// The picture's size in pixels
    #[arg(long, value_name = "WxH", default_value = "3840x2160", value_parser = size)]
    size: (u32, u32),

    #[command(flatten)]
    runtime: Options,
}

pub(super) fn size(text: &str) -> Result<(u32, u32), String> {
    let sides = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    let fits = |(w, h): &(u32, u32)| (2..=16_384).contains(w) && (2..=16_384).contains(h);
    sides.filter(fits).ok_or_else(|| "expected WIDTHxHEIGHT, each from 2 to 16384".to_owned())
}

/// What one way of handing over took.
#[derive(Serialize)]
struct Way {
    /// `regions` on this project's runtime, `list-u8` on a stock engine.
    method: &'static str,
    ns: u64,
    ns_hand_over: u64,
    bytes_handed_over: u64,
    bytes_copied: u64,
    stages: Vec<Figures>,
}

/// What regions took on several cores.
#[derive(Serialize)]
struct Cores {
    ns: u64,
    /// What the first round took, in which regions and views are made: on one core, and on these.
    ns_first_on_one: u64,
    ns_first: u64,
    ns_stages: Vec<u64>,
    /// Which stages were shared out.
    shared_out: Vec<bool>,
    /// The part of the time on one core that stages take which can't be shared out.
    serial: f64,
    /// What lists would have to copy to be as fast.
    list_bytes_per_second: u64,
    #[serde(flatten)]
    gain: Gain,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    output: String,
    width: u32,
    height: u32,
    rounds: usize,
    identical: bool,
    regions: Way,
    /// On several cores, if there are to be several.
    cores: Option<Cores>,
    lists: Way,
    /// List over region: how many times less handing over takes.
    ratio_hand_over: f64,
    /// List over region: how many times less the whole pipeline takes.
    ratio_pipeline: f64,
}

/// Runs it.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.output.as_deref().is_some_and(is_standard) {
        return Err(fail(Exit::Usage, "the picture can't go to stdout, where the table goes: name a file"));
    }
    let output = args.output.as_deref().map(Output::new).transpose()?;
    let specs = STAGES.iter().map(|(name, arg)| Spec::builtin(name, arg)).collect::<Result<Vec<_>>>()?;
    let (width, height) = args.size;
    let header = Header::rgba8(width, height);

    let jobs = gain::cores(args.jobs);
    let mapped = MappedHost::new(LIMIT_BYTES, &args.runtime)?;
    let on_cores = match jobs {
        1 => None,
        jobs => Some(MappedHost::new(LIMIT_BYTES, &args.runtime)?.with_jobs(jobs)),
    };
    let stock = StockHost::new(LIMIT_BYTES);
    let progress = Progress::new(FIRST_ROUNDS + ROUNDS);
    progress.says("compiling");
    let mut original = vec![0; usize::try_from(header.size)?];
    draw::draw(&mut original, width, height);

    let mut by_regions = Rounds::new(&mapped, &specs)?;
    let mut by_cores = on_cores.as_ref().map(|host| Rounds::new(host, &specs)).transpose()?;
    let mut by_lists = Rounds::new(&stock, &specs)?;
    let mut file = vec![];
    for _ in 0..FIRST_ROUNDS + ROUNDS {
        progress.begins("handing pictures over");
        let region = mapped.runtime().allocate_from(&original)?;
        let done = by_regions.run(region, header).context("with regions")?;
        file = done.payload.bytes()?[..usize::try_from(done.header.size)?].to_vec();
        if let (Some(host), Some(by_cores)) = (&on_cores, &mut by_cores) {
            let done = by_cores.run(host.runtime().allocate_from(&original)?, header).context("on several cores")?;
            let same = done.payload.bytes()?[..usize::try_from(done.header.size)?] == file;
            ensure!(same, "one core and several gave different pictures");
        }
        let done = by_lists.run(original.clone(), header).context("with lists")?;
        ensure!(done.payload == file, "the pipelines with and without copies gave different pictures");
    }
    let (one, first_on_one) = (by_regions.took(), by_regions.first());
    let regions = by_regions.way("regions")?;
    let several = by_cores.as_ref().map(|rounds| (rounds.took(), rounds.first(), rounds.medians()));
    let lists = by_lists.way("list-u8")?;
    let cores = several.map(|(several, first, stages)| Cores {
        ns: nanos(several.wall),
        ns_first_on_one: nanos(first_on_one.wall),
        ns_first: nanos(first.wall),
        ns_stages: stages.iter().map(|figures| nanos(figures.time)).collect(),
        shared_out: stages.iter().map(|figures| figures.shared_out).collect(),
        serial: serial(&regions.stages, &stages),
        list_bytes_per_second: (lists.bytes_copied as f64 / several.wall.as_secs_f64().max(1e-9)) as u64,
        gain: Gain::new(jobs, one, several),
    });
    drop(progress);
    let output = match output {
        Some(output) => {
            output.write(&file)?;
            output.name()
        }
        None => keep(&file)?,
    };

    let over = |a: u64, b: u64| a as f64 / b.max(1) as f64;
    let report = Report {
        output,
        width,
        height,
        rounds: ROUNDS,
        identical: true,
        ratio_hand_over: over(lists.ns_hand_over, regions.ns_hand_over),
        ratio_pipeline: over(lists.ns, regions.ns),
        regions,
        cores,
        lists,
    };
    if args.json {
        files::print(&serde_json::to_string_pretty(&report)?)?;
    } else {
        files::print(&show::table(&report))?;
    }
    Ok(())
}

/// The part of the time on one core that stages take which were not shared out on several.
fn serial(one: &[Figures], several: &[Figures]) -> f64 {
    let sum = |stages: &mut dyn Iterator<Item = &Figures>| stages.map(|figures| figures.time).sum::<Duration>();
    let alone = one.iter().zip(several).filter(|(_, several)| !several.shared_out).map(|(one, _)| one);
    sum(&mut { alone }).as_secs_f64() / sum(&mut one.iter()).as_secs_f64().max(1e-9)
}

/// Writes the picture to a new file that stays, and says which.
fn keep(picture: &[u8]) -> Result<String> {
    let mut file = tempfile::Builder::new().prefix("mappable-demo-").suffix(".png").tempfile()?;
    file.write_all(picture)?;
    Ok(file.keep()?.1.display().to_string())
}

/// One pipeline, its stages kept from round to round.
struct Rounds<'a, H: Host> {
    host: &'a H,
    stages: Vec<Stage<H::Step>>,
    rounds: Vec<Vec<Figures>>,
    /// Each round as a whole.
    took: Vec<Took>,
}

impl<'a, H: Host> Rounds<'a, H> {
    fn new(host: &'a H, specs: &[Spec]) -> Result<Self> {
        Ok(Self { host, stages: load(host, specs)?, rounds: vec![], took: vec![] })
    }

    fn run(&mut self, payload: <H::Step as Step>::Payload, header: Header) -> Result<Done<<H::Step as Step>::Payload>> {
        let begun = Begun::now();
        let done = pipeline::run(self.host, &mut self.stages, payload, header, |_| {})?;
        self.took.push(begun.took());
        self.rounds.push(done.stages.clone());
        Ok(done)
    }

    /// What the first round took.
    fn first(&self) -> Took {
        self.took[0]
    }

    /// The median of whole rounds, but for the first ones.
    fn took(&self) -> Took {
        Took::median(&self.took[FIRST_ROUNDS..])
    }

    /// Medians of the same rounds, stage by stage.
    fn medians(&self) -> Vec<Figures> {
        let mut stages = self.rounds.first().cloned().unwrap_or_default();
        for (at, figures) in stages.iter_mut().enumerate() {
            let mut times: Vec<_> = self.rounds[FIRST_ROUNDS..].iter().map(|round| round[at].time).collect();
            figures.time = median(&mut times);
        }
        stages
    }

    /// Medians of the rounds, and what handing over takes.
    fn way(self, method: &'static str) -> Result<Way> {
        let mut stages = self.medians();
        measure_hand_over(self.host, &mut stages, HOPS)?;
        let sum = |of: fn(&Figures) -> Duration| -> u64 { nanos(stages.iter().map(of).sum()) };
        Ok(Way {
            method,
            ns: sum(|figures| figures.time),
            ns_hand_over: sum(|figures| figures.hand_over),
            bytes_handed_over: stages.iter().map(|figures| figures.bytes_handed_over).sum(),
            bytes_copied: stages.iter().map(|figures| figures.bytes_copied).sum(),
            stages,
        })
    }
}
