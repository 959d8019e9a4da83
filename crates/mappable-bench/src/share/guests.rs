//! Instances that read the same bytes: in one frozen region that each maps, or each in a copy of its own.

use std::time::{Duration, Instant};

use anyhow::Result;
use mappable::{Frozen, FrozenHandle, GRANULE, MappableCtx, MappableView, Runtime};
use wasmtime::component::{Component, InstancePre, Linker, TypedFunc};
use wasmtime::{Config, Engine, Store};

/// An instance, in a store of its own.
pub(super) trait Guest: Send {
    /// Reads all bytes, and sums up their words.
    fn sum(&mut self) -> Result<u64>;
}

/// Maps a frozen region.
pub(super) struct Mapping {
    store: Store<State>,
    map: TypedFunc<(FrozenHandle,), ()>,
    unmap: TypedFunc<(), (FrozenHandle,)>,
    sum: TypedFunc<(), (u64,)>,
}

pub(super) struct State {
    mappable: MappableCtx,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

/// What instances that map are made of.
pub(super) struct MappingMaker {
    pub(super) runtime: Runtime,
    component: InstancePre<State>,
    size: u64,
}

impl MappingMaker {
    /// For regions of `size` bytes, and so many instances at once.
    pub(super) fn new(size: u64, instances: usize) -> Result<Self> {
        let mut config = Config::new();
        config.concurrency_support(false);
        // A view for each, beyond its memory's first.
        let runtime = Runtime::builder().config(config).max_views(instances + 64, 128).build()?;
        let component = runtime.compile(of_size(include_str!("frozen.wat"), size).as_bytes())?;
        let mut linker = Linker::new(runtime.engine());
        mappable::add_to_linker::<State>(&mut linker)?;
        let component = linker.instantiate_pre(&component)?;
        Ok(Self { runtime, component, size })
    }

    /// An instance that has mapped the region, and how long that took it.
    pub(super) fn make(&self, frozen: &Frozen) -> Result<(Mapping, Duration)> {
        let mut store = Store::new(self.runtime.engine(), State { mappable: self.runtime.context() });
        store.set_hostcall_fuel(usize::try_from(self.size)?);
        let instance = self.component.instantiate(&mut store)?;
        let map = instance.get_typed_func(&mut store, "map")?;
        let unmap = instance.get_typed_func(&mut store, "unmap")?;
        let sum = instance.get_typed_func(&mut store, "sum")?;
        let handle = store.data_mut().mappable.insert_frozen(frozen.clone())?;
        let mut guest = Mapping { store, map, unmap, sum };
        let took = guest.map(handle)?;
        Ok((guest, took))
    }
}

impl Mapping {
    fn map(&mut self, handle: FrozenHandle) -> Result<Duration> {
        let start = Instant::now();
        self.map.call(&mut self.store, (handle,))?;
        Ok(start.elapsed())
    }

    /// Unmaps the region and maps it where it was: how long the latter took.
    pub(super) fn map_again(&mut self) -> Result<Duration> {
        let (handle,) = self.unmap.call(&mut self.store, ())?;
        self.map(handle)
    }
}

impl Guest for Mapping {
    fn sum(&mut self) -> Result<u64> {
        Ok(self.sum.call(&mut self.store, ())?.0)
    }
}

/// Has a copy, on an engine with default settings.
pub(super) struct Copying {
    store: Store<()>,
    sum: TypedFunc<(), (u64,)>,
}

/// What instances that copy are made of.
pub(super) struct CopyingMaker {
    component: InstancePre<()>,
}

impl CopyingMaker {
    pub(super) fn new(size: u64) -> Result<Self> {
        let engine = Engine::new(&Config::new())?;
        let component = Component::new(&engine, of_size(include_str!("copies.wat"), size))?;
        Ok(Self { component: Linker::new(&engine).instantiate_pre(&component)? })
    }

    /// An instance that was passed the bytes, and how long that took.
    pub(super) fn make(&self, bytes: &[u8]) -> Result<(Copying, Duration)> {
        let mut store = Store::new(self.component.engine(), ());
        let instance = self.component.instantiate(&mut store)?;
        let take = instance.get_typed_func::<(&[u8],), ()>(&mut store, "take")?;
        let sum = instance.get_typed_func(&mut store, "sum")?;
        let start = Instant::now();
        take.call(&mut store, (bytes,))?;
        Ok((Copying { store, sum }, start.elapsed()))
    }
}

impl Guest for Copying {
    fn sum(&mut self) -> Result<u64> {
        Ok(self.sum.call(&mut self.store, ())?.0)
    }
}

/// Where the bytes are in a memory: at a multiple of a huge page.
const AT: u64 = 2 << 20;

/// A component's text for so many bytes.
fn of_size(text: &str, bytes: u64) -> String {
    let end = AT + bytes;
    let text = text.replace("\nREADER\n", &format!("\n{}\n", include_str!("reader.wat")));
    text.replace("END", &end.to_string())
        .replace("START", &AT.to_string())
        .replace("SIZE", &bytes.to_string())
        .replace("PAGES", &end.div_ceil(GRANULE).to_string())
}
