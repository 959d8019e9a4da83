//! Which way each function's calls go, told of all functions where the judgement stops at the first obstacle.

use std::collections::HashMap;

use wasmparser::component_types::ResourceId;

use super::canon::Canon;
use super::class::Fate;
use super::graph::Graph;
use super::judge::Judge;
use crate::ledger::function::{FunctionReport, Route};
use crate::ledger::signature::Kind;

impl<K: Fn(&Graph, ResourceId) -> Option<Kind>> Judge<'_, '_, K> {
    /// The lifts and lowers of each component, as they are if nothing else stands in the way of the ledger.
    pub(super) fn functions(&mut self) -> Vec<Vec<FunctionReport>> {
        // What a component has no name for is called as the first does that has one. An export's name comes after an
        // import's, and says more.
        let mut names = HashMap::new();
        for func in self.components.iter().flat_map(|component| component.funcs.iter().rev()) {
            if let Some(name) = func.name.in_full() {
                names.entry(self.graph.funcs.find(func.node)).or_insert(name);
            }
        }
        let mut functions = Vec::with_capacity(self.components.len());
        for component in self.components {
            let canons = component.canons.iter().filter_map(|canon| {
                let (func, lift) = match *canon {
                    Canon::Lower(func, _) => (func, false),
                    Canon::Lift(func, _) => (func, true),
                    _ => return None,
                };
                let func = component.funcs.get(func as usize)?;
                let class = self.graph.funcs.find(func.node);
                let route = match self.fates.get(&class) {
                    Some(Fate::Builtin(..) | Fate::Wrapped(..)) => Route::Ledger,
                    Some(Fate::Crossing(why)) => Route::Crossing { why: why.clone() },
                    Some(Fate::Obstacle(reason)) => Route::Baseline { why: Some(reason.clone()) },
                    Some(Fate::Untouched(why)) => Route::Engine { why: why.clone() },
                    None => Route::Engine { why: None },
                };
                let function = func.name.in_full().or_else(|| names.get(&class).cloned());
                Some(FunctionReport { function, lift, route })
            });
            functions.push(canons.collect());
        }
        functions
    }
}
