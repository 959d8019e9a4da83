//! A memory as its store's context drives it: maps regions into it and out of it ([`change`]), and keeps what is shown
//! though nobody owns it any more until that has gone.
//!
//! A memory that a ledger drives is changed by trusted modules, too, from one view that is *offered* to another. So what
//! the host has to do with each change beyond making a view current must never be left out. No view is offered while
//! anything is shown that nobody owns. Where the host has written to frozen bytes in a view, that view is to be shown
//! afresh: the write itself makes every cached transition of the memory invalid ([`Ledger::write_count`]), so the next
//! change is the host's, and that offers such a view no more ([`MappedMemory::revoke_dirty`]).

mod change;

use std::io;
use std::ops::Range;
use std::sync::Arc;

use self::change::leave;
use super::mounts::Mounts;
use super::paged::RemapError;
use super::role::SharedSelector;
use super::swapped_bytes::SwappedBytes;
use super::views::Views;
use super::{Allowance, Memories, Memory, Mount, Strategy, Unmappable};
use crate::GRANULE;
use crate::ledger::{Ledger, MemoryNumber};
use crate::region::{Charged, Held};
use crate::sys::{self, Budget};

/// Why a region was not mapped or unmapped. Nothing has changed, save for `Broken`.
#[derive(Debug)]
pub(crate) enum MountError {
    /// The placement overlaps one in use.
    Overlaps,
    /// The memory is not known: our bug.
    Unknown,
    /// Nothing is ever mapped into this memory.
    Unmappable,
    /// No address space, mapping or memory to spare.
    Exhausted(io::Error),
    /// The memory is no longer whole, and its instance must not go on.
    Broken(io::Error),
}

impl From<RemapError> for MountError {
    fn from(error: RemapError) -> Self {
        match error {
            RemapError::Undone(error) => Self::Exhausted(error),
            RemapError::Broken(error) => Self::Broken(error),
        }
    }
}

/// How the memories of a context are driven.
#[derive(Clone, Debug)]
pub(crate) struct DriverConfig {
    pub(crate) memories: Arc<Memories>,
    /// Whether to remap where swapping would do.
    pub(crate) remap_only: bool,
    /// How many views a memory may have in its cache.
    pub(crate) views_per_memory: usize,
    /// How many views the store may have, besides the first of each memory.
    pub(crate) views: Arc<Allowance>,
    /// What is charged for bytes that are written to private mappings.
    pub(crate) budget: Arc<Budget>,
}

impl DriverConfig {
    /// How regions get into a memory that is able to have them mapped so.
    pub(crate) fn strategy(&self, able: Strategy) -> Strategy {
        match able {
            Strategy::Swap if self.remap_only => Strategy::Remap,
            able => able,
        }
    }
}

/// What is shown in a memory though nobody owns it any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lingering {
    pub(crate) regions: usize,
    /// How many bytes of them are frozen.
    pub(crate) frozen_bytes: u64,
}

impl Lingering {
    pub(crate) fn with(self, other: Self) -> Self {
        Self { regions: self.regions + other.regions, frozen_bytes: self.frozen_bytes + other.frozen_bytes }
    }

    /// What is left of it without `part`.
    pub(crate) fn without(self, part: Self) -> Self {
        Self {
            regions: self.regions.saturating_sub(part.regions),
            frozen_bytes: self.frozen_bytes.saturating_sub(part.frozen_bytes),
        }
    }
}

/// A memory, adopted by a context.
pub(crate) struct MappedMemory {
    memory: Arc<Memory>,
    strategy: Result<Strategy, Unmappable>,
    /// The views of it, of which the current one shows what is mapped. `None` in a memory without.
    views: Option<Views>,
    /// What is mapped besides.
    swapped: SwappedBytes,
    /// Regions whose mapping was dropped. They are shown until the next change, and nobody owns them any more.
    lingering: Mounts<Charged>,
    /// Regions that can be written and lingered until the last change. The engine may have written to them through the
    /// base before, so they are freed when the next change shows that the base has been refreshed. (Of frozen ones it
    /// has pages of its own.)
    retired: Vec<Charged>,
    /// What [`sys::faults`] was when no view that is offered was last found to be dirty.
    clean_at: u64,
    /// Whether nothing is changed any more: compiled code was left with the base of a view that is not the current one, or
    /// a change failed half way.
    is_poisoned: bool,
}

impl MappedMemory {
    /// Adopts a memory. `None` if another context drives it.
    pub(crate) fn adopt(memory: Arc<Memory>, driving: &DriverConfig) -> Option<Self> {
        let strategy = memory.strategy().map(|able| driving.strategy(able));
        let views = memory.first_view().map(|first| Views::new(first, driving.views_per_memory));
        memory.adopt().then_some(Self {
            memory,
            strategy,
            views,
            swapped: SwappedBytes::default(),
            lingering: Mounts::default(),
            retired: vec![],
            clean_at: sys::faults(),
            is_poisoned: false,
        })
    }

    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    pub(crate) fn strategy(&self) -> Result<Strategy, Unmappable> {
        self.strategy
    }

    /// Whether `address` is in the memory as its instance sees it now. Returns the offset.
    #[inline]
    pub(crate) fn offset_of(&self, address: usize) -> Option<u64> {
        let offset = address.wrapping_sub(self.memory.base());
        // An empty list in an empty memory is in it, too.
        (offset < self.memory.size().max(1)).then_some(offset as u64)
    }

    /// Hands the memory over to a ledger. Returns whether that was possible.
    pub(crate) fn drive(&self, ledger: &Arc<Ledger>, number: MemoryNumber) -> bool {
        self.memory.drive(ledger, number)
    }

    /// Whether the memory shows these bytes there.
    pub(crate) fn shows(&mut self, mount: &Mount) -> bool {
        self.sync().is_ok() && self.is_mounted(mount)
    }

    /// Takes in what was changed without the host.
    #[inline]
    fn sync(&mut self) -> Result<(), MountError> {
        if self.memory.driven().is_some() { self.sync_driven() } else { Ok(()) }
    }

    fn sync_driven(&mut self) -> Result<(), MountError> {
        let Some(views) = &mut self.views else { return Ok(()) };
        let base = self.memory.take_in_selected();
        if views.current_view().base().addr().get() != base {
            let id = views.at(base).ok_or(MountError::Unknown)?;
            leave(views, id);
            views.switch(id, |_| Ok::<_, MountError>(()))?;
        }
        Ok(())
    }

    /// Whether with the next change nothing is to be done but that.
    #[inline]
    fn has_nothing_pending(&self) -> bool {
        self.lingering.is_empty() && self.retired.is_empty() && !self.is_poisoned
    }

    /// Offers the current view, if it is one that can be left and come back to without the host: not the spare one, which
    /// would invalidate what is known of the others each time that it changes.
    #[inline]
    fn offer(&mut self) {
        self.revoke_dirty();
        if let Some(driven) = self.memory.driven() {
            self.offer_to(driven);
        }
    }

    /// Offers no view any more in which the host has written to frozen bytes, until it shows them again.
    fn revoke_dirty(&mut self) {
        let now = sys::faults();
        let (Some(driven), Some(views)) = (self.memory.driven(), &self.views) else { return };
        if now != self.clean_at {
            views.all().filter(|view| view.is_dirty()).for_each(|view| driven.revoke(view.base().as_ptr()));
            self.clean_at = now;
        }
    }

    fn offer_to(&self, driven: &SharedSelector) {
        let offered = self.has_nothing_pending()
            && self.swapped.mounts().is_empty()
            && self.strategy == Ok(Strategy::Swap)
            && !self.shows_private();
        match &self.views {
            Some(views)
                if offered
                    && !(views.has_spare() && views.is_current(views.spare()))
                    && !views.current_view().is_dirty() =>
            {
                if let Some(frozen) = views.mounts().frozen_bounds() {
                    driven.note_frozen(granules(frozen));
                }
                driven.offer(views.current_view().base().as_ptr());
            }
            _ => driven.deselect(),
        }
    }

    /// Offers no view any more.
    fn deselect(&self) {
        if let Some(driven) = self.memory.driven() {
            self.memory.take_in_selected();
            driven.deselect();
        }
    }

    /// Shows a region, `held`, at a placement that lies in the memory. The region is of the memory's runtime.
    #[inline]
    pub(crate) fn mount(&mut self, mount: &Mount, held: &mut Held, driving: &DriverConfig) -> Result<(), MountError> {
        self.change(mount, true, held, driving)
    }

    /// Shows the heap again where a region is shown.
    #[inline]
    pub(crate) fn unmount(&mut self, mount: &Mount, held: &mut Held, driving: &DriverConfig) -> Result<(), MountError> {
        self.change(mount, false, held, driving)
    }

    /// Takes over a region whose mapping was dropped: nothing is changed here, for no refresh would follow.
    pub(crate) fn linger(&mut self, mount: Mount, region: Charged) {
        // The next change is the host's, so that it goes with that.
        self.deselect();
        self.lingering.insert(mount, region);
    }

    /// What is shown though nobody owns it any more.
    #[inline]
    pub(crate) fn lingering(&self) -> Lingering {
        Lingering { regions: self.lingering.len(), frozen_bytes: self.lingering.frozen_bytes() }
    }

    /// Leaves all regions that are still shown, and `mapped`, to the memory, for as long as it can be looked at.
    /// Trusted modules change nothing any more.
    pub(crate) fn abandon(&mut self, mapped: impl IntoIterator<Item = Charged>) {
        self.deselect();
        self.memory.keep(self.lingering.drain().chain(self.retired.drain(..)).chain(mapped));
    }

    /// Compiled code has not taken the last change in, and goes on. Whatever it could see stays with the memory, and
    /// nothing is changed any more. (A component traps there.)
    #[cfg(feature = "externref")]
    pub(crate) fn poison(&mut self, region: Charged) {
        self.is_poisoned = true;
        self.abandon([region]);
    }

    /// Whether a view shows what is private to it. Then it stays current until that has gone, for no other view has what was
    /// written there.
    fn shows_private(&self) -> bool {
        self.views.as_ref().is_some_and(|views| views.mounts().have_private())
    }

    /// Whether these bytes are shown there.
    fn is_mounted(&self, mount: &Mount) -> bool {
        self.swapped.mounts().contains(mount) || self.views.as_ref().is_some_and(|views| views.mounts().contains(mount))
    }

    /// Whether a placement is clear of all that somebody owns.
    fn is_free(&self, mount: &Mount) -> bool {
        let in_view = self.views.iter().flat_map(|views| views.mounts().overlapping(mount.range()));
        self.swapped.mounts().overlapping(mount.range()).chain(in_view).all(|other| self.lingering.contains(other))
    }
}

/// The granules of a range of a memory.
fn granules(range: Range<u64>) -> Range<u32> {
    let granule = |at: u64| u32::try_from(at / GRANULE).unwrap_or(u32::MAX);
    granule(range.start)..granule(range.end)
}

#[cfg(test)]
mod tests;
