//! The WIT package and the functions that are linked are the same thing.

use mappable::Runtime;
use wasmtime::Store;
use wasmtime::component::{Component, Linker, types::ComponentItem};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{Resolve, TypeDefKind, WorldId, WorldItem};

use crate::support::{Setup, State};
use crate::wat;

const WIT: &str = include_str!("../../../../wit/mappable.wit");

/// A package holds only files of its own folder, so each that needs the text has a copy.
#[test]
fn each_copy_of_the_package_is_the_package() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let copies = [
        "crates/mappable/wit",
        "crates/mappable-guest/wit",
        "examples/guest-rust/wit/deps/mappable-memory",
        "examples/stage-rust/wit/deps/mappable-memory",
        "sdk/python/mappable/wit/deps/mappable-memory",
        "sdk/js/wit/deps/mappable-memory",
    ];
    for copy in copies {
        let text = std::fs::read_to_string(root.join(copy).join("mappable.wit")).unwrap();
        assert_eq!(text, WIT, "{copy}: copy wit/mappable.wit there");
    }
}

/// The world that Python's extension has in a section of its own. `BLESS=1` writes it anew.
#[test]
fn the_extension_for_python_has_the_types_of_the_package() {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("mappable.wit", WIT).unwrap();
    let world = resolve.select_world(&[package], Some("imports")).unwrap();
    let types = wit_component::metadata::encode(&resolve, world, StringEncoding::UTF8, None).unwrap();
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/python/native/component-type.bin");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, &types).unwrap();
    }
    assert!(
        std::fs::read(&file).unwrap() == types,
        "BLESS=1 cargo test --workspace --test all -- the_extension_for_python"
    );
}

/// The least module that imports all of a world.
fn module(resolve: &Resolve, world: WorldId) -> Vec<u8> {
    let mut text = String::from("(module ");
    for (key, item) in &resolve.worlds[world].imports {
        let WorldItem::Interface { id, .. } = item else { panic!("{item:?} in the world") };
        let (interface, from) = (&resolve.interfaces[*id], resolve.name_world_key(key));
        for (name, function) in &interface.functions {
            let signature = resolve.wasm_signature(AbiVariant::GuestImport, function);
            let [params, results] = [&signature.params, &signature.results].map(|types| core_types(types));
            text += &format!(r#"(import "{from}" "{name}" (func (param {params}) (result {results})))"#);
        }
        for (name, &ty) in &interface.types {
            if matches!(resolve.types[ty].kind, TypeDefKind::Resource) {
                text += &format!(r#"(import "{from}" "[resource-drop]{name}" (func (param i32)))"#);
            }
        }
    }
    text += r#"(memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable))"#;
    let mut module = ::wat::parse_str(text).unwrap();
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).unwrap();
    module
}

fn core_types(types: &[WasmType]) -> String {
    let name = |ty: &WasmType| match ty {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32 ",
        WasmType::I64 | WasmType::PointerOrI64 => "i64 ",
        WasmType::F32 => "f32 ",
        WasmType::F64 => "f64 ",
    };
    types.iter().map(name).collect()
}

/// A component of the world `imports`, made by the toolchain from the WIT text.
fn component() -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("mappable.wit", WIT).unwrap();
    let world = resolve.select_world(&[package], Some("imports")).unwrap();
    let module = module(&resolve, world);
    ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}

#[test]
fn every_function_and_type_of_the_package_is_linked() {
    for setup in [Setup::Swap, Setup::SwapConcurrent, Setup::Remap] {
        let runtime = setup.runtime();
        let component = runtime.compile(&component()).unwrap();
        // The module imports each function, so that the encoder leaves none out.
        imports_all_functions(&runtime, &component);

        let mut linker = Linker::<State>::new(runtime.engine());
        mappable::add_to_linker::<State>(&mut linker).unwrap();
        let mut store = Store::new(runtime.engine(), State::new(&runtime));
        linker.instantiate(&mut store, &component).unwrap();
    }
}

/// As the WIT text has them.
fn functions_of_the_text() -> Vec<String> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("mappable.wit", WIT).unwrap();
    let interface = resolve.packages[package].interfaces["types"];
    let functions = resolve.interfaces[interface].functions.keys().cloned().collect::<Vec<_>>();
    assert!(functions.len() >= 7, "{functions:?}");
    functions
}

/// Making a component holds the types of what is declared to the package's, but not that all is declared.
#[test]
fn the_sdks_that_have_no_bindings_declare_each_function() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // The granule is a constant there.
    let functions: Vec<_> = functions_of_the_text().into_iter().filter(|it| it != "granule").collect();
    let drops = ["[resource-drop]mappable".to_owned(), "[resource-drop]frozen".to_owned()];
    for file in ["sdk/c/include/mappable/abi.h", "sdk/zig/src/abi.zig"] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        for function in functions.iter().chain(&drops) {
            assert!(text.contains(&format!("\"{function}\"")), "{file} lacks {function}");
        }
    }
}

#[test]
fn each_function_and_type_matters_for_linking() {
    // That the test above could fail: with another type anywhere, the component is not linked.
    for (from, to) in [
        ("granule: func() -> u32", "granule: func() -> u64"),
        ("allocate: static func(size: u64)", "allocate: static func(size: u32)"),
        ("read: func(offset: u64, len: u32)", "read: func(offset: u64, len: u64)"),
        ("region-over-quota,", "region-over-limit,"),
        ("range-outside-region,", "range-outside,"),
        ("size: func() -> u64", "size: func() -> u32"),
        ("write: func(offset: u64, bytes: list<u8>)", "write: func(offset: u64, bytes: list<u16>)"),
    ] {
        let text = WIT.replace(from, to);
        assert_ne!(text, WIT, "{from}");
        let mut resolve = Resolve::default();
        let package = resolve.push_str("mappable.wit", &text).unwrap();
        let world = resolve.select_world(&[package], Some("imports")).unwrap();
        let module = module(&resolve, world);
        let component = ComponentEncoder::default().module(&module).unwrap().encode().unwrap();
        let runtime = Runtime::new().unwrap();
        let component = runtime.compile(&component).unwrap();
        let mut linker = Linker::<State>::new(runtime.engine());
        mappable::add_to_linker::<State>(&mut linker).unwrap();
        let mut store = Store::new(runtime.engine(), State::new(&runtime));
        assert!(linker.instantiate(&mut store, &component).is_err(), "{to}");
    }
}

#[test]
fn the_mark_is_the_enum_of_the_package() {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("mappable.wit", WIT).unwrap();
    let interface = &resolve.interfaces[resolve.packages[package].interfaces["types"]];
    let TypeDefKind::Enum(cases) = &resolve.types[interface.types["map-error"]].kind else {
        panic!("`map-error` is no enum")
    };
    let cases: Vec<&str> = cases.cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(cases, mappable::rewrite::MARK);
}

#[test]
fn the_guests_of_these_tests_import_what_the_package_says() {
    // `wat` writes the interface by hand; it links because it is the same.
    let runtime = Setup::Swap.runtime();
    let component = runtime.compile(wat::guest("16").as_bytes()).unwrap();
    imports_all_functions(&runtime, &component);
}

/// That a component imports each function of the package, and no other from it.
#[track_caller]
fn imports_all_functions(runtime: &Runtime, component: &Component) {
    let ty = component.component_type();
    let types = ty.imports(runtime.engine()).find_map(|(name, item)| match item.ty {
        ComponentItem::ComponentInstance(types) if name.ends_with("/types@0.1.0") => Some(types),
        _ => None,
    });
    let mut functions: Vec<String> = types
        .unwrap()
        .exports(runtime.engine())
        .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)))
        .map(|(name, _)| name.to_owned())
        .collect();
    functions.sort();
    let mut expected = functions_of_the_text();
    expected.sort();
    assert_eq!(functions, expected);
}
