//! Lists of plain data within options, results, records, tuples and variants, from one component to another and back: what
//! the host gives comes back whole, and what is wrong traps.

use wasmtime::component::Val;

use crate::support::{Setup, World, on_every_setup, trapped};

/// A type whose parts are all words, one behind the other both as parameters and in memory.
pub(super) struct Shape {
    /// The types that have names, and what they are.
    pub(super) names: &'static [(&'static str, &'static str)],
    /// What components pass to one another.
    pub(super) inner: &'static str,
    /// What the host passes to the first: of the same form, without names.
    pub(super) outer: &'static str,
    pub(super) words: u32,
    /// Which word is a list's pointer.
    pub(super) list: u32,
}

const OPTION: Shape = Shape { names: &[], inner: "(option (list u8))", outer: "(option (list u8))", words: 3, list: 1 };
const RESULT: Shape = Shape {
    names: &[],
    inner: "(result (list u32) (error string))",
    outer: "(result (list u32) (error string))",
    words: 3,
    list: 1,
};
const ENUM: Shape = Shape {
    names: &[("e", r#"(enum "a" "b" "c" "d" "e")"#)],
    inner: "(result (list u8) (error $e))",
    outer: "(result (list u8) (error u8))",
    words: 3,
    list: 1,
};
const RECORD: Shape = Shape {
    names: &[("r", r#"(record (field "number" u32) (field "list" (list u8)))"#)],
    inner: "$r",
    outer: "(tuple u32 (list u8))",
    words: 3,
    list: 1,
};
const VARIANT: Shape = Shape {
    names: &[("v", r#"(variant (case "none") (case "list" (list u8)) (case "number" u32))"#)],
    inner: "$v",
    outer: "(tuple u32 (list u8))",
    words: 3,
    list: 1,
};
const EITHER: Shape = Shape {
    names: &[],
    inner: "(result (list u8) (error (list u32)))",
    outer: "(result (list u8) (error (list u32)))",
    words: 3,
    list: 1,
};
const DEEP: Shape = Shape {
    names: &[],
    inner: "(option (option (list u16)))",
    outer: "(option (option (list u16)))",
    words: 4,
    list: 2,
};
const SEVERAL: Shape = Shape {
    names: &[],
    inner: "(tuple (option (list u8)) (list u32) string)",
    outer: "(tuple (option (list u8)) (list u32) string)",
    words: 7,
    list: 1,
};

/// What the first component does to what it passes, by number; the second to a word of what it returns.
pub(super) const WRONG_CASE: u32 = 1;
pub(super) const FAR: u32 = 2;
pub(super) const LONG: u32 = 3;
/// Its `realloc` says of each result that there is no list in it.
pub(super) const TAMPERS: u32 = 4;
/// A component's `realloc` gives room where there is none.
pub(super) const OUT_OF_BOUNDS: u32 = 5;
/// The second component returns another case than it was given, or another first word of its payload.
pub(super) const RETURNS_NO_CASE: u32 = 6;
pub(super) const RETURNS_NO_CHAR: u32 = 7;

/// `a` passes what it is given to `b`, and gives back what that gives it.
fn composition(setup: Setup, shape: &Shape) -> String {
    let Shape { names, inner, outer, words, list } = shape;
    let each = |text: &dyn Fn(&str, &str) -> String| names.iter().map(|(name, ty)| text(name, ty)).collect::<String>();
    let exports = each(&|name, ty| format!(r#"(type ${name}' {ty}) (export ${name} "{name}" (type ${name}'))"#));
    let imports = each(&|name, ty| format!(r#"(type ${name}' {ty}) (import "{name}" (type ${name} (eq ${name}')))"#));
    let with = each(&|name, _| format!(r#"(with "{name}" (type $b "{name}"))"#));
    let params = "i32 ".repeat(*words as usize);
    let gets = (0..*words).map(|word| format!("(local.get {word}) ")).collect::<String>();
    let stores = (0..*words).map(|word| format!("(i32.store offset={} (i32.const 1024) (local.get {word}))", 4 * word));
    let stores = stores.collect::<String>();
    let heap = format!(
        r#"(memory (export "m") {memory})
        (global $heap (mut i32) (i32.const 65536)) (global $mode (export "mode") (mut i32) (i32.const 0))
        (func (export "set") (param i32) (global.set $mode (local.get 0)))
        (func (export "done") (param i32) (global.set $heap (i32.const 65536)))
        (func (export "realloc") (param $old i32) (param $len i32) (param $align i32) (param $size i32) (result i32)
          (local $at i32)
          (if (i32.eq (global.get $mode) (i32.const {TAMPERS})) (then (i32.store (i32.const 2048) (i32.const 0))))
          (if (i32.eq (global.get $mode) (i32.const {OUT_OF_BOUNDS})) (then (return (i32.const -64))))
          (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
          (global.set $heap (i32.add (local.get $at) (local.get $size)))
          (local.get $at))"#,
        memory = setup.memory(),
    );
    format!(
        r#"(component
          (component $B
            (core module $M {heap} (func (export "echo") (param {params}) (result i32)
              (if (i32.eq (global.get $mode) (i32.const {WRONG_CASE})) (then (local.set {list} (i32.const 9))))
              (if (i32.eq (global.get $mode) (i32.const {RETURNS_NO_CASE})) (then (local.set 0 (i32.const 9))))
              (if (i32.eq (global.get $mode) (i32.const {RETURNS_NO_CHAR})) (then (local.set 1 (i32.const 0xd800))))
              {stores} (i32.const 1024)))
            (core instance $m (instantiate $M))
            {exports}
            (func (export "echo") (param "v" {inner}) (result {inner}) (canon lift (core func $m "echo")
              (memory $m "m") (realloc (func $m "realloc")) (post-return (func $m "done"))))
            (func (export "set") (param "mode" u32) (canon lift (core func $m "set"))))
          (component $A
            {imports}
            (import "echo" (func $echo (param "v" {inner}) (result {inner})))
            (core module $H {heap})
            (core instance $h (instantiate $H))
            (core func $echo (canon lower (func $echo) (memory $h "m") (realloc (func $h "realloc"))))
            (core module $M
              (import "" "echo" (func $echo (param {params} i32))) (import "" "mode" (global $mode (mut i32)))
              (func (export "pass") (param {params}) (result i32)
                (if (i32.eq (global.get $mode) (i32.const {WRONG_CASE})) (then (local.set 0 (i32.const 9))))
                (if (i32.eq (global.get $mode) (i32.const {FAR})) (then (local.set {list} (i32.const -16))))
                (if (i32.eq (global.get $mode) (i32.const {LONG})) (then (local.set {len} (i32.const 0x7fffffff))))
                (call $echo {gets} (i32.const 2048))
                (i32.const 2048)))
            (core instance $m (instantiate $M (with "" (instance
              (export "echo" (func $echo)) (export "mode" (global $h "mode"))))))
            (func (export "pass") (param "v" {outer}) (result {outer}) (canon lift (core func $m "pass")
              (memory $h "m") (realloc (func $h "realloc")) (post-return (func $h "done"))))
            (func (export "set") (param "mode" u32) (canon lift (core func $h "set"))))
          (instance $b (instantiate $B))
          (instance $a (instantiate $A {with} (with "echo" (func $b "echo"))))
          (export "pass" (func $a "pass")) (export "set-a" (func $a "set")) (export "set-b" (func $b "set")))"#,
        len = list + 1,
    )
}

pub(super) struct Scene(World, wasmtime::component::Instance);

impl Scene {
    pub(super) fn new(setup: Setup, shape: &Shape) -> Self {
        let mut world = World::new(setup);
        let component = world.fixture.compile_as_is(&composition(setup, shape));
        let instance = world.instantiate(&component);
        Scene(world, instance)
    }

    fn call(&mut self, name: &str, value: Val, results: usize) -> wasmtime::Result<Val> {
        let mut out = vec![Val::Bool(false); results.max(1)];
        let func = self.1.get_func(&mut self.0.store, name).unwrap();
        func.call(&mut self.0.store, &[value], &mut out[..results])?;
        Ok(out.swap_remove(0))
    }

    pub(super) fn set(&mut self, who: &str, mode: u32) {
        self.call(who, Val::U32(mode), 0).unwrap();
    }

    pub(super) fn pass(&mut self, value: &Val) -> wasmtime::Result<Val> {
        self.call("pass", value.clone(), 1)
    }

    #[track_caller]
    pub(super) fn comes_back(&mut self, value: &Val) {
        let back = self.pass(value).unwrap();
        assert!(back == *value, "{value:?} came back as {back:?}");
    }
}

pub(super) fn bytes(len: u32) -> Val {
    Val::List((0..len).map(|at| Val::U8((at * 7 + at / 256) as u8)).collect())
}

pub(super) fn words(len: u32) -> Val {
    Val::List((0..len).map(|at| Val::U32(at.wrapping_mul(0x9e37_79b1))).collect())
}

pub(super) fn some(value: Val) -> Val {
    Val::Option(Some(Box::new(value)))
}

fn ok(value: Val) -> Val {
    Val::Result(Ok(Some(Box::new(value))))
}

fn error(value: Val) -> Val {
    Val::Result(Err(Some(Box::new(value))))
}

pub(super) const LENGTHS: [u32; 10] = [0, 1, 3, 7, 8, 16, 17, 33, 1000, 70_000];

on_every_setup! {
    fn lists_within_values_come_back_whole(setup) {
        let [mut option, mut result, mut either] = [OPTION, RESULT, EITHER].map(|shape| Scene::new(setup, &shape));
        let [mut with_enum, mut record, mut variant] = [ENUM, RECORD, VARIANT].map(|shape| Scene::new(setup, &shape));
        for len in LENGTHS {
            option.comes_back(&some(bytes(len)));
            option.comes_back(&Val::Option(None));
            result.comes_back(&ok(words(len / 2)));
            result.comes_back(&error(Val::String("é".repeat(len as usize / 2))));
            either.comes_back(&ok(bytes(len)));
            either.comes_back(&error(words(len / 2)));
            with_enum.comes_back(&ok(bytes(len)));
            with_enum.comes_back(&error(Val::U8((len % 5) as u8)));
            record.comes_back(&Val::Tuple(vec![Val::U32(len), bytes(len)]));
            variant.comes_back(&Val::Tuple(vec![Val::U32(1), bytes(len)]));
        }
    }

    fn several_lists_in_one_value_come_back_each_in_its_place(setup) {
        let mut scene = Scene::new(setup, &SEVERAL);
        for len in LENGTHS {
            for first in [Val::Option(None), some(bytes(len)), some(bytes(1))] {
                let string = Val::String("x".repeat(len as usize / 3));
                scene.comes_back(&Val::Tuple(vec![first, words(LENGTHS[len as usize % 10]), string]));
            }
        }
        let mut scene = Scene::new(setup, &DEEP);
        for value in [Val::Option(None), some(Val::Option(None))] {
            scene.comes_back(&value);
        }
        for len in LENGTHS {
            scene.comes_back(&some(some(Val::List((0..len).map(|at| Val::U16(at as u16)).collect()))));
        }
    }

    fn a_case_that_there_is_not_traps_wherever_lists_are(setup) {
        let fives = || Val::Tuple(vec![Val::U32(1), bytes(5)]);
        for (shape, value) in [(OPTION, some(bytes(5))), (ENUM, ok(bytes(5))), (VARIANT, fives()), (DEEP, some(some(Val::List(vec![]))))] {
            let mut scene = Scene::new(setup, &shape);
            scene.comes_back(&value);
            scene.set("set-a", WRONG_CASE);
            trapped(scene.pass(&value));
        }
        // An enum, which `a` has as a number from the host; and one that `b` returns.
        for number in [5, 255] {
            trapped(Scene::new(setup, &ENUM).pass(&error(Val::U8(number))));
        }
        let mut scene = Scene::new(setup, &ENUM);
        scene.set("set-b", WRONG_CASE);
        trapped(scene.pass(&error(Val::U8(4))));
    }

    fn a_list_within_a_value_that_is_not_all_in_its_memory_traps(setup) {
        for mode in [FAR, LONG] {
            for (shape, value) in [(OPTION, some(bytes(99))), (RESULT, ok(words(99))), (RECORD, Val::Tuple(vec![Val::U32(1), bytes(99)]))] {
                let mut scene = Scene::new(setup, &shape);
                scene.set("set-a", mode);
                trapped(scene.pass(&value));
                // Where there is no list, nobody looks at where it would be.
                if matches!(value, Val::Option(_)) {
                    let mut scene = Scene::new(setup, &shape);
                    scene.set("set-a", mode);
                    scene.comes_back(&Val::Option(None));
                }
            }
        }
    }

    fn a_realloc_that_gives_no_room_for_a_list_within_a_value_traps(setup) {
        for value in [some(bytes(1)), some(bytes(16)), some(bytes(4096))] {
            let mut scene = Scene::new(setup, &OPTION);
            scene.set("set-b", OUT_OF_BOUNDS);
            scene.comes_back(&Val::Option(None));
            trapped(scene.pass(&value));
        }
    }

    fn a_realloc_that_writes_over_its_results_case_harms_nobody_else(setup) {
        // The engine's adapters write the case behind the call of `realloc`; ours read it in front, or trap.
        let mut scene = Scene::new(setup, &SEVERAL);
        scene.set("set-a", TAMPERS);
        let value = Val::Tuple(vec![some(bytes(40)), words(7), Val::String("string".to_owned())]);
        if let Ok(back) = scene.pass(&value) {
            let Val::Tuple(back) = back else { panic!("{back:?}") };
            let list = [some(bytes(40)), Val::Option(None)];
            assert!(list.contains(&back[0]) && back[1] == words(7), "{back:?}");
        }
    }
}
