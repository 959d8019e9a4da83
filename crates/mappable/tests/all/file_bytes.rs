//! Parts of files: any offset and length, held in three ways, and what becomes of them when the file does not keep still.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use mappable::{FileBytes, FileError, GRANULE, HandleError, Limits, Runtime};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use wasmtime::Trap;

use crate::support::*;

/// Where regions are pages, and where they are blocks.
const BACKINGS: [Setup; 2] = [Setup::Swap, Setup::Copy];

const ALL_SEALS: SealFlags = SealFlags::WRITE.union(SealFlags::SHRINK).union(SealFlags::GROW);

/// The ways to hold a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Snapshot,
    Sealed,
    Shared,
}

const WAYS: [Way; 3] = [Way::Snapshot, Way::Sealed, Way::Shared];

impl Way {
    fn bytes(self, runtime: &Runtime, file: &Arc<File>, range: Range<u64>) -> Result<FileBytes, FileError> {
        self.limited(runtime, file, range, u64::MAX)
    }

    fn limited(
        self,
        runtime: &Runtime,
        file: &Arc<File>,
        range: Range<u64>,
        limit: u64,
    ) -> Result<FileBytes, FileError> {
        match self {
            Self::Snapshot => FileBytes::snapshot(runtime, file, range, limit),
            Self::Sealed => FileBytes::sealed(runtime, file, range, limit),
            // SAFETY: the files are this test's own; none is written to while it is looked at.
            Self::Shared => unsafe { FileBytes::shared(runtime, file, range, limit) },
        }
    }
}

fn content(len: u64) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

/// A file in memory with these seals.
fn memory_file(content: &[u8], seals: SealFlags) -> Arc<File> {
    let mut file = File::from(memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap());
    file.write_all(content).unwrap();
    fcntl_add_seals(&file, seals).unwrap();
    Arc::new(file)
}

/// An ordinary file without a name.
fn ordinary_file(content: &[u8]) -> Arc<File> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    Arc::new(file)
}

#[test]
fn any_offset_and_length_will_do() {
    let all = content(5 * GRANULE + 77);
    let file = memory_file(&all, ALL_SEALS);
    for (setup, way) in BACKINGS.iter().flat_map(|setup| WAYS.map(|way| (setup, way))) {
        let runtime = setup.runtime();
        for offset in [0, 1, 4095, 4096, GRANULE - 1, GRANULE, GRANULE + 1, 3 * GRANULE + 500, 5 * GRANULE + 76] {
            for len in [1, 100, 4096, GRANULE, GRANULE + 1, 3 * GRANULE] {
                let bytes = way.bytes(&runtime, &file, offset..offset + len).unwrap();
                let wanted = &all[offset as usize..all.len().min((offset + len) as usize)];
                assert_eq!(bytes.len(), wanted.len() as u64, "{setup:?}, {way:?}, {offset}, {len}");
                assert!(bytes.start() < GRANULE, "{setup:?}, {way:?}, {offset}, {len}");
                let frozen = bytes.show().unwrap();
                assert!(frozen[bytes.start() as usize..] == *wanted, "{setup:?}, {way:?}, {offset}, {len}");
                // By call, and from there.
                let copy = frozen.copy().unwrap();
                assert!(copy.bytes().unwrap() == &frozen[..], "{setup:?}, {way:?}, {offset}, {len}");
                assert_eq!(frozen.size(), (bytes.start() + bytes.len()).next_multiple_of(GRANULE));
            }
        }
    }
}

#[test]
fn what_is_not_there_is_not_given() {
    let (full, empty) = (memory_file(&content(100), ALL_SEALS), memory_file(b"", ALL_SEALS));
    for (setup, way) in BACKINGS.iter().flat_map(|setup| WAYS.map(|way| (setup, way))) {
        let runtime = setup.runtime();
        let ranges = [0..0, 50..50, 100..200, 101..u64::MAX, u64::MAX - 1..u64::MAX, 1 << 62..1 << 63];
        for (file, range) in ranges.map(|range| (&full, range)).into_iter().chain([(&empty, 0..10), (&empty, 0..0)]) {
            let bytes = way.bytes(&runtime, file, range.clone()).unwrap();
            assert!(bytes.is_empty(), "{setup:?}, {way:?}, {range:?}");
            assert_eq!((bytes.start(), bytes.show().unwrap().len()), (0, 0), "{setup:?}, {way:?}, {range:?}");
        }
        let bytes = way.bytes(&runtime, &full, 90..u64::MAX).unwrap();
        assert_eq!(bytes.len(), 10, "{setup:?}, {way:?}");
    }
}

#[test]
fn only_a_file_that_nobody_can_change_is_sealed() {
    let runtime = Setup::Swap.runtime();
    for seals in [SealFlags::empty(), SealFlags::WRITE, ALL_SEALS - SealFlags::SHRINK, ALL_SEALS - SealFlags::GROW] {
        let refused = Way::Sealed.bytes(&runtime, &memory_file(b"hello", seals), 0..5).unwrap_err();
        assert!(matches!(refused, FileError::NotSealed), "{seals:?}: {refused}");
        assert!(refused.to_string().contains("F_SEAL_SHRINK"), "{refused}");
    }
    let refused = Way::Sealed.bytes(&runtime, &ordinary_file(b"hello"), 0..5).unwrap_err();
    assert!(matches!(refused, FileError::NotSealed), "{refused}");
    // Once sealed, it is not copied: a second reference to it costs no memory, and the bytes are those of the file.
    let file = memory_file(b"hello", ALL_SEALS);
    let bytes = Way::Sealed.bytes(&runtime, &file, 0..5).unwrap();
    assert_eq!(bytes.show().unwrap()[..], *b"hello");
    assert!(bytes.show().unwrap().thaw().is_err(), "it is not ours to write to");
}

/// `FS_IOC_ENABLE_VERITY` of linux/fsverity.h, with hashes of SHA-256 over pages of 4 KiB.
fn verify(file: &File) -> rustix::io::Result<()> {
    #[repr(C)]
    struct Enable {
        numbers: [u32; 4],
        salt: u64,
        signature_size: [u32; 2],
        signature: u64,
        reserved: [u64; 11],
    }
    const ENABLE: rustix::ioctl::Opcode = rustix::ioctl::opcode::write::<Enable>(b'f', 133);
    // Version, algorithm, block size, and no salt.
    let how = Enable { numbers: [1, 1, 4096, 0], salt: 0, signature_size: [0; 2], signature: 0, reserved: [0; 11] };
    // SAFETY: the kernel reads a structure of this form, whose opcode it is, and writes to none.
    let how = unsafe { rustix::ioctl::Setter::<ENABLE, Enable>::new(how) };
    // SAFETY: as above.
    unsafe { rustix::ioctl::ioctl(file, how) }
}

/// Where the kernel and the file system have fs-verity. `.ci/reflink` runs it where they should, if it can.
#[test]
fn a_file_under_fs_verity_is_sealed() {
    let runtime = Setup::Swap.runtime();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, content(100_000)).unwrap();
    let file = Arc::new(File::open(&path).unwrap());
    let sealed = || Way::Sealed.bytes(&runtime, &file, 70_000..u64::MAX);
    let refused = sealed().unwrap_err();
    assert!(matches!(refused, FileError::NotSealed) && refused.to_string().contains("fs-verity"), "{refused}");
    match verify(&file) {
        Ok(()) => {
            let bytes = sealed().unwrap();
            assert_eq!(bytes.show().unwrap()[bytes.start() as usize..], content(100_000)[70_000..]);
            assert!(File::options().write(true).open(&path).is_err(), "nobody can change it");
        }
        // There is none, and nothing has become of the file.
        Err(error) => {
            assert!(std::env::var_os("MAPPABLE_VERITY").is_none(), "{error}");
            assert!(matches!(sealed().unwrap_err(), FileError::NotSealed), "{error}");
        }
    }
}

#[test]
fn what_has_no_pages_is_read_or_refused() {
    let runtime = Setup::Swap.runtime();
    // A file that says it is empty, and one whose length is a page and whose pages can't be mapped.
    let made_up = ["/proc/self/status", "/sys/kernel/mm/transparent_hugepage/enabled"];
    for path in made_up.iter().filter(|path| std::path::Path::new(path).exists()) {
        let file = Arc::new(File::open(path).unwrap());
        let bytes = Way::Snapshot.bytes(&runtime, &file, 0..u64::MAX).unwrap();
        assert!(!bytes.is_empty(), "{path}");
        let refused = Way::Shared.bytes(&runtime, &file, 0..u64::MAX).unwrap_err();
        assert!(matches!(refused, FileError::NoPages(_)), "{path}: {refused}");
    }
    let (pipe, _writer) = io::pipe().unwrap();
    let pipe = Arc::new(File::from(std::os::fd::OwnedFd::from(pipe)));
    let (directory, device) = (Arc::new(File::open("/").unwrap()), Arc::new(File::open("/dev/zero").unwrap()));
    for way in WAYS {
        let refused = |file| way.bytes(&runtime, file, 0..10).unwrap_err();
        assert!(matches!(refused(&pipe), FileError::NoPages(_)), "{way:?}");
        assert!(matches!(refused(&device), FileError::NoPages(_)), "{way:?}");
        assert!(matches!(refused(&directory), FileError::Directory), "{way:?}");
    }
    // What may not be read.
    let written = File::options().write(true).open("/proc/self/comm").unwrap();
    let refused = Way::Snapshot.bytes(&runtime, &Arc::new(written), 0..10).unwrap_err();
    assert!(matches!(refused, FileError::Io(_)), "{refused}");
}

#[test]
fn no_more_is_taken_than_the_limit() {
    // Sparse, and as long as a file can be.
    let sparse = memory_file(b"", SealFlags::empty());
    sparse.set_len((1 << 62) + 5).unwrap();
    fcntl_add_seals(sparse.as_fd(), ALL_SEALS).unwrap();
    let endless = Arc::new(File::open("/proc/self/status").unwrap());
    for way in WAYS {
        let runtime = Setup::Swap.runtime();
        for range in [0..1 << 63, 0..2 * GRANULE + 1, 5..u64::MAX] {
            let refused = way.limited(&runtime, &sparse, range.clone(), 2 * GRANULE).unwrap_err();
            assert!(matches!(refused, FileError::OverLimit { .. }), "{way:?}, {range:?}: {refused}");
        }
        assert_eq!(way.limited(&runtime, &sparse, 0..2 * GRANULE, 2 * GRANULE).unwrap().len(), 2 * GRANULE);
        // At the very end of it.
        let bytes = way.limited(&runtime, &sparse, 1 << 62..u64::MAX, GRANULE).unwrap();
        assert_eq!(bytes.len(), 5, "{way:?}");
        assert_eq!(bytes.show().unwrap()[..], [0; 5]);
    }
    let runtime = Setup::Swap.runtime();
    let refused = Way::Snapshot.limited(&runtime, &endless, 0..u64::MAX, 0).unwrap_err();
    assert!(matches!(refused, FileError::OverLimit { .. }), "{refused}");
    // With no limit but what there is.
    let refused = Way::Snapshot.bytes(&runtime, &sparse, 0..u64::MAX).unwrap_err();
    assert!(matches!(&refused, FileError::Io(error) if error.kind() == io::ErrorKind::OutOfMemory), "{refused}");
}

#[test]
fn a_file_is_charged_for_as_other_frozen_bytes_are() {
    let runtime = Setup::Swap.runtime();
    let file = memory_file(&content(3 * GRANULE), ALL_SEALS);
    for way in WAYS {
        let mut context = runtime.context();
        context.set_limits(Limits::default().region_bytes(3 * GRANULE).regions(4));
        let bytes = || way.bytes(&runtime, &file, GRANULE..2 * GRANULE).unwrap();
        let handles: Vec<_> = (0..3).map(|_| context.try_insert_file_bytes(bytes()).unwrap()).collect();
        assert_eq!(context.held(), (3, 3 * GRANULE), "{way:?}");
        assert_eq!(context.try_insert_file_bytes(bytes()).unwrap_err(), HandleError::OverQuota, "{way:?}");
        for handle in handles {
            context.remove_frozen(handle).unwrap();
        }
        assert_eq!(context.held(), (0, 0), "{way:?}");
        let stranger = way.bytes(&Setup::Swap.runtime(), &file, 0..1).unwrap();
        assert_eq!(context.try_insert_file_bytes(stranger).unwrap_err(), HandleError::AnotherRuntime, "{way:?}");
    }
}

/// In KiB, of all mappings of a file in this process: what is resident, by each and by their shares, and what is their own.
fn resident(path: &Path) -> [u64; 3] {
    let all = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut is_of_file = false;
    let mut found = [0; 3];
    for line in all.lines() {
        match line.split_once(':').filter(|(name, _)| name.starts_with(char::is_uppercase)) {
            Some((name, value)) if is_of_file => {
                let kind = ["Rss", "Pss", "Anonymous"].iter().position(|kind| *kind == name);
                let value = value.trim().trim_end_matches(" kB");
                kind.into_iter().for_each(|kind| found[kind] += value.parse::<u64>().unwrap());
            }
            Some(_) => {}
            None => is_of_file = line.ends_with(path.to_str().unwrap()),
        }
    }
    found
}

#[test]
fn what_many_instances_share_is_in_memory_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, [7; 8 * GRANULE as usize]).unwrap();
    let opened = Arc::new(File::open(&file).unwrap());
    let worlds: Vec<_> = (0..20)
        .map(|_| {
            let (mut world, guest) = World::with_guest(Setup::Swap);
            let bytes = Way::Shared.bytes(world.runtime(), &opened, 0..u64::MAX).unwrap();
            let handle = give(&mut world, &guest, bytes);
            guest.map_frozen(&mut world, handle, 4 * G, 8 * G).unwrap();
            guest.expect(&mut world, 4 * G, 8 * G, 7);
            world
        })
        .collect();
    let size = 8 * GRANULE / 1024;
    let [each, shares, own] = resident(file.path());
    assert_eq!((each, own), (20 * size, 0));
    assert!(shares <= size, "{shares} KiB of {size}");
    drop(worlds);
}

/// Gives a guest bytes of a file.
pub(crate) fn give(world: &mut World, guest: &Guest, bytes: FileBytes) -> u32 {
    let handle = world.store.data_mut().mappable.try_insert_file_bytes(bytes).unwrap();
    guest.take_frozen(world, handle).unwrap()
}

on_every_open_setup! {
    fn a_guest_finds_what_it_asked_for(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let all = content(3 * GRANULE);
        let file = memory_file(&all, ALL_SEALS);
        for way in WAYS {
            let bytes = way.bytes(world.runtime(), &file, GRANULE + 1_000..2 * GRANULE + 1_000).unwrap();
            let start = bytes.start() as u32;
            assert_eq!(start, if way == Way::Snapshot || setup.way() == Setup::Copy { 0 } else { 1_000 });
            let mut handle = give(&mut world, &guest, bytes);
            assert_eq!(guest.len_frozen(&mut world, handle), u64::from(start) + GRANULE);
            // As often as it takes until trusted code goes there without the host.
            for _ in 0..4 {
                let mapping = guest.map_frozen(&mut world, handle, 4 * G, 2 * G).unwrap();
                for at in [0, 1, 4_096, G - 1] {
                    let wanted = all[(G + 1_000 + at) as usize];
                    assert_eq!(guest.load(&mut world, 4 * G + start + at), wanted, "{way:?}, {at}");
                }
                handle = guest.unmap_frozen(&mut world, mapping, 4 * G, 2 * G).unwrap();
            }
            guest.run(&mut world, "drop-frozen", (handle,)).unwrap();
        }
    }

    /// Under a snapshot a file may do what it will; under a shared mapping nobody is ended.
    fn a_file_that_is_made_shorter_ends_nobody(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let file = ordinary_file(&[7; 3 * GRANULE as usize]);
        let [snapshot, shared] = [Way::Snapshot, Way::Shared].map(|way| {
            let bytes = way.bytes(world.runtime(), &file, 0..u64::MAX).unwrap();
            let frozen = bytes.show().unwrap();
            assert_eq!(frozen.last(), Some(&7));
            (give(&mut world, &guest, bytes), frozen)
        });
        let by_copy = setup.way() == Setup::Copy;
        let mapping = guest.map_frozen(&mut world, shared.0, 4 * G, 3 * G).unwrap();
        guest.expect(&mut world, 4 * G, 3 * G, 7);
        let other = guest.map_frozen(&mut world, snapshot.0, 8 * G, 3 * G).unwrap();
        file.set_len(GRANULE + 1).unwrap();
        guest.expect(&mut world, 4 * G, G + 1, 7);
        guest.expect(&mut world, 8 * G, 3 * G, 7);
        assert_eq!(snapshot.1[..], [7; 3 * GRANULE as usize]);

        // The host reads zeroes, from whichever thread, and in whichever order.
        thread::scope(|scope| {
            for reader in 0..4 {
                let shared = &shared.1;
                scope.spawn(move || {
                    let places = (0..3 * GRANULE as usize).step_by(512);
                    let places: Vec<_> = if reader % 2 == 0 { places.collect() } else { places.rev().collect() };
                    for at in places {
                        let wanted = if at <= GRANULE as usize || by_copy { 7 } else { 0 };
                        assert_eq!(shared[at], wanted, "{reader}, {at}");
                    }
                });
            }
        });
        // So do its writes and reads in the guest's memory, and it is the guest's mapping alone that they are in.
        if !by_copy {
            let trapped = guest.call::<_, u32>(&mut world, "load8", (6 * G,));
            trap_is(trapped, Trap::MemoryOutOfBounds);
            return;
        }
        guest.unmap_frozen(&mut world, mapping, 4 * G, 3 * G).unwrap();
        guest.unmap_frozen(&mut world, other, 8 * G, 3 * G).unwrap();
    }

    fn a_private_mapping_of_a_file_leaves_the_file_as_it_is(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let file = ordinary_file(&[7; 3 * GRANULE as usize]);
        let by_copy = setup.way() == Setup::Copy;
        let bytes = Way::Shared.bytes(world.runtime(), &file, 0..u64::MAX).unwrap();
        let handle = give(&mut world, &guest, bytes);
        guest.map_private(&mut world, handle, 4 * G, 3 * G).unwrap();
        guest.fill(&mut world, 4 * G + 5, 8, G);
        guest.expect(&mut world, 4 * G, 5, 7);
        guest.expect(&mut world, 4 * G + 5, G, 8);
        let mut read = vec![0; 3 * GRANULE as usize];
        file.read_exact_at(&mut read, 0).unwrap();
        assert_eq!(read, [7; 3 * GRANULE as usize]);
        // The pages behind go, and what was written to those before stays.
        file.set_len(2 * GRANULE).unwrap();
        guest.run(&mut world, "copy", (9 * G, 4 * G, 3 * G)).unwrap();
        guest.expect(&mut world, 9 * G + 5, G, 8);
        guest.expect(&mut world, 10 * G + 5, G - 5, 7);
        guest.expect(&mut world, 11 * G, G, if by_copy { 7 } else { 0 });
        guest.fill(&mut world, 6 * G + 4096, 9, 8192);
        guest.expect(&mut world, 6 * G + 4096, 8192, 9);
        guest.expect(&mut world, 4 * G + 5, G, 8);
        let (mut world, guest) = World::with_guest(setup);
        let bytes = Way::Shared.bytes(world.runtime(), &file, 0..u64::MAX).unwrap();
        let handle = give(&mut world, &guest, bytes);
        guest.map_private(&mut world, handle, 4 * G, 2 * G).unwrap();
        file.set_len(GRANULE).unwrap();
        let stored = guest.run(&mut world, "store8", (5 * G, 1u32));
        if by_copy { stored.unwrap() } else { trap_is(stored, Trap::MemoryOutOfBounds) }
    }

    fn the_host_reads_zeroes_in_a_memory_where_pages_are_gone(setup) {
        let (mut world, guest) = World::with_guest(setup);
        let file = ordinary_file(&[7; 2 * GRANULE as usize]);
        let bytes = Way::Shared.bytes(world.runtime(), &file, 0..u64::MAX).unwrap();
        let mut handle = give(&mut world, &guest, bytes);
        file.set_len(GRANULE).unwrap();
        let by_copy = setup.way() == Setup::Copy;
        for _ in 0..3 {
            let mapping = guest.map_frozen(&mut world, handle, 4 * G, 2 * G).unwrap();
            // The guest's `memory.copy` is the host's code.
            guest.run(&mut world, "copy", (8 * G, 4 * G, 2 * G)).unwrap();
            guest.expect(&mut world, 8 * G, G, 7);
            guest.expect(&mut world, 9 * G, G, if by_copy { 7 } else { 0 });
            handle = guest.unmap_frozen(&mut world, mapping, 4 * G, 2 * G).unwrap();
            guest.expect(&mut world, 4 * G, 2 * G, 0);
        }
        if !by_copy {
            // By call there is an error of the system's to tell.
            trapped(guest.call::<_, i64>(&mut world, "read-frozen", (handle, GRANULE, 10u32, 8192u32)));
        }
    }
}
