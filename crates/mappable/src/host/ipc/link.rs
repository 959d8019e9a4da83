//! The socket of a connection, which stays open as long as anything is held that came by it.
//!
//! So the end of the socket tells the other end that nothing of its is held any more: this process is gone, or has dropped the
//! connection and all that it received. What is sent on to a third process, or exported, is a copy for that reason: what came by a
//! socket is held in this process alone. A region that its sender doesn't want back needs no copy: the sender is told that it is kept for good, and forgets it.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::message::{Message, kind};
use crate::sys::{Arrived, Socket, Until};

/// A thread that waits to receive doesn't see what another could not send meanwhile: so it looks that often.
const FLUSHED_EACH: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Link {
    pub(super) socket: Socket,
    /// How often the other end is to hear that a block is done with, where it had no room for that: no more than it has blocks.
    unsent: Mutex<BTreeMap<u32, u64>>,
    has_unsent: AtomicBool,
}

impl Link {
    pub(super) fn new(socket: Socket) -> io::Result<Arc<Self>> {
        socket.wait_at_most(FLUSHED_EACH)?;
        Ok(Arc::new(Self { socket, unsent: Mutex::default(), has_unsent: AtomicBool::new(false) }))
    }

    /// The next message. Waits for it, for a time, or says [`io::ErrorKind::WouldBlock`].
    pub(super) fn receive(&self, into: &mut [u8], waits: bool) -> io::Result<Arrived> {
        // The other end may wait for what could not be sent, and send nothing before.
        while waits && self.has_unsent() {
            match self.socket.receive(into, false) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                received => return received,
            }
            self.wait(None)?;
            self.flush();
        }
        self.socket.receive(into, waits)
    }

    /// Waits until there is a message, or room for what could not be sent.
    pub(super) fn wait(&self, within: Option<Duration>) -> io::Result<()> {
        let until = if self.has_unsent() { Until::Either } else { Until::Message };
        self.socket.wait(until, within).map(drop)
    }

    /// Tells the other end that one of its blocks, or a reference to it, is done with, now or later.
    pub(super) fn done(&self, block: u32) {
        *self.unsent().entry(block).or_default() += 1;
        self.has_unsent.store(true, Ordering::Release);
        self.flush();
    }

    /// Sends what could not be sent before, as far as there is room.
    pub(super) fn flush(&self) {
        if !self.has_unsent() {
            return;
        }
        let mut unsent = self.unsent();
        while let Some((&block, &len)) = unsent.first_key_value() {
            let message = Message { kind: kind::DONE, block, len, ..Message::default() };
            match self.socket.send(bytemuck::bytes_of(&message.words()), None) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Whoever is gone need not hear it.
                Ok(()) | Err(_) => drop(unsent.pop_first()),
            }
        }
        self.has_unsent.store(false, Ordering::Release);
    }

    /// Tells the other end something, now or never. `false` if there is no room. Whoever is gone, or takes nothing any more, need not hear it.
    pub(super) fn tell(&self, message: Message) -> bool {
        let told = self.socket.send(bytemuck::bytes_of(&message.words()), None);
        !told.is_err_and(|error| !is_gone(&error))
    }

    fn has_unsent(&self) -> bool {
        self.has_unsent.load(Ordering::Acquire)
    }

    fn unsent(&self) -> MutexGuard<'_, BTreeMap<u32, u64>> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a message was not sent since nobody receives it.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl Drop for Link {
    fn drop(&mut self) {
        self.socket.end();
    }
}
