//! Runs a benchmark: case after case, with the methods of each case interleaved. Each method gives a row.

use anyhow::{Context, Result};
use clap::ValueEnum;
use indicatif::ProgressBar;

use crate::lane::{Lane, Sampling};
use crate::method::Method;

/// Measures each case, one after the other: its rows. On a terminal a bar tells how many are done.
pub(crate) fn each<C, R>(
    cases: &[C],
    name: impl Fn(&C) -> String,
    mut measure: impl FnMut(&C) -> Result<Vec<R>>,
) -> Result<Vec<R>> {
    let progress = ProgressBar::new(cases.len() as u64);
    let mut rows = vec![];
    for case in cases {
        rows.extend(measure(case).with_context(|| name(case))?);
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(rows)
}

/// Each of these with each of those, the latter in the inner loop.
pub(crate) fn pairs<A: Copy, B: Copy>(outer: &[A], inner: &[B]) -> Vec<(A, B)> {
    outer.iter().flat_map(|&a| inner.iter().map(move |&b| (a, b))).collect()
}

/// One row for each method, their samples interleaved; none of a method that there is not in this case. A round of a
/// method does `per_round` of what is measured.
pub(crate) fn interleaved<M: ValueEnum + Copy, R>(
    methods: &[M],
    sampling: Sampling,
    per_round: u32,
    mut make: impl FnMut(M) -> Result<Option<Box<dyn Method>>>,
    mut row: impl FnMut(M, Lane) -> Result<R>,
) -> Result<Vec<R>> {
    let (mut measured, mut lanes) = (vec![], vec![]);
    for &method in methods {
        let name = name(method);
        let lane =
            make(method).and_then(|made| made.map(|made| Lane::new(&name, made, per_round, sampling)).transpose());
        if let Some(lane) = lane.with_context(|| name.clone())? {
            measured.push(method);
            lanes.push(lane);
        }
    }
    Lane::measure_all(&mut lanes, sampling)?;
    measured.into_iter().zip(lanes).map(|(method, lane)| row(method, lane)).collect()
}

/// The value's name on the command line, which tables use too.
pub(crate) fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
