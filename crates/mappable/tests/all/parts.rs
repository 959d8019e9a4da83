//! Split and join: each part a region of its own, and only neighbours are joined.

use mappable::{GRANULE, PartError as HostPartError};

use crate::support::{G, PartError, Setup, World, all_are, on_every_setup};

on_every_setup! {
    fn parts_keep_their_bytes_and_are_joined_again(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let mapping = guest.mapped(&mut world, 4 * G, 4, 0x10);
        for n in 0..4 {
            guest.fill(&mut world, (4 + n) * G, 0x10 + n as u8, G);
        }
        let whole = guest.unmap(&mut world, mapping, 4 * G, 4 * G).unwrap();
        let (low, high) = guest.split(&mut world, whole, GRANULE).unwrap();
        let (middle, last) = guest.split(&mut world, high, 2 * GRANULE).unwrap();
        assert_eq!(world.held(), (3, 4 * GRANULE));
        // Each by itself, at placements of their own.
        let mut mapped = vec![];
        for (part, at, len, byte) in [(last, 2, 1, 0x13), (low, 3, 1, 0x10), (middle, 5, 2, 0x11)] {
            let mapping = guest.map(&mut world, part, at * G, len * G).unwrap();
            guest.expect(&mut world, at * G, G, byte);
            mapped.push((mapping, at, len));
        }
        guest.expect(&mut world, 6 * G, G, 0x12);
        guest.fill(&mut world, 6 * G, 0x22, G);
        let parts: Vec<u32> =
            mapped.iter().map(|&(m, at, len)| guest.unmap(&mut world, m, at * G, len * G).unwrap()).collect();
        let [last, low, middle] = parts[..] else { panic!() };
        let high = guest.join(&mut world, middle, last).unwrap();
        let whole = guest.join(&mut world, low, high).unwrap();
        assert_eq!(guest.call::<_, u64>(&mut world, "size", (whole,)).unwrap(), 4 * GRANULE);
        guest.map(&mut world, whole, 8 * G, 4 * G).unwrap();
        for (n, byte) in [0x10, 0x11, 0x22, 0x13].into_iter().enumerate() {
            guest.expect(&mut world, (8 + n as u32) * G, G, byte);
        }
    }

    fn a_region_is_split_on_a_granule_inside_it(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let region = guest.allocate(&mut world, 2 * GRANULE).unwrap();
        let cases = [
            (1, PartError::Misaligned),
            (GRANULE + 1, PartError::Misaligned),
            (0, PartError::Outside),
            (2 * GRANULE, PartError::Outside),
            (3 * GRANULE, PartError::Outside),
            (u64::MAX - GRANULE + 1, PartError::Outside),
        ];
        let mut handle = region;
        for (at, error) in cases {
            let (same, found) = guest.split(&mut world, handle, at).unwrap_err();
            assert_eq!(found, error, "{at}");
            handle = same;
            let failed = world.region(2, 0).split(at).unwrap_err();
            let host = if error == PartError::Misaligned { HostPartError::Misaligned } else { HostPartError::OutsideRegion };
            assert_eq!((failed.reason, failed.region.size()), (host, 2 * GRANULE));
        }
        guest.split(&mut world, handle, GRANULE).unwrap();
    }

    fn only_neighbours_of_one_allocation_are_joined(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let region = guest.allocate(&mut world, 3 * GRANULE).unwrap();
        let (a, rest) = guest.split(&mut world, region, GRANULE).unwrap();
        let (b, c) = guest.split(&mut world, rest, GRANULE).unwrap();
        let stranger = guest.allocate(&mut world, GRANULE).unwrap();
        let other = guest.allocate(&mut world, GRANULE).unwrap();
        let mut handles = [a, b, c, stranger, other];
        for (low, high) in [(1, 0), (0, 2), (2, 0), (2, 3), (3, 4), (3, 0), (2, 1)] {
            let refused = guest.join(&mut world, handles[low], handles[high]).unwrap_err();
            (handles[low], handles[high]) = refused;
        }
        let [a, b, c, ..] = handles;
        let bc = guest.join(&mut world, b, c).unwrap();
        guest.join(&mut world, a, bc).unwrap();
        // On the host: those of another allocation, and of another runtime.
        let (low, high) = world.region(2, 1).split(GRANULE).unwrap();
        let failed = low.join(world.region(1, 2)).unwrap_err();
        let foreign = setup.runtime().allocate(GRANULE).unwrap();
        let failed = failed.low.join(foreign).unwrap_err();
        assert_eq!(failed.low.join(high).unwrap().bytes().unwrap().len(), 2 * G as usize);
    }

    fn the_host_goes_on_seeing_parts_where_it_has_seen_the_whole(setup) {
        let world = World::new(setup);
        let whole = world.region(40, 0x31);
        let at = whole.bytes().unwrap().as_ptr();
        let (low, high) = whole.split(GRANULE).unwrap();
        let (middle, mut last) = high.split(34 * GRANULE).unwrap();
        last.bytes_mut().unwrap().fill(0x32);
        let seen = [&low, &middle, &last].map(|part| part.bytes().unwrap().as_ptr());
        let whole = low.join(middle.join(last).unwrap()).unwrap();
        let bytes = whole.bytes().unwrap();
        if setup.way() != Setup::Copy {
            assert_eq!(seen, [0, 1, 35].map(|granules| at.wrapping_add(granules * GRANULE as usize)));
            assert_eq!(bytes.as_ptr(), at);
        }
        assert!(all_are(&bytes[..35 * GRANULE as usize], 0x31) && all_are(&bytes[35 * GRANULE as usize..], 0x32));
        // A part that goes takes its addresses with it, and no others.
        let (low, high) = whole.split(3 * GRANULE).unwrap();
        drop(low);
        assert!(all_are(&high.bytes().unwrap()[..32 * GRANULE as usize], 0x31));
    }

    fn a_part_is_frozen_and_shared_while_its_neighbour_is_written(setup) {
        let mut world = World::new(setup);
        let (a, b) = world.pair();
        let mapping = a.mapped(&mut world, 4 * G, 2, 0x44);
        let whole = a.unmap(&mut world, mapping, 4 * G, 2 * G).unwrap();
        let (low, high) = a.split(&mut world, whole, GRANULE).unwrap();
        let frozen = a.freeze(&mut world, low);
        let clone = a.clone_frozen(&mut world, frozen).unwrap();
        let shared: u32 = a.call(&mut world, "pass-frozen", (clone,)).unwrap();
        let theirs = b.map_frozen(&mut world, shared, 4 * G, G).unwrap();
        let mine = a.map_frozen(&mut world, frozen, 4 * G, G).unwrap();
        let written = a.map(&mut world, high, 5 * G, G).unwrap();
        a.fill(&mut world, 5 * G, 0x55, G);
        a.expect(&mut world, 4 * G, G, 0x44);
        b.expect(&mut world, 4 * G, G, 0x44);
        b.expect(&mut world, 5 * G, G, 0);
        let high = a.unmap(&mut world, written, 5 * G, G).unwrap();
        // Handed over and written by the other, beside the same frozen bytes.
        let high: u32 = a.call(&mut world, "pass", (high,)).unwrap();
        let written = b.map(&mut world, high, 5 * G, G).unwrap();
        b.expect(&mut world, 5 * G, G, 0x55);
        b.fill(&mut world, 5 * G, 0x66, G);
        b.expect(&mut world, 4 * G, G, 0x44);
        a.expect(&mut world, 4 * G, G, 0x44);
        // Together again: back, thawed, joined.
        let high = b.unmap(&mut world, written, 5 * G, G).unwrap();
        let shared = b.unmap_frozen(&mut world, theirs, 4 * G, G).unwrap();
        b.run(&mut world, "drop-frozen", (shared,)).unwrap();
        let frozen = a.unmap_frozen(&mut world, mine, 4 * G, G).unwrap();
        let low = a.thaw(&mut world, frozen).unwrap();
        let low: u32 = a.call(&mut world, "pass", (low,)).unwrap();
        let whole = b.join(&mut world, low, high).unwrap();
        b.map(&mut world, whole, 8 * G, 2 * G).unwrap();
        b.expect(&mut world, 8 * G, G, 0x44);
        b.expect(&mut world, 9 * G, G, 0x66);
    }

    fn a_freed_parts_bytes_are_nobodys(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let mapping = guest.mapped(&mut world, 4 * G, 4, 0x99);
        let whole = guest.unmap(&mut world, mapping, 4 * G, 4 * G).unwrap();
        let (low, high) = guest.split(&mut world, whole, 2 * GRANULE).unwrap();
        guest.run(&mut world, "drop-mappable", (low,)).unwrap();
        for _ in 0..4 {
            let fresh = guest.allocate(&mut world, GRANULE).unwrap();
            let mapping = guest.map(&mut world, fresh, 9 * G, G).unwrap();
            guest.expect(&mut world, 9 * G, G, 0);
            guest.fill(&mut world, 9 * G, 0x77, G);
            guest.unmap(&mut world, mapping, 9 * G, G).unwrap();
        }
        guest.map(&mut world, high, 12 * G, 2 * G).unwrap();
        guest.expect(&mut world, 12 * G, 2 * G, 0x99);
    }
}
