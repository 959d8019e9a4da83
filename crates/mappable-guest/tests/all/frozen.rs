//! Regions that are frozen: read by many, and written again by the last.

use mappable_guest::bindings::types::{self, MapError, limit_regions, live_regions, refuse_to_map};
use mappable_guest::{AllocateError, Frozen, MapReason, Mappable, PartError};

use crate::{GRANULE, GRANULE_BYTES, HOSTS, granules, host, region};

#[test]
fn frozen_bytes_are_mapped_by_many_at_once() {
    for refusal in HOSTS {
        let _host = host(refusal);
        let frozen = region(&[1, 2, 3]).freeze();
        let first = frozen.try_clone().unwrap().map().unwrap();
        let last = frozen.slice(2 * GRANULE..3 * GRANULE).unwrap().map().unwrap();
        let whole = frozen.map().unwrap();
        assert_eq!(first.is_by_copy(), refusal.is_some());
        assert_eq!((granules(&first), granules(&whole), granules(&last)), (vec![1, 2, 3], vec![1, 2, 3], vec![3]));
        assert_eq!(whole.as_pod::<u32>()[GRANULE_BYTES / 4], 0x0202_0202);
        let first = first.unmap();
        assert_eq!(first.size(), 3 * GRANULE);
        assert_eq!(granules(&first.map().unwrap()), [1, 2, 3]);
    }
}

#[test]
fn what_is_written_privately_is_the_mappings_own() {
    for refusal in HOSTS {
        let _host = host(refusal);
        let frozen = region(&[1, 2, 3]).freeze();
        let mut mine = frozen.try_clone().unwrap().map_private().unwrap();
        assert_eq!((mine.is_by_copy(), granules(&mine)), (refusal.is_some(), vec![1, 2, 3]));
        let other = frozen.try_clone().unwrap().map().unwrap();
        let mut slice = frozen.slice(GRANULE..2 * GRANULE).unwrap().map_private().unwrap();
        mine[..GRANULE_BYTES].fill(7);
        mine.as_pod_mut::<u32>()[0] = 0x0707_0707;
        slice.fill(8);
        assert_eq!((granules(&mine), granules(&slice)), (vec![7, 2, 3], vec![8]));
        assert_eq!((mine.as_pod::<u16>()[0], granules(&other)), (0x0707, vec![1, 2, 3]));
        let mine = mine.unmap();
        assert_eq!((mine.size(), granules(&mine.map_private().unwrap())), (3 * GRANULE, vec![1, 2, 3]));
        drop((slice, other));
        assert_eq!(granules(&frozen.thaw().unwrap().map().unwrap()), [1, 2, 3]);
    }
}

#[test]
fn a_private_mapping_that_is_refused_gives_the_reference_back() {
    let _host = host(Some(MapError::MappingOverQuota));
    let failed = region(&[1, 2]).freeze().map_private().unwrap_err();
    assert_eq!((failed.reason, failed.region.size()), (MapReason::MappingOverQuota { size: 2 * GRANULE }, 2 * GRANULE));
}

#[test]
fn a_reference_survives_the_raw_handle() {
    let _host = host(None);
    let raw: types::Frozen = region(&[1, 2]).freeze().slice(GRANULE..2 * GRANULE).unwrap().into();
    let frozen = Frozen::from(raw);
    assert_eq!(frozen.size(), GRANULE);
    assert_eq!(granules(&frozen.map().unwrap()), [2]);
}

#[test]
fn the_last_reference_thaws_whatever_kind_the_others_were() {
    for refusal in HOSTS {
        let _host = host(refusal);
        let frozen = region(&[1, 2]).freeze();
        let clone = frozen.try_clone().unwrap();
        let frozen = frozen.thaw().unwrap_err().frozen;
        drop(clone);
        let slice = frozen.slice(GRANULE..2 * GRANULE).unwrap();
        let frozen = frozen.thaw().unwrap_err().frozen;
        drop(slice);
        let mapped = frozen.try_clone().unwrap().map().unwrap();
        let frozen = frozen.thaw().unwrap_err().frozen;
        drop(mapped);
        let mut thawed = frozen.thaw().unwrap().map().unwrap();
        assert_eq!(granules(&thawed), [1, 2]);
        thawed.fill(7);
        assert_eq!(granules(&thawed.unmap().freeze().map().unwrap()), [7, 7]);
    }
}

#[test]
fn a_slice_that_thaws_leaves_the_rest_out() {
    let _host = host(None);
    let frozen = region(&[1, 2, 3, 4]).freeze();
    let slice = frozen.slice(GRANULE..4 * GRANULE).unwrap();
    drop(frozen);
    let inner = slice.slice(GRANULE..2 * GRANULE).unwrap();
    drop(slice);
    let thawed = inner.thaw().unwrap();
    assert_eq!(thawed.size(), GRANULE);
    assert_eq!(granules(&thawed.map().unwrap()), [3]);
}

#[test]
fn a_part_is_frozen_while_its_neighbour_is_written() {
    for refusal in HOSTS {
        let _host = host(refusal);
        let (low, high) = region(&[1, 2]).split(GRANULE).unwrap();
        let frozen = low.freeze();
        let mapped = frozen.try_clone().unwrap().map().unwrap();
        let mut high = high.map().unwrap();
        high.fill(9);
        assert_eq!(granules(&mapped), [1]);
        drop(mapped);
        let joined = frozen.thaw().unwrap().join(high.unmap()).unwrap();
        assert_eq!(granules(&joined.map().unwrap()), [1, 9]);
    }
}

#[test]
fn a_copy_is_written_and_the_frozen_bytes_stay() {
    let _host = host(None);
    let frozen = region(&[1, 2]).freeze();
    let slice = frozen.slice(GRANULE..2 * GRANULE).unwrap();
    let copy = slice.copy().unwrap();
    assert_eq!(copy.size(), GRANULE);
    let mut mapped = copy.map().unwrap();
    assert_eq!(granules(&mapped), [2]);
    mapped.fill(3);
    let failed = Mappable::join(region(&[1]), mapped.unmap()).unwrap_err();
    assert_eq!(granules(&failed.high.map().unwrap()), [3]);
    assert_eq!(granules(&frozen.map().unwrap()), [1, 2]);
}

#[test]
fn frozen_bytes_are_read_by_copy_in_pieces() {
    let _host = host(None);
    // More than is copied at once.
    let whole = region(&[7; 20]);
    whole.write(20 * GRANULE - 1, &[8]).unwrap();
    let frozen = whole.freeze();
    let mut bytes = vec![0; 20 * GRANULE_BYTES - 3];
    frozen.read(3, &mut bytes).unwrap();
    assert_eq!((bytes[0], bytes[bytes.len() - 2], bytes[bytes.len() - 1]), (7, 7, 8));
    let slice = frozen.slice(0..GRANULE).unwrap();
    let error = slice.read(GRANULE - 1, &mut [0; 2]).unwrap_err();
    assert_eq!((error.offset, error.length, error.size), (GRANULE - 1, 2, GRANULE));
}

#[test]
fn slices_begin_at_a_granule_inside_the_region() {
    let _host = host(None);
    let frozen = region(&[1, 2, 3]).freeze().slice(GRANULE..3 * GRANULE).unwrap();
    assert_eq!(frozen.slice(1..GRANULE).unwrap_err(), PartError::Misaligned);
    let odd = frozen.slice(0..GRANULE + 1).unwrap();
    assert_eq!((odd.len(), odd.size()), (GRANULE + 1, 2 * GRANULE));
    let last = u64::MAX / GRANULE * GRANULE;
    for (offset, size) in [(0, 0), (0, 2 * GRANULE + 1), (GRANULE, 2 * GRANULE), (2 * GRANULE, GRANULE), (last, 0)] {
        let range = offset..offset + size;
        assert_eq!(frozen.slice(range).unwrap_err(), PartError::OutsideRegion, "{offset} {size}");
    }
}

#[test]
fn a_quota_for_regions_counts_references() {
    let _host = host(None);
    limit_regions(Some(1));
    let frozen = region(&[1]).freeze();
    assert_eq!(frozen.try_clone().unwrap_err(), AllocateError::RegionOverQuota(GRANULE));
    assert_eq!(frozen.copy().unwrap_err(), AllocateError::RegionOverQuota(GRANULE));
    assert_eq!(frozen.slice(0..GRANULE).unwrap_err(), PartError::RegionOverQuota);
    assert_eq!(live_regions(), 1);
    assert!(frozen.thaw().is_ok());
}

#[test]
fn a_refusal_to_map_gives_the_reference_back() {
    let _host = host(Some(MapError::MappingOverQuota));
    let failed = region(&[1]).freeze().map().unwrap_err();
    assert_eq!(failed.reason, MapReason::MappingOverQuota { size: GRANULE });
    refuse_to_map(None);
    assert_eq!(granules(&failed.region.map().unwrap()), [1]);
}
