//! Grows the memory, and calls the imports that change mappings.
//!
//! They are imported by hand and not through the generated bindings. The bindings take the placement as a `&[u8]`,
//! and bytes that a shared reference covers may not change while it lives, but these calls change them. Here the
//! placement is a raw pointer. The component's type still comes from the generated bindings.
//!
//! # Safety
//!
//! The signatures are the canonical ABI's lowering of `mappable.map`, `mapping.unmap` and those of `frozen`, all
//! `(own<r>, list<u8>) -> result<own<s>, tuple<own<r>, map-error>>`: handle, address, length, return area. A handle
//! that is passed is consumed; the one in the result is this component's. The host reads the placement's address and
//! length, not its bytes, and writes only [`Answer`]. Mapping changes the bytes at the placement, which is sound
//! because the caller has the sole use of them (see `held.rs`).
#![allow(unsafe_code)]

use core::mem::MaybeUninit;

use crate::GRANULE_BYTES;
use crate::bindings::types::{Frozen, FrozenMapping, MapError, Mappable, Mapping};
use crate::pool::Placement;

#[link(wasm_import_module = "mappable:memory/types@0.1.0")]
unsafe extern "C" {
    #[link_name = "[static]mappable.map"]
    fn import_map(this: u32, at: *mut u8, at_bytes: usize, answer: *mut Answer);
    #[link_name = "[static]mapping.unmap"]
    fn import_unmap(this: u32, at: *mut u8, at_bytes: usize, answer: *mut Answer);
    #[link_name = "[static]frozen.map"]
    fn import_map_frozen(this: u32, at: *mut u8, at_bytes: usize, answer: *mut Answer);
    #[link_name = "[static]frozen.map-private"]
    fn import_map_private(this: u32, at: *mut u8, at_bytes: usize, answer: *mut Answer);
    #[link_name = "[static]frozen-mapping.unmap"]
    fn import_unmap_frozen(this: u32, at: *mut u8, at_bytes: usize, answer: *mut Answer);
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
            5 => MapError::MappingOverQuota,
            // The canonical ABI lets no other value through.
            _ => MapError::MappingsExhausted,
        }
    }
}

/// Returns the size of the memory in pages.
pub(crate) fn memory_pages() -> usize {
    core::arch::wasm32::memory_size::<0>()
}

/// Grows the memory by `pages`, and returns the first new page, or `None` if the memory can't grow enough.
pub(crate) fn grow(pages: usize) -> Option<usize> {
    let first = core::arch::wasm32::memory_grow::<0>(pages);
    (first != usize::MAX).then_some(first)
}

/// A swapping function, as the canonical ABI lowers it.
type Import = unsafe extern "C" fn(u32, *mut u8, usize, *mut Answer);

/// Calls a swapping function. The caller gives up the handle `this` and owns the handle that is returned.
///
/// # Safety
///
/// `this` has the kind that `import` consumes, and the caller has the sole use of the placement's bytes.
unsafe fn swap(import: Import, this: u32, at: &Placement, size_bytes: usize) -> Result<u32, (u32, MapError)> {
    let mut answer = EMPTY_ANSWER;
    // SAFETY: the canonical ABI's signature; the rest is the caller's word.
    unsafe { import(this, placement_pointer(at), size_bytes, &raw mut answer) };
    if answer.tag == 0 { Ok(answer.handle) } else { Err((answer.handle, answer.map_error())) }
}

/// A swapping function with the types of its handles.
macro_rules! swapping {
    ($(#[$doc:meta])* $name:ident: $import:ident, $from:ident -> $to:ident) => {
        $(#[$doc])*
        pub(crate) fn $name(this: $from, at: &Placement, size_bytes: usize) -> Result<$to, ($from, MapError)> {
            // SAFETY: the module's: a handle of this kind that is given up, a placement that is the caller's alone.
            let answer = unsafe { swap($import, this.take_handle(), at, size_bytes) };
            match answer {
                // SAFETY: the host has just given this component the handle, of this kind, and it is used once.
                Ok(handle) => Ok(unsafe { $to::from_handle(handle) }),
                // SAFETY: the host has just given the handle back, and it is used once.
                Err((handle, error)) => Err((unsafe { $from::from_handle(handle) }, error)),
            }
        }
    };
}

swapping!(
    /// Maps a region of `size_bytes` at `at`.
    map: import_map, Mappable -> Mapping
);
swapping!(
    /// Takes a region out of `at`, where it was mapped with `size_bytes`.
    unmap: import_unmap, Mapping -> Mappable
);
swapping!(
    /// Maps a frozen reference of `size_bytes` at `at`, for reading.
    map_frozen: import_map_frozen, Frozen -> FrozenMapping
);
swapping!(
    /// Maps a frozen reference of `size_bytes` at `at`, to be written to.
    map_private: import_map_private, Frozen -> FrozenMapping
);
swapping!(
    /// Takes a frozen reference out of `at`, where it was mapped with `size_bytes`.
    unmap_frozen: import_unmap_frozen, FrozenMapping -> Frozen
);

fn placement_pointer(placement: &Placement) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(placement.address())
}

const _: () = assert!(size_of::<Answer>() == 12 && align_of::<Answer>() == 4);
const _: () = assert!(GRANULE_BYTES == 65_536, "a page of wasm32");
