//! What the ledger rests on in Wasmtime and does not own, on top of what is in [`tripwires`](crate::tripwires):
//! memories that show another one's bytes, and take in base and length by `memory.grow 0`.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use wasmtime::{Engine, Inlining, Instance, LinearMemory, MemoryCreator, MemoryType, Module, Store, Trap, component};

use crate::support::{G, trap_is};
use crate::tripwires::{BACKED, Faces, GUARD, SPAN, config_of, engine_of};

/// A memory that shows whichever one it is told to, its length too.
#[derive(Clone)]
struct Follower(Arc<Mutex<Arc<Faces>>>);

impl Follower {
    fn target(&self) -> Arc<Faces> {
        Arc::clone(&self.0.lock().unwrap())
    }

    fn follow(&self, target: &Arc<Faces>) {
        *self.0.lock().unwrap() = Arc::clone(target);
    }
}

#[allow(unsafe_code)]
// SAFETY: `byte_size` bytes of the target are accessible from its base, and no more up to the reservation and guard but
// those that the tests mean; targets are never unmapped.
unsafe impl LinearMemory for Follower {
    fn byte_size(&self) -> usize {
        self.target().size.load(Ordering::Relaxed)
    }
    fn byte_capacity(&self) -> usize {
        self.byte_size()
    }
    fn grow_to(&mut self, _: usize) -> wasmtime::Result<()> {
        Err(wasmtime::Error::msg("no growth"))
    }
    fn as_ptr(&self) -> *mut u8 {
        let target = self.target();
        std::ptr::with_exposed_provenance_mut(target.bases[target.current.load(Ordering::Relaxed)])
    }
}

#[derive(Clone, Default)]
struct Creator(Arc<Mutex<Vec<Follower>>>);

#[allow(unsafe_code)]
// SAFETY: the reservation and guard are those that `engine_of` sets. The memory is not all zero, as the tests mean.
unsafe impl MemoryCreator for Creator {
    fn new_memory(
        &self,
        _: MemoryType,
        minimum: usize,
        _: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        assert!(reserved.unwrap_or(0) <= SPAN && guard <= GUARD && minimum <= BACKED);
        let follower = Follower(Arc::new(Mutex::new(Arc::new(Faces::new(minimum)))));
        self.0.lock().unwrap().push(follower.clone());
        Ok(Box::new(follower))
    }
}

/// Instances of one module, each with a memory of its own to begin with, of one page.
struct Scene {
    store: Store<()>,
    instances: Vec<Instance>,
    followers: Vec<Follower>,
}

impl Scene {
    fn new(count: usize) -> Self {
        let creator = Creator::default();
        let engine: Engine = engine_of(Arc::new(creator.clone()), false);
        let text = r#"(module
            (memory (export "memory") 1)
            (func (export "refresh") (result i32) (memory.grow (i32.const 0)))
            (func (export "pages") (result i32) (memory.size))
            (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
            (func (export "store") (param i32 i32) (result i32) (i32.store8 (local.get 0) (local.get 1)) (i32.const 0))
            (func (export "fill") (param i32 i32) (result i32)
              (memory.fill (local.get 0) (i32.const 0x77) (local.get 1)) (i32.const 0))
            ;; before and after the refresh, in one function
            (func (export "around") (param i32) (result i32)
              (local $n i32)
              (local.set $n (i32.load8_u (local.get 0)))
              (drop (memory.grow (i32.const 0)))
              (i32.or (i32.shl (local.get $n) (i32.const 8)) (i32.load8_u (local.get 0)))))"#;
        let module = Module::new(&engine, text).unwrap();
        let mut store = Store::new(&engine, ());
        let instances = (0..count).map(|_| Instance::new(&mut store, &module, &[]).unwrap()).collect();
        let followers = creator.0.lock().unwrap().clone();
        Self { store, instances, followers }
    }

    fn call<P: wasmtime::WasmParams>(&mut self, who: usize, name: &str, params: P) -> wasmtime::Result<i32> {
        let func = self.instances[who].get_typed_func::<P, i32>(&mut self.store, name).unwrap();
        func.call(&mut self.store, params)
    }

    fn faces(pages: usize) -> Arc<Faces> {
        Arc::new(Faces::new(pages * G as usize))
    }
}

#[test]
fn memory_grow_0_takes_in_the_length_that_the_host_changed() {
    let mut scene = Scene::new(1);
    for pages in [3, 8, 2, 5, 1, 8] {
        let before = scene.call(0, "pages", ()).unwrap();
        scene.followers[0].target().size.store(pages * G as usize, Ordering::Relaxed);
        assert_eq!(scene.call(0, "pages", ()).unwrap(), before, "not before");
        assert_eq!(scene.call(0, "refresh", ()).unwrap(), pages as i32);
        assert_eq!(scene.call(0, "pages", ()).unwrap(), pages as i32);
        // Bulk operations end there, larger or smaller.
        assert!(scene.call(0, "fill", (0, pages as i32 * G as i32)).is_ok());
        trap_is(scene.call(0, "fill", (1, pages as i32 * G as i32)), Trap::MemoryOutOfBounds);
    }
}

#[test]
fn memories_with_one_base_are_one_memory() {
    let mut scene = Scene::new(3);
    let shared = Scene::faces(4);
    for who in 0..3 {
        scene.followers[who].follow(&shared);
        assert_eq!(scene.call(who, "refresh", ()).unwrap(), 4);
    }
    for who in 0..3 {
        let at = 3 * G as i32 + 16 * who as i32;
        scene.call(who, "store", (at, 0x50 + who as i32)).unwrap();
        for other in 0..3 {
            assert_eq!(scene.call(other, "load", (at,)).unwrap(), 0x50 + who as i32);
        }
    }
    assert_eq!(shared.byte(0, 3 * G as usize), 0x50);
}

#[test]
fn memories_with_one_base_are_one_memory_in_a_function_that_another_was_inlined_into() {
    let creator = Creator::default();
    let mut config = config_of(Arc::new(creator.clone()), false);
    config.compiler_inlining(Inlining::InterModule);
    let engine = Engine::new(&config).unwrap();
    let text = r#"(component
        (core module $b
          (memory (export "memory") 1)
          (func (export "refresh") (result i32) (memory.grow (i32.const 0)))
          (func (export "swap") (param $at i32) (param $new i32) (result i32)
            (i32.load8_u (local.get $at))
            (i32.store8 (local.get $at) (local.get $new))))
        (core instance $b (instantiate $b))
        (core module $a
          (import "b" "refresh" (func $refresh (result i32)))
          (import "b" "swap" (func $swap (param i32 i32) (result i32)))
          (memory (export "memory") 1)
          (func (export "refresh") (result i32) (i32.mul (memory.grow (i32.const 0)) (call $refresh)))
          ;; Its own byte, which the other loads, and which it loads when the other has stored one.
          (func (export "around") (param $at i32) (result i32)
            (i32.store8 (local.get $at) (i32.const 0x11))
            (i32.or
              (i32.shl (call $swap (local.get $at) (i32.const 0x22)) (i32.const 8))
              (i32.load8_u (local.get $at)))))
        (core instance $a (instantiate $a (with "b" (instance $b))))
        (func (export "refresh") (result u32) (canon lift (core func $a "refresh")))
        (func (export "around") (param "at" u32) (result u32) (canon lift (core func $a "around"))))"#;
    let component = component::Component::new(&engine, text).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = component::Linker::new(&engine).instantiate(&mut store, &component).unwrap();
    let refresh = instance.get_typed_func::<(), (u32,)>(&mut store, "refresh").unwrap();
    let around = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "around").unwrap();
    assert_eq!(around.call(&mut store, (1000,)).unwrap(), (0xa011,), "two memories, to begin with");
    let shared = Scene::faces(4);
    creator.0.lock().unwrap().iter().for_each(|follower| follower.follow(&shared));
    assert_eq!(refresh.call(&mut store, ()).unwrap(), (16,));
    assert_eq!(around.call(&mut store, (1000,)).unwrap(), (0x1122,));
}

#[test]
fn a_memory_that_follows_others_shows_whichever_it_follows_from_the_refresh_on() {
    let mut scene = Scene::new(2);
    let targets = [1, 8, 3].map(Scene::faces);
    for (n, target) in targets.iter().enumerate() {
        scene.followers[1].follow(target);
        scene.call(1, "refresh", ()).unwrap();
        scene.call(1, "store", (500, 0x60 + n as i32)).unwrap();
    }
    for round in 0..2 {
        for (n, target) in targets.iter().enumerate() {
            scene.followers[0].follow(target);
            let seen = scene.call(0, "around", (500,)).unwrap();
            assert_eq!(seen & 0xff, 0x60 + n as i32, "the new one in the very next load");
            if round > 0 || n > 0 {
                assert_eq!(seen >> 8, 0x60 + (n as i32 + 2) % 3, "and the old one until then");
            }
            assert_eq!(scene.call(0, "pages", ()).unwrap() as usize, target.size.load(Ordering::Relaxed) / G as usize);
            // By the target's other face as well: what a window shows moves with the view of the memory behind it.
            target.flip();
            assert_eq!(scene.call(0, "load", (1000,)).unwrap(), 0xa0);
            scene.call(0, "refresh", ()).unwrap();
            assert_eq!(scene.call(0, "load", (1000,)).unwrap(), 0xb0);
            target.flip();
            scene.call(0, "refresh", ()).unwrap();
        }
    }
    // Past a shorter one's end, a bulk operation traps, whatever was shown before.
    scene.followers[0].follow(&targets[0]);
    scene.call(0, "refresh", ()).unwrap();
    trap_is(scene.call(0, "fill", (G as i32, 1)), Trap::MemoryOutOfBounds);
}
