//! Who is there: members that say so under a key, until they end or are lost.

use std::time::Duration;

use zenoh::Wait as _;
use zenoh::handlers::FifoChannelHandler;
use zenoh::liveliness::LivelinessToken;
use zenoh::pubsub::Subscriber as ZenohSubscriber;
use zenoh::sample::{Sample, SampleKind};

use crate::bus::Bus;
use crate::key::{Key, Pattern};
use crate::query::QueryError;

/// Says that its holder is there. Gone when it is dropped, when its process ends, and when the connection to it is lost.
#[derive(Debug)]
pub struct Token {
    _token: LivelinessToken,
}

/// Tells who comes and goes.
#[derive(Debug)]
pub struct Watch {
    subscriber: ZenohSubscriber<FifoChannelHandler<Sample>>,
}

/// What a [`Watch`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Somebody is there under this key.
    Came(String),
    /// Nobody is there any more under this key.
    Went(String),
}

impl Bus {
    /// Says that this member is there, under a key.
    ///
    /// # Errors
    ///
    /// [`QueryError::Bus`].
    pub fn token(&self, key: &Key) -> Result<Token, QueryError> {
        let declared = self.0.session.liveliness().declare_token(key.expression()).wait();
        Ok(Token { _token: declared.map_err(|error| QueryError::Bus(error.to_string()))? })
    }

    /// The keys of a pattern under which somebody is there now. Waits for the members' answers, at most for so long.
    ///
    /// # Errors
    ///
    /// [`QueryError::Bus`].
    pub fn alive(&self, pattern: &Pattern, timeout: Duration) -> Result<Vec<String>, QueryError> {
        let asked = self.0.session.liveliness().get(pattern.expression()).timeout(timeout).wait();
        let replies = asked.map_err(|error| QueryError::Bus(error.to_string()))?;
        let mut keys: Vec<String> = std::iter::from_fn(|| replies.recv().ok())
            .filter_map(|reply| Some(reply.into_result().ok()?.key_expr().as_str().to_owned()))
            .collect();
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    /// Watches who comes and goes under the keys of a pattern. Whoever is there already comes first.
    ///
    /// # Errors
    ///
    /// [`QueryError::Bus`].
    pub fn watch(&self, pattern: &Pattern) -> Result<Watch, QueryError> {
        let declared = self.0.session.liveliness().declare_subscriber(pattern.expression()).history(true).wait();
        Ok(Watch { subscriber: declared.map_err(|error| QueryError::Bus(error.to_string()))? })
    }
}

impl Watch {
    /// The next that comes or goes, or `None` when the time is up or the bus is closed.
    pub fn next(&self, timeout: Duration) -> Option<Presence> {
        let sample = self.subscriber.recv_timeout(timeout).ok().flatten()?;
        let key = sample.key_expr().as_str().to_owned();
        Some(if sample.kind() == SampleKind::Put { Presence::Came(key) } else { Presence::Went(key) })
    }
}
