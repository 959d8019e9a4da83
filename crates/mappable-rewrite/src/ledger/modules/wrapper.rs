//! What stands in front of a lower, and of a lift: the sender's and the receiver's half of every call.

use std::slice;

use wasm_encoder::{BlockType, ValType};

use super::Module;
use super::code::{Arg, Code, mem_arg};
use super::walk::{Place, Way};
use crate::ledger::interface::Failure;
use crate::ledger::layout::{FLIGHT_LEN, FLIGHT_NEXT, FLIGHT_SEQ};
use crate::ledger::signature::{Passed, Signature, Value};

/// A signature, as its wrapper needs it.
struct Shape {
    flat: Vec<ValType>,
    /// The parameters as one record, where they are in memory.
    spilled: bool,
    params: Value,
    result: Option<Value>,
    flat_result: Vec<ValType>,
    result_spilled: bool,
    handles: bool,
    /// Whether lists go by window, and which way.
    lists_sent: bool,
    lists_returned: bool,
    /// Whether the result is carried, with them.
    carried: bool,
}

impl Shape {
    fn new(signature: &Signature, lists: bool) -> Self {
        let (flat, spilled) = signature.flat_params();
        let (flat_result, result_spilled) = signature.flat_results();
        let lists_returned = lists && signature.returns_by_window();
        Self {
            flat,
            spilled,
            params: Value::Record(signature.params.clone()),
            result: signature.result.clone(),
            flat_result,
            result_spilled,
            handles: signature.has_handles(),
            lists_sent: lists && signature.sends_by_window(),
            lists_returned,
            carried: lists_returned && signature.result.as_ref().is_some_and(Value::is_carried),
        }
    }

    /// Where the parameters are, of a function that has them first.
    fn place(&self) -> Place {
        if self.spilled { Place::Memory { base: 0, offset: 0 } } else { Place::Locals(0) }
    }

    fn fields(&self) -> &[Value] {
        match &self.params {
            Value::Record(fields) => fields,
            _ => &[],
        }
    }
}

/// In front of a lower: handles leave the caller's table, and those of the result enter it. With `engines`, a call whose
/// first parameter is a handle of the engine's goes to the engine's function.
pub(super) fn lower(name: &'static str, signature: &Signature, lists: bool, engines: bool) -> Module {
    let shape = Shape::new(signature, lists);
    let mut params = shape.flat.clone();
    let mut results = shape.flat_result.clone();
    if shape.result_spilled {
        params.push(ValType::I32);
        results.clear();
    }
    let area = params.len() as u32 - u32::from(shape.result_spilled);
    let mut code = Code::new(name, &params, &results);

    let forbidden = code.table_global("forbidden");
    code.code().global_get(forbidden);
    code.fail_if(Failure::CannotLeave, Arg::Const(0), Arg::Const(0));
    if engines {
        code.go_by_the_engine(&params, &results);
    }
    // Lists are looked for behind the call, when the engine has looked at the area. No handle may have gone by then. Where
    // the result is carried, the engine knows of the area's beginning alone.
    let looks = shape.result_spilled && (shape.handles || shape.carried);
    if let Some(result) = shape.result.as_ref().filter(|_| looks) {
        code.check_area(area, result.size(), result.align());
    }
    if shape.handles {
        code.check_nothing_in_flight();
    }
    code.send(&shape);
    let beginning = shape.carried.then(|| code.keep_beginning(area));

    let callee = code.callee(&params, &results);
    for param in 0..params.len() as u32 {
        code.code().local_get(param);
    }
    code.code().call(callee);

    let result = if shape.result_spilled { Place::Memory { base: area, offset: 0 } } else { code.keep(&results) };
    if let Some(value) = shape.result.as_ref().filter(|value| value.has_handles()) {
        code.walk(value, result, Way::Receive);
    }
    if shape.handles {
        code.all_claimed();
    }
    if let Some(beginning) = beginning {
        code.restore_beginning(area, beginning);
    }
    if let Some(value) = shape.result.as_ref().filter(|_| shape.lists_returned) {
        code.take_from_bounce(slice::from_ref(value), result, Passed::Returned);
    }
    code.give(&results, result);
    code.finish()
}

/// In front of a lift: handles enter the callee's table, and those of the result leave it.
pub(super) fn lift(name: &'static str, signature: &Signature, lists: bool) -> Module {
    let shape = Shape::new(signature, lists);
    let results = if shape.result_spilled { vec![ValType::I32] } else { shape.flat_result.clone() };
    let mut code = Code::new(name, &shape.flat, &results);

    if shape.spilled && (shape.lists_sent || shape.params.has_handles()) {
        code.check_area(0, shape.params.size(), shape.params.align());
    }
    code.walk_handles(shape.fields(), shape.place(), Way::Receive);
    if shape.handles {
        code.all_claimed();
    }
    match shape.spilled {
        _ if !shape.lists_sent => {}
        true => code.take_from_bounce(shape.fields(), shape.place(), Passed::Spilled),
        false => code.receive_lists(shape.fields(), shape.place()),
    }

    let callee = code.callee(&shape.flat, &results);
    for param in 0..shape.flat.len() as u32 {
        code.code().local_get(param);
    }
    code.code().call(callee);

    let kept = code.keep(&results);
    let result = match kept {
        Place::Locals(pointer) if shape.result_spilled => Place::Memory { base: pointer, offset: 0 },
        place => place,
    };
    if let Some(value) = shape.result.as_ref().filter(|value| shape.lists_returned || value.has_handles()) {
        if let Place::Memory { base, .. } = result {
            code.check_area(base, value.size(), value.align());
        }
        if value.has_handles() {
            code.check_nothing_in_flight();
            code.walk(value, result, Way::Send);
            code.note_sent();
        }
        if shape.lists_returned {
            code.put_into_bounce(slice::from_ref(value), result, Passed::Returned);
        }
    }
    code.give(&results, kept);
    code.finish()
}

impl Code {
    fn send(&mut self, shape: &Shape) {
        let handles = shape.params.has_handles();
        if shape.spilled && (shape.lists_sent || handles) {
            self.check_area(0, shape.params.size(), shape.params.align());
        }
        if handles {
            self.walk_handles(shape.fields(), shape.place(), Way::Send);
            self.note_sent();
        }
        match shape.spilled {
            _ if !shape.lists_sent => {}
            true => self.put_into_bounce(shape.fields(), shape.place(), Passed::Spilled),
            false => self.send_lists(shape.fields(), shape.place()),
        }
    }

    /// What was sent is to be claimed, from the first on.
    fn note_sent(&mut self) {
        self.set_word_const(FLIGHT_NEXT, 0);
        self.new_sequence();
    }

    pub(super) fn new_sequence(&mut self) {
        let memory = self.ledger();
        self.code().i32_const(FLIGHT_SEQ as i32);
        self.sequence();
        self.code().i64_const(1).i64_add().i64_store(mem_arg(memory, 0, 3));
    }

    /// Something is where a `post-return` has this called while a result is on its way, or after a trap in the store.
    fn check_nothing_in_flight(&mut self) {
        self.word(FLIGHT_LEN);
        self.fail_if(Failure::Interrupted, Arg::Const(0), Arg::Const(0));
    }

    /// All that was sent must have been claimed.
    fn all_claimed(&mut self) {
        let [next, len] = [self.local(ValType::I32), self.local(ValType::I32)];
        self.word(FLIGHT_NEXT);
        self.code().local_tee(next);
        self.word(FLIGHT_LEN);
        self.code().local_tee(len).i32_ne();
        self.fail_if(Failure::Flight, Arg::Local(next), Arg::Local(len));
        self.set_word_const(FLIGHT_NEXT, 0);
        self.set_word_const(FLIGHT_LEN, 0);
    }

    /// Goes to the engine's function, and back with what it gives, if the first parameter is a handle of the engine's.
    fn go_by_the_engine(&mut self, params: &[ValType], results: &[ValType]) {
        let (ask, handle) = (self.table("engines"), self.local(ValType::I32));
        let engines = self.engines(params, results);
        self.code().local_get(0).call(ask).local_tee(handle).if_(BlockType::Empty).local_get(handle);
        for param in 1..params.len() as u32 {
            self.code().local_get(param);
        }
        self.code().call(engines).return_().end();
    }

    /// Puts what is on the stack into locals.
    pub(super) fn keep(&mut self, results: &[ValType]) -> Place {
        let locals: Vec<u32> = results.iter().map(|ty| self.local(*ty)).collect();
        for local in locals.iter().rev() {
            self.code().local_set(*local);
        }
        Place::Locals(locals.first().copied().unwrap_or(0))
    }

    /// Puts them back onto the stack.
    pub(super) fn give(&mut self, results: &[ValType], place: Place) {
        if let Place::Locals(first) = place {
            for local in first..first + results.len() as u32 {
                self.code().local_get(local);
            }
        }
    }
}
