//! Which call fails, what may be refused because of it, and what may trap.

use std::cell::{Cell, RefCell};

use mappable::TrapReason;
use mappable::injection::{self, Call};

use crate::exhausted::Hoard;
use crate::support::{MapError, Setup};

/// Which call fails, and what came of it.
pub(crate) struct Faults {
    pub(crate) call: Call,
    failed: Cell<bool>,
    /// How many steps were refused.
    pub(crate) refused: Cell<usize>,
    /// What keeps the kernel itself from answering calls.
    pub(crate) hoard: RefCell<Option<Hoard>>,
}

impl Faults {
    /// Has one call fail after so many of its kind, or all from there on.
    pub(crate) fn new(call: Call, succeed: u64, goes_on: bool) -> Self {
        if goes_on {
            injection::fail_from(call, succeed)
        } else {
            injection::fail(call, succeed)
        }
        Self { call, failed: Cell::new(false), refused: Cell::new(0), hoard: RefCell::default() }
    }

    /// Lets all calls through. Answers whether any has failed.
    pub(crate) fn stop(&self) -> bool {
        self.hoard.take();
        self.failed.set(injection::stop() | self.failed.get());
        self.failed.get()
    }

    pub(crate) fn refuse(&self, what: &str, why: &Refusal) {
        assert!(
            injection::stop() | self.hoard.take().is_some(),
            "{what} was refused ({why:?}), though no call had failed since the last time"
        );
        self.failed.set(true);
        self.refused.set(self.refused.get() + 1);
    }
}

/// Why a step was refused. All of them say that something has run out.
#[derive(Debug)]
pub(crate) enum Refusal {
    Map(MapError),
    Guest(crate::support::AllocateError),
    Grow,
    Allocate(mappable::AllocateError),
    Host(std::io::ErrorKind),
    Handle(mappable::HandleError),
    Instantiate(String),
}

impl Refusal {
    pub(crate) fn is_exhaustion(&self) -> bool {
        match self {
            Self::Map(error) => *error == MapError::Exhausted,
            Self::Guest(error) => *error == crate::support::AllocateError::Exhausted,
            Self::Allocate(error) => matches!(error, mappable::AllocateError::RegionsExhausted(_)),
            Self::Host(kind) => *kind == std::io::ErrorKind::OutOfMemory,
            Self::Handle(error) => matches!(error, mappable::HandleError::NotShown(std::io::ErrorKind::OutOfMemory)),
            Self::Instantiate(text) => {
                text.contains("no address space or mapping for another linear memory")
                    || text.contains("no memory for the store's ledger")
            }
            Self::Grow => true,
        }
    }
}

/// A trap that a failed call may end in.
pub(crate) fn check_trap(setup: Setup, faults: &Faults, goes_on: bool, trap: &wasmtime::Error) {
    let reason = trap.downcast_ref::<TrapReason>();
    match faults.call {
        Call::Read | Call::Write => assert!(matches!(reason, Some(TrapReason::Unreadable(_))), "{setup:?}: {trap:?}"),
        _ => assert!(goes_on && matches!(reason, Some(TrapReason::Broken(_))), "{setup:?}: {trap:?}"),
    }
}
