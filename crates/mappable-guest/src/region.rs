//! [`Mappable`]: a region that this component owns, mapped nowhere.

use crate::GRANULE;
use crate::bindings::types;
use crate::error::{AllocateError, JoinFailed, MapFailed, RangeError, SplitFailed};
use crate::frozen::Frozen;
use crate::handle::{Handle as _, Owned};
use crate::held::Held;
use crate::mapped::Mapped;

/// A region of memory that this component owns, mapped nowhere. Dropping it frees the region.
///
/// Its bytes are reached by [`map`](Mappable::map), at no cost for any size, or piecewise by
/// [`read`](Mappable::read) and [`write`](Mappable::write), which copy. It converts from and into the raw handle,
/// [`types::Mappable`], in which regions come and go.
#[derive(Debug)]
pub struct Mappable(Owned<types::Mappable>);

impl Mappable {
    /// A new region of `size`, a positive multiple of [`GRANULE`], that reads as zero.
    ///
    /// One call of the host; memory is taken as it is touched.
    ///
    /// # Errors
    ///
    /// The size is not such a multiple, is over a quota, or the host has no room.
    pub fn allocate(size: u64) -> Result<Mappable, AllocateError> {
        let raw = types::Mappable::allocate(size);
        raw.map(|raw| Mappable::new(raw, size)).map_err(|error| AllocateError::new(error, size))
    }

    /// A new region of `size` rounded up to whole granules, one at least.
    ///
    /// # Errors
    ///
    /// As [`allocate`](Mappable::allocate).
    pub fn allocate_at_least(size: u64) -> Result<Mappable, AllocateError> {
        let rounded = size.max(1).checked_next_multiple_of(GRANULE);
        Mappable::allocate(rounded.ok_or(AllocateError::RegionsExhausted(size))?)
    }

    /// A new region that begins with `bytes`, rounded up to whole granules. Costs a copy.
    ///
    /// # Errors
    ///
    /// As [`allocate`](Mappable::allocate).
    pub fn allocate_from(bytes: &[u8]) -> Result<Mappable, AllocateError> {
        let region = Mappable::allocate_at_least(bytes.len() as u64)?;
        region.0.raw.write_back(bytes);
        Ok(region)
    }

    /// A region of a size that is known.
    pub(crate) fn new(raw: types::Mappable, size: u64) -> Mappable {
        Mappable(Owned::new(raw, size))
    }

    pub(crate) fn from_owned(region: Owned<types::Mappable>) -> Mappable {
        Mappable(region)
    }

    /// The size of the region in bytes, a multiple of [`GRANULE`]. The first time, a call of the host.
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// Maps the region into this component's memory.
    ///
    /// One call of the host, and when the region was at the same placement before, no system call, whatever its
    /// size. On a host that can't map it copies: see [`Mapped::is_by_copy`].
    ///
    /// # Errors
    ///
    /// The memory has no room for a placement, or one more mapping is over a quota. The error gives the region back.
    pub fn map(self) -> Result<Mapped, MapFailed> {
        match Held::map(self.0) {
            Ok(held) => Ok(Mapped::new(held)),
            Err((region, reason)) => Err(MapFailed { region: Mappable(region), reason }),
        }
    }

    /// Makes the region a value that is only read, and can be shared. Costs the same at every size.
    pub fn freeze(self) -> Frozen {
        let size = self.size();
        Frozen::new(types::Mappable::freeze(self.0.raw), size)
    }

    /// Splits the region at byte `at`, a multiple of [`GRANULE`] inside it, into its first `at` bytes and the
    /// rest. Costs the same at every size. [`join`](Mappable::join) is the way back.
    ///
    /// # Errors
    ///
    /// `at` is no such multiple, or one more region is over a quota. The error gives the region back.
    pub fn split(self, at: u64) -> Result<(Mappable, Mappable), SplitFailed> {
        let size = self.size();
        match types::Mappable::split(self.0.raw, at) {
            Ok((low, high)) => Ok((Mappable::new(low, at), Mappable::new(high, size - at))),
            Err((raw, error)) => Err(SplitFailed { region: Mappable::new(raw, size), reason: error.into() }),
        }
    }

    /// Joins two regions into one: this one's bytes, then `high`'s. Costs the same at every size.
    ///
    /// # Errors
    ///
    /// They are not neighbours in one allocation, as [`split`](Mappable::split) leaves them. The error gives both back.
    pub fn join(self, high: Mappable) -> Result<Mappable, JoinFailed> {
        let (low_size, high_size) = (self.size(), high.size());
        match types::Mappable::join(self.0.raw, high.0.raw) {
            Ok(raw) => Ok(Mappable::new(raw, low_size + high_size)),
            Err((low, high)) => {
                Err(JoinFailed { low: Mappable::new(low, low_size), high: Mappable::new(high, high_size) })
            }
        }
    }

    /// Copies bytes out of the region, from `offset`.
    ///
    /// # Errors
    ///
    /// The range is not inside the region. Then `into` may have been written in part.
    pub fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), RangeError> {
        self.0.read(offset, into)
    }

    /// Copies bytes into the region, at `offset`.
    ///
    /// # Errors
    ///
    /// The range is not inside the region. Nothing was written then.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), RangeError> {
        self.0.raw.write(offset, bytes).map_err(|_| self.0.range_error(offset, bytes.len()))
    }
}

impl From<types::Mappable> for Mappable {
    /// Takes over a region that was handed to this component.
    fn from(raw: types::Mappable) -> Mappable {
        Mappable(Owned::of_unknown_size(raw))
    }
}

impl From<Mappable> for types::Mappable {
    /// What hands the region over, as an argument or a result.
    fn from(region: Mappable) -> types::Mappable {
        region.0.raw
    }
}
