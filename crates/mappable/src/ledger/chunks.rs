//! Which parts of the ledger handle tables take. Arithmetic alone: no two chunks that are taken overlap.

use std::ops::Range;

use super::layout::{ENTRY, FIRST_CAPACITY};

/// A part of the ledger that a handle table takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Offset in the ledger.
    pub(super) at: u32,
    /// How many entries it has room for: [`FIRST_CAPACITY`], or a double of it.
    pub(super) capacity: u32,
}

impl Chunk {
    /// In bytes.
    pub(super) fn len(self) -> u32 {
        self.capacity * ENTRY
    }

    /// How often it has been doubled.
    fn class(self) -> usize {
        (self.capacity / FIRST_CAPACITY).trailing_zeros() as usize
    }
}

/// The chunks of a ledger.
#[derive(Debug)]
pub(super) struct Chunks {
    /// What was never taken.
    rest: Range<u32>,
    /// Offsets of those that were given back, by how often they have been doubled.
    free: Vec<Vec<u32>>,
}

impl Chunks {
    pub(super) fn new(all: Range<u32>) -> Self {
        Self { rest: all, free: vec![] }
    }

    /// A chunk for a new table.
    pub(super) fn first(&mut self) -> Option<Chunk> {
        self.take(FIRST_CAPACITY)
    }

    /// A chunk of twice the room. The one that is given stays taken.
    pub(super) fn doubled(&mut self, chunk: Chunk) -> Option<Chunk> {
        self.take(chunk.capacity.checked_mul(2)?)
    }

    fn take(&mut self, capacity: u32) -> Option<Chunk> {
        let len = capacity.checked_mul(ENTRY)?;
        let class = Chunk { at: 0, capacity }.class();
        if let Some(at) = self.free.get_mut(class).and_then(Vec::pop) {
            return Some(Chunk { at, capacity });
        }
        let at = self.rest.start;
        let end = at.checked_add(len).filter(|&end| end <= self.rest.end)?;
        self.rest.start = end;
        Some(Chunk { at, capacity })
    }

    /// Gives a chunk back.
    pub(super) fn give(&mut self, chunk: Chunk) {
        let class = chunk.class();
        if self.free.len() <= class {
            self.free.resize(class + 1, vec![]);
        }
        self.free[class].push(chunk.at);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Op {
        First,
        Double(usize),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![Just(Op::First), any::<usize>().prop_map(Op::Double)]
    }

    proptest! {
        #[test]
        fn chunks_never_overlap_nor_leave_the_range(ops in prop::collection::vec(op(), 0..200)) {
            let all = 4096..4096 + 0x1_0000;
            let (mut chunks, mut taken) = (Chunks::new(all.clone()), Vec::<Chunk>::new());
            for op in ops {
                match op {
                    Op::First => taken.extend(chunks.first()),
                    Op::Double(which) if !taken.is_empty() => {
                        let which = which % taken.len();
                        if let Some(doubled) = chunks.doubled(taken[which]) {
                            prop_assert_eq!(doubled.capacity, 2 * taken[which].capacity);
                            prop_assert!(taken.iter().all(|other| apart(&doubled, other)));
                            chunks.give(std::mem::replace(&mut taken[which], doubled));
                        }
                    }
                    Op::Double(_) => {}
                }
                for (index, chunk) in taken.iter().enumerate() {
                    prop_assert!(chunk.at >= all.start && chunk.at + chunk.len() <= all.end);
                    prop_assert!(taken[..index].iter().all(|other| apart(chunk, other)));
                }
            }
        }
    }

    fn apart(a: &Chunk, b: &Chunk) -> bool {
        a.at + a.len() <= b.at || b.at + b.len() <= a.at
    }

    #[test]
    fn what_was_given_back_is_taken_again() {
        let mut chunks = Chunks::new(0..3 * FIRST_CAPACITY * ENTRY);
        let first = chunks.first().unwrap();
        let doubled = chunks.doubled(first).unwrap();
        assert_eq!(chunks.first(), None);
        chunks.give(first);
        assert_eq!(chunks.first(), Some(first));
        assert_eq!(chunks.doubled(doubled), None);
    }
}
