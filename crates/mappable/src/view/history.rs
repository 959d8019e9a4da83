//! What a memory was lately to show and had no view for: how a set of mounts that comes again is told from one that is
//! shown once. Arithmetic alone.
//!
//! It remembers the last misses, several times as many as there may be views. Sets that come around in a cycle are found
//! as long as the cycle is no longer than that; of a longer one, views could show so little that nothing is lost.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hasher};

use super::Mount;
use crate::sys::Access;
use crate::tuning::MISSES_A_VIEW;

/// What stands for a set of mounts. Two may have the same one: then a view is built, or kept, for one that is not worth
/// it, and no more.
pub(super) type Fingerprint = u64;

/// The last misses.
#[derive(Debug)]
pub(super) struct History {
    /// When each set was last missed, of those in `misses`.
    latest: BTreeMap<Fingerprint, u64>,
    /// In the order in which they were noted. No more than `bound`.
    misses: VecDeque<(Fingerprint, u64)>,
    bound: usize,
}

impl History {
    /// For a memory that may have so many views.
    pub(super) fn new(views: usize) -> Self {
        Self { latest: BTreeMap::new(), misses: VecDeque::new(), bound: views.saturating_mul(MISSES_A_VIEW) }
    }

    /// Notes that a set is missed now. Returns when it was missed before, if that is remembered. No two misses are at the
    /// same time.
    pub(super) fn note(&mut self, set: Fingerprint, now: u64) -> Option<u64> {
        let before = self.latest.insert(set, now);
        self.misses.push_back((set, now));
        if self.misses.len() > self.bound
            && let Some((oldest, when)) = self.misses.pop_front()
            && self.latest.get(&oldest) == Some(&when)
        {
            self.latest.remove(&oldest);
        }
        before
    }
}

/// Stands for what is shown where.
pub(super) fn fingerprint(mounts: &[Mount]) -> Fingerprint {
    let mut hasher = DefaultHasher::new();
    for mount in mounts {
        hasher.write_u64(mount.offset());
        hasher.write_u64(mount.source().range.start());
        hasher.write_u64(mount.len());
        hasher.write_u8(u8::from(mount.access() == Access::Write));
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_last_misses_are_remembered_and_no_others(
            views in 0usize..4,
            sets in prop::collection::vec(0u64..40, 0..200),
        ) {
            let mut history = History::new(views);
            for (now, &set) in sets.iter().enumerate() {
                // What was noted before this, and not so long ago that others have taken its place.
                let remembered = &sets[now.saturating_sub(history.bound)..now];
                let before = remembered.iter().rposition(|&other| other == set);
                let expected = before.map(|at| (now - remembered.len() + at) as u64);
                prop_assert_eq!(history.note(set, now as u64), expected);
                prop_assert!(history.misses.len() <= history.bound && history.latest.len() <= history.misses.len());
            }
        }
    }
}
