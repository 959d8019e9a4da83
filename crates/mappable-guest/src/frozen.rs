//! [`Frozen`]: a reference to a region whose bytes never change.

use core::ops::Range;

use crate::bindings::types;
use crate::error::{AllocateError, MapFailed, PartError, RangeError, ThawFailed};
use crate::handle::Owned;
use crate::held::Held;
use crate::mapped::MappedFrozen;
use crate::region::Mappable;

/// A reference to a region whose bytes never change, mapped nowhere. The region is freed with the last reference.
///
/// Made by [`Mappable::freeze`]. References are made by [`try_clone`](Frozen::try_clone) and [`slice`](Frozen::slice)
/// (there is no `Clone`: a quota may be in the way), handed to other components as the raw handle,
/// [`types::Frozen`], and [`map`](Frozen::map)ped by any number of them at once.
#[derive(Debug)]
pub struct Frozen(Owned<types::Frozen>);

impl Frozen {
    /// A reference of a size that is known.
    pub(crate) fn new(raw: types::Frozen, size: u64) -> Frozen {
        Frozen(Owned::new(raw, size))
    }

    pub(crate) fn from_owned(frozen: Owned<types::Frozen>) -> Frozen {
        Frozen(frozen)
    }

    /// The size in bytes, of the whole region or of the slice, a multiple of [`GRANULE`](crate::GRANULE).
    /// The first time, a call of the host.
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// Another reference to the same bytes. Costs the same at every size.
    ///
    /// # Errors
    ///
    /// One more region is over a quota, or the host has no room.
    pub fn try_clone(&self) -> Result<Frozen, AllocateError> {
        let size = self.size();
        let raw = self.0.raw.clone().map_err(|error| AllocateError::new(error, size))?;
        Ok(Frozen::new(raw, size))
    }

    /// A reference to the bytes of `range` alone, whose bounds are multiples of [`GRANULE`](crate::GRANULE). Costs the same
    /// at every size.
    ///
    /// # Errors
    ///
    /// They are no such multiples or not inside the region, or one more region is over a quota.
    pub fn slice(&self, range: Range<u64>) -> Result<Frozen, PartError> {
        let size = range.end.saturating_sub(range.start);
        let raw = self.0.raw.slice(range.start, size)?;
        Ok(Frozen::new(raw, size))
    }

    /// Maps the bytes into this component's memory, to be read.
    ///
    /// Costs what [`Mappable::map`] does. On a host that can't map it copies: see [`MappedFrozen::is_by_copy`].
    ///
    /// # Errors
    ///
    /// The memory has no room for a placement, or one more mapping is over a quota. The error gives the reference back.
    pub fn map(self) -> Result<MappedFrozen, MapFailed<Frozen>> {
        match Held::map(self.0) {
            Ok(held) => Ok(MappedFrozen::new(held)),
            Err((region, reason)) => Err(MapFailed { region: Frozen(region), reason }),
        }
    }

    /// Makes the bytes a region that can be written again, if this is the only reference to any of the region there is.
    /// What a slice leaves out is freed then. Costs the same at every size and never copies: [`copy`](Frozen::copy)
    /// does.
    ///
    /// # Errors
    ///
    /// There are other references, in whatever component. The error gives this one back.
    pub fn thaw(self) -> Result<Mappable, ThawFailed> {
        let size = self.size();
        match types::Frozen::thaw(self.0.raw) {
            Ok(raw) => Ok(Mappable::new(raw, size)),
            Err(raw) => Err(ThawFailed { frozen: Frozen::new(raw, size) }),
        }
    }

    /// A new region with a copy of the bytes, that can be written.
    ///
    /// # Errors
    ///
    /// As [`Mappable::allocate`].
    pub fn copy(&self) -> Result<Mappable, AllocateError> {
        let size = self.size();
        let raw = self.0.raw.copy().map_err(|error| AllocateError::new(error, size))?;
        Ok(Mappable::new(raw, size))
    }

    /// Copies bytes out, from `offset`.
    ///
    /// # Errors
    ///
    /// The range is not inside the region. Then `into` may have been written in part.
    pub fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), RangeError> {
        self.0.read(offset, into)
    }
}

impl From<types::Frozen> for Frozen {
    /// Takes over a reference that was handed to this component.
    fn from(raw: types::Frozen) -> Frozen {
        Frozen(Owned::of_unknown_size(raw))
    }
}

impl From<Frozen> for types::Frozen {
    /// What hands the reference over, as an argument or a result.
    fn from(frozen: Frozen) -> types::Frozen {
        frozen.0.raw
    }
}
