//! In front of a function that goes the engine's way with handles of ours: each that the component gives becomes one of the
//! engine's, where it is. What comes in stays the engine's until it is used (`table.wat`).

use std::rc::Rc;

use wasm_encoder::ValType;

use super::Module;
use super::code::{Arg, Code};
use super::walk::{Place, Way};
use crate::ledger::interface::Failure;
use crate::ledger::signature::{MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_PARAMS, Signature, Value, flat_params};

/// What gives handles to the engine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Crossing {
    /// A lower: its parameters.
    Lower {
        /// The function's type.
        signature: Rc<Signature>,
        /// Whether it is lowered async.
        is_async: bool,
    },
    /// A lift that is not async: its result.
    Lift(Rc<Signature>),
    /// `task.return` of a value of that type.
    TaskReturn(Rc<Value>),
    /// `stream.write` of elements of that type.
    StreamWrite(Rc<Value>),
    /// `future.write` of a value of that type.
    FutureWrite(Rc<Value>),
}

/// The wrapper: its callee is the lower, the built-in, or what is lifted.
pub(super) fn crossing(crossing: &Crossing) -> Module {
    match crossing {
        Crossing::Lower { signature, is_async } => lower(signature, *is_async),
        Crossing::Lift(signature) => lift(signature),
        Crossing::TaskReturn(value) => {
            let value = std::slice::from_ref(&**value);
            let (params, spilled) = flat_params(value, MAX_FLAT_PARAMS);
            let place = if spilled { Place::Memory { base: 0, offset: 0 } } else { Place::Locals(0) };
            before("mappable-task-return", &params, &[], |code| code.leave(value, place))
        }
        Crossing::StreamWrite(element) => {
            let walk = |code: &mut Code| {
                let at = code.local(ValType::I32);
                code.code().local_get(1).local_set(at);
                code.walk_elements(element, at, 2, Way::Leave);
            };
            before("mappable-stream-write", &[ValType::I32; 3], &[ValType::I32], walk)
        }
        Crossing::FutureWrite(value) => {
            let place = Place::Memory { base: 1, offset: 0 };
            let walk = |code: &mut Code| code.leave(std::slice::from_ref(&**value), place);
            before("mappable-future-write", &[ValType::I32; 2], &[ValType::I32], walk)
        }
    }
}

fn lower(signature: &Signature, is_async: bool) -> Module {
    let max = if is_async { MAX_FLAT_ASYNC_PARAMS } else { MAX_FLAT_PARAMS };
    let (mut params, spilled) = flat_params(&signature.params, max);
    let (flat, result_spilled) = signature.flat_results();
    let results = match (is_async, result_spilled) {
        (true, _) => vec![ValType::I32],
        (false, true) => vec![],
        (false, false) => flat,
    };
    if if is_async { signature.result.is_some() } else { result_spilled } {
        params.push(ValType::I32);
    }
    let place = if spilled { Place::Memory { base: 0, offset: 0 } } else { Place::Locals(0) };
    before("mappable-cross", &params, &results, |code| code.leave(&signature.params, place))
}

/// What is done before the callee is called, with the same parameters.
fn before(name: &'static str, params: &[ValType], results: &[ValType], walk: impl FnOnce(&mut Code)) -> Module {
    let mut code = Code::new(name, params, results);
    let forbidden = code.table_global("forbidden");
    code.code().global_get(forbidden);
    code.fail_if(Failure::CannotLeave, Arg::Const(0), Arg::Const(0));
    walk(&mut code);
    let callee = code.callee(params, results);
    for param in 0..params.len() as u32 {
        code.code().local_get(param);
    }
    code.code().call(callee);
    code.finish()
}

fn lift(signature: &Signature) -> Module {
    let (params, _) = signature.flat_params();
    let (flat, spilled) = signature.flat_results();
    let results = if spilled { vec![ValType::I32] } else { flat };
    let mut code = Code::new("mappable-cross-back", &params, &results);
    let callee = code.callee(&params, &results);
    for param in 0..params.len() as u32 {
        code.code().local_get(param);
    }
    code.code().call(callee);
    let kept = code.keep(&results);
    let place = match kept {
        Place::Locals(base) if spilled => Place::Memory { base, offset: 0 },
        place => place,
    };
    code.leave(signature.result.as_slice(), place);
    code.give(&results, kept);
    code.finish()
}

impl Code {
    /// Has the engine keep what the handles of these values stand for.
    fn leave(&mut self, values: &[Value], place: Place) {
        if let Place::Memory { base, .. } = place {
            let all = Value::Record(values.to_vec());
            self.check_area(base, all.size(), all.align());
        }
        self.walk_handles(values, place, Way::Leave);
    }
}
