//! Handles that are forged, used again, used for what they are not, or handed on while mapped; and entry by others
//! while something is mapped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mappable::{GRANULE, HandleError};

use super::{AT, FROZEN, HEAP, REGION, Scene};
use crate::support::{
    G, Guest, Setup, World, Wrong, all_are, foreign_mapping, on_every_baseline_setup, on_every_open_setup,
    on_every_setup, trapped,
};

/// A call with a handle, and whether it takes what the handle stands for.
type Use = (&'static str, fn(&Guest, &mut World, u32) -> wasmtime::Result<()>);

const OF_MAPPABLE: [Use; 6] = [
    ("map", |guest, world, handle| guest.try_map(world, handle, 10 * G, 2 * G).map(drop)),
    ("size", |guest, world, handle| guest.call::<_, u64>(world, "size", (handle,)).map(drop)),
    ("freeze", |guest, world, handle| guest.call::<_, u32>(world, "freeze", (handle,)).map(drop)),
    ("split", |guest, world, handle| guest.call::<_, u64>(world, "split", (handle, GRANULE)).map(drop)),
    ("give", |guest, world, handle| guest.give(world, handle).map(drop)),
    ("drop", |guest, world, handle| guest.run(world, "drop-mappable", (handle,))),
];
const OF_MAPPING: [Use; 3] = [
    ("unmap", |guest, world, handle| guest.try_unmap(world, handle, AT, 2 * G).map(drop)),
    ("give", |guest, world, handle| guest.give_mapping(world, handle).map(drop)),
    ("drop", |guest, world, handle| guest.run(world, "drop-mapping", (handle,))),
];
const OF_FROZEN: [Use; 6] = [
    ("map", |guest, world, handle| guest.call::<_, u64>(world, "map-frozen", (handle, 10 * G, 2 * G)).map(drop)),
    ("clone", |guest, world, handle| guest.call::<_, i64>(world, "clone", (handle,)).map(drop)),
    ("thaw", |guest, world, handle| guest.call::<_, u64>(world, "thaw", (handle,)).map(drop)),
    ("slice", |guest, world, handle| guest.call::<_, i64>(world, "slice", (handle, 0u64, GRANULE)).map(drop)),
    ("give", |guest, world, handle| guest.give_frozen(world, handle).map(drop)),
    ("drop", |guest, world, handle| guest.run(world, "drop-frozen", (handle,))),
];
const OF_FROZEN_MAPPING: [Use; 2] = [
    ("unmap", |guest, world, handle| guest.call::<_, u64>(world, "unmap-frozen", (handle, AT, 2 * G)).map(drop)),
    ("drop", |guest, world, handle| guest.run(world, "drop-frozen-mapping", (handle,))),
];

const LOOK_AROUND: (&str, &str) = (
    r#"
    (func (export "look-around") (param i32) (result i32)
      (i32.load8_u (local.get 0))
      (call $call-back)
      (i32.or (i32.shl (i32.const 8)) (i32.load8_u (local.get 0))))"#,
    r#"(func (export "look-around") (param "at" u32) (result u32) (canon lift (core func $p "look-around")))"#,
);

/// There is no such handle, or it is of another type.
#[track_caller]
fn no_handle(setup: Setup, name: &str, answer: wasmtime::Result<()>) {
    let error = trapped(answer);
    let reasons = [Wrong::UnknownHandle, Wrong::OtherKind, Wrong::Mapped];
    assert!(reasons.into_iter().any(|it| setup.tells(it, &error)), "{name}: {error:?}");
}

/// As [`Scene::trapped`]; but an answer to the host that is wrong is noticed when the guest has returned, and its store
/// may be entered again.
#[track_caller]
fn stopped(scene: &mut Scene, attacker: &Guest, name: &str) {
    let setup = scene.world.fixture.setup;
    if name == "give" && (!setup.is_ledger() || setup.is_crossing()) {
        scene.others_go_on()
    } else {
        scene.trapped(attacker)
    }
}

fn all() -> impl Iterator<Item = Use> {
    OF_MAPPABLE.into_iter().chain(OF_MAPPING).chain(OF_FROZEN).chain(OF_FROZEN_MAPPING)
}

/// A kind of handle: makes one, of two granules.
type Make = fn(&mut Scene, &Guest) -> u32;

const MAKES: [(Make, &[Use]); 4] = [
    (|scene, guest| scene.lend(guest, 2), &OF_MAPPABLE),
    (
        |scene, guest| {
            let region = scene.lend(guest, 2);
            guest.map(&mut scene.world, region, AT, 2 * G).unwrap()
        },
        &OF_MAPPING,
    ),
    (|scene, guest| scene.lend_frozen(guest), &OF_FROZEN),
    (
        |scene, guest| {
            let reference = scene.lend_frozen(guest);
            guest.map_frozen(&mut scene.world, reference, AT, 2 * G).unwrap()
        },
        &OF_FROZEN_MAPPING,
    ),
];

on_every_setup! {
    fn a_forged_handle_traps(setup) {
        for handle in [0, 1000, u32::MAX] {
            for (name, forged) in all() {
                let mut scene = Scene::new(setup);
                let attacker = scene.attacker(("", ""));
                no_handle(setup, name, forged(&attacker, &mut scene.world, handle));
                stopped(&mut scene, &attacker, name);
            }
        }
    }

    fn a_handle_of_another_instance_is_nothing_here(setup) {
        for (make, uses) in MAKES {
            for (name, use_it) in uses {
                let mut scene = Scene::new(setup);
                let (a, b) = scene.attackers(("", ""));
                let handle = make(&mut scene, &a);
                no_handle(setup, name, use_it(&b, &mut scene.world, handle));
                stopped(&mut scene, &b, name);
            }
        }
    }

    fn a_handle_is_of_one_type_alone(setup) {
        for (kind, (make, _)) in MAKES.into_iter().enumerate() {
            for (other, (_, uses)) in MAKES.into_iter().enumerate().filter(|(other, _)| *other != kind) {
                for (name, use_it) in uses {
                    let mut scene = Scene::new(setup);
                    let attacker = scene.attacker(("", ""));
                    let handle = make(&mut scene, &attacker);
                    no_handle(setup, &format!("{kind} as {other}: {name}"), use_it(&attacker, &mut scene.world, handle));
                    stopped(&mut scene, &attacker, name);
                }
            }
        }
    }

    fn a_handle_that_was_used_up_traps(setup) {
        // What consumes a handle, of those uses that don't give one of the same type and number back.
        for (make, uses) in MAKES {
            let keep = ["size", "clone", "slice", "thaw", "split"];
            for (name, use_up) in uses.iter().filter(|(name, _)| !keep.contains(name)) {
                let mut scene = Scene::new(setup);
                let attacker = scene.attacker(("", ""));
                let handle = make(&mut scene, &attacker);
                use_up(&attacker, &mut scene.world, handle).unwrap();
                no_handle(setup, name, use_up(&attacker, &mut scene.world, handle));
                stopped(&mut scene, &attacker, name);
            }
        }
    }

    fn joining_a_region_with_itself_traps(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(("", ""));
        let region = scene.lend(&attacker, 2);
        no_handle(setup, "join", attacker.call::<_, u64>(&mut scene.world, "join", (region, region)).map(drop));
        scene.trapped(&attacker);
    }

    fn joining_what_are_no_neighbours_gives_both_back(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(("", ""));
        let parts: Vec<u32> = (0..2)
            .flat_map(|_| {
                let region = scene.lend(&attacker, 2);
                <[u32; 2]>::from(attacker.split(&mut scene.world, region, GRANULE).unwrap())
            })
            .collect();
        let mut handles = parts.clone();
        for (low, high) in [(0, 2), (0, 3), (1, 0), (2, 1), (3, 0), (1, 2)] {
            let answer = attacker.join(&mut scene.world, handles[low], handles[high]);
            let (given_low, given_high) = answer.unwrap_err();
            (handles[low], handles[high]) = (given_low, given_high);
        }
        assert_eq!(scene.world.held(), (4, 4 * GRANULE));
        attacker.join(&mut scene.world, handles[0], handles[1]).unwrap();
        attacker.join(&mut scene.world, handles[2], handles[3]).unwrap();
        scene.refused(&attacker);
    }

    fn a_mapping_handed_to_another_is_of_no_use_to_it(setup) {
        for frozen in [false, true] {
            let mut scene = Scene::new(setup);
            let (a, b) = scene.attackers(("", ""));
            let (make, pass, unmap, expected) = if frozen {
                (MAKES[3].0, "pass-frozen-mapping", "unmap-frozen", FROZEN)
            } else {
                (MAKES[1].0, "pass-mapping", "unmap", REGION)
            };
            let mapping = make(&mut scene, &a);
            let given: u32 = a.call(&mut scene.world, pass, (mapping,)).unwrap();
            b.expect(&mut scene.world, G, 15 * G, HEAP);
            a.expect(&mut scene.world, AT, 2 * G, expected);
            foreign_mapping(b.call::<_, u64>(&mut scene.world, unmap, (given, AT, 2 * G)));
            scene.trapped(&b);
        }
    }

    fn a_mapping_handed_to_another_and_dropped_there_shows_nothing_to_it(setup) {
        for frozen in [false, true] {
            let mut scene = Scene::new(setup);
            let (a, b) = scene.attackers(("", ""));
            let mapping = MAKES[if frozen { 3 } else { 1 }].0(&mut scene, &a);
            let (pass, drop) = if frozen {
                ("pass-frozen-mapping", "drop-frozen-mapping")
            } else {
                ("pass-mapping", "drop-mapping")
            };
            let given: u32 = a.call(&mut scene.world, pass, (mapping,)).unwrap();
            b.run(&mut scene.world, drop, (given,)).unwrap();
            b.expect(&mut scene.world, G, 15 * G, HEAP);
            // What `a` still sees is nobody else's, and what it writes there is seen by nobody.
            scene.refused(&b);
            scene.refused(&a);
            a.expect(&mut scene.world, G, 15 * G, HEAP);
        }
    }

    fn dropping_while_mapped_frees_no_page_that_is_shown(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(("", ""));
        for round in 0..6 {
            let region = scene.lend(&attacker, 2);
            let mapping = attacker.map(&mut scene.world, region, AT, 2 * G).unwrap();
            attacker.run(&mut scene.world, "drop-mapping", (mapping,)).unwrap();
            attacker.expect(&mut scene.world, AT, 2 * G, REGION);
            // What others are given meanwhile is not what the attacker still shows, and writes to.
            scene.others_go_on();
            let fresh = scene.world.runtime().allocate(2 * GRANULE).unwrap();
            attacker.run(&mut scene.world, "mark", (12u32, AT + round * 512)).unwrap();
            assert!(all_are(fresh.bytes().unwrap(), 0));
        }
        scene.refused(&attacker);
        attacker.expect(&mut scene.world, AT, 2 * G, HEAP);
        assert_eq!(scene.world.held(), (0, 0));
    }

    fn a_guest_that_is_entered_again_while_it_runs_traps_or_sees_what_is_mapped_now(setup) {
        // The host, called by the attacker between two looks at what is mapped, calls its `unmap`.
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(LOOK_AROUND);
        let mapping = MAKES[1].0(&mut scene, &attacker);
        let unmap = attacker.func(&mut scene.world, "unmap").typed::<(u32, u32, u32), (u64,)>(&*scene.world).unwrap();
        scene.world.data_mut().call_back =
            Some(Box::new(move |mut store| unmap.call(&mut store, (mapping, AT, 2 * G)).map(drop)));
        let answer = attacker.call::<_, u32>(&mut scene.world, "look-around", (AT,));
        if setup.is_concurrent() {
            trapped(answer);
            scene.trapped(&attacker);
        } else {
            assert_eq!(answer.unwrap(), u32::from(REGION) << 8 | u32::from(HEAP));
            attacker.expect(&mut scene.world, G, 15 * G, HEAP);
            scene.refused(&attacker);
        }
    }

    fn others_that_map_while_a_guest_waits_change_nothing_under_it(setup) {
        // `a` has something mapped and calls the host, which has the peer or another instance map; then `a` goes on.
        let mut scene = Scene::new(setup);
        let (a, b) = scene.attackers(("", ""));
        let mapping = MAKES[1].0(&mut scene, &a);
        let theirs = scene.lend(&b, 2);
        let map = b.func(&mut scene.world, "map").typed::<(u32, u32, u32), (u64,)>(&*scene.world).unwrap();
        let mapped = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&mapped);
        scene.world.data_mut().call_back = Some(Box::new(move |mut store| {
            seen.store(map.call(&mut store, (theirs, AT, 2 * G)).is_ok(), Ordering::Relaxed);
            Ok(())
        }));
        assert_eq!(a.call::<_, u32>(&mut scene.world, "call-back-and-poke", (AT,)).unwrap(), {
            let mapped = mapped.load(Ordering::Relaxed);
            assert_eq!(mapped, !setup.is_concurrent());
            u32::from(if mapped { REGION } else { HEAP })
        });
        a.expect(&mut scene.world, AT, 2 * G, REGION);
        a.unmap(&mut scene.world, mapping, AT, 2 * G).unwrap();
        a.expect(&mut scene.world, AT, 2 * G, HEAP);
        scene.refused(&a);
    }
}

on_every_baseline_setup! {
    fn a_borrow_is_not_taken_for_an_owned_handle(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(("", ""));
        let region = scene.world.region(1, REGION);
        let handle = scene.world.insert(region);
        let lent = wasmtime::component::Resource::<mappable::Mappable>::new_borrow(handle.rep());
        trapped(attacker.call::<_, u64>(&mut scene.world, "map-lent", (lent,)));
        scene.trapped(&attacker);
        // It is still the host's.
        let region = scene.world.remove(handle);
        assert!(all_are(region.bytes().unwrap(), REGION));
    }
}

on_every_open_setup! {
    fn what_a_guest_has_mapped_is_not_the_hosts_to_take(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(("", ""));
        let region = scene.world.region(1, REGION);
        let handle = scene.world.insert(region);
        let rep = handle.rep();
        let region = attacker.take(&mut scene.world, handle).unwrap();
        let mapping = attacker.map(&mut scene.world, region, AT, G).unwrap();
        let forged = || wasmtime::component::Resource::new_own(rep);
        let answer = scene.world.data_mut().mappable.remove(forged());
        assert_eq!(answer.unwrap_err(), HandleError::NotHeld(rep));
        assert!(scene.world.data_mut().mappable.bytes_mut(&forged()).is_err());
        attacker.unmap(&mut scene.world, mapping, AT, G).unwrap();
        scene.refused(&attacker);
    }
}
