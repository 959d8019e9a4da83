//! Values by name: who has one offers it, who wants it asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use mappable::{Frozen, GRANULE};
use zenoh::Wait as _;
use zenoh::bytes::ZBytes;
use zenoh::query::{ConsolidationMode, Query, QueryTarget, Queryable, Reply};
use zenoh::sample::Sample;

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
    /// Members are there under more keys than are told.
    #[error("somebody is there under more than {limit} keys (Options::alive_keys)")]
    TooManyKeys {
        /// How many are told.
        limit: usize,
    },
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
    /// If several members offer one key, each of its values is there. All of them together take no more whole granules than one
    /// message may ([`Options::message_bytes`](crate::Options::message_bytes)).
    ///
    /// # Errors
    ///
    /// [`QueryError::Receive`] and [`QueryError::Bus`].
    pub fn get(&self, pattern: &Pattern, timeout: Duration) -> Result<Vec<Message>, QueryError> {
        Ok(self.get_at_most(usize::MAX, pattern, timeout)?.unwrap_or_default())
    }

    /// The same, but `None` as soon as there is one more than so many.
    pub(crate) fn get_at_most(
        &self,
        most: usize,
        pattern: &Pattern,
        timeout: Duration,
    ) -> Result<Option<Vec<Message>>, QueryError> {
        // One is received however long a part of a granule the limit is.
        let limit = self.0.limits.message_bytes.div_ceil(GRANULE).saturating_mul(GRANULE);
        let (answered, samples) = answers(limit);
        let asking = self.0.session.get(pattern.expression()).target(QueryTarget::All);
        let asking = asking.consolidation(ConsolidationMode::None).timeout(timeout).callback(answered);
        asking.wait().map_err(|error| QueryError::Bus(error.to_string()))?;
        let messages = self.0.messages(most, limit, samples);
        self.0.sweep();
        messages
    }
}

impl Inner {
    fn messages(&self, most: usize, limit: u64, samples: Receiver<Sample>) -> Result<Option<Vec<Message>>, QueryError> {
        let (mut messages, mut len) = (Vec::new(), 0);
        for sample in samples {
            len += taken_by(&sample);
            if len > limit {
                return Err(ReceiveError::TooLarge { len, limit }.into());
            }
            if messages.len() == most {
                return Ok(None);
            }
            messages.push(self.message(&sample)?);
        }
        Ok(Some(messages))
    }
}

/// What Zenoh calls with each reply, and where they come out until all members have answered or the time is up. It never waits, since
/// this very member's own answers come before who asks can receive one. No more wait than the limit lets, and the one beyond.
fn answers(limit: u64) -> (impl Fn(Reply) + Send + Sync + 'static, Receiver<Sample>) {
    let (into, samples) = mpsc::channel();
    let len = AtomicU64::new(0);
    let answered = move |reply: Reply| {
        // An error is of a member whose offer has ended.
        let Ok(mut sample) = reply.into_result() else { return };
        if len.fetch_add(taken_by(&sample), Ordering::Relaxed) > limit {
            return;
        }
        if let Some(attachment) = sample.attachment_mut()
            && attachment.len() > size_of::<u64>()
        {
            // It names no shared memory, and would keep memory that nobody counts.
            *attachment = ZBytes::new();
        }
        // Who asked may have heard enough.
        let _ = into.send(sample);
    };
    (answered, samples)
}

/// A region takes whole granules, and a mapping, however short its value is.
fn taken_by(answer: &Sample) -> u64 {
    (answer.payload().len().max(1) as u64).next_multiple_of(GRANULE)
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
