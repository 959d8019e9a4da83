//! Allocations, and the parts of them that are owned.
//!
//! An allocation's granules lie apart from one another, so that a part gives its own back when it is dropped, however
//! long the others live. Every granule belongs to one [`Part`], and is there as long as that is.

use core::cell::RefCell;
use core::ops::Range;
use std::rc::Rc;

/// The size of a granule.
pub(crate) const GRANULE_BYTES: usize = 65_536;

/// What an allocation leaves of the memory: for the lists that later calls pass, and what keeps handles.
const HEADROOM_BYTES: usize = 4 << 20;

type Granule = Box<[u8]>;

/// The granules that one call of `allocate` or `copy` gave; `None` is one that was given back.
type Allocation = RefCell<Vec<Option<Granule>>>;

/// Some neighbouring granules of an allocation, in one owner's hands. Dropping it gives them back.
pub(crate) struct Part {
    allocation: Rc<Allocation>,
    /// In granules.
    range: Range<usize>,
}

impl Part {
    /// All of a new allocation, zeroed; `None` if there is no room.
    pub(crate) fn allocate(granules: usize) -> Option<Part> {
        granules.checked_mul(GRANULE_BYTES)?;
        let mut allocated = Vec::new();
        allocated.try_reserve_exact(granules).ok()?;
        for _ in 0..granules {
            allocated.push(Some(bytemuck::try_zeroed_slice_box(GRANULE_BYTES).ok()?));
        }
        Vec::<u8>::new().try_reserve_exact(HEADROOM_BYTES).ok()?;
        Some(Part { allocation: Rc::new(RefCell::new(allocated)), range: 0..granules })
    }

    pub(crate) fn granules(&self) -> usize {
        self.range.len()
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.granules() as u64 * GRANULE_BYTES as u64
    }

    /// The first `at` granules, and the rest. Neither is empty.
    pub(crate) fn split(self, at: usize) -> (Part, Part) {
        let middle = self.range.start + at;
        let (allocation, range) = self.into_inner();
        let low = Part { allocation: Rc::clone(&allocation), range: range.start..middle };
        (low, Part { allocation, range: middle..range.end })
    }

    /// Two parts as one, or both as they were: if they are not neighbours in this order.
    pub(crate) fn join(low: Part, high: Part) -> Result<Part, (Part, Part)> {
        if !Rc::ptr_eq(&low.allocation, &high.allocation) || low.range.end != high.range.start {
            return Err((low, high));
        }
        let (allocation, low) = low.into_inner();
        let (_, high) = high.into_inner();
        Ok(Part { allocation, range: low.start..high.end })
    }

    /// Gives back all granules but those of `kept`, counted from this part's first.
    pub(crate) fn narrow(mut self, kept: Range<usize>) -> Part {
        let whole = self.range.clone();
        let kept = whole.start + kept.start..whole.start + kept.end;
        self.give_back(whole.start..kept.start);
        self.give_back(kept.end..whole.end);
        self.range = kept;
        self
    }

    /// Fills `into` from byte `offset` on, all of it inside the part.
    pub(crate) fn read_at(&self, offset: u64, into: &mut [u8]) {
        let mut done = 0;
        self.pieces(offset, into.len(), |granule| {
            into[done..done + granule.len()].copy_from_slice(granule);
            done += granule.len();
        });
    }

    /// Writes `bytes` from byte `offset` on, all of them inside the part.
    pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) {
        let mut done = 0;
        self.pieces(offset, bytes.len(), |granule| {
            granule.copy_from_slice(&bytes[done..done + granule.len()]);
            done += granule.len();
        });
    }

    /// Calls `each` with what every granule has of `length` bytes from byte `offset` on.
    fn pieces(&self, offset: u64, length: usize, mut each: impl FnMut(&mut [u8])) {
        let granule_bytes = GRANULE_BYTES as u64;
        let mut granules = self.allocation.borrow_mut();
        let (mut index, mut start) = ((offset / granule_bytes) as usize, (offset % granule_bytes) as usize);
        let mut left = length;
        while left > 0 {
            let end = GRANULE_BYTES.min(start + left);
            let granule = granules[self.range.clone()][index].as_mut();
            each(&mut granule.expect("a part's granules are there")[start..end]);
            left -= end - start;
            (index, start) = (index + 1, 0);
        }
    }

    fn give_back(&self, range: Range<usize>) {
        self.allocation.borrow_mut()[range].fill_with(|| None);
    }

    /// What it is made of, with nothing given back.
    fn into_inner(mut self) -> (Rc<Allocation>, Range<usize>) {
        let range = core::mem::take(&mut self.range);
        (Rc::clone(&self.allocation), range)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.give_back(self.range.clone());
    }
}
