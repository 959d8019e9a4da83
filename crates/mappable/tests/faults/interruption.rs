//! A guest is stopped at every point of a hop at which the engine stops one: by fuel, by epochs, by a limiter. It takes
//! nothing with it but what was its own.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use wasmtime::{ResourceLimiter, Trap, UpdateDeadline};

use crate::hop::{AT_A, AT_B, BY_A, Bystander, Cargo, Ground, LEN, Traveller, WRITTEN};
use crate::support::{G, PAGES, Setup, trap_is};
use crate::{alone, had};

const SETUPS: [Setup; 14] = [
    Setup::Swap,
    Setup::SwapConcurrent,
    Setup::Remap,
    Setup::Fixed,
    Setup::NoViews,
    Setup::FewViews,
    Setup::Copy,
    Setup::LedgerSwap,
    Setup::LedgerSwapConcurrent,
    Setup::LedgerRemap,
    Setup::LedgerFixed,
    Setup::LedgerNoViews,
    Setup::LedgerFewViews,
    Setup::LedgerCopy,
];

/// Where a stop at each instruction costs much: a way that swaps, and one that does not, in each tier.
const FEWER: [Setup; 4] = [Setup::Swap, Setup::Remap, Setup::LedgerSwap, Setup::LedgerRemap];

/// How the stops of a hop went.
#[derive(Debug, Default)]
struct Stops {
    while_mapped: usize,
    while_not: usize,
}

/// Stops a hop at its `n`th point, for every `n` until it is not stopped any more: one before which there were so many
/// in the store. (The first is in passing, the second builds views, the third is warm.)
fn at_every_point(ground: &Ground, hops: usize, trap: Trap, stop_at: impl Fn(&mut Traveller, u64)) -> Stops {
    let mut stops = Stops::default();
    let mut bystander = Bystander::new(ground);
    for n in 0.. {
        let before = had();
        let mut traveller = ground.traveller();
        let mut cargo = traveller.load();
        for _ in 0..hops {
            cargo = traveller.hop(cargo).unwrap();
        }
        let rep = cargo.rep();
        stop_at(&mut traveller, n);
        match traveller.hop(cargo) {
            Ok(cargo) => {
                traveller.unload(cargo);
                return stops;
            }
            Err(error) => assert_eq!(error.downcast_ref::<Trap>(), Some(&trap), "{:?}: {error:?}", ground.setup),
        }
        match traveller.look_after(rep, n % 2 == 0) {
            true => stops.while_mapped += 1,
            false => stops.while_not += 1,
        }
        bystander.check();
        drop(traveller);
        bystander.check();
        assert_eq!(had(), before, "{:?}, stopped at {n}", ground.setup);
        // What was freed is not seen again.
        let fresh = ground.runtime.allocate(4 * mappable::GRANULE).unwrap();
        assert!(fresh.bytes().unwrap().iter().all(|&byte| byte == 0));
    }
    unreachable!("a hop ends")
}

/// As [`at_every_point`], in passing, building views, and warm.
fn stop_everywhere(ground: &Ground, trap: Trap, stop_at: impl Fn(&mut Traveller, u64)) {
    for hops in 0..3 {
        let stops = at_every_point(ground, hops, trap, &stop_at);
        println!("{:?}, after {hops}: {stops:?}", ground.setup);
        assert!(stops.while_mapped > 2 && stops.while_not > 5, "{:?}: {stops:?}", ground.setup);
    }
}

#[test]
fn a_guest_that_runs_out_of_fuel_takes_nothing_with_it() {
    let _alone = alone();
    for setup in FEWER {
        let before = had();
        let ground = Ground::new(setup, |config| {
            config.consume_fuel(true);
        });
        stop_everywhere(&ground, Trap::OutOfFuel, |traveller, n| traveller.store.set_fuel(n).unwrap());
        drop(ground);
        assert_eq!(had(), before, "{setup:?}");
    }
}

fn with_epochs(setup: Setup) -> Ground {
    Ground::new(setup, |config| {
        config.epoch_interruption(true);
    })
}

/// Calls `then` at the `n`th time that the guest looks at the epoch.
fn at_check(
    traveller: &mut Traveller,
    n: u64,
    mut then: impl FnMut() -> wasmtime::Result<UpdateDeadline> + Send + Sync + 'static,
) {
    let mut checks = 0;
    traveller.store.set_epoch_deadline(0);
    traveller.store.epoch_deadline_callback(move |store| {
        // At whatever point the guest is, the region is owned once.
        assert_eq!(store.data().mappable.held(), (1, crate::hop::SIZE));
        checks += 1;
        if checks == n + 1 { then() } else { Ok(UpdateDeadline::Continue(0)) }
    });
}

#[test]
fn a_guest_that_an_epoch_callback_stops_takes_nothing_with_it() {
    let _alone = alone();
    for setup in SETUPS {
        let ground = with_epochs(setup);
        stop_everywhere(&ground, Trap::Interrupt, |traveller, n| {
            at_check(traveller, n, || Ok(UpdateDeadline::Interrupt));
        });
    }
}

#[test]
fn an_error_of_an_epoch_callback_takes_nothing_with_it() {
    let _alone = alone();
    for setup in FEWER {
        let ground = with_epochs(setup);
        stop_everywhere(&ground, Trap::UnreachableCodeReached, |traveller, n| {
            at_check(traveller, n, || Err(Trap::UnreachableCodeReached.into()));
        });
    }
}

#[test]
fn another_store_hops_at_every_point_of_a_hop() {
    let _alone = alone();
    for setup in SETUPS {
        let ground = with_epochs(setup);
        let bystander = Arc::new(Mutex::new(Bystander::new(&ground)));
        let before = had();
        let mut points = 0;
        loop {
            let mut traveller = ground.traveller();
            let cargo = traveller.load();
            let (hopped, other) = (Arc::new(AtomicU64::new(0)), Arc::clone(&bystander));
            let seen = Arc::clone(&hopped);
            at_check(&mut traveller, points, move || {
                other.lock().unwrap().check();
                seen.fetch_add(1, Ordering::Relaxed);
                Ok(UpdateDeadline::Continue(0))
            });
            let cargo = traveller.hop(cargo).unwrap();
            traveller.unload(cargo);
            drop(traveller);
            assert_eq!(had(), before, "{setup:?}");
            if hopped.load(Ordering::Relaxed) == 0 {
                break;
            }
            points += 1;
        }
        assert!(points > 10, "{setup:?}: {points}");
    }
}

#[test]
fn an_epoch_that_ends_while_a_region_is_mapped_stops_the_guest_before_it_unmaps() {
    let _alone = alone();
    for setup in SETUPS {
        let ground = with_epochs(setup);
        let mut bystander = Bystander::new(&ground);
        let before = had();
        // In the first call back the region is mapped, in the second not any more.
        for calls in [0, 1] {
            let mut traveller = ground.traveller();
            let cargo = traveller.load();
            let rep = cargo.rep();
            traveller.store.set_epoch_deadline(1);
            let engine = ground.runtime.engine().clone();
            let mut left = calls;
            traveller.store.data_mut().call_back = Some(Box::new(move |mut store| {
                if left > 0 {
                    left -= 1;
                    let engine = engine.clone();
                    store.data_mut().call_back = Some(Box::new(move |mut store| {
                        engine.increment_epoch();
                        crate::hop::quiet(wasmtime::AsContextMut::as_context_mut(&mut store))
                    }));
                } else {
                    engine.increment_epoch();
                    store.data_mut().call_back = Some(Box::new(crate::hop::quiet));
                }
                Ok(())
            }));
            trap_is(traveller.hop(cargo), Trap::Interrupt);
            assert_eq!(traveller.look_after(rep, true), calls == 0, "{setup:?}");
            bystander.check();
            drop(traveller);
            assert_eq!(had(), before, "{setup:?}");
        }
    }
}

/// How often a limiter has been asked about a memory.
static ASKED: AtomicUsize = AtomicUsize::new(0);

/// Refuses all growth: with an error, if it says so.
struct Refuse {
    trap: bool,
}

impl ResourceLimiter for Refuse {
    fn memory_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        ASKED.fetch_add(1, Ordering::Relaxed);
        if self.trap { Err(Trap::AllocationTooLarge.into()) } else { Ok(false) }
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

#[test]
fn a_limiter_that_refuses_growth_is_not_asked_by_the_refresh() {
    let _alone = alone();
    for setup in SETUPS {
        let ground = Ground::new(setup, |_| {});
        let mut bystander = Bystander::new(&ground);
        let before = had();
        for trap in [false, true] {
            let mut traveller = ground.traveller();
            traveller.store.limiter(move |_| -> &mut dyn ResourceLimiter { Box::leak(Box::new(Refuse { trap })) });
            ASKED.store(0, Ordering::Relaxed);
            let cargo = traveller.load();
            let cargo = traveller.hop(cargo).unwrap();
            assert_eq!(ASKED.load(Ordering::Relaxed), 0, "{setup:?}");
            // Asked about growth while a region is mapped, it refuses that, and that alone.
            let rep = cargo.rep();
            let Traveller { store, a, b, .. } = &mut traveller;
            let region = match cargo {
                Cargo::Given(handle) => a.take(store, handle).unwrap(),
                Cargo::Kept(region, _) => region,
            };
            a.map(store, region, AT_A, LEN).unwrap();
            let answer = a.call::<_, i32>(store, "grow", (1u32,));
            assert_eq!(ASKED.load(Ordering::Relaxed), 1);
            if trap {
                trap_is(answer, Trap::AllocationTooLarge);
                assert!(traveller.look_after(rep, true), "{setup:?}: it is still mapped");
            } else {
                assert_eq!(answer.unwrap(), -1);
                a.expect(store, AT_A + 1, WRITTEN - 1, BY_A);
                a.expect(store, AT_A + LEN, PAGES * G - AT_A - LEN, 0);
                b.expect(store, AT_B, LEN, crate::hop::HEAP);
            }
            bystander.check();
            drop(traveller);
            assert_eq!(had(), before, "{setup:?}");
        }
    }
}
