//! What of the other end's blocks is held here, and what hears that it is held no more.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::link::Link;
use super::message::{Message, kind};
use super::tables::Tables;
use crate::region::Keeper;

/// What of a block is held here: a region, or so many references.
#[derive(Debug, Default)]
pub(super) struct HeldHere(AtomicU32);

impl HeldHere {
    /// The region, which its sender wants back.
    const LENT: u32 = u32::MAX;
    /// The region, which may be kept.
    const GIVEN: u32 = u32::MAX - 1;

    /// Notes that the region is held, and whether it may be kept. `false` if anything is.
    pub(super) fn take_region(&self, may_keep: bool) -> bool {
        let held = if may_keep { Self::GIVEN } else { Self::LENT };
        self.0.compare_exchange(0, held, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Notes one reference more. `false` if the region is held, or there are too many.
    pub(super) fn take_frozen(&self) -> bool {
        let more = |held: u32| held.checked_add(1).filter(|held| *held < Self::GIVEN);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }

    /// Notes that the region, or one reference, is held no more.
    pub(super) fn let_go(&self) {
        let fewer = |held: u32| Some(if held >= Self::GIVEN { 0 } else { held.saturating_sub(1) });
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, fewer);
    }

    /// Whether the region is held, and may be kept.
    pub(super) fn may_keep(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::GIVEN
    }

    /// Whether references are held.
    pub(super) fn is_frozen(&self) -> bool {
        (1..Self::GIVEN).contains(&self.0.load(Ordering::Acquire))
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

/// A block of the other end's, for what is held of it. Hears of that on any thread, and tells the other end.
pub(super) struct Block {
    pub(super) link: Arc<Link>,
    pub(super) held: Arc<HeldHere>,
    pub(super) number: u32,
    pub(super) tables: Weak<Mutex<Tables>>,
}

impl Keeper for Block {
    fn done(&self) {
        self.held.let_go();
        self.link.done(self.number);
    }

    fn may_leave(&self) -> bool {
        self.held.may_keep()
    }

    /// The other end forgets the block before anybody else has its file: what it is told comes to it before the end of the socket.
    fn leave(&self) -> bool {
        let tables = self.tables.upgrade();
        // Until then the number is in use.
        let mut tables = tables.as_ref().map(|tables| tables.lock().unwrap_or_else(PoisonError::into_inner));
        if !self.held.may_keep() {
            return false;
        }
        let message = Message { kind: kind::KEPT, block: self.number, ..Message::default() };
        if !self.link.tell(message) {
            return false;
        }
        if let Some(tables) = &mut tables {
            tables.forget_theirs(self.number);
        }
        true
    }
}
