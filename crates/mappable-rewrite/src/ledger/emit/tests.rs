//! The walk alone, under an analysis that is made by hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use super::component::takes;
use super::*;
use crate::core_modules::patch::Patched;
use crate::error::Bug;
use crate::gate::Renames;
use crate::ledger::analysis::{Analysis, CanonRole, ComponentRoles, Walker};
use crate::ledger::interface::Builtin;
use crate::ledger::signature::{Kind, Signature, Value};
use crate::ledger::unsound::Unsound;
use crate::tree::binary::FEATURES;
use crate::tree::read::{Bodies, read, read_with};

/// Writes a component under an analysis that leaves everything as it is.
fn untouched(component: &[u8]) -> Vec<u8> {
    let (facts, _) = read_with(component, Bodies::Validate, &mut Walker::default()).unwrap();
    let canons = |facts: &ComponentFacts<'_>| vec![CanonRole::Untouched; facts.canons];
    let components =
        facts.components.iter().map(|facts| ComponentRoles { canons: canons(facts), ..Default::default() });
    let analysis = Analysis { components: components.collect() };
    let patched = Patched::new(component, &facts, false, false).unwrap();
    emit(&patched, &analysis, &Renames::default(), &Gate::new("k0").unwrap()).unwrap().bytes
}

/// Each file of a folder of the repository that ends so.
fn files(folder: &str, ending: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.to_str().unwrap().ends_with(ending));
    files.filter_map(|path| Some((path.display().to_string(), wat::parse_file(path).ok()?))).collect()
}

#[test]
fn what_is_left_as_it_is_is_written_as_it_was() {
    let mut seen = 0;
    for (name, input) in [files("tests/golden", ".wat"), files("../../guests/built", ".wasm")].concat() {
        if read(&input, Bodies::Validate).is_err() {
            continue;
        }
        let text = |bytes: &[u8]| wasmprinter::print_bytes(bytes).unwrap();
        let (before, after) = (text(&input), text(&untouched(&input)));
        let differs = before.lines().zip(after.lines()).find(|(before, after)| before != after);
        assert!(before == after, "{name}: {differs:?}");
        seen += 1;
    }
    assert!(seen > 40, "{seen} components were written");
}

const TYPES: &str = r#"(import "mappable:memory/types@0.1.0" (instance $types
      (export "mappable" (type $mappable (sub resource)))
      (export "mapping" (type $mapping (sub resource)))
      (type $map-error' (enum "placement-misaligned" "placement-too-small" "placement-overlaps"
          "placement-mismatch" "placement-unmappable" "mapping-over-quota" "mappings-exhausted"))
      (export "map-error" (type $map-error (eq $map-error')))
      (export "[static]mappable.map" (func (param "this" (own $mappable)) (param "at" (list u8))
          (result (result (own $mapping) (error (tuple (own $mappable) $map-error))))))))
    (alias export $types "mappable" (type $mappable))"#;

/// One that takes a region and bytes from another, which maps it.
fn pair() -> String {
    format!(
        r#"(component
    {TYPES}
    (component $taker
      {TYPES}
      (core module $m (memory (export "m") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "take") (param i32 i32 i32) (result i32) unreachable)
        (func (export "done") (param i32)))
      (core instance $m (instantiate $m))
      (type $case (record (field "region" (own $mappable))))
      (export $case' "case" (type $case))
      (func (export "take") (param "case" $case') (param "bytes" (list u8)) (result (list u8))
        (canon lift (core func $m "take") (memory $m "m") (realloc (func $m "realloc"))
          (post-return (func $m "done"))))
      (core func $drop (canon resource.drop $mappable)))
    (component $giver
      {TYPES}
      (import "taker" (instance $taker
        (alias outer 1 $mappable (type $m))
        (type $case (record (field "region" (own $m))))
        (export "case" (type $case' (eq $case)))
        (export "take" (func (param "case" $case') (param "bytes" (list u8)) (result (list u8))))))
      (core module $m (memory (export "m") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
      (core instance $m (instantiate $m))
      (core func $take (canon lower (func $taker "take") (memory $m "m") (realloc (func $m "realloc"))))
      (core func $map (canon lower (func $types "[static]mappable.map") (memory $m "m")))
      (core module $user (import "" "take" (func (param i32 i32 i32 i32))) (import "" "map" (func (param i32 i32 i32 i32))))
      (core instance (instantiate $user (with "" (instance (export "take" (func $take)) (export "map" (func $map)))))))
    (instance $taker (instantiate $taker (with "mappable:memory/types@0.1.0" (instance $types))))
    (instance (instantiate $giver (with "mappable:memory/types@0.1.0" (instance $types))
      (with "taker" (instance $taker)))))"#
    )
}

fn pairs_analysis() -> Analysis {
    use crate::ledger::analysis::Version::{Closed, Original};
    let bytes = || Value::List(Box::new(Value::U8));
    let case = Value::Record(vec![Value::Own(Kind::Mappable)]);
    let take = Rc::new(Signature { params: vec![case, bytes()], result: Some(bytes()) });
    let closed = Closed(Rc::clone(&take), true);
    let ours = || ComponentRoles { needs_ledger: true, ..ComponentRoles::default() };
    let root = ComponentRoles { instantiates: vec![Some(1), Some(2)], ..ours() };
    let taker = ComponentRoles {
        name: "taker".to_owned(),
        canons: vec![CanonRole::Lift { signature: Rc::clone(&take), lists: true }, CanonRole::Drop(Kind::Mappable)],
        closed_funcs: vec![closed.clone(); 2],
        ..ours()
    };
    let giver = ComponentRoles {
        name: "giver".to_owned(),
        canons: vec![
            CanonRole::Lower { signature: take, lists: true },
            CanonRole::Builtin {
                builtin: Builtin::MappableMap,
                signature: Rc::new(Signature { params: vec![Value::Own(Kind::Mappable), bytes()], result: None }),
            },
        ],
        closed_funcs: vec![closed.clone(), Original],
        closed_exports: BTreeMap::from([(2, BTreeMap::from([("take".to_owned(), closed)]))]),
        ..ours()
    };
    Analysis { components: vec![root, taker, giver] }
}

#[test]
fn a_closed_pair_validates_with_u32_for_its_handles_and_lists() {
    let input = wat::parse_str(pair()).unwrap();
    let (facts, _) = read_with(&input, Bodies::Validate, &mut Walker::default()).unwrap();
    let (analysis, gate) = (pairs_analysis(), Gate::new("k0").unwrap());
    let patched = Patched::new(&input, &facts, false, false).unwrap();
    let renames = Renames::default();
    let emitted = emit(&patched, &analysis, &renames, &gate).unwrap();
    let output = emitted.bytes;
    let text = wasmprinter::print_bytes(&output).unwrap();
    if let Err(error) = wasmparser::Validator::new_with_features(FEATURES).validate_all(&output) {
        panic!("{error}:\n{text}");
    }
    crate::ledger::check::check(&output, &emitted.guests, &emitted.trusted, &gate).unwrap();
}

/// What an emitter writes that thinks so of a tree, if the check lets it pass.
fn emitted(input: &[u8], change: impl FnOnce(&mut Analysis)) -> Result<Vec<u8>, RewriteError> {
    let mut walker = Walker::default();
    let (facts, types) = read_with(input, Bodies::Validate, &mut walker).unwrap();
    let settings = crate::ledger::analysis::Settings { lists: true };
    let mut analysis = walker.finish(&facts, types.as_ref(), settings).unwrap().outcome.unwrap();
    change(&mut analysis);
    let (patched, gate) = (Patched::new(input, &facts, false, false).unwrap(), Gate::new("k0").unwrap());
    let renames = Renames::new(&facts.root_imports, &gate).unwrap();
    let emitted = emit(&patched, &analysis, &renames, &gate)?;
    crate::ledger::check::check(&emitted.bytes, &emitted.guests, &emitted.trusted, &gate)?;
    Ok(emitted.bytes)
}

/// One component that gives handles to the engine in every way.
fn giver() -> String {
    format!(
        r#"(component
    {TYPES}
    (import "give" (func $give (param "m" (own $mappable))))
    (import "lend" (func $lend (param "m" (borrow $mappable))))
    (component $giver
      {TYPES}
      (import "give" (func $give (param "m" (own $mappable))))
      (import "lend" (func $lend (param "m" (borrow $mappable))))
      (core module $m (memory (export "m") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "make") (result i32) unreachable)
        (func (export "make-later") (result i32) unreachable)
        (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
      (core instance $m (instantiate $m))
      (type $stream (stream (own $mappable)))
      (type $future (future (own $mappable)))
      (core func $give' (canon lower (func $give)))
      (core func $lend' (canon lower (func $lend)))
      (core func $return (canon task.return (result (own $mappable))))
      (core func $stream' (canon stream.write $stream async (memory $m "m")))
      (core func $future' (canon future.write $future async (memory $m "m")))
      (core func $drop (canon resource.drop $mappable))
      (core module $user
        (import "" "give" (func (param i32))) (import "" "lend" (func (param i32)))
        (import "" "return" (func (param i32))) (import "" "drop" (func (param i32)))
        (import "" "stream" (func (param i32 i32 i32) (result i32))) (import "" "future" (func (param i32 i32) (result i32))))
      (core instance (instantiate $user (with "" (instance
        (export "give" (func $give')) (export "lend" (func $lend')) (export "return" (func $return))
        (export "stream" (func $stream')) (export "future" (func $future')) (export "drop" (func $drop))))))
      (func (export "make") (result (own $mappable)) (canon lift (core func $m "make")))
      (func (export "make-later") async (result (own $mappable))
        (canon lift (core func $m "make-later") async (callback (func $m "callback")))))
    (instance $giver (instantiate $giver (with "mappable:memory/types@0.1.0" (instance $types))
      (with "give" (func $give)) (with "lend" (func $lend))))
    (export "make" (func $giver "make"))
    (export "make-later" (func $giver "make-later")))"#
    )
}

#[test]
fn an_emitter_that_forgets_a_crossing_is_refused() {
    let input = wat::parse_str(giver()).unwrap();
    let mut due = Vec::new();
    emitted(&input, |analysis| {
        for (component, roles) in analysis.components.iter().enumerate() {
            let crosses = |role: &CanonRole| matches!(role, CanonRole::Crossing(_) | CanonRole::Drop(_));
            let canons = roles.canons.iter().enumerate().filter(|(_, role)| crosses(role));
            due.extend(canons.map(|(canon, _)| (component, canon)));
        }
    })
    .unwrap();
    assert_eq!(due.len(), 7);
    let missing = |output: Result<Vec<u8>, RewriteError>| match output {
        Err(RewriteError::Bug(Bug::Unsound { what: Unsound::NoCrossing(canon), .. })) => canon as usize,
        other => panic!("{other:?}"),
    };
    let forget = |analysis: &mut Analysis, (component, canon): (usize, usize)| {
        analysis.components[component].canons[canon] = CanonRole::Untouched;
    };
    for &one in &due {
        missing(emitted(&input, |analysis| forget(analysis, one)));
    }
    // All of them, and that any handle is there: then no interface of the ledger's says which resources are the package's.
    missing(emitted(&input, |analysis| {
        due.iter().for_each(|one| forget(analysis, *one));
        for roles in &mut analysis.components {
            *roles = ComponentRoles {
                needs_ledger: false,
                crosses: false,
                needs_crossings: false,
                handles: Vec::new(),
                ..std::mem::take(roles)
            };
        }
    }));
}

#[test]
fn only_what_could_call_something_has_a_guard() {
    let pair = |more: &str| {
        format!(
            r#"(component
        (component $taker
          (core module $m (memory (export "m") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
            (func (export "take") (param i32 i32)))
          (core instance $m (instantiate $m))
          {more}
          (func (export "take") (param "bytes" (list u8))
            (canon lift (core func $m "take") (memory $m "m") (realloc (func $m "realloc")))))
        (component $giver
          (import "take" (func $take (param "bytes" (list u8))))
          (core module $m (memory (export "m") 1))
          (core instance $m (instantiate $m))
          (core func $take' (canon lower (func $take) (memory $m "m")))
          (core module $user (import "" "take" (func (param i32 i32))))
          (core instance (instantiate $user (with "" (instance (export "take" (func $take')))))))
        (instance $taker (instantiate $taker))
        (instance (instantiate $giver (with "take" (func $taker "take")))))"#
        )
    };
    let has_guard = |more: &str| {
        let output = emitted(&wat::parse_str(pair(more)).unwrap(), |_| ()).unwrap();
        let name = b"mappable-guard";
        output.windows(name.len()).any(|bytes| bytes == name)
    };
    assert!(!has_guard(""));
    assert!(has_guard("(type $r (resource (rep i32))) (core func $drop (canon resource.drop $r))"));
    assert!(has_guard("(core func $get (canon context.get i32 0))"));
}

#[test]
fn a_component_is_nested_as_long_as_a_section_may_be() {
    let input = wat::parse_str("(component (component $inner))").unwrap();
    let (facts, _) = read_with(&input, Bodies::Validate, &mut Walker::default()).unwrap();
    takes(&facts.components[1], MAX_SECTION).unwrap();
    let refused = takes(&facts.components[1], MAX_SECTION + 1);
    assert!(
        matches!(&refused, Err(RewriteError::NotClosed { obstacle }) if matches!(obstacle.reason, Reason::NoRoom(_))),
        "{refused:?}"
    );
}
