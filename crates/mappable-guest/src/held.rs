//! A region or frozen reference at its placement: mapped there or, on a host that can't map, copied there and back.
//!
//! # Safety
//!
//! A [`Held`] owns its [`Placement`], and so has the sole use of those bytes from `map` to `unmap`. The bytes come from
//! growing the memory, so neither the allocator nor the stack uses them, and the pool lends them to one owner at a
//! time. References to the bytes are made only by borrowing the `Held`. Mapping and unmapping consume it, so no
//! reference lives while the bytes change. All bytes are initialised: grown memory and new regions read as zero. A
//! placement goes back to the pool only when nothing is mapped over it.
//!
//! The references are to as many bytes as the region's length says. It is at most the region's size, all of which is at the
//! placement if it is mapped.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicBool, Ordering};

use crate::GRANULE;
use crate::bindings::types::MapError;
use crate::error::MapReason;
use crate::handle::{Handle, Known, Owned, Private, read};
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
    /// The length of the placement in bytes: the region's size, if it is mapped.
    size: usize,
    /// The region's length in bytes: at most `size`.
    len: usize,
    known: Known,
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
        let length = region.len();
        // Nearly every region is as large as its length needs, which saves asking for the size. The host says if it is not.
        let needed = || length.max(1).checked_next_multiple_of(GRANULE).unwrap_or(u64::MAX);
        let Known { size: known_size, .. } = region.known();
        let size_bytes = known_size.unwrap_or_else(needed);
        let whole = usize::try_from(size_bytes).ok().zip(usize::try_from(length).ok());
        let placed = whole.and_then(|(size, len)| Some((size, len, Placement::acquire(size)?)));
        let Some((size, len, placement)) = placed else {
            return Err((region, MapReason::MemoryFull { size: size_bytes }));
        };
        if UNMAPPABLE.load(Ordering::Relaxed) {
            return Ok(Held::copied(region, placement, size, len));
        }
        let known = region.known();
        let (raw, error) = match region.raw.map(&placement, size) {
            Ok(mapping) => {
                let known = Known { size: Some(size_bytes), ..known };
                return Ok(Held { region: Holding::Mapping(mapping), placement, size, len, known });
            }
            Err(refused) => refused,
        };
        let region = Owned::new(raw, known);
        let reason = match error {
            MapError::PlacementUnmappable => {
                UNMAPPABLE.store(true, Ordering::Relaxed);
                return Ok(Held::copied(region, placement, size, len));
            }
            MapError::MappingsExhausted => return Ok(Held::copied(region, placement, size, len)),
            MapError::PlacementTooSmall if known_size.is_none() => {
                placement.release();
                region.size();
                return Held::map(region);
            }
            MapError::MappingOverQuota => MapReason::MappingOverQuota { size: region.size() },
            error => MapReason::Refused(error),
        };
        placement.release();
        Err((region, reason))
    }

    /// Fills the placement with the region's bytes instead of mapping it: those that count, since nobody sees others.
    fn copied(region: Owned<H>, placement: Placement, size: usize, len: usize) -> Held<H> {
        // SAFETY: the module's: the placement is this call's alone, and `size` initialised bytes long, which is no less.
        let bytes = unsafe { core::slice::from_raw_parts_mut(pointer(&placement), len) };
        read(&region.raw, 0, bytes).expect("the host reads what is inside a region");
        let known = region.known();
        Held { region: Holding::Copied(region.raw), placement, size, len, known }
    }

    /// Takes the region out of the memory and gives the placement back to the pool.
    pub(crate) fn unmap(self) -> Result<Owned<H>, (Held<H>, MapError)> {
        if let Holding::Copied(raw) = &self.region {
            raw.write_back(self.bytes());
        }
        let Held { region, placement, size, len, known } = self;
        let unmapped = match region {
            Holding::Copied(raw) => Ok(raw),
            Holding::Mapping(mapping) => H::unmap(mapping, &placement, size),
        };
        match unmapped {
            Ok(raw) => {
                placement.release();
                Ok(Owned::new(raw, known))
            }
            Err((mapping, error)) => {
                Err((Held { region: Holding::Mapping(mapping), placement, size, len, known }, error))
            }
        }
    }

    /// Unmaps and frees the region. If it was copied, the copy is not written back. If the host refuses, the placement
    /// is never used again.
    pub(crate) fn free(self) {
        let Held { region, placement, size, .. } = self;
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
        // SAFETY: the module's: `len` initialised bytes that `self` has the sole use of, borrowed as `self` is.
        unsafe { core::slice::from_raw_parts(pointer(&self.placement), self.len) }
    }
}

/// A handle of which what is mapped can be written to: that of a region that is not frozen, or that is mapped privately.
pub(crate) trait Writable: Handle {}

impl Writable for crate::bindings::types::Mappable {}
impl Writable for Private {}

impl<H: Writable> Held<H> {
    /// Returns the bytes for writing.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the module's: `len` initialised bytes that `self` has the sole use of, mutably borrowed as `self` is.
        unsafe { core::slice::from_raw_parts_mut(pointer(&self.placement), self.len) }
    }
}

fn pointer(placement: &Placement) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(placement.address())
}
