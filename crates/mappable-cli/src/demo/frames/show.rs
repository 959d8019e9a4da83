//! The figures, for people.

use std::time::Duration;

use indicatif::HumanBytes;

use super::lane::Way;
use super::{Figures, Gain, Report};
use crate::table;

/// The longest bar, in characters.
const BAR: f64 = 40.0;

const NOTES: &str = "\
Medians of rounds of a few frames, lanes in turn, on one thread but where cores are named. Stock lanes have Wasmtime's default settings. \"A frame\" \
has the\ncamera's copy into the first stage in it, which each lane has. \"Of it passing\" is the same with stages that \
pass frames on and\nleave them alone.";

/// The engine's generic code is compiled with ours.
const UNOPTIMISED: &str = "\n\
This is an unoptimised build: the host's part of every call is slower than in a release.";

/// A table, bars, and what they come to.
pub(super) fn table(report: &Report) -> String {
    let Report { width, height, stages, frames_compared, lanes, .. } = report;
    let mut table = table::new(&["lane", ">frames/s", ">a frame", ">of it passing", ">copied between stages"]);
    for lane in lanes {
        table.add_row([
            title(report, lane),
            table::rate(lane.frames_per_second),
            table::time(Duration::from_nanos(lane.ns_frame)),
            table::time(Duration::from_nanos(lane.ns_frame_idle)),
            HumanBytes(lane.bytes_copied).to_string(),
        ]);
    }
    let compared = match lanes.len() {
        1 => "There is one lane, so no pictures were compared.".to_owned(),
        lanes => {
            format!("{frames_compared} frames of each of {lanes} lanes were compared, byte for byte: all are alike.")
        }
    };
    format!(
        "Frames of {width}x{height} pixels of luminance ({}) through {}, each a component.\n{compared}\n\n{table}\n\n{}{}\n{NOTES}{}",
        HumanBytes(u64::from(*width) * u64::from(*height)),
        stages.join(", "),
        bars(report),
        ratios(report),
        if cfg!(debug_assertions) { UNOPTIMISED } else { "" },
    )
}

/// As in the table: with the number of cores, where there are several.
fn title(report: &Report, lane: &Figures) -> String {
    match (lane.lane, report.cores) {
        (Way::Cores, 1) => "regions, on 1 core".to_owned(),
        (Way::Cores, cores) => format!("regions, on {cores} cores"),
        (way, _) => way.title().to_owned(),
    }
}

fn bars(report: &Report) -> String {
    let lanes = &report.lanes;
    let most = lanes.iter().map(|lane| lane.frames_per_second).fold(0.0, f64::max);
    let titles = lanes.iter().map(|lane| title(report, lane).len()).max().unwrap_or(0);
    let bar = |lane: &Figures| {
        let long = (lane.frames_per_second / most * BAR).round().max(1.0) as usize;
        let rate = table::rate(lane.frames_per_second);
        format!("{:titles$}  {} {rate} frames/s\n", title(report, lane), "█".repeat(long))
    };
    lanes.iter().map(bar).collect()
}

/// Regions against each of the others, and several cores against one.
fn ratios(report: &Report) -> String {
    let lanes = &report.lanes;
    let Some(regions) = lanes.iter().find(|lane| lane.lane == Way::Regions) else { return String::new() };
    let ratio = |other: &Figures| {
        if let (Way::Cores, Some(gain)) = (other.lane, &report.gain) {
            return cores(report, other, gain);
        }
        let ratio = regions.frames_per_second / other.frames_per_second;
        format!("Regions pass {} times the frames of {}.\n", table::ratio(ratio), other.lane.title())
    };
    let others = lanes.iter().filter(|lane| lane.lane != Way::Regions);
    let ratios: String = others.map(ratio).collect();
    if ratios.is_empty() { ratios } else { format!("\n{ratios}") }
}

/// What more cores give, and what lists would cost there.
fn cores(report: &Report, lane: &Figures, gain: &Gain) -> String {
    let frame = u64::from(report.width) * u64::from(report.height);
    let copied = (Way::Lists.copies() * frame) as f64 * lane.frames_per_second;
    format!(
        "On {} regions pass {} times the frames of one: {}. No byte is shared.\n\
         By list<u8>, to pass as many would be to copy {} a second.\n",
        gain.cores(),
        table::ratio(gain.times),
        gain.for_each(),
        HumanBytes(copied as u64),
    )
}
