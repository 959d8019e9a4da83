//! The cached views of a memory, and which leads to which: mapping or unmapping one region leads from a view to
//! another, and a warm map only follows such an edge.
//!
//! The cache is bounded. The least recently used view goes, but never the current one, nor the one before it, whose
//! base the engine may still have, nor the first.

use std::collections::BTreeMap;
use std::sync::Arc;

use slab::Slab;

use super::Mount;
use super::paged::View;

/// A view in the cache of its memory.
pub(super) type ViewId = usize;

/// A view, what it shows, and what is one step away.
struct Cached {
    view: Arc<View>,
    /// What the view shows besides the heap, in order.
    mounts: Vec<Mount>,
    /// In order of mount: mapping it (or unmapping it, where it is shown) leads to that view. Every edge has its
    /// twin in the other direction.
    edges: Vec<(Mount, ViewId)>,
    /// When the view was last made current.
    used: u64,
}

/// The cached views of a memory. One of them is current.
pub(super) struct Views {
    cached: Slab<Cached>,
    /// The memory's first view, which is never forgotten: it is not charged for, and the memory is known by its base.
    first: ViewId,
    /// The cached views by what they show.
    by_mounts: BTreeMap<Vec<Mount>, ViewId>,
    current: ViewId,
    /// The view that was current before. It is not forgotten: the engine may have its base.
    previous: ViewId,
    clock: u64,
}

impl Views {
    /// The cache of a memory whose only view shows the heap.
    pub(super) fn new(first: Arc<View>) -> Self {
        let mut cached = Slab::new();
        let first = cached.insert(Cached { view: first, mounts: vec![], edges: vec![], used: 0 });
        Self { cached, first, by_mounts: BTreeMap::from([(vec![], first)]), current: first, previous: first, clock: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.cached.len()
    }

    /// What is shown now.
    pub(super) fn mounts(&self) -> &[Mount] {
        &self.cached[self.current].mounts
    }

    pub(super) fn current_view(&self) -> &Arc<View> {
        &self.cached[self.current].view
    }

    pub(super) fn is_current(&self, id: ViewId) -> bool {
        self.current == id
    }

    /// The view that was current before.
    pub(super) fn previous(&self) -> ViewId {
        self.previous
    }

    /// The view with that base.
    pub(super) fn at(&self, base: usize) -> Option<ViewId> {
        self.cached.iter().find(|(_, cached)| cached.view.base().addr().get() == base).map(|(id, _)| id)
    }

    pub(super) fn view(&self, id: ViewId) -> &Arc<View> {
        &self.cached[id].view
    }

    /// The view that mapping (or unmapping) `mount` leads to, if that has been done before.
    pub(super) fn after(&self, mount: &Mount) -> Option<ViewId> {
        let edges = &self.cached[self.current].edges;
        let index = edges.binary_search_by_key(mount, |edge| edge.0).ok()?;
        Some(edges[index].1)
    }

    /// The view that shows exactly `mounts`.
    pub(super) fn showing(&self, mounts: &[Mount]) -> Option<ViewId> {
        self.by_mounts.get(mounts).copied()
    }

    /// Adds a view that shows `mounts`, which no other does.
    pub(super) fn insert(&mut self, view: Arc<View>, mounts: Vec<Mount>) -> ViewId {
        let id = self.cached.insert(Cached { view, mounts: mounts.clone(), edges: vec![], used: self.clock });
        self.by_mounts.insert(mounts, id);
        id
    }

    /// Remembers that `mount` leads from the current view to `id`, and back.
    pub(super) fn link(&mut self, mount: Mount, id: ViewId) {
        for (from, to) in [(self.current, id), (id, self.current)] {
            let edges = &mut self.cached[from].edges;
            match edges.binary_search_by_key(&mount, |edge| edge.0) {
                Ok(index) => edges[index].1 = to,
                Err(index) => edges.insert(index, (mount, to)),
            }
        }
    }

    /// Notes that `id` is current now.
    pub(super) fn switch(&mut self, id: ViewId) {
        self.clock += 1;
        self.cached[id].used = self.clock;
        self.previous = std::mem::replace(&mut self.current, id);
    }

    /// Notes that the current view has been changed in place and now shows `mounts`.
    pub(super) fn changed(&mut self, mounts: Vec<Mount>) {
        self.unlink(self.current);
        let old = std::mem::replace(&mut self.cached[self.current].mounts, mounts.clone());
        self.by_mounts.remove(&old);
        self.by_mounts.insert(mounts, self.current);
    }

    /// Takes out the least recently used view, if there is one that can go.
    pub(super) fn evict(&mut self) -> Option<Arc<View>> {
        let kept = [self.first, self.current, self.previous];
        let idle = self.cached.iter().filter(|(id, _)| !kept.contains(id));
        let (id, _) = idle.min_by_key(|(_, cached)| cached.used)?;
        self.unlink(id);
        let gone = self.cached.remove(id);
        self.by_mounts.remove(&gone.mounts);
        Some(gone.view)
    }

    /// Forgets every way to and from a view.
    fn unlink(&mut self, id: ViewId) {
        for (mount, neighbour) in std::mem::take(&mut self.cached[id].edges) {
            self.cached[neighbour].edges.retain(|edge| *edge != (mount, id));
        }
    }
}
