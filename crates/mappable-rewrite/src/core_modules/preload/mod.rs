//! Puts *preloads* in front of loops, so that the base of their memory is loaded once and not each time around.
//!
//! Compiled code loads the base of a memory that may move for each access, unless an earlier access dominates it with no call
//! in between. A loop whose first access is inside it has no such access, and loads the base each time around. A preload is
//! that earlier access: it loads a byte in front of the loop and drops it. The compiler then holds the base in a register
//! while the loop runs, as it does for a memory that never moves. The next call ends that, as it does for any other access.
//!
//! ```text
//!   i32.const 1048576        an address that data was put at, or 0
//!   i32.load8_u              of the memory that the loop accesses
//!   drop
//!   loop ...
//! ```
//!
//! A guest can tell a preload only by the fuel that it burns: three units each time that it runs. A preload never traps, for
//! only memories with at least one page get any. It is put between other bytes of a body, so neither depths nor indices
//! change. Offsets do change, so a module that names offsets, for debuggers or compilers, stays as it is
//! ([`names_offsets`]).
//!
//! ```text
//!   facts, bounded memories ──► Preloads    in which modules, on which memories
//!                               ├ walk      in front of which loops of a function; `step` is one operator
//!                               └ splice    writes the code section with them
//! ```
//!
//! Which memories may move is [`bound`](super::bound)'s to say; [`patch`](super::patch) writes modules.

mod splice;
mod step;
mod walk;

use std::collections::BTreeMap;

use wasmparser::{BinaryReader, CodeSectionReader, DataKind, DataSectionReader, Operator};

use crate::core_modules::bound::{Bounded, ModuleId, is_ordinary, may_move};
use crate::error::RewriteError;
use crate::tree::binary::{FEATURES, get, sections};
use crate::tree::read::{Facts, ModuleMemories};
use crate::tree::types::{MemoryType, ModuleReport};

pub(crate) use splice::splice;

/// A preload in front of one loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Preload {
    /// Where the loop begins in the content of the code section.
    pub(crate) before: usize,
    /// The memory that is loaded from.
    pub(crate) memory: u32,
}

/// The preloads of a module.
#[derive(Debug)]
pub(crate) struct ModulePreloads {
    /// In the order in which they come.
    pub(crate) preloads: Vec<Preload>,
    /// Where in each memory a byte is loaded: an address that exists from the beginning.
    pub(crate) addresses: BTreeMap<u32, u32>,
}

/// The preloads of a tree, by module.
#[derive(Debug, Default)]
pub(crate) struct Preloads(BTreeMap<ModuleId, ModulePreloads>);

impl Preloads {
    /// All that are worth it, on memories that are not bounded.
    pub(crate) fn new(facts: &Facts<'_>, bounded: &Bounded) -> Result<Self, RewriteError> {
        let mut preloads = BTreeMap::new();
        for (number, component) in facts.components.iter().enumerate() {
            let modules = component.modules.iter().zip(&component.module_memories).zip(&component.module_bytes);
            for (place, ((module, memories), bytes)) in modules.enumerate() {
                let bounded = bounded.of((number, place));
                let types = movable(module, memories);
                let types =
                    types.filter(|(index, _)| !bounded.is_some_and(|bounded| bounded.contains(index))).collect();
                if let Some(found) = of_module(bytes, &types)? {
                    preloads.insert((number, place), found);
                }
            }
        }
        Ok(Self(preloads))
    }

    /// Those of a module, if there are any.
    pub(crate) fn of(&self, module: ModuleId) -> Option<&ModulePreloads> {
        self.0.get(&module)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The memories of a module that may move and from which a byte can always be loaded, with their types.
fn movable<'f>(
    module: &'f ModuleReport,
    memories: &'f ModuleMemories<'_>,
) -> impl Iterator<Item = (u32, MemoryType)> + 'f {
    let imported = memories.imports.iter().map(|(_, _, ty)| ty);
    let all = (0..).zip(imported.chain(&module.memories).copied());
    all.filter(|(_, ty)| may_move(ty) && is_ordinary(ty) && ty.minimum > 0)
}

/// The preloads of a core module that is no component's: any memory of it that may move is taken for one that is mapped into.
pub(crate) fn of_lone_module(
    bytes: &[u8],
    module: &ModuleReport,
    memories: &ModuleMemories<'_>,
) -> Result<Option<ModulePreloads>, RewriteError> {
    of_module(bytes, &movable(module, memories).collect())
}

/// The preloads of a core module, on these of its memories. None if there are none.
fn of_module(bytes: &[u8], memories: &BTreeMap<u32, MemoryType>) -> Result<Option<ModulePreloads>, RewriteError> {
    if memories.is_empty() {
        return Ok(None);
    }
    let (mut preloads, mut addresses) = (vec![], memories.keys().map(|index| (*index, 0)).collect());
    let sections = sections(bytes)?;
    for section in &sections {
        let mut reader = BinaryReader::new_features(get(bytes, &section.content)?, 0, FEATURES);
        match section.id {
            0 if names_offsets(reader.read_string()?) => return Ok(None),
            10 => preloads = in_code(reader, memories)?,
            11 if !preloads.is_empty() => find_data(reader, memories, &mut addresses)?,
            _ => {}
        }
    }
    Ok(Some(ModulePreloads { preloads, addresses }).filter(|found| !found.preloads.is_empty()))
}

/// Whether a custom section of that name speaks of places in the code by their offsets.
fn names_offsets(section: &str) -> bool {
    let beginnings = [".debug_", "metadata.code.", "reloc."];
    let names = ["external_debug_info", "sourceMappingURL"];
    beginnings.iter().any(|beginning| section.starts_with(beginning)) || names.contains(&section)
}

/// The preloads of a code section.
fn in_code(reader: BinaryReader<'_>, memories: &BTreeMap<u32, MemoryType>) -> Result<Vec<Preload>, RewriteError> {
    let mut walk = walk::Walk::new(memories.keys().copied().collect());
    for body in CodeSectionReader::new(reader)? {
        walk.function(&body?)?;
    }
    Ok(walk.into_preloads())
}

/// Finds an address of each memory where there is data from the beginning: its page is there already, where that of 0, in most
/// guests the end of a stack, would be touched for the preloads alone.
fn find_data(
    reader: BinaryReader<'_>,
    memories: &BTreeMap<u32, MemoryType>,
    addresses: &mut BTreeMap<u32, u32>,
) -> Result<(), RewriteError> {
    let mut missing = memories.clone();
    for data in DataSectionReader::new(reader)? {
        let data = data?;
        let DataKind::Active { memory_index, offset_expr } = data.kind else { continue };
        let Some(ty) = missing.get(&memory_index).filter(|_| !data.data.is_empty()) else { continue };
        let Ok(Operator::I32Const { value }) = offset_expr.get_operators_reader().read() else { continue };
        let address = value.cast_unsigned();
        // What a longer expression begins with may be another address, which does no harm: it is in the memory too.
        if u64::from(address) < ty.minimum << 16 {
            addresses.insert(memory_index, address);
            missing.remove(&memory_index);
        }
    }
    Ok(())
}
