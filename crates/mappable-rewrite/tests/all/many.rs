//! Many functions in one component: wrappers have instances together, so that there is room for any number of them.

use std::time::Instant;

use mappable_rewrite::{Settings, Tier, TierReport, rewrite_with};
use mappable_testing::many::component;
use wasmparser::{ComponentName, Instance, KnownCustom, Parser, Payload};

use crate::support::{gate, wasm};

/// What `component` is written as. It crosses wherever it gives a handle: once for each function that it calls, and for each
/// that it offers.
fn written(component: &[u8], functions: usize) -> Vec<u8> {
    let settings = Settings { tier: Tier::Ledger, ..Settings::default() };
    let rewritten = rewrite_with(component, &gate(), settings).unwrap();
    let crossing = 2 * functions;
    assert_eq!(rewritten.report.tier, TierReport::Ledger { wrapped: 0, crossing, builtins: 2 });
    rewritten.bytes.into_owned()
}

/// What is written for the root: core instances, those of them that are of a module, and modules.
fn counts(component: &[u8]) -> (usize, usize, usize) {
    let (mut all, mut instantiated, mut modules) = (0, 0, 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::InstanceSection(section) => {
                all += section.count() as usize;
                let of_module = |instance: &Result<_, _>| matches!(instance, Ok(Instance::Instantiate { .. }));
                instantiated += section.into_iter().filter(of_module).count();
            }
            Payload::ModuleSection { .. } => modules += 1,
            _ => {}
        }
    }
    (all, instantiated, modules)
}

#[test]
fn ten_thousand_functions_that_cross_are_for_the_ledger() {
    let input = wasm(&component(10_000, "16"));
    let output = written(&input, 10_000);
    crate::ledger::keeps_its_shape(&input, &output);
    // The guest's two, the ledger's memory and table, and one for a thousand of 10,002 lowers, 5,001 guards and 10,000
    // lifts. All but two are given an instance that is made for them. Bundles of a thousand alike are one module.
    let (all, instantiated, modules) = counts(&output);
    let expected = 2 + 2 + 11 + 6 + 10;
    assert_eq!((all, instantiated), (2 * expected - 2, expected));
    assert!(modules < expected, "{modules}");
}

#[test]
fn a_component_has_an_instance_for_each_thousand_wrappers() {
    let of = |functions| counts(&written(&wasm(&component(functions, "16")), functions)).1;
    // `docs/src/measurements.md` has these. In the first there are few enough for an instance each.
    assert_eq!([1, 10, 100, 1000].map(of), [8, 7, 7, 8]);
}

#[test]
fn names_are_in_the_order_of_what_they_name() {
    let memory = r#"(alias core export $libc "memory" (core memory $memory))"#;
    // The same items by other names, which are no items of their own where wrappers have instances together.
    let again = [("memory", "memory", "again"), ("realloc", "func", "realloc"), ("realloc", "func", "realloc-again")];
    let again =
        again.map(|(export, kind, name)| format!(r#"(alias core export $libc "{export}" (core {kind} ${name}))"#));
    let text = component(20, "16");
    assert!(text.contains(memory));
    let output = written(&wasm(&text.replacen(memory, &format!("{memory} {}", again.concat()), 1)), 20);
    let (mut funcs, mut memories) = (Vec::new(), Vec::new());
    let read = |map: wasmparser::NameMap<'_>| -> Vec<(u32, String)> {
        map.into_iter().map(|naming| naming.unwrap()).map(|naming| (naming.index, naming.name.to_owned())).collect()
    };
    for payload in Parser::new(0).parse_all(&output) {
        let Payload::CustomSection(section) = payload.unwrap() else { continue };
        let KnownCustom::ComponentName(names) = section.as_known() else { continue };
        for name in names {
            match name.unwrap() {
                ComponentName::CoreFuncs(map) => funcs.extend(read(map)),
                ComponentName::CoreMemories(map) => memories.extend(read(map)),
                _ => {}
            }
        }
    }
    assert!(
        [&funcs, &memories].into_iter().all(|names| names.is_sorted_by(|a, b| a.0 < b.0)),
        "{funcs:?} {memories:?}"
    );
    // `map`, `unmap` and what is lowered; `realloc` has one of its two names.
    assert_eq!((funcs.len(), memories.len()), (2 + 20 + 1, 1), "{funcs:?} {memories:?}");
}

#[test]
fn the_time_is_linear_in_the_number_of_functions() {
    let inputs = [1250, 5000].map(|functions| (functions, wasm(&component(functions, "16"))));
    let mut seen = vec![];
    // Others take their share of the machine: one pair that nobody disturbed will do. A square would be 16 in each.
    let is_linear = (0..5).any(|_| {
        let [few, many] = inputs.each_ref().map(|(functions, input)| {
            let begun = Instant::now();
            written(input, *functions);
            begun.elapsed()
        });
        seen.push((few, many));
        many < few * 8
    });
    assert!(is_linear, "for 1,250 and for 5,000: {seen:?}");
}
