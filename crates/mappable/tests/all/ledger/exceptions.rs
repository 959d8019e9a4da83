//! What a guest throws from where another component's call, or the engine, has it run.

use wasmtime::Trap;

use super::Party;
use crate::support::{Setup, World, on_every_setup};

/// `b` has no canonical function but lifts, so nothing guards its `realloc` and `post-return`. One of them throws. `a` would
/// catch it.
fn composition(realloc: &str, post_return: &str) -> String {
    format!(
        r#"(component
  (component $b
    (core module $code (memory (export "memory") 2) (tag $tag)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc})
      (func (export "take") (param i32 i32))
      (func (export "give") (param $len i32) (result i32)
        (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (local.get $len)) (i32.const 0))
      (func (export "post-return") (param i32) {post_return}))
    (core instance $code (instantiate $code))
    (func (export "take") (param "list" (list u8))
      (canon lift (core func $code "take") (memory $code "memory") (realloc (func $code "realloc"))))
    (func (export "give") (param "len" u32) (result (list u8))
      (canon lift (core func $code "give") (memory $code "memory") (realloc (func $code "realloc"))
        (post-return (func $code "post-return")))))
  (component $a
    (import "take" (func $take (param "list" (list u8))))
    (import "give" (func $give (param "len" u32) (result (list u8))))
    (core module $memory (memory (export "memory") 2)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
    (core instance $memory (instantiate $memory))
    (core func $take' (canon lower (func $take) (memory $memory "memory")))
    (core func $give' (canon lower (func $give) (memory $memory "memory") (realloc (func $memory "realloc"))))
    (core module $code
      (import "b" "take" (func $take (param i32 i32)))
      (import "b" "give" (func $give (param i32 i32)))
      (func (export "run") (param $len i32) (result i32)
        (block $caught
          (try_table (catch_all $caught)
            (call $take (i32.const 64) (local.get $len))
            (call $give (local.get $len) (i32.const 16)))
          (return (i32.const 0)))
        (i32.const 1)))
    (core instance $code (instantiate $code
      (with "b" (instance (export "take" (func $take')) (export "give" (func $give'))))))
    (func (export "run") (param "len" u32) (result u32) (canon lift (core func $code "run"))))
  (instance $b (instantiate $b))
  (instance $a (instantiate $a (with "take" (func $b "take")) (with "give" (func $b "give"))))
  (export "a" (instance $a)))"#
    )
}

on_every_setup! {
    fn nobody_catches_what_anothers_realloc_or_post_return_throws(setup) {
        let (fine, throws) = ("(i32.const 1024)", "(throw $tag)");
        for (realloc, post_return) in [(throws, ""), (fine, throws)] {
            for len in [8_u32, 100, 5000] {
                let mut world = World::new(setup);
                let [a] = Party::all(&mut world, &composition(realloc, post_return), ["a"]);
                let error = a.call::<_, u32>(&mut world, "run", (len,)).unwrap_err();
                let text = format!("{error:#}");
                assert!(error.is::<Trap>() || text.contains("uncaught exception"), "{len}: {text}");
                // The store's components can't be called again.
                assert!(a.call::<_, u32>(&mut world, "run", (0_u32,)).is_err(), "{len}");
            }
        }
        // What the throw stands for is fine by itself.
        let mut world = World::new(setup);
        let [a] = Party::all(&mut world, &composition(fine, ""), ["a"]);
        assert_eq!(a.call::<_, u32>(&mut world, "run", (5000_u32,)).unwrap(), 0);
    }
}
