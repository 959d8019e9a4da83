//! The walk through a component: each item, section by section, with new indices.

use std::collections::BTreeMap;

use wasm_encoder::reencode::{Reencode, ReencodeComponent};
use wasm_encoder::{Alias, Component, ComponentExportKind, ComponentExternName, ComponentStartSection, ExportKind};
use wasmparser::{
    ComponentAlias, ComponentExport, ComponentExternalKind as Kind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, CustomSectionReader, ExternalKind, Instance, KnownCustom, Parser, Payload,
};

use super::bundles::Bundles;
use super::scope::{Body, ComponentBody, Maps, Scope, Type, What};
use super::sections::{MAX_SECTION, Sections};
use super::trusted::Trusted;
use super::{EmitResult, Emitter, host, not_closed, user};
use crate::error::{RewriteError, broken};
use crate::ledger::analysis::Version;
use crate::ledger::obstacle::{Obstacle, Reason};
use crate::tree::read::{ComponentFacts, Facts};

impl<'a> Emitter<'a> {
    pub(super) fn component(&mut self, mut parser: Parser, data: &'a [u8], whole: &'a [u8]) -> EmitResult<Component> {
        self.begin()?;
        let mut remaining = data;
        while !remaining.is_empty() {
            let wasmparser::Chunk::Parsed { consumed, payload } = parser.parse(remaining, true)? else {
                return Err(user(broken!("the component ends within a section")));
            };
            remaining = remaining.get(consumed..).unwrap_or_default();
            if let Payload::ComponentSection { unchecked_range, .. } | Payload::ModuleSection { unchecked_range, .. } =
                &payload
            {
                remaining = remaining.get(unchecked_range.len()..).unwrap_or_default();
            }
            self.payload(payload, whole)?;
        }
        self.end()
    }

    /// Begins a component: the host interface, and the handle table, if it needs them.
    fn begin(&mut self) -> EmitResult {
        let number = self.begun;
        self.begun += 1;
        let roles = self.roles_of(number)?;
        let facts: &'a Facts<'a> = self.facts;
        let facts = facts.components.get(number).ok_or_else(|| user(broken!("a component was not read")))?;
        let plan = self.plans.get(number).ok_or_else(|| user(broken!("a component has no plan")))?;
        let mut body = ComponentBody {
            number,
            sections: Sections::default(),
            maps: Maps::default(),
            trusted: Trusted::new(roles.name.clone(), self.scopes.len(), &self.shared, plan.calls_back),
            bundles: plan.has_bundles.then(|| Bundles::new(plan, facts)),
            canons: 0,
            instantiations: 0,
            handles: BTreeMap::new(),
            names: Vec::new(),
        };
        if self.scopes.is_empty() {
            let mut shared: Vec<_> = self.shared.iter().collect();
            shared.sort_unstable_by_key(|(_, index)| **index);
            shared.into_iter().for_each(|(module, _)| _ = body.sections.module(module));
        }
        self.scopes.push(Scope::new(Body::Component(Box::new(body))));
        self.begin_ledger()
    }

    /// Imports the ledger, and puts in the handle table, if the component needs them. Where handles cross, the ledger has
    /// the component's own types of them: then that is when it has imported those.
    fn begin_ledger(&mut self) -> EmitResult {
        let roles = self.roles()?;
        let body = self.body()?;
        if !roles.needs_ledger || body.trusted.interface.is_some() {
            return Ok(());
        }
        if roles.needs_crossings && body.handles.len() < roles.handles.len() {
            return Ok(());
        }
        let types = roles.needs_crossings.then(|| body.handles.clone());
        let interface = host::interface(&self.builtins, types.as_ref());
        let name = self.interface.clone();
        let body = self.body()?;
        body.import_ledger(&name, &interface);
        if roles.has_table() {
            body.begin_table(roles.crosses).map_err(user)?;
            self.generated.ledger_memory(&roles.name).map_err(user)?;
        }
        Ok(())
    }

    /// An import by the old name has come: the types of handles that the component has by it.
    fn imported(&mut self, name: &str, index: u32) -> EmitResult {
        let roles = self.roles()?;
        if !roles.needs_crossings {
            return Ok(());
        }
        let body = self.body()?;
        for handle in roles.handles.iter().filter(|handle| handle.import == name) {
            let index = match &handle.export {
                Some(export) => body.sections.instance_export(index, ComponentExportKind::Type, export),
                None => index,
            };
            body.handles.insert(handle.kind, index);
        }
        self.begin_ledger()
    }

    /// Ends a component: its names.
    fn end(&mut self) -> EmitResult<Component> {
        self.wrap_waiting()?;
        for section in std::mem::take(&mut self.body()?.names) {
            let names = self.custom_component_name_section(section);
            // Nobody has validated these. One that can't be read, or names what is not there, is dropped.
            if let (Ok(names), None) = (names, self.lost.take()) {
                self.body()?.sections.section(&names);
            }
        }
        match self.scopes.pop().map(|scope| scope.body) {
            Some(Body::Component(body)) => Ok(body.sections.finish()),
            _ => Err(user(broken!("a component ends within a type"))),
        }
    }

    fn payload(&mut self, payload: Payload<'a>, whole: &'a [u8]) -> EmitResult {
        match payload {
            Payload::Version { .. } | Payload::End(_) => {}
            Payload::ModuleSection { unchecked_range, .. } => {
                let bytes = whole.get(unchecked_range).unwrap_or_default();
                self.guests.insert(bytes);
                let body = self.body()?;
                let module = body.sections.module(bytes);
                body.maps.modules.push(module);
            }
            Payload::ComponentSection { parser, unchecked_range } => {
                let facts: &'a Facts<'a> = self.facts;
                let facts = facts.components.get(self.begun);
                let nested = self.component(parser, whole.get(unchecked_range).unwrap_or_default(), whole)?;
                let facts = facts.ok_or_else(|| user(broken!("a component was not read")))?;
                takes(facts, nested.as_slice().len()).map_err(user)?;
                let body = self.body()?;
                let component = body.sections.component(&nested);
                body.maps.components.push(component);
            }
            Payload::ComponentTypeSection(section) => {
                for ty in section {
                    self.component_type_at_top(ty?)?;
                }
            }
            Payload::CoreTypeSection(section) => {
                let mut types = std::mem::take(self.body()?.sections.core_types());
                self.parse_core_type_section(&mut types, section)?;
                *self.body()?.sections.core_types() = types;
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import?;
                    self.import(import.name.into(), import.ty)?;
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    self.export(export?)?;
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    self.alias(alias?)?;
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    self.instance(instance?)?;
                }
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    self.core_instance(instance?)?;
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for canon in section {
                    self.canon(canon?)?;
                }
            }
            Payload::ComponentStartSection { start, .. } => {
                let start = ComponentStartSection {
                    function_index: self.component_func_index(start.func_index),
                    args: start.arguments.to_vec(),
                    results: start.results,
                };
                self.body()?.sections.section(&start);
            }
            Payload::CustomSection(section) => self.custom(section)?,
            _ => return Err(user(broken!("a section was read that can't be written"))),
        }
        self.found()
    }

    fn custom(&mut self, section: CustomSectionReader<'a>) -> EmitResult {
        if let KnownCustom::ComponentName(names) = section.as_known() {
            self.body()?.names.push(names);
            return Ok(());
        }
        let section = self.custom_section(section)?;
        self.body()?.sections.section(&section);
        Ok(())
    }

    /// The version of the function's type that the next function of the component has.
    fn next_version(&mut self) -> EmitResult<Version> {
        let roles = self.roles()?;
        Ok(roles.closed_funcs.get(self.body()?.maps.funcs.len()).cloned().unwrap_or_default())
    }

    fn import(&mut self, mut name: ComponentExternName<'a>, ty: ComponentTypeRef) -> EmitResult {
        let depth = self.depth()?;
        let old_name = name.name.clone();
        if depth == 0
            && let Some(renamed) = self.renames.of(name.name.as_ref())
        {
            name.name = renamed.into();
        }
        let version = self.next_version()?;
        let new = self.type_ref(depth, ty, version)?;
        self.found()?;
        let index = self.body()?.sections.import(name, new);
        self.imported(&old_name, index)?;
        if let ComponentTypeRef::Type(bounds) = ty {
            let ty = self.bound(depth, bounds, index)?;
            return self.push_type(depth, ty);
        }
        self.push(ty.kind(), index)
    }

    fn export(&mut self, export: ComponentExport<'a>) -> EmitResult {
        let depth = self.depth()?;
        let version = self.next_version()?;
        let old = export.index;
        let index = self.component_external_index(export.kind, old);
        let ty = export.ty.map(|ty| self.type_ref(depth, ty, version)).transpose()?;
        self.found()?;
        let new = self.body()?.sections.export(export.name.into(), export.kind.into(), index, ty);
        if export.kind == Kind::Type {
            let ty = self.name(depth, old, new)?;
            return self.push_type(depth, ty);
        }
        self.push(export.kind, new)
    }

    /// The next item of an index space of the component other than that of types.
    fn push(&mut self, kind: Kind, new: u32) -> EmitResult {
        let maps = &mut self.body()?.maps;
        match kind {
            Kind::Module => maps.modules.push(new),
            Kind::Func => maps.funcs.push(new),
            Kind::Instance => maps.instances.push(new),
            Kind::Component => maps.components.push(new),
            Kind::Type => return Err(user(broken!("a type is no item"))),
            Kind::Value => {}
        }
        Ok(())
    }

    fn alias(&mut self, alias: ComponentAlias<'a>) -> EmitResult {
        let depth = self.depth()?;
        if let ComponentAlias::Outer { kind: ComponentOuterAliasKind::Type, count, index } = alias {
            return self.alias_type(depth, count, index);
        }
        if let ComponentAlias::CoreInstanceExport { kind, instance_index, name } = alias {
            return self.core_alias(kind, instance_index, name);
        }
        let new: Alias<'a> = self.component_alias(alias.clone())?;
        self.found()?;
        let body = self.body()?;
        let index = body.sections.alias(new);
        match alias {
            ComponentAlias::InstanceExport { kind: Kind::Type, .. } => {
                self.push_type(depth, Type::new(index, What::One))
            }
            ComponentAlias::InstanceExport { kind, .. } => self.push(kind, index),
            ComponentAlias::CoreInstanceExport { .. } => Ok(()),
            ComponentAlias::Outer { kind, .. } => {
                match kind {
                    ComponentOuterAliasKind::CoreModule => body.maps.modules.push(index),
                    ComponentOuterAliasKind::Component => body.maps.components.push(index),
                    ComponentOuterAliasKind::CoreType | ComponentOuterAliasKind::Type => {}
                }
                Ok(())
            }
        }
    }

    fn core_alias(&mut self, kind: ExternalKind, instance: u32, name: &'a str) -> EmitResult {
        let new = self.instance_index(instance);
        self.found()?;
        let body = self.body()?;
        let is_wrapped = matches!(kind, ExternalKind::Func | ExternalKind::FuncExact | ExternalKind::Memory);
        let known = if is_wrapped { body.exported(kind.into(), instance, name) } else { None };
        let index = known.unwrap_or_else(|| body.sections.core_export(new, kind.into(), name));
        match kind {
            ExternalKind::Func | ExternalKind::FuncExact => body.maps.core_funcs.push(index),
            ExternalKind::Memory => body.maps.core_memories.push(index),
            ExternalKind::Global => body.maps.core_globals.push(index),
            ExternalKind::Table | ExternalKind::Tag => {}
        }
        Ok(())
    }

    fn instance(&mut self, instance: ComponentInstance<'a>) -> EmitResult {
        let roles = self.roles()?;
        let new = match instance {
            ComponentInstance::Instantiate { component_index, args } => {
                let mut new = Vec::with_capacity(args.len() + 1);
                for arg in &args {
                    let index = self.component_external_index(arg.kind, arg.index);
                    new.push((arg.name.to_owned(), arg.kind.into(), index));
                }
                let component = self.component_index(component_index);
                let interface = self.interface.clone();
                let body = self.body()?;
                let instantiated = roles.instantiates.get(body.instantiations).copied().flatten();
                body.instantiations = body.instantiations.saturating_add(1);
                let ledger = body.trusted.interface;
                if let Some(number) = instantiated
                    && self.roles_of(number)?.needs_ledger
                {
                    let ledger = ledger.ok_or_else(|| user(broken!("the ledger is needed and was not imported")))?;
                    new.push((interface, ComponentExportKind::Instance, ledger));
                }
                self.found()?;
                self.body()?.sections.instances(|instances| _ = instances.instantiate(component, new))
            }
            ComponentInstance::FromExports(exports) => {
                let mut new = Vec::with_capacity(exports.len());
                for export in &exports {
                    let index = self.component_external_index(export.kind, export.index);
                    new.push((export.name.name, export.kind.into(), index));
                }
                self.found()?;
                self.body()?.sections.instances(|instances| _ = instances.export_items(new))
            }
        };
        self.body()?.maps.instances.push(new);
        Ok(())
    }

    fn core_instance(&mut self, instance: Instance<'a>) -> EmitResult {
        let new = match instance {
            Instance::Instantiate { module_index, args } => {
                let module = self.module_index(module_index);
                let args: Vec<_> = args.iter().map(|arg| (arg.name, self.instance_index(arg.index))).collect();
                self.found()?;
                self.body()?.sections.instantiate(module, &args)
            }
            Instance::FromExports(exports) => {
                let is_func = |export: &&wasmparser::Export<'_>| {
                    matches!(export.kind, ExternalKind::Func | ExternalKind::FuncExact)
                };
                self.named(exports.iter().filter(is_func).map(|export| export.index))?;
                let mut items: Vec<(&str, ExportKind, u32)> = Vec::with_capacity(exports.len());
                for export in &exports {
                    let index = self.external_index(export.kind, export.index)?;
                    items.push((export.name, export.kind.into(), index));
                }
                self.body()?.sections.core_exports(&items)
            }
        };
        self.body()?.maps.core_instances.push(new);
        Ok(())
    }
}

/// Refuses a component that has become too long to be nested in another.
pub(super) fn takes(component: &ComponentFacts<'_>, bytes: usize) -> Result<(), RewriteError> {
    if bytes <= MAX_SECTION {
        return Ok(());
    }
    let reason = Reason::NoRoom(format!("it has {bytes} bytes, and there is room for {MAX_SECTION}"));
    Err(not_closed(Obstacle::of(&component.path, component.name, reason)))
}
