//! Chooses operations on streams at random: most of them move something, or wait.

use crate::channels::Channel;
use crate::pick::{Kind, Pick};
use crate::stream::{Progress, Side};
use crate::{End, Holder, Op, Outcome};

/// No more are open at once.
const MOST: usize = 3;

impl<C: FnMut(usize) -> usize> Pick<'_, C> {
    pub(crate) fn in_streams(&mut self) -> Option<Op> {
        if (self.choose)(150) == 0 {
            let by = self.instance()?;
            return Some(self.misuse(by));
        }
        if (self.choose)(6) == 0
            && let Some(op) = self.in_channels()
        {
            return Some(op);
        }
        let numbers: Vec<usize> = self.world.streams.iter().map(|(number, _)| number).collect();
        if numbers.len() < MOST && (self.choose)(12) == 0 {
            return self.produce();
        }
        if numbers.len() < MOST && (self.choose)(8) == 0 {
            let by = self.instance().filter(|&by| self.neighbour(by).is_some())?;
            return Some(Op::Open { by, future: (self.choose)(4) == 0, frozen: (self.choose)(3) == 0 });
        }
        let stream = *numbers.get((self.choose)(numbers.len().max(1)))?;
        let end = if (self.choose)(2) == 0 { End::Writable } else { End::Readable };
        let it = self.world.streams.get(stream)?;
        let (by, moved) = it.side(end).filter(|(by, _)| self.world.acts(Holder::Instance(*by)))?;
        let ready = it.is_ready(by, end);
        match (moved, (self.choose)(16)) {
            (Some(_), 0..3) => Some(Op::Poll { by, stream, end }),
            (Some(_), 3) => Some(Op::Cancel { by, stream, end }),
            (None, 0) => self.close(by, stream, end),
            (None, 0..8) if !ready => self.close(by, stream, end),
            (None, _) if ready && it.is_within(by) => {
                Some(Op::PassEnd { from: by, stream, to: self.neighbour(by)? }).filter(|_| end == End::Readable)
            }
            (None, 2) if ready && end == End::Readable && it.host.is_none() => {
                Some(Op::Consume { by, stream, bound: if it.future { 1 } else { 1 + (self.choose)(3) } })
            }
            // Now and then on to the next.
            (None, 1) if ready && end == End::Readable => {
                Some(Op::PassEnd { from: by, stream, to: self.neighbour(by)? })
            }
            (None, _) if ready && end == End::Writable => self.send(by, stream),
            (None, _) if ready => self.receive(by, stream),
            _ => None,
        }
    }

    /// Another instance of the same store.
    fn neighbour(&self, by: usize) -> Option<usize> {
        (0..self.world.instances.len()).find(|&it| it != by && self.world.store(it) == self.world.store(by))
    }

    /// Mostly receives.
    fn in_channels(&mut self) -> Option<Op> {
        let own = |(_, it): &(usize, &Channel)| self.stores.contains(&it.store);
        let numbers: Vec<usize> = self.world.channels.iter().filter(own).map(|(number, _)| number).collect();
        let channel = *numbers.get((self.choose)(numbers.len().max(1)))?;
        let is_over = matches!(self.world.clone().apply(&Op::Collect { channel }), Outcome::Ended(..));
        let one_in = if is_over { 2 } else { 16 };
        Some(if (self.choose)(one_in) == 0 { Op::Abandon { channel } } else { Op::Collect { channel } })
    }

    fn close(&self, by: usize, stream: usize, end: End) -> Option<Op> {
        let it = self.world.streams.get(stream)?;
        (end == End::Readable || !it.future || it.over).then_some(Op::Close { by, stream, end })
    }

    /// The host writes some of the values that it has, all of one type.
    fn produce(&mut self) -> Option<Op> {
        let to = self.instance()?;
        let kind = if (self.choose)(2) == 0 { Kind::Region } else { Kind::Frozen };
        let future = (self.choose)(4) == 0;
        let mut handles = vec![];
        for _ in 0..if future { 1 } else { 1 + (self.choose)(3) } {
            let handle = self.handle(Holder::Host, kind)?;
            if !handles.contains(&handle) {
                handles.push(handle);
            }
        }
        Some(Op::Produce { handles, future, to })
    }

    /// Any stream, in use or not, or none.
    fn misuse(&mut self, by: usize) -> Op {
        let stream = (self.choose)(MOST + 1);
        let end = if (self.choose)(2) == 0 { End::Writable } else { End::Readable };
        match (self.choose)(5) {
            0 => Op::PassEnd { from: by, stream, to: (self.choose)(self.world.instances.len()) },
            1 => Op::Send { by, stream, handles: vec![(self.choose)(6)] },
            2 => Op::Receive { by, stream, room: 1 },
            3 => Op::Cancel { by, stream, end },
            _ => Op::Close { by, stream, end },
        }
    }

    fn send(&mut self, by: usize, number: usize) -> Option<Op> {
        let stream = self.world.streams.get(number)?;
        let kind = if stream.frozen { Kind::Frozen } else { Kind::Region };
        let count = if stream.future { 1 } else { 1 + (self.choose)(3) };
        let mut handles = vec![];
        for _ in 0..count {
            let handle = self.handle(Holder::Instance(by), kind)?;
            if !handles.contains(&handle) || self.is_odd() {
                handles.push(handle);
            }
        }
        // One of another type, or that is mapped.
        if self.is_odd() {
            let other = [Kind::Region, Kind::Frozen, Kind::Mapped][(self.choose)(3)];
            handles.push(self.handle(Holder::Instance(by), other)?);
        }
        let fits = !stream.future || handles.len() == 1;
        fits.then_some(Op::Send { by, stream: number, handles })
    }

    fn receive(&mut self, by: usize, number: usize) -> Option<Op> {
        let stream = self.world.streams.get(number)?;
        let room = if stream.future { 1 } else { 1 + (self.choose)(3) };
        if let Some(Side { holder, progress: Progress::Busy { left, .. } }) = &stream.writer {
            let names = &left[..room.min(left.len())];
            let gone = self.world.elements(number, *holder, names).is_none();
            if gone && (self.choose)(40) > 0 {
                return None;
            }
        }
        Some(Op::Receive { by, stream: number, room })
    }
}
