//! `mappable pipe` on photographs made elsewhere, against what other programs' decoders and plain arithmetic say.

use std::fs;
use std::path::Path;

use super::support::{Done, Picture, Place, decode_png, guest, photo};

fn pipe(place: &Place, input: &Path, output: &str, stages: &[&str]) -> Done {
    let mut args = vec!["pipe", "-i", input.to_str().unwrap(), "-o", output];
    args.extend(stages);
    place.mappable(args)
}

fn written(place: &Place, name: &str) -> Picture {
    decode_png(&fs::read(place.path(name)).unwrap())
}

/// Red, green and blue of each pixel.
fn colors(picture: &Picture) -> Vec<[u8; 3]> {
    let pixels = picture.bytes.chunks(picture.channels);
    match picture.channels {
        1 => pixels.map(|pixel| [pixel[0]; 3]).collect(),
        _ => pixels.map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect(),
    }
}

/// Rec. 601.
fn luminance([red, green, blue]: [u8; 3]) -> f64 {
    0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue)
}

fn differences<'a>(ours: &'a [u8], theirs: impl Iterator<Item = f64> + 'a) -> impl Iterator<Item = f64> + 'a {
    ours.iter().zip(theirs).map(|(&ours, theirs)| (f64::from(ours) - theirs).abs())
}

#[test]
fn a_png_photograph_becomes_gray() {
    let place = Place::new();
    pipe(&place, &photo("chelsea.png"), "gray.png", &["grayscale"]).succeeds();
    let original = decode_png(&fs::read(photo("chelsea.png")).unwrap());
    let gray = written(&place, "gray.png");
    assert_eq!((gray.width, gray.height, gray.channels), (451, 300, 1));
    let expected = colors(&original).into_iter().map(luminance);
    let worst = differences(&gray.bytes, expected).fold(0.0, f64::max);
    assert!(worst <= 1.5, "off by {worst}");
    assert_eq!(place.names(), ["gray.png"]);
}

#[test]
fn a_jpeg_photograph_becomes_gray() {
    let place = Place::new();
    pipe(&place, &photo("rocket.jpg"), "gray.png", &["grayscale"]).succeeds();
    let file = fs::File::open(photo("rocket.jpg")).unwrap();
    let original = jpeg_decoder::Decoder::new(std::io::BufReader::new(file)).decode().unwrap();
    let gray = written(&place, "gray.png");
    assert_eq!((gray.width, gray.height, gray.channels), (640, 427, 1));
    assert_eq!(original.len(), 640 * 427 * 3);
    // Decoders of JPEG may differ, in how they scale colors up above all.
    let expected = || original.as_chunks::<3>().0.iter().map(|&color| luminance(color));
    let mean = differences(&gray.bytes, expected()).sum::<f64>() / gray.bytes.len() as f64;
    let worst = differences(&gray.bytes, expected()).fold(0.0, f64::max);
    assert!(mean < 1.0 && worst < 16.0, "off by {mean} in the mean, by {worst} at worst");
}

#[test]
fn decoding_and_encoding_changes_nothing() {
    let place = Place::new();
    for name in ["chelsea.png", "camera.png"] {
        pipe(&place, &photo(name), "same.png", &["decode", "encode:best"]).succeeds();
        let original = decode_png(&fs::read(photo(name)).unwrap());
        let ours = written(&place, "same.png");
        assert_eq!((ours.width, ours.height), (original.width, original.height));
        assert!(colors(&ours) == colors(&original), "{name} has changed");
    }
}

#[test]
fn resizes_and_blurs() {
    let place = Place::new();
    pipe(&place, &photo("camera.png"), "small.png", &["resize:128x100"]).succeeds();
    let small = written(&place, "small.png");
    assert_eq!((small.width, small.height), (128, 100));

    let mean =
        |picture: &Picture| picture.bytes.iter().map(|&b| f64::from(b)).sum::<f64>() / picture.bytes.len() as f64;
    let rough = |picture: &Picture| -> f64 {
        let rows = picture.bytes.chunks(picture.width as usize * picture.channels);
        rows.flat_map(|row| row.windows(2).map(|w| f64::from(w[0].abs_diff(w[1])))).sum()
    };
    let original = decode_png(&fs::read(photo("camera.png")).unwrap());
    pipe(&place, &photo("camera.png"), "blurred.png", &["blur:4"]).succeeds();
    let blurred = written(&place, "blurred.png");
    assert!((mean(&original) - mean(&blurred)).abs() < 1.0);
    assert!(rough(&blurred) < rough(&original) / 2.0);
    pipe(&place, &photo("camera.png"), "sharp.png", &["sharpen:2"]).succeeds();
    assert!(rough(&written(&place, "sharp.png")) > rough(&original) * 1.2);
}

#[test]
fn fused_is_the_same_byte_for_byte() {
    let place = Place::new();
    let stages = ["blur:2", "sharpen:1.5", "resize:50%", "blur:1", "edges", "encode:default"];
    for name in ["chelsea.png", "rocket.jpg"] {
        pipe(&place, &photo(name), "apart.png", &stages).succeeds();
        let fused: Vec<_> = ["--fused"].into_iter().chain(stages).collect();
        pipe(&place, &photo(name), "fused.png", &fused).succeeds();
        let [apart, fused] = ["apart.png", "fused.png"].map(|name| fs::read(place.path(name)).unwrap());
        assert!(apart == fused, "{name}: fused is another picture");
    }
}

#[test]
fn says_its_figures_as_json() {
    let place = Place::new();
    let input = photo("chelsea.png");
    let report = pipe(&place, &input, "out.png", &["grayscale", "--json"]).succeeds().json();
    let stages = report["stages"].as_array().unwrap();
    let names: Vec<_> = stages.iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!(names, ["decode", "grayscale", "encode"]);
    assert_eq!((&report["width"], &report["height"]), (&451.into(), &300.into()));
    assert_eq!(report["output_bytes"], fs::metadata(place.path("out.png")).unwrap().len());
    let size = fs::metadata(&input).unwrap().len();
    assert_eq!(stages[0]["input"]["bytes"], size);
    assert_eq!(stages[0]["bytes_handed_over"], size + 451 * 300 * 4);
    assert_eq!(stages[1]["output"]["pixels"], "gray8");
    assert!(stages.iter().all(|stage| stage["bytes_copied"] == 0 && stage["ns"].as_u64() > Some(0)));

    let report = pipe(&place, &input, "out.png", &["grayscale", "--json", "--fused"]).succeeds().json();
    assert_eq!(report["stages"].as_array().unwrap().len(), 1);
    assert_eq!(report["fused"], true);
}

#[test]
fn reads_stdin_and_writes_stdout() {
    let place = Place::new();
    let bytes = fs::read(photo("camera.png")).unwrap();
    let done = place.mappable_with(["pipe", "-i", "-", "-o", "-", "resize:64x64"], &bytes).succeeds();
    let picture = decode_png(&done.0.stdout);
    assert_eq!((picture.width, picture.height), (64, 64));
    assert!(place.names().is_empty());
    place.mappable(["pipe", "-i", "-", "-o", "-", "blur", "--json"]).fails(2, &["stdout"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_says_it_has_no_bytes_is_read_to_its_end() {
    let place = Place::new();
    // A pipe by a path: its length reads 0.
    let bytes = fs::read(photo("camera.png")).unwrap();
    place
        .mappable_with(["pipe", "-i", "/dev/stdin", "-o", "same.png", "--exact", "decode", "encode"], &bytes)
        .succeeds();
    let (same, original) = (written(&place, "same.png"), decode_png(&bytes));
    assert_eq!((same.width, same.height), (original.width, original.height));
    assert!(same.bytes == original.bytes);
}

#[test]
fn stages_by_path_are_stages_like_others() {
    let place = Place::new();
    let blur = format!("{}:3", guest("blur.wasm").display());
    pipe(&place, &photo("chelsea.png"), "path.png", &[&blur]).succeeds();
    pipe(&place, &photo("chelsea.png"), "name.png", &["blur:3"]).succeeds();
    let [path, name] = ["path.png", "name.png"].map(|name| fs::read(place.path(name)).unwrap());
    assert!(path == name);
    // A stage that hands on what it got.
    let idle = guest("misbehaving.wasm");
    pipe(&place, &photo("chelsea.png"), "same.png", &["--exact", idle.to_str().unwrap()]).succeeds();
    assert!(fs::read(place.path("same.png")).unwrap() == fs::read(photo("chelsea.png")).unwrap());
    // One that keeps the region has kept it from nobody else: what it gives is what counts.
    let keep = format!("{}:keep", idle.display());
    pipe(&place, &photo("chelsea.png"), "kept.png", &["--exact", &keep]).succeeds();
    assert!(fs::read(place.path("kept.png")).unwrap().starts_with(b"kept"));
}

#[cfg(unix)]
#[test]
fn writes_where_it_is_told() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let place = Place::new();
    let target = place.file("target.png", "old");
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&target, place.path("link.png")).unwrap();
    pipe(&place, &photo("camera.png"), "link.png", &["resize:8x8"]).succeeds();
    assert!(fs::symlink_metadata(place.path("link.png")).unwrap().is_symlink());
    assert_eq!(written(&place, "target.png").width, 8);
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640);
    pipe(&place, &photo("camera.png"), "/dev/null", &["resize:8x8"]).succeeds();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn a_picture_is_the_same_by_several_instances() {
    let place = Place::new();
    // In place, and by rows; after a stage that can't be shared out, and after one that changes the format.
    let stages: [&[&str]; 2] = [&["invert", "sharpen:2", "edges"], &["grayscale", "resize:333", "blur:40"]];
    for stages in stages {
        pipe(&place, &photo("rocket.jpg"), "one.png", stages).succeeds();
        for options in [["-j", "3"], ["-j8", "--mapping-mode=copy"], ["-j2", "--mapping-mode=remap"]] {
            pipe(&place, &photo("rocket.jpg"), "many.png", &[&options[..], stages].concat()).succeeds();
            let [one, many] = ["one.png", "many.png"].map(|name| fs::read(place.path(name)).unwrap());
            assert!(one == many, "{stages:?} {options:?}");
        }
    }
    let report = pipe(&place, &photo("rocket.jpg"), "many.png", &["-j", "3", "--json", "invert"]).succeeds().json();
    assert_eq!(report["jobs"], 3);
}

#[test]
fn a_stage_of_several_instances_fails_as_one() {
    let place = Place::new();
    let photo = photo("rocket.jpg");
    pipe(&place, &photo, "out.png", &["-j", "2", "blur:big"]).fails(1, &["rocket.jpg: stage blur: ", "\"big\""]);
    pipe(&place, &photo, "out.png", &["-j", "2", "--exact", "invert"])
        .fails(1, &["stage invert: this stage works on pixels"]);
    pipe(&place, &photo, "out.png", &["-j", "2", "--max-memory", "2", "blur"]).fails(4, &["ran out of memory"]);
    assert_eq!(pipe(&place, &photo, "out.png", &["-j", "2", "--fused", "blur"]).code(), 2);
    assert!(place.names().is_empty());
}

/// The picture is one process's and then the other's, and the file is the one that one process makes.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod two_processes {
    use std::io::{BufRead as _, BufReader};
    use std::process::Child;
    use std::thread;
    use std::time::Duration;

    use mappable::ipc::{Connection, Settings};
    use mappable::{Runtime, Trust};

    use super::*;

    fn ends(child: Child) -> Done {
        Done(child.wait_with_output().unwrap())
    }

    #[test]
    fn a_picture_goes_from_one_to_the_other_without_a_copy() {
        let place = Place::new();
        // A gray picture is shorter than the region that it is in.
        for (name, bytes, before, behind) in [
            ("chelsea.png", 451 * 300 * 4, "blur:2", "grayscale"),
            ("rocket.jpg", 640 * 427 * 4, "blur:2", "grayscale"),
            ("rocket.jpg", 640 * 427, "grayscale", "blur:2"),
        ] {
            pipe(&place, &photo(name), "one.png", &[before, behind]).succeeds();
            // Which of them is there first makes no difference.
            let second = place.begin(["pipe", "--from", "socket", "-o", "two.png", behind]);
            let first = place.mappable(["pipe", "-i", photo(name).to_str().unwrap(), "--to", "socket", before]);
            assert_eq!(first.code(), 0, "{}", first.stderr());
            let handed = format!("Handed {bytes} bytes over, without a copy\n");
            let waited = format!("waiting for mappable pipe --from socket\n{handed}");
            assert!([handed, waited].contains(&first.stderr()), "{}", first.stderr());
            ends(second).succeeds();
            let [one, two] = ["one.png", "two.png"].map(|name| fs::read(place.path(name)).unwrap());
            assert!(one == two, "{name}: two processes make another picture");
        }
        assert_eq!(place.names(), ["one.png", "two.png"]);
    }

    #[test]
    fn a_chain_of_three_is_the_same() {
        let place = Place::new();
        pipe(&place, &photo("camera.png"), "one.png", &["blur:2", "sharpen", "edges"]).succeeds();
        let last = place.begin(["pipe", "--from", "b", "-o", "three.png", "edges"]);
        let middle = place.begin(["pipe", "--from", "a", "--to", "b", "sharpen"]);
        let first = place.mappable(["pipe", "-i", photo("camera.png").to_str().unwrap(), "--to", "a", "blur:2"]);
        let middle = ends(middle);
        ends(last).succeeds();
        // The middle's stage works in place, in what the first process has given away for good.
        for stderr in [first.stderr(), middle.stderr()] {
            assert!(stderr.ends_with(" bytes over, without a copy\n"), "{stderr}");
        }
        let [one, three] = ["one.png", "three.png"].map(|name| fs::read(place.path(name)).unwrap());
        assert!(one == three, "three processes make another picture");
    }

    #[test]
    fn who_waits_says_so_at_once() {
        let place = Place::new();
        let mut first = place.begin(["pipe", "-i", photo("camera.png").to_str().unwrap(), "--to", "socket", "blur:2"]);
        let mut stderr = BufReader::new(first.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert_eq!(line, "waiting for mappable pipe --from socket\n");
        place.mappable(["pipe", "--from", "socket", "-o", "two.png", "grayscale"]).succeeds();
        ends(first);
        line.clear();
        stderr.read_line(&mut line).unwrap();
        assert!(line.ends_with(" bytes over, without a copy\n"), "{line}");
    }

    #[test]
    fn what_one_that_was_killed_leaves_is_in_nobodys_way() {
        let place = Place::new();
        let mut killed = place.begin(["pipe", "--from", "socket", "-o", "two.png", "grayscale"]);
        while !place.path("socket").exists() {
            thread::sleep(Duration::from_millis(20));
        }
        // One that lives keeps it, and waits on.
        let already = "socket: a file is there already: another mappable pipe waits there";
        place.mappable(["pipe", "--from", "socket", "-o", "two.png", "grayscale"]).fails(1, &[already]);
        assert!(killed.try_wait().unwrap().is_none());
        killed.kill().unwrap();
        killed.wait().unwrap();
        assert_eq!(place.names(), ["socket"]);

        let second = place.begin(["pipe", "--from", "socket", "-o", "two.png", "grayscale"]);
        let first = place.mappable(["pipe", "-i", photo("camera.png").to_str().unwrap(), "--to", "socket", "blur:2"]);
        assert_eq!(first.code(), 0, "{}", first.stderr());
        ends(second).succeeds();
        assert_eq!(place.names(), ["two.png"]);

        // What is no socket is nobody's to remove.
        place
            .mappable(["pipe", "--from", "two.png", "-o", "three.png", "grayscale"])
            .fails(1, &["two.png: a file is there already"]);
        assert_eq!(place.names(), ["two.png"]);
    }

    #[test]
    fn another_program_at_the_other_end_is_told_what_differs() {
        let place = Place::new();
        let second = place.begin(["pipe", "--from", "socket", "-o", "two.png", "grayscale"]);
        while !place.path("socket").exists() {
            thread::sleep(Duration::from_millis(20));
        }
        let runtime = Runtime::new().unwrap();
        let _other = Connection::connect(&runtime, place.path("socket"), Settings::new(Trust::SEALS)).unwrap();
        ends(second).fails(1, &["socket", "does not keep to the protocol", "another trust"]);
        assert_eq!(place.names(), Vec::<String>::new());
    }
}
