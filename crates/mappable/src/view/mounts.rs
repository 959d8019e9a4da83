//! What is shown in a memory besides the heap: mounts, by where they are. Bookkeeping alone.
//!
//! A guest may have as many mounts as the system has mappings, and changes them one by one. So each operation on one of
//! them takes time that grows with the logarithm of how many there are.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Mount;
use super::mount::looked_at;
use crate::sys::Access;

/// Mounts, each with what goes with it.
#[derive(Debug)]
pub(super) struct Mounts<T = ()> {
    /// By offset. No two overlap, so that their ends are in order, too.
    by_offset: BTreeMap<u64, (Mount, T)>,
    /// How many bytes of them are frozen.
    frozen_bytes: u64,
    /// How many of them are private.
    private: usize,
}

impl<T> Default for Mounts<T> {
    fn default() -> Self {
        Self { by_offset: BTreeMap::new(), frozen_bytes: 0, private: 0 }
    }
}

impl<T> Mounts<T> {
    pub(super) fn len(&self) -> usize {
        self.by_offset.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.by_offset.is_empty()
    }

    /// How many bytes of them are frozen.
    pub(super) fn frozen_bytes(&self) -> u64 {
        self.frozen_bytes
    }

    /// Whether nothing of it is frozen.
    pub(super) fn are_writable(&self) -> bool {
        self.frozen_bytes == 0
    }

    /// Whether there are private ones.
    pub(super) fn have_private(&self) -> bool {
        self.private > 0
    }

    /// The bytes of the memory between the first and the last that are shown for reading alone, if there are such.
    pub(super) fn frozen_bounds(&self) -> Option<Range<u64>> {
        if self.are_writable() {
            return None;
        }
        let mut frozen = self.by_offset.values().map(|(mount, _)| mount).filter(|mount| mount.access() == Access::Read);
        let first = frozen.next()?;
        let last = frozen.next_back().unwrap_or(first);
        Some(first.range().start..last.range().end)
    }

    /// In order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Mount> + Clone {
        self.by_offset.values().inspect(|_| looked_at()).map(|(mount, _)| mount)
    }

    /// In order, with what goes with each.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Mount, &mut T)> {
        self.by_offset.values_mut().inspect(|_| looked_at()).map(|(mount, with)| (*mount, with))
    }

    /// In order, with what goes with each.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&Mount, &T)> {
        self.by_offset.values().inspect(|_| looked_at()).map(|(mount, with)| (mount, with))
    }

    /// What goes with a mount, if it is one of them.
    pub(super) fn get(&self, mount: &Mount) -> Option<&T> {
        self.by_offset.get(&mount.offset()).filter(|(there, _)| there == mount).map(|(_, with)| with)
    }

    pub(super) fn contains(&self, mount: &Mount) -> bool {
        self.get(mount).is_some()
    }

    /// Those that cover a byte of a range, the last first.
    pub(super) fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = &Mount> {
        let before = self.by_offset.range(..range.end).rev().inspect(|_| looked_at()).map(|(_, (mount, _))| mount);
        before.take_while(move |mount| mount.range().end > range.start)
    }

    /// Adds a mount, or puts `with` in the place of what went with it. It overlaps no other.
    pub(super) fn insert(&mut self, mount: Mount, with: T) {
        self.remove(&mount);
        self.frozen_bytes += frozen_bytes(&mount);
        self.private += usize::from(mount.is_private());
        let replaced = self.by_offset.insert(mount.offset(), (mount, with));
        debug_assert!(replaced.is_none(), "two mounts at one place");
    }

    /// Takes a mount out, if it is one of them.
    pub(super) fn remove(&mut self, mount: &Mount) -> Option<T> {
        self.get(mount)?;
        self.frozen_bytes -= frozen_bytes(mount);
        self.private -= usize::from(mount.is_private());
        self.by_offset.remove(&mount.offset()).map(|(_, with)| with)
    }

    /// Takes all of them out, in order.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        std::mem::take(self).by_offset.into_values().map(|(_, with)| with)
    }
}

impl FromIterator<Mount> for Mounts {
    fn from_iter<I: IntoIterator<Item = Mount>>(mounts: I) -> Self {
        let mut all = Self::default();
        mounts.into_iter().for_each(|mount| all.insert(mount, ()));
        all
    }
}

fn frozen_bytes(mount: &Mount) -> u64 {
    if mount.access() == Access::Write { 0 } else { mount.len() }
}

/// What is to go and what is to come for `to`, which is in order, to be shown in place of `from`.
pub(super) fn difference(from: &Mounts, to: &[Mount]) -> (Vec<Mount>, Vec<Mount>) {
    let goes = from.iter().filter(|mount| to.binary_search(mount).is_err()).copied().collect();
    (goes, to.iter().filter(|mount| !from.contains(mount)).copied().collect())
}

/// `mounts` without those in `without`, which are in order, and with `with`: in order.
pub(super) fn changed(mounts: &Mounts, without: &[Mount], with: Option<Mount>) -> Vec<Mount> {
    let mut changed: Vec<Mount> =
        mounts.iter().filter(|mount| without.binary_search(mount).is_err()).copied().collect();
    changed.extend(with);
    changed.sort_unstable();
    changed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::GRANULE;
    use crate::region::{Backing, FrozenRegion, Held, Mappable};
    use crate::view::Placement;

    fn mount(at: u64, granules: u64, is_frozen: bool) -> Mount {
        let region = Mappable::allocate(&Backing::in_blocks(), granules * GRANULE).unwrap();
        let held = if is_frozen { Held::Frozen(FrozenRegion::new(region)) } else { Held::Mappable(region) };
        Mount::new(Placement::new(at * GRANULE, granules * GRANULE, granules * GRANULE).unwrap(), &held)
    }

    fn share_a_granule(a: &Mount, b: &Mount) -> bool {
        let granules = |mount: &Mount| mount.offset() / GRANULE..(mount.offset() + mount.len()) / GRANULE;
        granules(a).any(|granule| granules(b).contains(&granule))
    }

    proptest! {
        #[test]
        fn mounts_are_found_where_they_are(
            steps in prop::collection::vec((0u64..24, 1u64..5, any::<bool>(), any::<bool>()), 0..60),
        ) {
            let (mut mounts, mut there) = (Mounts::default(), Vec::<(Mount, usize)>::new());
            for (number, (at, granules, is_frozen, goes)) in steps.into_iter().enumerate() {
                let new = mount(at, granules, is_frozen);
                let mut overlapping: Vec<Mount> = mounts.overlapping(new.range()).copied().collect();
                overlapping.reverse();
                let expected = there.iter().map(|(mount, _)| *mount).filter(|mount| share_a_granule(mount, &new));
                prop_assert_eq!(&overlapping, &expected.collect::<Vec<_>>());
                if goes {
                    for gone in overlapping {
                        let at = there.iter().position(|(mount, _)| *mount == gone).unwrap();
                        prop_assert_eq!(mounts.remove(&gone), Some(there.remove(at).1));
                        prop_assert_eq!(mounts.remove(&gone), None);
                    }
                } else if overlapping.is_empty() {
                    mounts.insert(new, number);
                    there.push((new, number));
                    there.sort_unstable();
                }
                prop_assert_eq!(mounts.iter().copied().collect::<Vec<_>>(), there.iter().map(|(mount, _)| *mount).collect::<Vec<_>>());
                prop_assert!(there.iter().all(|(mount, number)| mounts.get(mount) == Some(number)));
                let frozen = there.iter().filter(|(mount, _)| mount.access() == Access::Read);
                prop_assert_eq!(mounts.frozen_bytes(), frozen.map(|(mount, _)| mount.len()).sum::<u64>());
                prop_assert_eq!((mounts.len(), mounts.is_empty()), (there.len(), there.is_empty()));
            }
        }
    }

    #[test]
    fn a_difference_leads_from_one_set_to_the_other() {
        let [a, b, c, d] = [1, 2, 3, 4].map(|at| mount(at, 1, false));
        let between = |from: &[Mount], to: &[Mount]| difference(&from.iter().copied().collect(), to);
        assert_eq!(between(&[a, b, c], &[b, d]), (vec![a, c], vec![d]));
        assert_eq!(between(&[], &[a]), (vec![], vec![a]));
        assert_eq!(between(&[a], &[a]), (vec![], vec![]));
    }

    #[test]
    fn a_changed_set_is_in_order_and_free_of_what_was_taken_out() {
        let [a, b, c] = [1, 2, 3].map(|at| mount(at, 1, false));
        let changed =
            |mounts: &[Mount], without: &[Mount], with| changed(&mounts.iter().copied().collect(), without, with);
        assert_eq!(changed(&[a, c], &[], Some(b)), [a, b, c]);
        assert_eq!(changed(&[a, b, c], &[b], None), [a, c]);
        assert_eq!(changed(&[a, b], &[a], Some(c)), [b, c]);
    }
}
