//! The rules, as functions of a world, or of two worlds and the step between them.

use std::collections::BTreeMap;

use crate::memory::Mount;
use crate::quota::Usage;
use crate::stream::{Progress, Side};
use crate::values::{Extent, Value};
use crate::world::{Handle, Life, World};
use crate::{End, Ended, GRANULE, Holder, Op, Outcome};

/// A rule of the crate's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// I1.
    OneHolder,
    /// I2.
    FrozenStays,
    /// I3.
    NewIsZero,
    /// Every granule has one owner, or is freed.
    Conservation,
    /// What is shown in a memory is inside it, and does not overlap.
    Placements,
    /// What is charged is what is held.
    Quotas,
    /// A memory is changed by its instance alone.
    Isolation,
    /// A length is at most the size.
    Lengths,
    /// What is written is handed over where a read and a write meet, as it was, and nowhere else.
    HandOver,
    /// What fails has changed nothing.
    NothingHalfDone,
}

/// Who has one granule.
#[derive(Default)]
struct Having {
    owners: usize,
    writers: usize,
    readers: usize,
}

/// Where a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Reached,
    Retired,
}

impl World {
    /// The values that are in a store's hands, or if `store` is none, the host's.
    fn values(&self, store: Option<usize>) -> Vec<(Value, At)> {
        let mut values = vec![];
        if store.is_none() {
            values.extend(self.host.iter().map(|(_, value)| (*value, At::Reached)));
            let produced = self.streams.iter().filter_map(|(_, stream)| stream.host.as_ref()).flatten();
            values.extend(produced.map(|value| (*value, At::Reached)));
            let received = self.channels.iter().flat_map(|(_, channel)| &channel.elements);
            values.extend(received.map(|value| (*value, At::Reached)));
        }
        for guest in self.instances.iter().filter(|guest| Some(guest.store) == store) {
            values.extend(guest.handles.iter().filter_map(|(_, handle)| match handle {
                Handle::Unmapped(value) => Some((*value, At::Reached)),
                Handle::Mapped { .. } => None,
            }));
            values.extend(guest.memory.mounts.iter().map(|mount| (mount.value, At::Reached)));
            values.extend(guest.memory.retired.iter().map(|extent| (Value::Region(*extent), At::Retired)));
        }
        values
    }

    fn all_values(&self) -> impl Iterator<Item = (Value, At)> {
        let holders = (0..self.stores.len()).map(Some).chain([None]);
        holders.flat_map(|holder| self.values(holder))
    }

    fn having(&self) -> BTreeMap<(usize, usize), Having> {
        let mut having: BTreeMap<(usize, usize), Having> = BTreeMap::new();
        let mut note = |extent: Extent, note: fn(&mut Having)| {
            (extent.start..extent.start + extent.len)
                .for_each(|granule| note(having.entry((extent.allocation, granule)).or_default()));
        };
        for (value, at) in self.all_values() {
            match value {
                Value::Region(extent) => note(extent, |having| having.owners += 1),
                Value::Frozen { .. } => {}
            }
            match (value, at) {
                (_, At::Retired) => {}
                (Value::Region(extent), _) => note(extent, |having| having.writers += 1),
                (Value::Frozen { extent, .. }, _) => note(extent, |having| having.readers += 1),
            }
        }
        self.blocks.iter().for_each(|(_, block)| note(block.extent, |having| having.owners += 1));
        having
    }

    /// The rule that the world as it is breaks, if it does.
    pub fn broken(&self) -> Option<Rule> {
        [Rule::OneHolder, Rule::Conservation, Rule::Placements, Rule::Quotas, Rule::Lengths]
            .into_iter()
            .find(|rule| !self.keeps(*rule))
    }

    /// Whether the world as it is keeps a rule. Those that are about steps alone, it does.
    pub fn keeps(&self, rule: Rule) -> bool {
        match rule {
            Rule::OneHolder => self.having().values().all(|it| it.writers == 0 || (it.writers == 1 && it.readers == 0)),
            Rule::Conservation => self.conserves(),
            Rule::Placements => self.instances.iter().all(|guest| {
                let end = |mount: &Mount| mount.end();
                let ordered = guest.memory.mounts.is_sorted_by(|low, high| low.end() <= high.at);
                ordered && guest.memory.mounts.last().is_none_or(|last| end(last) <= guest.memory.heap.len())
            }),
            Rule::Lengths => self.all_values().all(|(value, _)| value.extent().length <= value.bytes()),
            Rule::Quotas => (0..self.stores.len()).all(|store| self.counted(store) == self.usage(store)),
            _ => true,
        }
    }

    fn conserves(&self) -> bool {
        let having = self.having();
        let owned_once = having.iter().all(|(&(allocation, granule), it)| {
            let live = self.allocations.get(allocation).and_then(|found| *found.granules.get(granule)?);
            live.is_some() && it.owners == 1
        });
        let live = self.allocations.iter().map(|(_, it)| it.granules.iter().flatten().count()).sum::<usize>();
        let referred = self.blocks.iter().all(|(number, block)| {
            let to = |value: &Value| matches!(value, Value::Frozen { block, .. } if *block == number);
            self.all_values().filter(|(value, _)| to(value)).count() == block.references && block.references > 0
        });
        owned_once && having.len() == live && referred
    }

    fn counted(&self, store: usize) -> Usage {
        let values = self.values(Some(store));
        let mut blocks = BTreeMap::new();
        let mut usage = Usage { regions: values.len(), ..Usage::default() };
        for (value, _) in values {
            match value {
                Value::Region(_) => usage.region_bytes += value.bytes(),
                Value::Frozen { block, extent } => {
                    let whole = self.blocks.get(block).map_or(extent.len, |block| block.extent.len);
                    blocks.insert(block, whole as u64 * GRANULE);
                }
            }
        }
        usage.region_bytes += blocks.values().sum::<u64>();
        for memory in self.instances.iter().filter(|guest| guest.store == store).map(|guest| &guest.memory) {
            usage.region_bytes += memory.mounts.iter().map(|mount| mount.charged(memory.way)).sum::<u64>();
            for mount in memory.mounts.iter().filter(|mount| !mount.lingers) {
                usage.mappings += 1;
                usage.frozen_mapped_bytes += mount.value.frozen_bytes();
            }
        }
        usage
    }
}

/// The rule that a step from one world to the next breaks, if it does.
pub fn step(before: &World, op: &Op, outcome: &Outcome, after: &World) -> Option<Rule> {
    if outcome.failed() && !same_but_for_life(before, after) {
        return Some(Rule::NothingHalfDone);
    }
    if let (Op::Allocate { by, .. }, Outcome::Handle(handle)) = (op, outcome)
        && let Some(value) = after.value(*by, *handle)
        && (0..value.extent().len).any(|granule| after.byte(value.extent(), granule) != 0)
    {
        return Some(Rule::NewIsZero);
    }
    let frozen_stays = before.blocks.iter().all(|(number, block)| {
        let extent = block.extent;
        let same = || (0..extent.len).all(|granule| before.byte(extent, granule) == after.byte(extent, granule));
        after.blocks.get(number).is_none() || same()
    });
    if !frozen_stays {
        return Some(Rule::FrozenStays);
    }
    let isolated = (0..before.instances.len()).all(|instance| {
        let own = acts_in(op, instance) || after.stores[before.instances[instance].store].life == Life::Dropped;
        own || before.shown(instance).eq(after.shown(instance))
    });
    if !isolated {
        return Some(Rule::Isolation);
    }
    let moves = match op {
        Op::Consume { .. } | Op::Collect { .. } | Op::Abandon { .. } => moves_in_channels(before, op, outcome, after),
        Op::Send { stream, .. } if before.streams.get(*stream).is_some_and(|it| it.sink.is_some()) => {
            moves_in_channels(before, op, outcome, after)
        }
        _ => hands_over(before, op, outcome, after),
    };
    if moves { None } else { Some(Rule::HandOver) }
}

/// Whether an operation on a stream moves what it says that it moves, and nothing else.
fn hands_over(before: &World, op: &Op, outcome: &Outcome, after: &World) -> bool {
    let is_of_streams = matches!(
        op,
        Op::Open { .. }
            | Op::PassEnd { .. }
            | Op::Send { .. }
            | Op::Receive { .. }
            | Op::Poll { .. }
            | Op::Cancel { .. }
            | Op::Close { .. }
    );
    let (Outcome::HandedOver(arrived) | Outcome::Last(arrived)) = outcome else {
        // What the host had for a stream goes with it.
        let frees =
            matches!(op, Op::Close { stream, .. } if before.streams.get(*stream).is_some_and(|it| it.host.is_some()));
        return !is_of_streams || frees || held(before) == held(after);
    };
    let (Op::Send { stream, .. } | Op::Receive { stream, .. }) = *op else { return false };
    let (Some(sent), Some(holder)) = (sent(before, op, arrived.len()), holder(before, stream, End::Readable)) else {
        return false;
    };
    let values: Vec<_> = arrived.iter().map(|&it| after.value(Holder::Instance(holder), it)).collect();
    let count = |world: &World| world.all_values().count();
    sent == values && !values.contains(&None) && count(before) == count(after)
}

/// Whether what an operation moves into channels and out of them is what was written, in order, and all else stays.
fn moves_in_channels(before: &World, op: &Op, outcome: &Outcome, after: &World) -> bool {
    let through =
        |world: &World| -> Vec<Value> { world.channels.iter().flat_map(|(_, it)| it.elements.clone()).collect() };
    let count = |world: &World| world.all_values().count();
    // There is one channel at a time where this is explored; in random programs another one may be there.
    let waiting = |stream: usize| sent(before, &Op::Receive { by: 0, stream, room: 1 }, usize::MAX);
    let arrived = |rest: &[Value], from: Option<Vec<Option<Value>>>| {
        let now = through(after);
        let new = now.len().saturating_sub(rest.len());
        let all: Vec<_> = rest.iter().copied().map(Some).chain(from.into_iter().flatten().take(new)).collect();
        before.channels.iter().count() > 1 || now.into_iter().map(Some).eq(all)
    };
    match (op, outcome) {
        (_, Outcome::Trap | Outcome::Refused | Outcome::Impossible) => true,
        (Op::Send { .. }, Outcome::Waits | Outcome::Ended(0, _)) => held(before) == held(after),
        (Op::Send { stream, .. }, Outcome::Ended(moved, Ended::Completed)) => {
            let written = sent(before, op, *moved);
            let freed = before.piped_into(*stream).is_none();
            let known = written.as_ref().is_some_and(|all| all.len() == *moved && !all.contains(&None));
            known
                && arrived(&through(before), written.filter(|_| !freed))
                && count(after) + if freed { *moved } else { 0 } == count(before)
        }
        (Op::Consume { stream, .. }, Outcome::Channel(_)) => {
            count(before) == count(after) && arrived(&through(before), waiting(*stream))
        }
        (Op::Collect { channel }, Outcome::Handle(handle)) => {
            let Some((first, rest)) = before.channels.get(*channel).and_then(|it| it.elements.split_first()) else {
                return false;
            };
            let from = before.piped_from(*channel).and_then(waiting);
            let received = after.value(Holder::Host, *handle) == Some(*first);
            received && count(before) == count(after) && arrived(rest, from)
        }
        (Op::Collect { .. }, _) => held(before) == held(after),
        (Op::Abandon { channel }, _) => {
            let freed = before.channels.get(*channel).map_or(0, |it| it.elements.len());
            count(after) + freed == count(before)
        }
        _ => false,
    }
}

/// The first elements of what a write names, in progress or about to begin.
fn sent(before: &World, op: &Op, count: usize) -> Option<Vec<Option<Value>>> {
    if let Op::Receive { stream, .. } = op
        && let Some(host) = &before.streams.get(*stream)?.host
    {
        return Some(host.iter().take(count).copied().map(Some).collect());
    }
    let (by, names): (usize, Vec<_>) = match op {
        Op::Send { by, handles, .. } => (*by, handles.iter().copied().map(Some).collect()),
        Op::Receive { stream, .. } => match before.streams.get(*stream)?.writer.as_ref()? {
            Side { holder, progress: Progress::Busy { left, .. } } => (*holder, left.clone()),
            _ => return None,
        },
        _ => return None,
    };
    Some(names.into_iter().take(count).map(|name| before.value(Holder::Instance(by), name?)).collect())
}

fn holder(world: &World, stream: usize, end: End) -> Option<usize> {
    world.streams.get(stream)?.side(end).map(|(holder, _)| holder)
}

/// Whether an operation may change what an instance's memory shows.
fn acts_in(op: &Op, instance: usize) -> bool {
    match *op {
        Op::Map { by, .. }
        | Op::MapPrivate { by, .. }
        | Op::Unmap { by, .. }
        | Op::Store { by, .. }
        | Op::Deliver { by, .. }
        | Op::Grow { by, .. } => by == instance,
        _ => false,
    }
}

fn same_but_for_life(before: &World, after: &World) -> bool {
    // What a call gives back may have another number, so no write names it any more.
    let streams =
        |world: &World| -> Vec<_> { world.streams.iter().map(|(nth, it)| (nth, it.without_names())).collect() };
    held(before) == held(after) && streams(before) == streams(after)
}

/// Who holds what, and what it is.
fn held(world: &World) -> impl PartialEq + use<> {
    let usage: Vec<Usage> = world.stores.iter().map(|store| store.usage).collect();
    let of_host = (world.host.clone(), world.channels.clone());
    (world.allocations.clone(), world.blocks.clone(), world.instances.clone(), of_host, usage)
}

impl World {
    /// The size of what a holder's handle stands for, if it is not mapped.
    pub fn size(&self, by: Holder, handle: usize) -> Option<u64> {
        self.value(by, handle).map(Value::bytes)
    }
}
