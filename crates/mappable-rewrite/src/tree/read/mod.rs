//! Reads a whole tree of components into typed facts, by the validator's own index spaces.
//!
//! [`read`] validates the bytes. As it goes it notes what the rest of this crate asks about.
//!
//! ```text
//!   read ── component   one component that has begun: each section, item by item
//!            ├ counts     its index spaces, compared with the validator's after each section
//!            ├ canon      which core functions its canonical functions use
//!            ├ lower      which of those are lowers of swapping functions, and whether a refresh would be sound
//!        ├─ module      one core module
//!        ├─ depth       how deep types are nested, before the parser recurses
//!        ▼
//!       facts           what is noted
//! ```
//!
//! Nothing is decided here but refusals. What to do about the facts is [`crate::baseline::plan`]'s to say, and whether a
//! lower is behind a refresh [`crate::baseline::verify`]'s.

mod canon;
mod component;
mod counts;
mod depth;
mod facts;
mod lower;
mod module;

use wasmparser::types::{Types, TypesRef};
use wasmparser::{Encoding, FuncValidatorAllocations, Parser, Payload, ValidPayload, Validator};

use crate::error::{ReadError, RewriteError, broken};
use crate::path::ComponentPath;
use crate::refresh;
use crate::tree::binary::{FEATURES, parser};
use crate::tree::shape::Marks;
use crate::tree::types::ModuleReport;

pub(crate) use canon::options;
use component::ComponentReader;
pub(crate) use facts::{ComponentFacts, Facts, FuncUser, InstanceUser, Lift, Lower, ModuleMemories, ModuleSource};
pub(crate) use module::module;

/// How deep components may be nested, and types. The emitter recurses once a level, and so does the engine's parser.
pub(crate) const MAX_DEPTH: usize = 100;

/// Whether the bodies of core functions are validated too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bodies {
    /// Yes: the bytes come from elsewhere.
    Validate,
    /// No: the modules are copies of ones that were validated, but for maxima and preloads, and the engine validates them.
    Trust,
}

/// Who is shown each section of each component, as the validator has taken it in.
pub(crate) trait Visit<'a> {
    /// A component begins.
    fn begin(&mut self, path: &ComponentPath);
    /// A section of the component that is the last to have begun and not ended.
    fn section(&mut self, types: TypesRef<'_>, payload: &Payload<'a>) -> Result<(), RewriteError>;
    /// That component ends.
    fn end(&mut self);
}

/// Nobody.
impl Visit<'_> for () {
    fn begin(&mut self, _: &ComponentPath) {}
    fn section(&mut self, _: TypesRef<'_>, _: &Payload<'_>) -> Result<(), RewriteError> {
        Ok(())
    }
    fn end(&mut self) {}
}

/// Validates and reads a tree of components.
pub(crate) fn read(bytes: &[u8], bodies: Bodies) -> Result<Facts<'_>, RewriteError> {
    Ok(read_with(bytes, bodies, &mut ())?.0)
}

/// Does what [`read`] does, and shows each section to `visitor`. Returns the validator's types of all components, too.
pub(crate) fn read_with<'a>(
    bytes: &'a [u8],
    bodies: Bodies,
    visitor: &mut impl Visit<'a>,
) -> Result<(Facts<'a>, Types), RewriteError> {
    if !Parser::is_component(bytes) {
        return Err(ReadError::NotAComponent { found: what_instead(bytes) }.into());
    }
    let mut validator = Validator::new_with_features(FEATURES);
    let mut allocations = FuncValidatorAllocations::default();
    let mut reader = Reader::new(bytes);
    let mut types = None;

    for payload in parser().parse_all(bytes) {
        let payload = payload?;
        if let Payload::ComponentTypeSection(section) = &payload {
            depth::check(bytes, section)?;
        }
        let valid = validator.payload(&payload)?;
        match (valid, bodies) {
            (ValidPayload::Func(func, body), Bodies::Validate) => {
                let mut func = func.into_validator(allocations);
                func.validate(&body)?;
                allocations = func.into_allocations();
            }
            (ValidPayload::End(ended), _) => types = Some(ended),
            _ => {}
        }
        reader.payload(&validator, payload, visitor)?;
    }
    // The outermost component ends last.
    let types = types.ok_or_else(|| broken!("a component that does not end is valid"))?;
    Ok((reader.facts, types))
}

fn what_instead(bytes: &[u8]) -> &'static str {
    if bytes.trim_ascii().is_empty() {
        "it is empty"
    } else if Parser::is_core_wasm(bytes) {
        "it is a core module"
    } else if Parser::is_component(bytes) {
        "it is a component"
    } else if bytes.starts_with(b"\0asm") {
        "its version of the binary format is not known"
    } else if bytes.trim_ascii_start().starts_with(b"(") {
        "it looks like the text format"
    } else {
        "it does not begin as WebAssembly does"
    }
}

/// The state of reading: which components and modules have begun and not ended.
struct Reader<'a> {
    bytes: &'a [u8],
    facts: Facts<'a>,
    marks: Marks,
    open: Vec<Open<'a>>,
}

enum Open<'a> {
    Component(Box<ComponentReader<'a>>),
    Module(ModuleReport, ModuleMemories<'a>),
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, facts: Facts::default(), marks: Marks::default(), open: Vec::new() }
    }

    fn payload(
        &mut self,
        validator: &Validator,
        payload: Payload<'a>,
        visitor: &mut impl Visit<'a>,
    ) -> Result<(), RewriteError> {
        match (self.open.last_mut(), payload) {
            (_, Payload::Version { encoding, .. }) => self.begin(encoding, visitor),
            (_, Payload::End(_)) => self.end(visitor),
            (Some(Open::Module(module, memories)), payload) => {
                self.facts.throws |= matches!(payload, Payload::TagSection(_));
                module::note(module, memories, payload);
                Ok(())
            }
            (Some(Open::Component(scope)), payload) => {
                let types = validator.types(0).ok_or_else(|| broken!("the validator has no types for a component"))?;
                visitor.section(types, &payload)?;
                scope.payload(types, &mut self.marks, &mut self.facts, payload)?;
                Ok(())
            }
            (None, _) => Err(broken!("a section outside of any component")),
        }
    }

    fn begin(&mut self, encoding: Encoding, visitor: &mut impl Visit<'a>) -> Result<(), RewriteError> {
        let outer = match self.open.last() {
            None => None,
            Some(Open::Component(scope)) => Some(scope),
            Some(Open::Module(..)) => return Err(broken!("something begins in a core module")),
        };
        match (encoding, outer) {
            (Encoding::Component, outer) => {
                if self.open.len() >= MAX_DEPTH {
                    return Err(ReadError::TooDeep { limit: MAX_DEPTH }.into());
                }
                let scope = match outer {
                    None => ComponentReader::root(self.bytes.len()),
                    Some(outer) => outer.nested(self.facts.components.len())?,
                };
                visitor.begin(scope.path());
                let outer = outer.map(|outer| outer.component);
                let path = scope.path().clone();
                self.facts.components.push(ComponentFacts { path, outer, ..ComponentFacts::default() });
                self.open.push(Open::Component(Box::new(scope)));
            }
            (Encoding::Module, Some(outer)) => {
                let (index, range) = outer.nested_module()?;
                let bytes = self.bytes.get(range).ok_or_else(|| broken!("a core module behind the end"))?;
                let component = self.facts.components.get_mut(outer.component);
                component.ok_or_else(|| broken!("a component without facts"))?.module_bytes.push(bytes);
                let module = ModuleReport { index, refresh: bytes == refresh::module(), ..ModuleReport::default() };
                self.open.push(Open::Module(module, ModuleMemories::default()));
            }
            (Encoding::Module, None) => {
                return Err(broken!("a core module was taken for a component"));
            }
        }
        Ok(())
    }

    fn end(&mut self, visitor: &mut impl Visit<'a>) -> Result<(), RewriteError> {
        let Some(Open::Module(module, memories)) = self.open.pop() else {
            visitor.end();
            return Ok(());
        };
        let component = match self.open.last() {
            Some(Open::Component(scope)) => self.facts.components.get_mut(scope.component),
            _ => None,
        };
        let component = component.ok_or_else(|| broken!("a core module ends outside of any component"))?;
        component.modules.push(module);
        component.module_memories.push(memories);
        Ok(())
    }
}
