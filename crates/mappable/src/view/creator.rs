//! Gives the engine its memories, and finds them again by address.
//!
//! # Safety
//!
//! `MemoryCreator` asks for zeroed memory with the reservation and guard that it names. A [`Heap`]'s extent is fresh,
//! so it reads as zero, or has been made to ([`Idle`]), and its span is at least what was asked for; a block reads as
//! zero, and is made only where nothing was asked for.

#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

use super::idle::{Idle, IdleMemory};
use super::view::Heap;
use super::{Allowance, Memory, MemoryShape, strategy_for};
use crate::GRANULE;
use crate::ledger::IdleLedgers;
#[cfg(test)]
use crate::region::GUARD;
use crate::region::{Backing, SPAN};
use crate::sys::address_space_limit;

/// What a 64-bit memory of no declared maximum can grow to, in bytes.
const SPAN_64: u64 = 64 << 30;

/// The memories of a runtime, and how many views they may have.
#[derive(Debug)]
pub(crate) struct Memories {
    /// By [`Memory::key`].
    by_key: Mutex<BTreeMap<usize, Weak<Memory>>>,
    pub(super) views: Arc<Allowance>,
    /// Those that nobody uses any more.
    idle: Arc<Idle>,
    pub(crate) idle_ledgers: Arc<IdleLedgers>,
}

impl Memories {
    pub(crate) fn new(max_views: usize, max_idle: usize) -> Arc<Self> {
        let (views, idle, idle_ledgers) = (Allowance::new(max_views), Idle::new(max_idle), IdleLedgers::new(max_idle));
        Arc::new(Self { by_key: Mutex::default(), views, idle, idle_ledgers })
    }

    /// The memory that has `address` in its first view, or its block. Until a context adopts it, that is the current one.
    pub(crate) fn find(&self, address: usize) -> Option<Arc<Memory>> {
        let by_key = self.lock();
        let (&key, memory) = by_key.range(..=address).next_back()?;
        let memory = memory.upgrade()?;
        // An empty list in an empty memory is in it, too.
        (address - key < memory.size().max(1)).then_some(memory)
    }

    /// Notes that a memory that had `key` may have another one.
    pub(super) fn rekey(&self, key: usize, memory: &Arc<Memory>) {
        if memory.key() != key {
            let mut by_key = self.lock();
            by_key.remove(&key);
            by_key.insert(memory.key(), Arc::downgrade(memory));
        }
    }

    /// Forgets a memory that the engine gives up.
    pub(super) fn remove(&self, memory: &Memory) {
        self.lock().remove(&memory.key());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Weak<Memory>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
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
        let memory = if self.backing.is_in_file() {
            self.in_pages(capacity, &shape, &sizes)?
        } else if sizes.reservation == 0 && sizes.guard == 0 {
            let size = usize::try_from(sizes.minimum).map_err(|error| error.to_string())?;
            // Other threads use the base of a shared memory while it grows, so it has its room from the beginning.
            let most = if shape.is_shared { sizes.maximum.unwrap_or(capacity).min(capacity) } else { 0 };
            let room = usize::try_from(most).unwrap_or(size);
            Memory::in_block(strategy_for(&shape), size, room)
                .map_err(|_| "there is no room for another linear memory")?
        } else {
            return Err("a linear memory with a guard can't be made here".to_owned());
        };
        let memory = Arc::new(memory);
        self.memories.lock().insert(memory.key(), Arc::downgrade(&memory));
        Ok(Linear { memory, memories: Arc::clone(&self.memories) })
    }

    /// A memory without an engine, which nothing gives up.
    #[cfg(test)]
    pub(super) fn create_for_tests(&self, ty: &MemoryType) -> Arc<Memory> {
        let minimum = ty.minimum() * GRANULE;
        let guard = if self.backing.is_in_file() { GUARD } else { 0 };
        let sizes = Sizes { minimum, maximum: None, reservation: 0, guard };
        Arc::clone(&self.create(ty, sizes).unwrap().memory)
    }

    fn in_pages(&self, capacity: u64, shape: &MemoryShape, sizes: &Sizes) -> Result<Memory, String> {
        let capacity = capacity.next_multiple_of(GRANULE).max(GRANULE);
        let span = capacity.max(sizes.reservation).checked_add(sizes.guard).ok_or("the guard is too large")?;
        let span = usize::try_from(span).map_err(|error| error.to_string())?;
        let (size, idle) = (sizes.minimum as usize, &self.memories.idle);
        let bare = match idle.take(capacity, span, size) {
            Some(bare) => bare,
            None => {
                let extent = self.backing.take(capacity).ok_or("there is no room for another linear memory")?;
                IdleMemory::new(Heap::new(extent, span), size).map_err(|error| no_space(span, &error))?
            }
        };
        Ok(Memory::in_pages(bare, idle, strategy_for(shape), size))
    }
}

/// Why there is no memory of so many addresses.
fn no_space(span: usize, error: &io::Error) -> String {
    let limit = address_space_limit().map_or_else(String::new, |limit| {
        format!("; the process may have {limit} bytes of address space (ulimit -v), and each memory takes {span}")
    });
    format!("no address space or mapping for another linear memory: {error}{limit}")
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

/// A [`Memory`] in the engine's hands.
struct Linear {
    memory: Arc<Memory>,
    memories: Arc<Memories>,
}

// SAFETY: as the module of `Memory` says. The base that `as_ptr` returns is that of the current view, which is kept, shows the
// heap as far as `byte_size`, and has nothing accessible from there to the end of reservation and guard; or that of the
// block, which has at least `byte_size` bytes.
unsafe impl LinearMemory for Linear {
    fn byte_size(&self) -> usize {
        self.memory.shown_size()
    }

    fn byte_capacity(&self) -> usize {
        self.memory.capacity()
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        let key = self.memory.key();
        let left = self.memory.grow_to(new_size)?;
        // Before its addresses can be another memory's.
        self.memories.rekey(key, &self.memory);
        drop(left);
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.memory.shown()
    }
}

impl Drop for Linear {
    fn drop(&mut self) {
        self.memories.remove(&self.memory);
    }
}
