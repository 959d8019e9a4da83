//! Writes into frozen mappings, by the guest and by whoever it can have write for it. Where the host shows pages, the
//! guest's own stores trap; what the engine or the host writes there, and all that is written where the host copies, is
//! the mapping's own and gone with it. The frozen bytes stay as they are, for the host, other stores and other
//! mappings.

use mappable::{Frozen, GRANULE};
use wasmtime::Trap;

use super::{AT, COMPILED_MARKS, EVIL, FROZEN, HEAP, MARKS, REGION, Scene, armed};
use crate::support::{G, Guest, Setup, all_are, on_every_setup, trap_is};
use crate::wat;

const MORE: (&str, &str) = (
    r#"
    (func (export "sink") (param i32 i32) (result i32) (i32.load8_u (local.get 0)))"#,
    r#"
  (func (export "sink") (param "bytes" (list u8)) (result u32)
    (canon lift (core func $p "sink") (memory $mem) (realloc $realloc)))
  (func (export "sink-wide") (param "text" string) (result u32)
    (canon lift (core func $p "sink") (memory $mem) (realloc $realloc) string-encoding=utf16))
  (func (export "sink-text") (param "text" string) (result u32)
    (canon lift (core func $p "sink") (memory $mem) (realloc $realloc)))"#,
);

/// The attacker `a`, and `b` that pours what it is asked to into it: an accomplice, or an honest component that was
/// told to.
fn poured_into(scene: &mut Scene) -> (Guest, Guest) {
    let attacker = armed(&wat::guest(scene.world.fixture.setup.memory()), MORE);
    let text = format!(
        r#"(component {types} {env} {attacker}
            (component $pourer
              (import "sink" (func $sink (param "bytes" (list u8)) (result u32)))
              (import "sink-wide" (func $sink-wide (param "text" string) (result u32)))
              (import "sink-text" (func $sink-text (param "text" string) (result u32)))
              (core module $M (memory (export "mem") 16))
              (core instance $m (instantiate $M))
              (alias core export $m "mem" (core memory $mem))
              (core func $sink (canon lower (func $sink) (memory $mem)))
              (core func $sink-wide (canon lower (func $sink-wide) (memory $mem)))
              (core func $sink-text (canon lower (func $sink-text) (memory $mem)))
              (core module $P
                (import "" "mem" (memory 1))
                (import "" "sink" (func $sink (param i32 i32) (result i32)))
                (import "" "sink-wide" (func $sink-wide (param i32 i32) (result i32)))
                (import "" "sink-text" (func $sink-text (param i32 i32) (result i32)))
                (func (export "bytes") (param i32) (result i32)
                  (memory.fill (i32.const 64) (i32.const 0x6e) (local.get 0))
                  (call $sink (i32.const 64) (local.get 0)))
                (func (export "wide") (param i32) (result i32)
                  (memory.fill (i32.const 64) (i32.const 0x6e) (local.get 0))
                  (call $sink-wide (i32.const 64) (local.get 0)))
                (func (export "text") (param i32) (result i32)
                  (memory.fill (i32.const 64) (i32.const 0x6e) (local.get 0))
                  (call $sink-text (i32.const 64) (local.get 0))))
              (core instance $p (instantiate $P (with "" (instance (export "mem" (memory $mem))
                (export "sink" (func $sink)) (export "sink-wide" (func $sink-wide))
                (export "sink-text" (func $sink-text))))))
              (func (export "bytes") (param "len" u32) (result u32) (canon lift (core func $p "bytes")))
              (func (export "wide") (param "len" u32) (result u32) (canon lift (core func $p "wide")))
              (func (export "text") (param "len" u32) (result u32) (canon lift (core func $p "text"))))
            (instance $a (instantiate $attacker {with}))
            (instance $b (instantiate $pourer (with "sink" (func $a "sink"))
              (with "sink-wide" (func $a "sink-wide")) (with "sink-text" (func $a "sink-text"))))
            (export "a" (instance $a)) (export "b" (instance $b)))"#,
        types = wat::import_types(wat::TYPES),
        env = wat::IMPORT_ENV,
        attacker = attacker.replacen("(component", "(component $attacker", 1),
        with = wat::WITH,
    );
    let component = scene.world.fixture.compile(&text);
    let (a, b) = scene.world.guests(&component);
    a.fill(&mut scene.world, G, HEAP, 15 * G);
    (a, b)
}

/// Maps the bytes that others look at where the attack goes, and once more elsewhere.
fn map_twice(scene: &mut Scene, attacker: &Guest) -> [u32; 2] {
    [AT, 8 * G].map(|at| {
        let reference = scene.lend_frozen(attacker);
        attacker.map_frozen(&mut scene.world, reference, at, 2 * G).unwrap()
    })
}

/// The attack was no trap: nothing of it is seen but in its own mapping, and nothing after that has gone.
#[track_caller]
fn private(scene: &mut Scene, attacker: &Guest, [first, second]: [u32; 2]) {
    attacker.expect(&mut scene.world, 8 * G, 2 * G, FROZEN);
    attacker.run(&mut scene.world, "set-ret", (1024u32,)).unwrap();
    let reference = attacker.unmap_frozen(&mut scene.world, first, AT, 2 * G).unwrap();
    attacker.expect(&mut scene.world, AT, 2 * G, HEAP);
    let again = attacker.map_frozen(&mut scene.world, reference, AT, 2 * G).unwrap();
    attacker.expect(&mut scene.world, AT, 2 * G, FROZEN);
    attacker.unmap_frozen(&mut scene.world, second, 8 * G, 2 * G).unwrap();
    attacker.unmap_frozen(&mut scene.world, again, AT, 2 * G).unwrap();
    attacker.expect(&mut scene.world, G, 15 * G, HEAP);
    scene.refused(attacker);
}

on_every_setup! {
    fn a_store_of_any_kind_into_a_frozen_mapping_traps_or_is_private(setup) {
        for (how, name) in (0u32..).zip(MARKS) {
            for at in [AT, AT + G + 4096, AT + 2 * G - 128] {
                let mut scene = Scene::new(setup);
                let attacker = scene.attacker(("", ""));
                let mappings = map_twice(&mut scene, &attacker);
                let answer = attacker.run(&mut scene.world, "mark", (how, at));
                if how < COMPILED_MARKS as u32 && setup.frozen_stores_trap() {
                    trap_is(answer, Trap::MemoryOutOfBounds);
                    scene.trapped(&attacker);
                } else {
                    answer.unwrap();
                    assert_eq!(attacker.load(&mut scene.world, at), EVIL, "{name}");
                    private(&mut scene, &attacker, mappings);
                }
            }
        }
    }

    fn a_store_of_any_kind_into_a_private_mapping_is_its_own_or_over_the_quota(setup) {
        for (how, name) in (0u32..).zip(MARKS) {
            for granules in [1, 0] {
                let mut scene = Scene::new(setup);
                let attacker = scene.attacker(("", ""));
                let [mine, other] = [0; 2].map(|_| scene.lend_frozen(&attacker));
                let (by_copy, context) = (!setup.frozen_stores_trap(), &mut scene.world.store.data_mut().mappable);
                let room = if by_copy { 2 } else { granules };
                let limits = context.limits();
                context.set_limits(limits.region_bytes(context.held().1 + room * GRANULE));
                let first = attacker.map_private(&mut scene.world, mine, AT, 2 * G).unwrap();
                let second = attacker.map_frozen(&mut scene.world, other, 8 * G, 2 * G).unwrap();
                let answer = attacker.run(&mut scene.world, "mark", (how, AT + G + 4096));
                if granules == 0 && !by_copy && how < COMPILED_MARKS as u32 {
                    trap_is(answer, Trap::MemoryOutOfBounds);
                    scene.trapped(&attacker);
                } else {
                    answer.unwrap();
                    assert_eq!(attacker.load(&mut scene.world, AT + G + 4096), EVIL, "{name}");
                    scene.world.store.data_mut().mappable.set_limits(limits);
                    private(&mut scene, &attacker, [first, second]);
                }
            }
        }
    }

    fn a_store_into_a_mapping_that_was_dropped_traps_or_is_private(setup) {
        for how in [2u32, 6, 12] {
            let mut scene = Scene::new(setup);
            let attacker = scene.attacker(("", ""));
            let [first, _] = map_twice(&mut scene, &attacker);
            attacker.run(&mut scene.world, "drop-frozen-mapping", (first,)).unwrap();
            let answer = attacker.run(&mut scene.world, "mark", (how, AT));
            if how < COMPILED_MARKS as u32 && setup.frozen_stores_trap() {
                trap_is(answer, Trap::MemoryOutOfBounds);
                scene.trapped(&attacker);
            } else {
                answer.unwrap();
                attacker.expect(&mut scene.world, 8 * G, 2 * G, FROZEN);
                scene.refused(&attacker);
                attacker.expect(&mut scene.world, AT, 2 * G, HEAP);
            }
        }
    }

    fn an_answer_that_the_host_puts_into_a_frozen_mapping_is_private(setup) {
        for at in [AT, AT + 2 * G - 16, AT + G - 8] {
            let mut scene = Scene::new(setup);
            let attacker = scene.attacker(("", ""));
            let mappings = map_twice(&mut scene, &attacker);
            attacker.run(&mut scene.world, "set-ret", (at,)).unwrap();
            // The answer is there to be read.
            let region = attacker.allocate(&mut scene.world, GRANULE).unwrap();
            assert_eq!(attacker.call::<_, u64>(&mut scene.world, "size", (region,)).unwrap(), GRANULE);
            private(&mut scene, &attacker, mappings);
        }
    }

    fn the_answer_of_a_change_that_goes_into_a_frozen_mapping_is_private(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(("", ""));
        let mappings = map_twice(&mut scene, &attacker);
        let region = scene.lend(&attacker, 1);
        // Once mapped, it has the same index from then on.
        let region = attacker.map(&mut scene.world, region, 11 * G, G).unwrap();
        let region = attacker.unmap(&mut scene.world, region, 11 * G, G).unwrap();
        attacker.run(&mut scene.world, "set-ret", (AT + 64,)).unwrap();
        // Where views are swapped the answer stays behind in the old one. The attacker can guess it: an index that was
        // freed is given out again.
        let _unread: u64 = attacker.call(&mut scene.world, "map", (region, 11 * G, G)).unwrap();
        attacker.expect(&mut scene.world, 11 * G, G, REGION);
        attacker.expect(&mut scene.world, AT + 128, 2 * G - 128, FROZEN);
        let _unread: u64 = attacker.call(&mut scene.world, "unmap", (region, 11 * G, G)).unwrap();
        attacker.expect(&mut scene.world, 11 * G, G, HEAP);
        let _unread: u64 = attacker.call(&mut scene.world, "map", (region, 11 * G, G)).unwrap();
        attacker.expect(&mut scene.world, AT + 128, 2 * G - 128, FROZEN);
        attacker.run(&mut scene.world, "set-ret", (1024u32,)).unwrap();
        attacker.unmap(&mut scene.world, region, 11 * G, G).unwrap();
        private(&mut scene, &attacker, mappings);
    }

    fn the_answer_of_an_unmap_that_goes_into_the_very_mapping_is_private(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(("", ""));
        let [first, second] = map_twice(&mut scene, &attacker);
        attacker.run(&mut scene.world, "set-ret", (AT + 64,)).unwrap();
        let _unread: u64 = attacker.call(&mut scene.world, "unmap-frozen", (first, AT, 2 * G)).unwrap();
        // Into the heap, or into what is no longer shown.
        attacker.expect(&mut scene.world, AT, 64, HEAP);
        attacker.fill(&mut scene.world, AT, HEAP, 128);
        attacker.expect(&mut scene.world, 8 * G, 2 * G, FROZEN);
        let _unread: u64 = attacker.call(&mut scene.world, "map-frozen", (first, AT, 2 * G)).unwrap();
        attacker.expect(&mut scene.world, AT + 128, 2 * G - 128, FROZEN);
        attacker.run(&mut scene.world, "set-ret", (1024u32,)).unwrap();
        let first = attacker.unmap_frozen(&mut scene.world, first, AT, 2 * G).unwrap();
        attacker.fill(&mut scene.world, AT, HEAP, 128);
        let first = attacker.map_frozen(&mut scene.world, first, AT, 2 * G).unwrap();
        private(&mut scene, &attacker, [first, second]);
    }

    fn a_list_that_a_host_call_answers_into_a_frozen_mapping_is_private(setup) {
        for function in ["read", "read-frozen"] {
            for (at, len) in [(AT, 100), (AT + G - 50, 100), (AT, 2 * G)] {
                let mut scene = Scene::new(setup);
                let attacker = scene.attacker(("", ""));
                let mappings = map_twice(&mut scene, &attacker);
                let source = match function {
                    "read" => scene.lend(&attacker, 2),
                    _ => attacker.frozen(&mut scene.world, 12 * G, 2, REGION),
                };
                let read: i64 = attacker.call(&mut scene.world, function, (source, 0u64, len, at)).unwrap();
                assert_eq!(read, i64::from(len));
                attacker.expect(&mut scene.world, at, len, REGION);
                private(&mut scene, &attacker, mappings);
            }
        }
    }

    fn a_list_that_runs_out_of_a_frozen_mapping_is_private_as_far_as_it_was_in_it(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(("", ""));
        let mappings = map_twice(&mut scene, &attacker);
        let source = scene.lend(&attacker, 4);
        let read: i64 = attacker.call(&mut scene.world, "read", (source, 0u64, 4 * G, AT - G)).unwrap();
        assert_eq!(read, i64::from(4 * G));
        attacker.expect(&mut scene.world, AT - G, 4 * G, REGION);
        for heap in [AT - G, AT + 2 * G] {
            attacker.fill(&mut scene.world, heap, HEAP, G);
        }
        private(&mut scene, &attacker, mappings);
    }

    fn a_list_that_the_host_passes_into_a_frozen_mapping_is_private(setup) {
        for at in [AT + 8, AT + G - 50] {
            let mut scene = Scene::new(setup);
            let attacker = scene.attacker(MORE);
            let mappings = map_twice(&mut scene, &attacker);
            attacker.run(&mut scene.world, "set-buffer", (at,)).unwrap();
            let found: u32 = attacker.call(&mut scene.world, "sink", (vec![EVIL; 100],)).unwrap();
            assert_eq!(found, u32::from(EVIL));
            let found: u32 = attacker.call(&mut scene.world, "sink-wide", ("n".repeat(40),)).unwrap();
            assert_eq!(found, u32::from(b'n'));
            private(&mut scene, &attacker, mappings);
        }
    }

    fn a_list_that_a_component_passes_into_a_frozen_mapping_traps_or_is_private(setup) {
        for function in ["bytes", "wide", "text"] {
            for (at, len) in [(AT + 8, 100u32), (AT, G), (AT + G - 50, 100)] {
                let mut scene = Scene::new(setup);
                let (attacker, pourer) = poured_into(&mut scene);
                let mappings = map_twice(&mut scene, &attacker);
                attacker.run(&mut scene.world, "set-buffer", (at,)).unwrap();
                let answer = pourer.call::<_, u32>(&mut scene.world, function, (len,));
                // Lists are copied by compiled code, text by the engine.
                if function == "bytes" && setup.frozen_stores_trap() {
                    trap_is(answer, Trap::MemoryOutOfBounds);
                    scene.trapped(&attacker);
                } else {
                    assert_eq!(answer.unwrap(), 0x6e);
                    private(&mut scene, &attacker, mappings);
                }
            }
        }
    }

    fn what_was_written_privately_does_not_outlive_a_thaw(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(("", ""));
        let reference = attacker.frozen(&mut scene.world, AT, 2, REGION);
        let mapping = attacker.map_frozen(&mut scene.world, reference, AT, 2 * G).unwrap();
        attacker.run(&mut scene.world, "mark", (12u32, AT)).unwrap();
        attacker.run(&mut scene.world, "mark", (13u32, AT + G)).unwrap();
        let reference = attacker.unmap_frozen(&mut scene.world, mapping, AT, 2 * G).unwrap();
        let region = attacker.thaw(&mut scene.world, reference).unwrap();
        let mapping = attacker.map(&mut scene.world, region, AT, 2 * G).unwrap();
        attacker.expect(&mut scene.world, AT, 2 * G, REGION);
        attacker.unmap(&mut scene.world, mapping, AT, 2 * G).unwrap();
        scene.refused(&attacker);
    }

    fn freezing_leaves_no_way_to_write(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(("", ""));
        let region = scene.lend(&attacker, 2);
        let mapping = attacker.map(&mut scene.world, region, AT, 2 * G).unwrap();
        let region = attacker.unmap(&mut scene.world, mapping, AT, 2 * G).unwrap();
        let reference = attacker.freeze(&mut scene.world, region);
        let other = attacker.clone_frozen(&mut scene.world, reference).unwrap();
        // Where it can be, the other is the host's.
        let seen = (!setup.is_ledger()).then(|| {
            let handle = attacker.give_frozen(&mut scene.world, other).unwrap();
            scene.world.data_mut().mappable.remove_frozen(handle).unwrap()
        });
        let is_whole = |seen: &Option<Frozen>| seen.as_ref().is_none_or(|it| all_are(it, REGION));
        for how in 0..MARKS.len() as u32 {
            attacker.run(&mut scene.world, "mark", (how, AT + 64 * how)).unwrap();
        }
        assert!(is_whole(&seen));
        // The other is left, so it is not the last.
        assert_eq!(attacker.thaw(&mut scene.world, reference), Err(reference));
        attacker.fill(&mut scene.world, AT, HEAP, 2 * G);
        scene.refused(&attacker);
        assert!(is_whole(&seen));
    }
}
