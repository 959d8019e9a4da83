//! While a region is mapped, its placement is the region, for everything that a guest does; the rest is the heap.

mod accesses;
mod bounds;
mod placements;

use mappable::{GRANULE, MappingMode, Runtime};
use wasmtime::Trap;

use crate::support::{END, G, Guest, MapError, PAGES, Setup, World, on_every_setup, trap_is};

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
            let at: u32 = guest.call(&mut world, "map-and-load", (handle, 4 * G, G, 4 * G + 77)).unwrap();
            assert_eq!(at, 0x0f);
            let mapping = guest.call::<_, u64>(&mut world, "load64", (1028u32,)).unwrap() as u32;
            let at: u32 = guest.call(&mut world, "unmap-and-load", (mapping, 4 * G, G, 4 * G + 77)).unwrap();
            assert_eq!(at, 0x0e);
            handle = guest.call::<_, u64>(&mut world, "load64", (1028u32,)).unwrap() as u32;
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

    fn what_is_mapped_once_lies_where_the_heap_has_grown(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let mut region = guest.allocate(&mut world, GRANULE).unwrap();
        // No two the same, so all of them in passing. After as many there is a view for that, which does not show the
        // growth.
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
