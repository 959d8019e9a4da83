//! Processes: files from one to another, and processes that are killed.

use std::time::Duration;

use mappable::Runtime;
use mappable_zenoh::{Bus, Congestion, Options, Presence, PublishError, Subscription};

use crate::support::{LARGE, LONG, Process, bytes, keys, run, until, value};

fn member(address: &str) -> (Runtime, Bus) {
    let runtime = Runtime::new().unwrap();
    let bus = Bus::open(&runtime, &Options::new().connect(address)).unwrap();
    (runtime, bus)
}

#[test]
fn a_file_goes_from_one_process_to_another_by_either_way() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (sent, received) = (at("sent"), at("received"));
    for (way, seed) in [(&[][..], 1), (&["--no-shared-memory"][..], 2)] {
        std::fs::write(&sent, bytes(5_000_001, seed)).unwrap();
        let receiver = Process::listening(&[&["receive", "files/*", "-o", &received], way].concat());
        run(&[&["send", "--connect", &receiver.address, "files/one", &sent], way].concat());
        assert_eq!(receiver.output(), "files/one: 5000001 bytes");
        assert!(std::fs::read(&received).unwrap() == bytes(5_000_001, seed));
    }
}

#[test]
fn a_file_that_is_offered_is_got_by_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (offered, got) = (at("offered"), at("got"));
    std::fs::write(&offered, bytes(LARGE, 1)).unwrap();
    let offer = Process::listening(&["offer", "files/one", &offered]);
    for way in [&[][..], &["--no-shared-memory"][..]] {
        let text = run(&[&["get", "--connect", &offer.address, "files/*", "-o", &got], way].concat());
        assert_eq!(text, format!("files/one: {LARGE} bytes\n"));
        assert!(std::fs::read(&got).unwrap() == bytes(LARGE, 1));
        std::fs::remove_file(&got).unwrap();
    }
}

#[test]
fn what_was_shared_with_a_subscriber_that_is_killed_is_freed() {
    // It receives one, and then waits with the others in its queue, or on their way.
    let mut subscriber = Process::listening(&["receive", "a", "-n", "1000"]);
    let (runtime, bus) = member(&subscriber.address);
    let publisher = bus.publisher(&"a".parse().unwrap(), Congestion::Block).unwrap();
    assert!(publisher.wait_for_subscriber(LONG));
    for seed in 0..8 {
        publisher.publish(&value(&runtime, &bytes(LARGE, seed))).unwrap();
    }
    subscriber.kill();
    until("what was shared is freed", || bus.shared_bytes() == 0);
    // And a region is no longer taken.
    until("the subscriber is known to be gone", || !publisher.has_subscriber());
    let failed = publisher.send(runtime.allocate_from(&bytes(LARGE, 9)).unwrap()).unwrap_err();
    assert!(matches!(failed.error, PublishError::NoSubscriber(_)), "{failed}");
    assert_eq!(failed.region.bytes().unwrap(), bytes(LARGE, 9));
}

#[test]
fn what_a_process_has_received_is_its_own_when_the_publisher_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, bytes(LARGE, 1)).unwrap();
    let mut offer = Process::listening(&["offer", "a", file.to_str().unwrap()]);
    let (_runtime, bus) = member(&offer.address);
    let mut got = vec![];
    until("the offer is known", || {
        got = bus.get(&keys("a"), LONG).unwrap();
        !got.is_empty()
    });
    offer.kill();
    assert!(got[0].payload[..] == bytes(LARGE, 1));
    until("the offer is known to be gone", || bus.get(&keys("a"), LONG).unwrap().is_empty());
    assert!(got[0].payload[..] == bytes(LARGE, 1));
}

#[test]
fn processes_that_are_killed_while_they_receive_leave_the_publisher_whole() {
    let runtime = Runtime::new().unwrap();
    let bus = Bus::open(&runtime, &Options::new().listen("tcp/127.0.0.1:0")).unwrap();
    let address = bus.addresses().remove(0);
    let publisher = bus.publisher(&"a".parse().unwrap(), Congestion::Block).unwrap();
    let kept = bus.subscriber(&keys("a"), Subscription::new()).unwrap();
    let watched = value(&runtime, &bytes(LARGE, 1));
    for round in 0..6 {
        let mut receiver = std::process::Command::new(crate::support::COMMAND)
            .args(["receive", "--connect", &address, "a", "-n", "1000000"])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        until("it is connected", || bus.peers() == 1);
        // It is killed somewhere between its first message and its last.
        for _ in 0..20 * round {
            publisher.publish(&watched).unwrap();
            assert_eq!(kept.receive(LONG).unwrap().unwrap().payload.as_ptr(), watched.as_ptr());
        }
        receiver.kill().unwrap();
        receiver.wait().unwrap();
        until("it is known to be gone", || bus.peers() == 0);
    }
    until("what was shared is freed", || bus.shared_bytes() == 0);
    drop(kept);
    assert_eq!(watched[..], bytes(LARGE, 1));
    let mut watched = Some(watched);
    until("nothing is on its way", || match watched.take().unwrap().thaw() {
        Ok(_) => true,
        Err(failed) => {
            watched = Some(failed.frozen);
            false
        }
    });
}

#[test]
fn a_process_that_is_killed_is_known_to_be_gone() {
    let mut subscriber = Process::listening(&["receive", "a", "--alive", "node/one"]);
    let (_runtime, bus) = member(&subscriber.address);
    let watch = bus.watch(&keys("node/*")).unwrap();
    assert_eq!(watch.next(LONG), Ok(Some(Presence::Came("node/one".into()))));
    subscriber.kill();
    assert_eq!(watch.next(LONG), Ok(Some(Presence::Went("node/one".into()))));
    assert!(bus.alive(&keys("node/*"), Duration::from_secs(5)).unwrap().is_empty());
}
