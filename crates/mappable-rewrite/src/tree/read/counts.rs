//! The sizes of a component's index spaces, counted as items go by.

use wasmparser::ComponentExternalKind;
use wasmparser::types::TypesRef;

/// How many items each index space has so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) canons: u32,
    pub(super) core_funcs: u32,
    pub(super) core_instances: u32,
    pub(super) core_memories: u32,
    pub(super) modules: u32,
    pub(super) funcs: u32,
    pub(super) instances: u32,
    pub(super) components: u32,
}

impl Counts {
    /// The validator's counts, for comparison; it has none of canonical functions.
    pub(super) fn of(types: TypesRef<'_>, canons: u32) -> Self {
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
    pub(super) fn next(&mut self, kind: ComponentExternalKind) -> Option<u32> {
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
pub(super) fn take(count: &mut u32) -> u32 {
    let index = *count;
    // The validator bounds index spaces far below this.
    *count = count.saturating_add(1);
    index
}
