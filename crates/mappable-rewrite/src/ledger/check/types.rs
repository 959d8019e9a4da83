//! Rules 8 and 9: whether canonical functions have the types that the wrappers at them were made for, and whether there is one
//! where the engine is given handles.

use std::collections::HashMap;
use std::rc::Rc;

use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType as Defined, ComponentDefinedTypeId, ComponentEntityType,
    ComponentFuncTypeId, ComponentInstanceTypeId, ComponentType, ComponentValType, ResourceId,
};
use wasmparser::types::TypesRef;
use wasmparser::{CanonicalFunction, CanonicalOption, ComponentExternalKind, ComponentInstantiationArg};

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

/// Resources that a component of the tree imports, and what they are outside, in the order in which components are instantiated.
pub(super) type Passed = Vec<(ResourceId, ResourceId)>;

/// Notes which resources an instance of a component is given.
pub(super) fn note_passed(
    types: TypesRef<'_>,
    component: u32,
    args: &[ComponentInstantiationArg<'_>],
    passed: &mut Passed,
) {
    let Some(component) = types.get(types.component_at(component)) else { return };
    for (inner, path) in &component.imported_resources {
        if let Some(outer) = given(types, component, path, args) {
            passed.push((*inner, outer));
        }
    }
}

/// The resource that is given for an import: `path` is the import's number, and those of exports within it.
fn given(
    types: TypesRef<'_>,
    component: &ComponentType,
    path: &[usize],
    args: &[ComponentInstantiationArg<'_>],
) -> Option<ResourceId> {
    let (import, exports) = path.split_first()?;
    let (name, import) = component.imports.get_index(*import)?;
    let arg = args.iter().find(|arg| arg.name == name)?;
    let mut asked = import.ty;
    let mut given = match arg.kind {
        ComponentExternalKind::Type => types.component_any_type_at(arg.index),
        ComponentExternalKind::Instance => ComponentAnyTypeId::Instance(types.component_instance_at(arg.index)),
        _ => return None,
    };
    // By name: an instance may export more than it is asked for.
    for export in exports {
        let (ComponentEntityType::Instance(of), ComponentAnyTypeId::Instance(instance)) = (asked, given) else {
            return None;
        };
        let (name, export) = types.get(of)?.exports.get_index(*export)?;
        asked = export.ty;
        given = match types.get(instance)?.exports.get(name)?.ty {
            ComponentEntityType::Type { created, .. } => created,
            ComponentEntityType::Instance(id) => ComponentAnyTypeId::Instance(id),
            _ => return None,
        };
    }
    match given {
        ComponentAnyTypeId::Resource(id) => Some(id.resource()),
        _ => None,
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

/// The type of a canonical function that a wrapper may stand at. Lifts and lowers are async or not.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Typed {
    Lift(ComponentFuncTypeId, bool),
    Lower(ComponentFuncTypeId, bool),
    TaskReturn(ComponentDefinedTypeId),
    StreamWrite(ComponentDefinedTypeId),
    FutureWrite(ComponentDefinedTypeId),
    Drop(ResourceId),
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
            C::Lift { options, .. } => {
                Self::Lift(types.component_function_at(next), options.contains(&CanonicalOption::Async))
            }
            C::Lower { func_index, options } => {
                Self::Lower(types.component_function_at(*func_index), options.contains(&CanonicalOption::Async))
            }
            C::ResourceDrop { resource } => match types.component_any_type_at(*resource) {
                ComponentAnyTypeId::Resource(id) => Self::Drop(id.resource()),
                _ => return None,
            },
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
            Typed::Lift(ty, _) | Typed::Lower(ty, _) if closed => return Some(MadeFor::Closed(self.func(ty)?, false)),
            _ if closed => return None,
            Typed::Lift(ty, _) => Crossing::Lift(self.func(ty)?),
            Typed::Lower(ty, is_async) => Crossing::Lower { signature: self.func(ty)?, is_async },
            Typed::TaskReturn(ty) => Crossing::TaskReturn(self.value(ty)?),
            Typed::StreamWrite(ty) => Crossing::StreamWrite(self.value(ty)?),
            Typed::FutureWrite(ty) => Crossing::FutureWrite(self.value(ty)?),
            Typed::Drop(_) | Typed::Other => return None,
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

/// Tells where the engine would be given handles.
pub(super) struct Due<'t, K> {
    types: TypesRef<'t>,
    kinds: &'t Kinds,
    converter: Converter<'t, K>,
    known: HashMap<Typed, bool>,
}

/// Which resources are the package's, from those of the root and what components are given.
pub(super) fn all_kinds(mut kinds: Kinds, passed: &Passed) -> Kinds {
    // Who is given a resource was read before who gives it.
    for (inner, outer) in passed.iter().rev() {
        if let Some(kind) = kinds.get(outer).copied() {
            kinds.insert(*inner, kind);
        }
    }
    kinds
}

impl<'t> Due<'t, ()> {
    pub(super) fn new(types: TypesRef<'t>, kinds: &'t Kinds) -> Due<'t, impl FnMut(ResourceId) -> Option<Kind>> {
        let converter = Converter::of_output(types, |id| kinds.get(&id).copied());
        Due { types, kinds, converter, known: HashMap::new() }
    }
}

impl<K: FnMut(ResourceId) -> Option<Kind>> Due<'_, K> {
    /// Whether a canonical function of that type gives the engine handles of the package's, if no wrapper stands there.
    pub(super) fn gives(&mut self, typed: Typed) -> bool {
        if let Some(known) = self.known.get(&typed) {
            return *known;
        }
        let gives = match typed {
            // What is lifted async gives by `task.return`.
            Typed::Lift(_, true) | Typed::Other => false,
            Typed::Lift(ty, false) => self.func_gives(ty, true),
            Typed::Lower(ty, _) => self.func_gives(ty, false),
            // A type that can't be told may have handles.
            Typed::TaskReturn(ty) | Typed::StreamWrite(ty) | Typed::FutureWrite(ty) => {
                self.converter.value(ty).is_some_and(|value| value.value.map_or(true, |value| value.has_handles()))
            }
            Typed::Drop(id) => self.kinds.contains_key(&id),
        };
        self.known.insert(typed, gives);
        gives
    }

    fn func_gives(&mut self, id: ComponentFuncTypeId, lift: bool) -> bool {
        let Some(ty) = self.types.get(id) else { return true };
        let mut given = ty.params.iter().map(|(_, ty)| ty).filter(|_| !lift).chain(ty.result.as_ref().filter(|_| lift));
        given.any(|ty| self.converter.mentioned(ty).is_some())
            && self.converter.func(id).signature.map_or(true, |signature| signature.gives_handles(lift))
    }
}
