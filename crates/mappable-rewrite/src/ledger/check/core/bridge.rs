//! Rule 9: what instances of bridges' modules are given, and where they go.

use std::collections::HashSet;

use wasmparser::{ExternalKind, InstantiationArg};

use super::{Checked, Core, CoreInstance, Entity, Options, at};
use crate::ledger::check::{BridgeModule, MadeFor, Role};
use crate::ledger::modules::{CALL, Crossing, MEMORY, Need};
use crate::ledger::signature::Signature;
use crate::ledger::unsound::Unsound;

impl<'a, 't> Core<'a, 't> {
    /// What an instance of a bridge's module is given. Gives the memory that its canonical functions must name.
    pub(super) fn bridge_instance(
        &mut self,
        instance: u32,
        module: &'t BridgeModule,
        args: &[InstantiationArg<'a>],
    ) -> Checked<Option<Entity<'a>>> {
        let wrong = Unsound::Bridge(instance);
        if module.made_for.is_empty() {
            // A heap.
            return if args.is_empty() { Ok(None) } else { Err(wrong) };
        }
        let given = match args {
            [argument] if argument.name.is_empty() => match self.instances.get_mut(argument.index as usize) {
                Some(CoreInstance::Exports { exports, other_users, .. }) if exports.len() == module.needs.len() => {
                    *other_users += 1;
                    let given = module.needs.iter().map(|(field, need)| Some((*need, *exports.get(field)?)));
                    given.collect::<Option<Vec<_>>>()
                }
                _ => None,
            },
            _ => None,
        };
        let (mut memory, mut callee) = (None, None);
        for (need, (kind, entity)) in given.ok_or(wrong.clone())? {
            let right = match need {
                Need::Callee => {
                    callee = Some(entity);
                    true
                }
                Need::GuestMemory => {
                    memory = Some(entity);
                    kind == ExternalKind::Memory && self.is_heaps(entity, MEMORY)
                }
                Need::Heap(name) => self.is_heaps(entity, name),
                Need::Crossing(builtin) => self.is_call_of(entity, Role::Builtin(builtin)),
                Need::DropOther(_) => {
                    matches!(entity, Entity::Canon(canon) if at(&self.canons, canon).is_some_and(|canon| canon.drops))
                }
                _ => false,
            };
            if !right {
                return Err(wrong);
            }
        }
        let callee = callee.ok_or(wrong.clone())?;
        let (canon, right) = match callee {
            // The embedder's: handles leave.
            Entity::Canon(canon) => {
                let is_lower = at(&self.canons, canon).is_some_and(|canon| canon.lower && canon.ledger.is_none());
                if let Some(canon) = self.canons.get_mut(canon as usize) {
                    canon.bridge = Some(&module.made_for);
                }
                (Some(canon), is_lower && module.made_for.iter().any(|(_, way)| *way == Crossing::Leave))
            }
            // The tree's: they enter.
            Entity::Export(wrapper, CALL) => match at(&self.instances, wrapper) {
                Some(CoreInstance::Trusted { module: trusted, callee, .. }) if trusted.role == Role::Lower => {
                    let canon = match callee {
                        Some(Entity::Canon(canon)) => Some(*canon),
                        _ => None,
                    };
                    (canon, agree(&module.made_for, Crossing::Enter, &trusted.signatures))
                }
                _ => (None, false),
            },
            Entity::Export(..) => (None, false),
        };
        let of_canon = canon.and_then(|canon| at(&self.canons, canon)).and_then(|canon| canon.options.memory);
        let same = memory.is_none() || of_canon.is_none() || of_canon == memory;
        if right && same { Ok(memory.or(of_canon)) } else { Err(wrong) }
    }

    /// Whether it is what the heap of a bridge exports by that name.
    fn is_heaps(&self, entity: Entity<'a>, name: &str) -> bool {
        let Entity::Export(instance, export) = entity else { return false };
        let is_heap = matches!(at(&self.instances, instance),
            Some(CoreInstance::Bridge { module, .. }) if module.made_for.is_empty());
        // There is one.
        is_heap && export == name && self.instances.iter().filter(|instance| instance.is_heap()).count() == 1
    }

    /// Whether it is the door of a trusted instance of that role.
    fn is_call_of(&self, entity: Entity<'a>, role: Role) -> bool {
        let Entity::Export(instance, CALL) = entity else { return false };
        matches!(at(&self.instances, instance), Some(CoreInstance::Trusted { module, .. }) if module.role == role)
    }

    /// What a bridge's module that is lifted, or what a wrapper for lifts stands in front of, was made for.
    pub(super) fn bridge_lifted(
        &self,
        index: u32,
        entity: Entity<'a>,
        options: &Options<'a>,
        wrapper: Option<&'t HashSet<MadeFor>>,
    ) -> Checked<Option<&'t HashSet<(Signature, Crossing)>>> {
        let Entity::Export(instance, _) = entity else { return Ok(None) };
        let Some(CoreInstance::Bridge { module, memory }) = at(&self.instances, instance) else { return Ok(None) };
        let way = match wrapper {
            Some(signatures) => agree(&module.made_for, Crossing::Leave, signatures),
            None => module.made_for.iter().any(|(_, way)| *way == Crossing::Enter),
        };
        let same = options.memory.is_none() || memory.is_none() || options.memory == *memory;
        if way && same { Ok(Some(&module.made_for)) } else { Err(Unsound::BridgeEnd(index)) }
    }

    /// What the bridge's module at a canonical function was made for, once all is known.
    pub(in crate::ledger::check) fn bridge(&self, canon: u32) -> Option<&'t HashSet<(Signature, Crossing)>> {
        at(&self.canons, canon).and_then(|canon| canon.bridge)
    }
}

/// Whether a bridge's module and a wrapper were made for one type.
fn agree(bridge: &HashSet<(Signature, Crossing)>, way: Crossing, wrapper: &HashSet<MadeFor>) -> bool {
    bridge.iter().any(|(signature, params)| *params == way && wrapper.iter().any(|(other, _)| other == signature))
}
