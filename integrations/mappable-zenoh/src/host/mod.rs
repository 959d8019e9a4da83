//! The bus for components: the WIT package `mappable:bus`, what a component may use of it, and how much.

mod functions;

use std::time::Duration;

use mappable::MappableView;
use wasmtime::component::ResourceTable;

pub use self::functions::add_to_linker;
use crate::bus::Bus;
use crate::key::Pattern;
use crate::publisher::Congestion;
use crate::queue::Overflow;

/// Which keys a component may use. None, unless said.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    sends: Vec<Pattern>,
    receives: Vec<Pattern>,
}

impl Grants {
    /// No key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets it publish, offer and be there under the keys of a pattern.
    pub fn send(mut self, pattern: Pattern) -> Self {
        self.sends.push(pattern);
        self
    }

    /// Lets it subscribe to the keys of a pattern, ask for them, and ask who is there.
    pub fn receive(mut self, pattern: Pattern) -> Self {
        self.receives.push(pattern);
        self
    }

    fn may_send(&self, key: &Pattern) -> bool {
        self.sends.iter().any(|granted| granted.includes(key))
    }

    fn may_receive(&self, pattern: &Pattern) -> bool {
        self.receives.iter().any(|granted| granted.includes(pattern))
    }
}

/// How much a component may use of the bus. What it holds of received values counts against its [`mappable::Limits`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Quota {
    /// Publishers, subscribers, offers and tokens at once. 16 unless said.
    pub resources: usize,
    /// Messages that wait in the queue of each subscriber. 16 unless said.
    pub queued_messages: usize,
    /// Bytes that wait in the queue of each subscriber. 64 MiB unless said.
    pub queued_bytes: u64,
    /// What becomes of a message for which there is no room. The oldest go unless said: a component that receives nothing must not
    /// stop what others receive from the same peer.
    pub overflow: Overflow,
    /// What a publisher does when receivers are behind. It waits unless said.
    pub congestion: Congestion,
    /// The longest that one call waits. A second unless said.
    pub wait: Duration,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            resources: 16,
            queued_messages: 16,
            queued_bytes: 64 << 20,
            overflow: Overflow::DropOldest,
            congestion: Congestion::Block,
            wait: Duration::from_secs(1),
        }
    }
}

/// The bus as the components of one store use it.
#[derive(Debug)]
pub struct BusCtx {
    bus: Bus,
    grants: Grants,
    quota: Quota,
    table: ResourceTable,
    resources: usize,
}

impl BusCtx {
    /// The bus, the keys of it that are granted, and how much of it may be used.
    pub fn new(bus: &Bus, grants: Grants, quota: Quota) -> Self {
        Self { bus: bus.clone(), grants, quota, table: ResourceTable::new(), resources: 0 }
    }

    fn wait(&self, milliseconds: u32) -> Duration {
        Duration::from_millis(milliseconds.into()).min(self.quota.wait)
    }
}

/// A store's data that has a bus for its components.
pub trait BusView: MappableView {
    /// The bus.
    fn bus(&mut self) -> &mut BusCtx;
}
