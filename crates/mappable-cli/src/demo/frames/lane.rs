//! A way to pass frames from stage to stage, and what all ways share.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions};
use wasmtime::component::{Component, ComponentExportIndex, ComponentType, Lift, Lower};

use super::cores::Cores;
use super::film::{Film, Screen};
use super::lists::{Carried, Lists};
use super::regions::Regions;
use super::streams::Streams;
use crate::failure::{Exit, fail, trap_reason};
use crate::runtime::Options;

/// How frames are passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Way {
    /// Regions, by mappable: no copy
    Regions,
    /// The same on several cores, each frame on one of them
    Cores,
    /// `list<u8>`, from component to component, on stock Wasmtime: a copy into each stage, by the canonical ABI
    Lists,
    /// `list<u8>`, on stock Wasmtime, where the host takes it from each stage and gives it to the next: two copies by memcpy
    ListsByHost,
    /// `stream<u8>`, from component to component, on stock Wasmtime: a copy into each stage by memcpy
    Streams,
}

impl Way {
    /// For people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Regions => "regions",
            Self::Cores => "regions, on cores",
            Self::Lists => "list<u8>",
            Self::ListsByHost => "list<u8>, by the host",
            Self::Streams => "stream<u8>",
        }
    }

    /// How often a frame is copied between the first stage and the last.
    pub(super) fn copies(self) -> u64 {
        let hand_overs = STAGES.len() as u64 - 1;
        match self {
            Self::Regions | Self::Cores => 0,
            Self::Lists | Self::Streams => hand_overs,
            Self::ListsByHost => 2 * hand_overs,
        }
    }

    pub(super) fn lane(self, stage: &Setting<'_>) -> Result<Box<dyn Lane>> {
        let lane: Result<Box<dyn Lane>> = match self {
            Self::Regions => Regions::new(stage).map(|lane| Box::new(lane) as _),
            Self::Cores => Cores::new(stage).map(|lane| Box::new(lane) as _),
            Self::Lists => Lists::new(stage).map(|lane| Box::new(lane) as _),
            Self::ListsByHost => Carried::new(stage).map(|lane| Box::new(lane) as _),
            Self::Streams => Streams::new(stage).map(|lane| Box::new(lane) as _),
        };
        lane.with_context(|| self.title())
    }
}

/// Stages, in stores of a lane's own.
pub(super) trait Lane {
    /// Pushes so many frames through all stages and onto the screen, from the film's first on.
    fn run(&mut self, frames: usize, work: bool) -> Result<()>;
}

/// What lanes are made for.
pub(super) struct Setting<'a> {
    pub(super) film: Arc<Film>,
    pub(super) screen: Shared,
    pub(super) size: (u32, u32),
    /// How many cores the lane for several uses.
    pub(super) jobs: usize,
    pub(super) options: &'a Options,
}

impl Setting<'_> {
    pub(super) fn shape(&self) -> Shape {
        Shape { width: self.size.0, height: self.size.1, work: true }
    }
}

/// The screen, which each lane's host functions reach.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Screen>>);

impl Shared {
    pub(super) fn new(screen: Screen) -> Self {
        Self(Arc::new(Mutex::new(screen)))
    }

    pub(super) fn get(&self) -> MutexGuard<'_, Screen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How stages are to read a frame.
#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct Shape {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) work: bool,
}

/// A stage in the worlds of the three lanes.
pub(super) struct Stage {
    pub(super) name: &'static str,
    pub(super) regions: &'static [u8],
    pub(super) lists: &'static [u8],
    pub(super) streams: &'static [u8],
}

macro_rules! stage {
    ($name:literal) => {
        Stage {
            name: $name,
            regions: stage!($name, ".wasm"),
            lists: stage!($name, ".copying.wasm"),
            streams: stage!($name, ".streams.wasm"),
        }
    };
    ($name:literal, $suffix:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/stages/frame-", $name, $suffix))
    };
}

/// In the order of the pipeline.
pub(super) const STAGES: [Stage; 5] =
    [stage!("exposure"), stage!("threshold"), stage!("letterbox"), stage!("overlay"), stage!("histogram")];

/// One component of all stages, each of which pushes to the next; the last one's next is what the component imports.
pub(super) fn compose(of: fn(&Stage) -> &'static [u8], step: &str, next: &str) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let mut behind = None;
    for stage in STAGES.iter().rev() {
        let package = Package::from_bytes(&format!("frames:{}", stage.name), None, of(stage), graph.types_mut())?;
        let instance = graph.register_package(package)?;
        let instance = graph.instantiate(instance);
        if let Some(behind) = behind {
            graph.set_instantiation_argument(instance, next, behind)?;
        }
        behind = Some(graph.alias_instance_export(instance, step)?);
    }
    graph.export(behind.context("no stages")?, step)?;
    Ok(graph.encode(EncodeOptions::default())?)
}

/// The function `push` of the interface that a component exports.
pub(super) fn push_of(component: &Component, step: &str) -> Result<ComponentExportIndex> {
    let interface = component.get_export_index(None, step).context("no interface of a stage")?;
    component.get_export_index(Some(&interface), "push").context("no function `push`")
}

/// A component that is part of the command did not begin.
pub(super) fn unloaded(error: impl Display) -> anyhow::Error {
    fail(Exit::Load, format!("{error:#}"))
}

pub(super) fn trapped(error: &wasmtime::Error) -> anyhow::Error {
    fail(Exit::Trap, trap_reason(error))
}
