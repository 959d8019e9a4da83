//! Values by name: who has one offers it, who wants it asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use mappable::{Frozen, GRANULE};
use zenoh::Wait as _;
use zenoh::bytes::ZBytes;
use zenoh::query::{ConsolidationMode, Query, QueryTarget, Queryable, Reply};

use crate::answers::Answers;
use crate::bus::{Bus, Inner};
use crate::key::{Key, Pattern};
use crate::payload::{Arrived, Message, Outgoing, ReceiveError};
use crate::shared::{Client, Placed};

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
    answers: Arc<Answers>,
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
        let (answers, inner) = (Arc::clone(&self.0.answers), Arc::downgrade(&self.0));
        let offered = Arc::new(Offered { key: key.clone(), value, answers, placed: Mutex::default(), inner });
        let asked = move |query: Query| offered.asked(query);
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
        let (answered, arrived) = answers(limit, self.0.client());
        let asking = self.0.session.get(pattern.expression()).target(QueryTarget::All);
        let asking = asking.consolidation(ConsolidationMode::None).timeout(timeout).callback(answered);
        asking.wait().map_err(|error| QueryError::Bus(error.to_string()))?;
        let messages = self.0.messages(most, limit, arrived);
        self.0.sweep();
        messages
    }
}

impl Inner {
    fn messages(&self, most: usize, limit: u64, all: Receiver<Arrived>) -> Result<Option<Vec<Message>>, QueryError> {
        let (mut messages, mut len) = (Vec::new(), 0);
        for arrived in all {
            len += taken_by(&arrived);
            if len > limit {
                return Err(ReceiveError::TooLarge { len, limit }.into());
            }
            if messages.len() == most {
                return Ok(None);
            }
            messages.push(self.message(arrived)?);
        }
        Ok(Some(messages))
    }
}

/// What Zenoh calls with each reply, and where they come out until all members have answered or the time is up. It never waits, since
/// this very member's own answers come before who asks can receive one. No more wait than the limit lets, and the one beyond.
fn answers(limit: u64, client: Option<Arc<Client>>) -> (impl Fn(Reply) + Send + Sync + 'static, Receiver<Arrived>) {
    let (into, all) = mpsc::channel();
    let len = AtomicU64::new(0);
    let answered = move |reply: Reply| {
        // An error is of a member whose offer has ended.
        let Ok(sample) = reply.into_result() else { return };
        let mut arrived = Arrived::new(sample, client.as_deref());
        if len.fetch_add(taken_by(&arrived), Ordering::Relaxed) > limit {
            return;
        }
        // It names no shared memory, and would keep memory that nobody counts.
        arrived.forget_long_attachment();
        // Who asked may have heard enough.
        let _ = into.send(arrived);
    };
    (answered, all)
}

/// A region takes whole granules, and a mapping, however short its value is.
fn taken_by(answer: &Arrived) -> u64 {
    answer.len().max(1).next_multiple_of(GRANULE)
}

impl Offered {
    /// What Zenoh calls with each query, where it reads from the peer. So it waits for nobody.
    fn asked(self: &Arc<Self>, mut query: Query) {
        // Nobody reads them, and they would be kept.
        if let Some(payload) = query.payload_mut() {
            *payload = ZBytes::new();
        }
        if let Some(attachment) = query.attachment_mut() {
            *attachment = ZBytes::new();
        }
        let bytes = query.key_expr().as_str().len() + query.parameters().as_str().len();
        let offered = Arc::clone(self);
        if !self.answers.add(bytes, move || offered.reply(&query)) {
            tracing::warn!("a query for {} is not answered: too many are to be answered before", self.key);
        }
    }

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
