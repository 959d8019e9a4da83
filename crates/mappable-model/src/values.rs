//! What can be held, and how it comes and goes.

use crate::world::{Handle, World};
use crate::{GRANULE, Holder};

/// Granules of one allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Extent {
    pub(crate) allocation: usize,
    pub(crate) start: usize,
    pub(crate) len: usize,
    /// How many of their bytes count: the length of a value.
    pub(crate) length: u64,
}

/// What can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Value {
    Region(Extent),
    Frozen { block: usize, extent: Extent },
}

impl Value {
    pub(crate) fn extent(self) -> Extent {
        let (Self::Region(extent) | Self::Frozen { extent, .. }) = self;
        extent
    }

    pub(crate) fn bytes(self) -> u64 {
        self.extent().len as u64 * GRANULE
    }

    pub(crate) fn is_frozen(self) -> bool {
        matches!(self, Self::Frozen { .. })
    }

    pub(crate) fn frozen_bytes(self) -> u64 {
        if self.is_frozen() { self.bytes() } else { 0 }
    }
}

/// Granules that were allocated at once: a byte each, or freed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Allocation {
    pub(crate) granules: Vec<Option<u8>>,
}

/// What was frozen at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Block {
    pub(crate) extent: Extent,
    /// References, wherever.
    pub(crate) references: usize,
    /// References that each store is charged for.
    pub(crate) in_stores: Vec<usize>,
}

impl World {
    /// The value of a handle that is not mapped.
    pub(crate) fn value(&self, by: Holder, handle: usize) -> Option<Value> {
        match by {
            Holder::Host => self.host.get(handle).copied(),
            Holder::Instance(instance) => match self.instances[instance].handles.get(handle)? {
                Handle::Unmapped(value) => Some(*value),
                Handle::Mapped { .. } => None,
            },
        }
    }

    /// Gives a value to somebody, and charges for it.
    pub(crate) fn give(&mut self, to: Holder, value: Value) -> usize {
        match to {
            Holder::Host => self.host.insert(value),
            Holder::Instance(instance) => {
                self.charge(self.instances[instance].store, value);
                self.instances[instance].handles.insert(Handle::Unmapped(value))
            }
        }
    }

    /// Puts another value behind a handle that [`World::value`] has looked at. It is charged as the one before.
    pub(crate) fn replace(&mut self, by: Holder, handle: usize, value: Value) {
        match by {
            Holder::Host => self.host.get_mut(handle).map(|held| *held = value),
            Holder::Instance(instance) => {
                self.instances[instance].handles.get_mut(handle).map(|held| *held = Handle::Unmapped(value))
            }
        };
    }

    /// Takes the value of a handle that [`World::value`] has looked at.
    pub(crate) fn take(&mut self, from: Holder, handle: usize) {
        match (from, self.value(from, handle)) {
            (Holder::Instance(instance), Some(value)) => {
                self.remove_handle(instance, handle);
                self.discharge(self.instances[instance].store, value);
            }
            _ => _ = self.host.remove(handle),
        }
    }

    /// A value goes for good: a region is freed, and a block with its last reference.
    pub(crate) fn free(&mut self, value: Value) {
        match value {
            Value::Region(extent) => self.free_extent(extent),
            Value::Frozen { block: number, .. } => {
                let Some(block) = self.blocks.get_mut(number) else { return };
                block.references = block.references.saturating_sub(1);
                if block.references == 0 {
                    let extent = block.extent;
                    self.blocks.remove(number);
                    self.free_extent(extent);
                }
            }
        }
    }

    pub(crate) fn free_extent(&mut self, Extent { allocation, start, len, .. }: Extent) {
        let Some(found) = self.allocations.get_mut(allocation) else { return };
        found.granules.iter_mut().skip(start).take(len).for_each(|granule| *granule = None);
        if found.granules.iter().all(Option::is_none) {
            self.allocations.remove(allocation);
        }
    }

    pub(crate) fn byte(&self, extent: Extent, granule: usize) -> u8 {
        let allocation = self.allocations.get(extent.allocation);
        allocation.and_then(|found| *found.granules.get(extent.start + granule)?).unwrap_or(0)
    }

    pub(crate) fn set_byte(&mut self, extent: Extent, granule: usize, byte: u8) {
        if let Some(found) = self.allocations.get_mut(extent.allocation)
            && let Some(granule) = found.granules.get_mut(extent.start + granule)
        {
            *granule = Some(byte);
        }
    }
}
