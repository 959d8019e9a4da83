//! Bytes as values of a plain type, for ranges that come from somebody who is not trusted: errors in place of the panics
//! of [`Mapped::as_pod_at`].

use core::fmt;
use core::ops::{Bound, RangeBounds};

use bytemuck::{Pod, PodCastError};

use crate::mapped::{Mapped, MappedFrozen};

/// Why bytes are not values of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PodError {
    /// The range is not inside the region.
    OutsideRegion,
    /// The range does not begin at a multiple of the type's alignment.
    Misaligned,
    /// The range is no whole number of values.
    NotWhole,
}

impl PodError {
    fn of_cast(error: PodCastError) -> PodError {
        match error {
            PodCastError::TargetAlignmentGreaterAndInputNotAligned | PodCastError::AlignmentMismatch => {
                PodError::Misaligned
            }
            PodCastError::OutputSliceWouldHaveSlop | PodCastError::SizeMismatch => PodError::NotWhole,
        }
    }
}

impl fmt::Display for PodError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PodError::OutsideRegion => "the range is not inside the region",
            PodError::Misaligned => "the range does not begin at a multiple of the type's alignment",
            PodError::NotWhole => "the range does not end with a whole value",
        })
    }
}

impl core::error::Error for PodError {}

impl Mapped {
    /// Returns the bytes in `range` as values of `T`. Costs nothing.
    ///
    /// ```
    /// use mappable_guest::{Mappable, PodError};
    ///
    /// let bytes = Mappable::allocate(65_536)?.map()?;
    /// assert_eq!(bytes.try_as_pod_at::<u32>(8..16)?, [0, 0]);
    /// assert_eq!(bytes.try_as_pod_at::<u32>(2..6), Err(PodError::Misaligned));
    /// assert_eq!(bytes.try_as_pod_at::<u32>(8..13), Err(PodError::NotWhole));
    /// assert_eq!(bytes.try_as_pod_at::<u32>(65_536..65_540), Err(PodError::OutsideRegion));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The range is not inside the region, is not aligned for `T`, or does not hold a whole number of values.
    pub fn try_as_pod_at<T: Pod>(&self, range: impl RangeBounds<usize>) -> Result<&[T], PodError> {
        values_at(self, &range)
    }

    /// Does the same as [`try_as_pod_at`](Mapped::try_as_pod_at), with values that can be changed.
    ///
    /// # Errors
    ///
    /// In the same cases as [`try_as_pod_at`](Mapped::try_as_pod_at).
    pub fn try_as_pod_mut_at<T: Pod>(&mut self, range: impl RangeBounds<usize>) -> Result<&mut [T], PodError> {
        let bytes = self.get_mut(bounds(&range)).ok_or(PodError::OutsideRegion)?;
        bytemuck::try_cast_slice_mut(bytes).map_err(PodError::of_cast)
    }
}

impl MappedFrozen {
    /// Returns the bytes in `range` as values of `T`. Costs nothing.
    ///
    /// # Errors
    ///
    /// In the same cases as [`Mapped::try_as_pod_at`].
    pub fn try_as_pod_at<T: Pod>(&self, range: impl RangeBounds<usize>) -> Result<&[T], PodError> {
        values_at(self, &range)
    }
}

fn values_at<'a, T: Pod>(bytes: &'a [u8], range: &impl RangeBounds<usize>) -> Result<&'a [T], PodError> {
    let bytes = bytes.get(bounds(range)).ok_or(PodError::OutsideRegion)?;
    bytemuck::try_cast_slice(bytes).map_err(PodError::of_cast)
}

fn bounds(range: &impl RangeBounds<usize>) -> (Bound<usize>, Bound<usize>) {
    (range.start_bound().cloned(), range.end_bound().cloned())
}
