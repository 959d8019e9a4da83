//! Peers that mean harm: programs on other machines that use Zenoh as they like, and know nothing of mappable.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

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

/// A way to a member on which much goes there, and back no more than so many bytes, until it is dropped.
struct OneWay {
    address: String,
    back: Arc<AtomicUsize>,
    _until: Sender<()>,
}

impl OneWay {
    fn new(member: &str, most: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp/{}", listener.local_addr().unwrap());
        let to = member.strip_prefix("tcp/").unwrap().to_owned();
        let back = Arc::<AtomicUsize>::default();
        let (until, dropped) = mpsc::channel();
        let passed = Arc::clone(&back);
        thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut member = TcpStream::connect(to).unwrap();
            let (mut from, mut into) = (peer.try_clone().unwrap(), member.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut from, &mut into));
            let mut bytes = [0; 4096];
            while passed.load(Ordering::Relaxed) < most {
                let read = member.read(&mut bytes).unwrap();
                peer.write_all(&bytes[..read]).unwrap();
                passed.fetch_add(read, Ordering::Relaxed);
            }
            // Both connections stay open until then.
            let _ = dropped.recv();
            let _ = (member.shutdown(Shutdown::Both), peer.shutdown(Shutdown::Both));
        });
        Self { address, back, _until: until }
    }
}

#[test]
fn who_asks_and_takes_no_answer_keeps_nobody_else_waiting() {
    const PART: usize = 1 << 20;
    let runtime = Runtime::new().unwrap();
    // Zenoh gives up neither who takes nothing nor who hears nothing.
    let mut config = zenoh::Config::default();
    let wait = "transport/link/tx/queue/congestion_control/block/wait_before_close";
    config.insert_json5(wait, "120000000").unwrap();
    config.insert_json5("transport/link/tx/lease", "120000").unwrap();
    let (bus, address) = listening(&runtime, &Options::new().config(config));
    let _offer = bus.offer(&"table".parse().unwrap(), value(&runtime, &vec![1; 32 * PART])).unwrap();
    let subscriber = bus.subscriber(&keys("data"), Subscription::new()).unwrap();

    // Zenoh reads by two threads.
    let ways: Vec<OneWay> = (0..3).map(|_| OneWay::new(&address, PART)).collect();
    let strangers: Vec<Session> = ways.iter().map(|way| stranger(&way.address)).collect();
    for session in &strangers {
        let querier = session.declare_querier("table").wait().unwrap();
        until("the offer is known", || querier.matching_status().wait().unwrap().matching());
        session.get("table").timeout(2 * LONG).callback(|_| {}).wait().unwrap();
    }
    until("all are being answered", || ways.iter().all(|way| way.back.load(Ordering::Relaxed) >= PART));

    let honest = Bus::open(&runtime, &Options::new().connect(&address)).unwrap();
    let publisher = honest.publisher(&"data".parse().unwrap(), Congestion::Block).unwrap();
    assert!(publisher.wait_for_subscriber(LONG));
    publisher.publish(&value(&runtime, b"x")).unwrap();
    assert!(subscriber.receive(LONG).unwrap().is_some());
    let got = honest.get(&keys("table"), LONG).unwrap();
    assert_eq!(got.iter().map(|message| message.payload.len()).collect::<Vec<_>>(), [32 * PART]);
    // No session ends while another waits in it.
    drop(ways);
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
fn a_rule_of_zenohs_refuses_the_tokens_of_peers() {
    let runtime = Runtime::new().unwrap();
    let mut config = zenoh::Config::default();
    let guide = include_str!("../../../../docs/src/machines.md");
    let (_, rules) = guide.split_once("```json5\n").unwrap();
    config.insert_json5("access_control", rules.split_once("\n```").unwrap().0).unwrap();
    for (options, is_there) in [(Options::new(), true), (Options::new().config(config), false)] {
        let (bus, address) = listening(&runtime, &options);
        let stranger = stranger(&address);
        let subscriber = bus.subscriber(&keys("data"), Subscription::new()).unwrap();
        let watch = bus.watch(&keys("who/*")).unwrap();
        let _token = stranger.liveliness().declare_token("who/one").wait().unwrap();
        let publisher = stranger.declare_publisher("data").wait().unwrap();
        until("its subscriber is known", || publisher.matching_status().wait().unwrap().matching());
        // By the same connection, behind the token.
        publisher.put("x").wait().unwrap();
        assert!(subscriber.receive(LONG).unwrap().is_some());
        assert_eq!(watch.next(Duration::ZERO).unwrap().is_some(), is_there);
        assert_eq!(!bus.alive(&keys("who/*"), LONG).unwrap().is_empty(), is_there);
        // Its own are none of a peer's.
        let _own = bus.token(&"who/two".parse().unwrap()).unwrap();
        assert!(bus.alive(&keys("who/*"), LONG).unwrap().contains(&"who/two".to_owned()));
    }
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
