//! Writes maxima into the sections of core modules that import and define memories. All else keeps its bytes, but for the
//! sizes of what it lies in.
//!
//! Sections are walked by their headers alone: the component has been validated.

use std::collections::BTreeSet;
use std::ops::Range;

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    Component, ComponentSectionId, Encode, ImportSection, MemorySection, MemoryType, Module, Section, SectionId,
};
use wasmparser::{BinaryReader, ImportSectionReader, MemorySectionReader};

use super::{FIXED_PAGES, Fixes};
use crate::emit::{EmitResult, refusal};
use crate::error::{RewriteError, broken};
use crate::read::FEATURES;

/// Writes `component` with those memories fixed.
pub(super) fn patch(component: &[u8], fixes: &Fixes) -> Result<Vec<u8>, RewriteError> {
    Patcher { fixes, begun: 0 }.component(component)
}

struct Patcher<'f> {
    fixes: &'f Fixes,
    /// How many components have begun: the next one's place in the facts.
    begun: usize,
}

impl Patcher<'_> {
    fn component(&mut self, bytes: &[u8]) -> Result<Vec<u8>, RewriteError> {
        let number = self.begun;
        self.begun += 1;
        let mut written = Component::HEADER.to_vec();
        let mut modules = 0;
        for section in sections(bytes)? {
            let content = get(bytes, &section.content)?;
            let changed = if section.id == ComponentSectionId::CoreModule as u8 {
                modules += 1;
                let memories = self.fixes.of((number, modules - 1));
                memories.map(|memories| fix_module(content, memories)).transpose()?
            } else if section.id == ComponentSectionId::Component as u8 {
                Some(self.component(content)?).filter(|nested| nested != content)
            } else {
                None
            };
            match changed {
                Some(changed) => {
                    written.push(section.id);
                    changed.as_slice().encode(&mut written);
                }
                None => written.extend_from_slice(get(bytes, &section.whole)?),
            }
        }
        Ok(written)
    }
}

/// A core module with the maximum for these of its memories.
fn fix_module(bytes: &[u8], memories: &BTreeSet<u32>) -> Result<Vec<u8>, RewriteError> {
    let mut written = Module::HEADER.to_vec();
    let mut maxima = Maxima { memories, next: 0, any: false };
    for section in sections(bytes)? {
        let reader = BinaryReader::new_features(get(bytes, &section.content)?, 0, FEATURES);
        let (mut imports, mut defined) = (ImportSection::new(), MemorySection::new());
        maxima.any = false;
        if section.id == SectionId::Import as u8 {
            let reader = ImportSectionReader::new(reader).map_err(RewriteError::Invalid)?;
            maxima.parse_import_section(&mut imports, reader).map_err(refusal)?;
        } else if section.id == SectionId::Memory as u8 {
            let reader = MemorySectionReader::new(reader).map_err(RewriteError::Invalid)?;
            maxima.parse_memory_section(&mut defined, reader).map_err(refusal)?;
        }
        match maxima.any {
            false => written.extend_from_slice(get(bytes, &section.whole)?),
            true if defined.is_empty() => imports.append_to(&mut written),
            true => defined.append_to(&mut written),
        }
    }
    Ok(written)
}

/// Goes through the memories of a module, by their indices.
struct Maxima<'f> {
    /// Those that get a maximum.
    memories: &'f BTreeSet<u32>,
    next: u32,
    /// Whether any in this section did.
    any: bool,
}

impl Reencode for Maxima<'_> {
    type Error = RewriteError;

    fn memory_type(&mut self, ty: wasmparser::MemoryType) -> EmitResult<MemoryType> {
        let mut ty = utils::memory_type(self, ty);
        if self.memories.contains(&self.next) {
            ty.maximum = Some(FIXED_PAGES);
            self.any = true;
        }
        self.next += 1;
        Ok(ty)
    }

    fn parse_imports(&mut self, section: &mut ImportSection, imports: wasmparser::Imports<'_>) -> EmitResult {
        match imports {
            wasmparser::Imports::Single(..) => utils::parse_imports(self, section, imports),
            // Several imports may have one type there. No engine of ours takes them.
            _ => Err(Error::UserError(broken!("compact imports are valid"))),
        }
    }
}

/// A section of a module or component. Ranges are of the bytes that it lies in.
struct Found {
    id: u8,
    /// With its header.
    whole: Range<usize>,
    content: Range<usize>,
}

/// The sections behind the header.
fn sections(bytes: &[u8]) -> Result<Vec<Found>, RewriteError> {
    let mut reader = BinaryReader::new_features(bytes, 0, FEATURES);
    reader.read_bytes(Module::HEADER.len()).map_err(RewriteError::Invalid)?;
    let mut found = vec![];
    while !reader.eof() {
        let start = reader.current_position();
        let id = reader.read_u8().map_err(RewriteError::Invalid)?;
        let len = reader.read_var_u32().map_err(RewriteError::Invalid)?;
        let content = reader.current_position();
        reader.read_bytes(len as usize).map_err(RewriteError::Invalid)?;
        let end = reader.current_position();
        found.push(Found { id, whole: start..end, content: content..end });
    }
    Ok(found)
}

fn get<'a>(bytes: &'a [u8], range: &Range<usize>) -> Result<&'a [u8], RewriteError> {
    bytes.get(range.clone()).ok_or_else(|| broken!("a section that is behind the end"))
}
