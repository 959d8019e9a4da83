//! What can only be told at a component's end.

use super::{Canon, Checked, Core, CoreInstance};
use crate::ledger::modules::{Need, SLOTS};
use crate::ledger::unsound::Unsound;

impl Core<'_, '_> {
    /// What can only be told when all is known.
    pub(in crate::ledger::check) fn finish(&mut self) -> Checked {
        for index in 0..self.instances.len() {
            let instance = u32::try_from(index).unwrap_or(u32::MAX);
            let Some(CoreInstance::Exports { exports, trusted_users, other_users }) = self.instances.get_mut(index)
            else {
                continue;
            };
            match (*trusted_users, *other_users) {
                (1, 0) => {}
                (0, _) => {
                    for (field, (_, entity)) in std::mem::take(exports) {
                        self.reach(entity).map_err(|item| Unsound::InReach {
                            instance,
                            field: field.to_owned(),
                            item,
                        })?;
                    }
                }
                _ => return Err(Unsound::ArgumentShared(instance)),
            }
        }
        let first = |is: &dyn Fn(&Canon<'_, '_>) -> bool| {
            self.canons.iter().position(is).map(|index| u32::try_from(index).unwrap_or(u32::MAX))
        };
        if let Some(past) = first(&|canon| canon.wrapper.is_some() && (canon.used || canon.barred)) {
            return Err(Unsound::PastWrapper(past));
        }
        if let (Some(open), true) = (first(&|canon| canon.leaves && canon.used), self.calls_back) {
            return Err(Unsound::MayLeaveUnchecked(open));
        }
        for (slot, wrapper) in SLOTS.into_iter().zip(self.shares) {
            let is_it = |need| need == Need::ContextGet(slot) || need == Need::ContextSet(slot);
            if let (Some(wrapper), Some(_)) = (wrapper, first(&|canon| canon.context.is_some_and(is_it) && canon.used))
            {
                return Err(Unsound::SharesContext(wrapper));
            }
        }
        if let (Some(canon), Some(_), true) = (self.unguarded, self.table, self.calls_out) {
            return Err(Unsound::Unguarded(canon));
        }
        let joined = self.ledger_memory.is_none() || self.table.is_some();
        let shown = self.window_memory.is_none() || self.window_start.is_some();
        if joined && shown { Ok(()) } else { Err(Unsound::Unjoined) }
    }
}
