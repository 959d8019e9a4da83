//! The host's side of a region.
//!
//! # Safety
//!
//! [`Mappable::bytes`] makes a slice of mapped memory. It rests on ownership (invariant I1): whoever holds the
//! `Mappable` value holds the region, and while it is in a host's hands no guest reaches its pages. A view that once
//! showed them is not current in any memory, and a view that is not current is unreachable for compiled code (see
//! [`view`](crate::view)). While a guest has the region mapped, the value is inside the store's
//! [`MappableCtx`](crate::MappableCtx), which makes no slice.

#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::slice;
use std::sync::{Arc, OnceLock};

use super::{Backing, Extent, FileRange, GRANULE};
use crate::sys::Space;

/// Why no region was allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocateError {
    /// The size is zero, or not a multiple of [`GRANULE`].
    #[error("a region can't have {0} bytes: its size is a positive multiple of {GRANULE}")]
    InvalidRegionSize(u64),
    /// There is no room for it.
    #[error("there is no room for a region of {0} bytes")]
    RegionsExhausted(u64),
}

/// A region of memory that the holder of this value owns.
///
/// It is the host's side of the WIT resource `mappable`. While the host holds it, its bytes are a slice; given to a
/// store with [`MappableCtx::insert`](crate::MappableCtx::insert) it becomes a handle that a component can be
/// passed, and [`MappableCtx::remove`](crate::MappableCtx::remove) takes it out again. It is `Send`, and moves
/// between stores and threads.
///
/// Dropping it frees its memory.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = mappable::Runtime::new()?;
/// let mut region = runtime.allocate(mappable::GRANULE)?;
/// assert!(region.bytes()?.iter().all(|&byte| byte == 0));
/// region.bytes_mut()?[..5].copy_from_slice(b"hello");
/// # Ok(())
/// # }
/// ```
pub struct Mappable {
    /// Where the host sees the region, once it has looked. Maps all of `extent` and nothing else, for as long as
    /// this value lives; goes before the extent does.
    window: OnceLock<Space>,
    extent: Extent,
}

impl fmt::Debug for Mappable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mappable").field("size", &self.size()).finish_non_exhaustive()
    }
}

impl Mappable {
    /// A region of `size` bytes, a positive multiple of the granule, that reads as zero.
    pub(crate) fn allocate(backing: &Arc<Backing>, size: u64) -> Result<Self, AllocateError> {
        Self::check_size(size)?;
        let extent = backing.take(size).ok_or(AllocateError::RegionsExhausted(size))?;
        Ok(Self { window: OnceLock::new(), extent })
    }

    /// Whether there can be a region of `size` bytes at all.
    pub(crate) fn check_size(size: u64) -> Result<(), AllocateError> {
        if size == 0 || !size.is_multiple_of(GRANULE) {
            return Err(AllocateError::InvalidRegionSize(size));
        }
        Ok(())
    }

    /// The size in bytes, a positive multiple of [`GRANULE`].
    pub fn size(&self) -> u64 {
        self.extent.range().len()
    }

    /// The region's bytes.
    ///
    /// The first look maps the region into the host's address space (one or two system calls, kept until the region
    /// is dropped); from then on it costs nothing.
    ///
    /// # Errors
    ///
    /// The operating system's, when there is no address space or mapping left.
    pub fn bytes(&self) -> io::Result<&[u8]> {
        let window = self.window()?;
        // SAFETY: the window maps all of the region's pages, whose file never shrinks, and lives as long as `self`.
        // Nobody writes to them meanwhile: the host holds the region (I1) and lends it shared.
        Ok(unsafe { slice::from_raw_parts(window.base().as_ptr(), window.len()) })
    }

    /// The region's bytes, for writing. As [`Mappable::bytes`].
    pub fn bytes_mut(&mut self) -> io::Result<&mut [u8]> {
        let window = self.window()?;
        // SAFETY: as in `bytes`; the borrow of `self` is exclusive, so this is the only slice.
        Ok(unsafe { slice::from_raw_parts_mut(window.base().as_ptr(), window.len()) })
    }

    pub(crate) fn extent(&self) -> &Extent {
        &self.extent
    }

    pub(crate) fn range(&self) -> FileRange {
        self.extent.range()
    }

    fn window(&self) -> io::Result<&Space> {
        if let Some(window) = self.window.get() {
            return Ok(window);
        }
        let len = usize::try_from(self.size()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let window = Space::reserve(len)?;
        window.map(0, self.extent.file(), self.range().start(), len)?;
        Ok(self.window.get_or_init(|| window))
    }
}
