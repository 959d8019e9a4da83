//! Stores on fibers: at every point at which one yields, its future is dropped, or other stores go on on the same
//! thread.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use wasmtime::component::{ComponentNamedList, Lift, Linker, Lower, WasmList};
use wasmtime::{Config, ResourceLimiterAsync, Store, StoreContextMut};

use crate::hop::{AT_A, AT_B, BY_A, BY_B, Bystander, Cargo, Ground, HEAP, LEN, Traveller, WRITTEN, left, visited};
use crate::support::{Guest, Setup, State, swapped};
use crate::{alone, had};

const SETUPS: [Setup; 10] = [
    Setup::Swap,
    Setup::SwapConcurrent,
    Setup::Remap,
    Setup::RemapConcurrent,
    Setup::Fixed,
    Setup::NoViews,
    Setup::Copy,
    Setup::LedgerSwap,
    Setup::LedgerSwapConcurrent,
    Setup::LedgerRemap,
];

/// Because of what a store yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// After so much fuel.
    Fuel(u64),
    /// Whenever compiled code looks at the epoch.
    Epoch,
}

impl By {
    fn configure(self, config: &mut Config) {
        match self {
            Self::Fuel(_) => config.consume_fuel(true),
            Self::Epoch => config.epoch_interruption(true),
        };
    }

    fn yield_in(self, store: &mut Store<State>) {
        match self {
            Self::Fuel(interval) => store.fuel_async_yield_interval(Some(interval)).unwrap(),
            Self::Epoch => {
                store.set_epoch_deadline(0);
                store.epoch_deadline_async_yield_and_update(0);
            }
        }
    }
}

async fn call<P, R>(guest: &Guest, store: &mut Store<State>, name: &'static str, params: P) -> wasmtime::Result<R>
where
    P: ComponentNamedList + Lower + Send + Sync + 'static,
    R: Lift + Send + Sync + 'static,
    (R,): ComponentNamedList + Lift + Send + Sync + 'static,
{
    let func = guest.func(store, name).typed::<P, (R,)>(&*store)?;
    Ok(func.call_async(store, params).await?.0)
}

/// As [`Traveller::hop`].
async fn hop(traveller: &mut Traveller, cargo: Cargo) -> wasmtime::Result<Cargo> {
    let Traveller { store, a, b, .. } = traveller;
    let (region, rep) = match cargo {
        Cargo::Given(handle) => (call::<_, u32>(a, store, "take", (handle,)).await?, None),
        Cargo::Kept(region, rep) => (region, Some(rep)),
    };
    let mapping = swapped(call(a, store, "map", (region, AT_A, LEN)).await?).unwrap();
    let fill = a.func(store, "fill").typed::<(u32, u32, u32), ()>(&*store)?;
    fill.call_async(&mut *store, (AT_A, u32::from(BY_A), WRITTEN)).await?;
    let region = swapped(call(a, store, "unmap", (mapping, AT_A, LEN)).await?).unwrap();
    let region: u32 = call(a, store, "pass", (region,)).await?;
    let answer: u64 = call(b, store, "visit", (region, AT_B, LEN, u32::from(BY_B))).await?;
    let region: u32 = call(a, store, "fetch", (visited(answer),)).await?;
    match rep {
        None => call(a, store, "give", (region,)).await.map(Cargo::Given),
        Some(rep) => Ok(Cargo::Kept(region, rep)),
    }
}

/// A hop, after which the host looks at the region.
async fn whole_hop(traveller: &mut Traveller, cargo: Cargo) {
    let cargo = hop(traveller, cargo).await.unwrap();
    traveller.unload(cargo);
}

/// The same, and nobody has the region any more.
async fn hop_and_drop(traveller: &mut Traveller, cargo: Cargo) {
    let cargo = hop(traveller, cargo).await.unwrap();
    let kept = if let Cargo::Kept(region, _) = cargo { Some(region) } else { None };
    traveller.unload(cargo);
    if let Some(region) = kept {
        let Traveller { store, a, .. } = traveller;
        let drop = a.func(store, "drop-mappable").typed::<(u32,), ()>(&*store).unwrap();
        drop.call_async(store, (region,)).await.unwrap();
    }
}

fn poll(future: Pin<&mut impl Future<Output = ()>>) -> Poll<()> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls so often. Answers whether the future has come to its end.
fn poll_times(mut future: Pin<&mut impl Future<Output = ()>>, times: usize) -> bool {
    (0..times).any(|_| poll(future.as_mut()).is_ready())
}

/// Is pending so often.
async fn pause(mut times: usize) {
    poll_fn(|_| {
        times = times.saturating_sub(1);
        if times == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// What a store is in whose hop was cut short: whoever goes into it, if that is let in, sees what is owned there.
fn look_into(traveller: &mut Traveller) {
    let Traveller { store, b, .. } = traveller;
    let mut load = pin!(async {
        if let Ok(byte) = call::<_, u32>(b, store, "load8", (AT_B,)).await {
            assert!([u32::from(HEAP), u32::from(BY_A), u32::from(BY_B)].contains(&byte), "{byte:#x}");
        }
    });
    // Where components may be concurrent, the call waits for the one before, which nobody drives any more.
    poll_times(load.as_mut(), 500);
}

/// Cuts a hop short after each number of polls. Answers how many those were.
fn cut_everywhere(ground: &Ground, by: By, store_stays: bool) -> [usize; 2] {
    let mut bystander = Bystander::new(ground);
    let mut cuts = [0; 2];
    for polls in 0.. {
        let before = had();
        let mut traveller = ground.traveller();
        let handle = traveller.load();
        let rep = handle.rep();
        by.yield_in(&mut traveller.store);
        let done = if store_stays {
            let done = poll_times(pin!(whole_hop(&mut traveller, handle)), polls);
            if !done {
                let mapped = left(&mut traveller.store, traveller.setup, rep, false);
                look_into(&mut traveller);
                assert_eq!(
                    left(&mut traveller.store, traveller.setup, rep, polls % 2 == 0),
                    mapped,
                    "{:?}",
                    ground.setup
                );
                cuts[usize::from(mapped)] += 1;
            }
            bystander.check();
            drop(traveller);
            done
        } else {
            let mut future = Box::pin(async move { whole_hop(&mut traveller, handle).await });
            let done = poll_times(future.as_mut(), polls);
            bystander.check();
            drop(future);
            cuts[0] += usize::from(!done);
            done
        };
        bystander.check();
        assert_eq!(had(), before, "{:?}, cut short after {polls} polls", ground.setup);
        if done {
            return cuts;
        }
        let fresh = ground.runtime.allocate(4 * mappable::GRANULE).unwrap();
        assert!(fresh.bytes().unwrap().iter().all(|&byte| byte == 0));
    }
    unreachable!("a hop ends")
}

#[test]
fn a_future_that_is_dropped_at_any_yield_takes_nothing_with_it() {
    let _alone = alone();
    for setup in SETUPS {
        for by in [By::Fuel(1), By::Epoch] {
            let before = had();
            let ground = Ground::new(setup, |config| by.configure(config));
            let cuts = cut_everywhere(&ground, by, false);
            assert!(cuts[0] > 15, "{setup:?}, {by:?}: {cuts:?}");
            drop(ground);
            assert_eq!(had(), before, "{setup:?}, {by:?}");
        }
    }
}

#[test]
fn a_store_that_outlives_a_dropped_future_owns_its_region_once() {
    let _alone = alone();
    for setup in SETUPS {
        for by in [By::Fuel(1), By::Epoch] {
            let ground = Ground::new(setup, |config| by.configure(config));
            let cuts = cut_everywhere(&ground, by, true);
            println!("{setup:?}, {by:?}: {cuts:?}");
            assert!(cuts[0] > 5 && cuts[1] > 2, "{setup:?}, {by:?}: {cuts:?}, not mapped and mapped");
        }
    }
}

#[test]
fn stores_that_take_turns_see_their_own() {
    let _alone = alone();
    for setup in SETUPS {
        for [by, other] in [[By::Fuel(1), By::Fuel(1)], [By::Fuel(1), By::Fuel(3)], [By::Epoch, By::Epoch]] {
            let ground = Ground::new(setup, |config| by.configure(config));
            let mut bystander = Bystander::new(&ground);
            let before = had();
            for ahead in 0..40 {
                // Loaded before they yield.
                let start = |by: By| {
                    let mut traveller = ground.traveller();
                    let cargos = [traveller.load(), traveller.load()];
                    by.yield_in(&mut traveller.store);
                    (traveller, cargos)
                };
                let [(mut first, in_first), (mut second, in_second)] = [by, other].map(start);
                let mut first = pin!(twice(&mut first, in_first));
                let mut second = pin!(twice(&mut second, in_second));
                let mut done = [poll_times(first.as_mut(), ahead), false];
                while done != [true; 2] {
                    done[0] = done[0] || poll(first.as_mut()).is_ready();
                    done[1] = done[1] || poll(second.as_mut()).is_ready();
                }
                bystander.check();
            }
            assert_eq!(had(), before, "{setup:?}, {by:?}");
        }
    }
}

async fn twice(traveller: &mut Traveller, handles: [Cargo; 2]) {
    for handle in handles {
        whole_hop(traveller, handle).await;
    }
}

/// The linker of stores whose `call-back` waits for `pauses` polls, and has another store hop meanwhile.
fn async_linker(ground: &Ground, bystander: Arc<Mutex<Bystander>>, pauses: usize) -> Linker<State> {
    let mut linker = Linker::new(ground.runtime.engine());
    mappable::add_to_linker::<State>(&mut linker).unwrap();
    let mut env = linker.instance("test:host/env").unwrap();
    env.func_wrap("sum", |_: StoreContextMut<'_, State>, (_,): (WasmList<u8>,)| Ok((0u64,))).unwrap();
    env.func_wrap_async("call-back", move |_: StoreContextMut<'_, State>, (): ()| {
        let bystander = Arc::clone(&bystander);
        Box::new(async move {
            bystander.lock().unwrap().check();
            pause(pauses).await;
            bystander.lock().unwrap().check();
            Ok(())
        })
    })
    .unwrap();
    linker
}

#[test]
fn other_stores_hop_while_a_host_function_waits_between_map_and_unmap() {
    let _alone = alone();
    for setup in SETUPS {
        let mut ground = Ground::new(setup, |_| {});
        let bystander = Arc::new(Mutex::new(Bystander::new(&ground)));
        ground.linker = async_linker(&ground, Arc::clone(&bystander), 4);
        let before = had();
        let mut cuts = [0; 2];
        for polls in 0.. {
            let mut traveller = travel_async(&ground);
            let handle = load_async(&mut traveller);
            let rep = handle.rep();
            let mut done = false;
            {
                let mut future = pin!(whole_hop(&mut traveller, handle));
                for _ in 0..polls {
                    done = done || poll(future.as_mut()).is_ready();
                    bystander.lock().unwrap().check();
                }
            }
            if !done {
                cuts[usize::from(left(&mut traveller.store, traveller.setup, rep, true))] += 1;
            }
            bystander.lock().unwrap().check();
            drop(traveller);
            assert_eq!(had(), before, "{setup:?}, after {polls} polls");
            if done {
                break;
            }
        }
        assert!(cuts[0] > 2 && cuts[1] > 2, "{setup:?}: {cuts:?}, waiting in each of the two calls back");
    }
}

/// As [`Ground::traveller`], where instantiation has to be asynchronous.
fn travel_async(ground: &Ground) -> Traveller {
    let mut store = ground.store();
    let mut guests = None;
    let mut instantiate = Box::pin(async {
        let instance = ground.linker.instantiate_async(&mut store, &ground.component).await.unwrap();
        let [a, b] = Guest::pair(instance, &mut store);
        let fill = b.func(&mut store, "fill").typed::<(u32, u32, u32), ()>(&store).unwrap();
        fill.call_async(&mut store, (AT_B, u32::from(HEAP), LEN)).await.unwrap();
        guests = Some([a, b]);
    });
    assert!(poll_times(instantiate.as_mut(), 100));
    drop(instantiate);
    let [a, b] = guests.unwrap();
    Traveller { setup: ground.setup, store, a, b }
}

/// As [`Traveller::load`], likewise.
fn load_async(traveller: &mut Traveller) -> Cargo {
    let Traveller { store, a, .. } = traveller;
    if a.usher().is_none() {
        return traveller.load();
    }
    let mut made: i64 = -1;
    assert!(poll_times(pin!(async { made = call(a, store, "allocate", (crate::hop::SIZE,)).await.unwrap() }), 100));
    traveller.kept(u32::try_from(made).unwrap())
}

/// How often a limiter has been asked about a memory.
static ASKED: AtomicUsize = AtomicUsize::new(0);

/// Takes its time, then refuses.
struct Waits;

type Answer<'a> = Pin<Box<dyn Future<Output = wasmtime::Result<bool>> + Send + 'a>>;

impl ResourceLimiterAsync for Waits {
    fn memory_growing<'a, 'b>(&'a mut self, _: usize, _: usize, _: Option<usize>) -> Answer<'b>
    where
        'a: 'b,
        Self: 'b,
    {
        ASKED.fetch_add(1, Ordering::Relaxed);
        Box::pin(async {
            pause(4).await;
            Ok(false)
        })
    }

    fn table_growing<'a, 'b>(&'a mut self, _: usize, _: usize, _: Option<usize>) -> Answer<'b>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async { Ok(true) })
    }
}

#[test]
fn the_refresh_does_not_wait_for_a_limiter_and_growth_that_does_is_cut_short_in_peace() {
    let _alone = alone();
    for setup in SETUPS {
        let ground = Ground::new(setup, |_| {});
        let mut bystander = Bystander::new(&ground);
        let before = had();
        for polls in 0.. {
            let mut traveller = ground.traveller();
            let [handle, other] = [traveller.load(), traveller.load()];
            traveller.store.limiter_async(|_| -> &mut dyn ResourceLimiterAsync { Box::leak(Box::new(Waits)) });
            ASKED.store(0, Ordering::Relaxed);
            assert!(poll_times(pin!(hop_and_drop(&mut traveller, handle)), 1), "{setup:?}: nothing waits in a hop");
            assert_eq!(ASKED.load(Ordering::Relaxed), 0, "{setup:?}");
            let rep = other.rep();
            let grow = async {
                let Traveller { store, a, .. } = &mut traveller;
                let region = match other {
                    Cargo::Given(handle) => call::<_, u32>(a, store, "take", (handle,)).await.unwrap(),
                    Cargo::Kept(region, _) => region,
                };
                swapped(call(a, store, "map", (region, AT_A, LEN)).await.unwrap()).unwrap();
                assert_eq!(call::<_, i32>(a, store, "grow", (1u32,)).await.unwrap(), -1);
                let run: u32 = call(a, store, "run-of", (AT_A, LEN, u32::from(crate::hop::BY_HOST))).await.unwrap();
                assert_eq!(run, LEN);
            };
            let done = poll_times(pin!(grow), polls);
            assert!(polls == 0 || ASKED.load(Ordering::Relaxed) == 1);
            assert_eq!(left(&mut traveller.store, traveller.setup, rep, true), polls > 0, "{setup:?}");
            bystander.check();
            drop(traveller);
            assert_eq!(had(), before, "{setup:?}");
            if done {
                assert!(polls >= 4);
                break;
            }
        }
    }
}
