//! How work is cancelled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Cancels work of [`Workers`](super::Workers) and of a [`Pipeline`](super::Pipeline), from any thread. Clones are the same
/// token.
///
/// What is cancelled begins no item any more, and gives back those that were not begun. Items that a worker has are
/// finished. To end those too, have guests interrupted: give stores an epoch deadline whose callback asks
/// [`Cancel::is_cancelled`] and returns an error, and advance the engine's epoch after [`Cancel::cancel`]. The guest traps
/// then, and what its worker had is freed.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use mappable::workers::{Cancel, MapError, Workers};
///
/// let mut workers = Workers::new(2, || Ok(()))?;
/// assert_eq!(workers.count(), 2);
/// let cancel = Cancel::new();
/// workers.set_cancel(&cancel);
/// // On any thread:
/// cancel.cancel();
/// assert!(cancel.is_cancelled());
///
/// let failed = workers.map(vec!["a", "b"], |_, _, item| Ok(item)).unwrap_err();
/// assert!(matches!(failed.reason, MapError::Cancelled));
/// // The items come back.
/// assert_eq!(failed.left, [(0, "a"), (1, "b")]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A token that is not cancelled. [`Cancel`] has an example.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels all work that has this token, now and later.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
