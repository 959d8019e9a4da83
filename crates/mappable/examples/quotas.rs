//! What a store's components may hold, and what errors look like: to a guest, and to its embedder.
//!
//! Run it: `cargo run -p mappable --example quotas`

use mappable::{AllocateError, Handle, HandleError, Limits, MappableCtx, MappableView, Runtime};
use wasmtime::component::Linker;

/// The number of `region-over-quota` in the WIT enum `allocate-error`.
const REGION_OVER_QUOTA: u8 = 1;

struct State {
    mappable: MappableCtx,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

fn main() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let component = runtime.compile(include_bytes!("guests/hoard.wat"))?;
    let mut linker = Linker::new(runtime.engine());
    mappable::add_to_linker::<State>(&mut linker)?;
    let mut store = runtime.store(State { mappable: runtime.context() });

    // ANCHOR: limits
    // 16 regions of 64 KiB.
    store.data_mut().mappable.set_limits(Limits::default().region_bytes(1 << 20).regions(100));
    // ANCHOR_END: limits

    // A guest that meets a quota gets an error of the WIT package, which it can handle. Nothing traps.
    let instance = linker.instantiate(&mut store, &component)?;
    let hoard = instance.get_typed_func::<(), (u32,)>(&mut store, "hoard")?;
    let last_error = instance.get_typed_func::<(), (u8,)>(&mut store, "last-error")?;
    let (regions,) = hoard.call(&mut store, ())?;
    anyhow::ensure!(regions == 16, "{regions} regions fit the quota");
    anyhow::ensure!(last_error.call(&mut store, ())?.0 == REGION_OVER_QUOTA, "another error");
    anyhow::ensure!(store.data().mappable.held() == (16, 1 << 20), "the store counts otherwise");
    println!("a guest got {regions} regions, then region-over-quota");

    // ANCHOR: host_errors
    // The embedder's mistakes are errors of the call that makes them.
    match runtime.allocate(0) {
        Err(AllocateError::InvalidRegionSize(0)) => {}
        other => anyhow::bail!("expected an invalid size, got {other:?}"),
    }
    let made_up: Handle = Handle::new_own(4096);
    match store.data_mut().mappable.remove(made_up) {
        Err(HandleError::NotHeld(4096)) => {}
        other => anyhow::bail!("expected a handle that is not held, got {other:?}"),
    }
    // ANCHOR_END: host_errors

    // ANCHOR: trap
    // A guest's breach of the rules traps: the call is an error, and the store's components are done with.
    let blunder = instance.get_typed_func::<(), ()>(&mut store, "blunder")?;
    let error = blunder.call(&mut store, ()).expect_err("a handle that does not exist was dropped");
    println!("a trap: {error:#}");
    // ANCHOR_END: trap

    // The store frees all that its components held.
    drop(store);
    Ok(())
}
