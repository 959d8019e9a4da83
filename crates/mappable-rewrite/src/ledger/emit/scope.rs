//! What an index of the input becomes, in each component and type that is being written.

use std::collections::{BTreeMap, HashMap};

use wasm_encoder::InstanceType;
use wasmparser::{ComponentFuncType, ComponentNameSectionReader};

use super::bundles::Bundles;
use super::sections::Sections;
use super::trusted::Trusted;
use crate::ledger::signature::{Kind, Value};

/// A component or type that has begun and not ended: what a count of outer aliases counts.
pub(super) struct Scope<'a> {
    pub(super) body: Body<'a>,
    /// Its types, by old index.
    pub(super) types: Vec<Type<'a>>,
    /// Types without names, where they have been needed.
    pub(super) erased: HashMap<Value, u32>,
}

pub(super) enum Body<'a> {
    Component(Box<ComponentBody<'a>>),
    /// An instance's type.
    Instance(InstanceType),
    /// A type that is copied: its indices stay.
    Copied,
}

pub(super) struct ComponentBody<'a> {
    /// Its place among the facts.
    pub(super) number: usize,
    pub(super) sections: Sections,
    pub(super) maps: Maps,
    pub(super) trusted: Trusted,
    /// If many wrappers have one instance together.
    pub(super) bundles: Option<Bundles<'a>>,
    /// How many canonical functions there have been, and how many instantiations of components.
    pub(super) canons: usize,
    pub(super) instantiations: usize,
    /// The types of handles that it has imported, if it needs them.
    pub(super) handles: BTreeMap<Kind, u32>,
    /// Its `component-name` sections. They may name what comes after them, so they go to the end.
    pub(super) names: Vec<ComponentNameSectionReader<'a>>,
}

/// New indices by old ones, but for those of types.
#[derive(Default)]
pub(super) struct Maps {
    pub(super) modules: Vec<u32>,
    pub(super) core_funcs: Vec<u32>,
    pub(super) core_memories: Vec<u32>,
    pub(super) core_globals: Vec<u32>,
    pub(super) core_instances: Vec<u32>,
    pub(super) funcs: Vec<u32>,
    pub(super) instances: Vec<u32>,
    pub(super) components: Vec<u32>,
    /// What takes the place of a core function that is a `realloc` or `post-return`, by its old index.
    pub(super) guards: BTreeMap<u32, u32>,
}

/// A type of the input, and its versions in the output.
#[derive(Clone)]
pub(super) struct Type<'a> {
    pub(super) original: u32,
    /// The index of a function type's other version, which has other types for our handles and for what goes by window.
    /// `None` until it is first asked for.
    pub(super) closed: Option<u32>,
    pub(super) what: What<'a>,
}

/// What other versions of a type are made of.
#[derive(Clone)]
pub(super) enum What<'a> {
    Func(ComponentFuncType<'a>),
    /// An alias of a type further out.
    Outer {
        count: u32,
        index: u32,
    },
    /// Another name of a function's type, by old index.
    Same(u32),
    /// All versions are the same.
    One,
}

impl Type<'_> {
    pub(super) fn new(original: u32, what: What<'_>) -> Type<'_> {
        Type { original, closed: None, what }
    }
}

impl<'a> Scope<'a> {
    pub(super) fn new(body: Body<'a>) -> Self {
        Scope { body, types: Vec::new(), erased: HashMap::new() }
    }
}

/// The new index of an old one.
pub(super) fn mapped(map: &[u32], old: u32) -> Option<u32> {
    map.get(usize::try_from(old).ok()?).copied()
}
