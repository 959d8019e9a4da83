//! Where regions are mapped: several at once, at other placements, at the edges of the memory; and what is refused.

use mappable::{GRANULE, Runtime};

use super::{expect_painted, paint};
use crate::support::{END, Fixture, G, MapError, PAGES, Setup, World, on_every_setup, trapped};

/// All orders of three things.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

on_every_setup! {
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
