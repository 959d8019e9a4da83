//! Traces memories: which ones marked lowers may name, which modules leave the tree, and what each import of a memory is
//! given.
//!
//! A memory of a component is what a core instance exports. That is followed to the module which the instance is of,
//! and from there through imports to the module that defines the memory. Where a module is not known, any memory that
//! it was given may be meant.

use std::collections::{HashMap, HashSet};

use wasmparser::{ExternalKind, Instance, InstantiationArg};

use super::{BOUNDED_PAGES, Bounded, ModuleId, can_be_bounded, is_ordinary};
use crate::error::{RewriteError, broken};
use crate::tree::read::{ComponentFacts, Facts, ModuleMemories, ModuleSource};

/// A memory of a core module, by its index there.
type MemoryId = (ModuleId, u32);

/// The memories of all modules that no marked lower may name and that can be bounded.
pub(super) fn unnamed(facts: &Facts<'_>) -> Result<Vec<MemoryId>, RewriteError> {
    let tree = Tree { facts };
    let mut named = Named::default();
    for (number, component) in facts.components.iter().enumerate() {
        for lower in &component.lowers {
            tree.name(number, lower.memory, &mut named)?;
        }
    }
    let given = tree.given()?;
    let mut unnamed = vec![];
    for (number, component) in facts.components.iter().enumerate() {
        for (place, (module, memories)) in component.modules.iter().zip(&component.module_memories).enumerate() {
            let id = (number, place);
            let indices = memories.imports.len() as u32..;
            let candidates = indices.zip(&module.memories).filter(|(_, ty)| can_be_bounded(ty));
            let candidates = candidates.map(|(index, _)| (id, index)).filter(|memory| !named.memories.contains(memory));
            unnamed.extend(candidates.filter(|_| !given.contains(&id)));
        }
    }
    Ok(unnamed)
}

/// The imports of memories that can be bounded, for every instance of their modules is given one that is.
pub(super) fn bounded_imports(facts: &Facts<'_>, bounded: &Bounded) -> Result<Vec<MemoryId>, RewriteError> {
    let tree = Tree { facts };
    let given = tree.given()?;
    let mut imports: HashMap<MemoryId, bool> = HashMap::new();
    for (number, component) in facts.components.iter().enumerate() {
        let mut known = HashMap::new();
        for instance in &component.core_instances {
            let Instance::Instantiate { module_index, args } = instance else { continue };
            let Some(module) = tree.module(number, *module_index)?.filter(|module| !given.contains(module)) else {
                continue;
            };
            for (index, (from, name, ty)) in (0..).zip(&tree.memories(module)?.imports) {
                let mut all_bounded = can_be_bounded(ty);
                for arg in args_named(args, from) {
                    all_bounded = all_bounded && tree.is_bounded(number, (arg, name), bounded, &mut known)?;
                }
                let all = imports.entry((module, index)).or_insert(true);
                *all &= all_bounded;
            }
        }
    }
    Ok(imports.into_iter().filter_map(|(memory, bounded)| bounded.then_some(memory)).collect())
}

/// A core instance's export.
type Export<'f> = (u32, &'f str);

/// What marked lowers may name.
#[derive(Default)]
struct Named<'f> {
    memories: HashSet<MemoryId>,
    /// What was followed, by component: an instance's export of that name, or all of them.
    seen: HashSet<(usize, u32, Option<&'f str>)>,
}

#[derive(Clone, Copy)]
struct Tree<'f, 'a> {
    facts: &'f Facts<'a>,
}

impl<'f, 'a> Tree<'f, 'a> {
    /// The modules that are given to other components or to the host: who instantiates them is not known.
    fn given(self) -> Result<HashSet<ModuleId>, RewriteError> {
        let mut given = HashSet::new();
        for (number, component) in self.facts.components.iter().enumerate() {
            for module in &component.given_modules {
                given.extend(self.module(number, *module)?);
            }
        }
        Ok(given)
    }

    /// Follows a memory of a component, and notes all that it may be.
    fn name(self, number: usize, memory: u32, named: &mut Named<'f>) -> Result<(), RewriteError> {
        let component = self.component(number)?;
        let (instance, name) = alias(component, memory)?;
        let mut todo = vec![(instance, Some(name))];
        while let Some((instance, name)) = todo.pop() {
            if !named.seen.insert((number, instance, name)) {
                continue;
            }
            let is_meant = |export: &str| name.is_none_or(|name| name == export);
            let (module, args) = match core_instance(component, instance)? {
                Instance::FromExports(exports) => {
                    let memories = exports.iter().filter(|export| export.kind == ExternalKind::Memory);
                    for export in memories.filter(|export| is_meant(export.name)) {
                        let (instance, name) = alias(component, export.index)?;
                        todo.push((instance, Some(name)));
                    }
                    continue;
                }
                Instance::Instantiate { module_index, args } => (*module_index, args),
            };
            let Some(module) = self.module(number, module)? else {
                todo.extend(args.iter().map(|arg| (arg.index, None)));
                continue;
            };
            let memories = self.memories(module)?;
            for (_, index) in memories.exports.iter().filter(|(export, _)| is_meant(export)) {
                match at(&memories.imports, *index) {
                    Some((from, name, _)) => todo.extend(args_named(args, from).map(|arg| (arg, Some(*name)))),
                    None => {
                        named.memories.insert((module, *index));
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a core instance's export is, for certain, a memory that is bounded, or was without it. A component has no
    /// more than a thousand core instances, and each is made of earlier ones: that is how deep this goes.
    fn is_bounded(
        self,
        number: usize,
        (instance, name): Export<'f>,
        bounded: &Bounded,
        known: &mut HashMap<Export<'f>, bool>,
    ) -> Result<bool, RewriteError> {
        if let Some(known) = known.get(&(instance, name)) {
            return Ok(*known);
        }
        let component = self.component(number)?;
        let next = match core_instance(component, instance)? {
            Instance::FromExports(exports) => {
                let export = exports.iter().find(|export| export.kind == ExternalKind::Memory && export.name == name);
                Err(export.map(|export| alias(component, export.index)).transpose()?)
            }
            Instance::Instantiate { module_index, args } => match self.module(number, *module_index)? {
                None => Ok(false),
                Some(module) => self.export(module, name, args, bounded)?,
            },
        };
        let bounded = match next {
            Ok(bounded) => bounded,
            Err(None) => return Err(broken!("a core instance does not export a memory that is used")),
            Err(Some(export)) => self.is_bounded(number, export, bounded, known)?,
        };
        known.insert((instance, name), bounded);
        Ok(bounded)
    }

    /// Whether a module's export is bounded, or the export that it was given in its place.
    fn export(
        self,
        module: ModuleId,
        name: &str,
        args: &'f [InstantiationArg<'a>],
        bounded: &Bounded,
    ) -> Result<Result<bool, Option<Export<'f>>>, RewriteError> {
        let memories = self.memories(module)?;
        let Some((_, index)) = memories.exports.iter().find(|(export, _)| *export == name) else {
            return Ok(Err(None));
        };
        if let Some((from, name, _)) = at(&memories.imports, *index) {
            return Ok(Err(args_named(args, from).next().map(|arg| (arg, *name))));
        }
        let defined = index.saturating_sub(memories.imports.len() as u32);
        let module_facts = self.component(module.0)?.modules.get(module.1);
        let ty = module_facts.and_then(|module| at(&module.memories, defined));
        let ty = ty.ok_or_else(|| broken!("a memory is exported that is not defined"))?;
        let small = is_ordinary(ty) && ty.maximum.is_some_and(|maximum| maximum <= BOUNDED_PAGES);
        Ok(Ok(small || bounded.has(module, *index)))
    }

    /// The core module that a component has as that index, where it is one of the tree's that can be followed.
    fn module(self, number: usize, index: u32) -> Result<Option<ModuleId>, RewriteError> {
        let (mut number, mut index) = (number, index);
        loop {
            let source = at(&self.component(number)?.module_sources, index);
            match *source.ok_or_else(|| broken!("a core module has no source"))? {
                ModuleSource::Here(place) => return Ok(Some((number, place))),
                ModuleSource::Elsewhere => return Ok(None),
                ModuleSource::Outer(count, outer) => {
                    for _ in 0..count {
                        let outer = self.component(number)?.outer;
                        number = outer.ok_or_else(|| broken!("an alias of what is outside of the tree"))?;
                    }
                    index = outer;
                }
            }
        }
    }

    fn memories(self, (number, place): ModuleId) -> Result<&'f ModuleMemories<'a>, RewriteError> {
        let memories = self.component(number)?.module_memories.get(place);
        memories.ok_or_else(|| broken!("a core module is missing"))
    }

    fn component(self, number: usize) -> Result<&'f ComponentFacts<'a>, RewriteError> {
        self.facts.components.get(number).ok_or_else(|| broken!("a component without facts"))
    }
}

/// The export that a component's memory is an alias of.
fn alias<'f>(component: &'f ComponentFacts<'_>, memory: u32) -> Result<Export<'f>, RewriteError> {
    at(&component.memories, memory).copied().ok_or_else(|| broken!("a core memory is missing"))
}

fn core_instance<'f, 'a>(component: &'f ComponentFacts<'a>, index: u32) -> Result<&'f Instance<'a>, RewriteError> {
    at(&component.core_instances, index).ok_or_else(|| broken!("a core instance is missing"))
}

/// The instances that are given by that name.
fn args_named<'f>(args: &'f [InstantiationArg<'_>], name: &'f str) -> impl Iterator<Item = u32> + 'f {
    args.iter().filter(move |arg| arg.name == name).map(|arg| arg.index)
}

fn at<T>(items: &[T], index: u32) -> Option<&T> {
    items.get(usize::try_from(index).ok()?)
}
