//! The limit on a store's linear memories, and the errors in which a guest ends that went for more.

use indicatif::HumanBytes;
use wasmtime::{ResourceLimiter, Trap};
use wasmtime_wasi::I32Exit;

use crate::failure::{Exit, fail, trap_reason};

/// Bounds a store's linear memories, and remembers when a guest went for more: what it does then is up to it, but its
/// end is best told so.
#[derive(Debug)]
pub(crate) struct Limiter {
    limit_bytes: u64,
    /// What its memories have together.
    granted_bytes: u64,
    /// The most asked for and not given.
    refused_bytes: Option<u64>,
}

impl Limiter {
    pub(crate) fn new(limit_bytes: u64) -> Self {
        Self { limit_bytes, granted_bytes: 0, refused_bytes: None }
    }

    /// What the guest wanted and did not get, if it went for more than it may have.
    pub(crate) fn shortage(&self) -> Option<String> {
        let (asked, limit) = (HumanBytes(self.refused_bytes?), HumanBytes(self.limit_bytes));
        Some(format!("ran out of memory: it wanted {asked}, and may have {limit}"))
    }

    /// Why a call into the guest ended.
    pub(crate) fn explain(&self, error: &wasmtime::Error) -> anyhow::Error {
        self.told(Exit::Trap, &trap_reason(error))
    }

    /// The guest returned an error, in these words.
    pub(crate) fn explain_answer(&self, text: &str) -> anyhow::Error {
        self.told(Exit::Work, text)
    }

    fn told(&self, exit: Exit, text: &str) -> anyhow::Error {
        match self.shortage() {
            Some(shortage) => fail(Exit::Trap, format!("{shortage} ({text})")),
            None => fail(exit, text),
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.granted_bytes.saturating_add(desired.saturating_sub(current) as u64);
        if wanted > self.limit_bytes || maximum.is_some_and(|maximum| desired > maximum) {
            self.refused_bytes = self.refused_bytes.max(Some(wanted));
            return Ok(false);
        }
        self.granted_bytes = wanted;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused_bytes = self.refused_bytes.max(Some(self.limit_bytes));
        Ok(())
    }

    fn table_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        const MOST: usize = 10_000_000;
        Ok(desired <= MOST && maximum.is_none_or(|maximum| desired <= maximum))
    }
}

impl Limiter {
    /// Why a component did not even begin, with its memories as large as it wants them at first.
    pub(crate) fn not_begun(&self, error: &wasmtime::Error) -> anyhow::Error {
        match self.shortage() {
            Some(shortage) => fail(Exit::Trap, format!("{shortage} (--max-memory)")),
            None => not_begun(error),
        }
    }
}

/// Why a component did not even begin.
pub(crate) fn not_begun(error: &wasmtime::Error) -> anyhow::Error {
    if error.is::<Trap>() || error.is::<I32Exit>() {
        return fail(Exit::Trap, trap_reason(error));
    }
    fail(Exit::Load, format!("not a stage: {error:#}"))
}
