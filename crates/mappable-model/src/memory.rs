//! An instance's memory: its heap, and the values at their placements.

use crate::setup::Way;
use crate::values::{Extent, Value};
use crate::world::{Handle, Mistake, World};
use crate::{GRANULE, Holder, MapError, Op, Outcome};

/// A value that is shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mount {
    /// In granules.
    pub(crate) at: usize,
    pub(crate) value: Value,
    /// Its handle was dropped.
    pub(crate) lingers: bool,
    /// What was written over frozen bytes, by granule.
    pub(crate) private: Vec<(usize, u8)>,
    /// It is mapped privately: that is the mapping's own until it goes, and charged for.
    pub(crate) is_private: bool,
}

impl Mount {
    pub(crate) fn covers(&self, granule: usize) -> bool {
        (self.at..self.end()).contains(&granule)
    }

    /// The bytes that are charged for what was, or may be, written to a private one.
    pub(crate) fn charged(&self, way: Way) -> u64 {
        let granules = match way {
            _ if !self.is_private => 0,
            Way::Copies => self.value.extent().len,
            _ => self.private.len(),
        };
        granules as u64 * GRANULE
    }

    pub(crate) fn end(&self) -> usize {
        self.at + self.value.extent().len
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Memory {
    pub(crate) heap: Vec<u8>,
    pub(crate) most: usize,
    pub(crate) way: Way,
    pub(crate) mounts: Vec<Mount>,
    /// Regions that lingered until the last change.
    pub(crate) retired: Vec<Extent>,
}

impl Memory {
    pub(crate) fn new(granules: usize, most: usize, way: Way) -> Self {
        Self { heap: vec![0; granules], most, way, mounts: vec![], retired: vec![] }
    }

    /// The mount of a handle.
    pub(crate) fn mount(&self, at: usize) -> Option<&Mount> {
        self.mounts.iter().find(|mount| mount.at == at && !mount.lingers)
    }

    fn covering(&self, granule: usize) -> Option<&Mount> {
        self.mounts.iter().find(|mount| mount.covers(granule))
    }

    /// Whether `len` bytes at `offset` are inside.
    fn holds(&self, offset: u64, len: u64) -> bool {
        offset.checked_add(len).is_some_and(|end| end <= self.heap.len() as u64 * GRANULE)
    }
}

impl World {
    pub(crate) fn in_memory(&mut self, op: &Op) -> Outcome {
        match *op {
            Op::Map { by, handle, offset, len } => self.map(by, handle, offset, len, false),
            Op::MapPrivate { by, handle, offset, len } => self.map(by, handle, offset, len, true),
            Op::Unmap { by, handle, offset, len } => self.unmap(by, handle, offset, len),
            Op::Load { by, granule } => self.shows(by, granule).map_or(Outcome::Trap, Outcome::Byte),
            Op::Store { by, granule, byte } => self.write_memory(by, granule, byte, false),
            Op::Deliver { by, granule, byte } => self.write_memory(by, granule, byte, true),
            Op::Grow { by, granules } => {
                let memory = &mut self.instances[by].memory;
                let before = memory.heap.len();
                let Some(after) = before.checked_add(granules).filter(|&after| after <= memory.most) else {
                    return Outcome::Grown(None);
                };
                memory.heap.resize(after, 0);
                Outcome::Grown(Some(before))
            }
            _ => Outcome::Trap,
        }
    }

    /// What a granule of a memory reads as. None outside the memory.
    pub(crate) fn shows(&self, instance: usize, granule: usize) -> Option<u8> {
        let memory = &self.instances[instance].memory;
        let heap = *memory.heap.get(granule)?;
        let Some(mount) = memory.covering(granule) else { return Some(heap) };
        let inside = granule - mount.at;
        let private = mount.private.iter().find(|(granule, _)| *granule == inside).map(|(_, byte)| *byte);
        Some(private.unwrap_or_else(|| self.byte(mount.value.extent(), inside)))
    }

    fn write_memory(&mut self, by: usize, granule: usize, byte: u8, by_host: bool) -> Outcome {
        let through = self.errs(Mistake::StoresIntoFrozen);
        let free = self.errs(Mistake::PrivateWritesAreFree);
        let store = self.instances[by].store;
        let has_room = self.has_room_for_bytes(store, GRANULE);
        let memory = &mut self.instances[by].memory;
        let Some(heap) = memory.heap.get_mut(granule) else { return Outcome::Trap };
        let Some(mount) = memory.mounts.iter_mut().find(|mount| mount.covers(granule)) else {
            *heap = byte;
            return Outcome::Done;
        };
        let inside = granule - mount.at;
        match mount.value {
            // Until the host has written there: pages that are private to the mapping are made so all at once.
            Value::Frozen { .. }
                if !by_host
                    && !mount.is_private
                    && memory.way == Way::Pages
                    && mount.private.is_empty()
                    && !through =>
            {
                return Outcome::Trap;
            }
            Value::Frozen { .. } if !through => {
                let before = mount.charged(memory.way);
                let is_new = mount.private.iter().all(|(granule, _)| *granule != inside);
                if mount.is_private && memory.way == Way::Pages && is_new && !by_host && !has_room {
                    return Outcome::Trap;
                }
                mount.private.retain(|(granule, _)| *granule != inside);
                mount.private.push((inside, byte));
                mount.private.sort_unstable();
                let charged = mount.charged(memory.way) - before;
                self.stores[store].usage.region_bytes += if free { 0 } else { charged };
            }
            value => self.set_byte(value.extent(), inside, byte),
        }
        Outcome::Done
    }

    fn map(&mut self, by: usize, handle: usize, offset: u64, len: u64, is_private: bool) -> Outcome {
        let me = Holder::Instance(by);
        let Some(value) = self.value(me, handle) else { return Outcome::Trap };
        if !self.instances[by].memory.holds(offset, len) || (is_private && !value.is_frozen()) {
            return Outcome::Trap;
        }
        if let Err(error) = self.check_map(by, value, offset, len, is_private) {
            if self.errs(Mistake::FailureLosesHandle) {
                self.take(me, handle);
                self.free(value);
            }
            return Outcome::Map(error);
        }
        self.start_change(by);
        let at = (offset / GRANULE) as usize;
        self.remove_handle(by, handle);
        let guest = &mut self.instances[by];
        let mapped = guest.handles.insert(Handle::Mapped { memory: by, at });
        let mounts = &mut guest.memory.mounts;
        let index = mounts.partition_point(|mount| mount.at < at);
        let mount = Mount { at, value, lingers: false, private: vec![], is_private };
        let charged = mount.charged(guest.memory.way);
        mounts.insert(index, mount);
        let usage = &mut self.stores[guest.store].usage;
        usage.mappings += 1;
        usage.frozen_mapped_bytes += value.frozen_bytes();
        usage.region_bytes += charged;
        Outcome::Handle(mapped)
    }

    /// Why a value can't be mapped there, in the order in which it is looked for.
    fn check_map(&self, by: usize, value: Value, offset: u64, len: u64, is_private: bool) -> Result<(), MapError> {
        let memory = &self.instances[by].memory;
        if len == 0 {
            return Err(MapError::PlacementMisaligned);
        }
        if memory.way == Way::Never {
            return Err(MapError::PlacementUnmappable);
        }
        // What is copied is charged at once.
        let copied = if is_private && memory.way == Way::Copies { value.bytes() } else { 0 };
        if !self.may_map(by, value) || !self.has_room_for_bytes(self.instances[by].store, copied) {
            return Err(MapError::MappingOverQuota);
        }
        if !offset.is_multiple_of(GRANULE) || !len.is_multiple_of(GRANULE) {
            return Err(MapError::PlacementMisaligned);
        }
        if len < value.bytes() {
            return Err(MapError::PlacementTooSmall);
        }
        let at = (offset / GRANULE) as usize;
        let end = at + value.extent().len;
        let overlaps = memory.mounts.iter().any(|mount| !mount.lingers && mount.at < end && at < mount.end());
        if overlaps && !self.errs(Mistake::MapsOverOthers) {
            return Err(MapError::PlacementOverlaps);
        }
        Ok(())
    }

    fn unmap(&mut self, by: usize, handle: usize, offset: u64, len: u64) -> Outcome {
        let Some(&Handle::Mapped { memory, at }) = self.instances[by].handles.get(handle) else { return Outcome::Trap };
        if !self.instances[by].memory.holds(offset, len) {
            return Outcome::Trap;
        }
        if len == 0 {
            return Outcome::Map(MapError::PlacementMismatch);
        }
        if memory != by {
            return Outcome::Trap;
        }
        if offset != at as u64 * GRANULE {
            return Outcome::Map(MapError::PlacementMismatch);
        }
        self.start_change(by);
        let keeps = self.errs(Mistake::UnmapDoesNotHide);
        let value = self.end_mapping(by, at);
        let guest = &mut self.instances[by];
        let (memory, way) = (&guest.memory, guest.memory.way);
        let charged = memory.mount(at).map_or(0, |mount| mount.charged(way));
        let usage = &mut self.stores[guest.store].usage;
        usage.region_bytes = usage.region_bytes.saturating_sub(charged);
        if !keeps {
            guest.memory.mounts.retain(|mount| mount.at != at || mount.lingers);
        }
        self.remove_handle(by, handle);
        Outcome::Handle(self.instances[by].handles.insert(Handle::Unmapped(value)))
    }

    /// A mapping's handle is dropped: nothing of what is shown changes.
    pub(crate) fn drop_mapping(&mut self, memory: usize, at: usize) {
        let value = self.end_mapping(memory, at);
        if let Some(mount) = self.instances[memory].memory.mounts.iter_mut().find(|m| m.at == at && !m.lingers) {
            mount.lingers = true;
        }
        if self.errs(Mistake::DropOfMappingFreesAtOnce) {
            self.free(value);
        }
        if self.errs(Mistake::ForgetsToDischarge) {
            self.stores[self.instances[memory].store].usage.mappings += 1;
        }
    }

    /// It no longer counts as a live mapping.
    fn end_mapping(&mut self, memory: usize, at: usize) -> Value {
        let guest = &self.instances[memory];
        let value = guest.memory.mount(at).expect("a mapped handle has a mount").value;
        let usage = &mut self.stores[guest.store].usage;
        usage.mappings = usage.mappings.saturating_sub(1);
        usage.frozen_mapped_bytes = usage.frozen_mapped_bytes.saturating_sub(value.frozen_bytes());
        value
    }

    /// What any change of what a memory shows does first: what was retired is freed, what lingers goes.
    fn start_change(&mut self, instance: usize) {
        let store = self.instances[instance].store;
        while let Some(extent) = self.instances[instance].memory.retired.pop() {
            self.discharge(store, Value::Region(extent));
            self.free_extent(extent);
        }
        let memory = &mut self.instances[instance].memory;
        if memory.way == Way::Pages {
            memory.mounts.iter_mut().filter(|mount| !mount.is_private).for_each(|mount| mount.private.clear());
        }
        while let Some(index) = self.instances[instance].memory.mounts.iter().position(|mount| mount.lingers) {
            let memory = &mut self.instances[instance].memory;
            let mount = memory.mounts.remove(index);
            let usage = &mut self.stores[store].usage;
            usage.region_bytes = usage.region_bytes.saturating_sub(mount.charged(memory.way));
            match mount.value {
                Value::Region(extent) => memory.retired.push(extent),
                frozen => {
                    self.discharge(store, frozen);
                    self.free(frozen);
                }
            }
        }
    }
}
