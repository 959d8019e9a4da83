//! Bridges: components of ours between the tree and the embedder, for each import or export of the root that has
//! functions with handles, or types of such.
//!
//! ```text
//!   embedder ─ own<r> ─ lift ── module ── lower ═══ …        an export: handles enter, and those of the result leave
//!   … ═══ lift ── module ── lower ─ own<r> ─ embedder        an import: they leave, and those of the result enter
//!            heap, table ─┘ └─ enter, leave: the host
//! ```
//!
//! Towards the tree a bridge is as any other component: it has a handle table, and wrappers in front of its lowers and
//! lifts. Towards the embedder the engine's own handles go in and out of its instance. Its module calls `enter` and
//! `leave` for each, as a guest calls a builtin: it need not be trusted. All else the engine's adapters carry, into the
//! bridge's heap and out of it.
//!
//! A type with a name that has handles is two types, one on each side. Which types those are, and all that is written
//! down of them, is [`bridge_types`](super::bridge_types)'s.

use std::collections::{BTreeMap, BTreeSet};

use wasm_encoder::{
    Alias, CanonicalOption, Component, ComponentExportKind as ExportKind, ComponentExternName,
    ComponentTypeRef as NewRef, ExportKind as CoreExportKind, TypeBounds, ValType,
};
use wasmparser::ComponentExternalKind as Kind;
use wasmparser::component_types::ComponentAnyTypeId;

use super::bridge_types::BridgeTypes;
use super::generated::{Generated, Wrapper};
use super::scope::{ComponentBody, Maps};
use super::sections::Sections;
use super::trusted::{Trusted, Wrapped};
use super::{EmitResult, Emitter, host, user};
use crate::error::{RewriteError, broken};
use crate::ledger::analysis::{Bridge, BridgeFunc, BridgeItem, BridgeType, Bridges, Place};
use crate::ledger::interface::Builtin;
use crate::ledger::modules::{self, Crossing, MEMORY, Need};
use crate::ledger::signature::Signature;

/// What traps call the other side of a bridge.
const NAME: &str = "host";

/// How many functions one component carries: it has four instances for each, and may have 1,000.
const MAX_FUNCS: usize = 200;

/// On which side of the root the embedder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The tree calls it.
    Import,
    /// It calls the tree.
    Export,
}

impl Side {
    /// Which way handles go in parameters, and in results.
    fn crossings(self) -> (Crossing, Crossing) {
        match self {
            Side::Export => (Crossing::Enter, Crossing::Leave),
            Side::Import => (Crossing::Leave, Crossing::Enter),
        }
    }

    /// What stands in front of the lower or lift on the tree's side.
    fn wrapper(self, signature: &Signature) -> Wrapper {
        match self {
            Side::Export => Wrapper::Lower(signature.clone(), false),
            Side::Import => Wrapper::Lift(signature.clone(), false),
        }
    }
}

/// All bridges of a tree.
pub(super) fn all(bridges: &Bridges) -> impl Iterator<Item = (&Bridge, Side)> {
    let imports = bridges.imports.values().map(|bridge| (bridge, Side::Import));
    imports.chain(bridges.exports.values().map(|bridge| (bridge, Side::Export)))
}

/// The functions that bridges have guards around: `realloc`, and `done` of the heap.
const GUARDED: [(&str, &[ValType], &[ValType]); 2] =
    [("realloc", &[ValType::I32; 4], &[ValType::I32]), ("done", &[ValType::I32], &[])];

impl Generated {
    /// The modules that a bridge has.
    pub(super) fn bridge_modules(&mut self, bridge: &Bridge, side: Side) -> Result<BTreeSet<Vec<u8>>, RewriteError> {
        let mut needed = BTreeSet::from([modules::table().bytes, modules::ledger_memory(NAME).bytes]);
        let (params, result) = side.crossings();
        for func in &bridge.funcs {
            needed.insert(self.wrapper(side.wrapper(&func.signature))?.bytes.clone());
            let module = modules::bridge(&func.signature, params, result);
            for (_, need) in &module.needs {
                if let Need::Crossing(builtin) = need {
                    needed.insert(self.wrapper(Wrapper::Builtin(*builtin, builtin.signature()))?.bytes.clone());
                }
            }
            needed.insert(module.bytes);
        }
        if bridge.funcs.iter().any(|func| func.signature.in_memory() != (false, false)) {
            needed.insert(modules::bridge_heap().bytes);
            for (_, params, results) in GUARDED {
                needed.insert(self.guard(params, results)?.bytes.clone());
            }
        }
        Ok(needed)
    }
}

/// A bridge's heap, as it has it.
#[derive(Clone, Copy)]
struct Heap {
    instance: u32,
    memory: u32,
    /// `realloc` and `done`, behind guards.
    realloc: u32,
    done: u32,
}

/// A bridge while it is written.
struct Writing<'b, 't> {
    body: ComponentBody<'b>,
    side: Side,
    heap: Option<Heap>,
    /// The types of what is called, and of what is offered.
    theirs: BridgeTypes<'t>,
    ours: BridgeTypes<'t>,
}

impl<'a> Emitter<'a> {
    pub(super) fn import_bridge(&self, depth: usize, name: &str) -> Option<&'a Bridge> {
        let analysis = self.analysis;
        analysis.bridges.imports.get(name).filter(|_| depth == 0)
    }

    pub(super) fn export_bridge(&self, depth: usize, name: &str) -> Option<&'a Bridge> {
        let analysis = self.analysis;
        analysis.bridges.exports.get(name).filter(|_| depth == 0)
    }

    /// The root has imported the package: now it can import the ledger as bridges need it.
    pub(super) fn begin_bridges(&mut self, package: u32) -> EmitResult {
        let analysis = self.analysis;
        if analysis.bridges.is_empty() {
            return Ok(());
        }
        for &kind in &analysis.bridges.kinds {
            let name = kind.package_name();
            let alias = Alias::InstanceExport { instance: package, kind: ExportKind::Type, name };
            let index = self.body()?.sections.alias(alias);
            self.package.push((kind, index));
        }
        let ledger = host::interface_with_crossings(&self.builtins, &self.package);
        let name = self.interface.clone();
        self.body()?.import_ledger(&name, &ledger);
        Ok(())
    }

    fn bridge_types(&self, resources: Option<&[(crate::ledger::signature::Kind, u32)]>) -> BridgeTypes<'a> {
        let analysis = self.analysis;
        BridgeTypes::new(self.types, &analysis.bridges.resources, resources.map(<[_]>::to_vec))
    }

    /// Puts a bridge at a function or instance of the root. Gives what takes its place on the other side.
    pub(super) fn bridge(&mut self, bridge: &'a Bridge, side: Side, index: u32) -> EmitResult<u32> {
        let types = self.bridge_arguments(bridge, side, index)?;
        let (package, interface) = (self.package.clone(), self.interface.clone());
        let mut made = Vec::new();
        // What the first makes of types the others are given.
        let mut chunks: Vec<&[BridgeFunc]> = bridge.funcs.chunks(MAX_FUNCS).collect();
        chunks.extend(bridge.funcs.is_empty().then_some(&[][..]));
        for funcs in chunks {
            let component = self.bridge_component(bridge, funcs, side, made.is_empty()).map_err(user)?;
            let body = self.body()?;
            let ledger = body.trusted.interface.ok_or_else(|| user(broken!("a bridge comes before the ledger")))?;
            let mut args = vec![(interface.clone(), ExportKind::Instance, ledger)];
            args.extend(package.iter().map(|(kind, ty)| (kind.package_name().to_owned(), ExportKind::Type, *ty)));
            args.extend(types.iter().map(|(name, ty)| (name.clone(), ExportKind::Type, *ty)));
            if let Some(first) = made.first() {
                for (number, _) in bridge.types.iter().enumerate().filter(|(_, ty)| is_made(ty, side)) {
                    let name = ours(number);
                    let ty = body.sections.instance_export(*first, ExportKind::Type, &name);
                    args.push((name, ExportKind::Type, ty));
                }
            }
            for (number, func) in funcs.iter().enumerate() {
                let func = match &func.name {
                    None => index,
                    Some(name) => body.sections.instance_export(index, ExportKind::Func, name),
                };
                args.push((callee(number), ExportKind::Func, func));
            }
            let component = body.sections.component(&component);
            made.push(body.sections.instances(|instances| _ = instances.instantiate(component, args)));
        }
        let body = self.body()?;
        let crossing = |sections: &mut Sections, number: usize| {
            let instance = made.get(number / MAX_FUNCS).copied().unwrap_or_default();
            sections.instance_export(instance, ExportKind::Func, &crossed(number % MAX_FUNCS))
        };
        let Some(items) = &bridge.items else { return Ok(crossing(&mut body.sections, 0)) };
        let mut exports = Vec::with_capacity(items.len());
        // What functions are of comes before them.
        let is_type = |item: &BridgeItem| matches!(item, BridgeItem::Type(_) | BridgeItem::Other(Kind::Type));
        let (types, others): (Vec<_>, Vec<_>) = items.iter().partition(|(_, item)| is_type(item));
        for (name, item) in types.into_iter().chain(others) {
            let (kind, index) = match *item {
                BridgeItem::Func(number) => (ExportKind::Func, crossing(&mut body.sections, number)),
                BridgeItem::Type(number) => {
                    let made = made.first().copied().unwrap_or_default();
                    (ExportKind::Type, body.sections.instance_export(made, ExportKind::Type, &ours(number)))
                }
                BridgeItem::Other(kind) => (kind.into(), body.sections.instance_export(index, kind.into(), name)),
            };
            exports.push((name.as_str(), kind, index));
        }
        Ok(body.sections.instances(|instances| _ = instances.export_items(exports)))
    }

    /// The types that a bridge imports, but for those that its first component makes: by name, their indices in the root.
    fn bridge_arguments(&mut self, bridge: &Bridge, side: Side, index: u32) -> EmitResult<Vec<(String, u32)>> {
        let package = self.package.clone();
        let (mut open, mut closed) = (self.bridge_types(Some(&package)), self.bridge_types(None));
        let bridged: BTreeMap<u32, u32> = self.bridged.iter().map(|(old, (raw, _))| (*old, *raw)).collect();
        let body = self.body()?;
        let mut args = Vec::new();
        for (number, ty) in bridge.types.iter().enumerate() {
            let place = match &ty.place {
                Place::Here(name) => Some((index, name)),
                Place::Imported(old, name) => {
                    let unbridged = || body.maps.instances.get(*old as usize).copied();
                    bridged.get(old).copied().or_else(unbridged).map(|instance| (instance, name))
                }
                Place::Nowhere => None,
            };
            let sections = &mut body.sections;
            let mut found = place.map(|(instance, name)| sections.instance_export(instance, ExportKind::Type, name));
            if ty.handles && side == Side::Export && matches!(ty.place, Place::Here(_)) {
                // That is the tree's.
                found = None;
            }
            let id = match ty.id {
                ComponentAnyTypeId::Defined(id) => id,
                _ => {
                    let found = found.ok_or_else(|| user(broken!("a resource that crosses a bridge is not found")))?;
                    open.know(ty.id, found);
                    closed.know(ty.id, found);
                    args.push((common(number), found));
                    continue;
                }
            };
            let opened = match found {
                Some(found) => found,
                None => open.define(sections, id).map_err(user)?,
            };
            open.know(ty.id, opened);
            if !ty.handles {
                closed.know(ty.id, opened);
                args.push((common(number), opened));
                continue;
            }
            let closed_one = closed.define(sections, id).map_err(user)?;
            closed.know(ty.id, closed_one);
            args.push((theirs(number), if side == Side::Export { closed_one } else { opened }));
            if !is_made(ty, side) {
                args.push((ours(number), opened));
            }
        }
        Ok(args)
    }

    /// The component for some of a bridge's functions.
    fn bridge_component(
        &mut self,
        bridge: &Bridge,
        funcs: &[BridgeFunc],
        side: Side,
        first: bool,
    ) -> Result<Component, RewriteError> {
        let mut body = ComponentBody {
            number: usize::MAX,
            sections: Sections::default(),
            maps: Maps::default(),
            trusted: Trusted::new(NAME.to_owned(), 1, &self.shared),
            canons: 0,
            instantiations: 0,
            names: Vec::new(),
        };
        let bounds = NewRef::Type(TypeBounds::SubResource);
        let imported = self.package.iter();
        let imported: Vec<_> =
            imported.map(|(kind, _)| (*kind, body.sections.import(kind.package_name().into(), bounds))).collect();
        let ledger = host::interface_with_crossings(&self.builtins, &imported);
        body.import_ledger(&self.interface, &ledger);
        let (open, closed) = (self.bridge_types(Some(&imported)), self.bridge_types(None));
        let (theirs, ours) = match side {
            Side::Export => (closed, open),
            Side::Import => (open, closed),
        };
        let mut writing = Writing { body, side, heap: None, theirs, ours };
        writing.types(&bridge.types, first)?;
        let mut ends = Vec::with_capacity(funcs.len());
        for (number, func) in funcs.iter().enumerate() {
            let sections = &mut writing.body.sections;
            let theirs = writing.theirs.func(sections, func.ty)?;
            let ours = writing.ours.func(sections, func.ty)?;
            ends.push((import(sections, &callee(number), NewRef::Func(theirs)), ours));
        }
        if !funcs.is_empty() {
            self.generated.ledger_memory(NAME)?;
            writing.body.begin_table()?;
        }
        for (number, (func, (theirs, ours))) in funcs.iter().zip(ends).enumerate() {
            let lifted = writing.func(&mut self.generated, func, theirs, ours)?;
            export(&mut writing.body.sections, &crossed(number), ExportKind::Func, lifted);
        }
        Ok(writing.body.sections.finish())
    }
}

impl Writing<'_, '_> {
    /// Imports the types with names, and makes those that are another on the offered side, if this component is to.
    fn types(&mut self, types: &[BridgeType], first: bool) -> Result<(), RewriteError> {
        let sections = &mut self.body.sections;
        for (number, ty) in types.iter().enumerate() {
            let id = match ty.id {
                ComponentAnyTypeId::Defined(id) => id,
                _ => {
                    let index = import(sections, &common(number), NewRef::Type(TypeBounds::SubResource));
                    self.theirs.know(ty.id, index);
                    self.ours.know(ty.id, index);
                    continue;
                }
            };
            let defined = self.theirs.define(sections, id)?;
            let name = if ty.handles { theirs(number) } else { common(number) };
            let index = import(sections, &name, NewRef::Type(TypeBounds::Eq(defined)));
            self.theirs.know(ty.id, index);
            if !ty.handles {
                self.ours.know(ty.id, index);
                continue;
            }
            let defined = self.ours.define(sections, id)?;
            let index = if first && is_made(ty, self.side) {
                export(sections, &ours(number), ExportKind::Type, defined)
            } else {
                import(sections, &ours(number), NewRef::Type(TypeBounds::Eq(defined)))
            };
            self.ours.know(ty.id, index);
        }
        Ok(())
    }

    /// One function over a bridge, which calls `theirs` and is of the type `ours`.
    fn func(
        &mut self,
        generated: &mut Generated,
        func: &BridgeFunc,
        theirs: u32,
        ours: u32,
    ) -> Result<u32, RewriteError> {
        let signature = &func.signature;
        let (params_in_memory, result_in_memory) = signature.in_memory();
        let heap = if params_in_memory || result_in_memory { Some(self.heap(generated)?) } else { None };
        let options = |post_return: bool| {
            let mut options = Vec::new();
            if let Some(heap) = heap {
                options.extend([CanonicalOption::Memory(heap.memory), CanonicalOption::Realloc(heap.realloc)]);
                options.extend(post_return.then_some(CanonicalOption::PostReturn(heap.done)));
            }
            options
        };
        let wrapped = |callee| Wrapped {
            callee: Some(callee),
            memory: heap.map(|heap| heap.memory),
            realloc: heap.map(|heap| heap.realloc),
        };
        let mut callee = self.body.sections.canon(|canons| _ = canons.lower(theirs, options(false)));
        if self.side == Side::Export {
            callee = self.body.wrap(generated.wrapper(self.side.wrapper(signature))?, wrapped(callee))?;
        }
        let (params, result) = self.side.crossings();
        let module = modules::bridge(signature, params, result);
        let drops = self.ours.borrowed(func.ty)?;
        let mut items = Vec::with_capacity(module.needs.len());
        for (field, need) in &module.needs {
            let (kind, index) = match *need {
                Need::Callee => (CoreExportKind::Func, callee),
                Need::Crossing(builtin) => (CoreExportKind::Func, self.crossing(generated, builtin)?),
                Need::GuestMemory => (CoreExportKind::Memory, heap.ok_or_else(|| broken!("no heap"))?.memory),
                Need::Heap(name) => {
                    let heap = heap.ok_or_else(|| broken!("a bridge without a heap needs it"))?;
                    (CoreExportKind::Func, self.body.sections.core_export(heap.instance, CoreExportKind::Func, name))
                }
                Need::DropOther(number) => {
                    let resource = drops.get(number).ok_or_else(|| broken!("nothing borrowed is to be dropped"))?;
                    (CoreExportKind::Func, self.body.sections.canon(|canons| _ = canons.resource_drop(*resource)))
                }
                _ => return Err(broken!("a bridge's module needs what only trusted ones have")),
            };
            items.push((*field, kind, index));
        }
        let index = self.body.module(&module.bytes);
        let argument = self.body.sections.core_exports(&items);
        let instance = self.body.sections.instantiate(index, &[("", argument)]);
        generated.bridge(&module, Some((signature, params)));
        let mut call = self.body.sections.core_export(instance, CoreExportKind::Func, modules::CALL);
        if self.side == Side::Import {
            call = self.body.wrap(generated.wrapper(self.side.wrapper(signature))?, wrapped(call))?;
        }
        Ok(self.body.sections.lift(|canons| _ = canons.lift(call, ours, options(result_in_memory))))
    }

    /// The bridge's heap, put in when it is first needed.
    fn heap(&mut self, generated: &mut Generated) -> Result<Heap, RewriteError> {
        if let Some(heap) = self.heap {
            return Ok(heap);
        }
        let module = modules::bridge_heap();
        let index = self.body.module(&module.bytes);
        generated.bridge(&module, None);
        let instance = self.body.sections.instantiate(index, &[]);
        let memory = self.body.sections.core_export(instance, CoreExportKind::Memory, MEMORY);
        let mut guarded = [0; 2];
        for (guard, (name, params, results)) in guarded.iter_mut().zip(GUARDED) {
            let func = self.body.sections.core_export(instance, CoreExportKind::Func, name);
            *guard = self.body.guarded(func, generated.guard(params, results)?)?;
        }
        let [realloc, done] = guarded;
        Ok(*self.heap.insert(Heap { instance, memory, realloc, done }))
    }

    /// What a bridge calls to have a handle enter or leave.
    fn crossing(&mut self, generated: &mut Generated, builtin: Builtin) -> Result<u32, RewriteError> {
        if let Some(known) = self.body.trusted.crossings.get(&builtin) {
            return Ok(*known);
        }
        let func = self.body.interface_func(&builtin.ledger_name())?;
        let lowered = self.body.sections.canon(|canons| _ = canons.lower(func, []));
        let wrapper = generated.wrapper(Wrapper::Builtin(builtin, builtin.signature()))?;
        let func = self.body.wrap(wrapper, Wrapped { callee: Some(lowered), ..Wrapped::default() })?;
        self.body.trusted.crossings.insert(builtin, func);
        Ok(func)
    }
}

/// Whether the first component of a bridge makes a type's version on the offered side: nobody else has it.
fn is_made(ty: &BridgeType, side: Side) -> bool {
    ty.handles && (side == Side::Import || !matches!(ty.place, Place::Imported(..)))
}

fn import(sections: &mut Sections, name: &str, ty: NewRef) -> u32 {
    sections.import(ComponentExternName::from(name), ty)
}

fn export(sections: &mut Sections, name: &str, kind: ExportKind, index: u32) -> u32 {
    sections.export(ComponentExternName::from(name), kind, index, None)
}

fn callee(number: usize) -> String {
    format!("callee{number}")
}

fn crossed(number: usize) -> String {
    format!("crossed{number}")
}

/// What a type is called that is the same on both sides, ...
fn common(number: usize) -> String {
    format!("type{number}")
}

/// ... or one that has handles, as what is called has it, ...
fn theirs(number: usize) -> String {
    format!("theirs{number}")
}

/// ... and as what is offered does.
fn ours(number: usize) -> String {
    format!("ours{number}")
}
