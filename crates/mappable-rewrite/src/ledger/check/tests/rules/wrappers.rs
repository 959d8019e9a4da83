//! What stands around each canonical function: wrappers, guards, barriers, and their arguments.

use super::*;

#[test]
fn a_lower_used_past_its_wrapper_is_found() {
    finds! {
        Unsound::PastWrapper(_) => [("(export \"take\" (func $lower \"call\"))", "(export \"take\" (func $take'))")],
        Unsound::PastWrapper(_) => [(END_OF_A, &before(END_OF_A, "(core instance (export \"x\" (func $take')))"))],
        Unsound::PastWrapper(_) => [(END_OF_A, &before(END_OF_A, "(func (export \"f\") (param \"a\" u32) (param \"b\" u32) (param \"c\" u32) (param \"d\" u32) (canon lift (core func $take')))"))],
    }
}

#[test]
fn a_lift_of_what_is_not_to_be_lifted_is_found() {
    let lift = |func: &str| {
        before(
            END_OF_B,
            &format!("(func (export \"f\") (param \"x\" u32) (result u32) (canon lift (core func {func})))"),
        )
    };
    let guard = "(func (export \"f\") (param \"a\" u32) (param \"b\" u32) (param \"c\" u32) (param \"d\" u32) (result u32) (canon lift (core func $realloc)))";
    finds! {
        Unsound::Named { by: Place::Lifted(_), item: Private::Inner } => [(END_OF_B, &lift("$take-b"))],
        Unsound::Named { by: Place::Lifted(_), item: Private::Guard } => [(END_OF_B, &before(END_OF_B, guard))],
    }
    // What a guest may call, it may lift.
    let output = tampered(&[(
        END_OF_B,
        &before(
            END_OF_B,
            "(func (export \"f\") (param \"x\" u32) (result u64) (canon lift (core func $size \"call\")))",
        ),
    )]);
    verdict(&output).unwrap();
}

#[test]
fn options_that_are_not_a_guests_are_found() {
    let plain = "(canon lift (core func $plain \"plain\"))";
    let with = |options: &str| format!("(canon lift (core func $plain \"plain\") {options})");
    finds! {
        Unsound::Named { by: Place::Option(_), item: Private::Inner } => [(plain, &with("(memory $ledger-memory-b)"))],
        Unsound::Named { by: Place::Option(_), item: Private::Inner } => [(plain, &with("(memory $window-memory-b)"))],
        Unsound::Named { by: Place::Option(_), item: Private::Host } => [(plain, &with("(post-return $more')"))],
        Unsound::Named { by: Place::Option(_), item: Private::Host } => [(plain, &with("(memory $memory) (realloc $join')"))],
    }
}

#[test]
fn a_realloc_or_post_return_without_a_guard_is_found() {
    let plain = "(canon lift (core func $plain \"plain\"))";
    finds! {
        Unsound::Unguarded(_) => [(plain, "(canon lift (core func $plain \"plain\") (memory $memory) (realloc (func $libc \"again\")))")],
        Unsound::Named { by: Place::Option(_), item: Private::Door } => [(plain, "(canon lift (core func $plain \"plain\") (post-return (func $table \"drop-mappable\")))")],
    }
}

#[test]
fn what_leaves_without_a_barrier_where_a_wrapper_calls_realloc_is_found() {
    let own = "(export \"size\" (func $size \"call\"))";
    let may_leave = "(core instance $may-leave (instantiate $may-leave-plain (with \"\" (instance
      (export \"callee\" (func $plain'))";
    finds! {
        Unsound::MayLeaveUnchecked(_) => [("(export \"plain\" (func $may-leave \"call\"))", "(export \"plain\" (func $plain'))")],
        Unsound::MayLeaveUnchecked(_) => [("(export \"granule\" (func $may-leave \"call\"))", "(export \"granule\" (func $granule'))")],
        Unsound::MayLeaveUnchecked(_) => [
            (own, &format!("{own} (export \"own\" (func $drop-own))")),
            ("    (core instance $guest (instantiate $guest-b", "(type $own (resource (rep i32)))\n(core func $drop-own (canon resource.drop $own))\n(core instance $guest (instantiate $guest-b"),
            ("    (type $own (resource (rep i32)))\n    (core func $drop-own (canon resource.drop $own))", ""),
        ],
        // A may-leave check is for what leaves, and nothing else.
        Unsound::WrongArgument { field: "callee", .. } => [(may_leave, &may_leave.replace("(func $plain')", "(func $take-a)"))],
    }
}

#[test]
fn a_built_in_that_leaves_without_a_may_leave_check_is_found() {
    let given = "(export \"size\" (func $size \"call\"))";
    let guest = "    (core instance $guest (instantiate $guest-b";
    // All but a few do, and those that no engine has yet.
    for builtin in [
        "resource.new $own'",
        "thread.yield",
        "thread.index",
        "waitable-set.new",
        "task.cancel",
        "thread.available_parallelism",
    ] {
        let it = format!("(type $own' (resource (rep i32)))\n(core func $it (canon {builtin}))");
        finds! {
            Unsound::MayLeaveUnchecked(_) => [
                (given, &format!("{given} (export \"it\" (func $it))")),
                (guest, &before(guest, &it)),
            ],
        }
    }
}

#[test]
fn a_built_in_that_may_always_be_called_needs_no_may_leave_check() {
    let given = "(export \"size\" (func $size \"call\"))";
    let guest = "    (core instance $guest (instantiate $guest-b";
    for builtin in ["resource.rep $own'", "backpressure.inc", "backpressure.dec"] {
        let it = format!("(type $own' (resource (rep i32)))\n(core func $it (canon {builtin}))");
        let output = tampered(&[(given, &format!("{given} (export \"it\" (func $it))")), (guest, &before(guest, &it))]);
        verdict(&output).unwrap();
    }
}

#[test]
fn a_realloc_that_a_wrapper_calls_with_its_callers_context_slots_is_found() {
    let given = "(export \"size\" (func $size \"call\"))";
    let guest = "    (core instance $guest (instantiate $guest-b";
    for builtin in ["context.get i32 0", "context.get i32 1", "context.set i32 0"] {
        finds! {
            Unsound::SharesContext(_) => [
                (given, &format!("{given} (export \"slot\" (func $slot))")),
                (guest, &format!("(core func $slot (canon {builtin}))\n{guest}")),
            ],
        }
    }
}

#[test]
fn a_wrapper_at_a_canonical_function_with_other_options_is_found() {
    let synchronous = "(func (param \"m\" u32) (param \"bytes\" (tuple u32 u32)) (result (tuple u32 u32)))";
    let asynchronous = synchronous.replace("(func", "(func async");
    finds! {
        Unsound::NotPlain(_) => [
            (synchronous, &asynchronous),
            ("(func $take (param \"m\" u32)", "(func $take async (param \"m\" u32)"),
            ("(canon lift (core func $lift \"call\") (memory $memory) (realloc $realloc))", "(canon lift (core func $lift \"call\") async (callback (func $guest \"take\")) (memory $memory) (realloc $realloc))"),
        ],
        Unsound::OtherOptions(_) => [("(canon lift (core func $lift \"call\") (memory $memory) (realloc $realloc))", "(canon lift (core func $lift \"call\") (memory $libc \"second\") (realloc $realloc))")],
        Unsound::OtherOptions(_) => [("(canon lift (core func $lift \"call\") (memory $memory) (realloc $realloc))", "(canon lift (core func $lift \"call\") (memory $memory))")],
        Unsound::OtherOptions(_) => [("(canon lower (func $take) (memory $memory) (realloc $realloc))", "(canon lower (func $take) (memory $libc \"second\") (realloc $realloc))")],
        Unsound::OtherOptions(_) => [("(canon lower (func $take) (memory $memory) (realloc $realloc))", "(canon lower (func $take) (memory $memory))")],
    }
}

#[test]
fn a_change_of_what_is_mapped_that_is_not_the_ledgers_is_found() {
    let cases = crate::MARK.iter().map(|case| format!("\"{case}\"")).collect::<Vec<_>>().join(" ");
    let lowered = |cases: &str| {
        let import = format!("(import \"f\" (instance $f (type $e' (enum {cases})) (export \"e\" (type $e (eq $e')))");
        before(
            END_OF_ROOT,
            &format!("{import} (export \"f\" (func (result $e))))) (core func (canon lower (func $f \"f\")))"),
        )
    };
    finds! {
        Unsound::Change(_) => [(END_OF_ROOT, &lowered(&cases))],
        Unsound::Change(_) => [(END_OF_ROOT, &lowered(&cases.to_uppercase()))],
    }
    verdict(&tampered(&[(END_OF_ROOT, &lowered("\"other\""))])).unwrap();
}

#[test]
fn a_wrapper_given_something_else_is_found() {
    finds! {
        // The lower of another function.
        Unsound::WrongArgument { field: "callee", .. } => [("(alias export $ledger \"mappable-size\" (func $size))", "(alias export $ledger \"frozen-size\" (func $size))")],
        Unsound::WrongArgument { field: "callee", .. } => [("(export \"callee\" (func $size'))", "(export \"callee\" (func $size-not'))"), ("(core func $size' ", "(import \"s\" (func $s (param \"self\" u32) (result u64))) (core func $size-not' (canon lower (func $s))) (core func $size' "), ("(with \"types\" (instance $types))", "(with \"types\" (instance $types)) (with \"s\" (func $s))"), ("  (component $b", "  (import \"s\" (func $s (param \"self\" u32) (result u64)))\n  (component $b")],
        // A guest's function behind the wrapper that stands in front of lowers.
        Unsound::WrongArgument { field: "callee", .. } => [("(export \"callee\" (func $take'))", "(export \"callee\" (func $lower0 \"call\"))"), ("(core instance $lower (instantiate", "(core func $take2 (canon lower (func $take) (memory $memory) (realloc $realloc))) (core instance $lower0 (instantiate $lower-module (with \"\" (instance (export \"callee\" (func $take2)) (export \"guest\" (memory $memory)) (export \"realloc\" (func $realloc)) (export \"ledger\" (memory $ledger-memory-a)) (export \"take\" (func $take-a)) (export \"memory-number\" (func $memory-number')))))) (core instance $lower (instantiate")],
        // Memories swapped.
        Unsound::WrongArgument { .. } => [("(export \"guest\" (memory $memory))", "(export \"guest\" (memory $ledger-memory-b))"), ("(export \"ledger\" (memory $ledger-memory-b))\n      (export \"guest\"", "(export \"ledger\" (memory $memory))\n      (export \"guest\"")],
        Unsound::WrongArgument { field: "ledger", .. } => [("(export \"ledger\" (memory $ledger-memory-b))\n      (export \"take\"", "(export \"ledger\" (memory $memory))\n      (export \"take\"")],
        Unsound::WrongArgument { field: "window", .. } => [("(export \"window\" (memory $window-memory-b))\n      (export \"put\"", "(export \"window\" (memory $libc \"second\"))\n      (export \"put\"")],
    }
}

#[test]
fn another_guests_memory_than_the_canonical_functions_is_found() {
    finds! {
        Unsound::OtherOptions(_) | Unsound::WrongArgument { .. } => [("(export \"guest\" (memory $memory))", "(export \"guest\" (memory $libc \"second\"))")],
        Unsound::OtherOptions(_) => [("(export \"guest\" (memory $memory))\n      (export \"realloc\" (func $realloc))", "(export \"guest\" (memory $libc \"second\"))\n      (export \"realloc\" (func $realloc))")],
        Unsound::OtherOptions(_) => [("(export \"guest\" (memory $memory))\n      (export \"realloc\" (func $realloc))", "(export \"guest\" (memory $memory))\n      (export \"realloc\" (func $libc \"again\"))")],
        // `memory-number` asks about another memory than the wrapper is for.
        Unsound::WrongArgument { field: "memory-number", .. } => [("(canon lower (func $memory-number) (memory $memory))", "(canon lower (func $memory-number) (memory $libc \"second\"))")],
    }
}

#[test]
fn too_few_too_many_and_wrong_arguments_are_found() {
    finds! {
        Unsound::Arguments(_) => [("(export \"take\" (func $take-b))))))", "(export \"take\" (func $take-b)) (export \"more\" (func $take-b))))))")],
        Unsound::Arguments(_) => [("(instantiate $ledger-memory)", "(instantiate $ledger-memory (with \"x\" (instance $libc)))")],
        Unsound::Arguments(_) => [("(with \"\" (instance\n      (export \"callee\" (func $size'))", "(with \"x\" (instance $libc)) (with \"\" (instance\n      (export \"callee\" (func $size'))")],
        Unsound::WrongArgument { field: "take", .. } => [("(export \"take\" (func $take-b))", "(export \"take\" (func $put-b))")],
        Unsound::WrongArgument { field: "forbidden", .. } => [("(export \"forbidden\" (global $table \"forbidden\"))", "(export \"forbidden\" (global $table \"number\"))")],
        Unsound::WrongArgument { field: "forbidden", .. } => [("(export \"forbidden\" (global $table \"forbidden\"))", "(export \"forbidden\" (global $libc \"stack\"))")],
        Unsound::WrongArgument { field: "memory-number", .. } => [("(export \"memory-number\" (func $memory-number'))", "(export \"memory-number\" (func $libc-memory-number))"), ("(core instance $write (instantiate", "(import \"s\" (func $s (param \"a\" u32) (param \"b\" u32) (result u32))) (core func $libc-memory-number (canon lower (func $s))) (core instance $write (instantiate"), ("(with \"types\" (instance $types))", "(with \"types\" (instance $types)) (with \"s\" (func $s))"), ("  (component $b", "  (import \"s\" (func $s (param \"a\" u32) (param \"b\" u32) (result u32)))\n  (component $b")],
    }
}

#[test]
fn a_second_of_what_there_is_one_of_is_found() {
    let table = "(core instance (instantiate $table-module (with \"\" (instance (export \"ledger\" (memory $ledger-memory-a)) (export \"join\" (func $join')) (export \"more\" (func $more'))))))";
    let start = "(core instance (instantiate $window-start (with \"\" (instance (export \"window\" (memory $window-memory-a)) (export \"aim\" (func $window')) (export \"number\" (global $table \"number\"))))))";
    finds! {
        Unsound::Second(_) => [(END_OF_A, &before(END_OF_A, "(core instance (instantiate $ledger-memory))"))],
        Unsound::Second(_) => [(END_OF_A, &before(END_OF_A, "(core instance (instantiate $window-memory))"))],
        Unsound::Second(_) => [(END_OF_A, &before(END_OF_A, table))],
        Unsound::Second(_) => [(END_OF_A, &before(END_OF_A, start))],
    }
}

#[test]
fn a_memory_that_has_not_become_what_it_is_for_is_found() {
    let alone = |module: &str| {
        format!(
            "(component $c (alias outer $root {module} (core module $m)) (core instance (instantiate $m))) {END_OF_ROOT}"
        )
    };
    finds! {
        Unsound::Unjoined => [(END_OF_ROOT, &alone("$ledger-memory"))],
        Unsound::Unjoined => [(END_OF_ROOT, &alone("$window-memory"))],
    }
}

#[test]
fn a_wrapper_that_comes_before_its_window_is_shown_is_found() {
    let import = "(import \"s\" (func $s (param \"a\" u32) (param \"b\" u32) (param \"c\" u32) (result u32)))";
    let early = format!(
        "{import} (core func $s' (canon lower (func $s))) (core instance (instantiate $lift-module (with \"\" (instance
        (export \"callee\" (func $s')) (export \"guest\" (memory $memory)) (export \"realloc\" (func $libc \"realloc\"))
        (export \"ledger\" (memory $ledger-memory-b)) (export \"window\" (memory $window-memory-b))
        (export \"put\" (func $put-b))))))"
    );
    let window = "    (alias export $ledger \"window\" (func $window))";
    let given = "(with \"types\" (instance $types))";
    finds! {
        Unsound::TooEarly(_) => [
            (window, &before(window, &early)),
            (given, &format!("{given} (with \"s\" (func $s))")),
            ("  (component $b", &before("  (component $b", import)),
        ],
    }
}

#[test]
fn a_wrapper_on_one_side_only_is_found() {
    let lift = "(canon lift (core func $lift \"call\") (memory $memory) (realloc $realloc))";
    let bare = "(canon lift (core func $guest \"take\") (memory $memory) (realloc $realloc))";
    let again =
        "(import \"again\" (func $again (param \"m\" u32) (param \"bytes\" (tuple u32 u32)) (result (tuple u32 u32))))
        (core func (canon lower (func $again) (memory $memory) (realloc $realloc)))";
    let take = "(with \"take\" (func $b \"take\"))";
    let through = "(instance $one (export \"f\" (func $b \"take\"))) (instance $two (export \"i\" (instance $one)))
        (alias export $two \"i\" (instance $three))";
    let inside = "(component $c
        (import \"i\" (instance $i
            (export \"f\" (func (param \"m\" u32) (param \"bytes\" (tuple u32 u32)) (result (tuple u32 u32))))))
        (alias outer $root $guest-libc (core module $guest-libc))
        (core instance $libc (instantiate $guest-libc))
        (core func (canon lower (func $i \"f\") (memory $libc \"memory\"))))
        (instance $i (export \"f\" (func $b \"take\"))) (instance (instantiate $c (with \"i\" (instance $i))))";
    let unknown = "(import \"c\" (component $c
        (import \"f\" (func (param \"m\" u32) (param \"bytes\" (tuple u32 u32)) (result (tuple u32 u32))))))
        (instance (instantiate $c (with \"f\" (func $b \"take\"))))";
    finds! {
        // Lifted or lowered without.
        Unsound::OneSided(_) => [(lift, bare)],
        Unsound::OneSided(_) => [(END_OF_A, &before(END_OF_A, "(core func (canon lower (func $take) (memory $memory) (realloc $realloc)))"))],
        // By way of another import, and of instances.
        Unsound::OneSided(_) => [(END_OF_A, &before(END_OF_A, again)), (take, &format!("{take} (with \"again\" (func $b \"take\"))"))],
        Unsound::OneSided(_) => [
            (END_OF_A, &before(END_OF_A, again)),
            ("  (instance $a (instantiate $a", &before("  (instance $a (instantiate $a", through)),
            (take, &format!("{take} (with \"again\" (func $three \"f\"))")),
        ],
        Unsound::OneSided(_) => [(END_OF_ROOT, &before(END_OF_ROOT, inside))],
        // The host has it, or a component that nobody knows.
        Unsound::OneSided(_) => [(END_OF_ROOT, &before(END_OF_ROOT, "(export \"take\" (func $b \"take\"))"))],
        Unsound::OneSided(_) => [(END_OF_ROOT, &before(END_OF_ROOT, "(export \"b\" (instance $b))"))],
        Unsound::OneSided(_) => [(END_OF_ROOT, &before(END_OF_ROOT, unknown))],
    }
}

#[test]
fn wrappers_for_different_types_are_found() {
    let output = wat::parse_str(sound()).unwrap();
    let modules = modules(&output);
    let guests = modules.iter().filter(|(name, _)| name.starts_with("guest")).map(|(_, bytes)| *bytes).collect();
    let mut trusted = stand_ins(&modules);
    let gate = Gate::new("k0").unwrap();
    // The same type, but its lists go another way.
    let list = Value::List(Box::new(Value::U8));
    let take = Signature { params: vec![Value::Own(Kind::Mappable), list.clone()], result: Some(list) };
    let other = trusted.purpose(MadeFor::Closed(Rc::new(take), false));
    // One module may be made for several types, if there is one that all are made for.
    trusted.modules.get_mut(modules["lift"]).unwrap().parts[0].made_for.insert(other.made_for);
    check(&output, &guests, &trusted, &gate).unwrap();
    trusted.modules.get_mut(modules["lift"]).unwrap().parts[0].made_for = HashSet::from([other.made_for]);
    let verdict = check(&output, &guests, &trusted, &gate);
    assert!(matches!(verdict, Err(RewriteError::Bug(Bug::Unsound { what: Unsound::OneSided(_), .. }))), "{verdict:?}");
}

#[test]
fn a_wrapper_that_comes_before_its_table_is_found() {
    let early = "(alias outer $root $frozen-size (core module $frozen-size))
        (alias export $ledger \"frozen-size\" (func $frozen-size)) (core func $frozen-size' (canon lower (func $frozen-size)))
        (core instance (instantiate $frozen-size (with \"\" (instance
            (export \"callee\" (func $frozen-size')) (export \"ledger\" (memory $ledger-memory-b))))))";
    let join = "    (alias export $ledger \"join\" (func $join))";
    finds! {
        Unsound::TooEarly(_) => [(join, &before(join, early))],
    }
    verdict(&tampered(&[(END_OF_B, &before(END_OF_B, early))])).unwrap();
}

#[test]
fn a_wrapper_at_a_function_of_another_type_is_found() {
    let at = |params: &str, result: &str| {
        ["(type $take (func ", "(func $take "].map(|begin| {
            let all = |params: &str, result: &str| format!("{begin}{params} (result {result})");
            let (params_before, pair) = ("(param \"m\" u32) (param \"bytes\" (tuple u32 u32))", "(tuple u32 u32)");
            (all(params_before, pair), all(params, result))
        })
    };
    let (m, bytes, pair) = ("(param \"m\" u32)", "(param \"bytes\" (tuple u32 u32))", "(tuple u32 u32)");
    let other = [
        // A list that goes the engine's way, where the wrapper has it by window.
        at(&format!("{m} (param \"bytes\" (list u8))"), pair),
        at(&format!("{m} {bytes}"), "(list u8)"),
        // Other numbers, which are passed in the same place.
        at(&format!("(param \"m\" s32) {bytes}"), pair),
        at(&format!("{m} (param \"bytes\" (tuple u32 s32))"), pair),
        at(&format!("{m} {bytes}"), "(tuple u32 f32)"),
    ];
    for changes in &other {
        let changes: Vec<_> = changes.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
        let what = found(&changes);
        assert!(matches!(what, Unsound::OtherType(_)), "{what:?} for {changes:?}");
    }
}
