//! Rules 8 and 9: whether canonical functions have the types that the wrappers at them were made for.

use std::collections::HashMap;
use std::rc::Rc;

use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType as Defined, ComponentDefinedTypeId, ComponentEntityType,
    ComponentFuncTypeId, ComponentInstanceTypeId, ComponentValType, ResourceId,
};
use wasmparser::types::TypesRef;
use wasmparser::{CanonicalFunction, CanonicalOption};

use super::core::Wrapper;
use super::{MadeFor, Trusted};
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
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
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
    /// What type a canonical function has. A lift makes the component function `next`.
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
pub(super) struct Compare<'t, K> {
    converter: Converter<'t, K>,
    trusted: &'t Trusted,
    /// The numbers of types, at closed functions and at others: a look at each type.
    numbers: HashMap<(Typed, bool), Option<u32>>,
}

impl<'t> Compare<'t, ()> {
    /// `types` are those of the whole output.
    pub(super) fn new(
        types: TypesRef<'t>,
        kinds: &Kinds,
        trusted: &'t Trusted,
    ) -> Compare<'t, impl FnMut(ResourceId) -> Option<Kind>> {
        let converter = Converter::of_output(types, |id| kinds.get(&id).copied());
        Compare { converter, trusted, numbers: HashMap::new() }
    }
}

impl<'t, K: FnMut(ResourceId) -> Option<Kind>> Compare<'t, K> {
    /// Whether a wrapper was made for a canonical function of that type.
    pub(super) fn is_for(&mut self, typed: Typed, wrapper: Wrapper<'_>) -> bool {
        let (part, closed) = match wrapper {
            Wrapper::Closed(part) => (part, true),
            Wrapper::Crossing(part) => (part, false),
            Wrapper::Builtin(builtin) => {
                let Typed::Lower(ty, false) = typed else { return false };
                return self.func(ty).is_some_and(|ty| *ty == builtin.signature());
            }
        };
        let number = match self.numbers.get(&(typed, closed)) {
            Some(known) => *known,
            None => {
                let written = self.written(typed, closed);
                let number = written.and_then(|written| self.trusted.numbers.get(&written).copied());
                self.numbers.insert((typed, closed), number);
                number
            }
        };
        number.is_some_and(|number| part.written.contains(&number))
    }

    /// What a wrapper at a function of that type has in the output.
    fn written(&mut self, typed: Typed, closed: bool) -> Option<MadeFor> {
        let crossing = match typed {
            Typed::Lift(ty) | Typed::Lower(ty, _) if closed => return Some(MadeFor::Closed(self.func(ty)?, false)),
            _ if closed => return None,
            Typed::Lift(ty) => Crossing::Lift(self.func(ty)?),
            Typed::Lower(ty, is_async) => Crossing::Lower { signature: self.func(ty)?, is_async },
            Typed::TaskReturn(ty) => Crossing::TaskReturn(self.value(ty)?),
            Typed::StreamWrite(ty) => Crossing::StreamWrite(self.value(ty)?),
            Typed::FutureWrite(ty) => Crossing::FutureWrite(self.value(ty)?),
            Typed::Other => return None,
        };
        Some(MadeFor::Crossing(crossing))
    }

    fn func(&mut self, ty: ComponentFuncTypeId) -> Option<Rc<Signature>> {
        self.converter.func(ty).signature.ok()
    }

    fn value(&mut self, ty: ComponentDefinedTypeId) -> Option<Rc<Value>> {
        self.converter.value(ty)?.value.ok()
    }
}
