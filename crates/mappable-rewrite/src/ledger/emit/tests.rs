//! The walk alone, under an analysis that is made by hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use super::component::takes;
use super::*;
use crate::core_modules::patch::Patched;
use crate::gate::Renames;
use crate::ledger::analysis::{Analysis, CanonRole, ComponentRoles, Walker};
use crate::ledger::interface::Builtin;
use crate::ledger::signature::{Kind, Signature, Value};
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
