//! Lists of plain data, by window and by bounce.

use super::values::{V, case};
use super::world::{Failed, World, failed, failure, set_word};
use crate::ledger::interface::Failure;
use crate::ledger::layout::*;
use crate::ledger::modules::{self, Need};
use crate::ledger::signature::{Kind, Signature, Value};

fn list(element: Value) -> Value {
    Value::List(Box::new(element))
}

fn numbers(len: u64) -> V {
    V::Elements((0..len).map(|number| V::Bits(number % 251)).collect())
}

fn bytes_in(params: impl Into<Vec<Value>>) -> Signature {
    Signature { params: params.into(), result: None }
}

#[test]
fn plain_lists_go_by_window() {
    for len in [33, 40, 64, 1000, 20_000] {
        let mut world = World::new();
        let signature = bytes_in([list(Value::U8), Value::U32, list(Value::U16)]);
        let arguments = [numbers(len), V::Bits(5), numbers(len)];
        let seen = world.call(&signature, true, &arguments, |_| None).unwrap();
        assert_eq!(seen.arguments, arguments);
        assert_eq!(world.store.data().memories, 1);
        assert_eq!(world.word(SENDER), world.a.number);
        // Aimed only while it is refreshed.
        assert_eq!(world.word(world.record(&world.b) + TABLE_AIM), 0);
    }
}

#[test]
fn short_lists_go_by_slots_and_nobody_asks_whose_they_are() {
    let pair = Value::Record(vec![Value::U8, Value::U16, Value::U8]);
    let triple = Value::Record(vec![Value::U8; 3]);
    for element in [Value::U8, Value::U16, Value::U32, Value::U64, triple, pair] {
        let (size, record) = (element.size(), matches!(element, Value::Record(_)));
        let few = |len: u64| match &element {
            Value::Record(fields) => {
                let of =
                    |at: u64| V::Fields((0..fields.len() as u64).map(|field| V::Bits((at + field) % 251)).collect());
                V::Elements((0..len).map(|at| of(at * 7)).collect())
            }
            _ => numbers(len),
        };
        let signature = bytes_in([list(element.clone()), list(Value::U8), list(element.clone())]);
        for len in 0..=u64::from(SHORT_LIST / size) + 1 {
            let mut world = World::new();
            let arguments = [few(len), numbers(3), few(u64::from(SHORT_LIST / size) - len.min(1))];
            let seen = world.call(&signature, true, &arguments, |_| None).unwrap();
            assert_eq!(seen.arguments, arguments, "{len} of {size} bytes, {record}");
            let is_long = len * u64::from(size) > SHORT_LIST.into();
            assert_eq!((world.store.data().memories, world.word(SENDER) != 0), (is_long.into(), is_long));
        }
    }
}

#[test]
fn any_number_of_lists_is_returned_short_and_long() {
    // There is code that copies short lists for the first ones alone.
    let element = |at: u64| [Value::U8, Value::U16, Value::U64][at as usize % 3].clone();
    let result = Value::Record((0..20).map(|at| list(element(at))).collect());
    let signature = Signature { params: vec![], result: Some(result) };
    for len in [0, 1, 7, 40] {
        let mut world = World::new();
        let returned = V::Fields((0..20).map(|at| numbers(len + at)).collect());
        let given = returned.clone();
        let seen = world.call(&signature, true, &[], move |_| Some(given.clone())).unwrap();
        assert_eq!(seen.result, Some(returned));
        assert_eq!(world.word(BOUNCE_LEN), 80);
    }
}

#[test]
fn lists_that_have_no_slot_go_by_window_however_short() {
    let either = |element: Value| Value::Variant(vec![Some(list(Value::U8)), Some(list(element))]);
    let elements = [Value::U8, Value::U16, Value::U32, Value::U64, Value::F64];
    let signature = bytes_in(elements.map(either));
    for which in 0..2 {
        for len in [0, 1, 4, 100] {
            let mut world = World::new();
            let arguments: Vec<_> = (0..5).map(|at| case(which, numbers(len + at))).collect();
            let seen = world.call(&signature, true, &arguments, |_| None).unwrap();
            assert_eq!(seen.arguments, arguments);
            // The ninth and the tenth list are the last parameter's.
            assert_eq!(world.store.data().memories, 1);
        }
    }
}

#[test]
fn spilled_lists_bounce() {
    let either = Value::Variant(vec![Some(list(Value::U16)), Some(Value::Variant(vec![None; 3]))]);
    let mut params = vec![Value::U64; 12];
    params.extend([list(Value::U64), Value::Own(Kind::Mappable), Value::String, list(Value::F32), either]);
    for len in [0, 1, 9, 2000] {
        for last in [case(0, numbers(len)), case(1, V::Case(2, None))] {
            let mut world = World::new();
            let a = world.a.clone();
            let it = world.give(&a, Kind::Mappable, 7);
            let mut arguments = vec![V::Bits(1); 12];
            arguments.extend([numbers(len), V::Bits(it.into()), numbers(3), numbers(7), last]);
            let seen = world.call(&bytes_in(params.clone()), true, &arguments, |_| None).unwrap();
            arguments[13] = V::Bits(7);
            assert_eq!(seen.arguments, arguments);
            // Nobody asks whose they are.
            assert_eq!((world.store.data().memories, world.word(SENDER)), (0, 0));
        }
    }
}

#[test]
fn a_spilled_parameter_that_is_another_case_than_was_sent_is_refused() {
    // What a `realloc` of the callee could write into its own memory, where the parameters are.
    let mut params = vec![Value::U64; 14];
    params.extend([Value::Variant(vec![None, Some(list(Value::U8))]), list(Value::U8)]);
    let signature = bytes_in(params);
    for (tag, in_bounce) in [(0, 8), (1, 4), (1, 0), (0, 0), (1, 12)] {
        let mut world = World::new();
        let b = world.b.clone();
        let callee = wasmtime::Func::wrap(&mut world.store, |_: u32| -> () { panic!("the callee was called") });
        let lift = world.instantiate(&b, &modules::lift(&signature, true), Some(callee));
        b.memory.write(&mut world.store, 64 + 14 * 8, &[tag]).unwrap();
        world.set_word(BOUNCE_LEN, in_bounce);
        for at in [0, 4, 8] {
            world.set_word(BOUNCE + at, 8);
        }
        let call = lift.get_typed_func::<u32, ()>(&mut world.store, modules::CALL).unwrap();
        assert_eq!(failed(call.call(&mut world.store, 64)), failure(Failure::Interrupted, 0, 0), "{tag} {in_bounce}");
    }
}

#[test]
fn returned_lists_bounce() {
    for len in [0, 1, 5, 1000, 20_000] {
        let mut world = World::new();
        let signature = Signature { params: vec![Value::U32], result: Some(list(Value::U32)) };
        let seen = world.call(&signature, true, &[V::Bits(1)], move |_| Some(numbers(len))).unwrap();
        assert_eq!(seen.result, Some(numbers(len)));
        assert_eq!(world.word(BOUNCE_LEN), 4);
        assert_eq!(world.store.data().bounces_freed, 0);
    }
}

#[test]
fn lists_within_values_go_by_window_and_bounce() {
    let error = Value::Variant(vec![None; 300]);
    let value = Value::Record(vec![
        Value::Variant(vec![None, Some(list(Value::U16))]),
        Value::String,
        Value::Variant(vec![Some(list(Value::F64)), Some(error)]),
        Value::Own(Kind::Mappable),
    ]);
    let signature = Signature { params: vec![Value::U8, value.clone()], result: Some(value) };
    for len in [0, 1, 5, 20, 1000] {
        let mut world = World::new();
        let a = world.a.clone();
        let it = world.give(&a, Kind::Mappable, 7);
        let of = |first: Option<V>, last: V, handle: u32| {
            let first = first.map_or(V::Case(0, None), |list| case(1, list));
            V::Fields(vec![first, numbers(3), last, V::Bits(handle.into())])
        };
        let arguments = [V::Bits(1), of(Some(numbers(len)), case(0, numbers(len * 2)), it)];
        let reply = move |given: &[V]| {
            let V::Fields(fields) = &given[1] else { panic!("{given:?}") };
            let handle = fields[3].clone();
            Some(V::Fields(vec![V::Case(0, None), numbers(9), case(1, V::Case(299, None)), handle]))
        };
        let seen = world.call(&signature, true, &arguments, reply).unwrap();
        assert_eq!(seen.arguments[1], of(Some(numbers(len)), case(0, numbers(len * 2)), 7));
        assert_eq!(world.word(BOUNCE_LEN), 0);
        let V::Fields(result) = seen.result.unwrap() else { panic!() };
        assert_eq!(result[2], case(1, V::Case(299, None)));

        // Two lists, and none where there was one.
        let again = world.give(&a, Kind::Mappable, 8);
        let arguments = [V::Bits(1), of(None, case(1, V::Case(0, None)), again)];
        let reply = move |given: &[V]| {
            let V::Fields(fields) = &given[1] else { panic!("{given:?}") };
            let lists = [case(1, numbers(len)), case(0, numbers(3))];
            let [first, last] = lists;
            Some(V::Fields(vec![first, numbers(3), last, fields[3].clone()]))
        };
        let seen = world.call(&signature, true, &arguments, reply).unwrap();
        assert_eq!(world.word(BOUNCE_LEN), 8);
        assert_eq!(seen.result, Some(of(Some(numbers(len)), case(0, numbers(3)), 8)));
    }
}

#[test]
fn a_result_that_is_another_case_than_was_returned_is_refused() {
    // What a `realloc` of the caller could write into the area, behind the adapter.
    let value = Value::Record(vec![Value::Variant(vec![None, Some(list(Value::U8))]), list(Value::U8)]);
    let signature = Signature { params: vec![], result: Some(value) };
    for (tag, in_bounce) in [(0, 8), (1, 4), (1, 0), (0, 0), (1, 12)] {
        let mut world = World::new();
        let a = world.a.clone();
        let ledger = world.ledger;
        let callee = wasmtime::Func::wrap(&mut world.store, move |mut caller: wasmtime::Caller<'_, _>, area: u32| {
            a.memory.write(&mut caller, area as usize, &[tag]).unwrap();
            set_word(&ledger, &mut caller, BOUNCE_LEN, in_bounce);
            for at in [0, 4, 8] {
                set_word(&ledger, &mut caller, BOUNCE + at, 8);
            }
        });
        let a = world.a.clone();
        let lower = world.instantiate(&a, &modules::lower(&signature, true), Some(callee));
        let call = lower.get_typed_func::<u32, ()>(&mut world.store, modules::CALL).unwrap();
        assert_eq!(failed(call.call(&mut world.store, 64)), failure(Failure::Interrupted, 0, 0), "{tag} {in_bounce}");
    }
}

#[test]
fn after_a_long_list_the_bounce_is_given_back() {
    let mut world = World::new();
    let [a, b] = [world.a.clone(), world.b.clone()];
    for party in [a, b] {
        world.memory_pages(&party, 600);
    }
    let signature = Signature { params: vec![], result: Some(list(Value::U64)) };
    for (len, bounces_freed) in [(1 << 21, 0), ((1 << 21) + 1, 1)] {
        world.call(&signature, true, &[], move |_| Some(numbers(len))).unwrap();
        assert_eq!(world.store.data().bounces_freed, bounces_freed);
    }
}

#[test]
fn only_lists_of_plain_data_go_by_window() {
    let [plain, other] = [Value::U8, Value::Bool].map(|element| bytes_in([list(element)]));
    let needs = |signature: &Signature, lists, needed| {
        modules::lift(signature, lists).needs.iter().any(|(_, need)| *need == needed)
    };
    let windowed = |signature: &Signature, lists| needs(signature, lists, Need::Window);
    assert!(windowed(&plain, true));
    assert!(!windowed(&plain, false) && !windowed(&other, true));
    // Also within values that have a form without names, and that is not in a list.
    let inside = [
        (Value::Record(vec![Value::String, list(Value::U8)]), true),
        (Value::Variant(vec![None, Some(list(Value::U8))]), true),
        (Value::Variant(vec![Some(list(Value::F64)), Some(Value::Variant(vec![None; 5]))]), true),
        (Value::Variant(vec![None, Some(Value::U8), Some(list(Value::U8))]), true),
        (Value::Variant(vec![None, Some(Value::String), Some(list(Value::U8))]), false),
        (Value::Record(vec![Value::Flags(3), list(Value::U8)]), false),
        (Value::Record(vec![Value::Other, list(Value::U8)]), false),
        (list(list(Value::U8)), false),
        (Value::Record(vec![list(Value::Variant(vec![None; 5])), list(Value::U8)]), false),
    ];
    for (value, by_window) in inside {
        assert_eq!(windowed(&bytes_in([value.clone()]), true), by_window, "{value:?}");
    }
    // What is returned or spilled bounces. That is nothing to a variant beside a string, or one that is spilled.
    let opaque = || Value::Variant(vec![None, Some(Value::U8), Some(list(Value::U8))]);
    for (value, returned, spilled) in [
        (list(Value::U8), true, true),
        (Value::Record(vec![Value::String, list(Value::U8)]), true, true),
        (opaque(), true, false),
        (Value::Record(vec![Value::String, opaque()]), false, false),
        (list(list(Value::U8)), false, false),
    ] {
        let as_result = Signature { params: vec![], result: Some(value.clone()) };
        assert_eq!(needs(&as_result, true, Need::Ledger), returned, "{value:?}");
        let mut params = vec![Value::U64; 16];
        params.push(value.clone());
        assert_eq!(needs(&bytes_in(params), true, Need::Ledger), spilled, "{value:?}");
    }
}

#[test]
fn a_list_that_is_misaligned_or_not_in_the_senders_memory_is_refused() {
    let signature = bytes_in([list(Value::U16)]);
    let cases = [
        ((3, 1), failure(Failure::Misaligned, 3, 0)),
        ((0x1_fffe, 2), failure(Failure::OutOfBounds, 0x1_fffe, 4)),
        ((0, 0x8000_0000), failure(Failure::OutOfBounds, 0, 0)),
        ((0xffff_fffe, u32::MAX), failure(Failure::OutOfBounds, 0xffff_fffe, u32::MAX << 1)),
    ];
    for ((at, len), expected) in cases {
        let mut world = World::new();
        assert_eq!(lower_with(&mut world, &signature, at, len), expected);
    }
}

/// What a lower's wrapper says to a list of A's, before anybody is called.
fn lower_with(world: &mut World, signature: &Signature, at: u32, len: u32) -> Failed {
    let a = world.a.clone();
    let callee = wasmtime::Func::wrap(&mut world.store, |_: u32, _: u32| -> () { panic!("the callee was called") });
    let lower = world.instantiate(&a, &modules::lower(signature, true), Some(callee));
    let call = lower.get_typed_func::<(u32, u32), ()>(&mut world.store, modules::CALL).unwrap();
    failed(call.call(&mut world.store, (at, len)))
}

/// What a lift's wrapper says to a list of A's.
fn lift_with(world: &mut World, signature: &Signature, at: u32, len: u32) -> Failed {
    let b = world.b.clone();
    let callee = wasmtime::Func::wrap(&mut world.store, |_: u32, _: u32| {});
    let lift = world.instantiate(&b, &modules::lift(signature, true), Some(callee));
    world.set_word(SENDER, world.a.number);
    let call = lift.get_typed_func::<(u32, u32), ()>(&mut world.store, modules::CALL).unwrap();
    failed(call.call(&mut world.store, (at, len)))
}

#[test]
fn a_realloc_that_gives_no_room_is_refused() {
    let signature = bytes_in([list(Value::U16)]);
    for (more, expected) in [
        (1, failure(Failure::Misaligned, 0x8001, 0)),
        (0x1_8000, failure(Failure::OutOfBounds, 0x2_0000, 2)),
        (0xffff_0000, failure(Failure::OutOfBounds, 0xffff_8000, 2)),
    ] {
        let mut world = World::new();
        world.store.data_mut().on_realloc = Some(Box::new(move |_, _| more));
        assert_eq!(lift_with(&mut world, &signature, 0, 1), expected);
    }
}

#[test]
fn a_realloc_that_calls_is_an_interruption() {
    let ledger_changes = |world: &mut World| {
        let ledger = world.ledger;
        world.store.data_mut().on_realloc = Some(Box::new(move |mut caller, _| {
            set_word(&ledger, &mut caller, FLIGHT_SEQ, 99);
            0
        }));
    };
    let mut world = World::new();
    ledger_changes(&mut world);
    let given = lift_with(&mut world, &bytes_in([list(Value::U8)]), 0, 1);
    assert_eq!(given, failure(Failure::Interrupted, 0, 0));

    // Also where the caller's `realloc` makes room for what is returned. The callee's own comes before it.
    let mut world = World::new();
    let signature = Signature { params: vec![], result: Some(list(Value::U8)) };
    let ledger = world.ledger;
    world.store.data_mut().on_realloc = Some(Box::new(move |mut caller, _| {
        caller.data_mut().on_realloc = Some(Box::new(move |mut caller, _| {
            set_word(&ledger, &mut caller, FLIGHT_SEQ, 99);
            0
        }));
        0
    }));
    let returned = world.call(&signature, true, &[], |_| Some(numbers(4)));
    assert_eq!(failed(returned.map(drop)), failure(Failure::Interrupted, 0, 0));
}

#[test]
fn a_window_is_refreshed_only_for_another_view() {
    let mut world = World::new();
    let (a, b) = (world.a.clone(), world.b.clone());
    let signature = bytes_in([list(Value::U8)]);
    let shown = |world: &mut World| {
        ["shown-memory", "shown-selector", "shown-version", "shown-generation"]
            .map(|name| b.table.get_global(&mut world.store, name).unwrap().get(&mut world.store))
            .map(|value| value.i64().unwrap_or_else(|| value.unwrap_i32().into()))
    };
    assert_eq!(shown(&mut world), [0; 4]);
    // The high half of a count tells as well.
    for (offset, value) in
        [(MEMORY_SELECTOR, 3), (MEMORY_VERSION, 4), (MEMORY_GENERATION, 5), (MEMORY_GENERATION + 4, 1)]
    {
        world.set_word(MEMORIES + a.number * MEMORY + offset, value);
        world.call(&signature, true, &[numbers(70)], |_| None).unwrap();
    }
    assert_eq!(shown(&mut world), [i64::from(a.number), 3, 4, 5 | 1 << 32]);
}
