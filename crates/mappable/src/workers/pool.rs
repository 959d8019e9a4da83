//! [`Workers`]: threads, each with a worker of its own, that share items out among them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::cancel::Cancel;
use super::error::{MapError, MapFailed, WorkersError};
use crate::host::Runtime;
use crate::region::{AllocateError, Mappable};
use crate::tuning::ZEROED_AT_ONCE;

/// What makes a worker.
type Make<W> = Box<dyn Fn() -> wasmtime::Result<W> + Send + Sync>;

/// Threads, each with a worker: a store with an instance in it, or whatever else the embedder's function makes.
///
/// Threads are [rayon's](rayon::ThreadPool), in a pool of their own. A worker stays on its thread, so its memory and its views
/// are warm in that core's caches.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use mappable::workers::Workers;
///
/// // A worker is anything. Most are a store and a function of the instance in it.
/// let mut workers = Workers::new(2, || Ok(0))?;
/// let squares = workers.map(vec![1, 2, 3], |calls, _, item| {
///     *calls += 1;
///     Ok(item * item)
/// })?;
/// assert_eq!(squares, [1, 4, 9]);
/// # Ok(())
/// # }
/// ```
///
/// # Async stores
///
/// A closure runs on a worker's thread and may wait there. So a store whose guests are called asynchronously is called by
/// `block_on` of whatever runs futures: `tokio::runtime::Handle::block_on` lets host functions use Tokio's timers and sockets. A
/// caller that must not wait itself calls [`Workers::map`] in `tokio::task::spawn_blocking`.
pub struct Workers<W> {
    pool: ThreadPool,
    make: Make<W>,
    /// Each thread's worker; `None` for one that failed, which is made anew when it is next needed.
    slots: Vec<Mutex<Option<W>>>,
    cancel: Cancel,
}

impl<W> fmt::Debug for Workers<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("count", &self.slots.len()).finish_non_exhaustive()
    }
}

impl<W: Send> Workers<W> {
    /// So many workers, each made by `make` on a thread of its own; as many as the process may use cores
    /// ([`std::thread::available_parallelism`]) for 0. Compile components before, not in `make`.
    ///
    /// # Errors
    ///
    /// [`WorkersError`].
    pub fn new(
        count: usize,
        make: impl Fn() -> wasmtime::Result<W> + Send + Sync + 'static,
    ) -> Result<Self, WorkersError> {
        let count = if count > 0 { count } else { std::thread::available_parallelism().map_or(1, usize::from) };
        let name = |at: usize| format!("mappable-worker-{at}");
        let pool = ThreadPoolBuilder::new().num_threads(count).thread_name(name).build();
        let pool = pool.map_err(WorkersError::Threads)?;
        let make: Make<W> = Box::new(make);
        let made = pool.broadcast(|thread| make().map_err(|source| (thread.index(), source)));
        let slots = made.into_iter().map(|made| made.map(|worker| Mutex::new(Some(worker))));
        let slots = slots.collect::<Result<_, _>>();
        let slots = slots.map_err(|(worker, source)| WorkersError::NotMade { worker, source })?;
        Ok(Self { pool, make, slots, cancel: Cancel::new() })
    }

    /// How many workers there are. [`Cancel`] has an example.
    pub fn count(&self) -> usize {
        self.slots.len()
    }

    /// Sets the token that cancels what the workers do from here on. It replaces the one before. [`Cancel`] has an example.
    pub fn set_cancel(&mut self, cancel: &Cancel) {
        self.cancel = cancel.clone();
    }

    /// A new region of `len` bytes that reads as zero, as [`Runtime::allocate`] makes it, for those who share it out next.
    ///
    /// A region of that size that is kept ([`RuntimeBuilder::idle_regions`](crate::RuntimeBuilder::idle_regions)) has pages and
    /// is warm in the workers' views, and what is in it is written over by all threads together. A picture in and a picture out for
    /// each stage so are two regions in turn.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use mappable::Runtime;
    /// use mappable::workers::{Parts, Workers};
    ///
    /// let runtime = Runtime::builder().idle_regions(64 << 20).build()?;
    /// let mut workers = Workers::new(2, || Ok(()))?;
    /// let mut picture = runtime.allocate_from(&[1; 8 << 20])?.freeze()?;
    /// for _ in 0..4 {
    ///     let output = workers.allocate(&runtime, picture.len() as u64)?;
    ///     let (made, _) = workers.map_parts(output, &Parts::of_rows(4096), |_, part| {
    ///         let (from, to) = (part.offset as usize, part.bytes().end as usize);
    ///         let mut region = part.region;
    ///         for (made, given) in region.bytes_mut()?[..to].iter_mut().zip(&picture[from..]) {
    ///             *made += given + 1;
    ///         }
    ///         Ok((region, ()))
    ///     })?;
    ///     // The picture before is kept, and is the next one's region.
    ///     picture = made.freeze()?;
    /// }
    /// assert!(picture.iter().all(|&byte| byte == 5));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Runtime::allocate`].
    pub fn allocate(&self, runtime: &Runtime, len: u64) -> Result<Mappable, AllocateError> {
        Mappable::allocate_zeroed_by(runtime.backing(), len, |left| self.zero(left))
    }

    /// Writes over bytes, by all threads if that is worth it.
    fn zero(&self, left: Vec<&mut [u8]>) {
        let parts = left.into_iter().flat_map(|piece| piece.chunks_mut(ZEROED_AT_ONCE));
        let parts: Vec<_> = parts.collect();
        if self.count() == 1 || parts.len() == 1 {
            return parts.into_iter().for_each(|part| part.fill(0));
        }
        self.pool.in_place_scope(|scope| {
            for part in parts {
                scope.spawn(|_| part.fill(0));
            }
        });
    }

    /// Calls `work` on each item, with a worker and the item's index, and returns what came of each, in order. Waits for
    /// all of it.
    ///
    /// Items are often regions, or records with regions in them. Each worker has a run of neighbouring items of its own, the same
    /// ones in each call with as many items, and takes from the end of another's when it is done with those.
    ///
    /// # Errors
    ///
    /// [`MapFailed`], with what is left. After the first error no item is begun; those that are being worked on are finished.
    ///
    /// # Panics
    ///
    /// If `work` does. What it had, and what was not begun, is dropped.
    pub fn map<T: Send, R: Send>(
        &mut self,
        items: Vec<T>,
        work: impl Fn(&mut W, usize, T) -> wasmtime::Result<R> + Sync,
    ) -> Result<Vec<R>, MapFailed<T, R>> {
        let queue = Queue::new(items, self.slots.len());
        let found = self.pool.broadcast(|thread| self.serve(thread.index(), &queue, &work));
        let (mut done, mut failed) = (vec![], vec![]);
        for mut share in found {
            done.append(&mut share.done);
            failed.extend(share.failed);
        }
        done.sort_unstable_by_key(|(index, _)| *index);
        let left = queue.into_left();
        // The first in time: a worker that fails stops the others.
        failed.sort_by_key(|failure: &Failure| failure.turn);
        let lost = failed.iter().filter_map(|failure| match failure.reason {
            MapError::Failed { index, .. } => Some(index),
            _ => None,
        });
        let lost: Vec<_> = lost.collect();
        match failed.into_iter().next() {
            Some(Failure { reason, .. }) => Err(MapFailed { reason, done, left, lost }),
            None if left.is_empty() => Ok(done.into_iter().map(|(_, made)| made).collect()),
            None => Err(MapFailed { reason: MapError::Cancelled, done, left, lost }),
        }
    }

    /// What one thread does: one item after the other, with its worker.
    fn serve<T, R>(
        &self,
        at: usize,
        queue: &Queue<T>,
        work: &(impl Fn(&mut W, usize, T) -> wasmtime::Result<R> + Sync),
    ) -> Served<R> {
        let mut served = Served { done: vec![], failed: None };
        let _stops = StopsOnPanic(queue);
        // A worker whose closure panicked is as one that failed.
        let mut slot = self.slots[at].lock().unwrap_or_else(|poisoned| {
            self.slots[at].clear_poison();
            let mut slot = poisoned.into_inner();
            *slot = None;
            slot
        });
        while !self.cancel.is_cancelled()
            && let Some((index, item)) = queue.take(at)
        {
            let worker = match &mut *slot {
                Some(worker) => worker,
                empty => match (self.make)() {
                    Ok(worker) => empty.insert(worker),
                    Err(source) => {
                        let turn = queue.stop_with(index, item);
                        served.failed = Some(Failure { turn, reason: MapError::NotMade { worker: at, source } });
                        break;
                    }
                },
            };
            match work(worker, index, item) {
                Ok(made) => served.done.push((index, made)),
                Err(source) => {
                    // With the store goes what it has of the item.
                    *slot = None;
                    served.failed = Some(Failure { turn: queue.stop(), reason: MapError::Failed { index, source } });
                    break;
                }
            }
        }
        served
    }
}

/// Has nothing given out any more, should its thread panic.
struct StopsOnPanic<'a, T>(&'a Queue<T>);

impl<T> Drop for StopsOnPanic<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

/// What one thread did.
struct Served<R> {
    done: Vec<(usize, R)>,
    failed: Option<Failure>,
}

struct Failure {
    /// The how-manieth it is.
    turn: usize,
    reason: MapError,
}

/// Items that nobody has begun.
struct Queue<T>(Mutex<Left<T>>);

struct Left<T> {
    /// Each worker's own run of them.
    runs: Vec<VecDeque<(usize, T)>>,
    /// How many workers have failed. Nothing is given out after the first.
    failures: usize,
}

impl<T> Queue<T> {
    fn new(items: Vec<T>, workers: usize) -> Self {
        let count = items.len();
        let mut items = items.into_iter().enumerate();
        let run = |at: usize| items.by_ref().take((at + 1) * count / workers - at * count / workers).collect();
        Self(Mutex::new(Left { runs: (0..workers).map(run).collect(), failures: 0 }))
    }

    /// An item for this worker: the next of its own, or the last of who has most.
    fn take(&self, worker: usize) -> Option<(usize, T)> {
        let mut left = self.left();
        if left.failures > 0 {
            return None;
        }
        match left.runs[worker].pop_front() {
            Some(item) => Some(item),
            None => left.runs.iter_mut().max_by_key(|run| run.len())?.pop_back(),
        }
    }

    /// Has nothing given out any more, and returns how many have had it before.
    fn stop(&self) -> usize {
        let mut left = self.left();
        left.failures += 1;
        left.failures - 1
    }

    /// The same, and puts an item back.
    fn stop_with(&self, index: usize, item: T) -> usize {
        self.left().runs[0].push_back((index, item));
        self.stop()
    }

    fn into_left(self) -> Vec<(usize, T)> {
        let left = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut left: Vec<_> = left.runs.into_iter().flatten().collect();
        left.sort_unstable_by_key(|(index, _)| *index);
        left
    }

    fn left(&self) -> MutexGuard<'_, Left<T>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_neighbours_first_and_then_takes_from_who_has_most() {
        let queue = Queue::new(vec!['a', 'b', 'c', 'd', 'e'], 2);
        let take = |worker| queue.take(worker).map(|(index, _)| index);
        assert_eq!([take(0), take(1), take(0)], [Some(0), Some(2), Some(1)]);
        assert_eq!([take(0), take(1), take(1)], [Some(4), Some(3), None]);
    }

    #[test]
    fn nothing_is_given_out_after_a_failure() {
        let queue = Queue::new(vec!['a', 'b', 'c'], 2);
        let (index, item) = queue.take(1).unwrap();
        assert_eq!((queue.stop_with(index, item), queue.stop()), (0, 1));
        assert!(queue.take(0).is_none() && queue.take(1).is_none());
        assert_eq!(queue.into_left(), [(0, 'a'), (1, 'b'), (2, 'c')]);
    }
}
