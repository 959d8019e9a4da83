//! Every system call of the library, and nothing else: one sparse file in memory ([`File`]) and ranges of the
//! address space into which parts of that file are mapped ([`Space`]).
//!
//! Which part of the file belongs to whom is decided in [`region`](crate::region), what is shown where in
//! [`view`](crate::view). Platforms without the means get [`unsupported`], with the same signatures.

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod linux;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub(crate) use linux::{File, Space};

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
mod unsupported;
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub(crate) use unsupported::{File, Space};

use std::sync::atomic::{AtomicU64, Ordering};

static CALLS: AtomicU64 = AtomicU64::new(0);

/// How many system calls the library has made in this process: reservations, mappings, unmappings, holes punched.
///
/// A warm map or unmap makes none; take the difference around one to see.
pub fn calls() -> u64 {
    CALLS.load(Ordering::Relaxed)
}

/// Counts one system call.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn count() {
    CALLS.fetch_add(1, Ordering::Relaxed);
}
