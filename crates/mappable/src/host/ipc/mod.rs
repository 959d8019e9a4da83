//! Regions and frozen bytes handed over between processes, through a Unix socket.
//!
//! ```text
//!   Listener          where others connect
//!   Connection        one end: sends and receives
//!    ├ Tables         the blocks that both ends know, by number
//!    └ Link           the socket, open as long as anything is held that came by it
//! ```
//!
//! A *block* is a file in memory with one region, of which a descriptor goes over the socket once. From then on a hop is one message of 40
//! bytes that names the block by number: one system call to send and one to receive (two if the peer isn't trusted), at any size, and
//! neither end maps anything anew.
//!
//! Ownership goes with the message. After [`Connection::send`] this process can't touch the region: the value is gone. When the
//! receiver drops it, or its process ends in whatever way, the region comes back or is freed, which the sender chooses
//! ([`Afterwards`]). When the sender's process ends, the receiver has the region as before. Frozen bytes are sent over any number of
//! connections, and are kept until the last of the receivers is done with them.
//!
//! Nothing that the other end says is believed: numbers, sizes and descriptors are checked, and an end that lies is cut off. Whether bytes stay as
//! they are is another matter: see [`Trust`], which both ends take the same.
//!
//! The queue is bounded, by what the socket takes and by [`Settings::blocks`]: an end that does not receive has the other wait
//! ([`Connection::send`]) or told ([`Connection::try_send`]).
//!
//! ```
//! use mappable::ipc::{Afterwards, Connection, Received, Settings};
//! use mappable::{Runtime, Trust};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Each in its process; here both are in one.
//! let (here, there) = (Runtime::new()?, Runtime::new()?);
//! // SAFETY: both ends use this library.
//! let settings = Settings::new(unsafe { Trust::peer() });
//! let (sender, receiver) = Connection::pair(&here, &there, settings)?;
//!
//! let mut region = here.allocate_exportable(1 << 20)?;
//! region.bytes_mut()?.fill(7);
//! sender.send(region, 0, Afterwards::GiveBack)?;
//! let Received::Region { mut region, .. } = receiver.receive()? else { unreachable!() };
//! assert_eq!(region.bytes()?[..], [7; 1 << 20]);
//!
//! // Sent on, or back, or dropped: then its sender has it again.
//! region.bytes_mut()?[0] = 8;
//! drop(region);
//! let Received::Returned { region, .. } = sender.receive()? else { unreachable!() };
//! assert_eq!(region.bytes()?[0], 8);
//! # Ok(())
//! # }
//! ```

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use super::runtime::Runtime;
use crate::region::Trust;
use crate::sys::{Socket, wait_to_close};

mod connection;
mod error;
mod held;
mod link;
mod message;
mod peer;
mod tables;

pub use connection::{Afterwards, Connection, Received};
pub use error::{ReceiveError, SendError, SendFailed};
pub use peer::Peer;

/// How two ends get on. Both take the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// What is taken on trust.
    pub trust: Trust,
    /// How many blocks of one end the other may know, and so have at once. 64 by default; each takes a descriptor in both
    /// processes.
    pub blocks: u32,
    /// The largest region that is received, in bytes. 4 GiB by default.
    pub max: u64,
}

impl Settings {
    /// Settings with that trust, and otherwise the defaults. [`Listener`] has an example.
    pub const fn new(trust: Trust) -> Self {
        Self { trust, blocks: 64, max: 4 << 30 }
    }

    /// These settings, with another [`blocks`](Self#structfield.blocks), one at the least. [`Listener`] has an example.
    #[must_use]
    pub const fn blocks(self, blocks: u32) -> Self {
        Self { blocks: if blocks == 0 { 1 } else { blocks }, ..self }
    }

    /// These settings, with another [`max`](Self#structfield.max). [`Listener`] has an example.
    #[must_use]
    pub const fn max(self, max: u64) -> Self {
        Self { max, ..self }
    }

    /// Waits a time for room for what another peer could leave to close. A trusted one leaves nothing.
    fn wait_to_close(self) -> io::Result<()> {
        if self.trust.is_peer { Ok(()) } else { wait_to_close() }
    }
}

/// Where other processes connect: a Unix socket in the file system. Who may is up to the rights of the folder that it is in.
///
/// ```
/// use mappable::ipc::{Connection, Listener, Received, Settings};
/// use mappable::{Runtime, Trust};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("socket");
/// // Neither trusts the other; no region is larger than 1 MiB; at most 8 are at the other end.
/// let settings = Settings::new(Trust::SEALS).max(1 << 20).blocks(8);
/// let listener = Listener::bind(&path)?;
///
/// // In another process:
/// # let there = std::thread::spawn(move || -> Result<(), std::io::Error> {
/// let runtime = Runtime::new().map_err(std::io::Error::other)?;
/// let connection = Connection::connect(&runtime, &path, settings)?;
/// let words = runtime.allocate_from(b"hello").unwrap().freeze().unwrap();
/// connection.send_frozen(&words, 7).unwrap();
/// # Ok(())
/// # });
///
/// let runtime = Runtime::new()?;
/// let connection = listener.accept(&runtime, settings)?;
/// let Received::Frozen { frozen, tag: 7 } = connection.receive()? else { unreachable!() };
/// assert_eq!(frozen[..], *b"hello");
/// # there.join().unwrap()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    path: PathBuf,
    /// Which file is there by this listener.
    file: Option<FileAt>,
}

/// What tells a file from another that has its path later. The socket keeps its file, so no other has these numbers while it is open.
type FileAt = (u64, u64);

impl Listener {
    /// Listens at a path where there is nothing, or a socket that nobody has any more: a process that is killed leaves it. The socket
    /// there goes with the listener.
    ///
    /// Two processes that find such a socket at the same moment can take it from one another: agree on who listens.
    ///
    /// # Errors
    ///
    /// The operating system's: [`io::ErrorKind::AddrInUse`] if somebody listens there, or there is another file.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let socket = Socket::listen(path).or_else(|error| {
            if error.kind() != io::ErrorKind::AddrInUse || !is_left_behind(path) {
                return Err(error);
            }
            fs::remove_file(path)?;
            Socket::listen(path)
        })?;
        Ok(Self { socket, path: path.to_owned(), file: file_at(path) })
    }

    /// Waits for a process that connects. [`Connection::peer`] says which that is, before anything is received from it.
    ///
    /// # Errors
    ///
    /// The operating system's. [`io::ErrorKind::ResourceBusy`], for peers that are not trusted, after a second in which 64 descriptors or
    /// more were left to close that such have sent: whoever has connected is accepted later.
    pub fn accept(&self, runtime: &Runtime, settings: Settings) -> io::Result<Connection> {
        settings.wait_to_close()?;
        Connection::new(runtime, self.socket.accept()?, settings)
    }
}

impl AsFd for Listener {
    /// The socket, to wait for it together with others (`poll`): it is readable when somebody has connected.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Somebody may have removed it, and another may listen there.
        if self.file.is_none() || self.file != file_at(&self.path) {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "a socket was not removed");
        }
    }
}

fn file_at(path: &Path) -> Option<FileAt> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Whether it is a socket that no process has any more.
fn is_left_behind(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    // This socket's type is not a listener's. So the kernel refuses it by its type where a listener lives, which hears nothing of it.
    let connected = UnixDatagram::unbound().and_then(|socket| socket.connect(path));
    is_socket && connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}
