//! The memories of one store: which of them an address is in, what is mapped in each, and how much of it there may be.

use std::sync::Arc;

use super::addresses::{Addresses, MemoryId};
use super::error::TrapReason;
use super::mapping_quota::MappingQuota;
use crate::ledger::{IdleLedgers, Ledger, MemoryNumber};
use crate::region::{Charged, Held, Limits};
use crate::view::{Directory, DriverConfig, Lingering, MappedMemory, Memory, Mount, MountError, Strategy};

/// The memories of a store, each adopted when a guest first names it.
pub(super) struct MappedMemories {
    memories: Vec<MappedMemory>,
    addresses: Addresses,
    driving: DriverConfig,
    /// Whether regions are mapped at all.
    mapping: bool,
    quota: MappingQuota,
}

/// A place in a memory, as its instance sees it now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Location {
    pub(super) memory: MemoryId,
    /// In bytes, inside the memory.
    pub(super) offset: u64,
}

impl MappedMemories {
    pub(super) fn new(driving: DriverConfig, mapping: bool, limits: &Limits) -> Self {
        driving.views.set_max(limits.views);
        Self { memories: vec![], addresses: Addresses::default(), driving, mapping, quota: MappingQuota::new(limits) }
    }

    pub(super) fn set_limits(&mut self, limits: &Limits) {
        self.driving.views.set_max(limits.views);
        self.quota.set_limits(limits);
    }

    pub(super) fn len(&self) -> usize {
        self.memories.len()
    }

    /// Where a ledger comes from and goes to.
    pub(super) fn idle_ledgers(&self) -> &Arc<IdleLedgers> {
        &self.driving.memories.idle_ledgers
    }

    /// Where `address` is. `None` if nothing can be mapped there.
    #[inline]
    pub(super) fn locate(&mut self, address: usize) -> Result<Option<Location>, TrapReason> {
        if self.mapping { self.find_or_adopt(address) } else { Ok(None) }
    }

    /// Where `address` is, in whatever memory of the runtime's.
    #[inline]
    pub(super) fn find_or_adopt(&mut self, address: usize) -> Result<Option<Location>, TrapReason> {
        let memory = self.addresses.guess(address);
        match self.offset_in(memory, address) {
            Some(offset) => Ok(Some(Location { memory, offset })),
            None => self.find_or_adopt_cold(address),
        }
    }

    /// Where a memory was seen that was not guessed, or is not adopted yet.
    #[cold]
    fn find_or_adopt_cold(&mut self, address: usize) -> Result<Option<Location>, TrapReason> {
        if let Some(memory) = self.addresses.find(address)
            && let Some(offset) = self.offset_in(memory, address)
        {
            return Ok(Some(Location { memory, offset }));
        }
        self.locate_new(address)
    }

    /// The first time that a view of a memory is seen.
    fn locate_new(&mut self, address: usize) -> Result<Option<Location>, TrapReason> {
        let found = self.driving.memories.find(address);
        // All memories are looked at for a new view alone, not for each new memory.
        let is_new = found.as_ref().is_some_and(|memory| !memory.is_adopted());
        let known = (0..self.memories.len()).find(|&memory| !is_new && self.offset_in(memory, address).is_some());
        let memory = match known {
            Some(memory) => memory,
            None => {
                let Some(memory) = found else { return Ok(None) };
                self.memories.push(MappedMemory::adopt(memory, &self.driving).ok_or(TrapReason::AnotherContext)?);
                self.memories.len() - 1
            }
        };
        let location = self.offset_in(memory, address).map(|offset| Location { memory, offset });
        if let (Some(location), Some(found)) = (location, self.memories.get(memory)) {
            let memory = found.memory();
            self.addresses.note(memory.base(), memory.span(), location.memory);
        }
        Ok(location)
    }

    /// The offset of `address` in a memory, if it is in its current view.
    #[inline]
    pub(super) fn offset_in(&self, memory: MemoryId, address: usize) -> Option<u64> {
        self.memories.get(memory)?.offset_of(address)
    }

    /// The memory that begins at `address`, which is nobody's yet if it can join a ledger.
    pub(super) fn fresh(&self, address: usize) -> Option<Arc<Memory>> {
        self.driving.memories.find(address).filter(|memory| memory.base() == address)
    }

    /// Hands a memory over to a ledger. Returns the number by which trusted modules know it, if it can have one.
    pub(super) fn drive(&self, memory: MemoryId, ledger: &Arc<Ledger>, directory: &Directory) -> Option<MemoryNumber> {
        let (number, memory) = (MemoryNumber::of_index(memory)?, self.memories.get(memory)?);
        memory.drive(ledger, number).then(|| directory.insert(number, memory.memory()))?;
        Some(number)
    }

    /// Whether a memory shows these bytes there.
    pub(super) fn shows(&mut self, memory: MemoryId, mount: &Mount) -> bool {
        self.memories.get_mut(memory).is_some_and(|memory| memory.shows(mount))
    }

    /// From here on the store's ledger counts what is mapped.
    pub(super) fn count_in(&mut self, ledger: &Arc<Ledger>) {
        self.quota.count_in(ledger);
    }

    /// Whether a region may be mapped in a memory besides what is mapped in the store.
    #[inline(always)]
    pub(super) fn has_room_for(&self, memory: MemoryId, held: &Held) -> bool {
        self.quota.has_room_for(held, self.lingering_besides(memory))
    }

    /// What was mapped is no guest's any more.
    pub(super) fn note_unmapped(&mut self, held: &Held) {
        self.quota.note_unmapped(held);
    }

    /// Whether anything can be mapped in a memory.
    pub(super) fn is_mappable(&self, memory: MemoryId) -> bool {
        self.memories.get(memory).is_some_and(|memory| memory.strategy().is_ok())
    }

    /// Whether a memory is mapped into by copying.
    pub(super) fn copies(&self, memory: MemoryId) -> bool {
        self.memories.get(memory).is_some_and(|memory| memory.strategy() == Ok(Strategy::Copy))
    }

    // The three layers from here on are worth 24 instructions a hop (`docs/src/measurements.md`, Counts).
    #[inline(always)]
    pub(super) fn mount(&mut self, memory: MemoryId, mount: &Mount, held: &mut Held) -> Result<(), MountError> {
        self.change(memory, |memory, driving| memory.mount(mount, held, driving))?;
        self.quota.note_mapped(held);
        Ok(())
    }

    #[inline(always)]
    pub(super) fn unmount(&mut self, memory: MemoryId, mount: &Mount, held: &mut Held) -> Result<(), MountError> {
        self.change(memory, |memory, driving| memory.unmount(mount, held, driving))?;
        self.quota.note_unmapped(held);
        Ok(())
    }

    /// Changes what a memory shows, after which what lingered there may be gone.
    #[inline(always)]
    fn change(
        &mut self,
        memory: MemoryId,
        change: impl FnOnce(&mut MappedMemory, &DriverConfig) -> Result<(), MountError>,
    ) -> Result<(), MountError> {
        let memory = self.memories.get_mut(memory).ok_or(MountError::Unknown)?;
        let before = memory.lingering();
        let changed = change(memory, &self.driving);
        if before.regions > 0 {
            self.quota.set_lingering(self.quota.lingering().without(before).with(memory.lingering()));
        }
        changed
    }

    /// What lingers in other memories than this one. What lingers in this one goes with the next change.
    #[inline]
    fn lingering_besides(&self, memory: MemoryId) -> Lingering {
        let here = self.memories.get(memory).map(MappedMemory::lingering).unwrap_or_default();
        self.quota.lingering().without(here)
    }

    /// A `mapping` was dropped.
    pub(super) fn linger(&mut self, memory: MemoryId, mount: Mount, region: Charged) {
        if let Some(memory) = self.memories.get_mut(memory) {
            let before = memory.lingering();
            memory.linger(mount, region);
            self.quota.set_lingering(self.quota.lingering().without(before).with(memory.lingering()));
        }
    }

    /// Leaves a region that is mapped to the memory that shows it.
    pub(super) fn abandon(&mut self, memory: MemoryId, region: Charged) {
        if let Some(memory) = self.memories.get_mut(memory) {
            memory.abandon([region]);
        }
    }

    /// As [`MappedMemory::poison`].
    #[cfg(feature = "externref")]
    pub(super) fn poison(&mut self, memory: MemoryId, region: Charged) {
        if let Some(memory) = self.memories.get_mut(memory) {
            self.quota.set_lingering(self.quota.lingering().without(memory.lingering()));
            memory.poison(region);
        }
    }
}

impl Drop for MappedMemories {
    /// What nobody owns any more may still be shown.
    fn drop(&mut self) {
        self.memories.iter_mut().for_each(|memory| memory.abandon([]));
    }
}
