//! What is on its way between a trusted module and the host: handles, in the order of the function's type.

use super::layout::{BORROWED, FLIGHT, FLIGHT_ITEM, FLIGHT_LEN, FLIGHT_NEXT, FLIGHT_SEQ, MAX_FLIGHT};
use super::{Kind, Ledger};

/// A handle in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// The region's number.
    pub(crate) region: u32,
    pub(crate) kind: Kind,
    pub(crate) borrowed: bool,
}

/// What is in flight is not what was to arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlightError {
    pub(crate) arrived: u32,
    pub(crate) meant: u32,
}

impl Ledger {
    /// Takes exactly `N` handles out of flight: no more have been sent, and none has been claimed.
    pub(crate) fn receive<const N: usize>(&self) -> Result<[Item; N], FlightError> {
        let (arrived, meant) = (self.words.get(FLIGHT_LEN), N as u32);
        let wrong = FlightError { arrived, meant };
        if arrived != meant || self.words.get(FLIGHT_NEXT) != 0 {
            return Err(wrong);
        }
        let mut items = [Item { region: 0, kind: Kind::Mappable, borrowed: false }; N];
        for (at, item) in (FLIGHT..).step_by(FLIGHT_ITEM as usize).zip(&mut items) {
            let tag = self.words.get(at + 4);
            let kind = kind(tag & !BORROWED).ok_or(wrong)?;
            *item = Item { region: self.words.get(at), kind, borrowed: tag & BORROWED != 0 };
        }
        self.words.set(FLIGHT_LEN, 0);
        Ok(items)
    }

    /// Puts handles in flight, of which there are none.
    pub(crate) fn send(&self, items: &[Item]) {
        debug_assert!(items.len() <= MAX_FLIGHT as usize);
        for (at, item) in (FLIGHT..).step_by(FLIGHT_ITEM as usize).zip(items) {
            self.words.set(at, item.region);
            self.words.set(at + 4, item.kind as u32 | if item.borrowed { BORROWED } else { 0 });
        }
        self.words.set(FLIGHT_LEN, items.len() as u32);
        self.words.set(FLIGHT_NEXT, 0);
        self.words.advance(FLIGHT_SEQ);
    }
}

/// The kind of that number.
pub(crate) fn kind(number: u32) -> Option<Kind> {
    [Kind::Mappable, Kind::Mapping, Kind::Frozen, Kind::FrozenMapping].into_iter().find(|kind| *kind as u32 == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_received_is_what_was_sent() {
        let ledger = Ledger::for_tests();
        let items = [
            Item { region: 7, kind: Kind::FrozenMapping, borrowed: true },
            Item { region: 0xffff, kind: Kind::Mappable, borrowed: false },
        ];
        let before = ledger.words.get(FLIGHT_SEQ);
        ledger.send(&items);
        assert_ne!(ledger.words.get(FLIGHT_SEQ), before);
        assert_eq!(ledger.receive::<2>(), Ok(items));
        assert_eq!(ledger.receive::<0>(), Ok([]));
    }

    #[test]
    fn a_flight_of_another_number_or_kind_is_not_received() {
        let ledger = Ledger::for_tests();
        let item = Item { region: 7, kind: Kind::Frozen, borrowed: false };
        ledger.send(&[item]);
        assert_eq!(ledger.receive::<2>(), Err(FlightError { arrived: 1, meant: 2 }));
        assert_eq!(ledger.receive::<0>(), Err(FlightError { arrived: 1, meant: 0 }));
        ledger.words.set(FLIGHT_NEXT, 1);
        assert!(ledger.receive::<1>().is_err());
        ledger.send(&[item]);
        ledger.words.set(FLIGHT + 4, 5);
        assert!(ledger.receive::<1>().is_err());
    }
}
