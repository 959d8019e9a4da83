//! Deep and wide trees, and the limits.

use mappable_rewrite::{MARK, ReadError, RewriteError, rewrite};
use wasm_encoder::Encode;

use crate::support::{gate, nest, refreshes, rewritten, wasm};

/// An import of our package, a memory and aliases of its swapping functions, in text.
pub(crate) fn head() -> String {
    let cases: Vec<_> = MARK.iter().map(|case| format!("\"{case}\"")).collect();
    let cases = cases.join(" ");
    format!(
        r#"(import "mappable:memory/types@0.1.0" (instance $types
            (export "mappable" (type $mappable (sub resource)))
            (export "mapping" (type $mapping (sub resource)))
            (type $cases (enum {cases}))
            (export "map-error" (type $e (eq $cases)))
            (export "granule" (func (result u32)))
            (export "map" (func (param "this" (own $mappable)) (param "at" (list u8))
              (result (result (own $mapping) (error (tuple (own $mappable) $e))))))
            (export "unmap" (func (param "this" (own $mapping)) (param "at" (list u8))
              (result (result (own $mappable) (error (tuple (own $mapping) $e))))))))
          (core module $libc (memory (export "memory") 1))
          (core instance $libc (instantiate $libc))
          (alias core export $libc "memory" (core memory $memory))
          (core module $user (import "" "f" (func (param i32 i32 i32 i32))))
          (core module $asker (import "" "f" (func (result i32))))
        "#
    )
}

const LOWER: &str = r#"(core func (canon lower (func $types "map") (memory $memory)))"#;

/// So many components, each within the one before, all with the same in them.
fn nested(depth: usize, body: &str) -> Vec<u8> {
    let each = wasm(&format!("(component {body})"));
    (1..depth).fold(each.clone(), |inner, _| nest(each.clone(), &inner))
}

#[test]
fn components_nested_deeply_are_each_rewritten() {
    let input = nested(60, &(head() + LOWER));
    assert_eq!(refreshes(&rewritten(&input)), 60);
}

#[test]
fn components_nested_as_deep_as_is_taken_do_not_exhaust_a_threads_stack() {
    let input = nested(100, &(head() + LOWER));
    assert_eq!(refreshes(&rewritten(&input)), 100);
}

#[test]
fn components_nested_deeper_are_refused() {
    let result = rewrite(&nested(101, ""), &gate()).map(drop);
    assert!(matches!(result, Err(RewriteError::Read(ReadError::TooDeep { limit: 100 }))));
}

#[test]
fn a_component_without_room_for_refreshes_is_refused() {
    let lowers = LOWER.repeat(600);
    let input = wasm(&format!("(component {}{lowers})", head()));
    let result = rewrite(&input, &gate()).map(drop);
    assert!(matches!(result, Err(RewriteError::NoRoom(_))), "{result:?}");
}

#[test]
fn a_rewritten_component_within_another_is_left_as_it_is() {
    let inner = format!("(component {}{LOWER})", head());
    let inner = rewritten(&wasm(&inner));
    let outer = rewritten(&wasm(&format!("(component {}{LOWER})", head())));
    let both = nest(outer, &inner);
    assert_eq!(refreshes(&both), 2);
    assert_eq!(rewritten(&both), both);
}

#[test]
fn a_rewritten_component_gets_refreshes_for_lowers_that_were_added_to_it() {
    let one = wasm(&format!("(component {}{LOWER})", head()));
    let both = nest(rewritten(&one), &one);
    assert_eq!(refreshes(&both), 1);
    assert_eq!(refreshes(&rewritten(&both)), 2);
}

#[test]
fn a_nested_component_that_goes_on_behind_the_end_is_refused() {
    let whole = nest(wasm("(component)"), &wasm("(component (core module) (core module))"));
    // The last module is ten bytes.
    let cut = &whole[..whole.len() - 10];
    let result = rewrite(cut, &gate()).map(drop);
    assert!(matches!(result, Err(RewriteError::Read(ReadError::Truncated { .. }))), "{result:?}");
}

/// Types nested within types, written byte by byte: the text format doesn't nest as deep.
fn nested_types(depth: usize) -> Vec<u8> {
    // From the inside out: an empty component type, then types with one declaration, a type, each.
    let mut body = vec![0x41u8, 0x00];
    let mut head = Vec::new();
    for _ in 0..depth {
        head.extend([0x41, 0x01, 0x01]);
    }
    head.append(&mut body);
    let mut section = vec![0x01];
    section.extend(head);
    let mut component = wasm("(component)");
    component.push(7);
    section.as_slice().encode(&mut component);
    component
}

#[test]
fn types_nested_too_deeply_are_refused_before_the_parser_exhausts_the_stack() {
    assert!(rewrite(&nested_types(90), &gate()).is_ok());
    for depth in [101, 1_000, 300_000] {
        let result = rewrite(&nested_types(depth), &gate()).map(drop);
        assert!(matches!(result, Err(RewriteError::Read(ReadError::TooDeep { .. }))), "{result:?}");
    }
}
