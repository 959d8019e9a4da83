//! Frozen bytes: a region that nobody writes to while there are references to it.
//!
//! ```text
//!   Frozen               a host's reference, with the bytes in the host's address space
//!    └ FrozenRegion      a reference: the part of the allocation that it is to
//!       └ Allocation     what is kept while there are references: a region, or a file of others
//! ```
//!
//! Invariant I2 (a frozen byte never changes while a reference to it lives) stands on [`FrozenRegion::thaw`], which
//! needs the last reference, and on the views, which show frozen bytes for reading alone.
//!
//! # Safety
//!
//! [`Allocation::shown`] makes a slice of a file of others that is mapped. That nobody writes to it while the slice lives is
//! the word of who called [`Frozen::from_file_mapped`] or [`FileBytes::shared`](crate::FileBytes::shared), or the system's, which
//! was asked whether anybody can. (A region makes its own, see [`Mappable`]: nobody writes to it since
//! the slice borrows a reference, I2.)

#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::ops::{Deref, Range};
use std::slice;
use std::sync::Arc;

use super::extent::copy_granules;
use super::mappable::check_slice;
use super::shared_file::SharedFile;
use super::{AllocateError, Backing, FileRange, GRANULE, Mappable, PartError, Source, ThawFailed};
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

/// A host's reference to frozen bytes: a `[u8]` that never changes, and that is aligned as [`Mappable::bytes`] are. It is as
/// long as the region's length was when it was frozen.
///
/// The host reads any part of it by index. A part that it keeps or passes on as a reference of its own is a
/// [`slice`](Frozen::slice), which begins at a granule, or a slice of what took the reference over, such as `bytes::Bytes`.
///
/// It is the host's side of the WIT resource `frozen`. Cloning is O(1); clones and slices go to other threads and, with
/// [`MappableCtx::insert_frozen`](crate::MappableCtx::insert_frozen), to any number of stores. The memory is freed with
/// the last reference.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = mappable::Runtime::new()?;
/// let words = runtime.allocate_from(b"read by many")?.freeze()?;
/// let reader = words.clone();
/// assert!(std::thread::spawn(move || reader.starts_with(b"read")).join().unwrap());
///
/// // The last reference can be made a region again; before, only a copy could.
/// let copy = words.copy()?;
/// let region = words.thaw()?;
/// assert_eq!((copy.bytes()?, copy.size()), (region.bytes()?, region.size()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Frozen {
    /// Its allocation is shown.
    region: FrozenRegion,
}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frozen").field("len", &self.len()).field("size", &self.size()).finish_non_exhaustive()
    }
}

impl Frozen {
    /// Shows a reference's bytes to the host: one or two system calls, the first time for an allocation.
    pub(crate) fn of(region: FrozenRegion) -> io::Result<Self> {
        region.allocation.shown()?;
        Ok(Self { region })
    }

    /// A reference to bytes that are shown already.
    pub(super) fn of_shown(region: FrozenRegion) -> Self {
        debug_assert!(region.allocation.shown().is_ok());
        Self { region }
    }

    #[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
    pub(crate) fn region(&self) -> &FrozenRegion {
        &self.region
    }

    pub(crate) fn into_region(self) -> FrozenRegion {
        self.region
    }

    /// The size in bytes, a positive multiple of [`GRANULE`]: what a component maps. The `len` of the slice is how many of them
    /// count.
    pub fn size(&self) -> u64 {
        self.region.size()
    }

    /// A reference to the bytes in `range` alone, which begins at a multiple of [`GRANULE`] and is not empty. Its length is
    /// how many of them count here. A component that is given the slice is given whole granules: it can read what is behind
    /// the slice in the last one. Keeps all of the region from being freed. Costs the same at every size.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = mappable::Runtime::new()?;
    /// let frozen = runtime.allocate_from(b"head and body")?.freeze()?;
    /// assert_eq!(frozen.slice(0..4)?[..], *b"head");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PartError::Misaligned`], and [`PartError::OutsideRegion`] for a range that is empty or goes past the size.
    pub fn slice(&self, range: Range<u64>) -> Result<Self, PartError> {
        let size = range.end.checked_sub(range.start).ok_or(PartError::OutsideRegion)?;
        Ok(Self { region: self.region.slice(range.start, size)? })
    }

    /// Makes the bytes a region that can be written again, if this is the only reference to it: no clone, slice or
    /// mapping is left, here or in any store. What a slice leaves out is freed. Never copies; bytes of a file that
    /// was mapped ([`Frozen::from_file_mapped`], [`FileBytes::sealed`](crate::FileBytes::sealed)) can only be copied. So can bytes that
    /// another process may read without saying when it is done: those that were [exported](Frozen::export) as they lie, and those that
    /// the other end of a connection had when this end was dropped or cut off.
    ///
    /// # Errors
    ///
    /// [`ThawFailed`], which gives the reference back.
    pub fn thaw(self) -> Result<Mappable, ThawFailed> {
        self.region.thaw().map_err(|region| ThawFailed { frozen: Self { region } })
    }

    /// Moves the bytes into huge pages, as [`Mappable::collapse`] does, for all who have mapped them or will. For a
    /// slice these are its own bytes alone. The bytes of a file that was mapped ([`Frozen::from_file_mapped`]) can't be moved:
    /// that is an error of kind [`Unsupported`](io::ErrorKind::Unsupported).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = mappable::Runtime::new()?;
    /// let tables = runtime.allocate_from(&[1; 4 << 20])?.freeze()?;
    /// // A hint: if it fails, they are read from small pages.
    /// let _ = tables.collapse();
    /// assert_eq!(tables[..], [1; 4 << 20]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Mappable::collapse`].
    pub fn collapse(&self) -> io::Result<()> {
        match &self.region.allocation.bytes {
            Bytes::Region(region) => region.collapse_part(self.region.range),
            Bytes::Foreign(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// A new region with a copy of the bytes, of the same size and length.
    ///
    /// # Errors
    ///
    /// [`AllocateError::RegionsExhausted`].
    pub fn copy(&self) -> Result<Mappable, AllocateError> {
        self.region.copy()
    }
}

/// The bytes, for types of other libraries that take an owner over without a copy.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = mappable::Runtime::new()?;
/// let frozen = runtime.allocate_from(b"head and body")?.freeze()?;
/// let body = bytes::Bytes::from_owner(frozen).slice(9..13);
/// assert_eq!(body, "body");
/// # Ok(())
/// # }
/// ```
impl AsRef<[u8]> for Frozen {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Deref for Frozen {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let all = self.region.allocation.shown().expect("a Frozen's allocation is shown");
        let start = self.region.offset() as usize;
        &all[start..start + self.region.len() as usize]
    }
}
