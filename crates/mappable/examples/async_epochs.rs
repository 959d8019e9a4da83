//! Requests on one thread, each with an async store that yields when its slice of time is over. A region may be mapped
//! while its store waits for its next turn.
//!
//! Run it: `cargo run -p mappable --example async_epochs`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use mappable::{Handle, Mappable, MappableCtx, MappableView, Runtime};
use wasmtime::component::{InstancePre, Linker};
use wasmtime::{Config, UpdateDeadline};

const REQUESTS: usize = 3;

struct State {
    mappable: MappableCtx,
    /// How often this store has given others a turn.
    yields: u32,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

// ANCHOR: request
/// Inverts a region an even number of times, until its store has had to wait for others.
async fn request(runtime: Runtime, guest: InstancePre<State>, region: Mappable) -> anyhow::Result<Mappable> {
    let mut store = runtime.store(State { mappable: runtime.context(), yields: 0 });
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| {
        store.data_mut().yields += 1;
        Ok(UpdateDeadline::Yield(1))
    });

    let instance = guest.instantiate_async(&mut store).await?;
    let invert = instance.get_typed_func::<(Handle,), (Handle,)>(&mut store, "invert")?;
    let mut handle = store.data_mut().mappable.insert(region)?;
    while store.data().yields == 0 {
        (handle,) = invert.call_async(&mut store, (handle,)).await?;
        (handle,) = invert.call_async(&mut store, (handle,)).await?;
    }
    Ok(store.data_mut().mappable.remove(handle)?)
}
// ANCHOR_END: request

fn main() -> anyhow::Result<()> {
    // ANCHOR: config
    let mut config = Config::new();
    config.epoch_interruption(true);
    let runtime = Runtime::builder().config(config).build()?;
    // ANCHOR_END: config
    let component = runtime.compile(include_bytes!("guests/invert.wat"))?;
    let mut linker = Linker::new(runtime.engine());
    mappable::add_to_linker::<State>(&mut linker)?;
    let guest = linker.instantiate_pre(&component)?;

    // The clock: a thread that moves the epoch on while there are requests.
    let running = Arc::new(AtomicBool::new(true));
    let clock = thread::spawn({
        let (engine, running) = (runtime.engine().clone(), running.clone());
        move || {
            while running.load(Ordering::Relaxed) {
                engine.increment_epoch();
                thread::sleep(Duration::from_micros(100));
            }
        }
    });

    let done: anyhow::Result<Vec<Mappable>> = tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
        let mut requests = Vec::new();
        for number in 0..REQUESTS {
            let region = runtime.allocate_from(format!("request {number}").as_bytes())?;
            requests.push(tokio::spawn(request(runtime.clone(), guest.clone(), region)));
        }
        let mut done = Vec::new();
        for request in requests {
            done.push(request.await??);
        }
        Ok(done)
    });
    running.store(false, Ordering::Relaxed);
    clock.join().expect("the clock panicked");

    for (number, region) in done?.iter().enumerate() {
        anyhow::ensure!(
            region.bytes()?.starts_with(format!("request {number}").as_bytes()),
            "request {number} is wrong"
        );
    }
    println!("{REQUESTS} requests took turns on one thread");
    Ok(())
}
