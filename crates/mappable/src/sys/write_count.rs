//! A count that somebody else keeps of the host's writes into what is shown for reading alone.
//!
//! # Safety
//!
//! [`WriteCount`] holds an owner of the word that it points to, so the word is there for as long as this is.

#![allow(unsafe_code)]

use std::any::Any;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A little-endian count of 64 bits, in memory that somebody else owns. The thread that advances it is the only one that
/// writes it at that time.
#[derive(Clone)]
pub(crate) struct WriteCount {
    /// Part of `_owner`, which doesn't move.
    word: NonNull<AtomicU64>,
    _owner: Arc<dyn Any + Send + Sync>,
}

// SAFETY: the word is atomic, and its owner may be sent and shared.
unsafe impl Send for WriteCount {}
// SAFETY: as above.
unsafe impl Sync for WriteCount {}

impl fmt::Debug for WriteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WriteCount").field(&self.word).finish()
    }
}

impl WriteCount {
    /// # Safety
    ///
    /// `word` is aligned, and can be read and written for as long as `owner` is there.
    pub(crate) unsafe fn new(word: NonNull<AtomicU64>, owner: Arc<dyn Any + Send + Sync>) -> Self {
        Self { word, _owner: owner }
    }

    /// For a handler of signals, which may own nothing: usable while this is there.
    pub(super) fn as_ptr(&self) -> *mut AtomicU64 {
        self.word.as_ptr()
    }
}

/// Adds one. Takes no lock and allocates nothing.
pub(super) fn advance(count: &AtomicU64) {
    let next = u64::from_le(count.load(Ordering::Relaxed)).wrapping_add(1);
    count.store(next.to_le(), Ordering::Relaxed);
}
