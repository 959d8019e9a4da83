//! Classes of functions that are joined, and what becomes of each.

use std::collections::HashMap;
use std::rc::Rc;

use wasmparser::component_types::ResourceId;
use wasmparser::types::TypesRef;

use super::Settings;
use super::canon::Canon;
use super::graph::{Graph, Node};
use super::walk::Walker;
use crate::ledger::convert::{Conversions, Converter};
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
    lifted: bool,
    lowered: bool,
    signature: Option<Rc<Signature>>,
    /// Components have different ideas of its type.
    disagree: bool,
    is_async: bool,
    mentions: Option<Kind>,
}

/// What becomes of a class.
pub(super) enum Fate {
    /// The engine's way, without handles. If it has a list of plain data, why that doesn't go by window.
    Untouched(Option<Reason>),
    Builtin(Builtin, Rc<Signature>),
    Wrapped(Rc<Signature>, bool),
    /// The engine's way, with handles of the engine's: why.
    Crossing(Reason),
    Obstacle(Reason),
}

impl Walker<'_> {
    /// The classes of all functions that are lifted or lowered, and the types of all canonical functions. `None` if types
    /// are too large to tell.
    pub(super) fn classes(
        &mut self,
        types: TypesRef<'_>,
        kind: &impl Fn(&Graph, ResourceId) -> Option<Kind>,
    ) -> Option<(HashMap<Node, Class>, Conversions)> {
        let Walker { graph, components, .. } = self;
        let mut classes: HashMap<Node, Class> = HashMap::new();
        for component in components.iter() {
            for canon in &component.canons {
                let (func, options, lifted) = match *canon {
                    Canon::Lower(func, options) => (func, options, false),
                    Canon::Lift(func, options) => (func, options, true),
                    _ => continue,
                };
                let Some(func) = component.funcs.get(func as usize) else { continue };
                let class = classes.entry(graph.funcs.find(func.node)).or_default();
                class.lifted |= lifted;
                class.lowered |= !lifted;
                if let Some(why) = options.opening() {
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
            class.is_async |= converted.is_async;
            match (converted.signature, &class.signature) {
                (Ok(new), None) => class.signature = Some(new),
                (Ok(new), Some(old)) => class.disagree |= !Rc::ptr_eq(&new, old),
                (Err(why), _) => {
                    class.opened.get_or_insert(Opening::Unsupported(why));
                    class.disagree = true;
                }
            }
        }
        for component in components.iter() {
            for canon in &component.canons {
                let (about, given) = canon.values(component, types);
                about.into_iter().chain(given).for_each(|id| _ = converter.value(id));
            }
        }
        converter.finish().map(|types| (classes, types))
    }
}

/// What decides the fate of a class, of all of its signature.
#[derive(Clone, Copy, Default)]
struct Told {
    has_handles: bool,
    has_windows: bool,
    not_by_window: Option<&'static str>,
    cannot_be_closed: Option<&'static str>,
}

/// What becomes of each class. Many may be of one type, which is gone through once.
pub(super) fn fates(classes: HashMap<Node, Class>, settings: Settings) -> HashMap<Node, Fate> {
    let mut known: HashMap<*const Signature, Told> = HashMap::new();
    let mut told = |signature: &Rc<Signature>| {
        *known.entry(Rc::as_ptr(signature)).or_insert_with(|| Told {
            has_handles: signature.has_handles(),
            has_windows: signature.has_windows(),
            not_by_window: signature.why_not_by_window(),
            cannot_be_closed: signature.cannot_be_closed(),
        })
    };
    // The pointers are of what the conversions have, too.
    let fates = classes.into_iter().map(|(node, class)| {
        let told = class.signature.as_ref().map(&mut told).unwrap_or_default();
        (node, class.fate(told, settings))
    });
    fates.collect()
}

impl Class {
    fn fate(self, told: Told, settings: Settings) -> Fate {
        let is_async = self.is_async.then_some(Opening::Unsupported("is of an async type"));
        let opened = self.opened.or(is_async);
        let Some(kind) = self.mentions.filter(|_| told.has_handles || self.disagree || self.builtin.is_some()) else {
            let Some(signature) = self.signature.filter(|_| settings.lists && told.has_windows) else {
                // Nothing is lost if nobody calls it, or nobody is called.
                let could = settings.lists && self.builtin.is_none() && self.lifted && self.lowered;
                let why = told.not_by_window.filter(|_| could).map(Opening::Unsupported);
                return Fate::Untouched(why.map(|how| Reason::NoWindow { how }));
            };
            return match opened {
                _ if self.builtin.is_some() => Fate::Untouched(None),
                Some(how) => Fate::Untouched(Some(Reason::NoWindow { how })),
                None if self.disagree => Fate::Untouched(Some(Reason::TypesDisagree)),
                // Nobody calls it, or nobody is called.
                None if !self.lifted || !self.lowered => Fate::Untouched(None),
                None => Fate::Wrapped(signature, true),
            };
        };
        if let Some(builtin) = self.builtin {
            return match self.signature.filter(|_| !self.disagree) {
                _ if self.two_builtins || self.lifted => Fate::Obstacle(Reason::Mixed),
                // It may be somebody else's function too, which must not be taken for the package's.
                _ if let Some(how) = opened => Fate::Obstacle(Reason::Open { kind, how }),
                Some(signature) if *signature == builtin.signature() => Fate::Builtin(builtin, signature),
                _ => Fate::Obstacle(Reason::OtherType),
            };
        }
        if let Some(how) = opened {
            return Fate::Crossing(Reason::Open { kind, how });
        }
        let Some(signature) = self.signature.filter(|_| !self.disagree) else {
            return Fate::Crossing(Reason::TypesDisagree);
        };
        match told.cannot_be_closed {
            Some(why) => Fate::Crossing(Reason::Open { kind, how: Opening::Unsupported(why) }),
            // Even if nobody calls it, or nobody is called.
            None => Fate::Wrapped(signature, settings.lists && told.has_windows),
        }
    }
}
