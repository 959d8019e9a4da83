//! What a guest is given for what it asks, and which error it gets.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use mappable::{Limits, MappingMode};
use mappable_wasi::FilesCtx;
use wasmtime_wasi::{FsPerms, OpenMode};

use crate::guest::{VERSIONS, Version, World, runtime};

fn content() -> Vec<u8> {
    (0..150_000_u32).map(|at| (at % 251) as u8).collect()
}

fn file() -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&content()).unwrap();
    file
}

#[test]
fn a_descriptor_gives_the_bytes_that_were_asked_for() {
    for version in VERSIONS {
        let mut world = World::new(version);
        let descriptor = world.file(file());
        let all = content();
        for (offset, len) in [(0, u64::MAX), (1, 1), (65_535, 65_538), (100_000, 1 << 63), (149_999, 5), (70_000, 0)] {
            let bytes = world.freeze(descriptor, offset, len).unwrap().unwrap();
            let wanted = &all[offset as usize..all.len().min((offset.saturating_add(len)) as usize)];
            assert!(offset % 65_536 != 0 || bytes.start == 0, "{version:?}, {offset}, {len}");
            assert!(world.taken(bytes) == wanted, "{version:?}, {offset}, {len}");
        }
        for (offset, len) in [(150_000, 1), (1 << 40, 1), (1 << 63, 1 << 63), (u64::MAX, u64::MAX)] {
            let bytes = world.freeze(descriptor, offset, len).unwrap().unwrap();
            assert_eq!((bytes.start, bytes.len), (0, 0), "{version:?}, {offset}, {len}");
            assert!(world.taken(bytes).is_empty());
        }
        assert_eq!(world.store.data().mappable.held(), (0, 0));
    }
}

#[test]
fn bytes_stay_when_the_descriptor_is_closed() {
    for version in VERSIONS {
        let mut world = World::new(version);
        let descriptor = world.file(file());
        let bytes = world.freeze(descriptor, 10, 20).unwrap().unwrap();
        world.close(descriptor);
        assert_eq!(world.taken(bytes), content()[10..30]);
    }
}

#[test]
fn a_path_is_opened_as_wasi_opens_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("inner")).unwrap();
    fs::write(folder.path().join("inner/file"), b"hello").unwrap();
    fs::write(folder.path().join("empty"), b"").unwrap();
    std::os::unix::fs::symlink("inner/file", folder.path().join("link")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", folder.path().join("out")).unwrap();
    // Nobody writes to it: who opens it waits.
    rustix::fs::mkfifoat(rustix::fs::CWD, folder.path().join("pipe"), rustix::fs::Mode::RUSR).unwrap();
    for version in VERSIONS {
        let mut world = World::new(version);
        let directory = world.directory(folder.path(), FsPerms::ReadOnly);
        for (path, follow, wanted) in [
            ("inner/file", false, "hello"),
            ("link", true, "hello"),
            ("inner/../inner/file", false, "hello"),
            ("empty", false, ""),
        ] {
            let bytes = world.freeze_at(directory, follow, path, 0, 100).unwrap().unwrap();
            assert_eq!(world.taken(bytes), wanted.as_bytes(), "{version:?}, {path}");
        }
        let before = open_files();
        for (path, follow, code) in [
            ("missing", false, "no-entry"),
            ("link", false, "loop"),
            ("../outside", false, "not-permitted"),
            ("/etc/hostname", false, "not-permitted"),
            ("out", true, "not-permitted"),
            ("inner", false, "is-directory"),
            ("pipe", false, "no-device"),
            ("inner/file/more", false, "not-directory"),
        ] {
            let refused = world.freeze_at(directory, follow, path, 0, 100).unwrap().err();
            assert!(
                refused.as_deref().is_some_and(|refused| refused.contains(code)),
                "{version:?}, {path}: {refused:?}"
            );
        }
        let descriptor = world.file(file());
        let refused = world.freeze_at(descriptor, false, "x", 0, 1).unwrap().err();
        assert!(refused.unwrap().contains("not-directory"), "{version:?}");
        world.close(descriptor);
        assert_eq!(open_files(), before, "{version:?}: nothing stays open");
    }
}

/// A folder's owner exchanges a file and a pipe to which nobody writes, over and over: who opens the pipe and waits never returns.
#[test]
fn a_file_that_becomes_a_pipe_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["file", "pipe"].map(|name| folder.path().join(name));
    fs::write(&names[0], b"hello").unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &names[1], rustix::fs::Mode::RUSR).unwrap();
    let done = AtomicBool::new(false);
    let (answered, answers) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            let flags = rustix::fs::RenameFlags::EXCHANGE;
            while !done.load(Relaxed) {
                rustix::fs::renameat_with(rustix::fs::CWD, &names[0], rustix::fs::CWD, &names[1], flags).unwrap();
            }
        });
        scope.spawn(|| {
            let mut world = World::new(Version::P2);
            let directory = world.directory(folder.path(), FsPerms::ReadOnly);
            for _ in 0..500 {
                let answer = world.freeze_at(directory, false, "file", 0, 100).unwrap();
                answered.send(answer.map(|bytes| world.taken(bytes))).unwrap();
            }
            done.store(true, Relaxed);
        });
        let mut pipes = 0;
        for _ in 0..500 {
            match answers.recv_timeout(Duration::from_secs(60)) {
                Ok(Ok(bytes)) => assert_eq!(bytes, b"hello"),
                Ok(Err(code)) if code.contains("no-device") => pipes += 1,
                Ok(Err(code)) => panic!("{code}"),
                // A thread waits, and so would the test.
                Err(_) => std::process::abort(),
            }
        }
        assert!(pipes > 0, "it was a pipe at times");
    });
}

/// How many descriptors of files and folders that these tests made are open, in this process.
fn open_files() -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    open.filter(|path| path.starts_with(std::env::temp_dir()) && path.ends_with("inner")).count()
}

#[test]
fn what_may_not_be_read_may_not_be_mapped() {
    for version in VERSIONS {
        let mut world = World::new(version);
        let written = world.file_with(file(), FsPerms::ReadWrite, OpenMode::WRITE);
        assert!(world.refused(written, 0, 10).contains("access"), "{version:?}");
    }
}

#[test]
fn what_has_no_range_of_bytes_is_an_error() {
    for version in VERSIONS {
        let mut world = World::new(version);
        let (pipe, _writer) = io::pipe().unwrap();
        let pipe = world.file(File::from(std::os::fd::OwnedFd::from(pipe)));
        let device = world.file(File::open("/dev/zero").unwrap());
        let directory = world.directory("/".as_ref(), FsPerms::ReadOnly);
        assert!(world.refused(pipe, 0, 10).contains("no-device"), "{version:?}");
        assert!(world.refused(device, 0, 10).contains("no-device"), "{version:?}");
        assert!(world.refused(directory, 0, 10).contains("is-directory"), "{version:?}");
        // What is made up as it is read has no length, and bytes all the same.
        let status = world.file(File::open("/proc/self/status").unwrap());
        let bytes = world.freeze(status, 0, u64::MAX).unwrap().unwrap();
        assert!(world.taken(bytes).starts_with(b"Name:"), "{version:?}");
    }
}

#[test]
fn a_guest_that_asks_for_too_much_loses_nothing() {
    for version in VERSIONS {
        let mut world = World::new(version);
        world.limit(Limits::default().region_bytes(1 << 20).regions(100));
        let sparse = tempfile::tempfile().unwrap();
        sparse.set_len(1 << 43).unwrap();
        let (sparse, small) = (world.file(sparse), world.file(file()));
        for len in [1 << 63, u64::MAX, (1 << 20) + 1] {
            assert!(world.refused(sparse, 0, len).contains("insufficient-memory"), "{version:?}, {len}");
        }
        let mut given = vec![];
        for _ in 0..10_000 {
            match world.freeze(small, 0, 10).unwrap() {
                Ok(bytes) => given.push(bytes),
                Err(code) => assert!(code.contains("insufficient-memory"), "{version:?}: {code}"),
            }
        }
        assert_eq!(given.len(), 16, "{version:?}: as many granules as the limit");
        assert_eq!(world.store.data().mappable.held(), (16, 1 << 20));
        let bytes: Vec<_> = given.into_iter().map(|bytes| world.taken(bytes)).collect();
        assert!(bytes.iter().all(|bytes| *bytes == content()[..10]), "{version:?}");
        assert_eq!(world.store.data().mappable.held(), (0, 0), "{version:?}");
        world.limit(Limits::default().regions(0));
        assert!(world.refused(small, 0, 10).contains("insufficient-memory"), "{version:?}");
    }
}

#[test]
fn files_of_another_runtime_than_the_stores_are_a_trap() {
    for version in VERSIONS {
        let (own, other) = (runtime(MappingMode::Auto), runtime(MappingMode::Auto));
        let mut world = World::of(version, &own, FilesCtx::new(&other));
        let descriptor = world.file(file());
        let trapped = world.freeze(descriptor, 0, 10).err().unwrap();
        assert!(trapped.downcast_ref::<mappable::HandleError>().is_some(), "{version:?}: {trapped:?}");
    }
}
