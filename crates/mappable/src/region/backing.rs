//! The memory that everything lies in: one sparse file, and the extents of it that are in use.
//!
//! Descriptors are scarce (1,024 by default), so regions and the heaps of linear memories share one. Invariant I3
//! (a region that comes from `allocate` reads as zero) stands on one rule: a range is free only while it is a hole.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::ranges::{FileRange, Ranges};
use crate::sys::File;

/// The length of the file in bytes. All holes, so it is address space alone: room for a quarter of a million heaps
/// of 4 GiB, and well under the largest offset that the kernel takes.
const FILE_LEN: u64 = 1 << 50;

/// One sparse file, from which extents are taken.
pub(crate) struct Backing {
    file: File,
    /// Every range that is free here is a hole in `file`.
    free: Mutex<Ranges>,
}

impl fmt::Debug for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backing").finish_non_exhaustive()
    }
}

impl Backing {
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        let file = File::create("mappable", FILE_LEN)?;
        Ok(Arc::new(Self { file, free: Mutex::new(Ranges::new(FILE_LEN)) }))
    }

    /// Takes `len` bytes, a positive multiple of the granule, that read as zero. `None` when there is no room.
    pub(crate) fn take(self: &Arc<Self>, len: u64) -> Option<Extent> {
        let range = self.ranges().take(len)?;
        Some(Extent { backing: Arc::clone(self), range })
    }

    fn ranges(&self) -> std::sync::MutexGuard<'_, Ranges> {
        // The arithmetic does not panic half way; were it to, going on is no worse than stopping.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A range of the backing file that belongs to this value. On drop its pages are freed.
#[derive(Debug)]
pub(crate) struct Extent {
    backing: Arc<Backing>,
    range: FileRange,
}

impl Extent {
    pub(crate) fn range(&self) -> FileRange {
        self.range
    }

    pub(crate) fn file(&self) -> &File {
        &self.backing.file
    }

    /// The `len` bytes at `offset`, to copy from and to without a view of them. `None` if they are not all inside.
    pub(crate) fn part(&self, offset: u64, len: u64) -> Option<Part> {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.range.len());
        inside.then(|| Part { backing: Arc::clone(&self.backing), start: self.range.start() + offset, len })
    }

    pub(crate) fn backing(&self) -> &Arc<Backing> {
        &self.backing
    }

    /// Whether this was taken from `backing`.
    pub(crate) fn is_in(&self, backing: &Arc<Backing>) -> bool {
        Arc::ptr_eq(&self.backing, backing)
    }
}

/// Bytes inside an extent. Owns nothing: who has it sees to it that the extent is there.
pub(crate) struct Part {
    backing: Arc<Backing>,
    /// From here, `len` bytes of the file are the extent's: checked by [`Extent::part`].
    start: u64,
    len: u64,
}

impl Part {
    /// Copies the bytes out.
    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.len).map_err(io::Error::other)?];
        self.backing.file.read(self.start, &mut bytes)?;
        Ok(bytes)
    }

    /// Copies as many bytes in.
    pub(crate) fn write(&self, from: &[u8]) -> io::Result<()> {
        if from.len() as u64 != self.len {
            return Err(io::Error::other("bug: another number of bytes than was checked"));
        }
        self.backing.file.write(self.start, from)
    }
}

impl Drop for Extent {
    fn drop(&mut self) {
        match self.backing.file.punch(self.range.start(), self.range.len()) {
            Ok(()) => self.backing.ranges().give(self.range),
            // Not a hole, so not free: better to lose the range than to show its bytes to the next owner.
            Err(error) => tracing::warn!(%error, range = ?self.range, "freed memory was not given back"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::GRANULE;
    use crate::sys::Space;

    /// Reads the first byte of an extent, then writes `byte` to it.
    #[allow(unsafe_code)]
    fn swap_first_byte(extent: &Extent, byte: u8) -> u8 {
        let space = Space::reserve(GRANULE as usize).unwrap();
        space.map(0, extent.file(), extent.range().start(), GRANULE as usize).unwrap();
        // SAFETY: the space is mapped for its whole length, and nobody else has it.
        unsafe { space.base().as_ptr().replace(byte) }
    }

    #[test]
    fn a_range_that_is_reused_reads_as_zero() {
        let backing = Backing::new().unwrap();
        let first = backing.take(GRANULE).unwrap();
        let range = first.range();
        assert_eq!(swap_first_byte(&first, 0xa5), 0);
        assert_eq!(swap_first_byte(&first, 0xa5), 0xa5);
        drop(first);
        let second = backing.take(GRANULE).unwrap();
        assert_eq!(second.range(), range, "the test means to see the same range again");
        assert_eq!(swap_first_byte(&second, 0), 0);
    }
}
