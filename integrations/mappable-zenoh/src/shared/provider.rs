//! What this process shares: sealed memory files, which it keeps open until nobody is about to open them any more.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use zenoh::shm::{
    ChunkAllocResult, ChunkDescriptor, ChunkID, MemoryLayout, ProtocolID, ShmProviderBackend, WithProtocolID,
    ZAllocError, ZLayoutError,
};

/// The files that are open, by the numbers of their descriptors.
#[derive(Debug)]
pub(super) struct Files {
    budget: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<ChunkID, (OwnedFd, u64)>,
    /// Bytes of all that are open, and of those that are being made.
    bytes: u64,
    is_closed: bool,
}

impl Files {
    pub(super) fn new(budget: u64) -> Self {
        Self { budget, state: Mutex::default(), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a file that is about to be made. `false` if there is no room for it.
    pub(super) fn reserve(&self, len: u64) -> bool {
        let mut state = self.state();
        let bytes = state.bytes.saturating_add(len);
        let fits = bytes <= self.budget;
        if fits {
            state.bytes = bytes;
        }
        fits
    }

    /// Gives back what was reserved for a file that was not made.
    pub(super) fn unreserve(&self, len: u64) {
        self.state().bytes -= len;
        self.changed.notify_all();
    }

    /// Whether a file of this length would ever have room.
    pub(super) fn could_fit(&self, len: u64) -> bool {
        len <= self.budget
    }

    pub(super) fn keep(&self, descriptor: ChunkID, file: OwnedFd, len: u64) {
        self.state().open.insert(descriptor, (file, len));
        self.changed.notify_all();
    }

    pub(super) fn close(&self, descriptor: ChunkID) {
        let mut state = self.state();
        if let Some((_, len)) = state.open.remove(&descriptor) {
            state.bytes -= len;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Closes a file that was not shared after all. What was reserved for it stays so.
    pub(super) fn forget(&self, descriptor: ChunkID) {
        self.state().open.remove(&descriptor);
    }

    /// How many bytes are shared.
    pub(super) fn bytes(&self) -> u64 {
        self.state().bytes
    }

    /// Waits until something changes, or for so long.
    pub(super) fn wait(&self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        drop(self.changed.wait_timeout(self.state(), left.min(Duration::from_millis(2))));
    }

    /// Waits until there are files. `false` if there won't be any.
    pub(super) fn wait_for_one(&self) -> bool {
        let state = self.state();
        let state = self.changed.wait_while(state, |state| state.open.is_empty() && !state.is_closed);
        !state.unwrap_or_else(PoisonError::into_inner).is_closed
    }

    /// Nothing will be shared any more.
    pub(super) fn end(&self) {
        self.state().is_closed = true;
        self.changed.notify_all();
    }
}

/// Zenoh's view of [`Files`]. It is given files, and never asks for one.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) protocol: ProtocolID,
    pub(super) files: Arc<Files>,
}

impl WithProtocolID for Backend {
    fn id(&self) -> ProtocolID {
        self.protocol
    }
}

impl ShmProviderBackend for Backend {
    fn alloc(&self, _: &MemoryLayout) -> ChunkAllocResult {
        Err(ZAllocError::OutOfMemory)
    }

    fn free(&self, chunk: &ChunkDescriptor) {
        self.files.close(chunk.chunk);
    }

    fn defragment(&self) -> usize {
        0
    }

    fn available(&self) -> usize {
        0
    }

    fn layout_for(&self, layout: MemoryLayout) -> Result<MemoryLayout, ZLayoutError> {
        Ok(layout)
    }
}

/// A chunk of a segment.
pub(super) fn chunk(segment: u32, descriptor: ChunkID, len: NonZeroUsize) -> ChunkDescriptor {
    ChunkDescriptor::new(segment, descriptor, len)
}
