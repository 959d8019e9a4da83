//! Regions that go to other processes, and come from them. What is checked is in [`region`](crate::region).

use super::runtime::Runtime;
use crate::region::{AllocateError, Exported, Frozen, ImportError, Mappable, Trust, import_frozen, import_region};

impl Runtime {
    /// A new region as by [`Runtime::allocate`], which is alone in a file in memory: it can be given to another process without a
    /// copy ([`Mappable::export`]). It takes a descriptor for as long as it lives, of which a process has 1,024 by
    /// default, and a few system calls to make; so make few, and use them again.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = mappable::Runtime::new()?;
    /// let (region, ordinary) = (runtime.allocate_exportable(1_000_000)?, runtime.allocate(1_000_000)?);
    /// # if runtime.frozen_stores_trap() {
    /// assert!(region.is_exportable());
    /// # }
    /// assert!(!ordinary.is_exportable());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`AllocateError`], also where there are no descriptors left.
    pub fn allocate_exportable(&self, len: u64) -> Result<Mappable, AllocateError> {
        Mappable::allocate_exportable(&self.backing, len)
    }
}

impl Mappable {
    /// Takes a region that another process has given away, of at most `limit` bytes. From a peer that is trusted, its bytes are
    /// used where they lie; else they are copied once, so that nothing the peer does later makes a difference. Where regions
    /// are mapped by copying, they are always copied. [`Mappable::export`] has an example.
    ///
    /// # Errors
    ///
    /// [`ImportError`]. The descriptor is closed.
    pub fn import(runtime: &Runtime, exported: Exported, trust: Trust, limit: u64) -> Result<Self, ImportError> {
        import_region(runtime.backing(), exported, trust, limit, None)
    }
}

impl Frozen {
    /// Takes a reference to bytes that another process has exported, of at most `limit` bytes. They are not copied, unless
    /// regions are mapped by copying. Unless the peer is trusted, the file must be sealed. [`Trust`] has an example.
    ///
    /// # Errors
    ///
    /// [`ImportError`]. The descriptor is closed.
    pub fn import(runtime: &Runtime, exported: Exported, trust: Trust, limit: u64) -> Result<Self, ImportError> {
        Ok(Self::of(import_frozen(runtime.backing(), exported, trust, limit, None)?)?)
    }
}
