//! The host's side of a store's ledger: which component instances have joined it, and how handles move between their trusted
//! modules and the context.
//!
//! While a region is in a guest's handle table, trusted modules map and unmap it without the context, and write down in the
//! ledger's record where it is mapped. So the context writes the record when it *gives* an entry, and reads it before it
//! takes the entry back or drops it ([`MappableCtx::sync`]).

mod failure;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::addresses::MemoryId;
use super::context::MappableCtx;
use super::entries::Entry;
use super::error::{TrapReason, bug, misplaced};
use super::operand::List;
use crate::GRANULE;
use crate::ledger::{self, Item, Kind, Ledger, MemoryNumber, Tables, layout};
use crate::region::{FileId, Held, Source};
use crate::view::{Directory, Mount, Placement};

/// A store's ledger, and what only the host knows of it.
pub(super) struct StoreLedger {
    pub(super) ledger: Arc<Ledger>,
    tables: Tables,
    directory: Arc<Directory>,
    files: Files,
}

/// The numbers by which trusted modules tell files of others apart. A file keeps its number: another never has its identity.
#[derive(Default)]
struct Files(BTreeMap<FileId, u32>);

impl Files {
    /// `None` if there are too many.
    fn number(&mut self, file: FileId) -> Option<u32> {
        if file == FileId::OWN {
            return Some(0);
        }
        let next = u32::try_from(self.0.len() + 1).ok().filter(|next| *next < layout::MAX_FILES);
        self.0.get(&file).copied().or_else(|| Some(*self.0.entry(file).or_insert(next?)))
    }

    /// What trusted modules tell the bytes of a region by, if it can be mapped without the host.
    fn source(&mut self, held: &Held) -> Option<(u32, u32)> {
        let (is_block, frozen) = match held {
            Held::Mappable(region) => (region.extent().block().is_some(), 0),
            Held::Frozen(region) => (region.block().is_some(), layout::FROZEN),
        };
        if is_block {
            return None;
        }
        let Source { file, range } = held.source();
        let start = u32::try_from(range.start() / GRANULE).ok().filter(|start| *start != layout::NO_SOURCE)?;
        let granules = u32::try_from(range.len() / GRANULE).ok().filter(|granules| *granules <= layout::GRANULES)?;
        Some((start, granules | self.number(file)? << layout::FILE_SHIFT | frozen))
    }

    /// What trusted modules are told of a region.
    fn record(&mut self, entry: &Entry) -> ledger::Region {
        // What is mapped privately is shown by one view alone, which is never offered: the host unmaps it.
        let is_private = entry.mapped.is_some_and(|(_, mount)| mount.is_private());
        let source = if is_private { None } else { self.source(&entry.held) };
        let Some((memory, mount)) = entry.mapped else { return ledger::Region { source, mapped: None } };
        let place = MemoryNumber::of_index(memory).map(MemoryNumber::record).zip(u32::try_from(mount.offset()).ok());
        // Where it can't be written down, the host alone knows.
        ledger::Region { source: source.filter(|_| place.is_some()), mapped: place }
    }
}

/// A handle that a function takes: its kind, and whether it is borrowed.
pub(super) type Operand = (Kind, bool);

impl MappableCtx {
    /// Makes the memory that a list lies in the ledger, and a handle table for the component instance of that name.
    pub(super) fn join_ledger(&mut self, memory: List, name: &[u8]) -> Result<u32, TrapReason> {
        let fresh = self.memories.fresh(memory.address).ok_or_else(|| bug("no fresh memory for the ledger"))?;
        let store = match &mut self.store_ledger {
            Some(store) => store,
            none => {
                let ledger = Ledger::new(&self.backing, self.memories.idle_ledgers()).map_err(TrapReason::NoLedger)?;
                self.memories.count_in(&ledger);
                none.insert(StoreLedger {
                    ledger,
                    tables: Tables::default(),
                    directory: Arc::default(),
                    files: Files::default(),
                })
            }
        };
        if !fresh.join(&store.ledger) {
            return Err(bug("no fresh memory for the ledger"));
        }
        store.tables.join(&store.ledger, name).ok_or(TrapReason::TooManyInstances)
    }

    /// Doubles a handle table's room.
    pub(super) fn more_handles(&mut self, table: u32) -> Result<(), TrapReason> {
        let store = self.store_ledger.as_mut().ok_or(TrapReason::AnotherContext)?;
        if !store.tables.has(table) {
            return Err(bug("no such handle table"));
        }
        let doubled = store.tables.double(&store.ledger, table);
        doubled.ok_or_else(|| TrapReason::HandlesExhausted { instance: store.tables.instance(table) })
    }

    /// The memory number of the memory that a list lies in, or 0 if it is none of the runtime's.
    pub(super) fn memory_number(&mut self, memory: List) -> Result<u32, TrapReason> {
        let Some(location) = self.memories.find_or_adopt(memory.address)? else { return Ok(0) };
        self.drive(location.memory).map(MemoryNumber::get).ok_or(TrapReason::TooManyInstances)
    }

    /// Hands the memory that a list lies in over to the ledger, if it can be mapped into.
    pub(super) fn drive_at(&mut self, memory: List) -> Result<(), TrapReason> {
        if memory.len > 0
            && let Some(location) = self.memories.locate(memory.address)?
        {
            self.drive(location.memory);
        }
        Ok(())
    }

    fn drive(&mut self, memory: MemoryId) -> Option<MemoryNumber> {
        let store = self.store_ledger.as_ref()?;
        self.memories.drive(memory, &store.ledger, &store.directory)
    }

    /// Makes the memory that a list lies in the window of a component instance.
    pub(super) fn show_window(&mut self, table: u32, memory: List) -> Result<(), TrapReason> {
        let store = self.store_ledger.as_ref().ok_or(TrapReason::AnotherContext)?;
        let fresh = self.memories.fresh(memory.address);
        let shown = store.tables.has(table)
            && fresh.is_some_and(|fresh| fresh.become_window(&store.ledger, &store.directory, table));
        if shown { Ok(()) } else { Err(bug("no fresh memory for a window")) }
    }

    /// Frees what lists that were returned have taken.
    pub(super) fn free_bounce(&mut self) -> Result<(), TrapReason> {
        let store = self.store_ledger.as_ref().ok_or(TrapReason::AnotherContext)?;
        if let Err(error) = store.ledger.free_bounce() {
            tracing::debug!(%error, "what a returned list took was not freed");
        }
        Ok(())
    }

    /// Takes out of flight the handles that a function takes. What they stand for is as the ledger says from here on.
    pub(super) fn claim<const N: usize>(&mut self, operands: [Operand; N]) -> Result<[u32; N], TrapReason> {
        let store = self.store_ledger.as_ref().ok_or(TrapReason::AnotherContext)?;
        let items = store.ledger.receive::<N>().map_err(|error| {
            tracing::error!(?error, "a flight was not received");
            bug("another flight than a function of the host takes")
        })?;
        for (item, (kind, borrowed)) in items.iter().zip(operands) {
            if (item.kind, item.borrowed) != (kind, borrowed) {
                return Err(bug("a handle of another kind than a function of the host takes"));
            }
            self.sync(item.region)?;
            let entry = self.entries.get_mut(item.region).filter(|entry| entry.given && entry.kind() == kind);
            let entry = entry.ok_or_else(|| misplaced(item.region, "what its handle is"))?;
            entry.given = borrowed;
        }
        Ok(items.map(|item| item.region))
    }

    /// Puts in flight the handles that a function gives, in the order of its type.
    pub(super) fn give<const N: usize>(&mut self, reps: [u32; N]) -> Result<(), TrapReason> {
        let store = self.store_ledger.as_mut().ok_or(TrapReason::AnotherContext)?;
        let mut items = [Item { region: 0, kind: Kind::Mappable, borrowed: false }; N];
        for (rep, item) in reps.into_iter().zip(&mut items) {
            let entry = self.entries.get_mut(rep).filter(|_| Ledger::has_region(rep as usize));
            let entry = entry.ok_or_else(|| misplaced(rep, "in the ledger"))?;
            entry.given = true;
            store.ledger.set_region(rep, &store.files.record(entry));
            *item = Item { region: rep, kind: entry.kind(), borrowed: false };
        }
        store.ledger.send(&items);
        Ok(())
    }

    /// The engine dropped a handle: what it stood for is freed, or made the ledger's where that says so.
    ///
    /// After a trap for a handle that the engine refused to drop, the ledger still says so. It is heard once.
    pub(super) fn drop_of_engine(&mut self, rep: u32) -> Result<(), TrapReason> {
        let entering = self.store_ledger.as_ref().and_then(|store| store.ledger.take_entering());
        match entering {
            Some(kind) => self.enter(rep, kind),
            None => {
                self.drop_handle(rep);
                Ok(())
            }
        }
    }

    /// The region of a handle that the engine had is the ledger's from now on.
    fn enter(&mut self, rep: u32, kind: Kind) -> Result<(), TrapReason> {
        let store = self.store_ledger.as_mut().ok_or(TrapReason::AnotherContext)?;
        let Some(entry) = self.entries.get_mut(rep).filter(|entry| !entry.given && entry.kind() == kind) else {
            return Err(TrapReason::NotGiven { rep, kind: failure::name(Some(kind)) });
        };
        if !Ledger::has_region(rep as usize) {
            return Err(TrapReason::TooManyRegions);
        }
        entry.given = true;
        store.ledger.set_region(rep, &store.files.record(entry));
        // How long the placement of a mapping is, the host alone knows: its first unmap is the host's.
        store.ledger.set_placement(rep, 0);
        store.ledger.set_entered(rep);
        Ok(())
    }

    /// The region of a handle that the ledger had is the engine's from now on.
    pub(super) fn leave(&mut self, rep: u32, kind: Kind) -> Result<(), TrapReason> {
        self.sync(rep)?;
        let entry = self.entries.get_mut(rep).filter(|entry| entry.given && entry.kind() == kind);
        entry.ok_or_else(|| misplaced(rep, "what its handle is"))?.given = false;
        Ok(())
    }

    /// Notes how long the placement is that a region was mapped at.
    pub(super) fn note_placement(&self, rep: u32, at: List) {
        if let Some(store) = &self.store_ledger {
            store.ledger.set_placement(rep, u32::try_from(at.len).unwrap_or(0));
        }
    }

    /// A handle of a guest's was dropped.
    pub(super) fn drop_region(&mut self, rep: u32, kind: u32) -> Result<(), TrapReason> {
        self.sync(rep)?;
        let known = self.entries.get(rep).is_some_and(|entry| entry.given && entry.kind() as u32 == kind);
        if !known {
            return Err(misplaced(rep, "what its handle is"));
        }
        self.drop_handle(rep);
        Ok(())
    }

    /// Takes in where an entry is mapped, if a guest has its handle.
    pub(super) fn sync(&mut self, rep: u32) -> Result<(), TrapReason> {
        let Some(entry) = self.entries.get_mut(rep).filter(|entry| entry.given) else { return Ok(()) };
        let Some(store) = &mut self.store_ledger else { return Ok(()) };
        let Some(known) = store.ledger.region(rep).filter(|known| known.source.is_some()) else { return Ok(()) };
        if known.source != store.files.source(&entry.held) {
            return Err(misplaced(rep, "where the ledger says"));
        }
        entry.mapped = match known.mapped {
            None => None,
            Some((record, offset)) => {
                let memory = MemoryNumber::of_record(record).map(MemoryNumber::index);
                let (offset, size) = (u64::from(offset), entry.held.size());
                let mount = Placement::new(offset, size, size).map(|at| Mount::new(at, &entry.held)).ok();
                let found = memory.zip(mount).filter(|(memory, mount)| self.memories.shows(*memory, mount));
                Some(found.ok_or_else(|| misplaced(rep, "where the ledger says"))?)
            }
        };
        Ok(())
    }

    /// Whether an entry is mapped, as the ledger says if a guest has its handle.
    pub(super) fn is_mapped_now(&self, rep: u32, entry: &Entry) -> bool {
        let known = self.store_ledger.as_ref().filter(|_| entry.given).and_then(|store| store.ledger.region(rep));
        known.filter(|known| known.source.is_some()).map_or(entry.mapped.is_some(), |known| known.mapped.is_some())
    }

    /// Whether one more region can have a number that the ledger has a record for, if there is one.
    pub(super) fn has_number(&self) -> bool {
        self.store_ledger.is_none() || Ledger::has_region(self.entries.next_rep())
    }

    /// Forgets what the ledger says about a region that is no guest's any more.
    pub(super) fn forget_record(&self, rep: u32) {
        if let Some(store) = &self.store_ledger {
            store.ledger.set_region(rep, &ledger::Region { source: None, mapped: None });
        }
    }

    /// Why a trusted module has its caller trap.
    pub(super) fn failure(&self, table: u32, code: u32, first: u32, second: u32) -> TrapReason {
        let Some(store) = &self.store_ledger else { return TrapReason::AnotherContext };
        let found = || store.tables.kind_of(&store.ledger, table, first);
        failure::reason(store.tables.instance(table), code, first, second, found)
    }
}

#[cfg(test)]
mod tests;
