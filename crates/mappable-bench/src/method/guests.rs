//! A composition that does its rounds by itself: the loop is in the guests.

use anyhow::{Context, Result};
use mappable::{MappableCtx, MappableView, MappingMode, Runtime};
use tokio::runtime::Builder;
use wasmtime::component::{Component, Linker, TypedFunc};
use wasmtime::{Config, Engine, Inlining, Store};

use super::Method;
use crate::tier::Tier;

/// A component with an export `run: func(rounds: u32) -> u64`, async or not, in a store of its own.
pub(crate) struct Guests<T: 'static> {
    store: Store<T>,
    run: TypedFunc<(u32,), (u64,)>,
    /// What runs it if it is async.
    tasks: Option<tokio::runtime::Runtime>,
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
        Self::on(&runtime(tier, mapping, concurrency)?, text, region)
    }

    /// The same, with calls between core modules inlined.
    pub(crate) fn inlined(text: &str, tier: Tier, concurrency: bool) -> Result<Box<dyn Method>> {
        let mut config = config(concurrency);
        config.compiler_inlining(Inlining::InterModule);
        Self::on(&Runtime::builder().config(config).tier(tier.into()).build()?, text, 0)
    }

    fn on(runtime: &Runtime, text: &str, region: u64) -> Result<Box<dyn Method>> {
        let component = runtime.compile(text.as_bytes())?;
        let (linker, store) = (linker(runtime)?, store(runtime, region)?);
        Self::begin(store, &linker, &component)
    }
}

impl<T: Send + 'static> Guests<T> {
    pub(super) fn begin(mut store: Store<T>, linker: &Linker<T>, component: &Component) -> Result<Box<dyn Method>> {
        let instance = linker.instantiate(&mut store, component)?;
        let run = instance.get_func(&mut store, "run").context("there is no `run`")?;
        let is_async = run.ty(&store).async_();
        let tasks = is_async.then(|| Builder::new_current_thread().build()).transpose()?;
        Ok(Box::new(Self { run: run.typed(&store)?, store, tasks }))
    }
}

impl<T: Send + 'static> Method for Guests<T> {
    fn run(&mut self, rounds: u32) -> Result<u64> {
        let (done,) = match &self.tasks {
            Some(tasks) => tasks.block_on(self.run.call_async(&mut self.store, (rounds,)))?,
            None => self.run.call(&mut self.store, (rounds,))?,
        };
        Ok(done)
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
