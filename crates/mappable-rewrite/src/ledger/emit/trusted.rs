//! The trusted items of a component: each is put in when something first needs it.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use wasm_encoder::{
    Alias, CanonicalFunctionSection, CanonicalOption, ComponentExportKind, ComponentExternName,
    ComponentOuterAliasKind, ComponentTypeRef, ExportKind, InstanceType, ValType,
};
use wasmparser::{ExternalKind, Parser, Payload};

use super::generated::{Made, Piece, Shared};
use super::scope::ComponentBody;
use crate::error::{RewriteError, broken};
use crate::ledger::modules::{self, Bundle, CALL, Item, MEMORY, Module, Need};
use crate::ledger::signature::Kind;

/// What has been put into a component. All indices are new ones.
#[derive(Default)]
pub(super) struct Trusted {
    /// What traps call the component.
    name: String,
    /// The component instance that is the ledger's host interface.
    pub(super) interface: Option<u32>,
    /// Component functions, by their names in the interface.
    funcs: HashMap<String, u32>,
    /// Core modules, by their bytes.
    modules: HashMap<Rc<[u8]>, u32>,
    /// Those of wrappers, where they are: many functions may have one, and it may be long.
    wrappers: HashMap<*const Made, u32>,
    /// Those that the root has for all, by their indices there, and how many components this one is within.
    shared: Rc<Shared>,
    depth: u32,
    /// The ledger's core memory.
    ledger: Option<u32>,
    /// The window's.
    window: Option<u32>,
    table: Option<Table>,
    /// Lowered helpers, by name and the memory that they are lowered with.
    helpers: HashMap<(&'static str, Option<u32>), u32>,
    /// `context.get` and `context.set`, by what asks for them.
    contexts: HashMap<Need, u32>,
    /// Guards, by the core function that they guard.
    pub(super) guards: HashMap<u32, u32>,
    /// Whether what leaves the component has may-leave checks.
    pub(super) may_leave: bool,
}

/// A component's handle table.
struct Table {
    instance: u32,
    /// What it exports.
    exports: BTreeMap<String, ExportKind>,
    /// The exports that were aliased.
    aliases: HashMap<&'static str, u32>,
}

/// What a wrapper is for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wrapped {
    pub(super) callee: Option<u32>,
    /// The lower of the package's own function.
    pub(super) engine: Option<u32>,
    pub(super) memory: Option<u32>,
    pub(super) realloc: Option<u32>,
}

impl Trusted {
    /// Of a component of that name, within `depth` others.
    pub(super) fn new(name: String, depth: usize, shared: &Rc<Shared>, may_leave: bool) -> Self {
        Trusted { name, depth: depth as u32, shared: Rc::clone(shared), may_leave, ..Trusted::default() }
    }
}

impl ComponentBody<'_> {
    pub(super) fn import_ledger(&mut self, name: &str, interface: &InstanceType) {
        let (ty, encoder) = self.sections.ty();
        encoder.instance(interface);
        let ty = ComponentTypeRef::Instance(ty);
        self.trusted.interface = Some(self.sections.import(ComponentExternName::from(name), ty));
    }

    /// An alias of a function of the ledger's interface.
    pub(super) fn interface_func(&mut self, name: &str) -> Result<u32, RewriteError> {
        if let Some(func) = self.trusted.funcs.get(name) {
            return Ok(*func);
        }
        let instance = self.trusted.interface.ok_or_else(|| broken!("the ledger is needed and was not imported"))?;
        let func = self.sections.alias(Alias::InstanceExport { instance, kind: ComponentExportKind::Func, name });
        self.trusted.funcs.insert(name.to_owned(), func);
        Ok(func)
    }

    /// Puts in the handle table, with what it needs.
    pub(super) fn begin_table(&mut self, crossing: bool) -> Result<(), RewriteError> {
        let module = modules::table(crossing);
        let exports = exports(&module.bytes)?;
        let instance = self.put(&module)?;
        self.trusted.table = Some(Table { instance, exports, aliases: HashMap::new() });
        Ok(())
    }

    pub(super) fn has_table(&self) -> bool {
        self.trusted.table.is_some()
    }

    /// What takes the place of `resource.drop`.
    pub(super) fn drop_func(&mut self, kind: Kind) -> Result<u32, RewriteError> {
        Ok(self.table_export(modules::drop_name(kind))?.1)
    }

    /// What takes the place of a function that is called back.
    pub(super) fn guarded(&mut self, func: u32, guard: &Rc<Made>) -> Result<u32, RewriteError> {
        if let Some(guard) = self.trusted.guards.get(&func) {
            return Ok(*guard);
        }
        let piece = self.piece(guard, Wrapped { callee: Some(func), ..Wrapped::default() })?;
        let guard = self.wrap(&piece);
        self.trusted.guards.insert(func, guard);
        Ok(guard)
    }

    /// Instantiates a wrapper, and aliases the function that takes its callee's place.
    pub(super) fn wrap(&mut self, piece: &Piece) -> u32 {
        let Piece { made, items } = piece;
        let module = match self.trusted.wrappers.get(&Rc::as_ptr(made)) {
            Some(module) => *module,
            None => {
                let module = self.module(&made.module.bytes);
                self.trusted.wrappers.insert(Rc::as_ptr(made), module);
                module
            }
        };
        let instance = self.instantiate(module, &made.module, items);
        self.sections.core_export(instance, ExportKind::Func, CALL)
    }

    /// Instantiates a module of many. Gives what takes the place of their callees.
    pub(super) fn wrap_all(&mut self, bundle: &Bundle) -> Vec<u32> {
        let items: Vec<_> =
            bundle.imports.iter().map(|import| (import.field.as_str(), import.item.0, import.item.1)).collect();
        let module = self.module(&bundle.bytes);
        let instance = self.instance_of(module, &items);
        let numbers = 0..bundle.wrappers.len();
        numbers.map(|number| self.sections.core_export(instance, ExportKind::Func, &number.to_string())).collect()
    }

    /// A wrapper with what it needs.
    pub(super) fn piece(&mut self, made: &Rc<Made>, wrapped: Wrapped) -> Result<Piece, RewriteError> {
        Ok(Piece { made: Rc::clone(made), items: self.items(&made.module, wrapped)? })
    }

    /// Puts in a trusted module that is no wrapper.
    fn put(&mut self, module: &Module) -> Result<u32, RewriteError> {
        let items = self.items(module, Wrapped::default())?;
        let index = self.module(&module.bytes);
        Ok(self.instantiate(index, module, &items))
    }

    fn items(&mut self, module: &Module, wrapped: Wrapped) -> Result<Vec<Item>, RewriteError> {
        module.needs.iter().map(|(_, need)| self.item(*need, wrapped)).collect()
    }

    fn instantiate(&mut self, index: u32, module: &Module, items: &[Item]) -> u32 {
        let items: Vec<_> =
            module.needs.iter().zip(items).map(|((field, _), (kind, index))| (*field, *kind, *index)).collect();
        self.instance_of(index, &items)
    }

    fn instance_of(&mut self, module: u32, items: &[(&str, ExportKind, u32)]) -> u32 {
        if items.is_empty() {
            return self.sections.instantiate(module, &[]);
        }
        let argument = self.sections.core_exports(items);
        self.sections.instantiate(module, &[("", argument)])
    }

    /// A module of ours: the root's, or the component's own.
    fn module(&mut self, bytes: &Rc<[u8]>) -> u32 {
        if let Some(index) = self.trusted.modules.get(bytes) {
            return *index;
        }
        let (kind, count) = (ComponentOuterAliasKind::CoreModule, self.trusted.depth);
        let index = match self.trusted.shared.get(bytes) {
            Some(&index) if count == 0 => index,
            Some(&index) => self.sections.alias(Alias::Outer { kind, count, index }),
            None => self.sections.module(bytes),
        };
        self.trusted.modules.insert(Rc::clone(bytes), index);
        index
    }

    fn item(&mut self, need: Need, wrapped: Wrapped) -> Result<Item, RewriteError> {
        let func = |index: Option<u32>, what| match index {
            Some(index) => Ok((ExportKind::Func, index)),
            None => Err(broken!("a trusted module needs a {what}, and there is none")),
        };
        match need {
            Need::Callee => func(wrapped.callee, "callee"),
            Need::Realloc => func(wrapped.realloc, "realloc"),
            Need::GuestMemory => Ok((ExportKind::Memory, guest_memory(wrapped)?)),
            Need::Ledger => Ok((ExportKind::Memory, self.ledger()?)),
            Need::Window => Ok((ExportKind::Memory, self.window()?)),
            Need::Table(name) => self.table_export(name),
            Need::ContextGet(slot) => Ok((
                ExportKind::Func,
                self.context(need, |canons| {
                    canons.context_get(ValType::I32, slot);
                }),
            )),
            Need::ContextSet(slot) => Ok((
                ExportKind::Func,
                self.context(need, |canons| {
                    canons.context_set(ValType::I32, slot);
                }),
            )),
            Need::Helper(name) => {
                let memory = match name {
                    "join" => Some(self.ledger()?),
                    "window" => Some(self.window_memory()?),
                    "memory-number" => Some(guest_memory(wrapped)?),
                    _ => None,
                };
                Ok((ExportKind::Func, self.helper(name, memory)?))
            }
            Need::Engine => func(wrapped.engine, "function of the engine's"),
            Need::Discard(kind) => {
                let known = self.handles.get(&kind).copied();
                let ledger = self.trusted.interface.ok_or_else(|| broken!("a table comes before the ledger"))?;
                let ty = known.unwrap_or_else(|| {
                    self.sections.instance_export(ledger, ComponentExportKind::Type, kind.package_name())
                });
                Ok((ExportKind::Func, self.sections.canon(|canons| _ = canons.resource_drop(ty))))
            }
        }
    }

    fn context(&mut self, need: Need, write: impl FnOnce(&mut CanonicalFunctionSection)) -> u32 {
        let sections = &mut self.sections;
        *self.trusted.contexts.entry(need).or_insert_with(|| sections.canon(write))
    }

    fn helper(&mut self, name: &'static str, memory: Option<u32>) -> Result<u32, RewriteError> {
        if let Some(helper) = self.trusted.helpers.get(&(name, memory)) {
            return Ok(*helper);
        }
        let func = self.interface_func(name)?;
        let options: Vec<_> = memory.map(CanonicalOption::Memory).into_iter().collect();
        let helper = self.sections.canon(|canons| _ = canons.lower(func, options));
        self.trusted.helpers.insert((name, memory), helper);
        Ok(helper)
    }

    fn ledger(&mut self) -> Result<u32, RewriteError> {
        if let Some(memory) = self.trusted.ledger {
            return Ok(memory);
        }
        let instance = self.put(&modules::ledger_memory(&self.trusted.name))?;
        let memory = self.sections.core_export(instance, ExportKind::Memory, MEMORY);
        self.trusted.ledger = Some(memory);
        Ok(memory)
    }

    /// The window, which the host knows to be one.
    fn window(&mut self) -> Result<u32, RewriteError> {
        if let Some(memory) = self.trusted.window {
            return Ok(memory);
        }
        let memory = self.window_memory()?;
        self.put(&modules::window_start())?;
        Ok(memory)
    }

    fn window_memory(&mut self) -> Result<u32, RewriteError> {
        if let Some(memory) = self.trusted.window {
            return Ok(memory);
        }
        let instance = self.put(&modules::window_memory())?;
        let memory = self.sections.core_export(instance, ExportKind::Memory, MEMORY);
        self.trusted.window = Some(memory);
        Ok(memory)
    }

    fn table_export(&mut self, name: &'static str) -> Result<(ExportKind, u32), RewriteError> {
        let table = self.trusted.table.as_mut().ok_or_else(|| broken!("a table is needed and there is none"))?;
        let kind = table.exports.get(name).ok_or_else(|| broken!("the table does not export `{name}`"))?;
        let index = match table.aliases.get(name) {
            Some(index) => *index,
            None => {
                let index = self.sections.core_export(table.instance, *kind, name);
                table.aliases.insert(name, index);
                index
            }
        };
        Ok((*kind, index))
    }
}

fn guest_memory(wrapped: Wrapped) -> Result<u32, RewriteError> {
    wrapped.memory.ok_or_else(|| broken!("a trusted module needs a memory, and its function names none"))
}

/// What a module of ours exports.
fn exports(module: &[u8]) -> Result<BTreeMap<String, ExportKind>, RewriteError> {
    let mut exports = BTreeMap::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ExportSection(section) = payload? {
            for export in section {
                let export = export?;
                let kind = match export.kind {
                    ExternalKind::Func | ExternalKind::FuncExact => ExportKind::Func,
                    ExternalKind::Table => ExportKind::Table,
                    ExternalKind::Memory => ExportKind::Memory,
                    ExternalKind::Global => ExportKind::Global,
                    ExternalKind::Tag => ExportKind::Tag,
                };
                exports.insert(export.name.to_owned(), kind);
            }
        }
    }
    Ok(exports)
}
