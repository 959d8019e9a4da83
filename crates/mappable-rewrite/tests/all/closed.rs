//! Which trees are closed, and what stands in the way of the others.

use std::fs;
use std::path::Path;

use mappable_rewrite::{FunctionReport, Route, TierReport, inspect};

use crate::support::wasm;

/// The tier of a component in text.
fn tier(text: &str) -> TierReport {
    inspect(&wasm(text)).unwrap().tier
}

pub(crate) fn ledger(text: &str) -> (usize, usize) {
    match tier(text) {
        TierReport::Ledger { wrapped, builtins, .. } => {
            crate::ledger::written(&wasm(text));
            (wrapped, builtins)
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) fn obstacle(text: &str) -> String {
    match tier(text) {
        TierReport::Baseline { obstacle: Some(obstacle) } => obstacle.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Which functions of a tree of the ledger tier go the engine's way with handles, and why, a line each.
pub(crate) fn crossing(text: &str) -> String {
    ledger(text);
    let report = inspect(&wasm(text)).unwrap();
    let functions = report.components.into_iter().flat_map(|component| {
        let named = component.name.map_or(String::new(), |name| format!(" ({name})"));
        let said = move |function: FunctionReport| match function.route {
            Route::Crossing { why } => {
                Some(format!("`{}` in {}{named} {why}\n", function.function.unwrap_or_default(), component.path))
            }
            _ => None,
        };
        component.functions.into_iter().filter_map(said)
    });
    functions.collect()
}

fn nothing(text: &str) {
    assert_eq!(tier(text), TierReport::Baseline { obstacle: None });
}

/// What the package's instance is to a component that uses some of it.
pub(crate) const TYPES: &str = r#"
    (export "mappable" (type $m (sub resource)))
    (export "frozen" (type $f (sub resource)))
    (export "granule" (func (result u32)))
    (export "[method]mappable.size" (func (param "self" (borrow $m)) (result u64)))
    (export "[static]mappable.freeze" (func (param "this" (own $m)) (result (own $f))))"#;

/// The beginning of each component: the package, two of its types, a memory and modules.
pub(crate) fn head() -> String {
    format!(
        r#"
        (import "mappable:memory/types@0.1.0" (instance $types {TYPES}))
        (alias export $types "mappable" (type $mappable))
        (alias export $types "frozen" (type $frozen))
        {CORE}"#
    )
}

pub(crate) const CORE: &str = r#"
    (core module $libc (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
      (func (export "take") (param i32))
      (func (export "list") (param i32 i32)))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "memory" (core memory $memory))
    (alias core export $libc "realloc" (core func $realloc))"#;

/// Implements `take`, by a function that owns a `mappable`.
pub(crate) fn taker() -> String {
    format!(
        r#"{} (func $take (param "m" (own $mappable)) (canon lift (core func $libc "take")))
        (export "take" (func $take))"#,
        head()
    )
}

/// Calls `take`.
pub(crate) fn giver() -> String {
    format!(
        r#"{} (import "take" (func $take (param "m" (own $mappable))))
        (core func (canon lower (func $take)))"#,
        head()
    )
}

pub(crate) const WITH: &str = r#"(with "mappable:memory/types@0.1.0" (instance $types))"#;

/// Two components, the one joined to the other's function.
pub(crate) fn pair(after: &str) -> String {
    format!(
        r#"(component {}
            (component $taker {})
            (component $giver {})
            (instance $t (instantiate $taker {WITH}))
            (instance $g (instantiate $giver {WITH} (with "take" (func $t "take"))))
            {after})"#,
        head(),
        taker(),
        giver()
    )
}

#[test]
fn a_function_that_joins_two_components_is_closed() {
    assert_eq!(ledger(&pair("")), (2, 0));
}

#[test]
fn what_no_component_calls_gets_a_wrapper_if_it_has_handles() {
    let text = format!("(component {} (component $taker {}) (instance (instantiate $taker {WITH})))", head(), taker());
    assert_eq!(ledger(&text), (1, 0));
    nothing(&text.replace("(own $mappable)", "u32"));
}

#[test]
fn lowers_of_the_package_are_builtins_and_granule_is_not() {
    let lowers = r#"(core func (canon lower (func $types "granule")))
        (core func (canon lower (func $types "[method]mappable.size")))
        (core func (canon lower (func $types "[static]mappable.freeze")))"#;
    assert_eq!(ledger(&format!("(component {} {lowers})", head())), (0, 2));
    // And as deep down as you like.
    let nested = format!("(component {} {lowers})", head());
    let nested = nested.replacen("(component", "(component $inner", 1);
    let outer = |inner: String| format!("(component $inner {} {inner} (instance (instantiate $inner {WITH})))", head());
    let deep = (0..20).fold(nested, |inner, _| outer(inner));
    assert_eq!(ledger(&deep), (0, 2));
}

#[test]
fn a_tree_with_nothing_of_ours_and_no_lists_is_left_alone() {
    nothing("(component)");
    nothing(&format!("(component {CORE})"));
    // Not even what looks like ours, if the root imports it under another name, or a component has it of its own.
    let text = pair("").replace("mappable:memory/", "other:memory/");
    nothing(&text);
}

/// A list of plain data from one component to another.
fn listing(element: &str) -> String {
    format!(
        r#"(component
            (component $to {CORE}
              (type $e {element})
              (func (export "put") (param "l" (list $e)) (canon lift (core func $libc "list") (memory $memory) (realloc $realloc))))
            (component $from {CORE}
              (type $e {element})
              (import "put" (func $put (param "l" (list $e))))
              (core func (canon lower (func $put) (memory $memory))))
            (instance $to (instantiate $to))
            (instance (instantiate $from (with "put" (func $to "put")))))"#
    )
}

#[test]
fn lists_of_plain_data_in_closed_functions_go_by_window() {
    for plain in ["u8", "f64", "(tuple u32 s16)"] {
        assert_eq!(ledger(&listing(plain)), (2, 0), "{plain}");
    }
    for other in ["bool", "char", "string", "(list u8)", "(option u8)"] {
        nothing(&listing(other));
    }
}

#[test]
fn an_open_function_with_lists_is_no_obstacle() {
    nothing(&listing("u8").replacen(
        "(instance (instantiate $from",
        r#"(export "put" (func $to "put")) (instance (instantiate $from"#,
        1,
    ));
    // Nor one whose memory is not an ordinary one.
    nothing(&listing("u8").replacen(
        "(memory (export \"memory\") 1)",
        "(memory (export \"memory\") 1 (pagesize 1))",
        2,
    ));
}

#[test]
fn several_instances_of_one_component_are_one() {
    let more = format!(
        r#"(instance $t2 (instantiate $taker {WITH}))
        (instance (instantiate $giver {WITH} (with "take" (func $t2 "take"))))"#
    );
    assert_eq!(ledger(&pair(&more)), (2, 0));
    // One of them given to the outside gives all.
    let said = crossing(&pair(&format!(r#"{more} (export "other" (func $t2 "take"))"#)));
    assert!(said.contains("(root exports `other`)"), "{said}");
}

/// Passes `take` on, under a type renamed.
const SHIM: &str = r#"(component $shim
    (import "r" (type $r (sub resource)))
    (import "f" (func $f (param "m" (own $r))))
        (export "take" (func $f)))"#;

#[test]
fn functions_are_followed_through_shims_and_renamed_types() {
    let shim = r#"(instance $s (instantiate $shim (with "r" (type $mappable)) (with "f" (func $t "take"))))
        (alias export $s "take" (func $again))"#;
    let text = pair("").replacen("(component $taker", &format!("{SHIM} (component $taker"), 1);
    let text = text.replacen(r#"(func $t "take"))))"#, r#"(func $again))))"#, 1);
    let text = text.replacen("(instance $g", &format!("{shim} (instance $g"), 1);
    assert!(text.contains(r#"(func $again)"#));
    assert_eq!(ledger(&text), (2, 0));
    // A way out behind the shim is found.
    let open = text.trim_end().strip_suffix(')').unwrap().to_owned() + r#"(export "out" (func $again)))"#;
    assert!(crossing(&open).contains("(root exports `out`)"), "{}", crossing(&open));
}

#[test]
fn components_are_followed_through_outer_aliases() {
    let inner = format!(
        r#"(component $middle {} (alias outer $root $taker (component $mine))
            (instance $t (instantiate $mine {WITH}))
            (export "take" (func $t "take")))
        (instance $m (instantiate $middle {WITH}))"#,
        head()
    );
    let text = pair("").replacen("(component ", "(component $root ", 1);
    let text = text.replacen("(instance $t (instantiate", &format!("{inner} (instance $t (instantiate"), 1);
    assert_eq!(ledger(&text), (2, 0));
    let open = text.trim_end().strip_suffix(')').unwrap().to_owned() + r#"(export "out" (func $m "take")))"#;
    assert!(crossing(&open).contains("(root exports `out`)"));
}

#[test]
fn a_component_that_is_given_ours_and_anothers_resource_is_an_obstacle() {
    let drops = r#"(component $generic (import "r" (type $r (sub resource))) (core func (canon resource.drop $r)))"#;
    let once = r#"(instance (instantiate $generic (with "r" (type $mappable))))"#;
    let twice = r#"(type $own (resource (rep i32))) (instance (instantiate $generic (with "r" (type $own))))"#;
    let kinds = r#"(instance (instantiate $generic (with "r" (type $frozen))))"#;
    assert_eq!(ledger(&format!("(component {} {drops} {once})", head())), (0, 0));
    for more in [twice, kinds] {
        let said = obstacle(&format!("(component {} {drops} {once} {more})", head()));
        assert!(said.starts_with("root/0 (generic) is given `"), "{said}");
        assert!(said.ends_with("and another resource as its import `r`"), "{said}");
    }
}

#[test]
fn each_guest_of_the_project_has_a_tier() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/built");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            let report = inspect(&fs::read(&path).unwrap()).unwrap();
            eprintln!("{}: {:?}", path.display(), report.tier);
            seen += 1;
        }
    }
    assert!(seen > 10);
}
