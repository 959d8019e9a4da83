//! The core module of a component of a tree: what it makes of types and of calls.
//!
//! All values are made and looked at in memory; what goes by core parameters is loaded and stored around that.

use std::fmt::Write;

use super::Encoding;
use super::types::{Function, Type, offsets};
use super::values::{Lists, Slots, area, load, look, make, store};

/// What a function of a guest does between looking at its parameters and giving its result.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// Which callees it calls.
    pub calls: Vec<usize>,
    /// Before which of them it does something with what it keeps.
    pub acts: Vec<usize>,
    /// Whether its result has a `post-return`.
    pub post_return: bool,
}

/// A guest's module.
pub(super) struct Guest<'a> {
    /// Marks its entries of the trace.
    pub tag: usize,
    /// Whether there are handles.
    pub handles: bool,
    /// Whether there are streams.
    pub streams: bool,
    /// How its strings are encoded.
    pub encoding: Encoding,
    /// Its first random number.
    pub seed: u32,
    /// What it calls.
    pub callees: Vec<&'a Function>,
    /// What it is called for, but the driver's `run`.
    pub functions: &'a [Function],
    /// Of each of these; or of `run`.
    pub bodies: &'a [Body],
}

impl Guest<'_> {
    /// In the text format, without a name.
    pub(super) fn text(&self) -> String {
        let mut lists = Lists::default();
        let mut text = self.imports();
        for (nth, callee) in self.callees.iter().enumerate() {
            text += &self.call(nth, callee, &mut lists);
        }
        match self.functions {
            [] => text += &self.run(),
            functions => {
                for (nth, (function, body)) in functions.iter().zip(self.bodies).enumerate() {
                    text += &self.function(nth, function, body, &mut lists);
                }
            }
        }
        let mut nth = 0;
        while let Some(ty) = lists.known.get(nth).cloned() {
            text += &self.list(nth, &ty, &mut lists);
            nth += 1;
        }
        // The host says what is to be misused, and after how many chances.
        let _ = write!(
            text,
            "(func $start (local $answer i64)
               (call $seed (i32.const {}))
               (local.set $answer (call $log' (i32.const {}) (i64.const 0)))
               (call $set-misuse (i32.wrap_i64 (i64.shr_u (local.get $answer) (i64.const 32)))
                 (i32.wrap_i64 (local.get $answer)))
               (call $set-misuse' (i32.wrap_i64 (i64.shr_u (local.get $answer) (i64.const 32)))
                 (i32.wrap_i64 (local.get $answer))))
             (start $start)",
            self.seed, self.tag
        );
        text
    }

    fn imports(&self) -> String {
        let mut text = String::from(
            r#"(import "" "mem" (memory 1)) (import "" "alloc" (func $alloc (param i32 i32) (result i32)))
               (import "" "log" (func $log' (param i32 i64) (result i64))) (import "" "tampered" (func $tampered (result i32)))
               (import "" "top" (func $top (result i32))) (import "" "forget" (func $forget))
               (import "" "set-misuse'" (func $set-misuse' (param i32 i32)))
               (import "lib" "set-misuse" (func $set-misuse (param i32 i32)))
               (import "lib" "seed" (func $seed (param i32))) (import "lib" "rand" (func $rand (result i32)))
               (import "lib" "mix" (func $mix (param i64))) (import "lib" "hash" (func $hash (result i64)))
               (import "lib" "mis" (func $mis (param i32) (result i32)))
               (import "lib" "list-made" (func $list-made (param i32)))
               (import "lib" "string-made" (func $string-made (param i32)))
               (import "lib" "case-made" (func $case-made (param i32 i32)))"#,
        );
        if self.handles {
            text += r#"(import "lib" "owned" (func $owned (param i32 i32))) (import "lib" "lent" (func $lent (param i32 i32)))
               (import "lib" "give" (func $give (param i32) (result i32)))
               (import "lib" "lend" (func $lend (param i32) (result i32)))
               (import "lib" "give-back" (func $give-back)) (import "lib" "act" (func $act))
               (import "lib" "starved" (func $starved (result i32)))"#;
        }
        if self.streams {
            text += r#"(import "lib" "begin" (func $begin (param i32) (result i32)))
               (import "lib" "receive" (func $receive (param i32 i32))) (import "lib" "settle" (func $settle))"#;
        }
        for (nth, callee) in self.callees.iter().enumerate() {
            let (params, result) = core(callee);
            let area = if callee.flat_result().1 { "i32" } else { "" };
            let result = if area.is_empty() { result } else { String::new() };
            let _ = write!(text, "(import \"\" \"k{nth}\" (func $k{nth} (param {params} {area}) {result}))");
        }
        text += "(func $log (param i32 i64) (drop (call $log' (local.get 0) (local.get 1))))
            (global $mark (mut i32) (i32.const 0))";
        text += super::misuse::GLOBALS.as_str();
        text += &self.strings();
        text
    }

    /// The functions that mix a string's bytes, and make a string.
    fn strings(&self) -> String {
        let (unit, width) = if self.encoding == Encoding::Utf8 { (0, 1) } else { (1, 2) };
        // Of one that is either, the length says which. Made is utf-16, or its bytes with a length as if of latin-1.
        let (tagged, tag) = match self.encoding {
            Encoding::Latin1 => (
                "(if (i32.ge_s (i32.load offset=4 (local.get $l)) (i32.const 0)) (then
                   (local.set $n (i32.load offset=4 (local.get $l)))))",
                "(if (i32.and (call $rand) (i32.const 1)) (then
                   (i32.store offset=4 (local.get $l)
                     (i32.or (i32.const 0x80000000) (i32.load offset=4 (local.get $l))))))",
            ),
            _ => ("", ""),
        };
        let make = if self.encoding == Encoding::Utf8 {
            "(i32.store8 (local.get $p) (i32.add (i32.const 32) (i32.rem_u (call $rand) (i32.const 95))))"
        } else {
            // Some could be latin-1.
            "(i32.store16 (local.get $p) (i32.add (i32.const 32) (i32.rem_u (call $rand)
               (select (i32.const 200) (i32.const 0xd000) (i32.and (call $rand) (i32.const 3))))))"
        };
        format!(
            r#"(func $hash-string (param $l i32) (local $p i32) (local $n i32)
                 (local.set $p (i32.load (local.get $l)))
                 (local.set $n (i32.shl (i32.load offset=4 (local.get $l)) (i32.const {unit})))
                 {tagged}
                 (call $mix (i64.extend_i32_u (local.get $n)))
                 (loop $again (if (local.get $n) (then
                   (call $mix (i64.load8_u (local.get $p)))
                   (local.set $p (i32.add (local.get $p) (i32.const 1)))
                   (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                   (br $again)))))
               (func $make-string (param $l i32) (local $p i32) (local $n i32)
                 (local.set $n (i32.rem_u (call $rand) (i32.const 12)))
                 (local.set $p (call $alloc (i32.const 2) (i32.const 32)))
                 (i32.store (local.get $l) (local.get $p)) (i32.store offset=4 (local.get $l) (local.get $n))
                 (loop $again (if (local.get $n) (then
                   {make}
                   (local.set $p (i32.add (local.get $p) (i32.const {width})))
                   (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                   (br $again))))
                 (if (i32.gt_u (i32.load offset=4 (local.get $l)) (i32.const 1)) (then
                   (i32.store16 (i32.load (local.get $l)) (i32.const 0xa9c3))))
                 {tag}
                 (call $string-made (local.get $l)))"#
        )
    }

    /// A function that calls a callee with what it makes, and looks at what that gives.
    fn call(&self, nth: usize, callee: &Function, lists: &mut Lists) -> String {
        let slots = slots(&callee.flat_params().0);
        let mut text = format!("(func $c{nth} (local $p i32) (local $r i32)");
        declare(&mut text, &slots);
        let flat = callee.flat_result();
        if let (Some(ty), false) = flat {
            let _ = write!(text, "(local $g {ty})");
        }
        text += &area("$p", &callee.params);
        for (offset, ty) in offsets(&callee.params) {
            text += &make(ty, "(local.get $p)", offset, lists);
        }
        if self.handles {
            // There was no room for what it would be given.
            let _ = write!(text, "(if (call $starved) (then {} (return)))", self.log(400 + nth));
        }
        text += &area("$r", callee.result.as_slice());
        text += "(call $forget)";
        let arguments: String = if callee.flat_params().1 {
            text += "(if (call $mis (global.get $ParamsMisaligned)) (then (local.set $p (i32.add (local.get $p) (i32.const 1)))))
                (if (call $mis (global.get $ParamsOutside)) (then (local.set $p (i32.const 0xfffffff8))))";
            "(local.get $p)".into()
        } else {
            let mut next = 0;
            for (offset, ty) in offsets(&callee.params) {
                text += &load(ty, "(local.get $p)", offset, &slots[next..]);
                next += ty.flat().len();
            }
            slots.iter().map(|(name, _)| format!("(local.get {name})")).collect()
        };
        match flat {
            (_, true) => {
                text += "(if (call $mis (global.get $AreaMisaligned)) (then (local.set $r (i32.add (local.get $r) (i32.const 1)))))
                    (if (call $mis (global.get $AreaOutside)) (then (local.set $r (i32.const 0xfffffff8))))";
                let _ = write!(text, "(call $k{nth} {arguments} (local.get $r))");
            }
            (None, _) => {
                let _ = write!(text, "(call $k{nth} {arguments})");
            }
            (Some(ty), _) => {
                let _ = write!(text, "(local.set $g (call $k{nth} {arguments}))");
                let result = callee.result.as_ref();
                text += &result.map(|it| store(it, "(local.get $r)", 0, &[("$g".into(), ty)])).unwrap_or_default();
            }
        }
        if let Some(result) = &callee.result {
            text += &look(result, "(local.get $r)", 0, lists);
        }
        text += self.settle();
        text += &self.log(100 + nth);
        text + ")"
    }

    /// What was written is in use no more.
    fn settle(&self) -> &'static str {
        if self.streams { "(call $settle)" } else { "" }
    }

    fn log(&self, what: usize) -> String {
        let tag = self.tag * 10_000 + what;
        format!(
            "(if (call $tampered) (then (call $log (i32.const 777) (i64.const 0))))
             (call $log (i32.const {tag}) (call $hash))"
        )
    }

    fn body(&self, body: &Body) -> String {
        let mut text = String::new();
        for (nth, call) in body.calls.iter().enumerate() {
            if self.handles && body.acts.contains(&nth) {
                text += "(call $act)";
            }
            let _ = write!(text, "(call $c{call})");
        }
        text
    }

    fn run(&self) -> String {
        let body: String = self.bodies.iter().map(|body| self.body(body)).collect();
        format!(
            "(func (export \"run\") (param i32) (result i64) (call $seed (local.get 0)) {body} {} (call $hash))",
            self.log(0)
        )
    }

    fn function(&self, nth: usize, function: &Function, body: &Body, lists: &mut Lists) -> String {
        let slots = slots(&function.flat_params().0);
        let (_, result) = core(function);
        let params: String = slots.iter().map(|(name, ty)| format!("(param {name} {ty})")).collect();
        let mut text = format!("(func (export \"f{nth}\") {params} {result} (local $p i32) (local $r i32)");
        let flat = function.flat_result();
        if let (Some(ty), false) = flat {
            let _ = write!(text, "(local $g {ty})");
        }
        if function.flat_params().1 {
            text += "(local.set $p (local.get $s0))";
        } else {
            text += &area("$p", &function.params);
            let mut next = 0;
            for (offset, ty) in offsets(&function.params) {
                text += &store(ty, "(local.get $p)", offset, &slots[next..]);
                next += ty.flat().len();
            }
        }
        for (offset, ty) in offsets(&function.params) {
            text += &look(ty, "(local.get $p)", offset, lists);
        }
        text += &self.log(200 + nth);
        text += &self.body(body);
        text += self.settle();
        if self.handles {
            text += "(call $give-back)";
        }
        text += "(global.set $mark (call $top))";
        text += &area("$r", function.result.as_slice());
        if let Some(result) = &function.result {
            text += &make(result, "(local.get $r)", 0, lists);
        }
        text += &self.log(300 + nth);
        if self.handles {
            text += "(if (call $starved) (then (unreachable)))";
        }
        text += "(call $forget)";
        match (&function.result, flat) {
            (_, (_, true)) => {
                text += "(if (call $mis (global.get $ResultMisaligned)) (then (local.set $r (i32.add (local.get $r) (i32.const 1)))))
                    (if (call $mis (global.get $ResultOutside)) (then (local.set $r (i32.const 0xfffffff8))))
                    (local.get $r)";
            }
            (Some(result), (Some(ty), false)) => {
                text += &load(result, "(local.get $r)", 0, &[("$g".into(), ty)]);
                text += "(local.get $g)";
            }
            _ => {}
        }
        text += ")";
        if body.post_return {
            let param = flat.0.unwrap_or_default();
            // What was given is gone.
            let _ = write!(
                text,
                "(func (export \"p{nth}\") (param {param}) (drop (call $mis (global.get $PostReturnLeaves)))
                   (memory.fill (global.get $mark) (i32.const 0xee) (i32.sub (call $top) (global.get $mark))))"
            );
        }
        text
    }

    /// The functions that make a list and look at one.
    fn list(&self, nth: usize, element: &Type, lists: &mut Lists) -> String {
        let (size, align) = (element.size(), element.align());
        let plain = Type::List(Box::new(element.clone())).is_plain_list();
        // Long ones of plain data alone: the others take long.
        let len = match plain {
            true => format!(
                "(select (i32.rem_u (call $rand) (i32.const 3000))
                   (i32.rem_u (call $rand) (select (i32.const 9) (i32.const 41) (i32.and (call $rand) (i32.const 1))))
                   (i32.eqz (i32.and (call $rand) (i32.const 7))))
                 ;; Rarely more than a MiB.
                 (local.set $n) (select (i32.const {}) (local.get $n) (i32.eqz (i32.and (call $rand) (i32.const 511))))",
                0x12_0000 / size
            ),
            false => "(i32.rem_u (call $rand) (i32.const 4))".into(),
        };
        let next = format!(
            "(local.set $p (i32.add (local.get $p) (i32.const {size})))
             (local.set $n (i32.sub (local.get $n) (i32.const 1))) (br $again)"
        );
        format!(
            "(func $h{nth} (param $l i32) (local $p i32) (local $n i32)
               (local.set $p (i32.load (local.get $l))) (local.set $n (i32.load offset=4 (local.get $l)))
               (call $mix (i64.extend_i32_u (local.get $n)))
               (loop $again (if (local.get $n) (then {look} {next}))))
             (func $m{nth} (param $l i32) (local $p i32) (local $n i32)
               {len} (local.set $n)
               ;; Behind it are zeros, if too much is read.
               (local.set $p (call $alloc (i32.const {align})
                 (i32.add (i32.const 8) (i32.mul (local.get $n) (i32.const {size})))))
               (i32.store (local.get $l) (local.get $p)) (i32.store offset=4 (local.get $l) (local.get $n))
               (loop $again (if (local.get $n) (then {make} {next})))
               (call $list-made (local.get $l)))",
            look = look(element, "(local.get $p)", 0, lists),
            make = make(element, "(local.get $p)", 0, lists),
        )
    }
}

/// The core type of an exported function: its parameters, and `(result …)`.
fn core(function: &Function) -> (String, String) {
    let result = function.flat_result().0.map(|ty| format!("(result {ty})"));
    (function.flat_params().0.join(" "), result.unwrap_or_default())
}

fn slots(flat: &[&'static str]) -> Vec<(String, &'static str)> {
    flat.iter().enumerate().map(|(nth, ty)| (format!("$s{nth}"), *ty)).collect()
}

fn declare(text: &mut String, slots: &Slots) {
    for (name, ty) in slots {
        let _ = write!(text, "(local {name} {ty})");
    }
}
