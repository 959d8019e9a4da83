//! Compositions near a limit of the format: what is said of them is what is done to them.

use mappable_rewrite::{Obstacle, Reason, RewriteError, Settings, Tier, TierReport, inspect, rewrite_with};

use crate::support::{gate, wasm};
use mappable_testing::wat::{TYPES, import_types};

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
