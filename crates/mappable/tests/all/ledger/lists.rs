//! Lists of plain data from one component to another: every byte arrives, as argument and as result, whatever the type,
//! the length, and what became of either memory meanwhile; and what the canonical ABI refuses traps.

mod scene;

pub(super) use scene::composition;
use scene::*;

use super::Party;
use crate::support::{G, Setup, Wrong, on_every_setup, trapped, wrong};

on_every_setup! {
    fn lists_of_every_plain_type_arrive_whole(setup) {
        for ty in TYPES {
            let mut scene = Scene::new(setup, ty);
            for (seed, count) in (0..).zip([0, 1, 2, 3, 7, 16, 33, 255, 1000, 65_536 / ty.1]) {
                scene.there_and_back(FROM, TO, count, seed);
            }
        }
    }

    fn short_lists_arrive_whole(setup) {
        // One byte, three bytes, and words, of each length that wrappers copy without the engine, and one more.
        for ty in [TYPES[0], TYPES[2], TYPES[4], TYPES[6], TYPES[10], TYPES[13]] {
            let mut scene = Scene::new(setup, ty);
            for count in 0..=64 / ty.1 + 1 {
                scene.there_and_back(FROM, TO, count, count % 13);
            }
        }
    }

    fn lists_arrive_whole_where_calls_are_inlined(setup) {
        for ty in [TYPES[0], TYPES[6]] {
            let mut scene = Scene::inlined(setup, ty);
            for count in [0, 1, 3, 8, 9, 100, 65_536 / ty.1] {
                scene.there_and_back(FROM, TO, count, count % 13);
            }
            let answer = scene.put(16 * G - ty.1, 2).map(drop);
            wrong(setup, answer, &[Wrong::OutOfBounds]);
        }
    }

    fn a_short_list_is_written_where_it_goes_and_nowhere_else(setup) {
        let mut scene = Scene::bytes(setup);
        for len in 0..=65 {
            for result in [false, true] {
                scene.fill(!result, FROM, len, 1);
                scene.fill(result, TO - 70, 70, 2);
                scene.fill(result, TO + len, 70, 3);
                if result { scene.get(FROM, len).map(drop) } else { scene.put(FROM, len).map(drop) }.unwrap();
                scene.expect(result, TO - 70, 70, 2);
                scene.expect(result, TO, len, 1);
                scene.expect(result, TO + len, 70, 3);
            }
        }
    }

    fn long_lists_arrive_whole(setup) {
        let mut scene = Scene::bytes(setup);
        let pages = if setup.way() == Setup::Fixed { 64 } else { 100 };
        for party in [&scene.a, &scene.b] {
            assert_eq!(party.call::<_, i32>(&mut scene.world, "grow", (pages - 16,)).unwrap(), 16);
        }
        let to = pages / 2 * G;
        scene.set_to(to);
        for len in [16 * G, 16 * G - 1, 16 * G + 1, 20 * G + 4097] {
            scene.there_and_back(FROM, to, len, len % 13);
        }
        // And short ones after long ones.
        scene.there_and_back(FROM, to, 5, 1);
    }

    fn realloc_is_called_once_for_a_list_and_post_return_once_for_a_result(setup) {
        let mut scene = Scene::bytes(setup);
        scene.there_and_back(FROM, TO, 100, 1);
        // `b` for the argument, and for what it returned; `a` for what it got.
        assert_eq!(scene.b.call::<_, u32>(&mut scene.world, "calls", ()).unwrap(), 1001);
        assert_eq!(scene.a.call::<_, u32>(&mut scene.world, "calls", ()).unwrap(), 1);
    }

    fn a_list_from_a_mapped_region_is_the_regions_bytes(setup) {
        let mut scene = Scene::bytes(setup);
        scene.fill(true, FROM, 2 * G, 1);
        let region: u32 = scene.a.call(&mut scene.world, "allocate", (2 * u64::from(G),)).unwrap();
        let theirs: u32 = scene.b.call(&mut scene.world, "allocate", (2 * u64::from(G),)).unwrap();
        let (mut mine, mut theirs) = (region, theirs);
        for round in 0..4u32 {
            // Not mapped; mapped here; there too, where the list goes; and no more.
            scene.put(FROM, 2 * G).unwrap();
            scene.expect(false, TO, 2 * G, 1);
            mine = scene.a.call(&mut scene.world, "map", (mine, FROM, 2 * G)).unwrap();
            scene.fill(true, FROM, 2 * G, 10 + round);
            scene.put(FROM, 2 * G).unwrap();
            scene.expect(false, TO, 2 * G, 10 + round);
            theirs = scene.b.call(&mut scene.world, "map", (theirs, TO, 2 * G)).unwrap();
            scene.put(FROM, 2 * G - 3).unwrap();
            scene.expect(false, TO, 2 * G - 3, 10 + round);
            theirs = scene.b.call(&mut scene.world, "unmap", (theirs, TO, 2 * G)).unwrap();
            scene.expect(false, TO, 2 * G, 10 + round);
            // Over the border of the region, at both ends.
            let (at, _) = scene.get(TO - 100, 2 * G + 200).unwrap();
            assert_eq!(at, TO);
            scene.expect(true, TO + 100, 2 * G, 10 + round);
            mine = scene.a.call(&mut scene.world, "unmap", (mine, FROM, 2 * G)).unwrap();
            scene.expect(true, FROM, 2 * G, 1);
        }
    }

    fn a_result_from_a_mapped_region_is_the_regions_bytes(setup) {
        let mut scene = Scene::bytes(setup);
        scene.fill(false, FROM, G, 1);
        let mut region: u32 = scene.b.call(&mut scene.world, "allocate", (u64::from(G),)).unwrap();
        for round in 0..4u32 {
            scene.get(FROM, G).unwrap();
            scene.expect(true, TO, G, 1);
            region = scene.b.call(&mut scene.world, "map", (region, FROM, G)).unwrap();
            scene.fill(false, FROM, G, 20 + round);
            scene.get(FROM, G).unwrap();
            scene.expect(true, TO, G, 20 + round);
            region = scene.b.call(&mut scene.world, "unmap", (region, FROM, G)).unwrap();
        }
    }

    fn memories_that_grow_are_read_and_written_to_their_new_ends(setup) {
        let mut scene = Scene::bytes(setup);
        let mut pages = 16;
        for round in 0..5 {
            scene.there_and_back(FROM, TO, 1000, round);
            for (of_a, party) in [(true, &scene.a), (false, &scene.b)] {
                if round % 2 == 0 || of_a {
                    let grown: i32 = party.call(&mut scene.world, "grow", (1u32,)).unwrap();
                    assert!(grown > 0);
                }
            }
            pages += 1;
            // From what is new in `a`.
            let last = (pages - 1) * G;
            scene.fill(true, last, G, 30 + round);
            scene.put(last, G).unwrap();
            scene.expect(false, TO, G, 30 + round);
        }
    }

    fn a_realloc_that_grows_the_memory_is_where_the_list_goes(setup) {
        let mut scene = Scene::bytes(setup);
        scene.set_how(GROWS, 0);
        for round in 0..4u32 {
            let to = (16 + round) * G;
            scene.there_and_back(FROM, to, G, round);
        }
    }

    fn one_window_looks_at_many_memories_in_turn(setup) {
        // Two compositions in one store, used alternately, and one that goes between.
        let mut scene = Scene::bytes(setup);
        let mut world = scene.world;
        let [c, d] = Party::all(&mut world, &composition(setup.memory(), "u8", 1), ["a", "b"]);
        let mut other = Scene { world, a: c, b: d, size: 1, kind: BYTES };
        other.set_to(TO);
        for round in 0..4 {
            other.there_and_back(FROM, TO, G + round, round);
            scene = Scene { world: other.world, ..scene };
            scene.there_and_back(FROM, TO, G - round, 50 + round);
            other = Scene { world: scene.world, ..other };
            other.expect(false, TO, G - 10, round);
        }
    }

    fn a_list_that_is_not_all_in_its_memory_traps(setup) {
        let end = 16 * G;
        for (at, len) in [(end, 1), (end - 1, 2), (end - 10, 11), (u32::MAX, 1), (G, u32::MAX), (end + G, 5)] {
            for result in [false, true] {
                let mut scene = Scene::bytes(setup);
                let answer = if result { scene.get(at, len).map(drop) } else { scene.put(at, len).map(drop) };
                wrong(setup, answer, &[Wrong::OutOfBounds]);
            }
        }
        // An empty one at the very end is in it.
        let mut scene = Scene::bytes(setup);
        scene.put(end, 0).unwrap();
        scene.get(end, 0).unwrap();
        // So are those that end there.
        for len in [1, 3, 7, 8, 9, 16, 31, 33, 64, 65] {
            scene.there_and_back(end - len, TO, len, 1);
        }
    }

    fn a_length_that_overflows_in_bytes_traps(setup) {
        for ty in [TYPES[6], TYPES[12]] {
            for count in [u32::MAX, (1 << 29) + 1, u32::MAX / ty.1 + 1, 1 << 31] {
                for result in [false, true] {
                    let mut scene = Scene::new(setup, ty);
                    let answer = if result { scene.get(FROM, count).map(drop) } else { scene.put(FROM, count).map(drop) };
                    wrong(setup, answer, &[Wrong::OutOfBounds]);
                }
            }
        }
    }

    fn a_pointer_that_is_not_aligned_traps(setup) {
        for ty in TYPES.into_iter().filter(|(.., align)| *align > 1) {
            for off in [1, ty.2 / 2] {
                for result in [false, true] {
                    let mut scene = Scene::new(setup, ty);
                    let at = FROM + off;
                    let answer = if result { scene.get(at, 5).map(drop) } else { scene.put(at, 5).map(drop) };
                    wrong(setup, answer, &[Wrong::Misaligned]);
                    // What `realloc` answers, too.
                    let mut scene = Scene::new(setup, ty);
                    scene.set_how(ANSWERS, 0);
                    scene.set_to(TO + off);
                    let answer = if result { scene.get(FROM, 5).map(drop) } else { scene.put(FROM, 5).map(drop) };
                    wrong(setup, answer, &[Wrong::Misaligned]);
                }
            }
        }
    }

    fn a_realloc_that_answers_nonsense_traps(setup) {
        for to in [16 * G, 16 * G - 99, u32::MAX, u32::MAX - 99] {
            for result in [false, true] {
                for len in [1, 20, 100] {
                    let mut scene = Scene::bytes(setup);
                    scene.set_how(ANSWERS, 0);
                    scene.set_to(to);
                    let answer = if result { scene.get(FROM, len).map(drop) } else { scene.put(FROM, len).map(drop) };
                    // A short list at the first of these addresses may still be inside the memory.
                    if u64::from(to) + u64::from(len) > u64::from(16 * G) {
                        wrong(setup, answer, &[Wrong::OutOfBounds]);
                    } else {
                        answer.unwrap();
                    }
                }
            }
        }
    }

    fn a_realloc_that_dies_or_leaves_traps(setup) {
        for how in [DIES, MAPS, ALLOCATES, CALLS_THE_HOST] {
            for (result, len) in [(false, 100), (true, 100), (false, 20), (true, 20)] {
                let mut scene = Scene::bytes(setup);
                let party = if result { &scene.a } else { &scene.b };
                let region: u32 = party.call(&mut scene.world, "allocate", (u64::from(G),)).unwrap();
                scene.set_how(how, region);
                scene.world.data_mut().call_back = Some(Box::new(|_| Ok(())));
                let answer = if result { scene.get(FROM, len).map(drop) } else { scene.put(FROM, len).map(drop) };
                if how == DIES {
                    trapped(answer);
                } else {
                    wrong(setup, answer, &[Wrong::CannotLeave]);
                }
            }
        }
        let mut scene = Scene::bytes(setup);
        scene.set_how(HONEST, 0);
        scene.there_and_back(FROM, TO, 10, 1);
    }

    fn an_exception_of_a_realloc_traps_and_is_nobodys_to_catch(setup) {
        for result in [false, true] {
            let mut scene = Scene::throwing(setup);
            scene.there_and_back(FROM, TO, 10, 1);
            scene.set_how(DIES, 0);
            let answer = if result { scene.get(FROM, 100).map(drop) } else { scene.put(FROM, 100).map(drop) };
            trapped(answer);
        }
    }

    fn a_list_onto_itself_in_another_memory_is_no_overlap(setup) {
        // The same addresses on both sides.
        let mut scene = Scene::bytes(setup);
        scene.set_to(FROM);
        scene.fill(true, FROM, 3 * G, 1);
        scene.put(FROM, 3 * G).unwrap();
        scene.expect(false, FROM, 3 * G, 1);
        scene.fill(false, FROM + 1, 3 * G, 2);
        scene.get(FROM + 1, 3 * G).unwrap();
        scene.expect(true, FROM, 3 * G, 2);
    }

    fn a_list_into_a_frozen_mapping_traps_or_is_private(setup) {
        let mut scene = Scene::bytes(setup);
        let region: u32 = scene.b.call(&mut scene.world, "allocate", (u64::from(G),)).unwrap();
        let frozen: u32 = scene.b.call(&mut scene.world, "freeze", (region,)).unwrap();
        scene.b.call::<_, u32>(&mut scene.world, "map-frozen", (frozen, TO, G)).unwrap();
        scene.fill(true, FROM, 100, 1);
        // The store is not entered again after a trap.
        for len in [20, 100] {
            match scene.put(FROM, len) {
                // By the engine's own copy: private bytes.
                Ok(_) => scene.expect(false, TO, len, 1),
                Err(error) => {
                    assert!(setup.frozen_stores_trap());
                    assert_eq!(error.downcast_ref(), Some(&wasmtime::Trap::MemoryOutOfBounds), "{error:?}");
                    break;
                }
            }
        }
    }
}

#[test]
fn a_hundred_mebibytes_arrive_whole() {
    for setup in [Setup::Swap, Setup::Remap, Setup::LedgerSwap, Setup::LedgerRemap] {
        let mut scene = Scene::bytes(setup);
        for party in [&scene.a, &scene.b] {
            assert_eq!(party.call::<_, i32>(&mut scene.world, "grow", (3300u32,)).unwrap(), 16);
        }
        scene.set_to(1700 * G);
        scene.there_and_back(FROM, 1700 * G, 1600 * G, 3);
        scene.there_and_back(FROM, 1700 * G, 100, 4);
    }
}

#[test]
fn a_list_of_as_many_bytes_as_there_can_be_traps() {
    for setup in [Setup::Swap, Setup::LedgerSwap] {
        for result in [false, true] {
            let mut scene = Scene::full(setup, TYPES[6]);
            scene.set_to(0);
            let answer = if result { scene.get(0, 1 << 29).map(drop) } else { scene.put(0, 1 << 29).map(drop) };
            wrong(setup, answer, &[Wrong::OutOfBounds]);
        }
    }
}
