//! Connections that threads share, and what there was no room to say at once.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use mappable::ipc::{Afterwards, ReceiveError, Received};

use super::ipc::{PEER, ends, filled, frozen};

/// More than the socket has room for.
const MANY: u64 = 2000;
const LONG: Duration = Duration::from_secs(30);

#[test]
fn any_number_of_threads_receive() {
    for _ in 0..10 {
        let (here, one, other) = ends(PEER);
        thread::scope(|scope| {
            let receivers = [(); 3].map(|()| {
                scope.spawn(|| {
                    let mut count = 0;
                    loop {
                        match other.receive() {
                            Ok(received) => drop(received),
                            Err(error) => return (count, error),
                        }
                        count += 1;
                    }
                })
            });
            for tag in 0..50 {
                let bytes = filled(&here, 1, 1).freeze().unwrap();
                (0..4).for_each(|_| one.send_frozen(&bytes, tag).unwrap());
                drop(bytes);
                while one.away() > 32 {
                    assert!(one.settle().unwrap());
                }
            }
            drop(one);
            let ended = receivers.map(|receiver| receiver.join().unwrap());
            assert!(ended.iter().all(|(_, error)| matches!(error, ReceiveError::Closed)), "{ended:?}");
            assert_eq!(ended.iter().map(|(count, _)| count).sum::<u32>(), 200);
        });
    }
}

#[test]
fn what_there_was_no_room_to_say_is_said_while_an_end_waits() {
    // Dropped by the thread that receives, or by another while that one waits.
    for is_by_another in [false, true] {
        let (here, one, other) = ends(PEER);
        let bytes = filled(&here, 1, 1).freeze().unwrap();
        let (keep, kept) = mpsc::channel();
        let receiver = thread::spawn(move || {
            while let Ok(received) = other.receive() {
                if is_by_another {
                    keep.send(received).unwrap();
                }
            }
        });
        // None of what is said back is read meanwhile.
        (0..MANY).for_each(|tag| one.send_frozen(&bytes, tag).unwrap());
        if is_by_another {
            drop(kept.iter().take(MANY as usize).collect::<Vec<_>>());
        }
        let (tell, told) = mpsc::channel();
        thread::spawn(move || tell.send(one.settle().unwrap()));
        assert_eq!(told.recv_timeout(LONG), Ok(true), "the other end did not say that it is done");
        receiver.join().unwrap();
        bytes.thaw().unwrap();
    }
}

#[test]
fn a_thread_that_waits_for_another_to_receive_gets_what_comes() {
    let (here, one, other) = ends(PEER);
    let bytes = filled(&here, 1, 1).freeze().unwrap();
    one.send_frozen(&bytes, 0).unwrap();
    let read = frozen(other.receive());
    thread::scope(|scope| {
        // One waits for all to be back, the other for a message.
        let settled = scope.spawn(|| one.settle());
        let received = scope.spawn(|| one.receive_within(LONG));
        thread::sleep(Duration::from_millis(20));
        assert!(matches!(one.try_receive(), Err(ReceiveError::Empty)));
        drop(read);
        assert!(settled.join().unwrap().unwrap());
        other.send(filled(&here, 1, 2), 7, Afterwards::Free).unwrap();
        assert!(matches!(received.join().unwrap(), Ok(Received::Region { tag: 7, .. })));
    });
}
