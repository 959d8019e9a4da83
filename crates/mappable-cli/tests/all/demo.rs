//! `mappable demo`.

use super::support::{Place, decode_png};

#[test]
fn writes_the_picture_and_a_table() {
    let place = Place::new();
    let done = place.mappable(["demo", "--size", "320x180", "-o", "edges.png"]).succeeds();
    let picture = decode_png(&std::fs::read(place.path("edges.png")).unwrap());
    assert_eq!((picture.width, picture.height, picture.channels), (160, 90, 1));
    let bright = picture.bytes.iter().filter(|&&byte| byte > 100).count();
    assert!((100..10_000).contains(&bright), "{bright} bright pixels: not a picture of edges");
    let text = done.stdout();
    for word in ["| blur:2", "| encode", "| total", "Handing over:", "Whole pipeline:", "The picture: edges.png"] {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
    assert_eq!(place.names(), ["edges.png"]);
}

#[test]
fn leaves_nothing_where_it_was_called_and_says_where_the_picture_is() {
    let place = Place::new();
    let text = place.mappable(["demo", "--size", "64x64"]).succeeds().stdout();
    let (_, path) = text.trim_end().rsplit_once("The picture: ").unwrap();
    assert_eq!(decode_png(&std::fs::read(path).unwrap()).width, 32);
    std::fs::remove_file(path).unwrap();
    assert!(place.names().is_empty());
}

#[test]
fn pictures_are_the_same_however_they_are_handed_over() {
    let place = Place::new();
    for options in [["--mapping-mode", "remap"], ["--mapping-mode", "copy"], ["--tier", "baseline"]] {
        let args = ["demo", "--size", "64x64", "-o", "small.png", "--json"].into_iter().chain(options);
        assert_eq!(place.mappable(args).succeeds().json()["identical"], true, "{options:?}");
    }
}

#[test]
fn says_its_figures_as_json() {
    let place = Place::new();
    let report = place.mappable(["demo", "--size", "64x64", "-o", "small.png", "--json"]).succeeds().json();
    assert_eq!(report["identical"], true);
    assert_eq!(report["output"], "small.png");
    assert_eq!(report["regions"]["bytes_copied"], 0);
    let (regions, lists) = (&report["regions"], &report["lists"]);
    assert_eq!(lists["bytes_copied"], regions["bytes_handed_over"]);
    assert_eq!(regions["stages"].as_array().unwrap().len(), 6);
    for way in [regions, lists] {
        let stages = way["stages"].as_array().unwrap();
        assert_eq!(stages[0]["input"]["bytes"], 64 * 64 * 4);
        assert_eq!(stages[0]["bytes_handed_over"], 2 * 64 * 64 * 4);
        let sum: u64 = stages.iter().map(|stage| stage["ns"].as_u64().unwrap()).sum();
        assert_eq!(way["ns"].as_u64().unwrap(), sum);
        assert!(stages.iter().all(|stage| stage["ns_hand_over"].as_u64().unwrap() > 0));
    }
    assert!(report["ratio_hand_over"].as_f64().unwrap() > 0.0);
    assert!(report["ratio_pipeline"].as_f64().unwrap() > 0.0);
}

#[test]
fn odd_sizes_are_pictures_too() {
    let place = Place::new();
    place.mappable(["demo", "--size", "3x2", "-o", "odd.png"]).succeeds();
    place.mappable(["demo", "--size", "257x129", "-o", "odd.png"]).succeeds();
    assert_eq!(place.mappable(["demo", "--size", "0x5"]).code(), 2);
    assert_eq!(place.mappable(["demo", "--size", "big"]).code(), 2);
}
