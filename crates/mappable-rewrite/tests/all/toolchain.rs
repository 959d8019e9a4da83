//! Components as stock toolchains make them: by `wit-component` from a core module, and composed by `wac`.

use mappable_rewrite::{TierReport, inspect, rewrite};
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, plug};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

use crate::support::{gate, refreshes, rewritten};

const STAGES: &str = "
    package test:stages;
    interface hand-over {
        use mappable:memory/types@0.1.0.{mappable};
        take: func(region: mappable) -> result<mappable, string>;
    }
    world first {
        import mappable:memory/types@0.1.0;
        import hand-over;
        export run: func();
    }
    world last {
        import mappable:memory/types@0.1.0;
        export hand-over;
    }
    interface all-sorts {
        use mappable:memory/types@0.1.0.{mappable, frozen, allocate-error};
        record pixel { red: u8, depth: f32 }
        record job { name: string, region: mappable, also: option<frozen> }
        variant item { one(mappable), many(list<mappable>), none, text(string) }
        flags marks { first, last }
        resource queue {
            constructor(first: mappable);
            push: func(region: mappable, pixels: list<pixel>) -> list<u64>;
            merge: static func(a: queue, b: borrow<queue>) -> result<frozen, tuple<mappable, allocate-error>>;
        }
        submit: func(job: job, bytes: list<u8>, pixels: list<pixel>) -> result<item, allocate-error>;
        look: func(at: borrow<mappable>, items: list<tuple<u32, item>>) -> list<pixel>;
        many: func(a: u64, b: u64, c: job, d: job, e: item, f: list<u8>, g: marks) -> tuple<mappable, list<u8>>;
        plain: func(samples: list<f64>) -> list<u16>;
        text: func(lines: list<string>) -> list<pixel>;
    }
    interface more-sorts {
        use mappable:memory/types@0.1.0.{mappable as region};
        use all-sorts.{job, pixel, queue, item as thing};
        type jobs = list<job>;
        type canvas = list<pixel>;
        all: func(jobs: jobs, canvas: canvas) -> thing;
        queue-of: func(region: region) -> queue;
    }
    world giver {
        import mappable:memory/types@0.1.0;
        import all-sorts;
        import more-sorts;
    }
    world taker {
        import mappable:memory/types@0.1.0;
        export all-sorts;
        export more-sorts;
    }
    world plain {
        import log: func(line: string);
        export run: func(args: list<string>) -> u32;
    }
";

/// How many functions of the interface change what is mapped: map and unmap, of both kinds of region.
const SWAPPING_FUNCTIONS: usize = 5;

/// A component of a world of [`STAGES`] whose functions do nothing.
fn dummy(world: &str, mangling: ManglingAndAbi) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");
    resolve.push_path(wit).unwrap();
    let package = resolve.push_str("stages.wit", STAGES).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = dummy_module(&resolve, world, mangling);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let mut encoder = ComponentEncoder::default().module(&module).unwrap();
    encoder.encode().unwrap()
}

const LEGACY: ManglingAndAbi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);

#[test]
fn a_component_of_wit_component_gets_refreshes() {
    for mangling in [LEGACY, ManglingAndAbi::Standard32] {
        for world in ["first", "last"] {
            let input = dummy(world, mangling);
            assert_eq!(refreshes(&rewritten(&input)), SWAPPING_FUNCTIONS, "{world}");
        }
    }
}

#[test]
fn a_component_of_wit_component_that_maps_nothing_is_the_same_bytes() {
    let input = dummy("plain", LEGACY);
    assert_eq!(rewritten(&input), input);
    let bounded = rewrite(&input, &gate()).unwrap();
    assert_eq!(bounded.report.components[0].modules[0].bounded, [0]);
    // Once is enough.
    assert!(!rewrite(&bounded.bytes, &gate()).unwrap().changed());
}

fn composed(last: Vec<u8>, first: Vec<u8>) -> Vec<u8> {
    let mut graph = CompositionGraph::new();
    let last = Package::from_bytes("test:last", None, last, graph.types_mut()).unwrap();
    let last = graph.register_package(last).unwrap();
    let first = Package::from_bytes("test:first", None, first, graph.types_mut()).unwrap();
    let first = graph.register_package(first).unwrap();
    plug(&mut graph, vec![last], first).unwrap();
    graph.encode(EncodeOptions::default()).unwrap()
}

#[test]
fn a_composition_of_wac_gets_refreshes_in_each_stage() {
    let input = composed(dummy("last", LEGACY), dummy("first", LEGACY));
    let report = inspect(&input).unwrap();
    assert!(report.lowers().all(|(component, _)| !component.path.0.is_empty()));
    assert_eq!(report.gated_imports.len(), 1);
    assert_eq!(refreshes(&rewritten(&input)), 2 * SWAPPING_FUNCTIONS);
}

#[test]
fn a_composition_of_wac_is_closed_and_a_stage_of_it_crosses() {
    let (last, first) = (dummy("last", LEGACY), dummy("first", LEGACY));
    // It gives, or gives back.
    for stage in [&last, &first] {
        let tier = inspect(stage).unwrap().tier;
        assert_eq!(tier, TierReport::Ledger { wrapped: 0, crossing: 1, builtins: 21 });
        crate::ledger::written(stage);
    }
    // Each imports all of the package's functions but `granule`, the handed-over one goes from one to the other.
    let tier = inspect(&composed(last, first)).unwrap().tier;
    assert_eq!(tier, TierReport::Ledger { wrapped: 2, crossing: 0, builtins: 2 * 21 });
}

#[test]
fn handles_and_lists_of_all_sorts_are_written_for_the_ledger() {
    for mangling in [LEGACY, ManglingAndAbi::Standard32] {
        let input = composed(dummy("taker", mangling), dummy("giver", mangling));
        let output = crate::ledger::written(&input);
        // Shims and re-exports of types are followed: nothing is lowered or lifted with a real handle of ours.
        let mut config = wasmtime::Config::new();
        config.cranelift_opt_level(wasmtime::OptLevel::None);
        let engine = wasmtime::Engine::new(&config).unwrap();
        wasmtime::component::Component::new(&engine, output).unwrap();
    }
}
