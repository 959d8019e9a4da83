//! The harness: the settings under which every rule is shown, stores with canaries around, and guests driven step by
//! step ([`Guest`]).

use mappable::{GRANULE, TrapReason};
use wasmtime::Trap;

mod closed;
mod compiled;
mod fixture;
mod guest;
mod rules;
mod setup;
mod world;
mod wrong;
pub use closed::closed;
pub use fixture::*;
pub use guest::*;
pub use rules::*;
pub use setup::*;
pub use world::*;
pub use wrong::*;

/// A granule, as guests count.
pub const G: u32 = GRANULE as u32;

/// The pages that a guest begins with, and where its memory ends.
pub const PAGES: u32 = 16;
pub const END: u32 = PAGES * G;

/// Whether all bytes are this one: quick without optimisation, too.
pub fn all_are(bytes: &[u8], byte: u8) -> bool {
    let same = [byte; 4096];
    bytes.chunks(same.len()).all(|chunk| chunk == &same[..chunk.len()])
}

/// A call that should have trapped, as the engine tells it.
#[track_caller]
pub fn trapped<T: std::fmt::Debug>(answer: wasmtime::Result<T>) -> wasmtime::Error {
    answer.expect_err("this should have trapped")
}

#[track_caller]
pub fn foreign_mapping<T: std::fmt::Debug>(answer: wasmtime::Result<T>) {
    let error = trapped(answer);
    let reason = error.downcast_ref::<TrapReason>();
    assert!(matches!(reason, Some(TrapReason::ForeignMapping)), "{error:?}");
}

#[track_caller]
pub fn trap_is<T: std::fmt::Debug>(answer: wasmtime::Result<T>, trap: Trap) {
    let error = trapped(answer);
    assert_eq!(error.downcast_ref::<Trap>(), Some(&trap), "{error:?}");
}
