//! Writes the rewritten component: `wasm-encoder`'s identity pass, with what the plan changes overridden.
//!
//! Overridden are: the indices of core functions, core instances and core modules; canonical sections, in which a
//! refresh goes right behind its lower; the root's imports; and the copying of core modules, which are taken byte
//! for byte (and must be: the hook for core functions serves components and modules alike).
//!
//! The input has been validated and read. What comes out is verified by others.

use wasm_encoder::reencode::{Reencode, ReencodeComponent, component_utils};
use wasm_encoder::{
    Alias, CanonicalFunctionSection, Component, ComponentAliasSection, ComponentExternName, ComponentImportSection,
    ComponentSectionId, ExportKind, InstanceSection, ModuleArg, NestedComponentSection, RawSection,
};
use wasmparser::{
    ComponentCanonicalSectionReader, ComponentImportSectionReader, CustomSectionReader, KnownCustom, Parser, Payload,
};

use crate::baseline::plan::{ComponentPlan, Placed, Plan};
use crate::core_modules::patch::Patched;
use crate::error::{RewriteError, broken};
use crate::gate::Renames;
use crate::refresh;
use crate::tree::binary::parser;
use crate::tree::encode::{EmitResult, refusal, user};

/// Writes what `plan` makes of a component, with these names for the root's imports.
pub(crate) fn emit(patched: &Patched<'_, '_>, plan: &Plan, renames: &Renames) -> Result<Vec<u8>, RewriteError> {
    let mut emitter = Emitter { plan, renames, begun: 0, levels: Vec::new() };
    let component = patched.bytes();
    let root = emitter.component(parser(), component, component).map_err(refusal)?;
    if emitter.begun != plan.0.len() {
        return Err(broken!("not each component was written"));
    }
    Ok(root.finish())
}

struct Emitter<'p> {
    plan: &'p Plan,
    renames: &'p Renames,
    /// How many components have begun: the next one's place in the plan.
    begun: usize,
    /// The component being written and those around it, and the types being written in it: what a count of outer
    /// aliases counts.
    levels: Vec<Level<'p>>,
}

enum Level<'p> {
    Component {
        plan: &'p ComponentPlan,
        /// How many canonical functions have been written.
        canons: u32,
    },
    /// A component's, instance's or module's type, in which there are no core functions, instances or modules.
    Type,
}

impl<'p> Emitter<'p> {
    fn component(&mut self, parser: Parser, data: &[u8], whole: &[u8]) -> EmitResult<Component> {
        let plan: &'p Plan = self.plan;
        let plan = plan.0.get(self.begun).ok_or_else(|| user(broken!("a component without a plan")))?;
        self.begun += 1;
        self.levels.push(Level::Component { plan, canons: 0 });

        let mut component = Component::new();
        if !plan.is_identity() {
            component.section(&RawSection { id: ComponentSectionId::CoreModule.into(), data: refresh::module() });
        }
        component_utils::parse_component(self, &mut component, parser, data, whole)?;
        self.levels.pop();
        Ok(component)
    }

    /// The plan of the component being written, unless a type is being written.
    fn current(&self) -> Option<&'p ComponentPlan> {
        self.outer(0)
    }

    fn outer(&self, count: u32) -> Option<&'p ComponentPlan> {
        match self.levels.iter().nth_back(usize::try_from(count).ok()?)? {
            Level::Component { plan, .. } => Some(plan),
            Level::Type => None,
        }
    }

    /// The refresh that goes behind the canonical function just written, if any.
    fn count_canon(&mut self) -> Option<Placed> {
        match self.levels.last_mut()? {
            Level::Component { plan, canons } => {
                let placed = plan.refresh_of(*canons);
                *canons = canons.saturating_add(1);
                placed
            }
            Level::Type => None,
        }
    }

    fn is_root(&self) -> bool {
        self.levels.len() == 1
    }

    fn canonical_section(
        &mut self,
        component: &mut Component,
        section: ComponentCanonicalSectionReader<'_>,
    ) -> EmitResult {
        let mut canons = CanonicalFunctionSection::new();
        for canon in section {
            self.parse_component_canonical(&mut canons, canon?)?;
            if let Some(placed) = self.count_canon() {
                component.section(&std::mem::take(&mut canons));
                put_refresh(component, placed);
            }
        }
        if !canons.is_empty() {
            component.section(&canons);
        }
        Ok(())
    }
}

/// Instantiates the refresh and aliases what it exports.
fn put_refresh(component: &mut Component, placed: Placed) {
    let mut instances = InstanceSection::new();
    instances.export_items([
        (refresh::LOWERED, ExportKind::Func, placed.lowered),
        (refresh::MEMORY, ExportKind::Memory, placed.memory),
    ]);
    instances.instantiate(ComponentPlan::REFRESH_MODULE, [(refresh::ARGUMENT, ModuleArg::Instance(placed.argument))]);
    component.section(&instances);

    let mut aliases = ComponentAliasSection::new();
    aliases.alias(Alias::CoreInstanceExport {
        instance: placed.refresh,
        kind: ExportKind::Func,
        name: refresh::REFRESHED,
    });
    component.section(&aliases);
}

impl Reencode for Emitter<'_> {
    type Error = RewriteError;

    /// Maps core functions of a component. No core module is entered.
    fn function_index(&mut self, old: u32) -> EmitResult<u32> {
        match self.current() {
            Some(plan) => Ok(plan.core_func(old)),
            None => Err(user(broken!("a core function is named within a type"))),
        }
    }
}

impl ReencodeComponent for Emitter<'_> {
    // These hooks can't fail. Where there is no plan the index stays, and the output is not valid or not verified.
    fn instance_index(&mut self, old: u32) -> u32 {
        self.current().map_or(old, |plan| plan.core_instance(old))
    }

    fn module_index(&mut self, old: u32) -> u32 {
        self.current().map_or(old, |plan| plan.module(old))
    }

    fn outer_module_index(&mut self, count: u32, old: u32) -> u32 {
        self.outer(count).map_or(old, |plan| plan.module(old))
    }

    fn push_depth(&mut self) {
        self.levels.push(Level::Type);
    }

    fn pop_depth(&mut self) {
        self.levels.pop();
    }

    fn parse_component_submodule(&mut self, component: &mut Component, _: Parser, module: &[u8]) -> EmitResult {
        component.section(&RawSection { id: ComponentSectionId::CoreModule.into(), data: module });
        Ok(())
    }

    fn parse_component_subcomponent(
        &mut self,
        component: &mut Component,
        parser: Parser,
        data: &[u8],
        whole: &[u8],
    ) -> EmitResult {
        let nested = self.component(parser, data, whole)?;
        component.section(&NestedComponentSection(&nested));
        Ok(())
    }

    fn parse_component_payload(&mut self, component: &mut Component, payload: Payload<'_>, whole: &[u8]) -> EmitResult {
        match payload {
            Payload::ComponentCanonicalSection(section) => self.canonical_section(component, section),
            other => component_utils::parse_component_payload(self, component, other, whole),
        }
    }

    fn parse_component_import_section(
        &mut self,
        imports: &mut ComponentImportSection,
        section: ComponentImportSectionReader<'_>,
    ) -> EmitResult {
        for import in section {
            let import = import?;
            let mut name = ComponentExternName::from(import.name);
            if self.is_root()
                && let Some(renamed) = self.renames.of(import.name.name)
            {
                name.name = renamed.into();
            }
            imports.import(name, self.component_type_ref(import.ty)?);
        }
        Ok(())
    }

    fn parse_component_custom_section(
        &mut self,
        component: &mut Component,
        section: CustomSectionReader<'_>,
    ) -> EmitResult {
        match section.as_known() {
            // Nobody has validated these. One that can't be read is dropped: its indices may be wrong by now.
            KnownCustom::ComponentName(names) => {
                if let Ok(names) = self.custom_component_name_section(names) {
                    component.section(&names);
                }
            }
            _ => {
                component.section(&self.custom_section(section)?);
            }
        }
        Ok(())
    }
}
