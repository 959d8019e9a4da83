//! Writes into core modules: maxima of the memories that they import and define, and preloads in front of loops. All other
//! bytes stay as they are, except the sizes of the sections and modules around.
//!
//! Sections are walked by their headers alone: the component has been validated.

use std::borrow::Cow;
use std::collections::BTreeSet;

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    Component, ComponentSectionId, ImportSection, MemorySection, MemoryType, Module, Section, SectionId,
};
use wasmparser::{BinaryReader, Encoding, ImportSectionReader, MemorySectionReader, Payload};

use super::bound::{BOUNDED_PAGES, Bounded};
use super::preload::{self, ModulePreloads, Preloads};
use crate::error::{RewriteError, broken};
use crate::tree::binary::{FEATURES, Found, get, parser, sections, with_header};
use crate::tree::encode::{EmitResult, refusal};
use crate::tree::read::{self, ComponentFacts, Facts};

/// A component in whose core modules maxima and preloads have been written, with what was read of it before.
///
/// Neither is of use without the other, so they are one: whoever writes a component has both from here.
#[derive(Debug)]
pub(crate) struct Patched<'f, 'a> {
    /// The facts of the component as given. Indices hold for these bytes, too, since nothing that has one was added or
    /// removed. Offsets do not hold, and the facts have none.
    facts: &'f Facts<'a>,
    bytes: Cow<'a, [u8]>,
    bounded: Bounded,
    preloads: Preloads,
}

impl<'f, 'a> Patched<'f, 'a> {
    /// `component` is what `facts` are of. Bounds memories if `bound` says so, and preloads bases if `preload` does.
    pub(crate) fn new(
        component: &'a [u8],
        facts: &'f Facts<'a>,
        bound: bool,
        preload: bool,
    ) -> Result<Self, RewriteError> {
        let bounded = if bound { Bounded::new(facts)? } else { Bounded::default() };
        let preloads = if preload { Preloads::new(facts, &bounded)? } else { Preloads::default() };
        let bytes = if bounded.is_empty() && preloads.is_empty() {
            Cow::Borrowed(component)
        } else {
            Cow::Owned(Patcher { bounded: &bounded, preloads: &preloads, begun: 0 }.component(component)?)
        };
        Ok(Self { facts, bytes, bounded, preloads })
    }

    pub(crate) fn facts(&self) -> &'f Facts<'a> {
        self.facts
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn into_bytes(self) -> Cow<'a, [u8]> {
        self.bytes
    }

    pub(crate) fn bounded(&self) -> &Bounded {
        &self.bounded
    }

    pub(crate) fn preloads(&self) -> &Preloads {
        &self.preloads
    }

    /// The first component that has a core module of these bytes.
    pub(crate) fn component_of(&self, module: &[u8]) -> Result<&'f ComponentFacts<'a>, RewriteError> {
        let (mut begun, mut open) = (0, Vec::new());
        for payload in parser().parse_all(&self.bytes) {
            match payload? {
                Payload::Version { encoding: Encoding::Component, .. } => {
                    open.push(Some(begun));
                    begun += 1;
                }
                Payload::Version { .. } => open.push(None),
                Payload::End(_) => {
                    open.pop();
                }
                Payload::ModuleSection { unchecked_range, .. }
                    if self.bytes.get(unchecked_range.clone()) == Some(module) =>
                {
                    let component = open.last().copied().flatten().and_then(|nth| self.facts.components.get(nth));
                    return component.ok_or_else(|| broken!("a core module in no component"));
                }
                _ => {}
            }
        }
        Err(broken!("a core module that is nowhere"))
    }
}

/// Puts preloads into a core module that is no component's: it does for embedders of modules what [`rewrite`](crate::rewrite)
/// does for components. Any memory of it that may move is taken for one that is mapped into. The module is validated first,
/// and given back as it is if no loop is worth a preload.
///
/// ```
/// # fn main() -> anyhow::Result<()> {
/// let module = wat::parse_str("(module)")?;
/// assert_eq!(*mappable_rewrite::preloaded(&module)?, *module); // there is no loop
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// What is no valid core module.
pub fn preloaded(module: &[u8]) -> Result<Cow<'_, [u8]>, RewriteError> {
    let (report, memories) = read::module(module)?;
    match preload::of_lone_module(module, &report, &memories)? {
        None => Ok(Cow::Borrowed(module)),
        Some(found) => patch_module(module, None, Some(&found)).map(Cow::Owned),
    }
}

struct Patcher<'f> {
    bounded: &'f Bounded,
    preloads: &'f Preloads,
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
                let module = (number, modules - 1);
                match (self.bounded.of(module), self.preloads.of(module)) {
                    (None, None) => None,
                    (memories, preloads) => Some(patch_module(content, memories, preloads)?),
                }
                .map(|module| with_header(section.id, &module))
            } else if section.id == ComponentSectionId::Component as u8 {
                let nested = Some(self.component(content)?).filter(|nested| nested != content);
                nested.map(|nested| with_header(section.id, &nested))
            } else {
                None
            };
            put(&mut written, bytes, &section, changed)?;
        }
        Ok(written)
    }
}

/// A core module with the maximum for these of its memories, and with these preloads.
pub(crate) fn patch_module(
    bytes: &[u8],
    memories: Option<&BTreeSet<u32>>,
    preloads: Option<&ModulePreloads>,
) -> Result<Vec<u8>, RewriteError> {
    let mut written = Module::HEADER.to_vec();
    let mut maxima = memories.map(|memories| Maxima { memories, next: 0, any: false });
    for section in sections(bytes)? {
        let content = get(bytes, &section.content)?;
        let changed = match (&mut maxima, preloads) {
            (Some(maxima), _) if section.id == SectionId::Import as u8 || section.id == SectionId::Memory as u8 => {
                maxima.section(section.id, content)?
            }
            (_, Some(preloads)) if section.id == SectionId::Code as u8 => {
                Some(with_header(section.id, &preload::splice(content, preloads)?))
            }
            _ => None,
        };
        put(&mut written, bytes, &section, changed)?;
    }
    Ok(written)
}

/// Writes a section, or what it was changed to.
fn put(written: &mut Vec<u8>, bytes: &[u8], section: &Found, changed: Option<Vec<u8>>) -> Result<(), RewriteError> {
    match changed {
        Some(changed) => written.extend(changed),
        None => written.extend_from_slice(get(bytes, &section.whole)?),
    }
    Ok(())
}

/// Goes through the memories of a module, by their indices.
struct Maxima<'f> {
    /// Those that get a maximum.
    memories: &'f BTreeSet<u32>,
    next: u32,
    /// Whether any in this section did.
    any: bool,
}

impl Maxima<'_> {
    /// The section of imports, or of memories, if any in it gets a maximum.
    fn section(&mut self, id: u8, content: &[u8]) -> Result<Option<Vec<u8>>, RewriteError> {
        let reader = BinaryReader::new_features(content, 0, FEATURES);
        let mut written = vec![];
        self.any = false;
        if id == SectionId::Import as u8 {
            let mut imports = ImportSection::new();
            let reader = ImportSectionReader::new(reader)?;
            self.parse_import_section(&mut imports, reader).map_err(refusal)?;
            imports.append_to(&mut written);
        } else {
            let mut defined = MemorySection::new();
            let reader = MemorySectionReader::new(reader)?;
            self.parse_memory_section(&mut defined, reader).map_err(refusal)?;
            defined.append_to(&mut written);
        }
        Ok(self.any.then_some(written))
    }
}

impl Reencode for Maxima<'_> {
    type Error = RewriteError;

    fn memory_type(&mut self, ty: wasmparser::MemoryType) -> EmitResult<MemoryType> {
        let mut ty = utils::memory_type(self, ty);
        if self.memories.contains(&self.next) {
            ty.maximum = Some(BOUNDED_PAGES);
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
