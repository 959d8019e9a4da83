//! Regions that are exported for another process and imported there: what arrives, what is refused, and what a peer that
//! keeps its descriptor can do. Two runtimes stand for the two processes; `killed.rs` has real ones.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::ptr;
use std::sync::{Arc, mpsc};
use std::thread;

use mappable::{Exported, FileBytes, Frozen, GRANULE, ImportError, Mappable, Runtime, Trust};
use rustix::fs::{
    FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags, fallocate, fcntl_add_seals, ftruncate, memfd_create, open,
};
use rustix::mm::{MapFlags, ProtFlags, mmap};

use crate::support::*;

/// Where regions are pages, and where they are blocks.
const BACKINGS: [Setup; 2] = [Setup::Swap, Setup::Copy];

// SAFETY: the two ends are in this process, and keep to it where the test does not say otherwise.
const PEER: Trust = unsafe { Trust::peer() };

const NO_LIMIT: u64 = u64::MAX;

fn content(len: u64) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8 + 1).collect()
}

/// A region in the file that all share, or in one of its own.
fn region(runtime: &Runtime, is_own: bool, bytes: &[u8]) -> Mappable {
    if !is_own {
        return runtime.allocate_from(bytes).unwrap();
    }
    let mut region = runtime.allocate_exportable(bytes.len() as u64).unwrap();
    region.bytes_mut().unwrap().copy_from_slice(bytes);
    region
}

/// All ways to export: setups of both ends, whether the region has a file of its own, and what is trusted.
fn ways() -> impl Iterator<Item = (Setup, Setup, bool, Trust)> {
    let setups = BACKINGS.into_iter().flat_map(|here| BACKINGS.map(|there| (here, there)));
    setups.flat_map(|(here, there)| {
        [false, true].into_iter().flat_map(move |own| [Trust::SEALS, PEER].map(|trust| (here, there, own, trust)))
    })
}

#[test]
fn what_is_exported_arrives() {
    let bytes = content(3 * GRANULE - 9);
    for (here, there, own, trust) in ways() {
        let way = (here, there, own, trust);
        let (from, to) = (here.runtime(), there.runtime());
        let exported = region(&from, own, &bytes).export(trust).unwrap();
        assert_eq!((exported.size, exported.len), (3 * GRANULE, 3 * GRANULE - 9), "{way:?}");
        assert_eq!(exported.was_copied, !own || here == Setup::Copy, "{way:?}");
        let mut region = Mappable::import(&to, exported, trust, NO_LIMIT).unwrap();
        assert!(region.bytes().unwrap() == bytes, "{way:?}");
        // It is the importer's to write, to cut and to freeze.
        region.bytes_mut().unwrap()[0] = 77;
        let (low, high) = region.split(GRANULE).unwrap();
        assert!(low.bytes().unwrap()[0] == 77 && high.bytes().unwrap() == &bytes[GRANULE as usize..], "{way:?}");
        let whole = low.join(high).unwrap().freeze().unwrap();
        assert!(whole[1..] == bytes[1..], "{way:?}");

        let frozen = super::exported::region(&from, own, &bytes).freeze().unwrap();
        for _ in 0..2 {
            let exported = frozen.export(trust).unwrap();
            let is_free = own && trust == PEER && here != Setup::Copy;
            assert_eq!(exported.was_copied, !is_free, "{way:?}");
            let imported = Frozen::import(&to, exported, trust, NO_LIMIT).unwrap();
            assert!(imported[..] == bytes[..] && imported.size() == 3 * GRANULE, "{way:?}");
            assert!(imported.copy().unwrap().bytes().unwrap() == bytes, "{way:?}");
        }
        let sealed = frozen.seal().unwrap();
        assert!(sealed[..] == bytes[..], "{way:?}");
        let exported = sealed.export(trust).unwrap();
        assert_eq!(exported.was_copied, here == Setup::Copy, "what is sealed is not copied again: {way:?}");
        let imported = Frozen::import(&to, exported, Trust::SEALS, NO_LIMIT);
        assert_eq!(imported.is_ok(), trust == Trust::SEALS || here != Setup::Copy, "{way:?}: {imported:?}");
    }
}

#[test]
fn an_exported_descriptor_has_those_bytes_and_no_others() {
    for (setup, trust) in BACKINGS.into_iter().flat_map(|setup| [Trust::SEALS, PEER].map(|trust| (setup, trust))) {
        let runtime = setup.runtime();
        let neighbours = [(); 2].map(|()| runtime.allocate_from(&[0xee; 4 * GRANULE as usize]).unwrap());
        let check = |exported: Exported, byte: u8| {
            let file = File::from(exported.descriptor);
            let mut all = vec![];
            assert_eq!(file.metadata().unwrap().len(), exported.size, "{setup:?}, {trust:?}");
            io::copy(&mut &file, &mut all).unwrap();
            assert!(all_are(&all, byte) && all.len() as u64 == exported.size, "{setup:?}, {trust:?}");
        };
        for own in [false, true] {
            // A part of a region: the rest is in the same file, also of one that had it alone.
            let mut whole = region(&runtime, own, &[0xee; 3 * GRANULE as usize]);
            whole.bytes_mut().unwrap()[GRANULE as usize..2 * GRANULE as usize].fill(5);
            let (low, rest) = whole.split(GRANULE).unwrap();
            let (middle, high) = rest.split(GRANULE).unwrap();
            check(middle.export(trust).unwrap(), 5);
            assert!(all_are(low.bytes().unwrap(), 0xee) && all_are(high.bytes().unwrap(), 0xee));
            // A slice of frozen bytes, sealed or not.
            let mut whole = region(&runtime, own, &[0xee; 3 * GRANULE as usize]);
            whole.bytes_mut().unwrap()[GRANULE as usize..2 * GRANULE as usize].fill(6);
            let frozen = whole.freeze().unwrap();
            check(frozen.slice(GRANULE..2 * GRANULE).unwrap().export(trust).unwrap(), 6);
            let sealed = frozen.seal().unwrap().slice(GRANULE..2 * GRANULE).unwrap();
            check(sealed.export(trust).unwrap(), 6);
            check(sealed.seal().unwrap().export(trust).unwrap(), 6);
        }
        assert!(neighbours.iter().all(|region| all_are(region.bytes().unwrap(), 0xee)));
    }
}

/// Whether a descriptor's bytes can be changed in any of the ways that there are.
fn can_be_changed(descriptor: &OwnedFd) -> bool {
    let file = File::from(descriptor.try_clone().unwrap());
    // As the peer may open it: by its number, for writing.
    let again =
        open(format!("/proc/self/fd/{}", descriptor.as_raw_fd()), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    let again = again.map_or_else(|_| file.try_clone().unwrap(), File::from);
    [file, again].iter().any(|file| {
        let rights = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the addresses; the mapping is left.
        let mapped = unsafe { mmap(ptr::null_mut(), GRANULE as usize, rights, MapFlags::SHARED, file, 0) };
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        mapped.is_ok()
            || file.write_at(&[9], 0).is_ok()
            || fallocate(file, flags, 0, 4096).is_ok()
            || ftruncate(file, 0).is_ok()
            || ftruncate(file, 1 << 30).is_ok()
    })
}

#[test]
fn nobody_changes_what_is_sealed_whatever_descriptor_they_keep() {
    for own in [false, true] {
        let (here, there) = (Setup::Swap.runtime(), Setup::Swap.runtime());
        let frozen = region(&here, own, &[3; 2 * GRANULE as usize]).freeze().unwrap();
        let exported = frozen.export(Trust::SEALS).unwrap();
        let kept = exported.descriptor.try_clone().unwrap();
        let imported = Frozen::import(&there, exported, Trust::SEALS, NO_LIMIT).unwrap();
        assert!(!can_be_changed(&kept));
        assert!(all_are(&imported, 3));
        // Where it lies in the peer's word alone, it can be: the canary.
        let exported = frozen.export(PEER).unwrap();
        assert!(can_be_changed(&exported.descriptor));
    }
}

#[test]
fn a_region_of_a_peer_that_is_not_trusted_is_its_own_whatever_is_kept() {
    let there = Setup::Swap.runtime();
    for own in [false, true] {
        // Unsealed, as a hostile peer would send it.
        let exported = region(&Setup::Swap.runtime(), own, &[3; GRANULE as usize]).export(PEER).unwrap();
        let kept = File::from(exported.descriptor.try_clone().unwrap());
        let region = Mappable::import(&there, exported, Trust::SEALS, NO_LIMIT).unwrap();
        kept.write_at(&[9; 100], 0).unwrap();
        assert!(all_are(region.bytes().unwrap(), 3));
        // And what is written here is not to be read there.
        let exported = Exported::new(kept.try_clone().unwrap().into(), 0, GRANULE, GRANULE);
        let mut trusting = Mappable::import(&there, exported, PEER, NO_LIMIT).unwrap();
        trusting.bytes_mut().unwrap().fill(4);
        let mut seen = [0];
        kept.read_at(&mut seen, 0).unwrap();
        assert_eq!(seen, [4], "the canary: whom one trusts, one shares with");
    }
}

/// A file in memory with these seals.
fn memory_file(len: u64, seals: SealFlags) -> OwnedFd {
    let file = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&file, len).unwrap();
    fcntl_add_seals(&file, seals).unwrap();
    file
}

const SIZE: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);
const ALL: SealFlags = SIZE.union(SealFlags::WRITE);

/// What both imports say to a descriptor, with these numbers.
fn refused(descriptor: impl AsFd, offset: u64, size: u64, len: u64, limit: u64, trust: Trust) -> [ImportError; 2] {
    let again = || descriptor.as_fd().try_clone_to_owned().unwrap();
    let runtime = Setup::Swap.runtime();
    let exported = || Exported::new(again(), offset, size, len);
    [
        Mappable::import(&runtime, exported(), trust, limit).unwrap_err(),
        Frozen::import(&runtime, exported(), trust, limit).unwrap_err(),
    ]
}

#[test]
fn descriptors_of_the_wrong_kind_are_refused() {
    let path = |path: &str, flags| open(path, flags | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let (pipe, _other) = io::pipe().unwrap();
    let (socket, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    let memory = memory_file(GRANULE, ALL);
    let by_path = path(&format!("/proc/self/fd/{}", memory.as_raw_fd()), OFlags::PATH);
    let disk = tempfile::tempfile().unwrap();
    disk.set_len(GRANULE).unwrap();
    let kinds: [(&str, OwnedFd); 7] = [
        ("a pipe", pipe.into()),
        ("a socket", socket.into()),
        ("/dev/zero", path("/dev/zero", OFlags::RDWR)),
        ("a directory", path("/", OFlags::RDONLY)),
        ("a mere path", by_path),
        ("a file on a disk", disk.into()),
        ("a file that the kernel makes up", path("/proc/self/maps", OFlags::RDONLY)),
    ];
    for (kind, descriptor) in kinds {
        for trust in [Trust::SEALS, PEER] {
            for error in refused(&descriptor, 0, GRANULE, 1, NO_LIMIT, trust) {
                // A file of tmpfs has seals, of which it can be given none.
                let is_right = matches!(error, ImportError::NoMemoryFile | ImportError::SizeNotSealed);
                assert!(is_right, "{kind}, {trust:?}: {error}");
            }
        }
    }
}

#[test]
fn files_of_huge_pages_are_refused() {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::HUGETLB;
    let file = memfd_create("test", flags).unwrap();
    ftruncate(&file, 2 << 20).unwrap();
    fcntl_add_seals(&file, ALL).unwrap();
    let errors = refused(&file, 0, GRANULE, 1, NO_LIMIT, Trust::SEALS);
    assert!(errors.iter().all(|error| matches!(error, ImportError::HugePages)), "{errors:?}");
}

#[test]
fn what_is_not_sealed_as_it_should_be_is_refused() {
    for trust in [Trust::SEALS, PEER] {
        for seals in [SealFlags::empty(), SealFlags::SHRINK, SealFlags::GROW, SealFlags::WRITE] {
            let errors = refused(memory_file(GRANULE, seals), 0, GRANULE, 1, NO_LIMIT, trust);
            assert!(errors.iter().all(|error| matches!(error, ImportError::SizeNotSealed)), "{errors:?}");
        }
    }
    let runtime = Setup::Swap.runtime();
    let exported = |file: OwnedFd| Exported::new(file, 0, GRANULE, GRANULE);
    let error = Frozen::import(&runtime, exported(memory_file(GRANULE, SIZE)), Trust::SEALS, NO_LIMIT).unwrap_err();
    assert!(matches!(error, ImportError::NotSealed), "{error}");
    // To be used where it lies, a region has to be writable.
    let only_read = |file: OwnedFd| {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap()
    };
    for file in [memory_file(GRANULE, ALL), only_read(memory_file(GRANULE, SIZE))] {
        let error = Mappable::import(&runtime, exported(file), PEER, NO_LIMIT).unwrap_err();
        assert!(matches!(error, ImportError::NotWritable), "{error}");
    }
}

/// What the file of a descriptor is called.
fn name(exported: &Exported) -> String {
    let link = format!("/proc/self/fd/{}", exported.descriptor.as_raw_fd());
    std::fs::read_link(link).unwrap().display().to_string()
}

#[test]
fn a_descriptor_of_a_file_on_a_disk_is_not_given_away() {
    let here = Setup::Swap.runtime();
    let path = std::env::temp_dir().join(format!("mappable-exported-{}", std::process::id()));
    std::fs::write(&path, content(2 * GRANULE)).unwrap();
    let file = Arc::new(File::options().read(true).write(true).open(&path).unwrap());
    // SAFETY: nobody else knows of the file.
    let bytes = unsafe { FileBytes::shared(&here, &file, 0..u64::MAX, u64::MAX) }.unwrap();
    let frozen = bytes.show().unwrap();
    let exported = frozen.export(PEER).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(exported.was_copied && name(&exported).starts_with("/memfd:"), "{}", name(&exported));
    let there = Frozen::import(&Setup::Swap.runtime(), exported, PEER, u64::MAX).unwrap();
    assert_eq!(there[..], content(2 * GRANULE));
}

#[test]
fn holes_of_what_is_imported_are_not_copied() {
    const LEN: u64 = 1 << 36;
    let file = File::from(memory_file(LEN, SIZE));
    let page = rustix::param::page_size() as u64;
    for at in [0, GRANULE + page, LEN - 1] {
        file.write_at(&[7], at).unwrap();
    }
    // Granule by granule this would take minutes.
    let exported = Exported::new(file.into(), GRANULE, LEN - GRANULE, LEN - GRANULE);
    let region = Mappable::import(&Setup::Swap.runtime(), exported, Trust::SEALS, LEN).unwrap();
    let bytes = region.bytes().unwrap();
    assert_eq!((bytes.len() as u64, bytes[0], bytes[page as usize], bytes[bytes.len() - 1]), (LEN - GRANULE, 0, 7, 7));
}

#[test]
fn a_file_that_gets_shorter_while_it_is_looked_at_is_refused() {
    let here = Setup::Swap.runtime();
    let mut files: Vec<_> = (0..300).map(|_| Arc::new(memory_file(64 * GRANULE, SealFlags::empty()))).collect();
    let (give, given) = mpsc::channel::<Arc<OwnedFd>>();
    thread::scope(|scope| {
        scope.spawn(move || {
            for file in given {
                // Not at all if it was refused before.
                let _ = ftruncate(&*file, GRANULE);
                let _ = fcntl_add_seals(&*file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE);
            }
        });
        for (wait, file) in files.drain(..).enumerate() {
            let copy = file.try_clone().unwrap();
            give.send(file).unwrap();
            (0..wait * 20).for_each(|_| std::hint::spin_loop());
            let exported = Exported::new(copy, 0, 64 * GRANULE, 64 * GRANULE);
            let error = Frozen::import(&here, exported, Trust::SEALS, u64::MAX).unwrap_err();
            assert!(
                matches!(error, ImportError::SizeNotSealed | ImportError::NotSealed | ImportError::OutsideFile { .. }),
                "{error}"
            );
        }
        drop(give);
    });
}

#[test]
fn lies_about_offset_and_length_are_refused() {
    let file = memory_file(3 * GRANULE + 100, ALL);
    let huge = u64::MAX / GRANULE * GRANULE;
    for trust in [Trust::SEALS, PEER] {
        let say = |offset, size, len, limit| refused(&file, offset, size, len, limit, trust);
        for (offset, size) in [(0, 0), (0, 1), (1, GRANULE), (4096, GRANULE), (GRANULE, GRANULE + 4096)] {
            let errors = say(offset, size, 0, NO_LIMIT);
            assert!(errors.iter().all(|error| matches!(error, ImportError::Misaligned { .. })), "{errors:?}");
        }
        let outside = [(0, 4 * GRANULE), (3 * GRANULE, GRANULE), (huge, GRANULE), (huge, huge), (GRANULE, huge)];
        for (offset, size) in outside {
            let errors = say(offset, size, 1, NO_LIMIT);
            assert!(errors.iter().all(|error| matches!(error, ImportError::OutsideFile { .. })), "{errors:?}");
        }
        for len in [GRANULE + 1, u64::MAX] {
            let errors = say(0, GRANULE, len, NO_LIMIT);
            assert!(errors.iter().all(|error| matches!(error, ImportError::Length { .. })), "{errors:?}");
        }
        let errors = say(0, 2 * GRANULE, 1, 2 * GRANULE - 1);
        assert!(errors.iter().all(|error| matches!(error, ImportError::OverLimit { .. })), "{errors:?}");
    }
    // What is right about it is taken.
    let exported = Exported::new(file, GRANULE, 2 * GRANULE, 7);
    let frozen = Frozen::import(&Setup::Swap.runtime(), exported, Trust::SEALS, NO_LIMIT).unwrap();
    assert_eq!((frozen.size(), frozen.len()), (2 * GRANULE, 7));
}

#[test]
fn what_is_exported_and_imported_closes_its_descriptors_and_frees_its_memory() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    // Others may open some meanwhile, but not so many.
    let before = descriptors();
    let (here, there) = (Setup::Swap.runtime(), Setup::Swap.runtime());
    for (own, trust) in [(false, Trust::SEALS), (true, Trust::SEALS), (false, PEER), (true, PEER)] {
        for _ in 0..150 {
            let exported = region(&here, own, &[1; 100]).export(trust).unwrap();
            drop(Mappable::import(&there, exported, trust, NO_LIMIT).unwrap());
            let sealed = region(&here, own, &[1; 100]).freeze().unwrap().seal().unwrap();
            drop(Frozen::import(&there, sealed.export(trust).unwrap(), trust, NO_LIMIT).unwrap());
            refused(memory_file(GRANULE, SIZE), 0, GRANULE, GRANULE + 1, NO_LIMIT, trust);
        }
    }
    assert!(Path::new("/proc/self/fd").exists() && descriptors() < before + 300, "{before}, {}", descriptors());
}

on_every_setup! {
    fn a_component_uses_an_imported_region_as_any_other(setup) {
        let mut world = World::new(setup);
        let (a, b) = world.pair();
        for trust in [Trust::SEALS, PEER] {
            let mut region = region(world.runtime(), true, &[7; 2 * GRANULE as usize]);
            let mut was_seen = false;
            // Goes round: each time through another descriptor.
            for hop in 0..4u32 {
                let exported = region.export(trust).unwrap();
                let imported = Mappable::import(world.runtime(), exported, trust, NO_LIMIT).unwrap();
                let (guest, at) = if hop % 2 == 0 { (&a, 4 * G) } else { (&b, 6 * G) };
                let handle = world.insert(imported);
                let handle = guest.take(&mut world, handle).unwrap();
                let mapping = guest.map(&mut world, handle, at, 2 * G).unwrap();
                guest.expect(&mut world, at, G, 7 + hop as u8);
                guest.fill(&mut world, at, 8 + hop as u8, 2 * G);
                let handle = guest.unmap(&mut world, mapping, at, 2 * G).unwrap();
                guest.expect(&mut world, at, 2 * G, 0);
                let handle = guest.give(&mut world, handle).unwrap();
                region = world.remove(handle);
                was_seen |= region.bytes().unwrap()[0] == 8 + hop as u8;
            }
            assert!(was_seen && all_are(region.bytes().unwrap(), 11));
        }
    }

    fn what_a_component_has_mapped_for_writing_is_sealed_by_a_copy(setup) {
        let mut world = World::new(setup);
        let guest = world.guest();
        let handle = world.insert(region(world.runtime(), true, &[7; 2 * GRANULE as usize]));
        let handle = guest.take(&mut world, handle).unwrap();
        let mapping = guest.map(&mut world, handle, 4 * G, 2 * G).unwrap();
        guest.fill(&mut world, 4 * G, 8, 2 * G);
        let handle = guest.unmap(&mut world, mapping, 4 * G, 2 * G).unwrap();
        let handle = guest.give(&mut world, handle).unwrap();
        let sealed = world.remove(handle).freeze().unwrap().seal().unwrap();
        let exported = sealed.export(Trust::SEALS).unwrap();
        assert!(setup.way() == Setup::Copy || !exported.was_copied);
        let imported = Frozen::import(world.runtime(), exported, Trust::SEALS, NO_LIMIT).unwrap();
        assert!(all_are(&imported, 8));
        // A component reads it, and can't write to it.
        let handle = world.store.data_mut().mappable.insert_frozen(imported.clone()).unwrap();
        let handle = guest.take_frozen(&mut world, handle).unwrap();
        guest.map_frozen(&mut world, handle, 4 * G, 2 * G).unwrap();
        guest.expect(&mut world, 4 * G, 2 * G, 8);
        let stored = guest.run(&mut world, "store8", (4 * G, 9u32));
        assert_eq!(stored.is_err(), setup.frozen_stores_trap());
        assert!(all_are(&imported, 8) && all_are(&sealed, 8));
    }
}
