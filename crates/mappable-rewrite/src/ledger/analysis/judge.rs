//! The judgement: which classes are closed, what becomes of each canonical function, or what stands in the way.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use wasmparser::FuncType;
use wasmparser::component_types::{ComponentAnyTypeId, ComponentDefinedTypeId, ComponentFuncTypeId, ResourceId};
use wasmparser::types::TypesRef;

use super::canon::{Canon, Give, Options};
use super::class::{Fate, fates};
use super::component::{Component, Func, Use};
use super::graph::{Graph, Node};
use super::resources::{Kinds, kinds};
use super::walk::Walker;
use super::{Analysis, CanonRole, ComponentRoles, Handle, Judgement, Settings, Stop, Version};
use crate::error::{RewriteError, broken};
use crate::ledger::convert::{Conversions, ConvertedValue};
use crate::ledger::function::FunctionReport;
use crate::ledger::modules::Crossing;
use crate::ledger::obstacle::{Obstacle, Opening, Reason};
use crate::ledger::signature::{Kind, MAX_FLAT_ASYNC_PARAMS, Value, flat_params};
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
                Err(Obstacle { function, ..Obstacle::of(&facts.path, facts.name, reason) })
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
        let (classes, converted) = self.classes(types, &kind).ok_or((0, None, Reason::TooLarge))?;
        let fates = fates(classes, settings);
        let (graph, components) = (&mut self.graph, &self.components);
        let mut judge = Judge { graph, components, fates, converted, crossings: HashMap::new(), firsts, types, kind };
        *functions = judge.functions();
        let components = facts.components.iter().enumerate();
        let components = components.map(|(index, facts)| judge.component(index, facts)).collect::<Result<_, _>>()?;
        let mut analysis = Analysis { components };
        self.spread_the_need(&mut analysis);
        let stopped = analysis.components.iter().enumerate().find_map(|(index, roles)| {
            let why = roles.no_crossing.filter(|_| roles.needs_crossings)?;
            Some((index, None, Reason::NoCrossing { why }))
        });
        stopped.map_or(Ok(analysis), Err)
    }

    /// Says of each component whether it needs the ledger: whatever it can instantiate has ended before it.
    fn spread_the_need(&self, analysis: &mut Analysis) {
        for &index in &self.ended {
            let Some(roles) = analysis.components.get(index) else { continue };
            let within = || roles.instantiates.iter().flatten().filter_map(|&inner| analysis.components.get(inner));
            let needs_ledger = roles.has_table() || within().any(|inner| inner.needs_ledger);
            let needs_crossings = roles.crosses && roles.has_table() || within().any(|inner| inner.needs_crossings);
            if let Some(roles) = analysis.components.get_mut(index) {
                (roles.needs_ledger, roles.needs_crossings) = (needs_ledger, needs_crossings);
            }
        }
    }
}

/// What is known when components are judged, one by one.
pub(super) struct Judge<'j, 'a, K> {
    pub(super) graph: &'j mut Graph,
    pub(super) components: &'j [Component<'a>],
    pub(super) fates: HashMap<Node, Fate>,
    /// The types of all canonical functions.
    converted: Conversions,
    /// What becomes of the lifts and lowers of a type that go the engine's way: there may be many of one.
    crossings: HashMap<(ComponentFuncTypeId, Options, bool), Result<Crosses, Reason>>,
    firsts: &'j Firsts,
    pub(super) types: TypesRef<'j>,
    /// Which resources are ours.
    kind: K,
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
                Ok((role, crosses)) => {
                    roles.canons.push(role);
                    roles.crosses |= crosses;
                }
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
        if roles.has_table() && facts.leaving.values().any(has_types_of_its_own) {
            return Err((index, None, Reason::TypesOfItsOwn));
        }
        self.handles(component, &mut roles);
        roles.closed_funcs = component.funcs.iter().map(|func| self.version(func.node)).collect();
        for at in 0..component.types.len() as u32 {
            self.ty(component, at, &mut roles);
        }
        Ok(roles)
    }

    /// Finds the imports that give a component the types of handles.
    fn handles(&self, component: &Component<'_>, roles: &mut ComponentRoles) {
        let mut seen: BTreeMap<Kind, ResourceId> = BTreeMap::new();
        for source in &component.sources {
            let Some(kind) = self.ours(source.id) else { continue };
            match seen.insert(kind, source.id) {
                Some(other) if other == source.id => continue,
                // The engine tells their handles apart.
                Some(_) => roles.no_crossing = Some("imports a kind of handle as two types"),
                None if source.late => {
                    roles.no_crossing =
                        Some("imports a kind of handle after it has instantiated a component or lowered a function");
                }
                None => {}
            }
            let (import, export) = (source.import.to_owned(), source.export.clone());
            roles.handles.push(Handle { kind, import, export });
        }
    }

    pub(super) fn ours(&self, id: ResourceId) -> Option<Kind> {
        (self.kind)(self.graph, id)
    }

    pub(super) fn version(&mut self, node: Node) -> Version {
        match self.fates.get(&self.graph.funcs.find(node)) {
            Some(Fate::Wrapped(signature, lists)) => Version::Closed(Rc::clone(signature), *lists),
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
        if let Some(ComponentAnyTypeId::Instance(_)) = component.types.get(at as usize).map(|ty| ty.id) {
            let Some(first) = self.first_use(component, at) else { return };
            let mut closed = BTreeMap::new();
            for (name, node) in &first.funcs {
                let version = self.version(*node);
                if version != Version::Original {
                    closed.insert(name.clone(), version);
                }
            }
            if !closed.is_empty() {
                roles.closed_exports.insert(at, closed);
            }
        }
    }

    /// What becomes of a canonical function, and whether by it handles of the engine's come or go.
    fn role<'c>(
        &mut self,
        component: &'c Component<'a>,
        canon: &Canon,
    ) -> Result<Crosses, (Option<&'c Func<'a>>, Reason)> {
        let (func, options, lift) = match canon {
            Canon::Lower(func, options) => (*func, *options, false),
            Canon::Lift(func, options) => (*func, *options, true),
            Canon::Drop(ty) => {
                let role = match component.types.get(*ty as usize).map(|ty| ty.id) {
                    Some(ComponentAnyTypeId::Resource(id)) => self.ours(id.resource()).map(CanonRole::Drop),
                    _ => None,
                };
                return Ok((role.unwrap_or(CanonRole::Untouched), false));
            }
            Canon::Give(give, _, options) => {
                let (about, given) = canon.values(component, self.types);
                let Some(kind) = about.and_then(|id| self.value(id)).map(|about| about.mentions) else {
                    return Ok((CanonRole::Untouched, false));
                };
                let open = |why| (None, Reason::Open { kind, how: Opening::Unsupported(why) });
                let given = given.and_then(|id| self.value(id));
                let value = given.map(|given| given.value.clone()).transpose().map_err(open)?;
                let Some(value) = value.filter(|_| given.is_some_and(|given| given.has_handles)) else {
                    return Ok((CanonRole::Untouched, true));
                };
                if let Some(why) = options.unsupported {
                    return Err(open(why));
                }
                let crossing = match give {
                    Give::TaskReturn => Crossing::TaskReturn(value),
                    Give::StreamWrite => Crossing::StreamWrite(value),
                    Give::FutureWrite => Crossing::FutureWrite(value),
                };
                return Ok((CanonRole::Crossing(crossing), true));
            }
            Canon::About(_) => {
                let (about, _) = canon.values(component, self.types);
                let mentioned = about.is_some_and(|id| self.value(id).is_some());
                return Ok((CanonRole::Untouched, mentioned));
            }
            Canon::Other => return Ok((CanonRole::Untouched, false)),
        };
        let Some(func) = component.funcs.get(func as usize) else {
            return Ok((CanonRole::Untouched, false));
        };
        let role = match self.fates.get(&self.graph.funcs.find(func.node)) {
            Some(Fate::Obstacle(reason)) => return Err((Some(func), reason.clone())),
            Some(Fate::Builtin(builtin, signature)) if !lift => {
                if let (Some(why), Some(kind)) = (options.opening(), signature.kind()) {
                    return Err((Some(func), Reason::Open { kind, how: Opening::Unsupported(why) }));
                }
                CanonRole::Builtin { builtin: *builtin, signature: Rc::clone(signature) }
            }
            Some(Fate::Wrapped(signature, lists)) => {
                let (signature, lists) = (Rc::clone(signature), *lists);
                if lift { CanonRole::Lift { signature, lists } } else { CanonRole::Lower { signature, lists } }
            }
            Some(Fate::Crossing(_)) => {
                let key = (func.ty, options, lift);
                let known = self.crossings.get(&key).cloned();
                let crossing = known.unwrap_or_else(|| self.crossing(func, options, lift));
                self.crossings.entry(key).or_insert_with(|| crossing.clone());
                return crossing.map_err(|reason| (Some(func), reason));
            }
            _ => CanonRole::Untouched,
        };
        Ok((role, false))
    }

    /// The type of a value that a canonical function is about or gives. `None` if no handle of ours is in it.
    fn value(&self, id: ComponentDefinedTypeId) -> Option<&ConvertedValue> {
        self.converted.values.get(&id)?.as_ref()
    }

    /// What becomes of the lift or lower of a function that goes the engine's way.
    fn crossing(&self, func: &Func<'_>, options: Options, lift: bool) -> Result<Crosses, Reason> {
        let unknown = || Reason::Broken("a function's type was not looked at".to_owned());
        let converted = self.converted.funcs.get(&func.ty).ok_or_else(unknown)?;
        let Some(kind) = converted.mentions else { return Ok((CanonRole::Untouched, false)) };
        let open = |why| Reason::Open { kind, how: Opening::Unsupported(why) };
        let signature = converted.signature.as_ref().map_err(|&why| open(why))?;
        let gives = match lift {
            // What is lifted async gives by `task.return`.
            true => !options.is_async && signature.gives_handles(true),
            false => signature.gives_handles(false),
        };
        if !gives {
            return Ok((CanonRole::Untouched, true));
        }
        if let Some(why) = options.unsupported {
            return Err(open(why));
        }
        // If it is cancelled before it starts, the guest has its handles back, and only the numbers that it has given.
        let is_own = |value: &Value| value.any(&|value| matches!(value, Value::Own(_)));
        let spilled = flat_params(&signature.params, MAX_FLAT_ASYNC_PARAMS).1;
        if !lift && options.is_async && !spilled && signature.params.iter().any(is_own) {
            return Err(open("is lowered async, with an owned handle in a register"));
        }
        let signature = Rc::clone(signature);
        let is_async = options.is_async;
        let crossing = if lift { Crossing::Lift(signature) } else { Crossing::Lower { signature, is_async } };
        Ok((CanonRole::Crossing(crossing), true))
    }
}

/// What becomes of a canonical function, and whether by it handles of the engine's come or go.
type Crosses = (CanonRole, bool);

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
