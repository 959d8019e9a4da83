//! Two components that pass lists to each other, and how they are driven.

use super::super::Party;
use super::super::positions::exported;
use crate::support::{Fixture, G, Setup, World};
use crate::wat;

/// Element types, and their sizes and alignments. Those at the end are not plain: their bytes are looked at.
pub(super) const TYPES: [(&str, u32, u32); 16] = [
    ("u8", 1, 1),
    ("s8", 1, 1),
    ("u16", 2, 2),
    ("s16", 2, 2),
    ("u32", 4, 4),
    ("s32", 4, 4),
    ("u64", 8, 8),
    ("s64", 8, 8),
    ("f32", 4, 4),
    ("f64", 8, 8),
    ("(tuple u8 u8 u8)", 3, 1),
    ("(tuple u32 u32)", 8, 4),
    ("(tuple u64 u64 f64)", 24, 8),
    ("(tuple u16 (tuple u8 u8))", 4, 2),
    ("(tuple f32 s32)", 8, 4),
    ("char", 4, 4),
];

/// What a `realloc` can do, by number.
pub(super) const HONEST: u32 = 0;
pub(super) const GROWS: u32 = 1;
pub(super) const ANSWERS: u32 = 2;
pub(super) const DIES: u32 = 3;
pub(super) const MAPS: u32 = 4;
pub(super) const ALLOCATES: u32 = 5;
pub(super) const CALLS_THE_HOST: u32 = 6;

/// Two components, `a` and `b`, that pass lists of a type: `a`'s `put` gives one to `b`, `get` has one from it.
pub(crate) fn composition(memory: &str, ty: &str, align: u32) -> String {
    let types = wat::import_types(wat::TYPES);
    let env = wat::IMPORT_ENV;
    format!(
        r#"(component {types} {env}
          (component $B {types} {env} {b})
          (component $A {types} {env}
            (import "put" (func $put (param "list" (list {ty})) (result u32)))
            (import "get" (func $get (param "at" u32) (param "count" u32) (result (list {ty})))) {a})
          (instance $b (instantiate $B {with}))
          (instance $a (instantiate $A {with} (with "put" (func $b "put")) (with "get" (func $b "get"))))
          {exported_a} {exported_b})"#,
        with = wat::WITH,
        b = party(
            memory,
            "",
            "",
            "",
            &format!(
                r#"(func (export "put") (param "list" (list {ty})) (result u32)
                    (canon lift (core func $p "took") (memory $mem) (realloc $realloc)))
                (func (export "get") (param "at" u32) (param "count" u32) (result (list {ty}))
                    (canon lift (core func $p "give") (memory $mem) (post-return (core func $m "post"))))"#
            ),
            align,
        ),
        a = party(
            memory,
            r#"(core func $put (canon lower (func $put) (memory $mem)))
            (core func $get (canon lower (func $get) (memory $mem) (realloc $realloc)))"#,
            r#"(import "" "put" (func $put (param i32 i32) (result i32)))
            (import "" "get" (func $get (param i32 i32 i32)))
            (func (export "put") (param i32 i32) (result i32) (call $put (local.get 0) (local.get 1)))
            (func (export "get") (param i32 i32) (result i64)
              (call $get (local.get 0) (local.get 1) (i32.const 2048)) (i64.load (i32.const 2048)))"#,
            r#"(export "put" (func $put)) (export "get" (func $get))"#,
            r#"(func (export "put") (param "at" u32) (param "count" u32) (result u32) (canon lift (core func $p "put")))
            (func (export "get") (param "at" u32) (param "count" u32) (result u64) (canon lift (core func $p "get")))"#,
            align,
        ),
        exported_a = exported("a", &[&COMMON[..], &["put", "get"]].concat()),
        exported_b = exported("b", &[&COMMON[..], &["count"]].concat()),
    )
}

const COMMON: [&str; 11] =
    ["fill-with", "is", "set-to", "set-how", "grow", "calls", "map", "unmap", "allocate", "freeze", "map-frozen"];

fn party(memory: &str, lowers: &str, core: &str, given: &str, lifts: &str, align: u32) -> String {
    format!(
        r#"(core func $size (canon lower (func $types "[method]mappable.size")))
        (core func $call-back (canon lower (func $env "call-back")))
        (core func $freeze (canon lower (func $types "[static]mappable.freeze")))
        (core module $Slot (table (export "t") 4 funcref))
        (core instance $slot (instantiate $Slot))
        (core module $M
          (import "" "t" (table $t 4 funcref))
          (type $map (func (param i32 i32 i32 i32))) (type $allocate (func (param i64 i32))) (type $plain (func))
          (memory (export "mem") {memory})
          (global $to (export "to") (mut i32) (i32.const 65536))
          (global $how (export "how") (mut i32) (i32.const 0))
          (global $h (export "h") (mut i32) (i32.const 0))
          (global $calls (export "calls") (mut i32) (i32.const 0))
          (global $align (mut i32) (i32.const {align}))
          (func (export "post") (param i32) (global.set $calls (i32.add (global.get $calls) (i32.const 1000))))
          (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (if (i32.ne (local.get 2) (global.get $align)) (then unreachable))
            (if (i32.or (local.get 0) (local.get 1)) (then unreachable))
            (block $6 (block $5 (block $4 (block $3 (block $2 (block $1 (block $0
              (br_table $0 $1 $2 $3 $4 $5 $6 (global.get $how)))
            (return (global.get $to)))
            (global.set $to (i32.shl (memory.grow (i32.const 1)) (i32.const 16))) (return (global.get $to)))
            (return (global.get $to)))
            unreachable)
            (call_indirect $t (type $map) (global.get $h) (i32.const 524288) (i32.const 65536) (i32.const 512)
              (i32.const 0))
            (return (global.get $to)))
            (call_indirect $t (type $allocate) (i64.const 65536) (i32.const 512) (i32.const 1))
            (return (global.get $to)))
            (call_indirect $t (type $plain) (i32.const 2))
            (global.get $to)))
        (core instance $m (instantiate $M (with "" (instance (export "t" (table $slot "t"))))))
        (alias core export $m "mem" (core memory $mem))
        (alias core export $m "realloc" (core func $realloc))
        (core func $allocate (canon lower (func $types "[static]mappable.allocate") (memory $mem)))
        (core func $map (canon lower (func $types "[static]mappable.map") (memory $mem)))
        (core func $unmap (canon lower (func $types "[static]mapping.unmap") (memory $mem)))
        (core func $map-frozen (canon lower (func $types "[static]frozen.map") (memory $mem)))
        {lowers}
        (core module $P
          (import "" "mem" (memory 1)) (import "" "t" (table $t 4 funcref))
          (import "" "to" (global $to (mut i32))) (import "" "how" (global $how (mut i32)))
          (import "" "h" (global $h (mut i32))) (import "" "calls" (global $calls (mut i32)))
          (import "" "allocate" (func $allocate (param i64 i32)))
          (import "" "map" (func $map (param i32 i32 i32 i32)))
          (import "" "unmap" (func $unmap (param i32 i32 i32 i32)))
          (import "" "freeze" (func $freeze (param i32) (result i32)))
          (import "" "map-frozen" (func $map-frozen (param i32 i32 i32 i32)))
          (import "" "call-back" (func $call-back))
          (elem (table $t) (i32.const 0) func $map $allocate $call-back)
          {core}
          (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
          (func (export "calls") (result i32) (global.get $calls))
          (func (export "set-to") (param i32) (global.set $to (local.get 0)))
          (func (export "set-how") (param i32 i32) (global.set $how (local.get 0)) (global.set $h (local.get 1)))
          (func (export "allocate") (param i64) (result i32)
            (call $allocate (local.get 0) (i32.const 1024)) (i32.load (i32.const 1028)))
          (func (export "map") (param i32 i32 i32) (result i32)
            (call $map (local.get 0) (local.get 1) (local.get 2) (i32.const 1024))
            (if (i32.load8_u (i32.const 1024)) (then unreachable)) (i32.load (i32.const 1028)))
          (func (export "unmap") (param i32 i32 i32) (result i32)
            (call $unmap (local.get 0) (local.get 1) (local.get 2) (i32.const 1024))
            (if (i32.load8_u (i32.const 1024)) (then unreachable)) (i32.load (i32.const 1028)))
          (func (export "freeze") (param i32) (result i32) (call $freeze (local.get 0)))
          (func (export "map-frozen") (param i32 i32 i32) (result i32)
            (call $map-frozen (local.get 0) (local.get 1) (local.get 2) (i32.const 1024))
            (if (i32.load8_u (i32.const 1024)) (then unreachable)) (i32.load (i32.const 1028)))
          ;; a byte for each place: of its number and a seed, never more than 0x3f so that words are characters too
          (func $byte (param $n i32) (param $seed i32) (result i32)
            (i32.and (i32.const 0x3f) (i32.add (i32.mul (local.get $n) (i32.const 7)) (i32.add (local.get $seed)
              (i32.shr_u (local.get $n) (i32.const 7))))))
          ;; every fourth byte is zero if there are few bits to a character
          (func $at (param $n i32) (param $seed i32) (param $size i32) (result i32)
            (if (result i32) (i32.and (i32.eq (local.get $size) (i32.const 104))
                (i32.ge_u (i32.and (local.get $n) (i32.const 3)) (i32.const 2)))
              (then (i32.const 0)) (else (call $byte (local.get $n) (local.get $seed)))))
          (func (export "fill-with") (param $at i32) (param $len i32) (param $seed i32) (param $kind i32)
            (local $n i32)
            (block $out (loop $next
              (br_if $out (i32.eq (local.get $n) (local.get $len)))
              (i32.store8 (i32.add (local.get $at) (local.get $n))
                (call $at (local.get $n) (local.get $seed) (local.get $kind)))
              (local.set $n (i32.add (local.get $n) (i32.const 1)))
              (br $next))))
          ;; how many bytes are as they were filled
          (func (export "is") (param $at i32) (param $len i32) (param $seed i32) (param $kind i32) (result i32)
            (local $n i32)
            (block $out (loop $next
              (br_if $out (i32.eq (local.get $n) (local.get $len)))
              (br_if $out (i32.ne (i32.load8_u (i32.add (local.get $at) (local.get $n)))
                (call $at (local.get $n) (local.get $seed) (local.get $kind))))
              (local.set $n (i32.add (local.get $n) (i32.const 1)))
              (br $next)))
            (local.get $n))
          (global $count (mut i32) (i32.const -1))
          (func (export "count") (result i32) (global.get $count))
          (func (export "took") (param i32 i32) (result i32) (global.set $count (local.get 1)) (local.get 0))
          (func (export "give") (param i32 i32) (result i32)
            (i32.store (i32.const 2048) (local.get 0)) (i32.store (i32.const 2052) (local.get 1)) (i32.const 2048)))
        (core instance $p (instantiate $P (with "" (instance
          (export "mem" (memory $mem)) (export "t" (table $slot "t")) (export "to" (global $m "to"))
          (export "how" (global $m "how")) (export "h" (global $m "h")) (export "calls" (global $m "calls"))
          (export "allocate" (func $allocate)) (export "map" (func $map)) (export "unmap" (func $unmap))
          (export "freeze" (func $freeze)) (export "map-frozen" (func $map-frozen))
          (export "call-back" (func $call-back)) {given}))))
        (func (export "grow") (param "pages" u32) (result s32) (canon lift (core func $p "grow")))
        (func (export "calls") (result u32) (canon lift (core func $p "calls")))
        (func (export "count") (result u32) (canon lift (core func $p "count")))
        (func (export "set-to") (param "at" u32) (canon lift (core func $p "set-to")))
        (func (export "set-how") (param "how" u32) (param "h" u32) (canon lift (core func $p "set-how")))
        (func (export "allocate") (param "size" u64) (result u32) (canon lift (core func $p "allocate")))
        (func (export "freeze") (param "h" u32) (result u32) (canon lift (core func $p "freeze")))
        (func (export "map") (param "h" u32) (param "at" u32) (param "len" u32) (result u32)
          (canon lift (core func $p "map")))
        (func (export "unmap") (param "h" u32) (param "at" u32) (param "len" u32) (result u32)
          (canon lift (core func $p "unmap")))
        (func (export "map-frozen") (param "h" u32) (param "at" u32) (param "len" u32) (result u32)
          (canon lift (core func $p "map-frozen")))
        (func (export "fill-with") (param "at" u32) (param "len" u32) (param "seed" u32) (param "kind" u32)
          (canon lift (core func $p "fill-with")))
        (func (export "is") (param "at" u32) (param "len" u32) (param "seed" u32) (param "kind" u32) (result u32)
          (canon lift (core func $p "is")))
        {lifts}"#
    )
}

/// Tells the guests' functions that a list is of characters.
const CHARACTERS: u32 = 104;
pub(super) const BYTES: u32 = 0;

/// Where lists lie in either memory, and where they go.
pub(super) const FROM: u32 = 2 * G;
pub(super) const TO: u32 = 9 * G;

pub(super) struct Scene {
    pub(super) world: World,
    pub(super) a: Party,
    pub(super) b: Party,
    pub(super) size: u32,
    pub(super) kind: u32,
}

impl Scene {
    pub(super) fn new(setup: Setup, ty: (&str, u32, u32)) -> Self {
        Self::of(setup, ty, &composition(setup.memory(), ty.0, ty.2))
    }

    /// Of parties whose `realloc` throws where it would die, and of which `a` catches what it is thrown when it calls `b`.
    pub(super) fn throwing(setup: Setup) -> Self {
        let (ty, _, align) = TYPES[0];
        let text = composition(setup.memory(), ty, align);
        let text = ["put", "get"].into_iter().fold(text, |text, name| {
            let call = if name == "put" {
                "(call $put (local.get 0) (local.get 1))"
            } else {
                "(call $get (local.get 0) (local.get 1) (i32.const 2048))"
            };
            let ty = if name == "put" { "(result i32)" } else { "" };
            let caught = format!(
                "(block $done {ty} (block $caught (br $done (try_table {ty} (catch_all $caught) {call}))) {})",
                if name == "put" { "(i32.const -1)" } else { "" }
            );
            text.replace(call, &caught)
        });
        let dies = "            unreachable)\n            (call_indirect $t (type $map)";
        let throws = dies.replace("unreachable", "(throw $thrown)");
        let text =
            text.replace(dies, &throws).replace(r#"(memory (export "mem")"#, r#"(tag $thrown) (memory (export "mem")"#);
        assert!(text.matches("(throw $thrown)").count() == 2 && text.matches("try_table").count() == 2, "{text}");
        Self::of(setup, TYPES[0], &text)
    }

    /// Of parties whose memories have all that 32 bits can address.
    pub(super) fn full(setup: Setup, ty: (&str, u32, u32)) -> Self {
        Self::of(setup, ty, &composition("65536", ty.0, ty.2))
    }

    /// On an engine that inlines calls between core modules.
    pub(super) fn inlined(setup: Setup, ty: (&str, u32, u32)) -> Self {
        let mut config = setup.config();
        config.compiler_inlining(wasmtime::Inlining::InterModule);
        let fixture = Box::leak(Box::new(Fixture::new(setup, setup.runtime_with(config))));
        Self::in_world(fixture.world(), ty, &composition(setup.memory(), ty.0, ty.2))
    }

    fn of(setup: Setup, ty: (&str, u32, u32), text: &str) -> Self {
        Self::in_world(World::new(setup), ty, text)
    }

    fn in_world(mut world: World, (ty, size, _): (&str, u32, u32), text: &str) -> Self {
        let [a, b] = Party::all(&mut world, text, ["a", "b"]);
        let kind = if ty == "char" { CHARACTERS } else { BYTES };
        let mut scene = Self { world, a, b, size, kind };
        scene.set_to(TO);
        scene
    }

    pub(super) fn bytes(setup: Setup) -> Self {
        Self::new(setup, TYPES[0])
    }

    pub(super) fn set_to(&mut self, to: u32) {
        for party in [&self.a, &self.b] {
            party.0.run(&mut self.world.store, "set-to", (to,)).unwrap();
        }
    }

    pub(super) fn set_how(&mut self, how: u32, handle: u32) {
        for party in [&self.a, &self.b] {
            party.0.run(&mut self.world.store, "set-how", (how, handle)).unwrap();
        }
    }

    pub(super) fn fill(&mut self, of_a: bool, at: u32, len: u32, seed: u32) {
        let party = if of_a { &self.a } else { &self.b };
        party.0.run(&mut self.world.store, "fill-with", (at, len, seed, self.kind)).unwrap();
    }

    #[track_caller]
    pub(super) fn expect(&mut self, of_a: bool, at: u32, len: u32, seed: u32) {
        let party = if of_a { &self.a } else { &self.b };
        let same: u32 = party.call(&mut self.world, "is", (at, len, seed, self.kind)).unwrap();
        assert_eq!(same, len, "at {at:#x}");
    }

    /// `a` gives `b` a list; where it is then.
    pub(super) fn put(&mut self, at: u32, count: u32) -> wasmtime::Result<u32> {
        self.a.call(&mut self.world, "put", (at, count))
    }

    /// `a` has a list of `b`'s; where it is then, and how many.
    pub(super) fn get(&mut self, at: u32, count: u32) -> wasmtime::Result<(u32, u32)> {
        self.a.call::<_, u64>(&mut self.world, "get", (at, count)).map(|it| (it as u32, (it >> 32) as u32))
    }

    /// A list each way, with what it is and where it is looked at.
    #[track_caller]
    pub(super) fn there_and_back(&mut self, from: u32, to: u32, count: u32, seed: u32) {
        let len = count * self.size;
        self.fill(true, from, len, seed);
        let at = self.put(from, count).unwrap();
        assert_eq!(self.b.call::<_, u32>(&mut self.world, "count", ()).unwrap(), count);
        if count > 0 {
            assert_eq!(at, to);
        }
        self.expect(false, to, len, seed);
        self.fill(false, from, len, seed + 1);
        let (at, got) = self.get(from, count).unwrap();
        assert_eq!(got, count);
        if count > 0 {
            assert_eq!(at, to);
        }
        self.expect(true, to, len, seed + 1);
        self.expect(true, from, len, seed);
    }
}
