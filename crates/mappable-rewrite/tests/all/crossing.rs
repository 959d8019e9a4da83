//! Functions with handles that go the engine's way: which those are, and that they cost nobody else the ledger.

use mappable_rewrite::{TierReport, inspect};

use crate::closed::{CORE, TYPES, WITH, crossing, giver, head, obstacle, pair, taker};
use crate::support::wasm;

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

/// How many functions go by wrappers of the ledger's, and what gives handles to the engine.
fn counts(text: &str) -> (usize, usize) {
    match inspect(&wasm(text)).unwrap().tier {
        TierReport::Ledger { wrapped, crossing, .. } => {
            crate::ledger::written(&wasm(text));
            (wrapped, crossing)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_function_that_the_root_exports_crosses_where_handles_are_given() {
    for exports in [
        EXPORT,
        r#"(export $e "take" (func $t "take")) (export "again" (func $e))"#,
        r#"(export "take" (func $t "take") (func (param "m" (own $mappable))))"#,
        r#"(instance $api (export "take" (func $t "take")) (export "mappable" (type $mappable)))
           (export "api" (instance $api))"#,
        r#"(export "api" (instance $t))"#,
    ] {
        // Who lifts it is given handles, and gives none.
        assert_eq!(counts(&pair(exports)), (0, 1), "{exports}");
        assert!(crossing(&pair(exports)).contains("can be called from outside (root exports `"), "{exports}");
    }
}

#[test]
fn a_function_of_the_roots_imports_crosses() {
    for (import, given) in [(HOST, "(func $host)"), (HOSTS, r#"(func $api "take")"#)] {
        assert_eq!(counts(&calling_out(import, given)), (0, 1));
    }
    assert!(crossing(&calling_out(HOST, "(func $host)")).contains("comes from outside (root imports `host`)"));
}

#[test]
fn an_interface_with_a_resource_of_the_embedders_crosses() {
    let hosts = r#"(import "test:host/api" (instance $api
        (alias outer 1 $mappable (type $m')) (export "mappable" (type $m (eq $m')))
        (export "desk" (type $desk (sub resource)))
        (export "[method]desk.put" (func (param "self" (borrow $desk)) (param "m" (own $m))))
        (export "take" (func (param "m" (own $m))))))"#;
    assert_eq!(counts(&calling_out(hosts, r#"(func $api "take")"#)), (0, 1));
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
fn what_crosses_has_handles_anywhere_beside_anything() {
    for (ty, flat) in [
        ("(own $frozen)", "i32"),
        ("(own $mapping)", "i32"),
        ("(borrow $mappable)", "i32"),
        ("(tuple (own $mappable) u64)", "i32 i64"),
        ("(option (own $mappable))", "i32 i32"),
        ("(result (own $mappable) (error string))", "i32 i32 i32"),
        ("(list (own $mappable))", "i32 i32"),
        ("(list (borrow $frozen))", "i32 i32"),
        ("(list (tuple string (result (own $mappable))))", "i32 i32"),
    ] {
        assert_eq!(counts(&taking(&pair(EXPORT), ty, flat)), (0, 1), "{ty}");
        assert_eq!(counts(&taking(&calling_out(HOST, "(func $host)"), ty, flat)), (0, 1), "{ty}");
    }
    // Any number of them.
    for (count, flat) in [(15, format!("i32 {}", "i64 ".repeat(15))), (16, "i32".to_owned())] {
        let params: String = (0..count).map(|n| format!(r#"(param "p{n}" u64) "#)).collect();
        let text =
            pair(EXPORT).replace(r#"(param "m" (own $mappable))"#, &format!(r#"(param "m" (own $mappable)) {params}"#));
        assert_eq!(counts(&taking(&text, "(own $mappable)", &flat)), (0, 1));
    }
}

#[test]
fn what_is_between_components_crosses_if_the_ledger_has_no_form_for_it() {
    // Nobody outside has it.
    for (ty, flat, why) in [
        ("(borrow $mappable)", "i32", "has a borrowed handle in its type"),
        ("(list (borrow $mappable))", "i32 i32", "has a borrowed handle in its type"),
    ] {
        assert_eq!(counts(&taking(&pair(""), ty, flat)), (0, 1), "{ty}");
        let said = crossing(&taking(&pair(""), ty, flat));
        assert!(
            said.starts_with("`take` in root/0 (taker) has `mappable` in its type, and ") && said.contains(why),
            "{said}"
        );
    }
    assert_eq!(counts(&taking(&pair(""), "(list (tuple bool (own $mappable)))", "i32 i32")), (2, 0));
}

#[test]
fn one_function_that_crosses_leaves_the_others_to_the_ledger() {
    let more = r#"(func $lent (param "m" (borrow $mappable)) (canon lift (core func $libc "take")))
        (export "lent" (func $lent))"#;
    let taker = taker();
    let text = pair("").replace(&taker, &format!("{taker} {more}"));
    assert_eq!(counts(&text), (2, 0));
    let text = text.trim_end().strip_suffix(')').unwrap().to_owned() + r#"(export "lent" (func $t "lent")))"#;
    assert_eq!(counts(&text), (2, 0));
    assert!(crossing(&text).contains("`lent` in root/0 (taker)"), "{}", crossing(&text));
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
        let said = crossing(&text(exports));
        assert!(said.contains("`test:host/frames#turn` in root/0"), "{exports}: {said}");
    }
}

#[test]
fn a_component_alone_has_the_ledger() {
    let text = format!("(component {})", taker());
    // It is given regions, and does nothing with them that the ledger could do.
    assert_eq!(inspect(&wasm(&text)).unwrap().tier, TierReport::Baseline { obstacle: None });
    assert_eq!(counts(&mapper(r#"(export "take" (func $take))"#)), (0, 1));
    // Whatever it exports beside that.
    let exports = r#"(func $lent (param "m" (borrow $mappable)) (result u32) (canon lift (core func $m "take")))
        (export "take" (func $take)) (export "lent" (func $lent))"#;
    assert_eq!(counts(&mapper(exports)), (0, 1));
}

/// What a component has in its root that maps and unmaps a region, and takes and gives one.
fn mapper(exports: &str) -> String {
    let types = mappable_testing::wat::import_types(mappable_testing::wat::TYPES);
    format!(
        r#"(component $mapper {types}
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
fn types_of_handles_are_imported_once_and_first() {
    let twice = format!(r#"(import "mappable:memory/types@0.1.1" (instance {TYPES}))"#);
    let text = pair(EXPORT).replacen(CORE, &format!("{twice} {CORE}"), 1);
    assert!(obstacle(&text).ends_with("imports a kind of handle as two types"), "{}", obstacle(&text));
    let text = pair(EXPORT).replacen("(component", "(component (component $none) (instance (instantiate $none))", 1);
    let why = "imports a kind of handle after it has instantiated a component or lowered a function";
    assert!(obstacle(&text).ends_with(why), "{}", obstacle(&text));
}

#[test]
fn streams_and_futures_and_async_functions_cross() {
    let drop = "(core func (canon resource.drop $mappable))";
    let with = |canons: &str| format!("(component {} {drop} {canons})", head());
    let stream = "(type $s (stream (own $mappable)))";
    let future = "(type $s (future (tuple u8 (own $frozen))))";
    for (canons, given) in [
        (format!("{stream} (core func (canon stream.new $s))"), 0),
        (format!(r#"{stream} (core func (canon stream.read $s async (memory $memory)))"#), 0),
        (format!(r#"{stream} (core func (canon stream.write $s async (memory $memory)))"#), 1),
        (format!(r#"{future} (core func (canon future.write $s async (memory $memory)))"#), 1),
        ("(core func (canon task.return (result (own $mappable))))".to_owned(), 1),
        (
            r#"(import "f" (func $f async (param "m" (borrow $mappable)) (result u32)))
            (core func (canon lower (func $f) async (memory $memory)))"#
                .to_owned(),
            1,
        ),
        (
            r#"(import "f" (func $f async (param "m" (own $mappable)) (param "s" string) (param "t" string)))
            (core func (canon lower (func $f) async (memory $memory)))"#
                .to_owned(),
            1,
        ),
        (
            r#"(import "f" (func $f async (result (own $mappable))))
            (core func (canon lower (func $f) async (memory $memory)))"#
                .to_owned(),
            0,
        ),
    ] {
        assert_eq!(counts(&with(&canons)), (0, given), "{canons}");
    }
    // Of numbers, they are nobody's business.
    assert_eq!(
        counts(&with("(type $s (stream u8)) (core func (canon stream.write $s async (memory $memory)))")),
        (0, 0)
    );
}

#[test]
fn an_async_lower_with_an_owned_handle_in_a_register_keeps_the_tree_at_baseline() {
    // If it is cancelled before it starts, the guest has its handle back, by the number that it gave.
    let lowered = r#"(import "f" (func $f async (param "m" (own $mappable))))
        (core func (canon lower (func $f) async (memory $memory)))"#;
    let said = obstacle(&format!("(component {} {lowered})", head()));
    assert_eq!(
        said,
        "`f` in root has `mappable` in its type, and is lowered async, with an owned handle in a register"
    );
}

#[test]
fn a_function_of_the_packages_that_may_be_anothers_is_not_taken_for_the_packages() {
    let user = format!(
        r#"(component $user {} (import "seal" (func $seal (param "this" (own $mappable)) (result (own $frozen))))
            (core func (canon lower (func $seal))))"#,
        head()
    );
    let given = |func: &str| format!(r#"(instance (instantiate $user {WITH} (with "seal" (func {func}))))"#);
    let text = format!(
        r#"(component {} (import "seal" (func $seal (param "this" (own $mappable)) (result (own $frozen)))) {user} {} {})"#,
        head(),
        given(r#"$types "[static]mappable.freeze""#),
        given("$seal"),
    );
    let said = obstacle(&text);
    assert!(said.ends_with("comes from outside (root imports `seal`)"), "{said}");
}

#[test]
fn what_can_not_be_walked_keeps_the_tree_at_baseline() {
    let lowered = r#"(import "f" (func $f (param "m" (list (own $mappable)))))
        (core module $big (memory (export "m") i64 1)) (core instance $big (instantiate $big))
        (core func (canon lower (func $f) (memory $big "m")))"#;
    let said = obstacle(&format!("(component {} {lowered})", head()));
    assert_eq!(said, "`f` in root has `mappable` in its type, and is lifted or lowered with a 64-bit memory");
}

#[test]
fn wrappers_of_small_components_share_their_modules() {
    // An engine compiles each module of a tree.
    let givers: String = (0..40)
        .map(|number| {
            format!(
                r#"(component $giver{number} {}) (instance (instantiate $giver{number} {WITH} (with "take" (func $host))))"#,
                giver()
            )
        })
        .collect();
    let text = format!("(component {} {HOST} {givers})", head());
    assert_eq!(counts(&text), (0, 40));
    let modules = |component: &[u8]| {
        let all = wasmparser::Parser::new(0).parse_all(component);
        all.filter(|payload| matches!(payload, Ok(wasmparser::Payload::ModuleSection { .. }))).count()
    };
    let input = wasm(&text);
    let (before, after) = (modules(&input), modules(&crate::ledger::written(&input)));
    // A wrapper, a table, and for each component the ledger's memory, which has its name.
    assert_eq!(after, before + 2 + 40);
}

#[test]
fn types_that_are_too_large_together_keep_the_tree_at_baseline() {
    // Each of nearly as many values as are looked at in one.
    let text = |types: usize| {
        let (many, more) = ("u8 ".repeat(99), "$many ".repeat(99));
        let returned: String = (0..types)
            .map(|n| {
                format!(
                    "(type $t{n} (tuple (own $mappable) $more))
                     (core func (canon task.return (result $t{n}) (memory $memory)))"
                )
            })
            .collect();
        let drop = "(core func (canon resource.drop $mappable))";
        format!("(component {} {drop} (type $many (tuple {many})) (type $more (tuple {more})) {returned})", head())
    };
    assert_eq!(counts(&text(20)), (0, 20));
    assert_eq!(obstacle(&text(430)), "root joins too many functions, or types that are too large");
}
