//! Work on more than one core: a region in parts, each owned by one worker; frozen bytes that all workers read; and a pipeline of
//! stages on threads. The guests know nothing of it.
//!
//! Run it: `cargo run -p mappable --example cores`

use std::ops::ControlFlow;

use mappable::workers::{Parts, PartsError, Pipeline, Workers};
use mappable::{FrozenHandle, GRANULE, Handle, Mappable, MappableCtx, MappableView, Runtime};
use wasmtime::Store;
use wasmtime::component::{InstancePre, Linker, TypedFunc};

const GRANULES: u64 = 16;

struct State {
    mappable: MappableCtx,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

// ANCHOR: worker
/// A worker: a store, and the functions of the instances in it.
struct Worker {
    store: Store<State>,
    invert: TypedFunc<(Handle,), (Handle,)>,
    total: TypedFunc<(FrozenHandle,), (u64,)>,
}

impl Worker {
    fn new(runtime: &Runtime, guests: &[InstancePre<State>; 2]) -> wasmtime::Result<Self> {
        let mut store = runtime.store(State { mappable: runtime.context() });
        let [invert, total] = guests;
        let invert = invert.instantiate(&mut store)?.get_typed_func(&mut store, "invert")?;
        let total = total.instantiate(&mut store)?.get_typed_func(&mut store, "total")?;
        Ok(Self { store, invert, total })
    }

    /// Has the guest invert a region of one granule.
    fn invert(&mut self, region: Mappable) -> wasmtime::Result<Mappable> {
        let handle = self.store.data_mut().mappable.insert(region)?;
        let (handle,) = self.invert.call(&mut self.store, (handle,))?;
        Ok(self.store.data_mut().mappable.remove(handle)?)
    }
}
// ANCHOR_END: worker

fn main() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let mut linker = Linker::new(runtime.engine());
    mappable::add_to_linker::<State>(&mut linker)?;
    let compile = |text: &[u8]| anyhow::Ok(linker.instantiate_pre(&runtime.compile(text)?)?);
    let guests = [compile(include_bytes!("guests/invert.wat"))?, compile(include_bytes!("guests/total.wat"))?];

    // ANCHOR: parts
    // 0 makes one worker for each core.
    let mut workers = Workers::new(0, {
        let (runtime, guests) = (runtime.clone(), guests.clone());
        move || Worker::new(&runtime, &guests)
    })?;

    // The guest inverts a granule a call, so the parts are granules.
    let parts = Parts::of_rows(GRANULE).at_most(GRANULES as usize);
    let region = runtime.allocate(GRANULES * GRANULE)?;
    let (region, _) = workers.map_parts(region, &parts, |worker, part| Ok((worker.invert(part.region)?, ())))?;
    anyhow::ensure!(region.bytes()?.iter().all(|&byte| byte == 0xff), "a byte was not inverted");
    // ANCHOR_END: parts

    // ANCHOR: slices
    let frozen = region.freeze()?;
    let totals = workers.map_slices(&frozen, &parts, 0, |worker, slice| {
        let handle = worker.store.data_mut().mappable.insert_frozen(slice.frozen)?;
        Ok(worker.total.call(&mut worker.store, (handle,))?.0)
    })?;
    let total = totals.into_iter().fold(0, u64::wrapping_add);
    // ANCHOR_END: slices
    anyhow::ensure!(total == 0_u64.wrapping_sub(GRANULES * GRANULE / 8), "a worker read other bytes");

    // ANCHOR: failure
    let region = frozen.thaw()?;
    let failed = workers.map_parts(region, &parts, |worker, part| match part.rows.start {
        // Any error of the guest's is as good: a trap, say.
        3 => Err(wasmtime::Error::msg("part 3 is not worked on")),
        _ => Ok((worker.invert(part.region)?, ())),
    });
    let failed = failed.expect_err("part 3 fails");
    anyhow::ensure!(
        matches!(failed.reason, PartsError::Map(_)) && failed.lost.first() == Some(&(3 * GRANULE..4 * GRANULE))
    );
    // What is left, joined but for the hole.
    let left: u64 = failed.pieces.iter().map(|(_, piece)| piece.size()).sum();
    anyhow::ensure!(left == (GRANULES - 1) * GRANULE);
    // ANCHOR_END: failure

    // ANCHOR: pipeline
    let mut pipeline = Pipeline::new();
    for _ in 0..3 {
        let (runtime, guests) = (runtime.clone(), guests.clone());
        let make = move || Worker::new(&runtime, &guests);
        pipeline = pipeline.stage(make, |worker, region| worker.invert(region));
    }
    // Five regions go around.
    let ring = (0..5).map(|_| runtime.allocate(GRANULE)).collect::<Result<_, _>>()?;
    let mut numbers = 0..100;
    let source = |mut region: Mappable| {
        let Some(number) = numbers.next() else { return Ok(ControlFlow::Break(region)) };
        region.bytes_mut()?.fill(number);
        Ok(ControlFlow::Continue(region))
    };
    let mut seen = vec![];
    let sink = |region: Mappable| {
        seen.push(!region.bytes()?[0]);
        Ok(region)
    };
    pipeline.run(ring, source, sink)?;
    anyhow::ensure!(seen.into_iter().eq(0..100), "a region came out of turn");
    // ANCHOR_END: pipeline

    println!("{GRANULES} granules inverted by {} workers, and 100 by 3 stages", workers.count());
    Ok(())
}
