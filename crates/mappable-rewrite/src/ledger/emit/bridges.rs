//! Bridges: components of ours between the tree and the embedder, one for each import or export of the root that has
//! functions with handles.
//!
//! ```text
//!   embedder ─ own<r> ─ lift ── module ── lower ═══ …        an export: handles enter, and those of the result leave
//!   … ═══ lift ── module ── lower ─ own<r> ─ embedder        an import: they leave, and those of the result enter
//!              table ─┘ └─ enter, leave: the host
//! ```
//!
//! Towards the tree a bridge is as any other component: it has a handle table, and wrappers in front of its lowers and
//! lifts. Towards the embedder the engine's own handles go in and out of its instance. Its module calls `enter` and
//! `leave` for each, as a guest calls a builtin: it need not be trusted.

use std::collections::BTreeSet;

use wasm_encoder::{
    Alias, Component, ComponentExportKind as ExportKind, ComponentExternName, ComponentTypeRef as NewRef,
    ComponentValType as Val, ExportKind as CoreExportKind, PrimitiveValType as Primitive, TypeBounds,
};
use wasmparser::ComponentExternalKind as Kind;

use super::generated::{Generated, Wrapper};
use super::scope::{ComponentBody, Maps};
use super::sections::Sections;
use super::trusted::{Trusted, Wrapped};
use super::{EmitResult, Emitter, host, user};
use crate::error::{RewriteError, broken};
use crate::ledger::analysis::{Bridge, BridgeFunc, Bridges};
use crate::ledger::interface::Builtin;
use crate::ledger::modules::{self, Crossing};
use crate::ledger::signature::{self, Signature, Value};

/// What traps call the other side of a bridge.
const NAME: &str = "host";

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

impl Generated {
    /// The modules that a bridge has.
    pub(super) fn bridge_modules(&mut self, bridge: &Bridge, side: Side) -> Result<BTreeSet<Vec<u8>>, RewriteError> {
        let mut needed = BTreeSet::from([modules::table().bytes, modules::ledger_memory(NAME).bytes]);
        let (params, result) = side.crossings();
        for (_, func) in bridge.funcs() {
            needed.insert(self.wrapper(side.wrapper(&func.signature))?.bytes.clone());
            let (module, crossings) = modules::bridge(&func.signature, params, result);
            needed.insert(module);
            for builtin in crossings {
                needed.insert(self.wrapper(Wrapper::Builtin(builtin, builtin.signature()))?.bytes.clone());
            }
        }
        Ok(needed)
    }
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

    /// Puts a bridge at a function or instance of the root. Gives what takes its place on the other side.
    pub(super) fn bridge(&mut self, bridge: &Bridge, side: Side, index: u32) -> EmitResult<u32> {
        let component = self.bridge_component(bridge, side).map_err(user)?;
        let (package, interface) = (self.package.clone(), self.interface.clone());
        let body = self.body()?;
        let ledger = body.trusted.interface.ok_or_else(|| user(broken!("a bridge comes before the ledger")))?;
        let mut args = vec![(interface, ExportKind::Instance, ledger)];
        args.extend(package.iter().map(|(kind, ty)| (kind.package_name().to_owned(), ExportKind::Type, *ty)));
        for (number, (name, _)) in bridge.funcs().into_iter().enumerate() {
            let func = match name {
                None => index,
                Some(name) => body.sections.instance_export(index, ExportKind::Func, name),
            };
            args.push((callee(number), ExportKind::Func, func));
        }
        let component = body.sections.component(&component);
        let made = body.sections.instances(|instances| _ = instances.instantiate(component, args));
        let Bridge::Instance(items) = bridge else {
            return Ok(body.sections.instance_export(made, ExportKind::Func, &crossed(0)));
        };
        let mut exports = Vec::with_capacity(items.len());
        let mut crossing = 0..;
        // What functions are of comes before them.
        let (types, others): (Vec<_>, Vec<_>) = items.iter().partition(|(_, kind, _)| *kind == Kind::Type);
        for (name, kind, func) in types.into_iter().chain(others) {
            let kind = ExportKind::from(*kind);
            let item = match (func, crossing.start) {
                (Some(_), number) => {
                    crossing.start = number + 1;
                    body.sections.instance_export(made, kind, &crossed(number))
                }
                (None, _) => body.sections.instance_export(index, kind, name),
            };
            exports.push((name.as_str(), kind, item));
        }
        Ok(body.sections.instances(|instances| _ = instances.export_items(exports)))
    }

    fn bridge_component(&mut self, bridge: &Bridge, side: Side) -> Result<Component, RewriteError> {
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
        let funcs = bridge.funcs();
        let mut ends = Vec::with_capacity(funcs.len());
        for (number, (_, func)) in funcs.iter().enumerate() {
            let closed = func_type(&mut body.sections, func, &[]);
            let open = func_type(&mut body.sections, func, &imported);
            let (theirs, ours) = match side {
                Side::Export => (closed, open),
                Side::Import => (open, closed),
            };
            let name = callee(number);
            ends.push((body.sections.import(ComponentExternName::from(name.as_str()), NewRef::Func(theirs)), ours));
        }
        self.generated.ledger_memory(NAME)?;
        body.begin_table()?;
        for (number, ((_, func), (theirs, ours))) in funcs.iter().zip(ends).enumerate() {
            let lifted = self.bridge_func(&mut body, func, side, theirs, ours)?;
            let name = crossed(number);
            body.sections.export(ComponentExternName::from(name.as_str()), ExportKind::Func, lifted, None);
        }
        Ok(body.sections.finish())
    }

    /// One function over a bridge, which calls `theirs` and is of the type `ours`.
    fn bridge_func(
        &mut self,
        body: &mut ComponentBody<'_>,
        func: &BridgeFunc,
        side: Side,
        theirs: u32,
        ours: u32,
    ) -> Result<u32, RewriteError> {
        let signature = &func.signature;
        let mut callee = body.sections.canon(|canons| _ = canons.lower(theirs, []));
        let wrapped = |callee| Wrapped { callee: Some(callee), ..Wrapped::default() };
        if side == Side::Export {
            callee = body.wrap(self.generated.wrapper(side.wrapper(signature))?, wrapped(callee))?;
        }
        let (params, result) = side.crossings();
        let (module, crossings) = modules::bridge(signature, params, result);
        let mut items = vec![("callee", CoreExportKind::Func, callee)];
        for builtin in crossings {
            items.push((builtin.package_name(), CoreExportKind::Func, self.crossing(body, builtin)?));
        }
        let index = body.module(&module);
        let argument = body.sections.core_exports(&items);
        let instance = body.sections.instantiate(index, &[("", argument)]);
        self.generated.bridge(module);
        let mut call = body.sections.core_export(instance, CoreExportKind::Func, modules::CALL);
        if side == Side::Import {
            call = body.wrap(self.generated.wrapper(side.wrapper(signature))?, wrapped(call))?;
        }
        Ok(body.sections.lift(|canons| _ = canons.lift(call, ours, [])))
    }

    /// What a bridge calls to have a handle enter or leave.
    fn crossing(&mut self, body: &mut ComponentBody<'_>, builtin: Builtin) -> Result<u32, RewriteError> {
        if let Some(known) = body.trusted.crossings.get(&builtin) {
            return Ok(*known);
        }
        let func = body.interface_func(&builtin.ledger_name())?;
        let lowered = body.sections.canon(|canons| _ = canons.lower(func, []));
        let wrapper = self.generated.wrapper(Wrapper::Builtin(builtin, builtin.signature()))?;
        let func = body.wrap(wrapper, Wrapped { callee: Some(lowered), ..Wrapped::default() })?;
        body.trusted.crossings.insert(builtin, func);
        Ok(func)
    }
}

fn callee(number: usize) -> String {
    format!("callee{number}")
}

fn crossed(number: usize) -> String {
    format!("crossed{number}")
}

/// Writes the type of a function that crosses: with handles of these resources, or with `u32` for those that are not
/// there.
fn func_type(sections: &mut Sections, func: &BridgeFunc, resources: &[(signature::Kind, u32)]) -> u32 {
    let mut value = |value: &Value| match value {
        Value::Own(kind) => match resources.iter().find(|(other, _)| other == kind) {
            Some((_, resource)) => {
                let (own, encoder) = sections.ty();
                encoder.defined_type().own(*resource);
                Val::Type(own)
            }
            None => Val::Primitive(Primitive::U32),
        },
        scalar => Val::Primitive(primitive(scalar)),
    };
    let params: Vec<_> =
        func.names.iter().map(String::as_str).zip(func.signature.params.iter().map(&mut value)).collect();
    let result = func.signature.result.as_ref().map(&mut value);
    let (ty, encoder) = sections.ty();
    encoder.function().params(params).result(result);
    ty
}

fn primitive(scalar: &Value) -> Primitive {
    match scalar {
        Value::Bool => Primitive::Bool,
        Value::U8 => Primitive::U8,
        Value::S8 => Primitive::S8,
        Value::U16 => Primitive::U16,
        Value::S16 => Primitive::S16,
        Value::S32 => Primitive::S32,
        Value::U64 => Primitive::U64,
        Value::S64 => Primitive::S64,
        Value::F32 => Primitive::F32,
        Value::F64 => Primitive::F64,
        Value::Char => Primitive::Char,
        // Nothing else crosses.
        _ => Primitive::U32,
    }
}
