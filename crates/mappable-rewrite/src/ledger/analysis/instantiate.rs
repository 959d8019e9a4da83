//! Instantiations: what is given is joined with what it is imported as; and what is passed on is let go.

use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};
use wasmparser::types::TypesRef;
use wasmparser::{ComponentExternalKind as Extern, ComponentInstantiationArg};

use super::component::{Component, Import};
use super::graph::{Item, Value};
use super::walk::Walker;
use crate::error::{RewriteError, broken};
use crate::ledger::obstacle::Opening;

impl<'a> Walker<'a> {
    pub(super) fn instantiate(
        &mut self,
        index: usize,
        to: &mut Component<'a>,
        types: TypesRef<'_>,
        component: u32,
        args: &[ComponentInstantiationArg<'a>],
    ) -> Result<Value, RewriteError> {
        let component = *to
            .components
            .get(component as usize)
            .ok_or_else(|| broken!("an instantiation of a component that does not exist"))?;
        to.instantiates.push(component);
        for arg in args {
            if let Item::Component(component) = to.item(arg.kind, arg.index)? {
                self.let_go(&Item::Component(component));
            }
        }
        let Some(component) = component.and_then(|component| self.components.get(component)) else {
            for arg in args {
                self.graph.open_item(&to.item(arg.kind, arg.index)?, &Opening::Unknown);
                let ids = to.resources_of(types, arg, false);
                self.graph.escaped.extend(ids.into_iter().map(|id| (index, id)));
            }
            return Ok(None);
        };
        for arg in args {
            match (component.imports.get(arg.name), to.item(arg.kind, arg.index)?) {
                (Some(Import::Func(node)), Item::Func(given)) => self.graph.funcs.join(*node, given),
                (Some(Import::Instance { exports, resources }), Item::Instance(given)) => {
                    self.graph.join_exports(exports, &given);
                    let ids = to.resources_of(types, arg, true);
                    self.graph.escaped.extend(ids.into_iter().map(|id| (index, id)));
                    let concrete = types.get(types.component_instance_at(arg.index));
                    for (name, id) in resources {
                        match concrete.and_then(|ty| ty.exports.get(name)).map(|item| item.ty) {
                            Some(ComponentEntityType::Type {
                                created: ComponentAnyTypeId::Resource(given), ..
                            }) => {
                                self.graph.join_resources(*id, given.resource());
                            }
                            _ => self.graph.taint(*id),
                        }
                    }
                }
                (Some(Import::Resource(id)), _) => match to.types.get(arg.index as usize).map(|ty| ty.id) {
                    Some(ComponentAnyTypeId::Resource(given)) if arg.kind == Extern::Type => {
                        self.graph.join_resources(*id, given.resource());
                    }
                    _ => self.graph.taint(*id),
                },
                (Some(Import::Other), _) => {}
                // More is given than is asked for.
                (None, _) => {}
                (Some(_), _) => return Err(broken!("an argument is of another kind than the import")),
            }
        }
        Ok(component.exported.clone())
    }

    /// A component is passed to where it is not followed: it may be instantiated with anything.
    pub(super) fn let_go(&mut self, item: &Item) {
        let Item::Component(Some(component)) = item else {
            return;
        };
        let Some(component) = self.components.get(*component) else {
            return;
        };
        for import in component.imports.values() {
            match import {
                Import::Func(node) => self.graph.open(*node, Opening::Unknown),
                Import::Instance { exports, resources } => {
                    self.graph.open_item(&Item::Instance(Some(exports.clone())), &Opening::Unknown);
                    resources.values().for_each(|id| self.graph.taint(*id));
                }
                Import::Resource(id) => self.graph.taint(*id),
                Import::Other => {}
            }
        }
        self.graph.open_item(&Item::Instance(component.exported.clone()), &Opening::Unknown);
    }
}
