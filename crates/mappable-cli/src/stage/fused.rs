//! Stages composed into one component, which hand the region over among themselves: the host sees it only at the ends.
//!
//! Two stages are plugged into a `pair`, which is a stage again; that and the third into another, and so on. A `pair`
//! parts its arguments at the last `--`, so all stages' arguments are one list with a `--` between them.

use std::sync::Arc;

use anyhow::{Context, Result};
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId};

use super::builtin::PAIR;
use super::{Bytes, Spec};
use crate::failure::{Exit, fail};

const STEP: &str = "mappable:stage/step@0.1.0";
const FIRST: &str = "mappable:stage/first@0.1.0";
const SECOND: &str = "mappable:stage/second@0.1.0";
const BETWEEN: &str = "--";

/// One stage that does what these do, one after the other.
pub(crate) fn fuse(specs: &[Spec]) -> Result<Spec> {
    let (first, others) = specs.split_first().context("there are no stages to fuse")?;
    if others.is_empty() {
        return Ok(first.clone());
    }
    for spec in specs {
        if spec.args.iter().any(|arg| arg == BETWEEN) {
            let message = format!("the argument `{BETWEEN}` can't be given to a fused stage");
            return Err(fail(Exit::Usage, message)).with_context(|| format!("stage {}", spec.name));
        }
    }
    let bytes = compose(specs)?;
    let names: Vec<_> = specs.iter().map(|spec| spec.name.as_str()).collect();
    let args: Vec<_> = specs.iter().map(|spec| spec.args.as_slice()).collect();
    let args = args.join(&BETWEEN.to_owned());
    Ok(Spec { name: names.join("+"), bytes: Bytes::Composed(Arc::from(bytes)), args })
}

fn compose(specs: &[Spec]) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let pair = register(&mut graph, "mappable:pair", PAIR)?;
    let mut packages: Vec<(&str, PackageId)> = vec![];
    let mut so_far: Option<NodeId> = None;
    for spec in specs {
        let package = match packages.iter().find(|(name, _)| *name == spec.name) {
            Some((_, package)) => *package,
            None => {
                let title = || format!("stage {}", spec.name);
                let bytes = spec.bytes.regions().with_context(title)?;
                let bytes = wat::parse_bytes(&bytes).map_err(|error| fail(Exit::Load, error)).with_context(title)?;
                let name = format!("stages:stage{}", packages.len());
                let package = register(&mut graph, &name, &bytes).with_context(title)?;
                is_stage(&graph, package).with_context(title)?;
                packages.push((&spec.name, package));
                package
            }
        };
        let title = || format!("stage {}", spec.name);
        let step = step(&mut graph, package).with_context(title)?;
        so_far = Some(match so_far {
            None => step,
            Some(first) => join(&mut graph, pair, first, step).with_context(title)?,
        });
    }
    let last = so_far.context("there are no stages to fuse")?;
    graph.export(last, STEP).map_err(refused)?;
    graph.encode(EncodeOptions::default()).map_err(refused)
}

fn register(graph: &mut CompositionGraph, name: &str, bytes: &[u8]) -> Result<PackageId> {
    // What is nested too deep for a parser that recurses is refused here.
    mappable::rewrite::inspect(bytes).map_err(|error| fail(Exit::Load, format!("not a stage: {error}")))?;
    let package = Package::from_bytes(name, None, bytes.to_vec(), graph.types_mut());
    let package = package.map_err(|error| fail(Exit::Load, format!("not a stage: {error:#}")))?;
    graph.register_package(package).map_err(refused)
}

/// Looks whether there is what a stage exports, and nothing imported that stages are not given: the composition would
/// import that, and be to blame.
fn is_stage(graph: &CompositionGraph, package: PackageId) -> Result<()> {
    let world = &graph.types()[graph[package].ty()];
    let given =
        |import: &str| ["mappable:memory/types@", "mappable:stage/format@"].iter().any(|name| import.starts_with(name));
    if let Some(import) = world.imports.keys().find(|import| !given(import)) {
        return Err(fail(Exit::Load, format!("not a stage: it imports `{import}`, which stages are not given")));
    }
    if !world.exports.contains_key(STEP) {
        return Err(fail(Exit::Load, format!("not a stage: it does not export `{STEP}`")));
    }
    Ok(())
}

/// What a stage, or a pair of them, does.
fn step(graph: &mut CompositionGraph, package: PackageId) -> Result<NodeId> {
    let instance = graph.instantiate(package);
    graph.alias_instance_export(instance, STEP).map_err(refused)
}

fn join(graph: &mut CompositionGraph, pair: PackageId, first: NodeId, second: NodeId) -> Result<NodeId> {
    let instance = graph.instantiate(pair);
    graph.set_instantiation_argument(instance, FIRST, first).map_err(refused)?;
    graph.set_instantiation_argument(instance, SECOND, second).map_err(refused)?;
    graph.alias_instance_export(instance, STEP).map_err(refused)
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> anyhow::Error {
    fail(Exit::Load, format!("can't be composed: {:#}", anyhow::Error::from(error)))
}
