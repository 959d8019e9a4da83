//! Which types of a component are plain data, or lists of it: what the ledger's emitter can't see of types that were
//! aliased from instances.

use std::collections::HashMap;

use wasmparser::PrimitiveValType as Primitive;
use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType as Defined, ComponentDefinedTypeId, ComponentValType,
};
use wasmparser::types::TypesRef;

use super::MAX_DEPTH;

/// Whether a list of it can be copied without a look, as `Value::is_plain` of the ledger's signatures has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Plain {
    /// It has more to it than bytes, or is no type of a value.
    #[default]
    No,
    /// Integers, floats, and records of such.
    Data,
    /// A list of plain data.
    List,
}

impl Plain {
    pub(crate) fn of_primitive(ty: Primitive) -> Plain {
        match ty {
            Primitive::U8 | Primitive::S8 | Primitive::U16 | Primitive::S16 | Primitive::U32 | Primitive::S32 => {
                Plain::Data
            }
            Primitive::U64 | Primitive::S64 | Primitive::F32 | Primitive::F64 => Plain::Data,
            Primitive::Bool | Primitive::Char | Primitive::String | Primitive::ErrorContext => Plain::No,
        }
    }

    /// Of a record with such fields.
    pub(crate) fn of_record(mut fields: impl Iterator<Item = Plain>) -> Plain {
        if fields.all(|field| field == Plain::Data) { Plain::Data } else { Plain::No }
    }

    /// Of a list of such elements.
    pub(crate) fn of_list(element: Plain) -> Plain {
        if element == Plain::Data { Plain::List } else { Plain::No }
    }
}

/// Looks at types, and remembers what was found.
#[derive(Default)]
pub(super) struct Plains {
    known: HashMap<ComponentDefinedTypeId, Plain>,
}

impl Plains {
    /// Notes of each type of the component that was not noted yet.
    pub(super) fn note(&mut self, types: TypesRef<'_>, noted: &mut Vec<Plain>) {
        let begin = u32::try_from(noted.len()).unwrap_or(u32::MAX);
        for index in begin..types.component_type_count() {
            noted.push(match types.component_any_type_at(index) {
                ComponentAnyTypeId::Defined(id) => self.of_defined(types, id, 0),
                _ => Plain::No,
            });
        }
    }

    /// Types are nested no deeper than an engine takes, or are not plain.
    fn of_defined(&mut self, types: TypesRef<'_>, id: ComponentDefinedTypeId, depth: usize) -> Plain {
        if let Some(known) = self.known.get(&id) {
            return *known;
        }
        if depth > MAX_DEPTH {
            return Plain::No;
        }
        let mut of = |ty: &ComponentValType| match ty {
            ComponentValType::Primitive(primitive) => Plain::of_primitive(*primitive),
            ComponentValType::Type(id) => self.of_defined(types, *id, depth + 1),
        };
        let plain = match types.get(id) {
            Some(Defined::Primitive(primitive)) => Plain::of_primitive(*primitive),
            Some(Defined::Record(record)) => Plain::of_record(record.fields.values().map(&mut of)),
            Some(Defined::Tuple(tuple)) => Plain::of_record(tuple.types.iter().map(&mut of)),
            Some(Defined::List { element, .. }) => Plain::of_list(of(element)),
            _ => Plain::No,
        };
        self.known.insert(id, plain);
        plain
    }
}
