//! Lists of plain data among parameters that don't fit in registers: they arrive whole, whatever the receiver's `realloc` does
//! to its own memory meanwhile, and what is wrong traps.

use wasmtime::component::Val;

use super::within::{FAR, LENGTHS, LONG, OUT_OF_BOUNDS, WRONG_CASE, bytes, some, words};
use crate::support::{Setup, World, on_every_setup, trapped};

/// The receiver's `realloc`, from the second time on, says of its parameters that there is no list in the option ...
const NO_LIST: u32 = 10;
/// ... or that the other list is somewhere else, and long.
const FORGES: u32 = 11;
/// The sender's area is not all in its memory.
const BAD_AREA: u32 = 12;

/// `a` passes `b` fourteen words, an option of a list, another list and what more is `beside` them; it gives back the lists.
fn composition(setup: Setup, beside: &str) -> String {
    let words = r#"(param "w" (tuple u32 u32 u32 u32 u32 u32 u32 u32 u32 u32 u32 u32 u32 u32))"#;
    let lists = "(tuple (option (list u8)) (list u32))";
    let heap = format!(
        r#"(memory (export "m") {memory})
        (global $heap (mut i32) (i32.const 65536)) (global $mode (export "mode") (mut i32) (i32.const 0))
        (global $calls (mut i32) (i32.const 0))
        (func (export "set") (param i32) (global.set $mode (local.get 0)))
        (func (export "done") (param i32) (global.set $heap (i32.const 65536)) (global.set $calls (i32.const 0)))
        (func (export "realloc") (param $old i32) (param $len i32) (param $align i32) (param $size i32) (result i32)
          (local $at i32)
          (if (global.get $calls) (then
            (if (i32.eq (global.get $mode) (i32.const {NO_LIST})) (then (i32.store (i32.const {option}) (i32.const 0))))
            (if (i32.eq (global.get $mode) (i32.const {FORGES})) (then
              (i32.store (i32.const {list}) (i32.const 0)) (i32.store (i32.const {len}) (i32.const 70000))))
            (if (i32.eq (global.get $mode) (i32.const {OUT_OF_BOUNDS})) (then (return (i32.const -64))))))
          (global.set $calls (i32.const 1))
          (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
          (global.set $heap (i32.add (local.get $at) (local.get $size)))
          (local.get $at))"#,
        memory = setup.memory(),
        option = 65536 + 56,
        list = 65536 + 68,
        len = 65536 + 72,
    );
    let params = format!(r#"{words} (param "l" {lists}) {beside}"#);
    format!(
        r#"(component
          (component $B
            (core module $M {heap}
              (func (export "echo") (param $at i32) (result i32) (local $word i32)
                (loop $next
                  (if (i32.ne (local.get $word) (i32.load (i32.add (local.get $at) (i32.shl (local.get $word) (i32.const 2)))))
                    (then unreachable))
                  (br_if $next (i32.lt_u (local.tee $word (i32.add (local.get $word) (i32.const 1))) (i32.const 14))))
                (i32.add (local.get $at) (i32.const 56))))
            (core instance $m (instantiate $M))
            (func (export "echo") {params} (result {lists}) (canon lift (core func $m "echo")
              (memory $m "m") (realloc (func $m "realloc")) (post-return (func $m "done"))))
            (func (export "set") (param "mode" u32) (canon lift (core func $m "set"))))
          (component $A
            (import "echo" (func $echo {params} (result {lists})))
            (core module $H {heap})
            (core instance $h (instantiate $H))
            (core func $echo (canon lower (func $echo) (memory $h "m") (realloc (func $h "realloc"))))
            (core module $M
              (import "" "m" (memory 1)) (import "" "mode" (global $mode (mut i32)))
              (import "" "echo" (func $echo (param i32 i32)))
              (func (export "pass") (param $tag i32) (param $at i32) (param $len i32) (param $at2 i32) (param $len2 i32)
                (result i32) (local $word i32) (local $area i32)
                (local.set $area (i32.const 1024))
                (loop $next
                  (i32.store offset=1024 (i32.shl (local.get $word) (i32.const 2)) (local.get $word))
                  (br_if $next (i32.lt_u (local.tee $word (i32.add (local.get $word) (i32.const 1))) (i32.const 14))))
                (if (i32.eq (global.get $mode) (i32.const {WRONG_CASE})) (then (local.set $tag (i32.const 9))))
                (if (i32.eq (global.get $mode) (i32.const {FAR})) (then (local.set $at2 (i32.const -16))))
                (if (i32.eq (global.get $mode) (i32.const {LONG})) (then (local.set $len2 (i32.const 0x7fffffff))))
                (if (i32.eq (global.get $mode) (i32.const {BAD_AREA}))
                  (then (local.set $area (i32.sub (i32.shl (memory.size) (i32.const 16)) (i32.const 64)))))
                (i32.store offset=1080 (i32.const 0) (local.get $tag))
                (i32.store offset=1084 (i32.const 0) (local.get $at)) (i32.store offset=1088 (i32.const 0) (local.get $len))
                (i32.store offset=1092 (i32.const 0) (local.get $at2)) (i32.store offset=1096 (i32.const 0) (local.get $len2))
                (call $echo (local.get $area) (i32.const 2048))
                (i32.const 2048)))
            (core instance $m (instantiate $M (with "" (instance (export "m" (memory $h "m"))
              (export "echo" (func $echo)) (export "mode" (global $h "mode"))))))
            (func (export "pass") (param "l" {lists}) (result {lists}) (canon lift (core func $m "pass")
              (memory $h "m") (realloc (func $h "realloc")) (post-return (func $h "done"))))
            (func (export "set") (param "mode" u32) (canon lift (core func $h "set"))))
          (instance $b (instantiate $B))
          (instance $a (instantiate $A (with "echo" (func $b "echo"))))
          (export "pass" (func $a "pass")) (export "set-a" (func $a "set")) (export "set-b" (func $b "set")))"#,
    )
}

struct Scene(World, wasmtime::component::Instance);

impl Scene {
    fn new(setup: Setup, who: &str, mode: u32) -> Self {
        Self::beside(setup, "", who, mode)
    }

    fn beside(setup: Setup, beside: &str, who: &str, mode: u32) -> Self {
        let mut world = World::new(setup);
        let component = world.fixture.compile_as_is(&composition(setup, beside));
        let instance = world.instantiate(&component);
        let mut scene = Scene(world, instance);
        scene.call(who, Val::U32(mode), 0).unwrap();
        scene
    }

    fn call(&mut self, name: &str, value: Val, results: usize) -> wasmtime::Result<Val> {
        let mut out = vec![Val::Bool(false); results.max(1)];
        let func = self.1.get_func(&mut self.0.store, name).unwrap();
        func.call(&mut self.0.store, &[value], &mut out[..results])?;
        Ok(out.swap_remove(0))
    }

    fn pass(&mut self, first: Val, second: Val) -> wasmtime::Result<Val> {
        self.call("pass", Val::Tuple(vec![first, second]), 1)
    }

    #[track_caller]
    fn comes_back(&mut self, first: Val, second: Val) {
        let back = self.pass(first.clone(), second.clone()).unwrap();
        assert!(back == Val::Tuple(vec![first, second]), "it came back as {back:?}");
    }
}

on_every_setup! {
    fn lists_among_spilled_parameters_come_back_whole(setup) {
        // Also beside a string, which is nothing: the engine looks at it.
        for beside in ["", r#"(param "s" string)"#] {
            let mut scene = Scene::beside(setup, beside, "set-a", 0);
            for len in LENGTHS {
                scene.comes_back(some(bytes(len)), words(len / 3));
                scene.comes_back(Val::Option(None), words(len));
            }
        }
    }

    fn what_a_realloc_writes_over_spilled_parameters_harms_nobody_else(setup) {
        for len in [5, 64, 4000] {
            // Whoever passes them has said where they are, and the receiver has no say in that.
            Scene::new(setup, "set-b", FORGES).comes_back(some(bytes(len)), words(len));
            // The engine's adapters write the case behind the call of `realloc`; ours read it in front, or trap.
            if let Ok(back) = Scene::new(setup, "set-b", NO_LIST).pass(some(bytes(len)), words(len)) {
                let Val::Tuple(back) = back else { panic!("{back:?}") };
                let list = [some(bytes(len)), Val::Option(None)];
                assert!(list.contains(&back[0]) && back[1] == words(len), "{back:?}");
            }
        }
    }

    fn what_is_wrong_among_spilled_parameters_traps(setup) {
        for mode in [WRONG_CASE, FAR, LONG, BAD_AREA] {
            trapped(Scene::new(setup, "set-a", mode).pass(some(bytes(9)), words(9)));
        }
        for len in [1, 64, 4096] {
            trapped(Scene::new(setup, "set-b", OUT_OF_BOUNDS).pass(some(bytes(len)), words(len)));
        }
    }
}
