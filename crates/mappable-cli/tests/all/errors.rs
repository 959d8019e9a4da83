//! What goes wrong is one line that names the file, the stage and the cause, has its exit code, and leaves nothing.

use std::fs;
use std::path::Path;

use super::support::{Done, Place, encode_png, guest, photo};

/// Runs `pipe` from `in.png` (or the input given) to `out.png`, which is then as it was: not there.
#[track_caller]
fn pipe(place: &Place, input: &str, stages: &[&str]) -> Done {
    let before = place.names();
    let mut args = vec!["pipe", "-i", input, "-o", "out.png"];
    args.extend(stages);
    let done = place.mappable(args);
    assert_eq!(place.names(), before, "something was left, or lost");
    assert!(done.0.stdout.is_empty());
    done
}

fn small() -> Place {
    let place = Place::new();
    place.file("in.png", encode_png(16, 8, [200, 100, 50]));
    place
}

fn misbehaving(how: &str) -> String {
    format!("{}:{how}", guest("misbehaving.wasm").display())
}

#[test]
fn pictures_that_end_early() {
    let place = Place::new();
    for name in ["chelsea.png", "rocket.jpg"] {
        let whole = fs::read(photo(name)).unwrap();
        for at in [1, 2, 9, 30, 100, whole.len() / 3, whole.len() * 9 / 10] {
            place.file("cut.png", &whole[..at]);
            pipe(&place, "cut.png", &["grayscale"]).fails(1, &["cut.png: stage decode: the", "picture"]);
        }
    }
}

/// A picture with broken bytes is decoded or it is not, but nothing worse happens.
#[test]
fn pictures_with_broken_bytes() {
    let place = Place::new();
    let mut seed = 1_u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % below
    };
    for name in ["chelsea.png", "rocket.jpg"] {
        let whole = fs::read(photo(name)).unwrap();
        for round in 0..6 {
            let mut broken = whole.clone();
            // In the headers at first, then anywhere.
            let reach = if round < 3 { 700 } else { broken.len() };
            for _ in 0..8 {
                let at = 8 + random(reach - 8);
                broken[at] = random(256) as u8;
            }
            place.file("broken.png", &broken);
            let done = place.mappable(["pipe", "-i", "broken.png", "-o", "out.png", "resize:16x16"]);
            if done.code() == 0 {
                fs::remove_file(place.path("out.png")).unwrap();
            } else {
                done.fails(1, &["broken.png: stage "]);
            }
            assert_eq!(place.names(), ["broken.png"]);
        }
    }
}

#[test]
fn inputs_that_are_no_picture() {
    let place = Place::new();
    place.file("empty.png", "");
    pipe(&place, "empty.png", &["blur"]).fails(1, &["empty.png: there is nothing in it"]);
    pipe(&place, "missing.png", &["blur"]).fails(1, &["missing.png: No such file"]);
    pipe(&place, ".", &["blur"]).fails(1, &[".: it is a directory"]);
    pipe(&place, "-", &["blur"]).fails(1, &["stdin: there is nothing in it"]);
    place.file("text.png", "no picture at all\n");
    pipe(&place, "text.png", &["blur"]).fails(1, &["text.png: stage decode: the picture is neither PNG nor JPEG"]);
    // 200,000 x 200,000 pixels, or so its header says.
    let mut bomb = encode_png(1, 1, [0; 3]);
    bomb[16..20].copy_from_slice(&200_000_u32.to_be_bytes());
    bomb[20..24].copy_from_slice(&200_000_u32.to_be_bytes());
    place.file("bomb.png", &bomb);
    pipe(&place, "bomb.png", &["blur"]).fails(1, &["bomb.png: stage decode: "]);
}

#[test]
fn outputs_that_can_not_be() {
    let place = small();
    let to = |output: &str| place.mappable(["pipe", "-i", "in.png", "-o", output, "blur"]);
    to("nowhere/out.png").fails(1, &["nowhere/out.png: there is no folder nowhere"]);
    to(".").fails(1, &[".: it is a directory"]);
    to("out.jpg").fails(2, &["out.jpg", "PNG"]);
    #[cfg(target_os = "linux")]
    to("/dev/full").fails(1, &["/dev/full: not written: No space left"]);
    to("out").fails(2, &["out: ", ".png"]);
    assert_eq!(place.names(), ["in.png"]);
}

#[test]
fn an_output_that_exists_stays_when_the_work_fails() {
    let place = Place::new();
    place.file("out.png", "precious");
    place.file("text.png", "no picture at all\n");
    pipe(&place, "text.png", &["blur"]).fails(1, &["text.png"]);
    assert_eq!(fs::read(place.path("out.png")).unwrap(), b"precious");
}

#[test]
fn stages_that_there_are_not() {
    let place = small();
    pipe(&place, "in.png", &["blurr:3"]).fails(2, &["stage blurr", "there is no such stage", "grayscale"]);
    pipe(&place, "in.png", &["./missing.wasm"]).fails(3, &["stage ./missing.wasm", "No such file"]);
    pipe(&place, "in.png", &["."]).fails(2, &["there is no such stage"]);
    pipe(&place, "in.png", &["./"]).fails(3, &["stage ./", "Is a directory"]);
    assert_eq!(pipe(&place, "in.png", &[]).code(), 2);
}

#[test]
fn components_of_another_world() {
    let place = small();
    let by_path = |path: &Path, code, says: &[&str]| {
        let path = path.to_str().unwrap();
        let stage = format!("stage {path}: ");
        let says: Vec<_> = [stage.as_str()].into_iter().chain(says.iter().copied()).collect();
        pipe(&place, "in.png", &[path]).fails(code, &says);
        pipe(&place, "in.png", &["--fused", path]).fails(code, &[&stage]);
    };
    by_path(&guest("hello-map.wasm"), 3, &["it does not export `mappable:stage/step@0.1.0`", "wasi:cli/run"]);
    by_path(&guest("blur.copying.wasm"), 3, &["it does not export `mappable:stage/step@0.1.0`", "copying-step"]);
    by_path(&guest("pair.wasm"), 3, &["mappable:stage/first"]);
    by_path(&place.file("module.wat", "(module)"), 3, &["it is a core module"]);
    by_path(&place.file("text.wat", "(component (core"), 3, &[]);
    by_path(&place.file("nothing.wat", "(component)"), 3, &["but nothing"]);
    by_path(&place.file("empty.wasm", ""), 3, &[]);
    let whole = fs::read(guest("blur.wasm")).unwrap();
    by_path(&place.file("cut.wasm", &whole[..whole.len() / 2]), 3, &["not loaded: "]);
    // The right interface, and a function of another type.
    let odd = "(component (core module $m (func (export \"run\")))
        (core instance $i (instantiate $m)) (func $run (canon lift (core func $i \"run\")))
        (instance $step (export \"run\" (func $run))) (export \"mappable:stage/step@0.1.0\" (instance $step)))";
    by_path(&place.file("odd.wat", odd), 3, &[]);
    let lacks = "(component (instance $step) (export \"mappable:stage/step@0.1.0\" (instance $step)))";
    by_path(&place.file("lacks.wat", lacks), 3, &["no function `run`"]);
}

/// A component with one type in another, `depth` times, which a parser that recurses would not survive.
fn nested_types(depth: usize) -> Vec<u8> {
    let mut types = vec![0x01];
    (0..depth).for_each(|_| types.extend([0x41, 0x01, 0x01]));
    types.extend([0x41, 0x00]);
    let mut component = b"\0asm\x0d\0\x01\0\x07".to_vec();
    let mut len = types.len();
    while len >= 0x80 {
        component.push(len as u8 | 0x80);
        len >>= 7;
    }
    component.push(len as u8);
    component.extend(types);
    component
}

#[test]
fn components_nested_too_deeply() {
    let place = small();
    let path = place.file("deep.wasm", nested_types(5_000));
    let path = path.to_str().unwrap();
    for fused in [&[path][..], &["--fused", path]] {
        pipe(&place, "in.png", fused).fails(3, &["deep.wasm: not loaded: ", "deeper than"]);
    }
}

#[test]
fn inputs_larger_than_a_stage_may_have() {
    let place = small();
    fs::File::create(place.path("sparse.png")).unwrap().set_len(1 << 40).unwrap();
    pipe(&place, "sparse.png", &["blur"]).fails(1, &["sparse.png: ", "--max-memory"]);
    let done =
        place.mappable_with(["pipe", "--max-memory", "2", "-i", "-", "-o", "out.png", "blur"], &vec![7; 1 << 22]);
    done.fails(1, &["stdin: ", "--max-memory"]);
}

#[test]
fn arguments_that_a_stage_does_not_take() {
    let place = small();
    pipe(&place, "in.png", &["blur:big"]).fails(1, &["in.png: stage blur: ", "\"big\"", "radius"]);
    pipe(&place, "in.png", &["grayscale:1"]).fails(1, &["in.png: stage grayscale: "]);
    pipe(&place, "in.png", &["resize:0x0"]).fails(1, &["in.png: stage resize: "]);
    pipe(&place, "in.png", &["blur", "blur:x"]).fails(1, &["in.png: stage blur (number 3): "]);
    pipe(&place, "in.png", &["--fused", "grayscale", "blur:big"])
        .fails(1, &["in.png: stages decode+grayscale+blur+encode (fused): ", "\"big\""]);
    pipe(&place, "in.png", &["--fused", "blur:--"]).fails(2, &["stage blur: ", "`--`"]);
}

#[test]
fn stages_that_misbehave() {
    let place = small();
    for (how, code, says) in [
        ("trap", 4, "trapped: wasm `unreachable` instruction executed"),
        ("trap-mapped", 4, "trapped: "),
        ("error", 1, "the first line of the error and the second"),
        ("regions", 1, "after "),
        ("wrong-size", 1, "its header is wrong: it says "),
        ("wrong-geometry", 1, "its header is wrong: 1000x1000 pixels take 4000000 bytes"),
    ] {
        let stage = misbehaving(how);
        let title = format!("in.png: stage {}: ", guest("misbehaving.wasm").display());
        pipe(&place, "in.png", &[&stage]).fails(code, &[&title, says]);
    }
    let trap = misbehaving("trap");
    pipe(&place, "in.png", &["--fused", &trap, "blur"]).fails(4, &["in.png: stages decode+", "(fused): trapped: "]);
}

#[test]
fn a_stage_that_wants_all_memory() {
    let place = small();
    let stage = misbehaving("oom");
    pipe(&place, "in.png", &["--max-memory", "96", &stage])
        .fails(4, &["in.png: stage ", "misbehaving.wasm: ran out of memory: it wanted ", "may have 96.00 MiB"]);
}

#[test]
fn the_last_stage_must_give_a_file() {
    let place = small();
    pipe(&place, "in.png", &["--exact", "decode"]).fails(1, &["in.png: stage decode: ", "16x8 rgba8, not a file"]);
}

#[test]
fn a_picture_comes_from_somewhere_and_goes_somewhere() {
    let place = small();
    let without_both = place.mappable(["pipe", "grayscale"]);
    assert_eq!(without_both.code(), 2);
    for names in ["--input <FILE>|--from <SOCKET>", "--output <FILE>|--to <SOCKET>"] {
        assert!(without_both.stderr().contains(names), "{}", without_both.stderr());
    }
    let from_two = ["pipe", "-i", "in.png", "--from", "socket", "-o", "out.png", "grayscale"];
    let to_two = ["pipe", "-i", "in.png", "--to", "socket", "-o", "out.png", "grayscale"];
    for args in [from_two, to_two] {
        assert_eq!(place.mappable(args).code(), 2);
    }
    assert_eq!(place.names(), ["in.png"]);
}

#[test]
fn what_is_of_another_kind_is_told_what_runs_it() {
    let place = small();
    let (command, stage, service) = (guest("hello-map.wasm"), guest("misbehaving.wasm"), guest("service.wasm"));
    let [command, stage, service] = [&command, &stage, &service].map(|path| path.to_str().unwrap());
    pipe(&place, "in.png", &[command])
        .fails(3, &["not a stage: ", "but `wasi:cli/run@0.2", "; `mappable run` runs commands"]);
    let neither = ["it exports neither `wasi:cli/run@0.2` nor `wasi:cli/run@0.3`; ", " runs stages"];
    place.mappable(["run", stage]).fails(3, &neither);
    place.mappable(["run", service]).fails(3, &["not a WASI command", "`mappable serve` serves HTTP"]);
    place.mappable(["serve", command]).fails(3, &["exports neither", "`mappable run` runs commands"]);
    // What is no WebAssembly at all.
    place.file("noise.wasm", [0xff; 100]);
    for command in ["run", "serve", "inspect"] {
        place.mappable([command, "noise.wasm"]).fails(3, &["noise.wasm", "neither binary nor text"]);
    }
    pipe(&place, "in.png", &["./noise.wasm"]).fails(3, &["stage ./noise.wasm: ", "neither binary nor text"]);
}

#[test]
fn memories_that_are_too_large_to_begin_with() {
    let place = small();
    for limit in ["1", "1MiB"] {
        pipe(&place, "in.png", &["--max-memory", limit, "blur"])
            .fails(4, &["stage decode: ran out of memory: it wanted ", "may have 1.00 MiB (--max-memory)"]);
    }
    let app = guest("hello-map.wasm");
    place
        .mappable(["run", "--max-memory", "8KiB", app.to_str().unwrap()])
        .fails(3, &["hello-map.wasm: ran out of memory: it wanted ", "may have 8.00 KiB (--max-memory)"]);
}
