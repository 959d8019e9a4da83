//! `mappable-bench`. No test asserts a time.

use serde_json::Value;

use super::support::Place;

const HOP: [&str; 7] = ["hop", "--sizes", "1KiB,1MiB", "--samples", "2", "--sample-time", "0"];
const LISTS: [&str; 7] = ["lists", "--sizes", "16,64KiB,1MiB", "--samples", "2", "--sample-time", "0"];
const OPEN: [&str; 9] = ["open", "--stages", "1,6", "--maps", "1,4", "--samples", "2", "--sample-time", "0"];
const LOAD: [&str; 7] = ["load", "--within", "100KiB", "--samples", "2", "--sample-time", "0"];
const ACCESS: [&str; 9] = ["access", "--sizes", "64KiB", "--samples", "2", "--sample-time", "0", "--shifts", "2"];
const SHARE: [&str; 9] = ["share", "--size", "1MiB", "--instances", "1,5", "--threads", "3", "--samples", "2"];
const SCALE: [&str; 15] = [
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
const STREAM: [&str; 9] =
    ["stream", "--sizes", "4KiB,128KiB", "--consumers", "1,3", "--samples", "2", "--sample-time", "0"];
const SERVE: [&str; 11] =
    ["serve", "--connections", "1,3", "--table", "1MiB", "--body", "128KiB", "--samples", "2", "--sample-time", "0"];
const COLD: [&str; 7] = ["cold", "--sizes", "4KiB,128KiB", "--samples", "2", "--sample-time", "0"];

const COUNTS: [&str; 5] =
    ["counts", "--methods", "ledger,swap,remap,host-call,own-handle,grow0", "--sample-time", "20"];
const ORDINARY: [&str; 9] =
    ["ordinary", "--sizes", "64KiB", "--instances", "2", "--samples", "2", "--sample-time", "0"];

fn says_what_it_was_taken_with(report: &Value) {
    is_taken_with(report);
    for row in report["rows"].as_array().unwrap() {
        let [least, median, most] = ["ns_min", "ns", "ns_max"].map(|name| row[name].as_f64().unwrap());
        assert!(0.0 < least && least <= median && median <= most, "{row}");
    }
}

fn is_taken_with(report: &Value) {
    for name in ["compiler", "profile", "commit"] {
        assert!(report[name].as_str().is_some_and(|value| !value.is_empty()), "{name} in {report}");
    }
    assert!(report["compiler"].as_str().unwrap().starts_with("rustc "), "{}", report["compiler"]);
    assert!(report["machine"]["cpus"].as_u64().unwrap() > 0);
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
    let report = place.bench(HOP.iter().chain(&["--json"])).succeeds().json();
    says_what_it_was_taken_with(&report);
    let regions = ["ledger", "swap", "remap", "mediated", "mediated-stores"];
    let others = ["list-u8", "stream-u8", "memcpy", "own-handle", "shared-memory", "host-call", "own-call", "grow0"];
    let methods = [&regions[..], &others[..]].concat();
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
    let floors = ["swap_over_floor", "mediated_over_floor", "mediated_stores_over_floor"];
    for name in figures.into_iter().chain(floors) {
        summary(&report, name);
    }
    assert_eq!(report["summary"]["over_floor"].as_object().unwrap().len(), 2 * floors.len());
    // A warm hop of either tier makes no system call, however many there were.
    for name in ["ledger_hop_syscalls", "swap_hop_syscalls"] {
        assert_eq!(report["summary"][name], 0, "{name}");
    }
}

#[test]
fn hop_is_a_table_for_people_of_each_case() {
    let place = Place::new();
    let text = place.bench(HOP.iter().chain(&["--methods", "swap,memcpy", "--concurrency", "on"])).succeeds().stdout();
    for word in ["concurrency on:\n", "| bytes |", "| swap |", "| 1 KiB |", "| 1 MiB |", "by swap: 0"] {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let word = word.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&word), "{word:?} is not in\n{text}");
    }
    assert!(!text.contains("concurrency off") && !text.contains("ledger ÷"), "{text}");
}

#[test]
fn every_stage_of_an_open_pipeline_writes_in_both_tiers() {
    let place = Place::new();
    let report = place.bench(OPEN.iter().chain(&["--json"])).succeeds().json();
    says_what_it_was_taken_with(&report);
    let rows = report["rows"].as_array().unwrap().iter();
    let name = |row: &Value| format!("{} {} {}", row["method"], row["case"], row["stages"]).replace('"', "");
    let mut expected = vec![];
    for case in ["concurrency off", "concurrency on"] {
        for stages in [1, 6] {
            expected.extend(["baseline", "ledger"].map(|method| format!("{method} {case} {stages}")));
        }
        for maps in [1, 4] {
            expected.extend(["baseline", "ledger"].map(|method| format!("{method} alone, {case} {maps}")));
        }
        for stages in ["1", "6"] {
            assert!(report["summary"]["baseline_over_ledger"][case][stages].as_f64().unwrap() > 0.0);
        }
        assert!(report["summary"]["ns_a_stage"][case]["ledger"].is_number());
    }
    assert_eq!(rows.map(name).collect::<Vec<_>>(), expected);
    let text = place.bench(OPEN.iter().chain(&["--concurrency", "on"])).succeeds().stdout();
    for word in
        ["| concurrency on ", "| alone, concurrency on |", "baseline ÷ ledger", "One more, ledger, concurrency on: "]
    {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
    assert!(!text.contains("concurrency off"), "{text}");
    assert_eq!(place.bench(["open", "--stages", "0"]).code(), 2);
}

#[test]
fn every_list_arrives_in_every_case() {
    let place = Place::new();
    let report = place.bench(LISTS.iter().chain(&["--json"])).succeeds().json();
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
        place.bench(LISTS.iter().chain(&["--methods", "stock,baseline", "--elements", "u32"])).succeeds().stdout();
    for word in ["| argument  | u32, concurrency off |", "stock ÷ baseline", "baseline ÷ stock at most: "] {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
    assert!(!text.contains("u8") && !text.contains("ledger"), "{text}");
}

#[test]
fn lists_and_strings_go_alone_and_within_values() {
    let place = Place::new();
    let within = ["--in", "nothing,record,option,result,variant", "--elements", "u8,u32,string,string-utf16"];
    let short = ["lists", "--sizes", "1,4,64", "--samples", "1", "--sample-time", "0", "--concurrency", "off"];
    let text = place.bench(short.iter().chain(&within)).succeeds().stdout();
    for word in ["| argument  | u8 in record, ", "| result    | string-utf16 in variant, "] {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
}

#[test]
fn components_are_rewritten_to_each_tier_that_they_can_have() {
    let place = Place::new();
    let report = place.bench(LOAD.iter().chain(&["--json"])).succeeds().json();
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
    let text = place.bench(LOAD).succeeds().stdout();
    for word in ["| blur ", "rewrite ÷ compile", "Rewriting ÷ compiling at most: "] {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
}

#[test]
fn every_kernel_computes_the_same_in_every_place() {
    let place = Place::new();
    let report = place.bench(ACCESS.iter().chain(&["--json"])).succeeds().json();
    says_what_it_was_taken_with(&report);
    let rows = report["rows"].as_array().unwrap();
    let kernels = ["invert", "invert-simd", "fnv", "sum", "matmul", "blur", "sort"];
    let expected: Vec<_> = kernels
        .iter()
        .flat_map(|kernel| ["stock", "heap", "mapped", "as written"].map(|method| (method, *kernel)))
        .collect();
    let found = rows.iter().map(|row| (row["method"].as_str().unwrap(), row["case"].as_str().unwrap()));
    assert_eq!(found.collect::<Vec<_>>(), expected);
    let mean = report["summary"]["mapped_over_stock"].as_f64().unwrap();
    let cases = kernels.map(|kernel| report["summary"]["cases"][kernel].as_f64().unwrap());
    let of_cases = (cases.iter().map(|ratio| ratio.ln()).sum::<f64>() / cases.len() as f64).exp();
    assert!((mean / of_cases - 1.0).abs() < 1e-9, "{mean} is not the geometric mean of {cases:?}");
    let ratios = rows
        .as_chunks::<4>()
        .0
        .iter()
        .map(|[stock, .., last]| last["ns"].as_f64().unwrap() / stock["ns"].as_f64().unwrap());
    let as_written = (ratios.map(f64::ln).sum::<f64>() / kernels.len() as f64).exp();
    let said = summary(&report, "as_written_over_stock");
    assert!((said / as_written - 1.0).abs() < 1e-9, "{said} is not {as_written}");
}

#[test]
fn access_is_a_table_for_people() {
    let place = Place::new();
    let text = place.bench(ACCESS.iter().chain(&["--kernels", "fnv,sum"])).succeeds().stdout();
    for word in [
        "| kernel |",
        "| fnv    | 64 KiB |",
        "| sum ",
        "mapped ÷ stock, geometric mean: ",
        "as written ÷ stock, geometric mean: ",
    ] {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
    assert!(!text.contains("blur"), "{text}");
}

#[test]
fn one_region_is_there_once_however_many_read_it() {
    let place = Place::new();
    let report = place.bench(SHARE.iter().chain(&["--json"])).succeeds().json();
    says_what_it_was_taken_with(&report);
    let mapped = ["frozen map-first", "frozen read-first", "frozen map-warm"];
    let cases = [&mapped[..], &["list-u8 copy-in", "list-u8 read-first", "frozen read", "list-u8 read"]].concat();
    let of = |instances: u32| cases.iter().map(|name| format!("{name} {instances}")).collect::<Vec<_>>();
    assert_eq!(names(&report), [of(1), of(5)].concat());
    let memory = report["summary"]["memory"].as_array().unwrap();
    let name = |row: &Value| format!("{} {}", row["method"], row["instances"]).replace('"', "");
    let found: Vec<_> = memory.iter().map(name).collect();
    assert_eq!(found, ["frozen 1", "list-u8 1", "frozen 5", "list-u8 5"]);
    // Five copies are over one copy by four of them.
    let over = |row: usize| memory[row]["over_one_copy"].as_i64().unwrap();
    assert!(
        over(2) < 3 << 20 && over(3) > 3 << 20,
        "{over:?} bytes over one copy in {report}",
        over = [over(2), over(3)]
    );
    assert!(report["summary"]["read_over_copies"]["frozen"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_region_in_huge_pages_takes_less_of_page_tables() {
    let place = Place::new();
    let methods = ["--methods", "frozen,frozen-huge", "--size", "64MiB", "--json"];
    let share = ["share", "--instances", "1,20", "--threads", "2", "--samples", "1"];
    let report = place.bench(share.iter().chain(&methods)).succeeds().json();
    says_what_it_was_taken_with(&report);
    if report["summary"]["collapse_ns"].is_null() {
        assert!(names(&report).iter().all(|name| name.starts_with("frozen ")), "{report}");
        return;
    }
    let cases = ["map-first", "read-first", "map-warm", "read"].map(|case| format!("frozen-huge {case} 20"));
    assert!(cases.iter().all(|case| names(&report).contains(case)), "{report}");
    let memory = report["summary"]["memory"].as_array().unwrap();
    let tables = |method: &str| {
        let row = memory.iter().find(|row| row["method"] == method && row["instances"] == 20).unwrap();
        row["page_tables"].as_i64().unwrap()
    };
    // 8 bytes for each of so many small pages, 20 times, or next to nothing.
    assert!(tables("frozen") > 2 << 20 && tables("frozen-huge") < 1 << 20, "{report}");
}

#[test]
fn copies_are_left_out_where_there_is_no_room_for_them() {
    let place = Place::new();
    let report = place.bench(SHARE.iter().chain(&["--copies-within", "1MiB", "--json"])).succeeds().json();
    let copied: Vec<_> = names(&report).into_iter().filter(|name| name.starts_with("list-u8")).collect();
    assert_eq!(copied, ["list-u8 copy-in 1", "list-u8 read-first 1", "list-u8 read 1"]);
    let text = place.bench(SHARE.iter().chain(&["--copies-within", "0"])).succeeds().stdout();
    assert!(text.contains("One region of 1 MiB, 3 threads."), "{text}");
}

#[test]
fn every_element_of_a_stream_arrives_in_every_case() {
    let place = Place::new();
    let report = place.bench(STREAM.iter().chain(&["--json"])).succeeds().json();
    says_what_it_was_taken_with(&report);
    let owned = ["ledger", "baseline"];
    let shared = ["frozen-ledger", "frozen-baseline", "stream-u8", "list-u8"];
    let parts = ["stream-u32", "stream-own", "call-ledger", "call-baseline"];
    let mut expected = vec![];
    for (case, methods) in [
        ("touch, consumers: 1", [&owned[..], &shared, &parts].concat()),
        ("touch, consumers: 3", [&shared[..], &parts[..1]].concat()),
        ("sum, consumers: 1", [&owned[..], &shared].concat()),
        ("sum, consumers: 3", shared.to_vec()),
    ] {
        for bytes in [4 << 10, 128 << 10] {
            expected.extend(methods.iter().map(|method| format!("{method} {case} {bytes}")));
        }
    }
    let rows = report["rows"].as_array().unwrap().iter();
    let found = rows.map(|row| format!("{} {} {}", row["method"], row["case"], row["bytes"]).replace('"', ""));
    assert_eq!(found.collect::<Vec<_>>(), expected);
    for tier in owned {
        assert!(report["summary"]["over_parts"][tier].as_f64().unwrap() > 0.0, "{report}");
    }
    let compared = report["summary"]["breakeven_bytes"].as_object().unwrap();
    assert_eq!(compared.len(), 8, "{report}");
    assert!(compared.contains_key("list-u8 ÷ frozen-ledger, sum, consumers: 3"), "{report}");
}

#[test]
fn stream_is_a_table_for_people() {
    let place = Place::new();
    let text =
        place.bench(STREAM.iter().chain(&["--work", "sum", "--methods", "ledger,stream-u8"])).succeeds().stdout();
    for word in ["sum, consumers: 1:", "sum, consumers: 3:", "| 128 KiB |", "stream-u8 ÷ ledger, sum, consumers: 1: "]
    {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
    assert!(!text.contains("list-u8 |") && !text.contains("touch"), "{text}");
    assert_eq!(place.bench(["stream", "--sizes", "100"]).code(), 1);
}

#[test]
fn hops_scale_in_every_case() {
    let place = Place::new();
    let report = place.bench(SCALE.iter().chain(&["--json"])).succeeds().json();
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
        // However many there are of anything, a warm hop makes no system call. With more regions than views, some are
        // warm and others are remapped: about one call for each map, and no view is built.
        assert_eq!(report["summary"]["warm_system_calls_a_hop"][method], 0.0, "{method} in {report}");
        let cold = report["summary"]["thrash_system_calls_a_hop"][method].as_f64().unwrap();
        assert!(cold > 0.0 && cold < 1.5, "{method}: {cold}");
        assert_eq!(report["summary"]["thrash_views_a_hop"][method], 0.0, "{method} in {report}");
    }
    assert!(rows.iter().all(|row| row["resident_bytes"].is_u64()), "{report}");
}

#[test]
fn scale_is_a_table_for_people() {
    let place = Place::new();
    let text = place.bench(SCALE.iter().chain(&["--cases", "thrash", "--methods", "ledger"])).succeeds().stdout();
    for word in ["| thrash | 20 |", "8 views a memory.", "ledger, most regions in turn ÷ fewest: "] {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
    assert!(!text.contains("baseline") && !text.contains("regions,"), "{text}");
}

/// Needs `strace` and `perf`, which `.ci/run` installs, and to be allowed to trace.
#[test]
fn a_warm_hop_by_the_ledger_does_the_same_at_any_size_and_makes_no_system_call() {
    let place = Place::new();
    let report = place.bench(COUNTS.iter().chain(&["--sizes", "64KiB,1MiB", "--json"])).succeeds().json();
    is_taken_with(&report);
    let counted = &report["summary"]["counted_by"];
    for event in ["instructions", "system_calls", "page_faults"] {
        assert!(counted[event].is_string(), "no {event}: {}", report["summary"]["not_counted"]);
    }
    let rows = report["rows"].as_array().unwrap();
    let figures = |method: &str, figure: &str| {
        let rows = rows.iter().filter(|row| row["method"] == method);
        let figures: Vec<_> =
            rows.map(|row| row[figure].as_f64().unwrap_or_else(|| panic!("{figure} in {row}"))).collect();
        <[f64; 2]>::try_from(figures).unwrap()
    };
    for method in ["ledger", "swap"] {
        let [small, large] = figures(method, "instructions");
        assert!((small - large).abs() < small / 500.0, "{method}: {small} and {large} instructions");
        assert_eq!(figures(method, "own_system_calls"), [0.0; 2], "{method}");
        // Starting the engine takes some calls more or fewer each time, spread over thousands of hops. One that a hop
        // makes would be 1 at the least.
        for figure in ["system_calls", "page_faults"] {
            assert!(figures(method, figure).iter().all(|n| n.abs() < 0.5), "{method}: {figure} in {report}");
        }
    }
    // Where there are some, the library and the tool count the same.
    let [calls, own] = ["system_calls", "own_system_calls"].map(|figure| figures("remap", figure));
    assert!(own.iter().all(|own| *own >= 2.0), "{own:?}");
    assert!(calls.iter().zip(own).all(|(calls, own)| (calls - own).abs() < 0.5), "{calls:?} and {own:?}");
    // Less than its parts take nothing can.
    assert!(summary(&report, "swap_over_floor") > 1.0);
}

#[test]
fn what_can_not_be_counted_is_left_out_and_the_reason_told() {
    let place = Place::new();
    let args = ["counts", "--methods", "grow0", "--sizes", "64KiB", "--sample-time", "0", "--steps", "1"];
    let text = place.bench(args).succeeds().stdout();
    assert!(text.contains("steps: more than 1"), "{text}");
}

#[test]
fn every_request_is_served_in_every_case() {
    let place = Place::new();
    let report = place.bench(COLD.iter().chain(&["--json"])).succeeds().json();
    says_what_it_was_taken_with(&report);
    let cases = [(4 << 10, "kept"), (4 << 10, "fresh"), (128 << 10, "kept"), (128 << 10, "fresh")];
    let methods = ["auto", "remap", "copy", "list-u8", "list-u8-pooled"];
    let expected = cases.iter().flat_map(|(bytes, case)| methods.map(|method| format!("{method} {case} {bytes}")));
    let rows = report["rows"].as_array().unwrap();
    let found = rows.iter().map(|row| format!("{} {} {}", row["method"], row["case"], row["bytes"]).replace('"', ""));
    assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    for row in rows {
        for part in ["instantiate_ns", "map_ns", "touch_ns", "unmap_ns", "drop_ns"] {
            assert!(row[part].as_f64().unwrap() > 0.0, "{part} of {row}");
        }
        // Without this project there is nothing to count; blocks of the heap need no system call.
        let maps_pages = ["auto", "remap"].contains(&row["method"].as_str().unwrap());
        assert_eq!(row["system_calls_a_request"].as_f64().unwrap() > 0.0, maps_pages, "{row}");
    }
    let summary = &report["summary"];
    let of_sizes = ["fresh_128 KiB", "fresh_4 KiB", "kept_128 KiB", "kept_4 KiB"];
    for name in ["auto_over_best_fixed", "auto_over_best_list"] {
        assert_eq!(summary[name].as_object().unwrap().keys().collect::<Vec<_>>(), of_sizes);
    }
    let ratios = of_sizes.map(|size| summary["auto_over_best_fixed"][size].as_f64().unwrap());
    assert_eq!(summary["auto_over_best_fixed_at_most"].as_f64(), ratios.into_iter().reduce(f64::max));
}

/// The command is there where the workspace is tested.
fn who_serves() -> &'static [&'static str] {
    let command = std::path::Path::new(env!("CARGO_BIN_EXE_mappable-bench")).with_file_name("mappable");
    if command.exists() { &["mappable", "plain", "stock"] } else { &["stock"] }
}

#[test]
fn every_response_is_right_in_every_case() {
    let place = Place::new();
    let methods = who_serves();
    let report = place.bench(SERVE.iter().chain(&["--json", "--methods", &methods.join(",")])).succeeds().json();
    says_what_it_was_taken_with(&report);
    let rows = report["rows"].as_array().unwrap();
    let name = |row: &Value| format!("{} {} {}", row["case"], row["connections"], row["method"]).replace('"', "");
    let names: Vec<_> = rows.iter().map(name).collect();
    let mut expected = vec![];
    for case in ["echo", "body", "region", "lookup"] {
        for connections in [1, 3] {
            let knows = |method: &&&str| **method != "plain" || ["echo", "body"].contains(&case);
            expected.extend(methods.iter().filter(knows).map(|method| format!("{case} {connections} {method}")));
        }
    }
    assert_eq!(names, expected);
    for row in rows {
        let figures = ["per_second", "p99_ns", "process_bytes"].map(|name| row[name].as_f64().unwrap());
        assert!(figures.iter().all(|figure| *figure > 0.0), "{row}");
    }
    let compared = report["summary"]["throughput"].as_object().unwrap().len();
    assert_eq!(compared, if methods.len() == 3 { 6 } else { 0 });
}

#[test]
fn serve_is_a_table_for_people() {
    let place = Place::new();
    let text = place.bench(SERVE.iter().chain(&["--cases", "echo,lookup", "--methods", "stock"])).succeeds().stdout();
    for word in ["| echo ", "| lookup ", "| stock ", "the table 1 MiB"] {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
}

#[test]
fn cold_is_a_table_for_people_of_each_case() {
    let place = Place::new();
    let text = place.bench(COLD.iter().chain(&["--cases", "kept", "--methods", "auto,remap"])).succeeds().stdout();
    for word in ["kept:\n", "| instantiate |", "| 128 KiB | remap ", "auto ÷ the best fixed strategy, at most: "] {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
    assert!(!text.contains("fresh") && !text.contains("lists, at most"), "{text}");
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let place = Place::new();
    place.bench(["share", "--size", "100"]).fails(1, &["64 KiB", "100 is not"]);
    place.bench(["access", "--sizes", "65537"]).fails(1, &["64 KiB", "65537 is not"]);
    place.bench(["lists", "--sizes", "18"]).fails(1, &["whole words up to 256 MiB", "18 is not"]);
    place.bench(["cold", "--sizes", "100"]).fails(1, &["whole lines of 64 bytes", "100 is not"]);
    place.bench(["hop", "--sizes", "63"]).fails(1, &["64 bytes to 1 GiB", "63 is not"]);
    assert_eq!(place.bench(["share", "--size", "1MB"]).code(), 2);
    assert_eq!(place.bench(["share", "--instances", "0"]).code(), 2);
    assert_eq!(place.bench(["scale", "--thrash", "4097"]).code(), 2);
    place.bench(["counts", "--sizes", "63"]).fails(1, &["64 bytes to 1 GiB", "63 is not"]);
}

#[test]
fn ordinary_components_are_measured_in_every_group() {
    let place = Place::new();
    let report = place.bench(ORDINARY.iter().chain(&["--json"])).succeeds().json();
    says_what_it_was_taken_with(&report);
    let rows = report["rows"].as_array().unwrap();
    let methods: Vec<_> = rows.iter().map(|row| row["method"].as_str().unwrap()).collect();
    assert!(methods.chunks(3).all(|methods| methods == ["stock", "pooling", "ours"]), "{methods:?}");
    let groups = ["kernels", "calls", "alloc", "list_u8", "string", "grow", "instantiate", "compile", "resident"];
    for (group, count) in groups.into_iter().zip([7, 3, 2, 2, 2, 4, 9, 2, 3]) {
        let rows = rows.iter().filter(|row| row["group"] == group);
        assert_eq!(rows.clone().count(), 3 * count, "{group}");
        assert!(rows.clone().all(|row| row["resident_bytes"].is_number() == (group == "resident")), "{group}");
        for other in ["stock", "pooling"] {
            summary(&report, &format!("{group}_over_{other}"));
        }
    }
}

#[test]
fn ordinary_is_a_table_for_people() {
    let place = Place::new();
    let some = ["--groups", "calls,resident", "--methods", "stock,ours"];
    let text = place.bench(ORDINARY.iter().chain(&some)).succeeds().stdout();
    for word in ["| guest calls guest |", "| data, untouched |", "| ours ÷ stock |", "calls_over_stock: "] {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
    assert!(!text.contains("pooling ") && !text.contains("kernels"), "{text}");
    place.bench(["ordinary", "--sizes", "100"]).fails(1, &["whole granules"]);
}
