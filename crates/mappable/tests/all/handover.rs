//! A region has one owner at a time, and is handed over by passing its handle.

use mappable::{GRANULE, HandleError, TrapReason};
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions};
use wasmtime::Trap;

use crate::support::{
    G, Guest, Setup, World, Wrong, on_every_baseline_setup, on_every_open_setup, on_every_setup, trap_is, trapped,
    wrong,
};
use crate::wat;

/// `a` writes, `b` adds to it, and `a` sees both; each sees its own heap where the region was.
fn there_and_back(world: &mut World, (a, b): (Guest, Guest)) {
    for guest in [&a, &b] {
        guest.fill(world, 3 * G, 0x11, 4 * G);
    }
    let mapping = a.mapped(world, 4 * G, 2, 0xa1);
    let region = a.unmap(world, mapping, 4 * G, 2 * G).unwrap();
    let region: u32 = a.call(world, "pass", (region,)).unwrap();

    let mapping = b.map(world, region, 5 * G, 2 * G).unwrap();
    b.expect(world, 5 * G, 2 * G, 0xa1);
    b.fill(world, 6 * G, 0xb1, G);
    a.expect(world, 3 * G, 4 * G, 0x11);
    let region = b.unmap(world, mapping, 5 * G, 2 * G).unwrap();
    let region: u32 = a.call(world, "fetch", (region,)).unwrap();

    let mapping = a.map(world, region, 4 * G, 2 * G).unwrap();
    a.expect(world, 4 * G, G, 0xa1);
    a.expect(world, 5 * G, G, 0xb1);
    b.expect(world, 3 * G, 4 * G, 0x11);
    a.unmap(world, mapping, 4 * G, 2 * G).unwrap();
    a.expect(world, 3 * G, 4 * G, 0x11);
    assert_eq!(world.held(), (1, 2 * GRANULE));
}

/// Two components that were compiled by themselves, put together by `wac`.
fn composed_by_wac(memory: &str) -> Vec<u8> {
    let mut graph = CompositionGraph::new();
    let mut package = |name: &str, text: String| {
        let bytes = ::wat::parse_str(text).unwrap();
        let package = Package::from_bytes(name, None, bytes, graph.types_mut()).unwrap();
        graph.register_package(package).unwrap()
    };
    let leaf = package("test:leaf", wat::guest(memory));
    let caller = package("test:caller", wat::caller(memory));
    let b = graph.instantiate(leaf);
    let a = graph.instantiate(caller);
    let peer = graph.alias_instance_export(b, "test:guest/peer").unwrap();
    graph.set_instantiation_argument(a, "test:guest/peer", peer).unwrap();
    graph.export(a, "a").unwrap();
    graph.export(b, "b").unwrap();
    graph.encode(EncodeOptions::default()).unwrap()
}

on_every_setup! {
    fn a_component_calls_another_and_hands_a_region_over(setup) {
        let mut world = World::new(setup);
        let guests = world.pair();
        there_and_back(&mut world, guests);
    }

    fn nested_components_hand_regions_over(setup) {
        let mut world = World::new(setup);
        let component = world.fixture.compile(&wat::nested(setup.memory(), 3));
        let guests = world.guests(&component);
        there_and_back(&mut world, guests);
    }

    fn many_hops_keep_the_content(setup) {
        let mut world = World::new(setup);
        let (a, b) = world.pair();
        let mut region = a.allocate(&mut world, GRANULE).unwrap();
        for hop in 0..100u64 {
            let (guest, at) = if hop % 2 == 0 { (&a, 4 * G) } else { (&b, 7 * G) };
            let mapping = guest.map(&mut world, region, at, G).unwrap();
            let before: u64 = guest.call(&mut world, "load64", (at + 8,)).unwrap();
            assert_eq!(before, hop);
            guest.run(&mut world, "store64", (at + 8, hop + 1)).unwrap();
            region = guest.unmap(&mut world, mapping, at, G).unwrap();
            let hand_over = if hop % 2 == 0 { "pass" } else { "fetch" };
            region = a.call(&mut world, hand_over, (region,)).unwrap();
        }
        let handle = a.give(&mut world, region).unwrap();
        assert_eq!(world.remove(handle).bytes().unwrap()[8], 100);
    }

    fn content_survives_from_store_to_store(setup) {
        let (mut first, sender) = World::with_guest(setup);
        let (mut second, receiver) = World::with_guest(setup);
        let mapping = sender.mapped(&mut first, 2 * G, 3, 0x5a);
        let region = sender.unmap(&mut first, mapping, 2 * G, 3 * G).unwrap();
        let handle = sender.give(&mut first, region).unwrap();
        let region = first.remove(handle);
        assert_eq!(first.held(), (0, 0));
        let handle = second.insert(region);
        let region = receiver.take(&mut second, handle).unwrap();
        receiver.map(&mut second, region, 9 * G, 3 * G).unwrap();
        receiver.expect(&mut second, 9 * G, 3 * G, 0x5a);
        sender.expect(&mut first, 2 * G, 3 * G, 0);
    }

    fn content_survives_from_host_to_guest_to_host(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let mut region = world.region(2, 0x77);
        for round in 0..5u8 {
            region.bytes_mut().unwrap()[usize::from(round)] = round;
            let handle = world.insert(region);
            let handle = guest.take(&mut world, handle).unwrap();
            let mapping = guest.map(&mut world, handle, 3 * G, 2 * G).unwrap();
            assert_eq!(guest.load(&mut world, 3 * G + u32::from(round)), round);
            guest.expect(&mut world, 4 * G, G - u32::from(round), 0x77);
            guest.store(&mut world, 5 * G - 1 - u32::from(round), round);
            let handle = guest.unmap(&mut world, mapping, 3 * G, 2 * G).unwrap();
            let handle = guest.give(&mut world, handle).unwrap();
            region = world.remove(handle);
            let bytes = region.bytes().unwrap();
            assert_eq!(bytes[bytes.len() - 1 - usize::from(round)], round);
        }
        assert_eq!(region.bytes().unwrap().iter().filter(|&&byte| byte == 0x77).count(), 2 * 65_536 - 10);
    }

    fn regions_and_stores_move_between_threads(setup) {
        let (mut first, sender) = World::with_guest(setup);
        let mapping = sender.mapped(&mut first, 2 * G, 1, 0x21);
        let handle = sender.unmap(&mut first, mapping, 2 * G, G).unwrap();
        let handle = sender.give(&mut first, handle).unwrap();
        let region = first.remove(handle);
        let still = sender.mapped(&mut first, 5 * G, 1, 0x22);
        let region = std::thread::spawn(move || {
            let (mut second, receiver) = World::with_guest(setup);
            let handle = second.insert(region);
            let handle = receiver.take(&mut second, handle).unwrap();
            let mapping = receiver.map(&mut second, handle, 7 * G, G).unwrap();
            receiver.expect(&mut second, 7 * G, G, 0x21);
            receiver.store(&mut second, 7 * G, 0x23);
            let handle = receiver.unmap(&mut second, mapping, 7 * G, G).unwrap();
            let handle = receiver.give(&mut second, handle).unwrap();
            second.remove(handle)
        })
        .join()
        .unwrap();
        assert_eq!(region.bytes().unwrap()[..2], [0x23, 0x21]);
        std::thread::spawn(move || {
            sender.expect(&mut first, 5 * G, G, 0x22);
            sender.unmap(&mut first, still, 5 * G, G).unwrap();
            sender.expect(&mut first, 5 * G, G, 0);
        })
        .join()
        .unwrap();
    }

    fn a_region_lent_stays_with_its_owner(setup) {
        let mut world = World::new(setup);
        let (a, _b) = world.pair();
        let region = a.allocate(&mut world, 3 * GRANULE).unwrap();
        assert_eq!(a.call::<_, u64>(&mut world, "lend", (region,)).unwrap(), 3 * GRANULE);
        a.map(&mut world, region, 2 * G, 3 * G).unwrap();
    }

    fn a_region_of_another_runtime_is_refused(setup) {
        let mut world = World::new(setup);
        let region = Setup::Swap.runtime().allocate(GRANULE).unwrap();
        assert_eq!(world.store.data_mut().mappable.insert(region).unwrap_err(), HandleError::AnotherRuntime);
    }

    fn a_store_keeps_the_context_that_it_began_with(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let mapping = guest.mapped(&mut world, 2 * G, 1, 0x66);
        let region = guest.unmap(&mut world, mapping, 2 * G, G).unwrap();
        let fresh = world.runtime().context();
        let old = std::mem::replace(&mut world.store.data_mut().mappable, fresh);
        // The ledger is the old one's: there not even a region is to be had.
        let error = if setup.is_ledger() {
            trapped(guest.call::<_, i64>(&mut world, "allocate", (GRANULE,)))
        } else {
            let another = guest.allocate(&mut world, GRANULE).unwrap();
            trapped(guest.try_map(&mut world, another, 4 * G, G))
        };
        assert!(matches!(error.downcast_ref(), Some(TrapReason::AnotherContext)), "{error:?}");
        world.store.data_mut().mappable = old;
        assert_eq!(world.held(), (1, GRANULE), "{region}");
    }

    fn a_trap_stops_its_store_and_no_other(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let (mut other, bystander) = World::with_guest(setup);
        let kept = bystander.mapped(&mut other, 2 * G, 1, 0x66);
        guest.mapped(&mut world, 2 * G, 1, 0x65);
        trap_is(guest.call::<_, u32>(&mut world, "load8", (u32::MAX,)), Trap::MemoryOutOfBounds);
        trap_is(guest.call::<_, u32>(&mut world, "pages", ()), Trap::CannotEnterComponent);
        bystander.expect(&mut other, 2 * G, G, 0x66);
        bystander.unmap(&mut other, kept, 2 * G, G).unwrap();
    }
}

on_every_baseline_setup! {
    fn components_composed_by_wac_hand_regions_over(setup) {
        let mut world = World::new(setup);
        let component = world.runtime().compile(&composed_by_wac(setup.memory())).unwrap();
        let guests = world.guests(&component);
        there_and_back(&mut world, guests);
    }

    fn a_mapping_given_back_to_its_instance_is_good_again(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let other = world.guest();
        let mapping = guest.mapped(&mut world, 2 * G, 1, 0x5c);
        let handle = guest.give_mapping(&mut world, mapping).unwrap();
        guest.expect(&mut world, 2 * G, G, 0x5c);
        let there: u32 = other.call(&mut world, "take-mapping", (handle,)).unwrap();
        other.expect(&mut world, 2 * G, G, 0);
        let handle = other.give_mapping(&mut world, there).unwrap();
        let mapping: u32 = guest.call(&mut world, "take-mapping", (handle,)).unwrap();
        let region = guest.unmap(&mut world, mapping, 2 * G, G).unwrap();
        guest.expect(&mut world, 2 * G, G, 0);
        let handle = guest.give(&mut world, region).unwrap();
        assert!(world.remove(handle).bytes().unwrap().iter().all(|&byte| byte == 0x5c));
    }

    fn a_borrowed_region_cannot_be_mapped(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let handle = world.store.data_mut().mappable.insert(world.fixture.runtime.allocate(GRANULE).unwrap()).unwrap();
        let borrowed = mappable::Handle::new_borrow(handle.rep());
        wrong(setup, guest.call::<_, u64>(&mut world, "map-lent", (borrowed,)), &[Wrong::Borrowed]);
        assert_eq!(world.remove(handle).bytes().unwrap()[0], 0);
    }

    fn a_borrowed_region_cannot_be_kept(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let region = world.region(1, 3);
        let handle = world.insert(region);
        let borrowed = mappable::Handle::new_borrow(handle.rep());
        wrong(setup, guest.call::<_, u64>(&mut world, "keep-lent", (borrowed,)), &[Wrong::BorrowsRemain]);
        assert_eq!(world.remove(handle).bytes().unwrap()[9], 3);
    }
}

on_every_open_setup! {
    fn the_host_takes_only_what_is_held_unmapped_and_owned(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let region = world.region(1, 9);
        let handle = world.insert(region);
        let rep = handle.rep();
        let ctx = &mut world.store.data_mut().mappable;
        assert_eq!(ctx.remove(mappable::Handle::new_borrow(rep)).unwrap_err(), HandleError::Borrowed(rep));
        assert_eq!(ctx.remove(mappable::Handle::new_own(999)).unwrap_err(), HandleError::NotHeld(999));
        assert_eq!(ctx.get(&handle).unwrap().bytes().unwrap()[1], 9);
        ctx.bytes_mut(&handle).unwrap()[1] = 10;
        let region = guest.take(&mut world, handle).unwrap();
        let mapping = guest.map(&mut world, region, 2 * G, G).unwrap();
        assert_eq!(guest.load(&mut world, 2 * G + 1), 10);
        // A host that kept the number learns that the region is mapped: it can't get at a guest's memory.
        let ctx = &mut world.store.data_mut().mappable;
        assert_eq!(ctx.remove(mappable::Handle::new_own(rep)).unwrap_err(), HandleError::NotHeld(rep));
        assert_eq!(ctx.get(&mappable::Handle::new_own(rep)).unwrap_err(), HandleError::NotHeld(rep));
        let error = ctx.bytes_mut(&mappable::Handle::new_own(rep)).unwrap_err();
        assert_eq!(error.downcast::<HandleError>().unwrap(), HandleError::NotHeld(rep));
        guest.unmap(&mut world, mapping, 2 * G, G).unwrap();
    }
}
