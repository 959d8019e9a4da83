//! Around what may not call out, and what it may not call.

use wasm_encoder::{BlockType, Catch, ValType};

use super::Module;
use super::code::{Arg, Code};
use crate::ledger::interface::Failure;

/// What `forbidden` is while a `realloc` runs, which may call nothing; and while a `post-return` does, which may call
/// nothing of ours. (The canonical ABI forbids it all else too, but the engine allows that, and so do we.)
const IN_REALLOC: i32 = 1;
const IN_POST_RETURN: i32 = 2;

/// Sets the table's `forbidden` while the callee runs. That keeps this component instance from passing on anything by
/// the ledger. A `post-return` may call others none the less, where the engine lets it, and have them do so. Then what waits
/// in the ledger may be theirs, so that nobody may go on.
///
/// These context slots of the thread are 0 when the callee begins, and afterwards what they were before.
///
/// With a `barrier`, an exception of a `realloc` is a trap. A caller's wrapper calls its `realloc` behind the engine's
/// adapter, which does the same around all that it calls.
pub(super) fn guard(params: &[ValType], results: &[ValType], slots: &[u32], barrier: bool) -> Module {
    let mut code = Code::new("mappable-guard", params, results);
    let callee = code.callee(params, results);
    let slots: Vec<_> = slots.iter().map(|slot| code.context(*slot)).collect();
    let kept: Vec<_> = slots.iter().map(|_| code.local(ValType::I32)).collect();
    let forbidden = code.table_global("forbidden");
    // Only `realloc` returns anything.
    let why = if results.is_empty() { IN_POST_RETURN } else { IN_REALLOC };
    let before = code.local(ValType::I32);
    let sequence = (why == IN_POST_RETURN).then(|| code.local(ValType::I64));
    if let Some(sequence) = sequence {
        code.sequence();
        code.code().local_set(sequence);
    }
    code.code().global_get(forbidden).local_set(before);
    code.code().local_get(before).i32_const(why).i32_or().global_set(forbidden);
    for ((get, set), kept) in slots.iter().zip(&kept) {
        code.code().call(*get).local_set(*kept).i32_const(0).call(*set);
    }
    let result = results.first().filter(|_| barrier).map(|ty| BlockType::Result(*ty));
    if let Some(ty) = result {
        code.code().block(ty).block(BlockType::Empty).try_table(ty, [Catch::All { label: 0 }]);
    }
    for param in 0..params.len() as u32 {
        code.code().local_get(param);
    }
    code.code().call(callee);
    if result.is_some() {
        code.code().end().br(1).end().unreachable().end();
    }
    code.code().local_get(before).global_set(forbidden);
    for ((_, set), kept) in slots.iter().zip(&kept) {
        code.code().local_get(*kept).call(*set);
    }
    if let Some(sequence) = sequence {
        code.fail_if_interrupted(sequence);
    }
    code.finish()
}

/// Fails while the table's `forbidden` says that a `realloc` runs; else it is the callee.
pub(super) fn may_leave(params: &[ValType], results: &[ValType]) -> Module {
    let mut code = Code::new("mappable-may-leave", params, results);
    let callee = code.callee(params, results);
    let forbidden = code.table_global("forbidden");
    code.code().global_get(forbidden).i32_const(IN_REALLOC).i32_and();
    code.fail_if(Failure::CannotLeave, Arg::Const(0), Arg::Const(0));
    for param in 0..params.len() as u32 {
        code.code().local_get(param);
    }
    code.code().call(callee);
    code.finish()
}
