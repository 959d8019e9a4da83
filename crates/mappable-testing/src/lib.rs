//! What the tests of several crates and the fuzz targets share.
//!
//! - [`support`]: the setups on which each rule is shown (a tier and a way of mapping), stores with canaries around
//!   them, and guests that are driven step by step. Its macros make one test of a rule for each setup.
//! - [`wat`]: the guests themselves, as text.
//! - [`ends`]: guests that have ends of streams and futures besides.
//! - [`differential`]: programs of operations, run on the library and on the model of its semantics.
//! - [`many`]: one of them, with as many functions as is asked for.
//! - [`process`]: what this process holds of the system: mappings, descriptors, address space.
//! - [`image`]: what a stage of `guests/` is told of the picture in a region.
//!
//! The rules are in the tests of the crates. What a rule needs and no other does stays beside it.

#![allow(missing_docs, reason = "names and tests say it; this crate is not published")]

pub mod differential;
pub mod ends;
pub mod image;
pub mod many;
#[cfg(target_os = "linux")]
pub mod process;
pub mod support;
pub mod wat;
