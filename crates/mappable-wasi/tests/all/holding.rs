//! The three ways to hold a file, as the embedder chooses them.

#![allow(unsafe_code)]

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;

use mappable::MappingMode;
use mappable_wasi::FilesCtx;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use wasmtime_wasi::{FsPerms, OpenMode};

use crate::guest::{VERSIONS, World, runtime};

fn shared(files: FilesCtx) -> FilesCtx {
    // SAFETY: these tests write to no such file while somebody has a slice of it.
    unsafe { files.shared() }
}

fn memory_file(seals: SealFlags) -> File {
    let mut file = File::from(memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap());
    file.write_all(&[7; 70_000]).unwrap();
    fcntl_add_seals(&file, seals).unwrap();
    file
}

#[test]
fn a_snapshot_stays_whatever_becomes_of_the_file() {
    for version in VERSIONS {
        let mut world = World::new(version);
        let file = memory_file(SealFlags::empty());
        let descriptor = world.file(file.try_clone().unwrap());
        let bytes = world.freeze(descriptor, 69_000, 100).unwrap().unwrap();
        assert_eq!((bytes.start, bytes.len), (0, 100));
        file.write_all_at(&[8; 100], 69_000).unwrap();
        file.set_len(0).unwrap();
        assert_eq!(world.taken(bytes), [7; 100]);
    }
}

#[test]
fn sealed_files_are_taken_as_they_are_and_no_others() {
    for version in VERSIONS {
        let mut world = World::with(version, FilesCtx::sealed);
        for seals in [SealFlags::empty(), SealFlags::WRITE, SealFlags::WRITE | SealFlags::SHRINK] {
            let descriptor = world.file(memory_file(seals));
            assert!(world.refused(descriptor, 0, 10).contains("not-permitted"), "{version:?}, {seals:?}");
        }
        let descriptor = world.file(memory_file(SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW));
        let bytes = world.freeze(descriptor, 69_000, 5_000).unwrap().unwrap();
        // The page is shown whole: nothing was copied.
        assert_eq!((bytes.start, bytes.len), (69_000 - 65_536, 1_000), "{version:?}");
        assert_eq!(world.taken(bytes), [7; 1_000]);
        let status = world.file(File::open("/proc/self/status").unwrap());
        assert!(world.refused(status, 0, 10).contains("not-permitted"), "{version:?}");
    }
}

#[test]
fn shared_files_are_shown_as_they_are() {
    for version in VERSIONS {
        let mut world = World::with(version, shared);
        let file = memory_file(SealFlags::empty());
        let descriptor = world.file(file.try_clone().unwrap());
        let bytes = world.freeze(descriptor, 69_000, 5_000).unwrap().unwrap();
        assert_eq!((bytes.start, bytes.len), (69_000 - 65_536, 1_000), "{version:?}");
        file.write_all_at(&[8; 100], 69_000).unwrap();
        let seen = world.taken(bytes);
        assert_eq!((&seen[..100], &seen[100..]), (&[8; 100][..], &[7; 900][..]), "{version:?}");
        // There are no pages of what is made up as it is read.
        let status = world.file(File::open("/proc/self/status").unwrap());
        assert!(world.refused(status, 0, 10).contains("no-device"), "{version:?}");
    }
}

#[test]
fn what_a_guest_can_write_itself_is_not_shared_with_it() {
    for version in VERSIONS {
        let mut world = World::with(version, shared);
        let file = memory_file(SealFlags::empty());
        let descriptor =
            world.file_with(file.try_clone().unwrap(), FsPerms::ReadWrite, OpenMode::READ | OpenMode::WRITE);
        let bytes = world.freeze(descriptor, 69_000, 5_000).unwrap().unwrap();
        assert_eq!((bytes.start, bytes.len), (0, 1_000), "{version:?}");
        file.write_all_at(&[8; 100], 69_000).unwrap();
        assert_eq!(world.taken(bytes), [7; 1_000], "{version:?}");
        // The same by the path below a folder.
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), [7; 70_000]).unwrap();
        for (permissions, start) in [(FsPerms::ReadWrite, 0), (FsPerms::ReadOnly, 69_000 - 65_536)] {
            let directory = world.directory(folder.path(), permissions);
            let bytes = world.freeze_at(directory, false, "file", 69_000, 10).unwrap().unwrap();
            assert_eq!(bytes.start, start, "{version:?}, {permissions:?}");
            assert_eq!(world.taken(bytes), [7; 10]);
        }
    }
}

/// The kernel maps whole huge pages, over what is beside a smaller range.
#[test]
fn files_of_huge_pages_have_none_to_map() {
    for version in VERSIONS {
        for hold in [FilesCtx::sealed, shared] {
            let mut world = World::with(version, hold);
            let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::HUGETLB;
            let file = File::from(memfd_create("test", flags).unwrap());
            file.set_len(64 << 20).unwrap();
            fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW).unwrap();
            let descriptor = world.file(file);
            assert!(world.refused(descriptor, 0, 10).contains("no-device"), "{version:?}");
        }
    }
}

#[test]
fn where_nothing_is_mapped_all_are_copied() {
    for (version, hold) in VERSIONS.into_iter().flat_map(|version| {
        let ways: [fn(FilesCtx) -> FilesCtx; 3] = [|files| files, FilesCtx::sealed, shared];
        ways.map(|hold| (version, hold))
    }) {
        let runtime = runtime(MappingMode::Copy);
        let mut world = World::of(version, &runtime, hold(FilesCtx::new(&runtime)));
        let descriptor = world.file(memory_file(SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW));
        let bytes = world.freeze(descriptor, 69_000, 5_000).unwrap().unwrap();
        assert_eq!((bytes.start, bytes.len), (0, 1_000), "{version:?}");
        assert_eq!(world.taken(bytes), [7; 1_000]);
    }
}
