//! Stages that import WASI, as the runtimes of many languages do: they run, and are given clocks, random numbers and somewhere to
//! print to, and nothing else.

use std::fs;

use super::support::{Done, Place, encode_png};

const TIERS: [&str; 2] = ["baseline", "ledger"];

/// A stage of a core module of WASI preview 1, that does this to the picture before it hands it back.
fn stage(place: &Place, name: &str, body: &str) {
    let module = format!(
        r#"(module
          (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
          (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") 1)
          (data (i32.const 256) "hello\n\1b[2Jerror: no\nno end")
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (i32.shl (memory.grow (i32.shr_u (i32.add (local.get 3) (i32.const 65535)) (i32.const 16))) (i32.const 16)))
          (func $is (param i32) (if (i32.eqz (local.get 0)) (then unreachable)))
          ;; Writes so many of the bytes at 256.
          (func $print (param $output i32) (param $bytes i32)
            (i32.store (i32.const 128) (i32.const 256))
            (i32.store (i32.const 132) (local.get $bytes))
            (call $is (i32.eqz (call $write (local.get $output) (i32.const 128) (i32.const 1) (i32.const 136))))
            (call $is (i32.eq (i32.load (i32.const 136)) (local.get $bytes))))
          (func (export "mappable:stage/step@0.1.0#run")
            (param $region i32) (param $pixels i32) (param $width i32) (param $height i32) (param $size i64) (param i32 i32)
            (result i32)
            {body}
            (i32.store (i32.const 8) (local.get $region))
            (i32.store8 (i32.const 16) (local.get $pixels))
            (i32.store (i32.const 20) (local.get $width))
            (i32.store (i32.const 24) (local.get $height))
            (i64.store (i32.const 32) (local.get $size))
            (i32.const 0)))"#
    );
    place.file("core.wat", module);
    place.mappable(["component", "--world", "mappable:stage/stage", "core.wat", "-o", name]).succeeds();
}

/// The stage that does no work, which imports this besides and first does that.
fn stage_in_text(place: &Place, imports: &str, lower: &str, core_import: &str, body: &str) {
    let idle = include_str!("../../src/stage/idle.wat");
    let mut text = idle.to_owned();
    for (at, added) in [
        ("(core module $memory", imports),
        ("(core module $idle", lower),
        (";; The handle in an answer", core_import),
        ("(local.set $length (i32.and", body),
    ] {
        assert_eq!(idle.matches(at).count(), 1, "{at}");
        text = text.replace(at, &format!("{added}\n{at}"));
    }
    let exports = "(export \"map\" (func $map))";
    assert_eq!(idle.matches(exports).count(), 1);
    text = text.replace(exports, &format!("(export \"added\" (func $added)) {exports}"));
    place.file("text.wat", text);
}

fn small() -> Place {
    let place = Place::new();
    fs::write(place.path("in.png"), encode_png(16, 8, [200, 100, 50])).unwrap();
    place.mappable(["pipe", "-i", "in.png", "-o", "whole.png", "decode"]).succeeds();
    place
}

fn pipe(place: &Place, args: &[&str]) -> Done {
    place.mappable(["pipe", "-i", "in.png", "-o", "out.png"].into_iter().chain(args.iter().copied()))
}

#[track_caller]
fn is_whole(place: &Place) {
    assert!(fs::read(place.path("out.png")).unwrap() == fs::read(place.path("whole.png")).unwrap());
    fs::remove_file(place.path("out.png")).unwrap();
}

/// What is there, and that nothing else is.
const LOOKS: &str = r#"
    ;; No arguments and no variables: the counts and sizes are 0.
    (call $is (i32.eqz (call $args (i32.const 64) (i32.const 68))))
    (call $is (i64.eqz (i64.load (i32.const 64))))
    (call $is (i32.eqz (call $environ (i32.const 64) (i32.const 68))))
    (call $is (i64.eqz (i64.load (i32.const 64))))
    ;; No folder: badf.
    (call $is (i32.eq (call $prestat (i32.const 3) (i32.const 64)) (i32.const 8)))
    ;; No input.
    (i32.store (i32.const 128) (i32.const 512))
    (i32.store (i32.const 132) (i32.const 64))
    (call $is (i32.eqz (call $read (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 136))))
    (call $is (i32.eqz (i32.load (i32.const 136))))
    ;; The time, and numbers.
    (call $is (i32.eqz (call $clock (i32.const 1) (i64.const 1) (i32.const 64))))
    (call $is (i64.ne (i64.load (i32.const 64)) (i64.const 0)))
    (call $is (i32.eqz (call $random (i32.const 64) (i32.const 16))))
    (call $is (i64.ne (i64.load (i32.const 64)) (i64.load (i32.const 72))))"#;

#[test]
fn a_stage_is_given_clocks_and_random_numbers_and_nothing_else() {
    let place = small();
    stage(&place, "looks.wasm", LOOKS);
    for tier in TIERS {
        for fused in [&[][..], &["--fused"]] {
            let stages = ["--tier", tier, "./looks.wasm", "grayscale", "./looks.wasm"];
            pipe(&place, &[fused, &stages].concat()).succeeds();
            fs::remove_file(place.path("out.png")).unwrap();
        }
        pipe(&place, &["--tier", tier, "./looks.wasm"]).succeeds();
        is_whole(&place);
    }
}

#[test]
fn a_portable_composition_imports_the_wasi_of_its_stages_and_nothing_else() {
    let place = small();
    stage(&place, "looks.wasm", LOOKS);
    place.mappable(["compose", "--portable", "./looks.wasm", "-o", "portable.wasm"]).succeeds();
    let engine = wasmtime::Engine::default();
    let component = wasmtime::component::Component::from_file(&engine, place.path("portable.wasm")).unwrap();
    let ty = component.component_type();
    let imports: Vec<_> = ty.imports(&engine).map(|(name, _)| name.to_owned()).collect();
    let others = imports.iter().filter(|name| !name.starts_with("wasi:"));
    assert_eq!(others.collect::<Vec<_>>(), ["mappable:stage/format@0.1.0"]);
    assert!(imports.iter().any(|name| name.starts_with("wasi:random/random@0.2.")), "{imports:?}");
}

#[test]
fn what_a_stage_prints_comes_on_stderr_with_its_name() {
    let place = small();
    stage(
        &place,
        "prints.wasm",
        "(call $print (i32.const 1) (i32.const 6)) (call $print (i32.const 2) (i32.const 26))",
    );
    // The stages of a composition have one name together.
    for (fused, title) in [(&[][..], "stage ./prints.wasm"), (&["--fused"], "stage decode+./prints.wasm+encode")] {
        let done = pipe(&place, &[fused, &["./prints.wasm"]].concat());
        let expected = format!("{title}: hello\n{title}: hello\n{title}: \u{fffd}[2Jerror: no\n{title}: no end\n");
        assert_eq!((done.code(), done.stderr()), (0, expected));
        is_whole(&place);
    }
    // The picture goes to stdout alone.
    let done = place.mappable(["pipe", "-i", "in.png", "-o", "-", "./prints.wasm"]);
    assert_eq!(done.0.stdout, fs::read(place.path("whole.png")).unwrap());
}

#[test]
fn a_stage_that_prints_without_end_ends() {
    let place = small();
    let body = "(local $n i32) (loop $more (call $print (i32.const 2) (i32.const 6))
        (br_if $more (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 20000))))";
    stage(&place, "prints.wasm", body);
    let done = pipe(&place, &["./prints.wasm"]);
    let lines = done.stderr().lines().count();
    let longest = "stage ./prints.wasm: hello\n".len();
    assert_eq!((done.code(), lines), (0, (64 << 10) / longest + 1), "lines, and the note");
    assert!(done.stderr().ends_with("(it prints more than is shown)\n"));
    is_whole(&place);
}

#[test]
fn a_stage_that_ends_itself_has_failed_whatever_it_says() {
    let place = small();
    for (code, told) in [("0", "exit code 0"), ("3", "exit code 1")] {
        stage(
            &place,
            "exits.wasm",
            &format!("(call $print (i32.const 2) (i32.const 6)) (call $exit (i32.const {code}))"),
        );
        let done = pipe(&place, &["./exits.wasm"]);
        let expected =
            format!("stage ./exits.wasm: hello\nerror: in.png: stage ./exits.wasm: ended itself, with {told}\n");
        assert_eq!((done.code(), done.stderr()), (4, expected));
        assert!(!place.path("out.png").exists());
    }
}

const SOCKETS: &str = r#"
  (import "wasi:sockets/network@0.2.0" (instance $network
    (type $codes (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout"
      "concurrency-conflict" "not-in-progress" "would-block" "invalid-state" "new-socket-limit" "address-not-bindable"
      "address-in-use" "remote-unreachable" "connection-refused" "connection-reset" "connection-aborted"
      "datagram-too-large" "name-unresolvable" "temporary-resolver-failure" "permanent-resolver-failure"))
    (export "error-code" (type (eq $codes)))
    (type $families (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type (eq $families)))))
  (alias export $network "error-code" (type $code))
  (alias export $network "ip-address-family" (type $family))
  (import "wasi:sockets/KIND@0.2.0" (instance $kind (export "KIND-socket" (type (sub resource)))))
  (alias export $kind "KIND-socket" (type $socket))
  (import "wasi:sockets/KIND-create-socket@0.2.0" (instance $create
    (export "error-code" (type $its-code (eq $code)))
    (export "ip-address-family" (type $its-family (eq $family)))
    (export "KIND-socket" (type $its-socket (eq $socket)))
    (export "create-KIND-socket" (func (param "address-family" $its-family)
      (result (result (own $its-socket) (error $its-code)))))))"#;

#[test]
fn a_stage_gets_no_socket() {
    let place = small();
    for kind in ["tcp", "udp"] {
        stage_in_text(
            &place,
            &SOCKETS.replace("KIND", kind),
            &format!("(core func $added (canon lower (func $create \"create-{kind}-socket\") (memory $mem)))"),
            "(import \"host\" \"added\" (func $create (param i32 i32)))",
            // The error is `access-denied`.
            "(call $create (i32.const 0) (i32.const 64))
             (if (i32.ne (i32.load8_u (i32.const 64)) (i32.const 1)) (then unreachable))
             (if (i32.ne (i32.load8_u (i32.const 68)) (i32.const 1)) (then unreachable))",
        );
        pipe(&place, &["./text.wat"]).succeeds();
        is_whole(&place);
    }
}

#[test]
fn a_stage_that_takes_timers_without_end_is_stopped() {
    let place = small();
    let take = |count: u32| {
        stage_in_text(
            &place,
            r#"(import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
               (alias export $poll "pollable" (type $pollable))
               (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
                 (export "pollable" (type $its-pollable (eq $pollable)))
                 (export "subscribe-duration" (func (param "when" u64) (result (own $its-pollable))))))"#,
            "(core func $added (canon lower (func $clock \"subscribe-duration\")))",
            "(import \"host\" \"added\" (func $subscribe (param i64) (result i32))) (global $taken (mut i32) (i32.const 0))",
            &format!(
                "(loop $more (drop (call $subscribe (i64.const 1)))
                   (global.set $taken (i32.add (global.get $taken) (i32.const 1)))
                   (br_if $more (i32.lt_u (global.get $taken) (i32.const {count}))))"
            ),
        );
        pipe(&place, &["./text.wat"])
    };
    take(400).succeeds();
    take(2_000).fails(4, &["stage ./text.wat: trapped: ", "no free"]);
}

#[test]
fn a_stage_that_imports_more_of_wasi_is_refused() {
    let place = small();
    let other = r#"(import "wasi:http/other@0.2.0" (instance (export "other" (type (sub resource)))))"#;
    stage_in_text(&place, other, "(alias core export $own \"memory\" (core memory $added))", "", "");
    let text = fs::read_to_string(place.path("text.wat")).unwrap();
    place.file("text.wat", text.replace("(export \"added\" (func $added))", ""));
    pipe(&place, &["./text.wat"]).fails(3, &["stage ./text.wat: not a stage: ", "wasi:http/other@0.2.0"]);
    pipe(&place, &["--fused", "./text.wat", "blur"]).fails(3, &["not a stage: ", "wasi:http/other@0.2.0", "not given"]);
}
