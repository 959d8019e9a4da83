//! One core module: its name, and what it does with memories.

use wasmparser::{ExternalKind, KnownCustom, Name, Parser, Payload, TypeRef, Validator};

use super::facts::ModuleMemories;
use super::what_instead;
use crate::error::{ReadError, RewriteError};
use crate::tree::binary::{FEATURES, parser};
use crate::tree::types::{MemoryType, ModuleReport};

/// Validates a core module on its own, and reads what there is to know of its memories.
pub(crate) fn module(bytes: &[u8]) -> Result<(ModuleReport, ModuleMemories<'_>), RewriteError> {
    if !Parser::is_core_wasm(bytes) {
        return Err(ReadError::NotAModule { found: what_instead(bytes) }.into());
    }
    Validator::new_with_features(FEATURES).validate_all(bytes)?;
    let (mut module, mut memories) = (ModuleReport::default(), ModuleMemories::default());
    for payload in parser().parse_all(bytes) {
        note(&mut module, &mut memories, payload?);
    }
    Ok((module, memories))
}

/// Notes of a core module its name, and its memories.
pub(super) fn note<'a>(module: &mut ModuleReport, memories: &mut ModuleMemories<'a>, payload: Payload<'a>) {
    match payload {
        Payload::ImportSection(section) => {
            for import in section.into_imports().flatten() {
                if let TypeRef::Memory(ty) = import.ty {
                    memories.imports.push((import.module, import.name, ty.into()));
                }
            }
        }
        Payload::MemorySection(section) => {
            let memories = section.into_iter().flatten();
            module.memories.extend(memories.map(MemoryType::from));
        }
        Payload::ExportSection(section) => {
            let exports = section.into_iter().flatten();
            let exports = exports.filter(|export| export.kind == ExternalKind::Memory);
            memories.exports.extend(exports.map(|export| (export.name, export.index)));
        }
        Payload::CustomSection(section) => {
            if let KnownCustom::Name(names) = section.as_known() {
                for name in names.into_iter().flatten() {
                    if let Name::Module { name, .. } = name {
                        module.name = Some(name.to_owned());
                    }
                }
            }
        }
        _ => {}
    }
}
