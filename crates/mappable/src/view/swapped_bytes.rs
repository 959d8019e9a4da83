//! Mapping by exchanging bytes: a region's bytes are put where the memory's are, and taken out again. No view changes.
//!
//! That is the only way in a memory without views. In one with views it is the cheapest way for a small region that is
//! mapped for the first time, if the pages are there already: which is likely for a region that was mapped before and
//! that the host has a window of, and for a heap that had a guest before
//! (see [`SlotHistory`](super::idle::SlotHistory)). A page that is not there costs more than it saves
//! (`docs/src/measurements.md`).
//!
//! While a region's bytes are swapped in, its own pages have the heap's bytes, and no current view shows them. Nobody
//! else looks at them: the region is in its context, mapped. A frozen region keeps its bytes, which a copy of is put into
//! the memory, and what that hides is kept here. That happens only in memories without views: in one with views a guest
//! would write to the copy, and not trap. To a private mapping that is just what a guest may do: all of it is charged.

use std::io;
use std::sync::Arc;

use super::mounts::Mounts;
use super::{Memory, Mount};
use crate::region::{Charged, Held};
use crate::sys::Budget;
use crate::tuning::LARGEST_EXCHANGED;

/// What is mapped into a memory by exchanging bytes, each with what it hides if it is frozen.
#[derive(Default)]
pub(super) struct SwappedBytes {
    /// None of them overlaps what the current view shows, between changes.
    mounts: Mounts<Hidden>,
}

/// What a mount hides, if it is frozen.
#[derive(Debug, Default)]
pub(super) struct Hidden {
    bytes: Vec<u8>,
    /// For a private one.
    _charge: Option<Charge>,
}

/// What is charged for the bytes of a private mapping, all of which are copied.
#[derive(Debug)]
struct Charge {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Charge {
    fn new(budget: &Arc<Budget>, bytes: u64) -> Self {
        budget.take(bytes);
        Self { budget: Arc::clone(budget), bytes }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

impl SwappedBytes {
    pub(super) fn mounts(&self) -> &Mounts<Hidden> {
        &self.mounts
    }

    /// Whether a region that is mapped for the first time into a memory with views should be swapped in.
    pub(super) fn suits(memory: &Memory, mount: &Mount, held: &Held) -> bool {
        let Held::Mappable(region) = held else { return false };
        mount.len() <= LARGEST_EXCHANGED
            && region.is_at_hand()
            && memory.driven().is_none()
            && memory.has_pages(mount.offset())
    }

    /// Swaps a region in, where the memory shows its heap. Whether there is room for a private one is looked for before. An
    /// error changes nothing.
    pub(super) fn put(
        &mut self,
        memory: &Memory,
        mount: Mount,
        held: &mut Held,
        budget: &Arc<Budget>,
    ) -> io::Result<()> {
        let mut hidden = vec![];
        if held.is_frozen() {
            let len = usize::try_from(mount.len()).map_err(io::Error::other)?;
            hidden.try_reserve_exact(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
            hidden.resize(len, 0);
            memory.copy_out(mount.offset(), &mut hidden)?;
        }
        swap_in(memory, &mount, held)?;
        memory.note_moved(mount.offset());
        let charge = mount.is_private().then(|| Charge::new(budget, mount.len()));
        self.mounts.insert(mount, Hidden { bytes: hidden, _charge: charge });
        Ok(())
    }

    /// Takes out those of `leaving` that are swapped in.
    pub(super) fn take_out<'a>(
        &mut self,
        memory: &Memory,
        leaving: impl Iterator<Item = (Mount, &'a mut Held)>,
    ) -> io::Result<TakenOut> {
        let mut taken = TakenOut::default();
        for (mount, held) in leaving {
            let Some(hidden) = self.mounts.remove(&mount) else { continue };
            match held {
                Held::Mappable(region) => memory.exchange(mount.offset(), region.all_bytes_mut()?)?,
                Held::Frozen(_) => memory.copy_in(mount.offset(), &hidden.bytes)?,
            }
            taken.insert(mount, hidden);
        }
        Ok(taken)
    }

    /// Swaps in again what of `leaving` was taken out.
    pub(super) fn put_back<'a>(
        &mut self,
        memory: &Memory,
        mut taken: TakenOut,
        leaving: impl Iterator<Item = (Mount, &'a mut Held)>,
    ) -> io::Result<()> {
        for (mount, held) in leaving {
            let Some(hidden) = taken.remove(&mount) else { continue };
            swap_in(memory, &mount, held)?;
            self.mounts.insert(mount, hidden);
        }
        Ok(())
    }
}

/// What was swapped in, as [`SwappedBytes`] has it.
pub(super) type TakenOut = Mounts<Hidden>;

/// Mounts that linger, and one more.
pub(super) fn leaving<'a>(
    lingering: &'a mut Mounts<Charged>,
    goes: Option<(Mount, &'a mut Held)>,
) -> impl Iterator<Item = (Mount, &'a mut Held)> {
    lingering.iter_mut().map(|(mount, region)| (mount, region.held_mut())).chain(goes)
}

fn swap_in(memory: &Memory, mount: &Mount, held: &mut Held) -> io::Result<()> {
    match held {
        Held::Mappable(region) => memory.exchange(mount.offset(), region.all_bytes_mut()?),
        Held::Frozen(region) => {
            let block = region.block().ok_or_else(|| io::Error::other("bug: frozen pages are not copied"))?;
            memory.copy_in(mount.offset(), block)
        }
    }
}
