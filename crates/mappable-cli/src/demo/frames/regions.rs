//! Frames in regions, which go around a ring: the host fills one, the stages hand it along by plain calls, the screen shows
//! it, and the host fills it again.

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use mappable::{Handle, Mappable, MappableCtx, MappableView, Runtime};
use wasmtime::component::{Component, Linker, TypedFunc};
use wasmtime::{Config, Store, StoreContextMut};

use super::film::Film;
use super::lane::{Lane, Setting, Shape, Shared, compose, push_of, trapped, unloaded};

pub(super) const STEP: &str = "mappable:frames/region-step@0.1.0";
pub(super) const NEXT: &str = "mappable:frames/region-next@0.1.0";
/// Regions in the ring: as cameras have buffers, of which one is filled while the other is worked on.
const RING: usize = 2;

pub(super) struct Regions {
    film: Arc<Film>,
    store: Store<State>,
    push: TypedFunc<(Handle, Shape), ()>,
    shape: Shape,
}

struct State {
    mappable: MappableCtx,
    screen: Shared,
    /// Those that nobody works on.
    ring: VecDeque<Mappable>,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

impl Regions {
    pub(super) fn new(setting: &Setting<'_>) -> Result<Self> {
        let (runtime, component) = compiled(setting)?;
        let mut linker = Linker::new(runtime.engine());
        mappable::add_to_linker::<State>(&mut linker).map_err(unloaded)?;
        let next = linker.instance(NEXT).and_then(|mut next| next.func_wrap("push", show));
        next.map_err(unloaded)?;

        let film = setting.film.clone();
        let ring = (0..RING).map(|_| runtime.allocate(film.frame_bytes() as u64)).collect::<Result<_, _>>()?;
        let state = State { mappable: runtime.context(), screen: setting.screen.clone(), ring };
        let mut store = runtime.store(state);
        let instance = linker.instantiate(&mut store, &component).map_err(unloaded)?;
        let push = instance.get_typed_func(&mut store, push_of(&component, STEP)?).map_err(unloaded)?;
        Ok(Self { film, store, push, shape: setting.shape() })
    }
}

/// All stages as one component, and a runtime for it.
pub(super) fn compiled(setting: &Setting<'_>) -> Result<(Runtime, Component)> {
    let runtime = setting.options.build(Config::new())?;
    let composed = compose(|stage| stage.regions, STEP, NEXT)?;
    let component = runtime.compile(&composed).map_err(|error| unloaded(anyhow::Error::from(error)))?;
    Ok((runtime, component))
}

/// What the last stage pushes to.
fn show(mut store: StoreContextMut<'_, State>, (frame, _): (Handle, Shape)) -> wasmtime::Result<()> {
    let state = store.data_mut();
    let region = state.mappable.remove(frame)?;
    state.screen.get().show(region.bytes()?);
    state.ring.push_back(region);
    Ok(())
}

impl Lane for Regions {
    fn run(&mut self, frames: usize, work: bool) -> Result<()> {
        let shape = Shape { work, ..self.shape };
        for number in 0..frames {
            let state = self.store.data_mut();
            let mut region = state.ring.pop_front().context("no region came back")?;
            region.bytes_mut()?.copy_from_slice(self.film.frame(number));
            let frame = state.mappable.insert(region)?;
            self.push.call(&mut self.store, (frame, shape)).map_err(|error| trapped(&error))?;
        }
        ensure!(self.store.data().ring.len() == RING, "a region is missing");
        Ok(())
    }
}
