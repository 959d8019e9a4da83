//! Private mappings: what is written there is the mapping's own, is charged by granules, and is gone with it.

use mappable::{Frozen, GRANULE, Limits};
use wasmtime::Trap;

use crate::support::{END, G, Guest, MapError, Setup, World, on_every_setup, trap_is};

/// A frozen region of the host's, granule `n` all of `byte + n`, and a reference to it of the guest's.
fn given(world: &mut World, guest: &Guest, granules: u64, byte: u8) -> (Frozen, u32) {
    let mut region = world.region(granules, 0);
    for (n, granule) in region.bytes_mut().unwrap().chunks_mut(GRANULE as usize).enumerate() {
        granule.fill(byte + n as u8);
    }
    let frozen = region.freeze().unwrap();
    let handle = give(world, guest, &frozen);
    (frozen, handle)
}

fn give(world: &mut World, guest: &Guest, frozen: &Frozen) -> u32 {
    let handle = world.store.data_mut().mappable.insert_frozen(frozen.clone()).unwrap();
    guest.take_frozen(world, handle).unwrap()
}

/// Sets what the bytes may be besides those that are charged now.
fn set_room(world: &mut World, granules: u64) {
    let context = &mut world.store.data_mut().mappable;
    let bytes = context.held().1 + granules * GRANULE;
    context.set_limits(Limits::default().region_bytes(bytes));
}

/// How many granules more a store is charged for than `before`.
fn charged_since(world: &World, before: u64) -> u64 {
    (world.held().1 - before) / GRANULE
}

on_every_setup! {
    fn what_is_stored_is_read_and_changes_nothing_frozen(setup) {
        let (mut world, guest) = World::with_guest(setup);
        guest.fill(&mut world, 4 * G, 0x11, 4 * G);
        let (frozen, handle) = given(&mut world, &guest, 3, 0x50);
        let mapping = guest.map_private(&mut world, handle, 4 * G, 3 * G).unwrap();
        for n in 0..3 {
            guest.expect(&mut world, (4 + n) * G, G, 0x50 + n as u8);
        }
        guest.expect(&mut world, 7 * G, G, 0x11);
        guest.store(&mut world, 4 * G, 0xe0);
        guest.store(&mut world, 7 * G - 1, 0xe1);
        guest.fill(&mut world, 5 * G + 100, 0xe2, 200);
        guest.run(&mut world, "copy", (5 * G + 1000, 5 * G + 100, 50u32)).unwrap();
        assert_eq!((guest.load(&mut world, 4 * G), guest.load(&mut world, 7 * G - 1)), (0xe0, 0xe1));
        guest.expect(&mut world, 4 * G + 1, G - 1, 0x50);
        guest.expect(&mut world, 5 * G, 100, 0x51);
        guest.expect(&mut world, 5 * G + 100, 200, 0xe2);
        guest.expect(&mut world, 5 * G + 300, 700, 0x51);
        guest.expect(&mut world, 5 * G + 1000, 50, 0xe2);
        assert!(frozen.iter().enumerate().all(|(at, &byte)| byte == 0x50 + (at / GRANULE as usize) as u8));
        let handle = guest.unmap_frozen(&mut world, mapping, 4 * G, 3 * G).unwrap();
        guest.expect(&mut world, 4 * G, 4 * G, 0x11);
        for at in [4, 5] {
            // Again, privately and for reading: what was written is gone.
            let mapping = guest.map_private(&mut world, handle, at * G, 3 * G).unwrap();
            guest.expect(&mut world, at * G, G, 0x50);
            guest.expect(&mut world, (at + 1) * G, G, 0x51);
            guest.fill(&mut world, at * G, 0xff, 3 * G);
            guest.unmap_frozen(&mut world, mapping, at * G, 3 * G).unwrap();
            let mapping = guest.map_frozen(&mut world, handle, at * G, 3 * G).unwrap();
            guest.expect(&mut world, (at + 2) * G, G, 0x52);
            guest.unmap_frozen(&mut world, mapping, at * G, 3 * G).unwrap();
        }
        guest.expect(&mut world, 4 * G, 4 * G, 0x11);
    }

    fn others_read_what_was_frozen_meanwhile(setup) {
        let mut world = World::new(setup);
        let (a, b) = world.pair();
        let (mut elsewhere, c) = World::with_guest(setup);
        let (frozen, first) = given(&mut world, &a, 2, 0x50);
        let second = give(&mut world, &a, &frozen);
        let third = give(&mut world, &b, &frozen);
        let fourth = give(&mut elsewhere, &c, &frozen);
        a.map_private(&mut world, first, 3 * G, 2 * G).unwrap();
        a.map_private(&mut world, second, 6 * G, 2 * G).unwrap();
        b.map_frozen(&mut world, third, 3 * G, 2 * G).unwrap();
        c.map_private(&mut elsewhere, fourth, 3 * G, 2 * G).unwrap();
        for round in 0..3u8 {
            a.fill(&mut world, 3 * G, 0xa0 + round, G);
            a.fill(&mut world, 7 * G, 0xb0 + round, G);
            c.fill(&mut elsewhere, 3 * G + 7, 0xc0 + round, G);
            a.expect(&mut world, 3 * G, G, 0xa0 + round);
            a.expect(&mut world, 4 * G, G, 0x51);
            a.expect(&mut world, 6 * G, G, 0x50);
            a.expect(&mut world, 7 * G, G, 0xb0 + round);
            b.expect(&mut world, 3 * G, G, 0x50);
            b.expect(&mut world, 4 * G, G, 0x51);
            c.expect(&mut elsewhere, 3 * G, 7, 0x50);
            c.expect(&mut elsewhere, 3 * G + 7, G, 0xc0 + round);
            c.expect(&mut elsewhere, 4 * G + 7, G - 7, 0x51);
            assert!(frozen[..G as usize].iter().all(|&byte| byte == 0x50));
            assert!(frozen[G as usize..].iter().all(|&byte| byte == 0x51));
        }
    }

    fn what_was_written_stays_through_every_other_change(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let (_, private) = given(&mut world, &guest, 2, 0x50);
        let read_only = guest.frozen(&mut world, 8 * G, 1, 0x22);
        let region = guest.allocate(&mut world, GRANULE).unwrap();
        // Warm, so that a ledger has cached it.
        let mut region = region;
        for _ in 0..4 {
            let mapping = guest.map(&mut world, region, 10 * G, G).unwrap();
            region = guest.unmap(&mut world, mapping, 10 * G, G).unwrap();
        }
        let mapping = guest.map_private(&mut world, private, 4 * G, 2 * G).unwrap();
        guest.fill(&mut world, 4 * G + 5, 0xee, G);
        for round in 0..4u8 {
            let mapped = guest.map(&mut world, region, 10 * G, G).unwrap();
            guest.fill(&mut world, 10 * G, round, G);
            guest.expect(&mut world, 4 * G + 5, G, 0xee);
            let frozen = guest.map_frozen(&mut world, read_only, 8 * G, G).unwrap();
            guest.expect(&mut world, 8 * G, G, 0x22);
            guest.expect(&mut world, 4 * G + 5, G, 0xee);
            region = guest.unmap(&mut world, mapped, 10 * G, G).unwrap();
            assert_eq!(guest.unmap_frozen(&mut world, frozen, 8 * G, G), Ok(read_only));
            guest.expect(&mut world, 4 * G, 5, 0x50);
            guest.expect(&mut world, 4 * G + 5, G, 0xee);
            guest.expect(&mut world, 5 * G + 5, G - 5, 0x51);
            guest.expect(&mut world, 10 * G, G, 0);
        }
        guest.grow(&mut world, 2);
        guest.expect(&mut world, 4 * G + 5, G, 0xee);
        guest.unmap_frozen(&mut world, mapping, 4 * G, 2 * G).unwrap();
        guest.expect(&mut world, 4 * G, 2 * G, 0);
        let mapped = guest.map(&mut world, region, 10 * G, G).unwrap();
        guest.expect(&mut world, 10 * G, G, 3);
        guest.unmap(&mut world, mapped, 10 * G, G).unwrap();
    }

    fn what_is_written_is_charged_by_granules_and_given_back(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let (_, handle) = given(&mut world, &guest, 4, 0x50);
        let before = world.held().1;
        let all = if setup.frozen_stores_trap() { 0 } else { 4 };
        let mut handle = handle;
        for _ in 0..3 {
            let mapping = guest.map_private(&mut world, handle, 4 * G, 4 * G).unwrap();
            assert_eq!(charged_since(&world, before), all);
            guest.expect(&mut world, 4 * G, G, 0x50);
            assert_eq!(charged_since(&world, before), all, "reading costs nothing");
            guest.store(&mut world, 4 * G + 9, 1);
            guest.store(&mut world, 5 * G - 1, 1);
            assert_eq!(charged_since(&world, before), all.max(1));
            guest.fill(&mut world, 6 * G - 1, 2, 2);
            assert_eq!(charged_since(&world, before), all.max(3));
            handle = guest.unmap_frozen(&mut world, mapping, 4 * G, 4 * G).unwrap();
            assert_eq!(charged_since(&world, before), 0);
        }
        // A dropped mapping is charged for until it is shown no more.
        let mapping = guest.map_private(&mut world, handle, 4 * G, 4 * G).unwrap();
        guest.fill(&mut world, 4 * G, 3, 4 * G);
        guest.run(&mut world, "drop-frozen-mapping", (mapping,)).unwrap();
        assert_eq!(charged_since(&world, before), 4);
        guest.mapped_and_unmapped(&mut world);
        guest.expect(&mut world, 4 * G, 4 * G, 0);
        assert_eq!(world.held(), (0, 0));
    }

    fn a_store_beyond_the_quota_traps_in_that_guest_alone(setup) {
        let (mut other, bystander) = World::with_guest(setup);
        let (mut world, guest) = World::with_guest(setup);
        let (frozen, handle) = given(&mut world, &guest, 4, 0x50);
        let there = give(&mut other, &bystander, &frozen);
        set_room(&mut world, 2);
        set_room(&mut other, 4);
        let mapped = guest.map_private(&mut world, handle, 4 * G, 4 * G);
        if !setup.frozen_stores_trap() {
            // All of it is copied.
            assert_eq!(mapped, Err((handle, MapError::OverQuota)));
            set_room(&mut world, 4);
            guest.map_private(&mut world, handle, 4 * G, 4 * G).unwrap();
            guest.fill(&mut world, 4 * G, 1, 4 * G);
            return;
        }
        mapped.unwrap();
        bystander.map_private(&mut other, there, 4 * G, 4 * G).unwrap();
        guest.store(&mut world, 7 * G, 1);
        guest.store(&mut world, 4 * G, 2);
        // What is writable already costs nothing, and what is only read neither.
        guest.store(&mut world, 4 * G + 1, 3);
        guest.expect(&mut world, 5 * G, G, 0x51);
        trap_is(guest.run(&mut world, "store8", (6 * G, 4u32)), Trap::MemoryOutOfBounds);
        assert!(frozen[2 * G as usize..][..G as usize].iter().all(|&byte| byte == 0x52));
        for n in 0..4 {
            bystander.expect(&mut other, (4 + n) * G, G, 0x50 + n as u8);
        }
        bystander.fill(&mut other, 4 * G, 0x77, 4 * G);
        bystander.expect(&mut other, 4 * G, 4 * G, 0x77);
        let reference = frozen.clone();
        drop((world, other));
        drop(reference);
        assert!(frozen.iter().enumerate().all(|(at, &byte)| byte == 0x50 + (at / GRANULE as usize) as u8));
    }

    fn a_store_across_the_edge_of_the_quota_is_not_half_done_for_others(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let (frozen, handle) = given(&mut world, &guest, 2, 0x50);
        set_room(&mut world, if setup.frozen_stores_trap() { 1 } else { 2 });
        guest.map_private(&mut world, handle, 4 * G, 2 * G).unwrap();
        guest.store(&mut world, 4 * G, 1);
        let stored = guest.run(&mut world, "store64", (5 * G - 4, u64::MAX));
        if setup.frozen_stores_trap() {
            trap_is(stored, Trap::MemoryOutOfBounds);
        } else {
            stored.unwrap();
        }
        assert!(frozen[..G as usize].iter().all(|&byte| byte == 0x50));
        assert!(frozen[G as usize..].iter().all(|&byte| byte == 0x51));
    }

    fn what_the_host_writes_there_succeeds_and_is_charged(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let (frozen, handle) = given(&mut world, &guest, 5, 0x50);
        let source = guest.mapped(&mut world, 10 * G, 1, 0x99);
        let source = guest.unmap(&mut world, source, 10 * G, G).unwrap();
        let before = world.held().1;
        let traps = setup.frozen_stores_trap();
        set_room(&mut world, if traps { 1 } else { 5 });
        guest.map_private(&mut world, handle, 4 * G, 5 * G).unwrap();
        let expect_charge = |world: &World, granules| {
            assert_eq!(charged_since(world, before), if traps { granules } else { 5 });
        };
        // A list, where the guest says.
        let args = (source, 0u64, 5_000u32, 5 * G + 60_000);
        assert_eq!(guest.call::<_, i64>(&mut world, "read", args).unwrap(), 5_000);
        guest.expect(&mut world, 5 * G + 60_000, 5_000, 0x99);
        expect_charge(&world, 1);
        // A result, beyond the quota; and a bulk operation, which the engine does.
        guest.run(&mut world, "set-ret", (4 * G + 8,)).unwrap();
        assert!(guest.allocate(&mut world, GRANULE).is_err());
        guest.run(&mut world, "set-ret", (1024u32,)).unwrap();
        expect_charge(&world, 2);
        guest.fill(&mut world, 7 * G - 10, 0x77, 20);
        guest.expect(&mut world, 7 * G - 10, 20, 0x77);
        guest.expect(&mut world, 7 * G + 10, G - 10, 0x53);
        expect_charge(&world, 4);
        // It is a quota all the same: there is no room for anything, and what the guest itself stores traps.
        assert!(guest.allocate(&mut world, GRANULE).is_err());
        let stored = guest.run(&mut world, "store8", (8 * G, 1u32));
        assert_eq!(stored.is_err(), traps);
        assert!(frozen.iter().enumerate().all(|(at, &byte)| byte == 0x50 + (at / GRANULE as usize) as u8));
    }

    fn a_result_of_a_change_may_go_into_a_private_mapping(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let (frozen, handle) = given(&mut world, &guest, 2, 0x50);
        let mut region = guest.allocate(&mut world, GRANULE).unwrap();
        let mapping = guest.map_private(&mut world, handle, 4 * G, 2 * G).unwrap();
        guest.run(&mut world, "set-ret", (5 * G + 16,)).unwrap();
        for _ in 0..3 {
            let mapped = guest.map(&mut world, region, 9 * G, G).unwrap();
            region = guest.unmap(&mut world, mapped, 9 * G, G).unwrap();
        }
        guest.expect(&mut world, 4 * G, G, 0x50);
        guest.expect(&mut world, 5 * G, 16, 0x51);
        guest.run(&mut world, "set-ret", (1024u32,)).unwrap();
        guest.unmap_frozen(&mut world, mapping, 4 * G, 2 * G).unwrap();
        assert!(frozen[G as usize..].iter().all(|&byte| byte == 0x51));
    }

    fn what_was_written_is_nowhere_afterwards(setup) {
        let (frozen, secret) = (0x50, 0xee);
        for _ in 0..3 {
            let mut world = World::new(setup);
            let (a, b) = world.pair();
            let (reference, mut first) = given(&mut world, &a, 1, frozen);
            let mut second = give(&mut world, &b, &reference);
            let mut regions = vec![];
            for at in [4, 5, 4] {
                // Not the first use of this runtime: addresses and pages of others come again.
                a.expect(&mut world, at * G, 4 * G, 0);
                let mapping = a.map_private(&mut world, first, at * G, G).unwrap();
                a.expect(&mut world, at * G, G, frozen);
                a.fill(&mut world, at * G, secret, G);
                first = a.unmap_frozen(&mut world, mapping, at * G, G).unwrap();
                let mapping = b.map_frozen(&mut world, second, at * G, G).unwrap();
                b.expect(&mut world, at * G, G, frozen);
                second = b.unmap_frozen(&mut world, mapping, at * G, G).unwrap();
                let region = a.allocate(&mut world, GRANULE).unwrap();
                let mapping = a.map(&mut world, region, at * G, G).unwrap();
                a.expect(&mut world, at * G, G, 0);
                regions.push(a.unmap(&mut world, mapping, at * G, G).unwrap());
                assert_eq!(reference[..], [frozen; GRANULE as usize]);
            }
            // The memory is left with it.
            a.map_private(&mut world, first, 4 * G, G).unwrap();
            a.fill(&mut world, 4 * G, secret, G);
        }
    }

    fn a_region_may_be_thawed_after_it_was_mapped_privately(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let frozen = guest.frozen(&mut world, 4 * G, 2, 0x31);
        let mapping = guest.map_private(&mut world, frozen, 4 * G, 2 * G).unwrap();
        guest.fill(&mut world, 4 * G, 0xee, 2 * G);
        let frozen = guest.unmap_frozen(&mut world, mapping, 4 * G, 2 * G).unwrap();
        let region = guest.thaw(&mut world, frozen).unwrap();
        let mapping = guest.map(&mut world, region, 6 * G, 2 * G).unwrap();
        guest.expect(&mut world, 6 * G, 2 * G, 0x31);
        guest.fill(&mut world, 6 * G, 0x32, 2 * G);
        guest.unmap(&mut world, mapping, 6 * G, 2 * G).unwrap();
    }

    fn placements_are_checked_as_for_any_map(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let frozen = guest.frozen(&mut world, 4 * G, 2, 0x31);
        let other = guest.frozen(&mut world, 4 * G, 1, 0x32);
        for (at, len, error) in [
            (4 * G, 0, MapError::Misaligned),
            (4 * G + 1, 2 * G, MapError::Misaligned),
            (4 * G, 2 * G - 1, MapError::Misaligned),
            (4 * G, G, MapError::TooSmall),
        ] {
            assert_eq!(guest.map_private(&mut world, frozen, at, len), Err((frozen, error)));
        }
        let mapping = guest.map_private(&mut world, frozen, END - 2 * G, 2 * G).unwrap();
        assert_eq!(guest.map_private(&mut world, other, END - G, G), Err((other, MapError::Overlaps)));
        assert_eq!(guest.map_frozen(&mut world, other, END - 2 * G, G), Err((other, MapError::Overlaps)));
        assert_eq!(guest.unmap_frozen(&mut world, mapping, END - G, G), Err((mapping, MapError::Mismatch)));
        assert_eq!(guest.unmap_frozen(&mut world, mapping, END - 2 * G, 0), Err((mapping, MapError::Mismatch)));
        guest.fill(&mut world, END - 2 * G, 0x33, 2 * G);
        // Over what lingers.
        guest.run(&mut world, "drop-frozen-mapping", (mapping,)).unwrap();
        let mapping = guest.map_private(&mut world, other, END - G, G).unwrap();
        guest.expect(&mut world, END - 2 * G, G, 0);
        guest.expect(&mut world, END - G, G, 0x32);
        guest.unmap_frozen(&mut world, mapping, END - G, G).unwrap();
        guest.expect(&mut world, END - 2 * G, 2 * G, 0);
        let limits = Limits::default().frozen_mapped_bytes(GRANULE / 2);
        world.store.data_mut().mappable.set_limits(limits);
        assert_eq!(guest.map_private(&mut world, other, 4 * G, G), Err((other, MapError::OverQuota)));
    }

    fn threads_write_each_to_its_own(setup) {
        let fixture = setup.fixture();
        let mut region = fixture.world().region(4, 0x50);
        region.bytes_mut().unwrap()[0] = 0x40;
        let frozen = region.freeze().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                let frozen = frozen.clone();
                scope.spawn(move || {
                    let mut world = fixture.world();
                    let guest = world.guest();
                    let mut handle = give(&mut world, &guest, &frozen);
                    for round in 0..20 {
                        let at = (2 + (round + u32::from(thread)) % 8) * G;
                        let mapping = guest.map_private(&mut world, handle, at, 4 * G).unwrap();
                        assert_eq!((guest.load(&mut world, at), frozen[0]), (0x40, 0x40));
                        for n in 0..4 {
                            guest.fill(&mut world, at + n * G, 0xe0 + thread, G);
                            guest.store(&mut world, at + n * G, thread);
                        }
                        guest.expect(&mut world, at + 1, G - 1, 0xe0 + thread);
                        assert_eq!(guest.load(&mut world, at + 3 * G), thread);
                        handle = guest.unmap_frozen(&mut world, mapping, at, 4 * G).unwrap();
                    }
                });
            }
        });
        assert!(frozen[1..].iter().all(|&byte| byte == 0x50));
        assert!(frozen.thaw().is_ok());
    }
}
