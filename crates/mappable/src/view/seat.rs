//! A memory as its store's context drives it: maps regions into it and out of it, by whichever strategy it can take.
//!
//! A change goes to the view that shows what is wanted: one edge away when it has been there before, cached, or built
//! (*swap*); or the current view is changed in place (*remap*); or bytes are moved ([`Copies`]). A step that fails has
//! changed nothing.

use std::io;
use std::sync::Arc;

use super::copies::Copies;
use super::mount::changed;
use super::paged::{RemapError, View};
use super::views::{ViewId, Views};
use super::{Allowance, Memories, Memory, Mount, Placement, Strategy, Unmappable};
use crate::region::{Charged, Held};

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

/// How the memories of a context are driven.
#[derive(Clone, Debug)]
pub(crate) struct Driving {
    pub(crate) memories: Arc<Memories>,
    /// Whether to remap where swapping would do.
    pub(crate) remap_only: bool,
    /// How many views a memory may have in its cache.
    pub(crate) views_per_memory: usize,
    /// How many views the store may have, besides the first of each memory.
    pub(crate) views: Arc<Allowance>,
}

/// How what is mapped is shown.
enum Shown {
    /// By the current view (*swap* and *remap*).
    Views(Views),
    /// In the one place that there is (*copy*).
    Copies(Copies),
}

/// A memory, adopted by a context.
pub(crate) struct Seat {
    memory: Arc<Memory>,
    strategy: Result<Strategy, Unmappable>,
    shown: Shown,
    /// Regions whose mapping was dropped. They are shown until the next change, and nobody owns them any more.
    lingering: Vec<(Mount, Charged)>,
    /// Regions that can be written and lingered until the last change. The engine may have written to them through the
    /// base before, so they are freed when the next change shows that the base has been refreshed. (Of frozen ones it
    /// has pages of its own.)
    retired: Vec<Charged>,
    /// Whether compiled code was left with the base of a view that is not the current one. Then views stay as they are.
    is_stranded: bool,
}

impl Seat {
    /// Adopts a memory. `None` if another context drives it.
    pub(crate) fn adopt(memory: Arc<Memory>, driving: &Driving) -> Option<Self> {
        let strategy = memory.strategy().map(|able| match able {
            Strategy::Swap if driving.remap_only => Strategy::Remap,
            able => able,
        });
        let shown = match memory.first_view() {
            Some(first) => Shown::Views(Views::new(first)),
            None => Shown::Copies(Copies::default()),
        };
        memory.adopt().then_some(Self {
            memory,
            strategy,
            shown,
            lingering: vec![],
            retired: vec![],
            is_stranded: false,
        })
    }

    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    pub(crate) fn strategy(&self) -> Result<Strategy, Unmappable> {
        self.strategy
    }

    /// Whether `address` is in the memory as its instance sees it now. Answers the offset.
    pub(crate) fn offset_of(&self, address: usize) -> Option<u64> {
        let offset = address.wrapping_sub(self.memory.base());
        (offset < self.memory.size()).then_some(offset as u64)
    }

    /// Shows a region at a placement that lies in the memory. The region is of the memory's runtime.
    pub(crate) fn mount(&mut self, at: Placement, held: &mut Held, driving: &Driving) -> Result<Mount, MountError> {
        let mount = Mount::new(at, held);
        if self.live_mounts().any(|other| other.overlaps(&mount)) {
            return Err(MountError::Overlaps);
        }
        self.change(mount, true, held, driving)?;
        Ok(mount)
    }

    /// Shows the heap again where a region is shown.
    pub(crate) fn unmount(&mut self, mount: Mount, held: &mut Held, driving: &Driving) -> Result<(), MountError> {
        self.change(mount, false, held, driving)
    }

    /// Takes over a region whose mapping was dropped: nothing is changed here, for no refresh would follow.
    pub(crate) fn linger(&mut self, mount: Mount, region: Charged) {
        self.lingering.push((mount, region));
    }

    /// The regions that are shown though nobody owns them any more.
    pub(crate) fn lingering(&self) -> impl ExactSizeIterator<Item = &Held> {
        self.lingering.iter().map(|(_, region)| &**region)
    }

    /// Leaves all regions that are still shown, and `mapped`, to the memory, for as long as it can be looked at.
    pub(crate) fn abandon(&mut self, mapped: impl IntoIterator<Item = Charged>) {
        let lingering = self.lingering.drain(..).map(|(_, region)| region);
        self.memory.keep(lingering.chain(self.retired.drain(..)).chain(mapped));
    }

    /// Compiled code has not taken the last change in, and goes on. Whatever it could see stays with the memory, and
    /// nothing is changed any more.
    pub(crate) fn strand(&mut self, region: Charged) {
        self.is_stranded = true;
        self.abandon([region]);
    }

    fn mounts(&self) -> &[Mount] {
        match &self.shown {
            Shown::Views(views) => views.mounts(),
            Shown::Copies(copies) => copies.mounts(),
        }
    }

    /// Mounts that somebody owns.
    fn live_mounts(&self) -> impl Iterator<Item = &Mount> {
        let lingers = |mount: &Mount| self.lingering.iter().any(|(other, _)| other == mount);
        self.mounts().iter().filter(move |mount| !lingers(mount))
    }

    /// Shows `mount` (`comes`), or no longer; what lingers goes. The one may equal the other: a frozen region is mapped
    /// where a mapping of it lingers.
    fn change(&mut self, mount: Mount, comes: bool, held: &mut Held, driving: &Driving) -> Result<(), MountError> {
        let strategy = self.strategy.map_err(|_| MountError::Unmappable)?;
        if self.is_stranded {
            return Err(MountError::Broken(io::Error::other("the memory's base was not refreshed after a change")));
        }
        // That we are called shows that the refresh after the last change has run.
        self.retired.clear();
        match &mut self.shown {
            Shown::Views(views) => {
                if self.lingering.is_empty()
                    && let Some(id) = views.after(&mount)
                {
                    return switch(views, &self.memory, id);
                }
                self.change_cold(mount, comes, strategy, driving)?;
            }
            Shown::Copies(copies) => {
                let room = if comes { Copies::room_for(&mount, held).map_err(MountError::Exhausted)? } else { vec![] };
                for (lingering, region) in &mut self.lingering {
                    copies.hide(&self.memory, *lingering, region).map_err(MountError::Broken)?;
                }
                let done = if comes {
                    copies.show(&self.memory, mount, held, room)
                } else {
                    copies.hide(&self.memory, mount, held)
                };
                done.map_err(MountError::Broken)?;
            }
        }
        self.retired.extend(self.lingering.drain(..).map(|(_, region)| region).filter(|region| !region.is_frozen()));
        Ok(())
    }

    /// The first time, or when what lingers has to go as well.
    #[cold]
    fn change_cold(
        &mut self,
        mount: Mount,
        comes: bool,
        strategy: Strategy,
        driving: &Driving,
    ) -> Result<(), MountError> {
        let Shown::Views(views) = &mut self.shown else { return Err(MountError::Unknown) };
        let mut hide: Vec<Mount> = self.lingering.iter().map(|(lingering, _)| *lingering).collect();
        hide.extend((!comes).then_some(mount));
        let show = comes.then_some(mount);
        let wanted = changed(views.mounts(), &hide, show);

        let swapped = match (strategy, views.showing(&wanted)) {
            (Strategy::Swap, Some(id)) => Some(id),
            (Strategy::Swap, None) => build(views, &self.memory, wanted.clone(), driving),
            _ => None,
        };
        match swapped {
            Some(id) => {
                if self.lingering.is_empty() {
                    views.link(mount, id);
                }
                switch(views, &self.memory, id)
            }
            None => {
                let view: Arc<View> = Arc::clone(views.current_view());
                self.memory.remap(&view, &hide, show.as_ref()).map_err(|error| match error {
                    RemapError::Undone(error) => MountError::Exhausted(error),
                    RemapError::Broken(error) => MountError::Broken(error),
                })?;
                views.changed(wanted);
                Ok(())
            }
        }
    }
}

/// A new view in the cache, or none if there is no room for one: then remapping has to do.
fn build(views: &mut Views, memory: &Memory, mounts: Vec<Mount>, driving: &Driving) -> Option<ViewId> {
    while views.len() >= driving.views_per_memory {
        evict(views, memory)?;
    }
    let permits = loop {
        let permits = (driving.memories.views.permit(mounts.len()), driving.views.permit(mounts.len()));
        match permits {
            (Some(runtimes), Some(stores)) => break [runtimes, stores],
            _ => evict(views, memory)?,
        }
    };
    match memory.build_view(&mounts, permits) {
        Ok(view) => Some(views.insert(view, mounts)),
        Err(error) => {
            tracing::debug!(%error, "no view was built; remapping instead");
            None
        }
    }
}

fn evict(views: &mut Views, memory: &Memory) -> Option<()> {
    let view = views.evict()?;
    memory.forget(&view);
    Some(())
}

fn switch(views: &mut Views, memory: &Memory, id: ViewId) -> Result<(), MountError> {
    if views.previous() != id {
        // Unreachable since the last refresh. Of what a guest has the host write, no more than two views' worth is kept.
        views.view(views.previous()).free_writes();
    }
    let made = memory.make_current(views.view(id));
    // The current view may be the one wanted, where frozen bytes are mapped over a dropped mapping of them.
    made.map_err(if views.is_current(id) { MountError::Broken } else { MountError::Exhausted })?;
    views.switch(id);
    Ok(())
}
