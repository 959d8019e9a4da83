//! What becomes of a memory, or a region, that is to be kept for the next one, when a step of that fails.

use mappable::injection::{self, Call};
use mappable::{GRANULE, Mappable};
use wasmtime::Store;

use crate::support::{Fixture, G, Guest, PAGES, Setup, State};
use crate::{SETUPS, alone, had, wat};

const MORE: u32 = 4;

/// A guest that has found zeroes all over its memory, has written to all of it, and has a region mapped.
fn tenant(fixture: &Fixture) -> (Store<State>, Guest) {
    let component = fixture.compile(&wat::guest(fixture.setup.memory()));
    let mut store = Store::new(fixture.runtime.engine(), State::new(&fixture.runtime));
    let guest = Guest::new(fixture.linker.instantiate(&mut store, &component).unwrap(), &mut store, None);
    assert_eq!(guest.grow(&mut store, MORE), PAGES as i32);
    guest.expect(&mut store, G, (PAGES + MORE - 1) * G, 0);
    guest.fill(&mut store, G, 0xa5, (PAGES + MORE - 1) * G);
    let region = guest.allocate(&mut store, 2 * GRANULE).unwrap();
    guest.map(&mut store, region, 3 * G, 2 * G).unwrap();
    guest.fill(&mut store, 3 * G, 0x5a, 2 * G);
    (store, guest)
}

/// Has a call of this kind fail at each place at which one is made while a store goes, or all from there on. Answers
/// how many places there are.
fn fail_while_a_store_goes(fixture: &Fixture, call: Call, goes_on: bool) -> u64 {
    for place in 0.. {
        let (store, _) = tenant(fixture);
        let fail = if goes_on { injection::fail_from } else { injection::fail };
        fail(call, place);
        drop(store);
        if !injection::stop() {
            return place;
        }
    }
    unreachable!()
}

#[test]
fn a_memory_that_can_not_be_cleared_is_not_used_again() {
    let _alone = alone();
    for setup in SETUPS.into_iter().filter(|setup| setup.way() != Setup::Copy) {
        let before = had();
        // With room for a part of what the guest leaves, so that the rest is freed.
        let fixture = Fixture::new(setup, setup.builder(setup.config()).idle_memories(1).build().unwrap());
        for call in [Call::Seek, Call::Punch, Call::Map, Call::Protect] {
            for goes_on in [false, true] {
                let places = fail_while_a_store_goes(&fixture, call, goes_on);
                // Where the region is in another view than the first, it needs not be hidden.
                assert!(places > 0 || [Call::Map, Call::Protect].contains(&call), "{setup:?}, {call:?}");
            }
        }
        fixture.check_canary();
        drop(fixture);
        assert_eq!(had(), before, "{setup:?}: a runtime takes all with it");
    }
}

#[test]
fn where_an_idle_memory_is_of_no_use_another_is_made() {
    let _alone = alone();
    // (In the other tier a ledger is mapped, too.)
    for setup in SETUPS.into_iter().filter(|setup| setup.way() != Setup::Copy && !setup.is_ledger()) {
        let fixture = Fixture::new(setup, setup.runtime());
        drop(tenant(&fixture));
        // The one that is idle shows more than a new guest has, or less: it can't be made to fit.
        injection::fail(Call::Protect, 0);
        let (store, _) = tenant(&fixture);
        assert!(injection::stop(), "{setup:?}");
        drop(store);
        drop(tenant(&fixture));
        fixture.check_canary();
    }
}

/// A region whose pages lie in more pieces than are written over: by a guest, so that the host has no window of it, or by the
/// host.
fn written(fixture: &Fixture, by_guest: bool) -> Mappable {
    const GRANULES: u32 = 5;
    let mut region = fixture.runtime.allocate(u64::from(GRANULES) * GRANULE).unwrap();
    if !by_guest {
        region.bytes_mut().unwrap().chunks_mut(8192).for_each(|pages| pages[9] = 0xa5);
        return region;
    }
    let (mut store, guest) = tenant(fixture);
    let handle = store.data_mut().mappable.insert(region).unwrap();
    let handle = guest.take(&mut store, handle).unwrap();
    let mapping = guest.map(&mut store, handle, 6 * G, GRANULES * G).unwrap();
    (0..GRANULES * G).step_by(8192).for_each(|at| guest.store(&mut store, 6 * G + at, 0xa5));
    let handle = guest.unmap(&mut store, mapping, 6 * G, GRANULES * G).unwrap();
    let handle = guest.give(&mut store, handle).unwrap();
    store.data_mut().mappable.remove(handle).unwrap()
}

#[test]
fn a_region_that_can_not_be_cleared_is_not_used_again() {
    let _alone = alone();
    let setup = Setup::Swap;
    let before = had();
    for call in [Call::Seek, Call::Write, Call::Punch] {
        for (goes_on, by_guest) in [(false, true), (true, true), (false, false), (true, false)] {
            // Of a runtime of its own, so that all that it has is a hole.
            let fixture = Fixture::new(setup, setup.runtime());
            let (mut places, mut kept) = (0, vec![]);
            loop {
                let region = written(&fixture, by_guest);
                let fail = if goes_on { injection::fail_from } else { injection::fail };
                fail(call, places);
                drop(region);
                if !injection::stop() {
                    break;
                }
                let next = fixture.runtime.allocate(5 * GRANULE).unwrap();
                let is_zero = next.bytes().unwrap().iter().all(|&byte| byte == 0);
                assert!(is_zero, "{call:?} failed at {places}, by a guest: {by_guest}");
                kept.push(next);
                places += 1;
            }
            // What the host has a window of is written over by that.
            assert!(places > 0 || call == Call::Write && !by_guest, "{call:?}, by a guest: {by_guest}");
            fixture.check_canary();
        }
    }
    assert_eq!(had(), before, "a runtime takes all with it");
}
