//! The engines that ordinary components run on: stock ones and ours.

use anyhow::Result;
use mappable::{MappableCtx, MappableView, Runtime};
use serde::Serialize;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, Store};

use crate::method::Method;

/// An engine to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// Default settings, without this project
    Stock,
    /// The same, with the pooling allocator
    Pooling,
    /// A runtime of this project, as it comes
    Ours,
}

/// An engine.
pub(super) enum Host {
    Stock(Engine),
    Ours(Runtime),
}

impl Host {
    pub(super) fn new(kind: Kind) -> Result<Self> {
        let mut config = Config::new();
        Ok(match kind {
            Kind::Stock => Self::Stock(Engine::new(&config)?),
            Kind::Pooling => {
                config.allocation_strategy(InstanceAllocationStrategy::pooling());
                Self::Stock(Engine::new(&config)?)
            }
            Kind::Ours => Self::Ours(Runtime::new()?),
        })
    }

    /// A component of bytes or text, as users of this engine compile it.
    pub(super) fn compile(&self, bytes: &[u8]) -> Result<Component> {
        Ok(match self {
            Self::Stock(engine) => Component::new(engine, bytes)?,
            Self::Ours(runtime) => runtime.compile(bytes)?,
        })
    }

    /// Has `user` use a component.
    pub(super) fn with<U: Use>(&self, bytes: &[u8], user: U) -> Result<U::Answer> {
        let component = self.compile(bytes)?;
        match self {
            Self::Stock(engine) => user.with(Ready::new(Linker::new(engine), &component, || ())?),
            Self::Ours(runtime) => {
                let mut linker = Linker::new(runtime.engine());
                mappable::add_to_linker::<State>(&mut linker)?;
                let runtime = runtime.clone();
                user.with(Ready::new(linker, &component, move || State { mappable: runtime.context() })?)
            }
        }
    }
}

/// What a store has on an engine of ours.
struct State {
    mappable: MappableCtx,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

/// Somebody who uses a component, whatever a store has.
pub(super) trait Use {
    type Answer;

    fn with<T: 'static>(self, component: Ready<T>) -> Result<Self::Answer>;
}

/// What is timed.
pub(super) type Timed = Box<dyn Method>;

/// A component that is ready to be instantiated.
pub(super) struct Ready<T: 'static> {
    pub(super) component: InstancePre<T>,
    data: Box<dyn Fn() -> T>,
}

impl<T: 'static> Ready<T> {
    fn new(mut linker: Linker<T>, component: &Component, data: impl Fn() -> T + 'static) -> Result<Self> {
        linker.root().func_wrap("host-add", |_, (n,): (u32,)| Ok((n.wrapping_add(1),)))?;
        Ok(Self { component: linker.instantiate_pre(component)?, data: Box::new(data) })
    }

    pub(super) fn store(&self) -> Store<T> {
        Store::new(self.component.engine(), (self.data)())
    }
}
