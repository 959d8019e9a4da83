//! What the native host knows: the regions and the references to frozen ones, by handle.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use super::types::{AccessError, MapError};
use crate::GRANULE_BYTES;
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
    /// How many of them count.
    pub(super) len: u64,
}

#[derive(Clone)]
pub(super) struct Reference {
    whole: Arc<Part>,
    /// In bytes of `whole`: whole granules.
    range: Range<usize>,
    /// How many of those bytes count.
    len: u64,
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

    /// Bytes of an allocation of their own, of which `len` count.
    pub(super) fn allocation(&mut self, bytes: Vec<u8>, len: u64) -> Object {
        let allocation = self.next_allocation;
        self.next_allocation += 1;
        Object::Region(Part { allocation, start: 0, bytes, len })
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

    pub(super) fn set_len(&mut self, handle: u32, len: u64) -> Result<(), AccessError> {
        let Object::Region(part) = &mut self.slot(handle).object else { panic!("unknown handle index") };
        if len > part.bytes.len() as u64 {
            return Err(AccessError::RangeOutsideRegion);
        }
        part.len = len;
        Ok(())
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
    pub(super) fn len(&self) -> u64 {
        match self {
            Object::Region(part) => part.len,
            Object::Frozen(reference) => reference.len,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Object::Region(part) => &part.bytes,
            Object::Frozen(reference) => &reference.whole.bytes[reference.range.clone()],
        }
    }
}

impl Part {
    pub(super) fn split(mut self, at: usize) -> (Part, Part) {
        let len = self.len.saturating_sub(at as u64);
        self.len -= len;
        let high = Part { allocation: self.allocation, start: self.start + at, bytes: self.bytes.split_off(at), len };
        (self, high)
    }

    pub(super) fn precedes(&self, high: &Part) -> bool {
        self.allocation == high.allocation && self.start + self.bytes.len() == high.start
    }

    pub(super) fn join(mut self, high: Part) -> Part {
        if high.len > 0 {
            self.len = self.bytes.len() as u64 + high.len;
        }
        self.bytes.extend(high.bytes);
        self
    }

    pub(super) fn freeze(self) -> Reference {
        let (range, len) = (0..self.bytes.len(), self.len);
        Reference { whole: Arc::new(self), range, len }
    }
}

impl Reference {
    /// The granules of `range`, counted from this reference's first byte.
    pub(super) fn slice(&self, range: Range<usize>) -> Reference {
        let start = self.range.start;
        let len = (range.len() as u64).min(self.len.saturating_sub(range.start as u64));
        let end = range.end.next_multiple_of(GRANULE_BYTES);
        Reference { whole: Arc::clone(&self.whole), range: start + range.start..start + end, len }
    }

    pub(super) fn thaw(self) -> Result<Part, Reference> {
        let Reference { whole, range, len } = self;
        match Arc::try_unwrap(whole) {
            Ok(mut part) => {
                part.bytes.truncate(range.end);
                let (_, part) = part.split(range.start);
                Ok(Part { len, ..part })
            }
            Err(whole) => Err(Reference { whole, range, len }),
        }
    }
}

pub(super) fn range(offset: u64, length: usize) -> Option<Range<usize>> {
    let start = usize::try_from(offset).ok()?;
    Some(start..start.checked_add(length)?)
}
