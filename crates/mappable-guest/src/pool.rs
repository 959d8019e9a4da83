//! Placements: pages of this component's memory that nothing else uses, over which regions are mapped.
//!
//! Here the arithmetic of [`placement`](crate::placement) meets the memory. New pages come from growing the memory, so
//! neither the allocator nor the stack uses them. They stay with this pool for good.

use crate::GRANULE_BYTES;
use crate::lock::Lock;
use crate::placement::{FreeList, Pages, alignments};
use crate::sys;

static POOL: Lock<FreeList> = Lock::new(FreeList::new());

/// Pages to map a region over. Dropping a placement leaks its pages, since something may still be mapped there;
/// [`release`](Placement::release) gives them back.
#[derive(Debug)]
pub(crate) struct Placement(Pages);

impl Placement {
    /// Takes pages for `size_bytes`, rounded up to whole granules. Returns `None` if the memory can't grow enough.
    /// Pages with room for a huge page of the host begin at a multiple of one, unless the memory can't grow enough for
    /// that.
    pub(crate) fn acquire(size_bytes: usize) -> Option<Placement> {
        let count = size_bytes.div_ceil(GRANULE_BYTES);
        POOL.with(|pool| alignments(count).iter().find_map(|&align| acquire(pool, count, align))).map(Placement)
    }

    /// Returns the address of the first byte, a multiple of the granule. It is never 0.
    pub(crate) fn address(&self) -> usize {
        self.0.address()
    }

    /// Gives the pages back to the pool. Nothing may be mapped there any more, and nobody may use the bytes.
    pub(crate) fn release(self) {
        POOL.with(|pool| pool.give(self.0));
    }
}

/// Takes `count` pages that begin at a multiple of `align`.
fn acquire(pool: &mut FreeList, count: usize, align: usize) -> Option<Pages> {
    if let Some(pages) = pool.take(count, align) {
        return Some(pages);
    }
    // If something else has grown the memory, the new pages don't follow the free ones, and all `count` must be new.
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
