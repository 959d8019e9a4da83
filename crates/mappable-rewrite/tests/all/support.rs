//! What the topics share.

use std::fs;
use std::path::{Path, PathBuf};

use mappable_rewrite::{Gate, RewriteError, Rewritten, Settings, Tier, rewrite_with};
use wasm_encoder::Encode;

/// The gate of all tests: its key is in the golden files.
pub(crate) fn gate() -> Gate {
    Gate::new("k0").unwrap()
}

/// Assembles a component.
pub(crate) fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// Rewrites for the baseline tier. What is done to memories that nothing is mapped into is [`fixed`](crate::fixed)'s
/// topic.
pub(crate) fn rewrite<'a>(component: &'a [u8], gate: &Gate) -> Result<Rewritten<'a>, RewriteError> {
    rewrite_with(
        component,
        gate,
        Settings { tier: Tier::Baseline, bound: false, preload: false, ..Settings::default() },
    )
}

/// Rewrites a component that can be rewritten, and checks what must hold of every output.
pub(crate) fn rewritten(component: &[u8]) -> Vec<u8> {
    let once = rewrite(component, &gate()).unwrap();
    check_output(component, &once.bytes);
    once.bytes.into_owned()
}

/// An output validates, its lowers are all behind refreshes, and rewriting it changes nothing.
pub(crate) fn check_output(input: &[u8], output: &[u8]) {
    wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all())
        .validate_all(output)
        .expect("the output validates");
    mappable_rewrite::verify(output).expect("the output is verified");
    let twice = rewrite(output, &gate()).expect("the output can be rewritten");
    assert!(!twice.changed(), "rewriting twice changes something");
    assert!(core_modules(input) == core_modules(output), "core modules are copied byte for byte");
}

/// The bytes of all core modules of a tree, in order, but for refreshes.
fn core_modules(component: &[u8]) -> Vec<&[u8]> {
    let name = b"mappable-refresh";
    let is_refresh = |module: &[u8]| module.windows(name.len()).any(|window| window == name);
    wasmparser::Parser::new(0)
        .parse_all(component)
        .filter_map(|payload| match payload.unwrap() {
            wasmparser::Payload::ModuleSection { unchecked_range, .. } => Some(&component[unchecked_range]),
            _ => None,
        })
        .filter(|module| !is_refresh(module))
        .collect()
}

/// `outer` with `inner` nested in it, as its last section.
pub(crate) fn nest(mut outer: Vec<u8>, inner: &[u8]) -> Vec<u8> {
    outer.push(wasm_encoder::ComponentSectionId::Component as u8);
    inner.encode(&mut outer);
    outer
}

/// How many marked lowers of a tree are behind a refresh.
pub(crate) fn refreshes(component: &[u8]) -> usize {
    mappable_rewrite::inspect(component)
        .unwrap()
        .lowers()
        .filter(|(_, lower)| matches!(lower.refresh, mappable_rewrite::RefreshReport::Present { .. }))
        .count()
}

/// The folder of golden files.
pub(crate) fn golden_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The golden inputs, by name.
pub(crate) fn golden_inputs() -> Vec<(String, Vec<u8>)> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(golden_dir()).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        if let Some(name) = file.strip_suffix(".wat")
            && !name.ends_with(".out")
        {
            let bytes = wat::parse_file(golden_dir().join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            inputs.push((name.to_owned(), bytes));
        }
    }
    assert!(inputs.len() > 30, "the golden folder was found");
    inputs.sort();
    inputs
}

/// A golden input.
pub(crate) fn golden_input(name: &str) -> Vec<u8> {
    wat::parse_file(golden_dir().join(format!("{name}.wat"))).unwrap()
}
