//! Mappings to spare: a few of the process's that are given up when the system allows no more, so that what must be put
//! back is.
//!
//! A process that has one mapping more than it may is refused every `mmap`, also one that makes none more (`do_mmap` in
//! the kernel, `mm/mmap.c`; it gets there because a mapping in the middle of another makes two). Nothing could be
//! unmapped then, and no memory made whole after a change that was refused.
//!
//! # Safety
//!
//! Own range, as in the module above: nothing is ever accessed in it.

#![allow(unsafe_code)]

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

use crate::sys::count;

/// How many pages have other rights than their neighbours: each takes two mappings. One change needs no more than that of
/// one; the others are for what other threads map meanwhile.
const PAGES: usize = 8;

/// The address of the range; 0 if there is none. An atomic, since a handler of signals gives it up, too.
static SPARE: AtomicUsize = AtomicUsize::new(0);

/// Takes mappings to spare, if the process has none.
pub(super) fn keep() {
    if SPARE.load(Ordering::Relaxed) == 0
        && let Ok(made) = make()
        && SPARE.compare_exchange(0, made, Ordering::Relaxed, Ordering::Relaxed).is_err()
    {
        unmap(made);
    }
}

/// Gives up the mappings to spare. Returns whether there were any.
pub(super) fn give_up() -> bool {
    let address = SPARE.swap(0, Ordering::Relaxed);
    if address != 0 {
        unmap(address);
    }
    address != 0
}

fn unmap(address: usize) {
    count();
    // SAFETY: the range is ours, and nobody accesses it.
    let _ = unsafe { munmap(ptr::with_exposed_provenance_mut(address), len()) };
}

/// Calls `restore`, which puts back what must be there, and may do so twice. If the system has no mapping left for it,
/// those to spare are given up first.
pub(crate) fn with_spare_mappings(mut restore: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    match restore() {
        Err(error) if error.raw_os_error() == Some(Errno::NOMEM.raw_os_error()) => {
            give_up();
            let restored = restore();
            keep();
            restored
        }
        restored => restored,
    }
}

fn make() -> io::Result<usize> {
    count();
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: with no address given, the kernel picks a range that nobody uses.
    let start = unsafe { mmap_anonymous(ptr::null_mut(), len(), ProtFlags::empty(), flags) }?;
    for page in 0..PAGES {
        let address = start.wrapping_byte_add((2 * page + 1) * rustix::param::page_size());
        count();
        // SAFETY: a page of the range that was just reserved, which nobody accesses.
        if let Err(error) = unsafe { mprotect(address, rustix::param::page_size(), MprotectFlags::READ) } {
            // SAFETY: as above.
            let _ = unsafe { munmap(start, len()) };
            return Err(error.into());
        }
    }
    Ok(start.expose_provenance())
}

fn len() -> usize {
    (2 * PAGES + 1) * rustix::param::page_size()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_puts_back_one_thing_may_put_back_others() {
        let refused = || Err(Errno::NOMEM.into());
        let mut calls = 0;
        let restored = with_spare_mappings(|| {
            calls += 1;
            with_spare_mappings(refused)
        });
        assert_eq!((restored.unwrap_err().raw_os_error(), calls), (Some(Errno::NOMEM.raw_os_error()), 2));
        assert_ne!(SPARE.load(Ordering::Relaxed), 0, "there are mappings to spare again");
    }
}
