//! Runs requests, each in a store and an instance of its own, and times each part.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use mappable::{GRANULE, Handle, Mappable, MappableCtx, MappableView, MappingMode, Runtime};
use serde::Serialize;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker, TypedFunc};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

use super::Case;
use crate::method::Method;

/// A word in each is read and written.
const LINE: usize = 64;

/// What a word is when the host has made the bytes afresh.
const FRESH: u64 = 7;

/// How long each part of a request took, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Parts {
    /// The host makes the bytes that it passes, or has kept them.
    pub(super) make_ns: f64,
    /// A store, an instance, and what is called of it.
    pub(super) instantiate_ns: f64,
    /// The call by which the guest takes the bytes: maps the region, or is passed a list.
    pub(super) map_ns: f64,
    pub(super) touch_ns: f64,
    /// The call by which it gives them back.
    pub(super) unmap_ns: f64,
    /// The store goes, and what the host has made.
    pub(super) drop_ns: f64,
}

impl Parts {
    pub(super) fn all(&mut self) -> [&mut f64; 6] {
        let Self { make_ns, instantiate_ns, map_ns, touch_ns, unmap_ns, drop_ns } = self;
        [make_ns, instantiate_ns, map_ns, touch_ns, unmap_ns, drop_ns]
    }
}

/// The parts of each sample: means of its requests.
pub(super) type Log = Rc<RefCell<Vec<Parts>>>;

/// A request's bytes, made by the host and handed to a guest and back.
pub(super) trait Server {
    /// In the host's hands.
    type Bytes;
    /// What calls of an instance need.
    type Running;

    /// Bytes that read as zero.
    fn zeroed(&self) -> Result<Self::Bytes>;
    fn words<'a>(&self, bytes: &'a mut Self::Bytes) -> Result<&'a mut [u8]>;
    fn instantiate(&self) -> Result<Self::Running>;
    fn map(&self, running: &mut Self::Running, bytes: Self::Bytes) -> Result<()>;
    fn touch(&self, running: &mut Self::Running) -> Result<u64>;
    fn unmap(&self, running: &mut Self::Running) -> Result<Self::Bytes>;
}

/// One request after the other.
pub(super) struct Requests<S: Server> {
    server: S,
    /// What is passed in each request, if the host keeps it.
    kept: Option<S::Bytes>,
    lines: u64,
    done: u64,
    log: Log,
}

impl<S: Server + 'static> Requests<S> {
    pub(super) fn boxed(server: S, case: Case, bytes: u64, log: &Log) -> Result<Box<dyn Method>> {
        let kept = match case {
            Case::Kept => Some(server.zeroed()?),
            Case::Fresh => None,
        };
        Ok(Box::new(Self { server, kept, lines: bytes / LINE as u64, done: 0, log: Rc::clone(log) }))
    }
}

impl<S: Server> Requests<S> {
    fn request(&mut self, sums: &mut Parts) -> Result<()> {
        let keeps = self.kept.is_some();
        let word = if keeps { self.done } else { FRESH };
        let start = Instant::now();
        let bytes = match self.kept.take() {
            Some(kept) => kept,
            None => self.make()?,
        };
        let made = Instant::now();
        let mut running = self.server.instantiate()?;
        let instantiated = Instant::now();
        self.server.map(&mut running, bytes)?;
        let mapped = Instant::now();
        let sum = self.server.touch(&mut running)?;
        let touched = Instant::now();
        let mut bytes = self.server.unmap(&mut running)?;
        let unmapped = Instant::now();
        ensure!(sum == word * self.lines, "the words add up to {sum}, not to {word} for each of {}", self.lines);
        self.check(&mut bytes, word + 1)?;
        let checked = Instant::now();
        drop(running);
        self.kept = keeps.then_some(bytes);
        let end = Instant::now();
        let parts = [
            (start, made),
            (made, instantiated),
            (instantiated, mapped),
            (mapped, touched),
            (touched, unmapped),
            (checked, end),
        ];
        for (sum, (from, to)) in sums.all().into_iter().zip(parts) {
            *sum += (to - from).as_nanos() as f64;
        }
        Ok(())
    }

    fn make(&self) -> Result<S::Bytes> {
        let mut bytes = self.server.zeroed()?;
        let words = self.server.words(&mut bytes)?;
        for line in words.chunks_exact_mut(LINE).take(self.lines as usize) {
            line[..8].copy_from_slice(&FRESH.to_le_bytes());
        }
        Ok(bytes)
    }

    /// The host looks at the first line and the last.
    fn check(&self, bytes: &mut S::Bytes, word: u64) -> Result<()> {
        let words = self.server.words(bytes)?;
        for at in [0, (self.lines as usize - 1) * LINE] {
            let found = words.get(at..at + 8).context("bytes are missing")?;
            ensure!(found == word.to_le_bytes(), "a guest has left {found:?}, not {word}");
        }
        Ok(())
    }
}

impl<S: Server> Method for Requests<S> {
    fn run(&mut self, rounds: u32) -> Result<u64> {
        let mut sums = Parts::default();
        for _ in 0..rounds {
            self.request(&mut sums)?;
            self.done += 1;
        }
        sums.all().into_iter().for_each(|sum| *sum /= f64::from(rounds));
        self.log.borrow_mut().push(sums);
        Ok(self.done)
    }
}

/// A component's exports, found once.
struct Exports {
    take: ComponentExportIndex,
    touch: ComponentExportIndex,
    give: ComponentExportIndex,
}

impl Exports {
    fn of(component: &Component) -> Result<Self> {
        let find = |name| component.get_export_index(None, name).context(name);
        Ok(Self { take: find("take")?, touch: find("touch")?, give: find("give")? })
    }
}

/// What a runtime keeps that nobody uses, at the most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) memories: usize,
    pub(super) region_bytes: u64,
}

/// Regions, which guests map.
pub(super) struct Regions {
    runtime: Runtime,
    component: InstancePre<State>,
    exports: Exports,
    size: u64,
}

pub(super) struct State {
    mappable: MappableCtx,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

pub(super) struct RunningRegions {
    store: Store<State>,
    take: TypedFunc<(Handle,), ()>,
    touch: TypedFunc<(), (u64,)>,
    give: TypedFunc<(), (Handle,)>,
}

impl Regions {
    /// On a runtime that keeps so much for the next requests.
    pub(super) fn new(mapping: MappingMode, kept: Kept, bytes: u64) -> Result<Self> {
        let builder = Runtime::builder().config(config()).mapping(mapping);
        let runtime = builder.idle_memories(kept.memories).idle_regions(kept.region_bytes).build()?;
        let size = bytes.next_multiple_of(GRANULE);
        let component = runtime.compile(text(include_str!("region.wat"), bytes).as_bytes())?;
        let mut linker = Linker::new(runtime.engine());
        mappable::add_to_linker::<State>(&mut linker)?;
        let exports = Exports::of(&component)?;
        Ok(Self { component: linker.instantiate_pre(&component)?, runtime, exports, size })
    }
}

impl Server for Regions {
    type Bytes = Mappable;
    type Running = RunningRegions;

    fn zeroed(&self) -> Result<Mappable> {
        Ok(self.runtime.allocate(self.size)?)
    }

    fn words<'a>(&self, bytes: &'a mut Mappable) -> Result<&'a mut [u8]> {
        Ok(bytes.bytes_mut()?)
    }

    fn instantiate(&self) -> Result<RunningRegions> {
        let mut store = Store::new(self.runtime.engine(), State { mappable: self.runtime.context() });
        store.set_hostcall_fuel(usize::try_from(self.size)?);
        let instance = self.component.instantiate(&mut store)?;
        let take = instance.get_typed_func(&mut store, self.exports.take)?;
        let touch = instance.get_typed_func(&mut store, self.exports.touch)?;
        let give = instance.get_typed_func(&mut store, self.exports.give)?;
        Ok(RunningRegions { store, take, touch, give })
    }

    fn map(&self, running: &mut RunningRegions, bytes: Mappable) -> Result<()> {
        let handle = running.store.data_mut().mappable.insert(bytes)?;
        Ok(running.take.call(&mut running.store, (handle,))?)
    }

    fn touch(&self, running: &mut RunningRegions) -> Result<u64> {
        Ok(running.touch.call(&mut running.store, ())?.0)
    }

    fn unmap(&self, running: &mut RunningRegions) -> Result<Mappable> {
        let (handle,) = running.give.call(&mut running.store, ())?;
        Ok(running.store.data_mut().mappable.remove(handle)?)
    }
}

/// Lists, which guests are passed, on an engine without this project.
pub(super) struct Lists {
    component: InstancePre<()>,
    exports: Exports,
    len: usize,
}

pub(super) struct RunningLists {
    store: Store<()>,
    take: TypedFunc<(Vec<u8>,), ()>,
    touch: TypedFunc<(), (u64,)>,
    give: TypedFunc<(), (Vec<u8>,)>,
}

impl Lists {
    /// On an engine with default settings, or with the pooling allocator's.
    pub(super) fn new(pooling: bool, bytes: u64) -> Result<Self> {
        let mut config = config();
        if pooling {
            let mut pools = PoolingAllocationConfig::new();
            pools.max_memory_size(usize::try_from(bytes + GRANULE)?.next_multiple_of(GRANULE as usize));
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pools));
        }
        let engine = Engine::new(&config)?;
        let component = Component::new(&engine, text(include_str!("list.wat"), bytes))?;
        let exports = Exports::of(&component)?;
        let component = Linker::new(&engine).instantiate_pre(&component)?;
        Ok(Self { component, exports, len: usize::try_from(bytes)? })
    }
}

impl Server for Lists {
    type Bytes = Vec<u8>;
    type Running = RunningLists;

    fn zeroed(&self) -> Result<Vec<u8>> {
        Ok(vec![0; self.len])
    }

    fn words<'a>(&self, bytes: &'a mut Vec<u8>) -> Result<&'a mut [u8]> {
        Ok(bytes)
    }

    fn instantiate(&self) -> Result<RunningLists> {
        let mut store = Store::new(self.component.engine(), ());
        store.set_hostcall_fuel(self.len);
        let instance = self.component.instantiate(&mut store)?;
        let take = instance.get_typed_func(&mut store, self.exports.take)?;
        let touch = instance.get_typed_func(&mut store, self.exports.touch)?;
        let give = instance.get_typed_func(&mut store, self.exports.give)?;
        Ok(RunningLists { store, take, touch, give })
    }

    fn map(&self, running: &mut RunningLists, bytes: Vec<u8>) -> Result<()> {
        Ok(running.take.call(&mut running.store, (bytes,))?)
    }

    fn touch(&self, running: &mut RunningLists) -> Result<u64> {
        Ok(running.touch.call(&mut running.store, ())?.0)
    }

    fn unmap(&self, running: &mut RunningLists) -> Result<Vec<u8>> {
        Ok(running.give.call(&mut running.store, ())?.0)
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config.concurrency_support(false);
    config
}

/// A component's text for so many bytes, which lie behind the memory's first granule.
fn text(text: &str, bytes: u64) -> String {
    let size = bytes.next_multiple_of(GRANULE);
    text.replace("\nTOUCHER\n", &format!("\n{}\n", include_str!("toucher.wat")))
        .replace("END", &(GRANULE + bytes).to_string())
        .replace("BYTES", &bytes.to_string())
        .replace("REGION", &size.to_string())
        .replace("PAGES", &(1 + size / GRANULE).to_string())
}
