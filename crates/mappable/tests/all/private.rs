//! Frozen mappings: how long private bytes last, and what is shown where one was dropped.

use mappable::{GRANULE, injection};

use crate::support::{G, MapError, Setup, World, on_every_setup};

on_every_setup! {
    fn what_the_host_wrote_there_goes_with_any_other_change_but_under_copy(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let frozen = guest.frozen(&mut world, 3 * G, 1, 0x11);
        let source = guest.allocate(&mut world, GRANULE).unwrap();
        let other = guest.allocate(&mut world, GRANULE).unwrap();
        let mapping = guest.map_frozen(&mut world, frozen, 5 * G, G).unwrap();
        // The first byte of a region that is zero.
        assert_eq!(guest.call::<_, i64>(&mut world, "read", (source, 0u64, 1u32, 5 * G)).unwrap(), 1);
        assert_eq!(guest.load(&mut world, 5 * G), 0);
        guest.map(&mut world, other, 8 * G, G).unwrap();
        let shown = if setup.frozen_stores_trap() { 0x11 } else { 0 };
        assert_eq!(guest.load(&mut world, 5 * G), shown);
        let frozen = guest.unmap_frozen(&mut world, mapping, 5 * G, G).unwrap();
        guest.map_frozen(&mut world, frozen, 5 * G, G).unwrap();
        guest.expect(&mut world, 5 * G, G, 0x11);
    }

    fn a_frozen_region_is_mapped_where_a_mapping_of_it_was_dropped(setup) {
        let (mut world, guest) = World::with_guest(setup);
        guest.fill(&mut world, 5 * G, 0x22, G);
        let frozen = guest.frozen(&mut world, 3 * G, 1, 0x11);
        let [second, third] = [0; 2].map(|_| guest.clone_frozen(&mut world, frozen).unwrap());
        let mapping = guest.map_frozen(&mut world, frozen, 5 * G, G).unwrap();
        guest.run(&mut world, "drop-frozen-mapping", (mapping,)).unwrap();
        let mapping = guest.map_frozen(&mut world, second, 5 * G, G).unwrap();
        guest.expect(&mut world, 5 * G, G, 0x11);
        guest.unmap_frozen(&mut world, mapping, 5 * G, G).unwrap();
        guest.expect(&mut world, 5 * G, G, 0x22);
        guest.map_frozen(&mut world, third, 5 * G, G).unwrap();
        guest.expect(&mut world, 5 * G, G, 0x11);
    }

    fn a_change_that_fails_leaves_frozen_bytes_what_they_are(setup) {
        for place in 0.. {
            let (mut world, guest) = World::with_guest(setup);
            let frozen = guest.frozen(&mut world, 3 * G, 1, 0x11);
            let source = guest.allocate(&mut world, GRANULE).unwrap();
            let other = guest.allocate(&mut world, GRANULE).unwrap();
            guest.map_frozen(&mut world, frozen, 5 * G, G).unwrap();
            // The host writes there, so that the next change shows it anew.
            assert_eq!(guest.call::<_, i64>(&mut world, "read", (source, 0u64, 1u32, 5 * G)).unwrap(), 1);
            injection::fail(injection::Call::Map, place);
            let answer = guest.map(&mut world, other, 8 * G, G);
            let failed = injection::stop();
            assert!(failed || answer.is_ok());
            guest.expect(&mut world, 5 * G + 1, G - 1, 0x11);
            guest.expect(&mut world, 8 * G, G, 0);
            if let Err((other, error)) = answer {
                assert_eq!(error, MapError::Exhausted);
                guest.map(&mut world, other, 8 * G, G).unwrap();
            }
            guest.expect(&mut world, 5 * G + 1, G - 1, 0x11);
            if !failed {
                assert!(place > 1 || setup.way() == Setup::Copy);
                break;
            }
        }
    }
}
