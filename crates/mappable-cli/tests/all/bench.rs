//! `mappable bench access` and `mappable bench share`. No test asserts a time.

use serde_json::Value;

use super::support::Place;

const ACCESS: [&str; 8] = ["bench", "access", "--sizes", "64KiB", "--samples", "2", "--sample-time", "0"];
const SHARE: [&str; 10] =
    ["bench", "share", "--size", "1MiB", "--instances", "1,5", "--threads", "3", "--samples", "2"];

fn says_what_it_was_taken_with(report: &Value) {
    for name in ["compiler", "profile", "commit"] {
        assert!(report[name].as_str().is_some_and(|value| !value.is_empty()), "{name} in {report}");
    }
    assert!(report["compiler"].as_str().unwrap().starts_with("rustc "), "{}", report["compiler"]);
    assert!(report["machine"]["cpus"].as_u64().unwrap() > 0);
    for row in report["rows"].as_array().unwrap() {
        let [least, median, most] = ["ns_min", "ns", "ns_max"].map(|name| row[name].as_f64().unwrap());
        assert!(0.0 < least && least <= median && median <= most, "{row}");
    }
}

/// Method, case and number of instances of each row.
fn names(report: &Value) -> Vec<String> {
    let rows = report["rows"].as_array().unwrap();
    rows.iter().map(|row| format!("{} {} {}", row["method"], row["case"], row["instances"]).replace('"', "")).collect()
}

#[test]
fn every_kernel_computes_the_same_in_every_place() {
    let place = Place::new();
    let report = place.mappable(ACCESS.iter().chain(&["--json"])).succeeds().json();
    says_what_it_was_taken_with(&report);
    let rows = report["rows"].as_array().unwrap();
    let kernels = ["invert", "invert-simd", "fnv", "sum", "matmul", "blur", "sort"];
    let expected: Vec<_> =
        kernels.iter().flat_map(|kernel| ["stock", "heap", "mapped"].map(|method| (method, *kernel))).collect();
    let found = rows.iter().map(|row| (row["method"].as_str().unwrap(), row["case"].as_str().unwrap()));
    assert_eq!(found.collect::<Vec<_>>(), expected);
    let mean = report["summary"]["mapped_over_stock"].as_f64().unwrap();
    let cases = kernels.map(|kernel| report["summary"]["cases"][kernel].as_f64().unwrap());
    let of_cases = (cases.iter().map(|ratio| ratio.ln()).sum::<f64>() / cases.len() as f64).exp();
    assert!((mean / of_cases - 1.0).abs() < 1e-9, "{mean} is not the geometric mean of {cases:?}");
}

#[test]
fn access_is_a_table_for_people() {
    let place = Place::new();
    let text = place.mappable(ACCESS.iter().chain(&["--kernels", "fnv,sum"])).succeeds().stdout();
    for word in ["| kernel |", "| fnv    | 64 KiB |", "| sum ", "mapped ÷ stock, geometric mean: "] {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
    assert!(!text.contains("blur"), "{text}");
}

#[test]
fn one_region_is_there_once_however_many_read_it() {
    let place = Place::new();
    let report = place.mappable(SHARE.iter().chain(&["--json"])).succeeds().json();
    says_what_it_was_taken_with(&report);
    let of = |instances: u32| {
        ["frozen map-first", "frozen read-first", "frozen map-warm", "list-u8 copy-in", "frozen read", "list-u8 read"]
            .map(|name| format!("{name} {instances}"))
    };
    assert_eq!(names(&report), [of(1), of(5)].concat());
    let memory = report["summary"]["memory"].as_array().unwrap();
    assert_eq!(memory.iter().map(|row| &row["instances"]).collect::<Vec<_>>(), [1, 5]);
    // Five copies would be over one copy by four of them.
    let over = memory[1]["over_one_copy"].as_i64().unwrap();
    assert!(over < 3 << 20, "{over} bytes over one copy in {report}");
    assert!(report["summary"]["read_over_copies"].as_f64().unwrap() > 0.0);
}

#[test]
fn copies_are_left_out_where_there_is_no_room_for_them() {
    let place = Place::new();
    let report = place.mappable(SHARE.iter().chain(&["--copies-within", "1MiB", "--json"])).succeeds().json();
    let copied: Vec<_> = names(&report).into_iter().filter(|name| name.starts_with("list-u8")).collect();
    assert_eq!(copied, ["list-u8 copy-in 1", "list-u8 read 1"]);
    let text = place.mappable(SHARE.iter().chain(&["--copies-within", "0"])).succeeds().stdout();
    assert!(text.contains("One region of 1 MiB, 3 threads."), "{text}");
}

#[test]
fn sizes_that_are_no_granules_are_refused() {
    let place = Place::new();
    place.mappable(["bench", "share", "--size", "100"]).fails(1, &["64 KiB", "100 is not"]);
    place.mappable(["bench", "access", "--sizes", "65537"]).fails(1, &["64 KiB", "65537 is not"]);
    assert_eq!(place.mappable(["bench", "share", "--size", "1MB"]).code(), 2);
    assert_eq!(place.mappable(["bench", "share", "--instances", "0"]).code(), 2);
}
