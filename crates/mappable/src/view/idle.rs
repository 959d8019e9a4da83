//! Linear memories that nobody uses any more, kept for those that are made next: an address range, the pages behind it,
//! and the mapping of the one into the other are what making a memory costs.
//!
//! ```text
//!   Idle           what is kept, no more than so many
//!    └ Bare       a heap, and the one view of it that is left
//! ```
//!
//! What a memory held must not be seen by who gets it next. So before it is kept, views beyond the first are gone, regions
//! that the first still showed are hidden, and all pages that were touched, through whichever view, are written over with
//! zeroes or freed ([`Extent::clear`](crate::region::Extent::clear)). Where a step fails, the memory goes as it would
//! without this: its addresses first, its pages then, which are used again only once they are a hole.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::paged::{Heap, View};
use super::shelf::{Fit, Shelf};
use crate::GRANULE;

/// How much memory an idle heap may keep, in bytes: what a small guest touches. To write over a page takes a fraction of
/// freeing it and having the next guest fault it in.
const KEPT: u64 = 256 << 10;

/// The memories of a runtime that are idle.
#[derive(Debug)]
pub(crate) struct Idle {
    /// Whether any may be.
    keeps: bool,
    /// Each reads as zero, shows its heap as far as it says, and nothing else.
    memories: Mutex<Shelf<Bare>>,
}

/// A memory that nobody uses: from the first, or any more.
#[derive(Debug)]
pub(super) struct Bare {
    /// Goes before the heap does.
    pub(super) first: View,
    pub(super) heap: Heap,
}

impl Idle {
    /// Keeps up to `max` memories.
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { keeps: max > 0, memories: Mutex::new(Shelf::new(max)) })
    }

    /// A memory of that capacity and span, if there is one, which reads as zero and shows `len` bytes.
    pub(super) fn take(&self, capacity: u64, span: usize, len: usize) -> Option<Bare> {
        let shown = len.next_multiple_of(GRANULE as usize);
        let bare = self.lock().take(Fit { capacity, span, shown })?;
        match bare.first.show_heap_just_to(&bare.heap, len) {
            Ok(()) => Some(bare),
            Err(error) => {
                tracing::debug!(%error, "an idle memory was of no use");
                None
            }
        }
    }

    /// Keeps a memory, if it can be made to read as zero.
    pub(super) fn keep(&self, mut bare: Bare) {
        if !self.keeps {
            return;
        }
        match bare.clear() {
            Ok(()) => {
                let gone = self.lock().put(bare.fit(), bare);
                // Not under the lock.
                drop(gone);
            }
            Err(error) => tracing::debug!(%error, "a memory was not kept"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shelf<Bare>> {
        // The bookkeeping does not panic half way.
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bare {
    /// A new one, which shows `len` bytes of a heap that reads as zero.
    pub(super) fn new(heap: Heap, len: usize) -> io::Result<Self> {
        Ok(Self { first: View::build(&heap, len, &[], None)?, heap })
    }

    /// Has it read as zero, and show nothing but the heap.
    fn clear(&mut self) -> io::Result<()> {
        self.first.show_heap_alone(&self.heap)?;
        if let Some(freed) = self.heap.extent.clear(KEPT)? {
            // What has no pages needs no page tables either.
            self.first.hide_heap_from(usize::try_from(freed).map_err(io::Error::other)?)?;
        }
        Ok(())
    }

    fn fit(&self) -> Fit {
        Fit { capacity: self.heap.extent.range().len(), span: self.heap.span, shown: self.first.heap_shown() }
    }
}
