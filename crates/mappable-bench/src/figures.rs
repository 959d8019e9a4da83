//! The figures of benchmarks: medians and spread, and the machine that they were taken on.

use std::path::PathBuf;
use std::{fs, thread};

use anyhow::{Context, Result};
use serde::Serialize;

use super::report::Page;

/// Where figures go.
#[derive(Debug, clap::Args)]
pub(super) struct Output {
    /// Print figures as JSON
    #[arg(long)]
    json: bool,

    /// Write a page with charts to this folder, named for the benchmark; it loads nothing
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

impl Output {
    /// Writes the page, and prints JSON, or the table that `print` makes for people.
    pub(super) fn give<R: Serialize, S: Serialize>(
        &self,
        page: &Page,
        rows: Vec<R>,
        summary: S,
        print: impl FnOnce(&[R], &S),
    ) -> Result<()> {
        let report = Report::new(rows, summary);
        if let Some(folder) = &self.report {
            page.write(&serde_json::to_value(&report)?, folder)?;
        }
        if self.json {
            println!("{}", serde_json::to_string(&report)?);
        } else {
            print(&report.rows, &report.summary);
        }
        Ok(())
    }
}

/// Figures as JSON, in the one shape of all benchmarks.
#[derive(Debug, Serialize)]
struct Report<R, S> {
    rows: Vec<R>,
    summary: S,
    #[serde(flatten)]
    taken_with: TakenWith,
}

#[derive(Debug, Serialize)]
struct TakenWith {
    machine: Machine,
    compiler: &'static str,
    profile: &'static str,
    commit: &'static str,
}

#[derive(Debug, Serialize)]
struct Machine {
    cpu: String,
    cpus: usize,
    system: String,
}

impl<R: Serialize, S: Serialize> Report<R, S> {
    fn new(rows: Vec<R>, summary: S) -> Self {
        let compiler = env!("MAPPABLE_COMPILER");
        let (profile, commit) = (env!("MAPPABLE_PROFILE"), env!("MAPPABLE_COMMIT"));
        Self { rows, summary, taken_with: TakenWith { machine: Machine::this(), compiler, profile, commit } }
    }
}

impl Machine {
    fn this() -> Self {
        let unknown = || "unknown".to_owned();
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cpu: cpu.map_or_else(unknown, |(_, name)| name.to_owned()),
            cpus: thread::available_parallelism().map_or(1, usize::from),
            system: format!("{} {} {}", std::env::consts::OS, release.trim(), std::env::consts::ARCH),
        }
    }
}

/// The median of samples, and the least and the greatest, in nanoseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Spread {
    pub(super) ns: f64,
    pub(super) ns_min: f64,
    pub(super) ns_max: f64,
}

impl Spread {
    pub(super) fn of(mut samples: Vec<f64>) -> Result<Self> {
        samples.sort_by(f64::total_cmp);
        let (first, last) = samples.first().zip(samples.last()).context("no sample was taken")?;
        Ok(Self { ns: samples[samples.len() / 2], ns_min: *first, ns_max: *last })
    }
}

/// `None` of nothing.
pub(super) fn geometric_mean(ratios: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (sum, count) = ratios.into_iter().fold((0.0, 0_u32), |(sum, count), ratio| (sum + ratio.ln(), count + 1));
    (count > 0).then(|| (sum / f64::from(count)).exp())
}

/// Bytes that look random and are the same each time.
pub(super) fn noise(len: usize) -> impl Iterator<Item = u64> {
    let mut random = fastrand::Rng::with_seed(1);
    std::iter::repeat_with(move || random.u64(..)).take(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_median_and_the_ends() {
        let spread = Spread::of(vec![5.0, 1.0, 9.0, 3.0, 4.0]).unwrap();
        assert_eq!((spread.ns, spread.ns_min, spread.ns_max), (4.0, 1.0, 9.0));
        assert!(Spread::of(vec![]).is_err());
    }

    #[test]
    fn the_geometric_mean_of_a_ratio_and_its_inverse_is_one() {
        assert!((geometric_mean([4.0, 0.25]).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(geometric_mean([]), None);
    }
}
