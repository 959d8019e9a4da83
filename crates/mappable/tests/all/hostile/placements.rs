//! Placements that are not the guest's to name, or would hide what it needs. An error gives the handle back and changes
//! nothing; a list that is not in the memory is the engine's to trap.

use mappable::TrapReason;
use wasmtime::Trap;

use super::{AT, FROZEN, HEAP, REGION, Scene};
use crate::support::{END, G, Guest, MapError, PAGES, Setup, Wrong, all_are, on_every_setup, trap_is, trapped};

const MORE: (&str, &str) = (
    r#"
    ;; a stack of 16 words at an address: pushed, a region mapped over it, pushed on, unmapped, and summed up
    (func (export "on-the-stack") (param $h i32) (param $at i32) (param $len i32) (param $stack i32) (result i64)
      (local $n i32) (local $sum i64)
      (loop $push
        (i32.store (i32.add (local.get $stack) (i32.shl (local.get $n) (i32.const 2))) (i32.const 3))
        (if (i32.eq (local.get $n) (i32.const 8)) (then
          (call $map (local.get $h) (local.get $at) (local.get $len) (global.get $ret))
          (local.set $h (i32.load offset=4 (global.get $ret)))))
        (br_if $push (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 16))))
      (call $unmap (local.get $h) (local.get $at) (local.get $len) (global.get $ret))
      (loop $pop
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (local.set $sum (i64.add (local.get $sum)
          (i64.load32_u (i32.add (local.get $stack) (i32.shl (local.get $n) (i32.const 2))))))
        (br_if $pop (local.get $n)))
      (local.get $sum))"#,
    r#"
  (func (export "on-the-stack") (param "h" u32) (param "at" u32) (param "len" u32) (param "stack" u32) (result u64)
    (canon lift (core func $p "on-the-stack")))"#,
);

/// Each of these is refused for a region of two granules, with nothing changed.
#[track_caller]
fn refuses(scene: &mut Scene, attacker: &Guest, cases: &[(u32, u32, MapError)]) {
    let mut region = scene.lend(attacker, 2);
    let mut reference = scene.lend_frozen(attacker);
    let held = scene.world.held();
    for &(at, len, error) in cases {
        let answer = attacker.map(&mut scene.world, region, at, len);
        region = answer.as_ref().unwrap_err().0;
        assert_eq!(answer, Err((region, error)), "{at:#x}, {len:#x}");
        let answer = attacker.map_frozen(&mut scene.world, reference, at, len);
        reference = answer.as_ref().unwrap_err().0;
        assert_eq!(answer, Err((reference, error)), "{at:#x}, {len:#x}, frozen");
        assert_eq!(scene.world.held(), held);
    }
}

on_every_setup! {
    fn a_placement_over_another_is_refused(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(MORE);
        let writable = scene.lend(&attacker, 2);
        let writable = attacker.map(&mut scene.world, writable, AT, 2 * G).unwrap();
        let reference = scene.lend_frozen(&attacker);
        let frozen = attacker.map_frozen(&mut scene.world, reference, AT + 2 * G, 2 * G).unwrap();
        let over = [AT - G, AT, AT + G, AT + 2 * G, AT + 3 * G].map(|at| (at, 2 * G, MapError::Overlaps));
        refuses(&mut scene, &attacker, &over);
        refuses(&mut scene, &attacker, &[(0, 2 * G + 1, MapError::Misaligned), (AT, G, MapError::TooSmall)]);
        attacker.expect(&mut scene.world, AT - G, G, HEAP);
        attacker.expect(&mut scene.world, AT, 2 * G, REGION);
        attacker.expect(&mut scene.world, AT + 2 * G, 2 * G, FROZEN);
        attacker.unmap(&mut scene.world, writable, AT, 2 * G).unwrap();
        attacker.unmap_frozen(&mut scene.world, frozen, AT + 2 * G, 2 * G).unwrap();
        scene.refused(&attacker);
    }

    fn what_of_a_placement_is_beyond_the_region_is_not_taken(setup) {
        // A placement may be longer than its region; the rest is not in the way of others, nor is anything shown there.
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(MORE);
        let [first, second] = [AT, AT + G].map(|at| {
            let region = scene.lend(&attacker, 1);
            (attacker.map(&mut scene.world, region, at, 3 * G).unwrap(), at)
        });
        attacker.expect(&mut scene.world, AT, 2 * G, REGION);
        attacker.expect(&mut scene.world, AT + 2 * G, 3 * G, HEAP);
        for (mapping, at) in [first, second] {
            attacker.unmap(&mut scene.world, mapping, at, 1).unwrap();
        }
        attacker.expect(&mut scene.world, G, 15 * G, HEAP);
        scene.refused(&attacker);
    }

    fn an_empty_or_crooked_placement_is_refused(setup) {
        use MapError::{Misaligned, TooSmall};
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(MORE);
        refuses(&mut scene, &attacker, &[
            (AT, 0, Misaligned), (0, 0, Misaligned), (AT + 1, 0, Misaligned), (END, 0, Misaligned),
            (AT + 1, 2 * G, Misaligned), (AT + 8, 2 * G, Misaligned), (AT + 4096, 2 * G, Misaligned),
            (AT, 2 * G - 1, Misaligned), (AT, 2 * G + 4096, Misaligned), (AT, 1, Misaligned),
            (AT, G, TooSmall), (END - G, G, TooSmall), (0, G, TooSmall),
        ]);
        attacker.expect(&mut scene.world, G, 15 * G, HEAP);
        scene.refused(&attacker);
    }

    fn a_placement_at_the_very_end_ends_there(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(MORE);
        let region = scene.lend(&attacker, 2);
        let mapping = attacker.map(&mut scene.world, region, END - 2 * G, 2 * G).unwrap();
        attacker.expect(&mut scene.world, END - 2 * G, 2 * G, REGION);
        // Memory that is grown after it is heap, and zero.
        assert_eq!(attacker.grow(&mut scene.world, 1), PAGES as i32);
        attacker.expect(&mut scene.world, END, G, 0);
        attacker.unmap(&mut scene.world, mapping, END - 2 * G, 2 * G).unwrap();
        attacker.expect(&mut scene.world, END - 2 * G, 2 * G, HEAP);
        attacker.expect(&mut scene.world, END, G, 0);
        scene.refused(&attacker);
    }

    fn a_placement_that_is_not_all_in_the_memory_traps(setup) {
        // Past the end by a granule, by a byte; larger than the memory; round the end of the addresses; far away.
        for (at, len) in [
            (END - G, 2 * G), (END, G), (END - 2 * G, 2 * G + 1), (0, END + G), (G, END), (0, u32::MAX),
            (u32::MAX - G + 1, G), (u32::MAX - G + 1, 2 * G), (AT, u32::MAX - AT + 1), (u32::MAX, 1),
            (1 << 31, 1 << 31),
        ] {
            for function in ["map", "unmap", "map-frozen", "unmap-frozen"] {
                let mut scene = Scene::new(setup);
                let attacker = scene.attacker(MORE);
                let handle = match function {
                    "map" => scene.lend(&attacker, 1),
                    "map-frozen" => scene.lend_frozen(&attacker),
                    "unmap" => attacker.mapped(&mut scene.world, AT, 1, 1),
                    _ => {
                        let reference = scene.lend_frozen(&attacker);
                        attacker.map_frozen(&mut scene.world, reference, AT, 2 * G).unwrap()
                    }
                };
                let answer = attacker.call::<_, u64>(&mut scene.world, function, (handle, at, len));
                let error = trapped(answer);
                assert!(setup.tells(Wrong::OutOfBounds, &error), "{function} {at:#x} {len:#x}: {error:?}");
                scene.trapped(&attacker);
            }
        }
    }

    fn an_empty_placement_outside_of_the_memory_traps_or_is_refused(setup) {
        for at in [END + 1, END + G, u32::MAX] {
            let mut scene = Scene::new(setup);
            let attacker = scene.attacker(MORE);
            let region = scene.lend(&attacker, 1);
            match attacker.try_map(&mut scene.world, region, at, 0) {
                Ok(answer) => {
                    assert_eq!(answer, Err((region, MapError::Misaligned)));
                    scene.refused(&attacker);
                }
                Err(_) => scene.trapped(&attacker),
            }
        }
    }

    fn a_placement_over_the_guests_own_stack_confuses_that_guest_alone(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(MORE);
        let region = scene.lend(&attacker, 1);
        let arguments = (region, AT, G, AT + 256);
        let sum: u64 = attacker.call(&mut scene.world, "on-the-stack", arguments).unwrap();
        // Words 0 to 8 went to the heap, and the rest to the region.
        let heap = u64::from(u32::from_le_bytes([HEAP; 4]));
        assert_eq!(sum, 9 * 3 + 7 * heap);
        attacker.fill(&mut scene.world, AT, HEAP, G);
        scene.refused(&attacker);
    }

    fn a_placement_over_the_return_area_confuses_that_guest_alone(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(MORE);
        let region = scene.lend(&attacker, 1);
        // Once mapped, it has the same index from then on.
        let region = attacker.map(&mut scene.world, region, AT, G).unwrap();
        let region = attacker.unmap(&mut scene.world, region, AT, G).unwrap();
        attacker.run(&mut scene.world, "set-ret", (AT + 8,)).unwrap();
        let _unread: u64 = attacker.call(&mut scene.world, "map", (region, AT, G)).unwrap();
        attacker.expect(&mut scene.world, AT + 20, G - 20, REGION);
        let _unread: u64 = attacker.call(&mut scene.world, "unmap", (region, AT, G)).unwrap();
        attacker.expect(&mut scene.world, AT + 20, G - 20, HEAP);
        attacker.run(&mut scene.world, "set-ret", (1024u32,)).unwrap();
        attacker.fill(&mut scene.world, AT, HEAP, G);
        // The region has been touched by nobody else: its owner's answers may be in it, and nothing else.
        let handle = attacker.give(&mut scene.world, region).unwrap();
        let region = scene.world.remove(handle);
        assert!(all_are(&region.bytes().unwrap()[20..], REGION));
        scene.refused(&attacker);
    }

    fn a_placement_over_everything_is_the_guests_own_affair(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(MORE);
        let region = scene.lend(&attacker, u64::from(PAGES));
        // Its own return area is gone, too.
        let _unread: u64 = attacker.call(&mut scene.world, "map", (region, 0u32, END)).unwrap();
        attacker.expect(&mut scene.world, 2 * G, END - 2 * G, REGION);
        trap_is(attacker.call::<_, u32>(&mut scene.world, "look", (0u32, END)), Trap::MemoryOutOfBounds);
        scene.trapped(&attacker);
    }

    fn unmapping_elsewhere_is_refused(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(MORE);
        let region = scene.lend(&attacker, 2);
        let mapping = attacker.map(&mut scene.world, region, AT, 2 * G).unwrap();
        for (at, len) in [(AT + G, G), (AT - G, 3 * G), (AT + 1, G), (0, END), (AT, 0), (END, 0)] {
            let answer = attacker.unmap(&mut scene.world, mapping, at, len);
            assert_eq!(answer, Err((mapping, MapError::Mismatch)), "{at:#x}, {len:#x}");
        }
        attacker.expect(&mut scene.world, AT, 2 * G, REGION);
        attacker.unmap(&mut scene.world, mapping, AT, 1).unwrap();
        scene.refused(&attacker);
    }

    fn a_placement_in_another_guests_memory_cannot_be_named(setup) {
        // The same address is the caller's own memory, whoever calls.
        let mut scene = Scene::new(setup);
        let (a, b) = scene.attackers(MORE);
        b.mapped(&mut scene.world, AT, 1, 0x99);
        let region = scene.lend(&a, 1);
        let own = a.map(&mut scene.world, region, AT, G).unwrap();
        a.expect(&mut scene.world, AT, G, REGION);
        b.expect(&mut scene.world, AT, G, 0x99);
        // A mapping of another's is unmapped by nobody else.
        let given: u32 = a.call(&mut scene.world, "pass-mapping", (own,)).unwrap();
        let error = trapped(b.try_unmap(&mut scene.world, given, AT, G));
        assert!(matches!(error.downcast_ref(), Some(TrapReason::ForeignMapping)), "{error:?}");
        scene.trapped(&a);
    }
}
