//! Components as stock toolchains make them: by `wit-component` from a core module, and composed by `wac`.

use mappable_rewrite::inspect;
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, plug};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

use crate::support::{refreshes, rewritten};

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
    world plain {
        import log: func(line: string);
        export run: func(args: list<string>) -> u32;
    }
";

/// How many functions of the interface change what is mapped: map and unmap, of both kinds of region.
const SWAPPING_FUNCTIONS: usize = 4;

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
