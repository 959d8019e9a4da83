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

/// A chain of three: the first's runtime, and the ends of its two connections.
fn chain() -> (Runtime, [Connection; 4]) {
    let runtimes = [(); 3].map(|()| Setup::Swap.runtime());
    let (a, b1) = Connection::pair(&runtimes[0], &runtimes[1], Settings::new(PEER)).unwrap();
    let (b2, c) = Connection::pair(&runtimes[1], &runtimes[2], Settings::new(PEER)).unwrap();
    let [first, ..] = runtimes;
    (first, [a, b1, b2, c])
}

#[test]
fn a_region_that_is_not_wanted_back_goes_to_a_third_process_as_it_is() {
    for is_ended in [true, false] {
        let (here, [a, b1, b2, c]) = chain();
        a.send(filled(&here, 2, 1), 1, Afterwards::Free).unwrap();
        let (sent_on, _) = region(b1.receive());
        assert!(sent_on.is_exportable());
        b2.send(sent_on, 2, Afterwards::GiveBack).unwrap();
        let (mut last, tag) = region(c.receive());
        assert_eq!(tag, 2);
        let middle = (!is_ended).then_some((b1, b2));
        // Nothing of it is the first's any more, whether the one in the middle lives or not.
        assert!(a.settle().unwrap() && a.away() == 0);
        assert!(all_are(last.bytes().unwrap(), 1));
        last.bytes_mut().unwrap().fill(3);
        if let Some((b1, b2)) = middle {
            // The number that it had is free, and it comes back to the one in the middle, whose it is.
            a.send(filled(&here, 1, 4), 3, Afterwards::GiveBack).unwrap();
            assert!(all_are(region(b1.receive()).0.bytes().unwrap(), 4));
            drop(last);
            let (back, _) = returned(b2.receive());
            assert!(all_are(back.bytes().unwrap(), 3));
            // And to the first as one of the middle's.
            b1.send(back, 4, Afterwards::GiveBack).unwrap();
            assert_eq!(returned(a.receive()).1, 3);
            let (mut again, tag) = region(a.receive());
            assert!(tag == 4 && all_are(again.bytes().unwrap(), 3));
            again.bytes_mut().unwrap().fill(5);
            drop(again);
            assert!(all_are(returned(b1.receive()).0.bytes().unwrap(), 5));
        } else {
            assert!(matches!(a.receive(), Err(ReceiveError::Closed)));
            drop((a, here));
            assert!(all_are(last.bytes().unwrap(), 3));
        }
    }
}

#[test]
fn what_is_not_wanted_back_is_exported_or_frozen_as_it_is() {
    let (here, [a, b1, b2, c]) = chain();
    for _ in 0..2 {
        a.send(filled(&here, 1, 1), 1, Afterwards::Free).unwrap();
    }
    let exported = region(b1.receive()).0.export(PEER).unwrap();
    assert!(!exported.was_copied);
    let bytes = region(b1.receive()).0.freeze().unwrap();
    // Of threads that send it on, one tells the first, which would not believe it twice.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| b2.send_frozen(&bytes, 0).unwrap());
        }
    });
    assert!(a.settle().unwrap());
    let read = [(); 4].map(|()| frozen(c.receive()));
    drop((a, b1));
    assert!(read.iter().all(|read| all_are(read, 1)));
    drop(read);
    assert!(b2.settle().unwrap());
    bytes.thaw().unwrap();
    let mut region = Mappable::import(&Setup::Swap.runtime(), exported, PEER, GRANULE).unwrap();
    region.bytes_mut().unwrap()[0] = 2;
    assert_eq!(region.bytes().unwrap()[..2], [2, 1]);
}

#[test]
fn sealed_bytes_go_to_a_third_process_as_they_are() {
    for trust in TRUSTS {
        let (here, a, b1) = ends(trust);
        let (b2, c) = Connection::pair(&Setup::Swap.runtime(), &Setup::Swap.runtime(), Settings::new(trust)).unwrap();
        let sealed = filled(&here, 1, 1).freeze().unwrap().seal().unwrap();
        a.send_frozen(&sealed, 0).unwrap();
        let there = frozen(b1.receive());
        assert!(!there.export(trust).unwrap().was_copied, "{trust:?}");
        b2.send_frozen(&there, 0).unwrap();
        let read = frozen(c.receive());
        drop((there, b1, b2));
        assert!(a.settle().unwrap());
        drop((a, sealed, here));
        assert!(all_are(&read, 1), "{trust:?}");
    }
}

#[test]
fn what_there_is_no_room_to_ask_for_is_copied() {
    let (here, [a, b1, b2, c]) = chain();
    a.send(filled(&here, 1, 1), 1, Afterwards::Free).unwrap();
    let (sent_on, _) = region(b1.receive());
    let bytes = filled(&here, 1, 2).freeze().unwrap();
    while b1.try_send_frozen(&bytes, 0).is_ok() {}
    b2.send(sent_on, 2, Afterwards::Free).unwrap();
    assert_eq!(a.away(), 1);
    let (mut last, _) = region(c.receive());
    last.bytes_mut().unwrap()[0] = 3;
    // The first hears that its own is free.
    let reader = std::thread::spawn(move || {
        while !a.settle().unwrap() {
            drop(a.receive().unwrap());
        }
    });
    while matches!(b1.receive_within(Duration::from_millis(10)), Err(ReceiveError::Empty)) && !reader.is_finished() {}
    reader.join().unwrap();
    assert_eq!(last.bytes().unwrap()[..2], [3, 1]);
}

#[test]
fn what_is_wanted_back_is_exported_as_a_copy() {
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
