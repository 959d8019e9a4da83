//! Which modules and instances are whose, who sees the ledger, and what a guest may reach.

use super::*;

#[test]
fn a_module_that_is_nobodys_is_found() {
    finds! {
        // A trusted module changed, and one of the guest's.
        Unsound::UnknownModule(_) => [("(func (export \"drop-mappable\") (param i32))", "(func (export \"drop-mappable\") (param i32) unreachable)")],
        Unsound::UnknownModule(_) => [("(core module $lift\n", "(core module $lift2\n"), ("$root $lift ", "$root $lift2 ")],
        Unsound::UnknownModule(_) => [("(export \"second\") 3)", "(export \"second\") 4)")],
        Unsound::UnknownModule(_) => [(END_OF_A, &before(END_OF_A, "(core module)"))],
    }
}

#[test]
fn a_trusted_module_that_a_guest_brought_is_found() {
    let output = wat::parse_str(sound()).unwrap();
    let modules = modules(&output);
    let guests = modules.values().copied().collect();
    let verdict = check(&output, &guests, &stand_ins(&modules), &Gate::new("k0").unwrap());
    assert!(
        matches!(verdict, Err(RewriteError::Bug(Bug::Unsound { what: Unsound::GuestIsTrusted(_), .. }))),
        "{verdict:?}"
    );
}

#[test]
fn a_trusted_module_that_leaves_the_tree_is_found() {
    let nested = "(component $c (import \"m\" (core module $m (export \"memory\" (memory 1)))))";
    finds! {
        Unsound::ModuleLeaves(_) => [(END_OF_ROOT, &before(END_OF_ROOT, "(export \"m\" (core module $table-module))"))],
        Unsound::ModuleLeaves(_) => [(END_OF_A, &before(END_OF_A, "(export \"m\" (core module $lower-module))"))],
        Unsound::ModuleLeaves(_) => [(END_OF_A, &before(END_OF_A, "(instance (export \"m\" (core module $lower-module)))"))],
        Unsound::ModuleLeaves(_) => [(END_OF_ROOT, &before(END_OF_ROOT, &format!("{nested} (instance (instantiate $c (with \"m\" (core module $ledger-memory))))")))],
    }
}

#[test]
fn a_guests_module_may_leave_the_tree() {
    let output = tampered(&[(END_OF_ROOT, &before(END_OF_ROOT, "(export \"m\" (core module $guest-libc))"))]);
    verdict(&output).unwrap();
}

const LEDGER: &str = "mappable:k0/ledger@0.1.0";

#[test]
fn another_name_of_the_gates_is_found() {
    finds! {
        Unsound::GateName(_) => [(END_OF_ROOT, &before(END_OF_ROOT, "(import \"mappable:k0/ledger@0.1.1\" (instance))"))],
        Unsound::GateName(_) => [(END_OF_ROOT, &before(END_OF_ROOT, "(import \"mappable:k0/ledger\" (instance))"))],
        Unsound::GateName(_) => [(END_OF_A, &before(END_OF_A, "(import \"mappable:k0/types@0.1.0\" (instance))")), ("(with \"plain\" (func $b \"plain\"))", "(with \"plain\" (func $b \"plain\")) (with \"mappable:k0/types@0.1.0\" (instance $types))")],
        Unsound::GateName(_) => [(END_OF_ROOT, &before(END_OF_ROOT, "(component (import \"mappable:k0/ledger@0.1.0\" (func)))"))],
    }
}

#[test]
fn the_ledger_under_another_name_is_found() {
    let other = "(component $c (import \"x\" (instance))) (instance (instantiate $c (with \"x\" (instance $ledger))))";
    finds! {
        Unsound::PassedAs(_) => [("(with \"types\" (instance $types))", "(with \"types\" (instance $types)) (with \"more\" (instance $ledger))")],
        Unsound::PassedAs(_) => [(END_OF_ROOT, &before(END_OF_ROOT, other))],
    }
}

#[test]
fn the_ledger_for_a_component_that_does_not_ask_is_found() {
    let named = "(component $c) (instance (instantiate $c (with \"mappable:k0/ledger@0.1.0\" (instance $ledger))))";
    let imported = "(import \"c\" (component $c (import \"mappable:k0/ledger@0.1.0\" (instance))))
        (instance (instantiate $c (with \"mappable:k0/ledger@0.1.0\" (instance $ledger))))";
    finds! {
        Unsound::PassedTo(_) => [(END_OF_ROOT, &before(END_OF_ROOT, named))],
        Unsound::PassedTo(_) => [(END_OF_ROOT, &before(END_OF_ROOT, imported))],
    }
}

#[test]
fn another_instance_for_the_ledger_is_found() {
    let fake = "(instance $fake (export \"none\" (func $f)))";
    let component = format!(
        "(import \"f\" (func $f)) {fake} (component $c (import \"{LEDGER}\" (instance)))
        (instance (instantiate $c (with \"{LEDGER}\" (instance $fake))))"
    );
    finds! {
        Unsound::NotPassed(_) => [(END_OF_ROOT, &before(END_OF_ROOT, &component))],
    }
}

#[test]
fn the_ledger_that_leaves_the_tree_is_found() {
    let nested = "(component $c (import \"f\" (func (param \"table\" u32))))";
    let function = format!(
        "(alias export $ledger \"more\" (func $more)) {nested} (instance (instantiate $c (with \"f\" (func $more))))"
    );
    finds! {
        Unsound::LedgerLeaves => [(END_OF_ROOT, &before(END_OF_ROOT, "(export \"ledger\" (instance $ledger))"))],
        Unsound::LedgerLeaves => [(END_OF_A, &before(END_OF_A, "(export \"ledger\" (instance $ledger))"))],
        Unsound::LedgerLeaves => [(END_OF_A, &before(END_OF_A, "(export \"join\" (func $join))"))],
        Unsound::LedgerLeaves => [(END_OF_A, &before(END_OF_A, "(instance (export \"l\" (instance $ledger)))"))],
        Unsound::LedgerLeaves => [(END_OF_A, &before(END_OF_A, "(instance (export \"more\" (func $more)))"))],
        Unsound::LedgerLeaves => [(END_OF_ROOT, &before(END_OF_ROOT, &function))],
    }
}

#[test]
fn an_instance_of_the_ledgers_is_found() {
    let more = "(export \"more\" (func (param \"table\" u32)))";
    let with_instance = format!("{more} (export \"inner\" (instance))");
    finds! {
        Unsound::LedgerAlias(_) => [
            (more, &with_instance),
            (END_OF_ROOT, &before(END_OF_ROOT, "(alias export $ledger \"inner\" (instance $inner))")),
        ],
    }
}

#[test]
fn a_component_that_imports_the_ledger_and_leaves_the_tree_is_found() {
    let nested = "(component $c (import \"b\" (component)))";
    finds! {
        Unsound::ComponentLeaves(_) => [(END_OF_ROOT, &before(END_OF_ROOT, "(export \"a\" (component $a))"))],
        Unsound::ComponentLeaves(_) => [(END_OF_ROOT, &before(END_OF_ROOT, "(instance (export \"a\" (component $a)))"))],
        Unsound::ComponentLeaves(_) => [(END_OF_ROOT, &before(END_OF_ROOT,
            &format!("(component $d (import \"{LEDGER}\" (instance))) (component $c (import \"b\" (component (import \"{LEDGER}\" (instance)))))
                (instance (instantiate $c (with \"b\" (component $d))))")))],
    }
    // One that does not import it may.
    let output = tampered(&[(END_OF_ROOT, &before(END_OF_ROOT, &format!("{nested} (export \"c\" (component $c))")))]);
    verdict(&output).unwrap();
}

#[test]
fn a_function_of_the_ledger_in_a_guests_reach_is_found() {
    finds! {
        // Passed to a guest, as an export and by way of an alias.
        Unsound::InReach { item: Private::Host, .. } => [("(export \"granule\" (func $may-leave \"call\"))", "(export \"granule\" (func $may-leave \"call\")) (export \"more\" (func $more'))")],
        Unsound::InReach { item: Private::Host, .. } => [("(export \"size\" (func $size \"call\"))", "(export \"size\" (func $size'))")],
        Unsound::Named { item: Private::Host, .. } => [(END_OF_A, &before(END_OF_A, "(func (export \"f\") (param \"x\" u32) (canon lift (core func $more')))"))],
        Unsound::Named { by: Place::Destructor, item: Private::Host } => [(END_OF_A, &before(END_OF_A, "(type $r (resource (rep i32) (dtor (func $more'))))"))],
    }
}

#[test]
fn a_function_of_the_ledger_lowered_in_another_way_is_found() {
    finds! {
        Unsound::LedgerOptions(_) => [("(canon lower (func $join) (memory $ledger-memory-b))", "(canon lower (func $join) (memory $memory))")],
        Unsound::LedgerOptions(_) => [("(canon lower (func $window) (memory $window-memory-b))", "(canon lower (func $window) (memory $ledger-memory-b))")],
        Unsound::LedgerOptions(_) => [("(canon lower (func $memory-number) (memory $memory))", "(canon lower (func $memory-number) (memory $window-memory-b))")],
        Unsound::LedgerOptions(_) => [("(canon lower (func $write) (memory $memory))", "(canon lower (func $write) (memory $ledger-memory-b))")],
        Unsound::LedgerOptions(_) => [("(canon lower (func $more))", "(canon lower (func $more) (memory $memory))")],
    }
    let unknown = [
        (
            "(export \"more\" (func (param \"table\" u32)))",
            "(export \"more\" (func (param \"table\" u32))) (export \"less\" (func))",
        ),
        (
            "(export \"more\" (func (param \"table\" u32)))\n      ",
            "(export \"more\" (func (param \"table\" u32))) (export \"less\" (func))\n      ",
        ),
        (
            "(core func $more' ",
            "(alias export $ledger \"less\" (func $less)) (core func (canon lower (func $less))) (core func $more' ",
        ),
    ];
    let what = found(&unknown);
    assert!(matches!(what, Unsound::UnknownFunction(_)), "{what:?}");
}

#[test]
fn what_is_a_trusted_instances_in_a_guests_reach_is_found() {
    finds! {
        Unsound::InReach { item: Private::Inner, .. } => [("(with \"libc\" (instance $libc))\n      (with \"host\"", "(with \"libc\" (instance (export \"memory\" (memory $ledger-memory-b))))\n      (with \"host\"")],
        Unsound::InReach { item: Private::Inner, .. } => [("(with \"libc\" (instance $libc))\n      (with \"host\"", "(with \"libc\" (instance (export \"memory\" (memory $window-memory-b))))\n      (with \"host\"")],
        Unsound::InReach { item: Private::Inner, .. } => [("(export \"granule\" (func $may-leave \"call\"))", "(export \"granule\" (func $may-leave \"call\")) (export \"take\" (func $take-b))")],
        Unsound::InReach { item: Private::Inner, .. } => [("(export \"granule\" (func $may-leave \"call\"))", "(export \"granule\" (func $may-leave \"call\")) (export \"g\" (global $table \"forbidden\"))")],
        Unsound::InReach { item: Private::Lift, .. } => [(END_OF_B, &before(END_OF_B, "(core instance (export \"x\" (func $lift \"call\")))"))],
        Unsound::InReach { item: Private::Guard, .. } => [(END_OF_B, &before(END_OF_B, "(core instance (export \"x\" (func $realloc)))"))],
        // As a whole.
        Unsound::InstancePassed(_) => [("(with \"libc\" (instance $libc))\n      (with \"host\"", "(with \"libc\" (instance $ledger-memory))\n      (with \"host\"")],
        Unsound::InstancePassed(_) => [("(instantiate $guest-plain)", "(instantiate $guest-plain (with \"table\" (instance $table)))")],
    }
}

#[test]
fn what_is_aliased_through_instances_is_still_what_it_is() {
    let through = "(core instance $one (export \"m\" (memory $ledger-memory-b)))";
    let guest = "(core instance $two (export \"memory\" (memory $one \"m\")))";
    finds! {
        // Already the instance in between is none that a trusted module is given.
        Unsound::InReach { item: Private::Inner, .. } => [
            ("    (core instance $guest (instantiate $guest-b\n      (with \"libc\" (instance $libc))",
             &format!("{through} {guest} (core instance $guest (instantiate $guest-b (with \"libc\" (instance $two))")),
        ],
        // An instance made for a trusted module is used by others.
        Unsound::ArgumentShared(_) => [
            ("    (core instance $guard (instantiate $guard (with \"\" (instance\n      (export \"callee\" (func $libc \"realloc\"))\n      (export \"forbidden\" (global $table \"forbidden\"))))))",
             "    (core instance $for-guard (export \"callee\" (func $libc \"realloc\")) (export \"forbidden\" (global $table \"forbidden\")))
              (core instance $guard (instantiate $guard (with \"\" (instance $for-guard))))
              (alias core export $for-guard \"forbidden\" (core global $stolen))"),
        ],
        Unsound::ArgumentShared(_) => [
            ("    (core instance $guard (instantiate $guard (with \"\" (instance\n      (export \"callee\" (func $libc \"realloc\"))\n      (export \"forbidden\" (global $table \"forbidden\"))))))",
             "    (core instance $for-guard (export \"callee\" (func $libc \"realloc\")) (export \"forbidden\" (global $table \"forbidden\")))
              (core instance $guard (instantiate $guard (with \"\" (instance $for-guard))))
              (core instance $again (instantiate $guest-libc (with \"\" (instance $for-guard))))"),
        ],
    }
    // A guest's own things may go through as many as it likes.
    let output = tampered(&[(
        "    (core instance $guest (instantiate $guest-b\n      (with \"libc\" (instance $libc))",
        "(core instance $one (export \"m\" (memory $memory))) (core instance $two (export \"memory\" (memory $one \"m\")))
         (core instance $guest (instantiate $guest-b (with \"libc\" (instance $two))",
    )]);
    verdict(&output).unwrap();
}
