//! `mappable demo`.

use super::support::{Place, decode_png};

#[test]
fn frames_are_alike_however_they_are_passed() {
    let place = Place::new();
    for options in [&[][..], &["--mapping-mode", "remap"], &["--mapping-mode", "copy"], &["--tier", "baseline"]] {
        let args = ["demo", "frames", "--size", "320x180", "--frames", "1", "-j", "3", "--json"];
        let report = place.mappable(args.iter().chain(options)).succeeds().json();
        assert_eq!((&report["identical"], &report["frames"]), (&true.into(), &4.into()), "{options:?}");
        let lanes = report["lanes"].as_array().unwrap();
        let names: Vec<_> = lanes.iter().map(|lane| lane["lane"].as_str().unwrap()).collect();
        assert_eq!(names, ["regions", "cores", "lists", "lists-by-host", "streams"]);
        assert_eq!(report["cores"], 3);
        assert_eq!(report["gain"]["cores"], 3);
        let [times, efficiency] = ["times", "efficiency"].map(|name| report["gain"][name].as_f64().unwrap());
        assert!(times > 0.0 && (efficiency - times / 3.0).abs() < 1e-9);
        for (lane, copies) in lanes.iter().zip([0, 0, 4, 8, 4]) {
            assert_eq!(lane["bytes_copied"], 320 * 180 * copies);
            assert!(lane["frames_per_second"].as_f64().unwrap() > 0.0);
            assert!(lane["ns_frame_idle"].as_u64().unwrap() > 0);
        }
    }
}

#[test]
fn frames_are_what_is_shown_first() {
    let place = Place::new();
    let text = place
        .mappable(["demo", "--size", "64x64", "--frames", "1", "-j2", "--chart", "frames.svg"])
        .succeeds()
        .stdout();
    let words = [
        "Frames of 64x64",
        "exposure",
        "16 frames of each of 5 lanes were compared",
        "█",
        "Regions pass ",
        "On 2 cores regions pass ",
        " of a core's worth for each",
        "By list<u8>, to pass as many would be to copy ",
    ];
    for word in words {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
    let chart = std::fs::read_to_string(place.path("frames.svg")).unwrap();
    assert_eq!(chart.matches("<rect").count(), 6, "{chart}");
    assert!(chart.contains("list&lt;u8&gt;") && chart.trim_end().ends_with("</svg>"), "{chart}");
}

#[test]
fn frames_of_odd_sizes_and_single_lanes() {
    let place = Place::new();
    for size in ["3x2", "257x129", "16384x2"] {
        place.mappable(["demo", "--size", size, "--frames", "1", "--lanes", "regions,streams"]).succeeds();
    }
    let text = place.mappable(["demo", "--size", "16x16", "--frames", "1", "--lanes", "lists"]).succeeds().stdout();
    assert!(text.contains("one lane") && !text.contains("Regions pass"), "{text}");
    for wrong in [
        ["--size", "16384x16384"],
        ["--frames", "0"],
        ["--lanes", "pipes"],
        ["--chart", "-"],
        ["--chart", "frames.png"],
        ["--jobs", "257"],
    ] {
        assert_eq!(place.mappable(["demo"].iter().chain(&wrong)).code(), 2, "{wrong:?}");
    }
}

#[test]
fn writes_the_picture_and_a_table() {
    let place = Place::new();
    let done = place.mappable(["demo", "picture", "--size", "320x180", "-o", "edges.png", "-j", "2"]).succeeds();
    let picture = decode_png(&std::fs::read(place.path("edges.png")).unwrap());
    assert_eq!((picture.width, picture.height, picture.channels), (160, 90, 1));
    let bright = picture.bytes.iter().filter(|&&byte| byte > 100).count();
    assert!((100..10_000).contains(&bright), "{bright} bright pixels: not a picture of edges");
    let text = done.stdout();
    for word in [
        "| blur:2",
        "| encode",
        "| total",
        " on 2 cores |",
        "Handing over:",
        "Whole pipeline:",
        "On 2 cores: ",
        "Stages that can't be shared out (\"one\") take ",
        "By list<u8>, to be as fast would be to copy ",
        "The picture: edges.png",
    ] {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
    assert_eq!(place.names(), ["edges.png"]);
}

#[test]
fn leaves_nothing_where_it_was_called_and_says_where_the_picture_is() {
    let place = Place::new();
    let text = place.mappable(["demo", "picture", "--size", "64x64"]).succeeds().stdout();
    let (_, path) = text.trim_end().rsplit_once("The picture: ").unwrap();
    assert_eq!(decode_png(&std::fs::read(path).unwrap()).width, 32);
    std::fs::remove_file(path).unwrap();
    assert!(place.names().is_empty());
}

#[test]
fn pictures_are_the_same_however_they_are_handed_over() {
    let place = Place::new();
    for options in
        [["--mapping-mode", "remap"], ["--mapping-mode", "copy"], ["--tier", "baseline"], ["-j", "1"], ["-j", "5"]]
    {
        let args = ["demo", "picture", "--size", "64x64", "-o", "small.png", "--json"].into_iter().chain(options);
        assert_eq!(place.mappable(args).succeeds().json()["identical"], true, "{options:?}");
    }
}

#[test]
fn says_its_figures_as_json() {
    let place = Place::new();
    let args = ["demo", "picture", "--size", "64x64", "-o", "small.png", "--json"];
    let report = place.mappable(args.iter().chain(&["-j2"])).succeeds().json();
    assert_eq!(report["identical"], true);
    let cores = &report["cores"];
    assert_eq!((&cores["cores"], cores["ns_stages"].as_array().unwrap().len()), (&2.into(), 6));
    // A file is all that is before it.
    assert_eq!(cores["shared_out"], serde_json::json!([true, true, true, true, true, false]));
    let of_encode = report["regions"]["stages"][5]["ns"].as_f64().unwrap() / report["regions"]["ns"].as_f64().unwrap();
    assert!((cores["serial"].as_f64().unwrap() - of_encode).abs() < 1e-6);
    assert!(cores["list_bytes_per_second"].as_u64().unwrap() > 0);
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
    // On one core there is nothing to compare.
    assert!(place.mappable(args.iter().chain(&["-j1"])).succeeds().json()["cores"].is_null());
}

#[test]
fn odd_sizes_are_pictures_too() {
    let place = Place::new();
    place.mappable(["demo", "picture", "--size", "3x2", "-o", "odd.png"]).succeeds();
    place.mappable(["demo", "picture", "--size", "257x129", "-o", "odd.png"]).succeeds();
    assert_eq!(place.mappable(["demo", "picture", "--size", "0x5"]).code(), 2);
    assert_eq!(place.mappable(["demo", "picture", "--size", "big"]).code(), 2);
}
