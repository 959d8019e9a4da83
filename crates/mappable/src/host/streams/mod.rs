//! Regions in streams and futures, on the host's side: each enters the store when a guest reads it, and leaves the store
//! when the host does.
//!
//! ```text
//!   Element            what a stream has elements of: a region, a reference, or a record with some
//!   stream, future     elements that the host has, for a guest to read (producers)
//!   channel            elements on their way from one task, thread or store to another, at most so many
//!    ├ Sender          takes elements from the host, and as a consumer from a guest
//!    ├ Receiver        gives elements to the host, and as a producer to a guest
//!    └ Queue           what both share
//!       └ Waiters      the senders that wait for room, and which of them is woken
//! ```
//!
//! A handle is a number without a destructor, so one that nobody takes keeps its region until the store goes. The engine
//! drops what a producer has left when the reader closes the stream; of a `Vec` of handles that drops numbers. What is
//! here owns the regions themselves, and makes handles only for what is read at that moment.

mod channel;
mod consumers;
mod element;
mod producers;
mod queue;
mod waiters;

pub use channel::{Receiver, Sender, channel, ring};
pub use element::Element;
pub use producers::{future, stream};

/// How many elements are handed over by one read or write at the most.
const MAX_BATCH: usize = 64;
