//! A composition that does its rounds by itself: the loop is in the guests.

use anyhow::Result;
use mappable::{MappableCtx, MappableView, MappingMode, Runtime};
use wasmtime::component::{Component, Linker, TypedFunc};
use wasmtime::{Config, Engine, Store};

use super::Method;
use crate::tier::Tier;

/// A component with an export `run: func(rounds: u32) -> u64`, in a store of its own.
pub(crate) struct Guests<T: 'static> {
    store: Store<T>,
    run: TypedFunc<(u32,), (u64,)>,
}

/// What a store has on an engine that maps.
pub(crate) struct State {
    pub(super) mappable: MappableCtx,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

impl Guests<()> {
    /// On an engine as it comes, concurrency support aside.
    pub(crate) fn stock(text: &str, concurrency: bool) -> Result<Box<dyn Method>> {
        let engine = Engine::new(&config(concurrency))?;
        let component = Component::new(&engine, text)?;
        Self::begin(Store::new(&engine, ()), &Linker::new(&engine), &component)
    }
}

impl Guests<State> {
    /// On an engine that maps regions of up to `region` bytes.
    pub(crate) fn mappable(
        text: &str,
        tier: Tier,
        mapping: MappingMode,
        concurrency: bool,
        region: u64,
    ) -> Result<Box<dyn Method>> {
        let runtime = runtime(tier, mapping, concurrency)?;
        let component = runtime.compile(text.as_bytes())?;
        let (linker, store) = (linker(&runtime)?, store(&runtime, region)?);
        Self::begin(store, &linker, &component)
    }
}

impl<T: 'static> Guests<T> {
    pub(super) fn begin(mut store: Store<T>, linker: &Linker<T>, component: &Component) -> Result<Box<dyn Method>> {
        let instance = linker.instantiate(&mut store, component)?;
        let run = instance.get_typed_func(&mut store, "run")?;
        Ok(Box::new(Self { store, run }))
    }
}

impl<T: 'static> Method for Guests<T> {
    fn run(&mut self, rounds: u32) -> Result<u64> {
        Ok(self.run.call(&mut self.store, (rounds,))?.0)
    }
}

/// An engine that maps.
pub(super) fn runtime(tier: Tier, mapping: MappingMode, concurrency: bool) -> Result<Runtime> {
    Ok(Runtime::builder().config(config(concurrency)).mapping(mapping).tier(tier.into()).build()?)
}

pub(super) fn linker(runtime: &Runtime) -> Result<Linker<State>> {
    let mut linker = Linker::new(runtime.engine());
    mappable::add_to_linker::<State>(&mut linker)?;
    Ok(linker)
}

/// A store for regions of up to `region` bytes.
pub(super) fn store(runtime: &Runtime, region: u64) -> Result<Store<State>> {
    let mut store = Store::new(runtime.engine(), State { mappable: runtime.context() });
    let fuel = store.hostcall_fuel().max(usize::try_from(region)?);
    store.set_hostcall_fuel(fuel);
    Ok(store)
}

fn config(concurrency: bool) -> Config {
    let mut config = Config::new();
    config.concurrency_support(concurrency);
    config
}
