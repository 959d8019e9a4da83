//! Guests that misbehave at their ends of streams: one that never reads, one that closes an end in use, one that traps
//! while others wait. What they held is counted afterwards, and others go on (R54, R56, R57, R61).

use mappable::{Frozen, GRANULE};
use wasmtime::component::StreamReader;

use super::ends::*;
use super::tasks::{block_on, both};
use crate::support::*;

const REGION: &str = "(own $mappable)";

/// Someone who has nothing to do with the misuse: a guest of another store, with a region and a stream of its own.
struct Bystander {
    scene: Scene,
    ends: (u32, u32),
    guests: [Guest; 2],
}

impl Bystander {
    fn new(setup: Setup) -> Self {
        let mut scene = Scene::new(setup, REGION);
        let guests = [scene.guest(), scene.guest()];
        let ends = scene.stream(&guests[0], &guests[1]);
        let region = scene.region(&guests[0], 0x77);
        assert_eq!(scene.write(&guests[0], ends.0, &mut [region]).unwrap(), BLOCKED);
        Self { scene, ends, guests }
    }

    /// Its write that was in progress is read, and more than that.
    fn goes_on(mut self) {
        let [writer, reader] = &self.guests;
        self.scene.expect_held(1);
        assert_eq!(self.scene.read(reader, self.ends.1, 1).unwrap(), completed(1));
        let region = self.scene.element(reader, 0);
        self.scene.expect(reader, region, 0x77);
        let region = self.scene.region(writer, 0x78);
        self.scene.expect(writer, region, 0x78);
        self.scene.expect_mappings(writer, 0);
        self.scene.expect_held(0);
    }
}

/// The store's guests have trapped: they held so many regions, nobody calls them, and with the store all is freed.
fn ended(scene: Scene, guests: &[&Guest], regions: usize, shared: Frozen) {
    let mut scene = scene;
    // R44, and the granule that the reference is to.
    scene.expect_held(regions + 1);
    for guest in guests {
        trapped(guest.call::<_, u32>(&mut scene.store, "load8", (0u32,)));
    }
    let shared = shared.thaw().unwrap_err().frozen;
    drop(scene);
    shared.thaw().expect("the store's reference is gone");
}

on_every_setup! {
    fn a_guest_that_never_reads_takes_nothing_and_stops_nobody(setup) {
        let bystander = Bystander::new(setup);
        let mut scene = Scene::new(setup, REGION);
        let (a, b, c) = (scene.guest(), scene.guest(), scene.guest());
        let (writer, reader) = scene.stream(&a, &b);
        let mut regions = [1, 2, 3].map(|byte| scene.region(&a, byte));
        assert_eq!(scene.write(&a, writer, &mut regions).unwrap(), BLOCKED);
        scene.expect_held(3);
        // R52: they are the writer's to map, to drop and to pass to whoever does read.
        scene.expect(&a, regions[0], 1);
        let given = a.give(&mut scene.store, regions[1]).unwrap();
        let passed = c.take(&mut scene.store, given).unwrap();
        scene.expect(&c, passed, 2);
        scene.expect_mappings(&a, 0);
        // The one that does not read is a guest like any other.
        let region = scene.region(&b, 9);
        scene.expect(&b, region, 9);
        scene.expect_held(1);
        // R54: the writer gives up, and has what it did not give away.
        assert_eq!(scene.does(&a, "stream-cancel-write", writer).unwrap(), cancelled(0));
        scene.close(&a, "stream-drop-writable", writer).unwrap();
        scene.expect(&a, regions[2], 3);
        scene.expect_held(0);
        assert_eq!(scene.read(&b, reader, 1).unwrap(), dropped(0));
        bystander.goes_on();
    }

    fn a_write_that_nobody_reads_goes_with_its_store(setup) {
        let bystander = Bystander::new(setup);
        let mut scene = Scene::new(setup, "(own $frozen)");
        let (a, b) = (scene.guest(), scene.guest());
        let (reader, writer) = scene.ends(&a, "stream-new");
        let end: StreamReader<mappable::FrozenHandle> = a.call(&mut scene.store, "stream-give", (reader,)).unwrap();
        let _: u32 = b.call(&mut scene.store, "stream-take", (end,)).unwrap();
        let (reference, shared) = scene.shared(&a);
        assert_eq!(scene.write(&a, writer, &mut [reference]).unwrap(), BLOCKED);
        scene.expect_held(1);
        let shared = shared.thaw().unwrap_err().frozen;
        drop(scene);
        shared.thaw().expect("the store's reference is gone");
        bystander.goes_on();
    }

    fn a_task_that_waits_for_ever_holds_what_it_has_mapped_until_its_store_goes(setup) {
        let bystander = Bystander::new(setup);
        let mut scene = Scene::new(setup, REGION);
        let (a, b) = (scene.guest(), scene.guest());
        let (_, reader) = scene.stream(&b, &a);
        let (_, shared) = scene.shared(&a);
        let region = scene.region(&a, 1);
        let hold = a.func(&mut scene.store, "hold").typed::<(u32, u32, u32), (u32,)>(&scene.store).unwrap();
        let load = a.func(&mut scene.store, "load8").typed::<(u32,), (u32,)>(&scene.store).unwrap();
        block_on(scene.store.run_concurrent(async |store| {
            let mut held = std::pin::pin!(hold.call_concurrent(store, (region, 4 * G, reader)));
            let seen = std::future::poll_fn(|cx| {
                assert!(held.as_mut().poll(cx).is_pending(), "nobody writes");
                std::task::Poll::Ready(())
            });
            seen.await;
            // The tasks are queued in order, so the other one is there. The host waits for it no longer.
            assert_eq!(load.call_concurrent(store, (4 * G,)).await.unwrap(), (8,));
        }))
        .unwrap();
        // Its region and its mapping are counted, and its instance and the other go on.
        scene.expect_held(2);
        scene.expect_mappings(&a, 1);
        a.expect(&mut scene.store, 4 * G + 1, G - 1, 1);
        for guest in [&a, &b] {
            let region = scene.region(guest, 5);
            scene.expect(guest, region, 5);
        }
        scene.expect_held(2);
        let shared = shared.thaw().unwrap_err().frozen;
        drop(scene);
        shared.thaw().expect("the store's reference is gone");
        bystander.goes_on();
    }

    fn to_close_or_pass_an_end_in_use_ends_its_store_and_no_other(setup) {
        for case in ["stream write", "stream read", "stream read, passed", "future write", "future read"] {
            let bystander = Bystander::new(setup);
            let mut scene = Scene::new(setup, REGION);
            let (a, b, c) = (scene.guest(), scene.guest(), scene.guest());
            let (_, shared) = scene.shared(&c);
            let (kind, doing) = case.split_once(' ').unwrap();
            let (writer, reader) = if kind == "stream" { scene.stream(&a, &b) } else { scene.future(&a, &b) };
            let region = scene.region(&a, 5);
            // One more is mapped in a guest that is not concerned.
            c.mapped(&mut scene.store, 4 * G, 1, 7);
            let begun = match (kind, doing) {
                ("stream", "write") => scene.write(&a, writer, &mut [region]).unwrap(),
                ("stream", _) => scene.read(&b, reader, 1).unwrap(),
                (_, "write") => {
                    a.run(&mut scene.store, "store64", (ELEMENTS, u64::from(region))).unwrap();
                    a.call(&mut scene.store, "future-write", (writer, ELEMENTS)).unwrap()
                }
                _ => b.call(&mut scene.store, "future-read", (reader, 2 * ELEMENTS)).unwrap(),
            };
            assert_eq!(begun, BLOCKED, "{case}");
            scene.expect_mappings(&c, 1);
            let error = match case {
                "stream write" => trapped(scene.close(&a, "stream-drop-writable", writer)),
                "stream read" => trapped(scene.close(&b, "stream-drop-readable", reader)),
                "future write" => trapped(scene.close(&a, "future-drop-writable", writer)),
                "future read" => trapped(scene.close(&b, "future-drop-readable", reader)),
                _ => {
                    let given: wasmtime::Result<StreamReader<mappable::Handle>> =
                        b.call(&mut scene.store, "stream-give", (reader,));
                    // The engine finds that out after the guest has returned, and lets others go on. This test does not.
                    trapped(a.call::<_, u32>(&mut scene.store, "load8", (u32::MAX,)));
                    trapped(given.map(drop))
                }
            };
            assert!(format!("{error:?}").contains("busy"), "{case}: {error:?}");
            ended(scene, &[&a, &b, &c], 2, shared);
            bystander.goes_on();
        }
    }

    fn a_trap_ends_a_task_that_waits_a_write_in_progress_and_nothing_of_another_store(setup) {
        let bystander = Bystander::new(setup);
        let mut scene = Scene::new(setup, REGION);
        let (a, b, c) = (scene.guest(), scene.guest(), scene.guest());
        let (_, shared) = scene.shared(&c);
        let (_, waited_for) = scene.stream(&b, &a);
        let (writer, reader) = scene.stream(&c, &b);
        let regions = [1, 2].map(|byte| scene.region(&c, byte));
        assert_eq!(scene.write(&c, writer, &mut regions.clone()).unwrap(), BLOCKED);
        assert_eq!(scene.read(&b, reader, 1).unwrap(), completed(1));
        let region = scene.region(&a, 3);
        let hold = a.func(&mut scene.store, "hold").typed::<(u32, u32, u32), (u32,)>(&scene.store).unwrap();
        let load = b.func(&mut scene.store, "load8").typed::<(u32,), (u32,)>(&scene.store).unwrap();
        let ended_by = block_on(scene.store.run_concurrent(async |store| {
            let held = hold.call_concurrent(store, (region, 4 * G, waited_for));
            both(held, load.call_concurrent(store, (u32::MAX,))).await
        }));
        let error = trapped(ended_by.and_then(|done| done));
        assert_eq!(error.downcast_ref(), Some(&wasmtime::Trap::MemoryOutOfBounds), "{error:?}");
        // One mapped by the task that waits, one handed over, one that was not.
        ended(scene, &[&a, &b, &c], 3, shared);
        bystander.goes_on();
    }

    fn a_read_that_its_function_left_in_progress_is_lost_when_the_host_makes_a_stream(setup) {
        // The engine's mistake: it looks for the thread that has begun the read, which is no more, and finds what the host
        // has made in its place. When this fails, the engine has been mended, and `docs/src/streams.md` need not warn.
        let mut scene = Scene::new(setup, REGION);
        let (a, b) = (scene.guest(), scene.guest());
        let (writer, reader) = scene.stream(&a, &b);
        let region = scene.region(&a, 5);
        assert_eq!(scene.read(&b, reader, 1).unwrap(), BLOCKED);
        let made = mappable::stream([scene.runtime.allocate(GRANULE).unwrap()]);
        let _: StreamReader<mappable::Handle> = StreamReader::new(&mut scene.store, made).unwrap();
        let error = trapped(scene.write(&a, writer, &mut [region]));
        assert!(format!("{error:?}").contains("resource is of another type"), "{error:?}");
        scene.expect_held(1);
    }

    fn a_write_of_what_is_no_element_traps_when_it_is_read_or_at_once_in_the_ledger(setup) {
        let mut scene = Scene::new(setup, REGION);
        let (a, b) = (scene.guest(), scene.guest());
        let (writer, reader) = scene.stream(&a, &b);
        let mapping = a.mapped(&mut scene.store, 4 * G, 1, 5);
        let written = scene.write(&a, writer, &mut [mapping]);
        if setup.is_ledger() {
            trapped(written);
        } else {
            assert_eq!(written.unwrap(), BLOCKED);
            // It can be cancelled.
            assert_eq!(scene.does(&a, "stream-cancel-write", writer).unwrap(), cancelled(0));
            assert_eq!(scene.write(&a, writer, &mut [mapping]).unwrap(), BLOCKED);
            trapped(scene.read(&b, reader, 1));
        }
        scene.expect_held(1);
        trapped(a.call::<_, u32>(&mut scene.store, "load8", (0u32,)));
    }

    fn lists_of_elements_outside_the_memory_trap_and_hand_over_nothing(setup) {
        for (name, address, count) in [
            ("stream-write", END - 4, 2u32),
            ("stream-write", u32::MAX - 3, 1),
            ("stream-read", END - 4, 2),
            ("stream-read", 4096, (1 << 28) - 1),
        ] {
            let bystander = Bystander::new(setup);
            let mut scene = Scene::new(setup, REGION);
            let (a, b) = (scene.guest(), scene.guest());
            let (_, shared) = scene.shared(&a);
            let (writer, reader) = scene.stream(&a, &b);
            let region = scene.region(&a, 5);
            let (of, end) = if name == "stream-write" { (&a, writer) } else {
                assert_eq!(scene.write(&a, writer, &mut [region]).unwrap(), BLOCKED);
                (&b, reader)
            };
            trapped(of.call::<_, u32>(&mut scene.store, name, (end, address, count)));
            ended(scene, &[&a, &b], 1, shared);
            bystander.goes_on();
        }
    }
}
