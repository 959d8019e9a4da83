//! The host's part in plain memory: regions are vectors, and mapping copies in and out.
//!
//! For unit tests of guests, and of this crate. Nothing here is fast.
//!
//! # Safety
//!
//! "Growing" allocates pages that are never freed, so an address that [`grow`] gave stays good. [`map`] and [`unmap`]
//! touch bytes at a [`Placement`] alone, which is memory that `grow` gave and that the caller has the sole use of.
#![allow(unsafe_code)]

use alloc::alloc::{Layout, alloc_zeroed};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use self::types::{MapError, Mappable, Mapping};
use crate::GRANULE_BYTES;
use crate::lock::Lock;
use crate::pool::Placement;

/// What the host knows: the regions by handle.
struct Host {
    regions: BTreeMap<u32, Region>,
    next_handle: u32,
    /// What `map` answers instead of mapping.
    refusal: Option<MapError>,
}

struct Region {
    bytes: Vec<u8>,
    /// While mapped: where, and what was there.
    under: Option<(usize, Vec<u8>)>,
}

static HOST: Lock<Host> = Lock::new(Host { regions: BTreeMap::new(), next_handle: 1, refusal: None });

impl Host {
    fn insert(&mut self, region: Region) -> u32 {
        let handle = self.next_handle;
        self.next_handle += 1;
        self.regions.insert(handle, region);
        handle
    }

    fn get(&mut self, handle: u32) -> &mut Region {
        self.regions.get_mut(&handle).expect("unknown handle index")
    }
}

/// Nothing else grows this memory, and no growth follows the one before.
pub(crate) fn memory_pages() -> usize {
    0
}

/// New zeroed pages, and the first one's number.
pub(crate) fn grow(pages: usize) -> Option<usize> {
    let size_bytes = pages.checked_mul(GRANULE_BYTES)?;
    let layout = Layout::from_size_align(size_bytes, GRANULE_BYTES).ok().filter(|layout| layout.size() > 0)?;
    // SAFETY: the layout's size is not zero: checked above.
    let pointer = unsafe { alloc_zeroed(layout) };
    (!pointer.is_null()).then(|| pointer.expose_provenance() / GRANULE_BYTES)
}

/// Maps `region` at `placement` by copying it there.
pub(crate) fn map(region: Mappable, placement: &Placement, size_bytes: usize) -> Result<Mapping, (Mappable, MapError)> {
    let handle = region.take_handle();
    let mapped = HOST.with(|host| {
        if let Some(refusal) = host.refusal {
            return Err(refusal);
        }
        let region = host.get(handle);
        assert_eq!(region.bytes.len(), size_bytes, "the placement is as long as the region");
        // SAFETY: see `placement_bytes`: the caller has the sole use of the placement, and holds no reference to it.
        let at = unsafe { placement_bytes(placement.address(), size_bytes) };
        region.under = Some((placement.address(), at.to_vec()));
        at.copy_from_slice(&region.bytes);
        Ok(())
    });
    // SAFETY: the handle was taken from `region` and is used once.
    let give_back = || unsafe { Mappable::from_handle(handle) };
    // SAFETY: as above: only one of the two is made.
    let mapping = || unsafe { Mapping::from_handle(handle) };
    match mapped {
        Ok(()) => Ok(mapping()),
        Err(error) => Err((give_back(), error)),
    }
}

/// Takes `mapping` out of `placement` by copying it back.
pub(crate) fn unmap(
    mapping: Mapping,
    placement: &Placement,
    size_bytes: usize,
) -> Result<Mappable, (Mapping, MapError)> {
    let handle = mapping.take_handle();
    HOST.with(|host| {
        let region = host.get(handle);
        let (address, under) = region.under.take().expect("a mapping is mapped");
        assert_eq!(address, placement.address(), "unmapped where it was mapped");
        // SAFETY: see `placement_bytes`: the caller has the sole use of the placement, and holds no reference to it.
        let at = unsafe { placement_bytes(placement.address(), size_bytes) };
        region.bytes.copy_from_slice(at);
        at.copy_from_slice(&under);
    });
    // SAFETY: the handle was taken from `mapping` and is used once.
    Ok(unsafe { Mappable::from_handle(handle) })
}

/// The bytes at a placement's address.
///
/// # Safety
///
/// The placement is at least `size_bytes` long, and no other reference to its bytes lives as long as this one.
unsafe fn placement_bytes<'a>(address: usize, size_bytes: usize) -> &'a mut [u8] {
    let pointer = core::ptr::with_exposed_provenance_mut(address);
    // SAFETY: `grow` allocated and initialised these bytes and never frees them; the rest is the caller's word.
    unsafe { core::slice::from_raw_parts_mut(pointer, size_bytes) }
}

/// `mappable:memory/types` in plain memory, with the generated bindings' names and signatures.
pub mod types {
    use alloc::vec;
    use alloc::vec::Vec;
    use core::cell::Cell;

    use super::{HOST, Region};
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
        MappingsExhausted,
    }

    /// Why there is no region.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[allow(missing_docs, reason = "the WIT has them")]
    pub enum AllocateError {
        InvalidRegionSize,
        RegionOverQuota,
        RegionsExhausted,
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

    /// What `map` answers from now on instead of mapping, in this process; `None` to map. For tests.
    pub fn refuse_to_map(refusal: Option<MapError>) {
        HOST.with(|host| host.refusal = refusal);
    }

    /// How many regions live in this process. For tests.
    pub fn live_regions() -> usize {
        HOST.with(|host| host.regions.len())
    }

    /// An owned region.
    #[derive(Debug)]
    pub struct Mappable {
        handle: Cell<u32>,
    }

    impl Mappable {
        /// A new region that reads as zero.
        pub fn allocate(size: u64) -> Result<Mappable, AllocateError> {
            if size == 0 || !size.is_multiple_of(GRANULE_BYTES as u64) {
                return Err(AllocateError::InvalidRegionSize);
            }
            let size = usize::try_from(size).map_err(|_| AllocateError::RegionsExhausted)?;
            let mut probe = Vec::<u8>::new();
            probe.try_reserve_exact(size).map_err(|_| AllocateError::RegionsExhausted)?;
            drop(probe);
            let region = Region { bytes: vec![0; size], under: None };
            Ok(Mappable { handle: Cell::new(HOST.with(|host| host.insert(region))) })
        }

        /// Its size in bytes.
        pub fn size(&self) -> u64 {
            HOST.with(|host| host.get(self.handle.get()).bytes.len() as u64)
        }

        /// Copies bytes out.
        pub fn read(&self, offset: u64, len: u32) -> Result<Vec<u8>, AccessError> {
            HOST.with(|host| {
                let start = usize::try_from(offset).ok();
                let end = start.and_then(|start| start.checked_add(len as usize));
                let range = start.zip(end).map(|(start, end)| start..end);
                let bytes = range.and_then(|range| host.get(self.handle.get()).bytes.get(range));
                bytes.map(<[u8]>::to_vec).ok_or(AccessError::RangeOutsideRegion)
            })
        }

        /// Copies bytes in.
        pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
            HOST.with(|host| {
                let start = usize::try_from(offset).ok();
                let end = start.and_then(|start| start.checked_add(bytes.len()));
                let range = start.zip(end).map(|(start, end)| start..end);
                let at = range.and_then(|range| host.get(self.handle.get()).bytes.get_mut(range));
                at.map(|at| at.copy_from_slice(bytes)).ok_or(AccessError::RangeOutsideRegion)
            })
        }
    }

    /// A region that is mapped.
    #[derive(Debug)]
    pub struct Mapping {
        handle: Cell<u32>,
    }

    /// What both kinds of handle have in common: 0 is a handle that was taken.
    macro_rules! handles {
        ($($resource:ident)*) => {$(
            impl $resource {
                /// Takes over a handle.
                ///
                /// # Safety
                ///
                /// The handle is of this kind and nobody else's. (Natively a mistake panics, at worst.)
                #[doc(hidden)]
                pub unsafe fn from_handle(handle: u32) -> $resource {
                    $resource { handle: Cell::new(handle) }
                }

                #[doc(hidden)]
                pub fn take_handle(&self) -> u32 {
                    self.handle.take()
                }
            }

            impl Drop for $resource {
                fn drop(&mut self) {
                    HOST.with(|host| drop(host.regions.remove(&self.handle.get())));
                }
            }
        )*};
    }

    handles!(Mappable Mapping);
}
