//! Functions with handles that the root imports or exports: which get a bridge, and why others don't.

use mappable_rewrite::{Reason, RewriteError, Route, Settings, Tier, TierReport, inspect_with};

use crate::closed::{CORE, TYPES, WITH, giver, head, ledger, obstacle, pair, taker};

const EXPORT: &str = r#"(export "take" (func $t "take"))"#;

/// One component that is given the embedder's `take`: a function, or of an instance.
fn calling_out(import: &str, given: &str) -> String {
    format!(
        r#"(component {} {import} (component $giver {}) (instance (instantiate $giver {WITH} (with "take" {given}))))"#,
        head(),
        giver()
    )
}

const HOST: &str = r#"(import "host" (func $host (param "m" (own $mappable))))"#;
const HOSTS: &str = r#"(import "test:host/api" (instance $api
    (alias outer 1 $mappable (type $m')) (export "mappable" (type $m (eq $m')))
    (export "other" (func (param "s" string))) (export "take" (func (param "m" (own $m))))))"#;

#[test]
fn a_function_that_the_root_exports_has_a_bridge() {
    assert_eq!(ledger(&pair(EXPORT)), (2, 0));
    // By two names, and used after it was exported.
    let again = r#"(export $e "take" (func $t "take")) (export "again" (func $e))"#;
    let user = format!(r#"(instance (instantiate $giver {WITH} (with "take" (func $e))))"#);
    assert_eq!(ledger(&pair(&format!("{again} {user}"))), (2, 0));
    // With its type written out.
    let typed = r#"(export "take" (func $t "take") (func (param "m" (own $mappable))))"#;
    assert_eq!(ledger(&pair(typed)), (2, 0));
}

#[test]
fn a_function_of_an_instance_that_the_root_exports_has_a_bridge() {
    let exported = r#"(instance $api (export "take" (func $t "take")) (export "mappable" (type $mappable)))"#;
    assert_eq!(ledger(&pair(&format!(r#"{exported} (export "api" (instance $api))"#))), (2, 0));
    assert_eq!(ledger(&pair(r#"(export "api" (instance $t))"#)), (2, 0));
    let ty = r#"(instance (alias outer 1 $mappable (type $m')) (export "mappable" (type $m (eq $m')))
        (export "take" (func (param "m" (own $m)))))"#;
    let typed = format!(r#"{exported} (type $ty {ty}) (export "api" (instance $api) (instance (type $ty)))"#);
    assert_eq!(ledger(&pair(&typed)), (2, 0));
}

#[test]
fn a_function_of_the_roots_imports_has_a_bridge() {
    assert_eq!(ledger(&calling_out(HOST, "(func $host)")), (1, 0));
    assert_eq!(ledger(&calling_out(HOSTS, r#"(func $api "take")"#)), (1, 0));
    // To and fro.
    let exported = calling_out(HOST, "(func $host)");
    let exported = exported.strip_suffix(')').unwrap().to_owned() + r#"(export "take" (func $host)))"#;
    assert_eq!(ledger(&exported), (1, 0));
}

/// With another parameter of `take`, which comes to such core parameters.
fn taking(text: &str, ty: &str, flat: &str) -> String {
    let lift = r#"(canon lift (core func $libc "take") (memory $memory) (realloc $realloc))"#;
    [
        ("(own $mappable)", ty),
        (r#"(canon lift (core func $libc "take"))"#, lift),
        ("(canon lower (func $take))", "(canon lower (func $take) (memory $memory))"),
        (r#"(func (export "take") (param i32))"#, &format!(r#"(func (export "take") (param {flat}))"#)),
        // The package's mapping, too.
        (r#"(export "frozen" (type $f (sub resource)))"#, FROZEN_AND_MAPPING),
        (r#"(alias export $types "frozen" (type $frozen))"#, ALIASES),
    ]
    .iter()
    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

const FROZEN_AND_MAPPING: &str =
    r#"(export "frozen" (type $f (sub resource))) (export "mapping" (type (sub resource)))"#;
const ALIASES: &str = r#"(alias export $types "frozen" (type $frozen))
    (alias export $types "mapping" (type $mapping))"#;

#[test]
fn what_crosses_has_owned_handles_of_what_is_not_mapped_and_anything_else() {
    for (ty, flat) in [
        ("(own $frozen)", "i32"),
        ("(tuple (own $mappable) u64)", "i32 i64"),
        ("(option (own $mappable))", "i32 i32"),
        ("(result (own $mappable) (error string))", "i32 i32 i32"),
        ("(list (own $mappable))", "i32 i32"),
        ("(list (tuple string (result (own $mappable))))", "i32 i32"),
    ] {
        assert_eq!(ledger(&taking(&pair(EXPORT), ty, flat)), (2, 0), "{ty}");
        assert_eq!(ledger(&taking(&calling_out(HOST, "(func $host)"), ty, flat)), (1, 0), "{ty}");
    }
    // Any number of them.
    for (count, flat) in [(15, format!("i32 {}", "i64 ".repeat(15))), (16, "i32".to_owned())] {
        let params: String = (0..count).map(|n| format!(r#"(param "p{n}" u64) "#)).collect();
        let text =
            pair(EXPORT).replace(r#"(param "m" (own $mappable))"#, &format!(r#"(param "m" (own $mappable)) {params}"#));
        assert_eq!(ledger(&taking(&text, "(own $mappable)", &flat)), (2, 0));
    }
}

#[test]
fn what_does_not_cross_is_named() {
    for (ty, flat, why) in [
        ("(borrow $mappable)", "i32", "has a borrowed handle in its type"),
        ("(list (own $mapping))", "i32 i32", "has a mapping in its type"),
    ] {
        let said = obstacle(&taking(&pair(EXPORT), ty, flat));
        assert!(said.starts_with("`take` in root/0 (taker) has `map"), "{said}");
        assert!(said.ends_with(&format!("(root exports `take`), and {why}")), "{said}");
        let said = obstacle(&taking(&calling_out(HOST, "(func $host)"), ty, flat));
        assert!(said.ends_with(&format!("comes from outside (root imports `host`), and {why}")), "{said}");
    }
}

#[test]
fn an_instance_with_functions_of_a_resource_has_no_bridge() {
    let hosts = r#"(import "test:host/api" (instance $api
        (alias outer 1 $mappable (type $m')) (export "mappable" (type $m (eq $m')))
        (export "desk" (type $desk (sub resource)))
        (export "[method]desk.size" (func (param "self" (borrow $desk)) (result u64)))
        (export "take" (func (param "m" (own $m))))))"#;
    let said = obstacle(&calling_out(hosts, r#"(func $api "take")"#));
    assert_eq!(
        said,
        "`take` in root has `mappable` in its type, comes from outside (root imports `test:host/api`), and is in an \
         instance with functions of a resource"
    );
    // That very function is told to be it.
    let text = calling_out(hosts, r#"(func $api "take")"#);
    let report = mappable_rewrite::inspect(&crate::support::wasm(&text)).unwrap();
    let routes = report.components.iter().flat_map(|component| &component.functions).map(|function| &function.route);
    let why: Vec<_> = routes.filter(|route| matches!(route, Route::Baseline { .. })).collect();
    assert!(matches!(why[..], [Route::Baseline { why: Some(Reason::NoBridge { .. }) }]), "{why:?}");
}

/// An interface with types that have names, one of which has a handle, and one that none has.
const NAMED: &str = r#"
    (alias outer 1 $mappable (type $m')) (export "mappable" (type $m (eq $m')))
    (type $name' (record (field "name" string) (field "number" u8))) (export "name" (type $name (eq $name')))
    (type $frame' (record (field "name" $name) (field "region" (option (own $m)))))
    (export "frame" (type $frame (eq $frame')))
    (export "named" (func (param "name" $name) (result (list $name))))
    (export "turn" (func (param "frame" $frame) (result (list $frame))))"#;

/// A component that is given such an instance, and gives its like.
fn turner() -> String {
    format!(
        r#"{} (import "test:host/frames" (instance $frames {NAMED}))
        (alias export $frames "frame" (type $frame))
        (alias export $frames "turn" (func $turn))
        (core func (canon lower (func $turn) (memory $memory) (realloc $realloc)))
        (core module $m (func (export "turn") (param i32 i32 i32 i32 i32) (result i32) unreachable))
        (core instance $m (instantiate $m))
        (func $mine (param "frame" $frame) (result (list $frame))
          (canon lift (core func $m "turn") (memory $memory) (realloc $realloc)))
        (instance $it (export "frame" (type $frame)) (export "turn" (func $mine)))
        (export "turned" (instance $it))"#,
        head()
    )
}

#[test]
fn types_with_names_have_them_on_both_sides() {
    let text = |exports: &str| {
        format!(
            r#"(component {} (import "test:host/frames" (instance $frames {NAMED}))
              (component $turner {})
              (instance $t (instantiate $turner {WITH} (with "test:host/frames" (instance $frames))))
              {exports})"#,
            head(),
            turner()
        )
    };
    for exports in [
        r#"(alias export $t "turned" (instance $u)) (export "turned" (instance $u))"#,
        r#"(alias export $t "turned" (instance $u)) (alias export $u "turn" (func $turn)) (export "turn" (func $turn))"#,
    ] {
        assert_eq!(ledger(&text(exports)), (2, 0), "{exports}");
    }
}

#[test]
fn a_root_with_functions_of_its_own_stays_as_it_is_unless_the_ledger_is_asked_for() {
    let text = format!("(component {})", taker());
    assert_eq!(
        obstacle(&text),
        "`take` in root has `mappable` in its type, can be called from outside (root exports `take`), and the root lifts or \
         lowers functions itself (with Tier::Ledger it is nested)"
    );
    assert_eq!(nested(&text).unwrap(), (1, 0));
}

/// What becomes of a component that has to be the ledger's, or why it is none.
fn nested(text: &str) -> Result<(usize, usize), String> {
    let settings = Settings { tier: Tier::Ledger, ..Settings::default() };
    match inspect_with(&crate::support::wasm(text), settings).map(|report| report.tier) {
        Ok(TierReport::Ledger { wrapped, builtins }) => {
            crate::ledger::written(&crate::support::wasm(text));
            Ok((wrapped, builtins))
        }
        Err(RewriteError::NotClosed { obstacle }) => Err(obstacle.to_string()),
        other => panic!("{other:?}"),
    }
}

/// What a component has in its root that maps and unmaps a region, and takes and gives one.
fn mapper(before: &str, exports: &str) -> String {
    let types = mappable_testing::wat::import_types(mappable_testing::wat::TYPES);
    format!(
        r#"(component $mapper {before} {types}
          (alias export $types "[static]mappable.map" (func $map))
          (import "name" (func $name (result string)))
          (core module $m (memory (export "memory") 16)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
            (func (export "take") (param i32) (result i32) (local.get 0)))
          (core instance $m (instantiate $m))
          (core func (canon lower (func $map) (memory $m "memory")))
          (core func (canon lower (func $name) (memory $m "memory") (realloc (func $m "realloc"))))
          (func $take (param "m" (own $mappable)) (result (own $mappable)) (canon lift (core func $m "take")))
          {exports})"#
    )
}

#[test]
fn a_root_with_functions_of_its_own_is_nested_in_one_of_ours() {
    for exports in [
        r#"(export "take" (func $take))"#,
        r#"(export $m "m" (type $mappable)) (export "take" (func $take)) (instance $i (export "again" (func $take)))
           (export "more" (instance $i))"#,
    ] {
        assert_eq!(nested(&mapper("", exports)).unwrap(), (1, 1));
    }
    // What stands in the way then is told as of the component that was given.
    let exports = r#"(func $lent (param "m" (borrow $mappable)) (result u32) (canon lift (core func $m "take")))
        (export "take" (func $take)) (export "lent" (func $lent))"#;
    assert_eq!(
        nested(&mapper("", exports)).unwrap_err(),
        "`lent` in root (mapper) has `mappable` in its type, can be called from outside (root exports `lent`), and has a \
         borrowed handle in its type"
    );
}

#[test]
fn a_root_whose_imports_hang_on_what_it_has_by_itself_stays_as_it_is() {
    let exports = r#"(export "take" (func $take))"#;
    for before in ["(component $c) (instance (instantiate $c))", "(type (resource (rep i32)))", "(component $c)"] {
        let said = nested(&mapper(before, exports)).unwrap_err();
        let why = "and the root lifts or lowers functions itself, and imports something behind what it makes";
        assert!(said.ends_with(why), "{said}");
    }
    assert_eq!(nested(&mapper("(core module $none) (type (list u8))", exports)), Ok((1, 1)));
}

#[test]
fn a_root_that_does_not_import_the_package_once_and_first_has_no_bridges() {
    let twice = format!(r#"(import "mappable:memory/types@0.1.1" (instance {TYPES}))"#);
    let text = pair(EXPORT).replacen(CORE, &format!("{twice} {CORE}"), 1);
    assert!(obstacle(&text).ends_with("and the root imports the package more than once"), "{}", obstacle(&text));
    let text = pair(EXPORT).replacen("(component", "(component (component $none) (instance (instantiate $none))", 1);
    let why = "and the root imports the package after it has instantiated a component";
    assert!(obstacle(&text).ends_with(why), "{}", obstacle(&text));
}

#[test]
fn bridges_share_their_modules() {
    // Wasmtime can't tell more than 255 modules of a tree apart.
    let exports: String = (0..200).map(|n| format!(r#"(export "take{n}" (func $t "take"))"#)).collect();
    let output = crate::ledger::written(&crate::support::wasm(&pair(&exports)));
    let all = wasmparser::Parser::new(0).parse_all(&output);
    let modules = all.filter(|payload| matches!(payload, Ok(wasmparser::Payload::ModuleSection { .. }))).count();
    assert!(modules < 20, "{modules}");
}

#[test]
fn a_bridge_of_many_functions_is_several_components() {
    let exports: String = (0..1_000).map(|n| format!(r#"(export "take{n}" (func $t "take"))"#)).collect();
    let text = pair(&format!(
        r#"(instance $all (export "mappable" (type $mappable)) {exports}) (export "all" (instance $all))"#
    ));
    assert_eq!(ledger(&text), (2, 0));
}
