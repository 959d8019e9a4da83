//! What is loaded: components of a few kilobytes up to several megabytes, open and closed.

use std::sync::Arc;

use anyhow::{Context, Result};
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, PackageId, plug};

use crate::bench::method;
use crate::stage::{BUILTINS, Bytes, Spec, fuse};

/// A component to load.
#[derive(Clone)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) bytes: Arc<[u8]>,
    /// Whether it is a closed composition, which the ledger tier can be had for.
    pub(super) closed: bool,
}

/// The stages of a pipeline and their arguments. There is no file to begin with.
const STAGES: &[(&str, &str)] =
    &[("blur", "2"), ("sharpen", "1.5"), ("resize", "50%"), ("grayscale", ""), ("edges", ""), ("encode", "")];

/// From the smallest to the largest. The last one has the code of `copies` pipelines.
pub(super) fn samples(copies: usize) -> Result<Vec<Sample>> {
    let sample = |name: &str, bytes: Vec<u8>, closed| Sample { name: name.to_owned(), bytes: Arc::from(bytes), closed };
    let builtin = |name: &str| {
        let stage = BUILTINS.iter().find(|stage| stage.name == name);
        stage.map(|stage| sample(name, stage.regions.to_vec(), false)).with_context(|| format!("no stage {name}"))
    };
    let (pipeline, pipelines) = (Pipeline::of(1)?, Pipeline::of(copies)?);
    Ok(vec![
        sample("lists", wat::parse_str(method::lists_text(4096))?, true),
        sample("regions", wat::parse_str(method::regions_text(65536))?, true),
        builtin("blur")?,
        builtin("decode")?,
        sample("pipeline", pipeline.open.clone(), false),
        sample("pipeline, closed", pipeline.close()?, true),
        sample(&format!("{copies} pipelines, closed"), pipelines.close()?, true),
    ])
}

/// Stages that are one component: a stage again.
struct Pipeline {
    open: Vec<u8>,
    args: Vec<String>,
}

impl Pipeline {
    /// So many times all stages one after the other, each with code of its own; only the last one encodes.
    fn of(copies: usize) -> Result<Self> {
        let mut specs = vec![];
        for copy in 1..=copies {
            for &(name, arg) in STAGES.iter().filter(|(name, _)| copy == copies || *name != "encode") {
                let spec = Spec::builtin(name, arg)?;
                // What has another name is not taken for the same.
                specs.push(Spec { name: format!("{name}-{copy}"), ..spec });
            }
        }
        let fused = fuse(&specs)?;
        match fused.bytes {
            Bytes::Composed(open) => Ok(Self { open: open.to_vec(), args: fused.args }),
            other => anyhow::bail!("a pipeline that was not composed: {other:?}"),
        }
    }

    /// Plugs it into what drives it, so that nothing outside has to do with regions.
    fn close(&self) -> Result<Vec<u8>> {
        let (arguments, data) = strings(&self.args, 1024);
        let text = include_str!("closing.wat").replace("ARGUMENTS", &arguments.to_string()).replace("DATA", &data);
        let mut graph = CompositionGraph::new();
        let driver = register(&mut graph, "bench:driver", wat::parse_str(text)?)?;
        let stages = register(&mut graph, "bench:stages", self.open.clone())?;
        plug(&mut graph, vec![stages], driver)?;
        Ok(graph.encode(EncodeOptions::default())?)
    }
}

fn register(graph: &mut CompositionGraph, name: &str, bytes: Vec<u8>) -> Result<PackageId> {
    let package = Package::from_bytes(name, None, bytes, graph.types_mut())?;
    Ok(graph.register_package(package)?)
}

/// A `list<string>` as it lies in memory from `at` on: its length, and its bytes as a string of the text format.
fn strings(list: &[String], at: usize) -> (usize, String) {
    let mut to = at + list.len() * 8;
    let (mut bytes, mut said) = (vec![], vec![]);
    for string in list {
        bytes.extend([to as u32, string.len() as u32].map(u32::to_le_bytes).concat());
        said.extend_from_slice(string.as_bytes());
        to += string.len();
    }
    bytes.append(&mut said);
    (list.len(), bytes.iter().map(|byte| format!("\\{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn the_largest_has_megabytes() {
        let samples = samples(8).unwrap();
        assert!(samples.is_sorted_by_key(|sample| sample.bytes.len()), "from the smallest on");
        assert!(samples.last().unwrap().bytes.len() > 2 << 20);
    }
}
