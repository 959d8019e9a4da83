//! Finds out from facts alone whether each marked lower is behind a refresh. Nothing of the plan or the emitter is used.
//!
//! A marked lower is *guarded* when
//! - its core function is used exactly once in its component: as an export of one core instance,
//! - which exports nothing but it and the very memory that the lower names, as a refresh imports them,
//! - and which is used exactly once: as the only argument of an instantiation
//! - of a module, defined in this component, whose bytes are the refresh's.
//!
//! A lower that fails this is not guarded, even if a refresh of another form follows it. One more refresh does no harm.

use wasmparser::{Export, ExternalKind, Instance};

use crate::error::{Bug, RewriteError, Site, Unguarded, broken};
use crate::refresh;
use crate::tree::read::{self, Bodies, ComponentFacts, Facts, FuncUser, InstanceUser, Lower};

/// The core instance that is a lower's refresh, or why it has none.
pub(crate) type FoundRefresh = Result<u32, Unguarded>;

/// What is found for each marked lower, for each component, in the order of the facts.
pub(crate) fn refreshes(facts: &Facts<'_>) -> Vec<Vec<FoundRefresh>> {
    facts
        .components
        .iter()
        .map(|component| {
            let find = |lower| find(component, lower);
            component.lowers.iter().map(find).collect()
        })
        .collect()
}

/// Refuses a component in which a marked lower is not guarded.
pub(crate) fn verify(bytes: &[u8], bodies: Bodies) -> Result<(), RewriteError> {
    let facts = read::read(bytes, bodies)?;
    let found = refreshes(&facts);
    for (component, found) in facts.components.iter().zip(&found) {
        for (lower, found) in component.lowers.iter().zip(found) {
            if let Err(reason) = *found {
                return Err(Bug::Unguarded {
                    site: Site {
                        component: component.path.clone(),
                        canon: lower.canon,
                        core_func: lower.func,
                        function: lower.function.clone(),
                    },
                    reason,
                }
                .into());
            }
        }
    }
    // That no lower was lost is worth a look too: the zips above are silent.
    let lowers = facts.components.iter().map(|c| c.lowers.len());
    if !lowers.eq(found.iter().map(Vec::len)) {
        return Err(broken!("not each marked lower was verified"));
    }
    Ok(())
}

fn find(component: &ComponentFacts<'_>, lower: &Lower) -> FoundRefresh {
    let argument = match users(&component.func_users, lower.func) {
        [FuncUser::Export(instance)] => *instance,
        [_] => return Err(Unguarded::NotExported),
        several => return Err(Unguarded::Uses(several.len())),
    };
    match core_instance(component, argument) {
        Some(Instance::FromExports(exports)) if is_argument(exports, lower) => {}
        _ => return Err(Unguarded::Exports),
    }
    let refresh = match users(&component.instance_users, argument) {
        [InstanceUser::Argument(instance)] => *instance,
        [InstanceUser::Alias] => return Err(Unguarded::Aliased),
        several => return Err(Unguarded::InstanceUses(several.len())),
    };
    let is_refresh = |index| {
        let modules = &component.modules;
        let found = modules.iter().find(|module| module.index == index);
        found.is_some_and(|module| module.refresh)
    };
    match core_instance(component, refresh) {
        Some(Instance::Instantiate { module_index, args })
            if is_refresh(*module_index)
                && matches!(&args[..], [arg] if arg.name == refresh::ARGUMENT && arg.index == argument) =>
        {
            Ok(refresh)
        }
        _ => Err(Unguarded::OtherModule),
    }
}

/// Whether these are the exports that a refresh of `lower` imports, and no others.
fn is_argument(exports: &[Export<'_>], lower: &Lower) -> bool {
    let [func, memory] = exports else {
        return false;
    };
    (func.name, func.kind, func.index) == (refresh::LOWERED, ExternalKind::Func, lower.func)
        && (memory.name, memory.kind, memory.index) == (refresh::MEMORY, ExternalKind::Memory, lower.memory)
}

fn core_instance<'f, 'a>(component: &'f ComponentFacts<'a>, index: u32) -> Option<&'f Instance<'a>> {
    component.core_instances.get(usize::try_from(index).ok()?)
}

fn users<T>(users: &std::collections::HashMap<u32, Vec<T>>, index: u32) -> &[T] {
    users.get(&index).map_or(&[], Vec::as_slice)
}
