//! Where bridges go: between the embedder and the functions with handles that it calls or offers.
//!
//! Inside the tree such a function is as closed as any other. What the embedder has is as it was; a component of ours
//! lies between the two, and is one more party to the class.
//!
//! Types that have names (records, variants, enums and flags must) have an identity: what the root exports must name the
//! very types that its functions mention. So of each such type it is found where the root has it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use wasmparser::ComponentExternalKind as Extern;
use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType as Defined, ComponentDefinedTypeId, ComponentEntityType,
    ComponentFuncTypeId, ComponentInstanceTypeId, ComponentValType, ResourceId,
};
use wasmparser::types::TypesRef;

use super::Stop;
use super::class::Fate;
use super::component::{Site, SiteItem};
use super::graph::{Graph, Item, Node};
use super::judge::Judge;
use super::walk::Walker;
use crate::ledger::obstacle::{Opening, ROOT_WITH_FUNCTIONS, Reason};
use crate::ledger::signature::{Kind, Signature, Value};
use crate::tree::shape::for_each_part;

/// All bridges of a tree.
#[derive(Debug, Default)]
pub(crate) struct Bridges {
    /// By the names of the root's imports, and of its exports.
    pub(crate) imports: BTreeMap<String, Bridge>,
    pub(crate) exports: BTreeMap<String, Bridge>,
    /// What is in the types that bridges have to do with.
    pub(crate) kinds: BTreeSet<Kind>,
    /// The resources in them that are ours.
    pub(crate) resources: HashMap<ResourceId, Kind>,
    /// How many types were looked at for handles.
    pub(crate) looked_at: usize,
}

/// What lies between the embedder and one import or export of the root.
#[derive(Debug)]
pub(crate) struct Bridge {
    /// All that the instance exports, in its order, if it is one and no function.
    pub(crate) items: Option<Vec<(String, BridgeItem)>>,
    /// The functions that go over it.
    pub(crate) funcs: Vec<BridgeFunc>,
    /// The types with names that those mention, and those with handles that the instance exports: each behind those that
    /// it is made of.
    pub(crate) types: Vec<BridgeType>,
}

/// What an instance exports.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BridgeItem {
    /// The function of that number of the bridge's.
    Func(usize),
    /// The type of that number, which has handles.
    Type(usize),
    /// It is the same on both sides.
    Other(Extern),
}

/// A function that goes over a bridge.
#[derive(Debug)]
pub(crate) struct BridgeFunc {
    /// What the instance exports it as, if it is one's.
    pub(crate) name: Option<String>,
    node: Node,
    pub(crate) ty: ComponentFuncTypeId,
    pub(crate) signature: Signature,
}

/// A type that has a name, or a resource that is not ours.
#[derive(Debug)]
pub(crate) struct BridgeType {
    pub(crate) id: ComponentAnyTypeId,
    pub(crate) place: Place,
    /// Whether it has handles of ours, so that it is another one within the tree.
    pub(crate) handles: bool,
}

/// Where the root has a type.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// The instance that the bridge is for exports it by this name.
    Here(String),
    /// The root's imported instance of that index exports it by this name.
    Imported(u32, String),
    /// It is not found.
    Nowhere,
}

impl Bridges {
    pub(crate) fn is_empty(&self) -> bool {
        self.imports.is_empty() && self.exports.is_empty()
    }
}

impl Walker<'_> {
    /// Why there can be no bridges, if there can't: a bridge lies beside the components that it leads to, not within
    /// one and not around it; and it is told what the package's resources are, once and before anything else is made.
    pub(super) fn no_bridges(&self) -> Option<&'static str> {
        let root = self.components.first()?;
        match (root.canons.is_empty(), root.packages, root.late) {
            (false, ..) => Some(ROOT_WITH_FUNCTIONS),
            (_, 1, false) => None,
            (_, 1, true) => Some("the root imports the package after it has instantiated a component"),
            _ => Some("the root imports the package more than once"),
        }
    }
}

/// Where the root has each type that its imported instances export.
type Imported = HashMap<ComponentAnyTypeId, (u32, String)>;

impl<K: Fn(&Graph, ResourceId) -> Option<Kind>> Judge<'_, '_, K> {
    /// The bridges of a tree nothing else of which is in the way of the ledger.
    pub(super) fn bridges(&mut self) -> Result<Bridges, Stop> {
        let mut bridges = Bridges::default();
        let Some(root) = self.components.first() else { return Ok(bridges) };
        let mut imported = Imported::new();
        let mut instances: Vec<u32> = root.instance_names.keys().copied().collect();
        instances.sort_unstable();
        for instance in instances {
            for (name, id) in self.exported_types(self.types.component_instance_at(instance)) {
                imported.entry(id).or_insert((instance, name));
            }
        }
        let mut mentions = Mentions::default();
        for site in &root.sites {
            if let Some(bridge) = self.bridge(site, &imported, &mut mentions, &mut bridges.resources)? {
                let of = if site.import { &mut bridges.imports } else { &mut bridges.exports };
                of.insert(site.name.to_owned(), bridge);
            }
        }
        bridges.kinds = bridges.resources.values().copied().collect();
        bridges.looked_at = mentions.looked_at;
        Ok(bridges)
    }

    /// The types of values, and the resources that are not ours, that an instance exports.
    fn exported_types(&self, instance: ComponentInstanceTypeId) -> Vec<(String, ComponentAnyTypeId)> {
        let exports = self.types.get(instance).into_iter().flat_map(|ty| &ty.exports);
        let types = exports.filter_map(|(name, item)| match item.ty {
            ComponentEntityType::Type { created: id @ ComponentAnyTypeId::Defined(_), .. } => Some((name.clone(), id)),
            ComponentEntityType::Type { created: id @ ComponentAnyTypeId::Resource(resource), .. } => {
                self.ours(resource.resource()).is_none().then(|| (name.clone(), id))
            }
            _ => None,
        });
        types.collect()
    }

    fn bridge(
        &mut self,
        site: &Site<'_>,
        imported: &Imported,
        mentions: &mut Mentions,
        resources: &mut HashMap<ResourceId, Kind>,
    ) -> Result<Option<Bridge>, Stop> {
        let Some(root) = self.components.first() else { return Ok(None) };
        let mut bridge = Bridge { items: None, funcs: Vec::new(), types: Vec::new() };
        let mut named = Named { here: HashMap::new(), imported, numbers: HashMap::new(), mentions, resources };
        match site.item {
            SiteItem::Func(index) => {
                let Some(func) = root.funcs.get(index as usize) else { return Ok(None) };
                let (node, ty) = (func.node, func.ty);
                bridge.funcs.extend(self.bridge_func(None, node, ty));
            }
            SiteItem::Instance(index) => {
                let Some(Some(exports)) = root.instances.get(index as usize) else { return Ok(None) };
                let id = self.types.component_instance_at(index);
                let exported = self.exported_types(id);
                named.here = exported.iter().map(|(name, id)| (*id, name.clone())).collect();
                let mut items = Vec::new();
                for (name, item) in self.types.get(id).into_iter().flat_map(|ty| &ty.exports) {
                    let item = match (item.ty, exports.get(name)) {
                        (ComponentEntityType::Func(ty), Some(Item::Func(node))) => {
                            match self.bridge_func(Some(name), *node, ty) {
                                Some(func) => {
                                    bridge.funcs.push(func);
                                    BridgeItem::Func(bridge.funcs.len() - 1)
                                }
                                None => BridgeItem::Other(Extern::Func),
                            }
                        }
                        (ComponentEntityType::Type { created: ComponentAnyTypeId::Defined(id), .. }, _)
                            if named.mentions.handles(id, self.types, |id| self.ours(id).is_some()) =>
                        {
                            BridgeItem::Type(self.named(&ComponentValType::Type(id), &mut named, &mut bridge.types))
                        }
                        (ComponentEntityType::Func(_), _) => BridgeItem::Other(Extern::Func),
                        (ComponentEntityType::Type { .. }, _) => BridgeItem::Other(Extern::Type),
                        (ComponentEntityType::Instance(_), _) => BridgeItem::Other(Extern::Instance),
                        (ComponentEntityType::Component(_), _) => BridgeItem::Other(Extern::Component),
                        (ComponentEntityType::Module(_), _) => BridgeItem::Other(Extern::Module),
                        (ComponentEntityType::Value(_), _) => BridgeItem::Other(Extern::Value),
                    };
                    items.push((name.clone(), item));
                }
                bridge.items = Some(items);
            }
        }
        for func in &bridge.funcs {
            let ty = self.types.get(func.ty);
            for value in ty.into_iter().flat_map(|ty| ty.params.iter().map(|(_, ty)| ty).chain(&ty.result)) {
                self.named(value, &mut named, &mut bridge.types);
            }
            // What is not found can be written anew where nobody asks whether it is the same.
            let lost = |ty: &BridgeType| matches!(ty.place, Place::Nowhere) && (ty.handles || !site.import);
            // What takes the instance's place is put together of its parts, and the format has no names for these there.
            let has_methods = bridge.items.iter().flatten().any(|(name, _)| name.starts_with('['));
            let why = match (has_methods, bridge.types.iter().any(lost)) {
                (true, _) => Some("is in an instance with functions of a resource"),
                (false, true) => Some("mentions a type that the root has by itself, or from another export"),
                (false, false) => None,
            };
            if let Some((why, kind)) = why.zip(kind_in(&func.signature)) {
                let name = site.name.to_owned();
                let how = if site.import { Opening::Import(name) } else { Opening::Export(name) };
                let function = func.name.clone().unwrap_or_else(|| site.name.to_owned());
                let reason = Reason::NoBridge { kind, how, why };
                let stopped = self.graph.funcs.find(func.node);
                self.fates.insert(stopped, Fate::Obstacle(reason.clone()));
                return Err((0, Some(function), reason));
            }
        }
        Ok((!bridge.funcs.is_empty() || !bridge.types.is_empty()).then_some(bridge))
    }

    fn bridge_func(&mut self, name: Option<&String>, node: u32, ty: ComponentFuncTypeId) -> Option<BridgeFunc> {
        match self.fates.get(&self.graph.funcs.find(node)) {
            Some(Fate::Wrapped(signature, _)) => {
                Some(BridgeFunc { name: name.cloned(), node, ty, signature: (**signature).clone() })
            }
            _ => None,
        }
    }

    /// Notes the types with names in a type, and then itself if it has one. Gives the number of the last. Without
    /// recursion, as types may be nested.
    fn named(&self, ty: &ComponentValType, named: &mut Named<'_>, types: &mut Vec<BridgeType>) -> usize {
        let ComponentValType::Type(root) = *ty else { return types.len() };
        let (mut todo, mut seen) = (vec![(root, false)], HashSet::new());
        let mut last = types.len();
        while let Some((id, parts_are_noted)) = todo.pop() {
            let any = ComponentAnyTypeId::Defined(id);
            if let Some(number) = named.numbers.get(&any) {
                last = *number;
                continue;
            }
            let Some(ty) = self.types.get(id) else { continue };
            if let Defined::Own(resource) | Defined::Borrow(resource) = ty {
                let id = ComponentAnyTypeId::Resource(*resource);
                match self.ours(resource.resource()) {
                    Some(kind) => _ = named.resources.insert(resource.resource(), kind),
                    None if named.numbers.contains_key(&id) => {}
                    None => _ = named.note(id, false, types),
                }
            } else if !parts_are_noted && seen.insert(id) {
                todo.push((id, true));
                for_each_part(ty, |part| {
                    if let ComponentValType::Type(id) = part {
                        todo.push((*id, false));
                    }
                });
            } else if parts_are_noted && (is_nominal(ty) || named.here.contains_key(&any)) {
                let handles = named.mentions.handles(id, self.types, |id| self.ours(id).is_some());
                last = named.note(any, handles, types);
            }
        }
        last
    }
}

/// What is known of the types with names while a bridge is made.
struct Named<'b> {
    here: HashMap<ComponentAnyTypeId, String>,
    imported: &'b Imported,
    numbers: HashMap<ComponentAnyTypeId, usize>,
    mentions: &'b mut Mentions,
    resources: &'b mut HashMap<ResourceId, Kind>,
}

impl Named<'_> {
    fn note(&mut self, id: ComponentAnyTypeId, handles: bool, types: &mut Vec<BridgeType>) -> usize {
        let imported = || self.imported.get(&id).map(|(instance, name)| Place::Imported(*instance, name.clone()));
        let place = self.here.get(&id).cloned().map(Place::Here).or_else(imported).unwrap_or(Place::Nowhere);
        self.numbers.insert(id, types.len());
        types.push(BridgeType { id, place, handles });
        types.len() - 1
    }
}

/// Which types have handles of ours: each is looked at once for all bridges.
#[derive(Default)]
struct Mentions {
    known: HashMap<ComponentDefinedTypeId, bool>,
    looked_at: usize,
}

impl Mentions {
    /// Without recursion, as types may be nested.
    fn handles(
        &mut self,
        root: ComponentDefinedTypeId,
        types: TypesRef<'_>,
        is_ours: impl Fn(ResourceId) -> bool,
    ) -> bool {
        let mut todo = vec![(root, false)];
        while let Some((id, parts_are_known)) = todo.pop() {
            if self.known.contains_key(&id) {
                continue;
            }
            self.looked_at += 1;
            let (mut handles, mut parts) = (false, Vec::new());
            match types.get(id) {
                Some(Defined::Own(resource) | Defined::Borrow(resource)) => handles = is_ours(resource.resource()),
                Some(ty) => for_each_part(ty, |part| {
                    if let ComponentValType::Type(id) = part {
                        parts.push(*id);
                    }
                }),
                None => {}
            }
            if parts.is_empty() || parts_are_known {
                handles |= parts.iter().any(|part| self.known.get(part) == Some(&true));
                self.known.insert(id, handles);
            } else {
                todo.push((id, true));
                todo.extend(parts.into_iter().map(|part| (part, false)));
            }
        }
        self.known.get(&root) == Some(&true)
    }
}

/// Whether a type must have a name where it is imported or exported.
fn is_nominal(ty: &Defined) -> bool {
    matches!(ty, Defined::Record(_) | Defined::Variant(_) | Defined::Enum(_) | Defined::Flags(_))
}

fn kind_in(signature: &Signature) -> Option<Kind> {
    fn of(value: &Value) -> Option<Kind> {
        match value {
            Value::Own(kind) | Value::Borrow(kind) => Some(*kind),
            Value::List(element) => of(element),
            Value::Record(fields) => fields.iter().find_map(of),
            Value::Variant(cases) => cases.iter().flatten().find_map(of),
            _ => None,
        }
    }
    signature.params.iter().chain(&signature.result).find_map(of)
}
