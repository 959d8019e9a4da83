//! `mappable run`.

use super::support::{Place, guest};

#[test]
fn an_application_maps_and_has_its_arguments() {
    let place = Place::new();
    let done = place.mappable(["run", guest("hello-map.wasm").to_str().unwrap(), "one", "--two"]).succeeds();
    assert!(done.stdout().contains("one --two"), "{}", done.stdout());
}

#[test]
fn all_that_follows_the_application_is_its_own() {
    let place = Place::new();
    let app = guest("hello-map.wasm");
    for own in [&["--help"][..], &["-h"], &["--dir", "nowhere"], &["--env"], &["--", "--tier"], &["x", "--version"]] {
        let args = ["run", "--tier", "baseline", app.to_str().unwrap()];
        let done = place.mappable(args.iter().chain(own)).succeeds();
        assert!(done.stdout().contains(&own.join(" ")), "{own:?}: {}", done.stdout());
    }
    let done = place.mappable(["run", "--help"]).succeeds();
    assert!(done.stdout().contains("--dir-ro"), "{}", done.stdout());
    assert_eq!(place.mappable(["run", "--no-such-option", app.to_str().unwrap()]).code(), 2);
}

#[test]
fn an_application_maps_by_every_mode_and_tier() {
    let place = Place::new();
    let app = guest("hello-map.wasm");
    let said = |options: &[&str]| {
        let args = ["run"].iter().chain(options).copied().chain([app.to_str().unwrap(), "same"]);
        place.mappable(args).succeeds().stdout()
    };
    let expected = said(&[]);
    for mode in ["auto", "remap", "copy"] {
        for tier in ["auto", "baseline", "ledger"] {
            assert_eq!(said(&["--mapping-mode", mode, "--tier", tier]), expected, "{mode} {tier}");
        }
    }
}

/// A command in text that calls one function of its environment and ends so.
fn app(body: &str) -> String {
    format!(
        r#"(component
          (import "wasi:cli/exit@0.2.0" (instance $exit
            (export "exit" (func (param "status" (result))))))
          (core func $exit (canon lower (func $exit "exit")))
          (core module $m
            (import "wasi" "exit" (func $exit (param i32)))
            (func (export "run") (result i32) {body}))
          (core instance $i (instantiate $m (with "wasi" (instance (export "exit" (func $exit))))))
          (func $run (result (result)) (canon lift (core func $i "run")))
          (instance $cli (export "run" (func $run)))
          (export "wasi:cli/run@0.2.0" (instance $cli)))"#
    )
}

/// The same of WASI 0.3, by a task: it returns what `body` leaves and ends.
fn later_app(body: &str) -> String {
    format!(
        r#"(component
          (import "wasi:cli/exit@0.3.0" (instance $exit
            (export "exit" (func (param "status" (result))))))
          (core func $exit (canon lower (func $exit "exit")))
          (core func $return (canon task.return (result (result))))
          (core module $m
            (import "wasi" "exit" (func $exit (param i32)))
            (import "task" "return" (func $return (param i32)))
            (func (export "run") (result i32) (call $return {body}) (i32.const 0))
            (func (export "event") (param i32 i32 i32) (result i32) unreachable))
          (core instance $i (instantiate $m
            (with "wasi" (instance (export "exit" (func $exit))))
            (with "task" (instance (export "return" (func $return))))))
          (func $run async (result (result)) (canon lift (core func $i "run") async (callback (core func $i "event"))))
          (instance $cli (export "run" (func $run)))
          (export "wasi:cli/run@0.3.0" (instance $cli)))"#
    )
}

#[test]
fn a_command_is_of_what_it_exports() {
    let place = Place::new();
    for body in ["(i32.const 0)", "(i32.const 1)", "(call $exit (i32.const 1)) (i32.const 0)"] {
        place.file("now.wat", app(body));
        place.file("later.wat", later_app(body));
        let (now, later) = (place.mappable(["run", "now.wat"]), place.mappable(["run", "later.wat"]));
        assert_eq!((later.code(), later.stderr()), (now.code(), now.stderr()), "{body}");
    }
    place.file("later.wat", later_app("unreachable"));
    place.mappable(["run", "later.wat"]).fails(134, &["later.wat", "trapped", "unreachable"]);
    // A draft of 0.3 is another world.
    place.file("draft.wat", later_app("(i32.const 0)").replace("run@0.3.0", "run@0.3.0-rc-2026-03-15"));
    place.mappable(["run", "draft.wat"]).fails(3, &["draft.wat", "not a WASI command", "wasi:cli/run"]);
}

#[test]
fn a_command_of_stock_tools_maps_and_prints() {
    let place = Place::new();
    for mode in ["auto", "remap", "copy"] {
        let app = guest("command.wasm");
        let done = place.mappable(["run", "--mapping-mode", mode, app.to_str().unwrap(), "one", "--two"]).succeeds();
        assert_eq!(done.stdout(), "hello later: one --two\n");
    }
}

/// A command that waits for so many nanoseconds.
fn waits(nanoseconds: u64) -> String {
    format!(
        r#"(component
          (import "wasi:io/poll@0.2.0" (instance $poll
            (export "pollable" (type $pollable (sub resource)))
            (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
          (alias export $poll "pollable" (type $pollable))
          (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
            (alias outer 1 $pollable (type $outer))
            (export "pollable" (type $pollable (eq $outer)))
            (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
          (core func $block (canon lower (func $poll "[method]pollable.block")))
          (core func $subscribe (canon lower (func $clock "subscribe-duration")))
          (core module $m
            (import "wasi" "block" (func $block (param i32)))
            (import "wasi" "subscribe" (func $subscribe (param i64) (result i32)))
            (func (export "run") (result i32)
              (call $block (call $subscribe (i64.const {nanoseconds})))
              (i32.const 0)))
          (core instance $i (instantiate $m (with "wasi" (instance
            (export "block" (func $block)) (export "subscribe" (func $subscribe))))))
          (func $run (result (result)) (canon lift (core func $i "run")))
          (instance $cli (export "run" (func $run)))
          (export "wasi:cli/run@0.2.0" (instance $cli)))"#
    )
}

#[test]
fn an_application_is_stopped_when_its_time_is_up() {
    let place = Place::new();
    let spin = "(loop (br 0)) (i32.const 0)";
    for (name, app) in [("now.wat", app(spin)), ("later.wat", later_app(spin)), ("waits.wat", waits(u64::MAX))] {
        place.file(name, app);
        place.mappable(["run", "--timeout", "200ms", name]).fails(124, &[name, "200ms", "--timeout"]);
    }
    place.file("waits.wat", waits(1_000_000));
    place.mappable(["run", "--timeout", "1h", "waits.wat"]).succeeds();
    assert_eq!(place.mappable(["run", "--timeout", "0s", "waits.wat"]).code(), 2);
}

#[test]
fn an_application_has_so_much_memory_and_no_more() {
    let place = Place::new();
    let with_memory = |body| app(body).replace("(func (export \"run\")", "(memory 1) (func (export \"run\")");
    place.file("grows.wat", with_memory("(i32.eq (memory.grow (i32.const 16)) (i32.const -1))"));
    let code = |options: &[&str]| place.mappable([&["run"], options, &["grows.wat"]].concat()).code();
    assert_eq!((code(&[]), code(&["--max-memory", "2MiB"])), (0, 0));
    assert_eq!(code(&["--max-memory", "1MiB"]), 1);
    // `hello-map` has a region of 1 MiB.
    let app = guest("hello-map.wasm");
    let code = |size: &str| place.mappable(["run", "--max-regions", size, app.to_str().unwrap()]).code();
    assert_eq!((code("1MiB"), code("960KiB")), (0, 1));
    // One that traps when it gets no more is told of both.
    place.file(
        "dies.wat",
        with_memory("(if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable)) (i32.const 0)"),
    );
    place
        .mappable(["run", "--max-memory", "1MiB", "dies.wat"])
        .fails(134, &["ran out of memory", "1.00 MiB", "unreachable"]);
}

#[test]
fn exits_with_the_applications_code() {
    let place = Place::new();
    for (body, code) in [
        ("(i32.const 0)", 0),
        ("(i32.const 1)", 1),
        ("(call $exit (i32.const 0)) (i32.const 1)", 0),
        ("(call $exit (i32.const 1)) (i32.const 0)", 1),
    ] {
        place.file("app.wat", app(body));
        let done = place.mappable(["run", "app.wat"]);
        assert_eq!((done.code(), done.stderr().as_str()), (code, ""), "{body}");
    }
    place.file("app.wat", app("unreachable"));
    place.mappable(["run", "app.wat"]).fails(134, &["app.wat", "trapped", "unreachable"]);
}

/// Fails unless it is given `dirs` folders and `envs` variables.
fn counts(dirs: u32, envs: u32) -> String {
    format!(
        r#"(component
          (import "wasi:filesystem/types@0.2.0" (instance $types (export "descriptor" (type (sub resource)))))
          (alias export $types "descriptor" (type $descriptor))
          (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
            (alias outer 1 $descriptor (type $outer))
            (export "descriptor" (type $descriptor (eq $outer)))
            (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))
          (import "wasi:cli/environment@0.2.0" (instance $environment
            (export "get-environment" (func (result (list (tuple string string)))))))
          (core module $memory
            (memory (export "memory") 2)
            (global $free (mut i32) (i32.const 1024))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
              (global.get $free)
              (global.set $free (i32.and
                (i32.add (i32.add (global.get $free) (local.get 3)) (i32.const 7)) (i32.const -8)))))
          (core instance $own (instantiate $memory))
          (core func $dirs (canon lower (func $preopens "get-directories")
            (memory $own "memory") (realloc (func $own "realloc"))))
          (core func $envs (canon lower (func $environment "get-environment")
            (memory $own "memory") (realloc (func $own "realloc"))))
          (core module $m
            (import "wasi" "memory" (memory 1))
            (import "wasi" "dirs" (func $dirs (param i32)))
            (import "wasi" "envs" (func $envs (param i32)))
            (func (export "run") (result i32)
              (call $dirs (i32.const 0))
              (call $envs (i32.const 8))
              (i32.or
                (i32.ne (i32.load (i32.const 4)) (i32.const {dirs}))
                (i32.ne (i32.load (i32.const 12)) (i32.const {envs})))))
          (core instance $i (instantiate $m (with "wasi" (instance
            (export "memory" (memory $own "memory")) (export "dirs" (func $dirs)) (export "envs" (func $envs))))))
          (func $run (result (result)) (canon lift (core func $i "run")))
          (instance $cli (export "run" (func $run)))
          (export "wasi:cli/run@0.2.0" (instance $cli)))"#
    )
}

#[test]
fn an_application_has_what_it_is_given() {
    let place = Place::new();
    place.file("none.wat", counts(0, 0));
    place.mappable(["run", "none.wat"]).succeeds();
    place.file("some.wat", counts(2, 3));
    let given = ["--dir", ".", "--dir", "/::/root", "--env", "A=1", "--env", "B=", "--env", "PATH"];
    place.mappable(["run"].into_iter().chain(given).chain(["some.wat"])).succeeds();
    assert_eq!(place.mappable(["run", "some.wat"]).code(), 1);
}

#[test]
fn a_folder_may_be_given_to_be_read_only() {
    let place = Place::new();
    place.file("writes.wat", include_str!("writes.wat"));
    let run = |option: &str| place.mappable(["run", option, ".::/given", "writes.wat"]).code();
    assert_eq!((run("--dir-ro"), place.names()), (1, vec!["writes.wat".to_owned()]));
    assert_eq!((run("--dir"), place.names()), (0, vec!["made".to_owned(), "writes.wat".to_owned()]));
    place.file("app.wat", app("(i32.const 0)"));
    place.mappable(["run", "--dir-ro", "nowhere", "app.wat"]).fails(1, &["--dir-ro nowhere", "No such file"]);
}

/// What is short is the address space, which a shell limits.
#[cfg(target_os = "linux")]
#[test]
fn what_is_short_is_told_with_what_to_do() {
    let place = Place::new();
    let app = guest("hello-map.wasm");
    let limited = |mode: &str| {
        let command = [env!("CARGO_BIN_EXE_mappable"), "run", "--mapping-mode", mode, app.to_str().unwrap()];
        place.command("sh", ["-c", "ulimit -v 4194304 && exec \"$@\"", "sh"].iter().chain(&command))
    };
    limited("remap").fails(1, &["Cannot allocate memory", "`ulimit -v`", "--mapping-mode copy"]);
    limited("copy").succeeds();
}

#[test]
fn what_can_not_be_run() {
    let place = Place::new();
    place.mappable(["run", "missing.wasm"]).fails(3, &["missing.wasm", "No such file"]);
    place.file("module.wat", "(module)");
    place.mappable(["run", "module.wat"]).fails(3, &["module.wat", "a core module", "`_start`"]);
    let stage = guest("blur.wasm");
    place.mappable(["run", stage.to_str().unwrap()]).fails(3, &["blur.wasm", "wasi:cli/run"]);
    place.file("empty.wasm", "");
    place.mappable(["run", "empty.wasm"]).fails(3, &["empty.wasm: the file is empty"]);
    place.file(
        "web.wat",
        r#"(component (import "wasi:http/types@0.2.0" (instance (export "fields" (type (sub resource))))))"#,
    );
    place.mappable(["run", "web.wat"]).fails(3, &["web.wat", "`wasi:http/types@0.2.0`", "no network"]);
    place.file("app.wat", app("(i32.const 0)"));
    place.mappable(["run", "--dir", "nowhere", "app.wat"]).fails(1, &["--dir nowhere", "No such file"]);
    place.mappable(["run", "--env", "NOT_SET_ANYWHERE", "app.wat"]).fails(2, &["NOT_SET_ANYWHERE"]);
}

#[test]
fn what_was_compiled_is_kept_where_it_is_wanted() {
    let place = Place::new();
    let app = place.file("app.wat", app("(i32.const 0)"));
    let run = |options: &[&str]| {
        let args = [&["run"], options, &[app.to_str().unwrap()]].concat();
        place.mappable(args).succeeds();
    };
    let kept = || std::fs::read_dir(place.path("kept")).map_or(0, Iterator::count);
    run(&["--no-cache"]);
    assert_eq!(kept(), 0);
    for _ in 0..2 {
        run(&["--cache", "kept"]);
        assert_eq!(kept(), 1);
    }
    run(&["--cache", "kept", "--tier", "baseline"]);
    assert_eq!(kept(), 2);
}

#[cfg(unix)]
#[test]
fn compiled_code_is_not_kept_where_others_may_write() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    let app = place.file("app.wat", app("(i32.const 0)"));
    let folder = place.path("open");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let args = ["run", "--cache", "open", app.to_str().unwrap()];
    place.mappable(args).fails(2, &["--cache open", "others may write to it"]);
}
