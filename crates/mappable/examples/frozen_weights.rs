//! One frozen region, the weights of a model, read by many instances on many threads. All map the same memory.
//!
//! Run it: `cargo run -p mappable --example frozen_weights`

use std::thread;

use mappable::{FrozenHandle, MappableCtx, MappableView, Runtime};
use wasmtime::component::{InstancePre, Linker};

const THREADS: u64 = 4;
const STORES_PER_THREAD: u64 = 25;

struct State {
    mappable: MappableCtx,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

// ANCHOR: one
/// Passes the weights to an instance in a store of its own, and returns what it makes of them.
fn ask_one(runtime: &Runtime, guest: &InstancePre<State>, weights: mappable::Frozen) -> anyhow::Result<u64> {
    let mut store = runtime.store(State { mappable: runtime.context() });
    let instance = guest.instantiate(&mut store)?;
    let total = instance.get_typed_func::<(FrozenHandle,), (u64,)>(&mut store, "total")?;
    let handle = store.data_mut().mappable.insert_frozen(weights)?;
    Ok(total.call(&mut store, (handle,))?.0)
}
// ANCHOR_END: one

fn main() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let component = runtime.compile(include_bytes!("guests/total.wat"))?;
    let mut linker = Linker::new(runtime.engine());
    mappable::add_to_linker::<State>(&mut linker)?;
    let guest = linker.instantiate_pre(&component)?;

    // ANCHOR: share
    // From a file it would be `Frozen::from_file`.
    let weights: Vec<u8> = (0..8192_u64).flat_map(u64::to_le_bytes).collect();
    let weights = runtime.allocate_from(&weights)?.freeze()?;

    // A clone is a reference: it copies no byte and can go to any thread and any store of the runtime.
    let ask =
        || (0..STORES_PER_THREAD).map(|_| ask_one(&runtime, &guest, weights.clone())).sum::<anyhow::Result<u64>>();
    let asked = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|it| it.join().expect("a thread panicked")).sum::<anyhow::Result<u64>>()
    })?;
    // ANCHOR_END: share

    let one: u64 = (0..8192).sum();
    anyhow::ensure!(asked == one * THREADS * STORES_PER_THREAD, "an instance read other weights");

    // The stores are gone, and their references with them. The last reference makes the bytes a region again.
    let mut weights = weights.thaw()?;
    weights.bytes_mut()?[0] = 1;
    println!("{} instances on {THREADS} threads read {} bytes in place", THREADS * STORES_PER_THREAD, weights.size());
    Ok(())
}
