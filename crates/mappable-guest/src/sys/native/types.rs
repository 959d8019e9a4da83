//! `mappable:memory/types` in plain memory, with the names and signatures of the generated bindings.

#![allow(clippy::len_without_is_empty, reason = "the WIT has no other functions")]

use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;

use super::host::{HOST, Object, range};
use crate::GRANULE_BYTES;

/// Why a region was not mapped or unmapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the WIT has them")]
pub enum MapError {
    PlacementMisaligned,
    PlacementTooSmall,
    PlacementOverlaps,
    PlacementMismatch,
    PlacementUnmappable,
    MappingOverQuota,
    MappingsExhausted,
}

/// Why a region was not allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the WIT has them")]
pub enum AllocateError {
    InvalidRegionSize,
    RegionOverQuota,
    RegionsExhausted,
}

/// Why a part of a region was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the WIT has them")]
pub enum PartError {
    PartMisaligned,
    PartOutsideRegion,
    RegionOverQuota,
}

/// Why bytes were not read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the WIT has them")]
pub enum AccessError {
    RangeOutsideRegion,
    ListTooLong,
}

/// The size of a granule in bytes.
pub fn granule() -> u32 {
    GRANULE_BYTES as u32
}

/// Makes every `map` in this process return this error from now on; `None` makes it map again. For tests.
#[doc(hidden)]
pub fn refuse_to_map(refusal: Option<MapError>) {
    crate::held::ask_again();
    HOST.with(|host| host.refusal = refusal);
}

/// Sets how many regions and references this process may have from now on. For tests.
#[doc(hidden)]
pub fn limit_regions(quota: Option<usize>) {
    HOST.with(|host| host.quota = quota);
}

/// Returns how many regions and references to frozen ones live in this process. For tests.
#[doc(hidden)]
pub fn live_regions() -> usize {
    HOST.with(|host| host.live())
}

/// Returns how often this process called `map`. For tests.
#[doc(hidden)]
pub fn map_calls() -> usize {
    HOST.with(|host| host.map_calls)
}

/// A handle; 0 if it was taken.
macro_rules! handles {
    ($($(#[$doc:meta])* $resource:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $resource {
            handle: Cell<u32>,
        }

        impl $resource {
            fn new(handle: u32) -> $resource {
                $resource { handle: Cell::new(handle) }
            }

            /// Takes over a handle.
            ///
            /// # Safety
            ///
            /// The handle has this kind, and nobody else owns it. (Off WebAssembly a mistake panics at worst.)
            #[doc(hidden)]
            pub unsafe fn from_handle(handle: u32) -> $resource {
                $resource::new(handle)
            }

            #[doc(hidden)]
            pub fn take_handle(&self) -> u32 {
                self.handle.take()
            }
        }

        impl Drop for $resource {
            fn drop(&mut self) {
                drop(HOST.with(|host| host.remove(self.handle.get())));
            }
        }
    )*};
}

handles!(
    /// An owned region.
    Mappable
    /// A region that is mapped.
    Mapping
    /// A reference to a frozen region.
    Frozen
    /// A reference that is mapped.
    FrozenMapping
);

impl Mappable {
    /// Allocates a region that reads as zero.
    pub fn allocate(size: u64) -> Result<Mappable, AllocateError> {
        if size == 0 {
            return Err(AllocateError::InvalidRegionSize);
        }
        let len = size;
        let size = usize::try_from(size).ok().and_then(|size| size.checked_next_multiple_of(GRANULE_BYTES));
        let size = size.ok_or(AllocateError::RegionsExhausted)?;
        let mut probe = Vec::<u8>::new();
        probe.try_reserve_exact(size).map_err(|_| AllocateError::RegionsExhausted)?;
        drop(probe);
        allocation(vec![0; size], len)
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        HOST.with(|host| host.slot(self.handle.get()).object.bytes().len() as u64)
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        HOST.with(|host| host.slot(self.handle.get()).object.len())
    }

    /// Sets its length in bytes.
    pub fn set_len(&self, len: u64) -> Result<(), AccessError> {
        HOST.with(|host| host.set_len(self.handle.get(), len))
    }

    /// Copies bytes out.
    pub fn read(&self, offset: u64, len: u32) -> Result<Vec<u8>, AccessError> {
        HOST.with(|host| host.read(self.handle.get(), offset, len))
    }

    /// Copies bytes in.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        HOST.with(|host| host.write(self.handle.get(), offset, bytes))
    }

    /// Makes the region immutable.
    pub fn freeze(this: Mappable) -> Frozen {
        HOST.with(|host| {
            let part = host.take_region(this.take_handle());
            Frozen::new(host.insert(Object::Frozen(part.freeze())))
        })
    }

    /// Splits the region into its first `at` bytes and the rest.
    pub fn split(this: Mappable, at: u64) -> Result<(Mappable, Mappable), (Mappable, PartError)> {
        if !at.is_multiple_of(crate::GRANULE) {
            return Err((this, PartError::PartMisaligned));
        }
        let Some(at) = usize::try_from(at).ok().filter(|&at| at > 0 && (at as u64) < this.size()) else {
            return Err((this, PartError::PartOutsideRegion));
        };
        HOST.with(|host| {
            if host.is_full() {
                return Err(PartError::RegionOverQuota);
            }
            let (low, high) = host.take_region(this.take_handle()).split(at);
            let (low, high) = (host.insert(Object::Region(low)), host.insert(Object::Region(high)));
            Ok((Mappable::new(low), Mappable::new(high)))
        })
        .map_err(|error| (this, error))
    }

    /// Joins two neighbours.
    pub fn join(low: Mappable, high: Mappable) -> Result<Mappable, (Mappable, Mappable)> {
        HOST.with(|host| {
            let (low, high) = (host.take_region(low.take_handle()), host.take_region(high.take_handle()));
            if low.precedes(&high) {
                Ok(Mappable::new(host.insert(Object::Region(low.join(high)))))
            } else {
                let (low, high) = (host.insert(Object::Region(low)), host.insert(Object::Region(high)));
                Err((Mappable::new(low), Mappable::new(high)))
            }
        })
    }
}

impl Frozen {
    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        HOST.with(|host| host.slot(self.handle.get()).object.bytes().len() as u64)
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        HOST.with(|host| host.slot(self.handle.get()).object.len())
    }

    /// Returns another reference to the same bytes.
    #[allow(clippy::should_implement_trait, reason = "as in the generated bindings")]
    pub fn clone(&self) -> Result<Frozen, AllocateError> {
        HOST.with(|host| {
            if host.is_full() {
                return Err(AllocateError::RegionOverQuota);
            }
            let reference = host.reference(self.handle.get()).clone();
            Ok(Frozen::new(host.insert(Object::Frozen(reference))))
        })
    }

    /// Returns a reference to a part of the bytes.
    pub fn slice(&self, offset: u64, size: u64) -> Result<Frozen, PartError> {
        if !offset.is_multiple_of(crate::GRANULE) {
            return Err(PartError::PartMisaligned);
        }
        let part = usize::try_from(size).ok().and_then(|size| range(offset, size));
        let Some(part) = part.filter(|part| !part.is_empty() && part.end as u64 <= self.size()) else {
            return Err(PartError::PartOutsideRegion);
        };
        HOST.with(|host| {
            if host.is_full() {
                return Err(PartError::RegionOverQuota);
            }
            let reference = host.reference(self.handle.get()).slice(part);
            Ok(Frozen::new(host.insert(Object::Frozen(reference))))
        })
    }

    /// Makes the bytes a region that can be written, if this is the only reference.
    pub fn thaw(this: Frozen) -> Result<Mappable, Frozen> {
        HOST.with(|host| match host.take_reference(this.take_handle()).thaw() {
            Ok(part) => Ok(Mappable::new(host.insert(Object::Region(part)))),
            Err(reference) => Err(Frozen::new(host.insert(Object::Frozen(reference)))),
        })
    }

    /// Returns a new region with the same bytes.
    pub fn copy(&self) -> Result<Mappable, AllocateError> {
        let copied = HOST.with(|host| {
            let object = &host.slot(self.handle.get()).object;
            (object.bytes().to_vec(), object.len())
        });
        allocation(copied.0, copied.1)
    }

    /// Copies bytes out.
    pub fn read(&self, offset: u64, len: u32) -> Result<Vec<u8>, AccessError> {
        HOST.with(|host| host.read(self.handle.get(), offset, len))
    }
}

fn allocation(bytes: Vec<u8>, len: u64) -> Result<Mappable, AllocateError> {
    HOST.with(|host| {
        if host.is_full() {
            return Err(AllocateError::RegionOverQuota);
        }
        let object = host.allocation(bytes, len);
        Ok(Mappable::new(host.insert(object)))
    })
}
