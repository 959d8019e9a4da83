//! A core module that maps a region through an `externref`: for embedders whose modules are no components.
//!
//! Run it: `cargo run -p mappable --example core_module`

use mappable::{MappableCtx, MappableView, Runtime, externref};
use wasmtime::{ExternRef, Linker, Module, Rooted};

// ANCHOR: module
/// Maps a region at 64 KiB, adds one to its first byte, and unmaps it.
const MODULE: &str = r#"(module
    (import "mappable" "map" (func $map (param externref i32 i32) (result i32)))   ;; region, placement: address, length
    (import "mappable" "unmap" (func $unmap (param externref i32) (result i32)))
    (memory (export "memory") 2)
    (func (export "increment") (param $region externref) (result i32)
        (local $error i32)
        (local.set $error (call $map (local.get $region) (i32.const 0x10000) (i32.const 0x10000)))
        (if (local.get $error) (then (return (local.get $error))))
        (i32.store8 (i32.const 0x10000) (i32.add (i32.load8_u (i32.const 0x10000)) (i32.const 1)))
        (call $unmap (local.get $region) (i32.const 0x10000))))"#;
// ANCHOR_END: module

struct State {
    mappable: MappableCtx,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

fn main() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    // ANCHOR: run
    // A core module needs no `compile`: `map` and `unmap` refresh the memory's base themselves.
    let module = Module::new(runtime.engine(), MODULE)?;
    let mut linker = Linker::new(runtime.engine());
    externref::add_to_linker::<State>(&mut linker, "mappable")?;
    let mut store = runtime.store(State { mappable: runtime.context() });
    let instance = linker.instantiate(&mut store, &module)?;
    let increment = instance.get_typed_func::<Option<Rooted<ExternRef>>, i32>(&mut store, "increment")?;

    let region = externref::wrap(&mut store, runtime.allocate_from(b"A")?)?;
    let error = increment.call(&mut store, Some(region))?;
    let region = externref::take(&mut store, region)?; // the reference is good for nothing from here on
    // ANCHOR_END: run

    anyhow::ensure!(error == 0, "map or unmap failed with error {error}");
    anyhow::ensure!(region.bytes()?[0] == b'B', "the module wrote something else");
    println!("a core module wrote to a region of {} bytes in place", region.size());
    Ok(())
}
