//! How many views there may be, in a runtime and in a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A limit on views, and how many there are.
#[derive(Debug)]
pub(crate) struct Allowance {
    live: AtomicUsize,
    max: AtomicUsize,
}

impl Allowance {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { live: AtomicUsize::new(0), max: AtomicUsize::new(max) })
    }

    /// Sets the limit. Views that there are stay.
    pub(crate) fn set_max(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// Leave to have one more view, of so many mounts, given back on drop. `None` when there is not that much left.
    ///
    /// A mount takes two of the process's mappings, so every two count as a view.
    pub(super) fn permit(self: &Arc<Self>, mounts: usize) -> Option<Permit> {
        let views = mounts.div_ceil(2).max(1);
        let max = self.max.load(Ordering::Relaxed);
        let more = |live: usize| live.checked_add(views).filter(|&live| live <= max);
        self.live.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Permit { allowance: Arc::clone(self), views })
    }
}

/// One view's share of an allowance.
#[derive(Debug)]
pub(crate) struct Permit {
    allowance: Arc<Allowance>,
    views: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.allowance.live.fetch_sub(self.views, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_given_up_to_the_limit_and_come_back() {
        let allowance = Allowance::new(3);
        let of_one = allowance.permit(0).unwrap();
        let of_two = allowance.permit(3).unwrap();
        assert!(allowance.permit(1).is_none());
        drop(of_two);
        assert!(allowance.permit(5).is_none());
        assert!(allowance.permit(4).is_some());
        drop(of_one);
        allowance.set_max(0);
        assert!(allowance.permit(1).is_none());
    }
}
