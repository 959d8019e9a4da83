//! Modules of many wrappers: each wrapper has the memory and the `realloc` of its own canonical function.

use super::*;
use crate::ledger::modules::{Bundle, Import};

/// The text of an output that is sound.
fn sound() -> String {
    let prelude = r#"
    (import "mappable:k0/ledger@0.1.0" (instance $ledger
      (export "join" (func (param "memory" (list u8)) (param "name" (list u8)) (result u32)))))
    (alias outer $root $ledger-memory (core module $ledger-memory))
    (alias outer $root $table-module (core module $table-module))
    (alias outer $root $guards (core module $guards))
    (alias outer $root $guest-libc (core module $guest-libc))
    (core instance $libc (instantiate $guest-libc))
    (alias core export $libc "memory" (core memory $memory))
    (alias core export $libc "second" (core memory $second))
    (core instance $ledger-memory (instantiate $ledger-memory))
    (alias core export $ledger-memory "memory" (core memory $ledger-memory))
    (alias export $ledger "join" (func $join))
    (core func $join' (canon lower (func $join) (memory $ledger-memory)))
    (core instance $table (instantiate $table-module (with "" (instance
      (export "ledger" (memory $ledger-memory)) (export "join" (func $join'))))))
    (core func $get (canon context.get i32 0))
    (core func $set (canon context.set i32 0))
    (core instance $guards (instantiate $guards (with "" (instance
      (export "callee" (func $libc "plain"))
      (export "forbidden" (global $table "forbidden"))
      (export "callee#1" (func $libc "realloc"))
      (export "get" (func $get))
      (export "set" (func $set))
      (export "callee#2" (func $libc "again"))))))
    (alias core export $guards "0" (core func $plain))
    (alias core export $guards "1" (core func $realloc))
    (alias core export $guards "2" (core func $again))
"#;
    include_str!("bundles.wat").replace("    ;; prelude\n", prelude)
}

/// What the modules of the text are for.
fn stand_ins(modules: &HashMap<String, &[u8]>) -> Trusted {
    use Need::*;
    let mut trusted = Trusted::new([]);
    let ledger = ("ledger", Ledger);
    for (name, role, needs) in [
        ("ledger-memory", Role::LedgerMemory, &[][..]),
        ("table-module", Role::Table, &[ledger, ("join", Helper("join"))]),
    ] {
        trusted.insert(role, None, &Module { bytes: modules[name].into(), needs: needs.to_vec() }).unwrap();
    }
    let list = Value::List(Box::new(Value::U8));
    let take = Rc::new(Signature { params: vec![list.clone()], result: Some(list) });
    let purpose = Some(trusted.purpose(MadeFor::Closed(take, true)));
    let mut insert = |name: &str, role, purpose, imports: &[(&str, &'static str, Need)], wrappers: &[&[usize]]| {
        let import = |&(field, name, need): &(&str, &'static str, Need)| Import {
            field: field.to_owned(),
            name,
            need,
            item: (wasm_encoder::ExportKind::Func, 0),
        };
        let bundle = Bundle {
            bytes: modules[name].into(),
            imports: imports.iter().map(import).collect(),
            wrappers: wrappers.iter().map(|wrapper| wrapper.to_vec()).collect(),
        };
        trusted.insert_bundle(wrappers.iter().map(|_| (role, purpose)), &bundle).unwrap();
    };
    let guards = [
        ("callee", "callee", Callee),
        ("forbidden", "forbidden", Table("forbidden")),
        ("callee#1", "callee", Callee),
        ("get", "get", ContextGet(0)),
        ("set", "set", ContextSet(0)),
        ("callee#2", "callee", Callee),
    ];
    insert("guards", Role::Guard, None, &guards, &[&[0, 1], &[2, 1, 3, 4], &[5, 1, 3, 4]]);
    let needs = [
        ("callee", "callee", Callee),
        ("guest", "guest", GuestMemory),
        ("realloc", "realloc", Realloc),
        ("ledger", "ledger", Ledger),
        ("callee#1", "callee", Callee),
        ("guest#1", "guest", GuestMemory),
        ("realloc#1", "realloc", Realloc),
    ];
    for (name, role) in [("lowers", Role::Lower), ("lifts", Role::Lift)] {
        insert(name, role, purpose, &needs, &[&[0, 1, 2, 3], &[4, 5, 6, 3]]);
    }
    trusted
}

/// What is found in the text with the first `from` behind `within` replaced, and that for each pair. It is valid, or nothing
/// would be shown.
fn verdict(within: &str, changes: &[(&str, &str)]) -> Result<(), RewriteError> {
    let text = sound();
    let trusted = wat::parse_str(&text).unwrap();
    let modules = modules(&trusted);
    let (before, after) = text.split_at(text.find(within).unwrap());
    let mut after = after.to_owned();
    for (from, to) in changes {
        assert!(after.contains(from), "the output has no `{from}`");
        after = after.replacen(from, to, 1);
    }
    let output = wat::parse_str(format!("{before}{after}")).unwrap();
    wasmparser::Validator::new_with_features(FEATURES).validate_all(&output).unwrap();
    let guests: HashSet<&[u8]> =
        modules.iter().filter(|(name, _)| name.starts_with("guest")).map(|(_, bytes)| *bytes).collect();
    check(&output, &guests, &stand_ins(&modules), &Gate::new("k0").unwrap())
}

fn found(within: &str, changes: &[(&str, &str)]) -> Unsound {
    match verdict(within, changes) {
        Err(RewriteError::Bug(Bug::Unsound { what, .. })) => what,
        other => panic!("{other:?} for {changes:?} in {within}"),
    }
}

#[test]
fn the_sound_output_passes() {
    verdict("(component $root", &[]).unwrap();
}

#[test]
fn the_memory_or_realloc_of_another_wrapper_of_a_bundle_is_found() {
    for within in ["(core instance $lifts ", "(core instance $lowers "] {
        let memories = [r#"(export "guest" (memory $memory))"#, r#"(export "guest#1" (memory $second))"#];
        let reallocs = [r#"(export "realloc" (func $realloc))"#, r#"(export "realloc#1" (func $again))"#];
        for ([first, second], [one, other]) in [(memories, ["$memory", "$second"]), (reallocs, ["$realloc", "$again"])]
        {
            let (to_first, to_second) = (first.replace(one, other), second.replace(other, one));
            for changes in [
                &[(first, to_first.as_str()), (second, to_second.as_str())][..],
                &[(first, to_first.as_str())],
                &[(second, to_second.as_str())],
            ] {
                let what = found(within, changes);
                assert!(matches!(what, Unsound::OtherOptions(_)), "{what:?} for {changes:?} in {within}");
            }
        }
    }
    // Likewise if it is the canonical functions that have the other's.
    let [take, again] = ["(memory $memory) (realloc $realloc)", "(memory $second) (realloc $again)"];
    for within in [r#"(func (export "take") (type"#, "(core func $take' (canon lower"] {
        let what = found(within, &[(take, "@"), (again, take), ("@", again)]);
        assert!(matches!(what, Unsound::OtherOptions(_)), "{what:?} in {within}");
    }
}

#[test]
fn a_guard_of_a_bundle_that_keeps_no_context_slot_is_found_beside_one_that_does() {
    let given = [r#"(export "realloc" (func $realloc))"#, r#"(export "realloc#1" (func $again))"#];
    let named = ["(realloc $realloc)", "(realloc $again)"];
    for nth in 0..2 {
        let plain = |text: &str| text.replace(["$realloc", "$again"][nth], "$plain");
        let changes = [given[nth], named[nth]].map(|text| (text, plain(text)));
        let what = found("(core instance $lifts ", &changes.each_ref().map(|(from, to)| (*from, to.as_str())));
        assert!(matches!(what, Unsound::SharesContext(_)), "{what:?}");
    }
}

#[test]
fn a_wrapper_of_a_bundle_has_one_name() {
    let sound = wat::parse_str(sound()).unwrap();
    let modules = modules(&sound);
    let trusted = stand_ins(&modules);
    let lifts = &trusted.modules[modules["lifts"]];
    let parts = ["0", "1", "2", "01", "+1", "-0", "", "call"].map(|export| lifts.part_of(export));
    assert_eq!(parts, [Some(0), Some(1), None, None, None, None, None, None]);
}
