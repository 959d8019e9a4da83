//! Two members, connected by loopback: with memory that they share, and as if they were on two machines.

use std::time::Duration;

use mappable::{GRANULE, Runtime};
use mappable_zenoh::{Congestion, Options, Presence, PublishError, ReceiveError, Subscription};

use crate::support::{LARGE, LONG, bytes, keys, two, until, value};

/// What a value of [`LARGE`] bytes takes.
const SHARED: u64 = (LARGE as u64).next_multiple_of(GRANULE);

fn over_the_network() -> Options {
    Options::new().shared_memory(false)
}

#[test]
fn what_is_published_is_received_by_either_way_at_any_length() {
    for options in [Options::new(), over_the_network()] {
        let runtime = Runtime::new().unwrap();
        let (one, other) = two(&runtime, &options);
        let subscriber = other.subscriber(&keys("a/**"), Subscription::new()).unwrap();
        let publisher = one.publisher(&"a/b".parse().unwrap(), Congestion::Block).unwrap();
        assert!(publisher.wait_for_subscriber(LONG));
        for (len, seed) in [(0, 0), (1, 1), (4096, 2), (32 << 10, 3), (LARGE, 4), (5 << 20, 5)] {
            let sent = value(&runtime, &bytes(len.max(1), seed));
            let sent = if len == 0 { empty(&runtime) } else { sent };
            publisher.publish(&sent).unwrap();
            let message = subscriber.receive(LONG).unwrap().unwrap();
            assert_eq!(message.key, "a/b");
            assert!(message.payload[..] == sent[..], "{len} bytes differ");
        }
    }
}

fn empty(runtime: &Runtime) -> mappable::Frozen {
    let mut region = runtime.allocate(1).unwrap();
    region.set_len(0).unwrap();
    region.freeze().unwrap()
}

#[test]
fn on_one_host_what_is_received_is_the_file_that_is_shared() {
    let runtime = Runtime::new().unwrap();
    let (one, other) = two(&runtime, &Options::new());
    let subscriber = other.subscriber(&keys("a"), Subscription::new()).unwrap();
    let publisher = one.publisher(&"a".parse().unwrap(), Congestion::Block).unwrap();
    assert!(publisher.wait_for_subscriber(LONG));
    publisher.publish(&value(&runtime, &bytes(LARGE, 1))).unwrap();
    assert_eq!(one.shared_bytes(), SHARED);
    let message = subscriber.receive(LONG).unwrap().unwrap();
    assert!(file_at(message.payload.as_ptr()).ends_with(" (deleted)"), "{}", file_at(message.payload.as_ptr()));

    // The sender needs it no longer, the receiver has it still.
    until("the sender has closed the file", || one.shared_bytes() == 0);
    assert_eq!(message.payload[..], bytes(LARGE, 1));
    // A region of its own is a copy.
    let region = message.into_region().unwrap();
    assert_eq!(region.bytes().unwrap(), bytes(LARGE, 1));
}

#[test]
fn a_value_is_shared_from_the_length_on_that_was_said() {
    for (from, is_shared) in [(None, false), (Some(70_000), true), (Some(70_001), false)] {
        let runtime = Runtime::new().unwrap();
        let options = from.map_or(Options::new(), |from| Options::new().shared_from(from));
        let (one, other) = two(&runtime, &options);
        let subscriber = other.subscriber(&keys("a"), Subscription::new()).unwrap();
        let publisher = one.publisher(&"a".parse().unwrap(), Congestion::Block).unwrap();
        assert!(publisher.wait_for_subscriber(LONG));
        publisher.publish(&value(&runtime, &bytes(70_000, 1))).unwrap();
        let payload = subscriber.receive(LONG).unwrap().unwrap().payload;
        assert!(payload[..] == bytes(70_000, 1));
        // What has come over the network is the receiver's own.
        assert_eq!(payload.thaw().is_err(), is_shared, "{from:?}");
    }
}

#[test]
fn what_was_received_is_passed_on_without_a_copy() {
    let runtime = Runtime::new().unwrap();
    let (one, other) = two(&runtime, &Options::new());
    let there = other.subscriber(&keys("there"), Subscription::new()).unwrap();
    let back = one.subscriber(&keys("back"), Subscription::new()).unwrap();
    let publisher = one.publisher(&"there".parse().unwrap(), Congestion::Block).unwrap();
    let passing = other.publisher(&"back".parse().unwrap(), Congestion::Block).unwrap();
    assert!(publisher.wait_for_subscriber(LONG) && passing.wait_for_subscriber(LONG));
    publisher.publish(&value(&runtime, &bytes(LARGE, 1))).unwrap();
    let first = there.receive(LONG).unwrap().unwrap().payload;
    passing.publish(&first).unwrap();
    let second = back.receive(LONG).unwrap().unwrap().payload;
    assert_ne!(first.as_ptr(), second.as_ptr());
    assert_eq!(file_at(first.as_ptr()), file_at(second.as_ptr()));
    assert_eq!(second[..], bytes(LARGE, 1));

    // So is what the publisher has sealed.
    let sealed = value(&runtime, &bytes(LARGE, 2)).seal().unwrap();
    publisher.publish(&sealed).unwrap();
    let third = there.receive(LONG).unwrap().unwrap().payload;
    assert_eq!(file_at(sealed.as_ptr()), file_at(third.as_ptr()));
    assert_eq!(third[..], bytes(LARGE, 2));
}

#[test]
fn no_granule_behind_the_length_is_shared() {
    let runtime = Runtime::new().unwrap();
    let (one, other) = two(&runtime, &Options::new());
    let subscriber = other.subscriber(&keys("a"), Subscription::new()).unwrap();
    let publisher = one.publisher(&"a".parse().unwrap(), Congestion::Block).unwrap();
    assert!(publisher.wait_for_subscriber(LONG));
    let mut region = runtime.allocate_from(&bytes(4 * LARGE, 1)).unwrap();
    region.set_len(LARGE as u64).unwrap();
    publisher.publish(&region.freeze().unwrap()).unwrap();
    let payload = subscriber.receive(LONG).unwrap().unwrap().payload;
    assert_eq!(payload.size(), SHARED);
    assert_eq!(payload[..], bytes(4 * LARGE, 1)[..LARGE]);
}

/// Which file is mapped at an address: device, number and name.
fn file_at(address: *const u8) -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let at = |text| usize::from_str_radix(text, 16).unwrap();
        (at(start)..at(end)).contains(&(address as usize))
    });
    line.unwrap().splitn(4, ' ').last().unwrap().to_owned()
}

#[test]
fn nothing_stays_mapped_of_what_was_received() {
    let runtime = Runtime::new().unwrap();
    let (one, other) = two(&runtime, &Options::new());
    let subscriber = other.subscriber(&keys("a"), Subscription::new()).unwrap();
    let publisher = one.publisher(&"a".parse().unwrap(), Congestion::Block).unwrap();
    assert!(publisher.wait_for_subscriber(LONG));
    let mut files = vec![];
    for seed in 0..100 {
        publisher.publish(&value(&runtime, &bytes(LARGE, seed))).unwrap();
        let payload = subscriber.receive(LONG).unwrap().unwrap().payload;
        assert_eq!(payload[..], bytes(LARGE, seed));
        files.push(file_at(payload.as_ptr()));
    }
    until("nothing is shared", || one.shared_bytes() == 0);
    until("nothing is mapped", || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        !files.iter().any(|file| maps.contains(file))
    });
}

#[test]
fn a_message_that_waits_keeps_no_other_mapped() {
    let runtime = Runtime::new().unwrap();
    let (one, other) = two(&runtime, &Options::new());
    let subscriber = |pattern| other.subscriber(&keys(pattern), Subscription::new()).unwrap();
    let publisher = |key: &str| one.publisher(&key.parse().unwrap(), Congestion::Block).unwrap();
    let (waits, often) = (subscriber("waits"), subscriber("often"));
    let (seldom, publisher) = (publisher("waits"), publisher("often"));
    assert!(seldom.wait_for_subscriber(LONG) && publisher.wait_for_subscriber(LONG));
    seldom.publish(&value(&runtime, &bytes(LARGE, 1))).unwrap();
    let mut files = vec![];
    // More than all segments of a process, so that some come by the one of the message that waits.
    for seed in 0..200 {
        publisher.publish(&value(&runtime, &bytes(LARGE, seed))).unwrap();
        files.push(file_at(often.receive(LONG).unwrap().unwrap().payload.as_ptr()));
    }
    until("nothing is mapped", || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        !files.iter().any(|file| maps.contains(file))
    });
    assert_eq!(waits.receive(LONG).unwrap().unwrap().payload[..], bytes(LARGE, 1));
}

#[test]
fn over_the_network_a_region_is_received_that_is_the_receivers_own() {
    let runtime = Runtime::new().unwrap();
    let (one, other) = two(&runtime, &over_the_network());
    let subscriber = other.subscriber(&keys("a"), Subscription::new()).unwrap();
    let publisher = one.publisher(&"a".parse().unwrap(), Congestion::Block).unwrap();
    assert!(publisher.wait_for_subscriber(LONG));
    publisher.send(runtime.allocate_from(&bytes(LARGE, 1)).unwrap()).unwrap();
    let payload = subscriber.receive(LONG).unwrap().unwrap().payload;
    let at = payload.as_ptr();
    let region = payload.thaw().unwrap();
    assert_eq!((region.bytes().unwrap().as_ptr(), region.len()), (at, LARGE as u64));
    assert_eq!(region.bytes().unwrap(), bytes(LARGE, 1));
}

#[test]
fn no_more_is_shared_than_may_be_and_who_does_not_wait_is_told() {
    let runtime = Runtime::new().unwrap();
    let (one, other) = two(&runtime, &Options::new().shared_bytes(3 * SHARED));
    let subscriber = other.subscriber(&keys("*"), Subscription::new().messages(1)).unwrap();
    let hasty = one.publisher(&"a".parse().unwrap(), Congestion::Drop).unwrap();
    assert!(hasty.wait_for_subscriber(LONG));
    let value = value(&runtime, &bytes(LARGE, 1));
    // What has come is no longer shared: one in the queue, and one that waits for room there. Nothing behind it is read.
    for _ in 0..2 {
        hasty.publish(&value).unwrap();
        assert!(one.settle(LONG));
    }
    for _ in 0..3 {
        hasty.publish(&value).unwrap();
    }
    let error = hasty.publish(&value).unwrap_err();
    assert!(matches!(error, PublishError::Congested), "{error}");
    // A region comes back.
    let failed = hasty.send(runtime.allocate_from(&bytes(LARGE, 2)).unwrap()).unwrap_err();
    assert_eq!(failed.region.bytes().unwrap(), bytes(LARGE, 2));

    // What would never have room is sent as bytes. Who waits goes on when there is room.
    let patient = one.publisher(&"b".parse().unwrap(), Congestion::Block).unwrap();
    patient.publish(&value_of_four(&runtime)).unwrap();
    std::thread::scope(|scope| {
        let publishing = scope.spawn(|| (0..5).try_for_each(|_| patient.publish(&value)));
        let mut lengths: Vec<usize> = vec![];
        for _ in 0..11 {
            let payload = subscriber.receive(LONG).unwrap().unwrap().payload;
            assert!(payload[..] == bytes(4 * LARGE, 1)[..payload.len()]);
            lengths.push(payload.len());
        }
        lengths.sort();
        assert_eq!(lengths, [&[LARGE; 10][..], &[4 * LARGE][..]].concat());
        publishing.join().unwrap().unwrap();
    });
}

fn value_of_four(runtime: &Runtime) -> mappable::Frozen {
    value(runtime, &bytes(4 * LARGE, 1))
}

#[test]
fn a_message_that_is_longer_than_the_receiver_takes_is_not_received() {
    let runtime = Runtime::new().unwrap();
    let (one, other) = two(&runtime, &Options::new().message_bytes(LARGE as u64));
    let subscriber = other.subscriber(&keys("a"), Subscription::new()).unwrap();
    let publisher = one.publisher(&"a".parse().unwrap(), Congestion::Block).unwrap();
    assert!(publisher.wait_for_subscriber(LONG));
    publisher.publish(&value(&runtime, &bytes(3 * LARGE, 1))).unwrap();
    publisher.publish(&value(&runtime, &bytes(LARGE - 70_000, 2))).unwrap();
    // Zenoh has dropped the first already, or we do.
    let message = match subscriber.receive(LONG) {
        Err(ReceiveError::TooLarge { .. }) => subscriber.receive(LONG),
        other => other,
    };
    assert_eq!(message.unwrap().unwrap().payload[..], bytes(LARGE - 70_000, 2));
}

#[test]
fn an_offer_is_shared_once_for_all_who_ask() {
    let runtime = Runtime::new().unwrap();
    for (options, shared) in [(Options::new(), SHARED), (over_the_network(), 0)] {
        let (one, other) = two(&runtime, &options);
        let offer = one.offer(&"table".parse().unwrap(), value(&runtime, &bytes(LARGE, 1))).unwrap();
        let mut first = vec![];
        until("the offer is known", || {
            first = other.get(&keys("table"), LONG).unwrap();
            !first.is_empty()
        });
        let second = other.get(&keys("table"), LONG).unwrap();
        for got in [&first, &second] {
            assert_eq!((got.len(), got[0].key.as_str()), (1, "table"));
            assert_eq!(got[0].payload[..], bytes(LARGE, 1));
        }
        assert_eq!(one.shared_bytes(), shared);
        drop(offer);
        until("nothing is shared", || one.shared_bytes() == 0);
        assert!(other.get(&keys("table"), LONG).unwrap().is_empty());
        assert_eq!(second[0].payload[..], bytes(LARGE, 1));
    }
}

#[test]
fn who_is_there_is_known_until_it_says_otherwise() {
    let runtime = Runtime::new().unwrap();
    let (one, other) = two(&runtime, &over_the_network());
    let watch = other.watch(&keys("node/*")).unwrap();
    let token = one.token(&"node/one".parse().unwrap()).unwrap();
    assert_eq!(watch.next(LONG), Ok(Some(Presence::Came("node/one".into()))));
    assert_eq!(other.alive(&keys("node/*"), LONG).unwrap(), ["node/one"]);
    drop(token);
    assert_eq!(watch.next(LONG), Ok(Some(Presence::Went("node/one".into()))));
    assert!(other.alive(&keys("node/*"), LONG).unwrap().is_empty());
    assert_eq!(watch.next(Duration::ZERO), Ok(None));
}
