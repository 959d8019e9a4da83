//! [`Mappable`]: a region that this component owns, and that is not mapped.

#[cfg(doc)]
use crate::GRANULE;
use crate::bindings::types;
use crate::error::{AllocateError, JoinFailed, MapFailed, RangeError, SplitFailed};
use crate::frozen::Frozen;
use crate::handle::{Handle as _, Known, Owned};
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
    /// Allocates a region of `len` bytes, which is not zero. All are zero. The region's [size](Mappable::size) is `len`
    /// rounded up to a multiple of [`GRANULE`].
    ///
    /// Makes one call to the host. The operating system provides the memory when it is touched.
    ///
    /// ```
    /// use mappable_guest::Mappable;
    ///
    /// let region = Mappable::allocate(100_000)?;
    /// assert_eq!((region.len(), region.size()), (100_000, 131_072));
    /// assert!(region.map()?.iter().all(|&byte| byte == 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `len` is zero, the region would exceed a quota, or the host has no memory.
    pub fn allocate(len: u64) -> Result<Mappable, AllocateError> {
        let raw = types::Mappable::allocate(len);
        raw.map(|raw| Mappable::new(raw, Known::allocated(len))).map_err(|error| AllocateError::new(error, len))
    }

    /// Allocates a region whose bytes are a copy of `bytes`, which may be none.
    ///
    /// ```
    /// use mappable_guest::Mappable;
    ///
    /// let region = Mappable::allocate_from(b"hello")?;
    /// assert_eq!((region.len(), region.size()), (5, 65_536));
    /// assert_eq!(region.map()?[..], *b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`allocate`](Mappable::allocate).
    pub fn allocate_from(bytes: &[u8]) -> Result<Mappable, AllocateError> {
        let mut region = Mappable::allocate(bytes.len().max(1) as u64)?;
        if bytes.is_empty() {
            region.set_len(0).expect("every region has room for no bytes");
        }
        region.0.raw.write_back(bytes);
        Ok(region)
    }

    /// Wraps a handle to a region of which something is known.
    pub(crate) fn new(raw: types::Mappable, known: Known) -> Mappable {
        Mappable(Owned::new(raw, known))
    }

    pub(crate) fn from_owned(region: Owned<types::Mappable>) -> Mappable {
        Mappable(region)
    }

    /// Returns the size of the region in bytes, a multiple of [`GRANULE`]: what it occupies. For a region that was handed
    /// to this component, the first call asks the host.
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

    /// Returns the length of the region in bytes: how many of its bytes count. It is at most the size, goes with the region
    /// wherever that goes, and is how long the slice is that [`map`](Mappable::map) gives. For a region that was handed to
    /// this component, the first call asks the host.
    ///
    /// ```
    /// use mappable_guest::Mappable;
    ///
    /// assert_eq!(Mappable::allocate_from(b"hello")?.len(), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Returns whether the length is zero. The size never is.
    ///
    /// ```
    /// # use mappable_guest::Mappable;
    /// assert!(Mappable::allocate_from(b"")?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets the length, to any number of bytes up to the size. No byte changes: a length that grows shows zeroes, or what
    /// an owner of this region wrote there before. Makes one call to the host.
    ///
    /// ```
    /// use mappable_guest::Mappable;
    ///
    /// // For a text that is not longer than this.
    /// let mut bytes = Mappable::allocate(1_000)?.map()?;
    /// bytes[..5].copy_from_slice(b"hello");
    /// let mut region = bytes.unmap();
    /// region.set_len(5)?;
    /// assert_eq!(region.map()?[..], *b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The length is more than the size. It is what it was.
    pub fn set_len(&mut self, len: u64) -> Result<(), RangeError> {
        let set = self.0.raw.set_len(len);
        set.map_err(|_| RangeError { offset: 0, length: len, size: self.size() })?;
        self.0.note_len(len);
        Ok(())
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
    /// let mut bytes = region.map()?; // a `[u8]`, as long as the region's length
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
        let known = self.0.known();
        Frozen::new(types::Mappable::freeze(self.0.raw), known)
    }

    /// Splits the region in two: its first `at` bytes, and the rest. A byte that counts in the region counts in its part.
    /// Takes the same time at every size. [`join`](Mappable::join) makes one region of the two again.
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
        let known = self.0.known();
        match types::Mappable::split(self.0.raw, at) {
            Ok((low, high)) => {
                let (known_low, known_high) = known.split(at);
                Ok((Mappable::new(low, known_low), Mappable::new(high, known_high)))
            }
            Err((raw, error)) => Err(SplitFailed { region: Mappable::new(raw, known), reason: error.into() }),
        }
    }

    /// Joins two regions into one: the bytes of this one, then those of `high`. The length ends where the last byte that
    /// counts does: in `high`, unless that is empty. Takes the same time at every size.
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
        let (known_low, known_high) = (self.0.known(), high.0.known());
        match types::Mappable::join(self.0.raw, high.0.raw) {
            Ok(raw) => Ok(Mappable::new(raw, known_low.join(known_high))),
            Err((low, high)) => {
                Err(JoinFailed { low: Mappable::new(low, known_low), high: Mappable::new(high, known_high) })
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
        Mappable(Owned::new(raw, Known::default()))
    }
}

impl From<Mappable> for types::Mappable {
    /// Gives the region up to a handle. Passing the handle as an argument or a result hands the region over.
    fn from(region: Mappable) -> types::Mappable {
        region.0.raw
    }
}
