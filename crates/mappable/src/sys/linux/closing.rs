//! Descriptors that take as long to close as another process likes: a TCP socket with data that nobody reads (`SO_LINGER`), a
//! file of a FUSE server that doesn't answer, a Unix socket in whose queue there are such descriptors. Threads of their own close them.
//!
//! # Safety
//!
//! A descriptor is taken out of its [`Foreign`] once, by who consumes that, and is closed once, by its new owner.

#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
#[cfg(feature = "ipc")]
use std::{
    io,
    sync::Condvar,
    time::{Duration, Instant},
};

use crate::sys::count;

/// How many threads close descriptors at the same time. A new connection waits while this many descriptors, or more, are left to close.
const THREADS: usize = 64;

/// How long a new connection waits for that. Where no process stands in the way, all are closed much sooner.
#[cfg(feature = "ipc")]
const PATIENCE: Duration = Duration::from_secs(1);

static CLOSING: Closing = Closing::new(THREADS);

/// A descriptor that another process has sent, or of a socket that others send to. Whoever drops it doesn't wait for that process.
#[derive(Debug)]
pub(crate) struct Foreign(ManuallyDrop<OwnedFd>);

impl Foreign {
    pub(crate) fn new(descriptor: OwnedFd) -> Self {
        Self(ManuallyDrop::new(descriptor))
    }

    /// The descriptor, for who knows that it is closed at once, or sees to it.
    pub(crate) fn into_known(self) -> OwnedFd {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: this value is consumed, and nothing is dropped of it.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }
}

impl AsFd for Foreign {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // SAFETY: this is the last use of it.
        CLOSING.close(unsafe { ManuallyDrop::take(&mut self.0) });
    }
}

/// Waits until there is room for the descriptors that another peer could leave to close. An error if there is none after a time.
#[cfg(feature = "ipc")]
pub(crate) fn wait_to_close() -> io::Result<()> {
    CLOSING.wait(PATIENCE)
}

/// How many descriptors of this process are being closed by threads, or wait for one.
#[cfg(feature = "internals")]
pub fn left_to_close() -> usize {
    CLOSING.state().left()
}

/// Descriptors that are being closed, and the threads that do it.
struct Closing {
    threads: usize,
    state: Mutex<State>,
    #[cfg(feature = "ipc")]
    closed: Condvar,
}

struct State {
    waiting: VecDeque<OwnedFd>,
    /// How many threads there are. Each is closing a descriptor, or about to take one or to end.
    running: usize,
}

impl State {
    #[cfg(any(feature = "ipc", feature = "internals"))]
    fn left(&self) -> usize {
        self.waiting.len() + self.running
    }
}

impl Closing {
    const fn new(threads: usize) -> Self {
        Self {
            threads,
            state: Mutex::new(State { waiting: VecDeque::new(), running: 0 }),
            #[cfg(feature = "ipc")]
            closed: Condvar::new(),
        }
    }

    fn close(&'static self, descriptor: OwnedFd) {
        let mut state = self.state();
        state.waiting.push_back(descriptor);
        if state.running == self.threads {
            return;
        }
        match thread::Builder::new().name("mappable-close".into()).spawn(|| self.run()) {
            Ok(_) => state.running += 1,
            // It stays open until a thread has time for it, or is made for the next.
            Err(error) => tracing::debug!(%error, "no thread to close a descriptor"),
        }
    }

    /// Closes descriptors until none is left.
    fn run(&self) {
        let mut state = self.state();
        while let Some(descriptor) = state.waiting.pop_front() {
            drop(state);
            count();
            drop(descriptor);
            state = self.state();
            #[cfg(feature = "ipc")]
            self.closed.notify_all();
        }
        state.running -= 1;
        #[cfg(feature = "ipc")]
        self.closed.notify_all();
    }

    #[cfg(feature = "ipc")]
    fn wait(&self, patience: Duration) -> io::Result<()> {
        let end = Instant::now() + patience;
        let mut state = self.state();
        while state.left() >= self.threads {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let text = format!(
                    "peers have sent descriptors that can't be closed, {} of them: no connection is made before they are",
                    state.left()
                );
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
            }
            state = self.closed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, feature = "ipc"))]
mod tests {
    use std::io::Write;
    use std::mem;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn there_are_no_more_threads_than_may_be_and_nothing_is_added_before_there_is_room() {
        let (threads, many) = (2, 5);
        let closing: &'static Closing = Box::leak(Box::new(Closing::new(threads)));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut others = vec![];
        for _ in 0..many {
            let mut socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            others.push(listener.accept().unwrap());
            socket.set_nonblocking(true).unwrap();
            while socket.write(&[0; 65_536]).is_ok() {}
            socket.set_nonblocking(false).unwrap();
            let linger = libc::linger { l_onoff: 1, l_linger: 60 };
            let (len, level) = (mem::size_of_val(&linger) as libc::socklen_t, libc::SOL_SOCKET);
            let raw = socket.as_raw_fd();
            // SAFETY: `linger` is one of that length.
            let set = unsafe { libc::setsockopt(raw, level, libc::SO_LINGER, (&raw const linger).cast(), len) };
            assert_eq!(set, 0);
            closing.close(socket.into());
        }
        let refused = closing.wait(Duration::from_millis(10)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ResourceBusy);
        {
            let state = closing.state();
            assert_eq!((state.running, state.waiting.len()), (threads, many - threads));
        }
        // Whoever reads at last lets them go.
        drop(others);
        closing.wait(Duration::from_secs(60)).unwrap();
        while closing.state().running > 0 {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(closing.state().waiting.is_empty());
    }
}
