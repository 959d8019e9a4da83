//! Ways around the rewriter: to the functions that change what is mapped, past the refresh that stands before them.
//! What is reached is refreshed, or is not reached: the component is refused, or does not link.
//!
//! What is refused by its form (borrows, async, 64-bit and shared memories, names and versions) is in `gate.rs` and in
//! the golden files of `mappable-rewrite`. Here is what passes, and must be harmless.

use mappable::GRANULE;

use super::{AT, HEAP, REGION, Scene, armed};
use crate::support::{G, Guest, Setup, foreign_mapping, on_every_baseline_setup, on_every_setup};
use crate::wat;

/// What a trick must have seen by the instructions next to the calls: the heap, the region, the heap.
const SEEN: u32 = HEAP as u32 | (REGION as u32) << 8 | (HEAP as u32) << 16;

/// A core module `$Q` that looks before, between and after a map and an unmap, which it calls as told.
fn looker(imports: &str, map: &str, unmap: &str) -> String {
    let arguments = "(local.get $at) (local.get $len) (i32.const 512)";
    format!(
        r#"(core module $Q
            (import "" "mem" (memory 1))
            (type $raw (func (param i32 i32 i32 i32)))
            {imports}
            (func (export "trick") (param $h i32) (param $at i32) (param $len i32) (result i32)
              (local $seen i32)
              (local.set $seen (i32.load8_u (local.get $at)))
              ({map} (local.get $h) {arguments})
              (local.set $seen (i32.or (local.get $seen) (i32.shl (i32.load8_u (local.get $at)) (i32.const 8))))
              ({unmap} (i32.load (i32.const 516)) {arguments})
              (i32.or (local.get $seen) (i32.shl (i32.load8_u (local.get $at)) (i32.const 16)))))"#
    )
}

const IMPORTED: &str = r#"(import "" "map" (func $map (type $raw))) (import "" "unmap" (func $unmap (type $raw)))"#;
const BOTH: &str = r#"(with "" (instance (export "map" (func $map)) (export "unmap" (func $unmap))))"#;
const TRICK: &str = r#"(func (export "trick") (param "h" u32) (param "at" u32) (param "len" u32) (result u32)
    (canon lift (core func $q "trick")))"#;

/// Two functions that call what a table has at an index, and at the next.
fn indirect(table: &str, index: u32) -> (String, String) {
    let function = |name: &str, index: u32| {
        format!(
            r#"(func ${name} (param i32 i32 i32 i32)
                (call_indirect {table} (type $raw) (local.get 0) (local.get 1) (local.get 2) (local.get 3)
                  (i32.const {index})))"#
        )
    };
    (function("map", index), function("unmap", index + 1))
}

fn direct() -> String {
    let q = looker(IMPORTED, "call $map", "call $unmap");
    format!(
        r#"{q} (core instance $q (instantiate $Q (with "" (instance (export "mem" (memory $mem))
            (export "map" (func $map)) (export "unmap" (func $unmap)))))) {TRICK}"#
    )
}

/// Through a table that another module owns and a third one fills.
fn through_a_table() -> String {
    let (map, unmap) = indirect("$t", 1);
    let imports = format!(r#"(import "" "t" (table $t 3 funcref)) {map} {unmap}"#);
    let q = looker(&imports, "call $map", "call $unmap");
    format!(
        r#"(core module $T (table (export "t") 3 funcref)) (core instance $t (instantiate $T))
        (core module $F (type $raw (func (param i32 i32 i32 i32))) (import "t" "t" (table $t 3 funcref)) {IMPORTED}
          (elem (i32.const 1) func $map $unmap))
        (core instance (instantiate $F (with "t" (instance $t)) {BOTH}))
        {q} (core instance $q (instantiate $Q (with "" (instance (export "mem" (memory $mem))
            (export "t" (table $t "t")))))) {TRICK}"#
    )
}

/// As references in globals, which the caller puts into a table of its own.
fn by_reference() -> String {
    let (map, unmap) = indirect("$own", 0);
    let imports = format!(
        r#"(import "" "gm" (global $gm funcref)) (import "" "gu" (global $gu funcref))
        (table $own 2 funcref) {map} {unmap}
        (func $fill (table.set $own (i32.const 0) (global.get $gm)) (table.set $own (i32.const 1) (global.get $gu)))
        (start $fill)"#
    );
    let q = looker(&imports, "call $map", "call $unmap");
    format!(
        r#"(core module $R (type $raw (func (param i32 i32 i32 i32))) {IMPORTED}
          (elem declare func $map $unmap)
          (global (export "gm") funcref (ref.func $map)) (global (export "gu") funcref (ref.func $unmap)))
        (core instance $r (instantiate $R {BOTH}))
        {q} (core instance $q (instantiate $Q (with "" (instance (export "mem" (memory $mem))
            (export "gm" (global $r "gm")) (export "gu" (global $r "gu")))))) {TRICK}"#
    )
}

/// Exported by a module that imports them, aliased from there, and called in tail position.
fn exported_again() -> String {
    let tail = |name: &str| {
        format!(
            r#"(func $tail-{name} (param i32 i32 i32 i32)
              (return_call ${name} (local.get 0) (local.get 1) (local.get 2) (local.get 3)))"#
        )
    };
    let imports = format!("{IMPORTED} {} {}", tail("map"), tail("unmap"));
    let q = looker(&imports, "call $tail-map", "call $tail-unmap");
    format!(
        r#"(core module $R (type $raw (func (param i32 i32 i32 i32))) {IMPORTED}
          (export "a" (func $map)) (export "b" (func $unmap)))
        (core instance $r (instantiate $R {BOTH}))
        (alias core export $r "a" (core func $a)) (alias core export $r "b" (core func $b))
        {q} (core instance $q (instantiate $Q (with "" (instance (export "mem" (memory $mem))
            (export "map" (func $a)) (export "unmap" (func $b)))))) {TRICK}"#
    )
}

/// The module is given to a component within, which lowers for itself and instantiates it.
fn module_passed_around() -> String {
    let q = looker(IMPORTED, "call $map", "call $unmap");
    let types = wat::import_types(wat::TYPES);
    format!(
        r#"{q} (component $child {types}
          (import "q" (core module $q'
            (import "" "mem" (memory 1))
            (import "" "map" (func (param i32 i32 i32 i32))) (import "" "unmap" (func (param i32 i32 i32 i32)))
            (export "trick" (func (param i32 i32 i32) (result i32)))))
          (core module $M (memory (export "mem") 16))
          (core instance $m (instantiate $M)) (alias core export $m "mem" (core memory $mem))
          (core func $map (canon lower (func $types "[static]mappable.map") (memory $mem)))
          (core func $unmap (canon lower (func $types "[static]mapping.unmap") (memory $mem)))
          (core instance $q (instantiate $q' (with "" (instance (export "mem" (memory $mem))
            (export "map" (func $map)) (export "unmap" (func $unmap))))))
          (core module $Paint (import "" "mem" (memory 1))
            (func $paint (memory.fill (i32.const 65536) (i32.const {HEAP}) (i32.const 983040))) (start $paint))
          (core instance (instantiate $Paint (with "" (instance (export "mem" (memory $mem))))))
          (core module $Id (func (export "id") (param i32) (result i32) (local.get 0)))
          (core instance $id (instantiate $Id))
          (func (export "take") (param "region" (own $mappable)) (result u32) (canon lift (core func $id "id")))
          {TRICK})
        (instance $inner (instantiate $child (with "mappable:memory/types@0.1.0" (instance $types))
          (with "q" (core module $Q))))
        (export "inner" (instance $inner))"#
    )
}

/// A component between, that offers the functions as its own, under names of its own.
fn laundered(memory: &str) -> String {
    let types = wat::import_types(wat::TYPES);
    let between = format!(
        r#"(component $laundry {types}
            (export "innocent" (func $types "[static]mappable.map"))
            (export "harmless" (func $types "[static]mapping.unmap")))
        (instance $laundry (instantiate $laundry (with "mappable:memory/types@0.1.0" (instance $types))))
        (alias export $laundry "innocent" (func $innocent))"#
    );
    let first = "(core instance $m (instantiate $M))";
    let text = armed(&wat::guest(memory), ("", &direct()));
    assert!(text.contains(first));
    text.replacen(first, &format!("{between} {first}"), 1)
        .replace(r#"(canon lower (func $types "[static]mappable.map")"#, "(canon lower (func $innocent)")
        .replace(r#"(canon lower (func $types "[static]mapping.unmap")"#, r#"(canon lower (func $laundry "harmless")"#)
}

/// The trick sees what it must, several times, and the region is whole.
#[track_caller]
fn see(scene: &mut Scene, attacker: &Guest) {
    for _ in 0..3 {
        let region = scene.lend(attacker, 1);
        let seen: u32 = attacker.call(&mut scene.world, "trick", (region, AT, G)).unwrap();
        assert_eq!(seen, SEEN, "{seen:#x}");
    }
    scene.refused(attacker);
}

fn compiled(scene: &mut Scene, text: &str) -> Guest {
    let component = scene.world.fixture.compile(text);
    let instance = scene.world.instantiate(&component);
    let guest = Guest::new(instance, &mut scene.world, None);
    guest.fill(&mut scene.world, G, HEAP, 15 * G);
    guest
}

on_every_setup! {
    fn whatever_way_the_functions_are_called_they_are_refreshed(setup) {
        for way in [direct(), through_a_table(), by_reference(), exported_again()] {
            let mut scene = Scene::new(setup);
            let attacker = scene.attacker(("", &way));
            see(&mut scene, &attacker);
        }
    }

    fn functions_that_came_through_another_component_are_refreshed(setup) {
        let mut scene = Scene::new(setup);
        let attacker = compiled(&mut scene, &laundered(setup.memory()));
        see(&mut scene, &attacker);
    }

    fn a_lowered_function_that_is_lifted_is_refreshed(setup) {
        let mut scene = Scene::new(setup);
        let lifts = ["map", "unmap"].map(|name| {
            format!(
                r#"(func (export "raw-{name}") (param "h" u32) (param "at" u32) (param "len" u32) (param "ret" u32)
                  (canon lift (core func ${name})))"#
            )
        });
        let attacker = scene.attacker(("", &lifts.concat()));
        let region = scene.lend(&attacker, 1);
        attacker.run(&mut scene.world, "raw-map", (region, AT, G, 512u32)).unwrap();
        attacker.expect(&mut scene.world, AT, G, REGION);
        let mapping = attacker.call::<_, u64>(&mut scene.world, "load64", (516u32,)).unwrap() as u32;
        attacker.run(&mut scene.world, "raw-unmap", (mapping, AT, G, 512u32)).unwrap();
        attacker.expect(&mut scene.world, AT, G, HEAP);
        scene.refused(&attacker);
    }

    fn a_start_function_that_maps_is_refreshed(setup) {
        let mut scene = Scene::new(setup);
        // It allocates, so the region is zero; it marks it, and looks at the heap after.
        let start = r#"(core module $S
            (import "" "mem" (memory 1)) (import "p" "allocate" (func $allocate (param i64) (result i64)))
            (import "" "map" (func $map (param i32 i32 i32 i32)))
            (import "" "unmap" (func $unmap (param i32 i32 i32 i32)))
            (global $seen (mut i32) (i32.const 0))
            (func $start
              (local $h i32)
              (memory.fill (i32.const 262144) (i32.const 0x11) (i32.const 65536))
              (local.set $h (i32.wrap_i64 (call $allocate (i64.const 65536))))
              (call $map (local.get $h) (i32.const 262144) (i32.const 65536) (i32.const 512))
              (global.set $seen (i32.load8_u (i32.const 262144)))
              (memory.fill (i32.const 262144) (i32.const 0xa5) (i32.const 65536))
              (call $unmap (i32.load (i32.const 516)) (i32.const 262144) (i32.const 65536) (i32.const 512))
              (global.set $seen (i32.or (i32.shl (global.get $seen) (i32.const 8)) (i32.load8_u (i32.const 262144)))))
            (start $start)
            (func (export "seen") (result i32) (global.get $seen)))
          (core instance $s (instantiate $S (with "p" (instance $p)) (with "" (instance (export "mem" (memory $mem))
            (export "map" (func $map)) (export "unmap" (func $unmap))))))
          (func (export "seen") (result u32) (canon lift (core func $s "seen")))"#;
        let attacker = scene.attacker(("", start));
        assert_eq!(attacker.call::<_, u32>(&mut scene.world, "seen", ()).unwrap(), u32::from(HEAP));
        assert_eq!(scene.world.held(), (1, GRANULE));
        scene.refused(&attacker);
    }

    fn a_destructor_that_maps_is_refreshed(setup) {
        let mut scene = Scene::new(setup);
        let dtor = r#"(core module $D
            (import "" "mem" (memory 1)) (import "" "map" (func $map (param i32 i32 i32 i32)))
            (func (export "dtor") (param i32)
              (call $map (local.get 0) (i32.const 262144) (i32.const 65536) (i32.const 512))))
          (core instance $d (instantiate $D (with "" (instance (export "mem" (memory $mem))
            (export "map" (func $map))))))
          (type $evil (resource (rep i32) (dtor (core func $d "dtor"))))
          (core func $new (canon resource.new $evil)) (core func $drop (canon resource.drop $evil))
          (core module $E
            (import "" "mem" (memory 1)) (import "" "new" (func $new (param i32) (result i32)))
            (import "" "drop" (func $drop (param i32)))
            (import "" "unmap" (func $unmap (param i32 i32 i32 i32)))
            (func (export "trick") (param $h i32) (param $at i32) (param $len i32) (result i32)
              (local $seen i32)
              (local.set $seen (i32.load8_u (local.get $at)))
              (call $drop (call $new (local.get $h)))
              (local.set $seen (i32.or (local.get $seen) (i32.shl (i32.load8_u (local.get $at)) (i32.const 8))))
              (call $unmap (i32.load (i32.const 516)) (local.get $at) (local.get $len) (i32.const 512))
              (i32.or (local.get $seen) (i32.shl (i32.load8_u (local.get $at)) (i32.const 16)))))
          (core instance $q (instantiate $E (with "" (instance (export "mem" (memory $mem)) (export "new" (func $new))
            (export "drop" (func $drop)) (export "unmap" (func $unmap))))))"#;
        let attacker = scene.attacker(("", &format!("{dtor} {TRICK}")));
        see(&mut scene, &attacker);
    }

    fn a_lower_with_another_memory_than_the_code_uses_maps_into_that_one(setup) {
        // The code's own memory, `$two`, has the same addresses, and the mapping is none of its.
        let mut scene = Scene::new(setup);
        let two = format!(
            r#"(core module $Two (memory (export "one") {memory}) (memory (export "two") {memory})
              (func (export "daub") (memory.fill 1 (i32.const 0) (i32.const 0x22) (i32.const 1048576)))
              (func (export "see-two") (param i32) (result i32) (i32.load8_u 1 (local.get 0)))
              (func (export "word-two") (param i32) (result i32) (i32.load 1 (local.get 0))))
            (core instance $two (instantiate $Two))
            (alias core export $two "one" (core memory $one)) (alias core export $two "two" (core memory $second))
            (core func $map-2 (canon lower (func $types "[static]mappable.map") (memory $second)))
            (core func $unmap-2 (canon lower (func $types "[static]mapping.unmap") (memory $second)))
            (func (export "daub") (canon lift (core func $two "daub")))
            (func (export "see-two") (param "at" u32) (result u32) (canon lift (core func $two "see-two")))
            (func (export "word-two") (param "at" u32) (result u32) (canon lift (core func $two "word-two")))
            (func (export "map-2") (param "h" u32) (param "at" u32) (param "len" u32) (param "ret" u32)
              (canon lift (core func $map-2)))
            (func (export "unmap-2") (param "h" u32) (param "at" u32) (param "len" u32) (param "ret" u32)
              (canon lift (core func $unmap-2)))"#,
            memory = setup.memory(),
        );
        let attacker = scene.attacker(("", &two));
        let world = &mut scene.world;
        let see_two = |world: &mut _, at: u32| attacker.call::<_, u32>(world, "see-two", (at,)).unwrap();
        let word_two = |world: &mut _, at: u32| attacker.call::<_, u32>(world, "word-two", (at,)).unwrap();
        attacker.run(world, "daub", ()).unwrap();
        let region = world.region(1, REGION);
        let region = world.insert(region);
        let region = attacker.take(world, region).unwrap();
        attacker.run(world, "map-2", (region, AT, G, 512u32)).unwrap();
        assert_eq!(see_two(world, AT), u32::from(REGION));
        attacker.expect(world, G, 15 * G, HEAP);
        // The same placement in the first memory is free.
        let other = attacker.mapped(world, AT, 1, 0x33);
        assert_eq!(see_two(world, AT), u32::from(REGION));
        attacker.unmap(world, other, AT, G).unwrap();
        assert_eq!(see_two(world, AT), u32::from(REGION));
        let mapping = word_two(world, 516);
        attacker.run(world, "unmap-2", (mapping, AT, G, 512u32)).unwrap();
        assert_eq!(see_two(world, AT), 0x22);
        // What is mapped in one memory is not unmapped by naming the other.
        let region = word_two(world, 516);
        attacker.run(world, "map-2", (region, AT, G, 512u32)).unwrap();
        let mapping = word_two(world, 516);
        foreign_mapping(attacker.try_unmap(world, mapping, AT, G));
        scene.trapped(&attacker);
    }

    fn memories_of_every_size_are_refreshed_or_never_move(setup) {
        for memory in ["16", "16 16", "16 17", "16 32768", "16 65535", "16 65536"] {
            let mut scene = Scene::new(setup);
            let attacker = compiled(&mut scene, &armed(&wat::guest(memory), ("", &direct())));
            see(&mut scene, &attacker);
        }
    }
}

on_every_baseline_setup! {
    fn a_module_that_is_passed_around_gets_refreshed_functions(setup) {
        let mut scene = Scene::new(setup);
        let text = armed(&wat::guest(setup.memory()), ("", &module_passed_around()));
        let component = scene.world.fixture.compile(&text);
        let instance = scene.world.instantiate(&component);
        let inner = instance.get_export_index(&mut *scene.world, None, "inner").unwrap();
        let inner = Guest::new(instance, &mut scene.world, Some(inner));
        for _ in 0..3 {
            let region = scene.lend(&inner, 1);
            assert_eq!(inner.call::<_, u32>(&mut scene.world, "trick", (region, AT, G)).unwrap(), SEEN);
        }
        scene.others_go_on();
    }

    fn a_type_that_is_not_the_mark_links_to_nothing(setup) {
        // The rewriter lets these pass without a refresh: so the host's functions must not be had by them.
        let scene = Scene::new(setup);
        let world = &scene.world;
        let types = wat::import_types(wat::TYPES);
        let cases = &types[types.find("(enum \"placement-misaligned\"").unwrap()..];
        let cases = &cases[..=cases.find(')').unwrap()];
        let swapped = cases.replace("misaligned", "m").replace("too-small", "misaligned");
        let swapped = swapped.replace("-m\"", "-too-small\"");
        let others = [
            cases.replace("mappings-exhausted", "mappings-exhauste"),
            cases.replace(" \"mappings-exhausted\"", ""),
            cases.replace("\"mappings-exhausted\"", "\"mappings-exhausted\" \"more\""),
            swapped,
            "u8".to_owned(),
            "(flags \"a\" \"b\" \"c\" \"d\" \"e\" \"f\" \"g\")".to_owned(),
        ];
        for other in others {
            assert_ne!(other, cases);
            let types = types.replace(cases, &other);
            let text = format!(
                r#"(component {types}
                    (core module $M (memory (export "mem") 1))
                    (core instance $m (instantiate $M)) (alias core export $m "mem" (core memory $mem))
                    (core func (canon lower (func $types "[static]mappable.map") (memory $mem))))"#
            );
            let component = world.runtime().compile(text.as_bytes()).unwrap();
            let mut store = wasmtime::Store::new(world.runtime().engine(), crate::support::State::new(world.runtime()));
            let Err(error) = world.fixture.linker.instantiate(&mut store, &component) else { panic!("{other}") };
            assert!(format!("{error:?}").contains("mappable.map"), "{other}: {error:?}");
        }
    }

    fn a_name_that_is_guessed_leads_nowhere(setup) {
        let scene = Scene::new(setup);
        let world = &scene.world;
        for name in [
            "mappable:k/types@0.1.0",
            "mappable:k00000000000000000000000000000000/types@0.1.0", "mappable:memory-x/types@0.1.0",
            "mappable:memory/types2@0.1.0", "mappable:memory/types@0.1.0-rc1", "other:memory/types@0.1.0",
        ] {
            let component = match world.runtime().compile(wat::guest_importing(name, setup.memory()).as_bytes()) {
                Ok(component) => component,
                // The package's own name with a version that this host has not is refused before anything is compiled.
                Err(error) => {
                    assert!(name.ends_with("-rc1"), "{name}: {error}");
                    continue;
                }
            };
            let mut store = wasmtime::Store::new(world.runtime().engine(), crate::support::State::new(world.runtime()));
            assert!(world.fixture.linker.instantiate(&mut store, &component).is_err(), "{name}");
        }
    }
}
