//! Who is there: members that say so under a key, until they end or are lost.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use zenoh::Wait as _;
use zenoh::liveliness::LivelinessToken;
use zenoh::pubsub::Subscriber as ZenohSubscriber;
use zenoh::query::Reply;
use zenoh::sample::{Sample, SampleKind};

use crate::bus::Bus;
use crate::key::{Key, Pattern};
use crate::query::QueryError;
use crate::queue::wait_until;

/// Says that its holder is there. Gone when it is dropped, when its process ends, and when the connection to it is lost.
#[derive(Debug)]
pub struct Token {
    _token: LivelinessToken,
}

/// Tells who comes and goes. Dropping it ends it.
#[derive(Debug)]
pub struct Watch {
    changes: Arc<Changes>,
    _subscriber: ZenohSubscriber<()>,
}

/// What a [`Watch`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Somebody is there under this key.
    Came(String),
    /// Nobody is there any more under this key.
    Went(String),
}

/// Why a [`Watch`] tells nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// More keys have changed than are kept until they are read. What was not read is gone, and what changes from here on is told.
    #[error(
        "more than {limit} keys (Options::alive_keys) came or went before they were read: Bus::alive has who is there"
    )]
    Missed {
        /// How many are kept.
        limit: usize,
    },
    /// The bus has ended.
    #[error("the bus is closed")]
    Closed,
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
    /// [`QueryError::TooManyKeys`] and [`QueryError::Bus`].
    pub fn alive(&self, pattern: &Pattern, timeout: Duration) -> Result<Vec<String>, QueryError> {
        let limit = self.0.limits.alive_keys;
        let found = Arc::new(Mutex::new(BTreeSet::new()));
        let (too_many, ended) = mpsc::channel();
        let into = Arc::clone(&found);
        let answered = move |reply: Reply| {
            let Ok(sample) = reply.into_result() else { return };
            let mut keys = into.lock().unwrap_or_else(PoisonError::into_inner);
            let is_new = keys.len() <= limit && keys.insert(sample.key_expr().as_str().to_owned());
            if is_new && keys.len() > limit {
                // Who asked may have heard it.
                let _ = too_many.send(());
            }
        };
        let asking = self.0.session.liveliness().get(pattern.expression()).timeout(timeout);
        asking.callback(answered).wait().map_err(|error| QueryError::Bus(error.to_string()))?;
        if ended.recv().is_ok() {
            return Err(QueryError::TooManyKeys { limit });
        }
        let keys = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(keys.into_iter().collect())
    }

    /// Watches who comes and goes under the keys of a pattern. Whoever is there already comes first.
    ///
    /// # Errors
    ///
    /// [`QueryError::Bus`].
    pub fn watch(&self, pattern: &Pattern) -> Result<Watch, QueryError> {
        let changes = Arc::new(Changes::new(self.0.limits.alive_keys));
        let into = ClosesAtEnd(Arc::clone(&changes));
        // Zenoh calls it where it reads from a peer, so it never waits.
        let changed = move |sample: Sample| into.0.push(sample.key_expr().as_str(), sample.kind() == SampleKind::Put);
        let declaring = self.0.session.liveliness().declare_subscriber(pattern.expression()).history(true);
        let declared = declaring.callback(changed).wait();
        Ok(Watch { changes, _subscriber: declared.map_err(|error| QueryError::Bus(error.to_string()))? })
    }
}

impl Watch {
    /// The next that comes or goes, or `None` when the time is up.
    ///
    /// Of each key it tells what became of it last: one that came and went since the last call has gone.
    ///
    /// # Errors
    ///
    /// [`WatchError`]. After [`WatchError::Missed`] the next call goes on.
    pub fn next(&self, timeout: Duration) -> Result<Option<Presence>, WatchError> {
        self.changes.pop(timeout)
    }
}

/// Closes when Zenoh drops what it calls: it calls nothing then any more.
struct ClosesAtEnd(Arc<Changes>);

impl Drop for ClosesAtEnd {
    fn drop(&mut self) {
        self.0.state().is_closed = true;
        self.0.changed.notify_all();
    }
}

/// What has changed and was not read yet: the last of each key. Whoever adds to it never waits.
#[derive(Debug)]
struct Changes {
    limit: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The keys of `is_there`, in the order in which they changed first.
    order: VecDeque<Arc<str>>,
    is_there: HashMap<Arc<str>, bool>,
    has_missed: bool,
    is_closed: bool,
}

impl Changes {
    fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default(), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, key: &str, is_there: bool) {
        let mut state = self.state();
        if let Some(last) = state.is_there.get_mut(key) {
            *last = is_there;
        } else if state.order.len() < self.limit {
            let key: Arc<str> = key.into();
            state.order.push_back(Arc::clone(&key));
            state.is_there.insert(key, is_there);
        } else {
            // All, since who is told of some only would take the others for unchanged.
            *state = State { has_missed: true, is_closed: state.is_closed, ..State::default() };
        }
        drop(state);
        self.changed.notify_all();
    }

    fn pop(&self, timeout: Duration) -> Result<Option<Presence>, WatchError> {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.state();
        loop {
            if std::mem::take(&mut state.has_missed) {
                return Err(WatchError::Missed { limit: self.limit });
            }
            if let Some(key) = state.order.pop_front() {
                let is_there = state.is_there.remove(&key);
                let key = key.to_string();
                return Ok(is_there.map(|is| if is { Presence::Came(key) } else { Presence::Went(key) }));
            }
            if state.is_closed {
                return Err(WatchError::Closed);
            }
            state = match wait_until(&self.changed, state, deadline) {
                Some(state) => state,
                None => return Ok(None),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    fn came(key: &str) -> Result<Option<Presence>, WatchError> {
        Ok(Some(Presence::Came(key.into())))
    }

    fn went(key: &str) -> Result<Option<Presence>, WatchError> {
        Ok(Some(Presence::Went(key.into())))
    }

    #[test]
    fn what_became_of_a_key_last_is_told_however_often_it_changed() {
        let changes = Changes::new(2);
        for _ in 0..10 {
            changes.push("a", true);
            changes.push("b", false);
            changes.push("a", false);
            changes.push("b", true);
        }
        assert_eq!([changes.pop(NOW), changes.pop(NOW), changes.pop(NOW)], [went("a"), came("b"), Ok(None)]);
    }

    #[test]
    fn who_has_missed_some_is_told_so_once_and_then_what_changes_after() {
        let changes = Changes::new(2);
        for key in ["a", "b", "c", "d"] {
            changes.push(key, true);
        }
        changes.push("a", false);
        let missed = Err(WatchError::Missed { limit: 2 });
        assert_eq!([changes.pop(NOW), changes.pop(NOW)], [missed, came("d")]);
        assert_eq!([changes.pop(NOW), changes.pop(NOW)], [went("a"), Ok(None)]);
        for key in ["a", "b"] {
            changes.push(key, true);
        }
        assert_eq!([changes.pop(NOW), changes.pop(NOW), changes.pop(NOW)], [came("a"), came("b"), Ok(None)]);
    }

    #[test]
    fn what_has_changed_is_told_before_the_end() {
        let changes = Arc::new(Changes::new(2));
        changes.push("a", true);
        drop(ClosesAtEnd(Arc::clone(&changes)));
        assert_eq!([changes.pop(NOW), changes.pop(NOW)], [came("a"), Err(WatchError::Closed)]);
    }
}
