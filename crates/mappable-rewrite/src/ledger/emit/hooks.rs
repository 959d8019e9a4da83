//! Indices within what wasm-encoder's identity pass writes: canonical options, types that are copied, names.
//!
//! Hooks that can't fail note what was lost; whoever made the pass asks [`Emitter::found`].

use std::collections::BTreeMap;

use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent, component_utils};
use wasm_encoder::{CanonicalOption as NewOption, ComponentNameSection, NameMap};
use wasmparser::{CanonicalOption, ComponentName};

use super::bundles::WAITS;
use super::scope::{Body, ComponentBody, Maps, Scope, mapped};
use super::{EmitResult, Emitter, user};
use crate::error::{RewriteError, broken};

impl<'a> Emitter<'a> {
    fn outer(&self, count: u32) -> Option<&Scope<'a>> {
        self.scopes.iter().nth_back(usize::try_from(count).ok()?)
    }

    fn outer_body(&self, count: u32) -> Option<&ComponentBody<'a>> {
        match &self.outer(count)?.body {
            Body::Component(body) => Some(body),
            Body::Instance(_) | Body::Copied => None,
        }
    }

    /// The new index of an item of a component. In types there are none but types.
    fn index(&mut self, count: u32, old: u32, kind: &'static str, map: impl Fn(&Maps) -> &[u32]) -> u32 {
        let new = match self.outer(count).map(|scope| &scope.body) {
            Some(Body::Component(body)) => mapped(map(&body.maps), old),
            Some(Body::Instance(_) | Body::Copied) => Some(old),
            None => None,
        };
        new.unwrap_or_else(|| {
            self.lost.get_or_insert(kind);
            old
        })
    }

    fn core_index(&mut self, old: u32, kind: &'static str, map: impl Fn(&Maps) -> &[u32]) -> EmitResult<u32> {
        let new = self.outer_body(0).and_then(|body| mapped(map(&body.maps), old));
        new.ok_or_else(|| user(broken!("a {kind} is named that was not written")))
    }

    fn type_index_of(&mut self, count: u32, old: u32) -> u32 {
        let new = match self.outer(count) {
            Some(Scope { body: Body::Copied, .. }) => Some(old),
            Some(scope) => usize::try_from(old).ok().and_then(|old| scope.types.get(old)).map(|ty| ty.original),
            None => None,
        };
        new.unwrap_or_else(|| {
            self.lost.get_or_insert("type");
            old
        })
    }
}

impl Reencode for Emitter<'_> {
    type Error = RewriteError;

    fn function_index(&mut self, old: u32) -> EmitResult<u32> {
        let new = self.core_index(old, "core function", |maps| &maps.core_funcs)?;
        if new == WAITS { Err(user(broken!("a wrapper is named before it was put in"))) } else { Ok(new) }
    }

    fn memory_index(&mut self, old: u32) -> EmitResult<u32> {
        self.core_index(old, "core memory", |maps| &maps.core_memories)
    }

    fn global_index(&mut self, old: u32) -> EmitResult<u32> {
        self.core_index(old, "core global", |maps| &maps.core_globals)
    }
}

impl ReencodeComponent for Emitter<'_> {
    fn component_type_index(&mut self, old: u32) -> u32 {
        self.type_index_of(0, old)
    }

    fn outer_component_type_index(&mut self, count: u32, old: u32) -> u32 {
        self.type_index_of(count, old)
    }

    fn component_instance_index(&mut self, old: u32) -> u32 {
        self.index(0, old, "instance", |maps| &maps.instances)
    }

    fn component_func_index(&mut self, old: u32) -> u32 {
        self.index(0, old, "function", |maps| &maps.funcs)
    }

    fn component_index(&mut self, old: u32) -> u32 {
        self.index(0, old, "component", |maps| &maps.components)
    }

    fn outer_component_index(&mut self, count: u32, old: u32) -> u32 {
        self.index(count, old, "component", |maps| &maps.components)
    }

    fn module_index(&mut self, old: u32) -> u32 {
        self.index(0, old, "core module", |maps| &maps.modules)
    }

    fn outer_module_index(&mut self, count: u32, old: u32) -> u32 {
        self.index(count, old, "core module", |maps| &maps.modules)
    }

    fn instance_index(&mut self, old: u32) -> u32 {
        self.index(0, old, "core instance", |maps| &maps.core_instances)
    }

    // Types that are gone into by the pass: those that are copied.
    fn push_depth(&mut self) {
        self.scopes.push(Scope::new(Body::Copied));
    }

    fn pop_depth(&mut self) {
        self.scopes.pop();
    }

    fn canonical_option(&mut self, option: CanonicalOption) -> Result<NewOption, Error<RewriteError>> {
        let guard = match option {
            CanonicalOption::Realloc(func) | CanonicalOption::PostReturn(func) => {
                self.outer_body(0).and_then(|body| body.maps.guards.get(&func).copied())
            }
            _ => None,
        };
        match (option, guard) {
            (CanonicalOption::Realloc(_), Some(guard)) => Ok(NewOption::Realloc(guard)),
            (CanonicalOption::PostReturn(_), Some(guard)) => Ok(NewOption::PostReturn(guard)),
            _ => component_utils::canonical_option(self, option),
        }
    }

    fn parse_custom_component_name_subsection(
        &mut self,
        names: &mut ComponentNameSection,
        subsection: ComponentName<'_>,
    ) -> EmitResult {
        match subsection {
            ComponentName::CoreFuncs(map) => names.core_funcs(&in_order(map, |old| self.function_index(old))?),
            ComponentName::CoreMemories(map) => names.core_memories(&in_order(map, |old| self.memory_index(old))?),
            other => component_utils::parse_custom_component_name_subsection(self, names, other)?,
        }
        Ok(())
    }
}

/// Names by new indices, each once and the least first, as the format has them. Items that come together later, and one that
/// takes the place of several, have others than the old order.
fn in_order(names: wasmparser::NameMap<'_>, mut new: impl FnMut(u32) -> EmitResult<u32>) -> EmitResult<NameMap> {
    let mut known = BTreeMap::new();
    for naming in names {
        let naming = naming?;
        known.entry(new(naming.index)?).or_insert(naming.name);
    }
    let mut names = NameMap::new();
    known.into_iter().for_each(|(index, name)| names.append(index, name));
    Ok(names)
}
