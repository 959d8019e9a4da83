//! A `realloc` that changes what it is given.

use super::failures::{handle, list, own, takes};
use super::values::{V, case};
use super::world::{Failed, Hook, Host, Party, SPILLED, World, failure, set_word, word};
use crate::ledger::interface::Failure;
use crate::ledger::signature::{Kind, Value};

/// B's `realloc` changes the parameters, which it has before it as soon as the second list is allocated.
fn tampered(params: &[Value], arguments: impl Fn(&mut World) -> Vec<V>, at: u32, value: u32) -> Failed {
    let mut world = World::new();
    let mut all = vec![Value::U32; 16];
    all.extend_from_slice(params);
    all.push(Value::String);
    let mut vs = vec![V::Bits(0); 16];
    vs.extend(arguments(&mut world));
    vs.push(V::Elements(vec![V::Bits(65)]));
    // All but the last list are in place when the string is allocated: it is the last allocation.
    let b = world.b.number;
    world.store.data_mut().on_realloc = Some(tamper(b, at, value));
    world.fails(&takes(all), false, &vs)
}

/// Once the last allocation, of one byte, is asked for in that party's memory.
fn tamper(party: u32, at: u32, value: u32) -> Hook {
    Box::new(move |mut caller, who| {
        if who.number == party && word(&who.memory, &caller, SPILLED + 60) == 0 && touched(&caller, who) {
            set_word(&who.memory, &mut caller, SPILLED + at, value);
        } else {
            caller.data_mut().on_realloc = Some(tamper(party, at, value));
        }
        0
    })
}

/// Whether the parameter after the sixteen words was stored.
fn touched(caller: &wasmtime::Caller<'_, Host>, who: &Party) -> bool {
    word(&who.memory, caller, SPILLED + 64) != 0
}

#[test]
fn what_a_realloc_does_to_handles_in_flight_is_of_no_use() {
    let one = |world: &mut World| {
        let a = world.a.clone();
        vec![handle(world.give(&a, Kind::Mappable, 7))]
    };
    let maybe = Value::Variant(vec![None, Some(own(Kind::Mappable))]);
    let some = move |world: &mut World| vec![case(1, one(world).remove(0))];
    // Lost: the option is none. Another case: nothing is claimed, though it was sent.
    assert_eq!(tampered(std::slice::from_ref(&maybe), some, 64, 0), failure(Failure::Flight, 0, 1));
    assert_eq!(tampered(std::slice::from_ref(&maybe), some, 64, 2), failure(Failure::Discriminant, 2, 0));

    // The handle is of another kind.
    let either = Value::Variant(vec![None, Some(own(Kind::Mappable)), Some(own(Kind::Mapping))]);
    assert_eq!(tampered(&[either], some, 64, 2), failure(Failure::Flight, 0, 1));

    // Doubled, and lost: a list's length is another.
    let two = |world: &mut World| {
        let a = world.a.clone();
        vec![V::Elements((7..9).map(|region| handle(world.give(&a, Kind::Mappable, region))).collect())]
    };
    let of_two = [list(own(Kind::Mappable))];
    assert_eq!(tampered(&of_two, two, 68, 3), failure(Failure::Flight, 2, 2));
    assert_eq!(tampered(&of_two, two, 68, 1), failure(Failure::Flight, 1, 2));
    assert_eq!(tampered(&of_two, two, 68, u32::MAX), failure(Failure::OutOfBounds, 0x8000, u32::MAX << 2));
}

#[test]
fn an_index_that_a_realloc_forges_is_written_over() {
    let mut world = World::new();
    let (a, b) = (world.a.clone(), world.b.clone());
    let theirs = world.give(&b, Kind::Mappable, 9);
    let it = world.give(&a, Kind::Mappable, 7);
    let mut params = vec![Value::U32; 16];
    params.extend([own(Kind::Mappable), Value::String]);
    let mut vs = vec![V::Bits(0); 16];
    vs.extend([handle(it), V::Elements(vec![V::Bits(65)])]);
    world.store.data_mut().on_realloc = Some(tamper(b.number, 64, theirs + 40));
    let seen = world.call(&takes(params), false, &vs, |_| None).unwrap();
    assert!(world.store.data().on_realloc.is_none());
    assert_eq!(seen.arguments[16], handle(7));
}
