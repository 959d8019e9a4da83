//! What stands in the way of the ledger: each reason, on a tree that has it.

use crate::closed::{WITH, crossing, head, ledger, obstacle, pair};

const LIFT: &str = r#"(canon lift (core func $libc "take"))"#;
const MEMORY: &str = r#"(memory (export "memory") 1)"#;

/// `take`'s lift names its memory, which is another than usual.
fn with_memory(memory: &str) -> String {
    pair("").replace(MEMORY, memory).replace(LIFT, r#"(canon lift (core func $libc "take") (memory $memory))"#)
}

#[test]
fn memories_that_are_not_ordinary_make_a_function_cross() {
    let begin = "`take` in root/0 (taker) has `mappable` in its type, and is lifted or lowered with a ";
    for (memory, what) in [
        (r#"(memory (export "memory") 1 (pagesize 1))"#, "memory of a custom page size"),
        (r#"(memory (export "memory") i64 1)"#, "64-bit memory"),
    ] {
        assert_eq!(crossing(&with_memory(memory)).lines().next(), Some(&*format!("{begin}{what}")));
    }
    assert_eq!(ledger(&with_memory(MEMORY)), (2, 0));
}

#[test]
fn functions_that_are_async_cross() {
    let ty = pair("").replace(r#"(param "m" (own $mappable))"#, r#"async (param "m" (own $mappable))"#);
    let (begin, async_type) = ("`take` in root/0 (taker) has `mappable` in its type, and ", "is of an async type");
    assert!(crossing(&ty).starts_with(&format!("{begin}{async_type}")), "{}", crossing(&ty));
    let lift = ty.replace(LIFT, r#"(canon lift (core func $libc "take") async)"#);
    assert!(crossing(&lift).starts_with(&format!("{begin}is lifted or lowered async")), "{}", crossing(&lift));
}

#[test]
fn a_function_of_the_package_that_has_another_type() {
    let text = format!(
        r#"(component {} (core func (canon lower (func $types "[method]mappable.size"))))"#,
        head().replace("(borrow $m)) (result u64)", "(borrow $m)) (result u32)")
    );
    let function = "`mappable:memory/types@0.1.0#[method]mappable.size`";
    assert_eq!(obstacle(&text), format!("{function} in root has another type than this version knows it by"));
}

/// Calls `f`, which has the type of `mappable.size`; and something of a component that has that type too.
fn sized(instances: &str) -> String {
    format!(
        r#"(component {} (component $own {}
                (core module $m (func (export "size") (param i32) (result i64) unreachable))
                (core instance $m (instantiate $m))
                (func $size (param "self" (borrow $mappable)) (result u64) (canon lift (core func $m "size")))
                (export "size" (func $size)))
            (component $user {} (import "f" (func $f (param "self" (borrow $mappable)) (result u64)))
                (core func (canon lower (func $f))))
            (instance $own (instantiate $own {WITH}))
            {instances})"#,
        head(),
        head(),
        head()
    )
}

#[test]
fn a_function_that_is_the_packages_and_a_components() {
    let packages = format!(r#"(instance (instantiate $user {WITH} (with "f" (func $types "[method]mappable.size"))))"#);
    let own = format!(r#"(instance (instantiate $user {WITH} (with "f" (func $own "size"))))"#);
    assert_eq!(ledger(&sized(&packages)), (0, 1));
    // It borrows.
    assert_eq!(ledger(&sized(&own)), (0, 0));
    let said = obstacle(&sized(&(packages + &own)));
    assert!(said.ends_with("is one of the package's functions and something else too"), "{said}");
}

#[test]
fn a_component_that_is_given_our_types_and_another_implementation() {
    let types = r#"(component $fake
            (type $r (resource (rep i32))) (export $m "mappable" (type $r))
            (type $s (resource (rep i32))) (export $f "frozen" (type $s))
            (core module $m (func (export "size") (param i32) (result i64) unreachable)
                (func (export "granule") (result i32) unreachable) (func (export "freeze") (param i32) (result i32) unreachable))
            (core instance $m (instantiate $m))
            (func $size (param "self" (borrow $m)) (result u64) (canon lift (core func $m "size")))
            (func $granule (result u32) (canon lift (core func $m "granule")))
            (func $freeze (param "this" (own $m)) (result (own $f)) (canon lift (core func $m "freeze")))
            (export "[method]mappable.size" (func $size)) (export "granule" (func $granule))
            (export "[static]mappable.freeze" (func $freeze)))
        (instance $fake (instantiate $fake))"#;
    let user =
        format!(r#"(component $user {} (core func (canon lower (func $types "[method]mappable.size"))))"#, head());
    let once = format!("(instance (instantiate $user {WITH}))");
    let other = r#"(instance (instantiate $user (with "mappable:memory/types@0.1.0" (instance $fake))))"#;
    assert_eq!(ledger(&format!("(component {} {types} {user} {once})", head())), (0, 1));
    let said = obstacle(&format!("(component {} {types} {user} {once} {other})", head()));
    assert_eq!(
        said,
        "root/1 (user) is given `mappable` and another resource as its import `mappable:memory/types@0.1.0#mappable`"
    );
}

#[test]
fn a_change_of_what_is_mapped_that_comes_from_elsewhere() {
    let text = |instance: &str| {
        let cases: String = mappable_rewrite::MARK.iter().map(|case| format!("{case:?} ")).collect();
        let types = format!(
            r#"(export "mappable" (type $m (sub resource))) (export "mapping" (type $p (sub resource)))
            (type $e (enum {cases})) (export "map-error" (type $error (eq $e)))
            (export "[static]mappable.map" (func (param "this" (own $m)) (param "at" (list u8))
                (result (result (own $p) (error (tuple (own $m) $error))))))"#
        );
        let import = format!(r#"(import "mappable:memory/types@0.1.0" (instance $types {types}))"#);
        let core = crate::closed::CORE;
        format!(
            r#"(component {import} (component $user {import} {core}
                (core func (canon lower (func $types "[static]mappable.map") (memory $memory)))) {instance})"#
        )
    };
    assert_eq!(ledger(&text(&format!("(instance (instantiate $user {WITH}))"))), (0, 1));
    let said = obstacle(&text(""));
    assert!(said.ends_with("in root/0 (user) changes what is mapped, but does not come from the package"), "{said}");
}

/// Tuples of tuples, `levels` deep, with `2^levels` handles.
fn tuples(levels: usize) -> String {
    let more = |level: usize| format!("(type $t{} (tuple $t{level} $t{level}))", level + 1);
    "(type $t0 (own $mappable))".to_owned() + &(0..levels).map(more).collect::<String>()
}

#[test]
fn types_that_are_too_large() {
    let text = |levels: usize| {
        pair("")
            .replace("(core module $libc", &format!("{} (core module $libc", tuples(levels)))
            .replace(r#"(param "m" (own $mappable))"#, &format!(r#"(param "m" $t{levels})"#))
            .replace(LIFT, r#"(canon lift (core func $libc "take") (memory $memory) (realloc $realloc))"#)
            .replace("(canon lower (func $take))", "(canon lower (func $take) (memory $memory))")
    };
    assert_eq!(ledger(&text(5)), (2, 0));
    assert!(obstacle(&text(14)).ends_with("is of a type that is too large"), "{}", obstacle(&text(14)));
    // Many that are not by themselves.
    let many: String = (0..600)
        .map(|n| {
            format!(
                r#"(func (param "m" $t12) (param "n{n}" u32)
                (canon lift (core func $libc "list") (memory $memory) (realloc $realloc)))"#
            )
            .replace(r#""list""#, r#""take""#)
        })
        .collect();
    let text = format!("(component {} {} {many})", head(), tuples(12));
    assert_eq!(obstacle(&text), "root joins too many functions, or types that are too large");
}
