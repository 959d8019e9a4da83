//! Programs of WASI preview 1, in text: what a compiler of C makes, and what it does not. `.ci/c` runs those that it makes.

use super::support::{Done, Place};

/// A program with these functions, that has a file `name` at 100 and its descriptor at 200 when `$main` is called.
fn program(main: &str) -> String {
    format!(
        r#"(module
          (import "wasi_snapshot_preview1" "path_open"
            (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fd_fdstat_get (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "mappable-descriptor" (func $descriptor (result i32)))
          (import "mappable:files/p2@0.1.0" "freeze" (func $freeze (param i32 i64 i64 i32)))
          (import "mappable:memory/types@0.1.0" "[static]frozen.map" (func $map (param i32 i32 i32 i32)))
          (memory (export "memory") 3)
          (data (i32.const 100) "name")
          (global $file (mut i32) (i32.const 0))
          ;; The first folder that was given.
          (func $open (param $rights i64)
            (if (call $path_open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 4) (i32.const 0)
                  (local.get $rights) (i64.const 0) (i32.const 0) (i32.const 200))
              (then unreachable))
            (global.set $file (i32.load (i32.const 200))))
          (func $read (call $open (i64.const 2)))
          (func $write (call $open (i64.const 64)))
          (func $find (result i32)
            (drop (call $fd_fdstat_get (global.get $file) (i32.const 300)))
            (call $descriptor))
          (func $freeze-all (param $descriptor i32)
            (call $freeze (local.get $descriptor) (i64.const 0) (i64.const -1) (i32.const 400)))
          (func $say (param $at i32) (param $len i32)
            (i32.store (i32.const 500) (local.get $at))
            (i32.store (i32.const 504) (local.get $len))
            (drop (call $fd_write (i32.const 1) (i32.const 500) (i32.const 1) (i32.const 508))))
          (func $main (export "_start") {main})
          (@custom "component-type:test" "{}"))"#,
        component_type()
    )
}

/// What the library for C puts into a program, as a text has it.
fn component_type() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/c/src/component-type.bin");
    std::fs::read(path).unwrap().iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// Runs a program that may read and write a file of three bytes.
fn run(main: &str, options: &[&str]) -> Done {
    let place = Place::new();
    place.file("name", "abc");
    place.file("app.wat", program(main));
    place.mappable([&["run", "--dir", "."], options, &["app.wat"]].concat())
}

#[test]
fn a_core_module_is_run_as_a_program_of_preview_1() {
    let text = |code: u32| {
        format!(
            r#"(module
              (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
              (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
              (memory (export "memory") 1)
              (data (i32.const 0) "\10\00\00\00\06\00\00\00")
              (data (i32.const 16) "hello\n")
              (func (export "_start")
                (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                (call $proc_exit (i32.const {code}))))"#
        )
    };
    let place = Place::new();
    place.file("good.wat", text(0));
    place.file("bad.wat", text(7));
    place.file("good.wasm", wat::parse_str(text(0)).unwrap());
    assert_eq!(place.mappable(["run", "good.wat"]).succeeds().stdout(), "hello\n");
    assert_eq!(place.mappable(["run", "good.wasm"]).succeeds().stdout(), "hello\n");
    // WASI 0.2 has no other code.
    let done = place.mappable(["run", "bad.wat"]);
    assert_eq!((done.code(), done.stdout().as_str(), done.stderr().as_str()), (1, "hello\n", ""));

    place.mappable(["component", "good.wat", "-o", "made.wasm"]).succeeds();
    assert_eq!(place.mappable(["run", "made.wasm"]).succeeds().stdout(), "hello\n");
    let told = |file: &str| place.mappable(["inspect", "--json", file]).succeeds().json();
    assert_eq!(told("good.wat"), told("made.wasm"));
    place.mappable(["component", "made.wasm", "-o", "again.wasm"]).fails(3, &["made.wasm", "not a core module"]);
    place.mappable(["component", "good.wat", "-o", "made.txt"]).fails(2, &[".wasm"]);
    place.mappable(["component", "none.wat", "-o", "again.wasm"]).fails(3, &["none.wat", "No such file"]);
    assert_eq!(place.names(), ["bad.wat", "good.wasm", "good.wat", "made.wasm"]);
}

#[test]
fn what_is_no_program_is_refused_with_the_reason() {
    let place = Place::new();
    for (name, text, why) in [
        ("empty", "(module)", "`_start`"),
        ("start", "(module (global (export \"_start\") i32 (i32.const 0)))", "`_start`"),
        ("import", "(module (import \"a\" \"b\" (func)) (func (export \"_start\")))", "`a`"),
        (
            "wasi",
            "(module (import \"wasi_snapshot_preview1\" \"b\" (func)) (memory (export \"memory\") 1) (func (export \"_start\")))",
            "`b`",
        ),
    ] {
        let file = format!("{name}.wat");
        place.file(&file, text);
        for command in [&["run"][..], &["inspect"], &["component", "-o", "out.wasm"]] {
            let command = [command, &[&file]].concat();
            place.mappable(&command).fails(3, &[&file, "a core module, but no WASI program", why]);
        }
        assert!(!place.path("out.wasm").exists(), "{name}");
    }
}

#[test]
fn a_program_maps_a_file_by_the_adapters_descriptor() {
    let main = "
        (call $read)
        (call $freeze-all (call $find))
        (if (i32.load8_u (i32.const 400)) (then unreachable))
        ;; It stays when the file is closed.
        (drop (call $fd_close (global.get $file)))
        (call $map (i32.load (i32.const 408)) (i32.const 65536) (i32.const 65536) (i32.const 600))
        (if (i32.load8_u (i32.const 600)) (then unreachable))
        (call $say (i32.const 65536) (i32.const 3))";
    for mode in ["auto", "remap", "copy"] {
        for tier in ["baseline", "ledger"] {
            let done = run(main, &["--mapping-mode", mode, "--tier", tier]);
            assert_eq!(done.succeeds().stdout(), "abc", "{mode}, {tier}");
        }
    }
}

#[test]
fn a_program_learns_of_no_descriptor_but_the_one_that_it_asked_for() {
    // Once, and not of a stream, of what is closed, or of what was never there.
    let main = "
        (call $read)
        (if (i32.eqz (call $find)) (then unreachable))
        (if (call $descriptor) (then unreachable))
        (drop (call $fd_close (global.get $file)))
        (if (call $find) (then unreachable))
        (global.set $file (i32.const 1))
        (if (call $find) (then unreachable))
        (global.set $file (i32.const 1000))
        (if (call $find) (then unreachable))
        (call $say (i32.const 100) (i32.const 4))";
    assert_eq!(run(main, &[]).succeeds().stdout(), "name");
}

#[test]
fn what_a_descriptor_may_not_do_it_may_not_do_by_its_number() {
    // `access` is the first of the codes.
    let main = "
        (call $write)
        (call $freeze-all (call $find))
        (if (i32.ne (i32.load8_u (i32.const 400)) (i32.const 1)) (then unreachable))
        (if (i32.load8_u (i32.const 408)) (then unreachable))
        (call $say (i32.const 100) (i32.const 4))";
    assert_eq!(run(main, &[]).succeeds().stdout(), "name");
}

#[test]
fn a_number_that_is_no_descriptors_traps() {
    for tier in ["baseline", "ledger"] {
        for number in ["i32.const 0", "i32.const 12345", "i32.const -1", "i32.const 0x20000001"] {
            let main = format!("(call $read) (drop (call $find)) (call $freeze-all ({number}))");
            run(&main, &["--tier", tier]).fails(134, &["app.wat", "handle"]);
        }
        // That of a file that is closed.
        let main = "
            (local $descriptor i32)
            (call $read)
            (local.set $descriptor (call $find))
            (drop (call $fd_close (global.get $file)))
            (call $freeze-all (local.get $descriptor))";
        run(main, &["--tier", tier]).fails(134, &["app.wat", "handle"]);
    }
}

#[test]
fn a_damaged_description_of_the_imports_is_refused_with_one_line() {
    let place = Place::new();
    let module = wat::parse_str(program("(call $freeze-all (call $find))")).unwrap();
    let name = b"component-type:test";
    let begin = module.windows(name.len()).position(|bytes| bytes == name).unwrap() + name.len();
    let mut refused = 0;
    for at in (begin..module.len()).step_by(29) {
        let mut damaged = module.clone();
        damaged[at] ^= 0x55;
        place.file("app.wasm", damaged);
        let done = place.mappable(["component", "app.wasm", "-o", "out.wasm"]);
        if done.code() != 0 {
            done.fails(3, &["app.wasm", "no WASI program"]);
            refused += 1;
        }
    }
    assert!(refused > 10, "{refused}");
}
