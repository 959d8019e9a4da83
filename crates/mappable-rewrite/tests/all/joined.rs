//! Functions and types are followed wherever they go: re-exports, other names, shims, inline instances, diamonds.

use crate::closed::{WITH, crossing, giver, head, ledger, obstacle, pair, taker};

/// Takes, under the name `region` for the resource, and exports both.
fn renaming_taker() -> String {
    format!(
        r#"(component $taker {} (export $region "region" (type $mappable))
            (func $take (param "m" (own $region)) (canon lift (core func $libc "take")))
            (export "take" (func $take)))"#,
        head()
    )
}

/// Calls `take` of an instance that has the resource as `region`.
fn of_an_instance() -> String {
    format!(
        r#"(component $giver {}
            (import "taker" (instance $taker
                (alias outer 1 $mappable (type $m))
                (export "region" (type $r (eq $m)))
                (export "take" (func (param "m" (own $r))))))
            (core func (canon lower (func $taker "take"))))"#,
        head()
    )
}

#[test]
fn a_resource_that_is_exported_by_another_name_is_the_same() {
    let text = |more: &str| {
        format!(
            r#"(component {} {} {} (instance $t (instantiate $taker {WITH}))
                (instance (instantiate $giver {WITH} (with "taker" (instance $t)))) {more})"#,
            head(),
            renaming_taker(),
            of_an_instance()
        )
    };
    assert_eq!(ledger(&text("")), (2, 0));
    // (As an instance: alone it would mention a type that has no name outside.)
    let out = crossing(&text(r#"(export "out" (instance $t))"#));
    assert!(out.contains("(root exports `out`)"), "{out}");
}

#[test]
fn functions_are_followed_through_inline_instances() {
    let text = |more: &str| {
        format!(
            r#"(component {} (component $taker {}) {} (instance $t (instantiate $taker {WITH}))
                (instance $inline (export "region" (type $mappable)) (export "take" (func $t "take")))
                (instance (instantiate $giver {WITH} (with "taker" (instance $inline)))) {more})"#,
            head(),
            taker(),
            of_an_instance()
        )
    };
    assert_eq!(ledger(&text("")), (2, 0));
    let out = crossing(&text(r#"(export "out" (instance $inline))"#));
    assert!(out.contains("(root exports `out`)"), "{out}");
}

/// Passes `take` on in an instance with types of its own writing; `bound` is what it says of the resource.
fn ascribing(bound: &str) -> String {
    format!(
        r#"(component {} (component $taker {})
            (component $shim
                (import "r" (type $r (sub resource)))
                (import "f" (func $f (param "m" (own $r))))
                (export $q "region" (type $r) (type {bound}))
                (export "take" (func $f) (func (param "m" (own $r)))))
            {}
            (instance $t (instantiate $taker {WITH}))
            (instance $s (instantiate $shim (with "r" (type $mappable)) (with "f" (func $t "take"))))
            (instance $g (instantiate $giver {WITH} (with "taker" (instance $s)))))"#,
        head(),
        taker(),
        of_an_instance()
    )
}

#[test]
fn functions_are_followed_through_shims_that_write_types_anew() {
    assert_eq!(ledger(&ascribing("(eq $r)")), (2, 0));
}

#[test]
fn functions_are_followed_through_instances_that_are_exported_as_of_a_type() {
    let text = format!(
        r#"(component {} (component $taker {})
            (component $middle {}
                (import "take" (func $take (param "m" (own $mappable))))
                (instance $inline (export "take" (func $take)))
                (export "out" (instance $inline) (instance
                    (alias outer 1 $mappable (type $m))
                    (export "take" (func (param "m" (own $m)))))))
            (component $giver {})
            (instance $t (instantiate $taker {WITH}))
            (instance $m (instantiate $middle {WITH} (with "take" (func $t "take"))))
            (alias export $m "out" (instance $out))
            (instance (instantiate $giver {WITH} (with "take" (func $out "take")))))"#,
        head(),
        taker(),
        head(),
        giver()
    );
    assert_eq!(ledger(&text), (2, 0));
}

#[test]
fn both_ways_of_a_diamond_are_one() {
    let text = |more: &str| {
        format!(
            r#"(component {} (component $taker {})
            (component $middle {} (import "take" (func $take (param "m" (own $mappable)))) (export "take" (func $take)))
            (component $top {}
                (import "a" (func $a (param "m" (own $mappable)))) (import "b" (func $b (param "m" (own $mappable))))
                (core func (canon lower (func $a))) (core func (canon lower (func $b))))
            (instance $t (instantiate $taker {WITH}))
            (instance $a (instantiate $middle {WITH} (with "take" (func $t "take"))))
            (instance $b (instantiate $middle {WITH} (with "take" (func $t "take"))))
            (instance (instantiate $top {WITH} (with "a" (func $a "take")) (with "b" (func $b "take")))) {more})"#,
            head(),
            taker(),
            head(),
            head()
        )
    };
    assert_eq!(ledger(&text("")), (3, 0));
    let out = crossing(&text(r#"(export "out" (func $b "take"))"#));
    assert!(out.starts_with("`out` in root/0 (taker)") && out.contains("(root exports `out`)"), "{out}");
}

#[test]
fn a_component_that_is_passed_to_another_is_not_followed() {
    let types = crate::closed::TYPES;
    let passed = format!(
        r#"(component $any (import "c" (component
            (import "mappable:memory/types@0.1.0" (instance $types {types}))
            (alias export $types "mappable" (type $m))
            (import "take" (func (param "m" (own $m)))))))
        (instance (instantiate $any (with "c" (component $giver))))"#
    );
    assert_eq!(
        obstacle(&pair(&passed)),
        "root/1 (giver) is given `mappable` as its import `mappable:memory/types@0.1.0#mappable`, \
         and is passed to where it is not followed"
    );
}

#[test]
fn a_resource_that_is_given_to_what_is_not_followed_is_an_obstacle() {
    let generic = r#"(component $generic (import "r" (type $r (sub resource))) (core func (canon resource.drop $r)))"#;
    let any = format!(
        r#"(component $any {} (import "c" (component $c (import "r" (type (sub resource)))))
            (instance (instantiate $c (with "r" (type $mappable)))))
        (instance (instantiate $any {WITH} (with "c" (component $generic))))"#,
        head()
    );
    let said = "root/1 (any) passes `mappable` to an instance or component that is not followed";
    assert_eq!(obstacle(&format!("(component {} {generic} {any})", head())), said);
    // Likewise what is in an instance within an instance.
    let nested = r#"(component $nested (import "i" (instance $i (export "j" (instance $j (export "r" (type (sub resource))))))))
        (instance $j (export "r" (type $mappable))) (instance $i (export "j" (instance $j)))
        (instance (instantiate $nested (with "i" (instance $i))))"#;
    let said = "root passes `mappable` to an instance or component that is not followed";
    assert_eq!(obstacle(&format!("(component {} {nested})", head())), said);
}
