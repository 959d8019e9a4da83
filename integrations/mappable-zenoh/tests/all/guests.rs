//! Components on the bus: what they are granted, and how much they may use.

use std::thread;
use std::time::{Duration, Instant};

use mappable::{FrozenHandle, Limits, MappableCtx, MappableView, Runtime};
use mappable_zenoh::host::{self, BusCtx, BusView, Grants, Quota};
use mappable_zenoh::{Bus, Congestion, Options, Overflow, Subscription};
use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, Instance, Lift, Linker, Lower};

use crate::hostile::{Answering, listening};
use crate::support::{LONG, bytes, keys, value};

struct State {
    mappable: MappableCtx,
    bus: BusCtx,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

impl BusView for State {
    fn bus(&mut self) -> &mut BusCtx {
        &mut self.bus
    }
}

struct Guest {
    store: Store<State>,
    instance: Instance,
}

// The errors, as the guest says them.
const INVALID_KEY: u32 = 1;
const NOT_GRANTED: u32 = 2;
const OVER_QUOTA: u32 = 3;
const CLOSED: u32 = 9;

impl Guest {
    fn new(runtime: &Runtime, bus: &Bus, text: &str, grants: Grants, quota: Quota, limits: Limits) -> Self {
        let component = runtime.compile(text.as_bytes()).unwrap();
        let mut linker = Linker::new(runtime.engine());
        mappable::add_to_linker::<State>(&mut linker).unwrap();
        host::add_to_linker::<State>(&mut linker).unwrap();
        let mut mappable = runtime.context();
        mappable.set_limits(limits);
        let mut store = runtime.store(State { mappable, bus: BusCtx::new(bus, grants, quota) });
        let instance = linker.instantiate(&mut store, &component).unwrap();
        Self { store, instance }
    }

    fn told(runtime: &Runtime, bus: &Bus, quota: Quota, limits: Limits) -> Self {
        let grants = Grants::new().send(keys("mine/**")).receive(keys("mine/**")).receive(keys("theirs/*"));
        Self::new(runtime, bus, include_str!("guest.wat"), grants, quota, limits)
    }

    fn call<P, R>(&mut self, function: &str, parameters: P) -> R
    where
        P: ComponentNamedList + Lower,
        (R,): ComponentNamedList + Lift,
        R: 'static,
    {
        let function = self.instance.get_typed_func::<P, (R,)>(&mut self.store, function).unwrap();
        function.call(&mut self.store, parameters).unwrap().0
    }

    fn key(&mut self, function: &str, key: &str) -> u32 {
        self.call(function, (key,))
    }

    fn receive(&mut self) -> i64 {
        self.call("receive", (60_000_u32,))
    }

    fn insert(&mut self, value: mappable::Frozen) -> FrozenHandle {
        self.store.data_mut().mappable.insert_frozen(value).unwrap()
    }
}

fn runtime_and_bus() -> (Runtime, Bus) {
    let runtime = Runtime::new().unwrap();
    let bus = Bus::open(&runtime, &Options::new()).unwrap();
    (runtime, bus)
}

#[test]
fn the_same_two_components_in_one_process() {
    let (runtime, bus) = runtime_and_bus();
    let of = |text, grants, quota| Guest::new(&runtime, &bus, text, grants, quota, Limits::default());
    let mut quota = Quota::default();
    quota.overflow = Overflow::Block;
    let mut viewer = of(include_str!("../../examples/viewer.wat"), Grants::new().receive(keys("a/*")), quota);
    let mut camera = of(include_str!("../../examples/camera.wat"), Grants::new().send(keys("a/*")), quota);
    let run = |guest: &mut Guest, key: &str| -> Result<String, String> {
        let arguments = [key, "30", "1000000"].map(str::to_owned).to_vec();
        guest.call("run", (arguments,))
    };
    thread::scope(|scope| {
        let viewed = scope.spawn(|| run(&mut viewer, "a/*"));
        assert_eq!(run(&mut camera, "a/b").unwrap(), "all sent");
        assert_eq!(viewed.join().unwrap().unwrap(), "all received, and all as they were sent");
    });
}

#[test]
fn a_guest_uses_no_key_but_those_that_are_granted() {
    let (runtime, bus) = runtime_and_bus();
    let mut guest = Guest::told(&runtime, &bus, Quota::default(), Limits::default());
    for function in ["publisher", "token"] {
        assert_eq!(guest.key(function, "mine/a/b"), 0);
        for (key, error) in [
            ("theirs/a", NOT_GRANTED),
            ("mine/*", INVALID_KEY),
            ("mine/@a", INVALID_KEY),
            ("", INVALID_KEY),
            ("@/**", INVALID_KEY),
        ] {
            assert_eq!(guest.key(function, key), error, "{function} {key}");
        }
    }
    for (key, error) in
        [("theirs/*", 0), ("mine/**", 0), ("theirs/**", NOT_GRANTED), ("**", NOT_GRANTED), ("@/**", INVALID_KEY)]
    {
        assert_eq!(guest.key("subscriber", key), error, "{key}");
        let counted: [i64; 2] = ["get", "alive"].map(|function| guest.call(function, (key,)));
        let alive = i64::from(key == "mine/**");
        let expected = if error == 0 { [0, alive] } else { [-i64::from(error); 2] };
        assert_eq!(counted, expected, "{key}");
    }
    let offered = guest.insert(value(&runtime, b"a value"));
    assert_eq!(guest.call::<_, u32>("offer", ("theirs/a", offered)), NOT_GRANTED);
    let offered = guest.insert(value(&runtime, b"a value"));
    assert_eq!(guest.call::<_, u32>("offer", ("mine/table", offered)), 0);
    assert_eq!(guest.call::<_, i64>("get", ("mine/table",)), 1);
}

#[test]
fn a_guest_has_no_more_publishers_and_subscribers_than_it_may() {
    let (runtime, bus) = runtime_and_bus();
    let mut quota = Quota::default();
    quota.resources = 3;
    let mut guest = Guest::told(&runtime, &bus, quota, Limits::default());
    assert_eq!(
        [guest.key("publisher", "mine/a"), guest.key("subscriber", "mine/a"), guest.key("token", "mine/a")],
        [0; 3]
    );
    for function in ["publisher", "subscriber", "token"] {
        assert_eq!(guest.key(function, "mine/b"), OVER_QUOTA, "{function}");
    }
    call_nothing(&mut guest, "drop-publisher");
    assert_eq!([guest.key("publisher", "mine/b"), guest.key("publisher", "mine/b")], [0, OVER_QUOTA]);
}

fn call_nothing(guest: &mut Guest, function: &str) {
    let function = guest.instance.get_typed_func::<(), ()>(&mut guest.store, function).unwrap();
    function.call(&mut guest.store, ()).unwrap();
}

#[test]
fn a_guest_that_receives_nothing_keeps_nobody_waiting_and_no_more_than_it_may() {
    let (runtime, bus) = runtime_and_bus();
    let mut quota = Quota::default();
    quota.queued_bytes = 10_000;
    let mut guest = Guest::told(&runtime, &bus, quota, Limits::default());
    assert_eq!(guest.key("subscriber", "theirs/*"), 0);
    let publisher = bus.publisher(&"theirs/a".parse().unwrap(), Congestion::Block).unwrap();
    for len in 1..=100 {
        publisher.publish(&value(&runtime, &bytes(4000 + len, 1))).unwrap();
    }
    assert_eq!(guest.call::<_, u64>("dropped", ()), 98);
    assert_eq!([guest.receive(), guest.receive()], [4099, 4100]);
}

#[test]
fn what_a_guest_receives_counts_against_its_limits_and_waits_until_it_has_room() {
    let (runtime, bus) = runtime_and_bus();
    let limits = Limits::default().regions(2);
    let mut guest = Guest::told(&runtime, &bus, Quota::default(), limits);
    assert_eq!(guest.key("subscriber", "theirs/*"), 0);
    let publisher = bus.publisher(&"theirs/a".parse().unwrap(), Congestion::Block).unwrap();
    for len in [11, 12, 13] {
        publisher.publish(&value(&runtime, &bytes(len, 1))).unwrap();
    }
    assert_eq!([guest.receive(), guest.receive()], [11, 12]);
    assert_eq!(guest.receive(), -i64::from(OVER_QUOTA));
    // The third is there still.
    guest.store.data_mut().mappable.set_limits(limits.regions(3));
    assert_eq!(guest.receive(), 13);
}

#[test]
fn a_guest_that_asks_is_given_no_more_answers_than_it_may_hold_and_no_more_are_taken() {
    let runtime = Runtime::new().unwrap();
    let (bus, address) = listening(&runtime, &Options::new());
    let _stranger = Answering::new(&bus, &address, "theirs/a", 4);
    let mut quota = Quota::default();
    quota.wait = LONG;
    let mut guest = Guest::told(&runtime, &bus, quota, Limits::default().regions(3));
    let begun = Instant::now();
    assert_eq!(guest.call::<_, i64>("get", ("theirs/*",)), -i64::from(OVER_QUOTA));
    // The fourth was one too many: nobody waits for what else may come.
    assert!(begun.elapsed() < LONG, "it has waited for all answers");
    assert_eq!(guest.store.data_mut().mappable.held().0, 0);
}

#[test]
fn a_call_waits_no_longer_than_the_host_lets_it() {
    let (runtime, bus) = runtime_and_bus();
    let mut quota = Quota::default();
    quota.wait = Duration::from_millis(50);
    let mut guest = Guest::told(&runtime, &bus, quota, Limits::default());
    assert_eq!(guest.key("subscriber", "theirs/*"), 0);
    let begun = Instant::now();
    assert_eq!(guest.receive(), 0);
    assert!(begun.elapsed() < LONG, "it has waited for the minute that it asked for");
}

#[test]
fn a_guest_publishes_and_is_told_when_the_bus_is_closed() {
    let (runtime, bus) = runtime_and_bus();
    let mut guest = Guest::told(&runtime, &bus, Quota::default(), Limits::default());
    let subscriber = bus.subscriber(&keys("mine/*"), Subscription::new()).unwrap();
    assert_eq!([guest.key("publisher", "mine/a"), guest.key("subscriber", "theirs/a")], [0, 0]);
    let sent = value(&runtime, b"from a guest");
    let handle = guest.insert(sent.clone());
    assert_eq!(guest.call::<_, u32>("publish", (handle,)), 0);
    assert_eq!(subscriber.receive(LONG).unwrap().unwrap().payload.as_ptr(), sent.as_ptr());
    bus.close();
    let handle = guest.insert(sent);
    assert_eq!(guest.call::<_, u32>("publish", (handle,)), CLOSED);
    assert_eq!(guest.receive(), -i64::from(CLOSED));
    assert_eq!(guest.key("publisher", "mine/b"), CLOSED);
}
