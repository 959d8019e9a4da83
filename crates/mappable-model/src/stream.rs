//! One stream or future: its two ends, and how far each has got.

use crate::channels::Sink;
use crate::values::Value;
use crate::{End, Ended};

/// A stream; a future is a stream of one element.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Stream {
    pub(crate) future: bool,
    /// Whether its elements are references.
    pub(crate) frozen: bool,
    /// The ends, until they are closed. What is left of a write in progress are the handles that it names.
    pub(crate) writer: Option<Side<Vec<Option<usize>>>>,
    /// What is left of a read in progress is its room.
    pub(crate) reader: Option<Side<usize>>,
    /// What the host has not handed over, if it is the host that writes.
    pub(crate) host: Option<Vec<Value>>,
    /// Where it goes, if it is the host that reads.
    pub(crate) sink: Option<Sink>,
    /// Whether a future is done: its element was handed over, or its writer knows that nobody will read it.
    pub(crate) over: bool,
}

/// An end, and who has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Side<T> {
    pub(crate) holder: usize,
    pub(crate) progress: Progress<T>,
}

/// What is being done with an end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Progress<T> {
    Idle,
    /// A write or a read that has not been told yet what it moved, and what is left of it.
    Busy {
        moved: usize,
        left: T,
    },
    /// It was told that the other end is closed.
    Told,
}

impl<T> Side<T> {
    pub(crate) fn new(holder: usize) -> Option<Self> {
        Some(Self { holder, progress: Progress::Idle })
    }

    /// How many elements a write or a read in progress has moved.
    pub(crate) fn moved(&self) -> Option<usize> {
        match self.progress {
            Progress::Busy { moved, .. } => Some(moved),
            Progress::Idle | Progress::Told => None,
        }
    }

    /// A write or a read is over.
    pub(crate) fn end(&mut self, how: Ended) {
        self.progress = if how == Ended::Dropped { Progress::Told } else { Progress::Idle };
    }
}

impl Stream {
    /// Who has an end, and how many elements what it has in progress has moved.
    pub(crate) fn side(&self, end: End) -> Option<(usize, Option<usize>)> {
        match end {
            End::Writable => self.writer.as_ref().map(|side| (side.holder, side.moved())),
            End::Readable => self.reader.as_ref().map(|side| (side.holder, side.moved())),
        }
    }

    /// Whether both ends are this instance's: they can't meet.
    pub(crate) fn is_within(&self, instance: usize) -> bool {
        let is = |end| self.side(end).is_some_and(|(holder, _)| holder == instance);
        is(End::Writable) && is(End::Readable)
    }

    pub(crate) fn was_told(&self, end: End) -> bool {
        match end {
            End::Writable => self.writer.as_ref().is_some_and(|side| side.progress == Progress::Told),
            End::Readable => self.reader.as_ref().is_some_and(|side| side.progress == Progress::Told),
        }
    }

    /// Whether somebody can begin to write or to read at an end of theirs, or pass it on.
    pub(crate) fn is_ready(&self, by: usize, end: End) -> bool {
        self.side(end) == Some((by, None)) && !self.was_told(end) && !self.over
    }

    pub(crate) fn is_closed(&self, end: End) -> bool {
        self.side(end).is_none()
            && match end {
                End::Writable => self.host.is_none(),
                End::Readable => match self.sink {
                    None => true,
                    Some(Sink::Channel(_)) => false,
                    Some(Sink::Abandoned) => !self.future,
                },
            }
    }

    /// Whether who has moved so many elements is told that the other end is closed. The host tells it only to a write that
    /// has moved none.
    pub(crate) fn is_closed_to(&self, end: End, moved: usize) -> bool {
        self.is_closed(end.other()) && !(self.sink == Some(Sink::Abandoned) && moved > 0)
    }

    pub(crate) fn end(&mut self, end: End, how: Ended) {
        self.over |= self.future && end == End::Writable && how == Ended::Dropped;
        match end {
            End::Writable => self.writer.as_mut().map(|side| side.end(how)),
            End::Readable => self.reader.as_mut().map(|side| side.end(how)),
        };
    }

    /// The same where all that is named has gone.
    pub(crate) fn without_names(&self) -> Self {
        let mut other = self.clone();
        other.names().fill(None);
        other
    }

    /// The names of a write in progress.
    pub(crate) fn names(&mut self) -> &mut [Option<usize>] {
        match &mut self.writer {
            Some(Side { progress: Progress::Busy { left, .. }, .. }) => left,
            _ => &mut [],
        }
    }
}

impl End {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Writable => Self::Readable,
            Self::Readable => Self::Writable,
        }
    }
}
