//! [`Runtime`]: the engine, and the memory that regions lie in. It makes regions, and a context for each store.
//!
//! How it is set up is in [`builder`](super::builder), how components are compiled in [`compile`](super::compile).

use std::sync::Arc;

use mappable_rewrite::Tier;
use wasmtime::{Engine, Store};

use super::artifact::CompileCache;
use super::builder::{MappingMode, RuntimeBuilder, RuntimeError};
use super::context::MappableCtx;
use super::mappable_view::MappableView;
use crate::region::{AllocateError, Backing, Mappable};
use crate::view::{Allowance, DriverConfig, MemoryShape, Strategy, Unmappable, strategy_for};

/// In bytes: all of a 32-bit memory.
const LARGEST_PLACEMENT: u64 = 1 << 32;

/// A Wasmtime engine whose components can map regions.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = mappable::Runtime::new()?;
/// let component = runtime.compile(b"(component)")?;
/// # Ok(())
/// # }
/// ```
///
/// Cheap to clone; clones share the engine and the memory.
#[derive(Clone)]
pub struct Runtime {
    pub(super) engine: Engine,
    pub(super) backing: Arc<Backing>,
    pub(super) driving: DriverConfig,
    pub(super) mapping: MappingMode,
    pub(super) tier: Tier,
    pub(super) cache: Option<CompileCache>,
    pub(super) frozen_stores_trap: bool,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("mapping", &self.mapping).finish_non_exhaustive()
    }
}

impl Runtime {
    /// A runtime with Wasmtime's default configuration.
    ///
    /// # Errors
    ///
    /// As [`RuntimeBuilder::build`].
    pub fn new() -> Result<Self, RuntimeError> {
        Self::builder().build()
    }

    /// Settings for a runtime, which begin as those of [`Runtime::new`]: [`RuntimeBuilder`] has an example.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::new()
    }

    /// The engine, for stores and linkers. [The first example](crate) makes a linker for it.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether a guest's store into a frozen mapping traps. If it doesn't, the guest writes to a copy that is the mapping's
    /// own and is gone with it. That is so where regions are mapped by copying, and where an engine was made in this process
    /// before the first runtime, without [`install_fault_handler`](crate::install_fault_handler) before it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use mappable::{MappingMode, Runtime};
    ///
    /// let copying = Runtime::builder().mapping(MappingMode::Copy).build()?;
    /// assert!(!copying.frozen_stores_trap());
    /// # Ok(())
    /// # }
    /// ```
    pub fn frozen_stores_trap(&self) -> bool {
        self.frozen_stores_trap
    }

    /// How regions get into a memory of this shape, in this runtime.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use mappable::{MappingMode, MemoryShape, Runtime, Strategy, Unmappable};
    ///
    /// let shape = MemoryShape { minimum: 1, maximum: None, is_64: false, is_shared: false, page_size: 65_536 };
    /// let copying = Runtime::builder().mapping(MappingMode::Copy).build()?;
    /// assert_eq!(copying.strategy_for(&shape), Ok(Strategy::Copy));
    /// let shape = MemoryShape { is_64: true, ..shape };
    /// assert_eq!(copying.strategy_for(&shape), Err(Unmappable::Memory64));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Why they can't be mapped into it at all; its component still has `read` and `write`.
    pub fn strategy_for(&self, shape: &MemoryShape) -> Result<Strategy, Unmappable> {
        strategy_for(shape).map(|able| match able {
            _ if !self.backing.is_in_file() => Strategy::Copy,
            able => self.driving.strategy(able),
        })
    }

    /// A new region of `len` bytes, one at the least, that reads as zero. Its size is `len` rounded up to whole granules.
    /// [`Mappable`] has an example.
    ///
    /// Takes no memory until it is written to. If an idle region of that size is kept
    /// ([`RuntimeBuilder::idle_regions`]), allocating makes no system call.
    ///
    /// # Errors
    ///
    /// [`AllocateError::InvalidRegionSize`] for no bytes, and [`AllocateError::RegionsExhausted`].
    pub fn allocate(&self, len: u64) -> Result<Mappable, AllocateError> {
        Mappable::allocate(&self.backing, len)
    }

    /// A new region whose bytes are `bytes`, of as many granules as they take, one at the least. Copies them.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = mappable::Runtime::new()?;
    /// let region = runtime.allocate_from(b"hello")?;
    /// assert_eq!((region.bytes()?, region.size()), (&b"hello"[..], mappable::GRANULE));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`AllocateError`], also where the region can't be mapped into the host.
    pub fn allocate_from(&self, bytes: &[u8]) -> Result<Mappable, AllocateError> {
        Mappable::allocate_from(&self.backing, &[bytes])
    }

    /// The same of bytes that lie in pieces: those of all slices, one behind the other.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = mappable::Runtime::new()?;
    /// let region = runtime.allocate_from_slices(&[b"head", b" and ", b"body"])?;
    /// assert_eq!(region.bytes()?, b"head and body");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Runtime::allocate_from`].
    pub fn allocate_from_slices(&self, slices: &[&[u8]]) -> Result<Mappable, AllocateError> {
        Mappable::allocate_from(&self.backing, slices)
    }

    /// A store of this runtime's engine, whose guests can map regions of any size ([`Runtime::context`] says why another
    /// may not let them).
    ///
    /// ```
    /// # use mappable::{MappableCtx, MappableView, Runtime};
    /// struct State {
    ///     mappable: MappableCtx,
    /// }
    /// # impl MappableView for State {
    /// #     fn mappable(&mut self) -> &mut MappableCtx {
    /// #         &mut self.mappable
    /// #     }
    /// # }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = Runtime::new()?;
    /// let mut store = runtime.store(State { mappable: runtime.context() });
    /// # Ok(())
    /// # }
    /// ```
    pub fn store<T: MappableView + 'static>(&self, data: T) -> Store<T> {
        let mut store = Store::new(&self.engine, data);
        store.set_hostcall_fuel(usize::try_from(LARGEST_PLACEMENT).unwrap_or(usize::MAX));
        store
    }

    /// A context for a store of this runtime's engine: [`MappableCtx`] has an example. A store keeps the context that it
    /// began with.
    ///
    /// Make the store with [`Runtime::store`], or set its allowance for lists. Wasmtime counts the bytes of every list that a
    /// guest passes to the host against an allowance for one call (`Store::set_hostcall_fuel`, 128 MiB by default). A
    /// placement is named by a list, though its bytes are never read. So in a store that `Store::new` made, guests can't map
    /// regions larger than 128 MiB. [`Runtime::store`] sets the allowance to the largest placement, 4 GiB. Then a
    /// guest can also have any other host function that takes a list copy 4 GiB in one call. If you offer such a function,
    /// set the allowance to the size of the largest region that there may be.
    pub fn context(&self) -> MappableCtx {
        let views = Allowance::new(usize::MAX);
        let driving = DriverConfig { views, ..self.driving.clone() };
        MappableCtx::new(&self.engine, Arc::clone(&self.backing), driving, self.mapping != MappingMode::Off)
    }

    pub(crate) fn backing(&self) -> &Arc<Backing> {
        &self.backing
    }
}
