//! The check of the output, tested by outputs that were tampered with.

use mappable_rewrite::{Bug, RewriteError, Unguarded, verify};

use crate::support::{golden_input, rewritten, wasm};

/// The output of a golden input with `from` replaced by `to` in its text, and the refresh's own bytes kept: the text
/// format does not keep them.
fn tampered(name: &str, from: &str, to: &str) -> Vec<u8> {
    let output = rewritten(&golden_input(name));
    let text = wasmprinter::print_bytes(&output).unwrap();
    assert!(text.contains(from), "{name} has no `{from}`:\n{text}");
    let mut bytes = wasm(&text.replacen(from, to, 1));
    // The refresh is the first section of either.
    let theirs = first_section_end(&bytes);
    bytes.splice(..theirs, output[..first_section_end(&output)].iter().copied());
    bytes
}

fn first_section_end(component: &[u8]) -> usize {
    let mut payloads = wasmparser::Parser::new(0).parse_all(component);
    payloads
        .find_map(|payload| match payload.unwrap() {
            wasmparser::Payload::ModuleSection { unchecked_range, .. } => Some(unchecked_range.end),
            _ => None,
        })
        .unwrap()
}

fn reason(bytes: &[u8]) -> Unguarded {
    match verify(bytes) {
        Err(RewriteError::Bug(Bug::Unguarded { reason, .. })) => reason,
        other => panic!("{other:?}"),
    }
}

/// The end of the text of an output, to put something before.
const END: &str = "  (export (;3;) \"run\"";

fn with(addition: &str) -> Vec<u8> {
    tampered("map-and-unmap", END, &format!("{addition}\n{END}"))
}

#[test]
fn an_output_passes() {
    verify(&tampered("map-and-unmap", END, END)).unwrap();
}

#[test]
fn an_input_does_not() {
    assert_eq!(reason(&golden_input("map-and-unmap")), Unguarded::Exports);
}

#[test]
fn the_lowered_function_passed_to_the_guest_is_found() {
    let bytes = tampered("map-and-unmap", "(export \"map\" (func $map'))", "(export \"map\" (func 1))");
    assert_eq!(reason(&bytes), Unguarded::Uses(2));
}

#[test]
fn the_lowered_function_lifted_is_found() {
    let lift =
        "(func (param \"a\" u32) (param \"b\" u32) (param \"c\" u32) (param \"d\" u32) (canon lift (core func 1)))";
    assert_eq!(reason(&with(lift)), Unguarded::Uses(2));
}

#[test]
fn the_lowered_function_exported_by_another_instance_is_found() {
    let bytes = with("(core instance (export \"x\" (func 3)))");
    assert_eq!(reason(&bytes), Unguarded::Uses(2));
}

#[test]
fn the_refreshs_argument_aliased_is_found() {
    let bytes = with("(alias core export 1 \"lowered\" (core func $stolen))");
    assert_eq!(reason(&bytes), Unguarded::InstanceUses(2));
}

#[test]
fn the_refreshs_argument_passed_to_another_module_is_found() {
    let bytes = with(
        "(core module $thief (import \"\" \"lowered\" (func (param i32 i32 i32 i32))))
         (core instance (instantiate $thief (with \"\" (instance 3))))",
    );
    assert_eq!(reason(&bytes), Unguarded::InstanceUses(2));
}

#[test]
fn a_second_refresh_of_the_same_lower_is_not_taken() {
    let bytes = with("(core instance (instantiate 0 (with \"\" (instance 1))))");
    assert_eq!(reason(&bytes), Unguarded::InstanceUses(2));
}

#[test]
fn another_memory_than_the_lowers_is_found() {
    let bytes =
        tampered("lowered-twice", "(export \"memory\" (memory $memory-2))", "(export \"memory\" (memory $memory-1))");
    assert_eq!(reason(&bytes), Unguarded::Exports);
}

#[test]
fn another_functions_lower_in_the_refresh_is_found() {
    let bytes = tampered("map-and-unmap", "(export \"lowered\" (func 3))", "(export \"lowered\" (func 1))");
    assert_eq!(reason(&bytes), Unguarded::Uses(2));
}

#[test]
fn more_than_the_refresh_imports_is_found() {
    let bytes = tampered(
        "map-and-unmap",
        "(export \"memory\" (memory $memory))",
        "(export \"memory\" (memory $memory)) (export \"again\" (func 1))",
    );
    assert_eq!(reason(&bytes), Unguarded::Uses(2));
    let bytes = tampered(
        "map-and-unmap",
        "(export \"memory\" (memory $memory))",
        "(export \"memory\" (memory $memory)) (export \"more\" (func $realloc))",
    );
    assert_eq!(reason(&bytes), Unguarded::Exports);
}

#[test]
fn a_refresh_of_other_bytes_is_found() {
    let output = rewritten(&golden_input("map-and-unmap"));
    let text = wasmprinter::print_bytes(&output).unwrap();
    // As the text format gives it back, and with the trap left out: neither is the one that was put in.
    assert_eq!(reason(&wasm(&text)), Unguarded::OtherModule);
    let lenient = text.replacen("unreachable", "nop", 1);
    assert_eq!(reason(&wasm(&lenient)), Unguarded::OtherModule);
}

#[test]
fn any_changed_byte_of_the_refresh_is_found() {
    let output = rewritten(&golden_input("map-and-unmap"));
    let end = first_section_end(&output);
    for at in 10..end {
        let mut bytes = output.clone();
        bytes[at] ^= 1;
        assert!(verify(&bytes).is_err(), "byte {at}");
    }
}

#[test]
fn a_lower_that_nobody_uses_is_not_behind_a_refresh() {
    let lower = "(core func (canon lower (func $map) (memory $memory)))";
    assert_eq!(reason(&with(lower)), Unguarded::Uses(0));
}
