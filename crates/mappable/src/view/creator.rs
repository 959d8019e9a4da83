//! Gives the engine its memories, and finds them again by address.
//!
//! # Safety
//!
//! `MemoryCreator` asks for zeroed memory with the reservation and guard that it names. A [`Heap`]'s extent is fresh,
//! so it reads as zero, and its span is at least what was asked for.

#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

use super::memory::{Heap, Linear};
use super::{Memory, MemoryShape, SPAN, strategy_for};
use crate::GRANULE;
use crate::region::Backing;

/// What a 64-bit memory of no declared maximum can grow to, in bytes.
const SPAN_64: u64 = 64 << 30;

/// The memories of a runtime, and how many views they may have.
#[derive(Debug)]
pub(crate) struct Memories {
    /// By the base of their first view, which no other memory ever has: it is unmapped with the memory.
    by_base: Mutex<BTreeMap<usize, Weak<Memory>>>,
    views: AtomicUsize,
    max_views: usize,
}

impl Memories {
    pub(crate) fn new(max_views: usize) -> Arc<Self> {
        Arc::new(Self { by_base: Mutex::default(), views: AtomicUsize::new(0), max_views })
    }

    /// The memory that has `address` in its first view. Until a context adopts it, that is the current one.
    pub(crate) fn find(&self, address: usize) -> Option<Arc<Memory>> {
        let by_base = self.lock();
        let (&base, memory) = by_base.range(..=address).next_back()?;
        let memory = memory.upgrade()?;
        (address - base < memory.size()).then_some(memory)
    }

    /// Leave to have one more view, of so many mounts, given back on drop. `None` when there is not that much left.
    ///
    /// A mount takes two of the process's mappings, so every two count as a view.
    pub(crate) fn permit(self: &Arc<Self>, mounts: usize) -> Option<Permit> {
        let views = mounts.div_ceil(2).max(1);
        let more = |live: usize| live.checked_add(views).filter(|&live| live <= self.max_views);
        self.views.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Permit { memories: Arc::clone(self), views })
    }

    /// Forgets a memory that the engine gives up.
    pub(super) fn remove(&self, memory: &Memory) {
        self.lock().remove(&memory.first_base());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Weak<Memory>>> {
        self.by_base.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One view's share of a runtime's limit on views.
#[derive(Debug)]
pub(crate) struct Permit {
    memories: Arc<Memories>,
    views: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.memories.views.fetch_sub(self.views, Ordering::Relaxed);
    }
}

/// Makes every linear memory of an engine.
pub(crate) struct Creator {
    pub(crate) backing: Arc<Backing>,
    pub(crate) memories: Arc<Memories>,
}

impl Creator {
    fn create(&self, ty: &MemoryType, sizes: Sizes) -> Result<Linear, String> {
        let shape = MemoryShape::from(ty);
        let capacity = if shape.is_64 { sizes.maximum.unwrap_or(SPAN_64).min(SPAN_64) } else { SPAN };
        if sizes.minimum > capacity {
            return Err(format!("a linear memory may have {capacity} bytes here, and this one begins with more"));
        }
        let capacity = capacity.next_multiple_of(GRANULE).max(GRANULE);
        let extent = self.backing.take(capacity).ok_or("there is no room for another linear memory")?;
        let span = capacity.max(sizes.reservation).checked_add(sizes.guard).ok_or("the guard is too large")?;
        let heap = Heap { extent, span: usize::try_from(span).map_err(|error| error.to_string())? };
        let memory = Memory::new(heap, strategy_for(&shape), sizes.minimum as usize)
            .map_err(|error| format!("no address space or mapping for another linear memory: {error}"))?;
        let memory = Arc::new(memory);
        self.memories.lock().insert(memory.first_base(), Arc::downgrade(&memory));
        Ok(Linear { memory, memories: Arc::clone(&self.memories) })
    }
}

/// What the engine asks of a memory, in bytes.
struct Sizes {
    minimum: u64,
    maximum: Option<u64>,
    reservation: u64,
    guard: u64,
}

// SAFETY: as the module says. The span is the larger of what the memory can have and what was to be reserved, and the
// guard.
unsafe impl MemoryCreator for Creator {
    fn new_memory(
        &self,
        ty: MemoryType,
        minimum: usize,
        maximum: Option<usize>,
        reserved_size_in_bytes: Option<usize>,
        guard_size_in_bytes: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let sizes = Sizes {
            minimum: minimum as u64,
            maximum: maximum.map(|maximum| maximum as u64),
            reservation: reserved_size_in_bytes.unwrap_or(0) as u64,
            guard: guard_size_in_bytes as u64,
        };
        Ok(Box::new(self.create(&ty, sizes)?))
    }
}
