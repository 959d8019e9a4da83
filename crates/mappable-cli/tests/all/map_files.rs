//! `--map-files`: programs that map files, by an index of the crate `fst` that is mapped and not read.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};

use super::support::{Done, Place, guest};

/// Runs the guest that looks words up and adds bytes up.
fn lookup(place: &Place, options: &[&str], arguments: &[&str]) -> Done {
    let app = guest("lookup.wasm");
    place.mappable([&["run"], options, &[app.to_str().unwrap()], arguments].concat())
}

const ONLY_READ: [&str; 2] = ["--dir-ro", ".::/data"];

#[test]
fn an_index_is_looked_up_in_a_mapped_file() {
    let place = Place::new();
    let words = (0..10_000_u64).map(|number| (format!("word{number:05}"), number * 7));
    place.file("words.fst", fst::Map::from_iter(words).unwrap().as_fst().as_bytes());
    let look = |options: &[&str]| {
        let options = [&ONLY_READ, options].concat();
        let done = lookup(&place, &options, &["get", "/data/words.fst", "word00000", "word09999", "nothing"]);
        assert_eq!(done.succeeds().stdout(), "word00000 0\nword09999 69993\nnothing none\n", "{options:?}");
    };
    look(&[]);
    for how in ["snapshot", "shared"] {
        for mode in ["auto", "remap", "copy"] {
            look(&["--map-files", how, "--mapping-mode", mode]);
        }
        for tier in ["baseline", "ledger"] {
            look(&["--map-files", how, "--tier", tier]);
        }
    }
}

#[test]
fn any_part_of_a_file_is_mapped() {
    let place = Place::new();
    let bytes: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
    place.file("bytes", &bytes);
    place.file("empty", "");
    for how in ["snapshot", "shared"] {
        for (offset, len) in [(0, 200_000), (1, 5), (65_535, 65_538), (199_999, 100), (200_000, 1), (1 << 62, 1)] {
            let options = [&ONLY_READ[..], &["--map-files", how]].concat();
            let done = lookup(&place, &options, &["sum", "/data/bytes", &offset.to_string(), &len.to_string()]);
            let part = &bytes[bytes.len().min(offset)..bytes.len().min(offset + len)];
            let sum: u64 = part.iter().map(|&byte| u64::from(byte)).sum();
            assert_eq!(done.succeeds().stdout(), format!("{} {sum}\n", part.len()), "{how}, {offset}, {len}");
        }
    }
    assert_eq!(lookup(&place, &ONLY_READ, &["sum", "/data/empty"]).succeeds().stdout(), "0 0\n");
}

/// By the crate `wasip3`: paths, an open descriptor, and a private copy.
#[test]
fn a_program_of_wasi_0_3_maps_files() {
    let place = Place::new();
    let bytes: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
    place.file("bytes", &bytes);
    place.file("empty", "");
    place.command("mkfifo", ["pipe"]).succeeds();
    let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    let inverted: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
    let app = guest("lookup-p3.wasm");
    for settings in [&["--map-files", "snapshot"][..], &["--map-files", "shared"], &["--mapping-mode", "copy"]] {
        let look = |arguments: &[&str]| {
            place.mappable([&["run"], &ONLY_READ[..], settings, &[app.to_str().unwrap()], arguments].concat())
        };
        for (offset, len) in [(0, 200_000), (65_535, 65_538), (199_999, 100), (200_000, 1), (1 << 62, 1)] {
            let part = &bytes[bytes.len().min(offset)..bytes.len().min(offset + len)];
            let done = look(&["sum", "/data/bytes", &offset.to_string(), &len.to_string()]);
            assert_eq!(done.succeeds().stdout(), format!("{} {}\n", part.len(), sum(part)), "{settings:?}, {offset}");
        }
        assert_eq!(look(&["sum", "/data/empty"]).succeeds().stdout(), "0 0\n", "{settings:?}");
        let done = look(&["open", "bytes"]);
        assert_eq!(done.succeeds().stdout(), format!("200000 {}\n", sum(&bytes)), "{settings:?}");
        let done = look(&["invert", "/data/bytes"]);
        assert_eq!(done.succeeds().stdout(), format!("{} {}\n", sum(&inverted), sum(&bytes)), "{settings:?}");
        for (path, says) in [
            ("/other/bytes", "no folder"),
            ("/data/none", "No such file"),
            ("/data/../bytes", "not permitted"),
            ("/data/pipe", "No such device"),
        ] {
            let done = look(&["sum", path]);
            assert!(done.code() == 1 && done.stderr().contains(says), "{settings:?}, {path}: {}", done.stderr());
        }
    }
    let text = place.mappable(["inspect", app.to_str().unwrap()]).succeeds().stdout();
    assert!(text.contains("\nMaps files, by `mappable:files/p3@0.1.0`."), "{text}");
}

/// WASI's own way of opening it would wait for somebody who writes.
#[test]
fn a_pipe_is_an_error_at_once() {
    let place = Place::new();
    place.command("mkfifo", ["pipe"]).succeeds();
    for how in ["snapshot", "shared", "sealed"] {
        let options = [&ONLY_READ[..], &["--map-files", how, "--timeout", "60"]].concat();
        let done = lookup(&place, &options, &["sum", "/data/pipe"]);
        assert!(done.code() == 1 && done.stderr().contains("No such device"), "{how}: {}", done.stderr());
    }
}

#[test]
fn a_private_copy_of_a_file_is_written_to_and_the_file_stays() {
    let place = Place::new();
    let bytes: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
    place.file("bytes", &bytes);
    let sum: u64 = bytes.iter().map(|&byte| u64::from(byte)).sum();
    let inverted: u64 = bytes.iter().map(|&byte| u64::from(!byte)).sum();
    for how in ["snapshot", "shared"] {
        for mode in ["auto", "remap", "copy"] {
            let options = [&ONLY_READ[..], &["--map-files", how, "--mapping-mode", mode]].concat();
            let done = lookup(&place, &options, &["invert", "/data/bytes"]);
            assert_eq!(done.succeeds().stdout(), format!("{inverted} {sum}\n"), "{how}, {mode}");
        }
    }
    // Four granules of the file, as many written, and as many of the file again.
    let done = lookup(&place, &[&ONLY_READ[..], &["--max-regions", "448KiB"]].concat(), &["invert", "/data/bytes"]);
    assert_ne!(done.code(), 0);
    assert_eq!(std::fs::read(place.path("bytes")).unwrap(), bytes);
}

#[test]
fn paths_are_of_the_folders_that_were_given() {
    let place = Place::new();
    std::fs::create_dir(place.path("inner")).unwrap();
    place.file("inner/file", [1, 2]);
    for (given, path) in [
        (".::/", "/inner/file"),
        (".::/data", "/data/inner/file"),
        ("inner", "inner/file"),
        (".", "inner/file"),
        ("./inner::in", "./in/file"),
    ] {
        let done = lookup(&place, &["--dir-ro", given], &["sum", path]);
        assert_eq!(done.succeeds().stdout(), "2 3\n", "{given}, {path}");
    }
    // The innermost of two.
    let done = lookup(&place, &["--dir-ro", ".::/a", "--dir-ro", "inner::/a/b"], &["sum", "/a/b/file"]);
    assert_eq!(done.succeeds().stdout(), "2 3\n");
    for (path, says) in [
        ("/other/file", "no folder"),
        ("/database/inner/file", "no folder"),
        ("/data/none", "No such file"),
        ("/data/inner", "directory"),
    ] {
        let done = lookup(&place, &ONLY_READ, &["sum", path]);
        assert_eq!(done.code(), 1, "{path}");
        assert!(done.stderr().contains(says), "{path}: {}", done.stderr());
    }
}

#[test]
fn quotas_hold_for_mapped_files() {
    let place = Place::new();
    place.file("bytes", vec![1; 100_000]);
    for how in ["snapshot", "shared"] {
        let options = |more: &[&'static str]| [&ONLY_READ[..], &["--map-files", how], more].concat();
        // 64 mappings at once, and two granules each.
        let done = lookup(&place, &options(&[]), &["twice", "/data/bytes", "10000"]);
        assert_eq!(done.succeeds().stdout(), "64 6400000\n", "{how}");
        let done = lookup(&place, &options(&["--max-regions", "640KiB"]), &["twice", "/data/bytes", "10000"]);
        assert_eq!(done.succeeds().stdout(), "5 500000\n", "{how}");
        let done = lookup(&place, &options(&["--max-regions", "64KiB"]), &["sum", "/data/bytes"]);
        assert!(done.code() == 1 && done.stderr().contains("was not mapped"), "{how}: {}", done.stderr());
    }
}

/// The program's memory has 4 GiB at most. The host has nothing against it.
#[test]
fn a_file_that_the_programs_memory_has_no_room_for_is_an_error_of_the_programs() {
    let place = Place::new();
    let size: u64 = 5 << 30;
    File::create(place.path("sparse")).unwrap().set_len(size).unwrap();
    let says = format!("the component's memory has no room to map a region of {size} bytes");
    for (how, act) in ["snapshot", "shared"].into_iter().flat_map(|how| [(how, "sum"), (how, "invert")]) {
        let options = [&ONLY_READ[..], &["--map-files", how, "--max-regions", "12GiB"]].concat();
        let done = lookup(&place, &options, &[act, "/data/sparse"]);
        assert!(done.code() == 1 && done.stderr().contains(&says), "{how}, {act}: {}", done.stderr());
        // A part of it has room.
        let done = lookup(&place, &options, &["sum", "/data/sparse", &(size - 5).to_string()]);
        assert_eq!(done.succeeds().stdout(), "5 0\n", "{how}");
    }
    // What it has mapped before stays.
    place.file("bytes", vec![1; 1 << 20]);
    for how in ["snapshot", "shared"] {
        let options = [&ONLY_READ[..], &["--map-files", how, "--max-memory", "16MiB"]].concat();
        let done = lookup(&place, &options, &["twice", "/data/bytes", "64"]);
        let said = done.succeeds().stdout();
        let numbers: Vec<u64> = said.split_whitespace().map(|word| word.parse().unwrap()).collect();
        assert!((1..16).contains(&numbers[0]) && numbers[1] == numbers[0] << 20, "{how}: {said}");
    }
}

#[test]
fn only_files_that_nobody_can_change_are_sealed() {
    let place = Place::new();
    place.file("bytes", [1; 10]);
    let options = [&ONLY_READ[..], &["--map-files", "sealed"]].concat();
    let done = lookup(&place, &options, &["sum", "/data/bytes"]);
    assert_eq!(done.code(), 1);
    assert!(done.stderr().contains("not permitted"), "{}", done.stderr());
    // An administrator can make it one, on a file system that keeps to the flag.
    let sealed = place.command("chattr", ["+i", "bytes"]);
    if sealed.0.status.success() {
        let done = lookup(&place, &options, &["sum", "/data/bytes"]);
        place.command("chattr", ["-i", "bytes"]).succeeds();
        let is_ext = place.command("stat", ["-f", "-c", "%T", "bytes"]).succeeds().stdout().starts_with("ext");
        if is_ext {
            assert_eq!(done.succeeds().stdout(), "10 10\n");
        } else {
            assert!(done.stderr().contains("not permitted"), "{}", done.stderr());
        }
    }
}

#[test]
fn what_is_shared_is_not_written_by_another_folder() {
    let place = Place::new();
    fs::create_dir(place.path("within")).unwrap();
    place.file("bytes", [1; 10]);
    for [read, written] in [[".", "within"], ["within", "."], [".", "."]] {
        let folders = ["--dir-ro".into(), format!("{read}::/data"), "--dir".into(), format!("{written}::/written")];
        let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
        let shared = [&folders[..], &["--map-files", "shared"]].concat();
        let done = lookup(&place, &shared, &["sum", "/data/bytes"]);
        assert!(done.code() == 2 && done.stderr().contains("would write to files of"), "{}", done.stderr());
        if read == "." {
            lookup(&place, &folders, &["sum", "/data/bytes"]).succeeds();
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_is_made_shorter_is_a_trap_where_it_is_shared() {
    for (how, option, trapped) in
        [("snapshot", "--dir-ro", false), ("shared", "--dir-ro", true), ("shared", "--dir", false)]
    {
        let place = Place::new();
        place.file("bytes", vec![1; 100_000]);
        let app = guest("lookup.wasm");
        let arguments = [app.to_str().unwrap(), "wait", "/data/bytes"];
        let mut child = place.begin([&["run", option, ".::/data", "--map-files", how][..], &arguments].concat());
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "100000\n", "{how}");
        File::options().write(true).open(place.path("bytes")).unwrap().set_len(4_096).unwrap();
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        line.clear();
        output.read_line(&mut line).unwrap();
        let done = Done(child.wait_with_output().unwrap());
        if trapped {
            done.fails(134, &["lookup.wasm", "out of bounds"]);
        } else {
            assert_eq!((done.code(), line.as_str()), (0, "100000\n"), "{how} {option}");
        }
    }
}

#[test]
fn inspect_says_that_a_program_maps_files() {
    let place = Place::new();
    let app = guest("lookup.wasm");
    let text = place.mappable(["inspect", app.to_str().unwrap()]).succeeds().stdout();
    assert!(text.contains("\nMaps files, by `mappable:files/p2@0.1.0`."), "{text}");
    let facts = place.mappable(["inspect", "--json", app.to_str().unwrap()]).succeeds().json();
    assert_eq!(facts["files"][0], "mappable:files/p2@0.1.0");
    let facts = place.mappable(["inspect", "--json", guest("hello-map.wasm").to_str().unwrap()]).succeeds().json();
    assert!(facts["files"].as_array().unwrap().is_empty(), "{facts}");
    let help = place.mappable(["run", "--help"]).succeeds().stdout();
    assert!(help.contains("--map-files <HOW>") && help.contains("chattr +i"), "{help}");
}
