//! A component with many functions that cross: their handles are the engine's, and the ledger's within.

use std::fmt::Write;

use crate::wat::{TYPES, import_types};

/// What its functions of the embedder are imported from.
pub const HOST: &str = "test:host/many";

/// What a region of it is counted up by where it is mapped, in its first byte: once before the embedder has it, and once
/// after.
pub const VISITS: u8 = 2;

/// A component that gives each region that `g0`, `g1`, ... are called with to the embedder's `f0`, `f1`, ..., and gives back
/// what it is given for it. Every second function has its result in memory, and a `post-return` of its own: those count up
/// what `returned` gives. Every third of the embedder's takes a string too, `many`.
#[must_use]
pub fn component(functions: usize, memory: &str) -> String {
    let mut text = format!(
        r#"(component $many {types}
          (import "{HOST}" (instance $host
            (alias outer 1 $mappable (type $m')) (export "mappable" (type $m (eq $m')))
            {imports}))
          (alias export $types "[static]mappable.map" (func $map))
          (alias export $types "[static]mapping.unmap" (func $unmap))
          (core module $libc (memory (export "memory") {memory})
            (data (i32.const 64) "many")
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 128)))
          (core instance $libc (instantiate $libc))
          (alias core export $libc "memory" (core memory $memory))
          (core func $map (canon lower (func $map) (memory $memory)))
          (core func $unmap (canon lower (func $unmap) (memory $memory)))
          {lowers}
          (core module $user
            (import "" "memory" (memory 2))
            (import "" "map" (func $map (param i32 i32 i32 i32)))
            (import "" "unmap" (func $unmap (param i32 i32 i32 i32)))
            {funcs}
            (global $returned (mut i32) (i32.const 0))
            (func (export "returned") (result i32) (global.get $returned))
            (func $ok (result i32)
              (if (i32.load8_u (i32.const 16)) (then unreachable))
              (i32.load (i32.const 20)))
            (func $visit (param $region i32) (result i32)
              (call $map (local.get $region) (i32.const 65536) (i32.const 65536) (i32.const 16))
              (local.set $region (call $ok))
              (i32.store8 (i32.const 65536) (i32.add (i32.load8_u (i32.const 65536)) (i32.const 1)))
              (call $unmap (local.get $region) (i32.const 65536) (i32.const 65536) (i32.const 16))
              (call $ok))
            (func $done (param i32) (global.set $returned (i32.add (global.get $returned) (i32.const 1))))
            {bodies})
          (core instance $user (instantiate $user (with "" (instance (export "memory" (memory $memory))
            (export "map" (func $map)) (export "unmap" (func $unmap)) {given}))))
          (func (export "returned") (result u32) (canon lift (core func $user "returned")))"#,
        types = import_types(TYPES),
        imports = each(functions, |text, n| {
            let name = if n % 3 == 0 { r#"(param "name" string)"# } else { "" };
            write!(text, r#"(export "f{n}" (func (param "region" (own $m)) {name} (result (own $m))))"#)
        }),
        lowers = each(functions, |text, n| {
            let options = if n % 3 == 0 { "(memory $memory)" } else { "" };
            write!(
                text,
                r#"(alias export $host "f{n}" (func $f{n})) (core func $f{n} (canon lower (func $f{n}) {options}))"#
            )
        }),
        funcs = each(functions, |text, n| {
            let name = if n % 3 == 0 { "i32 i32" } else { "" };
            write!(text, r#"(import "" "f{n}" (func $f{n} (param i32 {name}) (result i32)))"#)
        }),
        bodies = each(functions, |text, n| {
            let name = if n % 3 == 0 { "(i32.const 64) (i32.const 4)" } else { "" };
            let given = format!("(call $visit (call $f{n} (call $visit (local.get 0)) {name}))");
            if n % 2 == 0 {
                return write!(text, r#"(func (export "g{n}") (param i32) (result i32) {given})"#);
            }
            write!(
                text,
                r#"(func (export "g{n}") (param i32) (result i32)
                  (i32.store (i32.const 32) {given}) (i32.store (i32.const 36) (i32.const {n})) (i32.const 32))
                (export "done{n}" (func $done))"#
            )
        }),
        given = each(functions, |text, n| write!(text, r#"(export "f{n}" (func $f{n}))"#)),
    );
    for n in 0..functions {
        let (result, options) = match n % 2 {
            0 => ("(own $mappable)", String::new()),
            _ => (
                "(tuple (own $mappable) u32)",
                format!(
                    r#"(memory $libc "memory") (realloc (func $libc "realloc")) (post-return (func $user "done{n}"))"#
                ),
            ),
        };
        let _ = write!(
            text,
            r#"(func (export "g{n}") (param "region" (own $mappable)) (result {result})
              (canon lift (core func $user "g{n}") {options}))"#
        );
    }
    text + ")"
}

fn each(functions: usize, write: impl Fn(&mut String, usize) -> std::fmt::Result) -> String {
    let mut text = String::new();
    for n in 0..functions {
        let _ = write(&mut text, n);
    }
    text
}
