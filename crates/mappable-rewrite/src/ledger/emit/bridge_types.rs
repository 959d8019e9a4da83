//! The types of what crosses a bridge, written into a component anew: as they are, or with `u32` for each handle of ours.

use std::collections::HashMap;

use wasm_encoder::{ComponentValType as NewVal, PrimitiveValType as Primitive};
use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType as Defined, ComponentDefinedTypeId, ComponentFuncTypeId, ComponentValType,
    ResourceId,
};
use wasmparser::types::TypesRef;

use super::sections::Sections;
use crate::error::{RewriteError, broken};
use crate::ledger::signature::Kind;
use crate::tree::shape::for_each_part;

/// Types of the tree as one component has them.
pub(super) struct BridgeTypes<'t> {
    types: TypesRef<'t>,
    ours: &'t HashMap<ResourceId, Kind>,
    /// The package's resources in that component; nothing where handles are numbers.
    resources: Option<Vec<(Kind, u32)>>,
    /// The types that the component has, each under the type that it is in the tree.
    known: HashMap<ComponentAnyTypeId, u32>,
}

impl<'t> BridgeTypes<'t> {
    pub(super) fn new(
        types: TypesRef<'t>,
        ours: &'t HashMap<ResourceId, Kind>,
        resources: Option<Vec<(Kind, u32)>>,
    ) -> Self {
        BridgeTypes { types, ours, resources, known: HashMap::new() }
    }

    /// The component has a type at that index.
    pub(super) fn know(&mut self, id: ComponentAnyTypeId, index: u32) {
        self.known.insert(id, index);
    }

    /// The types of values are nested no deeper than signatures may be.
    fn value(&mut self, sections: &mut Sections, ty: &ComponentValType) -> Result<NewVal, RewriteError> {
        let id = match ty {
            ComponentValType::Primitive(primitive) => return Ok(NewVal::Primitive((*primitive).into())),
            ComponentValType::Type(id) => *id,
        };
        let any = ComponentAnyTypeId::Defined(id);
        let index = match self.known.get(&any) {
            Some(index) => *index,
            None => self.define(sections, id)?,
        };
        self.known.insert(any, index);
        Ok(NewVal::Type(index))
    }

    /// Writes a type that the component does not have.
    pub(super) fn define(&mut self, sections: &mut Sections, id: ComponentDefinedTypeId) -> Result<u32, RewriteError> {
        let ty = self.types.get(id).ok_or_else(|| broken!("a type of a bridge is not known"))?;
        let mut parts = Vec::new();
        for_each_part(ty, |part| parts.push(*part));
        let parts = parts.iter().map(|part| self.value(sections, part)).collect::<Result<Vec<_>, _>>()?;
        let resource = match ty {
            Defined::Own(id) | Defined::Borrow(id) => {
                self.resource(id.resource(), ComponentAnyTypeId::Resource(*id))?
            }
            _ => None,
        };
        let mut parts = parts.into_iter();
        let mut next = || parts.next().unwrap_or(NewVal::Primitive(Primitive::U32));
        let (index, encoder) = sections.ty();
        let encoder = encoder.defined_type();
        match (ty, resource) {
            (Defined::Own(_), Some(resource)) => encoder.own(resource),
            (Defined::Borrow(_), Some(resource)) => encoder.borrow(resource),
            (Defined::Own(_) | Defined::Borrow(_), None) => encoder.primitive(Primitive::U32),
            (Defined::Primitive(primitive), _) => encoder.primitive((*primitive).into()),
            (Defined::Record(record), _) => encoder.record(record.fields.keys().map(|name| (name.as_str(), next()))),
            (Defined::Variant(variant), _) => {
                encoder.variant(variant.cases.iter().map(|(name, case)| (name.as_str(), case.ty.map(|_| next()))));
            }
            (Defined::Tuple(tuple), _) => encoder.tuple(tuple.types.iter().map(|_| next())),
            (Defined::Flags(names), _) => encoder.flags(names.iter().map(|name| name.as_str())),
            (Defined::Enum(names), _) => encoder.enum_type(names.iter().map(|name| name.as_str())),
            (Defined::List { .. }, _) => encoder.list(next()),
            (Defined::Option { .. }, _) => encoder.option(next()),
            (Defined::Result { ok, err, .. }, _) => encoder.result(ok.map(|_| next()), err.map(|_| next())),
            // Functions of these types have no signature.
            _ => return Err(broken!("a type crosses a bridge that no signature has")),
        }
        Ok(index)
    }

    /// The component's own index of a resource, if handles of it are handles.
    fn resource(&self, id: ResourceId, any: ComponentAnyTypeId) -> Result<Option<u32>, RewriteError> {
        match (self.ours.get(&id), &self.resources) {
            (Some(_), None) => Ok(None),
            (Some(kind), Some(resources)) => {
                let found = resources.iter().find(|(other, _)| other == kind).map(|(_, index)| *index);
                found.map(Some).ok_or_else(|| broken!("a bridge has not the package's `{kind}`"))
            }
            (None, _) => Ok(Some(self.index_of(any)?)),
        }
    }

    fn index_of(&self, id: ComponentAnyTypeId) -> Result<u32, RewriteError> {
        self.known.get(&id).copied().ok_or_else(|| broken!("a bridge has not a resource that crosses it"))
    }

    /// Writes a function's type.
    pub(super) fn func(&mut self, sections: &mut Sections, id: ComponentFuncTypeId) -> Result<u32, RewriteError> {
        let ty = self.types.get(id).ok_or_else(|| broken!("the type of a bridge's function is not known"))?;
        let params = ty.params.iter().map(|(name, ty)| Ok((name.as_str(), self.value(sections, ty)?)));
        let params = params.collect::<Result<Vec<_>, RewriteError>>()?;
        let result = ty.result.as_ref().map(|ty| self.value(sections, ty)).transpose()?;
        let (index, encoder) = sections.ty();
        encoder.function().params(params).result(result);
        Ok(index)
    }

    /// The resources of others whose borrowed handles a function takes, in the order of its type.
    pub(super) fn borrowed(&self, id: ComponentFuncTypeId) -> Result<Vec<u32>, RewriteError> {
        let mut found = Vec::new();
        let params = self.types.get(id).into_iter().flat_map(|ty| &ty.params);
        let mut todo: Vec<ComponentValType> = params.map(|(_, ty)| *ty).rev().collect();
        while let Some(ty) = todo.pop() {
            let ComponentValType::Type(id) = ty else { continue };
            let Some(ty) = self.types.get(id) else { continue };
            match ty {
                Defined::Borrow(id) if !self.ours.contains_key(&id.resource()) => {
                    found.push(self.index_of(ComponentAnyTypeId::Resource(*id))?);
                }
                _ => {
                    let begin = todo.len();
                    for_each_part(ty, |part| todo.push(*part));
                    todo[begin..].reverse();
                }
            }
        }
        Ok(found)
    }
}
