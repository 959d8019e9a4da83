//! The places that kernels run on: a stock engine's heap, a mapping engine's heap, and a mapped region.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use mappable::{GRANULE, MappableCtx, MappableView, Runtime, externref, rewrite};
use wasmtime::{Engine, ExternRef, Instance, Linker, Memory, Module, Rooted, Store, TypedFunc};

/// Where the data is in all of them: the second granule of the memory.
const AT: u32 = GRANULE as u32;

/// Maps into the memory of another instance.
const MAPPER: &str = r#"(module
  (import "kernels" "memory" (memory 1))
  (import "mappable" "map" (func $map (param externref i32 i32) (result i32)))
  (import "mappable" "unmap" (func $unmap (param externref i32) (result i32)))
  (export "memory" (memory 0))
  (func (export "map") (param externref i32 i32) (result i32)
    (call $map (local.get 0) (local.get 1) (local.get 2)))
  (func (export "unmap") (param externref i32) (result i32)
    (call $unmap (local.get 0) (local.get 1))))"#;

/// Somewhere with bytes that a kernel works on.
pub(super) trait Room {
    /// The bytes, for the host.
    fn bytes(&mut self) -> &mut [u8];

    /// Has the kernel work on `count` items: its answer, and how long it took.
    fn work(&mut self, count: u32) -> Result<(u64, Duration)>;

    /// Ends it, where the bytes must be `expected` in the end.
    fn finish(self: Box<Self>, expected: &[u8]) -> Result<()>;
}

/// The heap of an instance.
pub(super) struct Heap<T: 'static> {
    store: Store<T>,
    memory: Memory,
    kernel: TypedFunc<(u32, u32), u64>,
    size: usize,
}

/// A region, mapped into the memory of an instance.
pub(super) struct Mapped {
    heap: Heap<State>,
    region: Rooted<ExternRef>,
    unmap: TypedFunc<(Rooted<ExternRef>, u32), u32>,
}

pub(super) struct State {
    mappable: MappableCtx,
}

impl MappableView for State {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

/// Two instructions that the compiler can't do without.
const SHIFT: &str = "(global.set $shifted (i32.rotl (i32.xor (global.get $shifted) (local.get $at)) (local.get $at)))";

/// The module of kernels, with a memory of so many pages, and as many instructions in front of loops as `shift` says.
pub(crate) fn text(pages: u64, shift: u32) -> String {
    let text = include_str!("kernels.wat").replace("PAGES", &pages.to_string());
    text.replace("\n    SHIFT", &format!("\n{}", SHIFT.repeat(shift as usize)))
}

/// The engines, and the kernels for `size` bytes, compiled by each from one text.
pub(super) struct Engines {
    stock: Engine,
    runtime: Runtime,
    kernels: Module,
    /// As the rewriter has them, with preloads, for the runtime: what it does to the modules of components.
    preloaded: Module,
    /// As they are, for the runtime.
    as_written: Module,
    mapper: Module,
    size: u32,
}

impl Engines {
    /// Loops come after as many instructions more as `shift` says.
    pub(super) fn new(size: u32, shift: u32) -> Result<Self> {
        let runtime = Runtime::new()?;
        let stock = Engine::default();
        let pages = (u64::from(AT) + u64::from(size)).div_ceil(GRANULE);
        let kernels = wat::parse_str(text(pages, shift))?;
        let preloaded = rewrite::preloaded(&kernels)?;
        ensure!(*preloaded != *kernels, "the kernels have no preloads");
        let compile = |engine, kernels: &[u8]| Module::from_binary(engine, kernels);
        let (preloaded, as_written) = (compile(runtime.engine(), &preloaded)?, compile(runtime.engine(), &kernels)?);
        let kernels = compile(&stock, &kernels)?;
        let mapper = Module::new(runtime.engine(), MAPPER)?;
        Ok(Self { stock, runtime, kernels, preloaded, as_written, mapper, size })
    }

    pub(super) fn stock(&self, kernel: &str) -> Result<Box<dyn Room>> {
        let store = Store::new(&self.stock, ());
        Ok(Box::new(self.heap_of(store, &self.kernels, kernel)?.0))
    }

    pub(super) fn heap(&self, kernel: &str) -> Result<Box<dyn Room>> {
        Ok(Box::new(self.heap_of(self.store(), &self.preloaded, kernel)?.0))
    }

    pub(super) fn mapped(&self, kernel: &str) -> Result<Box<dyn Room>> {
        self.mapped_into(&self.preloaded, kernel)
    }

    pub(super) fn as_written(&self, kernel: &str) -> Result<Box<dyn Room>> {
        self.mapped_into(&self.as_written, kernel)
    }

    fn mapped_into(&self, kernels: &Module, kernel: &str) -> Result<Box<dyn Room>> {
        let (mut heap, instance) = self.heap_of(self.store(), kernels, kernel)?;
        let mut linker = Linker::new(self.runtime.engine());
        externref::add_to_linker::<State>(&mut linker, "mappable")?;
        linker.instance(&mut heap.store, "kernels", instance)?;
        let mapper = linker.instantiate(&mut heap.store, &self.mapper)?;
        let map = mapper.get_typed_func::<(Rooted<ExternRef>, u32, u32), u32>(&mut heap.store, "map")?;
        let unmap = mapper.get_typed_func(&mut heap.store, "unmap")?;
        let region = self.runtime.allocate(u64::from(self.size))?;
        let region = externref::wrap(&mut heap.store, region)?;
        let error = map.call(&mut heap.store, (region, AT, self.size))?;
        ensure!(error == 0, "the region was not mapped: error {error}");
        Ok(Box::new(Mapped { heap, region, unmap }))
    }

    fn store(&self) -> Store<State> {
        Store::new(self.runtime.engine(), State { mappable: self.runtime.context() })
    }

    fn heap_of<T>(&self, mut store: Store<T>, kernels: &Module, kernel: &str) -> Result<(Heap<T>, Instance)> {
        let instance = Instance::new(&mut store, kernels, &[])?;
        let memory = instance.get_export(&mut store, "memory").and_then(|memory| memory.into_memory());
        let memory = memory.ok_or_else(|| anyhow::anyhow!("the kernels export no memory"))?;
        let kernel = instance.get_typed_func(&mut store, kernel)?;
        Ok((Heap { store, memory, kernel, size: self.size as usize }, instance))
    }
}

impl<T> Room for Heap<T> {
    fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory.data_mut(&mut self.store)[AT as usize..][..self.size]
    }

    fn work(&mut self, count: u32) -> Result<(u64, Duration)> {
        let start = Instant::now();
        let answer = self.kernel.call(&mut self.store, (AT, count))?;
        Ok((answer, start.elapsed()))
    }

    fn finish(mut self: Box<Self>, expected: &[u8]) -> Result<()> {
        ensure!(self.bytes() == expected, "the heap does not hold what was computed");
        Ok(())
    }
}

impl Room for Mapped {
    fn bytes(&mut self) -> &mut [u8] {
        self.heap.bytes()
    }

    fn work(&mut self, count: u32) -> Result<(u64, Duration)> {
        self.heap.work(count)
    }

    /// The work must have been done on the region, not on the heap under it.
    fn finish(mut self: Box<Self>, expected: &[u8]) -> Result<()> {
        let error = self.unmap.call(&mut self.heap.store, (self.region, AT))?;
        ensure!(error == 0, "the region was not unmapped: error {error}");
        let region = externref::take(&mut self.heap.store, self.region)?;
        ensure!(region.bytes()? == expected, "the region does not hold what was computed");
        ensure!(self.bytes().iter().all(|&byte| byte == 0), "the heap under the region was written to");
        Ok(())
    }
}
