//! Bridges as they are written pass; with any index in them exchanged for another they don't, or it changes nothing.

use super::mutate::{Index, indices, mutated, outcome};
use super::*;
use crate::core_modules::patch::Patched;
use crate::error::Bug;
use crate::gate::Renames;
use crate::ledger::analysis::{self, Walker};
use crate::ledger::emit::{Emitted, emit};
use crate::tree::read::{Bodies, read_with};

const TYPES: &str = r#"(import "mappable:memory/types@0.1.0" (instance $types
      (export "mappable" (type $mappable (sub resource)))
      (export "frozen" (type $frozen (sub resource)))))
    (alias export $types "mappable" (type $mappable)) (alias export $types "frozen" (type $frozen))"#;

/// A tree whose root has functions with handles in other places, of one type as core functions.
fn tree() -> String {
    let number = r#"(param "a" u32) (param "b" (own $mappable))"#;
    let handle = r#"(param "a" (own $mappable)) (param "b" u32)"#;
    let frozen = r#"(param "a" (own $frozen)) (param "b" u32)"#;
    let listed = r#"(param "a" (list (own $mappable))) (result (list (own $mappable)))"#;
    let named = r#"(param "a" string) (param "b" (own $mappable))"#;
    let host = format!(
        r#"(import "number" (func $number {number})) (import "handle" (func $handle {handle}))
        (import "named" (func $named {named}))"#
    );
    format!(
        r#"(component {TYPES} {host}
          (component $C {TYPES} {host}
            (core module $guest (memory (export "m") 1)
              (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
              (func (export "f") (param i32 i32))
              (func (export "g") (param i32 i32) (result i32) unreachable))
            (core instance $g (instantiate $guest))
            (alias core export $g "m" (core memory $m)) (alias core export $g "realloc" (core func $realloc))
            (core func (canon lower (func $number)))
            (core func (canon lower (func $handle)))
            (core func (canon lower (func $named) (memory $m)))
            (func (export "number") {number} (canon lift (core func $g "f")))
            (func (export "handle") {handle} (canon lift (core func $g "f")))
            (func (export "frozen") {frozen} (canon lift (core func $g "f")))
            (func (export "listed") {listed} (canon lift (core func $g "g") (memory $m) (realloc $realloc))))
          (instance $c (instantiate $C (with "mappable:memory/types@0.1.0" (instance $types))
            (with "number" (func $number)) (with "handle" (func $handle)) (with "named" (func $named))))
          (instance $all (export "mappable" (type $mappable)) (export "number" (func $c "number"))
            (export "handle" (func $c "handle")) (export "frozen" (func $c "frozen"))
            (export "listed" (func $c "listed")))
          (export "all" (instance $all)))"#
    )
}

/// Has `look` at what is written of [`tree`].
fn written<T>(look: impl FnOnce(&Emitted<'_>) -> T) -> T {
    let input = wat::parse_str(tree()).unwrap();
    let mut walker = Walker::default();
    let (facts, types) = read_with(&input, Bodies::Validate, &mut walker).unwrap();
    let analysis = walker.finish(&facts, types.as_ref(), analysis::Settings { lists: true }).unwrap().outcome.unwrap();
    let gate = Gate::new("k0").unwrap();
    let renames = Renames::new(&facts.root_imports, &gate).unwrap();
    let patched = Patched::new(&input, &facts, false, false).unwrap();
    let emitted = emit(&patched, types.as_ref(), &analysis, &renames, &gate).unwrap();
    look(&emitted)
}

fn verdict(output: &[u8], emitted: &Emitted<'_>) -> Result<(), RewriteError> {
    check(output, &emitted.guests, &emitted.trusted, &Gate::new("k0").unwrap())
}

#[test]
fn bridges_as_they_are_written_pass() {
    written(|emitted| verdict(&emitted.bytes, emitted).unwrap());
}

/// Only some, as there are ten thousands.
const STEP: usize = 41;

#[test]
fn each_index_of_bridges_exchanged_is_not_valid_or_found_or_harmless() {
    written(|emitted| {
        let outcome = outcome(&emitted.bytes, STEP, |output| verdict(output, emitted));
        assert!(outcome.found > 5 && outcome.invalid > 100, "{outcome:?}");
        let core = |index: &Index| !index.space.starts_with("component_");
        for (index, to) in outcome.passed.iter().filter(|(index, _)| core(index)) {
            // Another function of the guest's own lifted, or another alias of the same; and aliases that nobody uses.
            let (value, to) = (index.value, *to);
            let harmless = match index.space {
                "function_index" => matches!((value, to), (13 | 16 | 18, 8 | 10 | 13 | 16) | (27, 20)),
                "instance_index" => matches!((value, to), (7 | 9, 5) | (9, 7)),
                _ => false,
            };
            assert!(harmless, "{index:?} to {to}");
        }
    });
}

#[test]
fn an_embedders_function_that_is_called_past_its_bridge_is_found() {
    written(|emitted| {
        let mut valid = 0;
        for (at, _) in indices(&emitted.bytes).iter().enumerate().filter(|(_, index)| index.space == "function_index") {
            // The lower, in the bridges of the first two imports.
            let verdict = verdict(&mutated(&emitted.bytes, at, 4), emitted);
            if let Err(RewriteError::Bug(Bug::Unsound { what: Unsound::NotBridged(_), .. })) = verdict {
                valid += 1;
            }
        }
        assert!(valid >= 2, "{valid}");
    });
}

#[test]
fn a_bridges_module_for_another_type_is_found() {
    // `number` and `handle` are of one type as core functions: each is given the other's module.
    written(|emitted| {
        let [number, handle] = [true, false].map(|first| {
            let handle = (Value::Own(Kind::Mappable), Value::U32);
            let params = if first { vec![handle.1, handle.0] } else { vec![handle.0, handle.1] };
            crate::ledger::modules::bridge(&Signature { params, result: None }, Crossing::Enter, Crossing::Leave).bytes
        });
        assert_eq!(number.len(), handle.len());
        let find = |module: &[u8]| emitted.bytes.windows(module.len()).position(|window| window == module).unwrap();
        let (at, other) = (find(&number), find(&handle));
        let mut exchanged = emitted.bytes.clone();
        exchanged[at..at + number.len()].copy_from_slice(&handle);
        exchanged[other..other + number.len()].copy_from_slice(&number);
        let found = verdict(&exchanged, emitted);
        assert!(matches!(found, Err(RewriteError::Bug(Bug::Unsound { what: Unsound::Bridge(_), .. }))), "{found:?}");
    });
}

#[test]
fn a_handle_that_a_bridge_drops_is_found() {
    let found = |inside: &str| {
        let bridge = format!(
            r#"(component {TYPES}
              (component $bridge (import "r" (type $r (sub resource)))
                (core module $heap (func (export "f"))) (core instance (instantiate $heap)) {inside})
              (instance (instantiate $bridge (with "r" (type $mappable)))))"#
        );
        let bytes = wat::parse_str(bridge.replace("mappable:memory", "mappable:k0")).unwrap();
        let mut trusted = Trusted::new([]);
        trusted.insert_bridge(&Module { bytes: modules(&bytes)["heap"].to_vec(), needs: Vec::new() }, None);
        let guests = modules(&bytes).iter().filter(|(name, _)| *name == "guest").map(|(_, bytes)| *bytes).collect();
        check(&bytes, &guests, &trusted, &Gate::new("k0").unwrap())
    };
    found("").unwrap();
    let drop = "(core func (canon resource.drop $r))";
    let dropped = found(drop);
    assert!(
        matches!(dropped, Err(RewriteError::Bug(Bug::Unsound { what: Unsound::NotBridged(0), .. }))),
        "{dropped:?}"
    );
    // With a module of a guest's it is no bridge.
    let guest = r#"(core module $guest (func (export "g"))) (core instance (instantiate $guest))"#;
    let beside = found(&format!("{guest} {drop}"));
    assert!(
        matches!(beside, Err(RewriteError::Bug(Bug::Unsound { what: Unsound::Resource(Mention::Canon(0)), .. }))),
        "{beside:?}"
    );
}
