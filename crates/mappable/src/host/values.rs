//! What the components of a store do with regions and references that are not mapped: make, freeze, cut, join, copy.
//!
//! Each operation takes handles out of the store's entries and adds those of the result. An operation that fails changes
//! nothing and returns the handles that it took. Mapping is left to [`mapping`](super::mapping).

use super::context::MappableCtx;
use super::error::{TrapReason, misplaced};
use super::wit_error::{WitAccessError, WitAllocateError, WitPartError};
use crate::region::{FrozenRegion, Held, Mappable, check_slice};

/// The representations of the new handles, or that of the handle that was passed and why it came back.
type Given<To, E> = Result<Result<To, (u32, E)>, TrapReason>;

impl MappableCtx {
    pub(super) fn make(&mut self, len: u64) -> Result<u32, WitAllocateError> {
        // What is never right is said to be so whatever the quota.
        let size = Mappable::size_for(len)?;
        self.charge_for(size)?;
        let region = Mappable::allocate(&self.backing, len)?;
        Ok(self.add(Held::Mappable(region)))
    }

    pub(super) fn set_length(&mut self, rep: u32, len: u64) -> Result<Result<(), WitAccessError>, TrapReason> {
        let region = self.region_mut(rep).ok_or(TrapReason::NotGiven { rep, kind: "mappable" })?;
        Ok(region.set_len(len).map_err(|_| WitAccessError::RangeOutsideRegion))
    }

    pub(super) fn freeze(&mut self, rep: u32) -> Result<u32, TrapReason> {
        let region = self.take_region(rep)?;
        Ok(self.add(Held::Frozen(FrozenRegion::new(region))))
    }

    /// Returns the handle of the region, or that of the reference if it is not the last one.
    pub(super) fn thaw(&mut self, rep: u32) -> Result<Result<u32, u32>, TrapReason> {
        let frozen = self.take_frozen(rep)?;
        Ok(match frozen.thaw() {
            Ok(region) => Ok(self.add(Held::Mappable(region))),
            Err(frozen) => Err(self.add(Held::Frozen(frozen))),
        })
    }

    pub(super) fn split(&mut self, rep: u32, at: u64) -> Given<(u32, u32), WitPartError> {
        let region = self.known_region(rep)?;
        if let Err(error) = region.check_split(at) {
            return Ok(Err((rep, error.into())));
        }
        if !self.entries.has_room(0, &self.limits) || !self.has_number() {
            return Ok(Err((rep, WitPartError::RegionOverQuota)));
        }
        Ok(match self.take_region(rep)?.split(at) {
            Ok((low, high)) => Ok((self.add(Held::Mappable(low)), self.add(Held::Mappable(high)))),
            Err(failed) => Err((self.add(Held::Mappable(failed.region)), failed.reason.into())),
        })
    }

    /// Returns the handle of the joined region, or the two handles if they are no neighbours.
    pub(super) fn join(&mut self, low: u32, high: u32) -> Result<Result<u32, (u32, u32)>, TrapReason> {
        let low = self.take_region(low)?;
        let high = self.take_region(high)?;
        Ok(match low.join(high) {
            Ok(region) => Ok(self.add(Held::Mappable(region))),
            Err(failed) => Err((self.add(Held::Mappable(failed.low)), self.add(Held::Mappable(failed.high)))),
        })
    }

    pub(super) fn clone_frozen(&mut self, rep: u32) -> Result<Result<u32, WitAllocateError>, TrapReason> {
        let frozen = self.known_frozen(rep)?.clone();
        Ok(self.charge_for(0).map(|()| self.add(Held::Frozen(frozen))))
    }

    pub(super) fn slice(&mut self, rep: u32, offset: u64, size: u64) -> Result<Result<u32, WitPartError>, TrapReason> {
        let frozen = self.known_frozen(rep)?;
        if let Err(error) = check_slice(frozen.size(), offset, size) {
            return Ok(Err(error.into()));
        }
        if !self.entries.has_room(0, &self.limits) || !self.has_number() {
            return Ok(Err(WitPartError::RegionOverQuota));
        }
        let slice = frozen.slice(offset, size);
        Ok(slice.map(|slice| self.add(Held::Frozen(slice))).map_err(WitPartError::from))
    }

    pub(super) fn copy(&mut self, rep: u32) -> Result<Result<u32, WitAllocateError>, TrapReason> {
        let frozen = self.known_frozen(rep)?.clone();
        if let Err(error) = self.charge_for(frozen.size()) {
            return Ok(Err(error));
        }
        Ok(frozen.copy().map(|region| self.add(Held::Mappable(region))).map_err(WitAllocateError::from))
    }

    /// Whether the quota has room for one region more, of `bytes`, and there is a number for it.
    fn charge_for(&self, bytes: u64) -> Result<(), WitAllocateError> {
        if !self.has_number() {
            return Err(WitAllocateError::RegionsExhausted);
        }
        if self.entries.has_room(bytes, &self.limits) { Ok(()) } else { Err(WitAllocateError::RegionOverQuota) }
    }

    pub(super) fn known_region(&self, rep: u32) -> Result<&Mappable, TrapReason> {
        self.region(rep).ok_or(TrapReason::NotGiven { rep, kind: "mappable" })
    }

    pub(super) fn known_frozen(&self, rep: u32) -> Result<&FrozenRegion, TrapReason> {
        self.frozen(rep).ok_or(TrapReason::NotGiven { rep, kind: "frozen" })
    }

    fn take_region(&mut self, rep: u32) -> Result<Mappable, TrapReason> {
        self.known_region(rep)?;
        match self.take(rep).map(|entry| entry.held.release()) {
            Some(Held::Mappable(region)) => Ok(region),
            _ => Err(misplaced(rep, "held and not mapped")),
        }
    }

    fn take_frozen(&mut self, rep: u32) -> Result<FrozenRegion, TrapReason> {
        self.known_frozen(rep)?;
        match self.take(rep).map(|entry| entry.held.release()) {
            Some(Held::Frozen(region)) => Ok(region),
            _ => Err(misplaced(rep, "frozen and not mapped")),
        }
    }
}
