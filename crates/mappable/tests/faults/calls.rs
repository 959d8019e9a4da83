//! Each system call fails once, at every place where it is made, and then all from there on. Whatever failed can be
//! done again, and nothing stays behind.

use mappable::injection::{self, Call};
use mappable::{GRANULE, HugePages, Runtime, RuntimeError};
use wasmtime::Store;

use crate::fault::{Faults, check_trap};
use crate::scene::Scene;
use crate::support::{Fixture, G, Guest, Setup, State, all_are};
use crate::{SETUPS, alone, had, wat};

/// What came of failing one kind of call at every place.
#[derive(Debug, Default)]
struct Tally {
    places: usize,
    refused: usize,
    trapped: usize,
}

/// Plays the scene once for each place at which the call is made, and has it fail there.
fn fail_everywhere(fixture: &Fixture, call: Call, goes_on: bool) -> Tally {
    let mut tally = Tally::default();
    loop {
        let before = had();
        let faults = Faults::new(call, tally.places as u64, goes_on);
        let mut scene = Scene::new(fixture, &faults);
        let answer = scene.run();
        drop(scene);
        let failed = faults.stop();
        if let Err(trap) = answer {
            check_trap(fixture.setup, &faults, goes_on, &trap);
            tally.trapped += 1;
        }
        fixture.check_canary();
        let after = had();
        let what = format!("{:?}, {call:?} failed at {}", fixture.setup, tally.places);
        assert!(after.is_but_for_blocks(&before), "{what}: {before:?}, {after:?}");
        if call == Call::Punch {
            // A range that could not be punched is not used again, lest its bytes show.
            assert!(after.blocks >= before.blocks, "{what}");
            let regions = (1..9).map(|granules| fixture.runtime.allocate(granules * GRANULE).unwrap());
            assert!(regions.into_iter().all(|region| region.bytes().unwrap().iter().all(|&byte| byte == 0)), "{what}");
        } else {
            assert_eq!(after.blocks, before.blocks, "{what}");
        }
        if !failed {
            return tally;
        }
        tally.places += 1;
        tally.refused += faults.refused.get();
    }
}

fn scenes(call: Call) {
    let _alone = alone();
    for setup in SETUPS {
        let before = had();
        let fixture = Fixture::new(setup, setup.runtime_that_keeps_none(setup.config()));
        let [once, on] = [false, true].map(|goes_on| fail_everywhere(&fixture, call, goes_on));
        drop(fixture);
        assert_eq!(had(), before, "{setup:?}, {call:?}: a runtime takes all with it");
        println!("{setup:?}, {call:?}: once {once:?}, from then on {on:?}");
        if setup.way() == Setup::Copy {
            assert_eq!(once.places, 0, "{call:?}: blocks of the heap need no system call of ours");
            continue;
        }
        // Two memories grow.
        let least = if call == Call::Protect { 2 } else { 3 };
        assert!(once.places >= least && on.places >= least, "{setup:?}: {once:?}, {on:?}");
        match call {
            Call::Read | Call::Write => assert!(once.trapped > 0 && once.refused > 0, "{setup:?}: {once:?}"),
            Call::Punch => assert_eq!((once.refused, once.trapped), (0, 0), "{setup:?}"),
            _ => assert!(once.refused >= least && once.trapped == 0, "{setup:?}: {once:?}"),
        }
    }
}

#[test]
fn address_space_that_is_refused_leaves_all_as_it_was() {
    scenes(Call::Reserve);
}

#[test]
fn a_mapping_that_is_refused_leaves_all_as_it_was() {
    scenes(Call::Map);
}

#[test]
fn access_that_is_refused_leaves_all_as_it_was() {
    scenes(Call::Protect);
}

#[test]
fn bytes_that_cannot_be_read_are_a_trap_or_an_error() {
    scenes(Call::Read);
}

#[test]
fn bytes_that_cannot_be_written_are_a_trap_or_an_error() {
    scenes(Call::Write);
}

#[test]
fn memory_that_cannot_be_freed_is_not_used_again() {
    scenes(Call::Punch);
}

#[test]
fn a_runtime_is_made_whole_or_not_at_all() {
    let _alone = alone();
    mappable::install_fault_handler().unwrap();
    for setup in SETUPS.into_iter().filter(|setup| setup.way() != Setup::Copy && !setup.is_ledger()) {
        for call in [Call::Create, Call::Truncate, Call::Reserve, Call::Map, Call::Read, Call::Write, Call::Punch] {
            let mut refused = 0;
            for place in 0.. {
                let before = had();
                let faults = Faults::new(call, place, false);
                let answer = build(setup);
                let failed = faults.stop();
                match answer {
                    // What stands can be worked with.
                    Ok(runtime) => drop(Fixture::new(setup, runtime)),
                    Err(error) => {
                        let of_file = [Call::Create, Call::Truncate].contains(&call);
                        let right = if of_file {
                            matches!(error, RuntimeError::Backing(_))
                        } else {
                            matches!(error, RuntimeError::Unfit(_))
                        };
                        assert!(failed && right, "{setup:?}, {call:?} at {place}: {error:?}");
                        refused += 1;
                    }
                }
                assert_eq!(had(), before, "{setup:?}, {call:?} at {place}");
                if !failed {
                    break;
                }
            }
            assert_eq!(refused > 0, ![Call::Punch, Call::Write].contains(&call), "{setup:?}, {call:?}");
        }
    }
}

#[test]
fn a_view_that_is_not_built_takes_no_others_place() {
    let _alone = alone();
    mappable::install_fault_handler().unwrap();
    // One view besides the first of each memory: as many as the hops below need.
    let builder = Runtime::builder().config(Setup::Swap.config()).max_views(1, 4).idle_regions(0);
    let fixture = Fixture::new(Setup::NoViews, builder.build().unwrap());
    let component = fixture.compile(&wat::guest("16"));
    let hop = |store: &mut Store<State>, guest: &Guest, region: u32| {
        let before = mappable::internals::system_calls();
        let mapping = guest.map(store, region, 4 * G, G).unwrap();
        let region = guest.unmap(store, mapping, 4 * G, G).unwrap();
        (region, mappable::internals::system_calls() - before)
    };
    let begin = || {
        let mut store = Store::new(fixture.runtime.engine(), State::new(&fixture.runtime));
        let guest = Guest::new(fixture.linker.instantiate(&mut store, &component).unwrap(), &mut store, None);
        let region = guest.allocate(&mut store, GRANULE).unwrap();
        (store, guest, region)
    };
    for (call, succeed) in [(Call::Reserve, 0), (Call::Map, 0), (Call::Map, 1)].repeat(5) {
        let (mut store, guest, region) = begin();
        // In passing. The second time is worth a view.
        let (region, _) = hop(&mut store, &guest, region);
        injection::fail(call, succeed);
        let (_, made) = hop(&mut store, &guest, region);
        assert!(injection::stop() && made > 0, "{call:?}, {succeed}: {made}");
    }
    let (mut store, guest, region) = begin();
    let (region, first) = hop(&mut store, &guest, region);
    let (region, second) = hop(&mut store, &guest, region);
    let (_, warm) = hop(&mut store, &guest, region);
    let all = (first, second, warm);
    assert!(
        first > 0 && second > 0 && warm == 0,
        "there is room for a view, so that a warm hop makes no call: {all:?}"
    );
}

#[test]
fn huge_pages_that_are_refused_make_no_difference() {
    const HUGE: u32 = 32 * G;
    let _alone = alone();
    mappable::install_fault_handler().unwrap();
    for setup in [Setup::Swap, Setup::Remap] {
        let runtime = setup
            .builder(setup.config())
            .huge_pages(HugePages::Advised)
            .idle_memories(0)
            .idle_regions(0)
            .build()
            .unwrap();
        let fixture = Fixture::new(setup, runtime);
        let component = fixture.compile(&wat::guest(setup.memory()));
        let before = had();
        injection::fail_from(Call::Advise, 0);
        let mut region = fixture.runtime.allocate(HUGE.into()).unwrap();
        region.bytes_mut().unwrap().fill(0x22);
        let mut store = Store::new(fixture.runtime.engine(), State::new(&fixture.runtime));
        let guest = Guest::new(fixture.linker.instantiate(&mut store, &component).unwrap(), &mut store, None);
        guest.grow(&mut store, 48);
        let handle = guest.allocate(&mut store, HUGE.into()).unwrap();
        assert!(injection::stop(), "{setup:?}: the window is advised");
        injection::fail(Call::Advise, 0);
        let mapping = guest.map(&mut store, handle, HUGE, HUGE).unwrap();
        assert!(injection::stop(), "{setup:?}: the mapping is advised");
        guest.expect(&mut store, HUGE, HUGE, 0);
        guest.unmap(&mut store, mapping, HUGE, HUGE).unwrap();

        injection::fail(Call::Collapse, 0);
        assert_eq!(region.collapse().unwrap_err().kind(), std::io::ErrorKind::OutOfMemory);
        assert!(injection::stop());
        assert!(all_are(region.bytes().unwrap(), 0x22));
        let frozen = region.freeze().unwrap();
        injection::fail(Call::Collapse, 0);
        frozen.collapse().unwrap_err();
        assert!(injection::stop() && all_are(&frozen, 0x22));
        // Whether there are any or not.
        let _ = frozen.collapse();
        assert!(all_are(&frozen, 0x22));
        drop((frozen, store));
        fixture.check_canary();
        assert_eq!(had(), before, "{setup:?}");
    }
}

fn build(setup: Setup) -> Result<Runtime, RuntimeError> {
    let builder = Runtime::builder().config(setup.config());
    match setup.way() {
        Setup::Remap => builder.mapping(mappable::MappingMode::Remap).build(),
        _ => builder.build(),
    }
}
