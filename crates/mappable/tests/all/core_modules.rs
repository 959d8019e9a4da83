//! The core half: `map` and `unmap` for modules, over an `externref` to a region.

use std::pin::{Pin, pin};
use std::task::{Context, Waker};

use mappable::{GRANULE, HandleError, Limits, MappableView, TrapReason, externref, injection};
use wasmtime::{ExternRef, Instance, Linker, Module, ResourceLimiterAsync, Rooted, Store, Trap};

use crate::support::{END, G, Setup, State, all_are, on_every_baseline_setup, trap_is, trapped};

type Reference = Option<Rooted<ExternRef>>;

/// Answers, by number.
const DONE: u32 = 0;
const MISALIGNED: u32 = 1;
const TOO_SMALL: u32 = 2;
const OVERLAPS: u32 = 3;
const MISMATCH: u32 = 4;
const UNMAPPABLE: u32 = 5;
const OVER_QUOTA: u32 = 6;

fn module(memory: &str) -> String {
    format!(
        r#"(module
            (import "mappable" "map" (func $map (param externref i32 i32) (result i32)))
            (import "mappable" "map_private" (func $map_private (param externref i32 i32) (result i32)))
            (import "mappable" "unmap" (func $unmap (param externref i32) (result i32)))
            {memory}
            (func (export "map") (param externref i32 i32) (result i32)
                (call $map (local.get 0) (local.get 1) (local.get 2)))
            (func (export "map-private") (param externref i32 i32) (result i32)
                (call $map_private (local.get 0) (local.get 1) (local.get 2)))
            (func (export "unmap") (param externref i32) (result i32) (call $unmap (local.get 0) (local.get 1)))
            ;; the byte at an address, loaded by the very next instruction
            (func (export "map-and-load") (param externref i32 i32 i32) (result i32)
                (drop (i32.load8_u (local.get 3)))
                (drop (call $map (local.get 0) (local.get 1) (local.get 2)))
                (i32.load8_u (local.get 3)))
            (func (export "unmap-and-load") (param externref i32 i32) (result i32)
                (drop (i32.load8_u (local.get 2)))
                (drop (call $unmap (local.get 0) (local.get 1)))
                (i32.load8_u (local.get 2)))
            (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
            (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
            (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
            (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#
    )
}

#[derive(Clone, Copy)]
struct Core(Instance);

impl Core {
    fn new(setup: Setup, store: &mut Store<State>) -> Self {
        Self::with_memory(setup, store, &format!("(memory (export \"memory\") {})", setup.memory()))
    }

    fn with_memory(setup: Setup, store: &mut Store<State>, memory: &str) -> Self {
        let runtime = &setup.fixture().runtime;
        let mut linker = Linker::new(runtime.engine());
        externref::add_to_linker::<State>(&mut linker, "mappable").unwrap();
        let module = Module::new(runtime.engine(), module(memory)).unwrap();
        Self(linker.instantiate(store, &module).unwrap())
    }

    fn call<P: wasmtime::WasmParams, R: wasmtime::WasmResults>(
        &self,
        store: &mut Store<State>,
        name: &str,
        params: P,
    ) -> wasmtime::Result<R> {
        self.0.get_typed_func(&mut *store, name).unwrap().call(store, params)
    }

    fn map(&self, store: &mut Store<State>, region: Rooted<ExternRef>, at: u32, len: u32) -> u32 {
        self.call::<(Reference, u32, u32), _>(store, "map", (Some(region), at, len)).unwrap()
    }

    fn unmap(&self, store: &mut Store<State>, region: Rooted<ExternRef>, at: u32) -> u32 {
        self.call::<(Reference, u32), _>(store, "unmap", (Some(region), at)).unwrap()
    }

    fn load(&self, store: &mut Store<State>, at: u32) -> u32 {
        self.call(store, "load", (at,)).unwrap()
    }

    fn fill(&self, store: &mut Store<State>, at: u32, byte: u32, len: u32) {
        self.call(store, "fill", (at, byte, len)).unwrap()
    }
}

fn store(setup: Setup) -> Store<State> {
    let runtime = &setup.fixture().runtime;
    Store::new(runtime.engine(), State::new(runtime))
}

fn region(setup: Setup, store: &mut Store<State>, granules: u64, byte: u8) -> Rooted<ExternRef> {
    let mut region = setup.fixture().runtime.allocate(granules * GRANULE).unwrap();
    region.bytes_mut().unwrap().fill(byte);
    externref::wrap(store, region).unwrap()
}

fn reason_is<T: std::fmt::Debug>(answer: wasmtime::Result<T>, is: impl Fn(&TrapReason) -> bool) {
    let error = trapped(answer);
    assert!(error.downcast_ref::<TrapReason>().is_some_and(is), "{error:?}");
}

/// Maps a region and unmaps it, twice, while a mapping of another one is dropped. Answers whether all was done.
fn changes(core: &Core, setup: Setup, store: &mut Store<State>, kept: Rooted<ExternRef>) -> wasmtime::Result<bool> {
    let map = |store: &mut Store<State>, region, at, len| {
        core.call::<(Reference, u32, u32), u32>(store, "map", (Some(region), at, len)).map(|answer| answer == DONE)
    };
    let unmap = |store: &mut Store<State>| {
        core.call::<(Reference, u32), u32>(store, "unmap", (Some(kept), 4 * G)).map(|answer| answer == DONE)
    };
    if !map(store, kept, 4 * G, G)? {
        return Ok(false);
    }
    let is_done = {
        let mut scope = wasmtime::RootScope::new(&mut *store);
        let mut other = setup.fixture().runtime.allocate(2 * GRANULE).unwrap();
        other.bytes_mut().unwrap().fill(0x33);
        let other = externref::wrap(&mut scope, other)?;
        let map = core.0.get_typed_func::<(Reference, u32, u32), u32>(&mut scope, "map")?;
        map.call(&mut scope, (Some(other), 6 * G, 2 * G))? == DONE
    };
    store.gc(None)?;
    Ok(is_done && unmap(store)? && map(store, kept, 4 * G, G)? && unmap(store)?)
}

/// Lets nothing grow, asynchronously.
struct Deny;

type Answer<'a> = Pin<Box<dyn Future<Output = wasmtime::Result<bool>> + Send + 'a>>;

impl ResourceLimiterAsync for Deny {
    fn memory_growing<'a: 'c, 'c>(&'a mut self, _: usize, _: usize, _: Option<usize>) -> Answer<'c> {
        Box::pin(async { Ok(false) })
    }

    fn table_growing<'a: 'c, 'c>(&'a mut self, _: usize, _: usize, _: Option<usize>) -> Answer<'c> {
        Box::pin(async { Ok(false) })
    }
}

on_every_baseline_setup! {
    fn a_limiter_that_is_waited_for_does_not_stand_in_the_way(setup) {
        let mut store = store(setup);
        let core = Core::new(setup, &mut store);
        let region = region(setup, &mut store, 1, 0x22);
        store.data_mut().limiter = Some(Box::new(Deny));
        store.limiter_async(|state| &mut **state.limiter.as_mut().unwrap());
        let run = async {
            let map = core.0.get_typed_func::<(Reference, u32, u32, u32), u32>(&mut store, "map-and-load").unwrap();
            assert_eq!(map.call_async(&mut store, (Some(region), 4 * G, G, 4 * G)).await.unwrap(), 0x22);
            let unmap = core.0.get_typed_func::<(Reference, u32, u32), u32>(&mut store, "unmap-and-load").unwrap();
            assert_eq!(unmap.call_async(&mut store, (Some(region), 4 * G, 4 * G)).await.unwrap(), 0);
            let grow = core.0.get_typed_func::<u32, i32>(&mut store, "grow").unwrap();
            assert_eq!(grow.call_async(&mut store, 1).await.unwrap(), -1);
        };
        let mut context = Context::from_waker(Waker::noop());
        let mut run = pin!(run);
        while run.as_mut().poll(&mut context).is_pending() {}
    }

    fn a_module_maps_frozen_bytes_privately(setup) {
        let mut store = store(setup);
        let core = Core::new(setup, &mut store);
        let mut bytes = setup.fixture().runtime.allocate(2 * GRANULE).unwrap();
        bytes.bytes_mut().unwrap().fill(0x22);
        let frozen = bytes.freeze().unwrap();
        let reference = externref::wrap_frozen(&mut store, frozen.clone()).unwrap();
        let map = |store: &mut Store<State>, region, at| {
            core.call::<(Reference, u32, u32), u32>(store, "map-private", (Some(region), at, 2 * G))
        };
        for _ in 0..3 {
            assert_eq!(map(&mut store, reference, 4 * G).unwrap(), DONE);
            assert_eq!(core.load(&mut store, 5 * G), 0x22);
            core.call::<_, ()>(&mut store, "store", (5 * G, 0x33)).unwrap();
            assert_eq!((core.load(&mut store, 5 * G), core.load(&mut store, 5 * G + 1)), (0x33, 0x22));
            assert_eq!(core.unmap(&mut store, reference, 4 * G), DONE);
            assert_eq!(core.load(&mut store, 5 * G), 0);
            assert!(all_are(&frozen, 0x22));
        }
        let region = region(setup, &mut store, 2, 0x22);
        reason_is(map(&mut store, region, 8 * G), |reason| matches!(reason, TrapReason::NotGiven { kind: "frozen", .. }));
    }

    fn a_module_maps_and_sees_it_at_once(setup) {
        let mut store = store(setup);
        let core = Core::new(setup, &mut store);
        core.fill(&mut store, 4 * G, 0x11, 2 * G);
        let region = region(setup, &mut store, 2, 0x22);
        for _ in 0..3 {
            let mapped: u32 = core
                .call::<(Reference, u32, u32, u32), _>(&mut store, "map-and-load", (Some(region), 4 * G, 2 * G, 5 * G))
                .unwrap();
            assert_eq!(mapped, 0x22);
            let unmapped: u32 = core
                .call::<(Reference, u32, u32), _>(&mut store, "unmap-and-load", (Some(region), 4 * G, 5 * G))
                .unwrap();
            assert_eq!(unmapped, 0x11);
        }
        assert_eq!(core.map(&mut store, region, 4 * G, 2 * G), DONE);
        core.fill(&mut store, 5 * G, 0x33, 10);
        assert_eq!(core.call::<_, i32>(&mut store, "grow", (2,)).unwrap(), 16);
        assert_eq!(core.load(&mut store, 5 * G), 0x33);
        assert_eq!(core.load(&mut store, END + G), 0);
        assert_eq!(core.unmap(&mut store, region, 4 * G), DONE);
        let bytes = externref::take(&mut store, region).unwrap();
        assert_eq!(bytes.bytes().unwrap()[G as usize], 0x33);
    }

    fn a_region_is_in_one_memory_at_a_time(setup) {
        let mut store = store(setup);
        let (a, b) = (Core::new(setup, &mut store), Core::new(setup, &mut store));
        let region = region(setup, &mut store, 1, 0x44);
        assert_eq!(a.map(&mut store, region, 4 * G, G), DONE);
        for other in [a, b] {
            let again = other.call::<(Reference, u32, u32), u32>(&mut store, "map", (Some(region), 6 * G, G));
            reason_is(again, |reason| matches!(reason, TrapReason::Mapped));
        }
        let elsewhere = b.call::<(Reference, u32), u32>(&mut store, "unmap", (Some(region), 4 * G));
        reason_is(elsewhere, |reason| matches!(reason, TrapReason::ForeignMapping));
        let taken = externref::take(&mut store, region).unwrap_err();
        assert!(matches!(taken.downcast_ref(), Some(HandleError::NotHeld(_))), "{taken:?}");
        assert_eq!(a.load(&mut store, 4 * G), 0x44);
        assert_eq!(a.unmap(&mut store, region, 4 * G), DONE);
        let twice = a.call::<(Reference, u32), u32>(&mut store, "unmap", (Some(region), 4 * G));
        reason_is(twice, |reason| matches!(reason, TrapReason::NotMapped));
        assert_eq!(b.map(&mut store, region, 4 * G, G), DONE);
        assert_eq!((a.load(&mut store, 4 * G), b.load(&mut store, 4 * G)), (0, 0x44));
    }

    fn errors_change_nothing(setup) {
        let mut store = store(setup);
        let core = Core::new(setup, &mut store);
        let (first, second) = (region(setup, &mut store, 2, 1), region(setup, &mut store, 2, 2));
        for (at, len, error) in [
            (4 * G + 8, 2 * G, MISALIGNED),
            (4 * G, 2 * G - 1, MISALIGNED),
            (4 * G, 0, MISALIGNED),
            (4 * G, G, TOO_SMALL),
        ] {
            assert_eq!(core.map(&mut store, first, at, len), error);
        }
        assert_eq!(core.map(&mut store, first, 4 * G, 2 * G), DONE);
        assert_eq!(core.map(&mut store, second, 5 * G, 2 * G), OVERLAPS);
        assert_eq!(core.unmap(&mut store, first, 5 * G), MISMATCH);
        store.data_mut().mappable().set_limits(Limits::default().mappings(1));
        assert_eq!(core.map(&mut store, second, 8 * G, 2 * G), OVER_QUOTA);
        assert_eq!(core.unmap(&mut store, first, 4 * G), DONE);
        for at in [END, END - G, u32::MAX - G + 1] {
            let outside = core.call::<(Reference, u32, u32), u32>(&mut store, "map", (Some(first), at, 2 * G));
            trap_is(outside, Trap::MemoryOutOfBounds);
        }
        assert_eq!(core.load(&mut store, 4 * G), 0);
    }

    fn only_references_to_regions_are_mapped(setup) {
        let mut store = store(setup);
        let core = Core::new(setup, &mut store);
        let stranger = ExternRef::new(&mut store, 7_u32).unwrap();
        let region = region(setup, &mut store, 1, 1);
        externref::take(&mut store, region).unwrap();
        for reference in [None, Some(stranger), Some(region)] {
            let mapped = core.call::<(Reference, u32, u32), u32>(&mut store, "map", (reference, 4 * G, G));
            reason_is(mapped, |reason| matches!(reason, TrapReason::NoRegion));
        }
        assert!(externref::take(&mut store, region).is_err());
    }

    fn memories_of_another_kind_are_not_mapped_into(setup) {
        let mut store = store(setup);
        let region = region(setup, &mut store, 1, 1);
        for memory in ["(memory 16)", "(memory (export \"other\") 16)"] {
            let core = Core::with_memory(setup, &mut store, memory);
            assert_eq!(core.map(&mut store, region, 4 * G, G), UNMAPPABLE, "{memory}");
        }
        let core = Core::new(setup, &mut store);
        assert_eq!(core.map(&mut store, region, 4 * G, G), DONE);
    }

    fn frozen_bytes_are_mapped_to_be_read(setup) {
        let mut store = store(setup);
        let (a, b) = (Core::new(setup, &mut store), Core::new(setup, &mut store));
        let mut bytes = setup.fixture().runtime.allocate(GRANULE).unwrap();
        bytes.bytes_mut().unwrap().fill(0x55);
        let frozen = bytes.freeze().unwrap();
        let [one, two] = [(); 2].map(|()| externref::wrap_frozen(&mut store, frozen.clone()).unwrap());
        assert_eq!(a.map(&mut store, one, 4 * G, G), DONE);
        assert_eq!(b.map(&mut store, two, 5 * G, G), DONE);
        assert_eq!((a.load(&mut store, 4 * G), b.load(&mut store, 5 * G)), (0x55, 0x55));
        let stored = a.call::<_, ()>(&mut store, "store", (4 * G, 0x66));
        assert_eq!(stored.is_err(), setup.frozen_stores_trap());
        assert_eq!(b.load(&mut store, 5 * G), 0x55);
        assert!(frozen.iter().all(|&byte| byte == 0x55));
        // A module goes on after a trap.
        assert_eq!(a.unmap(&mut store, one, 4 * G), DONE);
        assert_eq!(a.load(&mut store, 4 * G), 0);
        assert_eq!(externref::take_frozen(&mut store, one).unwrap()[7], 0x55);
    }

    fn what_nobody_refers_to_is_freed(setup) {
        let mut store = store(setup);
        let mut scope = wasmtime::RootScope::new(&mut store);
        let mut region = setup.fixture().runtime.allocate(GRANULE).unwrap();
        region.bytes_mut().unwrap()[0] = 1;
        externref::wrap(&mut scope, region).unwrap();
        drop(scope);
        assert_eq!(store.data().mappable.held().0, 1);
        store.gc(None).unwrap();
        let kept = self::region(setup, &mut store, 1, 1);
        assert_eq!(store.data().mappable.held().0, 1, "the one that is kept");
        externref::take(&mut store, kept).unwrap();
    }

    fn after_a_change_that_failed_half_way_nothing_is_changed(setup) {
        let mut broken = 0;
        for place in 0.. {
            let mut store = store(setup);
            let core = Core::new(setup, &mut store);
            let heap = |at: u32| if at.is_multiple_of(2) { 0x11 } else { 0x12 };
            (1..10).for_each(|at| core.fill(&mut store, at * G, heap(at), G));
            let kept = region(setup, &mut store, 1, 0x22);
            injection::fail_from(injection::Call::Map, place);
            let answer = changes(&core, setup, &mut store, kept);
            if !injection::stop() {
                assert!(answer.unwrap());
                break;
            }
            if let Err(error) = answer {
                broken += 1;
                assert!(matches!(error.downcast_ref(), Some(TrapReason::Broken(_))), "{place}: {error:?}");
                let mapped = core.call::<(Reference, u32, u32), u32>(&mut store, "map", (Some(kept), 4 * G, G));
                let unmapped = core.call::<(Reference, u32), u32>(&mut store, "unmap", (Some(kept), 4 * G));
                for changed in [mapped, unmapped] {
                    reason_is(changed, |reason| {
                        matches!(reason, TrapReason::Broken(_) | TrapReason::Mapped | TrapReason::NotMapped)
                    });
                }
            }
            // What the host gets back is the region's, whatever the module's memory shows.
            if let Ok(region) = externref::take(&mut store, kept) {
                assert!(all_are(region.bytes().unwrap(), 0x22), "{place}");
            }
            drop(store);
            setup.fixture().check_canary();
        }
        assert!(broken > 0 || setup.way() == Setup::Copy);
    }

    fn a_base_that_is_not_refreshed_shows_nothing_of_others(setup) {
        for unmapping in [false, true] {
            let mut store = store(setup);
            let core = Core::new(setup, &mut store);
            core.fill(&mut store, 4 * G, 0x11, G);
            let region = region(setup, &mut store, 1, 0x22);
            if unmapping {
                assert_eq!(core.map(&mut store, region, 4 * G, G), DONE);
            }
            injection::fail(injection::Call::Refresh, 0);
            let changed = match unmapping {
                false => core.call::<(Reference, u32, u32), u32>(&mut store, "map", (Some(region), 4 * G, G)),
                true => core.call::<(Reference, u32), u32>(&mut store, "unmap", (Some(region), 4 * G)),
            };
            assert!(injection::stop());
            reason_is(changed, |reason| matches!(reason, TrapReason::NotRefreshed(_)));
            assert!(externref::take(&mut store, region).is_err(), "lost to the memory");
            // Nobody is given what the module may still see.
            let others: Vec<_> = (0..4).map(|_| self::region(setup, &mut store, 1, 0x77)).collect();
            let seen = core.load(&mut store, 4 * G);
            assert!(seen == 0x11 || seen == 0x22, "{seen:#x}");
            for other in others {
                let mapped = core.call::<(Reference, u32, u32), u32>(&mut store, "map", (Some(other), 6 * G, G));
                // The base that it has is no longer known as one, or the memory is known to be left alone.
                assert!(mapped.is_err() || mapped.unwrap() == UNMAPPABLE);
            }
        }
    }
}
