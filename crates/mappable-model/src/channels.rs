//! Channels of the host, into which it pipes streams and futures of guests.
//!
//! A write hands over what its channel has room for, and waits where there is no room. It is over when it has handed over
//! anything. What is in a channel is the host's, and stays when the writer's store goes.

use crate::stream::{Progress, Side};
use crate::values::Value;
use crate::world::{Life, Mistake, World};
use crate::{End, Ended, Holder, Outcome};

/// A channel that the host receives from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Channel {
    /// How many elements it has room for.
    pub(crate) bound: usize,
    pub(crate) elements: Vec<Value>,
    /// The store whose stream is piped into it.
    pub(crate) store: usize,
}

/// Where the host reads a stream into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sink {
    Channel(usize),
    /// A channel that nobody receives from.
    Abandoned,
}

impl World {
    /// The store whose stream is piped into a channel.
    pub fn fed_by(&self, channel: usize) -> Option<usize> {
        self.channels.get(channel).map(|it| it.store)
    }

    /// The channel that a stream is piped into.
    pub fn piped_into(&self, stream: usize) -> Option<usize> {
        match self.streams.get(stream)?.sink? {
            Sink::Channel(channel) => Some(channel),
            Sink::Abandoned => None,
        }
    }

    /// The stream that is piped into a channel.
    pub fn piped_from(&self, channel: usize) -> Option<usize> {
        self.streams.iter().map(|(number, _)| number).find(|&number| self.piped_into(number) == Some(channel))
    }

    /// Whether nothing more comes into a channel, though the writer of the future that was piped into it has not closed its end.
    pub fn is_done(&self, channel: usize) -> bool {
        let stream = self.piped_from(channel).and_then(|stream| self.streams.get(stream));
        let is_empty = self.channels.get(channel).is_some_and(|it| it.elements.is_empty());
        is_empty && stream.is_some_and(|it| it.future && it.over)
    }

    /// Whether a write waits of which a part was handed over.
    pub fn is_partly_handed_over(&self, stream: usize) -> bool {
        let writer = self.streams.get(stream).and_then(|it| it.writer.as_ref());
        writer
            .is_some_and(|it| matches!(&it.progress, Progress::Busy { moved, left } if *moved > 0 && !left.is_empty()))
    }

    /// Whether what waits at a stream can be handed over, one element after the other.
    pub fn flows(&self, stream: usize) -> bool {
        let Some(Side { holder, progress: Progress::Busy { left, .. } }) =
            self.streams.get(stream).and_then(|it| it.writer.as_ref())
        else {
            return true;
        };
        self.elements(stream, *holder, left).is_some()
    }

    /// The host pipes a stream, whose readable end an instance gives it, into a new channel.
    pub(crate) fn consume(&mut self, by: usize, number: usize, bound: usize) -> Outcome {
        let store = self.instances[by].store;
        let Some(stream) = self.streams.get_mut(number) else { return Outcome::Trap };
        if bound == 0 || stream.host.is_some() {
            return Outcome::Impossible;
        }
        if !stream.is_ready(by, End::Readable) {
            return Outcome::Trap;
        }
        let channel = self.channels.insert(Channel { bound, elements: vec![], store });
        (stream.reader, stream.sink) = (None, Some(Sink::Channel(channel)));
        if stream.side(End::Writable).is_none() {
            self.streams.remove(number);
        } else {
            self.flow(number);
        }
        Outcome::Channel(channel)
    }

    /// The host receives the first element of a channel.
    pub(crate) fn collect(&mut self, number: usize) -> Outcome {
        let Some(channel) = self.channels.get_mut(number) else { return Outcome::Impossible };
        if channel.elements.is_empty() {
            let is_fed = self.piped_from(number).is_some();
            return if is_fed { Outcome::Waits } else { Outcome::Ended(0, Ended::Dropped) };
        }
        let value = channel.elements.remove(0);
        let handle = self.give(Holder::Host, value);
        if let Some(stream) = self.piped_from(number) {
            self.flow(stream);
        }
        Outcome::Handle(handle)
    }

    /// The host receives no more: what is in the channel is freed.
    pub(crate) fn abandon(&mut self, number: usize) -> Outcome {
        let Some(Channel { elements, .. }) = self.channels.remove(number) else { return Outcome::Impossible };
        for stream in self.streams.iter_mut().filter(|it| it.sink == Some(Sink::Channel(number))) {
            stream.sink = Some(Sink::Abandoned);
        }
        if !self.errs(Mistake::KeepsWhatIsNotRead) {
            elements.into_iter().for_each(|value| self.free(value));
        }
        Outcome::Done
    }

    /// A write into a channel. `None` if it has to wait, or if no channel is there.
    pub(crate) fn send_to_host(&mut self, by: usize, number: usize, names: &[Option<usize>]) -> Option<Outcome> {
        let room = self.room(number)?;
        let names = &names[..room.min(names.len())];
        if names.is_empty() {
            return None;
        }
        Some(match self.hand_to_host(number, by, names) {
            Some(count) => Outcome::Ended(count, Ended::Completed),
            None => Outcome::Trap,
        })
    }

    /// What waits at a stream goes into its channel, as far as there is room. What can't be handed over ends its store.
    fn flow(&mut self, number: usize) {
        let Some(Side { holder, progress: Progress::Busy { moved: before, left } }) =
            self.streams.get(number).and_then(|it| it.writer.clone())
        else {
            return;
        };
        let count = self.room(number).unwrap_or(0).min(left.len());
        if count == 0 || self.stores[self.instances[holder].store].life != Life::Alive {
            return;
        }
        match self.hand_to_host(number, holder, &left[..count]) {
            Some(moved) => {
                if let Some(Side { progress, .. }) = self.streams.get_mut(number).and_then(|it| it.writer.as_mut()) {
                    *progress = Progress::Busy { moved: before + moved, left: vec![] };
                }
            }
            None => self.stores[self.instances[holder].store].life = Life::Dead,
        }
    }

    /// How many elements the host takes of a stream. It takes the one of a future even if it no longer wants it, and frees it.
    fn room(&self, number: usize) -> Option<usize> {
        let stream = self.streams.get(number)?;
        match stream.sink? {
            Sink::Channel(channel) => self.channels.get(channel).map(|it| it.bound - it.elements.len()),
            Sink::Abandoned => stream.future.then_some(1),
        }
    }

    fn hand_to_host(&mut self, number: usize, writer: usize, names: &[Option<usize>]) -> Option<usize> {
        let values = self.elements(number, writer, names)?;
        if !self.errs(Mistake::ReadsWithoutTaking) {
            names.iter().flatten().for_each(|&name| self.take(Holder::Instance(writer), name));
        }
        let stream = self.streams.get_mut(number)?;
        stream.over = stream.future;
        match stream.sink? {
            Sink::Channel(channel) => self.channels.get_mut(channel)?.elements.extend(values),
            Sink::Abandoned => values.into_iter().for_each(|value| self.free(value)),
        }
        Some(names.len())
    }
}
