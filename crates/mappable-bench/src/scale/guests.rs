//! Instances that hand regions over, each in a store of its own.

use anyhow::Result;
use mappable::{GRANULE, Limits, MappableCtx, MappableView, Runtime};
use wasmtime::component::{InstancePre, Linker, TypedFunc};
use wasmtime::{Config, Store};

use crate::method::Method;
use crate::tier::Tier;

/// What an instance does when it is its turn, so that beginning is little of it.
pub(super) const ROUNDS_A_TURN: u32 = 16;

/// How many of what there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// In each store, all of them.
    pub(super) regions: u32,
    pub(super) instances: u32,
    /// In each component, while the region that is handed over is mapped, and with it.
    pub(super) mapped: u32,
    /// Regions that are handed over, in turn.
    pub(super) cycle: u32,
}

impl Load {
    /// The least of all.
    pub(super) const ONE: Self = Self { regions: 1, instances: 1, mapped: 1, cycle: 1 };
}

struct State {
    mappable: MappableCtx,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

/// Takes turns of all of them.
pub(super) struct Instances {
    all: Vec<Instance>,
    /// What had been done when all was ready.
    before: u64,
}

struct Instance {
    store: Store<State>,
    run: TypedFunc<(u32,), (u64,)>,
}

/// What instances are made of.
pub(super) struct Maker {
    runtime: Runtime,
    component: InstancePre<State>,
    load: Load,
}

impl Maker {
    pub(super) fn new(tier: Tier, load: Load, views: usize) -> Result<Self> {
        let mut config = Config::new();
        config.concurrency_support(false);
        let in_all = (8 * load.instances as usize).max(2 * views + 64);
        let runtime = Runtime::builder().config(config).max_views(in_all, views).tier(tier.into()).build()?;
        let component = runtime.compile(text(load).as_bytes())?;
        let mut linker = Linker::new(runtime.engine());
        mappable::add_to_linker::<State>(&mut linker)?;
        let component = linker.instantiate_pre(&component)?;
        Ok(Self { runtime, component, load })
    }

    /// Makes as many as there are to be, and has every region handed over twice.
    pub(super) fn make(&self) -> Result<Instances> {
        let all = (0..self.load.instances).map(|_| Instance::new(&self.runtime, &self.component));
        let mut instances = Instances { all: all.collect::<Result<_>>()?, before: 0 };
        for instance in &mut instances.all {
            instances.before += instance.run(2 * self.load.cycle)?;
        }
        Ok(instances)
    }
}

impl Instance {
    fn new(runtime: &Runtime, component: &InstancePre<State>) -> Result<Self> {
        let mut mappable = runtime.context();
        let no_limit = Limits::default().regions(usize::MAX).region_bytes(u64::MAX).views(usize::MAX);
        mappable.set_limits(no_limit);
        let mut store = Store::new(runtime.engine(), State { mappable });
        let instance = component.instantiate(&mut store)?;
        let run = instance.get_typed_func(&mut store, "run")?;
        Ok(Self { store, run })
    }

    fn run(&mut self, rounds: u32) -> Result<u64> {
        Ok(self.run.call(&mut self.store, (rounds,))?.0)
    }
}

impl Method for Instances {
    fn run(&mut self, rounds: u32) -> Result<u64> {
        let mut done = 0;
        for _ in 0..rounds {
            let turns = self.all.iter_mut().map(|instance| instance.run(ROUNDS_A_TURN));
            done = turns.sum::<Result<u64>>()?;
        }
        Ok(done - self.before)
    }
}

fn text(load: Load) -> String {
    let Load { regions, mapped, cycle, .. } = load;
    let names = [("CYCLE", cycle), ("REGIONS", regions), ("MAPPED", mapped), ("PAGES", 1 + mapped)];
    let text = include_str!("regions.wat").replace("AT)", &format!("{GRANULE})"));
    names.iter().fold(text, |text, (name, number)| text.replace(name, &number.to_string()))
}
