//! Which functions and types of a tree are the ledger's: what joins which, and what stands in the way.
//!
//! [`walk`] follows, with the one pass that reads the tree, what each component's functions, instances and components
//! are, and joins what is passed to what it is passed as ([`graph`]): each static component once, however often it is
//! instantiated. When the tree has been read, [`judge`] tells closed classes of functions from open ones, by their
//! types ([`convert`](super::convert)), and says what becomes of each canonical function, or why the tree stays at baseline.

mod canon;
mod class;
mod component;
mod functions;
mod graph;
mod instantiate;
mod judge;
mod resources;
mod walk;

use std::collections::BTreeMap;
use std::rc::Rc;

pub(crate) use walk::Walker;

use super::function::FunctionReport;
use super::modules::Crossing;
use super::obstacle::{Obstacle, Reason};
use super::signature::{Kind, Signature};

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Whether lists of plain data go by window.
    pub(crate) lists: bool,
}

/// Why a tree is not the ledger's: the component's place in the facts, the function in it, and the reason.
type Stop = (usize, Option<String>, Reason);

/// What is to become of a tree, and of each function in it.
#[derive(Debug)]
pub(crate) struct Judgement {
    /// Or what keeps it at baseline.
    pub(crate) outcome: Result<Analysis, Obstacle>,
    /// The lifts and lowers of each component, in the order of the facts, as they are if nothing else stands in the way.
    /// Empty if the tree was not followed to its end.
    pub(crate) functions: Vec<Vec<FunctionReport>>,
}

/// What is to become of a tree, component by component, in the order of the facts (in which they begin).
#[derive(Debug, Default)]
pub(crate) struct Analysis {
    pub(crate) components: Vec<ComponentRoles>,
}

/// What is to become of one component of the tree.
#[derive(Debug, Default)]
pub(crate) struct ComponentRoles {
    /// What traps call it: its name, or its path (`root/2/0`).
    pub(crate) name: String,
    /// Each canonical function's role, by its number among the component's canonical functions.
    pub(crate) canons: Vec<CanonRole>,
    /// By index in the component's space of functions: which version the function's type is (the type that it is
    /// imported, exported or lifted as).
    pub(crate) closed_funcs: Vec<Version>,
    /// By index in the component's space of types, for each type there that is an instance's and is used as the type of
    /// an import (or an export): which of its function exports have a closed version of their type. The others have the
    /// original.
    pub(crate) closed_exports: BTreeMap<u32, BTreeMap<String, Version>>,
    /// By number among the component's instantiations of components (`instantiate`, not inline exports): which
    /// component of the tree is instantiated, if it is one of the tree.
    pub(crate) instantiates: Vec<Option<usize>>,
    /// Whether it imports the ledger's host interface: it has a role for a canonical function that is not `Untouched`,
    /// or instantiates one that needs it.
    pub(crate) needs_ledger: bool,
    /// Whether handles of the engine's come into it, or go out of it.
    pub(crate) crosses: bool,
    /// Whether it imports what turns them into the ledger's: it crosses, or instantiates one that does.
    pub(crate) needs_crossings: bool,
    /// The imports that give the component the types of handles: one for each kind that it has.
    pub(crate) handles: Vec<Handle>,
    /// Why it can't import that, if it can't.
    pub(crate) no_crossing: Option<&'static str>,
}

/// An import of a component that is the type of a kind of handle, or an instance that exports that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Handle {
    pub(crate) kind: Kind,
    pub(crate) import: String,
    pub(crate) export: Option<String>,
}

/// Which version of a function's type is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Version {
    /// As it was.
    #[default]
    Original,
    /// What [`Signature::erased`] makes of this, with or without lists by window.
    Closed(Rc<Signature>, bool),
}

/// What becomes of a canonical function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CanonRole {
    /// It stays, indices aside.
    Untouched,
    /// `resource.drop` of one of ours: the table's.
    Drop(Kind),
    /// A lower of one of the package's functions whose type has handles: of the ledger's host function of that name.
    Builtin {
        /// As [`super::interface::Builtin`] names it.
        builtin: super::interface::Builtin,
        signature: Rc<Signature>,
    },
    /// A lower of a closed function with handles or plain lists.
    Lower {
        signature: Rc<Signature>,
        /// Whether lists of it go by window.
        lists: bool,
    },
    /// A lift of one.
    Lift {
        signature: Rc<Signature>,
        /// Whether lists of it go by window.
        lists: bool,
    },
    /// What gives handles to the engine.
    Crossing(Crossing),
}

impl ComponentRoles {
    /// Whether a canonical function of it has a role that needs the handle table.
    pub(crate) fn has_table(&self) -> bool {
        self.canons.iter().any(|role| *role != CanonRole::Untouched)
    }
}

impl Analysis {
    /// Whether nothing is to be done.
    pub(crate) fn is_identity(&self) -> bool {
        self.roles().all(|role| *role == CanonRole::Untouched)
    }

    /// The roles of all canonical functions of the tree.
    pub(crate) fn roles(&self) -> impl Iterator<Item = &CanonRole> {
        self.components.iter().flat_map(|component| &component.canons)
    }
}

#[cfg(test)]
mod tests;
