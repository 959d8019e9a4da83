//! Open compositions, whose root has functions of the embedder's and for it with handles in flat positions: those go the
//! engine's way, and inside all is as in a closed one.

use mappable::{FrozenHandle, GRANULE, Handle, Mappable, MappableView, TrapReason};
use wasmtime::component::{Instance, Linker};
use wasmtime::{StoreContextMut, Trap};

use crate::support::{G, Guest, Setup, State, World, on_every_ledger_setup, on_every_setup, trap_is, trapped};
use crate::wat;

/// A component that has `choose`, which gives back one of two regions and drops the other, as told by the numbers
/// around them; `ask`, which has the embedder's `swap` exchange a region, and `ask-frozen`; and a second one that calls
/// its `choose` in turn. What the embedder offers is a function and an instance; what is for it likewise.
fn composition(memory: &str) -> String {
    let types = wat::import_types(wat::TYPES);
    let choose = r#"(param "left" u32) (param "a" (own $mappable)) (param "b" u64) (param "c" (own $mappable))
        (param "right" f64) (result (own $mappable))"#;
    let swap = r#"(param "by" u64) (param "region" (own $mappable)) (result (own $mappable))"#;
    let frozen = r#"(param "frozen" (own $frozen)) (result u64)"#;
    format!(
        r#"(component {types}
          (import "test:host/desk" (instance $desk
            (alias outer 1 $mappable (type $m')) (export "mappable" (type $mappable (eq $m')))
            (export "name" (func (result string)))
            (export "swap" (func {swap}))))
          (import "size" (func $size (param "f" (own $frozen)) (result u64)))
          (component $A {types}
            (import "swap" (func $swap {swap}))
            (import "size" (func $size (param "f" (own $frozen)) (result u64)))
            (core module $m (memory (export "m") {memory}))
            (core instance $m (instantiate $m))
            (core func $swap (canon lower (func $swap)))
            (core func $size (canon lower (func $size)))
            (core func $drop (canon resource.drop $mappable))
            (core module $user
              (import "" "swap" (func $swap (param i64 i32) (result i32)))
              (import "" "size" (func $size (param i32) (result i64)))
              (import "" "drop" (func $drop (param i32)))
              (func (export "choose") (param i32 i32 i64 i32 f64) (result i32)
                (if (i64.ne (local.get 2) (i64.const 0x1_2345_6789)) (then unreachable))
                (if (f64.ne (local.get 4) (f64.const 0.25)) (then unreachable))
                (if (result i32) (local.get 0)
                  (then (call $drop (local.get 3)) (local.get 1))
                  (else (call $drop (local.get 1)) (local.get 3))))
              (func (export "seven") (result i32) (i32.const 7))
              (func (export "ask") (param i64 i32) (result i32) (call $swap (local.get 0) (local.get 1)))
              (func (export "twice") (param i32) (result i32) (call $drop (local.get 0)) (local.get 0))
              (func (export "ask-frozen") (param i32) (result i64) (call $size (local.get 0))))
            (core instance $user (instantiate $user (with "" (instance
              (export "swap" (func $swap)) (export "size" (func $size)) (export "drop" (func $drop))))))
            (func (export "choose") {choose} (canon lift (core func $user "choose")))
            (func (export "seven") (result u32) (canon lift (core func $user "seven")))
            (func (export "ask") {swap} (canon lift (core func $user "ask")))
            (func (export "twice") (param "region" (own $mappable)) (result (own $mappable))
              (canon lift (core func $user "twice")))
            (func (export "ask-frozen") {frozen} (canon lift (core func $user "ask-frozen"))))
          (component $B {types}
            (import "choose" (func $choose {choose}))
            (import "swap" (func $swap {swap}))
            (core func $choose (canon lower (func $choose)))
            (core func $swap (canon lower (func $swap)))
            (core module $user
              (import "" "swap" (func $swap (param i64 i32) (result i32)))
              (import "" "choose" (func $choose (param i32 i32 i64 i32 f64) (result i32)))
              (func (export "other") (param i32 i32 i64 i32 f64) (result i32)
                (call $choose (i32.eqz (local.get 0)) (local.get 1) (local.get 2) (local.get 3) (local.get 4)))
              (func (export "ask") (param i64 i32) (result i32) (call $swap (local.get 0) (local.get 1))))
            (core instance $user (instantiate $user (with "" (instance
              (export "choose" (func $choose)) (export "swap" (func $swap))))))
            (func (export "ask") {swap} (canon lift (core func $user "ask")))
            (func (export "choose") {choose} (canon lift (core func $user "other"))))
          (instance $a (instantiate $A (with "{name}" (instance $types))
            (with "swap" (func $desk "swap")) (with "size" (func $size))))
          (instance $b (instantiate $B (with "{name}" (instance $types)) (with "choose" (func $a "choose"))
            (with "swap" (func $desk "swap"))))
          (instance $api (export "mappable" (type $mappable)) (export "ask" (func $a "ask"))
            (export "choose" (func $b "choose")) (export "seven" (func $a "seven")))
          (export "api" (instance $api))
          (export "choose" (func $a "choose")) (export "ask-frozen" (func $a "ask-frozen"))
          (export "twice" (func $a "twice")) (export "ask" (func $a "ask")) (export "also-ask" (func $b "ask")))"#,
        name = wat::TYPES,
    )
}

/// The embedder's side: `swap` gives a new region of so many granules more, or what it is told to give.
type Swap = fn(StoreContextMut<'_, State>, u64, Handle) -> wasmtime::Result<Handle>;

fn larger(mut store: StoreContextMut<'_, State>, by: u64, handle: Handle) -> wasmtime::Result<Handle> {
    let region = store.data_mut().mappable().remove(handle)?;
    let mut more = store.data().runtime.allocate(region.size() + by * GRANULE)?;
    more.bytes_mut()?[..10].copy_from_slice(&region.bytes()?[..10]);
    Ok(store.data_mut().mappable().insert(more)?)
}

fn instantiate(world: &mut World, swap: Swap) -> Instance {
    let mut linker: Linker<State> = world.fixture.linker.clone();
    let mut desk = linker.instance("test:host/desk").unwrap();
    desk.func_wrap("name", |_, (): ()| Ok(("desk".to_owned(),))).unwrap();
    desk.func_wrap("swap", move |store, (by, handle): (u64, Handle)| Ok((swap(store, by, handle)?,))).unwrap();
    let mut root = linker.root();
    root.func_wrap("size", |mut store: StoreContextMut<'_, State>, (frozen,): (FrozenHandle,)| {
        Ok((store.data_mut().mappable().remove_frozen(frozen)?.len() as u64,))
    })
    .unwrap();
    let component = world.fixture.compile_as_is(&composition(world.fixture.setup.memory()));
    linker.instantiate(&mut world.store, &component).unwrap()
}

/// A borrower, which the embedder may call again while it has a region that it was lent: `how` says which handles it
/// drops then, 1: both, 2: the one of the call that waits alone.
fn borrowing() -> String {
    let (types, env) = (wat::import_types(wat::TYPES), wat::IMPORT_ENV);
    let borrow = r#"(param "how" u32) (param "region" (borrow $mappable))"#;
    format!(
        r#"(component {types} {env}
          (component $Borrower {types} {env}
            (core func $pause (canon lower (func $env "call-back")))
            (core func $drop (canon resource.drop $mappable))
            (core module $user
              (import "" "pause" (func $pause)) (import "" "drop" (func $drop (param i32)))
              (global $kept (mut i32) (i32.const 0))
              (func (export "use") (param $how i32) (param $it i32)
                (if (i32.eqz (local.get $how)) (then
                  (global.set $kept (local.get $it))
                  (call $pause)
                  (if (global.get $kept) (then (call $drop (global.get $kept))))
                  (return)))
                (call $drop (global.get $kept))
                (global.set $kept (i32.const 0))
                (if (i32.eq (local.get $how) (i32.const 1))
                  (then (call $drop (local.get $it)))
                  (else (global.set $kept (local.get $it))))))
            (core instance $user (instantiate $user (with "" (instance
              (export "pause" (func $pause)) (export "drop" (func $drop))))))
            (func (export "use") {borrow} (canon lift (core func $user "use"))))
          (component $Lender {types} (import "use" (func $use {borrow}))
            (core func $use (canon lower (func $use)))
            (core module $user (import "" "use" (func $use (param i32 i32)))
              (func (export "lend") (param i32 i32) (result i32)
                (call $use (local.get 0) (local.get 1)) (local.get 1)))
            (core instance $user (instantiate $user (with "" (instance (export "use" (func $use))))))
            (func (export "lend") (param "how" u32) (param "region" (own $mappable)) (result (own $mappable))
              (canon lift (core func $user "lend"))))
          (instance $b (instantiate $Borrower (with "{name}" (instance $types))
            (with "test:host/env" (instance $env))))
          (instance $l (instantiate $Lender (with "{name}" (instance $types)) (with "use" (func $b "use"))))
          (export "lend" (func $l "lend")))"#,
        name = wat::TYPES,
    )
}

/// What becomes of a call in which the borrower is called again, and drops what `how` says.
fn borrowed_and_called_again(setup: Setup, how: u32) -> (World, wasmtime::Result<(Handle,)>) {
    let mut world = World::new(setup);
    let component = world.fixture.compile_as_is(&borrowing());
    let linker = world.fixture.linker.clone();
    let instance = linker.instantiate(&mut world.store, &component).unwrap();
    let lend = instance.get_typed_func::<(u32, Handle), (Handle,)>(&mut world.store, "lend").unwrap();
    let [region, other] = [1, 2].map(|granules| world.region(granules, 0x41)).map(|region| world.insert(region));
    let mut other = Some(other);
    world.store.data_mut().call_back = Some(Box::new(move |mut store| {
        let (handle,) = lend.call(&mut store, (how, other.take().unwrap()))?;
        drop(store.data_mut().mappable().remove(handle)?);
        Ok(())
    }));
    let answer = lend.call(&mut world.store, (0, region));
    (world, answer)
}

type Choose = (u32, Handle, u64, Handle, f64);

/// Two regions, of which the choice gives back one.
fn chosen(world: &mut World, instance: Instance, within: Option<&str>, left: u32) -> Mappable {
    let [a, c] = [0xa, 0xc].map(|byte| world.region(1, byte)).map(|region| world.insert(region));
    let within = within.map(|name| instance.get_export_index(&mut world.store, None, name).unwrap());
    let index = instance.get_export_index(&mut world.store, within.as_ref(), "choose").unwrap();
    let choose = instance.get_typed_func::<Choose, (Handle,)>(&mut world.store, index).unwrap();
    let (handle,) = choose.call(&mut world.store, (left, a, 0x1_2345_6789, c, 0.25)).unwrap();
    world.remove(handle)
}

on_every_setup! {
    fn handles_among_numbers_arrive_in_their_places(setup) {
        let mut world = World::new(setup);
        let instance = instantiate(&mut world, larger);
        for (left, byte) in [(1, 0xa), (0, 0xc)] {
            assert_eq!(chosen(&mut world, instance, None, left).bytes().unwrap()[9], byte);
            // The other component has the first choose the other one.
            assert_eq!(chosen(&mut world, instance, Some("api"), 1 - left).bytes().unwrap()[9], byte);
            assert_eq!(world.held(), (0, 0));
        }
    }

    fn the_embedders_functions_take_and_give_regions(setup) {
        let mut world = World::new(setup);
        let instance = instantiate(&mut world, larger);
        let api = instance.get_export_index(&mut world.store, None, "api").unwrap();
        let ask = instance.get_export_index(&mut world.store, Some(&api), "ask").unwrap();
        let ask = instance.get_typed_func::<(u64, Handle), (Handle,)>(&mut world.store, ask).unwrap();
        let region = world.region(1, 0x31);
        let mut handle = world.insert(region);
        // So often that what is left behind would be seen.
        for _ in 0..100 {
            handle = ask.call(&mut world.store, (1, handle)).unwrap().0;
            assert_eq!(world.held().0, 1);
        }
        let region = world.remove(handle);
        assert_eq!((region.size(), region.bytes().unwrap()[9]), (101 * GRANULE, 0x31));
    }

    fn references_and_what_has_no_handles_go_over_too(setup) {
        let mut world = World::new(setup);
        let instance = instantiate(&mut world, larger);
        let ask = instance.get_typed_func::<(FrozenHandle,), (u64,)>(&mut world.store, "ask-frozen").unwrap();
        let frozen = world.region(3, 0x31).freeze().unwrap();
        let kept = frozen.clone();
        let handle = world.store.data_mut().mappable.insert_frozen(frozen).unwrap();
        assert_eq!(ask.call(&mut world.store, (handle,)).unwrap().0, 3 * GRANULE);
        assert_eq!(world.held(), (0, 0));
        // Nobody else has it any more.
        assert!(kept.thaw().is_ok());
        let api = instance.get_export_index(&mut world.store, None, "api").unwrap();
        let seven = instance.get_export_index(&mut world.store, Some(&api), "seven").unwrap();
        let seven = instance.get_typed_func::<(), (u32,)>(&mut world.store, seven).unwrap();
        assert_eq!(seven.call(&mut world.store, ()).unwrap().0, 7);
    }

    fn a_region_goes_from_store_to_store(setup) {
        let mut worlds = [World::new(setup), World::new(setup)];
        let instances = [0, 1].map(|at| instantiate(&mut worlds[at], larger));
        let mut region = worlds[0].region(1, 0x33);
        for turn in 0..10 {
            let (world, instance) = (&mut worlds[turn % 2], instances[turn % 2]);
            let ask = instance.get_typed_func::<(u64, Handle), (Handle,)>(&mut world.store, "ask").unwrap();
            let handle = world.insert(region);
            let (handle,) = ask.call(&mut world.store, (1, handle)).unwrap();
            region = world.remove(handle);
            assert_eq!(world.held(), (0, 0));
        }
        assert_eq!((region.size(), region.bytes().unwrap()[0]), (11 * GRANULE, 0x33));
    }

    fn a_component_that_waits_is_entered_again_as_whoever_called_it_could_be(setup) {
        // The embedder's function has the other component call it, too.
        fn again(mut store: StoreContextMut<'_, State>, by: u64, handle: Handle) -> wasmtime::Result<Handle> {
            if let Some(mut call_back) = store.data_mut().call_back.take() {
                call_back(wasmtime::AsContextMut::as_context_mut(&mut store))?;
            }
            larger(store, by, handle)
        }
        let mut world = World::new(setup);
        let instance = instantiate(&mut world, again);
        type Ask = wasmtime::component::TypedFunc<(u64, Handle), (Handle,)>;
        let [ask, also]: [Ask; 2] =
            ["ask", "also-ask"].map(|name| instance.get_typed_func(&mut world.store, name).unwrap());
        let [region, other] = [1, 2].map(|granules| world.region(granules, 0x38)).map(|region| world.insert(region));
        let mut other = Some(other);
        world.store.data_mut().call_back = Some(Box::new(move |mut store| {
            let (handle,) = also.call(&mut store, (1, other.take().unwrap()))?;
            drop(store.data_mut().mappable().remove(handle)?);
            Ok(())
        }));
        let answer = ask.call(&mut world.store, (1, region));
        if setup.is_concurrent() {
            // Nor is anything else, whatever the tier.
            trap_is(answer, Trap::CannotEnterComponent);
        } else {
            let region = world.remove(answer.unwrap().0);
            assert_eq!((region.size(), world.held()), (2 * GRANULE, (0, 0)));
        }
    }

    fn what_was_lent_to_a_call_that_waits_is_dropped_in_one_within_it(setup) {
        let (mut world, answer) = borrowed_and_called_again(setup, 1);
        if setup.is_concurrent() {
            trap_is(answer, Trap::CannotEnterComponent);
        } else {
            let region = world.remove(answer.unwrap().0);
            assert_eq!((region.size(), world.held()), (GRANULE, (0, 0)));
        }
    }

    fn what_is_lent_is_not_kept_in_place_of_what_a_call_that_waits_was_lent(setup) {
        let (_, answer) = borrowed_and_called_again(setup, 2);
        if setup.is_concurrent() {
            trap_is(answer, Trap::CannotEnterComponent);
        } else {
            let error = format!("{:?}", trapped(answer));
            let [engines, ours] = ["borrow handles still remain", "1 borrowed handles remain"];
            assert!(error.contains(engines) || error.contains(ours), "{error}");
        }
    }

    fn a_region_given_back_after_it_was_dropped_traps(setup) {
        let mut world = World::new(setup);
        let instance = instantiate(&mut world, larger);
        let twice = instance.get_typed_func::<(Handle,), (Handle,)>(&mut world.store, "twice").unwrap();
        let region = world.region(1, 0x34);
        let handle = world.insert(region);
        trapped(twice.call(&mut world.store, (handle,)));
        assert_eq!(world.held(), (0, 0));
    }

    fn an_error_of_the_embedders_leaves_nothing_doubled(setup) {
        let mut world = World::new(setup);
        let instance = instantiate(&mut world, |_, _, _| Err(wasmtime::Error::msg("no")));
        let api = instance.get_export_index(&mut world.store, None, "api").unwrap();
        let ask = instance.get_export_index(&mut world.store, Some(&api), "ask").unwrap();
        let ask = instance.get_typed_func::<(u64, Handle), (Handle,)>(&mut world.store, ask).unwrap();
        let region = world.region(1, 0x35);
        let handle = world.insert(region);
        let rep = handle.rep();
        assert!(format!("{:?}", trapped(ask.call(&mut world.store, (1, handle)))).contains("no"));
        // The embedder's function had it when it failed.
        assert_eq!(world.remove(Handle::new_own(rep)).bytes().unwrap()[0], 0x35);
        assert_eq!(world.held(), (0, 0));
    }
}

on_every_ledger_setup! {
    fn what_the_ledger_has_no_number_for_is_not_taken_for_it(setup) {
        let mut world = World::new(setup);
        let component = world.fixture.compile_as_is(&wat::guest(setup.memory()));
        let instance = world.instantiate(&component);
        let guest = Guest::new(instance, &mut world, None);
        let frozen = world.region(1, 0x39).freeze().unwrap();
        let mut insert = || world.store.data_mut().mappable.insert_frozen(frozen.clone()).unwrap();
        // The canary has the first.
        let mut all: Vec<_> = (1..=0x1_0000).map(|_| insert()).collect();
        let (one_more, last) = (all.pop().unwrap(), all.pop().unwrap());
        assert_eq!([last.rep(), one_more.rep()], [0xffff, 0x1_0000]);
        let [last, one_more] = [last, one_more].map(|handle| guest.take_frozen(&mut world, handle).unwrap());
        let mapping = guest.map_frozen(&mut world, last, 4 * G, G).unwrap();
        guest.expect(&mut world, 4 * G, G, 0x39);
        guest.unmap_frozen(&mut world, mapping, 4 * G, G).unwrap();
        // The engine has it, and what it borrows it can do.
        assert_eq!(guest.call::<_, u64>(&mut world, "size-frozen", (one_more,)).unwrap(), GRANULE);
        let error = trapped(guest.call::<_, u64>(&mut world, "map-frozen", (one_more, 4 * G, G)));
        assert!(matches!(error.downcast_ref(), Some(TrapReason::TooManyRegions)), "{error:?}");
    }
}
