//! A cache that leads from an address that a guest named to the memory that the address is in.
//!
//! It may be wrong: the caller checks what it returns against the memory itself.

/// An index into a context's memories.
pub(super) type MemoryId = usize;

/// A range of addresses that a memory was seen in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    base: usize,
    end: usize,
    memory: MemoryId,
}

/// How far apart two views begin at the least, as a power of two: about what is reserved for each.
const APART: u32 = 32;
/// How many entries are remembered.
const RECENT: usize = 64;

pub(super) struct Addresses {
    /// In order. No two overlap.
    seen: Vec<Seen>,
    /// What was found last of addresses that have the same low bits above [`APART`]: what to try first.
    recent: [MemoryId; RECENT],
}

impl Default for Addresses {
    fn default() -> Self {
        Self { seen: vec![], recent: [0; RECENT] }
    }
}

impl Addresses {
    /// A guess at the memory around `address`.
    #[inline]
    pub(super) fn guess(&self, address: usize) -> MemoryId {
        self.recent[(address >> APART) % RECENT]
    }

    /// The memory that was seen around `address`, if that was noted. It is guessed from here on.
    pub(super) fn find(&mut self, address: usize) -> Option<MemoryId> {
        let found = self.seen.partition_point(|seen| seen.base <= address).checked_sub(1)?;
        let memory = self.seen.get(found).filter(|seen| address < seen.end)?.memory;
        self.recent[(address >> APART) % RECENT] = memory;
        Some(memory)
    }

    /// Notes that a memory is seen in the `span` bytes from `base`. What was noted there before is gone.
    pub(super) fn note(&mut self, base: usize, span: usize, memory: MemoryId) {
        let end = base.saturating_add(span);
        let from = self.seen.partition_point(|other| other.end <= base);
        let to = self.seen.partition_point(|other| other.base < end).max(from);
        self.seen.splice(from..to, [Seen { base, end, memory }]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_to_the_memory_around_it() {
        let mut addresses = Addresses::default();
        for (base, span, memory) in [(50, 10, 0), (10, 5, 1), (90, 10, 2)] {
            addresses.note(base, span, memory);
        }
        for (address, memory) in
            [(50, Some(0)), (59, Some(0)), (14, Some(1)), (15, None), (99, Some(2)), (5, None), (100, None)]
        {
            assert_eq!(addresses.find(address), memory, "at {address}");
        }
    }

    #[test]
    fn what_is_noted_takes_the_place_of_what_it_overlaps() {
        let mut addresses = Addresses::default();
        addresses.note(40, 10, 0);
        addresses.note(50, 10, 1);
        addresses.note(60, 10, 3);
        addresses.note(45, 10, 2);
        let seen: Vec<MemoryId> = addresses.seen.iter().map(|seen| seen.memory).collect();
        assert_eq!(seen, [2, 3]);
        addresses.note(45, 10, 4);
        assert_eq!(
            [44, 45, 54, 55, 60].map(|address| addresses.find(address)),
            [None, Some(4), Some(4), None, Some(3)]
        );
    }
}
