//! Whether a function is marked: whether the enum `map-error` is anywhere in its type.

use std::collections::HashSet;

use wasmparser::component_types::{ComponentDefinedType as Defined, ComponentDefinedTypeId, ComponentValType};
use wasmparser::types::TypesRef;

/// The cases of the WIT enum `map-error`, written down once more.
pub(crate) const CASES: [&str; 7] = [
    "placement-misaligned",
    "placement-too-small",
    "placement-overlaps",
    "placement-mismatch",
    "placement-unmappable",
    "mapping-over-quota",
    "mappings-exhausted",
];

pub(super) fn is_marked(types: TypesRef<'_>, func: u32) -> bool {
    let func = &types[types.component_function_at(func)];
    let mut seen = HashSet::new();
    let params = func.params.iter().map(|(_, ty)| *ty);
    params.chain(func.result).any(|ty| mentions(types, ty, &mut seen))
}

fn mentions(types: TypesRef<'_>, ty: ComponentValType, seen: &mut HashSet<ComponentDefinedTypeId>) -> bool {
    let ComponentValType::Type(id) = ty else { return false };
    if !seen.insert(id) {
        return false;
    }
    let parts: Vec<ComponentValType> = match &types[id] {
        Defined::Enum(cases) => {
            return cases.iter().map(|case| case.to_ascii_lowercase()).eq(CASES.iter().map(|case| (*case).to_owned()));
        }
        Defined::Primitive(_) | Defined::Flags(_) | Defined::Own(_) | Defined::Borrow(_) => return false,
        Defined::Record(record) => record.fields.values().copied().collect(),
        Defined::Variant(variant) => variant.cases.values().filter_map(|case| case.ty).collect(),
        Defined::Tuple(tuple) => tuple.types.to_vec(),
        Defined::List { element, .. } | Defined::FixedLengthList { element, .. } => vec![*element],
        Defined::Map { key, value, .. } => vec![*key, *value],
        Defined::Option { ty, .. } => vec![*ty],
        Defined::Result { ok, err, .. } => ok.iter().chain(err).copied().collect(),
        Defined::Future { ty, .. } | Defined::Stream { ty, .. } => ty.iter().copied().collect(),
    };
    parts.into_iter().any(|part| mentions(types, part, seen))
}
