//! Lists of plain data: from memory to memory by the window, and by the bounce where they are returned.
//!
//! In the bounce are first the lengths of lists, in bytes, and then the lists, both in the order of the result's type. Whoever
//! takes them knows where a list ends by its length there, and by nothing that a guest could have changed.

use wasm_encoder::{BlockType, InstructionSink, ValType};

use super::code::{Arg, Code, mem_arg};
use super::walk::{Place, Way, places, second_word};
use crate::ledger::convert::MAX_NODES;
use crate::ledger::interface::Failure;
use crate::ledger::layout::{
    BOUNCE, BOUNCE_LEN, MAX_MEMORIES, MEMORIES, MEMORY, MEMORY_GENERATION, MEMORY_SELECTOR, MEMORY_VERSION, PAGES,
    SENDER, TABLE_AIM,
};
use crate::ledger::signature::Value;

/// After longer lists the bounce is given back. Pages that come anew cost more than the copies.
const FREE_ABOVE: u32 = 16 << 20;
/// Where the first list is in the bounce. Many guests have theirs at such an address too, and copies between addresses
/// that differ a little in their lowest 12 bits are slow.
const FIRST: u32 = BOUNCE + 0x1_0000;
/// What each list's address there is a multiple of.
const ALIGN: i32 = 8;
/// How long a length there is, in bytes.
const LENGTH: u32 = 4;
/// Lists of 8 bytes up to this many are copied word by word.
const SHORT: i32 = 32;
/// No list is returned that would end behind this.
const END_OF_BOUNCE: u64 = (PAGES as u64) * 0x1_0000 - ALIGN as u64;

const _: () = assert!(MAX_NODES as u32 * LENGTH <= FIRST - BOUNCE);

/// What a receiver knows of its caller: the locals with its memory's memory number, and where the memory's record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sender {
    memory: u32,
    record: u32,
}

/// What is done to each list of a value that goes by window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// In the sender: it is all in the memory.
    Check,
    /// In the receiver: it is copied from the sender's memory.
    Fetch(Sender),
    /// In who returns it: it is put into the bounce, where these locals say.
    Put(Cursor),
    /// In who has it returned: it is taken from there. The other local has the end of the lengths.
    Take(Cursor, u32),
}

/// Two locals: where in the bounce the next length is, and where the next list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    length: u32,
    list: u32,
}

impl Step {
    /// Whether enums that are passed as numbers are looked at: by whoever passes them.
    pub(super) fn looks_at_numbers(self) -> bool {
        matches!(self, Step::Check | Step::Put(_))
    }
}

impl Code {
    pub(super) fn list(&mut self, element: &Value, place: Place, step: Step) {
        match step {
            Step::Check => _ = self.find_list(element, place),
            Step::Fetch(sender) => self.receive_list(element, place, sender),
            Step::Put(cursor) => self.put_list(element, place, cursor),
            Step::Take(cursor, end) => self.take_list(element, place, cursor, end),
        }
    }

    /// Each of the parameters that go by window.
    fn walk_lists(&mut self, fields: &[Value], place: Place, step: Step) {
        for (field, place) in places(fields, place).filter(|(field, _)| field.goes_by_window()) {
            self.walk(field, place, Way::Lists(step));
        }
    }

    /// Checks that a list is in the guest's memory. Gives the locals that have where, and its size in bytes, of 64 bits.
    fn find_list(&mut self, element: &Value, place: Place) -> (u32, u32) {
        let ([from, len], guest) = ([ValType::I32; 2].map(|ty| self.local(ty)), self.guest());
        self.get(place, 4);
        self.code().local_set(from);
        self.get(second_word(place), 4);
        self.code().local_set(len);
        (from, self.check_list(from, len, element, guest))
    }

    /// Checks each list among the fields, and says whose memory they are taken from: the guest's.
    pub(super) fn send_lists(&mut self, fields: &[Value], place: Place) {
        self.walk_lists(fields, place, Step::Check);
        let ask = self.helper("memory-number", 2, 1);
        let known = self.own_global();
        let memory = self.local(ValType::I32);
        self.code().global_get(known).local_tee(memory).i32_eqz().if_(BlockType::Empty);
        self.code().i32_const(0).i32_const(0).call(ask).local_tee(memory).global_set(known).end();
        // Where the host moves memories all of them have one.
        self.code().local_get(memory).i32_eqz();
        self.fail_if(Failure::Bug, Arg::Const(7), Arg::Const(0));
        self.set_word(SENDER, memory);
    }

    /// To be asked before anything else is.
    pub(super) fn ask_sender(&mut self) -> Sender {
        let [memory, record] = [self.local(ValType::I32), self.local(ValType::I32)];
        self.word(SENDER);
        self.code().local_tee(memory).i32_const(MAX_MEMORIES as i32).i32_ge_u();
        self.code().local_get(memory).i32_eqz().i32_or();
        self.fail_if(Failure::Bug, Arg::Const(8), Arg::Local(memory));
        self.code().local_get(memory).i32_const(MEMORY as i32).i32_mul().i32_const(MEMORIES as i32).i32_add();
        self.code().local_set(record);
        Sender { memory, record }
    }

    /// Copies each list among the fields from the sender's memory, and puts where it is now.
    pub(super) fn receive_lists(&mut self, fields: &[Value], place: Place, sender: Sender) {
        self.walk_lists(fields, place, Step::Fetch(sender));
    }

    fn receive_list(&mut self, element: &Value, place: Place, sender: Sender) {
        let [from, len, to] = [ValType::I32; 3].map(|ty| self.local(ty));
        let [window, guest] = [self.window(), self.guest()];
        self.get(place, 4);
        self.code().local_set(from);
        self.get(second_word(place), 4);
        self.code().local_set(len);
        let bytes = self.byte_len(len, element);
        self.allocate(bytes, element, to);
        // Not before: `realloc` may have changed where the sender's memory is. That the list is aligned and in there,
        // the sender has seen to.
        self.aim(sender);
        let short = self.local(ValType::I32);
        self.code().local_get(bytes).i32_wrap_i64().local_set(short);
        self.copy((guest, to), (window, from), short);
        self.set(place, 4, |code| {
            code.code().local_get(to);
        });
    }

    /// Copies so many bytes from one memory to another; a few without the engine's help, which takes longer than they
    /// do.
    fn copy(&mut self, to: (u32, u32), from: (u32, u32), bytes: u32) {
        let words: [u32; 4] = [ValType::I64; 4].map(|ty| self.local(ty));
        let mut code = self.code();
        code.local_get(bytes).i32_const(-8).i32_add().i32_const(SHORT - 8).i32_le_u().if_(BlockType::Empty);
        // The first words and the last ones, which may overlap. All are loaded before any is stored.
        let ends = |bytes_from_end: i32| {
            move |code: &mut InstructionSink, at: u32| {
                code.local_get(at).local_get(bytes).i32_add().i32_const(-bytes_from_end).i32_add();
            }
        };
        let (last, last_but_one) = (ends(8), ends(16));
        code.local_get(from.1).i64_load(mem_arg(from.0, 0, 0)).local_set(words[0]);
        last(&mut code, from.1);
        code.i64_load(mem_arg(from.0, 0, 0)).local_set(words[1]);
        code.local_get(bytes).i32_const(16).i32_gt_u().if_(BlockType::Empty);
        code.local_get(from.1).i64_load(mem_arg(from.0, 8, 0)).local_set(words[2]);
        last_but_one(&mut code, from.1);
        code.i64_load(mem_arg(from.0, 0, 0)).local_set(words[3]);
        code.local_get(to.1).local_get(words[2]).i64_store(mem_arg(to.0, 8, 0));
        last_but_one(&mut code, to.1);
        code.local_get(words[3]).i64_store(mem_arg(to.0, 0, 0));
        code.end();
        code.local_get(to.1).local_get(words[0]).i64_store(mem_arg(to.0, 0, 0));
        last(&mut code, to.1);
        code.local_get(words[1]).i64_store(mem_arg(to.0, 0, 0));
        code.else_();
        code.local_get(to.1).local_get(from.1).local_get(bytes).memory_copy(to.0, from.0);
        code.end();
    }

    /// Has the window show the sender's memory as it is now. It is aimed for as long as it is refreshed and no longer:
    /// when an access faults, the engine looks whose memory has the address, and stops the process if two have.
    fn aim(&mut self, sender: Sender) {
        let [record, memory] = ["record", "shown-memory"].map(|name| self.table_global(name));
        // A selector means the same as before only in the same generation.
        let shown = [
            ("shown-selector", MEMORY_SELECTOR),
            ("shown-version", MEMORY_VERSION),
            ("shown-generation", MEMORY_GENERATION),
        ]
        .map(|(global, offset)| (self.table_global(global), offset));
        let [selector, version, generation] = shown;
        let selector = (selector, self.local(ValType::I32));
        let counts = [version, generation].map(|shown| (shown, self.local(ValType::I64)));
        let [ledger, window] = [self.ledger(), self.window()];
        let mut code = self.code();
        code.local_get(sender.memory).global_get(memory).i32_ne();
        let ((global, offset), now) = selector;
        code.local_get(sender.record).i32_load(mem_arg(ledger, offset, 2)).local_tee(now);
        code.global_get(global).i32_ne().i32_or();
        for ((global, offset), now) in counts {
            code.local_get(sender.record).i64_load(mem_arg(ledger, offset, 3)).local_tee(now);
            code.global_get(global).i64_ne().i32_or();
        }
        code.if_(BlockType::Empty);
        code.global_get(record).local_get(sender.memory).i32_store(mem_arg(ledger, TABLE_AIM, 2));
        code.i32_const(0).memory_grow(window).i32_const(-1).i32_eq();
        self.fail_if(Failure::Refused, Arg::Const(0), Arg::Const(0));
        let mut code = self.code();
        code.global_get(record).i32_const(0).i32_store(mem_arg(ledger, TABLE_AIM, 2));
        code.local_get(sender.memory).global_set(memory);
        for ((global, _), now) in [selector].into_iter().chain(counts) {
            code.local_get(now).global_set(global);
        }
        code.end();
    }

    /// Asks the guest for room, and checks what it gives.
    fn allocate(&mut self, bytes: u32, element: &Value, to: u32) {
        let [realloc, guest] = [self.realloc(), self.guest()];
        let sequence = self.local(ValType::I64);
        self.sequence();
        self.code().local_set(sequence).i32_const(0).i32_const(0).i32_const(element.align() as i32);
        self.code().local_get(bytes).i32_wrap_i64().call(realloc).local_set(to);
        self.fail_if_interrupted(sequence);
        self.check_aligned(to, element.align());
        self.check_bounds(to, bytes, guest);
    }

    /// Copies each list of a result to where the caller finds it: pointers are of no use there.
    pub(super) fn put_into_bounce(&mut self, result: &Value, place: Place) {
        let cursor = self.cursor();
        self.walk(result, place, Way::Lists(Step::Put(cursor)));
        self.code().local_get(cursor.length).i32_const(BOUNCE as i32).i32_sub().local_set(cursor.length);
        self.set_word(BOUNCE_LEN, cursor.length);
        self.new_sequence();
    }

    fn cursor(&mut self) -> Cursor {
        let [length, list] = [ValType::I32; 2].map(|ty| self.local(ty));
        self.code().i32_const(BOUNCE as i32).local_set(length).i32_const(FIRST as i32).local_set(list);
        Cursor { length, list }
    }

    fn put_list(&mut self, element: &Value, place: Place, cursor: Cursor) {
        let [guest, ledger] = [self.guest(), self.ledger()];
        let short = self.local(ValType::I32);
        let (from, bytes) = self.find_list(element, place);
        self.code().local_get(bytes).i32_wrap_i64().local_set(short);
        self.code().local_get(cursor.list).i64_extend_i32_u().local_get(bytes).i64_add();
        self.code().i64_const(END_OF_BOUNCE as i64).i64_gt_u();
        self.fail_if(Failure::OutOfBounds, Arg::Local(from), Arg::Local(short));
        self.code().local_get(cursor.length).local_get(short).i32_store(mem_arg(ledger, 0, 2));
        self.copy((ledger, cursor.list), (guest, from), short);
        self.pass(cursor, short);
    }

    /// Moves the cursor past a list of so many bytes.
    fn pass(&mut self, cursor: Cursor, bytes: u32) {
        self.code().local_get(bytes).i32_const(ALIGN - 1).i32_add().i32_const(-ALIGN).i32_and();
        self.code().local_get(cursor.list).i32_add().local_set(cursor.list);
        self.code().local_get(cursor.length).i32_const(LENGTH as i32).i32_add().local_set(cursor.length);
    }

    /// Copies each list of a result from there to the guest, and puts where it is, and how long, into the return area.
    pub(super) fn take_from_bounce(&mut self, result: &Value, place: Place) {
        let (cursor, end) = (self.cursor(), self.local(ValType::I32));
        self.word(BOUNCE_LEN);
        self.code().i32_const(BOUNCE as i32).i32_add().local_set(end);
        self.walk(result, place, Way::Lists(Step::Take(cursor, end)));
        // If not, a `realloc` has changed which case the result is.
        self.code().local_get(cursor.length).local_get(end).i32_ne();
        self.fail_if(Failure::Interrupted, Arg::Const(0), Arg::Const(0));
        let free = self.helper("free-bounce", 0, 0);
        self.code().local_get(cursor.list).i32_const((FIRST + FREE_ABOVE) as i32).i32_gt_u().if_(BlockType::Empty);
        self.code().call(free).end();
    }

    fn take_list(&mut self, element: &Value, place: Place, cursor: Cursor, end: u32) {
        let ([short, to], bytes) = ([ValType::I32; 2].map(|ty| self.local(ty)), self.local(ValType::I64));
        let [guest, ledger] = [self.guest(), self.ledger()];
        self.code().local_get(cursor.length).local_get(end).i32_ge_u();
        self.fail_if(Failure::Interrupted, Arg::Const(0), Arg::Const(0));
        self.code().local_get(cursor.length).i32_load(mem_arg(ledger, 0, 2));
        self.code().local_tee(short).i64_extend_i32_u().local_set(bytes);
        self.allocate(bytes, element, to);
        self.copy((guest, to), (ledger, cursor.list), short);
        self.set(place, 4, |code| {
            code.code().local_get(to);
        });
        self.set(second_word(place), 4, |code| {
            code.code().local_get(short).i32_const(element.size().max(1) as i32).i32_div_u();
        });
        self.pass(cursor, short);
    }
}
