//! The records of regions and of memories.

use std::ops::Range;

use super::Ledger;
use super::layout::{
    MAX_MEMORIES, MAX_REGIONS, MEMORIES, MEMORY, MEMORY_FROZEN_END, MEMORY_FROZEN_START, MEMORY_GENERATION,
    MEMORY_SELECTOR, MEMORY_VERSION, NO_SOURCE, REGION, REGION_AT, REGION_GRANULES, REGION_LEN, REGION_MEMORY,
    REGION_SOURCE, REGIONS, TABLE, TABLE_AIM, TABLES,
};

/// What trusted modules know of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    /// What its bytes are told by: the words at `REGION_SOURCE` and `REGION_GRANULES`. `None` where it is not mapped without
    /// the host.
    pub(crate) source: Option<(u32, u32)>,
    /// Where it is mapped: offset of the memory's record, and in the memory. The former may be no memory's.
    pub(crate) mapped: Option<(u32, u32)>,
}

impl Ledger {
    /// Whether a region of that number can be written down.
    pub(crate) fn has_region(number: usize) -> bool {
        number < MAX_REGIONS as usize
    }

    /// What is written down about a region. `None` for a number that there is no record for.
    pub(crate) fn region(&self, number: u32) -> Option<Region> {
        let at = region_at(number)?;
        let [source, granules, memory, offset] =
            [REGION_SOURCE, REGION_GRANULES, REGION_MEMORY, REGION_AT].map(|word| self.words.get(at + word));
        Some(Region {
            source: (source != NO_SOURCE).then_some((source, granules)),
            mapped: (memory != 0).then_some((memory, offset)),
        })
    }

    /// Writes down a region. How long the placement is stays.
    pub(crate) fn set_region(&self, number: u32, region: &Region) {
        let Some(at) = region_at(number) else { return };
        let (source, granules) = region.source.unwrap_or((NO_SOURCE, 0));
        let (memory, offset) = region.mapped.unwrap_or((0, 0));
        for (word, value) in
            [(REGION_SOURCE, source), (REGION_GRANULES, granules), (REGION_MEMORY, memory), (REGION_AT, offset)]
        {
            self.words.set(at + word, value);
        }
    }

    /// Writes down how long a region's placement is.
    pub(crate) fn set_placement(&self, number: u32, len: u32) {
        if let Some(at) = region_at(number) {
            self.words.set(at + REGION_LEN, len);
        }
    }

    /// Which view is current in a memory's memory: 0, or the number of one that the host has offered.
    pub(crate) fn selector(&self, memory: MemoryNumber) -> u32 {
        self.words.get(memory.record() + MEMORY_SELECTOR)
    }

    /// Makes another view current, or the host's own choice. That may be another one than it was when it was current
    /// last, though the selector is the same: so a window that was refreshed with it is to be refreshed again.
    pub(crate) fn select(&self, memory: MemoryNumber, selector: u32) {
        self.words.set(memory.record() + MEMORY_SELECTOR, selector);
        self.advance_version(memory);
    }

    /// Notes that a memory's base or size is another one.
    pub(crate) fn advance_version(&self, memory: MemoryNumber) {
        self.words.advance(memory.record() + MEMORY_VERSION);
    }

    /// Invalidates what is cached of a memory's transitions.
    pub(crate) fn advance_generation(&self, memory: MemoryNumber) {
        self.words.advance(memory.record() + MEMORY_GENERATION);
    }

    /// Notes that a view of the memory that can be selected shows frozen bytes within these granules.
    pub(crate) fn note_frozen(&self, memory: MemoryNumber, granules: Range<u32>) {
        let [start, end] = [MEMORY_FROZEN_START, MEMORY_FROZEN_END].map(|word| memory.record() + word);
        if self.words.get(end) == 0 || granules.start < self.words.get(start) {
            self.words.set(start, granules.start);
        }
        self.words.set(end, self.words.get(end).max(granules.end));
    }

    /// The memory that the window of a component instance is to show, if it is one.
    pub(crate) fn aim(&self, table: u32) -> Option<MemoryNumber> {
        MemoryNumber::new(self.words.get(TABLES + TABLE * table + TABLE_AIM))
    }
}

fn region_at(number: u32) -> Option<u32> {
    (number < MAX_REGIONS).then(|| REGIONS + REGION * number)
}

/// The number of a memory: of a guest's memory, as trusted modules know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryNumber(u32);

impl MemoryNumber {
    /// `None` for 0, which is nobody's, and for one that there is no record for.
    pub(crate) fn new(number: u32) -> Option<Self> {
        (0 < number && number < MAX_MEMORIES).then_some(Self(number))
    }

    /// That of the memory with that index.
    pub(crate) fn of_index(index: usize) -> Option<Self> {
        Self::new(u32::try_from(index).ok()?.checked_add(1)?)
    }

    /// The one whose record is there.
    pub(crate) fn of_record(offset: u32) -> Option<Self> {
        let number = offset.checked_sub(MEMORIES)?;
        number.is_multiple_of(MEMORY).then(|| Self::new(number / MEMORY))?
    }

    pub(crate) fn get(self) -> u32 {
        self.0
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize - 1
    }

    /// Where its record is in the ledger.
    pub(crate) fn record(self) -> u32 {
        MEMORIES + MEMORY * self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_have_the_records_of_their_numbers() {
        let numbers = [0, 1, MAX_MEMORIES - 1, MAX_MEMORIES, u32::MAX]
            .map(|number| MemoryNumber::new(number).map(MemoryNumber::get));
        assert_eq!(numbers, [None, Some(1), Some(MAX_MEMORIES - 1), None, None]);
        for index in [0, 1, MAX_MEMORIES as usize - 2] {
            let memory = MemoryNumber::of_index(index).unwrap();
            assert_eq!((memory.index(), MemoryNumber::of_record(memory.record())), (index, Some(memory)));
        }
        assert_eq!(MemoryNumber::of_index(MAX_MEMORIES as usize - 1), None);
        for offset in [0, MEMORIES - MEMORY, MEMORIES, MEMORIES + MEMORY + 4, MEMORIES + MEMORY * MAX_MEMORIES] {
            assert_eq!(MemoryNumber::of_record(offset), None, "at {offset:#x}");
        }
    }

    #[test]
    fn a_region_is_read_as_it_was_written() {
        let ledger = Ledger::for_tests();
        let all = [
            Region { source: Some((3, 4)), mapped: Some((MEMORIES + MEMORY, 0x2_0000)) },
            Region { source: None, mapped: None },
            Region { source: Some((0, 1)), mapped: None },
        ];
        for (number, region) in [0, 7, MAX_REGIONS - 1].into_iter().zip(&all) {
            ledger.set_region(number, region);
        }
        for (number, region) in [0, 7, MAX_REGIONS - 1].into_iter().zip(all) {
            assert_eq!(ledger.region(number), Some(region));
        }
        assert_eq!(ledger.region(MAX_REGIONS), None);
    }

    #[test]
    fn a_selector_that_the_host_sets_again_is_another_state() {
        let ledger = Ledger::for_tests();
        let memory = MemoryNumber::new(1).unwrap();
        let version = || ledger.words.get(memory.record() + MEMORY_VERSION);
        let before = version();
        ledger.select(memory, 0);
        assert_ne!(version(), before);
        let before = version();
        ledger.select(memory, 0);
        assert_ne!(version(), before);
    }
}
