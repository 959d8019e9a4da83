//! Classes of functions that are joined, and what becomes of each.

use std::collections::HashMap;
use std::rc::Rc;

use wasmparser::component_types::ResourceId;
use wasmparser::types::TypesRef;

use super::Settings;
use super::canon::Canon;
use super::graph::{Graph, Node};
use super::walk::Walker;
use crate::ledger::convert::Converter;
use crate::ledger::interface::Builtin;
use crate::ledger::obstacle::{Opening, Reason};
use crate::ledger::signature::{Kind, Signature};

/// A class of functions.
#[derive(Default)]
pub(super) struct Class {
    builtin: Option<Builtin>,
    /// It is two of the package's functions.
    two_builtins: bool,
    opened: Option<Opening>,
    /// It is the embedder's, or for it. Without a bridge that opens it.
    crosses: Option<Opening>,
    lifted: bool,
    lowered: bool,
    signature: Option<Rc<Signature>>,
    /// Components have different ideas of its type.
    disagree: bool,
    mentions: Option<Kind>,
}

/// What becomes of a class.
pub(super) enum Fate {
    /// The engine's way. If it has a list of plain data, why that doesn't go by window.
    Untouched(Option<Reason>),
    Builtin(Builtin, Rc<Signature>),
    Wrapped(Rc<Signature>, bool),
    Obstacle(Reason),
}

impl Walker<'_> {
    /// The classes of all functions that are lifted or lowered, and whether types were too large to tell.
    pub(super) fn classes(
        &mut self,
        types: TypesRef<'_>,
        kind: &impl Fn(&Graph, ResourceId) -> Option<Kind>,
    ) -> (HashMap<Node, Class>, bool) {
        let Walker { graph, components, .. } = self;
        let mut classes: HashMap<Node, Class> = HashMap::new();
        for component in components.iter() {
            for canon in &component.canons {
                let (func, unsupported, lifted) = match *canon {
                    Canon::Lower(func, unsupported) => (func, unsupported, false),
                    Canon::Lift(func, unsupported) => (func, unsupported, true),
                    _ => continue,
                };
                let Some(func) = component.funcs.get(func as usize) else { continue };
                let class = classes.entry(graph.funcs.find(func.node)).or_default();
                class.lifted |= lifted;
                class.lowered |= !lifted;
                if let Some(why) = unsupported {
                    class.opened.get_or_insert(Opening::Unsupported(why));
                }
            }
        }
        for at in 0..graph.builtins.len() {
            let Some(&(node, builtin)) = graph.builtins.get(at) else { break };
            if let Some(class) = classes.get_mut(&graph.funcs.find(node)) {
                class.two_builtins |= class.builtin.is_some_and(|other| other != builtin);
                class.builtin = Some(builtin);
            }
        }
        for at in 0..graph.opened.len() {
            let Some((node, how)) = graph.opened.get(at).cloned() else { break };
            if let Some(class) = classes.get_mut(&graph.funcs.find(node)) {
                class.opened.get_or_insert(how);
            }
        }
        for at in 0..graph.crossings.len() {
            let Some((node, how)) = graph.crossings.get(at).cloned() else { break };
            if let Some(class) = classes.get_mut(&graph.funcs.find(node)) {
                class.crosses.get_or_insert(how);
            }
        }
        let mut uses = std::mem::take(&mut graph.types);
        uses.extend(components.iter().flat_map(|component| &component.funcs).map(|func| (func.node, func.ty)));
        for (node, _) in &mut uses {
            *node = graph.funcs.find(*node);
        }
        let mut converter = Converter::new(types, |id| kind(graph, id));
        for (node, ty) in uses {
            let Some(class) = classes.get_mut(&node) else { continue };
            let converted = converter.func(ty);
            class.mentions = class.mentions.or(converted.mentions);
            match (converted.signature, &class.signature) {
                (Ok(new), None) => class.signature = Some(new),
                (Ok(new), Some(old)) => class.disagree |= !Rc::ptr_eq(&new, old) && new != *old,
                (Err(why), _) => {
                    class.opened.get_or_insert(Opening::Unsupported(why));
                }
            }
        }
        let exhausted = converter.exhausted();
        (classes, exhausted)
    }
}

impl Class {
    /// `no_bridges`: why the tree can have no bridges, if it can't.
    pub(super) fn fate(self, settings: Settings, no_bridges: Option<&'static str>) -> Fate {
        let Some(kind) = self.mentions else {
            let Some(signature) = self.signature.filter(|signature| settings.lists && signature.has_windows()) else {
                return Fate::Untouched(None);
            };
            return match self.opened.or(self.crosses) {
                _ if self.builtin.is_some() => Fate::Untouched(None),
                Some(how) => Fate::Untouched(Some(Reason::NoWindow { how })),
                None if self.disagree => Fate::Untouched(Some(Reason::TypesDisagree)),
                // Nobody calls it, or nobody is called.
                None if !self.lifted || !self.lowered => Fate::Untouched(None),
                None => Fate::Wrapped(signature, true),
            };
        };
        if let Some(how) = self.opened {
            return Fate::Obstacle(Reason::Open { kind, how });
        }
        let Some(signature) = self.signature.filter(|_| !self.disagree) else {
            return Fate::Obstacle(Reason::TypesDisagree);
        };
        match self.builtin {
            Some(_) if self.two_builtins || self.lifted => Fate::Obstacle(Reason::Mixed),
            Some(builtin) if *signature != builtin.signature() => Fate::Obstacle(Reason::OtherType),
            Some(builtin) => match self.crosses {
                Some(how) => Fate::Obstacle(Reason::Open { kind, how }),
                None => Fate::Builtin(builtin, signature),
            },
            None if let Some(how) = self.crosses => match no_bridges.or(signature.cannot_cross()) {
                Some(why) => Fate::Obstacle(Reason::NoBridge { kind, how, why }),
                // One that crosses has no lists.
                None => Fate::Wrapped(signature, false),
            },
            // Even if nobody calls it, or nobody is called: no function with a real handle is left.
            None => {
                let lists = settings.lists && signature.has_windows();
                Fate::Wrapped(signature, lists)
            }
        }
    }
}
