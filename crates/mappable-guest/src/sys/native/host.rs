//! What the native host knows: the regions and the references to frozen ones, by handle.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use super::types::{AccessError, MapError};
use crate::lock::Lock;

pub(super) static HOST: Lock<Host> = Lock::new(Host::new());

pub(super) struct Host {
    slots: BTreeMap<u32, Slot>,
    next_handle: u32,
    next_allocation: u32,
    /// What `map` answers instead of mapping.
    pub(super) refusal: Option<MapError>,
    /// How often it was asked to map.
    pub(super) map_calls: usize,
    /// How many objects there may be.
    pub(super) quota: Option<usize>,
}

pub(super) struct Slot {
    pub(super) object: Object,
    /// While mapped: where, and what was there.
    pub(super) under: Option<(usize, Vec<u8>)>,
}

pub(super) enum Object {
    Region(Part),
    Frozen(Reference),
}

/// All of an allocation, or what `split` and `thaw` leave of it.
pub(super) struct Part {
    allocation: u32,
    start: usize,
    pub(super) bytes: Vec<u8>,
}

#[derive(Clone)]
pub(super) struct Reference {
    whole: Arc<Part>,
    /// In bytes of `whole`.
    range: Range<usize>,
}

impl Host {
    const fn new() -> Host {
        Host { slots: BTreeMap::new(), next_handle: 1, next_allocation: 1, refusal: None, map_calls: 0, quota: None }
    }

    pub(super) fn insert(&mut self, object: Object) -> u32 {
        let handle = self.next_handle;
        self.next_handle += 1;
        self.slots.insert(handle, Slot { object, under: None });
        handle
    }

    pub(super) fn slot(&mut self, handle: u32) -> &mut Slot {
        self.slots.get_mut(&handle).expect("unknown handle index")
    }

    pub(super) fn remove(&mut self, handle: u32) -> Option<Object> {
        self.slots.remove(&handle).map(|slot| slot.object)
    }

    pub(super) fn take_region(&mut self, handle: u32) -> Part {
        match self.remove(handle) {
            Some(Object::Region(part)) => part,
            _ => panic!("unknown handle index"),
        }
    }

    pub(super) fn take_reference(&mut self, handle: u32) -> Reference {
        match self.remove(handle) {
            Some(Object::Frozen(reference)) => reference,
            _ => panic!("unknown handle index"),
        }
    }

    pub(super) fn reference(&mut self, handle: u32) -> &Reference {
        match &self.slot(handle).object {
            Object::Frozen(reference) => reference,
            Object::Region(_) => panic!("unknown handle index"),
        }
    }

    /// Bytes of an allocation of their own.
    pub(super) fn allocation(&mut self, bytes: Vec<u8>) -> Object {
        let allocation = self.next_allocation;
        self.next_allocation += 1;
        Object::Region(Part { allocation, start: 0, bytes })
    }

    pub(super) fn live(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.quota.is_some_and(|quota| self.live() >= quota)
    }

    pub(super) fn read(&mut self, handle: u32, offset: u64, len: u32) -> Result<Vec<u8>, AccessError> {
        let bytes = self.slot(handle).object.bytes();
        let range = range(offset, len as usize).ok_or(AccessError::RangeOutsideRegion)?;
        bytes.get(range).map(<[u8]>::to_vec).ok_or(AccessError::RangeOutsideRegion)
    }

    pub(super) fn write(&mut self, handle: u32, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        let Object::Region(part) = &mut self.slot(handle).object else { panic!("unknown handle index") };
        let range = range(offset, bytes.len()).ok_or(AccessError::RangeOutsideRegion)?;
        let at = part.bytes.get_mut(range).ok_or(AccessError::RangeOutsideRegion)?;
        at.copy_from_slice(bytes);
        Ok(())
    }
}

impl Object {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Object::Region(part) => &part.bytes,
            Object::Frozen(reference) => &reference.whole.bytes[reference.range.clone()],
        }
    }
}

impl Part {
    pub(super) fn split(mut self, at: usize) -> (Part, Part) {
        let high = Part { allocation: self.allocation, start: self.start + at, bytes: self.bytes.split_off(at) };
        (self, high)
    }

    pub(super) fn precedes(&self, high: &Part) -> bool {
        self.allocation == high.allocation && self.start + self.bytes.len() == high.start
    }

    pub(super) fn join(mut self, high: Part) -> Part {
        self.bytes.extend(high.bytes);
        self
    }

    pub(super) fn freeze(self) -> Reference {
        let range = 0..self.bytes.len();
        Reference { whole: Arc::new(self), range }
    }
}

impl Reference {
    /// The bytes of `range`, counted from this reference's first.
    pub(super) fn slice(&self, range: Range<usize>) -> Reference {
        let start = self.range.start;
        Reference { whole: Arc::clone(&self.whole), range: start + range.start..start + range.end }
    }

    pub(super) fn thaw(self) -> Result<Part, Reference> {
        let Reference { whole, range } = self;
        match Arc::try_unwrap(whole) {
            Ok(mut part) => {
                part.bytes.truncate(range.end);
                Ok(part.split(range.start).1)
            }
            Err(whole) => Err(Reference { whole, range }),
        }
    }
}

pub(super) fn range(offset: u64, length: usize) -> Option<Range<usize>> {
    let start = usize::try_from(offset).ok()?;
    Some(start..start.checked_add(length)?)
}
