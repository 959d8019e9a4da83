//! Chooses operations at random. Most of them can be done, some can't.

use crate::memory::{Memory, Mount};
use crate::setup::Way;
use crate::values::Value;
use crate::world::{Handle, Life, World};
use crate::{GRANULE, Holder, Op};

/// What a handle is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Region,
    Frozen,
    Unmapped,
    Mapped,
}

/// One operation's choice.
pub(crate) struct Pick<'a, C> {
    pub(crate) world: &'a World,
    living: Vec<usize>,
    /// The stores that instances of the choice were in, dropped ones too.
    pub(crate) stores: Vec<usize>,
    /// Whether operations on streams are among them.
    streams: bool,
    pub(crate) choose: &'a mut C,
}

impl Op {
    /// An operation of these instances or the host. `choose(n)` returns a number below `n`, which is not zero. One in
    /// hundreds traps, uses what is not there, or drops a store.
    pub fn pick(world: &World, instances: &[usize], choose: &mut impl FnMut(usize) -> usize) -> Self {
        Self::pick_among(world, instances, false, choose)
    }

    /// The same, with operations on streams and futures.
    pub fn pick_with_streams(world: &World, instances: &[usize], choose: &mut impl FnMut(usize) -> usize) -> Self {
        Self::pick_among(world, instances, true, choose)
    }

    fn pick_among(world: &World, instances: &[usize], streams: bool, choose: &mut impl FnMut(usize) -> usize) -> Self {
        let dead = |&&it: &&usize| world.stores[world.instances[it].store].life == Life::Dead;
        if let Some(&dead) = instances.iter().find(dead)
            && choose(8) == 0
        {
            return Self::DropStore { store: world.instances[dead].store };
        }
        let living = instances.iter().copied().filter(|&it| world.acts(Holder::Instance(it))).collect();
        let stores = instances.iter().map(|&it| world.instances[it].store).collect();
        let mut pick = Pick { world, living, stores, streams, choose };
        let found = (0..16).find_map(|_| pick.any());
        found.unwrap_or(Self::Allocate { by: Holder::Host, size: GRANULE })
    }
}

impl<C: FnMut(usize) -> usize> Pick<'_, C> {
    fn any(&mut self) -> Option<Op> {
        if self.streams && (self.choose)(5) < 2 {
            return self.in_streams();
        }
        match (self.choose)(40) {
            0..4 => self.allocate(),
            4..9 => self.map(),
            9..14 => self.unmap(),
            14..24 => self.on_handle(),
            24..29 => self.pass(),
            _ => self.in_memory(),
        }
    }

    pub(crate) fn is_odd(&mut self) -> bool {
        (self.choose)(500) == 0
    }

    pub(crate) fn instance(&mut self) -> Option<usize> {
        let number = (self.choose)(self.living.len().max(1));
        self.living.get(number).copied()
    }

    fn holder(&mut self) -> Holder {
        match (self.choose)(self.living.len() + 1) {
            0 => Holder::Host,
            number => Holder::Instance(self.living[number - 1]),
        }
    }

    /// One to three granules, now and then none or a part of one.
    fn size(&mut self) -> u64 {
        match (self.choose)(24) {
            0 => 0,
            1 => GRANULE + 1,
            other => (other as u64 % 3 + 1) * GRANULE,
        }
    }

    /// A handle of the kind; now and then any number.
    pub(crate) fn handle(&mut self, by: Holder, kind: Kind) -> Option<usize> {
        if self.is_odd() {
            return Some((self.choose)(6));
        }
        let of_value = |value: &Value| match kind {
            Kind::Region => !value.is_frozen(),
            Kind::Frozen => value.is_frozen(),
            Kind::Unmapped => true,
            Kind::Mapped => false,
        };
        let numbers: Vec<usize> = match by {
            Holder::Host => self.world.host.iter().filter(|(_, it)| of_value(it)).map(|(number, _)| number).collect(),
            Holder::Instance(instance) => {
                let is = |handle: &Handle| match handle {
                    Handle::Unmapped(value) => of_value(value),
                    Handle::Mapped { .. } => kind == Kind::Mapped,
                };
                let handles = self.world.instances[instance].handles.iter();
                handles.filter(|(_, it)| is(it)).map(|(number, _)| number).collect()
            }
        };
        if numbers.is_empty() { None } else { Some(numbers[(self.choose)(numbers.len())]) }
    }

    /// A new region; of who has many, rather the end of one.
    fn allocate(&mut self) -> Option<Op> {
        let by = self.holder();
        let has = match by {
            Holder::Host => self.world.host.iter().count(),
            Holder::Instance(instance) => self.world.instances[instance].handles.iter().count(),
        };
        if has > 6 {
            let kind = if (self.choose)(3) == 0 { Kind::Mapped } else { Kind::Unmapped };
            return Some(Op::Drop { by, handle: self.handle(by, kind)? });
        }
        Some(Op::Allocate { by, size: self.size() })
    }

    fn map(&mut self) -> Option<Op> {
        let by = self.instance()?;
        let handle = self.handle(Holder::Instance(by), Kind::Unmapped)?;
        let granules = self.world.instances[by].memory.heap.len() as u64;
        let size = self.world.value(Holder::Instance(by), handle).map_or(GRANULE, Value::bytes);
        let len = match (self.choose)(16) {
            0..3 => self.size(),
            3 => size + GRANULE,
            _ => size,
        };
        let last = granules.saturating_sub(len.div_ceil(GRANULE)) as usize;
        let beyond = usize::from(self.is_odd());
        let offset = (self.choose)(last + 1 + beyond * 3) as u64 * GRANULE;
        let unaligned = u64::from((self.choose)(40) == 0 && offset + len < granules * GRANULE);
        let offset = offset + unaligned;
        let is_frozen = self.world.value(Holder::Instance(by), handle).is_some_and(Value::is_frozen);
        let privately = if is_frozen { (self.choose)(2) == 0 } else { self.is_odd() };
        Some(if privately { Op::MapPrivate { by, handle, offset, len } } else { Op::Map { by, handle, offset, len } })
    }

    fn unmap(&mut self) -> Option<Op> {
        let by = self.instance()?;
        let handle = self.handle(Holder::Instance(by), Kind::Mapped)?;
        let Memory { heap, .. } = &self.world.instances[by].memory;
        let at = match self.world.instances[by].handles.get(handle) {
            // In another memory than its own it traps.
            Some(&Handle::Mapped { memory, .. }) if memory != by && !self.is_odd() => return None,
            Some(&Handle::Mapped { at, .. }) if (self.choose)(12) > 0 => at,
            _ => (self.choose)(heap.len()),
        };
        Some(Op::Unmap { by, handle, offset: at as u64 * GRANULE, len: ((self.choose)(24) > 0).into() })
    }

    fn on_handle(&mut self) -> Option<Op> {
        let by = self.holder();
        let size = self.size();
        let offset = |choose: &mut C| match choose(12) {
            0 => 1,
            other => other as u64 % 3 * GRANULE,
        };
        Some(match (self.choose)(23) {
            20 => Op::Len { by, handle: self.handle(by, Kind::Unmapped)? },
            21 | 22 => {
                let handle = self.handle(by, Kind::Region)?;
                Op::SetLen { by, handle, len: self.length(by, handle) }
            }
            0..3 => Op::Freeze { by, handle: self.handle(by, Kind::Region)? },
            3..6 => Op::Thaw { by, handle: self.handle(by, Kind::Frozen)? },
            6 | 7 => Op::Clone { by, handle: self.handle(by, Kind::Frozen)? },
            8 | 9 => Op::Slice { by, handle: self.handle(by, Kind::Frozen)?, offset: offset(self.choose), size },
            10 => Op::Copy { by, handle: self.handle(by, Kind::Frozen)? },
            11 | 12 => Op::Split { by, handle: self.handle(by, Kind::Region)?, at: size },
            13 | 14 => self.join(by)?,
            15 | 16 => {
                let offset = (self.choose)(2) as u64 * GRANULE;
                Op::Read { by, handle: self.handle(by, Kind::Unmapped)?, offset, len: size }
            }
            17 => {
                let (handle, byte) = (self.handle(by, Kind::Region)?, (self.choose)(256) as u8);
                Op::Write { by, handle, offset: (self.choose)(2) as u64 * GRANULE, len: size, byte }
            }
            18 => Op::Drop { by, handle: self.handle(by, Kind::Unmapped)? },
            _ => Op::Drop { by, handle: self.handle(by, Kind::Mapped)? },
        })
    }

    /// A length for a region: any, and often one at a granule's border or beside it.
    fn length(&mut self, by: Holder, handle: usize) -> u64 {
        let size = self.world.value(by, handle).map_or(GRANULE, Value::bytes);
        match (self.choose)(8) {
            0 => 0,
            1 | 2 => size,
            3 => size + 1,
            4 | 5 => ((self.choose)((size / GRANULE) as usize) as u64 * GRANULE) + (self.choose)(2) as u64,
            _ => (self.choose)(size as usize) as u64,
        }
    }

    /// Mostly joins two neighbours, if there are any.
    fn join(&mut self, by: Holder) -> Option<Op> {
        let low = self.handle(by, Kind::Region)?;
        let other = self.handle(by, Kind::Region)?;
        let end = |value: Option<Value>| value.map(Value::extent).map(|it| (it.allocation, it.start + it.len));
        let start = |value: Option<Value>| value.map(Value::extent).map(|it| (it.allocation, it.start));
        let wanted = end(self.world.value(by, low));
        let high = (0..16).find(|&it| {
            let value = self.world.value(by, it);
            wanted.is_some() && start(value) == wanted && value.is_some_and(|it| !it.is_frozen())
        });
        match high {
            Some(high) if (self.choose)(4) > 0 => Some(Op::Join { by, low, high }),
            _ if low == other && !self.is_odd() => None,
            _ => Some(Op::Join { by, low, high: other }),
        }
    }

    fn pass(&mut self) -> Option<Op> {
        let (from, to) = (self.holder(), self.holder());
        let kind = if (self.choose)(16) == 0 { Kind::Mapped } else { Kind::Unmapped };
        let (sender, receiver) = (self.world.store_of(from), self.world.store_of(to));
        let linked = sender.is_none() || receiver.is_none() || sender == receiver;
        let possible = linked && !(kind == Kind::Mapped && to == Holder::Host);
        if possible { Some(Op::Pass { from, handle: self.handle(from, kind)?, to }) } else { None }
    }

    fn in_memory(&mut self) -> Option<Op> {
        let by = self.instance()?;
        let memory = &self.world.instances[by].memory;
        let beyond = usize::from(self.is_odd());
        let granule = (self.choose)(memory.heap.len() + beyond * 4);
        let byte = (self.choose)(256) as u8;
        let would_trap =
            |it: &Mount| it.covers(granule) && it.value.is_frozen() && it.private.is_empty() && !it.is_private;
        let would_trap = memory.way == Way::Pages && memory.mounts.iter().any(would_trap);
        let is_unwritten = |it: &Mount| {
            it.covers(granule) && it.is_private && it.private.iter().all(|&(written, _)| it.at + written != granule)
        };
        let is_over_quota = memory.way == Way::Pages
            && memory.mounts.iter().any(is_unwritten)
            && !self.world.has_room_for_bytes(self.world.store(by), GRANULE);
        Some(match (self.choose)(24) {
            0..14 if would_trap && !self.is_odd() => return None,
            0..14 if is_over_quota && (self.choose)(16) > 0 => return None,
            0..14 => Op::Store { by, granule, byte },
            14..18 => Op::Deliver { by, granule, byte },
            18..22 => Op::Load { by, granule },
            22 if (self.choose)(32) == 0 => Op::Grow { by, granules: 70_000 },
            22 => Op::Grow { by, granules: (self.choose)(2) },
            _ if (self.choose)(50) == 0 => Op::Trap { by },
            _ if (self.choose)(50) == 0 => Op::DropStore { store: self.world.instances[by].store },
            _ => return None,
        })
    }
}
