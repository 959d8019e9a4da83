//! A memory as its store's context drives it: maps regions into it and out of it, by whichever strategy it can take.
//!
//! A change goes to the view that shows what is wanted: one edge away when it has been there before, cached, or built
//! (*swap*); or the spare view is changed, which in a memory that can't swap is the only one (*remap*); or bytes are moved
//! ([`Copies`]). A step that fails has changed nothing. What is worth a view, [`Views`] says.
//!
//! A memory that a ledger drives is changed by trusted modules, too, from one view that is *offered* to another. Only
//! views in which nothing is frozen are offered, and only while nothing is shown that nobody owns: so what the host has
//! to do with each change beyond making a view current is never left out.

use std::io;
use std::sync::Arc;

use super::copies::Copies;
use super::mount::{changed, difference};
use super::paged::{RemapError, View};
use super::role::Driven;
use super::views::{ViewId, Views};
use super::{Allowance, Memories, Memory, Mount, Strategy, Unmappable};
use crate::ledger::{Ledger, SeatNumber};
use crate::region::{Charged, Held};
use crate::sys::Access;

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
            Some(first) => Shown::Views(Views::new(first, driving.views_per_memory)),
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
    #[inline]
    pub(crate) fn offset_of(&self, address: usize) -> Option<u64> {
        let offset = address.wrapping_sub(self.memory.base());
        // An empty list in an empty memory is in it, too.
        (offset < self.memory.size().max(1)).then_some(offset as u64)
    }

    /// Has a ledger drive the memory, from here on. `false` if it can't.
    pub(crate) fn drive(&self, ledger: &Arc<Ledger>, seat: SeatNumber) -> bool {
        self.memory.drive(ledger, seat)
    }

    /// Whether the memory shows these bytes there.
    pub(crate) fn shows(&mut self, mount: &Mount) -> bool {
        self.sync().is_ok() && self.mounts().contains(mount)
    }

    /// Takes in what was changed without the host.
    #[inline]
    fn sync(&mut self) -> Result<(), MountError> {
        if self.memory.driven().is_some() { self.sync_driven() } else { Ok(()) }
    }

    fn sync_driven(&mut self) -> Result<(), MountError> {
        let Shown::Views(views) = &mut self.shown else { return Ok(()) };
        let base = self.memory.settle();
        if views.current_view().base().addr().get() != base {
            let id = views.at(base).ok_or(MountError::Unknown)?;
            leave(views, id);
            views.switch(id, |_| Ok::<_, MountError>(()))?;
        }
        Ok(())
    }

    /// Offers the current view, if it is one that can be left and come back to without the host: not the spare one, which
    /// would void what is known of the others each time that it changes.
    #[inline]
    fn offer(&self) {
        if let Some(driven) = self.memory.driven() {
            self.offer_to(driven);
        }
    }

    fn offer_to(&self, driven: &Driven) {
        let settled = self.lingering.is_empty() && self.retired.is_empty() && !self.is_stranded;
        match &self.shown {
            Shown::Views(views)
                if settled
                    && self.strategy == Ok(Strategy::Swap)
                    && !(views.has_spare() && views.is_current(views.spare()))
                    && views.mounts().iter().all(|mount| mount.access() == Access::Write) =>
            {
                driven.offer(views.current_view().base().as_ptr());
            }
            _ => driven.withhold(),
        }
    }

    /// Offers no view any more.
    fn withhold(&self) {
        if let Some(driven) = self.memory.driven() {
            self.memory.settle();
            driven.withhold();
        }
    }

    /// Shows a region, `held`, at a placement that lies in the memory. The region is of the memory's runtime.
    #[inline]
    pub(crate) fn mount(&mut self, mount: &Mount, held: &mut Held, driving: &Driving) -> Result<(), MountError> {
        self.change(mount, true, held, driving)
    }

    /// Shows the heap again where a region is shown.
    #[inline]
    pub(crate) fn unmount(&mut self, mount: &Mount, held: &mut Held, driving: &Driving) -> Result<(), MountError> {
        self.change(mount, false, held, driving)
    }

    /// Takes over a region whose mapping was dropped: nothing is changed here, for no refresh would follow.
    pub(crate) fn linger(&mut self, mount: Mount, region: Charged) {
        // The next change is the host's, so that it goes with that.
        self.withhold();
        self.lingering.push((mount, region));
    }

    /// The regions that are shown though nobody owns them any more.
    pub(crate) fn lingering(&self) -> impl ExactSizeIterator<Item = &Held> {
        self.lingering.iter().map(|(_, region)| &**region)
    }

    /// Leaves all regions that are still shown, and `mapped`, to the memory, for as long as it can be looked at.
    /// Trusted modules change nothing any more.
    pub(crate) fn abandon(&mut self, mapped: impl IntoIterator<Item = Charged>) {
        self.withhold();
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
    /// where a mapping of it lingers. Trusted modules may go on from what is shown then.
    #[inline]
    fn change(&mut self, mount: &Mount, comes: bool, held: &mut Held, driving: &Driving) -> Result<(), MountError> {
        self.sync()?;
        let done = match self.step(mount, comes) {
            Some(done) => done,
            None => self.change_cold(*mount, comes, held, driving),
        };
        self.offer();
        done
    }

    /// Goes to the view that this change led to before, if it did and nothing else is to be done.
    #[inline]
    fn step(&mut self, mount: &Mount, comes: bool) -> Option<Result<(), MountError>> {
        let Shown::Views(views) = &mut self.shown else { return None };
        if !self.lingering.is_empty() || !self.retired.is_empty() || self.is_stranded {
            return None;
        }
        let id = views.after(mount, comes)?;
        Some(switch(views, &self.memory, id))
    }

    /// The first times, or when something else has to go as well.
    #[cold]
    fn change_cold(&mut self, mount: Mount, comes: bool, held: &mut Held, driving: &Driving) -> Result<(), MountError> {
        if comes && self.live_mounts().any(|other| other.overlaps(&mount)) {
            return Err(MountError::Overlaps);
        }
        let strategy = self.strategy.map_err(|_| MountError::Unmappable)?;
        if self.is_stranded {
            return Err(MountError::Broken(io::Error::other("the memory's base was not refreshed after a change")));
        }
        // That we are called shows that the refresh after the last change has run. (What trusted modules change they
        // refresh at once, and they change nothing while there is something here.)
        self.retired.clear();
        match &mut self.shown {
            Shown::Views(_) => self.change_view(mount, comes, strategy, driving)?,
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

    fn change_view(
        &mut self,
        mount: Mount,
        comes: bool,
        strategy: Strategy,
        driving: &Driving,
    ) -> Result<(), MountError> {
        let Shown::Views(views) = &mut self.shown else { return Err(MountError::Unknown) };
        let memory = &*self.memory;
        let mut hide: Vec<Mount> = self.lingering.iter().map(|(lingering, _)| *lingering).collect();
        hide.extend((!comes).then_some(mount));
        let wanted = changed(views.mounts(), &hide, comes.then_some(mount));

        if strategy != Strategy::Swap {
            return show_in_passing(views, memory, wanted);
        }
        let swapped = match views.showing(&wanted) {
            Some(id) => Some(id),
            // What came in passing goes so.
            None if !comes && views.is_current(views.spare()) => None,
            None => build_if_worthwhile(views, memory, &wanted, driving),
        };
        let Some(id) = swapped else { return show_in_passing(views, memory, wanted) };
        if self.lingering.is_empty() {
            views.link(mount, id);
        }
        switch(views, memory, id)
    }
}

/// A view of its own for what was missed before, or none.
fn build_if_worthwhile(views: &mut Views, memory: &Memory, wanted: &[Mount], driving: &Driving) -> Option<ViewId> {
    let since = views.miss(wanted);
    let built = since.and_then(|since| build(views, memory, wanted, since, driving));
    if let Some(view) = built {
        return Some(views.insert(view, wanted.to_vec()));
    }
    if let Some(driven) = memory.driven()
        && (views.is_full() || since.is_some())
    {
        // Which views are used is to be seen, or one that is would have to go: so each goes by way of the host once.
        driven.void();
    }
    if views.needs_spare()
        && let Some(view) = build(views, memory, wanted, u64::MAX, driving)
    {
        views.insert_spare(view, wanted.to_vec());
    }
    None
}

/// Has the spare view show what is wanted.
fn show_in_passing(views: &mut Views, memory: &Memory, wanted: Vec<Mount>) -> Result<(), MountError> {
    let spare = views.spare();
    let (hide, show) = difference(views.mounts_of(spare), &wanted);
    let is_current = views.is_current(spare);
    let view = views.view(spare);
    let done = if is_current { memory.remap(view, &hide, &show) } else { memory.lay(view, &hide, &show) };
    let now = match &done {
        Ok(()) => wanted,
        Err(_) if is_current => return done.map_err(MountError::from),
        Err(_) => vec![],
    };
    views.changed(now);
    if let Some(driven) = memory.driven().filter(|_| !views.has_spare()) {
        driven.void();
    }
    done?;
    if is_current { Ok(()) } else { switch(views, memory, spare) }
}

/// A new view, or none if there is no room for one: in a full cache, in place of views that were not used since.
fn build(views: &mut Views, memory: &Memory, mounts: &[Mount], since: u64, driving: &Driving) -> Option<Arc<View>> {
    while views.is_full() {
        evict(views, memory, since)?;
    }
    let permits = loop {
        let permits = (driving.memories.views.permit(mounts.len()), driving.views.permit(mounts.len()));
        match permits {
            (Some(runtimes), Some(stores)) => break [runtimes, stores],
            _ => evict(views, memory, since)?,
        }
    };
    memory
        .build_view(mounts, permits)
        .inspect_err(|error| tracing::debug!(%error, "no view was built; remapping instead"))
        .ok()
}

fn evict(views: &mut Views, memory: &Memory, since: u64) -> Option<()> {
    let view = views.evict(since)?;
    memory.forget(&view);
    Some(())
}

/// Before another view is made current.
#[inline]
fn leave(views: &Views, next: ViewId) {
    if views.previous() != next {
        // Unreachable since the last refresh. Of what a guest has the host write, no more than two views' worth is kept.
        views.view(views.previous()).free_writes();
    }
}

#[inline]
fn switch(views: &mut Views, memory: &Memory, id: ViewId) -> Result<(), MountError> {
    if views.is_current(id) {
        // Frozen bytes are mapped over a dropped mapping of them: what was written there goes.
        return Ok(memory.remap(views.view(id), &[], &[])?);
    }
    leave(views, id);
    views.switch(id, |view| memory.make_current(view)).map_err(MountError::Exhausted)
}
