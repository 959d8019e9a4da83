//! Under a limit on the process's address space, regions are copied, or the error says what is short.

use std::process::Command;

use mappable::{GRANULE, MappingMode, Runtime, Strategy};
use wasmtime::Store;

use crate::support::*;
use crate::wat;

/// Runs a test of this file in a process that may have so many GiB of address space. `None`: it has passed.
fn limited(gib: u64, test: &str) -> Option<String> {
    let mut child = Command::new("sh");
    child.args(["-c", "ulimit -v $1 && shift && exec \"$@\"", "sh", &(gib << 20).to_string()]);
    child.arg(std::env::current_exe().unwrap());
    child.args(["--exact", &format!("address_space::{test}"), "--ignored", "--nocapture", "--test-threads", "1"]);
    let done = child.env("MALLOC_ARENA_MAX", "1").output().unwrap();
    let told = [done.stdout, done.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(told.contains("running 1 test"), "{told}");
    if done.status.success() { None } else { Some(told) }
}

#[test]
fn regions_are_copied_where_address_space_is_short() {
    for gib in [1, 2, 4, 8, 12, 32] {
        assert_eq!(limited(gib, "copies"), None, "{gib} GiB");
    }
}

#[test]
fn what_is_short_is_said_where_regions_must_be_mapped() {
    for gib in [1, 2, 4, 8] {
        assert_eq!(limited(gib, "says_what_is_short"), None, "{gib} GiB");
    }
}

#[test]
#[ignore = "is run by another test, under a limit"]
fn copies() {
    let runtime = Runtime::new().unwrap();
    let component = runtime.compile(wat::guest("16").as_bytes()).unwrap();
    let mut store = Store::new(runtime.engine(), State::new(&runtime));
    let guest = Guest::new(linker(&runtime).instantiate(&mut store, &component).unwrap(), &mut store, None);
    let mapping = guest.mapped(&mut store, 4 * G, 2, 7);
    let region = guest.unmap(&mut store, mapping, 4 * G, 2 * G).unwrap();
    guest.map(&mut store, region, 8 * G, 2 * G).unwrap();
    guest.expect(&mut store, 8 * G, 2 * G, 7);
    assert_eq!(store.data().mappable.held(), (1, 2 * GRANULE));
    let shape =
        mappable::MemoryShape { minimum: 16, maximum: None, is_64: false, is_shared: false, page_size: GRANULE };
    assert_eq!(runtime.strategy_for(&shape), Ok(Strategy::Copy));
}

#[test]
#[ignore = "is run by another test, under a limit"]
fn says_what_is_short() {
    let error = Runtime::builder().mapping(MappingMode::Remap).build().unwrap_err();
    let text = format!("{:#}", anyhow::Error::new(error));
    assert!(text.contains("address space") && text.contains("ulimit -v"), "{text}");
    assert_eq!(text.matches("ulimit").count(), 1, "{text}");
    // What it says to do is what helps.
    Runtime::builder().mapping(MappingMode::Copy).build().unwrap();
}
