//! Descriptors that take long to close: nobody waits for whoever has sent them. (TCP sockets that linger stand for all.)

#![allow(unsafe_code)]

use std::io::{self, Read, Write};
use std::mem;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use mappable::ipc::{Connection, Listener, ReceiveError, Settings};
use mappable::{Exported, Frozen, GRANULE, Mappable, Trust};

use super::ipc::{DESCRIPTOR, FROZEN, Liar, REGION, TRUSTS};
use crate::support::*;

/// How long it takes to close the socket.
const LINGERS: libc::c_int = 8;

/// A socket that lingers, and its other end, which reads nothing.
fn slow() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (never_reads, _) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    while socket.write(&[0; 65_536]).is_ok() {}
    socket.set_nonblocking(false).unwrap();
    let linger = libc::linger { l_onoff: 1, l_linger: LINGERS };
    let (len, level) = (mem::size_of_val(&linger) as libc::socklen_t, libc::SOL_SOCKET);
    // SAFETY: `linger` is one of that length.
    let set = unsafe { libc::setsockopt(socket.as_raw_fd(), level, libc::SO_LINGER, (&raw const linger).cast(), len) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
    (socket, never_reads)
}

fn soon<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let answer = act();
    assert!(begun.elapsed() < Duration::from_secs(2), "{what} took {:?}", begun.elapsed());
    answer
}

/// What arrives is `many` times a socket that lingers, and nobody else has it then.
fn say_slow(liar: &Liar, kind: u64, many: usize) -> TcpStream {
    let (socket, never_reads) = slow();
    let descriptors: Vec<RawFd> = vec![socket.as_raw_fd(); many];
    liar.say([kind, 0, GRANULE, 1, 0], &descriptors);
    never_reads
}

#[test]
fn whoever_receives_what_takes_long_to_close_does_not_wait_for_it() {
    let mut kept = vec![];
    for (kind, many) in [(FROZEN | DESCRIPTOR, 1), (REGION | DESCRIPTOR, 1), (REGION, 1), (FROZEN | DESCRIPTOR, 2)] {
        for trust in TRUSTS {
            let (liar, honest) = Liar::new(trust);
            kept.push(say_slow(&liar, kind, many));
            let refused = soon("to receive", || honest.try_receive()).unwrap_err();
            assert!(matches!(refused, ReceiveError::Protocol(_) | ReceiveError::Import(_)), "{refused}");
            soon("to close", || drop(honest));
        }
    }
    // More than a message has room for: those the kernel would close itself.
    let (liar, honest) = Liar::new(Trust::SEALS);
    kept.push(say_slow(&liar, FROZEN | DESCRIPTOR, 100));
    let refused = soon("to receive", || honest.try_receive()).unwrap_err();
    assert!(matches!(refused, ReceiveError::Protocol(_)), "{refused}");
    soon("to close", || drop(honest));
}

#[test]
fn whoever_drops_a_connection_does_not_wait_for_what_is_in_its_queue() {
    let mut kept = vec![];
    for receives in [true, false] {
        let (liar, honest) = Liar::new(Trust::SEALS);
        kept.extend([FROZEN | DESCRIPTOR, REGION | DESCRIPTOR].map(|kind| say_slow(&liar, kind, 1)));
        if receives {
            soon("to receive", || honest.try_receive()).unwrap_err();
        }
        soon("to close", || drop(honest));
        // It hears of the end at once.
        let mut poll = libc::pollfd { fd: liar.0.as_raw_fd(), events: 0, revents: 0 };
        // SAFETY: one record.
        assert_eq!((unsafe { libc::poll(&raw mut poll, 1, 0) }, poll.revents & libc::POLLHUP), (1, libc::POLLHUP));
    }
}

#[test]
fn whoever_drops_a_listener_does_not_wait_for_what_was_sent_to_it() {
    let path = std::env::temp_dir().join(format!("mappable-ipc-{}-closing", std::process::id()));
    let listener = Listener::bind(&path).unwrap();
    let one = Connection::connect(&Setup::Swap.runtime(), &path, Settings::new(Trust::SEALS)).unwrap();
    let liar = Liar(one.as_fd().try_clone_to_owned().unwrap());
    let _kept = say_slow(&liar, FROZEN | DESCRIPTOR, 1);
    soon("to close", || drop(listener));
    assert!(!path.exists());
}

#[test]
fn whoever_imports_what_takes_long_to_close_does_not_wait_for_it() {
    let runtime = Setup::Swap.runtime();
    let mut kept = vec![];
    for trust in TRUSTS {
        // Refused for its kind, and for its numbers.
        for len in [1, GRANULE + 1] {
            let exported = || {
                let (socket, never_reads) = slow();
                (Exported::new(OwnedFd::from(socket), 0, GRANULE, len), never_reads)
            };
            let (one, other) = (exported(), exported());
            soon("to import", || Frozen::import(&runtime, one.0, trust, GRANULE)).unwrap_err();
            soon("to import", || Mappable::import(&runtime, other.0, trust, GRANULE)).unwrap_err();
            kept.extend([one.1, other.1]);
        }
    }
}

#[test]
fn what_is_refused_is_closed() {
    for many in [1, 2, 100] {
        let (liar, honest) = Liar::new(Trust::SEALS);
        let (mut reads, writes) = io::pipe().unwrap();
        liar.say([FROZEN | DESCRIPTOR, 0, GRANULE, 1, 0], &vec![writes.as_raw_fd(); many]);
        drop(writes);
        honest.try_receive().unwrap_err();
        drop(honest);
        // The end comes when nobody has the other end of the pipe, here or in a queue.
        assert_eq!(reads.read(&mut [0]).unwrap(), 0, "{many}");
    }
}
