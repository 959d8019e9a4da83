//! Sandboxed components at both ends, on the bus.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use mappable::Runtime;
use mappable_zenoh::host::{Grants, Quota};
use mappable_zenoh::{Bus, Congestion, Key, Options, Overflow, Publisher, Subscriber, Subscription};
use wasmtime::component::TypedFunc;

use super::{Answer, BACK, PATIENCE, Receiving, Sending, THERE};
use crate::node::Node;

/// Memory of each end, and of what it holds of regions.
const MEMORY: u64 = 1 << 30;

pub(super) struct Sender {
    hop: TypedFunc<(u32, u32), ()>,
    node: Node,
    /// The component's own is not to be asked from here.
    there: Publisher,
    back: Subscriber,
    bus: Bus,
}

pub(super) struct Receiver {
    take: TypedFunc<(), (Option<u32>,)>,
    node: Node,
    back: Publisher,
    runtime: Runtime,
    _bus: Bus,
}

fn options(is_shared: bool) -> Options {
    Options::new().shared_memory(is_shared)
}

fn node(runtime: &Runtime, component: &str, bus: &Bus) -> Result<Node> {
    let component = runtime.compile(component.as_bytes())?;
    let grants = Grants::new().send(THERE.parse()?).receive(THERE.parse()?);
    let mut quota = Quota::default();
    quota.overflow = Overflow::Block;
    quota.queued_bytes = MEMORY;
    let mut node = Node::new(runtime, &component, bus, grants, quota, MEMORY)?;
    let open = node.instance.get_typed_func::<(&str,), ()>(&mut node.store, "open")?;
    open.call(&mut node.store, (THERE,))?;
    Ok(node)
}

impl Sender {
    pub(super) fn new(is_shared: bool, shared_from: u32) -> Result<Self> {
        let runtime = Runtime::new()?;
        let options = options(is_shared).shared_from(shared_from.into()).listen("tcp/127.0.0.1:0");
        let bus = Bus::open(&runtime, &options)?;
        let mut node = node(&runtime, include_str!("sender.wat"), &bus)?;
        let hop = node.instance.get_typed_func(&mut node.store, "hop")?;
        let there = bus.publisher(&THERE.parse()?, Congestion::Block)?;
        let back = bus.subscriber(&BACK.parse()?, Subscription::new())?;
        Ok(Self { hop, node, there, back, bus })
    }
}

impl Sending for Sender {
    fn address(&self) -> Result<String> {
        self.bus.addresses().into_iter().next().context("the bus listens")
    }

    fn wait(&self) -> Result<()> {
        ensure!(self.there.wait_for_subscriber(PATIENCE), "the other end does not subscribe");
        Ok(())
    }

    fn send(&mut self, number: u32, bytes: u32) -> Result<()> {
        self.hop.call(&mut self.node.store, (number, bytes))?;
        Ok(())
    }

    fn answer(&mut self, timeout: Duration) -> Result<Option<Answer>> {
        self.back.receive(timeout)?.map(|message| Answer::read(&message.payload)).transpose()
    }
}

impl Receiver {
    pub(super) fn new(is_shared: bool, address: &str) -> Result<Self> {
        let runtime = Runtime::new()?;
        let bus = Bus::open(&runtime, &options(is_shared).connect(address))?;
        let mut node = node(&runtime, include_str!("receiver.wat"), &bus)?;
        let take = node.instance.get_typed_func(&mut node.store, "take")?;
        let back: Key = BACK.parse()?;
        let back = bus.publisher(&back, Congestion::Block)?;
        ensure!(back.wait_for_subscriber(PATIENCE), "the other end does not subscribe");
        Ok(Self { take, node, back, runtime, _bus: bus })
    }
}

impl Receiving for Receiver {
    fn take(&mut self) -> Result<u32> {
        loop {
            if let (Some(number),) = self.take.call(&mut self.node.store, ())? {
                return Ok(number);
            }
        }
    }

    fn answer(&mut self, answer: Answer) -> Result<()> {
        let answer = self.runtime.allocate_from(&answer.to_bytes())?;
        Ok(self.back.send(answer)?)
    }
}
