//! [`Frozen`]: a reference to a region whose bytes never change.

use core::ops::Range;

use crate::bindings::types;
use crate::error::{AllocateError, MapFailed, PartError, RangeError, ThawFailed};
use crate::handle::{Known, Owned, Private};
use crate::held::Held;
use crate::mapped::{MappedFrozen, MappedPrivate};
use crate::region::Mappable;

/// A reference to bytes that never change, and that are not mapped through this reference. The bytes are freed with the
/// last reference.
///
/// [`Mappable::freeze`] makes the first reference, [`try_clone`](Frozen::try_clone) and [`slice`](Frozen::slice) make
/// more. (`Clone` is not implemented, since a quota can refuse a reference.) Imports and exports of a component take
/// and return the raw [`FrozenHandle`](crate::FrozenHandle). Any number of components can [`map`](Frozen::map) the same
/// bytes at once.
///
/// ```
/// use mappable_guest::{Frozen, FrozenHandle, Mappable};
///
/// /// An export of a component: it reads what is shared with others.
/// fn sum(weights: FrozenHandle) -> u64 {
///     let bytes = Frozen::from(weights).map().expect("the memory has room for a placement");
///     bytes.iter().map(|&byte| u64::from(byte)).sum()
/// }
/// # let weights = Mappable::allocate_from(&[1, 2, 3]).unwrap().freeze();
/// # assert_eq!(sum(weights.into()), 6);
/// ```
#[derive(Debug)]
pub struct Frozen(Owned<types::Frozen>);

impl Frozen {
    /// Wraps a handle to a reference of which something is known.
    pub(crate) fn new(raw: types::Frozen, known: Known) -> Frozen {
        Frozen(Owned::new(raw, known))
    }

    pub(crate) fn from_owned(frozen: Owned<types::Frozen>) -> Frozen {
        Frozen(frozen)
    }

    /// Returns the size in bytes of what this reference shows: the region, or the slice. It is a multiple of
    /// [`GRANULE`](crate::GRANULE). For a reference that was handed to this component, the first call asks the host.
    ///
    /// ```
    /// # use mappable_guest::Mappable;
    /// let frozen = Mappable::allocate_from(b"hello")?.freeze();
    /// assert_eq!(frozen.size(), 65_536);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// Returns the length in bytes: how many of the bytes count. It is that of the region when it was frozen, or that of the
    /// slice. For a reference that was handed to this component, the first call asks the host.
    ///
    /// ```
    /// # use mappable_guest::Mappable;
    /// assert_eq!(Mappable::allocate_from(b"hello")?.freeze().len(), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Returns whether the length is zero. The size never is. [`Mappable::is_empty`] has an example.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns another reference to the same bytes. Takes the same time at every size.
    ///
    /// ```
    /// # use mappable_guest::Mappable;
    /// let frozen = Mappable::allocate_from(b"hello")?.freeze();
    /// let other = frozen.try_clone()?; // to hand to another component
    /// assert_eq!(other.size(), frozen.size());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// One more reference would exceed a quota, or the host has no memory for it.
    pub fn try_clone(&self) -> Result<Frozen, AllocateError> {
        let raw = self.0.raw.clone().map_err(|error| AllocateError::new(error, self.size()))?;
        Ok(Frozen::new(raw, self.0.known()))
    }

    /// Returns a reference to the bytes of `range` alone, which begins at a multiple of [`GRANULE`](crate::GRANULE). The
    /// slice's length is as many of them as count here. Its size is that of whole granules: whoever holds it can read what is
    /// behind the range in the last one. Takes the same time at every size.
    ///
    /// ```
    /// # use mappable_guest::Mappable;
    /// let frozen = Mappable::allocate(3 * 65_536)?.freeze();
    /// let part = frozen.slice(65_536..65_936)?;
    /// assert_eq!((part.len(), part.size()), (400, 65_536));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The range does not begin at a multiple of [`GRANULE`](crate::GRANULE), it is empty or goes past the size, or one
    /// more reference would exceed a quota.
    pub fn slice(&self, range: Range<u64>) -> Result<Frozen, PartError> {
        let size = range.end.saturating_sub(range.start);
        let raw = self.0.raw.slice(range.start, size)?;
        Ok(Frozen::new(raw, self.0.known().part(range.start, size)))
    }

    /// Maps the bytes into this component's memory, for reading.
    ///
    /// Costs what [`Mappable::map`] costs. On a host that can't map, this copies: see [`MappedFrozen::is_by_copy`].
    ///
    /// ```
    /// # use mappable_guest::Mappable;
    /// let frozen = Mappable::allocate_from(b"hello")?.freeze();
    /// assert_eq!(frozen.map()?[..], *b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The memory has no room for a placement, or one more mapping would exceed a quota. The error returns the
    /// reference.
    pub fn map(self) -> Result<MappedFrozen, MapFailed<Frozen>> {
        match Held::map(self.0) {
            Ok(held) => Ok(MappedFrozen::new(held)),
            Err((region, reason)) => Err(MapFailed { region: Frozen(region), reason }),
        }
    }

    /// Maps the bytes into this component's memory, for reading and writing. What is written is this mapping's own: nobody else
    /// sees it, and it is lost when the mapping is dropped or unmapped.
    ///
    /// The host copies the pages that are written to, and counts them against the quota on regions: a granule
    /// ([`GRANULE`](crate::GRANULE)) when its first byte is written. A write for which there is no room there ends this
    /// component with a trap. Each call takes the host some system calls. On a host that can't map, this copies everything.
    ///
    /// ```
    /// # use mappable_guest::Mappable;
    /// let frozen = Mappable::allocate_from(b"hello")?.freeze();
    /// let mut bytes = frozen.try_clone()?.map_private()?;
    /// bytes[0] = b'j';
    /// assert_eq!(bytes[..], *b"jello");
    /// assert_eq!(frozen.map()?[..], *b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`map`](Frozen::map).
    pub fn map_private(self) -> Result<MappedPrivate, MapFailed<Frozen>> {
        match Held::map(self.0.with(Private)) {
            Ok(held) => Ok(MappedPrivate::new(held)),
            Err((region, reason)) => Err(MapFailed { region: Frozen(region.with(|raw| raw.0)), reason }),
        }
    }

    /// Makes the bytes a region that can be written again. This must be the only reference to the region, in all
    /// components and on the host. Thawing a slice frees the rest of the region. Never copies, and takes the same time
    /// at every size; [`copy`](Frozen::copy) works with other references, too.
    ///
    /// ```
    /// # use mappable_guest::Mappable;
    /// let frozen = Mappable::allocate_from(b"hello")?.freeze();
    /// let other = frozen.try_clone()?;
    /// let frozen = frozen.thaw().unwrap_err().frozen; // `other` refers to it, too
    /// drop(other);
    /// let mut bytes = frozen.thaw()?.map()?;
    /// bytes[0] = b'j';
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// There are other references. The error returns this one.
    pub fn thaw(self) -> Result<Mappable, ThawFailed> {
        let known = self.0.known();
        match types::Frozen::thaw(self.0.raw) {
            Ok(raw) => Ok(Mappable::new(raw, known)),
            Err(raw) => Err(ThawFailed { frozen: Frozen::new(raw, known) }),
        }
    }

    /// Returns a new region, which can be written, with a copy of the bytes, of the same size and length.
    ///
    /// ```
    /// # use mappable_guest::Mappable;
    /// let frozen = Mappable::allocate_from(b"hello")?.freeze();
    /// let mut bytes = frozen.copy()?.map()?;
    /// bytes[0] = b'j';
    /// assert_eq!(frozen.map()?[0], b'h');
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Mappable::allocate`].
    pub fn copy(&self) -> Result<Mappable, AllocateError> {
        let raw = self.0.raw.copy().map_err(|error| AllocateError::new(error, self.size()))?;
        Ok(Mappable::new(raw, self.0.known()))
    }

    /// Copies bytes, from `offset` on, until `into` is full. Makes one call to the host for each MiB.
    ///
    /// ```
    /// # use mappable_guest::Mappable;
    /// let frozen = Mappable::allocate_from(b"hello")?.freeze();
    /// let mut bytes = [0; 4];
    /// frozen.read(1, &mut bytes)?;
    /// assert_eq!(&bytes, b"ello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The range is not inside what the reference shows.
    pub fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), RangeError> {
        self.0.read(offset, into)
    }
}

impl From<types::Frozen> for Frozen {
    /// Takes over a reference that was handed to this component, as an argument or a result.
    fn from(raw: types::Frozen) -> Frozen {
        Frozen(Owned::new(raw, Known::default()))
    }
}

impl From<Frozen> for types::Frozen {
    /// Gives the reference up to a handle. Passing the handle as an argument or a result hands the reference over.
    fn from(frozen: Frozen) -> types::Frozen {
        frozen.0.raw
    }
}
