//! The trusted modules of a tree: each is generated once, whoever needs it, and all are noted for the check.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use wasm_encoder::ValType;
use wasmparser::FuncType;

use crate::error::{RewriteError, broken};
use crate::ledger::analysis::{Analysis, CanonRole, ComponentRoles};
use crate::ledger::check::{self, MadeFor, Role};
use crate::ledger::interface::Builtin;
use crate::ledger::modules::{self, Bundle, Bundler, Crossing, Item, Module, Need};
use crate::ledger::signature::{Kind, Signature};
use crate::tree::read::{ComponentFacts, Facts};

/// A core function's parameters and results.
type FuncTypes = (Vec<ValType>, Vec<ValType>);

/// How many wrappers of a component have a module each, which other components share, and an instance each. Where there are
/// more, one module of the component's own has many, and one instance.
///
/// An instance takes 1.9 µs to make, and a wrapper in a bundle 0.2. But forty small components, of six wrappers each, take
/// twice as long to compile with bundles, which nobody shares. `docs/src/measurements.md` has the figures.
const MAX_SINGLE: usize = 16;

/// A wrapper, and what it is given for each of its needs.
pub(super) struct Piece {
    pub(super) made: Rc<Made>,
    pub(super) items: Vec<Item>,
}

/// The modules that have been generated, for all components of a tree.
pub(super) struct Generated {
    wrappers: HashMap<Wrapper, Rc<Made>>,
    /// By the context slots that they keep, too.
    guards: HashMap<Vec<u32>, HashMap<FuncTypes, Rc<Made>>>,
    may_leave: HashMap<FuncTypes, Rc<Made>>,
    /// Whether guards have a barrier for exceptions.
    throws: bool,
    /// All of them, for the check of what is written.
    all: check::Trusted,
}

/// The module of a wrapper, a guard or a may-leave check, and what the check is told of it.
pub(super) struct Made {
    pub(super) module: Module,
    role: Role,
    made_for: Option<MadeFor>,
}

impl Made {
    fn note(self, all: &mut check::Trusted) -> Result<Rc<Self>, RewriteError> {
        all.insert(self.role, self.made_for.clone(), &self.module)?;
        Ok(Rc::new(self))
    }
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

    /// The modules that more than one component will need, by the indices that they are to have in the root: an engine
    /// compiles each module of a tree.
    pub(super) fn shared(
        &mut self,
        analysis: &Analysis,
        facts: &Facts<'_>,
    ) -> Result<BTreeMap<Vec<u8>, u32>, RewriteError> {
        let mut users: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for (roles, facts) in analysis.components.iter().zip(&facts.components) {
            let mut needed: BTreeSet<Vec<u8>> = BTreeSet::new();
            let made = self.needed_by(roles, facts)?;
            if made.iter().any(|made| made.module.needs.iter().any(|(_, need)| *need == Need::Window)) {
                needed.extend([modules::window_memory().bytes, modules::window_start().bytes]);
            }
            if roles.has_table() {
                needed.insert(modules::table(roles.crosses).bytes);
            }
            // A bundle is of its component alone.
            if made.len() <= MAX_SINGLE {
                needed.extend(made.iter().map(|made| made.module.bytes.clone()));
            }
            needed.into_iter().for_each(|module| *users.entry(module).or_default() += 1);
        }
        let shared = users.into_iter().filter(|(_, users)| *users > 1);
        Ok(shared.map(|(module, _)| module).zip(0..).collect())
    }

    /// Whether a component has so many wrappers that one instance serves many of them.
    pub(super) fn has_bundles(
        &mut self,
        roles: &ComponentRoles,
        facts: &ComponentFacts<'_>,
    ) -> Result<bool, RewriteError> {
        Ok(self.needed_by(roles, facts)?.len() > MAX_SINGLE)
    }

    /// The wrappers, guards and may-leave checks of a component, one by one.
    fn needed_by(&mut self, roles: &ComponentRoles, facts: &ComponentFacts<'_>) -> Result<Vec<Rc<Made>>, RewriteError> {
        let mut needed = Vec::new();
        for wrapper in roles.canons.iter().filter_map(|role| Wrapper::of(role, roles)) {
            needed.push(self.wrapper(wrapper)?);
        }
        if roles.has_table() {
            for ty in facts.called_back.values() {
                needed.push(self.guard_of(ty, &facts.slots)?);
            }
        }
        if self.calls_back(roles)? {
            for ty in facts.leaving.values() {
                needed.push(self.may_leave_of(ty)?);
            }
        }
        Ok(needed)
    }

    /// The guard around a core function of that type, in a component with such context slots: a `realloc` has its own.
    /// (A `post-return` has those of the function that has returned.)
    pub(super) fn guard_of(&mut self, ty: &FuncType, slots: &BTreeSet<u32>) -> Result<Rc<Made>, RewriteError> {
        let slots: Vec<u32> = slots.iter().copied().filter(|_| !ty.results().is_empty()).collect();
        let (all, throws) = (&mut self.all, self.throws);
        known(self.guards.entry(slots.clone()).or_default(), ty, |params, results| {
            let module = modules::guard(params, results, &slots, throws);
            Made { module, role: Role::Guard, made_for: None }.note(all)
        })
    }

    /// The may-leave check in front of one.
    pub(super) fn may_leave_of(&mut self, ty: &FuncType) -> Result<Rc<Made>, RewriteError> {
        let all = &mut self.all;
        known(&mut self.may_leave, ty, |params, results| {
            let module = modules::may_leave(params, results);
            Made { module, role: Role::MayLeave, made_for: None }.note(all)
        })
    }

    /// A module of several of these, if there is room for all; else of the first ones. Each comes with what it is given.
    pub(super) fn bundle(&mut self, pieces: &[Piece]) -> Result<Bundle, RewriteError> {
        let mut bundler = Bundler::default();
        for piece in pieces {
            if !bundler.has_room() {
                break;
            }
            bundler.add(&piece.made.module, &piece.items)?;
        }
        let bundle = bundler.finish()?;
        let made = pieces.iter().map(|piece| (piece.made.role, piece.made.made_for.clone()));
        self.all.insert_bundle(made, &bundle)?;
        Ok(bundle)
    }

    /// Whether a wrapper of the component calls `realloc`, unknown to the engine.
    pub(super) fn calls_back(&mut self, roles: &ComponentRoles) -> Result<bool, RewriteError> {
        for wrapper in roles.canons.iter().filter_map(|role| Wrapper::of(role, roles)) {
            if self.wrapper(wrapper)?.module.needs.iter().any(|(_, need)| *need == Need::Realloc) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Notes the ledger's memory of a component of that name.
    pub(super) fn ledger_memory(&mut self, name: &str) -> Result<(), RewriteError> {
        self.all.insert(Role::LedgerMemory, None, &modules::ledger_memory(name))
    }

    pub(super) fn wrapper(&mut self, wrapper: Wrapper) -> Result<Rc<Made>, RewriteError> {
        match self.wrappers.entry(wrapper) {
            Entry::Occupied(known) => Ok(Rc::clone(known.get())),
            Entry::Vacant(new) => {
                let (role, made_for, module) = match new.key() {
                    Wrapper::Builtin(builtin, signature, crossing) => {
                        (Role::Builtin(*builtin), None, modules::builtin(*builtin, signature, *crossing))
                    }
                    Wrapper::Lower(signature, lists) => {
                        let made_for = MadeFor::Closed(signature.clone(), *lists);
                        (Role::Lower, Some(made_for), modules::lower(signature, *lists))
                    }
                    Wrapper::Lift(signature, lists) => {
                        let made_for = MadeFor::Closed(signature.clone(), *lists);
                        (Role::Lift, Some(made_for), modules::lift(signature, *lists))
                    }
                    Wrapper::Crossing(crossing) => {
                        let role = match crossing {
                            Crossing::Lift(_) => Role::CrossingBack,
                            _ => Role::Crossing,
                        };
                        (role, Some(MadeFor::Crossing(crossing.clone())), modules::crossing(crossing))
                    }
                };
                let made = Made { module, role, made_for }.note(&mut self.all)?;
                Ok(Rc::clone(new.insert(made)))
            }
        }
    }
}

/// The module for core functions of that type, made if there is none.
fn known(
    modules: &mut HashMap<FuncTypes, Rc<Made>>,
    ty: &FuncType,
    make: impl FnOnce(&[ValType], &[ValType]) -> Result<Rc<Made>, RewriteError>,
) -> Result<Rc<Made>, RewriteError> {
    let values =
        |types: &[wasmparser::ValType]| types.iter().map(|ty| ValType::try_from(*ty)).collect::<Result<Vec<_>, _>>();
    let (Ok(params), Ok(results)) = (values(ty.params()), values(ty.results())) else {
        return Err(broken!("a function that is called from without has types of its own"));
    };
    match modules.entry((params, results)) {
        Entry::Occupied(known) => Ok(Rc::clone(known.get())),
        Entry::Vacant(new) => {
            let made = make(&new.key().0, &new.key().1)?;
            Ok(Rc::clone(new.insert(made)))
        }
    }
}
