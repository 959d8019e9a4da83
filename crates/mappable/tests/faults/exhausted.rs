//! The kernel itself refuses: a process that has nearly all the mappings that it may have. In a process of its own,
//! where whatever else wants one may be refused too.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr;

use mappable::injection::Call;
use mappable::{GRANULE, Limits, TrapReason};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

use crate::fault::Faults;
use crate::scene::Scene;
use crate::support::{Fixture, G, Guest, MapError, Setup};
use crate::{alone, child, had};

const PAGE: usize = 4096;

/// Mappings that nobody needs: every second page of a range of our own has other rights than its neighbours.
pub(crate) struct Hoard {
    base: *mut c_void,
    len: usize,
    /// How many pages have other rights, each of which takes two mappings.
    pages: usize,
}

impl Hoard {
    /// As many as there can be, up to so many.
    fn new(pages: usize) -> Self {
        let len = 2 * pages * PAGE;
        // SAFETY: a range that the kernel picks, in which nothing is accessed.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), len, ProtFlags::empty(), MapFlags::PRIVATE) }.unwrap();
        let mut hoard = Self { base, len, pages: 0 };
        while hoard.pages < pages && hoard.protect(hoard.pages, MprotectFlags::READ) {
            hoard.pages += 1;
        }
        hoard
    }

    /// Gives so many pages back, each of them two mappings.
    fn spare(&mut self, pages: usize) {
        for _ in 0..pages.min(self.pages) {
            self.pages -= 1;
            assert!(self.protect(self.pages, MprotectFlags::empty()));
        }
    }

    fn protect(&self, page: usize, rights: MprotectFlags) -> bool {
        let address = self.base.wrapping_byte_add((2 * page + 1) * PAGE);
        // SAFETY: a page of the hoard's own range, which nobody accesses.
        unsafe { mprotect(address, PAGE, rights) }.is_ok()
    }
}

impl Drop for Hoard {
    fn drop(&mut self) {
        // SAFETY: the hoard's own range, which nobody accesses.
        unsafe { munmap(self.base, self.len) }.unwrap();
    }
}

/// Run by `a_process_without_mappings_to_spare_loses_nothing`, in a process of its own.
#[test]
#[ignore = "takes all mappings that a process may have"]
fn child_without_mappings_to_spare() {
    let _alone = alone();
    for (setup, step) in [(Setup::Swap, 3), (Setup::Remap, 1), (Setup::LedgerSwap, 3), (Setup::LedgerRemap, 1)] {
        let fixture = Fixture::new(setup, setup.runtime_that_keeps_none(setup.config()));
        let (mut refused, mut trapped, mut whole) = (0, 0, 0);
        // The most of them is taken once.
        let mut most = Hoard::new(1 << 20);
        most.spare(500);
        for spare in (0..40 * step).step_by(step) {
            let before = had();
            // No call of ours is kept from the kernel.
            let faults = Faults::new(Call::Create, 0, false);
            let mut scene = Scene::new(&fixture, &faults);
            let mut hoard = Hoard::new(1000);
            assert!(hoard.pages < 1000, "the kernel has no more to give");
            hoard.spare(spare);
            faults.hoard.replace(Some(hoard));
            match scene.run() {
                Ok(()) if faults.refused.get() == 0 => whole += 1,
                Ok(()) => refused += 1,
                Err(trap) => {
                    let reason = trap.downcast_ref();
                    assert!(matches!(reason, Some(TrapReason::Broken(_))), "{setup:?}, {spare}: {trap:?}");
                    trapped += 1;
                }
            }
            drop(scene);
            faults.stop();
            fixture.check_canary();
            assert!(had().is_but_for_blocks(&before) && had().blocks == before.blocks, "{setup:?}, {spare}");
        }
        println!("{setup:?}: {refused} with a step refused, {trapped} trapped, {whole} whole");
        assert!(refused + trapped > 2 && whole > 2, "{setup:?}: {refused}, {trapped}, {whole}");
    }
    println!("all was tried");
}

#[test]
fn a_process_without_mappings_to_spare_loses_nothing() {
    let _alone = alone();
    let output = child("exhausted::child_without_mappings_to_spare");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("all was tried"), "{output:?}");
}

/// Run by `a_guest_maps_until_the_system_has_no_mapping_left`, in a process of its own.
#[test]
#[ignore = "takes all mappings that a process may have"]
fn child_with_few_mappings_to_spare() {
    /// How many mappings the process has left: more than two for each region that a view of its own may show.
    const LEFT: u32 = 1_200;
    let _alone = alone();
    let setups = [Setup::Swap, Setup::Remap, Setup::LedgerSwap, Setup::LedgerRemap];
    for (setup, is_frozen) in setups.into_iter().flat_map(|setup| [(setup, false), (setup, true)]) {
        let fixture: &'static Fixture = Box::leak(Box::new(Fixture::new(setup, setup.runtime())));
        let mut world = fixture.world();
        let limits = Limits::default().mappings(usize::MAX).regions(usize::MAX);
        world.data_mut().mappable.set_limits(limits);
        let guest = world.guest();
        guest.grow(&mut world, 2 * LEFT);
        let mut hoard = Hoard::new(1 << 20);
        hoard.spare(LEFT as usize / 2);
        let (mut mapped, mut next) = (vec![], 1);
        let (refused, error) = loop {
            let handle = guest.allocate(&mut world, GRANULE).unwrap();
            let handle = if is_frozen { guest.freeze(&mut world, handle) } else { handle };
            let map = if is_frozen { Guest::map_frozen } else { Guest::map };
            match map(&guest, &mut world, handle, next * G, G) {
                Ok(mapping) => mapped.push((mapping, next * G)),
                Err(refused) => break refused,
            }
            next += 2;
        };
        assert_eq!(error, MapError::Exhausted, "{setup:?}");
        // Each has taken two: its own, and that of the heap behind it.
        let taken = 2 * mapped.len() as u32;
        assert!(taken > LEFT / 2 && taken <= LEFT, "{setup:?}: {taken} mappings of {LEFT}");
        // The guest is told so, and has all else as before. What it gives up it can map again.
        mapped.iter().for_each(|(_, at)| guest.expect(&mut world, *at, G, 0));
        let unmap = if is_frozen { Guest::unmap_frozen } else { Guest::unmap };
        let (mapping, at) = mapped.swap_remove(mapped.len() / 2);
        unmap(&guest, &mut world, mapping, at, G).unwrap();
        let map = if is_frozen { Guest::map_frozen } else { Guest::map };
        mapped.push((map(&guest, &mut world, refused, at, G).unwrap(), at));
        for (mapping, at) in mapped {
            unmap(&guest, &mut world, mapping, at, G).unwrap();
        }
        drop(hoard);
        drop(world);
        fixture.check_canary();
    }
    println!("all was tried");
}

#[test]
fn a_guest_maps_until_the_system_has_no_mapping_left() {
    let _alone = alone();
    let output = child("exhausted::child_with_few_mappings_to_spare");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("all was tried"), "{output:?}");
}
