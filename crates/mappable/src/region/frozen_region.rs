//! Frozen bytes: a region that nobody writes to while there are references to them.
//!
//! ```text
//!   FrozenRegion         a reference: the part of the allocation that it is to
//!    └ Allocation        what is kept while there are references: a region, or a file of others
//! ```
//!
//! Invariant I2 (a frozen byte never changes while a reference to it lives) stands on [`FrozenRegion::thaw`], which
//! needs the last reference, and on the views, which show frozen bytes for reading alone. A reference that the host looks at is
//! a [`Frozen`](super::Frozen).
//!
//! # Safety
//!
//! [`Allocation::shown`] makes a slice of a file of others that is mapped. That nobody writes to it while the slice lives is
//! the word of who called [`Frozen::from_file_mapped`](super::Frozen::from_file_mapped) or
//! [`FileBytes::shared`](crate::FileBytes::shared), or the system's, which was asked whether anybody can. (A region makes its
//! own, see [`Mappable`]: nobody writes to it since the slice borrows a reference, I2.)

#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::ops::Range;
use std::slice;
use std::sync::Arc;

use super::extent::copy_granules;
use super::parts::check_slice;
use super::shared_file::SharedFile;
use super::{AllocateError, Backing, FileRange, GRANULE, Mappable, PartError, Source};
use crate::sys::File;

/// What references are to.
struct Allocation {
    key: AllocationKey,
    bytes: Bytes,
}

enum Bytes {
    /// A region's.
    Region(Mappable),
    /// Those of a file that is not ours.
    Foreign(Foreign),
}

/// All that may be shown of a file.
struct Foreign(Arc<SharedFile>);

impl Drop for Foreign {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl Allocation {
    fn source(&self) -> Source {
        match &self.bytes {
            Bytes::Region(region) => region.extent().source(),
            Bytes::Foreign(foreign) => foreign.0.source(),
        }
    }

    fn backing(&self) -> &Arc<Backing> {
        match &self.bytes {
            Bytes::Region(region) => region.extent().backing(),
            Bytes::Foreign(foreign) => foreign.0.backing(),
        }
    }

    /// The bytes. The first look opens a window, where one is needed to see them.
    fn shown(&self) -> io::Result<&[u8]> {
        let foreign = match &self.bytes {
            Bytes::Region(region) => return region.all_bytes(),
            Bytes::Foreign(foreign) => foreign,
        };
        let window = foreign.0.read_window()?;
        // SAFETY: the window maps all of the range, and lives as long as `self`; pages that go are replaced. Nobody writes to
        // the file meanwhile: the word of who brought it, or the system's.
        Ok(unsafe { slice::from_raw_parts(window.base().as_ptr(), window.len()) })
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        match &self.bytes {
            Bytes::Region(region) => region.extent().read(offset, into),
            Bytes::Foreign(foreign) => foreign.0.file().read(foreign.0.range().start() + offset, into),
        }
    }
}

/// A reference to frozen bytes, which may not be in the host's address space.
#[derive(Clone)]
pub(crate) struct FrozenRegion {
    allocation: Arc<Allocation>,
    /// What of the file the reference is to: inside the allocation's range.
    range: FileRange,
    /// How many of those bytes count: at most the range's.
    len: u64,
}

impl fmt::Debug for FrozenRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrozenRegion").field("len", &self.len).field("size", &self.size()).finish_non_exhaustive()
    }
}

/// What tells frozen allocations of a backing apart. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AllocationKey(u64);

impl FrozenRegion {
    /// Freezes a region.
    pub(crate) fn new(region: Mappable) -> Self {
        let (range, len) = (region.extent().range(), region.len());
        let key = AllocationKey(region.extent().backing().next());
        Self { allocation: Arc::new(Allocation { key, bytes: Bytes::Region(region) }), range, len }
    }

    /// The granules that some bytes of a file of others are in, which must not change from here on. The last of those bytes is
    /// the last that counts. Past the file's end there are zeroes.
    pub(crate) fn of_file(backing: &Arc<Backing>, file: File, bytes: Range<u64>) -> io::Result<Self> {
        let end = bytes.end;
        let range = FileRange::around(bytes).ok_or(io::ErrorKind::InvalidInput)?;
        let len = end - range.start();
        Ok(Self::of_shared(SharedFile::new(backing, file, range, None), len))
    }

    /// All that may be shown of a file, which must not change from here on.
    pub(crate) fn of_shared(file: Arc<SharedFile>, len: u64) -> Self {
        let (key, range) = (AllocationKey(file.backing().next()), file.range());
        let bytes = Bytes::Foreign(Foreign(file));
        Self { allocation: Arc::new(Allocation { key, bytes }), range, len: len.min(range.len()) }
    }

    /// The file of which this is all, if the bytes have one to themselves.
    #[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
    pub(crate) fn whole_file(&self) -> Option<&Arc<SharedFile>> {
        let file = match &self.allocation.bytes {
            Bytes::Region(region) => region.extent().whole_file()?,
            Bytes::Foreign(foreign) => &foreign.0,
        };
        (file.range() == self.range).then_some(file)
    }

    /// Notes that a process has the bytes of which nobody will say that it is done: they are kept as they are.
    #[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
    pub(crate) fn note_read_elsewhere(&self) {
        if let Some(file) = self.whole_file() {
            file.note_read_elsewhere();
        }
    }

    #[inline]
    pub(crate) fn size(&self) -> u64 {
        self.range.len()
    }

    /// How many of the bytes count.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    #[inline]
    pub(crate) fn source(&self) -> Source {
        Source { file: self.allocation.source().file, range: self.range }
    }

    pub(crate) fn backing(&self) -> &Arc<Backing> {
        self.allocation.backing()
    }

    /// The same bytes, of which others count: as many as that, of those that there are.
    #[cfg(all(feature = "ipc", target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
    pub(crate) fn of_len(&self, len: u64) -> Self {
        Self { len: len.min(self.size()), ..self.clone() }
    }

    /// What tells apart what the reference keeps from being freed.
    pub(crate) fn key(&self) -> AllocationKey {
        self.allocation.key
    }

    /// How many bytes the reference keeps from being freed.
    pub(crate) fn allocation_size(&self) -> u64 {
        self.allocation.source().range.len()
    }

    /// The bytes, where they are a block of the heap.
    pub(crate) fn block(&self) -> Option<&[u8]> {
        let Bytes::Region(region) = &self.allocation.bytes else { return None };
        let start = usize::try_from(self.offset()).ok()?;
        region.extent().block()?.get(start..start + usize::try_from(self.size()).ok()?)
    }

    /// A reference to the granules of the `size` bytes at `offset` alone. A byte of them counts if it counts here.
    pub(crate) fn slice(&self, offset: u64, size: u64) -> Result<Self, PartError> {
        check_slice(self.size(), offset, size)?;
        let range = self.range.part(offset, size.next_multiple_of(GRANULE)).ok_or(PartError::OutsideRegion)?;
        let len = size.min(self.len.saturating_sub(offset));
        Ok(Self { allocation: Arc::clone(&self.allocation), range, len })
    }

    /// Makes the bytes a region again, and frees what of the allocation they are not. Gives the reference back if it is
    /// not the last one, if the bytes are those of a file of others, if a process may read them that nobody hears of, or if there
    /// is no memory for a block of the part.
    pub(crate) fn thaw(self) -> Result<Mappable, Self> {
        let (range, len, offset) = (self.range, self.len, self.offset());
        if let Bytes::Region(region) = &self.allocation.bytes
            && region.extent().is_read_elsewhere()
        {
            return Err(self);
        }
        let mut allocation = Arc::try_unwrap(self.allocation).map_err(|allocation| Self { allocation, range, len })?;
        if let Bytes::Region(region) = &mut allocation.bytes {
            region.keep_part(offset, range.len(), len);
        }
        match allocation {
            Allocation { bytes: Bytes::Region(region), .. } if region.extent().range() == range => Ok(region),
            allocation => Err(Self { allocation: Arc::new(allocation), range, len }),
        }
    }

    /// A new region with a copy of all bytes, and of the same length. Pages of zeroes are not copied: a new region has them.
    pub(crate) fn copy(&self) -> Result<Mappable, AllocateError> {
        let exhausted = |error| {
            tracing::debug!(%error, "frozen bytes were not copied");
            AllocateError::RegionsExhausted(self.size())
        };
        let mut region = Mappable::allocate(self.backing(), self.size())?;
        let write = |offset, granule: &[u8]| region.extent_mut().write(offset, granule);
        copy_granules(self.size(), |offset, into| self.read(offset, into), write).map_err(exhausted)?;
        region.set_len(self.len).map_err(|_| AllocateError::RegionsExhausted(self.size()))?;
        Ok(region)
    }

    /// Shows the bytes to the host: one or two system calls, the first time for an allocation. Those behind the length are not
    /// among them.
    pub(super) fn shown(&self) -> io::Result<&[u8]> {
        let start = self.offset() as usize;
        Ok(&self.allocation.shown()?[start..start + self.len as usize])
    }

    /// Moves the bytes into huge pages, if they are a region's.
    pub(super) fn collapse(&self) -> io::Result<()> {
        match &self.allocation.bytes {
            Bytes::Region(region) => region.collapse_part(self.range),
            Bytes::Foreign(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Copies bytes out, from `offset`, without a view of them.
    pub(crate) fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        if offset.checked_add(into.len() as u64).is_none_or(|end| end > self.size()) {
            return Err(io::Error::other("bug: bytes past the end of a reference"));
        }
        self.allocation.read(self.offset() + offset, into)
    }

    /// Where the part begins in the allocation.
    fn offset(&self) -> u64 {
        self.range.start() - self.allocation.source().range.start()
    }
}
