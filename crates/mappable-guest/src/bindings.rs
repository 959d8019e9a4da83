//! The interface `mappable:memory/types`. On WebAssembly it is what `wit-bindgen` generates, elsewhere it is an
//! implementation in plain memory.
//!
//! A component's own `wit_bindgen::generate!` uses these types if it says
//! `with: { "mappable:memory/types@0.1.0": mappable_guest::bindings::types }`.
//!
//! # Safety
//!
//! On WebAssembly the unsafe code here is generated.
#![allow(unsafe_code)]

#[cfg(target_family = "wasm")]
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
mod generated {
    wit_bindgen::generate!({
        path: "wit",
        world: "mappable:memory/imports",
    });
}

#[cfg(target_family = "wasm")]
pub use generated::mappable::memory::types;

#[cfg(not(target_family = "wasm"))]
pub use crate::sys::native::types;
