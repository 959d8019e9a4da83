//! The SDK on the native host: mapped, and by copy on a host that can't map.
//!
//! One test at a time: what the host answers is a setting of the process, and regions are counted.

#![cfg(not(target_family = "wasm"))]

mod frozen;
mod parts;
mod regions;

use std::sync::{Mutex, MutexGuard, PoisonError};

use mappable_guest::bindings::types::{MapError, limit_regions, live_regions, refuse_to_map};
use mappable_guest::{GRANULE, Mappable};

const GRANULE_BYTES: usize = GRANULE as usize;

/// The host to oneself, as it answers from here on, and empty again in the end.
struct Host(#[allow(dead_code, reason = "held")] MutexGuard<'static, ()>);

fn host(refusal: Option<MapError>) -> Host {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    refuse_to_map(refusal);
    limit_regions(None);
    Host(guard)
}

impl Drop for Host {
    fn drop(&mut self) {
        refuse_to_map(None);
        limit_regions(None);
        if !std::thread::panicking() {
            assert_eq!(live_regions(), 0, "every region was freed");
        }
    }
}

/// The host that maps, and those that can't.
const HOSTS: [Option<MapError>; 3] = [None, Some(MapError::PlacementUnmappable), Some(MapError::MappingsExhausted)];

/// A region whose granules are filled with one byte each.
fn region(granules: &[u8]) -> Mappable {
    let region = Mappable::allocate(granules.len() as u64 * GRANULE).unwrap();
    for (&byte, at) in granules.iter().zip(0..) {
        region.write(at * GRANULE, &[byte; GRANULE_BYTES]).unwrap();
    }
    region
}

/// What [`region`] was given; a granule that is not all one byte is none of it.
fn granules(bytes: &[u8]) -> Vec<u8> {
    let granules = bytes.chunks(GRANULE_BYTES);
    granules.map(|granule| granule.iter().copied().reduce(|a, b| if a == b { a } else { 0xff }).unwrap()).collect()
}
