//! What the analysis says of each index, on small trees.

use std::collections::BTreeMap;

use super::*;
use crate::error::RewriteError;
use crate::ledger::interface::Builtin;
use crate::ledger::obstacle::Obstacle;
use crate::tree::read;

/// `closed-pair`: the root, what takes and what gives; and one that has nothing to do with it.
fn pair(lists: bool) -> Analysis {
    let text = include_str!("../../../tests/golden-ledger/closed-pair.wat");
    let text = text.trim_end().strip_suffix(')').unwrap().to_owned() + "(component $idle (type (list u8))))";
    analyse(&wat::parse_str(text).unwrap(), Settings { lists }).unwrap().unwrap()
}

fn analyse(bytes: &[u8], settings: Settings) -> Result<Result<Analysis, Obstacle>, RewriteError> {
    let mut walker = Walker::default();
    let (facts, types) = read::read_with(bytes, read::Bodies::Validate, &mut walker)?;
    Ok(walker.finish(&facts, types.as_ref(), settings)?.outcome)
}

fn named<T: Clone>(entries: &[(&str, T)]) -> BTreeMap<String, T> {
    entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

/// The version of what the taker lifts.
fn windowed(taker: &ComponentRoles) -> Version {
    let [CanonRole::Lift { signature, lists: true }, ..] = &taker.canons[..] else { panic!("{:?}", taker.canons) };
    Version::Windowed(Rc::new(signature.clone()))
}

#[test]
fn functions_of_closed_classes_have_the_closed_version() {
    let analysis = pair(true);
    let [root, taker, giver, idle] = &analysis.components[..] else { panic!() };
    // What is lifted, and its export.
    assert_eq!(taker.closed_funcs, [windowed(taker), windowed(taker)]);
    // What is aliased of the taker, and of the package, which keeps its types.
    assert_eq!(giver.closed_funcs, [windowed(taker), Version::Original]);
    assert!(root.closed_funcs.is_empty() && idle.closed_funcs.is_empty());
}

#[test]
fn an_instances_type_says_which_of_its_functions_are_closed() {
    let analysis = pair(true);
    let [root, taker, giver, idle] = &analysis.components[..] else { panic!() };
    assert_eq!(giver.closed_exports, BTreeMap::from([(2, named(&[("take", windowed(taker))]))]));
    for other in [root, taker, idle] {
        assert_eq!(other.closed_exports, BTreeMap::new());
    }
}

#[test]
fn our_resources_are_known_by_index_and_in_the_types_of_instances() {
    let analysis = pair(true);
    let [root, taker, giver, idle] = &analysis.components[..] else { panic!() };
    for component in [root, taker, giver] {
        assert_eq!(component.kinds, BTreeMap::from([(1, Kind::Mappable)]));
        assert_eq!(component.instance_kinds, BTreeMap::from([(0, named(&[("mappable", Kind::Mappable)]))]));
    }
    assert!(idle.kinds.is_empty() && idle.instance_kinds.is_empty());
}

#[test]
fn only_who_has_a_role_or_instantiates_such_a_one_needs_the_ledger() {
    let analysis = pair(true);
    let [root, taker, giver, idle] = &analysis.components[..] else { panic!() };
    assert_eq!(root.instantiates, [Some(1), Some(2)]);
    assert!(root.needs_ledger && taker.needs_ledger && giver.needs_ledger && !idle.needs_ledger);
    assert!(taker.instantiates.is_empty() && idle.instantiates.is_empty());
    assert_eq!([&root.name, &taker.name, &idle.name], ["root", "taker", "idle"]);
}

#[test]
fn each_canonical_function_has_its_role() {
    for lists in [true, false] {
        let analysis = pair(lists);
        let [root, taker, giver, idle] = &analysis.components[..] else { panic!() };
        assert!(root.canons.is_empty() && idle.canons.is_empty());
        assert!(
            matches!(&taker.canons[..], [CanonRole::Lift { lists: l, .. }, CanonRole::Drop(Kind::Mappable)] if *l == lists)
        );
        let [CanonRole::Lower { signature, lists: l }, CanonRole::Builtin { builtin, .. }] = &giver.canons[..] else {
            panic!("{:?}", giver.canons)
        };
        assert_eq!((*l, *builtin), (lists, Builtin::MappableSize));
        assert!(signature.has_handles() && signature.has_windows());
        assert_eq!(taker.closed_funcs[0], if lists { windowed(taker) } else { Version::Closed });
    }
}

#[test]
fn with_lists_off_a_tree_with_nothing_of_ours_is_left_alone() {
    let bytes = wat::parse_str(include_str!("../../../tests/golden-ledger/only-lists.wat")).unwrap();
    let identity = |lists| analyse(&bytes, Settings { lists }).unwrap().unwrap().is_identity();
    assert!(!identity(true));
    assert!(identity(false));
}

/// An import of the root with so many records, each of which has the one before it, and a function of the last.
fn chain(length: usize) -> String {
    let mut types = String::from(r#"(type $r0' (record (field "m" (own $m)))) (export "r0" (type $r0 (eq $r0')))"#);
    for (before, n) in (1..length).enumerate() {
        types += &format!(r#"(type $r{n}' (record (field "a" $r{before}))) (export "r{n}" (type $r{n} (eq $r{n}')))"#);
    }
    let interface = format!(
        r#"(alias outer 1 $mappable (type $m')) (export "mappable" (type $m (eq $m'))) {types}
        (export "take" (func (param "last" $r{})))"#,
        length - 1
    );
    format!(
        r#"(component
          (import "mappable:memory/types@0.1.0" (instance $types (export "mappable" (type (sub resource)))))
          (alias export $types "mappable" (type $mappable))
          (import "test:host/api" (instance $api {interface}))
          (component $user
            (import "mappable" (type $mappable (sub resource)))
            (import "test:host/api" (instance $api {interface}))
            (alias export $api "take" (func $take))
            (core func (canon lower (func $take))))
          (instance (instantiate $user (with "mappable" (type $mappable)) (with "test:host/api" (instance $api)))))"#
    )
}

#[test]
fn what_is_looked_at_for_bridges_grows_with_the_types_and_no_faster() {
    let looked_at = |length: usize| {
        let analysis = analyse(&wat::parse_str(chain(length)).unwrap(), Settings { lists: true }).unwrap().unwrap();
        assert_eq!(analysis.bridges.imports["test:host/api"].types.len(), length);
        analysis.bridges.looked_at
    };
    let (short, long) = (looked_at(20), looked_at(80));
    // Each once on the way down, and once on the way up.
    assert!(long <= 2 * 81 && long <= 4 * short + 8, "{short}, {long}");
}
