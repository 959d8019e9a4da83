//! Frames in lists, on a stock engine with its default settings: from component to component, or by way of the host.

use std::sync::Arc;

use anyhow::Result;
use wasmtime::component::{Component, Instance, Linker, WasmList};
use wasmtime::{Engine, Store, StoreContextMut};

use super::film::Film;
use super::lane::{Lane, STAGES, Setting, Shape, Shared, compose, push_of, trapped, unloaded};

const STEP: &str = "mappable:frames/list-step@0.1.0";
const NEXT: &str = "mappable:frames/list-next@0.1.0";

/// Stages that are one composition.
pub(super) struct Lists {
    film: Arc<Film>,
    stages: Loaded<Shared>,
    shape: Shape,
}

/// Components in a store.
struct Loaded<T: 'static> {
    store: Store<T>,
    instances: Vec<(Component, Instance)>,
}

type Pushed = (WasmList<u8>, Shape);

impl<T: 'static> Loaded<T> {
    /// Instantiates each of these components, whose next stage is this function of the host.
    fn new(
        components: &[impl AsRef<[u8]>],
        data: T,
        next: impl Fn(StoreContextMut<'_, T>, Pushed) -> wasmtime::Result<()> + Send + Sync + 'static,
    ) -> Result<Self> {
        let engine = Engine::default();
        let mut linker = Linker::new(&engine);
        linker.instance(NEXT).and_then(|mut instance| instance.func_wrap("push", next)).map_err(unloaded)?;
        let mut store = Store::new(&engine, data);
        // So many bytes may a call give to the host.
        store.set_hostcall_fuel(usize::MAX);
        let mut instances = vec![];
        for component in components {
            let component = Component::new(&engine, component).map_err(unloaded)?;
            let instance = linker.instantiate(&mut store, &component).map_err(unloaded)?;
            instances.push((component, instance));
        }
        Ok(Self { store, instances })
    }

    fn push(&mut self, to: usize, frame: &[u8], shape: Shape) -> Result<()> {
        let (component, instance) = &self.instances[to];
        let push = instance.get_typed_func::<(&[u8], Shape), ()>(&mut self.store, push_of(component, STEP)?);
        push.map_err(unloaded)?.call(&mut self.store, (frame, shape)).map_err(|error| trapped(&error))
    }
}

impl Lists {
    pub(super) fn new(setting: &Setting<'_>) -> Result<Self> {
        let composed = compose(|stage| stage.lists, STEP, NEXT)?;
        let show = |store: StoreContextMut<'_, Shared>, (frame, _): Pushed| {
            store.data().get().show(frame.as_le_slice(&store));
            Ok(())
        };
        let stages = Loaded::new(&[composed], setting.screen.clone(), show)?;
        Ok(Self { film: setting.film.clone(), stages, shape: setting.shape() })
    }
}

impl Lane for Lists {
    fn run(&mut self, frames: usize, work: bool) -> Result<()> {
        let shape = Shape { work, ..self.shape };
        (0..frames).try_for_each(|number| self.stages.push(0, self.film.frame(number), shape))
    }
}

/// Stages that the host calls one after the other.
pub(super) struct Carried {
    film: Arc<Film>,
    screen: Shared,
    /// With the buffer that the next stage's frame comes into.
    stages: Loaded<Vec<u8>>,
    /// The buffer that is not in the store: two, again and again.
    spare: Vec<u8>,
    shape: Shape,
}

impl Carried {
    pub(super) fn new(setting: &Setting<'_>) -> Result<Self> {
        let keep = |mut store: StoreContextMut<'_, Vec<u8>>, (frame, _): Pushed| {
            let mut buffer = std::mem::take(store.data_mut());
            buffer.clear();
            buffer.extend_from_slice(frame.as_le_slice(&store));
            *store.data_mut() = buffer;
            Ok(())
        };
        let components = STAGES.each_ref().map(|stage| stage.lists);
        let stages = Loaded::new(&components, vec![], keep)?;
        Ok(Self {
            film: setting.film.clone(),
            screen: setting.screen.clone(),
            stages,
            spare: vec![],
            shape: setting.shape(),
        })
    }
}

impl Lane for Carried {
    fn run(&mut self, frames: usize, work: bool) -> Result<()> {
        let shape = Shape { work, ..self.shape };
        for number in 0..frames {
            self.stages.push(0, self.film.frame(number), shape)?;
            for stage in 1..STAGES.len() {
                std::mem::swap(self.stages.store.data_mut(), &mut self.spare);
                self.stages.push(stage, &self.spare, shape)?;
            }
            self.screen.get().show(self.stages.store.data());
        }
        Ok(())
    }
}
