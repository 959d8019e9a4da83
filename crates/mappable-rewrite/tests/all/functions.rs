//! What a report says of each function: which way its calls go, and why not the other.

use mappable_rewrite::{Report, Route, Settings, Tier, TierReport, inspect, inspect_with};

use crate::closed::{CORE, WITH, giver, head, taker};
use crate::support::wasm;

/// Two components: the first offers `take` (a region), `sum` (a list), `name` (a string) and `count` (a number), and the
/// second calls them all. `after` comes last in the root.
fn tree(after: &str) -> Vec<u8> {
    let lists = [("sum", "(list u32)"), ("name", "string")];
    let lift = |(name, ty): (&str, &str)| {
        format!(
            r#"(func ${name} (param "l" {ty}) (canon lift (core func $libc "list") (memory $memory) (realloc $realloc)))
            (export "{name}" (func ${name}))"#
        )
    };
    let lower = |(name, ty): (&str, &str)| {
        format!(
            r#"(import "{name}" (func ${name} (param "l" {ty})))
            (core func (canon lower (func ${name}) (memory $memory)))"#
        )
    };
    let count = r#"(func $count (param "n" u32) (canon lift (core func $libc "take"))) (export "count" (func $count))"#;
    let lifts = lists.map(lift).concat() + count;
    let lowers =
        lists.map(lower).concat() + r#"(import "count" (func $c (param "n" u32))) (core func (canon lower (func $c)))"#;
    let with = ["take", "sum", "name", "count"].map(|name| format!(r#"(with "{name}" (func $t "{name}"))"#)).concat();
    wasm(&format!(
        r#"(component {}
            (component $taker {} {lifts})
            (component $giver {} {lowers})
            (instance $t (instantiate $taker {WITH}))
            (instance $g (instantiate $giver {WITH} {with}))
            {after})"#,
        head(),
        taker(),
        giver()
    ))
}

/// By name: the way of its lift, and of its lower.
fn routes(report: &Report, name: &str) -> (Route, Route) {
    let of = |lift| {
        let mut functions = report.components.iter().flat_map(|component| &component.functions);
        let found = functions.find(|function| function.lift == lift && function.function.as_deref() == Some(name));
        found.unwrap_or_else(|| panic!("no {name}: {:?}", report.components)).route.clone()
    };
    (of(true), of(false))
}

fn both(report: &Report, name: &str) -> Route {
    let (lift, lower) = routes(report, name);
    assert_eq!(lift, lower, "{name}");
    lift
}

#[test]
fn in_the_ledger_tier_handles_and_plain_lists_go_its_way_and_all_else_the_engines() {
    let report = inspect(&tree("")).unwrap();
    assert_eq!(report.tier, TierReport::Ledger { wrapped: 4, crossing: 0, builtins: 0 });
    assert_eq!(both(&report, "take"), Route::Ledger);
    assert_eq!(both(&report, "sum"), Route::Ledger);
    assert_eq!(both(&report, "name"), Route::Engine { why: None });
    assert_eq!(both(&report, "count"), Route::Engine { why: None });
}

#[test]
fn a_list_that_the_embedder_can_pass_goes_the_engines_way_and_says_why() {
    let report = inspect(&tree(r#"(export "sum" (func $t "sum"))"#)).unwrap();
    assert_eq!(report.tier, TierReport::Ledger { wrapped: 2, crossing: 0, builtins: 0 });
    assert_eq!(both(&report, "take"), Route::Ledger);
    let Route::Engine { why: Some(why) } = both(&report, "sum") else { panic!("it is open") };
    let said = "has a list of plain data in its type, and can be called from outside (root exports `sum`)";
    assert_eq!(why.to_string(), said);
}

/// The way of a function that one component offers and another calls, which takes a value of that type: so many words.
fn route_of(ty: &str, words: usize) -> Route {
    let take = format!(r#"(func (export "list") (param {}))"#, "i32 ".repeat(words));
    let core = CORE.replace(r#"(func (export "list") (param i32 i32))"#, &take);
    let text = format!(
        r#"(component
            (component $taker {core} (type $v' {ty}) (export $v "v" (type $v'))
                (func $take (param "v" $v)
                    (canon lift (core func $libc "list") (memory $memory) (realloc $realloc)))
                (export "take" (func $take)))
            (component $giver {core} (type $v' {ty}) (import "v" (type $v (eq $v')))
                (import "take" (func $take (param "v" $v)))
                (core func (canon lower (func $take) (memory $memory))))
            (instance $t (instantiate $taker))
            (instance $g (instantiate $giver (with "v" (type $t "v")) (with "take" (func $t "take")))))"#
    );
    both(&inspect(&wasm(&text)).unwrap(), "take")
}

#[test]
fn a_list_goes_its_way_within_any_variant_of_what_wrappers_can_pass_and_else_it_is_said_why() {
    let variant = |case: &str| format!(r#"(variant (case "none") (case "list" (list u8)) (case "other" {case}))"#);
    for (case, words) in [("u8", 3), ("char", 3), ("bool", 3), ("(list u32)", 3), ("(option (list u8))", 4)] {
        assert_eq!(route_of(&variant(case), words), Route::Ledger, "{case}");
    }
    let said = |ty: &str| match route_of(ty, 3) {
        Route::Engine { why: Some(why) } => why.to_string(),
        other => panic!("{ty}: {other:?}"),
    };
    let beside = "has a list of plain data in its type, and only the engine can pass what is beside it";
    for case in ["string", "(list char)"] {
        assert_eq!(said(&variant(case)), beside);
    }
    let within = "has a list of plain data in its type, and it is an element of another list";
    assert_eq!(said("(result (list (list u8)) (error u8))"), within);
}

/// One more component, which offers functions whose handles nobody finds: in a memory of small pages.
fn paged(names: &[&str]) -> String {
    let lift = |name: &&str| {
        format!(
            r#"(func ${name} (result (list (own $mappable))) (canon lift (core func $odd "give") (memory $odd "memory")))
            (export "{name}" (func ${name}))"#
        )
    };
    let lifts: String = names.iter().map(lift).collect();
    let odd = r#"(core module $odd (memory (export "memory") 1 (pagesize 1))
            (func (export "give") (result i32) unreachable))
        (core instance $odd (instantiate $odd))"#;
    format!("(component $other {} {odd} {lifts}) (instance (instantiate $other {WITH}))", head())
}

#[test]
fn in_the_baseline_tier_the_function_at_fault_has_a_reason_and_those_beside_it_have_none() {
    let report = inspect(&tree(&paged(&["never"]))).unwrap();
    let TierReport::Baseline { obstacle: Some(obstacle) } = &report.tier else { panic!("{:?}", report.tier) };
    assert_eq!(obstacle.function.as_deref(), Some("never"));
    assert_eq!(both(&report, "take"), Route::Baseline { why: None });
    assert_eq!(both(&report, "sum"), Route::Baseline { why: None });
    assert_eq!(both(&report, "name"), Route::Engine { why: None });
    let functions = &report.components[3].functions;
    let [never] = &functions[..] else { panic!("{functions:?}") };
    assert_eq!(never.route, Route::Baseline { why: Some(obstacle.reason.clone()) });
}

#[test]
fn each_function_at_fault_is_named_and_not_the_first_alone() {
    let report = inspect(&tree(&paged(&["a", "b"]))).unwrap();
    let faults = report.components[3]
        .functions
        .iter()
        .filter(|function| matches!(&function.route, Route::Baseline { why: Some(_) }));
    assert_eq!(faults.map(|function| function.function.as_deref()).collect::<Vec<_>>(), [Some("a"), Some("b")]);
}

#[test]
fn where_the_tier_is_not_chosen_no_function_is_told() {
    let settings = Settings { tier: Tier::Baseline, ..Settings::default() };
    let report = inspect_with(&tree(""), settings).unwrap();
    assert!(report.components.iter().all(|component| component.functions.is_empty()));
}

#[test]
fn a_function_without_a_name_is_called_as_its_caller_does() {
    let text = format!(
        r#"(component {CORE} (component $c {CORE}
            (func (param "l" (list u8)) (canon lift (core func $libc "list") (memory $memory) (realloc $realloc)))))"#
    );
    let report = inspect(&wasm(&text)).unwrap();
    assert_eq!(report.components[1].functions[0].function, None);
}
