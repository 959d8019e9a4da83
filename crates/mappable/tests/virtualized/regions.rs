//! The rules of the interface, through the portable guest's exports.

use mappable::bindings::types::{AccessError, AllocateError, MapError, PartError};
use wasmtime::Engine;
use wasmtime::component::{Component, ResourceAny};

use crate::composition::Composition;
use crate::stock::{Frozen, Region, Stock};
use crate::{GRANULE, PORTABLE, TYPES};

#[test]
fn it_imports_nothing() {
    let engine = Engine::default();
    assert_eq!(Component::new(&engine, PORTABLE).unwrap().component_type().imports(&engine).count(), 0);
}

#[test]
fn a_new_region_reads_as_zero_even_where_another_was() {
    let mut stock = Stock::new(PORTABLE);
    assert_eq!(stock.types::<_, u32>("granule", ()), GRANULE as u32);
    let first = stock.region(&[1; 16]);
    stock.drop(first);
    let second = stock.allocate(16 * GRANULE).unwrap();
    assert_eq!((stock.size(second), stock.granules(second)), (16 * GRANULE, vec![0; 16]));
}

#[test]
fn what_is_written_over_a_granules_end_is_read_again() {
    let mut stock = Stock::new(PORTABLE);
    let region = stock.region(&[1, 2, 3]);
    let bytes: Vec<u8> = (0..GRANULE + 10).map(|at| at as u8).collect();
    stock.write(region, GRANULE - 5, &bytes).unwrap();
    assert_eq!(stock.read(region, GRANULE - 5, bytes.len() as u32).unwrap(), bytes);
    assert_eq!(stock.read(region, GRANULE - 7, 4).unwrap(), [1, 1, 0, 1]);
    assert_eq!(stock.read(region, 2 * GRANULE + 4, 2).unwrap(), [bytes[bytes.len() - 1], 3]);
}

#[test]
fn sizes_are_whole_granules_that_fit() {
    let mut stock = Stock::new(PORTABLE);
    assert_eq!(stock.allocate(0).unwrap_err(), AllocateError::InvalidRegionSize);
    for len in [1, GRANULE - 1, GRANULE, GRANULE + 1] {
        let region = stock.allocate(len).unwrap();
        assert_eq!((stock.len(region), stock.size(region)), (len, len.next_multiple_of(GRANULE)));
    }
    for size in [1 << 32, u64::MAX / GRANULE * GRANULE, u64::MAX] {
        assert_eq!(stock.allocate(size).unwrap_err(), AllocateError::RegionsExhausted, "{size}");
    }
}

#[test]
fn ranges_outside_are_refused_and_long_reads_too() {
    let mut stock = Stock::new(PORTABLE);
    let region = stock.region(&[1; 17]);
    let size = 17 * GRANULE;
    for (offset, len) in [(size, 1), (size - 1, 2), (u64::MAX, 1), (0, size as u32 + 1)] {
        assert_eq!(stock.read(region, offset, len).unwrap_err(), AccessError::RangeOutsideRegion);
        assert_eq!(stock.write(region, offset, &vec![2; len as usize]).unwrap_err(), AccessError::RangeOutsideRegion);
    }
    assert_eq!(stock.read(region, size, 0).unwrap().len(), 0);
    assert_eq!(stock.read(region, GRANULE, 1 << 20).unwrap().len(), 1 << 20);
    assert_eq!(stock.read(region, 0, (1 << 20) + 1).unwrap_err(), AccessError::ListTooLong);
    assert_eq!(stock.granules(region), [1; 17]);
    let frozen = stock.freeze(region);
    let slice = stock.slice(frozen, GRANULE, GRANULE).unwrap();
    assert_eq!(stock.read_frozen(slice, GRANULE - 1, 2).unwrap_err(), AccessError::RangeOutsideRegion);
    assert_eq!(stock.read_frozen(frozen, 0, (1 << 20) + 1).unwrap_err(), AccessError::ListTooLong);
}

#[test]
fn mapping_is_refused_and_gives_the_handle_back() {
    let mut stock = Stock::new(PORTABLE);
    let mut region = stock.region(&[1, 2]);
    for (at, expected) in [
        (2 * GRANULE, MapError::PlacementUnmappable),
        (1, MapError::PlacementUnmappable),
        (0, MapError::PlacementMisaligned),
    ] {
        let at = vec![0u8; at as usize];
        let answer: Result<ResourceAny, _> = stock.types("[static]mappable.map", (region, at.as_slice()));
        let (back, error): (Region, MapError) = answer.unwrap_err();
        assert_eq!((error, stock.granules(back)), (expected, vec![1, 2]));
        let frozen = stock.freeze(back);
        let answer: Result<ResourceAny, _> = stock.types("[static]frozen.map", (frozen, at.as_slice()));
        let (back, error): (Frozen, MapError) = answer.unwrap_err();
        assert_eq!((error, stock.frozen_granules(back)), (expected, vec![1, 2]));
        region = stock.thaw(back).expect("the one reference that there is");
    }
}

#[test]
fn parts_keep_their_bytes_and_neighbours_join_again() {
    let mut stock = Stock::new(PORTABLE);
    let region = stock.region(&[1, 2, 3, 4]);
    let (low, rest) = stock.split(region, GRANULE).unwrap();
    let (middle, high) = stock.split(rest, 2 * GRANULE).unwrap();
    assert_eq!((stock.granules(low), stock.granules(middle), stock.granules(high)), (vec![1], vec![2, 3], vec![4]));
    stock.write(middle, GRANULE - 1, &[9, 9]).unwrap();
    assert_eq!((stock.granules(low), stock.granules(high)), (vec![1], vec![4]));
    let upper = stock.join(middle, high).unwrap();
    let whole = stock.join(low, upper).unwrap();
    assert_eq!(stock.size(whole), 4 * GRANULE);
    assert_eq!(stock.read(whole, 2 * GRANULE - 2, 4).unwrap(), [2, 9, 9, 3]);
    assert_eq!(stock.read(whole, 3 * GRANULE, 1).unwrap(), [4]);
}

#[test]
fn what_are_no_neighbours_do_not_join() {
    let mut stock = Stock::new(PORTABLE);
    let region = stock.region(&[1, 2, 3]);
    // As long as what precedes `high` in its own allocation.
    let stranger = stock.region(&[4, 4]);
    let (low, rest) = stock.split(region, GRANULE).unwrap();
    let (middle, high) = stock.split(rest, GRANULE).unwrap();
    let (low, high) = stock.join(low, high).unwrap_err();
    let (middle, low) = stock.join(middle, low).unwrap_err();
    let (high, stranger) = stock.join(high, stranger).unwrap_err();
    let (stranger, high) = stock.join(stranger, high).unwrap_err();
    for (region, granule) in [(low, 1), (middle, 2), (high, 3)] {
        assert_eq!(stock.granules(region), [granule]);
    }
    assert_eq!(stock.granules(stranger), [4, 4]);
    stock.drop(middle);
    let (low, high) = stock.join(low, high).unwrap_err();
    assert_eq!((stock.granules(low), stock.granules(high)), (vec![1], vec![3]));
}

#[test]
fn a_split_has_two_parts_of_whole_granules_or_gives_the_region_back() {
    let mut stock = Stock::new(PORTABLE);
    let mut region = stock.region(&[1, 2]);
    let last = u64::MAX / GRANULE * GRANULE;
    let misaligned = [1, GRANULE - 1, 5 * GRANULE + 1, u64::MAX].map(|at| (at, PartError::PartMisaligned));
    let outside = [0, 2 * GRANULE, 3 * GRANULE, last].map(|at| (at, PartError::PartOutsideRegion));
    for (at, expected) in misaligned.into_iter().chain(outside) {
        let (back, error) = stock.split(region, at).unwrap_err();
        assert_eq!(error, expected, "{at}");
        region = back;
    }
    assert_eq!(stock.granules(region), [1, 2]);
}

#[test]
fn the_last_reference_thaws_and_no_other() {
    let mut stock = Stock::new(PORTABLE);
    let region = stock.region(&[1, 2]);
    let frozen = stock.freeze(region);
    let clone = stock.clone(frozen);
    let frozen = stock.thaw(frozen).unwrap_err();
    let clone = stock.thaw(clone).unwrap_err();
    assert_eq!((stock.frozen_granules(frozen), stock.frozen_granules(clone)), (vec![1, 2], vec![1, 2]));
    let slice = stock.slice(clone, GRANULE, GRANULE).unwrap();
    stock.drop(clone);
    let frozen = stock.thaw(frozen).unwrap_err();
    stock.drop(slice);
    let thawed = stock.thaw(frozen).unwrap();
    stock.write(thawed, 0, &[7; GRANULE as usize]).unwrap();
    assert_eq!(stock.granules(thawed), [7, 2]);
}

#[test]
fn a_length_goes_with_the_value_and_its_parts() {
    let mut stock = Stock::new(PORTABLE);
    for (len, low, high) in [(0, 0, 0), (7, 7, 0), (GRANULE, GRANULE, 0), (GRANULE + 7, GRANULE, 7)] {
        let region = stock.region(&[1, 2]);
        stock.set_len(region, len).unwrap();
        assert_eq!(stock.set_len(region, 2 * GRANULE + 1).unwrap_err(), AccessError::RangeOutsideRegion);
        assert_eq!((stock.len(region), stock.granules(region)), (len, vec![1, 2]));
        let (first, second) = stock.split(region, GRANULE).unwrap();
        assert_eq!((stock.len(first), stock.len(second)), (low, high));
        let joined = stock.join(first, second).unwrap();
        assert_eq!(stock.len(joined), len);
        let frozen = stock.freeze(joined);
        let clone = stock.clone(frozen);
        let slice = stock.slice(frozen, GRANULE, 3).unwrap();
        let copy = stock.copy(slice).unwrap();
        assert_eq!((stock.len_frozen(frozen), stock.len_frozen(clone)), (len, len));
        assert_eq!((stock.len_frozen(slice), stock.len(copy)), (high.min(3), high.min(3)));
        assert_eq!(stock.frozen_granules(slice), [2]);
        stock.drop(frozen);
        stock.drop(clone);
        let thawed = stock.thaw(slice).unwrap();
        assert_eq!((stock.len(thawed), stock.granules(thawed)), (high.min(3), vec![2]));
    }
}

#[test]
fn slices_begin_at_a_granule_and_are_inside() {
    let mut stock = Stock::new(PORTABLE);
    let region = stock.region(&[1, 2, 3, 4]);
    let frozen = stock.freeze(region);
    let slice = stock.slice(frozen, GRANULE, 3 * GRANULE).unwrap();
    assert_eq!(stock.frozen_granules(slice), [2, 3, 4]);
    let inner = stock.slice(slice, GRANULE, GRANULE).unwrap();
    assert_eq!(stock.frozen_granules(inner), [3]);
    let odd = stock.slice(slice, GRANULE, GRANULE + 1).unwrap();
    assert_eq!((stock.len_frozen(odd), stock.frozen_granules(odd)), (GRANULE + 1, vec![3, 4]));
    assert_eq!(stock.slice(slice, 1, GRANULE).unwrap_err(), PartError::PartMisaligned);
    let last = u64::MAX / GRANULE * GRANULE;
    for (offset, size) in [(0, 0), (0, 3 * GRANULE + 1), (GRANULE, u64::MAX), (3 * GRANULE, GRANULE), (last, last)] {
        assert_eq!(stock.slice(slice, offset, size).unwrap_err(), PartError::PartOutsideRegion, "{offset} {size}");
    }
}

#[test]
fn a_part_is_frozen_while_its_neighbour_is_written() {
    let mut stock = Stock::new(PORTABLE);
    let region = stock.region(&[1, 2, 3]);
    let (low, high) = stock.split(region, 2 * GRANULE).unwrap();
    let low = stock.freeze(low);
    stock.write(high, 0, &[9; GRANULE as usize]).unwrap();
    assert_eq!(stock.frozen_granules(low), [1, 2]);
    let low = stock.thaw(low).unwrap();
    let whole = stock.join(low, high).unwrap();
    assert_eq!(stock.granules(whole), [1, 2, 9]);
    // A thawed slice has lost the granule that was between it and its neighbour.
    let (low, high) = stock.split(whole, 2 * GRANULE).unwrap();
    let low = stock.freeze(low);
    let first = stock.slice(low, 0, GRANULE).unwrap();
    stock.drop(low);
    let first = stock.thaw(first).unwrap();
    assert_eq!(stock.granules(first), [1]);
    assert!(stock.join(first, high).is_err());
}

#[test]
fn a_copy_is_a_region_of_its_own() {
    let mut stock = Stock::new(PORTABLE);
    let region = stock.region(&[1, 2, 3]);
    let frozen = stock.freeze(region);
    let slice = stock.slice(frozen, GRANULE, 2 * GRANULE).unwrap();
    let copy = stock.copy(slice).unwrap();
    stock.write(copy, 0, &[9; GRANULE as usize]).unwrap();
    assert_eq!((stock.granules(copy), stock.frozen_granules(frozen)), (vec![9, 3], vec![1, 2, 3]));
    stock.drop(slice);
    assert!(stock.thaw(frozen).is_ok(), "a copy is no reference");
}

#[test]
fn a_full_memory_is_an_error_and_what_is_dropped_makes_room() {
    const HALF: u64 = 256 * GRANULE;
    let mut stock = Stock::limited(PORTABLE, 2 * HALF as usize + (8 << 20));
    let region = stock.allocate(2 * HALF).unwrap();
    assert_eq!(stock.allocate(HALF).unwrap_err(), AllocateError::RegionsExhausted);
    stock.write(region, 0, &[1; GRANULE as usize]).unwrap();

    let (low, high) = stock.split(region, HALF).unwrap();
    stock.drop(high);
    let other = stock.allocate(HALF).expect("the room of a part that was dropped");
    stock.drop(other);

    let frozen = stock.freeze(low);
    let clone = stock.copy(frozen).expect("the room of the part");
    assert_eq!(stock.copy(frozen).unwrap_err(), AllocateError::RegionsExhausted);
    stock.drop(clone);
    let slice = stock.slice(frozen, 0, GRANULE).unwrap();
    stock.drop(frozen);
    assert_eq!(
        stock.allocate(2 * HALF - GRANULE).unwrap_err(),
        AllocateError::RegionsExhausted,
        "a slice keeps all of it"
    );
    let thawed = stock.thaw(slice).unwrap();
    let other = stock.allocate(2 * HALF - GRANULE).expect("the room of what a thawed slice leaves out");
    assert_eq!((stock.granules(thawed), stock.size(other)), (vec![1], 2 * HALF - GRANULE));
}

#[test]
fn a_full_memory_has_room_for_the_lists_of_calls() {
    let mut stock = Stock::limited(PORTABLE, 32 << 20);
    let region = stock.allocate(16 * GRANULE).unwrap();
    let error = loop {
        if let Err(error) = stock.allocate(GRANULE) {
            break error;
        }
    };
    assert_eq!(error, AllocateError::RegionsExhausted);
    stock.write(region, 0, &[1; 1 << 20]).unwrap();
    assert!(stock.read(region, 0, 1 << 20).unwrap() == [1; 1 << 20]);
}

#[test]
fn a_handle_that_was_passed_is_gone() {
    let mut stock = Stock::new(PORTABLE);
    let region = stock.region(&[1]);
    stock.freeze(region);
    assert!(stock.try_call::<_, u64>(TYPES, "[method]mappable.size", (region,)).is_err());
}

/// Asks for a region's size: before it is frozen, after (1), and after the frozen one was dropped (2).
const MISUSE: &str = r#"
(component
  (import "mappable:memory/types@0.1.0" (instance $types
    (export "mappable" (type $mappable (sub resource)))
    (export "frozen" (type $frozen (sub resource)))
    (type $error (enum "invalid-region-size" "region-over-quota" "regions-exhausted"))
    (export "allocate-error" (type $allocate-error (eq $error)))
    (export "[static]mappable.allocate"
      (func (param "size" u64) (result (result (own $mappable) (error $allocate-error)))))
    (export "[static]mappable.freeze" (func (param "this" (own $mappable)) (result (own $frozen))))
    (export "[method]mappable.size" (func (param "self" (borrow $mappable)) (result u64)))))
  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (core func $allocate
    (canon lower (func $types "[static]mappable.allocate") (memory $memory "memory")))
  (core func $freeze (canon lower (func $types "[static]mappable.freeze")))
  (alias export $types "frozen" (type $frozen))
  (core func $drop (canon resource.drop $frozen))
  (core func $size (canon lower (func $types "[method]mappable.size")))
  (core module $code
    (import "memory" "memory" (memory 1))
    (import "types" "allocate" (func $allocate (param i64 i32)))
    (import "types" "freeze" (func $freeze (param i32) (result i32)))
    (import "types" "size" (func $size (param i32) (result i64)))
    (import "types" "drop" (func $drop (param i32)))
    (func (export "run") (param $after i32) (result i64)
      (local $frozen i32)
      (call $allocate (i64.const 131072) (i32.const 0))
      (if (local.get $after) (then (local.set $frozen (call $freeze (i32.load (i32.const 4))))))
      (if (i32.eq (local.get $after) (i32.const 2)) (then (call $drop (local.get $frozen))))
      (call $size (i32.load (i32.const 4)))))
  (core instance $code (instantiate $code
    (with "memory" (instance $memory))
    (with "types" (instance
      (export "allocate" (func $allocate))
      (export "freeze" (func $freeze))
      (export "drop" (func $drop))
      (export "size" (func $size))))))
  (func $run (param "after" u32) (result u64) (canon lift (core func $code "run")))
  (instance $misuse (export "run" (func $run)))
  (export "test:misuse/misuse" (instance $misuse)))
"#;

#[test]
fn a_guest_that_uses_a_region_after_it_was_frozen_traps() {
    let component = || {
        let mut composition = Composition::new();
        let misuse = composition.plug(&wat::parse_str(MISUSE).unwrap(), "test:misuse/misuse");
        composition.export(misuse, "test:misuse/misuse")
    };
    let run = |after: u32| Stock::new(&component()).try_call::<_, u64>("test:misuse/misuse", "run", (after,));
    assert_eq!(run(0).unwrap(), 2 * GRANULE);
    // The engine uses the handle's number again, for the frozen one.
    for (after, trap) in [(1, "used with the wrong type"), (2, "unknown handle index")] {
        let error = run(after).unwrap_err();
        assert!(format!("{error:#}").contains(trap), "{error:#}");
    }
}
