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

use std::time::{Duration, Instant};

use bolero::ValueGenerator;

/// Checks inputs of up to `$most` bytes by `$check`, a `fn(&[u8])` that panics where something does not hold: files that
/// failed once, and inputs that bolero draws; or, if `MAPPABLE_FUZZ_SEED` is set, those that the seed stands for
/// ([`input`]), so that the next run checks the same.
#[macro_export]
macro_rules! check {
    ($most:expr, $check:expr) => {{
        let check: fn(&[u8]) = $check;
        let mut drawn = usize::MAX;
        if let Some(seed) = $crate::seed() {
            $crate::check_from(seed, $most, check);
            drawn = 0;
        }
        bolero::check!()
            .with_test_time($crate::time())
            .with_shrink_time($crate::SHRINK)
            .with_iterations(drawn)
            .with_generator($crate::inputs($most))
            .for_each(|bytes: &Vec<u8>| check(bytes));
    }};
}

/// Checks the inputs that `seed` and the numbers after it stand for, as many as fit into [`time`].
///
/// # Panics
///
/// If `check` does, which is told with the seed.
pub fn check_from(seed: u64, most: usize, check: fn(&[u8])) {
    let begun = Instant::now();
    for seed in (seed..).take_while(|_| begun.elapsed() < time()) {
        let checked = std::panic::catch_unwind(|| check(&input(seed, most)));
        checked.unwrap_or_else(|_| panic!("the input of MAPPABLE_FUZZ_SEED={seed}"));
    }
}

/// Where to begin: `MAPPABLE_FUZZ_SEED`, if it is set.
///
/// # Panics
///
/// If the variable is not a number.
pub fn seed() -> Option<u64> {
    let seed = std::env::var("MAPPABLE_FUZZ_SEED").ok();
    seed.map(|text| text.parse().expect("MAPPABLE_FUZZ_SEED is a number"))
}

/// The input that a number stands for: of `most` bytes, or every other time of fewer. What a target draws after an
/// input's end is zeros.
pub fn input(seed: u64, most: usize) -> Vec<u8> {
    let fewer = usize::try_from(seed.wrapping_mul(331) % most as u64).expect("it is below a usize");
    noise(seed, if seed.is_multiple_of(2) { most } else { fewer })
}

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
