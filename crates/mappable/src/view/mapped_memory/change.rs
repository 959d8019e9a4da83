//! How a region comes into a memory and goes out of it, by whichever strategy the memory can take.
//!
//! A change goes to the view that shows what is wanted: one edge away when it has been there before, cached, or built
//! (*swap*); or the spare view is changed, which in a memory that can't swap is the only one (*remap*); or bytes are
//! exchanged ([`SwappedBytes`]), in memories without views (*copy*) or the first time where that is cheaper. A step that
//! fails has changed nothing. What is worth a view, [`Views`] says.
//!
//! What is written to a private mapping is in the pages of one view, and no other can show it. So it is mapped in the spare
//! view, which stays current until no private mapping is shown: meanwhile every change is made in it.

use std::io;
use std::sync::Arc;

use super::{DriverConfig, MappedMemory, MountError};
use crate::region::Held;
use crate::view::swapped_bytes::{SwappedBytes, TakenOut, leaving};
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
        self.is_poisoned |= matches!(done, Err(MountError::Broken(_)));
        self.offer();
        done
    }

    /// Goes to another view that this change led to before, if it did and nothing else is to be done. Never
    /// [`MountError::Broken`].
    #[inline]
    fn step(&mut self, mount: &Mount, comes: bool) -> Option<Result<(), MountError>> {
        let is_clear = || self.swapped.mounts().overlapping(mount.range()).next().is_none();
        if !self.has_nothing_pending() || !(self.swapped.mounts().is_empty() || is_clear()) {
            return None;
        }
        let views = self.views.as_mut()?;
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
        if comes && !self.is_free(&mount) {
            return Err(MountError::Overlaps);
        }
        let strategy = self.strategy.map_err(|_| MountError::Unmappable)?;
        if self.is_poisoned {
            return Err(MountError::Broken(io::Error::other("an earlier change was not completed")));
        }
        // That we are called shows that the refresh after the last change has run. (What trusted modules change they
        // refresh at once, and they change nothing while there is something here.)
        self.retired.clear();
        // Before views change, while the heap is what is shown where a region was swapped in.
        let goes = (!comes).then_some((mount, &mut *held));
        let taken = self.swapped.take_out(&self.memory, leaving(&mut self.lingering, goes));
        let taken = taken.map_err(MountError::Broken)?;
        match self.change_shown(mount, comes, &taken, held, strategy, driving) {
            Ok(()) => {}
            Err(MountError::Broken(error)) => return Err(MountError::Broken(error)),
            Err(error) => {
                let goes = (!comes).then_some((mount, held));
                let put_back = self.swapped.put_back(&self.memory, taken, leaving(&mut self.lingering, goes));
                return Err(put_back.map_or_else(MountError::Broken, |()| error));
            }
        }
        if comes && let Held::Mappable(region) = held {
            region.note_mapped();
        }
        self.retired.extend(self.lingering.drain().filter(|region| !region.is_frozen()));
        Ok(())
    }

    /// The same for what views show, or for what comes and is swapped in. `taken` is gone already.
    fn change_shown(
        &mut self,
        mount: Mount,
        comes: bool,
        taken: &TakenOut,
        held: &mut Held,
        strategy: Strategy,
        driving: &DriverConfig,
    ) -> Result<(), MountError> {
        let memory = &*self.memory;
        let Some(views) = &mut self.views else {
            let done = if comes { self.swapped.put(memory, mount, held, &driving.budget) } else { Ok(()) };
            return done.map_err(|error| match error.kind() {
                io::ErrorKind::OutOfMemory => MountError::Exhausted(error),
                _ => MountError::Broken(error),
            });
        };
        let goes = (!comes).then_some(mount);
        let mut hide: Vec<Mount> = self.lingering.iter().copied().chain(goes).collect();
        hide.retain(|mount| !taken.contains(mount));
        hide.sort_unstable();
        let comes = comes.then_some(mount);
        if hide.is_empty() && comes.is_none() {
            // What the host has written to frozen bytes goes with this change, too.
            return Ok(memory.remap(views.current_view(), &[], &[])?);
        }
        let stays = views.mounts().have_private();
        if mount.is_private() && !stays {
            memory.charge(&driving.budget);
            if strategy == Strategy::Swap {
                get_spare(views, memory, &[], driving);
            }
        }
        let swaps = strategy == Strategy::Swap && !stays && !mount.is_private();
        let wanted = if swaps { views.wanted(&hide, comes) } else { None };
        let Some(wanted) = wanted else { return show_in_passing(views, memory, &hide, comes) };
        let swapped = match views.showing(&wanted) {
            Some(id) => Some(id),
            // What came in passing goes so.
            None if comes.is_none() && views.is_current(views.spare()) => None,
            None => {
                let since = views.miss(&wanted);
                let is_first = comes.is_some() && since.is_none() && self.lingering.is_empty();
                if is_first && is_worth_swapping_in(views, memory, &mount, held, &wanted) {
                    match self.swapped.put(memory, mount, held, &driving.budget) {
                        Ok(()) => return Ok(()),
                        Err(error) => tracing::debug!(%error, "a region was not swapped in; remapping instead"),
                    }
                }
                build_if_worthwhile(views, memory, &wanted, since, driving)
            }
        };
        let Some(id) = swapped else { return show_in_passing(views, memory, &hide, comes) };
        if self.lingering.is_empty() {
            views.link(mount, id);
        }
        switch(views, memory, id)
    }
}

/// Whether a region should be swapped in: it suits, and not even the spare view shows what is wanted. Not where something
/// frozen is shown: what the host has written there goes with each change of a view.
fn is_worth_swapping_in(views: &Views, memory: &Memory, mount: &Mount, held: &Held, wanted: &[Mount]) -> bool {
    views.mounts().are_writable() && !views.is_in_spare(wanted) && SwappedBytes::suits(memory, mount, held)
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
        driven.invalidate();
    }
    get_spare(views, memory, wanted, driving);
    None
}

/// A spare view besides the first that shows `mounts`, if the memory should get one.
fn get_spare(views: &mut Views, memory: &Memory, mounts: &[Mount], driving: &DriverConfig) {
    if views.needs_spare()
        && let Some(view) = build(views, memory, mounts, u64::MAX, driving)
    {
        views.insert_spare(view, mounts);
    }
}

/// Makes the spare view show what is shown now, without `hide` and with `comes`.
fn show_in_passing(views: &mut Views, memory: &Memory, hide: &[Mount], comes: Option<Mount>) -> Result<(), MountError> {
    let spare = views.spare();
    let (hide, show) = views.change_of_spare(hide, comes);
    let is_current = views.is_current(spare);
    let view = views.view(spare);
    let done = if is_current { memory.remap(view, &hide, &show) } else { memory.remap_unused(view, &hide, &show) };
    match &done {
        Ok(()) => views.changed(&hide, &show),
        Err(_) if is_current => return done.map_err(MountError::from),
        Err(_) => views.emptied(),
    }
    if let Some(driven) = memory.driven().filter(|_| !views.has_spare()) {
        driven.invalidate();
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
