//! A copy of a file's bytes when a system call fails on the way: all of them or an error, and nothing stays behind.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use mappable::injection::{self, Call};
use mappable::{FileBytes, FileError, GRANULE};

use crate::support::Setup;
use crate::{alone, had};

/// Bytes, a hole, and more bytes, such that they are copied in a few pieces.
fn file() -> (Arc<File>, Vec<u8>) {
    let mut all = vec![7; 20 * GRANULE as usize];
    all[5 * GRANULE as usize..9 * GRANULE as usize].fill(0);
    let file = tempfile::tempfile().unwrap();
    file.set_len(all.len() as u64).unwrap();
    for part in [0..5 * GRANULE as usize, 9 * GRANULE as usize..all.len()] {
        file.write_all_at(&all[part.clone()], part.start as u64).unwrap();
    }
    (Arc::new(file), all)
}

#[test]
fn a_snapshot_that_the_system_refuses_is_an_error_and_leaves_nothing() {
    let _alone = alone();
    let (file, all) = file();
    let runtime = Setup::Swap.runtime_that_keeps_none(Setup::Swap.config());
    let copy = || FileBytes::snapshot(&runtime, &file, 0..u64::MAX, u64::MAX);
    drop(copy().unwrap());
    for call in [Call::Write, Call::Open, Call::Seek] {
        let (mut refused, mut places) = (0, 0);
        for goes_on in [false, true] {
            for place in 0.. {
                let before = had();
                if goes_on {
                    injection::fail_from(call, place)
                } else {
                    injection::fail(call, place)
                }
                let answer = copy();
                let failed = injection::stop();
                match answer {
                    Ok(bytes) => assert!(bytes.show().unwrap()[..] == all[..], "{call:?} at {place}"),
                    Err(FileError::Io(error)) if failed && error.kind() == io::ErrorKind::OutOfMemory => refused += 1,
                    Err(error) => panic!("{call:?} at {place}: {error:?}"),
                }
                assert_eq!(had(), before, "{call:?} at {place}");
                if !failed {
                    break;
                }
                places += 1;
            }
        }
        assert!(places >= 2, "{call:?}: {places}");
        // A file that can't be opened anew, to ask for its holes, is read with them.
        assert_eq!(refused, if call == Call::Open { 0 } else { places }, "{call:?}");
    }
}
