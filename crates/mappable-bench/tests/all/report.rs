//! `mappable-bench … --report DIR`: pages that need nothing but themselves.

use std::fs;

use serde_json::Value;

use super::support::Place;

/// Each benchmark, quickly, and how many charts it has.
const BENCHES: [(&[&str], usize); 8] = [
    (&["hop", "--sizes", "1KiB,64KiB,1MiB", "--samples", "1", "--sample-time", "0"], 2),
    (&["lists", "--sizes", "16,64KiB", "--samples", "1", "--sample-time", "0", "--concurrency", "off"], 4),
    (&["load", "--within", "100KiB", "--samples", "1", "--sample-time", "0"], 1),
    (&["access", "--sizes", "64KiB,128KiB", "--samples", "1", "--sample-time", "0"], 2),
    (&["share", "--size", "64KiB", "--instances", "1,3", "--samples", "1"], 5),
    (
        &[
            "scale",
            "--regions",
            "1,20",
            "--instances",
            "1,2",
            "--mapped",
            "1,2",
            "--thrash",
            "1,9",
            "--views",
            "4",
            "--samples",
            "1",
            "--sample-time",
            "0",
        ],
        8,
    ),
    (&["stream", "--sizes", "4KiB,64KiB", "--consumers", "1,2", "--samples", "1", "--sample-time", "0"], 4),
    (&["counts", "--methods", "ledger,grow0", "--sizes", "64KiB,128KiB", "--sample-time", "1"], 1),
];

/// What a page has of figures for machines.
fn figures(page: &str) -> Value {
    let (_, rest) = page.split_once(r#"<script type="application/json" id="figures">"#).unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn a_page_has_the_figures_and_loads_nothing() {
    let place = Place::new();
    for (bench, charts) in BENCHES {
        let args = [bench, &["--json", "--report", "new/folder"]].concat();
        let report = place.bench(args).succeeds().json();
        let page = fs::read_to_string(place.path("new/folder").join(bench[0]).with_extension("html")).unwrap();
        assert_eq!(figures(&page), report, "{bench:?}");
        for word in ["http:", "https:", "//", "@import", "url(h", "src=", "href="] {
            assert!(!page.replace("<!DOCTYPE", "").contains(word), "{bench:?} has {word}");
        }
        assert_eq!(page.matches("<svg").count(), charts, "{bench:?}");
        let drawn: String =
            page.split("<svg").skip(1).filter_map(|svg| svg.split_once("</svg>")).map(|svg| svg.0).collect();
        for row in report["rows"].as_array().unwrap() {
            let method = row["method"].as_str().unwrap();
            assert!(page.contains(&format!("<th class=\"n\">{method}</th>")), "{method} is in no table of {bench:?}");
            assert!(drawn.contains(&format!(">{method}<")), "{method} is in no chart of {bench:?}");
        }
        for name in ["compiler", "commit", "profile"] {
            let text = report[name].as_str().unwrap();
            assert!(page.contains(&format!("<tr><th>{name}</th><td>{text}</td></tr>")), "{name} in {bench:?}");
        }
        for name in report["summary"].as_object().unwrap().keys() {
            assert!(page.contains(&format!("<th>{name}</th>")), "{name} in {bench:?}");
        }
    }
    assert_eq!(fs::read_dir(place.path("new/folder")).unwrap().count(), BENCHES.len());
}

#[test]
fn a_table_is_printed_beside_the_page() {
    let place = Place::new();
    let args = ["hop", "--sizes", "1KiB", "--samples", "1", "--sample-time", "0", "--methods", "memcpy"];
    let text = place.bench(args.iter().chain(&["--report", "."])).succeeds().stdout();
    assert!(text.contains("| 1 KiB |"), "{text}");
    assert_eq!(place.names(), ["hop.html"]);
}

#[test]
fn a_picture_of_the_hop_stands_by_itself_on_light_and_on_dark() {
    let place = Place::new();
    let args = ["hop", "--sizes", "1KiB,64KiB", "--samples", "1", "--sample-time", "0", "--concurrency", "off"];
    place.bench(args.iter().chain(&["--methods", "ledger,list-u8", "--svg", "hop.svg"])).succeeds();
    let svg = fs::read_to_string(place.path("hop.svg")).unwrap();
    assert!(svg.starts_with("<svg xmlns=") && svg.contains("@media (prefers-color-scheme: dark)"), "{svg}");
    for word in [">region, ledger tier<", ">list&lt;u8&gt;, stock Wasmtime<", ">64 KiB<"] {
        assert!(svg.contains(word), "{word} is not in {svg}");
    }
    assert!(!svg.contains("memcpy"), "what was not measured is not drawn");
    // What the dark colors take the place of.
    for color in ["<rect width=\"100%\" height=\"100%\" fill=\"white\"", "stroke=\"#e8e8e8\"", "fill=\"#ffffff\""] {
        assert!(svg.split_once("</style>").unwrap().1.contains(color), "{color} is not in {svg}");
    }
}

#[test]
fn a_page_that_can_not_be_written_is_told_by_name() {
    let place = Place::new();
    fs::write(place.path("taken"), "").unwrap();
    let args = ["hop", "--sizes", "1KiB", "--samples", "1", "--sample-time", "0", "--methods", "memcpy"];
    place.bench(args.iter().chain(&["--report", "taken"])).fails(1, &["report taken/hop.html"]);
}
