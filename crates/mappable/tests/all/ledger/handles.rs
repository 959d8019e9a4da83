//! Handles by the number: tables that grow, numbers that are used again, regions that are lent.

use mappable::{GRANULE, Limits};

use super::Party;
use super::positions::exported;
use crate::support::{Carried, G, Lent, Setup, World, Wrong, on_every_ledger_setup, on_every_setup, wrong};
use crate::wat;

/// Two components: `a` gives `b` regions as a borrowed handle and an owned one, or two borrowed ones, and `b` does as
/// it is told: with the first, then with the second, each by its number in [`DOES`].
fn lender(memory: &str) -> String {
    let types = wat::import_types(wat::TYPES);
    let common = |core: &str, given: &str, lifts: &str, first: &str| {
        format!(
            r#"(core module $M (memory (export "mem") {memory})
              (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8192)))
            (core instance $m (instantiate $M)) (alias core export $m "mem" (core memory $mem))
            (core func $allocate (canon lower (func $types "[static]mappable.allocate") (memory $mem)))
            (core func $map (canon lower (func $types "[static]mappable.map") (memory $mem)))
            (core func $freeze (canon lower (func $types "[static]mappable.freeze")))
            (core func $size (canon lower (func $types "[method]mappable.size")))
            (core func $read (canon lower (func $types "[method]mappable.read") (memory $mem)
              (realloc (core func $m "realloc"))))
            (core func $drop (canon resource.drop $mappable))
            {first}
            (core module $P
              (import "" "mem" (memory 1))
              (import "" "allocate" (func $allocate (param i64 i32)))
              (import "" "map" (func $map (param i32 i32 i32 i32)))
              (import "" "freeze" (func $freeze (param i32) (result i32)))
              (import "" "size" (func $size (param i32) (result i64)))
              (import "" "read" (func $read (param i32 i64 i32 i32)))
              (import "" "drop" (func $drop (param i32)))
              {core}
              (func (export "allocate") (param i64) (result i32)
                (call $allocate (local.get 0) (i32.const 1024)) (i32.load (i32.const 1028)))
              (func (export "size") (param i32) (result i64) (call $size (local.get 0)))
              (func (export "drop") (param i32) (call $drop (local.get 0)))
              (func (export "map") (param i32 i32) (result i32)
                (call $map (local.get 0) (local.get 1) (i32.const 65536) (i32.const 1024))
                (i32.load (i32.const 1028))))
            (core instance $p (instantiate $P (with "" (instance
              (export "mem" (memory $mem)) (export "allocate" (func $allocate)) (export "map" (func $map))
              (export "freeze" (func $freeze)) (export "size" (func $size)) (export "read" (func $read))
              (export "drop" (func $drop)) {given}))))
            (func (export "allocate") (param "size" u64) (result u32) (canon lift (core func $p "allocate")))
            (func (export "size") (param "h" u32) (result u64) (canon lift (core func $p "size")))
            (func (export "drop") (param "h" u32) (canon lift (core func $p "drop")))
            (func (export "map") (param "h" u32) (param "at" u32) (result u32) (canon lift (core func $p "map")))
            {lifts}"#
        )
    };
    let functions = |kind: &str| {
        [("borrow-own", "borrow", "own"), ("own-borrow", "own", "borrow"), ("borrow-borrow", "borrow", "borrow")]
            .map(|(name, a, b)| match kind {
                "import" => format!(
                    r#"(import "{name}" (func ${name} (param "a" ({a} $mappable)) (param "b" ({b} $mappable)) (param "c" u32)
                        (result u64)))"#
                ),
                "lower" => format!("(core func ${name} (canon lower (func ${name})))"),
                "core import" => format!(r#"(import "" "{name}" (func ${name} (param i32 i32 i32) (result i64)))"#),
                "core" => format!(
                    r#"(func (export "{name}") (param i32 i32 i32) (result i64)
                      (call ${name} (local.get 0) (local.get 1) (local.get 2)))"#
                ),
                "given" => format!(r#"(export "{name}" (func ${name}))"#),
                "numbers" => format!(
                    r#"(func (export "{name}") (param "a" u32) (param "b" u32) (param "c" u32) (result u64)
                        (canon lift (core func $p "{name}")))"#
                ),
                "lift" => format!(
                    r#"(func (export "{name}") (param "a" ({a} $mappable)) (param "b" ({b} $mappable)) (param "c" u32)
                        (result u64) (canon lift (core func $p "{name}")))"#
                ),
                _ => format!(r#"(with "{name}" (func $b "{name}"))"#),
            })
            .concat()
    };
    // What `b` does with either: drops it, keeps it, asks for its size and drops it, maps it, freezes it; what it does
    // with the owned one of the two is to keep it. `c`: the lowest bits for the first, then for the second.
    let does = r#"
        (func $do (param $h i32) (param $what i32) (result i64)
          (local $size i64)
          (block $5 (block $4 (block $3 (block $2 (block $1 (block $0
            (br_table $0 $1 $2 $3 $4 $5 (local.get $what)))
          (call $drop (local.get $h)) (return (i64.const 0)))
          (return (i64.extend_i32_u (local.get $h))))
          (local.set $size (call $size (local.get $h))) (call $drop (local.get $h)) (return (local.get $size)))
          (call $map (local.get $h) (i32.const 131072) (i32.const 65536) (i32.const 1024)) (return (i64.const 0)))
          (return (i64.extend_i32_u (call $freeze (local.get $h)))))
          (call $drop (local.get $h)) (call $drop (local.get $h)) (i64.const 0))
        (func $both (param i32 i32 i32) (result i64)
          (i64.or (call $do (local.get 0) (i32.and (local.get 2) (i32.const 15)))
            (i64.shl (call $do (local.get 1) (i32.shr_u (local.get 2) (i32.const 4))) (i64.const 32))))
        (export "borrow-own" (func $both)) (export "own-borrow" (func $both)) (export "borrow-borrow" (func $both))"#;
    format!(
        r#"(component {types}
          (component $B {types} {b}) (component $A {types} {imports} {a})
          (instance $b (instantiate $B (with "{name}" (instance $types))))
          (instance $a (instantiate $A (with "{name}" (instance $types)) {with}))
          {exported_a} {exported_b})"#,
        name = wat::TYPES,
        imports = functions("import"),
        b = common(does, "", &functions("lift"), ""),
        a = common(
            &(functions("core import") + &functions("core")),
            &functions("given"),
            &functions("numbers"),
            &functions("lower")
        ),
        with = functions("with"),
        exported_a = exported("a", &["allocate", "size", "drop", "map", "borrow-own", "own-borrow", "borrow-borrow"]),
        exported_b = exported("b", &["allocate", "size", "drop", "map"]),
    )
}

const DROPS: u32 = 0;
const KEEPS: u32 = 1;
const ASKS: u32 = 2;
const MAPS: u32 = 3;
const FREEZES: u32 = 4;
const DROPS_TWICE: u32 = 5;

struct Scene {
    world: World,
    a: Party,
    b: Party,
    /// Regions of `a`, of one and of two granules.
    regions: [u32; 2],
}

impl Scene {
    fn new(setup: Setup) -> Self {
        let mut world = World::new(setup);
        let [a, b] = Party::all(&mut world, &lender(setup.memory()), ["a", "b"]);
        let regions = [GRANULE, 2 * GRANULE].map(|size| a.call(&mut world, "allocate", (size,)).unwrap());
        Self { world, a, b, regions }
    }

    /// `a` passes two handles, with which `b` does these things.
    fn pass(&mut self, name: &'static str, [first, second]: [u32; 2], does: [u32; 2]) -> wasmtime::Result<u64> {
        self.a.call(&mut self.world, name, (first, second, does[0] | does[1] << 4))
    }
}

on_every_setup! {
    fn what_is_lent_is_there_during_the_call_and_the_lenders_after_it(setup) {
        let mut scene = Scene::new(setup);
        for _ in 0..5 {
            let sizes = scene.pass("borrow-borrow", scene.regions, [ASKS, ASKS]).unwrap();
            assert_eq!((sizes as u32, (sizes >> 32) as u32), (G, 2 * G));
        }
        // The same one twice is no harm.
        let [first, _] = scene.regions;
        let sizes = scene.pass("borrow-borrow", [first, first], [ASKS, ASKS]).unwrap();
        assert_eq!((sizes as u32, (sizes >> 32) as u32), (G, G));
        let sizes = scene.pass("borrow-own", scene.regions, [ASKS, KEEPS]).unwrap();
        assert_eq!(scene.b.call::<_, u64>(&mut scene.world, "size", ((sizes >> 32) as u32,)).unwrap(), 2 * GRANULE);
        assert_eq!(scene.a.call::<_, u64>(&mut scene.world, "size", (first,)).unwrap(), GRANULE);
        assert_eq!(scene.world.held(), (2, 3 * GRANULE));
    }

    fn what_is_lent_has_to_be_dropped_before_the_call_ends(setup) {
        for does in [[KEEPS, ASKS], [ASKS, KEEPS], [KEEPS, KEEPS]] {
            let mut scene = Scene::new(setup);
            let answer = scene.pass("borrow-borrow", scene.regions, does);
            wrong(setup, answer, &[Wrong::BorrowsRemain]);
            assert_eq!(scene.world.held(), (2, 3 * GRANULE));
        }
        let mut scene = Scene::new(setup);
        let answer = scene.pass("borrow-own", scene.regions, [KEEPS, DROPS]);
        wrong(setup, answer, &[Wrong::BorrowsRemain]);
    }

    fn what_is_lent_is_not_owned(setup) {
        for does in [MAPS, FREEZES] {
            let mut scene = Scene::new(setup);
            let answer = scene.pass("borrow-borrow", scene.regions, [does, DROPS]);
            wrong(setup, answer, &[Wrong::Borrowed]);
            assert_eq!(scene.world.held(), (2, 3 * GRANULE));
        }
        // Dropped, it is gone for whom it was lent to, and there for the lender.
        let mut scene = Scene::new(setup);
        let answer = scene.pass("borrow-borrow", scene.regions, [DROPS_TWICE, DROPS]);
        wrong(setup, answer, &[Wrong::UnknownHandle]);
        assert_eq!(scene.world.held(), (2, 3 * GRANULE));
    }

    fn what_is_lent_in_a_call_is_not_given_away_in_it(setup) {
        let mut scene = Scene::new(setup);
        let [first, _] = scene.regions;
        let answer = scene.pass("borrow-own", [first, first], [ASKS, KEEPS]);
        wrong(setup, answer, &[Wrong::Lent]);
        assert_eq!(scene.world.held(), (2, 3 * GRANULE));
        // Given away, it is not there to be lent.
        let mut scene = Scene::new(setup);
        let answer = scene.pass("own-borrow", [first, first], [KEEPS, ASKS]);
        wrong(setup, answer, &[Wrong::UnknownHandle]);
        assert_eq!(scene.world.held(), (2, 3 * GRANULE));
    }

    fn what_is_mapped_is_neither_lent_nor_given(setup) {
        for name in ["borrow-own", "own-borrow", "borrow-borrow"] {
            for which in 0..2 {
                let mut scene = Scene::new(setup);
                let mut mapped = scene.regions;
                let size = [1, 2][which] * G;
                let region = scene.a.call::<_, u32>(&mut scene.world, "allocate", (GRANULE,)).unwrap();
                mapped[which] = scene.a.call(&mut scene.world, "map", (region, 2 * G)).unwrap();
                let answer = scene.pass(name, mapped, [ASKS, ASKS]);
                wrong(setup, answer, &[Wrong::Mapped, Wrong::OtherKind]);
                assert_eq!(scene.world.held().0, 3, "{size}");
            }
        }
    }

    fn tables_grow_and_numbers_are_used_again(setup) {
        let (mut world, guest) = World::with_guest(setup);
        world.data_mut().mappable.set_limits(Limits::default().regions(1 << 20).region_bytes(u64::MAX));
        let whole = guest.allocate(&mut world, GRANULE).unwrap();
        let reference = guest.freeze(&mut world, whole);
        for round in 0..3 {
            let clones: Vec<u32> = (0..3000).map(|_| guest.clone_frozen(&mut world, reference).unwrap()).collect();
            assert_eq!(world.held(), (3001, GRANULE));
            for handle in clones.iter().rev().skip(round) {
                assert_eq!(guest.call::<_, u64>(&mut world, "size-frozen", (*handle,)).unwrap(), GRANULE);
                guest.run(&mut world, "drop-frozen", (*handle,)).unwrap();
            }
            for handle in clones.iter().rev().take(round) {
                guest.run(&mut world, "drop-frozen", (*handle,)).unwrap();
            }
            assert_eq!(world.held(), (1, GRANULE));
            assert!(*clones.iter().max().unwrap() & !(1 << 29) < 4000, "freed numbers are given out again");
        }
        guest.thaw(&mut world, reference).unwrap();
    }

    fn more_handles_than_a_ledger_has_room_for_are_an_error_or_there(setup) {
        // 70,000, where a ledger's records end at 65,536.
        const MANY: usize = 70_000;
        let (mut world, guest) = World::with_guest(setup);
        world.data_mut().mappable.set_limits(Limits::default().regions(1 << 20).region_bytes(u64::MAX));
        let whole = guest.allocate(&mut world, GRANULE).unwrap();
        let reference = guest.freeze(&mut world, whole);
        let mut clones = vec![];
        let refused = loop {
            if clones.len() == MANY {
                break None;
            }
            match guest.clone_frozen(&mut world, reference) {
                Ok(clone) => clones.push(clone),
                Err(error) => break Some(error),
            }
        };
        assert_eq!(refused.is_some(), setup.is_ledger(), "{refused:?} after {}", clones.len());
        assert!(clones.len() > 60_000, "{}", clones.len());
        assert_eq!(world.held(), (clones.len() + 1, GRANULE));
        if refused.is_some() {
            // One that goes makes room for one.
            guest.run(&mut world, "drop-frozen", (clones.pop().unwrap(),)).unwrap();
            clones.push(guest.clone_frozen(&mut world, reference).unwrap());
            assert!(guest.clone_frozen(&mut world, reference).is_err());
        }
        for clone in clones {
            guest.run(&mut world, "drop-frozen", (clone,)).unwrap();
        }
        let region = guest.thaw(&mut world, reference).unwrap();
        let mapping = guest.map(&mut world, region, 4 * G, G).unwrap();
        guest.fill(&mut world, 4 * G, 0x12, G);
        guest.unmap(&mut world, mapping, 4 * G, G).unwrap();
    }
}

on_every_ledger_setup! {
    fn a_region_lent_by_another_component_cannot_be_kept_or_mapped(setup) {
        for (how, reason) in [(Lent::Keep, Wrong::BorrowsRemain), (Lent::Map, Wrong::Borrowed)] {
            let (mut world, guest) = World::with_guest(setup);
            let usher = guest.usher().unwrap().clone();
            let region = usher.allocate(&mut world, GRANULE).unwrap();
            wrong(setup, guest.lent_by_usher(&mut world, how, region), &[reason]);
            assert_eq!(world.held(), (1, GRANULE));
        }
    }

    fn a_mapping_given_back_to_its_instance_is_good_again(setup) {
        let mut world = World::new(setup);
        let (a, b) = world.pair();
        for frozen in [false, true] {
            let kind = if frozen { Carried::FrozenMapping } else { Carried::Mapping };
            let mapping = if frozen {
                let reference = a.frozen(&mut world, 8 * G, 1, 0x5c);
                a.map_frozen(&mut world, reference, 2 * G, G).unwrap()
            } else {
                a.mapped(&mut world, 2 * G, 1, 0x5c)
            };
            let there = a.carry(&mut world, kind, &b, mapping).unwrap();
            a.expect(&mut world, 2 * G, G, 0x5c);
            b.expect(&mut world, 2 * G, G, 0);
            let mapping = b.carry(&mut world, kind, &a, there).unwrap();
            if frozen {
                a.unmap_frozen(&mut world, mapping, 2 * G, G).unwrap();
            } else {
                a.unmap(&mut world, mapping, 2 * G, G).unwrap();
            }
            a.expect(&mut world, 2 * G, G, 0);
        }
    }

    fn a_composition_is_closed_so_that_it_has_the_ledger(setup) {
        // What the host can't take by its type it can't take by another: there is no such function.
        let (mut world, guest) = World::with_guest(setup);
        let region = guest.allocate(&mut world, GRANULE).unwrap();
        let handle = guest.give(&mut world, region).unwrap();
        assert_eq!(world.remove(handle).size(), GRANULE);
        assert_eq!(world.held(), (0, 0));
        assert!(setup.is_ledger());
    }
}
