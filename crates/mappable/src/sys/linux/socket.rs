//! Unix sockets that keep messages apart (`SOCK_SEQPACKET`), and descriptors that go with a message (`SCM_RIGHTS`).
//!
//! # Safety
//!
//! The raw calls get pointers to buffers of the caller's, with their lengths, which live as long as the call. A descriptor that the
//! kernel has put into this process belongs to nobody else, and is owned as soon as it is read.

#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::time::Duration;

use super::Foreign;
use crate::sys::{Call, count, enter};

/// How many connections may wait to be accepted.
const BACKLOG: libc::c_int = 64;

/// One descriptor's control message, and what the kernel's alignment leaves behind it: room for one descriptor more.
const CONTROL_WORDS: usize = 3;

/// One end of a connection, or what connections are accepted from.
#[derive(Debug)]
pub(crate) struct Socket(End);

#[derive(Debug)]
enum End {
    /// Whoever receives or drops it may wait until descriptors are closed that came with messages.
    Trusted(OwnedFd),
    /// Nobody does.
    Foreign(Foreign),
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// That a message can be sent.
    Room,
    /// That one is there.
    Message,
    Either,
}

/// What came with a message.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    /// How many bytes it has. None is the end, or a message without any.
    pub(crate) len: usize,
    pub(crate) descriptor: Option<Foreign>,
    /// There were more bytes, or more descriptors, than there may be. None of those is given.
    pub(crate) is_too_much: bool,
    /// There were descriptors, and the kernel gave this process none of them: it has as many as it may have, or a security module
    /// refuses them.
    pub(crate) is_short_of_descriptors: bool,
}

fn check(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

fn address(path: &Path) -> io::Result<(libc::sockaddr_un, libc::socklen_t)> {
    let bytes = path.as_os_str().as_bytes();
    // SAFETY: all zeroes are an address without a path.
    let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    if bytes.is_empty() || bytes.contains(&0) || bytes.len() >= address.sun_path.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path of a socket has 1 to 107 bytes"));
    }
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    let len = mem::offset_of!(libc::sockaddr_un, sun_path) + bytes.len() + 1;
    Ok((address, len as libc::socklen_t))
}

impl Socket {
    fn own(raw: RawFd) -> Self {
        Self(End::Trusted(owned(raw)))
    }

    /// The same socket, with an other end that isn't trusted: it may send descriptors that take as long to close as it likes.
    pub(crate) fn foreign(self) -> Self {
        match self.0 {
            End::Trusted(descriptor) => Self(End::Foreign(Foreign::new(descriptor))),
            End::Foreign(_) => self,
        }
    }

    fn is_foreign(&self) -> bool {
        matches!(self.0, End::Foreign(_))
    }

    fn new() -> io::Result<Self> {
        enter(Call::Socket)?;
        // SAFETY: no pointers.
        let socket = check(unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0) })?;
        Ok(Self::own(socket))
    }

    /// Two ends of one connection.
    pub(crate) fn pair() -> io::Result<[Self; 2]> {
        enter(Call::Socket)?;
        let (mut ends, kind) = ([0; 2], libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC);
        // SAFETY: there is room for two numbers.
        check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) })?;
        Ok(ends.map(Self::own))
    }

    /// A connection that was made elsewhere.
    pub(crate) fn of(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = Self(End::Trusted(descriptor));
        let is_right =
            socket.option(libc::SO_DOMAIN)? == libc::AF_UNIX && socket.option(libc::SO_TYPE)? == libc::SOCK_SEQPACKET;
        if !is_right {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a Unix socket of the type SOCK_SEQPACKET"));
        }
        Ok(socket)
    }

    fn option(&self, name: libc::c_int) -> io::Result<libc::c_int> {
        let (mut value, mut len) = (0, mem::size_of::<libc::c_int>() as libc::socklen_t);
        count();
        // SAFETY: there is room for a number, and `len` says how much.
        check(unsafe { libc::getsockopt(self.raw(), libc::SOL_SOCKET, name, (&raw mut value).cast(), &raw mut len) })?;
        Ok(value)
    }

    /// Who the other end was when the connection was made.
    pub(crate) fn peer(&self) -> io::Result<libc::ucred> {
        let mut peer = libc::ucred { pid: 0, uid: libc::uid_t::MAX, gid: libc::gid_t::MAX };
        let mut len = mem::size_of_val(&peer) as libc::socklen_t;
        let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERCRED);
        count();
        // SAFETY: there is room for a record of that kind, and `len` says how much.
        check(unsafe { libc::getsockopt(self.raw(), level, name, (&raw mut peer).cast(), &raw mut len) })?;
        Ok(peer)
    }

    pub(crate) fn listen(path: &Path) -> io::Result<Self> {
        let socket = Self::new()?;
        let (address, len) = address(path)?;
        // SAFETY: `address` is one of that length.
        check(unsafe { libc::bind(socket.raw(), (&raw const address).cast(), len) })?;
        // SAFETY: no pointers.
        check(unsafe { libc::listen(socket.raw(), BACKLOG) })?;
        // Whoever has connected may have sent descriptors before it is accepted.
        Ok(socket.foreign())
    }

    pub(crate) fn connect(path: &Path) -> io::Result<Self> {
        let socket = Self::new()?;
        let (address, len) = address(path)?;
        // SAFETY: `address` is one of that length.
        check(unsafe { libc::connect(socket.raw(), (&raw const address).cast(), len) })?;
        Ok(socket)
    }

    pub(crate) fn accept(&self) -> io::Result<Self> {
        loop {
            enter(Call::Socket)?;
            // SAFETY: who connects is not asked for.
            let one = unsafe { libc::accept4(self.raw(), ptr::null_mut(), ptr::null_mut(), libc::SOCK_CLOEXEC) };
            match check(one) {
                Ok(socket) => return Ok(Self::own(socket)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a message, or none of it: with nobody to read it an error ([`io::ErrorKind::BrokenPipe`]), without room another
    /// ([`io::ErrorKind::WouldBlock`]).
    pub(crate) fn send(&self, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let mut control = [0u64; CONTROL_WORDS];
        // SAFETY: all zeroes are a message of nothing.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
        if let Some(descriptor) = descriptor {
            let len = mem::size_of::<RawFd>() as libc::c_uint;
            message.msg_control = control.as_mut_ptr().cast();
            // SAFETY: arithmetic alone.
            message.msg_controllen = unsafe { libc::CMSG_SPACE(len) } as _;
            // SAFETY: the control buffer has room for a header and one number, and is aligned for both.
            let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
            // SAFETY: as above; it is not null.
            let header = unsafe { &mut *header };
            (header.cmsg_level, header.cmsg_type) = (libc::SOL_SOCKET, libc::SCM_RIGHTS);
            // SAFETY: arithmetic alone.
            header.cmsg_len = unsafe { libc::CMSG_LEN(len) } as _;
            // SAFETY: it has room for one number behind it.
            let data = unsafe { libc::CMSG_DATA(header) };
            // SAFETY: as above.
            unsafe { ptr::write_unaligned(data.cast(), descriptor.as_raw_fd()) };
        }
        loop {
            enter(Call::SendMessage)?;
            // SAFETY: all that the message points to lives.
            let sent =
                unsafe { libc::sendmsg(self.raw(), &raw const message, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) };
            match sent {
                sent if sent >= 0 => return Ok(()),
                _ => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error => return Err(error),
                },
            }
        }
    }

    /// The next message, of up to as many bytes as there is room for. Waits for it, or says [`io::ErrorKind::WouldBlock`].
    pub(crate) fn receive(&self, into: &mut [u8], waits: bool) -> io::Result<Arrived> {
        let flags = if waits { 0 } else { libc::MSG_DONTWAIT };
        if !self.is_foreign() {
            return self.receive_as(into, flags);
        }
        // When a message leaves the queue, the kernel closes those of its descriptors that it doesn't give to this process. So the message is
        // looked at first. If there are such descriptors it stays, until the socket is closed.
        let arrived = self.receive_as(into, flags | libc::MSG_PEEK)?;
        if !arrived.is_too_much && !arrived.is_short_of_descriptors {
            self.take_off()?;
        }
        Ok(arrived)
    }

    /// Takes the message that was looked at off the queue.
    fn take_off(&self) -> io::Result<()> {
        loop {
            enter(Call::ReceiveMessage)?;
            // SAFETY: nothing is written.
            match unsafe { libc::recv(self.raw(), ptr::null_mut(), 0, libc::MSG_DONTWAIT) } {
                taken if taken >= 0 => return Ok(()),
                _ => match io::Error::last_os_error() {
                    // That the other end is gone meanwhile is said once, and the message stays.
                    error if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionReset) => {}
                    error => return Err(error),
                },
            }
        }
    }

    fn receive_as(&self, into: &mut [u8], flags: libc::c_int) -> io::Result<Arrived> {
        let mut part = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
        let mut control = [0u64; CONTROL_WORDS];
        // SAFETY: all zeroes are a message of nothing.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = mem::size_of_val(&control) as _;
        let len = loop {
            enter(Call::ReceiveMessage)?;
            // SAFETY: all that the message points to lives, and has as much room as it says.
            let len = unsafe { libc::recvmsg(self.raw(), &raw mut message, flags | libc::MSG_CMSG_CLOEXEC) };
            match usize::try_from(len) {
                Ok(len) => break len,
                Err(_) => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error => return Err(error),
                },
            }
        };
        let mut arrived = Arrived { len, ..Arrived::default() };
        arrived.is_too_much = message.msg_flags & libc::MSG_TRUNC != 0;
        // SAFETY: the kernel has filled the control buffer as far as it says.
        let mut header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
        while !header.is_null() {
            // SAFETY: it is inside of what the kernel has filled.
            let found = unsafe { &*header };
            if (found.cmsg_level, found.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                // SAFETY: arithmetic alone.
                let before = unsafe { libc::CMSG_LEN(0) } as usize;
                let descriptors = (found.cmsg_len as usize).saturating_sub(before) / mem::size_of::<RawFd>();
                // SAFETY: the numbers are behind the header.
                let data = unsafe { libc::CMSG_DATA(header) }.cast::<RawFd>();
                for at in 0..descriptors {
                    // SAFETY: the header says that there are so many numbers.
                    let raw = unsafe { ptr::read_unaligned(data.wrapping_add(at)) };
                    arrived.is_too_much |= arrived.descriptor.replace(Foreign::new(owned(raw))).is_some();
                }
            }
            // SAFETY: as for the first.
            header = unsafe { libc::CMSG_NXTHDR(&raw const message, header) };
        }
        if message.msg_flags & libc::MSG_CTRUNC != 0 {
            // There is room for one, so that there is none at all is not for want of room.
            arrived.is_short_of_descriptors = arrived.descriptor.is_none();
            arrived.is_too_much |= arrived.descriptor.is_some();
        }
        if arrived.is_too_much {
            arrived.descriptor = None;
        }
        Ok(arrived)
    }

    /// Waits until a message can be sent, until one is there, or until either is so. `false` if that is not within that time.
    pub(crate) fn wait(&self, until: Until, within: Option<Duration>) -> io::Result<bool> {
        let events = match until {
            Until::Room => libc::POLLOUT,
            Until::Message => libc::POLLIN,
            Until::Either => libc::POLLIN | libc::POLLOUT,
        };
        let millis = within.map_or(-1, |within| i32::try_from(within.as_millis().max(1)).unwrap_or(i32::MAX));
        Ok(self.poll(events, millis)? != 0)
    }

    /// Whether the other end is gone: nobody has a descriptor of it, or it has shut both directions.
    pub(crate) fn is_hung_up(&self) -> io::Result<bool> {
        Ok(self.poll(0, 0)? & libc::POLLHUP != 0)
    }

    /// What of the events is so, at the end of that time. None if a signal came.
    fn poll(&self, events: libc::c_short, millis: libc::c_int) -> io::Result<libc::c_short> {
        let mut poll = libc::pollfd { fd: self.raw(), events, revents: 0 };
        count();
        // SAFETY: one record.
        match check(unsafe { libc::poll(&raw mut poll, 1, millis) }) {
            Ok(_) => Ok(poll.revents),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Has [`Socket::receive`] wait no longer than that: it says [`io::ErrorKind::WouldBlock`] then.
    pub(crate) fn wait_at_most(&self, time: Duration) -> io::Result<()> {
        let time = libc::timeval { tv_sec: time.as_secs() as _, tv_usec: time.subsec_micros() as _ };
        let len = mem::size_of_val(&time) as libc::socklen_t;
        count();
        // SAFETY: `time` is one of that length.
        check(unsafe {
            libc::setsockopt(self.raw(), libc::SOL_SOCKET, libc::SO_RCVTIMEO, (&raw const time).cast(), len)
        })?;
        Ok(())
    }

    /// Takes no message any more, and goes on sending. The other end hears when it sends.
    pub(crate) fn shut(&self) {
        count();
        // SAFETY: no pointers. That the other end has shut it already is no error of ours.
        unsafe { libc::shutdown(self.raw(), libc::SHUT_RD) };
    }

    /// Ends both directions, where the socket may stay open after it is dropped. The other end hears it as if it were closed.
    pub(crate) fn end(&self) {
        if self.is_foreign() {
            count();
            // SAFETY: no pointers. That it is not connected any more is no error of ours.
            unsafe { libc::shutdown(self.raw(), libc::SHUT_RDWR) };
        }
    }

    fn raw(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            End::Trusted(descriptor) => descriptor.as_fd(),
            End::Foreign(descriptor) => descriptor.as_fd(),
        }
    }
}

/// A descriptor that the kernel has just made for us.
fn owned(raw: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just put it into this process, and its number is written down nowhere else.
    unsafe { OwnedFd::from_raw_fd(raw) }
}
