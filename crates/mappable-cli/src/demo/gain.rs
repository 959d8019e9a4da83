//! What more cores give: by the clock, and of the processor's time, which other programs don't change.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::pipeline::median;
use crate::table;

/// How many cores to use; all that there are for 0.
pub(super) fn cores(jobs: usize) -> usize {
    match jobs {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        jobs => jobs,
    }
}

/// A moment.
pub(super) struct Begun {
    wall: Instant,
    processor: Duration,
}

/// How long something took.
#[derive(Clone, Copy)]
pub(super) struct Took {
    pub(super) wall: Duration,
    /// The time that all threads of this process computed. 0 where that isn't known.
    pub(super) processor: Duration,
}

impl Begun {
    pub(super) fn now() -> Self {
        Self { processor: processor_time(), wall: Instant::now() }
    }

    pub(super) fn took(&self) -> Took {
        let wall = self.wall.elapsed();
        Took { wall, processor: processor_time().saturating_sub(self.processor) }
    }
}

impl Took {
    /// Of each of the two.
    pub(super) fn median(all: &[Self]) -> Self {
        let of = |part: fn(&Self) -> Duration| median(&mut all.iter().map(part).collect::<Vec<_>>());
        Self { wall: of(|took| took.wall), processor: of(|took| took.processor) }
    }
}

#[cfg(target_os = "linux")]
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(not(target_os = "linux"))]
fn processor_time() -> Duration {
    Duration::ZERO
}

/// The same work on several cores, against one.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Gain {
    pub(super) cores: usize,
    /// How many times as fast.
    pub(super) times: f64,
    /// The same for each core: 1 is a core's worth.
    pub(super) efficiency: f64,
    /// How many times the processor's time: what sharing costs, but for waiting.
    pub(super) processor_time: Option<f64>,
}

impl Gain {
    pub(super) fn new(cores: usize, one: Took, several: Took) -> Self {
        let over = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64().max(1e-9);
        let times = over(one.wall, several.wall);
        let processor_time = (!one.processor.is_zero()).then(|| over(several.processor, one.processor));
        Self { cores, times, efficiency: times / cores as f64, processor_time }
    }

    /// `2 cores`.
    pub(super) fn cores(&self) -> String {
        format!("{} core{}", self.cores, if self.cores == 1 { "" } else { "s" })
    }

    /// `0.95 of a core's worth for each, at 1.02 times the processor's time`.
    pub(super) fn for_each(&self) -> String {
        let processor_time = self
            .processor_time
            .map_or_else(String::new, |times| format!(", at {} times the processor's time", table::ratio(times)));
        format!("{} of a core's worth for each{processor_time}", table::ratio(self.efficiency))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_time_on_two_cores_is_a_cores_worth_for_each() {
        let took =
            |wall, processor| Took { wall: Duration::from_millis(wall), processor: Duration::from_millis(processor) };
        let gain = Gain::new(2, took(100, 100), took(50, 110));
        assert_eq!((gain.times, gain.efficiency), (2.0, 1.0));
        assert_eq!(gain.for_each(), "1.00 of a core's worth for each, at 1.10 times the processor's time");
        assert_eq!(Gain::new(4, took(100, 0), took(50, 0)).for_each(), "0.50 of a core's worth for each");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn processor_time_goes_on_with_work() {
        let begun = Begun::now();
        let mut rounds = 0;
        while begun.took().processor.is_zero() {
            rounds += 1;
            assert!(rounds < 1_000_000_000, "the processor's time stands still");
        }
    }
}
