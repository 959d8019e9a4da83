//! Pipelines: items go around, in order, and a stage that fails loses what it had.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mappable::Mappable;
use mappable::workers::{Cancel, Pipeline, PipelineError};
use wasmtime::Trap;

use super::support::{G, Setup, World, all_are, on_every_open_setup};
use super::{Worker, trap};

type Filled<T> = wasmtime::Result<ControlFlow<T, T>>;

/// Three stages, each of which adds 1 to all bytes of a region of one granule. The second traps on a byte of `bad + 1`.
fn pipeline(setup: Setup, bad: Option<u8>) -> Pipeline<Mappable> {
    (0..3).fold(Pipeline::new(), |pipeline, stage| {
        pipeline.stage(
            move || Ok(Worker::new(setup)),
            move |worker, region: Mappable| {
                worker.with_mapped(region, |world, guest| {
                    let byte = guest.load(world, 4 * G);
                    guest.expect(world, 4 * G, G, byte);
                    if stage == 1 && bad.is_some_and(|bad| byte == bad + 1) {
                        return trap(world, guest);
                    }
                    guest.fill(world, 4 * G, byte + 1, G);
                    Ok(())
                })
            },
        )
    })
}

/// Fills regions with the numbers of a range, one after the other.
fn numbers(mut numbers: std::ops::Range<u8>) -> impl FnMut(Mappable) -> Filled<Mappable> + Send {
    move |mut region| match numbers.next() {
        Some(number) => {
            region.bytes_mut()?.fill(number);
            Ok(ControlFlow::Continue(region))
        }
        None => Ok(ControlFlow::Break(region)),
    }
}

fn ring(setup: Setup, count: u8) -> Vec<Mappable> {
    let world = World::new(setup);
    (0..count).map(|_| world.region(1, 0)).collect()
}

on_every_open_setup! {
    fn regions_go_around_in_order(setup) {
        let mut pipeline = pipeline(setup, None);
        let mut regions = ring(setup, 3);
        for run in 0..2 {
            let mut seen = vec![];
            let sink = |region: Mappable| {
                let bytes = region.bytes()?;
                assert!(all_are(bytes, bytes[0]));
                seen.push(bytes[0]);
                Ok(region)
            };
            regions = pipeline.run(regions, numbers(10 * run..10 * run + 20), sink).unwrap();
            assert_eq!(seen, (10 * run + 3..10 * run + 23).collect::<Vec<_>>());
            assert_eq!(regions.len(), 3);
        }
    }

    fn a_trapped_stage_is_told_with_its_item_and_the_rest_comes_back(setup) {
        let mut pipeline = pipeline(setup, Some(4));
        let mut seen = 0;
        let sink = |region| {
            seen += 1;
            Ok(region)
        };
        let failed = pipeline.run(ring(setup, 4), numbers(0..100), sink).unwrap_err();
        let PipelineError::Stage { stage: 1, item: 4, source } = &failed.reason else { panic!("{failed:?}") };
        assert_eq!(source.downcast_ref::<Trap>(), Some(&Trap::MemoryOutOfBounds));
        assert_eq!(failed.left.len(), 3);
        assert!(seen <= 4);
        // The stage's worker is made anew.
        let rest = pipeline.run(failed.left, numbers(10..20), Ok).unwrap();
        assert_eq!(rest.len(), 3);
    }
}

#[test]
fn a_source_waits_for_an_item_to_come_back() {
    let going = Arc::new(AtomicUsize::new(0));
    let (count, most) = (going.clone(), Arc::new(AtomicUsize::new(0)));
    let mut left = 50;
    let source = {
        let most = most.clone();
        move |item: u64| {
            if left == 0 {
                return Ok(ControlFlow::Break(item));
            }
            left -= 1;
            most.fetch_max(count.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            Ok(ControlFlow::Continue(item))
        }
    };
    let mut pipeline = Pipeline::new().stage(|| Ok(()), |(), item: u64| Ok(item)).stage(|| Ok(()), |(), item| Ok(item));
    let mut seen = 0;
    let back = pipeline.run(vec![1, 2, 3], source, |item| {
        seen += 1;
        going.fetch_sub(1, Ordering::SeqCst);
        Ok(item)
    });
    assert_eq!((back.unwrap().len(), seen), (3, 50));
    assert!((1..=3).contains(&most.load(Ordering::SeqCst)));
}

/// Ends after so many items, or never.
fn forever() -> impl FnMut(u64) -> Filled<u64> + Send {
    |item| Ok(ControlFlow::Continue(item))
}

fn passing(stages: usize) -> Pipeline<u64> {
    (0..stages).fold(Pipeline::new(), |pipeline, _| pipeline.stage(|| Ok(()), |(), item| Ok(item)))
}

#[test]
fn every_end_gives_back_what_did_not_fail() {
    let fail = || wasmtime::Error::msg("no");
    // With one item, and with many.
    for ring in [1, 2, 9] {
        let items = || (0..ring).collect::<Vec<u64>>();
        let left = ring as usize - 1;
        let failed = passing(2).run(items(), |_| Err(fail()), Ok).unwrap_err();
        assert!(matches!(failed.reason, PipelineError::Source(_)) && failed.left.len() == left, "{failed:?}");
        let failed = passing(2).run(items(), forever(), |_| Err(fail())).unwrap_err();
        assert!(matches!(failed.reason, PipelineError::Sink(_)) && failed.left.len() == left, "{failed:?}");
        let mut failing = passing(1).stage(|| Ok(()), move |(), _| Err(fail())).stage(|| Ok(()), |(), item| Ok(item));
        let failed = failing.run(items(), forever(), Ok).unwrap_err();
        assert!(matches!(failed.reason, PipelineError::Stage { stage: 1, item: 0, .. }) && failed.left.len() == left);
        let mut unmade = passing(1).stage(|| Err::<(), _>(wasmtime::Error::msg("no")), |_, item| Ok(item));
        let failed = unmade.run(items(), forever(), Ok).unwrap_err();
        assert!(matches!(failed.reason, PipelineError::NotMade { stage: 1, .. }), "{failed:?}");
        // By the token, from the sink.
        let cancel = Cancel::new();
        let mut pipeline = passing(3);
        pipeline.set_cancel(&cancel);
        let mut seen = 0;
        let sink = |item| {
            seen += 1;
            if seen == 5 {
                cancel.cancel();
            }
            Ok(item)
        };
        let failed = pipeline.run(items(), forever(), sink).unwrap_err();
        assert!(matches!(failed.reason, PipelineError::Cancelled) && failed.left.len() == ring as usize, "{failed:?}");
        assert_eq!(seen, 5);
    }
    // No items, and no stages.
    assert!(passing(2).run(vec![], forever(), Ok).unwrap().is_empty());
    let mut left = 3;
    let source = |item: u64| {
        left -= 1;
        Ok(if left < 0 { ControlFlow::Break(item) } else { ControlFlow::Continue(item + 1) })
    };
    assert_eq!(passing(0).run(vec![0], source, Ok).unwrap(), [3]);
}

#[test]
fn a_panic_anywhere_ends_the_run() {
    let panics = |run: &mut dyn FnMut()| assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    for ring in [1, 4] {
        let items = || (0..ring).collect::<Vec<u64>>();
        panics(&mut || drop(passing(2).run(items(), |_| panic!("as the test has it"), Ok)));
        panics(&mut || drop(passing(2).run(items(), forever(), |_| panic!("as the test has it"))));
        let stage = |pipeline: Pipeline<u64>| pipeline.stage(|| Ok(()), |(), _| panic!("as the test has it"));
        panics(&mut || drop(stage(passing(0)).run(items(), forever(), Ok)));
        panics(&mut || drop(stage(passing(2)).stage(|| Ok(()), |(), item| Ok(item)).run(items(), forever(), Ok)));
    }
}
