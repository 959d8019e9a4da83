//! Bytes as values of a plain type: how [`Mappable`] and [`Frozen`] show what is written in them.
//!
//! The names are those of the guests' crate, `mappable-guest`, where a region is mapped and its bytes are always at hand. A
//! region of the host's has to be shown first, which can fail: see [`Mappable::bytes`].

use std::io;
use std::ops::{Bound, RangeBounds};

use bytemuck::{Pod, PodCastError};

use super::{Frozen, Mappable};

/// Why bytes are not values of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PodError {
    /// The range is not inside the region.
    #[error("the range is not inside the region")]
    OutsideRegion,
    /// The range does not begin at a multiple of the type's alignment.
    #[error("the range does not begin at a multiple of the type's alignment")]
    Misaligned,
    /// The range does not end with a whole value: its length is no multiple of the type's.
    #[error("the range does not end with a whole value")]
    NotWhole,
}

impl PodError {
    fn of_cast(error: PodCastError) -> Self {
        match error {
            PodCastError::TargetAlignmentGreaterAndInputNotAligned | PodCastError::AlignmentMismatch => {
                Self::Misaligned
            }
            PodCastError::OutputSliceWouldHaveSlop | PodCastError::SizeMismatch => Self::NotWhole,
        }
    }
}

/// An error of kind [`InvalidInput`](io::ErrorKind::InvalidInput), whose source it is.
impl From<PodError> for io::Error {
    fn from(error: PodError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

impl Mappable {
    /// The region's bytes as values of `T`, as many as fit in its length, from the first byte. Costs what
    /// [`Mappable::bytes`] does.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = mappable::Runtime::new()?;
    /// let mut region = runtime.allocate(8)?;
    /// region.as_pod_mut::<f32>()?.copy_from_slice(&[1.0, 2.0]);
    /// assert_eq!(region.as_pod::<f32>()?, [1.0, 2.0]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Mappable::bytes`].
    pub fn as_pod<T: Pod>(&self) -> io::Result<&[T]> {
        self.bytes().map(values)
    }

    /// The region's bytes as values of `T` that can be changed, as [`Mappable::as_pod`].
    ///
    /// # Errors
    ///
    /// As [`Mappable::bytes_mut`].
    pub fn as_pod_mut<T: Pod>(&mut self) -> io::Result<&mut [T]> {
        let bytes = self.bytes_mut()?;
        let whole = whole_values::<T>(bytes.len());
        Ok(bytemuck::cast_slice_mut(&mut bytes[..whole]))
    }

    /// The bytes in `range` as values of `T`. Costs what [`Mappable::bytes`] does.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = mappable::Runtime::new()?;
    /// let mut region = runtime.allocate(mappable::GRANULE)?;
    /// region.as_pod_mut_at(16..24)?.copy_from_slice(&[1.0_f32, 2.0]);
    /// assert_eq!(region.as_pod_at::<f32>(16..24)?, [1.0, 2.0]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A [`PodError`], as an error of kind [`InvalidInput`](io::ErrorKind::InvalidInput), and those of
    /// [`Mappable::bytes`].
    pub fn as_pod_at<T: Pod>(&self, range: impl RangeBounds<usize>) -> io::Result<&[T]> {
        Ok(values_at(self.bytes()?, &range)?)
    }

    /// The bytes in `range` as values of `T` that can be changed, as [`Mappable::as_pod_at`].
    ///
    /// # Errors
    ///
    /// As [`Mappable::as_pod_at`].
    pub fn as_pod_mut_at<T: Pod>(&mut self, range: impl RangeBounds<usize>) -> io::Result<&mut [T]> {
        let bytes = self.bytes_mut()?.get_mut(bounds(&range)).ok_or(PodError::OutsideRegion)?;
        Ok(bytemuck::try_cast_slice_mut(bytes).map_err(PodError::of_cast)?)
    }
}

impl Frozen {
    /// The bytes as values of `T`, as many as fit in the length, from the first byte. Costs nothing.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = mappable::Runtime::new()?;
    /// let frozen = runtime.allocate_from(&[1, 2, 3, 4, 5])?.freeze()?;
    /// assert_eq!(frozen.as_pod::<[u8; 2]>(), [[1, 2], [3, 4]]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn as_pod<T: Pod>(&self) -> &[T] {
        values(self)
    }

    /// The bytes in `range` as values of `T`. Costs nothing.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = mappable::Runtime::new()?;
    /// let mut region = runtime.allocate(mappable::GRANULE)?;
    /// region.as_pod_mut_at(16..24)?.copy_from_slice(&[1.0_f32, 2.0]);
    /// assert_eq!(region.freeze()?.as_pod_at::<f32>(16..24), [1.0, 2.0]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Where [`Frozen::try_as_pod_at`] is an error.
    #[track_caller]
    pub fn as_pod_at<T: Pod>(&self, range: impl RangeBounds<usize>) -> &[T] {
        self.try_as_pod_at(range).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The bytes in `range` as values of `T`: for a range that comes from somebody who is not trusted. Costs nothing.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use mappable::PodError;
    ///
    /// # let runtime = mappable::Runtime::new()?;
    /// let frozen = runtime.allocate(mappable::GRANULE)?.freeze()?;
    /// assert_eq!(frozen.try_as_pod_at::<u32>(0..8), Ok(&[0, 0][..]));
    /// assert_eq!(frozen.try_as_pod_at::<u32>(1..9), Err(PodError::Misaligned));
    /// assert_eq!(frozen.try_as_pod_at::<u32>(0..7), Err(PodError::NotWhole));
    /// assert_eq!(frozen.try_as_pod_at::<u32>(0..100_000), Err(PodError::OutsideRegion));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PodError`].
    pub fn try_as_pod_at<T: Pod>(&self, range: impl RangeBounds<usize>) -> Result<&[T], PodError> {
        values_at(self, &range)
    }
}

fn bounds(range: &impl RangeBounds<usize>) -> (Bound<usize>, Bound<usize>) {
    (range.start_bound().cloned(), range.end_bound().cloned())
}

fn values_at<'a, T: Pod>(bytes: &'a [u8], range: &impl RangeBounds<usize>) -> Result<&'a [T], PodError> {
    let bytes = bytes.get(bounds(range)).ok_or(PodError::OutsideRegion)?;
    bytemuck::try_cast_slice(bytes).map_err(PodError::of_cast)
}

fn values<T: Pod>(bytes: &[u8]) -> &[T] {
    bytemuck::cast_slice(&bytes[..whole_values::<T>(bytes.len())])
}

/// How many of `size` bytes are whole values of `T`.
fn whole_values<T>(size: usize) -> usize {
    size.checked_rem(size_of::<T>()).map_or(0, |rest| size - rest)
}
