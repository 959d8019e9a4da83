//! What is on both sides of the wrappers: the engine's adapter, and the callee.

use std::sync::{Arc, Mutex};

use wasmtime::{AsContextMut, Engine, Func, FuncType, Store, Val};

use super::values::{self, V};
use super::world::{AREA, Host, Party, SPILLED, map_regions};
use crate::ledger::signature::{Signature, Value};

/// A party's memory, for whoever has its store.
impl<S: AsContextMut<Data = Host>> values::Memory for (S, &Party) {
    fn bytes(&self) -> &[u8] {
        self.1.memory.data(&self.0)
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.1.memory.data_mut(&mut self.0)
    }

    fn realloc(&mut self, align: u32, size: u32) -> wasmtime::Result<u32> {
        let realloc = self.1.realloc.typed::<(u32, u32, u32, u32), u32>(&self.0)?;
        realloc.call(&mut self.0, (0, 0, align, size))
    }
}

/// Lowers parameters: flat, or into [`SPILLED`].
pub(super) fn put_params(
    memory: &mut impl values::Memory,
    signature: &Signature,
    params: &[Value],
    vs: &[V],
) -> wasmtime::Result<Vec<u64>> {
    if signature.flat_params().1 {
        values::store(memory, &Value::Record(params.to_vec()), &V::Fields(vs.to_vec()), SPILLED)?;
        return Ok(vec![SPILLED.into()]);
    }
    let mut flat = Vec::new();
    for (param, v) in params.iter().zip(vs) {
        values::lower(memory, param, v, &mut flat)?;
    }
    Ok(flat)
}

fn get_params(memory: &impl values::Memory, signature: &Signature, params: &[Value], flat: &[u64]) -> Vec<V> {
    if signature.flat_params().1 {
        return match values::load(memory, &Value::Record(params.to_vec()), flat[0] as u32) {
            V::Fields(vs) => vs,
            other => vec![other],
        };
    }
    let mut flat = flat.iter();
    params.iter().map(|param| values::lift(memory, param, &mut flat)).collect()
}

pub(super) fn get_result(
    memory: &impl values::Memory,
    signature: &Signature,
    result: Option<&Value>,
    flat: &[u64],
) -> Option<V> {
    let result = result?;
    if signature.flat_results().1 {
        return Some(values::load(memory, result, flat[0] as u32));
    }
    Some(values::lift(memory, result, &mut flat.iter()))
}

fn put_result(memory: &mut impl values::Memory, signature: &Signature, result: &Value, v: &V, at: u32) -> Vec<u64> {
    if signature.flat_results().1 {
        values::store(memory, result, v, at).unwrap();
        return vec![at.into()];
    }
    let mut flat = Vec::new();
    values::lower(memory, result, v, &mut flat).unwrap();
    flat
}

fn func_type(engine: &Engine, params: &[wasm_encoder::ValType], results: &[wasm_encoder::ValType]) -> FuncType {
    FuncType::new(engine, func_types(params), func_types(results))
}

pub(super) fn val(bits: u64, ty: &wasmtime::ValType) -> Val {
    match ty {
        wasmtime::ValType::I64 => Val::I64(bits as i64),
        wasmtime::ValType::F32 => Val::F32(bits as u32),
        wasmtime::ValType::F64 => Val::F64(bits),
        _ => Val::I32(bits as i32),
    }
}

pub(super) fn bits(val: &Val) -> u64 {
    match val {
        Val::I64(bits) => *bits as u64,
        Val::F32(bits) => (*bits).into(),
        Val::F64(bits) => *bits,
        Val::I32(bits) => *bits as u32 as u64,
        _ => 0,
    }
}

/// What stands between a lower and a lift: copies values, handles as the numbers that they are.
pub(super) fn adapter(
    store: &mut Store<Host>,
    [a, b]: [&Party; 2],
    signature: &Signature,
    lists: bool,
    lift: Func,
) -> Func {
    let Signature { params, result } = signature.erased(lists);
    let (mut flat, _) = signature.flat_params();
    let (flat_result, spilled) = signature.flat_results();
    if spilled {
        flat.push(wasm_encoder::ValType::I32);
    }
    let ty = func_type(store.engine(), &flat, if spilled { &[] } else { &flat_result });
    let (a, b, signature) = (a.clone(), b.clone(), signature.clone());
    Func::new(store, ty, move |mut caller, args, results| {
        let args: Vec<u64> = args.iter().map(bits).collect();
        let vs = get_params(&(&mut caller, &a), &signature, &params, &args);
        let flat = put_params(&mut (&mut caller, &b), &signature, &params, &vs)?;
        let ty = lift.ty(&caller);
        let flat: Vec<Val> = flat.iter().zip(ty.params()).map(|(bits, ty)| val(*bits, &ty)).collect();
        let mut given = vec![Val::I32(0); ty.results().len()];
        lift.call(&mut caller, &flat, &mut given)?;
        let given: Vec<u64> = given.iter().map(bits).collect();
        let Some(v) = get_result(&(&mut caller, &b), &signature, result.as_ref(), &given) else { return Ok(()) };
        let area = args.last().copied().unwrap_or(0) as u32;
        let flat = put_result(&mut (&mut caller, &a), &signature, result.as_ref().unwrap(), &v, area);
        if !spilled {
            for ((result, bits), ty) in results.iter_mut().zip(&flat).zip(&func_types(&flat_result)) {
                *result = val(*bits, ty);
            }
        }
        Ok(())
    })
}

/// The callee itself.
pub(super) fn guest(
    store: &mut Store<Host>,
    b: &Party,
    signature: &Signature,
    seen: Arc<Mutex<Vec<V>>>,
    reply: impl Fn(&[V]) -> Option<V> + Send + Sync + 'static,
) -> Func {
    let (flat, _) = signature.flat_params();
    let (mut flat_result, spilled) = signature.flat_results();
    if spilled {
        flat_result = vec![wasm_encoder::ValType::I32];
    }
    let ty = func_type(store.engine(), &flat, &flat_result);
    let (b, signature) = (b.clone(), signature.clone());
    Func::new(store, ty, move |mut caller, args, results| {
        let args: Vec<u64> = args.iter().map(bits).collect();
        let vs = get_params(&(&mut caller, &b), &signature, &signature.params, &args);
        let regions = signature.params.iter().zip(&vs).map(|(ty, v)| map_regions(&b.ledger, &caller, &b, ty, v));
        *seen.lock().unwrap() = regions.collect();
        if let (Some(result), Some(v)) = (&signature.result, reply(&vs)) {
            let types = func_types(&flat_result);
            let flat = put_result(&mut (&mut caller, &b), &signature, result, &v, AREA);
            for ((result, bits), ty) in results.iter_mut().zip(&flat).zip(&types) {
                *result = val(*bits, ty);
            }
        }
        Ok(())
    })
}

pub(super) fn func_types(types: &[wasm_encoder::ValType]) -> Vec<wasmtime::ValType> {
    let ty = |ty: &wasm_encoder::ValType| match ty {
        wasm_encoder::ValType::I64 => wasmtime::ValType::I64,
        wasm_encoder::ValType::F32 => wasmtime::ValType::F32,
        wasm_encoder::ValType::F64 => wasmtime::ValType::F64,
        _ => wasmtime::ValType::I32,
    };
    types.iter().map(ty).collect()
}
