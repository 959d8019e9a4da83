//! Plans the baseline's output: which lowers get a refresh, and which index each old one becomes.
//!
//! Pure arithmetic. A refresh of the lower that defines core function `f` adds, right behind that lower, two core
//! instances (the refresh's argument and the refresh) and one core function (what the refresh exports). A component
//! with any refresh holds the refresh's module, as its core module 0. Nothing else moves.
//!
//! ```text
//! core functions, old:  0   1   L2  3   L4  5        L: a marked lower
//!                 new:  0   1   L2 R2  4   L5 R5  7  R: what its refresh exports
//! ```
//!
//! A use of an old function goes to the new index of that function, but for the marked lowers: a use of `L` goes to
//! its `R`. That is the whole point, and it makes the map no more than a count.

use crate::baseline::verify::FoundRefresh;
use crate::error::{RewriteError, broken};
use crate::tree::read::{Facts, Lower};

/// What becomes of a tree of components: of each, in the order of the facts.
#[derive(Debug)]
pub(crate) struct Plan(pub(crate) Vec<ComponentPlan>);

impl Plan {
    /// A refresh for each lower that has none.
    pub(crate) fn new(facts: &Facts<'_>, found: &[Vec<FoundRefresh>]) -> Result<Self, RewriteError> {
        if facts.components.len() != found.len() {
            return Err(broken!("it was not looked for refreshes in each component"));
        }
        let components = facts.components.iter().zip(found);
        components
            .map(|(component, found)| ComponentPlan::new(&component.lowers, found))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether nothing changes.
    pub(crate) fn is_identity(&self) -> bool {
        self.0.iter().all(ComponentPlan::is_identity)
    }
}

/// What becomes of one component.
#[derive(Clone, Debug, Default)]
pub(crate) struct ComponentPlan {
    /// The refreshes to put in, in the order of their lowers: strictly ascending in `func`, ascending in
    /// `core_instances`.
    refreshes: Vec<Refresh>,
}

/// A refresh to put in. All its indices are old ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refresh {
    /// The canonical function that is the lower.
    canon: u32,
    /// The core function that the lower defines.
    func: u32,
    /// How many core instances there are before it.
    core_instances: u32,
    /// The memory that the lower names.
    memory: u32,
}

/// Where a refresh goes. All indices are new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// The core function that the lower defines.
    pub(crate) lowered: u32,
    /// The memory that the lower names: memories don't move.
    pub(crate) memory: u32,
    /// The core instance that is the refresh's argument.
    pub(crate) argument: u32,
    /// The core instance that is the refresh.
    pub(crate) refresh: u32,
    /// The core function that the refresh exports.
    pub(crate) refreshed: u32,
}

impl ComponentPlan {
    fn new(lowers: &[Lower], found: &[FoundRefresh]) -> Result<Self, RewriteError> {
        if lowers.len() != found.len() {
            return Err(broken!("it was not looked for a refresh of each lower"));
        }
        let unguarded = lowers.iter().zip(found).filter(|(_, found)| found.is_err());
        let refreshes: Vec<_> = unguarded
            .map(|(lower, _)| Refresh {
                canon: lower.canon,
                func: lower.func,
                core_instances: lower.core_instances,
                memory: lower.memory,
            })
            .collect();
        let ordered =
            refreshes.is_sorted_by(|a, b| a.canon < b.canon && a.func < b.func && a.core_instances <= b.core_instances);
        if !ordered {
            return Err(broken!("the lowers of a component are not in order"));
        }
        Ok(ComponentPlan { refreshes })
    }

    pub(crate) fn is_identity(&self) -> bool {
        self.refreshes.is_empty()
    }

    /// The refresh's module, where there is one.
    pub(crate) const REFRESH_MODULE: u32 = 0;

    /// Where the refresh of the lower that is canonical function `canon` goes, if it gets one.
    pub(crate) fn refresh_of(&self, canon: u32) -> Option<Placed> {
        let nth = self.refreshes.binary_search_by_key(&canon, |r| r.canon);
        let nth = nth.ok()?;
        let refresh = self.refreshes.get(nth)?;
        // Each refresh before this one has added one function and two instances. An index space holds a million.
        let before = nth as u32;
        let lowered = refresh.func + before;
        let argument = refresh.core_instances + 2 * before;
        Some(Placed { lowered, memory: refresh.memory, argument, refresh: argument + 1, refreshed: lowered + 1 })
    }

    /// What a use of an old core function becomes: for a lower that gets a refresh, what the refresh exports.
    pub(crate) fn core_func(&self, old: u32) -> u32 {
        old.saturating_add(self.before(|refresh| refresh.func <= old))
    }

    /// The new index of an old core instance.
    pub(crate) fn core_instance(&self, old: u32) -> u32 {
        let before = self.before(|refresh| refresh.core_instances <= old);
        old.saturating_add(before.saturating_mul(2))
    }

    /// The new index of an old core module.
    pub(crate) fn module(&self, old: u32) -> u32 {
        old.saturating_add(u32::from(!self.is_identity()))
    }

    /// How many refreshes satisfy a predicate that is true of the first ones and false of the rest.
    fn before(&self, predicate: impl Fn(&Refresh) -> bool) -> u32 {
        self.refreshes.partition_point(predicate) as u32
    }
}

#[cfg(test)]
mod tests;
