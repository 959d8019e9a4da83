//! Finds the loops of a function that are worth a preload, in one pass over its operators.
//!
//! Modelled on what Cranelift's alias analysis finds (`alias_analysis.rs` there). The base of a memory is *known* where an
//! access to that memory dominates, and no *fence* is on any way from there: a call, or what may become one. Nothing but a
//! fence changes it for the compiler. So
//!
//! - a loop with a fence in it has nothing known at its beginning, and needs no preload: it would not be known the second time
//!   around. What its inner loops need is their own matter;
//! - a loop without needs one if it accesses the memory, and the base is not known in front of it already. Then it is known
//!   all through the loop, and in those within it.
//!
//! A fence that is followed by `unreachable` is none: nothing comes after it. That is how calls that report a failed check
//! look. Else a fence counts from where it stands to the end of all loops that it is in, whatever ways lead around it. To be
//! wrong costs a few instructions, or gains nothing; what a guest does is the same in either case.

use wasmparser::{Catch, FunctionBody, OperatorsReader, OperatorsReaderAllocations, Result};

use super::Preload;
use super::splice::MAX_PRELOAD_BYTES;
use super::step::{Step, Steps};

/// The largest body that the engine takes.
const MAX_BODY_BYTES: usize = 7_654_321;

/// How far outwards it is looked for the frame to whose end an access dominates, so that a function takes time in
/// proportion to its length.
const MAX_OUTWARDS: usize = 32;

/// The opcode of `loop`: a body without this byte has no loop.
const LOOP: u8 = 0x03;

/// Goes through the functions of a module, one after the other.
pub(super) struct Walk {
    /// The memories that preloads may be on.
    memories: Vec<u32>,
    /// Those of functions that are done, then those of this one, so far as is known: in the order in which they come.
    preloads: Vec<Preload>,
    frames: Vec<Frame>,
    /// The loops among the frames.
    loops: Vec<Loop>,
    /// The memories whose base is known here. Those of the innermost loop come last, of which alone entries hold while it
    /// is not known whether that has a fence.
    known: Vec<Known>,
    /// The memories that are accessed, likewise by loop.
    accessed: Vec<u32>,
    /// Whether nothing leads here.
    dead: bool,
    /// Whether the operator before was a fence.
    fence: bool,
    allocations: OperatorsReaderAllocations,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameKind {
    /// Only branches that were seen lead to its end.
    Block,
    /// The whole body, or an `if` that has had its `else`.
    Other,
    /// An `if` that has had none, so its end can always be reached.
    If,
    Loop,
}

struct Frame {
    kind: FrameKind,
    /// Whether a branch to its end was seen, or else the end of its first half.
    branched: bool,
    /// Whether nothing leads to its beginning.
    dead: bool,
}

/// A loop that has begun and not ended.
struct Loop {
    begins: usize,
    /// Whether there is a fence in it.
    fenced: bool,
    /// The frame to whose end dominates what is in front of it.
    home: usize,
    /// How many of each list are not its own.
    preloads: usize,
    known: usize,
    accessed: usize,
}

#[derive(Clone, Copy)]
struct Known {
    memory: u32,
    /// The frame at whose end the access does not dominate any more.
    home: usize,
}

impl Walk {
    /// For preloads on these memories.
    pub(super) fn new(memories: Vec<u32>) -> Self {
        Self {
            memories,
            preloads: vec![],
            frames: vec![],
            loops: vec![],
            known: vec![],
            accessed: vec![],
            dead: false,
            fence: false,
            allocations: OperatorsReaderAllocations::default(),
        }
    }

    /// What was found in all functions.
    pub(super) fn into_preloads(self) -> Vec<Preload> {
        self.preloads
    }

    /// Goes through a function.
    pub(super) fn function(&mut self, body: &FunctionBody<'_>) -> Result<()> {
        if !body.as_bytes().contains(&LOOP) {
            return Ok(());
        }
        let allocations = std::mem::take(&mut self.allocations);
        let mut reader = OperatorsReader::new_with_allocs(body.get_binary_reader_for_operators()?, allocations);
        self.frames.clear();
        self.loops.clear();
        self.known.clear();
        self.accessed.clear();
        (self.dead, self.fence) = (false, false);
        self.begin(FrameKind::Other);
        let before = self.preloads.len();
        while !reader.eof() {
            let at = reader.original_position();
            let step = reader.visit_operator(&mut Steps)?;
            self.step(step, at);
        }
        self.allocations = reader.into_allocations();
        if body.range().len() + (self.preloads.len() - before) * MAX_PRELOAD_BYTES > MAX_BODY_BYTES {
            self.preloads.truncate(before);
        }
        Ok(())
    }

    fn step(&mut self, step: Step<'_>, at: usize) {
        if std::mem::take(&mut self.fence) && !matches!(step, Step::Unreachable) {
            self.pass_fence();
        }
        match step {
            Step::Other => {}
            Step::Access(memory) if !self.dead => self.access(memory),
            Step::Access(_) => {}
            Step::Fence => self.fence = !self.dead,
            Step::Block => self.begin(FrameKind::Block),
            Step::If => self.begin(FrameKind::If),
            Step::Loop => self.begin_loop(at),
            Step::Try(table) => {
                for catch in &table.catches {
                    let (Catch::One { label, .. }
                    | Catch::OneRef { label, .. }
                    | Catch::All { label }
                    | Catch::AllRef { label }) = catch;
                    self.branch(*label);
                }
                self.begin(FrameKind::Block);
            }
            Step::Else => self.begin_else(),
            Step::End => self.end(),
            Step::MayBranch(depth) => self.branch(depth),
            Step::Branch(depth) => {
                self.branch(depth);
                self.dead = true;
            }
            Step::BranchTable(targets) => {
                let listed = targets.targets().flatten();
                listed.chain([targets.default()]).for_each(|target| self.branch(target));
                self.dead = true;
            }
            Step::BranchByCall(depth) => {
                self.branch(depth);
                self.fence = !self.dead;
            }
            Step::Unreachable | Step::Leave => self.dead = true,
        }
    }

    fn begin(&mut self, kind: FrameKind) {
        self.frames.push(Frame { kind, branched: false, dead: self.dead });
    }

    fn begin_loop(&mut self, at: usize) {
        self.loops.push(Loop {
            begins: at,
            fenced: false,
            home: self.home(),
            preloads: self.preloads.len(),
            known: self.known.len(),
            accessed: self.accessed.len(),
        });
        self.begin(FrameKind::Loop);
    }

    fn begin_else(&mut self) {
        let Some(frame) = self.frames.last_mut() else { return };
        frame.branched |= !self.dead;
        frame.kind = FrameKind::Other;
        self.dead = frame.dead;
        self.forget(self.frames.len() - 1);
    }

    fn end(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        self.forget(self.frames.len() + usize::from(frame.kind == FrameKind::Loop));
        match frame.kind {
            FrameKind::Loop => self.end_loop(),
            FrameKind::If => self.dead = frame.dead,
            FrameKind::Block | FrameKind::Other => self.dead = frame.dead || (self.dead && !frame.branched),
        }
    }

    fn end_loop(&mut self) {
        let Some(ended) = self.loops.pop() else { return };
        if ended.fenced {
            // Known is what was accessed since the fence, on the only way to here.
            let (own, home) = (self.own_known(), self.home());
            self.known.drain(own..ended.known);
            self.known.iter_mut().skip(own).for_each(|known| known.home = home);
            self.accessed.truncate(ended.accessed);
            if let Some(outer) = self.loops.last_mut() {
                outer.fenced = true;
            }
            return;
        }
        // Whatever its inner loops need is known by what is in front of this one.
        self.preloads.truncate(ended.preloads);
        self.known.truncate(ended.known);
        for memory in self.accessed.split_off(ended.accessed) {
            if self.note_access(memory, ended.home) {
                self.preloads.push(Preload { before: ended.begins, memory });
            }
        }
    }

    fn access(&mut self, memory: u32) {
        if self.memories.contains(&memory) {
            self.note_access(memory, self.home());
        }
    }

    /// Whether the base was not known before.
    fn note_access(&mut self, memory: u32, home: usize) -> bool {
        let (known, accessed) = (self.own_known(), self.loops.last().map_or(0, |innermost| innermost.accessed));
        if self.known.iter().skip(known).any(|known| known.memory == memory) {
            return false;
        }
        self.known.push(Known { memory, home });
        if !self.accessed.iter().skip(accessed).any(|accessed| *accessed == memory) {
            self.accessed.push(memory);
        }
        true
    }

    fn pass_fence(&mut self) {
        self.known.truncate(self.own_known());
        if let Some(innermost) = self.loops.last_mut() {
            innermost.fenced = true;
        }
    }

    fn branch(&mut self, depth: u32) {
        let frame = self.frames.iter_mut().nth_back(depth as usize);
        if let Some(frame) = frame.filter(|_| !self.dead) {
            frame.branched = true;
        }
    }

    /// Where what the innermost loop knows begins.
    fn own_known(&self) -> usize {
        self.loops.last().map_or(0, |innermost| innermost.known)
    }

    /// The outermost frame to whose end dominates what is here, or one within that.
    fn home(&self) -> usize {
        let passed = self.frames.iter().rev().take(MAX_OUTWARDS);
        let passed = passed.take_while(|frame| frame.kind == FrameKind::Block && !frame.branched).count();
        self.frames.len().saturating_sub(passed + 1)
    }

    /// Forgets what is known by accesses that dominate no further than to the end of that frame.
    fn forget(&mut self, frame: usize) {
        let own = self.own_known();
        let mut at = 0;
        self.known.retain(|known| {
            at += 1;
            at <= own || known.home < frame
        });
    }
}
