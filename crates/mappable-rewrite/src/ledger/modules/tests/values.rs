//! Values, and the canonical ABI for them: what the engine's adapters do.

use crate::ledger::signature::{Value, align_to, discriminant_size, payload_offset};

/// A value, its type known from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum V {
    /// A number's bits, or a handle.
    Bits(u64),
    Fields(Vec<V>),
    Case(u32, Option<Box<V>>),
    Elements(Vec<V>),
}

pub(super) fn case(index: u32, payload: V) -> V {
    V::Case(index, Some(Box::new(payload)))
}

/// A guest's memory and its `realloc`.
pub(super) trait Memory {
    fn bytes(&self) -> &[u8];
    fn bytes_mut(&mut self) -> &mut [u8];
    fn realloc(&mut self, align: u32, size: u32) -> wasmtime::Result<u32>;

    fn load(&self, at: u32, size: u32) -> u64 {
        let bytes = &self.bytes()[at as usize..][..size as usize];
        bytes.iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte))
    }

    fn store(&mut self, at: u32, size: u32, bits: u64) {
        self.bytes_mut()[at as usize..][..size as usize].copy_from_slice(&bits.to_le_bytes()[..size as usize]);
    }
}

fn element(value: &Value) -> &Value {
    match value {
        Value::List(element) => element,
        _ => &Value::U8,
    }
}

pub(super) fn load(memory: &impl Memory, value: &Value, at: u32) -> V {
    match value {
        Value::Record(fields) => {
            let mut next = at;
            let load = |field: &Value| {
                let at = align_to(next, field.align());
                next = at + field.size();
                load(memory, field, at)
            };
            V::Fields(fields.iter().map(load).collect())
        }
        Value::Variant(cases) => {
            let index = memory.load(at, discriminant_size(cases.len())) as u32;
            let payload = cases[index as usize].as_ref().map(|case| load(memory, case, at + payload_offset(cases)));
            V::Case(index, payload.map(Box::new))
        }
        Value::List(_) | Value::String => {
            load_list(memory, element(value), memory.load(at, 4) as u32, memory.load(at + 4, 4) as u32)
        }
        // More than one word of labels.
        Value::Flags(_) if value.size() > 8 => V::Bits(0),
        scalar => V::Bits(memory.load(at, scalar.size())),
    }
}

fn load_list(memory: &impl Memory, element: &Value, at: u32, len: u32) -> V {
    V::Elements((0..len).map(|index| load(memory, element, at + index * element.size())).collect())
}

pub(super) fn store(memory: &mut impl Memory, value: &Value, v: &V, at: u32) -> wasmtime::Result<()> {
    match (value, v) {
        (Value::Record(fields), V::Fields(vs)) => {
            let mut next = at;
            for (field, v) in fields.iter().zip(vs) {
                let at = align_to(next, field.align());
                next = at + field.size();
                store(memory, field, v, at)?;
            }
        }
        (Value::Variant(cases), V::Case(index, payload)) => {
            memory.store(at, discriminant_size(cases.len()), (*index).into());
            if let (Some(Some(case)), Some(payload)) = (cases.get(*index as usize), payload) {
                store(memory, case, payload, at + payload_offset(cases))?;
            }
        }
        (_, V::Elements(vs)) => {
            let list = store_list(memory, element(value), vs)?;
            memory.store(at, 4, list.into());
            memory.store(at + 4, 4, vs.len() as u64);
        }
        (Value::Flags(_), _) if value.size() > 8 => {}
        (scalar, V::Bits(bits)) => memory.store(at, scalar.size(), *bits),
        other => panic!("{other:?}"),
    }
    Ok(())
}

fn store_list(memory: &mut impl Memory, element: &Value, vs: &[V]) -> wasmtime::Result<u32> {
    let list = memory.realloc(element.align(), element.size() * vs.len() as u32)?;
    for (index, v) in vs.iter().enumerate() {
        store(memory, element, v, list + index as u32 * element.size())?;
    }
    Ok(list)
}

fn flat_len(value: &Value) -> usize {
    let mut flat = Vec::new();
    value.flatten(&mut flat);
    flat.len()
}

/// From the bits of core values.
pub(super) fn lift(memory: &impl Memory, value: &Value, flat: &mut std::slice::Iter<'_, u64>) -> V {
    let mut next = || *flat.next().unwrap();
    match value {
        Value::Record(fields) => V::Fields(fields.iter().map(|field| lift(memory, field, flat)).collect()),
        Value::Variant(cases) => {
            let index = next() as u32;
            let all = flat.as_slice()[..flat_len(value) - 1].to_vec();
            let payload = cases[index as usize].as_ref().map(|case| lift(memory, case, &mut all.iter()));
            *flat = flat.as_slice()[all.len()..].iter();
            V::Case(index, payload.map(Box::new))
        }
        Value::List(_) | Value::String => {
            let (at, len) = (next() as u32, next() as u32);
            load_list(memory, element(value), at, len)
        }
        Value::Flags(_) if value.size() > 8 => {
            *flat = flat.as_slice()[flat_len(value)..].iter();
            V::Bits(0)
        }
        Value::Flags(_) if flat_len(value) == 2 => {
            let low = next();
            V::Bits(low | next() << 32)
        }
        scalar if scalar.size() == 8 => V::Bits(next()),
        scalar => V::Bits(next() & ((1 << (8 * scalar.size())) - 1)),
    }
}

/// To the bits of core values.
pub(super) fn lower(memory: &mut impl Memory, value: &Value, v: &V, flat: &mut Vec<u64>) -> wasmtime::Result<()> {
    match (value, v) {
        (Value::Record(fields), V::Fields(vs)) => {
            for (field, v) in fields.iter().zip(vs) {
                lower(memory, field, v, flat)?;
            }
        }
        (Value::Variant(cases), V::Case(index, payload)) => {
            let end = flat.len() + flat_len(value);
            flat.push((*index).into());
            if let (Some(Some(case)), Some(payload)) = (cases.get(*index as usize), payload) {
                lower(memory, case, payload, flat)?;
            }
            flat.resize(end, 0);
        }
        (_, V::Elements(vs)) => {
            let list = store_list(memory, element(value), vs)?;
            flat.extend([list.into(), vs.len() as u64]);
        }
        (Value::Flags(_), V::Bits(bits)) if flat_len(value) > 1 => {
            let end = flat.len() + flat_len(value);
            flat.extend([bits & 0xffff_ffff, bits >> 32]);
            flat.resize(end, 0);
        }
        (_, V::Bits(bits)) => flat.push(*bits),
        other => panic!("{other:?}"),
    }
    Ok(())
}

/// The value with each handle `change`d.
pub(super) fn map_handles(value: &Value, v: &V, change: &mut impl FnMut(&Value, u32) -> u32) -> V {
    match (value, v) {
        (Value::Own(_) | Value::Borrow(_), V::Bits(handle)) => V::Bits(change(value, *handle as u32).into()),
        (Value::Record(fields), V::Fields(vs)) => {
            V::Fields(fields.iter().zip(vs).map(|(field, v)| map_handles(field, v, change)).collect())
        }
        (Value::Variant(cases), V::Case(index, Some(payload))) => {
            case(*index, map_handles(cases[*index as usize].as_ref().unwrap(), payload, change))
        }
        (Value::List(element), V::Elements(vs)) => {
            V::Elements(vs.iter().map(|v| map_handles(element, v, change)).collect())
        }
        _ => v.clone(),
    }
}
