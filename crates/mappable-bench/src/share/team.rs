//! Threads that share the work on instances.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// What each thread has.
pub(super) struct Team<T>(Vec<Vec<T>>);

impl<T: Send> Team<T> {
    /// `count` of what `make` makes, made by `threads` threads, which keep them.
    pub(super) fn new(count: usize, threads: usize, make: impl Fn() -> Result<T> + Sync) -> Result<Self> {
        let threads = threads.min(count);
        let mut shares: Vec<_> = (0..threads).map(|thread| (thread..count).step_by(threads).len()).collect();
        let made: Vec<_> = at_once(&mut shares, |share| (0..*share).map(|_| make()).collect())?.0;
        Ok(Self(made))
    }

    pub(super) fn map<U>(self, change: impl Fn(T) -> U) -> Team<U> {
        Team(self.0.into_iter().map(|own| own.into_iter().map(&change).collect()).collect())
    }

    /// Has every thread do this to each of its own: what came of it, and how long it took all of them together.
    pub(super) fn each<R: Send>(&mut self, act: impl Fn(&mut T) -> Result<R> + Sync) -> Result<(Vec<R>, Duration)> {
        let (done, took) = at_once(&mut self.0, |own| own.iter_mut().map(&act).collect::<Result<Vec<R>>>())?;
        Ok((done.into_iter().flatten().collect(), took))
    }
}

/// One thread for each of them, which begin together. The time is from when the first one has begun to when the last
/// one is done. The threads look at the clock themselves: on few processors, this one may not run before they are done.
fn at_once<T: Send, R: Send>(items: &mut [T], act: impl Fn(&mut T) -> Result<R> + Sync) -> Result<(Vec<R>, Duration)> {
    let (barrier, act) = (&Barrier::new(items.len()), &act);
    thread::scope(|scope| {
        let begin = |item| {
            scope.spawn(move || {
                barrier.wait();
                let start = Instant::now();
                let done = act(item)?;
                anyhow::Ok((done, start, Instant::now()))
            })
        };
        let threads: Vec<_> = items.iter_mut().map(begin).collect();
        let joined = threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?);
        let joined = joined.collect::<Result<Vec<_>>>()?;
        let start = joined.iter().map(|(_, start, _)| *start).min();
        let end = joined.iter().map(|(_, _, end)| *end).max();
        let took = start.zip(end).map_or(Duration::ZERO, |(start, end)| end - start);
        Ok((joined.into_iter().map(|(done, ..)| done).collect(), took))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn all_is_made_and_done_once() {
        for (count, threads) in [(1, 8), (7, 3), (8, 8), (9, 1)] {
            let made = AtomicU32::new(0);
            let mut team = Team::new(count, threads, || Ok(made.fetch_add(1, Ordering::Relaxed))).unwrap();
            let (mut seen, _) = team.each(|number| Ok(*number)).unwrap();
            seen.sort_unstable();
            assert_eq!(seen, (0..count as u32).collect::<Vec<_>>());
            let nap = Duration::from_millis(2);
            let sleep = |_: &mut u32| {
                thread::sleep(nap);
                Ok(())
            };
            let (_, took) = team.each(sleep).unwrap();
            assert!(took >= nap * count.div_ceil(threads) as u32, "{took:?}");
            assert!(team.each(|number| if *number == 0 { Err(anyhow!("no")) } else { Ok(()) }).is_err());
        }
    }
}
