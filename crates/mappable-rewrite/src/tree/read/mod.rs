//! What is where: typed facts of a whole tree of components, by the validator's own index spaces.
//!
//! [`read`] validates the bytes and, as it goes, notes of each component what the rest of this crate asks about:
//! marked lowers (checked by [`lower`]), who uses which core function and core instance, which modules are the
//! refresh. One [`ComponentFacts`] is made for each component; [`scope`] fills it, section by section. Indices are
//! counted here as items go by and compared with the validator's counts after each section.
//!
//! Nothing is decided here but refusals: what to do about the facts is [`crate::baseline::plan`]'s, and whether a lower is
//! behind a refresh [`crate::baseline::verify`]'s.

mod depth;
pub(crate) mod lower;
mod plain;
mod scope;

use std::collections::{BTreeSet, HashMap};

use wasmparser::types::{Types, TypesRef};
use wasmparser::{
    Encoding, ExternalKind, FuncType, FuncValidatorAllocations, Instance, KnownCustom, Name, Parser, Payload, TypeRef,
    ValidPayload, Validator,
};

use crate::error::{ReadError, RewriteError, broken};
use crate::ledger::signature::Plain;
use crate::path::ComponentPath;
use crate::refresh;
use crate::tree::binary::{FEATURES, parser};
use crate::tree::shape::Marks;
use crate::tree::types::{MemoryType, ModuleReport};

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

/// A tree of components.
#[derive(Debug, Default)]
pub(crate) struct Facts<'a> {
    /// Each component, in the order in which they begin: the outermost is the first.
    pub(crate) components: Vec<ComponentFacts<'a>>,
    /// The names that the outermost component imports.
    pub(crate) root_imports: Vec<&'a str>,
}

/// One component.
#[derive(Debug, Default)]
pub(crate) struct ComponentFacts<'a> {
    pub(crate) path: ComponentPath,
    pub(crate) name: Option<&'a str>,
    /// Its marked lowers, each found fit to be refreshed, in order.
    pub(crate) lowers: Vec<Lower>,
    /// The component that it is nested in: its place in [`Facts::components`].
    pub(crate) outer: Option<usize>,
    /// The core modules that it defines, in order.
    pub(crate) modules: Vec<ModuleReport>,
    /// Their bytes, in the same order.
    pub(crate) module_bytes: Vec<&'a [u8]>,
    /// What those do with memories, in the same order.
    pub(crate) module_memories: Vec<ModuleMemories<'a>>,
    /// Its core modules, by index.
    pub(crate) module_sources: Vec<ModuleSource>,
    /// The core modules, by index, that it gives to other components or to the host.
    pub(crate) given_modules: Vec<u32>,
    /// Its core instances, by index.
    pub(crate) core_instances: Vec<Instance<'a>>,
    /// Its core memories, by index: the core instance and the export that each is an alias of.
    pub(crate) memories: Vec<(u32, &'a str)>,
    /// Every use of a core function.
    pub(crate) func_users: HashMap<u32, Vec<FuncUser>>,
    /// Every use of a core instance.
    pub(crate) instance_users: HashMap<u32, Vec<InstanceUser>>,
    /// How many canonical functions it has.
    pub(crate) canons: usize,
    /// Its types, by index: which are plain data, or lists of it.
    pub(crate) plain: Vec<Plain>,
    /// The type of each core function that is a `realloc` or `post-return` of something.
    pub(crate) called_back: HashMap<u32, FuncType>,
    /// The context slots that it has `context.get` or `context.set` of. (Another need not be in the engine.)
    pub(crate) slots: BTreeSet<u32>,
    /// The type of each core function that leaves the component: lowers, and most built-ins.
    pub(crate) leaving: HashMap<u32, FuncType>,
}

/// Where a core module of a component comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModuleSource {
    /// From this component, which has it as its so-many-th.
    Here(usize),
    /// From so many components further out, which have it as that index.
    Outer(u32, u32),
    /// From an import, or another component.
    Elsewhere,
}

/// The memories that a core module imports and exports.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModuleMemories<'a> {
    /// Module, name and type of each that it imports, in order: they come before those that it defines.
    pub(crate) imports: Vec<(&'a str, &'a str, MemoryType)>,
    /// Name and index of each that it exports.
    pub(crate) exports: Vec<(&'a str, u32)>,
}

/// A lower of a swapping function.
#[derive(Clone, Debug)]
pub(crate) struct Lower {
    /// Which canonical function of the component it is.
    pub(crate) canon: u32,
    /// The core function that it defines.
    pub(crate) func: u32,
    /// How many core instances the component has before it.
    pub(crate) core_instances: u32,
    /// The core memory that it names.
    pub(crate) memory: u32,
    /// That memory's type.
    pub(crate) memory_type: MemoryType,
    /// What the lowered function was imported or aliased as.
    pub(crate) function: Option<String>,
}

/// A use of a core function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FuncUser {
    /// As an export of this core instance.
    Export(u32),
    /// As what a `canon lift` lifts.
    Lift,
    /// As `realloc`, `post-return` or `callback` of a canonical function.
    Option,
    /// As a resource's destructor.
    Destructor,
}

/// A use of a core instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InstanceUser {
    /// As an argument of the instantiation that makes this core instance.
    Argument(u32),
    /// As what an export is aliased of.
    Alias,
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

/// As [`read`], with somebody who sees it all. Gives the validator's types too, of all components.
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

/// Validates a core module on its own, and reads what there is to know of its memories.
pub(crate) fn module(bytes: &[u8]) -> Result<(ModuleReport, ModuleMemories<'_>), RewriteError> {
    if !Parser::is_core_wasm(bytes) {
        return Err(ReadError::NotAModule { found: what_instead(bytes) }.into());
    }
    Validator::new_with_features(FEATURES).validate_all(bytes)?;
    let (mut module, mut memories) = (ModuleReport::default(), ModuleMemories::default());
    for payload in parser().parse_all(bytes) {
        note_module(&mut module, &mut memories, payload?);
    }
    Ok((module, memories))
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
    plains: plain::Plains,
    open: Vec<Open<'a>>,
}

enum Open<'a> {
    Component(Box<scope::Scope<'a>>),
    Module(ModuleReport, ModuleMemories<'a>),
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Reader {
            bytes,
            facts: Facts::default(),
            marks: Marks::default(),
            plains: plain::Plains::default(),
            open: Vec::new(),
        }
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
                note_module(module, memories, payload);
                Ok(())
            }
            (Some(Open::Component(scope)), payload) => {
                let types = validator.types(0).ok_or_else(|| broken!("the validator has no types for a component"))?;
                visitor.section(types, &payload)?;
                scope.payload(types, &mut self.marks, &mut self.facts, payload)?;
                let component = self.facts.components.get_mut(scope.component);
                let component = component.ok_or_else(|| broken!("a component without facts"))?;
                self.plains.note(types, &mut component.plain);
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
                    None => scope::Scope::root(self.bytes.len()),
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

/// Notes of a core module its name, and its memories.
fn note_module<'a>(module: &mut ModuleReport, memories: &mut ModuleMemories<'a>, payload: Payload<'a>) {
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
