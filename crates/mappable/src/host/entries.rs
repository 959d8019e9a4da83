//! The table of a store: what stands behind each handle's representation, and what the store is charged for it.
//!
//! A representation is an index into it. It stays the same while a region is mapped and unmapped, so that a warm map or
//! unmap changes one field, and neither allocates nor frees. Whether a region may be mapped is left to `mapping`, whether
//! it may be made or cut to `values`.

use std::sync::Arc;

use slab::Slab;

use super::addresses::MemoryId;
use crate::ledger::Kind;
use crate::region::{Account, Charged, Held, Limits};
use crate::sys::Budget;
use crate::view::Mount;

/// What stands behind one representation.
pub(super) struct Entry {
    pub(super) held: Charged,
    /// Where it is shown. A `mapping` (or `frozen-mapping`) handle stands for an entry that has this, a `mappable` (or
    /// `frozen`) handle for one that has not, and there is one handle for each entry.
    /// The ledger may know better of a handle that is `given`.
    pub(super) mapped: Option<(MemoryId, Mount)>,
    /// Whether its handle is in a table of the ledger.
    pub(super) given: bool,
}

impl Entry {
    /// What a handle for it is.
    pub(super) fn kind(&self) -> Kind {
        match (self.held.is_frozen(), self.mapped.is_some()) {
            (false, false) => Kind::Mappable,
            (false, true) => Kind::Mapping,
            (true, false) => Kind::Frozen,
            (true, true) => Kind::FrozenMapping,
        }
    }
}

/// The entries of one store, by representation.
#[derive(Default)]
pub(super) struct Entries {
    slab: Slab<Entry>,
    /// What is held, here or where it still is shown: what limits are about.
    account: Account,
}

impl Entries {
    #[inline]
    pub(super) fn get(&self, rep: u32) -> Option<&Entry> {
        self.slab.get(rep as usize)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, rep: u32) -> Option<&mut Entry> {
        self.slab.get_mut(rep as usize)
    }

    /// Charges the store for a region, and makes an entry for it that is not mapped. Returns its representation.
    pub(super) fn add(&mut self, held: Held) -> u32 {
        let held = self.account.charge(held);
        // Far fewer than 2^32: each takes more than a byte of the host's memory.
        self.slab.insert(Entry { held, mapped: None, given: false }) as u32
    }

    pub(super) fn remove(&mut self, rep: u32) -> Option<Entry> {
        self.slab.try_remove(rep as usize)
    }

    /// Removes all entries.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Entry> {
        self.slab.drain()
    }

    /// The representations of entries whose handles are in a table of the ledger.
    pub(super) fn given(&self) -> Vec<u32> {
        self.slab.iter().filter(|(_, entry)| entry.given).map(|(rep, _)| rep as u32).collect()
    }

    /// The representation that the next entry gets.
    pub(super) fn next_rep(&self) -> usize {
        self.slab.vacant_key()
    }

    /// How many regions and references are charged, and for how many bytes together.
    pub(super) fn charged(&self) -> (usize, u64) {
        self.account.charged()
    }

    /// Sets what may be charged.
    pub(super) fn set_limits(&self, limits: &Limits) {
        self.account.set_limits(limits);
    }

    /// What is charged for bytes that are written to private mappings.
    pub(super) fn budget(&self) -> &Arc<Budget> {
        self.account.budget()
    }

    /// Whether the limits have room for one region more, of `bytes` that are not charged yet.
    pub(super) fn has_room(&self, bytes: u64, limits: &Limits) -> bool {
        self.account.has_room(bytes, limits)
    }

    /// Whether the limits have room for so many bytes more.
    pub(super) fn has_room_for_bytes(&self, bytes: u64) -> bool {
        self.account.budget().has_room(bytes)
    }

    /// Whether the limits have room for this one more.
    pub(super) fn has_room_for(&self, held: &Held, limits: &Limits) -> bool {
        self.account.has_room_for(held, limits)
    }
}
