//! Many wrappers in one module, so that one instance of it serves many functions.
//!
//! A module takes in what each wrapper's own module has, with new indices. What two of them are given alike, such as the
//! ledger's memory, is imported once.

use std::collections::HashMap;
use std::convert::Infallible;
use std::rc::Rc;

use wasm_encoder::reencode::{self, Reencode, RoundtripReencoder};
use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, FunctionSection, GlobalSection, ImportSection, NameMap,
    NameSection, TypeSection,
};
use wasmparser::{
    ExternalKind, FuncType, FunctionBody, Global, GlobalType, KnownCustom, MemoryType, Name, Parser, Payload, TypeRef,
};

use super::{CALL, Module, Need};
use crate::error::{RewriteError, broken};

/// How many wrappers one module has at the most. An instance takes some 60 bytes for each function that it imports and
/// exports, and an embedder may have bounded what one takes (Wasmtime's pool gives it 1 MiB).
const MAX_WRAPPERS: usize = 1000;
/// How many guests' memories they may use. The format has room for 100, two of which are the ledger's.
const MAX_GUEST_MEMORIES: usize = 64;

/// A module of many wrappers. Each wrapper's function is exported by its number: `0`, `1`, ...
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bundle {
    pub(crate) bytes: Rc<[u8]>,
    pub(crate) imports: Vec<Import>,
    /// For each wrapper, which of the imports it uses.
    pub(crate) wrappers: Vec<Vec<usize>>,
}

/// An import of a bundle, from the module name `""`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) field: String,
    /// What the first wrapper that uses it calls it, and what it is.
    pub(crate) name: &'static str,
    pub(crate) need: Need,
    /// Which item it is given.
    pub(crate) item: Item,
}

/// An item of a component: its kind, and its index among those.
pub(crate) type Item = (ExportKind, u32);

/// A bundle in the making.
#[derive(Default)]
pub(crate) struct Bundler<'m> {
    types: Types,
    imports: Vec<(Import, Sort)>,
    known: HashMap<(Need, u32, Sort), usize>,
    /// How many imports wanted to be called so.
    names: HashMap<&'static str, u32>,
    guest_memories: usize,
    wrappers: Vec<Wrapper<'m>>,
}

/// What an import is of.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Sort {
    /// By the index of its type in the bundle.
    Func(u32),
    Memory(MemoryType),
    Global(GlobalType),
}

/// The types of functions, each once.
#[derive(Default)]
struct Types {
    section: TypeSection,
    known: HashMap<FuncType, u32>,
}

/// What one wrapper's module brings.
#[derive(Default)]
struct Wrapper<'m> {
    name: &'m str,
    /// Its types, by their indices in the bundle.
    types: Vec<u32>,
    imports: Vec<usize>,
    /// The types of its functions, by its own indices.
    funcs: Vec<u32>,
    bodies: Vec<FunctionBody<'m>>,
    globals: Vec<Global<'m>>,
    /// The function that is its `call`, by its own indices.
    call: Option<u32>,
}

impl<'m> Bundler<'m> {
    /// Whether one wrapper more may come in.
    pub(crate) fn has_room(&self) -> bool {
        self.wrappers.len() < MAX_WRAPPERS && self.guest_memories < MAX_GUEST_MEMORIES
    }

    /// Takes in a wrapper. `items` says for each of the module's needs which item it is given: where two wrappers need the
    /// same of the same item, they import it once.
    pub(crate) fn add(&mut self, module: &'m Module, items: &[Item]) -> Result<(), RewriteError> {
        let mut wrapper = Wrapper::default();
        for payload in Parser::new(0).parse_all(&module.bytes) {
            match payload? {
                Payload::TypeSection(section) => {
                    for ty in section.into_iter_err_on_gc_types() {
                        wrapper.types.push(self.types.index(ty?)?);
                    }
                }
                Payload::ImportSection(section) => {
                    let given = module.needs.iter().zip(items);
                    for (import, (&(name, need), &item)) in section.into_imports().zip(given) {
                        let sort = match import?.ty {
                            TypeRef::Func(ty) => Sort::Func(wrapper.type_at(ty)?),
                            TypeRef::Memory(ty) => Sort::Memory(ty),
                            TypeRef::Global(ty) => Sort::Global(ty),
                            _ => return Err(broken!("a wrapper imports what no wrapper needs")),
                        };
                        wrapper.imports.push(self.import(name, need, item, sort));
                    }
                }
                Payload::FunctionSection(section) => {
                    for ty in section {
                        let ty = wrapper.type_at(ty?)?;
                        wrapper.funcs.push(ty);
                    }
                }
                Payload::GlobalSection(section) => {
                    wrapper.globals = section.into_iter().collect::<Result<_, _>>()?;
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        if export.name != CALL || export.kind != ExternalKind::Func {
                            return Err(broken!("a wrapper exports `{}`", export.name));
                        }
                        wrapper.call = Some(export.index);
                    }
                }
                Payload::CodeSectionEntry(body) => wrapper.bodies.push(body),
                Payload::CustomSection(section) => {
                    if let KnownCustom::Name(names) = section.as_known() {
                        for name in names {
                            if let Name::Module { name, .. } = name? {
                                wrapper.name = name;
                            }
                        }
                    }
                }
                Payload::Version { .. } | Payload::CodeSectionStart { .. } | Payload::End(_) => {}
                _ => return Err(broken!("a wrapper has a section that no wrapper has")),
            }
        }
        if wrapper.imports.len() != module.needs.len() || items.len() != module.needs.len() {
            return Err(broken!("a wrapper is not given what it needs"));
        }
        self.wrappers.push(wrapper);
        Ok(())
    }

    fn import(&mut self, name: &'static str, need: Need, item: Item, sort: Sort) -> usize {
        let Self { imports, known, names, guest_memories, .. } = self;
        *known.entry((need, item.1, sort)).or_insert_with(|| {
            let count = names.entry(name).or_default();
            // No wrapper has a name with this sign.
            let field = if *count == 0 { name.to_owned() } else { format!("{name}#{count}") };
            *count += 1;
            *guest_memories += usize::from(need == Need::GuestMemory);
            imports.push((Import { field, name, need, item }, sort));
            imports.len() - 1
        })
    }

    /// The module.
    pub(crate) fn finish(self) -> Result<Bundle, RewriteError> {
        let mut sections = Sections::default();
        let mut counts = Counts::default();
        // Each import's index among those of its sort.
        let mut places = Vec::with_capacity(self.imports.len());
        for (import, sort) in &self.imports {
            places.push(counts.count(sort));
            let ty = match *sort {
                Sort::Func(ty) => EntityType::Function(ty),
                Sort::Memory(ty) => RoundtripReencoder.memory_type(ty).map_err(unwritten)?.into(),
                Sort::Global(ty) => RoundtripReencoder.global_type(ty).map_err(unwritten)?.into(),
            };
            sections.imports.import("", &import.field, ty);
        }
        for (number, wrapper) in self.wrappers.iter().enumerate() {
            sections.wrapper(number, wrapper, &self.imports, &places, &mut counts)?;
        }
        let mut module = wasm_encoder::Module::new();
        module.section(&self.types.section).section(&sections.imports).section(&sections.functions);
        if !sections.globals.is_empty() {
            module.section(&sections.globals);
        }
        module.section(&sections.exports).section(&sections.codes);
        let mut names = NameSection::new();
        names.module("mappable-wrappers");
        names.functions(&sections.names);
        module.section(&names);
        Ok(Bundle {
            bytes: module.finish().into(),
            imports: self.imports.into_iter().map(|(import, _)| import).collect(),
            wrappers: self.wrappers.into_iter().map(|wrapper| wrapper.imports).collect(),
        })
    }
}

impl Types {
    fn index(&mut self, ty: FuncType) -> Result<u32, RewriteError> {
        if let Some(index) = self.known.get(&ty) {
            return Ok(*index);
        }
        let index = self.section.len();
        self.section.ty().func_type(&RoundtripReencoder.func_type(ty.clone()).map_err(unwritten)?);
        self.known.insert(ty, index);
        Ok(index)
    }
}

impl Wrapper<'_> {
    fn type_at(&self, index: u32) -> Result<u32, RewriteError> {
        self.types.get(index as usize).copied().ok_or_else(|| broken!("a wrapper has no type {index}"))
    }
}

/// How many functions, memories and globals there are.
#[derive(Default)]
struct Counts {
    funcs: u32,
    memories: u32,
    globals: u32,
}

impl Counts {
    /// Counts an import. Gives its index.
    fn count(&mut self, sort: &Sort) -> u32 {
        let count = match sort {
            Sort::Func(_) => &mut self.funcs,
            Sort::Memory(_) => &mut self.memories,
            Sort::Global(_) => &mut self.globals,
        };
        *count += 1;
        *count - 1
    }
}

#[derive(Default)]
struct Sections {
    imports: ImportSection,
    functions: FunctionSection,
    globals: GlobalSection,
    exports: ExportSection,
    codes: CodeSection,
    /// What functions are called in backtraces: as their own module would be.
    names: NameMap,
}

impl Sections {
    fn wrapper(
        &mut self,
        number: usize,
        wrapper: &Wrapper<'_>,
        imports: &[(Import, Sort)],
        places: &[u32],
        counts: &mut Counts,
    ) -> Result<(), RewriteError> {
        let mut indices = Indices { types: &wrapper.types, ..Indices::default() };
        for &import in &wrapper.imports {
            let (Some((_, sort)), Some(&place)) = (imports.get(import), places.get(import)) else {
                return Err(broken!("a wrapper's import was not written"));
            };
            match sort {
                Sort::Func(_) => indices.funcs.push(place),
                Sort::Memory(_) => indices.memories.push(place),
                Sort::Global(_) => indices.globals.push(place),
            }
        }
        for &ty in &wrapper.funcs {
            self.functions.function(ty);
            self.names.append(counts.funcs, wrapper.name);
            indices.funcs.push(counts.funcs);
            counts.funcs += 1;
        }
        for global in &wrapper.globals {
            indices.globals.push(counts.globals);
            counts.globals += 1;
            reencode::utils::parse_global(&mut indices, &mut self.globals, global.clone()).map_err(unwritten)?;
        }
        let call = wrapper.call.and_then(|call| indices.funcs.get(call as usize).copied());
        let call = call.ok_or_else(|| broken!("a wrapper has no function to call"))?;
        self.exports.export(&number.to_string(), ExportKind::Func, call);
        for body in &wrapper.bodies {
            indices.parse_function_body(&mut self.codes, body.clone()).map_err(unwritten)?;
        }
        Ok(())
    }
}

/// What a wrapper's own indices are in the bundle.
#[derive(Default)]
struct Indices<'w> {
    types: &'w [u32],
    funcs: Vec<u32>,
    memories: Vec<u32>,
    globals: Vec<u32>,
}

type Error = reencode::Error<Infallible>;

/// What no index is becomes one that the validator refuses.
fn at(indices: &[u32], old: u32) -> Result<u32, Error> {
    Ok(indices.get(old as usize).copied().unwrap_or(u32::MAX))
}

impl Reencode for Indices<'_> {
    type Error = Infallible;

    fn type_index(&mut self, old: u32) -> Result<u32, Error> {
        at(self.types, old)
    }

    fn function_index(&mut self, old: u32) -> Result<u32, Error> {
        at(&self.funcs, old)
    }

    fn memory_index(&mut self, old: u32) -> Result<u32, Error> {
        at(&self.memories, old)
    }

    fn global_index(&mut self, old: u32) -> Result<u32, Error> {
        at(&self.globals, old)
    }
}

fn unwritten(error: Error) -> RewriteError {
    broken!("a wrapper can't be written again: {error}")
}
