//! Bounds the memories that nothing is ever mapped into: with a maximum, the engine takes their base for a constant.
//!
//! A memory that may outgrow its reservation may move, so compiled code loads its base again and again. Mapping needs that,
//! and every other memory would pay for it. So each memory that no lower of a swapping function can name gets the largest
//! maximum that keeps its base in place, [`BOUNDED_PAGES`]. An import that is always given such a memory gets the same. A
//! guest can tell only that its memory can't have the last page of its address space.
//!
//! ```text
//!   facts ── trace    which memories marked lowers may name, and which imports are given others
//! ```
//!
//! [`patch`](super::patch) writes the maxima, in both tiers before anything else is made of the component: generated modules
//! have memories of their own, which may move. A mistake here would be sound. The host decides by a memory's type how to map,
//! and remaps into one that has a maximum.

mod trace;

use std::collections::{BTreeMap, BTreeSet};

use crate::error::RewriteError;
use crate::tree::read::Facts;
use crate::tree::types::MemoryType;

/// The maximum of bounded memories, in pages. The host must reserve exactly this much for a memory.
pub const BOUNDED_PAGES: u64 = 65_535;

/// A core module: the component that defines it, and which of its modules it is, both by their places in the facts.
pub(crate) type ModuleId = (usize, usize);

/// The memories to bound: for each module, their indices in it.
#[derive(Debug, Default)]
pub(crate) struct Bounded(BTreeMap<ModuleId, BTreeSet<u32>>);

impl Bounded {
    /// Finds all that can be bounded.
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

    /// The memories of a module to bound.
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
