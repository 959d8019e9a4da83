//! Frozen regions: read by many, written by nobody, and thawed by the last.

use mappable::{
    AllocateError as HostAllocateError, Frozen, FrozenMapping, GRANULE, HandleError, PartError as HostPartError,
};
use wasmtime::Trap;
use wasmtime::component::Resource;

use crate::support::{
    END, G, Guest, MapError, PartError, Setup, World, foreign_mapping, on_every_open_setup, on_every_setup, trap_is,
    unknown_handle,
};

/// A frozen region of the host's, granule `n` all of `byte + n`.
fn striped(world: &World, granules: u64, byte: u8) -> Frozen {
    let mut region = world.region(granules, 0);
    for (n, granule) in region.bytes_mut().unwrap().chunks_mut(GRANULE as usize).enumerate() {
        granule.fill(byte + n as u8);
    }
    region.freeze().unwrap()
}

fn give(world: &mut World, guest: &Guest, frozen: Frozen) -> u32 {
    let handle = world.store.data_mut().mappable.insert_frozen(frozen).unwrap();
    guest.take_frozen(world, handle).unwrap()
}

/// Has a guest store into a frozen mapping: a trap that ends its store, or a byte of the mapping's own.
fn store_into(setup: Setup, world: &mut World, guest: &Guest, at: u32) -> bool {
    let stored = guest.run(world, "store8", (at, 0xee_u32));
    if setup.frozen_stores_trap() {
        trap_is(stored, Trap::MemoryOutOfBounds);
    } else {
        stored.unwrap();
        assert_eq!(guest.load(world, at), 0xee);
    }
    setup.frozen_stores_trap()
}

on_every_setup! {
    fn what_was_written_is_read_frozen_and_what_it_hides_comes_back(setup) {
        let (mut world, guest) = World::with_guest(setup);
        guest.fill(&mut world, 2 * G, 0x11, 8 * G);
        let frozen = guest.frozen(&mut world, 4 * G, 2, 0x22);
        assert_eq!(guest.call::<_, u64>(&mut world, "size-frozen", (frozen,)).unwrap(), 2 * GRANULE);
        for at in [4, 7, 4] {
            let mapping = guest.map_frozen(&mut world, frozen, at * G, 2 * G).unwrap();
            guest.expect(&mut world, at * G, 2 * G, 0x22);
            guest.expect(&mut world, (at - 1) * G, G, 0x11);
            let again = guest.unmap_frozen(&mut world, mapping, at * G, 2 * G).unwrap();
            assert_eq!(again, frozen, "the engine gives the number that is free");
            guest.expect(&mut world, 2 * G, 8 * G, 0x11);
        }
        let region = guest.thaw(&mut world, frozen).unwrap();
        let mapping = guest.map(&mut world, region, 4 * G, 2 * G).unwrap();
        guest.fill(&mut world, 4 * G, 0x33, G);
        guest.expect(&mut world, 5 * G, G, 0x22);
        guest.unmap(&mut world, mapping, 4 * G, 2 * G).unwrap();
    }

    fn the_refresh_stands_behind_frozen_maps_too(setup) {
        let (mut world, guest) = World::with_guest(setup);
        guest.fill(&mut world, 4 * G, 0x11, G);
        let frozen = guest.frozen(&mut world, 4 * G, 1, 0x22);
        for _ in 0..3 {
            let args = (frozen, 4 * G, G, 4 * G + 7);
            assert_eq!(guest.call::<_, u32>(&mut world, "map-frozen-and-load", args).unwrap(), 0x22);
            assert_eq!(guest.call::<_, u32>(&mut world, "unmap-frozen-and-load", args).unwrap(), 0x11);
        }
    }

    fn many_see_the_same_bytes_at_once(setup) {
        let mut world = World::new(setup);
        let (a, b) = world.pair();
        let (mut elsewhere, c) = World::with_guest(setup);
        let frozen = striped(&world, 3, 0x40);
        let mut shown = vec![];
        for (guest, at) in [(&a, 3), (&a, 6), (&b, 3)] {
            let handle = give(&mut world, guest, frozen.clone());
            shown.push((guest, at, guest.map_frozen(&mut world, handle, at * G, 3 * G).unwrap()));
        }
        let handle = give(&mut elsewhere, &c, frozen.clone());
        c.map_frozen(&mut elsewhere, handle, 9 * G, 3 * G).unwrap();
        for n in 0..3 {
            for (guest, at, _) in &shown {
                guest.expect(&mut world, (at + n) * G, G, 0x40 + n as u8);
            }
            c.expect(&mut elsewhere, (9 + n) * G, G, 0x40 + n as u8);
            assert!(frozen[(n * G) as usize..][..G as usize].iter().all(|&byte| byte == 0x40 + n as u8));
        }
        for (guest, at, mapping) in shown {
            guest.unmap_frozen(&mut world, mapping, at * G, 3 * G).unwrap();
        }
    }

    fn threads_read_what_guests_read(setup) {
        let fixture = setup.fixture();
        let frozen = striped(&fixture.world(), 2, 0x70);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let frozen = frozen.clone();
                scope.spawn(move || {
                    let mut world = fixture.world();
                    let guest = world.guest();
                    for round in 0..50 {
                        let at = (2 + (round + thread) % 8) * G;
                        let handle = give(&mut world, &guest, frozen.clone());
                        let mapping = guest.map_frozen(&mut world, handle, at, 2 * G).unwrap();
                        assert_eq!(guest.load(&mut world, at), 0x70);
                        assert_eq!(guest.load(&mut world, at + 2 * G - 1), 0x71);
                        assert_eq!((frozen[0], frozen[2 * G as usize - 1]), (0x70, 0x71));
                        let handle = guest.unmap_frozen(&mut world, mapping, at, 2 * G).unwrap();
                        guest.run(&mut world, "drop-frozen", (handle,)).unwrap();
                    }
                });
            }
        });
        assert_eq!(frozen.thaw().unwrap().bytes().unwrap()[0], 0x70);
    }

    fn a_store_into_a_frozen_mapping_changes_nothing_frozen(setup) {
        let (mut world, guest) = World::with_guest(setup);
        guest.fill(&mut world, 4 * G, 0x11, 2 * G);
        let frozen = striped(&world, 2, 0x50);
        let handle = give(&mut world, &guest, frozen.clone());
        let mapping = guest.map_frozen(&mut world, handle, 4 * G, 2 * G).unwrap();
        let trapped = store_into(setup, &mut world, &guest, 4 * G + 100);
        assert!(frozen[..G as usize].iter().all(|&byte| byte == 0x50));
        if !trapped {
            let handle = guest.unmap_frozen(&mut world, mapping, 4 * G, 2 * G).unwrap();
            guest.expect(&mut world, 4 * G, 2 * G, 0x11);
            guest.map_frozen(&mut world, handle, 4 * G, 2 * G).unwrap();
            guest.expect(&mut world, 4 * G, G, 0x50);
        }
    }

    fn what_the_host_writes_into_a_frozen_mapping_is_gone_with_it(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let mut other = World::new(setup);
        let other_guest = other.guest();
        let frozen = striped(&world, 2, 0x50);
        let handle = give(&mut other, &other_guest, frozen.clone());
        other_guest.map_frozen(&mut other, handle, 6 * G, 2 * G).unwrap();
        let source = guest.mapped(&mut world, 8 * G, 1, 0x99);
        let source = guest.unmap(&mut world, source, 8 * G, G).unwrap();
        let handle = give(&mut world, &guest, frozen.clone());
        let mut handle = guest.map_frozen(&mut world, handle, 4 * G, 2 * G).unwrap();
        for _ in 0..3 {
            // A list that the host gives, where the guest says.
            let args = (source, 0u64, 5_000u32, 4 * G + 60_000);
            assert_eq!(guest.call::<_, i64>(&mut world, "read", args).unwrap(), 5_000);
            guest.expect(&mut world, 4 * G + 60_000, 5_000, 0x99);
            guest.expect(&mut world, 4 * G, 60_000, 0x50);
            guest.expect(&mut world, 5 * G, G, 0x51 );
            let unmapped = guest.unmap_frozen(&mut world, handle, 4 * G, 2 * G).unwrap();
            handle = guest.map_frozen(&mut world, unmapped, 4 * G, 2 * G).unwrap();
            guest.expect(&mut world, 4 * G, G, 0x50);
            guest.expect(&mut world, 5 * G, G, 0x51);
        }
        // The results of a call, too.
        guest.run(&mut world, "set-ret", (4 * G + 8,)).unwrap();
        guest.allocate(&mut world, GRANULE).unwrap();
        guest.run(&mut world, "set-ret", (1024u32,)).unwrap();
        other_guest.expect(&mut other, 6 * G, G, 0x50);
        other_guest.expect(&mut other, 7 * G, G, 0x51);
        assert!(frozen[..G as usize].iter().all(|&byte| byte == 0x50));
        assert!(frozen[G as usize..].iter().all(|&byte| byte == 0x51));
    }

    fn bulk_writes_into_a_frozen_mapping_are_its_own(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let frozen = striped(&world, 1, 0x50);
        let handle = give(&mut world, &guest, frozen.clone());
        let mapping = guest.map_frozen(&mut world, handle, 4 * G, G).unwrap();
        guest.fill(&mut world, 4 * G + 10, 0x61, 100);
        guest.run(&mut world, "copy", (4 * G + 500, 4 * G + 10, 50u32)).unwrap();
        guest.expect(&mut world, 4 * G + 500, 50, 0x61);
        assert!(frozen.iter().all(|&byte| byte == 0x50));
        let handle = guest.unmap_frozen(&mut world, mapping, 4 * G, G).unwrap();
        guest.map_frozen(&mut world, handle, 4 * G, G).unwrap();
        guest.expect(&mut world, 4 * G, G, 0x50);
    }

    fn thaw_needs_the_last_reference(setup) {
        let mut world = World::new(setup);
        let (a, b) = world.pair();
        let frozen = a.frozen(&mut world, 4 * G, 2, 0x31);
        let clone = a.clone_frozen(&mut world, frozen).unwrap();
        assert_eq!(a.thaw(&mut world, frozen), Err(frozen));
        let passed: u32 = a.call(&mut world, "pass-frozen", (clone,)).unwrap();
        let slice = b.slice(&mut world, passed, GRANULE, GRANULE).unwrap();
        b.run(&mut world, "drop-frozen", (passed,)).unwrap();
        assert_eq!(a.thaw(&mut world, frozen), Err(frozen), "a slice is left");
        let mapping = b.map_frozen(&mut world, slice, 7 * G, G).unwrap();
        assert_eq!(a.thaw(&mut world, frozen), Err(frozen), "mapped elsewhere");
        b.run(&mut world, "drop-frozen-mapping", (mapping,)).unwrap();
        assert_eq!(a.thaw(&mut world, frozen), Err(frozen), "still shown elsewhere");
        b.expect(&mut world, 7 * G, G, 0x31);
        b.mapped(&mut world, 9 * G, 1, 0x32);
        let region = a.thaw(&mut world, frozen).unwrap();
        assert_eq!(a.call::<_, u64>(&mut world, "size", (region,)).unwrap(), 2 * GRANULE);
        let host = striped(&world, 1, 0x33);
        let mut held = give(&mut world, &a, host.clone());
        // Where handles don't cross a guest of the ledger is given a copy, by its usher.
        if !setup.is_ledger() || setup.is_crossing() {
            held = a.thaw(&mut world, held).expect_err("the host has one");
            assert!(host.thaw().is_err());
        }
        assert!(a.thaw(&mut world, held).is_ok());
    }

    fn a_thawed_slice_is_its_part_alone(setup) {
        let (mut world, guest) = World::with_guest(setup);
        for (offset, size) in [(0, 1), (1, 1), (2, 2), (0, 4)] {
            let frozen = striped(&world, 4, 0x60);
            let handle = give(&mut world, &guest, frozen);
            assert_eq!(world.held().1, 4 * GRANULE);
            let slice = guest.slice(&mut world, handle, offset * GRANULE, size * GRANULE).unwrap();
            assert_eq!(world.held(), (2, 4 * GRANULE), "the whole is kept, and counted once");
            guest.run(&mut world, "drop-frozen", (handle,)).unwrap();
            let region = guest.thaw(&mut world, slice).unwrap();
            assert_eq!(world.held(), (1, size * GRANULE));
            let mapping = guest.map(&mut world, region, 5 * G, 4 * G).unwrap();
            for n in 0..size as u32 {
                guest.expect(&mut world, (5 + n) * G, G, 0x60 + offset as u8 + n as u8);
            }
            guest.fill(&mut world, 5 * G, 0xff, size as u32 * G);
            let region = guest.unmap(&mut world, mapping, 5 * G, 4 * G).unwrap();
            guest.run(&mut world, "drop-mappable", (region,)).unwrap();
        }
    }

    fn slices_begin_at_a_granule_and_are_inside(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let frozen = guest.frozen(&mut world, 4 * G, 3, 0x31);
        let cases = [
            (3 * GRANULE, 1, PartError::Outside),
            (2 * GRANULE, GRANULE + 1, PartError::Outside),
            (7, GRANULE, PartError::Misaligned),
            (0, 0, PartError::Outside),
            (3 * GRANULE, GRANULE, PartError::Outside),
            (2 * GRANULE, 2 * GRANULE, PartError::Outside),
            (u64::MAX - GRANULE + 1, GRANULE, PartError::Outside),
            (GRANULE, u64::MAX - GRANULE + 1, PartError::Outside),
        ];
        for (offset, size, error) in cases {
            assert_eq!(guest.slice(&mut world, frozen, offset, size), Err(error), "{offset}, {size}");
        }
        let slice = guest.slice(&mut world, frozen, GRANULE, 2 * GRANULE).unwrap();
        assert_eq!(guest.slice(&mut world, slice, GRANULE, 2 * GRANULE), Err(PartError::Outside));
        let inner = guest.slice(&mut world, slice, GRANULE, GRANULE).unwrap();
        assert_eq!(guest.call::<_, u64>(&mut world, "size-frozen", (inner,)).unwrap(), GRANULE);
        let odd = guest.slice(&mut world, slice, GRANULE, 7).unwrap();
        assert_eq!(guest.call::<_, u64>(&mut world, "size-frozen", (odd,)).unwrap(), GRANULE);
        assert_eq!(guest.map_frozen(&mut world, slice, 4 * G, G), Err((slice, MapError::TooSmall)));
    }

    fn a_copy_is_a_region_of_its_own(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let frozen = striped(&world, 3, 0x21);
        let handle = give(&mut world, &guest, frozen.clone());
        let slice = guest.slice(&mut world, handle, GRANULE, 2 * GRANULE).unwrap();
        let copy = guest.copy_frozen(&mut world, slice).unwrap();
        let mapping = guest.map(&mut world, copy, 4 * G, 2 * G).unwrap();
        guest.expect(&mut world, 4 * G, G, 0x22);
        guest.fill(&mut world, 4 * G, 0xff, G);
        guest.expect(&mut world, 5 * G, G, 0x23);
        guest.unmap(&mut world, mapping, 4 * G, 2 * G).unwrap();
        assert_eq!(guest.call::<_, i64>(&mut world, "read-frozen", (slice, 10u64, 100u32, 8192u32)).unwrap(), 100);
        guest.expect(&mut world, 8192, 100, 0x22);
        assert_eq!(guest.call::<_, i64>(&mut world, "read-frozen", (slice, 2 * GRANULE, 1u32, 8192u32)).unwrap(), -1);
    }

    fn frozen_handles_are_consumed_as_regions_are(setup) {
        let mut world = World::new(setup);
        let (a, b) = world.pair();
        let region = a.allocate(&mut world, GRANULE).unwrap();
        let frozen = a.freeze(&mut world, region);
        let mapping = a.map_frozen(&mut world, frozen, 4 * G, G).unwrap();
        let passed: u32 = a.call(&mut world, "pass-frozen-mapping", (mapping,)).unwrap();
        let there = b.call::<_, u64>(&mut world, "unmap-frozen", (passed, 4 * G, G));
        foreign_mapping(there);
        let (mut world, guest) = World::with_guest(setup);
        let frozen = guest.frozen(&mut world, 4 * G, 1, 1);
        guest.map_frozen(&mut world, frozen, 4 * G, G).unwrap();
        // The number is the mapping's now.
        let lifted = guest.give_frozen(&mut world, frozen);
        assert!(lifted.is_err());
        let (mut world, guest) = World::with_guest(setup);
        unknown_handle(setup, guest.call::<_, u32>(&mut world, "freeze", (77u32,)));
    }

    fn frozen_bytes_stay_through_growth_and_at_the_end_of_memory(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let frozen = striped(&world, 2, 0x50);
        let handle = give(&mut world, &guest, frozen);
        let mapping = guest.map_frozen(&mut world, handle, END - 2 * G, 2 * G).unwrap();
        guest.grow(&mut world, 4);
        guest.expect(&mut world, END - 2 * G, G, 0x50);
        guest.expect(&mut world, END, 4 * G, 0);
        guest.fill(&mut world, END, 0x12, 4 * G);
        guest.expect(&mut world, END - G, G, 0x51);
        guest.unmap_frozen(&mut world, mapping, END - 2 * G, 2 * G).unwrap();
        guest.expect(&mut world, END - 2 * G, 2 * G, 0);
        guest.expect(&mut world, END, 4 * G, 0x12);
    }

    fn files_are_frozen_by_copy_or_as_they_are(setup) {
        let path = std::env::temp_dir().join(format!("mappable-{}-{setup:?}", std::process::id()));
        let mut bytes = vec![0x61; GRANULE as usize + 100];
        bytes[5] = 0x62;
        std::fs::write(&path, &bytes).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        let (mut world, guest) = World::with_guest(setup);
        let copied = Frozen::from_file(world.runtime(), &file).unwrap();
        #[allow(unsafe_code)]
        // SAFETY: the file is this test's own, and is not changed while it is shown.
        let mapped = unsafe { Frozen::from_file_mapped(world.runtime(), &file) }.unwrap();
        for frozen in [copied, mapped] {
            assert_eq!(frozen.size(), 2 * GRANULE);
            assert_eq!(frozen[..], bytes);
            let handle = give(&mut world, &guest, frozen.clone());
            let mapping = guest.map_frozen(&mut world, handle, 4 * G, 2 * G).unwrap();
            assert_eq!(guest.load(&mut world, 4 * G + 5), 0x62);
            guest.expect(&mut world, 5 * G, 100, 0x61);
            guest.expect(&mut world, 5 * G + 100, G - 100, 0);
            let handle = guest.unmap_frozen(&mut world, mapping, 4 * G, 2 * G).unwrap();
            let copy = guest.copy_frozen(&mut world, handle).unwrap();
            guest.run(&mut world, "drop-mappable", (copy,)).unwrap();
            guest.run(&mut world, "drop-frozen", (handle,)).unwrap();
        }
        std::fs::remove_file(&path).unwrap();
    }
}

on_every_open_setup! {
    fn the_host_takes_frozen_bytes_in_and_out(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let frozen = guest.frozen(&mut world, 4 * G, 2, 0x77);
        let handle = guest.give_frozen(&mut world, frozen).unwrap();
        let rep = handle.rep();
        let context = &mut world.store.data_mut().mappable;
        assert!(context.get_frozen(&handle).unwrap().iter().all(|&byte| byte == 0x77));
        assert!(context.get(&Resource::new_own(rep)).is_err(), "no region");
        assert_eq!(context.remove_frozen(Resource::new_borrow(rep)).unwrap_err(), HandleError::Borrowed(rep));
        let frozen = context.remove_frozen(handle).unwrap();
        assert_eq!(context.remove_frozen(Resource::new_own(rep)).unwrap_err(), HandleError::NotHeld(rep));
        assert_eq!(world.held(), (0, 0));
        assert_eq!(frozen.slice(0..GRANULE).unwrap().len(), G as usize);
        assert_eq!(frozen.slice(7..8).unwrap_err(), HostPartError::Misaligned);
        assert_eq!(frozen.slice(2 * GRANULE..3 * GRANULE).unwrap_err(), HostPartError::OutsideRegion);
        let copy = frozen.copy().unwrap();
        let region = frozen.thaw().unwrap();
        assert_eq!(copy.bytes().unwrap(), region.bytes().unwrap());
        let stranger = Setup::runtime(setup);
        let foreign = stranger.allocate(GRANULE).unwrap().freeze().unwrap();
        let refused = world.store.data_mut().mappable.insert_frozen(foreign);
        assert_eq!(refused.unwrap_err(), HandleError::AnotherRuntime);
        assert!(matches!(stranger.allocate(0), Err(HostAllocateError::InvalidRegionSize(0))));
        let _: Option<FrozenMapping> = None;
    }
}
