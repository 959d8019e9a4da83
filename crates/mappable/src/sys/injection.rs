//! For tests: has system calls of the library fail, as if the operating system had refused them.
//!
//! Faults are the calling thread's alone, so that tests that run side by side don't see each other's.

use std::cell::Cell;
use std::io;

pub use super::Call;

thread_local! {
    /// How many more of the calls go through before one fails.
    static COUNTDOWN: Cell<Option<(Call, u64)>> = const { Cell::new(None) };
    /// Whether those after it fail too.
    static GOES_ON: Cell<bool> = const { Cell::new(false) };
    /// Whether a call has failed since [`fail`].
    static FAILED: Cell<bool> = const { Cell::new(false) };
}

/// Has this thread's call of that kind fail, once, after `succeed` others of it have gone through.
pub fn fail(call: Call, succeed: u64) {
    FAILED.set(false);
    GOES_ON.set(false);
    COUNTDOWN.set(Some((call, succeed)));
}

/// Makes this thread's calls of that kind fail after `succeed` others, all of them, until [`stop`].
pub fn fail_from(call: Call, succeed: u64) {
    fail(call, succeed);
    GOES_ON.set(true);
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
            if !GOES_ON.get() {
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
