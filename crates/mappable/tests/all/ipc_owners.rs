//! Whose the bytes are that go over connections, when an end is dropped or cut off, a third process has them, or they go back: a
//! region has one owner, and frozen bytes stay as they are for whoever reads them.

use std::time::Duration;

use mappable::ipc::{Afterwards, Connection, Listener, ReceiveError, Received, SendError, Settings};
use mappable::{Frozen, GRANULE, Mappable, Runtime, Trust};

use super::ipc::{PEER, TRUSTS, ends, filled, frozen, region, returned};
use crate::support::*;

/// Two ends, of which the other takes no more than a granule.
fn unequal_ends(here: &Runtime) -> (Connection, Connection) {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("mappable-owners-{}-{number}", std::process::id()));
    let listener = Listener::bind(&path).unwrap();
    let one = Connection::connect(here, &path, Settings::new(PEER)).unwrap();
    (one, listener.accept(&Setup::Swap.runtime(), Settings::new(PEER).max(GRANULE)).unwrap())
}

#[test]
fn frozen_bytes_stay_when_their_sender_lets_go() {
    for trust in TRUSTS {
        // Received before, or after.
        for is_early in [true, false] {
            let (here, one, other) = ends(trust);
            let bytes = filled(&here, 1, 1).freeze().unwrap();
            one.send_frozen(&bytes, 0).unwrap();
            let early = is_early.then(|| frozen(other.receive()));
            drop((one, bytes, here));
            let read = early.unwrap_or_else(|| frozen(other.receive()));
            assert!(all_are(&read, 1), "{trust:?}, {is_early}");
        }
    }
}

#[test]
fn frozen_bytes_are_not_thawed_while_nobody_knows_who_reads_them() {
    // The connection is dropped, and the other end goes on reading.
    let (here, one, other) = ends(PEER);
    let bytes = filled(&here, 1, 1).freeze().unwrap();
    one.send_frozen(&bytes, 0).unwrap();
    let read = frozen(other.receive());
    drop(one);
    let bytes = bytes.thaw().unwrap_err().frozen;
    assert!(all_are(bytes.copy().unwrap().bytes().unwrap(), 1));
    assert!(all_are(&bytes.seal().unwrap(), 1) && all_are(&read, 1));

    // Exported, of which nobody hears any more.
    let bytes = filled(&here, 1, 2).freeze().unwrap();
    let exported = bytes.export(PEER).unwrap();
    assert!(!exported.was_copied);
    let read = Frozen::import(&Setup::Swap.runtime(), exported, PEER, GRANULE).unwrap();
    let bytes = bytes.slice(0..1).unwrap().thaw().unwrap_err().frozen;
    drop(bytes);
    assert!(all_are(&read, 2));
    // A copy is the other's alone.
    let bytes = filled(&here, 1, 3).freeze().unwrap();
    assert!(bytes.export(Trust::SEALS).unwrap().was_copied);
    bytes.thaw().unwrap();
}

#[test]
fn an_end_that_was_cut_off_keeps_what_it_holds() {
    let here = Setup::Swap.runtime();
    let (one, other) = unequal_ends(&here);
    one.send(filled(&here, 1, 1), 1, Afterwards::GiveBack).unwrap();
    let bytes = filled(&here, 1, 5).freeze().unwrap();
    one.send_frozen(&bytes, 0).unwrap();
    let (mut held, _) = region(other.receive());
    let read = frozen(other.receive());
    one.send(filled(&here, 2, 2), 2, Afterwards::GiveBack).unwrap();
    assert!(matches!(other.receive(), Err(ReceiveError::Import(_))));
    assert!(matches!(other.receive(), Err(ReceiveError::Closed)));
    // The one end hears nothing of that but when it sends.
    assert!(matches!(one.receive_within(Duration::from_millis(20)), Err(ReceiveError::Empty)));
    let failed = one.send(filled(&here, 1, 3), 0, Afterwards::GiveBack).unwrap_err();
    assert!(matches!(failed.reason, SendError::Closed), "{failed}");
    drop(other);
    assert!(matches!(one.receive_within(Duration::from_millis(20)), Err(ReceiveError::Empty)));
    let bytes = bytes.thaw().unwrap_err().frozen;
    held.bytes_mut().unwrap().fill(7);
    drop(held);
    let (mut back, tag) = returned(one.receive());
    assert!(tag == 1 && all_are(back.bytes().unwrap(), 7));
    back.bytes_mut().unwrap().fill(8);
    assert!(all_are(&read, 5));
    drop(read);
    assert_eq!(returned(one.receive()).1, 2);
    assert!(one.settle().unwrap());
    bytes.thaw().unwrap();
}

#[test]
fn who_cuts_off_the_other_end_keeps_what_that_reads() {
    let here = Setup::Swap.runtime();
    let (other, one) = unequal_ends(&here);
    let bytes = filled(&here, 1, 1).freeze().unwrap();
    one.send_frozen(&bytes, 0).unwrap();
    let read = frozen(other.receive());
    other.send(filled(&here, 2, 2), 0, Afterwards::Free).unwrap();
    assert!(matches!(one.receive(), Err(ReceiveError::Import(_))));
    assert!(matches!(one.settle(), Err(ReceiveError::Closed)));
    assert!(matches!(one.send_frozen(&bytes, 0), Err(SendError::Closed)));
    let bytes = bytes.thaw().unwrap_err().frozen;
    drop((one, bytes, here));
    assert!(all_are(&read, 1));
}

#[test]
fn what_a_third_process_is_sent_is_a_copy_and_the_first_has_its_own_back() {
    let runtimes = [(); 3].map(|()| Setup::Swap.runtime());
    let (a, b1) = Connection::pair(&runtimes[0], &runtimes[1], Settings::new(PEER)).unwrap();
    let (b2, c) = Connection::pair(&runtimes[1], &runtimes[2], Settings::new(PEER)).unwrap();
    let bytes = filled(&runtimes[0], 1, 4).freeze().unwrap();
    a.send(filled(&runtimes[0], 1, 1), 1, Afterwards::GiveBack).unwrap();
    a.send_frozen(&bytes, 0).unwrap();
    b2.send(region(b1.receive()).0, 2, Afterwards::Free).unwrap();
    b2.send_frozen(&frozen(b1.receive()), 0).unwrap();
    let (mut last, _) = region(c.receive());
    let read = frozen(c.receive());
    // The one in the middle ends.
    drop((b1, b2));
    let (mut first, _) = returned(a.receive());
    last.bytes_mut().unwrap().fill(3);
    first.bytes_mut().unwrap().fill(2);
    assert!(all_are(last.bytes().unwrap(), 3));
    assert!(a.settle().unwrap());
    bytes.thaw().unwrap().bytes_mut().unwrap().fill(2);
    assert!(all_are(&read, 4));
}

#[test]
fn what_came_by_a_connection_is_exported_as_a_copy() {
    let (here, one, other) = ends(PEER);
    one.send(filled(&here, 1, 1), 1, Afterwards::GiveBack).unwrap();
    one.send_frozen(&filled(&here, 1, 2).freeze().unwrap(), 0).unwrap();
    let exported = region(other.receive()).0.export(PEER).unwrap();
    let of_frozen = frozen(other.receive()).export(PEER).unwrap();
    assert!(exported.was_copied && of_frozen.was_copied);
    let there = Setup::Swap.runtime();
    let mut copy = Mappable::import(&there, exported, PEER, GRANULE).unwrap();
    let (mut back, _) = returned(one.receive());
    back.bytes_mut().unwrap().fill(9);
    assert!(all_are(copy.bytes_mut().unwrap(), 1));
    assert!(all_are(&Frozen::import(&there, of_frozen, PEER, GRANULE).unwrap(), 2));
}

#[test]
fn frozen_bytes_go_back_whatever_was_made_of_them() {
    for trust in TRUSTS {
        let (here, one, other) = ends(trust);
        // A region that is frozen there, and a part of one.
        one.send(filled(&here, 2, 1), 0, Afterwards::GiveBack).unwrap();
        let bytes = region(other.receive()).0.freeze().unwrap();
        for sent in [&bytes, &bytes.slice(GRANULE..GRANULE + 7).unwrap()] {
            other.send_frozen(sent, 1).unwrap();
            let back = frozen(one.receive());
            assert!(back.len() == sent.len() && all_are(&back, 1), "{trust:?}");
        }
        // Fewer of the bytes, and more.
        let mut short = filled(&here, 1, 2);
        short.set_len(50).unwrap();
        let bytes = short.freeze().unwrap().seal().unwrap();
        one.send_frozen(&bytes, 0).unwrap();
        let there = frozen(other.receive());
        other.send_frozen(&there.slice(0..10).unwrap(), 1).unwrap();
        other.send_frozen(&there, 1).unwrap();
        assert_eq!(frozen(one.receive())[..], [2; 10], "{trust:?}");
        let back = frozen(one.receive());
        assert!(back[..] == [2; 50] && back.as_ptr() == bytes.as_ptr(), "{trust:?}");
    }
}

#[test]
fn what_is_sealed_where_it_was_received_comes_back_as_it_was() {
    let (here, one, other) = ends(PEER);
    one.send(filled(&here, 1, 1), 0, Afterwards::GiveBack).unwrap();
    let sealed = region(other.receive()).0.freeze().unwrap().seal().unwrap();
    let Received::Returned { region: mut back, .. } = one.receive().unwrap() else { panic!("it did not come back") };
    back.bytes_mut().unwrap().fill(2);
    assert!(all_are(&sealed, 1));
}
