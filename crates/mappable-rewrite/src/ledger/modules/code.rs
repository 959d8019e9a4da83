//! A module in the making: one exported function, and imports that come with their first use.

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, EntityType, ExportKind, ExportSection, Function, FunctionSection, GlobalSection,
    GlobalType, ImportSection, InstructionSink, MemArg, MemoryType, NameMap, NameSection, TypeSection, ValType,
};

use super::{CALL, Module, Need};
use crate::ledger::interface::Failure;
use crate::ledger::layout::FLIGHT_SEQ;

/// What 32-bit memories of ordinary pages are imported as: of any size.
pub(super) const ANY_MEMORY: MemoryType =
    MemoryType { minimum: 0, maximum: None, memory64: false, shared: false, page_size_log2: None };
const I32: ValType = ValType::I32;

/// What the table's functions are called, and their types.
const TABLE_FUNCS: [(&str, &[ValType], &[ValType]); 7] = [
    ("take", &[I32, I32], &[]),
    ("lend", &[I32, I32], &[]),
    ("claim", &[I32], &[I32]),
    ("engines", &[I32], &[I32]),
    ("leave", &[I32, I32], &[I32]),
    ("lend-out", &[I32, I32], &[I32]),
    ("fail", &[I32, I32, I32], &[]),
];

/// The module, and the body of its function so far.
pub(super) struct Code {
    name: &'static str,
    params: Vec<ValType>,
    results: Vec<ValType>,
    locals: Vec<ValType>,
    body: Vec<u8>,
    imports: Vec<(&'static str, Need, Import)>,
    globals: u32,
    /// How many lists that go by window a walk has come by.
    pub(super) lists: u32,
}

/// What is said of a failure.
#[derive(Clone, Copy, Debug)]
pub(super) enum Arg {
    Local(u32),
    Const(i32),
}

enum Import {
    Func(Vec<ValType>, Vec<ValType>),
    Memory,
    Global(ValType),
}

impl Code {
    pub(super) fn new(name: &'static str, params: &[ValType], results: &[ValType]) -> Self {
        Self {
            name,
            params: params.to_vec(),
            results: results.to_vec(),
            locals: Vec::new(),
            body: Vec::new(),
            imports: Vec::new(),
            globals: 0,
            lists: 0,
        }
    }

    /// Where instructions go.
    pub(super) fn code(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.body)
    }

    pub(super) fn local(&mut self, ty: ValType) -> u32 {
        self.locals.push(ty);
        (self.params.len() + self.locals.len() - 1) as u32
    }

    /// The type of a parameter or local.
    pub(super) fn type_of(&self, local: u32) -> ValType {
        let local = local as usize;
        self.params.get(local).or_else(|| self.locals.get(local - self.params.len())).copied().unwrap_or(I32)
    }

    pub(super) fn callee(&mut self, params: &[ValType], results: &[ValType]) -> u32 {
        self.import("callee", Need::Callee, Import::Func(params.to_vec(), results.to_vec()))
    }

    /// The engine's function that a builtin takes the place of.
    pub(super) fn engines(&mut self, params: &[ValType], results: &[ValType]) -> u32 {
        self.import("engine", Need::Engine, Import::Func(params.to_vec(), results.to_vec()))
    }

    pub(super) fn realloc(&mut self) -> u32 {
        self.import("realloc", Need::Realloc, Import::Func(vec![I32; 4], vec![I32]))
    }

    /// One of the table's functions.
    pub(super) fn table(&mut self, name: &'static str) -> u32 {
        let (params, results) = TABLE_FUNCS
            .iter()
            .find_map(|(field, params, results)| (*field == name).then_some((*params, *results)))
            .unwrap_or((&[], &[]));
        self.import(name, Need::Table(name), Import::Func(params.to_vec(), results.to_vec()))
    }

    pub(super) fn helper(&mut self, name: &'static str, params: usize, results: usize) -> u32 {
        self.import(name, Need::Helper(name), Import::Func(vec![I32; params], vec![I32; results]))
    }

    /// `context.get` and `context.set` of a slot.
    pub(super) fn context(&mut self, slot: u32) -> (u32, u32) {
        let [get, set] = match slot {
            0 => ["context-get-0", "context-set-0"],
            _ => ["context-get-1", "context-set-1"],
        };
        let get = self.import(get, Need::ContextGet(slot), Import::Func(vec![], vec![I32]));
        (get, self.import(set, Need::ContextSet(slot), Import::Func(vec![I32], vec![])))
    }

    pub(super) fn guest(&mut self) -> u32 {
        self.import("memory", Need::GuestMemory, Import::Memory)
    }

    pub(super) fn ledger(&mut self) -> u32 {
        self.import("ledger", Need::Ledger, Import::Memory)
    }

    pub(super) fn window(&mut self) -> u32 {
        // A helper is called so, too.
        self.import("window-memory", Need::Window, Import::Memory)
    }

    /// One of the table's globals.
    pub(super) fn table_global(&mut self, name: &'static str) -> u32 {
        let ty = if matches!(name, "shown-version" | "shown-generation") { ValType::I64 } else { I32 };
        self.import(name, Need::Table(name), Import::Global(ty))
    }

    /// A global of the module's own, 0 at first. After it no other of the table's may be asked for.
    pub(super) fn own_global(&mut self) -> u32 {
        self.globals += 1;
        self.count(|import| matches!(import, Import::Global(_))) + self.globals - 1
    }

    fn count(&self, of: impl Fn(&Import) -> bool) -> u32 {
        self.imports.iter().filter(|(.., import)| of(import)).count() as u32
    }

    /// The import's index among those of its sort.
    fn import(&mut self, field: &'static str, need: Need, import: Import) -> u32 {
        let sort = std::mem::discriminant(&import);
        let mut same = self.imports.iter().filter(|(.., other)| std::mem::discriminant(other) == sort);
        if let Some(index) = same.position(|(_, other, _)| *other == need) {
            return index as u32;
        }
        debug_assert!(self.globals == 0 || !matches!(import, Import::Global(_)));
        let index = self.count(|other| std::mem::discriminant(other) == sort);
        self.imports.push((field, need, import));
        index
    }

    /// Pushes a word of the ledger.
    pub(super) fn word(&mut self, offset: u32) {
        let memory = self.ledger();
        self.code().i32_const(offset as i32).i32_load(mem_arg(memory, 0, 2));
    }

    /// Pushes how often something was put in flight or into the bounce.
    pub(super) fn sequence(&mut self) {
        let memory = self.ledger();
        self.code().i32_const(FLIGHT_SEQ as i32).i64_load(mem_arg(memory, 0, 3));
    }

    /// Fails, if it is not what the local says any more.
    pub(super) fn fail_if_interrupted(&mut self, before: u32) {
        self.sequence();
        self.code().local_get(before).i64_ne();
        self.fail_if(Failure::Interrupted, Arg::Const(0), Arg::Const(0));
    }

    /// Stores the local's value in a word of the ledger.
    pub(super) fn set_word(&mut self, offset: u32, local: u32) {
        let memory = self.ledger();
        self.code().i32_const(offset as i32).local_get(local).i32_store(mem_arg(memory, 0, 2));
    }

    pub(super) fn set_word_const(&mut self, offset: u32, value: i32) {
        let memory = self.ledger();
        self.code().i32_const(offset as i32).i32_const(value).i32_store(mem_arg(memory, 0, 2));
    }

    /// Fails, if the condition on the stack holds.
    pub(super) fn fail_if(&mut self, failure: Failure, first: Arg, second: Arg) {
        let fail = self.table("fail");
        self.code().if_(BlockType::Empty).i32_const(failure as i32);
        for arg in [first, second] {
            match arg {
                Arg::Local(local) => self.code().local_get(local),
                Arg::Const(value) => self.code().i32_const(value),
            };
        }
        self.code().call(fail).unreachable().end();
    }

    /// The binary, and what it imports.
    pub(super) fn finish(mut self) -> Module {
        self.code().end();
        let mut module = wasm_encoder::Module::new();

        let mut types = TypeSection::new();
        let mut imports = ImportSection::new();
        let mut func_names = NameMap::new();
        let mut funcs = 0;
        for (field, need, import) in &self.imports {
            let ty = match import {
                Import::Func(params, results) => {
                    types.ty().function(params.iter().copied(), results.iter().copied());
                    func_names.append(funcs, field);
                    funcs += 1;
                    EntityType::Function(types.len() - 1)
                }
                Import::Memory => {
                    // Accesses to the ledger's header, at addresses that are constants, then have no bounds checks.
                    let minimum = u64::from(*need == Need::Ledger);
                    EntityType::Memory(MemoryType { minimum, ..ANY_MEMORY })
                }
                Import::Global(val_type) => {
                    EntityType::Global(GlobalType { val_type: *val_type, mutable: true, shared: false })
                }
            };
            imports.import("", field, ty);
        }
        types.ty().function(self.params.iter().copied(), self.results.iter().copied());
        module.section(&types);
        module.section(&imports);

        let mut functions = FunctionSection::new();
        functions.function(types.len() - 1);
        module.section(&functions);

        if self.globals > 0 {
            let mut globals = GlobalSection::new();
            for _ in 0..self.globals {
                let ty = GlobalType { val_type: I32, mutable: true, shared: false };
                globals.global(ty, &ConstExpr::i32_const(0));
            }
            module.section(&globals);
        }

        let mut exports = ExportSection::new();
        exports.export(CALL, ExportKind::Func, funcs);
        module.section(&exports);

        let mut body = Function::new_with_locals_types(self.locals.iter().copied());
        body.raw(self.body);
        let mut codes = CodeSection::new();
        codes.function(&body);
        module.section(&codes);

        // For backtraces.
        func_names.append(funcs, CALL);
        let mut names = NameSection::new();
        names.module(self.name);
        names.functions(&func_names);
        module.section(&names);

        Module {
            bytes: module.finish().into(),
            needs: self.imports.into_iter().map(|(field, need, _)| (field, need)).collect(),
        }
    }
}

/// `align` is the exponent.
pub(super) fn mem_arg(memory_index: u32, offset: u32, align: u32) -> MemArg {
    MemArg { offset: offset.into(), align, memory_index }
}
