//! Growing the memory, and mapping and unmapping regions.
//!
//! `wasm.rs` calls the host. `native.rs` does the same in plain memory, for tests.

#[cfg(target_family = "wasm")]
mod wasm;
#[cfg(target_family = "wasm")]
pub(crate) use wasm::{grow, map, map_frozen, map_private, memory_pages, unmap, unmap_frozen};

#[cfg(not(target_family = "wasm"))]
pub(crate) mod native;
#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{grow, map, map_frozen, map_private, memory_pages, unmap, unmap_frozen};
