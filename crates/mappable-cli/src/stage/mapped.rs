//! Stages that are handed regions: world `stage`, on this project's runtime.

use anyhow::{Context, Result};
use mappable::{Handle, Limits, Mappable, MappableCtx, MappableView, Runtime};
use wasmtime::component::{Component, Linker, TypedFunc};
use wasmtime::{Config, Store};

use super::{Bytes, Header, Host, Payload, Step, step_of};
use crate::failure::{Exit, fail};
use crate::limiter::{Limiter, not_begun};
use crate::preview1::core_module;
use crate::runtime::Options;

/// What a stage exports.
const STEP: &str = "mappable:stage/step@0.1.0";

/// Makes stages, each in a store of its own.
pub(crate) struct MappedHost {
    runtime: Runtime,
    linker: Linker<State>,
    /// What a stage may have in its memories, and again in its regions.
    limit_bytes: u64,
}

/// One stage's sandbox.
struct State {
    mappable: MappableCtx,
    limiter: Limiter,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

type Run = TypedFunc<(Handle, Header, Vec<String>), (Result<(Handle, Header), String>,)>;

/// A stage that is ready to be handed a region.
pub(crate) struct MappedStep {
    store: Store<State>,
    run: Run,
}

impl MappedHost {
    pub(crate) fn new(limit_bytes: u64, options: &Options) -> Result<Self> {
        let mut config = Config::new();
        // Stages are plain synchronous functions, and calls are faster so.
        config.concurrency_support(false);
        let runtime = options.build(config)?;
        let mut linker = Linker::new(runtime.engine());
        mappable::add_to_linker::<State>(&mut linker)
            .map_err(|error| anyhow::anyhow!("the functions on regions can't be offered: {error:#}"))?;
        Ok(Self { runtime, linker, limit_bytes })
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

impl Host for MappedHost {
    type Step = MappedStep;

    const COPIES: bool = false;

    fn bytes(&self, bytes: &Bytes) -> Result<std::borrow::Cow<'static, [u8]>> {
        bytes.regions()
    }

    fn compile(&self, bytes: &[u8]) -> Result<Component> {
        if core_module(bytes).is_some() {
            let advice = "make a component of it with `mappable component --world mappable:stage/stage`";
            return Err(fail(Exit::Load, format!("not a stage: it is a core module; {advice}")));
        }
        self.runtime.compile(bytes).map_err(|error| {
            let error = anyhow::Error::from(error);
            fail(Exit::Load, format!("not a stage: {error:#}"))
        })
    }

    fn instantiate(&self, component: &Component) -> Result<MappedStep> {
        let step = step_of(component, STEP)?;
        let mut mappable = self.runtime.context();
        mappable.set_limits(Limits::default().region_bytes(self.limit_bytes));
        let state = State { mappable, limiter: Limiter::new(self.limit_bytes) };
        let mut store = Store::new(self.runtime.engine(), state);
        // Placements are lists: as long as a region can be.
        store.set_hostcall_fuel(usize::try_from(self.limit_bytes)?);
        store.limiter(|state| &mut state.limiter);
        let instance = self.linker.instantiate(&mut store, component).map_err(|error| not_begun(&error))?;
        let run = instance.get_typed_func(&mut store, step).map_err(|error| not_begun(&error))?;
        Ok(MappedStep { store, run })
    }

    fn blank(&self, size: u64) -> Result<Mappable> {
        Ok(self.runtime.allocate(size.max(1))?)
    }
}

impl Step for MappedStep {
    type Payload = Mappable;

    fn call(&mut self, region: Mappable, header: Header, args: &[String]) -> Result<(Mappable, Header)> {
        let handle = self.store.data_mut().mappable.insert(region)?;
        let (answer,) = self
            .run
            .call(&mut self.store, (handle, header, args.to_vec()))
            .map_err(|error| self.store.data().limiter.explain(&error))?;
        let (handle, header) = answer.map_err(|text| self.store.data().limiter.explain_answer(&text))?;
        let region = self.store.data_mut().mappable.remove(handle).context("it gave no region")?;
        Ok((region, header))
    }
}

impl Payload for Mappable {
    fn available(&self) -> u64 {
        self.len()
    }

    fn trim(&mut self, _: u64) {}
}
