//! The components that are loaded: a few kilobytes to several megabytes, open and closed.

use std::sync::Arc;

use anyhow::Result;
use wac_graph::{CompositionGraph, EncodeOptions, plug};

use crate::method;
use crate::stages::{DECODE, PIPELINE, compose, register};

/// A component to load.
#[derive(Clone)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) bytes: Arc<[u8]>,
    /// Whether it is a closed composition, which the ledger tier can be had for.
    pub(super) closed: bool,
}

/// From the smallest to the largest. The last one has the code of `copies` pipelines.
pub(super) fn samples(copies: usize) -> Result<Vec<Sample>> {
    let sample = |name: &str, bytes: Vec<u8>, closed| Sample { name: name.to_owned(), bytes: Arc::from(bytes), closed };
    let (pipeline, pipelines) = (Pipeline::of(1)?, Pipeline::of(copies)?);
    Ok(vec![
        sample("lists", wat::parse_str(method::lists_text(4096))?, true),
        sample("regions", wat::parse_str(method::regions_text(65536))?, true),
        sample("blur", PIPELINE[0].bytes.to_vec(), false),
        sample("decode", DECODE.to_vec(), false),
        sample("pipeline", pipeline.open.clone(), false),
        sample("pipeline, closed", pipeline.close()?, true),
        sample(&format!("{copies} pipelines, closed"), pipelines.close()?, true),
    ])
}

/// Stages that are one component: a stage again.
struct Pipeline {
    open: Vec<u8>,
    args: Vec<&'static str>,
}

impl Pipeline {
    /// So many times all stages one after the other, each with code of its own; only the last one encodes.
    fn of(copies: usize) -> Result<Self> {
        let kept = |copy, name| copy == copies || name != "encode";
        let all = (1..=copies).flat_map(|copy| PIPELINE.iter().filter(move |stage| kept(copy, stage.name)));
        let stages: Vec<_> = all.collect();
        // The stage that is several parts its arguments at each `--`.
        let mut args = vec![];
        for (at, stage) in stages.iter().enumerate() {
            args.extend((at > 0).then_some("--"));
            args.extend((!stage.arg.is_empty()).then_some(stage.arg));
        }
        Ok(Self { open: compose(&stages)?, args })
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

/// A `list<string>` as it lies in memory from `at` on: its length, and its bytes as a string of the text format.
fn strings(list: &[&str], at: usize) -> (usize, String) {
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
