//! Who waits for room in a channel, in the order in which they came.
//!
//! A waiter that is woken is *called* until it looks at the channel again, or leaves. One is called for each place that gets
//! free, and whoever was called and leaves has the next one called in its stead. So while somebody waits who was not
//! called, at least as many are called as there are free places: no wake-up is lost.
//!
//! What a store polls looks only while the store runs, which may be never again. So who receives has all called
//! ([`Waiters::call_all_if_stalled`]) before it waits for such a one.

use std::collections::VecDeque;
use std::task::Waker;

/// Who polls a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PolledBy {
    /// A task of the embedder's.
    Task,
    /// A store, while it runs.
    Store,
}

/// What a waiter is known by: it waits, or was called.
#[derive(Debug)]
pub(super) struct Ticket {
    number: u64,
    polled_by: PolledBy,
}

struct Waiter {
    number: u64,
    polled_by: PolledBy,
    waker: Waker,
}

#[derive(Default)]
pub(super) struct Waiters {
    /// The number of the next ticket.
    next: u64,
    /// Those that wait, by number.
    waiting: VecDeque<Waiter>,
    /// How many that are polled by stores are called.
    called_stores: usize,
}

impl Waiters {
    /// There is no room for who has this ticket: it waits, where it came in the order.
    pub(super) fn wait(&mut self, ticket: &mut Option<Ticket>, polled_by: PolledBy, waker: &Waker) {
        let number = match ticket {
            Some(ticket) => ticket.number,
            None => {
                let number = self.next;
                self.next += 1;
                *ticket = Some(Ticket { number, polled_by });
                self.waiting.push_back(Waiter { number, polled_by, waker: waker.clone() });
                return;
            }
        };
        match self.place(number) {
            Ok(place) => self.waiting[place].waker.clone_from(waker),
            Err(place) => {
                self.answered(polled_by);
                self.waiting.insert(place, Waiter { number, polled_by, waker: waker.clone() });
            }
        }
    }

    /// There is room for who has this ticket, or it wants none any more. Returns whether it was called.
    pub(super) fn leave(&mut self, ticket: &mut Option<Ticket>) -> bool {
        let Some(Ticket { number, polled_by }) = ticket.take() else { return false };
        match self.place(number) {
            Ok(place) => _ = self.waiting.remove(place),
            Err(_) => {
                self.answered(polled_by);
                return true;
            }
        }
        false
    }

    /// Calls the first, whom the caller is to wake.
    pub(super) fn call(&mut self) -> Option<Waker> {
        let Waiter { polled_by, waker, .. } = self.waiting.pop_front()?;
        self.called_stores += usize::from(polled_by == PolledBy::Store);
        Some(waker)
    }

    /// Calls up to so many, whom the caller is to wake.
    pub(super) fn call_up_to(&mut self, count: usize) -> Vec<Waker> {
        std::iter::from_fn(|| self.call()).take(count).collect()
    }

    /// Calls everybody, if there are called ones that may never look.
    pub(super) fn call_all_if_stalled(&mut self) -> Vec<Waker> {
        if self.called_stores == 0 { vec![] } else { self.call_up_to(usize::MAX) }
    }

    fn answered(&mut self, polled_by: PolledBy) {
        self.called_stores -= usize::from(polled_by == PolledBy::Store);
    }

    /// Where a waiter is, or would be.
    fn place(&self, number: u64) -> Result<usize, usize> {
        self.waiting.binary_search_by_key(&number, |waiter| waiter.number)
    }
}
