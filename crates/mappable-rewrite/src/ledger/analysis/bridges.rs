//! Where bridges go: between the embedder and the functions with handles that it calls or offers.
//!
//! Inside the tree such a function is as closed as any other. What the embedder has is as it was; a component of ours
//! lies between the two, and is one more party to the class.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::ComponentExternalKind as Extern;
use wasmparser::component_types::{ComponentEntityType, ComponentFuncTypeId, ResourceId};

use super::Version;
use super::component::{Site, SiteItem};
use super::convert::Converter;
use super::graph::{Graph, Item};
use super::judge::Judge;
use super::walk::Walker;
use crate::ledger::signature::{Kind, Signature, Value};

/// All bridges of a tree.
#[derive(Debug, Default)]
pub(crate) struct Bridges {
    /// By the names of the root's imports, and of its exports.
    pub(crate) imports: BTreeMap<String, Bridge>,
    pub(crate) exports: BTreeMap<String, Bridge>,
    /// What crosses them.
    pub(crate) kinds: BTreeSet<Kind>,
}

/// What lies between the embedder and one import or export of the root.
#[derive(Debug)]
pub(crate) enum Bridge {
    Func(BridgeFunc),
    /// An instance: all that it exports, in its order; only some functions go over the bridge.
    Instance(Vec<(String, Extern, Option<BridgeFunc>)>),
}

/// A function that goes over a bridge: of scalars and owned handles.
#[derive(Debug)]
pub(crate) struct BridgeFunc {
    /// Of its parameters.
    pub(crate) names: Vec<String>,
    pub(crate) signature: Signature,
}

impl Bridge {
    /// What goes over it, and by which name of the instance if it is one's.
    pub(crate) fn funcs(&self) -> Vec<(Option<&str>, &BridgeFunc)> {
        match self {
            Bridge::Func(func) => vec![(None, func)],
            Bridge::Instance(items) => {
                items.iter().filter_map(|(name, _, func)| Some((Some(&**name), func.as_ref()?))).collect()
            }
        }
    }
}

impl Bridges {
    pub(crate) fn is_empty(&self) -> bool {
        self.imports.is_empty() && self.exports.is_empty()
    }
}

impl BridgeFunc {
    fn handles(&self) -> impl Iterator<Item = Kind> {
        let values = self.signature.params.iter().chain(&self.signature.result);
        values.filter_map(|value| if let Value::Own(kind) = value { Some(*kind) } else { None })
    }
}

impl Walker<'_> {
    /// Why there can be no bridges, if there can't: a bridge lies beside the components that it leads to, not within
    /// one and not around it; and it is told what the package's resources are, once and before anything else is made.
    pub(super) fn no_bridges(&self) -> Option<&'static str> {
        let root = self.components.first()?;
        match (root.canons.is_empty(), root.packages, root.late) {
            (false, ..) => Some("the root lifts or lowers functions itself"),
            (_, 1, false) => None,
            (_, 1, true) => Some("the root imports the package after it has instantiated a component"),
            _ => Some("the root imports the package more than once"),
        }
    }
}

impl<K: Fn(&Graph, ResourceId) -> Option<Kind>> Judge<'_, '_, K> {
    /// The bridges of a tree nothing of which is in the way of the ledger.
    pub(super) fn bridges(&mut self) -> Bridges {
        let mut bridges = Bridges::default();
        let components = self.components;
        for site in components.first().iter().flat_map(|root| &root.sites) {
            if let Some(bridge) = self.bridge(site) {
                bridges.kinds.extend(bridge.funcs().into_iter().flat_map(|(_, func)| func.handles()));
                let of = if site.import { &mut bridges.imports } else { &mut bridges.exports };
                of.insert(site.name.to_owned(), bridge);
            }
        }
        bridges
    }

    fn bridge(&mut self, site: &Site<'_>) -> Option<Bridge> {
        let root = self.components.first()?;
        match site.item {
            SiteItem::Func(index) => {
                let func = root.funcs.get(index as usize)?;
                let (node, ty) = (func.node, func.ty);
                self.bridge_func(node, ty).map(Bridge::Func)
            }
            SiteItem::Instance(index) => {
                let exports = root.instances.get(index as usize)?.as_ref()?;
                let ty = self.types.get(self.types.component_instance_at(index))?;
                let mut items = Vec::with_capacity(ty.exports.len());
                for (name, item) in &ty.exports {
                    let (kind, func) = match (item.ty, exports.get(name)) {
                        (ComponentEntityType::Func(ty), Some(Item::Func(node))) => {
                            (Extern::Func, self.bridge_func(*node, ty))
                        }
                        (ComponentEntityType::Func(_), _) => (Extern::Func, None),
                        (ComponentEntityType::Type { .. }, _) => (Extern::Type, None),
                        (ComponentEntityType::Instance(_), _) => (Extern::Instance, None),
                        (ComponentEntityType::Component(_), _) => (Extern::Component, None),
                        (ComponentEntityType::Module(_), _) => (Extern::Module, None),
                        (ComponentEntityType::Value(_), _) => (Extern::Value, None),
                    };
                    items.push((name.clone(), kind, func));
                }
                items.iter().any(|(.., func)| func.is_some()).then_some(Bridge::Instance(items))
            }
        }
    }

    fn bridge_func(&mut self, node: u32, ty: ComponentFuncTypeId) -> Option<BridgeFunc> {
        if self.version(node) == Version::Original {
            return None;
        }
        let names = self.types.get(ty)?.params.iter().map(|(name, _)| name.to_string()).collect();
        let signature = Converter::new(self.types, |id| self.ours(id)).func(ty).signature.ok()?;
        Some(BridgeFunc { names, signature: (*signature).clone() })
    }
}
