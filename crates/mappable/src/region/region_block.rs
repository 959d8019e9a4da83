//! A region's bytes in the process's heap, for platforms on which no pages can be mapped.

use std::ops::{Deref, DerefMut};

/// The unit in which blocks are allocated, whose alignment is what a host's bytes have at the least.
type Unit = u128;

/// Bytes of the process's heap, aligned to 16.
#[derive(Debug)]
pub(super) struct RegionBlock(Box<[Unit]>);

impl RegionBlock {
    /// `len` bytes that read as zero. `None` if there is no memory for them.
    pub(super) fn new(len: u64) -> Option<Self> {
        // A whole number of units, for regions are whole granules.
        let units = usize::try_from(len).ok()? / size_of::<Unit>();
        bytemuck::allocation::try_zeroed_slice_box(units).ok().map(Self)
    }
}

impl Deref for RegionBlock {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

impl DerefMut for RegionBlock {
    fn deref_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.0)
    }
}
