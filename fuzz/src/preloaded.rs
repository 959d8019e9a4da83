//! What holds of the preloads that the rewriter puts in front of loops: nothing else is changed, and none is put in twice.

use std::mem::discriminant;

use mappable_rewrite::{Report, RewriteError, Rewritten, Settings, preloaded, rewrite_with};
use wasmparser::{BinaryReader, CodeSectionReader, FunctionBody, Operator, Parser, Payload, Validator};

use crate::reading::{FEATURES, Tree};
use crate::soundness::{BASELINE, SECONDS, cpu_seconds, gate};

/// The most bytes that a preload takes.
const PRELOAD_BYTES: usize = 16;

/// Rewrites `input` once more, with preloads on all memories that may move. `without` is what came of it without.
///
/// # Panics
///
/// Where the rewriter is wrong.
pub(crate) fn check(input: &[u8], without: &Result<Rewritten<'_>, RewriteError>) {
    let settings = Settings { preload: true, ..BASELINE };
    let (without, with) = match (without, rewrite_with(input, &gate(), settings)) {
        (Ok(without), Ok(with)) => (without, with),
        (Err(without), Err(with)) => return assert_eq!(discriminant(without), discriminant(&with)),
        (without, with) => panic!("refused with preloads, or without: {:?}", without.is_ok().cmp(&with.is_ok())),
    };
    Tree::read(&with.bytes).expect("the output is valid");
    let count = |report: &Report| -> usize {
        report.components.iter().flat_map(|component| &component.modules).map(|module| module.preloads).sum()
    };
    assert_eq!(count(&without.report), 0);
    assert_eq!(compare(&without.bytes, &with.bytes), count(&with.report));
    let twice = rewrite_with(&with.bytes, &gate(), settings).expect("the output can be rewritten");
    assert!(!twice.changed(), "rewriting twice changes something");
}

/// Puts preloads into a core module. Gives their number.
///
/// # Panics
///
/// Where the rewriter is wrong.
pub fn check_module(module: &[u8]) -> usize {
    let before = cpu_seconds();
    let with = preloaded(module).expect("a valid module");
    let took = cpu_seconds() - before;
    assert!(took < SECONDS, "putting preloads into {} bytes took {took} s", module.len());
    Validator::new_with_features(FEATURES).validate_all(&with).expect("the output is valid");
    assert!(*preloaded(&with).expect("the output is valid") == *with, "there are preloads in front of preloads");
    compare(module, &with)
}

/// Compares what are no preloads, section by section and operator by operator, and counts those.
fn compare(without: &[u8], with: &[u8]) -> usize {
    let (all_without, all_with) = (sections(without), sections(with));
    assert_eq!(all_without.len(), all_with.len());
    let count = all_without.iter().zip(&all_with).map(|(without, with)| match (without, with) {
        _ if without == with => 0,
        ((CODE, without), (CODE, with)) => compare_code(without, with),
        _ => panic!("more than code was changed: {without:?} {with:?}"),
    });
    let count = count.sum();
    assert_eq!(count > 0, without != with, "what has no loop that is worth it is the same bytes");
    assert!(with.len() <= without.len() + count * (PRELOAD_BYTES + 5), "{count} preloads are too large");
    count
}

/// The code section's number.
const CODE: u8 = 10;

/// All sections of a tree but those that hold others, in order.
fn sections(bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut parser = Parser::new(0);
    parser.set_features(FEATURES);
    let payloads = parser.parse_all(bytes).map(|payload| payload.expect("it is valid"));
    let holds =
        |payload: &Payload<'_>| matches!(payload, Payload::ModuleSection { .. } | Payload::ComponentSection { .. });
    let sections = payloads.filter(|payload| !holds(payload)).filter_map(|payload| payload.as_section());
    sections.map(|(id, range)| (id, &bytes[range])).collect()
}

fn compare_code(without: &[u8], with: &[u8]) -> usize {
    let bodies = |code| {
        let bodies = CodeSectionReader::new(BinaryReader::new_features(code, 0, FEATURES)).expect("it is valid");
        bodies.into_iter().map(|body| body.expect("it is valid")).collect::<Vec<_>>()
    };
    let (without, with) = (bodies(without), bodies(with));
    assert_eq!(without.len(), with.len());
    let mut preloads = 0;
    for (without, with) in without.iter().zip(&with) {
        let locals = |body: &FunctionBody<'_>| {
            let locals = body.get_locals_reader().expect("it is valid");
            locals.into_iter().map(|local| local.expect("it is valid")).collect::<Vec<_>>()
        };
        assert_eq!(locals(without), locals(with));
        preloads += compare_operators(without, with);
    }
    preloads
}

fn compare_operators(without: &FunctionBody<'_>, with: &FunctionBody<'_>) -> usize {
    let mut with = with.get_operators_reader().expect("it is valid").into_iter().map(|it| it.expect("it is valid"));
    let mut preloads = 0;
    for operator in without.get_operators_reader().expect("it is valid") {
        let operator = operator.expect("it is valid");
        let mut found = with.next().expect("an operator was lost");
        while found != operator {
            assert!(matches!(operator, Operator::Loop { .. }), "{found:?} in the place of {operator:?}");
            assert!(matches!(found, Operator::I32Const { .. }), "{found:?} in front of a loop");
            let (load, drop) = (with.next(), with.next());
            assert!(
                matches!(&load, Some(Operator::I32Load8U { memarg }) if (memarg.align, memarg.offset) == (0, 0)),
                "{load:?}"
            );
            assert_eq!(drop, Some(Operator::Drop));
            preloads += 1;
            found = with.next().expect("an operator was lost");
        }
    }
    assert_eq!(with.next(), None);
    preloads
}
