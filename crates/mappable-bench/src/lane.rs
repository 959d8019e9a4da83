//! A method under measurement: warmed up, sampled in turn with others, checked each time.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::figures::Spread;
use super::method::Method;

/// How long and how often.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Sampling {
    /// Samples of each figure
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) samples: u32,

    /// How long a sample lasts at the least, in milliseconds (a round at the least)
    #[arg(long, default_value_t = 5, value_name = "MS")]
    pub(super) sample_time: u64,
}

/// A method, and what is known of it so far.
pub(super) struct Lane {
    name: String,
    method: Box<dyn Method>,
    /// How many of what is measured are in a round.
    per_round: u32,
    /// Rounds in a sample.
    rounds: u32,
    /// How many have been done so far.
    done: u64,
    /// Nanoseconds each, one for each sample.
    samples: Vec<f64>,
    /// System calls that the library made meanwhile.
    system_calls: u64,
    reservations: u64,
}

impl Lane {
    /// Warms the method up, and finds how many rounds last as long as a sample should.
    pub(super) fn new(name: &str, method: Box<dyn Method>, per_round: u32, sampling: Sampling) -> Result<Self> {
        let sample_time = Duration::from_millis(sampling.sample_time);
        let name = name.to_owned();
        let mut lane =
            Self { name, method, per_round, rounds: 1, done: 0, samples: vec![], system_calls: 0, reservations: 0 };
        // The first time is for what is done once, the next two for what is built when it is wanted again: a map is
        // warm from the third on. What takes long maps nothing.
        let first = lane.measure()?;
        for _ in 0..2 {
            if first < Duration::from_secs(1) {
                lane.measure()?;
            }
        }
        while first < sample_time * 20 && lane.measure()? < sample_time && lane.rounds < 1 << 24 {
            lane.rounds *= 2;
        }
        lane.samples.clear();
        (lane.system_calls, lane.reservations) = (0, 0);
        Ok(lane)
    }

    /// Takes a sample of each in turn, as often as told. Who is first changes, so that nobody always follows the same
    /// one.
    pub(super) fn measure_all(lanes: &mut [Self], sampling: Sampling) -> Result<()> {
        for sample in 0..sampling.samples as usize {
            for turn in 0..lanes.len() {
                let at = (sample + turn) % lanes.len();
                lanes[at].measure()?;
            }
        }
        Ok(())
    }

    fn measure(&mut self) -> Result<Duration> {
        let (calls, reservations, start) =
            (mappable::internals::system_calls(), mappable::internals::reservations(), Instant::now());
        let seen = self.method.run(self.rounds)?;
        let took = start.elapsed();
        self.system_calls += mappable::internals::system_calls() - calls;
        self.reservations += mappable::internals::reservations() - reservations;
        let count = u64::from(self.rounds) * u64::from(self.per_round);
        self.done += count;
        ensure!(seen == self.done, "{}: {seen} of {} have left their mark", self.name, self.done);
        self.samples.push(took.as_nanos() as f64 / count as f64);
        Ok(took)
    }

    /// How many rounds a sample has.
    pub(super) fn rounds(&self) -> u32 {
        self.rounds
    }

    /// In all samples.
    pub(super) fn system_calls(&self) -> u64 {
        self.system_calls
    }

    /// The same, for each of what is measured.
    pub(super) fn system_calls_each(&self) -> f64 {
        self.system_calls as f64 / self.count()
    }

    /// Address ranges that were reserved, for each of what is measured: views that were built.
    pub(super) fn reservations_each(&self) -> f64 {
        self.reservations as f64 / self.count()
    }

    /// How much was measured.
    fn count(&self) -> f64 {
        self.samples.len() as f64 * f64::from(self.rounds) * f64::from(self.per_round)
    }

    pub(super) fn spread(self) -> Result<Spread> {
        Spread::of(self.samples)
    }
}
