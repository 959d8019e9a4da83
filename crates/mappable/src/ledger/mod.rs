//! The ledger of a store: one memory that all trusted modules of its closed compositions share with the host. Where is
//! what in it is [`layout`]; this is the host's view of it, as values.
//!
//! ```text
//!   Ledger          the words of one store's ledger, part by part: header, flight, regions, tables, memories
//!    ├ Words        its bytes, and access to one word of them
//!    │  └ IdleLedgers   bytes of ledgers that are gone, for those that come
//!   Tables          which component instances have a handle table, and where it lies
//!    └ Chunks       which parts of the ledger handle tables take: arithmetic alone
//! ```
//!
//! Trusted modules write to it between the host's calls. So nothing that is read here is believed: numbers are checked
//! against what the host knows, and a contradiction is our bug, never a guest's gain.

mod chunks;
mod flight;
mod idle;
mod records;
mod tables;
mod words;

use std::io;
use std::sync::Arc;

pub(crate) use flight::{Item, kind};
pub(crate) use idle::IdleLedgers;
pub(crate) use mappable_rewrite::internals::{Kind, interface, layout};
pub(crate) use records::{MemoryNumber, Region};
pub(crate) use tables::Tables;
use words::Words;

use crate::region::Backing;

/// The ledger of one store.
#[derive(Debug)]
pub(crate) struct Ledger {
    words: Words,
}

impl Ledger {
    /// One that reads as zero, as large as there is use for. In the end it goes to `idle`.
    pub(crate) fn new(backing: &Arc<Backing>, idle: &Arc<IdleLedgers>) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self { words: Words::new(backing, idle)? }))
    }

    /// One that is no store's, in blocks.
    #[cfg(test)]
    fn for_tests() -> Arc<Self> {
        Self::new(&Backing::in_blocks(), &IdleLedgers::new(0)).unwrap()
    }

    /// Where it is, for as long as it lives.
    pub(crate) fn base(&self) -> *mut u8 {
        self.words.base()
    }

    /// In bytes.
    pub(crate) fn len(&self) -> usize {
        self.words.len()
    }

    /// How many regions are mapped in the store.
    pub(crate) fn mapped(&self) -> usize {
        self.words.get(layout::MAPPED) as usize
    }

    pub(crate) fn set_mapped(&self, mapped: usize) {
        self.words.set(layout::MAPPED, saturated(mapped));
    }

    /// Up to how many mapped regions one more is mapped without the host.
    pub(crate) fn set_max_mappings(&self, max: usize) {
        self.words.set(layout::MAX_MAPPINGS, saturated(max));
    }

    /// How many granules of frozen regions are mapped in the store.
    pub(crate) fn frozen_mapped(&self) -> u32 {
        self.words.get(layout::FROZEN_MAPPED)
    }

    pub(crate) fn set_frozen_mapped(&self, granules: u64) {
        self.words.set(layout::FROZEN_MAPPED, u32::try_from(granules).unwrap_or(u32::MAX));
    }

    /// Up to how many granules of frozen regions are mapped without the host.
    pub(crate) fn set_max_frozen_mapped(&self, granules: u64) {
        self.words.set(layout::MAX_FROZEN_MAPPED, u32::try_from(granules).unwrap_or(u32::MAX));
    }

    /// The kind of the handle that is dropped for its region to be the ledger's, if one is. Says so once.
    pub(crate) fn take_entering(&self) -> Option<Kind> {
        let kind = kind(self.words.get(layout::ENTER))?;
        self.words.set(layout::ENTER, 0);
        Some(kind)
    }

    /// Says that a handle is dropped for its region to be the ledger's, as trusted modules do.
    #[cfg(test)]
    pub(crate) fn set_entering(&self, kind: Kind) {
        self.words.set(layout::ENTER, kind as u32);
    }

    /// Tells the trusted module that drops a handle the number of the region.
    pub(crate) fn set_entered(&self, region: u32) {
        self.words.set(layout::ENTER, layout::ENTERED | region);
    }

    /// Frees what lists that were returned have taken.
    pub(crate) fn free_bounce(&self) -> io::Result<()> {
        self.words.clear_from(layout::BOUNCE)
    }
}

fn saturated(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
