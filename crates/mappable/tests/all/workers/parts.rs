//! A region in parts: all rows are worked on once, by who owns them, and what a failure loses is what failed.

use std::sync::Mutex;
use std::sync::atomic::Ordering;

use mappable::workers::{AnotherRegion, MapError, Parts, PartsError, Workers};
use mappable::{GRANULE, Mappable, Runtime};
use wasmtime::Trap;

use super::support::{G, Setup, World, all_are, on_every_open_setup};
use super::{trap, workers};

/// What a row is filled with.
fn byte(row: u64) -> u8 {
    (row % 251 + 1) as u8
}

/// A region of so many granules, whose length ends a little before the last one does.
fn region(setup: Setup, granules: u64) -> Mappable {
    let mut region = setup.fixture().runtime.allocate(granules * GRANULE - 123).unwrap();
    region.bytes_mut().unwrap().fill(0xee);
    region
}

on_every_open_setup! {
    fn rows_are_worked_on_once_whether_or_not_they_end_on_granules(setup) {
        let (mut workers, made) = workers(setup, 3);
        // Many to a granule, some on both sides of cuts, and some longer than a granule.
        for (row, most, seams) in [(8192, 4, 0), (10_000, 3, 2), (50_001, 3, 1), (70_001, 2, 1)] {
            let mut whole = region(setup, 12);
            let parts = Parts::of_rows(row).at_most(most);
            for turn in 0..2u8 {
                let (joined, seen) = workers
                    .map_parts(whole, &parts, |worker, part| {
                        let (rows, bytes) = (part.rows.clone(), part.bytes());
                        let region = worker.with_mapped(part.region, |world, guest| {
                            let mut at = 4 * G + bytes.start as u32;
                            for number in rows.clone() {
                                let len = (row as u32).min(4 * G + bytes.end as u32 - at);
                                guest.expect(world, at, len, if turn == 0 { 0xee } else { byte(number) });
                                guest.fill(world, at, byte(number), len);
                                at += len;
                            }
                            assert_eq!(at, 4 * G + bytes.end as u32);
                            Ok(())
                        })?;
                        Ok((region, rows))
                    })
                    .unwrap();
                // In order, and so many of one row alone.
                assert!(seen.windows(2).all(|pair| pair[0].end == pair[1].start), "{seen:?}");
                assert_eq!((seen[0].start, seen.last().unwrap().end), (0, joined.len().div_ceil(row)));
                assert_eq!(seen.len(), (seen.len() - seams) + seams);
                assert_eq!(seen.iter().filter(|rows| rows.end - rows.start == 1).count(), seams, "{seen:?}");
                whole = joined;
            }
            assert_eq!((whole.size(), whole.len()), (12 * GRANULE, 12 * GRANULE - 123));
            for (number, bytes) in whole.bytes().unwrap().chunks(row as usize).enumerate() {
                assert!(all_are(bytes, byte(number as u64)), "row {number}");
            }
        }
        assert_eq!(made.load(Ordering::Relaxed), 3);
    }

    fn a_trapped_part_is_told_and_freed_and_the_others_come_back(setup) {
        let (mut workers, made) = workers(setup, 2);
        let parts = Parts::of_rows(GRANULE).at_most(4);
        let failed = workers
            .map_parts(region(setup, 8), &parts, |worker, part| {
                let rows = part.rows.clone();
                let region = worker.with_mapped(part.region, |world, guest| {
                    guest.fill(world, 4 * G, byte(rows.start), 2 * G - 123);
                    if rows.start == 4 { trap(world, guest) } else { Ok(()) }
                })?;
                Ok((region, ()))
            })
            .unwrap_err();
        let PartsError::Map(MapError::Failed { index: 2, source }) = &failed.reason else { panic!("{failed:?}") };
        assert_eq!(source.downcast_ref::<Trap>(), Some(&Trap::MemoryOutOfBounds));
        assert!(failed.lost.iter().eq([&(4 * GRANULE..6 * GRANULE)]), "{:?}", failed.lost);
        // What is left is in pieces around the hole, and joined but for that.
        let found: Vec<_> = failed.pieces.iter().map(|(at, region)| (at / GRANULE, region.size() / GRANULE, region.len())).collect();
        assert_eq!(found, [(0, 4, 4 * GRANULE), (6, 2, 2 * GRANULE - 123)]);
        for row in (0..8).filter(|row| !(4..6).contains(row)) {
            let is_done = failed.done.iter().any(|rows| rows.contains(&row));
            let (at, piece) = failed.pieces.iter().rfind(|(at, _)| *at <= row * GRANULE).unwrap();
            let bytes = &piece.bytes().unwrap()[(row * GRANULE - at) as usize..];
            let bytes = &bytes[..bytes.len().min(1000)];
            assert!(all_are(bytes, if is_done { byte(row / 2 * 2) } else { 0xee }), "row {row}, {:?}", failed.done);
        }
        // The store is gone, and the worker that failed is made anew.
        assert_eq!(made.load(Ordering::Relaxed), 2);
        let (_, ()) = workers
            .map_parts(region(setup, 8), &parts, |worker, part| Ok((worker.with_mapped(part.region, |_, _| Ok(()))?, ())))
            .map(|(region, _)| (region, ()))
            .unwrap();
        assert!((2..=3).contains(&made.load(Ordering::Relaxed)));
    }

    fn a_trap_on_a_seam_loses_the_granules_around_it(setup) {
        let (mut workers, _) = workers(setup, 2);
        let failed = workers
            .map_parts(region(setup, 8), &Parts::of_rows(10_000), |worker, part| {
                let is_seam = part.rows.end - part.rows.start == 1;
                let region = worker.with_mapped(part.region, |world, guest| {
                    if is_seam { trap(world, guest) } else { Ok(()) }
                })?;
                Ok((region, ()))
            })
            .unwrap_err();
        assert!(matches!(failed.reason, PartsError::Map(MapError::Failed { index: 0, .. })), "{failed:?}");
        assert!(failed.lost.iter().eq([&(3 * GRANULE..5 * GRANULE)]), "{:?}", failed.lost);
        assert_eq!(failed.done, [0..26, 27..53]);
        let sizes: Vec<_> = failed.pieces.iter().map(|(at, piece)| (at / GRANULE, piece.size() / GRANULE)).collect();
        assert_eq!(sizes, [(0, 3), (5, 3)]);
    }

    fn a_worker_returns_the_part_that_it_was_given(setup) {
        let (mut workers, _) = workers(setup, 2);
        let stranger = Mutex::new(Some(region(setup, 4)));
        let failed = workers
            .map_parts(region(setup, 8), &Parts::of_rows(GRANULE), |_, part| match part.offset {
                0 => Ok((part.region, ())),
                _ => Ok((stranger.lock().unwrap().take().unwrap(), ())),
            })
            .unwrap_err();
        let PartsError::Map(MapError::Failed { index: 1, source }) = &failed.reason else { panic!("{failed:?}") };
        assert!(source.is::<AnotherRegion>(), "{source}");
        assert!(failed.lost.iter().eq([&(4 * GRANULE..8 * GRANULE)]), "{:?}", failed.lost);
    }

    fn a_region_in_the_place_of_the_part_is_another(setup) {
        let (mut workers, _) = workers(setup, 2);
        let runtime = &setup.fixture().runtime;
        let failed = workers
            .map_parts(region(setup, 8), &Parts::of_rows(GRANULE), |_, part| match part.offset {
                0 => Ok((part.region, ())),
                _ => {
                    let size = part.region.size();
                    drop(part.region);
                    Ok((runtime.allocate(size)?, ()))
                }
            })
            .unwrap_err();
        let PartsError::Map(MapError::Failed { index: 1, source }) = &failed.reason else { panic!("{failed:?}") };
        assert!(source.is::<AnotherRegion>(), "{source}");
    }

    fn a_guests_own_lengths_don_t_move_the_regions(setup) {
        let (mut workers, _) = workers(setup, 2);
        let (whole, _) = workers
            .map_parts(region(setup, 8), &Parts::of_rows(1), |_, mut part| {
                part.region.set_len(7)?;
                Ok((part.region, ()))
            })
            .unwrap();
        assert_eq!(whole.len(), 8 * GRANULE - 123);
        // One that has no bytes has no parts.
        let mut empty = whole;
        empty.set_len(0).unwrap();
        let (empty, seen) = workers.map_parts(empty, &Parts::of_rows(1), |_, part| Ok((part.region, ()))).unwrap();
        assert_eq!((empty.size(), empty.len(), seen.len()), (8 * GRANULE, 0, 0));
    }

    fn all_read_one_and_each_writes_its_part_of_another(setup) {
        let (mut workers, _) = workers(setup, 2);
        let mut input = setup.fixture().runtime.allocate(4 * GRANULE).unwrap();
        for (granule, bytes) in input.bytes_mut().unwrap().chunks_mut(GRANULE as usize).enumerate() {
            bytes.fill(0x30 + granule as u8);
        }
        let input = input.freeze().unwrap();
        let output = region(setup, 4);
        let (output, _) = workers
            .map_parts(output, &Parts::of_rows(GRANULE), |worker, part| {
                let input = worker.world.store.data_mut().mappable.insert_frozen(input.clone())?;
                let input = worker.guest.take_frozen(&mut worker.world, input)?;
                let input = worker.guest.map_frozen(&mut worker.world, input, 8 * G, 4 * G).unwrap();
                let region = worker.with_mapped(part.region, |world: &mut World, guest| {
                    for (at, row) in part.rows.clone().enumerate() {
                        // What is read of the row after it, and of the first one.
                        let next = (row as u32 + 1) % 4;
                        let sum = guest.load(world, 8 * G + next * G).wrapping_add(guest.load(world, 8 * G));
                        guest.fill(world, 4 * G + at as u32 * G, sum, G);
                    }
                    Ok(())
                })?;
                worker.guest.unmap_frozen(&mut worker.world, input, 8 * G, 4 * G).unwrap();
                Ok((region, ()))
            })
            .unwrap();
        for (row, bytes) in output.bytes().unwrap().chunks(GRANULE as usize).enumerate() {
            assert!(all_are(bytes, 0x60 + (row as u8 + 1) % 4), "row {row}");
        }
    }

    fn slices_are_read_with_the_rows_around_them(setup) {
        let (mut workers, _) = workers(setup, 3);
        let mut whole = region(setup, 8);
        for (row, bytes) in whole.bytes_mut().unwrap().chunks_mut(10_000).enumerate() {
            bytes.fill(byte(row as u64));
        }
        let frozen = whole.freeze().unwrap();
        let seen = workers
            .map_slices(&frozen, &Parts::of_rows(10_000), 2, |worker, slice| {
                assert_eq!(slice.frozen[slice.bytes().start as usize], byte(slice.rows.start));
                let (world, guest) = (&mut worker.world, &worker.guest);
                let size = slice.frozen.size() as u32;
                let handle = world.store.data_mut().mappable.insert_frozen(slice.frozen)?;
                let handle = guest.take_frozen(world, handle)?;
                let mapping = guest.map_frozen(world, handle, 4 * G, size).unwrap();
                for row in slice.shown.clone() {
                    let at = row * 10_000 - slice.offset;
                    let len = 10_000.min(8 * GRANULE - 123 - row * 10_000);
                    guest.expect(world, 4 * G + at as u32, len as u32, byte(row));
                }
                let handle = guest.unmap_frozen(world, mapping, 4 * G, size).unwrap();
                guest.run(world, "drop-frozen", (handle,))?;
                Ok((slice.rows, slice.shown))
            })
            .unwrap();
        assert_eq!(seen, [(0..17, 0..19), (17..35, 15..37), (35..53, 33..53)]);
        assert!(frozen.thaw().is_ok(), "a worker has kept a reference");
    }
}

/// The pages that are written to in a round: all, every third, or a run in the middle.
fn is_written(round: usize, page: usize, pages: usize) -> bool {
    match round % 3 {
        0 => true,
        1 => page.is_multiple_of(3),
        _ => (pages / 3..pages / 2).contains(&page),
    }
}

#[test]
#[cfg(target_os = "linux")]
fn what_workers_allocate_reads_as_zero_whoever_had_it() {
    const PAGE: usize = 4096;
    let runtime = Runtime::builder().idle_regions(64 << 20).build().unwrap();
    let zeroed = |mut region: Mappable| {
        region.set_len(region.size()).unwrap();
        assert!(all_are(region.bytes().unwrap(), 0));
        region
    };
    for count in [1, 3] {
        let workers = Workers::new(count, || Ok(())).unwrap();
        // Less than is shared out, more, and a length that ends within a granule.
        for len in [2 * GRANULE, 9 << 20, (5 << 20) + 7] {
            let mut before = None;
            for round in 0..7 {
                let mut region = zeroed(workers.allocate(&runtime, len).unwrap());
                let address = region.bytes().unwrap().as_ptr();
                // It is the same one again.
                assert_eq!(*before.get_or_insert(address), address, "round {round}");
                // In parts, each of which somebody writes to, as workers have it.
                let (mut low, mut high) = region.split(GRANULE).unwrap();
                for part in [&mut low, &mut high] {
                    let pages = part.size() as usize / PAGE;
                    let written = part.bytes_mut().unwrap().chunks_mut(PAGE).enumerate();
                    written.filter(|(page, _)| is_written(round, *page, pages)).for_each(|(_, bytes)| bytes.fill(0xd1));
                }
                region = low.join(high).unwrap();
                drop(region);
            }
            // Parts that end apart are others' then.
            let (low, high) = workers.allocate(&runtime, len).unwrap().split(GRANULE).unwrap();
            let sizes = [low.size(), high.size()];
            for mut part in [low, high] {
                part.bytes_mut().unwrap().fill(0xd2);
            }
            for size in sizes {
                zeroed(workers.allocate(&runtime, size).unwrap());
                zeroed(runtime.allocate(size).unwrap());
            }
        }
    }
}
