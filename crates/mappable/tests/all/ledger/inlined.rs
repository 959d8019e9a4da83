//! What a trap's backtrace loses where the engine inlines calls between core modules, which an embedder can ask for.

use wasmtime::{Inlining, Trap, WasmBacktrace};

use super::Party;
use crate::support::{Fixture, Setup, on_every_setup};

/// `b` takes a list, and traps by itself if it is empty, or in another function of its own.
const TEXT: &str = r#"(component
  (component $b
    (core module $code
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
      (func $inner unreachable)
      (func $taken (export "take") (param i32 i32)
        (if (i32.eqz (local.get 1)) (then unreachable))
        (call $inner)))
    (core instance $code (instantiate $code))
    (func (export "take") (param "list" (list u8))
      (canon lift (core func $code "take") (memory $code "memory") (realloc (func $code "realloc")))))
  (component $a
    (import "take" (func $take (param "list" (list u8))))
    (core module $memory (memory (export "memory") 1))
    (core instance $memory (instantiate $memory))
    (core func $take' (canon lower (func $take) (memory $memory "memory")))
    (core module $code
      (import "b" "take" (func $take (param i32 i32)))
      (func $caller (export "run") (param i32) (result i32)
        (call $take (i32.const 0) (local.get 0))
        (i32.const 0)))
    (core instance $code (instantiate $code (with "b" (instance (export "take" (func $take'))))))
    (func (export "run") (param "len" u32) (result u32) (canon lift (core func $code "run"))))
  (instance $b (instantiate $b))
  (instance $a (instantiate $a (with "take" (func $b "take"))))
  (export "a" (instance $a)))"#;

/// The guests' functions in the backtrace of a trap, and whether it is known where in each, with a list of that length.
fn frames(setup: Setup, inlining: Inlining, len: u32) -> Vec<(String, bool)> {
    let mut config = setup.config();
    config.compiler_inlining(inlining);
    let fixture: &Fixture = Box::leak(Box::new(Fixture::new(setup, setup.runtime_with(config))));
    let mut world = fixture.world();
    let [a] = Party::all(&mut world, TEXT, ["a"]);
    let error = a.call::<_, u32>(&mut world, "run", (len,)).unwrap_err();
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::UnreachableCodeReached), "{error:?}");
    let frames = error.downcast_ref::<WasmBacktrace>().unwrap().frames();
    let guests = ["inner", "taken", "caller"];
    frames
        .iter()
        .filter_map(|frame| Some((frame.func_name()?.to_owned(), frame.func_offset().is_some())))
        .filter(|(name, _)| guests.contains(&name.as_str()))
        .collect()
}

on_every_setup! {
    fn a_backtrace_loses_the_function_that_was_inlined_and_no_other(setup) {
        let is = |len: u32, inlining: Inlining, expected: &[(&str, bool)]| {
            let expected: Vec<_> = expected.iter().map(|(name, known)| ((*name).to_owned(), *known)).collect();
            assert_eq!(frames(setup, inlining, len), expected, "a list of {len} bytes, {inlining:?}");
        };
        is(0, Inlining::No, &[("taken", true), ("caller", true)]);
        is(1, Inlining::No, &[("inner", true), ("taken", true), ("caller", true)]);
        // What was called has become a part of who called it, which is in the other component; calls within one core module
        // stay. Where in a function that is, isn't known then, by which the two can be told apart.
        is(0, Inlining::InterModule, &[("caller", false)]);
        is(1, Inlining::InterModule, &[("inner", true), ("caller", false)]);
    }
}
