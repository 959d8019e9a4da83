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

/// The interface `mappable:files/p2`. Its descriptors and errors are those of the crate `wasip2`.
#[cfg(all(feature = "fs", target_family = "wasm"))]
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
mod generated_files {
    wit_bindgen::generate!({
        path: "wit/files",
        world: "mappable:files/imports",
        with: {
            "mappable:memory/types@0.1.0": crate::bindings::types,
            "wasi:filesystem/types@0.2.0": wasip2::filesystem::types,
        },
    });
}

#[cfg(all(feature = "fs", target_family = "wasm"))]
pub use generated_files::mappable::files::p2 as files;

/// The interface `mappable:files/p3`. Its descriptors and errors are those of the crate `wasip3`.
#[cfg(all(feature = "fs-p3", target_family = "wasm"))]
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
mod generated_files_p3 {
    wit_bindgen::generate!({
        path: "wit/files",
        world: "mappable:files/imports-p3",
        with: {
            "mappable:memory/types@0.1.0": crate::bindings::types,
            "wasi:filesystem/types@0.3.0": wasip3::filesystem::types,
        },
    });
}

#[cfg(all(feature = "fs-p3", target_family = "wasm"))]
pub use generated_files_p3::mappable::files::p3 as files_p3;
