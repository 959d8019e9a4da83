//! Guest to guest: an element is handed over when a read and a write meet, and not before (R52 to R57, R59).

use mappable::{GRANULE, Limits};
use wasmtime::component::StreamReader;

use super::ends::*;
use crate::support::*;

const REGION: &str = "(own $mappable)";

on_every_setup! {
    fn elements_are_the_writers_until_they_are_read_and_then_the_readers(setup) {
        let mut scene = Scene::new(setup, REGION);
        let (a, b) = (scene.guest(), scene.guest());
        let (writer, reader) = scene.stream(&a, &b);
        let mut regions = [1, 2, 3].map(|byte| scene.region(&a, byte));
        assert_eq!(scene.write(&a, writer, &mut regions).unwrap(), BLOCKED);
        // It is still the writer's, to map and unmap: and has another byte when it is read. (If the engine gives the handle the
        // number again that it had.)
        let mut first = 1;
        if !setup.is_ledger() {
            let mapping = a.map(&mut scene.store, regions[0], 4 * G, G).unwrap();
            a.fill(&mut scene.store, 4 * G, 9, G);
            assert_eq!(a.unmap(&mut scene.store, mapping, 4 * G, G), Ok(regions[0]));
            first = 9;
        }

        // R54: no more than there is room for.
        assert_eq!(scene.read(&b, reader, 2).unwrap(), completed(2));
        // R55: the writer was not told yet.
        for (number, byte) in [(0, first), (1, 2)] {
            let region = scene.element(&b, number);
            scene.expect(&b, region, byte);
        }
        scene.expect_held(1);
        // The rest is cancelled: two were handed over, and the third is the writer's as before.
        assert_eq!(scene.does(&a, "stream-cancel-write", writer).unwrap(), cancelled(2));
        scene.expect(&a, regions[2], 3);
        // Nobody has what was handed over twice.
        scene.expect_held(0);
        let error = trapped(a.give(&mut scene.store, regions[0]));
        assert!(format!("{error:?}").contains("unknown"), "{error:?}");
    }

    fn a_read_that_was_there_first_gets_what_is_written(setup) {
        let mut scene = Scene::new(setup, REGION);
        let (a, b) = (scene.guest(), scene.guest());
        let (writer, reader) = scene.stream(&a, &b);
        assert_eq!(scene.read(&b, reader, 4).unwrap(), BLOCKED);
        let mut regions = [1, 2].map(|byte| scene.region(&a, byte));
        assert_eq!(scene.write(&a, writer, &mut regions[..1]).unwrap(), completed(1));
        assert_eq!(scene.write(&a, writer, &mut regions[1..]).unwrap(), completed(1));
        // R55: neither was told.
        let first = scene.element(&b, 0);
        scene.expect(&b, first, 1);
        assert_eq!(scene.does(&b, "stream-cancel-read", reader).unwrap(), cancelled(2));
        let second = scene.element(&b, 1);
        scene.expect(&b, second, 2);
        scene.close(&a, "stream-drop-writable", writer).unwrap();
        assert_eq!(scene.read(&b, reader, 1).unwrap(), dropped(0));
        scene.close(&b, "stream-drop-readable", reader).unwrap();
        scene.expect_held(0);
    }

    fn an_element_that_is_mapped_or_gone_when_it_is_read_traps_the_reader(setup) {
        for case in ["mapped", "dropped", "frozen", "a mapping"] {
            let mut scene = Scene::new(setup, REGION);
            let (a, b) = (scene.guest(), scene.guest());
            let (writer, reader) = scene.stream(&a, &b);
            let good = scene.region(&a, 1);
            let bad = scene.region(&a, 2);
            let mut both = [good, bad];
            assert_eq!(scene.write(&a, writer, &mut both).unwrap(), BLOCKED, "{case}");
            let bad = both[1];
            match case {
                "mapped" | "a mapping" => _ = a.map(&mut scene.store, bad, 4 * G, G).unwrap(),
                "dropped" => a.run(&mut scene.store, "drop-mappable", (bad,)).unwrap(),
                _ => _ = a.freeze(&mut scene.store, bad),
            }
            trapped(scene.read(&b, reader, 2));
            // R61: the store ended, with both of its instances.
            trapped(scene.does(&a, "stream-cancel-write", writer));
            trapped(scene.read(&b, reader, 1));
        }
    }

    fn an_element_that_is_mapped_when_it_is_written_traps_the_writer_if_it_is_waited_for(setup) {
        let mut scene = Scene::new(setup, REGION);
        let (a, b) = (scene.guest(), scene.guest());
        let (writer, reader) = scene.stream(&a, &b);
        assert_eq!(scene.read(&b, reader, 2).unwrap(), BLOCKED);
        let mapping = a.mapped(&mut scene.store, 4 * G, 1, 7);
        trapped(scene.write(&a, writer, &mut [mapping]));
        trapped(scene.read(&b, reader, 1));
    }

    fn a_reader_that_goes_leaves_the_writer_what_it_did_not_read(setup) {
        for read in 0..=3 {
            let mut scene = Scene::new(setup, REGION);
            let (a, b) = (scene.guest(), scene.guest());
            let (writer, reader) = scene.stream(&a, &b);
            let mut regions = [1, 2, 3].map(|byte| scene.region(&a, byte));
            assert_eq!(scene.write(&a, writer, &mut regions).unwrap(), BLOCKED);
            if read > 0 {
                assert_eq!(scene.read(&b, reader, read).unwrap(), completed(read));
            }
            for number in 0..read {
                let region = scene.element(&b, number);
                scene.expect(&b, region, number as u8 + 1);
            }
            scene.close(&b, "stream-drop-readable", reader).unwrap();
            scene.expect_held(3 - read as usize);
            let told = scene.does(&a, "stream-cancel-write", writer).unwrap();
            assert_eq!(told >> 4, read, "{told:#x}");
            for number in read..3 {
                scene.expect(&a, regions[number as usize], number as u8 + 1);
            }
            scene.close(&a, "stream-drop-writable", writer).unwrap();
            scene.expect_held(0);
        }
    }

    fn a_write_to_a_stream_that_is_closed_hands_over_nothing(setup) {
        let mut scene = Scene::new(setup, REGION);
        let (a, b) = (scene.guest(), scene.guest());
        let (writer, reader) = scene.stream(&a, &b);
        scene.close(&b, "stream-drop-readable", reader).unwrap();
        let mut region = [scene.region(&a, 5)];
        assert_eq!(scene.write(&a, writer, &mut region).unwrap(), dropped(0));
        scene.expect(&a, region[0], 5);
        scene.close(&a, "stream-drop-writable", writer).unwrap();
        scene.expect_held(0);
    }

    fn an_end_with_an_operation_in_progress_is_not_closed(setup) {
        for (writes, name) in [(true, "stream-drop-writable"), (false, "stream-drop-readable")] {
            let mut scene = Scene::new(setup, REGION);
            let (a, b) = (scene.guest(), scene.guest());
            let (writer, reader) = scene.stream(&a, &b);
            if writes {
                let region = scene.region(&a, 5);
                assert_eq!(scene.write(&a, writer, &mut [region]).unwrap(), BLOCKED);
                trapped(scene.close(&a, name, writer));
            } else {
                assert_eq!(scene.read(&b, reader, 1).unwrap(), BLOCKED);
                trapped(scene.close(&b, name, reader));
            }
        }
    }

    fn a_future_hands_over_one(setup) {
        for is_read in [true, false] {
            let mut scene = Scene::new(setup, REGION);
            let (a, b) = (scene.guest(), scene.guest());
            let (writer, reader) = scene.future(&a, &b);
            let region = scene.region(&a, 5);
            a.run(&mut scene.store, "store64", (ELEMENTS, u64::from(region))).unwrap();
            let written: u32 = a.call(&mut scene.store, "future-write", (writer, ELEMENTS)).unwrap();
            assert_eq!(written, BLOCKED);
            if is_read {
                let read: u32 = b.call(&mut scene.store, "future-read", (reader, 2 * ELEMENTS)).unwrap();
                assert_eq!(read, 0);
                let region = scene.element(&b, 0);
                scene.expect(&b, region, 5);
            }
            scene.close(&b, "future-drop-readable", reader).unwrap();
            let told = scene.does(&a, "future-cancel-write", writer).unwrap();
            assert_eq!(told, u32::from(!is_read));
            if !is_read {
                let region = a.call::<_, u64>(&mut scene.store, "load64", (ELEMENTS,)).unwrap() as u32;
                scene.expect(&a, region, 5);
            }
            scene.close(&a, "future-drop-writable", writer).unwrap();
            scene.expect_held(0);
        }
    }

    fn a_future_without_a_value_is_not_closed_by_its_writer(setup) {
        let mut scene = Scene::new(setup, REGION);
        let (a, b) = (scene.guest(), scene.guest());
        let (writer, _) = scene.future(&a, &b);
        let error = trapped(scene.close(&a, "future-drop-writable", writer));
        assert!(format!("{error:?}").contains("without first writing a value"), "{error:?}");
    }

    fn one_instance_can_not_read_what_it_writes(setup) {
        let mut scene = Scene::new(setup, REGION);
        let a = scene.guest();
        let (reader, writer) = scene.ends(&a, "stream-new");
        let region = scene.region(&a, 5);
        assert_eq!(scene.write(&a, writer, &mut [region]).unwrap(), BLOCKED);
        let error = trapped(scene.read(&a, reader, 1));
        assert!(format!("{error:?}").contains("intra-component"), "{error:?}");
    }

    fn references_keep_their_block_and_their_length(setup) {
        let mut scene = Scene::new(setup, "(own $frozen)");
        let (a, b) = (scene.guest(), scene.guest());
        let (reader, writer) = scene.ends(&a, "stream-new");
        let end: StreamReader<mappable::FrozenHandle> = a.call(&mut scene.store, "stream-give", (reader,)).unwrap();
        let reader: u32 = b.call(&mut scene.store, "stream-take", (end,)).unwrap();
        let whole = a.frozen(&mut scene.store, 4 * G, 2, 6);
        let slice = a.slice(&mut scene.store, whole, GRANULE, 100).unwrap();
        assert_eq!(scene.write(&a, writer, &mut [slice]).unwrap(), BLOCKED);
        assert_eq!(scene.read(&b, reader, 1).unwrap(), completed(1));
        let came = scene.element(&b, 0);
        assert_eq!(b.len_frozen(&mut scene.store, came), 100);
        // R34: it counts.
        let whole = a.thaw(&mut scene.store, whole).unwrap_err();
        let mapping = b.map_frozen(&mut scene.store, came, 4 * G, G).unwrap();
        b.expect(&mut scene.store, 4 * G, G, 6);
        let came = b.unmap_frozen(&mut scene.store, mapping, 4 * G, G).unwrap();
        b.run(&mut scene.store, "drop-frozen", (came,)).unwrap();
        a.thaw(&mut scene.store, whole).unwrap();
    }

    fn a_mapping_that_came_by_a_stream_is_of_no_use_but_to_drop(setup) {
        let mut scene = Scene::new(setup, "(own $mapping)");
        let (a, b) = (scene.guest(), scene.guest());
        let (reader, writer) = scene.ends(&a, "stream-new");
        let end: wasmtime::component::StreamReader<wasmtime::component::Resource<mappable::Mapping>> =
            a.call(&mut scene.store, "stream-give", (reader,)).unwrap();
        let reader: u32 = b.call(&mut scene.store, "stream-take", (end,)).unwrap();
        let mapping = a.mapped(&mut scene.store, 4 * G, 1, 6);
        assert_eq!(scene.write(&a, writer, &mut [mapping]).unwrap(), BLOCKED);
        assert_eq!(scene.read(&b, reader, 1).unwrap(), completed(1));
        let came = scene.element(&b, 0);
        b.run(&mut scene.store, "drop-mapping", (came,)).unwrap();
        // R25: it is shown until the next change.
        a.expect(&mut scene.store, 4 * G, G, 6);
        scene.expect_held(1);
        // R28: it is freed at the second.
        a.mapped_and_unmapped(&mut scene.store);
        scene.expect_held(0);
        foreign(setup);
    }

    fn a_record_goes_with_its_region(setup) {
        let mut scene = Scene::new(setup, "(tuple (own $mappable) u32)");
        let (a, b) = (scene.guest(), scene.guest());
        let (reader, writer) = scene.ends(&a, "stream-new");
        let end: StreamReader<(mappable::Handle, u32)> = a.call(&mut scene.store, "stream-give", (reader,)).unwrap();
        let reader: u32 = b.call(&mut scene.store, "stream-take", (end,)).unwrap();
        let region = scene.region(&a, 7);
        a.run(&mut scene.store, "store64", (ELEMENTS, u64::from(region) | 99 << 32)).unwrap();
        let written: u32 = a.call(&mut scene.store, "stream-write", (writer, ELEMENTS, 1u32)).unwrap();
        assert_eq!(written, BLOCKED);
        assert_eq!(scene.read(&b, reader, 3).unwrap(), completed(1));
        assert_eq!(scene.element(&b, 1), 99);
        let region = scene.element(&b, 0);
        scene.expect(&b, region, 7);
        scene.expect_held(0);
    }

    fn what_comes_by_a_stream_is_counted_where_it_was(setup) {
        // R43, R57: the store had it before, so nothing is refused.
        let mut scene = Scene::new(setup, REGION);
        let (a, b) = (scene.guest(), scene.guest());
        let (writer, reader) = scene.stream(&a, &b);
        let region = scene.region(&a, 1);
        scene.store.data_mut().mappable.set_limits(Limits::default().regions(1).mappings(1));
        assert_eq!(scene.write(&a, writer, &mut [region]).unwrap(), BLOCKED);
        assert_eq!(a.allocate(&mut scene.store, GRANULE), Err(1));
        assert_eq!(scene.read(&b, reader, 1).unwrap(), completed(1));
        assert_eq!(a.allocate(&mut scene.store, GRANULE), Err(1));
        let region = scene.element(&b, 0);
        scene.expect(&b, region, 1);
        let region = a.allocate(&mut scene.store, GRANULE).unwrap();
        // No mapping is left either.
        scene.expect(&a, region, 0);
        scene.expect_held(0);
    }
}

/// R3: a mapping that came is not unmapped.
fn foreign(setup: Setup) {
    let mut scene = Scene::new(setup, "(own $mapping)");
    let (a, b) = (scene.guest(), scene.guest());
    let (reader, writer) = scene.ends(&a, "stream-new");
    let end: StreamReader<wasmtime::component::Resource<mappable::Mapping>> =
        a.call(&mut scene.store, "stream-give", (reader,)).unwrap();
    let reader: u32 = b.call(&mut scene.store, "stream-take", (end,)).unwrap();
    let mapping = a.mapped(&mut scene.store, 4 * G, 1, 6);
    assert_eq!(scene.write(&a, writer, &mut [mapping]).unwrap(), BLOCKED);
    assert_eq!(scene.read(&b, reader, 1).unwrap(), completed(1));
    let came = scene.element(&b, 0);
    foreign_mapping(b.try_unmap(&mut scene.store, came, 4 * G, G));
}

#[test]
fn a_stream_of_borrowed_elements_is_nobodys_result() {
    let runtime = mappable::Runtime::new().unwrap();
    let error = runtime.compile(guest("16", "(borrow $mappable)").as_bytes()).map(drop).unwrap_err();
    let error = format!("{:#}", anyhow::Error::new(error));
    assert!(error.contains("cannot contain a `borrow` type"), "{error}");
}
