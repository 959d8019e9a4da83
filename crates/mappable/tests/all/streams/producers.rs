//! What the host hands over is freed when nobody takes it: streams and futures that are closed unread, handles of which
//! one is wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mappable::{Frozen, FrozenHandle, GRANULE, Handle, HandleError, Mappable, Runtime};
use wasmtime::Store;
use wasmtime::component::{FutureReader, Instance, StreamReader};

use crate::support::*;
use crate::wat;

/// Reads from a stream `times` times, with room for `each` handles, drops what it got, and closes the stream. Reads a
/// future if it is told to, and closes it.
fn reader(resource: &str) -> String {
    format!(
        r#"(component
            {types}
            (type $stream (stream (own ${resource})))
            (type $future (future (own ${resource})))
            (core module $Memory (memory (export "memory") 1))
            (core instance $memory (instantiate $Memory))
            (core func $read (canon stream.read $stream async (memory $memory "memory")))
            (core func $close (canon stream.drop-readable $stream))
            (core func $read-future (canon future.read $future async (memory $memory "memory")))
            (core func $close-future (canon future.drop-readable $future))
            (core func $drop (canon resource.drop ${resource}))
            (core module $Reader
                (import "" "memory" (memory 1))
                (import "" "read" (func $read (param i32 i32 i32) (result i32)))
                (import "" "close" (func $close (param i32)))
                (import "" "read-future" (func $read-future (param i32 i32) (result i32)))
                (import "" "close-future" (func $close-future (param i32)))
                (import "" "drop" (func $drop (param i32)))
                (func (export "read") (param $stream i32) (param $times i32) (param $each i32) (result i32)
                    (local $all i32) (local $got i32) (local $answer i32)
                    (block $done
                        (loop $again
                            (br_if $done (i32.eqz (local.get $times)))
                            (local.set $times (i32.sub (local.get $times) (i32.const 1)))
                            (local.set $answer (call $read (local.get $stream) (i32.const 1024) (local.get $each)))
                            ;; It would have to wait.
                            (if (i32.eq (local.get $answer) (i32.const -1)) (then unreachable))
                            (local.set $got (i32.shr_u (local.get $answer) (i32.const 4)))
                            (local.set $all (i32.add (local.get $all) (local.get $got)))
                            (block $dropped
                                (loop $next
                                    (br_if $dropped (i32.eqz (local.get $got)))
                                    (local.set $got (i32.sub (local.get $got) (i32.const 1)))
                                    (call $drop (i32.load
                                        (i32.add (i32.const 1024) (i32.shl (local.get $got) (i32.const 2)))))
                                    (br $next)))
                            ;; The other end is closed.
                            (br_if $done (i32.and (local.get $answer) (i32.const 1)))
                            (br $again)))
                    (call $close (local.get $stream))
                    (local.get $all))
                (func (export "read-future") (param $future i32) (param $read i32)
                    (if (local.get $read) (then
                        (if (call $read-future (local.get $future) (i32.const 1024)) (then unreachable))
                        (call $drop (i32.load (i32.const 1024)))))
                    (call $close-future (local.get $future))))
            (core instance $reader (instantiate $Reader (with "" (instance
                (export "memory" (memory $memory "memory"))
                (export "read" (func $read)) (export "close" (func $close))
                (export "read-future" (func $read-future)) (export "close-future" (func $close-future))
                (export "drop" (func $drop))))))
            (func (export "read") (param "stream" $stream) (param "times" u32) (param "each" u32) (result u32)
                (canon lift (core func $reader "read")))
            (func (export "read-future") (param "future" $future) (param "read" bool)
                (canon lift (core func $reader "read-future"))))"#,
        types = wat::import_types(wat::TYPES)
    )
}

fn scene(setup: Setup, resource: &str) -> (Runtime, Store<State>, Instance) {
    let mut config = setup.config();
    config.concurrency_support(true);
    let runtime = setup.runtime_with(config);
    let component = runtime.compile(reader(resource).as_bytes()).unwrap();
    let mut store = Store::new(runtime.engine(), State::new(&runtime));
    let instance = linker(&runtime).instantiate(&mut store, &component).unwrap();
    (runtime, store, instance)
}

/// How often a guest reads, for how many, and how many of five it gets.
const READS: [(u32, u32, usize); 7] = [(0, 9, 0), (1, 0, 0), (1, 1, 1), (2, 1, 2), (1, 3, 3), (9, 2, 5), (9, 100, 5)];

fn held(store: &Store<State>) -> (usize, u64) {
    store.data().mappable.held()
}

/// Regions that are made when they are asked for.
fn counted(runtime: &Runtime) -> (impl Iterator<Item = Mappable> + Send + use<>, Arc<AtomicUsize>) {
    let (runtime, made) = (runtime.clone(), Arc::<AtomicUsize>::default());
    let count = Arc::clone(&made);
    let regions = (0..5).map(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        runtime.allocate(GRANULE).unwrap()
    });
    (regions, made)
}

on_every_setup! {
    fn a_stream_of_regions_leaves_nothing_however_much_of_it_is_read(setup) {
        let (runtime, mut store, instance) = scene(setup, "mappable");
        let read = instance.get_typed_func::<(StreamReader<Handle>, u32, u32), (u32,)>(&mut store, "read").unwrap();
        for (times, each, expected) in READS {
            let (regions, made) = counted(&runtime);
            let stream = StreamReader::new(&mut store, mappable::stream(regions)).unwrap();
            let (got,) = read.call(&mut store, (stream, times, each)).unwrap();
            assert_eq!(got as usize, expected, "{times}, {each}");
            assert_eq!(made.load(Ordering::Relaxed), expected, "regions are made when they are read");
            assert_eq!(held(&store), (0, 0), "{times}, {each}");
        }
    }

    fn a_stream_of_references_leaves_nothing_however_much_of_it_is_read(setup) {
        let (runtime, mut store, instance) = scene(setup, "frozen");
        let read = instance.get_typed_func::<(StreamReader<FrozenHandle>, u32, u32), (u32,)>(&mut store, "read").unwrap();
        for (times, each, expected) in READS {
            let reference = runtime.allocate(GRANULE).unwrap().freeze().unwrap();
            let all = vec![reference.clone(); 5];
            let stream = StreamReader::new(&mut store, mappable::stream(all)).unwrap();
            let (got,) = read.call(&mut store, (stream, times, each)).unwrap();
            assert_eq!((got as usize, held(&store)), (expected, (0, 0)), "{times}, {each}");
            reference.thaw().expect("it is the last reference");
        }
    }

    fn a_future_leaves_nothing_whether_it_is_read_or_not(setup) {
        let (runtime, mut store, instance) = scene(setup, "mappable");
        let read = instance.get_typed_func::<(FutureReader<Handle>, bool), ()>(&mut store, "read-future").unwrap();
        for is_read in [true, false] {
            let region = runtime.allocate(GRANULE).unwrap();
            let future = FutureReader::new(&mut store, mappable::future(region)).unwrap();
            read.call(&mut store, (future, is_read)).unwrap();
            assert_eq!(held(&store), (0, 0), "{is_read}");
        }
        let (runtime, mut store, instance) = scene(setup, "frozen");
        let read = instance.get_typed_func::<(FutureReader<FrozenHandle>, bool), ()>(&mut store, "read-future").unwrap();
        for is_read in [true, false] {
            let reference = runtime.allocate(GRANULE).unwrap().freeze().unwrap();
            let future = FutureReader::new(&mut store, mappable::future(reference.clone())).unwrap();
            read.call(&mut store, (future, is_read)).unwrap();
            assert_eq!(held(&store), (0, 0), "{is_read}");
            reference.thaw().expect("it is the last reference");
        }
    }

    fn a_stream_that_the_host_closes_leaves_nothing(setup) {
        let (runtime, mut store, _) = scene(setup, "mappable");
        let (regions, made) = counted(&runtime);
        let mut stream: StreamReader<Handle> = StreamReader::new(&mut store, mappable::stream(regions)).unwrap();
        stream.close(&mut store).unwrap();
        assert_eq!((held(&store), made.load(Ordering::Relaxed)), ((0, 0), 0));
    }

    fn a_stream_of_another_runtimes_regions_is_an_error_that_leaves_nothing(setup) {
        let (runtime, mut store, instance) = scene(setup, "mappable");
        let read = instance.get_typed_func::<(StreamReader<Handle>, u32, u32), (u32,)>(&mut store, "read").unwrap();
        let ours = runtime.allocate(GRANULE).unwrap();
        let others = setup.runtime().allocate(GRANULE).unwrap();
        let stream = StreamReader::new(&mut store, mappable::stream([ours, others])).unwrap();
        let error = trapped(read.call(&mut store, (stream, 1, 2)));
        assert_eq!(error.downcast_ref(), Some(&HandleError::AnotherRuntime), "{error:?}");
        assert_eq!(held(&store), (0, 0));
    }

    fn all_handles_are_taken_or_all_are_freed(setup) {
        let runtime = setup.runtime();
        let mut context = runtime.context();
        let regions = |count| -> Vec<Mappable> { (0..count).map(|_| runtime.allocate(GRANULE).unwrap()).collect() };
        let frozen = || -> Vec<Frozen> { regions(4).into_iter().map(|region| region.freeze().unwrap()).collect() };

        let handles: Vec<_> = regions(4).into_iter().map(|region| context.insert(region).unwrap()).collect();
        assert_eq!(context.remove_all(handles).unwrap().len(), 4);
        let handles: Vec<_> = frozen().into_iter().map(|frozen| context.insert_frozen(frozen).unwrap()).collect();
        assert_eq!(context.remove_all_frozen(handles).unwrap().len(), 4);
        assert_eq!(context.held(), (0, 0));

        for wrong in 0..4 {
            let mut handles: Vec<_> = regions(4).into_iter().map(|region| context.insert(region).unwrap()).collect();
            let taken = std::mem::replace(&mut handles[wrong], Handle::new_own(999));
            context.remove(taken).unwrap();
            assert_eq!(context.remove_all(handles).unwrap_err(), HandleError::NotHeld(999));
            assert_eq!(context.held(), (0, 0), "{wrong}");

            let mut handles: Vec<_> = frozen().into_iter().map(|it| context.insert_frozen(it).unwrap()).collect();
            let taken = std::mem::replace(&mut handles[wrong], FrozenHandle::new_own(999));
            context.remove_frozen(taken).unwrap();
            assert_eq!(context.remove_all_frozen(handles).unwrap_err(), HandleError::NotHeld(999));
            assert_eq!(context.held(), (0, 0), "{wrong}");
        }
    }
}
