//! The host's side of the ledger with guests whose trusted modules are written by hand, as simple as can be: a handle is a
//! region's number, and each change is asked of the cache first. What they do is what the interface promises.

mod entering;
mod world;

use world::*;

use crate::host::{MappingMode, Runtime, TrapReason};
use crate::ledger::interface::Failure;
use crate::ledger::{Kind, layout};
use crate::{GRANULE, Limits};

const MODES: [(MappingMode, &str); 4] =
    [(MappingMode::Auto, "16"), (MappingMode::Auto, "16 64"), (MappingMode::Remap, "16"), (MappingMode::Copy, "16")];

#[test]
fn a_region_is_the_same_in_both_guests_and_the_heap_is_back() {
    for (mode, memory) in MODES {
        let mut world = World::new(mode, memory);
        let region = world.call(A, "allocate", &[1]);
        assert_eq!(world.call(A, "size", &[region]), 1);
        for who in [A, B] {
            world.call(who, "poke", &[4 * G, 7]);
        }
        for round in 0..10 {
            assert_eq!(world.visit(A, region, 4 * G, 2 * round + 1), 2 * round, "{mode:?} {memory}");
            assert_eq!(world.visit(B, region, 4 * G, 2 * round + 2), 2 * round + 1, "{mode:?} {memory}");
            for who in [A, B] {
                assert_eq!(world.call(who, "peek", &[4 * G]), 7);
            }
        }
        assert_eq!(world.word(layout::MAPPED), 0);
        assert_eq!(world.store.data().mappable.held(), (1, GRANULE));
    }
}

#[test]
fn a_warm_map_and_unmap_ask_nobody() {
    let mut world = World::new(MappingMode::Auto, "16");
    let region = world.call(A, "allocate", &[1]);
    for round in 0..2 {
        world.visit(A, region, 4 * G, round);
        world.visit(B, region, 5 * G, round);
    }
    let calls = world.call(B, "calls", &[]);
    let warm = world.calls(A, |world| {
        for round in 2..20 {
            world.visit(A, region, 4 * G, round);
            assert_eq!(world.visit(B, region, 5 * G, round), round);
        }
    });
    assert_eq!((warm, world.call(B, "calls", &[]) - calls), (0, 0));
}

#[test]
fn a_view_is_found_after_warm_changes() {
    let mut world = World::new(MappingMode::Auto, "16");
    let [low, high] = [0, 1].map(|_| world.call(A, "allocate", &[1]));
    for round in 0..3 {
        world.visit(A, low, 4 * G, round);
    }
    // Warm; then the host is asked for another one, from the view that it was not told of.
    assert_eq!(world.call(A, "map", &[low, 4 * G, G]), 0);
    assert_eq!(world.call(A, "map", &[high, 5 * G, G]), 0);
    world.call(A, "poke", &[5 * G, 9]);
    assert_eq!([4 * G, 5 * G].map(|at| world.call(A, "peek", &[at])), [2, 9]);
}

#[test]
fn a_map_is_warm_after_the_second_time_and_again_after_growth() {
    let mut world = World::new(MappingMode::Auto, "16");
    let region = world.call(A, "allocate", &[1]);
    let cost = |world: &mut World, byte| world.calls(A, |world| world.visit(A, region, 4 * G, byte));
    assert_eq!([0, 1, 2].map(|byte| cost(&mut world, byte)), [2, 1, 0]);
    assert_eq!(world.call(A, "grow", &[1]), 16);
    world.call(A, "poke", &[16 * G + 1, 5]);
    // The views that were offered do not show the new page, so none is gone to without the host.
    assert_eq!(world.call(A, "map", &[region, 4 * G, G]), 0);
    assert_eq!([4 * G, 16 * G + 1].map(|at| world.call(A, "peek", &[at])), [2, 5]);
    // Grown while it is mapped.
    assert_eq!(world.call(A, "grow", &[2]), 17);
    world.call(A, "poke", &[18 * G, 6]);
    assert_eq!(world.call(A, "unmap", &[region, 4 * G]), 0);
    assert_eq!([4 * G, 16 * G + 1, 18 * G].map(|at| world.call(A, "peek", &[at])), [0, 5, 6]);
    cost(&mut world, 3);
    assert_eq!(cost(&mut world, 4), 0);
}

#[test]
fn what_is_evicted_is_not_gone_to() {
    let mut world = World::with(MappingMode::Auto, "16", Limits::default(), 4);
    let regions = [0; 6].map(|_| world.call(A, "allocate", &[1]));
    for round in 0..5 {
        for (index, region) in regions.into_iter().enumerate() {
            let (at, byte) = (G * (3 + index as u32), round * 40 + index as u32);
            let before = if round == 0 { 0 } else { byte - 40 };
            assert_eq!(world.visit(A, region, at, byte), before);
            // So often in a row that it gets a view, in place of another's. Then it is warm.
            (0..20).for_each(|_| assert_eq!(world.visit(A, region, at, byte), byte));
            assert_eq!(world.calls(A, |world| world.visit(A, region, at, byte)), 0);
            assert_eq!(world.call(A, "peek", &[at]), 0);
        }
    }
}

#[test]
fn of_a_cycle_that_has_not_enough_views_a_part_stays_warm() {
    let mut world = World::with(MappingMode::Auto, "16", Limits::default(), 6);
    let regions = [0; 9].map(|_| world.call(A, "allocate", &[1]));
    let mut warm = vec![];
    for round in 0..8 {
        warm.push(vec![]);
        for (index, region) in regions.into_iter().enumerate() {
            let at = G * (3 + index as u32);
            assert_eq!(world.visit(A, region, at, round + 1), round);
            // With every miss the host looks anew at which views are used: of those, the first time is its own.
            if world.calls(A, |world| world.visit(A, region, at, round + 1)) == 0 {
                warm[round as usize].push(index);
            }
        }
    }
    assert_eq!(warm[4].len(), 4, "all but the first view and the spare one: {warm:?}");
    assert!(warm[4..].iter().all(|indices| *indices == warm[4]), "{warm:?}");
}

#[test]
fn there_are_more_views_than_are_offered_at_once() {
    let mut world = World::with(MappingMode::Auto, "100", Limits::default(), 100);
    let region = world.call(A, "allocate", &[1]);
    for round in 0..2 {
        for at in 1..90 {
            let byte = round * 89 + at;
            assert_eq!(world.visit(A, region, at * G, byte), byte - 1);
        }
    }
    assert_eq!(world.word(layout::MAPPED), 0);
}

#[test]
fn a_quota_holds_whoever_maps() {
    let limits = Limits::default().mappings(2);
    let mut world = World::with(MappingMode::Auto, "16", limits, 128);
    let regions = [0; 3].map(|_| world.call(A, "allocate", &[1]));
    for _ in 0..2 {
        for region in regions {
            world.visit(A, region, 4 * G, 0);
            world.visit(B, region, 4 * G, 0);
        }
    }
    assert_eq!(world.call(A, "map", &[regions[0], 4 * G, G]), 0);
    // As warm as can be, so that it is not for want of a way that it is refused below.
    for _ in 0..2 {
        world.visit(A, regions[2], 5 * G, 0);
    }
    assert_eq!(world.calls(A, |world| world.visit(A, regions[2], 5 * G, 0)), 0);
    assert_eq!(world.call(B, "map", &[regions[1], 4 * G, G]), 0);
    let over_quota = 6;
    assert_eq!(world.call(B, "map", &[regions[2], 5 * G, G]), over_quota);
    // What lingers counts in other memories, and only there.
    world.call(B, "drop", &[regions[1], Kind::Mapping as u32]);
    assert_eq!(world.call(A, "map", &[regions[2], 5 * G, G]), over_quota);
    assert_eq!(world.call(B, "map", &[regions[2], 5 * G, G]), 0);
    assert_eq!(world.word(layout::MAPPED), 2);
    world.store.data_mut().mappable.set_limits(limits.mappings(1));
    assert_eq!(world.call(A, "unmap", &[regions[0], 4 * G]), 0);
    assert_eq!(world.call(A, "map", &[regions[0], 4 * G, G]), over_quota);
}

#[test]
fn a_region_that_is_dropped_while_mapped_lingers_and_all_is_warm_after_it() {
    let mut world = World::new(MappingMode::Auto, "16");
    let [gone, other] = [0; 2].map(|_| world.call(A, "allocate", &[1]));
    for _ in 0..2 {
        world.visit(A, other, 5 * G, 3);
        world.visit(A, gone, 4 * G, 8);
    }
    // Warm, so that the host learns it from the ledger.
    assert_eq!(world.calls(A, |world| world.call(A, "map", &[gone, 4 * G, G])), 0);
    world.call(A, "drop", &[gone, Kind::Mapping as u32]);
    assert_eq!((world.word(layout::MAPPED), world.call(A, "peek", &[4 * G])), (0, 8));
    assert_eq!(world.store.data().mappable.held(), (2, 2 * GRANULE));
    // Goes with the next change, which is the host's; is freed with the one after it.
    assert_eq!(world.calls(A, |world| world.visit(A, other, 5 * G, 4)), 2);
    assert_eq!(world.call(A, "peek", &[4 * G]), 0);
    assert_eq!(world.store.data().mappable.held(), (1, GRANULE));
    world.visit(A, other, 5 * G, 4);
    assert_eq!(world.calls(A, |world| world.visit(A, other, 5 * G, 4)), 0);
    // Though the way from what is shown is known.
    let again = world.call(A, "allocate", &[1]);
    assert_eq!(world.call(A, "map", &[again, 4 * G, G]), 0);
    for _ in 0..2 {
        world.visit(A, other, 5 * G, 4);
    }
    assert_eq!(world.calls(A, |world| world.visit(A, other, 5 * G, 4)), 0);
    world.call(A, "poke", &[4 * G, 8]);
    world.call(A, "drop", &[again, Kind::Mapping as u32]);
    assert_eq!(world.call(A, "map", &[other, 5 * G, G]), 0);
    assert_eq!(world.call(A, "peek", &[4 * G]), 0);
    assert_eq!(world.store.data().mappable.held(), (2, 2 * GRANULE));
    assert_eq!(world.call(A, "unmap", &[other, 5 * G]), 0);
    assert_eq!(world.store.data().mappable.held(), (1, GRANULE));
    // What lingers in one memory keeps no other one from going without the host.
    let again = world.call(A, "allocate", &[1]);
    world.call(A, "map", &[again, 4 * G, G]);
    for _ in 0..2 {
        world.visit(B, other, 5 * G, 4);
    }
    world.call(A, "drop", &[again, Kind::Mapping as u32]);
    assert_eq!(world.calls(B, |world| world.visit(B, other, 5 * G, 4)), 0);
}

#[test]
fn a_view_of_frozen_bytes_is_offered_where_views_are() {
    for (mode, memory) in MODES {
        let mut world = World::new(mode, memory);
        let [region, other] = [0; 2].map(|_| world.call(A, "allocate", &[1]));
        world.visit(A, region, 4 * G, 9);
        let frozen = world.call(A, "freeze", &[region]);
        let record = layout::MEMORIES + layout::MEMORY * world.call(A, "memory-number", &[]);
        let is_swapped = (mode, memory) == MODES[0];
        for round in 0..3 {
            assert_eq!(world.call(A, "frozen-map", &[frozen, 4 * G, G]), 0);
            assert_eq!(world.call(A, "peek", &[4 * G]), 9);
            assert_eq!(world.word(record + layout::MEMORY_SELECTOR) != 0, is_swapped, "{mode:?} {memory}");
            let bounds = [layout::MEMORY_FROZEN_START, layout::MEMORY_FROZEN_END].map(|at| world.word(record + at));
            assert_eq!(bounds, if is_swapped { [4, 5] } else { [0, 0] });
            assert_eq!(world.word(layout::FROZEN_MAPPED), 1);
            assert_eq!(world.visit(A, other, 5 * G, round + 1), round);
            assert_eq!(world.call(A, "frozen-unmap", &[frozen, 4 * G]), 0);
            assert_eq!(world.call(A, "peek", &[4 * G]), 0);
            assert_eq!(world.word(layout::FROZEN_MAPPED), 0);
        }
        let region = world.call(A, "thaw", &[frozen]);
        assert_eq!(world.visit(B, region, 4 * G, 1), 9);
    }
}

/// A view that the host has written to is not gone to without the host, nor is anything known of it.
#[test]
fn the_hosts_write_to_frozen_bytes_makes_what_was_known_invalid() {
    let mut world = World::new(MappingMode::Auto, "16");
    let [region, other] = [0; 2].map(|_| world.call(A, "allocate", &[1]));
    let frozen = world.call(A, "freeze", &[region]);
    let record = layout::MEMORIES + layout::MEMORY * world.call(A, "memory-number", &[]);
    // Where the host puts results.
    for _ in 0..3 {
        assert_eq!(world.call(A, "frozen-map", &[frozen, 0, G]), 0);
        assert_eq!(world.call(A, "frozen-unmap", &[frozen, 0]), 0);
    }
    assert_eq!(world.call(A, "frozen-map", &[frozen, 0, G]), 0);
    let known = [layout::MEMORY_SELECTOR, layout::MEMORY_GENERATION].map(|at| record + at);
    let [selector, generation] = known.map(|at| world.word(at));
    assert_ne!(selector, 0);
    // In bulk: the engine does that in host code.
    world.call(A, "fill", &[4, 77, 1]);
    assert_eq!(world.call(A, "peek", &[4]), 77);
    let [same, later] = known.map(|at| world.word(at));
    assert!(same == selector && later > generation, "{later} after {generation}");
    // The view that is dirty is left, and is no longer offered; gone to again, it is clean and offered.
    world.visit(A, other, 5 * G, 1);
    assert_eq!(world.call(A, "peek", &[4]), 0);
    assert_ne!(world.word(known[0]), 0);
}

#[test]
fn files_of_others_have_numbers_of_their_own() {
    let backing = crate::region::Backing::in_file(crate::HugePages::default(), 0).unwrap();
    let mut files = super::Files::default();
    let whole = |len: u64| {
        let name = std::env::temp_dir().join(format!("mappable-{}-{len}", std::process::id()));
        std::fs::write(&name, vec![1; len as usize]).unwrap();
        let file = crate::sys::File::of(std::fs::File::open(&name).unwrap().into()).unwrap();
        std::fs::remove_file(name).unwrap();
        crate::region::Held::Frozen(crate::region::FrozenRegion::of_file(&backing, file, 0..len).unwrap())
    };
    let (one, two) = (whole(GRANULE), whole(2 * GRANULE));
    let region = || crate::Mappable::allocate(&backing, GRANULE).unwrap();
    let owned = crate::region::Held::Mappable(region());
    let frozen = crate::region::Held::Frozen(crate::region::FrozenRegion::new(region()));
    let words = |files: &mut super::Files, held| files.source(held).unwrap().1;
    let file = 1 << layout::FILE_SHIFT;
    for _ in 0..2 {
        assert_eq!(words(&mut files, &owned), 1);
        assert_eq!(words(&mut files, &frozen), layout::FROZEN | 1);
        assert_eq!(words(&mut files, &one), layout::FROZEN | file | 1);
        assert_eq!(words(&mut files, &two), layout::FROZEN | (2 * file) | 2);
    }
}

#[test]
fn parts_are_regions_of_their_own() {
    let mut world = World::new(MappingMode::Auto, "16");
    let whole = world.call(A, "allocate", &[2]);
    assert_eq!(world.call(A, "map", &[whole, 4 * G, 2 * G]), 0);
    world.call(A, "poke", &[4 * G, 1]);
    world.call(A, "poke", &[5 * G, 2]);
    assert_eq!(world.call(A, "unmap", &[whole, 4 * G]), 0);
    let low = world.call(A, "split", &[whole]);
    let high = world.call(A, "second", &[]);
    for _ in 0..3 {
        assert_eq!(world.visit(B, low, 4 * G, 1), 1);
        assert_eq!(world.visit(B, high, 4 * G, 2), 2);
    }
}

#[test]
fn a_window_shows_the_guest_that_it_is_aimed_at() {
    let mut world = World::new(MappingMode::Auto, "16");
    let [a, b] = [A, B].map(|who| world.call(who, "memory-number", &[]));
    assert!(a != 0 && b != 0 && a != b);
    assert_eq!(world.call(B, "memory-number", &[]), b);
    world.call(A, "poke", &[15 * G, 3]);
    world.call(B, "poke", &[15 * G, 4]);
    // Its own page, until then.
    assert_eq!(world.call(A, "aim", &[0]), 1);
    assert_eq!(
        [a, b, a].map(|memory| (world.call(A, "aim", &[memory]), world.call(A, "peek-window", &[15 * G]))),
        [(16, 3), (16, 4), (16, 3)]
    );
    // It follows a warm map, and growth, when it is refreshed.
    let region = world.call(A, "allocate", &[1]);
    world.visit(A, region, 4 * G, 7);
    world.visit(A, region, 4 * G, 7);
    assert_eq!(world.calls(A, |world| world.call(A, "map", &[region, 4 * G, G])), 0);
    assert_eq!((world.call(A, "aim", &[a]), world.call(A, "peek-window", &[4 * G])), (16, 7));
    assert_eq!(world.call(A, "grow", &[3]), 16);
    assert_eq!((world.call(A, "aim", &[a]), world.call(A, "peek-window", &[4 * G])), (19, 7));
    // One that shrinks is shown as far as it goes.
    assert_eq!(world.call(A, "aim", &[b]), 16);
    // What faults in a guest's memory is nobody else's, though a window was refreshed with it.
    let past = world.try_call(B, "peek", &[16 * G]).unwrap_err();
    assert_eq!(past.downcast_ref(), Some(&wasmtime::Trap::MemoryOutOfBounds));
}

#[test]
fn a_window_aimed_at_nobody_shows_itself() {
    let mut world = World::new(MappingMode::Auto, "16");
    let sizes =
        [layout::MAX_MEMORIES - 1, layout::MAX_MEMORIES, u32::MAX].map(|memory| world.call(A, "aim", &[memory]));
    assert_eq!(sizes, [1; 3]);
}

#[test]
fn a_selector_of_no_view_changes_nothing() {
    let mut world = World::new(MappingMode::Auto, "16");
    let memory = layout::MEMORIES + layout::MEMORY * world.call(A, "memory-number", &[]);
    world.call(A, "poke", &[0, 5]);
    for selector in [1, 63, 64, u32::MAX] {
        world.call(A, "set-word", &[memory + layout::MEMORY_SELECTOR, selector]);
        assert_eq!((world.call(A, "grow", &[0]), world.call(A, "peek", &[0])), (16, 5));
    }
}

#[test]
fn what_the_ledger_contradicts_is_our_bug() {
    let item = |kind: Kind| kind as u32 | layout::BORROWED;
    for (word, value) in [
        // Mapped nowhere, in nobody's memory, and where it is not.
        (layout::REGION_MEMORY, 4),
        (layout::REGION_MEMORY, layout::MEMORIES + layout::MEMORY * 9),
        (layout::REGION_AT, 5 * G),
        (layout::REGION_AT, 5),
        (layout::REGION_SOURCE, 1 << 20),
        (layout::REGION_GRANULES, 2),
    ] {
        let mut world = World::new(MappingMode::Auto, "16");
        let region = world.call(A, "allocate", &[1]);
        assert_eq!(world.call(A, "map", &[region, 4 * G, G]), 0);
        world.call(A, "set-word", &[layout::REGIONS + layout::REGION * region + word, value]);
        let reason = world.trap(A, "drop", &[region, Kind::Mapping as u32]);
        assert!(matches!(reason, TrapReason::Bug { .. }), "{word} {value}: {reason}");
    }
    for tag in [item(Kind::Frozen), Kind::Mappable as u32, item(Kind::Mapping), 0, 5 | layout::BORROWED] {
        let mut world = World::new(MappingMode::Auto, "16");
        let region = world.call(A, "allocate", &[1]);
        let reason = world.trap(A, "send-and-size", &[region, tag]);
        assert!(matches!(reason, TrapReason::Bug { .. }), "{tag}: {reason}");
    }
    for region in [1, layout::MAX_REGIONS, u32::MAX] {
        let mut world = World::new(MappingMode::Auto, "16");
        assert_eq!(world.call(A, "allocate", &[1]), 0);
        let reason = world.trap(A, "send-and-size", &[region, item(Kind::Mappable)]);
        assert!(matches!(reason, TrapReason::Bug { .. }), "{region}: {reason}");
    }
}

#[test]
fn traps_name_the_instance() {
    for (who, name) in [(A, "b"), (B, "b (2)")] {
        let mut world = World::new(MappingMode::Auto, "16");
        let reason = world.trap(who, "fail", &[Failure::Mapped as u32, 3, 7]);
        assert_eq!(reason.to_string(), format!("lifted while mapped: region 7 of instance {name}"));
    }
    let mut world = World::new(MappingMode::Copy, "16");
    assert!(matches!(world.trap(A, "fail", &[99, 0, 0]), TrapReason::Bug { .. }));
}

#[test]
fn there_are_as_many_regions_as_have_numbers() {
    let limits = Limits::default().regions(usize::MAX).region_bytes(u64::MAX);
    let mut world = World::with(MappingMode::Copy, "16", limits, 128);
    let last = world.call(A, "allocate", &[2]);
    let context = &mut world.store.data_mut().mappable;
    let backing = std::sync::Arc::clone(&context.backing);
    let frozen = crate::region::FrozenRegion::new(crate::Mappable::allocate(&backing, GRANULE).unwrap());
    while context.has_number() {
        context.add(crate::region::Held::Frozen(frozen.clone()));
    }
    let exhausted = u32::MAX - 2;
    assert_eq!(world.call(A, "allocate", &[1]), exhausted);
    // Without room for one more it stays whole.
    assert_eq!(world.call(A, "split", &[last]), 0);
}

#[test]
fn without_its_context_nothing_is_mapped_warm() {
    let mut world = World::new(MappingMode::Auto, "16");
    let [inside, outside] = [0; 2].map(|_| world.call(A, "allocate", &[1]));
    for region in [inside, outside] {
        world.visit(A, region, 4 * G, 1);
    }
    assert_eq!(world.call(A, "map", &[inside, 4 * G, G]), 0);
    let runtime = Runtime::new().unwrap();
    world.store.data_mut().mappable = runtime.context();
    // It stays where it was, and nothing else comes.
    assert_eq!((world.call(A, "grow", &[0]), world.call(A, "peek", &[4 * G])), (16, 1));
    let reason = world.trap(A, "unmap", &[inside, 4 * G]);
    assert!(matches!(reason, TrapReason::AnotherContext), "{reason}");
}

#[test]
fn a_guest_that_nothing_can_be_mapped_into_is_told_so() {
    let mut world = World::new(MappingMode::Off, "16");
    let region = world.call(A, "allocate", &[1]);
    assert_ne!(world.call(A, "memory-number", &[]), 0);
    let unmappable = 5;
    assert_eq!(world.call(A, "map", &[region, 4 * G, G]), unmappable);
    assert_eq!(world.call(A, "size", &[region]), 1);
}
