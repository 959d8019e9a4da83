//! The instances that are measured, and the memory that they take.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use mappable::{Frozen, Runtime};

use super::guests::Guest;
use super::team::Team;
use crate::figures::noise;
use crate::resident::{More, Resident};

/// A frozen region, and what must be read in it.
pub(super) struct Subject {
    pub(super) frozen: Frozen,
    /// What the process has more since the region was made.
    pub(super) takes: More,
    /// How long it took to move it into huge pages, if it was to be.
    pub(super) collapsing: Option<Duration>,
    sum: u64,
}

impl Subject {
    /// `None` if it is to lie in huge pages, and the operating system has none.
    pub(super) fn new(runtime: &Runtime, size: u64, huge: bool) -> Result<Option<Self>> {
        let before = Resident::now()?;
        let mut region = runtime.allocate(size)?;
        let mut sum = 0_u64;
        let (words, _) = region.bytes_mut()?.as_chunks_mut::<8>();
        for (word, noise) in words.iter_mut().zip(noise(size as usize / 8)) {
            *word = noise.to_le_bytes();
            sum = sum.wrapping_add(noise);
        }
        let frozen = region.freeze()?;
        let start = Instant::now();
        if huge && let Err(error) = frozen.collapse() {
            eprintln!("no huge pages: {error}");
            return Ok(None);
        }
        let collapsing = huge.then(|| start.elapsed());
        Ok(Some(Self { frozen, takes: Resident::now()?.more_than(before), collapsing, sum }))
    }

    /// All instances read all bytes: nanoseconds for each.
    pub(super) fn read<G: Guest>(&self, team: &mut Team<G>, count: usize) -> Result<f64> {
        let (sums, took) = team.each(Guest::sum)?;
        ensure!(sums.len() == count, "{} instances have read, not {count}", sums.len());
        let wrong = sums.iter().find(|&&sum| sum != self.sum);
        ensure!(wrong.is_none(), "an instance read a sum of {wrong:x?}, not {:x}", self.sum);
        Ok(took.as_nanos() as f64 / count as f64)
    }
}
