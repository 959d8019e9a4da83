//! A region or frozen reference at its placement: mapped there or, on a host that can't map, copied there and back.
//!
//! # Safety
//!
//! A [`Held`] owns its [`Placement`], and so has the sole use of those bytes from `map` to `unmap`. The bytes come from
//! growing the memory, so neither the allocator nor the stack uses them, and the pool lends them to one owner at a
//! time. References to the bytes are made only by borrowing the `Held`. Mapping and unmapping consume it, so no
//! reference lives while the bytes change. All bytes are initialised: grown memory and new regions read as zero. A
//! placement goes back to the pool only when nothing is mapped over it.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicBool, Ordering};

use crate::bindings::types::MapError;
use crate::error::MapReason;
use crate::handle::{Handle, Owned, read};
use crate::pool::Placement;

/// Whether the host has said that it can't map into this memory at all. It is not asked again then, because a host that
/// is a component itself copies the whole placement for each question.
static UNMAPPABLE: AtomicBool = AtomicBool::new(false);

/// Makes the next map ask the host again. For tests, in which one process sees many hosts.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn ask_again() {
    UNMAPPABLE.store(false, Ordering::Relaxed);
}

#[derive(Debug)]
pub(crate) struct Held<H: Handle> {
    region: Holding<H>,
    placement: Placement,
    /// In bytes: the region's size, all of it at the placement.
    size: usize,
}

#[derive(Debug)]
enum Holding<H: Handle> {
    /// The bytes at the placement are the region.
    Mapping(H::Mapping),
    /// The bytes at the placement are this component's own, a copy of the region.
    Copied(H),
}

impl<H: Handle> Held<H> {
    /// Maps a region at a placement of its own. An error returns it.
    pub(crate) fn map(region: Owned<H>) -> Result<Held<H>, (Owned<H>, MapReason)> {
        let region_size = region.size();
        let placed = usize::try_from(region_size).ok().and_then(|size| Some((size, Placement::acquire(size)?)));
        let Some((size, placement)) = placed else {
            return Err((region, MapReason::MemoryFull { size: region_size }));
        };
        if UNMAPPABLE.load(Ordering::Relaxed) {
            return Ok(Held::copied(region.raw, placement, size));
        }
        let (raw, error) = match region.raw.map(&placement, size) {
            Ok(mapping) => return Ok(Held { region: Holding::Mapping(mapping), placement, size }),
            Err(refused) => refused,
        };
        let reason = match error {
            MapError::PlacementUnmappable => {
                UNMAPPABLE.store(true, Ordering::Relaxed);
                return Ok(Held::copied(raw, placement, size));
            }
            MapError::MappingsExhausted => return Ok(Held::copied(raw, placement, size)),
            MapError::MappingOverQuota => MapReason::MappingOverQuota { size: region_size },
            error => MapReason::Refused(error),
        };
        placement.release();
        Err((Owned::new(raw, region_size), reason))
    }

    /// Fills the placement with the region's bytes instead of mapping it.
    fn copied(raw: H, placement: Placement, size: usize) -> Held<H> {
        // SAFETY: the module's: the placement is this call's alone, and `size` initialised bytes long.
        let bytes = unsafe { core::slice::from_raw_parts_mut(pointer(&placement), size) };
        read(&raw, 0, bytes).expect("the host reads what is inside a region");
        Held { region: Holding::Copied(raw), placement, size }
    }

    /// Takes the region out of the memory and gives the placement back to the pool.
    pub(crate) fn unmap(self) -> Result<Owned<H>, (Held<H>, MapError)> {
        if let Holding::Copied(raw) = &self.region {
            raw.write_back(self.bytes());
        }
        let Held { region, placement, size } = self;
        let unmapped = match region {
            Holding::Copied(raw) => Ok(raw),
            Holding::Mapping(mapping) => H::unmap(mapping, &placement, size),
        };
        match unmapped {
            Ok(raw) => {
                placement.release();
                Ok(Owned::new(raw, size as u64))
            }
            Err((mapping, error)) => Err((Held { region: Holding::Mapping(mapping), placement, size }, error)),
        }
    }

    /// Unmaps and frees the region. If it was copied, the copy is not written back. If the host refuses, the placement
    /// is never used again.
    pub(crate) fn free(self) {
        let Held { region, placement, size } = self;
        let unmapped = match region {
            Holding::Copied(_) => true,
            Holding::Mapping(mapping) => H::unmap(mapping, &placement, size).is_ok(),
        };
        if unmapped {
            placement.release();
        }
    }

    pub(crate) fn is_by_copy(&self) -> bool {
        matches!(self.region, Holding::Copied(_))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the module's: `size` initialised bytes that `self` has the sole use of, borrowed as `self` is.
        unsafe { core::slice::from_raw_parts(pointer(&self.placement), self.size) }
    }
}

impl Held<crate::bindings::types::Mappable> {
    /// Returns the bytes for writing. Only a region that is not frozen has this.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the module's: `size` initialised bytes that `self` has the sole use of, mutably borrowed as `self`
        // is.
        unsafe { core::slice::from_raw_parts_mut(pointer(&self.placement), self.size) }
    }
}

fn pointer(placement: &Placement) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(placement.address())
}
