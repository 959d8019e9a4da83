//! While a region is mapped, its placement is the region, for everything that a guest does; the rest is the heap.

use mappable::{GRANULE, MappingMode, Runtime};
use wasmtime::Trap;

use crate::support::{END, Fixture, G, Guest, MapError, PAGES, Setup, World, on_every_setup, trap_is, trapped};

/// The heap around placements, a byte for each granule, so that a page that is out of place shows.
fn paint(guest: &Guest, world: &mut World, granules: std::ops::Range<u32>) {
    for at in granules {
        guest.fill(world, at * G, 0x10 + at as u8, G);
    }
}

#[track_caller]
fn expect_painted(guest: &Guest, world: &mut World, granules: std::ops::Range<u32>) {
    for at in granules {
        guest.expect(world, at * G, G, 0x10 + at as u8);
    }
}

/// Every call here is out of bounds, of a memory that ends at `end`.
fn expect_out_of_bounds(setup: Setup, prepare: fn(&Guest, &mut World) -> u32) {
    type Access = fn(&Guest, &mut World, u32) -> wasmtime::Result<()>;
    let accesses: [Access; 9] = [
        |guest, world, end| guest.call::<_, u32>(world, "load8", (end,)).map(drop),
        |guest, world, _| guest.call::<_, u32>(world, "load8", (u32::MAX,)).map(drop),
        |guest, world, end| guest.call::<_, u64>(world, "load64", (end - 4,)).map(drop),
        |guest, world, end| guest.run(world, "store8", (end, 1u32)),
        |guest, world, end| guest.run(world, "store128", (end - 15, 1u32)),
        |guest, world, end| guest.call::<_, u32>(world, "load8-far", (end - 0x10000,)).map(drop),
        |guest, world, _| guest.call::<_, u32>(world, "load8-farther", (u32::MAX,)).map(drop),
        |guest, world, end| guest.run(world, "fill", (end - 10, 1u32, 11u32)),
        |guest, world, end| guest.run(world, "copy", (0x4000u32, end - 10, 11u32)),
    ];
    let (mut bystanders, bystander) = World::with_guest(setup);
    let kept = bystander.mapped(&mut bystanders, 2 * G, 1, 0x42);
    for access in accesses {
        let (mut world, guest) = World::with_guest(setup);
        let end = prepare(&guest, &mut world);
        // The last byte is there.
        guest.store(&mut world, end - 1, 7);
        assert_eq!(guest.load(&mut world, end - 1), 7);
        trap_is(access(&guest, &mut world, end), Trap::MemoryOutOfBounds);
        bystander.expect(&mut bystanders, 2 * G, G, 0x42);
    }
    bystander.unmap(&mut bystanders, kept, 2 * G, G).unwrap();
}

/// All orders of three things.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

on_every_setup! {
    fn an_unmapped_placement_shows_the_heap_again(setup) {
        let (mut world, guest) = World::with_guest(setup);
        paint(&guest, &mut world, 1..PAGES);
        let mut region = guest.allocate(&mut world, 2 * GRANULE).unwrap();
        for round in 0..4u8 {
            let mapping = guest.map(&mut world, region, 3 * G, 2 * G).unwrap();
            guest.expect(&mut world, 3 * G, 2 * G, round);
            expect_painted(&guest, &mut world, 1..3);
            expect_painted(&guest, &mut world, 5..PAGES);
            guest.fill(&mut world, 3 * G, round + 1, 2 * G);
            region = guest.unmap(&mut world, mapping, 3 * G, 2 * G).unwrap();
            expect_painted(&guest, &mut world, 1..PAGES);
        }
    }

    fn what_is_written_to_the_heap_while_mapped_stays(setup) {
        let (mut world, guest) = World::with_guest(setup);
        paint(&guest, &mut world, 1..PAGES);
        let mapping = guest.mapped(&mut world, 3 * G, 2, 0x99);
        guest.fill(&mut world, 5 * G, 0x88, G);
        guest.store(&mut world, 3 * G - 1, 0x87);
        guest.unmap(&mut world, mapping, 3 * G, 2 * G).unwrap();
        guest.expect(&mut world, 5 * G, G, 0x88);
        assert_eq!(guest.load(&mut world, 3 * G - 1), 0x87);
        expect_painted(&guest, &mut world, 3..5);
    }

    fn not_one_instruction_runs_on_the_old_base(setup) {
        let (mut world, guest) = World::with_guest(setup);
        guest.fill(&mut world, 4 * G, 0x0e, G);
        let region = world.region(1, 0x0f);
        let handle = world.insert(region);
        let mut handle = guest.take(&mut world, handle).unwrap();
        for _ in 0..3 {
            // Handles keep their representation, and the guest its indices: one in, one out.
            let at: u32 = guest.call(&mut world, "map-and-load", (handle, 4 * G, G, 4 * G + 77)).unwrap();
            assert_eq!(at, 0x0f);
            let mapping = guest.call::<_, u32>(&mut world, "load8", (1028u32,)).unwrap();
            let at: u32 = guest.call(&mut world, "unmap-and-load", (mapping, 4 * G, G, 4 * G + 77)).unwrap();
            assert_eq!(at, 0x0e);
            handle = guest.call::<_, u32>(&mut world, "load8", (1028u32,)).unwrap();
        }
    }

    fn a_region_moves_to_another_placement(setup) {
        let (mut world, guest) = World::with_guest(setup);
        paint(&guest, &mut world, 1..PAGES);
        let mut region = guest.allocate(&mut world, GRANULE).unwrap();
        for at in [2, 9, 2, 15, 9, 1] {
            let mapping = guest.map(&mut world, region, at * G, G).unwrap();
            guest.store(&mut world, at * G + 5, guest_byte(at));
            region = guest.unmap(&mut world, mapping, at * G, G).unwrap();
            let mapping = guest.map(&mut world, region, 5 * G, G).unwrap();
            assert_eq!(guest.load(&mut world, 5 * G + 5), guest_byte(at));
            region = guest.unmap(&mut world, mapping, 5 * G, G).unwrap();
            expect_painted(&guest, &mut world, 1..PAGES);
        }
    }

    fn heap_grown_while_mapped_shows_in_every_view(setup) {
        let (mut world, guest) = World::with_guest(setup);
        paint(&guest, &mut world, 1..PAGES);
        // Views with this, that, both and neither, all built before the memory grows.
        let [mut first, mut second] = [0x71u8, 0x72].map(|byte| {
            let region = world.region(1, byte);
            let handle = world.insert(region);
            guest.take(&mut world, handle).unwrap()
        });
        let mut pages = PAGES;
        for round in 0..4 {
            let mapped = guest.map(&mut world, first, 4 * G, G).unwrap();
            if round > 0 {
                assert_eq!(guest.grow(&mut world, 1), pages as i32);
                guest.expect(&mut world, pages * G, G, 0);
                paint(&guest, &mut world, pages..pages + 1);
                pages += 1;
            }
            let both = guest.map(&mut world, second, 6 * G, G).unwrap();
            expect_painted(&guest, &mut world, 7..pages);
            if round > 0 {
                assert_eq!(guest.grow(&mut world, 2), pages as i32);
                guest.expect(&mut world, pages * G, 2 * G, 0);
                paint(&guest, &mut world, pages..pages + 2);
                pages += 2;
            }
            guest.expect(&mut world, 4 * G, G, 0x71);
            guest.expect(&mut world, 6 * G, G, 0x72);
            first = guest.unmap(&mut world, mapped, 4 * G, G).unwrap();
            expect_painted(&guest, &mut world, 7..pages);
            guest.expect(&mut world, 6 * G, G, 0x72);
            second = guest.unmap(&mut world, both, 6 * G, G).unwrap();
            expect_painted(&guest, &mut world, 1..pages);
            assert_eq!(guest.grow(&mut world, 1), pages as i32);
            paint(&guest, &mut world, pages..pages + 1);
            pages += 1;
            assert_eq!(guest.call::<_, u32>(&mut world, "pages", ()).unwrap(), pages);
        }
        // Into pages that came by growth.
        let mapped = guest.map(&mut world, first, (pages - 1) * G, G).unwrap();
        guest.expect(&mut world, (pages - 1) * G, G, 0x71);
        expect_painted(&guest, &mut world, 1..pages - 1);
        guest.unmap(&mut world, mapped, (pages - 1) * G, G).unwrap();
        expect_painted(&guest, &mut world, 1..pages);
    }

    fn regions_mapped_at_once_go_in_any_order(setup) {
        let (mut world, guest) = World::with_guest(setup);
        paint(&guest, &mut world, 1..PAGES);
        let places = [(2, 2), (4, 1), (9, 3)];
        let mut handles: Vec<u32> = vec![];
        for (n, (_, granules)) in places.into_iter().enumerate() {
            let region = world.region(granules.into(), 0x81 + n as u8);
            let handle = world.insert(region);
            handles.push(guest.take(&mut world, handle).unwrap());
        }
        for (up, down) in ORDERS.into_iter().flat_map(|up| ORDERS.map(|down| (up, down))) {
            for n in up {
                handles[n] = guest.map(&mut world, handles[n], places[n].0 * G, places[n].1 * G).unwrap();
            }
            expect_painted(&guest, &mut world, 1..2);
            expect_painted(&guest, &mut world, 5..9);
            expect_painted(&guest, &mut world, 12..PAGES);
            let mut left = vec![0, 1, 2];
            for n in down {
                for &n in &left {
                    guest.expect(&mut world, places[n].0 * G, places[n].1 * G, 0x81 + n as u8);
                }
                handles[n] = guest.unmap(&mut world, handles[n], places[n].0 * G, places[n].1 * G).unwrap();
                left.retain(|&other| other != n);
                expect_painted(&guest, &mut world, places[n].0..places[n].0 + places[n].1);
            }
            expect_painted(&guest, &mut world, 1..PAGES);
        }
    }

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

    fn a_failed_map_gives_the_handle_back_and_changes_nothing(setup) {
        let (mut world, guest) = World::with_guest(setup);
        paint(&guest, &mut world, 1..PAGES);
        guest.mapped(&mut world, 6 * G, 2, 0xa6);
        let region = world.region(2, 0xb7);
        let handle = world.insert(region);
        let mut region = guest.take(&mut world, handle).unwrap();
        use MapError::{Misaligned, Overlaps, TooSmall};
        for (at, len, error) in [
            (2 * G + 1, 2 * G, Misaligned),
            (2 * G - 1, 2 * G, Misaligned),
            (2 * G + 4096, 2 * G, Misaligned),
            (2 * G, 2 * G + 1, Misaligned),
            (2 * G, 2 * G - 1, Misaligned),
            (2 * G, 0, Misaligned),
            (2 * G + 1, 0, Misaligned),
            (END, 0, Misaligned),
            (0, 0, Misaligned),
            (6 * G, 0, Misaligned),
            (2 * G, G, TooSmall),
            (END - G, G, TooSmall),
            (6 * G, G, TooSmall),
            (6 * G, 2 * G, Overlaps),
            (5 * G, 2 * G, Overlaps),
            (7 * G, 2 * G, Overlaps),
            (5 * G, 9 * G, Overlaps),
            (6 * G + 7, 2 * G, Misaligned),
        ] {
            let (back, found) = guest.map(&mut world, region, at, len).unwrap_err();
            assert_eq!(found, error, "at {at:#x}, {len:#x} long");
            region = back;
            assert_eq!(guest.call::<_, u64>(&mut world, "size", (region,)).unwrap(), 2 * GRANULE);
            expect_painted(&guest, &mut world, 1..6);
            guest.expect(&mut world, 6 * G, 2 * G, 0xa6);
            expect_painted(&guest, &mut world, 8..PAGES);
            assert_eq!(world.held(), (2, 4 * GRANULE));
        }
        // Next to the other on either side is fine.
        for at in [4 * G, 8 * G, END - 2 * G] {
            let mapping = guest.map(&mut world, region, at, 2 * G).unwrap();
            guest.expect(&mut world, at, 2 * G, 0xb7);
            guest.expect(&mut world, 6 * G, 2 * G, 0xa6);
            region = guest.unmap(&mut world, mapping, at, 2 * G).unwrap();
        }
    }

    fn a_failed_unmap_gives_the_handle_back_and_changes_nothing(setup) {
        let (mut world, guest) = World::with_guest(setup);
        paint(&guest, &mut world, 1..PAGES);
        guest.mapped(&mut world, 9 * G, 2, 0xa9);
        let mut mapping = guest.mapped(&mut world, 4 * G, 2, 0xa4);
        for (at, len) in [(9 * G, 2 * G), (5 * G, G), (3 * G, 3 * G), (4 * G + 1, G), (4 * G, 0), (0, 0), (END, 0)] {
            let (back, found) = guest.unmap(&mut world, mapping, at, len).unwrap_err();
            assert_eq!(found, MapError::Mismatch, "at {at:#x}, {len:#x} long");
            mapping = back;
            expect_painted(&guest, &mut world, 1..4);
            guest.expect(&mut world, 4 * G, 2 * G, 0xa4);
            expect_painted(&guest, &mut world, 6..9);
            guest.expect(&mut world, 9 * G, 2 * G, 0xa9);
        }
        guest.unmap(&mut world, mapping, 4 * G, 2 * G).unwrap();
        expect_painted(&guest, &mut world, 1..9);
    }

    fn a_placement_past_the_end_traps(setup) {
        for (at, len) in [(END, G), (END - G, 2 * G), (0, u32::MAX), (u32::MAX, 1), (END + G, 0)] {
            let (mut world, guest) = World::with_guest(setup);
            let region = guest.allocate(&mut world, GRANULE).unwrap();
            let error = format!("{:?}", trapped(guest.try_map(&mut world, region, at, len)));
            assert!(error.contains("out of bounds") || error.contains("memory"), "{error}");
            // Lifting had failed before anything was done.
            assert_eq!(world.held(), (1, GRANULE));
        }
    }

    fn a_region_at_the_very_end_and_at_the_very_beginning(setup) {
        let (mut world, guest) = World::with_guest(setup);
        paint(&guest, &mut world, 1..PAGES);
        let last = guest.mapped(&mut world, END - 2 * G, 2, 0xe1);
        guest.run(&mut world, "set-ret", (3 * G,)).unwrap();
        let before = guest.load(&mut world, 100);
        let first = guest.mapped(&mut world, 0, 2, 0xe2);
        guest.expect(&mut world, 0, 2 * G, 0xe2);
        guest.expect(&mut world, END - 2 * G, 2 * G, 0xe1);
        guest.store(&mut world, 3 * G, 0);
        guest.unmap(&mut world, first, 0, 2 * G).unwrap();
        assert_eq!(guest.load(&mut world, 100), before);
        expect_painted(&guest, &mut world, 1..3);
        guest.unmap(&mut world, last, END - 2 * G, 2 * G).unwrap();
        expect_painted(&guest, &mut world, PAGES - 2..PAGES);
    }

    fn a_region_as_large_as_the_memory_was(setup) {
        let (mut world, guest) = World::with_guest(setup);
        paint(&guest, &mut world, 1..PAGES);
        // One page more, for the answers.
        assert_eq!(guest.grow(&mut world, 1), PAGES as i32);
        guest.run(&mut world, "set-ret", (END,)).unwrap();
        let region = guest.allocate(&mut world, u64::from(END)).unwrap();
        let mapping = guest.map(&mut world, region, 0, END).unwrap();
        guest.expect(&mut world, 0, END, 0);
        guest.fill(&mut world, 0, 0xf0, END);
        assert_eq!(guest.grow(&mut world, 1), PAGES as i32 + 1);
        guest.expect(&mut world, END + G, G, 0);
        guest.expect(&mut world, 0, END, 0xf0);
        guest.unmap(&mut world, mapping, 0, END).unwrap();
        expect_painted(&guest, &mut world, 1..PAGES);
    }

    fn an_answer_under_the_placement_goes_to_the_heap_or_the_region_and_nowhere_else(setup) {
        // What the WIT tells guests not to do. Swapping, the engine writes through the old base; remapping, as the first
        // time, there is but one.
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

    fn a_memory_of_all_that_32_bits_can_address(setup) {
        if setup.way() == Setup::Fixed {
            let (mut world, guest) = World::with_guest(setup);
            assert_eq!(guest.grow(&mut world, 64 - PAGES), PAGES as i32);
            assert_eq!(guest.grow(&mut world, 1), -1, "it has a maximum");
            return;
        }
        for access in ["load64", "load8-far", "load8-farther"] {
            let (mut world, guest) = World::with_guest(setup);
            let mapping = guest.mapped(&mut world, 5 * G, 1, 0x15);
            assert_eq!(guest.grow(&mut world, 65_536 - PAGES), PAGES as i32);
            assert_eq!(guest.grow(&mut world, 1), -1);
            let last = 65_535 * G;
            guest.fill(&mut world, last, 0x17, G);
            guest.expect(&mut world, 5 * G, G, 0x15);
            let region = guest.unmap(&mut world, mapping, 5 * G, G).unwrap();
            guest.expect(&mut world, last, G, 0x17);
            let mapping = guest.map(&mut world, region, last, G).unwrap();
            guest.expect(&mut world, last, G, 0x15);
            assert_eq!(guest.load(&mut world, u32::MAX), 0x15);
            guest.unmap(&mut world, mapping, last, G).unwrap();
            guest.expect(&mut world, last, G, 0x17);
            if access == "load64" {
                trap_is(guest.call::<_, u64>(&mut world, access, (u32::MAX - 6,)), Trap::MemoryOutOfBounds);
            } else {
                trap_is(guest.call::<_, u32>(&mut world, access, (u32::MAX,)), Trap::MemoryOutOfBounds);
            }
        }
    }

    fn a_region_of_any_size_is_mapped(setup) {
        // More bytes than the engine lets a list have by default, though they are never read.
        const GRANULES: u32 = 4_097;
        if setup.way() == Setup::Fixed {
            // Its maximum leaves no room for one.
            return;
        }
        let (mut world, guest) = World::with_guest(setup);
        assert_eq!(guest.grow(&mut world, GRANULES), PAGES as i32);
        let region = guest.allocate(&mut world, u64::from(GRANULES) * GRANULE).unwrap();
        let mapping = guest.map(&mut world, region, END, GRANULES * G).unwrap();
        let last = END + (GRANULES - 1) * G;
        guest.fill(&mut world, last, 0x18, G);
        let region = guest.unmap(&mut world, mapping, END, GRANULES * G).unwrap();
        guest.expect(&mut world, last, G, 0);
        guest.map(&mut world, region, END, GRANULES * G).unwrap();
        guest.expect(&mut world, last, G, 0x18);
        guest.expect(&mut world, END, G, 0);
    }

    fn the_rest_of_a_longer_placement_stays_heap(setup) {
        let (mut world, guest) = World::with_guest(setup);
        paint(&guest, &mut world, 1..PAGES);
        let region = guest.allocate(&mut world, GRANULE).unwrap();
        let mapping = guest.map(&mut world, region, 3 * G, 4 * G).unwrap();
        guest.expect(&mut world, 3 * G, G, 0);
        expect_painted(&guest, &mut world, 4..PAGES);
        guest.unmap(&mut world, mapping, 3 * G, 4 * G).unwrap();
        expect_painted(&guest, &mut world, 1..PAGES);
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

    fn a_memory_is_mapped_into_whatever_others_did_before(setup) {
        // A memory is found by its first view, which others that come and go must not take or hide.
        for _ in 0..3 {
            let (mut world, guest) = World::with_guest(setup);
            let mut regions: Vec<_> = (0..12).map(|_| guest.allocate(&mut world, GRANULE).unwrap()).collect();
            for at in [2 * G, 5 * G] {
                for region in &mut regions {
                    let mapping = guest.map(&mut world, *region, at, G).unwrap();
                    *region = guest.unmap(&mut world, mapping, at, G).unwrap();
                }
            }
            let (mut other, bystander) = World::with_guest(setup);
            drop(world);
            let mapping = bystander.mapped(&mut other, 3 * G, 1, 0x44);
            bystander.unmap(&mut other, mapping, 3 * G, G).unwrap();
        }
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

    fn out_of_bounds_in_the_first_view_traps(setup) {
        expect_out_of_bounds(setup, |_, _| END);
    }

    fn out_of_bounds_while_mapped_traps(setup) {
        expect_out_of_bounds(setup, |guest, world| {
            guest.mapped(world, 5 * G, 2, 1);
            guest.mapped(world, END - G, 1, 2);
            END
        });
    }

    fn out_of_bounds_after_growth_while_mapped_traps(setup) {
        expect_out_of_bounds(setup, |guest, world| {
            guest.mapped(world, 5 * G, 2, 1);
            guest.grow(world, 3);
            END + 3 * G
        });
    }

    fn out_of_bounds_after_unmapping_traps(setup) {
        expect_out_of_bounds(setup, |guest, world| {
            let mapping = guest.mapped(world, 5 * G, 2, 1);
            guest.grow(world, 3);
            guest.unmap(world, mapping, 5 * G, 2 * G).unwrap();
            END + 3 * G
        });
    }

    fn what_is_mapped_once_lies_where_the_heap_has_grown(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let mut region = guest.allocate(&mut world, GRANULE).unwrap();
        // No two the same, so all of them in passing. After as many there is a view for that, which does not show the growth.
        for at in (1..10).chain([PAGES, 10, PAGES + 1, 11]) {
            if at == PAGES {
                guest.grow(&mut world, 2);
            }
            let mapping = guest.map(&mut world, region, at * G, G).unwrap();
            guest.expect(&mut world, at * G, G, if at == 1 { 0 } else { 0x77 });
            guest.fill(&mut world, at * G, 0x77, G);
            region = guest.unmap(&mut world, mapping, at * G, G).unwrap();
            guest.expect(&mut world, at * G, G, 0);
        }
        guest.fill(&mut world, END, 0x78, 2 * G);
        let mapping = guest.map(&mut world, region, END, G).unwrap();
        guest.expect(&mut world, END, G, 0x77);
        guest.expect(&mut world, END + G, G, 0x78);
        guest.unmap(&mut world, mapping, END, G).unwrap();
        guest.expect(&mut world, END, 2 * G, 0x78);
    }

    fn a_memory_takes_more_placements_than_it_has_views(setup) {
        let fixture = Box::leak(Box::new(Fixture::new(setup, Runtime::builder()
            .config(setup.config()).max_views(5, 3).build().unwrap())));
        let mut world = fixture.world();
        let guest = world.guest();
        paint(&guest, &mut world, 1..PAGES);
        let mut regions: Vec<u32> = (0..4).map(|_| guest.allocate(&mut world, GRANULE).unwrap()).collect();
        for round in 0..30u32 {
            let n = round as usize % 4;
            let at = 1 + (round * 7) % 15;
            let mapping = guest.map(&mut world, regions[n], at * G, G).unwrap();
            guest.expect(&mut world, at * G, 10, (round / 4) as u8);
            guest.fill(&mut world, at * G, (round / 4) as u8 + 1, G);
            expect_painted(&guest, &mut world, 1..at);
            regions[n] = guest.unmap(&mut world, mapping, at * G, G).unwrap();
            expect_painted(&guest, &mut world, 1..PAGES);
        }
    }
}

fn guest_byte(at: u32) -> u8 {
    0xd0 + at as u8
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

#[test]
fn without_mapping_every_map_is_refused_and_the_rest_works() {
    let runtime = Runtime::builder().mapping(MappingMode::Off).build().unwrap();
    let mut store = wasmtime::Store::new(runtime.engine(), crate::support::State::new(&runtime));
    let component = runtime.compile(crate::wat::guest("16").as_bytes()).unwrap();
    let instance = crate::support::linker(&runtime).instantiate(&mut store, &component).unwrap();
    let guest = Guest::new(instance, &mut store, None);
    guest.fill(&mut store, 4 * G, 0x13, G);
    let mut region = guest.allocate(&mut store, GRANULE).unwrap();
    for _ in 0..3 {
        let (back, error) = guest.map(&mut store, region, 4 * G, G).unwrap_err();
        assert_eq!(error, MapError::Unmappable);
        region = back;
        guest.expect(&mut store, 4 * G, G, 0x13);
    }
    assert_eq!(guest.call::<_, i64>(&mut store, "write", (region, 5u64, 4 * G, 10u32)).unwrap(), 0);
    assert_eq!(guest.call::<_, i64>(&mut store, "read", (region, 0u64, 20u32, 6 * G)).unwrap(), 20);
    guest.expect(&mut store, 6 * G, 5, 0);
    guest.expect(&mut store, 6 * G + 5, 10, 0x13);
    let handle = guest.give(&mut store, region).unwrap();
    let region = store.data_mut().mappable.remove(handle).unwrap();
    assert_eq!(region.bytes().unwrap()[4..7], [0, 0x13, 0x13]);
}

#[test]
fn the_granule_is_a_page() {
    let (mut world, guest) = World::with_guest(Setup::Swap);
    assert_eq!(guest.call::<_, u32>(&mut world, "granule", ()).unwrap(), 65_536);
    assert_eq!(GRANULE, 65_536);
}
