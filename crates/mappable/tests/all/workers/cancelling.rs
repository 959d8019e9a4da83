//! Work that is cancelled, and guests that are interrupted; stores whose guests are called asynchronously.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mappable::workers::{Cancel, MapError, Parts, PartsError, Workers};
use mappable::{GRANULE, Handle, Mappable, MappableCtx, MappableView, Runtime};
use wasmtime::component::{InstancePre, Linker, TypedFunc};
use wasmtime::{Config, Store, UpdateDeadline};

use super::support::{Setup, on_every_open_setup};
use super::workers;

on_every_open_setup! {
    fn what_is_cancelled_is_not_begun(setup) {
        let (mut workers, made) = workers(setup, 1);
        let cancel = Cancel::new();
        workers.set_cancel(&cancel);
        let region = setup.fixture().runtime.allocate(8 * GRANULE).unwrap();
        let failed = workers
            .map_parts(region, &Parts::of_rows(GRANULE).at_most(4), |worker, part| {
                if part.rows.start == 2 {
                    cancel.cancel();
                }
                Ok((worker.with_mapped(part.region, |_, _| Ok(()))?, ()))
            })
            .unwrap_err();
        assert!(matches!(failed.reason, PartsError::Map(MapError::Cancelled)), "{failed:?}");
        // What the worker had is finished, and all of it is there.
        assert_eq!((failed.done, failed.lost), (vec![0..2, 2..4], vec![]));
        let [(0, region)] = &failed.pieces[..] else { panic!("{:?}", failed.pieces) };
        assert_eq!(region.size(), 8 * GRANULE);
        // Once cancelled is always cancelled, until there is another token.
        let failed = workers.map(vec![1, 2], |_, _, item| Ok(item)).unwrap_err();
        assert!(matches!(failed.reason, MapError::Cancelled) && failed.left == [(0, 1), (1, 2)]);
        workers.set_cancel(&Cancel::new());
        assert_eq!(workers.map(vec![1, 2], |_, _, item| Ok(item)).unwrap(), [1, 2]);
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }
}

struct State {
    mappable: MappableCtx,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

/// A store with `invert`, which is called asynchronously.
struct Inverter {
    store: Store<State>,
    invert: TypedFunc<(Handle,), (Handle,)>,
}

impl Inverter {
    async fn new(runtime: &Runtime, guest: &InstancePre<State>, cancel: &Cancel) -> wasmtime::Result<Self> {
        let mut store = runtime.store(State { mappable: runtime.context() });
        store.set_epoch_deadline(1);
        let cancel = cancel.clone();
        store.epoch_deadline_callback(move |_| match cancel.is_cancelled() {
            true => Err(wasmtime::Error::msg("interrupted")),
            false => Ok(UpdateDeadline::Yield(1)),
        });
        let instance = guest.instantiate_async(&mut store).await?;
        let invert = instance.get_typed_func::<(Handle,), (Handle,)>(&mut store, "invert")?;
        Ok(Self { store, invert })
    }

    /// Inverts a region so often.
    async fn call(&mut self, region: Mappable, times: u32) -> wasmtime::Result<Mappable> {
        let mut handle = self.store.data_mut().mappable.insert(region)?;
        for _ in 0..times {
            (handle,) = self.invert.call_async(&mut self.store, (handle,)).await?;
        }
        Ok(self.store.data_mut().mappable.remove(handle)?)
    }
}

fn inverters(count: usize, cancel: &Cancel) -> (Runtime, tokio::runtime::Runtime, Workers<Inverter>) {
    let mut config = Config::new();
    config.epoch_interruption(true);
    let runtime = Runtime::builder().config(config).build().unwrap();
    let guest = runtime.compile(include_bytes!("../../../examples/guests/invert.wat")).unwrap();
    let mut linker = Linker::new(runtime.engine());
    mappable::add_to_linker::<State>(&mut linker).unwrap();
    let guest = linker.instantiate_pre(&guest).unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (handle, made_with, cancel) = (tokio.handle().clone(), runtime.clone(), cancel.clone());
    let workers = Workers::new(count, move || handle.block_on(Inverter::new(&made_with, &guest, &cancel)));
    (runtime, tokio, workers.unwrap())
}

/// Advances the epoch while `work` runs.
fn with_clock<R>(runtime: &Runtime, work: impl FnOnce() -> R) -> R {
    let running = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while running.load(Ordering::Relaxed) {
                runtime.engine().increment_epoch();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let done = work();
        running.store(false, Ordering::Relaxed);
        done
    })
}

#[test]
fn guests_of_async_stores_are_waited_for_on_workers_threads() {
    let (runtime, tokio, mut workers) = inverters(2, &Cancel::new());
    let handle = tokio.handle();
    let region = runtime.allocate_from(&[0x0f; 6 * GRANULE as usize]).unwrap();
    let (region, _) = with_clock(&runtime, || {
        workers.map_parts(region, &Parts::of_rows(1).at_most(6), |worker, part| {
            Ok((handle.block_on(worker.call(part.region, 101))?, ()))
        })
    })
    .unwrap();
    assert!(region.bytes().unwrap().iter().all(|&byte| byte == 0xf0));
    // A caller that may not wait itself.
    let (back, count) = tokio
        .block_on(async {
            let spawned = tokio::task::spawn_blocking(move || {
                let ran = workers.map_parts(region, &Parts::of_rows(1), |_, part| Ok((part.region, ())));
                ran.map(|(region, parts)| (region, parts.len()))
            });
            spawned.await.unwrap()
        })
        .unwrap();
    assert_eq!((back.size(), count), (6 * GRANULE, 2));
}

#[test]
fn a_guest_that_is_interrupted_is_freed_with_what_it_had() {
    let cancel = Cancel::new();
    let (runtime, tokio, mut workers) = inverters(2, &cancel);
    workers.set_cancel(&cancel);
    let handle = tokio.handle();
    let region = runtime.allocate(6 * GRANULE).unwrap();
    let failed = with_clock(&runtime, || {
        workers.map_parts(region, &Parts::of_rows(1).at_most(6), |worker, part| {
            if part.offset == 0 {
                cancel.cancel();
            }
            // For as long as it is let.
            Ok((handle.block_on(worker.call(part.region, if part.offset == 0 { u32::MAX } else { 2 }))?, ()))
        })
    })
    .unwrap_err();
    assert!(failed.lost.contains(&(0..GRANULE)), "{failed:?}");
    assert!(!failed.pieces.is_empty(), "what was not begun came back");
}
