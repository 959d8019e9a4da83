//! Takes the refreshes out of a component: finds them, and numbers what is left as if they had never been there.

use std::sync::LazyLock;

use wasmparser::{CanonicalFunction as Canon, CanonicalOption, ComponentExternalKind, ExternalKind, Parser, Payload};

use super::{Component, Item, Lower};

/// What a refresh does, in the text format. Not the rewriter's own bytes: what they mean.
const REFRESH: &str = r#"(module
    (type (func (param i32 i32 i32 i32)))
    (import "" "lowered" (func $lowered (type 0)))
    (import "" "memory" (memory 0))
    (func (export "refreshed") (type 0)
        (if (i32.and (local.get 3) (i32.const 3)) (then unreachable))
        (drop (i32.load8_u offset=11 (local.get 3)))
        (call $lowered (local.get 0) (local.get 1) (local.get 2) (local.get 3))
        (if (i32.eq (memory.grow (i32.const 0)) (i32.const -1)) (then unreachable))))"#;

static REFRESH_MEANING: LazyLock<Vec<String>> = LazyLock::new(|| {
    let module = wat::parse_str(REFRESH).expect("the refresh is a module");
    meaning(&module).expect("the refresh is valid")
});

/// All of a core module but its names: its sections in order, and its instructions.
fn meaning(module: &[u8]) -> Option<Vec<String>> {
    let mut meaning = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload.ok()? {
            Payload::CustomSection(_) => {}
            Payload::CodeSectionEntry(body) => {
                meaning.push(format!("locals {}", body.get_locals_reader().ok()?.get_count()));
                for operator in body.get_operators_reader().ok()? {
                    meaning.push(format!("{:?}", operator.ok()?));
                }
            }
            Payload::CodeSectionStart { count, .. } => meaning.push(format!("{count} bodies")),
            other => {
                if let Some((id, range)) = other.as_section() {
                    meaning.push(format!("{id} {:x?}", module.get(range)?));
                }
            }
        }
    }
    Some(meaning)
}

fn is_refresh(module: &[u8]) -> bool {
    // Cheap first: it is a small module.
    module.len() < 400 && meaning(module).as_ref() == Some(&REFRESH_MEANING)
}

/// What the indices of a component mean.
pub(super) struct Resolved {
    /// For each core function, the item that defines it.
    funcs: Vec<usize>,
    /// For each core instance, the item that defines it.
    instances: Vec<usize>,
    /// For each core module: whether it is the refresh.
    modules: Vec<bool>,
    lowers: Vec<(Lower, Option<Refresh>)>,
}

/// A refresh of a lower.
#[derive(Clone, Copy)]
struct Refresh {
    argument: u32,
    instance: u32,
}

impl Resolved {
    pub(super) fn new(component: &Component) -> Self {
        let mut resolved =
            Resolved { funcs: Vec::new(), instances: Vec::new(), modules: Vec::new(), lowers: Vec::new() };
        let (mut canons, mut marked) = (0, Vec::new());
        for (at, item) in component.items.iter().enumerate() {
            match item {
                Item::Module(bytes) => resolved.modules.push(is_refresh(bytes)),
                Item::ForeignModule(_) | Item::OuterModule { .. } | Item::ExportedModule { .. } => {
                    resolved.modules.push(false);
                }
                Item::Instantiated { .. } | Item::Exports(_) => resolved.instances.push(at),
                Item::Alias { kind: ExternalKind::Func | ExternalKind::FuncExact, .. } => resolved.funcs.push(at),
                Item::Canon { canon, marked: mark } => {
                    if let Some(memory) = mark {
                        marked.push((canons, index(resolved.funcs.len()), *memory));
                    }
                    canons += 1;
                    if !matches!(canon, Canon::Lift { .. }) {
                        resolved.funcs.push(at);
                    }
                }
                Item::Alias { .. } | Item::ComponentInstance(_) | Item::Resource { .. } | Item::Text(_) => {}
            }
        }
        for (canon, core_func, memory) in marked {
            let refresh = memory.and_then(|memory| resolved.refresh(component, core_func, memory));
            resolved.lowers.push((Lower { component: 0, canon, core_func, guarded: refresh.is_some() }, refresh));
        }
        resolved
    }

    pub(super) fn lowers(&self, component: usize) -> Vec<Lower> {
        self.lowers.iter().map(|(lower, _)| Lower { component, ..lower.clone() }).collect()
    }

    /// The refresh that a lower is behind.
    fn refresh(&self, component: &Component, func: u32, memory: u32) -> Option<Refresh> {
        let items = &component.items;
        let mentions: usize = items.iter().map(|item| count(&mentioned_funcs(item), func)).sum();
        let expected =
            [("lowered".to_owned(), ExternalKind::Func, func), ("memory".to_owned(), ExternalKind::Memory, memory)];
        let is_argument = |at: &usize| matches!(&items[*at], Item::Exports(exports) if exports[..] == expected);
        let argument = index(self.instances.iter().position(is_argument)?);
        let arguments: usize = items.iter().map(|item| count(&mentioned_instances(item), argument)).sum();
        let instantiates = |at: &usize| match &items[*at] {
            Item::Instantiated { module, args } => {
                self.modules[*module as usize] && args[..] == [(String::new(), argument)]
            }
            _ => false,
        };
        let instance = index(self.instances.iter().position(instantiates)?);
        (mentions == 1 && arguments == 1).then_some(Refresh { argument, instance })
    }

    /// The lower whose refresh's function a core function is.
    fn refreshed(&self, component: &Component, func: u32) -> Option<u32> {
        let Item::Alias { instance, name, .. } = &component.items[self.funcs[func as usize]] else { return None };
        let is = |(_, refresh): &&(Lower, Option<Refresh>)| refresh.is_some_and(|r| r.instance == *instance);
        (name == "refreshed").then(|| self.lowers.iter().find(is).map(|(lower, _)| lower.core_func))?
    }

    fn is_plumbing(&self, instance: u32) -> bool {
        let refreshes = self.lowers.iter().filter_map(|(_, refresh)| *refresh);
        refreshes.into_iter().any(|r| r.argument == instance || r.instance == instance)
    }

    fn func(&self, component: &Component, old: u32) -> u32 {
        let of = self.refreshed(component, old).unwrap_or(old);
        index((0..of).filter(|func| self.refreshed(component, *func).is_none()).count())
    }

    fn instance(&self, old: u32) -> u32 {
        index((0..old).filter(|instance| !self.is_plumbing(*instance)).count())
    }

    fn module(&self, old: u32) -> String {
        let old = old as usize;
        match self.modules[old] {
            true => "refresh".into(),
            false => self.modules[..old].iter().filter(|refresh| !**refresh).count().to_string(),
        }
    }
}

/// The lines of the component that is at `at` of `all`.
pub(super) fn lines(at: usize, component: &Component, all: &[Component], resolved: &[Resolved]) -> Vec<String> {
    let this = &resolved[at];
    let func = |old: u32| this.func(component, old);
    let (mut funcs, mut instances) = (0, 0);
    let mut lines = vec![format!("component {at}")];
    for item in &component.items {
        let line = match item {
            Item::Module(bytes) if is_refresh(bytes) => continue,
            Item::Module(bytes) => format!("module {bytes:x?}"),
            Item::ForeignModule(text) | Item::Text(text) => text.clone(),
            Item::ExportedModule { text, index } => format!("{text} {}", this.module(*index)),
            Item::ComponentInstance(parts) => {
                let part = |(text, kind, old): &(String, ComponentExternalKind, u32)| match kind {
                    ComponentExternalKind::Module => format!("{text} {kind:?} {}", this.module(*old)),
                    _ => format!("{text} {kind:?} {old}"),
                };
                format!("component instance {:?}", parts.iter().map(part).collect::<Vec<_>>())
            }
            Item::OuterModule { count, index } => {
                let outer = (0..*count).fold(at, |at, _| all[at].parent.expect("validated"));
                format!("outer module {count} {}", resolved[outer].module(*index))
            }
            Item::Instantiated { .. } | Item::Exports(_) => {
                instances += 1;
                match item {
                    _ if this.is_plumbing(instances - 1) => continue,
                    Item::Instantiated { module, args } => {
                        let args: Vec<_> = args.iter().map(|(name, old)| (name, this.instance(*old))).collect();
                        format!("instantiate {} {args:?}", this.module(*module))
                    }
                    Item::Exports(exports) => {
                        let export = |(name, kind, old): &(String, ExternalKind, u32)| match kind {
                            ExternalKind::Func | ExternalKind::FuncExact => (name.clone(), *kind, func(*old)),
                            _ => (name.clone(), *kind, *old),
                        };
                        format!("exports {:?}", exports.iter().map(export).collect::<Vec<_>>())
                    }
                    _ => unreachable!("only these two are core instances"),
                }
            }
            Item::Alias { instance, kind, name } => {
                if matches!(kind, ExternalKind::Func | ExternalKind::FuncExact) {
                    funcs += 1;
                    if this.refreshed(component, funcs - 1).is_some() {
                        continue;
                    }
                }
                format!("alias {} {kind:?} {name:?}", this.instance(*instance))
            }
            Item::Canon { canon, .. } => {
                funcs += u32::from(!matches!(canon, Canon::Lift { .. }));
                format!("canon {:?}", mapped(canon, &func))
            }
            Item::Resource { rep, dtor } => format!("resource {rep} {:?}", dtor.map(func)),
        };
        lines.push(line);
    }
    lines
}

/// A canonical function with the core functions that it mentions mapped.
fn mapped(canon: &Canon, func: &impl Fn(u32) -> u32) -> Canon {
    let mut canon = canon.clone();
    if let Canon::Lift { core_func_index, .. } = &mut canon {
        *core_func_index = func(*core_func_index);
    }
    for option in options_mut(&mut canon) {
        match option {
            CanonicalOption::Realloc(of) | CanonicalOption::PostReturn(of) | CanonicalOption::Callback(of) => {
                *of = func(*of);
            }
            _ => {}
        }
    }
    canon
}

fn options_mut(canon: &mut Canon) -> &mut [CanonicalOption] {
    match canon {
        Canon::Lift { options, .. }
        | Canon::Lower { options, .. }
        | Canon::TaskReturn { options, .. }
        | Canon::StreamRead { options, .. }
        | Canon::StreamWrite { options, .. }
        | Canon::FutureRead { options, .. }
        | Canon::FutureWrite { options, .. }
        | Canon::ErrorContextNew { options }
        | Canon::ErrorContextDebugMessage { options } => options,
        _ => &mut [],
    }
}

/// The core functions that an item mentions.
fn mentioned_funcs(item: &Item) -> Vec<u32> {
    match item {
        Item::Exports(exports) => {
            let is_func = |kind: &ExternalKind| matches!(kind, ExternalKind::Func | ExternalKind::FuncExact);
            exports.iter().filter(|(_, kind, _)| is_func(kind)).map(|(_, _, func)| *func).collect()
        }
        Item::Canon { canon, .. } => {
            let mentioned = std::cell::RefCell::new(Vec::new());
            mapped(canon, &|func| {
                mentioned.borrow_mut().push(func);
                func
            });
            mentioned.into_inner()
        }
        Item::Resource { dtor, .. } => dtor.iter().copied().collect(),
        _ => Vec::new(),
    }
}

/// The core instances that an item mentions.
fn mentioned_instances(item: &Item) -> Vec<u32> {
    match item {
        Item::Instantiated { args, .. } => args.iter().map(|(_, instance)| *instance).collect(),
        Item::Alias { instance, .. } => vec![*instance],
        _ => Vec::new(),
    }
}

fn count(all: &[u32], one: u32) -> usize {
    all.iter().filter(|other| **other == one).count()
}

fn index(of: usize) -> u32 {
    u32::try_from(of).expect("an index space is smaller than that")
}
