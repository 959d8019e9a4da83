//! Traps in the middle: with something mapped, with a change half asked for, in the guest's own `realloc`. The store is
//! not entered any more, what it held comes to nobody but as zeroes, and others go on.

use mappable::GRANULE;
use wasmtime::Trap;

use super::{AT, HEAP, REGION, Scene};
use crate::support::{END, G, Guest, PAGES, Setup, Wrong, all_are, on_every_setup, trap_is, trapped, wrong};

/// Ways to die, by number.
const DEATHS: [(&str, Option<Trap>); 8] = [
    ("unreachable", Some(Trap::UnreachableCodeReached)),
    ("a load past the end", Some(Trap::MemoryOutOfBounds)),
    ("a division by zero", Some(Trap::IntegerDivisionByZero)),
    ("no end of calls", Some(Trap::StackOverflow)),
    ("an empty table", Some(Trap::IndirectCallToNull)),
    ("a list past the end", None),
    ("an unknown handle", None),
    ("the host's error", None),
];

const MORE: (&str, &str) = (
    r#"
    (table $empty 1 funcref)
    (func $forever (param i32) (result i32) (i32.add (i32.const 1) (call $forever (local.get 0))))
    (func $die (export "die") (param $how i32)
      (block $7 (block $6 (block $5 (block $4 (block $3 (block $2 (block $1 (block $0
        (br_table $0 $1 $2 $3 $4 $5 $6 $7 (local.get $how)))
      unreachable)
      (drop (i32.load (i32.const -4))) (return))
      (drop (i32.div_u (i32.const 1) (i32.const 0))) (return))
      (drop (call $forever (i32.const 0))) (return))
      (call_indirect $empty (i32.const 0)) (return))
      (drop (call $sum (i32.const -2) (i32.const 2))) (return))
      (call $drop-mappable (i32.const 999)) (return))
      (call $call-back))
    ;; maps; dies if told to at 1; marks; unmaps; dies at 2; hands over; dies at 3
    (func (export "die-between") (param $h i32) (param $at i32) (param $len i32) (param $when i32) (param $how i32)
      (call $map (local.get $h) (local.get $at) (local.get $len) (global.get $ret))
      (local.set $h (i32.load offset=4 (global.get $ret)))
      (if (i32.eq (local.get $when) (i32.const 1)) (then (call $die (local.get $how))))
      (memory.fill (local.get $at) (i32.const 0x3c) (local.get $len))
      (call $unmap (local.get $h) (local.get $at) (local.get $len) (global.get $ret))
      (local.set $h (i32.load offset=4 (global.get $ret)))
      (if (i32.eq (local.get $when) (i32.const 2)) (then (call $die (local.get $how))))
      (local.set $h (call $pass (local.get $h)))
      (if (i32.eq (local.get $when) (i32.const 3)) (then (call $die (local.get $how)))))
    ;; a page more in each of four rounds, within and without; what is seen is added up
    (func (export "grow-between") (param $h i32) (param $at i32) (param $len i32) (result i64)
      (local $n i32) (local $sum i64) (local $end i32)
      (loop $next
        (local.set $end (i32.shl (memory.size) (i32.const 16)))
        (call $map (local.get $h) (local.get $at) (local.get $len) (global.get $ret))
        (drop (memory.grow (i32.const 1)))
        (local.set $sum (i64.add (local.get $sum) (i64.load8_u (local.get $at))))
        (local.set $sum (i64.add (local.get $sum) (i64.load (local.get $end))))
        (i32.store8 (local.get $end) (i32.const 1))
        (call $unmap (i32.load offset=4 (global.get $ret)) (local.get $at) (local.get $len) (global.get $ret))
        (local.set $h (i32.load offset=4 (global.get $ret)))
        (local.set $sum (i64.add (local.get $sum) (i64.load8_u (local.get $end))))
        (drop (memory.grow (i32.const 1)))
        (local.set $sum (i64.add (local.get $sum) (i64.load8_u (local.get $at))))
        (br_if $next (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 4))))
      (local.get $sum))"#,
    r#"
  (func (export "die") (param "how" u32) (canon lift (core func $p "die")))
  (func (export "die-between") (param "h" u32) (param "at" u32) (param "len" u32) (param "when" u32) (param "how" u32)
    (canon lift (core func $p "die-between")))
  (func (export "grow-between") (param "h" u32) (param "at" u32) (param "len" u32) (result u64)
    (canon lift (core func $p "grow-between")))"#,
);

/// A `realloc` of the guest's that does what it is told, for a `read` and for an argument; and the same in a
/// post-return function.
const REALLOC: &str = r#"
  (core module $E
    (import "" "mem" (memory 1))
    (import "" "map" (func $map (param i32 i32 i32 i32))) (import "" "unmap" (func $unmap (param i32 i32 i32 i32)))
    (import "" "allocate" (func $allocate (param i64 i32))) (import "" "drop" (func $drop (param i32)))
    (global $how (mut i32) (i32.const 0)) (global $h (mut i32) (i32.const 0))
    (func (export "set") (param i32 i32) (global.set $how (local.get 0)) (global.set $h (local.get 1)))
    (func $forever (param i32) (result i32) (i32.add (i32.const 1) (call $forever (local.get 0))))
    (func $do (export "do") (result i32)
      (block $6 (block $5 (block $4 (block $3 (block $2 (block $1 (block $0
        (br_table $0 $1 $2 $3 $4 $5 $6 (global.get $how)))
      unreachable)
      (return (i32.const -1)))
      (call $map (global.get $h) (i32.const 524288) (i32.const 65536) (i32.const 512)) (return (i32.const 4096)))
      (call $unmap (global.get $h) (i32.const 262144) (i32.const 65536) (i32.const 512)) (return (i32.const 4096)))
      (call $allocate (i64.const 65536) (i32.const 512)) (return (i32.const 4096)))
      (return (call $forever (i32.const 0))))
      (i32.shl (memory.grow (i32.const 1)) (i32.const 16)))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (call $do))
    (func (export "sink") (param i32 i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "seven") (result i32) (i32.const 7))
    (func (export "post") (param i32) (drop (call $do))))
  (core instance $e (instantiate $E (with "" (instance (export "mem" (memory $mem)) (export "map" (func $map))
    (export "unmap" (func $unmap)) (export "allocate" (func $allocate)) (export "drop" (func $drop-mappable))))))
  (core func $evil-read (canon lower (func $types "[method]mappable.read") (memory $mem)
    (realloc (core func $e "realloc"))))
  (core module $Q (import "" "mem" (memory 1)) (import "" "read" (func $read (param i32 i64 i32 i32)))
    (func (export "read") (param i32) (result i32)
      (call $read (local.get 0) (i64.const 0) (i32.const 100) (i32.const 512))
      (i32.load8_u (i32.load (i32.const 516)))))
  (core instance $q (instantiate $Q (with "" (instance (export "mem" (memory $mem))
    (export "read" (func $evil-read))))))
  (func (export "set-evil") (param "how" u32) (param "h" u32) (canon lift (core func $e "set")))
  (func (export "evil-read") (param "h" u32) (result u32) (canon lift (core func $q "read")))
  (func (export "evil-sink") (param "bytes" (list u8)) (result u32)
    (canon lift (core func $e "sink") (memory $mem) (realloc (core func $e "realloc"))))
  (func (export "evil-post") (result u32) (canon lift (core func $e "seven") (post-return (core func $e "post"))))"#;

/// What has been touched by nobody else is zero for whom it is given to next.
#[track_caller]
fn nothing_is_left(scene: &mut Scene) {
    let fresh: Vec<_> = (0..8).map(|_| scene.world.runtime().allocate(2 * GRANULE).unwrap()).collect();
    assert!(fresh.iter().all(|region| all_are(region.bytes().unwrap(), 0)));
    scene.others_go_on();
}

fn evil(scene: &mut Scene) -> (Guest, u32, u32, u32) {
    let attacker = scene.attacker(("", REALLOC));
    let mapped = scene.lend(&attacker, 1);
    let mapping = attacker.map(&mut scene.world, mapped, AT, G).unwrap();
    let region = scene.lend(&attacker, 1);
    let read = scene.lend(&attacker, 1);
    (attacker, mapping, region, read)
}

on_every_setup! {
    fn a_guest_may_die_anywhere_in_a_hop(setup) {
        for when in 1u32..4 {
            for (how, (name, trap)) in (0u32..).zip(DEATHS) {
                let mut scene = Scene::new(setup);
                let (attacker, peer) = scene.attackers(MORE);
                scene.world.data_mut().call_back = Some(Box::new(|_| Err(wasmtime::Error::msg("the host's own"))));
                let region = scene.lend(&attacker, 2);
                let answer = attacker.run(&mut scene.world, "die-between", (region, AT, 2 * G, when, how));
                match trap {
                    Some(trap) => trap_is(answer, trap),
                    None => drop(trapped(answer)),
                }
                assert_eq!(scene.world.held(), (1, 2 * GRANULE), "{name}, {when}");
                scene.trapped(&attacker);
                scene.trapped(&peer);
                // When its store goes all is freed, and nothing of it is found.
                scene.start_again();
                nothing_is_left(&mut scene);
            }
        }
    }

    fn a_peer_that_dies_takes_its_caller_along_and_no_other(setup) {
        let mut scene = Scene::new(setup);
        let (attacker, peer) = scene.attackers(MORE);
        let region = scene.lend(&attacker, 2);
        attacker.map(&mut scene.world, region, AT, 2 * G).unwrap();
        trap_is(attacker.call::<_, u32>(&mut scene.world, "poke", (END,)), Trap::MemoryOutOfBounds);
        scene.trapped(&attacker);
        scene.trapped(&peer);
        scene.start_again();
        nothing_is_left(&mut scene);
    }

    fn a_bad_return_pointer_traps_before_anything_is_changed(setup) {
        for function in ["map", "unmap", "map-frozen", "unmap-frozen"] {
            for (bad, trap) in [
                (1025, Trap::UnreachableCodeReached), (1026, Trap::UnreachableCodeReached),
                (u32::MAX, Trap::UnreachableCodeReached), (END, Trap::MemoryOutOfBounds),
                (END - 4, Trap::MemoryOutOfBounds), (END - 8, Trap::MemoryOutOfBounds),
                (u32::MAX - 3, Trap::MemoryOutOfBounds), (u32::MAX - 11, Trap::MemoryOutOfBounds),
            ] {
                let mut scene = Scene::new(setup);
                let (attacker, peer) = scene.attackers(MORE);
                let mut handle = if function.ends_with("frozen") {
                    scene.lend_frozen(&attacker)
                } else {
                    scene.lend(&attacker, 2)
                };
                match function {
                    "unmap" => handle = attacker.map(&mut scene.world, handle, AT, 2 * G).unwrap(),
                    "unmap-frozen" => handle = attacker.map_frozen(&mut scene.world, handle, AT, 2 * G).unwrap(),
                    _ => {}
                }
                attacker.run(&mut scene.world, "set-ret", (bad,)).unwrap();
                let answer = attacker.call::<_, u64>(&mut scene.world, function, (handle, AT, 2 * G));
                match trap {
                    Trap::UnreachableCodeReached if setup.is_ledger() => wrong(setup, answer, &[Wrong::Misaligned]),
                    _ if setup.is_ledger() => wrong(setup, answer, &[Wrong::OutOfBounds]),
                    trap => trap_is(answer, trap),
                }
                scene.trapped(&attacker);
                scene.trapped(&peer);
                scene.start_again();
                nothing_is_left(&mut scene);
            }
        }
    }

    fn a_bad_return_pointer_of_another_function_traps(setup) {
        for bad in [1025, END, END - 4, u32::MAX - 3] {
            let mut scene = Scene::new(setup);
            let attacker = scene.attacker(MORE);
            let region = scene.lend(&attacker, 2);
            attacker.map(&mut scene.world, region, AT, 2 * G).unwrap();
            attacker.run(&mut scene.world, "set-ret", (bad,)).unwrap();
            trapped(attacker.call::<_, i64>(&mut scene.world, "allocate", (GRANULE,)));
            scene.trapped(&attacker);
            scene.start_again();
            nothing_is_left(&mut scene);
        }
    }

    fn a_realloc_that_dies_or_lies_traps(setup) {
        // Dies, answers an address past the end, or never returns.
        for how in [0u32, 1, 5] {
            for function in ["evil-read", "evil-sink"] {
                let mut scene = Scene::new(setup);
                let (attacker, _, _, read) = evil(&mut scene);
                attacker.run(&mut scene.world, "set-evil", (how, 0u32)).unwrap();
                let answer = match function {
                    "evil-read" => attacker.call::<_, u32>(&mut scene.world, function, (read,)),
                    _ => attacker.call::<_, u32>(&mut scene.world, function, (vec![1u8; 100],)),
                };
                trapped(answer);
                // Before a guest is entered, a trap of its `realloc` does not close its store.
                if function == "evil-read" {
                    scene.trapped(&attacker);
                }
                scene.start_again();
                nothing_is_left(&mut scene);
            }
        }
    }

    fn a_realloc_or_post_return_that_changes_what_is_mapped_traps(setup) {
        // The engine lets a component call nobody from there. It maps, unmaps, allocates.
        for how in 2u32..5 {
            for function in ["evil-read", "evil-sink", "evil-post"] {
                let mut scene = Scene::new(setup);
                let (attacker, mapping, region, read) = evil(&mut scene);
                let handle = if how == 2 { region } else { mapping };
                attacker.run(&mut scene.world, "set-evil", (how, handle)).unwrap();
                let answer = match function {
                    "evil-read" => attacker.call::<_, u32>(&mut scene.world, function, (read,)),
                    "evil-sink" => attacker.call::<_, u32>(&mut scene.world, function, (vec![1u8; 100],)),
                    _ => attacker.call::<_, u32>(&mut scene.world, function, ()),
                };
                let error = trapped(answer);
                assert!(setup.tells(Wrong::CannotLeave, &error), "{function}, {how}: {error:?}");
                assert_eq!(scene.world.held(), (3, 3 * GRANULE));
                scene.trapped(&attacker);
                scene.start_again();
                nothing_is_left(&mut scene);
            }
        }
    }

    fn a_realloc_that_grows_the_memory_gets_its_list_where_it_said(setup) {
        let mut scene = Scene::new(setup);
        let (attacker, mapping, region, read) = evil(&mut scene);
        attacker.run(&mut scene.world, "set-evil", (6u32, 0u32)).unwrap();
        for function in ["evil-read", "evil-sink"] {
            let end = attacker.call::<_, u32>(&mut scene.world, "pages", ()).unwrap() * G;
            let found: u32 = match function {
                "evil-read" => attacker.call(&mut scene.world, function, (read,)).unwrap(),
                _ => attacker.call(&mut scene.world, function, (vec![REGION; 100],)).unwrap(),
            };
            assert_eq!(found, u32::from(REGION));
            attacker.expect(&mut scene.world, end, 100, REGION);
            attacker.expect(&mut scene.world, end + 100, G - 100, 0);
        }
        attacker.expect(&mut scene.world, AT, G, REGION);
        attacker.unmap(&mut scene.world, mapping, AT, G).unwrap();
        attacker.expect(&mut scene.world, G, 15 * G, HEAP);
        attacker.run(&mut scene.world, "drop-mappable", (region,)).unwrap();
        scene.refused(&attacker);
    }

    fn memory_grown_in_the_middle_is_there_in_every_view(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(MORE);
        let region = scene.lend(&attacker, 2);
        let sum: u64 = attacker.call(&mut scene.world, "grow-between", (region, AT, 2 * G)).unwrap();
        assert_eq!(sum, 4 * (u64::from(REGION) + 1 + u64::from(HEAP)));
        assert_eq!(attacker.call::<_, u32>(&mut scene.world, "pages", ()).unwrap(), PAGES + 8);
        scene.refused(&attacker);
    }

    fn a_store_that_goes_in_the_middle_leaves_nothing(setup) {
        let mut scene = Scene::new(setup);
        let (a, b) = scene.attackers(MORE);
        // Mapped, dropped while mapped, retired, frozen and written to, in both memories.
        for guest in [&a, &b] {
            for at in [2 * G, 4 * G] {
                let region = scene.lend(guest, 2);
                let mapping = guest.map(&mut scene.world, region, at, 2 * G).unwrap();
                guest.run(&mut scene.world, "drop-mapping", (mapping,)).unwrap();
            }
            let reference = scene.lend_frozen(guest);
            guest.map_frozen(&mut scene.world, reference, 8 * G, 2 * G).unwrap();
            guest.fill(&mut scene.world, 8 * G, 0x99, 2 * G);
            let region = scene.lend(guest, 2);
            guest.map(&mut scene.world, region, 10 * G, 2 * G).unwrap();
        }
        scene.start_again();
        nothing_is_left(&mut scene);
    }
}
