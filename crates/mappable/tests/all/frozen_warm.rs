//! Frozen bytes that are mapped again and again: without the host where regions are, and right whatever else is done.

use mappable::{Frozen, GRANULE, Limits};
use wasmtime::Trap;

use crate::support::{G, Guest, MapError, Setup, World, on_every_setup, trap_is};

/// A frozen region of the host's, all of one byte, in a guest's table.
fn given(world: &mut World, guest: &Guest, granules: u64, byte: u8) -> u32 {
    let mut region = world.region(granules, 0);
    region.bytes_mut().unwrap().fill(byte);
    give(world, guest, region.freeze().unwrap())
}

fn give(world: &mut World, guest: &Guest, frozen: Frozen) -> u32 {
    let handle = world.store.data_mut().mappable.insert_frozen(frozen).unwrap();
    guest.take_frozen(world, handle).unwrap()
}

/// Maps, looks at the first granule, and unmaps.
#[track_caller]
fn look(world: &mut World, guest: &Guest, frozen: u32, at: u32, byte: u8) -> u32 {
    let mapping = guest.map_frozen(world, frozen, at, G).unwrap();
    guest.expect(world, at, G, byte);
    guest.unmap_frozen(world, mapping, at, G).unwrap()
}

/// What `act` has the host do, in calls.
fn calls<R>(world: &mut World, act: impl FnOnce(&mut World) -> R) -> u64 {
    let before = world.store.data().host_calls;
    act(world);
    world.store.data().host_calls - before
}

on_every_setup! {
    fn what_was_mapped_before_asks_the_host_as_often_as_a_region_does(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let mut frozen = given(&mut world, &guest, 2, 7);
        let mut region = guest.allocate(&mut world, 2 * GRANULE).unwrap();
        let mut maps_region = |world: &mut World| {
            let mapping = guest.map(world, region, 4 * G, 2 * G).unwrap();
            region = guest.unmap(world, mapping, 4 * G, 2 * G).unwrap();
        };
        let mut maps_frozen = |world: &mut World| {
            let mapping = guest.map_frozen(world, frozen, 4 * G, 2 * G).unwrap();
            assert_eq!(guest.load(world, 6 * G - 1), 7);
            frozen = guest.unmap_frozen(world, mapping, 4 * G, 2 * G).unwrap();
            assert_eq!(guest.load(world, 6 * G - 1), 0);
        };
        // A transition may be in the place of another in the cache, so what is measured is warmed by itself.
        let mut loops = |maps: &mut dyn FnMut(&mut World)| {
            (0..4).for_each(|_| maps(&mut world));
            calls(&mut world, |world| (0..20).for_each(|_| maps(world)))
        };
        let (region, frozen) = (loops(&mut maps_region), loops(&mut maps_frozen));
        assert_eq!(frozen, region);
        if matches!(setup, Setup::LedgerSwap | Setup::LedgerSwapConcurrent | Setup::LedgerCrossing) {
            assert_eq!(frozen, 0);
        }
    }

    fn references_to_parts_of_one_value_are_told_apart(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let mut region = world.region(3, 0);
        for (n, granule) in region.bytes_mut().unwrap().chunks_mut(GRANULE as usize).enumerate() {
            granule.fill(0x40 + n as u8);
        }
        let whole = give(&mut world, &guest, region.freeze().unwrap());
        let mut parts: Vec<u32> =
            (0..3).map(|n| guest.slice(&mut world, whole, n * GRANULE, GRANULE).unwrap()).collect();
        parts.push(guest.clone_frozen(&mut world, parts[1]).unwrap());
        for round in 0..5 {
            for (part, byte) in parts.iter_mut().zip([0x40, 0x41, 0x42, 0x41]) {
                *part = look(&mut world, &guest, *part, 4 * G, byte);
            }
            // Two at once, of the same bytes, and each is unmapped where it is.
            let [a, b] = [(1, 6), (3, 8)].map(|(n, at)| guest.map_frozen(&mut world, parts[n], at * G, G).unwrap());
            guest.expect(&mut world, 6 * G, G, 0x41);
            guest.expect(&mut world, 8 * G, G, 0x41);
            assert_eq!(guest.unmap_frozen(&mut world, a, 8 * G, G).unwrap_err().1, MapError::Mismatch);
            let mut give_back = [(1, a, 6), (3, b, 8)];
            if round % 2 == 1 {
                give_back.reverse();
            }
            for (n, mapping, at) in give_back {
                parts[n] = guest.unmap_frozen(&mut world, mapping, at * G, G).unwrap();
            }
            guest.expect(&mut world, 4 * G, 6 * G, 0);
        }
        assert_eq!(world.held(), (5, 3 * GRANULE));
    }

    fn what_the_host_writes_is_gone_though_all_was_mapped_before(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let mut a = given(&mut world, &guest, 1, 0xa0);
        let mut b = given(&mut world, &guest, 1, 0xb0);
        let mut region = guest.allocate(&mut world, GRANULE).unwrap();
        for round in 0..12_u32 {
            let first = guest.map_frozen(&mut world, a, 4 * G, G).unwrap();
            guest.expect(&mut world, 4 * G, G, 0xa0);
            if round % 3 == 1 {
                guest.fill(&mut world, 4 * G + 100, 0xee, 50);
                guest.expect(&mut world, 4 * G + 100, 50, 0xee);
            }
            // Any change of what the memory shows ends what is private.
            let second = guest.map_frozen(&mut world, b, 6 * G, G).unwrap();
            if setup.frozen_stores_trap() {
                guest.expect(&mut world, 4 * G, G, 0xa0);
            }
            guest.expect(&mut world, 6 * G, G, 0xb0);
            if round % 4 >= 2 {
                guest.fill(&mut world, 6 * G, 0xdd, G);
            }
            let owned = guest.map(&mut world, region, 8 * G, G).unwrap();
            guest.fill(&mut world, 8 * G, round as u8, G);
            if round % 5 == 4 {
                guest.fill(&mut world, 4 * G, 0xcc, 1);
            }
            region = guest.unmap(&mut world, owned, 8 * G, G).unwrap();
            if setup.frozen_stores_trap() {
                guest.expect(&mut world, 4 * G, G, 0xa0);
                guest.expect(&mut world, 6 * G, G, 0xb0);
            }
            a = guest.unmap_frozen(&mut world, first, 4 * G, G).unwrap();
            b = guest.unmap_frozen(&mut world, second, 6 * G, G).unwrap();
            guest.expect(&mut world, 4 * G, 5 * G, 0);
        }
    }

    fn results_in_a_frozen_mapping_are_private_though_all_was_mapped_before(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let mut frozen = given(&mut world, &guest, 1, 0x50);
        let mut region = guest.allocate(&mut world, GRANULE).unwrap();
        for _ in 0..6 {
            let mapping = guest.map_frozen(&mut world, frozen, 4 * G, G).unwrap();
            guest.expect(&mut world, 4 * G, G, 0x50);
            // The results of a map and of an unmap go among the frozen bytes. What the guest then finds there may be either.
            guest.run(&mut world, "set-ret", (4 * G + 8,)).unwrap();
            for change in ["map", "unmap"] {
                guest.call::<_, u64>(&mut world, change, (region, 6 * G, G)).unwrap();
            }
            guest.run(&mut world, "set-ret", (1024_u32,)).unwrap();
            // The handle is the one that it was.
            let owned = guest.map(&mut world, region, 6 * G, G).unwrap();
            region = guest.unmap(&mut world, owned, 6 * G, G).unwrap();
            guest.expect(&mut world, 6 * G, G, 0);
            frozen = guest.unmap_frozen(&mut world, mapping, 4 * G, G).unwrap();
            guest.expect(&mut world, 4 * G, G, 0);
        }
    }

    fn bytes_that_were_thawed_are_mapped_for_writing(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let mut frozen = guest.frozen(&mut world, 4 * G, 1, 0);
        for byte in 0..4 {
            for _ in 0..3 {
                frozen = look(&mut world, &guest, frozen, 4 * G, byte);
            }
            let mut region = guest.thaw(&mut world, frozen).unwrap();
            for _ in 0..3 {
                let mapping = guest.map(&mut world, region, 4 * G, G).unwrap();
                guest.store(&mut world, 4 * G + 9, byte + 1);
                guest.fill(&mut world, 4 * G, byte + 1, G);
                region = guest.unmap(&mut world, mapping, 4 * G, G).unwrap();
            }
            frozen = guest.freeze(&mut world, region);
        }
        look(&mut world, &guest, frozen, 4 * G, 4);
        if setup.frozen_stores_trap() {
            guest.map_frozen(&mut world, frozen, 4 * G, G).unwrap();
            trap_is(guest.run(&mut world, "store8", (4 * G + 9, 1_u32)), Trap::MemoryOutOfBounds);
        }
    }

    fn what_is_freed_is_not_shown_for_what_comes_after(setup) {
        let (mut world, guest) = World::with_guest(setup);
        for round in 1..6 {
            let mut frozen = given(&mut world, &guest, 1, round);
            for _ in 0..3 {
                frozen = look(&mut world, &guest, frozen, 4 * G, round);
            }
            if round % 2 == 0 {
                let mapping = guest.map_frozen(&mut world, frozen, 4 * G, G).unwrap();
                guest.run(&mut world, "drop-frozen-mapping", (mapping,)).unwrap();
                guest.expect(&mut world, 4 * G, G, round);
                assert_eq!(world.held(), (1, GRANULE), "it is shown");
            } else {
                guest.run(&mut world, "drop-frozen", (frozen,)).unwrap();
            }
            let region = guest.allocate(&mut world, GRANULE).unwrap();
            let mapping = guest.map(&mut world, region, 4 * G, G).unwrap();
            guest.expect(&mut world, 4 * G, G, 0);
            guest.fill(&mut world, 4 * G, 0xff, G);
            let region = guest.unmap(&mut world, mapping, 4 * G, G).unwrap();
            guest.run(&mut world, "drop-mappable", (region,)).unwrap();
            assert_eq!(world.held(), (0, 0));
        }
    }

    fn the_quota_of_frozen_bytes_holds_whoever_maps(setup) {
        let (mut world, guest) = World::with_guest(setup);
        world.store.data_mut().mappable.set_limits(Limits::default().frozen_mapped_bytes(3 * GRANULE));
        let mut two = given(&mut world, &guest, 2, 1);
        let mut one = given(&mut world, &guest, 1, 2);
        let mut other = given(&mut world, &guest, 1, 3);
        let mut region = guest.allocate(&mut world, GRANULE).unwrap();
        for round in 0..5 {
            let first = guest.map_frozen(&mut world, two, 4 * G, 2 * G).unwrap();
            let second = guest.map_frozen(&mut world, one, 6 * G, G).unwrap();
            let (back, error) = guest.map_frozen(&mut world, other, 8 * G, G).unwrap_err();
            assert_eq!(error, MapError::OverQuota);
            other = back;
            // This quota does not limit regions that are owned.
            let mapping = guest.map(&mut world, region, 8 * G, G).unwrap();
            region = guest.unmap(&mut world, mapping, 8 * G, G).unwrap();
            one = guest.unmap_frozen(&mut world, second, 6 * G, G).unwrap();
            let third = guest.map_frozen(&mut world, other, 8 * G, G).unwrap();
            guest.unmap_frozen(&mut world, third, 8 * G, G).unwrap();
            two = guest.unmap_frozen(&mut world, first, 4 * G, 2 * G).unwrap();
            if round == 3 {
                world.store.data_mut().mappable.set_limits(Limits::default().frozen_mapped_bytes(GRANULE));
                assert_eq!(guest.map_frozen(&mut world, two, 4 * G, 2 * G), Err((two, MapError::OverQuota)));
                world.store.data_mut().mappable.set_limits(Limits::default().frozen_mapped_bytes(3 * GRANULE));
            }
        }
    }

    fn a_memory_that_grows_is_whole_under_what_was_mapped_before(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let mut frozen = given(&mut world, &guest, 1, 9);
        for _ in 0..3 {
            frozen = look(&mut world, &guest, frozen, 4 * G, 9);
        }
        let mapping = guest.map_frozen(&mut world, frozen, 4 * G, G).unwrap();
        let pages = guest.grow(&mut world, 2) as u32;
        guest.fill(&mut world, pages * G, 5, 2 * G);
        guest.expect(&mut world, 4 * G, G, 9);
        frozen = guest.unmap_frozen(&mut world, mapping, 4 * G, G).unwrap();
        for _ in 0..3 {
            guest.expect(&mut world, pages * G, 2 * G, 5);
            frozen = look(&mut world, &guest, frozen, 4 * G, 9);
        }
    }

    fn files_at_the_same_place_are_told_apart(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let path = std::env::temp_dir().join(format!("mappable-warm-{}-{setup:?}", std::process::id()));
        let of = |world: &mut World, byte: u8| {
            std::fs::write(&path, vec![byte; GRANULE as usize]).unwrap();
            let file = std::fs::File::open(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            #[allow(unsafe_code)]
            // SAFETY: the file is this test's own, and is not changed while it is shown.
            let frozen = unsafe { Frozen::from_file_mapped(world.runtime(), &file) }.unwrap();
            give(world, &guest, frozen)
        };
        let mut frozen = [1, 2].map(|byte| of(&mut world, byte));
        for _ in 0..4 {
            for (frozen, byte) in frozen.iter_mut().zip([1, 2]) {
                *frozen = look(&mut world, &guest, *frozen, 4 * G, byte);
            }
        }
        guest.run(&mut world, "drop-frozen", (frozen[0],)).unwrap();
        let mut third = of(&mut world, 3);
        for _ in 0..4 {
            third = look(&mut world, &guest, third, 4 * G, 3);
            frozen[1] = look(&mut world, &guest, frozen[1], 4 * G, 2);
        }
    }
}
