//! What a newer Wasmtime does otherwise, or is about to. `docs/src/next-engine.md` says what follows.
//!
//! `tripwires` has what the library rests on, whichever engine it is.

use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Instance, Module, Store, Trap};

use crate::support::{trap_is, trapped};

#[test]
fn no_component_calls_one_that_it_is_within() {
    let engine = Engine::default();
    let component = Component::new(
        &engine,
        r#"(component
            (component $Child
                (import "f" (func $f))
                (core func $f' (canon lower (func $f)))
                (core module $M (import "" "f" (func $f)) (func (export "run") (call $f)))
                (core instance $m (instantiate $M (with "" (instance (export "f" (func $f'))))))
                (func (export "run") (canon lift (core func $m "run"))))
            (core module $P (func (export "f")))
            (core instance $p (instantiate $P))
            (func $f (canon lift (core func $p "f")))
            (instance $child (instantiate $Child (with "f" (func $f))))
            (export "run" (func $child "run")))"#,
    )
    .unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
    let run = instance.get_typed_func::<(), ()>(&mut store, "run").unwrap();
    trap_is(run.call(&mut store, ()), Trap::CannotEnterComponent);
}

#[test]
fn maps_have_to_be_asked_for() {
    let text = r#"(component (import "f" (func (param "p" (map string u32)))))"#;
    let error = trapped(Component::new(&Engine::default(), text));
    assert!(format!("{error:?}").contains("map"), "{error:?}");
    Component::new(&Engine::new(Config::new().wasm_component_model_map(true)).unwrap(), text).unwrap();
}

#[test]
fn fuel_for_bytes_is_taken_before_they_are_written() {
    let engine = Engine::new(Config::new().consume_fuel(true)).unwrap();
    let text = r#"(module (memory (export "memory") 1)
        (func (export "fill") (memory.fill (i32.const 0) (i32.const 1) (i32.const 60000))))"#;
    let mut store = Store::new(&engine, ());
    store.set_fuel(1000).unwrap();
    let instance = Instance::new(&mut store, &Module::new(&engine, text).unwrap(), &[]).unwrap();
    let fill = instance.get_typed_func::<(), ()>(&mut store, "fill").unwrap();
    trap_is(fill.call(&mut store, ()), Trap::OutOfFuel);
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    assert_eq!(memory.data(&store)[0], 0);
}
