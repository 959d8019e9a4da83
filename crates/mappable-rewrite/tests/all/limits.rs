//! Compositions near a limit, of the format or of ours: what is said of them is what is done to them.

use mappable_rewrite::{Obstacle, Reason, RewriteError, Settings, Tier, TierReport, inspect, rewrite_with};

use crate::support::{gate, wasm};
use mappable_testing::wat::{TYPES, import_types};
use wasmparser::{Parser, Payload};

/// `a` calls so many functions of `b`, each of which takes a region; `inside` is put into `a` as well.
fn composition(functions: usize, param: impl Fn(usize) -> String, inside: &str) -> Vec<u8> {
    let each = |text: &dyn Fn(usize) -> String| (0..functions).map(text).collect::<String>();
    let param = |number: usize| format!(r#"(param "m" (own $mappable)) {}"#, param(number));
    let types = import_types(TYPES);
    wasm(&format!(
        r#"(component {types}
          (component $B {types}
            (core module $M {funcs})
            (core instance $m (instantiate $M))
            {lifts})
          (component $A {types} {inside} {imports} {lowers})
          (instance $b (instantiate $B (with "{TYPES}" (instance $types))))
          (instance $a (instantiate $A (with "{TYPES}" (instance $types)) {with})))"#,
        funcs = each(&|number| {
            let params = param(number).matches("(param").map(|_| "(param i32)").collect::<String>();
            format!(r#"(func (export "f{number}") {params})"#)
        }),
        lifts = each(&|number| {
            format!(r#"(func (export "f{number}") {} (canon lift (core func $m "f{number}")))"#, param(number))
        }),
        imports = each(&|number| format!(r#"(import "f{number}" (func $f{number} {}))"#, param(number))),
        lowers = each(&|number| format!(r#"(core func (canon lower (func $f{number})))"#)),
        with = each(&|number| format!(r#"(with "f{number}" (func $b "f{number}"))"#)),
    ))
}

fn plain(_: usize) -> String {
    String::new()
}

/// The tier that a composition is said to be for, which is the one that it is written for. `Tier::Ledger` refuses what is
/// not for the ledger, and says why in the same words.
fn tier(composition: &[u8]) -> TierReport {
    let with = |tier| rewrite_with(composition, &gate(), Settings { tier, ..Settings::default() });
    let said = inspect(composition).unwrap().tier;
    let auto = with(Tier::Auto).unwrap();
    assert_eq!(auto.report.tier, said);
    wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(&auto.bytes).unwrap();
    match (&said, with(Tier::Ledger)) {
        (TierReport::Ledger { .. }, forced) => assert!(forced.unwrap().bytes == auto.bytes),
        (TierReport::Baseline { obstacle }, forced) => {
            let Err(error @ RewriteError::NotClosed { .. }) = forced else { panic!("{said:?}: {forced:?}") };
            let text = error.to_string();
            assert!(text.ends_with(&obstacle.as_ref().unwrap().to_string()) && !text.contains("bug"), "{text}");
        }
    }
    said
}

#[track_caller]
fn no_room(composition: &[u8], component: &str, of: &str) {
    match tier(composition) {
        TierReport::Baseline { obstacle: Some(Obstacle { component: found, reason: Reason::NoRoom(what), .. }) } => {
            assert_eq!((found.to_string().as_str(), what.as_str()), (component, of));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_composition_with_room_is_for_the_ledger() {
    assert_eq!(tier(&composition(400, plain, "")), TierReport::Ledger { wrapped: 800, crossing: 0, builtins: 0 });
}

#[test]
fn any_number_of_functions_has_room() {
    assert_eq!(tier(&composition(2500, plain, "")), TierReport::Ledger { wrapped: 5000, crossing: 0, builtins: 0 });
}

#[test]
fn more_instances_than_wrappers_have_room_for_stay_at_baseline() {
    let instances = format!("(core module $none) {}", "(core instance (instantiate $none))".repeat(997));
    no_room(&composition(1, plain, &instances), "root/1", "instances count exceeds limit of 1000");
}

#[test]
fn more_modules_than_wrappers_have_room_for_stay_at_baseline() {
    let modules = "(core module)".repeat(1000);
    no_room(&composition(1, plain, &modules), "root/1", "modules count exceeds limit of 1000");
}

#[test]
fn a_built_in_with_types_of_its_own_stays_at_baseline() {
    let spawn = "(core type $start (shared (func (param i32)))) (core func (canon thread.spawn-ref $start))";
    match tier(&composition(1, plain, spawn)) {
        TierReport::Baseline { obstacle: Some(Obstacle { reason: Reason::TypesOfItsOwn, .. }) } => {}
        other => panic!("{other:?}"),
    }
}

/// `a` calls functions of `b` as often as it says, which have these results; `types` are in both.
fn calls(types: &str, results: &[String], lowers: usize) -> Vec<u8> {
    let each = |text: &dyn Fn(usize, &str) -> String| {
        results.iter().enumerate().map(|(number, result)| text(number, result)).collect::<String>()
    };
    let core = r#"(core module $M (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "f") (result i32) unreachable))
        (core instance $m (instantiate $M)) (alias core export $m "f" (core func $f))
        (alias core export $m "memory" (core memory $memory)) (alias core export $m "realloc" (core func $realloc))"#;
    wasm(&format!(
        r#"(component
          (component $B {types} {core} {lifts})
          (component $A {types} {core} {imports} {lowers})
          (instance $b (instantiate $B))
          (instance $a (instantiate $A {with})))"#,
        lifts = each(&|number, result| {
            format!(r#"(func (export "f{number}") (result {result}) (canon lift (core func $f) (memory $memory)))"#)
        }),
        imports = each(&|number, result| format!(r#"(import "f{number}" (func $f{number} (result {result})))"#)),
        lowers = each(&|number, _| {
            format!("(core func (canon lower (func $f{number}) (memory $memory) (realloc $realloc)))").repeat(lowers)
        }),
        with = each(&|number, _| format!(r#"(with "f{number}" (func $b "f{number}"))"#)),
    ))
}

/// A type of so many lists, for which a wrapper has some 200 bytes each.
fn lists(lists: usize) -> (String, String) {
    let tuple = format!("(tuple {})", "(list u8) ".repeat(100));
    (format!("(type $hundred {tuple})"), format!("(tuple {})", "$hundred ".repeat(lists / 100)))
}

/// The lengths of the core modules in a component.
fn modules(component: &[u8]) -> Vec<usize> {
    let modules = Parser::new(0).parse_all(component).filter_map(|payload| match payload.unwrap() {
        Payload::ModuleSection { unchecked_range, .. } => Some(unchecked_range.len()),
        _ => None,
    });
    modules.collect()
}

#[test]
fn a_type_that_becomes_larger_is_as_large_as_it_may_be() {
    // 9,850 types, lists and what is in them: and half as many more when each list is two numbers.
    let (types, result) = lists(4900);
    let tier = tier(&calls(&types, &[result], 1));
    assert_eq!(tier, TierReport::Ledger { wrapped: 2, crossing: 0, builtins: 0 });
}

#[test]
fn many_uses_of_a_large_type_have_one_module() {
    let (types, result) = lists(3000);
    let input = calls(&types, &[result], 20);
    let output = rewrite_with(&input, &gate(), Settings::default()).unwrap();
    assert_eq!(output.report.tier, TierReport::Ledger { wrapped: 21, crossing: 0, builtins: 0 });
    let large = modules(&output.bytes).into_iter().filter(|bytes| *bytes > 400_000).count();
    assert_eq!(large, 2, "that of the lift, and that of the lowers");
    // Those of a small type are a bundle.
    let (types, result) = lists(300);
    let input = calls(&types, &[result], 20);
    let output = rewrite_with(&input, &gate(), Settings::default()).unwrap();
    let bundles = modules(&output.bytes).into_iter().filter(|bytes| *bytes > 1_000_000).count();
    assert_eq!(bundles, 1);
}

#[test]
fn more_uses_of_a_large_type_than_have_an_instance_each_stay_at_baseline() {
    let (types, result) = lists(300);
    match tier(&calls(&types, &[result], 1001)) {
        TierReport::Baseline { obstacle: Some(Obstacle { component, reason: Reason::NoRoom(_), .. }) } => {
            assert_eq!(component.to_string(), "root/1");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn more_large_types_than_there_is_code_for_stay_at_baseline() {
    let (types, result) = lists(3000);
    let results = |number| (0..number).map(|number| format!("(tuple {result} {})", "u8 ".repeat(number + 1)));
    let tier = |number| tier(&calls(&types, &results(number).collect::<Vec<_>>(), 1));
    assert_eq!(tier(4), TierReport::Ledger { wrapped: 8, crossing: 0, builtins: 0 });
    match tier(24) {
        TierReport::Baseline { obstacle: Some(Obstacle { reason: Reason::TooLarge, .. }) } => {}
        other => panic!("{other:?}"),
    }
}
