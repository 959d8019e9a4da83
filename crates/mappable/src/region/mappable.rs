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

use super::frozen::FrozenRegion;
use super::huge;
use super::{
    AllocateError, Backing, Extent, FreezeFailed, Frozen, GRANULE, JoinFailed, PartError, Source, SplitFailed,
};
use crate::sys::{Access, Space};

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
/// let mut region = runtime.allocate(2 * mappable::GRANULE)?;
/// assert!(region.bytes()?.iter().all(|&byte| byte == 0));
/// region.bytes_mut()?[..5].copy_from_slice(b"hello");
///
/// // Cut in two, one part is read by everybody while the other is still written.
/// let (low, mut high) = region.split(mappable::GRANULE)?;
/// let greeting = low.freeze()?;
/// high.bytes_mut()?.fill(1);
/// assert_eq!(&greeting.clone()[..5], b"hello");
/// let whole = greeting.thaw()?.join(high)?;
/// assert_eq!(whole.size(), 2 * mappable::GRANULE);
/// # Ok(())
/// # }
/// ```
pub struct Mappable {
    /// Where the host sees the region, once it has looked. Maps all of `extent` and nothing else, for as long as
    /// this value has that extent; goes before the extent does. Not set where the extent is a block of the heap.
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
        Ok(Self::of(extent))
    }

    /// Whether there can be a region of `size` bytes at all.
    pub(crate) fn check_size(size: u64) -> Result<(), AllocateError> {
        if size == 0 || !size.is_multiple_of(GRANULE) {
            return Err(AllocateError::InvalidRegionSize(size));
        }
        Ok(())
    }

    fn of(extent: Extent) -> Self {
        Self { window: OnceLock::new(), extent }
    }

    /// The region that a window, if there is one, shows all of.
    pub(super) fn from_parts(window: OnceLock<Space>, extent: Extent) -> Self {
        Self { window, extent }
    }

    pub(super) fn into_parts(self) -> (OnceLock<Space>, Extent) {
        (self.window, self.extent)
    }

    /// The size in bytes, a positive multiple of [`GRANULE`].
    #[inline]
    pub fn size(&self) -> u64 {
        self.extent.range().len()
    }

    /// The region's bytes.
    ///
    /// The first look maps the region into the host's address space (one or two system calls, kept until the region
    /// is dropped, split or joined); from then on it costs nothing.
    ///
    /// # Errors
    ///
    /// The operating system's, when there is no address space or mapping left.
    pub fn bytes(&self) -> io::Result<&[u8]> {
        if let Some(block) = self.extent.block() {
            return Ok(block);
        }
        let window = self.window()?;
        // SAFETY: the window maps all of the region's pages, whose file never shrinks, and lives as long as `self`.
        // Nobody writes to them meanwhile: the host holds the region (I1) and lends it shared.
        Ok(unsafe { slice::from_raw_parts(window.base().as_ptr(), window.len()) })
    }

    /// The region's bytes, for writing. As [`Mappable::bytes`].
    pub fn bytes_mut(&mut self) -> io::Result<&mut [u8]> {
        if self.extent.block().is_none() {
            let window = self.window()?;
            // SAFETY: as in `bytes`; the borrow of `self` is exclusive, so this is the only slice.
            return Ok(unsafe { slice::from_raw_parts_mut(window.base().as_ptr(), window.len()) });
        }
        self.extent.block_mut().ok_or_else(|| io::Error::other("bug: a block that was there is gone"))
    }

    /// Splits the region into its first `at` bytes and the rest: two regions, each owned, mapped, frozen, handed over
    /// and freed on its own. `at` is a multiple of [`GRANULE`] inside the region. Where the platform can map, the cost
    /// does not depend on the size.
    ///
    /// # Errors
    ///
    /// [`SplitFailed`], which gives the region back.
    pub fn split(mut self, at: u64) -> Result<(Self, Self), SplitFailed> {
        if let Err(reason) = self.check_split(at) {
            return Err(SplitFailed { region: self, reason });
        }
        match self.extent.split_off(at) {
            Some(high) => Ok((Self::of(self.extent), Self::of(high))),
            None => Err(SplitFailed { region: self, reason: PartError::RegionsExhausted }),
        }
    }

    /// Whether `at` is where the region can be split.
    pub(crate) fn check_split(&self, at: u64) -> Result<(), PartError> {
        check_part(self.size(), 0, at)?;
        check_part(self.size(), at, self.size() - at)
    }

    /// Joins two regions into one: this one's bytes, then `high`'s. They must be neighbours in one allocation, as
    /// [`Mappable::split`] leaves them. Where the platform can map, the cost does not depend on the size.
    ///
    /// # Errors
    ///
    /// [`JoinFailed`], which gives both back.
    #[allow(clippy::result_large_err, reason = "two regions come back, without an allocation that could fail")]
    pub fn join(mut self, high: Self) -> Result<Self, JoinFailed> {
        let (window, high) = high.into_parts();
        match self.extent.append(high) {
            Ok(()) => Ok(Self::of(self.extent)),
            Err(high) => Err(JoinFailed { low: self, high: Self::from_parts(window, high) }),
        }
    }

    /// Makes the region a value that is only read, and that can be cloned, sliced, sent to other threads, and mapped by
    /// many components at once. Copies nothing; one or two system calls if the host has not looked at the bytes yet.
    ///
    /// # Errors
    ///
    /// [`FreezeFailed`], which gives the region back, where it can't be shown in the host's address space.
    pub fn freeze(self) -> Result<Frozen, FreezeFailed> {
        match self.bytes() {
            Ok(_) => Ok(Frozen::of_shown(FrozenRegion::new(self))),
            Err(source) => Err(FreezeFailed { region: self, source }),
        }
    }

    /// Moves the region's bytes into huge pages, whatever [`HugePages`](crate::HugePages) says: on Linux, from 6.1 on, 2 MiB
    /// each, as far as the region has whole ones of them. It takes memory in full from then on, also where it was never
    /// touched. Copies the bytes once; worth it for what is read often, or mapped by many. What is freed of it later, a
    /// part that was split off, takes its pages apart again.
    ///
    /// # Errors
    ///
    /// The operating system's, which leave the bytes as they are: [`io::ErrorKind::Unsupported`] where the platform can't map,
    /// [`io::ErrorKind::InvalidInput`] of an older Linux and of a region that was never touched. Others may not come again.
    pub fn collapse(&self) -> io::Result<()> {
        if self.extent.block().is_some() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let range = self.extent.range();
        huge::collapse(self.window()?, range, range)
    }

    #[inline]
    pub(crate) fn extent(&self) -> &Extent {
        &self.extent
    }

    pub(crate) fn extent_mut(&mut self) -> &mut Extent {
        &mut self.extent
    }

    fn window(&self) -> io::Result<&Space> {
        if let Some(window) = self.window.get() {
            return Ok(window);
        }
        let window = window(self.extent.backing(), self.extent.source(), Access::Write)?;
        Ok(self.window.get_or_init(|| window))
    }
}

/// A range of the host's address space that shows `source` and nothing else.
pub(super) fn window(backing: &Backing, source: Source, access: Access) -> io::Result<Space> {
    let len = usize::try_from(source.range.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let window = Space::reserve(len, source.range.start())?;
    backing.show(source, &window, 0, access)?;
    Ok(window)
}

/// Whether the `len` bytes at `offset` are a part of a region of `size` bytes.
pub(crate) fn check_part(size: u64, offset: u64, len: u64) -> Result<(), PartError> {
    if !offset.is_multiple_of(GRANULE) || !len.is_multiple_of(GRANULE) {
        return Err(PartError::Misaligned);
    }
    if len == 0 || offset.checked_add(len).is_none_or(|end| end > size) {
        return Err(PartError::OutsideRegion);
    }
    Ok(())
}
