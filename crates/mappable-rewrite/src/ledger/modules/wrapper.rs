//! What stands in front of a lower, and of a lift: the sender's and the receiver's half of every call.

use wasm_encoder::{BlockType, ValType};

use super::Module;
use super::code::{Arg, Code, mem_arg};
use super::walk::{Place, Way};
use crate::ledger::interface::Failure;
use crate::ledger::layout::{CALL_SHIFT, FLIGHT_LEN, FLIGHT_NEXT, FLIGHT_SEQ, TABLE_BORROWS, TABLE_CALLS};
use crate::ledger::signature::{Signature, Value};

/// A signature, as its wrapper needs it.
struct Shape {
    flat: Vec<ValType>,
    /// The parameters as one record, where they are in memory.
    spilled: bool,
    params: Value,
    result: Option<Value>,
    flat_result: Vec<ValType>,
    result_spilled: bool,
    borrows: bool,
    handles: bool,
    /// Whether lists go by window, and which way.
    lists_sent: bool,
    lists_returned: bool,
}

impl Shape {
    fn new(signature: &Signature, lists: bool) -> Self {
        let (flat, spilled) = signature.flat_params();
        let (flat_result, result_spilled) = signature.flat_results();
        Self {
            flat,
            spilled,
            params: Value::Record(signature.params.clone()),
            result: signature.result.clone(),
            flat_result,
            result_spilled,
            borrows: signature.any(|value| matches!(value, Value::Borrow(_))),
            handles: signature.has_handles(),
            lists_sent: lists && signature.sends_by_window(),
            lists_returned: lists && signature.returns_by_window(),
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

/// In front of a lower: handles leave the caller's table, and those of the result enter it.
pub(super) fn lower(name: &'static str, signature: &Signature, lists: bool) -> Module {
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
    let lent = shape.borrows.then(|| {
        let [lent, until] = [code.table_global("lent"), code.local(ValType::I32)];
        code.code().global_get(lent).local_set(until);
        (lent, until)
    });
    if let Some(result) = shape.result.as_ref().filter(|_| shape.result_spilled) {
        code.check_area(area, result.size(), result.align());
    }
    if shape.handles {
        code.check_nothing_in_flight();
    }
    code.send(&shape);
    if shape.lists_sent {
        code.send_lists(shape.fields(), shape.place());
    }

    let callee = code.callee(&params, &results);
    for param in 0..params.len() as u32 {
        code.code().local_get(param);
    }
    code.code().call(callee);

    let result = if shape.result_spilled { Place::Memory { base: area, offset: 0 } } else { code.keep(&results) };
    if let Some(value) = &shape.result {
        code.walk(value, result, Way::Receive);
    }
    if shape.handles {
        code.all_claimed();
    }
    if let Some(value) = shape.result.as_ref().filter(|_| shape.lists_returned) {
        code.take_from_bounce(value, result);
    }
    if let Some((lent, until)) = lent {
        let release = code.table("release");
        code.code().global_get(lent).local_get(until).i32_ne().if_(BlockType::Empty);
        code.code().local_get(until).call(release).end();
    }
    code.give(&results, result);
    code.finish()
}

/// In front of a lift: handles enter the callee's table, and those of the result leave it.
pub(super) fn lift(name: &'static str, signature: &Signature, lists: bool) -> Module {
    let shape = Shape::new(signature, lists);
    let results = if shape.result_spilled { vec![ValType::I32] } else { shape.flat_result.clone() };
    let mut code = Code::new(name, &shape.flat, &results);

    let sender = shape.lists_sent.then(|| code.ask_sender());
    let borrows = shape.borrows.then(|| code.begin_borrows());
    if shape.spilled && (shape.lists_sent || shape.params.has_handles()) {
        code.check_area(0, shape.params.size(), shape.params.align());
    }
    code.walk_fields(shape.fields(), shape.place(), Way::Receive);
    if shape.handles {
        code.all_claimed();
    }
    if let Some(sender) = sender {
        code.receive_lists(shape.fields(), shape.place(), sender);
    }

    let callee = code.callee(&shape.flat, &results);
    for param in 0..shape.flat.len() as u32 {
        code.code().local_get(param);
    }
    code.code().call(callee);

    let kept = code.keep(&results);
    if let Some(borrows) = borrows {
        code.end_borrows(borrows);
    }
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
            code.put_into_bounce(value, result);
        }
    }
    code.give(&results, kept);
    code.finish()
}

impl Code {
    fn send(&mut self, shape: &Shape) {
        let handles = shape.params.has_handles();
        if handles {
            if shape.spilled {
                self.check_area(0, shape.params.size(), shape.params.align());
            }
            self.walk_fields(shape.fields(), shape.place(), Way::Send);
        }
        if handles || shape.lists_sent {
            self.note_sent();
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

    /// The callee has no borrowed handle of this call yet. Gives the locals that have how many there were of the one
    /// that waits for it, and the call's number.
    fn begin_borrows(&mut self) -> [u32; 2] {
        let [record, memory] = [self.table_global("record"), self.ledger()];
        let [before, call] = [self.local(ValType::I32), self.local(ValType::I32)];
        let [borrows, calls] = [TABLE_BORROWS, TABLE_CALLS].map(|word| mem_arg(memory, word, 2));
        self.code().global_get(record).i32_load(borrows).local_set(before);
        self.code().global_get(record).i32_const(0).i32_store(borrows);
        self.code().global_get(record).i32_load(calls).i32_const(1).i32_add().local_tee(call);
        // Far fewer fit on a stack.
        self.code().i32_const(CALL_SHIFT as i32).i32_shr_u();
        self.fail_if(Failure::Bug, Arg::Const(5), Arg::Local(call));
        self.code().global_get(record).local_get(call).i32_store(calls);
        [before, call]
    }

    /// It must have dropped all that it was lent. Some may have been dropped in a call within this one, and where one
    /// within it has trapped the numbers are that one's: then the table is asked.
    fn end_borrows(&mut self, [before, call]: [u32; 2]) {
        let [record, memory] = [self.table_global("record"), self.ledger()];
        let left = self.local(ValType::I32);
        let remain = self.table("remain");
        let [borrows, calls] = [TABLE_BORROWS, TABLE_CALLS].map(|word| mem_arg(memory, word, 2));
        self.code().global_get(record).i32_load(borrows);
        self.code().global_get(record).i32_load(calls).local_get(call).i32_xor().i32_or().if_(BlockType::Empty);
        self.code().local_get(call).call(remain).local_tee(left);
        self.fail_if(Failure::BorrowsRemain, Arg::Local(left), Arg::Const(0));
        self.code().end();
        self.code().global_get(record).local_get(before).i32_store(borrows);
        self.code().global_get(record).local_get(call).i32_const(1).i32_sub().i32_store(calls);
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
