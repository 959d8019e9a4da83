//! The trusted modules of a tree: each is generated once, whoever needs it, and all are noted for the check.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::mem::{self, Discriminant};
use std::rc::Rc;

use wasm_encoder::ValType;
use wasmparser::FuncType;

use super::not_closed;
use crate::error::{RewriteError, broken};
use crate::ledger::analysis::{Analysis, CanonRole, ComponentRoles};
use crate::ledger::check::{self, MadeFor, Purpose, Role};
use crate::ledger::interface::Builtin;
use crate::ledger::modules::{self, Bundle, Bundler, Crossing, Item, Module, Need};
use crate::ledger::obstacle::{Obstacle, Reason};
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
/// How many wrappers of a component can have an instance each: the format has room for as many core instances.
const MAX_INSTANCES: usize = 1000;
/// How many bytes the modules of a tree may have, each counted once, and those in bundles as often as they are there. A
/// function takes some 200; but a few bytes of a guest's can be another use of a type that takes a megabyte.
const MAX_CODE: usize = 16 << 20;

/// The modules that the root has for all components, by their bytes: their indices there.
pub(super) type Shared = BTreeMap<Rc<[u8]>, u32>;

/// A wrapper, and what it is given for each of its needs.
pub(super) struct Piece {
    pub(super) made: Rc<Made>,
    pub(super) items: Vec<Item>,
}

/// Which wrappers a component has, and how.
pub(super) struct Plan {
    /// By the numbers of its canonical functions.
    wrappers: Vec<Option<Rc<Made>>>,
    /// Whether one of them calls `realloc`, unknown to the engine.
    pub(super) calls_back: bool,
    /// Whether there are so many wrappers that one instance serves many of them.
    pub(super) has_bundles: bool,
}

impl Plan {
    /// The wrapper at a canonical function.
    pub(super) fn wrapper(&self, canon: u32) -> Option<&Rc<Made>> {
        self.wrappers.get(canon as usize)?.as_ref()
    }
}

/// The modules that have been generated, for all components of a tree.
pub(super) struct Generated {
    /// How many more bytes of modules there may be.
    left: usize,
    wrappers: HashMap<Key, Rc<Made>>,
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
    purpose: Option<Purpose>,
}

impl Made {
    fn note(self, all: &mut check::Trusted, left: &mut usize) -> Result<Rc<Self>, RewriteError> {
        let rest = left.checked_sub(self.module.bytes.len());
        *left = rest.ok_or_else(|| not_closed(Obstacle::of_root(Reason::TooLarge)))?;
        all.insert(self.role, self.purpose, &self.module)?;
        Ok(Rc::new(self))
    }

    fn needs(&self, need: Need) -> bool {
        self.module.needs.iter().any(|(_, other)| *other == need)
    }
}

/// What decides the bytes of a wrapper's module: its type, by where that is, since equal ones are one, and what it is for.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    ty: *const (),
    role: Discriminant<CanonRole>,
    crossing: Option<Discriminant<Crossing>>,
    builtin: Option<Builtin>,
    /// Whether lists of it go by window, it is async, or its component has handles of the engine's.
    otherwise: bool,
}

impl Key {
    /// That of a role's wrapper, in a component with these. `None` if the role asks for none.
    fn of(role: &CanonRole, roles: &ComponentRoles) -> Option<Key> {
        let (mut crossing, mut builtin) = (None, None);
        let (ty, otherwise) = match role {
            CanonRole::Untouched | CanonRole::Drop(_) => return None,
            CanonRole::Builtin { builtin: which, signature } => {
                builtin = Some(*which);
                (Rc::as_ptr(signature).cast(), roles.crosses)
            }
            CanonRole::Lower { signature, lists } | CanonRole::Lift { signature, lists } => {
                (Rc::as_ptr(signature).cast(), *lists)
            }
            CanonRole::Crossing(which) => {
                crossing = Some(mem::discriminant(which));
                match which {
                    Crossing::Lower { signature, is_async } => (Rc::as_ptr(signature).cast(), *is_async),
                    Crossing::Lift(signature) => (Rc::as_ptr(signature).cast(), false),
                    Crossing::TaskReturn(value) | Crossing::StreamWrite(value) | Crossing::FutureWrite(value) => {
                        (Rc::as_ptr(value).cast(), false)
                    }
                }
            }
        };
        Some(Key { ty, role: mem::discriminant(role), crossing, builtin, otherwise })
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
        let (wrappers, guards, may_leave) = (HashMap::new(), HashMap::new(), HashMap::new());
        Ok(Generated { left: MAX_CODE, wrappers, guards, may_leave, throws, all })
    }

    /// All that may be in the output.
    pub(super) fn into_all(self) -> check::Trusted {
        self.all
    }

    /// Which wrappers each component has, and the modules that more than one will need, by the indices that they are to have
    /// in the root: an engine compiles each module of a tree.
    pub(super) fn plan(&mut self, analysis: &Analysis, facts: &Facts<'_>) -> Result<(Vec<Plan>, Shared), RewriteError> {
        let mut planned = Vec::with_capacity(facts.components.len());
        for (roles, facts) in analysis.components.iter().zip(&facts.components) {
            planned.push(self.needed_by(roles, facts)?);
        }
        let mut users: BTreeMap<Rc<[u8]>, usize> = BTreeMap::new();
        let mut plans = Vec::with_capacity(planned.len());
        let components = analysis.components.iter().zip(&facts.components);
        for ((mut plan, made), (roles, facts)) in planned.into_iter().zip(components) {
            plan.has_bundles = self.has_bundles(&made, facts)?;
            let mut needed: BTreeSet<Rc<[u8]>> = BTreeSet::new();
            if made.iter().any(|made| made.needs(Need::Window)) {
                needed.extend([modules::window_memory().bytes, modules::window_start().bytes]);
            }
            if roles.has_table() {
                needed.insert(modules::table(roles.crosses).bytes);
            }
            // A bundle is of its component alone.
            if !plan.has_bundles {
                // Many functions may have one, and it may be long.
                let mut seen = HashSet::new();
                let made = made.iter().filter(|made| seen.insert(Rc::as_ptr(made)));
                needed.extend(made.map(|made| Rc::clone(&made.module.bytes)));
            }
            needed.into_iter().for_each(|module| *users.entry(module).or_default() += 1);
            plans.push(plan);
        }
        let shared = users.into_iter().filter(|(_, users)| *users > 1);
        Ok((plans, shared.map(|(module, _)| module).zip(0..).collect()))
    }

    /// Whether one instance serves many of a component's wrappers.
    fn has_bundles(&mut self, made: &[Rc<Made>], facts: &ComponentFacts<'_>) -> Result<bool, RewriteError> {
        if made.len() <= MAX_SINGLE {
            return Ok(false);
        }
        let code = made.iter().fold(0, |code: usize, made| code.saturating_add(made.module.bytes.len()));
        match self.left.checked_sub(code) {
            Some(left) => {
                self.left = left;
                Ok(true)
            }
            None if made.len() <= MAX_INSTANCES => Ok(false),
            None => {
                let reason = Reason::NoRoom(format!(
                    "its wrappers take {code} bytes of code, and there is room for {}",
                    self.left
                ));
                Err(not_closed(Obstacle::of(&facts.path, facts.name, reason)))
            }
        }
    }

    /// The wrappers of a component by its canonical functions, and those, guards and may-leave checks one by one.
    fn needed_by(
        &mut self,
        roles: &ComponentRoles,
        facts: &ComponentFacts<'_>,
    ) -> Result<(Plan, Vec<Rc<Made>>), RewriteError> {
        let mut wrappers = Vec::with_capacity(roles.canons.len());
        for role in &roles.canons {
            wrappers.push(self.wrapper(role, roles)?);
        }
        let mut needed: Vec<_> = wrappers.iter().flatten().cloned().collect();
        let calls_back = needed.iter().any(|made| made.needs(Need::Realloc));
        if roles.has_table() {
            for (_, ty) in facts.guarded() {
                needed.push(self.guard_of(ty, &facts.slots)?);
            }
        }
        if calls_back {
            for ty in facts.leaving.values() {
                needed.push(self.may_leave_of(ty)?);
            }
        }
        Ok((Plan { wrappers, calls_back, has_bundles: false }, needed))
    }

    /// The guard around a core function of that type, in a component with such context slots: a `realloc` has its own.
    /// (A `post-return` has those of the function that has returned.)
    pub(super) fn guard_of(&mut self, ty: &FuncType, slots: &BTreeSet<u32>) -> Result<Rc<Made>, RewriteError> {
        let slots: Vec<u32> = slots.iter().copied().filter(|_| !ty.results().is_empty()).collect();
        let (all, left, throws) = (&mut self.all, &mut self.left, self.throws);
        known(self.guards.entry(slots.clone()).or_default(), ty, |params, results| {
            let module = modules::guard(params, results, &slots, throws);
            Made { module, role: Role::Guard, purpose: None }.note(all, left)
        })
    }

    /// The may-leave check in front of one.
    pub(super) fn may_leave_of(&mut self, ty: &FuncType) -> Result<Rc<Made>, RewriteError> {
        let (all, left) = (&mut self.all, &mut self.left);
        known(&mut self.may_leave, ty, |params, results| {
            let module = modules::may_leave(params, results);
            Made { module, role: Role::MayLeave, purpose: None }.note(all, left)
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
        let made = pieces.iter().map(|piece| (piece.made.role, piece.made.purpose));
        self.all.insert_bundle(made, &bundle)?;
        Ok(bundle)
    }

    /// Notes the ledger's memory of a component of that name.
    pub(super) fn ledger_memory(&mut self, name: &str) -> Result<(), RewriteError> {
        self.all.insert(Role::LedgerMemory, None, &modules::ledger_memory(name))
    }

    /// The wrapper that a role asks for, in a component with these.
    fn wrapper(&mut self, role: &CanonRole, roles: &ComponentRoles) -> Result<Option<Rc<Made>>, RewriteError> {
        let Some(key) = Key::of(role, roles) else { return Ok(None) };
        let new = match self.wrappers.entry(key) {
            Entry::Occupied(known) => return Ok(Some(Rc::clone(known.get()))),
            Entry::Vacant(new) => new,
        };
        let closed = |signature: &Rc<Signature>, lists: bool| Some(MadeFor::Closed(Rc::clone(signature), lists));
        let (role, made_for, module) = match role {
            CanonRole::Untouched | CanonRole::Drop(_) => return Ok(None),
            CanonRole::Builtin { builtin, signature } => {
                (Role::Builtin(*builtin), None, modules::builtin(*builtin, signature, roles.crosses))
            }
            CanonRole::Lower { signature, lists } => {
                (Role::Lower, closed(signature, *lists), modules::lower(signature, *lists))
            }
            CanonRole::Lift { signature, lists } => {
                (Role::Lift, closed(signature, *lists), modules::lift(signature, *lists))
            }
            CanonRole::Crossing(crossing) => {
                let role = match crossing {
                    Crossing::Lift(_) => Role::CrossingBack,
                    _ => Role::Crossing,
                };
                (role, Some(MadeFor::Crossing(crossing.clone())), modules::crossing(crossing))
            }
        };
        let purpose = made_for.map(|made_for| self.all.purpose(made_for));
        let made = Made { module, role, purpose }.note(&mut self.all, &mut self.left)?;
        Ok(Some(Rc::clone(new.insert(made))))
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
