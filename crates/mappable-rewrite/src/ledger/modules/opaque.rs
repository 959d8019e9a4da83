//! Variants that nothing without names is laid out like in memory: those with a payload, and not of two cases. The engine gets
//! numbers in their place, so wrappers do what its adapters do to them.
//!
//! As a parameter in registers such a variant is its registers. The sender [tidies](Code::tidy) them. As a result it is
//! *carried*, with all that it is returned in: the callee's wrapper puts each number and list into the bounce, and the caller's
//! takes them from there. The engine returns two bytes in memory in its place, and the caller's wrapper puts back what was
//! there.

use std::ops::Range;

use wasm_encoder::{BlockType, ValType};

use super::bounce::Cursor;
use super::code::{Arg, Code, mem_arg};
use super::lists::Step;
use super::walk::{Place, payload, places, second_word};
use crate::ledger::interface::Failure;
use crate::ledger::signature::{Value, discriminant_size};

impl Code {
    /// Does to a value in registers what an adapter does: clears what is not of the value, and traps where it is none.
    pub(super) fn tidy(&mut self, value: &Value, place: Place, step: Step) {
        match value {
            Value::List(element) => {
                self.tidy_number(&Value::U32, place);
                self.tidy_number(&Value::U32, second_word(place));
                self.list(element, place, step);
            }
            Value::Record(fields) => {
                for (field, place) in places(fields, place) {
                    self.tidy(field, place, step);
                }
            }
            Value::Variant(cases) => self.tidy_cases(value, cases, place, step),
            // In registers of their own width.
            Value::U64 | Value::S64 | Value::F64 => {}
            number => self.tidy_number(number, place),
        }
    }

    fn tidy_cases(&mut self, value: &Value, cases: &[Option<Value>], place: Place, step: Step) {
        let discriminant = self.discriminant(cases, place);
        self.set(place, 4, |code| {
            code.code().local_get(discriminant);
        });
        let Place::Locals(first) = payload(cases, place) else { return };
        let end = first + value.flat_len() - 1;
        self.each_case(cases, discriminant, |code, case| {
            code.tidy(case, Place::Locals(first), step);
            code.clear(first + case.flat_len()..end);
        });
        if cases.iter().any(Option::is_none) && first < end {
            self.code().block(BlockType::Empty);
            for (index, _) in cases.iter().enumerate().filter(|(_, case)| case.is_some()) {
                self.code().local_get(discriminant).i32_const(index as i32).i32_eq().br_if(0);
            }
            self.clear(first..end);
            self.code().end();
        }
    }

    /// Clears registers, as the engine does with those that a case does not have.
    fn clear(&mut self, locals: Range<u32>) {
        for local in locals {
            let ty = self.type_of(local);
            let mut code = self.code();
            match ty {
                ValType::I64 => code.i64_const(0),
                ValType::F32 => code.f32_const(0.0.into()),
                ValType::F64 => code.f64_const(0.0.into()),
                _ => code.i32_const(0),
            };
            code.local_set(local);
        }
    }

    /// Makes a register the number that it stands for, also where the register is wider.
    fn tidy_number(&mut self, number: &Value, place: Place) {
        let Place::Locals(local) = place else { return };
        let is_any = matches!(number, Value::U32 | Value::S32 | Value::F32 | Value::Flags(32));
        if is_any && self.type_of(local) != ValType::I64 {
            return;
        }
        self.set(place, 4, |code| {
            code.get(place, 4);
            code.normalize(number);
        });
    }

    /// Makes what is on the stack the number that it stands for, 32 bits wide, as lifting does. Traps if a `char` is not valid.
    fn normalize(&mut self, number: &Value) {
        if *number == Value::Char {
            let char = self.local(ValType::I32);
            self.code().local_tee(char).i32_const(0xd800).i32_sub().i32_const(0x800).i32_lt_u();
            self.code().local_get(char).i32_const(0x11_0000).i32_ge_u().i32_or();
            self.fail_if(Failure::Char, Arg::Local(char), Arg::Const(0));
            self.code().local_get(char);
        }
        let mut code = self.code();
        match number {
            Value::Bool => _ = code.i32_eqz().i32_eqz(),
            Value::U8 => _ = code.i32_const(0xff).i32_and(),
            Value::S8 => _ = code.i32_extend8_s(),
            Value::U16 => _ = code.i32_const(0xffff).i32_and(),
            Value::S16 => _ = code.i32_extend16_s(),
            Value::Flags(labels @ 1..32) => _ = code.i32_const((u32::MAX >> (32 - labels)) as i32).i32_and(),
            _ => {}
        }
    }

    /// Puts a value that is in memory into the bounce.
    pub(super) fn carry_out(&mut self, value: &Value, place: Place, cursor: Cursor) {
        match value {
            Value::List(element) => self.put_list(element, place, cursor),
            Value::Record(fields) => {
                for (field, place) in places(fields, place) {
                    self.carry_out(field, place, cursor);
                }
            }
            Value::Variant(cases) => {
                let (discriminant, payload) = (self.discriminant(cases, place), payload(cases, place));
                self.carry_number(discriminant_size(cases.len()), cursor, |code| {
                    code.code().local_get(discriminant);
                });
                self.each_case(cases, discriminant, |code, case| code.carry_out(case, payload, cursor));
            }
            number => self.carry_number(number.size(), cursor, |code| {
                code.get(place, number.size());
                code.normalize(number);
            }),
        }
    }

    /// Takes it from there into memory.
    pub(super) fn carry_in(&mut self, value: &Value, place: Place, cursor: Cursor, end: u32) {
        match value {
            Value::List(element) => self.take_list(element, place, cursor, end),
            Value::Record(fields) => {
                for (field, place) in places(fields, place) {
                    self.carry_in(field, place, cursor, end);
                }
            }
            Value::Variant(cases) => {
                let (discriminant, payload) = (self.local(ValType::I32), payload(cases, place));
                let size = discriminant_size(cases.len());
                self.taken(size, cursor);
                self.code().local_set(discriminant);
                self.set(place, size, |code| {
                    code.code().local_get(discriminant);
                });
                self.each_case(cases, discriminant, |code, case| code.carry_in(case, payload, cursor, end));
            }
            number => self.set(place, number.size(), |code| code.taken(number.size(), cursor)),
        }
    }

    /// Puts the number of so many bytes into the bounce that `value` pushes.
    fn carry_number(&mut self, size: u32, cursor: Cursor, value: impl FnOnce(&mut Self)) {
        let ledger = self.ledger();
        self.code().local_get(cursor.length);
        value(self);
        self.store(size, |_| mem_arg(ledger, 0, 0));
        self.pass_number(size, cursor);
    }

    /// Pushes the number that is next there.
    fn taken(&mut self, size: u32, cursor: Cursor) {
        let ledger = self.ledger();
        self.code().local_get(cursor.length);
        self.load(size, |_| mem_arg(ledger, 0, 0));
        self.pass_number(size, cursor);
    }

    fn pass_number(&mut self, size: u32, cursor: Cursor) {
        self.code().local_get(cursor.length).i32_const(size as i32).i32_add().local_set(cursor.length);
    }

    /// Keeps what is where the engine puts the bytes that it returns: no guest is to see those.
    pub(super) fn keep_beginning(&mut self, area: u32) -> u32 {
        let (guest, kept) = (self.guest(), self.local(ValType::I32));
        self.code().local_get(area).i32_load16_u(mem_arg(guest, 0, 0)).local_set(kept);
        kept
    }

    pub(super) fn restore_beginning(&mut self, area: u32, kept: u32) {
        let guest = self.guest();
        self.code().local_get(area).local_get(kept).i32_store16(mem_arg(guest, 0, 0));
    }

    /// Does to each payload what is to be done where the variant is of its case.
    fn each_case(&mut self, cases: &[Option<Value>], discriminant: u32, mut act: impl FnMut(&mut Self, &Value)) {
        for (index, case) in cases.iter().enumerate() {
            let Some(case) = case else { continue };
            self.in_case(index, discriminant, |code| act(code, case));
        }
    }
}
