//! What a bridge has between its lift and its lower. The engine's adapters carry everything but handles of ours: those
//! are replaced where they are, each by one of the other side.
//!
//! A handle is a number of 32 bits on both sides, so both have the same layout. What lies in memory lies in the
//! bridge's heap, which both canonical functions name; parameters and result are changed in place.

use wasm_encoder::ValType;

use super::code::Code;
use super::walk::{Place, Way};
use super::{Crossing, Module, Need};
use crate::ledger::interface::Builtin;
use crate::ledger::signature::{Signature, Value};

/// The memory of a bridge: exports `memory`, `realloc`, `begin` and `end` of a call, and `done`, a `post-return`.
pub(super) fn heap() -> Module {
    Module { bytes: assembled!("heap").to_vec(), needs: Vec::new() }
}

pub(super) fn bridge(signature: &Signature, params: Crossing, result: Crossing) -> Module {
    let (flat, spilled) = signature.flat_params();
    let (flat_result, result_spilled) = signature.flat_results();
    let (params_in_memory, result_in_memory) = signature.in_memory();
    let uses_heap = params_in_memory || result_in_memory;
    let results = if result_spilled { vec![ValType::I32] } else { flat_result.clone() };
    let mut code = Code::untrusted("mappable-bridge", &flat, &results);
    let place = if spilled { Place::Memory { base: 0, offset: 0 } } else { Place::Locals(0) };

    if uses_heap {
        let begin = code.heap("begin", &[], &[]);
        code.code().call(begin);
    }
    code.walk_fields(&signature.params, place, Way::Cross(params));

    let mut callee_params = flat.clone();
    let area = signature.result.as_ref().filter(|_| result_spilled).map(|result| {
        callee_params.push(ValType::I32);
        let (realloc, area) = (code.heap("realloc", &[ValType::I32; 4], &[ValType::I32]), code.local(ValType::I32));
        let (align, size) = (result.align() as i32, result.size() as i32);
        code.code().i32_const(0).i32_const(0).i32_const(align).i32_const(size).call(realloc).local_set(area);
        area
    });
    let callee = code.callee(&callee_params, if result_spilled { &[] } else { &flat_result });
    for param in 0..flat.len() as u32 {
        code.code().local_get(param);
    }
    area.into_iter().for_each(|area| _ = code.code().local_get(area));
    code.code().call(callee);

    let kept = match area {
        Some(area) => Place::Locals(area),
        None => code.keep(&results),
    };
    let at = area.map_or(kept, |base| Place::Memory { base, offset: 0 });
    if let Some(value) = &signature.result {
        code.walk(value, at, Way::Cross(result));
    }
    // What was borrowed is given back before the call ends.
    code.walk_fields(&signature.params, place, Way::Drop);
    // What is returned in memory is given back by the `post-return`.
    if uses_heap && !result_in_memory {
        let end = code.heap("end", &[], &[]);
        code.code().call(end);
    }
    code.give(&results, kept);
    code.finish()
}

impl Code {
    fn heap(&mut self, name: &'static str, params: &[ValType], results: &[ValType]) -> u32 {
        self.func(name, Need::Heap(name), params, results)
    }

    /// Calls what a handle of ours goes through: it is on the stack, and then its like on the other side.
    pub(super) fn cross(&mut self, handle: &Value, way: Crossing) {
        let builtin = match (handle, way) {
            (Value::Own(kind), Crossing::Enter) => Builtin::enter(*kind),
            (Value::Own(kind), Crossing::Leave) => Builtin::leave(*kind),
            _ => None,
        };
        // Nothing else crosses: `Signature::cannot_cross`.
        if let Some(builtin) = builtin {
            let name = builtin.package_name();
            let func = self.func(name, Need::Crossing(builtin), &[ValType::I32], &[ValType::I32]);
            self.code().call(func);
        }
    }
}
