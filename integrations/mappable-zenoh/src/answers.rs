//! Replies to queries, sent by threads of their own: sending one waits until the peer that asked reads it, and Zenoh's own reading
//! threads must never wait for a peer.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// How many answers are given at once, by a thread each. Without queries there is none.
const THREADS: usize = 16;

/// How many queries wait for one of the threads.
const WAITING: usize = 1024;

/// How many bytes of theirs are kept meanwhile.
const WAITING_BYTES: usize = 1 << 20;

/// What one bus answers, and has still to answer.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: VecDeque<Answer>,
    bytes: usize,
    threads: usize,
}

struct Answer {
    bytes: usize,
    give: Box<dyn FnOnce() + Send>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { waiting, bytes, threads } = self;
        f.debug_struct("State")
            .field("waiting", &waiting.len())
            .field("bytes", bytes)
            .field("threads", threads)
            .finish()
    }
}

impl Answers {
    /// Has an answer given, which keeps so many bytes until then. Never waits for one. Returns `false` if too many are to be given
    /// before: this one never will.
    pub(crate) fn add(self: &Arc<Self>, bytes: usize, give: impl FnOnce() + Send + 'static) -> bool {
        let answer = Answer { bytes, give: Box::new(give) };
        let mut state = self.state();
        if state.waiting.len() >= WAITING || bytes > WAITING_BYTES - state.bytes {
            drop(state);
            return false;
        }
        state.bytes += bytes;
        state.waiting.push_back(answer);
        if state.threads == THREADS {
            return true;
        }
        state.threads += 1;
        drop(state);
        let answers = Arc::clone(self);
        let begun = thread::Builder::new().name("mappable-answer".into()).spawn(move || answers.give_all());
        begun.is_ok() || self.is_given_without_another()
    }

    /// Gives what waits, until nothing does.
    fn give_all(&self) {
        while let Some(give) = self.next() {
            give();
        }
    }

    fn next(&self) -> Option<Box<dyn FnOnce() + Send>> {
        let mut state = self.state();
        let Some(answer) = state.waiting.pop_front() else {
            state.threads -= 1;
            return None;
        };
        state.bytes -= answer.bytes;
        Some(answer.give)
    }

    /// A thread could not begin. Returns whether there are others. If not, nothing waits any more.
    fn is_given_without_another(&self) -> bool {
        let mut state = self.state();
        state.threads -= 1;
        if state.threads > 0 {
            return true;
        }
        state.bytes = 0;
        let gone = std::mem::take(&mut state.waiting);
        drop(state);
        drop(gone);
        false
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn who_adds_an_answer_never_waits_and_no_more_wait_than_may() {
        let answers = Arc::<Answers>::default();
        let (let_go, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let (given, all) = mpsc::channel();
        let add = |bytes| {
            let (given, gate) = (given.clone(), Arc::clone(&gate));
            answers.add(bytes, move || {
                let _ = gate.lock().unwrap().recv();
                given.send(()).unwrap();
            })
        };
        assert!((0..THREADS).all(|_| add(1)));
        while !answers.state().waiting.is_empty() {
            thread::yield_now();
        }
        assert!(!add(WAITING_BYTES + 1));
        assert!(add(WAITING_BYTES - WAITING + 1));
        assert!(!add(WAITING));
        assert!((1..WAITING).all(|_| add(1)));
        assert!(!add(0));
        drop(let_go);
        for _ in 0..THREADS + WAITING {
            all.recv_timeout(LONG).unwrap();
        }
        drop(given);
        // Each thread ends, and with it what it holds.
        while answers.state().threads > 0 {
            thread::yield_now();
        }
        let State { waiting, bytes, .. } = &*answers.state();
        assert_eq!((waiting.len(), *bytes), (0, 0));
    }
}
