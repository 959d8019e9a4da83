//! Recognises functions that change what is mapped, by type alone.
//!
//! Names can't be trusted: parameter names aren't compared when a component is linked, an import of version 0.1.9
//! links to our 0.1.0, and a root import may be renamed at will. What *is* compared, all the way from a lower to the
//! host, is the structure of the function's type. So the exact enum [`MARK`] marks a function, wherever in its type
//! it occurs, and a marked function must have exactly the shape that the refresh is made for.
//!
//! The validator compares labels without regard to ASCII case, so a nested component may spell the enum's cases in
//! capitals and still be given the host's function. They are compared likewise here.

use std::collections::HashSet;

use wasmparser::PrimitiveValType;
use wasmparser::component_types::{
    ComponentDefinedType as Defined, ComponentDefinedTypeId, ComponentFuncType, ComponentValType, ResourceId,
};
use wasmparser::types::TypesRef;

use crate::error::ShapeFault;
use crate::package::MARK;

/// Looks for the mark, and remembers types that were searched in vain.
#[derive(Default)]
pub(crate) struct Marks {
    /// Types in which the mark does not occur, of one validator's.
    unmarked: HashSet<ComponentDefinedTypeId>,
}

impl Marks {
    /// Whether the mark occurs anywhere in `func`'s parameters or result.
    pub(crate) fn is_marked(&mut self, types: TypesRef<'_>, func: &ComponentFuncType) -> bool {
        let mut searched = HashSet::new();
        let mut todo: Vec<ComponentDefinedTypeId> = Vec::new();
        let mut found = false;
        let push = |todo: &mut Vec<_>, ty: &ComponentValType| match ty {
            ComponentValType::Type(id) => todo.push(*id),
            ComponentValType::Primitive(_) => {}
        };
        for ty in func.params.iter().map(|(_, ty)| ty).chain(&func.result) {
            push(&mut todo, ty);
        }
        while let Some(id) = todo.pop() {
            if self.unmarked.contains(&id) || !searched.insert(id) {
                continue;
            }
            // A type that the validator doesn't know can't be vouched for.
            let Some(ty) = types.get(id) else { return true };
            if is_mark(ty) {
                found = true;
                break;
            }
            for_each_part(ty, |part| push(&mut todo, part));
        }
        if !found {
            self.unmarked.extend(searched);
        }
        found
    }
}

fn is_mark(ty: &Defined) -> bool {
    match ty {
        Defined::Enum(cases) => {
            cases.len() == MARK.len()
                && cases.iter().zip(MARK).all(|(case, mark)| case.as_str().eq_ignore_ascii_case(mark))
        }
        _ => false,
    }
}

/// Calls `visit` with the types that `ty` is directly made of.
pub(crate) fn for_each_part(ty: &Defined, mut visit: impl FnMut(&ComponentValType)) {
    match ty {
        Defined::Primitive(_) | Defined::Flags(_) | Defined::Enum(_) | Defined::Own(_) | Defined::Borrow(_) => {}
        Defined::Record(record) => record.fields.values().for_each(visit),
        Defined::Variant(variant) => variant.cases.values().filter_map(|case| case.ty.as_ref()).for_each(visit),
        Defined::Tuple(tuple) => tuple.types.iter().for_each(visit),
        Defined::List { element, .. } | Defined::FixedLengthList { element, .. } => visit(element),
        Defined::Map { key, value, .. } => {
            visit(key);
            visit(value);
        }
        Defined::Option { ty, .. } => visit(ty),
        Defined::Result { ok, err, .. } => ok.iter().chain(err).for_each(visit),
        Defined::Future { ty, .. } | Defined::Stream { ty, .. } => ty.iter().for_each(visit),
    }
}

/// Whether a marked function is exactly a synchronous
/// `(own<r>, list<u8>) -> result<own<s>, tuple<own<r>, map-error>>`, with `s` another resource than `r`.
pub(crate) fn check(types: TypesRef<'_>, func: &ComponentFuncType) -> Result<(), ShapeFault> {
    if func.async_ {
        return Err(ShapeFault::Async);
    }
    let [(_, handle), (_, placement)] = &func.params[..] else {
        return Err(ShapeFault::ParameterCount(func.params.len()));
    };
    let taken = match defined(types, handle) {
        Some(Defined::Own(resource)) => resource.resource(),
        Some(Defined::Borrow(_)) => return Err(ShapeFault::BorrowedHandle),
        _ => return Err(ShapeFault::FirstParameter),
    };
    match defined(types, placement) {
        Some(Defined::List { element, .. }) if is_u8(types, element) => {}
        _ => return Err(ShapeFault::Placement),
    }
    let (ok, err) = match func.result.as_ref().and_then(|ty| defined(types, ty)) {
        Some(Defined::Result { ok: Some(ok), err: Some(err), .. }) => (ok, err),
        _ => return Err(ShapeFault::Result),
    };
    let given = owned(types, ok).ok_or(ShapeFault::Ok)?;
    let returned = handle_of_error(types, err).ok_or(ShapeFault::Err)?;
    if returned != taken {
        return Err(ShapeFault::OtherResource);
    }
    if given == taken {
        return Err(ShapeFault::SameResource);
    }
    Ok(())
}

/// The resource `r` of a `tuple<own<r>, map-error>`.
fn handle_of_error(types: TypesRef<'_>, err: &ComponentValType) -> Option<ResourceId> {
    let Some(Defined::Tuple(tuple)) = defined(types, err) else {
        return None;
    };
    let [handle, reason] = &tuple.types[..] else {
        return None;
    };
    if !is_mark(defined(types, reason)?) {
        return None;
    }
    owned(types, handle)
}

fn owned(types: TypesRef<'_>, ty: &ComponentValType) -> Option<ResourceId> {
    match defined(types, ty)? {
        Defined::Own(resource) => Some(resource.resource()),
        _ => None,
    }
}

fn is_u8(types: TypesRef<'_>, ty: &ComponentValType) -> bool {
    match ty {
        ComponentValType::Primitive(primitive) => *primitive == PrimitiveValType::U8,
        ComponentValType::Type(_) => matches!(defined(types, ty), Some(Defined::Primitive(PrimitiveValType::U8))),
    }
}

fn defined<'a>(types: TypesRef<'a>, ty: &ComponentValType) -> Option<&'a Defined> {
    match ty {
        ComponentValType::Type(id) => types.get(*id),
        ComponentValType::Primitive(_) => None,
    }
}
