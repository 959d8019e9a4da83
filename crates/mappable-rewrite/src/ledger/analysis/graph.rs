//! What joins what: union-find over functions and over resource types, and the values that instances are.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use wasmparser::component_types::{ComponentFuncTypeId, ResourceId};

use crate::ledger::interface::Builtin;
use crate::ledger::obstacle::Opening;
use crate::ledger::signature::Kind;

/// A function, as a node of the union-find.
pub(super) type Node = u32;

/// What an instance exports. `None` where that is not known.
pub(super) type Value = Option<Rc<BTreeMap<String, Item>>>;

/// What an instance exports by one name.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Func(Node),
    Instance(Value),
    /// Which component of the tree, where that is known.
    Component(Option<usize>),
    /// A type, a module, a value: nothing that joins functions.
    Other,
}

/// How many nodes there may be: a tree that has more is not analysed.
const MAX_NODES: u32 = 1 << 20;

/// Disjoint sets of numbers.
#[derive(Default)]
pub(super) struct Sets(Vec<u32>);

impl Sets {
    pub(super) fn add(&mut self) -> u32 {
        let new = self.0.len() as u32;
        self.0.push(new);
        new
    }

    pub(super) fn find(&mut self, mut node: u32) -> u32 {
        while let Some(&parent) = self.0.get(node as usize)
            && parent != node
        {
            let above = self.0.get(parent as usize).copied().unwrap_or(parent);
            if let Some(slot) = self.0.get_mut(node as usize) {
                *slot = above;
            }
            node = above;
        }
        node
    }

    /// The class's representative is the least number in it.
    pub(super) fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.find(a), self.find(b));
        if let Some(slot) = self.0.get_mut(a.max(b) as usize) {
            *slot = a.min(b);
        }
    }

    pub(super) fn len(&self) -> u32 {
        self.0.len() as u32
    }
}

/// Where a resource type comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The outermost component's import of the package.
    Ours(Kind),
    /// An import of a nested component, of any resource: which component, and its name there.
    Abstract(usize, String),
    /// Whatever a component that is not followed gives as the resource of that number.
    Unknown(u32),
    /// Anything else.
    Foreign,
}

/// All that is joined.
#[derive(Default)]
pub(super) struct Graph {
    pub(super) funcs: Sets,
    pub(super) builtins: Vec<(Node, Builtin)>,
    pub(super) opened: Vec<(Node, Opening)>,
    /// Each type by which a function goes somewhere.
    pub(super) types: Vec<(Node, ComponentFuncTypeId)>,
    pub(super) resources: Sets,
    resource_of: HashMap<ResourceId, u32>,
    /// By number in `resources`.
    pub(super) origins: Vec<Origin>,
    /// Which component passes which resources to where they are not followed.
    pub(super) escaped: Vec<(usize, ResourceId)>,
}

impl Graph {
    pub(super) fn func(&mut self) -> Node {
        self.funcs.add()
    }

    /// A function that is not known, with a type that it goes by.
    pub(super) fn unknown_func(&mut self) -> Node {
        let node = self.func();
        self.open(node, Opening::Unknown);
        node
    }

    pub(super) fn too_large(&self) -> bool {
        self.funcs.len() > MAX_NODES || self.resources.len() > MAX_NODES
    }

    pub(super) fn open(&mut self, node: Node, how: Opening) {
        self.opened.push((node, how));
    }

    /// Opens all that an item leads to.
    pub(super) fn open_item(&mut self, item: &Item, how: &Opening) {
        let mut todo = vec![item.clone()];
        // Values are trees only in what they are made of; each is visited once for each way to it, within reason.
        let mut left = MAX_NODES;
        while let (Some(item), true) = (todo.pop(), left > 0) {
            left -= 1;
            match item {
                Item::Func(node) => self.open(node, how.clone()),
                Item::Instance(Some(exports)) => todo.extend(exports.values().cloned()),
                Item::Instance(None) | Item::Component(_) | Item::Other => {}
            }
        }
    }

    /// Registers where a resource type comes from; the first word on it holds.
    pub(super) fn resource(&mut self, id: ResourceId, origin: Origin) -> u32 {
        if let Some(&number) = self.resource_of.get(&id) {
            return number;
        }
        let number = self.resources.add();
        self.origins.push(origin);
        self.resource_of.insert(id, number);
        number
    }

    pub(super) fn join_resources(&mut self, import: ResourceId, given: ResourceId) {
        let import = self.resource(import, Origin::Foreign);
        let given = self.resource(given, Origin::Foreign);
        self.resources.join(import, given);
    }

    /// The resource may be any.
    pub(super) fn taint(&mut self, id: ResourceId) {
        let number = self.resource(id, Origin::Foreign);
        let any = self.resources.add();
        self.origins.push(Origin::Unknown(number));
        self.resources.join(number, any);
    }

    /// The number of a resource that was registered.
    pub(super) fn known_resource(&self, id: ResourceId) -> Option<u32> {
        self.resource_of.get(&id).copied()
    }

    /// What is imported as `import` is given `given`.
    pub(super) fn join_exports(&mut self, import: &BTreeMap<String, Item>, given: &Value) {
        for (name, item) in import {
            let given = given.as_ref().and_then(|exports| exports.get(name)).cloned();
            match (item, given) {
                (Item::Func(node), Some(Item::Func(given))) => self.funcs.join(*node, given),
                (Item::Other, _) => {}
                (item, given) => {
                    // An instance within an instance, a component, or something that is not there.
                    self.open_item(item, &Opening::Unknown);
                    given.iter().for_each(|given| self.open_item(given, &Opening::Unknown));
                }
            }
        }
    }
}
