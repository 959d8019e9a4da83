//! The core items of one component: what each is, and who may have it.

mod end;
mod wrapper;

use std::collections::HashMap;

use wasmparser::{CanonicalFunction, CanonicalOption, Export, ExternalKind, Instance};

use super::scope::Module;
use super::{Part, Role, Trusted, TrustedModule};
use crate::ledger::interface::{Builtin, HELPERS, leave};
use crate::ledger::modules::{MEMORY, Need, SLOTS};
use crate::ledger::signature::Kind;
use crate::ledger::unsound::{Place, Private, Unsound};
use crate::tree::read::options;

type Checked<T = ()> = Result<T, Unsound>;

/// A core item by what it is, whatever it is aliased through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Entity<'a> {
    /// What an instance of a module exports.
    Export(u32, &'a str),
    /// What a canonical function makes.
    Canon(u32),
}

/// Who may have an item.
enum Item<'a> {
    /// Anyone: it is a guest's.
    Guest,
    /// Anyone: what a canonical function makes that is none of the ledger's.
    Open,
    /// Anyone, but that it needs a guard as a `realloc` or `post-return`.
    Door,
    /// Trusted instances.
    Private(Private),
    /// Trusted instances: the lower of this function of the ledger.
    Host(&'a str),
}

enum CoreInstance<'a, 't> {
    Guest,
    /// `options`: for each part, those that its canonical function must have.
    Trusted {
        module: &'t TrustedModule,
        options: Vec<Options<'a>>,
    },
    Exports {
        exports: HashMap<&'a str, (ExternalKind, Entity<'a>)>,
        trusted_users: u32,
        other_users: u32,
    },
}

/// What of a canonical function's options a wrapper has to agree with.
#[derive(Clone, Copy, Default)]
struct Options<'a> {
    memory: Option<Entity<'a>>,
    realloc: Option<Entity<'a>>,
    /// It has other options than for memory, strings and `post-return`.
    special: bool,
}

/// The wrapper that stands at a canonical function.
#[derive(Clone, Copy)]
pub(super) enum Wrapper<'t> {
    /// In front of a closed function.
    Closed(&'t Part),
    /// In front of what goes the engine's way.
    Crossing(&'t Part),
    /// In front of the ledger's function of that name. This is the package's own.
    Builtin(Builtin),
}

#[derive(Default)]
struct Canon<'a, 't> {
    /// It is a lower.
    lower: bool,
    /// It is a lower of this function of the ledger.
    ledger: Option<&'a str>,
    options: Options<'a>,
    /// It is what a wrapper calls, or a lift of one.
    wrapper: Option<Wrapper<'t>>,
    /// It is `resource.drop` of a type of the package's.
    drops: Option<Kind>,
    /// Somebody else has it.
    used: bool,
    /// So has a may-leave check.
    barred: bool,
    /// It is `context.get` or `context.set`: what a trusted module asks for it by.
    context: Option<Need>,
    /// It leaves the component, which nothing may do while its `realloc` runs.
    leaves: bool,
}

/// A component's core index spaces.
pub(super) struct Core<'a, 't> {
    trusted: &'t Trusted,
    instances: Vec<CoreInstance<'a, 't>>,
    pub(super) funcs: Vec<Entity<'a>>,
    pub(super) memories: Vec<Entity<'a>>,
    pub(super) tables: Vec<Entity<'a>>,
    pub(super) globals: Vec<Entity<'a>>,
    pub(super) tags: Vec<Entity<'a>>,
    canons: Vec<Canon<'a, 't>>,
    ledger_memory: Option<u32>,
    table: Option<u32>,
    window_memory: Option<u32>,
    window_start: Option<u32>,
    /// The first canonical function with a `realloc` or `post-return` that has no guard.
    unguarded: Option<u32>,
    /// Whether guests have anything but what is their own.
    calls_out: bool,
    /// Whether a trusted instance is given a `realloc`.
    calls_back: bool,
    /// For each context slot, the first such instance whose `realloc` has no guard that keeps it.
    shares: [Option<u32>; SLOTS.len()],
}

/// How long an index space is, as far as indices go.
pub(super) fn len<T>(space: &[T]) -> u32 {
    u32::try_from(space.len()).unwrap_or(u32::MAX)
}

/// What is at an index. The validator has looked: there is something.
pub(super) fn at<T>(space: &[T], index: u32) -> Option<&T> {
    space.get(usize::try_from(index).ok()?)
}

impl<'a, 't> Core<'a, 't> {
    pub(super) fn new(trusted: &'t Trusted) -> Self {
        Core {
            trusted,
            instances: Vec::new(),
            funcs: Vec::new(),
            memories: Vec::new(),
            tables: Vec::new(),
            globals: Vec::new(),
            tags: Vec::new(),
            canons: Vec::new(),
            ledger_memory: None,
            table: None,
            window_memory: None,
            window_start: None,
            unguarded: None,
            calls_out: false,
            calls_back: false,
            shares: Default::default(),
        }
    }

    pub(super) fn instance_count(&self) -> u32 {
        len(&self.instances)
    }

    fn space(&self, kind: ExternalKind) -> &Vec<Entity<'a>> {
        match kind {
            ExternalKind::Func | ExternalKind::FuncExact => &self.funcs,
            ExternalKind::Memory => &self.memories,
            ExternalKind::Table => &self.tables,
            ExternalKind::Global => &self.globals,
            ExternalKind::Tag => &self.tags,
        }
    }

    fn space_mut(&mut self, kind: ExternalKind) -> &mut Vec<Entity<'a>> {
        match kind {
            ExternalKind::Func | ExternalKind::FuncExact => &mut self.funcs,
            ExternalKind::Memory => &mut self.memories,
            ExternalKind::Table => &mut self.tables,
            ExternalKind::Global => &mut self.globals,
            ExternalKind::Tag => &mut self.tags,
        }
    }

    /// The item at an index; one that can't be, where the validator would have refused it.
    fn entity(&self, kind: ExternalKind, index: u32) -> Entity<'a> {
        at(self.space(kind), index).copied().unwrap_or(Entity::Canon(u32::MAX))
    }

    pub(super) fn alias(&mut self, kind: ExternalKind, instance: u32, name: &'a str) {
        let entity = match usize::try_from(instance).ok().and_then(|index| self.instances.get_mut(index)) {
            Some(CoreInstance::Exports { exports, other_users, .. }) => {
                *other_users += 1;
                exports.get(name).map_or(Entity::Canon(u32::MAX), |(_, entity)| *entity)
            }
            _ => Entity::Export(instance, name),
        };
        self.space_mut(kind).push(entity);
    }

    /// Rules 3 and 4: what each item is.
    fn item(&self, entity: Entity<'a>) -> Item<'a> {
        match entity {
            Entity::Canon(index) => match at(&self.canons, index) {
                Some(Canon { ledger: Some(name), .. }) => Item::Host(name),
                Some(_) => Item::Open,
                None => Item::Private(Private::Inner),
            },
            Entity::Export(instance, name) => match at(&self.instances, instance) {
                Some(CoreInstance::Guest) => Item::Guest,
                Some(CoreInstance::Trusted { module, .. }) => {
                    let part = module.part_of(name).and_then(|part| module.parts.get(part));
                    match part.map(|part| part.role) {
                        Some(Role::Table) if self.trusted.drops.contains(&name) => Item::Door,
                        Some(role) if module.is_call(name) => match role {
                            Role::Builtin(_) | Role::Lower | Role::MayLeave | Role::Crossing => Item::Door,
                            Role::Lift | Role::CrossingBack => Item::Private(Private::Lift),
                            Role::Guard => Item::Private(Private::Guard),
                            _ => Item::Private(Private::Inner),
                        },
                        _ => Item::Private(Private::Inner),
                    }
                }
                _ => Item::Private(Private::Inner),
            },
        }
    }

    /// Refuses an item that a guest may not have; notes the use of one that it may.
    fn reach(&mut self, entity: Entity<'a>) -> Result<(), Private> {
        match self.item(entity) {
            Item::Guest => Ok(()),
            Item::Door => {
                self.calls_out = true;
                Ok(())
            }
            Item::Open => {
                self.calls_out = true;
                if let Entity::Canon(index) = entity
                    && let Some(canon) = self.canons.get_mut(index as usize)
                {
                    canon.used = true;
                }
                Ok(())
            }
            Item::Private(private) => Err(private),
            Item::Host(_) => Err(Private::Host),
        }
    }

    /// A resource's destructor.
    pub(super) fn destructor(&mut self, func: u32) -> Checked {
        let entity = self.entity(ExternalKind::Func, func);
        self.reach(entity).map_err(|item| Unsound::Named { by: Place::Destructor, item })
    }

    /// The instance that a section defines next. `module`: what is instantiated, if anything is.
    pub(super) fn instance(&mut self, instance: Instance<'a>, module: Module<'t>) -> Checked {
        let index = self.instance_count();
        let new = match (instance, module) {
            (Instance::FromExports(exports), _) => self.exports(&exports),
            (Instance::Instantiate { args, .. }, Module::Guest) => {
                for arg in &args {
                    match self.instances.get_mut(arg.index as usize) {
                        Some(CoreInstance::Exports { other_users, .. }) => *other_users += 1,
                        Some(CoreInstance::Trusted { .. }) => return Err(Unsound::InstancePassed(arg.index)),
                        Some(CoreInstance::Guest) | None => {}
                    }
                }
                CoreInstance::Guest
            }
            (Instance::Instantiate { args, .. }, Module::Trusted(module)) => {
                let options = self.trusted_instance(index, module, &args)?;
                self.count(index, module)?;
                CoreInstance::Trusted { module, options }
            }
        };
        self.instances.push(new);
        Ok(())
    }

    fn exports(&self, exports: &[Export<'a>]) -> CoreInstance<'a, 't> {
        let export = |export: &Export<'a>| (export.name, (export.kind, self.entity(export.kind, export.index)));
        let exports = exports.iter().map(export).collect();
        CoreInstance::Exports { exports, trusted_users: 0, other_users: 0 }
    }

    /// Rules 3 and 5: a canonical function. `ledger`: the function of the ledger that it lowers, if it does; `drops`: what of
    /// the package's it drops.
    pub(super) fn canon(&mut self, canon: &CanonicalFunction, ledger: Option<&'a str>, drops: Option<Kind>) -> Checked {
        let index = len(&self.canons);
        let named = |by: Place| move |item: Private| Unsound::Named { by, item };
        let lower = matches!(canon, CanonicalFunction::Lower { .. });
        let leaves = !matches!(canon, CanonicalFunction::Lift { .. }) && !may_always_be_called(canon);
        let context = match canon {
            CanonicalFunction::ContextGet { slot, .. } => Some(Need::ContextGet(*slot)),
            CanonicalFunction::ContextSet { slot, .. } => Some(Need::ContextSet(*slot)),
            _ => None,
        };
        let mut new = Canon { ledger, lower, leaves, context, drops, ..Canon::default() };
        for option in options(canon) {
            match *option {
                CanonicalOption::Memory(memory) => {
                    let memory = self.entity(ExternalKind::Memory, memory);
                    if ledger.is_none() || matches!(self.item(memory), Item::Guest) {
                        self.reach(memory).map_err(named(Place::Option(index)))?;
                    }
                    new.options.memory = Some(memory);
                }
                CanonicalOption::Realloc(func) => {
                    new.options.realloc = Some(self.guarded(index, func)?);
                }
                CanonicalOption::PostReturn(func) => {
                    self.guarded(index, func)?;
                }
                CanonicalOption::Callback(func) => {
                    let func = self.entity(ExternalKind::Func, func);
                    self.reach(func).map_err(named(Place::Option(index)))?;
                    new.options.special = true;
                }
                CanonicalOption::UTF8 | CanonicalOption::UTF16 | CanonicalOption::CompactUTF16 => {}
                CanonicalOption::Async | CanonicalOption::CoreType(_) | CanonicalOption::Gc => {
                    new.options.special = true;
                }
            }
        }
        if let Some(name) = ledger {
            self.host(name, &new.options)?;
        }
        match *canon {
            CanonicalFunction::Lift { core_func_index, .. } => {
                new.wrapper = self.lift(index, core_func_index, &new.options)?;
            }
            CanonicalFunction::WaitableSetWait { memory, .. } | CanonicalFunction::WaitableSetPoll { memory, .. } => {
                let memory = self.entity(ExternalKind::Memory, memory);
                self.reach(memory).map_err(named(Place::Option(index)))?;
            }
            CanonicalFunction::ThreadSpawnIndirect { table_index, .. }
            | CanonicalFunction::ThreadNewIndirect { table_index, .. } => {
                let table = self.entity(ExternalKind::Table, table_index);
                self.reach(table).map_err(named(Place::Option(index)))?;
            }
            _ => {}
        }
        if !matches!(canon, CanonicalFunction::Lift { .. }) {
            self.funcs.push(Entity::Canon(index));
        }
        self.canons.push(new);
        Ok(())
    }

    /// A `realloc` or `post-return`.
    fn guarded(&mut self, canon: u32, func: u32) -> Checked<Entity<'a>> {
        let func = self.entity(ExternalKind::Func, func);
        let allowed = match self.item(func) {
            Item::Private(Private::Guard) => Ok(()),
            // The engine refuses a lower meanwhile; a door of ours has no engine behind it.
            Item::Door => Err(Private::Door),
            Item::Guest => {
                self.unguarded.get_or_insert(canon);
                Ok(())
            }
            _ => self.reach(func),
        };
        allowed.map_err(|item| Unsound::Named { by: Place::Option(canon), item })?;
        Ok(func)
    }

    /// Gives the wrapper that is lifted, if it is one.
    fn lift(&mut self, index: u32, func: u32, options: &Options<'a>) -> Checked<Option<Wrapper<'t>>> {
        let entity = self.entity(ExternalKind::Func, func);
        if let (Entity::Export(wrapper, name), Item::Private(Private::Lift)) = (entity, self.item(entity))
            && let Some(CoreInstance::Trusted { module, options: given }) = at(&self.instances, wrapper)
            && let Some(number) = module.part_of(name)
            && let (Some(part), Some(given)) = (module.parts.get(number), given.get(number))
        {
            given.agree(options, wrapper, index)?;
            return Ok(Some(match part.role {
                Role::Lift => Wrapper::Closed(part),
                _ => Wrapper::Crossing(part),
            }));
        }
        self.reach(entity).map_err(|item| Unsound::Named { by: Place::Lifted(index), item })?;
        Ok(None)
    }

    /// The wrapper at a canonical function, once all is known.
    pub(super) fn wrapper(&self, canon: u32) -> Option<Wrapper<'t>> {
        at(&self.canons, canon).and_then(|canon| canon.wrapper)
    }

    /// Whether somebody but trusted modules has a canonical function, or what a may-leave check stands in front of.
    pub(super) fn is_used(&self, canon: u32) -> bool {
        at(&self.canons, canon).is_some_and(|canon| canon.used || canon.barred)
    }

    /// Rule 3: a lower of the ledger's.
    fn host(&self, name: &str, options: &Options<'a>) -> Checked {
        let is_guests = |memory: Entity<'a>| matches!(self.item(memory), Item::Guest);
        let right = match (name, options.memory) {
            (JOIN, Some(memory)) => self.is_export(memory, self.ledger_memory, MEMORY),
            (WINDOW, Some(memory)) => self.is_export(memory, self.window_memory, MEMORY),
            (MEMORY_NUMBER, Some(memory)) => is_guests(memory),
            (JOIN | WINDOW | MEMORY_NUMBER, None) => false,
            (name, memory) if is_helper(name) => memory.is_none(),
            (name, memory) if Builtin::ALL.iter().any(|builtin| builtin.ledger_name() == name) => {
                memory.is_none_or(is_guests)
            }
            _ => return Err(Unsound::UnknownFunction(name.to_owned())),
        };
        let realloc = options.realloc.is_some() && is_helper(name);
        if right && !realloc && !options.special { Ok(()) } else { Err(Unsound::LedgerOptions(name.to_owned())) }
    }
}

/// Whether a built-in may be called even where the component may not be left. A new one may not, until it is shown.
fn may_always_be_called(builtin: &CanonicalFunction) -> bool {
    use CanonicalFunction as C;
    matches!(
        builtin,
        C::ResourceRep { .. } | C::ContextGet { .. } | C::ContextSet { .. } | C::BackpressureInc | C::BackpressureDec
    )
}

/// Whether a function of the ledger is none that takes the place of one of the package's.
fn is_helper(name: &str) -> bool {
    HELPERS.contains(&name) || Kind::ALL.iter().any(|kind| leave(*kind) == name)
}

const JOIN: &str = "join";
const WINDOW: &str = "window";
const MEMORY_NUMBER: &str = "memory-number";
