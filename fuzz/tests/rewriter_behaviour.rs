//! A component that was rewritten for the baseline tier does on a stock engine what the original does, when nothing is
//! mapped: the same calls of the host with the same bytes, the same answers, memories, growths and traps.
//!
//! One difference is meant. A return area that is misaligned or out of bounds traps in either, but behind the call in
//! the original and before it in the rewritten.

use arbitrary::{Result, Unstructured};
use mappable_fuzz::grammar::{self, Made};
use mappable_fuzz::machine::{Event, Record, run};
use mappable_fuzz::soundness::{BASELINE, gate};
use mappable_rewrite::rewrite_with;

/// What the original imports.
const INTERFACE: &str = "mappable:memory/types@0.1.0";

/// Runs a component as it is and rewritten.
fn both(bytes: &[u8]) -> Result<(Made, Record, Record)> {
    let mut u = Unstructured::new(bytes);
    let script: [u8; 8] = u.arbitrary()?;
    let made = grammar::component(&mut u)?;
    let rewritten =
        rewrite_with(&made.bytes, &gate(), BASELINE).unwrap_or_else(|error| panic!("{error}\n{}", made.text));
    let before = run(&made.bytes, INTERFACE, &made, &script);
    let after = run(&rewritten.bytes, &gate().import_name("types@0.1.0"), &made, &script);
    Ok((made, before, after))
}

/// Whether the trap is that of a refresh that refuses a return area. The original traps too, for the area or for
/// another of the arguments, and may have called the function before: the host's, or another component's.
fn is_refused_area(before: &Record, after: &Record) -> bool {
    let called = match before.events.strip_prefix(&after.events[..]) {
        Some(more) => matches!(more, [] | [Event::Asked("map" | "unmap", ..)]),
        None => false,
    };
    let words = ["unreachable", "out of bounds memory access"];
    let refused = after.trap.as_deref().is_some_and(|trap| words.iter().any(|word| trap.contains(word)));
    called && before.trap.is_some() && refused
}

fn compare(made: &Made, before: &Record, after: &Record) {
    let same = before.events == after.events && before.trap == after.trap;
    assert!(
        same || made.bad_areas && is_refused_area(before, after),
        "{}\nthe original traps by {:?} after {}, the rewritten by {:?} after {}; they differ first at {:?}",
        made.text,
        before.trap,
        before.events.len(),
        after.trap,
        after.events.len(),
        before.events.iter().zip(&after.events).find(|(before, after)| before != after)
    );
}

#[test]
fn rewriter_behaviour() {
    mappable_fuzz::check!(1024, |bytes| {
        if let Ok((made, before, after)) = both(bytes) {
            compare(&made, &before, &after);
        }
    });
}

#[test]
fn most_components_of_the_grammar_swap_and_go_on_to_the_end() {
    let (mut swapping, mut ended, mut trapped, mut refused) = (0, 0, 0, 0);
    for seed in 0..100 {
        let (made, before, after) = both(&mappable_fuzz::noise(seed, 700)).unwrap();
        compare(&made, &before, &after);
        swapping += usize::from(before.asked("map") > 0);
        ended += usize::from(before.trap.is_none());
        trapped += usize::from(before.trap.is_some());
        refused += usize::from(before.trap != after.trap);
    }
    let counts = format!("{swapping} swap, {ended} end, {trapped} trap, {refused} of them at the refresh");
    assert!(swapping > 50 && ended > 30 && trapped > 10, "{counts}");
}
