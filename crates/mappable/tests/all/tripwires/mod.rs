//! What the library rests on in Wasmtime and does not own: one test for each fact (`design.md` §5). One that fails
//! after an upgrade says which argument has to be made anew.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mappable::GRANULE;
use wasmtime::component::{Component, Linker, Resource, ResourceType, WasmList};
use wasmtime::{
    Caller, Config, Engine, Extern, Func, Instance, LinearMemory, MemoryCreator, MemoryType, Module, ResourceLimiter,
    Store, StoreContextMut, Trap,
};

use crate::support::{END, G, MapError, PAGES, Setup, State, World, trap_is, trapped};

mod calls;
mod modules;

/// A memory of two faces: which one it shows is the test's to say.
pub(crate) struct Faces {
    pub(crate) bases: [usize; 2],
    pub(crate) size: AtomicUsize,
    pub(crate) current: AtomicUsize,
}

pub(crate) const SPAN: usize = 1 << 32;
pub(crate) const GUARD: usize = (32 << 20) + GRANULE as usize;
/// As much of each face as a test can grow into.
pub(crate) const BACKED: usize = 8 * GRANULE as usize;

impl Faces {
    #[allow(unsafe_code)]
    pub(crate) fn new(size: usize) -> Self {
        use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        let bases = [0xa0u8, 0xb0].map(|byte| {
            // SAFETY: the kernel picks a range that nobody uses; it stays mapped until the process ends.
            let base = unsafe { mmap_anonymous(std::ptr::null_mut(), SPAN + GUARD, ProtFlags::empty(), flags) };
            let base = base.unwrap();
            // SAFETY: the range was just mapped, and is larger.
            unsafe { mprotect(base, BACKED, MprotectFlags::READ | MprotectFlags::WRITE) }.unwrap();
            let cells = base.cast::<u8>().wrapping_add(1000);
            // SAFETY: 100 bytes at 1,000 are within what was just made accessible.
            unsafe { cells.write_bytes(byte, 100) };
            base.expose_provenance()
        });
        Self { bases, size: AtomicUsize::new(size), current: AtomicUsize::new(0) }
    }

    pub(crate) fn flip(&self) {
        self.current.fetch_xor(1, Ordering::Relaxed);
    }

    /// A byte of one of the faces.
    #[allow(unsafe_code)]
    pub(crate) fn byte(&self, face: usize, at: usize) -> u8 {
        assert!(at < BACKED);
        // SAFETY: it is backed, and nobody writes meanwhile: the guest is not running.
        unsafe { std::ptr::with_exposed_provenance::<u8>(self.bases[face] + at).read() }
    }
}

struct FacesMemory(Arc<Faces>);

#[allow(unsafe_code)]
// SAFETY: `byte_size` bytes are accessible from `as_ptr`, and no more up to the reservation and guard.
unsafe impl LinearMemory for FacesMemory {
    fn byte_size(&self) -> usize {
        self.0.size.load(Ordering::Relaxed)
    }
    fn byte_capacity(&self) -> usize {
        self.byte_size()
    }
    fn grow_to(&mut self, _: usize) -> wasmtime::Result<()> {
        Err(wasmtime::Error::msg("no growth"))
    }
    fn as_ptr(&self) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(self.0.bases[self.0.current.load(Ordering::Relaxed)])
    }
}

#[derive(Clone, Default)]
struct Creator(Arc<Mutex<Vec<Arc<Faces>>>>);

#[allow(unsafe_code)]
// SAFETY: the reservation and guard are those that `engine` sets. The memory is not all zero, as the test means.
unsafe impl MemoryCreator for Creator {
    fn new_memory(
        &self,
        _: MemoryType,
        minimum: usize,
        _: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        assert!(reserved.unwrap_or(0) <= SPAN && guard <= GUARD && minimum <= BACKED);
        assert_eq!(minimum, BACKED, "all that is backed is the memory");
        let faces = Arc::new(Faces::new(minimum));
        self.0.lock().unwrap().push(Arc::clone(&faces));
        Ok(Box::new(FacesMemory(faces)))
    }
}

/// An engine with the settings of the library, and the memories that it makes.
fn engine(concurrency: bool) -> (Engine, Creator) {
    let creator = Creator::default();
    (engine_of(Arc::new(creator.clone()), concurrency), creator)
}

/// An engine with the settings of the library, whose memories are made by this creator.
pub(crate) fn engine_of(creator: Arc<dyn MemoryCreator>, concurrency: bool) -> Engine {
    Engine::new(&config_of(creator, concurrency)).unwrap()
}

/// The same, as settings.
pub(crate) fn config_of(creator: Arc<dyn MemoryCreator>, concurrency: bool) -> Config {
    let mut config = Config::new();
    config
        .with_host_memory(creator)
        .memory_may_move(true)
        .memory_reservation((SPAN - GRANULE as usize) as u64)
        .memory_guard_size(GUARD as u64)
        .memory_reservation_for_growth(0)
        .memory_init_cow(false)
        .concurrency_support(concurrency);
    config
}

struct Core {
    store: Store<()>,
    instance: Instance,
    faces: Arc<Faces>,
}

impl Core {
    fn new(memory: &str) -> Self {
        let (engine, creator) = engine(false);
        let text = format!(
            r#"(module
                (import "" "flip" (func $flip))
                (memory (export "memory") {memory})
                (func (export "load") (result i32) (i32.load8_u (i32.const 1000)))
                (func (export "refresh") (result i32) (memory.grow (i32.const 0)))
                (func (export "flip-and-load") (result i32)
                    (local $before i32)
                    (local.set $before (i32.load8_u (i32.const 1000)))
                    (call $flip)
                    (i32.or (i32.shl (local.get $before) (i32.const 8)) (i32.load8_u (i32.const 1000))))
                (func (export "flip-refresh-and-load") (result i32)
                    (local $before i32)
                    (local.set $before (i32.load8_u (i32.const 1000)))
                    (call $flip)
                    (drop (memory.grow (i32.const 0)))
                    (i32.or (i32.shl (local.get $before) (i32.const 8)) (i32.load8_u (i32.const 1000)))))"#
        );
        let module = Module::new(&engine, text).unwrap();
        let mut store = Store::new(&engine, ());
        let flipped = creator.clone();
        let flip = Func::wrap(&mut store, move |_: Caller<'_, ()>| flipped.0.lock().unwrap()[0].flip());
        let instance = Instance::new(&mut store, &module, &[Extern::Func(flip)]).unwrap();
        let faces = Arc::clone(&creator.0.lock().unwrap()[0]);
        Self { store, instance, faces }
    }

    fn call(&mut self, name: &str) -> i32 {
        let func = self.instance.get_typed_func::<(), i32>(&mut self.store, name).unwrap();
        func.call(&mut self.store, ()).unwrap()
    }
}

#[test]
fn wasm_takes_the_base_in_at_memory_grow_0() {
    let mut core = Core::new("8");
    assert_eq!(core.call("load"), 0xa0);
    core.faces.flip();
    assert_eq!(core.call("load"), 0xa0, "and at nothing less");
    assert_eq!(core.call("refresh"), 8);
    assert_eq!(core.call("load"), 0xb0);
    // Within one function too, whatever the compiler keeps in registers.
    assert_eq!(core.call("flip-refresh-and-load"), 0xb0a0);
    assert_eq!(core.call("flip-refresh-and-load"), 0xa0b0);
    assert_eq!(core.call("flip-and-load"), 0xb0b0);
}

#[test]
fn the_host_refreshes_by_memory_grow_0_too() {
    let mut core = Core::new("8");
    let memory = core.instance.get_memory(&mut core.store, "memory").unwrap();
    core.faces.flip();
    assert_eq!(core.call("load"), 0xa0);
    assert_eq!(memory.grow(&mut core.store, 0).unwrap(), 8);
    assert_eq!(core.call("load"), 0xb0);
    assert_eq!(memory.data(&core.store)[1000], 0xb0);
}

#[test]
fn a_memory_whose_base_may_move_is_one_that_may_outgrow_its_reservation() {
    for memory in ["8", "8 65536"] {
        assert_eq!(Core::new(memory).call("flip-refresh-and-load"), 0xa0b0, "{memory}");
    }
}

#[test]
fn the_base_of_a_memory_with_a_maximum_is_held_to_be_constant() {
    // Why such a memory is remapped and never swapped. Were this to fail, swapping could be allowed.
    for memory in ["8 9", "8 8", "8 65535"] {
        assert_eq!(Core::new(memory).call("flip-refresh-and-load"), 0xa0a0, "{memory}");
    }
}

/// Preloads are worth something by what the compiler makes of them. Were the base loaded in the loops as well, code for a memory
/// that may move would be another than for one that may not.
#[test]
fn loops_with_preloads_are_compiled_as_if_the_base_never_moved() {
    let setup = Setup::Swap;
    let text = include_str!("../../../../mappable-bench/src/access/kernels.wat").replace("SHIFT", "");
    let plain = ::wat::parse_str(text.replace("PAGES", "2")).unwrap();
    let preloaded = mappable::rewrite::preloaded(&plain).unwrap();
    // The section of memories, of two pages, and of two to 65,535.
    let (moving, fixed) = ([5, 3, 1, 0, 2], [5, 6, 1, 1, 2, 0xff, 0xff, 3]);
    let fix = |module: &[u8]| {
        let at = module.windows(moving.len()).position(|bytes| bytes == moving).unwrap();
        [&module[..at], &fixed, &module[at + moving.len()..]].concat()
    };
    let runtime = setup.runtime();
    let code = |module: &[u8]| {
        let module = Module::from_binary(runtime.engine(), module).unwrap();
        let functions = module.functions().map(|function| module.text()[function.offset..][..function.len].to_vec());
        functions.collect::<Vec<_>>()
    };
    assert_eq!(code(&preloaded), code(&fix(&preloaded)));
    for (moving, fixed) in code(&plain).iter().zip(code(&fix(&plain))) {
        assert_ne!(*moving, fixed, "what loads the base each time around is the same");
    }
}

#[test]
fn an_importer_holds_the_base_of_a_memory_to_be_constant_by_what_it_declares_itself() {
    // Why the rewriter gives imports a maximum, too.
    for (declared, seen) in [("8", 0xa0b0), ("8 65535", 0xa0a0)] {
        let (engine, creator) = engine(false);
        let mut store = Store::new(&engine, ());
        let owner = Module::new(&engine, r#"(module (memory (export "memory") 8 65535))"#).unwrap();
        let memory = Instance::new(&mut store, &owner, &[]).unwrap().get_memory(&mut store, "memory").unwrap();
        let importer = format!(
            r#"(module
                (import "" "flip" (func $flip))
                (import "" "memory" (memory {declared}))
                (func (export "run") (result i32)
                    (local $before i32)
                    (local.set $before (i32.load8_u (i32.const 1000)))
                    (call $flip)
                    (drop (memory.grow (i32.const 0)))
                    (i32.or (i32.shl (local.get $before) (i32.const 8)) (i32.load8_u (i32.const 1000)))))"#
        );
        let importer = Module::new(&engine, importer).unwrap();
        let flipped = creator.clone();
        let flip = Func::wrap(&mut store, move |_: Caller<'_, ()>| flipped.0.lock().unwrap()[0].flip());
        let instance = Instance::new(&mut store, &importer, &[Extern::Func(flip), memory.into()]).unwrap();
        let run = instance.get_typed_func::<(), i32>(&mut store, "run").unwrap();
        assert_eq!(run.call(&mut store, ()).unwrap(), seen, "{declared}");
    }
}

#[test]
fn a_limiter_is_not_asked_about_memory_grow_0() {
    // In 48.0.8 `LocalMemory::grow` returns early. The refresh traps on -1 all the same, should it be asked one day.
    struct Deny(usize);
    impl ResourceLimiter for Deny {
        fn memory_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
            self.0 += 1;
            Ok(false)
        }
        fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
            Ok(true)
        }
    }
    let (engine, _) = engine(false);
    let module = Module::new(
        &engine,
        r#"(module (memory (export "memory") 8)
            (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#,
    );
    let mut store = Store::new(&engine, Deny(0));
    let instance = Instance::new(&mut store, &module.unwrap(), &[]).unwrap();
    store.limiter(|deny| deny);
    let grow = instance.get_typed_func::<i32, i32>(&mut store, "grow").unwrap();
    assert_eq!(grow.call(&mut store, 0).unwrap(), 8);
    assert_eq!(store.data().0, 0);
    assert_eq!(grow.call(&mut store, 1).unwrap(), -1);
    assert_eq!(store.data().0, 1);
}

#[test]
fn in_a_store_by_the_runtime_a_placement_is_larger_than_the_engines_allowance() {
    let mut world = World::new(Setup::Swap);
    let allowance = Store::new(world.runtime().engine(), ()).hostcall_fuel();
    let enough = world.runtime().store(State::new(world.runtime())).hostcall_fuel();
    world.set_hostcall_fuel(enough);
    let guest = world.guest();
    let pages = u32::try_from(allowance / GRANULE as usize).unwrap() + 1;
    assert_eq!(guest.grow(&mut world, pages), PAGES as i32);
    let region = guest.allocate(&mut world, GRANULE).unwrap();
    guest.map(&mut world, region, END, pages * G).unwrap();
}

/// What `Runtime::context` warns of.
#[test]
fn the_engine_counts_a_lists_bytes_though_they_are_not_read() {
    let mut world = World::new(Setup::Swap);
    let default = Store::new(world.runtime().engine(), ()).hostcall_fuel();
    world.set_hostcall_fuel(default);
    let guest = world.guest();
    let pages = u32::try_from(default / GRANULE as usize).unwrap() + 1;
    assert_eq!(guest.grow(&mut world, pages), PAGES as i32);
    let region = guest.allocate(&mut world, GRANULE).unwrap();
    let error = trapped(guest.try_map(&mut world, region, END, pages * G));
    assert!(error.root_cause().to_string().contains("fuel allocated for hostcalls"), "{error:#}");
}

#[test]
fn the_engine_is_the_one_that_these_facts_were_learnt_about() {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).unwrap();
    let version = lock.split("name = \"wasmtime\"\nversion = \"").nth(1).unwrap().split('"').next().unwrap();
    assert!(version.starts_with("48."), "Wasmtime {version}: look at `design.md` §5 and at this module before use");
}

#[test]
fn a_memory_error_has_a_number_of_its_own() {
    // The harness tells the cases apart by number; the mark is their order.
    let order = ["misaligned", "too-small", "overlaps", "mismatch", "unmappable", "over-quota", "exhausted"];
    assert_eq!(mappable::rewrite::MARK.len(), order.len());
    assert!(mappable::rewrite::MARK.iter().zip(order).all(|(mark, end)| mark.ends_with(end)));
    assert_eq!(MapError::Exhausted as usize, order.len() - 1);
}
