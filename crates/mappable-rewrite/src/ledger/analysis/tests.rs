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
    Version::Closed(Rc::clone(signature), true)
}

/// The same, without lists by window.
fn unwindowed(taker: &ComponentRoles) -> Version {
    let [CanonRole::Lift { signature, lists: false }, ..] = &taker.canons[..] else { panic!("{:?}", taker.canons) };
    Version::Closed(Rc::clone(signature), false)
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
        assert_eq!(taker.closed_funcs[0], if lists { windowed(taker) } else { unwindowed(taker) });
    }
}

#[test]
fn with_lists_off_a_tree_with_nothing_of_ours_is_left_alone() {
    let bytes = wat::parse_str(include_str!("../../../tests/golden-ledger/only-lists.wat")).unwrap();
    let identity = |lists| analyse(&bytes, Settings { lists }).unwrap().unwrap().is_identity();
    assert!(!identity(true));
    assert!(identity(false));
}
