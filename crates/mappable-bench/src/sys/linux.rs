//! By `ptrace`, and the clock of a thread; and a file that is mapped over a memory.
//!
//! # Safety
//!
//! `ptrace` is called with requests that neither read nor write memory of the caller: `PTRACE_TRACEME` ignores all
//! arguments, and the others are of a child, by number. What they can do to a child is no matter of the caller's
//! memory.
//!
//! `mmap` replaces pages of a linear memory, which the engine takes for bytes that a guest may have changed. It reads and writes them
//! only while the store runs, and this has the store.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::ops::Range;
use std::process::Child;
use std::ptr::without_provenance_mut;
use std::time::Duration;

use rustix::mm::{MapFlags, ProtFlags, mmap};
use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};

use wasmtime::{AsContextMut, Memory};

use super::Steps;

pub(super) fn thread_cpu_time() -> io::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to the value that the pointer is made of.
    let answer = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0)))
}

pub(super) fn map_over(
    memory: Memory,
    mut store: impl AsContextMut,
    range: Range<u64>,
    file: &File,
    offset: u64,
    written: bool,
) -> io::Result<()> {
    let page = rustix::param::page_size() as u64;
    let bytes = memory.data_mut(&mut store);
    let whole = [range.start, range.end].iter().all(|end| end.is_multiple_of(page));
    let of_range = bytes.get_mut(range.start as usize..range.end as usize).filter(|_| whole);
    let at = of_range.ok_or(io::ErrorKind::InvalidInput)?;
    let access = if written { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
    let flags = MapFlags::PRIVATE | MapFlags::FIXED;
    // SAFETY: the pages are the memory's, checked above, and no reference to them is left: the one here is not used any more. The
    // engine unmaps its whole reservation when the memory is dropped.
    unsafe { mmap(at.as_mut_ptr().cast(), at.len(), access, flags, file, offset) }?;
    Ok(())
}

pub(super) fn be_counted() -> io::Result<()> {
    // SAFETY: the request ignores its arguments.
    let answer = unsafe { libc::ptrace(libc::PTRACE_TRACEME) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

pub(super) fn mark() -> io::Result<()> {
    // To this thread, which is the one that is traced. SAFETY: takes a number.
    let answer = unsafe { libc::raise(libc::SIGSTOP) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

pub(super) fn between_marks(child: &mut Child, at_most: u64) -> io::Result<Steps> {
    let traced = Traced { pid: Pid::from_child(child) };
    traced.until_mark()?;
    let (mut count, mut at) = (0, traced.position()?);
    let mut pass_on = 0;
    loop {
        if count == at_most {
            return Ok(Steps::TooMany);
        }
        traced.go_on(libc::PTRACE_SINGLESTEP, pass_on)?;
        pass_on = 0;
        match traced.stopped_by()? {
            libc::SIGTRAP => {
                let next = traced.position()?;
                // At the same place is one that repeats.
                count += u64::from(next != at);
                at = next;
            }
            libc::SIGSTOP => break,
            other => pass_on = other,
        }
    }
    traced.go_on(libc::PTRACE_DETACH, 0)?;
    Ok(Steps::Counted(count))
}

/// A child that has asked for it.
struct Traced {
    pid: Pid,
}

impl Traced {
    /// Lets signals pass until the child stops itself.
    fn until_mark(&self) -> io::Result<()> {
        loop {
            match self.stopped_by()? {
                libc::SIGSTOP => return Ok(()),
                other => self.go_on(libc::PTRACE_CONT, other)?,
            }
        }
    }

    /// The signal that stops it next.
    fn stopped_by(&self) -> io::Result<i32> {
        let waited = waitpid(Some(self.pid), WaitOptions::empty())?;
        let signal = waited.and_then(|(_, status): (_, WaitStatus)| status.stopping_signal());
        signal.ok_or_else(|| io::Error::other("the child ended before its second mark"))
    }

    /// Where the instruction is that comes next.
    fn position(&self) -> io::Result<i64> {
        let rip = without_provenance_mut::<libc::c_void>(offset_of!(libc::user, regs.rip));
        // SAFETY: reads a word of the child's, by its offset, and answers it.
        let at = unsafe { libc::ptrace(libc::PTRACE_PEEKUSER, self.pid.as_raw_nonzero().get(), rip, 0) };
        // No instruction is at the last address.
        if at == -1 { Err(io::Error::last_os_error()) } else { Ok(at) }
    }

    /// Lets the child go on, with this signal if it is not 0.
    fn go_on(&self, request: libc::c_uint, signal: i32) -> io::Result<()> {
        let signal = without_provenance_mut::<libc::c_void>(signal as usize);
        let no_address = without_provenance_mut::<libc::c_void>(0);
        // SAFETY: lets a child of ours run.
        let answer = unsafe { libc::ptrace(request, self.pid.as_raw_nonzero().get(), no_address, signal) };
        if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}
