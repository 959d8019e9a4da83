//! Many functions that cross, in one component: their wrappers have one instance, and each is its own function's.

use std::time::{Duration, Instant};

use mappable::{GRANULE, Handle, MappableView};
use wasmtime::component::{Component, Instance, Linker, TypedFunc};
use wasmtime::{Engine, Store, StoreContextMut};

use crate::support::{Fixture, Setup, State, World};
use mappable_testing::many::{HOST, VISITS, component};

const FUNCTIONS: usize = 600;

/// Writes the number of the function into the region.
fn numbered(store: &mut StoreContextMut<'_, State>, handle: Handle, number: usize) -> wasmtime::Result<(Handle,)> {
    let mut region = store.data_mut().mappable().remove(handle)?;
    region.bytes_mut()?[2..4].copy_from_slice(&(number as u16).to_le_bytes());
    Ok((store.data_mut().mappable().insert(region)?,))
}

/// The fixture's linker with so many functions of the embedder's.
fn linker(fixture: &Fixture, functions: usize) -> Linker<State> {
    let mut linker: Linker<State> = fixture.linker.clone();
    let mut host = linker.instance(HOST).unwrap();
    for number in 0..functions {
        let name = format!("f{number}");
        if number % 3 == 0 {
            host.func_wrap(&name, move |mut store, (handle, name): (Handle, String)| {
                assert_eq!(name, "many");
                numbered(&mut store, handle, number)
            })
        } else {
            host.func_wrap(&name, move |mut store, (handle,): (Handle,)| numbered(&mut store, handle, number))
        }
        .unwrap();
    }
    linker
}

fn instantiate(world: &mut World) -> Instance {
    let component = world.fixture.compile_as_is(&component(FUNCTIONS, world.fixture.setup.memory()));
    linker(world.fixture, FUNCTIONS).instantiate(&mut world.store, &component).unwrap()
}

fn all_are_called(setup: Setup) {
    let mut world = World::new(setup);
    let instance = instantiate(&mut world);
    for number in 0..FUNCTIONS {
        let region = world.region(1, 0x20);
        let handle = world.insert(region);
        let name = format!("g{number}");
        let (handle, said) = if number % 2 == 0 {
            let func = instance.get_typed_func::<(Handle,), (Handle,)>(&mut world.store, &name).unwrap();
            (func.call(&mut world.store, (handle,)).unwrap().0, number)
        } else {
            let func: TypedFunc<(Handle,), ((Handle, u32),)> =
                instance.get_typed_func(&mut world.store, &name).unwrap();
            let (handle, said) = func.call(&mut world.store, (handle,)).unwrap().0;
            (handle, said as usize)
        };
        let region = world.remove(handle);
        let bytes = region.bytes().unwrap();
        assert_eq!((said, region.size()), (number, GRANULE));
        assert_eq!((bytes[0], bytes[1]), (0x20 + VISITS, 0x20));
        assert_eq!(u16::from_le_bytes([bytes[2], bytes[3]]) as usize, number);
    }
    let returned = instance.get_typed_func::<(), (u32,)>(&mut world.store, "returned").unwrap();
    assert_eq!(returned.call(&mut world.store, ()).unwrap().0 as usize, FUNCTIONS / 2);
    assert_eq!(world.held(), (0, 0));
}

#[test]
fn each_of_many_functions_is_called_by_its_own_wrapper() {
    [Setup::LedgerSwap, Setup::LedgerRemap, Setup::LedgerCopy].into_iter().for_each(all_are_called);
}

#[test]
fn each_of_many_functions_is_called_in_the_baseline() {
    all_are_called(Setup::Swap);
}

/// `cargo test --workspace --test all -- --ignored --nocapture many` prints it.
#[test]
#[ignore = "measures"]
fn what_functions_that_cross_add_to_instantiation() {
    println!("| functions | tier | instantiate |");
    for functions in [1, 10, 100, 1000] {
        let text = component(functions, "16");
        let stock = Engine::default();
        let component = Component::new(&stock, &text).unwrap();
        let mut linked = Linker::new(&stock);
        linked.define_unknown_imports_as_traps(&component).unwrap();
        print(functions, "stock", &component, &linked, || Store::new(&stock, ()));
        for setup in [Setup::Swap, Setup::LedgerSwap] {
            let fixture = setup.fixture();
            let store = || Store::new(fixture.runtime.engine(), State::new(&fixture.runtime));
            let name = if setup.is_ledger() { "ledger" } else { "baseline" };
            print(functions, name, &fixture.compile_as_is(&text), &linker(fixture, functions), store);
        }
    }
}

fn print<T: 'static>(
    functions: usize,
    name: &str,
    component: &Component,
    linker: &Linker<T>,
    store: impl Fn() -> Store<T>,
) {
    let pre = linker.instantiate_pre(component).unwrap();
    let once = || {
        let mut store = store();
        let begun = Instant::now();
        pre.instantiate(&mut store).unwrap();
        begun.elapsed()
    };
    let least = (0..200).map(|_| once()).min().unwrap_or(Duration::MAX);
    println!("| {functions} | {name} | {least:.1?} |");
}
