//! A component alone, as toolchains make it: its root lifts and lowers its functions itself, and the embedder calls them.
//! In the ledger tier it lies within a root of ours, which nobody sees.

use mappable::{GRANULE, Handle, MappableView};
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use crate::support::{Setup, State, World, on_every_setup, trapped};
use crate::wat;

/// `visit` maps a region, counts its first byte up, unmaps it and gives it back; `swapped` has the embedder exchange one in
/// between. Both in an instance that has the type too, and `visit` by itself.
fn component(memory: &str) -> String {
    format!(
        r#"(component $alone {types}
          (import "test:host/desk" (instance $desk
            (alias outer 1 $mappable (type $m')) (export "mappable" (type $m (eq $m')))
            (export "swap" (func (param "name" string) (param "region" (own $m)) (result (result (own $m) (error string)))))))
          (alias export $types "[static]mappable.map" (func $map))
          (alias export $types "[static]mapping.unmap" (func $unmap))
          (alias export $desk "swap" (func $swap))
          (core module $libc (memory (export "memory") {memory})
            (data (i32.const 64) "two")
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 128)))
          (core instance $libc (instantiate $libc))
          (alias core export $libc "memory" (core memory $memory))
          (alias core export $libc "realloc" (core func $realloc))
          (core func $map (canon lower (func $map) (memory $memory)))
          (core func $unmap (canon lower (func $unmap) (memory $memory)))
          (core func $swap (canon lower (func $swap) (memory $memory) (realloc $realloc)))
          (core module $user
            (import "" "memory" (memory 2))
            (import "" "map" (func $map (param i32 i32 i32 i32)))
            (import "" "unmap" (func $unmap (param i32 i32 i32 i32)))
            (import "" "swap" (func $swap (param i32 i32 i32 i32)))
            (func $ok (result i32)
              (if (i32.load8_u (i32.const 16)) (then unreachable))
              (i32.load (i32.const 20)))
            (func $visit (export "visit") (param $region i32) (result i32)
              (call $map (local.get $region) (i32.const 65536) (i32.const 65536) (i32.const 16))
              (local.set $region (call $ok))
              (i32.store8 (i32.const 65536) (i32.add (i32.load8_u (i32.const 65536)) (i32.const 1)))
              (call $unmap (local.get $region) (i32.const 65536) (i32.const 65536) (i32.const 16))
              (call $ok))
            (func (export "swapped") (param $region i32) (result i32)
              (call $swap (i32.const 64) (i32.const 3) (call $visit (local.get $region)) (i32.const 16))
              (call $visit (call $ok)))
            (func (export "kept") (param $region i32) (result i32)
              (call $map (local.get $region) (i32.const 65536) (i32.const 65536) (i32.const 16))
              (call $ok)))
          (core instance $user (instantiate $user (with "" (instance (export "memory" (memory $memory))
            (export "map" (func $map)) (export "unmap" (func $unmap)) (export "swap" (func $swap))))))
          (func $visit (param "region" (own $mappable)) (result (own $mappable)) (canon lift (core func $user "visit")))
          (func $swapped (param "region" (own $mappable)) (result (own $mappable)) (canon lift (core func $user "swapped")))
          (func $kept (param "region" (own $mappable)) (result (own $mappable)) (canon lift (core func $user "kept")))
          (instance $api (export "mappable" (type $mappable)) (export "visit" (func $visit))
            (export "swapped" (func $swapped)))
          (export "api" (instance $api)) (export "visit" (func $visit)) (export "kept" (func $kept)))"#,
        types = wat::import_types(wat::TYPES),
    )
}

type Swapped = (Result<Handle, String>,);

fn instantiate(world: &mut World) -> wasmtime::component::Instance {
    let mut linker: Linker<State> = world.fixture.linker.clone();
    let swap = |mut store: StoreContextMut<'_, State>, (name, handle): (String, Handle)| -> wasmtime::Result<Swapped> {
        assert_eq!(name, "two");
        let region = store.data_mut().mappable().remove(handle)?;
        let mut other = store.data().runtime.allocate(region.size())?;
        other.bytes_mut()?[0] = region.bytes()?[0] + 0x10;
        Ok((Ok(store.data_mut().mappable().insert(other)?),))
    };
    linker.instance("test:host/desk").unwrap().func_wrap("swap", swap).unwrap();
    let component = world.fixture.compile_as_is(&component(world.fixture.setup.memory()));
    linker.instantiate(&mut world.store, &component).unwrap()
}

on_every_setup! {
    fn a_component_alone_maps_what_the_embedder_passes(setup) {
        let mut world = World::new(setup);
        let instance = instantiate(&mut world);
        let api = instance.get_export_index(&mut world.store, None, "api").unwrap();
        for within in [None, Some(&api)] {
            let visit = instance.get_export_index(&mut world.store, within, "visit").unwrap();
            let visit = instance.get_typed_func::<(Handle,), (Handle,)>(&mut world.store, visit).unwrap();
            let region = world.region(1, 0x20);
            let mut handle = world.insert(region);
            // So often that what is left behind would be seen.
            for _ in 0..100 {
                handle = visit.call(&mut world.store, (handle,)).unwrap().0;
            }
            let region = world.remove(handle);
            assert_eq!((region.size(), region.bytes().unwrap()[0], region.bytes().unwrap()[1]), (GRANULE, 0x84, 0x20));
            assert_eq!(world.held(), (0, 0));
        }
    }

    fn a_component_alone_passes_regions_to_the_embedder_and_gets_others(setup) {
        let mut world = World::new(setup);
        let instance = instantiate(&mut world);
        let api = instance.get_export_index(&mut world.store, None, "api").unwrap();
        let swapped = instance.get_export_index(&mut world.store, Some(&api), "swapped").unwrap();
        let swapped = instance.get_typed_func::<(Handle,), (Handle,)>(&mut world.store, swapped).unwrap();
        let region = world.region(1, 0x20);
        let handle = world.insert(region);
        let (handle,) = swapped.call(&mut world.store, (handle,)).unwrap();
        let region = world.remove(handle);
        assert_eq!((region.bytes().unwrap()[0], region.bytes().unwrap()[1]), (0x32, 0));
        assert_eq!(world.held(), (0, 0));
    }

    fn a_component_alone_does_not_give_back_what_it_has_mapped(setup) {
        let mut world = World::new(setup);
        let instance = instantiate(&mut world);
        let kept = instance.get_typed_func::<(Handle,), (Handle,)>(&mut world.store, "kept").unwrap();
        let region = world.region(1, 0x20);
        let handle = world.insert(region);
        trapped(kept.call(&mut world.store, (handle,)).map(|_| ()));
    }
}
