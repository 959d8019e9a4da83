//! Functions with handles that the root imports or exports: which get a bridge, and why others don't.

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

#[test]
fn what_crosses_is_of_scalars_and_owned_handles() {
    for (ty, why) in [
        ("(borrow $mappable)", "has a borrowed handle in its type"),
        ("(tuple (own $mappable))", "has more than numbers and owned handles in its type"),
    ] {
        let text = pair(EXPORT).replace("(own $mappable)", ty);
        let begin = "`take` in root/0 (taker) has `mappable` in its type, can be called from outside";
        assert_eq!(obstacle(&text), format!("{begin} (root exports `take`), and {why}"));
    }
    let said = obstacle(&calling_out(HOST, "(func $host)").replace("(own $mappable)", "(borrow $mappable)"));
    assert_eq!(
        said,
        "`take` in root/0 (giver) has `mappable` in its type, comes from outside (root imports `host`), and has a \
         borrowed handle in its type"
    );
    // Any number of scalars, as long as there are registers.
    let scalars = |count: usize| {
        let of = |ty: &str| format!(r#"(param "m" (own $mappable)) {}"#, params(ty, count));
        let text = pair(EXPORT).replace(r#"(param "m" (own $mappable))"#, &of("u64"));
        text.replace(r#"(func (export "take") (param i32))"#, &core(count))
    };
    assert_eq!(ledger(&scalars(15)), (2, 0));
    let memory = |text: String| {
        let lift = r#"(canon lift (core func $libc "take") (memory $memory) (realloc $realloc))"#;
        text.replace(r#"(canon lift (core func $libc "take"))"#, lift)
            .replace("(canon lower (func $take))", "(canon lower (func $take) (memory $memory))")
            .replace(&core(16), r#"(func (export "take") (param i32))"#)
    };
    assert!(obstacle(&memory(scalars(16))).ends_with("has more parameters than go in registers"));
}

fn params(ty: &str, count: usize) -> String {
    (0..count).map(|n| format!(r#"(param "p{n}" {ty}) "#)).collect()
}

fn core(count: usize) -> String {
    format!(r#"(func (export "take") (param i32 {}))"#, "i64 ".repeat(count))
}

#[test]
fn a_root_with_functions_of_its_own_has_no_bridges() {
    let said = obstacle(&format!("(component {})", taker()));
    assert_eq!(
        said,
        "`take` in root has `mappable` in its type, can be called from outside (root exports `take`), and the root lifts or \
         lowers functions itself"
    );
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
