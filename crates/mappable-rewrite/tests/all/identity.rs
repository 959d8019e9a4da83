//! A component that maps nothing is given back byte for byte.

use std::borrow::Cow;

use mappable_rewrite::{inspect, rewrite};

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

#[test]
fn what_maps_nothing_is_the_same_bytes() {
    for text in ORDINARY {
        let bytes = wasm(text);
        let rewritten = rewrite(&bytes, &gate()).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert!(matches!(rewritten.bytes, Cow::Borrowed(_)), "{text}");
        assert_eq!(rewritten.bytes, bytes, "{text}");
        assert!(!inspect(&bytes).unwrap().maps(), "{text}");
    }
}

#[test]
fn an_import_that_bears_the_gates_name_is_left() {
    let bytes = wasm(r#"(component (import "mappable:k0/types@0.1.0" (instance)))"#);
    assert!(!rewrite(&bytes, &gate()).unwrap().changed());
}
