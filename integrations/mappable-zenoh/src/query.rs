//! Values by name: who has one offers it, who wants it asks.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use mappable::Frozen;
use zenoh::Wait as _;
use zenoh::query::{ConsolidationMode, Query, QueryTarget, Queryable};

use crate::bus::{Bus, Inner};
use crate::key::{Key, Pattern};
use crate::payload::{Message, Outgoing, ReceiveError};
use crate::shared::Placed;

/// Why nothing was offered, or nothing was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// A reply can't be received.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    /// Zenoh's: the bus was closed, for example.
    #[error("not asked: {0}")]
    Bus(String),
}

/// Answers whoever asks for a key with a frozen value. Dropping it ends the offer.
#[derive(Debug)]
pub struct Offer {
    _queryable: Queryable<()>,
}

struct Offered {
    key: Key,
    value: Frozen,
    /// The value in memory that peers of this host share, once one of them has asked. All of them get the same.
    placed: Mutex<Option<Placed>>,
    inner: Weak<Inner>,
}

impl Bus {
    /// Offers a frozen value under a key, for as long as what is returned lives.
    ///
    /// # Errors
    ///
    /// [`QueryError::Bus`].
    pub fn offer(&self, key: &Key, value: Frozen) -> Result<Offer, QueryError> {
        let offered = Offered { key: key.clone(), value, placed: Mutex::default(), inner: Arc::downgrade(&self.0) };
        let asked = move |query: Query| offered.reply(&query);
        let declared = self.0.session.declare_queryable(key.expression()).complete(true).callback(asked).wait();
        Ok(Offer { _queryable: declared.map_err(|error| QueryError::Bus(error.to_string()))? })
    }

    /// Asks for the values of all keys of a pattern, and returns those that come until all members have answered or the time is up.
    /// If several members offer one key, each of its values is there. All of them together are no longer than one message may be
    /// ([`Options::message_bytes`](crate::Options::message_bytes)).
    ///
    /// # Errors
    ///
    /// [`QueryError`].
    pub fn get(&self, pattern: &Pattern, timeout: Duration) -> Result<Vec<Message>, QueryError> {
        let bus = |error: zenoh::Error| QueryError::Bus(error.to_string());
        let asking = self.0.session.get(pattern.expression()).target(QueryTarget::All);
        let replies = asking.consolidation(ConsolidationMode::None).timeout(timeout).wait().map_err(bus)?;
        let mut messages = Vec::new();
        let (mut len, limit) = (0_u64, self.0.limits.message_bytes);
        // It ends when all have answered. A reply that is an error is of a member whose offer has ended.
        while let Ok(reply) = replies.recv() {
            if let Ok(sample) = reply.into_result() {
                len = len.saturating_add(sample.payload().len() as u64);
                if len > limit {
                    return Err(ReceiveError::TooLarge { len, limit }.into());
                }
                messages.push(self.0.message(&sample)?);
            }
        }
        self.0.sweep();
        Ok(messages)
    }
}

impl Offered {
    fn reply(&self, query: &Query) {
        let Some(outgoing) = self.inner.upgrade().map(|inner| self.outgoing(&inner)) else { return };
        let reply = query.reply(self.key.expression(), outgoing.bytes);
        let reply = match outgoing.attachment {
            Some(attachment) => reply.attachment(attachment),
            None => reply,
        };
        if let Err(error) = reply.wait() {
            tracing::warn!("a query for {} was not answered: {error}", self.key);
        }
    }

    fn outgoing(&self, inner: &Inner) -> Outgoing {
        let mut placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        if placed.is_none() {
            *placed = inner.placed(&self.value, false).and_then(Result::ok);
        }
        match &*placed {
            Some(placed) => placed.clone().into(),
            None => inner.as_bytes(&self.value),
        }
    }
}
