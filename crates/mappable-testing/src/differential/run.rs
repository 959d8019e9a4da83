//! The model and the library side by side: each operation is done on both, and what is seen compared.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use mappable::GRANULE;
use mappable_model::{Holder, Limits, Op, Outcome, Way};

use crate::differential::channels::{Channel, is_comparable};
use crate::differential::guest::{Actor, GRANULES, Index, Instance, Kind, MOST, Passed, trap};
use crate::differential::host::{Host, Item};
use crate::differential::streams::Streams;
use crate::ends;
use crate::support::{Fixture, Guest, Setup, World};

/// After how many operations everything is compared, not only what was touched.
const COMPARE_ALL: u64 = 64;

/// What a program is run on.
#[derive(Clone, Debug)]
pub struct Plan {
    pub setup: Setup,
    /// Of each store, how many instances it has: one, or two that are linked.
    pub stores: Vec<usize>,
    pub limits: Limits,
    /// Whether all bytes of a granule are written, or the first alone (and the others stay zero).
    pub whole: bool,
    /// Whether guests have streams and futures, on an engine for concurrent components.
    pub streams: bool,
}

impl Plan {
    fn fixture(&self) -> &'static Fixture {
        if self.streams { self.setup.concurrent_fixture() } else { self.setup.fixture() }
    }

    /// The guests of a store, which are alone or linked.
    fn guests(&self, store: usize, world: &mut World) -> Vec<Guest> {
        let memory = self.setup.memory();
        match (self.stores[store], self.streams) {
            (1, false) => vec![world.guest()],
            (_, false) => <[_; 2]>::from(world.pair()).into(),
            (1, true) => {
                let component = world.fixture.compile(&ends::guest(memory));
                let instance = world.instantiate(&component);
                vec![Guest::new(instance, &mut world.store, None)]
            }
            (_, true) => {
                let component = world.fixture.compile(&ends::pair(memory));
                <[_; 2]>::from(world.guests(&component)).into()
            }
        }
    }

    pub fn model(&self) -> mappable_model::World {
        let way = if self.setup.frozen_stores_trap() { Way::Pages } else { Way::Copies };
        let instances = self.stores.iter().enumerate().flat_map(|(store, &count)| {
            let instance = mappable_model::Instance { store, granules: GRANULES, most: MOST, way };
            std::iter::repeat_n(instance, count)
        });
        mappable_model::World::new(&mappable_model::Setup {
            stores: vec![self.limits; self.stores.len()],
            instances: instances.collect(),
            longest_list: 1 << 20,
        })
    }

    /// The instances of a store, by the model's numbers.
    pub fn instances(&self, store: usize) -> std::ops::Range<usize> {
        let first = self.stores[..store].iter().sum();
        first..first + self.stores[store]
    }
}

/// What the threads that run a program have in common.
pub struct Common {
    /// Whether a reference is the last one is the one thing that is seen of what other threads do: a `thaw` excludes
    /// all else.
    gate: RwLock<()>,
    shared: Mutex<Shared>,
}

pub struct Shared {
    pub model: mappable_model::World,
    pub host: Host,
}

impl Common {
    pub fn new(plan: &Plan) -> Arc<Self> {
        let runtime = &plan.fixture().runtime;
        let host = Host { items: BTreeMap::new(), runtime, whole: plan.whole };
        Arc::new(Self { gate: RwLock::new(()), shared: Mutex::new(Shared { model: plan.model(), host }) })
    }

    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where model and library disagree.
pub struct Disagreement(String);

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn disagree(text: impl fmt::Display) -> Result<(), Disagreement> {
    Err(Disagreement(text.to_string()))
}

/// A store of the library's.
pub(super) struct Side {
    pub(super) world: World,
    instances: BTreeMap<usize, Instance>,
    pub(super) streams: Streams,
}

impl Side {
    fn new(plan: &Plan, store: usize) -> Self {
        let mut world = plan.fixture().world();
        // The canary counts, too.
        let limits = mappable::Limits::default()
            .region_bytes(plan.limits.region_bytes.saturating_add(GRANULE))
            .regions(plan.limits.regions.saturating_add(1))
            .mappings(plan.limits.mappings)
            .frozen_mapped_bytes(plan.limits.frozen_mapped_bytes);
        world.store.data_mut().mappable.set_limits(limits);
        let guests = plan.guests(store, &mut world);
        let instances = plan.instances(store).zip(guests.into_iter().map(Instance::new)).collect();
        Self { world, instances, streams: Streams::new() }
    }
}

/// One thread's stores of a program, and the program's model.
pub struct Run {
    pub(super) plan: Plan,
    pub(super) common: Arc<Common>,
    /// The stores that are not dropped.
    pub(super) sides: BTreeMap<usize, Side>,
    instances: Vec<usize>,
    /// The host's channels by the model's numbers.
    pub(super) channels: BTreeMap<usize, Channel>,
    /// How many operations were done on both.
    pub done: u64,
}

impl Run {
    /// With all stores of a plan.
    pub fn new(plan: &Plan) -> Self {
        Self::with(plan, &Common::new(plan), 0..plan.stores.len())
    }

    /// With some of the stores.
    pub fn with(plan: &Plan, common: &Arc<Common>, stores: std::ops::Range<usize>) -> Self {
        let instances = stores.clone().flat_map(|store| plan.instances(store)).collect();
        let sides = stores.map(|store| (store, Side::new(plan, store))).collect();
        Self { plan: plan.clone(), common: Arc::clone(common), sides, instances, channels: BTreeMap::new(), done: 0 }
    }

    /// Whether no store is left to do anything in.
    pub fn is_over(&self) -> bool {
        self.sides.is_empty()
    }

    /// Does one operation on both. It is chosen for the instances of this run.
    pub fn step(&mut self, choose: impl FnOnce(&mappable_model::World, &[usize]) -> Op) -> Result<(), Disagreement> {
        let common = Arc::clone(&self.common);
        let mut reading = Some(common.gate.read().unwrap_or_else(PoisonError::into_inner));
        let mut shared = common.shared();
        let op = choose(&shared.model, &self.instances);
        if self.plan.setup.is_ledger() && is_with_host(&op) {
            // What is in a closed composition stays there.
            return Ok(());
        }
        if let Op::Send { by, stream, handles } = &op
            && self.plan.setup.is_ledger()
            && !shared.model.are_elements(*stream, *by, handles)
        {
            // There a write traps at once for what is no element, and not when it is read.
            return Ok(());
        }
        if !is_comparable(&op, &shared.model) {
            return Ok(());
        }
        let fed_by = match op {
            Op::Collect { channel } | Op::Abandon { channel } => shared.model.fed_by(channel),
            _ => None,
        };
        if let Op::Produce { to, .. } = op
            && shared.model.is_read_from(shared.model.store(to))
        {
            // The engine loses a read that its function left in progress when the host makes a stream.
            return Ok(());
        }
        let mut _alone = None;
        if matches!(op, Op::Thaw { .. }) {
            drop(shared);
            drop(reading.take());
            _alone = Some(common.gate.write().unwrap_or_else(PoisonError::into_inner));
            shared = common.shared();
        }
        let expected = shared.model.apply(&op);
        if matches!(expected, Outcome::Refused | Outcome::Impossible) {
            return Ok(());
        }
        let found = if is_with_host(&op) {
            let found = self.perform_with_host(&op, &expected, fed_by, &mut shared.host);
            drop(shared);
            found
        } else {
            drop(shared);
            self.perform(&op, &expected)
        };
        if found != expected {
            return disagree(format_args!("{op:?}: {found:?}, where the model has {expected:?}"));
        }
        self.done += 1;
        if expected == Outcome::Trap {
            self.expect_refusal(&op)?;
        }
        self.forget_elements_everywhere();
        self.compare_touched(&op)?;
        if self.done.is_multiple_of(COMPARE_ALL) { self.compare(false) } else { Ok(()) }
    }

    /// The streams of an instance's store.
    pub(super) fn streams(&mut self, instance: usize) -> &mut Streams {
        let side = self.sides.values_mut().find(|side| side.instances.contains_key(&instance));
        &mut side.expect("its store is there").streams
    }

    /// What the write in progress at a stream names in the model.
    pub(super) fn named(&self, stream: usize) -> Vec<Option<usize>> {
        self.common.shared().model.named(stream).to_vec()
    }

    fn forget_elements_everywhere(&mut self) {
        let in_use = self.sides.values().filter(|side| !side.streams.is_empty());
        let living: Vec<usize> = in_use.filter_map(|side| side.instances.keys().next().copied()).collect();
        for instance in living.into_iter().filter(|&it| self.is_alive(it)).collect::<Vec<_>>() {
            self.forget_elements(instance);
        }
    }

    pub(super) fn actor(&mut self, instance: usize) -> Option<Actor<'_>> {
        let whole = self.plan.whole;
        let side = self.sides.values_mut().find(|side| side.instances.contains_key(&instance))?;
        Some(Actor { instance: side.instances.get_mut(&instance)?, world: &mut side.world, whole })
    }

    /// What the host has no part in.
    fn perform(&mut self, op: &Op, expected: &Outcome) -> Outcome {
        if let Op::DropStore { store } = op {
            self.sides.remove(store).unwrap();
            return Outcome::Done;
        }
        let answer = match *op {
            Op::Pass { from: Holder::Instance(from), handle, to: Holder::Instance(to) } => {
                self.pass(from, handle, to, expected)
            }
            Op::Open { .. }
            | Op::PassEnd { .. }
            | Op::Send { .. }
            | Op::Receive { .. }
            | Op::Poll { .. }
            | Op::Cancel { .. }
            | Op::Close { .. } => self.on_streams(op, expected),
            _ => self.actor(caller(op).unwrap()).unwrap().perform(op, expected),
        };
        answer.unwrap_or_else(|error| trap(&error))
    }

    /// `fed_by` is the store of the stream of the channel that is named.
    fn perform_with_host(&mut self, op: &Op, expected: &Outcome, fed_by: Option<usize>, host: &mut Host) -> Outcome {
        match *op {
            Op::Pass { from: Holder::Instance(from), handle, to: Holder::Host } => {
                let mut actor = self.actor(from).unwrap();
                let index = actor.instance.take(handle);
                let given = actor.give(index);
                let ctx = &mut actor.world.store.data_mut().mappable;
                let item = match given {
                    Ok(Passed::Region(handle)) => Item::Region(ctx.remove(handle).unwrap()),
                    Ok(Passed::Frozen(handle)) => Item::Frozen(ctx.remove_frozen(handle).unwrap()),
                    Ok(_) => unreachable!("the host takes no mappings"),
                    Err(error) => return trap(&error),
                };
                host.keep(item, expected)
            }
            Op::Pass { from: Holder::Host, handle, to: Holder::Instance(to) } => {
                let mut actor = self.actor(to).unwrap();
                let ctx = &mut actor.world.store.data_mut().mappable;
                let passed = match host.items.remove(&handle).unwrap() {
                    Item::Region(region) => Passed::Region(ctx.insert(region).unwrap()),
                    Item::Frozen(frozen) => Passed::Frozen(ctx.insert_frozen(frozen).unwrap()),
                };
                actor.accept(passed, expected).unwrap_or_else(|error| trap(&error))
            }
            Op::Produce { ref handles, future, to } => {
                let items = handles.iter().map(|handle| host.items.remove(handle).unwrap()).collect();
                self.produce(items, future, to, expected).unwrap_or_else(|error| trap(&error))
            }
            Op::Consume { by, stream, bound } => {
                self.consume(by, stream, bound, expected).unwrap_or_else(|error| trap(&error))
            }
            Op::Collect { channel } => {
                self.collect(channel, fed_by, host, expected).unwrap_or_else(|error| trap(&error))
            }
            Op::Abandon { channel } => self.abandon(channel, fed_by).unwrap_or_else(|error| trap(&error)),
            _ => host.perform(op, expected),
        }
    }

    /// Between instances of one store: by a call of the first to the second where there is one for it, or by way of the
    /// host, which only passes it on, or its usher.
    fn pass(&mut self, from: usize, handle: usize, to: usize, expected: &Outcome) -> wasmtime::Result<Outcome> {
        let index = self.actor(from).unwrap().instance.take(handle);
        let Index { at, kind } = index;
        let called = match (from < to, from > to, kind) {
            (true, _, Kind::Region) => Some((from, "pass")),
            (true, _, Kind::Frozen) => Some((from, "pass-frozen")),
            (true, _, Kind::Mapping) => Some((from, "pass-mapping")),
            (true, _, Kind::FrozenMapping) => Some((from, "pass-frozen-mapping")),
            (_, true, Kind::Region) => Some((to, "fetch")),
            (_, true, Kind::Frozen) => Some((to, "fetch-frozen")),
            _ => None,
        };
        if let Some((caller, name)) = called {
            let at: u32 = self.actor(caller).unwrap().call(name, (at,))?;
            return Ok(self.actor(to).unwrap().instance.keep(at, kind, expected));
        }
        if self.plan.setup.is_ledger() {
            let receiver = self.actor(to).unwrap().instance.guest.clone();
            let at = self.actor(from).unwrap().carry(index, &receiver)?;
            return Ok(self.actor(to).unwrap().instance.keep(at, kind, expected));
        }
        let passed = self.actor(from).unwrap().give(index)?;
        self.actor(to).unwrap().accept(passed, expected)
    }

    /// Compares every byte, lets the host take what the guests hold (if it can), compares that, and ends the stores.
    pub fn finish(&mut self) -> Result<(), Disagreement> {
        self.compare(true)?;
        let given = if self.plan.setup.is_ledger() { vec![] } else { self.instances.clone() };
        for instance in given {
            let Some(actor) = self.actor(instance) else { continue };
            for handle in actor.instance.handles.keys().copied().collect::<Vec<_>>() {
                let from = Holder::Instance(instance);
                self.step(|_, _| Op::Pass { from, handle, to: Holder::Host })?;
            }
        }
        self.compare(true)?;
        for store in self.sides.keys().copied().collect::<Vec<_>>() {
            self.step(|_, _| Op::DropStore { store })?;
        }
        Ok(())
    }
}

pub(super) fn caller(op: &Op) -> Option<usize> {
    let by = match *op {
        Op::Map { by, .. }
        | Op::MapPrivate { by, .. }
        | Op::Unmap { by, .. }
        | Op::Load { by, .. }
        | Op::Store { by, .. }
        | Op::Deliver { by, .. }
        | Op::Grow { by, .. }
        | Op::Trap { by }
        | Op::Open { by, .. }
        | Op::PassEnd { from: by, .. }
        | Op::Send { by, .. }
        | Op::Receive { by, .. }
        | Op::Poll { by, .. }
        | Op::Cancel { by, .. }
        | Op::Close { by, .. }
        | Op::Consume { by, .. } => return Some(by),
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
        | Op::Drop { by, .. } => by,
        Op::Pass { from, .. } => from,
        Op::DropStore { .. } | Op::Produce { .. } | Op::Collect { .. } | Op::Abandon { .. } => return None,
    };
    match by {
        Holder::Instance(instance) => Some(instance),
        Holder::Host => None,
    }
}

fn is_with_host(op: &Op) -> bool {
    let to_host = matches!(op, Op::Pass { to: Holder::Host, .. } | Op::Consume { .. });
    to_host || (caller(op).is_none() && !matches!(op, Op::DropStore { .. }))
}
