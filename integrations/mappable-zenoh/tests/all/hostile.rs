//! Peers that mean harm: programs on other machines that use Zenoh as they like, and know nothing of mappable.

use std::sync::{Arc, Mutex};

use mappable::{GRANULE, Runtime};
use mappable_zenoh::{Bus, Congestion, Options, Overflow, QueryError, ReceiveError, Subscription};
use zenoh::query::Query;
use zenoh::{Session, Wait as _};

use crate::support::{LONG, keys, until, value};

/// A member that listens, and where.
pub(crate) fn listening(runtime: &Runtime, options: &Options) -> (Bus, String) {
    let bus = Bus::open(runtime, &options.clone().listen("tcp/127.0.0.1:0")).unwrap();
    let address = bus.addresses().into_iter().next().unwrap();
    (bus, address)
}

/// Another program's session, connected to a member.
fn stranger(address: &str) -> Session {
    let mut config = zenoh::Config::default();
    config.insert_json5("connect/endpoints", &format!("[{address:?}]")).unwrap();
    config.insert_json5("scouting/multicast/enabled", "false").unwrap();
    zenoh::open(config).wait().unwrap()
}

/// Replies to each query for a key with many messages of one byte, and keeps the query open.
pub(crate) struct Answering {
    _session: Session,
    _open: Arc<Mutex<Vec<Query>>>,
}

impl Answering {
    pub(crate) fn new(bus: &Bus, address: &str, key: &'static str, answers: usize) -> Self {
        let session = stranger(address);
        let open = Arc::<Mutex<Vec<Query>>>::default();
        let kept = Arc::clone(&open);
        let answer = move |query: Query| {
            // Who asked may have heard enough, and closed.
            let _ = (0..answers).try_for_each(|_| query.reply(key, "x").wait());
            kept.lock().unwrap().push(query);
        };
        session.declare_queryable(key).complete(true).callback(answer).background().wait().unwrap();
        // Who subscribes is known when it is known who answers, which was said before.
        let _known = session.declare_subscriber("known").callback(|_| {}).wait().unwrap();
        let publisher = bus.publisher(&"known".parse().unwrap(), Congestion::Block).unwrap();
        assert!(publisher.wait_for_subscriber(LONG));
        Self { _session: session, _open: open }
    }
}

#[test]
fn many_small_answers_are_no_more_regions_than_the_limit_has_room_for() {
    let runtime = Runtime::new().unwrap();
    let (bus, address) = listening(&runtime, &Options::new().message_bytes(100 * GRANULE));
    let _stranger = Answering::new(&bus, &address, "table/one", 10_000);
    let error = bus.get(&keys("table/*"), LONG).map(|messages| messages.len()).unwrap_err();
    let (expected, most) = (101 * GRANULE, 100 * GRANULE);
    assert!(
        matches!(error, QueryError::Receive(ReceiveError::TooLarge { len, limit }) if (len, limit) == (expected, most)),
        "{error}"
    );
}

#[test]
fn a_watch_that_nobody_reads_keeps_nobody_waiting() {
    let runtime = Runtime::new().unwrap();
    let (bus, address) = listening(&runtime, &Options::new());
    let _watch = bus.watch(&keys("who/**")).unwrap();
    let subscriber = bus.subscriber(&keys("data"), Subscription::new()).unwrap();
    let honest = Bus::open(&runtime, &Options::new().connect(&address)).unwrap();
    let publisher = honest.publisher(&"data".parse().unwrap(), Congestion::Block).unwrap();
    assert!(publisher.wait_for_subscriber(LONG));
    let strangers: Vec<Session> = (0..3).map(|_| stranger(&address)).collect();
    let tokens: Vec<_> = strangers
        .iter()
        .enumerate()
        .flat_map(|(stranger, session)| (0..400).map(move |number| (session, format!("who/{stranger}/{number}"))))
        .map(|(session, key)| session.liveliness().declare_token(key).wait().unwrap())
        .collect();
    // By the same connections, behind the tokens.
    for session in &strangers {
        session.put("data", "x").wait().unwrap();
    }
    publisher.publish(&value(&runtime, b"x")).unwrap();
    for message in 0..=strangers.len() {
        assert!(subscriber.receive(LONG / 3).unwrap().is_some(), "{message} messages came");
    }
    drop(tokens);
}

#[test]
fn what_a_peer_sends_besides_the_payload_counts_in_a_queue() {
    let runtime = Runtime::new().unwrap();
    let (bus, address) = listening(&runtime, &Options::new());
    let how = Subscription::new().bytes(1000).overflow(Overflow::DropOldest);
    let subscriber = bus.subscriber(&keys("data"), how).unwrap();
    let last = bus.subscriber(&keys("last"), Subscription::new()).unwrap();
    let stranger = stranger(&address);
    until("it is connected", || bus.peers() == 1);
    for _ in 0..5 {
        stranger.put("data", "x").attachment(vec![1; 600]).wait().unwrap();
    }
    stranger.put("last", "x").wait().unwrap();
    assert!(last.receive(LONG).unwrap().is_some());
    assert_eq!(subscriber.dropped(), 4);
}
