//! [`Frozen`]: a reference to a region whose bytes never change.

use crate::bindings::types;
use crate::error::{AllocateError, MapFailed, PartError, RangeError};
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
    pub(crate) fn new(raw: types::Frozen, size_bytes: u64) -> Frozen {
        Frozen(Owned::new(raw, size_bytes))
    }

    pub(crate) fn from_owned(frozen: Owned<types::Frozen>) -> Frozen {
        Frozen(frozen)
    }

    /// The size in bytes, of the whole region or of the slice, a multiple of [`GRANULE_BYTES`](crate::GRANULE_BYTES).
    /// The first time, a call of the host.
    pub fn size_bytes(&self) -> u64 {
        self.0.size_bytes()
    }

    /// Another reference to the same bytes. Costs the same at every size.
    ///
    /// # Errors
    ///
    /// One more region is over a quota, or the host has no room.
    pub fn try_clone(&self) -> Result<Frozen, AllocateError> {
        let size_bytes = self.size_bytes();
        let raw = self.0.raw.clone().map_err(|error| AllocateError::new(error, size_bytes))?;
        Ok(Frozen::new(raw, size_bytes))
    }

    /// A reference to the `size_bytes` at `offset_bytes` alone, both multiples of
    /// [`GRANULE_BYTES`](crate::GRANULE_BYTES). Costs the same at every size.
    ///
    /// # Errors
    ///
    /// They are no such multiples or not inside the region, or one more region is over a quota.
    pub fn slice(&self, offset_bytes: u64, size_bytes: u64) -> Result<Frozen, PartError> {
        let raw = self.0.raw.slice(offset_bytes, size_bytes)?;
        Ok(Frozen::new(raw, size_bytes))
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
    /// There are other references, in whatever component. This one is given back.
    pub fn thaw(self) -> Result<Mappable, Frozen> {
        let size_bytes = self.size_bytes();
        match types::Frozen::thaw(self.0.raw) {
            Ok(raw) => Ok(Mappable::new(raw, size_bytes)),
            Err(raw) => Err(Frozen::new(raw, size_bytes)),
        }
    }

    /// A new region with a copy of the bytes, that can be written.
    ///
    /// # Errors
    ///
    /// As [`Mappable::allocate`].
    pub fn copy(&self) -> Result<Mappable, AllocateError> {
        let size_bytes = self.size_bytes();
        let raw = self.0.raw.copy().map_err(|error| AllocateError::new(error, size_bytes))?;
        Ok(Mappable::new(raw, size_bytes))
    }

    /// Copies bytes out, from `offset_bytes`.
    ///
    /// # Errors
    ///
    /// The range is not inside the region. Then `into` may have been written in part.
    pub fn read(&self, offset_bytes: u64, into: &mut [u8]) -> Result<(), RangeError> {
        self.0.read(offset_bytes, into)
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
