//! Workers: threads that each have a store and a guest, and are handed regions and parts of them. Each worker's store has a
//! canary, which is looked at when the worker goes.
//!
//! Workers pass regions to guests from outside, so most rules here are for open setups: into a closed composition the host can give none.
//! What goes on inside such a one is in `closed`.

mod cancelling;
mod closed;
mod items;
mod parts;
mod pipelines;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mappable::Mappable;
use mappable::workers::Workers;

use super::support;
use super::support::{G, Guest, Setup, World};

/// A store with a guest in it.
struct Worker {
    world: World,
    guest: Guest,
}

impl Worker {
    fn new(setup: Setup) -> Self {
        let (world, guest) = World::with_guest(setup);
        Self { world, guest }
    }

    /// Hands a region to the guest, has `work` do what it does while it is mapped at `4 * G`, and takes it back. A trap
    /// is an error.
    fn with_mapped(
        &mut self,
        region: Mappable,
        work: impl FnOnce(&mut World, &Guest) -> wasmtime::Result<()>,
    ) -> wasmtime::Result<Mappable> {
        let Self { world, guest } = self;
        let size = u32::try_from(region.size())?;
        let handle = world.store.data_mut().mappable.insert(region)?;
        let handle = guest.take(world, handle)?;
        let mapping = guest.map(world, handle, 4 * G, size).unwrap();
        work(world, guest)?;
        let handle = guest.unmap(world, mapping, 4 * G, size).unwrap();
        let handle = guest.give(world, handle)?;
        Ok(world.store.data_mut().mappable.remove(handle)?)
    }
}

/// So many workers with guests, and how many were made.
fn workers(setup: Setup, count: usize) -> (Workers<Worker>, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let make = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(Worker::new(setup))
    };
    (Workers::new(count, make).unwrap(), made)
}

/// Has the guest trap.
fn trap(world: &mut World, guest: &Guest) -> wasmtime::Result<()> {
    guest.run(world, "fill", (u32::MAX, 1u32, 1u32))
}
