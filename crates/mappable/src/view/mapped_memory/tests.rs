//! What a change takes where much is mapped: no more than where little is.

use wasmtime::MemoryType;

use super::*;
use crate::GRANULE;
use crate::ledger::IdleLedgers;
use crate::region::{Account, Backing, FrozenRegion, HugePages, Mappable};
use crate::view::mount::LOOKED_AT;
use crate::view::{Creator, Placement};

/// A way to drive a memory.
#[derive(Clone, Copy, Debug)]
enum Way {
    Swap,
    /// By trusted modules, too.
    Driven,
    Remap,
    Copy,
}

/// A memory of which every second granule is a placement, and a context that drives it.
struct Scene {
    backing: Arc<Backing>,
    driving: DriverConfig,
    memory: MappedMemory,
    account: Account,
}

impl Scene {
    fn new(way: Way, placements: u64) -> Self {
        let backing = match way {
            Way::Copy => Backing::in_blocks(),
            _ => Backing::in_file(HugePages::default(), 0).unwrap(),
        };
        let memories = Memories::new(4_096, 0);
        let creator = Creator { backing: Arc::clone(&backing), memories: Arc::clone(&memories) };
        let pages = u32::try_from(2 * placements).unwrap();
        let memory = creator.create_for_tests(&MemoryType::new(pages, None));
        let remap_only = matches!(way, Way::Remap);
        let budget = Arc::new(Budget::new(u64::MAX));
        let driving =
            DriverConfig { memories, remap_only, views_per_memory: 128, views: Allowance::new(4_096), budget };
        let memory = MappedMemory::adopt(memory, &driving).unwrap();
        if matches!(way, Way::Driven) {
            assert!(
                memory.drive(&Ledger::new(&backing, &IdleLedgers::new(0)).unwrap(), MemoryNumber::of_index(0).unwrap())
            );
        }
        Self { backing, driving, memory, account: Account::default() }
    }

    fn held(&self, is_frozen: bool) -> Held {
        let region = Mappable::allocate(&self.backing, GRANULE).unwrap();
        if is_frozen { Held::Frozen(FrozenRegion::new(region)) } else { Held::Mappable(region) }
    }

    /// Maps at a placement.
    fn map(&mut self, placement: u64, held: &mut Held) -> Mount {
        let at = Placement::new(2 * placement * GRANULE, GRANULE, GRANULE).unwrap();
        let mount = Mount::new(at, held);
        self.memory.mount(&mount, held, &self.driving).unwrap();
        assert!(self.memory.shows(&mount));
        mount
    }

    fn unmap(&mut self, mount: &Mount, held: &mut Held) {
        self.memory.unmount(mount, held, &self.driving).unwrap();
        assert!(!self.memory.shows(mount));
    }

    /// Maps, unmaps, maps again and drops, at one placement and another.
    fn change(&mut self, placements: [u64; 2], is_frozen: bool) {
        for placement in placements {
            let mut held = self.held(is_frozen);
            let mount = self.map(placement, &mut held);
            let overlapping = self.memory.mount(&mount, &mut held, &self.driving);
            assert!(matches!(overlapping, Err(MountError::Overlaps)));
            self.unmap(&mount, &mut held);
            self.map(placement, &mut held);
            self.memory.linger(mount, self.account.charge(held));
        }
        // What was dropped last goes with the next change.
        let mut held = self.held(is_frozen);
        let mount = self.map(placements[0], &mut held);
        self.unmap(&mount, &mut held);
    }
}

/// How many mounts are looked at for some changes, where there are so many.
fn looked_at(way: Way, mounts: u64) -> u64 {
    let mut scene = Scene::new(way, mounts + 2);
    let kept: Vec<(Mount, Held)> = (0..mounts)
        .map(|n| {
            let mut held = scene.held(n % 2 == 0);
            // Before and behind the two that are free.
            (scene.map(if n < mounts / 2 { n } else { n + 2 }, &mut held), held)
        })
        .collect();
    let before = LOOKED_AT.get();
    scene.change([mounts / 2, mounts / 2 + 1], false);
    scene.change([mounts / 2, mounts / 2 + 1], true);
    let looked_at = LOOKED_AT.get() - before;
    for (mount, mut held) in kept {
        scene.unmap(&mount, &mut held);
    }
    assert!(
        scene.memory.views.iter().all(|views| views.mounts().is_empty()) && scene.memory.swapped.mounts().is_empty()
    );
    looked_at
}

#[test]
fn a_change_looks_at_no_more_mounts_the_more_there_are() {
    for way in [Way::Swap, Way::Driven, Way::Remap, Way::Copy] {
        // More than a view of its own may show.
        let [few, many] = [200, 1_600].map(|mounts| looked_at(way, mounts));
        assert!(many <= few, "{way:?}: {few} are looked at where there are few, {many} where there are many");
    }
}
