//! Snapshots of files: holes stay holes, and where the file system can share blocks a large one is no copy of the bytes.
//!
//! `.ci/reflink` runs these with temporary files on XFS.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use mappable::{FileBytes, FileError, GRANULE};

use crate::support::*;

/// Where regions are pages, and where they are blocks.
const BACKINGS: [Setup; 2] = [Setup::Swap, Setup::Copy];

/// More than what is copied for being small.
const LARGE: u64 = 24 << 20;

fn content(len: u64) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

/// Whether temporary files are where blocks can be shared.
fn shares_blocks(file: &File) -> bool {
    let kind = rustix::fs::fstatfs(file).unwrap().f_type;
    [0x5846_5342, 0x9123_683e].contains(&kind)
}

#[test]
fn holes_of_a_file_are_not_read() {
    // To read a tebibyte would take this test minutes.
    let mut file = tempfile::tempfile().unwrap();
    let len = if file.set_len(1 << 40).is_ok() { 1_u64 << 40 } else { 1 << 30 };
    let places = [0, 5 * GRANULE + 1, 3 << 20, len / 2 + 4095, len - 5];
    for place in places {
        file.write_all_at(b"byte", place).unwrap();
    }
    file.seek(SeekFrom::Start(7)).unwrap();
    let file = Arc::new(file);
    let runtime = Setup::Swap.runtime();
    for start in [0, 1, GRANULE] {
        let bytes = FileBytes::snapshot(&runtime, &file, start..u64::MAX, u64::MAX).unwrap();
        assert_eq!(bytes.len(), len - start);
        let frozen = bytes.show().unwrap();
        let frozen = &frozen[bytes.start() as usize..];
        for place in places.into_iter().filter(|&place| place >= start) {
            let at = (place - start) as usize;
            assert_eq!(frozen[at..at + 4], *b"byte", "{place} from {start}");
            assert!(frozen[at + 4..].iter().take(2000).all(|&byte| byte == 0), "{place} from {start}");
        }
    }
    // The descriptor's position is its owner's.
    assert_eq!((&*file).stream_position().unwrap(), 7);
}

#[test]
fn a_large_snapshot_is_the_file_as_it_was() {
    for setup in BACKINGS {
        let runtime = setup.runtime();
        let all = content(LARGE + 100);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&all).unwrap();
        let file = Arc::new(file);
        for range in [0..LARGE + 100, 0..u64::MAX, 4097..LARGE + 99, GRANULE..u64::MAX] {
            let bytes = FileBytes::snapshot(&runtime, &file, range.clone(), u64::MAX).unwrap();
            let wanted = &all[range.start as usize..all.len().min(range.end as usize)];
            // Every way that a file can change under it.
            file.write_all_at(&[0xff; 1 << 20], 0).unwrap();
            file.write_all_at(&[0xff; 10], LARGE + 90).unwrap();
            file.set_len(1000).unwrap();
            let frozen = bytes.show().unwrap();
            assert!(frozen[bytes.start() as usize..] == *wanted, "{setup:?}, {range:?}");
            file.write_all_at(&all, 0).unwrap();
            assert!(frozen[bytes.start() as usize..] == *wanted, "{setup:?}, {range:?}");

            // Bytes in memory can be thawed, and those of a clone can't.
            drop(bytes);
            let is_clone = shares_blocks(&file) && setup.way() != Setup::Copy;
            assert_eq!(frozen.thaw().is_err(), is_clone, "{setup:?}, {range:?}");
        }
    }
}

#[test]
fn a_snapshot_is_within_the_limit_however_it_is_made() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(LARGE + 100).unwrap();
    let file = Arc::new(file);
    for setup in BACKINGS {
        let runtime = setup.runtime();
        let of = |range, limit| FileBytes::snapshot(&runtime, &file, range, limit).map(|bytes| bytes.len());
        assert_eq!(of(0..LARGE, LARGE).unwrap(), LARGE);
        // Its pages have a granule more than its bytes, which are copied then.
        assert_eq!(of(5..LARGE + 5, LARGE).unwrap(), LARGE);
        assert!(matches!(of(0..LARGE + 1, LARGE), Err(FileError::OverLimit { .. })), "{setup:?}");
    }
}

on_every_open_setup! {
    fn guests_map_a_large_snapshot(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; LARGE as usize]).unwrap();
        let file = Arc::new(file);
        // A guest has no room for all of it, so it takes a part.
        let bytes = FileBytes::snapshot(world.runtime(), &file, 0..LARGE, u64::MAX).unwrap();
        let part = bytes.show().unwrap().slice(LARGE - 2 * GRANULE..LARGE).unwrap();
        file.set_len(0).unwrap();
        let handle = world.store.data_mut().mappable.insert_frozen(part).unwrap();
        let handle = guest.take_frozen(&mut world, handle).unwrap();
        guest.map_frozen(&mut world, handle, 4 * G, 2 * G).unwrap();
        guest.expect(&mut world, 4 * G, 2 * G, 7);
    }
}
