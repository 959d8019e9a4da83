//! The demo's figures, for people.

use std::time::Duration;

use indicatif::HumanBytes;

use super::{Cores, Report};
use crate::table;

const NOTES: &str = "\
Times are medians of 3 rounds, the pipelines in turn, after two in which regions and views are made that are used \
again.\n\"Handing over\" is what a stage that does no work takes on a picture of the same size (median of 9 calls): \
handle, map and\nunmap here; copying in and out there. On one core stages work in place; on several they make a new \
picture by rows.";

/// The engine's generic code is compiled with ours.
const UNOPTIMISED: &str = "\n\
This is an unoptimised build: the host's part of every call, copies above all, is slower than in a release.";

/// A table with all ways side by side, what they come to, and where the picture is.
pub(super) fn table(report: &Report) -> String {
    let (regions, lists) = (&report.regions, &report.lists);
    // A column for several cores only where they are used.
    let cells = |of_regions: [String; 6], on_cores: Option<String>, of_lists: [String; 3]| -> Vec<String> {
        of_regions.into_iter().chain(on_cores).chain(of_lists).collect()
    };
    let titles = cells(
        ["stage", "gives", ">handed over", ">time", ">of it handing over", ">copied"].map(str::to_owned),
        report.cores.as_ref().map(|cores| format!(">on {}", cores.gain.cores())),
        [">list<u8>: time", ">of it handing over", ">copied"].map(str::to_owned),
    );
    let mut table = table::new(&titles.iter().map(String::as_str).collect::<Vec<_>>());
    let bytes = |count| HumanBytes(count).to_string();
    for (at, (region, list)) in regions.stages.iter().zip(&lists.stages).enumerate() {
        let name = match region.args.is_empty() {
            true => region.stage.clone(),
            false => format!("{}:{}", region.stage, region.args.join(",")),
        };
        let [region_time, list_time] = [region, list].map(|it| table::time(it.time));
        let [region_hand_over, list_hand_over] = [region, list].map(|it| table::time(it.hand_over));
        let [region_copied, list_copied] = [region, list].map(|it| bytes(it.bytes_copied));
        let (gives, handed_over) = (region.output.describe(), bytes(region.bytes_handed_over));
        table.add_row(cells(
            [name, gives, handed_over, region_time, region_hand_over, region_copied],
            report.cores.as_ref().map(|cores| match cores.shared_out[at] {
                true => time(cores.ns_stages[at]),
                false => format!("{} (one)", time(cores.ns_stages[at])),
            }),
            [list_time, list_hand_over, list_copied],
        ));
    }
    let [region_time, list_time] = [regions, lists].map(|way| time(way.ns));
    let [region_hand_over, list_hand_over] = [regions, lists].map(|way| time(way.ns_hand_over));
    let [region_copied, list_copied] = [regions, lists].map(|way| bytes(way.bytes_copied));
    let (name, handed_over) = ("total".to_owned(), bytes(regions.bytes_handed_over));
    table.add_row(cells(
        [name, String::new(), handed_over, region_time.clone(), region_hand_over.clone(), region_copied],
        report.cores.as_ref().map(|cores| time(cores.ns)),
        [list_time.clone(), list_hand_over.clone(), list_copied],
    ));
    let Report { width, height, output, .. } = report;
    format!(
        "A picture of {width}x{height} through {} sandboxed components: as one region that is handed along, and as\n\
         list<u8> on stock Wasmtime. All gave the same file.\n\n{table}\n\n\
         Handing over:    {region_hand_over} against {list_hand_over}, {} times less.\n\
         Whole pipeline:  {region_time} against {list_time}, {}.\n{}\n\
         {NOTES}{}\n\nThe picture: {output}",
        regions.stages.len(),
        table::ratio(report.ratio_hand_over),
        whole(report.ratio_pipeline),
        report.cores.as_ref().map_or_else(String::new, on_cores),
        if cfg!(debug_assertions) { UNOPTIMISED } else { "" },
    )
}

/// What more cores give, what they can't, and what lists would cost there.
fn on_cores(cores: &Cores) -> String {
    let serial = match cores.serial {
        0.0 => String::new(),
        serial => format!(
            "Stages that can't be shared out (\"one\") take {:.1}% of the time on one core: no number of cores is\n                 \
             more than {} times as fast.\n                 ",
            100.0 * serial,
            table::ratio(1.0 / serial),
        ),
    };
    format!(
        "On {}:      {}: {} times as fast as on one, {}.\n                 \
         {serial}\
         The first round, which makes regions and views, took {} (on one core {}).\n                 \
         No byte is shared. By list<u8>, to be as fast would be to copy {} a second.\n",
        cores.gain.cores(),
        time(cores.ns),
        table::ratio(cores.gain.times),
        cores.gain.for_each(),
        time(cores.ns_first),
        time(cores.ns_first_on_one),
        HumanBytes(cores.list_bytes_per_second),
    )
}

fn time(ns: u64) -> String {
    table::time(Duration::from_nanos(ns))
}

/// The rest is work, which takes what it takes; it may even take longer.
fn whole(ratio: f64) -> String {
    match ratio {
        ratio if ratio >= 1.0 => format!("{} times less", table::ratio(ratio)),
        ratio => format!("{} times more", table::ratio(1.0 / ratio)),
    }
}
