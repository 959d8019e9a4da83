//! How often types are looked at: a guest's may be large, and it may have them at any number of functions.

use crate::ledger::signature::LOOKS;
use crate::{Gate, Settings, TierReport, rewrite_with};
use mappable_testing::wat::{TYPES, import_types};

/// How often all of a signature is looked at while a component is rewritten for the ledger, with so many wrappers. A hash leads
/// to a type that is not equal now and then: what is looked at twice is not exact.
fn looks(text: &str, wrapped: usize, crossing: usize) -> usize {
    let component = wat::parse_str(text).unwrap();
    let before = LOOKS.get();
    let rewritten = rewrite_with(&component, &Gate::new("k0").unwrap(), Settings::default()).unwrap();
    let looks = LOOKS.get() - before;
    assert_eq!(rewritten.report.tier, TierReport::Ledger { wrapped, crossing, builtins: 0 });
    looks
}

const CORE: &str = r#"(core module $M (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable) (func (export "f") (param i32)))
    (core instance $m (instantiate $M)) (alias core export $m "f" (core func $f))
    (alias core export $m "memory" (core memory $memory)) (alias core export $m "realloc" (core func $realloc))"#;

/// `pairs` of components, in each of which one calls eight functions of the other, as often as it says. No two functions are of
/// the same type. But all have the same module, since only where their handle is matters, and that is in memory.
fn pairs(pairs: usize, lowers: usize) -> String {
    let import = import_types(TYPES);
    let each = |pair: usize, text: &dyn Fn(usize, String) -> String| {
        (0..8).map(|nth| text(nth, ty(8 * pair + nth))).collect::<String>()
    };
    let types = format!(r#"(with "{TYPES}" (instance $types))"#);
    let pairs = (0..pairs).map(|pair| {
        format!(
            r#"(component $B{pair} {import} {CORE} {lifts})
            (component $A{pair} {import} {CORE} {imports} {lowers})
            (instance $b{pair} (instantiate $B{pair} {types}))
            (instance (instantiate $A{pair} {types} {with}))"#,
            lifts = each(pair, &|nth, ty| {
                format!(
                    r#"(func (export "f{nth}") {ty} (canon lift (core func $f) (memory $memory) (realloc $realloc)))"#
                )
            }),
            imports = each(pair, &|nth, ty| format!(r#"(import "f{nth}" (func $f{nth} {ty}))"#)),
            lowers = each(pair, &|nth, _| {
                format!("(core func (canon lower (func $f{nth}) (memory $memory)))").repeat(lowers)
            }),
            with = each(pair, &|nth, _| format!(r#"(with "f{nth}" (func $b{pair} "f{nth}"))"#)),
        )
    });
    format!("(component {import} {})", pairs.collect::<String>())
}

/// The function type of that number: a handle, and a byte for each of its bits.
fn ty(number: usize) -> String {
    let byte = |bit: usize| format!(r#"(param "p{bit}" {})"#, ["u8", "s8"][number >> bit & 1]);
    format!(r#"(param "m" (own $mappable)) {}"#, (0..16).map(byte).collect::<String>())
}

#[test]
fn each_of_many_types_is_looked_at_as_often_as_each_of_few() {
    let looks = |of: usize| looks(&pairs(of, 1), 16 * of, 0);
    let (few, many) = (looks(2), looks(16));
    assert!(many < few * 8 * 5 / 4, "{few} for 2, {many} for 16");
}

#[test]
fn more_uses_of_a_function_take_no_more_looks_at_its_type() {
    let looks = |lowers: usize| looks(&pairs(1, lowers), 8 + 8 * lowers, 0);
    let (few, many) = (looks(4), looks(100));
    assert!(many < few * 5 / 4, "{few} for 4, {many} for 100");
}

#[test]
fn more_functions_of_a_type_take_no_more_looks_at_it() {
    let (import, ty) = (import_types(TYPES), format!("(type $t (func {}))", ty(0)));
    let looks = |functions: usize| {
        let each = |text: &dyn Fn(usize) -> String| (0..functions).map(text).collect::<String>();
        let lifts = each(&|n| {
            format!(
                r#"(func (export "f{n}") (type $t) (canon lift (core func $f) (memory $memory) (realloc $realloc)))"#
            )
        });
        let imports = each(&|n| format!(r#"(import "f{n}" (func $f{n} (type $t)))"#));
        let lowers = each(&|n| format!("(core func (canon lower (func $f{n}) (memory $memory)))"));
        let with = each(&|n| format!(r#"(with "f{n}" (func $b "f{n}"))"#));
        let types = format!(r#"(with "{TYPES}" (instance $types))"#);
        let closed = format!(
            r#"(component {import} (component $B {import} {ty} {CORE} {lifts}) (component $A {import} {ty} {CORE} {imports} {lowers})
            (instance $b (instantiate $B {types})) (instance (instantiate $A {types} {with})))"#
        );
        let crossing = format!("(component {import} {ty} {CORE} {imports} {lowers})");
        [looks(&closed, 2 * functions, 0), looks(&crossing, 0, functions)]
    };
    for (few, many) in looks(20).into_iter().zip(looks(200)) {
        assert!(many < few * 5 / 4, "{few} for 20, {many} for 200");
    }
}
