//! Gives memories that nothing is ever mapped into a maximum, so that the engine takes their base for a constant.
//!
//! The engine lets the base of a memory move that may outgrow what is reserved for it, and compiled code then loads the
//! base again and again. That is what mapping needs, and what every other memory would pay for. So a memory of a core
//! module that can't be named by a lower of a swapping function gets the largest maximum that keeps its base where it
//! is, [`BOUNDED_PAGES`]; and so do imports that are always given such a memory. All that a guest can tell is that its memory
//! can't have the very last page of its address space.
//!
//! ```text
//!   facts ── trace    which memories marked lowers may name, and which imports are given others
//! ```
//!
//! [`crate::core_modules::patch`] writes them.
//!
//! Done before anything else is made of the component, in both tiers: what is generated has memories of its own, which may
//! move. Should it be wrong about a memory, that one would be mapped into as any memory with a maximum: the host decides by
//! the memory's type, and remaps.

mod trace;

use std::collections::{BTreeMap, BTreeSet};

use crate::error::RewriteError;
use crate::tree::read::Facts;
use crate::tree::types::MemoryType;

/// The maximum, in pages, that a memory gets which nothing is mapped into. The host has to reserve as much for a memory, and
/// no more.
pub const BOUNDED_PAGES: u64 = 65_535;

/// A core module: the component that defines it, and which of its modules it is, both by their places in the facts.
pub(crate) type ModuleId = (usize, usize);

/// The memories that get a maximum: of each module, by their indices there.
#[derive(Debug, Default)]
pub(crate) struct Bounded(BTreeMap<ModuleId, BTreeSet<u32>>);

impl Bounded {
    /// All that can be bounded.
    pub(crate) fn new(facts: &Facts<'_>) -> Result<Self, RewriteError> {
        let mut bounded = Self::default();
        for (module, memory) in trace::unnamed(facts)? {
            bounded.0.entry(module).or_default().insert(memory);
        }
        for (module, memory) in trace::bounded_imports(facts, &bounded)? {
            bounded.0.entry(module).or_default().insert(memory);
        }
        Ok(bounded)
    }

    /// Those of a module.
    pub(crate) fn of(&self, module: ModuleId) -> Option<&BTreeSet<u32>> {
        self.0.get(&module)
    }

    fn has(&self, module: ModuleId, memory: u32) -> bool {
        self.of(module).is_some_and(|memories| memories.contains(&memory))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether the base of a memory of this type may move.
pub(crate) fn may_move(ty: &MemoryType) -> bool {
    ty.maximum.is_none_or(|maximum| maximum > BOUNDED_PAGES && maximum != ty.minimum)
}

/// Whether a maximum of [`BOUNDED_PAGES`] would be one for a memory of this type, and make a difference.
fn can_be_bounded(ty: &MemoryType) -> bool {
    may_move(ty) && ty.minimum <= BOUNDED_PAGES && is_ordinary(ty)
}

/// Whether it has 32-bit addresses and ordinary pages, and one thread.
pub(crate) fn is_ordinary(ty: &MemoryType) -> bool {
    !ty.memory64 && !ty.shared && ty.page_size_log2.is_none()
}
