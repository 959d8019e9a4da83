//! What a `realloc` has beside functions: context slots of its own, and hardly any built-in that it may call.

use mappable::Runtime;
use wasmtime::component::{Component, Instance};
use wasmtime::{Config, Store};

use crate::support::{Setup, State, Wrong, linker, on_every_setup};

/// `b`'s `put` is given two lists and returns one; `a`'s `run` calls it. Each `realloc`, and `b`'s `post-return`, notes
/// what is in the slots, and a `realloc` then sets them to 77 and 78.
fn context() -> String {
    let part = r#"
      (core func $get0 (canon context.get i32 0)) (core func $get1 (canon context.get i32 1))
      (core func $set0 (canon context.set i32 0)) (core func $set1 (canon context.set i32 1))
      (core instance $slots (export "get0" (func $get0)) (export "get1" (func $get1))
        (export "set0" (func $set0)) (export "set1" (func $set1)))
      (core module $L
        (import "" "get0" (func $get0 (result i32))) (import "" "get1" (func $get1 (result i32)))
        (import "" "set0" (func $set0 (param i32))) (import "" "set1" (func $set1 (param i32)))
        (memory (export "mem") 1)
        (func (export "note") (param $at i32)
          (i32.store (local.get $at) (call $get0)) (i32.store offset=4 (local.get $at) (call $get1)))
        (func (export "set") (param i32 i32) (call $set0 (local.get 0)) (call $set1 (local.get 1)))
        (func (export "word") (param i32) (result i32) (i32.load (local.get 0)))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
          (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
          (i32.store (i32.const 8) (i32.or (i32.load (i32.const 8)) (call $get0)))
          (i32.store (i32.const 12) (i32.or (i32.load (i32.const 12)) (call $get1)))
          (call $set0 (i32.const 77)) (call $set1 (i32.const 78))
          (i32.const 1024)))
      (core instance $l (instantiate $L (with "" (instance $slots))))
      (func (export "word") (param "at" u32) (result u32) (canon lift (core func $l "word")))"#;
    let imports = r#"(import "" "mem" (memory 1)) (import "" "note" (func $note (param i32)))
        (import "" "set" (func $set (param i32 i32)))"#;
    format!(
        r#"(component
          (component $B {part}
            (core module $M {imports}
              (func (export "put") (param i32 i32 i32 i32) (result i32)
                (call $note (i32.const 16)) (call $set (i32.const 88) (i32.const 89))
                (i32.store (i32.const 64) (local.get 0)) (i32.store (i32.const 68) (local.get 1)) (i32.const 64))
              (func (export "post") (param i32) (call $note (i32.const 24))))
            (core instance $m (instantiate $M (with "" (instance $l))))
            (func (export "put") (param "one" (list u8)) (param "two" (list u32)) (result (list u8))
              (canon lift (core func $m "put") (memory $l "mem") (realloc (func $l "realloc"))
                (post-return (func $m "post")))))
          (component $A
            (import "put" (func $put (param "one" (list u8)) (param "two" (list u32)) (result (list u8)))) {part}
            (core func $put (canon lower (func $put) (memory $l "mem") (realloc (func $l "realloc"))))
            (core module $M {imports}
              (import "b" "put" (func $put (param i32 i32 i32 i32 i32)))
              (func (export "run")
                (call $set (i32.const 5) (i32.const 6))
                (call $put (i32.const 0) (i32.const 16) (i32.const 0) (i32.const 16) (i32.const 64))
                (call $note (i32.const 16))))
            (core instance $m (instantiate $M (with "" (instance $l)) (with "b" (instance (export "put" (func $put))))))
            (func (export "run") (canon lift (core func $m "run"))))
          (instance $b (instantiate $B))
          (instance $a (instantiate $A (with "put" (func $b "put"))))
          (export "run" (func $a "run")) (export "a" (func $a "word")) (export "b" (func $b "word")))"#
    )
}

/// Without it there is one context slot, not two.
fn threading() -> Config {
    let mut config = Config::new();
    config.wasm_component_model_threading(true);
    config
}

/// A component, in an engine whose components may be concurrent: no other has built-ins for threads.
struct Compiled {
    runtime: Runtime,
    component: Component,
}

impl Compiled {
    fn new(setup: Setup, mut config: Config, text: &str) -> Self {
        config.concurrency_support(true);
        let runtime = setup.builder(config).build().unwrap();
        let component = runtime.compile(text.as_bytes()).unwrap();
        Self { runtime, component }
    }

    fn instantiate(&self) -> (Store<State>, Instance) {
        let mut store = Store::new(self.runtime.engine(), State::new(&self.runtime));
        let instance = linker(&self.runtime).instantiate(&mut store, &self.component).unwrap();
        (store, instance)
    }
}

on_every_setup! {
    fn a_realloc_has_context_slots_of_its_own(setup) {
        let (mut store, instance) = Compiled::new(setup, threading(), &context()).instantiate();
        let run = instance.get_typed_func::<(), ()>(&mut store, "run").unwrap();
        run.call(&mut store, ()).unwrap();
        let mut words = |name: &str| {
            let word = instance.get_typed_func::<(u32,), (u32,)>(&mut store, name).unwrap();
            [0, 8, 12, 16, 20, 24, 28].map(|at| word.call(&mut store, (at,)).unwrap().0)
        };
        // How often it was called, and what it found; what the caller finds afterwards.
        assert_eq!(words("a"), [1, 0, 0, 5, 6, 0, 0]);
        // What the callee finds, and its `post-return`.
        assert_eq!(words("b"), [2, 0, 0, 0, 0, 88, 89]);
    }
}

/// A built-in, how its core function is called, and what is done with what that returns.
struct Builtin {
    canon: &'static str,
    core: &'static str,
    call: &'static str,
}

const fn builtin(canon: &'static str, core: &'static str, call: &'static str) -> Builtin {
    Builtin { canon, core, call }
}

/// Those that the engine refuses to call in a `realloc`: all that it has, but for [`HARMLESS`]. (It forgets `async`
/// lowers, so at baseline they are called.)
const LEAVING: [Builtin; 40] = [
    builtin("resource.new $own", "(param i32) (result i32)", "drop (call $it (i32.const 3))"),
    builtin("resource.drop $own", "(param i32)", "call $it (global.get $handle)"),
    builtin("task.return", "", "call $it"),
    builtin("task.cancel", "", "call $it"),
    builtin("subtask.drop", "(param i32)", "call $it (i32.const 1)"),
    builtin("subtask.cancel", "(param i32) (result i32)", "drop (call $it (i32.const 1))"),
    builtin("thread.yield", "(result i32)", "drop (call $it)"),
    builtin("thread.index", "(result i32)", "drop (call $it)"),
    builtin(
        "thread.new-indirect $start (table $t)",
        "(param i32 i32) (result i32)",
        "drop (call $it (i32.const 0) (i32.const 0))",
    ),
    builtin("thread.resume-later", "(param i32)", "call $it (i32.const 1)"),
    builtin("thread.suspend", "(result i32)", "drop (call $it)"),
    builtin("thread.suspend-then-resume", "(param i32) (result i32)", "drop (call $it (i32.const 1))"),
    builtin("thread.yield-then-resume", "(param i32) (result i32)", "drop (call $it (i32.const 1))"),
    builtin("thread.suspend-then-promote", "(param i32) (result i32)", "drop (call $it (i32.const 1))"),
    builtin("thread.yield-then-promote", "(param i32) (result i32)", "drop (call $it (i32.const 1))"),
    builtin("waitable-set.new", "(result i32)", "drop (call $it)"),
    builtin(
        "waitable-set.wait (memory $mem)",
        "(param i32 i32) (result i32)",
        "drop (call $it (i32.const 1) (i32.const 0))",
    ),
    builtin(
        "waitable-set.poll (memory $mem)",
        "(param i32 i32) (result i32)",
        "drop (call $it (i32.const 1) (i32.const 0))",
    ),
    builtin("waitable-set.drop", "(param i32)", "call $it (i32.const 1)"),
    builtin("waitable.join", "(param i32 i32)", "call $it (i32.const 1) (i32.const 0)"),
    builtin("stream.new $stream", "(result i64)", "drop (call $it)"),
    builtin(
        "stream.read $stream (memory $mem)",
        "(param i32 i32 i32) (result i32)",
        "drop (call $it (i32.const 1) (i32.const 0) (i32.const 0))",
    ),
    builtin(
        "stream.write $stream (memory $mem)",
        "(param i32 i32 i32) (result i32)",
        "drop (call $it (i32.const 1) (i32.const 0) (i32.const 0))",
    ),
    builtin("stream.cancel-read $stream", "(param i32) (result i32)", "drop (call $it (i32.const 1))"),
    builtin("stream.cancel-write $stream", "(param i32) (result i32)", "drop (call $it (i32.const 1))"),
    builtin("stream.drop-readable $stream", "(param i32)", "call $it (i32.const 1)"),
    builtin("stream.drop-writable $stream", "(param i32)", "call $it (i32.const 1)"),
    builtin("future.new $future", "(result i64)", "drop (call $it)"),
    builtin(
        "future.read $future (memory $mem)",
        "(param i32 i32) (result i32)",
        "drop (call $it (i32.const 1) (i32.const 0))",
    ),
    builtin(
        "future.write $future (memory $mem)",
        "(param i32 i32) (result i32)",
        "drop (call $it (i32.const 1) (i32.const 0))",
    ),
    builtin("future.cancel-read $future", "(param i32) (result i32)", "drop (call $it (i32.const 1))"),
    builtin("future.cancel-write $future", "(param i32) (result i32)", "drop (call $it (i32.const 1))"),
    builtin("future.drop-readable $future", "(param i32)", "call $it (i32.const 1)"),
    builtin("future.drop-writable $future", "(param i32)", "call $it (i32.const 1)"),
    builtin(
        "error-context.new (memory $mem)",
        "(param i32 i32) (result i32)",
        "drop (call $it (i32.const 0) (i32.const 0))",
    ),
    builtin(
        "error-context.debug-message (memory $mem) (realloc $again)",
        "(param i32 i32)",
        "call $it (i32.const 1) (i32.const 0)",
    ),
    builtin("error-context.drop", "(param i32)", "call $it (i32.const 1)"),
    builtin("lower (func $other)", "", "call $it"),
    builtin("resource.drop $others", "(param i32)", "call $it (i32.const 1)"),
    builtin("lower (func $list) (memory $mem) (realloc $again)", "(param i32)", "call $it (i32.const 32)"),
];

/// Those that it allows.
const HARMLESS: [Builtin; 5] = [
    builtin("context.get i32 1", "(result i32)", "drop (call $it)"),
    builtin("context.set i32 1", "(param i32)", "call $it (i32.const 7)"),
    builtin("resource.rep $own", "(param i32) (result i32)", "drop (call $it (global.get $handle))"),
    builtin("backpressure.inc", "", "call $it"),
    builtin("backpressure.dec", "", "call $it"),
];

fn all() -> impl Iterator<Item = &'static Builtin> {
    LEAVING.iter().chain(&HARMLESS)
}

/// `a`'s `send` gives `b` a list, its `fetch` has one of it. Each has a `realloc` that calls one of the built-ins, by
/// number.
fn callers() -> String {
    let each = |text: &dyn Fn(usize, &Builtin) -> String| -> String {
        all().enumerate().map(|(number, it)| text(number, it)).collect()
    };
    let part = format!(
        r#"
      (import "other" (instance $o (export "resource" (type (sub resource))) (export "other" (func))
        (export "list" (func (result (list u8))))))
      (alias export $o "resource" (type $others))
      (alias export $o "other" (func $other)) (alias export $o "list" (func $list))
      (type $own (resource (rep i32))) (type $stream (stream u8)) (type $future (future u8))
      (core type $start (func (param i32)))
      (core module $Mem (memory (export "mem") 1) (table (export "t") 4 funcref)
        (func (export "again") (param i32 i32 i32 i32) (result i32) (i32.const 2048)))
      (core instance $m (instantiate $Mem))
      (alias core export $m "mem" (core memory $mem)) (alias core export $m "t" (core table $t))
      (alias core export $m "again" (core func $again))
      {canons}
      (core func $new (canon resource.new $own))
      (core module $L
        {imports}
        (import "" "new" (func $new (param i32) (result i32))) (import "m" "mem" (memory 1))
        (global $which (mut i32) (i32.const -1)) (global $handle (mut i32) (i32.const 0))
        (func (export "set") (param i32)
          (global.set $which (local.get 0)) (global.set $handle (call $new (i32.const 9))))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) {cases} (i32.const 1024)))
      (core instance $l (instantiate $L (with "m" (instance $m)) (with "" (instance {exports} (export "new" (func $new))))))
      (alias core export $l "realloc" (core func $realloc))
      (func (export "set") (param "which" u32) (canon lift (core func $l "set")))"#,
        canons = each(&|number, it| format!("(core func $f{number} (canon {}))\n", it.canon)),
        imports = each(&|number, it| format!(r#"(import "" "f{number}" (func $f{number} {}))"#, it.core)),
        cases = each(&|number, it| {
            let call = it.call.replace("$it", &format!("$f{number}"));
            format!("(if (i32.eq (global.get $which) (i32.const {number})) (then ({call})))")
        }),
        exports = each(&|number, _| format!(r#"(export "f{number}" (func $f{number}))"#)),
    );
    format!(
        r#"(component
          (component $C
            (type $own' (resource (rep i32))) (export $own "resource" (type $own'))
            (core module $M (memory (export "mem") 1) (func (export "other")) (func (export "list") (result i32) (i32.const 8)))
            (core instance $m (instantiate $M))
            (func (export "other") (canon lift (core func $m "other")))
            (func (export "list") (result (list u8)) (canon lift (core func $m "list") (memory $m "mem"))))
          (component $B {part}
            (core module $P (func (export "put") (param i32 i32)) (func (export "get") (result i32) (i32.const 64)))
            (core instance $p (instantiate $P))
            (func (export "put") (param "list" (list u8)) (canon lift (core func $p "put") (memory $mem) (realloc $realloc)))
            (func (export "get") (result (list u8)) (canon lift (core func $p "get") (memory $mem))))
          (component $A {part}
            (import "put" (func $put (param "list" (list u8)))) (import "get" (func $get (result (list u8))))
            (core func $put (canon lower (func $put) (memory $mem)))
            (core func $get (canon lower (func $get) (memory $mem) (realloc $realloc)))
            (core module $P
              (import "" "put" (func $put (param i32 i32))) (import "" "get" (func $get (param i32)))
              (func (export "send") (call $put (i32.const 0) (i32.const 16)))
              (func (export "fetch") (call $get (i32.const 64))))
            (core instance $p (instantiate $P (with "" (instance (export "put" (func $put)) (export "get" (func $get))))))
            (func (export "send") (canon lift (core func $p "send"))) (func (export "fetch") (canon lift (core func $p "fetch"))))
          (instance $c (instantiate $C))
          (instance $b (instantiate $B (with "other" (instance $c))))
          (instance $a (instantiate $A (with "other" (instance $c)) (with "put" (func $b "put")) (with "get" (func $b "get"))))
          (export "send" (func $a "send")) (export "fetch" (func $a "fetch"))
          (export "set-a" (func $a "set")) (export "set-b" (func $b "set")))"#
    )
}

on_every_setup! {
    fn a_realloc_may_call_no_built_in_but_a_few(setup) {
        let mut config = threading();
        config.wasm_component_model_more_async_builtins(true).wasm_component_model_async_stackful(true);
        config.wasm_component_model_error_context(true);
        let compiled = Compiled::new(setup, config, &callers());
        for (number, it) in all().enumerate() {
            for (set, run) in [("set-a", "fetch"), ("set-b", "send")] {
                let (mut store, instance) = compiled.instantiate();
                let set = instance.get_typed_func::<(u32,), ()>(&mut store, set).unwrap();
                let run = instance.get_typed_func::<(), ()>(&mut store, run).unwrap();
                run.call(&mut store, ()).unwrap();
                set.call(&mut store, (number as u32,)).unwrap();
                let result = run.call(&mut store, ());
                if number < LEAVING.len() {
                    let error = result.expect_err(it.canon);
                    assert!(setup.tells(Wrong::CannotLeave, &error), "{}: {error:?}", it.canon);
                } else if let Err(error) = result {
                    // There is no pressure to take back, which is another trap.
                    assert!(it.canon == "backpressure.dec" && !setup.tells(Wrong::CannotLeave, &error), "{error:?}");
                }
            }
        }
    }
}
