//! The demo's figures, for people.

use std::time::Duration;

use indicatif::HumanBytes;

use super::{Report, Way};
use crate::table;

const NOTES: &str = "\
Times are medians of 3 rounds, the two pipelines in turn. \"Handing over\" is what a stage that does no work takes on \
a picture\nof the same size (median of 9 calls): handle, map and unmap here; copying in and out there. Pages that a \
stage touches for the\nfirst time are faulted in while it works, in both.";

/// The engine's generic code is compiled with ours.
const UNOPTIMISED: &str = "\n\
This is an unoptimised build: the host's part of every call, copies above all, is slower than in a release.";

/// A table with both ways side by side, what they come to, and where the picture is.
pub(super) fn table(report: &Report) -> String {
    let mut table = table::new(&[
        "stage",
        "gives",
        ">handed over",
        ">time",
        ">of it handing over",
        ">copied",
        ">list<u8>: time",
        ">of it handing over",
        ">copied",
    ]);
    let (regions, lists) = (&report.regions, &report.lists);
    for (region, list) in regions.stages.iter().zip(&lists.stages) {
        let name = match region.args.is_empty() {
            true => region.stage.clone(),
            false => format!("{}:{}", region.stage, region.args.join(",")),
        };
        table.add_row([
            name,
            region.output.describe(),
            HumanBytes(region.bytes_handed_over).to_string(),
            table::time(region.time),
            table::time(region.hand_over),
            HumanBytes(region.bytes_copied).to_string(),
            table::time(list.time),
            table::time(list.hand_over),
            HumanBytes(list.bytes_copied).to_string(),
        ]);
    }
    let [region_time, region_hand_over] = times(regions);
    let [list_time, list_hand_over] = times(lists);
    table.add_row([
        "total".to_owned(),
        String::new(),
        HumanBytes(regions.bytes_handed_over).to_string(),
        region_time.clone(),
        region_hand_over.clone(),
        HumanBytes(regions.bytes_copied).to_string(),
        list_time.clone(),
        list_hand_over.clone(),
        HumanBytes(lists.bytes_copied).to_string(),
    ]);
    let Report { width, height, output, .. } = report;
    format!(
        "A picture of {width}x{height} through {} sandboxed components: as one region that is handed along, and as\n\
         list<u8> on stock Wasmtime. Both gave the same file.\n\n{table}\n\n\
         Handing over:    {region_hand_over} against {list_hand_over}, {} times less.\n\
         Whole pipeline:  {region_time} against {list_time}, {}.\n\n\
         {NOTES}{}\n\nThe picture: {output}",
        regions.stages.len(),
        table::ratio(report.ratio_hand_over),
        whole(report.ratio_pipeline),
        if cfg!(debug_assertions) { UNOPTIMISED } else { "" },
    )
}

fn times(way: &Way) -> [String; 2] {
    [way.ns, way.ns_hand_over].map(|ns| table::time(Duration::from_nanos(ns)))
}

/// The rest is work, which takes what it takes; it may even take longer.
fn whole(ratio: f64) -> String {
    match ratio {
        ratio if ratio >= 1.0 => format!("{} times less", table::ratio(ratio)),
        ratio => format!("{} times more", table::ratio(1.0 / ratio)),
    }
}
