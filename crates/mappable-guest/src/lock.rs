//! A lock for the one piece of global state: the free placements.
//!
//! # Safety
//!
//! A caller reaches the value only after it has exchanged `held` from false to true, and until it stores false again.
//! So one caller at a time does. A caller that finds the lock held spins. In WebAssembly without threads that never
//! happens: the lock is never held across code that could come back here.
#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

pub(crate) struct Lock<T> {
    held: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `with` gives the value to one caller at a time, on whichever thread (`T: Send`).
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    pub(crate) const fn new(value: T) -> Lock<T> {
        Lock { held: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Runs `body` with exclusive access to the value. `body` must not take the lock again.
    pub(crate) fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R {
        while self.held.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            core::hint::spin_loop();
        }
        let _release = Release(&self.held);
        // SAFETY: `held` was exchanged from false above and is released when `_release` drops, after `body`.
        let value = unsafe { &mut *self.value.get() };
        body(value)
    }
}

struct Release<'a>(&'a AtomicBool);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
