//! How many bytes a store may still take, counted where a handler of signals counts, too.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What a store takes, and up to how much. All operations are single atomics: they take no lock and allocate nothing.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicU64,
    limit: AtomicU64,
    /// In how many places apart from one another private mappings were written to: see [`super::Guard::private`].
    #[cfg_attr(not(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping))), allow(dead_code))]
    pub(super) places: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Self {
        Self { used: AtomicU64::new(0), limit: AtomicU64::new(limit), places: AtomicUsize::new(0) }
    }

    /// Sets the limit. What is taken already stays.
    pub(crate) fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether there is room for so many more. For none there is, also beyond the limit.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        bytes == 0 || self.used().checked_add(bytes).is_some_and(|used| used <= self.limit.load(Ordering::Relaxed))
    }

    /// Takes so many more if there is room for them.
    #[cfg_attr(not(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping))), allow(dead_code))]
    pub(super) fn try_take(&self, bytes: u64) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        let more = |used: u64| used.checked_add(bytes).filter(|&used| used <= limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Takes so many more, whether or not there is room for them.
    pub(crate) fn take(&self, bytes: u64) {
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(used.saturating_add(bytes)));
    }

    pub(crate) fn give_back(&self, bytes: u64) {
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(used.saturating_sub(bytes)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_is_taken_as_there_is_room_for() {
        let budget = Budget::new(10);
        assert!(budget.try_take(7) && budget.has_room(3) && !budget.has_room(4) && !budget.try_take(4));
        assert_eq!(budget.used(), 7);
        budget.take(5);
        assert!(budget.has_room(0) && !budget.has_room(1) && !budget.has_room(u64::MAX));
        budget.give_back(12);
        budget.set_limit(1);
        assert!(budget.try_take(1) && !budget.try_take(1));
    }
}
