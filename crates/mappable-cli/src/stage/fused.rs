//! Stages composed into one component, which hand the region over among themselves: the host sees it only at the ends.
//!
//! Two stages are plugged into a `pair`, which is a stage again; that and the third into another, and so on. A `pair`
//! parts its arguments at the last `--`, so all stages' arguments are one list with a `--` between them.
//!
//! A *portable* composition has its regions in itself, in plain WebAssembly (`portable.wasm`), and takes and gives lists
//! (`lists.wasm`): it imports no function, and no resource is in its interface.

use std::sync::Arc;

use anyhow::{Context, Result};
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId};

use super::builtin::{LISTS, PAIR, PORTABLE};
use super::{Bytes, Spec};
use crate::failure::{Exit, fail};

const TYPES: &str = "mappable:memory/types@0.1.0";
const STEP: &str = "mappable:stage/step@0.1.0";
const COPYING_STEP: &str = "mappable:stage/copying-step@0.1.0";
const FIRST: &str = "mappable:stage/first@0.1.0";
const SECOND: &str = "mappable:stage/second@0.1.0";
const BETWEEN: &str = "--";

/// What stages may import: regions, and of WASI 0.2 what `wasi:cli/imports` has.
const GIVEN: [&str; 8] = [
    "mappable:memory/types@",
    "mappable:stage/format@",
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// Where a composition has its regions from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Regions {
    /// The host.
    Imported,
    /// A component in it, that copies.
    Inside,
}

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
    let bytes = compose(specs, Regions::Imported)?;
    let names: Vec<_> = specs.iter().map(|spec| spec.name.as_str()).collect();
    let args: Vec<_> = specs.iter().map(|spec| spec.args.as_slice()).collect();
    let args = args.join(&BETWEEN.to_owned());
    Ok(Spec { name: names.join("+"), bytes: Bytes::Composed(Arc::from(bytes)), args })
}

/// The stages as one component: of world `stage`, or of world `copying-stage` if its regions are inside.
pub(crate) fn compose(specs: &[Spec], regions: Regions) -> Result<Vec<u8>> {
    let mut composition = Composition::new(regions)?;
    let pair = register(&mut composition.graph, "mappable:pair", PAIR)?;
    let mut packages: Vec<(&str, PackageId)> = vec![];
    let mut so_far: Option<NodeId> = None;
    for spec in specs {
        let title = || format!("stage {}", spec.name);
        let package = match packages.iter().find(|(name, _)| *name == spec.name) {
            Some((_, package)) => *package,
            None => {
                let bytes = spec.bytes.regions().with_context(title)?;
                let bytes = wat::parse_bytes(&bytes).map_err(|error| fail(Exit::Load, error)).with_context(title)?;
                let name = format!("stages:stage{}", packages.len());
                let package = register(&mut composition.graph, &name, &bytes).with_context(title)?;
                is_stage(&composition.graph, package).with_context(title)?;
                packages.push((&spec.name, package));
                package
            }
        };
        let step = composition.plug(package, &[], STEP).with_context(title)?;
        so_far = Some(match so_far {
            None => step,
            Some(first) => composition.plug(pair, &[(FIRST, first), (SECOND, step)], STEP).with_context(title)?,
        });
    }
    let last = so_far.context("there are no stages to compose")?;
    match regions {
        Regions::Imported => composition.graph.export(last, STEP).map_err(refused)?,
        Regions::Inside => {
            let lists = register(&mut composition.graph, "mappable:lists", LISTS)?;
            let step = composition.plug(lists, &[(STEP, last)], COPYING_STEP)?;
            composition.graph.export(step, COPYING_STEP).map_err(refused)?
        }
    };
    composition.graph.encode(EncodeOptions::default()).map_err(refused)
}

/// A component of any world, with its regions inside. What else it imports stays imported.
pub(crate) fn with_regions_inside(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut composition = Composition::new(Regions::Inside)?;
    let package = register(&mut composition.graph, "mappable:component", bytes)?;
    let world = &composition.graph.types()[composition.graph[package].ty()];
    if !world.imports.contains_key(TYPES) {
        return Err(fail(Exit::Load, format!("it does not import `{TYPES}`: it runs anywhere as it is")));
    }
    if let Some(import) = world.imports.keys().find(|name| name.starts_with("mappable:") && *name != TYPES) {
        let text = format!("can't be composed: it imports `{import}`, whose regions are the host's, not its own");
        return Err(fail(Exit::Load, text));
    }
    let exports: Vec<String> = world.exports.keys().cloned().collect();
    let instance = composition.instantiate(package, &[])?;
    for name in exports {
        let export = composition.graph.alias_instance_export(instance, &name).map_err(refused)?;
        composition.graph.export(export, name).map_err(refused)?;
    }
    composition.graph.encode(EncodeOptions::default()).map_err(refused)
}

/// Whether a component is a stage, by what it exports.
pub(crate) fn exports_step(bytes: &[u8]) -> Result<bool> {
    let mut graph = CompositionGraph::new();
    let package = register(&mut graph, "mappable:component", bytes)?;
    Ok(graph.types()[graph[package].ty()].exports.contains_key(STEP))
}

/// Components that are put together around one source of regions.
struct Composition {
    graph: CompositionGraph,
    /// The interface to regions, if it is inside.
    types: Option<NodeId>,
}

impl Composition {
    fn new(regions: Regions) -> Result<Self> {
        let mut graph = CompositionGraph::new();
        let types = match regions {
            Regions::Imported => None,
            Regions::Inside => {
                let portable = register(&mut graph, "mappable:portable", PORTABLE)?;
                let portable = graph.instantiate(portable);
                Some(graph.alias_instance_export(portable, TYPES).map_err(refused)?)
            }
        };
        Ok(Self { graph, types })
    }

    fn instantiate(&mut self, package: PackageId, arguments: &[(&str, NodeId)]) -> Result<NodeId> {
        let instance = self.graph.instantiate(package);
        let imports = &self.graph.types()[self.graph[package].ty()].imports;
        // A stage that only passes its region on imports none of it, or no function.
        let types = self.types.filter(|_| imports.contains_key(TYPES)).map(|types| (TYPES, types));
        for (name, argument) in arguments.iter().copied().chain(types) {
            self.graph.set_instantiation_argument(instance, name, argument).map_err(refused)?;
        }
        Ok(instance)
    }

    /// What a component exports under a name when it is given these, and regions.
    fn plug(&mut self, package: PackageId, arguments: &[(&str, NodeId)], export: &str) -> Result<NodeId> {
        let instance = self.instantiate(package, arguments)?;
        self.graph.alias_instance_export(instance, export).map_err(refused)
    }
}

fn register(graph: &mut CompositionGraph, name: &str, bytes: &[u8]) -> Result<PackageId> {
    // What is nested too deep for a parser that recurses is refused here.
    mappable::rewrite::inspect(bytes).map_err(|error| fail(Exit::Load, format!("not loaded: {error}")))?;
    let package = Package::from_bytes(name, None, bytes.to_vec(), graph.types_mut());
    let package = package.map_err(|error| fail(Exit::Load, format!("not loaded: {error:#}")))?;
    graph.register_package(package).map_err(refused)
}

/// Looks whether there is what a stage exports, and nothing imported that stages are not given: the composition would
/// import that, and be to blame.
fn is_stage(graph: &CompositionGraph, package: PackageId) -> Result<()> {
    let world = &graph.types()[graph[package].ty()];
    let given = |import: &str| GIVEN.iter().any(|name| import.starts_with(name));
    if let Some(import) = world.imports.keys().find(|import| !given(import)) {
        return Err(fail(Exit::Load, format!("not a stage: it imports `{import}`, which stages are not given")));
    }
    if !world.exports.contains_key(STEP) {
        return Err(fail(Exit::Load, format!("not a stage: it does not export `{STEP}`")));
    }
    Ok(())
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> anyhow::Error {
    fail(Exit::Load, format!("can't be composed: {:#}", anyhow::Error::from(error)))
}
