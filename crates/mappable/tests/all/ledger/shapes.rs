//! Handles at the root of a composition in every place that a type has: the engine carries them. What the embedder is given,
//! and what it gives, is the same on both tiers.

use mappable::{GRANULE, Handle, Mappable, MappableView};
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Instance, Lift, Linker, Lower};

use crate::support::{Setup, State, World, on_every_setup};
use crate::wat;

#[derive(Debug, ComponentType, Lift, Lower)]
#[component(variant)]
enum V {
    #[component(name = "region")]
    Region(Handle),
    #[component(name = "number")]
    Number(u64),
    #[component(name = "name")]
    Name(String),
    #[component(name = "real")]
    Real(f32),
    #[component(name = "pair")]
    Pair((u8, Handle)),
    #[component(name = "nothing")]
    Nothing,
}

#[derive(Debug, ComponentType, Lift, Lower)]
#[component(record)]
struct R {
    small: u8,
    name: String,
    left: V,
    right: Option<Handle>,
    all: Vec<Result<Handle, String>>,
}

/// How long a long string is, in bytes.
const LARGE: usize = 100_000;

/// The interface: `v` and `r` have handles, `plain` has none.
const SHAPES: &str = r#"
    (alias outer 1 $mappable (type $m')) (export "mappable" (type $m (eq $m')))
    (type $v' (variant (case "region" (own $m)) (case "number" u64) (case "name" string) (case "real" f32)
      (case "pair" (tuple u8 (own $m))) (case "nothing")))
    (export "v" (type $v (eq $v')))
    (type $r' (record (field "small" u8) (field "name" string) (field "left" $v) (field "right" (option (own $m)))
      (field "all" (list (result (own $m) (error string))))))
    (export "r" (type $r (eq $r')))
    (type $plain' (record (field "a" u8) (field "b" string))) (export "plain" (type $plain (eq $plain')))
    (export "flip" (func (param "v" $v) (result $v)))
    (export "turn" (func (param "rs" (list $r)) (result (list $r))))
    (export "end" (func (param "v" $v) (param "plain" $plain) (result (result (own $m) (error $plain)))))
    (export "sum" (func (param "a" $v) (param "b" $v) (param "c" $v) (param "d" $v) (param "e" $v) (param "f" $v)
      (result u64)))"#;

/// A component that passes on what it is given, in both directions, and changes its form: what is flat becomes an element
/// of a list, and the first of a list a result.
fn composition(memory: &str) -> String {
    let types = wat::import_types(wat::TYPES);
    let names = ["v", "r", "plain"].map(|name| format!(r#"(alias export $host "{name}" (type ${name}))"#)).concat();
    let lower = "(memory $memory) (realloc $realloc)";
    format!(
        r#"(component {types}
          (import "test:host/shapes" (instance $host {SHAPES}))
          (component $A {types}
            (import "test:host/shapes" (instance $host {SHAPES})) {names}
            (core module $m (memory (export "m") {memory})
              (global $free (mut i32) (i32.const 4096))
              (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                (global.get $free)
                (global.set $free (i32.add (global.get $free) (local.get 3))))
              (func (export "done") (param i32) (global.set $free (i32.const 4096))))
            (core instance $m (instantiate $m))
            (alias core export $m "m" (core memory $memory))
            (alias core export $m "realloc" (core func $realloc))
            (core func $flip (canon lower (func $host "flip") {lower}))
            (core func $turn (canon lower (func $host "turn") {lower}))
            (core func $end (canon lower (func $host "end") {lower}))
            (core func $sum (canon lower (func $host "sum") {lower}))
            (core module $user
              (import "" "m" (memory 0))
              (import "" "flip" (func $flip (param i32 i64 i32 i32)))
              (import "" "turn" (func $turn (param i32 i32 i32)))
              (import "" "end" (func $end (param i32 i64 i32 i32 i32 i32 i32)))
              (import "" "sum" (func $sum (param i32) (result i64)))
              (func (export "flip") (param i32 i64 i32) (result i32)
                (call $flip (local.get 0) (local.get 1) (local.get 2) (i32.const 64)) (i32.const 64))
              (func (export "turn") (param i32 i32) (result i32)
                (call $turn (local.get 0) (local.get 1) (i32.const 64)) (i32.const 64))
              (func (export "end") (param i32 i64 i32 i32 i32 i32) (result i32)
                (call $end (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
                  (i32.const 64))
                (i32.const 64))
              (func (export "sum") (param i32) (result i64) (call $sum (local.get 0)))
              (func (export "list") (param i32 i64 i32) (result i32)
                (i32.store8 (i32.const 128) (local.get 0))
                (i64.store (i32.const 136) (local.get 1))
                (if (i32.or (i32.eq (local.get 0) (i32.const 2)) (i32.eq (local.get 0) (i32.const 4)))
                  (then (i32.store (i32.const 140) (local.get 2))))
                (i32.store (i32.const 64) (i32.const 128)) (i32.store (i32.const 68) (i32.const 1))
                (i32.const 64))
              (func (export "six") (param i32) (result i32)
                (i32.store (i32.const 64) (local.get 0)) (i32.store (i32.const 68) (i32.const 6))
                (i32.const 64))
              (func (export "first") (param i32 i32) (result i32) (local.get 0)))
            (core instance $user (instantiate $user (with "" (instance (export "m" (memory $memory))
              (export "flip" (func $flip)) (export "turn" (func $turn)) (export "end" (func $end))
              (export "sum" (func $sum))))))
            (func $flip' (param "v" $v) (result $v) (canon lift (core func $user "flip") {lower}))
            (func $turn' (param "rs" (list $r)) (result (list $r)) (canon lift (core func $user "turn") {lower} (post-return (func $m "done"))))
            (alias export $types "mappable" (type $m))
            (func $end' (param "v" $v) (param "plain" $plain) (result (result (own $m) (error $plain)))
              (canon lift (core func $user "end") {lower}))
            (func $sum' (param "a" $v) (param "b" $v) (param "c" $v) (param "d" $v) (param "e" $v) (param "f" $v)
              (result u64) (canon lift (core func $user "sum") {lower}))
            (func $list (param "v" $v) (result (list $v)) (canon lift (core func $user "list") {lower}))
            (func $six (param "a" $v) (param "b" $v) (param "c" $v) (param "d" $v) (param "e" $v) (param "f" $v)
              (result (list $v)) (canon lift (core func $user "six") {lower}))
            (func $first (param "rs" (list $r)) (result $r) (canon lift (core func $user "first") {lower}))
            (instance $it (export "mappable" (type $m)) (export "v" (type $v)) (export "r" (type $r))
              (export "plain" (type $plain)) (export "flip" (func $flip')) (export "turn" (func $turn'))
              (export "end" (func $end')) (export "sum" (func $sum')) (export "list" (func $list))
              (export "six" (func $six)) (export "first" (func $first)))
            (export "it" (instance $it)))
          (instance $a (instantiate $A (with "{name}" (instance $types)) (with "test:host/shapes" (instance $host))))
          (alias export $a "it" (instance $it))
          (export "it" (instance $it))
          (export "lone" (func $it "flip")))"#,
        name = wat::TYPES,
    )
}

/// A region of the same bytes, one granule larger.
fn larger(store: &mut StoreContextMut<'_, State>, handle: Handle) -> wasmtime::Result<Handle> {
    let region = store.data_mut().mappable().remove(handle)?;
    let mut more = store.data().runtime.allocate(region.size() + GRANULE)?;
    more.bytes_mut()?[..10].copy_from_slice(&region.bytes()?[..10]);
    Ok(store.data_mut().mappable().insert(more)?)
}

fn flipped(store: &mut StoreContextMut<'_, State>, v: V) -> wasmtime::Result<V> {
    Ok(match v {
        V::Region(handle) => V::Pair((7, larger(store, handle)?)),
        V::Pair((_, handle)) => V::Region(larger(store, handle)?),
        V::Number(number) => V::Real(number as f32),
        V::Real(real) => V::Number(real as u64),
        V::Name(name) => V::Name(name.chars().rev().collect()),
        V::Nothing => V::Nothing,
    })
}

fn turned(store: &mut StoreContextMut<'_, State>, r: R) -> wasmtime::Result<R> {
    let R { small, name, left, right, mut all } = r;
    all.reverse();
    let right = right.map(|handle| larger(store, handle)).transpose()?;
    Ok(R { small: small + 1, name: name + "!", left: flipped(store, left)?, right, all })
}

#[derive(Debug, ComponentType, Lift, Lower)]
#[component(record)]
struct Plain {
    a: u8,
    b: String,
}

type Six = (V, V, V, V, V, V);

fn instantiate(world: &mut World) -> Instance {
    let mut linker: Linker<State> = world.fixture.linker.clone();
    let mut host = linker.instance("test:host/shapes").unwrap();
    host.func_wrap("flip", |mut store, (v,): (V,)| Ok((flipped(&mut store, v)?,))).unwrap();
    host.func_wrap("turn", |mut store, (rs,): (Vec<R>,)| {
        let turned = rs.into_iter().rev().map(|r| turned(&mut store, r)).collect::<wasmtime::Result<Vec<_>>>();
        Ok((turned?,))
    })
    .unwrap();
    host.func_wrap("end", |_, (v, plain): (V, Plain)| {
        Ok((match v {
            V::Region(handle) => Ok::<_, Plain>(handle),
            _ => Err(plain),
        },))
    })
    .unwrap();
    host.func_wrap("sum", |mut store: StoreContextMut<'_, State>, (a, b, c, d, e, f): Six| {
        let mut sum = 0;
        for v in [a, b, c, d, e, f] {
            sum += match v {
                V::Region(handle) | V::Pair((_, handle)) => store.data_mut().mappable().remove(handle)?.size(),
                V::Number(number) => number,
                V::Name(name) => name.len() as u64,
                V::Real(real) => real as u64,
                V::Nothing => 0,
            };
        }
        Ok((sum,))
    })
    .unwrap();
    let component = world.fixture.compile_as_is(&composition(world.fixture.setup.memory()));
    linker.instantiate(&mut world.store, &component).unwrap()
}

/// Calls a function of the exported instance.
fn call<P, T>(world: &mut World, instance: Instance, name: &str, params: P) -> wasmtime::Result<T>
where
    P: wasmtime::component::ComponentNamedList + Lower + Send + Sync,
    T: Lift + ComponentType + Send + Sync + 'static,
{
    let it = instance.get_export_index(&mut world.store, None, "it").unwrap();
    let index = instance.get_export_index(&mut world.store, Some(&it), name).unwrap();
    let func = instance.get_typed_func::<P, (T,)>(&mut world.store, index).unwrap();
    Ok(func.call(&mut world.store, params)?.0)
}

fn new(world: &mut World, byte: u8) -> Handle {
    let region = world.region(1, byte);
    world.insert(region)
}

/// The granules of a region and its byte. It is gone then.
fn seen(world: &mut World, handle: Handle) -> (u64, u8) {
    let region: Mappable = world.remove(handle);
    (region.size() / GRANULE, region.bytes().unwrap()[9])
}

on_every_setup! {
    fn a_variant_has_the_case_that_it_was_given(setup) {
        let mut world = World::new(setup);
        let instance = instantiate(&mut world);
        for _ in 0..50 {
            let region = new(&mut world, 0x11);
            match call(&mut world, instance, "flip", (V::Region(region),)).unwrap() {
                V::Pair((7, handle)) => assert_eq!(seen(&mut world, handle), (2, 0x11)),
                other => panic!("{other:?}"),
            }
            let region = new(&mut world, 0x12);
            match call(&mut world, instance, "flip", (V::Pair((1, region)),)).unwrap() {
                V::Region(handle) => assert_eq!(seen(&mut world, handle), (2, 0x12)),
                other => panic!("{other:?}"),
            }
            let number = call(&mut world, instance, "flip", (V::Number(1 << 40),)).unwrap();
            assert!(matches!(number, V::Real(real) if real == (1u64 << 40) as f32), "{number:?}");
            let real = call(&mut world, instance, "flip", (V::Real(8.5),)).unwrap();
            assert!(matches!(real, V::Number(8)), "{real:?}");
            let name = call(&mut world, instance, "flip", (V::Name("größer".to_owned()),)).unwrap();
            assert!(matches!(&name, V::Name(name) if name == "reßörg"), "{name:?}");
            let nothing = call(&mut world, instance, "flip", (V::Nothing,)).unwrap();
            assert!(matches!(nothing, V::Nothing), "{nothing:?}");
            assert_eq!(world.held(), (0, 0));
        }
    }

    fn records_in_lists_keep_their_handles_strings_and_order(setup) {
        let mut world = World::new(setup);
        let instance = instantiate(&mut world);
        for _ in 0..5 {
            let rs = (0..20u8).map(|n| R {
                small: n,
                name: "n".repeat(usize::from(n) * 100),
                left: if n % 2 == 0 { V::Region(new(&mut world, n)) } else { V::Name(n.to_string()) },
                right: (n % 3 == 0).then(|| new(&mut world, n + 100)),
                all: (0..n).map(|m| if m % 2 == 0 { Ok(new(&mut world, m)) } else { Err(m.to_string()) }).collect(),
            });
            let rs: Vec<R> = rs.collect();
            let turned: Vec<R> = call(&mut world, instance, "turn", (rs,)).unwrap();
            assert_eq!(turned.len(), 20);
            for (n, r) in (0..20u8).rev().zip(turned) {
                assert_eq!((r.small, r.name), (n + 1, "n".repeat(usize::from(n) * 100) + "!"));
                match r.left {
                    V::Pair((7, handle)) if n % 2 == 0 => assert_eq!(seen(&mut world, handle), (2, n)),
                    V::Name(name) if n % 2 == 1 => assert_eq!(name, n.to_string().chars().rev().collect::<String>()),
                    other => panic!("{other:?}"),
                }
                assert_eq!(r.right.map(|handle| seen(&mut world, handle)), (n % 3 == 0).then_some((2, n + 100)));
                for (m, one) in (0..n).rev().zip(r.all) {
                    match one {
                        Ok(handle) => assert_eq!((m % 2, seen(&mut world, handle)), (0, (1, m))),
                        Err(name) => assert_eq!((m % 2, name), (1, m.to_string())),
                    }
                }
            }
            assert_eq!(world.held(), (0, 0));
        }
    }

    fn a_result_has_a_handle_or_an_error_of_a_type_without(setup) {
        let mut world = World::new(setup);
        let instance = instantiate(&mut world);
        let plain = || Plain { a: 3, b: "why".to_owned() };
        let region = new(&mut world, 0x13);
        let handle = call::<_, Result<Handle, Plain>>(&mut world, instance, "end", (V::Region(region), plain()));
        assert_eq!(seen(&mut world, handle.unwrap().unwrap()), (1, 0x13));
        let error = call::<_, Result<Handle, Plain>>(&mut world, instance, "end", (V::Number(1), plain()));
        let error = error.unwrap().unwrap_err();
        assert_eq!((error.a, &*error.b, world.held()), (3, "why", (0, 0)));
    }

    fn what_is_spilled_is_found(setup) {
        let mut world = World::new(setup);
        let instance = instantiate(&mut world);
        let mut six = || {
            let [a, b] = [1, 2].map(|byte| new(&mut world, byte));
            (V::Region(a), V::Number(5), V::Name("12345".into()), V::Pair((1, b)), V::Nothing, V::Real(2.0))
        };
        let (first, second) = (six(), six());
        assert_eq!(call::<_, u64>(&mut world, instance, "sum", first).unwrap(), 2 * GRANULE + 12);
        let all: Vec<V> = call(&mut world, instance, "six", second).unwrap();
        match <[V; 6]>::try_from(all).unwrap() {
            [V::Region(a), V::Number(5), V::Name(name), V::Pair((1, b)), V::Nothing, V::Real(2.0)] => {
                assert_eq!((seen(&mut world, a), seen(&mut world, b), &*name), ((1, 1), (1, 2), "12345"));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(world.held(), (0, 0));
    }

    fn what_is_flat_on_the_way_in_is_in_memory_on_the_way_out(setup) {
        let mut world = World::new(setup);
        let instance = instantiate(&mut world);
        let [a, b] = [4, 5].map(|byte| new(&mut world, byte));
        for (v, byte) in [(V::Region(a), 4), (V::Pair((9, b)), 5)] {
            match call::<_, Vec<V>>(&mut world, instance, "list", (v,)).unwrap().pop().unwrap() {
                V::Region(handle) if byte == 4 => assert_eq!(seen(&mut world, handle), (1, 4)),
                V::Pair((_, handle)) if byte == 5 => assert_eq!(seen(&mut world, handle), (1, 5)),
                other => panic!("{other:?}"),
            }
        }
        let right = Some(new(&mut world, 6));
        let r = R { small: 1, name: "one".into(), left: V::Number(1), right, all: Vec::new() };
        let r: R = call(&mut world, instance, "first", (vec![r],)).unwrap();
        assert_eq!((r.small, &*r.name, seen(&mut world, r.right.unwrap())), (1, "one", (1, 6)));
        assert_eq!(world.held(), (0, 0));
    }

    fn a_function_of_the_roots_own_mentions_an_imports_type(setup) {
        let mut world = World::new(setup);
        let instance = instantiate(&mut world);
        let lone = instance.get_typed_func::<(V,), (V,)>(&mut world.store, "lone").unwrap();
        let region = new(&mut world, 0x14);
        match lone.call(&mut world.store, (V::Region(region),)).unwrap().0 {
            V::Pair((7, handle)) => assert_eq!(seen(&mut world, handle), (2, 0x14)),
            other => panic!("{other:?}"),
        }
    }

    fn large_lists_and_strings_go_over_again_and_again(setup) {
        let mut world = World::new(setup);
        let instance = instantiate(&mut world);
        for turn in 0..40u8 {
            let name: String = char::from(b'a' + turn % 26).to_string().repeat(LARGE);
            let r = R { small: 1, name, left: V::Nothing, right: None, all: vec![Ok(new(&mut world, turn))] };
            let mut back: Vec<R> = call(&mut world, instance, "turn", (vec![r],)).unwrap();
            let r = back.pop().unwrap();
            assert_eq!((r.name.len(), r.name.as_bytes()[1000]), (LARGE + 1, b'a' + turn % 26));
            for one in r.all {
                assert_eq!(seen(&mut world, one.unwrap()), (1, turn));
            }
        }
    }
}
