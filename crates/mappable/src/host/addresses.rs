//! Where an address led last time: from a pointer that a guest named to the memory that it lies in.
//!
//! A cache, and trusted for nothing: what it answers is checked against the memory itself.

use crate::view::SPAN;

/// An index into a context's memories.
pub(super) type SeatId = usize;

#[derive(Default)]
pub(super) struct Addresses {
    /// The bases of views, in order, with their memories. No two are closer than a memory's span.
    bases: Vec<(usize, SeatId)>,
    /// The entry that was found last.
    last: usize,
}

impl Addresses {
    /// The memory that had a view around `address`, if that was noted.
    pub(super) fn find(&mut self, address: usize) -> Option<SeatId> {
        let holds = |&(base, _): &(usize, SeatId)| address >= base && address - base < SPAN as usize;
        if let Some(entry) = self.bases.get(self.last).filter(|entry| holds(entry)) {
            return Some(entry.1);
        }
        let after = self.bases.partition_point(|&(base, _)| base <= address);
        self.last = after.checked_sub(1)?;
        self.bases.get(self.last).filter(|entry| holds(entry)).map(|entry| entry.1)
    }

    /// Notes that a memory has a view at `base`. Views that were noted there before are gone.
    pub(super) fn note(&mut self, base: usize, seat: SeatId) {
        let span = SPAN as usize;
        let from = self.bases.partition_point(|&(other, _)| other.saturating_add(span) <= base);
        let to = self.bases.partition_point(|&(other, _)| other < base.saturating_add(span));
        self.bases.splice(from..to, [(base, seat)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: usize = super::SPAN as usize;

    #[test]
    fn an_address_leads_to_the_view_around_it() {
        let mut addresses = Addresses::default();
        for (base, seat) in [(5, 0), (1, 1), (9, 2)] {
            addresses.note(base * SPAN, seat);
        }
        for (address, seat) in [(5, Some(0)), (1, Some(1)), (9, Some(2)), (0, None), (2, None), (10, None)] {
            assert_eq!(addresses.find(address * SPAN), seat, "at {address}");
            assert_eq!(addresses.find(address * SPAN + SPAN - 1), seat, "at {address} and a bit");
        }
    }

    #[test]
    fn a_new_view_takes_the_place_of_those_it_overlaps() {
        let mut addresses = Addresses::default();
        addresses.note(4 * SPAN, 0);
        addresses.note(5 * SPAN, 1);
        addresses.note(4 * SPAN + SPAN / 2, 2);
        assert_eq!(addresses.bases, [(4 * SPAN + SPAN / 2, 2)]);
        addresses.note(4 * SPAN + SPAN / 2, 3);
        assert_eq!(addresses.find(5 * SPAN), Some(3));
    }
}
