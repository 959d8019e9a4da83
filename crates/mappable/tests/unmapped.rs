//! The library on a platform where no pages can be mapped, as `.ci/twin` builds it on Linux: everything that is asked
//! for by default works by copying, and what needs pages is an error that says so.

#![cfg(mappable_no_mapping)]

use std::io::ErrorKind;

use mappable::{Frozen, GRANULE, MappingMode, Runtime, RuntimeError};
use mappable_testing::support::{Fixture, G, Setup};

fn fixture(setup: Setup) -> &'static Fixture {
    let runtime = Runtime::builder().config(setup.config()).build().unwrap();
    Box::leak(Box::new(Fixture::new(setup, runtime)))
}

#[test]
fn regions_are_handed_over_by_copying() {
    let mut world = fixture(Setup::Copy).world();
    let (a, b) = world.pair();
    let calls = mappable::internals::system_calls();
    let region = a.allocate(&mut world, 2 * GRANULE).unwrap();
    a.fill(&mut world, 4 * G, 0x33, 2 * G);
    let mapping = a.map(&mut world, region, 4 * G, 2 * G).unwrap();
    a.expect(&mut world, 4 * G, 2 * G, 0);
    a.fill(&mut world, 4 * G, 0x44, 2 * G);
    let region = a.unmap(&mut world, mapping, 4 * G, 2 * G).unwrap();
    a.expect(&mut world, 4 * G, 2 * G, 0x33);
    let region: u32 = a.call(&mut world, "pass", (region,)).unwrap();
    b.map(&mut world, region, 6 * G, 2 * G).unwrap();
    b.expect(&mut world, 6 * G, 2 * G, 0x44);
    assert!(b.grow(&mut world, 1) > 0);
    b.expect(&mut world, 6 * G, 2 * G, 0x44);
    assert_eq!(mappable::internals::system_calls(), calls, "there is no system call to make");
}

#[test]
fn frozen_regions_are_shown_by_copying() {
    let mut world = fixture(Setup::Copy).world();
    let guest = world.guest();
    let frozen = world.region(2, 0x11).freeze().unwrap();
    let handle = world.store.data_mut().mappable.insert_frozen(frozen.clone()).unwrap();
    let handle = guest.take_frozen(&mut world, handle).unwrap();
    let mapping = guest.map_frozen(&mut world, handle, 4 * G, 2 * G).unwrap();
    guest.expect(&mut world, 4 * G, 2 * G, 0x11);
    guest.store(&mut world, 4 * G, 0x22);
    assert_eq!(frozen[0], 0x11, "the guest's store is the mapping's own");
    guest.unmap_frozen(&mut world, mapping, 4 * G, 2 * G).unwrap();
    guest.expect(&mut world, 4 * G, 2 * G, 0);
}

#[test]
fn what_needs_pages_is_unsupported() {
    let refused = Runtime::builder().mapping(MappingMode::Remap).build().map(drop).unwrap_err();
    assert!(matches!(&refused, RuntimeError::Backing(error) if error.kind() == ErrorKind::Unsupported), "{refused:?}");
    assert_eq!(mappable::install_fault_handler().unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn a_file_that_would_be_mapped_is_read() {
    let runtime = Runtime::builder().build().unwrap();
    let path = std::env::current_exe().unwrap();
    let content = std::fs::read(&path).unwrap();
    let file = std::fs::File::open(path).unwrap();
    #[allow(unsafe_code)]
    // SAFETY: nobody writes the program while it runs.
    let frozen = unsafe { Frozen::from_file_mapped(&runtime, &file) }.unwrap();
    assert!(frozen.starts_with(&content));
}
