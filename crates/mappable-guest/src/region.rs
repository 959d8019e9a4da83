//! [`Mappable`] and [`Mapped`]: a region that this component owns, and one that it has mapped.
//!
//! # Safety
//!
//! A [`Mapped`] owns its [`Placement`], and so has the sole use of those bytes from `map` to `unmap` or drop: they
//! come from growing the memory, the allocator and the stack never have them, and the pool gives them to one owner
//! at a time. References to them are only made by borrowing the `Mapped`, and mapping and unmapping consume it, so
//! none lives while what they show changes. All bytes are initialised: grown memory and new regions read as zero.
//! A placement goes back to the pool only when nothing is mapped over it.
#![allow(unsafe_code)]

use alloc::boxed::Box;
use core::cell::Cell;
use core::fmt;
use core::ops::{Deref, DerefMut};

use bytemuck::Pod;

use crate::GRANULE_BYTES;
use crate::bindings::types;
use crate::pool::Placement;
use crate::sys;

/// How much is copied at once on a host that can't map: what bounds the memory that copying takes.
const COPY_CHUNK_BYTES: usize = 1 << 20;

/// A region of memory that this component owns, mapped nowhere. Dropping it frees the region.
///
/// Its bytes are reached by [`map`](Mappable::map), at no cost for any size, or piecewise by
/// [`read`](Mappable::read) and [`write`](Mappable::write), which copy. It converts from and into the raw handle,
/// [`types::Mappable`], in which regions come and go.
#[derive(Debug)]
pub struct Mappable {
    raw: types::Mappable,
    /// In bytes; 0 is not known yet. A region's size never changes.
    size_bytes: Cell<u64>,
}

impl Mappable {
    /// A new region of `size_bytes`, a positive multiple of [`GRANULE_BYTES`], that reads as zero.
    ///
    /// One call of the host; memory is taken as it is touched.
    ///
    /// # Errors
    ///
    /// The size is not such a multiple, is over a quota, or the host has no room.
    pub fn allocate(size_bytes: u64) -> Result<Mappable, AllocateError> {
        let raw = types::Mappable::allocate(size_bytes).map_err(|error| match error {
            types::AllocateError::InvalidRegionSize => AllocateError::InvalidSize { size_bytes },
            types::AllocateError::RegionOverQuota => AllocateError::OverQuota { size_bytes },
            types::AllocateError::RegionsExhausted => AllocateError::Exhausted { size_bytes },
        })?;
        Ok(Mappable { raw, size_bytes: Cell::new(size_bytes) })
    }

    /// A new region of `size_bytes` rounded up to whole granules, one at least.
    ///
    /// # Errors
    ///
    /// As [`allocate`](Mappable::allocate).
    pub fn allocate_at_least(size_bytes: u64) -> Result<Mappable, AllocateError> {
        let granule = GRANULE_BYTES as u64;
        let rounded = size_bytes.max(1).checked_next_multiple_of(granule);
        Mappable::allocate(rounded.ok_or(AllocateError::Exhausted { size_bytes })?)
    }

    /// The size of the region in bytes, a multiple of [`GRANULE_BYTES`]. The first time, a call of the host.
    pub fn size_bytes(&self) -> u64 {
        if self.size_bytes.get() == 0 {
            self.size_bytes.set(self.raw.size());
        }
        self.size_bytes.get()
    }

    /// Maps the region into this component's memory.
    ///
    /// One call of the host, and when the region was at the same placement before, no system call, whatever its
    /// size. On a host that can't map it copies: see [`Mapped::is_by_copy`].
    ///
    /// # Errors
    ///
    /// The memory has no room for a placement. The error gives the region back.
    pub fn map(self) -> Result<Mapped, MapFailed> {
        let size_bytes = self.size_bytes();
        let placed = usize::try_from(size_bytes).ok().and_then(|size| Some((size, Placement::acquire(size)?)));
        let Some((size, placement)) = placed else {
            return Err(MapFailed { region: self, reason: MapReason::MemoryFull { size_bytes } });
        };
        match sys::map(self.raw, &placement, size) {
            Ok(mapping) => Ok(Mapped { held: Some(Held { region: Holding::Mapping(mapping), placement }), size }),
            Err((raw, types::MapError::PlacementUnmappable | types::MapError::MappingsExhausted)) => {
                let held = Held { region: Holding::Copied(raw), placement };
                let mut mapped = Mapped { held: Some(held), size };
                mapped.copy_in();
                Ok(mapped)
            }
            Err((raw, error)) => {
                placement.release();
                let region = Mappable { raw, size_bytes: Cell::new(size_bytes) };
                Err(MapFailed { region, reason: MapReason::Refused(error) })
            }
        }
    }

    /// Copies bytes out of the region, from `offset_bytes`.
    ///
    /// # Errors
    ///
    /// The range is not inside the region. Then `into` may have been written in part.
    pub fn read(&self, offset_bytes: u64, into: &mut [u8]) -> Result<(), RangeError> {
        self.check_range(offset_bytes, into.len())?;
        read(&self.raw, offset_bytes, into)
    }

    /// Copies bytes into the region, at `offset_bytes`.
    ///
    /// # Errors
    ///
    /// The range is not inside the region. Nothing was written then.
    pub fn write(&self, offset_bytes: u64, bytes: &[u8]) -> Result<(), RangeError> {
        self.raw.write(offset_bytes, bytes).map_err(|_| self.range_error(offset_bytes, bytes.len()))
    }

    fn check_range(&self, offset_bytes: u64, length: usize) -> Result<(), RangeError> {
        let end = offset_bytes.checked_add(length as u64);
        if end.is_some_and(|end| end <= self.size_bytes()) {
            Ok(())
        } else {
            Err(self.range_error(offset_bytes, length))
        }
    }

    fn range_error(&self, offset_bytes: u64, length: usize) -> RangeError {
        RangeError { offset_bytes, length_bytes: length as u64, size_bytes: self.size_bytes() }
    }
}

impl From<types::Mappable> for Mappable {
    /// Takes over a region that was handed to this component.
    fn from(raw: types::Mappable) -> Mappable {
        Mappable { raw, size_bytes: Cell::new(0) }
    }
}

impl From<Mappable> for types::Mappable {
    /// What hands the region over, as an argument or a result.
    fn from(region: Mappable) -> types::Mappable {
        region.raw
    }
}

/// A region that is mapped into this component's memory: a `[u8]`.
///
/// Dropping it takes the region out of the memory and frees it; [`unmap`](Mapped::unmap) keeps it.
#[derive(Debug)]
pub struct Mapped {
    /// Only `None` while this is consumed or dropped.
    held: Option<Held>,
    /// In bytes: the region's size, all of it at the placement.
    size: usize,
}

#[derive(Debug)]
struct Held {
    region: Holding,
    placement: Placement,
}

#[derive(Debug)]
enum Holding {
    /// The bytes at the placement are the region.
    Mapping(types::Mapping),
    /// The bytes at the placement are this component's own, a copy of the region.
    Copied(types::Mappable),
}

impl Mapped {
    /// Takes the region out of this component's memory, ready to be handed over.
    ///
    /// One call of the host, and no system call where mapping took none. When the host couldn't map, a copy of the
    /// whole region.
    ///
    /// # Panics
    ///
    /// When the host refuses to unmap a region where it mapped it, which none does that keeps to the interface.
    /// [`try_unmap`](Mapped::try_unmap) gives an error instead.
    pub fn unmap(self) -> Mappable {
        match self.try_unmap() {
            Ok(region) => region,
            Err(failed) => panic!("{failed}"),
        }
    }

    /// As [`unmap`](Mapped::unmap).
    ///
    /// # Errors
    ///
    /// The host refused. The region is still mapped, and the error gives it back.
    pub fn try_unmap(mut self) -> Result<Mappable, UnmapFailed> {
        self.copy_out();
        let size = self.size;
        match self.take_held().unmap(size) {
            Ok(raw) => Ok(Mappable { raw, size_bytes: Cell::new(size as u64) }),
            Err((held, error)) => Err(UnmapFailed { mapped: Box::new(Mapped { held: Some(held), size }), error }),
        }
    }

    /// Whether the bytes are a copy of the region, because this host can't map it.
    ///
    /// Then [`Mappable::map`] has copied the region in, and [`unmap`](Mapped::unmap) copies it back.
    pub fn is_by_copy(&self) -> bool {
        matches!(self.held, Some(Held { region: Holding::Copied(_), .. }))
    }

    /// The region as values of `T`: as many as fit, from its first byte. Costs nothing.
    pub fn as_pod<T: Pod>(&self) -> &[T] {
        let whole = pod_bytes::<T>(self.size);
        bytemuck::cast_slice(&self[..whole])
    }

    /// The region as values of `T` that can be changed: as many as fit, from its first byte. Costs nothing.
    pub fn as_pod_mut<T: Pod>(&mut self) -> &mut [T] {
        let whole = pod_bytes::<T>(self.size);
        bytemuck::cast_slice_mut(&mut self[..whole])
    }

    fn pointer(&self) -> *mut u8 {
        let address = self.held.as_ref().map_or(0, |held| held.placement.address());
        core::ptr::with_exposed_provenance_mut(address)
    }

    fn take_held(&mut self) -> Held {
        self.held.take().expect("a mapped region holds its placement until it is consumed")
    }

    /// On a host that can't map: fills the placement with the region's bytes.
    fn copy_in(&mut self) {
        let held = self.take_held();
        if let Holding::Copied(raw) = &held.region {
            // SAFETY: the module's: `held`, out of `self` for this while, has the sole use of the placement, which is
            // `size` initialised bytes of this component's memory.
            let bytes = unsafe { held.bytes_mut(self.size) };
            read(raw, 0, bytes).expect("the host reads what is inside a region");
        }
        self.held = Some(held);
    }

    /// On a host that can't map: writes the placement's bytes back to the region.
    fn copy_out(&self) {
        if let Some(Held { region: Holding::Copied(raw), .. }) = &self.held {
            let mut offset = 0;
            for chunk in self.chunks(COPY_CHUNK_BYTES) {
                raw.write(offset, chunk).expect("the host writes what is inside a region");
                offset += chunk.len() as u64;
            }
        }
    }
}

impl Held {
    /// The bytes at the placement.
    ///
    /// # Safety
    ///
    /// The placement is at least `size` bytes long, and no other reference to its bytes lives.
    #[allow(clippy::mut_from_ref, reason = "the caller answers for the reference being the only one")]
    unsafe fn bytes_mut(&self, size: usize) -> &mut [u8] {
        let pointer = core::ptr::with_exposed_provenance_mut(self.placement.address());
        // SAFETY: the module's, and the caller's word.
        unsafe { core::slice::from_raw_parts_mut(pointer, size) }
    }

    /// Takes the region out of the memory and gives the placement back to the pool.
    fn unmap(self, size: usize) -> Result<types::Mappable, (Held, types::MapError)> {
        let Held { region, placement } = self;
        let region = match region {
            Holding::Copied(raw) => Ok(raw),
            Holding::Mapping(mapping) => sys::unmap(mapping, &placement, size),
        };
        match region {
            Ok(raw) => {
                placement.release();
                Ok(raw)
            }
            Err((mapping, error)) => Err((Held { region: Holding::Mapping(mapping), placement }, error)),
        }
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the module's: `size` initialised bytes that `self` has the sole use of, borrowed as `self` is.
        unsafe { core::slice::from_raw_parts(self.pointer(), self.size) }
    }
}

impl DerefMut for Mapped {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: the module's: `size` initialised bytes that `self` has the sole use of, mutably borrowed as `self` is.
        unsafe { core::slice::from_raw_parts_mut(self.pointer(), self.size) }
    }
}

impl Drop for Mapped {
    /// Unmaps first: a mapping that is merely dropped stays where it is until the next map or unmap, and its
    /// placement could not be used again. Should the host refuse, the placement is given up for good.
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            drop(held.unmap(self.size));
        }
    }
}

/// Copies bytes out of a region in pieces, since the host gives each as a vector. None is too long for a host.
fn read(raw: &types::Mappable, offset_bytes: u64, into: &mut [u8]) -> Result<(), RangeError> {
    let mut offset = offset_bytes;
    for chunk in into.chunks_mut(COPY_CHUNK_BYTES) {
        let bytes = raw.read(offset, chunk.len() as u32).map_err(|_| RangeError {
            offset_bytes: offset,
            length_bytes: chunk.len() as u64,
            size_bytes: raw.size(),
        })?;
        chunk.copy_from_slice(&bytes);
        offset += bytes.len() as u64;
    }
    Ok(())
}

/// How many of `size` bytes are whole values of `T`.
fn pod_bytes<T>(size: usize) -> usize {
    size.checked_rem(size_of::<T>()).map_or(0, |rest| size - rest)
}

/// Why there is no region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllocateError {
    /// The size is zero or not a multiple of the granule.
    InvalidSize {
        /// The size that was asked for.
        size_bytes: u64,
    },
    /// The region would take this component over a quota that its host has set.
    OverQuota {
        /// The size that was asked for.
        size_bytes: u64,
    },
    /// The host has no room for it.
    Exhausted {
        /// The size that was asked for.
        size_bytes: u64,
    },
}

impl fmt::Display for AllocateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AllocateError::InvalidSize { size_bytes } => {
                write!(f, "a region of {size_bytes} bytes can't be: its size is a positive multiple of {GRANULE_BYTES}")
            }
            AllocateError::OverQuota { size_bytes } => {
                write!(f, "a region of {size_bytes} bytes is over the quota that the host has set")
            }
            AllocateError::Exhausted { size_bytes } => {
                write!(f, "the host has no room for a region of {size_bytes} bytes")
            }
        }
    }
}

impl core::error::Error for AllocateError {}

/// A region could not be mapped. It is given back.
#[derive(Debug)]
pub struct MapFailed {
    /// The region, as it was.
    pub region: Mappable,
    /// Why.
    pub reason: MapReason,
}

/// Why a region could not be mapped.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum MapReason {
    /// This component's memory has no room for a placement, and can't grow so far.
    MemoryFull {
        /// The size of the region.
        size_bytes: u64,
    },
    /// The host refused the placement, which none does that keeps to the interface.
    Refused(types::MapError),
}

impl fmt::Display for MapFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            MapReason::MemoryFull { size_bytes } => {
                write!(f, "the component's memory has no room to map a region of {size_bytes} bytes")
            }
            MapReason::Refused(error) => write!(f, "the host refused to map the region: {error:?}"),
        }
    }
}

impl core::error::Error for MapFailed {}

/// The host refused to unmap a region. It is given back, still mapped.
#[derive(Debug)]
pub struct UnmapFailed {
    /// The region, as it was.
    pub mapped: Box<Mapped>,
    /// What the host said.
    pub error: types::MapError,
}

impl fmt::Display for UnmapFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the host refused to unmap the region: {:?}", self.error)
    }
}

impl core::error::Error for UnmapFailed {}

/// A range of bytes that is not inside the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeError {
    /// Where the range begins.
    pub offset_bytes: u64,
    /// How long it is.
    pub length_bytes: u64,
    /// How long the region is.
    pub size_bytes: u64,
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RangeError { offset_bytes, length_bytes, size_bytes } = self;
        write!(f, "{length_bytes} bytes from {offset_bytes} are not inside a region of {size_bytes} bytes")
    }
}

impl core::error::Error for RangeError {}
