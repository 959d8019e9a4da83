//! A component that maps nothing is given back byte for byte, but for the maxima of its memories.

use std::borrow::Cow;

use mappable_rewrite::{Rewritten, Settings, Tier, inspect, rewrite, rewrite_with};

use crate::support::{gate, wasm};

/// Components of many kinds that have nothing to do with mapping.
const ORDINARY: &[&str] = &[
    "(component)",
    "(component $named (core module $m) (core instance $i (instantiate $m)))",
    r#"(component (import "wasi:cli/run@0.2.0" (instance (export "run" (func (result (result)))))))"#,
    r#"(component
        (import "log" (func $log (param "s" string)))
        (core module $libc (memory (export "m") 1) (func (export "r") (param i32 i32 i32 i32) (result i32) unreachable))
        (core instance $libc (instantiate $libc))
        (core func $log' (canon lower (func $log) (memory $libc "m") (realloc (func $libc "r"))))
        (core module $main (import "" "log" (func (param i32 i32))))
        (core instance (instantiate $main (with "" (instance (export "log" (func $log')))))))"#,
    r#"(component
        (component $a (import "x" (func $x)) (export "y" (func $x)))
        (import "f" (func $f))
        (instance $i (instantiate $a (with "x" (func $f))))
        (export "z" (func $i "y")))"#,
    r#"(component
        (type $r (resource (rep i32)))
        (core func (canon resource.new $r))
        (core func (canon resource.drop $r))
        (core func (canon resource.rep $r)))"#,
    r#"(component
        (type $t (component (import "a" (instance (export "b" (type (sub resource)))))))
        (type $v (variant (case "a" u8) (case "b" (list string))))
        (core type $m (module (import "x" "y" (memory 1)) (export "z" (func)))))"#,
    r#"(component
        (core module $m (memory (export "m") 1))
        (core instance $i (instantiate $m))
        (type $bytes (stream u8))
        (core func (canon stream.new $bytes))
        (core func (canon waitable-set.new))
        (core func (canon task.return (result string) (memory $i "m"))))"#,
    r#"(component (import "mappable:memory-tools/types@0.1.0" (instance (export "f" (func)))))"#,
    r#"(component (component (import "mappable:memory/types@0.1.0" (instance (export "f" (func))))))"#,
];

/// The same bytes; or with a maximum for the one kind of memory that these components have.
fn check(text: &str, bytes: &[u8], rewritten: &Rewritten<'_>, bounded: bool) {
    const MEMORY: &str = r#"(memory (export "m") 1)"#;
    if bounded && text.contains(MEMORY) {
        assert_eq!(rewritten.bytes, wasm(&text.replace(MEMORY, r#"(memory (export "m") 1 65535)"#)), "{text}");
    } else {
        assert!(matches!(rewritten.bytes, Cow::Borrowed(_)), "{text}");
        assert_eq!(rewritten.bytes, bytes, "{text}");
    }
}

#[test]
fn what_maps_nothing_is_the_same_bytes() {
    for text in ORDINARY {
        let bytes = wasm(text);
        let rewritten = rewrite(&bytes, &gate()).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        check(text, &bytes, &rewritten, true);
        assert!(!inspect(&bytes).unwrap().maps(), "{text}");
    }
}

/// A component that calls another one, without lists of plain data between them; the host has such lists of it.
const WITHOUT_LISTS: &str = r#"(component
    (component $named
      (core module $m (memory (export "m") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "name") (param i32 i32)))
      (core instance $m (instantiate $m))
      (func (export "name") (param "name" string)
        (canon lift (core func $m "name") (memory $m "m") (realloc (func $m "realloc")))))
    (component $main
      (import "name" (func $name (param "name" string)))
      (core module $m (memory (export "m") 1) (func (export "run") (param i32 i32))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
      (core instance $m (instantiate $m))
      (core func $name (canon lower (func $name) (memory $m "m")))
      (core module $user (import "" "name" (func (param i32 i32))))
      (core instance (instantiate $user (with "" (instance (export "name" (func $name))))))
      (func (export "run") (param "all" (list u8))
        (canon lift (core func $m "run") (memory $m "m") (realloc (func $m "realloc")))))
    (instance $n (instantiate $named))
    (instance $main (instantiate $main (with "name" (func $n "name"))))
    (export "run" (func $main "run")))"#;

/// Each way of rewriting.
fn settings() -> impl Iterator<Item = Settings> {
    let tiers = [Tier::Auto, Tier::Baseline, Tier::Ledger];
    let each = |tier, bound| [false, true].map(|lists| Settings { tier, lists, bound, preload: true });
    tiers.into_iter().flat_map(move |tier| [false, true].into_iter().flat_map(move |bound| each(tier, bound)))
}

#[test]
fn what_maps_nothing_and_passes_no_lists_is_the_same_bytes_in_each_tier() {
    for text in ORDINARY.iter().chain([&WITHOUT_LISTS]) {
        let bytes = wasm(text);
        for settings in settings() {
            let rewritten = rewrite_with(&bytes, &gate(), settings).unwrap_or_else(|error| panic!("{text}: {error:?}"));
            check(text, &bytes, &rewritten, settings.bound);
        }
    }
}

#[test]
fn what_passes_lists_is_the_same_bytes_unless_they_go_by_window() {
    // Were strings plain data, they would go by window.
    let bytes = wasm(&WITHOUT_LISTS.replace("string", "(list u8)"));
    for settings in settings().filter(|settings| !settings.bound) {
        let changed = rewrite_with(&bytes, &gate(), settings).unwrap().changed();
        assert_eq!(changed, settings.lists && settings.tier != Tier::Baseline, "{settings:?}");
    }
}

#[test]
fn an_import_that_bears_the_gates_name_is_left() {
    let bytes = wasm(r#"(component (import "mappable:k0/types@0.1.0" (instance)))"#);
    assert!(!rewrite(&bytes, &gate()).unwrap().changed());
}
