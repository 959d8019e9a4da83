//! [`Mapped`], [`MappedFrozen`] and [`MappedPrivate`]: guards that give access to the bytes of a mapped region.

use alloc::boxed::Box;
use core::ops::{Bound, Deref, DerefMut, RangeBounds};

use bytemuck::Pod;

use crate::bindings::types;
use crate::error::UnmapFailed;
use crate::frozen::Frozen;
use crate::handle::{Handle, Private};
use crate::held::Held;
use crate::region::Mappable;

/// A region that is mapped into this component's memory. It dereferences to a `[u8]` that is as long as the region's
/// [length](Mappable::len).
///
/// Dropping it takes the region out of the memory and frees it; [`unmap`](Mapped::unmap) keeps the region.
///
/// ```
/// use mappable_guest::Mappable;
///
/// let mut bytes = Mappable::allocate(65_536)?.map()?;
/// bytes.fill(7);
/// let region = bytes.unmap(); // ready to be mapped again, or handed over
/// assert_eq!(region.map()?[65_535], 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Mapped(Guard<types::Mappable>);

/// A frozen region that is mapped into this component's memory. It dereferences to a `[u8]` that can't be changed, as long
/// as the [length](Frozen::len).
///
/// Dropping it takes the region out of the memory and drops the reference; [`unmap`](MappedFrozen::unmap) keeps the
/// reference.
///
/// ```
/// use mappable_guest::Mappable;
///
/// let bytes = Mappable::allocate_from(b"hello")?.freeze().map()?;
/// assert_eq!(bytes[..], *b"hello");
/// let frozen = bytes.unmap();
/// # assert_eq!(frozen.size(), 65_536);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MappedFrozen(Guard<types::Frozen>);

/// A frozen region that is mapped into this component's memory to be written to. It dereferences to a `[u8]` that is as long as
/// the [length](Frozen::len). What is written is this mapping's own: [`Frozen::map_private`].
///
/// Dropping it takes the region out of the memory and drops the reference; [`unmap`](MappedPrivate::unmap) keeps the
/// reference. What was written is lost either way.
///
/// ```
/// use mappable_guest::Mappable;
///
/// let mut bytes = Mappable::allocate_from(&[1, 2, 3, 4])?.freeze().map_private()?;
/// bytes.as_pod_mut::<[u8; 2]>()[1] = [0, 9];
/// assert_eq!(bytes.as_pod::<[u8; 2]>(), [[1, 2], [0, 9]]);
/// let frozen = bytes.unmap();
/// assert_eq!(frozen.map()?[..], [1, 2, 3, 4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MappedPrivate(Guard<Private>);

/// Unmaps on drop. If the mapping's handle were merely dropped, the region would stay at its placement until the next
/// map or unmap, and the placement could not be used again.
#[derive(Debug)]
struct Guard<H: Handle>(
    /// `None` only while the guard is consumed or dropped.
    Option<Held<H>>,
);

const HELD: &str = "a mapped region holds its placement until it is consumed";

impl<H: Handle> Guard<H> {
    fn held(&self) -> &Held<H> {
        self.0.as_ref().expect(HELD)
    }

    fn held_mut(&mut self) -> &mut Held<H> {
        self.0.as_mut().expect(HELD)
    }

    fn take(mut self) -> Held<H> {
        self.0.take().expect(HELD)
    }
}

impl<H: Handle> Drop for Guard<H> {
    fn drop(&mut self) {
        if let Some(held) = self.0.take() {
            held.free();
        }
    }
}

impl Mapped {
    pub(crate) fn new(held: Held<types::Mappable>) -> Mapped {
        Mapped(Guard(Some(held)))
    }

    /// Takes the region out of this component's memory, so that it can be handed over.
    ///
    /// Makes one call to the host, which makes no system call if [`Mappable::map`] made none. If the host couldn't map,
    /// this copies the whole region.
    ///
    /// ```
    /// # use mappable_guest::Mappable;
    /// let mut bytes = Mappable::allocate(65_536)?.map()?;
    /// bytes[0] = 1;
    /// let handle: mappable_guest::Handle = bytes.unmap().into();
    /// # drop(Mappable::from(handle));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the host refuses. No host that follows the interface does. [`try_unmap`](Mapped::try_unmap) returns an error
    /// instead.
    pub fn unmap(self) -> Mappable {
        match self.try_unmap() {
            Ok(region) => region,
            Err(failed) => panic!("{failed}"),
        }
    }

    /// Does the same as [`unmap`](Mapped::unmap), without a panic.
    ///
    /// ```
    /// # use mappable_guest::Mappable;
    /// let bytes = Mappable::allocate(65_536)?.map()?;
    /// let region = bytes.try_unmap()?;
    /// # assert_eq!(region.size(), 65_536);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The host refused. The error returns the region, which is still mapped.
    pub fn try_unmap(self) -> Result<Mappable, UnmapFailed> {
        match self.0.take().unmap() {
            Ok(region) => Ok(Mappable::from_owned(region)),
            Err((held, reason)) => Err(UnmapFailed { mapped: Box::new(Mapped::new(held)), reason }),
        }
    }

    /// Returns whether the bytes are a copy of the region, because the host can't map it. In that case
    /// [`Mappable::map`] has copied the region in, and [`unmap`](Mapped::unmap) copies it back.
    ///
    /// ```
    /// # use mappable_guest::Mappable;
    /// let bytes = Mappable::allocate(65_536)?.map()?;
    /// if bytes.is_by_copy() {
    ///     // A small part would be cheaper by `Mappable::read`.
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_by_copy(&self) -> bool {
        self.0.held().is_by_copy()
    }

    /// Returns the region as values of `T`: as many as fit into its length, from its first byte. Costs nothing.
    ///
    /// ```
    /// # use mappable_guest::Mappable;
    /// let mut bytes = Mappable::allocate(3 * 4)?.map()?;
    /// bytes.as_pod_mut::<u32>()[1] = 7;
    /// assert_eq!(bytes.as_pod::<u32>(), [0, 7, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn as_pod<T: Pod>(&self) -> &[T] {
        values(self)
    }

    /// Does the same as [`as_pod`](Mapped::as_pod), with values that can be changed.
    pub fn as_pod_mut<T: Pod>(&mut self) -> &mut [T] {
        values_mut(self)
    }

    /// Returns the bytes in `range` as values of `T`. Costs nothing.
    ///
    /// ```
    /// # let region = mappable_guest::Mappable::allocate(65_536)?;
    /// let mut bytes = region.map()?;
    /// bytes.as_pod_mut_at(16..24).copy_from_slice(&[1.0_f32, 2.0]);
    /// assert_eq!(bytes.as_pod_at::<f32>(16..24), [1.0, 2.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the range is not inside the region, does not hold a whole number of values, or is not aligned for `T`.
    pub fn as_pod_at<T: Pod>(&self, range: impl RangeBounds<usize>) -> &[T] {
        bytemuck::cast_slice(&self[bounds(&range)])
    }

    /// Does the same as [`as_pod_at`](Mapped::as_pod_at), with values that can be changed.
    ///
    /// # Panics
    ///
    /// In the same cases as [`as_pod_at`](Mapped::as_pod_at).
    pub fn as_pod_mut_at<T: Pod>(&mut self, range: impl RangeBounds<usize>) -> &mut [T] {
        bytemuck::cast_slice_mut(&mut self[bounds(&range)])
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.held().bytes()
    }
}

impl DerefMut for Mapped {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.held_mut().bytes_mut()
    }
}

impl MappedFrozen {
    pub(crate) fn new(held: Held<types::Frozen>) -> MappedFrozen {
        MappedFrozen(Guard(Some(held)))
    }

    /// Takes the bytes out of this component's memory, and returns the reference. Never copies.
    ///
    /// # Panics
    ///
    /// In the same case as [`Mapped::unmap`].
    pub fn unmap(self) -> Frozen {
        match self.try_unmap() {
            Ok(frozen) => frozen,
            Err(failed) => panic!("{failed}"),
        }
    }

    /// Does the same as [`unmap`](MappedFrozen::unmap), without a panic. [`Mapped::try_unmap`] has an example.
    ///
    /// # Errors
    ///
    /// The host refused. The error returns the reference, which is still mapped.
    pub fn try_unmap(self) -> Result<Frozen, UnmapFailed<MappedFrozen>> {
        match self.0.take().unmap() {
            Ok(region) => Ok(Frozen::from_owned(region)),
            Err((held, reason)) => Err(UnmapFailed { mapped: Box::new(MappedFrozen::new(held)), reason }),
        }
    }

    /// Returns whether the bytes are a copy of the region, which [`Frozen::map`] has made because the host can't map
    /// it.
    pub fn is_by_copy(&self) -> bool {
        self.0.held().is_by_copy()
    }

    /// Returns the bytes as values of `T`: as many as fit, from the first byte. Costs nothing. [`Mapped::as_pod`] has an
    /// example.
    pub fn as_pod<T: Pod>(&self) -> &[T] {
        values(self)
    }

    /// Returns the bytes in `range` as values of `T`. Costs nothing.
    ///
    /// ```
    /// # use mappable_guest::Mappable;
    /// let bytes = Mappable::allocate_from(&[1, 0, 2, 0])?.freeze().map()?;
    /// assert_eq!(bytes.as_pod_at::<u16>(..4), [1_u16, 2].map(u16::to_le));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// In the same cases as [`Mapped::as_pod_at`].
    pub fn as_pod_at<T: Pod>(&self, range: impl RangeBounds<usize>) -> &[T] {
        bytemuck::cast_slice(&self[bounds(&range)])
    }
}

impl MappedPrivate {
    pub(crate) fn new(held: Held<Private>) -> MappedPrivate {
        MappedPrivate(Guard(Some(held)))
    }

    /// Takes the bytes out of this component's memory, and returns the reference. What was written is lost.
    ///
    /// ```
    /// # use mappable_guest::Mappable;
    /// let mut bytes = Mappable::allocate_from(b"hello")?.freeze().map_private()?;
    /// bytes.fill(0);
    /// assert_eq!(bytes.unmap().map()?[..], *b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// In the same case as [`Mapped::unmap`].
    pub fn unmap(self) -> Frozen {
        match self.try_unmap() {
            Ok(frozen) => frozen,
            Err(failed) => panic!("{failed}"),
        }
    }

    /// Does the same as [`unmap`](MappedPrivate::unmap), without a panic.
    ///
    /// # Errors
    ///
    /// The host refused. The error returns the reference, which is still mapped.
    pub fn try_unmap(self) -> Result<Frozen, UnmapFailed<MappedPrivate>> {
        match self.0.take().unmap() {
            Ok(region) => Ok(Frozen::from_owned(region.with(|raw| raw.0))),
            Err((held, reason)) => Err(UnmapFailed { mapped: Box::new(MappedPrivate::new(held)), reason }),
        }
    }

    /// Returns whether all of the bytes are a copy, which [`Frozen::map_private`] has made because the host can't map them.
    pub fn is_by_copy(&self) -> bool {
        self.0.held().is_by_copy()
    }

    /// Returns the bytes as values of `T`: as many as fit, from the first byte. Costs nothing.
    pub fn as_pod<T: Pod>(&self) -> &[T] {
        values(self)
    }

    /// Does the same as [`as_pod`](MappedPrivate::as_pod), with values that can be changed.
    pub fn as_pod_mut<T: Pod>(&mut self) -> &mut [T] {
        values_mut(self)
    }
}

impl Deref for MappedPrivate {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.held().bytes()
    }
}

impl DerefMut for MappedPrivate {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.held_mut().bytes_mut()
    }
}

impl Deref for MappedFrozen {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.held().bytes()
    }
}

fn bounds(range: &impl RangeBounds<usize>) -> (Bound<usize>, Bound<usize>) {
    (range.start_bound().cloned(), range.end_bound().cloned())
}

fn values<T: Pod>(bytes: &[u8]) -> &[T] {
    bytemuck::cast_slice(&bytes[..pod_bytes::<T>(bytes.len())])
}

fn values_mut<T: Pod>(bytes: &mut [u8]) -> &mut [T] {
    let whole = pod_bytes::<T>(bytes.len());
    bytemuck::cast_slice_mut(&mut bytes[..whole])
}

/// Returns how many of `size` bytes hold whole values of `T`.
fn pod_bytes<T>(size: usize) -> usize {
    size.checked_rem(size_of::<T>()).map_or(0, |rest| size - rest)
}
