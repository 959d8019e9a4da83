//! Handles of the engine's in a component, and handles that go to the engine.

use std::rc::Rc;

use super::super::{self as modules, CALL, Crossing};
use super::failures::own;
use super::world::{World, failed, failure};
use crate::ledger::interface::Failure;
use crate::ledger::layout::*;
use crate::ledger::signature::{Kind, Signature, Value};

/// What the engine has, and what the table has of a handle.
fn engines(world: &World) -> Vec<(u32, Kind, u32)> {
    world.store.data().engines.iter().map(|(handle, (kind, region))| (*handle, *kind, *region)).collect()
}

/// Calls a crossing with these parameters, and gives what its callee was given.
fn cross(world: &mut World, crossing: &Crossing, params: &[u32]) -> wasmtime::Result<Vec<u32>> {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let engine = world.store.engine().clone();
    let module = wasmtime::Module::new(&engine, &modules::crossing(crossing).bytes).unwrap();
    let wasmtime::ExternType::Func(ty) = module.get_export(CALL).unwrap() else { panic!() };
    let callee = {
        let seen = seen.clone();
        wasmtime::Func::new(&mut world.store, ty.clone(), move |_, args, results| {
            *seen.lock().unwrap() = args.iter().map(|arg| arg.unwrap_i32() as u32).collect();
            results.fill(wasmtime::Val::I32(0));
            Ok(())
        })
    };
    let a = world.a.clone();
    let instance = world.instantiate(&a, &modules::crossing(crossing), Some(callee));
    let call = instance.get_func(&mut world.store, CALL).unwrap();
    let params: Vec<_> = params.iter().map(|param| wasmtime::Val::I32(*param as i32)).collect();
    let mut results = vec![wasmtime::Val::I32(0); ty.results().len()];
    call.call(&mut world.store, &params, &mut results)?;
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    Ok(seen)
}

fn lower(params: impl IntoIterator<Item = Value>) -> Crossing {
    let signature = Rc::new(Signature { params: params.into_iter().collect(), result: None });
    Crossing::Lower { signature, is_async: false }
}

#[test]
fn an_owned_handle_that_is_given_becomes_the_engines() {
    for kind in Kind::ALL {
        let mut world = World::crossing();
        let a = world.a.clone();
        let it = world.give(&a, kind, 9);
        assert_eq!(cross(&mut world, &lower([own(kind)]), &[it]).unwrap(), [1]);
        assert_eq!(engines(&world), [(1, kind, 9)]);
        assert_eq!(world.entry(&a, it).0, 0);
        assert_eq!(
            failed(cross(&mut world, &lower([own(kind)]), &[it]).map(drop)),
            failure(Failure::UnknownHandle, it, 0)
        );
    }
}

#[test]
fn a_handle_that_is_lent_stands_for_the_engines_until_it_is_used() {
    let mut world = World::crossing();
    let (a, lend) = (world.a.clone(), lower([Value::Borrow(Kind::Frozen)]));
    let it = world.give(&a, Kind::Frozen, 9);
    for _ in 0..2 {
        assert_eq!(cross(&mut world, &lend, &[it]).unwrap(), [1]);
        assert_eq!(world.entry(&a, it), (Kind::Frozen as u32 | ENGINES, 1));
    }
    // Taken for a call to another component, it is the ledger's again.
    let takes = Signature { params: vec![own(Kind::Frozen)], result: None };
    let seen = world.call(&takes, false, &[super::failures::handle(it)], |_| None).unwrap();
    assert_eq!(seen.arguments, [super::failures::handle(9)]);
    assert_eq!(engines(&world), []);
    // Given to the engine, it is the same handle; dropped, it is gone there.
    let it = world.give(&a, Kind::Frozen, 9);
    cross(&mut world, &lend, &[it]).unwrap();
    assert_eq!(cross(&mut world, &lower([own(Kind::Frozen)]), &[it]).unwrap(), [1]);
    let it = world.give(&a, Kind::Frozen, 8);
    cross(&mut world, &lend, &[it]).unwrap();
    world.drop_handle(&a, Kind::Frozen, it).unwrap();
    assert_eq!((engines(&world), world.entry(&a, it).0), (vec![(1, Kind::Frozen, 9)], 0));
    assert_eq!(world.store.data().drops, []);
}

#[test]
fn a_handle_of_the_engines_is_its_own_until_it_is_taken_for_the_ledger() {
    let mut world = World::crossing();
    let a = world.a.clone();
    world.store.data_mut().engines.insert(7, (Kind::Mappable, 9));
    // Lent and given, it is what it is.
    for ty in [Value::Borrow(Kind::Mappable), own(Kind::Mappable)] {
        assert_eq!(cross(&mut world, &lower([ty]), &[7]).unwrap(), [7]);
    }
    let takes = Signature { params: vec![own(Kind::Mappable)], result: None };
    let seen = world.call(&takes, false, &[super::failures::handle(7)], |_| None).unwrap();
    assert_eq!(seen.arguments, [super::failures::handle(9)]);
    assert_eq!(engines(&world), []);
    // One that is not there, or is another, the engine refuses.
    world.store.data_mut().engines.insert(7, (Kind::Frozen, 9));
    for handle in [6, 7] {
        let refused = world.call(&takes, false, &[super::failures::handle(handle)], |_| None).unwrap_err();
        assert!(
            refused.to_string().starts_with("the engine has")
                || refused.chain().any(|cause| cause.to_string().starts_with("the engine has")),
            "{refused:?}"
        );
        world.set_word(FLIGHT_LEN, 0);
        world.set_word(ENTER, 0);
    }
    world.drop_handle(&a, Kind::Frozen, 7).unwrap();
    assert_eq!(engines(&world), []);
    // Nor is one that is borrowed taken.
    world.store.data_mut().borrowed.push(8);
    let refused = failed(world.call(&takes, false, &[super::failures::handle(8)], |_| None).map(drop));
    assert_eq!(refused, failure(Failure::Borrowed, 8, 0));
}

#[test]
fn handles_in_memory_are_written_over_wherever_they_are() {
    let element = Value::Record(vec![Value::U8, Value::Variant(vec![None, Some(own(Kind::Mappable))])]);
    for (crossing, at) in [
        (Crossing::StreamWrite(Rc::new(element.clone())), 1),
        (lower([Value::List(Box::new(element.clone()))]), 0),
        (Crossing::TaskReturn(Rc::new(Value::List(Box::new(element.clone())))), 0),
    ] {
        let mut world = World::crossing();
        let a = world.a.clone();
        let handles = [5, 6].map(|region| world.give(&a, Kind::Mappable, region));
        let words = [0, 1, handles[0], 0, 0, 12345, 0, 1, handles[1]];
        for (nth, word) in words.iter().enumerate() {
            a.memory.write(&mut world.store, 0x100 + 4 * nth, &word.to_le_bytes()).unwrap();
        }
        let params = [&vec![3; at][..], &[0x100, 3]].concat();
        assert_eq!(cross(&mut world, &crossing, &params).unwrap(), params);
        assert_eq!(engines(&world), [(1, Kind::Mappable, 5), (2, Kind::Mappable, 6)]);
        for (nth, word) in [0, 1, 1, 0, 0, 12345, 0, 1, 2].into_iter().enumerate() {
            let mut bytes = [0; 4];
            a.memory.read(&world.store, 0x100 + 4 * nth, &mut bytes).unwrap();
            assert_eq!(u32::from_le_bytes(bytes), word, "{nth}");
        }
        // Where there is no memory it is refused.
        let outside = [&vec![3; at][..], &[0x1_fff0, 2]].concat();
        let refused = failed(cross(&mut world, &crossing, &outside).map(drop));
        assert_eq!(refused.code, Failure::OutOfBounds as u32);
    }
}

#[test]
fn nothing_goes_to_the_engine_where_leaving_is_forbidden() {
    let mut world = World::crossing();
    let a = world.a.clone();
    let it = world.give(&a, Kind::Mappable, 9);
    let forbidden = a.table.get_global(&mut world.store, "forbidden").unwrap();
    forbidden.set(&mut world.store, 1.into()).unwrap();
    for crossing in [lower([own(Kind::Mappable)]), Crossing::TaskReturn(Rc::new(own(Kind::Mappable)))] {
        assert_eq!(failed(cross(&mut world, &crossing, &[it]).map(drop)), failure(Failure::CannotLeave, 0, 0));
    }
    assert_eq!(engines(&world), []);
}
