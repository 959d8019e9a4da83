//! Regions that are split, and joined again.

use mappable_guest::PartError;
use mappable_guest::bindings::types::limit_regions;

use crate::{GRANULE, HOSTS, granules, host, region};

#[test]
fn parts_are_regions_of_their_own() {
    for refusal in HOSTS {
        let _host = host(refusal);
        let (low, high) = region(&[1, 2, 3]).split(GRANULE).unwrap();
        assert_eq!((low.size(), high.size()), (GRANULE, 2 * GRANULE));
        let (mut low, mut high) = (low.map().unwrap(), high.map().unwrap());
        assert_eq!((granules(&low), granules(&high)), (vec![1], vec![2, 3]));
        low.fill(4);
        high[2 * GRANULE as usize - 1] = 9;
        assert_eq!(granules(&low), [4], "a part is not written through the other");
        drop(low);
        assert_eq!(high.unmap().map().unwrap()[2 * GRANULE as usize - 1], 9, "a part outlives the other");
    }
}

#[test]
fn neighbours_join_again() {
    let _host = host(None);
    let (low, rest) = region(&[1, 2, 3]).split(GRANULE).unwrap();
    let (middle, high) = rest.split(GRANULE).unwrap();
    let mut mapped = middle.map().unwrap();
    mapped.fill(5);
    let joined = low.join(mapped.unmap()).unwrap();
    let joined = joined.join(high).unwrap();
    assert_eq!(joined.size(), 3 * GRANULE);
    assert_eq!(granules(&joined.map().unwrap()), [1, 5, 3]);
}

#[test]
fn what_are_no_neighbours_are_given_back() {
    let _host = host(None);
    let (low, rest) = region(&[1, 2, 3]).split(GRANULE).unwrap();
    let (middle, high) = rest.split(GRANULE).unwrap();
    let failed = low.join(high).unwrap_err();
    assert_eq!(
        failed.to_string(),
        "the regions were not joined: they are not neighbours in one allocation, in this order"
    );
    let (low, high) = (failed.low, failed.high);
    let failed = middle.join(low).unwrap_err();
    let failed = failed.low.join(region(&[4])).unwrap_err();
    assert_eq!(granules(&failed.high.map().unwrap()), [4]);
    assert_eq!(granules(&failed.low.map().unwrap()), [2]);
    assert_eq!(granules(&high.map().unwrap()), [3]);
}

#[test]
fn a_split_that_is_refused_gives_the_region_back() {
    let _host = host(None);
    let mut whole = region(&[1, 2]);
    let mut refused = |at, error: PartError| {
        let failed = std::mem::replace(&mut whole, region(&[0])).split(at).unwrap_err();
        assert_eq!(failed.reason, error);
        assert_eq!(failed.to_string(), format!("the region was not split: {error}"));
        whole = failed.region;
    };
    refused(1, PartError::Misaligned);
    refused(3 * GRANULE - 1, PartError::Misaligned);
    for at in [0, 2 * GRANULE, 3 * GRANULE, u64::MAX / GRANULE * GRANULE] {
        refused(at, PartError::OutsideRegion);
    }
    limit_regions(Some(1));
    let failed = whole.split(GRANULE).unwrap_err();
    assert_eq!(failed.reason, PartError::RegionOverQuota);
    assert_eq!(granules(&failed.region.map().unwrap()), [1, 2]);
}
