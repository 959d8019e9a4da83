//! Guests that take all there is: of their quota, of handles, views, mappings and addresses. They are told so, at the
//! call that would have been too much, and others have what they need.

use mappable::{GRANULE, Limits};

use super::{AT, FROZEN, HEAP, REGION, Scene};
use crate::support::{
    AllocateError, END, Fixture, G, Guest, MapError, PAGES, PartError, Setup, all_are, on_every_setup, trapped,
};
use crate::wat;

/// What the attacker's store may have, besides the canary in it.
fn limit(scene: &mut Scene, limits: Limits) {
    let limits = limits.region_bytes(limits.region_bytes.saturating_add(GRANULE)).regions(limits.regions + 1);
    scene.world.data_mut().mappable.set_limits(limits);
}

/// What `allocate` answers.
fn allocate(scene: &mut Scene, attacker: &Guest, granules: u64) -> Result<u32, AllocateError> {
    let answer = attacker.allocate(&mut scene.world, granules * GRANULE);
    answer.map_err(|error| {
        [AllocateError::InvalidSize, AllocateError::OverQuota, AllocateError::Exhausted][error as usize]
    })
}

on_every_setup! {
    fn a_guest_that_takes_all_its_bytes_is_told_so(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(("", ""));
        limit(&mut scene, Limits::default().region_bytes(20 * GRANULE));
        let mut taken = vec![];
        let error = loop {
            match allocate(&mut scene, &attacker, 3) {
                Ok(region) => taken.push(region),
                Err(error) => break error,
            }
        };
        assert_eq!((error, taken.len()), (AllocateError::OverQuota, 6));
        // By no other way either: a copy takes bytes, and what is frozen counts as long as a reference lives.
        let reference = attacker.freeze(&mut scene.world, taken[0]);
        let slice = attacker.slice(&mut scene.world, reference, 0, GRANULE).unwrap();
        assert_eq!(attacker.copy_frozen(&mut scene.world, reference), Err(AllocateError::OverQuota));
        attacker.run(&mut scene.world, "drop-frozen", (reference,)).unwrap();
        assert_eq!(allocate(&mut scene, &attacker, 3), Err(AllocateError::OverQuota));
        assert_eq!(scene.world.held(), (6, 18 * GRANULE));
        attacker.run(&mut scene.world, "drop-frozen", (slice,)).unwrap();
        scene.refused(&attacker);
        assert!(allocate(&mut scene, &attacker, 3).is_ok());
    }

    fn a_guest_that_takes_all_its_regions_is_told_so(setup) {
        // With the limits that a store has unless told: a flood of handles ends there.
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(("", ""));
        let most = Limits::default().regions - 1;
        let whole = scene.lend(&attacker, 2);
        let mut reference = scene.lend_frozen(&attacker);
        for count in 2..most {
            reference = match count % 3 {
                0 => attacker.clone_frozen(&mut scene.world, reference).unwrap(),
                1 => attacker.slice(&mut scene.world, reference, 0, GRANULE).unwrap(),
                _ => {
                    allocate(&mut scene, &attacker, 1).unwrap();
                    reference
                }
            };
        }
        assert_eq!(scene.world.held().0, most);
        assert_eq!(attacker.clone_frozen(&mut scene.world, reference), Err(AllocateError::OverQuota));
        assert_eq!(attacker.slice(&mut scene.world, reference, 0, GRANULE), Err(PartError::OverQuota));
        assert_eq!(allocate(&mut scene, &attacker, 1), Err(AllocateError::OverQuota));
        let answer = attacker.split(&mut scene.world, whole, GRANULE);
        assert_eq!(answer.unwrap_err().1, PartError::OverQuota);
        assert_eq!(scene.world.held().0, most);
        attacker.run(&mut scene.world, "drop-frozen", (reference,)).unwrap();
        scene.refused(&attacker);
    }

    fn a_guest_that_maps_all_that_it_may_is_told_so(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(("", ""));
        limit(&mut scene, Limits::default().mappings(4));
        let mut mapped = vec![];
        for at in 0..4 {
            let region = scene.lend(&attacker, 1);
            mapped.push(attacker.map(&mut scene.world, region, (AT / G + at) * G, G).unwrap());
        }
        let region = scene.lend(&attacker, 1);
        let reference = scene.lend_frozen(&attacker);
        assert_eq!(attacker.map(&mut scene.world, region, 9 * G, G).unwrap_err().1, MapError::OverQuota);
        let answer = attacker.map_frozen(&mut scene.world, reference, 9 * G, 2 * G);
        assert_eq!(answer.unwrap_err().1, MapError::OverQuota);
        attacker.expect(&mut scene.world, AT, 4 * G, REGION);
        attacker.expect(&mut scene.world, AT + 4 * G, 4 * G, HEAP);
        attacker.unmap(&mut scene.world, mapped[1], AT + G, G).unwrap();
        scene.refused(&attacker);
    }

    fn a_guest_can_have_no_more_copied_for_it_than_it_may_map_frozen(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(("", ""));
        limit(&mut scene, Limits::default().frozen_mapped_bytes(4 * GRANULE));
        let mappings = [AT, AT + 2 * G].map(|at| {
            let reference = scene.lend_frozen(&attacker);
            attacker.map_frozen(&mut scene.world, reference, at, 2 * G).unwrap()
        });
        attacker.fill(&mut scene.world, AT, 0x99, 4 * G);
        let third = scene.lend_frozen(&attacker);
        let (third, error) = attacker.map_frozen(&mut scene.world, third, 8 * G, 2 * G).unwrap_err();
        assert_eq!(error, MapError::OverQuota);
        // Dropping does not help while it is shown, in whatever memory; the next change here does.
        attacker.run(&mut scene.world, "drop-frozen-mapping", (mappings[0],)).unwrap();
        let third = attacker.map_frozen(&mut scene.world, third, 8 * G, 2 * G).unwrap();
        attacker.expect(&mut scene.world, 8 * G, 2 * G, FROZEN);
        attacker.unmap_frozen(&mut scene.world, third, 8 * G, 2 * G).unwrap();
        attacker.unmap_frozen(&mut scene.world, mappings[1], AT + 2 * G, 2 * G).unwrap();
        attacker.expect(&mut scene.world, G, 15 * G, HEAP);
        scene.refused(&attacker);
    }

    fn a_guest_that_maps_and_drops_keeps_no_more_than_the_last(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(("", ""));
        for round in 0..100 {
            let region = allocate(&mut scene, &attacker, 2).unwrap();
            let mapping = attacker.map(&mut scene.world, region, (1 + round % 9) * G, 2 * G).unwrap();
            attacker.run(&mut scene.world, "drop-mapping", (mapping,)).unwrap();
            let (regions, bytes) = scene.world.held();
            assert!(regions <= 2 && bytes <= 4 * GRANULE, "{regions}, {bytes}");
        }
        scene.refused(&attacker);
    }

    fn a_guest_that_cuts_its_regions_up_takes_no_room_from_others(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(("", ""));
        let mut rest = scene.lend(&attacker, 64);
        let mut kept = vec![];
        for part in 0..63 {
            let (low, high) = attacker.split(&mut scene.world, rest, GRANULE).unwrap();
            rest = high;
            match part % 2 {
                0 => kept.push(low),
                _ => attacker.run(&mut scene.world, "drop-mappable", (low,)).unwrap(),
            }
        }
        assert_eq!(scene.world.held(), (33, 33 * GRANULE));
        // Holes between its parts are anybody's, and zero.
        let fresh: Vec<_> = (0..40).map(|_| scene.world.runtime().allocate(GRANULE).unwrap()).collect();
        assert!(fresh.iter().all(|region| all_are(region.bytes().unwrap(), 0)));
        let mapping = attacker.map(&mut scene.world, kept[7], AT, G).unwrap();
        attacker.expect(&mut scene.world, AT, G, REGION);
        attacker.unmap(&mut scene.world, mapping, AT, G).unwrap();
        scene.refused(&attacker);
    }

    fn a_guest_that_wears_out_views_falls_back_to_system_calls_alone(setup) {
        // Few views for the store, and few for all: each combination of placements would be one more.
        for (in_all, of_store) in [(10_000, 6), (12, 10_000)] {
            let runtime = setup.builder(setup.config());
            let runtime = if setup.swaps() { runtime.max_views(in_all, 64) } else { runtime };
            let fixture: &'static Fixture = Box::leak(Box::new(Fixture::new(setup, runtime.build().unwrap())));
            let mut scene = Scene::on(fixture);
            let attacker = scene.attacker(("", ""));
            limit(&mut scene, Limits::default().views(of_store));
            for round in 0..20 {
                let mut mapped = vec![];
                for n in 0..4 {
                    let at = (1 + (round * 5 + n * 3) % 13) * G;
                    let region = scene.lend(&attacker, 1);
                    mapped.push((attacker.map(&mut scene.world, region, at, G).unwrap(), at));
                    attacker.expect(&mut scene.world, at, G, REGION);
                }
                for (mapping, at) in mapped {
                    let region = attacker.unmap(&mut scene.world, mapping, at, G).unwrap();
                    attacker.expect(&mut scene.world, at, G, HEAP);
                    attacker.run(&mut scene.world, "drop-mappable", (region,)).unwrap();
                }
                if round % 5 == 0 {
                    scene.others_go_on();
                }
            }
            scene.refused(&attacker);
        }
    }

    fn a_guest_of_many_memories_leaves_addresses_to_others(setup) {
        // Each has a range of its own, and one region mapped after another.
        const COUNT: usize = 60;
        let mut scene = Scene::new(setup);
        let text = wat::guest(setup.memory());
        let component = scene.world.fixture.compile(&text);
        let guests: Vec<Guest> = (0..COUNT)
            .map(|_| {
                let instance = scene.world.instantiate(&component);
                Guest::new(instance, &mut scene.world, None)
            })
            .collect();
        let mappings: Vec<_> = (0u32..)
            .zip(&guests)
            .map(|(n, guest)| {
                let region = scene.lend(guest, 1);
                guest.map(&mut scene.world, region, (2 + n % 10) * G, G)
            })
            .collect();
        // The quota of mappings is the store's.
        let most = Limits::default().mappings;
        assert!(mappings.iter().take(most).all(Result::is_ok));
        scene.others_go_on();
        for ((n, guest), mapping) in (0u32..).zip(&guests).zip(mappings) {
            if let Ok(mapping) = mapping {
                guest.expect(&mut scene.world, (2 + n % 10) * G, G, REGION);
                guest.unmap(&mut scene.world, mapping, (2 + n % 10) * G, G).unwrap();
            }
            guest.expect(&mut scene.world, G, 15 * G, 0);
        }
        scene.others_go_on();
    }

    fn a_guest_that_grows_as_far_as_it_can_leaves_memory_to_others(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(("", ""));
        let region = scene.lend(&attacker, 1);
        let mapping = attacker.map(&mut scene.world, region, AT, G).unwrap();
        assert_eq!(attacker.grow(&mut scene.world, u32::MAX), -1);
        assert_eq!(attacker.grow(&mut scene.world, 65_537 - PAGES), -1);
        // A memory that is copied into takes what it has at once: less of it.
        let most = match setup.way() {
            Setup::Fixed => 64,
            Setup::Copy => 256,
            _ => 65_536,
        };
        assert_eq!(attacker.grow(&mut scene.world, most - PAGES), PAGES as i32);
        attacker.expect(&mut scene.world, AT, G, REGION);
        attacker.expect(&mut scene.world, END, G, 0);
        let last = (most - 1) * G;
        attacker.store(&mut scene.world, last + (G - 1), 0x77);
        if setup.way() != Setup::Copy {
            assert_eq!(attacker.grow(&mut scene.world, 1), -1);
        }
        let region = attacker.unmap(&mut scene.world, mapping, AT, G).unwrap();
        assert_eq!(attacker.load(&mut scene.world, last + (G - 1)), 0x77);
        let mapping = attacker.map(&mut scene.world, region, last, G).unwrap();
        attacker.expect(&mut scene.world, last, G, REGION);
        attacker.unmap(&mut scene.world, mapping, last, G).unwrap();
        assert_eq!(attacker.load(&mut scene.world, last + (G - 1)), 0x77);
        scene.refused(&attacker);
    }

    fn a_list_that_is_too_long_is_refused(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(("", ""));
        let region = allocate(&mut scene, &attacker, 512).unwrap();
        for len in [(16u32 << 20) + 1, 32 << 20] {
            assert_eq!(attacker.call::<_, i64>(&mut scene.world, "read", (region, 0u64, len, AT)).unwrap(), -2);
        }
        for (offset, len) in [(0u64, u32::MAX), (u64::MAX, 1), (u64::MAX, u32::MAX), (32 << 20, 1), (1 << 63, 1)] {
            let answer: i64 = attacker.call(&mut scene.world, "read", (region, offset, len, AT)).unwrap();
            assert_eq!(answer, -1, "{offset:#x}, {len:#x}");
        }
        for offset in [u64::MAX, u64::MAX - 7, 32 << 20, (32 << 20) - 15, 1 << 63] {
            let answer: i64 = attacker.call(&mut scene.world, "write", (region, offset, AT, 16u32)).unwrap();
            assert_eq!(answer, -1, "{offset:#x}");
        }
        attacker.run(&mut scene.world, "drop-mappable", (region,)).unwrap();
        scene.refused(&attacker);
    }

    fn lists_over_the_engines_allowance_trap(setup) {
        for function in ["map", "write", "sum"] {
            let mut scene = Scene::new(setup);
            let attacker = scene.attacker(("", ""));
            let region = scene.lend(&attacker, 2);
            scene.world.set_hostcall_fuel(GRANULE as usize);
            let answer = match function {
                "map" => attacker.try_map(&mut scene.world, region, AT, 2 * G).map(drop),
                "write" => attacker.call::<_, i64>(&mut scene.world, "write", (region, 0u64, AT, 2 * G)).map(drop),
                _ => attacker.call::<_, u64>(&mut scene.world, "sum", (AT, 2 * G)).map(drop),
            };
            trapped(answer);
            scene.trapped(&attacker);
        }
    }
}
