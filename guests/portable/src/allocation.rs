//! Allocations, and the parts that they are owned in.
//!
//! Each granule of an allocation is allocated on its own, so that a part can free its granules when it is dropped,
//! while other parts live on. Every granule belongs to one [`Part`], and lives as long as that part.

use core::cell::{Cell, RefCell};
use core::ops::Range;
use std::rc::Rc;

/// The size of a granule.
pub(crate) const GRANULE_BYTES: usize = 65_536;

/// How much memory an allocation leaves free, for the lists of later calls and for the tables of handles.
const HEADROOM_BYTES: usize = 4 << 20;

type Granule = Box<[u8]>;

/// The granules of one call of `allocate` or `copy`. `None` is a granule that was freed.
type Allocation = RefCell<Vec<Option<Granule>>>;

/// Neighbouring granules of an allocation that have one owner. Dropping the part frees them.
pub(crate) struct Part {
    allocation: Rc<Allocation>,
    /// In granules.
    range: Range<usize>,
    /// How many of its bytes count; at most its size.
    length: Cell<u64>,
}

impl Part {
    /// Returns a part that is all of a new, zeroed allocation, or `None` if there is no memory.
    pub(crate) fn allocate(length: u64) -> Option<Part> {
        let granules = usize::try_from(length.div_ceil(GRANULE_BYTES as u64)).ok()?;
        granules.checked_mul(GRANULE_BYTES)?;
        let mut allocated = Vec::new();
        allocated.try_reserve_exact(granules).ok()?;
        for _ in 0..granules {
            allocated.push(Some(bytemuck::try_zeroed_slice_box(GRANULE_BYTES).ok()?));
        }
        Vec::<u8>::new().try_reserve_exact(HEADROOM_BYTES).ok()?;
        let allocation = Rc::new(RefCell::new(allocated));
        Some(Part { allocation, range: 0..granules, length: Cell::new(length) })
    }

    pub(crate) fn granules(&self) -> usize {
        self.range.len()
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.granules() as u64 * GRANULE_BYTES as u64
    }

    pub(crate) fn length(&self) -> u64 {
        self.length.get()
    }

    /// Sets how many of the bytes count; at most the size.
    pub(crate) fn set_length(&self, length: u64) {
        self.length.set(length);
    }

    /// Splits the part into its first `at` granules and the rest. Neither is empty.
    pub(crate) fn split(self, at: usize) -> (Part, Part) {
        let middle = self.range.start + at;
        let in_low = self.length().min(at as u64 * GRANULE_BYTES as u64);
        let in_high = self.length() - in_low;
        let (allocation, range) = self.into_inner();
        let low = Part { allocation: Rc::clone(&allocation), range: range.start..middle, length: Cell::new(in_low) };
        (low, Part { allocation, range: middle..range.end, length: Cell::new(in_high) })
    }

    /// Joins two parts. The length ends with the last byte that counts. Returns both as they were if they are not
    /// neighbours in this order.
    pub(crate) fn join(low: Part, high: Part) -> Result<Part, (Part, Part)> {
        if !Rc::ptr_eq(&low.allocation, &high.allocation) || low.range.end != high.range.start {
            return Err((low, high));
        }
        let length = if high.length() > 0 { low.size_bytes() + high.length() } else { low.length() };
        let (allocation, low) = low.into_inner();
        let (_, high) = high.into_inner();
        Ok(Part { allocation, range: low.start..high.end, length: Cell::new(length) })
    }

    /// Frees all granules except those of `kept`, counted from this part's first.
    pub(crate) fn narrow(mut self, kept: Range<usize>) -> Part {
        let whole = self.range.clone();
        let kept = whole.start + kept.start..whole.start + kept.end;
        self.give_back(whole.start..kept.start);
        self.give_back(kept.end..whole.end);
        self.range = kept;
        self
    }

    /// Reads from byte `offset` on, until `into` is full. The range is inside the part.
    pub(crate) fn read_at(&self, offset: u64, into: &mut [u8]) {
        let mut done = 0;
        self.pieces(offset, into.len(), |granule| {
            into[done..done + granule.len()].copy_from_slice(granule);
            done += granule.len();
        });
    }

    /// Writes `bytes` from byte `offset` on. The range is inside the part.
    pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) {
        let mut done = 0;
        self.pieces(offset, bytes.len(), |granule| {
            granule.copy_from_slice(&bytes[done..done + granule.len()]);
            done += granule.len();
        });
    }

    /// Calls `each` for every granule that the `length` bytes from `offset` on touch, with its part of them.
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

    /// Takes the part apart without freeing its granules.
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
