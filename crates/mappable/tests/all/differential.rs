//! Random programs over three guests in two stores and a host, run on the library and on a model, and compared in
//! every granule after every step.

use std::collections::BTreeMap;

use mappable::{GRANULE, Mappable};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::support::{G, Guest, MapError, PAGES, Setup, World, on_every_setup};

/// Programs and their length, for each way of mapping.
const PROGRAMS: u32 = 100;
const STEPS: usize = 120;

/// Four bytes of a granule: the first, two within, the last.
type Granule = [u8; 4];
const OFFSETS: [u32; 4] = [0, 4095, 32_768, 65_535];

#[derive(Clone, Debug)]
enum Step {
    Allocate { guest: usize, granules: u32 },
    Map { guest: usize, pick: usize, at: u32, len: u32 },
    Unmap { guest: usize, pick: usize, elsewhere: bool },
    Store { guest: usize, at: u32, cell: usize, byte: u8 },
    Grow { guest: usize, pages: u32 },
    HandOver { from: usize, to: usize, pick: usize },
    ToHost { guest: usize, pick: usize },
    FromHost { guest: usize, pick: usize },
    HostWrite { pick: usize, granule: usize, cell: usize, byte: u8 },
    Write { guest: usize, pick: usize, granule: u32, cell: usize },
    DropRegion { guest: usize, pick: usize },
    DropMapping { guest: usize, pick: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let guest = || 0usize..3;
    let pick = any::<usize>;
    let byte = any::<u8>;
    prop_oneof![
        4 => (guest(), 1u32..4).prop_map(|(guest, granules)| Step::Allocate { guest, granules }),
        12 => (guest(), pick(), 1u32..20, 0u32..4)
            .prop_map(|(guest, pick, at, len)| Step::Map { guest, pick, at, len }),
        8 => (guest(), pick(), prop::bool::weighted(0.1))
            .prop_map(|(guest, pick, elsewhere)| Step::Unmap { guest, pick, elsewhere }),
        12 => (guest(), 1u32..24, 0usize..4, byte())
            .prop_map(|(guest, at, cell, byte)| Step::Store { guest, at, cell, byte }),
        1 => (guest(), 0u32..3).prop_map(|(guest, pages)| Step::Grow { guest, pages }),
        5 => (guest(), guest(), pick()).prop_map(|(from, to, pick)| Step::HandOver { from, to, pick }),
        2 => (guest(), pick()).prop_map(|(guest, pick)| Step::ToHost { guest, pick }),
        2 => (guest(), pick()).prop_map(|(guest, pick)| Step::FromHost { guest, pick }),
        2 => (pick(), 0usize..3, 0usize..4, byte())
            .prop_map(|(pick, granule, cell, byte)| Step::HostWrite { pick, granule, cell, byte }),
        2 => (guest(), pick(), 0u32..3, 0usize..4)
            .prop_map(|(guest, pick, granule, cell)| Step::Write { guest, pick, granule, cell }),
        1 => (guest(), pick()).prop_map(|(guest, pick)| Step::DropRegion { guest, pick }),
        2 => (guest(), pick()).prop_map(|(guest, pick)| Step::DropMapping { guest, pick }),
    ]
}

/// What a memory shows at a placement.
#[derive(Debug)]
struct Shown {
    at: u32,
    region: Vec<Granule>,
    /// The mapping's handle; none if it was dropped.
    handle: Option<u32>,
}

impl Shown {
    fn covers(&self, at: u32) -> bool {
        (self.at..self.at + self.region.len() as u32).contains(&at)
    }
}

/// A guest as the model has it: the granules of its memory but the first, which is its own.
#[derive(Debug)]
struct Model {
    heap: Vec<Granule>,
    shown: Vec<Shown>,
    held: BTreeMap<u32, Vec<Granule>>,
}

impl Model {
    fn new() -> Self {
        Self { heap: vec![[0; 4]; PAGES as usize], shown: vec![], held: BTreeMap::new() }
    }

    fn granule(&mut self, at: u32) -> &mut Granule {
        match self.shown.iter_mut().find(|shown| shown.covers(at)) {
            Some(shown) => &mut shown.region[(at - shown.at) as usize],
            None => &mut self.heap[at as usize],
        }
    }

    fn map_error(&self, at: u32, len: u32, size: u32) -> Option<MapError> {
        let live = |shown: &&Shown| shown.handle.is_some();
        if len == 0 {
            Some(MapError::Misaligned)
        } else if len < size {
            Some(MapError::TooSmall)
        } else if self.shown.iter().filter(live).any(|shown| (at..at + size).any(|at| shown.covers(at))) {
            Some(MapError::Overlaps)
        } else {
            None
        }
    }

    /// A map or unmap lets go of what was dropped.
    fn settle(&mut self) {
        self.shown.retain(|shown| shown.handle.is_some());
    }

    fn picked(&self, pick: usize) -> Option<u32> {
        self.held.keys().nth(pick.checked_rem(self.held.len())?).copied()
    }

    fn picked_mapping(&self, pick: usize) -> Option<usize> {
        let live: Vec<usize> = (0..self.shown.len()).filter(|&n| self.shown[n].handle.is_some()).collect();
        live.get(pick.checked_rem(live.len())?).copied()
    }
}

struct Run {
    worlds: [World; 2],
    guests: [(usize, Guest); 3],
    models: [Model; 3],
    host: Vec<(Mappable, Vec<Granule>)>,
    /// How many steps did something.
    done: usize,
}

impl Run {
    fn new(setup: Setup) -> Self {
        let mut worlds = [World::new(setup), World::new(setup)];
        let guests = [(0, worlds[0].guest()), (0, worlds[0].guest()), (1, worlds[1].guest())];
        Self { worlds, guests, models: [Model::new(), Model::new(), Model::new()], host: vec![], done: 0 }
    }

    fn step(&mut self, step: &Step) -> Option<()> {
        match *step {
            Step::Allocate { guest: n, granules } => {
                let (world, guest) = (&mut self.worlds[self.guests[n].0], &self.guests[n].1);
                if world.held().0 > 6 {
                    return None;
                }
                let handle = guest.allocate(world, u64::from(granules) * GRANULE).unwrap();
                self.models[n].held.insert(handle, vec![[0; 4]; granules as usize]);
            }
            Step::Map { guest: n, pick, at, len } => {
                let (world, guest, model) =
                    (&mut self.worlds[self.guests[n].0], &self.guests[n].1, &mut self.models[n]);
                let handle = model.picked(pick)?;
                if (at + len) as usize > model.heap.len() {
                    return None;
                }
                let region = model.held.remove(&handle).unwrap();
                match (guest.map(world, handle, at * G, len * G), model.map_error(at, len, region.len() as u32)) {
                    (Ok(handle), None) => {
                        model.settle();
                        model.shown.push(Shown { at, region, handle: Some(handle) });
                    }
                    (Err((handle, found)), Some(expected)) if found == expected => {
                        model.held.insert(handle, region);
                    }
                    (found, expected) => panic!("{found:?}, where {expected:?} is meant"),
                }
            }
            Step::Unmap { guest: n, pick, elsewhere } => {
                let (world, guest, model) =
                    (&mut self.worlds[self.guests[n].0], &self.guests[n].1, &mut self.models[n]);
                let shown = model.picked_mapping(pick)?;
                let (at, len) = (model.shown[shown].at, model.shown[shown].region.len() as u32);
                let handle = model.shown[shown].handle.unwrap();
                if elsewhere {
                    let (back, error) = guest.unmap(world, handle, (at - 1) * G, len * G).unwrap_err();
                    assert_eq!(error, MapError::Mismatch);
                    model.shown[shown].handle = Some(back);
                } else {
                    let handle = guest.unmap(world, handle, at * G, len * G).unwrap();
                    let region = model.shown.remove(shown).region;
                    model.held.insert(handle, region);
                    model.settle();
                }
            }
            Step::Store { guest: n, at, cell, byte } => {
                let (world, guest, model) =
                    (&mut self.worlds[self.guests[n].0], &self.guests[n].1, &mut self.models[n]);
                if at as usize >= model.heap.len() {
                    return None;
                }
                guest.store(world, at * G + OFFSETS[cell], byte);
                model.granule(at)[cell] = byte;
            }
            Step::Grow { guest: n, pages } => {
                let (world, guest, model) =
                    (&mut self.worlds[self.guests[n].0], &self.guests[n].1, &mut self.models[n]);
                if model.heap.len() + pages as usize > 24 {
                    return None;
                }
                assert_eq!(guest.grow(world, pages), model.heap.len() as i32);
                model.heap.extend(vec![[0; 4]; pages as usize]);
            }
            Step::HandOver { from, to, pick } => {
                let handle = self.models[from].picked(pick)?;
                let region = self.models[from].held.remove(&handle).unwrap();
                let (here, there) = (self.guests[from].0, self.guests[to].0);
                let mut handle = self.guests[from].1.give(&mut self.worlds[here], handle).unwrap();
                if here != there {
                    let region = self.worlds[here].remove(handle);
                    handle = self.worlds[there].insert(region);
                }
                let handle = self.guests[to].1.take(&mut self.worlds[there], handle).unwrap();
                self.models[to].held.insert(handle, region);
            }
            Step::ToHost { guest: n, pick } => {
                let handle = self.models[n].picked(pick)?;
                let region = self.models[n].held.remove(&handle).unwrap();
                let world = &mut self.worlds[self.guests[n].0];
                let handle = self.guests[n].1.give(world, handle).unwrap();
                self.host.push((world.remove(handle), region));
            }
            Step::FromHost { guest: n, pick } => {
                let pick = pick.checked_rem(self.host.len())?;
                let (region, cells) = self.host.remove(pick);
                let world = &mut self.worlds[self.guests[n].0];
                let handle = world.insert(region);
                let handle = self.guests[n].1.take(world, handle).unwrap();
                self.models[n].held.insert(handle, cells);
            }
            Step::HostWrite { pick, granule, cell, byte } => {
                let pick = pick.checked_rem(self.host.len())?;
                let (region, cells) = &mut self.host[pick];
                let granule = granule % cells.len();
                region.bytes_mut().unwrap()[granule * G as usize + OFFSETS[cell] as usize] = byte;
                cells[granule][cell] = byte;
            }
            Step::Write { guest: n, pick, granule, cell } => {
                // From wherever the guest's first probe of granule 1 lies: heap or a mapped region.
                let (world, guest, model) =
                    (&mut self.worlds[self.guests[n].0], &self.guests[n].1, &mut self.models[n]);
                let handle = model.picked(pick)?;
                let byte = model.granule(1)[0];
                let region = model.held.get_mut(&handle).unwrap();
                let granule = granule % region.len() as u32;
                let offset = u64::from(granule * G + OFFSETS[cell]);
                assert_eq!(guest.call::<_, i64>(world, "write", (handle, offset, G, 1u32)).unwrap(), 0);
                region[granule as usize][cell] = byte;
                assert_eq!(guest.call::<_, i64>(world, "read", (handle, offset, 1u32, 2048u32)).unwrap(), 1);
                assert_eq!(guest.load(world, 2048), byte);
            }
            Step::DropRegion { guest: n, pick } => {
                let (world, guest, model) =
                    (&mut self.worlds[self.guests[n].0], &self.guests[n].1, &mut self.models[n]);
                let handle = model.picked(pick)?;
                model.held.remove(&handle).unwrap();
                guest.run(world, "drop-mappable", (handle,)).unwrap();
            }
            Step::DropMapping { guest: n, pick } => {
                let (world, guest, model) =
                    (&mut self.worlds[self.guests[n].0], &self.guests[n].1, &mut self.models[n]);
                let shown = model.picked_mapping(pick)?;
                let handle = model.shown[shown].handle.take().unwrap();
                guest.run(world, "drop-mapping", (handle,)).unwrap();
            }
        }
        self.done += 1;
        Some(())
    }

    /// Every byte that the model knows is where it should be.
    fn compare(&mut self) {
        for n in 0..3 {
            let (world, guest, model) = (&mut self.worlds[self.guests[n].0], &self.guests[n].1, &mut self.models[n]);
            for at in 1..model.heap.len() as u32 {
                let found: u32 = guest.call(world, "probe", (at * G,)).unwrap();
                assert_eq!(found.to_le_bytes(), *model.granule(at), "granule {at} of guest {n}");
            }
        }
        for (region, cells) in &self.host {
            expect_cells(region, cells);
        }
        let of = |model: &Model| model.held.len() + model.shown.iter().filter(|s| s.handle.is_some()).count();
        assert_eq!(self.worlds[0].held().0, of(&self.models[0]) + of(&self.models[1]));
        assert_eq!(self.worlds[1].held().0, of(&self.models[2]));
    }

    /// What the guests hold unmapped is as the model has it, all other bytes zero.
    fn finish(mut self) {
        for n in 0..3 {
            let world = &mut self.worlds[self.guests[n].0];
            for (handle, cells) in std::mem::take(&mut self.models[n].held) {
                let handle = self.guests[n].1.give(world, handle).unwrap();
                expect_cells(&world.remove(handle), &cells);
            }
        }
    }
}

fn expect_cells(region: &Mappable, cells: &[Granule]) {
    let bytes = region.bytes().unwrap();
    assert_eq!(bytes.len(), cells.len() * G as usize);
    for (granule, cells) in bytes.chunks_exact(G as usize).zip(cells) {
        assert_eq!(OFFSETS.map(|offset| granule[offset as usize]), *cells);
        assert!(granule[1..4095].iter().all(|&byte| byte == 0));
    }
}

on_every_setup! {
    fn the_library_does_what_the_model_does(setup) {
        let config = Config {
            cases: PROGRAMS,
            rng_seed: RngSeed::Fixed(0x6d61_7070 + setup as u64),
            failure_persistence: None,
            max_shrink_iters: 200,
            ..Config::default()
        };
        let done = std::cell::Cell::new(0);
        TestRunner::new(config)
            .run(&prop::collection::vec(step(), STEPS), |steps| {
                let mut run = Run::new(setup);
                for step in &steps {
                    run.step(step);
                    run.compare();
                }
                done.set(done.get() + run.done);
                run.finish();
                Ok(())
            })
            .unwrap();
        assert!(done.get() > PROGRAMS as usize * STEPS / 3, "only {} steps did something", done.get());
    }
}
