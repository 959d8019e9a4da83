//! The host's side of a region.
//!
//! # Safety
//!
//! [`Mappable::all_bytes`] makes a slice of mapped memory. It rests on ownership (invariant I1): whoever holds the
//! `Mappable` value holds the region, and while it is in a host's hands no guest reaches its pages. A view that once
//! showed them is not current in any memory, and a view that is not current is unreachable for compiled code (see
//! [`view`](crate::view)). While a guest has the region mapped, the value is inside the store's
//! [`MappableCtx`](crate::MappableCtx), which makes no slice; but of one whose bytes are swapped in (`view/swapped_bytes.rs`),
//! whose own pages no current view shows either.

#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::mem;
use std::ops::Range;
use std::slice;
use std::sync::{Arc, OnceLock};

use super::backing::RecycledRange;
use super::frozen_region::FrozenRegion;
use super::huge;
use super::ranges::Runs;
#[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
use super::shared_file::SharedFile;
use super::touched::Touched;
use super::{AllocateError, Backing, Extent, FileRange, FreezeFailed, Frozen, GRANULE, LengthError, Source};
use crate::sys::{Access, Space};

/// A region of memory that the holder of this value owns.
///
/// It is the host's side of the WIT resource `mappable`. While the host holds it, its bytes are a slice; given to a
/// store with [`MappableCtx::insert`](crate::MappableCtx::insert) it becomes a handle that a component can be
/// passed, and [`MappableCtx::remove`](crate::MappableCtx::remove) takes it out again. It is `Send`, and moves
/// between stores and threads.
///
/// Its *size* is what it occupies, a multiple of [`GRANULE`]. Its *length* is how many of its bytes count, any number up to
/// that, and is a part of the value: components see it, and a region that comes back has the length that they gave it. The
/// bytes behind the length are the region's own too, zero unless somebody who owned this region wrote there; all of them are
/// handed over with it.
///
/// Dropping it frees its memory, or keeps that for a region that is allocated next, which has it written over
/// ([`RuntimeBuilder::idle_regions`](crate::RuntimeBuilder::idle_regions)).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = mappable::Runtime::new()?;
/// let mut region = runtime.allocate(100_000)?;
/// assert_eq!((region.len(), region.size()), (100_000, 2 * mappable::GRANULE));
/// assert!(region.bytes()?.iter().all(|&byte| byte == 0));
/// region.bytes_mut()?[..5].copy_from_slice(b"hello");
///
/// // Cut in two, one part is read by everybody while the other is still written.
/// let (low, mut high) = region.split(mappable::GRANULE)?;
/// let greeting = low.freeze()?;
/// high.bytes_mut()?.fill(1);
/// assert_eq!(&greeting.clone()[..5], b"hello");
/// let whole = greeting.thaw()?.join(high)?;
/// assert!(!whole.is_empty());
/// assert_eq!(whole.len(), 100_000);
/// # Ok(())
/// # }
/// ```
pub struct Mappable {
    /// Where the host sees the region, once it has looked. Maps all of `extent` and nothing else, for as long as
    /// this value has that extent; goes before the extent does. Not set where the extent is a block of the heap.
    pub(super) window: OnceLock<Space>,
    pub(super) extent: Extent,
    /// How many of the bytes count. At most the extent's size.
    pub(super) len: u64,
    /// Pages that it has had from the beginning, left by a region before. None of them is freed while this value has its
    /// extent.
    pub(super) pages: Runs,
    /// Whether it has been mapped.
    was_mapped: bool,
}

impl fmt::Debug for Mappable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mappable").field("len", &self.len).field("size", &self.size()).finish_non_exhaustive()
    }
}

impl Mappable {
    /// A region of `len` bytes, which is not zero, and of as many granules as they take. It reads as zero.
    pub(crate) fn allocate(backing: &Arc<Backing>, len: u64) -> Result<Self, AllocateError> {
        Self::allocate_zeroed_from(backing, len, 0, zero)
    }

    /// The same, of which somebody else writes over what a region before has left: all of the pieces that they are given.
    #[cfg(feature = "workers")]
    pub(crate) fn allocate_zeroed_by(
        backing: &Arc<Backing>,
        len: u64,
        zero: impl FnOnce(Vec<&mut [u8]>),
    ) -> Result<Self, AllocateError> {
        Self::allocate_zeroed_from(backing, len, 0, zero)
    }

    /// One whose bytes are those of the slices, one behind the other.
    pub(crate) fn allocate_from(backing: &Arc<Backing>, slices: &[&[u8]]) -> Result<Self, AllocateError> {
        // Slices may be of the same bytes.
        let sum = slices.iter().try_fold(0u64, |sum, slice| sum.checked_add(slice.len() as u64));
        let len = sum.ok_or(AllocateError::RegionsExhausted(u64::MAX))?;
        // What the slices are copied over need not be written over before.
        let mut region = Self::allocate_zeroed_from(backing, len.max(1), len, zero)?;
        region.len = len;
        let mut rest = region.bytes_mut().map_err(|_| AllocateError::RegionsExhausted(len))?;
        for slice in slices {
            let (here, behind) = rest.split_at_mut(slice.len());
            here.copy_from_slice(slice);
            rest = behind;
        }
        Ok(region)
    }

    /// A region that reads as zero from an offset on. What is before is for the caller to write over, all of it, if the host can be shown
    /// the region; else nobody may have it.
    fn allocate_zeroed_from(
        backing: &Arc<Backing>,
        len: u64,
        offset: u64,
        zero: impl FnOnce(Vec<&mut [u8]>),
    ) -> Result<Self, AllocateError> {
        let size = Self::size_for(len)?;
        #[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
        if backing.keeps_apart()
            && let Ok(region) = Self::allocate_exportable(backing, len)
        {
            return Ok(region);
        }
        let (extent, left) = backing.take_for_region(size).ok_or(AllocateError::RegionsExhausted(len))?;
        let window = left.window.map_or_else(OnceLock::new, OnceLock::from);
        let mut region = Self { window, extent, len, pages: left.pages, was_mapped: false };
        region.write_over(offset, zero).map_err(|_| AllocateError::RegionsExhausted(len))?;
        Ok(region)
    }

    /// The size of a region that is allocated for `len` bytes.
    pub(crate) fn size_for(len: u64) -> Result<u64, AllocateError> {
        if len == 0 {
            return Err(AllocateError::InvalidRegionSize(len));
        }
        len.checked_next_multiple_of(GRANULE).ok_or(AllocateError::RegionsExhausted(len))
    }

    pub(super) fn of(extent: Extent, len: u64) -> Self {
        Self { window: OnceLock::new(), extent, len, pages: vec![], was_mapped: false }
    }

    /// All of a file, of which the caller is the owner.
    #[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
    pub(crate) fn of_shared(file: Arc<SharedFile>, len: u64) -> Self {
        let window = file.take_left().map_or_else(OnceLock::new, OnceLock::from);
        let len = len.min(file.range().len());
        Self { window, extent: Extent::of_file(file), len, pages: vec![], was_mapped: false }
    }

    /// Gives up ownership for the file and how many bytes count. A region that has no file to itself comes back.
    #[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
    #[allow(clippy::result_large_err, reason = "the region comes back, without an allocation that could fail")]
    pub(crate) fn into_shared(mut self) -> Result<(Arc<SharedFile>, u64), Self> {
        let Some(file) = self.extent.whole_file().map(Arc::clone) else { return Err(self) };
        file.leave(self.window.take());
        self.extent.disown();
        Ok((file, self.len))
    }

    /// The size in bytes, a positive multiple of [`GRANULE`].
    #[inline]
    pub fn size(&self) -> u64 {
        self.extent.range().len()
    }

    /// How many of the region's bytes count, from the first on: at most [`Mappable::size`].
    #[inline]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the length is zero. The size never is.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sets how many of the region's bytes count. Changes no byte: a length that grows shows zeroes, or what was written
    /// there by who owned this region before.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = mappable::Runtime::new()?;
    /// let mut region = runtime.allocate_from(b"hello")?;
    /// region.set_len(4)?;
    /// assert_eq!(region.bytes()?, b"hell");
    /// region.set_len(region.size())?;
    /// assert_eq!(region.bytes()?[4..7], *b"o\0\0");
    /// assert!(region.set_len(region.size() + 1).is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`LengthError`], for a length beyond the size.
    pub fn set_len(&mut self, len: u64) -> Result<(), LengthError> {
        let size = self.size();
        if len > size {
            return Err(LengthError { len, size });
        }
        self.len = len;
        Ok(())
    }

    /// The region's bytes: as many as its length says.
    ///
    /// The first look maps the region into the host's address space (one or two system calls, kept until the region
    /// is dropped); from then on it costs nothing. The slice begins at a page of the host, or where regions
    /// are mapped by copying at a multiple of 16: it is aligned for every plain type, and so is each offset that is a multiple
    /// of the type's own alignment ([`Mappable::as_pod_at`]).
    ///
    /// # Errors
    ///
    /// The operating system's, when there is no address space or mapping left.
    pub fn bytes(&self) -> io::Result<&[u8]> {
        let len = self.len as usize;
        Ok(&self.all_bytes()?[..len])
    }

    /// The region's bytes, for writing. As [`Mappable::bytes`].
    ///
    /// # Errors
    ///
    /// As [`Mappable::bytes`].
    pub fn bytes_mut(&mut self) -> io::Result<&mut [u8]> {
        let len = self.len as usize;
        Ok(&mut self.all_bytes_mut()?[..len])
    }

    /// All bytes of the region, those behind its length too.
    pub(crate) fn all_bytes(&self) -> io::Result<&[u8]> {
        if let Some(block) = self.extent.block() {
            return Ok(block);
        }
        let window = self.window()?;
        // SAFETY: the window maps all of the region's pages, whose file never shrinks, and lives as long as `self`.
        // Nobody writes to them meanwhile: the host holds the region (I1) and lends it shared.
        Ok(unsafe { slice::from_raw_parts(window.base().as_ptr(), window.len()) })
    }

    /// All bytes of the region, for writing.
    pub(crate) fn all_bytes_mut(&mut self) -> io::Result<&mut [u8]> {
        if self.extent.block().is_none() {
            let window = self.window()?;
            // SAFETY: as in `all_bytes`; the borrow of `self` is exclusive, so this is the only slice.
            return Ok(unsafe { slice::from_raw_parts_mut(window.base().as_ptr(), window.len()) });
        }
        self.extent.block_mut().ok_or_else(|| io::Error::other("bug: a block that was there is gone"))
    }

    /// Makes the region a value that is only read, and that can be cloned, sliced, sent to other threads, and mapped by
    /// many components at once. Copies nothing; one or two system calls if the host has not looked at the bytes yet.
    ///
    /// # Errors
    ///
    /// [`FreezeFailed`], which gives the region back, where it can't be shown in the host's address space.
    #[allow(clippy::result_large_err, reason = "the region comes back, without an allocation that could fail")]
    pub fn freeze(self) -> Result<Frozen, FreezeFailed> {
        match self.all_bytes() {
            Ok(_) => Ok(Frozen::of_shown(FrozenRegion::new(self))),
            Err(source) => Err(FreezeFailed { region: self, source }),
        }
    }

    /// Moves the region's bytes into huge pages of 2 MiB, as far as the region has whole ones of them, whatever
    /// [`HugePages`](crate::HugePages) says. For Linux from 6.1 on. [`Frozen::collapse`] has an example.
    ///
    /// Copies the bytes once, so it pays for what is read often or mapped by many. From then on the region takes memory in
    /// full, also where it was never touched. If a part of it is split off and freed, its pages are small ones again.
    ///
    /// # Errors
    ///
    /// The operating system's, which leave the bytes as they are: [`io::ErrorKind::Unsupported`] where the platform can't
    /// map, [`io::ErrorKind::InvalidInput`] from an older Linux and for a region that was never touched. Any other may not
    /// come again: call it once more.
    pub fn collapse(&self) -> io::Result<()> {
        self.collapse_part(self.extent.range())
    }

    /// The same for a part of the region.
    pub(super) fn collapse_part(&self, part: FileRange) -> io::Result<()> {
        if self.extent.block().is_some() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        huge::collapse(self.window()?, self.extent.range(), part)
    }

    /// Notes that the extent is another one now.
    pub(super) fn become_another(&mut self) {
        self.window.take();
        self.pages.clear();
        self.was_mapped = false;
    }

    /// Notes that it was mapped.
    pub(crate) fn note_mapped(&mut self) {
        self.was_mapped = true;
    }

    /// Whether the host can get at all of it without a system call, and with few page faults.
    pub(crate) fn is_at_hand(&self) -> bool {
        // The bytes of the heap are not for another process, which may have a mapping of the file left.
        let is_private = !self.extent.is_in_shared_file();
        is_private && (self.was_mapped || !self.pages.is_empty()) && self.window.get().is_some()
    }

    #[inline]
    pub(crate) fn extent(&self) -> &Extent {
        &self.extent
    }

    pub(crate) fn extent_mut(&mut self) -> &mut Extent {
        &mut self.extent
    }

    /// Finds the pages that there are, which stay; what there is in more pieces than can be kept goes. Without a window they are
    /// written over.
    fn leave_pages(&mut self) -> io::Result<()> {
        let size = self.size();
        let Touched { runs, rest } = self.extent.touched(size, &self.pages)?;
        if self.window.get().is_none() {
            runs.iter().cloned().try_for_each(|run| self.extent.write_zeroes(run))?;
        }
        if let Some(rest) = rest {
            self.extent.punch(rest..size)?;
        }
        self.pages = runs;
        Ok(())
    }

    /// Has what the region before has left from an offset on written over: all of it is in these pages, and the host has a window.
    /// Without one all reads as zero.
    fn write_over(&mut self, offset: u64, zero: impl FnOnce(Vec<&mut [u8]>)) -> io::Result<()> {
        if self.window.get().is_none() || self.pages.last().is_none_or(|last| last.end <= offset) {
            return Ok(());
        }
        let runs = mem::take(&mut self.pages);
        let behind = runs.iter().map(|run| run.start.max(offset)..run.end).filter(|run| !run.is_empty());
        zero(pieces(self.all_bytes_mut()?, behind));
        self.pages = runs;
        Ok(())
    }

    fn window(&self) -> io::Result<&Space> {
        if let Some(window) = self.window.get() {
            return Ok(window);
        }
        let window = window(self.extent.backing(), self.extent.source(), Access::Write)?;
        Ok(self.window.get_or_init(|| window))
    }
}

impl Drop for Mappable {
    /// Keeps the region's memory for another one, if it may be kept. Who takes it writes over what is in it.
    fn drop(&mut self) {
        if let Some(file) = self.extent.whole_file() {
            file.leave(self.window.take());
        }
        if !self.extent.may_be_idle(self.window.get().is_some()) {
            return;
        }
        match self.leave_pages() {
            Ok(()) => {
                let left = RecycledRange { window: self.window.take(), pages: mem::take(&mut self.pages) };
                self.extent.keep_idle(left);
            }
            Err(error) => tracing::debug!(%error, "a region's memory was not kept"),
        }
    }
}

/// The bytes in these ranges, which rise.
fn pieces(bytes: &mut [u8], ranges: impl Iterator<Item = Range<u64>>) -> Vec<&mut [u8]> {
    let (mut pieces, mut rest, mut at) = (vec![], bytes, 0);
    for Range { start, end } in ranges {
        let (piece, behind) = rest[(start - at) as usize..].split_at_mut((end - start) as usize);
        pieces.push(piece);
        (rest, at) = (behind, end);
    }
    pieces
}

/// Writes over bytes.
fn zero(pieces: Vec<&mut [u8]>) {
    pieces.into_iter().for_each(|piece| piece.fill(0));
}

/// A range of the host's address space that shows `source` and nothing else.
pub(super) fn window(backing: &Backing, source: Source, access: Access) -> io::Result<Space> {
    let len = usize::try_from(source.range.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let window = Space::reserve(len, source.range.start())?;
    backing.show(source, &window, 0, access)?;
    Ok(window)
}
