//! A memory as its store's context drives it: maps regions into it and out of it, by whichever strategy it can take.
//!
//! A change goes to the view that shows what is wanted: one edge away when it has been there before, cached, or built
//! (*swap*); or the current view is changed in place (*remap*). A step that fails has changed nothing.

use std::io;
use std::sync::Arc;

use super::memory::{RemapError, View};
use super::mount::changed;
use super::views::{ViewId, Views};
use super::{Memories, Memory, Mount, Placement, Strategy, Unmappable};
use crate::region::Mappable;

/// Why a region was not mapped or unmapped. Nothing has changed, save for `Broken`.
#[derive(Debug)]
pub(crate) enum MountError {
    /// The placement overlaps one in use.
    Overlaps,
    /// The region lies in another file than the memory's heap, or the memory is not known: our bug.
    Foreign,
    /// Nothing is ever mapped into this memory.
    Unmappable,
    /// No address space or mapping to spare.
    Exhausted(io::Error),
    /// The memory is no longer whole, and its instance must not go on.
    Broken(io::Error),
}

/// How the memories of a context are driven.
#[derive(Clone, Debug)]
pub(crate) struct Driving {
    pub(crate) memories: Arc<Memories>,
    /// Whether to remap where swapping would do.
    pub(crate) remap_only: bool,
    /// How many views a memory may have in its cache.
    pub(crate) views_per_memory: usize,
}

/// A memory, adopted by a context.
pub(crate) struct Seat {
    memory: Arc<Memory>,
    strategy: Result<Strategy, Unmappable>,
    views: Views,
    /// Regions whose mapping was dropped. They are shown until the next change, and nobody owns them any more.
    lingering: Vec<(Mount, Mappable)>,
    /// Regions that lingered until the last change. The engine may have written to them through the base before,
    /// so they are freed when the next change shows that the base has been refreshed.
    retired: Vec<Mappable>,
}

impl Seat {
    /// Adopts a memory. `None` if another context drives it.
    pub(crate) fn adopt(memory: Arc<Memory>, driving: &Driving) -> Option<Self> {
        let first = memory.adopt()?;
        let strategy = memory.strategy().map(|able| if driving.remap_only { Strategy::Remap } else { able });
        Some(Self { memory, strategy, views: Views::new(first), lingering: vec![], retired: vec![] })
    }

    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Whether `address` is in the memory as its instance sees it now. Answers the offset.
    pub(crate) fn offset_of(&self, address: usize) -> Option<u64> {
        let offset = address.wrapping_sub(self.memory.base());
        (offset < self.memory.size()).then_some(offset as u64)
    }

    /// Shows a region at a placement that lies in the memory.
    pub(crate) fn mount(&mut self, at: Placement, region: &Mappable, driving: &Driving) -> Result<Mount, MountError> {
        let strategy = self.strategy.map_err(|_| MountError::Unmappable)?;
        let mount = Mount::new(at, region.range());
        if !region.extent().is_in(self.memory.heap().backing()) {
            return Err(MountError::Foreign);
        }
        if self.live_mounts().any(|other| other.overlaps(&mount)) {
            return Err(MountError::Overlaps);
        }
        self.toggle(mount, strategy, driving)?;
        Ok(mount)
    }

    /// Shows the heap again where a region is shown.
    pub(crate) fn unmount(&mut self, mount: Mount, driving: &Driving) -> Result<(), MountError> {
        let strategy = self.strategy.map_err(|_| MountError::Unmappable)?;
        self.toggle(mount, strategy, driving)
    }

    /// Takes over a region whose mapping was dropped: no view is changed here, for no refresh would follow.
    pub(crate) fn linger(&mut self, mount: Mount, region: Mappable) {
        self.lingering.push((mount, region));
    }

    /// How many regions are shown that nobody owns any more.
    pub(crate) fn lingering(&self) -> usize {
        self.lingering.len()
    }

    /// Regions that nobody owns any more and that are not freed yet.
    pub(crate) fn unowned(&self) -> impl Iterator<Item = &Mappable> {
        self.lingering.iter().map(|(_, region)| region).chain(&self.retired)
    }

    /// Leaves all regions that are still shown, and `mapped`, to the memory, for as long as it can be looked at.
    pub(crate) fn abandon(&mut self, mapped: impl IntoIterator<Item = Mappable>) {
        let lingering = self.lingering.drain(..).map(|(_, region)| region);
        self.memory.keep(lingering.chain(self.retired.drain(..)).chain(mapped));
    }

    /// Mounts that somebody owns.
    fn live_mounts(&self) -> impl Iterator<Item = &Mount> {
        let lingers = |mount: &Mount| self.lingering.iter().any(|(other, _)| other == mount);
        self.views.mounts().iter().filter(move |mount| !lingers(mount))
    }

    fn toggle(&mut self, mount: Mount, strategy: Strategy, driving: &Driving) -> Result<(), MountError> {
        // That we are called shows that the refresh after the last change has run.
        self.retired.clear();
        if self.lingering.is_empty()
            && let Some(id) = self.views.after(&mount)
        {
            return self.switch(id).map_err(MountError::Exhausted);
        }
        self.toggle_cold(mount, strategy, driving)
    }

    /// The first time, or when what lingers has to go as well.
    #[cold]
    fn toggle_cold(&mut self, mount: Mount, strategy: Strategy, driving: &Driving) -> Result<(), MountError> {
        let shown = self.views.mounts().contains(&mount);
        let mut hide: Vec<Mount> = self.lingering.iter().map(|(lingering, _)| *lingering).collect();
        hide.extend(shown.then_some(mount));
        let show = (!shown).then_some(mount);
        let wanted = changed(self.views.mounts(), &hide, show);

        let swapped = match strategy {
            Strategy::Remap => None,
            Strategy::Swap => match self.views.showing(&wanted) {
                Some(id) => Some(id),
                None => self.build(wanted.clone(), driving),
            },
        };
        match swapped {
            Some(id) => {
                if self.lingering.is_empty() {
                    self.views.link(mount, id);
                }
                self.switch(id).map_err(MountError::Exhausted)?;
            }
            None => {
                let view: Arc<View> = Arc::clone(self.views.current_view());
                self.memory.remap(&view, &hide, show.as_ref()).map_err(|error| match error {
                    RemapError::Undone(error) => MountError::Exhausted(error),
                    RemapError::Broken(error) => MountError::Broken(error),
                })?;
                self.views.changed(wanted);
            }
        }
        self.retired.extend(self.lingering.drain(..).map(|(_, region)| region));
        Ok(())
    }

    /// A new view in the cache, or none if there is no room for one: then remapping has to do.
    fn build(&mut self, mounts: Vec<Mount>, driving: &Driving) -> Option<ViewId> {
        while self.views.len() >= driving.views_per_memory {
            self.evict()?;
        }
        let permit = match driving.memories.permit(mounts.len()) {
            Some(permit) => permit,
            None => {
                self.evict()?;
                driving.memories.permit(mounts.len())?
            }
        };
        match self.memory.build_view(&mounts, permit) {
            Ok(view) => Some(self.views.insert(view, mounts)),
            Err(error) => {
                tracing::debug!(%error, "no view was built; remapping instead");
                None
            }
        }
    }

    fn evict(&mut self) -> Option<()> {
        let view = self.views.evict()?;
        self.memory.forget(&view);
        Some(())
    }

    fn switch(&mut self, id: ViewId) -> io::Result<()> {
        self.memory.make_current(self.views.view(id))?;
        self.views.switch(id);
        Ok(())
    }
}
