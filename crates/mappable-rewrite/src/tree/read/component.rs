//! One component while it is being read: its index spaces, section by section.

use std::collections::HashMap;
use std::ops::Range;

use wasmparser::types::TypesRef;
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentName,
    ComponentOuterAliasKind, ComponentType, ExternalKind, Instance, KnownCustom, Payload,
};

use super::counts::{Counts, take};
use super::facts::{ComponentFacts, Facts, FuncUser, InstanceUser, Lower, ModuleSource};
use super::{canon, lower};
use crate::error::{ImportError, ReadError, RewriteError, Site, broken};
use crate::path::ComponentPath;
use crate::tree::shape::Marks;

/// What is counted and named of a component that has begun and not ended.
pub(super) struct ComponentReader<'a> {
    /// Its place in [`Facts::components`].
    pub(super) component: usize,
    /// Whether it is the outermost.
    root: bool,
    path: ComponentPath,
    /// Where it ends in the file.
    end: usize,
    counts: Counts,
    /// What component functions were imported, aliased or exported as.
    func_names: HashMap<u32, String>,
    /// What component instances were imported as.
    instance_names: HashMap<u32, &'a str>,
    /// Index and bytes of the last core module.
    last_module: Option<(u32, Range<usize>)>,
    /// Index and bytes of the last nested component.
    last_component: Option<(u32, Range<usize>)>,
}

impl<'a> ComponentReader<'a> {
    /// The outermost component, of so many bytes.
    pub(super) fn root(end: usize) -> Self {
        ComponentReader {
            component: 0,
            root: true,
            path: ComponentPath::default(),
            end,
            counts: Counts::default(),
            func_names: HashMap::new(),
            instance_names: HashMap::new(),
            last_module: None,
            last_component: None,
        }
    }

    /// The nested component that begins, which will be at `component` in the facts.
    pub(super) fn nested(&self, component: usize) -> Result<Self, RewriteError> {
        let (index, range) =
            self.last_component.clone().ok_or_else(|| broken!("a component begins without a section that holds it"))?;
        let mut path = self.path.clone();
        path.0.push(index);
        Ok(ComponentReader { component, root: false, path, ..ComponentReader::root(range.end) })
    }

    pub(super) fn path(&self) -> &ComponentPath {
        &self.path
    }

    /// Index and bytes of the core module that begins.
    pub(super) fn nested_module(&self) -> Result<(u32, Range<usize>), RewriteError> {
        self.last_module.clone().ok_or_else(|| broken!("a core module begins without a section that holds it"))
    }

    /// Takes in one section, which the validator has taken in already.
    pub(super) fn payload(
        &mut self,
        types: TypesRef<'_>,
        marks: &mut Marks,
        facts: &mut Facts<'a>,
        payload: Payload<'a>,
    ) -> Result<(), RewriteError> {
        match payload {
            // The validator counts these when they end.
            Payload::ModuleSection { unchecked_range, .. } => {
                self.check_end(&unchecked_range)?;
                self.last_module = Some((take(&mut self.counts.modules), unchecked_range));
                let component = self.facts_of(facts)?;
                // It is noted when it has ended.
                component.module_sources.push(ModuleSource::Here(component.modules.len()));
                return Ok(());
            }
            Payload::ComponentSection { unchecked_range, .. } => {
                self.check_end(&unchecked_range)?;
                self.last_component = Some((take(&mut self.counts.components), unchecked_range));
                return Ok(());
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import?;
                    self.import(facts, import.name.name, import.ty.kind())?;
                }
            }
            payload => {
                let component = self.facts_of(facts)?;
                self.section(types, marks, component, payload)?;
            }
        }
        let validators = Counts::of(types, self.counts.canons);
        if self.counts != validators {
            return Err(broken!("index spaces of {} are {:?}, the validator's {validators:?}", self.path, self.counts));
        }
        Ok(())
    }

    /// What is noted of this component.
    fn facts_of<'f>(&self, facts: &'f mut Facts<'a>) -> Result<&'f mut ComponentFacts<'a>, RewriteError> {
        facts.components.get_mut(self.component).ok_or_else(|| broken!("a component without facts"))
    }

    /// The parser checks this of all sections but those that hold modules and components: these it takes for ended
    /// where the file ends.
    fn check_end(&self, range: &Range<usize>) -> Result<(), RewriteError> {
        if range.end > self.end {
            return Err(ReadError::Truncated { component: self.path.clone(), offset: range.start }.into());
        }
        Ok(())
    }

    fn section(
        &mut self,
        types: TypesRef<'_>,
        marks: &mut Marks,
        facts: &mut ComponentFacts<'a>,
        payload: Payload<'a>,
    ) -> Result<(), RewriteError> {
        match payload {
            Payload::ComponentCanonicalSection(section) => {
                for canon in section {
                    self.canon(types, marks, facts, &canon?)?;
                }
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    self.core_instance(facts, instance?);
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    self.alias(facts, alias?);
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    self.component_instance(facts, instance?);
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind == ComponentExternalKind::Module {
                        facts.given_modules.push(export.index);
                        facts.module_sources.push(ModuleSource::Elsewhere);
                    }
                    if let Some(index) = self.counts.next(export.kind)
                        && export.kind == ComponentExternalKind::Func
                        && let Some(name) = self.func_names.get(&export.index)
                    {
                        self.func_names.insert(index, name.clone());
                    }
                }
            }
            Payload::ComponentTypeSection(section) => {
                for ty in section {
                    if let ComponentType::Resource { dtor: Some(func), .. } = ty? {
                        facts.use_func(func, FuncUser::Destructor);
                    }
                }
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::ComponentName(names) = section.as_known() {
                    for name in names.into_iter().flatten() {
                        if let ComponentName::Component { name, .. } = name {
                            facts.name = Some(name);
                        }
                    }
                }
            }
            // Neither names core functions, core instances or core modules.
            Payload::CoreTypeSection(_) | Payload::ComponentStartSection { .. } => {}
            // Payloads are `non_exhaustive`. Whatever a new kind may name, it was not followed.
            other => {
                let offset = other.as_section().map_or(0, |(_, range)| range.start);
                return Err(ReadError::UnknownSection { component: self.path.clone(), offset }.into());
            }
        }
        Ok(())
    }

    fn import(
        &mut self,
        facts: &mut Facts<'a>,
        name: &'a str,
        kind: ComponentExternalKind,
    ) -> Result<(), RewriteError> {
        if self.root {
            facts.root_imports.push(name);
            if kind == ComponentExternalKind::Component {
                return Err(ImportError::Component { import: name.to_owned() }.into());
            }
        }
        match (kind, self.counts.next(kind)) {
            (ComponentExternalKind::Func, Some(index)) => {
                self.func_names.insert(index, name.to_owned());
            }
            (ComponentExternalKind::Instance, Some(index)) => {
                self.instance_names.insert(index, name);
            }
            (ComponentExternalKind::Module, _) => {
                self.facts_of(facts)?.module_sources.push(ModuleSource::Elsewhere);
            }
            _ => {}
        }
        Ok(())
    }

    fn alias(&mut self, facts: &mut ComponentFacts<'a>, alias: ComponentAlias<'a>) {
        match alias {
            ComponentAlias::InstanceExport { kind, instance_index, name } => {
                if kind == ComponentExternalKind::Module {
                    facts.module_sources.push(ModuleSource::Elsewhere);
                }
                if let Some(index) = self.counts.next(kind)
                    && kind == ComponentExternalKind::Func
                {
                    let name = match self.instance_names.get(&instance_index) {
                        Some(instance) => format!("{instance}#{name}"),
                        None => name.to_owned(),
                    };
                    self.func_names.insert(index, name);
                }
            }
            ComponentAlias::CoreInstanceExport { kind, instance_index, name } => {
                let users = facts.instance_users.entry(instance_index).or_default();
                users.push(InstanceUser::Alias);
                match kind {
                    ExternalKind::Func | ExternalKind::FuncExact => {
                        take(&mut self.counts.core_funcs);
                        facts.core_funcs.push(Some((instance_index, name)));
                    }
                    ExternalKind::Memory => {
                        take(&mut self.counts.core_memories);
                        facts.memories.push((instance_index, name));
                    }
                    ExternalKind::Table | ExternalKind::Global | ExternalKind::Tag => {}
                }
            }
            ComponentAlias::Outer { kind, count, index } => match kind {
                ComponentOuterAliasKind::CoreModule => {
                    take(&mut self.counts.modules);
                    facts.module_sources.push(ModuleSource::Outer(count, index));
                }
                ComponentOuterAliasKind::Component => {
                    take(&mut self.counts.components);
                }
                ComponentOuterAliasKind::CoreType | ComponentOuterAliasKind::Type => {}
            },
        }
    }

    fn component_instance(&mut self, facts: &mut ComponentFacts<'a>, instance: ComponentInstance<'a>) {
        let is_module = |kind| kind == ComponentExternalKind::Module;
        match instance {
            ComponentInstance::Instantiate { args, .. } => {
                let given = args.iter().filter(|arg| is_module(arg.kind));
                facts.given_modules.extend(given.map(|arg| arg.index));
            }
            ComponentInstance::FromExports(exports) => {
                let given = exports.iter().filter(|export| is_module(export.kind));
                facts.given_modules.extend(given.map(|export| export.index));
            }
        }
        take(&mut self.counts.instances);
    }

    fn core_instance(&mut self, facts: &mut ComponentFacts<'a>, instance: Instance<'a>) {
        let index = take(&mut self.counts.core_instances);
        match &instance {
            Instance::Instantiate { args, .. } => {
                for arg in args {
                    let wasmparser::InstantiationArgKind::Instance = arg.kind;
                    let users = facts.instance_users.entry(arg.index).or_default();
                    users.push(InstanceUser::Argument(index));
                }
            }
            Instance::FromExports(exports) => {
                for export in exports {
                    match export.kind {
                        ExternalKind::Func | ExternalKind::FuncExact => {
                            facts.use_func(export.index, FuncUser::Export(index));
                        }
                        ExternalKind::Table | ExternalKind::Memory | ExternalKind::Global | ExternalKind::Tag => {}
                    }
                }
            }
        }
        facts.core_instances.push(instance);
    }

    fn canon(
        &mut self,
        types: TypesRef<'_>,
        marks: &mut Marks,
        facts: &mut ComponentFacts<'a>,
        canon: &CanonicalFunction,
    ) -> Result<(), RewriteError> {
        let index = take(&mut self.counts.canons);
        facts.canons += 1;
        canon::note_used(types, facts, canon)?;
        if let CanonicalFunction::Lift { core_func_index, options, .. } = canon {
            take(&mut self.counts.funcs);
            facts.lifts.push(canon::lift(index, *core_func_index, options));
            return Ok(());
        }
        // All others define a core function.
        let core_func = take(&mut self.counts.core_funcs);
        facts.core_funcs.push(None);
        canon::note_defined(types, facts, canon, core_func)?;
        if let CanonicalFunction::Lower { func_index, options } = canon {
            let function = || self.func_names.get(func_index).cloned();
            let site = || Site { component: self.path.clone(), canon: index, core_func, function: function() };
            if let Some((memory, ty)) = lower::check(types, marks, *func_index, core_func, options, site)? {
                facts.lowers.push(Lower {
                    canon: index,
                    func: core_func,
                    core_instances: self.counts.core_instances,
                    memory,
                    memory_type: ty.into(),
                    function: function(),
                });
            }
        }
        Ok(())
    }
}
