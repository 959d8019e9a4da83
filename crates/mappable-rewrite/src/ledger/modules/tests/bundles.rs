//! Many wrappers in one module.

use std::collections::HashMap;

use super::*;

/// The items that a module's needs are given, each another one but for what is the component's own.
fn items(module: &Module, next: &mut u32) -> Vec<Item> {
    let mut given = |need: &Need| {
        let kind = match need {
            Need::GuestMemory | Need::Ledger | Need::Window => ExportKind::Memory,
            Need::Table("number" | "record" | "forbidden") => ExportKind::Global,
            Need::Table(name) if name.starts_with("shown-") => ExportKind::Global,
            _ => ExportKind::Func,
        };
        let item = match need {
            Need::Callee | Need::Engine => {
                *next += 1;
                *next
            }
            _ => 0,
        };
        (kind, item)
    };
    module.needs.iter().map(|(_, need)| given(need)).collect()
}

fn bundle(modules: &[Module]) -> Bundle {
    let (mut bundler, mut next) = (Bundler::default(), 0);
    for module in modules {
        assert!(bundler.has_room());
        bundler.add(module, &items(module, &mut next)).unwrap();
    }
    bundler.finish().unwrap()
}

/// What a module of the bundle imports and exports is what is said of it.
fn check_bundle(bundle: &Bundle, modules: &[Module]) {
    wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(&bundle.bytes).unwrap();
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    for payload in wasmparser::Parser::new(0).parse_all(&bundle.bytes) {
        match payload.unwrap() {
            wasmparser::Payload::ImportSection(section) => {
                imports.extend(section.into_imports().map(|import| import.unwrap().name.to_owned()));
            }
            wasmparser::Payload::ExportSection(section) => {
                exports.extend(section.into_iter().map(|export| export.unwrap().name.to_owned()));
            }
            _ => {}
        }
    }
    assert_eq!(imports, bundle.imports.iter().map(|import| import.field.clone()).collect::<Vec<_>>());
    assert_eq!(exports, (0..modules.len()).map(|number| number.to_string()).collect::<Vec<_>>());
    for (module, used) in modules.iter().zip(&bundle.wrappers) {
        let needs = used.iter().map(|import| bundle.imports[*import].need);
        assert!(needs.eq(module.needs.iter().map(|(_, need)| *need)));
    }
}

proptest! {
    #[test]
    fn wrappers_of_any_signatures_are_valid_together(
        signatures in proptest::collection::vec(signature(), 1..5),
        lists: bool,
    ) {
        let mut modules = vec![may_leave(&[], &[]), guard(&[], &[], &SLOTS, true)];
        modules.push(builtin(Builtin::MappableMap, &signatures[0], true));
        for signature in &signatures {
            modules.extend([lower(signature, lists), lift(signature, lists)]);
            modules.push(builtin(Builtin::MappableSplit, signature, false));
            modules.extend(crossings(signature).iter().map(super::super::crossing));
        }
        check_bundle(&bundle(&modules), &modules);
    }
}

#[test]
fn what_two_wrappers_are_given_alike_is_imported_once() {
    let signature = Signature { params: vec![Value::Own(Kind::Mappable)], result: None };
    let one = lower(&signature, false);
    let bundle = bundle(&[one.clone(), one.clone(), one.clone()]);
    let mut counts: HashMap<Need, usize> = HashMap::new();
    bundle.imports.iter().for_each(|import| *counts.entry(import.need).or_default() += 1);
    for (_, need) in one.needs {
        assert_eq!(counts[&need], if need == Need::Callee { 3 } else { 1 }, "{need:?}");
    }
}

#[test]
fn there_is_room_for_a_thousand_wrappers_and_some_memories() {
    let wrapper = may_leave(&[], &[]);
    let (mut bundler, mut next) = (Bundler::default(), 0);
    while bundler.has_room() {
        bundler.add(&wrapper, &items(&wrapper, &mut next)).unwrap();
    }
    assert_eq!(bundler.finish().unwrap().wrappers.len(), 1000);

    let walks = Signature { params: vec![Value::List(Box::new(Value::Own(Kind::Mappable)))], result: None };
    let wrapper = lower(&walks, false);
    let (mut bundler, mut memories) = (Bundler::default(), 0);
    while bundler.has_room() {
        let items = wrapper.needs.iter().map(|(_, need)| match need {
            Need::GuestMemory => (ExportKind::Memory, memories),
            Need::Ledger => (ExportKind::Memory, 1000),
            _ => (ExportKind::Func, 0),
        });
        bundler.add(&wrapper, &items.collect::<Vec<_>>()).unwrap();
        memories += 1;
    }
    let bundle = bundler.finish().unwrap();
    wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(&bundle.bytes).unwrap();
    assert_eq!(bundle.wrappers.len(), 64);
}
