//! One end of a connection, as its application has it. What it sends is in `outgoing`, what it receives in `incoming`.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Settings;
use super::error::{ReceiveError, SendError, SendFailed};
use super::link::Link;
use super::message::{Message, VERSION, Words, flag, kind};
use super::peer::Peer;
use super::tables::Tables;
use crate::host::runtime::Runtime;
use crate::region::{Frozen, Mappable};
use crate::sys::Socket;

mod incoming;
mod outgoing;

/// What becomes of a region that the other end drops, or that it has when its process ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Afterwards {
    /// It comes back: [`Received::Returned`]. Its bytes are whatever the other end has left there, in the middle of its work
    /// perhaps. From a peer that is not trusted it comes back only if that peer is gone before it has made its copy, and
    /// then as it was sent. A trusted peer that maps regions by copying gives the region back as soon as it has received it.
    GiveBack,
    /// Its memory is freed. A trusted peer may also have it for good, to send it on to a third process without a copy.
    #[default]
    Free,
}

/// What a connection has brought.
#[derive(Debug)]
#[non_exhaustive]
pub enum Received {
    /// A region, which is this process's from here on.
    Region {
        /// The region.
        region: Mappable,
        /// What it was sent with.
        tag: u64,
    },
    /// A reference to frozen bytes, which may be those of a reference that this process has sent.
    Frozen {
        /// The reference.
        frozen: Frozen,
        /// What it was sent with.
        tag: u64,
    },
    /// A region that this process has sent, and that the other end is done with ([`Afterwards::GiveBack`]).
    Returned {
        /// The region.
        region: Mappable,
        /// What it was sent with.
        tag: u64,
    },
}

/// One end of a connection between two processes, over which regions and frozen bytes are handed over.
///
/// [`Listener`](super::Listener) has an example of two processes that connect, [`ipc`](super) one of a region that comes
/// back. This one is of an end that does not wait:
///
/// ```
/// use std::time::Duration;
///
/// use mappable::ipc::{Afterwards, Connection, ReceiveError, Received, SendError, Settings};
/// use mappable::{Runtime, Trust};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (here, there) = (Runtime::new()?, Runtime::new()?);
/// // SAFETY: both ends use this library.
/// let settings = Settings::new(unsafe { Trust::peer() }).blocks(1);
/// let (sender, receiver) = Connection::pair(&here, &there, settings)?;
/// assert!(matches!(receiver.try_receive(), Err(ReceiveError::Empty)));
///
/// sender.try_send(here.allocate_exportable(100_000)?, 0, Afterwards::Free)?;
/// assert_eq!(sender.away(), 1);
/// // The settings allow one region at the other end: a second one comes back.
/// let failed = sender.try_send(here.allocate_exportable(100_000)?, 1, Afterwards::Free).unwrap_err();
/// assert!(matches!(failed.reason, SendError::Blocks(1) | SendError::Full));
///
/// let received = receiver.receive_within(Duration::from_secs(10))?;
/// assert!(matches!(received, Received::Region { tag: 0, .. }));
/// drop(received);
/// // Waits until the other end has nothing of this one any more.
/// assert!(sender.settle()?);
///
/// let words = failed.region.freeze()?;
/// sender.try_send_frozen(&words, 2)?;
/// assert!(matches!(receiver.receive()?, Received::Frozen { tag: 2, .. }));
/// # Ok(())
/// # }
/// ```
pub struct Connection {
    link: Arc<Link>,
    runtime: Runtime,
    settings: Settings,
    tables: Arc<Mutex<Tables>>,
    /// Is told when a thread has received something, if others wait for that.
    received: Condvar,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects to whoever listens at a path. [`Listener`](super::Listener) has an example.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn connect(runtime: &Runtime, path: impl AsRef<Path>, settings: Settings) -> io::Result<Self> {
        settings.wait_to_close()?;
        Self::new(runtime, Socket::connect(path.as_ref())?, settings)
    }

    /// Two ends in one process, for tests, or for a process that is forked.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn pair(here: &Runtime, there: &Runtime, settings: Settings) -> io::Result<(Self, Self)> {
        settings.wait_to_close()?;
        let [one, other] = Socket::pair()?;
        Ok((Self::new(here, one, settings)?, Self::new(there, other, settings)?))
    }

    /// A connection over a socket that was made elsewhere: a Unix socket of the type `SOCK_SEQPACKET`, of which nobody else has a
    /// descriptor.
    ///
    /// ```
    /// use mappable::ipc::{Connection, Settings};
    /// use mappable::{Runtime, Trust};
    ///
    /// # use std::os::fd::{FromRawFd, OwnedFd};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (mut ends, kind) = ([0; 2], libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC);
    /// # assert_eq!(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) }, 0);
    /// # let [one, other] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
    /// let (here, there) = (Runtime::new()?, Runtime::new()?);
    /// // `one` and `other` are the ends of a `socketpair`: one for this process, the other for a child, say.
    /// let one = Connection::over(&here, one, Settings::new(Trust::SEALS))?;
    /// let other = Connection::over(&there, other, Settings::new(Trust::SEALS))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The operating system's, and [`io::ErrorKind::InvalidInput`] for a descriptor of another kind.
    pub fn over(runtime: &Runtime, socket: OwnedFd, settings: Settings) -> io::Result<Self> {
        let socket = Socket::of(socket)?;
        settings.wait_to_close()?;
        Self::new(runtime, socket, settings)
    }

    pub(super) fn new(runtime: &Runtime, socket: Socket, settings: Settings) -> io::Result<Self> {
        let socket = if settings.trust.is_peer { socket } else { socket.foreign() };
        let flags = if settings.trust.is_peer { flag::TRUSTS } else { 0 };
        let hello = Message { kind: kind::HELLO, flags, block: VERSION, blocks: settings.blocks, ..Message::default() };
        match socket.send(bytemuck::bytes_of(&hello.words()), None) {
            // Whoever is gone already is found gone when something is sent or received.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        }
        let tables = Arc::new(Mutex::new(Tables::new(settings.blocks)));
        Ok(Self { link: Link::new(socket)?, runtime: runtime.clone(), settings, tables, received: Condvar::new() })
    }

    /// The process at the other end, as the kernel knows it. An embedder that trusts a peer can ask for it, and drop a connection to
    /// another user's process before it sends or receives anything.
    ///
    /// ```
    /// # use mappable::ipc::{Connection, Settings};
    /// # use mappable::{Runtime, Trust};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = Runtime::new()?;
    /// # let (connection, _other) = Connection::pair(&runtime, &runtime, Settings::new(Trust::SEALS))?;
    /// assert_eq!(connection.peer()?.pid, Some(std::process::id()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn peer(&self) -> io::Result<Peer> {
        Peer::of(&self.link.socket)
    }

    /// Sends a region, with a number of the application's. It is the other end's from here on: it comes back when the other end
    /// sends it back, or by what is to happen `afterwards`. Waits while there is no room, until the other end receives.
    ///
    /// To a trusted peer, a region that is [exportable](Mappable::is_exportable), or was received over this connection, is sent
    /// without a copy. Any other is copied into a file of its own, in which it stays when it comes back; one that was received
    /// over another connection goes back there.
    ///
    /// To a peer that is not trusted, a copy is sent, of which the other end makes another ([`Trust`](crate::Trust)).
    ///
    /// # Errors
    ///
    /// [`SendFailed`], which gives the region back.
    #[allow(clippy::result_large_err, reason = "the region comes back, without an allocation that could fail")]
    pub fn send(&self, region: Mappable, tag: u64, afterwards: Afterwards) -> Result<(), SendFailed> {
        self.send_region(region, tag, afterwards, true)
    }

    /// Sends a region as [`Connection::send`] does, without waiting: [`SendError::Full`] if there is no room.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`].
    #[allow(clippy::result_large_err, reason = "as above")]
    pub fn try_send(&self, region: Mappable, tag: u64, afterwards: Afterwards) -> Result<(), SendFailed> {
        self.send_region(region, tag, afterwards, false)
    }

    /// Sends a reference to frozen bytes, with a number of the application's. The bytes are kept until the other end is done with
    /// them. Waits while there is no room.
    ///
    /// To a trusted peer, bytes that have a file to themselves are sent without a copy, unless it is another process's that may write to it
    /// again: frozen bytes that were received over another connection, or a region that is to go back there. To any peer, bytes that are [sealed](Frozen::seal) are. All
    /// others are copied, with each call.
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub fn send_frozen(&self, frozen: &Frozen, tag: u64) -> Result<(), SendError> {
        self.send_reference(frozen, tag, true)
    }

    /// Sends a reference as [`Connection::send_frozen`] does, without waiting: [`SendError::Full`] if there is no room.
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub fn try_send_frozen(&self, frozen: &Frozen, tag: u64) -> Result<(), SendError> {
        self.send_reference(frozen, tag, false)
    }

    /// Waits for what comes next.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`].
    pub fn receive(&self) -> Result<Received, ReceiveError> {
        loop {
            if let Some(received) = self.next(true, false)? {
                return Ok(received);
            }
        }
    }

    /// What has come already, or [`ReceiveError::Empty`].
    ///
    /// # Errors
    ///
    /// [`ReceiveError`].
    pub fn try_receive(&self) -> Result<Received, ReceiveError> {
        loop {
            if let Some(received) = self.next(false, false)? {
                return Ok(received);
            }
        }
    }

    /// Waits for what comes next, no longer than `within`: [`ReceiveError::Empty`] if nothing has come by then.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`].
    pub fn receive_within(&self, within: Duration) -> Result<Received, ReceiveError> {
        let end = Instant::now() + within;
        loop {
            match self.try_receive() {
                Err(ReceiveError::Empty) => {}
                received => return received,
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ReceiveError::Empty);
            }
            self.wait(left)?;
        }
    }

    /// Waits until the other end has nothing of this one any more: the last reference to frozen bytes that were sent can be
    /// thawed then. Returns `false` if something else has come first, which [`Connection::receive`] gives.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`]. If the other end is gone, it has nothing. If it was cut off, nobody knows what it has:
    /// [`ReceiveError::Closed`].
    pub fn settle(&self) -> Result<bool, ReceiveError> {
        loop {
            if !self.tables().waiting.is_empty() {
                return Ok(false);
            }
            if self.tables().is_cut_off {
                return Err(ReceiveError::Closed);
            }
            if self.away() == 0 {
                return Ok(true);
            }
            self.next(true, true)?;
        }
    }

    /// Waits until something may be there, or no longer than that.
    fn wait(&self, within: Duration) -> io::Result<()> {
        let tables = self.tables();
        if tables.is_receiving {
            self.wait_for_other(tables, within);
            return Ok(());
        }
        drop(tables);
        self.link.wait(Some(within))
    }

    /// How many regions and frozen bytes the other end has of this one.
    pub fn away(&self) -> usize {
        self.tables().away()
    }

    /// The tables, to send by.
    fn open_tables(&self) -> Result<MutexGuard<'_, Tables>, SendError> {
        let tables = self.tables();
        if tables.is_over { Err(SendError::Closed) } else { Ok(tables) }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Connection {
    /// The socket, to wait for it together with others (`poll`): it is readable when [`Connection::try_receive`] may have something.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.socket.as_fd()
    }
}

impl Drop for Connection {
    /// What is held that came by it stays whole, and goes back when it is dropped.
    fn drop(&mut self) {
        self.link.socket.shut();
        // What was not received goes back, or is freed, by the word of who sent it. Then comes the end, which is this one's.
        // An end that was cut off has no word.
        let is_over = self.tables().is_over;
        let mut words = Words::default();
        while !is_over
            && let Ok(arrived) = self.link.socket.receive(bytemuck::bytes_of_mut(&mut words), false)
            && arrived.len > 0
            && self.decline(Message::of(words), arrived).is_ok()
        {}
        self.tables().give_up();
    }
}
