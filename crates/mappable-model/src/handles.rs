//! Operations on values that are not mapped: make, measure, freeze, split, join, copy, read, write, drop.

use crate::values::{Allocation, Block, Extent, Value};
use crate::world::{Handle, Mistake, World};
use crate::{AccessError, AllocateError, GRANULE, Holder, Op, Outcome, PartError};

impl World {
    pub(crate) fn on_handle(&mut self, by: Holder, op: &Op) -> Outcome {
        match *op {
            Op::Allocate { size, .. } => self.allocate(by, size),
            Op::Len { handle, .. } => self.length(by, handle).map_or(Outcome::Trap, Outcome::Length),
            Op::SetLen { handle, len, .. } => self.set_length(by, handle, len),
            Op::Freeze { handle, .. } => self.freeze(by, handle),
            Op::Thaw { handle, .. } => self.thaw(by, handle),
            Op::Clone { handle, .. } => self.clone_reference(by, handle),
            Op::Slice { handle, offset, size, .. } => self.slice(by, handle, offset, size),
            Op::Copy { handle, .. } => self.copy(by, handle),
            Op::Split { handle, at, .. } => self.split(by, handle, at),
            Op::Join { low, high, .. } => self.join(by, low, high),
            Op::Read { handle, offset, len, .. } => self.read(by, handle, offset, len),
            Op::Write { handle, offset, len, byte, .. } => self.write(by, handle, offset, len, byte),
            Op::Drop { handle, .. } => self.drop_handle(by, handle),
            _ => Outcome::Trap,
        }
    }

    fn region(&self, by: Holder, handle: usize) -> Option<Extent> {
        match self.value(by, handle) {
            Some(Value::Region(extent)) => Some(extent),
            _ => None,
        }
    }

    fn frozen(&self, by: Holder, handle: usize) -> Option<(usize, Extent)> {
        match self.value(by, handle) {
            Some(Value::Frozen { block, extent }) => Some((block, extent)),
            _ => None,
        }
    }

    fn allocate(&mut self, by: Holder, size: u64) -> Outcome {
        if size == 0 {
            return Outcome::Allocate(AllocateError::InvalidRegionSize);
        }
        if !self.has_room(self.store_of(by), size.next_multiple_of(GRANULE)) {
            return Outcome::Allocate(AllocateError::RegionOverQuota);
        }
        let byte = u8::from(self.errs(Mistake::AllocateDoesNotZero));
        Outcome::Handle(self.give_new(by, vec![Some(byte); size.div_ceil(GRANULE) as usize], size))
    }

    fn give_new(&mut self, to: Holder, granules: Vec<Option<u8>>, length: u64) -> usize {
        let len = granules.len();
        let allocation = self.allocations.insert(Allocation { granules });
        self.give(to, Value::Region(Extent { allocation, start: 0, len, length }))
    }

    fn set_length(&mut self, by: Holder, handle: usize, length: u64) -> Outcome {
        let Some(extent) = self.region(by, handle) else { return Outcome::Trap };
        if length > extent.len as u64 * GRANULE {
            return Outcome::Access(AccessError::RangeOutsideRegion);
        }
        self.replace(by, handle, Value::Region(Extent { length, ..extent }));
        Outcome::Done
    }

    fn freeze(&mut self, by: Holder, handle: usize) -> Outcome {
        let mapped = match by {
            Holder::Instance(instance) => self.instances[instance].handles.get(handle).copied(),
            Holder::Host => None,
        };
        let extent = match (self.region(by, handle), mapped) {
            (Some(extent), _) => {
                self.take(by, handle);
                extent
            }
            (None, Some(Handle::Mapped { memory, at })) if self.errs(Mistake::FreezeKeepsMapping) => {
                match self.instances[memory].memory.mount(at).map(|mount| mount.value) {
                    Some(Value::Region(extent)) => extent,
                    _ => return Outcome::Trap,
                }
            }
            _ => return Outcome::Trap,
        };
        let in_stores = vec![0; self.stores.len()];
        let block = self.blocks.insert(Block { extent, references: 1, in_stores });
        Outcome::Handle(self.give(by, Value::Frozen { block, extent }))
    }

    fn thaw(&mut self, by: Holder, handle: usize) -> Outcome {
        let Some((number, extent)) = self.frozen(by, handle) else { return Outcome::Trap };
        let Some(block) = self.blocks.get(number) else { return Outcome::Trap };
        let whole = block.extent;
        if block.references > 1 && !self.errs(Mistake::ThawsShared) {
            return Outcome::GivenBack;
        }
        self.take(by, handle);
        match self.blocks.get_mut(number) {
            Some(block) if block.references > 1 => block.references -= 1,
            _ => {
                self.blocks.remove(number);
                if !self.errs(Mistake::ThawKeepsTheRest) {
                    let end = extent.start + extent.len;
                    self.free_extent(Extent { len: extent.start - whole.start, ..whole });
                    self.free_extent(Extent { start: end, len: whole.start + whole.len - end, ..whole });
                }
            }
        }
        Outcome::Handle(self.give(by, Value::Region(extent)))
    }

    fn refer(&mut self, by: Holder, block: usize, extent: Extent) -> Outcome {
        if let Some(block) = self.blocks.get_mut(block) {
            block.references += 1;
        }
        Outcome::Handle(self.give(by, Value::Frozen { block, extent }))
    }

    fn clone_reference(&mut self, by: Holder, handle: usize) -> Outcome {
        let Some((block, extent)) = self.frozen(by, handle) else { return Outcome::Trap };
        if !self.has_room(self.store_of(by), 0) {
            return Outcome::Allocate(AllocateError::RegionOverQuota);
        }
        self.refer(by, block, extent)
    }

    fn slice(&mut self, by: Holder, handle: usize, offset: u64, size: u64) -> Outcome {
        let Some((block, extent)) = self.frozen(by, handle) else { return Outcome::Trap };
        let part = match slice(extent, offset, size) {
            Ok(part) => part,
            Err(error) => return Outcome::Part(error),
        };
        if !self.has_room(self.store_of(by), 0) {
            return Outcome::Part(PartError::RegionOverQuota);
        }
        self.refer(by, block, part)
    }

    fn copy(&mut self, by: Holder, handle: usize) -> Outcome {
        let Some((_, extent)) = self.frozen(by, handle) else { return Outcome::Trap };
        if !self.has_room(self.store_of(by), extent.len as u64 * GRANULE) {
            return Outcome::Allocate(AllocateError::RegionOverQuota);
        }
        let granules = (0..extent.len).map(|granule| Some(self.byte(extent, granule))).collect();
        Outcome::Handle(self.give_new(by, granules, extent.length))
    }

    fn split(&mut self, by: Holder, handle: usize, at: u64) -> Outcome {
        let Some(extent) = self.region(by, handle) else { return Outcome::Trap };
        if !at.is_multiple_of(GRANULE) {
            return Outcome::Part(PartError::PartMisaligned);
        }
        let granules = (at / GRANULE) as usize;
        if granules == 0 || granules >= extent.len {
            return Outcome::Part(PartError::PartOutsideRegion);
        }
        let mut low = Extent { len: granules, length: extent.length.min(at), ..extent };
        let (start, rest) = (extent.start + granules, extent.len - granules);
        let high = Extent { start, len: rest, length: extent.length.saturating_sub(at), ..extent };
        if self.errs(Mistake::PartsKeepTheLength) {
            low.length = extent.length;
        }
        if !self.has_room(self.store_of(by), 0) {
            return Outcome::Part(PartError::RegionOverQuota);
        }
        self.take(by, handle);
        Outcome::Handles(self.give(by, Value::Region(low)), self.give(by, Value::Region(high)))
    }

    fn join(&mut self, by: Holder, low: usize, high: usize) -> Outcome {
        let (Some(first), Some(second)) = (self.region(by, low), self.region(by, high)) else { return Outcome::Trap };
        if low == high {
            return Outcome::Trap;
        }
        let neighbours = first.allocation == second.allocation && first.start + first.len == second.start;
        if !neighbours && !self.errs(Mistake::JoinsStrangers) {
            return Outcome::GivenBack;
        }
        self.take(by, low);
        self.take(by, high);
        // Up to the last byte that counts.
        let length = if second.length > 0 { first.len as u64 * GRANULE + second.length } else { first.length };
        let both = Extent { len: first.len + second.len, length, ..first };
        Outcome::Handle(self.give(by, Value::Region(both)))
    }

    fn read(&mut self, by: Holder, handle: usize, offset: u64, len: u64) -> Outcome {
        let Some(value) = self.value(by, handle) else { return Outcome::Trap };
        let Some(granules) = granules(by, value.extent(), offset, len) else {
            return Outcome::Access(AccessError::RangeOutsideRegion);
        };
        if by != Holder::Host && len > self.longest_list {
            return Outcome::Access(AccessError::ListTooLong);
        }
        Outcome::Bytes(granules.map(|granule| self.byte(value.extent(), granule)).collect())
    }

    fn write(&mut self, by: Holder, handle: usize, offset: u64, len: u64, byte: u8) -> Outcome {
        let Some(extent) = self.region(by, handle) else { return Outcome::Trap };
        let Some(granules) = granules(by, extent, offset, len) else {
            return Outcome::Access(AccessError::RangeOutsideRegion);
        };
        granules.for_each(|granule| self.set_byte(extent, granule, byte));
        Outcome::Done
    }

    fn drop_handle(&mut self, by: Holder, handle: usize) -> Outcome {
        if let Some(value) = self.value(by, handle) {
            self.take(by, handle);
            self.free(value);
            return Outcome::Done;
        }
        let Holder::Instance(instance) = by else { return Outcome::Trap };
        match self.remove_handle(instance, handle) {
            Some(Handle::Mapped { memory, at }) => {
                self.drop_mapping(memory, at);
                Outcome::Done
            }
            _ => Outcome::Trap,
        }
    }
}

/// The granules of the `size` bytes at `offset` of an extent. A byte of them counts if it counts in the extent.
fn slice(extent: Extent, offset: u64, size: u64) -> Result<Extent, PartError> {
    if !offset.is_multiple_of(GRANULE) {
        return Err(PartError::PartMisaligned);
    }
    let inside = offset.checked_add(size).is_some_and(|end| end <= extent.len as u64 * GRANULE);
    if size == 0 || !inside {
        return Err(PartError::PartOutsideRegion);
    }
    let (start, len) = (extent.start + (offset / GRANULE) as usize, size.div_ceil(GRANULE) as usize);
    Ok(Extent { start, len, length: size.min(extent.length.saturating_sub(offset)), ..extent })
}

/// The granules whose first byte is in a range. None if the range is not all inside of what the holder reaches.
fn granules(by: Holder, extent: Extent, offset: u64, len: u64) -> Option<std::ops::Range<usize>> {
    let most = if by == Holder::Host { extent.length } else { extent.len as u64 * GRANULE };
    let end = offset.checked_add(len).filter(|&end| end <= most)?;
    Some(offset.div_ceil(GRANULE) as usize..end.div_ceil(GRANULE) as usize)
}
