//! Parts of regions: where one may be cut, cutting it in two, and joining neighbours.

use std::mem;
use std::ops::Range;

use super::{GRANULE, JoinFailed, Mappable, PartError, SplitFailed};

impl Mappable {
    /// Splits the region into its first `at` bytes and the rest: two regions, each owned, mapped, frozen, handed over
    /// and freed on its own. `at` is a multiple of [`GRANULE`] inside the region. Each part's length is how many of its bytes
    /// counted in the whole. Where the platform can map, there is no system call, and the host goes on seeing the bytes where
    /// it has seen them.
    ///
    /// # Errors
    ///
    /// [`SplitFailed`], which gives the region back.
    #[allow(clippy::result_large_err, reason = "the region comes back, without an allocation that could fail")]
    pub fn split(mut self, at: u64) -> Result<(Self, Self), SplitFailed> {
        if let Err(reason) = self.check_split(at) {
            return Err(SplitFailed { region: self, reason });
        }
        match self.extent.split_off(at) {
            Some(high) => {
                let (window, pages) = (self.window.take(), mem::take(&mut self.pages));
                self.become_another();
                let len = self.len.saturating_sub(at);
                self.len -= len;
                let mut high = Self::of(high, len);
                for Range { start, end } in pages {
                    self.pages.extend((start < at).then(|| start..end.min(at)));
                    high.pages.extend((end > at).then(|| start.max(at) - at..end - at));
                }
                // The host sees the parts where it saw the whole.
                if let Some(mut low) = window
                    && let Some(rest) = usize::try_from(at).ok().and_then(|at| low.split_off(at).ok())
                {
                    (self.window, high.window) = (low.into(), rest.into());
                }
                Ok((self, high))
            }
            None => Err(SplitFailed { region: self, reason: PartError::RegionsExhausted }),
        }
    }

    /// Whether `at` is where the region can be split.
    pub(crate) fn check_split(&self, at: u64) -> Result<(), PartError> {
        if !at.is_multiple_of(GRANULE) {
            return Err(PartError::Misaligned);
        }
        if at == 0 || at >= self.size() { Err(PartError::OutsideRegion) } else { Ok(()) }
    }

    /// Joins two regions into one: this one's bytes, then `high`'s. They must be neighbours in one allocation, as
    /// [`Mappable::split`] leaves them. The length ends where the last byte that counts does: in `high`, unless `high`
    /// [is empty](Mappable::is_empty). Where the platform can map, the cost does not depend on the size; parts that the host sees
    /// side by side, as it does after a split, it goes on seeing so.
    ///
    /// # Errors
    ///
    /// [`JoinFailed`], which gives both back.
    #[allow(clippy::result_large_err, reason = "two regions come back, without an allocation that could fail")]
    pub fn join(mut self, mut high: Self) -> Result<Self, JoinFailed> {
        let low_size = self.size();
        match self.extent.append(high.extent.take()) {
            Ok(()) => {
                let windows = self.window.take().zip(high.window.take());
                let mut pages = mem::take(&mut self.pages);
                for Range { start, end } in high.pages.drain(..) {
                    let run = start + low_size..end + low_size;
                    match pages.last_mut().filter(|last| last.end == run.start) {
                        Some(last) => last.end = run.end,
                        None => pages.push(run),
                    }
                }
                self.become_another();
                self.pages = pages;
                if let Some((mut low, high)) = windows
                    && low.append(high).is_ok()
                {
                    self.window = low.into();
                }
                if high.len > 0 {
                    self.len = low_size + high.len;
                }
                Ok(self)
            }
            Err(extent) => {
                high.extent = extent;
                Err(JoinFailed { low: self, high })
            }
        }
    }

    /// Drops all but the `size` bytes at `offset`, of which `len` count. If that can't be, drops less.
    pub(super) fn keep_part(&mut self, offset: u64, size: u64, len: u64) {
        if offset + size < self.size()
            && let Some(high) = self.extent.split_off(offset + size)
        {
            self.become_another();
            drop(Self::of(high, 0));
        }
        if offset > 0
            && let Some(high) = self.extent.split_off(offset)
        {
            self.become_another();
            drop(mem::replace(self, Self::of(high, 0)));
        }
        self.len = len.min(self.size());
    }
}

/// Whether a slice can be taken of the `len` bytes at `offset` of a region of `size` bytes.
pub(crate) fn check_slice(size: u64, offset: u64, len: u64) -> Result<(), PartError> {
    if !offset.is_multiple_of(GRANULE) {
        return Err(PartError::Misaligned);
    }
    if len == 0 || offset.checked_add(len).is_none_or(|end| end > size) {
        return Err(PartError::OutsideRegion);
    }
    Ok(())
}
