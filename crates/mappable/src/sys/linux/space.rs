//! Ranges of the address space: reserved, and files or memory of nobody's mapped into them.
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
use std::mem;
use std::ptr::{self, NonNull};

use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, munmap};

use super::File;
use crate::sys::{Access, Call, HUGE_PAGE, count, enter};

/// Asks for what is there to be moved into huge pages. Linux 6.1 and later, on every processor.
const MADV_COLLAPSE: libc::c_int = 25;

/// A range of addresses that is ours. Nothing is accessible in it but what [`Space::map`] has put there, and what was
/// reserved there and opened.
#[derive(Debug)]
pub(crate) struct Space {
    /// Page-aligned, the start of `len` bytes inside of `reserved`.
    base: NonNull<u8>,
    len: usize,
    /// What was mapped by [`Space::reserve`], and belongs to this value. Nothing is ever shown in it outside of `len`.
    reserved: (NonNull<u8>, usize),
}

// SAFETY: a `Space` is an address and a length; the kernel serialises calls on it, and it gives no access by itself
// (raw only).
unsafe impl Send for Space {}
// SAFETY: as above; `map` through a shared reference is one system call, and atomic to other threads.
unsafe impl Sync for Space {}

impl Space {
    /// Reserves `len` bytes of address space. Costs no memory. If they have room for a huge page, they begin as far
    /// past a multiple of one as `like` is.
    pub(crate) fn reserve(len: usize, like: u64) -> io::Result<Self> {
        enter(Call::Reserve)?;
        let slack = if len as u64 >= HUGE_PAGE { HUGE_PAGE as usize } else { 0 };
        let all = len.checked_add(slack).ok_or(io::ErrorKind::OutOfMemory)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: with no address given, the kernel picks a range that nobody uses.
        let reserved = unsafe { mmap_anonymous(ptr::null_mut(), all, ProtFlags::empty(), flags) }?;
        let reserved = NonNull::new(reserved.cast::<u8>()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let skipped = if slack > 0 { distance(reserved.addr().get(), like) } else { 0 };
        // SAFETY: `skipped` is less than the slack, so that `len` bytes are left of what was reserved.
        let base = unsafe { reserved.add(skipped) };
        Ok(Self { base, len, reserved: (reserved, all) })
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Splits off what is behind the first `at` bytes, a multiple of the page size. What is shown stays as it is, without a
    /// system call.
    pub(crate) fn split_off(&mut self, at: usize) -> io::Result<Self> {
        let start = self.part(at, self.len.saturating_sub(at))?;
        let base = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let before = base.addr().get() - self.reserved.0.addr().get();
        let high = Self { base, len: self.len - at, reserved: (base, self.reserved.1 - before) };
        self.len = at;
        self.reserved.1 = before;
        Ok(high)
    }

    /// Adds another space that begins where this one ends, without a system call. Gives it back if it does not.
    pub(crate) fn append(&mut self, high: Self) -> Result<(), Self> {
        let end = |start: NonNull<u8>, len: usize| start.addr().get() + len;
        let begins = (high.base.addr().get(), high.reserved.0.addr().get());
        if begins != (end(self.base, self.len), end(self.reserved.0, self.reserved.1)) {
            return Err(high);
        }
        self.len += high.len;
        self.reserved.1 += high.reserved.1;
        // Its range is this one's.
        mem::forget(high);
        Ok(())
    }

    /// Shows `len` bytes of `file` from `start` at offset `at`, in place of what was there; past the file's end,
    /// zeroes.
    /// [`Access::Write`] shows the pages themselves, the others private ones that follow the file until they are written to.
    ///
    /// An error may leave the range inaccessible, but never to others: map something over it, or give the space up.
    pub(crate) fn map(&self, at: usize, file: &File, start: u64, len: usize, access: Access) -> io::Result<()> {
        let address = self.part(at, len)?;
        let (rights, sharing) = match access {
            Access::Write => (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED),
            Access::Read | Access::Private => (ProtFlags::READ, MapFlags::PRIVATE | MapFlags::NORESERVE),
        };
        let mapped = file.mappable(start, len);
        if mapped > 0 {
            self.replace(address, mapped, || {
                // SAFETY: `at + mapped <= self.len`, so only pages of our own range are replaced, and nobody holds a
                // reference into them without having argued for it (raw only).
                unsafe { mmap(address, mapped, rights, sharing | MapFlags::FIXED, &*file.file, start) }
            })?;
        }
        if mapped < len {
            let (address, rest) = (address.wrapping_byte_add(mapped), len - mapped);
            self.replace(address, rest, || {
                let sharing = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
                // SAFETY: `at + len <= self.len`, and as above.
                unsafe { mmap_anonymous(address, rest, rights, sharing) }
            })?;
        }
        Ok(())
    }

    /// Maps `len` bytes of `file` from `start` at offset `at`, in place of what was there: for [`Space::commit`] to show,
    /// and inaccessible until then. They are inside of the file. Neighbours in the file that are reserved side by side are
    /// one mapping of the process's, as are those that are committed.
    ///
    /// As for [`Space::map`], an error may leave the range inaccessible.
    pub(crate) fn reserve_file(&self, at: usize, file: &File, start: u64, len: usize) -> io::Result<()> {
        let address = self.part(at, len)?;
        if file.mappable(start, len) < len {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "bug: past the end of a file there is nothing to reserve",
            ));
        }
        self.replace(address, len, || {
            let sharing = MapFlags::SHARED | MapFlags::FIXED;
            // SAFETY: `at + len <= self.len`, so only pages of our own range are replaced, and nobody holds a reference
            // into them without having argued for it (raw only).
            unsafe { mmap(address, len, ProtFlags::empty(), sharing, &*file.file, start) }
        })
    }

    /// Makes what is reserved in a range accessible: pages of the file that it was reserved for, or of nobody's, all zero.
    /// An error changes nothing, where all of it was reserved for the same.
    pub(crate) fn commit(&self, at: usize, len: usize) -> io::Result<()> {
        self.protect(at, len, MprotectFlags::READ | MprotectFlags::WRITE)
    }

    /// Makes what is committed in a range inaccessible again. It stays reserved, and its page tables stay.
    pub(crate) fn decommit(&self, at: usize, len: usize) -> io::Result<()> {
        self.protect(at, len, MprotectFlags::empty())
    }

    fn protect(&self, at: usize, len: usize, access: MprotectFlags) -> io::Result<()> {
        let address = self.part(at, len)?;
        enter(Call::Protect)?;
        // SAFETY: `at + len <= self.len`, so only pages of our own range are meant, and nobody holds a reference into
        // them without having argued for it (raw only).
        Ok(unsafe { mprotect(address, len, access) }?)
    }

    /// Says that huge pages are welcome in a range, where the administrator leaves it to that. A hint.
    pub(crate) fn advise_huge(&self, at: usize, len: usize) {
        let advised = self.part(at, len).and_then(|address| {
            enter(Call::Advise)?;
            // SAFETY: `at + len <= self.len`, so only pages of our own range are meant; what they hold stays.
            Ok(unsafe { madvise(address, len, Advice::LinuxHugepage) }?)
        });
        if let Err(error) = advised {
            tracing::debug!(%error, len, "no huge pages are to be had");
        }
    }

    /// Moves what the huge pages inside of a range show into such, whatever the administrator has set. What is shown
    /// there stays as it is, also if this fails, and takes memory in full afterwards.
    pub(crate) fn collapse(&self, at: usize, len: usize) -> io::Result<()> {
        let address = self.part(at, len)?;
        enter(Call::Collapse)?;
        // SAFETY: `at + len <= self.len`, so only pages of our own range are meant; what they hold stays.
        let answer = unsafe { libc::madvise(address, len, MADV_COLLAPSE) };
        if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Where `len` bytes at offset `at` are.
    fn part(&self, at: usize, len: usize) -> io::Result<*mut c_void> {
        if at.checked_add(len).is_none_or(|end| end > self.len) {
            let bug = format!("bug: {len} bytes at {at} leave a space of {} bytes", self.len);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, bug));
        }
        Ok(self.base.as_ptr().wrapping_add(at).cast())
    }

    /// Shows nothing from `at` on for `len` bytes, which are inaccessible from then on, in place of what was there.
    ///
    /// As for [`Space::map`], an error may leave the range inaccessible.
    pub(crate) fn unmap(&self, at: usize, len: usize) -> io::Result<()> {
        let address = self.part(at, len)?;
        self.replace(address, len, || {
            let sharing = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
            // SAFETY: `at + len <= self.len`, so only pages of our own range are replaced, and nobody holds a reference
            // into them without having argued for it (raw only).
            unsafe { mmap_anonymous(address, len, ProtFlags::empty(), sharing) }
        })
    }

    /// Frees the private pages of a range: it shows the file again, or zeroes where there is none. What was shown for reading
    /// may be written to until it is mapped anew.
    pub(crate) fn discard(&self, at: usize, len: usize) -> io::Result<()> {
        let address = self.part(at, len)?;
        count();
        // SAFETY: `at + len <= self.len`, so only pages of our own range lose what was written to them, and nobody
        // holds a reference into them without having argued for it (raw only).
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
        let unmapped = unsafe { munmap(self.reserved.0.as_ptr().cast(), self.reserved.1) };
        if let Err(error) = unmapped {
            // The range stays taken, which is harmless; nothing can be done about it here.
            tracing::warn!(%error, len = self.len, "an address range was not given back");
        }
    }
}

/// How far from `address` the next one is that is as far past a multiple of a huge page as `like`.
fn distance(address: usize, like: u64) -> usize {
    (like.wrapping_sub(address as u64) % HUGE_PAGE) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = 1 << 20;

    #[test]
    fn a_mapping_that_fails_leaves_the_space_ours() {
        let file = File::create("test", 1 << 30).unwrap();
        let space = Space::reserve(LEN, 0).unwrap();
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
        let space = Space::reserve(LEN, 0).unwrap();
        for (at, len) in [(LEN, 65_536), (LEN - 65_536, 131_072), (usize::MAX, 2)] {
            let mapped = space.map(at, &file, 0, len, Access::Write);
            let reserved = [space.reserve_file(at, &file, 0, len), space.commit(at, len), space.decommit(at, len)];
            let others = [mapped, space.unmap(at, len), space.collapse(at, len), space.discard(at, len)];
            let mut refused = reserved.into_iter().chain(others);
            assert!(refused.all(|answer| answer.unwrap_err().kind() == io::ErrorKind::InvalidInput));
        }
    }

    #[test]
    fn a_space_begins_as_far_past_a_huge_page_as_it_should_and_ends_inside_of_what_it_reserved() {
        for len in [HUGE_PAGE as usize, 3 * HUGE_PAGE as usize + 65_536] {
            for like in [0, 65_536, HUGE_PAGE - 65_536, 5 * HUGE_PAGE, u64::MAX - 65_535] {
                let space = Space::reserve(len, like).unwrap();
                let (base, (reserved, all)) = (space.base().addr().get(), space.reserved);
                assert!((base as u64).wrapping_sub(like).is_multiple_of(HUGE_PAGE), "{base:#x}, {like:#x}");
                assert!(base >= reserved.addr().get() && base + len <= reserved.addr().get() + all);
            }
        }
        assert_eq!(Space::reserve(LEN, 65_536).unwrap().reserved.1, LEN, "no room for a huge page");
    }
}
