//! The quotas of a store, and what it is charged.

use crate::GRANULE;
use crate::values::Value;
use crate::world::World;

/// What the guests of one store may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Bytes of all regions, of each frozen block that is referred to, once and in full, and of what was written to private
    /// mappings.
    pub region_bytes: u64,
    /// Regions and references.
    pub regions: usize,
    /// Mappings.
    pub mappings: usize,
    /// Bytes of frozen mappings.
    pub frozen_mapped_bytes: u64,
}

impl Default for Limits {
    /// None.
    fn default() -> Self {
        Self { region_bytes: u64::MAX, regions: usize::MAX, mappings: usize::MAX, frozen_mapped_bytes: u64::MAX }
    }
}

/// What a store is charged: what its handles stand for, what lingers and what is retired; of mappings, the live ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as in `Limits`")]
pub struct Usage {
    pub region_bytes: u64,
    pub regions: usize,
    pub mappings: usize,
    pub frozen_mapped_bytes: u64,
}

impl World {
    /// Charges a store for a value that comes to it.
    pub(crate) fn charge(&mut self, store: usize, value: Value) {
        let bytes = self.newly_kept(store, value, 1);
        let usage = &mut self.stores[store].usage;
        usage.regions += 1;
        usage.region_bytes += bytes;
    }

    /// Stops charging a store for a value that goes.
    pub(crate) fn discharge(&mut self, store: usize, value: Value) {
        let bytes = self.newly_kept(store, value, -1);
        let usage = &mut self.stores[store].usage;
        // Not below zero even in a world that the checks have to find wrong.
        usage.regions = usage.regions.saturating_sub(1);
        usage.region_bytes = usage.region_bytes.saturating_sub(bytes);
    }

    /// The bytes that the first reference to a block brings to a store, or the last one takes along.
    fn newly_kept(&mut self, store: usize, value: Value, by: isize) -> u64 {
        let Value::Frozen { block, extent } = value else { return value.bytes() };
        let Some(block) = self.blocks.get_mut(block) else { return extent.len as u64 * GRANULE };
        let before = block.in_stores[store];
        block.in_stores[store] = before.saturating_add_signed(by);
        if before == 0 || block.in_stores[store] == 0 { block.extent.len as u64 * GRANULE } else { 0 }
    }

    /// Whether a store may have so many bytes more. What adds none takes nobody over a limit on them, even if the host has
    /// put in more than that.
    pub(crate) fn has_room_for_bytes(&self, store: usize, bytes: u64) -> bool {
        let store = &self.stores[store];
        let total = store.usage.region_bytes.checked_add(bytes);
        bytes == 0 || total.is_some_and(|total| total <= store.limits.region_bytes)
    }

    /// Whether a store may hold one region more, of `bytes` that are not charged yet.
    pub(crate) fn has_room(&self, store: Option<usize>, bytes: u64) -> bool {
        let Some(number) = store else { return true };
        let store = &self.stores[number];
        store.usage.regions < store.limits.regions && self.has_room_for_bytes(number, bytes)
    }

    /// Whether a store may map a value in an instance's memory. What lingers there does not count: it goes.
    pub(crate) fn may_map(&self, instance: usize, value: Value) -> bool {
        let number = self.instances[instance].store;
        let store = &self.stores[number];
        let mut mappings = store.usage.mappings;
        let mut frozen = store.usage.frozen_mapped_bytes.saturating_add(value.frozen_bytes());
        for (other, at) in self.instances.iter().enumerate() {
            if other != instance && at.store == number {
                for lingering in at.memory.mounts.iter().filter(|mount| mount.lingers) {
                    mappings += 1;
                    frozen = frozen.saturating_add(lingering.value.frozen_bytes());
                }
            }
        }
        mappings < store.limits.mappings && (!value.is_frozen() || frozen <= store.limits.frozen_mapped_bytes)
    }
}
