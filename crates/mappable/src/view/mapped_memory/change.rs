//! How a region comes into a memory and goes out of it, by whichever strategy the memory can take.
//!
//! A change goes to the view that shows what is wanted: one edge away when it has been there before, cached, or built
//! (*swap*); or the spare view is changed, which in a memory that can't swap is the only one (*remap*); or bytes are
//! moved, in memories without views (*copy*, [`CopiedMounts`]), or the first time where that is cheaper ([`SwappedBytes`]). A step
//! that fails has changed nothing. What is worth a view, [`Views`] says.

use std::io;
use std::sync::Arc;

use super::{DriverConfig, MappedMemory, MountError, Shown};
use crate::region::Held;
use crate::sys::Access;
use crate::view::copied_mounts::CopiedMounts;
use crate::view::mount::{changed, difference};
use crate::view::swapped_bytes::{SwappedBytes, leaving};
use crate::view::view::View;
use crate::view::views::{ViewId, Views};
use crate::view::{Memory, Mount, Strategy};

impl MappedMemory {
    /// Shows `mount` (`comes`), or no longer; what lingers goes. The one may equal the other: a frozen region is mapped
    /// where a mapping of it lingers. Trusted modules may go on from what is shown then.
    #[inline]
    pub(super) fn change(
        &mut self,
        mount: &Mount,
        comes: bool,
        held: &mut Held,
        driving: &DriverConfig,
    ) -> Result<(), MountError> {
        if self.memory.driven().is_none()
            && let Some(done) = self.step(mount, comes)
        {
            return done;
        }
        self.change_all(mount, comes, held, driving)
    }

    /// The same, with all that may have to be done besides.
    fn change_all(
        &mut self,
        mount: &Mount,
        comes: bool,
        held: &mut Held,
        driving: &DriverConfig,
    ) -> Result<(), MountError> {
        self.sync()?;
        let done = match self.step(mount, comes) {
            Some(done) => done,
            None => self.change_cold(*mount, comes, held, driving),
        };
        self.is_stopped |= matches!(done, Err(MountError::Broken(_)));
        self.offer();
        done
    }

    /// Goes to another view that this change led to before, if it did and nothing else is to be done. Never
    /// [`MountError::Broken`].
    #[inline]
    fn step(&mut self, mount: &Mount, comes: bool) -> Option<Result<(), MountError>> {
        if !self.is_settled() || !self.moved.is_clear_of(mount) {
            return None;
        }
        let Shown::Views(views) = &mut self.shown else { return None };
        let id = views.after(mount, comes)?;
        Some(go(views, &self.memory, id))
    }

    /// The first times, or when something else has to go as well.
    #[cold]
    fn change_cold(
        &mut self,
        mount: Mount,
        comes: bool,
        held: &mut Held,
        driving: &DriverConfig,
    ) -> Result<(), MountError> {
        if comes && self.live_mounts().any(|other| other.overlaps(&mount)) {
            return Err(MountError::Overlaps);
        }
        let strategy = self.strategy.map_err(|_| MountError::Unmappable)?;
        if self.is_stopped {
            return Err(MountError::Broken(io::Error::other("an earlier change was not completed")));
        }
        // That we are called shows that the refresh after the last change has run. (What trusted modules change they
        // refresh at once, and they change nothing while there is something here.)
        self.retired.clear();
        match &mut self.shown {
            Shown::Views(_) => self.change_pages(mount, comes, held, strategy, driving)?,
            Shown::CopiedMounts(copies) => {
                let room =
                    if comes { CopiedMounts::room_for(&mount, held).map_err(MountError::Exhausted)? } else { vec![] };
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

    /// The same in a memory in pages.
    fn change_pages(
        &mut self,
        mount: Mount,
        comes: bool,
        held: &mut Held,
        strategy: Strategy,
        driving: &DriverConfig,
    ) -> Result<(), MountError> {
        // Before views change, while the heap is what is shown where a region was moved to.
        let goes = (!comes).then_some((mount, &mut *held));
        let exchanged = self.moved.exchange(&self.memory, leaving(&mut self.lingering, goes));
        exchanged.map_err(MountError::Broken)?;
        match self.change_views(mount, comes, held, strategy, driving) {
            Ok(()) => {}
            Err(MountError::Broken(error)) => return Err(MountError::Broken(error)),
            Err(error) => {
                let goes = (!comes).then_some((mount, held));
                let exchanged = self.moved.exchange(&self.memory, leaving(&mut self.lingering, goes));
                return Err(exchanged.map_or_else(MountError::Broken, |()| error));
            }
        }
        self.lingering.iter().for_each(|(lingering, _)| self.moved.forget(lingering));
        match held {
            _ if !comes => self.moved.forget(&mount),
            Held::Mappable(region) => region.note_mapped(),
            Held::Frozen(_) => {}
        }
        Ok(())
    }

    /// The same for what views show, or for what comes and is moved.
    fn change_views(
        &mut self,
        mount: Mount,
        comes: bool,
        held: &mut Held,
        strategy: Strategy,
        driving: &DriverConfig,
    ) -> Result<(), MountError> {
        let Shown::Views(views) = &mut self.shown else { return Err(MountError::Unknown) };
        let memory = &*self.memory;
        let mut hide: Vec<Mount> = self.lingering.iter().map(|(lingering, _)| *lingering).collect();
        hide.extend((!comes).then_some(mount));
        hide.retain(|mount| !self.moved.mounts().contains(mount));
        if hide.is_empty() && !comes {
            // What the host has written to frozen bytes goes with this change, too.
            return Ok(memory.remap(views.current_view(), &[], &[])?);
        }
        let wanted = changed(views.mounts(), &hide, comes.then_some(mount));

        if strategy != Strategy::Swap {
            return show_in_passing(views, memory, wanted);
        }
        let swapped = match views.showing(&wanted) {
            Some(id) => Some(id),
            // What came in passing goes so.
            None if !comes && views.is_current(views.spare()) => None,
            None => {
                let since = views.miss(&wanted);
                let is_first = comes && since.is_none() && self.lingering.is_empty();
                if is_first && is_worth_moving(views, memory, &mount, held, &wanted) {
                    match self.moved.put(memory, mount, held) {
                        Ok(()) => return Ok(()),
                        Err(error) => tracing::debug!(%error, "a region was not moved; remapping instead"),
                    }
                }
                build_if_worthwhile(views, memory, &wanted, since, driving)
            }
        };
        let Some(id) = swapped else { return show_in_passing(views, memory, wanted) };
        if self.lingering.is_empty() {
            views.link(mount, id);
        }
        switch(views, memory, id)
    }
}

/// Whether a region should be moved in: it suits, and not even the spare view shows what is wanted. Not where something
/// frozen is shown: what the host has written there goes with each change of a view.
fn is_worth_moving(views: &Views, memory: &Memory, mount: &Mount, held: &Held, wanted: &[Mount]) -> bool {
    views.mounts().iter().all(|mount| mount.access() == Access::Write)
        && views.mounts_of(views.spare()) != wanted
        && SwappedBytes::suits(memory, mount, held)
}

/// A view of its own for what was missed before, at `since`, or none.
fn build_if_worthwhile(
    views: &mut Views,
    memory: &Memory,
    wanted: &[Mount],
    since: Option<u64>,
    driving: &DriverConfig,
) -> Option<ViewId> {
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
fn build(
    views: &mut Views,
    memory: &Memory,
    mounts: &[Mount],
    since: u64,
    driving: &DriverConfig,
) -> Option<Arc<View>> {
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
pub(super) fn leave(views: &Views, next: ViewId) {
    if views.previous() != next {
        // Unreachable since the last refresh. Of what a guest has the host write, no more than two views' worth is kept.
        views.view(views.previous()).free_writes();
    }
}

fn switch(views: &mut Views, memory: &Memory, id: ViewId) -> Result<(), MountError> {
    if views.is_current(id) {
        // Frozen bytes are mapped over a dropped mapping of them: what was written there goes.
        return Ok(memory.remap(views.view(id), &[], &[])?);
    }
    go(views, memory, id)
}

/// Makes another view current.
#[inline]
fn go(views: &mut Views, memory: &Memory, id: ViewId) -> Result<(), MountError> {
    leave(views, id);
    views.switch(id, |view| memory.make_current(view)).map_err(MountError::Exhausted)
}
