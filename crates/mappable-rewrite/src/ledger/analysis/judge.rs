//! The judgement: which classes are closed, what becomes of each canonical function, or what stands in the way.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use wasmparser::FuncType;
use wasmparser::component_types::{ComponentAnyTypeId, ComponentValType, ResourceId};
use wasmparser::types::TypesRef;

use super::canon::Canon;
use super::class::Fate;
use super::component::{Component, Func, Use};
use super::graph::{Graph, Node};
use super::resources::{Kinds, kinds};
use super::walk::Walker;
use super::{Analysis, Bridges, CanonRole, ComponentRoles, Judgement, Settings, Stop, Version};
use crate::error::{RewriteError, broken};
use crate::ledger::convert::Converter;
use crate::ledger::function::FunctionReport;
use crate::ledger::obstacle::{Obstacle, Opening, Reason};
use crate::ledger::signature::Kind;
use crate::tree::read::{ComponentFacts, Facts};

impl Walker<'_> {
    /// The end of the tree that `facts` are of: what becomes of it.
    pub(crate) fn finish(
        mut self,
        facts: &Facts<'_>,
        types: TypesRef<'_>,
        settings: Settings,
    ) -> Result<Judgement, RewriteError> {
        if facts.components.len() != self.components.len() || self.ended.len() != self.components.len() {
            return Err(broken!("the facts are of another tree"));
        }
        let mut functions = Vec::new();
        let judged = if self.graph.too_large() {
            Err((0, None, Reason::TooLarge))
        } else {
            let firsts = self.join_uses();
            match kinds(&mut self.graph) {
                Ok(kinds) => self.judge(facts, types, settings, &kinds, &firsts, &mut functions),
                Err(why) => Err(why),
            }
        };
        let outcome = match judged {
            Ok(analysis) => Ok(analysis),
            Err((component, function, reason)) => {
                let facts = facts.components.get(component).ok_or_else(|| broken!("an obstacle in no component"))?;
                let (component, name) = (facts.path.clone(), facts.name.map(str::to_owned));
                Err(Obstacle { component, name, function, reason })
            }
        };
        Ok(Judgement { outcome, functions })
    }

    /// Joins what goes by one instance's type, wherever it is another's name. Gives for each the first use, and says
    /// which types have a definition that is known.
    fn join_uses(&mut self) -> Firsts {
        let mut firsts = HashMap::new();
        for (index, component) in self.components.iter().enumerate() {
            for (nth, used) in component.uses.iter().enumerate() {
                let Some(origin) = component.types.get(used.ty as usize).and_then(|ty| ty.origin) else {
                    // Its definition is written elsewhere, where only one version is known.
                    used.funcs.values().for_each(|node| self.graph.open(*node, Opening::Unknown));
                    continue;
                };
                let (index, nth) = *firsts.entry(origin).or_insert((index, nth));
                let first = self.components.get(index).and_then(|component| component.uses.get(nth));
                // What the embedder has it by stays as it is, so what is between components can't go by it.
                let shared = first.filter(|first| !std::ptr::eq(*first, used));
                for one in shared.iter().flat_map(|first| [*first, used]) {
                    let how = one.outside.iter();
                    how.for_each(|how| one.funcs.values().for_each(|node| self.graph.open(*node, how.clone())));
                }
                for (name, node) in first.iter().flat_map(|first| &first.funcs) {
                    match used.funcs.get(name) {
                        Some(other) => self.graph.funcs.join(*node, *other),
                        None => self.graph.open(*node, Opening::Unknown),
                    }
                }
            }
        }
        firsts
    }

    fn judge(
        &mut self,
        facts: &Facts<'_>,
        types: TypesRef<'_>,
        settings: Settings,
        kinds: &Kinds,
        firsts: &Firsts,
        functions: &mut Vec<Vec<FunctionReport>>,
    ) -> Result<Analysis, Stop> {
        let kind = |graph: &Graph, id: ResourceId| {
            let number = graph.known_resource(id)?;
            kinds.get(number as usize).copied().flatten()
        };
        let escaped = self.graph.escaped.iter();
        let mut escaped = escaped.filter_map(|(index, id)| Some((*index, kind(&self.graph, *id)?)));
        if let Some((index, kind)) = escaped.next() {
            return Err((index, None, Reason::Escapes { kind }));
        }
        let (classes, exhausted) = self.classes(types, &kind);
        if exhausted {
            return Err((0, None, Reason::TooLarge));
        }
        let no_bridges = self.no_bridges();
        let fates = classes.into_iter().map(|(node, class)| (node, class.fate(settings, no_bridges))).collect();

        let has_bridges = no_bridges.is_none();
        let (graph, components) = (&mut self.graph, &self.components);
        let mut judge = Judge { graph, components, fates, firsts, types, kind, has_bridges };
        *functions = judge.functions();
        let components = facts.components.iter().enumerate();
        let components = components.map(|(index, facts)| judge.component(index, facts)).collect::<Result<_, _>>()?;
        let bridges = if has_bridges { judge.bridges() } else { Ok(Bridges::default()) };
        if bridges.is_err() {
            // What has no bridge says so now.
            *functions = judge.functions();
        }
        let bridges = bridges?;
        let mut analysis = Analysis { components, bridges };
        self.spread_the_need(&mut analysis);
        Ok(analysis)
    }

    /// Says of each component whether it needs the ledger: whatever it can instantiate has ended before it.
    fn spread_the_need(&self, analysis: &mut Analysis) {
        for &index in &self.ended {
            let Some(roles) = analysis.components.get(index) else { continue };
            let needs = roles.canons.iter().any(|role| *role != CanonRole::Untouched)
                || roles
                    .instantiates
                    .iter()
                    .flatten()
                    .any(|&inner| analysis.components.get(inner).is_some_and(|component| component.needs_ledger));
            if let Some(roles) = analysis.components.get_mut(index) {
                roles.needs_ledger = needs;
            }
        }
    }
}

/// What is known when components are judged, one by one.
pub(super) struct Judge<'j, 'a, K> {
    pub(super) graph: &'j mut Graph,
    pub(super) components: &'j [Component<'a>],
    pub(super) fates: HashMap<Node, Fate>,
    firsts: &'j Firsts,
    pub(super) types: TypesRef<'j>,
    /// Which resources are ours.
    kind: K,
    /// Whether the tree can have bridges.
    has_bridges: bool,
}

impl<'j, 'a, K: Fn(&Graph, ResourceId) -> Option<Kind>> Judge<'j, 'a, K> {
    fn component(&mut self, index: usize, facts: &ComponentFacts<'_>) -> Result<ComponentRoles, Stop> {
        let components = self.components;
        // There are as many as facts.
        let Some(component) = components.get(index) else { return Ok(ComponentRoles::default()) };
        let mut roles = ComponentRoles {
            name: facts.name.map_or_else(|| facts.path.to_string(), str::to_owned),
            instantiates: component.instantiates.clone(),
            ..ComponentRoles::default()
        };
        for canon in &component.canons {
            match self.role(component, canon) {
                Ok(role) => roles.canons.push(role),
                Err((func, reason)) => {
                    let function = func.and_then(|func| function_name(self.graph, components, func));
                    return Err((index, function, reason));
                }
            }
        }
        for lower in &facts.lowers {
            if !matches!(roles.canons.get(lower.canon as usize), Some(CanonRole::Builtin { .. })) {
                return Err((index, lower.function.clone(), Reason::UnknownSwap));
            }
        }
        let is_wrapped = roles.canons.iter().any(|role| *role != CanonRole::Untouched);
        if is_wrapped && facts.leaving.values().any(has_types_of_its_own) {
            return Err((index, None, Reason::TypesOfItsOwn));
        }
        roles.closed_funcs = component.funcs.iter().map(|func| self.version(func.node)).collect();
        for at in 0..component.types.len() as u32 {
            self.ty(component, at, &mut roles);
        }
        match component.uses.iter().find_map(|used| self.disagreement(component, used)) {
            Some(export) => Err((index, None, Reason::ExportsDisagree { export })),
            None => Ok(roles),
        }
    }

    pub(super) fn ours(&self, id: ResourceId) -> Option<Kind> {
        (self.kind)(self.graph, id)
    }

    pub(super) fn version(&mut self, node: Node) -> Version {
        match self.fates.get(&self.graph.funcs.find(node)) {
            Some(Fate::Wrapped(signature, true)) => Version::Windowed(Rc::clone(signature)),
            Some(Fate::Wrapped(_, false)) => Version::Closed,
            _ => Version::Original,
        }
    }

    /// The first use of an instance's type, wherever that is.
    fn first_use(&self, component: &Component<'_>, ty: u32) -> Option<&'j Use> {
        let origin = component.types.get(ty as usize)?.origin?;
        let &(index, nth) = self.firsts.get(&origin)?;
        self.components.get(index)?.uses.get(nth)
    }

    /// What is to be known of the type at an index.
    fn ty(&mut self, component: &Component<'_>, at: u32, roles: &mut ComponentRoles) {
        match component.types.get(at as usize).map(|ty| ty.id) {
            Some(ComponentAnyTypeId::Resource(id)) => {
                roles.kinds.extend(self.ours(id.resource()).map(|kind| (at, kind)));
            }
            Some(ComponentAnyTypeId::Instance(_)) => {
                let Some(first) = self.first_use(component, at) else { return };
                let mut closed = BTreeMap::new();
                for (name, node) in first.funcs.iter().filter(|_| first.outside.is_none()) {
                    let version = self.version(*node);
                    if version != Version::Original {
                        closed.insert(name.clone(), version);
                    }
                }
                let mut ours = BTreeMap::new();
                for (name, id) in &first.resources {
                    ours.extend(self.ours(*id).map(|kind| (name.clone(), kind)));
                }
                if self.has_bridges && first.outside.is_some() {
                    roles.outside.insert(at);
                }
                if !closed.is_empty() {
                    roles.closed_exports.insert(at, closed);
                }
                if !ours.is_empty() {
                    roles.instance_kinds.insert(at, ours);
                }
            }
            _ => {}
        }
    }

    /// The name of a resource that is another in this use of a type than in the first.
    fn disagreement(&self, component: &Component<'_>, used: &Use) -> Option<String> {
        let first = self.first_use(component, used.ty);
        let differs = |(name, id): &(&String, &ResourceId)| {
            // Of a type whose definition is not known none is ours.
            let known = first.and_then(|first| first.resources.get(*name));
            self.ours(**id) != known.and_then(|id| self.ours(*id))
        };
        used.resources.iter().find(differs).map(|(name, _)| name.clone())
    }

    fn role<'c>(
        &mut self,
        component: &'c Component<'a>,
        canon: &Canon,
    ) -> Result<CanonRole, (Option<&'c Func<'a>>, Reason)> {
        let (func, lift) = match canon {
            Canon::Lower(func, _) => (*func, false),
            Canon::Lift(func, _) => (*func, true),
            Canon::Drop(ty) => {
                return Ok(match component.types.get(*ty as usize).map(|ty| ty.id) {
                    Some(ComponentAnyTypeId::Resource(id)) => {
                        self.ours(id.resource()).map_or(CanonRole::Untouched, CanonRole::Drop)
                    }
                    _ => CanonRole::Untouched,
                });
            }
            Canon::Builtin(builtin, about) => {
                let mut converter = Converter::new(self.types, |id| self.ours(id));
                for ty in about.iter().filter_map(|ty| component.defined(*ty)) {
                    if let Some(kind) = converter.mentioned(&ComponentValType::Type(ty)) {
                        return Err((None, Reason::Builtin { builtin, kind }));
                    }
                }
                return Ok(CanonRole::Untouched);
            }
        };
        let Some(func) = component.funcs.get(func as usize) else {
            return Ok(CanonRole::Untouched);
        };
        Ok(match self.fates.get(&self.graph.funcs.find(func.node)) {
            Some(Fate::Obstacle(reason)) => {
                return Err((Some(func), reason.clone()));
            }
            Some(Fate::Builtin(builtin, signature)) if !lift => {
                CanonRole::Builtin { builtin: *builtin, signature: (**signature).clone() }
            }
            Some(Fate::Wrapped(signature, lists)) => {
                let (signature, lists) = ((**signature).clone(), *lists);
                if lift { CanonRole::Lift { signature, lists } } else { CanonRole::Lower { signature, lists } }
            }
            _ => CanonRole::Untouched,
        })
    }
}

/// By the component and index of an instance's type: the component and the number there of its first use.
type Firsts = HashMap<(usize, u32), (usize, usize)>;

/// What a component calls a function, or where it has no name there, what the first does that has one.
fn function_name(graph: &mut Graph, components: &[Component<'_>], func: &Func<'_>) -> Option<String> {
    func.name.in_full().or_else(|| {
        let class = graph.funcs.find(func.node);
        components.iter().find_map(|component| {
            // An export's name comes after an import's, and says more.
            let mut funcs = component.funcs.iter().rev().filter(|func| graph.funcs.find(func.node) == class);
            funcs.find_map(|func| func.name.in_full())
        })
    })
}

/// Whether a core function's type names others, so that no module but one that has them can import it.
fn has_types_of_its_own(ty: &FuncType) -> bool {
    ty.params().iter().chain(ty.results()).any(|ty| wasm_encoder::ValType::try_from(*ty).is_err())
}
