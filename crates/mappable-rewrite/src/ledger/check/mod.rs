//! Whether an output of the ledger tier is sound, told from its bytes by the validator's index spaces: nothing of the
//! analysis' or the emitter's is used.
//!
//! What is proved, a rule each ([`Unsound`](super::unsound::Unsound) has a case for each way to break one):
//!
//! 1. *Modules.* Each core module in the output is a guest's (its bytes are in the input) or trusted (its bytes are what
//!    [`modules`](super::modules) makes), and trusted ones are no guest's. Those are instantiated in the tree and go
//!    nowhere else.
//! 2. *The host interface.* The ledger is imported by its exact name, as an instance, and is used only as an argument
//!    of that name for a component of this tree that imports it, or to alias functions from. It is never exported, nor
//!    put in an instance; no component that imports it is given another, or leaves the tree.
//! 3. *Its functions.* A function of it is only ever lowered, and with the options that it is made for; the lower is
//!    only ever an export of core instances that are the argument of one trusted instance.
//! 4. *Doors.* Of trusted instances, guests get the `call` of wrappers in front of lowers and of may-leave checks, and the
//!    table's drops. All else (memories, globals, other functions) only ever goes to trusted instances, through core
//!    instances made for one of them. A lower that a wrapper stands in front of is used by it alone.
//! 5. *Canonical functions.* A lift lifts a guest's function, a door, or a wrapper made for lifts, which nobody else
//!    has. Options name guests' memories and, where there is a handle table, `realloc` and `post-return` behind guards,
//!    if guests have anything that is not their own: otherwise these can call nothing.
//!    Where a wrapper calls `realloc` itself, all that leaves the component and that guests have is behind may-leave
//!    checks, and if guests have context slots, its guard keeps them.
//! 6. *Changes.* No function that changes what is mapped is lowered, but the ledger's. What else is done with a handle of
//!    the engine's, the engine checks.
//! 7. *Wrappers* are given exactly what they import: a builtin's the lower of its own function; the memory and
//!    `realloc` of the canonical function that it stands at; the one ledger memory, window and handle table of its
//!    component, which the table's start, and the window's, have made to be that before.
//! 8. *Both sides.* All who lift or lower a function, over all instantiations, have wrappers made for one type, or none
//!    has one; and none has one where the host or an unknown component has the function too ([`classes`]). The function's
//!    type there, as the validator has it, is what is left of the one type, as that is without handles and with two
//!    numbers for each list that goes by window.
//! 9. *Crossings.* What goes the engine's way behind a wrapper has the very type that the wrapper was made for, and so has
//!    the package's function behind a builtin: with the package's resources, as the ledger's interface has them in that
//!    component. What the table drops are those.
//!
//! 10. *No crossing is missing.* Whatever else gives the engine handles of the package's, or drops them, has a wrapper or is
//!     the table's. Which resources are the package's is told here by the root's imports, and by what each component is given.
//!
//! A wrapper in a module of many ([`Bundle`](super::modules::Bundle)) is looked at as if it had an instance of its own.
//!
//! What is left to others: that trusted modules do what they should, that types are the input's but for handles, and
//! that the components' wiring is the input's.

mod classes;
mod core;
mod scope;
#[cfg(test)]
pub(crate) mod tests;
mod types;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use wasmparser::{Encoding, Payload, ValidPayload, Validator};

use super::interface::Builtin;
use super::modules::{self, Bundle, CALL, Crossing, Module, Need};
use super::obstacle::{Obstacle, Reason};
use super::signature::Signature;
use crate::error::{ReadError, RewriteError, broken};
use crate::gate::Gate;
use crate::tree::binary::{FEATURES, parser};

/// What a trusted module is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// [`ledger_memory`](super::modules::ledger_memory).
    LedgerMemory,
    /// [`window_memory`](super::modules::window_memory).
    WindowMemory,
    /// [`window_start`](super::modules::window_start).
    WindowStart,
    /// [`table`](super::modules::table).
    Table,
    /// [`guard`](super::modules::guard).
    Guard,
    /// [`may-leave check`](super::modules::may_leave).
    MayLeave,
    /// [`builtin`](super::modules::builtin).
    Builtin(Builtin),
    /// [`lower`](super::modules::lower).
    Lower,
    /// [`lift`](super::modules::lift).
    Lift,
    /// [`crossing`](super::modules::crossing), in front of what a guest calls.
    Crossing,
    /// The same, in front of what is lifted.
    CrossingBack,
}

/// The trusted modules that may be in an output: each that the generator was asked for, by its bytes.
///
/// Whoever writes the output calls [`Trusted::insert`] with each module that it got of the generator, once for each or
/// again, and takes the bytes that it writes from nowhere else.
#[derive(Debug)]
pub(crate) struct Trusted {
    modules: HashMap<Rc<[u8]>, TrustedModule>,
    /// The numbers of what wrappers were made for, and of what is in the output: that is closed without lists by window.
    numbers: HashMap<MadeFor, u32>,
    /// The table's exports that take the place of `resource.drop`.
    drops: Vec<&'static str>,
}

/// What a wrapper was made for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum MadeFor {
    /// The lower or lift of a closed function of that type, and whether lists of plain data go by window.
    Closed(Rc<Signature>, bool),
    /// What gives the engine handles.
    Crossing(Crossing),
}

/// What a wrapper was made for, and what of that is in the output, where handles and lists by window are numbers. Both by the
/// numbers that a [`Trusted`] has for them: a type may be large, and at many functions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purpose {
    made_for: u32,
    written: u32,
}

/// One of them.
#[derive(Debug, PartialEq, Eq)]
struct TrustedModule {
    imports: Vec<Import>,
    parts: Vec<Part>,
    /// Whether the parts are many wrappers, each with a function that is exported by its number.
    is_bundle: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Import {
    field: String,
    /// What an error calls it.
    name: &'static str,
    need: Need,
}

/// All of a module, or one of the wrappers in it.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    role: Role,
    /// Which of the module's imports it uses.
    imports: Vec<usize>,
    /// What it was made for, if it is a wrapper in front of what is not the ledger's, and the types that what it stands at may
    /// have in the output. More than one may have led to the same module.
    made_for: HashSet<u32>,
    written: HashSet<u32>,
}

impl TrustedModule {
    /// The number of the part that an export is of.
    fn part_of(&self, export: &str) -> Option<usize> {
        if !self.is_bundle {
            return Some(0);
        }
        // A number has one name: `01` is not one.
        let number: usize = export.parse().ok()?;
        (number < self.parts.len() && number.to_string() == export).then_some(number)
    }

    /// Whether an export is the function that takes the place of a wrapper's callee.
    fn is_call(&self, export: &str) -> bool {
        self.is_bundle || export == CALL
    }

    fn needs(&self, need: Need) -> bool {
        self.imports.iter().any(|import| import.need == need)
    }

    fn part_needs(&self, part: &Part, need: Need) -> bool {
        part.imports.iter().any(|import| self.imports.get(*import).is_some_and(|import| import.need == need))
    }
}

impl Trusted {
    /// None yet; `drops` is what [`drop_name`](super::modules::drop_name) gives for each kind.
    pub(crate) fn new(drops: impl IntoIterator<Item = &'static str>) -> Self {
        Trusted { modules: HashMap::new(), numbers: HashMap::new(), drops: drops.into_iter().collect() }
    }

    /// Whether a module of these bytes is one of them.
    pub(crate) fn has(&self, module: &[u8]) -> bool {
        self.modules.contains_key(module)
    }

    /// What a wrapper is for.
    pub(crate) fn purpose(&mut self, made_for: MadeFor) -> Purpose {
        let written = match &made_for {
            MadeFor::Closed(signature, lists) => MadeFor::Closed(Rc::new(signature.erased(*lists)), false),
            crossing => crossing.clone(),
        };
        let mut number = |of| {
            let next = self.numbers.len() as u32;
            *self.numbers.entry(of).or_insert(next)
        };
        Purpose { made_for: number(made_for), written: number(written) }
    }

    /// Adds a module; of a wrapper in front of what is not the ledger's, with its purpose.
    pub(crate) fn insert(&mut self, role: Role, purpose: Option<Purpose>, module: &Module) -> Result<(), RewriteError> {
        let import = |&(name, need): &(&'static str, Need)| Import { field: name.to_owned(), name, need };
        let imports: Vec<Import> = module.needs.iter().map(import).collect();
        let part = Part::new(role, purpose, (0..imports.len()).collect());
        self.add(&module.bytes, TrustedModule { imports, parts: vec![part], is_bundle: false })
    }

    /// Adds a module of many wrappers; of each, what [`Self::insert`] is told.
    pub(crate) fn insert_bundle(
        &mut self,
        wrappers: impl IntoIterator<Item = (Role, Option<Purpose>)>,
        bundle: &Bundle,
    ) -> Result<(), RewriteError> {
        let import = |import: &modules::Import| {
            let (name, need) = (import.name, import.need);
            Import { field: import.field.clone(), name, need }
        };
        let imports = bundle.imports.iter().map(import).collect();
        let parts = wrappers.into_iter().zip(&bundle.wrappers);
        let parts = parts.map(|((role, purpose), imports)| Part::new(role, purpose, imports.clone())).collect();
        self.add(&bundle.bytes, TrustedModule { imports, parts, is_bundle: true })
    }

    fn add(&mut self, bytes: &Rc<[u8]>, module: TrustedModule) -> Result<(), RewriteError> {
        let known = match self.modules.entry(Rc::clone(bytes)) {
            Entry::Vacant(new) => return Ok(_ = new.insert(module)),
            Entry::Occupied(known) => known.into_mut(),
        };
        if known.imports != module.imports || known.parts.len() != module.parts.len() {
            return Err(broken!("a trusted module is for two purposes"));
        }
        for (known, part) in known.parts.iter_mut().zip(module.parts) {
            if known.role != part.role || known.imports != part.imports {
                return Err(broken!("a trusted module is for both {:?} and {:?}", known.role, part.role));
            }
            known.made_for.extend(part.made_for);
            known.written.extend(part.written);
        }
        Ok(())
    }
}

impl Part {
    fn new(role: Role, purpose: Option<Purpose>, imports: Vec<usize>) -> Self {
        let made_for = purpose.iter().map(|purpose| purpose.made_for).collect();
        Part { role, imports, made_for, written: purpose.iter().map(|purpose| purpose.written).collect() }
    }
}

/// Refuses an output that is not sound. `guests`: the bytes of each core module of the input.
pub(crate) fn check(
    output: &[u8],
    guests: &HashSet<&[u8]>,
    trusted: &Trusted,
    gate: &Gate,
) -> Result<(), RewriteError> {
    let mut validator = Validator::new_with_features(FEATURES);
    let mut tree = scope::Tree::new(output, guests, trusted, gate);
    let (mut in_module, mut all) = (false, None);
    for payload in parser().parse_all(output) {
        let payload = payload.map_err(|error| no_room(error, &tree))?;
        let valid = validator.payload(&payload).map_err(|error| no_room(error, &tree))?;
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } => in_module = true,
            Payload::Version { encoding: Encoding::Component, .. } => tree.begin()?,
            Payload::End(_) if in_module => in_module = false,
            Payload::End(_) => {
                tree.end()?;
                all = if let ValidPayload::End(types) = valid { Some(types) } else { None };
            }
            _ if in_module => {}
            payload => {
                let types = validator.types(0).ok_or_else(|| broken!("the validator has no types for a component"))?;
                tree.payload(types, payload)?;
            }
        }
    }
    let types = all.ok_or_else(|| broken!("the output has no end"))?;
    tree.finish(types.as_ref())
}

/// What the validator refuses is our bug, unless there is too much of something in a component that was near its limit.
fn no_room(error: wasmparser::Error, tree: &scope::Tree<'_, '_>) -> RewriteError {
    let what = error.message();
    // Errors have no code, and all limits that what is added here can come upon have one of these texts.
    let limits = [" count exceeds limit of ", " size exceeds the limit of ", " section is too large"];
    if !limits.iter().any(|limit| what.contains(limit)) {
        return ReadError::Invalid(error).into();
    }
    let reason = Reason::NoRoom(what.to_owned());
    let obstacle = Obstacle { component: tree.path(), name: None, function: None, reason };
    RewriteError::NotClosed { obstacle: Box::new(obstacle) }
}
