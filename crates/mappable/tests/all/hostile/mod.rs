//! Guests that mean harm: one module for each way in, one test for each attack and each way of mapping. An attack ends
//! in an error or a trap, in its own store alone: the process lives, others go on, and no byte of anybody else's was
//! read or written. `docs/src/threat-model.md` says what stops each.

mod access;
mod exhaustion;
mod frozen;
mod handles;
mod placements;
mod rewriter;
mod traps;

use mappable::{Frozen, GRANULE};
use wasmtime::Trap;

use crate::support::{Fixture, G, Guest, Setup, World, all_are, trap_is};
use crate::wat;

/// What the heap of a guest is painted with, what a region is, and what an attacker writes.
const HEAP: u8 = 0x11;
const REGION: u8 = 0xa5;
const FROZEN: u8 = 0xf0;
const EVIL: u8 = 0xee;

/// Where attackers map what they have.
const AT: u32 = 4 * G;

/// An attacker's store, and those who must not notice: another store with a guest that has a region and a frozen one
/// mapped, and the host, which holds a reference to the same frozen bytes.
struct Scene {
    world: World,
    bystander: Bystander,
    frozen: Frozen,
}

struct Bystander {
    world: World,
    guest: Guest,
    mapping: u32,
    frozen_mapping: u32,
    rounds: u8,
}

impl Scene {
    fn new(setup: Setup) -> Self {
        Self::on(setup.fixture())
    }

    fn on(fixture: &'static Fixture) -> Self {
        let mut theirs = fixture.world();
        let guest = theirs.guest();
        let world = fixture.world();
        let frozen = world.region(2, FROZEN).freeze().map_err(|failed| failed.source).unwrap();
        guest.fill(&mut theirs, G, HEAP, 8 * G);
        let mapping = guest.mapped(&mut theirs, 2 * G, 1, 0x42);
        let handle = theirs.data_mut().mappable.insert_frozen(frozen.clone()).unwrap();
        let reference = guest.take_frozen(&mut theirs, handle).unwrap();
        let frozen_mapping = guest.map_frozen(&mut theirs, reference, AT, 2 * G).unwrap();
        let bystander = Bystander { world: theirs, guest, mapping, frozen_mapping, rounds: 0 };
        Self { world, bystander, frozen }
    }

    /// The attacker, a guest with the means of [`MEANS`] and `more`: functions of the core module, and their lifts.
    fn attacker(&mut self, more: (&str, &str)) -> Guest {
        let text = wat::guest(self.world.fixture.setup.memory());
        let component = self.world.fixture.compile(&armed(&text, more));
        let instance = self.world.instantiate(&component);
        let guest = Guest::new(instance, &mut self.world, None);
        guest.fill(&mut self.world, G, HEAP, 15 * G);
        guest
    }

    /// The attacker, and a peer that it calls.
    fn attackers(&mut self, more: (&str, &str)) -> (Guest, Guest) {
        let text = wat::pair(self.world.fixture.setup.memory());
        let component = self.world.fixture.compile(&armed(&text, more));
        let (a, b) = self.world.guests(&component);
        for guest in [&a, &b] {
            guest.fill(&mut self.world, G, HEAP, 15 * G);
        }
        (a, b)
    }

    /// Gives the attacker a reference to the bytes that the bystander has mapped and the host looks at.
    fn lend_frozen(&mut self, guest: &Guest) -> u32 {
        let handle = self.world.data_mut().mappable.insert_frozen(self.frozen.clone()).unwrap();
        guest.take_frozen(&mut self.world, handle).unwrap()
    }

    /// Gives the attacker a region full of [`REGION`].
    fn lend(&mut self, guest: &Guest, granules: u64) -> u32 {
        let region = self.world.region(granules, REGION);
        let handle = self.world.insert(region);
        guest.take(&mut self.world, handle).unwrap()
    }

    /// The others go on, and have what they had.
    #[track_caller]
    fn others_go_on(&mut self) {
        assert!(all_are(&self.frozen, FROZEN), "frozen bytes have changed");
        let Bystander { world, guest, mapping, frozen_mapping, rounds } = &mut self.bystander;
        let mark = 0x42 + *rounds;
        guest.expect(world, 2 * G, G, mark);
        guest.expect(world, AT, 2 * G, FROZEN);
        let region = guest.unmap(world, *mapping, 2 * G, G).unwrap();
        guest.expect(world, G, 3 * G, HEAP);
        guest.expect(world, AT, 2 * G, FROZEN);
        let reference = guest.unmap_frozen(world, *frozen_mapping, AT, 2 * G).unwrap();
        guest.expect(world, G, 8 * G, HEAP);
        // What was freed meanwhile, in whatever store, is zero when it comes again.
        let fresh = guest.allocate(world, GRANULE).unwrap();
        let fresh = guest.map(world, fresh, 6 * G, G).unwrap();
        guest.expect(world, 6 * G, G, 0);
        let fresh = guest.unmap(world, fresh, 6 * G, G).unwrap();
        guest.run(world, "drop-mappable", (fresh,)).unwrap();
        *frozen_mapping = guest.map_frozen(world, reference, AT, 2 * G).unwrap();
        *mapping = guest.map(world, region, 2 * G, G).unwrap();
        *rounds += 1;
        guest.fill(world, 2 * G, mark + 1, G);
    }

    /// The attacker's store goes, and another one comes.
    fn start_again(&mut self) {
        self.world = self.world.fixture.world();
    }

    /// The attack was answered by an error: the attacker itself, which has nothing mapped at 12 granules, can go on.
    #[track_caller]
    fn refused(&mut self, attacker: &Guest) {
        let world = &mut self.world;
        let mapping = attacker.mapped(world, 12 * G, 2, 0x37);
        attacker.expect(world, 12 * G, 2 * G, 0x37);
        let region = attacker.unmap(world, mapping, 12 * G, 2 * G).unwrap();
        attacker.expect(world, 12 * G, 2 * G, HEAP);
        attacker.run(world, "drop-mappable", (region,)).unwrap();
        self.others_go_on();
    }

    /// The attack was answered by a trap: the attacker's store is not entered any more.
    #[track_caller]
    fn trapped(&mut self, attacker: &Guest) {
        trap_is(attacker.call::<_, u32>(&mut self.world, "pages", ()), Trap::CannotEnterComponent);
        self.others_go_on();
    }
}

fn armed(text: &str, (core, lifts): (&str, &str)) -> String {
    wat::extended(text, &format!("{MEANS} {core}"), &format!("{LIFTED_MEANS} {lifts}"))
}

/// The ways to read a byte: `look` takes the way's number and an address.
const LOOKS: [&str; 10] = [
    "i32.load8_u",
    "i32.load",
    "i64.load",
    "f64.load",
    "v128.load",
    "v128.load8_splat",
    "i32.atomic.load8_u",
    "i32.atomic.rmw.or",
    "memory.copy",
    "a list for the host",
];

/// The ways to write one or more: `mark`. The first ones are compiled code's own; the rest may be the engine's.
const MARKS: [&str; 15] = [
    "i32.store8",
    "i32.store16",
    "i32.store",
    "i64.store",
    "f32.store",
    "f64.store",
    "v128.store",
    "v128.store8_lane",
    "i32.atomic.store",
    "i64.atomic.rmw.xchg",
    "i32.atomic.rmw8.cmpxchg_u",
    "i32.atomic.rmw.add",
    "memory.fill",
    "memory.copy",
    "memory.init",
];
const COMPILED_MARKS: usize = 12;

const MEANS: &str = r#"
    (data $evil "\ee\ee\ee\ee\ee\ee\ee\ee\ee\ee\ee\ee\ee\ee\ee\ee")
    ;; reads the byte at an address, of those that read more the first one
    (func $look (export "look") (param $how i32) (param $at i32) (result i32)
      (block $9 (block $8 (block $7 (block $6 (block $5 (block $4 (block $3 (block $2 (block $1 (block $0
        (br_table $0 $1 $2 $3 $4 $5 $6 $7 $8 $9 (local.get $how)))
      (return (i32.load8_u (local.get $at))))
      (return (i32.and (i32.const 0xff) (i32.load (local.get $at)))))
      (return (i32.and (i32.const 0xff) (i32.wrap_i64 (i64.load (local.get $at))))))
      (return (i32.and (i32.const 0xff) (i32.wrap_i64 (i64.reinterpret_f64 (f64.load (local.get $at)))))))
      (return (i8x16.extract_lane_u 0 (v128.load (local.get $at)))))
      (return (i8x16.extract_lane_u 7 (v128.load8_splat (local.get $at)))))
      (return (i32.atomic.load8_u (local.get $at))))
      (return (i32.and (i32.const 0xff) (i32.atomic.rmw.or (local.get $at) (i32.const 0)))))
      (memory.copy (i32.const 2048) (local.get $at) (i32.const 16))
      (return (i32.load8_u (i32.const 2048))))
      (i32.wrap_i64 (call $sum (local.get $at) (i32.const 1))))
    ;; writes to the bytes from an address on, which is a multiple of 8
    (func $mark (export "mark") (param $how i32) (param $at i32)
      (block $e (block $d (block $c (block $b (block $a (block $9 (block $8 (block $7 (block $6 (block $5 (block $4
      (block $3 (block $2 (block $1 (block $0
        (br_table $0 $1 $2 $3 $4 $5 $6 $7 $8 $9 $a $b $c $d $e (local.get $how)))
      (return (i32.store8 (local.get $at) (i32.const 0xee))))
      (return (i32.store16 (local.get $at) (i32.const 0xeeee))))
      (return (i32.store (local.get $at) (i32.const 0xeeeeeeee))))
      (return (i64.store (local.get $at) (i64.const 0xeeeeeeeeeeeeeeee))))
      (return (f32.store (local.get $at) (f32.reinterpret_i32 (i32.const 0xeeeeeeee)))))
      (return (f64.store (local.get $at) (f64.reinterpret_i64 (i64.const 0xeeeeeeeeeeeeeeee)))))
      (return (v128.store (local.get $at) (i8x16.splat (i32.const 0xee)))))
      (return (v128.store8_lane 3 (local.get $at) (i8x16.splat (i32.const 0xee)))))
      (return (i32.atomic.store (local.get $at) (i32.const 0xeeeeeeee))))
      (drop (i64.atomic.rmw.xchg (local.get $at) (i64.const 0xeeeeeeeeeeeeeeee))) (return))
      (drop (i32.atomic.rmw8.cmpxchg_u (local.get $at) (i32.load8_u (local.get $at)) (i32.const 0xee))) (return))
      (drop (i32.atomic.rmw.add (local.get $at)
        (i32.sub (i32.const 0xeeeeeeee) (i32.load (local.get $at))))) (return))
      (memory.fill (local.get $at) (i32.const 0xee) (i32.const 100)) (return))
      (memory.fill (i32.const 2048) (i32.const 0xee) (i32.const 100))
      (memory.copy (local.get $at) (i32.const 2048) (i32.const 100)) (return))
      (memory.init $evil (local.get $at) (i32.const 0) (i32.const 16)))"#;

const LIFTED_MEANS: &str = r#"
  (func (export "look") (param "how" u32) (param "at" u32) (result u32) (canon lift (core func $p "look")))
  (func (export "mark") (param "how" u32) (param "at" u32) (canon lift (core func $p "mark")))"#;
