//! A memory gets a maximum if no lower of a swapping function can name it, and only then.
//!
//! In the texts here a memory ends with `FIXED` if it is to get one, an import of a memory with `GIVEN`, and others
//! with `MOVES`. So a text with the maximum written
//! out, rewritten as it is, is what must come of the same text without it.

use mappable_rewrite::{BOUNDED_PAGES, Settings, Tier, inspect, rewrite_with};

use crate::support::{gate, wasm};
use crate::trees::head;

/// Checks a component of such a text in each tier. Gives the number of memories and imports that were bounded.
fn check(text: &str) -> usize {
    let input = wasm(&text.replace("FIXED", "").replace("GIVEN", "").replace("MOVES", ""));
    let expected = wasm(&text.replace("FIXED", "65535").replace("GIVEN", "65535").replace("MOVES", ""));
    for tier in [Tier::Auto, Tier::Baseline] {
        let settings = Settings { tier, ..Settings::default() };
        let rewritten = rewrite_with(&input, &gate(), settings).unwrap();
        let as_written = rewrite_with(&expected, &gate(), Settings { bound: false, ..settings }).unwrap();
        assert!(rewritten.bytes == as_written.bytes, "{tier:?}: {text}\nbecame\n{}", print(&rewritten.bytes));
        assert_eq!(rewritten.report.tier, as_written.report.tier);
    }
    let modules = inspect(&input).unwrap().components.into_iter().flat_map(|component| component.modules);
    let bounded: usize = modules.map(|module| module.bounded.len()).sum();
    assert_eq!(bounded, text.matches("FIXED").count(), "{text}");
    bounded + text.matches("GIVEN").count()
}

fn print(component: &[u8]) -> String {
    wasmprinter::print_bytes(component).unwrap()
}

/// A component that can map: `$types`, and a `$libc` whose memory is that of its lowers, of which there are none yet.
fn with_head(body: &str) -> String {
    format!(
        "(component {} {body})",
        head().replace(r#"(memory (export "memory") 1)"#, r#"(memory (export "memory") 1 LIBC)"#)
    )
}

/// As [`with_head`], where the memory of `$libc` moves.
fn mapping(body: &str) -> String {
    with_head(body).replace("LIBC", "MOVES")
}

/// As [`with_head`], where nothing names the memory of `$libc`.
fn idle(body: &str) -> String {
    with_head(body).replace("LIBC", "FIXED")
}

#[test]
fn it_is_the_largest_maximum_that_keeps_the_base_where_it_is() {
    assert_eq!(BOUNDED_PAGES, 65_535);
}

#[test]
fn a_memory_that_no_lower_names_is_fixed() {
    assert_eq!(check(&idle("")), 1);
    assert_eq!(
        check(&idle(r#"(component (core module (memory 0 FIXED)) (component (core module (memory 7 FIXED))))"#)),
        3
    );
    // A lower of another function of the package.
    assert_eq!(check(&idle(r#"(core func (canon lower (func $types "granule") (memory $memory)))"#)), 1);
}

#[test]
fn a_memory_that_a_lower_names_is_not() {
    for function in ["map", "unmap"] {
        let lower = format!(r#"(core func (canon lower (func $types "{function}") (memory $memory)))"#);
        assert_eq!(check(&mapping(&lower)), 0);
        // Others of the same component are.
        let other = r#"(core module $other (memory (export "memory") 1 FIXED)) (core instance (instantiate $other))"#;
        assert_eq!(check(&mapping(&(lower + other))), 1);
    }
}

#[test]
fn of_two_memories_of_a_module_the_named_one_is_not() {
    let two = |first, second, named| {
        format!(
            r#"(core module $two (memory (export "first") 1 {first}) (memory (export "second") 1 {second}))
            (core instance $two (instantiate $two))
            (alias core export $two "{named}" (core memory $named))
            (core func (canon lower (func $types "map") (memory $named)))"#
        )
    };
    assert_eq!(check(&idle(&two("MOVES", "FIXED", "first"))), 2);
    assert_eq!(check(&idle(&two("FIXED", "MOVES", "second"))), 2);
    // Exported by both names it is one memory.
    let both = two("MOVES", "FIXED", "again");
    let both = both.replace(r#"(memory (export "first")"#, r#"(memory (export "first") (export "again")"#);
    assert_eq!(check(&idle(&both)), 2);
}

#[test]
fn a_module_is_one_for_all_its_instances() {
    // One of them is mapped into.
    let body = r#"(core instance $other (instantiate $libc))
        (alias core export $other "memory" (core memory $unused))
        (core func (canon lower (func $types "map") (memory $memory)))"#;
    assert_eq!(check(&mapping(body)), 0);
}

#[test]
fn a_memory_is_followed_through_instances_and_imports() {
    let named = r#"(alias core export $last "m" (core memory $named))
        (core func (canon lower (func $types "map") (memory $named)))"#;
    // A bundle of exports.
    let bundle = r#"(core instance $last (export "m" (memory $memory)) (export "n" (memory $other)))"#;
    let other = r#"(core module $other (memory (export "memory") 1 FIXED)) (core instance $other (instantiate $other))
        (alias core export $other "memory" (core memory $other))"#;
    assert_eq!(check(&mapping(&format!("{other} {bundle} {named}"))), 1);
    // A module that exports what it imports, and has a memory of its own.
    let pass = r#"(core module $pass (import "a" "m" (memory 0 GIVEN)) (import "b" "m" (memory $b 0 MOVES))
          (memory $own 1 FIXED) (export "m" (memory $b)) (export "own" (memory $own)))
        (core instance $a (export "m" (memory $other)))
        (core instance $b (export "m" (memory $memory)))
        (core instance $last (instantiate $pass (with "a" (instance $a)) (with "b" (instance $b))))"#;
    assert_eq!(check(&mapping(&format!("{other} {pass} {named}"))), 3);
}

#[test]
fn a_module_of_a_component_further_out_is_followed() {
    let nested = r#"(component $inner
        (alias outer 1 $libc (core module $m))
        (component
          (import "mappable:memory/types@0.1.0" (instance $types HEAD))
          (alias outer 1 $m (core module $m))
          (core instance $i (instantiate $m))
          (alias core export $i "memory" (core memory $memory))
          (core func (canon lower (func $types "map") (memory $memory)))))"#;
    let head = head();
    let start = head.find(r#"(export "mappable""#).unwrap();
    let end = head.find("(core module $libc").unwrap();
    // Without the two parentheses that end the import.
    let declared = head[start..end].trim_end().strip_suffix("))").unwrap();
    assert_eq!(check(&mapping(&nested.replace("HEAD", declared))), 0);
    assert_eq!(check(&idle(&nested.replace("HEAD", declared).replace("$types \"map\"", "$types \"granule\""))), 1);
}

#[test]
fn a_module_that_is_given_away_is_left() {
    let user = r#"(component $user (import "m" (core module $m (export "memory" (memory 1)))))"#;
    let given = r#"(instance (instantiate $user (with "m" (core module $libc))))"#;
    assert_eq!(check(&mapping(&format!("{user} {given}"))), 0);
    assert_eq!(check(&mapping(r#"(export "m" (core module $libc))"#)), 0);
    assert_eq!(check(&mapping(r#"(instance (export "m" (core module $libc)))"#)), 0);
    // From further in.
    let inner = r#"(component (alias outer 1 $libc (core module $m)) (export "m" (core module $m)))"#;
    assert_eq!(check(&mapping(inner)), 0);
}

#[test]
fn what_a_module_that_is_not_known_was_given_is_left() {
    let body = |memory| {
        format!(
            r#"(import "pass" (core module $pass (import "a" "m" (memory 0)) (export "m" (memory 0))))
            (core module $other (memory (export "memory") 1 FIXED)) (core instance (instantiate $other))
            (core instance $i (instantiate $pass (with "a" (instance (export "m" (memory {memory}))))))
            (alias core export $i "m" (core memory $named))
            (core func (canon lower (func $types "map") (memory $named)))"#
        )
    };
    assert_eq!(check(&mapping(&body("$memory"))), 1);
}

#[test]
fn an_import_that_is_always_given_a_fixed_memory_is_fixed_too() {
    let other = r#"(core module $other (memory (export "memory") 1 FIXED)) (core instance $other (instantiate $other))
        (core module $small (memory (export "memory") 1 2)) (core instance $small (instantiate $small))"#;
    let user = |maximum: &str| format!(r#"(core module $uses (import "a" "memory" (memory 0 {maximum})))"#);
    let given = |instance: &str| format!(r#"(core instance (instantiate $uses (with "a" (instance {instance}))))"#);
    let lower = r#"(core func (canon lower (func $types "map") (memory $memory)))"#;
    let check = |maximum: &str, instances: &[&str]| {
        let given: String = instances.iter().copied().map(given).collect();
        check(&mapping(&format!("{other} {} {given} {lower}", user(maximum))))
    };
    assert_eq!(check("GIVEN", &["$other"]), 2);
    assert_eq!(check("GIVEN", &["$other", "$small"]), 2);
    // Given one that moves, once; or never given any.
    assert_eq!(check("MOVES", &["$libc"]), 1);
    assert_eq!(check("MOVES", &["$other", "$libc"]), 1);
    assert_eq!(check("MOVES", &[]), 1);
}

#[test]
fn an_import_of_a_module_that_is_given_away_is_left() {
    let body = r#"(core module $uses (import "a" "memory" (memory 0 MOVES)))
        (core instance (instantiate $uses (with "a" (instance $libc))))
        (export "uses" (core module $uses))"#;
    assert_eq!(check(&idle(body)), 1);
}

#[test]
fn an_import_of_what_a_module_that_is_not_known_exports_is_left() {
    let body = r#"(import "pass" (core module $pass (export "memory" (memory 0))))
        (core module $uses (import "a" "memory" (memory 0 MOVES)))
        (core instance $i (instantiate $pass))
        (core instance (instantiate $uses (with "a" (instance $i))))"#;
    assert_eq!(check(&idle(body)), 1);
}

#[test]
fn a_memory_of_another_kind_is_left() {
    for memory in ["1 2", "1 65535", "65535 65535", "65536", "65536 65536", "i64 1", "i64 1 65536", "1 65536 shared"] {
        assert_eq!(check(&format!("(component (core module (memory {memory})))")), 0);
    }
    assert_eq!(check("(component (core module (memory 1 (pagesize 1))))"), 0);
    assert_eq!(check("(component (core module (memory 1 65536 (pagesize 65536))))"), 0);
}

#[test]
fn a_maximum_that_is_too_large_to_fix_the_base_is_another() {
    let rewritten = |text: &str| {
        let input = wasm(text);
        rewrite_with(&input, &gate(), Settings::default()).unwrap().bytes.into_owned()
    };
    for memory in ["0", "1 65536", "65535", "65535 65536"] {
        let minimum = memory.split(' ').next().unwrap();
        let bounded = wasm(&format!("(component (core module (memory {minimum} 65535)))"));
        assert_eq!(rewritten(&format!("(component (core module (memory {memory})))")), bounded, "{memory}");
    }
}

#[test]
fn all_else_of_a_module_keeps_its_bytes() {
    let text = r#"(component $c
        (@custom "first" "1")
        (core module $m
          (@custom "a" "2")
          (type (func (param i32) (result i32)))
          (import "x" "y" (func $imported))
          (table 1 funcref)
          (memory $memory (export "m") 1 FIXED)
          (memory $small 1 3)
          (global $g (mut i32) (i32.const 7))
          (@custom "b" "3")
          (func $f (export "f") (param $p i32) (result i32) (i32.load $memory (local.get $p)))
          (data (i32.const 16) "some bytes"))
        (component $nested (core module $n (memory 1 FIXED)) (@custom "last" "4")))"#;
    assert_eq!(check(text), 2);
}

#[test]
fn a_tree_for_the_ledger_has_its_guests_memories_fixed() {
    let inputs = [include_str!("../golden-ledger/only-lists.wat"), include_str!("../golden-ledger/closed-pair.wat")];
    for text in inputs {
        let bytes = wasm(text);
        let rewritten = rewrite_with(&bytes, &gate(), Settings { tier: Tier::Ledger, ..Settings::default() }).unwrap();
        let bounded: usize = rewritten.report.components.iter().flat_map(|c| &c.modules).map(|m| m.bounded.len()).sum();
        let declared = print(&rewritten.bytes).matches(" 65535)").count();
        assert_eq!(bounded, declared, "no trusted module's memory is");
        assert!(bounded > 0 || text.contains("map-error"), "{text}");
    }
}
