//! [`Pipeline`]: stages on threads, through which a few items go around.

use std::fmt;
use std::mem;
use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SendError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::cancel::Cancel;
use super::error::{PipelineError, PipelineFailed};

/// Stages, each on a thread of its own, through which items go one after the other: while one stage works on an item, the stage
/// before works on the next.
///
/// Items go around. The source fills one, the stages work on it in order, the sink is done with it, and the source fills it
/// again. So there are never more than a [run](Pipeline::run) was given, which is the back-pressure: a source that is quicker than the
/// slowest stage waits for an item to come back. Two items more than there are stages keep all threads busy.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::ops::ControlFlow;
///
/// use mappable::workers::Pipeline;
///
/// let runtime = mappable::Runtime::new()?;
/// // A stage has a worker, made on its thread: mostly a store and a function of the instance in it.
/// let mut pipeline = Pipeline::new()
///     .stage(|| Ok(1), |add, mut region: mappable::Mappable| {
///         region.bytes_mut()?.iter_mut().for_each(|byte| *byte += *add);
///         Ok(region)
///     })
///     .stage(|| Ok(2), |times, mut region| {
///         region.bytes_mut()?.iter_mut().for_each(|byte| *byte *= *times);
///         Ok(region)
///     });
///
/// let ring = (0..4).map(|_| runtime.allocate(100_000)).collect::<Result<Vec<_>, _>>()?;
/// let (mut frames, mut seen) = (1..=10, vec![]);
/// let source = |mut region: mappable::Mappable| match frames.next() {
///     Some(number) => {
///         region.bytes_mut()?.fill(number);
///         Ok(ControlFlow::Continue(region))
///     }
///     None => Ok(ControlFlow::Break(region)),
/// };
/// let sink = |region: mappable::Mappable| {
///     seen.push(region.bytes()?[99_999]);
///     Ok(region)
/// };
/// let ring = pipeline.run(ring, source, sink)?;
/// assert_eq!((seen, ring.len()), ((2..=11).map(|byte| byte * 2).collect(), 4));
/// # Ok(())
/// # }
/// ```
pub struct Pipeline<T> {
    stages: Vec<Box<dyn Step<T>>>,
    cancel: Cancel,
}

/// A stage and its worker.
trait Step<T>: Send {
    fn run(&mut self, item: T) -> Result<T, StepError>;
    /// Lets go of the worker, which is made anew for the next item.
    fn reset(&mut self);
}

enum StepError {
    NotMade(wasmtime::Error),
    Failed(wasmtime::Error),
}

struct Stage<W, M, F> {
    make: M,
    work: F,
    worker: Option<W>,
}

impl<T, W, M, F> Step<T> for Stage<W, M, F>
where
    W: Send,
    M: Fn() -> wasmtime::Result<W> + Send,
    F: FnMut(&mut W, T) -> wasmtime::Result<T> + Send,
{
    fn run(&mut self, item: T) -> Result<T, StepError> {
        let worker = match &mut self.worker {
            Some(worker) => worker,
            empty => empty.insert((self.make)().map_err(StepError::NotMade)?),
        };
        (self.work)(worker, item).map_err(StepError::Failed)
    }

    fn reset(&mut self) {
        self.worker = None;
    }
}

impl<T> fmt::Debug for Pipeline<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("stages", &self.stages.len()).finish_non_exhaustive()
    }
}

impl<T> Default for Pipeline<T> {
    fn default() -> Self {
        Self { stages: vec![], cancel: Cancel::new() }
    }
}

impl<T: Send> Pipeline<T> {
    /// A pipeline without stages.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a stage behind the others. `make` makes its worker, on the stage's thread: for the first item, and after `work`
    /// has returned an error. A worker is kept from run to run.
    pub fn stage<W: Send + 'static>(
        mut self,
        make: impl Fn() -> wasmtime::Result<W> + Send + 'static,
        work: impl FnMut(&mut W, T) -> wasmtime::Result<T> + Send + 'static,
    ) -> Self {
        self.stages.push(Box::new(Stage { make, work, worker: None }));
        self
    }

    /// Sets the token that cancels runs from here on. It replaces the one before. [`Cancel`] has an example.
    pub fn set_cancel(&mut self, cancel: &Cancel) {
        self.cancel = cancel.clone();
    }

    /// Sends the items of `ring` around until the source breaks, and returns them.
    ///
    /// `source` is given an item to fill, on a thread of its own, and continues with it, or breaks and gives it back. `sink` is
    /// given each item that has passed all stages, in the order in which the source filled them, on the caller's thread, and
    /// gives it back.
    ///
    /// # Errors
    ///
    /// [`PipelineFailed`], with the items that did not fail. After the first error no item is begun by any stage.
    ///
    /// # Panics
    ///
    /// If the source, a stage or the sink does. All items are dropped.
    pub fn run(
        &mut self,
        ring: Vec<T>,
        source: impl FnMut(T) -> wasmtime::Result<ControlFlow<T, T>> + Send,
        mut sink: impl FnMut(T) -> wasmtime::Result<T>,
    ) -> Result<Vec<T>, PipelineFailed<T>> {
        let (back, free) = channel();
        let run = Run { failed: Mutex::new(None), stopped: AtomicBool::new(false), cancel: &self.cancel };
        let left = thread::scope(|scope| {
            let end = End { run: &run, back };
            let spawn = |name: String| thread::Builder::new().name(name);
            let (first, mut input) = channel();
            let feeding = end.clone();
            let feeding =
                spawn("mappable-source".to_owned()).spawn_scoped(scope, move || feed(&feeding, free, &first, source));
            let feeding = match feeding {
                Ok(feeding) => feeding,
                Err(error) => {
                    end.fail(PipelineError::Threads(error));
                    return ring;
                }
            };
            for (at, stage) in self.stages.iter_mut().enumerate() {
                let (to, output) = channel();
                let (from, end) = (mem::replace(&mut input, output), end.clone());
                let stage = spawn(format!("mappable-stage-{at}"))
                    .spawn_scoped(scope, move || pass(&end, at, stage.as_mut(), &from, &to));
                if let Err(error) = stage {
                    run.fail(PipelineError::Threads(error));
                    break;
                }
            }
            // A ring of none is one that the source never sees.
            if ring.is_empty() {
                end.stop();
            }
            ring.into_iter().for_each(|item| end.give_back(item));
            for (_, item) in input {
                match end.run.goes_on() {
                    true => match sink(item) {
                        Ok(item) => end.give_back(item),
                        Err(error) => end.fail(PipelineError::Sink(error)),
                    },
                    false => end.give_back(item),
                }
            }
            drop(end);
            let free = feeding.join().unwrap_or_else(|panic| resume_unwind(panic));
            let left = free.into_iter().filter_map(|back| match back {
                Back::Item(item) => Some(item),
                Back::Stop => None,
            });
            left.collect()
        });
        match run.failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(reason) => Err(PipelineFailed { reason, left }),
            None => Ok(left),
        }
    }
}

/// What the source does: it fills what comes back, and numbers it.
fn feed<T>(
    end: &End<'_, T>,
    free: Receiver<Back<T>>,
    first: &Sender<(u64, T)>,
    mut source: impl FnMut(T) -> wasmtime::Result<ControlFlow<T, T>>,
) -> Receiver<Back<T>> {
    let mut numbers = 0..;
    while let Ok(Back::Item(item)) = free.recv() {
        let filled = match end.run.goes_on() {
            true => source(item),
            false => Ok(ControlFlow::Break(item)),
        };
        let rest = match filled {
            Ok(ControlFlow::Continue(item)) => match first.send((numbers.next().unwrap_or(u64::MAX), item)) {
                Ok(()) => continue,
                // There is no stage: a thread was not to be had, or has panicked.
                Err(SendError((_, item))) => Some(item),
            },
            Ok(ControlFlow::Break(item)) => Some(item),
            Err(error) => {
                end.fail(PipelineError::Source(error));
                None
            }
        };
        rest.into_iter().for_each(|item| end.give_back(item));
        break;
    }
    free
}

/// What a stage does, until nothing comes any more.
fn pass<T>(end: &End<'_, T>, at: usize, stage: &mut dyn Step<T>, from: &Receiver<(u64, T)>, to: &Sender<(u64, T)>) {
    for (number, item) in from {
        if !end.run.goes_on() {
            end.give_back(item);
            continue;
        }
        match stage.run(item) {
            Ok(item) => {
                if let Err(SendError((_, item))) = to.send((number, item)) {
                    end.give_back(item);
                }
            }
            Err(error) => {
                stage.reset();
                end.fail(match error {
                    StepError::NotMade(source) => PipelineError::NotMade { stage: at, source },
                    StepError::Failed(source) => PipelineError::Stage { stage: at, item: number, source },
                });
            }
        }
    }
}

/// What comes back to the source.
enum Back<T> {
    Item(T),
    /// Nothing may come back any more: an item failed.
    Stop,
}

/// A run, as all threads see it.
struct Run<'a> {
    failed: Mutex<Option<PipelineError>>,
    stopped: AtomicBool,
    cancel: &'a Cancel,
}

impl Run<'_> {
    /// Whether an item may be begun. If not because of the token, notes that.
    fn goes_on(&self) -> bool {
        if self.cancel.is_cancelled() {
            self.fail(PipelineError::Cancelled);
        }
        !self.stopped.load(Ordering::Relaxed)
    }

    /// Ends the run, for the first reason that there is.
    fn fail(&self, reason: PipelineError) {
        self.stopped.store(true, Ordering::Relaxed);
        // Nothing panics while it is held.
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
    }
}

/// A thread's end of a run. Whoever has one can give items back; and if it is dropped by a panic, the run ends.
struct End<'a, T> {
    run: &'a Run<'a>,
    back: Sender<Back<T>>,
}

impl<T> Clone for End<'_, T> {
    fn clone(&self) -> Self {
        Self { run: self.run, back: self.back.clone() }
    }
}

impl<T> End<'_, T> {
    fn give_back(&self, item: T) {
        // The source's thread has the other end, and hands it on when it ends. It is dropped if that panicked.
        let _ = self.back.send(Back::Item(item));
    }

    /// Ends the run for a reason by which an item is gone: the source may wait for it.
    fn fail(&self, reason: PipelineError) {
        self.run.fail(reason);
        self.stop();
    }

    fn stop(&self) {
        let _ = self.back.send(Back::Stop);
    }
}

impl<T> Drop for End<'_, T> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.run.stopped.store(true, Ordering::Relaxed);
            self.stop();
        }
    }
}
