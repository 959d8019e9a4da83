//! What a process has for a while it gives back: mappings, descriptors, pages. In a process of its own, one test at a
//! time, since all is counted for the whole process.

use mappable::ipc::{Afterwards, Connection, ReceiveError, Received, Settings};
use mappable::{GRANULE, Trust};
use mappable_testing::{process, support, wat};
use process::{alone, had};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Fixture, G, Guest, Setup, World};

/// Everything that takes something: views, growth, dropped handles, regions left mapped, traps.
fn use_and_leave(fixture: &'static Fixture, round: u32) {
    let mut world = fixture.world();
    let (a, b) = world.pair();
    let mut region = a.allocate(&mut world, 2 * GRANULE).unwrap();
    for at in 2..6 {
        let mapping = a.map(&mut world, region, at * G, 2 * G).unwrap();
        a.fill(&mut world, at * G, 1, 2 * G);
        region = a.unmap(&mut world, mapping, at * G, 2 * G).unwrap();
    }
    let region: u32 = a.call(&mut world, "pass", (region,)).unwrap();
    b.map(&mut world, region, 5 * G, 2 * G).unwrap();
    b.fill(&mut world, G, 2, 14 * G);
    b.grow(&mut world, 3);
    let dropped = a.mapped(&mut world, 3 * G, 4, 3);
    a.run(&mut world, "drop-mapping", (dropped,)).unwrap();
    a.mapped(&mut world, 8 * G, 2, 4);
    let held = a.allocate(&mut world, GRANULE).unwrap();
    match round % 4 {
        0 => drop(a.call::<_, u32>(&mut world, "load8", (u32::MAX,)).unwrap_err()),
        1 => {
            a.run(&mut world, "set-ret", (1025u32,)).unwrap();
            drop(a.try_map(&mut world, held, 12 * G, G).unwrap_err());
        }
        2 => {
            let handle = a.give(&mut world, held).unwrap();
            let mut region = world.remove(handle);
            region.bytes_mut().unwrap().fill(5);
            let handle = world.insert(region);
            a.take(&mut world, handle).unwrap();
        }
        _ => {}
    }
}

#[test]
fn a_store_gives_back_all_that_it_had() {
    let _alone = alone();
    for setup in Setup::all() {
        let fixture = Fixture::new(setup, setup.runtime_that_keeps_none(setup.config()));
        let fixture: &'static Fixture = Box::leak(Box::new(fixture));
        use_and_leave(fixture, 0);
        let before = had();
        let mapped = setup.way() != Setup::Copy;
        assert!((before.mappings > 0 && before.blocks > 0) || !mapped, "the canaries are there: {before:?}");
        for round in 0..60 {
            use_and_leave(fixture, round);
        }
        assert_eq!(had(), before, "{setup:?}");
    }
}

#[test]
fn memories_that_nobody_uses_keep_no_more_than_they_may() {
    let _alone = alone();
    for setup in Setup::all() {
        const KEPT: u64 = 3;
        let runtime = setup.builder(setup.config()).idle_memories(KEPT as usize).idle_regions(0).build().unwrap();
        let fixture: &'static Fixture = Box::leak(Box::new(Fixture::new(setup, runtime)));
        let before = had();
        for round in 0..20 {
            use_and_leave(fixture, round);
            // At once, so that there is more to keep than may be.
            let mut worlds = [fixture.world(), fixture.world(), fixture.world()];
            for world in &mut worlds {
                let guest = world.guest();
                guest.fill(world, G, 3, 15 * G);
            }
        }
        let after = had();
        // Each may have as many pages as a small guest touches, all together as many again, and each two mappings of
        // ours. There may be as many ledgers, with 64 KiB and a mapping each.
        let blocks = KEPT * (2 * (256 << 10) + (64 << 10)) / 512;
        assert!(after.blocks <= before.blocks + blocks, "{setup:?}: {before:?}, {after:?}");
        assert!(after.mappings as u64 <= before.mappings as u64 + 3 * KEPT, "{setup:?}: {before:?}, {after:?}");
        assert!(after.reserved <= before.reserved + ((KEPT * 8 + 4) << 30), "{setup:?}: {before:?}, {after:?}");
        assert_eq!(after.descriptors, before.descriptors, "{setup:?}");
    }
}

#[test]
fn a_memory_that_grows_page_by_page_takes_no_more_mappings() {
    let _alone = alone();
    for setup in Setup::all() {
        let fixture = Fixture::new(setup, setup.runtime_that_keeps_none(setup.config()));
        let fixture: &'static Fixture = Box::leak(Box::new(fixture));
        // As far as the memory can, where it has a maximum.
        let growths = if setup.memory() == "16" { 1000 } else { 48 };
        let mut world = fixture.world();
        let guest = world.guest();
        // A view with a region, one without, and one that is changed.
        for at in [3, 5, 3, 5] {
            let mapping = guest.mapped(&mut world, at * G, 1, 1);
            guest.unmap(&mut world, mapping, at * G, G).unwrap();
        }
        guest.mapped(&mut world, 3 * G, 1, 1);
        let before = had().mappings;
        for growth in 0..growths {
            assert_eq!(guest.grow(&mut world, 1), 16 + growth);
            guest.store(&mut world, (16 + growth as u32) * G, 1);
            // One for what is laid ahead.
            assert!(had().mappings <= before + 1, "{setup:?}: {before}, {:?} after {growth}", had());
        }
    }
}

#[test]
fn regions_that_nobody_owns_keep_no_more_than_they_may() {
    let _alone = alone();
    for setup in Setup::all() {
        const KEPT: u64 = 5;
        let builder = setup.builder(setup.config()).idle_memories(0).idle_regions(KEPT * GRANULE);
        let fixture = Fixture::new(setup, builder.build().unwrap());
        let before = had();
        for round in 0..20 {
            let regions = [1, 2, 4, 7].map(|granules| {
                let mut region = fixture.runtime.allocate(granules * GRANULE).unwrap();
                region.bytes_mut().unwrap().fill(round);
                region
            });
            drop(regions);
        }
        let after = had();
        assert!(after.blocks <= before.blocks + KEPT * GRANULE / 512, "{setup:?}: {before:?}, {after:?}");
        assert!(after.mappings as u64 <= before.mappings as u64 + KEPT, "{setup:?}: {before:?}, {after:?}");
        assert_eq!(after.descriptors, before.descriptors, "{setup:?}");
    }
}

#[test]
fn a_region_that_comes_back_takes_no_system_call() {
    let _alone = alone();
    for setup in Setup::all() {
        let runtime = setup.runtime();
        let make = || {
            let mut region = runtime.allocate(3 * GRANULE).unwrap();
            region.bytes_mut().unwrap().fill(7);
            region
        };
        drop(make());
        let before = mappable::internals::system_calls();
        let region = make();
        assert_eq!(mappable::internals::system_calls(), before, "{setup:?}");
        drop(region);
    }
}

/// A request: a guest of its own maps a region of the host's, writes to it, and gives it back. Answers the system calls of
/// mapping and unmapping, and the region.
fn request(fixture: &Fixture, mut region: mappable::Mappable) -> (u64, mappable::Mappable) {
    region.bytes_mut().unwrap().fill(1);
    let component = fixture.compile(&wat::guest(fixture.setup.memory()));
    let mut store = wasmtime::Store::new(fixture.runtime.engine(), support::State::new(&fixture.runtime));
    let instance = fixture.linker.instantiate(&mut store, &component).unwrap();
    let guest = Guest::new(instance, &mut store, None);
    let handle = store.data_mut().mappable.insert(region).unwrap();
    let handle = guest.take(&mut store, handle).unwrap();
    let before = mappable::internals::system_calls();
    let mapping = guest.map(&mut store, handle, 2 * G, G).unwrap();
    guest.expect(&mut store, 2 * G, G, 1);
    guest.fill(&mut store, 2 * G, 2, G);
    let handle = guest.unmap(&mut store, mapping, 2 * G, G).unwrap();
    let calls = mappable::internals::system_calls() - before;
    guest.expect(&mut store, 2 * G, G, 0);
    let handle = guest.give(&mut store, handle).unwrap();
    let region = store.data_mut().mappable.remove(handle).unwrap();
    assert!(support::all_are(region.bytes().unwrap(), 2));
    (calls, region)
}

#[test]
fn a_small_region_that_comes_again_is_mapped_cold_without_a_system_call() {
    let _alone = alone();
    for setup in Setup::all().filter(|setup| !setup.is_ledger()) {
        let fixture = Fixture::new(setup, setup.runtime());
        let mut region = Some(fixture.runtime.allocate(GRANULE).unwrap());
        let calls = [(); 4].map(|()| {
            let (calls, back) = request(&fixture, region.take().unwrap());
            region = Some(back);
            calls
        });
        match setup {
            Setup::Copy => assert_eq!(calls, [0; 4]),
            Setup::Remap | Setup::RemapConcurrent | Setup::Fixed => {
                assert!(calls.iter().all(|&calls| calls > 0), "{setup:?}: {calls:?}");
            }
            // A page that is not there costs more than a system call saves: of a region that is new, and of a heap.
            _ => assert!(calls[0] > 0 && calls[1..] == [0; 3], "{setup:?}: {calls:?}"),
        }
    }
}

#[test]
fn a_runtime_gives_back_all_that_it_had() {
    let _alone = alone();
    let cycle = || {
        let runtime = Setup::Swap.runtime();
        let mut region = runtime.allocate(GRANULE).unwrap();
        region.bytes_mut().unwrap().fill(1);
        let component = runtime.compile(wat::guest("16").as_bytes()).unwrap();
        let mut store = wasmtime::Store::new(runtime.engine(), support::State::new(&runtime));
        let instance = support::linker(&runtime).instantiate(&mut store, &component).unwrap();
        Guest::new(instance, &mut store, None).mapped(&mut store, 2 * G, 2, 1);
    };
    cycle();
    let before = had();
    for _ in 0..10 {
        cycle();
    }
    assert_eq!(had(), before);
}

/// The bytes that private copies of our files' pages take.
fn private_bytes() -> u64 {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut ours, mut bytes) = (false, 0);
    for line in maps.lines() {
        let first = line.split_whitespace().next().unwrap_or("");
        if !first.ends_with(':') {
            ours = line.contains("memfd:mappable");
        } else if ours && first == "Anonymous:" {
            bytes += line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10;
        }
    }
    bytes
}

#[test]
fn what_a_guest_has_the_host_write_to_frozen_mappings_takes_no_more_than_two_views() {
    let _alone = alone();
    for setup in Setup::all() {
        let before = private_bytes();
        let mut world = World::new(setup);
        let guest = world.guest();
        let mut frozen = guest.frozen(&mut world, 2 * G, 4, 0x11);
        let mut most = 0;
        for round in 0..60 {
            let at = (1 + round % 11) * G;
            let mapping = guest.map_frozen(&mut world, frozen, at, 4 * G).unwrap();
            guest.expect(&mut world, at, 4 * G, 0x11);
            guest.fill(&mut world, at, 0x22, 4 * G);
            most = most.max(private_bytes() - before);
            frozen = guest.unmap_frozen(&mut world, mapping, at, 4 * G).unwrap();
        }
        assert!(most <= 2 * 4 * GRANULE, "{setup:?}: {most}");
        assert!(most >= 4 * GRANULE || setup.way() == Setup::Copy, "{setup:?}: what was written is seen: {most}");
        drop(world);
        assert_eq!(private_bytes(), before, "{setup:?}");
    }
}

#[test]
fn a_warm_map_makes_no_system_call_where_views_are_swapped() {
    let _alone = alone();
    for setup in Setup::all() {
        let mut world = World::new(setup);
        let (a, b) = world.pair();
        let mut region = a.allocate(&mut world, 4 * GRANULE).unwrap();
        let mut hop = |world: &mut World| {
            for guest in [&a, &b] {
                let mapping = guest.map(world, region, 4 * G, 4 * G).unwrap();
                guest.store(world, 4 * G, 1);
                region = guest.unmap(world, mapping, 4 * G, 4 * G).unwrap();
                let hand_over = if std::ptr::eq(guest, &a) { "pass" } else { "fetch" };
                region = a.call(world, hand_over, (region,)).unwrap();
            }
        };
        for _ in 0..3 {
            hop(&mut world);
        }
        let before = mappable::internals::system_calls();
        for _ in 0..10 {
            hop(&mut world);
        }
        let made = mappable::internals::system_calls() - before;
        if setup.swaps() || setup.way() == Setup::Copy {
            assert_eq!(made, 0, "{setup:?}");
        } else {
            assert_eq!(made, 10 * 4, "{setup:?}: one for each map and unmap");
        }
    }
}

#[test]
#[allow(unsafe_code, reason = "whoever trusts a peer says so by it")]
fn a_warm_hop_between_ends_of_a_connection_takes_a_message_and_nothing_else() {
    let _alone = alone();
    let [here, there] = [(); 2].map(|()| Setup::Swap.runtime());
    // SAFETY: both ends are here.
    let settings = Settings::new(unsafe { Trust::peer() });
    let (one, other) = Connection::pair(&here, &there, settings).unwrap();
    let received = |end: &Connection| match end.receive() {
        Ok(Received::Region { region, .. }) => region,
        other => panic!("no region: {other:?}"),
    };
    let mut sent = here.allocate_exportable(4 * GRANULE).unwrap();
    for hop in 0..20u8 {
        let before = mappable::internals::system_calls();
        one.send(sent, 0, Afterwards::Free).unwrap();
        let mut region = received(&other);
        region.bytes_mut().unwrap()[..8].fill(hop);
        other.send(region, 0, Afterwards::Free).unwrap();
        sent = received(&one);
        assert_eq!(sent.bytes().unwrap()[7], hop);
        let calls = mappable::internals::system_calls() - before;
        assert!(hop < 3 || calls == 4, "hop {hop} there and back took {calls} system calls");
    }
    // Frozen bytes: the reference there, and the word back that it is done with.
    for hop in 0..20u64 {
        let before = mappable::internals::system_calls();
        let frozen = sent.freeze().unwrap();
        one.send_frozen(&frozen, hop).unwrap();
        let Ok(Received::Frozen { frozen: there, tag }) = other.receive() else { panic!("no frozen bytes") };
        assert_eq!((there[7], tag), (19, hop));
        drop(there);
        assert!(one.settle().unwrap());
        sent = frozen.thaw().unwrap();
        let calls = mappable::internals::system_calls() - before;
        assert!(hop < 3 || calls == 4, "hop {hop} and the word back took {calls} system calls");
    }
}

#[test]
#[allow(unsafe_code, reason = "whoever trusts a peer says so by it")]
fn a_region_that_goes_down_a_chain_of_three_is_not_copied() {
    let _alone = alone();
    let [few, many] = [1, 64].map(|granules| {
        let [first, second, third] = [(); 3].map(|()| Setup::Swap.runtime());
        // SAFETY: all ends are here.
        let settings = Settings::new(unsafe { Trust::peer() });
        let (a, b1) = Connection::pair(&first, &second, settings).unwrap();
        let (b2, c) = Connection::pair(&second, &third, settings).unwrap();
        let received = |end: &Connection| match end.receive() {
            Ok(Received::Region { region, .. }) => region,
            other => panic!("no region: {other:?}"),
        };
        let mut region = first.allocate_exportable(granules * GRANULE).unwrap();
        region.bytes_mut().unwrap().fill(7);
        let before = mappable::internals::system_calls();
        a.send(region, 0, Afterwards::Free).unwrap();
        let region = received(&b1);
        assert!(region.is_exportable());
        b2.send(region, 0, Afterwards::Free).unwrap();
        let region = received(&c);
        let calls = mappable::internals::system_calls() - before;
        assert!(region.bytes().unwrap().iter().all(|&byte| byte == 7));
        calls
    });
    // A copy takes two at least for each granule.
    assert!(few == many && many < 32, "{few} and {many} system calls");
}

#[test]
#[allow(unsafe_code, reason = "whoever trusts a peer says so by it")]
fn what_was_not_received_is_neither_copied_nor_lost_when_its_receiver_drops_the_connection() {
    let _alone = alone();
    // SAFETY: both ends are here.
    for trust in [Trust::SEALS, unsafe { Trust::peer() }] {
        for setup in [Setup::Swap, Setup::Copy] {
            let [few, many] = [1, 64].map(|granules| {
                let (here, there) = (Setup::Swap.runtime(), setup.runtime());
                let (one, other) = Connection::pair(&here, &there, Settings::new(trust)).unwrap();
                for (tag, afterwards) in
                    [Afterwards::GiveBack, Afterwards::Free, Afterwards::GiveBack].iter().enumerate()
                {
                    let mut region = here.allocate_exportable(granules * GRANULE).unwrap();
                    region.bytes_mut().unwrap().fill(tag as u8 + 1);
                    one.send(region, tag as u64 + 1, *afterwards).unwrap();
                }
                let mut frozen = here.allocate_exportable(granules * GRANULE).unwrap();
                frozen.bytes_mut().unwrap().fill(9);
                one.send_frozen(&frozen.freeze().unwrap().seal().unwrap(), 4).unwrap();
                let before = mappable::internals::system_calls();
                drop(other);
                process::wait_until_closed();
                let calls = mappable::internals::system_calls() - before;
                for tag in [1, 3] {
                    let Ok(Received::Returned { region, tag: its }) = one.receive() else { panic!("{tag} is lost") };
                    assert!(its == tag && region.bytes().unwrap().iter().all(|&byte| u64::from(byte) == tag));
                }
                assert!(matches!(one.receive(), Err(ReceiveError::Closed)), "{trust:?}");
                calls
            });
            // Five messages came.
            assert!(few == many && many < 30, "{trust:?}, {setup:?}: {few} and {many} system calls");
        }
    }
}

#[test]
fn a_receiver_without_a_descriptor_left_says_so_and_the_region_comes_back() {
    let _alone = alone();
    let [here, there] = [(); 2].map(|()| Setup::Swap.runtime());
    let (one, other) = Connection::pair(&here, &there, Settings::new(Trust::SEALS)).unwrap();
    let mut region = here.allocate(GRANULE).unwrap();
    region.bytes_mut().unwrap().fill(3);
    one.send(region, 4, Afterwards::GiveBack).unwrap();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..limit }).unwrap();
    let received = other.receive();
    setrlimit(Resource::Nofile, limit).unwrap();
    let error = received.unwrap_err();
    assert!(matches!(error, ReceiveError::Descriptors), "{error}");
    assert!(matches!(other.receive(), Err(ReceiveError::Closed)));
    drop(other);
    let Ok(Received::Returned { region, tag: 4 }) = one.receive() else { panic!("the region is gone") };
    assert!(region.bytes().unwrap().iter().all(|&byte| byte == 3));
}
