//! Many wrappers by one instance, in a component that has many ([`Plan::has_bundles`]). The format has room for 1,000
//! core instances in a component, and an engine takes its time to make one.
//!
//! - What a guest calls is wrapped when something first names it. Until then such wrappers wait, and then all that wait
//!   get one instance.
//! - What is lifted or called back is named at once, by the lift. So with the first that is needed come the wrappers and
//!   guards of all other exports of the core instances that are there.
//!
//! Nothing of that can be told from outside: of all trusted modules only the table and the window's start run anything
//! when they are instantiated. Those, the ledger's memory and the window are one for each component, and never in a
//! bundle. An instance of its own has the wrapper or guard of a function that a canonical function makes, and that is
//! lifted or called back: nothing is known of it ahead.
//!
//! [`Plan::has_bundles`]: super::generated::Plan::has_bundles

use std::collections::{BTreeMap, HashMap};

use wasm_encoder::ExportKind;
use wasmparser::{CanonicalFunction, CanonicalOption};

use super::generated::{Piece, Plan};
use super::scope::{ComponentBody, mapped};
use super::trusted::Wrapped;
use super::{EmitResult, Emitter, user};
use crate::error::broken;
use crate::tree::read::{ComponentFacts, Lift, options};

/// The new index of a core function whose wrapper waits.
pub(super) const WAITS: u32 = u32::MAX;

/// What a component has of this.
pub(super) struct Bundles<'a> {
    /// The wrappers that wait, and the old index of the function of each.
    waiting: Vec<(u32, Piece)>,
    /// What can be wrapped ahead, by the last of the core instances whose exports it needs.
    ahead: BTreeMap<u32, Vec<Ahead>>,
    /// What was: the wrappers of lifts, by the numbers of their canonical functions.
    lifts: HashMap<u32, u32>,
    /// What core instances export, by the old index of the instance: the new index, which all aliases have.
    exports: HashMap<(ExportKind, u32, &'a str), u32>,
}

enum Ahead {
    /// A function that is called back, by its old index.
    Guard(u32),
    Lift(Lift),
}

impl<'a> Bundles<'a> {
    pub(super) fn new(plan: &Plan, facts: &ComponentFacts<'a>) -> Self {
        let mut ahead: BTreeMap<u32, Vec<Ahead>> = BTreeMap::new();
        let instance_of = |func: u32| Some(facts.core_funcs.get(func as usize)?.as_ref()?.0);
        let mut guarded: Vec<u32> = facts.guarded().map(|(func, _)| func).collect();
        guarded.sort_unstable();
        for func in guarded {
            if let Some(instance) = instance_of(func) {
                ahead.entry(instance).or_default().push(Ahead::Guard(func));
            }
        }
        for lift in &facts.lifts {
            let memory = lift.memory.map(|memory| facts.memories.get(memory as usize).map(|(instance, _)| *instance));
            let needs = [Some(instance_of(lift.func)), lift.realloc.map(instance_of), memory];
            if plan.wrapper(lift.canon).is_some()
                && let Some(needs) = needs.into_iter().flatten().collect::<Option<Vec<u32>>>()
                && let Some(last) = needs.into_iter().max()
            {
                ahead.entry(last).or_default().push(Ahead::Lift(*lift));
            }
        }
        Bundles { waiting: Vec::new(), ahead, lifts: HashMap::new(), exports: HashMap::new() }
    }

    /// The wrapper that was made ahead for a lift.
    pub(super) fn lift(&self, canon: u32) -> Option<u32> {
        self.lifts.get(&canon).copied()
    }
}

impl<'a> ComponentBody<'a> {
    /// The next core function: a wrapper, now or when it is first named.
    pub(super) fn push_wrapper(&mut self, piece: Piece) {
        let func = match &mut self.bundles {
            None => self.wrap(&piece),
            Some(bundles) => {
                bundles.waiting.push((self.maps.core_funcs.len() as u32, piece));
                WAITS
            }
        };
        self.maps.core_funcs.push(func);
    }

    /// What a core instance exports, by its old index, if there are bundles and the instance is there.
    pub(super) fn exported(&mut self, kind: ExportKind, instance: u32, name: &'a str) -> Option<u32> {
        let bundles = self.bundles.as_mut()?;
        if let Some(index) = bundles.exports.get(&(kind, instance, name)) {
            return Some(*index);
        }
        let new = mapped(&self.maps.core_instances, instance)?;
        let index = self.sections.core_export(new, kind, name);
        bundles.exports.insert((kind, instance, name), index);
        Some(index)
    }
}

impl<'a> Emitter<'a> {
    /// Wraps what waits, if one of these core functions does.
    pub(super) fn named(&mut self, funcs: impl IntoIterator<Item = u32>) -> EmitResult {
        let core_funcs = &self.body()?.maps.core_funcs;
        if funcs.into_iter().any(|func| mapped(core_funcs, func) == Some(WAITS)) { self.wrap_waiting() } else { Ok(()) }
    }

    /// The same, of the core functions that a canonical function names.
    pub(super) fn named_by(&mut self, canon: &CanonicalFunction) -> EmitResult {
        let lifted = match *canon {
            CanonicalFunction::Lift { core_func_index, .. } => Some(core_func_index),
            _ => None,
        };
        let options = options(canon).iter().filter_map(|option| match *option {
            CanonicalOption::Realloc(func) | CanonicalOption::PostReturn(func) | CanonicalOption::Callback(func) => {
                Some(func)
            }
            _ => None,
        });
        self.named(options.chain(lifted))
    }

    pub(super) fn wrap_waiting(&mut self) -> EmitResult {
        let Some(bundles) = &mut self.body()?.bundles else { return Ok(()) };
        let (old, pieces): (Vec<u32>, Vec<Piece>) = std::mem::take(&mut bundles.waiting).into_iter().unzip();
        let funcs = self.bundle(&pieces)?;
        let core_funcs = &mut self.body()?.maps.core_funcs;
        for (old, func) in old.into_iter().zip(funcs) {
            *core_funcs.get_mut(old as usize).ok_or_else(|| user(broken!("a wrapper is of no core function")))? = func;
        }
        Ok(())
    }

    /// Wraps what can be wrapped ahead: guards first, since wrappers call them.
    pub(super) fn wrap_ahead(&mut self) -> EmitResult {
        let body = self.body()?;
        let instances = body.maps.core_instances.len() as u32;
        let Some(bundles) = &mut body.bundles else { return Ok(()) };
        let later = bundles.ahead.split_off(&instances);
        let (mut guards, mut lifts) = (Vec::new(), Vec::new());
        for ahead in std::mem::replace(&mut bundles.ahead, later).into_values().flatten() {
            match ahead {
                Ahead::Guard(func) => guards.push(func),
                Ahead::Lift(lift) => lifts.push(lift),
            }
        }
        self.guard_ahead(&guards)?;
        self.wrap_lifts(&lifts)
    }

    fn guard_ahead(&mut self, guarded: &[u32]) -> EmitResult {
        let facts = self.component_facts()?;
        // Aliases of one export have one guard.
        let mut funcs: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let mut pieces = Vec::new();
        for &old in guarded {
            let (Some(Some((instance, name))), Some(ty)) =
                (facts.core_funcs.get(old as usize), facts.called_back.get(&old))
            else {
                continue;
            };
            let guard = self.generated.guard_of(ty, &facts.slots).map_err(user)?;
            let body = self.body()?;
            let Some(func) = body.exported(ExportKind::Func, *instance, name) else { continue };
            if !body.trusted.guards.contains_key(&func) && !funcs.contains_key(&func) {
                let wrapped = Wrapped { callee: Some(func), ..Wrapped::default() };
                pieces.push((func, body.piece(&guard, wrapped).map_err(user)?));
            }
            funcs.entry(func).or_default().push(old);
        }
        let (new, pieces): (Vec<u32>, Vec<Piece>) = pieces.into_iter().unzip();
        let wrapped = self.bundle(&pieces)?;
        let body = self.body()?;
        body.trusted.guards.extend(new.into_iter().zip(wrapped));
        for (func, old) in funcs {
            if let Some(guard) = body.trusted.guards.get(&func) {
                body.maps.guards.extend(old.into_iter().map(|old| (old, *guard)));
            }
        }
        Ok(())
    }

    fn wrap_lifts(&mut self, lifts: &[Lift]) -> EmitResult {
        let facts = self.component_facts()?;
        let mut pieces = Vec::new();
        for lift in lifts {
            let Some(made) = self.wrapper(lift.canon)? else { continue };
            let body = self.body()?;
            let exported = |body: &mut ComponentBody<'a>, func: u32| {
                let (instance, name) = facts.core_funcs.get(func as usize).copied().flatten()?;
                body.exported(ExportKind::Func, instance, name)
            };
            let callee = exported(body, lift.func);
            let memory = lift.memory.and_then(|memory| facts.memories.get(memory as usize));
            let memory = memory.and_then(|(instance, name)| body.exported(ExportKind::Memory, *instance, name));
            let realloc = lift.realloc.and_then(|realloc| {
                let guard = body.maps.guards.get(&realloc).copied();
                guard.or_else(|| exported(body, realloc))
            });
            let wrapped = Wrapped { callee, memory, realloc, engine: None };
            pieces.push((lift.canon, body.piece(&made, wrapped).map_err(user)?));
        }
        let (canons, pieces): (Vec<u32>, Vec<Piece>) = pieces.into_iter().unzip();
        let wrapped = self.bundle(&pieces)?;
        if let Some(bundles) = &mut self.body()?.bundles {
            bundles.lifts.extend(canons.into_iter().zip(wrapped));
        }
        Ok(())
    }

    /// Puts in several wrappers, by as few instances as can be. Gives what takes the place of their callees.
    fn bundle(&mut self, pieces: &[Piece]) -> EmitResult<Vec<u32>> {
        let mut funcs = Vec::with_capacity(pieces.len());
        while let Some(rest) = pieces.get(funcs.len()..).filter(|rest| !rest.is_empty()) {
            if let [piece] = rest {
                funcs.push(self.body()?.wrap(piece));
                break;
            }
            let bundle = self.generated.bundle(rest).map_err(user)?;
            funcs.extend(self.body()?.wrap_all(&bundle));
        }
        Ok(funcs)
    }
}
