//! Image stages, as workers have them: each thread a store with instances of its own.

use anyhow::{Context, Result, anyhow};
use mappable::{FrozenHandle, Handle, Mappable, MappableCtx, MappableView, Runtime};
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentType, InstancePre, Lift, Linker, Lower, TypedFunc,
};
use wasmtime::{Config, Store};

use crate::stages::{BLUR, INVERT, PIPELINE, STEP, Stage, compose};

const PARALLEL: &str = "mappable:stage/parallel@0.1.0";

/// Arguments of the stage that is run by rows.
const RADIUS: &str = "2";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum Pixels {
    #[component(name = "encoded")]
    #[allow(dead_code, reason = "only ever lifted")]
    Encoded,
    #[component(name = "gray8")]
    #[allow(dead_code, reason = "only ever lifted")]
    Gray8,
    #[component(name = "rgba8")]
    Rgba8,
}

/// What a stage is told of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct Header {
    pub(super) pixels: Pixels,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) size: u64,
}

impl Header {
    pub(super) fn rgba8(width: u32, height: u32) -> Self {
        Self { pixels: Pixels::Rgba8, width, height, size: u64::from(width) * u64::from(height) * 4 }
    }
}

type Run = TypedFunc<(Handle, Header, Vec<String>), (Result<(Handle, Header), String>,)>;
type ChangePixels = TypedFunc<(Handle, Header, u64, u64, Vec<String>), (Result<Handle, String>,)>;
type MakeRows = TypedFunc<(FrozenHandle, Header, Handle, u64, u32, u32, Vec<String>), (Result<Handle, String>,)>;

pub(super) struct State {
    mappable: MappableCtx,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

/// What workers are made of.
#[derive(Clone)]
pub(super) struct Maker {
    pub(super) runtime: Runtime,
    invert: (InstancePre<State>, ComponentExportIndex),
    blur: (InstancePre<State>, ComponentExportIndex, ComponentExportIndex),
    pipeline: (InstancePre<State>, ComponentExportIndex),
}

/// Some of the demo's stages in a row, as one component.
#[derive(Clone)]
pub(super) struct Group {
    runtime: Runtime,
    guest: InstancePre<State>,
    run: ComponentExportIndex,
    args: Vec<String>,
}

/// An instance of them, in a store of its own.
pub(super) struct Step {
    store: Store<State>,
    run: Run,
    args: Vec<String>,
}

pub(super) struct Worker {
    store: Store<State>,
    invert: ChangePixels,
    blur: MakeRows,
    blur_whole: Run,
    pipeline: Run,
}

impl Maker {
    pub(super) fn new() -> Result<Self> {
        let mut config = Config::new();
        // Stages are plain synchronous functions, and calls are faster so.
        config.concurrency_support(false);
        let runtime = Runtime::builder().config(config).build()?;
        let ready = |bytes: &[u8]| ready(&runtime, bytes);
        let invert = ready(INVERT)?;
        let change = exported(invert.component(), PARALLEL, "change-pixels")?;
        let blur = ready(BLUR)?;
        let make_rows = exported(blur.component(), PARALLEL, "make-rows")?;
        let run_blur = exported(blur.component(), STEP, "run")?;
        let pipeline = ready(&compose(&PIPELINE.each_ref())?)?;
        let run = exported(pipeline.component(), STEP, "run")?;
        let (invert, blur, pipeline) = ((invert, change), (blur, make_rows, run_blur), (pipeline, run));
        Ok(Self { runtime, invert, blur, pipeline })
    }

    pub(super) fn group(&self, stages: &[Stage]) -> Result<Group> {
        let guest = ready(&self.runtime, &compose(&stages.iter().collect::<Vec<_>>())?)?;
        let run = exported(guest.component(), STEP, "run")?;
        Ok(Group { runtime: self.runtime.clone(), guest, run, args: args(stages) })
    }

    pub(super) fn worker(&self) -> wasmtime::Result<Worker> {
        let mut store = self.runtime.store(State { mappable: self.runtime.context() });
        let instance = self.invert.0.instantiate(&mut store)?;
        let invert = instance.get_typed_func(&mut store, self.invert.1)?;
        let instance = self.blur.0.instantiate(&mut store)?;
        let blur = instance.get_typed_func(&mut store, self.blur.1)?;
        let blur_whole = instance.get_typed_func(&mut store, self.blur.2)?;
        let instance = self.pipeline.0.instantiate(&mut store)?;
        let pipeline = instance.get_typed_func(&mut store, self.pipeline.1)?;
        Ok(Worker { store, invert, blur, blur_whole, pipeline })
    }
}

impl Group {
    pub(super) fn step(&self) -> wasmtime::Result<Step> {
        let mut store = self.runtime.store(State { mappable: self.runtime.context() });
        let instance = self.guest.instantiate(&mut store)?;
        let run = instance.get_typed_func(&mut store, self.run)?;
        Ok(Step { store, run, args: self.args.clone() })
    }
}

impl Step {
    pub(super) fn run(&mut self, picture: Mappable, header: Header) -> wasmtime::Result<(Mappable, Header)> {
        let handle = self.store.data_mut().mappable.insert(picture)?;
        let (answer,) = self.run.call(&mut self.store, (handle, header, self.args.clone()))?;
        let (handle, header) = answer.map_err(wasmtime::Error::msg)?;
        Ok((self.store.data_mut().mappable.remove(handle)?, header))
    }
}

/// The arguments of a composition: with a `--` between those of one stage and of the next.
fn args(stages: &[Stage]) -> Vec<String> {
    let args: Vec<Vec<String>> = stages
        .iter()
        .map(|stage| Some(stage.arg.to_owned()).filter(|arg| !arg.is_empty()).into_iter().collect())
        .collect();
    args.join(&"--".to_owned())
}

fn ready(runtime: &Runtime, bytes: &[u8]) -> Result<InstancePre<State>> {
    let mut linker = Linker::new(runtime.engine());
    mappable::add_to_linker::<State>(&mut linker)?;
    Ok(linker.instantiate_pre(&runtime.compile(bytes)?)?)
}

fn exported(component: &Component, interface: &str, name: &str) -> Result<ComponentExportIndex> {
    let interface = component.get_export_index(None, interface).context("no interface of a stage")?;
    component.get_export_index(Some(&interface), name).with_context(|| format!("no function {name}"))
}

impl Worker {
    /// Inverts the pixels in a part.
    pub(super) fn invert(
        &mut self,
        part: Mappable,
        header: Header,
        bytes: std::ops::Range<u64>,
    ) -> wasmtime::Result<Mappable> {
        let handle = self.store.data_mut().mappable.insert(part)?;
        let passed = (handle, header, bytes.start, bytes.end - bytes.start, vec![]);
        let (answer,) = self.invert.call(&mut self.store, passed)?;
        self.taken(answer)
    }

    /// Makes rows of the blurred picture in a part.
    pub(super) fn blur(
        &mut self,
        picture: mappable::Frozen,
        header: Header,
        part: Mappable,
        offset: u64,
        rows: std::ops::Range<u64>,
    ) -> wasmtime::Result<Mappable> {
        let picture = self.store.data_mut().mappable.insert_frozen(picture)?;
        let handle = self.store.data_mut().mappable.insert(part)?;
        let (first, end) = (u32::try_from(rows.start)?, u32::try_from(rows.end)?);
        let passed = (picture, header, handle, offset, first, end - first, vec![RADIUS.to_owned()]);
        let (answer,) = self.blur.call(&mut self.store, passed)?;
        self.taken(answer)
    }

    /// Blurs a whole picture in place, as one instance does.
    pub(super) fn blur_whole(&mut self, picture: Mappable, header: Header) -> Result<Mappable> {
        let handle = self.store.data_mut().mappable.insert(picture)?;
        let (answer,) = self.blur_whole.call(&mut self.store, (handle, header, vec![RADIUS.to_owned()]))?;
        let (handle, _) = answer.map_err(|text| anyhow!(text))?;
        Ok(self.store.data_mut().mappable.remove(handle)?)
    }

    /// Sends a picture through all stages of the demo's pipeline, and returns a file.
    pub(super) fn pipeline(&mut self, picture: Mappable, header: Header) -> wasmtime::Result<(Mappable, u64)> {
        let handle = self.store.data_mut().mappable.insert(picture)?;
        let (answer,) = self.pipeline.call(&mut self.store, (handle, header, args(&PIPELINE)))?;
        let (handle, header) = answer.map_err(wasmtime::Error::msg)?;
        Ok((self.store.data_mut().mappable.remove(handle)?, header.size))
    }

    fn taken(&mut self, answer: Result<Handle, String>) -> wasmtime::Result<Mappable> {
        let handle = answer.map_err(wasmtime::Error::msg)?;
        Ok(self.store.data_mut().mappable.remove(handle)?)
    }
}
