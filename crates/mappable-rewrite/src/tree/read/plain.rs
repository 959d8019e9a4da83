//! Notes which types of a component are plain data, or lists of it. The ledger's emitter can't see that of types that are
//! aliased from instances.

use std::collections::HashMap;

use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType as Defined, ComponentDefinedTypeId, ComponentValType,
};
use wasmparser::types::TypesRef;

use super::MAX_DEPTH;
use crate::ledger::signature::Plain;

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
