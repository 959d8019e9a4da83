//! A handle that was given, dropped or mapped is used again; and what a dropped mapping leaves in its memory.

use mappable::GRANULE;

use crate::support::{G, Guest, Setup, World, Wrong, foreign_mapping, on_every_setup, unknown_handle, wrong};

on_every_setup! {
    fn use_after_hand_over_traps(setup) {
        for use_it in [use_map, use_give, use_size, use_drop] {
            let mut world = World::new(setup);
            let (a, _b) = world.pair();
            let region = a.allocate(&mut world, GRANULE).unwrap();
            assert_eq!(a.call::<_, u64>(&mut world, "size", (region,)).unwrap(), GRANULE);
            a.call::<_, u32>(&mut world, "pass", (region,)).unwrap();
            unknown_handle(setup, use_it(&a, &mut world, region));
            assert_eq!(world.held(), (1, GRANULE));
        }
    }

    fn use_after_drop_traps(setup) {
        for use_it in [use_map, use_give, use_size, use_drop] {
            let (mut world, guest) = World::with_guest(setup);
            let region = guest.allocate(&mut world, GRANULE).unwrap();
            guest.run(&mut world, "drop-mappable", (region,)).unwrap();
            assert_eq!(world.held(), (0, 0));
            unknown_handle(setup, use_it(&guest, &mut world, region));
        }
    }

    fn lifting_while_mapped_traps(setup) {
        for use_it in [use_map, use_give, use_size, use_drop] {
            let (mut world, guest) = World::with_guest(setup);
            // Another handle in between, so that the mapping's index is not the region's.
            let region = guest.allocate(&mut world, GRANULE).unwrap();
            let mapping = guest.map(&mut world, region, 2 * G, G).unwrap();
            // Freed indices are given out again: the old index may now be the mapping's, of another type.
            let reason = if mapping == region { Wrong::Mapped } else { Wrong::UnknownHandle };
            wrong(setup, use_it(&guest, &mut world, region), &[reason]);
            assert_eq!(world.held(), (1, GRANULE));
        }
    }

    fn lifting_a_handle_that_was_mapped_meanwhile_traps(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let first = guest.allocate(&mut world, GRANULE).unwrap();
        let second = guest.allocate(&mut world, GRANULE).unwrap();
        // The mapping takes the index that was freed last; dropped, the old index is nobody's.
        let mapping = guest.map(&mut world, second, 2 * G, G).unwrap();
        guest.run(&mut world, "drop-mapping", (mapping,)).unwrap();
        assert!(guest.give(&mut world, first).is_ok());
        unknown_handle(setup, guest.give(&mut world, second));
    }

    fn a_mapping_used_by_another_instance_traps(setup) {
        let mut world = World::new(setup);
        let (a, b) = world.pair();
        let mapping = a.mapped(&mut world, 2 * G, 1, 0x5c);
        let mapping: u32 = a.call(&mut world, "pass-mapping", (mapping,)).unwrap();
        b.expect(&mut world, 2 * G, G, 0);
        foreign_mapping(b.try_unmap(&mut world, mapping, 2 * G, G));
        assert_eq!(world.held(), (1, GRANULE));
    }

    fn a_mapping_dropped_by_another_instance_lingers_with_its_own(setup) {
        let mut world = World::new(setup);
        let (a, b) = world.pair();
        let mapping = a.mapped(&mut world, 2 * G, 1, 0x5c);
        let mapping: u32 = a.call(&mut world, "pass-mapping", (mapping,)).unwrap();
        b.run(&mut world, "drop-mapping", (mapping,)).unwrap();
        a.expect(&mut world, 2 * G, G, 0x5c);
        b.expect(&mut world, 2 * G, G, 0);
        // What `a` shows is nobody's: whatever is allocated meanwhile is something else.
        let fresh = b.allocate(&mut world, GRANULE).unwrap();
        b.map(&mut world, fresh, 2 * G, G).unwrap();
        b.expect(&mut world, 2 * G, G, 0);
        a.fill(&mut world, 2 * G, 0x5d, G);
        b.expect(&mut world, 2 * G, G, 0);
        a.mapped(&mut world, 8 * G, 1, 1);
        a.expect(&mut world, 2 * G, G, 0);
    }

    fn unmapping_twice_traps(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let first = guest.mapped(&mut world, 2 * G, 1, 1);
        let region = guest.unmap(&mut world, first, 2 * G, G).unwrap();
        let reason = if region == first { Wrong::OtherKind } else { Wrong::UnknownHandle };
        wrong(setup, guest.try_unmap(&mut world, first, 2 * G, G), &[reason]);
    }

    fn unmapping_what_was_dropped_traps(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let mapping = guest.mapped(&mut world, 2 * G, 1, 1);
        guest.run(&mut world, "drop-mapping", (mapping,)).unwrap();
        unknown_handle(setup, guest.try_unmap(&mut world, mapping, 2 * G, G));
    }

    fn a_forged_handle_traps(setup) {
        for forged in [0, 1, 7, u32::MAX] {
            let (mut world, guest) = World::with_guest(setup);
            unknown_handle(setup, guest.try_map(&mut world, forged, 2 * G, G));
        }
    }

    fn a_dropped_mapping_stays_until_the_next_change_and_no_longer(setup) {
        for change_is_unmap in [false, true] {
            let (mut world, guest) = World::with_guest(setup);
            guest.fill(&mut world, G, 0x11, 8 * G);
            let other = guest.mapped(&mut world, 6 * G, 1, 0x33);
            let mapping = guest.mapped(&mut world, 2 * G, 2, 0x22);
            guest.run(&mut world, "drop-mapping", (mapping,)).unwrap();
            assert_eq!(world.held().0, 2, "it counts while it is shown");
            guest.expect(&mut world, 2 * G, 2 * G, 0x22);
            guest.fill(&mut world, 3 * G, 0x23, G);
            // Nobody else is given what is still seen here.
            let fresh: Vec<u32> = (0..3).map(|_| guest.allocate(&mut world, 2 * GRANULE).unwrap()).collect();
            for &region in &fresh {
                assert_eq!(guest.call::<_, i64>(&mut world, "read", (region, 0u64, 16u32, 8192u32)).unwrap(), 16);
                guest.expect(&mut world, 8192, 16, 0);
            }
            guest.expect(&mut world, 2 * G, G, 0x22);
            guest.expect(&mut world, 3 * G, G, 0x23);
            if change_is_unmap {
                guest.unmap(&mut world, other, 6 * G, G).unwrap();
                guest.expect(&mut world, 6 * G, G, 0x11);
            } else {
                guest.map(&mut world, fresh[0], 2 * G, 2 * G).unwrap();
                guest.expect(&mut world, 2 * G, 2 * G, 0);
                guest.expect(&mut world, 6 * G, G, 0x33);
            }
            guest.expect(&mut world, G, G, 0x11);
            guest.expect(&mut world, 4 * G, 2 * G, 0x11);
            if change_is_unmap {
                guest.expect(&mut world, 2 * G, 2 * G, 0x11);
            }
        }
    }

    fn several_dropped_mappings_go_at_once(setup) {
        let (mut world, guest) = World::with_guest(setup);
        guest.fill(&mut world, G, 0x11, 12 * G);
        let mappings = [1u32, 3, 6].map(|at| guest.mapped(&mut world, at * G, 2, 0x40 + at as u8));
        for mapping in mappings {
            guest.run(&mut world, "drop-mapping", (mapping,)).unwrap();
        }
        for at in [1, 3, 6] {
            guest.expect(&mut world, at * G, 2 * G, 0x40 + at as u8);
        }
        // Over parts of two of them.
        let mapping = guest.mapped(&mut world, 2 * G, 2, 0x55);
        guest.expect(&mut world, G, G, 0x11);
        guest.expect(&mut world, 2 * G, 2 * G, 0x55);
        guest.expect(&mut world, 4 * G, 8 * G, 0x11);
        guest.unmap(&mut world, mapping, 2 * G, 2 * G).unwrap();
        guest.expect(&mut world, G, 12 * G, 0x11);
    }

    fn a_region_that_was_dropped_never_shows_up_with_old_bytes(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let other = world.guest();
        for round in 0..20u32 {
            let at = (2 + round % 3) * G;
            let region = guest.allocate(&mut world, 2 * GRANULE).unwrap();
            let mapping = guest.map(&mut world, region, at, 2 * G).unwrap();
            guest.expect(&mut world, at, 2 * G, 0);
            guest.fill(&mut world, at, 0xdd, 2 * G);
            if round % 2 == 0 {
                guest.run(&mut world, "drop-mapping", (mapping,)).unwrap();
            } else {
                let region = guest.unmap(&mut world, mapping, at, 2 * G).unwrap();
                guest.run(&mut world, "drop-mappable", (region,)).unwrap();
            }
            let region = other.allocate(&mut world, 2 * GRANULE).unwrap();
            let mapping = other.map(&mut world, region, 2 * G, 2 * G).unwrap();
            other.expect(&mut world, 2 * G, 2 * G, 0);
            other.fill(&mut world, 2 * G, 0xee, 2 * G);
            other.run(&mut world, "drop-mapping", (mapping,)).unwrap();
            let region = world.runtime().allocate(2 * GRANULE).unwrap();
            assert!(region.bytes().unwrap().iter().all(|&byte| byte == 0));
        }
    }

    fn a_new_instance_never_sees_what_was_freed(setup) {
        for _ in 0..3 {
            let (mut world, guest) = World::with_guest(setup);
            guest.expect(&mut world, 8192, 16 * G - 8192, 0);
            guest.fill(&mut world, 0, 0xdd, 16 * G);
            guest.mapped(&mut world, 2 * G, 3, 0xde);
        }
    }

    fn a_context_that_goes_leaves_what_is_mapped_to_its_memory(setup) {
        let (mut world, guest) = World::with_guest(setup);
        guest.mapped(&mut world, 2 * G, 1, 0x66);
        let fresh = world.runtime().context();
        let gone = std::mem::replace(&mut world.store.data_mut().mappable, fresh);
        drop(gone);
        guest.expect(&mut world, 2 * G, G, 0x66);
        // Nobody is given those pages while they can be seen, nor sees what is written there now.
        let region = world.runtime().allocate(GRANULE).unwrap();
        guest.fill(&mut world, 2 * G, 0x67, G);
        assert!(region.bytes().unwrap().iter().all(|&byte| byte == 0));
        // The canary went with the context.
        let canary = world.runtime().allocate_from(&[0xc1; 100]).unwrap();
        world.replace_canary(canary);
    }

    fn a_representation_that_was_reused_is_not_the_old_region(setup) {
        // The library reuses numbers; the engine's handles are what tells regions apart.
        let mut world = World::new(setup);
        let (a, b) = world.pair();
        let mine = a.mapped(&mut world, 2 * G, 1, 0x5e);
        a.run(&mut world, "drop-mapping", (mine,)).unwrap();
        let theirs = b.mapped(&mut world, 2 * G, 1, 0x5f);
        unknown_handle(setup, a.try_unmap(&mut world, mine, 2 * G, G));
        let _ = theirs;
        assert_eq!(world.held(), (2, 2 * GRANULE));
    }
}

type UseIt = fn(&Guest, &mut World, u32) -> wasmtime::Result<()>;

const _: [UseIt; 4] = [use_map, use_give, use_size, use_drop];

fn use_map(guest: &Guest, world: &mut World, handle: u32) -> wasmtime::Result<()> {
    guest.try_map(world, handle, 6 * G, G).map(drop)
}

fn use_give(guest: &Guest, world: &mut World, handle: u32) -> wasmtime::Result<()> {
    guest.give(world, handle).map(drop)
}

fn use_size(guest: &Guest, world: &mut World, handle: u32) -> wasmtime::Result<()> {
    guest.call::<_, u64>(world, "size", (handle,)).map(drop)
}

fn use_drop(guest: &Guest, world: &mut World, handle: u32) -> wasmtime::Result<()> {
    guest.run(world, "drop-mappable", (handle,))
}
