//! Regions as values of plain types, and as the bytes of other libraries' types.

use std::io::ErrorKind;

use arrow_buffer::{Buffer, ScalarBuffer};
use bytes::Bytes;
use mappable::{GRANULE, PodError};

use crate::support::{Setup, World, on_every_setup};

on_every_setup! {
    fn a_region_is_values_of_any_plain_type(setup) {
        let world = World::new(setup);
        let mut region = world.region(1, 0);
        region.as_pod_mut_at(4096..4112).unwrap().copy_from_slice(&[1.5_f32, 2.5, 3.5, 4.5]);
        assert_eq!(region.as_pod_at::<f32>(4100..4108).unwrap(), [2.5, 3.5]);
        region.as_pod_mut::<u64>().unwrap()[8191] = 7;
        assert_eq!(region.as_pod::<u16>().unwrap()[32764], 7);
        assert_eq!(region.as_pod::<[u8; 3]>().unwrap().len(), 21_845, "as many as fit");
        let frozen = region.freeze().unwrap();
        assert_eq!(frozen.as_pod::<u64>()[8191], 7);
        assert_eq!(frozen.as_pod_at::<f32>(4096..4112), [1.5, 2.5, 3.5, 4.5]);
        assert_eq!(*frozen.as_pod_at::<u8>(..), frozen[..]);
        assert!(frozen.as_pod_at::<u32>(65_536..).is_empty());
    }

    fn a_range_that_is_no_values_is_an_error(setup) {
        let world = World::new(setup);
        let mut region = world.region(1, 0);
        let wrong = [(2..6, PodError::Misaligned), (4..11, PodError::NotWhole), (65_532..65_540, PodError::OutsideRegion)];
        for (range, reason) in wrong {
            for error in [
                region.as_pod_at::<u32>(range.clone()).unwrap_err(),
                region.as_pod_mut_at::<u32>(range.clone()).unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                assert_eq!(error.get_ref().and_then(|source| source.downcast_ref()), Some(&reason));
            }
            let frozen = region.freeze().unwrap();
            assert_eq!(frozen.try_as_pod_at::<u32>(range), Err(reason));
            region = frozen.thaw().unwrap();
        }
        #[expect(clippy::reversed_empty_ranges, reason = "a range that ends before it begins is in no region")]
        let reversed = 8..4;
        assert_eq!(region.freeze().unwrap().try_as_pod_at::<u32>(reversed), Err(PodError::OutsideRegion));
    }

    fn a_hosts_bytes_are_aligned_for_every_plain_type(setup) {
        let world = World::new(setup);
        let whole = world.region(3, 0);
        let (low, high) = whole.split(GRANULE).unwrap();
        for region in [&low, &high] {
            assert!(region.bytes().unwrap().as_ptr().cast::<u128>().is_aligned());
        }
        let frozen = high.freeze().unwrap();
        assert!(frozen.slice(GRANULE..2 * GRANULE).unwrap().as_ptr().cast::<u128>().is_aligned());
    }

    fn frozen_bytes_are_those_of_other_libraries_without_a_copy(setup) {
        let world = World::new(setup);
        let mut region = world.region(2, 0);
        region.as_pod_mut_at(64..76).unwrap().copy_from_slice(&[10, 20, 30]);
        let frozen = region.freeze().unwrap();
        let at = frozen.as_ptr();

        let bytes = Bytes::from_owner(frozen.clone());
        assert_eq!((bytes.as_ptr(), bytes.len()), (at, 2 * GRANULE as usize));
        // At any byte.
        assert_eq!(bytes.slice(64..65)[..], [10]);
        let buffer = Buffer::from(bytes);
        let values = ScalarBuffer::<i32>::from(buffer.slice_with_length(64, 12));
        assert_eq!(values[..], [10, 20, 30]);
        assert_eq!(values.as_ptr().cast(), at.wrapping_add(64));

        // They keep the region: it is thawed when they are gone.
        let frozen = frozen.thaw().unwrap_err().frozen;
        drop((buffer, values));
        frozen.thaw().unwrap();
    }
}
