//! [`Mappable`]: a region that this component owns, and that is not mapped.

use crate::GRANULE;
use crate::bindings::types;
use crate::error::{AllocateError, JoinFailed, MapFailed, RangeError, SplitFailed};
use crate::frozen::Frozen;
use crate::handle::{Handle as _, Owned};
use crate::held::Held;
use crate::mapped::Mapped;

/// A region of memory that this component owns, and that is not mapped. Dropping it frees the region.
///
/// To work on its bytes, [`map`](Mappable::map) it, which takes the same time at every size.
/// [`read`](Mappable::read) and [`write`](Mappable::write) copy a part of the bytes instead. Imports and exports of a
/// component take and return the raw [`Handle`](crate::Handle); `Mappable::from` and `into` convert.
///
/// ```
/// use mappable_guest::{Handle, Mappable};
///
/// /// An export of a component: it takes a region and returns it.
/// fn invert(region: Handle) -> Handle {
///     let mut bytes = Mappable::from(region).map().expect("the memory has room for a placement");
///     bytes.iter_mut().for_each(|byte| *byte = !*byte);
///     bytes.unmap().into()
/// }
/// # let region = Mappable::allocate_from(b"hello").unwrap();
/// # let region = Mappable::from(invert(region.into()));
/// # assert_eq!(region.map().unwrap()[0], !b'h');
/// ```
#[derive(Debug)]
pub struct Mappable(Owned<types::Mappable>);

impl Mappable {
    /// Allocates a region of `size` bytes, all zero. `size` is a positive multiple of [`GRANULE`].
    ///
    /// Makes one call to the host. The operating system provides the memory when it is touched.
    ///
    /// ```
    /// use mappable_guest::Mappable;
    ///
    /// let region = Mappable::allocate(2 * mappable_guest::GRANULE)?;
    /// assert_eq!(region.size(), 131_072);
    /// assert!(region.map()?.iter().all(|&byte| byte == 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The size is not a positive multiple of [`GRANULE`], the region would exceed a quota, or the host has no memory.
    pub fn allocate(size: u64) -> Result<Mappable, AllocateError> {
        let raw = types::Mappable::allocate(size);
        raw.map(|raw| Mappable::new(raw, size)).map_err(|error| AllocateError::new(error, size))
    }

    /// Allocates a region of at least `size` bytes, all zero: `size` is rounded up to a positive multiple of
    /// [`GRANULE`].
    ///
    /// ```
    /// use mappable_guest::Mappable;
    ///
    /// assert_eq!(Mappable::allocate_at_least(100_000)?.size(), 131_072);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`allocate`](Mappable::allocate).
    pub fn allocate_at_least(size: u64) -> Result<Mappable, AllocateError> {
        let rounded = size.max(1).checked_next_multiple_of(GRANULE);
        Mappable::allocate(rounded.ok_or(AllocateError::RegionsExhausted(size))?)
    }

    /// Allocates a region that begins with a copy of `bytes`. The rest, up to a multiple of [`GRANULE`], is zero.
    ///
    /// ```
    /// use mappable_guest::Mappable;
    ///
    /// let region = Mappable::allocate_from(b"hello")?;
    /// assert_eq!(region.size(), 65_536);
    /// assert_eq!(&region.map()?[..6], b"hello\0");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`allocate`](Mappable::allocate).
    pub fn allocate_from(bytes: &[u8]) -> Result<Mappable, AllocateError> {
        let region = Mappable::allocate_at_least(bytes.len() as u64)?;
        region.0.raw.write_back(bytes);
        Ok(region)
    }

    /// Wraps a handle to a region whose size is known.
    pub(crate) fn new(raw: types::Mappable, size: u64) -> Mappable {
        Mappable(Owned::new(raw, size))
    }

    pub(crate) fn from_owned(region: Owned<types::Mappable>) -> Mappable {
        Mappable(region)
    }

    /// Returns the size of the region in bytes, a multiple of [`GRANULE`]. For a region that was handed to this
    /// component, the first call asks the host.
    ///
    /// ```
    /// use mappable_guest::Mappable;
    ///
    /// assert_eq!(Mappable::allocate(65_536)?.size(), 65_536);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// Maps the region into this component's memory.
    ///
    /// Makes one call to the host, which makes no system call once the same region was mapped at the same placement a
    /// few times, whatever the size. On a host that can't map, this copies: see [`Mapped::is_by_copy`].
    ///
    /// ```
    /// use mappable_guest::Mappable;
    ///
    /// let region = Mappable::allocate(65_536)?;
    /// let mut bytes = region.map()?; // a `[u8]`
    /// bytes[..5].copy_from_slice(b"hello");
    /// assert_eq!(bytes.len(), 65_536);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The memory has no room for a placement, or one more mapping would exceed a quota. The error returns the region.
    pub fn map(self) -> Result<Mapped, MapFailed> {
        match Held::map(self.0) {
            Ok(held) => Ok(Mapped::new(held)),
            Err((region, reason)) => Err(MapFailed { region: Mappable(region), reason }),
        }
    }

    /// Makes the region immutable, so that many can read it at once. Takes the same time at every size, and never
    /// fails.
    ///
    /// ```
    /// use mappable_guest::Mappable;
    ///
    /// let weights = Mappable::allocate_from(&[7; 100])?.freeze();
    /// let (here, there) = (weights.try_clone()?.map()?, weights.map()?); // the same bytes at two placements
    /// assert_eq!(here[..100], there[..100]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn freeze(self) -> Frozen {
        let size = self.size();
        Frozen::new(types::Mappable::freeze(self.0.raw), size)
    }

    /// Splits the region in two: its first `at` bytes, and the rest. Takes the same time at every size.
    /// [`join`](Mappable::join) makes one region of the two again.
    ///
    /// ```
    /// use mappable_guest::Mappable;
    ///
    /// let (head, body) = Mappable::allocate(3 * 65_536)?.split(65_536)?;
    /// assert_eq!((head.size(), body.size()), (65_536, 131_072));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `at` is not a multiple of [`GRANULE`] greater than 0 and less than the size, or one more region would exceed a
    /// quota. The error returns the region.
    pub fn split(self, at: u64) -> Result<(Mappable, Mappable), SplitFailed> {
        let size = self.size();
        match types::Mappable::split(self.0.raw, at) {
            Ok((low, high)) => Ok((Mappable::new(low, at), Mappable::new(high, size - at))),
            Err((raw, error)) => Err(SplitFailed { region: Mappable::new(raw, size), reason: error.into() }),
        }
    }

    /// Joins two regions into one: the bytes of this one, then those of `high`. Takes the same time at every size.
    ///
    /// ```
    /// use mappable_guest::Mappable;
    ///
    /// let (low, high) = Mappable::allocate(131_072)?.split(65_536)?;
    /// assert_eq!(low.join(high)?.size(), 131_072);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The two are not neighbours in one allocation, as [`split`](Mappable::split) leaves them. The error returns both.
    pub fn join(self, high: Mappable) -> Result<Mappable, JoinFailed> {
        let (low_size, high_size) = (self.size(), high.size());
        match types::Mappable::join(self.0.raw, high.0.raw) {
            Ok(raw) => Ok(Mappable::new(raw, low_size + high_size)),
            Err((low, high)) => {
                Err(JoinFailed { low: Mappable::new(low, low_size), high: Mappable::new(high, high_size) })
            }
        }
    }

    /// Copies bytes of the region, from `offset` on, until `into` is full. Makes one call to the host for each MiB.
    ///
    /// ```
    /// use mappable_guest::Mappable;
    ///
    /// let region = Mappable::allocate_from(b"hello")?;
    /// let mut bytes = [0; 4];
    /// region.read(1, &mut bytes)?;
    /// assert_eq!(&bytes, b"ello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The range is not inside the region.
    pub fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), RangeError> {
        self.0.read(offset, into)
    }

    /// Copies `bytes` into the region, from `offset` on. Makes one call to the host.
    ///
    /// ```
    /// use mappable_guest::Mappable;
    ///
    /// let region = Mappable::allocate(65_536)?;
    /// region.write(3, b"hello")?;
    /// assert_eq!(&region.map()?[..8], b"\0\0\0hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The range is not inside the region. No byte is written.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), RangeError> {
        self.0.raw.write(offset, bytes).map_err(|_| self.0.range_error(offset, bytes.len()))
    }
}

impl From<types::Mappable> for Mappable {
    /// Takes over a region that was handed to this component, as an argument or a result.
    fn from(raw: types::Mappable) -> Mappable {
        Mappable(Owned::of_unknown_size(raw))
    }
}

impl From<Mappable> for types::Mappable {
    /// Gives the region up to a handle. Passing the handle as an argument or a result hands the region over.
    fn from(region: Mappable) -> types::Mappable {
        region.0.raw
    }
}
