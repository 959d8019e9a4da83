//! `mappable-bench ordinary`: times components that map nothing, on a stock engine and on one that can map.

mod cases;
mod engines;
mod uses;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;

use self::cases::{Case, Group};
use self::engines::{Host, Kind};
use self::uses::Crowd;
use super::figures::{Output, Spread, geometric_mean};
use super::lane::Sampling;
use super::report::{Charts, Page};
use super::resident::Resident;
use super::size;
use crate::{driver, table};

const PAGE: Page = Page {
    name: "ordinary",
    title: "What an ordinary component pays for an engine that can map",
    each: "each",
    charts: Charts::RatioTo("stock"),
};

/// Run components that know nothing of regions on an engine with default settings, without this project (`stock`), on one
/// with the pooling allocator (`pooling`), and on a runtime as it comes (`ours`), interleaved in one run.
///
/// They work on bytes of their heap, call each other and the host, allocate, are passed lists and strings, grow, and are
/// instantiated and compiled; and their instances take memory. What they answer is checked. Figures are medians of
/// samples, in nanoseconds each; the summary has geometric means of ratios of medians, by group.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mappable-bench ordinary
  mappable-bench ordinary --groups kernels,alloc --samples 31
  mappable-bench ordinary --report reports
  mappable-bench ordinary --json | jq .summary.kernels_over_stock")]
pub(crate) struct Args {
    /// What is measured
    #[arg(
        long,
        value_delimiter = ',',
        value_enum,
        default_value = "kernels,calls,alloc,list-u8,string,grow,instantiate,compile,resident"
    )]
    groups: Vec<Group>,

    /// What is compared
    #[arg(long, value_delimiter = ',', value_enum, default_value = "stock,pooling,ours")]
    methods: Vec<Kind>,

    /// Sizes of what kernels work on, in granules of 64 KiB, and of lists and strings: bytes, or with KiB or MiB
    #[arg(long, value_delimiter = ',', value_parser = size::parse, default_value = "64KiB,1MiB")]
    sizes: Vec<u64>,

    /// How many instances there are at once when their memory is measured
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    instances: u16,

    #[command(flatten)]
    sampling: Sampling,

    #[command(flatten)]
    output: Output,
}

/// A case on an engine. Times are nanoseconds each.
#[derive(Debug, Serialize)]
struct Row {
    method: Kind,
    group: &'static str,
    case: String,
    bytes: u64,
    #[serde(flatten)]
    time: Spread,
    /// Bytes that the process has more for an instance, where that is measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    resident_bytes: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_table_bytes: Option<f64>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let fits = |size: u64| size.is_multiple_of(mappable::GRANULE) && (1..=64 << 20).contains(&size);
    size::check(&args.sizes, "whole granules of 64 KiB, up to 64 MiB", fits)?;
    let cases = args.groups.iter().flat_map(|group| group.cases(&args.sizes).into_iter().map(|case| (*group, case)));
    let cases: Vec<_> = cases.collect();
    let hosts = args.methods.iter().map(|kind| Ok((*kind, Arc::new(Host::new(*kind)?))));
    let hosts = hosts.collect::<Result<Vec<_>>>()?;
    let name = |(group, case): &(Group, Case)| format!("{}: {}", group.name(), case.name());
    let rows = driver::each(&cases, name, |(group, case)| measure(&hosts, *group, case, args))?;
    let summary = summarize(&rows);
    args.output.give(&PAGE, rows, summary, |rows, summary| print(rows, summary, args))
}

type Hosts = [(Kind, Arc<Host>)];

/// One row for each engine, their samples interleaved.
fn measure(hosts: &Hosts, group: Group, case: &Case, args: &Args) -> Result<Vec<Row>> {
    let row = |kind: Kind, time| Row {
        method: kind,
        group: group.name(),
        case: case.name(),
        bytes: case.bytes(),
        time,
        resident_bytes: None,
        page_table_bytes: None,
    };
    if case.is_held() {
        return hold(hosts, case, args, row);
    }
    let host = |kind: Kind| hosts.iter().find(|(of, _)| *of == kind).context("no such engine");
    let make = |kind| case.timed(Arc::clone(&host(kind)?.1));
    driver::interleaved(&args.methods, args.sampling, 1, make, |kind, lane| Ok(row(kind, lane.spread()?)))
}

/// What was measured of instances that stay: nanoseconds, bytes, and bytes of page tables, each.
type Held = [Vec<f64>; 3];

/// Makes instances on each engine in turn, and lets them go.
fn hold(hosts: &Hosts, case: &Case, args: &Args, row: impl Fn(Kind, Spread) -> Row) -> Result<Vec<Row>> {
    let count = usize::from(args.instances);
    let crowd = |host: &Host| case.crowd(host)?.context("nothing is timed and nothing is held");
    let mut crowds = hosts.iter().map(|(_, host)| crowd(host)).collect::<Result<Vec<_>>>()?;
    let mut held = vec![Held::default(); crowds.len()];
    for sample in 0..args.sampling.samples as usize + 1 {
        for (crowd, held) in crowds.iter_mut().zip(&mut held) {
            let seen = gather(&mut **crowd, count)?;
            // The first time is for what is done once.
            if sample > 0 {
                seen.into_iter().zip(held).for_each(|(seen, held)| held.push(seen / count as f64));
            }
        }
    }
    let rows = hosts.iter().zip(held).map(|((kind, _), [ns, resident, tables])| {
        let median = |bytes| Ok::<_, anyhow::Error>(Some(Spread::of(bytes)?.ns));
        Ok(Row { resident_bytes: median(resident)?, page_table_bytes: median(tables)?, ..row(*kind, Spread::of(ns)?) })
    });
    rows.collect()
}

fn gather(crowd: &mut dyn Crowd, count: usize) -> Result<[f64; 3]> {
    let (before, start) = (Resident::now()?, Instant::now());
    crowd.gather(count)?;
    let (took, after) = (start.elapsed(), Resident::now()?);
    crowd.leave();
    let more = |of: fn(&Resident) -> u64| of(&after) as f64 - of(&before) as f64;
    Ok([took.as_nanos() as f64, more(|memory| memory.resident), more(|memory| memory.page_tables)])
}

/// By group, geometric means over its cases of what ours takes over what another takes: `kernels_over_stock`, the same by
/// the least samples, `kernels_over_stock_least`, and `kernels_over_pooling`. `resident` is of memory.
fn summarize(rows: &[Row]) -> BTreeMap<String, f64> {
    let mut summary = BTreeMap::new();
    for group in Group::ALL {
        for other in [Kind::Stock, Kind::Pooling] {
            let name = format!("{}_over_{}", group.name(), driver::name(other));
            let mut note = |name: String, of: fn(&Row) -> f64| {
                let ratios = ratios(rows, group, other, of);
                summary.extend(geometric_mean(ratios).map(|mean| (name, mean)));
            };
            match group {
                // Memory that is shared can be none: a page at the least.
                Group::Resident => note(name, |row| row.resident_bytes.unwrap_or_default().max(4096.0)),
                _ => {
                    note(format!("{name}_least"), |row| row.time.ns_min);
                    note(name, |row| row.time.ns);
                }
            }
        }
    }
    summary
}

/// For each case of a group, ours over another.
fn ratios(rows: &[Row], group: Group, other: Kind, of: fn(&Row) -> f64) -> impl Iterator<Item = f64> {
    let ours = rows.iter().filter(move |row| row.group == group.name() && row.method == Kind::Ours);
    ours.filter_map(move |ours| {
        let same = |row: &&Row| (row.group, &row.case, row.bytes) == (ours.group, &ours.case, ours.bytes);
        let other = rows.iter().filter(same).find(|row| row.method == other)?;
        Some(of(ours) / of(other))
    })
}

fn print(rows: &[Row], summary: &BTreeMap<String, f64>, args: &Args) {
    let mut titles = vec!["group".to_owned(), "case".to_owned(), ">bytes".to_owned()];
    titles.extend(args.methods.iter().map(|kind| format!(">{}", driver::name(*kind))));
    let ours = args.methods.iter().position(|kind| *kind == Kind::Ours);
    let others = (0..args.methods.len()).filter(|at| ours.is_some_and(|ours| ours != *at));
    let compared: Vec<_> = others.filter_map(|at| Some((ours?, at))).collect();
    titles.extend(compared.iter().map(|(_, at)| format!(">ours ÷ {}", driver::name(args.methods[*at]))));
    let mut table = table::new(&titles);
    for rows in rows.chunks(args.methods.len()) {
        let mut cells = vec![rows[0].group.to_owned(), rows[0].case.clone(), size::human(rows[0].bytes)];
        let figure = |row: &Row| row.resident_bytes.map_or(row.time.ns, |bytes| bytes.max(4096.0));
        cells.extend(rows.iter().map(|row| match row.resident_bytes {
            None => table::time(row.time.ns),
            Some(bytes) => table::bytes(bytes.max(0.0) as u64),
        }));
        cells.extend(compared.iter().map(|(ours, at)| table::ratio(figure(&rows[*ours]) / figure(&rows[*at]))));
        table.add_row(cells);
    }
    println!("{table}");
    println!("Time each, medians; of `resident`, memory an instance. stock is Wasmtime, without this project.");
    for (name, mean) in summary {
        println!("{name}: {mean:.3}");
    }
}
