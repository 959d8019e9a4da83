//! `map` and `unmap`: checks the handle, the placement and the limits, and has the memory show the region or its heap.
//!
//! A warm change takes no lock, allocates nothing and hashes nothing. How a memory changes what it shows is left to
//! [`view`](crate::view).

use super::addresses::MemoryId;
use super::context::MappableCtx;
use super::entries::Entry;
use super::error::{TrapReason, misplaced};
use super::operand::{List, RegionKind};
use super::wit_error::WitMapError;
use crate::region::Held;
use crate::view::{Mount, MountError, Placement, PlacementError};

/// The result of a change: the memory whose base is to be refreshed, or the error that the guest gets, or a trap.
pub(super) type Changed = Result<Result<MemoryId, WitMapError>, TrapReason>;

impl MappableCtx {
    /// Maps what a `mappable` or `frozen` handle stands for. It becomes a `mapping` or `frozen-mapping` handle of the same
    /// representation.
    pub(super) fn map(&mut self, rep: u32, kind: RegionKind, at: List) -> Changed {
        self.show(rep, kind, at, false)
    }

    /// Maps what a `frozen` handle stands for, to be written to. What is written is the mapping's own. A region that is not
    /// frozen is no operand.
    pub(super) fn map_private(&mut self, rep: u32, kind: RegionKind, at: List) -> Changed {
        if kind != RegionKind::Frozen {
            return Err(TrapReason::NotGiven { rep, kind: RegionKind::Frozen.unmapped() });
        }
        // All of it is charged where all of it is copied.
        if at.len > 0
            && let Some(location) = self.memories.locate(at.address)?
            && self.memories.copies(location.memory)
            && let Some(frozen) = self.frozen(rep)
            && !self.entries.has_room_for_bytes(frozen.size())
        {
            return Ok(Err(WitMapError::MappingOverQuota));
        }
        self.show(rep, kind, at, true)
    }

    #[inline(always)]
    fn show(&mut self, rep: u32, kind: RegionKind, at: List, is_private: bool) -> Changed {
        let Some(entry) = self.entries.get_mut(rep).filter(|entry| entry.mapped.is_none() && is(entry, kind)) else {
            return Err(TrapReason::NotGiven { rep, kind: kind.unmapped() });
        };
        if at.len == 0 {
            return Ok(Err(WitMapError::PlacementMisaligned));
        }
        let location = self.memories.locate(at.address)?.filter(|location| self.memories.is_mappable(location.memory));
        let Some(location) = location else { return Ok(Err(WitMapError::PlacementUnmappable)) };
        if !self.memories.has_room_for(location.memory, &entry.held) {
            return Ok(Err(WitMapError::MappingOverQuota));
        }
        let mount = match Placement::new(location.offset, at.len, entry.held.size()) {
            Ok(placement) => match &*entry.held {
                Held::Frozen(region) if is_private => Mount::private(placement, region),
                held => Mount::new(placement, held),
            },
            Err(PlacementError::Misaligned) => return Ok(Err(WitMapError::PlacementMisaligned)),
            Err(PlacementError::TooSmall) => return Ok(Err(WitMapError::PlacementTooSmall)),
        };
        match self.memories.mount(location.memory, &mount, entry.held.held_mut()) {
            Ok(()) => {
                entry.mapped = Some((location.memory, mount));
                Ok(Ok(location.memory))
            }
            Err(error) => answer(rep, error).map(Err),
        }
    }

    /// Unmaps what a `mapping` or `frozen-mapping` handle stands for. It becomes a `mappable` or `frozen` handle of the
    /// same representation.
    pub(super) fn unmap(&mut self, rep: u32, kind: RegionKind, at: List) -> Changed {
        let entry = self.entries.get_mut(rep).filter(|entry| is(entry, kind));
        let mapped = entry.and_then(|entry| entry.mapped.map(|(memory, mount)| (entry, memory, mount)));
        let Some((entry, memory, mount)) = mapped else {
            return Err(TrapReason::NotGiven { rep, kind: kind.mapped() });
        };
        if at.len == 0 {
            return Ok(Err(WitMapError::PlacementMismatch));
        }
        let Some(offset) = self.memories.offset_in(memory, at.address) else { return Err(TrapReason::ForeignMapping) };
        if offset != mount.offset() {
            return Ok(Err(WitMapError::PlacementMismatch));
        }
        match self.memories.unmount(memory, &mount, entry.held.held_mut()) {
            Ok(()) => {
                entry.mapped = None;
                Ok(Ok(memory))
            }
            Err(error) => answer(rep, error).map(Err),
        }
    }

    /// A handle of any type was dropped. What is mapped stays as it is, for no refresh would follow.
    pub(super) fn drop_handle(&mut self, rep: u32) {
        if let Some(Entry { held, mapped: Some((memory, mount)), .. }) = self.take(rep) {
            self.memories.linger(memory, mount, held);
        }
    }

    /// Takes an entry out. What was mapped counts as lingering from here on, or not at all.
    pub(super) fn take(&mut self, rep: u32) -> Option<Entry> {
        let entry = self.entries.remove(rep)?;
        if entry.given {
            self.forget_record(rep);
        }
        if entry.mapped.is_some() {
            self.memories.note_unmapped(&entry.held);
        }
        Some(entry)
    }
}

fn is(entry: &Entry, kind: RegionKind) -> bool {
    entry.held.is_frozen() == (kind == RegionKind::Frozen)
}

/// The error that a guest gets for a mount that failed, or the trap if it must not go on.
fn answer(rep: u32, error: MountError) -> Result<WitMapError, TrapReason> {
    match error {
        MountError::Overlaps => Ok(WitMapError::PlacementOverlaps),
        MountError::Unmappable => Ok(WitMapError::PlacementUnmappable),
        MountError::Unknown => Err(misplaced(rep, "in a memory of this store")),
        MountError::Exhausted(error) => {
            tracing::debug!(%error, "a region was not mapped");
            Ok(WitMapError::MappingsExhausted)
        }
        MountError::Broken(error) => Err(TrapReason::Broken(error)),
    }
}
