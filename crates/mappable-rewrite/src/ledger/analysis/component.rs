//! A component, as far as it has been seen: its index spaces, and what it imports and exports.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedTypeId, ComponentEntityType, ComponentFuncTypeId, ResourceId,
};
use wasmparser::types::TypesRef;
use wasmparser::{ComponentExternalKind as Extern, ComponentInstantiationArg};

use super::canon::Canon;
use super::graph::{Item, Node, Value};
use crate::error::{RewriteError, broken};
use crate::ledger::obstacle::Opening;
use crate::path::ComponentPath;

/// A component, as far as it has been seen.
#[derive(Default)]
pub(super) struct Component<'a> {
    pub(super) path: ComponentPath,
    pub(super) funcs: Vec<Func<'a>>,
    pub(super) instances: Vec<Value>,
    pub(super) instance_names: HashMap<u32, &'a str>,
    pub(super) components: Vec<Option<usize>>,
    pub(super) types: Vec<Type>,
    pub(super) canons: Vec<Canon>,
    pub(super) instantiates: Vec<Option<usize>>,
    pub(super) uses: Vec<Use>,
    /// The resource types that it imports, in order.
    pub(super) sources: Vec<Source<'a>>,
    pub(super) imports: BTreeMap<&'a str, Import>,
    pub(super) exports: BTreeMap<String, Item>,
    /// `exports`, once it has ended.
    pub(super) exported: Value,
}

/// A component's function.
pub(super) struct Func<'a> {
    pub(super) node: Node,
    pub(super) ty: ComponentFuncTypeId,
    /// What it is imported, aliased or exported as.
    pub(super) name: Name<'a>,
}

/// What a function is called: the instance that it is an export of, and its name.
#[derive(Clone, Copy, Default)]
pub(super) struct Name<'a>(pub(super) Option<&'a str>, pub(super) Option<&'a str>);

impl Name<'_> {
    pub(super) fn in_full(self) -> Option<String> {
        let Name(instance, name) = self;
        name.map(|name| instance.map_or_else(|| name.to_owned(), |instance| format!("{instance}#{name}")))
    }
}

/// A component's type.
#[derive(Clone, Copy)]
pub(super) struct Type {
    pub(super) id: ComponentAnyTypeId,
    /// The component and the index in it of the definition that this is another name of, if it is one.
    pub(super) origin: Option<(usize, u32)>,
}

/// Where a component has a resource type from: an import, or an export of one that is an instance.
pub(super) struct Source<'a> {
    pub(super) id: ResourceId,
    pub(super) import: &'a str,
    pub(super) export: Option<String>,
    /// Whether a component was instantiated, or a canonical function made, before it.
    pub(super) late: bool,
}

/// An instance's type in use as that of an import or export.
pub(super) struct Use {
    /// Its index.
    pub(super) ty: u32,
    /// If it is what the embedder has it by, how: then it stays as it is.
    pub(super) outside: Option<Opening>,
    pub(super) funcs: BTreeMap<String, Node>,
    pub(super) resources: BTreeMap<String, ResourceId>,
}

/// What a component imports by one name.
pub(super) enum Import {
    Func(Node),
    Instance { exports: Rc<BTreeMap<String, Item>>, resources: BTreeMap<String, ResourceId> },
    Resource(ResourceId),
    Other,
}

impl<'a> Component<'a> {
    pub(super) fn func(&mut self, types: TypesRef<'_>, node: Node, name: Name<'a>) {
        let ty = types.component_function_at(self.funcs.len() as u32);
        self.funcs.push(Func { node, ty, name });
    }

    pub(super) fn ty(&mut self, types: TypesRef<'_>, origin: Option<(usize, u32)>) -> ComponentAnyTypeId {
        let id = types.component_any_type_at(self.types.len() as u32);
        self.types.push(Type { id, origin });
        id
    }

    pub(super) fn item(&self, kind: Extern, index: u32) -> Result<Item, RewriteError> {
        let at = index as usize;
        let item = match kind {
            Extern::Func => self.funcs.get(at).map(|func| Item::Func(func.node)),
            Extern::Instance => self.instances.get(at).map(|value| Item::Instance(value.clone())),
            Extern::Component => self.components.get(at).map(|component| Item::Component(*component)),
            Extern::Type | Extern::Module | Extern::Value => Some(Item::Other),
        };
        item.ok_or_else(|| broken!("an index beyond the end of its space"))
    }

    /// The resources that an argument gives, by itself or by what is in it; or only those in instances within it.
    pub(super) fn resources_of(
        &self,
        types: TypesRef<'_>,
        arg: &ComponentInstantiationArg<'_>,
        only_within: bool,
    ) -> Vec<ResourceId> {
        let mut resources = Vec::new();
        let mut todo = Vec::new();
        match arg.kind {
            Extern::Type => {
                if let Some(ComponentAnyTypeId::Resource(id)) = self.types.get(arg.index as usize).map(|ty| ty.id) {
                    resources.push(id.resource());
                }
            }
            Extern::Instance => todo.push((types.component_instance_at(arg.index), only_within)),
            _ => {}
        }
        let mut seen = HashSet::new();
        while let Some((id, not_here)) = todo.pop() {
            if !seen.insert(id) {
                continue;
            }
            for item in types.get(id).iter().flat_map(|ty| ty.exports.values()) {
                match item.ty {
                    ComponentEntityType::Instance(within) => todo.push((within, false)),
                    ComponentEntityType::Type { referenced: ComponentAnyTypeId::Resource(id), .. } if !not_here => {
                        resources.push(id.resource());
                    }
                    _ => {}
                }
            }
        }
        resources
    }

    /// The type at an index, if it is one of values.
    pub(super) fn defined(&self, index: u32) -> Option<ComponentDefinedTypeId> {
        match self.types.get(index as usize)?.id {
            ComponentAnyTypeId::Defined(id) => Some(id),
            _ => None,
        }
    }
}
