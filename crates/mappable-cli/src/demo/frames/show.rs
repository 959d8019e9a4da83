//! The figures, for people.

use std::time::Duration;

use indicatif::HumanBytes;

use super::lane::Way;
use super::{Figures, Report};
use crate::table;

/// The longest bar, in characters.
const BAR: f64 = 40.0;

const NOTES: &str = "\
Medians of rounds of 4 frames, lanes in turn, on one thread. Stock lanes have Wasmtime's default settings. \"A frame\" \
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
            lane.lane.title().to_owned(),
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
        bars(lanes),
        ratios(lanes),
        if cfg!(debug_assertions) { UNOPTIMISED } else { "" },
    )
}

fn bars(lanes: &[Figures]) -> String {
    let most = lanes.iter().map(|lane| lane.frames_per_second).fold(0.0, f64::max);
    let titles = lanes.iter().map(|lane| lane.lane.title().len()).max().unwrap_or(0);
    let bar = |lane: &Figures| {
        let long = (lane.frames_per_second / most * BAR).round().max(1.0) as usize;
        let rate = table::rate(lane.frames_per_second);
        format!("{:titles$}  {} {rate} frames/s\n", lane.lane.title(), "█".repeat(long))
    };
    lanes.iter().map(bar).collect()
}

/// Regions against each of the others.
fn ratios(lanes: &[Figures]) -> String {
    let Some(regions) = lanes.iter().find(|lane| lane.lane == Way::Regions) else { return String::new() };
    let others = lanes.iter().filter(|lane| lane.lane != Way::Regions);
    let ratio = |other: &Figures| {
        let ratio = table::ratio(regions.frames_per_second / other.frames_per_second);
        format!("Regions pass {ratio} times the frames of {}.\n", other.lane.title())
    };
    let ratios: String = others.map(ratio).collect();
    if ratios.is_empty() { ratios } else { format!("\n{ratios}") }
}
