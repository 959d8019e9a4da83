//! Stages that are handed lists: world `copying-stage`, on a stock engine with its default settings. For comparison:
//! this is what a user has without regions.

use anyhow::Result;
use wasmtime::component::{Component, Linker, TypedFunc};
use wasmtime::{Engine, Store};

use super::{Bytes, Header, Host, Payload, Step, step_of};
use crate::failure::{Exit, fail};
use crate::limiter::{Limiter, not_begun};

/// What a copying stage exports.
const STEP: &str = "mappable:stage/copying-step@0.1.0";

/// Makes copying stages, each in a store of its own.
pub(crate) struct StockHost {
    engine: Engine,
    linker: Linker<Limiter>,
    limit_bytes: u64,
}

type Run = TypedFunc<(Vec<u8>, Header, Vec<String>), (Result<(Vec<u8>, Header), String>,)>;

/// A stage that is ready to be handed a list.
pub(crate) struct CopyingStep {
    store: Store<Limiter>,
    run: Run,
}

impl StockHost {
    pub(crate) fn new(limit_bytes: u64) -> Self {
        let engine = Engine::default();
        Self { linker: Linker::new(&engine), engine, limit_bytes }
    }
}

impl Host for StockHost {
    type Step = CopyingStep;

    const COPIES: bool = true;

    fn bytes(&self, bytes: &Bytes) -> Result<std::borrow::Cow<'static, [u8]>> {
        bytes.copying()
    }

    fn compile(&self, bytes: &[u8]) -> Result<Component> {
        Component::new(&self.engine, bytes).map_err(|error| fail(Exit::Load, format!("not a stage: {error:#}")))
    }

    fn instantiate(&self, component: &Component, _: &str) -> Result<CopyingStep> {
        let step = step_of(component, STEP)?;
        let mut store = Store::new(&self.engine, Limiter::new(self.limit_bytes));
        store.limiter(|limiter| limiter);
        let instance = self.linker.instantiate(&mut store, component).map_err(|error| not_begun(&error))?;
        let run = instance.get_typed_func(&mut store, step).map_err(|error| not_begun(&error))?;
        Ok(CopyingStep { store, run })
    }

    fn blank(&self, size: u64) -> Result<Vec<u8>> {
        // Not zeros, which the operating system would not make before they are read.
        Ok(vec![1; usize::try_from(size)?])
    }
}

impl Step for CopyingStep {
    type Payload = Vec<u8>;

    fn call(&mut self, bytes: Vec<u8>, header: Header, args: &[String]) -> Result<(Vec<u8>, Header)> {
        let (answer,) = self
            .run
            .call(&mut self.store, (bytes, header, args.to_vec()))
            .map_err(|error| self.store.data().explain(&error))?;
        answer.map_err(|text| self.store.data().explain_answer(&text))
    }
}

impl Payload for Vec<u8> {
    fn available(&self) -> u64 {
        self.len() as u64
    }

    fn trim(&mut self, size: u64) {
        self.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    }
}
