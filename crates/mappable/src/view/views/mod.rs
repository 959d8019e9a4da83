//! The cached views of a memory, and which leads to which: mapping or unmapping one region leads from a view to
//! another, and a warm map only follows such an edge.
//!
//! ```text
//!   Views          what each view shows, and how one comes to the next
//!    └ History     what was missed: what is worth a view
//! ```
//!
//! A view is worth its price for what is shown again and again. So a set of mounts that no view shows is shown *in passing*
//! the first time: by the *spare* view, the only one that is ever changed. It has a view of its own from the second time on,
//! if there is room; in a full cache only in place of a view that was not used since the set was missed before. So of sets
//! that come around in a cycle, and are more than there is room for, some keep their views and the others are shown in
//! passing; and views that are used no more make room.
//!
//! What is more than [`MOUNTS_A_VIEW`] mounts is always shown in passing: a view of its own would cost as many system calls,
//! and each change a step for each of them.
//!
//! The cache is bounded. The least recently used view goes, but never the current one, nor the one before it, whose
//! base the engine may still have, nor the first, nor the spare.

use std::collections::BTreeMap;
use std::sync::Arc;

use slab::Slab;

use super::Mount;
use super::history::{History, fingerprint};
use super::mounts::{Mounts, changed, difference};
use super::view::View;
use crate::tuning::{CHANGES_OF_FIRST, MOUNTS_A_VIEW, REPEATS};

/// A view in the cache of its memory.
pub(super) type ViewId = usize;

/// A view, what it shows, and what is one step away.
struct Cached<V> {
    view: V,
    /// What the view shows besides the heap: of a view that is not the spare one, no more than [`MOUNTS_A_VIEW`] mounts.
    mounts: Mounts,
    /// In order of mount, one for each. Every edge has its twin in the other direction. None leads to a spare view that
    /// is not the first.
    edges: Vec<Edge>,
    /// The edge that was taken last, if it is still there: the one to look at first.
    taken: usize,
    /// When the view was last made current.
    used: u64,
}

/// A way from one view to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Edge {
    /// What one of the two shows besides what the other does.
    mount: Mount,
    /// Whether it is the other that shows it: mapping leads there, and not unmapping.
    comes: bool,
    to: ViewId,
}

/// The cached views of a memory. One of them is current. (`V` is a view; what is cached can be tried without.)
pub(super) struct Views<V = Arc<View>> {
    cached: Slab<Cached<V>>,
    /// The memory's first view, which is never forgotten: it is not charged for, and the memory is known by its base.
    first: ViewId,
    /// The view that shows what is shown in passing: the first, until that pays for another. No other view changes what it
    /// shows, so that all that was learnt of them stays true.
    spare: ViewId,
    /// How often the first view was changed.
    changes: u32,
    /// The cached views by what they show, in order, but for a spare one that is not the first or shows too much.
    by_mounts: BTreeMap<Vec<Mount>, ViewId>,
    current: ViewId,
    /// The view that was current before. It is not forgotten: the engine may have its base.
    previous: ViewId,
    clock: u64,
    /// How many views there may be.
    room: usize,
    /// When a set was last missed that the spare view did not show.
    missed: u64,
    /// How often since then it has shown what was missed.
    repeats: u32,
    history: History,
}

impl<V> Views<V> {
    /// The cache of a memory whose only view shows the heap.
    pub(super) fn new(first: V, room: usize) -> Self {
        let mut cached = Slab::new();
        let first = cached.insert(Cached { view: first, mounts: Mounts::default(), edges: vec![], taken: 0, used: 0 });
        Self {
            cached,
            first,
            spare: first,
            changes: 0,
            by_mounts: BTreeMap::from([(vec![], first)]),
            current: first,
            previous: first,
            clock: 0,
            room,
            missed: 0,
            repeats: 0,
            history: History::new(room),
        }
    }

    /// Whether there is room for another view only in place of one.
    pub(super) fn is_full(&self) -> bool {
        self.cached.len() >= self.room
    }

    /// What is shown now.
    pub(super) fn mounts(&self) -> &Mounts {
        self.mounts_of(self.current)
    }

    /// What a view shows besides the heap.
    fn mounts_of(&self, id: ViewId) -> &Mounts {
        &self.cached[id].mounts
    }

    /// What is shown once `hide`, which is in order and shown, has gone and `comes` has come: in order. `None` where that is
    /// more than a view of its own may show.
    pub(super) fn wanted(&self, hide: &[Mount], comes: Option<Mount>) -> Option<Vec<Mount>> {
        let len = self.mounts().len().saturating_sub(hide.len()) + usize::from(comes.is_some());
        (len <= MOUNTS_A_VIEW).then(|| changed(self.mounts(), hide, comes))
    }

    /// What has to go from the spare view, and to come, for the same to be shown by that.
    pub(super) fn change_of_spare(&self, hide: &[Mount], comes: Option<Mount>) -> (Vec<Mount>, Vec<Mount>) {
        if self.is_current(self.spare) {
            return (hide.to_vec(), comes.into_iter().collect());
        }
        difference(self.mounts_of(self.spare), &changed(self.mounts(), hide, comes))
    }

    /// Whether the spare view shows exactly `mounts`.
    pub(super) fn is_in_spare(&self, mounts: &[Mount]) -> bool {
        let spare = self.mounts_of(self.spare);
        spare.len() == mounts.len() && spare.iter().eq(mounts)
    }

    #[inline]
    pub(super) fn current_view(&self) -> &V {
        &self.cached[self.current].view
    }

    #[inline]
    pub(super) fn is_current(&self, id: ViewId) -> bool {
        self.current == id
    }

    /// The view that was current before.
    #[inline]
    pub(super) fn previous(&self) -> ViewId {
        self.previous
    }

    #[inline]
    pub(super) fn view(&self, id: ViewId) -> &V {
        &self.cached[id].view
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &V> {
        self.cached.iter().map(|(_, cached)| &cached.view)
    }

    /// The view that shows what is shown in passing.
    pub(super) fn spare(&self) -> ViewId {
        self.spare
    }

    /// Whether it is one of its own, besides the first.
    pub(super) fn has_spare(&self) -> bool {
        self.spare != self.first
    }

    /// Whether the memory should get one.
    pub(super) fn needs_spare(&self) -> bool {
        !self.has_spare() && self.changes >= CHANGES_OF_FIRST
    }

    /// The view that mapping `mount` (`comes`) or unmapping it leads to, if that has been done before. Then it can be done
    /// now: what maps is not shown yet and overlaps nothing, what unmaps is shown.
    #[inline]
    pub(super) fn after(&mut self, mount: &Mount, comes: bool) -> Option<ViewId> {
        let Cached { edges, taken, .. } = self.cached.get_mut(self.current)?;
        let edge = match edges.get(*taken) {
            Some(edge) if edge.mount == *mount => edge,
            _ => {
                *taken = edges.binary_search_by_key(mount, |edge| edge.mount).ok()?;
                edges.get(*taken)?
            }
        };
        (edge.comes == comes).then_some(edge.to)
    }

    /// The view that shows exactly `mounts`, and not in passing.
    pub(super) fn showing(&self, mounts: &[Mount]) -> Option<ViewId> {
        self.by_mounts.get(mounts).copied()
    }

    /// Notes that no view shows `mounts`, which are wanted. If that was so before, they are worth a view of their own:
    /// returns since when, for [`Views::evict`].
    pub(super) fn miss(&mut self, mounts: &[Mount]) -> Option<u64> {
        self.clock += 1;
        if self.is_full() && self.has_spare() && self.is_in_spare(mounts) {
            self.repeats += 1;
            return self.repeats.is_multiple_of(REPEATS).then_some(self.missed);
        }
        (self.missed, self.repeats) = (self.clock, 0);
        self.history.note(fingerprint(mounts), self.clock)
    }

    /// Adds a view that shows `mounts`, which no other does.
    pub(super) fn insert(&mut self, view: V, mounts: Vec<Mount>) -> ViewId {
        let id = self.add(view, &mounts);
        self.by_mounts.insert(mounts, id);
        id
    }

    /// Adds a view that shows `mounts` in passing, and others after them.
    pub(super) fn insert_spare(&mut self, view: V, mounts: &[Mount]) {
        self.spare = self.add(view, mounts);
    }

    fn add(&mut self, view: V, mounts: &[Mount]) -> ViewId {
        let mounts = mounts.iter().copied().collect();
        self.cached.insert(Cached { view, mounts, edges: vec![], taken: 0, used: self.clock })
    }

    /// Remembers that `mount` leads from the current view to `id`, and back; unless the one is there in passing.
    pub(super) fn link(&mut self, mount: Mount, id: ViewId) {
        if self.has_spare() && self.current == self.spare {
            return;
        }
        for (from, to) in [(self.current, id), (id, self.current)] {
            let edge = Edge { mount, comes: !self.mounts_of(from).contains(&mount), to };
            let edges = &mut self.cached[from].edges;
            match edges.binary_search_by_key(&mount, |edge| edge.mount) {
                Ok(index) => edges[index] = edge,
                Err(index) => edges.insert(index, edge),
            }
        }
    }

    /// Makes `id` current, for which `make` does what is to be done.
    #[inline]
    pub(super) fn switch<E>(&mut self, id: ViewId, make: impl FnOnce(&V) -> Result<(), E>) -> Result<(), E> {
        let cached = &mut self.cached[id];
        make(&cached.view)?;
        self.clock += 1;
        cached.used = self.clock;
        self.previous = std::mem::replace(&mut self.current, id);
        Ok(())
    }

    /// Notes that the spare view has been changed: `hide` is shown no more, `show` is.
    pub(super) fn changed(&mut self, hide: &[Mount], show: &[Mount]) {
        if !self.has_spare() {
            self.changes = self.changes.saturating_add(1);
            self.unlink(self.first);
            if let Some(old) = self.key_of_spare().filter(|old| self.by_mounts.get(old) == Some(&self.first)) {
                self.by_mounts.remove(&old);
            }
        }
        let mounts = &mut self.cached[self.spare].mounts;
        hide.iter().for_each(|mount| mounts.remove(mount).unwrap_or_default());
        show.iter().for_each(|mount| mounts.insert(*mount, ()));
        if !self.has_spare()
            && let Some(new) = self.key_of_spare()
        {
            self.by_mounts.entry(new).or_insert(self.first);
        }
    }

    /// Notes that the spare view shows the heap alone.
    pub(super) fn emptied(&mut self) {
        let all: Vec<Mount> = self.mounts_of(self.spare).iter().copied().collect();
        self.changed(&all, &[]);
    }

    /// What the spare view is found by, if it is the first.
    fn key_of_spare(&self) -> Option<Vec<Mount>> {
        let mounts = self.mounts_of(self.spare);
        (mounts.len() <= MOUNTS_A_VIEW).then(|| mounts.iter().copied().collect())
    }

    /// Takes out the least recently used view, if there is one that can go and was last made current before `since`.
    pub(super) fn evict(&mut self, since: u64) -> Option<V> {
        let kept = [self.first, self.spare, self.current, self.previous];
        let idle = self.cached.iter().filter(|(id, cached)| !kept.contains(id) && cached.used < since);
        let (id, _) = idle.min_by_key(|(_, cached)| cached.used)?;
        self.unlink(id);
        let gone = self.cached.remove(id);
        self.by_mounts.remove(&gone.mounts.iter().copied().collect::<Vec<_>>());
        Some(gone.view)
    }

    /// Forgets every way to and from a view.
    fn unlink(&mut self, id: ViewId) {
        for edge in std::mem::take(&mut self.cached[id].edges) {
            self.cached[edge.to].edges.retain(|twin| (twin.mount, twin.to) != (edge.mount, id));
        }
    }
}

impl Views {
    /// The view with that base.
    pub(super) fn at(&self, base: usize) -> Option<ViewId> {
        self.cached.iter().find(|(_, cached)| cached.view.base().addr().get() == base).map(|(id, _)| id)
    }
}

#[cfg(test)]
mod tests;
