//! Handles in every position of a type.

use proptest::prelude::*;

use super::values::{V, case};
use super::world::{World, map_regions};
use crate::ledger::layout::*;
use crate::ledger::signature::{Kind, Signature, Value};

/// Pseudorandom values of any type, with handles of A for regions of their own.
struct Sample<'w> {
    world: &'w mut World,
    in_b: bool,
    state: u64,
    region: u32,
}

impl Sample<'_> {
    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    fn value(&mut self, value: &Value) -> V {
        match value {
            Value::Own(kind) => {
                self.region += 1;
                let party = if self.in_b { self.world.b.clone() } else { self.world.a.clone() };
                V::Bits(self.world.give(&party, *kind, self.region).into())
            }
            Value::List(element) => {
                let len = self.next() % 4;
                V::Elements((0..len).map(|_| self.value(element)).collect())
            }
            Value::String => V::Elements(vec![V::Bits(65); (self.next() % 5) as usize]),
            Value::Record(fields) => V::Fields(fields.iter().map(|field| self.value(field)).collect()),
            Value::Variant(cases) => {
                let index = (self.next() % cases.len() as u64) as u32;
                match &cases[index as usize] {
                    Some(payload) => case(index, self.value(payload)),
                    None => V::Case(index, None),
                }
            }
            Value::Flags(labels @ 1..=32) => V::Bits(self.next() & ((1 << labels) - 1)),
            Value::Flags(_) if value.size() > 8 => V::Bits(0),
            scalar if scalar.size() == 8 => V::Bits(self.next()),
            scalar => V::Bits(self.next() & ((1 << (8 * scalar.size())) - 1)),
        }
    }
}

fn handles_anywhere(signature: &Signature, lists: bool, seed: u64) {
    let mut world = World::new();
    // So that the two tables' indices differ.
    let b = world.b.clone();
    for region in 1000..1003 {
        world.give(&b, Kind::Mappable, region);
    }
    let mut sample = Sample { world: &mut world, in_b: false, state: seed | 1, region: 0 };
    let arguments: Vec<V> = signature.params.iter().map(|param| sample.value(param)).collect();
    sample.in_b = true;
    let result = signature.result.as_ref().map(|result| sample.value(result));
    let regions = |world: &World, party, ty, v| map_regions(&world.ledger, &world.store, party, ty, v);
    let expected: Vec<V> =
        signature.params.iter().zip(&arguments).map(|(ty, v)| regions(&world, &world.a, ty, v)).collect();
    let expected_result = result.as_ref().map(|v| regions(&world, &world.b, signature.result.as_ref().unwrap(), v));

    let reply = result.clone();
    let exchange = world.call(signature, lists, &arguments, move |_| reply.clone()).unwrap();

    assert_eq!(exchange.arguments, expected);
    assert_eq!(exchange.result, expected_result);
    assert_eq!((world.word(FLIGHT_LEN), world.word(FLIGHT_NEXT)), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn handles_arrive_wherever_they_are(signature in super::signature(), lists: bool, seed: u64) {
        prop_assume!(signature.cannot_be_closed().is_none());
        handles_anywhere(&signature, lists, seed);
    }
}

#[test]
fn a_handle_in_a_joined_slot_arrives() {
    let within = Value::Variant(vec![Some(Value::F64), Some(Value::List(Box::new(Value::Own(Kind::Mapping))))]);
    let variant = Value::Variant(vec![
        Some(Value::Record(vec![Value::U64, Value::U64])),
        Some(Value::Record(vec![Value::Own(Kind::Frozen), within])),
    ]);
    for seed in 0..16 {
        let signature = Signature { params: vec![variant.clone(), Value::Own(Kind::Mappable)], result: None };
        handles_anywhere(&signature, false, 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed + 1));
    }
}
