//! Whether an output of the ledger tier is sound, told from its bytes by the validator's index spaces: nothing of the
//! analysis' or the emitter's is used.
//!
//! What is proved, a rule each ([`Unsound`](super::unsound::Unsound) has a case for each way to break one):
//!
//! 1. *Modules.* Each core module in the output is a guest's (its bytes are in the input), a bridge's or trusted (its
//!    bytes are what [`modules`](super::modules) makes), and trusted ones are no other's. Those are instantiated in the
//!    tree and go nowhere else. A bridge's gets no more than a guest's.
//! 2. *The host interface.* The ledger is imported by its exact name, as an instance, and is used only as an argument
//!    of that name for a component of this tree that imports it, or to alias functions from. It is never exported, nor
//!    put in an instance; no component that imports it is given another, or leaves the tree.
//! 3. *Its functions.* A function of it is only ever lowered, and with the options that it is made for; the lower is
//!    only ever an export of core instances that are the argument of one trusted instance.
//! 4. *Doors.* Of trusted instances, guests get the `call` of wrappers in front of lowers and of may-leave checks, and the
//!    table's drops. All else (memories, globals, other functions) only ever goes to trusted instances, through core
//!    instances made for one of them. A lower that a wrapper stands in front of is used by it alone.
//! 5. *Canonical functions.* A lift lifts a guest's function, a door, or a wrapper made for lifts, which nobody else
//!    has. Options name guests' memories and, where there is a handle table, `realloc` and `post-return` behind guards.
//!    Where a wrapper calls `realloc` itself, all that leaves the component and that guests have is behind may-leave
//!    checks, and if guests have context slots, its guard keeps them.
//! 6. *Real handles.* No function is lifted or lowered, and no type dropped, made or sent, that mentions a resource of
//!    the package ([`resources`]), but in bridges: components that instantiate a bridge's module
//!    and no guest's. So guests' real tables never hold one.
//! 7. *Wrappers* are given exactly what they import: a builtin's the lower of its own function; the memory and
//!    `realloc` of the canonical function that it stands at; the one ledger memory, window and handle table of its
//!    component, which the table's start, and the window's, have made to be that before.
//!
//! 8. *Both sides.* All who lift or lower a function, over all instantiations, have wrappers made for one type, or none
//!    has one; and none has one where the host or an unknown component has the function too ([`classes`]). The function's
//!    type there, as the validator has it, is what is left of the one type, as that is without handles and with two
//!    numbers for each list that goes by window.
//!
//! 9. *Bridges.* A bridge's module is given what it imports: the heap of its component, the crossings' own wrappers, and
//!    as its callee a lower, or the wrapper in front of one, made for the type that the module was made for. It is only
//!    ever lifted, or what a wrapper for lifts of that type stands in front of. The function that has handles of the
//!    package is of that very type, as the validator has it. Nothing else in a bridge has to do with them.
//!
//! What is left to others: that trusted modules do what they should, that types are the input's but for handles, and
//! that the components' wiring is the input's.

mod bridges;
mod classes;
mod core;
mod resources;
mod scope;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{HashMap, HashSet};

use wasmparser::{Encoding, Payload, ValidPayload, Validator};

use super::interface::Builtin;
use super::modules::{Crossing, Module, Need};
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
}

/// The trusted modules that may be in an output: each that the generator was asked for, by its bytes.
///
/// Whoever writes the output calls [`Trusted::insert`] with each module that it got of the generator, once for each or
/// again, and takes the bytes that it writes from nowhere else.
#[derive(Debug)]
pub(crate) struct Trusted {
    modules: HashMap<Vec<u8>, TrustedModule>,
    /// Those of bridges, which have no more than a guest's could have.
    bridges: HashMap<Vec<u8>, BridgeModule>,
    /// The table's exports that take the place of `resource.drop`.
    drops: Vec<&'static str>,
}

/// What a wrapper was made for: a function's type, and whether lists of plain data go by window.
type MadeFor = (Signature, bool);

/// What a bridge has between its lift and its lower, or its heap.
#[derive(Debug, PartialEq, Eq)]
struct BridgeModule {
    needs: Vec<(&'static str, Need)>,
    /// The functions' types that it was made for, and which way their parameters go. None for a heap.
    made_for: HashSet<(Signature, Crossing)>,
}

/// One of them.
#[derive(Debug, PartialEq, Eq)]
struct TrustedModule {
    role: Role,
    needs: Vec<(&'static str, Need)>,
    /// The functions' types that it was made for, if it is a wrapper of [`Role::Lower`] or [`Role::Lift`].
    signatures: HashSet<MadeFor>,
}

impl Trusted {
    /// None yet; `drops` is what [`drop_name`](super::modules::drop_name) gives for each kind.
    pub(crate) fn new(drops: impl IntoIterator<Item = &'static str>) -> Self {
        Trusted { modules: HashMap::new(), bridges: HashMap::new(), drops: drops.into_iter().collect() }
    }

    /// Whether a module of these bytes is one of them, or a bridge's.
    pub(crate) fn has(&self, module: &[u8]) -> bool {
        self.modules.contains_key(module) || self.bridges.contains_key(module)
    }

    /// Adds what bridges have between their lifts and lowers, with what it was made for, or their heap.
    pub(crate) fn insert_bridge(&mut self, module: &Module, made_for: Option<(&Signature, Crossing)>) {
        let new = || BridgeModule { needs: module.needs.clone(), made_for: HashSet::new() };
        let known = self.bridges.entry(module.bytes.clone()).or_insert_with(new);
        known.made_for.extend(made_for.map(|(signature, params)| (signature.clone(), params)));
    }

    /// Adds a module; of a wrapper in front of lowers or lifts, with what it was made for (type, and whether lists go
    /// by window). More than one may have led to the same module.
    pub(crate) fn insert(
        &mut self,
        role: Role,
        made_for: Option<(&Signature, bool)>,
        module: &Module,
    ) -> Result<(), RewriteError> {
        let needs = &module.needs;
        let new = || TrustedModule { role, needs: needs.clone(), signatures: HashSet::new() };
        let known = self.modules.entry(module.bytes.clone()).or_insert_with(new);
        if known.role != role || known.needs != *needs {
            return Err(broken!("a trusted module is for both {:?} and {role:?}", known.role));
        }
        known.signatures.extend(made_for.map(|(signature, lists)| (signature.clone(), lists)));
        Ok(())
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
        let payload = payload?;
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
    if !what.contains(" count exceeds limit of ") && !what.contains(" size exceeds the limit of ") {
        return ReadError::Invalid(error).into();
    }
    let reason = Reason::NoRoom(what.to_owned());
    let obstacle = Obstacle { component: tree.path(), name: None, function: None, reason };
    RewriteError::NotClosed { obstacle: Box::new(obstacle) }
}
