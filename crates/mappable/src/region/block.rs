//! A linear memory in a block of the process's heap, for platforms on which no pages can be mapped. The base moves when
//! it grows; there is no guard, so the engine checks every access.
//!
//! # Safety
//!
//! A [`Block`] owns the bytes that its pointer is to, and gives no reference to them: compiled code and
//! [`Memory`](crate::view::Memory) access them through the pointer.

#![allow(unsafe_code)]

use std::io;
use std::ptr::{self, NonNull};

use super::GRANULE;

/// Bytes that only raw pointers are to.
#[derive(Debug)]
pub(crate) struct Block {
    /// From `Box::into_raw` of as many bytes as it has, of which this is the owner.
    bytes: NonNull<[u8]>,
}

// SAFETY: an owner of plain bytes, as `Box<[u8]>` is.
unsafe impl Send for Block {}
// SAFETY: a shared reference gives nothing but an address and a length.
unsafe impl Sync for Block {}

impl Block {
    /// `len` bytes that read as zero, one granule at the least.
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        let len = len.max(GRANULE as usize);
        let bytes = bytemuck::allocation::try_zeroed_slice_box(len).map_err(|()| io::ErrorKind::OutOfMemory)?;
        Ok(Self { bytes: NonNull::from(Box::leak(bytes)) })
    }

    /// `most` bytes that read as zero, or as many as can be had, but no fewer than `least`.
    pub(crate) fn roomy(least: usize, most: usize) -> io::Result<Self> {
        let mut len = most.max(least);
        loop {
            match Self::new(len) {
                Err(_) if len > least => len = (len / 2).max(least),
                block => return block,
            }
        }
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.bytes.cast()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// A block of at least `len` bytes that begins with the first `used` of this one. Grows by half, so that a memory
    /// that grows page by page is not copied each time.
    pub(crate) fn grown(&self, len: usize, used: usize) -> io::Result<Self> {
        let roomy = len.max(self.len() + self.len() / 2);
        let new = Self::new(roomy).or_else(|_| Self::new(len))?;
        let used = used.min(self.len()).min(new.len());
        // SAFETY: both have at least `used` bytes, and are different allocations. Nothing writes to them meanwhile: the
        // one is new, and the memory of the other is growing, so that its instance waits.
        unsafe { ptr::copy_nonoverlapping(self.base().as_ptr(), new.base().as_ptr(), used) };
        Ok(new)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the pointer is that of a box which was leaked to it, and this is its owner's last use.
        drop(unsafe { Box::from_raw(self.bytes.as_ptr()) });
    }
}
