//! Regions that can be written.

use mappable_guest::bindings::types::{self, MapError, live_regions, map_calls, refuse_to_map};
use mappable_guest::{AllocateError, GRANULE, MapReason, Mappable};

use crate::{GRANULE_BYTES, HOSTS, host, region};

#[test]
fn what_is_written_while_mapped_stays() {
    for refusal in HOSTS {
        let _host = host(refusal);
        // More than is copied at once, and not a multiple of it.
        let region = Mappable::allocate(37 * GRANULE).unwrap();
        region.write(5, b"before").unwrap();
        let mut mapped = region.map().unwrap();
        assert_eq!(mapped.is_by_copy(), refusal.is_some());
        assert_eq!(mapped.len(), 37 * GRANULE_BYTES);
        assert_eq!(mapped.as_ptr().addr() % GRANULE_BYTES, 0);
        assert_eq!(&mapped[5..11], b"before");
        for (value, index) in mapped.as_pod_mut::<u64>().iter_mut().zip(100..) {
            *value = index;
        }
        let region = mapped.unmap();
        assert_eq!(region.size(), 37 * GRANULE);
        let mut last = [0; 8];
        region.read(37 * GRANULE - 8, &mut last).unwrap();
        assert_eq!(u64::from_le_bytes(last), 100 + 37 * GRANULE / 8 - 1);
        assert_eq!(region.map().unwrap().as_pod::<u64>()[1], 101);
    }
}

#[test]
fn a_region_survives_the_raw_handle() {
    let _host = host(None);
    let mut mapped = Mappable::allocate(GRANULE).unwrap().map().unwrap();
    mapped[7] = 7;
    let raw: mappable_guest::Handle = mapped.unmap().into();
    let region = Mappable::from(raw);
    assert_eq!(region.size(), GRANULE);
    assert_eq!(region.map().unwrap()[7], 7);
}

#[test]
fn a_region_begins_with_what_it_is_made_from() {
    let _host = host(None);
    // More than is copied at once.
    let bytes: Vec<u8> = (0..(1 << 20) + 5_u32).map(|at| (at % 251) as u8).collect();
    let region = Mappable::allocate_from(&bytes).unwrap();
    assert_eq!(region.size(), 17 * GRANULE);
    let mapped = region.map().unwrap();
    assert_eq!(mapped[..bytes.len()], bytes);
    assert!(mapped[bytes.len()..].iter().all(|&byte| byte == 0));
    assert_eq!(Mappable::allocate_from(&[]).unwrap().size(), GRANULE);
}

#[test]
fn a_range_of_a_region_is_as_many_values_as_fit() {
    let _host = host(None);
    let mut mapped = region(&[0]).map().unwrap();
    mapped.as_pod_mut_at::<u32>(8..20).copy_from_slice(&[1, 2, 3]);
    assert_eq!(mapped.as_pod::<u32>()[..6], [0, 0, 1, 2, 3, 0]);
    assert_eq!(mapped.as_pod_at::<u64>(..24), [0, 1 | 2 << 32, 3]);
    assert!(mapped.as_pod_at::<u64>(65_536..).is_empty());
    let frozen = mapped.unmap().freeze().map().unwrap();
    assert_eq!(frozen.as_pod_at::<u16>(8..=11), [1, 0]);
    let panics = |range: std::ops::Range<usize>| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| frozen.as_pod_at::<u32>(range).len())).is_err()
    };
    assert!(panics(1..5) && panics(0..6) && panics(65_532..65_540) && !panics(65_532..65_536));
}

#[test]
fn placements_are_used_again_and_never_shared() {
    for refusal in HOSTS {
        let _host = host(refusal);
        let map = |granules: u64| Mappable::allocate(granules * GRANULE).unwrap().map().unwrap();
        let (mut one, mut two) = (map(3), map(5));
        one.fill(1);
        two.fill(2);
        assert!(one.iter().all(|&byte| byte == 1));
        let first = one.as_ptr().addr();
        drop(one);
        let again = map(3);
        assert_eq!(again.as_ptr().addr(), first, "the same placement, by region after region");
        assert!(again.iter().all(|&byte| byte == 0), "a new region reads as zero");
        assert!(two.iter().all(|&byte| byte == 2));
    }
}

#[test]
fn what_has_room_for_a_huge_page_begins_at_one() {
    const HUGE_PAGE: usize = 2 << 20;
    for refusal in HOSTS {
        let _host = host(refusal);
        let map = |granules: u64| Mappable::allocate(granules * GRANULE).unwrap().map().unwrap();
        // Odd ones in between, whose pages lie anywhere.
        let mapped = [33, 1, 40, 3, 32].map(map);
        for large in mapped.iter().filter(|mapped| mapped.len() >= HUGE_PAGE) {
            assert_eq!(large.as_ptr().addr() % HUGE_PAGE, 0, "{} bytes", large.len());
        }
    }
}

#[test]
fn dropping_frees_the_region() {
    for refusal in HOSTS {
        let _host = host(refusal);
        drop(Mappable::allocate(GRANULE).unwrap());
        drop(Mappable::allocate(GRANULE).unwrap().map().unwrap());
        assert_eq!(live_regions(), 0);
    }
}

#[test]
fn a_refusal_that_is_no_limit_gives_the_region_back() {
    let _host = host(Some(MapError::PlacementOverlaps));
    let failed = Mappable::allocate(GRANULE).unwrap().map().unwrap_err();
    assert_eq!(failed.reason, MapReason::Refused(MapError::PlacementOverlaps));
    assert_eq!(failed.to_string(), "the host refused to map the region: PlacementOverlaps");
    refuse_to_map(None);
    assert!(failed.region.map().is_ok());
}

#[test]
fn a_quota_for_mappings_gives_the_region_back() {
    let _host = host(Some(MapError::MappingOverQuota));
    let failed = Mappable::allocate(GRANULE).unwrap().map().unwrap_err();
    assert_eq!(failed.reason, MapReason::MappingOverQuota { size: GRANULE });
    assert_eq!(failed.to_string(), "mapping a region of 65536 bytes is over the quota that the host has set");
    refuse_to_map(None);
    assert!(!failed.region.map().unwrap().is_by_copy());
}

#[test]
fn a_host_that_cannot_map_at_all_is_asked_once() {
    let map_thrice = || {
        let before = map_calls();
        for _ in 0..2 {
            assert!(Mappable::allocate(GRANULE).unwrap().map().unwrap().is_by_copy());
        }
        assert!(Mappable::allocate(GRANULE).unwrap().freeze().map().unwrap().is_by_copy());
        map_calls() - before
    };
    {
        let _host = host(Some(MapError::PlacementUnmappable));
        assert_eq!(map_thrice(), 1);
    }
    let _host = host(Some(MapError::MappingsExhausted));
    assert_eq!(map_thrice(), 3, "a host that has no mapping to spare now may have one later");
}

#[test]
fn a_region_larger_than_memory_is_an_error() {
    let _host = host(None);
    for size in [u64::MAX / GRANULE * GRANULE, u64::MAX] {
        assert_eq!(Mappable::allocate(size).unwrap_err(), AllocateError::RegionsExhausted(size));
    }
}

#[test]
fn sizes_are_whole_granules_and_lengths_any_number_of_bytes() {
    let _host = host(None);
    assert_eq!(Mappable::allocate(0).unwrap_err(), AllocateError::InvalidRegionSize(0));
    for (len, granules) in [(1, 1), (GRANULE, 1), (GRANULE + 1, 2)] {
        let region = Mappable::from(types::Mappable::from(Mappable::allocate(len).unwrap()));
        assert_eq!((region.len(), region.size()), (len, granules * GRANULE));
    }
    let empty = Mappable::allocate_from(&[]).unwrap();
    assert!(empty.is_empty() && empty.size() == GRANULE && empty.map().unwrap().is_empty());
}

#[test]
fn a_length_goes_wherever_its_region_goes() {
    for refusal in HOSTS {
        let _host = host(refusal);
        // Handed over or not, which is asking the host or knowing.
        let passed: [fn(Mappable) -> Mappable; 2] = [|it| it, |it| Mappable::from(types::Mappable::from(it))];
        for pass in passed {
            let mut region = pass(Mappable::allocate(2 * GRANULE).unwrap());
            for len in [GRANULE + 9, 0, 2 * GRANULE, 7] {
                region.set_len(len).unwrap();
                region = pass(region);
                // Asks for the length alone, whatever the size.
                let mapped = region.map().unwrap();
                assert_eq!(mapped.len() as u64, len);
                region = pass(mapped.unmap());
                assert_eq!((region.len(), region.size()), (len, 2 * GRANULE));
            }
            let error = region.set_len(2 * GRANULE + 1).unwrap_err();
            assert_eq!((error.offset, error.length, error.size), (0, 2 * GRANULE + 1, 2 * GRANULE));
            region.write(6, b"xyz").unwrap();
            region.set_len(GRANULE + 9).unwrap();
            assert_eq!(region.map().unwrap()[5..10], *b"\0xyz\0");
        }
    }
}

#[test]
fn parts_and_copies_have_the_bytes_that_count() {
    let _host = host(None);
    let passed: [fn(Mappable) -> Mappable; 2] = [|it| it, |it| Mappable::from(types::Mappable::from(it))];
    for pass in passed {
        for (len, low, high) in [(7, 7, 0), (GRANULE, GRANULE, 0), (GRANULE + 7, GRANULE, 7)] {
            let mut region = Mappable::allocate(2 * GRANULE).unwrap();
            region.set_len(len).unwrap();
            let (first, second) = pass(region).split(GRANULE).unwrap();
            assert_eq!((first.len(), second.len()), (low, high));
            let joined = pass(first).join(pass(second)).unwrap();
            assert_eq!((joined.len(), joined.size()), (len, 2 * GRANULE));
            let frozen = pass(joined).freeze();
            let slice = frozen.slice(0..5).unwrap();
            assert_eq!((frozen.len(), slice.len(), slice.size()), (len, 5, GRANULE));
            assert_eq!(slice.try_clone().unwrap().map().unwrap().len(), 5);
            assert_eq!(slice.copy().unwrap().map().unwrap().len(), 5);
            drop((frozen, slice.thaw().unwrap_err()));
        }
        let slice = Mappable::allocate(2 * GRANULE).unwrap().freeze().slice(GRANULE..GRANULE + 3).unwrap();
        let region = pass(slice.thaw().unwrap());
        assert_eq!((region.len(), region.size()), (3, GRANULE));
    }
}

#[test]
fn ranges_outside_the_region_are_errors() {
    let _host = host(None);
    let region = Mappable::allocate(GRANULE).unwrap();
    assert!(region.write(GRANULE - 1, &[1]).is_ok());
    assert!(region.write(GRANULE, &[]).is_ok());
    for (offset, length) in [(GRANULE, 1), (GRANULE - 1, 2), (u64::MAX, 1), (0, GRANULE_BYTES + 1)] {
        let error = region.write(offset, &vec![0; length]).unwrap_err();
        assert_eq!((error.offset, error.length, error.size), (offset, length as u64, GRANULE));
        assert_eq!(region.read(offset, &mut vec![0; length]).unwrap_err(), error);
    }
}

#[test]
fn values_of_odd_sizes_fit_as_often_as_they_do() {
    let _host = host(None);
    let mapped = Mappable::allocate(GRANULE).unwrap().map().unwrap();
    assert_eq!(mapped.as_pod::<[u8; 3]>().len(), GRANULE_BYTES / 3);
    assert_eq!(mapped.as_pod::<[u64; 3]>().len(), GRANULE_BYTES / 24);
    assert_eq!(mapped.as_pod::<()>().len(), 0);
}
