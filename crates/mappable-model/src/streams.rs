//! Streams and futures of regions or references, between the instances of a store.
//!
//! A write names handles and takes nothing. When a read and a write meet, as many elements as both have room for go from
//! the writer's table into the reader's, all or none. What is named is the handle, not its number: once that handle is
//! gone, or was given back with an error, by which an engine may give it another number, the element is nobody's. A meeting
//! that would hand it over traps.

use crate::stream::{Progress, Side, Stream};
use crate::values::Value;
use crate::world::{Handle, Mistake, World};
use crate::{End, Ended, Holder, Op, Outcome};

impl World {
    /// The handles that are left of the write in progress at a stream. One that has gone is nobody's.
    pub fn named(&self, stream: usize) -> &[Option<usize>] {
        match self.streams.get(stream).and_then(|it| it.writer.as_ref()) {
            Some(Side { progress: Progress::Busy { left, .. }, .. }) => left,
            _ => &[],
        }
    }

    /// Whether all handles are what a stream can hand over, at the moment.
    pub fn are_elements(&self, stream: usize, by: usize, handles: &[usize]) -> bool {
        let names: Vec<_> = handles.iter().copied().map(Some).collect();
        self.elements(stream, by, &names).is_some()
    }

    /// Whether a read is in progress in a store.
    pub fn is_read_from(&self, store: usize) -> bool {
        let read =
            |it: &Stream| it.side(End::Readable).is_some_and(|(by, moved)| self.store(by) == store && moved.is_some());
        self.streams.iter().any(|(_, it)| read(it))
    }

    pub(crate) fn in_streams(&mut self, op: &Op) -> Outcome {
        match *op {
            Op::Open { by, future, frozen } => {
                let (writer, reader) = (Side::new(by), Side::new(by));
                let (host, sink, over) = (None, None, false);
                Outcome::Stream(self.streams.insert(Stream { future, frozen, writer, reader, host, sink, over }))
            }
            Op::PassEnd { from, stream, to } => self.pass_end(from, stream, to),
            Op::Send { by, stream, ref handles } => self.send(by, stream, handles),
            Op::Receive { by, stream, room } => self.receive(by, stream, room),
            Op::Poll { by, stream, end } => self.poll(by, stream, end),
            Op::Cancel { by, stream, end } => self.cancel(by, stream, end),
            Op::Close { by, stream, end } => self.close(by, stream, end),
            Op::Consume { by, stream, bound } => self.consume(by, stream, bound),
            _ => Outcome::Trap,
        }
    }

    pub(crate) fn produce(&mut self, handles: &[usize], future: bool, to: usize) -> Outcome {
        let values: Option<Vec<_>> = handles.iter().map(|&handle| self.value(Holder::Host, handle)).collect();
        let Some(values) = values else { return Outcome::Impossible };
        let Some(frozen) = values.first().map(|value| value.is_frozen()) else { return Outcome::Impossible };
        let twice = handles.iter().enumerate().any(|(nth, handle)| handles[..nth].contains(handle));
        let mixed = values.iter().any(|value| value.is_frozen() != frozen);
        if twice || mixed || (future && values.len() > 1) {
            return Outcome::Impossible;
        }
        if !self.acts(Holder::Instance(to)) {
            return Outcome::Refused;
        }
        handles.iter().for_each(|&handle| self.take(Holder::Host, handle));
        let (host, reader) = (Some(values), Side::new(to));
        let (writer, sink, over) = (None, None, false);
        Outcome::Stream(self.streams.insert(Stream { future, frozen, writer, reader, host, sink, over }))
    }

    /// Takes a handle out of a table. No write names it any more.
    pub(crate) fn remove_handle(&mut self, instance: usize, number: usize) -> Option<Handle> {
        let handle = self.instances[instance].handles.remove(number)?;
        self.forget_name(instance, number);
        Some(handle)
    }

    /// What an operation took and gave back with an error is not what a write named.
    pub(crate) fn given_back(&mut self, op: &Op) {
        let (by, handles) = match *op {
            Op::Map { by, handle, .. } | Op::MapPrivate { by, handle, .. } | Op::Unmap { by, handle, .. } => {
                (Holder::Instance(by), vec![handle])
            }
            Op::Thaw { by, handle } | Op::Split { by, handle, .. } => (by, vec![handle]),
            Op::Join { by, low, high } => (by, vec![low, high]),
            _ => return,
        };
        if let Holder::Instance(instance) = by {
            handles.into_iter().for_each(|handle| self.forget_name(instance, handle));
        }
    }

    fn forget_name(&mut self, instance: usize, number: usize) {
        let of = |stream: &&mut Stream| stream.side(End::Writable).is_some_and(|(holder, _)| holder == instance);
        for stream in self.streams.iter_mut().filter(of) {
            stream.names().iter_mut().filter(|name| **name == Some(number)).for_each(|name| *name = None);
        }
    }

    fn pass_end(&mut self, from: usize, stream: usize, to: usize) -> Outcome {
        if from == to || self.instances[from].store != self.instances[to].store {
            return Outcome::Impossible;
        }
        match self.streams.get_mut(stream) {
            Some(stream) if stream.is_ready(from, End::Readable) => {
                stream.reader = Side::new(to);
                Outcome::Done
            }
            _ => Outcome::Trap,
        }
    }

    fn send(&mut self, by: usize, number: usize, handles: &[usize]) -> Outcome {
        let table = &self.instances[by].handles;
        let names: Vec<_> = handles.iter().map(|&name| table.get(name).map(|_| name)).collect();
        let Some(stream) = self.streams.get_mut(number) else { return Outcome::Trap };
        if names.is_empty() || (stream.future && names.len() > 1) {
            return Outcome::Impossible;
        }
        if !stream.is_ready(by, End::Writable) {
            return Outcome::Trap;
        }
        if stream.is_closed(End::Readable) {
            stream.end(End::Writable, Ended::Dropped);
            return Outcome::Ended(0, Ended::Dropped);
        }
        if let Some(outcome) = self.send_to_host(by, number, &names) {
            return outcome;
        }
        let Some(stream) = self.streams.get_mut(number) else { return Outcome::Trap };
        match stream.reader {
            Some(Side { holder, progress: Progress::Busy { moved, left } }) if left > 0 => {
                let count = left.min(names.len());
                let progress = Progress::Busy { moved: moved + count, left: left - count };
                self.meet(number, by, holder, &names[..count], |it| it.reader = Some(Side { holder, progress }))
            }
            _ => {
                let lifted: Vec<_> = names.iter().flatten().copied().collect();
                stream.writer = Some(Side { holder: by, progress: Progress::Busy { moved: 0, left: names } });
                if self.errs(Mistake::LiftsBeforeMeeting) {
                    lifted.into_iter().for_each(|name| self.take(Holder::Instance(by), name));
                }
                Outcome::Waits
            }
        }
    }

    fn receive(&mut self, by: usize, number: usize, room: usize) -> Outcome {
        let Some(stream) = self.streams.get_mut(number) else { return Outcome::Trap };
        if room == 0 || (stream.future && room > 1) {
            return Outcome::Impossible;
        }
        if !stream.is_ready(by, End::Readable) {
            return Outcome::Trap;
        }
        if stream.is_closed(End::Writable) {
            stream.end(End::Readable, Ended::Dropped);
            return Outcome::Ended(0, Ended::Dropped);
        }
        if let Some(left) = &mut stream.host {
            let last = !stream.future && room > left.len();
            let values: Vec<_> = left.drain(..room.min(left.len())).collect();
            stream.over = stream.future;
            if last {
                stream.end(End::Readable, Ended::Dropped);
            }
            let arrived: Vec<_> = values.into_iter().map(|value| self.give(Holder::Instance(by), value)).collect();
            return match last {
                false => Outcome::HandedOver(arrived),
                true if arrived.is_empty() => Outcome::Ended(0, Ended::Dropped),
                true => Outcome::Last(arrived),
            };
        }
        match &stream.writer {
            Some(Side { holder, progress: Progress::Busy { moved, left } }) if !left.is_empty() => {
                let (holder, count) = (*holder, room.min(left.len()));
                let (names, left) = (left[..count].to_vec(), left[count..].to_vec());
                let progress = Progress::Busy { moved: moved + count, left };
                self.meet(number, holder, by, &names, |it| it.writer = Some(Side { holder, progress }))
            }
            _ => {
                let progress = Progress::Busy { moved: 0, left: room };
                stream.reader = Some(Side { holder: by, progress });
                Outcome::Waits
            }
        }
    }

    /// A read and a write meet: all elements are lifted, and then all are lowered. `moved` is what the one that was there
    /// first becomes.
    fn meet(
        &mut self,
        number: usize,
        writer: usize,
        reader: usize,
        names: &[Option<usize>],
        moved: impl FnOnce(&mut Stream),
    ) -> Outcome {
        let Some(values) = self.elements(number, writer, names).filter(|_| writer != reader) else {
            return Outcome::Trap;
        };
        if let Some(stream) = self.streams.get_mut(number) {
            moved(stream);
            stream.over = stream.future;
        }
        if !self.errs(Mistake::ReadsWithoutTaking) {
            names.iter().flatten().for_each(|&name| self.take(Holder::Instance(writer), name));
        }
        Outcome::HandedOver(values.into_iter().map(|value| self.give(Holder::Instance(reader), value)).collect())
    }

    /// What is named, if each is there once, unmapped, and of the stream's type.
    pub(crate) fn elements(&self, stream: usize, writer: usize, names: &[Option<usize>]) -> Option<Vec<Value>> {
        let frozen = self.streams.get(stream)?.frozen;
        let value = |(nth, name): (usize, &Option<usize>)| {
            let once = !names[..nth].contains(name);
            let mut value = self.value(Holder::Instance(writer), (*name)?);
            if let (None, Some(Handle::Mapped { memory, at })) = (value, self.instances[writer].handles.get((*name)?))
                && self.errs(Mistake::HandsOverMapped)
            {
                value = self.instances[*memory].memory.mount(*at).map(|mount| mount.value);
            }
            value.filter(|value| once && value.is_frozen() == frozen)
        };
        names.iter().enumerate().map(value).collect()
    }

    /// Whether what is in progress at an end of somebody's is over, and how.
    fn poll(&mut self, by: usize, number: usize, end: End) -> Outcome {
        let Some(stream) = self.streams.get_mut(number) else { return Outcome::Impossible };
        let Some((holder, Some(moved))) = stream.side(end) else { return Outcome::Impossible };
        if holder != by {
            return Outcome::Impossible;
        }
        let how = match stream.is_closed_to(end, moved) {
            true if !stream.future || moved == 0 => Ended::Dropped,
            _ if moved > 0 => Ended::Completed,
            _ => return Outcome::Waits,
        };
        stream.end(end, how);
        Outcome::Ended(moved, how)
    }

    fn cancel(&mut self, by: usize, number: usize, end: End) -> Outcome {
        let Some(stream) = self.streams.get_mut(number) else { return Outcome::Trap };
        let Some((holder, Some(moved))) = stream.side(end) else { return Outcome::Trap };
        if holder != by {
            return Outcome::Trap;
        }
        let how = match stream.is_closed_to(end, moved) {
            _ if stream.future && moved > 0 => Ended::Completed,
            true => Ended::Dropped,
            false => Ended::Cancelled,
        };
        stream.end(end, how);
        Outcome::Ended(moved, how)
    }

    fn close(&mut self, by: usize, number: usize, end: End) -> Outcome {
        let Some(stream) = self.streams.get_mut(number) else { return Outcome::Trap };
        if stream.side(end) != Some((by, None)) {
            return Outcome::Trap;
        }
        match end {
            End::Writable if stream.future && !stream.over => return Outcome::Trap,
            End::Writable => stream.writer = None,
            End::Readable => stream.reader = None,
        }
        if stream.side(end.other()).is_none() {
            self.remove_stream(number);
        }
        Outcome::Done
    }

    /// What the host has not handed over is freed.
    fn remove_stream(&mut self, number: usize) {
        let left = self.streams.remove(number).and_then(|stream| stream.host);
        if !self.errs(Mistake::KeepsWhatIsNotRead) {
            left.into_iter().flatten().for_each(|value| self.free(value));
        }
    }

    /// The streams of a store go with it.
    pub(crate) fn drop_streams(&mut self, store: usize) {
        let numbers: Vec<_> = self.streams.iter().map(|(number, _)| number).collect();
        for number in numbers {
            let holds = |end| self.streams.get(number)?.side(end).map(|(holder, _)| self.instances[holder].store);
            if [End::Writable, End::Readable].into_iter().any(|end| holds(end) == Some(store)) {
                self.remove_stream(number);
            }
        }
    }
}
