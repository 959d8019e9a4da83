//! Subscribing: what is published under keys of a pattern, in a queue.

use std::sync::Arc;
use std::time::Duration;

use mappable::{AllocateError, Mappable};
use zenoh::Wait as _;
use zenoh::pubsub::Subscriber as ZenohSubscriber;
use zenoh::sample::{Sample, SampleKind};

use crate::bus::{Bus, Inner};
use crate::key::Pattern;
use crate::payload::{Arrived, Message, ReceiveError};
use crate::queue::{Bounds, Closed, Overflow, Queue};
use crate::shared::Client;

/// How a subscription is made.
#[derive(Clone, Copy, Debug)]
pub struct Subscription {
    bounds: Bounds,
}

impl Default for Subscription {
    fn default() -> Self {
        Self { bounds: Bounds { messages: 16, bytes: 256 << 20, overflow: Overflow::Block } }
    }
}

impl Subscription {
    /// A queue of 16 messages and 256 MiB, whose senders wait when it is full.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many messages wait at most. There is room for one at least.
    pub fn messages(mut self, messages: usize) -> Self {
        self.bounds.messages = messages;
        self
    }

    /// How many bytes the messages that wait have together, with their keys and what other programs of Zenoh's attach. A message that
    /// is larger waits alone.
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bounds.bytes = bytes;
        self
    }

    /// What becomes of a message for which there is no room.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.bounds.overflow = overflow;
        self
    }
}

/// Receives what is published under the keys of a pattern. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscriber {
    queue: Arc<Queue<Arrived>>,
    // Before the bus, to end first.
    _subscriber: ZenohSubscriber<()>,
    inner: Arc<Inner>,
}

/// Closes the queue when Zenoh drops what it calls: it calls nothing then any more.
struct ClosesAtEnd(Arc<Queue<Arrived>>);

impl Drop for ClosesAtEnd {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Bus {
    /// Subscribes to the keys of a pattern.
    ///
    /// # Errors
    ///
    /// [`ReceiveError::Closed`].
    pub fn subscriber(&self, pattern: &Pattern, how: Subscription) -> Result<Subscriber, ReceiveError> {
        let queue = Arc::new(Queue::new(how.bounds));
        let (into, client) = (ClosesAtEnd(Arc::clone(&queue)), self.0.client());
        let came = move |sample: Sample| {
            if sample.kind() == SampleKind::Put {
                let arrived = Arrived::new(sample, client.as_deref());
                let bytes = arrived.all_bytes();
                into.0.push(arrived, bytes);
            }
        };
        let declared = self.0.session.declare_subscriber(pattern.expression()).callback(came).wait();
        let subscriber = declared.map_err(|_| ReceiveError::Closed)?;
        Ok(Subscriber { queue, _subscriber: subscriber, inner: Arc::clone(&self.0) })
    }
}

impl Subscriber {
    /// Waits for the next message until the time is up: then there is `None`.
    ///
    /// What was published in this process, and what a peer of this host shares, is received without a copy. What came over the
    /// network is copied once, into a region of its own. The length of the payload is that of the value; the bytes behind it, up to the
    /// size, are zero.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]. All but [`ReceiveError::Closed`] are about one message, which is gone.
    pub fn receive(&self, timeout: Duration) -> Result<Option<Message>, ReceiveError> {
        let arrived = match self.queue.pop(timeout) {
            Ok(Some(arrived)) => arrived,
            Ok(None) => return Ok(None),
            Err(Closed) => return Err(ReceiveError::Closed),
        };
        let message = self.inner.message(arrived);
        self.inner.sweep();
        message.map(Some)
    }

    /// How many messages were dropped since there was no room for them ([`Overflow::DropOldest`]).
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // Whoever waits for room would wait for ever, and Zenoh for them.
        self.queue.close();
    }
}

impl Message {
    /// The payload as a region of which the caller is the owner: without a copy if nobody else has it, which is so for what came
    /// over the network.
    ///
    /// # Errors
    ///
    /// [`AllocateError`], if there is no region for a copy.
    pub fn into_region(self) -> Result<Mappable, AllocateError> {
        self.payload.thaw().or_else(|failed| failed.frozen.copy())
    }
}

impl Inner {
    /// What shows this process what others share with it.
    pub(crate) fn client(&self) -> Option<Arc<Client>> {
        self.shared.as_ref().map(|shared| Arc::clone(&shared.client))
    }

    /// Forgets what is no longer needed of what peers share.
    pub(crate) fn sweep(&self) {
        if let Some(shared) = &self.shared {
            shared.client.sweep();
        }
    }
}
