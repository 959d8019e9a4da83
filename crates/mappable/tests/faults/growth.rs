//! What becomes of a memory when a step of its growth fails.

use mappable::injection::{self, Call};
use wasmtime::{Store, Trap};

use crate::support::{Fixture, G, Guest, PAGES, Setup, State, trap_is};
use crate::{SETUPS, alone, had, wat};

/// More than is laid ahead at first.
const BY: u32 = 40;

/// A guest with a region mapped.
fn guest(fixture: &Fixture) -> (Store<State>, Guest) {
    let component = fixture.compile(&wat::guest(fixture.setup.memory()));
    let mut store = Store::new(fixture.runtime.engine(), State::new(&fixture.runtime));
    let guest = Guest::new(fixture.linker.instantiate(&mut store, &component).unwrap(), &mut store, None);
    guest.mapped(&mut store, 3 * G, 2, 7);
    (store, guest)
}

/// Grows page by page while a call of this kind fails at a place, or all from there on. Answers how often growth was
/// refused.
fn grow_by_pages(store: &mut Store<State>, guest: &Guest, call: Call, place: u64, goes_on: bool) -> usize {
    let fail = if goes_on { injection::fail_from } else { injection::fail };
    fail(call, place);
    let (mut pages, mut refused) = (PAGES, 0);
    for step in 0..BY + 1 {
        match guest.grow(store, 1) {
            -1 => {
                refused += 1;
                assert!(goes_on || refused == 1, "one call failed");
            }
            before => {
                assert_eq!(before, pages as i32, "a growth that is refused changes nothing");
                guest.expect(store, pages * G, G, 0);
                guest.fill(store, pages * G, 0xa5, G);
                pages += 1;
            }
        }
        if pages == PAGES + BY || goes_on && step == BY {
            break;
        }
    }
    assert_eq!(injection::stop(), refused > 0, "{call:?} at {place}");
    // What was refused can be had now.
    for page in pages..PAGES + BY {
        assert_eq!(guest.grow(store, 1), page as i32);
        guest.expect(store, page * G, G, 0);
        guest.fill(store, page * G, 0xa5, G);
    }
    guest.expect(store, PAGES * G, BY * G, 0xa5);
    guest.expect(store, 3 * G, 2 * G, 7);
    refused
}

#[test]
fn growth_that_is_refused_changes_nothing_and_nothing_past_the_end_is_reached() {
    let _alone = alone();
    for setup in SETUPS.into_iter().filter(|setup| setup.way() != Setup::Copy) {
        let before = had();
        let fixture = Fixture::new(setup, setup.runtime_that_keeps_none(setup.config()));
        for call in [Call::Map, Call::Protect] {
            for goes_on in [false, true] {
                let mut places = 0;
                loop {
                    let (mut store, guest) = guest(&fixture);
                    let refused = grow_by_pages(&mut store, &guest, call, places, goes_on);
                    let past = guest.call::<_, u32>(&mut store, "load8", ((PAGES + BY) * G,));
                    trap_is(past, Trap::MemoryOutOfBounds);
                    if refused == 0 {
                        break;
                    }
                    places += 1;
                }
                // A page is shown by `mprotect`; how much there is to show is mapped a few times.
                let expected = if call == Call::Map { 2..=3 } else { u64::from(BY)..=u64::from(BY) };
                assert!(expected.contains(&places), "{setup:?}, {call:?}: {places}");
            }
        }
        fixture.check_canary();
        drop(fixture);
        assert_eq!(had(), before, "{setup:?}: a runtime takes all with it");
    }
}

#[test]
fn a_memory_that_ends_where_growth_was_refused_lets_nothing_past_it() {
    let _alone = alone();
    for setup in SETUPS.into_iter().filter(|setup| setup.way() != Setup::Copy) {
        let fixture = Fixture::new(setup, setup.runtime());
        for call in [Call::Map, Call::Protect] {
            for (grown, past) in
                [0, 1, 2, 18, 30].into_iter().flat_map(|grown| [(grown, 0), (grown, G), (grown, 17 * G)])
            {
                let (mut store, guest) = guest(&fixture);
                for _ in 0..grown {
                    assert_ne!(guest.grow(&mut store, 1), -1);
                }
                // More than is laid ahead, so that both calls are made.
                injection::fail(call, 0);
                let answer = guest.grow(&mut store, 18);
                let failed = injection::stop();
                assert_eq!(answer == -1, failed);
                let pages = if failed { PAGES + grown } else { PAGES + grown + 18 };
                guest.store(&mut store, pages * G - 1, 1);
                trap_is(guest.call::<_, u32>(&mut store, "load8", (pages * G + past,)), Trap::MemoryOutOfBounds);
            }
        }
        fixture.check_canary();
    }
}
