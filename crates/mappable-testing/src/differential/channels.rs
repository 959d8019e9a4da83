//! Streams of guests that the host pipes into channels, and receives from.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use mappable::{Frozen, FrozenHandle, Handle, Mappable, Receiver};
use mappable_model::{End, Ended, Op, Outcome, World};
use wasmtime::Store;
use wasmtime::component::{FutureReader, StreamReader};

use super::host::{Host, Item};
use super::run::Run;
use crate::ends::Names;
use crate::support::State;

/// In place of a channel's number, where the host receives no more.
const ABANDONED: usize = usize::MAX;

/// What the host receives from.
pub(super) enum Channel {
    Regions(Receiver<Mappable>),
    References(Receiver<Frozen>),
}

impl Channel {
    fn receive(&mut self) -> Poll<Option<Item>> {
        match self {
            Self::Regions(receiver) => once(receiver.recv()).map(|item| item.map(Item::Region)),
            Self::References(receiver) => once(receiver.recv()).map(|item| item.map(Item::Frozen)),
        }
    }
}

fn once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Lets a store's tasks go on for a while.
pub(super) fn turn(store: &mut Store<State>) -> wasmtime::Result<()> {
    let mut running = pin!(store.run_concurrent(async |_| {
        for _ in 0..8 {
            let mut is_second = false;
            std::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                if std::mem::replace(&mut is_second, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    }));
    loop {
        if let Poll::Ready(done) = running.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
    }
}

/// Whether library and model can be compared in an operation of the host's on channels, or of a guest's with a stream that
/// is piped into one.
pub(super) fn is_comparable(op: &Op, model: &World) -> bool {
    let (stream, store) = match *op {
        // If a guest has read a part of a write, the engine reports each part by itself.
        Op::Consume { stream, .. } if model.is_partly_handed_over(stream) => return false,
        // When the engine drops what read a future is its own affair, once it has the element.
        Op::Collect { channel } if model.is_done(channel) => return false,
        Op::Consume { by, stream, .. } => (Some(stream), model.store(by)),
        Op::Send { by, stream, .. } | Op::Cancel { by, stream, .. } if model.piped_into(stream).is_some() => {
            (Some(stream), model.store(by))
        }
        Op::Collect { channel } | Op::Abandon { channel } => match model.fed_by(channel) {
            Some(store) => (model.piped_from(channel), store),
            None => return true,
        },
        _ => return true,
    };
    // The engine loses a read that its function left in progress when it goes on with other tasks. Where an element can't be
    // handed over, those before it may have been. What a store feeds that has trapped depends on when its tasks ran.
    let flows = match op {
        Op::Send { by, stream, handles } => model.are_elements(*stream, *by, handles),
        _ => stream.is_none_or(|stream| model.flows(stream)),
    };
    flows && !model.is_read_from(store) && !model.is_dead(store)
}

impl Run {
    /// The host pipes a stream into a channel.
    pub(super) fn consume(
        &mut self,
        by: usize,
        number: usize,
        bound: usize,
        expected: &Outcome,
    ) -> wasmtime::Result<Outcome> {
        let (names, index) = self.end(by, number, End::Readable);
        let channel = match names.frozen {
            true => Channel::References(self.pipe_references(by, names, index, bound)?),
            false => Channel::Regions(self.pipe_regions(by, names, index, bound)?),
        };
        turn(&mut self.actor(by).expect("its store is there").world.store)?;
        let Outcome::Channel(new) = *expected else { return Ok(Outcome::Channel(usize::MAX)) };
        self.channels.insert(new, channel);
        let streams = self.streams(by);
        if let Some(stream) = streams.get_mut(&number) {
            stream.ends[End::Readable as usize] = None;
            stream.channel = Some(new);
            if stream.ends == [None; 2] {
                streams.remove(&number);
            }
        }
        self.flowed(by, number, bound);
        Ok(expected.clone())
    }

    fn pipe_regions(
        &mut self,
        by: usize,
        names: &Names,
        index: u32,
        bound: usize,
    ) -> wasmtime::Result<Receiver<Mappable>> {
        let (sender, receiver) = mappable::channel(bound);
        let mut actor = self.actor(by).expect("its store is there");
        match names.future {
            true => {
                actor.call::<_, FutureReader<Handle>>(names.give, (index,))?.pipe(&mut actor.world.store, sender)?
            }
            false => {
                actor.call::<_, StreamReader<Handle>>(names.give, (index,))?.pipe(&mut actor.world.store, sender)?
            }
        }
        Ok(receiver)
    }

    fn pipe_references(
        &mut self,
        by: usize,
        names: &Names,
        index: u32,
        bound: usize,
    ) -> wasmtime::Result<Receiver<Frozen>> {
        let (sender, receiver) = mappable::channel(bound);
        let mut actor = self.actor(by).expect("its store is there");
        let give = names.give;
        match names.future {
            true => {
                actor.call::<_, FutureReader<FrozenHandle>>(give, (index,))?.pipe(&mut actor.world.store, sender)?
            }
            false => {
                actor.call::<_, StreamReader<FrozenHandle>>(give, (index,))?.pipe(&mut actor.world.store, sender)?
            }
        }
        Ok(receiver)
    }

    /// The host receives an element. `fed_by` is the store of the channel's stream.
    pub(super) fn collect(
        &mut self,
        number: usize,
        fed_by: Option<usize>,
        host: &mut Host,
        expected: &Outcome,
    ) -> wasmtime::Result<Outcome> {
        self.turn(fed_by)?;
        let received = self.channels.get_mut(&number).expect("the model has it").receive();
        let item = match received {
            Poll::Ready(Some(item)) => item,
            Poll::Ready(None) => return Ok(Outcome::Ended(0, Ended::Dropped)),
            Poll::Pending => return Ok(Outcome::Waits),
        };
        let outcome = host.keep(item, expected);
        self.turn(fed_by)?;
        let instances = fed_by.filter(|store| self.sides.contains_key(store)).map(|store| self.plan.instances(store));
        if let Some(by) = instances.and_then(|mut instances| instances.next()) {
            let feeding = self.streams(by).iter().find(|(_, it)| it.channel == Some(number)).map(|(stream, _)| *stream);
            if let Some(stream) = feeding {
                self.flowed(by, stream, 1);
            }
        }
        Ok(outcome)
    }

    pub(super) fn abandon(&mut self, number: usize, fed_by: Option<usize>) -> wasmtime::Result<Outcome> {
        self.channels.remove(&number).expect("the model has it");
        for stream in self.sides.values_mut().flat_map(|side| side.streams.values_mut()) {
            if stream.channel == Some(number) {
                stream.channel = Some(ABANDONED);
            }
        }
        self.turn(fed_by)?;
        Ok(Outcome::Done)
    }

    fn turn(&mut self, store: Option<usize>) -> wasmtime::Result<()> {
        let side = store.and_then(|store| self.sides.get_mut(&store));
        side.map_or(Ok(()), |side| turn(&mut side.world.store))
    }

    /// Up to so many elements of the write that waits at a stream are the host's.
    fn flowed(&mut self, by: usize, number: usize, room: usize) {
        let Some(stream) = self.streams(by).get_mut(&number) else { return };
        let Some((writer, _)) = stream.ends[End::Writable as usize] else { return };
        let count = room.min(stream.named.len());
        let gone: Vec<usize> = stream.named.drain(..count).map(|(name, _)| name).collect();
        if count > 0 {
            stream.named.clear();
        }
        gone.into_iter().for_each(|name| _ = self.actor(writer).expect("its store is there").instance.take(name));
    }

    /// So many of the handles that a guest has written are the host's.
    pub(super) fn sent_to_host(&mut self, by: usize, handles: &[usize]) {
        let actor = self.actor(by).expect("its store is there");
        handles.iter().for_each(|handle| _ = actor.instance.take(*handle));
    }
}
