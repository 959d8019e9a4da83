//! A small world to explore: what may happen in it, and what must hold in each state.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model, Property};

use crate::memory::Memory;
use crate::stream::{Progress, Side};
use crate::values::Value;
use crate::world::{Handle, Mistake};
use crate::{End, GRANULE, Holder, Instance, Limits, Op, Rule, Setup, Way, World, step};

/// A world, and the rule that the step to it broke.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    world: World,
    broken: Option<Rule>,
}

/// What is explored: where it starts, and what may happen.
#[derive(Clone)]
pub(super) struct Small {
    pub(super) setup: Setup,
    /// Which ops there are.
    pub(super) ops: &'static [&'static str],
    /// The most granules, and values.
    pub(super) granules: usize,
    pub(super) values: usize,
    /// The sizes of new regions.
    pub(super) sizes: &'static [u64],
    pub(super) mistake: Option<Mistake>,
}

impl Small {
    /// What may happen to streams. There is one at a time, of regions.
    fn on_streams(&self, world: &World, by: usize, wanted: &mut Vec<(&str, Op)>) {
        if world.streams.iter().next().is_none() && world.channels.iter().next().is_none() {
            let all: Vec<usize> = world.host.iter().map(|(handle, _)| handle).collect();
            for future in [false, true] {
                wanted.push(("produce", Op::Produce { handles: all.clone(), future, to: by }));
            }
            wanted.push(("stream", Op::Open { by, future: false, frozen: false }));
            wanted.push(("future", Op::Open { by, future: true, frozen: false }));
        }
        let handles: Vec<usize> = world.instances[by].handles.iter().map(|(number, _)| number).collect();
        for (stream, it) in world.streams.iter() {
            for to in 0..world.instances.len() {
                wanted.push(("pass-end", Op::PassEnd { from: by, stream, to }));
            }
            for &one in &handles {
                wanted.push(("send", Op::Send { by, stream, handles: vec![one] }));
                let others = handles.iter().filter(|_| !it.future);
                wanted.extend(others.map(|&other| ("send", Op::Send { by, stream, handles: vec![one, other] })));
            }
            wanted.extend((1..=2).map(|room| ("receive", Op::Receive { by, stream, room })));
            wanted.push(("consume", Op::Consume { by, stream, bound: 1 }));
            for end in [End::Writable, End::Readable] {
                wanted.push(("poll", Op::Poll { by, stream, end }));
                wanted.push(("cancel", Op::Cancel { by, stream, end }));
                wanted.push(("close", Op::Close { by, stream, end }));
            }
        }
    }

    pub(super) fn new(stores: &[usize], ways: &[Way], ops: &'static [&'static str]) -> Self {
        let count = stores.iter().max().unwrap() + 1;
        let instance = |(&store, &way)| Instance { store, granules: 2, most: 2, way };
        let setup = Setup {
            stores: vec![Limits::default(); count],
            instances: stores.iter().zip(ways).map(instance).collect(),
            longest_list: 1 << 20,
        };
        Self { setup, ops, granules: 2, values: 3, sizes: &[1], mistake: None }
    }

    fn has(&self, op: &str) -> bool {
        self.ops.contains(&op)
    }

    pub(super) fn check(&self, floor: usize) {
        let checker = self.clone().checker().threads(2).spawn_bfs().join();
        println!("{} states", checker.unique_state_count());
        checker.assert_properties();
        assert!(checker.unique_state_count() > floor, "only {} states", checker.unique_state_count());
    }

    /// The exploration of a wrong world finds that it breaks the rule.
    pub(super) fn finds(mut self, mistake: Mistake, rule: &'static str) {
        self.mistake = Some(mistake);
        let wanted = HasDiscoveries::AllOf(BTreeSet::from([rule]));
        let checker = self.checker().finish_when(wanted).spawn_bfs().join();
        assert!(checker.discovery(rule).is_some(), "{mistake:?} does not break: {rule}");
    }
}

fn handles(world: &World, by: Holder) -> Vec<(usize, Option<Value>)> {
    match by {
        Holder::Host => world.host.iter().map(|(number, value)| (number, Some(*value))).collect(),
        Holder::Instance(instance) => {
            let handles = world.instances[instance].handles.iter();
            let value = |handle: &Handle| match handle {
                Handle::Unmapped(value) => Some(*value),
                Handle::Mapped { .. } => None,
            };
            handles.map(|(number, handle)| (number, value(handle))).collect()
        }
    }
}

impl Model for Small {
    type State = State;
    type Action = Op;

    fn init_states(&self) -> Vec<State> {
        let mut world = World::new(&self.setup);
        world.mistake = self.mistake;
        vec![State { world, broken: None }]
    }

    fn actions(&self, State { world, broken }: &State, ops: &mut Vec<Op>) {
        if broken.is_some() || (self.mistake != Some(Mistake::FreezeKeepsMapping) && world.broken().is_some()) {
            return;
        }
        let mut wanted = vec![];
        let guests = (0..world.instances.len()).map(Holder::Instance);
        let holders: Vec<Holder> = guests.chain(self.has("host").then_some(Holder::Host)).collect();
        for &by in &holders {
            if by != Holder::Host {
                wanted.extend(self.sizes.iter().map(|size| ("allocate", Op::Allocate { by, size: size * GRANULE })));
            }
            for (handle, value) in handles(world, by) {
                wanted.push(("drop", Op::Drop { by, handle }));
                wanted.push(("freeze", Op::Freeze { by, handle }));
                wanted.push(("thaw", Op::Thaw { by, handle }));
                wanted.push(("clone", Op::Clone { by, handle }));
                wanted.push(("copy", Op::Copy { by, handle }));
                wanted.push(("split", Op::Split { by, handle, at: GRANULE }));
                wanted.push(("set-len", Op::SetLen { by, handle, len: GRANULE + 1 }));
                for high in handles(world, by) {
                    wanted.push(("join", Op::Join { by, low: handle, high: high.0 }));
                }
                for offset in 0..value.map_or(0, |value| value.extent().len as u64) {
                    wanted.push(("slice", Op::Slice { by, handle, offset: offset * GRANULE, size: GRANULE }));
                    let write = Op::Write { by, handle, offset: offset * GRANULE, len: GRANULE, byte: 1 };
                    wanted.push(("write", write));
                }
                for &to in holders.iter().filter(|&&to| to != by) {
                    wanted.push(("pass", Op::Pass { from: by, handle, to }));
                }
            }
        }
        for by in 0..world.instances.len() {
            let Memory { heap, .. } = &world.instances[by].memory;
            for granule in 0..heap.len() {
                let (offset, len) = (granule as u64 * GRANULE, (heap.len() - granule) as u64 * GRANULE);
                wanted.push(("store", Op::Store { by, granule, byte: 1 }));
                wanted.push(("deliver", Op::Deliver { by, granule, byte: 1 }));
                for (handle, value) in handles(world, Holder::Instance(by)) {
                    match value {
                        Some(_) => {
                            wanted.push(("map", Op::Map { by, handle, offset, len }));
                            wanted.push(("map-private", Op::MapPrivate { by, handle, offset, len }));
                        }
                        None => wanted.push(("unmap", Op::Unmap { by, handle, offset, len })),
                    }
                }
            }
            wanted.push(("trap", Op::Trap { by }));
            self.on_streams(world, by, &mut wanted);
        }
        for (channel, _) in world.channels.iter() {
            wanted.push(("consume", Op::Collect { channel }));
            wanted.push(("consume", Op::Abandon { channel }));
        }
        wanted.extend((0..world.stores.len()).map(|store| ("end", Op::DropStore { store })));
        ops.extend(wanted.into_iter().filter(|(name, _)| self.has(name)).map(|(_, op)| op));
    }

    fn next_state(&self, State { world, .. }: &State, op: Op) -> Option<State> {
        let mut next = world.clone();
        let outcome = next.apply(&op);
        let broken = step(world, &op, &outcome, &next);
        Some(State { world: next, broken })
    }

    fn within_boundary(&self, State { world, .. }: &State) -> bool {
        let granules: usize = world.allocations.iter().map(|(_, it)| it.granules.len()).sum();
        let values: usize = world.host.iter().count()
            + world.channels.iter().map(|(_, it)| it.elements.len()).sum::<usize>()
            + world.streams.iter().filter_map(|(_, it)| it.host.as_ref()).map(Vec::len).sum::<usize>()
            + world.instances.iter().map(|it| it.handles.iter().count() + it.memory.retired.len()).sum::<usize>()
            + world.instances.iter().flat_map(|it| &it.memory.mounts).filter(|it| it.lingers).count();
        granules <= self.granules && values <= self.values
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn keeps(state: &State, rule: Rule) -> bool {
            state.broken != Some(rule) && state.world.keeps(rule)
        }
        let mut properties = vec![
            Property::always("I1", |_, state| keeps(state, Rule::OneHolder)),
            Property::always("I2", |_, state| keeps(state, Rule::FrozenStays)),
            Property::always("I3", |_, state| keeps(state, Rule::NewIsZero)),
            Property::always("conservation", |_, state| keeps(state, Rule::Conservation)),
            Property::always("placements", |_, state| keeps(state, Rule::Placements)),
            Property::always("lengths", |_, state| keeps(state, Rule::Lengths)),
            Property::always("quotas", |_, state| keeps(state, Rule::Quotas)),
            Property::always("isolation", |_, state| keeps(state, Rule::Isolation)),
            Property::always("hand-over", |_, state| keeps(state, Rule::HandOver)),
            Property::always("nothing half done", |_, state| keeps(state, Rule::NothingHalfDone)),
            Property::sometimes("something is mapped in the last instance", |_, state: &State| {
                state.world.instances.last().is_some_and(|it| !it.memory.mounts.is_empty())
            }),
        ];
        if self.has("freeze") && self.has("clone") {
            properties.push(Property::sometimes("one block is mapped twice at once", |_, state: &State| {
                let mounts = state.world.instances.iter().flat_map(|it| &it.memory.mounts);
                mounts.filter(|mount| mount.value.is_frozen()).count() == 2 && state.world.blocks.iter().count() == 1
            }));
        }
        if self.has("map-private") && self.has("clone") {
            properties.push(Property::sometimes("a block is written to privately and read", |_, state: &State| {
                let mounts = || state.world.instances.iter().flat_map(|it| &it.memory.mounts);
                let written = mounts().any(|mount| mount.is_private && !mount.private.is_empty());
                written && mounts().any(|mount| mount.value.is_frozen() && mount.private.is_empty())
            }));
        }
        if self.has("drop") {
            properties.push(Property::sometimes("a dropped mapping lingers", |_, state: &State| {
                state.world.instances.iter().any(|it| it.memory.mounts.iter().any(|mount| mount.lingers))
            }));
        }
        if self.has("send") {
            properties.push(Property::sometimes(
                "the last has mapped what it read, and nobody was told",
                |_, state: &State| {
                    let last = state.world.instances.last();
                    let mapped = last.is_some_and(|it| !it.memory.mounts.is_empty());
                    let moved = |end| state.world.streams.iter().find_map(|(_, it)| it.side(end)?.1);
                    mapped
                        && moved(End::Writable) == Some(1)
                        && state.world.instances[0].handles.iter().next().is_none()
                },
            ));
            properties.push(Property::sometimes("a write names what is gone", |_, state: &State| {
                state.world.streams.iter().any(|(_, it)| match &it.writer {
                    Some(Side { progress: Progress::Busy { left, .. }, .. }) => left.contains(&None),
                    _ => false,
                })
            }));
            properties.push(Property::sometimes("both ends are closed", |_, state: &State| {
                let last = state.world.instances.last().is_some_and(|it| it.handles.iter().next().is_some());
                last && state.world.streams.iter().next().is_none()
            }));
        }
        if self.has("pass") {
            properties.push(Property::sometimes("the first gave away what the last has mapped", |_, state: &State| {
                let (first, last) =
                    (&state.world.instances[0], &state.world.instances[state.world.instances.len() - 1]);
                let here = first.handles.iter().next().is_none() && first.memory.mounts.is_empty();
                let written = last.memory.heap.iter().all(|byte| *byte == 0);
                here && written && last.memory.mounts.iter().any(|it| state.world.byte(it.value.extent(), 0) == 1)
            }));
        }
        properties
    }
}
