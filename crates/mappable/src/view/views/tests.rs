//! What is cached, tried without views.

use std::collections::BTreeSet;
use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::GRANULE;
use crate::region::{Backing, Held, Mappable};
use crate::view::Placement;

/// A memory as [`MappedMemory`](super::super::MappedMemory) drives it, without pages: what is wanted is shown, and views
/// are counted.
struct Cache {
    views: Views<()>,
    built: usize,
}

impl Cache {
    fn new(room: usize) -> Self {
        Self { views: Views::new((), room), built: 0 }
    }

    fn build(&mut self, since: u64) -> bool {
        let fits = !self.views.is_full() || self.views.evict(since).is_some();
        self.built += usize::from(fits);
        fits
    }

    /// Shows a mount and then the heap alone again.
    fn visit(&mut self, mount: Mount) {
        self.show(vec![mount], true);
        self.show(vec![], false);
    }

    fn show(&mut self, wanted: Vec<Mount>, comes: bool) {
        let id = if let Some(id) = self.views.showing(&wanted) {
            id
        } else if !comes && self.views.is_current(self.views.spare()) {
            self.pass(&wanted)
        } else {
            match self.views.miss(&wanted) {
                Some(since) if self.build(since) => self.views.insert((), wanted.clone()),
                _ => {
                    if self.views.needs_spare() && self.build(u64::MAX) {
                        self.views.insert_spare((), &wanted);
                    }
                    self.pass(&wanted)
                }
            }
        };
        if !self.views.is_current(id) {
            self.views.switch(id, |()| Ok::<_, Infallible>(())).unwrap();
        }
        assert!(self.views.mounts().iter().eq(&wanted));
        assert!(self.views.cached.len() <= self.views.room);
    }

    fn pass(&mut self, wanted: &[Mount]) -> ViewId {
        let (hide, show) = difference(self.views.mounts_of(self.views.spare()), wanted);
        self.views.changed(&hide, &show);
        self.views.spare()
    }

    /// How many views are built while each is shown once, in turn.
    fn round(&mut self, mounts: &[Mount]) -> usize {
        let before = self.built;
        mounts.iter().for_each(|&mount| self.visit(mount));
        self.built - before
    }

    fn rounds(&mut self, rounds: usize, mounts: &[Mount]) -> usize {
        (0..rounds).map(|_| self.round(mounts)).sum()
    }

    /// How many of them have a view.
    fn warm(&self, mounts: &[Mount]) -> usize {
        mounts.iter().filter(|&&mount| self.views.showing(&[mount]).is_some()).count()
    }
}

/// Mounts of which no two are the same.
fn mounts(count: usize) -> Vec<Mount> {
    let backing = Backing::in_blocks();
    let region = Held::Mappable(Mappable::allocate(&backing, GRANULE).unwrap());
    let place = |n: usize| Placement::new(n as u64 * GRANULE, GRANULE, GRANULE).unwrap();
    (0..count).map(|n| Mount::new(place(n), &region)).collect()
}

#[test]
fn what_is_shown_once_takes_no_view_of_its_own() {
    let (mut cache, all) = (Cache::new(128), mounts(1000));
    cache.round(&all);
    assert_eq!((cache.built, cache.views.cached.len()), (1, 2), "the spare one");
    let mut young = Cache::new(128);
    young.round(&all[..3]);
    assert_eq!(young.built, 0, "the first view does");
}

#[test]
fn what_is_shown_again_and_again_in_a_full_cache_gets_a_view_in_the_end() {
    let (mut cache, all) = (Cache::new(6), mounts(20));
    cache.rounds(4, &all[..12]);
    let (other, built) = (all[19], cache.built);
    // A few times in a row are no reason.
    (0..REPEATS).for_each(|_| cache.visit(other));
    assert_eq!((cache.built, cache.warm(&[other])), (built, 0));
    cache.visit(other);
    assert_eq!((cache.built, cache.warm(&[other])), (built + 1, 1));
}

proptest! {
    #[test]
    fn a_cycle_of_any_length_builds_nothing_once_it_has_come_around(room in 4usize..12, length in 1usize..120, rounds in 1usize..6) {
        let (mut cache, all) = (Cache::new(room), mounts(length));
        cache.rounds(3, &all);
        prop_assert_eq!(cache.rounds(rounds, &all), 0);
        // As many stay warm as there is room for besides the first and the spare one, if they are remembered.
        if length < 8 * room {
            prop_assert!(cache.warm(&all) >= length.min(room - 2), "{} of {length}", cache.warm(&all));
        }
    }

    #[test]
    fn neither_does_a_cycle_in_which_each_is_shown_a_few_times(room in 4usize..12, length in 1usize..60, times in 1usize..8) {
        let (mut cache, all) = (Cache::new(room), mounts(length));
        let in_turn: Vec<Mount> = all.iter().flat_map(|&mount| vec![mount; times]).collect();
        cache.rounds(4, &in_turn);
        prop_assert_eq!(cache.round(&in_turn), 0);
    }

    #[test]
    fn a_working_set_that_comes_anew_is_warm_after_two_rounds(room in 4usize..12, before in 1usize..60, rounds in 1usize..5) {
        let (mut cache, all) = (Cache::new(room), mounts(before + room - 2));
        let (old, new) = all.split_at(before);
        cache.rounds(rounds, old);
        cache.rounds(2, new);
        prop_assert!(cache.warm(new) >= new.len().min(room - 3), "{} of {}", cache.warm(new), new.len());
        prop_assert_eq!(cache.round(new), 0);
    }

    #[test]
    fn whatever_comes_the_cache_is_what_it_says(room in 4usize..8, steps in prop::collection::vec((0usize..6, any::<bool>()), 0..200)) {
        let (mut cache, all) = (Cache::new(room), mounts(6));
        let mut wanted: Vec<Mount> = vec![];
        for (n, _) in steps {
            let comes = !wanted.contains(&all[n]);
            if comes { wanted.push(all[n]) } else { wanted.retain(|mount| *mount != all[n]) }
            wanted.sort_unstable();
            let from = cache.views.current;
            let known = cache.views.showing(&wanted).is_some();
            cache.show(wanted.clone(), comes);
            if known && from != cache.views.current {
                // As the memory does: back and there again.
                let to = std::mem::replace(&mut cache.views.current, from);
                cache.views.link(all[n], to);
                cache.views.current = to;
            }
            check(&cache.views);
        }
    }
}

/// What holds between changes.
fn check(views: &Views<()>) {
    let shown: BTreeSet<ViewId> = views.by_mounts.values().copied().collect();
    assert_eq!(shown.len(), views.by_mounts.len());
    for (id, cached) in &views.cached {
        let in_passing = views.has_spare() && id == views.spare;
        assert_eq!(shown.contains(&id), !in_passing);
        assert!(!in_passing || cached.edges.is_empty());
        for &Edge { mount, comes, to } in &cached.edges {
            let of = |id: ViewId| views.mounts_of(id).iter().copied().collect::<BTreeSet<_>>();
            let differ: Vec<Mount> = of(id).symmetric_difference(&of(to)).copied().collect();
            assert_eq!(differ, [mount]);
            assert_eq!(comes, of(to).contains(&mount));
            assert!(views.cached[to].edges.contains(&Edge { mount, comes: !comes, to: id }));
        }
    }
    assert!([views.first, views.spare, views.current, views.previous].iter().all(|id| views.cached.contains(*id)));
    assert!(views.by_mounts.iter().all(|(mounts, id)| views.mounts_of(*id).iter().eq(mounts)));
}
