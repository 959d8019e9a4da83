//! A hand-over that the host mediates: it calls one component after the other, each of which gives the region back.

use anyhow::{Context, Result};
use mappable::{Handle, MappableView, MappingMode};
use wasmtime::Store;
use wasmtime::component::TypedFunc;

use super::guests::{State, linker, runtime, store};
use super::{Method, same_line};
use crate::tier::Tier;

/// Where the two components are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Among {
    OneStore,
    TwoStores,
}

/// Two instances of a component, and a region.
pub(super) struct Mediated {
    /// One or two.
    stores: Vec<Store<State>>,
    visits: [TypedFunc<(Handle,), (Handle,)>; 2],
    /// In the first store, between runs. `None` after a call that failed.
    region: Option<Handle>,
}

impl Mediated {
    pub(super) fn new(text: &str, among: Among, concurrency: bool, size: u64) -> Result<Self> {
        let runtime = runtime(Tier::Baseline, MappingMode::Auto, concurrency)?;
        let component = linker(&runtime)?.instantiate_pre(&runtime.compile(text.as_bytes())?)?;
        let count = if among == Among::OneStore { 1 } else { 2 };
        let mut stores = (0..count).map(|_| store(&runtime, size)).collect::<Result<Vec<_>>>()?;
        let mut visit = |at: usize| {
            let store = &mut stores[at % count];
            component.instantiate(&mut *store)?.get_typed_func(store, "visit")
        };
        let visits = [visit(0)?, visit(1)?];
        let region = Some(stores[0].data_mut().mappable().insert(runtime.allocate(size)?)?);
        Ok(Self { stores, visits, region })
    }
}

impl Method for Mediated {
    fn run(&mut self, rounds: u32) -> Result<u64> {
        let mut region = self.region.take().context("a run before has failed")?;
        for _ in 0..rounds {
            for at in 0..2 {
                let here = at % self.stores.len();
                region = self.visits[at].call(&mut self.stores[here], (region,))?.0;
                let next = (at + 1) % self.stores.len();
                if next != here {
                    let taken = self.stores[here].data_mut().mappable().remove(region)?;
                    region = self.stores[next].data_mut().mappable().insert(taken)?;
                }
            }
        }
        let done = same_line(self.stores[0].data_mut().mappable().get(&region)?.bytes()?)?;
        self.region = Some(region);
        Ok(done)
    }
}
