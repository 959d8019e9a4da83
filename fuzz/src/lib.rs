//! What the fuzz targets share. The targets are in `tests/`, one file each; `README.md` says how to run them.
//!
//! - [`corpus`]: real components to begin from, and [`mutate`]: how one becomes another.
//! - [`grammar`]: valid components with marked functions in many shapes, that run.
//! - [`reading`]: a second reader of components, which shares nothing with the rewriter but `wasmparser`.
//! - [`soundness`]: what holds of each component that was rewritten for the baseline, and [`closed`]: for the ledger;
//!   `bounded`: of the memories that were given a maximum; [`preloaded`]: of preloads.
//! - [`machine`]: runs a component on a stock engine, on a host that only keeps a record.
//! - [`trees`]: trees of components that call each other, with functions of random types, and [`tiers`]: what runs
//!   them, in each way that there is; [`embedder`]: what an open tree calls and is called by;
//!   [`cases`]: all that, together.

mod bounded;
pub mod cases;
pub mod closed;
pub mod code;
pub mod corpus;
pub mod embedder;
pub mod grammar;
pub mod machine;
pub mod mutate;
pub mod preloaded;
pub mod reading;
pub mod soundness;
pub mod tiers;
pub mod trees;

use std::time::Duration;

use bolero::ValueGenerator;

/// Inputs of up to `most` bytes. (bolero's own for a slice have 64 at most under `cargo test`.)
pub fn inputs(most: usize) -> impl ValueGenerator<Output = Vec<u8>> {
    bolero::produce::<Vec<u8>>().with().len(0..=most)
}

/// How long a target runs under `cargo test`: `MAPPABLE_FUZZ_SECONDS`, or 5.
///
/// # Panics
///
/// If the variable is not a number.
pub fn time() -> Duration {
    let seconds = std::env::var("MAPPABLE_FUZZ_SECONDS").ok();
    let seconds = seconds.map(|text| text.parse().expect("MAPPABLE_FUZZ_SECONDS is a number of seconds"));
    Duration::from_secs(seconds.unwrap_or(5))
}

/// How long an input that fails is made smaller: not at all. bolero tries each of its ends without looking at the clock,
/// and to compile a tree two thousand times takes a quarter of an hour. The seed that it prints makes the whole input.
pub const SHRINK: Duration = Duration::ZERO;

/// So many bytes that look random, always the same for a seed: for tests of the grammar itself.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(step).take(len).collect()
}
