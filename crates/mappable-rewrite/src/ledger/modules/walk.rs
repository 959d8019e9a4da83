//! The walk through a value: to each handle in it, or each list that goes by window, in the type's order.

use wasm_encoder::{BlockType, MemArg, ValType};

use super::code::{Arg, Code, mem_arg};
use super::lists::Step;
use crate::ledger::interface::Failure;
use crate::ledger::signature::{Kind, Value, align_to, discriminant_size, payload_offset};

/// Which way the handles of a value go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Out of the table, into the flight. The value is only read.
    Send,
    /// Out of the flight, into the table. Its indices are written over what is there.
    Receive,
    /// Out of the table, and each becomes a handle of the engine's, which is written over it.
    Leave,
    /// To lists of plain data, in values that go by window.
    Lists(Step),
}

impl Way {
    /// Whether something is done to it, or to one in it.
    fn has_to_do_with(self, value: &Value) -> bool {
        let is_handle = |value: &Value| matches!(value, Value::Own(_) | Value::Borrow(_));
        match self {
            Way::Send => value.any(&|value| is_handle(value) || value.is_numbered()),
            Way::Receive => value.any(&|value| is_handle(value) || matches!(value, Value::Flags(_))),
            Way::Leave => value.any(&is_handle),
            Way::Lists(step) => {
                let is_looked_at = |value: &Value| value.is_numbered() || value.is_opaque();
                value.reaches(&|value| value.is_plain_list() || step.looks_at_numbers() && is_looked_at(value))
            }
        }
    }
}

/// Where a value is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// In consecutive locals, of which this is the first. They may be wider than the value, as a variant's are.
    Locals(u32),
    /// In the guest's memory: at so many bytes from where the local says. All of it is known to lie in the memory.
    Memory { base: u32, offset: u32 },
}

impl Code {
    /// Walks those values with handles that follow each other as a record's fields do.
    pub(super) fn walk_handles(&mut self, fields: &[Value], place: Place, way: Way) {
        for (field, place) in places(fields, place).filter(|(field, _)| field.has_handles()) {
            self.walk(field, place, way);
        }
    }

    /// Walks values that follow each other as a record's fields do.
    fn walk_fields(&mut self, fields: &[Value], place: Place, way: Way) {
        for (field, place) in places(fields, place) {
            self.walk(field, place, way);
        }
    }

    pub(super) fn walk(&mut self, value: &Value, place: Place, way: Way) {
        if !way.has_to_do_with(value) {
            return;
        }
        match value {
            Value::List(element) if let Way::Lists(step) = way => self.list(element, place, step),
            Value::Own(kind) => self.handle(*kind, false, place, way),
            Value::Borrow(kind) => self.handle(*kind, true, place, way),
            Value::Record(fields) => self.walk_fields(fields, place, way),
            Value::Variant(_)
                if value.is_opaque()
                    && let Way::Lists(step) = way
                    && step.looks_at_numbers() =>
            {
                self.tidy(value, place, step);
            }
            Value::Variant(cases) => self.walk_cases(cases, place, way),
            Value::List(element) => self.walk_list(element, place, way),
            Value::Flags(labels) if way == Way::Receive => self.clear_unlabelled(*labels, value.size(), place),
            _ => {}
        }
    }

    fn handle(&mut self, kind: Kind, borrowed: bool, place: Place, way: Way) {
        match way {
            Way::Send => {
                let send = self.table(if borrowed { "lend" } else { "take" });
                self.get(place, 4);
                self.code().i32_const(kind as i32).call(send);
            }
            Way::Receive => {
                let claim = self.table("claim");
                self.set(place, 4, |code| {
                    code.code().i32_const(kind as i32).call(claim);
                });
            }
            Way::Leave => {
                let leave = self.table(if borrowed { "lend-out" } else { "leave" });
                self.set(place, 4, |code| {
                    code.get(place, 4);
                    code.code().i32_const(kind as i32).call(leave);
                });
            }
            Way::Lists(_) => {}
        }
    }

    /// Clears the bits of flags that are no label's, as lifting does.
    fn clear_unlabelled(&mut self, labels: u32, size: u32, place: Place) {
        if let 1..32 = labels {
            let all = u32::MAX >> (32 - labels);
            self.set(place, size, |code| {
                code.get(place, size);
                code.code().i32_const(all as i32).i32_and();
            });
        }
    }

    fn walk_cases(&mut self, cases: &[Option<Value>], place: Place, way: Way) {
        let discriminant = self.discriminant(cases, place);
        let payload = payload(cases, place);
        for (index, case) in cases.iter().enumerate() {
            let Some(case) = case.as_ref().filter(|case| way.has_to_do_with(case)) else { continue };
            self.in_case(index, discriminant, |code| code.walk(case, payload, way));
        }
    }

    /// The local that has a variant's discriminant: one of a case.
    pub(super) fn discriminant(&mut self, cases: &[Option<Value>], place: Place) -> u32 {
        let discriminant = self.local(ValType::I32);
        self.get(place, discriminant_size(cases.len()));
        self.code().local_tee(discriminant).i32_const(cases.len() as i32).i32_ge_u();
        self.fail_if(Failure::Discriminant, Arg::Local(discriminant), Arg::Const(0));
        discriminant
    }

    /// What is done if a variant is of this case.
    pub(super) fn in_case(&mut self, index: usize, discriminant: u32, act: impl FnOnce(&mut Self)) {
        self.code().local_get(discriminant).i32_const(index as i32).i32_eq().if_(BlockType::Empty);
        act(self);
        self.code().end();
    }

    fn walk_list(&mut self, element: &Value, place: Place, way: Way) {
        let [at, len] = [ValType::I32; 2].map(|ty| self.local(ty));
        self.get(place, 4);
        self.code().local_set(at);
        self.get(second_word(place), 4);
        self.code().local_set(len);
        self.walk_elements(element, at, len, way);
    }

    /// Walks so many elements, from there on: both locals, of which the first is changed.
    pub(super) fn walk_elements(&mut self, element: &Value, at: u32, len: u32, way: Way) {
        let (size, end) = (element.size(), self.local(ValType::I32));
        let memory = self.guest();
        let bytes = self.check_list(at, len, element, memory);
        // No sum here goes past the memory's end; that may be 4 GiB, which is 0.
        self.code().local_get(at).local_get(bytes).i32_wrap_i64().i32_add().local_set(end);
        self.code().local_get(len).if_(BlockType::Empty).loop_(BlockType::Empty);
        self.walk(element, Place::Memory { base: at, offset: 0 }, way);
        self.code().local_get(at).i32_const(size as i32).i32_add().local_tee(at);
        self.code().local_get(end).i32_ne().br_if(0).end().end();
    }

    /// Checks that a list's elements are aligned, and lie in the memory. Gives the local that has their size in bytes,
    /// 64 bits wide.
    pub(super) fn check_list(&mut self, at: u32, len: u32, element: &Value, memory: u32) -> u32 {
        let bytes = self.check_elements(at, len, element, memory);
        self.check_byte_len(at, bytes, element);
        bytes
    }

    /// The same, but for lists of as many bytes as 32 bits can't say.
    pub(super) fn check_elements(&mut self, at: u32, len: u32, element: &Value, memory: u32) -> u32 {
        let bytes = self.byte_len(len, element);
        self.check_aligned(at, element.align());
        self.check_bounds(at, bytes, memory);
        bytes
    }

    /// Checks that the size in bytes of a list that is in a memory has 32 bits.
    pub(super) fn check_byte_len(&mut self, at: u32, bytes: u32, element: &Value) {
        if element.size() > 1 {
            // All of a memory of 4 GiB: its size does not fit where sizes are passed.
            self.code().local_get(bytes).i64_const(32).i64_shr_u().i32_wrap_i64();
            self.fail_if(Failure::OutOfBounds, Arg::Local(at), Arg::Const(0));
        }
    }

    /// A list's size in bytes, 64 bits wide.
    pub(super) fn byte_len(&mut self, len: u32, element: &Value) -> u32 {
        let bytes = self.local(ValType::I64);
        self.code().local_get(len).i64_extend_i32_u().i64_const(element.size().into()).i64_mul().local_set(bytes);
        bytes
    }

    /// Checks that a value that the guest has a pointer to is aligned, and lies in its memory.
    pub(super) fn check_area(&mut self, at: u32, size: u32, align: u32) {
        let memory = self.guest();
        let bytes = self.local(ValType::I64);
        self.code().i64_const(size.into()).local_set(bytes);
        self.check_aligned(at, align);
        self.check_bounds(at, bytes, memory);
    }

    pub(super) fn check_aligned(&mut self, at: u32, align: u32) {
        if align > 1 {
            self.code().local_get(at).i32_const(align as i32 - 1).i32_and();
            self.fail_if(Failure::Misaligned, Arg::Local(at), Arg::Const(0));
        }
    }

    pub(super) fn check_bounds(&mut self, at: u32, bytes: u32, memory: u32) {
        let short = self.local(ValType::I32);
        self.code().local_get(bytes).i32_wrap_i64().local_set(short);
        self.code().local_get(at).i64_extend_i32_u().local_get(bytes).i64_add();
        self.code().memory_size(memory).i64_extend_i32_u().i64_const(16).i64_shl().i64_gt_u();
        self.fail_if(Failure::OutOfBounds, Arg::Local(at), Arg::Local(short));
    }

    /// Pushes the unsigned number of that many bytes that is there, as 32 bits; of 8 bytes as 64.
    pub(super) fn get(&mut self, place: Place, size: u32) {
        match place {
            Place::Locals(local) => {
                let wide = self.type_of(local) == ValType::I64;
                self.code().local_get(local);
                if wide {
                    self.code().i32_wrap_i64();
                }
            }
            Place::Memory { base, offset } => {
                let memory = self.guest();
                self.code().local_get(base);
                self.load(size, |align| mem_arg(memory, offset, align));
            }
        }
    }

    /// Puts the number of so many bytes there that `value` pushes, as 32 bits; of 8 bytes as 64.
    pub(super) fn set(&mut self, place: Place, size: u32, value: impl FnOnce(&mut Self)) {
        match place {
            Place::Locals(local) => {
                let wide = self.type_of(local) == ValType::I64;
                value(self);
                if wide {
                    self.code().i64_extend_i32_u();
                }
                self.code().local_set(local);
            }
            Place::Memory { base, offset } => {
                let memory = self.guest();
                self.code().local_get(base);
                value(self);
                self.store(size, |align| mem_arg(memory, offset, align));
            }
        }
    }

    /// Replaces an address by the unsigned number of that many bytes there. `at` is told the power of two of which an aligned
    /// address is a multiple.
    pub(super) fn load(&mut self, size: u32, at: impl FnOnce(u32) -> MemArg) {
        let mut code = self.code();
        match size {
            1 => code.i32_load8_u(at(0)),
            2 => code.i32_load16_u(at(1)),
            8 => code.i64_load(at(3)),
            _ => code.i32_load(at(2)),
        };
    }

    /// Stores the number of that many bytes that lies above an address.
    pub(super) fn store(&mut self, size: u32, at: impl FnOnce(u32) -> MemArg) {
        let mut code = self.code();
        match size {
            1 => code.i32_store8(at(0)),
            2 => code.i32_store16(at(1)),
            8 => code.i64_store(at(3)),
            _ => code.i32_store(at(2)),
        };
    }
}

/// Each field, and where it is.
pub(super) fn places(fields: &[Value], place: Place) -> impl Iterator<Item = (&Value, Place)> {
    let mut next = place;
    fields.iter().map(move |field| match next {
        Place::Locals(first) => {
            next = Place::Locals(first + field.flat_len());
            (field, Place::Locals(first))
        }
        Place::Memory { base, offset } => {
            let offset = align_to(offset, field.align());
            next = Place::Memory { base, offset: offset + field.size() };
            (field, Place::Memory { base, offset })
        }
    })
}

/// Where a variant's payload is.
pub(super) fn payload(cases: &[Option<Value>], place: Place) -> Place {
    match place {
        Place::Locals(first) => Place::Locals(first + 1),
        Place::Memory { base, offset } => Place::Memory { base, offset: offset + payload_offset(cases) },
    }
}

/// Where a list's length is.
pub(super) fn second_word(place: Place) -> Place {
    match place {
        Place::Locals(first) => Place::Locals(first + 1),
        Place::Memory { base, offset } => Place::Memory { base, offset: offset + 4 },
    }
}
