//! The core module that calls the swapping functions: a short random program without jumps backwards.
//!
//! It keeps one handle of each kind, logs what it is answered and what it loads, and shows all of its memories at the
//! end.

use arbitrary::{Result, Unstructured};

use super::Lowered;

/// The type of a lowered swapping function.
const SWAP: &str = "(param i32 i32 i32 i32)";
/// Where placements and return areas may be: nothing else is there.
const AREA: u32 = 64;
const PAGE: u32 = 65_536;

pub(super) struct Guest {
    memories: usize,
    lowers: usize,
    program: String,
    /// Whether some return area is out of bounds or misaligned.
    pub(super) bad_areas: bool,
}

impl Guest {
    pub(super) fn new(u: &mut Unstructured<'_>, lowered: &[Lowered], memories: usize) -> Result<Self> {
        let mut guest = Guest { memories, lowers: lowered.len(), program: String::new(), bad_areas: false };
        for _ in 0..u.int_in_range(1..=10)? {
            let statement = guest.statement(u, lowered)?;
            guest.program += &statement;
        }
        Ok(guest)
    }

    fn statement(&mut self, u: &mut Unstructured<'_>, lowered: &[Lowered]) -> Result<String> {
        let memory = u.choose_index(self.memories)?;
        let address = u.int_in_range(0..=70_000u32)?;
        Ok(match u.int_in_range(0..=15)? {
            0..=6 if !lowered.is_empty() => return self.swap(u, lowered),
            7 => format!("(i32.store $m{memory} (i32.const {}) (i32.const {address}))", address % 60_000),
            8 => format!("(call $log (i32.load $m{memory} (i32.const {})))", address % 65_000),
            9 => format!("(call $log (memory.grow $m{memory} (i32.const {})))", address % 3),
            10 => format!("(call $log (memory.size $m{memory}))"),
            11 => format!("(memory.fill $m{memory} (i32.const {}) (i32.const 7) (i32.const 300))", address % 60_000),
            12 if u.ratio(1, 4)? => {
                "(if (local.get $a) (then (call $drop-a (local.get $a)) (local.set $a (i32.const 0))))".into()
            }
            13 if u.ratio(1, 4)? => {
                "(if (local.get $b) (then (call $drop-b (local.get $b)) (local.set $b (i32.const 0))))".into()
            }
            // A trap where memory ends.
            14 if u.ratio(1, 8)? => format!("(i32.store $m{memory} offset=60000 (i32.const {address}) (i32.const 1))"),
            _ => "(if (i32.eqz (local.get $a)) (then (local.set $a (call $make))))".into(),
        })
    }

    /// A call of a swapping function, and a look at its answer.
    fn swap(&mut self, u: &mut Unstructured<'_>, lowered: &[Lowered]) -> Result<String> {
        let nth = u.choose_index(lowered.len())?;
        let Lowered { maps, memory } = lowered[nth];
        let (takes, gives) = if maps { ("$a", "$b") } else { ("$b", "$a") };
        let at = u.int_in_range(0..=2_000u32)?;
        let len = *u.choose(&[0, 1, 64, 5_000, 60_000, 70_000])?;
        let area = match u.int_in_range(0..=255)? {
            // Misaligned, out of bounds, and reaching over a page's end.
            255 => AREA + 2,
            254 => 0xffff_fff8,
            253 => PAGE - 8,
            // At the very end of the first page.
            220..=252 => PAGE - 12,
            nth => AREA + nth % 64 * 4,
        };
        self.bad_areas |= area % 4 != 0 || area > PAGE - 12;
        let call = match u.arbitrary()? {
            true => format!("(call $f{nth}"),
            false => "(call_indirect $own (type $swap)".into(),
        };
        let index = if call.starts_with("(call_i") { format!("(i32.const {nth})") } else { String::new() };
        // Rarely a handle that is none: with it the call traps.
        let guard = if u.ratio(1, 40)? { "(i32.const 1)".into() } else { format!("(local.get {takes})") };
        let other = format!("(if (local.get {gives}) (then (call {} (local.get {gives}))))", drop_of(gives));
        Ok(format!(
            r#"(if {guard} (then
                 {call} (local.get {takes}) (i32.const {at}) (i32.const {len}) (i32.const {area}) {index})
                 (call $log (i32.load8_u $m{memory} (i32.const {area})))
                 (if (i32.load8_u $m{memory} (i32.const {area}))
                   (then (local.set {takes} (i32.load $m{memory} offset=4 (i32.const {area})))
                         (call $log (i32.load8_u $m{memory} offset=8 (i32.const {area}))))
                   (else {other}
                         (local.set {takes} (i32.const 0))
                         (local.set {gives} (i32.load $m{memory} offset=4 (i32.const {area})))))))"#
        ))
    }

    /// The guest's module.
    fn module(&self) -> String {
        let swaps: String =
            (0..self.lowers).map(|nth| format!(r#"(import "h" "f{nth}" (func $f{nth} (type $swap)))"#)).collect();
        let dumps: String = (0..self.memories)
            .map(|nth| format!(r#"(import "h" "dump{nth}" (func $dump{nth} (param i32 i32)))"#))
            .collect();
        let memories: String =
            (0..self.memories).map(|nth| format!(r#"(import "h" "m{nth}" (memory $m{nth} 1))"#)).collect();
        let elements: String = (0..self.lowers).map(|nth| format!(" $f{nth}")).collect();
        let shown: String = (0..self.memories)
            .map(|nth| format!("(call $dump{nth} (i32.const 0) (i32.mul (memory.size $m{nth}) (i32.const 65536)))"))
            .collect();
        format!(
            r#"(core module $main (type $swap (func {SWAP})) {swaps} {dumps}
                 (import "h" "log" (func $log (param i32)))
                 (import "h" "make" (func $make (result i32)))
                 (import "h" "drop-a" (func $drop-a (param i32)))
                 (import "h" "drop-b" (func $drop-b (param i32)))
                 {memories}
                 (table $own funcref (elem {elements}))
                 (func (export "run") (local $a i32) (local $b i32)
                   (local.set $a (call $make))
                   {} {shown}))"#,
            self.program
        )
    }

    /// What the guest imports but the swapping functions.
    fn others(&self) -> String {
        let memories: String = (0..self.memories)
            .map(|nth| format!(r#"(export "m{nth}" (memory $memory{nth})) (export "dump{nth}" (func $dump{nth}))"#))
            .collect();
        format!(
            r#"(export "log" (func $log')) (export "make" (func $make)) {memories}
               (export "drop-a" (func $drop-mappable)) (export "drop-b" (func $drop-mapping))"#
        )
    }

    /// So many guests on the lowered functions themselves.
    pub(super) fn instances(&self, count: usize) -> String {
        let swaps: String = (0..self.lowers).map(|nth| format!(r#"(export "f{nth}" (func $l{nth}))"#)).collect();
        let (module, given) = (self.module(), format!("{} {swaps}", self.others()));
        if count == 1 {
            return format!(r#"{module} (core instance $main0 (instantiate $main (with "h" (instance {given}))))"#);
        }
        let each: String = (0..count)
            .map(|nth| format!(r#"(core instance $main{nth} (instantiate $main (with "h" (instance $given))))"#))
            .collect();
        format!("{module} (core instance $given {given}) {each}")
    }

    /// A table that will hold the lowered functions, and the guest on functions that look them up.
    pub(super) fn table_before(&self) -> String {
        let shims: String = (0..self.lowers)
            .map(|nth| {
                format!(
                    r#"(func (export "f{nth}") (type $swap) (call_indirect (type $swap)
                         (local.get 0) (local.get 1) (local.get 2) (local.get 3) (i32.const {nth})))"#
                )
            })
            .collect();
        let aliases: String = (0..self.lowers)
            .map(|nth| format!(r#"(alias core export $shim "f{nth}" (core func $shim{nth}))"#))
            .collect();
        let swaps: String = (0..self.lowers).map(|nth| format!(r#"(export "f{nth}" (func $shim{nth}))"#)).collect();
        format!(
            r#"(core module $shim (type $swap (func {SWAP})) (table (export "t") {} funcref) {shims})
               (core instance $shim (instantiate $shim)) {aliases} {}
               (core instance $main0 (instantiate $main (with "h" (instance {} {swaps}))))"#,
            self.lowers,
            self.module(),
            self.others()
        )
    }

    /// Puts the lowered functions into the table.
    pub(super) fn table_after(&self) -> String {
        let imports: String =
            (0..self.lowers).map(|nth| format!(r#"(import "" "f{nth}" (func $f{nth} {SWAP}))"#)).collect();
        let elements: String = (0..self.lowers).map(|nth| format!(" $f{nth}")).collect();
        let swaps: String = (0..self.lowers).map(|nth| format!(r#"(export "f{nth}" (func $l{nth}))"#)).collect();
        format!(
            r#"(core module $fixups {imports} (import "" "t" (table $t {} funcref))
                 (elem (table $t) (i32.const 0) func {elements}))
               (alias core export $shim "t" (core table $shims))
               (core instance $fixups (instantiate $fixups
                 (with "" (instance (export "t" (table $shims)) {swaps}))))"#,
            self.lowers
        )
    }
}

fn drop_of(handle: &str) -> &'static str {
    if handle == "$a" { "$drop-a" } else { "$drop-b" }
}
