//! Variants that nothing without names is laid out like: wrappers do to them what the engine's adapters do.

use std::sync::{Arc, Mutex};

use super::calls::bits;
use super::values::{V, case};
use super::world::{Failed, World, failed, failure};
use crate::ledger::convert::MAX_NODES;
use crate::ledger::interface::Failure;
use crate::ledger::modules;
use crate::ledger::signature::{Signature, Value};

fn list(element: Value) -> Value {
    Value::List(Box::new(element))
}

fn numbers(len: u64) -> V {
    V::Elements((0..len).map(|number| V::Bits(number % 251)).collect())
}

/// A variant of all sorts of cases, in registers `i32`, `i64`, `i32`, `i64`, `i64`. In memory the payload is at 8.
fn variant() -> Value {
    let inner = Value::Variant(vec![Some(list(Value::U8)), None, Some(Value::U64)]);
    Value::Variant(vec![
        None,
        Some(list(Value::U16)),
        Some(Value::Record(vec![Value::U64, Value::F32, Value::U8, Value::F64])),
        Some(Value::Record(vec![Value::Bool, list(Value::U64)])),
        Some(Value::Record(vec![Value::S8, Value::S16])),
        Some(Value::Record(vec![Value::Flags(3), inner])),
        Some(Value::Record(vec![Value::Char, Value::Variant(vec![None; 5])])),
        Some(Value::F64),
    ])
}

/// One of each of its cases, with lists of that length.
fn each_case(len: u64) -> Vec<V> {
    let fields = |fields: Vec<V>| V::Fields(fields);
    vec![
        V::Case(0, None),
        case(1, numbers(len)),
        case(2, fields(vec![V::Bits(u64::MAX), V::Bits(0x7fc0_1234), V::Bits(200), V::Bits(0x7ff8_0000_0000_4321)])),
        case(3, fields(vec![V::Bits(1), numbers(len)])),
        case(4, fields(vec![V::Bits(0x80), V::Bits(0x8001)])),
        case(5, fields(vec![V::Bits(5), case(0, numbers(len))])),
        case(5, fields(vec![V::Bits(2), V::Case(1, None)])),
        case(5, fields(vec![V::Bits(2), case(2, V::Bits(u64::MAX - 1))])),
        case(6, fields(vec![V::Bits(0x10_ffff), V::Case(4, None)])),
        case(7, V::Bits(0xfff0_0000_0000_0001)),
    ]
}

#[test]
fn each_case_arrives_as_a_parameter_and_as_a_result() {
    let beside = Value::Record(vec![Value::U8, variant(), list(Value::U32)]);
    let signature = Signature { params: vec![Value::String, variant(), list(Value::U8)], result: Some(beside) };
    for len in [0, 1, 7, 33, 3000] {
        for value in each_case(len) {
            let mut world = World::new();
            let arguments = [numbers(5), value.clone(), numbers(len)];
            let returned = V::Fields(vec![V::Bits(9), value, numbers(len / 2)]);
            let given = returned.clone();
            let seen = world.call(&signature, true, &arguments, move |_| Some(given.clone())).unwrap();
            assert_eq!(seen.arguments, arguments);
            assert_eq!(seen.result, Some(returned));
        }
    }
}

/// What the callee is given in registers where the caller gives these.
fn sent(flat: &[u64]) -> Result<Vec<u64>, Failed> {
    let signature = Signature { params: vec![variant()], result: None };
    let mut world = World::new();
    let a = world.a.clone();
    let given = Arc::new(Mutex::new(vec![]));
    let (types, _) = signature.flat_params();
    assert_eq!(types, {
        use wasm_encoder::ValType::{I32, I64};
        [I32, I64, I32, I64, I64]
    });
    let ty = wasmtime::FuncType::new(world.store.engine(), super::calls::func_types(&types), []);
    let seen = Arc::clone(&given);
    let callee = wasmtime::Func::new(&mut world.store, ty.clone(), move |_, args, _| {
        *seen.lock().unwrap() = args.iter().map(bits).collect();
        Ok(())
    });
    let lower = world.instantiate(&a, &modules::lower(&signature, true), Some(callee));
    let call = lower.get_func(&mut world.store, modules::CALL).unwrap();
    let args: Vec<_> = flat.iter().zip(ty.params()).map(|(bits, ty)| super::calls::val(*bits, &ty)).collect();
    match call.call(&mut world.store, &args, &mut []) {
        Ok(()) => Ok(given.lock().unwrap().clone()),
        Err(error) => Err(failed(Err(error))),
    }
}

#[test]
fn registers_have_nothing_that_is_not_of_the_case() {
    const ALL: u64 = u64::MAX;
    const WORD: u64 = u32::MAX as u64;
    let ones = |tag: u64| [tag, ALL, WORD, ALL, ALL];
    for (given, arrives) in [
        (ones(0), [0, 0, 0, 0, 0]),
        // A list, of which the first word is in a wider register.
        ([1, ALL << 32 | 64, 3, ALL, ALL], [1, 64, 3, 0, 0]),
        (ones(2), [2, ALL, WORD, 0xff, ALL]),
        ([3, ALL << 32, 64, ALL << 32, ALL], [3, 0, 64, 0, 0]),
        ([3, 1 << 31, 64, 1, 0], [3, 1, 64, 1, 0]),
        ([4, 0x80, 0x8000, 7, 7], [4, 0xffff_ff80, 0xffff_8000, 0, 0]),
        ([4, 0x7f, WORD, 7, 7], [4, 0x7f, WORD, 0, 0]),
        // A variant within.
        ([5, ALL, 1, ALL, ALL], [5, 7, 1, 0, 0]),
        ([5, 8, 2, ALL, ALL], [5, 0, 2, ALL, 0]),
        ([5, 1, 0, ALL << 32 | 64, ALL << 32 | 3], [5, 1, 0, 64, 3]),
        ([6, ALL << 32 | 0xd7ff, 4, ALL, ALL], [6, 0xd7ff, 4, 0, 0]),
        ([6, 0xe000, 0, 0, 0], [6, 0xe000, 0, 0, 0]),
        (ones(7), [7, ALL, 0, 0, 0]),
    ] {
        assert_eq!(sent(&given), Ok(arrives.to_vec()), "{given:x?}");
    }
}

#[test]
fn what_no_case_has_is_refused_and_what_no_list_is() {
    for (given, why) in [
        ([8, 0, 0, 0, 0], failure(Failure::Discriminant, 8, 0)),
        ([u32::MAX.into(), 0, 0, 0, 0], failure(Failure::Discriminant, u32::MAX, 0)),
        ([5, 0, 3, 0, 0], failure(Failure::Discriminant, 3, 0)),
        ([6, 0, 5, 0, 0], failure(Failure::Discriminant, 5, 0)),
        ([6, 0xd800, 0, 0, 0], failure(Failure::Char, 0xd800, 0)),
        ([6, 0xdfff, 0, 0, 0], failure(Failure::Char, 0xdfff, 0)),
        ([6, 0x11_0000, 0, 0, 0], failure(Failure::Char, 0x11_0000, 0)),
        ([1, 3, 1, 0, 0], failure(Failure::Misaligned, 3, 0)),
        ([1, 0x1_fffe, 2, 0, 0], failure(Failure::OutOfBounds, 0x1_fffe, 4)),
        ([1, 0, 0x8000_0000, 0, 0], failure(Failure::OutOfBounds, 0, 0)),
        ([5, 0, 0, 0x1_fffe, 3], failure(Failure::OutOfBounds, 0x1_fffe, 3)),
    ] {
        assert_eq!(sent(&given), Err(why), "{given:x?}");
    }
}

#[test]
fn a_result_is_written_where_it_is_and_nowhere_else() {
    let signature = Signature { params: vec![], result: Some(variant()) };
    for (at, value) in each_case(40).into_iter().enumerate() {
        let mut world = World::new();
        let (a, given) = (world.a.clone(), value.clone());
        a.memory.data_mut(&mut world.store)[super::world::AREA as usize..][..0x1000].fill(0xa5);
        let seen = world.call(&signature, true, &[], move |_| Some(given.clone())).unwrap();
        assert_eq!(seen.result, Some(value));
        let area = &a.memory.data(&world.store)[super::world::AREA as usize..][..variant().size() as usize];
        // Behind the discriminant.
        let written: &[(usize, usize)] = match at {
            0 => &[],
            1 => &[(8, 16)],
            2 => &[(8, 21), (24, 32)],
            3 => &[(8, 9), (12, 20)],
            4 => &[(8, 9), (10, 12)],
            5 | 7 => &[(8, 9), (16, 17), (24, 32)],
            6 => &[(8, 9), (16, 17)],
            8 => &[(8, 13)],
            _ => &[(8, 16)],
        };
        for (at, byte) in area.iter().enumerate() {
            let is_written = at == 0 || written.iter().any(|(from, to)| (*from..*to).contains(&at));
            assert!(is_written || *byte == 0xa5, "{at}: {area:x?}");
        }
    }
}

#[test]
fn a_result_that_is_of_no_case_is_refused() {
    let signature = Signature { params: vec![], result: Some(variant()) };
    let mut bytes = vec![0; 40];
    for (changes, why) in [
        ([(0, 8), (8, 0), (12, 0)], failure(Failure::Discriminant, 8, 0)),
        ([(0, 5), (8, 0), (16, 3)], failure(Failure::Discriminant, 3, 0)),
        ([(0, 6), (8, 0), (12, 5)], failure(Failure::Discriminant, 5, 0)),
        ([(0, 6), (9, 0xd9), (12, 0)], failure(Failure::Char, 0xd900, 0)),
        ([(0, 1), (8, 1), (12, 1)], failure(Failure::Misaligned, 1, 0)),
        ([(0, 1), (15, 0xff), (8, 0)], failure(Failure::OutOfBounds, 0, 0xfe00_0000)),
    ] {
        bytes.fill(0);
        changes.iter().for_each(|&(at, byte)| bytes[at] = byte);
        let mut world = World::new();
        let b = world.b.clone();
        b.memory.write(&mut world.store, 64, &bytes).unwrap();
        let callee = wasmtime::Func::wrap(&mut world.store, || 64);
        let lift = world.instantiate(&b, &modules::lift(&signature, true), Some(callee));
        let call = lift.get_typed_func::<(), u32>(&mut world.store, modules::CALL).unwrap();
        assert_eq!(failed(call.call(&mut world.store, ()).map(drop)), why, "{changes:?}");
    }
}

#[test]
fn an_area_that_is_not_all_in_the_memory_is_refused() {
    let signature = Signature { params: vec![], result: Some(variant()) };
    for (area, why) in [(0x1_fff8, Failure::OutOfBounds), (4, Failure::Misaligned)] {
        let mut world = World::new();
        let a = world.a.clone();
        let callee = wasmtime::Func::wrap(&mut world.store, |_: u32| -> () { panic!("the callee was called") });
        let lower = world.instantiate(&a, &modules::lower(&signature, true), Some(callee));
        let call = lower.get_typed_func::<u32, ()>(&mut world.store, modules::CALL).unwrap();
        let second = if why == Failure::OutOfBounds { variant().size() } else { 0 };
        assert_eq!(failed(call.call(&mut world.store, area)), failure(why, area, second));
    }
}

#[test]
fn wrappers_for_the_largest_variants_are_valid() {
    let largest = [
        Value::Variant(vec![Some(list(Value::U8)); MAX_NODES / 3 - 1]),
        Value::Record(vec![Value::Variant(vec![Some(Value::Char); MAX_NODES / 2 - 2]), list(Value::U8)]),
        Value::Variant([vec![None; MAX_NODES - 4], vec![Some(list(Value::U8))]].concat()),
    ];
    for value in largest {
        let sent = Signature { params: vec![value.clone()], result: None };
        let returned = Signature { params: vec![], result: Some(value) };
        for signature in [sent, returned] {
            assert!(signature.has_windows());
            for module in [modules::lower(&signature, true), modules::lift(&signature, true)] {
                let mut validator = wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all());
                validator.validate_all(&module.bytes).unwrap();
            }
        }
    }
}
