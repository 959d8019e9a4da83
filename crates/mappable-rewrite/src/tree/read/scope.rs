//! One component while it is being read: its index spaces, section by section.

use std::collections::HashMap;
use std::ops::Range;

use wasmparser::types::TypesRef;
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentName,
    ComponentOuterAliasKind, ComponentType, CompositeInnerType, ExternalKind, FuncType, Instance, KnownCustom, Payload,
};

use super::{ComponentFacts, Facts, FuncUser, InstanceUser, Lower, ModuleSource, lower};
use crate::error::{ImportError, ReadError, RewriteError, Site, broken};
use crate::path::ComponentPath;
use crate::tree::shape::Marks;

/// What is counted and named of a component that has begun and not ended.
pub(super) struct Scope<'a> {
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

/// How many items each index space has so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    canons: u32,
    core_funcs: u32,
    core_instances: u32,
    core_memories: u32,
    modules: u32,
    funcs: u32,
    instances: u32,
    components: u32,
}

impl Counts {
    /// The validator's counts, for comparison; it has none of canonical functions.
    fn of(types: TypesRef<'_>, canons: u32) -> Self {
        Counts {
            canons,
            core_funcs: types.function_count(),
            core_instances: types.core_instance_count(),
            core_memories: types.memory_count(),
            modules: types.module_count(),
            funcs: types.component_function_count(),
            instances: types.component_instance_count(),
            components: types.component_count(),
        }
    }

    /// Takes the next index of `kind`. None for kinds that are not counted.
    fn next(&mut self, kind: ComponentExternalKind) -> Option<u32> {
        let count = match kind {
            ComponentExternalKind::Module => &mut self.modules,
            ComponentExternalKind::Func => &mut self.funcs,
            ComponentExternalKind::Instance => &mut self.instances,
            ComponentExternalKind::Component => &mut self.components,
            ComponentExternalKind::Type | ComponentExternalKind::Value => return None,
        };
        Some(take(count))
    }
}

/// Counts one more, and gives its index.
fn take(count: &mut u32) -> u32 {
    let index = *count;
    // The validator bounds index spaces far below this.
    *count = count.saturating_add(1);
    index
}

impl<'a> Scope<'a> {
    /// The outermost component, of so many bytes.
    pub(super) fn root(end: usize) -> Self {
        Scope {
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
        Ok(Scope { component, root: false, path, ..Scope::root(range.end) })
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
                    self.canon(types, marks, facts, canon?)?;
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
                        use_func(facts, func, FuncUser::Destructor);
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
                            use_func(facts, export.index, FuncUser::Export(index));
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
        canon: CanonicalFunction,
    ) -> Result<(), RewriteError> {
        let index = take(&mut self.counts.canons);
        facts.canons += 1;
        for option in lower::options(&canon) {
            if let CanonicalOption::Realloc(func) | CanonicalOption::PostReturn(func) = *option {
                let ty = core_func_type(types, func)?;
                facts.called_back.entry(func).or_insert_with(|| ty.clone());
            }
            match *option {
                CanonicalOption::Realloc(func)
                | CanonicalOption::PostReturn(func)
                | CanonicalOption::Callback(func) => use_func(facts, func, FuncUser::Option),
                CanonicalOption::UTF8
                | CanonicalOption::UTF16
                | CanonicalOption::CompactUTF16
                | CanonicalOption::Memory(_)
                | CanonicalOption::Async
                | CanonicalOption::CoreType(_)
                | CanonicalOption::Gc => {}
            }
        }
        if let CanonicalFunction::Lift { core_func_index, .. } = canon {
            use_func(facts, core_func_index, FuncUser::Lift);
            take(&mut self.counts.funcs);
            return Ok(());
        }
        if let CanonicalFunction::ContextGet { slot, .. } | CanonicalFunction::ContextSet { slot, .. } = canon {
            facts.slots.insert(slot);
        }
        // All others define a core function.
        let core_func = take(&mut self.counts.core_funcs);
        if leaves(&canon) {
            facts.leaving.insert(core_func, core_func_type(types, core_func)?.clone());
        }
        if let CanonicalFunction::Lower { func_index, options } = &canon {
            let site = || Site {
                component: self.path.clone(),
                canon: index,
                core_func,
                function: self.func_names.get(func_index).cloned(),
            };
            if let Some((memory, ty)) = lower::check(types, marks, *func_index, core_func, options, site)? {
                facts.lowers.push(Lower {
                    canon: index,
                    func: core_func,
                    core_instances: self.counts.core_instances,
                    memory,
                    memory_type: ty.into(),
                    function: self.func_names.get(func_index).cloned(),
                });
            }
        }
        Ok(())
    }
}

/// Whether a canonical function that makes a core function leaves the component: all do but those that the canonical
/// ABI, and the engine, allow where leaving is forbidden. What is not known here leaves.
fn leaves(canon: &CanonicalFunction) -> bool {
    use CanonicalFunction as C;
    !matches!(
        canon,
        C::ContextGet { .. } | C::ContextSet { .. } | C::ResourceRep { .. } | C::BackpressureInc | C::BackpressureDec
    )
}

fn use_func(facts: &mut ComponentFacts<'_>, func: u32, user: FuncUser) {
    facts.func_users.entry(func).or_default().push(user);
}

/// The type of a core function.
fn core_func_type(types: TypesRef<'_>, func: u32) -> Result<&FuncType, RewriteError> {
    if func >= types.function_count() {
        return Err(broken!("a core function is named that does not exist"));
    }
    match types.get(types.core_function_at(func)).map(|ty| &ty.composite_type.inner) {
        Some(CompositeInnerType::Func(ty)) => Ok(ty),
        _ => Err(broken!("a core function without a type")),
    }
}
