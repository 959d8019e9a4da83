//! Lists of plain data: from memory to memory by the window, or by the ledger where they are short. By the
//! [bounce](super::bounce) where they are returned, or are among spilled parameters.
//!
//! A parameter's first few lists have a slot each in the ledger. The sender puts a list that fits in there, so that nobody
//! has to know whose memory it came from. The receiver takes it from there: both go by the length, which is in registers.

use wasm_encoder::{BlockType, InstructionSink, ValType};

use super::bounce::Cursor;
use super::code::{Arg, Code, mem_arg};
use super::walk::{Place, Way, places, second_word};
use crate::ledger::interface::Failure;
use crate::ledger::layout::{
    MAX_MEMORIES, MAX_SHORT_LISTS, MEMORIES, MEMORY, MEMORY_GENERATION, MEMORY_SELECTOR, MEMORY_VERSION, SENDER,
    SHORT_LIST, SHORT_LISTS, TABLE_AIM,
};
use crate::ledger::signature::{Passed, Value};

/// What a receiver knows of its caller: the locals with its memory's memory number, and where the memory's record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sender {
    memory: u32,
    record: u32,
}

/// What is done to each list of a value that goes by window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// In the sender: it is all in the memory, and is put into its slot if it fits. If not, the local is set.
    Check(u32),
    /// In the receiver: it is copied from its slot, or from the sender's memory.
    Fetch,
    /// In who returns it, or spills it: it is put into the bounce, where these locals say.
    Put(Cursor),
    /// In whoever gets that: it is taken from there. The other local has the end of the lengths.
    Take(Cursor, u32),
}

impl Step {
    /// Whether enums that are passed as numbers are looked at: by whoever passes them.
    pub(super) fn looks_at_numbers(self) -> bool {
        matches!(self, Step::Check(_) | Step::Put(_))
    }
}

/// The end of a copy: a memory, and where in it. Where no local has an address, the offset is one.
#[derive(Clone, Copy, Debug)]
struct End {
    memory: u32,
    base: Option<u32>,
    offset: u32,
}

impl End {
    fn at(memory: u32, base: u32) -> Self {
        Self { memory, base: Some(base), offset: 0 }
    }
}

/// How long a list of such elements is at the most that fits in a slot.
fn short_len(element: &Value) -> i32 {
    SHORT_LIST.checked_div(element.size()).unwrap_or(0) as i32
}

impl Code {
    pub(super) fn list(&mut self, element: &Value, place: Place, step: Step) {
        match step {
            Step::Check(long) => self.send_list(element, place, long),
            Step::Fetch => self.receive_list(element, place),
            Step::Put(cursor) => self.put_list(element, place, cursor),
            Step::Take(cursor, end) => self.take_list(element, place, cursor, end),
        }
    }

    /// Each of the values that go by window.
    pub(super) fn walk_lists(&mut self, fields: &[Value], place: Place, passed: Passed, step: Step) {
        self.lists = 0;
        for (field, place) in places(fields, place).filter(|(field, _)| field.goes_by_window(passed)) {
            self.walk(field, place, Way::Lists(step));
        }
    }

    /// Counts the list that the walk is at. Gives its number if it is one of the first ones, for which there is code that
    /// copies short lists: with all of them a function's type could have more than there is room for.
    fn few(&mut self) -> Option<u32> {
        self.lists += 1;
        (self.lists <= MAX_SHORT_LISTS).then_some(self.lists - 1)
    }

    /// The slot of the list that the walk is at, if it has one. Sender and receiver walk the same types.
    fn slot(&mut self) -> Option<End> {
        let memory = self.ledger();
        self.few().map(|number| End { memory, base: None, offset: SHORT_LISTS + SHORT_LIST * number })
    }

    /// The locals that have where a list is, and how long.
    pub(super) fn list_at(&mut self, place: Place) -> (u32, u32) {
        let [from, len] = [ValType::I32; 2].map(|ty| self.local(ty));
        self.get(place, 4);
        self.code().local_set(from);
        self.get(second_word(place), 4);
        self.code().local_set(len);
        (from, len)
    }

    /// Checks each list among the fields. Puts short ones into their slots, and says whose memory the others are taken
    /// from: the guest's.
    pub(super) fn send_lists(&mut self, fields: &[Value], place: Place) {
        let long = self.local(ValType::I32);
        self.walk_lists(fields, place, Passed::Flat, Step::Check(long));
        let ask = self.helper("memory-number", 2, 1);
        let known = self.own_global();
        let memory = self.local(ValType::I32);
        self.code().local_get(long).if_(BlockType::Empty);
        self.code().global_get(known).local_tee(memory).i32_eqz().if_(BlockType::Empty);
        self.code().i32_const(0).i32_const(0).call(ask).local_tee(memory).global_set(known).end();
        // Where the host moves memories all of them have one.
        self.code().local_get(memory).i32_eqz();
        self.fail_if(Failure::Bug, Arg::Const(7), Arg::Const(0));
        self.set_word(SENDER, memory);
        self.new_sequence();
        self.code().end();
    }

    fn send_list(&mut self, element: &Value, place: Place, long: u32) {
        let (slot, guest) = (self.slot(), self.guest());
        let (from, len) = self.list_at(place);
        let bytes = self.check_elements(from, len, element, guest);
        if let Some(slot) = slot {
            let short = self.short(bytes);
            self.code().local_get(len).i32_const(short_len(element)).i32_le_u().if_(BlockType::Empty);
            self.copy_few(element, slot, End::at(guest, from), short);
            self.code().else_();
        }
        self.check_byte_len(from, bytes, element);
        self.code().i32_const(1).local_set(long);
        if slot.is_some() {
            self.code().end();
        }
    }

    /// Whose memory lists are taken from.
    fn ask_sender(&mut self) -> Sender {
        let [memory, record] = [self.local(ValType::I32), self.local(ValType::I32)];
        self.word(SENDER);
        self.code().local_tee(memory).i32_const(MAX_MEMORIES as i32).i32_ge_u();
        self.code().local_get(memory).i32_eqz().i32_or();
        self.fail_if(Failure::Bug, Arg::Const(8), Arg::Local(memory));
        self.code().local_get(memory).i32_const(MEMORY as i32).i32_mul().i32_const(MEMORIES as i32).i32_add();
        self.code().local_set(record);
        Sender { memory, record }
    }

    /// Copies each list among the fields from its slot or the sender's memory, and puts where it is now.
    pub(super) fn receive_lists(&mut self, fields: &[Value], place: Place) {
        self.walk_lists(fields, place, Passed::Flat, Step::Fetch);
    }

    fn receive_list(&mut self, element: &Value, place: Place) {
        let [len, to] = [ValType::I32; 2].map(|ty| self.local(ty));
        let [window, guest] = [self.window(), self.guest()];
        self.get(second_word(place), 4);
        self.code().local_set(len);
        let bytes = self.byte_len(len, element);
        self.allocate(bytes, element, to);
        let (slot, short) = (self.slot(), self.short(bytes));
        if let Some(slot) = slot {
            self.code().local_get(len).i32_const(short_len(element)).i32_le_u().if_(BlockType::Empty);
            self.copy_few(element, End::at(guest, to), slot, short);
            self.code().else_();
        }
        // Not before: `realloc` may have changed where the sender's memory is. That the list is aligned and in there,
        // the sender has seen to.
        let sender = self.ask_sender();
        self.aim(sender);
        self.code().local_get(to);
        self.get(place, 4);
        self.code().local_get(short).memory_copy(guest, window);
        if slot.is_some() {
            self.code().end();
        }
        self.set(place, 4, |code| {
            code.code().local_get(to);
        });
    }

    /// The local that has a size in bytes as 32 bits.
    pub(super) fn short(&mut self, bytes: u32) -> u32 {
        let short = self.local(ValType::I32);
        self.code().local_get(bytes).i32_wrap_i64().local_set(short);
        short
    }

    /// Copies so many bytes of a list from one memory to another; a few without the engine's help, which takes longer
    /// than they do. `checked` is emitted where they are many.
    pub(super) fn copy(
        &mut self,
        element: &Value,
        to: (u32, u32),
        from: (u32, u32),
        bytes: u32,
        checked: impl FnOnce(&mut Self),
    ) {
        let few = self.few().is_some();
        if few {
            self.code().local_get(bytes).i32_const(SHORT_LIST as i32).i32_le_u().if_(BlockType::Empty);
            self.copy_few(element, End::at(to.0, to.1), End::at(from.0, from.1), bytes);
            self.code().else_();
        }
        checked(self);
        self.code().local_get(to.1).local_get(from.1).local_get(bytes).memory_copy(to.0, from.0);
        if few {
            self.code().end();
        }
    }

    /// Copies no more bytes of a list than a slot has, word by word: the first ones and the last ones, which may overlap.
    /// All are loaded before any is stored.
    fn copy_few(&mut self, element: &Value, to: End, from: End, bytes: u32) {
        const { assert!(SHORT_LIST == 64) }
        // Of larger elements there are 0 bytes or 8 and more.
        let unit = 1 << element.size().trailing_zeros().min(3);
        self.code().local_get(bytes).i32_const(8).i32_ge_u().if_(BlockType::Empty);
        for (most, words) in [(16, 1), (32, 2)] {
            self.code().local_get(bytes).i32_const(most).i32_le_u().if_(BlockType::Empty);
            self.copy_ends(8, words, to, from, bytes);
            self.code().else_();
        }
        self.copy_ends(8, 4, to, from, bytes);
        self.code().end().end();
        if unit < 8 {
            self.code().else_().local_get(bytes).i32_const(4).i32_ge_u().if_(BlockType::Empty);
            self.copy_ends(4, 1, to, from, bytes);
        }
        if unit < 4 {
            self.code().else_().local_get(bytes).if_(BlockType::Empty);
            self.copy_ends(unit, 1, to, from, bytes);
            if unit == 1 {
                // The one in the middle, of three.
                for end in [to, from] {
                    self.code().local_get(bytes).i32_const(1).i32_shr_u();
                    if let Some(base) = end.base {
                        self.code().local_get(base).i32_add();
                    }
                }
                self.code().i32_load8_u(mem_arg(from.memory, from.offset, 0));
                self.code().i32_store8(mem_arg(to.memory, to.offset, 0));
            }
            self.code().end();
        }
        if unit < 8 {
            self.code().end();
        }
        self.code().end();
    }

    /// Copies so many words of so many bytes from the front, and from the end.
    fn copy_ends(&mut self, word: i32, words: i32, to: End, from: End, bytes: u32) {
        let ty = if word == 8 { ValType::I64 } else { ValType::I32 };
        // Offsets from the front, and from the end.
        let ends: Vec<_> = (0..words).flat_map(|at| [(at * word, false), ((at + 1) * word, true)]).collect();
        let kept: Vec<_> = ends.iter().map(|_| self.local(ty)).collect();
        let mut code = self.code();
        // Where it is, but for what the instruction adds: no address is less than 0.
        let place = |code: &mut InstructionSink<'_>, end: End, (at, from_end): (i32, bool)| -> u32 {
            match (end.base, from_end) {
                (Some(base), true) => {
                    code.local_get(base).local_get(bytes).i32_add().i32_const(-at).i32_add();
                    end.offset
                }
                (Some(base), false) => {
                    code.local_get(base);
                    end.offset + at as u32
                }
                (None, true) => {
                    code.local_get(bytes);
                    end.offset - at as u32
                }
                (None, false) => {
                    code.i32_const(0);
                    end.offset + at as u32
                }
            }
        };
        for (&end, &local) in ends.iter().zip(&kept) {
            let offset = place(&mut code, from, end);
            let from = mem_arg(from.memory, offset, 0);
            match word {
                8 => code.i64_load(from),
                4 => code.i32_load(from),
                2 => code.i32_load16_u(from),
                _ => code.i32_load8_u(from),
            };
            code.local_set(local);
        }
        for (&end, &local) in ends.iter().zip(&kept) {
            let offset = place(&mut code, to, end);
            let to = mem_arg(to.memory, offset, 0);
            code.local_get(local);
            match word {
                8 => code.i64_store(to),
                4 => code.i32_store(to),
                2 => code.i32_store16(to),
                _ => code.i32_store8(to),
            };
        }
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
    pub(super) fn allocate(&mut self, bytes: u32, element: &Value, to: u32) {
        let [realloc, guest] = [self.realloc(), self.guest()];
        let sequence = self.local(ValType::I64);
        self.sequence();
        self.code().local_set(sequence).i32_const(0).i32_const(0).i32_const(element.align() as i32);
        self.code().local_get(bytes).i32_wrap_i64().call(realloc).local_set(to);
        self.fail_if_interrupted(sequence);
        self.check_aligned(to, element.align());
        self.check_bounds(to, bytes, guest);
    }
}
