//! Linux: `memfd_create`, `ftruncate`, `fallocate`, `pread`, `pwrite`, `mmap`, `munmap`, `getrlimit`, and in [`fault`]
//! `sigaction` and `mprotect`.
//!
//! # Safety
//!
//! The raw calls could unmap or replace memory that others use. Two facts rule that out, and each block below
//! names the one that it relies on:
//!
//! - **Own range**: a [`Space`] is an address range that the kernel chose for us and that nobody else is given. All
//!   later calls stay inside it (checked), until its drop.
//! - **Raw only**: a `Space` hands out a raw base pointer, never a reference. Who makes a reference or an access from
//!   it must argue that what is mapped there stays.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io;
use std::os::unix::fs::FileExt;
use std::ptr::{self, NonNull};

use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, ftruncate, memfd_create};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use rustix::process::{Resource, getrlimit};

use super::{Access, Call, count, enter};

mod fault;
pub(crate) use fault::{Guard, faults, install as install_fault_handler};

/// A file whose pages are mapped: one of our own, sparse and in memory, in which pages that were never touched, or were
/// punched out, read as zero and take no memory; or one of others.
#[derive(Debug)]
pub(crate) struct File {
    file: std::fs::File,
    /// Never less than this, or an access to a mapped page past the end would be a bus error. Our own are set to it once;
    /// for those of others it is the word of who brought them.
    len: u64,
}

impl File {
    /// A file of `len` bytes, all holes.
    pub(crate) fn create(name: &str, len: u64) -> io::Result<Self> {
        // Over the limit, the kernel would end the process with a signal rather than answer.
        if let Some(limit) = getrlimit(Resource::Fsize).current
            && limit < len
        {
            let text = format!("the limit on file sizes is {limit} bytes: lift it (ulimit -f unlimited)");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        enter(Call::Create)?;
        let file = memfd_create(name, MemfdFlags::CLOEXEC)?;
        enter(Call::Truncate)?;
        ftruncate(&file, len)?;
        Ok(Self { file: file.into(), len })
    }

    /// A file of others, which must stay as it is.
    pub(crate) fn of(file: &std::fs::File) -> io::Result<Self> {
        Ok(Self { file: file.try_clone()?, len: file.metadata()?.len() })
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Copies bytes out. A hole reads as zero, and stays one; so does what is past the end.
    pub(crate) fn read(&self, start: u64, into: &mut [u8]) -> io::Result<()> {
        enter(Call::Read)?;
        let inside = self.len.saturating_sub(start).min(into.len() as u64) as usize;
        let (inside, past) = into.split_at_mut(inside);
        past.fill(0);
        self.file.read_exact_at(inside, start)
    }

    /// Copies bytes in.
    pub(crate) fn write(&self, start: u64, from: &[u8]) -> io::Result<()> {
        enter(Call::Write)?;
        self.file.write_all_at(from, start)
    }

    /// Frees the pages of a range, which reads as zero from then on, through every mapping of it.
    pub(crate) fn punch(&self, start: u64, len: u64) -> io::Result<()> {
        enter(Call::Punch)?;
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(fallocate(&self.file, flags, start, len)?)
    }

    /// How many of the `len` bytes from `start` lie on pages of the file, the last of which may be there in part.
    fn mappable(&self, start: u64, len: usize) -> usize {
        let pages = self.len.next_multiple_of(rustix::param::page_size() as u64);
        pages.saturating_sub(start).min(len as u64) as usize
    }
}

/// A range of addresses that is ours. Nothing is accessible in it but what [`Space::map`] has put there.
#[derive(Debug)]
pub(crate) struct Space {
    /// Page-aligned, the start of `len` bytes that were mapped by [`Space::reserve`] and belong to this value.
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a `Space` is an address and a length; the kernel serialises calls on it, and it gives no access by itself
// (raw only).
unsafe impl Send for Space {}
// SAFETY: as above; `map` through a shared reference is one system call, and atomic to other threads.
unsafe impl Sync for Space {}

impl Space {
    /// Reserves `len` bytes of address space. Costs no memory.
    pub(crate) fn reserve(len: usize) -> io::Result<Self> {
        enter(Call::Reserve)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: with no address given, the kernel picks a range that nobody uses.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), len, ProtFlags::empty(), flags) }?;
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { base, len })
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Shows `len` bytes of `file` from `start` at offset `at`, in place of what was there; past the file's end, zeroes.
    /// [`Access::Write`] shows the pages themselves, [`Access::Read`] private ones that follow the file until they are
    /// written to.
    ///
    /// An error may leave the range inaccessible, but never to others: map something over it, or give the space up.
    pub(crate) fn map(&self, at: usize, file: &File, start: u64, len: usize, access: Access) -> io::Result<()> {
        if at.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("bug: mapping {len} bytes at {at} leaves a space of {} bytes", self.len),
            ));
        }
        let (rights, sharing) = match access {
            Access::Write => (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED),
            Access::Read => (ProtFlags::READ, MapFlags::PRIVATE | MapFlags::NORESERVE),
        };
        let mapped = file.mappable(start, len);
        if mapped > 0 {
            let address = self.base.as_ptr().wrapping_add(at).cast::<c_void>();
            self.replace(address, mapped, || {
                // SAFETY: `at + mapped <= self.len`, so only pages of our own range are replaced, and nobody holds a
                // reference into them without having argued for it (raw only).
                unsafe { mmap(address, mapped, rights, sharing | MapFlags::FIXED, &file.file, start) }
            })?;
        }
        if mapped < len {
            let (address, rest) = (self.base.as_ptr().wrapping_add(at + mapped).cast::<c_void>(), len - mapped);
            self.replace(address, rest, || {
                let sharing = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
                // SAFETY: `at + len <= self.len`, and as above.
                unsafe { mmap_anonymous(address, rest, rights, sharing) }
            })?;
        }
        Ok(())
    }

    /// Frees the private pages of a range that is shown for reading: it shows the file again, but may be written to until
    /// it is mapped anew.
    pub(crate) fn discard(&self, at: usize, len: usize) -> io::Result<()> {
        if at.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "bug: a range leaves its space"));
        }
        count();
        let address = self.base.as_ptr().wrapping_add(at).cast::<c_void>();
        // SAFETY: `at + len <= self.len`, so only pages of our own range lose what was written to them, and nobody holds
        // a reference into them without having argued for it (raw only).
        Ok(unsafe { madvise(address, len, Advice::LinuxDontNeed) }?)
    }

    /// Calls `mmap` for a range of ours.
    fn replace(
        &self,
        address: *mut c_void,
        len: usize,
        mmap: impl FnOnce() -> rustix::io::Result<*mut c_void>,
    ) -> io::Result<()> {
        enter(Call::Map)?;
        mmap().map(drop).map_err(|error| {
            self.close_hole(address, len);
            error.into()
        })
    }

    /// Takes a range of ours again if a mapping that failed has given it up. (Kernels before 6.12 unmap what was there
    /// before they know that the new mapping will be.) Somebody else's memory there would be in a guest's reach.
    fn close_hole(&self, address: *mut c_void, len: usize) {
        count();
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED_NOREPLACE;
        // SAFETY: nothing is replaced: where the range is not free, the call fails and there is no hole.
        let _ = unsafe { mmap_anonymous(address, len, ProtFlags::empty(), flags) };
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        count();
        // SAFETY: the range is ours and this is its last use; who kept a pointer had to argue that it is not used.
        let unmapped = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
        if let Err(error) = unmapped {
            // The range stays taken, which is harmless; nothing can be done about it here.
            tracing::warn!(%error, len = self.len, "an address range was not given back");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = 1 << 20;

    #[test]
    fn a_mapping_that_fails_leaves_the_space_ours() {
        let file = File::create("test", 1 << 30).unwrap();
        let space = Space::reserve(LEN).unwrap();
        let address = space.base().as_ptr().cast::<c_void>();
        // An offset that is no multiple of a page is refused.
        assert!(space.map(0, &file, 1, LEN, Access::Write).is_err());
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED_NOREPLACE;
        // SAFETY: replaces nothing; it is to fail.
        let taken = unsafe { mmap_anonymous(address, LEN, ProtFlags::empty(), flags) };
        assert_eq!(taken.unwrap_err(), rustix::io::Errno::EXIST);
    }

    #[test]
    fn a_mapping_stays_inside_its_space() {
        let file = File::create("test", 1 << 30).unwrap();
        let space = Space::reserve(LEN).unwrap();
        for (at, len) in [(LEN, 65_536), (LEN - 65_536, 131_072), (usize::MAX, 2)] {
            assert_eq!(space.map(at, &file, 0, len, Access::Write).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }
}
