//! The bounce: the part of the ledger where lists are between who passes them and who gets them, if they are returned or are
//! among spilled parameters. What a result has in the callee's memory is given up when the call ends, and what is spilled lies
//! in the receiver's memory while its `realloc` runs, which could have any of the sender's memory read.
//!
//! In it are first the lengths of lists, in bytes, and then the lists, both in the order of the types. Whoever takes them
//! knows where a list ends by its length there, and by nothing that a guest could have changed. If a result is
//! [carried](super::opaque), all its numbers lie among the lengths.

use wasm_encoder::{BlockType, ValType};

use super::code::{Arg, Code, mem_arg};
use super::lists::Step;
use super::walk::{Place, second_word};
use crate::ledger::convert::MAX_NODES;
use crate::ledger::interface::Failure;
use crate::ledger::layout::{BOUNCE, BOUNCE_LEN, MAX_SHORT_LISTS, PAGES, SHORT_LIST};
use crate::ledger::signature::{Passed, Value};

/// After longer lists the bounce is given back. Pages that come anew cost more than the copies.
const FREE_ABOVE: u32 = 16 << 20;
/// Where the first list is in the bounce. Many guests have theirs at such an address too, and copies between addresses
/// that differ a little in their lowest 12 bits are slow.
const FIRST: u32 = BOUNCE + 0x2_0000;
/// What each list's address there is a multiple of.
const ALIGN: i32 = 8;
/// How long a length there is, in bytes.
const LENGTH: u32 = 4;
/// How long the longest number there is.
const MAX_NUMBER: u32 = 8;
/// No list is put there that would end behind this, but for a few short ones.
const END_OF_BOUNCE: u64 = (PAGES as u64) * 0x1_0000 - ALIGN as u64 - (MAX_SHORT_LISTS * SHORT_LIST) as u64;

const _: () = assert!(LENGTH <= MAX_NUMBER && MAX_NODES as u32 * MAX_NUMBER <= FIRST - BOUNCE);

/// Two locals: where in the bounce the next length or number is, and where the next list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) length: u32,
    list: u32,
}

impl Code {
    /// Copies each list to where whoever gets it finds it: pointers are of no use there.
    pub(super) fn put_into_bounce(&mut self, fields: &[Value], place: Place, passed: Passed) {
        // First: an embedder may go on after a trap amid the lists, and what was on its way is written over by then.
        self.new_sequence();
        let cursor = self.cursor();
        match (passed, fields) {
            (Passed::Returned, [value]) if value.is_carried() => {
                self.lists = 0;
                self.carry_out(value, place, cursor);
            }
            _ => self.walk_lists(fields, place, passed, Step::Put(cursor)),
        }
        self.code().local_get(cursor.length).i32_const(BOUNCE as i32).i32_sub().local_set(cursor.length);
        self.set_word(BOUNCE_LEN, cursor.length);
    }

    /// Copies each list from there to the guest, and puts where it is, and how long.
    pub(super) fn take_from_bounce(&mut self, fields: &[Value], place: Place, passed: Passed) {
        let (cursor, end) = (self.cursor(), self.local(ValType::I32));
        self.word(BOUNCE_LEN);
        self.code().i32_const(BOUNCE as i32).i32_add().local_set(end);
        match (passed, fields) {
            (Passed::Returned, [value]) if value.is_carried() => {
                self.lists = 0;
                self.carry_in(value, place, cursor, end);
            }
            _ => self.walk_lists(fields, place, passed, Step::Take(cursor, end)),
        }
        // If not, a `realloc` has changed which case a value is.
        self.code().local_get(cursor.length).local_get(end).i32_ne();
        self.fail_if(Failure::Interrupted, Arg::Const(0), Arg::Const(0));
        let free = self.helper("free-bounce", 0, 0);
        self.code().local_get(cursor.list).i32_const((FIRST + FREE_ABOVE) as i32).i32_gt_u().if_(BlockType::Empty);
        self.code().call(free).end();
    }

    fn cursor(&mut self) -> Cursor {
        let [length, list] = [ValType::I32; 2].map(|ty| self.local(ty));
        self.code().i32_const(BOUNCE as i32).local_set(length).i32_const(FIRST as i32).local_set(list);
        Cursor { length, list }
    }

    pub(super) fn put_list(&mut self, element: &Value, place: Place, cursor: Cursor) {
        let [guest, ledger] = [self.guest(), self.ledger()];
        let (from, len) = self.list_at(place);
        let bytes = self.check_list(from, len, element, guest);
        let short = self.short(bytes);
        self.code().local_get(cursor.length).local_get(short).i32_store(mem_arg(ledger, 0, 2));
        self.copy(element, (ledger, cursor.list), (guest, from), short, |code| {
            code.code().local_get(cursor.list).i64_extend_i32_u().local_get(bytes).i64_add();
            code.code().i64_const(END_OF_BOUNCE as i64).i64_gt_u();
            code.fail_if(Failure::OutOfBounds, Arg::Local(from), Arg::Local(short));
        });
        self.pass(cursor, short);
    }

    /// Moves the cursor past a list of so many bytes.
    fn pass(&mut self, cursor: Cursor, bytes: u32) {
        self.code().local_get(bytes).i32_const(ALIGN - 1).i32_add().i32_const(-ALIGN).i32_and();
        self.code().local_get(cursor.list).i32_add().local_set(cursor.list);
        self.code().local_get(cursor.length).i32_const(LENGTH as i32).i32_add().local_set(cursor.length);
    }

    pub(super) fn take_list(&mut self, element: &Value, place: Place, cursor: Cursor, end: u32) {
        let ([short, to], bytes) = ([ValType::I32; 2].map(|ty| self.local(ty)), self.local(ValType::I64));
        let [guest, ledger] = [self.guest(), self.ledger()];
        self.code().local_get(cursor.length).local_get(end).i32_ge_u();
        self.fail_if(Failure::Interrupted, Arg::Const(0), Arg::Const(0));
        self.code().local_get(cursor.length).i32_load(mem_arg(ledger, 0, 2));
        self.code().local_tee(short).i64_extend_i32_u().local_set(bytes);
        self.allocate(bytes, element, to);
        self.copy(element, (guest, to), (ledger, cursor.list), short, |_| ());
        self.set(place, 4, |code| {
            code.code().local_get(to);
        });
        self.set(second_word(place), 4, |code| {
            code.code().local_get(short).i32_const(element.size().max(1) as i32).i32_div_u();
        });
        self.pass(cursor, short);
    }
}
