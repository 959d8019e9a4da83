//! The rules, one by one; and random operations, which keep them all.

use crate::{
    AllocateError, GRANULE as G, Holder, Instance, Limits, MapError, Op, Outcome, PartError, Setup, Way, World,
};
use Outcome::{Byte, Done, GivenBack, Handle, Handles};

pub(crate) const A: Holder = Holder::Instance(0);
pub(crate) const B: Holder = Holder::Instance(1);
pub(crate) const HOST: Holder = Holder::Host;

/// Two instances in a store, a third in another.
fn world(ways: [Way; 3], limits: Limits) -> World {
    let instance = |(number, way)| Instance { store: number / 2, granules: 6, most: 8, way };
    let instances = ways.into_iter().enumerate().map(instance).collect();
    World::new(&Setup { stores: vec![limits; 2], instances, longest_list: 1 << 20 })
}

pub(crate) fn plain() -> World {
    world([Way::Pages; 3], Limits::default())
}

pub(crate) fn run<const N: usize>(world: &mut World, steps: [(Op, Outcome); N]) {
    for (number, (op, outcome)) in steps.into_iter().enumerate() {
        assert_eq!(world.apply(&op), outcome, "step {number}: {op:?}");
        assert_eq!(world.broken(), None, "step {number}: {op:?}");
    }
}

pub(crate) fn allocate(by: Holder, granules: u64) -> Op {
    Op::Allocate { by, size: granules * G }
}

pub(crate) fn map(by: usize, handle: usize, at: u64, len: u64) -> Op {
    Op::Map { by, handle, offset: at * G, len: len * G }
}

pub(crate) fn unmap(by: usize, handle: usize, at: u64) -> Op {
    Op::Unmap { by, handle, offset: at * G, len: G }
}

fn store(by: usize, granule: usize, byte: u8) -> Op {
    Op::Store { by, granule, byte }
}

fn load(by: usize, granule: usize) -> Op {
    Op::Load { by, granule }
}

#[test]
fn a_region_goes_with_its_handle_and_what_it_hid_is_back() {
    run(
        &mut plain(),
        [
            (store(0, 2, 9), Done),
            (allocate(A, 1), Handle(0)),
            (map(0, 0, 2, 1), Handle(0)),
            (load(0, 2), Byte(0)),
            (store(0, 2, 7), Done),
            (unmap(0, 0, 2), Handle(0)),
            (load(0, 2), Byte(9)),
            (Op::Pass { from: A, handle: 0, to: B }, Handle(0)),
            (map(1, 0, 4, 2), Handle(0)),
            (load(1, 4), Byte(7)),
        ],
    );
}

#[test]
fn map_looks_for_errors_in_order() {
    use MapError::{PlacementMisaligned, PlacementOverlaps, PlacementTooSmall, PlacementUnmappable};
    let mut world = world([Way::Pages, Way::Never, Way::Pages], Limits { mappings: 1, ..Limits::default() });
    let odd = |by, len| Op::Map { by, handle: 0, offset: 1, len };
    run(
        &mut world,
        [
            (allocate(A, 2), Handle(0)),
            (allocate(A, 1), Handle(1)),
            (allocate(B, 1), Handle(0)),
            (odd(1, 0), Outcome::Map(PlacementMisaligned)),
            (odd(1, 1), Outcome::Map(PlacementUnmappable)),
            (odd(0, 1), Outcome::Map(PlacementMisaligned)),
            (map(0, 0, 1, 1), Outcome::Map(PlacementTooSmall)),
            (map(0, 0, 1, 2), Handle(0)),
            (Op::Map { by: 0, handle: 1, offset: 1, len: 1 }, Outcome::Map(MapError::MappingOverQuota)),
        ],
    );
    let mut world = plain();
    let steps = [(allocate(A, 2), Handle(0)), (allocate(A, 1), Handle(1)), (map(0, 0, 1, 2), Handle(0))];
    run(&mut world, steps);
    run(&mut world, [(map(0, 1, 2, 1), Outcome::Map(PlacementOverlaps)), (map(0, 1, 3, 1), Handle(1))]);
}

fn map_private(by: usize, handle: usize, at: u64, len: u64) -> Op {
    Op::MapPrivate { by, handle, offset: at * G, len: len * G }
}

#[test]
fn what_is_written_privately_is_charged_until_it_goes() {
    let limits = Limits { region_bytes: 3 * G, ..Limits::default() };
    let mut world = world([Way::Pages, Way::Copies, Way::Pages], limits);
    run(&mut world, [(allocate(A, 2), Handle(0)), (map_private(0, 0, 1, 2), Outcome::Trap)]);
    let mut world = self::world([Way::Pages, Way::Copies, Way::Pages], limits);
    run(
        &mut world,
        [
            (allocate(A, 2), Handle(0)),
            (Op::Freeze { by: A, handle: 0 }, Handle(0)),
            (map_private(0, 0, 1, 2), Handle(0)),
            (load(0, 1), Byte(0)),
            (store(0, 1, 7), Done),
            (store(0, 1, 8), Done),
            (allocate(A, 1), Outcome::Allocate(AllocateError::RegionOverQuota)),
            (Op::Deliver { by: 0, granule: 2, byte: 9 }, Done),
            (load(0, 2), Byte(9)),
            (unmap(0, 0, 1), Handle(0)),
            (Op::Clone { by: A, handle: 0 }, Handle(1)),
            (Op::Pass { from: A, handle: 1, to: B }, Handle(0)),
            (map_private(1, 0, 1, 2), Outcome::Map(MapError::MappingOverQuota)),
            (map_private(0, 0, 1, 2), Handle(0)),
            (load(0, 1), Byte(0)),
            (store(0, 2, 1), Done),
            (store(0, 1, 1), Outcome::Trap),
        ],
    );
}

#[test]
fn a_mapping_acts_on_the_memory_that_made_it() {
    let mut world = plain();
    let mismatch = || Outcome::Map(MapError::PlacementMismatch);
    run(
        &mut world,
        [
            (allocate(A, 1), Handle(0)),
            (map(0, 0, 1, 1), Handle(0)),
            (unmap(0, 0, 2), mismatch()),
            (Op::Pass { from: A, handle: 0, to: B }, Handle(0)),
            (Op::Unmap { by: 1, handle: 0, offset: 0, len: 0 }, mismatch()),
            (unmap(1, 0, 1), Outcome::Trap),
            (load(0, 0), Outcome::Refused),
            (Op::DropStore { store: 0 }, Done),
        ],
    );
    assert_eq!(world.usage(0), Default::default());
}

#[test]
fn a_dropped_mapping_is_shown_and_charged_until_it_is_freed() {
    let mut world = plain();
    run(&mut world, [(allocate(A, 1), Handle(0)), (map(0, 0, 1, 1), Handle(0)), (store(0, 1, 5), Done)]);
    run(&mut world, [(Op::Drop { by: A, handle: 0 }, Done), (load(0, 1), Byte(5))]);
    assert_eq!((world.usage(0).regions, world.usage(0).mappings), (1, 0));
    run(&mut world, [(allocate(A, 1), Handle(0)), (map(0, 0, 1, 1), Handle(0)), (load(0, 1), Byte(0))]);
    assert_eq!(world.usage(0).regions, 2);
    run(&mut world, [(unmap(0, 0, 1), Handle(0))]);
    assert_eq!(world.usage(0).regions, 1);
}

#[test]
fn thaw_needs_the_last_reference_a_lingering_one_counts() {
    let mut world = plain();
    let thaw = || Op::Thaw { by: A, handle: 0 };
    run(
        &mut world,
        [
            (allocate(A, 2), Handle(0)),
            (allocate(A, 1), Handle(1)),
            (Op::Freeze { by: A, handle: 0 }, Handle(0)),
            (Op::Slice { by: A, handle: 0, offset: G, size: G }, Handle(2)),
            (map(0, 2, 1, 1), Handle(2)),
            (thaw(), GivenBack),
            (Op::Drop { by: A, handle: 2 }, Done),
            (thaw(), GivenBack),
            (map(0, 1, 3, 1), Handle(1)),
            (thaw(), Handle(0)),
        ],
    );
}

#[test]
fn thaw_of_a_slice_frees_what_it_leaves_out() {
    let mut world = plain();
    run(&mut world, [(allocate(A, 3), Handle(0)), (Op::Freeze { by: A, handle: 0 }, Handle(0))]);
    run(&mut world, [(Op::Slice { by: A, handle: 0, offset: G, size: G }, Handle(1))]);
    assert_eq!(world.usage(0).region_bytes, 3 * G);
    run(&mut world, [(Op::Drop { by: A, handle: 0 }, Done), (Op::Thaw { by: A, handle: 1 }, Handle(0))]);
    assert_eq!(world.usage(0).region_bytes, G);
}

#[test]
fn a_store_into_frozen_bytes_traps_or_is_private() {
    for (way, stored) in [(Way::Pages, Outcome::Trap), (Way::Copies, Done)] {
        let mut world = world([way; 3], Limits::default());
        run(&mut world, [(allocate(A, 1), Handle(0)), (Op::Freeze { by: A, handle: 0 }, Handle(0))]);
        run(&mut world, [(Op::Clone { by: A, handle: 0 }, Handle(1)), (map(0, 0, 1, 1), Handle(0))]);
        run(&mut world, [(Op::Deliver { by: 0, granule: 1, byte: 3 }, Done), (load(0, 1), Byte(3))]);
        let read = Op::Read { by: A, handle: 1, offset: 0, len: G };
        // Now that the mapping has bytes of its own, a store makes more of them.
        run(&mut world, [(read, Outcome::Bytes(vec![0])), (store(0, 1, 4), Done), (load(0, 1), Byte(4))]);
        run(&mut world, [(unmap(0, 0, 1), Handle(0)), (map(0, 0, 1, 1), Handle(0)), (load(0, 1), Byte(0))]);
        run(&mut world, [(store(0, 1, 4), stored)]);
    }
}

#[test]
fn only_neighbours_in_order_are_joined() {
    let mut world = plain();
    let join = |low, high| Op::Join { by: A, low, high };
    let split = |at| Op::Split { by: A, handle: 0, at };
    run(
        &mut world,
        [
            (allocate(A, 3), Handle(0)),
            (split(1), Outcome::Part(PartError::PartMisaligned)),
            (split(3 * G), Outcome::Part(PartError::PartOutsideRegion)),
            (split(G), Handles(0, 1)),
            (join(1, 0), GivenBack),
            (join(0, 1), Handle(0)),
            (allocate(A, 1), Handle(1)),
            (join(0, 1), GivenBack),
            (join(0, 0), Outcome::Trap),
        ],
    );
}

#[test]
fn a_length_goes_with_the_value_and_join_undoes_split() {
    let len = |handle| Op::Len { by: A, handle };
    let length = Outcome::Length;
    for (at, low, high) in [(G, G, 7), (2 * G, G + 7, 0)] {
        let mut world = plain();
        run(&mut world, [(Op::Allocate { by: A, size: G + 7 }, Handle(0)), (len(0), length(G + 7))]);
        assert_eq!(world.usage(0).region_bytes, 2 * G);
        run(&mut world, [(map(0, 0, 1, 2), Handle(0)), (len(0), Outcome::Trap)]);
        let mut world = plain();
        run(&mut world, [(allocate(A, 3), Handle(0)), (Op::SetLen { by: A, handle: 0, len: G + 7 }, Done)]);
        run(&mut world, [(map(0, 0, 1, 3), Handle(0)), (unmap(0, 0, 1), Handle(0)), (len(0), length(G + 7))]);
        run(&mut world, [(Op::Split { by: A, handle: 0, at }, Handles(0, 1))]);
        run(&mut world, [(len(0), length(low)), (len(1), length(high))]);
        run(&mut world, [(Op::Join { by: A, low: 0, high: 1 }, Handle(0)), (len(0), length(G + 7))]);
        run(&mut world, [(Op::Freeze { by: A, handle: 0 }, Handle(0)), (len(0), length(G + 7))]);
        run(&mut world, [(Op::Slice { by: A, handle: 0, offset: G, size: G + 1 }, Handle(1)), (len(1), length(7))]);
        run(&mut world, [(Op::Slice { by: A, handle: 0, offset: 0, size: 5 }, Handle(2)), (len(2), length(5))]);
        run(&mut world, [(Op::Copy { by: A, handle: 2 }, Handle(3)), (len(3), length(5))]);
        run(&mut world, [(Op::Pass { from: A, handle: 3, to: B }, Handle(0))]);
        let beyond = Outcome::Access(crate::AccessError::RangeOutsideRegion);
        run(
            &mut world,
            [(Op::SetLen { by: B, handle: 0, len: G + 1 }, beyond), (Op::Len { by: B, handle: 0 }, length(5))],
        );
        run(&mut world, [(Op::SetLen { by: A, handle: 0, len: 0 }, Outcome::Trap)]);
    }
}

#[test]
fn one_region_too_many_is_over_quota_but_not_for_the_host() {
    let mut world = world([Way::Pages; 3], Limits { regions: 1, region_bytes: 4 * G, ..Limits::default() });
    let over = || Outcome::Allocate(AllocateError::RegionOverQuota);
    run(
        &mut world,
        [
            (allocate(A, 5), over()),
            (allocate(A, 2), Handle(0)),
            (allocate(B, 1), over()),
            (Op::Split { by: A, handle: 0, at: G }, Outcome::Part(PartError::RegionOverQuota)),
            (allocate(Holder::Host, 9), Handle(0)),
            (Op::Pass { from: Holder::Host, handle: 0, to: B }, Handle(0)),
        ],
    );
}

/// A number generator, the same each time: xorshift.
fn random(mut state: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as usize % below
    }
}

#[test]
fn random_operations_keep_every_rule_and_mostly_succeed() {
    let limits = Limits { regions: 12, region_bytes: 24 * G, mappings: 3, frozen_mapped_bytes: 3 * G };
    for streams in [false, true] {
        let (mut succeeded, mut handed_over) = (0, 0);
        for seed in 1..60 {
            let mut choose = random(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
            let mut world = world([Way::Pages, Way::Copies, Way::Pages], limits);
            for _ in 0..300 {
                let pick = if streams { Op::pick_with_streams } else { Op::pick };
                let op = pick(&world, &[0, 1, 2], &mut choose);
                let before = world.clone();
                let outcome = world.apply(&op);
                assert_eq!(crate::step(&before, &op, &outcome, &world), None, "{op:?} {outcome:?}");
                assert_eq!(world.broken(), None, "{op:?} {outcome:?}");
                succeeded += usize::from(!outcome.failed());
                handed_over += usize::from(matches!(outcome, Outcome::HandedOver(_)));
            }
        }
        println!("{succeeded} succeeded, {handed_over} handed over");
        assert!(succeeded > 60 * 300 / 3, "only {succeeded}");
        assert!(handed_over > 200 || !streams, "only {handed_over}");
    }
}
