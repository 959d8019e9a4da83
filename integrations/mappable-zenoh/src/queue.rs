//! What has come and was not received yet: bounded by how many messages, and by their bytes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What becomes of a message that comes when the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// Its sender waits: nothing more is read from the peer, for any subscription, until there is room, and with two such peers
    /// from nobody, since Zenoh reads by two threads. A sender that blocks ([`Congestion::Block`](crate::Congestion)) waits in turn,
    /// and gives up the connection after Zenoh's five seconds; one that drops, drops.
    #[default]
    Block,
    /// The oldest messages go, and are counted ([`Subscriber::dropped`](crate::Subscriber::dropped)).
    DropOldest,
}

/// How much a queue holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) messages: usize,
    pub(crate) bytes: u64,
    pub(crate) overflow: Overflow,
}

#[derive(Debug)]
pub(crate) struct Queue<T> {
    bounds: Bounds,
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<(T, u64)>,
    bytes: u64,
    dropped: u64,
    is_closed: bool,
}

/// Nothing will come any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed;

/// Waits for a change of a state, for ever without a deadline. `None` when the time is up.
pub(crate) fn wait_until<'a, T>(
    changed: &Condvar,
    state: MutexGuard<'a, T>,
    deadline: Option<Instant>,
) -> Option<MutexGuard<'a, T>> {
    let Some(deadline) = deadline else { return Some(changed.wait(state).unwrap_or_else(PoisonError::into_inner)) };
    let left = deadline.saturating_duration_since(Instant::now());
    (!left.is_zero()).then(|| changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0)
}

impl<T> Queue<T> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let state = State { items: VecDeque::new(), bytes: 0, dropped: 0, is_closed: false };
        Self { bounds, state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one, unless the queue is closed.
    pub(crate) fn push(&self, item: T, bytes: u64) {
        let Bounds { messages, bytes: limit, overflow } = self.bounds;
        // One that is larger than the queue has it to itself.
        let is_full = |state: &State<T>| {
            !state.items.is_empty() && (state.items.len() >= messages || state.bytes.saturating_add(bytes) > limit)
        };
        let mut gone = Vec::new();
        let mut state = self.state();
        while is_full(&state) && !state.is_closed {
            match overflow {
                Overflow::Block => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Overflow::DropOldest => gone.extend(state.take().inspect(|_| state.dropped += 1)),
            }
        }
        let is_closed = state.is_closed;
        if is_closed {
            gone.push(item);
        } else {
            state.items.push_back((item, bytes));
            state.bytes += bytes;
        }
        drop(state);
        self.changed.notify_all();
        // Outside of the lock.
        drop(gone);
    }

    /// Takes the oldest, and waits for one until the time is up.
    pub(crate) fn pop(&self, timeout: Duration) -> Result<Option<T>, Closed> {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.state();
        loop {
            if let Some(item) = state.take() {
                drop(state);
                self.changed.notify_all();
                return Ok(Some(item));
            }
            if state.is_closed {
                return Err(Closed);
            }
            state = match wait_until(&self.changed, state, deadline) {
                Some(state) => state,
                None => return Ok(None),
            };
        }
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.state().dropped
    }

    /// Nothing is added from here on. What is there can still be taken.
    pub(crate) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_all();
    }
}

impl<T> State<T> {
    fn take(&mut self) -> Option<T> {
        let (item, bytes) = self.items.pop_front()?;
        self.bytes -= bytes;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    fn queue(messages: usize, bytes: u64, overflow: Overflow) -> Queue<u32> {
        Queue::new(Bounds { messages, bytes, overflow })
    }

    const NOW: Duration = Duration::ZERO;
    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn the_oldest_go_when_there_are_too_many_messages_or_bytes() {
        let many = queue(2, 1000, Overflow::DropOldest);
        (1..=4).for_each(|item| many.push(item, 1));
        assert_eq!([many.pop(NOW), many.pop(NOW), many.pop(NOW)], [Ok(Some(3)), Ok(Some(4)), Ok(None)]);
        assert_eq!(many.dropped(), 2);

        let large = queue(100, 10, Overflow::DropOldest);
        for (item, bytes) in [(1, 4), (2, 4), (3, 8), (4, 100)] {
            large.push(item, bytes);
        }
        assert_eq!([large.pop(NOW), large.pop(NOW)], [Ok(Some(4)), Ok(None)]);
        assert_eq!(large.dropped(), 3);
    }

    #[test]
    fn a_full_queue_makes_its_sender_wait_until_one_is_taken_or_it_is_closed() {
        let queue = Arc::new(queue(1, 1000, Overflow::Block));
        queue.push(1, 1);
        let sender = Arc::clone(&queue);
        let sending = thread::spawn(move || (2..=3).for_each(|item| sender.push(item, 1)));
        assert_eq!(queue.pop(SOON), Ok(Some(1)));
        assert_eq!(queue.pop(SOON), Ok(Some(2)));
        assert_eq!(queue.pop(SOON), Ok(Some(3)));
        sending.join().unwrap();

        queue.push(4, 1);
        let sender = Arc::clone(&queue);
        let sending = thread::spawn(move || sender.push(5, 1));
        queue.close();
        sending.join().unwrap();
        assert_eq!([queue.pop(SOON), queue.pop(SOON)], [Ok(Some(4)), Err(Closed)]);
    }
}
