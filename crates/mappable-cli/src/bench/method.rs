//! The ways in which two parties can pass bytes back and forth, each ready to be timed.

use std::hint::black_box;

use anyhow::{Context, Result, ensure};
use mappable::{GRANULE, Handle, MappableCtx, MappableView, MappingMode, Runtime};
use wasmtime::component::{Component, Linker, TypedFunc};
use wasmtime::{Config, Engine, Store};

/// Where components keep what they pass: the second granule of their memories.
const BUFFER: u64 = GRANULE;

/// Two parties that pass bytes back and forth; each writes one cache line when it has them.
pub(super) trait Method {
    /// Does `rounds` rounds of two hops each, and answers how often the line has been written since it was made.
    fn run(&mut self, rounds: u32) -> Result<u64>;
}

/// Components hand a region over.
pub(super) struct Regions {
    store: Store<State>,
    run: TypedFunc<(Handle, u32), (Handle,)>,
    /// The region, while the components have not got it.
    region: Option<Handle>,
}

struct State {
    mappable: MappableCtx,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

impl Regions {
    /// With a region of `bytes` bytes, or of one granule if that is more.
    pub(super) fn new(mapping: MappingMode, concurrency: bool, bytes: u64) -> Result<Self> {
        let size = bytes.next_multiple_of(GRANULE);
        let mut config = Config::new();
        config.concurrency_support(concurrency);
        let runtime = Runtime::builder().config(config).mapping(mapping).build()?;
        let component = runtime.compile(of_size(include_str!("regions.wat"), size).as_bytes())?;
        let mut linker = Linker::new(runtime.engine());
        mappable::add_to_linker::<State>(&mut linker)?;
        let mut store = Store::new(runtime.engine(), State { mappable: runtime.context() });
        store.set_hostcall_fuel(usize::try_from(size)?);
        let instance = linker.instantiate(&mut store, &component)?;
        let run = instance.get_typed_func(&mut store, "run")?;
        let region = store.data_mut().mappable.insert(runtime.allocate(size)?)?;
        Ok(Self { store, run, region: Some(region) })
    }
}

impl Method for Regions {
    fn run(&mut self, rounds: u32) -> Result<u64> {
        let region = self.region.take().context("the region was lost in an earlier run")?;
        let (region,) = self.run.call(&mut self.store, (region, rounds))?;
        let bytes = self.store.data().mappable.get(&region)?.bytes()?;
        let written = same_line(bytes)?;
        self.region = Some(region);
        Ok(written)
    }
}

/// Components pass a `list<u8>`, on an engine as it comes.
pub(super) struct Lists {
    store: Store<()>,
    run: TypedFunc<(u32,), (u64,)>,
}

impl Lists {
    pub(super) fn new(bytes: u64) -> Result<Self> {
        let engine = Engine::new(&Config::new())?;
        let component = Component::new(&engine, of_size(include_str!("lists.wat"), bytes))?;
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
        let run = instance.get_typed_func(&mut store, "run")?;
        Ok(Self { store, run })
    }
}

impl Method for Lists {
    fn run(&mut self, rounds: u32) -> Result<u64> {
        Ok(self.run.call(&mut self.store, (rounds,))?.0)
    }
}

/// The host copies between two buffers.
pub(super) struct Memcpy {
    buffers: [Vec<u8>; 2],
}

impl Memcpy {
    pub(super) fn new(bytes: u64) -> Result<Self> {
        let len = usize::try_from(bytes)?;
        Ok(Self { buffers: [vec![0; len], vec![0; len]] })
    }
}

impl Method for Memcpy {
    fn run(&mut self, rounds: u32) -> Result<u64> {
        let [first, second] = &mut self.buffers;
        for _ in 0..rounds {
            write_line(first);
            black_box(&mut *second).copy_from_slice(black_box(first));
            write_line(second);
            black_box(&mut *first).copy_from_slice(black_box(second));
        }
        same_line(first)
    }
}

fn write_line(bytes: &mut [u8]) {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[..8]);
    let next = (u64::from_le_bytes(word) + 1).to_le_bytes();
    bytes[..64].chunks_exact_mut(8).for_each(|slot| slot.copy_from_slice(&next));
}

/// What the words of the first cache line all hold.
fn same_line(bytes: &[u8]) -> Result<u64> {
    let (words, _) = bytes[..64].as_chunks::<8>();
    ensure!(words.iter().all(|word| *word == words[0]), "the words of a line differ: {words:?}");
    Ok(u64::from_le_bytes(words[0]))
}

/// A component's text for what it passes, and memories that have room for it.
fn of_size(text: &str, bytes: u64) -> String {
    let pages = (BUFFER + bytes).div_ceil(GRANULE);
    text.replace("SIZE", &bytes.to_string()).replace("PAGES", &pages.to_string())
}
