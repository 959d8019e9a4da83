//! Frames in regions on several cores: each worker has all stages, in a store of its own, and takes one frame after the other. A
//! frame has one owner at a time, so the cores share nothing that can change.

use std::sync::Arc;

use anyhow::{Result, ensure};
use mappable::workers::{MapError, Workers};
use mappable::{Handle, Mappable, MappableCtx, MappableView};
use wasmtime::component::{Linker, TypedFunc};
use wasmtime::{Store, StoreContextMut};

use super::film::Film;
use super::lane::{Lane, Setting, Shape, Shared, push_of, trapped, unloaded};
use super::regions::{NEXT, STEP, compiled};
use crate::failure::{Exit, fail};

pub(super) struct Cores {
    film: Arc<Film>,
    screen: Shared,
    workers: Workers<Worker>,
    /// Those that nobody works on: two for each worker, so that one is done while the other is looked at.
    ring: Vec<Mappable>,
    shape: Shape,
}

struct Worker {
    store: Store<State>,
    push: TypedFunc<(Handle, Shape), ()>,
}

struct State {
    mappable: MappableCtx,
    /// What the last stage pushed.
    shown: Option<Mappable>,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

impl Cores {
    pub(super) fn new(setting: &Setting<'_>) -> Result<Self> {
        let (runtime, component) = compiled(setting)?;
        let mut linker = Linker::new(runtime.engine());
        mappable::add_to_linker::<State>(&mut linker).map_err(unloaded)?;
        let next = linker.instance(NEXT).and_then(|mut next| {
            next.func_wrap("push", |mut store: StoreContextMut<'_, State>, (frame, _): (Handle, Shape)| {
                let state = store.data_mut();
                state.shown = Some(state.mappable.remove(frame)?);
                Ok(())
            })
        });
        next.map_err(unloaded)?;
        let guest = linker.instantiate_pre(&component).map_err(unloaded)?;
        let push = push_of(&component, STEP)?;

        let film = setting.film.clone();
        let frame_bytes = film.frame_bytes() as u64;
        let ring = (0..2 * setting.jobs).map(|_| runtime.allocate(frame_bytes)).collect::<Result<_, _>>()?;
        let make = move || {
            let mut store = runtime.store(State { mappable: runtime.context(), shown: None });
            let instance = guest.instantiate(&mut store)?;
            let push = instance.get_typed_func(&mut store, push)?;
            Ok(Worker { store, push })
        };
        let workers = Workers::new(setting.jobs, make).map_err(unloaded)?;
        Ok(Self { film, screen: setting.screen.clone(), workers, ring, shape: setting.shape() })
    }
}

impl Worker {
    /// The camera's copy, and all stages.
    fn frame(&mut self, mut region: Mappable, frame: &[u8], shape: Shape) -> wasmtime::Result<Mappable> {
        region.bytes_mut()?.copy_from_slice(frame);
        let frame = self.store.data_mut().mappable.insert(region)?;
        self.push.call(&mut self.store, (frame, shape))?;
        self.store.data_mut().shown.take().ok_or_else(|| wasmtime::Error::msg("no region came back"))
    }
}

impl Lane for Cores {
    fn run(&mut self, frames: usize, work: bool) -> Result<()> {
        let (film, shape) = (&self.film, Shape { work, ..self.shape });
        let size = self.ring.len();
        for first in (0..frames).step_by(size) {
            let items = self.ring.drain(..size.min(frames - first)).collect();
            let done =
                self.workers.map(items, |worker, at, region| worker.frame(region, film.frame(first + at), shape));
            let done = done.map_err(|failed| match failed.reason {
                MapError::Failed { source, .. } => trapped(&source),
                reason => fail(Exit::Work, reason),
            })?;
            for region in done {
                self.screen.get().show(region.bytes()?);
                self.ring.push(region);
            }
        }
        ensure!(self.ring.len() == size, "a region is missing");
        Ok(())
    }
}
