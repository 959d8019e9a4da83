//! The walk: what is in each component's index spaces, section by section, as the validator has taken them in.

use std::collections::BTreeMap;
use std::rc::Rc;

use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType, ComponentInstanceTypeId};
use wasmparser::types::TypesRef;
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExport, ComponentExternalKind as Extern, ComponentImport,
    ComponentInstance, ComponentOuterAliasKind, ComponentTypeRef, Payload, TypeBounds,
};

use super::canon::Canon;
use super::component::{Component, Import, Name, Source, Use};
use super::graph::{Graph, Item, Origin, Value};
use crate::error::{RewriteError, broken};
use crate::gate;
use crate::ledger::interface::Builtin;
use crate::ledger::obstacle::Opening;
use crate::ledger::signature::Kind;
use crate::path::ComponentPath;
use crate::tree::read::Visit;

/// Sees a tree, and knows in the end what joins what.
#[derive(Default)]
pub(crate) struct Walker<'a> {
    pub(super) graph: Graph,
    /// In the order in which they begin.
    pub(super) components: Vec<Component<'a>>,
    /// Those that have begun and not ended.
    open: Vec<usize>,
    /// Those that have ended, in that order: each behind all that it can instantiate.
    pub(super) ended: Vec<usize>,
}

impl<'a> Visit<'a> for Walker<'a> {
    fn begin(&mut self, path: &ComponentPath) {
        self.open.push(self.components.len());
        self.components.push(Component { path: path.clone(), ..Component::default() });
    }

    fn section(&mut self, types: TypesRef<'_>, payload: &Payload<'a>) -> Result<(), RewriteError> {
        if self.graph.too_large() {
            return Ok(());
        }
        let index = *self.open.last().ok_or_else(|| broken!("a section outside of any component"))?;
        let nested = self.components.len();
        let component = self.components.get_mut(index).ok_or_else(|| broken!("a component without facts"))?;
        if let Payload::ComponentSection { .. } = payload {
            component.components.push(Some(nested));
            return Ok(());
        }
        // It is taken out, so that others can be looked at while it is changed.
        let mut component = std::mem::take(component);
        let result = self.items(index, &mut component, types, payload);
        let counts =
            (component.funcs.len(), component.instances.len(), component.components.len(), component.types.len());
        let known = (
            types.component_function_count() as usize,
            types.component_instance_count() as usize,
            types.component_count() as usize,
            types.component_type_count() as usize,
        );
        if result.is_ok() && counts != known && !matches!(payload, Payload::ModuleSection { .. }) {
            return Err(broken!("index spaces of {} are {counts:?}, the validator's {known:?}", component.path));
        }
        if let Some(slot) = self.components.get_mut(index) {
            *slot = component;
        }
        result
    }

    fn end(&mut self) {
        if let Some(index) = self.open.pop() {
            self.ended.push(index);
            if let Some(component) = self.components.get_mut(index) {
                component.exported = Some(Rc::new(std::mem::take(&mut component.exports)));
            }
        }
    }
}

impl<'a> Walker<'a> {
    fn items(
        &mut self,
        index: usize,
        to: &mut Component<'a>,
        types: TypesRef<'_>,
        payload: &Payload<'a>,
    ) -> Result<(), RewriteError> {
        match payload {
            Payload::ComponentTypeSection(section) => {
                for _ in 0..section.count() {
                    to.ty(types, Some((index, to.types.len() as u32)));
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    self.import(index, to, types, import?)?;
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone() {
                    self.alias(to, types, alias?)?;
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    let value = match instance? {
                        ComponentInstance::Instantiate { component_index, args } => {
                            self.instantiate(index, to, types, component_index, &args)?
                        }
                        ComponentInstance::FromExports(exports) => {
                            let mut items = BTreeMap::new();
                            for export in &exports {
                                let item = to.item(export.kind, export.index)?;
                                self.let_go(&item);
                                items.insert(export.name.name.to_owned(), item);
                            }
                            Some(Rc::new(items))
                        }
                    };
                    to.instances.push(value);
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    self.export(index, to, types, export?)?;
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for canon in section.clone() {
                    let canon = canon?;
                    if let CanonicalFunction::Lift { .. } = canon {
                        let node = self.graph.func();
                        to.func(types, node, Name::default());
                    }
                    let canon = Canon::read(to, types, &canon)?;
                    to.canons.push(canon);
                }
            }
            Payload::ComponentStartSection { start, .. } => {
                let func = to.funcs.get(start.func_index as usize);
                let func = func.ok_or_else(|| broken!("a start function that does not exist"))?;
                self.graph.open(func.node, Opening::Start);
            }
            _ => {}
        }
        Ok(())
    }

    /// An import: fresh functions and resources, which each instantiation joins with what it gives.
    fn import(
        &mut self,
        index: usize,
        to: &mut Component<'a>,
        types: TypesRef<'_>,
        import: ComponentImport<'a>,
    ) -> Result<(), RewriteError> {
        let name = import.name.name;
        let root = index == 0;
        let late = !to.instantiates.is_empty() || !to.canons.is_empty();
        let imported = match import.ty {
            ComponentTypeRef::Func(_) => {
                let node = self.graph.func();
                if root {
                    self.graph.open(node, Opening::Import(name.to_owned()));
                }
                to.func(types, node, Name(None, Some(name)));
                Import::Func(node)
            }
            ComponentTypeRef::Instance(ty) => {
                let instance = to.instances.len() as u32;
                to.instance_names.insert(instance, name);
                let concrete = types.component_instance_at(to.instances.len() as u32);
                let (exports, used) = self.imported_instance(index, types, concrete, ty, name);
                to.instances.push(Some(exports.clone()));
                let resources = used.resources.clone();
                for (export, id) in &resources {
                    to.sources.push(Source { id: *id, import: name, export: Some(export.clone()), late });
                }
                to.uses.push(used);
                Import::Instance { exports, resources }
            }
            ComponentTypeRef::Type(bounds) => {
                let origin = match bounds {
                    TypeBounds::Eq(of) => to.types.get(of as usize).and_then(|ty| ty.origin),
                    TypeBounds::SubResource => None,
                };
                match to.ty(types, origin) {
                    ComponentAnyTypeId::Resource(id) => {
                        let origin = if root { Origin::Foreign } else { Origin::Abstract(index, name.to_owned()) };
                        self.graph.resource(id.resource(), origin);
                        to.sources.push(Source { id: id.resource(), import: name, export: None, late });
                        Import::Resource(id.resource())
                    }
                    _ => Import::Other,
                }
            }
            ComponentTypeRef::Component(_) => {
                to.components.push(None);
                Import::Other
            }
            ComponentTypeRef::Module(_) | ComponentTypeRef::Value(_) => Import::Other,
        };
        to.imports.insert(name, imported);
        Ok(())
    }

    fn imported_instance(
        &mut self,
        index: usize,
        types: TypesRef<'_>,
        concrete: ComponentInstanceTypeId,
        ty: u32,
        import: &str,
    ) -> (Rc<BTreeMap<String, Item>>, Use) {
        let root = index == 0;
        let package = root && gate::is_package(import);
        let outside = (root && !package).then(|| Opening::Import(import.to_owned()));
        let mut used = Use { ty, outside, funcs: BTreeMap::new(), resources: BTreeMap::new() };
        let mut exports = BTreeMap::new();
        for (name, item) in types.get(concrete).iter().flat_map(|ty| &ty.exports) {
            let value = match item.ty {
                ComponentEntityType::Func(ty) => {
                    let node = self.graph.func();
                    self.graph.types.push((node, ty));
                    used.funcs.insert(name.clone(), node);
                    match Builtin::named(name).filter(|_| package) {
                        Some(builtin) => self.graph.builtins.push((node, builtin)),
                        None if root => self.graph.open(node, Opening::Import(import.to_owned())),
                        None => {}
                    }
                    Item::Func(node)
                }
                ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(id), .. } => {
                    let id = id.resource();
                    let kind = Kind::ALL.into_iter().find(|kind| package && kind.package_name() == name);
                    let origin = match kind {
                        Some(kind) => Origin::Ours(kind),
                        None if root => Origin::Foreign,
                        None => Origin::Abstract(index, format!("{import}#{name}")),
                    };
                    self.graph.resource(id, origin);
                    used.resources.insert(name.clone(), id);
                    Item::Other
                }
                ComponentEntityType::Instance(_) => Item::Instance(None),
                ComponentEntityType::Component(_) => Item::Component(None),
                _ => Item::Other,
            };
            exports.insert(name.clone(), value);
        }
        (Rc::new(exports), used)
    }

    fn alias(
        &mut self,
        to: &mut Component<'a>,
        types: TypesRef<'_>,
        alias: ComponentAlias<'a>,
    ) -> Result<(), RewriteError> {
        match alias {
            ComponentAlias::InstanceExport { kind, instance_index, name } => {
                let instance = to.instances.get(instance_index as usize);
                let instance = instance.ok_or_else(|| broken!("an alias of an instance that does not exist"))?;
                let item = instance.as_ref().and_then(|exports| exports.get(name)).cloned();
                match (kind, item) {
                    (Extern::Func, item) => {
                        let node = match item {
                            Some(Item::Func(node)) => node,
                            _ => self.graph.unknown_func(),
                        };
                        to.func(types, node, Name(to.instance_names.get(&instance_index).copied(), Some(name)));
                    }
                    (Extern::Instance, Some(Item::Instance(value))) => to.instances.push(value),
                    (Extern::Instance, _) => to.instances.push(None),
                    (Extern::Component, Some(Item::Component(component))) => to.components.push(component),
                    (Extern::Component, _) => to.components.push(None),
                    (Extern::Type, _) => {
                        to.ty(types, None);
                    }
                    (Extern::Module | Extern::Value, _) => {}
                }
            }
            ComponentAlias::Outer { kind, count, index } => {
                let outer = self.open.len().checked_sub(1 + count as usize).and_then(|at| self.open.get(at));
                // Of itself it is not in its place just now.
                let outer = outer.filter(|_| count > 0).and_then(|&at| self.components.get(at));
                let itself = count == 0;
                match kind {
                    ComponentOuterAliasKind::Component => {
                        let outer = if itself { Some(&*to) } else { outer };
                        let known = outer.and_then(|outer| outer.components.get(index as usize)).copied();
                        to.components.push(known.flatten());
                    }
                    ComponentOuterAliasKind::Type => {
                        let outer = if itself { Some(&*to) } else { outer };
                        let origin = outer.and_then(|outer| outer.types.get(index as usize)).and_then(|ty| ty.origin);
                        to.ty(types, origin);
                    }
                    ComponentOuterAliasKind::CoreModule | ComponentOuterAliasKind::CoreType => {}
                }
            }
            ComponentAlias::CoreInstanceExport { .. } => {}
        }
        Ok(())
    }

    /// An export: another name and another index for the same thing.
    fn export(
        &mut self,
        index: usize,
        to: &mut Component<'a>,
        types: TypesRef<'_>,
        export: ComponentExport<'a>,
    ) -> Result<(), RewriteError> {
        let name = export.name.name;
        let item = to.item(export.kind, export.index)?;
        self.let_go(&item);
        let outside = (index == 0).then(|| Opening::Export(name.to_owned()));
        if let Some(how) = &outside {
            self.graph.open_item(&item, how);
        }
        match (export.kind, &item) {
            (_, Item::Func(node)) => to.func(types, *node, Name(None, Some(name))),
            (_, Item::Instance(value)) => {
                if let Some(ComponentTypeRef::Instance(ty)) = export.ty {
                    let concrete = types.component_instance_at(to.instances.len() as u32);
                    let used = self.exported_instance(types, concrete, ty, value);
                    to.uses.push(Use { outside, ..used });
                }
                to.instances.push(value.clone());
            }
            (_, Item::Component(component)) => to.components.push(*component),
            (Extern::Type, _) => {
                to.ty(types, to.types.get(export.index as usize).and_then(|ty| ty.origin));
            }
            _ => {}
        }
        to.exports.insert(name.to_owned(), item);
        Ok(())
    }

    /// An instance that is exported as of a type that is written out.
    fn exported_instance(
        &mut self,
        types: TypesRef<'_>,
        concrete: ComponentInstanceTypeId,
        ty: u32,
        value: &Value,
    ) -> Use {
        let mut used = Use { ty, outside: None, funcs: BTreeMap::new(), resources: BTreeMap::new() };
        for (name, item) in types.get(concrete).iter().flat_map(|ty| &ty.exports) {
            let inner = value.as_ref().and_then(|exports| exports.get(name));
            match (item.ty, inner) {
                (ComponentEntityType::Func(ty), Some(Item::Func(node))) => {
                    self.graph.types.push((*node, ty));
                    used.funcs.insert(name.clone(), *node);
                }
                (ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(id), .. }, _) => {
                    used.resources.insert(name.clone(), id.resource());
                }
                // What is within it is not written twice.
                (_, Some(inner)) => self.graph.open_item(inner, &Opening::Unknown),
                (_, None) => {}
            }
        }
        used
    }
}
