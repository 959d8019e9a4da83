//! Every way in which a handle or a value is refused.

use super::values::V;
use super::world::{World, failed, failure, set_word};
use crate::ledger::interface::Failure;
use crate::ledger::layout::*;
use crate::ledger::modules::{self, CALL};
use crate::ledger::signature::{Kind, Signature, Value};

pub(super) fn takes(params: impl Into<Vec<Value>>) -> Signature {
    Signature { params: params.into(), result: None }
}

pub(super) fn handle(handle: u32) -> V {
    V::Bits(handle.into())
}

pub(super) fn own(kind: Kind) -> Value {
    Value::Own(kind)
}

pub(super) fn list(element: Value) -> Value {
    Value::List(Box::new(element))
}

#[test]
fn a_handle_that_is_not_there_is_unknown() {
    for bad in [0, 1, 2, 31, 32, 1 << 20, u32::MAX] {
        for ty in [own(Kind::Mappable), own(Kind::Frozen)] {
            let mut world = World::new();
            let expected = failure(Failure::UnknownHandle, bad, 0);
            assert_eq!(world.fails(&takes([ty]), false, &[handle(bad)]), expected);
            let a = world.a.clone();
            assert_eq!(failed(world.drop_handle(&a, Kind::Frozen, bad)), expected);
        }
    }
}

#[test]
fn a_handle_of_one_component_is_none_of_the_other() {
    let mut world = World::new();
    let (a, b) = (world.a.clone(), world.b.clone());
    world.give(&b, Kind::Mappable, 7);
    assert_eq!(failed(world.drop_handle(&a, Kind::Mappable, 1)), failure(Failure::UnknownHandle, 1, 0));
}

#[test]
fn a_handle_that_was_taken_or_dropped_is_unknown() {
    let mut world = World::new();
    let a = world.a.clone();
    let it = world.give(&a, Kind::Mappable, 7);
    world.call(&takes([own(Kind::Mappable)]), false, &[handle(it)], |_| None).unwrap();
    assert_eq!(
        world.fails(&takes([own(Kind::Mappable)]), false, &[handle(it)]),
        failure(Failure::UnknownHandle, it, 0)
    );

    let it = world.give(&a, Kind::Frozen, 8);
    world.drop_handle(&a, Kind::Frozen, it).unwrap();
    assert_eq!(world.store.data().drops, [(8, Kind::Frozen as u32)]);
    assert_eq!(failed(world.drop_handle(&a, Kind::Frozen, it)), failure(Failure::UnknownHandle, it, 0));
}

#[test]
fn a_handle_of_another_kind_is_refused() {
    use Kind::*;
    let kinds = [Mappable, Mapping, Frozen, FrozenMapping];
    for is in kinds {
        for meant in kinds.into_iter().filter(|meant| *meant != is) {
            let mapped = matches!((is, meant), (Mapping, Mappable) | (FrozenMapping, Frozen));
            let mut world = World::new();
            let a = world.a.clone();
            let it = world.give(&a, is, 9);
            let expected =
                if mapped { failure(Failure::Mapped, it, 9) } else { failure(Failure::WrongKind, it, meant as u32) };
            assert_eq!(world.fails(&takes([own(meant)]), false, &[handle(it)]), expected);
            assert_eq!(failed(world.drop_handle(&a, meant, it)), expected);
            // It is still there.
            assert_eq!(world.entry(&a, it), (is as u32, 9));
        }
    }
}

#[test]
fn the_last_handle_freed_is_the_next_one_given() {
    let mut world = World::new();
    let a = world.a.clone();
    let handles: Vec<u32> = (0..5).map(|region| world.give(&a, Kind::Mappable, region)).collect();
    assert_eq!(handles, [1, 2, 3, 4, 5].map(|index| index | MARK));
    for it in [2, 5, 3] {
        world.drop_handle(&a, Kind::Mappable, it | MARK).unwrap();
    }
    let again: Vec<u32> = (0..4).map(|region| world.give(&a, Kind::Frozen, region)).collect();
    assert_eq!(again, [3, 5, 2, 6].map(|index| index | MARK));
}

#[test]
fn a_table_grows_as_it_must() {
    let mut world = World::new();
    let a = world.a.clone();
    for region in 1..200 {
        assert_eq!(world.give(&a, Kind::Mappable, region), region | MARK);
    }
    assert_eq!(world.store.data().mores, 3);
    for it in (1..200).rev() {
        assert_eq!(world.entry(&a, it | MARK), (Kind::Mappable as u32, it));
        world.drop_handle(&a, Kind::Mappable, it | MARK).unwrap();
    }
}

#[test]
fn a_discriminant_that_no_case_has_is_named() {
    let variant = Value::Variant(vec![None, Some(own(Kind::Mappable))]);
    let mut world = World::new();
    let lower = lower_alone(&mut world, &takes([variant]));
    let call = lower.typed::<(u32, u32), ()>(&world.store).unwrap();
    assert_eq!(failed(call.call(&mut world.store, (2, 0))), failure(Failure::Discriminant, 2, 0));
    assert_eq!(failed(call.call(&mut world.store, (u32::MAX, 0))), failure(Failure::Discriminant, u32::MAX, 0));
}

/// A lower's wrapper whose callee does nothing.
fn lower_alone(world: &mut World, signature: &Signature) -> wasmtime::Func {
    alone(world, signature, &modules::lower(signature, true))
}

fn alone(world: &mut World, signature: &Signature, module: &modules::Module) -> wasmtime::Func {
    let (flat, spilled) = signature.flat_results();
    let mut params = vec![wasmtime::ValType::I32; signature.flat_params().0.len()];
    let is_lower = module.needs.contains(&("forbidden", modules::Need::Table("forbidden")));
    params.extend((spilled && is_lower).then_some(wasmtime::ValType::I32));
    let results = vec![wasmtime::ValType::I32; if spilled { usize::from(!is_lower) } else { flat.len() }];
    let ty = wasmtime::FuncType::new(world.store.engine(), params, results);
    let callee = wasmtime::Func::new(&mut world.store, ty, |_, args, results| {
        if let (Some(result), Some(arg)) = (results.first_mut(), args.first()) {
            *result = *arg;
        }
        Ok(())
    });
    let a = world.a.clone();
    let instance = world.instantiate(&a, module, Some(callee));
    instance.get_func(&mut world.store, CALL).unwrap()
}

#[test]
fn lists_must_be_aligned_and_in_memory() {
    let signature = takes([list(own(Kind::Mappable))]);
    let cases = [
        ((0x101, 0), failure(Failure::Misaligned, 0x101, 0)),
        ((0x1_fffc, 2), failure(Failure::OutOfBounds, 0x1_fffc, 8)),
        ((0x2_0004, 0), failure(Failure::OutOfBounds, 0x2_0004, 0)),
        ((0xffff_fffc, 1), failure(Failure::OutOfBounds, 0xffff_fffc, 4)),
        // 4 GiB, and all in 32 bits.
        ((0, 0x4000_0000), failure(Failure::OutOfBounds, 0, 0)),
    ];
    for (args, expected) in cases {
        let mut world = World::new();
        let call = lower_alone(&mut world, &signature).typed::<(u32, u32), ()>(&world.store).unwrap();
        assert_eq!(failed(call.call(&mut world.store, args)), expected);
    }
    // Nothing at the very end is a list.
    let mut world = World::new();
    let call = lower_alone(&mut world, &signature).typed::<(u32, u32), ()>(&world.store).unwrap();
    call.call(&mut world.store, (0x2_0000, 0)).unwrap();
}

#[test]
fn spilled_parameters_and_return_areas_must_be_aligned_and_in_memory() {
    let mut many = vec![Value::U64; 16];
    many.push(own(Kind::Mappable));
    for (at, expected) in [
        (0x104, failure(Failure::Misaligned, 0x104, 0)),
        (0x2_0000 - 128, failure(Failure::OutOfBounds, 0x2_0000 - 128, 136)),
    ] {
        let mut world = World::new();
        let call = lower_alone(&mut world, &takes(many.clone())).typed::<u32, ()>(&world.store).unwrap();
        assert_eq!(failed(call.call(&mut world.store, at)), expected);
    }
    let pair = Value::Record(vec![own(Kind::Mappable), own(Kind::Frozen)]);
    let gives = Signature { params: vec![Value::U32], result: Some(pair) };
    for (at, expected) in
        [(2, failure(Failure::Misaligned, 2, 0)), (0x1_fffc, failure(Failure::OutOfBounds, 0x1_fffc, 8))]
    {
        let mut world = World::new();
        let call = lower_alone(&mut world, &gives).typed::<(u32, u32), ()>(&world.store).unwrap();
        assert_eq!(failed(call.call(&mut world.store, (0, at))), expected);
        // What a callee returns, too.
        let module = modules::lift(&gives, false);
        let call = alone(&mut world, &gives, &module).typed::<u32, u32>(&world.store).unwrap();
        assert_eq!(failed(call.call(&mut world.store, at).map(drop)), expected);
    }
}

#[test]
fn more_handles_than_fit_in_a_flight_are_refused() {
    let mut world = World::new();
    let a = world.a.clone();
    world.memory_pages(&a, 16);
    let handles = (0..=MAX_FLIGHT).map(|_| world.give(&a, Kind::Frozen, 7));
    let bytes: Vec<u8> = handles.flat_map(u32::to_le_bytes).collect();
    a.memory.write(&mut world.store, 0x1_0000, &bytes).unwrap();
    let lower = lower_alone(&mut world, &takes([list(own(Kind::Frozen))]));
    let call = lower.typed::<(u32, u32), ()>(&world.store).unwrap();
    let result = call.call(&mut world.store, (0x1_0000, MAX_FLIGHT + 1));
    assert_eq!(failed(result), failure(Failure::FlightFull, MAX_FLIGHT, 0));
}

#[test]
fn what_nobody_claims_is_a_failure() {
    let mut world = World::new();
    let a = world.a.clone();
    let it = world.give(&a, Kind::Frozen, 7);
    let lower = lower_alone(&mut world, &takes([own(Kind::Frozen)]));
    let call = lower.typed::<u32, ()>(&world.store).unwrap();
    assert_eq!(failed(call.call(&mut world.store, it)), failure(Failure::Flight, 0, 1));
}

#[test]
fn nobody_passes_anything_while_a_realloc_or_post_return_runs() {
    let mut world = World::new();
    let (a, ledger) = (world.a.clone(), world.ledger);
    for half in [FLIGHT_SEQ, FLIGHT_SEQ + 4] {
        let callee = wasmtime::Func::wrap(&mut world.store, move |mut caller: wasmtime::Caller<'_, _>| {
            set_word(&ledger, &mut caller, half, 99);
        });
        let guard = world.instantiate(&a, &modules::guard(&[], &[], &[], false), Some(callee));
        let call = guard.get_typed_func::<(), ()>(&mut world.store, CALL).unwrap();
        assert_eq!(failed(call.call(&mut world.store, ())), failure(Failure::Interrupted, 0, 0));
    }
}

#[test]
fn a_call_that_traps_amid_its_lists_is_an_interruption() {
    let two = Value::Record(vec![list(Value::U8), list(Value::U16)]);
    let spilled = takes([vec![Value::U64; 16], vec![two.clone()]].concat());
    let carried = Value::Record(vec![Value::Variant(vec![None, None, Some(list(Value::U8))]), list(Value::U16)]);
    let returns = |result| Signature { params: vec![], result: Some(result) };
    // Where the second list of each is: not aligned. The first has a byte.
    let wrappers = [
        (modules::lower(&spilled, true), &[(16 * 8 + 4, 1), (16 * 8 + 8, 1)][..]),
        (modules::lift(&returns(two), true), &[(4, 1), (8, 1)]),
        (modules::lift(&returns(carried), true), &[(0, 2), (8, 1), (12, 1)]),
    ];
    for (wrapper, bytes) in wrappers {
        let mut world = World::new();
        let (a, b) = (world.a.clone(), world.b.clone());
        for &(at, byte) in bytes {
            a.memory.write(&mut world.store, 64 + at, &[byte]).unwrap();
        }
        let is_lower = wrapper.needs.contains(&("forbidden", modules::Need::Table("forbidden")));
        let callee = if is_lower {
            wasmtime::Func::wrap(&mut world.store, |_: u32| {})
        } else {
            wasmtime::Func::wrap(&mut world.store, || 64u32)
        };
        let wrapper = world.instantiate(&a, &wrapper, Some(callee)).get_func(&mut world.store, CALL).unwrap();
        // A host that is called by a `post-return`, calls guests, and goes on when they trap.
        let host = wasmtime::Func::wrap(&mut world.store, move |mut caller: wasmtime::Caller<'_, _>| {
            let params = if is_lower { &[wasmtime::Val::I32(64)][..] } else { &[] };
            let results = &mut [wasmtime::Val::I32(0)][usize::from(is_lower)..];
            let error = failed(wrapper.call(&mut caller, params, results));
            assert_eq!(error, failure(Failure::Misaligned, 1, 0));
        });
        let guard = world.instantiate(&b, &modules::guard(&[], &[], &[], false), Some(host));
        let call = guard.get_typed_func::<(), ()>(&mut world.store, CALL).unwrap();
        assert_eq!(failed(call.call(&mut world.store, ())), failure(Failure::Interrupted, 0, 0));
    }
}

#[test]
fn nothing_of_ours_may_be_called_where_leaving_is_forbidden() {
    let mut world = World::new();
    let a = world.a.clone();
    let it = world.give(&a, Kind::Mappable, 7);
    let lower = lower_alone(&mut world, &takes([own(Kind::Mappable)]));
    let call = lower.typed::<u32, ()>(&world.store).unwrap();
    let drop = a.table.get_typed_func::<u32, ()>(&mut world.store, "drop-mappable").unwrap();
    for callee in [lower, *drop.func()] {
        let guard = modules::guard(&[wasm_encoder::ValType::I32], &[], &[], false);
        let guard = world.instantiate(&a, &guard, Some(callee)).get_func(&mut world.store, CALL).unwrap();
        let call = guard.typed::<u32, ()>(&world.store).unwrap();
        assert_eq!(failed(call.call(&mut world.store, it)), failure(Failure::CannotLeave, 0, 0));
        let forbidden = a.table.get_global(&mut world.store, "forbidden").unwrap();
        forbidden.set(&mut world.store, wasmtime::Val::I32(0)).unwrap();
    }
    // After a realloc that returns it is allowed again, after one inside of another it is not.
    let nothing = wasmtime::Func::wrap(&mut world.store, || 3u32);
    let guard = modules::guard(&[], &[wasm_encoder::ValType::I32], &[], true);
    let guard = world.instantiate(&a, &guard, Some(nothing)).get_func(&mut world.store, CALL).unwrap();
    let forbidden = a.table.get_global(&mut world.store, "forbidden").unwrap();
    for before in [0, 1] {
        forbidden.set(&mut world.store, wasmtime::Val::I32(before)).unwrap();
        assert_eq!(guard.typed::<(), u32>(&world.store).unwrap().call(&mut world.store, ()).unwrap(), 3);
        assert_eq!(forbidden.get(&mut world.store).i32(), Some(before));
    }
    forbidden.set(&mut world.store, wasmtime::Val::I32(0)).unwrap();
    assert_eq!(failed(call.call(&mut world.store, it)), failure(Failure::Flight, 0, 1));
}

#[test]
fn a_realloc_begins_with_empty_context_slots_and_leaves_them_as_they_were() {
    let mut world = World::new();
    let a = world.a.clone();
    let callee = wasmtime::Func::wrap(&mut world.store, |mut caller: wasmtime::Caller<'_, super::world::Host>| {
        std::mem::replace(&mut caller.data_mut().context, [77, 78]).into_iter().sum::<u32>()
    });
    for (slots, seen, left) in [(&[0, 1][..], 0, [5, 6]), (&[0], 6, [5, 78]), (&[1], 5, [77, 6]), (&[], 11, [77, 78])] {
        world.store.data_mut().context = [5, 6];
        let guard = modules::guard(&[], &[wasm_encoder::ValType::I32], slots, true);
        let guard = world.instantiate(&a, &guard, Some(callee));
        let call = guard.get_typed_func::<(), u32>(&mut world.store, CALL).unwrap();
        assert_eq!(call.call(&mut world.store, ()).unwrap(), seen);
        assert_eq!(world.store.data().context, left);
    }
}
