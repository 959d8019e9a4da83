//! `mappable inspect`.

use super::support::{Place, guest};

#[test]
fn says_what_a_stage_maps() {
    let place = Place::new();
    let done = place.mappable(["inspect", guest("blur.wasm").to_str().unwrap()]).succeeds();
    let text = done.stdout();
    for word in [
        "Imports `mappable:memory/types@0.1.0`.",
        "mappable:memory/types@0.1.0#[static]mappable.map ",
        "mappable:memory/types@0.1.0#[static]mapping.unmap ",
        "\nTier: ledger. Trusted code is in front of 11 lowers of the package's functions, ",
        " In 3 places, handles go to the engine.",
        "| swap     | it has no declared maximum, so its base may move |",
        " loops have a preload in front: ",
    ] {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
    let facts = place.mappable(["inspect", "--json", guest("blur.wasm").to_str().unwrap()]).succeeds().json();
    assert_eq!(facts["maps"], true);
    assert_eq!(facts["tier"]["name"], "ledger");
    assert_eq!(facts["tier"]["crossing"], 3);
    assert_eq!(facts["functions"].as_array().unwrap().len(), 4);
    assert_eq!(facts["memories"][0]["strategy"], "swap");
    assert_eq!(facts["memories"][0]["mapped_into"], true);
    assert!(facts["preloads"].as_u64().unwrap() > 0, "{facts}");
}

#[test]
fn says_which_stages_can_be_shared_out() {
    let place = Place::new();
    for (stage, parallel) in [
        ("invert", true),
        ("grayscale", true),
        ("blur", true),
        ("sharpen", true),
        ("edges", true),
        ("resize", true),
        ("decode", false),
        ("encode", false),
    ] {
        let file = guest(&format!("{stage}.wasm"));
        let facts = place.mappable(["inspect", "--json", file.to_str().unwrap()]).succeeds().json();
        assert_eq!(facts["parallel"], parallel, "{stage}");
        let text = place.mappable(["inspect", file.to_str().unwrap()]).succeeds().stdout();
        assert_eq!(text.contains("Exports `mappable:stage/parallel@0.1.0`: several instances "), parallel, "{text}");
    }
    // One within that is not the component's own.
    place.file(
        "within.wat",
        r#"(component (component $c (instance $i) (export "mappable:stage/parallel@0.1.0" (instance $i))))"#,
    );
    assert_eq!(place.mappable(["inspect", "--json", "within.wat"]).succeeds().json()["parallel"], false);
}

/// Two components that hand a list over; in the second text the outer one exports the function too.
fn lists(exported: bool) -> String {
    let core = r#"
        (core module $m (memory (export "memory") 1)
          (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
          (func (export "sum") (param i32 i32)))
        (core instance $m (instantiate $m))
        (alias core export $m "memory" (core memory $memory))
        (alias core export $m "realloc" (core func $realloc))"#;
    let export = if exported { r#"(export "sum" (func $o "sum"))"# } else { "" };
    format!(
        r#"(component
            (component $offers {core}
              (func $f (param "l" (list u32)) (canon lift (core func $m "sum") (memory $memory) (realloc $realloc)))
              (export "sum" (func $f)))
            (component $calls {core}
              (import "sum" (func $f (param "l" (list u32))))
              (core func (canon lower (func $f) (memory $memory))))
            (instance $o (instantiate $offers))
            (instance $c (instantiate $calls (with "sum" (func $o "sum"))))
            {export})"#
    )
}

#[test]
fn says_of_each_function_which_way_its_calls_go_and_why() {
    let place = Place::new();
    place.file("closed.wat", lists(false));
    place.file("open.wat", lists(true));
    let closed = place.mappable(["inspect", "closed.wat"]).succeeds();
    for row in
        ["| root/0 (offers) | offers | sum      | ledger  |", "| root/1 (calls)  | calls  | sum      | ledger  |"]
    {
        assert!(closed.stdout().contains(row), "{row:?} is not in\n{}", closed.stdout());
    }
    let open = place.mappable(["inspect", "open.wat"]).succeeds();
    let why = "has a list of plain data in its type, and can be called from outside (root exports `sum`)";
    assert_eq!(open.stdout().matches(why).count(), 2, "{}", open.stdout());
    let facts = place.mappable(["inspect", "--json", "open.wat"]).succeeds().json();
    let call = &facts["calls"][0];
    assert_eq!((&call["side"], &call["route"], &call["why"]), (&"offers".into(), &"engine".into(), &why.into()));
    // A stage alone: the engine carries its export, and the ledger all else.
    let facts = place.mappable(["inspect", "--json", guest("blur.wasm").to_str().unwrap()]).succeeds().json();
    let calls = facts["calls"].as_array().unwrap();
    let own: Vec<_> = calls.iter().filter(|call| call["route"] == "crossing").collect();
    assert!(own.iter().any(|call| call["why"].as_str().unwrap().contains("root exports")), "{own:?}");
    assert!(calls.iter().any(|call| call["route"] == "ledger" && call["why"].is_null()), "{calls:?}");
}

#[test]
fn says_plainly_when_nothing_maps() {
    let place = Place::new();
    place.file("plain.wat", "(component (core module (memory 1)))");
    let done = place.mappable(["inspect", "plain.wat"]).succeeds();
    let first = "plain.wat: 1 component with 1 core module. Nothing in it maps regions: its code runs as it is.\n";
    assert!(done.stdout().starts_with(first), "{}", done.stdout());
    let facts = place.mappable(["inspect", "plain.wat", "--json"]).succeeds().json();
    assert_eq!(facts["maps"], false);
    assert_eq!(facts["memories"][0]["bounded"], true);
    assert_eq!(facts["preloads"], 0);
    assert!(facts["memories"][0]["why"].as_str().unwrap().starts_with("nothing is mapped into it"), "{facts}");
}

#[test]
fn says_why_a_memory_takes_its_strategy() {
    let place = Place::new();
    for (memory, strategy, why) in [
        ("1", "swap", "no declared maximum"),
        ("1 65536", "swap", "more than what is reserved"),
        ("1 100", "remap", "fits what is reserved"),
        ("3 3", "remap", "is its minimum"),
        ("i64 1", "", "64-bit memory"),
        ("1 2 shared", "", "shared memory"),
    ] {
        // Given to others, it could be mapped into.
        let given = format!("(component (core module $m (memory {memory})) (export \"m\" (core module $m)))");
        place.file("memory.wat", given);
        let facts = place.mappable(["inspect", "--json", "memory.wat"]).succeeds().json();
        let found = &facts["memories"][0];
        assert_eq!(found["strategy"].as_str().unwrap_or(""), strategy, "{memory}");
        assert_eq!(found["bounded"], false, "{memory}");
        assert!(found["why"].as_str().unwrap().contains(why), "{memory}: {found}");
    }
}

#[test]
fn what_can_not_be_inspected() {
    let place = Place::new();
    place.mappable(["inspect", "missing.wasm"]).fails(3, &["missing.wasm", "No such file"]);
    place.file("module.wat", "(module)");
    place.mappable(["inspect", "module.wat"]).fails(3, &["module.wat", "a core module", "`_start`"]);
    place.file("bad.wat", "(component");
    place.mappable(["inspect", "bad.wat"]).fails(3, &["bad.wat", "not a component"]);
    place.file("noise.wasm", [0xff; 99]);
    place.mappable(["inspect", "noise.wasm"]).fails(3, &["noise.wasm", "neither binary nor text"]);
    place.file("empty.wasm", "");
    place.mappable(["inspect", "empty.wasm"]).fails(3, &["empty.wasm: the file is empty\n"]);
    let whole = std::fs::read(guest("blur.wasm")).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 7) {
        place.file("cut.wasm", &whole[..at]);
        place.mappable(["inspect", "cut.wasm"]).fails(3, &["cut.wasm"]);
    }
}
