//! How the bytes of regions are reached: by loads, stores and bulk instructions, as lists, by answers of calls, and by
//! `read` and `write`.

use mappable::GRANULE;

use super::{expect_painted, paint};
use crate::support::{G, Guest, PAGES, Setup, World, on_every_setup};

on_every_setup! {
    fn fresh_regions_are_zero(setup) {
        let (mut world, guest) = World::with_guest(setup);
        for _ in 0..10 {
            let region = guest.allocate(&mut world, 3 * GRANULE).unwrap();
            let mapping = guest.map(&mut world, region, 4 * G, 3 * G).unwrap();
            guest.expect(&mut world, 4 * G, 3 * G, 0);
            guest.fill(&mut world, 4 * G, 0xff, 3 * G);
            let region = guest.unmap(&mut world, mapping, 4 * G, 3 * G).unwrap();
            guest.run(&mut world, "drop-mappable", (region,)).unwrap();
            let mut region = world.runtime().allocate(3 * GRANULE).unwrap();
            assert!(region.bytes().unwrap().iter().all(|&byte| byte == 0));
            region.bytes_mut().unwrap().fill(0xfe);
        }
    }

    fn an_answer_under_the_placement_goes_to_the_heap_or_the_region_and_nowhere_else(setup) {
        // What the WIT tells guests not to do. Swapping, the engine writes through the old base; remapping, as the
        // first time, there is but one.
        for times_before in [0, 2] {
            let (mut world, guest) = World::with_guest(setup);
            let (mut other, bystander) = World::with_guest(setup);
            let kept = bystander.mapped(&mut other, 4 * G, 1, 0x42);
            let region = world.region(1, 0x55);
            let handle = world.insert(region);
            let mut region = guest.take(&mut world, handle).unwrap();
            for _ in 0..times_before {
                let mapping = guest.map(&mut world, region, 4 * G, G).unwrap();
                region = guest.unmap(&mut world, mapping, 4 * G, G).unwrap();
            }
            guest.run(&mut world, "set-ret", (4 * G + 8,)).unwrap();
            guest.fill(&mut world, 4 * G, 0x77, G);
            let _unread: u64 = guest.call(&mut world, "map", (region, 4 * G, G)).unwrap();
            let seen = [8, 12].map(|at| guest.load(&mut world, 4 * G + at));
            let swapped = setup.swaps() && times_before > 0;
            assert_eq!(seen[0] == 0x55 && seen[1] == 0x55, swapped, "{seen:x?} after {times_before} times");
            guest.expect(&mut world, 4 * G + 20, G - 20, 0x55);
            assert_eq!(world.held(), (1, GRANULE));
            bystander.expect(&mut other, 4 * G, G, 0x42);
            bystander.unmap(&mut other, kept, 4 * G, G).unwrap();
        }
    }

    fn bulk_and_vector_instructions_cross_the_borders(setup) {
        let (mut world, guest) = World::with_guest(setup);
        paint(&guest, &mut world, 1..PAGES);
        let mapping = guest.mapped(&mut world, 4 * G, 2, 0x41);
        // From the heap into the region, from the region onto the heap, over a border, and within.
        guest.run(&mut world, "copy", (4 * G + 100, 2 * G, 200u32)).unwrap();
        guest.expect(&mut world, 4 * G + 100, 200, 0x12);
        guest.run(&mut world, "copy", (9 * G, 4 * G + 50, 100u32)).unwrap();
        guest.expect(&mut world, 9 * G, 50, 0x41);
        guest.expect(&mut world, 9 * G + 50, 50, 0x12);
        guest.fill(&mut world, 6 * G - 10, 0x55, 20);
        guest.expect(&mut world, 6 * G - 10, 20, 0x55);
        guest.run(&mut world, "store128", (4 * G - 8, 3u32)).unwrap();
        assert_eq!(guest.call::<_, u32>(&mut world, "sum128", (4 * G - 8,)).unwrap(), 48);
        assert_eq!(guest.call::<_, u32>(&mut world, "sum128", (4 * G,)).unwrap(), 8 * 3 + 8 * 0x41);
        guest.run(&mut world, "store64", (4 * G - 4, 0x0807_0605_0403_0201u64)).unwrap();
        assert_eq!(guest.load(&mut world, 4 * G), 5);
        let region = guest.unmap(&mut world, mapping, 4 * G, 2 * G).unwrap();
        // Each half went where it belongs.
        assert_eq!(guest.load(&mut world, 4 * G - 1), 4);
        expect_painted(&guest, &mut world, 4..6);
        guest.expect(&mut world, 6 * G, 10, 0x55);
        let handle = guest.give(&mut world, region).unwrap();
        let region = world.remove(handle);
        let bytes = region.bytes().unwrap();
        assert_eq!(bytes[..9], [5, 6, 7, 8, 3, 3, 3, 3, 0x41]);
        assert!(bytes[131_062..].iter().all(|&byte| byte == 0x55));
        assert!(bytes[100..300].iter().all(|&byte| byte == 0x12));
    }

    fn a_slice_of_a_mapped_region_is_a_list(setup) {
        let (mut world, guest) = World::with_guest(setup);
        guest.fill(&mut world, 3 * G, 1, 4 * G);
        let mapping = guest.mapped(&mut world, 4 * G, 1, 2);
        let sum = |world: &mut World, at: u32, len: u32| guest.call::<_, u64>(world, "sum", (at, len)).unwrap();
        assert_eq!(sum(&mut world, 4 * G, G), 2 * GRANULE);
        assert_eq!(sum(&mut world, 3 * G, 3 * G), 4 * GRANULE);
        assert_eq!(sum(&mut world, 4 * G - 5, 10), 15);
        guest.unmap(&mut world, mapping, 4 * G, G).unwrap();
        assert_eq!(sum(&mut world, 3 * G, 3 * G), 3 * GRANULE);
    }

    fn read_and_write_reach_a_region_that_is_not_mapped(setup) {
        let (mut world, guest) = World::with_guest(setup);
        read_and_write(&guest, &mut world);
    }

    fn a_read_is_bounded(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let region = guest.allocate(&mut world, 1 << 30).unwrap();
        let read = |world: &mut World, offset: u64, len: u32| {
            guest.call::<_, i64>(world, "read", (region, offset, len, 4 * G)).unwrap()
        };
        // Error 1 is list-too-long, error 0 range-outside-region.
        assert_eq!(read(&mut world, 0, (16 << 20) + 1), -2);
        assert_eq!(read(&mut world, 0, u32::MAX), -1);
        assert_eq!(read(&mut world, (1 << 30) - 5, 5), 5);
    }

    fn read_and_write_between_regions_one_of_them_mapped(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let other = guest.allocate(&mut world, 2 * GRANULE).unwrap();
        let mapping = guest.mapped(&mut world, 4 * G, 2, 0x31);
        // The list's bytes come from a mapped region, and go to one.
        assert_eq!(guest.call::<_, i64>(&mut world, "write", (other, 9u64, 4 * G, 2 * G - 9)).unwrap(), 0);
        guest.fill(&mut world, 4 * G, 0x32, 2 * G);
        assert_eq!(guest.call::<_, i64>(&mut world, "read", (other, 0u64, 100_000u32, 4 * G + 10)).unwrap(), 100_000);
        guest.expect(&mut world, 4 * G, 10, 0x32);
        guest.expect(&mut world, 4 * G + 10, 9, 0);
        guest.expect(&mut world, 4 * G + 19, 99_991, 0x31);
        guest.expect(&mut world, 4 * G + 100_010, 2 * G - 100_010, 0x32);
        guest.unmap(&mut world, mapping, 4 * G, 2 * G).unwrap();
    }
}

fn read_and_write(guest: &Guest, world: &mut World) {
    const FROM: u32 = 2 * G;
    const TO: u32 = 8 * G;
    guest.fill(world, FROM, 0x61, 2 * G);
    let region = guest.allocate(world, 2 * GRANULE).unwrap();
    let write = |world: &mut World, offset: u64, len: u32| {
        guest.call::<_, i64>(world, "write", (region, offset, FROM, len)).unwrap()
    };
    let read = |world: &mut World, offset: u64, len: u32| {
        guest.call::<_, i64>(world, "read", (region, offset, len, TO)).unwrap()
    };
    assert_eq!(write(world, 10, 100_000), 0);
    assert_eq!(read(world, 0, 2 * G), i64::from(2 * G));
    guest.expect(world, TO, 10, 0);
    guest.expect(world, TO + 10, 100_000, 0x61);
    guest.expect(world, TO + 100_010, 2 * G - 100_010, 0);
    assert_eq!(read(world, 2 * GRANULE, 0), 0);
    assert_eq!(write(world, 2 * GRANULE, 0), 0);
    // Past the end: nothing is done.
    guest.fill(world, TO, 0x62, 2 * G);
    for (offset, len) in [(0, 2 * G + 1), (2 * GRANULE, 1), (2 * GRANULE + 1, 0), (u64::MAX, 1), (u64::MAX - 5, 10)] {
        assert_eq!(read(world, offset, len), -1, "{offset} {len}");
        assert_eq!(write(world, offset, len), -1, "{offset} {len}");
    }
    guest.expect(world, TO, 2 * G, 0x62);
    let handle = guest.give(world, region).unwrap();
    let region = world.remove(handle);
    let written = region.bytes().unwrap().iter().filter(|&&byte| byte == 0x61).count();
    assert_eq!(written, 100_000);
}
