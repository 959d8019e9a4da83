//! Who holds what in one store: the regions behind its components' handles, and the memories that they are mapped in.
//!
//! A handle's representation is an index of [`MappableCtx::entries`]. It stays the same while a region is mapped and
//! unmapped, so that a warm map or unmap changes one field, and neither allocates nor frees.

use std::fmt;
use std::io;
use std::sync::Arc;

use slab::Slab;
use wasmtime::component::Resource;

use super::addresses::SeatId;
use super::error::{TrapReason, WitAllocateError, WitMapError};
use super::seats::Seats;
use crate::region::{Backing, Mappable};
use crate::view::{Driving, Mount, MountError, Placement, PlacementError};

/// Gives the functions of `mappable:memory/types` the context of a store. Implemented by the store's data.
///
/// ```
/// # use mappable::{MappableCtx, MappableView, Runtime};
/// struct MyState {
///     mappable: MappableCtx,
/// }
///
/// impl MappableView for MyState {
///     fn mappable(&mut self) -> &mut MappableCtx {
///         &mut self.mappable
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = Runtime::new()?;
/// let state = MyState { mappable: runtime.context() };
/// let store = wasmtime::Store::new(runtime.engine(), state);
/// # Ok(())
/// # }
/// ```
pub trait MappableView: Send {
    /// The context of this store: always the same one, for as long as the store lives.
    fn mappable(&mut self) -> &mut MappableCtx;
}

impl<T: ?Sized + MappableView> MappableView for &mut T {
    fn mappable(&mut self) -> &mut MappableCtx {
        T::mappable(self)
    }
}

impl<T: ?Sized + MappableView> MappableView for Box<T> {
    fn mappable(&mut self) -> &mut MappableCtx {
        T::mappable(self)
    }
}

/// The WIT resource `mapping`, as a type for [`Resource`] and [`wasmtime::component::ResourceType`]. It has no values:
/// what is mapped is the business of the guest that mapped it.
pub enum Mapping {}

/// What the components of one store may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All regions together, in bytes. `allocate` answers `region-over-quota` beyond.
    pub region_bytes: u64,
    /// How many regions. `allocate` answers `region-over-quota` beyond.
    pub regions: usize,
    /// How many regions may be mapped at once, those included whose mapping was dropped while they are still shown.
    /// `map` answers `mappings-exhausted` beyond.
    pub mappings: usize,
}

impl Default for Limits {
    /// 4 GiB in 1,000 regions, 64 of them mapped.
    fn default() -> Self {
        Self { region_bytes: 4 << 30, regions: 1_000, mappings: 64 }
    }
}

/// Why a handle could not be made from a region, or a region had from a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandleError {
    /// The region was allocated by another [`Runtime`](crate::Runtime).
    #[error("the region belongs to another runtime")]
    AnotherRuntime,
    /// There is no such region here, or it is mapped.
    #[error("handle {0} stands for no region that is held in this store, unmapped")]
    NotHeld(u32),
    /// The handle is borrowed, so the region is not the host's to take.
    #[error("handle {0} is borrowed: the region is not the host's to take")]
    Borrowed(u32),
}

/// A region that a component of this store holds.
struct Entry {
    region: Mappable,
    /// Where it is shown. A `mapping` handle stands for an entry that has this, a `mappable` handle for one that has
    /// not, and there is one handle for each entry.
    mapped: Option<(SeatId, Mount)>,
}

/// The regions that the components of one store hold, and where they are mapped.
///
/// Made by [`Runtime::context`](crate::Runtime::context), kept in the store's data and found through
/// [`MappableView`]. Dropping it frees the regions.
pub struct MappableCtx {
    backing: Arc<Backing>,
    limits: Limits,
    entries: Slab<Entry>,
    /// The sizes of all entries' regions together.
    held_bytes: u64,
    /// How many entries are mapped.
    mapped: usize,
    seats: Seats,
}

impl fmt::Debug for MappableCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MappableCtx")
            .field("regions", &self.entries.len())
            .field("bytes", &self.held_bytes)
            .field("memories", &self.seats.len())
            .finish_non_exhaustive()
    }
}

impl MappableCtx {
    pub(super) fn new(backing: Arc<Backing>, driving: Driving, mapping: bool) -> Self {
        Self {
            backing,
            limits: Limits::default(),
            entries: Slab::new(),
            held_bytes: 0,
            mapped: 0,
            seats: Seats::new(driving, mapping),
        }
    }

    /// Sets what the store's components may hold. What they hold already stays.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// How many regions the store's components hold, and how many bytes those have together.
    pub fn held(&self) -> (usize, u64) {
        (self.entries.len(), self.held_bytes)
    }

    /// Gives a region to this store: the handle can be passed to a component as `own<mappable>`, or as
    /// `borrow<mappable>`. A handle that is neither passed nor given to [`MappableCtx::remove`] keeps the region until
    /// the context goes. Limits are for guests; they do not apply here.
    ///
    /// # Errors
    ///
    /// [`HandleError::AnotherRuntime`].
    pub fn insert(&mut self, region: Mappable) -> Result<Resource<Mappable>, HandleError> {
        if !region.extent().is_in(&self.backing) {
            return Err(HandleError::AnotherRuntime);
        }
        Ok(Resource::new_own(self.add(region)))
    }

    /// Takes a region out of this store: the handle came from a component as `own<mappable>`, or from
    /// [`MappableCtx::insert`].
    ///
    /// # Errors
    ///
    /// [`HandleError::Borrowed`] and [`HandleError::NotHeld`].
    pub fn remove(&mut self, handle: Resource<Mappable>) -> Result<Mappable, HandleError> {
        if !handle.owned() {
            return Err(HandleError::Borrowed(handle.rep()));
        }
        self.get(&handle)?;
        self.take(handle.rep()).map(|entry| entry.region).ok_or(HandleError::NotHeld(handle.rep()))
    }

    /// Looks at a region of this store, through a handle that is owned or borrowed.
    ///
    /// # Errors
    ///
    /// [`HandleError::NotHeld`].
    pub fn get(&self, handle: &Resource<Mappable>) -> Result<&Mappable, HandleError> {
        let entry = self.entries.get(handle.rep() as usize).filter(|entry| entry.mapped.is_none());
        Ok(&entry.ok_or(HandleError::NotHeld(handle.rep()))?.region)
    }

    /// The bytes of a region of this store, for writing, through a handle that is owned or borrowed. As
    /// [`Mappable::bytes_mut`].
    ///
    /// # Errors
    ///
    /// [`HandleError::NotHeld`], as an [`io::Error`], and the operating system's.
    pub fn bytes_mut(&mut self, handle: &Resource<Mappable>) -> io::Result<&mut [u8]> {
        // Not the `Mappable` itself: it could be exchanged for another one, behind the context's back.
        let entry = self.entries.get_mut(handle.rep() as usize).filter(|entry| entry.mapped.is_none());
        entry.ok_or_else(|| io::Error::other(HandleError::NotHeld(handle.rep())))?.region.bytes_mut()
    }

    pub(super) fn allocate(&mut self, size: u64) -> Result<u32, WitAllocateError> {
        // A size that is never right is said to be so whatever the quota.
        Mappable::check_size(size)?;
        // Regions whose mapping was dropped take memory until it is safe to free them.
        let (unowned, unowned_bytes) = self.seats.unowned();
        let bytes = self.held_bytes.saturating_add(unowned_bytes).saturating_add(size);
        if self.entries.len() + unowned >= self.limits.regions || bytes > self.limits.region_bytes {
            return Err(WitAllocateError::RegionOverQuota);
        }
        let region = Mappable::allocate(&self.backing, size)?;
        Ok(self.add(region))
    }

    /// Maps the region of a `mappable` handle, which becomes a `mapping` handle of the same representation.
    pub(super) fn map(&mut self, rep: u32, at: List) -> Result<Result<(), WitMapError>, TrapReason> {
        let entry = self.entries.get_mut(rep as usize).filter(|entry| entry.mapped.is_none());
        let entry = entry.ok_or_else(|| bug(rep, "unmapped", line!()))?;
        if at.len == 0 {
            return Ok(Err(WitMapError::PlacementMisaligned));
        }
        let Some(spot) = self.seats.locate(at.address)? else { return Ok(Err(WitMapError::PlacementUnmappable)) };
        if self.mapped + self.seats.lingering_besides(spot.seat) >= self.limits.mappings {
            return Ok(Err(WitMapError::MappingsExhausted));
        }
        let placement = match Placement::new(spot.offset, at.len, entry.region.size()) {
            Ok(placement) => placement,
            Err(PlacementError::Misaligned) => return Ok(Err(WitMapError::PlacementMisaligned)),
            Err(PlacementError::TooSmall) => return Ok(Err(WitMapError::PlacementTooSmall)),
        };
        match self.seats.mount(spot.seat, placement, &entry.region) {
            Ok(mount) => {
                entry.mapped = Some((spot.seat, mount));
                self.mapped += 1;
                Ok(Ok(()))
            }
            Err(error) => answer(rep, error).map(Err),
        }
    }

    /// Unmaps the region of a `mapping` handle, which becomes a `mappable` handle of the same representation.
    pub(super) fn unmap(&mut self, rep: u32, at: List) -> Result<Result<(), WitMapError>, TrapReason> {
        let entry = self.entries.get_mut(rep as usize).ok_or_else(|| bug(rep, "mapped", line!()))?;
        let (seat, mount) = entry.mapped.ok_or_else(|| bug(rep, "mapped", line!()))?;
        if at.len == 0 {
            return Ok(Err(WitMapError::PlacementMismatch));
        }
        let offset = self.seats.offset_in(seat, at.address).ok_or(TrapReason::ForeignMapping)?;
        if offset != mount.offset() {
            return Ok(Err(WitMapError::PlacementMismatch));
        }
        match self.seats.unmount(seat, mount) {
            Ok(()) => {
                entry.mapped = None;
                self.mapped = self.mapped.saturating_sub(1);
                Ok(Ok(()))
            }
            Err(error) => answer(rep, error).map(Err),
        }
    }

    /// A handle of either type was dropped.
    pub(super) fn drop_handle(&mut self, rep: u32) {
        if let Some(Entry { region, mapped: Some((seat, mount)) }) = self.take(rep) {
            self.seats.linger(seat, mount, region);
        }
    }

    fn add(&mut self, region: Mappable) -> u32 {
        self.held_bytes = self.held_bytes.saturating_add(region.size());
        // Far fewer than 2^32: each has at least a granule of the backing file.
        self.entries.insert(Entry { region, mapped: None }) as u32
    }

    fn take(&mut self, rep: u32) -> Option<Entry> {
        let entry = self.entries.try_remove(rep as usize)?;
        self.held_bytes = self.held_bytes.saturating_sub(entry.region.size());
        self.mapped = self.mapped.saturating_sub(usize::from(entry.mapped.is_some()));
        Some(entry)
    }
}

impl Drop for MappableCtx {
    /// Regions that are mapped are still shown: their memories keep them for as long as they can be looked at.
    fn drop(&mut self) {
        for entry in self.entries.drain() {
            if let Some((seat, _)) = entry.mapped {
                self.seats.abandon(seat, entry.region);
            }
        }
    }
}

/// A list that a guest passed, as addresses of the host.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) address: usize,
    pub(super) len: u64,
}

/// What a guest is told of a mount that failed: an error, or a trap if it must not go on.
fn answer(rep: u32, error: MountError) -> Result<WitMapError, TrapReason> {
    match error {
        MountError::Overlaps => Ok(WitMapError::PlacementOverlaps),
        MountError::Unmappable => Ok(WitMapError::PlacementUnmappable),
        MountError::Foreign => Err(bug(rep, "of the memory's runtime", line!())),
        MountError::Exhausted(error) => {
            tracing::debug!(%error, "a region was not mapped");
            Ok(WitMapError::MappingsExhausted)
        }
        MountError::Broken(error) => Err(TrapReason::Broken(error)),
    }
}

fn bug(rep: u32, expected: &'static str, line: u32) -> TrapReason {
    TrapReason::Bug { rep, expected, file: file!(), line }
}
