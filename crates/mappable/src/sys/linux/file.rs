//! Files whose pages are mapped: our own in memory, and others'. They are made, read and written here, and holes are found and
//! punched. [`Space`] maps them.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, MemfdFlags, SeekFrom, fallocate, fstatfs, ftruncate, memfd_create, seek};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::{Space, spare};
use crate::sys::{Access, Call, count, enter};

/// File systems, by `statfs`.
pub(super) const BTRFS: i64 = 0x9123_683e;
pub(super) const XFS: i64 = 0x5846_5342;
const HUGETLBFS: i64 = 0x9584_58f6;

/// A file whose pages are mapped: one of our own, sparse and in memory, in which pages that were never touched, or were
/// punched out, read as zero and take no memory; or one of others.
#[derive(Debug)]
pub(crate) struct File {
    pub(super) file: Arc<std::fs::File>,
    /// Our own is never shorter, or an access to a mapped page past the end would be a bus error. One of others had that
    /// length; see [`lost`](super::lost).
    pub(super) len: u64,
}

/// Which file system a file is in.
pub(super) fn file_system(file: &std::fs::File) -> io::Result<i64> {
    count();
    // The type's width depends on the platform.
    #[allow(clippy::unnecessary_cast, trivial_numeric_casts)]
    Ok(fstatfs(file)?.f_type as i64)
}

/// An error for a file that would be over the process's limit.
pub(super) fn check_file_size(len: u64) -> io::Result<()> {
    // Over the limit, the kernel would end the process with a signal rather than answer.
    if let Some(limit) = getrlimit(Resource::Fsize).current
        && limit < len
    {
        let text = format!("the limit on file sizes is {limit} bytes: lift it (ulimit -f unlimited)");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(())
}

impl File {
    /// A file of `len` bytes, all holes.
    pub(crate) fn create(name: &str, len: u64) -> io::Result<Self> {
        check_file_size(len)?;
        enter(Call::Create)?;
        let file = memfd_create(name, MemfdFlags::CLOEXEC)?;
        enter(Call::Truncate)?;
        ftruncate(&file, len)?;
        spare::keep();
        Ok(Self { file: Arc::new(file.into()), len })
    }

    /// A file of others, as long as it is now.
    ///
    /// One of huge pages is [`io::ErrorKind::Unsupported`]: the kernel maps whole ones, over what is beside the range.
    pub(crate) fn of(file: Arc<std::fs::File>) -> io::Result<Self> {
        if file_system(&file)? == HUGETLBFS {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "a file of huge pages"));
        }
        let len = file.metadata()?.len();
        Ok(Self { file, len })
    }

    /// An error where its pages can't be mapped: if they are made up as they are read (`/proc`, `/sys`), or if it may not be
    /// read.
    pub(crate) fn check_pages(&self) -> io::Result<()> {
        let page = rustix::param::page_size();
        Space::reserve(page, 0)?.map(0, self, 0, page, Access::Read)
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

    /// Where in a range the first byte is that is in no hole: all before it reads as zero. Pages that were swapped out
    /// are no holes. `None` if all of it is one.
    pub(crate) fn data(&self, within: Range<u64>) -> io::Result<Option<u64>> {
        Ok(self.seek(SeekFrom::Data(within.start))?.filter(|&start| start < within.end))
    }

    /// Where in a range that begins with data the first hole is, or the range's end. The end of the file is taken for a
    /// hole.
    pub(crate) fn hole(&self, within: Range<u64>) -> io::Result<u64> {
        Ok(self.seek(SeekFrom::Hole(within.start))?.unwrap_or(within.end).min(within.end))
    }

    fn seek(&self, to: SeekFrom) -> io::Result<Option<u64>> {
        enter(Call::Seek)?;
        // The file's position is nobody's business: all else says where it means.
        match seek(&self.file, to) {
            Err(Errno::NXIO) => Ok(None),
            found => Ok(Some(found?)),
        }
    }

    /// How many of the `len` bytes from `start` lie on pages of the file, the last of which may be there in part.
    pub(super) fn mappable(&self, start: u64, len: usize) -> usize {
        let pages = self.len.next_multiple_of(rustix::param::page_size() as u64);
        pages.saturating_sub(start).min(len as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_all_that_is_no_hole() {
        let page = rustix::param::page_size() as u64;
        let file = File::create("test", 1 << 40).unwrap();
        let found = |within: Range<u64>| {
            let start = file.data(within.clone()).unwrap()?;
            Some(start..file.hole(start..within.end).unwrap())
        };
        assert_eq!(found(0..1 << 40), None);
        for at in [8 * page, 9 * page, 20 * page] {
            file.write(at + 5, &[1]).unwrap();
        }
        assert_eq!(found(0..1 << 40), Some(8 * page..10 * page));
        assert_eq!(found(9 * page..1 << 40), Some(9 * page..10 * page));
        assert_eq!(found(10 * page..1 << 40), Some(20 * page..21 * page));
        assert_eq!(found(0..9 * page), Some(8 * page..9 * page));
        assert_eq!(found(10 * page..20 * page), None);
        assert_eq!(found(21 * page..1 << 40), None);
        // To the very end of the file.
        file.write((1 << 40) - 1, &[1]).unwrap();
        assert_eq!(found(21 * page..1 << 40), Some((1 << 40) - page..1 << 40));
    }
}
