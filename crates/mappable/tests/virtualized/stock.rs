//! A component on a stock engine, and the interface to regions as its host calls it.

use anyhow::{Context, Result};
use mappable::bindings::types::{AccessError, AllocateError, PartError};
use wasmtime::component::{Component, ComponentNamedList, Instance, Lift, Linker, Lower, ResourceAny};
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder};

use crate::image::Header;
use crate::{GRANULE, STEP, TYPES};

const COPYING_STEP: &str = "mappable:stage/copying-step@0.1.0";

pub(crate) type Region = ResourceAny;
pub(crate) type Frozen = ResourceAny;

/// An instance on a stock engine, with nothing to link to.
pub(crate) struct Stock {
    store: Store<StoreLimits>,
    instance: Instance,
}

impl Stock {
    pub(crate) fn new(component: &[u8]) -> Stock {
        Stock::limited(component, usize::MAX)
    }

    /// One whose memories are each of so many bytes at most.
    pub(crate) fn limited(component: &[u8], memory_bytes: usize) -> Stock {
        let engine = Engine::default();
        let component = Component::new(&engine, component).unwrap();
        let limits = StoreLimitsBuilder::new().memory_size(memory_bytes).build();
        let mut store = Store::new(&engine, limits);
        store.limiter(|limits| limits);
        let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
        Stock { store, instance }
    }

    pub(crate) fn try_call<P, R>(&mut self, interface: &str, name: &str, params: P) -> Result<R>
    where
        P: ComponentNamedList + Lower,
        R: Lift + Send + Sync + 'static,
    {
        let interface =
            self.instance.get_export_index(&mut self.store, None, interface).context("no such interface")?;
        let func =
            self.instance.get_export_index(&mut self.store, Some(&interface), name).context("no such function")?;
        let func = self.instance.get_typed_func::<P, (R,)>(&mut self.store, func)?;
        Ok(func.call(&mut self.store, params)?.0)
    }

    pub(crate) fn types<P, R>(&mut self, name: &str, params: P) -> R
    where
        P: ComponentNamedList + Lower,
        R: Lift + Send + Sync + 'static,
    {
        self.try_call(TYPES, name, params).with_context(|| name.to_owned()).unwrap()
    }

    pub(crate) fn allocate(&mut self, size: u64) -> Result<Region, AllocateError> {
        self.types("[static]mappable.allocate", (size,))
    }

    pub(crate) fn size(&mut self, region: Region) -> u64 {
        self.types("[method]mappable.size", (region,))
    }

    pub(crate) fn len(&mut self, region: Region) -> u64 {
        self.types("[method]mappable.len", (region,))
    }

    pub(crate) fn set_len(&mut self, region: Region, len: u64) -> Result<(), AccessError> {
        self.types("[method]mappable.set-len", (region, len))
    }

    pub(crate) fn len_frozen(&mut self, frozen: Frozen) -> u64 {
        self.types("[method]frozen.len", (frozen,))
    }

    pub(crate) fn write(&mut self, region: Region, offset: u64, bytes: &[u8]) -> Result<(), AccessError> {
        self.types("[method]mappable.write", (region, offset, bytes))
    }

    pub(crate) fn read(&mut self, region: Region, offset: u64, len: u32) -> Result<Vec<u8>, AccessError> {
        self.types("[method]mappable.read", (region, offset, len))
    }

    pub(crate) fn freeze(&mut self, region: Region) -> Frozen {
        self.types("[static]mappable.freeze", (region,))
    }

    pub(crate) fn split(&mut self, region: Region, at: u64) -> Result<(Region, Region), (Region, PartError)> {
        self.types("[static]mappable.split", (region, at))
    }

    pub(crate) fn join(&mut self, low: Region, high: Region) -> Result<Region, (Region, Region)> {
        self.types("[static]mappable.join", (low, high))
    }

    pub(crate) fn clone(&mut self, frozen: Frozen) -> Frozen {
        self.types::<_, Result<Frozen, AllocateError>>("[method]frozen.clone", (frozen,)).unwrap()
    }

    pub(crate) fn slice(&mut self, frozen: Frozen, offset: u64, size: u64) -> Result<Frozen, PartError> {
        self.types("[method]frozen.slice", (frozen, offset, size))
    }

    pub(crate) fn thaw(&mut self, frozen: Frozen) -> Result<Region, Frozen> {
        self.types("[static]frozen.thaw", (frozen,))
    }

    pub(crate) fn copy(&mut self, frozen: Frozen) -> Result<Region, AllocateError> {
        self.types("[method]frozen.copy", (frozen,))
    }

    pub(crate) fn read_frozen(&mut self, frozen: Frozen, offset: u64, len: u32) -> Result<Vec<u8>, AccessError> {
        self.types("[method]frozen.read", (frozen, offset, len))
    }

    pub(crate) fn drop(&mut self, handle: ResourceAny) {
        handle.resource_drop(&mut self.store).unwrap();
    }

    /// A region whose granules are filled with one byte each.
    pub(crate) fn region(&mut self, granules: &[u8]) -> Region {
        let region = self.allocate(granules.len() as u64 * GRANULE).unwrap();
        for (&byte, at) in granules.iter().zip(0..) {
            self.write(region, at * GRANULE, &[byte; GRANULE as usize]).unwrap();
        }
        region
    }

    /// What [`region`](Stock::region) was given; a granule that is not all one byte is none of it.
    pub(crate) fn granules(&mut self, region: Region) -> Vec<u8> {
        let size = self.size(region);
        let starts = (0..size).step_by(GRANULE as usize);
        starts.flat_map(|at| granules(&self.read(region, at, GRANULE as u32).unwrap())).collect()
    }

    pub(crate) fn frozen_granules(&mut self, frozen: Frozen) -> Vec<u8> {
        let size: u64 = self.types("[method]frozen.size", (frozen,));
        let bytes = self.read_frozen(frozen, 0, size as u32).unwrap();
        granules(&bytes)
    }

    /// A picture in, through what exports `step`, and a picture out.
    pub(crate) fn step(&mut self, picture: &[u8], header: Header, args: &[String]) -> (Vec<u8>, Header) {
        let region = self.allocate(picture.len() as u64).unwrap();
        for (piece, at) in picture.chunks(1 << 20).zip(0..) {
            self.write(region, at << 20, piece).unwrap();
        }
        let answer: Result<(Region, Header), String> = self.try_call(STEP, "run", (region, header, args)).unwrap();
        let (region, header) = answer.unwrap();
        let mut picture = Vec::new();
        while (picture.len() as u64) < header.size {
            let piece = (header.size - picture.len() as u64).min(1 << 20);
            picture.extend(self.read(region, picture.len() as u64, piece as u32).unwrap());
        }
        self.drop(region);
        (picture, header)
    }

    pub(crate) fn copying_step(&mut self, picture: &[u8], header: Header, args: &[&str]) -> (Vec<u8>, Header) {
        let answer: Result<(Vec<u8>, Header), String> =
            self.try_call(COPYING_STEP, "run", (picture, header, args)).unwrap();
        answer.unwrap()
    }
}

fn granules(bytes: &[u8]) -> Vec<u8> {
    let granules = bytes.chunks(GRANULE as usize);
    granules.map(|granule| granule.iter().copied().reduce(|a, b| if a == b { a } else { 0xff }).unwrap()).collect()
}
