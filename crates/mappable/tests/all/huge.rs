//! Huge pages: the same bytes, in other pages. Where a system has none, what is in small pages is looked at.

use std::io;
use std::path::Path;

use mappable::{Frozen, GRANULE, HugePages, Mappable, Runtime};
use wasmtime::Trap;

use crate::support::{G, Guest, Setup, World, all_are, on_every_baseline_setup, trap_is};

/// A huge page in granules.
const HUGE: u32 = 32;
const HUGE_BYTES: u64 = HUGE as u64 * GRANULE;

/// Moves something into huge pages. `false` where the system has none.
fn collapsed(collapse: impl Fn() -> io::Result<()>) -> bool {
    if !Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
        return false;
    }
    // Pages that others look at just now are a reason to try again.
    let tries = (0..100).map(|_| collapse());
    match tries
        .into_iter()
        .find_map(|tried| tried.map_err(|error| assert_ne!(error.kind(), io::ErrorKind::InvalidInput)).ok())
    {
        Some(()) => true,
        None => {
            eprintln!("no huge page is to be had");
            false
        }
    }
}

/// What the kernel says of the mapping around an address: the line of that name.
fn said_of(address: usize, name: &str) -> String {
    let text = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut around = false;
    for line in text.lines() {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        if let Some((Ok(start), Ok(end))) =
            range.map(|(start, end)| (usize::from_str_radix(start, 16), usize::from_str_radix(end, 16)))
        {
            around = (start..end).contains(&address);
        } else if let Some(value) = line.strip_prefix(name).filter(|_| around) {
            return value.trim_start_matches(':').trim().to_owned();
        }
    }
    panic!("nothing is said of {name} at {address:#x}");
}

/// How many bytes around an address are seen by huge pages.
fn huge_at(address: usize) -> u64 {
    said_of(address, "ShmemPmdMapped").trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

fn is_advised(address: usize) -> bool {
    said_of(address, "VmFlags").split(' ').any(|flag| flag == "hg")
}

/// Where the host sees what the guest has at `at`, which is all of `byte`.
fn address_of(world: &mut World, guest: &Guest, at: u32, byte: u8) -> usize {
    let sum: u64 = guest.call(world, "sum", (at, G)).unwrap();
    assert_eq!(sum, GRANULE * u64::from(byte));
    world.data_mut().lists.pop().unwrap()
}

/// A guest of two huge pages: the second is for placements.
fn grown(world: &mut World) -> Guest {
    let guest = world.guest();
    assert_eq!(guest.grow(world, 2 * HUGE - 16), 16);
    guest.fill(world, HUGE * G, 0x11, HUGE * G);
    guest
}

on_every_baseline_setup! {
    fn frozen_bytes_in_huge_pages_are_the_same_and_nobody_changes_them(setup) {
        let mut world = World::new(setup);
        let (a, b) = (grown(&mut world), grown(&mut world));
        let frozen = world.region(HUGE.into(), 0x52).freeze().unwrap();
        let give = |world: &mut World, guest: &Guest| {
            let handle = world.store.data_mut().mappable.insert_frozen(frozen.clone()).unwrap();
            guest.take_frozen(world, handle).unwrap()
        };
        // One has mapped it before, in small pages, and one does after.
        let handle = give(&mut world, &a);
        let of_a = a.map_frozen(&mut world, handle, HUGE * G, HUGE * G).unwrap();
        a.expect(&mut world, HUGE * G, HUGE * G, 0x52);
        if setup.way() == Setup::Copy {
            assert_eq!(frozen.collapse().unwrap_err().kind(), io::ErrorKind::Unsupported);
        }
        let collapsed = setup.way() != Setup::Copy && collapsed(|| frozen.collapse());
        let handle = give(&mut world, &b);
        b.map_frozen(&mut world, handle, HUGE * G, HUGE * G).unwrap();
        for guest in [&a, &b] {
            guest.expect(&mut world, HUGE * G, HUGE * G, 0x52);
            let address = address_of(&mut world, guest, HUGE * G, 0x52);
            assert!(!collapsed || huge_at(address) == HUGE_BYTES, "{setup:?}");
        }
        // The host writes where a guest says, and only that one sees it, until it unmaps.
        let other = a.mapped(&mut world, 2 * G, 1, 0x77);
        let other = a.unmap(&mut world, other, 2 * G, G).unwrap();
        let to = (HUGE + 7) * G - 5;
        assert_eq!(a.call::<_, i64>(&mut world, "read", (other, 0_u64, 10_u32, to)).unwrap(), 10);
        a.expect(&mut world, to, 10, 0x77);
        b.expect(&mut world, HUGE * G, HUGE * G, 0x52);
        assert!(all_are(&frozen, 0x52));
        let handle = a.unmap_frozen(&mut world, of_a, HUGE * G, HUGE * G).unwrap();
        a.expect(&mut world, HUGE * G, HUGE * G, 0x11);
        a.map_frozen(&mut world, handle, HUGE * G, HUGE * G).unwrap();
        a.expect(&mut world, HUGE * G, HUGE * G, 0x52);
        if setup.frozen_stores_trap() {
            trap_is(b.run(&mut world, "store8", (to, 0xee_u32)), Trap::MemoryOutOfBounds);
        }
        assert!(all_are(&frozen, 0x52));
    }

    fn a_region_in_huge_pages_is_written_by_who_has_it(setup) {
        let mut world = World::new(setup);
        let guest = grown(&mut world);
        let region = world.region(HUGE.into(), 0x33);
        let collapsed = setup.way() != Setup::Copy && collapsed(|| region.collapse());
        let handle = world.insert(region);
        let handle = guest.take(&mut world, handle).unwrap();
        let mapping = guest.map(&mut world, handle, HUGE * G, HUGE * G).unwrap();
        guest.expect(&mut world, HUGE * G, HUGE * G, 0x33);
        guest.fill(&mut world, (HUGE + 3) * G, 0x44, G);
        let address = address_of(&mut world, &guest, HUGE * G, 0x33);
        assert!(!collapsed || huge_at(address) == HUGE_BYTES, "{setup:?}");
        let handle = guest.unmap(&mut world, mapping, HUGE * G, HUGE * G).unwrap();
        guest.expect(&mut world, HUGE * G, HUGE * G, 0x11);
        // A part of a huge page is a region of its own, mapped where it fits.
        let (low, high) = guest.split(&mut world, handle, 3 * GRANULE).unwrap();
        guest.run(&mut world, "drop-mappable", (low,)).unwrap();
        let fresh = guest.allocate(&mut world, 3 * GRANULE).unwrap();
        guest.map(&mut world, high, 3 * G, (HUGE - 3) * G).unwrap();
        guest.map(&mut world, fresh, (HUGE + 1) * G, 3 * G).unwrap();
        guest.expect(&mut world, 3 * G, G, 0x44);
        guest.expect(&mut world, 4 * G, (HUGE - 4) * G, 0x33);
        guest.expect(&mut world, (HUGE + 1) * G, 3 * G, 0);
    }
}

/// Nobody else's regions are among those of a runtime of one's own, so that what is freed is the next to be taken.
fn runtime(huge_pages: HugePages) -> Runtime {
    let config = Setup::Swap.config();
    Setup::Swap.builder(config).huge_pages(huge_pages).build().unwrap()
}

fn filled(runtime: &Runtime, size: u64, byte: u8) -> Mappable {
    let mut region = runtime.allocate(size).unwrap();
    region.bytes_mut().unwrap().fill(byte);
    region
}

#[test]
fn what_is_freed_of_a_huge_page_reads_as_zero_and_the_rest_stays() {
    let runtime = runtime(HugePages::default());
    let region = filled(&runtime, 2 * HUGE_BYTES, 0xab);
    collapsed(|| region.collapse());
    let mut rest = Some(region);
    let mut kept = vec![];
    // Odd parts go, even ones stay: over the border of two huge pages too.
    while let Some(region) = rest.take() {
        match region.split(5 * GRANULE) {
            Ok((low, high)) => {
                kept.push(low);
                rest = Some(high);
            }
            Err(failed) => kept.push(failed.region),
        }
    }
    let mut number = 0;
    kept.retain(|_| {
        number += 1;
        number % 2 == 0
    });
    for part in &kept {
        assert!(all_are(part.bytes().unwrap(), 0xab));
    }
    let fresh: Vec<_> = (0..20).map(|_| runtime.allocate(5 * GRANULE).unwrap()).collect();
    for region in &fresh {
        assert!(all_are(region.bytes().unwrap(), 0), "somebody's old bytes");
    }
    for part in &kept {
        assert!(all_are(part.bytes().unwrap(), 0xab));
    }
}

#[test]
fn of_a_slice_that_is_thawed_the_rest_of_its_huge_page_is_freed() {
    let runtime = runtime(HugePages::default());
    let frozen = filled(&runtime, 2 * HUGE_BYTES, 0xab).freeze().unwrap();
    collapsed(|| frozen.collapse());
    let slice = frozen.slice(7 * GRANULE..2 * HUGE_BYTES - GRANULE).unwrap();
    // Of the slice there is one whole huge page, which is there already.
    collapsed(|| slice.collapse());
    drop(frozen);
    let region = slice.thaw().unwrap();
    assert!(all_are(region.bytes().unwrap(), 0xab));
    for granules in [7, 1] {
        assert!(all_are(runtime.allocate(granules * GRANULE).unwrap().bytes().unwrap(), 0));
    }
}

#[test]
fn what_is_touched_once_takes_a_small_page() {
    let runtime = runtime(HugePages::default());
    let mut region = runtime.allocate(32 * HUGE_BYTES).unwrap();
    let bytes = region.bytes_mut().unwrap();
    bytes[HUGE_BYTES as usize] = 1;
    let resident = said_of(bytes.as_ptr().addr(), "Rss");
    let resident: u64 = resident.trim_end_matches(" kB").parse().unwrap();
    assert!(resident << 10 <= GRANULE, "{resident} KiB for one byte");
}

#[test]
fn less_than_a_huge_page_is_left_where_it_is() {
    let region = filled(&runtime(HugePages::default()), HUGE_BYTES - GRANULE, 0xab);
    region.collapse().unwrap();
    assert!(all_are(region.bytes().unwrap(), 0xab));
}

#[test]
fn a_region_that_was_never_touched_is_not_moved() {
    let region = runtime(HugePages::default()).allocate(HUGE_BYTES).unwrap();
    assert_eq!(region.collapse().unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert!(all_are(region.bytes().unwrap(), 0));
}

#[test]
fn huge_pages_are_asked_for_where_one_fits_and_it_was_said() {
    if !Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
        return;
    }
    let of = |huge_pages, size| {
        let mut region = runtime(huge_pages).allocate(size).unwrap();
        is_advised(region.bytes_mut().unwrap().as_ptr().addr())
    };
    assert!(of(HugePages::Advised, HUGE_BYTES) && of(HugePages::Advised, 5 * HUGE_BYTES + GRANULE));
    assert!(!of(HugePages::Advised, HUGE_BYTES - GRANULE));
    assert!(!of(HugePages::Collapsed, HUGE_BYTES));
}

#[test]
fn huge_pages_are_asked_for_of_a_file_that_is_mapped_if_it_was_said() {
    if !Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
        return;
    }
    let file = tempfile::tempfile().unwrap();
    file.set_len(2 * HUGE_BYTES).unwrap();
    let of = |huge_pages| {
        // SAFETY: nobody else has the file, and it is written to no more.
        #[allow(unsafe_code)]
        let frozen = unsafe { Frozen::from_file_mapped(&runtime(huge_pages), &file) }.unwrap();
        is_advised(frozen.as_ptr().addr())
    };
    assert!(of(HugePages::Advised));
    assert!(!of(HugePages::Collapsed));
}
