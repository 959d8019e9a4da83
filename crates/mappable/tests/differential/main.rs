//! Random programs, run on the model of the semantics (`mappable-model`) and on the library, on every setup: every
//! outcome is the same, every byte that is held or shown, and what each store is charged.
//!
//! `MAPPABLE_DIFFERENTIAL_OPS` says how many operations are done in all; `MAPPABLE_DIFFERENTIAL_SEED` with which
//! program to begin.

mod machine;
mod programs;

use mappable_testing::differential::run;
use mappable_testing::support;
use support::{Setup, on_every_baseline_setup, on_every_setup};

/// How many operations are done in all, if nothing else is said.
const OPS: u64 = 1_200_000;

/// For so many operations without streams there is one of programs that have some.
const STREAMS: u64 = 6;

/// A setup's share: nine parts of ten by worlds that each have a thread to themselves, the tenth by two threads that
/// exchange what they hold.
fn share(setup: Setup) -> (u64, u64) {
    let all = std::env::var("MAPPABLE_DIFFERENTIAL_OPS").map_or(OPS, |text| text.parse().expect("a number"));
    let share = all.div_ceil(Setup::COUNT as u64);
    println!("{setup:?}: {share} of {all} operations");
    (share - share / 10, share / 10)
}

on_every_setup! {
    fn the_library_does_what_the_model_does(setup) {
        let (wanted, _) = share(setup);
        let done = programs::run_many(setup, wanted);
        println!("{done} operations were done and compared");
        assert!(done >= wanted, "only {done} operations");
    }

    fn streams_hand_over_what_the_models_do(setup) {
        let (wanted, _) = share(setup);
        let wanted = wanted / STREAMS;
        let done = programs::run_streams(setup, wanted);
        println!("{done} operations were done and compared");
        assert!(done >= wanted, "only {done} operations");
    }
}

on_every_baseline_setup! {
    fn threads_exchange_what_they_hold(setup) {
        let (_, wanted) = share(setup);
        let done = programs::run_exchange(setup, wanted);
        println!("{done} operations were done and compared");
        assert!(done >= wanted, "only {done} operations");
    }
}
