//! Frozen bytes: a region that nobody writes to while there are references to it.
//!
//! ```text
//!   Frozen               a host's reference, with the bytes in the host's address space
//!    └ FrozenRegion      a reference: the part of the allocation that it is to
//!       └ Allocation     what is kept while there are references: an extent, or a file of others
//! ```
//!
//! Invariant I2 (a frozen byte never changes while a reference to it lives) stands on [`FrozenRegion::thaw`], which
//! needs the last reference, and on the views, which show frozen bytes for reading alone.
//!
//! # Safety
//!
//! [`Allocation::shown`] makes a slice of mapped memory. Nobody writes to it while the slice lives, since that borrows
//! a reference (I2); for a file of others that is the word of who called [`Frozen::from_file_mapped`].

#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::ops::{Deref, Range};
use std::slice;
use std::sync::{Arc, OnceLock};

use super::huge;
use super::mappable::{check_part, window};
use super::{AllocateError, Backing, Extent, FileId, FileRange, GRANULE, Mappable, PartError, Source, ThawFailed};
use crate::sys::{Access, File, Space};

/// What references are to.
struct Allocation {
    key: AllocationKey,
    /// Where the host sees all of it, once it has looked, as in [`Mappable`]. Goes before the bytes do.
    window: OnceLock<Space>,
    bytes: Bytes,
}

enum Bytes {
    /// A region's.
    Extent(Extent),
    /// Those of a file that is not ours.
    Foreign { backing: Arc<Backing>, id: FileId, file: Arc<File>, range: FileRange },
}

impl Allocation {
    fn source(&self) -> Source {
        match &self.bytes {
            Bytes::Extent(extent) => extent.source(),
            Bytes::Foreign { id, range, .. } => Source { file: *id, range: *range },
        }
    }

    fn backing(&self) -> &Arc<Backing> {
        match &self.bytes {
            Bytes::Extent(extent) => extent.backing(),
            Bytes::Foreign { backing, .. } => backing,
        }
    }

    /// Opens the window, where one is needed to see the bytes.
    fn show(&self) -> io::Result<()> {
        let is_block = matches!(&self.bytes, Bytes::Extent(extent) if extent.block().is_some());
        if !is_block && self.window.get().is_none() {
            // As a region's window, which this one becomes when the bytes are thawed.
            let access = if matches!(self.bytes, Bytes::Extent(_)) { Access::Write } else { Access::Read };
            let window = window(self.backing(), self.source(), access)?;
            self.window.get_or_init(|| window);
        }
        Ok(())
    }

    /// The bytes, once [`Allocation::show`] has succeeded.
    fn shown(&self) -> Option<&[u8]> {
        if let Bytes::Extent(extent) = &self.bytes
            && let Some(block) = extent.block()
        {
            return Some(block);
        }
        let window = self.window.get()?;
        // SAFETY: the window maps all of the allocation's pages, whose file does not shrink, and lives as long as
        // `self`. Nobody writes to them meanwhile (I2).
        Some(unsafe { slice::from_raw_parts(window.base().as_ptr(), window.len()) })
    }

    /// Moves a part of an extent that is shown into huge pages.
    fn collapse(&self, part: FileRange) -> io::Result<()> {
        match (&self.bytes, self.window.get()) {
            (Bytes::Extent(extent), Some(window)) => huge::collapse(window, extent.range(), part),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        match &self.bytes {
            Bytes::Extent(extent) => extent.read(offset, into),
            Bytes::Foreign { file, .. } => file.read(offset, into),
        }
    }
}

/// A reference to frozen bytes, which may not be in the host's address space.
#[derive(Clone)]
pub(crate) struct FrozenRegion {
    allocation: Arc<Allocation>,
    /// What of the file the reference is to: inside the allocation's range.
    range: FileRange,
}

impl fmt::Debug for FrozenRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrozenRegion").field("size", &self.size()).finish_non_exhaustive()
    }
}

/// What tells frozen allocations of a backing apart. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AllocationKey(u64);

impl FrozenRegion {
    /// Freezes a region.
    pub(crate) fn new(region: Mappable) -> Self {
        let (window, extent) = region.into_parts();
        let range = extent.range();
        let key = AllocationKey(extent.backing().next());
        Self { allocation: Arc::new(Allocation { key, window, bytes: Bytes::Extent(extent) }), range }
    }

    /// All of a file of others that has `len` bytes, which must not change from here on. Past its end there are zeroes.
    pub(crate) fn of_file(backing: &Arc<Backing>, file: File) -> io::Result<Self> {
        let range = FileRange::whole(file.len()).ok_or(io::ErrorKind::InvalidInput)?;
        let (id, file) = backing.admit(file);
        let bytes = Bytes::Foreign { backing: Arc::clone(backing), id, file, range };
        let key = AllocationKey(backing.next());
        Ok(Self { allocation: Arc::new(Allocation { key, window: OnceLock::new(), bytes }), range })
    }

    #[inline]
    pub(crate) fn size(&self) -> u64 {
        self.range.len()
    }

    #[inline]
    pub(crate) fn source(&self) -> Source {
        Source { file: self.allocation.source().file, range: self.range }
    }

    pub(crate) fn backing(&self) -> &Arc<Backing> {
        self.allocation.backing()
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
        let Bytes::Extent(extent) = &self.allocation.bytes else { return None };
        let start = usize::try_from(self.offset()).ok()?;
        extent.block()?.get(start..start + usize::try_from(self.size()).ok()?)
    }

    /// A reference to the `size` bytes at `offset` alone.
    pub(crate) fn slice(&self, offset: u64, size: u64) -> Result<Self, PartError> {
        check_part(self.size(), offset, size)?;
        let range = self.range.part(offset, size).ok_or(PartError::OutsideRegion)?;
        Ok(Self { allocation: Arc::clone(&self.allocation), range })
    }

    /// Makes the bytes a region again, and frees what of the allocation they are not. Gives the reference back if it is
    /// not the last one, if the bytes are those of a file of others, or if there is no memory for a block of the part.
    pub(crate) fn thaw(self) -> Result<Mappable, Self> {
        let (range, offset) = (self.range, self.offset());
        let mut allocation = Arc::try_unwrap(self.allocation).map_err(|allocation| Self { allocation, range })?;
        let whole = allocation.source().range == range;
        if !whole && keep_part(&mut allocation.bytes, offset, range.len()).is_some() {
            // It shows more than the region now.
            allocation.window.take();
        }
        match allocation {
            Allocation { window, bytes: Bytes::Extent(extent), .. } if extent.range() == range => {
                Ok(Mappable::from_parts(window, extent))
            }
            allocation => Err(Self { allocation: Arc::new(allocation), range }),
        }
    }

    /// A new region with a copy of the bytes. Pages of zeroes are not copied: a new region has them.
    pub(crate) fn copy(&self) -> Result<Mappable, AllocateError> {
        let exhausted = |error| {
            tracing::debug!(%error, "frozen bytes were not copied");
            AllocateError::RegionsExhausted(self.size())
        };
        let mut region = Mappable::allocate(self.backing(), self.size())?;
        let mut granule = vec![0; GRANULE as usize];
        for offset in (0..self.size()).step_by(granule.len()) {
            self.read(offset, &mut granule).map_err(exhausted)?;
            if granule.iter().any(|&byte| byte != 0) {
                region.extent_mut().write(offset, &granule).map_err(exhausted)?;
            }
        }
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

/// Frees all of an extent but the `len` bytes at `offset`. `None` if that can't be; only other bytes have been freed.
fn keep_part(bytes: &mut Bytes, offset: u64, len: u64) -> Option<()> {
    let Bytes::Extent(extent) = bytes else { return None };
    if offset + len < extent.range().len() {
        drop(extent.split_off(offset + len)?);
    }
    if offset > 0 {
        *extent = extent.split_off(offset)?;
    }
    Some(())
}

/// A host's reference to frozen bytes: a `[u8]` that never changes.
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
/// let region = words.thaw()?;
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
        f.debug_struct("Frozen").field("size", &self.size()).finish_non_exhaustive()
    }
}

impl Frozen {
    /// Shows a reference's bytes to the host: one or two system calls, the first time for an allocation.
    pub(crate) fn of(region: FrozenRegion) -> io::Result<Self> {
        region.allocation.show()?;
        Ok(Self { region })
    }

    /// A reference to bytes that are shown already.
    pub(super) fn of_shown(region: FrozenRegion) -> Self {
        debug_assert!(region.allocation.shown().is_some());
        Self { region }
    }

    pub(crate) fn into_region(self) -> FrozenRegion {
        self.region
    }

    /// The size in bytes, a positive multiple of [`GRANULE`].
    pub fn size(&self) -> u64 {
        self.region.size()
    }

    /// A reference to the bytes in `range` alone. Both bounds are multiples of [`GRANULE`], and it is not empty. Keeps all
    /// of the region from being freed. Costs the same at every size.
    ///
    /// # Errors
    ///
    /// [`PartError::Misaligned`] and [`PartError::OutsideRegion`].
    pub fn slice(&self, range: Range<u64>) -> Result<Self, PartError> {
        let size = range.end.checked_sub(range.start).ok_or(PartError::OutsideRegion)?;
        Ok(Self { region: self.region.slice(range.start, size)? })
    }

    /// Makes the bytes a region that can be written again, if this is the only reference to it: no clone, slice or
    /// mapping is left, here or in any store. Of a slice, what it leaves out is freed. Never copies; bytes of a file that
    /// was mapped ([`Frozen::from_file_mapped`]) can only be copied.
    ///
    /// # Errors
    ///
    /// [`ThawFailed`], which gives the reference back.
    pub fn thaw(self) -> Result<Mappable, ThawFailed> {
        self.region.thaw().map_err(|region| ThawFailed { frozen: Self { region } })
    }

    /// Moves the bytes into huge pages, as [`Mappable::collapse`] does, for all who have mapped them or will. Of a slice,
    /// only those that are in it. Not the bytes of a file that was mapped ([`Frozen::from_file_mapped`]).
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
        self.region.allocation.collapse(self.region.range)
    }

    /// A new region with a copy of the bytes.
    ///
    /// # Errors
    ///
    /// [`AllocateError::RegionsExhausted`].
    pub fn copy(&self) -> Result<Mappable, AllocateError> {
        self.region.copy()
    }
}

impl Deref for Frozen {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let all = self.region.allocation.shown().expect("a Frozen's allocation is shown");
        let start = self.region.offset() as usize;
        &all[start..start + self.region.size() as usize]
    }
}
