//! The heap of a bridge.

use wasmtime::{Engine, Instance, Memory, Module, Store, TypedFunc};

use super::bridge_heap;

struct Heap {
    store: Store<()>,
    memory: Memory,
    realloc: TypedFunc<(u32, u32, u32, u32), u32>,
    begin: TypedFunc<(), ()>,
    end: TypedFunc<(), ()>,
    done: TypedFunc<u32, ()>,
}

impl Heap {
    fn new() -> Self {
        let engine = Engine::default();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &Module::new(&engine, bridge_heap().bytes).unwrap(), &[]).unwrap();
        Heap {
            memory: instance.get_memory(&mut store, "memory").unwrap(),
            realloc: instance.get_typed_func(&mut store, "realloc").unwrap(),
            begin: instance.get_typed_func(&mut store, "begin").unwrap(),
            end: instance.get_typed_func(&mut store, "end").unwrap(),
            done: instance.get_typed_func(&mut store, "done").unwrap(),
            store,
        }
    }

    fn realloc(&mut self, old: u32, old_size: u32, align: u32, size: u32) -> wasmtime::Result<u32> {
        self.realloc.call(&mut self.store, (old, old_size, align, size))
    }

    fn alloc(&mut self, align: u32, size: u32) -> u32 {
        self.realloc(0, 0, align, size).unwrap()
    }
}

#[test]
fn what_is_allocated_is_aligned_apart_and_not_at_0() {
    let mut heap = Heap::new();
    let mut end = 0;
    for (align, size) in [(1, 3), (8, 8), (2, 2), (4, 100_000), (8, 1), (1, 0), (8, 200_000)] {
        let at = heap.alloc(align, size);
        assert!(at > 0 && at.is_multiple_of(align) && at >= end, "{at} of {size}, aligned to {align}, behind {end}");
        end = at + size;
        assert!(heap.memory.data_size(&heap.store) >= end as usize);
    }
}

#[test]
fn all_is_given_back_when_the_last_call_ends() {
    let mut heap = Heap::new();
    let first = heap.alloc(8, 64);
    heap.begin.call(&mut heap.store, ()).unwrap();
    let second = heap.alloc(8, 64);
    heap.begin.call(&mut heap.store, ()).unwrap();
    heap.end.call(&mut heap.store, ()).unwrap();
    assert!(heap.alloc(8, 64) > second);
    heap.done.call(&mut heap.store, 0).unwrap();
    assert_eq!(heap.alloc(8, 64), first);
}

#[test]
fn what_is_allocated_again_keeps_its_bytes() {
    let mut heap = Heap::new();
    let at = heap.alloc(4, 8);
    heap.memory.write(&mut heap.store, at as usize, b"contents").unwrap();
    // It was the last.
    assert_eq!(heap.realloc(at, 8, 4, 70_000).unwrap(), at);
    assert_eq!(heap.realloc(at, 70_000, 4, 8).unwrap(), at);
    let other = heap.alloc(4, 8);
    assert_eq!(other, at + 8);
    let moved = heap.realloc(at, 8, 4, 16).unwrap();
    assert_eq!(moved, other + 8);
    assert_eq!(&heap.memory.data(&heap.store)[moved as usize..][..8], b"contents");
    let cut = heap.realloc(other, 8, 1, 4).unwrap();
    assert_eq!(cut, moved + 16);
}

#[test]
fn what_there_is_no_room_for_traps() {
    for (align, size) in [(1, u32::MAX), (8, 0xffff_0000), (8, 0xffff_ffff)] {
        Heap::new().realloc(0, 0, align, size).unwrap_err();
    }
}
