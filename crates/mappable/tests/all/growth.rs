//! Growth page by page: a memory has as much as it was grown by, zeroed, and nothing past its end, whatever it shows
//! meanwhile and whoever had it before.

use wasmtime::{Config, Instance, Module, Store, Trap};

use super::support::{Fixture, G, Guest, PAGES, Setup, State, on_every_setup, trap_is};
use super::wat;

/// When a region is mapped.
#[derive(Clone, Copy, Debug)]
enum Mapped {
    Never,
    /// Before the memory grows, until the end.
    Throughout,
    /// Before the memory grows, and not after.
    Meanwhile,
    /// After, and before too.
    Twice,
}

/// A guest that has grown by so many pages, one at a time.
fn grown(fixture: &Fixture, by: u32, mapped: Mapped) -> (Store<State>, Guest) {
    let component = fixture.compile(&wat::guest(fixture.setup.memory()));
    let mut store = Store::new(fixture.runtime.engine(), State::new(&fixture.runtime));
    let guest = Guest::new(fixture.linker.instantiate(&mut store, &component).unwrap(), &mut store, None);
    let mut mapping = match mapped {
        Mapped::Never => None,
        _ => Some(guest.mapped(&mut store, 3 * G, 2, 7)),
    };
    for pages in PAGES..PAGES + by {
        assert_eq!(guest.grow(&mut store, 1), pages as i32);
        guest.expect(&mut store, pages * G, G, 0);
        guest.store(&mut store, pages * G, 1);
        guest.store(&mut store, pages * G + G - 1, 2);
    }
    if let Mapped::Meanwhile | Mapped::Twice = mapped {
        let region = guest.unmap(&mut store, mapping.take().unwrap(), 3 * G, 2 * G).unwrap();
        if let Mapped::Twice = mapped {
            guest.map(&mut store, region, 3 * G, 2 * G).unwrap();
        }
    }
    for pages in PAGES..PAGES + by {
        assert_eq!(guest.load(&mut store, pages * G), 1);
        assert_eq!(guest.load(&mut store, pages * G + G - 1), 2);
    }
    let seen = if let Mapped::Throughout | Mapped::Twice = mapped { 7 } else { 0 };
    guest.expect(&mut store, 3 * G, 2 * G, seen);
    (store, guest)
}

on_every_setup! {
    fn a_memory_ends_where_it_should_after_each_growth(setup) {
        let fixture = Fixture::new(setup, setup.runtime());
        // Large ones and small ones in turn, so that memories come back that had more, and that had less.
        for by in [20, 0, 17, 1, 2, 16] {
            let end = (PAGES + by) * G;
            for mapped in [Mapped::Never, Mapped::Throughout, Mapped::Meanwhile, Mapped::Twice] {
                // The next byte, the next page, and the last of what may be laid ahead.
                for past in [end, end + G, end + 15 * G] {
                    let (mut store, guest) = grown(&fixture, by, mapped);
                    let read = guest.call::<_, u32>(&mut store, "load8", (past,));
                    trap_is(read, Trap::MemoryOutOfBounds);
                }
            }
        }
        fixture.check_canary();
    }

    fn a_memory_of_many_pages_comes_back_zeroed(setup) {
        // As many as the setup has at the most; more than are kept where it has no maximum.
        let pages = if setup.memory() == "16" { 100 } else { 64 };
        let fixture = Fixture::new(setup, setup.runtime());
        for round in 0..4 {
            let component = fixture.compile(&wat::guest(setup.memory()));
            let mut store = Store::new(fixture.runtime.engine(), State::new(&fixture.runtime));
            let guest = Guest::new(fixture.linker.instantiate(&mut store, &component).unwrap(), &mut store, None);
            guest.expect(&mut store, G, (PAGES - 1) * G, 0);
            // Not every time, so that what is kept is not used, and then is again.
            if round != 1 {
                assert_eq!(guest.grow(&mut store, pages - PAGES), PAGES as i32);
                guest.expect(&mut store, PAGES * G, (pages - PAGES) * G, 0);
                guest.fill(&mut store, 40 * G, 0xa5, (pages - 40) * G);
            }
        }
        fixture.check_canary();
    }
}

#[test]
fn a_shared_memory_grows_to_its_maximum() {
    const TEXT: &str = r#"(module
        (memory (export "memory") 1 5 shared)
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
        (func (export "exchange") (param i32 i32) (result i32)
            (i32.atomic.rmw.xchg (local.get 0) (local.get 1))))"#;
    for setup in [Setup::Swap, Setup::Remap, Setup::Copy] {
        let mut config = Config::new();
        config.wasm_threads(true).shared_memory(true);
        let runtime = setup.runtime_with(config);
        let module = Module::new(runtime.engine(), TEXT).unwrap();
        let mut store = Store::new(runtime.engine(), ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let grow = instance.get_typed_func::<u32, i32>(&mut store, "grow").unwrap();
        let exchange = instance.get_typed_func::<(u32, u32), u32>(&mut store, "exchange").unwrap();
        let last = |pages: u32| pages * G - 4;
        assert_eq!(exchange.call(&mut store, (last(1), 1)).unwrap(), 0);
        for pages in 1..5 {
            trap_is(exchange.call(&mut store, (last(pages + 1), 1)), Trap::MemoryOutOfBounds);
            assert_eq!(grow.call(&mut store, 1).unwrap(), pages as i32, "{setup:?}");
            assert_eq!(exchange.call(&mut store, (last(pages + 1), 1)).unwrap(), 0, "{setup:?}");
            assert_eq!(exchange.call(&mut store, (last(pages), 1)).unwrap(), 1, "{setup:?}");
        }
        assert_eq!(grow.call(&mut store, 1).unwrap(), -1, "{setup:?}");
    }
}
