//! Growing memory, and the two imports that change what is mapped.
//!
//! The two are imported by hand and not through the generated bindings: those take the placement as a `&[u8]`, and
//! bytes that a shared reference covers may not change while it lives, which is just what these calls do to them.
//! Here the placement is a raw pointer. The component's type comes from the generated bindings all the same.
//!
//! # Safety
//!
//! The signatures are the canonical ABI's lowering of `mappable.map` and `mapping.unmap`, both
//! `(own<r>, list<u8>) -> result<own<s>, tuple<own<r>, map-error>>`: handle, address, length, return area. A handle
//! that is passed is consumed; the one in the answer is this component's. The host reads the placement's address and
//! length, not its bytes, and writes [`Answer`] alone. What mapping does to the bytes at the placement is sound
//! because the caller has the sole use of them (see `region.rs`).
#![allow(unsafe_code)]

use core::mem::MaybeUninit;

use crate::GRANULE_BYTES;
use crate::bindings::types::{MapError, Mappable, Mapping};
use crate::pool::Placement;

#[link(wasm_import_module = "mappable:memory/types@0.1.0")]
unsafe extern "C" {
    #[link_name = "[static]mappable.map"]
    fn import_map(this: u32, at: *mut u8, at_bytes: usize, answer: *mut Answer);
    #[link_name = "[static]mapping.unmap"]
    fn import_unmap(this: u32, at: *mut u8, at_bytes: usize, answer: *mut Answer);
}

/// `result<own<s>, tuple<own<r>, map-error>>` as the canonical ABI lays it out: 12 bytes, aligned to 4.
#[repr(C)]
struct Answer {
    /// 0 is ok, 1 is an error.
    tag: u8,
    /// The handle of `s` or, after an error, of `r`.
    handle: u32,
    /// Only written after an error.
    error: MaybeUninit<u8>,
}

const EMPTY_ANSWER: Answer = Answer { tag: 1, handle: 0, error: MaybeUninit::new(u8::MAX) };

impl Answer {
    fn map_error(&self) -> MapError {
        // SAFETY: initialised by `EMPTY_ANSWER`, and only ever written to since.
        let error = unsafe { self.error.assume_init() };
        match error {
            0 => MapError::PlacementMisaligned,
            1 => MapError::PlacementTooSmall,
            2 => MapError::PlacementOverlaps,
            3 => MapError::PlacementMismatch,
            4 => MapError::PlacementUnmappable,
            // The canonical ABI lets no other value through.
            _ => MapError::MappingsExhausted,
        }
    }
}

/// The size of the memory, in pages.
pub(crate) fn memory_pages() -> usize {
    core::arch::wasm32::memory_size::<0>()
}

/// Grows the memory by `pages` and gives the first new page; `None` when it can't grow so far.
pub(crate) fn grow(pages: usize) -> Option<usize> {
    let first = core::arch::wasm32::memory_grow::<0>(pages);
    (first != usize::MAX).then_some(first)
}

/// Maps `region`, of `size_bytes`, at `placement`.
pub(crate) fn map(region: Mappable, placement: &Placement, size_bytes: usize) -> Result<Mapping, (Mappable, MapError)> {
    let mut answer = EMPTY_ANSWER;
    // SAFETY: the module's: the canonical ABI's signature, a handle given up, a placement that is the caller's alone.
    unsafe { import_map(region.take_handle(), placement_pointer(placement), size_bytes, &raw mut answer) };
    if answer.tag == 0 {
        // SAFETY: the host has just given this component the handle, and it is used once.
        Ok(unsafe { Mapping::from_handle(answer.handle) })
    } else {
        // SAFETY: the host has just given the handle back, and it is used once.
        let region = unsafe { Mappable::from_handle(answer.handle) };
        Err((region, answer.map_error()))
    }
}

/// Takes `mapping` out of `placement`, where it was mapped with `size_bytes`.
pub(crate) fn unmap(
    mapping: Mapping,
    placement: &Placement,
    size_bytes: usize,
) -> Result<Mappable, (Mapping, MapError)> {
    let mut answer = EMPTY_ANSWER;
    // SAFETY: the module's: the canonical ABI's signature, a handle given up, a placement that is the caller's alone.
    unsafe { import_unmap(mapping.take_handle(), placement_pointer(placement), size_bytes, &raw mut answer) };
    if answer.tag == 0 {
        // SAFETY: the host has just given this component the handle, and it is used once.
        Ok(unsafe { Mappable::from_handle(answer.handle) })
    } else {
        // SAFETY: the host has just given the handle back, and it is used once.
        let mapping = unsafe { Mapping::from_handle(answer.handle) };
        Err((mapping, answer.map_error()))
    }
}

fn placement_pointer(placement: &Placement) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(placement.address())
}

const _: () = assert!(size_of::<Answer>() == 12 && align_of::<Answer>() == 4);
const _: () = assert!(GRANULE_BYTES == 65_536, "a page of wasm32");
