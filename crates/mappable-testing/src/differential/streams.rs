//! Operations on streams, done by the guests that have their ends.
//!
//! A guest's elements lie in its memory from its write on. They are indices, and the engine looks at them when a read
//! meets the write. Where the model says that the handle is gone, its old index stays, unless another handle of the type gets
//! it: then it is one that nobody has.

use std::collections::BTreeMap;

use mappable::{FrozenHandle, Handle};
use mappable_model::{End, Ended, Op, Outcome};
use wasmtime::component::{FutureReader, StreamReader};

use super::channels::turn;
use super::guest::{Actor, Index, Kind};
use super::host::Item;
use super::run::Run;
use crate::ends::Names;

/// An index that no guest has.
const NONE: u32 = 1_000_000;

/// What a read or a write returns that has to wait.
const BLOCKED: u32 = u32::MAX;

/// A stream or a future, and its ends in the guests' tables.
pub(super) struct Stream {
    names: &'static Names,
    kind: Kind,
    /// Who has each end, and its index; until it is closed.
    pub(super) ends: [Option<(usize, u32)>; 2],
    /// The channel that it is piped into.
    pub(super) channel: Option<usize>,
    /// What is left of the write in progress: whose index each element is, and the index as it lies in memory; and how many
    /// elements were handed over.
    pub(super) named: Vec<(usize, u32)>,
    moved: usize,
    /// How many elements the read in progress got.
    got: usize,
}

impl Stream {
    fn index(&self, by: usize, end: End) -> u32 {
        self.ends[end as usize].filter(|(holder, _)| *holder == by).map_or(NONE, |(_, index)| index)
    }

    /// What a number says that a read, a write, a cancellation or an event has returned.
    fn ended(&self, returned: u32) -> Outcome {
        let how = match returned & 15 {
            0 => Ended::Completed,
            1 => Ended::Dropped,
            2 => Ended::Cancelled,
            _ => panic!("{returned:#x} is no result"),
        };
        let moved = if self.names.future { u32::from(how == Ended::Completed) } else { returned >> 4 };
        Outcome::Ended(moved as usize, how)
    }
}

/// Where elements lie in the writer's memory, or in the reader's.
fn place(stream: usize, end: End, nth: usize) -> u32 {
    0x4000 + 0x4000 * end as u32 + 0x100 * stream as u32 + 4 * nth as u32
}

/// The streams of a store by the model's numbers.
pub(super) type Streams = BTreeMap<usize, Stream>;

impl Run {
    /// Does what a guest does with a stream. An error is a trap.
    pub(super) fn on_streams(&mut self, op: &Op, expected: &Outcome) -> wasmtime::Result<Outcome> {
        match *op {
            Op::Open { by, future, frozen } => {
                let names = Names::of(future, frozen);
                let ends: u64 = self.at(by).call(names.new, ())?;
                let Outcome::Stream(number) = *expected else { return Ok(Outcome::Stream(usize::MAX)) };
                let ends = [Some((by, (ends >> 32) as u32)), Some((by, ends as u32))];
                let kind = if frozen { Kind::Frozen } else { Kind::Region };
                let stream = Stream { names, kind, ends, channel: None, named: vec![], moved: 0, got: 0 };
                self.streams(by).insert(number, stream);
                Ok(Outcome::Stream(number))
            }
            Op::PassEnd { from, stream, to } => {
                let (names, index) = self.end(from, stream, End::Readable);
                let (caller, name) = if from < to { (from, names.pass) } else { (to, names.fetch) };
                let index: u32 = self.at(caller).call(name, (index,))?;
                if let Some(stream) = self.streams(from).get_mut(&stream) {
                    stream.ends[End::Readable as usize] = Some((to, index));
                }
                Ok(Outcome::Done)
            }
            Op::Send { by, stream, ref handles } => self.send(by, stream, handles, expected),
            Op::Receive { by, stream, room } => self.receive(by, stream, room, expected),
            Op::Poll { by, stream, end } => {
                let (_, index) = self.end(by, stream, end);
                let event: u64 = self.at(by).call("poll", (index,))?;
                let stream = &self.streams(by)[&stream];
                let wanted = if stream.names.future { [5, 4] } else { [3, 2] }[end as usize];
                Ok(match event as u32 {
                    0 => Outcome::Waits,
                    number if number == wanted => stream.ended((event >> 32) as u32),
                    number => panic!("event {number} of an end whose events are {wanted}"),
                })
            }
            Op::Cancel { by, stream, end } => {
                let (names, index) = self.end(by, stream, end);
                let mut returned: u32 = self.at(by).call(names.cancel[end as usize], (index,))?;
                let is_piped = self.streams(by)[&stream].channel.is_some();
                if returned == BLOCKED && is_piped {
                    turn(&mut self.at(by).world.store)?;
                    returned = (self.at(by).call::<_, u64>("poll", (index,))? >> 32) as u32;
                }
                assert_ne!(returned, BLOCKED, "what is cancelled between guests is over at once");
                Ok(self.streams(by)[&stream].ended(returned))
            }
            Op::Close { by, stream, end } => {
                let (names, index) = self.end(by, stream, end);
                self.at(by).run(names.close[end as usize], (index,))?;
                let all = self.streams(by);
                if let Some(it) = all.get_mut(&stream) {
                    it.ends[end as usize] = None;
                    if it.ends == [None; 2] {
                        all.remove(&stream);
                    }
                }
                Ok(Outcome::Done)
            }
            _ => unreachable!("{op:?} is not on streams"),
        }
    }

    /// The host makes a stream of what it has, or a future.
    pub(super) fn produce(
        &mut self,
        items: Vec<Item>,
        future: bool,
        to: usize,
        expected: &Outcome,
    ) -> wasmtime::Result<Outcome> {
        let (mut regions, mut references) = (vec![], vec![]);
        for item in items {
            match item {
                Item::Region(region) => regions.push(region),
                Item::Frozen(frozen) => references.push(frozen),
            }
        }
        let names = Names::of(future, regions.is_empty());
        let mut actor = self.at(to);
        let store = &mut actor.world.store;
        let index: u32 = match (regions.pop(), references.pop()) {
            (Some(one), None) if future => {
                let end: FutureReader<Handle> = FutureReader::new(store, mappable::future(one))?;
                actor.call(names.take, (end,))?
            }
            (None, Some(one)) if future => {
                let end: FutureReader<FrozenHandle> = FutureReader::new(store, mappable::future(one))?;
                actor.call(names.take, (end,))?
            }
            (Some(last), None) => {
                let all = regions.into_iter().chain([last]).collect::<Vec<_>>();
                let end: StreamReader<Handle> = StreamReader::new(store, mappable::stream(all))?;
                actor.call(names.take, (end,))?
            }
            (None, Some(last)) => {
                let all = references.into_iter().chain([last]).collect::<Vec<_>>();
                let end: StreamReader<FrozenHandle> = StreamReader::new(store, mappable::stream(all))?;
                actor.call(names.take, (end,))?
            }
            _ => panic!("a stream is of one type"),
        };
        let Outcome::Stream(number) = *expected else { return Ok(Outcome::Stream(usize::MAX)) };
        let kind = if names.frozen { Kind::Frozen } else { Kind::Region };
        let ends = [None, Some((to, index))];
        let stream = Stream { names, kind, ends, channel: None, named: vec![], moved: 0, got: 0 };
        self.streams(to).insert(number, stream);
        Ok(Outcome::Stream(number))
    }

    fn at(&mut self, instance: usize) -> Actor<'_> {
        self.actor(instance).expect("its store is there")
    }

    /// Its functions, and the index by which somebody has an end. If it has none, one that nobody has.
    pub(super) fn end(&mut self, by: usize, stream: usize, end: End) -> (&'static Names, u32) {
        let stream = self.streams(by).get(&stream);
        stream.map_or((Names::of(false, false), NONE), |it| (it.names, it.index(by, end)))
    }

    fn send(&mut self, by: usize, number: usize, handles: &[usize], expected: &Outcome) -> wasmtime::Result<Outcome> {
        let (names, index) = self.end(by, number, End::Writable);
        let at = place(number, End::Writable, 0);
        for (&handle, at) in handles.iter().zip((at..).step_by(4)) {
            let element = self.at(by).index(handle).at;
            self.at(by).run("store64", (at, u64::from(element)))?;
        }
        let mut actor = self.at(by);
        let returned: u32 = match names.future {
            true => actor.call(names.write, (index, at))?,
            false => actor.call(names.write, (index, at, handles.len() as u32))?,
        };
        // In the ledger tier what was written has other indices since.
        let mut named = vec![];
        for (&handle, at) in handles.iter().zip((at..).step_by(4)) {
            let element = actor.call::<_, u64>("load64", (at,))? as u32;
            named.push((handle, element));
            if let Some(index) = actor.instance.handles.get_mut(&handle) {
                index.at = element;
            }
        }
        let Some(stream) = self.streams(by).get_mut(&number) else { return Ok(Outcome::Waits) };
        if returned == BLOCKED {
            (stream.named, stream.moved) = (named, 0);
            return Ok(Outcome::Waits);
        }
        let ended = stream.ended(returned);
        if let (Outcome::Ended(moved, _), Some(_)) = (&ended, stream.channel) {
            self.sent_to_host(by, &handles[..*moved]);
            return Ok(ended);
        }
        match ended {
            Outcome::Ended(moved, Ended::Completed) => {
                let got = stream.got;
                stream.got += moved;
                self.hand_over(by, number, &handles[..moved], got, expected)
            }
            ended => Ok(ended),
        }
    }

    fn receive(&mut self, by: usize, number: usize, room: usize, expected: &Outcome) -> wasmtime::Result<Outcome> {
        let (names, index) = self.end(by, number, End::Readable);
        let at = place(number, End::Readable, 0);
        let mut actor = self.at(by);
        let returned: u32 = match names.future {
            true => actor.call(names.read, (index, at))?,
            false => actor.call(names.read, (index, at, room as u32))?,
        };
        let Some(stream) = self.streams(by).get_mut(&number) else { return Ok(Outcome::Waits) };
        stream.got = 0;
        if returned == BLOCKED {
            return Ok(Outcome::Waits);
        }
        match stream.ended(returned) {
            Outcome::Ended(moved, how) if moved > 0 => {
                let names: Vec<_> = stream.named.drain(..moved.min(stream.named.len())).map(|(name, _)| name).collect();
                stream.moved += moved;
                match stream.ends[End::Writable as usize] {
                    Some((writer, _)) => self.hand_over(writer, number, &names, 0, expected),
                    None => self.arrive(by, number, moved, 0, how, expected),
                }
            }
            ended => Ok(ended),
        }
    }

    /// The reader has what the writer had, from that place in its buffer on.
    fn hand_over(
        &mut self,
        writer: usize,
        number: usize,
        names: &[usize],
        from: usize,
        expected: &Outcome,
    ) -> wasmtime::Result<Outcome> {
        let reader = self.streams(writer)[&number].ends[End::Readable as usize];
        names.iter().for_each(|name| _ = self.at(writer).instance.take(*name));
        let Some((reader, _)) = reader else { return Ok(Outcome::Waits) };
        self.arrive(reader, number, names.len(), from, Ended::Completed, expected)
    }

    /// So many elements are in the reader's buffer, from that place on.
    fn arrive(
        &mut self,
        reader: usize,
        number: usize,
        count: usize,
        from: usize,
        how: Ended,
        expected: &Outcome,
    ) -> wasmtime::Result<Outcome> {
        let (kind, at) = (self.streams(reader)[&number].kind, place(number, End::Readable, from));
        let numbers = match expected {
            Outcome::HandedOver(numbers) if how == Ended::Completed && numbers.len() == count => numbers,
            Outcome::Last(numbers) if how == Ended::Dropped && numbers.len() == count => numbers,
            _ => return Ok(Outcome::HandedOver(vec![usize::MAX; count])),
        };
        for (&number, at) in numbers.iter().zip((at..).step_by(4)) {
            let mut actor = self.at(reader);
            let at = actor.call::<_, u64>("load64", (at,))? as u32;
            actor.instance.handles.insert(number, Index { at, kind });
        }
        Ok(expected.clone())
    }

    /// Writes that are over are forgotten; and where what was named is gone and another handle has its index, one that nobody
    /// has is written in its place.
    pub(super) fn forget_elements(&mut self, by: usize) {
        let numbers: Vec<usize> = self.streams(by).keys().copied().collect();
        for number in numbers {
            let left = self.named(number);
            let Some(stream) = self.streams(by).get_mut(&number) else { continue };
            stream.named.truncate(left.len());
            let Some((writer, _)) = stream.ends[End::Writable as usize] else { continue };
            let (kind, first, named) = (stream.kind, stream.moved, stream.named.clone());
            for (nth, (name, (_, was))) in left.into_iter().zip(named).enumerate() {
                let mut actor = self.at(writer);
                let is_reused = actor.instance.handles.values().any(|it| it.at == was && it.kind == kind);
                if name.is_none() && is_reused {
                    let at = place(number, End::Writable, first + nth);
                    let both: u64 = actor.call("load64", (at,)).unwrap();
                    actor.run("store64", (at, both >> 32 << 32 | u64::from(NONE))).unwrap();
                    if let Some(stream) = self.streams(by).get_mut(&number) {
                        stream.named[nth].1 = NONE;
                    }
                }
            }
        }
    }
}
