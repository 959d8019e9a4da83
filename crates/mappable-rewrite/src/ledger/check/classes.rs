//! Whether all who lift and lower a function have wrappers for the same type, or none has one.
//!
//! Functions are joined as they are passed, aliased and exported, over all instantiations of a component at once: a
//! *class* of functions is all that may turn out to be one. What instances export is joined likewise, by name, as far
//! as anybody asks for it.

use std::collections::{HashMap, HashSet};

use crate::error::{Bug, RewriteError, broken};
use crate::ledger::unsound::Unsound;
use crate::path::ComponentPath;

/// A function, or an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node(usize);

/// What is known of the functions of a class, or the instances.
#[derive(Default)]
struct Class<'a, 't> {
    exports: HashMap<&'a str, Node>,
    /// The host, or a component that is not known, has it: it has no wrapper there.
    open: bool,
    /// A lift or lower of it that has no wrapper, or that has one.
    bare: bool,
    /// What each of those was made for.
    wrappers: Vec<&'t HashSet<u32>>,
    site: Option<(ComponentPath, u32)>,
}

#[derive(Default)]
pub(super) struct Classes<'a, 't> {
    /// What each is joined to, or itself.
    joined: Vec<usize>,
    classes: Vec<Class<'a, 't>>,
}

impl<'a, 't> Classes<'a, 't> {
    pub(super) fn node(&mut self) -> Node {
        let node = self.joined.len();
        self.joined.push(node);
        self.classes.push(Class::default());
        Node(node)
    }

    fn find(&mut self, node: Node) -> usize {
        let mut at = node.0;
        while self.joined[at] != at {
            self.joined[at] = self.joined[self.joined[at]];
            at = self.joined[at];
        }
        at
    }

    /// The two may turn out to be one.
    pub(super) fn join(&mut self, a: Node, b: Node) {
        let mut todo = vec![(a, b)];
        while let Some((a, b)) = todo.pop() {
            let (mut a, mut b) = (self.find(a), self.find(b));
            if a == b {
                continue;
            }
            let size = |class: &Class<'_, '_>| class.exports.len() + class.wrappers.len();
            if size(&self.classes[a]) < size(&self.classes[b]) {
                std::mem::swap(&mut a, &mut b);
            }
            self.joined[b] = a;
            let from = std::mem::take(&mut self.classes[b]);
            let into = &mut self.classes[a];
            into.open |= from.open;
            into.bare |= from.bare;
            into.wrappers.extend(from.wrappers);
            into.site = into.site.take().or(from.site);
            for (name, node) in from.exports {
                if let Some(other) = into.exports.insert(name, node) {
                    todo.push((other, node));
                }
            }
        }
    }

    /// What an instance exports by a name.
    pub(super) fn export(&mut self, instance: Node, name: &'a str) -> Node {
        let class = self.find(instance);
        if let Some(node) = self.classes[class].exports.get(name) {
            return *node;
        }
        let node = self.node();
        self.classes[class].exports.insert(name, node);
        node
    }

    /// The host has it, or a component that is not known.
    pub(super) fn open(&mut self, node: Node) {
        let class = self.find(node);
        self.classes[class].open = true;
    }

    /// It is lifted or lowered by a canonical function, with a wrapper for these types or with none.
    pub(super) fn used(
        &mut self,
        node: Node,
        wrapper: Option<&'t HashSet<u32>>,
        component: &ComponentPath,
        canon: u32,
    ) {
        let class = self.find(node);
        let class = &mut self.classes[class];
        match wrapper {
            Some(made_for) => class.wrappers.push(made_for),
            None => class.bare = true,
        }
        if class.site.is_none() || wrapper.is_some() {
            class.site = Some((component.clone(), canon));
        }
    }

    /// Refuses a tree in which the wrappers of a class are not all for the same type.
    pub(super) fn finish(mut self) -> Result<(), RewriteError> {
        let mut todo: Vec<usize> = (0..self.classes.len()).filter(|class| self.classes[*class].open).collect();
        while let Some(class) = todo.pop() {
            let exports: Vec<Node> = self.classes[class].exports.values().copied().collect();
            for node in exports {
                let export = self.find(node);
                if !std::mem::replace(&mut self.classes[export].open, true) {
                    todo.push(export);
                }
            }
        }
        for mut class in self.classes {
            // Many functions may have a wrapper that was made for many types: each of those is looked at once.
            class.wrappers.sort_unstable_by_key(|made_for| (made_for.len(), std::ptr::from_ref(*made_for)));
            class.wrappers.dedup_by(|a, b| std::ptr::eq(*a, *b));
            let Some((fewest, rest)) = class.wrappers.split_first() else { continue };
            let one_type = fewest.iter().any(|number| rest.iter().all(|made_for| made_for.contains(number)));
            if class.open || class.bare || !one_type {
                let (component, canon) = class.site.ok_or_else(|| broken!("a wrapper is nowhere"))?;
                return Err(Bug::Unsound { component, what: Unsound::OneSided(canon) }.into());
            }
        }
        Ok(())
    }
}
