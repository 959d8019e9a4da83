//! References to frozen parts.

use core::ops::Range;
use std::rc::Rc;

use crate::allocation::{GRANULE_BYTES, Part};

/// A reference to a frozen part, or to a slice of it. The part is freed with its last reference.
pub(crate) struct Reference {
    whole: Rc<Part>,
    /// In granules of `whole`.
    range: Range<usize>,
    /// How many of those bytes count.
    length: u64,
}

impl Reference {
    /// Freezes a part, and returns the first reference to it.
    pub(crate) fn new(part: Part) -> Reference {
        let (range, length) = (0..part.granules(), part.length());
        Reference { whole: Rc::new(part), range, length }
    }

    /// Returns the whole part. This reference shows [`size_bytes`](Reference::size_bytes) from
    /// [`start_bytes`](Reference::start_bytes) on.
    pub(crate) fn whole(&self) -> &Part {
        &self.whole
    }

    pub(crate) fn start_bytes(&self) -> u64 {
        self.range.start as u64 * GRANULE_BYTES as u64
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.range.len() as u64 * GRANULE_BYTES as u64
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn another(&self) -> Reference {
        Reference { whole: Rc::clone(&self.whole), range: self.range.clone(), length: self.length }
    }

    /// Returns a reference to the granules of the `size` bytes from byte `offset` on, which are inside this reference. Of
    /// those bytes count as many as do here.
    pub(crate) fn slice_of(&self, offset: u64, size: u64) -> Reference {
        let granules = |bytes: u64| bytes.div_ceil(GRANULE_BYTES as u64) as usize;
        let start = self.range.start + granules(offset);
        let length = size.min(self.length.saturating_sub(offset));
        Reference { whole: Rc::clone(&self.whole), range: start..start + granules(size), length }
    }

    /// Returns the part, narrowed to what this reference shows, if this is the last reference.
    pub(crate) fn thaw(self) -> Result<Part, Reference> {
        let Reference { whole, range, length } = self;
        match Rc::try_unwrap(whole) {
            Ok(part) => {
                let part = part.narrow(range);
                part.set_length(length);
                Ok(part)
            }
            Err(whole) => Err(Reference { whole, range, length }),
        }
    }

    /// Returns a new allocation with the same bytes, or `None` if there is no memory.
    pub(crate) fn copied(&self) -> Option<Part> {
        let copy = Part::allocate(self.size_bytes())?;
        copy.set_length(self.length);
        let mut granule = vec![0; GRANULE_BYTES];
        for offset in (0..self.size_bytes()).step_by(GRANULE_BYTES) {
            self.whole.read_at(self.start_bytes() + offset, &mut granule);
            copy.write_at(offset, &granule);
        }
        Some(copy)
    }
}
