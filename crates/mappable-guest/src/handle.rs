//! What regions and frozen references have in common: both have a size and a length, can be read, and can be mapped. The trait
//! [`Handle`] abstracts over the two kinds of handles, so that the code around mapping is written once.

use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;

use crate::GRANULE;
use crate::bindings::types;
use crate::error::RangeError;
use crate::pool::Placement;
use crate::sys;

/// How much is copied at once. It bounds the memory that copying takes, and every host returns as much.
pub(crate) const COPY_CHUNK_BYTES: usize = 1 << 20;

/// A handle to a region that is not mapped.
pub(crate) trait Handle: Sized + fmt::Debug {
    /// What the handle becomes while the region is mapped.
    type Mapping: fmt::Debug;

    fn size(&self) -> u64;
    fn len(&self) -> u64;
    fn read(&self, offset: u64, len: u32) -> Result<Vec<u8>, types::AccessError>;
    fn map(self, at: &Placement, size: usize) -> Result<Self::Mapping, (Self, types::MapError)>;
    fn unmap(mapping: Self::Mapping, at: &Placement, size: usize) -> Result<Self, (Self::Mapping, types::MapError)>;

    /// Copies bytes to the beginning of the region. Does nothing if the region is frozen.
    fn write_back(&self, copy: &[u8]);
}

impl Handle for types::Mappable {
    type Mapping = types::Mapping;

    fn size(&self) -> u64 {
        types::Mappable::size(self)
    }

    fn len(&self) -> u64 {
        types::Mappable::len(self)
    }

    fn read(&self, offset: u64, len: u32) -> Result<Vec<u8>, types::AccessError> {
        types::Mappable::read(self, offset, len)
    }

    fn map(self, at: &Placement, size: usize) -> Result<types::Mapping, (Self, types::MapError)> {
        sys::map(self, at, size)
    }

    fn unmap(mapping: types::Mapping, at: &Placement, size: usize) -> Result<Self, (types::Mapping, types::MapError)> {
        sys::unmap(mapping, at, size)
    }

    fn write_back(&self, copy: &[u8]) {
        let mut offset = 0;
        for chunk in copy.chunks(COPY_CHUNK_BYTES) {
            self.write(offset, chunk).expect("the host writes what is inside a region");
            offset += chunk.len() as u64;
        }
    }
}

impl Handle for types::Frozen {
    type Mapping = types::FrozenMapping;

    fn size(&self) -> u64 {
        types::Frozen::size(self)
    }

    fn len(&self) -> u64 {
        types::Frozen::len(self)
    }

    fn read(&self, offset: u64, len: u32) -> Result<Vec<u8>, types::AccessError> {
        types::Frozen::read(self, offset, len)
    }

    fn map(self, at: &Placement, size: usize) -> Result<types::FrozenMapping, (Self, types::MapError)> {
        sys::map_frozen(self, at, size)
    }

    fn unmap(
        mapping: types::FrozenMapping,
        at: &Placement,
        size: usize,
    ) -> Result<Self, (types::FrozenMapping, types::MapError)> {
        sys::unmap_frozen(mapping, at, size)
    }

    fn write_back(&self, _copy: &[u8]) {}
}

/// A handle to a frozen region, of which what is mapped can be written to.
#[derive(Debug)]
pub(crate) struct Private(pub(crate) types::Frozen);

impl Handle for Private {
    type Mapping = types::FrozenMapping;

    fn size(&self) -> u64 {
        self.0.size()
    }

    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read(&self, offset: u64, len: u32) -> Result<Vec<u8>, types::AccessError> {
        self.0.read(offset, len)
    }

    fn map(self, at: &Placement, size: usize) -> Result<types::FrozenMapping, (Self, types::MapError)> {
        sys::map_private(self.0, at, size).map_err(|(frozen, error)| (Self(frozen), error))
    }

    fn unmap(
        mapping: types::FrozenMapping,
        at: &Placement,
        size: usize,
    ) -> Result<Self, (types::FrozenMapping, types::MapError)> {
        sys::unmap_frozen(mapping, at, size).map(Self)
    }

    fn write_back(&self, _copy: &[u8]) {}
}

/// What is known of a region's size and length, in bytes. The owner alone changes them, and asking for one costs a call to
/// the host.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    pub(crate) size: Option<u64>,
    pub(crate) len: Option<u64>,
}

impl Known {
    /// What is known of a region that was allocated for `len` bytes.
    pub(crate) fn allocated(len: u64) -> Known {
        Known { size: len.checked_next_multiple_of(GRANULE), len: Some(len) }
    }

    /// What is known of the granules of the `size` bytes from `offset` on.
    pub(crate) fn part(self, offset: u64, size: u64) -> Known {
        let len = self.len.map(|len| size.min(len.saturating_sub(offset)));
        Known { size: size.checked_next_multiple_of(GRANULE), len }
    }

    /// What is known of the two parts that a region is split into.
    pub(crate) fn split(self, at: u64) -> (Known, Known) {
        let len = self.len.map(|len| len.saturating_sub(at));
        (self.part(0, at), Known { size: self.size.map(|size| size.saturating_sub(at)), len })
    }

    /// What is known of two regions that are joined.
    pub(crate) fn join(self, high: Known) -> Known {
        let size = self.size.zip(high.size).map(|(low, high)| low + high);
        let len = match high.len {
            Some(0) => self.len,
            len => self.size.zip(len).map(|(low, high)| low + high),
        };
        Known { size, len }
    }
}

/// A handle, and what is known of its region.
#[derive(Debug)]
pub(crate) struct Owned<H> {
    pub(crate) raw: H,
    known: Cell<Known>,
}

impl<H: Handle> Owned<H> {
    /// The same of another kind of handle.
    pub(crate) fn with<T: Handle>(self, kind: impl FnOnce(H) -> T) -> Owned<T> {
        Owned { raw: kind(self.raw), known: self.known }
    }

    pub(crate) fn new(raw: H, known: Known) -> Owned<H> {
        Owned { raw, known: Cell::new(known) }
    }

    pub(crate) fn known(&self) -> Known {
        self.known.get()
    }

    pub(crate) fn size(&self) -> u64 {
        let known = self.known.get();
        let size = known.size.unwrap_or_else(|| self.raw.size());
        self.known.set(Known { size: Some(size), ..known });
        size
    }

    pub(crate) fn len(&self) -> u64 {
        let known = self.known.get();
        let len = known.len.unwrap_or_else(|| self.raw.len());
        self.known.set(Known { len: Some(len), ..known });
        len
    }

    /// Notes that the length was set.
    pub(crate) fn note_len(&self, len: u64) {
        self.known.set(Known { len: Some(len), ..self.known.get() });
    }

    pub(crate) fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), RangeError> {
        let end = offset.checked_add(into.len() as u64);
        if end.is_none_or(|end| end > self.size()) {
            return Err(self.range_error(offset, into.len()));
        }
        read(&self.raw, offset, into)
    }

    pub(crate) fn range_error(&self, offset: u64, length: usize) -> RangeError {
        RangeError { offset, length: length as u64, size: self.size() }
    }
}

/// Copies bytes out of a region in pieces, since the host returns each piece as a vector. No piece is too long for a
/// host.
pub(crate) fn read<H: Handle>(raw: &H, offset: u64, into: &mut [u8]) -> Result<(), RangeError> {
    let mut at = offset;
    for chunk in into.chunks_mut(COPY_CHUNK_BYTES) {
        let bytes = raw.read(at, chunk.len() as u32).map_err(|_| RangeError {
            offset: at,
            length: chunk.len() as u64,
            size: raw.size(),
        })?;
        chunk.copy_from_slice(&bytes);
        at += bytes.len() as u64;
    }
    Ok(())
}
