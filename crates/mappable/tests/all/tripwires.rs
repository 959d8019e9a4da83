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
    let mut config = Config::new();
    config
        .with_host_memory(creator)
        .memory_may_move(true)
        .memory_reservation((SPAN - GRANULE as usize) as u64)
        .memory_guard_size(GUARD as u64)
        .memory_reservation_for_growth(0)
        .memory_init_cow(false)
        .concurrency_support(concurrency);
    Engine::new(&config).unwrap()
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
    let text = include_str!("../../../mappable-bench/src/access/kernels.wat").replace("SHIFT", "");
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

/// A component whose host functions flip its memory.
struct Flipper {
    store: Store<Vec<usize>>,
    instance: wasmtime::component::Instance,
    faces: Arc<Faces>,
}

impl Flipper {
    fn new(concurrency: bool) -> Self {
        let (engine, creator) = engine(concurrency);
        let component = Component::new(
            &engine,
            r#"(component
                (import "list" (func $list (param "l" (list u8))))
                (import "pair" (func $pair (result (tuple u32 u32))))
                (core module $M (memory (export "mem") 8))
                (core instance $m (instantiate $M))
                (alias core export $m "mem" (core memory $mem))
                (core func $list' (canon lower (func $list) (memory $mem)))
                (core func $pair' (canon lower (func $pair) (memory $mem)))
                (core module $P
                    (import "" "mem" (memory 1))
                    (import "" "list" (func $list (param i32 i32)))
                    (import "" "pair" (func $pair (param i32)))
                    (func (export "list") (call $list (i32.const 1000) (i32.const 10)))
                    (func (export "pair") (result i32) (call $pair (i32.const 2000)) (i32.load (i32.const 2004)))
                    (func (export "pair-at") (param i32) (call $pair (local.get 0)))
                    (func (export "refresh") (drop (memory.grow (i32.const 0)))))
                (core instance $p (instantiate $P (with "" (instance
                    (export "mem" (memory $mem)) (export "list" (func $list')) (export "pair" (func $pair'))))))
                (func (export "list") (canon lift (core func $p "list")))
                (func (export "refresh") (canon lift (core func $p "refresh")))
                (func (export "pair-at") (param "at" u32) (canon lift (core func $p "pair-at")))
                (func (export "pair") (result u32) (canon lift (core func $p "pair"))))"#,
        );
        let mut linker = Linker::<Vec<usize>>::new(&engine);
        linker
            .root()
            .func_wrap("list", |mut store: StoreContextMut<'_, Vec<usize>>, (list,): (WasmList<u8>,)| {
                let slice = list.as_le_slice(&store);
                let (address, first) = (slice.as_ptr().addr(), slice[0]);
                store.data_mut().extend([address, usize::from(first)]);
                Ok(())
            })
            .unwrap();
        let flipped = creator.clone();
        linker
            .root()
            .func_wrap("pair", move |_: StoreContextMut<'_, Vec<usize>>, (): ()| {
                flipped.0.lock().unwrap()[0].flip();
                Ok(((0x0102_0304u32, 0x0506_0708u32),))
            })
            .unwrap();
        let mut store = Store::new(&engine, vec![]);
        let instance = linker.instantiate(&mut store, &component.unwrap()).unwrap();
        let faces = Arc::clone(&creator.0.lock().unwrap()[0]);
        Self { store, instance, faces }
    }

    fn run(&mut self, name: &str) {
        let func = self.instance.get_typed_func::<(), ()>(&mut self.store, name).unwrap();
        func.call(&mut self.store, ()).unwrap();
    }
}

#[test]
fn a_list_lies_in_the_view_that_the_instance_has() {
    for concurrency in [false, true] {
        let mut flipper = Flipper::new(concurrency);
        flipper.run("list");
        flipper.faces.flip();
        flipper.run("refresh");
        flipper.run("list");
        let [a, b] = flipper.faces.bases.map(|base| base + 1000);
        assert_eq!(*flipper.store.data(), [a, 0xa0, b, 0xb0]);
    }
}

#[test]
fn results_are_written_through_the_old_base() {
    for concurrency in [false, true] {
        let mut flipper = Flipper::new(concurrency);
        let pair = flipper.instance.get_typed_func::<(), (u32,)>(&mut flipper.store, "pair").unwrap();
        assert_eq!(pair.call(&mut flipper.store, ()).unwrap(), (0x0506_0708,));
        assert_eq!(flipper.faces.current.load(Ordering::Relaxed), 1, "it was flipped in between");
        assert_eq!((flipper.faces.byte(0, 2000), flipper.faces.byte(1, 2000)), (4, 0));
    }
}

#[test]
fn a_typed_resource_lets_a_borrow_through_where_own_is_meant() {
    // Why every function that takes a handle asks whether it is owned, and the rewriter looks at the shape.
    struct R;
    for concurrency in [false, true] {
        let (engine, _) = engine(concurrency);
        let component = Component::new(
            &engine,
            r#"(component
                (import "host" (instance $host
                    (export "r" (type $r (sub resource)))
                    (export "make" (func (result (own $r))))
                    (export "take" (func (param "r" (borrow $r))))))
                (core func $make (canon lower (func $host "make")))
                (core func $take (canon lower (func $host "take")))
                (core module $P
                    (import "" "make" (func $make (result i32))) (import "" "take" (func $take (param i32)))
                    (func (export "run") (call $take (call $make))))
                (core instance $p (instantiate $P (with "" (instance
                    (export "make" (func $make)) (export "take" (func $take))))))
                (func (export "run") (canon lift (core func $p "run"))))"#,
        );
        let mut linker = Linker::<Vec<bool>>::new(&engine);
        let mut host = linker.instance("host").unwrap();
        host.resource("r", ResourceType::host::<R>(), |_, _| Ok(())).unwrap();
        host.func_wrap("make", |_, (): ()| Ok((Resource::<R>::new_own(3),))).unwrap();
        host.func_wrap("take", |mut store: StoreContextMut<'_, Vec<bool>>, (r,): (Resource<R>,)| {
            assert_eq!(r.rep(), 3);
            store.data_mut().push(r.owned());
            Ok(())
        })
        .unwrap();
        let mut store = Store::new(&engine, vec![]);
        let instance = linker.instantiate(&mut store, &component.unwrap()).unwrap();
        let run = instance.get_typed_func::<(), ()>(&mut store, "run").unwrap();
        run.call(&mut store, ()).unwrap();
        assert_eq!(*store.data(), [false]);
    }
}

/// Both modes that swap.
const SWAPS: [Setup; 2] = [Setup::Swap, Setup::SwapConcurrent];

#[test]
fn a_return_pointer_is_checked_after_the_host_function_ran() {
    for concurrency in [false, true] {
        for bad in [2001, BACKED as u32, BACKED as u32 - 4, u32::MAX - 3] {
            let mut flipper = Flipper::new(concurrency);
            let pair = flipper.instance.get_typed_func::<(u32,), ()>(&mut flipper.store, "pair-at").unwrap();
            let error = format!("{:?}", trapped(pair.call(&mut flipper.store, (bad,))));
            assert!(error.contains("pointer"), "{error}");
            assert_eq!(flipper.faces.current.load(Ordering::Relaxed), 1, "it was flipped");
            trap_is(pair.call(&mut flipper.store, (2000,)), Trap::CannotEnterComponent);
        }
    }
}

#[test]
fn after_a_bad_return_pointer_nothing_in_the_store_is_entered_any_more() {
    for setup in SWAPS {
        for bad in [1025, END, END - 4, u32::MAX - 3] {
            let mut world = World::new(setup);
            let (a, b) = world.pair();
            let elsewhere = world.guest();
            let (mut other, bystander) = World::with_guest(setup);
            let kept = bystander.mapped(&mut other, 2 * G, 1, 0x42);
            let region = a.allocate(&mut world, GRANULE).unwrap();
            a.run(&mut world, "set-ret", (bad,)).unwrap();
            trapped(a.try_map(&mut world, region, 4 * G, G));
            for guest in [&a, &b, &elsewhere] {
                trap_is(guest.call::<_, u32>(&mut world, "pages", ()), Trap::CannotEnterComponent);
            }
            bystander.expect(&mut other, 2 * G, G, 0x42);
            bystander.unmap(&mut other, kept, 2 * G, G).unwrap();
        }
    }
}

#[test]
fn after_any_trap_nothing_in_the_store_is_entered_any_more() {
    for setup in SWAPS {
        let mut world = World::new(setup);
        let (a, b) = world.pair();
        let elsewhere = world.guest();
        trap_is(a.call::<_, u32>(&mut world, "poke", (END,)), Trap::MemoryOutOfBounds);
        for guest in [&a, &b, &elsewhere] {
            trap_is(guest.call::<_, u32>(&mut world, "pages", ()), Trap::CannotEnterComponent);
        }
    }
}

#[test]
fn an_error_of_the_host_function_is_a_trap_too() {
    for setup in SWAPS {
        let (mut world, guest) = World::with_guest(setup);
        world.data_mut().call_back = Some(Box::new(|_| Err(wasmtime::Error::msg("the host's own error"))));
        let error = trapped(guest.run(&mut world, "call-back", ()));
        assert_eq!(error.root_cause().to_string(), "the host's own error");
        trap_is(guest.call::<_, u32>(&mut world, "pages", ()), Trap::CannotEnterComponent);
    }
}

/// The host, called by `a`, enters `b` and has it trap after a swap, takes no notice, and goes back to `a`, which
/// goes into `b`. Returns what became of that.
fn reenter_and_swallow(setup: Setup, poke: u32) -> wasmtime::Result<u32> {
    let mut world = World::new(setup);
    let (a, b) = world.pair();
    b.fill(&mut world, 4 * G, 0x31, G);
    let region = b.allocate(&mut world, GRANULE).unwrap();
    b.run(&mut world, "set-ret", (1025u32,)).unwrap();
    let map = b.func(&mut world, "map").typed::<(u32, u32, u32), (u64,)>(&*world).unwrap();
    let entered = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&entered);
    world.data_mut().call_back = Some(Box::new(move |mut store| {
        let error = map.call(&mut store, (region, 4 * G, G)).unwrap_err();
        seen.store(error.downcast_ref() != Some(&Trap::CannotEnterComponent), Ordering::Relaxed);
        Ok(())
    }));
    let answer = a.call::<_, u32>(&mut world, "call-back-and-poke", (poke,));
    // With concurrency the engine does not let the host into a component that is being run.
    assert_eq!(entered.load(Ordering::Relaxed), setup.way() == Setup::Swap);
    answer
}

#[test]
fn a_host_that_swallows_a_trap_and_goes_on_sees_the_heap() {
    // Guests call one another unchecked: only entries from the host are refused after a trap.
    for setup in SWAPS {
        assert_eq!(reenter_and_swallow(setup, 4 * G).unwrap(), 0x31);
    }
}

/// Run by `out_of_bounds_on_a_stale_base_is_a_trap`, in a process of its own.
#[test]
#[ignore = "may end the process"]
fn child_out_of_bounds_on_a_stale_base() {
    trap_is(reenter_and_swallow(Setup::Swap, END), Trap::MemoryOutOfBounds);
}

/// Runs a test of this binary in a process of its own.
fn child(name: &str) -> std::process::ExitStatus {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"]);
    child.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    child.status().unwrap()
}

#[test]
fn out_of_bounds_on_a_stale_base_is_a_trap() {
    let status = child("tripwires::child_out_of_bounds_on_a_stale_base");
    assert!(status.success(), "the process ended: {status}");
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
