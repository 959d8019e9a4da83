//! The image stages that benchmarks run, as `guests/build.sh` builds them, and pipelines of them.

use anyhow::{Context, Result};
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, PackageId};

macro_rules! built {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/stages/", $name, ".wasm"))
    };
}

/// A stage of world `stage`, which is handed regions, and what it is called with in a pipeline.
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) bytes: &'static [u8],
    pub(crate) arg: &'static str,
}

/// The stages of a pipeline in its order. There is no file to begin with.
pub(crate) const PIPELINE: [Stage; 6] = [
    Stage { name: "blur", bytes: built!("blur"), arg: "2" },
    Stage { name: "sharpen", bytes: built!("sharpen"), arg: "1.5" },
    Stage { name: "resize", bytes: built!("resize"), arg: "50%" },
    Stage { name: "grayscale", bytes: built!("grayscale"), arg: "" },
    Stage { name: "edges", bytes: built!("edges"), arg: "" },
    Stage { name: "encode", bytes: built!("encode"), arg: "" },
];

/// Stages of world `parallel-stage`, which several instances run at once: in place, and by rows.
pub(crate) const INVERT: &[u8] = built!("invert");
pub(crate) const BLUR: &[u8] = PIPELINE[0].bytes;

/// The largest stage.
pub(crate) const DECODE: &[u8] = built!("decode");

/// A stage of world `copying-stage`, which is handed a list.
pub(crate) fn copying(name: &str) -> Result<&'static [u8]> {
    Ok(match name {
        "decode" => built!("decode.copying"),
        "edges" => built!("edges.copying"),
        "grayscale" => built!("grayscale.copying"),
        _ => anyhow::bail!("no stage {name}"),
    })
}

/// Two stages in one (world `pair`), to compose stages with.
const PAIR: &[u8] = built!("pair");

/// What a stage exports.
pub(crate) const STEP: &str = "mappable:stage/step@0.1.0";
const FIRST: &str = "mappable:stage/first@0.1.0";
const SECOND: &str = "mappable:stage/second@0.1.0";

/// Composes stages into one that does what they do, one after the other. Each has code of its own.
pub(crate) fn compose(stages: &[&Stage]) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let pair = register(&mut graph, "bench:pair", PAIR.to_vec())?;
    let mut so_far = None;
    for (at, stage) in stages.iter().enumerate() {
        let package = register(&mut graph, &format!("bench:stage{at}"), stage.bytes.to_vec())?;
        let instance = graph.instantiate(package);
        let step = graph.alias_instance_export(instance, STEP)?;
        so_far = Some(match so_far {
            None => step,
            Some(first) => {
                let both = graph.instantiate(pair);
                graph.set_instantiation_argument(both, FIRST, first)?;
                graph.set_instantiation_argument(both, SECOND, step)?;
                graph.alias_instance_export(both, STEP)?
            }
        });
    }
    graph.export(so_far.context("no stages")?, STEP)?;
    Ok(graph.encode(EncodeOptions::default())?)
}

pub(crate) fn register(graph: &mut CompositionGraph, name: &str, bytes: Vec<u8>) -> Result<PackageId> {
    let package = Package::from_bytes(name, None, bytes, graph.types_mut())?;
    Ok(graph.register_package(package)?)
}
