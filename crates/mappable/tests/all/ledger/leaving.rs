//! What a `post-return` may do while a result is on its way: the engine lets it call out, where the canonical ABI does
//! not.

use std::sync::{Arc, Mutex};

use super::Party;
use crate::support::{Setup, World, Wrong, on_every_setup, wrong};

/// The component `$A`, whose `get` returns the first byte of the list that it gets.
macro_rules! reader {
    () => {
        r#"  (component $A
    (import "get" (func $get (result (list u8))))
    (core module $L (memory (export "mem") 1) (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
    (core instance $l (instantiate $L))
    (core func $get (canon lower (func $get) (memory $l "mem") (realloc (func $l "realloc"))))
    (core module $M (import "" "get" (func $get (param i32))) (import "" "mem" (memory 1))
      (func (export "get") (result i32) (call $get (i32.const 8)) (i32.load8_u (i32.const 64))))
    (core instance $m (instantiate $M (with "" (instance
      (export "get" (func $get)) (export "mem" (memory $l "mem"))))))
    (func (export "get") (result u32) (canon lift (core func $m "get"))))
"#
    };
}

/// `y` has a secret, which `x` asks for when it is called. `b` returns a list of as many bytes, and its `post-return`
/// calls `x`. `a` says what the first byte was of the list that it got.
const TREE: &str = concat!(
    r#"(component
  (component $Y
    (core module $M (memory (export "mem") 1) (data (i32.const 64) "YYYYYYYYYYYYYYYY")
      (func (export "secret") (result i32)
        (i32.store (i32.const 8) (i32.const 64)) (i32.store (i32.const 12) (i32.const 16)) (i32.const 8)))
    (core instance $m (instantiate $M))
    (func (export "secret") (result (list u8)) (canon lift (core func $m "secret") (memory $m "mem"))))
  (component $X
    (import "secret" (func $secret (result (list u8))))
    (core module $L (memory (export "mem") 1) (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
    (core instance $l (instantiate $L))
    (core func $secret (canon lower (func $secret) (memory $l "mem") (realloc (func $l "realloc"))))
    (core module $M (import "" "secret" (func $secret (param i32))) (func (export "poke") (call $secret (i32.const 8))))
    (core instance $m (instantiate $M (with "" (instance (export "secret" (func $secret))))))
    (func (export "poke") (canon lift (core func $m "poke"))))
  (component $B
    (import "poke" (func $poke))
    (core func $poke (canon lower (func $poke)))
    (core module $M (import "" "poke" (func $poke)) (memory (export "mem") 1) (data (i32.const 64) "BBBBBBBBBBBBBBBB")
      (global $pokes (mut i32) (i32.const 0))
      (func (export "set") (param i32) (global.set $pokes (local.get 0)))
      (func (export "get") (result i32)
        (i32.store (i32.const 8) (i32.const 64)) (i32.store (i32.const 12) (i32.const 16)) (i32.const 8))
      (func (export "post") (param i32) (if (global.get $pokes) (then (call $poke)))))
    (core instance $m (instantiate $M (with "" (instance (export "poke" (func $poke))))))
    (func (export "set") (param "on" u32) (canon lift (core func $m "set")))
    (func (export "get") (result (list u8))
      (canon lift (core func $m "get") (memory $m "mem") (post-return (func $m "post")))))
"#,
    reader!(),
    r#"  (instance $y (instantiate $Y))
  (instance $x (instantiate $X (with "secret" (func $y "secret"))))
  (instance $b (instantiate $B (with "poke" (func $x "poke"))))
  (instance $a (instantiate $A (with "get" (func $b "get"))))
  (instance $ea (export "get" (func $a "get"))) (export "a" (instance $ea))
  (instance $eb (export "set" (func $b "set"))) (export "b" (instance $eb)))"#
);

/// `b` returns a list, and its `post-return` calls the host. `a` says what the first byte was of the list that it got.
const CALLS_HOST: &str = concat!(
    r#"(component
  (import "test:host/env" (instance $env (export "call-back" (func))))
  (alias export $env "call-back" (func $call-back))
  (component $B
    (import "call-back" (func $call-back))
    (core func $call-back (canon lower (func $call-back)))
    (core module $M (import "" "call-back" (func $call-back)) (memory (export "mem") 1)
      (data (i32.const 64) "BBBBBBBBBBBBBBBB")
      (func (export "get") (result i32)
        (i32.store (i32.const 8) (i32.const 64)) (i32.store (i32.const 12) (i32.const 16)) (i32.const 8))
      (func (export "post") (param i32) (call $call-back)))
    (core instance $m (instantiate $M (with "" (instance (export "call-back" (func $call-back))))))
    (func (export "get") (result (list u8))
      (canon lift (core func $m "get") (memory $m "mem") (post-return (func $m "post")))))
"#,
    reader!(),
    r#"  (instance $b (instantiate $B (with "call-back" (func $call-back))))
  (instance $a (instantiate $A (with "get" (func $b "get"))))
  (instance $ea (export "get" (func $a "get"))) (export "a" (instance $ea)))"#
);

/// `x` passes a list that is there, and one that is not aligned, among parameters that don't fit in registers.
const TRAPS: &str = r#"(component
  (component $Y
    (core module $M (memory (export "mem") 1) (func (export "take") (param i32))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
    (core instance $m (instantiate $M))
    (func (export "take") (param "n" (tuple u64 u64 u64 u64 u64 u64 u64 u64)) (param "m" (tuple u64 u64 u64 u64 u64 u64))
      (param "l" (tuple (list u8) (list u16)))
      (canon lift (core func $m "take") (memory $m "mem") (realloc (func $m "realloc")))))
  (component $X
    (import "take" (func $take
      (param "n" (tuple u64 u64 u64 u64 u64 u64 u64 u64)) (param "m" (tuple u64 u64 u64 u64 u64 u64))
      (param "l" (tuple (list u8) (list u16)))))
    (core module $L (memory (export "mem") 1) (data (i32.const 64) "XXXXXXXXXXXXXXXX"))
    (core instance $l (instantiate $L))
    (core func $take (canon lower (func $take) (memory $l "mem")))
    (core module $M (import "" "take" (func $take (param i32))) (import "" "mem" (memory 1))
      (func (export "go")
        (i32.store (i32.const 368) (i32.const 64)) (i32.store (i32.const 372) (i32.const 16))
        (i32.store (i32.const 376) (i32.const 1)) (i32.store (i32.const 380) (i32.const 1))
        (call $take (i32.const 256))))
    (core instance $m (instantiate $M (with "" (instance
      (export "take" (func $take)) (export "mem" (memory $l "mem"))))))
    (func (export "go") (canon lift (core func $m "go"))))
  (instance $y (instantiate $Y))
  (instance $x (instantiate $X (with "take" (func $y "take"))))
  (instance $ex (export "go" (func $x "go"))) (export "x" (instance $ex)))"#;

on_every_setup! {
    fn a_host_that_swallows_a_trap_amid_lists_changes_nothing_that_is_returned(setup) {
        let mut world = World::new(setup);
        let [x] = Party::all(&mut world, TRAPS, ["x"]);
        let [a] = Party::all(&mut world, CALLS_HOST, ["a"]);
        let go = x.0.func(&mut world, "go").typed::<(), ()>(&*world).unwrap();
        let error = Arc::new(Mutex::new(None));
        let seen = Arc::clone(&error);
        world.data_mut().call_back = Some(Box::new(move |mut store| {
            *seen.lock().unwrap() = go.call(&mut store, ()).err();
            Ok(())
        }));
        match a.call::<_, u32>(&mut world, "get", ()) {
            Ok(first) => assert_eq!(first, u32::from(b'B')),
            answer => wrong(setup, answer, &[Wrong::Interrupted]),
        }
        let error = error.lock().unwrap().take().unwrap();
        assert!(setup.tells(Wrong::Misaligned, &error), "{error:?}");
    }

    fn a_post_return_that_has_others_pass_lists_changes_nothing_that_is_returned(setup) {
        let mut world = World::new(setup);
        let [a, b] = Party::all(&mut world, TREE, ["a", "b"]);
        assert_eq!(a.call::<_, u32>(&mut world, "get", ()).unwrap(), u32::from(b'B'));
        b.0.run(&mut world.store, "set", (1u32,)).unwrap();
        match a.call::<_, u32>(&mut world, "get", ()) {
            Ok(first) => assert_eq!(first, u32::from(b'B')),
            answer => wrong(setup, answer, &[Wrong::Interrupted]),
        }
    }
}
