//! A program that made an engine before the first runtime: the engine's handler for faults is then asked after ours. In
//! a process of its own, since there is one handler for a process.

#![allow(unsafe_code)]

use mappable::{FileBytes, GRANULE, Runtime};
use mappable_testing::support;
use support::{Fixture, G, Setup};
use wasmtime::{Engine, Instance, Module, Store, Trap};

#[test]
fn a_store_into_a_frozen_mapping_is_the_mappings_own_and_other_faults_are_traps() {
    let engine = Engine::default();
    let text = "(module (memory 1) (func (export \"load\") (param i32) (result i32) (i32.load (local.get 0))))";
    let module = Module::new(&engine, text).unwrap();
    let mut stock = Store::new(&engine, ());
    let instance = Instance::new(&mut stock, &module, &[]).unwrap();
    let load = instance.get_typed_func::<u32, u32>(&mut stock, "load").unwrap();

    let runtime = Runtime::builder().config(Setup::Swap.config()).build().unwrap();
    assert!(!runtime.frozen_stores_trap(), "the runtime knows");
    let fixture: &'static Fixture = Box::leak(Box::new(Fixture::new(Setup::Swap, runtime)));
    let mut world = fixture.world();
    let guest = world.guest();
    guest.fill(&mut world, 4 * G, 0x33, 2 * G);
    let mut region = world.region(2, 0x11);
    region.bytes_mut().unwrap()[0] = 0x10;
    let frozen = region.freeze().unwrap();
    let handle = world.store.data_mut().mappable.insert_frozen(frozen.clone()).unwrap();
    let mut handle = guest.take_frozen(&mut world, handle).unwrap();
    for _ in 0..3 {
        let mapping = guest.map_frozen(&mut world, handle, 4 * G, 2 * G).unwrap();
        assert_eq!(guest.load(&mut world, 4 * G), 0x10);
        guest.store(&mut world, 4 * G, 0x22);
        assert_eq!(guest.load(&mut world, 4 * G), 0x22);
        assert_eq!(frozen[0], 0x10);
        handle = guest.unmap_frozen(&mut world, mapping, 4 * G, 2 * G).unwrap();
        guest.expect(&mut world, 4 * G, 2 * G, 0x33);
    }
    // What it stores into a private mapping is that one's own, as ever: charged, but never refused.
    world.store.data_mut().mappable.set_limits(mappable::Limits::default().region_bytes(4 * GRANULE));
    for _ in 0..3 {
        let before = world.held().1;
        let mapping = guest.map_private(&mut world, handle, 4 * G, 2 * G).unwrap();
        guest.store(&mut world, 4 * G, 0x44);
        guest.fill(&mut world, 5 * G, 0x45, G);
        assert_eq!((guest.load(&mut world, 4 * G), guest.load(&mut world, 4 * G + 1)), (0x44, 0x11));
        assert_eq!((frozen[0], world.held().1 - before), (0x10, 2 * GRANULE));
        handle = guest.unmap_frozen(&mut world, mapping, 4 * G, 2 * G).unwrap();
        guest.expect(&mut world, 4 * G, 2 * G, 0x33);
        assert_eq!(world.held().1, before);
    }
    world.store.data_mut().mappable.set_limits(mappable::Limits::default());
    // So is what a guest reads where a file was made shorter: zeroes, which the next mapping shows, too.
    let file = std::sync::Arc::new(tempfile::tempfile().unwrap());
    file.set_len(2 * GRANULE).unwrap();
    // SAFETY: nobody writes to it.
    let bytes = unsafe { FileBytes::shared(&fixture.runtime, &file, 0..2 * GRANULE, u64::MAX) }.unwrap();
    file.set_len(GRANULE).unwrap();
    let handle = world.store.data_mut().mappable.try_insert_file_bytes(bytes).unwrap();
    let mut handle = guest.take_frozen(&mut world, handle).unwrap();
    for _ in 0..3 {
        let mapping = guest.map_frozen(&mut world, handle, 4 * G, 2 * G).unwrap();
        guest.expect(&mut world, 4 * G, 2 * G, 0);
        guest.store(&mut world, 5 * G, 0x22);
        assert_eq!(guest.load(&mut world, 5 * G), 0x22);
        handle = guest.unmap_frozen(&mut world, mapping, 4 * G, 2 * G).unwrap();
        guest.expect(&mut world, 4 * G, 2 * G, 0x33);
    }
    // Both engines' own faults are traps as ever.
    let trap = |error: wasmtime::Error| error.downcast_ref::<Trap>().copied();
    assert_eq!(load.call(&mut stock, 1 << 20).map_err(trap), Err(Some(Trap::MemoryOutOfBounds)));
    let past = guest.call::<_, u32>(&mut world, "load8", (u32::MAX,));
    assert_eq!(past.map_err(trap), Err(Some(Trap::MemoryOutOfBounds)));
}
