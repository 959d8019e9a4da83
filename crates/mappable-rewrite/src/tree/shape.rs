//! Recognises functions that change what is mapped, by type alone.
//!
//! Names can't be trusted: parameter names aren't compared when a component is linked, an import of version 0.1.9
//! links to our 0.1.0, and a root import may be renamed at will. What *is* compared, all the way from a lower to the
//! host, is the structure of the function's type. So the exact enum [`MARK`] marks a function, wherever in its type
//! it occurs, and a marked function must have exactly the shape that the refresh is made for.
//!
//! The validator compares labels without regard to ASCII case, so a nested component may spell the enum's cases in
//! capitals and still be given the host's function. They are compared likewise here.

use std::collections::HashMap;

use wasmparser::PrimitiveValType;
use wasmparser::component_types::{
    ComponentDefinedType as Defined, ComponentDefinedTypeId, ComponentFuncType, ComponentValType, ResourceId,
};
use wasmparser::types::TypesRef;

use crate::error::ShapeFault;
use crate::package::MARK;

/// Looks for the mark.
#[derive(Default)]
pub(crate) struct Marks(Occurrences<()>);

impl Marks {
    /// Whether the mark occurs anywhere in `func`'s parameters or result.
    pub(crate) fn is_marked(&mut self, types: TypesRef<'_>, func: &ComponentFuncType) -> bool {
        // A type that the validator doesn't know can't be vouched for.
        let mark = |ty: Option<&Defined>| ty.is_none_or(is_mark).then_some(());
        let mut values = func.params.iter().map(|(_, ty)| ty).chain(&func.result);
        values.any(|ty| self.0.within(types, ty, mark).is_some())
    }
}

/// What occurs in types, of one validator's. Each is looked at once, however many are made of it.
pub(crate) struct Occurrences<V>(HashMap<ComponentDefinedTypeId, Option<V>>);

impl<V> Default for Occurrences<V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<V: Copy> Occurrences<V> {
    /// What is found in a type, or in what it is made of, futures, streams and all. Without recursion: types may be nested as
    /// deep as there are types.
    pub(crate) fn within(
        &mut self,
        types: TypesRef<'_>,
        ty: &ComponentValType,
        mut find: impl FnMut(Option<&Defined>) -> Option<V>,
    ) -> Option<V> {
        let ComponentValType::Type(root) = *ty else { return None };
        let Self(known) = self;
        let mut todo = vec![root];
        while let Some(&id) = todo.last() {
            if known.contains_key(&id) {
                todo.pop();
                continue;
            }
            let (ty, begun) = (types.get(id), todo.len());
            let mut within = None;
            if let Some(ty) = ty {
                for_each_part(ty, |part| {
                    let ComponentValType::Type(part) = part else { return };
                    match known.get(part) {
                        Some(found) => within = within.or(*found),
                        None => todo.push(*part),
                    }
                });
            }
            // What it is made of comes first.
            if todo.len() == begun {
                known.insert(id, find(ty).or(within));
                todo.pop();
            }
        }
        known.get(&root).copied().flatten()
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

#[cfg(test)]
mod tests {
    use wasmparser::component_types::ComponentAnyTypeId;

    use super::*;
    use crate::tree::binary::FEATURES;

    #[test]
    fn each_type_is_looked_at_once_for_all_that_are_made_of_it() {
        // A type that is made of a thousand, and a thousand that are made of it and of what is found.
        let types: String = (0..1000).map(|n| format!("(type $t{n} (tuple u8))")).collect();
        let parts: String = (0..1000).map(|n| format!("$t{n} ")).collect();
        let roots = "(type (tuple $wide $found $wide))".repeat(1000);
        let found = r#"(type $found (enum "found"))"#;
        let text = format!("(component {types} (type $wide (tuple {parts})) {found} {roots})");
        let types = wasmparser::Validator::new_with_features(FEATURES).validate_all(&wat::parse_str(text).unwrap());
        let types = types.unwrap();
        let types = types.as_ref();
        let (mut occurrences, mut looks, mut found) = (Occurrences::default(), 0, 0);
        for index in 0..types.component_type_count() {
            let ComponentAnyTypeId::Defined(id) = types.component_any_type_at(index) else { panic!() };
            let is_found = |ty: Option<&Defined>| {
                looks += 1;
                matches!(ty, Some(Defined::Enum(_))).then_some(())
            };
            found += usize::from(occurrences.within(types, &ComponentValType::Type(id), is_found).is_some());
        }
        assert_eq!((looks, found), (2002, 1001));
    }
}
