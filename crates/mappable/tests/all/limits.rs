//! What a store's components may hold, and which sizes are regions at all.

use mappable::{AllocateError, GRANULE, HandleError, Limits};

use crate::support::{
    AllocateError as WitAllocateError, G, MapError, PartError, Setup, World, on_every_baseline_setup, on_every_setup,
};

/// The WIT enum `allocate-error`, by number.
const INVALID_SIZE: i64 = 0;
const OVER_QUOTA: i64 = 1;
const EXHAUSTED: i64 = 2;

fn limit(world: &mut World, region_bytes: u64, regions: usize) {
    // The canary counts too.
    let limits = Limits::default().region_bytes(region_bytes.saturating_add(GRANULE)).regions(regions + 1);
    world.store.data_mut().mappable.set_limits(limits);
}

on_every_setup! {
    fn a_region_has_whole_granules_for_its_length(setup) {
        let (mut world, guest) = World::with_guest(setup);
        assert_eq!(guest.allocate(&mut world, 0), Err(INVALID_SIZE));
        assert_eq!(world.runtime().allocate(0).unwrap_err(), AllocateError::InvalidRegionSize(0));
        for len in [1, GRANULE - 1, GRANULE, GRANULE + 1, 3 * GRANULE / 2] {
            let (size, before) = (len.next_multiple_of(GRANULE), world.held().1);
            let region = guest.allocate(&mut world, len).unwrap();
            assert_eq!((guest.len(&mut world, region), world.held().1 - before), (len, size));
            let region = world.runtime().allocate(len).unwrap();
            assert_eq!((region.len(), region.size()), (len, size));
        }
        let (mut world, guest) = World::with_guest(setup);
        for size in [u64::MAX - GRANULE + 1, 1 << 63, 8 << 30, 1 << 63 | 1] {
            assert_eq!(guest.allocate(&mut world, size), Err(OVER_QUOTA), "{size}");
        }
        limit(&mut world, u64::MAX, 10);
        for size in [u64::MAX - GRANULE + 1, u64::MAX - 2 * GRANULE + 1, 1 << 63, 1 << 60] {
            let answer = guest.allocate(&mut world, size);
            assert!(answer == Err(EXHAUSTED) || answer == Err(OVER_QUOTA), "{size}: {answer:?}");
            assert_eq!(world.runtime().allocate(size).unwrap_err(), AllocateError::RegionsExhausted(size));
        }
        assert_eq!(guest.allocate(&mut world, 1 << 60), Err(EXHAUSTED));
        assert_eq!(world.held(), (0, 0));
        assert!(guest.allocate(&mut world, GRANULE).is_ok());
    }

    fn regions_are_counted_in_bytes(setup) {
        let (mut world, guest) = World::with_guest(setup);
        limit(&mut world, 5 * GRANULE, 100);
        let first = guest.allocate(&mut world, 2 * GRANULE).unwrap();
        assert_eq!(guest.allocate(&mut world, 4 * GRANULE), Err(OVER_QUOTA));
        let second = guest.allocate(&mut world, 3 * GRANULE).unwrap();
        assert_eq!(guest.allocate(&mut world, GRANULE), Err(OVER_QUOTA));
        assert_eq!(guest.allocate(&mut world, 0), Err(INVALID_SIZE), "whatever the quota");
        assert_eq!(world.held(), (2, 5 * GRANULE));
        // A mapped region counts; one that was handed to the host does not, nor one that was freed.
        let mapping = guest.map(&mut world, first, 3 * G, 2 * G).unwrap();
        assert_eq!(guest.allocate(&mut world, GRANULE), Err(OVER_QUOTA));
        // A dropped mapping's region is freed by the second change after the drop.
        guest.run(&mut world, "drop-mapping", (mapping,)).unwrap();
        assert_eq!(world.held(), (2, 5 * GRANULE));
        assert_eq!(guest.allocate(&mut world, GRANULE), Err(OVER_QUOTA));
        let mapping = guest.map(&mut world, second, 3 * G, 3 * G).unwrap();
        assert_eq!(guest.allocate(&mut world, GRANULE), Err(OVER_QUOTA));
        let second = guest.unmap(&mut world, mapping, 3 * G, 3 * G).unwrap();
        let third = guest.allocate(&mut world, 2 * GRANULE).unwrap();
        assert_eq!(guest.allocate(&mut world, GRANULE), Err(OVER_QUOTA));
        let handle = guest.give(&mut world, second).unwrap();
        let region = world.remove(handle);
        assert_eq!(world.held(), (1, 2 * GRANULE));
        guest.allocate(&mut world, 3 * GRANULE).unwrap();
        if setup.is_ledger() {
            return;
        }
        // Limits are for guests: the host may put in what it will, and that counts.
        let handle = world.insert(region);
        guest.take(&mut world, handle).unwrap();
        assert_eq!(world.held(), (3, 8 * GRANULE));
        guest.run(&mut world, "drop-mappable", (third,)).unwrap();
        assert_eq!(guest.allocate(&mut world, GRANULE), Err(OVER_QUOTA));
    }

    fn regions_are_counted_by_number(setup) {
        let (mut world, guest) = World::with_guest(setup);
        limit(&mut world, u64::MAX, 2);
        let first = guest.allocate(&mut world, GRANULE).unwrap();
        guest.allocate(&mut world, GRANULE).unwrap();
        assert_eq!(guest.allocate(&mut world, GRANULE), Err(OVER_QUOTA));
        guest.run(&mut world, "drop-mappable", (first,)).unwrap();
        guest.allocate(&mut world, GRANULE).unwrap();
        assert_eq!(guest.allocate(&mut world, GRANULE), Err(OVER_QUOTA));
        limit(&mut world, u64::MAX, 0);
        assert_eq!(guest.allocate(&mut world, GRANULE), Err(OVER_QUOTA));
        assert_eq!(world.held(), (2, 2 * GRANULE));
    }

    fn mapped_regions_are_counted(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let limits = Limits::default().mappings(2);
        world.store.data_mut().mappable.set_limits(limits);
        let regions: Vec<_> = (0..3).map(|_| guest.allocate(&mut world, GRANULE).unwrap()).collect();
        let first = guest.map(&mut world, regions[0], 3 * G, G).unwrap();
        let second = guest.map(&mut world, regions[1], 4 * G, G).unwrap();
        assert_eq!(guest.map(&mut world, regions[2], 5 * G, G), Err((regions[2], MapError::OverQuota)));
        guest.run(&mut world, "drop-mapping", (first,)).unwrap();
        let third = guest.map(&mut world, regions[2], 5 * G, G).unwrap();
        let region = guest.unmap(&mut world, second, 4 * G, G).unwrap();
        guest.map(&mut world, region, 3 * G, G).unwrap();
        assert!(guest.unmap(&mut world, third, 5 * G, G).is_ok());
    }

    fn regions_whose_mapping_was_dropped_are_counted_while_they_are_shown(setup) {
        let mut world = World::new(setup);
        let (a, b) = world.pair();
        let limits = Limits::default().mappings(2);
        world.store.data_mut().mappable.set_limits(limits);
        for at in [3 * G, 4 * G] {
            let mapping = a.mapped(&mut world, at, 1, 0x51);
            if at == 4 * G {
                a.run(&mut world, "drop-mapping", (mapping,)).unwrap();
            }
        }
        // One is mapped in `a`, one still shown there.
        let region = b.allocate(&mut world, GRANULE).unwrap();
        assert_eq!(b.map(&mut world, region, 3 * G, G), Err((region, MapError::OverQuota)));
        let own = a.mapped(&mut world, 5 * G, 1, 0x52);
        a.unmap(&mut world, own, 5 * G, G).unwrap();
        assert!(b.map(&mut world, region, 3 * G, G).is_ok());
    }

    fn whatever_makes_one_region_more_is_counted(setup) {
        let (mut world, guest) = World::with_guest(setup);
        limit(&mut world, 6 * GRANULE, 2);
        let region = guest.allocate(&mut world, 2 * GRANULE).unwrap();
        let frozen = guest.freeze(&mut world, region);
        let other = guest.allocate(&mut world, 2 * GRANULE).unwrap();
        assert_eq!(guest.clone_frozen(&mut world, frozen), Err(WitAllocateError::OverQuota));
        assert_eq!(guest.slice(&mut world, frozen, 0, GRANULE), Err(PartError::OverQuota));
        assert_eq!(guest.slice(&mut world, frozen, 1, GRANULE), Err(PartError::Misaligned), "whatever the quota");
        assert_eq!(guest.copy_frozen(&mut world, frozen), Err(WitAllocateError::OverQuota));
        let (other, error) = guest.split(&mut world, other, GRANULE).unwrap_err();
        assert_eq!(error, PartError::OverQuota);
        assert_eq!(world.held(), (2, 4 * GRANULE), "nothing half done");
        limit(&mut world, 6 * GRANULE, 4);
        let clone = guest.clone_frozen(&mut world, frozen).unwrap();
        let (low, high) = guest.split(&mut world, other, GRANULE).unwrap();
        assert_eq!(world.held(), (4, 4 * GRANULE), "a clone and a part take no bytes");
        let joined = guest.join(&mut world, low, high).unwrap();
        guest.copy_frozen(&mut world, frozen).unwrap();
        guest.run(&mut world, "drop-mappable", (joined,)).unwrap();
        guest.run(&mut world, "drop-frozen", (frozen,)).unwrap();
        assert_eq!(world.held(), (2, 4 * GRANULE), "the clone keeps the bytes");
        assert_eq!(guest.allocate(&mut world, 3 * GRANULE), Err(OVER_QUOTA));
        guest.run(&mut world, "drop-frozen", (clone,)).unwrap();
        guest.allocate(&mut world, 3 * GRANULE).unwrap();
    }

    fn frozen_bytes_that_are_mapped_are_counted(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let limits = Limits::default().frozen_mapped_bytes(3 * GRANULE);
        world.store.data_mut().mappable.set_limits(limits);
        let frozen = guest.frozen(&mut world, 4 * G, 2, 0x41);
        let clone = guest.clone_frozen(&mut world, frozen).unwrap();
        let mapping = guest.map_frozen(&mut world, frozen, 4 * G, 2 * G).unwrap();
        assert_eq!(guest.map_frozen(&mut world, clone, 8 * G, 2 * G), Err((clone, MapError::OverQuota)));
        // What can be written is not meant.
        let region = guest.mapped(&mut world, 10 * G, 4, 0x42);
        guest.unmap(&mut world, region, 10 * G, 4 * G).unwrap();
        let slice = guest.slice(&mut world, clone, 0, GRANULE).unwrap();
        let small = guest.map_frozen(&mut world, slice, 8 * G, G).unwrap();
        guest.unmap_frozen(&mut world, small, 8 * G, G).unwrap();
        guest.unmap_frozen(&mut world, mapping, 4 * G, 2 * G).unwrap();
        guest.map_frozen(&mut world, clone, 8 * G, 2 * G).unwrap();
        guest.expect(&mut world, 8 * G, 2 * G, 0x41);
    }

    fn a_store_has_no_more_views_than_it_may(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let (mut other, bystander) = World::with_guest(setup);
        world.store.data_mut().mappable.set_limits(Limits::default().views(0));
        for (world, guest, may) in [(&mut world, &guest, false), (&mut other, &bystander, true)] {
            let region = guest.mapped(world, 4 * G, 2, 0x43);
            let mut region = guest.unmap(world, region, 4 * G, 2 * G).unwrap();
            let before = mappable::internals::system_calls();
            for _ in 0..3 {
                let mapping = guest.map(world, region, 4 * G, 2 * G).unwrap();
                guest.expect(world, 4 * G, 2 * G, 0x43);
                region = guest.unmap(world, mapping, 4 * G, 2 * G).unwrap();
            }
            // Other tests run beside this one, so calls are only counted as the least there were.
            let remapped = mappable::internals::system_calls() - before >= 6;
            assert!(remapped || may || setup.way() == Setup::Copy, "three maps and unmaps without views are six calls");
        }
    }

    fn one_stores_quota_is_not_anothers(setup) {
        let (mut first, guest) = World::with_guest(setup);
        let (mut second, other) = World::with_guest(setup);
        limit(&mut first, 0, 0);
        assert_eq!(guest.allocate(&mut first, GRANULE), Err(OVER_QUOTA));
        assert!(other.allocate(&mut second, GRANULE).is_ok());
    }
}

on_every_baseline_setup! {
    fn what_the_host_makes_for_a_guest_is_charged_if_it_says_so(setup) {
        let runtime = setup.runtime();
        let mut context = runtime.context();
        let limits = Limits::default().region_bytes(3 * GRANULE).regions(4);
        context.set_limits(limits);
        assert_eq!(context.limits(), limits);
        let region = context.allocate(2 * GRANULE - 1).unwrap();
        let first = context.try_insert(region).unwrap();
        let region = context.allocate_from(&[1; 65_537]).unwrap();
        assert_eq!(context.try_insert(region).unwrap_err(), HandleError::OverQuota);
        assert_eq!(context.held(), (1, 2 * GRANULE));
        // An allocation is charged once, however many references there are.
        let frozen = context.allocate_from(b"frozen").unwrap().freeze().unwrap();
        for _ in 0..3 {
            context.try_insert_frozen(frozen.clone()).unwrap();
        }
        assert_eq!(context.held(), (4, 3 * GRANULE));
        assert_eq!(context.try_insert_frozen(frozen).unwrap_err(), HandleError::OverQuota);
        context.remove(first).unwrap();
        let strange = setup.runtime().allocate(GRANULE).unwrap();
        assert_eq!(context.try_insert(strange).unwrap_err(), HandleError::AnotherRuntime);
        // Without that, limits are for guests.
        let region = context.allocate(9 * GRANULE).unwrap();
        context.insert(region).unwrap();
    }
}
