//! Placements: pages of this component's memory that are nobody else's, for regions to be mapped over.
//!
//! The one place where [`placement`](crate::placement)'s arithmetic meets the memory. New pages come from growing
//! it, which hands out pages that neither the allocator nor the stack has; they stay with this pool for good.

use crate::GRANULE_BYTES;
use crate::lock::Lock;
use crate::placement::{FreeList, Pages, alignments};
use crate::sys;

static POOL: Lock<FreeList> = Lock::new(FreeList::new());

/// Pages to place a region on. Dropping it leaks them (they stay mapped over, or may be): see [`Placement::release`].
#[derive(Debug)]
pub(crate) struct Placement(Pages);

impl Placement {
    /// Pages for `size_bytes`, rounded up to whole granules; `None` when the memory can't grow enough. With room for a
    /// huge page of the host's they begin at a multiple of one, unless the memory can't grow enough for that.
    pub(crate) fn acquire(size_bytes: usize) -> Option<Placement> {
        let count = size_bytes.div_ceil(GRANULE_BYTES);
        POOL.with(|pool| alignments(count).iter().find_map(|&align| acquire(pool, count, align))).map(Placement)
    }

    /// The address of the first byte, a multiple of the granule. Never 0.
    pub(crate) fn address(&self) -> usize {
        self.0.address()
    }

    /// Gives the pages back to the pool. Nothing may be mapped over them any more, and nobody may use their bytes.
    pub(crate) fn release(self) {
        POOL.with(|pool| pool.give(self.0));
    }
}

/// `count` pages that begin at a multiple of `align`.
fn acquire(pool: &mut FreeList, count: usize, align: usize) -> Option<Pages> {
    if let Some(pages) = pool.take(count, align) {
        return Some(pages);
    }
    // When something else grew the memory in between, and so the new pages don't follow the free ones, all are needed anew.
    let missing = pool.missing_at(sys::memory_pages(), count, align)?;
    for missing in [missing, count.checked_add(align - 1)?] {
        pool.prepare_add().ok()?;
        pool.add(Pages::new(sys::grow(missing)?, missing)?);
        if let Some(pages) = pool.take(count, align) {
            return Some(pages);
        }
    }
    None
}
