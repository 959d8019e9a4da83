//! Private mappings when system calls fail: nothing frozen changes, nothing stays behind, and nobody else sees it.

use mappable::injection::{self, Call};
use wasmtime::{Store, Trap};

use crate::support::{Fixture, G, Guest, MapError, Setup, State, trap_is};
use crate::{SETUPS, alone, had, wat};

fn fixture(setup: Setup) -> Fixture {
    Fixture::new(setup, setup.runtime_that_keeps_none(setup.config()))
}

/// A guest with a reference that it can map privately, and one to the same bytes that it has mapped for reading.
fn scene(fixture: &Fixture) -> (Store<State>, Guest, u32) {
    let component = fixture.compile(&wat::pair(fixture.setup.memory()));
    let mut store = Store::new(fixture.runtime.engine(), State::new(&fixture.runtime));
    let instance = fixture.linker.instantiate(&mut store, &component).unwrap();
    let [guest, _] = Guest::pair(instance, &mut store);
    guest.fill(&mut store, 4 * G, 0x11, 2 * G);
    let frozen = guest.frozen(&mut store, 4 * G, 2, 0x31);
    let other = guest.clone_frozen(&mut store, frozen).unwrap();
    guest.map_frozen(&mut store, other, 8 * G, 2 * G).unwrap();
    (store, guest, frozen)
}

/// For how many bytes a store is charged.
fn charged(store: &Store<State>) -> u64 {
    store.data().mappable.held().1
}

#[test]
fn what_fails_when_it_is_mapped_or_unmapped_can_be_done_again() {
    let _alone = alone();
    for setup in SETUPS {
        let fixture = fixture(setup);
        let before = had();
        for place in 0.. {
            let (mut store, guest, frozen) = scene(&fixture);
            injection::fail(Call::Map, place);
            let mapped = guest.map_private(&mut store, frozen, 4 * G, 2 * G);
            let failed = injection::stop();
            let mapping = mapped.unwrap_or_else(|(frozen, error)| {
                assert!(failed && error == MapError::Exhausted, "{setup:?}, {place}: {error:?}");
                guest.expect(&mut store, 4 * G, 2 * G, 0x11);
                guest.map_private(&mut store, frozen, 4 * G, 2 * G).unwrap()
            });
            guest.fill(&mut store, 4 * G, 0xee, G + 5);
            // Once is nothing: what was written could not be shown again, so it is tried again.
            injection::fail(Call::Map, place);
            let frozen = guest.unmap_frozen(&mut store, mapping, 4 * G, 2 * G).unwrap();
            let failed = injection::stop() || failed;
            guest.expect(&mut store, 4 * G, 2 * G, 0x11);
            guest.expect(&mut store, 8 * G, 2 * G, 0x31);
            guest.map_private(&mut store, frozen, 4 * G, 2 * G).unwrap();
            guest.expect(&mut store, 4 * G, 2 * G, 0x31);
            drop(store);
            if !failed {
                assert!(place > 0 || setup.way() == Setup::Copy, "{setup:?} makes calls");
                break;
            }
        }
        fixture.check_canary();
        assert_eq!(had(), before, "{setup:?}");
    }
}

#[test]
fn what_can_not_be_unmapped_ends_that_guest() {
    let _alone = alone();
    for setup in SETUPS.into_iter().filter(|setup| setup.frozen_stores_trap()) {
        let fixture = fixture(setup);
        let before = had();
        let ((mut store, guest, frozen), (mut other, bystander, _)) = (scene(&fixture), scene(&fixture));
        let mapping = guest.map_private(&mut store, frozen, 4 * G, 2 * G).unwrap();
        guest.fill(&mut store, 4 * G, 0xee, 2 * G);
        injection::fail_from(Call::Map, 0);
        let unmapped = guest.call::<_, u64>(&mut store, "unmap-frozen", (mapping, 4 * G, G));
        assert!(injection::stop());
        assert!(unmapped.is_err(), "{setup:?}");
        bystander.expect(&mut other, 8 * G, 2 * G, 0x31);
        bystander.mapped_and_unmapped(&mut other);
        drop((store, other));
        fixture.check_canary();
        assert_eq!(had(), before, "{setup:?}");
    }
}

#[test]
fn what_can_not_be_made_writable_by_granules_is_by_pages_or_at_once() {
    let _alone = alone();
    for setup in SETUPS.into_iter().filter(|setup| setup.frozen_stores_trap()) {
        let fixture = fixture(setup);
        let before = had();
        let (mut store, guest, frozen) = scene(&fixture);
        guest.map_private(&mut store, frozen, 4 * G, 2 * G).unwrap();
        let before_stores = charged(&store);
        // The page of the store alone, then the next one.
        for (page, how) in [(1, "store8"), (2, "fill")] {
            injection::fail(Call::Protect, 0);
            match how {
                "fill" => guest.fill(&mut store, 4 * G + page * 4096, 0xee, 10),
                _ => guest.store(&mut store, 4 * G + page * 4096, 0xee),
            }
            assert!(injection::stop());
            assert_eq!(charged(&store) - before_stores, u64::from(G));
        }
        // All of it, for which no mapping of the process's is needed.
        injection::fail_times(Call::Protect, 2);
        guest.store(&mut store, 4 * G + 5 * 4096, 0xee);
        assert!(injection::stop());
        assert_eq!(charged(&store) - before_stores, 2 * u64::from(G));
        guest.expect(&mut store, 8 * G, 2 * G, 0x31);
        // And where nothing can be: a trap in that guest.
        drop(store);
        let (mut store, guest, frozen) = scene(&fixture);
        guest.map_private(&mut store, frozen, 4 * G, 2 * G).unwrap();
        injection::fail_from(Call::Protect, 0);
        let stored = guest.run(&mut store, "store8", (4 * G, 1u32));
        assert!(injection::stop());
        trap_is(stored, Trap::MemoryOutOfBounds);
        drop(store);
        assert_eq!(had(), before, "{setup:?}");
    }
}
