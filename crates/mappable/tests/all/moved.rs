//! Small regions that come again, in memories that come again: whichever way they are mapped by, the guest sees their bytes in
//! place of its heap's, the host finds what the guest wrote, and the heap is as it was. Against a model of all bytes.

use std::cell::RefCell;

use mappable::{GRANULE, Mappable};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use wasmtime::Store;

use super::support::{Fixture, G, Guest, PAGES, Setup, State, all_are, on_every_setup};
use super::wat;

/// How many regions the host has. All have one granule but the last, which has two.
const REGIONS: usize = 4;

#[derive(Clone, Debug)]
enum Op {
    Map {
        region: usize,
        at: usize,
    },
    Unmap(prop::sample::Index),
    /// Drops a mapping: what it showed is there until the next change.
    Drop(prop::sample::Index),
    /// Writes to one granule, whatever is there.
    Fill {
        at: usize,
        byte: u8,
    },
    Grow,
}

fn op() -> impl Strategy<Value = Op> {
    // Few places, so that what is mapped comes again, and is refused where another one is.
    let at = || 1usize..5;
    prop_oneof![
        6 => (0..REGIONS, at()).prop_map(|(region, at)| Op::Map { region, at }),
        4 => any::<prop::sample::Index>().prop_map(Op::Unmap),
        1 => any::<prop::sample::Index>().prop_map(Op::Drop),
        4 => (1usize..6, 1u8..).prop_map(|(at, byte)| Op::Fill { at, byte }),
        1 => Just(Op::Grow),
    ]
}

/// The host, which keeps its regions from guest to guest, and what it knows of them: a byte for each granule.
struct Host {
    fixture: Fixture,
    regions: Vec<Option<(Mappable, Vec<u8>)>>,
    made: u8,
}

impl Host {
    fn new(fixture: Fixture) -> Self {
        let mut host = Self { fixture, regions: (0..REGIONS).map(|_| None).collect(), made: 0 };
        host.replace_lost();
        host
    }

    /// New regions for those that guests have kept.
    fn replace_lost(&mut self) {
        for (at, region) in self.regions.iter_mut().enumerate().filter(|(_, region)| region.is_none()) {
            let granules = 1 + usize::from(at == REGIONS - 1);
            let mut new = self.fixture.runtime.allocate(granules as u64 * GRANULE).unwrap();
            assert!(all_are(new.bytes().unwrap(), 0), "somebody's old bytes");
            self.made = self.made % 0x7f + 1;
            new.bytes_mut().unwrap().fill(self.made);
            *region = Some((new, vec![self.made; granules]));
        }
    }

    fn check(&self) {
        for (region, model) in self.regions.iter().flatten() {
            let granules = region.bytes().unwrap().chunks(G as usize);
            assert!(granules.zip(model).all(|(bytes, &byte)| all_are(bytes, byte)), "{model:?}");
        }
        self.fixture.check_canary();
    }
}

/// A region that is shown: mapped, or not any more but there.
struct Shown {
    handle: u32,
    region: usize,
    at: usize,
    model: Vec<u8>,
    is_dropped: bool,
}

/// A guest, and what it should see.
struct Tenant {
    store: Store<State>,
    guest: Guest,
    heap: Vec<u8>,
    shown: Vec<Shown>,
}

impl Tenant {
    fn new(fixture: &Fixture) -> Self {
        let component = fixture.compile(&wat::guest(fixture.setup.memory()));
        let mut store = Store::new(fixture.runtime.engine(), State::new(&fixture.runtime));
        let instance = fixture.linker.instantiate(&mut store, &component).unwrap();
        let guest = Guest::new(instance, &mut store, None);
        Self { store, guest, heap: vec![0; PAGES as usize], shown: vec![] }
    }

    /// What the guest sees at a granule.
    fn seen(&mut self, at: usize) -> &mut u8 {
        let there = self.shown.iter_mut().find(|shown| (shown.at..shown.at + shown.model.len()).contains(&at));
        match there {
            Some(shown) => &mut shown.model[at - shown.at],
            None => &mut self.heap[at],
        }
    }

    fn mapped(&self, which: &prop::sample::Index) -> Option<usize> {
        let mapped: Vec<usize> = (0..self.shown.len()).filter(|&at| !self.shown[at].is_dropped).collect();
        (!mapped.is_empty()).then(|| mapped[which.index(mapped.len())])
    }

    fn does(&mut self, host: &mut Host, op: &Op) {
        match *op {
            Op::Map { region, at } if host.regions[region].is_some() => self.map(host, region, at),
            Op::Unmap(which) => {
                if let Some(shown) = self.mapped(&which).map(|at| self.shown.swap_remove(at)) {
                    self.unmap(host, shown);
                }
            }
            Op::Drop(which) => {
                if let Some(at) = self.mapped(&which) {
                    self.shown[at].is_dropped = true;
                    self.guest.run(&mut self.store, "drop-mapping", (self.shown[at].handle,)).unwrap();
                }
            }
            Op::Fill { at, byte } => {
                self.guest.fill(&mut self.store, at as u32 * G, byte, G);
                *self.seen(at) = byte;
            }
            Op::Grow if self.heap.len() < PAGES as usize + 4 => {
                assert_eq!(self.guest.grow(&mut self.store, 1), self.heap.len() as i32);
                self.heap.push(0);
            }
            _ => {}
        }
    }

    fn map(&mut self, host: &mut Host, region: usize, at: usize) {
        let Some((bytes, model)) = host.regions[region].take() else { return };
        let granules = at..at + model.len();
        let overlaps = |shown: &Shown| shown.at < granules.end && granules.start < shown.at + shown.model.len();
        let is_free = !self.shown.iter().any(|shown| !shown.is_dropped && overlaps(shown));
        let Self { guest, store, .. } = self;
        let handle = store.data_mut().mappable.insert(bytes).unwrap();
        let handle = guest.take(store, handle).unwrap();
        let answer = guest.map(store, handle, at as u32 * G, model.len() as u32 * G);
        assert_eq!(answer.is_ok(), is_free);
        match answer {
            Ok(handle) => {
                self.shown.retain(|shown| !shown.is_dropped);
                self.shown.push(Shown { handle, region, at, model, is_dropped: false });
            }
            Err((handle, _)) => self.give(host, handle, region, model),
        }
    }

    fn unmap(&mut self, host: &mut Host, shown: Shown) {
        let Shown { handle, region, at, model, .. } = shown;
        let len = model.len() as u32 * G;
        let handle = self.guest.unmap(&mut self.store, handle, at as u32 * G, len).unwrap();
        self.shown.retain(|shown| !shown.is_dropped);
        self.give(host, handle, region, model);
    }

    fn give(&mut self, host: &mut Host, handle: u32, region: usize, model: Vec<u8>) {
        let handle = self.guest.give(&mut self.store, handle).unwrap();
        let bytes = self.store.data_mut().mappable.remove(handle).unwrap();
        host.regions[region] = Some((bytes, model));
    }

    fn check(&mut self) {
        for at in 1..self.heap.len() {
            let byte = *self.seen(at);
            self.guest.expect(&mut self.store, at as u32 * G, G, byte);
        }
    }
}

on_every_setup! {
    fn what_comes_again_is_mapped_as_it_was_the_first_time(setup) {
        let host = RefCell::new(Host::new(Fixture::new(setup, setup.runtime())));
        let config = Config { cases: 12, failure_persistence: None, ..Config::default() };
        let lives = prop::collection::vec(prop::collection::vec(op(), 0..12), 1..5);
        TestRunner::new(config).run(&lives, |lives| {
            let host = &mut *host.borrow_mut();
            for ops in lives {
                let mut tenant = Tenant::new(&host.fixture);
                tenant.check();
                for op in &ops {
                    tenant.does(host, op);
                    tenant.check();
                    host.check();
                }
                drop(tenant);
                host.check();
                host.replace_lost();
            }
            Ok(())
        }).unwrap();
    }

    fn what_the_host_wrote_to_frozen_bytes_goes_with_what_was_moved(setup) {
        let fixture = Fixture::new(setup, setup.runtime());
        let mut region = Some(fixture.runtime.allocate(GRANULE).unwrap());
        // Moved in the second life and the third, in which it comes again.
        for _ in 0..3 {
            let Tenant { mut store, guest, .. } = Tenant::new(&fixture);
            let mut bytes = region.take().unwrap();
            bytes.bytes_mut().unwrap().fill(1);
            let handle = store.data_mut().mappable.insert(bytes).unwrap();
            let handle = guest.take(&mut store, handle).unwrap();
            let frozen = guest.frozen(&mut store, 3 * G, 1, 0x11);
            let source = guest.allocate(&mut store, GRANULE).unwrap();
            let mapping = guest.map(&mut store, handle, 2 * G, G).unwrap();
            guest.map_frozen(&mut store, frozen, 5 * G, G).unwrap();
            // The first byte of a region that is zero.
            assert_eq!(guest.call::<_, i64>(&mut store, "read", (source, 0u64, 1u32, 5 * G)).unwrap(), 1);
            assert_eq!(guest.load(&mut store, 5 * G), 0);
            let handle = guest.unmap(&mut store, mapping, 2 * G, G).unwrap();
            assert_eq!(guest.load(&mut store, 5 * G), if setup.frozen_stores_trap() { 0x11 } else { 0 });
            let handle = guest.give(&mut store, handle).unwrap();
            region = Some(store.data_mut().mappable.remove(handle).unwrap());
        }
    }
}
