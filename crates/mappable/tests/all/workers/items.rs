//! Items, each to one worker: what comes back, in order, also of those that fail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mappable::workers::{MapError, Workers, WorkersError};
use wasmtime::Trap;

use super::support::{G, Setup, World, all_are, on_every_open_setup};
use super::{trap, workers};

on_every_open_setup! {
    fn regions_go_to_workers_and_come_back_in_order(setup) {
        let (mut workers, made) = workers(setup, 2);
        let world = World::new(setup);
        let regions = (0..9u8).map(|at| world.region(1, at)).collect();
        let regions = workers
            .map(regions, |worker, index, region| {
                worker.with_mapped(region, |world, guest| {
                    guest.expect(world, 4 * G, G, index as u8);
                    guest.fill(world, 4 * G, 0x80 + index as u8, G);
                    Ok(())
                })
            })
            .unwrap();
        for (at, region) in regions.iter().enumerate() {
            assert!(all_are(region.bytes().unwrap(), 0x80 + at as u8));
        }
        assert_eq!((workers.count(), made.load(Ordering::Relaxed)), (2, 2));
        assert!(workers.map(Vec::<()>::new(), |_, _, ()| Ok(())).unwrap().is_empty());
    }

    fn what_a_trapped_worker_did_not_have_comes_back(setup) {
        let (mut workers, made) = workers(setup, 1);
        let world = World::new(setup);
        let regions = (0..5u8).map(|at| world.region(1, at)).collect();
        let failed = workers
            .map(regions, |worker, index, region| {
                worker.with_mapped(region, |world, guest| if index == 2 { trap(world, guest) } else { Ok(()) })
            })
            .unwrap_err();
        let MapError::Failed { index: 2, source } = &failed.reason else { panic!("{failed:?}") };
        assert_eq!(source.downcast_ref::<Trap>(), Some(&Trap::MemoryOutOfBounds));
        assert_eq!(failed.done.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(failed.left.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(failed.lost, [2]);
        assert!(failed.left.iter().chain(&failed.done).all(|(at, it)| all_are(it.bytes().unwrap(), *at as u8)));
        let left = failed.left.into_iter().map(|(_, region)| region).collect();
        assert_eq!(workers.map(left, |worker, _, region| worker.with_mapped(region, |_, _| Ok(()))).unwrap().len(), 2);
        assert_eq!(made.load(Ordering::Relaxed), 2);
    }
}

#[test]
fn after_a_panic_no_item_is_begun() {
    let begun = AtomicUsize::new(0);
    let mut workers = Workers::new(1, || Ok(())).unwrap();
    let all = AssertUnwindSafe(|| {
        workers.map((0..9).collect(), |(), _, item: i32| {
            begun.fetch_add(1, Ordering::Relaxed);
            assert_ne!(item, 2, "this panics");
            Ok(())
        })
    });
    assert!(catch_unwind(all).is_err());
    assert_eq!(begun.load(Ordering::Relaxed), 3);
}

#[test]
fn workers_that_can_t_be_made_say_so() {
    let failed = Workers::<()>::new(2, || Err(wasmtime::Error::msg("no"))).unwrap_err();
    assert!(matches!(failed, WorkersError::NotMade { .. }), "{failed}");
    // One that failed, and can't be made anew: the item is not lost.
    static MAY: AtomicBool = AtomicBool::new(true);
    let make = || if MAY.load(Ordering::Relaxed) { Ok(()) } else { Err(wasmtime::Error::msg("no more")) };
    let mut workers = Workers::new(1, make).unwrap();
    MAY.store(false, Ordering::Relaxed);
    let fails = |_: &mut (), _, _| Err::<(), _>(wasmtime::Error::msg("failed"));
    assert!(matches!(workers.map(vec![7], fails).unwrap_err().reason, MapError::Failed { index: 0, .. }));
    let failed = workers.map(vec![7], fails).unwrap_err();
    assert!(matches!(failed.reason, MapError::NotMade { worker: 0, .. }), "{failed}");
    assert_eq!((failed.left, failed.lost), (vec![(0, 7)], vec![]));
    MAY.store(true, Ordering::Relaxed);
    assert_eq!(workers.map(vec![7], |(), _, item| Ok(item)).unwrap(), [7]);
}

#[test]
fn a_panic_is_the_callers_and_ends_the_worker_alone() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let mut workers = Workers::new(1, || Ok(MADE.fetch_add(1, Ordering::Relaxed))).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        workers.map(vec![0, 1], |_, _, item| if item == 0 { panic!("as the test has it") } else { Ok(()) })
    }));
    assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"as the test has it"));
    assert_eq!(workers.map(vec![()], |number, _, ()| Ok(*number)).unwrap(), [1]);
}

#[test]
fn each_worker_has_the_same_items_in_each_call() {
    let mut workers = Workers::new(3, || Ok(std::thread::current().id())).unwrap();
    let who = |workers: &mut Workers<_>| {
        // All wait for one another, so that nobody takes another's.
        let barrier = std::sync::Barrier::new(3);
        workers
            .map(vec![(); 3], |made_on, _, ()| {
                barrier.wait();
                assert_eq!(*made_on, std::thread::current().id(), "a worker has left its thread");
                Ok(*made_on)
            })
            .unwrap()
    };
    let first = who(&mut workers);
    assert!((0..20).all(|_| who(&mut workers) == first));
}

/// Whatever the way of mapping: nothing here depends on it.
#[test]
fn as_many_workers_as_cores() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    assert_eq!(Workers::new(0, || Ok(())).unwrap().count(), cores);
    let setup = Setup::Copy;
    let (workers, _) = workers(setup, 2);
    fn is_send<T: Send>(_: T) {}
    is_send(workers);
}
