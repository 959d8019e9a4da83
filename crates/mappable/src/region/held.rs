//! What a handle of a guest's can stand for, and what a store is charged for it.
//!
//! A store's components are bounded by its [`Limits`]. What counts against them is what keeps memory: a [`Charged`] value
//! counts from when it is made to when it is dropped, wherever it is meanwhile: held, mapped, or still shown after its
//! mapping was dropped.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::frozen_region::{AllocationKey, FrozenRegion};
use super::{Backing, Mappable, Source};
use crate::sys::Budget;

/// What the components of one store may hold.
///
/// ```
/// let limits = mappable::Limits::default().region_bytes(1 << 30).mappings(8);
/// assert_eq!((limits.region_bytes, limits.mappings), (1 << 30, 8));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many bytes all regions may have together, with all allocations that frozen references keep (each once, and in full)
    /// and what was written to private mappings. Beyond, `allocate` and `copy` return `region-over-quota`, and a guest's store
    /// into a private mapping traps.
    pub region_bytes: u64,
    /// How many regions and references to frozen ones there may be, mapped or not. Beyond, what makes one more returns
    /// `region-over-quota`.
    pub regions: usize,
    /// How many of them may be mapped at once. Beyond, `map` returns `mapping-over-quota`. One whose mapping was dropped counts
    /// until the next `map` or `unmap` in its memory, which shows it till then.
    pub mappings: usize,
    /// How many bytes of frozen regions may be mapped at once. Beyond, `map` returns `mapping-over-quota`. A guest can have as
    /// many copied for itself: what the host writes there for it, a result of a call, goes to a copy.
    pub frozen_mapped_bytes: u64,
    /// How many views of its memories the store may have in the cache, besides the first of each. Beyond, nothing fails: the
    /// least recently used view goes, or regions are mapped by remapping, which takes longer.
    pub views: usize,
}

impl Limits {
    /// These limits, with another [`region_bytes`](Self#structfield.region_bytes).
    #[must_use]
    pub const fn region_bytes(self, region_bytes: u64) -> Self {
        Self { region_bytes, ..self }
    }

    /// These limits, with another [`regions`](Self#structfield.regions).
    #[must_use]
    pub const fn regions(self, regions: usize) -> Self {
        Self { regions, ..self }
    }

    /// These limits, with another [`mappings`](Self#structfield.mappings).
    #[must_use]
    pub const fn mappings(self, mappings: usize) -> Self {
        Self { mappings, ..self }
    }

    /// These limits, with another [`frozen_mapped_bytes`](Self#structfield.frozen_mapped_bytes).
    #[must_use]
    pub const fn frozen_mapped_bytes(self, frozen_mapped_bytes: u64) -> Self {
        Self { frozen_mapped_bytes, ..self }
    }

    /// These limits, with another [`views`](Self#structfield.views).
    #[must_use]
    pub const fn views(self, views: usize) -> Self {
        Self { views, ..self }
    }
}

impl Default for Limits {
    /// 4 GiB in 1,000 regions, 64 of them mapped, 4 GiB of those frozen; 1,024 views.
    fn default() -> Self {
        Self { region_bytes: 4 << 30, regions: 1_000, mappings: 64, frozen_mapped_bytes: 4 << 30, views: 1_024 }
    }
}

/// What stands behind a handle.
#[derive(Debug)]
pub(crate) enum Held {
    Mappable(Mappable),
    Frozen(FrozenRegion),
}

impl Held {
    #[inline]
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Mappable(region) => region.size(),
            Self::Frozen(region) => region.size(),
        }
    }

    /// What to show to map it.
    #[inline]
    pub(crate) fn source(&self) -> Source {
        match self {
            Self::Mappable(region) => region.extent().source(),
            Self::Frozen(region) => region.source(),
        }
    }

    #[inline]
    pub(crate) fn is_frozen(&self) -> bool {
        matches!(self, Self::Frozen(_))
    }

    /// Whether its memory is of `backing`, or admitted to it.
    pub(crate) fn is_in(&self, backing: &Arc<Backing>) -> bool {
        match self {
            Self::Mappable(region) => region.extent().is_in(backing),
            Self::Frozen(region) => Arc::ptr_eq(region.backing(), backing),
        }
    }
}

/// What one store is charged for.
#[derive(Debug, Default)]
struct Usage {
    regions: usize,
    /// How many references there are to each frozen allocation, whose bytes are charged once.
    references: BTreeMap<AllocationKey, usize>,
}

/// One store's account. Clones are the same account.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    usage: Arc<Mutex<Usage>>,
    /// Of bytes: those of regions, of frozen allocations, and of what was written to private mappings.
    budget: Arc<Budget>,
}

impl Default for Account {
    fn default() -> Self {
        Self { usage: Arc::default(), budget: Arc::new(Budget::new(Limits::default().region_bytes)) }
    }
}

impl Account {
    /// How many regions and references are charged, and for how many bytes together.
    pub(crate) fn charged(&self) -> (usize, u64) {
        (self.usage().regions, self.budget.used())
    }

    /// Sets how many bytes there may be. Those that there are stay.
    pub(crate) fn set_limits(&self, limits: &Limits) {
        self.budget.set_limit(limits.region_bytes);
    }

    /// What is charged for bytes that are written to private mappings.
    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Whether there may be one region more, of `bytes` that are not charged yet.
    pub(crate) fn has_room(&self, bytes: u64, limits: &Limits) -> bool {
        self.usage().regions < limits.regions && self.budget.has_room(bytes)
    }

    /// Whether there may be this one more.
    pub(crate) fn has_room_for(&self, held: &Held, limits: &Limits) -> bool {
        let bytes = match held {
            Held::Mappable(region) => region.size(),
            // Charged already.
            Held::Frozen(region) if self.usage().references.contains_key(&region.key()) => 0,
            Held::Frozen(region) => region.allocation_size(),
        };
        self.has_room(bytes, limits)
    }

    /// Charges for what is held from here on. Limits are asked about before, with [`Account::has_room`].
    pub(crate) fn charge(&self, held: Held) -> Charged {
        let (bytes, frozen) = match &held {
            Held::Mappable(region) => (region.size(), None),
            Held::Frozen(region) => (region.allocation_size(), Some(region.key())),
        };
        let mut usage = self.usage();
        usage.regions += 1;
        let references = frozen.map(|key| usage.references.entry(key).or_default());
        let first = references.is_none_or(|references| {
            *references += 1;
            *references == 1
        });
        if first {
            self.budget.take(bytes);
        }
        drop(usage);
        Charged { charge: Charge { account: self.clone(), bytes, frozen }, held }
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is held, and charged for while it is.
#[derive(Debug)]
pub(crate) struct Charged {
    charge: Charge,
    held: Held,
}

impl Charged {
    /// What is held, to write to its bytes. It stays what it is: another in its place would not be what is charged for.
    #[inline]
    pub(crate) fn held_mut(&mut self) -> &mut Held {
        &mut self.held
    }

    /// What was held, no longer charged for.
    pub(crate) fn release(self) -> Held {
        let Self { charge, held } = self;
        drop(charge);
        held
    }
}

impl Deref for Charged {
    type Target = Held;

    #[inline]
    fn deref(&self) -> &Held {
        &self.held
    }
}

/// One region's or reference's share of an account, given back on drop.
#[derive(Debug)]
struct Charge {
    account: Account,
    bytes: u64,
    /// The allocation, of a reference: the bytes are charged while any reference to it is.
    frozen: Option<AllocationKey>,
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut usage = self.account.usage();
        usage.regions = usage.regions.saturating_sub(1);
        if let Some(key) = self.frozen {
            let references = usage.references.get(&key).copied().unwrap_or(0);
            if references > 1 {
                usage.references.insert(key, references - 1);
                return;
            }
            usage.references.remove(&key);
        }
        self.account.budget.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::GRANULE;

    fn region(backing: &Arc<Backing>, granules: u64) -> Mappable {
        Mappable::allocate(backing, granules * GRANULE).unwrap()
    }

    #[test]
    fn a_frozen_allocation_is_charged_once_and_in_full() {
        let (backing, account) = (Backing::in_blocks(), Account::default());
        let owned = account.charge(Held::Mappable(region(&backing, 2)));
        let frozen = FrozenRegion::new(region(&backing, 4));
        let slice = frozen.slice(GRANULE, GRANULE).unwrap();
        let other = FrozenRegion::new(region(&backing, 1));
        let [slice, frozen, other] = [slice, frozen, other].map(|region| account.charge(Held::Frozen(region)));
        assert_eq!(account.charged(), (4, 7 * GRANULE));
        drop(frozen);
        assert_eq!(account.charged(), (3, 7 * GRANULE));
        assert!(matches!(owned.release(), Held::Mappable(_)));
        drop(other);
        assert_eq!(account.charged(), (1, 4 * GRANULE));
        drop(slice);
        assert_eq!(account.charged(), (0, 0));
    }

    #[test]
    fn there_is_room_up_to_the_limits() {
        let (backing, account) = (Backing::in_blocks(), Account::default());
        let limits = Limits { regions: 2, region_bytes: 3 * GRANULE, ..Limits::default() };
        account.set_limits(&limits);
        let _first = account.charge(Held::Mappable(region(&backing, 1)));
        assert!(account.has_room(2 * GRANULE, &limits) && !account.has_room(2 * GRANULE + 1, &limits));
        assert!(!account.has_room(u64::MAX, &limits));
        let _second = account.charge(Held::Mappable(region(&backing, 1)));
        assert!(!account.has_room(0, &limits));
    }
}
