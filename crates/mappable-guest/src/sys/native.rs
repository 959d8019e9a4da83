//! A host in plain memory, for unit tests of guests and of this crate: regions are vectors, and mapping copies.
//!
//! Nothing here is fast. [`host`] has the regions and [`types`] the interface to them. This module has the functions
//! that need a placement.
//!
//! # Safety
//!
//! "Growing" allocates pages that are never freed, so an address that [`grow`] returned stays valid. The functions that
//! map and unmap touch only the bytes of a [`Placement`]. That is memory from `grow`, and the caller has the sole use
//! of it. They hold the host's lock meanwhile.
#![allow(unsafe_code)]

mod host;
pub mod types;

use alloc::alloc::{Layout, alloc_zeroed};

use self::host::{HOST, Object};
use self::types::{Frozen, FrozenMapping, MapError, Mappable, Mapping};
use crate::GRANULE_BYTES;
use crate::pool::Placement;

/// Returns 0: nothing else grows this memory, and no growth follows the one before.
pub(crate) fn memory_pages() -> usize {
    0
}

/// Allocates zeroed pages, and returns the number of the first one.
pub(crate) fn grow(pages: usize) -> Option<usize> {
    let size_bytes = pages.checked_mul(GRANULE_BYTES)?;
    let layout = Layout::from_size_align(size_bytes, GRANULE_BYTES).ok().filter(|layout| layout.size() > 0)?;
    // SAFETY: the layout's size is not zero: checked above.
    let pointer = unsafe { alloc_zeroed(layout) };
    (!pointer.is_null()).then(|| pointer.expose_provenance() / GRANULE_BYTES)
}

/// Maps `region` at `placement` by copying it there.
pub(crate) fn map(region: Mappable, placement: &Placement, size_bytes: usize) -> Result<Mapping, (Mappable, MapError)> {
    let handle = region.take_handle();
    match show(handle, placement, size_bytes) {
        // SAFETY: the handle was taken from `region`, and is a mapped region's now.
        Ok(()) => Ok(unsafe { Mapping::from_handle(handle) }),
        // SAFETY: the handle was taken from `region`.
        Err(error) => Err((unsafe { Mappable::from_handle(handle) }, error)),
    }
}

/// Does the same as [`map`], for a frozen reference.
pub(crate) fn map_frozen(
    frozen: Frozen,
    placement: &Placement,
    size_bytes: usize,
) -> Result<FrozenMapping, (Frozen, MapError)> {
    let handle = frozen.take_handle();
    match show(handle, placement, size_bytes) {
        // SAFETY: the handle was taken from `frozen`, and is a mapped reference's now.
        Ok(()) => Ok(unsafe { FrozenMapping::from_handle(handle) }),
        // SAFETY: the handle was taken from `frozen`.
        Err(error) => Err((unsafe { Frozen::from_handle(handle) }, error)),
    }
}

/// Does the same as [`map_frozen`]: what is written to a copy is its own anyway.
pub(crate) fn map_private(
    frozen: Frozen,
    placement: &Placement,
    size_bytes: usize,
) -> Result<FrozenMapping, (Frozen, MapError)> {
    map_frozen(frozen, placement, size_bytes)
}

/// Takes `mapping` out of `placement` by copying it back.
pub(crate) fn unmap(
    mapping: Mapping,
    placement: &Placement,
    size_bytes: usize,
) -> Result<Mappable, (Mapping, MapError)> {
    let handle = mapping.take_handle();
    hide(handle, placement, size_bytes);
    // SAFETY: the handle was taken from `mapping`, and is no mapped region's any more.
    Ok(unsafe { Mappable::from_handle(handle) })
}

/// Takes `mapping` out of `placement`. Bytes that were written there are lost.
pub(crate) fn unmap_frozen(
    mapping: FrozenMapping,
    placement: &Placement,
    size_bytes: usize,
) -> Result<Frozen, (FrozenMapping, MapError)> {
    let handle = mapping.take_handle();
    hide(handle, placement, size_bytes);
    // SAFETY: the handle was taken from `mapping`, and is no mapped reference's any more.
    Ok(unsafe { Frozen::from_handle(handle) })
}

/// Copies an object's bytes to a placement, and keeps the bytes that were there.
fn show(handle: u32, placement: &Placement, size_bytes: usize) -> Result<(), MapError> {
    HOST.with(|host| {
        host.map_calls += 1;
        if let Some(refusal) = host.refusal {
            return Err(refusal);
        }
        let slot = host.slot(handle);
        if slot.object.bytes().len() > size_bytes {
            return Err(MapError::PlacementTooSmall);
        }
        assert_eq!(slot.object.bytes().len(), size_bytes, "a placement is no longer than its region");
        // SAFETY: see `placement_bytes`: the caller has the sole use of the placement, and holds no reference to it.
        let at = unsafe { placement_bytes(placement.address(), size_bytes) };
        slot.under = Some((placement.address(), at.to_vec()));
        at.copy_from_slice(slot.object.bytes());
        Ok(())
    })
}

/// Puts back the bytes that were at a placement before. A region that can be written gets those that are there now.
fn hide(handle: u32, placement: &Placement, size_bytes: usize) {
    HOST.with(|host| {
        let slot = host.slot(handle);
        let (address, under) = slot.under.take().expect("a mapping is mapped");
        assert_eq!(address, placement.address(), "unmapped where it was mapped");
        // SAFETY: see `placement_bytes`: the caller has the sole use of the placement, and holds no reference to it.
        let at = unsafe { placement_bytes(placement.address(), size_bytes) };
        if let Object::Region(part) = &mut slot.object {
            part.bytes.copy_from_slice(at);
        }
        at.copy_from_slice(&under);
    });
}

/// Returns the bytes at a placement's address.
///
/// # Safety
///
/// The placement is at least `size_bytes` long, and no other reference to its bytes lives as long as this one.
unsafe fn placement_bytes<'a>(address: usize, size_bytes: usize) -> &'a mut [u8] {
    let pointer = core::ptr::with_exposed_provenance_mut(address);
    // SAFETY: `grow` allocated and initialised these bytes and never frees them; the rest is the caller's word.
    unsafe { core::slice::from_raw_parts_mut(pointer, size_bytes) }
}
