//! One member: what is published is received as it is, without a copy.

use std::time::Duration;

use mappable::{GRANULE, Runtime};
use mappable_zenoh::{
    Bus, Congestion, Options, Overflow, Presence, PublishError, QueryError, ReceiveError, Subscription, Token,
    WatchError,
};

use crate::support::{LARGE, LONG, bytes, keys, value};

#[test]
fn a_value_is_received_as_the_value_that_was_published() {
    let runtime = Runtime::new().unwrap();
    let bus = Bus::open(&runtime, &Options::new()).unwrap();
    let first = bus.subscriber(&keys("a/*"), Subscription::new()).unwrap();
    let second = bus.subscriber(&keys("**"), Subscription::new()).unwrap();
    let elsewhere = bus.subscriber(&keys("b/*"), Subscription::new()).unwrap();
    let publisher = bus.publisher(&"a/b".parse().unwrap(), Congestion::Block).unwrap();
    for len in [1, 1000, LARGE] {
        let value = value(&runtime, &bytes(len, 1));
        publisher.publish(&value).unwrap();
        for subscriber in [&first, &second] {
            let message = subscriber.receive(LONG).unwrap().unwrap();
            assert_eq!((message.key.as_str(), message.payload.as_ptr()), ("a/b", value.as_ptr()));
            assert_eq!(message.payload.len(), len);
        }
        // Nothing is left on its way that would keep it.
        value.thaw().unwrap();
    }
    assert!(elsewhere.receive(Duration::ZERO).unwrap().is_none());
}

#[test]
fn a_region_is_handed_over_without_a_copy_to_a_subscriber_that_is_alone() {
    let runtime = Runtime::new().unwrap();
    let bus = Bus::open(&runtime, &Options::new()).unwrap();
    let subscriber = bus.subscriber(&keys("a"), Subscription::new()).unwrap();
    let publisher = bus.publisher(&"a".parse().unwrap(), Congestion::Block).unwrap();
    let region = runtime.allocate_from(&bytes(LARGE, 2)).unwrap();
    let at = region.bytes().unwrap().as_ptr();
    publisher.send(region).unwrap();
    let mut region = subscriber.receive(LONG).unwrap().unwrap().into_region().unwrap();
    assert_eq!(region.bytes().unwrap().as_ptr(), at);
    assert_eq!(region.bytes().unwrap(), bytes(LARGE, 2));
    region.bytes_mut().unwrap()[0] = 7;
}

#[test]
fn a_region_that_nobody_subscribes_to_comes_back() {
    let runtime = Runtime::new().unwrap();
    let bus = Bus::open(&runtime, &Options::new()).unwrap();
    let publisher = bus.publisher(&"a".parse().unwrap(), Congestion::Block).unwrap();
    let failed = publisher.send(runtime.allocate_from(&bytes(LARGE, 3)).unwrap()).unwrap_err();
    assert!(matches!(&failed.error, PublishError::NoSubscriber(key) if key.as_str() == "a"), "{failed}");
    assert_eq!(failed.region.bytes().unwrap(), bytes(LARGE, 3));

    // Nor when the one that did has gone.
    let subscriber = bus.subscriber(&keys("a"), Subscription::new()).unwrap();
    publisher.send(failed.region).unwrap();
    drop(subscriber);
    let failed = publisher.send(runtime.allocate_from(b"again").unwrap()).unwrap_err();
    assert!(matches!(failed.error, PublishError::NoSubscriber(_)), "{failed}");

    // A frozen value is published to whoever is there.
    publisher.publish(&value(&runtime, b"to nobody")).unwrap();
}

#[test]
fn the_oldest_messages_go_if_there_is_no_room_and_are_counted() {
    let runtime = Runtime::new().unwrap();
    let bus = Bus::open(&runtime, &Options::new()).unwrap();
    let how = Subscription::new().messages(2).overflow(Overflow::DropOldest);
    let subscriber = bus.subscriber(&keys("a"), how).unwrap();
    let publisher = bus.publisher(&"a".parse().unwrap(), Congestion::Block).unwrap();
    for number in 0..5 {
        publisher.publish(&value(&runtime, &[number; 8])).unwrap();
    }
    let received: Vec<u8> =
        std::iter::from_fn(|| subscriber.receive(Duration::ZERO).unwrap()).map(|message| message.payload[0]).collect();
    assert_eq!((received, subscriber.dropped()), (vec![3, 4], 3));
}

#[test]
fn a_message_over_the_limit_is_an_error_and_the_next_is_received() {
    let runtime = Runtime::new().unwrap();
    let bus = Bus::open(&runtime, &Options::new().message_bytes(1000)).unwrap();
    let subscriber = bus.subscriber(&keys("a"), Subscription::new()).unwrap();
    let publisher = bus.publisher(&"a".parse().unwrap(), Congestion::Block).unwrap();
    publisher.publish(&value(&runtime, &[1; 1001])).unwrap();
    publisher.publish(&value(&runtime, &[2; 1000])).unwrap();
    let error = subscriber.receive(LONG).unwrap_err();
    assert!(matches!(error, ReceiveError::TooLarge { len: 1001, limit: 1000 }), "{error}");
    assert_eq!(subscriber.receive(LONG).unwrap().unwrap().payload[..], [2; 1000]);
}

#[test]
fn when_the_bus_is_closed_what_has_come_is_received_and_then_an_error() {
    let runtime = Runtime::new().unwrap();
    let bus = Bus::open(&runtime, &Options::new()).unwrap();
    let subscriber = bus.subscriber(&keys("a"), Subscription::new()).unwrap();
    let publisher = bus.publisher(&"a".parse().unwrap(), Congestion::Block).unwrap();
    publisher.publish(&value(&runtime, b"last")).unwrap();
    bus.close();
    assert_eq!(subscriber.receive(LONG).unwrap().unwrap().payload[..], *b"last");
    assert!(matches!(subscriber.receive(LONG), Err(ReceiveError::Closed)));
    assert!(matches!(publisher.publish(&value(&runtime, b"later")), Err(PublishError::Bus(_))));
    assert!(bus.subscriber(&keys("a"), Subscription::new()).is_err());
}

#[test]
fn who_asks_for_a_key_gets_each_value_that_is_offered_under_it() {
    let runtime = Runtime::new().unwrap();
    let bus = Bus::open(&runtime, &Options::new()).unwrap();
    let one = value(&runtime, &bytes(LARGE, 4));
    let offer = bus.offer(&"table/one".parse().unwrap(), one.clone()).unwrap();
    let _other = bus.offer(&"table/two".parse().unwrap(), value(&runtime, b"two")).unwrap();
    let got = bus.get(&keys("table/one"), LONG).unwrap();
    assert_eq!((got.len(), got[0].payload.as_ptr()), (1, one.as_ptr()));
    assert_eq!(bus.get(&keys("table/*"), LONG).unwrap().len(), 2);
    drop(offer);
    let got = bus.get(&keys("table/*"), LONG).unwrap();
    assert_eq!((got.len(), got[0].key.as_str(), &got[0].payload[..]), (1, "table/two", &b"two"[..]));
}

#[test]
fn a_member_that_asks_itself_gets_many_answers() {
    let runtime = Runtime::new().unwrap();
    let bus = Bus::open(&runtime, &Options::new()).unwrap();
    let one = value(&runtime, b"one");
    let key = |number: usize| format!("table/{number}").parse().unwrap();
    let _offers: Vec<_> = (0..1000).map(|number| bus.offer(&key(number), one.clone()).unwrap()).collect();
    let _tokens: Vec<_> = (0..1000).map(|number| bus.token(&key(number)).unwrap()).collect();
    assert_eq!(bus.get(&keys("table/*"), LONG).unwrap().len(), 1000);
    assert_eq!(bus.alive(&keys("table/*"), LONG).unwrap().len(), 1000);
    assert!(bus.watch(&keys("table/*")).unwrap().next(LONG).unwrap().is_some());
}

#[test]
fn a_query_gets_no_more_bytes_than_a_message_may_have() {
    let runtime = Runtime::new().unwrap();
    let bus = Bus::open(&runtime, &Options::new().message_bytes(1000)).unwrap();
    let _one = bus.offer(&"table/one".parse().unwrap(), value(&runtime, &[1; 600])).unwrap();
    let _two = bus.offer(&"table/two".parse().unwrap(), value(&runtime, &[2; 600])).unwrap();
    assert_eq!(bus.get(&keys("table/one"), LONG).unwrap().len(), 1);
    let error = bus.get(&keys("table/*"), LONG).unwrap_err();
    // One is a granule, as is the limit.
    let (two, one) = (2 * GRANULE, GRANULE);
    assert!(
        matches!(error, QueryError::Receive(ReceiveError::TooLarge { len, limit }) if (len, limit) == (two, one)),
        "{error}"
    );
}

#[test]
fn no_more_keys_are_told_than_the_bus_takes_and_who_watches_hears_that_some_are_missing() {
    let runtime = Runtime::new().unwrap();
    let bus = Bus::open(&runtime, &Options::new().alive_keys(10)).unwrap();
    let watch = bus.watch(&keys("who/*")).unwrap();
    let token = |number: usize| bus.token(&format!("who/{number}").parse().unwrap()).unwrap();
    let mut tokens: Vec<Token> = (0..10).map(token).collect();
    assert_eq!(bus.alive(&keys("who/*"), LONG).unwrap().len(), 10);
    tokens.push(token(10));
    let error = bus.alive(&keys("who/*"), LONG).unwrap_err();
    assert!(matches!(error, QueryError::TooManyKeys { limit: 10 }), "{error}");
    assert_eq!(bus.alive(&keys("who/7"), LONG).unwrap(), ["who/7"]);
    assert_eq!(watch.next(LONG), Err(WatchError::Missed { limit: 10 }));
    drop(tokens.remove(7));
    assert_eq!(watch.next(LONG), Ok(Some(Presence::Went("who/7".into()))));
    bus.close();
    // The others went with the bus, if that was told.
    while let Ok(told) = watch.next(LONG) {
        assert!(matches!(told, Some(Presence::Went(_))), "{told:?}");
    }
}
