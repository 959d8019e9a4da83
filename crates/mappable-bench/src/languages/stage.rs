//! A stage that is called again and again with the same bytes, which it inverts.

use core::fmt;

use anyhow::{Context, Result, ensure};
use mappable::{Handle, Mappable, MappableCtx, MappableView, Runtime};
use wasmtime::component::{Component, ComponentType, Instance, Lift, Linker, Lower, ResourceTable, TypedFunc};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::method::Method;

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The picture is one pixel, in as many bytes as ever.
    HandOver,
    /// The picture is all bytes.
    Whole,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HandOver => "hand-over",
            Self::Whole => "whole",
        })
    }
}

/// As `mappable:stage/format` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
enum Pixels {
    #[component(name = "encoded")]
    #[allow(dead_code, reason = "only ever lifted")]
    Encoded,
    #[component(name = "gray8")]
    Gray8,
    #[component(name = "rgba8")]
    #[allow(dead_code, reason = "only ever lifted")]
    Rgba8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
struct Header {
    pixels: Pixels,
    width: u32,
    height: u32,
    size: u64,
}

impl Header {
    /// A square of gray pixels: what `part` is of so many bytes.
    fn of(bytes: u64, part: Part) -> Header {
        let size = match part {
            Part::HandOver => 1,
            Part::Whole => bytes,
        };
        let side = 1 << (size.trailing_zeros() / 2);
        Header { pixels: Pixels::Gray8, width: side, height: side, size }
    }
}

/// Far more than a call passes: the engine counts lists, and placements are lists.
const HOSTCALL_FUEL: usize = 1 << 40;

fn function<T, P, R>(store: &mut Store<T>, instance: &Instance, interface: &str) -> Result<TypedFunc<P, R>>
where
    T: 'static,
    P: wasmtime::component::ComponentNamedList + Lower,
    R: wasmtime::component::ComponentNamedList + Lift,
{
    let interface =
        instance.get_export_index(&mut *store, None, interface).context("the component is no such stage")?;
    let run = instance.get_export_index(&mut *store, Some(&interface), "run").context("the stage has no `run`")?;
    Ok(instance.get_typed_func(store, run)?)
}

/// Checks a byte of each 4 KiB, at other places each time, and the ends: all must have been inverted so often.
fn check(bytes: &[u8], header: &Header, calls: u64) -> Result<()> {
    let size = usize::try_from(header.size)?;
    let inverted = if calls.is_multiple_of(2) { 0 } else { 0xff };
    let offset = (calls as usize).wrapping_mul(997) % 4096;
    let places = (offset..bytes.len()).step_by(4096).chain([0, size - 1, bytes.len() - 1]);
    for at in places {
        let expected = if at < size { inverted } else { 0 };
        ensure!(bytes[at] == expected, "byte {at} is {} after {calls} calls, not {expected}", bytes[at]);
    }
    Ok(())
}

type RunRegion = TypedFunc<(Handle, Header, Vec<String>), (Result<(Handle, Header), String>,)>;
type RunList = TypedFunc<(Vec<u8>, Header, Vec<String>), (Result<(Vec<u8>, Header), String>,)>;

struct State {
    mappable: MappableCtx,
    /// For the runtimes of languages that import it. There is nothing in it.
    wasi: WasiCtx,
    table: ResourceTable,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// By a region, on this project's runtime.
pub(super) struct Regions {
    store: Store<State>,
    run: RunRegion,
    /// `None` only during a call.
    region: Option<Mappable>,
    header: Header,
    calls: u64,
}

impl Regions {
    pub(super) fn new(runtime: &Runtime, component: &Component, bytes: u64, part: Part) -> Result<Self> {
        let mut linker = Linker::new(runtime.engine());
        mappable::add_to_linker::<State>(&mut linker)?;
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        let wasi = WasiCtx::builder().build();
        let mut store =
            Store::new(runtime.engine(), State { mappable: runtime.context(), wasi, table: ResourceTable::new() });
        store.set_hostcall_fuel(HOSTCALL_FUEL);
        let instance = linker.instantiate(&mut store, component)?;
        let run = function(&mut store, &instance, "mappable:stage/step@0.1.0")?;
        let region = Some(runtime.allocate(bytes)?);
        Ok(Self { store, run, region, header: Header::of(bytes, part), calls: 0 })
    }
}

impl Method for Regions {
    fn run(&mut self, rounds: u32) -> Result<u64> {
        for _ in 0..rounds {
            let region = self.region.take().context("the stage failed before")?;
            let handle = self.store.data_mut().mappable.insert(region)?;
            let (answer,) = self.run.call(&mut self.store, (handle, self.header, vec![]))?;
            let (handle, header) = answer.map_err(anyhow::Error::msg)?;
            ensure!(header == self.header, "the stage gave {header:?}");
            self.region = Some(self.store.data_mut().mappable.remove(handle)?);
            self.calls += 1;
        }
        check(self.region.as_ref().context("the stage failed")?.bytes()?, &self.header, self.calls)?;
        Ok(self.calls)
    }
}

/// By a list, on a stock engine.
pub(super) struct Lists {
    store: Store<()>,
    run: RunList,
    bytes: Vec<u8>,
    header: Header,
    calls: u64,
}

impl Lists {
    pub(super) fn new(engine: &Engine, component: &Component, bytes: u64, part: Part) -> Result<Self> {
        let mut store = Store::new(engine, ());
        store.set_hostcall_fuel(HOSTCALL_FUEL);
        let instance = Linker::new(engine).instantiate(&mut store, component)?;
        let run = function(&mut store, &instance, "mappable:stage/copying-step@0.1.0")?;
        Ok(Self { store, run, bytes: vec![0; usize::try_from(bytes)?], header: Header::of(bytes, part), calls: 0 })
    }
}

impl Method for Lists {
    fn run(&mut self, rounds: u32) -> Result<u64> {
        for _ in 0..rounds {
            let bytes = core::mem::take(&mut self.bytes);
            let length = bytes.len();
            let (answer,) = self.run.call(&mut self.store, (bytes, self.header, vec![]))?;
            let (mut bytes, header) = answer.map_err(anyhow::Error::msg)?;
            let is_whole = header == self.header && (header.size..=length as u64).contains(&(bytes.len() as u64));
            ensure!(is_whole, "the stage gave {header:?} and {} bytes", bytes.len());
            // A stage may leave away what is behind the picture.
            bytes.resize(length, 0);
            self.bytes = bytes;
            self.calls += 1;
        }
        check(&self.bytes, &self.header, self.calls)?;
        Ok(self.calls)
    }
}
