//! For tests: has system calls of the library fail, as if the operating system had refused them.
//!
//! Faults are the calling thread's alone, so that tests that run side by side don't see each other's.

use std::cell::Cell;
use std::io;

pub use super::Call;

thread_local! {
    /// How many more of the calls go through before one fails.
    static COUNTDOWN: Cell<Option<(Call, u64)>> = const { Cell::new(None) };
    /// How many fail from there on.
    static TIMES: Cell<u64> = const { Cell::new(1) };
    /// Whether a call has failed since [`fail`].
    static FAILED: Cell<bool> = const { Cell::new(false) };
}

/// Has this thread's call of that kind fail, once, after `succeed` others of it have gone through.
pub fn fail(call: Call, succeed: u64) {
    FAILED.set(false);
    TIMES.set(1);
    COUNTDOWN.set(Some((call, succeed)));
}

/// Has this thread's next calls of that kind fail, so many of them.
pub fn fail_times(call: Call, times: u64) {
    fail(call, 0);
    TIMES.set(times);
}

/// Makes this thread's calls of that kind fail after `succeed` others, all of them, until [`stop`].
pub fn fail_from(call: Call, succeed: u64) {
    fail(call, succeed);
    TIMES.set(u64::MAX);
}

/// Lets all calls through again. Returns whether one failed since [`fail`].
pub fn stop() -> bool {
    COUNTDOWN.set(None);
    FAILED.replace(false)
}

/// Stands before each call that may fail.
pub(crate) fn enter(call: Call) -> io::Result<()> {
    match COUNTDOWN.get() {
        Some((kind, 0)) if kind == call => {
            let times = TIMES.get().saturating_sub(1);
            TIMES.set(times);
            if times == 0 {
                COUNTDOWN.set(None);
            }
            FAILED.set(true);
            Err(io::ErrorKind::OutOfMemory.into())
        }
        Some((kind, left)) if kind == call => {
            COUNTDOWN.set(Some((kind, left - 1)));
            Ok(())
        }
        _ => Ok(()),
    }
}
