//! Access to what is no longer the guest's, or never was: after a hand-over, through a base that was taken in before,
//! by wild pointers.

use mappable::GRANULE;
use wasmtime::Trap;

use super::{AT, EVIL, HEAP, LOOKS, MARKS, REGION, Scene, armed};
use crate::support::{END, G, Setup, on_every_setup, trap_is, trapped};
use crate::wat;

/// What the attackers do in one call, so that nothing but compiled code runs in between.
const MORE: (&str, &str) = (
    r#"
    (func $map-it (param $h i32) (param $at i32) (param $len i32) (result i32)
      (call $map (local.get $h) (local.get $at) (local.get $len) (global.get $ret))
      (if (i32.load8_u (global.get $ret)) (then unreachable))
      (i32.load offset=4 (global.get $ret)))
    (func $unmap-it (param $h i32) (param $at i32) (param $len i32) (result i32)
      (call $unmap (local.get $h) (local.get $at) (local.get $len) (global.get $ret))
      (if (i32.load8_u (global.get $ret)) (then unreachable))
      (i32.load offset=4 (global.get $ret)))
    ;; maps a region, reads it, unmaps it, hands it over, and reads on; what was read, and above it the peer's handle
    (func (export "hand-over-and-look") (param $h i32) (param $at i32) (param $len i32) (param $how i32) (result i64)
      (local $first i32)
      (local.set $h (call $map-it (local.get $h) (local.get $at) (local.get $len)))
      (local.set $first (call $look (local.get $how) (local.get $at)))
      (local.set $h (call $pass (call $unmap-it (local.get $h) (local.get $at) (local.get $len))))
      (i64.or (i64.shl (i64.extend_i32_u (local.get $h)) (i64.const 32))
        (i64.extend_i32_u (i32.or (i32.shl (local.get $first) (i32.const 8))
          (call $look (local.get $how) (local.get $at))))))
    (func (export "hand-over-and-mark") (param $h i32) (param $at i32) (param $len i32) (param $how i32) (result i32)
      (local.set $h (call $map-it (local.get $h) (local.get $at) (local.get $len)))
      (drop (i32.load8_u (local.get $at)))
      (local.set $h (call $pass (call $unmap-it (local.get $h) (local.get $at) (local.get $len))))
      (call $mark (local.get $how) (local.get $at))
      (local.get $h))
    ;; a loop around both changes, with accesses by the same address before, between and after; the sum of all that was
    ;; read
    (func (export "span") (param $h i32) (param $at i32) (param $len i32) (param $n i32) (result i64)
      (local $sum i64) (local $v v128)
      (loop $next
        (local.set $sum (i64.add (local.get $sum) (i64.load8_u offset=16 (local.get $at))))
        (local.set $v (v128.load (local.get $at)))
        (local.set $h (call $map-it (local.get $h) (local.get $at) (local.get $len)))
        (local.set $sum (i64.add (local.get $sum) (i64.load8_u offset=16 (local.get $at))))
        (v128.store offset=32 (local.get $at) (i8x16.add (local.get $v) (v128.load offset=32 (local.get $at))))
        (local.set $h (call $unmap-it (local.get $h) (local.get $at) (local.get $len)))
        (i64.store offset=48 (local.get $at) (i64.add (i64.load offset=48 (local.get $at)) (i64.const 1)))
        (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $sum))
    ;; the sum of so many bytes, by a loop that calls nobody
    (func $total (param $at i32) (param $len i32) (result i64)
      (local $sum i64) (local $end i32)
      (local.set $end (i32.add (local.get $at) (local.get $len)))
      (loop $next
        (local.set $sum (i64.add (local.get $sum) (i64.load8_u (local.get $at))))
        (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $end))))
      (local.get $sum))
    ;; loops that call nobody in one that maps and unmaps between them: the sum of 64 bytes, mapped and not. They stand in
    ;; one function, so that each has a preload of its own or none
    (func (export "between") (param $h i32) (param $at i32) (param $len i32) (param $n i32) (result i64)
      (local $sum i64) (local $i i32)
      (loop $around
        (local.set $i (i32.const 64))
        (loop $heap
          (local.set $sum (i64.add (local.get $sum) (i64.load8_u (i32.add (local.get $at) (local.get $i)))))
          (br_if $heap (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
        (local.set $h (call $map-it (local.get $h) (local.get $at) (local.get $len)))
        (local.set $i (i32.const 64))
        (loop $mapped
          (local.set $sum (i64.add (local.get $sum) (i64.load8_u (i32.add (local.get $at) (local.get $i)))))
          (br_if $mapped (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
        (local.set $h (call $unmap-it (local.get $h) (local.get $at) (local.get $len)))
        (br_if $around (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $sum))
    ;; the same, but that what is mapped changes in front of the only loop within, and not each time: a base that is known
    ;; from before the outer loop, and in one half of its rounds from before the inner one
    (func (export "alternately") (param $h i32) (param $at i32) (param $len i32) (param $n i32) (result i64)
      (local $sum i64) (local $i i32)
      (drop (i32.load8_u (local.get $at)))
      (loop $around
        (block $same
          (br_if $same (i32.and (local.get $n) (i32.const 1)))
          (if (i32.and (local.get $n) (i32.const 2))
            (then (local.set $h (call $map-it (local.get $h) (local.get $at) (local.get $len))))
            (else (local.set $h (call $unmap-it (local.get $h) (local.get $at) (local.get $len))))))
        (local.set $i (i32.const 64))
        (loop $bytes
          (local.set $sum (i64.add (local.get $sum) (i64.load8_u (i32.add (local.get $at) (local.get $i)))))
          (br_if $bytes (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
        (br_if $around (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $sum))
    ;; loops on a region, and on where it was after it was handed over: both sums, and the peer's handle above them
    (func (export "total-and-hand-over") (param $h i32) (param $at i32) (param $len i32) (result i64)
      (local $first i64)
      (local.set $h (call $map-it (local.get $h) (local.get $at) (local.get $len)))
      (local.set $first (call $total (local.get $at) (i32.const 64)))
      (local.set $h (call $pass (call $unmap-it (local.get $h) (local.get $at) (local.get $len))))
      (i64.or (i64.shl (i64.extend_i32_u (local.get $h)) (i64.const 32))
        (i64.or (i64.shl (local.get $first) (i64.const 16)) (call $total (local.get $at) (i32.const 64)))))
    ;; takes from a region what it can while another loop's address still stands in locals: bulk operations between
    ;; the heap, the placement and back
    (func (export "bulk") (param $h i32) (param $at i32) (param $len i32) (result i64)
      (local.set $h (call $map-it (local.get $h) (local.get $at) (local.get $len)))
      (memory.copy (i32.sub (local.get $at) (i32.const 65536)) (local.get $at) (i32.const 100))
      (local.set $h (call $pass (call $unmap-it (local.get $h) (local.get $at) (local.get $len))))
      (memory.copy (i32.add (i32.sub (local.get $at) (i32.const 65536)) (i32.const 200))
        (local.get $at) (local.get $len))
      (memory.fill (local.get $at) (i32.const 0xee) (local.get $len))
      (memory.copy (local.get $at) (i32.const 0) (i32.const 16))
      (i64.extend_i32_u (local.get $h)))
    ;; reads past the ends of small offsets, which the guard has to catch
    (func (export "look-off") (param $at i32) (result i32) (i32.load8_u offset=0xffff (local.get $at)))
    (func (export "mark-off") (param $at i32)
      (v128.store offset=0x1fffff0 (local.get $at) (i8x16.splat (i32.const 0xee))))
    (func (export "mark-farthest") (param $at i32) (i64.store offset=0xffffffff (local.get $at) (i64.const 1)))
    (func (export "copy-in") (param i32 i32) (memory.copy (local.get 0) (i32.const 0) (local.get 1)))
    (func (export "copy-out") (param i32 i32) (memory.copy (i32.const 2048) (local.get 0) (local.get 1)))
    (func (export "fill-from") (param i32 i32) (memory.fill (local.get 0) (i32.const 0xee) (local.get 1)))
    (func (export "list-from") (param i32 i32) (drop (call $sum (local.get 0) (local.get 1))))"#,
    r#"
  (func (export "hand-over-and-look") (param "h" u32) (param "at" u32) (param "len" u32) (param "how" u32) (result u64)
    (canon lift (core func $p "hand-over-and-look")))
  (func (export "hand-over-and-mark") (param "h" u32) (param "at" u32) (param "len" u32) (param "how" u32) (result u32)
    (canon lift (core func $p "hand-over-and-mark")))
  (func (export "span") (param "h" u32) (param "at" u32) (param "len" u32) (param "n" u32) (result u64)
    (canon lift (core func $p "span")))
  (func (export "between") (param "h" u32) (param "at" u32) (param "len" u32) (param "n" u32) (result u64)
    (canon lift (core func $p "between")))
  (func (export "alternately") (param "h" u32) (param "at" u32) (param "len" u32) (param "n" u32) (result u64)
    (canon lift (core func $p "alternately")))
  (func (export "total-and-hand-over") (param "h" u32) (param "at" u32) (param "len" u32) (result u64)
    (canon lift (core func $p "total-and-hand-over")))
  (func (export "bulk") (param "h" u32) (param "at" u32) (param "len" u32) (result u64)
    (canon lift (core func $p "bulk")))
  (func (export "look-off") (param "at" u32) (result u32) (canon lift (core func $p "look-off")))
  (func (export "mark-off") (param "at" u32) (canon lift (core func $p "mark-off")))
  (func (export "mark-farthest") (param "at" u32) (canon lift (core func $p "mark-farthest")))
  (func (export "copy-in") (param "at" u32) (param "len" u32) (canon lift (core func $p "copy-in")))
  (func (export "copy-out") (param "at" u32) (param "len" u32) (canon lift (core func $p "copy-out")))
  (func (export "fill-from") (param "at" u32) (param "len" u32) (canon lift (core func $p "fill-from")))
  (func (export "list-from") (param "at" u32) (param "len" u32) (canon lift (core func $p "list-from")))"#,
);

/// Or what is shown of them below would be shown of other loops.
#[test]
fn the_attackers_loops_have_preloads() {
    let preloads = |more| {
        let component = ::wat::parse_str(armed(&wat::guest("16"), more)).unwrap();
        let modules = mappable::rewrite::inspect(&component).unwrap().components.into_iter().flat_map(|c| c.modules);
        modules.map(|module| module.preloads).sum::<usize>()
    };
    // Of `total`, of both loops within that of `between`, and of the one within that of `alternately`.
    assert_eq!(preloads(MORE), preloads(("", "")) + 4);
}

on_every_setup! {
    fn reading_a_region_after_handing_it_over_reads_the_heap(setup) {
        let mut scene = Scene::new(setup);
        let (a, b) = scene.attackers(MORE);
        for (how, name) in (0u32..).zip(LOOKS) {
            let region = scene.lend(&a, 1);
            let answer: u64 = a.call(&mut scene.world, "hand-over-and-look", (region, AT, G, how)).unwrap();
            assert_eq!([(answer >> 8) as u8, answer as u8], [REGION, HEAP], "{name}");
            let region = (answer >> 32) as u32;
            let mapping = b.map(&mut scene.world, region, 2 * G, G).unwrap();
            b.expect(&mut scene.world, 2 * G, G, REGION);
            // Mapped by another, it is as far away.
            assert_eq!(a.call::<_, u32>(&mut scene.world, "look", (how, AT)).unwrap(), u32::from(HEAP), "{name}");
            b.unmap(&mut scene.world, mapping, 2 * G, G).unwrap();
        }
        scene.refused(&a);
    }

    fn writing_to_a_region_after_handing_it_over_writes_to_the_heap(setup) {
        let mut scene = Scene::new(setup);
        let (a, b) = scene.attackers(MORE);
        for (how, name) in (0u32..).zip(MARKS) {
            let region = scene.lend(&a, 1);
            let region: u32 = a.call(&mut scene.world, "hand-over-and-mark", (region, AT, G, how)).unwrap();
            assert_eq!(a.load(&mut scene.world, AT), EVIL, "{name}");
            a.fill(&mut scene.world, AT, HEAP, G);
            let mapping = b.map(&mut scene.world, region, 2 * G, G).unwrap();
            b.expect(&mut scene.world, 2 * G, G, REGION);
            a.run(&mut scene.world, "mark", (how, AT)).unwrap();
            b.expect(&mut scene.world, 2 * G, G, REGION);
            a.fill(&mut scene.world, AT, HEAP, G);
            b.unmap(&mut scene.world, mapping, 2 * G, G).unwrap();
        }
        scene.refused(&a);
    }

    fn no_base_outlives_a_change_in_a_loop_around_it(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(MORE);
        let region = scene.lend(&attacker, 1);
        const ROUNDS: u32 = 40;
        let sum: u64 = attacker.call(&mut scene.world, "span", (region, AT, G, ROUNDS)).unwrap();
        assert_eq!(sum, u64::from(ROUNDS) * (u64::from(HEAP) + u64::from(REGION)));
        // The counter is the heap's: 40 times one more than eight bytes of the heap.
        let heap = u64::from_le_bytes([HEAP; 8]);
        let counter: u64 = attacker.call(&mut scene.world, "load64", (AT + 48,)).unwrap();
        assert_eq!(counter, heap + u64::from(ROUNDS));
        attacker.fill(&mut scene.world, AT, HEAP, G);
        scene.refused(&attacker);
    }

    /// Loops have preloads in front of them, by which the base is loaded once for all of their rounds.
    fn no_base_that_a_loop_begins_with_outlives_a_change(setup) {
        let mut scene = Scene::new(setup);
        let attacker = scene.attacker(MORE);
        const ROUNDS: u32 = 24;
        let [heap, region] = [HEAP, REGION].map(|byte| 64 * u64::from(byte));
        let handle = scene.lend(&attacker, 1);
        let sum: u64 = attacker.call(&mut scene.world, "between", (handle, AT, G, ROUNDS)).unwrap();
        assert_eq!(sum, u64::from(ROUNDS) * (heap + region));
        // Mapped in round 26, unmapped in 24, and so on to 2, each for two rounds: it is mapped in two rounds more.
        let handle = scene.lend(&attacker, 1);
        let sum: u64 = attacker.call(&mut scene.world, "alternately", (handle, AT, G, ROUNDS + 2)).unwrap();
        assert_eq!(sum, u64::from(ROUNDS / 2) * (heap + region) + 2 * region);

        scene.start_again();
        let (attacker, _) = scene.attackers(MORE);
        let handle = scene.lend(&attacker, 1);
        let answer: u64 = attacker.call(&mut scene.world, "total-and-hand-over", (handle, AT, G)).unwrap();
        assert_eq!([answer >> 16 & 0xffff, answer & 0xffff], [region, heap]);
        scene.refused(&attacker);
    }

    fn bulk_operations_take_nothing_of_a_region_that_was_handed_over(setup) {
        let mut scene = Scene::new(setup);
        let (a, b) = scene.attackers(MORE);
        let region = scene.lend(&a, 2);
        let region = a.call::<_, u64>(&mut scene.world, "bulk", (region, AT, 2 * G)).unwrap() as u32;
        // A hundred bytes were its own to take; what it copied after the hand-over was the heap.
        a.expect(&mut scene.world, AT - G, 100, REGION);
        a.expect(&mut scene.world, AT - G + 100, G - 100, HEAP);
        a.expect(&mut scene.world, AT + 16, 2 * G - 16, EVIL);
        b.map(&mut scene.world, region, 2 * G, 2 * G).unwrap();
        b.expect(&mut scene.world, 2 * G, 2 * G, REGION);
        a.fill(&mut scene.world, G, HEAP, 15 * G);
        scene.refused(&a);
    }

    fn a_wild_pointer_traps(setup) {
        for (name, attack) in wild_pointers() {
            let mut scene = Scene::new(setup);
            let attacker = scene.attacker(MORE);
            // Past the region's end is past the memory's.
            let region = scene.lend(&attacker, 1);
            attacker.map(&mut scene.world, region, END - G, G).unwrap();
            let Attack { function, arguments } = attack;
            let answer = match arguments {
                Arguments::Looks(how, at) => attacker.call::<_, u32>(&mut scene.world, function, (how, at)).map(drop),
                Arguments::Marks(how, at) => attacker.run(&mut scene.world, function, (how, at)),
                Arguments::Load(at) => attacker.call::<_, u32>(&mut scene.world, function, (at,)).map(drop),
                Arguments::Store(at) => attacker.run(&mut scene.world, function, (at,)),
                Arguments::Range(at, len) => attacker.run(&mut scene.world, function, (at, len)),
            };
            match function {
                // The engine's own complaint about a list.
                "list-from" => drop(trapped(answer)),
                _ if name == LOOKS[9] => drop(trapped(answer)),
                _ => trap_is(answer, Trap::MemoryOutOfBounds),
            }
            scene.trapped(&attacker);
        }
    }

    fn a_wild_pointer_traps_before_and_after_mapping_too(setup) {
        for change in 0..4 {
            for at in [END, END + G, u32::MAX - 7] {
                for how in [0u32, 4, 6, 8] {
                    let mut scene = Scene::new(setup);
                    let attacker = scene.attacker(MORE);
                    let world = &mut scene.world;
                    if change > 0 {
                        let region = attacker.allocate(world, GRANULE).unwrap();
                        let mapping = attacker.map(world, region, AT, G).unwrap();
                        match change {
                            2 => drop(attacker.unmap(world, mapping, AT, G).unwrap()),
                            3 => attacker.run(world, "drop-mapping", (mapping,)).unwrap(),
                            _ => {}
                        }
                    }
                    trap_is(attacker.call::<_, u32>(world, "look", (how, at)), Trap::MemoryOutOfBounds);
                    scene.trapped(&attacker);
                }
            }
        }
    }

    fn a_region_that_others_write_is_nowhere_in_an_attackers_memory(setup) {
        // All that the attacker can address, in every view that it has had, is its heap and what it owns.
        let mut scene = Scene::new(setup);
        let (a, b) = scene.attackers(MORE);
        for at in 1..9 {
            let region = scene.lend(&a, 1);
            let mapping = a.map(&mut scene.world, region, at * G, G).unwrap();
            let region = a.unmap(&mut scene.world, mapping, at * G, G).unwrap();
            let region: u32 = a.call(&mut scene.world, "pass", (region,)).unwrap();
            b.map(&mut scene.world, region, at * G, G).unwrap();
            b.fill(&mut scene.world, at * G, 0x99, G);
        }
        a.expect(&mut scene.world, G, 15 * G, HEAP);
        let mapping = a.mapped(&mut scene.world, 3 * G, 2, 0x37);
        a.expect(&mut scene.world, G, 2 * G, HEAP);
        a.expect(&mut scene.world, 3 * G, 2 * G, 0x37);
        a.expect(&mut scene.world, 5 * G, 11 * G, HEAP);
        b.expect(&mut scene.world, G, 8 * G, 0x99);
        let region = a.unmap(&mut scene.world, mapping, 3 * G, 2 * G).unwrap();
        a.run(&mut scene.world, "drop-mappable", (region,)).unwrap();
        a.expect(&mut scene.world, G, 15 * G, HEAP);
        scene.refused(&a);
    }
}

struct Attack {
    function: &'static str,
    arguments: Arguments,
}

enum Arguments {
    Looks(u32, u32),
    Marks(u32, u32),
    Load(u32),
    Store(u32),
    Range(u32, u32),
}

/// Every kind of access, just past the end and as far as 32 bits go.
fn wild_pointers() -> Vec<(&'static str, Attack)> {
    let mut attacks = vec![];
    let mut add = |name, function, arguments| attacks.push((name, Attack { function, arguments }));
    for at in [END, u32::MAX - 7] {
        for (how, name) in (0..).zip(LOOKS) {
            add(name, "look", Arguments::Looks(how, at));
        }
        for (how, name) in (0..).zip(MARKS) {
            add(name, "mark", Arguments::Marks(how, at));
        }
    }
    for at in [END - 0xffff, END, u32::MAX] {
        add("an offset", "look-off", Arguments::Load(at));
    }
    for at in [END - 0x10000, 0, AT, u32::MAX] {
        add("a large offset", "mark-off", Arguments::Store(at));
        add("the largest offset", "mark-farthest", Arguments::Store(at));
    }
    for function in ["copy-in", "copy-out", "fill-from", "list-from"] {
        for (at, len) in [(END - 8, 16), (END + 1, 8), (u32::MAX, 2), (0, u32::MAX), (AT, u32::MAX - AT)] {
            add(function, function, Arguments::Range(at, len));
        }
    }
    attacks
}
