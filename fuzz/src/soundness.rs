//! What holds of each component and of what the rewriter makes of it.

use std::borrow::Cow;

use mappable_rewrite::{
    Gate, ImportError, RefreshReport, Report, RewriteError, Rewritten, Settings, Tier, inspect_with, rewrite_with,
    verify,
};
use rustix::time::{ClockId, clock_gettime};
use wasmparser::{Validator, WasmFeatures};

use crate::reading::{Lower, Tree};
use crate::{bounded, preloaded};

/// The gate of all targets: [`Tree::plain`] knows its key.
pub fn gate() -> Gate {
    Gate::new("k0").expect("a good key")
}

/// What the claims about refreshes are about: what is bounded beyond them is [`bounded`]'s.
pub const BASELINE: Settings = Settings { tier: Tier::Baseline, lists: true, bound: false, preload: false };

/// Time that one rewriting may take on this thread, whatever the input. Rewriting is linear but for the sorting of
/// names: what was exponential, or no more than quadratic in the input, would be far over it.
pub(crate) const SECONDS: f64 = 3.0;

/// What the output may have more than the input: the refresh's module for each component, and plumbing for each lower.
const BYTES_PER_COMPONENT: usize = 400;
const BYTES_PER_LOWER: usize = 100;

/// A tree of no more items has room for refreshes. (The format's limit is a thousand instances in a component.)
const ROOM: usize = 300;

/// Whether the input is canonical: encoded as encoders do it, without a number in more bytes than it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Yes: what is not changed is compared byte by byte.
    Canonical,
    /// Perhaps not. It may also hold a refresh that is not the rewriter's to the byte, which then puts in one more.
    Any,
}

/// Rewrites `input` for the baseline tier, and checks all that can be told without running it. Gives back what was
/// made, or why not.
///
/// # Errors
///
/// The rewriter's refusal.
///
/// # Panics
///
/// Where the rewriter is wrong.
pub fn check(input: &[u8], form: Form) -> Result<Rewritten<'_>, RewriteError> {
    let before = cpu_seconds();
    let result = rewrite_with(input, &gate(), BASELINE);
    let took = cpu_seconds() - before;
    assert!(took < SECONDS, "rewriting {} bytes took {took} s", input.len());

    bounded::check(input, &result);
    preloaded::check(input, &result);
    let again = rewrite_with(input, &gate(), BASELINE);
    let inspected = inspect_with(input, BASELINE);
    match &result {
        Ok(rewritten) => {
            assert!(again.expect("rewriting is deterministic").bytes == rewritten.bytes, "rewriting is deterministic");
            check_report(&inspected.expect("what can be rewritten can be inspected"), &rewritten.report);
            check_output(input, rewritten, form);
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.is_empty() && !is_our_bug(error), "{text}");
            assert_eq!(again.expect_err("refusing is deterministic").to_string(), text);
            // Two refusals depend on the gate, of which an inspection has another; behind the first it may see
            // another reason.
            match error {
                RewriteError::Import(ImportError::LedgerInterface { import })
                    if !import.starts_with("mappable:memory/") => {}
                RewriteError::Import(ImportError::GateNameTaken { .. }) => {
                    assert!(inspected.is_ok(), "{text}")
                }
                _ => assert!(inspected.is_err(), "{text}"),
            }
            if let RewriteError::NoRoom(source) = error {
                let items = Tree::read(input).expect("there was room for the input").items();
                assert!(items > ROOM, "no room in a component of {items} items: {source}");
            }
        }
    }
    result
}

pub(crate) fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

pub(crate) fn is_our_bug(error: &RewriteError) -> bool {
    matches!(error, RewriteError::Bug(_))
}

/// An inspection reports the same lowers as a rewriting.
fn check_report(inspected: &Report, rewritten: &Report) {
    let lowers = |report: &Report| -> Vec<_> {
        report.lowers().map(|(component, lower)| format!("{:?} {lower:?}", component.path)).collect()
    };
    assert_eq!(lowers(inspected), lowers(rewritten));
    assert_eq!(inspected.gated_imports, rewritten.gated_imports);
    assert_eq!(inspected.maps(), rewritten.maps());
}

fn check_output(input: &[u8], rewritten: &Rewritten<'_>, form: Form) {
    let output = &rewritten.bytes[..];
    let before = Tree::read(input).expect("what was rewritten is valid");
    let after = Tree::read(output).expect("the output is valid");
    check_features(input, output);

    let (lowers, guarded) = (before.lowers(), after.lowers());
    assert_eq!(lowers.len(), guarded.len(), "no marked lower is lost or made");
    assert!(guarded.iter().all(|lower| lower.guarded), "a marked lower is not behind a refresh: {guarded:?}");
    verify(output).expect("the rewriter's own check passes too");
    check_places(&before, &lowers, &guarded, &rewritten.report, form);

    let todo = !rewritten.report.gated_imports.is_empty() || lowers.iter().any(|lower| !lower.guarded);
    assert!(rewritten.changed() == todo || rewritten.changed() && form == Form::Any);
    match &rewritten.bytes {
        Cow::Borrowed(bytes) => assert!(*bytes == input, "what has nothing to do is given back as it is"),
        Cow::Owned(_) if form == Form::Canonical => compare(&before.plain(), &after.plain()),
        Cow::Owned(_) => {}
    }
    let most = input.len() + before.len() * BYTES_PER_COMPONENT + lowers.len() * BYTES_PER_LOWER;
    assert!(form == Form::Any || output.len() <= most, "{} bytes became {}", input.len(), output.len());

    let twice = rewrite_with(output, &gate(), BASELINE).expect("the output can be rewritten");
    assert!(!twice.changed(), "rewriting twice changes something");
    let present = |lower: &mappable_rewrite::LowerReport| matches!(lower.refresh, RefreshReport::Present { .. });
    assert!(twice.report.lowers().all(|(_, lower)| present(lower)));
    assert_eq!(twice.report.lowers().count(), lowers.len());
}

/// The output needs nothing of the engine that the input did not.
fn check_features(input: &[u8], output: &[u8]) {
    let component = WasmFeatures::COMPONENT_MODEL;
    for features in [WasmFeatures::WASM1 | component, WasmFeatures::WASM2 | component, WasmFeatures::default()] {
        if Validator::new_with_features(features).validate_all(input).is_ok() {
            Validator::new_with_features(features).validate_all(output).expect("the output needs no more features");
        }
    }
}

/// The report names the lowers that are there, and says of each where its refresh is.
fn check_places(before: &Tree, lowers: &[Lower], guarded: &[Lower], report: &Report, form: Form) {
    assert_eq!(report.components.len(), before.len());
    let reported: Vec<_> = report
        .components
        .iter()
        .enumerate()
        .flat_map(|(component, report)| report.lowers.iter().map(move |lower| (component, lower)))
        .collect();
    assert_eq!(reported.len(), lowers.len());
    for (((component, reported), lower), after) in reported.iter().zip(lowers).zip(guarded) {
        assert_eq!((*component, reported.canon, reported.core_func), (lower.component, lower.canon, lower.core_func));
        match reported.refresh {
            RefreshReport::Present { .. } => assert!(lower.guarded),
            RefreshReport::Inserted { core_func, .. } => {
                assert!(!lower.guarded || form == Form::Any);
                assert_eq!(core_func, after.core_func + 1, "a refresh's function is right behind its lower's");
            }
            ref other => panic!("what is {other:?}?"),
        }
        assert_eq!(reported.canon, after.canon, "no canonical function is put in");
    }
}

fn compare(before: &[String], after: &[String]) {
    let differ = before.iter().zip(after).find(|(before, after)| before != after);
    assert!(differ.is_none(), "more than refreshes was changed: {differ:?}");
    assert_eq!(before.len(), after.len(), "more than refreshes was put in, or something was lost");
}
