//! What differs between the tiers, and what `docs/src/spec.md` says of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mappable::GRANULE;
use wasmtime::{ResourceLimiter, Store};

use super::lists::composition;
use super::positions::POSITIONS;
use crate::support::{Guest, SAID, Setup, State, World, linker, on_every_setup};
use crate::wat;

const PAGE: &str = include_str!("../../../../../docs/src/spec.md");

/// The rows of the table under a heading, cell by cell.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, section) = PAGE.split_once(heading).unwrap();
    let lines = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    lines.skip(2).map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn the_page_calls_traps_what_the_tiers_call_them() {
    let rows = table("### What a trap is called");
    assert_eq!(rows.len(), SAID.len());
    for (row, (wrong, what, baseline, ledger)) in rows.iter().zip(SAID) {
        assert_eq!((row[0], row.len()), (what, 3), "{wrong:?}");
        for (cell, texts) in [(row[1], baseline), (row[2], ledger)] {
            assert!(texts.iter().all(|text| cell.contains(text)), "{wrong:?}: {texts:?} are not all in {cell:?}");
            assert_eq!(cell.is_empty(), texts.is_empty(), "{wrong:?}");
        }
    }
}

/// A guest that has handles of a resource of its own too.
fn with_another_resource(memory: &str) -> String {
    let lifts = r#"(type $another (resource (rep i32)))
        (core func $new-another (canon resource.new $another))
        (func (export "new-another") (param "rep" u32) (result u32) (canon lift (core func $new-another)))"#;
    wat::extended(&wat::guest(memory), "", lifts)
}

/// Counts what it is asked about memories; allows so many core instances.
struct Counts {
    memories: Arc<AtomicUsize>,
    instances: usize,
}

impl ResourceLimiter for Counts {
    fn memory_growing(&mut self, now: usize, wanted: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.memories.fetch_add(wanted - now, Ordering::Relaxed);
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.instances
    }
}

/// Instantiates a composition under a limit of core instances. Gives how many bytes of memories were asked for.
fn limited(setup: Setup, text: &str, instances: usize) -> wasmtime::Result<usize> {
    let fixture = setup.fixture();
    let component = fixture.compile_as_is(text);
    let memories = Arc::new(AtomicUsize::new(0));
    let mut store = Store::new(fixture.runtime.engine(), State::new(&fixture.runtime));
    let asked = Arc::clone(&memories);
    // One is made each time that the engine asks for it.
    store.limiter(move |_| Box::leak(Box::new(Counts { memories: Arc::clone(&asked), instances })));
    fixture.linker.instantiate(&mut store, &component)?;
    Ok(memories.load(Ordering::Relaxed))
}

on_every_setup! {
    fn handles_of_the_ledger_are_counted_apart_from_other_resources(setup) {
        let mut world = World::new(setup);
        let component = world.fixture.compile(&with_another_resource(setup.memory()));
        let instance = world.instantiate(&component);
        let guest = Guest::new(instance, &mut world, None);
        for index in [1, 2] {
            assert_eq!(guest.call::<_, u32>(&mut world, "new-another", (7u32,)).unwrap(), index);
        }
        let first = guest.allocate(&mut world, GRANULE).unwrap();
        // The ledger's have a bit that no handle of the engine's has.
        assert_eq!(first, if setup.is_ledger() { 1 << 29 | 1 } else { 3 });
    }

    fn a_limiter_is_asked_for_a_page_more_for_each_instance_in_the_ledger(setup) {
        let memory = setup.memory();
        // Two components, each with a memory of one page.
        let asked = limited(setup, &POSITIONS[0].composition(memory), 10_000).unwrap();
        let more = if setup.is_ledger() { 2 } else { 0 };
        assert_eq!(asked as u64, (2 + more) * GRANULE);
        // Two of 16 pages; and a window for the one that is given lists.
        let asked = limited(setup, &composition(memory, "u8", 1), 10_000).unwrap();
        let windows = if setup.is_ledger() && setup.way() != Setup::Copy { 1 } else { 0 };
        assert_eq!(asked as u64, (2 * 16 + more + windows) * GRANULE);
    }

    fn trusted_modules_count_as_core_instances(setup) {
        let text = POSITIONS[0].composition(setup.memory());
        let least = (1..200).find(|instances| limited(setup, &text, *instances).is_ok()).unwrap();
        assert!(least > if setup.is_ledger() { 20 } else { 3 }, "{least}");
    }

    fn a_region_is_lent_as_often_in_a_call_as_the_engine_lets_it_be(setup) {
        let mut world = World::new(setup);
        let text = many_borrows(setup.memory());
        let component = world.fixture.compile_as_is(&text);
        let instance = world.instantiate(&component);
        let call = instance.get_typed_func::<(u32,), (u32,)>(&mut world.store, "lend-many").unwrap();
        assert_eq!(call.call(&mut world.store, (1000,)).unwrap().0, 1000);
        let answer = call.call(&mut world.store, (0x1_0001,));
        if let Err(error) = answer {
            // A limit of the engine's own.
            assert!(format!("{error:?}").contains("store handle limit exceeded"), "{error:?}");
        }
    }
}

#[test]
fn lists_that_go_by_window_need_the_ledgers_interface() {
    for setup in [Setup::Swap, Setup::LedgerSwap] {
        let runtime = setup.runtime();
        let component = runtime.compile(LISTS_ALONE.as_bytes()).unwrap();
        let mut store = Store::new(runtime.engine(), State::new(&runtime));
        linker(&runtime).instantiate(&mut store, &component).unwrap();
        let mut store = Store::new(runtime.engine(), State::new(&runtime));
        let answer = wasmtime::component::Linker::<State>::new(runtime.engine()).instantiate(&mut store, &component);
        match answer {
            Ok(_) => assert!(!setup.is_ledger()),
            Err(error) => {
                let text = format!("{error:?}");
                assert!(setup.is_ledger() && text.contains("/ledger@0.1.0") && text.contains("mappable:"), "{text}");
            }
        }
    }
}

/// Two components that pass a list, and know nothing of regions.
const LISTS_ALONE: &str = r#"(component
    (component $sum
      (core module $m (memory (export "m") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
        (func (export "sum") (param i32 i32) (result i32) i32.const 0))
      (core instance $m (instantiate $m))
      (func (export "sum") (param "of" (list u8)) (result u32)
        (canon lift (core func $m "sum") (memory $m "m") (realloc (func $m "realloc")))))
    (component $main
      (import "sum" (func $sum (param "of" (list u8)) (result u32)))
      (core module $m (memory (export "m") 1))
      (core instance $m (instantiate $m))
      (core func $sum (canon lower (func $sum) (memory $m "m")))
      (core module $user (import "" "sum" (func $sum (param i32 i32) (result i32)))
        (func (export "run") (result i32) (call $sum (i32.const 0) (i32.const 10))))
      (core instance $user (instantiate $user (with "" (instance (export "sum" (func $sum))))))
      (func (export "run") (result u32) (canon lift (core func $user "run"))))
    (instance $s (instantiate $sum))
    (instance $main (instantiate $main (with "sum" (func $s "sum"))))
    (export "run" (func $main "run")))"#;

/// A component that lends one region to another so often in one list, which drops the handles.
fn many_borrows(memory: &str) -> String {
    let types = wat::import_types(wat::TYPES);
    format!(
        r#"(component {types}
          (component $B {types}
            (core module $m (memory (export "m") {memory})
              (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536)))
            (core instance $m (instantiate $m))
            (core func $drop (canon resource.drop $mappable))
            (core module $user (import "" "m" (memory 1)) (import "" "drop" (func $drop (param i32)))
              (func (export "count") (param i32 i32) (result i32)
                (local $i i32)
                (loop $next
                  (if (i32.lt_u (local.get $i) (local.get 1))
                    (then
                      (call $drop (i32.load (i32.add (local.get 0) (i32.shl (local.get $i) (i32.const 2)))))
                      (local.set $i (i32.add (local.get $i) (i32.const 1)))
                      (br $next))))
                (local.get 1)))
            (core instance $user (instantiate $user (with "" (instance
              (export "m" (memory $m "m")) (export "drop" (func $drop))))))
            (func (export "count") (param "all" (list (borrow $mappable))) (result u32)
              (canon lift (core func $user "count") (memory $m "m") (realloc (func $m "realloc")))))
          (component $A {types}
            (import "count" (func $count (param "all" (list (borrow $mappable))) (result u32)))
            (core module $m (memory (export "m") {memory}))
            (core instance $m (instantiate $m))
            (core func $allocate (canon lower (func $types "[static]mappable.allocate") (memory $m "m")))
            (core func $count (canon lower (func $count) (memory $m "m")))
            (core module $user (import "" "m" (memory 1))
              (import "" "allocate" (func $allocate (param i64 i32)))
              (import "" "count" (func $count (param i32 i32) (result i32)))
              (func (export "lend-many") (param i32) (result i32)
                (local $i i32)
                (call $allocate (i64.const 65536) (i32.const 0))
                (loop $next
                  (i32.store (i32.add (i32.const 65536) (i32.shl (local.get $i) (i32.const 2)))
                    (i32.load (i32.const 4)))
                  (local.set $i (i32.add (local.get $i) (i32.const 1)))
                  (br_if $next (i32.lt_u (local.get $i) (local.get 0))))
                (call $count (i32.const 65536) (local.get 0))))
            (core instance $user (instantiate $user (with "" (instance
              (export "m" (memory $m "m")) (export "allocate" (func $allocate)) (export "count" (func $count))))))
            (func (export "lend-many") (param "count" u32) (result u32) (canon lift (core func $user "lend-many"))))
          (instance $b (instantiate $B (with "{name}" (instance $types))))
          (instance $a (instantiate $A (with "{name}" (instance $types)) (with "count" (func $b "count"))))
          (export "lend-many" (func $a "lend-many")))"#,
        name = wat::TYPES,
    )
}
