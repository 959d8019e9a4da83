//! Trusted modules, as the validator and the engine see them.

mod assembled;
mod beginning;
mod bundles;
mod calls;
mod crossing;
mod failures;
mod handles;
mod lists;
mod opaque;
mod tampering;
mod values;
mod warm;
mod world;

use proptest::prelude::*;

use super::*;
use crate::ledger::signature::Value;

#[test]
fn fixed_modules_are_valid_and_import_what_they_need() {
    let swap = Signature { params: vec![], result: None };
    let mut all =
        vec![ledger_memory("stage"), window_memory(), window_start(), table(false), table(true), may_leave(&[], &[])];
    all.extend([&SLOTS[..], &[1], &[]].map(|slots| guard(&[], &[], slots, true)));
    let swapping = [
        Builtin::MappableMap,
        Builtin::MappingUnmap,
        Builtin::FrozenMap,
        Builtin::FrozenMapPrivate,
        Builtin::FrozenMappingUnmap,
    ];
    all.extend(swapping.map(|which| builtin(which, &swap, true)));
    all.iter().for_each(check);
}

#[test]
fn a_name_that_is_too_long_is_cut_between_characters() {
    let kept = format!("a{}", "é".repeat((MAX_NAME - 1) / 2));
    assert_eq!(kept.len(), MAX_NAME - 1);
    assert_eq!(ledger_memory(&format!("{kept}é")), ledger_memory(&kept));
}

fn check(module: &Module) {
    wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(&module.bytes).unwrap();
    let mut imports = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(&module.bytes) {
        if let wasmparser::Payload::ImportSection(section) = payload.unwrap() {
            for import in section.into_imports() {
                let import = import.unwrap();
                assert_eq!(import.module, "");
                imports.push(import.name.to_owned());
            }
        }
    }
    let needs: Vec<_> = module.needs.iter().map(|(field, _)| (*field).to_owned()).collect();
    assert_eq!(imports, needs);
}

#[test]
fn flags_of_each_number_of_labels_go_beside_a_handle() {
    for labels in 1..=32 {
        let value = Value::Record(vec![Value::Flags(labels), Value::Own(Kind::Mappable)]);
        let signature = Signature { params: vec![value.clone()], result: Some(value) };
        check(&lower(&signature, false));
        check(&lift(&signature, false));
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Mappable), Just(Kind::Mapping), Just(Kind::Frozen), Just(Kind::FrozenMapping)]
}

fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Bool),
        Just(Value::U8),
        Just(Value::S16),
        Just(Value::U32),
        Just(Value::U64),
        Just(Value::F32),
        Just(Value::F64),
        Just(Value::Char),
        Just(Value::String),
        Just(Value::Other),
        (1u32..100).prop_map(Value::Flags),
    ];
    let handle = kind().prop_map(Value::Own);
    prop_oneof![scalar, handle].prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            inner.clone().prop_map(|element| Value::List(Box::new(element))),
            proptest::collection::vec(inner.clone(), 1..5).prop_map(Value::Record),
            proptest::collection::vec(proptest::option::of(inner), 1..5).prop_map(Value::Variant),
            Just(Value::Variant(vec![None; 300])),
        ]
    })
}

fn signature() -> impl Strategy<Value = Signature> {
    (proptest::collection::vec(value(), 0..5), proptest::option::of(value()))
        .prop_map(|(params, result)| Signature { params, result })
}

fn crossings(signature: &Signature) -> Vec<Crossing> {
    let signature = Rc::new(signature.clone());
    let lower = |is_async| Crossing::Lower { signature: Rc::clone(&signature), is_async };
    let mut all = vec![lower(false), lower(true), Crossing::Lift(Rc::clone(&signature))];
    for value in signature.result.iter().chain(&signature.params) {
        all.extend(
            [Crossing::TaskReturn, Crossing::StreamWrite, Crossing::FutureWrite].map(|of| of(Rc::new(value.clone()))),
        );
    }
    all
}

proptest! {
    #[test]
    fn wrappers_of_any_signature_are_valid(signature in signature(), lists: bool) {
        check(&lower(&signature, lists));
        check(&lift(&signature, lists));
        check(&builtin(Builtin::MappableSplit, &signature, false));
        for crossing in crossings(&signature) {
            check(&super::crossing(&crossing));
        }
    }
}
