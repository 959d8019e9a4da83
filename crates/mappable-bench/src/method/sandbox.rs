//! Components that the host hands one region after the other, from wherever they come.

use anyhow::Result;
use mappable::{Frozen, FrozenHandle, Handle, Mappable, MappableView, MappingMode, Runtime};
use wasmtime::Store;
use wasmtime::component::TypedFunc;

use super::guests::{State, linker, runtime, store};
use super::{of_size, pipeline};
use crate::tier::Tier;

/// A runtime for components that regions are handed to.
pub(crate) fn runtime_for_sandboxes() -> Result<Runtime> {
    runtime(Tier::Baseline, MappingMode::Auto, false)
}

/// A component that writes a line of each region: it adds one to the words in it.
pub(crate) struct Writer {
    store: Store<State>,
    process: TypedFunc<(Handle,), (Handle,)>,
}

impl Writer {
    pub(crate) fn new(runtime: &Runtime, size: u64) -> Result<Self> {
        let component = runtime.compile(pipeline::text(1, size).as_bytes())?;
        let mut store = store(runtime, size)?;
        let instance = linker(runtime)?.instantiate(&mut store, &component)?;
        let process = instance.get_typed_func(&mut store, "process")?;
        Ok(Self { store, process })
    }

    pub(crate) fn write(&mut self, region: Mappable) -> Result<Mappable> {
        let handle = self.store.data_mut().mappable().insert(region)?;
        let (handle,) = self.process.call(&mut self.store, (handle,))?;
        Ok(self.store.data_mut().mappable().remove(handle)?)
    }
}

/// A component that reads a line of frozen bytes, and is done with them.
pub(crate) struct Reader {
    store: Store<State>,
    read: TypedFunc<(FrozenHandle,), (u64,)>,
}

impl Reader {
    pub(crate) fn new(runtime: &Runtime, size: u64) -> Result<Self> {
        let component = runtime.compile(of_size(include_str!("../ipc/reader.wat"), size).as_bytes())?;
        let mut store = store(runtime, size)?;
        let instance = linker(runtime)?.instantiate(&mut store, &component)?;
        let read = instance.get_typed_func(&mut store, "read")?;
        Ok(Self { store, read })
    }

    /// What all words of the line hold.
    pub(crate) fn read(&mut self, frozen: Frozen) -> Result<u64> {
        let handle = self.store.data_mut().mappable().insert_frozen(frozen)?;
        Ok(self.read.call(&mut self.store, (handle,))?.0)
    }
}
