//! Fixed texts of the grammar.

use crate::reading::marks::CASES;

/// The interface's name.
pub(super) const PUBLIC: &str = "mappable:memory/types@0.1.0";
pub(super) const MAP: &str = "[static]mappable.map";
pub(super) const UNMAP: &str = "[static]mapping.unmap";
/// The parameters of a lowered swapping function, lifted.
pub(super) const FOUR: &str = r#"(param "a" u32) (param "b" u32) (param "c" u32) (param "d" u32)"#;

/// The labels of the mark, in order, as the text format wants them.
pub(super) fn cases() -> String {
    CASES.map(|case| format!("\"{case}\"")).join(" ")
}

/// The type of an instance of the interface.
pub(super) fn interface(cases: &str) -> String {
    format!(
        r#"(export "mappable" (type $mappable (sub resource)))
           (export "mapping" (type $mapping (sub resource)))
           (type $cases (enum {cases}))
           (export "map-error" (type $error (eq $cases)))
           (export "granule" (func (result u32)))
           (export "make" (func (result (own $mappable))))
           (export "{MAP}" (func (param "this" (own $mappable)) (param "at" (list u8))
             (result (result (own $mapping) (error (tuple (own $mappable) $error))))))
           (export "{UNMAP}" (func (param "this" (own $mapping)) (param "at" (list u8))
             (result (result (own $mappable) (error (tuple (own $mapping) $error))))))"#
    )
}

/// What each component imports, with the interface under `name`.
pub(super) fn imports(name: &str, cases: &str) -> String {
    format!(
        r#"(import "{name}" (instance $types {}))
           (import "log" (func $log (param "what" u32)))
           (import "dump" (func $dump (param "bytes" (list u8))))"#,
        interface(cases)
    )
}

/// A module with so many memories.
pub(super) fn libc(memories: usize, limits: &str) -> String {
    let memories: String = (0..memories)
        .map(|nth| format!(r#"(memory (export "m{nth}") {limits}) (data (memory {nth}) (i32.const 4) "mem {nth}")"#))
        .collect();
    format!(
        r#"(core module $libc {memories}
             (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))"#
    )
}

/// What a guest needs beside the swapping functions.
pub(super) fn plumbing(types: &str, memories: usize) -> String {
    let dumps: String = (0..memories)
        .map(|nth| format!("(core func $dump{nth} (canon lower (func $dump) (memory $memory{nth})))"))
        .collect();
    format!(
        r#"(core func $log' (canon lower (func $log)))
           (core func $make (canon lower (func {types} "make")))
           (alias export {types} "mappable" (type $mappable))
           (alias export {types} "mapping" (type $mapping))
           (core func $drop-mappable (canon resource.drop $mappable))
           (core func $drop-mapping (canon resource.drop $mapping))
           {dumps}"#
    )
}

/// A component that implements the interface with resources of its own, and an instance of it. Every second answer is
/// an error.
pub(super) fn implementation(id: usize) -> String {
    let swap = |drop: &str, new: &str| {
        format!(
            r#"(param i32 i32 i32) (result i32)
               (global.set $n (i32.add (global.get $n) (i32.const 1)))
               (if (i32.and (global.get $n) (i32.const 1))
                 (then (call {drop} (local.get 0))
                       (i32.store8 (i32.const 16) (i32.const 0))
                       (i32.store (i32.const 20) (call {new} (global.get $n))))
                 (else (i32.store8 (i32.const 16) (i32.const 1))
                       (i32.store (i32.const 20) (local.get 0))
                       (i32.store8 (i32.const 24) (i32.const 2))))
               (i32.const 16)"#
        )
    };
    let (map, unmap) = (swap("$drop-a", "$new-b"), swap("$drop-b", "$new-a"));
    let cases = cases();
    format!(
        r#"(component $implementation{id}
             (type $a' (resource (rep i32)))
             (type $b' (resource (rep i32)))
             (export $a "mappable" (type $a'))
             (export $b "mapping" (type $b'))
             (type $cases (enum {cases}))
             (export $error "map-error" (type $cases))
             (core func $new-a (canon resource.new $a'))
             (core func $new-b (canon resource.new $b'))
             (core func $drop-a (canon resource.drop $a'))
             (core func $drop-b (canon resource.drop $b'))
             (core module $m
               (import "" "new-a" (func $new-a (param i32) (result i32)))
               (import "" "new-b" (func $new-b (param i32) (result i32)))
               (import "" "drop-a" (func $drop-a (param i32)))
               (import "" "drop-b" (func $drop-b (param i32)))
               (memory (export "memory") 8)
               (global $n (mut i32) (i32.const 0))
               (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
               (func (export "granule") (result i32) (i32.const 65536))
               (func (export "make") (result i32) (call $new-a (i32.const 5)))
               (func (export "map") {map})
               (func (export "unmap") {unmap}))
             (core instance $m (instantiate $m (with "" (instance
               (export "new-a" (func $new-a)) (export "new-b" (func $new-b))
               (export "drop-a" (func $drop-a)) (export "drop-b" (func $drop-b))))))
             (func $granule (result u32) (canon lift (core func $m "granule")))
             (func $make (result (own $a)) (canon lift (core func $m "make")))
             (func $map (param "this" (own $a)) (param "at" (list u8))
               (result (result (own $b) (error (tuple (own $a) $error))))
               (canon lift
                 (core func $m "map") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
             (func $unmap (param "this" (own $b)) (param "at" (list u8))
               (result (result (own $a) (error (tuple (own $b) $error))))
               (canon lift
                 (core func $m "unmap") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
             (export "granule" (func $granule))
             (export "make" (func $make))
             (export "{MAP}" (func $map))
             (export "{UNMAP}" (func $unmap)))
           (instance $implementation{id} (instantiate $implementation{id}))"#
    )
}
