//! Who holds what, who does what, and how values pass on.

use crate::channels::Channel;
use crate::memory::{Memory, Mount};
use crate::quota::{Limits, Usage};
use crate::setup::{Instance, Setup};
use crate::slots::Slots;
use crate::stream::Stream;
use crate::values::{Allocation, Block, Value};
use crate::{Holder, Op, Outcome};

/// What a handle stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Handle {
    /// `mappable` or `frozen`.
    Unmapped(Value),
    /// `mapping` or `frozen-mapping`: the value is in the memory of the instance that mapped it.
    Mapped { memory: usize, at: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Life {
    Alive,
    /// It trapped.
    Dead,
    Dropped,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Store {
    pub(crate) life: Life,
    pub(crate) limits: Limits,
    pub(crate) usage: Usage,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Guest {
    pub(crate) store: usize,
    pub(crate) memory: Memory,
    pub(crate) handles: Slots<Handle>,
}

/// Mistakes that the checks are tried on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(not(test), allow(dead_code))]
pub(crate) enum Mistake {
    AllocateDoesNotZero,
    FreezeKeepsMapping,
    ThawsShared,
    ThawKeepsTheRest,
    UnmapDoesNotHide,
    JoinsStrangers,
    PartsKeepTheLength,
    PassesMapped,
    DropOfMappingFreesAtOnce,
    StoresIntoFrozen,
    PrivateWritesAreFree,
    MapsOverOthers,
    FailureLosesHandle,
    ForgetsToDischarge,
    LiftsBeforeMeeting,
    HandsOverMapped,
    ReadsWithoutTaking,
    KeepsWhatIsNotRead,
}

/// All that there is. Two worlds in which the same can happen, numbers included, are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub(crate) allocations: Slots<Allocation>,
    pub(crate) blocks: Slots<Block>,
    pub(crate) stores: Vec<Store>,
    pub(crate) instances: Vec<Guest>,
    pub(crate) host: Slots<Value>,
    pub(crate) streams: Slots<Stream>,
    pub(crate) channels: Slots<Channel>,
    pub(crate) longest_list: u64,
    #[cfg(test)]
    pub(crate) mistake: Option<Mistake>,
}

impl World {
    /// A world in which nothing is held, and all memories are zero.
    pub fn new(setup: &Setup) -> Self {
        let store = |&limits: &Limits| Store { life: Life::Alive, limits, usage: Usage::default() };
        let guest = |&Instance { store, granules, most, way }: &Instance| Guest {
            store,
            memory: Memory::new(granules, most, way),
            handles: Slots::default(),
        };
        Self {
            allocations: Slots::default(),
            blocks: Slots::default(),
            stores: setup.stores.iter().map(store).collect(),
            instances: setup.instances.iter().map(guest).collect(),
            host: Slots::default(),
            streams: Slots::default(),
            channels: Slots::default(),
            longest_list: setup.longest_list,
            #[cfg(test)]
            mistake: None,
        }
    }

    /// What a store is charged.
    pub fn usage(&self, store: usize) -> Usage {
        self.stores[store].usage
    }

    /// Whether a store can be entered.
    pub fn is_alive(&self, store: usize) -> bool {
        self.stores[store].life == Life::Alive
    }

    /// Whether a store has trapped and is not dropped.
    pub fn is_dead(&self, store: usize) -> bool {
        self.stores[store].life == Life::Dead
    }

    /// The store of an instance.
    pub fn store(&self, instance: usize) -> usize {
        self.instances[instance].store
    }

    /// What a handle that is not mapped stands for, a byte for each granule.
    pub fn contents(&self, by: Holder, handle: usize) -> Option<Vec<u8>> {
        let extent = self.value(by, handle)?.extent();
        Some((0..extent.len).map(|granule| self.byte(extent, granule)).collect())
    }

    /// The length of what a handle that is not mapped stands for.
    pub fn length(&self, by: Holder, handle: usize) -> Option<u64> {
        self.value(by, handle).map(|value| value.extent().length)
    }

    /// What an instance's memory shows, a byte for each granule.
    pub fn shown(&self, instance: usize) -> impl Iterator<Item = u8> {
        (0..self.instances[instance].memory.heap.len()).filter_map(move |granule| self.shows(instance, granule))
    }

    /// Does one thing.
    pub fn apply(&mut self, op: &Op) -> Outcome {
        let outcome = self.perform(op);
        if matches!(outcome, Outcome::Map(_) | Outcome::Part(_) | Outcome::GivenBack) {
            self.given_back(op);
        }
        outcome
    }

    fn perform(&mut self, op: &Op) -> Outcome {
        match *op {
            Op::DropStore { store } => self.drop_store(store),
            Op::Produce { ref handles, future, to } => self.produce(handles, future, to),
            Op::Collect { channel } => self.collect(channel),
            Op::Abandon { channel } => self.abandon(channel),
            Op::Pass { from, handle, to } => self.pass(from, handle, to),
            Op::Open { by, .. }
            | Op::PassEnd { from: by, .. }
            | Op::Send { by, .. }
            | Op::Receive { by, .. }
            | Op::Poll { by, .. }
            | Op::Cancel { by, .. }
            | Op::Close { by, .. }
            | Op::Consume { by, .. } => {
                let outcome = if self.lives(by) { self.in_streams(op) } else { Outcome::Refused };
                self.ended(Holder::Instance(by), outcome)
            }
            Op::Map { by, .. }
            | Op::MapPrivate { by, .. }
            | Op::Unmap { by, .. }
            | Op::Load { by, .. }
            | Op::Store { by, .. }
            | Op::Deliver { by, .. }
            | Op::Grow { by, .. }
            | Op::Trap { by } => {
                let outcome = if self.lives(by) { self.in_memory(op) } else { Outcome::Refused };
                self.ended(Holder::Instance(by), outcome)
            }
            Op::Allocate { by, .. }
            | Op::Len { by, .. }
            | Op::SetLen { by, .. }
            | Op::Freeze { by, .. }
            | Op::Thaw { by, .. }
            | Op::Clone { by, .. }
            | Op::Slice { by, .. }
            | Op::Copy { by, .. }
            | Op::Split { by, .. }
            | Op::Join { by, .. }
            | Op::Read { by, .. }
            | Op::Write { by, .. }
            | Op::Drop { by, .. } => {
                let outcome = if self.acts(by) { self.on_handle(by, op) } else { Outcome::Refused };
                self.ended(by, outcome)
            }
        }
    }

    pub(crate) fn errs(&self, _mistake: Mistake) -> bool {
        #[cfg(test)]
        return self.mistake == Some(_mistake);
        #[cfg(not(test))]
        false
    }

    fn lives(&self, instance: usize) -> bool {
        self.stores[self.instances[instance].store].life == Life::Alive
    }

    pub(crate) fn acts(&self, by: Holder) -> bool {
        match by {
            Holder::Instance(instance) => self.lives(instance),
            Holder::Host => true,
        }
    }

    /// A trap ends the store. The host has no handles that could be wrong: that does not compile.
    fn ended(&mut self, by: Holder, outcome: Outcome) -> Outcome {
        match (by, &outcome) {
            (Holder::Instance(by), Outcome::Trap) => self.stores[self.instances[by].store].life = Life::Dead,
            (Holder::Host, Outcome::Trap) => return Outcome::Impossible,
            _ => {}
        }
        outcome
    }

    pub(crate) fn store_of(&self, by: Holder) -> Option<usize> {
        match by {
            Holder::Instance(instance) => Some(self.instances[instance].store),
            Holder::Host => None,
        }
    }

    fn pass(&mut self, from: Holder, handle: usize, to: Holder) -> Outcome {
        if !self.acts(from) || !self.acts(to) {
            return Outcome::Refused;
        }
        let (sender, receiver) = (self.store_of(from), self.store_of(to));
        if sender.is_some() && receiver.is_some() && sender != receiver {
            return Outcome::Impossible;
        }
        if let Some(value) = self.value(from, handle) {
            self.take(from, handle);
            return Outcome::Handle(self.give(to, value));
        }
        // A handle of something mapped can be passed to whoever takes such handles. Nobody but who mapped it can use
        // it, save for dropping it.
        match (from, to) {
            (Holder::Instance(sender), Holder::Instance(receiver)) => {
                let Some(mapped) = self.remove_handle(sender, handle) else {
                    return self.ended(from, Outcome::Trap);
                };
                let passed = match mapped {
                    Handle::Mapped { memory, at } if self.errs(Mistake::PassesMapped) => {
                        let mount = self.instances[memory].memory.mount(at).expect("a mapped handle has a mount");
                        Handle::Unmapped(mount.value)
                    }
                    mapped => mapped,
                };
                Outcome::Handle(self.instances[receiver].handles.insert(passed))
            }
            (Holder::Instance(sender), Holder::Host) if self.instances[sender].handles.get(handle).is_none() => {
                self.ended(from, Outcome::Trap)
            }
            _ => Outcome::Impossible,
        }
    }

    fn drop_store(&mut self, store: usize) -> Outcome {
        if self.stores[store].life == Life::Dropped {
            return Outcome::Refused;
        }
        for instance in 0..self.instances.len() {
            if self.instances[instance].store != store {
                continue;
            }
            let guest = &mut self.instances[instance];
            let handles = std::mem::take(&mut guest.handles);
            let Memory { mounts, retired, heap, way, .. } = &mut guest.memory;
            heap.clear();
            let charged: u64 = mounts.iter().map(|mount| mount.charged(*way)).sum();
            let usage = &mut self.stores[store].usage;
            usage.region_bytes = usage.region_bytes.saturating_sub(charged);
            let shown = std::mem::take(mounts).into_iter().map(|Mount { value, .. }| value);
            let retired = std::mem::take(retired).into_iter().map(Value::Region);
            let mut values: Vec<Value> = shown.chain(retired).collect();
            values.extend(handles.iter().filter_map(|(_, handle)| match handle {
                Handle::Unmapped(value) => Some(*value),
                Handle::Mapped { .. } => None,
            }));
            for value in values {
                self.discharge(store, value);
                self.free(value);
            }
        }
        self.drop_streams(store);
        let store = &mut self.stores[store];
        (store.usage.mappings, store.usage.frozen_mapped_bytes) = (0, 0);
        store.life = Life::Dropped;
        Outcome::Done
    }
}
