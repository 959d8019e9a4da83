//! Calls that do nothing, on an engine that maps: no hop can take less.

use std::hint::black_box;

use anyhow::{Result, ensure};
use mappable::MappingMode;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Component, ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType, TypedFunc, WasmList,
};

use super::Method;
use super::guests::{Guests, State, linker, runtime, store};
use crate::tier::Tier;

/// A component calls functions of the host that have the shape of `map` and `unmap`.
pub(crate) fn of_the_host(concurrency: bool) -> Result<Box<dyn Method>> {
    let (component, linker, store) = parts(concurrency)?;
    Guests::begin(store, &linker, &component)
}

/// The host calls a component, which gives back the handle that it is handed.
pub(crate) fn of_a_component(concurrency: bool) -> Result<Box<dyn Method>> {
    let (component, linker, mut store) = parts(concurrency)?;
    let instance = linker.instantiate(&mut store, &component)?;
    let pass = instance.get_typed_func(&mut store, "pass")?;
    Ok(Box::new(Passes { store, pass, passed: 0 }))
}

fn parts(concurrency: bool) -> Result<(Component, Linker<State>, wasmtime::Store<State>)> {
    let runtime = runtime(Tier::Baseline, MappingMode::Auto, concurrency)?;
    let component = runtime.compile(include_bytes!("calls.wat"))?;
    let mut linker = linker(&runtime)?;
    add_host(&mut linker.instance("bench:calls/host")?)?;
    Ok((component, linker, store(&runtime, 0)?))
}

/// What stands for a `mappable`, and for a `mapping`.
enum Idle {}
enum Busy {}

/// As many cases as `map-error` has.
#[derive(Clone, Copy, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "no call fails")]
enum CallError {
    #[component(name = "one")]
    One,
    #[component(name = "two")]
    Two,
    #[component(name = "three")]
    Three,
    #[component(name = "four")]
    Four,
    #[component(name = "five")]
    Five,
    #[component(name = "six")]
    Six,
    #[component(name = "seven")]
    Seven,
}

type Answer<To, From> = (Result<Resource<To>, (Resource<From>, CallError)>,);

/// What the representation of every handle is.
const REP: u32 = 0;

fn add_host(host: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    host.resource("idle", ResourceType::host::<Idle>(), |_, _| Ok(()))?;
    host.resource("busy", ResourceType::host::<Busy>(), |_, _| Ok(()))?;
    host.func_wrap("make", |_: StoreContextMut<'_, State>, (): ()| Ok((Resource::<Idle>::new_own(REP),)))?;
    add_call::<Idle, Busy>(host, "begin")?;
    add_call::<Busy, Idle>(host, "end")
}

fn add_call<From: 'static, To: 'static>(host: &mut LinkerInstance<'_, State>, name: &str) -> wasmtime::Result<()> {
    let call = |_: StoreContextMut<'_, State>, (this, at): (Resource<From>, WasmList<u8>)| {
        let answer: Answer<To, From> = (Ok(Resource::new_own(black_box((this.rep(), at.len())).0)),);
        Ok(answer)
    };
    host.func_wrap(name, call)
}

struct Passes {
    store: wasmtime::Store<State>,
    pass: TypedFunc<(Resource<Idle>,), (Resource<Idle>,)>,
    passed: u64,
}

impl Method for Passes {
    /// Two calls a round.
    fn run(&mut self, rounds: u32) -> Result<u64> {
        let mut handle = Resource::new_own(REP);
        for _ in 0..2 * u64::from(rounds) {
            handle = self.pass.call(&mut self.store, (handle,))?.0;
            ensure!(handle.rep() == REP && handle.owned(), "another handle came back: {handle:?}");
        }
        self.passed += 2 * u64::from(rounds);
        Ok(self.passed)
    }
}
