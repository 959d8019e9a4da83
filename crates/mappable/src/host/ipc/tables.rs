//! Which blocks the two ends know: those whose descriptor this end has sent, and those whose descriptor it has received.
//!
//! A block is a file in memory with one region. Its descriptor goes over the socket once, with a number; later messages name it
//! by that number. So a block that comes back is mapped already. Both tables are bounded by the settings.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};

use super::connection::{Afterwards, Received};
use super::held::HeldHere;
use crate::region::{FileId, FrozenRegion, Mappable, SharedFile};

/// A block of this end's.
pub(super) struct Mine {
    pub(super) file: Weak<SharedFile>,
    pub(super) away: Away,
}

/// What of a block of this end's the other end has.
pub(super) enum Away {
    Nothing,
    /// The region, where the peer is trusted.
    Region {
        file: Arc<SharedFile>,
        len: u64,
        tag: u64,
        afterwards: Afterwards,
    },
    /// A file of which it makes a copy, and what is to come back if it is gone before it has.
    Given {
        back: Option<(Mappable, u64)>,
    },
    /// So many references.
    Frozen {
        bytes: FrozenRegion,
        references: u32,
    },
}

/// A block of the other end's.
pub(super) struct Theirs {
    pub(super) file: Arc<SharedFile>,
    pub(super) held: Arc<HeldHere>,
    /// Whether it may be a region here.
    pub(super) is_writable: bool,
}

/// By whose number a block is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Mine(u32),
    Theirs(u32),
}

#[derive(Default)]
pub(super) struct Tables {
    mine: Vec<Option<Mine>>,
    theirs: Vec<Option<Theirs>>,
    names: BTreeMap<FileId, Name>,
    /// Where the search for a free number begins.
    next: usize,
    /// What the application is still to be given.
    pub(super) waiting: VecDeque<Received>,
    /// Whether a thread receives: then no other does.
    pub(super) is_receiving: bool,
    /// How many threads wait for that one.
    pub(super) others: u32,
    /// Whether the other end has introduced itself.
    pub(super) was_greeted: bool,
    /// Whether nothing will be sent or received any more, and all that was away has been dealt with.
    pub(super) is_over: bool,
    /// Whether it is over because the other end was cut off, which may have what it was sent.
    pub(super) is_cut_off: bool,
}

impl Tables {
    pub(super) fn new(blocks: u32) -> Self {
        let (mut mine, mut theirs) = (vec![], vec![]);
        mine.resize_with(blocks as usize, || None);
        theirs.resize_with(blocks as usize, || None);
        Self { mine, theirs, ..Self::default() }
    }

    pub(super) fn name(&self, file: FileId) -> Option<Name> {
        self.names.get(&file).copied()
    }

    pub(super) fn mine(&mut self, block: u32) -> Option<&mut Mine> {
        self.mine.get_mut(block as usize)?.as_mut()
    }

    pub(super) fn theirs(&self, block: u32) -> Option<&Theirs> {
        self.theirs.get(block as usize)?.as_ref()
    }

    /// A number for a block of this end's of which the other end has no descriptor under it. The number of a block that was
    /// dropped is taken before that of one that is only not away. `None` if all are away.
    pub(super) fn number(&mut self) -> Option<u32> {
        let count = self.mine.len();
        let mut order = (0..count).map(|step| (self.next + step) % count);
        let is_free = |slot: &Option<Mine>| slot.as_ref().is_none_or(|mine| mine.is_here() && mine.is_dropped());
        let is_here = |slot: &Option<Mine>| slot.as_ref().is_none_or(Mine::is_here);
        let free = order.clone().find(|&at| is_free(&self.mine[at]));
        let at = free.or_else(|| order.find(|&at| is_here(&self.mine[at])))?;
        self.next = (at + 1) % count;
        self.forget(at as u32);
        Some(at as u32)
    }

    /// Notes what the other end has of a block under a new number.
    pub(super) fn set_mine(&mut self, block: u32, file: Option<&Arc<SharedFile>>, away: Away) {
        if let Some(file) = file {
            self.names.insert(file.id(), Name::Mine(block));
        }
        let file = file.map_or_else(Weak::new, Arc::downgrade);
        self.mine[block as usize] = Some(Mine { file, away });
    }

    /// Forgets a block of this end's.
    pub(super) fn forget(&mut self, block: u32) {
        self.mine[block as usize] = None;
        self.names.retain(|_, name| *name != Name::Mine(block));
    }

    /// Whether the other end may introduce a block by that number: nothing of the one before is held.
    pub(super) fn may_introduce(&self, block: u32) -> bool {
        let slot = self.theirs.get(block as usize);
        slot.is_some_and(|slot| slot.as_ref().is_none_or(|theirs| theirs.held.is_nothing()))
    }

    /// Notes a block of the other end's, in place of the one that had its number.
    pub(super) fn set_theirs(&mut self, block: u32, theirs: Theirs) {
        self.names.retain(|_, name| *name != Name::Theirs(block));
        self.names.insert(theirs.file.id(), Name::Theirs(block));
        self.theirs[block as usize] = Some(theirs);
    }

    /// Forgets a block of the other end's, of which nothing is held by its number any more.
    pub(super) fn forget_theirs(&mut self, block: u32) {
        self.theirs[block as usize] = None;
        self.names.retain(|_, name| *name != Name::Theirs(block));
    }

    /// Ends it: nothing more will come. Returns what was away.
    pub(super) fn end(&mut self) -> Vec<Away> {
        self.is_over = true;
        let slots = self.mine.iter_mut().flatten();
        slots.map(|mine| std::mem::replace(&mut mine.away, Away::Nothing)).collect()
    }

    /// Gives up what is away, of which nothing more is heard: it stays as it is for whoever has it, and doesn't come back.
    pub(super) fn give_up(&mut self) {
        for away in self.end() {
            if let Away::Frozen { bytes, .. } = away {
                bytes.note_read_elsewhere();
            }
        }
    }

    /// How many blocks of this end's the other end has.
    pub(super) fn away(&self) -> usize {
        self.mine.iter().flatten().filter(|mine| !mine.is_here()).count()
    }
}

impl Mine {
    fn is_here(&self) -> bool {
        matches!(self.away, Away::Nothing)
    }

    fn is_dropped(&self) -> bool {
        self.file.strong_count() == 0
    }
}
