//! Why workers did not do what they were given, and what comes back then.

use std::fmt;
use std::io;
use std::ops::Range;

use crate::region::{Mappable, PartError};

/// Why workers were not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkersError {
    /// The operating system gave no threads.
    #[error("no threads for workers")]
    Threads(#[source] rayon::ThreadPoolBuildError),
    /// The function that makes workers failed.
    #[error("worker {worker} was not made: {source:#}")]
    NotMade {
        /// Which, from 0 on.
        worker: usize,
        /// What the function returned.
        source: wasmtime::Error,
    },
}

/// Why items were not all worked on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// The closure returned an error for an item, as it does when the guest trapped. What was in the worker's store of that item is
    /// freed, and the worker is made anew.
    #[error("item {index} failed: {source:#}")]
    Failed {
        /// Which item, from 0 on.
        index: usize,
        /// What the closure returned. A guest's trap is found by `source.downcast_ref::<wasmtime::Trap>()`.
        source: wasmtime::Error,
    },
    /// A worker was to be made anew, after it had failed, and was not.
    #[error("worker {worker} was not made anew: {source:#}")]
    NotMade {
        /// Which, from 0 on.
        worker: usize,
        /// What the function that makes workers returned.
        source: wasmtime::Error,
    },
    /// The work was cancelled ([`Cancel`](super::Cancel)).
    #[error("the work was cancelled")]
    Cancelled,
}

/// Some items were not worked on, and what is left of all.
pub struct MapFailed<T, R> {
    /// Why: the first failure.
    pub reason: MapError,
    /// What came of the items that were worked on, by index.
    pub done: Vec<(usize, R)>,
    /// The items that were not begun, by index.
    pub left: Vec<(usize, T)>,
    /// The items that failed: those of the reason, and those that other workers failed on meanwhile.
    pub lost: Vec<usize>,
}

impl<T, R> fmt::Debug for MapFailed<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapFailed")
            .field("reason", &self.reason)
            .field("done", &self.done.len())
            .field("left", &self.left.len())
            .field("lost", &self.lost)
            .finish()
    }
}

impl<T, R> fmt::Display for MapFailed<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<T, R> std::error::Error for MapFailed<T, R> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.reason.source()
    }
}

/// Why the parts of a region were not all worked on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartsError {
    /// A part failed, or work was cancelled.
    #[error("of a region in parts, {0}")]
    Map(#[source] MapError),
    /// The region was not split ([`Mappable::split`]).
    #[error("the region was not cut into parts: {0}")]
    NotCut(#[source] PartError),
}

/// What a worker returned for a part of a region was not that part. It is the source of a [`MapError::Failed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the worker returned another region than the part that it was given")]
#[non_exhaustive]
pub struct AnotherRegion;

/// A region was not all worked on, and what is left of it.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct PartsFailed {
    /// Why: the first failure.
    #[source]
    pub reason: PartsError,
    /// What is left of the region, with the offset at which it was, in order. Neighbours are joined.
    pub pieces: Vec<(u64, Mappable)>,
    /// The bytes that are freed: the parts that failed, in order.
    pub lost: Vec<Range<u64>>,
    /// The rows that were worked on and are in `pieces`, in order.
    pub done: Vec<Range<u64>>,
}

/// Why a pipeline ended before its source did.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// A stage returned an error for an item, as it does when the guest trapped. What was in its store of that item is freed, and the
    /// stage's worker is made anew in the next run.
    #[error("stage {stage} failed on item {item}: {source:#}")]
    Stage {
        /// Which stage, from 0 on.
        stage: usize,
        /// Which item, from 0 on.
        item: u64,
        /// What the stage returned.
        source: wasmtime::Error,
    },
    /// A stage's worker was not made.
    #[error("the worker of stage {stage} was not made: {source:#}")]
    NotMade {
        /// Which stage, from 0 on.
        stage: usize,
        /// What the function that makes it returned.
        source: wasmtime::Error,
    },
    /// The source returned an error.
    #[error("the pipeline's source failed: {0:#}")]
    Source(wasmtime::Error),
    /// The sink returned an error.
    #[error("the pipeline's sink failed: {0:#}")]
    Sink(wasmtime::Error),
    /// The work was cancelled ([`Cancel`](super::Cancel)).
    #[error("the pipeline was cancelled")]
    Cancelled,
    /// The operating system gave no thread.
    #[error("no thread for a stage")]
    Threads(#[source] io::Error),
}

/// A pipeline ended before its source did, and what is left.
pub struct PipelineFailed<T> {
    /// Why: the first failure.
    pub reason: PipelineError,
    /// The items that did not fail, in no particular order.
    pub left: Vec<T>,
}

impl<T> fmt::Debug for PipelineFailed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineFailed").field("reason", &self.reason).field("left", &self.left.len()).finish()
    }
}

impl<T> fmt::Display for PipelineFailed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<T> std::error::Error for PipelineFailed<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.reason.source()
    }
}
