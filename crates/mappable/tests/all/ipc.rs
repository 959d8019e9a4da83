//! Regions and frozen bytes handed over a connection: what arrives and what comes back, at no more than the system calls
//! that a message takes; and ends that lie. Both ends are in this process; `killed.rs` has processes that are killed.

#![allow(unsafe_code)]

use std::fs::{self, File};
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::ptr;
use std::thread;
use std::time::Duration;

use mappable::ipc::{Afterwards, Connection, Listener, ReceiveError, Received, SendError, Settings};
use mappable::{Frozen, GRANULE, Mappable, Runtime, Trust};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::process::{getegid, geteuid};

use crate::support::*;

// SAFETY: both ends are in this process and use the library, or are there to show what a peer can do that is trusted.
pub(super) const PEER: Trust = unsafe { Trust::peer() };
pub(super) const TRUSTS: [Trust; 2] = [Trust::SEALS, PEER];

/// Two ends, of runtimes of their own.
pub(super) fn ends(trust: Trust) -> (Runtime, Connection, Connection) {
    let (here, there) = (Setup::Swap.runtime(), Setup::Swap.runtime());
    let (one, other) = Connection::pair(&here, &there, Settings::new(trust)).unwrap();
    (here, one, other)
}

pub(super) fn filled(runtime: &Runtime, granules: u64, byte: u8) -> Mappable {
    let mut region = runtime.allocate_exportable(granules * GRANULE).unwrap();
    region.bytes_mut().unwrap().fill(byte);
    region
}

pub(super) fn region(received: Result<Received, ReceiveError>) -> (Mappable, u64) {
    match received {
        Ok(Received::Region { region, tag }) => (region, tag),
        other => panic!("no region: {other:?}"),
    }
}

pub(super) fn frozen(received: Result<Received, ReceiveError>) -> Frozen {
    match received {
        Ok(Received::Frozen { frozen, .. }) => frozen,
        other => panic!("no frozen bytes: {other:?}"),
    }
}

pub(super) fn returned(received: Result<Received, ReceiveError>) -> (Mappable, u64) {
    match received {
        Ok(Received::Returned { region, tag }) => (region, tag),
        other => panic!("nothing was returned: {other:?}"),
    }
}

#[test]
fn a_region_goes_back_and_forth_and_is_one_ends_at_a_time() {
    for trust in TRUSTS {
        let (here, one, other) = ends(trust);
        let mut sent = filled(&here, 2, 1);
        sent.set_len(GRANULE + 5).unwrap();
        for hop in 0..50u64 {
            let (from, to) = if hop % 2 == 0 { (&one, &other) } else { (&other, &one) };
            from.send(sent, hop, Afterwards::Free).unwrap();
            let (mut region, tag) = region(to.receive());
            assert_eq!((tag, region.len(), region.size()), (hop, GRANULE + 5, 2 * GRANULE), "{trust:?}");
            assert!(all_are(region.bytes().unwrap(), 1 + hop as u8), "{trust:?}");
            region.bytes_mut().unwrap().fill(2 + hop as u8);
            sent = region;
        }
        assert!(trust != PEER || (one.away(), other.away()) == (0, 0));
    }
}

#[test]
fn what_lies_with_others_is_copied_once_and_then_no_more() {
    let (here, one, other) = ends(PEER);
    let region = here.allocate_from(&[3; 100]).unwrap();
    assert!(!region.is_exportable());
    one.send(region, 0, Afterwards::GiveBack).unwrap();
    let (region, _) = self::region(other.receive());
    // It is lent, and would go to a third process as a copy.
    assert!(!region.is_exportable() && region.bytes().unwrap() == [3; 100]);
    // A part of one is copied too: the other part is not the receiver's.
    let (low, high) = filled(&here, 2, 4).split(GRANULE).unwrap();
    one.send(low, 0, Afterwards::Free).unwrap();
    let (mut region, _) = self::region(other.receive());
    region.bytes_mut().unwrap().fill(5);
    assert_eq!(region.size(), GRANULE);
    assert!(all_are(high.bytes().unwrap(), 4));
}

#[test]
fn what_the_receiver_drops_comes_back_or_is_freed_as_the_sender_says() {
    let (here, one, other) = ends(PEER);
    one.send(filled(&here, 2, 1), 7, Afterwards::GiveBack).unwrap();
    let (mut region, _) = region(other.receive());
    region.bytes_mut().unwrap().fill(9);
    // In parts, on another thread.
    let (low, high) = region.split(GRANULE).unwrap();
    thread::spawn(move || drop(high)).join().unwrap();
    assert!(matches!(one.try_receive(), Err(ReceiveError::Empty)), "a part of it is held");
    drop(low);
    let (region, tag) = returned(one.receive());
    assert!(tag == 7 && all_are(region.bytes().unwrap(), 9));

    one.send(region, 8, Afterwards::Free).unwrap();
    drop(self::region(other.receive()));
    assert!(matches!(one.try_receive(), Err(ReceiveError::Empty)));
    assert_eq!(one.away(), 0);
}

#[test]
fn when_the_receiver_is_gone_what_it_had_comes_back() {
    for trust in TRUSTS {
        let (here, one, other) = ends(trust);
        one.send(filled(&here, 1, 1), 1, Afterwards::GiveBack).unwrap();
        one.send(filled(&here, 1, 2), 2, Afterwards::Free).unwrap();
        one.send(filled(&here, 1, 3), 3, Afterwards::GiveBack).unwrap();
        let (first, _) = region(other.receive());
        // Closed while it holds the first: what it has not received comes back, and the first stays whole until it is dropped.
        drop(other);
        assert!(all_are(first.bytes().unwrap(), 1));
        let (back, tag) = returned(one.receive());
        assert!(tag == 3 && all_are(back.bytes().unwrap(), 3), "{trust:?}");
        drop(first);
        if trust == PEER {
            let (region, tag) = returned(one.receive());
            assert!(tag == 1 && all_are(region.bytes().unwrap(), 1));
        }
        assert!(matches!(one.receive(), Err(ReceiveError::Closed)), "{trust:?}");
        let failed = one.send(filled(&here, 1, 5), 0, Afterwards::Free).unwrap_err();
        assert!(matches!(failed.reason, SendError::Closed) && all_are(failed.region.bytes().unwrap(), 5));
    }
}

#[test]
fn when_the_sender_is_gone_the_receiver_has_what_it_was_given() {
    for trust in TRUSTS {
        let (here, one, other) = ends(trust);
        let bytes = filled(&here, 1, 2).freeze().unwrap().seal().unwrap();
        let waits = filled(&here, 1, 3);
        one.send(filled(&here, 1, 1), 0, Afterwards::GiveBack).unwrap();
        one.send_frozen(&bytes, 0).unwrap();
        one.send(waits, 0, Afterwards::GiveBack).unwrap();
        let (mut first, _) = region(other.receive());
        let read = frozen(other.receive());
        drop((one, bytes, here));
        // What was on its way arrives.
        let (second, _) = region(other.receive());
        assert!(matches!(other.receive(), Err(ReceiveError::Closed)), "{trust:?}");
        first.bytes_mut().unwrap()[0] = 1;
        assert!(all_are(first.bytes().unwrap(), 1) && all_are(&read, 2) && all_are(second.bytes().unwrap(), 3));
    }
}

#[test]
fn frozen_bytes_go_to_many_and_are_thawed_when_all_are_done() {
    let here = Setup::Swap.runtime();
    let ends: Vec<_> =
        (0..8).map(|_| Connection::pair(&here, &Setup::Swap.runtime(), Settings::new(PEER)).unwrap()).collect();
    let mut region = filled(&here, 2, 0);
    for round in 1..5u8 {
        region.bytes_mut().unwrap().fill(round);
        let bytes = region.freeze().unwrap();
        let mut read = vec![];
        for (from, to) in &ends {
            for tag in 0..2 {
                from.send_frozen(&bytes, tag).unwrap();
                read.push(frozen(to.receive()));
            }
        }
        assert!(read.iter().all(|bytes| all_are(bytes, round)));
        let bytes = bytes.thaw().unwrap_err().frozen;
        drop(read);
        for (from, _) in &ends {
            assert!(from.settle().unwrap());
            assert_eq!(from.away(), 0);
        }
        region = bytes.thaw().unwrap();
    }
}

#[test]
fn regions_of_components_are_alone_in_files_where_the_embedder_says_so() {
    let here = Setup::Swap.builder(Setup::Swap.config()).exportable_regions(true).build().unwrap();
    assert!(here.allocate_from(&[1; 100]).unwrap().is_exportable());
    assert!(!Setup::Swap.runtime().allocate(1).unwrap().is_exportable());
    let fixture: &'static Fixture = Box::leak(Box::new(Fixture::new(Setup::Swap, here)));
    let mut world = fixture.world();
    let guest = world.guest();
    let handle = guest.allocate(&mut world, 2 * GRANULE).unwrap();
    let handle = guest.give(&mut world, handle).unwrap();
    assert!(world.remove(handle).is_exportable());
}

#[test]
fn what_comes_before_all_is_back_waits_to_be_received() {
    let (here, one, other) = ends(PEER);
    one.send(filled(&here, 1, 1), 1, Afterwards::GiveBack).unwrap();
    drop(region(other.receive()));
    assert!(!one.settle().unwrap() && !one.settle().unwrap());
    assert_eq!(returned(one.receive()).1, 1);
    assert!(one.settle().unwrap());
}

#[test]
fn frozen_bytes_that_go_back_are_the_same_bytes() {
    for trust in TRUSTS {
        let (here, one, other) = ends(trust);
        let bytes = filled(&here, 1, 2).freeze().unwrap().seal().unwrap();
        one.send_frozen(&bytes, 0).unwrap();
        let there = frozen(other.receive());
        other.send_frozen(&there, 0).unwrap();
        let back = frozen(one.receive());
        assert_eq!(back.as_ptr(), bytes.as_ptr(), "{trust:?}");
    }
}

#[test]
fn an_end_that_does_not_receive_has_the_other_wait() {
    let here = Setup::Swap.runtime();
    let settings = Settings::new(PEER).blocks(4);
    let (one, other) = Connection::pair(&here, &Setup::Swap.runtime(), settings).unwrap();
    for tag in 0..4 {
        one.send(filled(&here, 1, 1), tag, Afterwards::Free).unwrap();
    }
    let failed = one.try_send(filled(&here, 1, 2), 4, Afterwards::Free).unwrap_err();
    assert!(matches!(failed.reason, SendError::Blocks(4)), "{failed}");
    drop(region(other.receive()));
    drop(one.try_receive());
    one.try_send(failed.region, 4, Afterwards::Free).unwrap();
    // Of references there may be any number, as far as the socket takes them.
    let bytes = filled(&here, 1, 3).freeze().unwrap();
    drop(region(other.receive()));
    drop(one.try_receive());
    let full = (0..100_000).map(|tag| one.try_send_frozen(&bytes, tag)).find_map(Result::err).unwrap();
    assert!(matches!(full, SendError::Full), "{full}");
    let reader = thread::spawn(move || {
        while let Ok(received) = other.receive_within(Duration::from_secs(5)) {
            if matches!(received, Received::Frozen { tag: u64::MAX, .. }) {
                return other;
            }
        }
        panic!("the last reference did not come");
    });
    one.send_frozen(&bytes, u64::MAX).unwrap();
    drop(reader.join().unwrap());
}

#[test]
fn ends_that_do_not_take_the_same_part() {
    let (here, there) = (Setup::Swap.runtime(), Setup::Swap.runtime());
    for (one, other) in
        [(Settings::new(PEER), Settings::new(Trust::SEALS)), (Settings::new(PEER), Settings::new(PEER).blocks(5))]
    {
        let path = std::env::temp_dir().join(format!("mappable-ipc-{}-{}", std::process::id(), other.blocks));
        let listener = Listener::bind(&path).unwrap();
        let _one = Connection::connect(&here, &path, one).unwrap();
        let other = listener.accept(&there, other).unwrap();
        let error = other.receive().unwrap_err();
        assert!(matches!(error, ReceiveError::Protocol(_)), "{error}");
        drop(listener);
        assert!(!path.exists());
    }
}

#[test]
fn a_listener_leaves_what_is_not_its_own_socket() {
    let runtime = Setup::Swap.runtime();
    let path = std::env::temp_dir().join(format!("mappable-ipc-{}-listener", std::process::id()));
    let first = Listener::bind(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let second = Listener::bind(&path).unwrap();
    drop(first);
    let _one = Connection::connect(&runtime, &path, Settings::new(PEER)).unwrap();
    // Other rights make no other file of it.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    drop(second);
    assert!(!path.exists());
}

#[test]
fn a_connection_tells_who_is_at_the_other_end() {
    let runtime = Setup::Swap.runtime();
    let path = std::env::temp_dir().join(format!("mappable-ipc-{}-peer", std::process::id()));
    let listener = Listener::bind(&path).unwrap();
    let one = Connection::connect(&runtime, &path, Settings::new(PEER)).unwrap();
    let other = listener.accept(&runtime, Settings::new(PEER)).unwrap();
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    for end in [one, other] {
        let peer = end.peer().unwrap();
        assert_eq!((peer.pid, peer.uid, peer.gid), (Some(std::process::id()), uid, gid));
    }
}

/// A peer that says what it likes.
pub(super) struct Liar(pub(super) OwnedFd);

const HELLO: u64 = 0x6d61_7001;
const VERSION: u64 = 2;
pub(super) const REGION: u64 = 2;
pub(super) const FROZEN: u64 = 3;
const DONE: u64 = 4;
const KEPT: u64 = 5;
const RECEIVERS: u64 = 1 << 32;
pub(super) const DESCRIPTOR: u64 = 2 << 32;
const SIZE: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);
const ALL: SealFlags = SIZE.union(SealFlags::WRITE);

impl Liar {
    /// A liar, and an end that has been greeted.
    pub(super) fn new(trust: Trust) -> (Self, Connection) {
        let mut ends = [0; 2];
        // SAFETY: there is room for two numbers.
        let made =
            unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr()) };
        assert_eq!(made, 0);
        // SAFETY: both were just made.
        let [liar, honest] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        let connection = Connection::over(&Setup::Swap.runtime(), honest, Settings::new(trust)).unwrap();
        let liar = Self(liar);
        let trusts = if trust == PEER { 4 << 32 } else { 0 };
        liar.say([HELLO | trusts, VERSION | 64 << 32, 0, 0, 0], &[]);
        (liar, connection)
    }

    pub(super) fn say(&self, words: [u64; 5], descriptors: &[RawFd]) {
        self.say_bytes(bytemuck::bytes_of(&words), descriptors);
    }

    fn say_bytes(&self, bytes: &[u8], descriptors: &[RawFd]) {
        let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let mut control = [0u64; 64];
        // SAFETY: all zeroes are a message of nothing.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
        if !descriptors.is_empty() {
            let len = mem::size_of_val(descriptors) as u32;
            message.msg_control = control.as_mut_ptr().cast();
            // SAFETY: arithmetic alone.
            message.msg_controllen = unsafe { libc::CMSG_SPACE(len) } as usize;
            // SAFETY: the buffer has room for a hundred descriptors.
            let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
            // SAFETY: as above, and it is not null.
            let header = unsafe { &mut *header };
            (header.cmsg_level, header.cmsg_type) = (libc::SOL_SOCKET, libc::SCM_RIGHTS);
            // SAFETY: arithmetic alone.
            header.cmsg_len = unsafe { libc::CMSG_LEN(len) } as usize;
            // SAFETY: they are behind the header.
            let data = unsafe { libc::CMSG_DATA(header) };
            // SAFETY: as above.
            unsafe { ptr::copy_nonoverlapping(descriptors.as_ptr().cast(), data, len as usize) };
        }
        // SAFETY: all that the message points to lives.
        let sent = unsafe { libc::sendmsg(self.0.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
        assert_eq!(sent, bytes.len() as isize, "{}", io::Error::last_os_error());
    }
}

fn memory_file(len: u64, seals: SealFlags) -> OwnedFd {
    let file = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&file, len).unwrap();
    fcntl_add_seals(&file, seals).unwrap();
    file
}

#[test]
fn an_end_that_lies_is_cut_off() {
    let good = memory_file(2 * GRANULE, SIZE);
    let sealed = memory_file(2 * GRANULE, ALL);
    let open = memory_file(2 * GRANULE, SealFlags::empty());
    let (pipe, _other) = io::pipe().unwrap();
    let zero = File::options().read(true).write(true).open("/dev/zero").unwrap();
    let directory = File::open("/").unwrap();
    let size = 2 * GRANULE;
    let raw = |descriptor: &dyn AsFd| descriptor.as_fd().as_raw_fd();
    type Lie = (&'static str, [u64; 5], Vec<RawFd>);
    let mut lies: Vec<Lie> = vec![
        ("a second greeting", [HELLO, VERSION | 64 << 32, 0, 0, 0], vec![]),
        ("no known kind", [9, 0, size, 1, 0], vec![]),
        ("a block that was not introduced", [REGION, 3, size, 1, 0], vec![]),
        ("a number past the end", [FROZEN, 64, size, 1, 0], vec![]),
        ("a number far past the end", [REGION, u64::from(u32::MAX), size, 1, 0], vec![]),
        ("a block of the receiver's that there is not", [REGION | RECEIVERS, 0, size, 1, 0], vec![]),
        ("frozen bytes of the receiver's that there are not", [FROZEN | RECEIVERS, 9, size, 1, 0], vec![]),
        ("done with nothing", [DONE, 0, 0, 1, 0], vec![]),
        ("what it never had is kept", [KEPT, 0, 0, 0, 0], vec![]),
        ("what is far past the end is kept", [KEPT, u64::from(u32::MAX), 0, 0, 0], vec![]),
        ("done with what is far past the end", [DONE, u64::from(u32::MAX), 0, 1, 0], vec![]),
        ("a descriptor that was announced and is not there", [REGION | DESCRIPTOR, 0, size, 1, 0], vec![]),
        ("one that is there and was not announced", [REGION, 0, size, 1, 0], vec![raw(&good)]),
        ("two of them", [REGION | DESCRIPTOR, 0, size, 1, 0], vec![raw(&good), raw(&good)]),
        ("a hundred of them", [REGION | DESCRIPTOR, 0, size, 1, 0], vec![raw(&good); 100]),
        ("a descriptor with what takes none", [DONE | DESCRIPTOR, 0, 0, 1, 0], vec![raw(&good)]),
        ("a new block by a number past the end", [REGION | DESCRIPTOR, 64, size, 1, 0], vec![raw(&good)]),
        ("a new block of the receiver's", [REGION | DESCRIPTOR | RECEIVERS, 0, size, 1, 0], vec![raw(&good)]),
        ("more bytes than there are", [REGION | DESCRIPTOR, 0, size + GRANULE, 1, 0], vec![raw(&good)]),
        ("no whole granules", [REGION | DESCRIPTOR, 0, size - 1, 1, 0], vec![raw(&good)]),
        ("no bytes", [FROZEN | DESCRIPTOR, 0, 0, 0, 0], vec![raw(&sealed)]),
        ("more that count than there are", [FROZEN | DESCRIPTOR, 0, size, size + 1, 0], vec![raw(&sealed)]),
        ("more than the limit", [FROZEN | DESCRIPTOR, 0, 8 << 30, 1, 0], vec![raw(&sealed)]),
        (
            "all bytes that there can be",
            [FROZEN | DESCRIPTOR, 0, u64::MAX / GRANULE * GRANULE, 1, 0],
            vec![raw(&sealed)],
        ),
    ];
    for (kind, descriptor) in
        [("a pipe", raw(&pipe)), ("/dev/zero", raw(&zero)), ("a directory", raw(&directory)), ("no seals", raw(&open))]
    {
        lies.push((kind, [REGION | DESCRIPTOR, 0, size, 1, 0], vec![descriptor]));
        lies.push((kind, [FROZEN | DESCRIPTOR, 0, size, 1, 0], vec![descriptor]));
    }
    for trust in TRUSTS {
        let of_this = match trust == PEER {
            true => ("a sealed file for a region", [REGION | DESCRIPTOR, 0, size, 1, 0], vec![raw(&sealed)]),
            false => ("a file to be written to", [FROZEN | DESCRIPTOR, 0, size, 1, 0], vec![raw(&good)]),
        };
        for (what, words, descriptors) in lies.iter().chain([&of_this]) {
            let (liar, honest) = Liar::new(trust);
            liar.say(*words, descriptors);
            let error = honest.receive().unwrap_err();
            let is_right = matches!(error, ReceiveError::Protocol(_) | ReceiveError::Import(_));
            assert!(is_right, "{what}, {trust:?}: {error}");
            // And that is that.
            assert!(matches!(honest.receive(), Err(ReceiveError::Closed)), "{what}, {trust:?}");
            let failed = honest.send(filled(&Setup::Swap.runtime(), 1, 1), 0, Afterwards::Free);
            assert!(failed.is_err(), "{what}, {trust:?}");
        }
        for bytes in [&[1u8; 39][..], &[1; 41], &[1; 4096], &[7]] {
            let (liar, honest) = Liar::new(trust);
            liar.say_bytes(bytes, &[]);
            assert!(matches!(honest.receive(), Err(ReceiveError::Protocol(_))), "{} bytes", bytes.len());
        }
    }
}

#[test]
fn a_message_without_bytes_is_not_the_end() {
    let (liar, honest) = Liar::new(PEER);
    let here = Setup::Swap.runtime();
    let bytes = filled(&here, 1, 2).freeze().unwrap();
    honest.send(filled(&here, 1, 1), 0, Afterwards::GiveBack).unwrap();
    honest.send_frozen(&bytes, 0).unwrap();
    liar.say_bytes(&[], &[]);
    assert!(matches!(honest.receive(), Err(ReceiveError::Protocol(_))));
    // It lives, and may have what it was sent.
    assert!(matches!(honest.receive(), Err(ReceiveError::Closed)));
    let failed = honest.send(filled(&here, 1, 1), 0, Afterwards::GiveBack).unwrap_err();
    assert!(matches!(failed.reason, SendError::Closed), "{failed}");
    bytes.thaw().unwrap_err();
}

#[test]
fn a_region_is_not_given_twice_whatever_the_peer_says() {
    let good = memory_file(2 * GRANULE, SIZE);
    let introduce = [REGION | DESCRIPTOR, 0, 2 * GRANULE, 1, 0];
    for again in [[REGION, 0, 2 * GRANULE, 1, 0], [FROZEN, 0, 2 * GRANULE, 1, 0], introduce] {
        let (liar, honest) = Liar::new(PEER);
        liar.say(introduce, &[good.as_raw_fd()]);
        let (held, _) = region(honest.receive());
        liar.say(again, if again == introduce { &[3] } else { &[] });
        assert!(matches!(honest.receive(), Err(ReceiveError::Protocol(_))));
        drop(held);
    }
    // One that has been sent back may come again, of the size that it has.
    let (liar, honest) = Liar::new(PEER);
    liar.say(introduce, &[good.as_raw_fd()]);
    honest.send(region(honest.receive()).0, 0, Afterwards::Free).unwrap();
    liar.say([REGION, 0, 2 * GRANULE, 1, 0], &[]);
    drop(region(honest.receive()));
    for wrong in [[REGION, 0, GRANULE, 1, 0], [REGION, 0, 2 * GRANULE, 2 * GRANULE + 1, 0]] {
        let (liar, honest) = Liar::new(PEER);
        liar.say(introduce, &[good.as_raw_fd()]);
        drop(region(honest.receive()));
        liar.say(wrong, &[]);
        assert!(matches!(honest.receive(), Err(ReceiveError::Protocol(_))));
    }
}

#[test]
fn what_is_to_come_back_is_not_kept_whatever_the_peer_says() {
    for (afterwards, is_believed) in [(Afterwards::GiveBack, false), (Afterwards::Free, true)] {
        let (liar, honest) = Liar::new(PEER);
        honest.send(filled(&Setup::Swap.runtime(), 1, 1), 0, afterwards).unwrap();
        liar.say([KEPT, 0, 0, 0, 0], &[]);
        match honest.try_receive() {
            Err(ReceiveError::Empty) => assert!(is_believed && honest.away() == 0),
            Err(ReceiveError::Protocol(_)) => assert!(!is_believed),
            other => panic!("{other:?}"),
        }
    }
    // A copy is not kept: it is the peer's.
    let (liar, honest) = Liar::new(Trust::SEALS);
    honest.send(filled(&Setup::Swap.runtime(), 1, 1), 0, Afterwards::Free).unwrap();
    liar.say([KEPT, 0, 0, 0, 0], &[]);
    assert!(matches!(honest.receive(), Err(ReceiveError::Protocol(_))));
}

#[test]
fn a_peer_that_is_not_trusted_changes_nothing_with_what_it_keeps() {
    let (liar, honest) = Liar::new(Trust::SEALS);
    let file = File::from(memory_file(GRANULE, SIZE));
    file.write_at(&[1; 100], 0).unwrap();
    liar.say([REGION | DESCRIPTOR, 0, GRANULE, 100, 0], &[file.as_raw_fd()]);
    let (mut region, _) = region(honest.receive());
    file.write_at(&[2; 100], 0).unwrap();
    assert_eq!(region.bytes().unwrap(), [1; 100]);
    region.bytes_mut().unwrap().fill(3);
    let mut seen = [0; 100];
    file.read_at(&mut seen, 0).unwrap();
    assert_eq!(seen, [2; 100]);
}

#[test]
fn a_peer_that_never_reads_takes_a_bounded_part_of_memory() {
    let (liar, honest) = Liar::new(Trust::SEALS);
    let sealed = memory_file(GRANULE, ALL);
    liar.say([FROZEN | DESCRIPTOR, 0, GRANULE, 1, 0], &[sealed.as_raw_fd()]);
    drop(frozen(honest.receive()));
    // Each is done with at once, which the peer is told, and never hears.
    for _ in 0..20_000 {
        liar.say([FROZEN, 0, GRANULE, 1, 0], &[]);
        drop(frozen(honest.receive()));
    }
    let sent =
        (0..100_000).find_map(|tag| honest.try_send(filled(&Setup::Swap.runtime(), 1, 1), tag, Afterwards::Free).err());
    let reason = sent.unwrap().reason;
    assert!(matches!(reason, SendError::Full | SendError::Blocks(_)), "{reason}");
}

#[test]
fn lies_and_ends_leave_no_descriptor() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    let good = memory_file(GRANULE, SIZE);
    for round in 0..300 {
        let (liar, honest) = Liar::new(TRUSTS[round % 2]);
        liar.say([REGION | DESCRIPTOR, 0, GRANULE, 1, 0], &[good.as_raw_fd(); 100][..1 + round % 3 * 49]);
        let received = honest.receive();
        assert_eq!(received.is_ok(), round % 3 == 0);
        drop((received, honest, liar));
    }
    // Others may open some meanwhile.
    assert!(Path::new("/proc/self/fd").exists() && descriptors() < before + 300, "{before}, {}", descriptors());
}

on_every_setup! {
    fn components_of_two_processes_hand_a_region_over(setup) {
        let mut worlds = [World::new(setup), World::new(setup)];
        let guests = worlds.each_mut().map(|world| world.guest());
        let (one, other) =
            Connection::pair(worlds[0].runtime(), worlds[1].runtime(), Settings::new(PEER)).unwrap();
        let connections = [one, other];
        let mut region = worlds[0].runtime().allocate_exportable(2 * GRANULE).unwrap();
        for hop in 0..12u8 {
            let at = usize::from(hop % 2);
            let (world, guest) = (&mut worlds[at], &guests[at]);
            let handle = world.insert(region);
            let handle = guest.take(world, handle).unwrap();
            let mapping = guest.map(world, handle, 4 * G, 2 * G).unwrap();
            guest.expect(world, 4 * G, 2 * G, hop);
            guest.fill(world, 4 * G, hop + 1, 2 * G);
            let handle = guest.unmap(world, mapping, 4 * G, 2 * G).unwrap();
            let handle = guest.give(world, handle).unwrap();
            let sent = world.remove(handle);
            connections[at].send(sent, 0, Afterwards::Free).unwrap();
            region = self::region(connections[1 - at].receive()).0;
        }
        assert!(all_are(region.bytes().unwrap(), 12));
    }
}
