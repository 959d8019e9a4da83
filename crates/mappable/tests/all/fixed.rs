//! Memories that nothing is mapped into: they have a maximum by which the engine takes their base for a constant, and
//! are else as they would be without.

use std::sync::{Arc, Mutex};

use mappable::{GRANULE, MappableCtx, MappableView};
use wasmtime::component::Linker;
use wasmtime::{ResourceLimiter, Store, Trap};

use crate::support::{G, Guest, Setup, State, linker, on_every_setup, trap_is};
use crate::wat;

/// A component with a memory of its own, which it grows, writes and reads.
const UNMAPPED: &str = r#"(component
    (core module $m (memory (export "memory") 1)
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
      (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
      (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0))))
    (core instance $m (instantiate $m))
    (func (export "grow") (param "by" u32) (result s32) (canon lift (core func $m "grow")))
    (func (export "store") (param "at" u32) (param "byte" u32) (canon lift (core func $m "store")))
    (func (export "load") (param "at" u32) (result u32) (canon lift (core func $m "load"))))"#;

/// A limiter that lets everything pass, and remembers the maxima that it was told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Option<usize>>>>);

impl ResourceLimiter for Told {
    fn memory_growing(&mut self, _: usize, _: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.0.lock().unwrap().push(maximum);
        Ok(true)
    }
    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

struct Data {
    mappable: MappableCtx,
    told: Told,
}

impl MappableView for Data {
    fn mappable(&mut self) -> &mut MappableCtx {
        &mut self.mappable
    }
}

on_every_setup! {
    fn a_fixed_memory_can_have_all_but_the_last_page(setup) {
        let runtime = setup.runtime();
        let component = runtime.compile(UNMAPPED.as_bytes()).unwrap();
        let told = Told::default();
        let mut store = Store::new(runtime.engine(), Data { mappable: runtime.context(), told: told.clone() });
        store.limiter(|data| &mut data.told);
        let instance = Linker::new(runtime.engine()).instantiate(&mut store, &component).unwrap();
        let grow = instance.get_typed_func::<(u32,), (i32,)>(&mut store, "grow").unwrap();
        let poke = instance.get_typed_func::<(u32, u32), ()>(&mut store, "store").unwrap();
        let load = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "load").unwrap();
        poke.call(&mut store, (G - 1, 0x2a)).unwrap();
        if setup.way() == Setup::Copy {
            // Nothing would be gained there.
            assert_eq!(told.0.lock().unwrap()[..], [Some(65_536 * GRANULE as usize)]);
            return;
        }
        assert_eq!(grow.call(&mut store, (65_534,)).unwrap(), (1,));
        assert_eq!(told.0.lock().unwrap()[..], [Some(65_535 * GRANULE as usize); 2]);
        assert_eq!(grow.call(&mut store, (1,)).unwrap(), (-1,));
        assert_eq!(grow.call(&mut store, (0,)).unwrap(), (65_535,));
        let last = 65_535 * G - 1;
        poke.call(&mut store, (last, 0x17)).unwrap();
        assert_eq!(load.call(&mut store, (last,)).unwrap(), (0x17,));
        assert_eq!(load.call(&mut store, (G - 1,)).unwrap(), (0x2a,));
        trap_is(load.call(&mut store, (last + 1,)), Trap::MemoryOutOfBounds);
    }

    /// Were a memory fixed that is mapped into, it would be as this one.
    fn a_memory_that_has_that_maximum_is_mapped_into_as_any_other(setup) {
        let runtime = setup.runtime();
        let component = runtime.compile(setup.text(&wat::guest("16 65535")).as_bytes()).unwrap();
        let mut store = Store::new(runtime.engine(), State::new(&runtime));
        let instance = linker(&runtime).instantiate(&mut store, &component).unwrap();
        let guest = Guest::new(instance, &mut store, None);
        guest.fill(&mut store, 3 * G, 0x11, 4 * G);
        for byte in [0x22, 0x33, 0x44] {
            let mapping = guest.mapped(&mut store, 4 * G, 2, byte);
            guest.expect(&mut store, 3 * G, G, 0x11);
            guest.expect(&mut store, 4 * G, 2 * G, byte);
            guest.expect(&mut store, 6 * G, G, 0x11);
            guest.unmap(&mut store, mapping, 4 * G, 2 * G).unwrap();
            guest.expect(&mut store, 3 * G, 4 * G, 0x11);
        }
    }
}
