//! What the two ends of a channel share: the elements, what room is left, and who waits for what.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::waiters::{PolledBy, Ticket, Waiters};

pub(super) struct Queue<E> {
    pub(super) bound: usize,
    state: Mutex<State<E>>,
}

pub(super) struct State<E> {
    pub(super) elements: VecDeque<E>,
    /// How many more elements senders are about to put. Together with `elements` at most the bound.
    reserved: usize,
    pub(super) senders: usize,
    /// Whether there is a receiver. Without one there are no elements.
    pub(super) is_received: bool,
    /// The receiver's task, if it waits for an element.
    pub(super) receiver: Option<Waker>,
    /// The senders that wait for room.
    waiters: Waiters,
}

impl<E> Queue<E> {
    /// One with a sender and a receiver, for at most `bound` elements.
    pub(super) fn new(bound: usize) -> Self {
        let state = State {
            elements: VecDeque::with_capacity(bound.min(1024)),
            reserved: 0,
            senders: 1,
            is_received: true,
            receiver: None,
            waiters: Waiters::default(),
        };
        Self { bound, state: Mutex::new(state) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many more elements there is room for.
    pub(super) fn room(&self, state: &State<E>) -> usize {
        self.bound.saturating_sub(state.elements.len() + state.reserved)
    }

    /// After there is room for one more.
    pub(super) fn wake_sender(mut state: MutexGuard<'_, State<E>>) {
        let sender = state.waiters.call();
        drop(state);
        sender.into_iter().for_each(Waker::wake);
    }

    /// After there is room for so many more, or no receiver.
    pub(super) fn wake_senders(mut state: MutexGuard<'_, State<E>>, count: usize) {
        let senders = state.waiters.call_up_to(count);
        drop(state);
        senders.into_iter().for_each(Waker::wake);
    }

    /// Before the receiver goes without an element, though a sender that was woken may have room for one.
    pub(super) fn wake_stalled(mut state: MutexGuard<'_, State<E>>) {
        let senders = state.waiters.call_all_if_stalled();
        drop(state);
        senders.into_iter().for_each(Waker::wake);
    }

    /// Reserves room for up to `count` elements, and for none if there is any. Without a receiver there is none ever.
    pub(super) fn poll_reserve(
        self: &Arc<Self>,
        ticket: &mut Option<Ticket>,
        polled_by: PolledBy,
        cx: &mut Context<'_>,
        count: usize,
    ) -> Poll<Option<Room<E>>> {
        let mut state = self.state();
        let room = self.room(&state);
        if state.is_received && room == 0 {
            state.waiters.wait(ticket, polled_by, cx.waker());
            return Poll::Pending;
        }
        let was_called = state.waiters.leave(ticket);
        if !state.is_received {
            return Poll::Ready(None);
        }
        let count = count.min(room);
        state.reserved += count;
        if was_called && count == 0 {
            Self::wake_sender(state);
        }
        Poll::Ready(Some(Room { queue: Arc::clone(self), count }))
    }

    /// Has the next sender woken if this one was, and waits no longer.
    pub(super) fn stop_waiting(&self, ticket: &mut Option<Ticket>) {
        if ticket.is_some() {
            let mut state = self.state();
            if state.waiters.leave(ticket) {
                Self::wake_sender(state);
            }
        }
    }

    /// After there is an element, or no sender.
    pub(super) fn wake_receiver(mut state: MutexGuard<'_, State<E>>) {
        let receiver = state.receiver.take();
        drop(state);
        receiver.into_iter().for_each(Waker::wake);
    }
}

/// A task that waits for room for an element.
pub(super) struct Waiting<'a, E> {
    queue: &'a Arc<Queue<E>>,
    ticket: Option<Ticket>,
}

impl<'a, E> Waiting<'a, E> {
    pub(super) fn new(queue: &'a Arc<Queue<E>>) -> Self {
        Self { queue, ticket: None }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Room<E>>> {
        self.queue.poll_reserve(&mut self.ticket, PolledBy::Task, cx, 1)
    }
}

impl<E> Drop for Waiting<'_, E> {
    fn drop(&mut self) {
        self.queue.stop_waiting(&mut self.ticket);
    }
}

/// Room for some elements, which nobody else gets. What is not used is free again when this is dropped.
pub(super) struct Room<E> {
    queue: Arc<Queue<E>>,
    count: usize,
}

impl<E> Room<E> {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn put(&mut self, element: E) {
        assert!(self.count > 0, "no room was reserved");
        self.count -= 1;
        let mut state = self.queue.state();
        state.reserved -= 1;
        // Else the receiver went in the meantime.
        if state.is_received {
            state.elements.push_back(element);
            Queue::wake_receiver(state);
        }
    }
}

impl<E> Drop for Room<E> {
    fn drop(&mut self) {
        if self.count > 0 {
            let mut state = self.queue.state();
            state.reserved -= self.count;
            Queue::wake_senders(state, self.count);
        }
    }
}
