//! Pages of a file of others that are gone while they are shown: the file was made shorter, or its disk can't be read.
//!
//! Linux says so with `SIGBUS` at the first access, which would end the process. In compiled code the engine turns a fault
//! into a trap. It has no handler for this signal, but its handler for `SIGSEGV` goes by the address of the code alone, so that
//! one is asked. What it passes on is the host's own access: the host reads zeroes from there on, to the end of what is shown,
//! as if the file had a hole there.
//!
//! # Safety
//!
//! As in [`fault`](super::fault): only pages inside of a range that a [`Guard`](super::Guard) covers are replaced, by private
//! ones, with a system call and no lock.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr;

use libc::{BUS_ADRERR, SIGSEGV, siginfo_t};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

use super::{fault, spare};
use crate::sys::count;

pub(super) extern "C" fn on_fault(signal: i32, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel, or the handler that passes the fault on, gives a valid `siginfo_t`.
    let lost = unsafe { &*info };
    // SAFETY: for this signal the address is set.
    let address = unsafe { lost.si_addr() }.addr();
    let is_of_others = || fault::find(address).is_some_and(|(slot, _)| slot.is_of_others());
    if lost.si_code != BUS_ADRERR || !is_of_others() {
        return fault::pass_on(signal, info, context);
    }
    match fault::engine() {
        // What it does not know comes to `fault::on_fault`, and so to `replace`.
        Some(engine) => engine(SIGSEGV, info, context),
        None if replace(address) => {}
        None => fault::pass_on(signal, info, context),
    }
}

/// Shows zeroes in place of a file of others, from the page of `address` on. `false` if there is no such range, or no room.
pub(super) fn replace(address: usize) -> bool {
    let Some((slot, range)) = fault::find(address).filter(|(slot, _)| slot.is_of_others()) else { return false };
    // A private mapping notes itself which granules were written to. The kernel has dropped those behind the file's new end.
    if slot.written().is_none() {
        slot.note_private();
    }
    let start = address / rustix::param::page_size() * rustix::param::page_size();
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
    let show = || {
        count();
        // SAFETY: the pages are in a range that a `Guard` covers, so mapped, and its owner's. Who reads them reads other bytes
        // from then on, as after any change of such a file.
        unsafe { mmap_anonymous(ptr::with_exposed_provenance_mut(start), range.end - start, ProtFlags::READ, flags) }
            .is_ok()
    };
    show() || (spare::give_up() && show())
}
