//! Rule 7: what instances of trusted modules are given.

use wasmparser::{ExternalKind, InstantiationArg};

use super::{Canon, Checked, Core, CoreInstance, Entity, Item, MEMORY_NUMBER, Options, Wrapper, at};
use crate::ledger::check::{Part, Role, TrustedModule};
use crate::ledger::modules::{MEMORY, Need, SLOTS};
use crate::ledger::unsound::{Private, Unsound};

impl<'a, 't> Core<'a, 't> {
    /// Rule 7: there is one of each, and each in its time.
    pub(super) fn count(&mut self, index: u32, module: &TrustedModule) -> Checked {
        for part in &module.parts {
            let one = match part.role {
                Role::LedgerMemory => Some(&mut self.ledger_memory),
                Role::WindowMemory => Some(&mut self.window_memory),
                Role::WindowStart => Some(&mut self.window_start),
                Role::Table => Some(&mut self.table),
                Role::Guard | Role::MayLeave | Role::Builtin(_) | Role::Lower | Role::Lift => None,
                Role::Crossing | Role::CrossingBack => None,
            };
            if one.is_some_and(|one| one.replace(index).is_some()) {
                return Err(Unsound::Second(index));
            }
        }
        let no_table = module.needs(Need::Ledger) && self.table.is_none();
        let no_window = module.needs(Need::Window) && self.window_start.is_none();
        if no_table || no_window { Err(Unsound::TooEarly(index)) } else { Ok(()) }
    }

    /// Rule 7: what an instance of a trusted module is given. Gives for each part the options that its canonical function
    /// must have.
    pub(super) fn trusted_instance(
        &mut self,
        instance: u32,
        module: &'t TrustedModule,
        args: &[InstantiationArg<'a>],
    ) -> Checked<Vec<Options<'a>>> {
        let argument = match args {
            [] if module.imports.is_empty() => return Ok(vec![Options::default(); module.parts.len()]),
            [argument] if argument.name.is_empty() => argument.index,
            _ => return Err(Unsound::Arguments(instance)),
        };
        let given = match self.instances.get_mut(argument as usize) {
            Some(CoreInstance::Exports { exports, trusted_users, .. }) if exports.len() == module.imports.len() => {
                *trusted_users += 1;
                let given = module.imports.iter().map(|import| exports.get(import.field.as_str()).copied());
                given.collect::<Option<Vec<_>>>()
            }
            _ => None,
        };
        let given = given.ok_or(Unsound::Arguments(instance))?;
        module.parts.iter().map(|part| self.part(instance, module, part, &given)).collect()
    }

    /// What a part of it is given.
    fn part(
        &mut self,
        instance: u32,
        module: &'t TrustedModule,
        part: &'t Part,
        given: &[(ExternalKind, Entity<'a>)],
    ) -> Checked<Options<'a>> {
        let mut options = Options::default();
        let mut canons = Vec::new();
        for &import in &part.imports {
            let (Some(import), Some(&(kind, entity))) = (module.imports.get(import), given.get(import)) else {
                return Err(Unsound::Arguments(instance));
            };
            let wrong = Unsound::WrongArgument { instance, field: import.name };
            let right = match import.need {
                Need::Callee => {
                    canons.push(entity);
                    self.callee(part, entity)
                }
                Need::Engine => {
                    canons.push(entity);
                    self.engines(part, entity)
                }
                Need::Discard(kind) => {
                    matches!(entity, Entity::Canon(canon)
                        if at(&self.canons, canon).is_some_and(|canon| canon.drops == Some(kind)))
                }
                Need::GuestMemory => {
                    kind == ExternalKind::Memory
                        && matches!(self.item(entity), Item::Guest)
                        && *options.memory.get_or_insert(entity) == entity
                }
                Need::Realloc => {
                    // With or without a guard, it is what the canonical function names.
                    options.realloc = Some(entity);
                    self.calls_back = true;
                    let shares = SLOTS.map(|slot| !self.keeps_slot(entity, slot));
                    for (first, _) in self.shares.iter_mut().zip(shares).filter(|(_, shares)| *shares) {
                        first.get_or_insert(instance);
                    }
                    matches!(self.item(entity), Item::Guest | Item::Open | Item::Private(Private::Guard))
                }
                Need::Ledger => self.is_export(entity, self.ledger_memory, MEMORY),
                Need::Window => self.is_export(entity, self.window_memory, MEMORY),
                Need::Table(name) => self.is_export(entity, self.table, name),
                Need::ContextGet(_) | Need::ContextSet(_) => {
                    matches!(entity, Entity::Canon(canon)
                        if at(&self.canons, canon).is_some_and(|canon| canon.context == Some(import.need)))
                }
                Need::Helper(name) => match (entity, self.item(entity)) {
                    (Entity::Canon(canon), Item::Host(host)) if host == name => {
                        // The guest's memory that `memory-number` is asked about is that of all else.
                        let memory = at(&self.canons, canon).and_then(|canon| canon.options.memory);
                        name != MEMORY_NUMBER
                            || memory.is_some_and(|memory| *options.memory.get_or_insert(memory) == memory)
                    }
                    _ => false,
                },
            };
            if !right {
                return Err(wrong);
            }
        }
        // A wrapper for lifts is compared with the lift, when it comes.
        for canon in canons {
            let Entity::Canon(canon) = canon else { continue };
            let named = at(&self.canons, canon).map(|canon| canon.options).unwrap_or_default();
            match part.role {
                Role::Builtin(_) | Role::Lower => options.agree(&named, instance, canon)?,
                // It calls no `realloc`, and does nothing after the call: that may be async.
                Role::Crossing => options.agree(&Options { special: false, ..named }, instance, canon)?,
                _ => {}
            }
        }
        Ok(options)
    }

    /// Whether a wrapper may stand in front of this; notes that it does.
    fn callee(&mut self, part: &'t Part, entity: Entity<'a>) -> bool {
        match (part.role, entity, self.item(entity)) {
            (Role::Builtin(builtin), _, Item::Host(name)) => name == builtin.ledger_name(),
            (Role::Lower, Entity::Canon(index), Item::Open) => match self.canons.get_mut(index as usize) {
                Some(canon) if canon.lower => canon.is_behind(Wrapper::Closed(part)),
                _ => false,
            },
            (Role::MayLeave, Entity::Canon(index), Item::Open) => {
                self.canons.get_mut(index as usize).is_some_and(|canon| {
                    canon.barred = true;
                    canon.leaves
                })
            }
            (Role::Crossing, Entity::Canon(index), Item::Open) => match self.canons.get_mut(index as usize) {
                Some(canon) if canon.leaves => canon.is_behind(Wrapper::Crossing(part)),
                _ => false,
            },
            (Role::Lift | Role::CrossingBack | Role::Guard, ..) => self.reach(entity).is_ok(),
            _ => false,
        }
    }

    /// Whether it may be the package's own function behind a builtin; notes that it is.
    fn engines(&mut self, part: &'t Part, entity: Entity<'a>) -> bool {
        let (Role::Builtin(builtin), Entity::Canon(index)) = (part.role, entity) else { return false };
        match self.canons.get_mut(index as usize) {
            Some(canon) if canon.lower && canon.ledger.is_none() => canon.is_behind(Wrapper::Builtin(builtin)),
            _ => false,
        }
    }

    /// Whether it is a guard's, around a function that begins with nothing in a context slot.
    fn keeps_slot(&self, entity: Entity<'a>, slot: u32) -> bool {
        let Entity::Export(instance, name) = entity else { return false };
        let Some(CoreInstance::Trusted { module, .. }) = at(&self.instances, instance) else { return false };
        let Some(part) = module.part_of(name).and_then(|part| module.parts.get(part)) else { return false };
        let has = |need: Need| module.part_needs(part, need);
        part.role == Role::Guard && has(Need::ContextGet(slot)) && has(Need::ContextSet(slot))
    }

    pub(super) fn is_export(&self, entity: Entity<'a>, instance: Option<u32>, name: &str) -> bool {
        matches!((entity, instance), (Entity::Export(of, export), Some(instance)) if of == instance && export == name)
    }
}

impl<'t> Canon<'_, 't> {
    /// Notes the wrapper in front of this function. Returns whether it is the only one.
    fn is_behind(&mut self, wrapper: Wrapper<'t>) -> bool {
        self.wrapper.replace(wrapper).is_none()
    }
}

impl Options<'_> {
    /// Whether a wrapper that is given these stands at a canonical function with those.
    pub(super) fn agree(&self, canonical: &Self, wrapper: u32, canon: u32) -> Checked {
        if canonical.special {
            return Err(Unsound::NotPlain(canon));
        }
        let memory = self.memory.is_none() || self.memory == canonical.memory;
        let realloc = self.realloc.is_none() || self.realloc == canonical.realloc;
        if memory && realloc { Ok(()) } else { Err(Unsound::OtherOptions(wrapper)) }
    }
}
