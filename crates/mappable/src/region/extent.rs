//! Parts of the backing that are in use: each belongs to one value, reads and writes without a view, and is cut and put
//! together again.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::GRANULE;
use super::backing::{Backing, FileId, RecycledRange, Source};
use super::ranges::FileRange;
use super::region_block::RegionBlock;
use super::shared_file::SharedFile;
use crate::sys::HUGE_PAGE;
use crate::tuning::MAX_WRITTEN;

/// What ranges are written over with, and compared with.
pub(crate) static ZEROES: [u8; 32 << 10] = [0; 32 << 10];

/// What one `allocate` gave: only its parts can be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AllocationId(pub(super) u64);

/// Which bytes an extent is. Those of another allocation are others, also where they lie in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExtentId(AllocationId, Source);

/// A part of the backing that belongs to this value. On drop its memory is freed.
#[derive(Debug)]
pub(crate) struct Extent {
    backing: Arc<Backing>,
    allocation: AllocationId,
    range: FileRange,
    /// The bytes, as many as the range has, where the backing is no file.
    block: Option<RegionBlock>,
    /// The file that the range is of, where that is not the backing's own.
    file: Option<Arc<SharedFile>>,
}

impl Extent {
    pub(super) fn new(
        backing: &Arc<Backing>,
        allocation: AllocationId,
        range: FileRange,
        block: Option<RegionBlock>,
    ) -> Self {
        Self { backing: Arc::clone(backing), allocation, range, block, file: None }
    }

    /// All of a file, which no other extent has.
    #[cfg(all(target_os = "linux", target_pointer_width = "64", not(mappable_no_mapping)))]
    pub(super) fn of_file(file: Arc<SharedFile>) -> Self {
        let backing = Arc::clone(file.backing());
        let (allocation, range) = (AllocationId(backing.next()), file.range());
        Self { backing, allocation, range, block: None, file: Some(file) }
    }

    /// The file of which this is all, if it has one to itself.
    pub(crate) fn whole_file(&self) -> Option<&Arc<SharedFile>> {
        self.file.as_ref().filter(|file| file.range() == self.range)
    }

    /// Whether the bytes are in a file that another process may have.
    pub(super) fn is_in_shared_file(&self) -> bool {
        self.file.is_some()
    }

    /// Whether a process may read it of which nobody will say that it is done.
    pub(super) fn is_read_elsewhere(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.is_read_elsewhere())
    }

    fn file_id(&self) -> FileId {
        self.file.as_ref().map_or(FileId::OWN, |file| file.id())
    }

    #[inline]
    pub(crate) fn range(&self) -> FileRange {
        self.range
    }

    #[inline]
    pub(crate) fn source(&self) -> Source {
        Source { file: self.file_id(), range: self.range }
    }

    #[cfg_attr(not(feature = "workers"), expect(dead_code))]
    pub(crate) fn id(&self) -> ExtentId {
        ExtentId(self.allocation, self.source())
    }

    pub(crate) fn backing(&self) -> &Arc<Backing> {
        &self.backing
    }

    /// Whether this was taken from `backing`.
    pub(crate) fn is_in(&self, backing: &Arc<Backing>) -> bool {
        Arc::ptr_eq(&self.backing, backing)
    }

    /// The bytes, where the backing is no file.
    pub(crate) fn block(&self) -> Option<&[u8]> {
        self.block.as_deref()
    }

    pub(crate) fn block_mut(&mut self) -> Option<&mut [u8]> {
        self.block.as_deref_mut()
    }

    /// Copies bytes out, from `offset`, without a view of them.
    pub(crate) fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let (start, offset) = self.inside(offset, into.len())?;
        match &self.block {
            None => self.backing.with_file(self.file_id(), |file| file.read(start, into)),
            Some(block) => {
                into.copy_from_slice(&block[offset..offset + into.len()]);
                Ok(())
            }
        }
    }

    /// Copies bytes in, at `offset`, without a view of them.
    pub(crate) fn write(&mut self, offset: u64, from: &[u8]) -> io::Result<()> {
        let (start, offset) = self.inside(offset, from.len())?;
        match &mut self.block {
            None => self.backing.with_file(self.file_id(), |file| file.write(start, from)),
            Some(block) => {
                block[offset..offset + from.len()].copy_from_slice(from);
                Ok(())
            }
        }
    }

    /// Where in a range there is memory first: all before that reads as zero and takes none. `None` if all of it does. Not
    /// of a block.
    pub(crate) fn data(&self, within: Range<u64>) -> io::Result<Option<u64>> {
        let inside = self.part(within)?;
        let found = self.backing.with_file(self.file_id(), |file| file.data(inside))?;
        Ok(found.map(|start| start - self.range.start()))
    }

    /// How far there is memory in a range that begins with some. Not of a block.
    pub(crate) fn hole(&self, within: Range<u64>) -> io::Result<u64> {
        let inside = self.part(within)?;
        Ok(self.backing.with_file(self.file_id(), |file| file.hole(inside))? - self.range.start())
    }

    /// Writes zeroes over a range. Not of a block.
    pub(crate) fn write_zeroes(&self, within: Range<u64>) -> io::Result<()> {
        let Range { start, end } = self.part(within)?;
        self.backing.with_file(self.file_id(), |file| {
            let mut parts = (start..end).step_by(ZEROES.len());
            parts.try_for_each(|at| file.write(at, &ZEROES[..ZEROES.len().min((end - at) as usize)]))
        })
    }

    /// Frees the memory of a range of whole pages, which reads as zero from then on. Not of a block.
    pub(crate) fn punch(&self, within: Range<u64>) -> io::Result<()> {
        let inside = self.part(within)?;
        self.backing.with_file(self.file_id(), |file| file.punch(inside.start, inside.end - inside.start))
    }

    /// Where a range of it lies in the file.
    fn part(&self, within: Range<u64>) -> io::Result<Range<u64>> {
        if within.start >= within.end || within.end > self.range.len() {
            return Err(io::Error::other("bug: bytes past the end of an extent"));
        }
        Ok(self.range.start() + within.start..self.range.start() + within.end)
    }

    /// Where `len` bytes at `offset` lie in the file, and in the block.
    fn inside(&self, offset: u64, len: usize) -> io::Result<(u64, usize)> {
        if offset.checked_add(len as u64).is_none_or(|end| end > self.range.len()) {
            return Err(io::Error::other("bug: bytes past the end of an extent"));
        }
        Ok((self.range.start() + offset, usize::try_from(offset).map_err(io::Error::other)?))
    }

    /// Keeps the first `at` bytes and gives the rest. `None`, and all is as it was, if one of them would be no range, or
    /// there is no memory for their blocks.
    pub(crate) fn split_off(&mut self, at: u64) -> Option<Extent> {
        let (low, high) = self.range.split(at)?;
        let mut block_high = None;
        if let Some(all) = &self.block {
            let (first, rest) = all.split_at(usize::try_from(at).ok()?);
            let [mut low, mut high] = [RegionBlock::new(low.len())?, RegionBlock::new(high.len())?];
            low.copy_from_slice(first);
            high.copy_from_slice(rest);
            (self.block, block_high) = (Some(low), Some(high));
        }
        self.range = low;
        let (backing, file) = (Arc::clone(&self.backing), self.file.clone());
        Some(Extent { backing, allocation: self.allocation, range: high, block: block_high, file })
    }

    /// Takes in `high`, which must be the neighbour in the same allocation, or is given back (as it is when there is no
    /// memory for a block of both).
    pub(crate) fn append(&mut self, mut high: Extent) -> Result<(), Extent> {
        let siblings = Arc::ptr_eq(&self.backing, &high.backing) && self.allocation == high.allocation;
        let Some(range) = self.range.joined(high.range).filter(|_| siblings) else { return Err(high) };
        if let (Some(first), Some(rest)) = (&self.block, &high.block) {
            let Some(mut both) = RegionBlock::new(range.len()) else { return Err(high) };
            let (low, high) = both.split_at_mut(first.len());
            low.copy_from_slice(first);
            high.copy_from_slice(rest);
            self.block = Some(both);
        }
        self.range = range;
        high.disown();
        Ok(())
    }

    /// All of it, as another value. What is left is an extent of nothing.
    pub(crate) fn take(&mut self) -> Self {
        let taken = std::mem::take(&mut self.range);
        let (backing, file) = (Arc::clone(&self.backing), self.file.clone());
        Self { backing, allocation: self.allocation, range: taken, block: self.block.take(), file }
    }

    /// Whether the range is one that can be kept for another region, and that is quickly written over: through a window, or
    /// else by system calls, which for more than [`MAX_WRITTEN`] bytes take longer than freeing them. Of those that are
    /// aligned for huge pages, that other region would be, too.
    pub(super) fn may_be_idle(&self, has_window: bool) -> bool {
        let len = self.range.len();
        let is_aligned = len < HUGE_PAGE || self.range.start().is_multiple_of(HUGE_PAGE);
        let is_quick = has_window || len <= MAX_WRITTEN;
        len > 0 && self.block.is_none() && self.file.is_none() && is_aligned && is_quick && self.backing.may_keep(len)
    }

    /// Keeps the range for another region.
    pub(super) fn keep_idle(&mut self, left: RecycledRange) {
        self.backing.keep(std::mem::take(&mut self.range), left);
    }

    /// Gives up the range without freeing it, for who has it now.
    pub(super) fn disown(&mut self) {
        self.range = FileRange::default();
    }
}

impl Drop for Extent {
    fn drop(&mut self) {
        if self.range == FileRange::default() {
            return;
        }
        match &self.file {
            Some(file) => file.free(self.range),
            None => self.backing.free(self.range),
        }
    }
}

/// Copies `size` bytes, whole granules, to where all reads as zero.
pub(super) fn copy_granules(
    size: u64,
    read: impl Fn(u64, &mut [u8]) -> io::Result<()>,
    mut write: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut granule = vec![0; GRANULE as usize];
    for offset in (0..size).step_by(granule.len()) {
        read(offset, &mut granule)?;
        if granule.iter().any(|&byte| byte != 0) {
            write(offset, &granule)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::region::{GRANULE, HugePages};

    /// Reads the first byte of an extent, then writes `byte` to it.
    fn swap_first_byte(extent: &mut Extent, byte: u8) -> u8 {
        let mut found = [0];
        extent.read(0, &mut found).unwrap();
        extent.write(0, &[byte]).unwrap();
        found[0]
    }

    fn backings() -> [Arc<Backing>; 2] {
        [Backing::in_file(HugePages::default(), 0).unwrap(), Backing::in_blocks()]
    }

    #[test]
    fn a_range_that_is_reused_reads_as_zero() {
        for backing in backings() {
            let mut first = backing.take(GRANULE).unwrap();
            let range = first.range();
            assert_eq!(swap_first_byte(&mut first, 0xa5), 0);
            assert_eq!(swap_first_byte(&mut first, 0xa5), 0xa5);
            drop(first);
            let mut second = backing.take(GRANULE).unwrap();
            assert_eq!(second.range(), range, "the test means to see the same range again");
            assert_eq!(swap_first_byte(&mut second, 0), 0);
        }
    }

    #[test]
    fn parts_keep_their_bytes_and_only_siblings_are_joined() {
        for backing in backings() {
            let mut low = backing.take(3 * GRANULE).unwrap();
            let stranger = backing.take(GRANULE).unwrap();
            for granule in 0..3 {
                low.write(granule * GRANULE, &[granule as u8 + 1]).unwrap();
            }
            assert!(low.split_off(3 * GRANULE).is_none() && low.split_off(0).is_none() && low.split_off(1).is_none());
            let mut high = low.split_off(GRANULE).unwrap();
            assert_eq!((swap_first_byte(&mut low, 7), swap_first_byte(&mut high, 8)), (1, 2));
            // The stranger's range follows, but it is of another allocation.
            assert_eq!(high.range().end(), stranger.range().start());
            let stranger = high.append(stranger).unwrap_err();
            let low = high.append(low).unwrap_err();
            drop(stranger);
            let mut low = low;
            low.append(high).unwrap();
            let mut bytes = vec![0; 3 * GRANULE as usize];
            low.read(0, &mut bytes).unwrap();
            assert_eq!([0, 1, 2].map(|granule| bytes[granule * GRANULE as usize]), [7, 8, 3]);
        }
    }

    /// How many bytes of memory an extent takes.
    fn taken(extent: &Extent) -> u64 {
        let end = extent.range().len();
        let (mut at, mut taken) = (0, 0);
        while at < end
            && let Some(start) = extent.data(at..end).unwrap()
        {
            at = extent.hole(start..end).unwrap();
            taken += at - start;
        }
        taken
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn what_is_punched_reads_as_zero_and_takes_no_memory(
            pages in prop::collection::btree_set(0u64..64, 0..48),
            freed in (0u64..64, 0u64..64),
        ) {
            const PAGE: u64 = 4096;
            let backing = Backing::in_file(HugePages::default(), 0).unwrap();
            let [mut before, mut extent, mut after] = [(); 3].map(|()| backing.take(4 * GRANULE).unwrap());
            for neighbour in [&mut before, &mut after] {
                neighbour.write(0, &[7; 4 * GRANULE as usize]).unwrap();
            }
            for page in &pages {
                extent.write(page * PAGE + 9, &[0xa5]).unwrap();
            }
            prop_assert_eq!(taken(&extent), pages.len() as u64 * PAGE);
            let freed = freed.0.min(freed.1)..freed.0.max(freed.1) + 1;
            extent.punch(freed.start * PAGE..freed.end * PAGE).unwrap();
            let stay = || pages.iter().filter(|page| !freed.contains(page));
            prop_assert_eq!(taken(&extent), stay().count() as u64 * PAGE);
            let mut bytes = vec![1; 4 * GRANULE as usize];
            extent.read(0, &mut bytes).unwrap();
            let written = stay().map(|page| (page * PAGE + 9) as usize).collect::<Vec<_>>();
            let expected = |at: &usize| if written.contains(at) { 0xa5 } else { 0 };
            prop_assert!((0..bytes.len()).all(|at| bytes[at] == expected(&at)));
            for neighbour in [&before, &after] {
                neighbour.read(0, &mut bytes).unwrap();
                prop_assert!(bytes.iter().all(|&byte| byte == 7), "a neighbour lost bytes");
            }
        }
    }

    #[test]
    fn what_takes_long_to_write_over_is_not_kept() {
        let backing = Backing::in_file(HugePages::default(), 512 * GRANULE).unwrap();
        for (granules, without, with) in [(1, true, true), (64, true, true), (65, false, true), (256, false, true)] {
            let extent = backing.take(granules * GRANULE).unwrap();
            assert_eq!((extent.may_be_idle(false), extent.may_be_idle(true)), (without, with), "{granules}");
        }
        assert!(!backing.take(257 * GRANULE).unwrap().may_be_idle(true), "more than half of what is kept");
        assert!(!Backing::in_blocks().take(GRANULE).unwrap().may_be_idle(true));
    }

    #[test]
    fn bytes_past_the_end_are_refused() {
        for backing in backings() {
            let mut extent = backing.take(GRANULE).unwrap();
            for offset in [GRANULE, GRANULE - 1, u64::MAX] {
                assert!(extent.read(offset, &mut [0; 2]).is_err());
                assert!(extent.write(offset, &[0; 2]).is_err());
                assert!(extent.data(offset..offset.saturating_add(2)).is_err());
                assert!(extent.punch(offset..offset.saturating_add(2)).is_err());
            }
        }
    }
}
