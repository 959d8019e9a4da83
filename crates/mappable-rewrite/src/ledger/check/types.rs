//! Rules 8 and 9: whether canonical functions have the types that the wrappers at them were made for.

use std::collections::HashMap;

use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType as Defined, ComponentDefinedTypeId, ComponentEntityType,
    ComponentFuncTypeId, ComponentInstanceTypeId, ComponentValType, ResourceId,
};
use wasmparser::types::TypesRef;
use wasmparser::{CanonicalFunction, CanonicalOption};

use super::MadeFor;
use super::core::Wrapper;
use crate::ledger::convert::Converter;
use crate::ledger::modules::Crossing;
use crate::ledger::signature::{Kind, Signature, Value};

/// Which resources are the package's, in all components of a tree: each has others.
pub(super) type Kinds = HashMap<ResourceId, Kind>;

/// Notes what a component's import of the ledger says of that. The host links the root's import with its own resources, and
/// the validator the others' with the root's.
pub(super) fn note_kinds(types: TypesRef<'_>, interface: ComponentInstanceTypeId, kinds: &mut Kinds) {
    let Some(interface) = types.get(interface) else { return };
    for kind in Kind::ALL {
        let export = interface.exports.get(kind.package_name()).map(|export| &export.ty);
        if let Some(ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(id), .. }) = export {
            kinds.insert(id.resource(), kind);
        }
    }
}

/// The kind of handles that a canonical function drops, if they are the package's.
pub(super) fn dropped(types: TypesRef<'_>, kinds: &Kinds, canon: &CanonicalFunction) -> Option<Kind> {
    let CanonicalFunction::ResourceDrop { resource } = *canon else { return None };
    match types.component_any_type_at(resource) {
        ComponentAnyTypeId::Resource(id) => kinds.get(&id.resource()).copied(),
        _ => None,
    }
}

/// The type of a canonical function that a wrapper may stand at.
#[derive(Clone, Copy)]
pub(super) enum Typed {
    Lift(ComponentFuncTypeId),
    Lower(ComponentFuncTypeId, bool),
    TaskReturn(ComponentDefinedTypeId),
    StreamWrite(ComponentDefinedTypeId),
    FutureWrite(ComponentDefinedTypeId),
    /// No wrapper is for it: there can't be handles in it.
    Other,
}

impl Typed {
    /// Of a canonical function, which makes component function `next` if it is a lift.
    pub(super) fn of(types: TypesRef<'_>, canon: &CanonicalFunction, next: u32) -> Self {
        Self::given(types, canon, next).unwrap_or(Self::Other)
    }

    fn given(types: TypesRef<'_>, canon: &CanonicalFunction, next: u32) -> Option<Self> {
        use CanonicalFunction as C;
        let defined = |ty| match types.component_any_type_at(ty) {
            ComponentAnyTypeId::Defined(id) => Some(id),
            _ => None,
        };
        let carried = |ty: &Option<ComponentValType>| match ty {
            Some(ComponentValType::Type(id)) => Some(*id),
            _ => None,
        };
        Some(match canon {
            C::Lift { .. } => Self::Lift(types.component_function_at(next)),
            C::Lower { func_index, options } => {
                Self::Lower(types.component_function_at(*func_index), options.contains(&CanonicalOption::Async))
            }
            C::TaskReturn { result: Some(wasmparser::ComponentValType::Type(ty)), .. } => {
                Self::TaskReturn(defined(*ty)?)
            }
            C::StreamWrite { ty, .. } => match types.get(defined(*ty)?)? {
                Defined::Stream { ty, .. } => Self::StreamWrite(carried(ty)?),
                _ => return None,
            },
            C::FutureWrite { ty, .. } => match types.get(defined(*ty)?)? {
                Defined::Future { ty, .. } => Self::FutureWrite(carried(ty)?),
                _ => return None,
            },
            _ => return None,
        })
    }
}

/// Compares types with what wrappers were made for.
pub(super) struct Compare<'t, K>(Converter<'t, K>);

impl<'t> Compare<'t, ()> {
    /// `types` are those of the whole output.
    pub(super) fn new(types: TypesRef<'t>, kinds: &Kinds) -> Compare<'t, impl FnMut(ResourceId) -> Option<Kind>> {
        Compare(Converter::new(types, |id| kinds.get(&id).copied()))
    }
}

impl<'t, K: FnMut(ResourceId) -> Option<Kind>> Compare<'t, K> {
    /// Whether a wrapper was made for a canonical function of that type.
    pub(super) fn is_for(&mut self, typed: Typed, wrapper: Wrapper<'_>) -> bool {
        match wrapper {
            Wrapper::Closed(made_for) | Wrapper::Crossing(made_for) => {
                made_for.iter().any(|made_for| self.is_made_for(typed, made_for))
            }
            Wrapper::Builtin(builtin) => {
                matches!(typed, Typed::Lower(ty, false) if self.is_func(ty, &builtin.signature()))
            }
        }
    }

    fn is_made_for(&mut self, typed: Typed, made_for: &MadeFor) -> bool {
        match (typed, made_for) {
            (Typed::Lift(ty) | Typed::Lower(ty, _), MadeFor::Closed(signature, lists)) => {
                self.is_func(ty, &signature.erased(*lists))
            }
            (Typed::Lift(ty), MadeFor::Crossing(Crossing::Lift(signature))) => self.is_func(ty, signature),
            (Typed::Lower(ty, lowered), MadeFor::Crossing(Crossing::Lower { signature, is_async })) => {
                lowered == *is_async && self.is_func(ty, signature)
            }
            (Typed::TaskReturn(ty), MadeFor::Crossing(Crossing::TaskReturn(value)))
            | (Typed::StreamWrite(ty), MadeFor::Crossing(Crossing::StreamWrite(value)))
            | (Typed::FutureWrite(ty), MadeFor::Crossing(Crossing::FutureWrite(value))) => self.is_value(ty, value),
            _ => false,
        }
    }

    fn is_func(&mut self, ty: ComponentFuncTypeId, signature: &Signature) -> bool {
        self.0.func(ty).signature.is_ok_and(|ty| *ty == *signature)
    }

    fn is_value(&mut self, ty: ComponentDefinedTypeId, value: &Value) -> bool {
        self.0.value(ty).and_then(|ty| ty.value.ok()).is_some_and(|ty| *ty == *value)
    }
}
