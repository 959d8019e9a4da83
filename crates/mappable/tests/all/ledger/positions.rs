//! Positions that a handle can have in a type, and two components that hand a value of it over: as spilled parameters,
//! and as results in a return area.

use crate::support::Setup;
use crate::wat;

/// A word of a value in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// The sender's handle of that number.
    Handle(u32),
    Number(u32),
    /// The address of the list's elements.
    Elements,
}

/// A type that has handles in it, and a value of it.
pub(super) struct Position {
    pub(super) name: &'static str,
    /// In text, of `$m`.
    ty: &'static str,
    /// The value, and the elements of its list.
    pub(super) words: &'static [Word],
    pub(super) elements: &'static [Word],
}

use Word::{Elements, Handle, Number};

pub(super) const POSITIONS: [Position; 14] = [
    Position { name: "own", ty: "(own $m)", words: &[Handle(0)], elements: &[] },
    Position { name: "option", ty: "(option (own $m))", words: &[Number(1), Handle(0)], elements: &[] },
    Position { name: "ok", ty: "(result (own $m) (error u32))", words: &[Number(0), Handle(0)], elements: &[] },
    Position { name: "error", ty: "(result u32 (error (own $m)))", words: &[Number(1), Handle(0)], elements: &[] },
    Position {
        name: "tuple",
        ty: "(tuple u32 (own $m) (own $m))",
        words: &[Number(7), Handle(1), Handle(0)],
        elements: &[],
    },
    Position {
        name: "record",
        ty: r#"(record (field "x" u32) (field "h" (own $m)))"#,
        words: &[Number(7), Handle(0)],
        elements: &[],
    },
    Position {
        name: "variant",
        ty: r#"(variant (case "n" u32) (case "two" (tuple (own $m) (own $m))) (case "one" (own $m)))"#,
        words: &[Number(1), Handle(0), Handle(1)],
        elements: &[],
    },
    Position {
        name: "a shorter case",
        ty: r#"(variant (case "n" u32) (case "two" (tuple (own $m) (own $m))) (case "one" (own $m)))"#,
        words: &[Number(2), Handle(0), Number(0)],
        elements: &[],
    },
    Position { name: "list", ty: "(list (own $m))", words: &[Elements, Number(2)], elements: &[Handle(0), Handle(1)] },
    Position {
        name: "list of options",
        ty: "(list (option (own $m)))",
        words: &[Elements, Number(3)],
        elements: &[Number(1), Handle(0), Number(0), Number(0), Number(1), Handle(1)],
    },
    Position {
        name: "list of tuples",
        ty: "(list (tuple u32 (own $m)))",
        words: &[Elements, Number(2)],
        elements: &[Number(9), Handle(1), Number(9), Handle(0)],
    },
    Position {
        name: "option of a list",
        ty: "(option (list (own $m)))",
        words: &[Number(1), Elements, Number(2)],
        elements: &[Handle(1), Handle(0)],
    },
    Position {
        name: "result in an option",
        ty: "(option (result (own $m) (error (tuple (own $m) (own $m)))))",
        words: &[Number(1), Number(1), Handle(0), Handle(1)],
        elements: &[],
    },
    Position { name: "nothing", ty: "(option (own $m))", words: &[Number(0), Number(0)], elements: &[] },
];

/// Where a party has its value, the elements of its list, what follows them, and where the other's come to.
pub(super) const VALUE: u32 = 0x800;
const ELEMENTS: u32 = 0xa00;
const TAIL: u32 = 0xc00;
const LENGTH: u32 = 5;
pub(super) const ARRIVED: u32 = 0x1000;

impl Position {
    pub(super) fn size(&self) -> u32 {
        self.words.len() as u32 * 4
    }

    /// Whether the ledger's wrappers carry it: the type of a variant of three cases can't be written without a name.
    pub(super) fn is_carried(&self, setup: Setup) -> bool {
        setup.is_ledger() && !self.ty.starts_with("(variant")
    }

    /// How many handles there are.
    pub(super) fn handles(&self) -> usize {
        self.words.iter().chain(self.elements).filter(|word| matches!(word, Handle(_))).count()
    }

    // What follows the value is text, which no window takes: its `realloc` runs while the value is on its way.

    /// How many parameters that are numbers stand behind the value, so that all of them are spilled.
    const PADS: u32 = 16;

    /// `a` has `send`, which passes the value to `b`, and `fetch`, which has it from `b`.
    pub(super) fn composition(&self, memory: &str) -> String {
        let types = wat::import_types(wat::TYPES);
        let ty = self.ty.replace("$m", "$mappable");
        format!(
            r#"(component {types} (type $T {ty})
              (component $B {types} (type $T' {ty}) (import "t" (type $t (eq $T'))) {b})
              (component $A {types} (type $T' {ty}) (import "t" (type $t (eq $T')))
                (import "put" (func $put {params} (result u32)))
                (import "get" (func $get {gives})) {a})
              (instance $b (instantiate $B (with "t" (type $T)) (with "{name}" (instance $types))))
              (instance $a (instantiate $A (with "t" (type $T)) (with "{name}" (instance $types))
                (with "put" (func $b "put")) (with "get" (func $b "get"))))
              {exported_a} {exported_b})"#,
            name = wat::TYPES,
            params = self.params(),
            gives = Self::GIVES,
            b = self.party("", "", &self.receiver(memory)),
            a = self.party(
                &format!(
                    r#"(import "" "put" (func $put (param i32) (result i32)))
                    (import "" "get" (func $get (param i32 i32 i32)))
                    (func (export "send") (param i32 i32) (result i32)
                      (call $put (call $arguments (local.get 0) (local.get 1))))
                    (func (export "fetch") (param i32 i32)
                      (global.set $next (i32.const {next}))
                      (call $get (local.get 0) (local.get 1) (i32.const {ARRIVED})))"#,
                    next = ARRIVED + 0x100
                ),
                r#"(export "put" (func $put)) (export "get" (func $get))"#,
                &self.sender(memory),
            ),
            exported_a = exported("a", &["allocate", "size", "drop", "word", "attack", "leave", "send", "fetch"]),
            exported_b = exported("b", &["allocate", "size", "drop", "word", "attack", "leave"]),
        )
    }

    fn params(&self) -> String {
        let pads: String = (0..Self::PADS).map(|n| format!(r#"(param "p{n}" u32)"#)).collect();
        format!(r#"(param "value" $t) {pads} (param "tail" string)"#)
    }

    const GIVES: &'static str = r#"(param "h" u32) (param "i" u32) (result (tuple $t string))"#;

    fn receiver(&self, _memory: &str) -> String {
        format!(
            r#"(func (export "put") {params} (result u32)
                (canon lift (core func $p "arrived") (memory $mem) (realloc (core func $m "realloc"))))
            (func (export "get") {gives}
                (canon lift (core func $p "value") (memory $mem) (realloc (core func $m "realloc"))))"#,
            params = self.params(),
            gives = Self::GIVES,
        )
    }

    fn sender(&self, _memory: &str) -> String {
        r#"(func (export "send") (param "h" u32) (param "i" u32) (result u32) (canon lift (core func $p "send")))
        (func (export "fetch") (param "h" u32) (param "i" u32) (canon lift (core func $p "fetch")))"#
            .to_owned()
    }

    /// What both have: a memory, a `realloc` that attacks, a few functions of the package.
    fn party(&self, core: &str, given: &str, lifts: &str) -> String {
        let store = |at: u32, word: &Word| {
            let value = match word {
                Handle(n) => format!("(local.get {n})"),
                Number(n) => format!("(i32.const {n})"),
                Elements => format!("(i32.const {ELEMENTS})"),
            };
            format!("(i32.store (i32.const {at}) {value}) ")
        };
        let words = |from: u32, words: &[Word]| -> String {
            (from..).step_by(4).zip(words).map(|(at, word)| store(at, word)).collect()
        };
        let value = words(VALUE, self.words) + &words(ELEMENTS, self.elements);
        let tail = |at: u32| words(at, &[Number(TAIL), Number(LENGTH)]);
        let lowers = if given.is_empty() {
            ""
        } else {
            r#"(core func $put (canon lower (func $put) (memory $mem)))
            (core func $get (canon lower (func $get) (memory $mem) (realloc (core func $m "realloc"))))"#
        };
        format!(
            r#"(core func $size (canon lower (func $types "[method]mappable.size")))
            (core func $drop (canon resource.drop $mappable))
            (core module $M
              (import "" "size" (func $size (param i32) (result i64)))
              (memory (export "mem") 1)
              (global $next (export "next") (mut i32) (i32.const {ARRIVED}))
              (global $at (mut i32) (i32.const 0)) (global $value (mut i32) (i32.const 0))
              (global $leave (mut i32) (i32.const 0))
              (func (export "attack") (param i32 i32) (global.set $at (local.get 0)) (global.set $value (local.get 1)))
              (func (export "leave") (param i32) (global.set $leave (local.get 0)))
              ;; for the bytes of the tail, when all else has arrived: does what it is told
              (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $p i32)
                (if (i32.eq (local.get 2) (i32.const 1)) (then
                  (if (global.get $at) (then (i32.store (global.get $at) (global.get $value))))
                  (if (global.get $leave) (then (drop (call $size (global.get $leave)))))))
                (local.set $p (global.get $next))
                (global.set $next (i32.and (i32.add (i32.add (local.get $p) (local.get 3)) (i32.const 7))
                  (i32.const -8)))
                (local.get $p)))
            (core instance $m (instantiate $M (with "" (instance (export "size" (func $size))))))
            (alias core export $m "mem" (core memory $mem))
            (core func $allocate (canon lower (func $types "[static]mappable.allocate") (memory $mem)))
            {lowers}
            (core module $P
              (import "" "mem" (memory 1)) (import "" "next" (global $next (mut i32)))
              (import "" "allocate" (func $allocate (param i64 i32)))
              (import "" "size" (func $size (param i32) (result i64)))
              (import "" "drop" (func $drop (param i32)))
              {core}
              (func (export "allocate") (param i64) (result i32)
                (call $allocate (local.get 0) (i32.const 1024)) (i32.load (i32.const 1028)))
              (func (export "size") (param i32) (result i64) (call $size (local.get 0)))
              (func (export "drop") (param i32) (call $drop (local.get 0)))
              (func (export "word") (param i32) (result i32) (i32.load (local.get 0)))
              ;; the value with these two handles, and what stands behind it
              (func $arguments (param i32 i32) (result i32)
                {value} {arguments_tail} (i32.const {VALUE}))
              (func (export "value") (param i32 i32) (result i32)
                {value} {result_tail} (i32.const {VALUE}))
              (func (export "arrived") (param i32) (result i32)
                (global.set $next (i32.const {ARRIVED})) (local.get 0)))
            (core instance $p (instantiate $P (with "" (instance
              (export "mem" (memory $mem)) (export "next" (global $m "next")) (export "allocate" (func $allocate))
              (export "size" (func $size)) (export "drop" (func $drop)) {given}))))
            (func (export "allocate") (param "size" u64) (result u32) (canon lift (core func $p "allocate")))
            (func (export "size") (param "h" u32) (result u64) (canon lift (core func $p "size")))
            (func (export "drop") (param "h" u32) (canon lift (core func $p "drop")))
            (func (export "word") (param "at" u32) (result u32) (canon lift (core func $p "word")))
            (func (export "attack") (param "at" u32) (param "value" u32) (canon lift (core func $m "attack")))
            (func (export "leave") (param "h" u32) (canon lift (core func $m "leave")))
            {lifts}"#,
            arguments_tail = tail(VALUE + self.size() + 4 * Self::PADS),
            result_tail = tail(VALUE + self.size()),
        )
    }
}

/// Exports some functions of an instance as those of an instance of the root.
pub(super) fn exported(name: &str, functions: &[&str]) -> String {
    let functions: String = functions.iter().map(|it| format!(r#"(export "{it}" (func ${name} "{it}"))"#)).collect();
    format!(r#"(instance $e-{name} {functions}) (export "{name}" (instance $e-{name}))"#)
}
