//! `mappable bench`. No test asserts a time.

use serde_json::Value;

use super::support::Place;

const HOP: [&str; 8] = ["bench", "hop", "--sizes", "1KiB,1MiB", "--samples", "2", "--sample-time", "0"];
const LISTS: [&str; 8] = ["bench", "lists", "--sizes", "16,64KiB,1MiB", "--samples", "2", "--sample-time", "0"];
const LOAD: [&str; 8] = ["bench", "load", "--within", "100KiB", "--samples", "2", "--sample-time", "0"];
const ACCESS: [&str; 8] = ["bench", "access", "--sizes", "64KiB", "--samples", "2", "--sample-time", "0"];
const SHARE: [&str; 10] =
    ["bench", "share", "--size", "1MiB", "--instances", "1,5", "--threads", "3", "--samples", "2"];
const SCALE: [&str; 16] = [
    "bench",
    "scale",
    "--regions",
    "1,300",
    "--instances",
    "1,3",
    "--mapped",
    "1,4",
    "--thrash",
    "1,20",
    "--views",
    "8",
    "--samples",
    "2",
    "--sample-time",
    "0",
];

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

/// The positive figure of this name in the summary.
fn summary(report: &Value, name: &str) -> f64 {
    let figure = report["summary"][name].as_f64();
    figure.filter(|figure| *figure > 0.0).unwrap_or_else(|| panic!("{name} in {}", report["summary"]))
}

#[test]
fn every_method_hands_over_in_every_case() {
    let place = Place::new();
    let report = place.mappable(HOP.iter().chain(&["--json"])).succeeds().json();
    says_what_it_was_taken_with(&report);
    let methods = ["ledger", "swap", "remap", "list-u8", "stream-u8", "memcpy", "own-handle", "shared-memory", "grow0"];
    let cases = [(1024, "off"), (1024, "on"), (1 << 20, "off"), (1 << 20, "on")];
    let expected = cases.iter().flat_map(|(bytes, case)| {
        // There are no streams without concurrency support.
        let methods = methods.iter().filter(move |method| **method != "stream-u8" || *case == "on");
        methods.map(move |method| format!("{method} concurrency {case} {bytes}"))
    });
    let rows = report["rows"].as_array().unwrap();
    let found = rows.iter().map(|row| format!("{} {} {}", row["method"], row["case"], row["bytes"]).replace('"', ""));
    assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    let figures =
        ["ledger_over_grow0", "ledger_flatness", "swap_flatness", "swap_over_ledger", "list_over_ledger_1mib"];
    for name in figures {
        summary(&report, name);
    }
    // A warm hop of either tier makes no system call, however many there were.
    for name in ["ledger_hop_syscalls", "swap_hop_syscalls"] {
        assert_eq!(report["summary"][name], 0, "{name}");
    }
}

#[test]
fn hop_is_a_table_for_people_of_each_case() {
    let place = Place::new();
    let text =
        place.mappable(HOP.iter().chain(&["--methods", "swap,memcpy", "--concurrency", "on"])).succeeds().stdout();
    for word in ["concurrency on:\n", "| bytes |", "| swap |", "| 1 KiB |", "| 1 MiB |", "by swap: 0"] {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let word = word.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&word), "{word:?} is not in\n{text}");
    }
    assert!(!text.contains("concurrency off") && !text.contains("ledger ÷"), "{text}");
}

#[test]
fn every_list_arrives_in_every_case() {
    let place = Place::new();
    let report = place.mappable(LISTS.iter().chain(&["--json"])).succeeds().json();
    says_what_it_was_taken_with(&report);
    let mut expected = vec![];
    for direction in ["argument", "result"] {
        for case in ["u8, concurrency off", "u8, concurrency on", "u32, concurrency off", "u32, concurrency on"] {
            for bytes in [16, 64 << 10, 1 << 20] {
                expected.extend(
                    ["stock", "baseline", "ledger"].map(|method| format!("{method} {direction} {case} {bytes}")),
                );
            }
        }
    }
    let rows = report["rows"].as_array().unwrap().iter();
    let name = |row: &Value| format!("{} {} {} {}", row["method"], row["direction"], row["case"], row["bytes"]);
    assert_eq!(rows.map(|row| name(row).replace('"', "")).collect::<Vec<_>>(), expected);
    let speedups = report["summary"]["stock_over_ledger"].as_object().unwrap();
    let names = ["argument_16b", "argument_1mib", "argument_64kib", "result_16b", "result_1mib", "result_64kib"];
    assert_eq!(speedups.keys().collect::<Vec<_>>(), names);
    assert!(report["summary"]["ledger_over_stock_most"]["ratio"].as_f64().unwrap() > 0.0);
}

#[test]
fn lists_is_a_table_for_people() {
    let place = Place::new();
    let text =
        place.mappable(LISTS.iter().chain(&["--methods", "stock,baseline", "--elements", "u32"])).succeeds().stdout();
    for word in ["| argument  | u32, concurrency off |", "stock ÷ baseline", "baseline ÷ stock at most: "] {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
    assert!(!text.contains("u8") && !text.contains("ledger"), "{text}");
}

#[test]
fn components_are_rewritten_to_each_tier_that_they_can_have() {
    let place = Place::new();
    let report = place.mappable(LOAD.iter().chain(&["--json"])).succeeds().json();
    says_what_it_was_taken_with(&report);
    let closed = ["rewrite-baseline", "rewrite-ledger", "compile", "compile-rewritten"];
    let open = ["rewrite-baseline", "compile", "compile-rewritten"];
    let of = |case: &str, methods: &[&str]| methods.iter().map(|method| format!("{method} {case}")).collect::<Vec<_>>();
    let rows = report["rows"].as_array().unwrap().iter();
    let found: Vec<_> = rows.map(|row| format!("{} {}", row["method"], row["case"]).replace('"', "")).collect();
    assert_eq!(found, [of("lists", &closed), of("regions", &closed), of("blur", &open)].concat());
    let [most, baseline, ledger] =
        ["rewrite_over_compile", "rewrite_baseline_over_compile", "rewrite_ledger_over_compile"]
            .map(|name| summary(&report, name));
    assert_eq!(most, baseline.max(ledger));
    let text = place.mappable(LOAD).succeeds().stdout();
    for word in ["| blur ", "rewrite ÷ compile", "Rewriting ÷ compiling at most: "] {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
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
fn hops_scale_in_every_case() {
    let place = Place::new();
    let report = place.mappable(SCALE.iter().chain(&["--json"])).succeeds().json();
    says_what_it_was_taken_with(&report);
    let cases = [("regions", 300), ("instances", 3), ("mapped", 4), ("thrash", 20)];
    let expected = cases.iter().flat_map(|(case, most)| {
        [1, *most].into_iter().flat_map(move |n| ["baseline", "ledger"].map(|method| format!("{method} {case} {n}")))
    });
    let rows = report["rows"].as_array().unwrap();
    let found = rows.iter().map(|row| format!("{} {} {}", row["method"], row["case"], row["n"]).replace('"', ""));
    assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    for method in ["baseline", "ledger"] {
        for case in ["regions", "instances", "mapped"] {
            let flatness = report["summary"]["flatness"][format!("{method}_{case}")].as_f64().unwrap();
            assert!(flatness >= 1.0, "{method} {case} in {report}");
        }
        // However many there are of anything, a warm hop makes no system call. With more regions than views none is warm,
        // and what each then costs is bounded.
        assert_eq!(report["summary"]["warm_system_calls_a_hop"][method], 0.0, "{method} in {report}");
        let cold = report["summary"]["thrash_system_calls_a_hop"][method].as_f64().unwrap();
        assert!(cold > 0.0 && cold < 20.0, "{method}: {cold}");
    }
    assert!(rows.iter().all(|row| row["resident_bytes"].is_u64()), "{report}");
}

#[test]
fn scale_is_a_table_for_people() {
    let place = Place::new();
    let text = place.mappable(SCALE.iter().chain(&["--cases", "thrash", "--methods", "ledger"])).succeeds().stdout();
    for word in ["| thrash | 20 |", "8 views a memory.", "ledger, most regions in turn ÷ fewest: "] {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
    assert!(!text.contains("baseline") && !text.contains("regions,"), "{text}");
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let place = Place::new();
    place.mappable(["bench", "share", "--size", "100"]).fails(1, &["64 KiB", "100 is not"]);
    place.mappable(["bench", "access", "--sizes", "65537"]).fails(1, &["64 KiB", "65537 is not"]);
    place.mappable(["bench", "lists", "--sizes", "18"]).fails(1, &["16 bytes to 256 MiB", "18 is not"]);
    place.mappable(["bench", "hop", "--sizes", "63"]).fails(1, &["64 bytes to 1 GiB", "63 is not"]);
    assert_eq!(place.mappable(["bench", "share", "--size", "1MB"]).code(), 2);
    assert_eq!(place.mappable(["bench", "share", "--instances", "0"]).code(), 2);
    assert_eq!(place.mappable(["bench", "scale", "--thrash", "4097"]).code(), 2);
}
