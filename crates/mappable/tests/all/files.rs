//! Files and readers: all of it or an error, whatever length they are said to have.

use std::fs::File;
use std::io::{self, Read};
use std::process::{Command, Stdio};

use mappable::{Frozen, GRANULE, Runtime};

use crate::support::*;

/// Where regions are pages, and where they are blocks.
const BACKINGS: [Setup; 2] = [Setup::Swap, Setup::Copy];

fn bytes(len: u64) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

fn with_file<R>(name: &str, content: &[u8], with: impl FnOnce(&File) -> R) -> R {
    let path = std::env::temp_dir().join(format!("mappable-{name}-{}", std::process::id()));
    std::fs::write(&path, content).unwrap();
    let answer = with(&File::open(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    answer
}

#[test]
fn a_reader_is_read_to_its_end_whatever_was_expected() {
    for setup in BACKINGS {
        let runtime = setup.runtime();
        for len in [0, 1, GRANULE - 1, GRANULE, GRANULE + 1, 4 * GRANULE, 5 * GRANULE + 77] {
            let content = bytes(len);
            for expected in [0, 1, len / 2, len.saturating_sub(1), len, len + 1, 9 * GRANULE] {
                let mut region = runtime.allocate_from_reader(content.as_slice(), expected).unwrap();
                assert_eq!(region.len(), len, "{setup:?}, {len}, {expected}");
                assert_eq!(region.size(), len.max(1).next_multiple_of(GRANULE), "{setup:?}, {len}, {expected}");
                region.set_len(region.size()).unwrap();
                let (found, behind) = region.bytes().unwrap().split_at(len as usize);
                assert!(found == content && behind.iter().all(|&byte| byte == 0), "{setup:?}, {len}, {expected}");
            }
        }
    }
}

/// Gives a few bytes at a time, is interrupted between, and fails in the end.
struct Fails(u64);

impl Read for Fails {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0 -= 1;
        match self.0 {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            left if left % 2 == 0 => Err(io::ErrorKind::Interrupted.into()),
            _ => Ok(into.len().min(5_000)),
        }
    }
}

#[test]
fn a_reader_that_fails_is_an_error_and_leaves_nothing() {
    for setup in BACKINGS {
        let answer = setup.runtime().allocate_from_reader(Fails(99), 0);
        assert_eq!(answer.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_says_it_has_no_bytes_is_read_all_the_same() {
    // What a program is started with is in a file of length 0, and this one is started with more than two granules.
    let content = "x".repeat(100_000);
    let mut child = Command::new("cat");
    child.env_clear().env("A", &content).env("B", &content).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = child.spawn().unwrap();
    let file = File::open(format!("/proc/{}/environ", child.id())).unwrap();
    let said = file.metadata().unwrap().len();
    let all = format!("A={content}\0B={content}\0");
    let read = BACKINGS.map(|setup| Frozen::from_file(&setup.runtime(), &file).unwrap());
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(said, 0);
    for frozen in read {
        assert_eq!(frozen.size(), (all.len() as u64).next_multiple_of(GRANULE));
        assert_eq!(frozen[..], *all.as_bytes());
    }
}

#[test]
fn an_empty_file_is_read_and_not_mapped() {
    with_file("empty", b"", |file| {
        for setup in BACKINGS {
            let runtime: Runtime = setup.runtime();
            let read = Frozen::from_file(&runtime, file).unwrap();
            assert_eq!((read.len(), read.size()), (0, GRANULE));
            #[allow(unsafe_code)]
            // SAFETY: the file is this test's own, and is not changed.
            let refused = unsafe { Frozen::from_file_mapped(&runtime, file) }.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
            assert!(refused.to_string().contains("Frozen::from_file"), "{refused}");
        }
    });
}
