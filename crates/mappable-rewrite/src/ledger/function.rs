//! Which way the calls of one function go, and why not the other.

use super::obstacle::Reason;

/// A function that a component lifts or lowers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionReport {
    /// What the component imports, aliases or exports it as, such as `wasi:io/streams@0.2.0#[method]input-stream.read`, where
    /// that is known.
    pub function: Option<String>,
    /// Whether the component offers it (`canon lift`) or calls it (`canon lower`).
    pub lift: bool,
    /// Which way calls go.
    pub route: Route,
}

/// Who carries the handles and lists of a call from one component to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route {
    /// The engine's adapters, as everywhere: no region's handle is in its type.
    Engine {
        /// If there is a list of plain data in its type, why that doesn't go by window.
        why: Option<Reason>,
    },
    /// The engine's adapters, with handles of the engine's: the whole tree is of the baseline tier.
    Baseline {
        /// What about this very function stands in the way of the ledger. None if nothing does: another function, or
        /// something else that the tree's obstacle names, keeps it here.
        why: Option<Reason>,
    },
    /// The engine's adapters, with handles of the engine's, in a tree that is of the ledger tier otherwise. A region that
    /// comes this way becomes the ledger's when it is first mapped or handed on.
    Crossing {
        /// Why not the ledger's wrappers.
        why: Reason,
    },
    /// The ledger's wrappers.
    Ledger,
}
