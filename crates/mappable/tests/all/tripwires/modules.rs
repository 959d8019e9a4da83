//! Components of more core modules than the engine's alias regions can tell apart.

use std::fmt::Write as _;

use super::*;

/// Regions of up to so many modules have keys of their own (`MODULE_BITS` in `alias_region.rs` of
/// wasmtime-internal-cranelift). The next ones share them, and an engine with debug assertions panics.
const TOLD_APART: usize = 256;

/// Each module keeps its number in a memory, a global and a table, and asks the one before it between writing and reading.
fn chain(modules: usize) -> String {
    let mut text = String::from("(component");
    for number in 0..modules {
        let (import, with, before) = match number {
            0 => (String::new(), String::new(), "(i32.const 0)".to_owned()),
            _ => (
                r#"(import "" "sum" (func $before (result i32)))"#.to_owned(),
                format!(r#"(with "" (instance $i{}))"#, number - 1),
                "(call $before)".to_owned(),
            ),
        };
        write!(
            text,
            r#"(core module $m{number} {import}
                (memory 1) (global $g (mut i32) (i32.const 0)) (table $t funcref (elem $number))
                (type $number (func (result i32)))
                (func $number (result i32) (i32.const {number}))
                (func (export "sum") (result i32)
                    (local $sum i32)
                    (i32.store (i32.const 0) (i32.const {number}))
                    (global.set $g (i32.const {number}))
                    (local.set $sum {before})
                    (i32.add (local.get $sum)
                        (i32.add (i32.load (i32.const 0))
                            (i32.add (global.get $g) (call_indirect $t (type $number) (i32.const 0)))))))
            (core instance $i{number} (instantiate $m{number} {with}))"#
        )
        .unwrap();
    }
    write!(text, r#"(func (export "sum") (result u32) (canon lift (core func $i{} "sum"))))"#, modules - 1).unwrap();
    text
}

#[test]
fn modules_past_those_that_alias_analysis_tells_apart_keep_their_own_values() {
    let modules = 2 * TOLD_APART + 10;
    let engine = Engine::default();
    let component = Component::new(&engine, chain(modules)).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
    let sum = instance.get_typed_func::<(), (u32,)>(&mut store, "sum").unwrap();
    let all: usize = (0..modules).sum();
    assert_eq!(sum.call(&mut store, ()).unwrap(), (3 * all as u32,));
}
