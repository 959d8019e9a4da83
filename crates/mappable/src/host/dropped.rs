//! The regions that core modules refer to no longer. The engine collects references where no context is at hand, so their
//! representations wait here for the next call.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// The representations of references that were collected since the last call.
#[derive(Default)]
pub(super) struct Dropped {
    /// Whether `reps` has any: each call asks this, without the lock.
    any: AtomicBool,
    reps: Mutex<Vec<u32>>,
}

impl Dropped {
    pub(super) fn push(&self, rep: u32) {
        self.reps.lock().unwrap_or_else(PoisonError::into_inner).push(rep);
        self.any.store(true, Ordering::Release);
    }

    /// Takes all of them.
    pub(super) fn take(&self) -> Vec<u32> {
        if !self.any.load(Ordering::Relaxed) || !self.any.swap(false, Ordering::Acquire) {
            return vec![];
        }
        std::mem::take(&mut self.reps.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
