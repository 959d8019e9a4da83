//! Tasks that are cancelled while they have a region mapped, or before they got it (R60, R62).

use std::sync::Mutex;

use mappable::Runtime;
use wasmtime::Store;
use wasmtime::component::{Component, ComponentNamedList, Lift, Lower};

use super::ends::concurrent;
use super::tasks::block_on;
use crate::support::*;
use crate::wat;

/// Where the caller keeps what it passes.
const PASSED: u32 = 2048;

/// How a call that was begun, or a subtask that was cancelled, is: the state's number.
const STARTING: u32 = 0;
const STARTED: u32 = 1;
const RETURNED: u32 = 2;
const CANCELLED_BEFORE_STARTED: u32 = 3;
const CANCELLED_BEFORE_RETURNED: u32 = 4;

/// What a task does when it is cancelled.
const ACKNOWLEDGE: u32 = 0;
const RETURN: u32 = 1;
const UNMAP: u32 = 2;
const TRAP: u32 = 3;

/// More parameters than an async lower passes in registers: handles go by memory.
const PARAMS: &str = r#"(param "at" u32) (param "when-cancelled" u32) (param "y" u32) (param "z" u32) (result u32)"#;

/// The guest `b` has async functions that map the region that they are given, or look at one that they are lent, and wait
/// until they are cancelled. The guest `a` calls them and cancels.
fn composition(memory: &str) -> String {
    let holder = format!(
        r#"(core func $return (canon task.return (result u32)))
        (core func $cancel (canon task.cancel))
        (core func $set (canon waitable-set.new))
        (core func $busy (canon backpressure.inc))
        (core func $ready (canon backpressure.dec))
        (core module $Holder
            (import "" "mem" (memory 1))
            (import "" "map" (func $map (param i32 i32 i32) (result i64)))
            (import "" "unmap" (func $unmap (param i32 i32 i32) (result i64)))
            (import "" "size" (func $size (param i32) (result i64)))
            (import "" "drop" (func $drop (param i32)))
            (import "" "return" (func $return (param i32)))
            (import "" "cancel" (func $cancel))
            (import "" "set" (func $set (result i32)))
            (global $at (mut i32) (i32.const 0))
            (global $mapping (mut i32) (i32.const 0))
            (global $lent (mut i32) (i32.const 0))
            (global $then (mut i32) (i32.const 0))
            (func $wait (result i32) (i32.or (i32.const 2) (i32.shl (call $set) (i32.const 4))))
            (func (export "hold") (param $region i32) (param $at i32) (param $then i32) (param i32 i32) (result i32)
                (global.set $mapping (i32.wrap_i64 (call $map (local.get $region) (local.get $at) (i32.const 65536))))
                (global.set $at (local.get $at))
                (global.set $then (local.get $then))
                (i32.store8 (local.get $at) (i32.const 8))
                (call $wait))
            (func (export "held") (param $event i32) (param i32 i32) (result i32)
                (if (i32.ne (local.get $event) (i32.const 6)) (then unreachable))
                (if (i32.eq (global.get $then) (i32.const {TRAP})) (then unreachable))
                (if (i32.eq (global.get $then) (i32.const {UNMAP})) (then
                    (call $drop (i32.wrap_i64 (call $unmap (global.get $mapping) (global.get $at) (i32.const 65536))))))
                (if (i32.eq (global.get $then) (i32.const {RETURN}))
                    (then (call $return (i32.load8_u (global.get $at))))
                    (else (call $cancel)))
                (i32.const 0))
            (func (export "look") (param $region i32) (param $at i32) (param $then i32) (param i32 i32) (result i32)
                (global.set $lent (local.get $region))
                (global.set $then (local.get $then))
                (if (i64.ne (call $size (local.get $region)) (i64.const 65536)) (then unreachable))
                (call $wait))
            (func (export "looked") (param $event i32) (param i32 i32) (result i32)
                (if (i32.ne (local.get $event) (i32.const 6)) (then unreachable))
                ;; What was lent can be kept no longer than the call.
                (if (i32.ne (global.get $then) (i32.const {TRAP})) (then (call $drop (global.get $lent))))
                (call $cancel)
                (i32.const 0))
            (func (export "mapping") (result i32) (global.get $mapping)))
        (core instance $holder (instantiate $Holder (with "" (instance
            (export "mem" (memory $mem)) (export "map" (func $p "map")) (export "unmap" (func $p "unmap"))
            (export "size" (func $p "size")) (export "drop" (func $p "drop-mappable"))
            (export "return" (func $return)) (export "cancel" (func $cancel)) (export "set" (func $set))))))
        (func (export "mapping") (result u32) (canon lift (core func $holder "mapping")))
        (func (export "busy") (canon lift (core func $busy)))
        (func (export "ready") (canon lift (core func $ready)))
        (func $hold async (param "region" (own $mappable)) {PARAMS}
            (canon lift (core func $holder "hold") async (callback (func $holder "held"))))
        (func $look async (param "region" (borrow $mappable)) {PARAMS}
            (canon lift (core func $holder "look") async (callback (func $holder "looked"))))
        (instance $holding (export "mappable" (type $mappable)) (export "hold" (func $hold)) (export "look" (func $look)))
        (export "test:guest/holder" (instance $holding))"#
    );
    let caller = format!(
        r#"(import "test:guest/holder" (instance $holder
            (alias outer 1 $mappable (type $m')) (export "mappable" (type $m (eq $m')))
            (export "hold" (func async (param "region" (own $m)) {PARAMS}))
            (export "look" (func async (param "region" (borrow $m)) {PARAMS}))))
        (core func $hold (canon lower (func $holder "hold") async (memory $mem)))
        (core func $look (canon lower (func $holder "look") async (memory $mem)))
        (core func $cancel (canon subtask.cancel async))
        (core func $drop-task (canon subtask.drop))
        (core module $Caller
            (import "" "hold" (func $hold (param i32 i32) (result i32)))
            (import "" "look" (func $look (param i32 i32) (result i32)))
            (import "" "cancel" (func $cancel (param i32) (result i32)))
            (import "" "drop-task" (func $drop-task (param i32)))
            (func (export "hold") (result i32) (call $hold (i32.const {PASSED}) (i32.const 4000)))
            (func (export "look") (result i32) (call $look (i32.const {PASSED}) (i32.const 4000)))
            (func (export "cancel") (param i32) (result i32) (call $cancel (local.get 0)))
            (func (export "drop-task") (param i32) (call $drop-task (local.get 0))))
        (core instance $caller (instantiate $Caller (with "" (instance
            (export "hold" (func $hold)) (export "look" (func $look))
            (export "cancel" (func $cancel)) (export "drop-task" (func $drop-task))))))
        (func (export "hold") (result u32) (canon lift (core func $caller "hold")))
        (func (export "look") (result u32) (canon lift (core func $caller "look")))
        (func (export "cancel") (param "task" u32) (result u32) (canon lift (core func $caller "cancel")))
        (func (export "drop-task") (param "task" u32) (canon lift (core func $caller "drop-task")))"#
    );
    let guest = |more: &str| wat::extended(&wat::guest(memory), "", more);
    format!(
        r#"(component {types} {env} {b} {a}
            (instance $b (instantiate $B {with}))
            (alias export $b "test:guest/holder" (instance $holder))
            (instance $a (instantiate $A {with} (with "test:guest/holder" (instance $holder))))
            (export "a" (instance $a)) (export "b" (instance $b)))"#,
        types = wat::import_types(wat::TYPES),
        env = wat::IMPORT_ENV,
        with = wat::WITH,
        a = guest(&caller).replacen("(component", "(component $A", 1),
        b = guest(&holder).replacen("(component", "(component $B", 1),
    )
}

static COMPILED: Mutex<Vec<(Setup, Runtime, Component)>> = Mutex::new(Vec::new());

/// A guest that calls and cancels, and one whose tasks hold a region.
struct Tasks {
    store: Store<State>,
    a: Guest,
    b: Guest,
}

impl Tasks {
    fn new(setup: Setup) -> Self {
        let mut compiled = COMPILED.lock().unwrap_or_else(|error| error.into_inner());
        if !compiled.iter().any(|(of, ..)| *of == setup) {
            let runtime = concurrent(setup);
            let component = runtime.compile(composition(setup.memory()).as_bytes()).unwrap();
            compiled.push((setup, runtime, component));
        }
        let (_, runtime, component) = compiled.iter().find(|(of, ..)| *of == setup).unwrap();
        let mut store = Store::new(runtime.engine(), State::new(runtime));
        let instance = linker(runtime).instantiate(&mut store, component).unwrap();
        let [a, b] = Guest::pair(instance, &mut store);
        Self { store, a, b }
    }

    /// Calls an export that may have to wait for others.
    fn call<P, R>(&mut self, of: &Guest, name: &'static str, params: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: Lift + Send + Sync + 'static,
        (R,): ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let func = of.func(&mut self.store, name).typed::<P, (R,)>(&self.store).unwrap();
        block_on(func.call_async(&mut self.store, params)).map(|(result,)| result)
    }

    /// A region of the caller's, all of one byte.
    fn region(&mut self, byte: u8) -> u32 {
        let mapping = self.a.mapped(&mut self.store, 8 * G, 1, byte);
        self.a.unmap(&mut self.store, mapping, 8 * G, G).unwrap()
    }

    /// Begins a call with a region: its state, the subtask, and what is then where the region was passed.
    fn begin(&mut self, name: &'static str, region: u32, then: u32) -> (u32, u32, u32) {
        let first = u64::from(region) | u64::from(4 * G) << 32;
        for (at, value) in [(PASSED, first), (PASSED + 8, u64::from(then)), (PASSED + 16, 0)] {
            self.a.run(&mut self.store, "store64", (at, value)).unwrap();
        }
        let a = self.a.clone();
        let begun: u32 = self.call(&a, name, ()).unwrap();
        let left: u64 = a.call(&mut self.store, "load64", (PASSED,)).unwrap();
        (begun & 15, begun >> 4, left as u32)
    }

    fn cancel(&mut self, task: u32) -> wasmtime::Result<u32> {
        let a = self.a.clone();
        self.call(&a, "cancel", (task,))
    }

    fn drop_task(&mut self, task: u32) -> wasmtime::Result<()> {
        self.a.run(&mut self.store, "drop-task", (task,))
    }

    /// So many regions of a granule are charged, and so many of them as mapped.
    #[track_caller]
    fn expect_held(&mut self, regions: usize, mappings: usize) {
        assert_eq!(self.store.data().mappable.held(), (regions, regions as u64 * mappable::GRANULE));
        super::ends::expect_mappings(&mut self.store, &self.a, mappings);
    }

    /// A guest has the region and can use it. It is dropped.
    fn expect(&mut self, of: &Guest, region: u32, byte: u8) {
        let mapping = of.map(&mut self.store, region, 12 * G, G).unwrap();
        of.expect(&mut self.store, 12 * G + 1, G - 1, byte);
        let region = of.unmap(&mut self.store, mapping, 12 * G, G).unwrap();
        of.run(&mut self.store, "drop-mappable", (region,)).unwrap();
    }
}

on_every_setup! {
    fn a_task_that_is_cancelled_leaves_mapped_what_it_had_mapped(setup) {
        for (then, state) in [(ACKNOWLEDGE, CANCELLED_BEFORE_RETURNED), (RETURN, RETURNED)] {
            let mut tasks = Tasks::new(setup);
            let (a, b) = (tasks.a.clone(), tasks.b.clone());
            let region = tasks.region(5);
            let (begun, task, _) = tasks.begin("hold", region, then);
            assert_eq!(begun, STARTED);
            // R60: while it waits, others see it.
            b.expect(&mut tasks.store, 4 * G + 1, G - 1, 5);
            tasks.expect_held(1, 1);
            assert_eq!(tasks.cancel(task).unwrap(), state);
            tasks.drop_task(task).unwrap();
            // The region is the callee's instance's, which has it mapped, and can use it.
            b.expect(&mut tasks.store, 4 * G, 1, 8);
            b.expect(&mut tasks.store, 4 * G + 1, G - 1, 5);
            tasks.expect_held(1, 1);
            let mapping: u32 = b.call(&mut tasks.store, "mapping", ()).unwrap();
            let region = b.unmap(&mut tasks.store, mapping, 4 * G, G).unwrap();
            b.expect(&mut tasks.store, 4 * G, G, 0);
            tasks.expect(&b, region, 5);
            tasks.expect_held(0, 0);
            // Both go on, with a task of the same function too.
            let region = tasks.region(6);
            let (begun, task, _) = tasks.begin("hold", region, UNMAP);
            assert_eq!(begun, STARTED);
            assert_eq!(tasks.cancel(task).unwrap(), CANCELLED_BEFORE_RETURNED);
            tasks.drop_task(task).unwrap();
            tasks.expect_held(0, 0);
            let region = tasks.region(7);
            tasks.expect(&a, region, 7);
        }
    }

    fn a_task_that_unmaps_when_it_is_cancelled_leaves_nothing(setup) {
        let mut tasks = Tasks::new(setup);
        let b = tasks.b.clone();
        let region = tasks.region(5);
        let (begun, task, _) = tasks.begin("hold", region, UNMAP);
        assert_eq!(begun, STARTED);
        tasks.expect_held(1, 1);
        assert_eq!(tasks.cancel(task).unwrap(), CANCELLED_BEFORE_RETURNED);
        // R46: its heap is what the next call sees.
        b.expect(&mut tasks.store, 4 * G, G, 0);
        tasks.expect_held(0, 0);
    }

    fn a_call_that_is_cancelled_before_it_starts_takes_nothing(setup) {
        let mut tasks = Tasks::new(setup);
        let (a, b) = (tasks.a.clone(), tasks.b.clone());
        b.run(&mut tasks.store, "busy", ()).unwrap();
        let region = tasks.region(5);
        let (begun, task, left) = tasks.begin("hold", region, ACKNOWLEDGE);
        assert_eq!(begun, STARTING);
        tasks.expect_held(1, 0);
        assert_eq!(tasks.cancel(task).unwrap(), CANCELLED_BEFORE_STARTED);
        tasks.drop_task(task).unwrap();
        // R62: the caller has it, by the number that is where it was passed.
        tasks.expect(&a, left, 5);
        tasks.expect_held(0, 0);
        b.run(&mut tasks.store, "ready", ()).unwrap();
        b.expect(&mut tasks.store, 4 * G, G, 0);
        let region = tasks.region(6);
        assert_eq!(tasks.begin("hold", region, ACKNOWLEDGE).0, STARTED);
        b.expect(&mut tasks.store, 4 * G + 1, G - 1, 6);
        tasks.expect_held(1, 1);
    }

    fn what_was_lent_to_a_task_that_is_cancelled_is_the_lenders_again(setup) {
        let mut tasks = Tasks::new(setup);
        let a = tasks.a.clone();
        let region = tasks.region(5);
        let (begun, task, left) = tasks.begin("look", region, ACKNOWLEDGE);
        assert_eq!(begun, STARTED);
        assert_eq!(tasks.cancel(task).unwrap(), CANCELLED_BEFORE_RETURNED);
        tasks.drop_task(task).unwrap();
        tasks.expect(&a, left, 5);
        tasks.expect_held(0, 0);
    }

    fn a_task_that_is_cancelled_and_keeps_what_it_was_lent_traps(setup) {
        let mut tasks = Tasks::new(setup);
        let (a, b) = (tasks.a.clone(), tasks.b.clone());
        let region = tasks.region(5);
        let (begun, task, _) = tasks.begin("look", region, TRAP);
        assert_eq!(begun, STARTED);
        trapped(tasks.cancel(task));
        assert_eq!(tasks.store.data().mappable.held(), (1, mappable::GRANULE));
        trapped(a.call::<_, u32>(&mut tasks.store, "load8", (0u32,)));
        trapped(b.call::<_, u32>(&mut tasks.store, "load8", (0u32,)));
    }

    fn a_task_that_traps_when_it_is_cancelled_ends_its_store_and_no_other(setup) {
        let (mut tasks, mut others) = (Tasks::new(setup), Tasks::new(setup));
        let (a, b) = (tasks.a.clone(), tasks.b.clone());
        let (kept, region) = (others.region(4), tasks.region(5));
        let (_, theirs, _) = others.begin("hold", kept, ACKNOWLEDGE);
        let (begun, task, _) = tasks.begin("hold", region, TRAP);
        assert_eq!(begun, STARTED);
        trapped(tasks.cancel(task));
        assert_eq!(tasks.store.data().mappable.held(), (1, mappable::GRANULE));
        trapped(a.call::<_, u32>(&mut tasks.store, "load8", (0u32,)));
        trapped(b.call::<_, u32>(&mut tasks.store, "load8", (0u32,)));
        drop(tasks);
        others.expect_held(1, 1);
        others.b.clone().expect(&mut others.store, 4 * G + 1, G - 1, 4);
        assert_eq!(others.cancel(theirs).unwrap(), CANCELLED_BEFORE_RETURNED);
    }

    fn to_forget_a_task_that_holds_a_region_traps(setup) {
        let mut tasks = Tasks::new(setup);
        let b = tasks.b.clone();
        let region = tasks.region(5);
        let (_, task, _) = tasks.begin("hold", region, ACKNOWLEDGE);
        trapped(tasks.drop_task(task));
        assert_eq!(tasks.store.data().mappable.held(), (1, mappable::GRANULE));
        trapped(b.call::<_, u32>(&mut tasks.store, "load8", (0u32,)));
    }
}
