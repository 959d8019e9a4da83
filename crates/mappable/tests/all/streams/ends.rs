//! Guests that have ends of streams and futures, driven step by step: the guests of [`wat`] with the built-ins besides.

use std::sync::Mutex;

use mappable::{Frozen, GRANULE, Handle, Runtime};
use wasmtime::Store;
use wasmtime::component::{Component, FutureReader, Linker, StreamReader};

use mappable_testing::ends::BuiltIns;

use crate::support::*;
use crate::wat;

/// What a read or a write returns that has to wait.
pub(super) const BLOCKED: u32 = u32::MAX;

/// What one returns that has handed over so many elements: and goes on, finds the other end closed, or was cancelled.
pub(super) fn completed(count: u32) -> u32 {
    count << 4
}
pub(super) fn dropped(count: u32) -> u32 {
    count << 4 | 1
}
pub(super) fn cancelled(count: u32) -> u32 {
    count << 4 | 2
}

/// Where guests keep elements: one has 8 bytes at the most.
pub(super) const ELEMENTS: u32 = 2048;

/// A guest with the built-ins for a stream and a future of this type, whose readable ends the host passes on.
pub(super) fn guest(memory: &str, payload: &str) -> String {
    let BuiltIns { canons, imports, exports, given, mut lifts } =
        BuiltIns::new(&[("stream", "stream", payload), ("future", "future", payload)]);
    for kind in ["stream", "future"] {
        lifts += &format!(
            r#"(func (export "{kind}-give") (param "end" u32) (result ${kind}) (canon lift (core func $ends "identity")))
            (func (export "{kind}-take") (param "end" ${kind}) (result u32) (canon lift (core func $ends "identity")))"#
        );
    }
    let fields = format!(
        r#"{canons}
        (core func $return-held (canon task.return (result u32)))
        (core func $new-set (canon waitable-set.new))
        (core func $join-set (canon waitable.join))
        (core module $Ends {imports}
            (import "" "mem" (memory 1))
            (import "" "map" (func $map (param i32 i32 i32) (result i64)))
            (import "" "return" (func $return (param i32)))
            (import "" "set" (func $set (result i32)))
            (import "" "join" (func $join (param i32 i32)))
            {exports}
            (global $at (mut i32) (i32.const 0))
            ;; Maps a region, waits for an element of a stream, and returns what is mapped then.
            (func (export "hold") (param $handle i32) (param $at i32) (param $end i32) (result i32) (local $set i32)
                (drop (call $map (local.get $handle) (local.get $at) (i32.const 65536)))
                (i32.store8 (local.get $at) (i32.const 8))
                (global.set $at (local.get $at))
                (if (i32.ne (call $stream.read (local.get $end) (i32.const 4096) (i32.const 1)) (i32.const -1))
                    (then unreachable))
                (local.set $set (call $set))
                (call $join (local.get $end) (local.get $set))
                (i32.or (i32.const 2) (i32.shl (local.get $set) (i32.const 4))))
            (func (export "held") (param i32 i32 i32) (result i32)
                (call $return (i32.load8_u (global.get $at)))
                (i32.const 0))
            (func (export "identity") (param i32) (result i32) (local.get 0)))
        (core instance $ends (instantiate $Ends (with "" (instance {given}
            (export "mem" (memory $mem)) (export "map" (func $p "map")) (export "return" (func $return-held))
            (export "set" (func $new-set)) (export "join" (func $join-set))))))
        (func (export "hold") async (param "handle" u32) (param "at" u32) (param "end" u32) (result u32)
            (canon lift (core func $ends "hold") async (callback (func $ends "held"))))
        {lifts}"#
    );
    wat::extended(&wat::guest(memory), "", &fields)
}

/// A runtime for components with streams.
pub(super) fn concurrent(setup: Setup) -> Runtime {
    setup.runtime_that_keeps_none(setup.concurrent())
}

static SCENES: Mutex<Vec<(Setup, String, Runtime, Component)>> = Mutex::new(Vec::new());

/// Two guests of one store, for elements of a type; the host carries the ends from one to the other.
pub(super) struct Scene {
    pub runtime: Runtime,
    pub store: Store<State>,
    linker: Linker<State>,
    component: Component,
}

impl Scene {
    pub(super) fn new(setup: Setup, payload: &str) -> Self {
        let mut scenes = SCENES.lock().unwrap_or_else(|error| error.into_inner());
        let found = scenes.iter().find(|(of, ty, ..)| (*of, &**ty) == (setup, payload));
        let (runtime, component) = match found {
            Some((_, _, runtime, component)) => (runtime.clone(), component.clone()),
            None => {
                let runtime = concurrent(setup);
                let component = runtime.compile(guest(setup.memory(), payload).as_bytes()).unwrap();
                scenes.push((setup, payload.to_owned(), runtime.clone(), component.clone()));
                (runtime, component)
            }
        };
        let store = Store::new(runtime.engine(), State::new(&runtime));
        Self { linker: linker(&runtime), runtime, store, component }
    }

    pub(super) fn guest(&mut self) -> Guest {
        let instance = self.linker.instantiate(&mut self.store, &self.component).unwrap();
        Guest::new(instance, &mut self.store, None)
    }

    /// A stream from one guest to the other: the writable end of the first, and the readable one of the second.
    pub(super) fn stream(&mut self, from: &Guest, to: &Guest) -> (u32, u32) {
        let (reader, writer) = self.ends(from, "stream-new");
        let end: StreamReader<Handle> = from.call(&mut self.store, "stream-give", (reader,)).unwrap();
        (writer, to.call(&mut self.store, "stream-take", (end,)).unwrap())
    }

    pub(super) fn future(&mut self, from: &Guest, to: &Guest) -> (u32, u32) {
        let (reader, writer) = self.ends(from, "future-new");
        let end: FutureReader<Handle> = from.call(&mut self.store, "future-give", (reader,)).unwrap();
        (writer, to.call(&mut self.store, "future-take", (end,)).unwrap())
    }

    /// The readable and the writable end of a new one.
    pub(super) fn ends(&mut self, of: &Guest, name: &'static str) -> (u32, u32) {
        let both: u64 = of.call(&mut self.store, name, ()).unwrap();
        (both as u32, (both >> 32) as u32)
    }

    /// A region of a granule, all of one byte, that is not mapped.
    pub(super) fn region(&mut self, of: &Guest, byte: u8) -> u32 {
        let mapping = of.mapped(&mut self.store, 8 * G, 1, byte);
        of.unmap(&mut self.store, mapping, 8 * G, G).unwrap()
    }

    /// Writes handles, or whatever these numbers are. Then they are what is in the buffer: in the ledger tier other numbers.
    pub(super) fn write(&mut self, of: &Guest, writer: u32, handles: &mut [u32]) -> wasmtime::Result<u32> {
        for (handle, at) in handles.iter().zip((ELEMENTS..).step_by(4)) {
            of.run(&mut self.store, "store64", (at, u64::from(*handle)))?;
        }
        let count = handles.len() as u32;
        let returned = of.call(&mut self.store, "stream-write", (writer, ELEMENTS, count))?;
        for (handle, at) in handles.iter_mut().zip((ELEMENTS..).step_by(4)) {
            *handle = of.call::<_, u64>(&mut self.store, "load64", (at,))? as u32;
        }
        Ok(returned)
    }

    pub(super) fn read(&mut self, of: &Guest, reader: u32, room: u32) -> wasmtime::Result<u32> {
        of.call(&mut self.store, "stream-read", (reader, 2 * ELEMENTS, room))
    }

    /// The element of that number that was read last.
    pub(super) fn element(&mut self, of: &Guest, number: u32) -> u32 {
        of.call::<_, u64>(&mut self.store, "load64", (2 * ELEMENTS + number * 4,)).unwrap() as u32
    }

    /// Calls an export that takes a number and returns one.
    pub(super) fn does(&mut self, of: &Guest, name: &'static str, what: u32) -> wasmtime::Result<u32> {
        of.call(&mut self.store, name, (what,))
    }

    pub(super) fn close(&mut self, of: &Guest, name: &'static str, what: u32) -> wasmtime::Result<()> {
        of.run(&mut self.store, name, (what,))
    }

    /// A region is there and has that byte. It is dropped.
    #[track_caller]
    pub(super) fn expect(&mut self, of: &Guest, handle: u32, byte: u8) {
        let mapping = of.map(&mut self.store, handle, 12 * G, G).unwrap();
        of.expect(&mut self.store, 12 * G, G, byte);
        let region = of.unmap(&mut self.store, mapping, 12 * G, G).unwrap();
        of.run(&mut self.store, "drop-mappable", (region,)).unwrap();
    }

    /// A reference for a guest, and another for the host, which can be thawed as soon as the guest's is gone.
    pub(super) fn shared(&mut self, with: &Guest) -> (u32, Frozen) {
        let frozen = self.runtime.allocate_from(&[6; 10]).unwrap().freeze().unwrap();
        let handle = self.store.data_mut().mappable.insert_frozen(frozen.clone()).unwrap();
        (with.take_frozen(&mut self.store, handle).unwrap(), frozen)
    }

    #[track_caller]
    pub(super) fn expect_mappings(&mut self, of: &Guest, mappings: usize) {
        expect_mappings(&mut self.store, of, mappings);
    }

    pub(super) fn held(&self) -> (usize, u64) {
        self.store.data().mappable.held()
    }

    /// So many regions of a granule are charged.
    #[track_caller]
    pub(super) fn expect_held(&self, regions: usize) {
        assert_eq!(self.held(), (regions, regions as u64 * GRANULE));
    }
}

/// So many mappings count: a guest can map once more if one more is allowed, and not before.
#[track_caller]
pub(super) fn expect_mappings(store: &mut Store<State>, of: &Guest, mappings: usize) {
    let limits = store.data().mappable.limits();
    let region = of.allocate(store, GRANULE).unwrap();
    store.data_mut().mappable.set_limits(limits.mappings(mappings));
    let (region, error) = of.map(store, region, 14 * G, G).unwrap_err();
    assert_eq!(error, MapError::OverQuota);
    store.data_mut().mappable.set_limits(limits.mappings(mappings + 1));
    let mapping = of.map(store, region, 14 * G, G).unwrap();
    let region = of.unmap(store, mapping, 14 * G, G).unwrap();
    of.run(store, "drop-mappable", (region,)).unwrap();
    store.data_mut().mappable.set_limits(limits);
}
