//! `mappable-bench rounds`: the process that `mappable-bench counts` runs and counts. Not for people.

use anyhow::{Context, Result, ensure};

use super::subject::Subject;
use crate::method::{Direction, Element, List, Within};
use crate::tier::Concurrency;
use crate::{driver, size};

/// Rounds that come before those that are asked for: the first builds views, and pages are touched.
const WARM: u32 = 2;

/// Do rounds of one method.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct Args {
    #[arg(long, value_enum)]
    method: Subject,

    #[arg(long, value_parser = size::parse)]
    size: u64,

    #[arg(long, value_enum)]
    element: Element,

    #[arg(long, value_enum)]
    direction: Direction,

    #[arg(long, value_enum)]
    concurrency: Concurrency,

    #[arg(long)]
    inlining: bool,

    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Whether somebody steps through the rounds
    #[arg(long)]
    marked: bool,
}

/// The words that ask for it.
pub(super) fn arguments(
    subject: Subject,
    list: List,
    concurrency: Concurrency,
    inlining: bool,
    rounds: u32,
) -> Vec<String> {
    let options = [
        format!("--method={}", driver::name(subject)),
        format!("--element={}", driver::name(list.element)),
        format!("--direction={}", driver::name(list.direction)),
        format!("--concurrency={}", driver::name(concurrency)),
    ];
    let numbers = [format!("--size={}", list.bytes), format!("--rounds={rounds}")];
    let inlining = inlining.then(|| "--inlining".to_owned());
    ["rounds".to_owned()].into_iter().chain(options).chain(numbers).chain(inlining).collect()
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let list = List { element: args.element, within: Within::Nothing, direction: args.direction, bytes: args.size };
    let method = args.method.make(list, args.concurrency, args.inlining)?;
    let mut method = method.context("there is no such thing")?;
    method.run(WARM)?;
    let mark = || if args.marked { crate::sys::mark() } else { Ok(()) };
    if args.marked {
        crate::sys::be_counted()?;
    }
    mark()?;
    let done = method.run(args.rounds);
    mark()?;
    let done = done?;
    let all = u64::from(WARM + args.rounds) * u64::from(args.method.per_round());
    ensure!(done == all, "{done} of {all} have left their mark");
    Ok(())
}
