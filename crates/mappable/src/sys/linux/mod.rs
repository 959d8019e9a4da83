//! Linux: `memfd_create`, `ftruncate`, `fallocate`, `lseek`, `pread`, `pwrite`, `mmap`, `munmap`, `mprotect`,
//! `madvise`, `getrlimit`, `fcntl`, `fstatfs`, `ioctl`, and in [`fault`] `sigaction`.
//!
//! What is asked of the system as a whole is here. [`File`] and [`Space`] have the calls that are about one file or one range of
//! addresses.

use rustix::process::{Resource, getrlimit};

mod closing;
mod constant;
mod fault;
mod file;
mod lost;
mod private;
mod sealable;
mod snapshot;
#[cfg(feature = "ipc")]
mod socket;
mod space;
mod spare;

pub(crate) use closing::Foreign;
#[cfg(feature = "internals")]
pub use closing::left_to_close;
#[cfg(feature = "ipc")]
pub(crate) use closing::wait_to_close;
pub(crate) use fault::{Guard, faults, install as install_fault_handler, install_first as install_first_fault_handler};
pub(crate) use file::File;
pub(crate) use snapshot::{reopened, unnamed_clone};
#[cfg(feature = "ipc")]
pub(crate) use socket::{Arrived, Socket, Until};
pub(crate) use space::Space;
pub(crate) use spare::with_spare_mappings;

/// Whether the system may refuse a page of a file in memory when it is first touched, with a signal that ends the process:
/// where it commits no more than it has, it counts such pages as they come.
pub(crate) fn may_refuse_pages() -> bool {
    std::fs::read_to_string("/proc/sys/vm/overcommit_memory").is_ok_and(|mode| never_overcommits(&mode))
}

/// `vm.overcommit_memory` is 2.
fn never_overcommits(mode: &str) -> bool {
    mode.trim() == "2"
}

/// How many bytes of address space the process may have, if that is limited (`ulimit -v`).
pub(crate) fn address_space_limit() -> Option<u64> {
    getrlimit(Resource::As).current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mode_2_of_overcommitment_refuses_pages() {
        assert!(never_overcommits("2\n"));
        assert!(["0\n", "1\n", "", "22"].iter().all(|mode| !never_overcommits(mode)));
    }
}
