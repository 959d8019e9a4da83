//! Engine settings that mapping can't live with are refused or set right, and all others work.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

use mappable::{GRANULE, MappingMode, Runtime, RuntimeError};
use wasmtime::component::{self, ComponentNamedList, Lift, Linker, Lower, TypedFunc};
use wasmtime::{
    AsContextMut, Config, Instance, InstanceAllocationStrategy, Module, PoolingAllocationConfig, ResourceLimiter,
    Store, Trap,
};

use crate::support::{END, Fixture, G, Guest, PAGES, Setup, State, World, linker, on_every_setup, trap_is};
use crate::wat;

/// Maps, grows, reads, writes, hands over and goes out of bounds.
fn works(fixture: &'static Fixture) {
    let mut world = fixture.world();
    let guest = world.guest();
    guest.fill(&mut world, 3 * G, 0x11, 4 * G);
    let mapping = guest.mapped(&mut world, 4 * G, 2, 0x22);
    guest.expect(&mut world, 3 * G, G, 0x11);
    guest.expect(&mut world, 6 * G, G, 0x11);
    assert_eq!(guest.grow(&mut world, 2), PAGES as i32);
    guest.fill(&mut world, END, 0x33, 2 * G);
    guest.expect(&mut world, 4 * G, 2 * G, 0x22);
    let region = guest.unmap(&mut world, mapping, 4 * G, 2 * G).unwrap();
    guest.expect(&mut world, 3 * G, 4 * G, 0x11);
    guest.expect(&mut world, END, 2 * G, 0x33);
    let handle = guest.give(&mut world, region).unwrap();
    assert!(world.remove(handle).bytes().unwrap().iter().all(|&byte| byte == 0x22));
    for (name, at) in [("load8", END + 2 * G), ("load8", u32::MAX), ("load8-far", END), ("load8-farther", END)] {
        let mut world = fixture.world();
        let guest = world.guest();
        guest.mapped(&mut world, 4 * G, 2, 0x22);
        trap_is(guest.call::<_, u32>(&mut world, name, (at,)), Trap::MemoryOutOfBounds);
    }
}

fn fixture(setup: Setup, config: Config) -> &'static Fixture {
    Box::leak(Box::new(Fixture::new(setup, setup.runtime_with(config))))
}

on_every_setup! {
    fn settings_that_do_not_fit_are_set_right(setup) {
        let changes: [fn(&mut Config); 8] = [
            |config| { config.memory_may_move(false); },
            |config| { config.memory_reservation(0); },
            |config| { config.memory_guard_size(0); },
            |config| { config.memory_init_cow(true); },
            |config| { config.memory_reservation_for_growth(1 << 30); },
            |config| { config.guard_before_linear_memory(false); },
            |config| { config.memory_reservation(1 << 40).memory_guard_size(1 << 32); },
            |config| { config.memory_may_move(false).memory_reservation(0).memory_guard_size(0).memory_init_cow(true); },
        ];
        for change in changes {
            let mut config = setup.config();
            change(&mut config);
            works(fixture(setup, config));
        }
    }

    fn a_memory_that_begins_with_more_than_there_can_be_is_refused(setup) {
        let mut config = setup.config();
        config.wasm_custom_page_sizes(true);
        let runtime = setup.runtime_with(config);
        let instantiate = |memory: &str| {
            let text = format!("(module (memory {memory}) (func (export \"load\") (param i64) (result i32) i32.const 1))");
            let module = Module::new(runtime.engine(), text).unwrap();
            Instance::new(&mut Store::new(runtime.engine(), ()), &module, &[]).map(drop)
        };
        // Rounded up to granules, this size would be none at all.
        for memory in ["i64 0xffffffffffffffff (pagesize 1)", "i64 0xfffffffffff00000 (pagesize 1)", "i64 0x100001"] {
            assert!(instantiate(memory).is_err(), "{memory}");
        }
        for memory in ["i64 1", "i64 1 0xffffffffffff", "1 (pagesize 1)", "i64 70000 (pagesize 1)", "0", "0 0"] {
            instantiate(memory).unwrap_or_else(|error| panic!("{memory}: {error:#}"));
        }
    }

    fn bounds_checks_without_signals_are_right_or_refused(setup) {
        let mut config = setup.config();
        config.signals_based_traps(false);
        let builder = Runtime::builder().config(config.clone());
        match builder.build() {
            Ok(_) => works(fixture(setup, config)),
            Err(error) => assert!(matches!(error, RuntimeError::Unfit(_) | RuntimeError::Engine(_)), "{error}"),
        }
    }

    fn unoptimised_code_is_right(setup) {
        let mut config = setup.config();
        config.cranelift_opt_level(wasmtime::OptLevel::None);
        works(fixture(setup, config));
    }

    fn inlined_code_is_right(setup) {
        let mut config = setup.config();
        config.compiler_inlining(wasmtime::Inlining::Yes);
        works(fixture(setup, config));
    }

    fn a_store_that_runs_out_of_fuel_stops_and_others_go_on(setup) {
        let mut config = setup.config();
        config.consume_fuel(true);
        let runtime = setup.runtime_with(config);
        let component = runtime.compile(setup.text(&wat::guest(setup.memory())).as_bytes()).unwrap();
        let linker = linker(&runtime);
        let guest = |fuel: u64| {
            let mut store = Store::new(runtime.engine(), State::new(&runtime));
            store.set_fuel(fuel).unwrap();
            let instance = linker.instantiate(&mut store, &component).unwrap();
            let guest = Guest::new(instance, &mut store, None);
            (store, guest)
        };
        let (mut rich, bystander) = guest(u64::MAX);
        let kept = bystander.mapped(&mut rich, 2 * G, 1, 0x42);
        let mut stopped = 0;
        // The ledger's own modules are paid for, too.
        let step = if setup.is_ledger() { 12 } else { 1 };
        for fuel in (1..120).map(|n| n * step) {
            // Stopped at every point of a hop.
            let (mut store, guest) = guest(u64::MAX);
            let region = guest.allocate(&mut store, GRANULE).unwrap();
            store.set_fuel(fuel).unwrap();
            let answer = guest.try_map(&mut store, region, 4 * G, G).and_then(|mapping| {
                guest.try_unmap(&mut store, mapping.unwrap(), 4 * G, G)
            });
            if let Err(error) = answer {
                assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::OutOfFuel), "{error:?}");
                stopped += 1;
                store.set_fuel(u64::MAX).unwrap();
                trap_is(guest.call::<_, u32>(&mut store, "pages", ()), Trap::CannotEnterComponent);
            }
            bystander.expect(&mut rich, 2 * G, G, 0x42);
        }
        assert!((10..119).contains(&stopped), "{stopped} of 119: the test means to stop at some and pass at others");
        bystander.unmap(&mut rich, kept, 2 * G, G).unwrap();
    }

    fn epochs_interrupt(setup) {
        let mut config = setup.config();
        config.epoch_interruption(true);
        let runtime = setup.runtime_with(config);
        let component = runtime.compile(setup.text(&wat::guest(setup.memory())).as_bytes()).unwrap();
        let mut store = Store::new(runtime.engine(), State::new(&runtime));
        store.set_epoch_deadline(1);
        let instance = linker(&runtime).instantiate(&mut store, &component).unwrap();
        let guest = Guest::new(instance, &mut store, None);
        guest.mapped(&mut store, 4 * G, 1, 0x17);
        guest.expect(&mut store, 4 * G, G, 0x17);
        runtime.engine().increment_epoch();
        trap_is(guest.call::<_, u32>(&mut store, "run-of", (4 * G, G, 0x17u32)), Trap::Interrupt);
    }

    fn async_stores_work(setup) {
        for yields in [false, true] {
            let mut config = setup.config();
            config.consume_fuel(yields);
            let runtime = setup.runtime_with(config);
            let component = runtime.compile(setup.text(&wat::guest(setup.memory())).as_bytes()).unwrap();
            let linker = linker(&runtime);
            let polls = block_on(async {
                let mut store = Store::new(runtime.engine(), State::new(&runtime));
                if yields {
                    store.set_fuel(u64::MAX).unwrap();
                    store.fuel_async_yield_interval(Some(7)).unwrap();
                }
                let instance = linker.instantiate_async(&mut store, &component).await.unwrap();
                let allocate = typed::<(u64,), (i64,)>(&instance, &mut store, "allocate");
                let (handle,) = allocate.call_async(&mut store, (GRANULE,)).await.unwrap();
                let handle = handle as u32;
                let fill = typed::<(u32, u32, u32), ()>(&instance, &mut store, "fill");
                fill.call_async(&mut store, (8 * G, 0x19, G)).await.unwrap();
                let write = typed::<(u32, u64, u32, u32), (i64,)>(&instance, &mut store, "write");
                assert_eq!(write.call_async(&mut store, (handle, 0, 8 * G, G)).await.unwrap(), (0,));
                let map = typed::<(u32, u32, u32, u32), (u32,)>(&instance, &mut store, "map-and-load");
                assert_eq!(map.call_async(&mut store, (handle, 4 * G, G, 5 * G - 1)).await.unwrap(), (0x19,));
                let run = typed::<(u32, u32, u32), (u32,)>(&instance, &mut store, "run-of");
                assert_eq!(run.call_async(&mut store, (4 * G, G, 0x19)).await.unwrap(), (G,));
                let load = typed::<(u32,), (u64,)>(&instance, &mut store, "load64");
                let (mapping,) = load.call_async(&mut store, (1028,)).await.unwrap();
                let mapping = mapping as u32;
                let unmap =
                    typed::<(u32, u32, u32, u32), (u32,)>(&instance, &mut store, "unmap-and-load");
                assert_eq!(unmap.call_async(&mut store, (mapping, 4 * G, G, 4 * G)).await.unwrap(), (0,));
                assert_eq!(store.data().mappable.held(), (1, GRANULE));
            });
            assert_eq!(polls > 100, yields, "{polls}");
        }
    }

    fn a_store_dropped_in_the_middle_of_an_async_call_leaves_others_alone(setup) {
        let mut config = setup.config();
        config.consume_fuel(true);
        let runtime = setup.runtime_with(config);
        let component = runtime.compile(setup.text(&wat::guest(setup.memory())).as_bytes()).unwrap();
        let linker = linker(&runtime);
        let mut canary = runtime.allocate(GRANULE).unwrap();
        canary.bytes_mut().unwrap().fill(0xc5);
        hops_cut_short(&runtime, &linker, &component);
        assert!(canary.bytes().unwrap().iter().all(|&byte| byte == 0xc5));
    }

    fn a_limiter_that_denies_growth_does_not_stand_in_the_way_of_mapping(setup) {
        struct Deny(Arc<AtomicBool>);
        impl ResourceLimiter for Deny {
            fn memory_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
                self.0.store(true, Ordering::Relaxed);
                Ok(false)
            }
            fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
                Ok(true)
            }
        }
        struct Data(State, Deny);
        impl mappable::MappableView for Data {
            fn mappable(&mut self) -> &mut mappable::MappableCtx {
                &mut self.0.mappable
            }
        }
        let runtime = setup.runtime();
        let mut linker = Linker::<Data>::new(runtime.engine());
        mappable::add_to_linker(&mut linker).unwrap();
        let mut env = linker.instance("test:host/env").unwrap();
        env.func_wrap("sum", |_, (_,): (wasmtime::component::WasmList<u8>,)| Ok((0u64,))).unwrap();
        env.func_wrap("call-back", |_, (): ()| Ok(())).unwrap();
        let component = runtime.compile(setup.text(&wat::guest(setup.memory())).as_bytes()).unwrap();
        let asked = Arc::new(AtomicBool::new(false));
        let mut store = Store::new(runtime.engine(), Data(State::new(&runtime), Deny(Arc::clone(&asked))));
        let instance = linker.instantiate(&mut store, &component).unwrap();
        store.limiter(|data| &mut data.1);
        let allocate = typed::<(u64,), (i64,)>(&instance, &mut store, "allocate");
        let (region,) = allocate.call(&mut store, (GRANULE,)).unwrap();
        let store8 = typed::<(u32, u32), ()>(&instance, &mut store, "store8");
        store8.call(&mut store, (4 * G, 5)).unwrap();
        let map = typed::<(u32, u32, u32, u32), (u32,)>(&instance, &mut store, "map-and-load");
        assert_eq!(map.call(&mut store, (region as u32, 4 * G, G, 4 * G)).unwrap(), (0,));
        assert!(!asked.load(Ordering::Relaxed), "the refresh is no growth");
        let grow = typed::<(u32,), (i32,)>(&instance, &mut store, "grow");
        assert_eq!(grow.call(&mut store, (1,)).unwrap(), (-1,));
        assert!(asked.load(Ordering::Relaxed));
        assert_eq!(grow.call(&mut store, (0,)).unwrap(), (PAGES as i32,));
    }
}

/// A guest's function.
fn typed<P, R>(instance: &component::Instance, mut store: impl AsContextMut, name: &str) -> TypedFunc<P, R>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    let closed = instance.get_export_index(&mut store, None, "guest");
    let index = instance.get_export_index(&mut store, closed.as_ref(), name).unwrap();
    instance.get_typed_func(store, index).unwrap()
}

/// A hop that is given up after each number of polls; then what it left is looked at.
fn hops_cut_short(runtime: &Runtime, linker: &Linker<State>, component: &wasmtime::component::Component) {
    let (mut cut, mut whole) = (0, 0);
    for polls in 1..40 {
        let mut store = Store::new(runtime.engine(), State::new(runtime));
        store.set_fuel(u64::MAX).unwrap();
        store.fuel_async_yield_interval(Some(2)).unwrap();
        let mut hop = Box::pin(async move {
            let instance = linker.instantiate_async(&mut store, component).await.unwrap();
            let allocate = typed::<(u64,), (i64,)>(&instance, &mut store, "allocate");
            let (region,) = allocate.call_async(&mut store, (GRANULE,)).await.unwrap();
            let map = typed::<(u32, u32, u32, u32), (u32,)>(&instance, &mut store, "map-and-load");
            assert_eq!(map.call_async(&mut store, (region as u32, 4 * G, G, 4 * G)).await.unwrap(), (0,));
            let fill = typed::<(u32, u32, u32), ()>(&instance, &mut store, "fill");
            fill.call_async(&mut store, (4 * G, 0xdd, G)).await.unwrap();
        });
        let mut context = Context::from_waker(Waker::noop());
        if (0..polls).any(|_| hop.as_mut().poll(&mut context).is_ready()) {
            whole += 1;
        } else {
            cut += 1;
        }
        drop(hop);
        let region = runtime.allocate(GRANULE).unwrap();
        assert!(region.bytes().unwrap().iter().all(|&byte| byte == 0));
    }
    assert!(cut > 3 && whole > 3, "{cut} cut short, {whole} not");
}

/// Polls to the end. Answers how often.
fn block_on(future: impl Future<Output = ()>) -> usize {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    let mut polls = 1;
    while future.as_mut().poll(&mut context).is_pending() {
        polls += 1;
    }
    polls
}

#[test]
fn the_pooling_allocator_is_refused() {
    let mut small = PoolingAllocationConfig::default();
    small.total_memories(10).total_core_instances(10).total_component_instances(10).max_memory_size(1 << 20);
    for pool in [PoolingAllocationConfig::default(), small] {
        for mode in [MappingMode::Auto, MappingMode::Remap, MappingMode::Copy, MappingMode::Off] {
            let mut config = Config::new();
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool.clone()));
            let error = Runtime::builder().config(config).mapping(mode).build().unwrap_err();
            assert!(matches!(error, RuntimeError::Pooling(_)), "{mode:?}: {error:?}");
            assert!(error.to_string().contains("idle_memories"), "{error}");
        }
    }
}

#[test]
fn a_host_memory_of_the_embedders_is_replaced() {
    let mut config = Setup::Swap.config();
    config.with_host_memory(Arc::new(Refuses));
    works(fixture(Setup::Swap, config));
}

struct Refuses;

#[allow(unsafe_code)]
// SAFETY: makes no memory at all.
unsafe impl wasmtime::MemoryCreator for Refuses {
    fn new_memory(
        &self,
        _: wasmtime::MemoryType,
        _: usize,
        _: Option<usize>,
        _: Option<usize>,
        _: usize,
    ) -> Result<Box<dyn wasmtime::LinearMemory>, String> {
        Err("refused".into())
    }
}

#[test]
fn two_runtimes_live_side_by_side() {
    let (mut first, a) = World::with_guest(Setup::Swap);
    let fixture: &'static Fixture = fixture(Setup::Swap, Setup::Swap.config());
    let mut second = fixture.world();
    let b = second.guest();
    a.mapped(&mut first, 2 * G, 1, 1);
    b.mapped(&mut second, 2 * G, 1, 2);
    a.expect(&mut first, 2 * G, G, 1);
    b.expect(&mut second, 2 * G, G, 2);
}
