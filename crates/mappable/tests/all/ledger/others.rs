//! Resources of the embedder's and of a component's own beside ours, at the root of a composition: the engine carries all of
//! their handles, and what is borrowed is given back.

use mappable::{GRANULE, Handle, MappableView};
use wasmtime::StoreContextMut;
use wasmtime::component::{Instance, Linker, Resource, ResourceAny, ResourceType};

use crate::support::{Setup, State, World, on_every_setup};
use crate::wat;

/// The embedder's resource.
struct Desk;

/// What the embedder offers: functions of its resource that take and give regions.
const DESK: &str = r#"
    (alias outer 1 $mappable (type $m')) (export "mappable" (type $m (eq $m')))
    (export "desk" (type $desk (sub resource)))
    (export "make" (func (param "m" (own $m)) (result (own $desk))))
    (export "grow" (func (param "self" (borrow $desk)) (param "m" (own $m)) (result (own $m))))
    (export "close" (func (param "desk" (own $desk)) (param "m" (own $m)) (param "name" string)
      (result (result (own $m) (error string)))))"#;

/// A component that has a resource too, `drawer`, which holds a region.
fn composition(memory: &str) -> String {
    let types = wat::import_types(wat::TYPES);
    format!(
        r#"(component {types}
          (import "test:host/desk" (instance $host {DESK}))
          (component $A {types}
            (import "test:host/desk" (instance $host {DESK}))
            (alias export $host "desk" (type $desk))
            (core module $m (memory (export "m") {memory})
              (global $free (mut i32) (i32.const 4096))
              (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                (global.get $free) (global.set $free (i32.add (global.get $free) (local.get 3)))))
            (core instance $m (instantiate $m))
            (alias core export $m "m" (core memory $memory))
            (alias core export $m "realloc" (core func $realloc))
            (core func $make (canon lower (func $host "make")))
            (core func $grow (canon lower (func $host "grow")))
            (core func $close (canon lower (func $host "close") (memory $memory) (realloc $realloc)))
            (core func $drop (canon resource.drop $desk))
            (core func $drop-region (canon resource.drop $mappable))
            (core module $dtor (import "" "drop" (func $drop (param i32)))
              (func (export "dtor") (param i32) (if (local.get 0) (then (call $drop (local.get 0))))))
            (core instance $dtor (instantiate $dtor (with "" (instance (export "drop" (func $drop-region))))))
            (type $drawer' (resource (rep i32) (dtor (func $dtor "dtor"))))
            (core func $new (canon resource.new $drawer'))
            (core func $rep (canon resource.rep $drawer'))
            (core func $drop-drawer (canon resource.drop $drawer'))
            (core module $user
              (import "" "make" (func $make (param i32) (result i32)))
              (import "" "grow" (func $grow (param i32 i32) (result i32)))
              (import "" "close" (func $close (param i32 i32 i32 i32 i32)))
              (import "" "drop" (func $drop (param i32)))
              (import "" "new" (func $new (param i32) (result i32)))
              (import "" "rep" (func $rep (param i32) (result i32)))
              (import "" "m" (memory 0))
              (func (export "lent") (param i32 i32) (result i32)
                (call $grow (local.get 0) (local.get 1)) (call $drop (local.get 0)))
              (func (export "open") (param i32) (result i32) (call $make (local.get 0)))
              (func (export "close") (param i32 i32 i32 i32) (result i32)
                (call $close (local.get 0) (local.get 1) (local.get 2) (local.get 3) (i32.const 64)) (i32.const 64))
              (func (export "put") (param i32) (result i32) (call $new (local.get 0)))
              ;; What is lent of a resource of its own is what stands for it.
              (func (export "peek") (param i32 i32) (result i32)
                (i32.store (i32.const 128) (local.get 1))
                (i32.store (i32.const 64) (i32.const 128)) (i32.store (i32.const 68) (i32.const 1)) (i32.const 64))
              (func (export "swap") (param i32 i32) (result i32)
                (i32.store (i32.const 64) (call $new (local.get 1))) (i32.store (i32.const 68) (call $rep (local.get 0)))
                (i32.const 64)))
            (core instance $user (instantiate $user (with "" (instance (export "m" (memory $memory))
              (export "make" (func $make)) (export "grow" (func $grow)) (export "close" (func $close))
              (export "drop" (func $drop)) (export "new" (func $new)) (export "rep" (func $rep))))))
            (func $lent (param "desk" (borrow $desk)) (param "m" (own $mappable)) (result (own $mappable))
              (canon lift (core func $user "lent")))
            (func $open (param "m" (own $mappable)) (result (own $desk)) (canon lift (core func $user "open")))
            (func $close' (param "desk" (own $desk)) (param "m" (own $mappable)) (param "name" string)
              (result (result (own $mappable) (error string)))
              (canon lift (core func $user "close") (memory $memory) (realloc $realloc)))
            (func $put (param "m" (own $mappable)) (result (own $drawer')) (canon lift (core func $user "put")))
            (func $peek (param "self" (borrow $drawer')) (param "m" (own $mappable)) (result (list (own $mappable)))
              (canon lift (core func $user "peek") (memory $memory)))
            (func $swap (param "drawer" (own $drawer')) (param "m" (own $mappable))
              (result (tuple (own $drawer') (own $mappable)))
              (canon lift (core func $user "swap") (memory $memory)))
            (component $shim
              (import "m" (type $m (sub resource))) (import "desk" (type $desk (sub resource)))
              (import "drawer" (type $drawer (sub resource)))
              (import "lent" (func $lent (param "desk" (borrow $desk)) (param "m" (own $m)) (result (own $m))))
              (import "open" (func $open (param "m" (own $m)) (result (own $desk))))
              (import "close" (func $close (param "desk" (own $desk)) (param "m" (own $m)) (param "name" string)
                (result (result (own $m) (error string)))))
              (import "put" (func $put (param "m" (own $m)) (result (own $drawer))))
              (import "peek" (func $peek (param "self" (borrow $drawer)) (param "m" (own $m)) (result (list (own $m)))))
              (import "swap" (func $swap (param "drawer" (own $drawer)) (param "m" (own $m))
                (result (tuple (own $drawer) (own $m)))))
              (export $drawer2 "drawer" (type $drawer))
              (export "lent" (func $lent)) (export "open" (func $open)) (export "close" (func $close))
              (export "put" (func $put) (func (param "m" (own $m)) (result (own $drawer2))))
              (export "peek" (func $peek)
                (func (param "self" (borrow $drawer2)) (param "m" (own $m)) (result (list (own $m)))))
              (export "swap" (func $swap) (func (param "drawer" (own $drawer2)) (param "m" (own $m))
                (result (tuple (own $drawer2) (own $m))))))
            (instance $it (instantiate $shim (with "m" (type $mappable)) (with "desk" (type $desk))
              (with "drawer" (type $drawer')) (with "lent" (func $lent)) (with "open" (func $open))
              (with "close" (func $close')) (with "put" (func $put)) (with "peek" (func $peek))
              (with "swap" (func $swap))))
            (export "it" (instance $it)))
          (instance $a (instantiate $A (with "{name}" (instance $types)) (with "test:host/desk" (instance $host))))
          (alias export $a "it" (instance $it))
          (export "it" (instance $it)))"#,
        name = wat::TYPES,
    )
}

fn instantiate(world: &mut World) -> Instance {
    let mut linker: Linker<State> = world.fixture.linker.clone();
    let mut desk = linker.instance("test:host/desk").unwrap();
    desk.resource("desk", ResourceType::host::<Desk>(), |_, _| Ok(())).unwrap();
    // `make` keeps the size of the region as what stands for the desk.
    desk.func_wrap("make", |mut store: StoreContextMut<'_, State>, (m,): (Handle,)| {
        let size = store.data_mut().mappable().remove(m)?.size();
        Ok((Resource::<Desk>::new_own((size / GRANULE) as u32),))
    })
    .unwrap();
    desk.func_wrap("grow", |mut store, (desk, m): (Resource<Desk>, Handle)| Ok((more(&mut store, m, desk.rep())?,)))
        .unwrap();
    desk.func_wrap("close", |mut store, (desk, m, name): (Resource<Desk>, Handle, String)| {
        Ok((match &*name {
            "right" => Ok::<_, String>(more(&mut store, m, desk.rep())?),
            _ => {
                drop(store.data_mut().mappable().remove(m)?);
                Err(format!("not {name}"))
            }
        },))
    })
    .unwrap();
    let component = world.fixture.compile_as_is(&composition(world.fixture.setup.memory()));
    linker.instantiate(&mut world.store, &component).unwrap()
}

fn more(store: &mut StoreContextMut<'_, State>, m: Handle, granules: u32) -> wasmtime::Result<Handle> {
    let region = store.data_mut().mappable().remove(m)?;
    let more = store.data().runtime.allocate(region.size() + u64::from(granules) * GRANULE)?;
    Ok(store.data_mut().mappable().insert(more)?)
}

fn call<P, R>(world: &mut World, instance: Instance, name: &str, params: P) -> R
where
    P: wasmtime::component::ComponentNamedList + wasmtime::component::Lower + Send + Sync,
    R: wasmtime::component::ComponentType + wasmtime::component::Lift + Send + Sync + 'static,
{
    let it = instance.get_export_index(&mut world.store, None, "it").unwrap();
    let index = instance.get_export_index(&mut world.store, Some(&it), name).unwrap();
    let func = instance.get_typed_func::<P, (R,)>(&mut world.store, index).unwrap();
    func.call(&mut world.store, params).unwrap().0
}

fn new(world: &mut World, granules: u64) -> Handle {
    let region = world.region(granules, 0x21);
    world.insert(region)
}

fn granules(world: &mut World, handle: Handle) -> u64 {
    world.remove(handle).size() / GRANULE
}

on_every_setup! {
    fn handles_of_the_embedders_resources_go_over_beside_regions(setup) {
        let mut world = World::new(setup);
        let instance = instantiate(&mut world);
        for _ in 0..20 {
            let region = new(&mut world, 3);
            let desk: Resource<Desk> = call(&mut world, instance, "open", (region,));
            assert_eq!((desk.rep(), world.held()), (3, (0, 0)));
            // Lent twice, so it came back.
            for _ in 0..2 {
                let region = new(&mut world, 1);
                let lent = Resource::<Desk>::new_borrow(desk.rep());
                let region: Handle = call(&mut world, instance, "lent", (lent, region));
                assert_eq!(granules(&mut world, region), 4);
            }
            for (name, size) in [("right", Ok(5)), ("wrong", Err("not wrong".to_owned()))] {
                let region = new(&mut world, 2);
                let desk = Resource::<Desk>::new_own(desk.rep());
                let closed = call::<_, Result<Handle, String>>(&mut world, instance, "close", (desk, region, name));
                assert_eq!(closed.map(|region| granules(&mut world, region)), size);
            }
            assert_eq!(world.held(), (0, 0));
        }
    }

    fn a_component_has_a_resource_that_holds_regions(setup) {
        let mut world = World::new(setup);
        let instance = instantiate(&mut world);
        for _ in 0..5 {
            let region = new(&mut world, 3);
            let drawer: ResourceAny = call(&mut world, instance, "put", (region,));
            assert_eq!(world.held().0, 1);
            for _ in 0..2 {
                let region = new(&mut world, 1);
                let mut all: Vec<Handle> = call(&mut world, instance, "peek", (drawer, region));
                assert_eq!(granules(&mut world, all.pop().unwrap()), 1);
            }
            let region = new(&mut world, 2);
            let (other, region): (ResourceAny, Handle) = call(&mut world, instance, "swap", (drawer, region));
            assert_eq!(granules(&mut world, region), 3);
            other.resource_drop(&mut world.store).unwrap();
            assert_eq!(world.held(), (0, 0));
        }
    }
}
