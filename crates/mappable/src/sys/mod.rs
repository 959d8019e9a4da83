//! Every system call of the library, and nothing else: one sparse file in memory ([`File`]) and ranges of the
//! address space into which parts of that file are mapped ([`Space`]).
//!
//! What is shown for reading alone has a [`Guard`], without which the host's own writes there would end the process.
//!
//! Which part of the file belongs to whom is decided in [`region`](crate::region), what is shown where in
//! [`view`](crate::view). Platforms without the means get [`unsupported`], with the same signatures; `.ci/twin` builds that
//! on Linux.

#[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
mod linux;
#[cfg(all(feature = "internals", target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
pub use linux::left_to_close;
#[cfg(all(feature = "ipc", target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
pub(crate) use linux::{Arrived, Socket, Until, wait_to_close};
#[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
pub(crate) use linux::{
    File, Foreign, Guard, Space, address_space_limit, faults, install_fault_handler, install_first_fault_handler,
    may_refuse_pages, reopened, unnamed_clone, with_spare_mappings,
};

#[cfg(not(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping))))]
mod unsupported;
#[cfg(all(
    feature = "internals",
    not(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))
))]
pub use unsupported::left_to_close;
#[cfg(not(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping))))]
pub(crate) use unsupported::{
    File, Guard, Space, address_space_limit, faults, install_fault_handler, install_first_fault_handler,
    may_refuse_pages, reopened, unnamed_clone, with_spare_mappings,
};

#[cfg(feature = "fault-injection")]
pub mod injection;

mod budget;
// The twin has no handler that would count.
#[cfg_attr(not(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping))), allow(dead_code))]
mod write_count;

use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use budget::Budget;
pub(crate) use write_count::WriteCount;

/// The size of a huge page in bytes, as most processors have it: what address ranges and extents are aligned for. Where
/// it is another, that is of no use, and does no harm.
pub(crate) const HUGE_PAGE: u64 = 2 << 20;

/// What may be done to bytes that are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Access {
    /// A write by the host goes to a copy of the pages, which is discarded with any change.
    Read,
    /// A write goes to a copy of the pages that is the mapping's own.
    Private,
    Write,
}

/// A system call that may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping))), allow(dead_code))]
#[cfg_attr(not(feature = "fault-injection"), expect(unreachable_pub))]
pub enum Call {
    /// `memfd_create`
    Create,
    /// `ftruncate`
    Truncate,
    /// `fcntl` to add seals
    Seal,
    /// `socket`, `socketpair`, `accept4`
    #[cfg(feature = "ipc")]
    Socket,
    /// `sendmsg`
    #[cfg(feature = "ipc")]
    SendMessage,
    /// `recvmsg`
    #[cfg(feature = "ipc")]
    ReceiveMessage,
    /// `open`
    Open,
    /// `ioctl` to share a file's blocks (`FICLONE`)
    Clone,
    /// `pread`
    Read,
    /// `pwrite`
    Write,
    /// `fallocate`
    Punch,
    /// `lseek`
    Seek,
    /// `mmap` of fresh addresses
    Reserve,
    /// `mmap` over addresses of our own
    Map,
    /// `mprotect`
    Protect,
    /// `madvise` for huge pages. That it fails makes no difference.
    Advise,
    /// `madvise` to move what is there into huge pages
    Collapse,
    /// `sigaction`
    Sigaction,
    /// The engine's growth by nothing, for a core module. No system call, but it is to be seen what comes of it, too.
    #[cfg(feature = "fault-injection")]
    Refresh,
}

static CALLS: AtomicU64 = AtomicU64::new(0);
static RESERVATIONS: AtomicU64 = AtomicU64::new(0);

/// How many system calls the library has made in this process: reservations, mappings, unmappings, holes punched.
///
/// A warm map or unmap makes none; take the difference around one to see.
#[cfg(feature = "internals")]
pub fn calls() -> u64 {
    CALLS.load(Ordering::Relaxed)
}

/// How many address ranges the library has reserved in this process: one for each memory, and one for each view that
/// was built besides its first.
#[cfg(feature = "internals")]
pub fn reservations() -> u64 {
    RESERVATIONS.load(Ordering::Relaxed)
}

/// Counts one system call.
#[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
fn count() {
    CALLS.fetch_add(1, Ordering::Relaxed);
}

/// Counts one system call that may fail. An error stands for the call, which is then not to be made: tests have it
/// fail.
#[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
fn enter(call: Call) -> std::io::Result<()> {
    count();
    if call == Call::Reserve {
        RESERVATIONS.fetch_add(1, Ordering::Relaxed);
    }
    #[cfg(feature = "fault-injection")]
    injection::enter(call)?;
    Ok(())
}
