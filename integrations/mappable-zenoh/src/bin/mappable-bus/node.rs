//! A component in its sandbox: what it has besides the bus is memory.

use anyhow::{Context as _, Result};
use mappable::{Limits, MappableCtx, MappableView, Runtime};
use mappable_zenoh::Bus;
use mappable_zenoh::host::{self, BusCtx, BusView, Grants, Quota};
use wasmtime::component::{Component, Instance, Linker};
use wasmtime::{Store, StoreLimits, StoreLimitsBuilder};

pub(crate) struct State {
    mappable: MappableCtx,
    bus: BusCtx,
    limits: StoreLimits,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

impl BusView for State {
    fn bus(&mut self) -> &mut BusCtx {
        &mut self.bus
    }
}

/// An instance, in a store of its own.
pub(crate) struct Node {
    pub(crate) store: Store<State>,
    pub(crate) instance: Instance,
}

impl Node {
    /// An instance that has so many bytes of memory, and as many of regions.
    pub(crate) fn new(
        runtime: &Runtime,
        component: &Component,
        bus: &Bus,
        grants: Grants,
        quota: Quota,
        memory: u64,
    ) -> Result<Self> {
        let mut linker = Linker::new(runtime.engine());
        mappable::add_to_linker::<State>(&mut linker)?;
        host::add_to_linker::<State>(&mut linker)?;
        let mut mappable = runtime.context();
        mappable.set_limits(Limits::default().region_bytes(memory));
        let limits = StoreLimitsBuilder::new().memory_size(usize::try_from(memory)?).build();
        let bus = BusCtx::new(bus, grants, quota);
        let mut store = runtime.store(State { mappable, bus, limits });
        store.limiter(|state| &mut state.limits);
        let instance = linker.instantiate(&mut store, component)?;
        Ok(Self { store, instance })
    }

    /// Calls `run` of the world `node`.
    pub(crate) fn run(&mut self, arguments: &[String]) -> Result<String> {
        let run = self.instance.get_func(&mut self.store, "run").context("the component has no function `run`")?;
        let run = run.typed::<(&[String],), (Result<String, String>,)>(&self.store)?;
        let (answer,) = run.call(&mut self.store, (arguments,))?;
        answer.map_err(anyhow::Error::msg)
    }
}
