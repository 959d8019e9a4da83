//! What holds of the memories that the rewriter gives a maximum: it changes nothing else, and none that is mapped into.

use std::mem::discriminant;

use mappable_rewrite::{BOUNDED_PAGES, Report, RewriteError, Rewritten, Settings, inspect, rewrite_with};
use wasmparser::{Import, MemoryType, Parser, Payload, TypeRef};

use crate::reading::{FEATURES, Tree};
use crate::soundness::{BASELINE, gate};

/// Rewrites `input` once more, with memories bounded. `moving` is what came of it without.
///
/// # Panics
///
/// Where the rewriter is wrong.
pub(crate) fn check(input: &[u8], moving: &Result<Rewritten<'_>, RewriteError>) {
    let bounded = rewrite_with(input, &gate(), Settings { bound: true, ..BASELINE });
    let (moving, bounded) = match (moving, bounded) {
        (Ok(moving), Ok(bounded)) => (moving, bounded),
        (Err(moving), Err(bounded)) => return assert_eq!(discriminant(moving), discriminant(&bounded)),
        (moving, bounded) => {
            panic!("refused with memories bounded, or without: {:?}", moving.is_ok().cmp(&bounded.is_ok()))
        }
    };
    Tree::read(&bounded.bytes).expect("the output is valid");
    let (all_moving, all_fixed) = (contents(&moving.bytes), contents(&bounded.bytes));
    assert_eq!(all_moving.len(), all_fixed.len());
    let mut changed = 0;
    for (moving, bounded) in all_moving.iter().zip(&all_fixed) {
        match (moving, bounded) {
            (Content::Memory(moving), Content::Memory(bounded)) if moving != bounded => {
                let maximum = Some(BOUNDED_PAGES);
                assert!(moving.maximum.is_none_or(|maximum| maximum > BOUNDED_PAGES), "{moving:?}");
                assert_eq!(*bounded, MemoryType { maximum, ..*moving });
                changed += 1;
            }
            _ => assert!(moving == bounded, "more than maxima was changed: {moving:?} {bounded:?}"),
        }
    }
    assert_eq!(changed > 0, bounded.bytes != moving.bytes, "what has nothing to bound is the same bytes");
    // The validator's own types of the memories that lowers name.
    let named = |report: &Report| report.lowers().map(|(_, lower)| lower.memory.ty).collect::<Vec<_>>();
    let after = inspect(&bounded.bytes).expect("the output can be inspected");
    assert_eq!(named(&after), named(&moving.report), "a memory that is mapped into was bounded");
}

/// What of a component there is to compare, in order.
#[derive(Debug, PartialEq)]
enum Content {
    Memory(MemoryType),
    Bytes(Vec<u8>),
}

fn contents(component: &[u8]) -> Vec<Content> {
    let mut contents = vec![];
    let mut parser = Parser::new(0);
    parser.set_features(FEATURES);
    for payload in parser.parse_all(component) {
        match payload.expect("it is valid") {
            Payload::ImportSection(imports) => contents.extend(imports.into_imports().map(|import| match import {
                Ok(Import { ty: TypeRef::Memory(ty), .. }) => Content::Memory(ty),
                other => Content::Bytes(format!("{other:?}").into_bytes()),
            })),
            Payload::MemorySection(memories) => {
                contents.extend(memories.into_iter().map(|ty| Content::Memory(ty.expect("it is valid"))));
            }
            // What is within them comes next.
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {}
            other => {
                contents.extend(other.as_section().map(|(_, range)| Content::Bytes(component[range].to_vec())));
            }
        }
    }
    contents
}
