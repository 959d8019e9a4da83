//! Who the other end of a connection is.

use std::io;

use crate::sys::Socket;

/// The process at the other end of a connection, as the kernel knows it (`SO_PEERCRED`): what it was when it connected or began to listen,
/// or for a pair of sockets when that was made. It can't choose what is said here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// Its number. None if it is in a PID namespace that this process doesn't see. Once it has ended, another process may have it.
    pub pid: Option<u32>,
    /// Its effective user. A user whom this process's user namespace doesn't have is the overflow user, 65534.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

impl Peer {
    pub(super) fn of(socket: &Socket) -> io::Result<Self> {
        let peer = socket.peer()?;
        let pid = u32::try_from(peer.pid).ok().filter(|&pid| pid != 0);
        Ok(Self { pid, uid: peer.uid, gid: peer.gid })
    }
}
