//! Built components, as they are, put together around one portable guest.

use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId};

use crate::{PORTABLE, STEP, TYPES};

const PAIR: &[u8] = built!("pair");

/// Components put together by `wac`, as they are, around one portable guest.
pub(crate) struct Composition {
    graph: CompositionGraph,
    types: NodeId,
    pair: PackageId,
    packages: usize,
}

impl Composition {
    pub(crate) fn new() -> Composition {
        let mut graph = CompositionGraph::new();
        let portable = register(&mut graph, "test:portable", PORTABLE);
        let pair = register(&mut graph, "test:pair", PAIR);
        let portable = graph.instantiate(portable);
        let types = graph.alias_instance_export(portable, TYPES).unwrap();
        Composition { graph, types, pair, packages: 0 }
    }

    /// What a component exports that is given the portable guest's regions.
    pub(crate) fn plug(&mut self, component: &[u8], export: &str) -> NodeId {
        self.packages += 1;
        let package = register(&mut self.graph, &format!("test:package{}", self.packages), component);
        let instance = self.graph.instantiate(package);
        self.graph.set_instantiation_argument(instance, TYPES, self.types).unwrap();
        self.graph.alias_instance_export(instance, export).unwrap()
    }

    /// Two stages as one: the first hands its region to the second, and nobody else sees it.
    pub(crate) fn pair(&mut self, first: NodeId, second: NodeId) -> NodeId {
        let pair = self.graph.instantiate(self.pair);
        self.graph.set_instantiation_argument(pair, TYPES, self.types).unwrap();
        self.graph.set_instantiation_argument(pair, "mappable:stage/first@0.1.0", first).unwrap();
        self.graph.set_instantiation_argument(pair, "mappable:stage/second@0.1.0", second).unwrap();
        self.graph.alias_instance_export(pair, STEP).unwrap()
    }

    /// A component that exports this, and regions.
    pub(crate) fn export(mut self, node: NodeId, name: &str) -> Vec<u8> {
        self.graph.export(self.types, TYPES).unwrap();
        self.graph.export(node, name).unwrap();
        self.graph.encode(EncodeOptions::default()).unwrap()
    }
}

fn register(graph: &mut CompositionGraph, name: &str, bytes: &[u8]) -> PackageId {
    let package = Package::from_bytes(name, None, bytes, graph.types_mut()).unwrap();
    graph.register_package(package).unwrap()
}
