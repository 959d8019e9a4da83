//! Mapping into a memory in pages by moving bytes: a small region's bytes are exchanged with those of the heap that it
//! hides, and back. No view changes, and no system call is made.
//!
//! For what is mapped for the first time that is the cheapest way where the pages are there already, which is likely of a
//! region that was mapped before or comes back, and that the host has a window of, and of a heap that had a guest before
//! (see [`SlotHistory`](super::idle::SlotHistory)). A page that is not there costs more than it saves
//! (`docs/src/measurements.md`). A region that is frozen is never moved, for a guest could write to it.
//!
//! While a region is moved its own pages have the heap's bytes, and no current view shows them. Nobody but
//! [`SwappedBytes::exchange`] looks at them: the region is in its context, mapped.

use std::io;

use super::{Memory, Mount};
use crate::region::{Charged, Held};
use crate::tuning::LARGEST_EXCHANGED;

/// What is mapped in a memory by moving.
#[derive(Default)]
pub(super) struct SwappedBytes {
    /// None of them overlaps another, nor what the current view shows, between changes.
    mounts: Vec<Mount>,
}

impl SwappedBytes {
    pub(super) fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.mounts.is_empty()
    }

    /// Whether nothing of a placement is where something was moved to.
    #[inline]
    pub(super) fn is_clear_of(&self, mount: &Mount) -> bool {
        self.mounts.is_empty() || self.mounts.iter().all(|moved| !moved.overlaps(mount))
    }

    /// Whether a region is one that is moved, the first time.
    pub(super) fn suits(memory: &Memory, mount: &Mount, held: &Held) -> bool {
        let Held::Mappable(region) = held else { return false };
        mount.len() <= LARGEST_EXCHANGED
            && region.is_at_hand()
            && memory.driven().is_none()
            && memory.has_pages(mount.offset())
    }

    /// Moves a region in. Where it comes to, the current view shows the heap.
    pub(super) fn put(&mut self, memory: &Memory, mount: Mount, held: &mut Held) -> io::Result<()> {
        exchange(memory, &mount, held)?;
        memory.note_moved(mount.offset());
        self.mounts.push(mount);
        Ok(())
    }

    /// Exchanges what was moved of these once more: out, before views change, or in again where they could not. What was
    /// is noted by [`SwappedBytes::forget`].
    pub(super) fn exchange<'a>(
        &self,
        memory: &Memory,
        leaving: impl Iterator<Item = (Mount, &'a mut Held)>,
    ) -> io::Result<()> {
        let mut moved = leaving.filter(|(mount, _)| self.mounts.contains(mount));
        moved.try_for_each(|(mount, held)| exchange(memory, &mount, held))
    }

    /// Notes that a region is moved no more.
    pub(super) fn forget(&mut self, mount: &Mount) {
        self.mounts.retain(|other| other != mount);
    }
}

/// Mounts of what lingers, and one more.
pub(super) fn leaving<'a>(
    lingering: &'a mut [(Mount, Charged)],
    goes: Option<(Mount, &'a mut Held)>,
) -> impl Iterator<Item = (Mount, &'a mut Held)> {
    lingering.iter_mut().map(|(mount, region)| (*mount, &mut **region)).chain(goes)
}

fn exchange(memory: &Memory, mount: &Mount, held: &mut Held) -> io::Result<()> {
    let Held::Mappable(region) = held else { return Err(io::Error::other("bug: a frozen region was moved")) };
    memory.exchange(mount.offset(), region.bytes_mut()?)
}
