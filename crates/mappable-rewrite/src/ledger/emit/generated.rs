//! The trusted modules of a tree: each is generated once, whoever needs it, and all are noted for the check.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use wasm_encoder::ValType;
use wasmparser::FuncType;

use crate::error::{RewriteError, broken};
use crate::ledger::analysis::{Analysis, CanonRole, ComponentRoles};
use crate::ledger::check::{self, Role};
use crate::ledger::interface::Builtin;
use crate::ledger::modules::{self, Crossing, Module, Need};
use crate::ledger::signature::{Kind, Signature};
use crate::tree::read::Facts;

/// A core function's parameters and results.
type FuncTypes = (Vec<ValType>, Vec<ValType>);

/// The modules that have been generated, for all components of a tree.
pub(super) struct Generated {
    wrappers: HashMap<Wrapper, Module>,
    /// By the context slots that they keep, too.
    guards: HashMap<Vec<u32>, HashMap<FuncTypes, Module>>,
    may_leave: HashMap<FuncTypes, Module>,
    /// Whether guards have a barrier for exceptions.
    throws: bool,
    /// All of them, for the check of what is written.
    all: check::Trusted,
}

/// A wrapper's module, by what decides its bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Wrapper {
    /// Whether its component has handles of the engine's.
    Builtin(Builtin, Signature, bool),
    Lower(Signature, bool),
    Lift(Signature, bool),
    Crossing(Crossing),
}

impl Wrapper {
    /// The wrapper that a role asks for, in a component that has such roles.
    pub(super) fn of(role: &CanonRole, roles: &ComponentRoles) -> Option<Wrapper> {
        match role {
            CanonRole::Untouched | CanonRole::Drop(_) => None,
            CanonRole::Builtin { builtin, signature } => {
                Some(Wrapper::Builtin(*builtin, signature.clone(), roles.crosses))
            }
            CanonRole::Lower { signature, lists } => Some(Wrapper::Lower(signature.clone(), *lists)),
            CanonRole::Lift { signature, lists } => Some(Wrapper::Lift(signature.clone(), *lists)),
            CanonRole::Crossing(crossing) => Some(Wrapper::Crossing(crossing.clone())),
        }
    }
}

impl Generated {
    /// `throws` says whether a core module of the tree may throw.
    pub(super) fn new(throws: bool) -> Result<Self, RewriteError> {
        let mut all = check::Trusted::new(Kind::ALL.map(modules::drop_name));
        for crossing in [false, true] {
            all.insert(Role::Table, None, &modules::table(crossing))?;
        }
        all.insert(Role::WindowMemory, None, &modules::window_memory())?;
        all.insert(Role::WindowStart, None, &modules::window_start())?;
        Ok(Generated { wrappers: HashMap::new(), guards: HashMap::new(), may_leave: HashMap::new(), throws, all })
    }

    /// All that may be in the output.
    pub(super) fn into_all(self) -> check::Trusted {
        self.all
    }

    /// The modules that more than one component will need, by the indices that they are to have in the root. Wasmtime
    /// compiles each module of a tree, and can't tell more than 255 apart.
    pub(super) fn shared(
        &mut self,
        analysis: &Analysis,
        facts: &Facts<'_>,
    ) -> Result<BTreeMap<Vec<u8>, u32>, RewriteError> {
        let mut users: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for (roles, facts) in analysis.components.iter().zip(&facts.components) {
            let mut needed: BTreeSet<Vec<u8>> = BTreeSet::new();
            for wrapper in roles.canons.iter().filter_map(|role| Wrapper::of(role, roles)) {
                let module = self.wrapper(wrapper)?;
                if module.needs.iter().any(|(_, need)| *need == Need::Window) {
                    needed.extend([modules::window_memory().bytes, modules::window_start().bytes]);
                }
                needed.insert(module.bytes.clone());
            }
            if roles.has_table() {
                needed.insert(modules::table(roles.crosses).bytes);
                for ty in facts.called_back.values() {
                    needed.insert(self.guard_of(ty, &facts.slots)?.bytes.clone());
                }
            }
            if self.calls_back(roles)? {
                for ty in facts.leaving.values() {
                    needed.insert(self.may_leave_of(ty)?.bytes.clone());
                }
            }
            needed.into_iter().for_each(|module| *users.entry(module).or_default() += 1);
        }
        let shared = users.into_iter().filter(|(_, users)| *users > 1);
        Ok(shared.map(|(module, _)| module).zip(0..).collect())
    }

    /// The guard around a core function of that type, in a component with such context slots: a `realloc` has its own.
    /// (A `post-return` has those of the function that has returned.)
    pub(super) fn guard_of(&mut self, ty: &FuncType, slots: &BTreeSet<u32>) -> Result<&Module, RewriteError> {
        let slots: Vec<u32> = slots.iter().copied().filter(|_| !ty.results().is_empty()).collect();
        let (all, throws) = (&mut self.all, self.throws);
        known(self.guards.entry(slots.clone()).or_default(), ty, |params, results| {
            let module = modules::guard(params, results, &slots, throws);
            all.insert(Role::Guard, None, &module)?;
            Ok(module)
        })
    }

    /// The may-leave check in front of one.
    pub(super) fn may_leave_of(&mut self, ty: &FuncType) -> Result<&Module, RewriteError> {
        let all = &mut self.all;
        known(&mut self.may_leave, ty, |params, results| {
            let module = modules::may_leave(params, results);
            all.insert(Role::MayLeave, None, &module)?;
            Ok(module)
        })
    }

    /// Whether a wrapper of the component calls `realloc`, unknown to the engine.
    pub(super) fn calls_back(&mut self, roles: &ComponentRoles) -> Result<bool, RewriteError> {
        for wrapper in roles.canons.iter().filter_map(|role| Wrapper::of(role, roles)) {
            if self.wrapper(wrapper)?.needs.iter().any(|(_, need)| *need == Need::Realloc) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Notes the ledger's memory of a component of that name.
    pub(super) fn ledger_memory(&mut self, name: &str) -> Result<(), RewriteError> {
        self.all.insert(Role::LedgerMemory, None, &modules::ledger_memory(name))
    }

    pub(super) fn wrapper(&mut self, wrapper: Wrapper) -> Result<&Module, RewriteError> {
        match self.wrappers.entry(wrapper) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(new) => {
                let (role, made_for, module) = match new.key() {
                    Wrapper::Builtin(builtin, signature, crossing) => {
                        (Role::Builtin(*builtin), None, modules::builtin(*builtin, signature, *crossing))
                    }
                    Wrapper::Lower(signature, lists) => {
                        (Role::Lower, Some((signature, *lists)), modules::lower(signature, *lists))
                    }
                    Wrapper::Lift(signature, lists) => {
                        (Role::Lift, Some((signature, *lists)), modules::lift(signature, *lists))
                    }
                    Wrapper::Crossing(crossing @ Crossing::Lift(_)) => {
                        (Role::CrossingBack, None, modules::crossing(crossing))
                    }
                    Wrapper::Crossing(crossing) => (Role::Crossing, None, modules::crossing(crossing)),
                };
                self.all.insert(role, made_for, &module)?;
                Ok(new.insert(module))
            }
        }
    }
}

/// The module for core functions of that type, made if there is none.
fn known<'m>(
    modules: &'m mut HashMap<FuncTypes, Module>,
    ty: &FuncType,
    make: impl FnOnce(&[ValType], &[ValType]) -> Result<Module, RewriteError>,
) -> Result<&'m Module, RewriteError> {
    let values =
        |types: &[wasmparser::ValType]| types.iter().map(|ty| ValType::try_from(*ty)).collect::<Result<Vec<_>, _>>();
    let (Ok(params), Ok(results)) = (values(ty.params()), values(ty.results())) else {
        return Err(broken!("a function that is called from without has types of its own"));
    };
    match modules.entry((params, results)) {
        Entry::Occupied(known) => Ok(known.into_mut()),
        Entry::Vacant(new) => {
            let module = make(&new.key().0, &new.key().1)?;
            Ok(new.insert(module))
        }
    }
}
