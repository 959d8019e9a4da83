//! [`Frozen`]: a host's reference to frozen bytes, which it sees as a slice.

use std::fmt;
use std::io;
use std::ops::{Deref, Range};

use super::{AllocateError, FrozenRegion, Mappable, PartError, ThawFailed};

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
        region.shown()?;
        Ok(Self { region })
    }

    /// A reference to bytes that are shown already.
    pub(super) fn of_shown(region: FrozenRegion) -> Self {
        debug_assert!(region.shown().is_ok());
        Self { region }
    }

    #[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
    pub(crate) fn region(&self) -> &FrozenRegion {
        &self.region
    }

    pub(crate) fn into_region(self) -> FrozenRegion {
        self.region
    }

    /// The size in bytes, a positive multiple of [`GRANULE`](crate::GRANULE): what a component maps. The `len` of the slice is
    /// how many of them count.
    pub fn size(&self) -> u64 {
        self.region.size()
    }

    /// A reference to the bytes in `range` alone, which begins at a multiple of [`GRANULE`](crate::GRANULE) and is not empty.
    /// Its length is how many of them count here. A component that is given the slice is given whole granules: it can read
    /// what is behind the slice in the last one. Keeps all of the region from being freed. Costs the same at every size.
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
        self.region.collapse()
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
        self.region.shown().expect("a Frozen's allocation is shown")
    }
}
