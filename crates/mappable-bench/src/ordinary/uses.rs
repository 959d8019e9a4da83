//! The ways to use an ordinary component.

use anyhow::{Context, Result, ensure};
use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, ComponentType, Lift, Lower, TypedFunc};

use super::engines::{Ready, Timed, Use};
use crate::method::Method;

/// The loop is in the guest: an export `run: func(rounds: u32) -> u64`, of this name, that returns how much it has done
/// rightly since it was made.
pub(super) struct Rounds(pub(super) &'static str);

impl Use for Rounds {
    type Answer = Timed;

    fn with<T: 'static>(self, component: Ready<T>) -> Result<Timed> {
        let mut store = component.store();
        let instance = component.component.instantiate(&mut store)?;
        let run = instance.get_typed_func::<(u32,), (u64,)>(&mut store, self.0)?;
        Ok(Box::new(Loop { store, run }))
    }
}

struct Loop<T: 'static> {
    store: Store<T>,
    run: TypedFunc<(u32,), (u64,)>,
}

impl<T> Method for Loop<T> {
    fn run(&mut self, rounds: u32) -> Result<u64> {
        Ok(self.run.call(&mut self.store, (rounds,))?.0)
    }
}

/// Like [`Rounds`], once `set` has been given the input. After one round `get` must give the output.
pub(super) struct Worked {
    pub(super) input: Vec<u8>,
    pub(super) output: Vec<u8>,
}

impl Use for Worked {
    type Answer = Timed;

    fn with<T: 'static>(self, component: Ready<T>) -> Result<Timed> {
        let mut store = component.store();
        let instance = component.component.instantiate(&mut store)?;
        let set = instance.get_typed_func::<(&[u8],), ()>(&mut store, "set")?;
        let get = instance.get_typed_func::<(), (Vec<u8>,)>(&mut store, "get")?;
        let run = instance.get_typed_func::<(u32,), (u64,)>(&mut store, "run")?;
        set.call(&mut store, (&self.input,))?;
        run.call(&mut store, (1,))?;
        ensure!(get.call(&mut store, ())?.0 == self.output, "other bytes than were computed natively");
        // An instance that has not done anything yet.
        let mut store = component.store();
        let instance = component.component.instantiate(&mut store)?;
        let set = instance.get_typed_func::<(&[u8],), ()>(&mut store, "set")?;
        let run = instance.get_typed_func(&mut store, "run")?;
        set.call(&mut store, (&self.input,))?;
        Ok(Box::new(Loop { store, run }))
    }
}

/// The loop is in the host: an export of this name is called with each of these in turn, and gives what stands with it.
pub(super) struct Called<P> {
    pub(super) name: &'static str,
    pub(super) calls: [(P, u32); 2],
}

impl<P: Clone + Lower + 'static> Use for Called<P>
where
    (P,): ComponentNamedList + Lower,
{
    type Answer = Timed;

    fn with<T: 'static>(self, component: Ready<T>) -> Result<Timed> {
        let mut store = component.store();
        let instance = component.component.instantiate(&mut store)?;
        let func = instance.get_typed_func::<(P,), (u32,)>(&mut store, self.name)?;
        Ok(Box::new(Caller { store, func, calls: self.calls, done: 0 }))
    }
}

struct Caller<T: 'static, P> {
    store: Store<T>,
    func: TypedFunc<(P,), (u32,)>,
    calls: [(P, u32); 2],
    done: u64,
}

impl<T, P: Clone> Method for Caller<T, P>
where
    (P,): ComponentNamedList + Lower,
{
    fn run(&mut self, rounds: u32) -> Result<u64> {
        for _ in 0..rounds {
            let (given, expected) = &self.calls[self.done as usize % 2];
            let (answer,) = self.func.call(&mut self.store, (given.clone(),))?;
            self.done += u64::from(answer == *expected);
        }
        Ok(self.done)
    }
}

/// A new store and instance each time, which works once and goes: see `fresh.wat`.
#[derive(Clone, Copy)]
pub(super) struct Fresh {
    /// Pages that it begins with, and by how many it grows.
    pub(super) pages: u32,
    pub(super) grow: u32,
    /// How many bytes there are, of which each 4 KiB are touched.
    pub(super) touch: u32,
}

impl Fresh {
    /// An instance that has worked.
    fn instance<T>(self, component: &Ready<T>) -> Result<Store<T>> {
        let mut store = component.store();
        let instance = component.component.instantiate(&mut store)?;
        let work = instance.get_typed_func::<(u32, u32), (u32,)>(&mut store, "work")?;
        let (pages,) = work.call(&mut store, (self.grow, self.touch))?;
        ensure!(pages == self.pages + self.grow, "it has {pages} pages");
        Ok(store)
    }
}

impl Use for Fresh {
    type Answer = Timed;

    fn with<T: 'static>(self, component: Ready<T>) -> Result<Timed> {
        Ok(Box::new(Again { fresh: self, component, done: 0 }))
    }
}

struct Again<T: 'static> {
    fresh: Fresh,
    component: Ready<T>,
    done: u64,
}

impl<T> Method for Again<T> {
    fn run(&mut self, rounds: u32) -> Result<u64> {
        for _ in 0..rounds {
            self.fresh.instance(&self.component)?;
            self.done += 1;
        }
        Ok(self.done)
    }
}

/// Instances, that are there until it is dropped.
pub(super) trait Crowd {
    /// Makes so many instances that have worked.
    fn gather(&mut self, count: usize) -> Result<()>;
    /// Lets them go.
    fn leave(&mut self);
}

/// Like [`Fresh`], and they stay.
pub(super) struct Staying(pub(super) Fresh);

impl Use for Staying {
    type Answer = Box<dyn Crowd>;

    fn with<T: 'static>(self, component: Ready<T>) -> Result<Box<dyn Crowd>> {
        Ok(Box::new(Stores { fresh: self.0, component, stores: vec![] }))
    }
}

struct Stores<T: 'static> {
    fresh: Fresh,
    component: Ready<T>,
    stores: Vec<Store<T>>,
}

impl<T> Crowd for Stores<T> {
    fn gather(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.stores.push(self.fresh.instance(&self.component)?);
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.stores.clear();
    }
}

/// How a picture's bytes are to be read, as `mappable:stage/format` says it.
#[derive(Clone, Copy, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "only ever lifted")]
pub(super) enum Pixels {
    #[component(name = "encoded")]
    Encoded,
    #[component(name = "gray8")]
    Gray8,
    #[component(name = "rgba8")]
    Rgba8,
}

/// Geometry and format of a picture.
#[derive(Clone, Copy, ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct Header {
    pixels: Pixels,
    width: u32,
    height: u32,
    size: u64,
}

impl Header {
    /// Pixels of four bytes, as many in a row as there are rows.
    pub(super) fn square(side: u32) -> Self {
        Self { pixels: Pixels::Rgba8, width: side, height: side, size: u64::from(side) * u64::from(side) * 4 }
    }
}

/// A stage of world `copying-stage`, which is handed a picture by copy.
pub(super) struct Stage {
    pub(super) picture: Vec<u8>,
    pub(super) header: Header,
    /// What it must give.
    pub(super) expected: Vec<u8>,
}

/// What such a stage gives.
pub(super) struct Once(pub(super) Vec<u8>, pub(super) Header);

impl Use for Stage {
    type Answer = Timed;

    fn with<T: 'static>(self, component: Ready<T>) -> Result<Timed> {
        Ok(Box::new(Working { step: Step::new(&component)?, stage: self, done: 0 }))
    }
}

impl Use for Once {
    type Answer = Vec<u8>;

    fn with<T: 'static>(self, component: Ready<T>) -> Result<Vec<u8>> {
        Step::new(&component)?.run(&self.0, self.1)
    }
}

struct Working<T: 'static> {
    step: Step<T>,
    stage: Stage,
    done: u64,
}

impl<T> Method for Working<T> {
    fn run(&mut self, rounds: u32) -> Result<u64> {
        for _ in 0..rounds {
            let given = self.step.run(&self.stage.picture, self.stage.header)?;
            self.done += u64::from(given == self.stage.expected);
        }
        Ok(self.done)
    }
}

type Run = TypedFunc<(Vec<u8>, Header, Vec<String>), (Result<(Vec<u8>, Header), String>,)>;

/// A stage in a store of its own.
struct Step<T: 'static> {
    store: Store<T>,
    run: Run,
}

impl<T: 'static> Step<T> {
    fn new(component: &Ready<T>) -> Result<Self> {
        let mut store = component.store();
        let instance = component.component.instantiate(&mut store)?;
        let step = instance.get_export_index(&mut store, None, "mappable:stage/copying-step@0.1.0");
        let run = instance.get_export_index(&mut store, step.as_ref(), "run").context("not a copying stage")?;
        let run = instance.get_typed_func(&mut store, run)?;
        Ok(Self { store, run })
    }

    fn run(&mut self, picture: &[u8], header: Header) -> Result<Vec<u8>> {
        let (answer,) = self.run.call(&mut self.store, (picture.to_vec(), header, vec![]))?;
        Ok(answer.map_err(anyhow::Error::msg)?.0)
    }
}
