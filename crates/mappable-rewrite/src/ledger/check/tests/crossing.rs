//! What goes the engine's way behind wrappers of the ledger's: it has the types that these were made for.

use super::*;
use crate::ledger::modules::{Bundle, Crossing, Import, Item};

const TEXT: &str = include_str!("crossing.wat");

fn takes(value: Value) -> Rc<Signature> {
    Rc::new(Signature { params: vec![value], result: None })
}

fn lower(value: Value) -> MadeFor {
    MadeFor::Crossing(Crossing::Lower { signature: takes(value), is_async: false })
}

/// What the modules of the text are for.
fn stand_ins(modules: &HashMap<String, &[u8]>) -> Trusted {
    use Need::*;
    const OWN: Value = Value::Own(Kind::Mappable);
    let mut trusted = Trusted::new([]);
    let mut insert = |name: &str, role, made_for: Option<MadeFor>, needs: &[(&'static str, Need)]| {
        let module = Module { bytes: modules[name].into(), needs: needs.to_vec() };
        let purpose = made_for.map(|made_for| trusted.purpose(made_for));
        trusted.insert(role, purpose, &module).unwrap();
    };
    let (callee, ledger, forbidden) = (("callee", Callee), ("ledger", Ledger), ("forbidden", Table("forbidden")));
    insert("ledger-memory", Role::LedgerMemory, None, &[]);
    let discards = [Kind::Mappable, Kind::Frozen].map(Discard);
    let table = [ledger, ("join", Helper("join")), ("discard-mappable", discards[0]), ("discard-frozen", discards[1])];
    insert("table-module", Role::Table, None, &table);
    insert("size-module", Role::Builtin(Builtin::MappableSize), None, &[callee, ("engine", Engine), ledger]);
    insert("give-module", Role::Crossing, Some(lower(OWN)), &[callee, forbidden]);
    let crossing = |crossing| Some(MadeFor::Crossing(crossing));
    let take = Rc::new(Signature { params: Vec::new(), result: Some(OWN) });
    insert("take-module", Role::CrossingBack, crossing(Crossing::Lift(take)), &[callee]);
    insert("return-module", Role::Crossing, crossing(Crossing::TaskReturn(Rc::new(OWN))), &[callee]);
    insert("stream-module", Role::Crossing, crossing(Crossing::StreamWrite(Rc::new(OWN))), &[callee]);
    insert("future-module", Role::Crossing, crossing(Crossing::FutureWrite(Rc::new(OWN))), &[callee]);
    let item: Item = (wasm_encoder::ExportKind::Func, 0);
    let import = |field: &str, name, need| Import { field: field.to_owned(), name, need, item };
    let bundle = Bundle {
        bytes: modules["bundle"].into(),
        imports: vec![
            import("callee", "callee", Callee),
            import("forbidden", "forbidden", Table("forbidden")),
            import("callee#1", "callee", Callee),
        ],
        wrappers: vec![vec![0, 1], vec![2, 1]],
    };
    let values = [OWN, Value::Borrow(Kind::Mappable)];
    let wrappers = values.map(|value| (Role::Crossing, Some(trusted.purpose(lower(value)))));
    trusted.insert_bundle(wrappers, &bundle).unwrap();
    trusted
}

fn verdict_with(output: &[u8], change: impl Fn(&HashMap<String, &[u8]>, &mut Trusted)) -> Result<(), RewriteError> {
    let sound = wat::parse_str(TEXT).unwrap();
    let modules = modules(&sound);
    let guests: HashSet<&[u8]> =
        modules.iter().filter(|(name, _)| name.starts_with("guest")).map(|(_, bytes)| *bytes).collect();
    let mut trusted = stand_ins(&modules);
    change(&modules, &mut trusted);
    check(output, &guests, &trusted, &Gate::new("k0").unwrap())
}

/// What is found in the text with the first `from` replaced, and that for each pair. It is valid, or nothing would be
/// shown.
fn found(changes: &[(&str, &str)]) -> Unsound {
    let mut text = TEXT.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "the output has no `{from}`");
        text = text.replacen(from, to, 1);
    }
    let output = wat::parse_str(text).unwrap();
    wasmparser::Validator::new_with_features(FEATURES).validate_all(&output).unwrap();
    match verdict_with(&output, |_, _| {}) {
        Err(RewriteError::Bug(Bug::Unsound { what, .. })) => what,
        other => panic!("{other:?} for {changes:?}"),
    }
}

#[track_caller]
fn has_another_type(changes: &[(&str, &str)]) {
    let what = found(changes);
    assert!(matches!(what, Unsound::OtherType(_)), "{what:?} for {changes:?}");
}

#[test]
fn the_sound_output_passes() {
    verdict_with(&wat::parse_str(TEXT).unwrap(), |_, _| {}).unwrap();
}

#[test]
fn a_crossing_at_a_function_of_another_type_is_found() {
    let given = r#"(instantiate $give-module (with "" (instance
    (export "callee" (func "#;
    for other in ["$freeze'", "$lend'", "$number'"] {
        has_another_type(&[(&format!("{given}$give')"), &format!("{given}{other})"))]);
    }
    let lifted = "(func $take (result (own $mappable))";
    for other in ["(own $frozen)", "u32"] {
        has_another_type(&[(lifted, &lifted.replace("(own $mappable)", other))]);
    }
}

#[test]
fn a_crossing_at_a_built_in_of_another_type_is_found() {
    for (built_in, other) in [
        ("(canon task.return (result (own $mappable)))", "(own $frozen)"),
        ("(canon task.return (result (own $mappable)))", "char"),
        ("(type $stream (stream (own $mappable)))", "(own $frozen)"),
        ("(type $stream (stream (own $mappable)))", "u32"),
        ("(type $future (future (own $mappable)))", "(own $frozen)"),
        ("(type $future (future (own $mappable)))", "(tuple (own $mappable))"),
    ] {
        has_another_type(&[(built_in, &built_in.replace("(own $mappable)", other))]);
    }
    // One that has the core type of another.
    let returned = r#"(export "callee" (func $return'))"#;
    has_another_type(&[(returned, &returned.replace("$return'", "$lend'"))]);
}

#[test]
fn a_crossing_of_a_lower_that_is_async_otherwise_than_it_is_found() {
    let output = wat::parse_str(TEXT).unwrap();
    let verdict = verdict_with(&output, |modules, trusted| {
        let signature = takes(Value::Own(Kind::Mappable));
        let made_for = MadeFor::Crossing(Crossing::Lower { signature, is_async: true });
        let purpose = trusted.purpose(made_for);
        trusted.modules.get_mut(modules["give-module"]).unwrap().parts[0].written = HashSet::from([purpose.written]);
    });
    assert!(matches!(verdict, Err(RewriteError::Bug(Bug::Unsound { what: Unsound::OtherType(_), .. }))), "{verdict:?}");
}

#[test]
fn the_engines_function_of_another_type_behind_a_builtin_is_found() {
    let given = r#"(export "engine" (func $engine))"#;
    has_another_type(&[(given, &given.replace("$engine", "$other-engine"))]);
    let what = found(&[(given, &given.replace("$engine", "$size'"))]);
    assert!(matches!(what, Unsound::WrongArgument { field: "engine", .. }), "{what:?}");
}

#[test]
fn a_table_that_drops_handles_of_another_kind_is_found() {
    for (field, kind, others) in
        [("discard-mappable", "mappable", ["frozen", "other"]), ("discard-frozen", "frozen", ["mappable", "other"])]
    {
        for other in others {
            let given = format!(r#"(export "{field}" (func $discard-{kind}))"#);
            let what = found(&[(&given, &format!(r#"(export "{field}" (func $discard-{other}))"#))]);
            assert!(matches!(what, Unsound::WrongArgument { field: of, .. } if of == field), "{what:?}");
        }
    }
}

#[test]
fn kinds_are_what_the_ledgers_interface_says() {
    // With the two exchanged everything is of another type; the table, which is the first, drops others.
    let what = found(&[
        ("(eq $m')", "(eq $x')"),
        ("(type $m'))", "(type $x'))"),
        ("(alias outer 1 $mappable", "(alias outer 1 $frozen"),
    ]);
    assert!(matches!(what, Unsound::WrongArgument { field: "discard-mappable", .. }), "{what:?}");
}

#[test]
fn each_wrapper_of_a_bundle_stands_at_its_own_function() {
    let give = r#"(export "callee" (func $give-again))"#;
    let lend = r#"(export "callee#1" (func $lend-again))"#;
    has_another_type(&[(give, &give.replace("$give-again", "$freeze'"))]);
    has_another_type(&[(lend, &lend.replace("$lend-again", "$freeze'"))]);
    // Two can't stand at one.
    let what = found(&[(lend, &lend.replace("$lend-again", "$give-again"))]);
    assert!(matches!(what, Unsound::WrongArgument { field: "callee", .. }), "{what:?}");
    // What both are given is looked at, too.
    let shared = r#"(global $table "forbidden"))
    (export "callee#1""#;
    let what = found(&[(shared, &shared.replace(r#"$table "forbidden""#, r#"$libc "stack""#))]);
    assert!(matches!(what, Unsound::WrongArgument { field: "forbidden", .. }), "{what:?}");
}

#[test]
fn what_is_behind_a_crossing_is_behind_it_alone() {
    let given = r#"(export "lend-again" (func $both "1"))"#;
    for behind in ["$lend-again", "$give'", "$return'"] {
        let what = found(&[(given, &given.replace(r#"$both "1""#, behind))]);
        assert!(matches!(what, Unsound::PastWrapper(_)), "{what:?}");
    }
    let given = r#"(export "size" (func $size "call"))"#;
    let what = found(&[(given, &given.replace(r#"$size "call""#, "$engine"))]);
    assert!(matches!(what, Unsound::PastWrapper(_)), "{what:?}");
}

#[test]
fn what_gives_the_engine_handles_without_a_crossing_is_found() {
    let before = "(core instance $user (instantiate $guest-user";
    for (export, made, given) in [
        ("give", "lower (func $give)", true),
        ("give", "lower (func $freeze)", true),
        ("give", "lower (func $lend)", true),
        ("give", "lower (func $number)", false),
        ("size", r#"lower (func $types "[method]mappable.size")"#, true),
        ("return", "task.return (result (own $mappable))", true),
        ("return", "task.return (result u32)", false),
        ("stream", r#"stream.write $stream async (memory $libc "memory")"#, true),
        ("future", r#"future.write $future async (memory $libc "memory")"#, true),
        ("give", "resource.drop $mappable", true),
        ("give", "resource.drop $frozen", true),
        ("give", "resource.drop $other", false),
    ] {
        let bare = format!("(core func $bare (canon {made}))\n  {before}");
        let given_to = format!(r#"(export "{export}" (func $"#);
        let text = TEXT.replacen(before, &bare, 1);
        let (front, rest) = text.split_once(&given_to).unwrap();
        let (_, rest) = rest.split_once("))").unwrap();
        let output = wat::parse_str(format!("{front}{given_to}bare)){rest}")).unwrap();
        let verdict = verdict_with(&output, |_, _| {});
        let is_found = matches!(verdict, Err(RewriteError::Bug(Bug::Unsound { what: Unsound::NoCrossing(_), .. })));
        assert!(is_found == given && verdict.is_ok() != given, "{verdict:?} for {made}");
    }
    // A lift without a crossing is found by the type of its result.
    for (ty, given) in [("(own $mappable)", true), ("(own $frozen)", true), ("u32", false)] {
        let lift = format!(
            r#"(func $bare (result {ty}) (canon lift (core func $libc "take"))) (export "bare" (func $bare)) (export "take""#
        );
        let output =
            wat::parse_str(TEXT.replacen(r#"(export "take" (func $take))"#, &format!("{lift} (func $take))"), 1));
        let verdict = verdict_with(&output.unwrap(), |_, _| {});
        assert!(verdict.is_ok() != given, "{verdict:?} for {ty}");
    }
}
