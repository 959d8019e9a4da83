//! Files that grow while they are copied or mapped, and files on a disk that is full.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use mappable::{FileBytes, FileError, GRANULE, Runtime};
use rustix::io::Errno;

use crate::file_bytes::give;
use crate::support::*;

const PAGE: u64 = 4096;

fn content(len: u64) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

fn shared(runtime: &Runtime, file: &Arc<File>) -> FileBytes {
    // SAFETY: no byte that was there when the file was mapped is written to.
    unsafe { FileBytes::shared(runtime, file, 0..u64::MAX, u64::MAX) }.unwrap()
}

fn snapshot(runtime: &Runtime, file: &Arc<File>) -> Result<FileBytes, FileError> {
    FileBytes::snapshot(runtime, file, 0..u64::MAX, u64::MAX)
}

#[test]
fn a_file_that_grows_while_it_is_copied_is_as_long_as_it_once_was() {
    let all = content(40 * GRANULE);
    for setup in [Setup::Swap, Setup::Copy] {
        let runtime = setup.runtime();
        let file = Arc::new(tempfile::tempfile().unwrap());
        let whole = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                all.chunks(5_000).for_each(|piece| (&*file).write_all(piece).unwrap());
                whole.store(true, Ordering::Release);
            });
            let mut before = 0;
            loop {
                let is_last = whole.load(Ordering::Acquire);
                let bytes = snapshot(&runtime, &file).unwrap();
                let frozen = bytes.show().unwrap();
                assert!(all.starts_with(&frozen) && frozen.len() >= before, "{setup:?}, {}", frozen.len());
                before = frozen.len();
                if is_last {
                    break;
                }
            }
            assert_eq!(before, all.len(), "{setup:?}");
        });
    }
}

on_every_open_setup! {
    /// What is behind the end in the file's last page is the file's own, and is shown when it is written. No page more is.
    fn a_file_that_grows_while_it_is_mapped_shows_no_page_more(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let len = G + PAGE as u32 + 100;
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&vec![7; len as usize], 0).unwrap();
        let file = Arc::new(file);
        let bytes = [shared(world.runtime(), &file), snapshot(world.runtime(), &file).unwrap()];
        let by_copy = setup.way() == Setup::Copy;
        let shown = bytes.each_ref().map(|bytes| bytes.show().unwrap());
        let [shared_handle, copied] = bytes.map(|bytes| give(&mut world, &guest, bytes));
        for (handle, at) in [(shared_handle, 4 * G), (copied, 8 * G)] {
            assert_eq!(guest.len_frozen(&mut world, handle), u64::from(len));
            guest.map_frozen(&mut world, handle, at, 2 * G).unwrap();
            guest.expect(&mut world, at, len, 7);
            guest.expect(&mut world, at + len, 2 * G - len, 0);
        }

        file.write_all_at(&vec![8; 3 * GRANULE as usize], u64::from(len)).unwrap();
        let page_end = len.next_multiple_of(PAGE as u32);
        for (at, is_shared) in [(4 * G, !by_copy), (8 * G, false)] {
            guest.expect(&mut world, at, len, 7);
            guest.expect(&mut world, at + len, page_end - len, if is_shared { 8 } else { 0 });
            guest.expect(&mut world, at + page_end, 2 * G - page_end, 0);
        }
        for frozen in shown {
            assert!(frozen.len() as u32 == len && frozen.iter().all(|&byte| byte == 7), "{setup:?}");
        }
        // Who asks anew is given what is there now.
        let longer = u64::from(len) + 3 * GRANULE;
        assert_eq!(shared(world.runtime(), &file).len(), longer);
        assert_eq!(snapshot(world.runtime(), &file).unwrap().len(), longer);
    }
}

/// Takes all that the file system of temporary files has left.
fn fill_the_disk() -> File {
    let filler = tempfile::tempfile().unwrap();
    let mut at = 0;
    for size in [1 << 20, 4096, 1] {
        let piece = vec![1; size];
        loop {
            match filler.write_at(&piece, at) {
                Ok(count) => at += count as u64,
                Err(error) => {
                    assert_eq!(Errno::from_io_error(&error), Some(Errno::NOSPC), "{error}");
                    break;
                }
            }
        }
    }
    filler.sync_all().unwrap();
    filler
}

#[test]
#[ignore = "fills the disk of temporary files: .ci/reflink has small ones for it"]
fn a_file_on_a_full_disk_is_copied() {
    for (setup, len) in [Setup::Swap, Setup::Copy].into_iter().flat_map(|setup| [(setup, 100), (setup, 24 << 20)]) {
        let all = content(len);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&all).unwrap();
        file.sync_all().unwrap();
        let file = Arc::new(file);
        let filler = fill_the_disk();
        let runtime = setup.runtime();
        let copies: Vec<_> = (0..4).map(|_| snapshot(&runtime, &file).unwrap().show().unwrap()).collect();
        assert!(copies.iter().all(|copy| copy[..] == all[..]), "{setup:?}, {len}");
        drop(filler);
        file.write_all_at(&[0xff; 100], 0).unwrap();
        file.set_len(10).unwrap();
        assert!(copies.iter().all(|copy| copy[..] == all[..]), "{setup:?}, {len}");
    }
}
