//! Async tasks that wait while they have a region mapped (R60, R61).

use std::pin::pin;
use std::task::Poll;

use wasmtime::component::Accessor;

use super::ends::*;
use crate::support::*;

/// Runs both until both are done, or one has failed.
pub(super) async fn both<A, B>(
    one: impl Future<Output = wasmtime::Result<A>>,
    other: impl Future<Output = wasmtime::Result<B>>,
) -> wasmtime::Result<(A, B)> {
    let (mut one, mut other, mut first, mut second) = (pin!(one), pin!(other), None, None);
    std::future::poll_fn(move |cx| {
        if first.is_none() {
            first = match one.as_mut().poll(cx) {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(done)) => Some(done),
                Poll::Pending => None,
            };
        }
        if second.is_none() {
            second = match other.as_mut().poll(cx) {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(done)) => Some(done),
                Poll::Pending => None,
            };
        }
        match (first.take(), second.take()) {
            (Some(one), Some(other)) => Poll::Ready(Ok((one, other))),
            (one, other) => {
                (first, second) = (one, other);
                Poll::Pending
            }
        }
    })
    .await
}

pub(super) fn block_on<R>(future: impl Future<Output = R>) -> R {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// A task of `a` maps a region and waits for an element of `b`. Meanwhile another task does what it says.
fn while_it_waits(
    scene: &mut Scene,
    a: &Guest,
    b: &Guest,
    meanwhile: impl AsyncFnOnce(&Accessor<State>, u32) -> wasmtime::Result<()>,
) -> wasmtime::Result<u32> {
    let (writer, reader) = scene.stream(b, a);
    let region = scene.region(a, 1);
    let sent = scene.region(b, 2);
    b.run(&mut scene.store, "store64", (ELEMENTS, u64::from(sent))).unwrap();
    let hold = a.func(&mut scene.store, "hold").typed::<(u32, u32, u32), (u32,)>(&scene.store).unwrap();
    let write = b.func(&mut scene.store, "stream-write").typed::<(u32, u32, u32), (u32,)>(&scene.store).unwrap();
    let done = block_on(scene.store.run_concurrent(async |store| {
        both(hold.call_concurrent(store, (region, 4 * G, reader)), async {
            meanwhile(store, 4 * G).await?;
            write.call_concurrent(store, (writer, ELEMENTS, 1)).await
        })
        .await
    }));
    done?.map(|((held,), _)| held)
}

on_every_setup! {
    fn another_task_sees_what_a_waiting_one_has_mapped_and_is_seen(setup) {
        let mut scene = Scene::new(setup, "(own $mappable)");
        let (a, b) = (scene.guest(), scene.guest());
        let load = a.func(&mut scene.store, "load8").typed::<(u32,), (u32,)>(&scene.store).unwrap();
        let store8 = a.func(&mut scene.store, "store8").typed::<(u32, u32), ()>(&scene.store).unwrap();
        let held = while_it_waits(&mut scene, &a, &b, async |store, at| {
            // The tasks are queued in order, so the other one is there.
            assert_eq!(load.call_concurrent(store, (at,)).await?, (8,));
            assert_eq!(load.call_concurrent(store, (at + G - 1,)).await?, (1,));
            store8.call_concurrent(store, (at, 42)).await
        });
        assert_eq!(held.unwrap(), 42);
        // What was waited for came, and what was mapped still is.
        scene.expect_held(2);
        a.expect(&mut scene.store, 4 * G + 1, G - 1, 1);
        let came = a.call::<_, u64>(&mut scene.store, "load64", (2 * ELEMENTS,)).unwrap() as u32;
        scene.expect(&a, came, 2);
    }

    fn a_task_that_traps_ends_the_one_that_waits_and_nothing_of_another_store(setup) {
        let mut scene = Scene::new(setup, "(own $mappable)");
        let mut other = Scene::new(setup, "(own $mappable)");
        let bystander = other.guest();
        let kept = other.region(&bystander, 3);
        let (a, b) = (scene.guest(), scene.guest());
        let load = a.func(&mut scene.store, "load8").typed::<(u32,), (u32,)>(&scene.store).unwrap();
        let error = trapped(while_it_waits(&mut scene, &a, &b, async |store, _| {
            load.call_concurrent(store, (u32::MAX,)).await.map(drop)
        }));
        assert_eq!(error.downcast_ref(), Some(&wasmtime::Trap::MemoryOutOfBounds), "{error:?}");
        trapped(a.call::<_, u32>(&mut scene.store, "load8", (0u32,)));
        trapped(b.call::<_, u32>(&mut scene.store, "load8", (0u32,)));
        drop(scene);
        other.expect(&bystander, kept, 3);
        other.expect_held(0);
    }
}
