//! Guest to host, host to guest, store to store: what is on its way is the host's, and no end leaves anything (R58, R59).

use std::task::Poll;

use mappable::{Element, FrozenHandle, GRANULE, Handle, HandleError, Limits, Mappable, MappableCtx, Receiver, Sender};
use wasmtime::Store;
use wasmtime::component::{FutureReader, StreamReader};

use super::ends::*;
use crate::support::*;

const REGION: &str = "(own $mappable)";

/// Lets the store's tasks go on for a while.
pub(super) fn turn(store: &mut Store<State>) -> wasmtime::Result<()> {
    block_on(store.run_concurrent(async |_| {
        for _ in 0..8 {
            let mut is_second = false;
            std::future::poll_fn(|cx| {
                if std::mem::replace(&mut is_second, true) {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
    }))
}

fn block_on<R>(future: impl Future<Output = R>) -> R {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Pipes a new stream of a guest into a channel. Returns the writable end.
pub(super) fn into(scene: &mut Scene, guest: &Guest, sender: Sender<Mappable>) -> u32 {
    let (reader, writer) = scene.ends(guest, "stream-new");
    let end: StreamReader<Handle> = guest.call(&mut scene.store, "stream-give", (reader,)).unwrap();
    end.pipe(&mut scene.store, sender).unwrap();
    writer
}

/// Pipes a new stream of a guest into a channel of its own. Returns the writable end, and where its elements arrive.
pub(super) fn to_host(scene: &mut Scene, guest: &Guest, bound: usize) -> (u32, Receiver<Mappable>) {
    let (sender, receiver) = mappable::channel(bound);
    (into(scene, guest, sender), receiver)
}

#[track_caller]
fn expect(region: &Mappable, byte: u8) {
    assert!(all_are(region.bytes().unwrap(), byte));
}

on_every_setup! {
    fn what_a_guest_writes_is_out_of_its_store(setup) {
        let mut scene = Scene::new(setup, REGION);
        let a = scene.guest();
        let (writer, receiver) = to_host(&mut scene, &a, 4);
        let mut regions = [1, 2, 3].map(|byte| scene.region(&a, byte));
        a.set_len(&mut scene.store, regions[1], 100);
        assert_eq!(scene.write(&a, writer, &mut regions).unwrap(), completed(3));
        scene.expect_held(0);
        for byte in 1..=3 {
            let region = receiver.try_recv().unwrap();
            expect(&region, byte);
            assert_eq!(region.len(), if byte == 2 { 100 } else { GRANULE });
        }
        assert!(receiver.try_recv().is_none());
        scene.close(&a, "stream-drop-writable", writer).unwrap();
    }

    fn a_guest_waits_while_the_channel_is_full(setup) {
        let mut scene = Scene::new(setup, REGION);
        let a = scene.guest();
        let (writer, receiver) = to_host(&mut scene, &a, 2);
        let mut regions = [1, 2, 3, 4, 5].map(|byte| scene.region(&a, byte));
        // Two find room.
        assert_eq!(scene.write(&a, writer, &mut regions).unwrap(), completed(2));
        scene.expect_held(3);
        assert_eq!(scene.write(&a, writer, &mut regions[2..]).unwrap(), BLOCKED);
        turn(&mut scene.store).unwrap();
        scene.expect_held(3);
        expect(&receiver.try_recv().unwrap(), 1);
        turn(&mut scene.store).unwrap();
        scene.expect_held(2);
        assert_eq!(scene.does(&a, "stream-cancel-write", writer).unwrap(), cancelled(1));
        // What was not taken is the guest's.
        for byte in 4..=5 {
            scene.expect(&a, regions[byte - 1], byte as u8);
        }
        scene.close(&a, "stream-drop-writable", writer).unwrap();
        // What was sent arrives, and then no more.
        let rest = block_on(async {
            let mut receiver = receiver;
            let mut rest = vec![];
            while let Some(region) = receiver.recv().await {
                rest.push(region);
            }
            rest
        });
        assert_eq!(rest.len(), 2);
        scene.expect_held(0);
    }

    fn a_write_that_waits_for_room_is_cancelled_and_takes_nothing(setup) {
        let mut scene = Scene::new(setup, REGION);
        let a = scene.guest();
        let (writer, receiver) = to_host(&mut scene, &a, 1);
        let mut regions = [1, 2].map(|byte| scene.region(&a, byte));
        assert_eq!(scene.write(&a, writer, &mut regions[..1]).unwrap(), completed(1));
        assert_eq!(scene.write(&a, writer, &mut regions[1..]).unwrap(), BLOCKED);
        let mut told = scene.does(&a, "stream-cancel-write", writer).unwrap();
        if told == BLOCKED {
            turn(&mut scene.store).unwrap();
            // It was cancelled meanwhile, and can be closed.
            told = cancelled(0);
        }
        assert_eq!(told, cancelled(0));
        scene.expect(&a, regions[1], 2);
        drop(receiver);
        scene.expect_held(0);
    }

    fn a_guest_that_writes_to_nobody_keeps_what_it_has(setup) {
        for full in [false, true] {
            let mut scene = Scene::new(setup, REGION);
            let a = scene.guest();
            let (writer, receiver) = to_host(&mut scene, &a, 1);
            let mut regions = [1, 2].map(|byte| scene.region(&a, byte));
            if full {
                assert_eq!(scene.write(&a, writer, &mut regions[..1]).unwrap(), completed(1));
                assert_eq!(scene.write(&a, writer, &mut regions[1..]).unwrap(), BLOCKED);
                scene.expect_held(1);
                // What was in the channel is freed, and the write that waits is over.
                drop(receiver);
                turn(&mut scene.store).unwrap();
                assert_eq!(scene.does(&a, "stream-cancel-write", writer).unwrap(), dropped(0));
                scene.expect(&a, regions[1], 2);
            } else {
                drop(receiver);
                assert_eq!(scene.write(&a, writer, &mut regions).unwrap(), dropped(0));
                scene.expect(&a, regions[0], 1);
                scene.expect(&a, regions[1], 2);
            }
            scene.close(&a, "stream-drop-writable", writer).unwrap();
            scene.expect_held(0);
        }
    }

    fn a_mapped_element_traps_and_those_before_it_have_arrived(setup) {
        let mut scene = Scene::new(setup, REGION);
        let a = scene.guest();
        let (writer, receiver) = to_host(&mut scene, &a, 4);
        let region = scene.region(&a, 1);
        let mapping = a.mapped(&mut scene.store, 4 * G, 1, 7);
        trapped(scene.write(&a, writer, &mut [region, mapping]));
        drop(scene);
        // No handle of the first is left anywhere: it arrived, or was freed with the store.
        receiver.try_recv().into_iter().for_each(|region| expect(&region, 1));
        block_on(async {
            let mut receiver = receiver;
            assert!(receiver.recv().await.is_none(), "the store is gone, and its sender with it");
        });
    }

    fn what_the_host_sends_is_inserted_when_it_is_read(setup) {
        let mut scene = Scene::new(setup, REGION);
        let b = scene.guest();
        let (sender, receiver) = mappable::channel::<Mappable>(3);
        let end: StreamReader<Handle> = StreamReader::new(&mut scene.store, receiver).unwrap();
        let reader: u32 = b.call(&mut scene.store, "stream-take", (end,)).unwrap();
        let region = |byte: u8| scene.runtime.allocate_from(&[byte; GRANULE as usize]).unwrap();
        for byte in 1..=3 {
            sender.try_send(region(byte)).unwrap();
        }
        let over = sender.try_send(region(4)).unwrap_err();
        scene.expect_held(0);
        assert_eq!(scene.read(&b, reader, 2).unwrap(), completed(2));
        scene.expect_held(2);
        sender.try_send(over).unwrap();
        for (number, byte) in [(0, 1), (1, 2)] {
            let region = scene.element(&b, number);
            scene.expect(&b, region, byte);
        }
        assert_eq!(scene.read(&b, reader, 9).unwrap(), completed(2));
        for (number, byte) in [(0, 3), (1, 4)] {
            let region = scene.element(&b, number);
            scene.expect(&b, region, byte);
        }
        // Nothing is there: the guest waits.
        assert_eq!(scene.read(&b, reader, 1).unwrap(), BLOCKED);
        sender.try_send(scene.runtime.allocate(GRANULE).unwrap()).unwrap();
        turn(&mut scene.store).unwrap();
        assert_eq!(scene.does(&b, "stream-cancel-read", reader).unwrap(), cancelled(1));
        let region = scene.element(&b, 0);
        scene.expect(&b, region, 0);
        drop(sender);
        assert_eq!(scene.read(&b, reader, 1).unwrap(), dropped(0));
        scene.close(&b, "stream-drop-readable", reader).unwrap();
        scene.expect_held(0);
    }

    fn a_guest_that_closes_its_stream_frees_what_was_sent(setup) {
        let mut scene = Scene::new(setup, "(own $frozen)");
        let b = scene.guest();
        let (sender, receiver) = mappable::channel(3);
        let end: StreamReader<FrozenHandle> = StreamReader::new(&mut scene.store, receiver).unwrap();
        let reader: u32 = b.call(&mut scene.store, "stream-take", (end,)).unwrap();
        let frozen = scene.runtime.allocate(GRANULE).unwrap().freeze().unwrap();
        for _ in 0..3 {
            sender.try_send(frozen.clone()).unwrap();
        }
        assert_eq!(scene.read(&b, reader, 1).unwrap(), completed(1));
        let came = scene.element(&b, 0);
        b.run(&mut scene.store, "drop-frozen", (came,)).unwrap();
        scene.close(&b, "stream-drop-readable", reader).unwrap();
        scene.expect_held(0);
        // Nobody receives, and nobody else has a reference.
        let frozen = sender.try_send(frozen).unwrap_err();
        frozen.thaw().expect("it is the last reference");
    }

    fn a_zero_length_read_or_write_takes_nothing(setup) {
        let mut scene = Scene::new(setup, REGION);
        let a = scene.guest();
        let (sender, receiver) = mappable::channel::<Mappable>(1);
        let end: StreamReader<Handle> = StreamReader::new(&mut scene.store, receiver).unwrap();
        let reader: u32 = a.call(&mut scene.store, "stream-take", (end,)).unwrap();
        sender.try_send(scene.runtime.allocate(GRANULE).unwrap()).unwrap();
        assert_eq!(scene.read(&a, reader, 0).unwrap(), completed(0));
        scene.expect_held(0);
        let (writer, _receiver) = to_host(&mut scene, &a, 1);
        assert_eq!(scene.write(&a, writer, &mut []).unwrap(), completed(0));
        let region = scene.region(&a, 1);
        assert_eq!(scene.write(&a, writer, &mut [region]).unwrap(), completed(1));
        // Full: it would wait.
        assert_eq!(scene.write(&a, writer, &mut []).unwrap(), BLOCKED);
    }

    fn a_future_goes_either_way(setup) {
        let mut scene = Scene::new(setup, REGION);
        let a = scene.guest();
        for is_received in [true, false] {
            let (sender, receiver) = mappable::channel::<Mappable>(1);
            let (reader, writer) = scene.ends(&a, "future-new");
            let end: FutureReader<Handle> = a.call(&mut scene.store, "future-give", (reader,)).unwrap();
            end.pipe(&mut scene.store, sender).unwrap();
            let region = scene.region(&a, 5);
            let receiver = is_received.then_some(receiver);
            a.run(&mut scene.store, "store64", (ELEMENTS, u64::from(region))).unwrap();
            let written: u32 = a.call(&mut scene.store, "future-write", (writer, ELEMENTS)).unwrap();
            assert_eq!(written, 0);
            scene.expect_held(0);
            receiver.into_iter().for_each(|receiver| expect(&receiver.try_recv().unwrap(), 5));
            scene.close(&a, "future-drop-writable", writer).unwrap();
        }
        let (sender, receiver) = mappable::channel::<Mappable>(1);
        let end: FutureReader<Handle> = FutureReader::new(&mut scene.store, receiver).unwrap();
        let reader: u32 = a.call(&mut scene.store, "future-take", (end,)).unwrap();
        sender.try_send(scene.runtime.allocate_from(&[6; GRANULE as usize]).unwrap()).unwrap();
        let read: u32 = a.call(&mut scene.store, "future-read", (reader, 2 * ELEMENTS)).unwrap();
        assert_eq!(read, 0);
        let region = scene.element(&a, 0);
        scene.expect(&a, region, 6);
        scene.close(&a, "future-drop-readable", reader).unwrap();
        scene.expect_held(0);
    }

    fn a_future_that_nothing_comes_for_says_so(setup) {
        let mut scene = Scene::new(setup, REGION);
        let a = scene.guest();
        let (sender, receiver) = mappable::channel::<Mappable>(1);
        let end: FutureReader<Handle> = FutureReader::new(&mut scene.store, receiver).unwrap();
        let reader: u32 = a.call(&mut scene.store, "future-take", (end,)).unwrap();
        drop(sender);
        let error = trapped(a.call::<_, u32>(&mut scene.store, "future-read", (reader, 2 * ELEMENTS)));
        assert!(format!("{error:?}").contains("nothing comes for this future"), "{error:?}");
    }

    fn a_channel_brings_regions_from_one_store_to_another(setup) {
        let (mut one, mut other) = (Scene::new(setup, REGION), Scene::new(setup, REGION));
        let (a, b) = (one.guest(), other.guest());
        let (writer, receiver) = to_host(&mut one, &a, 2);
        let end: StreamReader<Handle> = StreamReader::new(&mut other.store, receiver).unwrap();
        let reader: u32 = b.call(&mut other.store, "stream-take", (end,)).unwrap();
        for round in 0..20 {
            let mut regions = [round * 2, round * 2 + 1].map(|byte| one.region(&a, byte));
            assert_eq!(one.write(&a, writer, &mut regions).unwrap(), completed(2));
            one.expect_held(0);
            assert_eq!(other.read(&b, reader, 2).unwrap(), completed(2));
            for number in 0..2 {
                let region = other.element(&b, number);
                other.expect(&b, region, round * 2 + number as u8);
            }
            other.expect_held(0);
        }
        // R61: a store that ends takes nothing of the other's.
        let region = one.region(&a, 99);
        assert_eq!(one.write(&a, writer, &mut [region]).unwrap(), completed(1));
        trapped(a.call::<_, u32>(&mut one.store, "load8", (u32::MAX,)));
        drop(one);
        assert_eq!(other.read(&b, reader, 2).unwrap(), completed(1));
        let region = other.element(&b, 0);
        other.expect(&b, region, 99);
        assert_eq!(other.read(&b, reader, 2).unwrap(), dropped(0));
    }

    fn a_host_that_reads_what_the_host_writes_leaves_nothing(setup) {
        // No guest is between: the engine keeps an element for a moment.
        for received in 0..=3 {
            let mut scene = Scene::new(setup, REGION);
            let regions: Vec<_> = (0..3).map(|_| scene.runtime.allocate(GRANULE).unwrap()).collect();
            let end: StreamReader<Handle> = StreamReader::new(&mut scene.store, mappable::stream(regions)).unwrap();
            let (sender, receiver) = mappable::channel::<Mappable>(1);
            end.pipe(&mut scene.store, sender).unwrap();
            for _ in 0..received {
                turn(&mut scene.store).unwrap();
                receiver.try_recv().unwrap();
            }
            drop(receiver);
            turn(&mut scene.store).unwrap();
            scene.expect_held(0);
        }
    }

    fn records_go_as_an_element_of_the_embedders(setup) {
        let mut scene = Scene::new(setup, "(tuple (own $mappable) u32)");
        let a = scene.guest();
        let (sender, receiver) = mappable::channel::<Frame>(2);
        let (reader, writer) = scene.ends(&a, "stream-new");
        let end: StreamReader<(Handle, u32)> = a.call(&mut scene.store, "stream-give", (reader,)).unwrap();
        end.pipe(&mut scene.store, sender).unwrap();
        let region = scene.region(&a, 7);
        a.run(&mut scene.store, "store64", (ELEMENTS, u64::from(region) | 99 << 32)).unwrap();
        let written: u32 = a.call(&mut scene.store, "stream-write", (writer, ELEMENTS, 1u32)).unwrap();
        assert_eq!(written, completed(1));
        let frame = receiver.try_recv().unwrap();
        expect(&frame.pixels, 7);
        assert_eq!(frame.number, 99);
        scene.expect_held(0);

        let end: StreamReader<(Handle, u32)> = StreamReader::new(&mut scene.store, mappable::stream([frame])).unwrap();
        let reader: u32 = a.call(&mut scene.store, "stream-take", (end,)).unwrap();
        assert_eq!(scene.read(&a, reader, 2).unwrap(), dropped(1));
        assert_eq!(scene.element(&a, 1), 99);
        let region = scene.element(&a, 0);
        scene.expect(&a, region, 7);
        scene.expect_held(0);
    }

    fn a_ring_goes_around_between_two_guests_and_allocates_nothing(setup) {
        // The host owns the ring: one guest fills, the other reads and gives back.
        let mut scene = Scene::new(setup, REGION);
        let (a, b) = (scene.guest(), scene.guest());
        let (back, free) = mappable::ring(&scene.runtime, 2, GRANULE).unwrap();
        let end: StreamReader<Handle> = StreamReader::new(&mut scene.store, free).unwrap();
        let to_fill: u32 = a.call(&mut scene.store, "stream-take", (end,)).unwrap();
        let (full, filled) = scene.stream(&a, &b);
        let (reader, read) = scene.ends(&b, "stream-new");
        let end: StreamReader<Handle> = b.call(&mut scene.store, "stream-give", (reader,)).unwrap();
        end.pipe(&mut scene.store, back.clone()).unwrap();
        // The guests can make none.
        scene.store.data_mut().mappable.set_limits(Limits::default().regions(0));
        for round in 1..50 {
            assert_eq!(scene.read(&a, to_fill, 1).unwrap(), completed(1));
            let region = scene.element(&a, 0);
            let mapping = a.map(&mut scene.store, region, 4 * G, G).unwrap();
            a.fill(&mut scene.store, 4 * G, round, G);
            let region = a.unmap(&mut scene.store, mapping, 4 * G, G).unwrap();
            assert_eq!(scene.write(&a, full, &mut [region]).unwrap(), BLOCKED);
            assert_eq!(scene.read(&b, filled, 1).unwrap(), completed(1));
            assert_eq!(scene.does(&a, "stream-cancel-write", full).unwrap(), cancelled(1));
            let region = scene.element(&b, 0);
            let mapping = b.map(&mut scene.store, region, 4 * G, G).unwrap();
            b.expect(&mut scene.store, 4 * G, G, round);
            let region = b.unmap(&mut scene.store, mapping, 4 * G, G).unwrap();
            assert_eq!(scene.write(&b, read, &mut [region]).unwrap(), completed(1));
            scene.expect_held(0);
        }
    }
}

/// What the guests of a test have as a tuple.
struct Frame {
    pixels: Mappable,
    number: u32,
}

impl Element for Frame {
    type Handle = (Handle, u32);

    fn insert(self, context: &mut MappableCtx) -> Result<Self::Handle, HandleError> {
        Ok((context.insert(self.pixels)?, self.number))
    }

    fn remove((pixels, number): Self::Handle, context: &mut MappableCtx) -> Result<Self, HandleError> {
        Ok(Self { pixels: context.remove(pixels)?, number })
    }
}

#[test]
fn of_several_that_give_back_frozen_regions_the_last_gives_it_back() {
    let runtime = mappable::Runtime::new().unwrap();
    let (back, free) = mappable::ring(&runtime, 1, GRANULE).unwrap();
    for _ in 0..500 {
        let frozen = free.try_recv().expect("it came back").freeze().unwrap();
        let last: usize = std::thread::scope(|scope| {
            let give = || scope.spawn(|| usize::from(back.give_back(frozen.clone())));
            let (one, two) = (give(), give());
            let both = one.join().unwrap() + two.join().unwrap();
            both + usize::from(back.give_back(frozen.clone()))
        });
        assert_eq!(last, 0, "one reference is left");
        assert!(back.give_back(frozen));
    }
}

#[test]
fn senders_wait_for_room_and_receivers_for_elements() {
    let runtime = mappable::Runtime::new().unwrap();
    let (sender, mut receiver) = mappable::channel::<Mappable>(2);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let (sender, runtime) = (sender.clone(), runtime.clone());
            scope.spawn(move || {
                block_on(async {
                    for byte in 0..100u8 {
                        sender.send(runtime.allocate_from(&[byte]).unwrap()).await.unwrap();
                    }
                });
            });
        }
        drop(sender);
        let mut sum = 0;
        block_on(async {
            while let Some(region) = receiver.recv().await {
                sum += u32::from(region.bytes().unwrap()[0]);
            }
        });
        assert_eq!(sum, 3 * 4950);
    });
}
