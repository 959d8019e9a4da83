//! A component being written: items one by one, in sections as they come, and how many there are of each kind.

use wasm_encoder::{
    Alias, CanonicalFunctionSection, Component, ComponentAliasSection, ComponentExportKind, ComponentExportSection,
    ComponentExternName, ComponentImportSection, ComponentInstanceSection, ComponentOuterAliasKind, ComponentSection,
    ComponentSectionId, ComponentTypeEncoder, ComponentTypeRef, ComponentTypeSection, CoreTypeSection, ExportKind,
    InstanceSection, ModuleArg, NestedComponentSection, RawSection,
};

/// How long a component that is nested in another, or a core module, may be at the most, in bytes: the format's validator
/// takes no more, and `wasm-encoder` panics where a section has four times that.
pub(super) const MAX_SECTION: usize = 1 << 30;

/// A component being written.
#[derive(Default)]
pub(super) struct Sections {
    done: Component,
    open: Open,
    counts: Counts,
}

/// The section that is not finished yet: the next item goes there if it is of its kind. All others are empty.
#[derive(Default)]
struct Open {
    kind: Kind,
    types: ComponentTypeSection,
    core_types: CoreTypeSection,
    imports: ComponentImportSection,
    exports: ComponentExportSection,
    aliases: ComponentAliasSection,
    canons: CanonicalFunctionSection,
    instances: ComponentInstanceSection,
    core_instances: InstanceSection,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    None,
    Types,
    CoreTypes,
    Imports,
    Exports,
    Aliases,
    Canons,
    Instances,
    CoreInstances,
}

/// How many items each index space has. Kinds that are never added to are not counted.
#[derive(Default)]
struct Counts {
    modules: u32,
    core_funcs: u32,
    core_memories: u32,
    core_globals: u32,
    core_instances: u32,
    types: u32,
    funcs: u32,
    instances: u32,
    components: u32,
    others: u32,
}

/// Counts one more, and gives its index.
fn take(count: &mut u32) -> u32 {
    let index = *count;
    *count = count.saturating_add(1);
    index
}

impl Sections {
    fn close(&mut self) {
        let open = std::mem::take(&mut self.open);
        match open.kind {
            Kind::None => {}
            Kind::Types => _ = self.done.section(&open.types),
            Kind::CoreTypes => _ = self.done.section(&open.core_types),
            Kind::Imports => _ = self.done.section(&open.imports),
            Kind::Exports => _ = self.done.section(&open.exports),
            Kind::Aliases => _ = self.done.section(&open.aliases),
            Kind::Canons => _ = self.done.section(&open.canons),
            Kind::Instances => _ = self.done.section(&open.instances),
            Kind::CoreInstances => _ = self.done.section(&open.core_instances),
        }
    }

    /// The open section, begun if one of another kind is open.
    fn open(&mut self, kind: Kind) -> &mut Open {
        if self.open.kind != kind {
            self.close();
            self.open.kind = kind;
        }
        &mut self.open
    }

    pub(super) fn finish(mut self) -> Component {
        self.close();
        self.done
    }

    /// A section that adds no items.
    pub(super) fn section(&mut self, section: &impl ComponentSection) {
        self.close();
        self.done.section(section);
    }

    pub(super) fn module(&mut self, data: &[u8]) -> u32 {
        self.section(&RawSection { id: ComponentSectionId::CoreModule.into(), data });
        take(&mut self.counts.modules)
    }

    pub(super) fn component(&mut self, nested: &Component) -> u32 {
        self.section(&NestedComponentSection(nested));
        take(&mut self.counts.components)
    }

    /// The encoder must be used before anything else is added.
    pub(super) fn ty(&mut self) -> (u32, ComponentTypeEncoder<'_>) {
        let index = take(&mut self.counts.types);
        (index, self.open(Kind::Types).types.ty())
    }

    /// The open section of core types, to be put back.
    pub(super) fn core_types(&mut self) -> &mut CoreTypeSection {
        &mut self.open(Kind::CoreTypes).core_types
    }

    pub(super) fn import(&mut self, name: ComponentExternName<'_>, ty: ComponentTypeRef) -> u32 {
        self.open(Kind::Imports).imports.import(name, ty);
        take(self.count_of(match ty {
            ComponentTypeRef::Module(_) => ComponentExportKind::Module,
            ComponentTypeRef::Func(_) => ComponentExportKind::Func,
            ComponentTypeRef::Value(_) => ComponentExportKind::Value,
            ComponentTypeRef::Type(_) => ComponentExportKind::Type,
            ComponentTypeRef::Instance(_) => ComponentExportKind::Instance,
            ComponentTypeRef::Component(_) => ComponentExportKind::Component,
        }))
    }

    pub(super) fn export(
        &mut self,
        name: ComponentExternName<'_>,
        kind: ComponentExportKind,
        index: u32,
        ty: Option<ComponentTypeRef>,
    ) -> u32 {
        self.open(Kind::Exports).exports.export(name, kind, index, ty);
        take(self.count_of(kind))
    }

    pub(super) fn alias(&mut self, alias: Alias<'_>) -> u32 {
        self.open(Kind::Aliases).aliases.alias(alias);
        let count = match alias {
            Alias::InstanceExport { kind, .. } => self.count_of(kind),
            Alias::CoreInstanceExport { kind, .. } => match kind {
                ExportKind::Func => &mut self.counts.core_funcs,
                ExportKind::Memory => &mut self.counts.core_memories,
                ExportKind::Global => &mut self.counts.core_globals,
                _ => &mut self.counts.others,
            },
            Alias::Outer { kind, .. } => match kind {
                ComponentOuterAliasKind::CoreModule => &mut self.counts.modules,
                ComponentOuterAliasKind::Type => &mut self.counts.types,
                ComponentOuterAliasKind::Component => &mut self.counts.components,
                ComponentOuterAliasKind::CoreType => &mut self.counts.others,
            },
        };
        take(count)
    }

    pub(super) fn instance_export(&mut self, instance: u32, kind: ComponentExportKind, name: &str) -> u32 {
        self.alias(Alias::InstanceExport { instance, kind, name })
    }

    pub(super) fn core_export(&mut self, instance: u32, kind: ExportKind, name: &str) -> u32 {
        self.alias(Alias::CoreInstanceExport { instance, kind, name })
    }

    /// A canonical function that defines a core function.
    pub(super) fn canon(&mut self, write: impl FnOnce(&mut CanonicalFunctionSection)) -> u32 {
        write(&mut self.open(Kind::Canons).canons);
        take(&mut self.counts.core_funcs)
    }

    /// The open section of canonical functions, to be given back by [`Self::put_canons`] before anything else is added.
    pub(super) fn take_canons(&mut self) -> CanonicalFunctionSection {
        std::mem::take(&mut self.open(Kind::Canons).canons)
    }

    /// The section that was taken, with one more that defines a core function.
    pub(super) fn put_canons(&mut self, canons: CanonicalFunctionSection) -> u32 {
        self.open(Kind::Canons).canons = canons;
        take(&mut self.counts.core_funcs)
    }

    /// A lift.
    pub(super) fn lift(&mut self, write: impl FnOnce(&mut CanonicalFunctionSection)) -> u32 {
        write(&mut self.open(Kind::Canons).canons);
        take(&mut self.counts.funcs)
    }

    pub(super) fn instantiate(&mut self, module: u32, args: &[(&str, u32)]) -> u32 {
        let args = args.iter().map(|&(name, instance)| (name, ModuleArg::Instance(instance)));
        self.open(Kind::CoreInstances).core_instances.instantiate(module, args.collect::<Vec<_>>());
        take(&mut self.counts.core_instances)
    }

    pub(super) fn core_exports(&mut self, items: &[(&str, ExportKind, u32)]) -> u32 {
        self.open(Kind::CoreInstances).core_instances.export_items(items.iter().copied());
        take(&mut self.counts.core_instances)
    }

    pub(super) fn instances(&mut self, write: impl FnOnce(&mut ComponentInstanceSection)) -> u32 {
        write(&mut self.open(Kind::Instances).instances);
        take(&mut self.counts.instances)
    }

    fn count_of(&mut self, kind: ComponentExportKind) -> &mut u32 {
        match kind {
            ComponentExportKind::Module => &mut self.counts.modules,
            ComponentExportKind::Func => &mut self.counts.funcs,
            ComponentExportKind::Type => &mut self.counts.types,
            ComponentExportKind::Instance => &mut self.counts.instances,
            ComponentExportKind::Component => &mut self.counts.components,
            ComponentExportKind::Value => &mut self.counts.others,
        }
    }
}
