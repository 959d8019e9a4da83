//! Writes the tree of the ledger tier: the input's items one by one, with the analysis' versions of functions' types,
//! and trusted modules at each boundary.
//!
//! ```text
//!   component   the walk: each section's items, and what their indices become
//!    ├ declare     types where they stand, and what instances' types declare
//!    │  └ types    versions of types, in components and in the types of instances
//!    ├ canon       canonical functions, by role
//!    │  ├ bundles  which wrappers have one instance together
//!    │  └ trusted  the ledger's memory, the table, helpers, wrappers, guards: put in when first needed
//!    │     └ generated  their modules, once for a tree
//!    ├ host        the type of the ledger's host interface
//!    └ hooks       indices within what wasm-encoder writes on its own
//!   scope       what each old index has become
//!   sections    what is written, counted
//! ```
//!
//! New indices are counted as items go by. Core modules are copied byte for byte.

mod bundles;
mod canon;
mod component;
mod declare;
mod generated;
mod hooks;
mod host;
mod scope;
mod sections;
mod trusted;
mod types;

use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;

use self::generated::{Generated, Made, Plan, Shared};
use self::scope::{Body, ComponentBody, Scope};
use self::sections::MAX_SECTION;
use super::analysis::{Analysis, CanonRole, ComponentRoles};
use super::check::Trusted;
use super::interface::{Builtin, INTERFACE};
use super::obstacle::{Obstacle, Reason};
use crate::core_modules::patch::Patched;
use crate::error::{RewriteError, broken};
use crate::gate::{Gate, Renames};
use crate::tree::binary::parser;
use crate::tree::encode::{EmitResult, refusal, user};
use crate::tree::read::{ComponentFacts, Facts};

/// What was written, and what is to be checked of it.
pub(crate) struct Emitted<'a> {
    pub(crate) bytes: Vec<u8>,
    /// The core modules of the input.
    pub(crate) guests: HashSet<&'a [u8]>,
    /// The trusted modules that may be in the output.
    pub(crate) trusted: Trusted,
}

/// Writes what `analysis` makes of a component, with these names for the root's imports.
pub(crate) fn emit<'a>(
    patched: &'a Patched<'a, 'a>,
    analysis: &'a Analysis,
    renames: &'a Renames,
    gate: &Gate,
) -> Result<Emitted<'a>, RewriteError> {
    let (component, facts) = (patched.bytes(), patched.facts());
    // Then no section that is written has as much as can't be.
    if component.len() > MAX_SECTION {
        return Err(not_closed(Obstacle::of_root(Reason::TooLarge)));
    }
    let mut generated = Generated::new(facts.throws)?;
    let (plans, shared) = generated.plan(analysis, facts)?;
    let mut emitter = Emitter {
        facts,
        analysis,
        renames,
        interface: gate.import_name(INTERFACE),
        builtins: builtins(analysis),
        begun: 0,
        scopes: Vec::new(),
        guests: HashSet::new(),
        shared: Rc::new(shared),
        plans,
        generated,
        lost: None,
    };
    let root = emitter.component(parser(), component, component).map_err(refusal)?;
    if emitter.begun != facts.components.len() {
        return Err(broken!("not each component was written"));
    }
    Ok(Emitted { bytes: root.finish(), guests: emitter.guests, trusted: emitter.generated.into_all() })
}

fn not_closed(obstacle: Obstacle) -> RewriteError {
    RewriteError::NotClosed { obstacle: Box::new(obstacle) }
}

/// The package's functions that a tree lowers.
fn builtins(analysis: &Analysis) -> Vec<Builtin> {
    let canons = analysis.components.iter().flat_map(|roles| &roles.canons);
    let used: BTreeSet<Builtin> = canons
        .filter_map(|role| match role {
            CanonRole::Builtin { builtin, .. } => Some(*builtin),
            _ => None,
        })
        .collect();
    used.into_iter().collect()
}

struct Emitter<'a> {
    facts: &'a Facts<'a>,
    analysis: &'a Analysis,
    renames: &'a Renames,
    /// What the ledger's host interface is imported as.
    interface: String,
    /// What of the package's functions it has.
    builtins: Vec<Builtin>,
    /// How many components have begun: the next one's place among the facts.
    begun: usize,
    /// The component or type being written, and those around it.
    scopes: Vec<Scope<'a>>,
    /// The core modules that were copied.
    guests: HashSet<&'a [u8]>,
    generated: Generated,
    /// The trusted modules that the root has for all.
    shared: Rc<Shared>,
    /// Which wrappers each component has.
    plans: Vec<Plan>,
    /// The first index that nothing is known of, where that could not be said at once.
    lost: Option<&'static str>,
}

impl<'a> Emitter<'a> {
    /// The innermost scope.
    fn depth(&self) -> EmitResult<usize> {
        self.scopes.len().checked_sub(1).ok_or_else(|| user(broken!("something is outside of any component")))
    }

    /// The component that is the innermost scope.
    fn body(&mut self) -> EmitResult<&mut ComponentBody<'a>> {
        match self.scopes.last_mut().map(|scope| &mut scope.body) {
            Some(Body::Component(body)) => Ok(body),
            _ => Err(user(broken!("an item of a component is outside of any component"))),
        }
    }

    fn roles_of(&self, number: usize) -> EmitResult<&'a ComponentRoles> {
        let analysis: &'a Analysis = self.analysis;
        analysis.components.get(number).ok_or_else(|| user(broken!("a component was not analysed")))
    }

    /// The roles of the component that is the innermost scope.
    fn roles(&mut self) -> EmitResult<&'a ComponentRoles> {
        let number = self.body()?.number;
        self.roles_of(number)
    }

    /// The wrapper at a canonical function of the component that is the innermost scope.
    fn wrapper(&mut self, canon: u32) -> EmitResult<Option<Rc<Made>>> {
        let number = self.body()?.number;
        Ok(self.plans.get(number).and_then(|plan| plan.wrapper(canon)).cloned())
    }

    /// The facts of the component that is the innermost scope.
    fn component_facts(&mut self) -> EmitResult<&'a ComponentFacts<'a>> {
        let number = self.body()?.number;
        let facts: &'a Facts<'a> = self.facts;
        facts.components.get(number).ok_or_else(|| user(broken!("a component was not read")))
    }

    /// Fails if an index was lost in a place where that can't be said.
    fn found(&mut self) -> EmitResult {
        match self.lost.take() {
            None => Ok(()),
            Some(kind) => Err(user(broken!("a {kind} is named that was not written"))),
        }
    }
}

#[cfg(test)]
mod tests;
