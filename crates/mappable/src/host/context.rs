//! The regions of one store, as its embedder sees them: [`MappableCtx`] gives them to the store's components, looks at
//! them and takes them out again.
//!
//! Which entry a handle stands for is [`entries`](super::entries)'s, where it is mapped
//! [`mapped_memories`](super::mapped_memories)'s. What guests do with their handles is in [`mapping`](super::mapping) and
//! [`values`](super::values), and in [`ledger`](super::ledger) where trusted modules keep them.

use std::fmt;
use std::io;
use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::Resource;

#[cfg(feature = "externref")]
use super::dropped::Dropped;
use super::entries::Entries;
use super::error::TrapReason;
use super::handle::HandleError;
use super::ledger::StoreLedger;
use super::mapped_memories::MappedMemories;
use crate::region::{AllocateError, Backing, Frozen, FrozenRegion, Held, Limits, Mappable};
use crate::view::DriverConfig;

/// The regions that the components of one store hold, and where they are mapped.
///
/// Made by [`Runtime::context`](crate::Runtime::context), kept in the store's data and found through
/// [`MappableView`](crate::MappableView). Dropping it frees the regions.
///
/// A region is given to the store, passed to a component as a handle, looked at while a component has it, and taken out
/// again:
///
/// ```
/// use mappable::{GRANULE, HandleError, Limits, Runtime};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = Runtime::new()?;
/// let mut context = runtime.context();
/// context.set_limits(Limits::default().region_bytes(1 << 30));
/// assert_eq!(context.limits().region_bytes, 1 << 30);
///
/// let region = context.allocate(100_000)?; // or `runtime.allocate`: it is the same runtime
/// let handle = context.insert(region)?; // a component takes it as `own<mappable>`
/// assert_eq!(context.held(), (1, 2 * GRANULE));
/// context.bytes_mut(&handle)?[..5].copy_from_slice(b"hello");
/// context.set_len(&handle, 5)?;
/// assert_eq!(context.get(&handle)?.bytes()?, b"hello");
/// let region = context.remove(handle)?;
///
/// // Frozen bytes are for any number of stores.
/// let handle = context.insert_frozen(region.freeze()?)?; // `own<frozen>`
/// let read = context.get_frozen(&handle)?;
/// let taken = context.remove_frozen(handle)?;
/// let again = context.try_insert_frozen(taken)?; // within the limits
/// assert_eq!(context.remove_all_frozen([again])?.len(), 1);
/// assert_eq!(read[..], *b"hello");
/// # Ok(())
/// # }
/// ```
pub struct MappableCtx {
    /// The runtime's: that of every store that the context is right for.
    engine: Engine,
    pub(super) backing: Arc<Backing>,
    pub(super) limits: Limits,
    pub(super) entries: Entries,
    pub(super) memories: MappedMemories,
    /// What core modules referred to and do no longer.
    #[cfg(feature = "externref")]
    pub(super) dropped: Arc<Dropped>,
    /// What closed compositions of the store keep, once one is instantiated.
    pub(super) store_ledger: Option<StoreLedger>,
}

impl fmt::Debug for MappableCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (regions, bytes) = self.held();
        f.debug_struct("MappableCtx")
            .field("regions", &regions)
            .field("bytes", &bytes)
            .field("memories", &self.memories.len())
            .finish_non_exhaustive()
    }
}

impl MappableCtx {
    pub(super) fn new(engine: &Engine, backing: Arc<Backing>, driving: DriverConfig, mapping: bool) -> Self {
        let limits = Limits::default();
        let entries = Entries::default();
        let driving = DriverConfig { budget: Arc::clone(entries.budget()), ..driving };
        Self {
            engine: engine.clone(),
            backing,
            limits,
            entries,
            memories: MappedMemories::new(driving, mapping, &limits),
            #[cfg(feature = "externref")]
            dropped: Arc::default(),
            store_ledger: None,
        }
    }

    /// Sets what the store's components may hold. What they hold already stays.
    pub fn set_limits(&mut self, limits: Limits) {
        self.memories.set_limits(&limits);
        self.entries.set_limits(&limits);
        self.limits = limits;
    }

    /// What the store's components may hold.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// A new region whose bytes are `bytes`, as by [`Runtime::allocate_from`](crate::Runtime::allocate_from) of the
    /// context's runtime: a host function needs no runtime besides the context. Nobody is charged for it before it is given
    /// to the store.
    ///
    /// # Errors
    ///
    /// [`AllocateError`].
    pub fn allocate_from(&self, bytes: &[u8]) -> Result<Mappable, AllocateError> {
        Mappable::allocate_from(&self.backing, &[bytes])
    }

    /// A new region of `len` bytes, as by [`Runtime::allocate`](crate::Runtime::allocate).
    ///
    /// # Errors
    ///
    /// [`AllocateError`].
    pub fn allocate(&self, len: u64) -> Result<Mappable, AllocateError> {
        Mappable::allocate(&self.backing, len)
    }

    /// How many regions and references to frozen ones count against the store's limits, and how many bytes those have
    /// together (an allocation that was frozen once, and in full): what components hold, and what is still shown though
    /// its mapping was dropped.
    pub fn held(&self) -> (usize, u64) {
        self.entries.charged()
    }

    /// Gives a region to this store: the handle can be passed to a component as `own<mappable>`, or as
    /// `borrow<mappable>`. A handle that is neither passed nor given to [`MappableCtx::remove`] keeps the region until
    /// the context goes. Limits are for guests; they do not apply here.
    ///
    /// # Errors
    ///
    /// [`HandleError::AnotherRuntime`].
    pub fn insert(&mut self, region: Mappable) -> Result<Resource<Mappable>, HandleError> {
        self.insert_held(Held::Mappable(region)).map(Resource::new_own)
    }

    /// Gives a region to this store if its limits have room for it: what a host function does with a region that it makes
    /// because a guest asked for it.
    ///
    /// ```
    /// use mappable::{HandleError, Limits};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = mappable::Runtime::new()?;
    /// let mut context = runtime.context();
    /// context.set_limits(Limits::default().region_bytes(65_536));
    /// let answer = context.allocate_from(b"for a guest")?;
    /// let handle = context.try_insert(answer)?;
    /// let another = context.allocate_from(b"too much")?;
    /// assert_eq!(context.try_insert(another).unwrap_err(), HandleError::OverQuota);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`HandleError::OverQuota`] and [`HandleError::AnotherRuntime`]. The region is freed.
    pub fn try_insert(&mut self, region: Mappable) -> Result<Resource<Mappable>, HandleError> {
        self.try_insert_held(Held::Mappable(region)).map(Resource::new_own)
    }

    /// Takes a region out of this store: the handle came from a component as `own<mappable>`, or from
    /// [`MappableCtx::insert`].
    ///
    /// # Errors
    ///
    /// [`HandleError::Borrowed`] and [`HandleError::NotHeld`].
    pub fn remove(&mut self, handle: Resource<Mappable>) -> Result<Mappable, HandleError> {
        let rep = handle.rep();
        if !handle.owned() {
            return Err(HandleError::Borrowed(rep));
        }
        self.get(&handle)?;
        self.check_not_given(rep)?;
        match self.take(rep).map(|entry| entry.held.release()) {
            Some(Held::Mappable(region)) => Ok(region),
            _ => Err(HandleError::NotHeld(rep)),
        }
    }

    /// Looks at a region of this store, through a handle that is owned or borrowed.
    ///
    /// # Errors
    ///
    /// [`HandleError::NotHeld`].
    pub fn get(&self, handle: &Resource<Mappable>) -> Result<&Mappable, HandleError> {
        self.region(handle.rep()).ok_or(HandleError::NotHeld(handle.rep()))
    }

    /// The bytes of a region of this store, for writing, through a handle that is owned or borrowed. As
    /// [`Mappable::bytes_mut`].
    ///
    /// # Errors
    ///
    /// [`HandleError::NotHeld`], as an [`io::Error`], and the operating system's.
    pub fn bytes_mut(&mut self, handle: &Resource<Mappable>) -> io::Result<&mut [u8]> {
        // Not the `Mappable` itself: it could be exchanged for another one, behind the context's back.
        let not_held = || io::Error::other(HandleError::NotHeld(handle.rep()));
        self.region_mut(handle.rep()).ok_or_else(not_held)?.bytes_mut()
    }

    /// Sets the length of a region of this store, through a handle that is owned or borrowed. As [`Mappable::set_len`].
    ///
    /// # Errors
    ///
    /// [`HandleError::NotHeld`], and [`LengthError`](crate::LengthError), as an [`io::Error`].
    pub fn set_len(&mut self, handle: &Resource<Mappable>, len: u64) -> io::Result<()> {
        let not_held = || io::Error::other(HandleError::NotHeld(handle.rep()));
        Ok(self.region_mut(handle.rep()).ok_or_else(not_held)?.set_len(len)?)
    }

    /// Gives a reference to frozen bytes to this store, as [`MappableCtx::insert`] does a region: the handle can be passed
    /// as `own<frozen>` or `borrow<frozen>`.
    ///
    /// # Errors
    ///
    /// [`HandleError::AnotherRuntime`].
    pub fn insert_frozen(&mut self, frozen: Frozen) -> Result<Resource<Frozen>, HandleError> {
        self.insert_held(Held::Frozen(frozen.into_region())).map(Resource::new_own)
    }

    /// Gives a reference to this store if its limits have room for it, as [`MappableCtx::try_insert`] does a region.
    ///
    /// # Errors
    ///
    /// As [`MappableCtx::try_insert`].
    pub fn try_insert_frozen(&mut self, frozen: Frozen) -> Result<Resource<Frozen>, HandleError> {
        self.try_insert_frozen_region(frozen.into_region())
    }

    pub(super) fn try_insert_frozen_region(&mut self, region: FrozenRegion) -> Result<Resource<Frozen>, HandleError> {
        self.try_insert_held(Held::Frozen(region)).map(Resource::new_own)
    }

    /// Takes a reference out of this store, as [`MappableCtx::remove`] does a region.
    ///
    /// # Errors
    ///
    /// [`HandleError::Borrowed`] and [`HandleError::NotHeld`]; [`HandleError::NotShown`], and the store still holds it.
    pub fn remove_frozen(&mut self, handle: Resource<Frozen>) -> Result<Frozen, HandleError> {
        if !handle.owned() {
            return Err(HandleError::Borrowed(handle.rep()));
        }
        let frozen = self.get_frozen(&handle)?;
        self.check_not_given(handle.rep())?;
        drop(self.take(handle.rep()));
        Ok(frozen)
    }

    /// Takes regions out of this store, all or none: if one of the handles is wrong, the regions of the others are freed. So
    /// a host function that fails on one of several handles that it was passed leaves nothing behind. (A handle has no
    /// destructor: one that is dropped keeps its region until the context goes.)
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = mappable::Runtime::new()?;
    /// let mut context = runtime.context();
    /// let mut frames = vec![context.insert(runtime.allocate_from(b"one")?)?, mappable::Handle::new_own(99)];
    /// assert!(context.remove_all(frames.drain(..)).is_err());
    /// assert_eq!(context.held(), (0, 0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The first that [`MappableCtx::remove`] returns.
    pub fn remove_all(
        &mut self,
        handles: impl IntoIterator<Item = Resource<Mappable>>,
    ) -> Result<Vec<Mappable>, HandleError> {
        let taken: Vec<_> = handles.into_iter().map(|handle| self.remove(handle)).collect();
        taken.into_iter().collect()
    }

    /// Takes references out of this store, all or none, as [`MappableCtx::remove_all`] does regions.
    ///
    /// # Errors
    ///
    /// The first that [`MappableCtx::remove_frozen`] returns. The references that can't be shown are freed, too.
    pub fn remove_all_frozen(
        &mut self,
        handles: impl IntoIterator<Item = Resource<Frozen>>,
    ) -> Result<Vec<Frozen>, HandleError> {
        let taken: Vec<_> = handles.into_iter().map(|handle| self.remove_or_free_frozen(handle)).collect();
        taken.into_iter().collect()
    }

    /// Takes a reference out of this store. One that can't be shown is freed, for callers whose handle nobody has after.
    pub(super) fn remove_or_free_frozen(&mut self, handle: Resource<Frozen>) -> Result<Frozen, HandleError> {
        let rep = handle.rep();
        let taken = self.remove_frozen(handle);
        if let Err(HandleError::NotShown(_)) = taken {
            self.drop_handle(rep);
        }
        taken
    }

    /// Another reference to frozen bytes of this store, through a handle that is owned or borrowed.
    ///
    /// # Errors
    ///
    /// [`HandleError::NotHeld`] and [`HandleError::NotShown`].
    pub fn get_frozen(&self, handle: &Resource<Frozen>) -> Result<Frozen, HandleError> {
        let region = self.frozen(handle.rep()).ok_or(HandleError::NotHeld(handle.rep()))?;
        Frozen::of(region.clone()).map_err(|error| HandleError::NotShown(error.kind()))
    }

    /// Whether this context is right for a store of that engine.
    pub(super) fn check_engine(&self, engine: &Engine) -> Result<(), TrapReason> {
        if Engine::same(&self.engine, engine) { Ok(()) } else { Err(TrapReason::AnotherRuntime) }
    }

    /// What is held behind a handle and not mapped.
    fn unmapped(&self, rep: u32) -> Option<&Held> {
        self.entries.get(rep).filter(|entry| !self.is_mapped_now(rep, entry)).map(|entry| &*entry.held)
    }

    pub(super) fn region_mut(&mut self, rep: u32) -> Option<&mut Mappable> {
        self.unmapped(rep)?;
        let entry = self.entries.get_mut(rep)?;
        match entry.held.held_mut() {
            Held::Mappable(region) => Some(region),
            Held::Frozen(_) => None,
        }
    }

    pub(super) fn region(&self, rep: u32) -> Option<&Mappable> {
        match self.unmapped(rep) {
            Some(Held::Mappable(region)) => Some(region),
            _ => None,
        }
    }

    pub(super) fn frozen(&self, rep: u32) -> Option<&FrozenRegion> {
        match self.unmapped(rep) {
            Some(Held::Frozen(region)) => Some(region),
            _ => None,
        }
    }

    /// What a component has in a table of the ledger is not the host's to take.
    fn check_not_given(&self, rep: u32) -> Result<(), HandleError> {
        let is_given = self.entries.get(rep).is_some_and(|entry| entry.given);
        if is_given { Err(HandleError::NotHeld(rep)) } else { Ok(()) }
    }

    fn try_insert_held(&mut self, held: Held) -> Result<u32, HandleError> {
        if !self.entries.has_room_for(&held, &self.limits) {
            return Err(HandleError::OverQuota);
        }
        self.insert_held(held)
    }

    fn insert_held(&mut self, held: Held) -> Result<u32, HandleError> {
        if held.is_in(&self.backing) { Ok(self.add(held)) } else { Err(HandleError::AnotherRuntime) }
    }

    /// Makes an entry for a region, and returns its representation.
    pub(super) fn add(&mut self, held: Held) -> u32 {
        self.entries.add(held)
    }
}

impl Drop for MappableCtx {
    /// Regions that are mapped are still shown: their memories keep them for as long as they can be looked at.
    fn drop(&mut self) {
        for rep in self.entries.given() {
            // Where the ledger contradicts itself nobody may have the bytes.
            if let Err(error) = self.sync(rep) {
                tracing::error!(%error, "a region is lost");
                self.entries.remove(rep).into_iter().for_each(std::mem::forget);
            }
        }
        for entry in self.entries.drain() {
            if let Some((memory, _)) = entry.mapped {
                self.memories.abandon(memory, entry.held);
            }
        }
    }
}
