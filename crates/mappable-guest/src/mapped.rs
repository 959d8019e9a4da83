//! [`Mapped`] and [`MappedFrozen`]: the guards through which a mapped region's bytes are reached.

use alloc::boxed::Box;
use core::ops::{Bound, Deref, DerefMut, RangeBounds};

use bytemuck::Pod;

use crate::bindings::types;
use crate::error::UnmapFailed;
use crate::frozen::Frozen;
use crate::handle::Handle;
use crate::held::Held;
use crate::region::Mappable;

/// A region that is mapped into this component's memory: a `[u8]`.
///
/// Dropping it takes the region out of the memory and frees it; [`unmap`](Mapped::unmap) keeps it.
#[derive(Debug)]
pub struct Mapped(Guard<types::Mappable>);

/// A frozen region that is mapped into this component's memory: a `[u8]` that can't be changed.
///
/// Dropping it takes the region out of the memory and drops the reference; [`unmap`](MappedFrozen::unmap) keeps it.
#[derive(Debug)]
pub struct MappedFrozen(Guard<types::Frozen>);

/// What unmaps on drop: a mapping that is merely dropped stays where it is until the next map or unmap, and its
/// placement could not be used again.
#[derive(Debug)]
struct Guard<H: Handle>(
    /// Only `None` while this is consumed or dropped.
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
    pub fn try_unmap(self) -> Result<Mappable, UnmapFailed> {
        match self.0.take().unmap() {
            Ok(region) => Ok(Mappable::from_owned(region)),
            Err((held, reason)) => Err(UnmapFailed { mapped: Box::new(Mapped::new(held)), reason }),
        }
    }

    /// Whether the bytes are a copy of the region, because this host can't map it.
    ///
    /// Then [`Mappable::map`] has copied the region in, and [`unmap`](Mapped::unmap) copies it back.
    pub fn is_by_copy(&self) -> bool {
        self.0.held().is_by_copy()
    }

    /// The region as values of `T`: as many as fit, from its first byte. Costs nothing.
    pub fn as_pod<T: Pod>(&self) -> &[T] {
        values(self)
    }

    /// The region as values of `T` that can be changed: as many as fit, from its first byte. Costs nothing.
    pub fn as_pod_mut<T: Pod>(&mut self) -> &mut [T] {
        let whole = pod_bytes::<T>(self.len());
        bytemuck::cast_slice_mut(&mut self[..whole])
    }

    /// The bytes at `range`, in bytes, as values of `T`. Costs nothing.
    ///
    /// What a region holds is often shorter than the region, whose size is whole granules: `as_pod_at(..4 * count)` is
    /// `count` values and no more.
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
    /// When the range is not inside the region, is not a whole number of values, or does not begin where a value of `T` may.
    pub fn as_pod_at<T: Pod>(&self, range: impl RangeBounds<usize>) -> &[T] {
        bytemuck::cast_slice(&self[bounds(&range)])
    }

    /// As [`as_pod_at`](Mapped::as_pod_at), to be changed.
    ///
    /// # Panics
    ///
    /// As [`as_pod_at`](Mapped::as_pod_at).
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

    /// Takes the bytes out of this component's memory, and gives the reference back. Never a copy.
    ///
    /// # Panics
    ///
    /// As [`Mapped::unmap`].
    pub fn unmap(self) -> Frozen {
        match self.try_unmap() {
            Ok(frozen) => frozen,
            Err(failed) => panic!("{failed}"),
        }
    }

    /// As [`unmap`](MappedFrozen::unmap).
    ///
    /// # Errors
    ///
    /// The host refused. The bytes are still mapped, and the error gives them back.
    pub fn try_unmap(self) -> Result<Frozen, UnmapFailed<MappedFrozen>> {
        match self.0.take().unmap() {
            Ok(region) => Ok(Frozen::from_owned(region)),
            Err((held, reason)) => Err(UnmapFailed { mapped: Box::new(MappedFrozen::new(held)), reason }),
        }
    }

    /// Whether the bytes are a copy of the region, because this host can't map it. [`Frozen::map`] has made it.
    pub fn is_by_copy(&self) -> bool {
        self.0.held().is_by_copy()
    }

    /// The bytes as values of `T`: as many as fit, from the first byte. Costs nothing.
    pub fn as_pod<T: Pod>(&self) -> &[T] {
        values(self)
    }

    /// The bytes at `range` as values of `T`, as [`Mapped::as_pod_at`].
    ///
    /// # Panics
    ///
    /// As [`Mapped::as_pod_at`].
    pub fn as_pod_at<T: Pod>(&self, range: impl RangeBounds<usize>) -> &[T] {
        bytemuck::cast_slice(&self[bounds(&range)])
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

/// How many of `size` bytes are whole values of `T`.
fn pod_bytes<T>(size: usize) -> usize {
    size.checked_rem(size_of::<T>()).map_or(0, |rest| size - rest)
}
