//! Stages that are handed regions: world `stage`, on this project's runtime.

use anyhow::{Context, Result};
use mappable::{Handle, Limits, Mappable, MappableCtx, MappableView, Runtime};
use wasmtime::component::{Component, Linker, TypedFunc};
use wasmtime::{Config, Store};
use wasmtime_wasi::{WasiCtxView, WasiView};

use super::parallel::Parallel;
use super::wasi::{Printing, StageWasi};
use super::{Bytes, Header, Host, Payload, Step, step_of};
use crate::failure::{Exit, fail};
use crate::limiter::{Limiter, not_begun};
use crate::preview1::{binary_or_text, core_module};
use crate::progress::Notes;
use crate::runtime::{Options, finish};

/// What a stage exports.
const STEP: &str = "mappable:stage/step@0.1.0";

/// How many bytes of regions are kept for the next stage that makes a picture: two of 33 million pixels, one that is given and one that
/// is made.
const IDLE_BYTES: u64 = 256 << 20;

/// Makes stages, each in a store of its own.
pub(crate) struct MappedHost {
    runtime: Runtime,
    linker: Linker<State>,
    /// What a stage may have in its memories, and again in its regions.
    limit_bytes: u64,
    /// How many instances of a stage work on one picture, where it can be shared out.
    jobs: usize,
    /// Where what stages print goes.
    notes: Notes,
}

/// One stage's sandbox.
pub(super) struct State {
    pub(super) mappable: MappableCtx,
    wasi: StageWasi,
    pub(super) limiter: Limiter,
}

impl State {
    /// A store for one instance.
    pub(super) fn store(runtime: &Runtime, limit_bytes: u64, printing: &Printing) -> wasmtime::Result<Store<Self>> {
        let mut mappable = runtime.context();
        mappable.set_limits(Limits::default().region_bytes(limit_bytes));
        let (wasi, limiter) = (StageWasi::new(printing.clone()), Limiter::new(limit_bytes));
        let mut store = Store::new(runtime.engine(), Self { mappable, wasi, limiter });
        // Placements are lists: as long as a region can be.
        store.set_hostcall_fuel(usize::try_from(limit_bytes)?);
        store.limiter(|state| &mut state.limiter);
        Ok(store)
    }
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.view()
    }
}

type Run = TypedFunc<(Handle, Header, Vec<String>), (Result<(Handle, Header), String>,)>;

/// A stage that is ready to be handed a region.
pub(crate) struct MappedStep {
    store: Store<State>,
    run: Run,
    /// More instances of it.
    parallel: Option<Parallel>,
    /// Whether they worked on the last picture.
    was_shared_out: bool,
}

impl MappedHost {
    pub(crate) fn new(limit_bytes: u64, options: &Options) -> Result<Self> {
        let mut config = Config::new();
        // Stages are plain synchronous functions, and calls are faster so.
        config.concurrency_support(false);
        let runtime = finish(options.builder(config)?.idle_regions(IDLE_BYTES))?;
        let mut linker = Linker::new(runtime.engine());
        mappable::add_to_linker::<State>(&mut linker)
            .map_err(|error| anyhow::anyhow!("the functions on regions can't be offered: {error:#}"))?;
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)
            .map_err(|error| anyhow::anyhow!("WASI can't be offered: {error:#}"))?;
        Ok(Self { runtime, linker, limit_bytes, jobs: 1, notes: Notes::plain() })
    }

    /// Has what stages print shown beside the progress.
    pub(crate) fn with_notes(self, notes: Notes) -> Self {
        Self { notes, ..self }
    }

    /// Has so many instances of a stage work on one picture, where it can be shared out.
    pub(crate) fn with_jobs(self, jobs: usize) -> Self {
        Self { jobs, ..self }
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
        binary_or_text(bytes)?;
        self.runtime.compile(bytes).map_err(|error| {
            let error = anyhow::Error::from(error);
            fail(Exit::Load, format!("not loaded: {error:#}"))
        })
    }

    fn instantiate(&self, component: &Component, title: &str) -> Result<MappedStep> {
        let step = step_of(component, STEP)?;
        let printing = Printing::new(title, &self.notes);
        let mut store = State::store(&self.runtime, self.limit_bytes, &printing).map_err(|error| not_begun(&error))?;
        let guest = self.linker.instantiate_pre(component).map_err(|error| not_begun(&error))?;
        let instance = guest.instantiate(&mut store).map_err(|error| store.data().limiter.not_begun(&error))?;
        let run = instance.get_typed_func(&mut store, step).map_err(|error| not_begun(&error))?;
        let parallel = match self.jobs {
            1 => None,
            jobs => Parallel::new(&self.runtime, &guest, self.limit_bytes, jobs, &printing)?,
        };
        Ok(MappedStep { store, run, parallel, was_shared_out: false })
    }

    fn blank(&self, size: u64) -> Result<Mappable> {
        Ok(self.runtime.allocate(size.max(1))?)
    }
}

impl Step for MappedStep {
    type Payload = Mappable;

    fn call(&mut self, mut region: Mappable, header: Header, args: &[String]) -> Result<(Mappable, Header)> {
        self.was_shared_out = false;
        if let Some(parallel) = &mut self.parallel {
            match parallel.call(region, header, args)? {
                Ok(done) => {
                    self.was_shared_out = true;
                    return Ok(done);
                }
                Err(whole) => region = whole,
            }
        }
        let handle = self.store.data_mut().mappable.insert(region)?;
        let (answer,) = self
            .run
            .call(&mut self.store, (handle, header, args.to_vec()))
            .map_err(|error| self.store.data().limiter.explain(&error))?;
        let (handle, header) = answer.map_err(|text| self.store.data().limiter.explain_answer(&text))?;
        let region = self.store.data_mut().mappable.remove(handle).context("it gave no region")?;
        Ok((region, header))
    }

    fn was_shared_out(&self) -> bool {
        self.was_shared_out
    }
}

impl Payload for Mappable {
    fn available(&self) -> u64 {
        self.len()
    }

    fn trim(&mut self, _: u64) {}
}
