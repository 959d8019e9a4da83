//! Calls between components and the host in which a memory changes what it shows, and what a trap leaves.

use super::*;

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
    let status = child("tripwires::calls::child_out_of_bounds_on_a_stale_base");
    assert!(status.success(), "the process ended: {status}");
}
