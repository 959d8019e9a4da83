//! Work that is cancelled, and guests that are interrupted or trap, in stores whose guests are called asynchronously and in others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mappable::workers::{Cancel, MapError, Parts, PartsError, Workers};
use mappable::{GRANULE, Handle, Mappable, MappableCtx, MappableView, Runtime};
use wasmtime::component::{Instance, InstancePre, Linker, TypedFunc};
use wasmtime::{Config, Store, Trap, UpdateDeadline};

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

/// How guests are called.
#[derive(Clone, Debug)]
pub(super) enum Calls {
    Sync,
    Async(tokio::runtime::Handle),
}

impl Calls {
    /// An instance in a store whose guests are interrupted when it is cancelled, and otherwise yield where calls are async.
    pub(super) fn instantiate<T: Send + 'static>(
        &self,
        guest: &InstancePre<T>,
        store: &mut Store<T>,
        cancel: &Cancel,
    ) -> wasmtime::Result<Instance> {
        store.set_epoch_deadline(1);
        let (cancel, goes_on) = (cancel.clone(), self.clone());
        store.epoch_deadline_callback(move |_| match (cancel.is_cancelled(), &goes_on) {
            (true, _) => Err(wasmtime::Error::msg("interrupted")),
            (false, Self::Sync) => Ok(UpdateDeadline::Continue(1)),
            (false, Self::Async(_)) => Ok(UpdateDeadline::Yield(1)),
        });
        match self {
            Self::Sync => guest.instantiate(store),
            Self::Async(tokio) => tokio.block_on(guest.instantiate_async(store)),
        }
    }
}

/// A store with `invert`.
struct Inverter {
    store: Store<State>,
    invert: TypedFunc<(Handle,), (Handle,)>,
    calls: Calls,
}

impl Inverter {
    fn new(runtime: &Runtime, guest: &InstancePre<State>, cancel: &Cancel, calls: &Calls) -> wasmtime::Result<Self> {
        let mut store = runtime.store(State { mappable: runtime.context() });
        let instance = calls.instantiate(guest, &mut store, cancel)?;
        let invert = instance.get_typed_func::<(Handle,), (Handle,)>(&mut store, "invert")?;
        Ok(Self { store, invert, calls: calls.clone() })
    }

    /// Inverts a region so often. The guest traps on one that is longer than a granule.
    fn call(&mut self, region: Mappable, times: u32) -> wasmtime::Result<Mappable> {
        let mut handle = self.store.data_mut().mappable.insert(region)?;
        for _ in 0..times {
            (handle,) = match &self.calls {
                Calls::Sync => self.invert.call(&mut self.store, (handle,))?,
                Calls::Async(tokio) => tokio.block_on(self.invert.call_async(&mut self.store, (handle,)))?,
            };
        }
        Ok(self.store.data_mut().mappable.remove(handle)?)
    }
}

fn inverters(count: usize, cancel: &Cancel, calls: &Calls) -> (Runtime, Workers<Inverter>) {
    let mut config = Config::new();
    config.epoch_interruption(true);
    let runtime = Runtime::builder().config(config).build().unwrap();
    let guest = runtime.compile(include_bytes!("../../../examples/guests/invert.wat")).unwrap();
    let mut linker = Linker::new(runtime.engine());
    mappable::add_to_linker::<State>(&mut linker).unwrap();
    let guest = linker.instantiate_pre(&guest).unwrap();
    let (made_with, cancel_made_with, calls) = (runtime.clone(), cancel.clone(), calls.clone());
    let workers = Workers::new(count, move || Inverter::new(&made_with, &guest, &cancel_made_with, &calls));
    let mut workers = workers.unwrap();
    workers.set_cancel(cancel);
    (runtime, workers)
}

/// Does the same with guests that are called in each way.
pub(super) fn however_called(test: impl Fn(&Calls)) {
    test(&Calls::Sync);
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    test(&Calls::Async(tokio.handle().clone()));
}

/// Advances the epoch while `work` runs.
pub(super) fn with_clock<R>(runtime: &Runtime, work: impl FnOnce() -> R) -> R {
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
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (runtime, mut workers) = inverters(2, &Cancel::new(), &Calls::Async(tokio.handle().clone()));
    let region = runtime.allocate_from(&[0x0f; 6 * GRANULE as usize]).unwrap();
    let (region, _) = with_clock(&runtime, || {
        workers
            .map_parts(region, &Parts::of_rows(1).at_most(6), |worker, part| Ok((worker.call(part.region, 101)?, ())))
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
fn a_trapped_guest_is_told_with_its_part_however_it_is_called() {
    however_called(|calls| {
        let (runtime, mut workers) = inverters(1, &Cancel::new(), calls);
        // Parts of 1, 1, 2, 1, 1 and 2 granules: the third is too long for the guest.
        let region = runtime.allocate_from(&[0x0f; 8 * GRANULE as usize]).unwrap();
        let parts = Parts::of_rows(1).at_most(6);
        let failed =
            workers.map_parts(region, &parts, |worker, part| Ok((worker.call(part.region, 1)?, ()))).unwrap_err();
        let PartsError::Map(MapError::Failed { index: 2, source }) = &failed.reason else { panic!("{failed:?}") };
        assert_eq!(source.downcast_ref::<Trap>(), Some(&Trap::UnreachableCodeReached), "{calls:?}");
        assert!(failed.lost.iter().eq([&(2 * GRANULE..4 * GRANULE)]), "{calls:?}: {:?}", failed.lost);
        assert_eq!(failed.done, [0..GRANULE, GRANULE..2 * GRANULE]);
        let [(0, low), (at, high)] = &failed.pieces[..] else { panic!("{:?}", failed.pieces) };
        assert_eq!((*at, high.size()), (4 * GRANULE, 4 * GRANULE));
        let are = |region: &Mappable, all: u8| region.bytes().unwrap().iter().all(|&byte| byte == all);
        assert!(are(low, 0xf0) && are(high, 0x0f), "{calls:?}");
        // The worker is made anew.
        let region = runtime.allocate_from(&[0x0f; 4 * GRANULE as usize]).unwrap();
        let (region, _) = workers
            .map_parts(region, &Parts::of_rows(1).at_most(4), |worker, part| Ok((worker.call(part.region, 1)?, ())))
            .unwrap();
        assert!(are(&region, 0xf0), "{calls:?}");
    });
}

#[test]
fn what_is_cancelled_comes_back_however_guests_are_called() {
    however_called(|calls| {
        let cancel = Cancel::new();
        let (runtime, mut workers) = inverters(1, &cancel, calls);
        let region = runtime.allocate_from(&[0x0f; 4 * GRANULE as usize]).unwrap();
        let failed = workers
            .map_parts(region, &Parts::of_rows(1).at_most(4), |worker, part| {
                let is_second = part.offset == GRANULE;
                let region = worker.call(part.region, 1)?;
                if is_second {
                    cancel.cancel();
                }
                Ok((region, ()))
            })
            .unwrap_err();
        assert!(matches!(failed.reason, PartsError::Map(MapError::Cancelled)), "{calls:?}: {failed:?}");
        assert_eq!((failed.done, failed.lost), (vec![0..GRANULE, GRANULE..2 * GRANULE], vec![]));
        let [(0, region)] = &failed.pieces[..] else { panic!("{:?}", failed.pieces) };
        let (done, left) = region.bytes().unwrap().split_at(2 * GRANULE as usize);
        assert!(done.iter().all(|&byte| byte == 0xf0) && left.iter().all(|&byte| byte == 0x0f), "{calls:?}");
    });
}

#[test]
fn a_guest_that_is_interrupted_is_freed_with_what_it_had() {
    however_called(|calls| {
        let cancel = Cancel::new();
        let (runtime, mut workers) = inverters(2, &cancel, calls);
        let region = runtime.allocate(6 * GRANULE).unwrap();
        let failed = with_clock(&runtime, || {
            workers.map_parts(region, &Parts::of_rows(1).at_most(6), |worker, part| {
                if part.offset == 0 {
                    cancel.cancel();
                }
                // For as long as it is let.
                Ok((worker.call(part.region, if part.offset == 0 { u32::MAX } else { 2 })?, ()))
            })
        })
        .unwrap_err();
        assert!(failed.lost.contains(&(0..GRANULE)), "{calls:?}: {failed:?}");
        assert!(!failed.pieces.is_empty(), "{calls:?}: what was not begun came back");
    });
}
