//! `component`: libraries, which are of a world that the user names. `preview1` has programs.

use super::support::{Done, Place, guest, photo};

/// A stage that returns the region that it is handed, as a compiler would make it.
const STAGE: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "mappable:stage/step@0.1.0#run")
      (param $region i32) (param $pixels i32) (param $width i32) (param $height i32) (param $size i64) (param i32 i32) (result i32)
      (i32.store8 (i32.const 64) (i32.const 0))
      (i32.store (i32.const 72) (local.get $region))
      (i32.store8 (i32.const 80) (local.get $pixels))
      (i32.store (i32.const 84) (local.get $width))
      (i32.store (i32.const 88) (local.get $height))
      (i64.store (i32.const 96) (local.get $size))
      (i32.const 64))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))"#;

fn made(place: &Place, options: &[&str], module: &str) -> Done {
    place.file("core.wat", module);
    place.mappable([&["component", "core.wat", "-o", "made.wasm"], options].concat())
}

#[test]
fn a_library_of_a_world_that_the_command_knows_is_a_component() {
    let place = Place::new();
    made(&place, &["--world", "mappable:stage/stage"], STAGE).succeeds();
    let picture = photo("chelsea.png");
    let pipe = |stages: &[&str]| {
        let io = ["-i", picture.to_str().unwrap(), "-o", "out.png"];
        place.mappable([&["pipe"], &io[..], stages].concat()).succeeds();
        std::fs::read(place.path("out.png")).unwrap()
    };
    assert!(pipe(&["./made.wasm", "grayscale"]) == pipe(&["grayscale"]));
    // What is no component yet says what to do.
    let io = ["pipe", "-i", picture.to_str().unwrap(), "-o", "out.png", "./core.wat"];
    place.mappable(io).fails(3, &["it is a core module", "`mappable component --world mappable:stage/stage`"]);
}

#[test]
fn a_wit_of_the_users_may_use_the_commands_packages_or_copies_of_them() {
    let module = r#"(module
        (import "mappable:memory/types@0.1.0" "[method]mappable.size" (func (param i32) (result i64)))
        (memory (export "memory") 1)
        (func (export "keep") (param i32) (result i32) (local.get 0))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable))"#;
    let wit = "package a:b; world w { use mappable:memory/types@0.1.0.{mappable}; export keep: func(it: mappable) -> mappable; }";
    let place = Place::new();
    place.file("world.wit", wit);
    made(&place, &["--wit", "world.wit"], module).succeeds();
    let told = place.mappable(["inspect", "made.wasm"]).succeeds().stdout();
    assert!(told.contains("mappable:memory/types@0.1.0#[method]mappable.size") && told.contains("keep"), "{told}");

    std::fs::create_dir_all(place.path("wit/deps")).unwrap();
    place.file("wit/world.wit", wit);
    made(&place, &["--wit", "wit", "--world", "w"], module).succeeds();
    place.file("wit/deps/mappable.wit", include_str!("../../../../wit/mappable.wit"));
    made(&place, &["--wit", "wit", "--world", "a:b/w"], module).succeeds();
}

#[test]
fn what_is_not_of_the_world_is_refused_with_the_reason() {
    let place = Place::new();
    place.file("two.wit", "package a:b; world one { export f: func(); } world two {}");
    place.file("bad.wit", "package a:b; world w { export f: func( }");
    place.file("missing.wit", "package a:b; world w { import no:such/thing; }");
    for (options, module, says) in [
        (&["--world", "mappable:stage/stage"][..], "(module)", "mappable:stage/step@0.1.0"),
        (&["--world", "mappable:stage/none"], STAGE, "none"),
        (&["--world", "stage"], STAGE, "mappable:stage/stage"),
        (&["--wit", "two.wit"], STAGE, "two"),
        (&["--wit", "two.wit", "--world", "one"], STAGE, "f"),
        (&["--wit", "bad.wit"], STAGE, "bad.wit"),
        (&["--wit", "missing.wit"], STAGE, "no:such"),
        (&["--wit", "none"], STAGE, "none"),
        (&[], STAGE, "--world"),
    ] {
        made(&place, options, module).fails(3, &["core.wat", says]);
        assert!(!place.path("made.wasm").exists(), "{options:?}");
    }
    // Whoever does not make components is told which command does.
    place.file("core.wat", STAGE);
    for command in ["run", "inspect"] {
        place.mappable([command, "core.wat"]).fails(3, &["no function `_start`", "by `mappable component --world`"]);
    }
    let component = guest("blur.wasm");
    let component = component.to_str().unwrap();
    place
        .mappable(["component", component, "-o", "made.wasm", "--world", "w"])
        .fails(3, &["not a core module: it is a component already"]);
}

#[test]
fn a_program_that_imports_regions_needs_nobody_to_say_so() {
    let place = Place::new();
    let program = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
        (import "mappable:memory/types@0.1.0" "granule" (func $granule (result i32)))
        (memory (export "memory") 1)
        (func (export "_start") (call $proc_exit (i32.ne (call $granule) (i32.const 65536)))))"#;
    place.file("app.wat", program);
    place.mappable(["run", "app.wat"]).succeeds();
    made(&place, &[], program).succeeds();
    place.mappable(["run", "made.wasm"]).succeeds();
}
