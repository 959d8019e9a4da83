//! Memories and regions come back: what a guest leaves in one, whoever gets it next sees zeroes, and nothing past its end. One
//! guest after the other, each in a store of its own, so that each gets the memory of one before it.

use mappable::{GRANULE, Mappable};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use wasmtime::{Store, Trap};

use super::support::{Fixture, G, Guest, PAGES, Setup, State, all_are, on_every_setup, trap_is};
use super::wat;

/// The most pages that a guest's memory has here.
const MOST: u32 = PAGES + 12;

/// What a guest does in its memory, in granules.
#[derive(Clone, Debug)]
enum Op {
    /// Writes all over the heap, or what is mapped there.
    Fill {
        at: u32,
        granules: u32,
    },
    /// Writes one byte of each page.
    Sprinkle {
        at: u32,
        granules: u32,
    },
    Grow(u32),
    /// Maps a region over what is there, a writable one or a frozen one.
    Map {
        at: u32,
        granules: u32,
        frozen: bool,
    },
    /// Unmaps one of those that are mapped.
    Unmap(prop::sample::Index),
    /// Drops one while it is mapped.
    Drop(prop::sample::Index),
}

fn op() -> impl Strategy<Value = Op> {
    let at = || (1..MOST, 1u32..6);
    prop_oneof![
        4 => at().prop_map(|(at, granules)| Op::Fill { at, granules }),
        4 => at().prop_map(|(at, granules)| Op::Sprinkle { at, granules }),
        2 => (1u32..4).prop_map(Op::Grow),
        4 => (at(), any::<bool>()).prop_map(|((at, granules), frozen)| Op::Map { at, granules, frozen }),
        2 => any::<prop::sample::Index>().prop_map(Op::Unmap),
        2 => any::<prop::sample::Index>().prop_map(Op::Drop),
    ]
}

/// One guest, from instantiation until its store goes.
#[derive(Clone, Debug)]
struct Life {
    /// Whether it looks at all of its memory first, which touches all pages: then most of them are freed in the end.
    looks: bool,
    /// Whether its memory begins larger than those of others.
    large: bool,
    ops: Vec<Op>,
    /// Whether it ends by an access past its memory's end.
    traps: bool,
}

fn life() -> impl Strategy<Value = Life> {
    let ops = prop::collection::vec(op(), 0..12);
    let life = (any::<bool>(), any::<bool>(), ops, any::<bool>());
    life.prop_map(|(looks, large, ops, traps)| Life { looks, large, ops, traps })
}

/// A guest in a store of its own, and what it knows of its memory.
struct Tenant {
    store: Store<State>,
    guest: Guest,
    pages: u32,
    mapped: Vec<Mapped>,
}

#[derive(Clone, Copy)]
struct Mapped {
    handle: u32,
    at: u32,
    granules: u32,
    frozen: bool,
}

impl Tenant {
    fn new(fixture: &Fixture, large: bool) -> Self {
        let pages = if large { PAGES + 3 } else { PAGES };
        let memory = fixture.setup.memory().replacen(&PAGES.to_string(), &pages.to_string(), 1);
        let component = fixture.compile(&wat::guest(&memory));
        let mut store = Store::new(fixture.runtime.engine(), State::new(&fixture.runtime));
        let instance = fixture.linker.instantiate(&mut store, &component).unwrap();
        let guest = Guest::new(instance, &mut store, None);
        Self { store, guest, pages, mapped: vec![] }
    }

    fn expect_zeroes(&mut self, from: u32) {
        self.guest.expect(&mut self.store, from * G, (self.pages - from) * G, 0);
    }

    fn grow(&mut self, by: u32) {
        let (before, by) = (self.pages, by.min(MOST - self.pages));
        if by > 0 && self.guest.grow(&mut self.store, by) >= 0 {
            self.pages += by;
            self.guest.expect(&mut self.store, before * G, 4096, 0);
        }
    }

    /// Whether a guest may write there.
    fn is_writable(&self, at: u32, granules: u32) -> bool {
        let frozen = |mapped: &Mapped| mapped.frozen && mapped.at < at + granules && at < mapped.at + mapped.granules;
        at + granules <= self.pages && !self.mapped.iter().any(frozen)
    }

    fn does(&mut self, op: &Op) {
        match *op {
            Op::Fill { at, granules } if self.is_writable(at, granules) => {
                self.guest.fill(&mut self.store, at * G, 0xa5, granules * G);
            }
            Op::Sprinkle { at, granules } if self.is_writable(at, granules) => {
                for page in 0..granules * 16 {
                    self.guest.store(&mut self.store, at * G + page * 4096 + 4095, 0x5a);
                }
            }
            Op::Grow(by) => self.grow(by),
            Op::Map { at, granules, frozen } if at + granules <= self.pages => self.map(at, granules, frozen),
            Op::Unmap(which) if !self.mapped.is_empty() => {
                let mapped = self.mapped.swap_remove(which.index(self.mapped.len()));
                self.unmap(&mapped);
            }
            Op::Drop(which) if !self.mapped.is_empty() => {
                let mapped = self.mapped.swap_remove(which.index(self.mapped.len()));
                self.drop_mapped(&mapped);
            }
            _ => {}
        }
    }

    fn map(&mut self, at: u32, granules: u32, frozen: bool) {
        let Self { guest, store, .. } = self;
        let handle = guest.allocate(store, u64::from(granules * G)).unwrap();
        let answer = if frozen {
            let handle = guest.freeze(store, handle);
            guest.map_frozen(store, handle, at * G, granules * G)
        } else {
            guest.map(store, handle, at * G, granules * G)
        };
        // Refused where it overlaps another one.
        self.mapped.extend(answer.ok().map(|handle| Mapped { handle, at, granules, frozen }));
    }

    fn unmap(&mut self, mapped: &Mapped) {
        let (Self { guest, store, .. }, Mapped { handle, at, granules, frozen }) = (self, *mapped);
        let answer = match frozen {
            true => guest.unmap_frozen(store, handle, at * G, granules * G),
            false => guest.unmap(store, handle, at * G, granules * G),
        };
        answer.unwrap();
    }

    fn drop_mapped(&mut self, mapped: &Mapped) {
        let name = ["drop-mapping", "drop-frozen-mapping"][usize::from(mapped.frozen)];
        self.guest.run(&mut self.store, name, (mapped.handle,)).unwrap();
        // What is frozen is shown until the next change, which is here, so that it can be written to.
        let taken = |at: &u32| self.mapped.iter().any(|mapped| (mapped.at..mapped.at + mapped.granules).contains(at));
        if let Some(at) = (1..self.pages).find(|at| mapped.frozen && !taken(at)) {
            self.map(at, 1, false);
            self.mapped.pop().into_iter().for_each(|last| self.unmap(&last));
        }
    }
}

/// Lives one after the other, each of which begins with zeroes.
fn live(fixture: &Fixture, lives: &[Life]) {
    for Life { looks, large, ops, traps } in lives {
        let mut tenant = Tenant::new(fixture, *large);
        if *looks {
            tenant.expect_zeroes(1);
        }
        ops.iter().for_each(|op| tenant.does(op));
        if *traps {
            let past = tenant.pages * G;
            trap_is(tenant.guest.call::<_, u32>(&mut tenant.store, "load8", (past,)), Trap::MemoryOutOfBounds);
        }
    }
    let mut last = Tenant::new(fixture, false);
    last.grow(MOST);
    last.expect_zeroes(1);
    fixture.check_canary();
}

on_every_setup! {
    fn whoever_gets_a_memory_next_reads_zeroes_in_it(setup) {
        let fixture = Fixture::new(setup, setup.runtime());
        let config = Config { cases: 12, failure_persistence: None, ..Config::default() };
        let lives = prop::collection::vec(life(), 1..4);
        TestRunner::new(config).run(&lives, |lives| {
            live(&fixture, &lives);
            Ok(())
        }).unwrap();
    }

    /// A memory that showed more than the next one has.
    fn a_memory_that_comes_back_ends_where_it_should(setup) {
        let fixture = Fixture::new(setup, setup.runtime());
        let mut large = Tenant::new(&fixture, true);
        large.grow(MOST);
        // So little that all of it stays shown when it goes.
        large.guest.fill(&mut large.store, (MOST - 1) * G, 0xa5, G);
        drop(large);
        for traps_at in [PAGES * G, (PAGES + 3) * G, MOST * G - 1] {
            let mut small = Tenant::new(&fixture, false);
            small.expect_zeroes(1);
            small.guest.store(&mut small.store, PAGES * G - 1, 1);
            let past = small.guest.call::<_, u32>(&mut small.store, "load8", (traps_at,));
            trap_is(past, Trap::MemoryOutOfBounds);
        }
    }

    /// No more than the runtime was told to keep, and none at all if so.
    fn memories_are_kept_up_to_a_number(setup) {
        for max in [0, 2] {
            let runtime = setup.builder(setup.config()).idle_memories(max).build().unwrap();
            let fixture = Fixture::new(setup, runtime);
            for _ in 0..2 {
                let tenants: Vec<_> = (0..4).map(|round| Tenant::new(&fixture, round % 2 == 0)).collect();
                for mut tenant in tenants {
                    tenant.expect_zeroes(1);
                    tenant.guest.fill(&mut tenant.store, G, 0xa5, 3 * G);
                }
            }
        }
    }

    /// The bytes may have any length, and lie in pieces.
    fn bytes_that_are_copied_over_a_region_that_comes_back_have_zeroes_behind_them(setup) {
        let runtime = setup.runtime();
        for len in [0, 1, 4095, 4096, 65_535, 65_536, 70_000, 131_072] {
            let size = (len as u64).max(1).next_multiple_of(GRANULE);
            let mut before = runtime.allocate(size).unwrap();
            before.bytes_mut().unwrap().fill(0xa5);
            drop(before);
            let bytes: Vec<u8> = (0..len).map(|at| at as u8 | 1).collect();
            let (low, high) = bytes.split_at(len / 3);
            let mut region = runtime.allocate_from_slices(&[low, &[], high]).unwrap();
            assert!(region.bytes().unwrap() == bytes, "{setup:?}, {len}");
            region.set_len(size).unwrap();
            assert!(all_are(&region.bytes().unwrap()[len..], 0), "{setup:?}, {len}");
        }
    }

    /// Whoever wrote to a region, and whichever part of it, dropped as what it was then.
    fn whoever_gets_a_region_next_reads_zeroes_in_it(setup) {
        let fixture = Fixture::new(setup, setup.runtime());
        let sizes = [1, 2, 3, 5].map(|granules| granules * GRANULE);
        let all_zero = |region: &Mappable| all_are(region.bytes().unwrap(), 0);
        for round in 0..4u8 {
            let mut regions = sizes.map(|size| fixture.runtime.allocate(size).unwrap());
            assert!(round % 2 == 1 || regions.iter().all(all_zero), "{setup:?}, {round}");
            // The host wrote to all of it, to a few pages of it, or to more of them than are written over.
            regions[0].bytes_mut().unwrap().fill(0xa5);
            regions[1].bytes_mut().unwrap()[GRANULE as usize - 1..][..2].fill(0xa5);
            regions[3].bytes_mut().unwrap().chunks_mut(8192).for_each(|pages| pages[9] = 0xa5);
            let [whole, cut, frozen, sparse] = regions;
            drop((whole, sparse));
            let (low, high) = cut.split(GRANULE).unwrap();
            drop(low);
            // The part in the middle, or the last one.
            let end = if round < 2 { 2 * GRANULE } else { 3 * GRANULE };
            let slice = frozen.freeze().unwrap().slice(GRANULE..end).unwrap();
            let thawed = slice.thaw().unwrap();
            assert_eq!(thawed.bytes().unwrap().len() as u64, thawed.size());
            drop(thawed);
            let part = fixture.runtime.allocate(GRANULE).unwrap();
            assert_eq!(part.bytes().unwrap().len() as u64, GRANULE, "a window shows what is not the region's");
            drop(part);
            drop(high);
            // A guest wrote to it, and gave it up, dropped it while it was mapped, or went with it.
            let mut tenant = Tenant::new(&fixture, false);
            for size in sizes {
                let region = tenant.guest.allocate(&mut tenant.store, size).unwrap();
                tenant.guest.map(&mut tenant.store, region, G, size as u32).unwrap();
                tenant.guest.expect(&mut tenant.store, G, size as u32, 0);
                tenant.guest.fill(&mut tenant.store, G, 0x5a, size as u32);
                tenant.guest.run(&mut tenant.store, "drop-mapping", (region,)).unwrap();
            }
        }
        // Parts are others than what they were cut from: they can't be joined with what is left of it.
        let (low, high) = fixture.runtime.allocate(2 * GRANULE).unwrap().split(GRANULE).unwrap();
        drop(low);
        let again = fixture.runtime.allocate(GRANULE).unwrap();
        assert!(again.join(high).is_err());
        fixture.check_canary();
    }
}
