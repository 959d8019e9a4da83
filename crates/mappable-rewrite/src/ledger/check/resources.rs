//! Which resources are the package's, followed from the root's import through every instantiation, and who mentions
//! them.
//!
//! A resource has an identity of its own in each component that imports it: an edge leads from what is passed to what
//! it is there. What comes back out of an instance has the identity of what was passed (the validator sees to it, and
//! lets nobody export a resource as another one). So every resource that can be reached from the root's import of the
//! package is the package's. No care is taken of which instantiation is meant: what is the package's in one of them is
//! so in all.

use std::collections::{HashMap, HashSet};

use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType as Defined, ComponentDefinedTypeId, ComponentEntityType,
    ComponentFuncType, ComponentItem, ComponentTypeId, ComponentValType, ResourceId,
};
use wasmparser::types::TypesRef;

use crate::error::{Bug, RewriteError, broken};
use crate::ledger::signature::Kind;
use crate::ledger::unsound::{Mention, Unsound};
use crate::path::ComponentPath;
use crate::tree::shape::for_each_part;

#[derive(Default)]
pub(super) struct Resources {
    package: Vec<(ResourceId, Kind)>,
    edges: HashMap<ResourceId, Vec<ResourceId>>,
    /// Who mentions it first.
    mentions: HashMap<ResourceId, (ComponentPath, Mention)>,
    /// The components that are bridges.
    bridges: HashSet<ComponentPath>,
    /// Types whose resources are among those mentioned.
    seen: HashSet<ComponentDefinedTypeId>,
}

impl Resources {
    /// All resources of `item` are the package's. The name of each says its kind; a resource of another name has none.
    pub(super) fn package(&mut self, types: TypesRef<'_>, item: &ComponentEntityType) {
        let ComponentEntityType::Instance(id) = item else { return };
        for (name, item) in types.get(*id).into_iter().flat_map(|instance| &instance.exports) {
            let kind = Kind::ALL.into_iter().find(|kind| kind.package_name() == name).unwrap_or(Kind::Mapping);
            for_each_resource(types, &item.ty, &mut |id| self.package.push((id, kind)));
        }
    }

    /// `component`, whose inside is part of the tree, is instantiated with what `arg` finds by name.
    pub(super) fn instantiated(
        &mut self,
        types: TypesRef<'_>,
        component: ComponentTypeId,
        arg: impl Fn(&str) -> Option<ComponentEntityType>,
    ) -> Result<(), RewriteError> {
        let component = types.get(component).ok_or_else(|| broken!("a component's type is not known"))?;
        for (name, ComponentItem { ty, .. }) in &component.imports {
            if let ComponentEntityType::Type { .. } | ComponentEntityType::Instance(_) = ty {
                let arg = arg(name).ok_or_else(|| broken!("`{name}` is not passed"))?;
                self.flows(types, &arg, ty)?;
            }
        }
        Ok(())
    }

    /// `to` is what `from` is in the component that it is passed to.
    fn flows(
        &mut self,
        types: TypesRef<'_>,
        from: &ComponentEntityType,
        to: &ComponentEntityType,
    ) -> Result<(), RewriteError> {
        use ComponentEntityType as Entity;
        match (from, to) {
            (Entity::Type { referenced: from, .. }, Entity::Type { referenced: to, .. }) => match (from, to) {
                (ComponentAnyTypeId::Resource(from), ComponentAnyTypeId::Resource(to)) => {
                    let (from, to) = (from.resource(), to.resource());
                    if from != to {
                        self.edges.entry(from).or_default().push(to);
                    }
                    Ok(())
                }
                (ComponentAnyTypeId::Resource(_), _) | (_, ComponentAnyTypeId::Resource(_)) => {
                    Err(broken!("a resource is passed as another type"))
                }
                _ => Ok(()),
            },
            (Entity::Instance(from), Entity::Instance(to)) => {
                let unknown = || broken!("an instance's type is not known");
                let from = types.get(*from).ok_or_else(unknown)?;
                for (name, to) in &types.get(*to).ok_or_else(unknown)?.exports {
                    if let Entity::Type { .. } | Entity::Instance(_) = to.ty {
                        let from = from.exports.get(name).ok_or_else(|| broken!("`{name}` is not passed"))?;
                        self.flows(types, &from.ty, &to.ty)?;
                    }
                }
                Ok(())
            }
            // Of functions and values the types were passed too. Components and modules close over no resource.
            _ => Ok(()),
        }
    }

    /// A component instantiates a bridge's module and no guest's: nobody but ours, and the host, has what is in its
    /// tables. What it does with that is looked at elsewhere ([`bridges`](super::bridges)).
    pub(super) fn bridge(&mut self, component: ComponentPath) {
        self.bridges.insert(component);
    }

    /// `resource` is mentioned.
    fn mention(&mut self, resource: ResourceId, path: &ComponentPath, by: Mention) {
        self.mentions.entry(resource).or_insert_with(|| (path.clone(), by));
    }

    /// `item` is passed where it is not followed.
    pub(super) fn passed(
        &mut self,
        types: TypesRef<'_>,
        item: &ComponentEntityType,
        path: &ComponentPath,
        component: u32,
    ) {
        for_each_resource(types, item, &mut |id| self.mention(id, path, Mention::Passed(component)));
    }

    /// A canonical function has to do with a value of a function's type.
    pub(super) fn function(
        &mut self,
        types: TypesRef<'_>,
        func: &ComponentFuncType,
        path: &ComponentPath,
        canon: u32,
    ) -> Result<(), RewriteError> {
        let values = func.params.iter().map(|(_, ty)| ty).chain(&func.result);
        values.into_iter().try_for_each(|ty| self.value(types, ty, path, canon))
    }

    /// A canonical function has to do with a type.
    pub(super) fn any(
        &mut self,
        types: TypesRef<'_>,
        ty: ComponentAnyTypeId,
        path: &ComponentPath,
        canon: u32,
    ) -> Result<(), RewriteError> {
        match ty {
            ComponentAnyTypeId::Resource(id) => {
                self.mention(id.resource(), path, Mention::Canon(canon));
                Ok(())
            }
            ComponentAnyTypeId::Defined(id) => self.value(types, &ComponentValType::Type(id), path, canon),
            _ => Err(broken!("a canonical function is of no resource or value's type")),
        }
    }

    /// A canonical function has to do with a value of a type.
    fn value(
        &mut self,
        types: TypesRef<'_>,
        ty: &ComponentValType,
        path: &ComponentPath,
        canon: u32,
    ) -> Result<(), RewriteError> {
        let mut todo = vec![*ty];
        while let Some(ty) = todo.pop() {
            let ComponentValType::Type(id) = ty else { continue };
            if !self.seen.insert(id) {
                continue;
            }
            let ty = types.get(id).ok_or_else(|| broken!("a value's type is not known"))?;
            if let Defined::Own(id) | Defined::Borrow(id) = ty {
                self.mention(id.resource(), path, Mention::Canon(canon));
            }
            for_each_part(ty, |part| todo.push(*part));
        }
        Ok(())
    }

    /// Refuses a tree in which a resource of the package is mentioned. Gives all that are the package's.
    pub(super) fn finish(mut self) -> Result<HashMap<ResourceId, Kind>, RewriteError> {
        let mut reached = HashMap::new();
        while let Some((id, kind)) = self.package.pop() {
            if reached.insert(id, kind).is_some() {
                continue;
            }
            if let Some((component, by)) = self.mentions.remove(&id)
                && (matches!(by, Mention::Passed(_)) || !self.bridges.contains(&component))
            {
                return Err(Bug::Unsound { component, what: Unsound::Resource(by) }.into());
            }
            self.package.extend(self.edges.remove(&id).into_iter().flatten().map(|id| (id, kind)));
        }
        Ok(reached)
    }
}

/// Calls `visit` with each resource that `item` is, or has as an export.
fn for_each_resource(types: TypesRef<'_>, item: &ComponentEntityType, visit: &mut impl FnMut(ResourceId)) {
    match item {
        ComponentEntityType::Type { referenced: ComponentAnyTypeId::Resource(id), .. } => visit(id.resource()),
        ComponentEntityType::Instance(id) => {
            for item in types.get(*id).into_iter().flat_map(|instance| instance.exports.values()) {
                for_each_resource(types, &item.ty, visit);
            }
        }
        _ => {}
    }
}
