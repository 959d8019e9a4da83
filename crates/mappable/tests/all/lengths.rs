//! Lengths: how many of a region's bytes count goes wherever the region goes, and shows nobody else's bytes.

use mappable::GRANULE;

use crate::support::*;

/// What `set-len` of the guest returns for `range-outside-region`.
const OUTSIDE: i64 = -1;

on_every_setup! {
    fn a_length_goes_with_its_region(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let mut region = guest.allocate(&mut world, 2 * GRANULE + 5).unwrap();
        assert_eq!(guest.len(&mut world, region), 2 * GRANULE + 5);
        for len in [0, 7, GRANULE, 3 * GRANULE] {
            assert_eq!(guest.set_len(&mut world, region, len), 0);
            assert_eq!(guest.set_len(&mut world, region, 3 * GRANULE + 1), OUTSIDE);
            let mapping = guest.map(&mut world, region, 3 * G, 3 * G).unwrap();
            region = guest.unmap(&mut world, mapping, 3 * G, 3 * G).unwrap();
            assert_eq!(guest.len(&mut world, region), len);
            let handle = guest.give(&mut world, region).unwrap();
            let mut held = world.remove(handle);
            assert_eq!((held.len(), held.bytes().unwrap().len() as u64, held.size()), (len, len, 3 * GRANULE));
            assert!(held.set_len(3 * GRANULE + 1).is_err());
            held.set_len(len / 2).unwrap();
            let handle = world.insert(held);
            region = guest.take(&mut world, handle).unwrap();
            assert_eq!(guest.len(&mut world, region), len / 2);
        }
    }

    fn a_length_is_handed_over(setup) {
        let mut world = World::new(setup);
        let (a, b) = world.pair();
        let region = a.allocate(&mut world, 5).unwrap();
        let region: u32 = a.call(&mut world, "pass", (region,)).unwrap();
        assert_eq!(b.len(&mut world, region), 5);
        assert_eq!(b.set_len(&mut world, region, 9), 0);
        let region: u32 = a.call(&mut world, "fetch", (region,)).unwrap();
        assert_eq!(a.len(&mut world, region), 9);
        let frozen = a.freeze(&mut world, region);
        let frozen: u32 = a.call(&mut world, "pass-frozen", (frozen,)).unwrap();
        assert_eq!(b.len_frozen(&mut world, frozen), 9);
        let mapping: u32 = b.map_frozen(&mut world, frozen, 3 * G, G).unwrap();
        let frozen = b.unmap_frozen(&mut world, mapping, 3 * G, G).unwrap();
        let region = b.thaw(&mut world, frozen).unwrap();
        assert_eq!(b.len(&mut world, region), 9);
    }

    fn a_length_that_grows_shows_zeroes_or_what_an_owner_of_the_region_wrote(setup) {
        let (mut world, guest) = World::with_guest(setup);
        // The memory is likely that of a region before.
        let mapping = guest.mapped(&mut world, 3 * G, 2, 0x77);
        let region = guest.unmap(&mut world, mapping, 3 * G, 2 * G).unwrap();
        guest.run(&mut world, "drop-mappable", (region,)).unwrap();
        let region = guest.allocate(&mut world, GRANULE + 5).unwrap();
        assert_eq!(guest.set_len(&mut world, region, 2 * GRANULE), 0);
        let mapping = guest.map(&mut world, region, 3 * G, 2 * G).unwrap();
        let is_zero: u32 = guest.call(&mut world, "uniform", (3 * G, 2 * G, 0u32)).unwrap();
        assert_eq!(is_zero, 1);
        // What is behind the length is the region's too, and stays.
        guest.fill(&mut world, 3 * G, 0x55, 2 * G);
        let region = guest.unmap(&mut world, mapping, 3 * G, 2 * G).unwrap();
        assert_eq!(guest.set_len(&mut world, region, 5), 0);
        let handle = guest.give(&mut world, region).unwrap();
        let mut held = world.remove(handle);
        assert_eq!(held.bytes().unwrap(), [0x55; 5]);
        assert_eq!(held.as_pod::<u16>().unwrap(), [0x5555; 2]);
        held.set_len(2 * GRANULE).unwrap();
        assert!(all_are(held.bytes().unwrap(), 0x55));
    }

    fn parts_have_the_bytes_that_count(setup) {
        let (mut world, guest) = World::with_guest(setup);
        for (len, low, high) in [(0, 0, 0), (7, 7, 0), (GRANULE, GRANULE, 0), (GRANULE + 7, GRANULE, 7)] {
            let region = guest.allocate(&mut world, 2 * GRANULE).unwrap();
            assert_eq!(guest.set_len(&mut world, region, len), 0);
            let (first, second) = guest.split(&mut world, region, GRANULE).unwrap();
            assert_eq!((guest.len(&mut world, first), guest.len(&mut world, second)), (low, high));
            let joined = guest.join(&mut world, first, second).unwrap();
            assert_eq!(guest.len(&mut world, joined), len);
            let frozen = guest.freeze(&mut world, joined);
            assert_eq!(guest.len_frozen(&mut world, frozen), len);
            let clone = guest.clone_frozen(&mut world, frozen).unwrap();
            assert_eq!(guest.len_frozen(&mut world, clone), len);
            let slice = guest.slice(&mut world, frozen, GRANULE, 3).unwrap();
            assert_eq!(guest.len_frozen(&mut world, slice), high.min(3));
            let copy = guest.copy_frozen(&mut world, slice).unwrap();
            assert_eq!(guest.len(&mut world, copy), high.min(3));
            assert_eq!(guest.slice(&mut world, frozen, 3, 1), Err(PartError::Misaligned));
            assert_eq!(guest.slice(&mut world, frozen, GRANULE, GRANULE + 1), Err(PartError::Outside));
            for reference in [frozen, clone] {
                guest.run(&mut world, "drop-frozen", (reference,)).unwrap();
            }
            let thawed = guest.thaw(&mut world, slice).unwrap();
            let size: u64 = guest.call(&mut world, "size", (thawed,)).unwrap();
            assert_eq!((guest.len(&mut world, thawed), size), (high.min(3), GRANULE));
            for region in [copy, thawed] {
                guest.run(&mut world, "drop-mappable", (region,)).unwrap();
            }
        }
        assert_eq!(world.held(), (0, 0));
    }

    fn a_hosts_slice_is_as_long_as_its_range_and_what_counts(setup) {
        let mut region = setup.runtime().allocate_from(&[7; 65_540]).unwrap();
        region.as_pod_mut_at::<u8>(65_536..).unwrap().fill(9);
        let frozen = region.freeze().unwrap();
        assert_eq!((frozen.len(), frozen.size()), (65_540, 2 * GRANULE));
        assert_eq!(frozen.slice(0..3).unwrap()[..], [7; 3]);
        let end = frozen.slice(GRANULE..2 * GRANULE).unwrap();
        assert_eq!((&end[..], end.size()), (&[9; 4][..], GRANULE));
        assert_eq!(end.copy().unwrap().bytes().unwrap(), [9; 4]);
        drop(frozen);
        let region = end.thaw().unwrap();
        assert_eq!((region.bytes().unwrap(), region.size()), (&[9; 4][..], GRANULE));
    }
}
