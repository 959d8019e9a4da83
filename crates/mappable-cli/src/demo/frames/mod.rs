//! `mappable demo frames`: light stages on many frames, where passing a frame on is most of what a pipeline does.
//!
//! ```text
//!   lane             one way to pass frames: `regions`, `cores`, `lists`, `streams`; the same stages, but for the plumbing
//!    └ film          the frames that go in, and the screen, which compares those that come out
//!   show, chart      the figures, for people
//! ```

mod chart;
mod cores;
mod film;
mod lane;
mod lists;
mod regions;
mod show;
mod streams;

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

use self::film::{Film, Look, PICTURES, Screen};
use self::lane::{Lane, Setting, Shared, Way};
use super::gain::{self, Begun, Gain, Took};
use crate::failure::{Exit, fail};
use crate::files::{self, Output, is_standard};
use crate::pipeline::nanos;
use crate::progress::Progress;
use crate::runtime::Options;

pub(super) const EXAMPLES: &str = "Examples:
  mappable demo
  mappable demo --frames 60 --chart frames.svg
  mappable demo frames --size 1920x1080 --lanes regions,streams --json
  mappable demo picture

Exit codes: 0 done; 1 the work failed; 2 wrong usage.";

/// The largest frame.
const LARGEST_BYTES: u64 = 128 << 20;
/// Frames that a lane gets in a round, at the least. Rounds of lanes take turns; times are medians of rounds.
const ROUND: usize = PICTURES;
/// Passes before anything is timed: so often each region of the ring goes around until its views are there.
const WARM_UP: usize = 3;
/// Rounds in which frames are passed on, and nobody works on them.
const IDLE_ROUNDS: usize = 3;

/// Stream 4K frames through five light stages, each a component: by regions, by `list<u8>` and by `stream<u8>`
///
/// Exposure, threshold, letterbox, the overlay of a bitmap and a histogram each go over a frame once. The
/// same stages, compiled from the same Rust, are passed frames by mappable and by stock Wasmtime with its default
/// settings. Every lane must give the same pictures, byte for byte. Prints frames a second, on one thread but for the lane `cores`.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The size of frames in pixels, of a byte each: luminance
    #[arg(long, value_name = "WxH", default_value = "3840x2160", value_parser = size)]
    size: (u32, u32),

    /// How many frames are timed in each lane, rounded up to fours
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    frames: u32,

    /// How frames are passed on
    #[arg(long, value_delimiter = ',', value_enum, default_value = "regions,cores,lists,lists-by-host,streams")]
    lanes: Vec<Way>,

    /// How many cores the lane `cores` uses; 0 is all that there are
    #[arg(short, long, value_name = "N", default_value_t = 0, value_parser = crate::pipe::jobs)]
    jobs: usize,

    /// Write a chart of frames a second, as SVG
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,

    /// Print figures as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    runtime: Options,
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let size = super::picture::size(text)?;
    let bytes = u64::from(size.0) * u64::from(size.1);
    if bytes > LARGEST_BYTES {
        return Err(format!("a frame is at most {} MiB", LARGEST_BYTES >> 20));
    }
    Ok(size)
}

/// What one lane did.
#[derive(Serialize)]
struct Figures {
    lane: Way,
    frames_per_second: f64,
    /// From one frame to the next: the camera's copy, work and passing on.
    ns_frame: u64,
    /// The same if nobody works: the camera's copy and passing on.
    ns_frame_idle: u64,
    /// The processor's time for a frame, of all threads.
    ns_processor: u64,
    /// By passing a frame from stage to stage.
    bytes_copied: u64,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    width: u32,
    height: u32,
    format: &'static str,
    /// How many cores the lane for several cores uses.
    cores: usize,
    stages: Vec<&'static str>,
    /// Timed in each lane.
    frames: usize,
    /// Compared whole, in each lane.
    frames_compared: usize,
    identical: bool,
    lanes: Vec<Figures>,
    /// The lane `cores` against the lane `regions`, if there are both.
    gain: Option<Gain>,
}

/// Runs it.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.chart.as_deref().is_some_and(is_standard) {
        return Err(fail(Exit::Usage, "the chart can't go to stdout, where the table goes: name a file"));
    }
    let chart = args.chart.as_deref().map(Output::chart).transpose()?;
    let jobs = gain::cores(args.jobs);
    // So many that each core has as many as the others.
    let round = if args.lanes.contains(&Way::Cores) { jobs.next_multiple_of(ROUND) } else { ROUND };
    let rounds = (args.frames as usize).div_ceil(round);
    let progress = Progress::new(rounds + WARM_UP + IDLE_ROUNDS + 1);
    progress.says("compiling");

    let film = Arc::new(Film::new(args.size.0, args.size.1));
    let screen = Shared::new(Screen::new(film.clone()));
    let setting = Setting { film: film.clone(), screen: screen.clone(), size: args.size, jobs, options: &args.runtime };
    let mut ways = args.lanes.clone();
    ways.sort_by_key(|way| *way as usize);
    ways.dedup();
    let lanes = ways.into_iter().map(|way| Ok(Timed { way, lane: way.lane(&setting)?, screen: screen.clone(), round }));
    let mut lanes = lanes.collect::<Result<Vec<_>>>()?;

    // The first pass of the first lane says what the stages make of the film.
    let mut look = |look, text| -> Result<()> {
        progress.begins(text);
        lanes.iter_mut().try_for_each(|lane| lane.round(true, look).map(drop))
    };
    for _ in 0..WARM_UP {
        look(Look::Whole, "warming up, comparing pictures")?;
    }
    let mut time = |rounds: usize, work: bool, text: &str| -> Result<Vec<Vec<Took>>> {
        let mut times = vec![vec![]; lanes.len()];
        for round in 0..rounds {
            progress.begins(text);
            // Who is first changes, so that nobody always follows the same one.
            for turn in 0..lanes.len() {
                let at = (round + turn) % lanes.len();
                times[at].push(lanes[at].round(work, Look::Spots)?);
            }
        }
        Ok(times)
    };
    let worked = time(rounds, true, "streaming frames")?;
    let idle = time(IDLE_ROUNDS, false, "passing frames, without work")?;
    progress.begins("comparing pictures");
    lanes.iter_mut().try_for_each(|lane| lane.round(true, Look::Whole).map(drop))?;
    drop(progress);

    let worked: Vec<_> = worked.iter().map(|times| Took::median(times)).collect();
    let median_of = |way| lanes.iter().position(|lane| lane.way == way).map(|at| worked[at]);
    let both = median_of(Way::Regions).zip(median_of(Way::Cores));
    let each = |time| nanos(time) / round as u64;
    let figures = lanes.iter().zip(worked.iter().zip(idle)).map(|(lane, (worked, idle))| {
        let ns_frame = each(worked.wall).max(1);
        Figures {
            lane: lane.way,
            frames_per_second: 1e9 / ns_frame as f64,
            ns_frame,
            ns_frame_idle: each(Took::median(&idle).wall),
            ns_processor: each(worked.processor),
            bytes_copied: lane.way.copies() * film.frame_bytes() as u64,
        }
    });
    let report = Report {
        width: args.size.0,
        height: args.size.1,
        format: "gray8",
        cores: jobs,
        stages: lane::STAGES.iter().map(|stage| stage.name).collect(),
        frames: rounds * round,
        frames_compared: (WARM_UP + 1) * round,
        identical: true,
        lanes: figures.collect(),
        gain: both.map(|(one, several)| Gain::new(jobs, one, several)),
    };
    if let Some(chart) = chart {
        chart.write(chart::svg(&report).as_bytes())?;
    }
    match args.json {
        true => files::print(&serde_json::to_string_pretty(&report)?),
        false => files::print(&show::table(&report)),
    }
}

/// A lane, whose frames are looked at and whose rounds are timed.
struct Timed {
    way: Way,
    lane: Box<dyn Lane>,
    screen: Shared,
    /// Frames in a round.
    round: usize,
}

impl Timed {
    /// Passes frames, and returns how long that took.
    fn round(&mut self, work: bool, look: Look) -> Result<Took> {
        self.screen.get().begin(work, look);
        let begun = Begun::now();
        let ran = self.lane.run(self.round, work);
        let took = begun.took();
        ran.with_context(|| self.way.title())?;
        match self.screen.get().all_right() {
            Some(seen) if seen == self.round => Ok(took),
            _ => Err(fail(Exit::Work, format!("{} gave other pictures than the first lane", self.way.title()))),
        }
    }
}
